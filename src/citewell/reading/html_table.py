"""An HTML table as a grid: spans resolved, empty layout rows and columns gone."""

from __future__ import annotations

import re
from typing import Any, Final

from citewell.reading.html_looks import Look, Looks
from citewell.reading.html_tags import BLOCKS, SKIPPED
from citewell.reading.tables import CellText, Places, Table, grid

_MAX_SPAN: Final = 1000  # as browsers do
_DIGITS: Final = re.compile(r"\s*(\d{1,6})")
_PARTS: Final = frozenset({"thead", "tr", "td", "th", "caption"})
_BREAKS: Final = BLOCKS | {"br"}


def read_table(element: Any, max_cells: int, looks: Looks, look: Look) -> tuple[Table, str, str, list[str]]:
    """The grid of a table, its caption, the text in it that is not shown, and images' texts.

    A table inside a cell is text of that cell. `look` is how the table itself looks.

    Raises ReadError limit_exceeded when the grid, spans included, has more than `max_cells` places.
    """
    from lxml import etree

    found: list[list[tuple[list[str], bool, int, int]]] = []
    heads: set[int] = set()
    caption: list[str] = []
    unseen: list[str] = []
    figures: list[str] = []
    target: list[str] | None = None
    in_head = 0
    above = [look]  # the looks of the elements that are open
    walk = etree.iterwalk(element, events=("start", "end"))
    depth = 0
    for event, inner in walk:
        tag = inner.tag
        if tag == "table":
            depth += 1 if event == "start" else -1
        elif depth > 1 and tag in _PARTS:
            tag = "div"
        if event == "start":
            if tag in SKIPPED:
                walk.skip_subtree()
                continue
            if inner is not element:
                above.append(looks.of(inner, inner.tag, above[-1]))
            match tag:
                case "thead":
                    in_head += 1
                case "tr":
                    found.append([])
                    if in_head:
                        heads.add(len(found) - 1)
                case "td" | "th":
                    if not found:
                        found.append([])
                    target = []
                    spans = _span(inner, "rowspan"), _span(inner, "colspan")
                    found[-1].append((target, tag == "th", *spans))
                case "caption":
                    target = caption
                case "img":
                    if (alt := " ".join((inner.get("alt") or "").split())) and not above[-1].hidden:
                        figures.append(alt)
                case _:
                    pass
            if tag in _BREAKS and target is not None:
                target.append(" ")
            text = inner.text
        else:
            text = inner.tail
            if tag not in SKIPPED:
                if inner is not element:
                    above.pop()
                if tag == "thead":
                    in_head -= 1
                elif tag in ("td", "th", "caption"):
                    target = None
                elif tag in _BREAKS and target is not None:
                    target.append(" ")
            if inner is element:
                break
        if text and not text.isspace():
            if above[-1].hidden:
                unseen.append(text)
            elif target is not None:
                target.append(text)
            else:
                caption.append(f" {text}")  # misplaced text stays with the table
        elif text and target is not None:
            target.append(" ")
    table = _grid(found, heads, max_cells)
    return table, " ".join("".join(caption).split()), " ".join(" ".join(unseen).split()), figures


def _span(element: Any, name: str) -> int:
    digits = _DIGITS.match(element.get(name) or "")
    return min(max(int(digits[1]), 1), _MAX_SPAN) if digits else 1


def _grid(found: list[list[tuple[list[str], bool, int, int]]], heads: set[int], max_cells: int) -> Table:
    places = Places(len(found), max_cells)
    cells: list[CellText] = []
    for row, listed in enumerate(found):
        for parts, header, asked, across in listed:
            column, down = places.take(row, asked, across)
            cells.append(CellText(row, column, "".join(parts), header or row in heads, down, across))
    return grid(cells, max_cells)
