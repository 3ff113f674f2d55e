"""JSON forms of values without a declared type: what JSON knows as it is, the rest under the name of its type.

A record never causes an import: a type is looked up among the modules that are loaded already, and only enums,
dataclasses, pydantic models and a fixed list of plain types are made from a record.
"""

import dataclasses
import enum
import math
import sys
import typing
from collections.abc import Callable
from typing import Any

from citewell.workflow.errors import CodecError
from citewell.workflow.forms import scalar

TAG = "$type"
_PLAIN = ("datetime", "uuid", "decimal", "pathlib", "builtins")


def to_json(value: object, path: str) -> Any:
    """New JSON lists, dicts and scalars; CodecError names the path of a value that has no form."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        number = typing.cast(float, value)
        return number if math.isfinite(number) else {TAG: "float", "value": str(number)}
    if kind is list:
        return [to_json(item, f"{path}[{n}]") for n, item in enumerate(typing.cast(list[object], value))]
    if kind is dict:
        return _dict_out(typing.cast(dict[object, object], value), path)
    if kind in _SEQUENCES:
        items = [to_json(item, f"{path}[{n}]") for n, item in enumerate(typing.cast(list[object], value))]
        if kind is not tuple:
            # In an order that does not depend on hashes: the same value must give the same record.
            items.sort(key=repr)
        return {TAG: kind.__name__, "value": items}
    return _object_out(value, path)


def _dict_out(value: dict[object, object], path: str) -> Any:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: to_json(item, f"{path}.{key}") for key, item in value.items()}
    pairs = [[to_json(key, f"{path} (key)"), to_json(item, f"{path}.{key}")] for key, item in value.items()]
    return {TAG: "dict", "value": pairs}


def _object_out(value: object, path: str) -> Any:
    kind = type(value)
    form: Any
    if (found := _scalar_form(kind, path)) is not None:
        form = found.encode(value, path)
    elif isinstance(value, enum.Enum):
        form = value.name
    elif isinstance(value, Exception):
        return {TAG: "exception", "value": {"type": kind.__qualname__, "message": str(value)}}
    elif dataclasses.is_dataclass(kind) or hasattr(kind, "model_validate"):
        from citewell.workflow.codec import codec

        form = codec(kind, path).encode(value, path)
    else:
        raise CodecError(
            f"{path}: {kind.__qualname__} has no JSON form. Use dataclasses, pydantic models, enums, dates, text, "
            "numbers, lists, tuples, sets and dicts of these; keep anything else in the workflow object or a Resource."
        )
    if find_type(name_of(kind)) is not kind:
        raise CodecError(f"{path}: {name_of(kind)} is not found under its name, so a record could not be read back.")
    return {TAG: name_of(kind), "value": form}


def from_json(value: Any, path: str) -> Any:
    """The value of which `to_json` made this; CodecError when it is damaged or its type is not there any more."""
    if type(value) is list:
        return [from_json(item, f"{path}[{n}]") for n, item in enumerate(value)]
    if type(value) is not dict:
        return value
    if TAG not in value:
        return {key: from_json(item, f"{path}.{key}") for key, item in value.items()}
    if value.keys() != {TAG, "value"} or type(value[TAG]) is not str:
        raise CodecError(f"{path}: a damaged record of a typed value ({sorted(map(str, value))}).")
    name, inner = value[TAG], value["value"]
    try:
        if name in _BUILT:
            return _BUILT[name](inner, path)
        return _object_in(name, inner, path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"{path}: {inner!r} is no {name} ({error}).") from error


def _object_in(name: str, inner: Any, path: str) -> Any:
    kind = find_type(name)
    if kind is None:
        raise CodecError(f"{path}: type {name} is not known here. Import its module before reading the record.")
    found = _scalar_form(kind, path)
    if found is not None:
        return found.decode(inner, path)
    if issubclass(kind, enum.Enum):
        return kind[inner]
    if dataclasses.is_dataclass(kind) or hasattr(kind, "model_validate"):
        from citewell.workflow.codec import codec

        return codec(kind, path).decode(inner, path)
    raise CodecError(f"{path}: a record may not make a {name}.")


def name_of(kind: type) -> str:
    """`module:qualified.name`, by which a type is found again."""
    return f"{kind.__module__}:{kind.__qualname__}"


def _scalar_form(kind: type, path: str) -> Any:
    return scalar(kind) if kind.__module__.partition(".")[0] in _PLAIN else None


def find_type(name: str) -> type | None:
    """The type of which `name_of` gave this name, among the modules that are loaded; None when it is gone."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type):
        return found
    return find_subclass(name)


def find_subclass(name: str) -> type | None:
    """An event or model class by its `name_of`; None when it is gone, or defined inside a function more than once."""
    from pydantic import BaseModel

    from citewell.workflow.plain import PlainEvent

    # The one that stands in its module now: after a reload, or in a notebook, older ones of the name may linger.
    module, _, path = name.partition(":")
    present: Any = sys.modules.get(module)
    for part in path.split("."):
        present = getattr(present, part, None)
    if isinstance(present, type) and issubclass(present, BaseModel | PlainEvent) and name_of(present) == name:
        return present
    found: set[type] = set()
    frontier: list[type] = [BaseModel, PlainEvent]
    seen: set[type] = set(frontier)
    while frontier:
        kind: type
        for kind in frontier.pop().__subclasses__():
            if kind not in seen:
                seen.add(kind)
                frontier.append(kind)
                if name_of(kind) == name:
                    found.add(kind)
    if len(found) > 1:
        # dataclass(slots=True) makes a class anew, and its first version stays until it is collected.
        found = {kind for kind in found if "__slots__" in vars(kind)}
    return found.pop() if len(found) == 1 else None


def _exception_in(inner: Any, path: str) -> Exception:
    from citewell.workflow.events import RecordedError

    return RecordedError(str(inner["message"]), str(inner["type"]))


_SEQUENCES = (tuple, set, frozenset)
_BUILT: dict[str, Callable[[Any, str], Any]] = {
    "float": lambda inner, path: float(inner),
    "tuple": lambda inner, path: tuple(from_json(item, path) for item in inner),
    "set": lambda inner, path: {from_json(item, path) for item in inner},
    "frozenset": lambda inner, path: frozenset(from_json(item, path) for item in inner),
    "dict": lambda inner, path: {from_json(key, path): from_json(item, path) for key, item in inner},
    "exception": _exception_in,
}
