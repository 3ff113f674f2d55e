"""Tables among recognised lines: those that are ruled, and those whose columns are told by the gaps between them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from citewell.reading.pdf_pages import join_lines
from citewell.reading.scan_lines import Strip, joined, parted, rows_of
from citewell.reading.scan_rules import Grid

_MARKER = re.compile(r"[(\[]?(\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.):\]]|[-–—•·*●○■□▪►>]+")
_NUMBER = re.compile(r"[-+(]?[^\w\s]?\s?\d[\d.,:/ %-]*\)?\W?(?:\s?[A-Za-z%€$£°]{1,3})?")


@dataclass(frozen=True, slots=True)
class ScanCell:
    """A table cell of strips, whose text is its lines from top to bottom."""

    row: int
    column: int
    strips: tuple[Strip, ...]
    row_span: int = 1
    column_span: int = 1
    header: bool = False

    @property
    def text(self) -> str:
        return join_lines(joined(row).text for row in rows_of(self.strips))


def ruled(grid: Grid, strips: Sequence[Strip]) -> list[ScanCell]:
    """The cells of a ruled table that hold text."""
    held: dict[tuple[int, int], list[Strip]] = {}
    owner = {(r + i, c + j): (r, c) for r, c, down, across in grid.cells for i in range(down) for j in range(across)}
    for strip in (part for whole in strips for part in parted(whole, grid.xs[1:-1])):
        row = min(max(bisect_right(grid.ys, strip.middle) - 1, 0), len(grid.ys) - 2)
        column = min(max(bisect_right(grid.xs, strip.centre) - 1, 0), len(grid.xs) - 2)
        held.setdefault(owner[row, column], []).append(strip)
    spans = {(r, c): (down, across) for r, c, down, across in grid.cells}
    cells = [ScanCell(r, c, tuple(own), *spans[r, c]) for (r, c), own in sorted(held.items())]
    return _with_header(cells)


def aligned(rows: Sequence[list[Strip]]) -> list[tuple[int, int, list[ScanCell]]]:
    """Tables in rows of strips, as (first row, row after the last, cells), from top to bottom."""
    phrases = [_phrases(row) for row in rows]
    found: list[tuple[int, int, list[ScanCell]]] = []
    start = 0
    while start < len(rows):
        if len(phrases[start]) < 2:
            start += 1
            continue
        end = _reach(phrases, start)
        cells = _cells(phrases[start:end])
        if cells is None:
            start += 1
            continue
        found.append((start, end, cells))
        start = end
    return found


def _phrases(row: Sequence[Strip]) -> list[Strip]:
    """Strips of a row, those joined that stand no further apart than words do."""
    groups: list[list[Strip]] = []
    for strip in row:
        if groups and strip.x0 - groups[-1][-1].x1 < 0.4 * min(strip.height, groups[-1][-1].height):
            groups[-1].append(strip)
        else:
            groups.append([strip])
    return [joined(group) for group in groups]


def _reach(phrases: list[list[Strip]], start: int) -> int:
    """The row after the last that goes on with the table which begins in row `start`.

    Rows that were recognised as one line are parted on the way, where they have gaps between the columns so far.
    """
    height = median(strip.height for strip in phrases[start])
    columns = _columns(phrases[start : start + 1])
    last = start + 1
    for place in range(start + 1, len(phrases)):
        row = phrases[place]
        gap = min(strip.y0 for strip in row) - max(strip.y1 for strip in phrases[place - 1])
        if gap > 2.5 * height or not 0.5 < median(strip.height for strip in row) / height < 2:
            break
        if len(row) == 1 and len(columns) > 1:
            row = phrases[place] = parted(row[0], _edges(columns), 0.7 * height)
        wider = _columns(phrases[start : place + 1])
        if len(row) > 1:
            if len(wider) < 2 or len(wider) < len(columns) - 1:
                break
            columns, last = wider, place + 1
        elif _column_of(row[0], columns) is None or gap > 1.2 * height:
            break
    # What hangs below in one column is the rest of a cell; in the first, rather text after the table.
    for place in range(last, len(phrases)):
        row = phrases[place]
        gap = min(strip.y0 for strip in row) - max(strip.y1 for strip in phrases[place - 1])
        if len(row) > 1 or gap > 0.4 * height or not _column_of(row[0], columns):
            break
        last = place + 1
    return last


def _columns(rows: Sequence[list[Strip]]) -> list[tuple[float, float]]:
    """Where the columns of a table are: what its rows cover together; a few that reach over a gap do not close it."""
    several = [row for row in rows if len(row) > 1]
    edges = sorted(
        [(strip.x0, 1) for row in several for strip in row] + [(strip.x1, -1) for row in several for strip in row]
    )
    spare = len(several) // 7
    height = median(strip.height for row in several for strip in row)
    columns: list[tuple[float, float]] = []
    depth, since = 0, 0.0
    for x, step in edges:
        before, depth = depth, depth + step
        if before <= spare < depth:
            since = x
        elif depth <= spare < before:
            if columns and since - columns[-1][1] < 0.3 * height:
                columns[-1] = (columns[-1][0], x)
            else:
                columns.append((since, x))
    return columns


def _edges(columns: Sequence[tuple[float, float]]) -> list[float]:
    return [(left[1] + right[0]) / 2 for left, right in pairwise(columns)]


def _column_of(strip: Strip, columns: Sequence[tuple[float, float]]) -> int | None:
    """The one column that a strip is in, or None where it reaches over several or stands beside all."""
    over = [
        n for n, (start, end) in enumerate(columns) if min(strip.x1, end) - max(strip.x0, start) > 0.2 * strip.height
    ]
    return over[0] if len(over) == 1 else None


def _cells(rows: Sequence[list[Strip]]) -> list[ScanCell] | None:
    """The table that rows make, or None when they are none: too few, a list, text in columns."""
    columns = _columns(rows)
    several = [row for row in rows if len(row) > 1]
    if len(columns) < 2 or len(several) < (2 if len(columns) > 2 else 3):
        return None
    edges = _edges(columns)
    first = [row[0].text for row in several if row[0].x0 < edges[0]]
    if len(columns) == 2 and first and sum(bool(_MARKER.fullmatch(text)) for text in first) > 0.7 * len(first):
        return None
    members = [0] * len(columns)
    cells: list[ScanCell] = []
    number = -1
    pitch = median([0.0, *(_gap(above, below) for above, below in pairwise(several))])
    for place, row in enumerate(rows):
        parts = [part for strip in row for part in parted(strip, edges)]
        spread: dict[int, list[Strip]] = {}
        reach: dict[int, int] = {}
        for strip in parts:
            over = [n for n, (a, b) in enumerate(columns) if min(strip.x1, b) - max(strip.x0, a) > 0.3 * strip.height]
            column = (
                over[0]
                if over
                else min(range(len(columns)), key=lambda n: abs((columns[n][0] + columns[n][1]) / 2 - strip.centre))
            )
            spread.setdefault(column, []).append(strip)
            reach[column] = max(reach.get(column, 1), len(over))
        for column in spread:
            members[column] += 1
        gap = _gap(rows[place - 1], row) if place else 0.0
        if place and 0 not in spread and (len(parts) == 1 or gap < 0.5 * pitch):
            for column, strips in spread.items():
                at = next(
                    (n for n in range(len(cells) - 1, -1, -1) if cells[n].row == number and cells[n].column == column),
                    None,
                )
                if at is None:
                    cells.append(ScanCell(number, column, tuple(strips), 1, reach[column]))
                else:
                    cells[at] = ScanCell(number, column, cells[at].strips + tuple(strips), 1, cells[at].column_span)
            continue
        number += 1
        cells += [ScanCell(number, column, tuple(strips), 1, reach[column]) for column, strips in spread.items()]
    if sum(count > 1 for count in members) < 2:
        return None
    return _with_header(sorted(cells, key=lambda cell: (cell.row, cell.column)))


def _gap(above: Sequence[Strip], below: Sequence[Strip]) -> float:
    return max(0.0, min(strip.y0 for strip in below) - max(strip.y1 for strip in above))


def _with_header(cells: Sequence[ScanCell]) -> list[ScanCell]:
    """The cells, those of the first row made headers when they name what stands below: words over numbers."""
    head = [cell for cell in cells if cell.row == 0]
    width = max((cell.column + cell.column_span for cell in cells), default=0)
    rows = {cell.row for cell in cells}
    if len(rows) < 2 or sum(cell.column_span for cell in head) < max(2, width - 1):
        return list(cells)
    if any(_NUMBER.fullmatch(cell.text) or cell.text.endswith(":") for cell in head):
        return list(cells)
    numbers = sum(bool(_NUMBER.fullmatch(cell.text)) for cell in cells if cell.row)
    if not numbers and (width < 3 or len(rows) < 3):
        return list(cells)
    return [
        ScanCell(cell.row, cell.column, cell.strips, cell.row_span, cell.column_span, header=cell.row == 0)
        for cell in cells
    ]
