"""The filter language: one meaning, everywhere; what cannot be understood is an error, never "no filter".

A filter is written as a mapping or as text; both parse to the same tree:

    {"language": "en", "year": {">=": 2020, "<": 2024}}
    {"or": [{"tags": {"any": ["hr", "pay"]}}, {"not": {"draft": True}}]}
    "language == 'en' and (year >= 2020 or tags any ['hr', 'pay']) and not draft == true"

Meaning. A value is a number, a truth value or a text, and these never equal or order one another: `2024 == "2024"`
is false, and so is `2024 < "2025"`. An absent field meets nothing but `!=`, `not in` and `exists false`, because
`!=` and `not in` are exactly the opposites of `==` and `in`. A list-valued field is one value: `==` and `in` compare
it whole; `contains` asks for one element (for text: for a part of it), `any` and `all` for one or all of several
elements (a single value counts as a list of one).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from citewell.errors import FilterError

OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "any", "all", "exists")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_MAX_DEPTH = 32
_MAX_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Compare:
    """One field against one value: a scalar, a tuple of scalars (`in`, `not in`, `any`, `all`), a bool (`exists`)."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; no parts: true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; no parts: false."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = Compare | And | Or | Not


def fields_of(where: Filter) -> frozenset[str]:
    """The names of all fields a filter looks at."""
    match where:
        case Compare(field=name):
            return frozenset({name})
        case Not(part=part):
            return fields_of(part)
        case And(parts=parts) | Or(parts=parts):
            return frozenset().union(*(fields_of(part) for part in parts))


def matches(where: Filter, get: Callable[[str], object]) -> bool:
    """Whether a record meets the filter; `get` gives a field's value, None when absent. The reference meaning."""
    match where:
        case Compare(field=name, op=op, value=value):
            return compare(op, get(name), value)
        case Not(part=part):
            return not matches(part, get)
        case And(parts=parts):
            return all(matches(part, get) for part in parts)
        case Or(parts=parts):
            return any(matches(part, get) for part in parts)


def compare(op: str, held: object, asked: Any) -> bool:
    """Whether a held value (None = absent) meets one operator; both sides as `parse_filter` leaves them."""
    if op == "exists":
        return bool((held is not None) == asked)
    if op == "!=":
        return not compare("==", held, asked)
    if op == "not in":
        return not compare("in", held, asked)
    if held is None:
        return False
    if op == "==":
        return _equal(held, asked)
    if op == "in":
        return any(_equal(held, one) for one in asked)
    if op in _ORDER:
        return _sort(held) == _sort(asked) and _sort(held) in ("number", "text") and _ORDER[op](held, asked)
    if op == "contains":
        if isinstance(held, str):
            return isinstance(asked, str) and asked in held
        return any(_equal(one, asked) for one in _elements(held))
    elements = _elements(held)
    found = (any(_equal(one, wanted) for one in elements) for wanted in asked)
    return any(found) if op == "any" else all(found)


def _sort(value: object) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list"


def _equal(left: object, right: object) -> bool:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return _sort(left) == _sort(right) and left == right


def _elements(held: object) -> Sequence[object]:
    return held if isinstance(held, list | tuple) else (held,)


def parse_filter(where: object) -> Filter | None:
    """The tree of a filter given as mapping, text or tree; None for None. Raises FilterError on anything else.

    An empty mapping or text is an error too: it is more likely a lost filter than a wish for none.
    """
    if where is None:
        return None
    if isinstance(where, Compare | And | Or | Not):
        tree = where
    elif isinstance(where, str):
        tree = _Text(where).parse()
    elif isinstance(where, Mapping):
        tree = _from_mapping(where, 0)
    else:
        raise FilterError(f"A filter is a mapping or a text, not {type(where).__name__}.")
    _check(tree, 0, [0])
    return tree


def _from_mapping(where: Mapping[Any, Any], depth: int) -> Filter:
    if depth > _MAX_DEPTH:
        raise FilterError(f"The filter is nested more than {_MAX_DEPTH} deep; flatten it.")
    if not where:
        raise FilterError("The filter is empty. Leave it out to search everything.")
    parts: list[Filter] = []
    for key, value in where.items():
        if not isinstance(key, str) or not key:
            raise FilterError(f"A field name is a text that is not empty, not {key!r}.")
        if key in ("and", "or"):
            if not isinstance(value, Sequence) or isinstance(value, str) or not value:
                raise FilterError(f"{key!r} takes a list of filters, not {value!r}.")
            inner = tuple(_from_mapping(_mapping(one, key), depth + 1) for one in value)
            parts.append(And(inner) if key == "and" else Or(inner))
        elif key == "not":
            parts.append(Not(_from_mapping(_mapping(value, key), depth + 1)))
        elif isinstance(value, Mapping):
            if not value:
                raise FilterError(f"Field {key!r} has no operator. Known: {', '.join(OPERATORS)}.")
            parts.extend(Compare(key, op, _value(key, op, asked)) for op, asked in value.items())
        else:
            parts.append(Compare(key, "==", _value(key, "==", value)))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _mapping(value: object, key: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise FilterError(f"{key!r} takes filters (mappings), not {value!r}.")
    return value


def _value(name: str, op: object, asked: object) -> Any:
    if op not in OPERATORS:
        raise FilterError(f"Field {name!r}: unknown operator {op!r}. Known: {', '.join(OPERATORS)}.")
    if op == "exists":
        if not isinstance(asked, bool):
            raise FilterError(f"Field {name!r}: exists takes true or false, not {asked!r}.")
        return asked
    if op in ("in", "not in", "any", "all"):
        if isinstance(asked, str) or not isinstance(asked, Sequence | frozenset | set):
            raise FilterError(f"Field {name!r}: {op!r} takes a list of values, not {asked!r}.")
        ordered = sorted(asked, key=repr) if isinstance(asked, frozenset | set) else asked
        return tuple(_element(name, op, one) for one in ordered)
    if op in ("==", "!=") and isinstance(asked, list | tuple):
        return tuple(_scalar(name, one) for one in asked)
    value = _scalar(name, asked)
    if op in _ORDER and isinstance(value, bool):
        raise FilterError(f"Field {name!r}: {op!r} orders numbers or texts, not {asked!r}.")
    return value


def _element(name: str, op: object, asked: object) -> Any:
    if op in ("in", "not in") and isinstance(asked, list | tuple):
        return tuple(_scalar(name, one) for one in asked)
    return _scalar(name, asked)


def _scalar(name: str, asked: object) -> str | int | float | bool:
    if isinstance(asked, dt.date):  # datetime is a date too
        return asked.isoformat()
    if isinstance(asked, float) and not math.isfinite(asked):
        raise FilterError(f"Field {name!r}: {asked!r} equals nothing and orders nothing; use a finite number.")
    if isinstance(asked, str | int | float | bool):
        return asked
    hint = " To ask whether a field is there, use exists." if asked is None else ""
    raise FilterError(f"Field {name!r}: {asked!r} is not a text, number, truth value or date.{hint}")


def _check(tree: object, depth: int, parts: list[int]) -> None:
    parts[0] += 1
    if depth > _MAX_DEPTH or parts[0] > _MAX_PARTS:
        raise FilterError(f"The filter is too large: at most {_MAX_DEPTH} deep and {_MAX_PARTS} parts.")
    match tree:
        case And(parts=inner) | Or(parts=inner):
            for part in inner:
                _check(part, depth + 1, parts)
        case Not(part=part):
            _check(part, depth + 1, parts)
        case Compare(field=name, op=op, value=value):
            _value(name, op, value)
        case _:
            raise FilterError(f"{tree!r} is not a filter.")


_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
      |(?P<name>`[^`]+`|[^\W\d][\w.-]*)
      |(?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,))""",
    re.VERBOSE,
)


class _Text:
    """Recursive descent over `field op value`, `and`, `or`, `not` and parentheses; `and` binds tighter than `or`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise self._error(at, "cannot be read")
            start = found.start(found.lastgroup)
            self.tokens.append((found.lastgroup, found.group(found.lastgroup), start))
            at = found.end()
        self.at = 0
        self.depth = 0

    def _error(self, at: int, what: str) -> FilterError:
        near = self.text[at : at + 20] or "the end"
        return FilterError(
            f"Filter, character {at + 1} ({near!r}): {what}. Example: language == 'en' and year >= 2020."
        )

    def _here(self) -> int:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at][:2] if self.at < len(self.tokens) else ("end", "")

    def _take(self, kind: str, value: str | None = None) -> str | None:
        found_kind, found = self._peek()
        if found_kind == kind and (value is None or found == value):
            self.at += 1
            return found
        return None

    def parse(self) -> Filter:
        tree = self._either()
        if self.at < len(self.tokens):
            raise self._error(self._here(), "does not belong here (use and, or, not)")
        return tree

    def _either(self) -> Filter:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FilterError(f"The filter is nested more than {_MAX_DEPTH} deep; flatten it.")
        parts = [self._both()]
        while self._take("name", "or"):
            parts.append(self._both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Filter:
        parts = [self._one()]
        while self._take("name", "and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Filter:
        negations = 0
        while self._take("name", "not"):
            negations += 1
        tree = self._group() if self._take("sign", "(") else self._comparison()
        return Not(tree) if negations % 2 else tree

    def _group(self) -> Filter:
        tree = self._either()
        if not self._take("sign", ")"):
            raise self._error(self._here(), "a closing ) is missing")
        return tree

    def _comparison(self) -> Filter:
        here = self._here()
        name = self._take("name")
        if name is None:
            raise self._error(here, "a field name is expected")
        name = name.strip("`")
        op = self._operator()
        if op == "exists":
            word = self._take("name", "true") or self._take("name", "false")
            return Compare(name, op, word != "false")
        return Compare(name, op, _value(name, op, self._literal()))

    def _operator(self) -> str:
        here = self._here()
        if self._take("name", "not"):
            if self._take("name", "in"):
                return "not in"
            raise self._error(here, "after a field, 'not' must be followed by 'in'")
        kind, found = self._peek()
        if kind in ("sign", "name") and found in OPERATORS:
            self.at += 1
            return found
        raise self._error(here, f"an operator is expected ({', '.join(OPERATORS)})")

    def _literal(self) -> object:
        here = self._here()
        if self._take("sign", "["):
            values: list[object] = []
            while not self._take("sign", "]"):
                if values and not self._take("sign", ","):
                    raise self._error(self._here(), "a comma or ] is expected")
                values.append(self._literal())
            return values
        if (text := self._take("text")) is not None:
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if (number := self._take("number")) is not None:
            return int(number) if re.fullmatch(r"-?\d+", number) else float(number)
        if self._take("name", "true"):
            return True
        if self._take("name", "false"):
            return False
        raise self._error(here, "a value is expected: 'text', a number, true, false or a [list]")
