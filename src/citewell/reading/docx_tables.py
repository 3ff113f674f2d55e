"""A Word table as cells: rows and columns by the grid it declares, vertical merges resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from citewell.reading.docx_xml import W, child_number, child_value, is_on, name
from citewell.reading.tables import CellText

_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo"})


def read_table(table: Any, text_of: Callable[[Any], str]) -> tuple[list[CellText], int]:
    """The cells of a `w:tbl`, each with `text_of` its `w:tc`, and how many of its rows are tracked deletions."""
    cells: list[CellText] = []
    open_above: dict[int, int] = {}  # column → place in `cells` of the merged cell that reaches down
    header = True
    row_number = deleted = 0
    for row in _within(table, "tr"):
        properties = row.find(f"{W}trPr")
        if properties is not None and properties.find(f"{W}del") is not None:
            deleted += 1
            continue
        header = header and (is_on(properties, "tblHeader") or (row_number == 0 and _first_row_is_header(table)))
        column = child_number(properties, "gridBefore") or 0
        for cell in _within(row, "tc"):
            cell_properties = cell.find(f"{W}tcPr")
            width = max(1, min(child_number(cell_properties, "gridSpan") or 1, 1000))
            merge = cell_properties.find(f"{W}vMerge") if cell_properties is not None else None
            if merge is not None and merge.get(f"{W}val") != "restart" and column in open_above:
                place = open_above[column]
                cells[place] = replace(cells[place], row_span=row_number - cells[place].row + 1)
            else:
                open_above.pop(column, None)
                cells.append(CellText(row_number, column, text_of(cell), header, 1, width))
                if merge is not None:
                    open_above[column] = len(cells) - 1
            column += width
        row_number += 1
    return cells, deleted


def _within(parent: Any, kind: str) -> Iterator[Any]:
    """The rows of a table or the cells of a row, those inside content controls and tracked insertions included."""
    for element in parent:
        if name(element) == kind:
            yield element
        elif name(element) in _WRAPPERS:
            yield from _within(element, kind)


def _first_row_is_header(table: Any) -> bool:
    """Whether the table's style is told to format its first row apart (`w:tblLook`), or all its cells are bold."""
    properties = table.find(f"{W}tblPr")
    look = properties.find(f"{W}tblLook") if properties is not None else None
    if look is not None and child_value(properties, "tblStyle") not in {None, "TableNormal", "TableGrid"}:
        first = (look.get(f"{W}firstRow") or "").lower()
        if first in {"1", "true"} or (not first and _bits(look.get(f"{W}val")) & 0x20):
            return True
    first_rows = [row for row, _ in zip(_within(table, "tr"), range(2), strict=False)]
    if len(first_rows) < 2:
        return False
    top, below = ([is_on(run.find(f"{W}rPr"), "b") for run in _runs(row)] for row in first_rows)
    return bool(top) and all(top) and not (below and all(below))


def _bits(text: str | None) -> int:
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0


def _runs(row: Any) -> Iterator[Any]:
    """The runs of a row that say something."""
    for run in row.iter(f"{W}r"):
        if any((text.text or "").strip() for text in run.iter(f"{W}t")):
            yield run
