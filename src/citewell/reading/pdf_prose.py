"""Running text that a layout parser took for rows of a table is given back: tables above and below it stand apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any, Final

from citewell.reading.pdf_columns import parts_of
from citewell.reading.pdf_grid import Word, rows_of
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece, box_of, join_lines, lines_of, union
from citewell.types import BlockKind

_LONG: Final = 60  # characters: a line of running text has more
_FEWEST: Final = 2  # such lines, all the way across, make a row of text
_APART: Final = 0.7  # of a line's height: lines further apart are of two paragraphs


def without_prose(piece: PagePiece, items: Sequence[Any], words: Sequence[Word]) -> list[PagePiece]:
    """`piece` with its rows of running text as paragraphs, and what is between them as tables of their own.

    `items` and `words` are what is printed in its box. A piece that is no table, or all text, stays as it is.
    """
    if piece.kind is not BlockKind.TABLE or piece.hidden or piece.box is None:
        return [piece]
    x0, _, x1, _ = piece.box
    through = [
        line[0].middle
        for line in rows_of(words)
        if len(parts := parts_of(line)) == 1
        and len(parts[0].text) > _LONG
        and parts[0].x0 < x0 + 0.15 * (x1 - x0)
        and parts[0].x1 > x0 + 0.6 * (x1 - x0)
    ]
    if len(through) < _FEWEST:
        return [piece]
    boxes = {
        row: union(cell.region.box for cell in piece.cells if cell.row == row and cell.region)
        for row in sorted({cell.row for cell in piece.cells})
    }
    prose = {
        row for row, box in boxes.items() if box and sum(box[1] <= middle <= box[3] for middle in through) >= _FEWEST
    }
    if not prose or len(prose) == len(boxes) or None in boxes.values():
        return [piece]
    made: list[PagePiece] = []
    for is_prose, group in groupby(boxes, key=lambda row: row in prose):
        rows = list(group)
        box = union(boxes[row] for row in rows)
        assert box is not None
        if is_prose:
            made += _paragraphs([one for one in items if box[1] <= one.y + one.height / 2 <= box[3]], piece.page)
        else:
            cells = [replace(cell, row=cell.row - rows[0]) for cell in piece.cells if cell.row in rows]
            made.append(PagePiece(BlockKind.TABLE, "", piece.page, box, cells=tuple(cells)))
    return made


def _paragraphs(items: Sequence[Any], page: int) -> list[PagePiece]:
    """Items as paragraphs by the gaps between their lines."""
    lines: list[list[Any]] = []
    for item in sorted(items, key=lambda one: one.y + one.height / 2):
        middle = item.y + item.height / 2
        if lines and abs(middle - (lines[-1][0].y + lines[-1][0].height / 2)) < item.height / 2:
            lines[-1].append(item)
        else:
            lines.append([item])
    groups: list[list[list[Any]]] = [[lines[0]]] if lines else []
    for above, below in pairwise(lines):
        gap = min(one.y for one in below) - max(one.y + one.height for one in above)
        if gap > _APART * below[0].height:
            groups.append([])
        groups[-1].append(below)
    made = []
    for group in groups:
        held = [item for line in group for item in line]
        box: Box | None = union(box_of(item) for item in held)
        if text := join_lines(lines_of(held)):
            made.append(PagePiece(BlockKind.PARAGRAPH, text, page, box))
    return made
