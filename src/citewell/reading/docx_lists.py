"""The labels of Word's lists as Word would print them: the numbers are not in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from citewell.reading.docx_styles import Style
from citewell.reading.docx_xml import W, child_number, child_value, is_on, number
from citewell.reading.package import Package


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a list: its number format, what is printed with %1 for numbers, where it starts.

    `legal` prints the numbers of all levels as digits; `again` is whether it starts again below a new number above.
    """

    form: str = "bullet"
    pattern: str = ""
    start: int = 0
    legal: bool = False
    again: bool = True


class Numbering:
    """The lists of one document, and how far each has been counted."""

    def __init__(self, package: Package, main: str) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._abstract: dict[str, str] = {}
        self._starts: dict[str, dict[int, int]] = {}  # of a list by itself: where its levels start
        self._begun: set[tuple[str, int]] = set()  # lists and levels that an item has had
        self._counts: dict[str, dict[int, int]] = {}
        for part in package.related(main, "numbering"):
            root = package.xml(part)
            if root is None:
                continue
            named: dict[str, dict[int, _Level]] = {}
            linked: dict[str, str] = {}
            for definition in root.iter(f"{W}abstractNum"):
                identity = definition.get(f"{W}abstractNumId") or ""
                self._levels[identity] = _levels(definition)
                if style := child_value(definition, "styleLink"):
                    named[style] = self._levels[identity]
                if style := child_value(definition, "numStyleLink"):
                    linked[identity] = style
            for identity, style in linked.items():
                self._levels[identity] = named.get(style, {})
            for instance in root.iter(f"{W}num"):
                identity = instance.get(f"{W}numId") or ""
                self._abstract[identity] = child_value(instance, "abstractNumId") or ""
                for change in instance.iterfind(f"{W}lvlOverride"):
                    start = child_number(change, "startOverride")
                    if start is not None:
                        depth = number(change.get(f"{W}ilvl")) or 0
                        self._starts.setdefault(identity, {})[depth] = start

    def label(self, properties: Any, styles: Sequence[Style]) -> tuple[str, int] | None:
        """The label of the next item (`1.2.`, `b)`; empty for bullets) and its depth; None outside lists."""
        numbering = properties.find(f"{W}numPr") if properties is not None else None
        identity = child_value(numbering, "numId")
        depth = child_number(numbering, "ilvl")
        for style in styles:
            identity = identity if identity is not None else style.numbering[0]
            depth = depth if depth is not None else style.numbering[1]
        if identity is None or identity == "0":
            named = next((style.name.lower() for style in styles if style.name.lower().startswith("list ")), None)
            if identity is None and named is not None and re.fullmatch(r"list (bullet|number)( \d)?", named):
                digits = re.search(r"\d", named)
                return "", int(digits[0]) - 1 if digits else 0
            return None
        depth = max(0, min(depth or 0, 8))
        abstract = self._abstract.get(identity, "")
        levels = self._levels.get(abstract, {})
        level = levels.get(depth, _Level())
        # Lists of one definition are one list to Word, but for those that say where they start anew.
        counts = self._counts.setdefault(abstract or identity, {})
        starts = self._starts.get(identity, {})
        for at in starts:
            if at <= depth and (identity, at) not in self._begun:
                counts.pop(at, None)
        self._begun.add((identity, depth))
        counts[depth] = counts.get(depth, starts.get(depth, level.start) - 1) + 1
        for deeper in [at for at in counts if at > depth and levels.get(at, _Level()).again]:
            del counts[deeper]
        if level.form in {"bullet", "none"}:
            return "", depth

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            held = levels.get(at, _Level("decimal", start=1))
            return _count(counts.get(at, starts.get(at, held.start)), "decimal" if level.legal else held.form)

        return re.sub(r"%([1-9])", shown, level.pattern).strip(), depth


def _levels(definition: Any) -> dict[int, _Level]:
    return {
        number(level.get(f"{W}ilvl")) or 0: _Level(
            child_value(level, "numFmt") or "decimal",
            child_value(level, "lvlText") or "",
            child_number(level, "start") or 0,
            is_on(level, "isLgl"),
            child_value(level, "lvlRestart") != "0",
        )
        for level in definition.iter(f"{W}lvl")
    }


def _count(value: int, form: str) -> str:
    """`value` in one of Word's number formats; those we do not know are printed as digits."""
    if form in {"lowerLetter", "upperLetter"} and value > 0:
        letter = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letter.upper() if form == "upperLetter" else letter
    if form in {"lowerRoman", "upperRoman"} and 0 < value < 4000:
        text = ""
        for unit, sign in zip(
            (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
            ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
            strict=True,
        ):
            times, value = divmod(value, unit)
            text += sign * times
        return text.upper() if form == "upperRoman" else text
    return f"{value:02d}" if form == "decimalZero" else str(value)
