"""What Word's styles say of paragraphs and runs: their names, their outline levels, and whether they are hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from citewell.reading.docx_xml import W, child_number, child_value, is_on
from citewell.reading.package import Package


@dataclass(frozen=True, slots=True)
class Style:
    """One style. `numbering` are its list's id and depth, `outline` counts from 0."""

    name: str = ""
    based_on: str | None = None
    outline: int | None = None
    numbering: tuple[str | None, int | None] = (None, None)
    hidden: bool = False


class Styles:
    """The styles of one document by their ids."""

    def __init__(self, package: Package, main: str) -> None:
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
                )

    def lineage(self, style_id: str | None) -> Iterator[Style]:
        """The style and those it is based on, nearest first; 12 at most, since they may go in circles."""
        for _ in range(12):
            style = self._styles.get(style_id or "")
            if style is None:
                return
            yield style
            style_id = style.based_on

    def hides(self, properties: Any) -> bool:
        """Whether a run with these properties (`w:rPr` or None) cannot be seen on paper."""
        if properties is None:
            return False
        if is_on(properties, "vanish") or is_on(properties, "webHidden"):
            return True
        size = child_number(properties, "sz")
        if size is not None and size <= 2:  # half points: nobody reads 1 pt
            return True
        if (child_value(properties, "color") or "").upper() in {"FFFFFF", "FEFEFE"}:
            # White text on a shaded cell, paragraph or run is a fashion, not a secret.
            return not (_is_shaded(properties) or _is_on_shade(properties)) and (
                child_value(properties, "highlight") is None
            )
        style = self._styles.get(child_value(properties, "rStyle") or "")
        return style is not None and style.hidden


def _is_shaded(properties: Any) -> bool:
    fill = properties.find(f"{W}shd") if properties is not None else None
    return fill is not None and (fill.get(f"{W}fill") or "auto").upper() not in {"AUTO", "FFFFFF"}


def _is_on_shade(run_properties: Any) -> bool:
    for kind in ("p", "tc"):
        holder = next(run_properties.iterancestors(f"{W}{kind}"), None)
        if holder is not None and _is_shaded(holder.find(f"{W}{kind}Pr")):
            return True
    # A table style may shade its header row by rules we do not evaluate; then white is what the author meant to show.
    table = next(run_properties.iterancestors(f"{W}tbl"), None)
    return table is not None and child_value(table.find(f"{W}tblPr"), "tblStyle") is not None
