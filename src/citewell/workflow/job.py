"""What the state of a run is made of: steps at work, jobs and where they come from, lists that are worked off."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from citewell.workflow.plain import PlainEvent

if TYPE_CHECKING:
    from citewell.workflow.buffers import Buffer, Taken
    from citewell.workflow.past import Past
    from citewell.workflow.step import StepSpec
    from citewell.workflow.wait import Wait


class Emitted(NamedTuple):
    """An event that a step sent or returned: its number, for which step only, and whether it stood in a list."""

    seq: int
    event: PlainEvent
    target: str | None = None
    listed: bool = False
    sent: bool = False


class Trail:
    """What events hand on to what comes of them: the list they belong to, and the failures already recovered."""

    __slots__ = ("recovered", "scope")

    def __init__(self, scope: "Scope | None", recovered: Mapping[str, int]) -> None:
        self.scope = scope
        self.recovered = recovered


class Scope:
    """A list that a step returned, until all that came of it is worked off; `gathered` by collecting step."""

    __slots__ = ("gathered", "outer", "pending", "seq")

    def __init__(self, seq: int, outer: Trail | None, joins: Iterable[int]) -> None:
        self.seq = seq
        self.outer = outer
        self.pending = 0
        # None once the step has been given its events.
        self.gathered: dict[int, list[tuple[int, PlainEvent]] | None] = {index: [] for index in joins}


class Lane:
    """One step within one run: how many jobs it works on, and those beyond `num_workers` in their order."""

    __slots__ = ("active", "joins", "limit", "runs", "slots", "spec", "waiting")

    def __init__(self, spec: "StepSpec") -> None:
        self.spec = spec
        self.limit = spec.config.num_workers
        # Whether it takes several events at once.
        self.joins = spec.cardinality is not None or bool(spec.slots)
        self.active = 0
        self.runs = 0
        self.waiting: deque[Job] | None = None
        self.slots: list[deque[tuple[int, PlainEvent]]] | None = None


class Job:
    """One event for one step, from arrival to its recorded outcome, over all attempts.

    `event` is a list for a step that gathers, a tuple for one with several event parameters.
    """

    __slots__ = (
        "attempt",
        "cancelled",
        "causes",
        "collected",
        "dirty",
        "event",
        "lane",
        "lent",
        "over",
        "past",
        "sent",
        "seq",
        "spec",
        "started",
        "started_at",
        "trail",
        "verdict",
        "wait",
    )

    def __init__(self, lane: Lane, seq: int, event: Any, trail: Trail | None = None) -> None:
        self.lane = lane
        self.spec = lane.spec
        self.seq = seq
        self.event = event
        self.trail = trail
        self.attempt = 1
        self.causes: tuple[int, ...] | None = None
        self.sent: list[tuple[PlainEvent, str | None]] | None = None
        self.dirty: set[str] | None = None
        # Values of the state that the step was given, as they were then.
        self.lent: dict[str, Any] | None = None
        self.collected: list[tuple[Buffer, Taken | None]] | None = None
        self.cancelled = False
        self.over = False
        self.started_at = 0.0
        self.started = 0.0
        # The error that the engine itself made of this job, to be told from one that a nested run raised in it.
        self.verdict: Exception | None = None
        # What the step waits for at this moment.
        self.wait: Wait | None = None
        # What earlier attempts, or earlier processes, have left: failures, answers, remembered results.
        self.past: Past | None = None

    @property
    def label(self) -> str:
        """The event, as error messages name it."""
        return f"{self.event_name} (event {self.seq})"

    @property
    def event_name(self) -> str:
        """Type of the event, or of the events."""
        if type(self.event) is list:
            return f"list[{' | '.join(kind.__name__ for kind in self.spec.accepts)}]"
        if type(self.event) is tuple:
            return " and ".join(kind.__name__ for kind in self.spec.slots)
        return type(self.event).__name__
