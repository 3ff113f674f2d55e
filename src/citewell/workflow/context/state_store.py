"""The state of a run, under the names that users of llama-index-workflows know."""

from collections.abc import Mapping
from typing import Any, TypeVar

from citewell.workflow.state import DictState, State, Store, UnserializableKeyWarning, schema_of

S = TypeVar("S")


class InMemoryStateStore(Store[S]):
    """A store of its own, outside of any run, that begins with the values of `initial_state`."""

    __slots__ = ()

    def __init__(self, initial_state: S) -> None:
        state = State(schema_of(type(initial_state), type(initial_state).__name__))
        given: Any = initial_state
        state.values = given.to_dict() if state.schema is None else state.schema.values(given)
        super().__init__(state)

    @classmethod
    def from_dict(cls, form: Mapping[str, Any], serializer: object = None) -> "InMemoryStateStore[DictState]":
        """The free-form store of which `to_dict` made this."""
        made: InMemoryStateStore[DictState] = InMemoryStateStore(DictState())
        made._state.restore(form)
        return made


__all__ = ["DictState", "InMemoryStateStore", "Store", "UnserializableKeyWarning"]
