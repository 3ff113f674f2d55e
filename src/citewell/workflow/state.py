"""The state of one run: free-form values, or the fields of a dataclass or pydantic model.

Values go in as copies; `get` gives the value itself, so that changing it in a step changes the state. In a recorded
run every value must have a JSON form, and what a step has changed in a value it got is recorded with its outcome; in
one that only lives in memory other objects are kept as they are, and named in a warning, because such a run cannot
be saved. A write is seen at once by all steps and is not taken back by a retry.
"""

import asyncio
import dataclasses
import typing
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from citewell.workflow.codec import codec
from citewell.workflow.errors import CodecError, StateRefused, WorkflowValidationError
from citewell.workflow.events import DictLikeModel
from citewell.workflow.forms import Codec
from citewell.workflow.tagged import from_json, to_json

S = TypeVar("S")

_MISSING: Any = object()
_ATOMS = frozenset({str, int, bool, float, type(None)})
DEPTH = 1000


class UnserializableKeyWarning(UserWarning):
    """A value in the state of a run has no JSON form, so the run cannot be saved."""


class DictState(DictLikeModel):
    """Free-form state: read and write it like a dict, or by attributes."""

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a value and give it."""
        return self._data.pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value, which is `default` if it was not there."""
        return self._data.setdefault(key, default)

    def update(self, other: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Take over all values."""
        self._data.update({**(other or {}), **values})

    def clear(self) -> None:
        """Remove all values."""
        self._data.clear()

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self._fields())


class Schema:
    """The declared type of a state: its fields, and how they are written."""

    __slots__ = ("_codecs", "fields", "kind", "model", "name")

    def __init__(self, kind: type, fields: tuple[str, ...], codecs: Mapping[str, Codec], *, model: bool) -> None:
        self.kind = kind
        self.name = kind.__name__
        self.fields = fields
        self.model = model
        self._codecs = codecs

    def fresh(self) -> dict[str, Any]:
        """The values of a new instance."""
        made = self.kind()
        return {name: getattr(made, name) for name in self._names(made)}

    def _names(self, instance: Any) -> tuple[str, ...]:
        extra = getattr(instance, "__pydantic_extra__", None) if self.model else None
        return (*self.fields, *extra) if extra else self.fields

    def instance(self, values: Mapping[str, Any]) -> Any:
        """An instance with these values, not validated again."""
        if self.model:
            return typing.cast(Any, self.kind).model_construct(**values)
        made = self.kind()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    def values(self, instance: Any) -> dict[str, Any]:
        """The values of an instance."""
        return {name: getattr(instance, name) for name in self._names(instance)}

    def check(self, values: Mapping[str, Any], key: str, value: Any) -> Any:
        """The value as the field takes it; CodecError, or pydantic's ValidationError, when it does not."""
        if not self.model:
            part = self._codecs.get(key)
            if part is None:
                raise CodecError(f"{self.name} has no such field (it has {', '.join(self.fields)}).")
            return part.decode(part.encode(value, key), key)
        if key not in self.fields and typing.cast(Any, self.kind).model_config.get("extra") != "allow":
            raise CodecError(f"{self.name} has no such field (it has {', '.join(self.fields)}).")
        draft = self.instance(values)
        typing.cast(Any, self.kind).__pydantic_validator__.validate_assignment(draft, key, value)
        return getattr(draft, key)

    def encode(self, key: str, value: Any) -> Any:
        """JSON form of one field; CodecError when it has none."""
        part = self._codecs.get(key)
        return to_json(value, key) if part is None else part.encode(value, key)

    def decode(self, key: str, payload: Any) -> Any:
        """The value of one field; CodecError when the form does not fit."""
        part = self._codecs.get(key)
        return from_json(payload, key) if part is None else part.decode(payload, key)


def schema_of(kind: type, where: str) -> Schema | None:
    """The schema of a state type; None for `DictState`, which declares nothing.

    Raises WorkflowValidationError when the type cannot be a state.
    """
    if kind is DictState:
        return None
    model = issubclass(kind, BaseModel)
    if not model and not dataclasses.is_dataclass(kind):
        raise WorkflowValidationError(
            f"{where}: state type {kind.__name__} is neither a dataclass nor a pydantic model. Make it one."
        )
    if not model and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise WorkflowValidationError(
            f"{where}: state type {kind.__name__} is frozen, but edit_state() changes its fields. Remove frozen=True."
        )
    names = tuple(typing.cast(Any, kind).model_fields) if model else tuple(f.name for f in dataclasses.fields(kind))
    codecs: dict[str, Codec] = {}
    try:
        hints = typing.get_type_hints(kind)
        for name in names:
            try:
                codecs[name] = codec(hints[name], f"{kind.__name__}.{name}")
            except CodecError:
                # A model may hold live objects in a run that is never recorded; then the value decides.
                if not model:
                    raise
    except (CodecError, NameError) as error:
        raise WorkflowValidationError(f"{where}: the state cannot be recorded. {error}") from error
    found = Schema(kind, names, codecs, model=model)
    try:
        found.fresh()
    except (TypeError, ValueError) as error:
        raise WorkflowValidationError(
            f"{where}: state type {kind.__name__} cannot be made without arguments ({error}). "
            "Give every field a default."
        ) from error
    return found


class State:
    """All values of one run by key, and the lock that writers hold. `strict` when the run is recorded."""

    __slots__ = ("_lock", "editor", "schema", "strict", "values", "warned")

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema
        self.strict = False
        self.values: dict[str, Any] = {} if schema is None else schema.fresh()
        self.editor: asyncio.Task[Any] | None = None
        self.warned: set[str] | None = None
        self._lock: asyncio.Lock | None = None

    @property
    def lock(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    def checked(self, key: str, value: object) -> Any:
        """A copy of the value as it is kept; StateRefused with key, type and reason when it cannot be."""
        try:
            kept = value if self.schema is None else self.schema.check(self.values, key, value)
        except (CodecError, ValueError) as error:
            raise self._refused(key, value, str(error)) from error
        if type(kept) in _ATOMS and (type(kept) is not float or not self.strict):
            return kept
        try:
            form = self._form(key, kept)
        except CodecError as error:
            if self.strict:
                raise self._refused(key, value, str(error)) from error
            self._warn(key, str(error))
            return shared(kept)
        return self._value(key, form) if self.strict else shared(kept)

    def copied(self, key: str) -> Any:
        """A copy of the value."""
        value = self.values[key]
        if type(value) in _ATOMS:
            return value
        return self._value(key, self._form(key, value)) if self.strict else shared(value)

    def form(self, key: str) -> Any:
        """JSON form of the value, None when it is not there."""
        return self._form(key, self.values[key]) if key in self.values else None

    def recorded(self, keys: set[str]) -> dict[str, Any]:
        """JSON forms of the present values of these keys; a key that was deleted is left out."""
        return {key: self._form(key, self.values[key]) for key in sorted(keys & self.values.keys())}

    def restore(self, forms: Mapping[str, Any], deleted: tuple[str, ...] = ()) -> None:
        """Take over recorded values; CodecError when one does not fit the present type."""
        for key, form in forms.items():
            self.values[key] = self._value(key, form)
        for key in deleted:
            self.values.pop(key, None)

    def _form(self, key: str, value: Any) -> Any:
        return to_json(value, key) if self.schema is None else self.schema.encode(key, value)

    def _value(self, key: str, form: Any) -> Any:
        return from_json(form, key) if self.schema is None else self.schema.decode(key, form)

    def _warn(self, key: str, reason: str) -> None:
        if self.warned is None:
            self.warned = set()
        if key not in self.warned:
            self.warned.add(key)
            warnings.warn(
                f"State {key!r} is kept in memory only: {reason} The run cannot be saved while it is there.",
                UnserializableKeyWarning,
                stacklevel=4,
            )

    def _refused(self, key: str, value: object, reason: str) -> StateRefused:
        return StateRefused(
            f"State {key!r} = a {type(value).__qualname__} was refused: {reason} "
            "Store JSON values, or declare a dataclass or pydantic model as Context[YourState].",
            key=key,
        )


def shared(value: Any) -> Any:
    """A copy whose lists, dicts, tuples and sets are new, and whose other objects are the same."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list:
        return [shared(item) for item in value]
    if kind is dict:
        return {key: shared(item) for key, item in value.items()}
    if kind is tuple:
        return tuple(shared(item) for item in value)
    if kind is set:
        return set(value)
    return value


class StatePathError(StateRefused, KeyError):
    """Nothing is in the state under that path."""

    def __str__(self) -> str:
        return str(self.args[0])


class Store(Generic[S]):
    """`ctx.store`: the run's state. Paths such as `user.names.0` reach into dicts, lists and attributes."""

    __slots__ = ("_lent", "_state", "_touched")

    def __init__(
        self,
        state: State,
        touched: "typing.Callable[[str], None] | None" = None,
        lent: "typing.Callable[[str], None] | None" = None,
    ) -> None:
        self._state = state
        self._touched = touched
        self._lent = lent

    async def get(self, path: str, default: Any = _MISSING) -> Any:
        """The value itself: what a step changes in it is changed in the state, and recorded with the step's outcome.

        Without a default StatePathError (a KeyError and ValueError) when it is not there.
        """
        parts = path.split(".")
        if len(parts) > DEPTH:
            raise StateRefused(f"Path with {len(parts)} parts; at most {DEPTH} are followed.", key=path)
        try:
            value = self._state.values[parts[0]]
            if self._lent is not None and type(value) not in _ATOMS:
                self._lent(parts[0])
            for part in parts[1:]:
                value = _inner(value, part)
        except (KeyError, IndexError, AttributeError, ValueError, TypeError) as error:
            if default is _MISSING:
                raise StatePathError(f"Path {path!r} is not in the state.", key=path) from error
            return default
        return value

    async def set(self, path: str, value: object) -> None:
        """Write one value; StateRefused when it cannot be kept."""
        state = self._state
        if state.editor is not None and state.editor is asyncio.current_task():
            raise StateRefused(f"State {path!r}: set() inside edit_state(). Change the state that it gave.", key=path)
        if not path:
            raise StateRefused("The path is empty. Name what is to be set.", key=path)
        key, *parts = path.split(".")
        if len(parts) >= DEPTH:
            raise StateRefused(f"Path with {len(parts) + 1} parts; at most {DEPTH} are followed.", key=path)
        if not parts:
            kept = state.checked(key, value)
            async with state.lock:
                state.values[key] = kept
                self._touch(key)
            return
        async with state.lock:
            outer = state.copied(key) if key in state.values else {}
            inner = outer
            for part in parts[:-1]:
                inner = _descend(inner, part)
            _put(inner, parts[-1], value, path)
            state.values[key] = state.checked(key, outer)
            self._touch(key)

    async def get_state(self) -> S:
        """A copy of all values: an instance of the declared state type, or a DictState."""
        state = self._state
        copies = {key: state.copied(key) for key in state.values}
        made = DictState(**copies) if state.schema is None else state.schema.instance(copies)
        return typing.cast(S, made)

    async def set_state(self, new: S) -> None:
        """Replace all values by those of an instance of the state type (or of a base of it, which keeps the rest)."""
        state = self._state
        values = _values(state.schema, new)
        async with state.lock:
            if state.schema is not None and set(values) < set(state.schema.fields):
                values = {**state.values, **values}
            self._replace(values)

    async def clear(self) -> None:
        """Back to the state of a new run."""
        state = self._state
        async with state.lock:
            self._replace({} if state.schema is None else state.schema.fresh())

    @asynccontextmanager
    async def edit_state(self) -> AsyncIterator[S]:
        """A copy of all values to change; the changes become visible together at the end of the block.

        Other writers wait. When the block raises, or one value is refused, nothing is changed.
        """
        state = self._state
        if state.editor is not None and state.editor is asyncio.current_task():
            raise StateRefused("edit_state() inside edit_state(). Change the state that the outer one gave.", key="")
        async with state.lock:
            state.editor = asyncio.current_task()
            try:
                draft = await self.get_state()
                yield draft
                self._replace(_values(state.schema, draft))
            finally:
                state.editor = None

    def to_dict(self, serializer: object = None) -> dict[str, Any]:
        """JSON forms of all values by key; CodecError names one that has none."""
        return self._state.recorded(set(self._state.values))

    def _replace(self, values: Mapping[str, Any]) -> None:
        state = self._state
        copies = {key: state.checked(key, value) for key, value in values.items()}
        for key in state.values.keys() | copies.keys():
            if key not in copies:
                del state.values[key]
                self._touch(key)
            elif key not in state.values or not _same(state.values[key], copies[key]):
                state.values[key] = copies[key]
                self._touch(key)

    def _touch(self, key: str) -> None:
        if self._touched is not None:
            self._touched(key)


def _same(one: Any, other: Any) -> bool:
    try:
        return one is other or (type(one) is type(other) and bool(one == other))
    except Exception:  # noqa: BLE001 - values are compared by their own __eq__, which may raise anything
        return False


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value[part] if part in value else value[int(part)]
    if isinstance(value, list | tuple):
        return value[int(part)]
    return getattr(value, part)


def _descend(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.setdefault(part, {})
    return _inner(value, part)


def _put(holder: Any, part: str, value: Any, path: str) -> None:
    try:
        if isinstance(holder, dict):
            holder[part] = value
        elif isinstance(holder, list):
            holder[int(part)] = value
        else:
            setattr(holder, part, value)
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise StateRefused(f"State {path!r} cannot be written: {error}.", key=path) from error


def _values(schema: Schema | None, instance: Any) -> dict[str, Any]:
    if schema is None:
        if isinstance(instance, DictState):
            return instance.to_dict()
        if isinstance(instance, dict):
            return dict(instance)
        raise StateRefused(f"The state takes a DictState or a dict, not a {type(instance).__name__}.", key="")
    if isinstance(instance, schema.kind):
        return schema.values(instance)
    if issubclass(schema.kind, type(instance)) and isinstance(instance, BaseModel):
        return {name: getattr(instance, name) for name in type(instance).model_fields}
    raise StateRefused(f"The state takes a {schema.name}, not a {type(instance).__name__}.", key="")
