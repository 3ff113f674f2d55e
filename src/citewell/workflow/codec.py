"""Events and state as JSON: the type hints of a dataclass give its encoder and its decoder, compiled once.

Dates are ISO text, enums their values, bytes base64, timedeltas microseconds, sets and tuples lists; a dict
whose keys are not text is a list of pairs; a union of anything but None is tagged with its type's name. A
pydantic model encodes itself.
"""

import collections.abc
import dataclasses
import enum
import json
import math
import threading
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from citewell.workflow.errors import CodecError
from citewell.workflow.forms import Codec, enumeration, exact, literal, scalar, wrong

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def encode(value: object) -> Any:
    """JSON-able form of an event, or of any dataclass instance: new dicts, lists, text, numbers, None."""
    kind = type(value)
    return codec(kind, kind.__name__).encode(value, kind.__name__)


def decode(kind: type[T], payload: object) -> T:
    """The value of which `encode` gave this payload; missing fields take their defaults, unknown ones are
    refused.
    """
    value: T = codec(kind, kind.__name__).decode(payload, kind.__name__)
    return value


def plain(value: object, path: str) -> Any:
    """A deep copy of a value that is JSON as it stands; CodecError when it would not come back the same."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if not math.isfinite(typing.cast(float, value)):
            raise CodecError(f"{path}: {value} has no JSON form.")
        return value
    if kind is list:
        return [plain(item, f"{path}[{n}]") for n, item in enumerate(typing.cast(list[object], value))]
    if kind is dict:
        for key in typing.cast(dict[object, object], value):
            if type(key) is not str:
                raise CodecError(f"{path}: key {key!r} is a {type(key).__name__}, JSON keys are text.")
        return {key: plain(item, f"{path}.{key}") for key, item in typing.cast(dict[str, object], value).items()}
    raise CodecError(f"{path}: {kind.__qualname__} has no JSON form that gives it back without a declared type.")


def codec(hint: Any, path: str) -> Codec:
    """The compiled codec of a type hint; CodecError names the path of a part that has none."""
    try:
        found = _CODECS.get(hint)
    except TypeError:
        return _build(hint, path)
    if found is not None:
        return found
    with _LOCK:
        # Staged until the outermost type is complete: classes may refer to each other, and a half-built
        # codec must be seen by no other thread and outlive no error.
        outermost = not _STAGED
        found = _STAGED.get(hint)
        if found is not None:
            return found
        found = _STAGED[hint] = Codec(_unbuilt, _unbuilt)
        try:
            built = _build(hint, path)
            found.encode, found.decode = built.encode, built.decode
            if outermost:
                _CODECS.update(_STAGED)
        finally:
            if outermost:
                _STAGED.clear()
        return found


def _unbuilt(value: Any, path: str) -> Any:
    raise AssertionError(path)


_LOCK = threading.RLock()
_STAGED: dict[Any, Codec] = {}
_CODECS: dict[Any, Codec] = {Any: Codec(plain, plain), object: Codec(plain, plain)}


def _build(hint: Any, path: str) -> Codec:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return codec(arguments[0], path)
    if isinstance(hint, typing.NewType):
        return codec(hint.__supertype__, path)
    if isinstance(hint, TypeVar):
        return codec(Any, path)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, path)
    if origin is typing.Literal:
        return literal(arguments)
    kind = origin or hint
    if not isinstance(kind, type):
        raise _unsupported(hint, path)
    if (found := scalar(kind)) is not None:
        return found
    if issubclass(kind, enum.Enum):
        return enumeration(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, path)
    if hasattr(kind, "model_validate") and hasattr(kind, "model_dump"):
        return _pydantic(kind)
    if kind is tuple:
        return _tuple(arguments or (Any, ...), path)
    if kind in _COLLECTIONS:
        return _collection(_COLLECTIONS[kind], codec(arguments[0] if arguments else Any, path + "[]"))
    if kind in _MAPPINGS:
        return _mapping(arguments or (str, Any), path)
    return _marker(kind, hint, path)


def _unsupported(hint: Any, path: str) -> CodecError:
    return CodecError(
        f"{path}: {getattr(hint, '__qualname__', hint)} has no JSON form. Use dataclasses, enums, dates, "
        "text, numbers, lists, tuples, sets and dicts of these, and pass anything else through the workflow "
        "object."
    )


_COLLECTIONS: dict[type, type] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: tuple,
    collections.abc.Collection: tuple,
    collections.abc.Set: frozenset,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def _dataclass(kind: type, path: str) -> Codec:
    try:
        hints = typing.get_type_hints(kind)
    except NameError as error:
        raise CodecError(
            f"{path}: {kind.__qualname__} is annotated with {error.name!r}, which is not found."
        ) from error
    fields = {
        field.name: codec(hints[field.name], f"{path}.{field.name}") for field in dataclasses.fields(kind) if field.init
    }
    optional = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    }
    parts = tuple(fields.items())

    def encode(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise wrong(value, kind.__name__, path)
        return {name: part.encode(getattr(value, name), f"{path}.{name}") for name, part in parts}

    def decode(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise wrong(value, f"an object ({kind.__name__})", path)
        if unknown := value.keys() - fields.keys():
            raise CodecError(f"{path}: {kind.__name__} has no field {min(unknown)!r}.")
        if missing := fields.keys() - value.keys() - optional:
            raise CodecError(f"{path}: {kind.__name__} lacks its field {min(missing)!r}.")
        return kind(**{name: fields[name].decode(item, f"{path}.{name}") for name, item in value.items()})

    return Codec(encode, decode)


def _pydantic(kind: Any) -> Codec:
    """Declared fields as pydantic writes them; undeclared ones, and those declared as Any, under their types' names."""
    from citewell.workflow.tagged import from_json, to_json

    fields = kind.model_fields
    loose = frozenset(name for name, field in fields.items() if field.annotation in (Any, object, list, dict))
    loose |= {name for name, field in fields.items() if field.annotation in (list[Any], dict[str, Any])}
    typed = frozenset(fields) - loose

    def encode(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise wrong(value, kind.__name__, path)
        try:
            data = value.__pydantic_serializer__.to_python(value, mode="json", include=typed)
        except Exception as error:  # pydantic_core raises errors of its own for what it cannot write
            raise CodecError(f"{path}: {kind.__name__} has no JSON form ({error}).") from error
        for name in loose:
            data[name] = to_json(getattr(value, name), f"{path}.{name}")
        for name, item in (value.__pydantic_extra__ or {}).items():
            data[name] = to_json(item, f"{path}.{name}")
        return data

    def decode(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise wrong(value, f"an object ({kind.__name__})", path)
        given = {name: item if name in typed else from_json(item, f"{path}.{name}") for name, item in value.items()}
        try:
            return kind.model_validate(given)
        except ValueError as error:
            raise CodecError(f"{path}: {error}") from error

    return Codec(encode, decode)


def _marker(kind: type, hint: Any, path: str) -> Codec:
    # An event without fields may be a plain class; anything else without declared fields hides its content.
    from citewell.workflow.plain import PlainEvent

    if not issubclass(kind, PlainEvent) or kind.__init__ is not object.__init__:
        raise _unsupported(hint, path)

    def encode(value: Any, path: str) -> Any:
        if type(value) is not kind or getattr(value, "__dict__", None):
            raise wrong(value, kind.__name__, path)
        return {}

    def decode(value: Any, path: str) -> Any:
        if value != {}:
            raise wrong(value, f"an empty object ({kind.__name__})", path)
        return kind()

    return Codec(encode, decode)


def _tuple(arguments: tuple[Any, ...], path: str) -> Codec:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _collection(tuple, codec(arguments[0], path + "[]"))
    if arguments == ((),):
        arguments = ()
    parts = [codec(argument, f"{path}[{n}]") for n, argument in enumerate(arguments)]

    def encode(value: Any, path: str) -> Any:
        if type(value) is not tuple or len(value) != len(parts):
            raise wrong(value, f"a tuple of {len(parts)}", path)
        return [part.encode(item, f"{path}[{n}]") for n, (part, item) in enumerate(zip(parts, value, strict=True))]

    def decode(value: Any, path: str) -> Any:
        if type(value) is not list or len(value) != len(parts):
            raise wrong(value, f"a list of {len(parts)}", path)
        items = enumerate(zip(parts, value, strict=True))
        return tuple(part.decode(item, f"{path}[{n}]") for n, (part, item) in items)

    return Codec(encode, decode)


def _collection(kind: type, item: Codec) -> Codec:
    looser: dict[type, tuple[type, ...]] = {tuple: (tuple, list), frozenset: (frozenset, set)}
    accepts = looser.get(kind, (kind,))
    is_set = issubclass(kind, set | frozenset)

    def encode(value: Any, path: str) -> Any:
        if type(value) not in accepts:
            raise wrong(value, kind.__name__, path)
        items = [item.encode(one, f"{path}[{n}]") for n, one in enumerate(value)]
        # Sets are recorded in one order: two records of one run must be the same bytes.
        return sorted(items, key=_text) if is_set else items

    def decode(value: Any, path: str) -> Any:
        if type(value) is not list:
            raise wrong(value, "a list", path)
        return kind(item.decode(one, f"{path}[{n}]") for n, one in enumerate(value))

    return Codec(encode, decode)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _mapping(arguments: tuple[Any, ...], path: str) -> Codec:
    key_hint, item = arguments[0], codec(arguments[1], path + ".*")
    key = codec(key_hint, path + " (key)")
    textual = key_hint is str

    def encode(value: Any, path: str) -> Any:
        if not isinstance(value, collections.abc.Mapping):
            raise wrong(value, "a mapping", path)
        pairs = ((key.encode(k, f"{path} (key)"), item.encode(v, f"{path}.{k}")) for k, v in value.items())
        return dict(pairs) if textual else [list(pair) for pair in pairs]

    def decode(value: Any, path: str) -> Any:
        if type(value) is not (dict if textual else list):
            raise wrong(value, "an object" if textual else "a list of pairs", path)
        pairs = typing.cast(Any, value).items() if textual else value
        return {key.decode(k, f"{path} (key)"): item.decode(v, f"{path}.{k}") for k, v in pairs}

    return Codec(encode, decode)


def _union(arguments: tuple[Any, ...], path: str) -> Codec:
    members = [argument for argument in arguments if argument is not type(None)]
    if len(members) == 1:
        tagged: Codec = codec(members[0], path)
    elif set(members) <= {str, int, bool} or set(members) <= {float, int, bool}:
        # JSON tells these apart by itself.
        tagged = codec(float if float in members else members[0], path) if float in members else exact(*members)
    else:
        tagged = _tagged({_tag(member): codec(member, path) for member in members}, members, path)
    if len(members) == len(arguments):
        return tagged
    return Codec(
        lambda value, path: None if value is None else tagged.encode(value, path),
        lambda value, path: None if value is None else tagged.decode(value, path),
    )


def _tag(member: Any) -> str:
    return member.__name__ if isinstance(member, type) and not typing.get_args(member) else str(member)


def _tagged(parts: Mapping[str, Codec], members: list[Any], path: str) -> Codec:
    if len(parts) != len(members):
        raise CodecError(f"{path}: two members of the union have one name. Rename one.")
    exact = {member: tag for tag, member in zip(parts, members, strict=True) if isinstance(member, type)}

    def encode(value: Any, path: str) -> Any:
        tag = exact.get(type(value))
        for name, part in parts.items() if tag is None else ((tag, parts[tag]),):
            try:
                return {"type": name, "value": part.encode(value, path)}
            except CodecError:
                if tag is not None:
                    raise
        raise wrong(value, " | ".join(parts), path)

    def decode(value: Any, path: str) -> Any:
        if type(value) is not dict or value.keys() != {"type", "value"} or value["type"] not in parts:
            raise wrong(value, f"a tagged {' | '.join(parts)}", path)
        return parts[value["type"]].decode(value["value"], path)

    return Codec(encode, decode)
