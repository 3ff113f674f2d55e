"""What the parts of a retry policy share: times in seconds, checked arguments, a repr that reads as a call."""

import math
import types
from datetime import timedelta
from typing import TypeAlias

time_unit_type: TypeAlias = int | float | timedelta
ExceptionTypes: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | types.UnionType


class Part:
    """A condition, a wait or a stop of this package."""


def assign(value: object, **fields: object) -> None:
    """Set fields of a frozen value; only for its `__init__`."""
    for name, field in fields.items():
        object.__setattr__(value, name, field)


def set_range(value: object, low: time_unit_type, high: time_unit_type, *, endless: bool = True) -> None:
    """Set `min` and `max`; ValueError if the range is empty."""
    low_s, high_s = seconds(value, "min", low), seconds(value, "max", high, endless=endless)
    if low_s > high_s:
        raise ValueError(
            f"{type(value).__name__}: min is {low_s} s, above max, {high_s} s. Lower min or give a larger max."
        )
    assign(value, min=low_s, max=high_s)


def set_parts(value: object, **fields: tuple[object, ...]) -> None:
    for name, parts in fields.items():
        for part in parts:
            check_part(type(value).__name__, name, part)
    assign(value, **fields)


def check_part(where: str, name: str, part: object) -> None:
    """TypeError unless `part` can be called, and for the slips of giving a class where a value is meant."""
    if isinstance(part, type):
        if issubclass(part, BaseException):
            raise TypeError(f"{where}: {name} is {part.__name__}. Use retry_if_exception_type({part.__name__}).")
        # A predicate may well be a class, bool for example; the blocks of this module never mean themselves.
        if issubclass(part, Part):
            raise TypeError(f"{where}: {name} is the class {part.__name__}. Give a value, {part.__name__}(…).")
    if not callable(part):
        raise TypeError(f"{where}: {name} is {part!r}, which cannot be called. Give one of this module or a function.")


def check_types(condition: object, exception_types: object) -> None:
    name = type(condition).__name__
    members = exception_types if isinstance(exception_types, tuple) else (exception_types,)
    for member in members:
        inner = member.__args__ if isinstance(member, types.UnionType) else (member,)
        for one in inner:
            if not (isinstance(one, type) and issubclass(one, BaseException)):
                raise TypeError(f"{name}: {one!r} is not an exception class. Give one class or a tuple of classes.")


def seconds(value: object, name: str, given: time_unit_type, *, endless: bool = False, negative: bool = False) -> float:
    """Seconds as a float; TypeError for another type, ValueError for NaN, below zero or infinite where not allowed."""
    where = f"{type(value).__name__}: {name} is {given!r}."
    if isinstance(given, timedelta):
        seconds = given.total_seconds()
    elif isinstance(given, (int, float)) and not isinstance(given, bool):
        seconds = float(given)
    else:
        raise TypeError(f"{where} Give seconds as a number, or a timedelta.")
    if math.isnan(seconds) or (seconds < 0 and not negative) or (math.isinf(seconds) and not endless):
        raise ValueError(f"{where} Give {'' if negative else 'at least 0 '}seconds{'' if endless else ', and finite'}.")
    return seconds


def factor(value: object, name: str, given: float) -> float:
    where = f"{type(value).__name__}: {name} is {given!r}."
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{where} Give a number.")
    if not 0 <= given < math.inf:
        raise ValueError(f"{where} Give a finite number of at least 0.")
    return float(given)


def call(value: object, parts: tuple[object, ...]) -> str:
    return f"{type(value).__name__}({', '.join(map(repr, parts))})"
