"""What an Excel workbook says of all its cells at once: strings they share, formats, and looks that hide them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.docx_xml import number
from citewell.reading.number_format import BUILT_IN, shows_nothing
from citewell.reading.package import Package
from citewell.reading.sheets import MAX_CHARACTERS
from citewell.reading.tidy import tidy

S: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_MAX_STYLES: Final = 100_000  # Excel allows 65,490


@dataclass(slots=True)
class Styles:
    """By the number of a cell's style: its number format, and whether nobody can see what is in it.

    `white` styles write in white on nothing; whether that hides depends on what else colours the sheet.
    """

    codes: list[str] = field(default_factory=lambda: ["General"])
    blank: set[int] = field(default_factory=set)
    white: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, package: Package, part: str) -> Styles:
        """The styles in a part; those of an empty workbook where there is no such part."""
        root = package.xml(part)
        if root is None:
            return cls()
        written = {
            number(one.get("numFmtId")): one.get("formatCode") or "General" for one in root.iterfind(f".//{S}numFmt")
        }
        fonts = [_is_white(one.find(f"{S}color")) for one in root.iterfind(f"{S}fonts/{S}font")]
        fills = [_is_bare(one.find(f"{S}patternFill")) for one in root.iterfind(f"{S}fills/{S}fill")]
        styles = cls([])
        for place, one in enumerate(root.iterfind(f"{S}cellXfs/{S}xf")):
            if place >= _MAX_STYLES:
                break
            identity = number(one.get("numFmtId")) or 0
            # What Excel has built in, files may write down in the words of the machine that saved them.
            code = BUILT_IN[identity] if identity in {14, 22} else written.get(identity) or BUILT_IN.get(identity)
            styles.codes.append(code or "General")
            if code and shows_nothing(code):
                styles.blank.add(place)
            font, fill = number(one.get("fontId")) or 0, number(one.get("fillId")) or 0
            if 0 <= font < len(fonts) and fonts[font] and (not 0 <= fill < len(fills) or fills[fill]):
                styles.white.add(place)
        styles.codes = styles.codes or ["General"]
        return styles


def shared_strings(package: Package, part: str) -> list[str]:
    """The strings that cells refer to by number. Raises ReadError limit_exceeded for more than a file may hold."""
    strings: list[str] = []
    size = 0
    for item in package.elements(part, f"{S}si"):
        text = rich_text(item)
        size += len(text)
        if size > MAX_CHARACTERS:
            raise ReadError("limit_exceeded", f"Its strings have more than {MAX_CHARACTERS:,} characters. Split it.")
        strings.append(text)
    return strings


def rich_text(item: Any) -> str:
    """The text of a shared or inline string, with its runs joined and without the readings of Japanese words."""
    if len(item) == 1 and item[0].tag == f"{S}t":
        text = item[0].text or ""
    else:
        parts = [one if one.tag == f"{S}t" else one.find(f"{S}t") for one in item if one.tag in {f"{S}t", f"{S}r"}]
        text = "".join(one.text or "" for one in parts if one is not None)
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return tidy(text, lines=True)


def _is_white(color: Any) -> bool:
    if color is None or color.get("tint"):
        return False
    return (color.get("rgb") or "").upper()[-6:] == "FFFFFF" or color.get("theme") == "0" or color.get("indexed") == "9"


def _is_bare(pattern: Any) -> bool:
    if pattern is None:
        return False  # a gradient
    if pattern.get("patternType") in {None, "none"}:
        return True
    return pattern.get("patternType") == "solid" and _is_white(pattern.find(f"{S}fgColor"))
