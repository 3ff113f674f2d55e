"""The labels of Word's lists as Word would print them: the numbers are not in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from citewell.reading.docx_styles import Style
from citewell.reading.docx_xml import W, child_number, child_value, number
from citewell.reading.package import Package


class Numbering:
    """The lists of one document, and how far each has been counted."""

    def __init__(self, package: Package, main: str) -> None:
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for part in package.related(main, "numbering"):
            root = package.xml(part)
            if root is None:
                continue
            for definition in root.iter(f"{W}abstractNum"):
                levels = {}
                for level in definition.iter(f"{W}lvl"):
                    levels[number(level.get(f"{W}ilvl")) or 0] = (
                        child_value(level, "numFmt") or "decimal",
                        child_value(level, "lvlText") or "",
                        child_number(level, "start") or 1,
                    )
                self._levels[definition.get(f"{W}abstractNumId") or ""] = levels
            for instance in root.iter(f"{W}num"):
                self._abstract[instance.get(f"{W}numId") or ""] = child_value(instance, "abstractNumId") or ""

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
        form, pattern, start = levels.get(depth, ("bullet", "", 1))
        counts = self._counts.setdefault(abstract or identity, {})
        counts[depth] = counts.get(depth, start - 1) + 1
        for deeper in [level for level in counts if level > depth]:
            del counts[deeper]
        if form in {"bullet", "none"}:
            return "", depth

        def shown(match: re.Match[str]) -> str:
            level = int(match[1]) - 1
            level_form, _, level_start = levels.get(level, ("decimal", "", 1))
            return _count(counts.get(level, level_start), level_form)

        return re.sub(r"%([1-9])", shown, pattern).strip(), depth


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
