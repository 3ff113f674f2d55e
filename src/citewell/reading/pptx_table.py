"""A table on a slide: rows and columns as drawn, merged cells resolved, with the box of each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from citewell.reading.docx_xml import number
from citewell.reading.drawing_text import lines_of
from citewell.reading.office_parts import A, Relation
from citewell.reading.pieces import Piece
from citewell.reading.pptx_shapes import POINT, Box
from citewell.reading.tables import CellText, grid
from citewell.types import BlockKind, Region

_ON: Final = frozenset({"1", "true"})
_MAX_SPAN: Final = 1000


def read_table(
    table: Any,
    page: int,
    box: Box | None,
    related: Mapping[str, Relation],
    hides: Callable[[Any], Callable[[Any, Any], bool]],
    max_cells: int,
) -> Iterator[Piece]:
    """The table as one piece, or as nothing where it is empty, and what is not seen in it as another one.

    `hides` gives for a cell what `lines_of` asks. Raises ReadError limit_exceeded.
    """
    properties = table.find(f"{A}tblPr")
    first_is_header = properties is not None and properties.get("firstRow") in _ON
    widths = [number(one.get("w")) or 0 for one in table.iterfind(f"{A}tblGrid/{A}gridCol")]
    rows = list(table.iterfind(f"{A}tr"))
    heights = [number(one.get("h")) or 0 for one in rows]
    across = _edges(box[0], box[2], widths) if box is not None else []
    down = _edges(box[1], box[3], heights) if box is not None else []
    cells: list[CellText] = []
    unseen: list[str] = []
    for r, row in enumerate(rows):
        for c, cell in enumerate(row.iterfind(f"{A}tc")):
            if cell.get("hMerge") in _ON or cell.get("vMerge") in _ON:
                continue
            lines = lines_of(cell.find(f"{A}txBody"), related, hides(cell))
            unseen += [line.unseen for line in lines if line.unseen]
            lines = [line for line in lines if line.text]
            wide = max(1, min(number(cell.get("gridSpan")) or 1, _MAX_SPAN))
            high = max(1, min(number(cell.get("rowSpan")) or 1, len(rows) - r))
            region = None
            if c + wide < len(across) and r + high < len(down):
                region = Region(page, (across[c], down[r], across[c + wide], down[r + high]))
            text, links = "", []
            for line in lines:
                text += "\n" if text else ""
                links += [(start + len(text), end + len(text), target) for start, end, target in line.links]
                text += line.text
            cells.append(CellText(r, c, text, r == 0 and first_is_header, high, wide, region, links=links))
    made = grid(cells, max_cells)
    if made.rows:
        yield Piece(BlockKind.TABLE, table=made)
    if unseen:
        yield Piece(BlockKind.PARAGRAPH, "\n".join(unseen), hidden=True)


def _edges(start: float, end: float, sizes: list[int]) -> list[float]:
    """Where columns or rows begin and end, in points; scaled where the frame was drawn smaller than its parts."""
    total = sum(sizes) / POINT
    scale = (end - start) / total if total else 0.0
    return [round(start + edge / POINT * scale, 2) for edge in accumulate(sizes, initial=0)] if total else []
