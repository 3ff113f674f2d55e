"""What Word's styles say of paragraphs and runs: their names, their outline levels, and whether they are hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from citewell.reading.colours import PAPER, near, rgb
from citewell.reading.docx_xml import W, child_number, child_value, is_on, name
from citewell.reading.package import Package

_HEADING: Final = re.compile(r"heading\s*([1-9])")
_W14: Final = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_VML: Final = "{urn:schemas-microsoft-com:vml}"
_CLEAR: Final = 95_000  # thousandths of a per cent of transparency
_HIGHLIGHTS: Final = {"white": "FFFFFF", "black": "000000", "yellow": "FFFF00", "red": "FF0000", "blue": "0000FF"}


@dataclass(frozen=True, slots=True)
class Style:
    """One style. `numbering` are its list's id and depth, `outline` counts from 0, `size` is in half points."""

    name: str = ""
    based_on: str | None = None
    outline: int | None = None
    numbering: tuple[str | None, int | None] = (None, None)
    hidden: bool = False
    colour: str | None = None
    size: int | None = None


class Styles:
    """The styles of one document by their ids, and `page`, the colour that its pages have (RRGGBB)."""

    def __init__(self, package: Package, main: str) -> None:
        self.page = PAPER
        self._styles: dict[str, Style] = {}
        for part in package.related(main, "styles"):
            root = package.xml(part)
            for style in root.iter(f"{W}style") if root is not None else ():
                paragraph, run = style.find(f"{W}pPr"), style.find(f"{W}rPr")
                numbering = paragraph.find(f"{W}numPr") if paragraph is not None else None
                self._styles[style.get(f"{W}styleId") or ""] = Style(
                    name=child_value(style, "name") or "",
                    based_on=child_value(style, "basedOn"),
                    outline=child_number(paragraph, "outlineLvl"),
                    numbering=(child_value(numbering, "numId"), child_number(numbering, "ilvl")),
                    hidden=is_on(run, "vanish"),
                    colour=child_value(run, "color"),
                    size=child_number(run, "sz"),
                )
        # Hardly any document has such styles; all others need not ask for the paragraph of every run.
        self._doubtful = any(style.colour not in (None, "auto") or _is_tiny(style.size) for style in self._all())

    def lineage(self, style_id: str | None) -> Iterator[Style]:
        """The style and those it is based on, nearest first; 12 at most, since they may go in circles."""
        for _ in range(12):
            style = self._styles.get(style_id or "")
            if style is None:
                return
            yield style
            style_id = style.based_on

    def _all(self) -> Iterator[Style]:
        yield from self._styles.values()

    def hides(self, run: Any) -> bool:
        """Whether a run (`w:r`) cannot be seen on paper: by its own properties, its styles, and what it stands on."""
        properties = run.find(f"{W}rPr")
        if properties is not None:
            if is_on(properties, "vanish") or is_on(properties, "webHidden") or _is_transparent(properties):
                return True
        elif not self._doubtful:
            return False
        colour, size = child_value(properties, "color"), child_number(properties, "sz")
        styles = list(self.lineage(child_value(properties, "rStyle")))
        if any(style.hidden for style in styles):
            return True
        if self._doubtful and (colour is None or size is None):
            paragraph = next(run.iterancestors(f"{W}p"), None)
            above = child_value(paragraph.find(f"{W}pPr") if paragraph is not None else None, "pStyle")
            styles += self.lineage(above)
            colour = colour or next((style.colour for style in styles if style.colour), None)
            size = size if size is not None else next((style.size for style in styles if style.size is not None), None)
        return _is_tiny(size) or (colour is not None and self._vanishes(colour, run, properties))

    def _vanishes(self, colour: str, run: Any, properties: Any) -> bool:
        """Whether a colour cannot be told from what the run stands on."""
        highlight = child_value(properties, "highlight")
        if highlight not in (None, "none"):
            return near(colour, _HIGHLIGHTS.get(highlight or "", ""))
        if (ground := _fill(properties) or _ground(run)) is not None:
            return near(colour, ground)
        box = next(run.iterancestors(f"{W}txbxContent"), None)
        if box is not None:
            return near(colour, _shape_fill(box, self.page))
        # A table style may shade its header row by rules we do not evaluate; then white is meant to be seen.
        table = next(run.iterancestors(f"{W}tbl"), None)
        styled = table is not None and child_value(table.find(f"{W}tblPr"), "tblStyle") is not None
        return not styled and near(colour, self.page)


def outline(own: int | None, styles: Sequence[Style]) -> tuple[int | None, bool]:
    """The level of the heading that a paragraph is, from 1, or None; and whether it is the document's title.

    `own` is the outline level of the paragraph itself, `styles` its style and those that is based on. The nearest that
    says anything decides: a style based on a heading may be body text, as that of the heading of a table of contents
    is. Only the level of Word's own headings is fixed.
    """
    for style in styles:
        kind = style.name.lower()
        if found := _HEADING.fullmatch(kind):
            return int(found[1]), False
        if kind == "title":
            return 1, True
        told = style.outline if own is None else own
        if told is not None:
            return _level(told), False
        if kind == "subtitle":
            return None, False
    return _level(own) if own is not None else None, False


def _level(outline: int) -> int | None:
    return outline + 1 if 0 <= outline < 9 else None


def page_colour(document: Any) -> str:
    """The colour of the pages (RRGGBB) that `w:document` asks for."""
    background = document.find(f"{W}background")
    colour = background.get(f"{W}color") if background is not None else None
    return rgb(colour) or PAPER


def _is_tiny(size: int | None) -> bool:
    return size is not None and size <= 2  # half points: nobody reads 1 pt


def _is_transparent(properties: Any) -> bool:
    fill = properties.find(f"{_W14}textFill")
    if fill is None:
        return False
    if fill.find(f"{_W14}noFill") is not None:
        return properties.find(f"{_W14}textOutline") is None
    alphas = (alpha.get(f"{_W14}val") or "" for alpha in fill.iter(f"{_W14}alpha"))
    return any(alpha.isdecimal() and int(alpha) >= _CLEAR for alpha in alphas)


def _fill(properties: Any) -> str | None:
    """The shade of a run, paragraph or cell with these properties."""
    shade = properties.find(f"{W}shd") if properties is not None else None
    return rgb(shade.get(f"{W}fill")) if shade is not None else None


def _ground(run: Any) -> str | None:
    """The shade that the paragraph or the cell of a run has."""
    for kind in ("p", "tc"):
        holder = next(run.iterancestors(f"{W}{kind}"), None)
        if holder is not None and (fill := _fill(holder.find(f"{W}{kind}Pr"))) is not None:
            return fill
    return None


def _shape_fill(box: Any, page: str) -> str:
    """The colour of the shape that a text box stands in: that of the page where it has none, "" where unknown."""
    for shape in box.iterancestors():
        kind = name(shape)
        if kind == "wsp":
            properties = next((one for one in shape if name(one) == "spPr"), ())
            kinds = {name(one): one for one in properties}
            if "solidFill" in kinds:
                named = next((one for one in kinds["solidFill"] if name(one) == "srgbClr"), None)
                return (named.get("val") or "") if named is not None else ""
            return page if "noFill" in kinds else ""
        if shape.tag.startswith(_VML) and kind in {"shape", "rect", "roundrect", "oval"}:
            if shape.get("filled") in {"f", "false", "0"}:
                return page
            return (shape.get("fillcolor") or PAPER).split(" ", maxsplit=1)[0].lstrip("#")
    return ""
