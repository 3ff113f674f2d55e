"""The state of one run: values that are JSON or fit a declared type, refused at the write when they are not.

Every value goes in and comes out as a copy, so nothing changes it behind the journal's back. A write is seen
at once by all steps and is not taken back by a retry; it is recorded with the outcome of the step that wrote
it.
"""

import asyncio
import dataclasses
import typing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from citewell.workflow.codec import codec, plain
from citewell.workflow.errors import CodecError, StateRefused, WorkflowDefinitionError
from citewell.workflow.forms import Codec
from citewell.workflow.reducer import Job

S = TypeVar("S")

_MISSING: Any = object()
_ATOMS = frozenset({str, int, bool, float, type(None)})


class StateSchema:
    """A dataclass as the schema of a run's state; every field has a default and a JSON form."""

    __slots__ = ("fields", "kind", "name")

    def __init__(self, kind: type, where: str) -> None:
        if not dataclasses.is_dataclass(kind):
            raise WorkflowDefinitionError(f"{where}: state type {kind.__name__} is not a dataclass. Make it one.")
        if kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise WorkflowDefinitionError(
                f"{where}: state type {kind.__name__} is frozen, but edit() changes its fields. Remove frozen=True."
            )
        self.kind = kind
        self.name = kind.__name__
        self.fields: dict[str, Codec] = {}
        try:
            hints = typing.get_type_hints(kind)
            for field in dataclasses.fields(kind):
                self.fields[field.name] = codec(hints[field.name], f"{kind.__name__}.{field.name}")
        except (CodecError, NameError) as error:
            raise WorkflowDefinitionError(f"{where}: the state cannot be recorded. {error}") from error
        try:
            kind()
        except TypeError as error:
            raise WorkflowDefinitionError(
                f"{where}: state type {kind.__name__} cannot be made without arguments ({error}). "
                "Give every field a default."
            ) from error


class State:
    """All values of one run by key, and the lock that `set` and `edit` hold."""

    __slots__ = ("_lock", "editor", "schema", "values")

    def __init__(self, schema: StateSchema | None) -> None:
        self.schema = schema
        self.values: dict[str, Any] = {}
        self.editor: asyncio.Task[Any] | None = None
        self._lock: asyncio.Lock | None = None
        if schema is not None:
            initial = schema.kind()
            self.values = {name: getattr(initial, name) for name in schema.fields}

    @property
    def lock(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def checked(self, key: str, value: object) -> Any:
        """A copy of the value; StateRefused with key, type and reason when it cannot be recorded."""
        try:
            if self.schema is None:
                return plain(value, key)
            part = self.schema.fields.get(key)
            if part is None:
                known = ", ".join(self.schema.fields)
                raise CodecError(f"{self.schema.name} has no such field (it has {known}).")
            return part.decode(part.encode(value, key), key)
        except CodecError as error:
            raise StateRefused(
                f"State {key!r} = a {type(value).__qualname__} was refused: {error} "
                "Store JSON values, or declare a dataclass as Context[YourState].",
                key=key,
            ) from error

    def recorded(self, keys: set[str]) -> dict[str, Any]:
        """JSON forms of the present values of these keys; a key that was deleted is left out."""
        present = sorted(keys & self.values.keys())
        if self.schema is None:
            return {key: plain(self.values[key], key) for key in present}
        return {key: self.schema.fields[key].encode(self.values[key], key) for key in present}


class Store(Generic[S]):
    """`ctx.store`: the run's state as one step sees it."""

    __slots__ = ("_job", "_state")

    def __init__(self, state: State, job: Job) -> None:
        self._state = state
        self._job = job

    async def get(self, key: str, default: Any = _MISSING) -> Any:
        """A copy of the value; KeyError when it is not there and no default is given."""
        try:
            value = self._state.values[key]
        except KeyError:
            if default is _MISSING:
                raise
            return default
        return value if type(value) in _ATOMS else self._state.checked(key, value)

    async def set(self, key: str, value: object) -> None:
        """Write one value; StateRefused when it cannot be recorded."""
        state = self._state
        copy = state.checked(key, value)
        if state.editor is not None and state.editor is asyncio.current_task():
            raise StateRefused(f"State {key!r}: set() inside edit(). Change the state that edit() gave.", key=key)
        async with state.lock:
            state.values[key] = copy
            self._touch(key)

    async def get_state(self) -> S:
        """A copy of all values: an instance of the declared state type, or a dict."""
        state = self._state
        copies = {key: state.checked(key, value) for key, value in state.values.items()}
        return typing.cast(S, copies if state.schema is None else _instance(state.schema, copies))

    @asynccontextmanager
    async def edit(self) -> AsyncIterator[S]:
        """A copy of all values to change; the changes become visible together at the end of the block.

        Other writers wait. When the block raises, or one value is refused, nothing is changed.
        """
        state = self._state
        if state.editor is not None and state.editor is asyncio.current_task():
            raise StateRefused("edit() inside edit(). Change the state that the outer edit() gave.", key="")
        async with state.lock:
            state.editor = asyncio.current_task()
            try:
                draft = await self.get_state()
                yield draft
                edited = draft if isinstance(draft, dict) else _values(state.schema, draft)
                copies = {key: state.checked(key, value) for key, value in edited.items()}
                for key in state.values.keys() | copies.keys():
                    if key not in copies:
                        del state.values[key]
                        self._touch(key)
                    elif state.values.get(key, _MISSING) != copies[key]:
                        state.values[key] = copies[key]
                        self._touch(key)
            finally:
                state.editor = None

    def _touch(self, key: str) -> None:
        if self._job.dirty is None:
            self._job.dirty = set()
        self._job.dirty.add(key)


def _instance(schema: StateSchema, values: dict[str, Any]) -> Any:
    instance = schema.kind()
    for key, value in values.items():
        setattr(instance, key, value)
    return instance


def _values(schema: StateSchema | None, instance: Any) -> dict[str, Any]:
    assert schema is not None
    return {key: getattr(instance, key) for key in schema.fields}
