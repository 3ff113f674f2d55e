"""How a step that takes a list of events says when it has enough of them: `Annotated[list[E], Collect(Take(2))]`."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Cardinality:
    """How many members a collecting step waits for: `All()` or `Take(n)`."""


@dataclasses.dataclass(frozen=True, slots=True)
class All(Cardinality):
    """All: the step runs once, when everything that came of the returned list has been worked off."""


@dataclasses.dataclass(frozen=True, slots=True)
class Take(Cardinality):
    """The first `n` to arrive; fewer if the list came to fewer. Later ones do not reach the step."""

    n: int

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise ValueError(f"Take({self.n!r}): n must be a whole number of at least 1.")


@dataclasses.dataclass(frozen=True, slots=True)
class Collect:
    """Marks a `list[E]` parameter with its cardinality; a bare `list[E]` means `Collect(All())`."""

    cardinality: Cardinality = dataclasses.field(default_factory=All)
