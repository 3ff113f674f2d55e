"""What an Excel workbook says of all its cells at once: strings they share, formats, and looks that hide them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.reading.colours import PAPER, near, rgb
from citewell.reading.docx_xml import number
from citewell.reading.limits import over
from citewell.reading.number_format import BUILT_IN, shows_nothing
from citewell.reading.package import Package
from citewell.reading.sheets import MAX_CHARACTERS
from citewell.reading.tidy import tidy

S: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_THEME: Final = {"0": PAPER, "1": "000000"}  # what nearly all themes have as paper and ink
_INDEXED: Final = {
    "0": "000000", "1": PAPER, "2": "FF0000", "3": "00FF00", "4": "0000FF", "5": "FFFF00", "6": "FF00FF", "7": "00FFFF",
    "8": "000000", "9": PAPER, "10": "FF0000", "11": "00FF00", "12": "0000FF", "13": "FFFF00", "14": "FF00FF",
    "15": "00FFFF", "64": "000000", "65": PAPER,
}  # fmt: skip
_MAX_STYLES: Final = 100_000  # Excel allows 65,490


@dataclass(slots=True)
class Styles:
    """By the number of a cell's style: its number format, and whether nobody can see what is in it.

    `faint` styles write in the colour of their ground; whether that hides depends on what else colours the sheet.
    """

    codes: list[str] = field(default_factory=lambda: ["General"])
    blank: set[int] = field(default_factory=set)
    faint: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, package: Package, part: str) -> Styles:
        """The styles in a part; those of an empty workbook where there is no such part."""
        root = package.xml(part)
        if root is None:
            return cls()
        written = {
            number(one.get("numFmtId")): one.get("formatCode") or "General" for one in root.iterfind(f".//{S}numFmt")
        }
        fonts = [(_colour(one.find(f"{S}color")), _is_tiny(one)) for one in root.iterfind(f"{S}fonts/{S}font")]
        fills = [_ground(one.find(f"{S}patternFill")) for one in root.iterfind(f"{S}fills/{S}fill")]
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
            if not 0 <= font < len(fonts):
                continue
            colour, tiny = fonts[font]
            if tiny:
                styles.blank.add(place)
            elif near(colour, fills[fill] if 0 <= fill < len(fills) else PAPER):
                styles.faint.add(place)
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
            raise over("The workbook", size, "characters in its strings", MAX_CHARACTERS, seen=True)
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


def _colour(element: Any) -> str | None:
    """A colour as RRGGBB; None where it depends on a theme or a tint that we do not follow, or on nothing."""
    if element is None or element.get("tint"):
        return None
    if found := rgb(element.get("rgb")):
        return found
    return _THEME.get(element.get("theme") or "") or _INDEXED.get(element.get("indexed") or "")


def _is_tiny(font: Any) -> bool:
    size = font.find(f"{S}sz")
    try:
        return size is not None and float(size.get("val") or 11) <= 1  # point: nobody reads it
    except ValueError:
        return False


def _ground(pattern: Any) -> str | None:
    """What the text of a cell with this fill stands on; None for gradients, patterns and colours we do not follow."""
    if pattern is None:
        return None
    if pattern.get("patternType") in {None, "none"}:
        return PAPER
    return _colour(pattern.find(f"{S}fgColor")) if pattern.get("patternType") == "solid" else None
