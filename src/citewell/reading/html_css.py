"""Style sheets inside a page: rules that can hide text, and the elements that their selectors name.

A small part of CSS, read as a browser on a screen of 1280 by 800 would: type, class, id, attribute and the plain
pseudo-class selectors, all combinators, media queries on width, custom properties of the root. What depends on what a
person does (`:hover`, `:checked`, `:target`) never applies. Sheets outside the page are not fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from citewell.errors import ReadError

Declarations: TypeAlias = Mapping[str, tuple[str, bool]]
"""Property → (value in small letters, whether it is important)."""

PROPERTIES: Final = frozenset({
    "display", "visibility", "opacity", "font-size", "font", "color", "background", "background-color",
    "background-image", "background-clip", "-webkit-background-clip", "-webkit-text-fill-color", "text-indent",
    "position", "left", "right", "top", "bottom", "margin-left", "margin-top", "clip", "clip-path", "width", "height",
    "max-width", "max-height", "overflow", "overflow-x", "overflow-y", "transform", "content-visibility", "filter",
})  # fmt: skip
_WIDTH_PX: Final = 1280
_MAX_RULES: Final = 50_000
_MAX_BYTES: Final = 8 << 20
_MAX_WORK: Final = 2_000_000
_MAX_COMPOUNDS: Final = 20
_MAX_VALUE: Final = 1000
_MAX_PARENTS: Final = 1000
_MAX_DEPTH: Final = 10

_STRING: Final = r""""(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z)|'(?:[^'\\]|\\(?:.|\Z))*+(?:'|\Z)"""
_COMMENT: Final = re.compile(rf"({_STRING})|/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_BRACES: Final = re.compile(rf"{_STRING}|[{{}};]", re.DOTALL)
_DIVIDERS: Final = re.compile(rf"{_STRING}|[();]", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_VARIABLE: Final = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,([^()]*))?\)")
_CUSTOM: Final = re.compile(r"(?<![\w-])(--[\w-]++)\s*+:([^;}]*+)")
_NAME: Final = r"(?:[\w-]|[^\x00-\x7f]|\\.)++"
_PART: Final = re.compile(
    rf"(?P<tag>{_NAME}|\*)|\#(?P<id>{_NAME})|\.(?P<class>{_NAME})|::(?P<element>[\w-]+)"
    rf"|\[\s*(?P<name>[\w:-]+)\s*(?:(?P<how>[~|^$*]?=)\s*(?P<value>{_STRING}|[^\]\s]+)\s*[iIsS]?\s*)?\]"
    r"|:(?P<pseudo>[\w-]+)(?P<open>\()?"
    r"|(?P<combinator>\s*[>+~]\s*|\s+)",
    re.DOTALL,
)
_NTH: Final = re.compile(r"(?:([+-]?\d*+)n)?\s*+([+-]?\s*+\d++)?")
_NEVER: Final = frozenset({
    "hover", "focus", "focus-within", "focus-visible", "active", "target", "visited", "checked", "disabled", "invalid",
    "valid", "required", "open", "fullscreen", "before", "after", "first-letter", "first-line", "selection",
    "placeholder", "placeholder-shown", "marker", "backdrop", "indeterminate", "autofill", "popover-open", "modal",
})  # fmt: skip


@dataclass(slots=True)
class _Compound:
    """What a selector says of one element. `combinator` is how the element before it stands to it."""

    tag: str = ""
    id: str = ""
    classes: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    pseudos: list[tuple[str, str, list[list[_Compound]]]] = field(default_factory=list)
    combinator: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    compounds: Sequence[_Compound]
    declarations: Declarations
    rank: tuple[int, int, int, int]
    """Specificity, then order."""

    @property
    def simple(self) -> bool:
        last = self.compounds[-1]
        return len(self.compounds) == 1 and not last.attributes and not last.pseudos


class Sheets:
    """The rules of a page's own style sheets."""

    def __init__(self, sheets: Sequence[str], root: Any) -> None:
        """Raises ReadError limit_exceeded for more rules than a page has."""
        self._words = _words(root) if sheets else frozenset()
        self.variables: dict[str, str] = {}
        self._rules: dict[str, list[_Rule]] = {}
        self._known: dict[tuple[str, str, str], tuple[list[_Rule], Declarations | None]] = {}
        self._places: dict[Any, dict[Any, tuple[int, int, int, int]]] = {}
        self._order = self._work = 0
        if sum(map(len, sheets)) > _MAX_BYTES:
            raise _too_much()
        for sheet in sheets:
            self._read(_COMMENT.sub(lambda found: found[1] or " ", sheet), 0)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def _read(self, css: str, depth: int) -> None:
        for prelude, body in _blocks(css):
            if prelude.startswith("@"):
                name, _, query = prelude[1:].partition(" ")
                name = name.split("(")[0].lower()
                if depth < _MAX_DEPTH and (
                    name in ("supports", "layer", "container", "scope")
                    or (name == "media" and applies(query or prelude[6:]))
                ):
                    self._read(body, depth + 1)
                continue
            declared = declarations(body.partition("{")[0] if "{" in body else body)
            if depth == 0 or declared:
                for compounds in _selectors(prelude, 0):
                    self._add(compounds, declared, body)

    def _add(self, compounds: list[_Compound], declared: Declarations, body: str) -> None:
        last = compounds[-1]
        if "--" in body and (last.tag in ("html", "body", "*") or any(name == "root" for name, _, _ in last.pseudos)):
            for found in _CUSTOM.finditer(body):
                self.variables[found[1]] = found[2].strip().lower()[:200]
        if not declared or not all(_may_be(one, self._words) for one in compounds):
            return
        self._order += 1
        if self._order > _MAX_RULES:
            raise _too_much()
        ids = sum(bool(one.id) for one in compounds)
        classes = sum(len(one.classes) + len(one.attributes) + len(one.pseudos) for one in compounds)
        tags = sum(one.tag not in ("", "*") for one in compounds)
        key = f"#{last.id}" if last.id else f".{last.classes[0]}" if last.classes else last.tag or "*"
        self._rules.setdefault(key, []).append(_Rule(compounds, declared, (ids, classes, tags, self._order)))

    def of(self, element: Any, tag: str) -> Declarations:
        """What the rules declare of an element. Raises ReadError limit_exceeded where that takes too long."""
        identity, classes = element.get("id") or "", element.get("class") or ""
        key = (tag, identity, classes)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._candidates(tag, identity, frozenset(classes.split()))
        candidates, merged = known
        if merged is not None:
            return merged
        self._work += len(candidates)
        if self._work > _MAX_WORK:
            raise _too_much()
        return _merged([rule for rule in candidates if rule.simple or self._matches(rule.compounds, element)])

    def _candidates(self, tag: str, identity: str, classes: frozenset[str]) -> tuple[list[_Rule], Declarations | None]:
        keys = ["*", tag, *(f".{name}" for name in classes), *([f"#{identity}"] if identity else [])]
        found = [
            rule
            for key in keys
            for rule in self._rules.get(key, ())
            if _is_named(rule.compounds[-1], tag, identity, classes)
        ]
        self._work += sum(len(self._rules.get(key, ())) for key in keys)
        found.sort(key=lambda rule: rule.rank)
        return found, _merged(found) if all(rule.simple for rule in found) else None

    def _matches(self, compounds: Sequence[_Compound], element: Any) -> bool:
        """Whether a selector names an element: its last compound is looked at first."""
        self._work += 1
        if self._work > _MAX_WORK:
            raise _too_much()
        last, rest = compounds[-1], compounds[:-1]
        if not _is_element(last, element) or ((last.attributes or last.pseudos) and not self._is(last, element)):
            return False
        if not rest:
            return True
        match last.combinator:
            case ">":
                above = element.getparent()
                return above is not None and self._matches(rest, above)
            case "+":
                before = element.getprevious()
                return before is not None and self._matches(rest, before)
            case "~":
                return any(self._matches(rest, before) for before in element.itersiblings(preceding=True))
            case _:
                return any(self._matches(rest, above) for above in element.iterancestors())

    def _is(self, compound: _Compound, element: Any) -> bool:
        return all(_has(element, *attribute) for attribute in compound.attributes) and all(
            self._is_so(element, *pseudo) for pseudo in compound.pseudos
        )

    def _is_so(self, element: Any, name: str, argument: str, inner: list[list[_Compound]]) -> bool:
        match name:
            case "not":
                return not any(self._matches(one, element) for one in inner)
            case "is" | "where" | "matches" | "-webkit-any" | "-moz-any":
                return any(self._matches(one, element) for one in inner)
            case "root":
                return element.getparent() is None
            case "link" | "any-link":
                return element.tag == "a" and element.get("href") is not None
            case "first-child" | "first-of-type":
                return self._nth(element, preceding=True, typed=name[-1] == "e") == 1
            case "last-child" | "last-of-type":
                return self._nth(element, preceding=False, typed=name[-1] == "e") == 1
            case "only-child" | "only-of-type":
                typed = name[-1] == "e"
                return all(self._nth(element, preceding=one, typed=typed) == 1 for one in (True, False))
            case "nth-child" | "nth-of-type" | "nth-last-child" | "nth-last-of-type":
                place = self._nth(element, preceding="last" not in name, typed=name.endswith("type"))
                return _is_nth(place, argument)
            case "empty":
                return not len(element) and not element.text
            case _:
                # What is not known here is taken to hold: text is rather held back than let through.
                return name not in _NEVER and not name.startswith("-")

    def _nth(self, element: Any, *, preceding: bool, typed: bool) -> int:
        """The place of an element among its siblings, or those of its type, from 1."""
        above = element.getparent()
        if above is None:
            return 1
        if above not in self._places:
            if len(self._places) >= _MAX_PARENTS:
                self._places.clear()
            self._places[above] = _places(above)
        return self._places[above][element][2 * (not preceding) + typed]


def _places(above: Any) -> dict[Any, tuple[int, int, int, int]]:
    """The place of each child from the start, there by its type, from the end, and there by its type."""
    children = list(above)
    kinds = Counter(child.tag for child in children)
    before: Counter[Any] = Counter()
    made = {}
    for place, child in enumerate(children, 1):
        before[child.tag] += 1
        made[child] = (
            place,
            before[child.tag],
            len(children) - place + 1,
            kinds[child.tag] - before[child.tag] + 1,
        )
    return made


def declarations(style: str) -> dict[str, tuple[str, bool]]:
    """What a `style` attribute or the body of a rule declares, of the properties that can hide text."""
    if "/*" in style:
        style = _COMMENT.sub(lambda found: found[1] or " ", style)
    made: dict[str, tuple[str, bool]] = {}
    for declaration in _split(style):
        name, colon, value = declaration.partition(":")
        if not colon:
            continue
        name, value = _unescaped(name).strip().lower(), _unescaped(value).strip().lower()
        if name not in PROPERTIES:
            continue
        value, mark, _ = value.partition("!")
        if mark or not (name in made and made[name][1]):
            made.pop(name, None)  # the later one stands later
            made[name] = (value.strip()[:_MAX_VALUE], bool(mark))
    return made


def resolved(value: str, variables: Mapping[str, str]) -> str:
    """`value` with custom properties put in, three deep at most."""
    for _ in range(3):
        if "var(" not in value:
            break
        value = _VARIABLE.sub(lambda found: variables.get(found[1], (found[2] or "").strip()), value)[:_MAX_VALUE]
    return value


def applies(query: str) -> bool:
    """Whether a media query holds on a screen. Features that are not known hold."""
    return not query.strip() or any(_applies(one) for one in query.lower().split(","))


def _applies(query: str) -> bool:
    words = re.findall(r"[\w-]+", query.partition("(")[0])
    holds = not ({"print", "speech", "tty", "aural"} & set(words))
    for name, value, unit in re.findall(r"(min|max)-width\s*:\s*([\d.]{1,9})(px|r?em)?", query):
        width = float(value.rstrip(".") or 0) * (1 if unit == "px" else 16)
        holds = holds and (width <= _WIDTH_PX if name == "min" else width >= _WIDTH_PX)
    if re.search(r"prefers-color-scheme\s*:\s*dark|prefers-reduced-motion\s*:\s*reduce", query):
        holds = False
    return holds != (words[:1] == ["not"])


def _blocks(css: str) -> Iterator[tuple[str, str]]:
    """What stands before a pair of braces and what in it; nested pairs stay in their body."""
    depth = begin = body = 0
    prelude = ""
    for found in _BRACES.finditer(css):
        sign = found[0]
        if sign == "{":
            if depth == 0:
                prelude, body = css[begin : found.start()].strip(), found.end()
            depth += 1
        elif sign == "}":
            if depth == 1:
                yield prelude, css[body : found.start()]
            depth = max(depth - 1, 0)
            if depth == 0:
                begin, prelude = found.end(), ""
        elif sign == ";" and depth == 0:
            begin = found.end()
    if depth:  # the last one may stay open
        yield prelude, css[body:]


def _split(style: str) -> Iterator[str]:
    """The declarations of a style; what stands in strings and brackets does not divide them."""
    if not any(sign in style for sign in "\"'("):
        yield from style.split(";")
        return
    depth = begin = 0
    for found in _DIVIDERS.finditer(style):
        sign = found[0]
        if sign == ";" and depth == 0:
            yield style[begin : found.start()]
            begin = found.end()
        elif sign in "()":
            depth = max(depth + (sign == "(") - (sign == ")"), 0)
    yield style[begin:]


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)) if found[1] else found[2], text)


def _selectors(text: str, depth: int) -> Iterator[list[_Compound]]:
    """The selectors of a list, without those that name no element of the page (`::before`) or cannot be read."""
    for one in _listed(text):
        made = _selector(one.strip(), depth)
        if made:
            yield made[-_MAX_COMPOUNDS:]


def _listed(text: str) -> Iterator[str]:
    if "(" not in text and "[" not in text:
        yield from text.split(",")
        return
    depth = begin = 0
    for found in re.finditer(rf"{_STRING}|[\[\](),]", text, re.DOTALL):
        sign = found[0]
        depth += sign in "([" and len(sign) == 1
        depth -= sign in ")]" and len(sign) == 1
        if sign == "," and depth == 0:
            yield text[begin : found.start()]
            begin = found.end()
    yield text[begin:]


def _selector(text: str, depth: int) -> list[_Compound] | None:
    made = [_Compound()]
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or found["element"]:
            return None
        at = found.end()
        last = made[-1]
        if found["combinator"]:
            made.append(_Compound(combinator=found["combinator"].strip()))
        elif found["tag"]:
            last.tag = _unescaped(found["tag"]).lower()
        elif found["id"]:
            last.id = _unescaped(found["id"])
        elif found["class"]:
            last.classes.append(_unescaped(found["class"]))
        elif found["name"]:
            value = _unescaped((found["value"] or "").strip("\"'"))
            last.attributes.append((found["name"].lower(), found["how"] or "", value))
        else:
            name, argument = found["pseudo"].lower(), ""
            if found["open"]:
                end = _closing(text, at)
                argument, at = text[at:end], end + 1
            inner = []
            if name in ("not", "is", "where", "matches", "-webkit-any", "-moz-any"):
                if depth > 3:
                    return None
                inner = list(_selectors(argument, depth + 1))
            last.pseudos.append((name, argument, inner))
    return made


def _closing(text: str, at: int) -> int:
    depth = 1
    for place in range(at, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place
    return len(text)


def _words(root: Any) -> frozenset[str]:
    """All types, ids and classes of a page, as they stand in selectors."""
    found = set()
    for element in root.iter():
        found.add(element.tag)
        if (identity := element.get("id")) is not None:
            found.add(f"#{identity}")
        if (classes := element.get("class")) is not None:
            found.update([f".{name}" for name in classes.split()])
    return frozenset(found)


def _may_be(compound: _Compound, words: frozenset[str]) -> bool:
    """Whether any element of the page can be what a selector names."""
    return (
        (compound.tag in ("", "*") or compound.tag in words)
        and (not compound.id or f"#{compound.id}" in words)
        and all(f".{name}" in words for name in compound.classes)
    )


def _is_element(compound: _Compound, element: Any) -> bool:
    """Whether an element has the type, the id and the classes of a compound."""
    if compound.tag not in ("", "*", element.tag):
        return False
    if compound.id and compound.id != element.get("id"):
        return False
    if not compound.classes:
        return True
    held = element.get("class")
    if held is None:
        return False
    if len(compound.classes) == 1:
        name = compound.classes[0]
        return bool(held == name or (name in held and name in held.split()))
    classes = held.split()
    return all(name in classes for name in compound.classes)


def _is_named(compound: _Compound, tag: str, identity: str, classes: frozenset[str]) -> bool:
    return (
        compound.tag in ("", "*", tag)
        and (not compound.id or compound.id == identity)
        and all(name in classes for name in compound.classes)
    )


def _has(element: Any, name: str, how: str, value: str) -> bool:
    found = element.get(name)
    if found is None:
        return False
    match how:
        case "":
            return True
        case "=":
            return bool(found == value)
        case "~=":
            return value in found.split()
        case "|=":
            return bool(found == value or found.startswith(f"{value}-"))
        case "^=":
            return bool(value and found.startswith(value))
        case "$=":
            return bool(value and found.endswith(value))
        case _:
            return bool(value and value in found)


def _is_nth(place: int, argument: str) -> bool:
    argument = argument.strip().lower().partition(" of ")[0]
    argument = {"odd": "2n+1", "even": "2n"}.get(argument, argument).replace(" ", "")[:20]
    found = _NTH.fullmatch(argument)
    if found is None or not argument:
        return False
    first = int(found[2] or 0)
    if "n" not in argument:
        return place == first
    step = {"": 1, "+": 1, "-": -1}.get(found[1] or "")
    step = int(found[1]) if step is None else step
    return place == first if step == 0 else (place - first) % step == 0 and (place - first) // step >= 0


def _merged(rules: Sequence[_Rule]) -> Declarations:
    made: dict[str, tuple[str, bool]] = {}
    for rule in rules:
        overlay(made, rule.declarations)
    return made


def overlay(under: dict[str, tuple[str, bool]], over: Declarations) -> None:
    """Put declarations over others; important ones yield only to important ones."""
    for name, declared in over.items():
        if declared[1] or not (name in under and under[name][1]):
            under.pop(name, None)
            under[name] = declared


def _too_much() -> ReadError:
    return ReadError(
        "limit_exceeded",
        "The page's own style sheets are too large to tell which text they hide. Save the page without them.",
    )
