"""JSON forms of values that hold no others: text, numbers, dates, bytes, enums, literals."""

import base64
import datetime
import enum
import math
from collections.abc import Callable
from typing import Any

from citewell.workflow.errors import CodecError


class Codec:
    """Both directions for one type hint; each raises CodecError, whose message starts with the path."""

    __slots__ = ("decode", "encode")

    def __init__(self, encode: Callable[[Any, str], Any], decode: Callable[[Any, str], Any]) -> None:
        self.encode = encode
        self.decode = decode


def enumeration(kind: type[enum.Enum]) -> Codec:
    values = [member.value for member in kind]
    # By name where values are not all text or all int: only those survive JSON as they are.
    by_value = all(type(value) is str for value in values) or all(type(value) is int for value in values)

    def encode(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise wrong(value, kind.__name__, path)
        return value.value if by_value else value.name

    def decode(value: Any, path: str) -> Any:
        try:
            return kind(value) if by_value else kind[value]
        except (ValueError, KeyError) as error:
            raise CodecError(f"{path}: {value!r} is not in {kind.__name__}.") from error

    return Codec(encode, decode)


def literal(values: tuple[Any, ...]) -> Codec:
    def check(value: Any, path: str) -> Any:
        for one in values:
            if type(one) is type(value) and one == value:
                return one
        raise CodecError(f"{path}: {value!r} is none of {values}.")

    return Codec(check, check)


def wrong(value: Any, wanted: str, path: str) -> CodecError:
    return CodecError(f"{path}: {type(value).__qualname__} where {wanted} is declared.")


def _scalar(
    kind: type, to: Callable[[Any], Any], back: Callable[[Any], Any], form: type = str, loose: bool = False
) -> Codec:
    def encode(value: Any, path: str) -> Any:
        # Exactly, unless loose: a datetime is a date, and would not come back as one.
        if type(value) is not kind and not (loose and isinstance(value, kind)):
            raise wrong(value, kind.__name__, path)
        return to(value)

    def decode(value: Any, path: str) -> Any:
        if type(value) is not form:
            raise wrong(value, form.__name__, path)
        try:
            return back(value)
        except (ValueError, ArithmeticError) as error:
            raise CodecError(f"{path}: {value!r} is no {kind.__name__} ({error}).") from error

    return Codec(encode, decode)


def _float_to(value: Any, path: str) -> Any:
    if type(value) is int or type(value) is bool:
        return value
    if not isinstance(value, float):
        raise wrong(value, "float", path)
    return float(value) if math.isfinite(value) else str(float(value))


def _float_back(value: Any, path: str) -> Any:
    if type(value) is str and value in ("nan", "inf", "-inf"):
        return float(value)
    if type(value) not in (float, int, bool):
        raise wrong(value, "float", path)
    return value


def _text_to(value: Any, path: str) -> Any:
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise wrong(value, "str", path)


def _int_to(value: Any, path: str) -> Any:
    if type(value) is int or type(value) is bool:
        return value
    if isinstance(value, int):
        return int(value)
    raise wrong(value, "int", path)


def exact(kind: type, *more: type) -> Codec:
    kinds = (kind, *more)

    def check(value: Any, path: str) -> Any:
        if type(value) in kinds:
            return value
        raise wrong(value, kind.__name__, path)

    return Codec(check, check)


_MICROSECOND = datetime.timedelta(microseconds=1)
SCALARS: dict[type, Codec] = {
    str: Codec(_text_to, exact(str).decode),
    int: Codec(_int_to, exact(int, bool).decode),
    bool: exact(bool),
    type(None): exact(type(None)),
    float: Codec(_float_to, _float_back),
    bytes: _scalar(bytes, lambda v: base64.b64encode(v).decode(), lambda v: base64.b64decode(v, validate=True)),
    datetime.datetime: _scalar(datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: _scalar(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: _scalar(datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    datetime.timedelta: _scalar(datetime.timedelta, lambda v: v // _MICROSECOND, lambda v: v * _MICROSECOND, int),
}


def scalar(kind: type) -> Codec | None:
    """The codec of a type whose values hold no others; None for all other types."""
    found = SCALARS.get(kind)
    # By name: importing these modules costs more than the engine, and who has such a value has paid it.
    if found is None and (kind.__module__.partition(".")[0], kind.__name__) in _TEXTUAL:
        found = SCALARS[kind] = _scalar(kind, str, kind, loose=True)
    return found


_TEXTUAL = {("decimal", "Decimal"), ("pathlib", "Path"), ("uuid", "UUID")}
