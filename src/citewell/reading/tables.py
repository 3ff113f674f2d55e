"""A table before it has a place in the text: cells with spans, in whatever way a format lists them, become rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from citewell.errors import ReadError
from citewell.reading.limits import MAX_CELLS, over
from citewell.types import Place, Region


@dataclass(frozen=True, slots=True)
class CellText:
    """A table cell before its place in the text is known."""

    row: int
    column: int
    text: str
    header: bool = False
    row_span: int = 1
    column_span: int = 1
    region: Region | None = None
    source: Place | None = None
    links: Sequence[tuple[int, int, str]] = ()


@dataclass(slots=True)
class Table:
    """Rows of cell texts; None where a cell from above or from the left reaches.

    By (row, column): `headers` are the header cells beside those of the first `header_rows`, `merged` has the
    (row span, column span) of cells that reach further than themselves, `regions` the places on a page, `sources` the
    places in the source, `links` (start, end, target) with offsets into the cell's text. `row_sources`, where given,
    has the place of each row, in which its cells stand that have none of their own.
    """

    rows: Sequence[Sequence[str | None]]
    headers: frozenset[tuple[int, int]] = frozenset()
    header_rows: int = 0
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    regions: Mapping[tuple[int, int], Region] = field(default_factory=dict)
    sources: Mapping[tuple[int, int], Place] = field(default_factory=dict)
    links: Mapping[tuple[int, int], Sequence[tuple[int, int, str]]] = field(default_factory=dict)
    row_sources: Sequence[Place] = ()


class Places:
    """Where cells go that are listed row by row without columns: each takes the first place that is free."""

    def __init__(self, rows: int, max_cells: int = MAX_CELLS) -> None:
        self._next = [0] * rows
        self._covered: list[set[int]] = [set() for _ in range(rows)]
        self._max_cells = max_cells
        self._places = 0

    def take(self, row: int, row_span: int, column_span: int) -> tuple[int, int]:
        """The column of the next cell of `row`, and its row span, which ends with the table.

        Raises ReadError limit_exceeded when all cells together cover more than `max_cells` places.
        """
        column = self._next[row]
        while column in self._covered[row]:
            column += 1
        self._next[row] = column + column_span
        row_span = min(row_span, len(self._next) - row)
        self._places += row_span * column_span
        if self._places > self._max_cells:
            raise too_many_cells(self._places, self._max_cells)
        for below in range(row + 1, row + row_span):
            self._covered[below].update(range(column, column + column_span))
        return column, row_span


def grid(cells: Sequence[CellText], max_cells: int = MAX_CELLS) -> Table:
    """`cells` as a table, without the rows and columns that hold no text.

    Pages and documents laid out with tables have spacers all over, and Word divides columns wherever an edge of any
    row falls: they hold nothing, and break up the rest. Raises ReadError limit_exceeded above `max_cells` places.
    """
    filled = [cell for cell in cells if cell.text and not cell.text.isspace()]
    rows, columns = sorted({cell.row for cell in filled}), sorted({cell.column for cell in filled})
    if len(rows) * len(columns) > max_cells:
        raise too_many_cells(len(rows) * len(columns), max_cells)
    new_row = {row: number for number, row in enumerate(rows)}
    new_column = {column: number for number, column in enumerate(columns)}
    texts: list[list[str | None]] = [[None] * len(columns) for _ in rows]
    headers: set[tuple[int, int]] = set()
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    regions: dict[tuple[int, int], Region] = {}
    sources: dict[tuple[int, int], Place] = {}
    links: dict[tuple[int, int], Sequence[tuple[int, int, str]]] = {}
    for cell in cells:
        row, column = new_row.get(cell.row), new_column.get(cell.column)
        if row is None or column is None:
            continue
        place = row, column
        texts[row][column] = cell.text
        if cell.header:
            headers.add(place)
        if cell.region is not None:
            regions[place] = cell.region
        if cell.source is not None:
            sources[place] = cell.source
        if cell.links:
            links[place] = cell.links
        if cell.row_span > 1 or cell.column_span > 1:
            reach = (
                bisect_left(rows, cell.row + cell.row_span) - row,
                bisect_left(columns, cell.column + cell.column_span) - column,
            )
            if reach != (1, 1):
                merged[place] = reach
    return Table(texts, frozenset(headers), merged=merged, regions=regions, sources=sources, links=links)


def too_many_cells(found: int, limit: int) -> ReadError:
    """The error for tables of at least `found` places, where `limit` are the most."""
    return over("The file", found, "cells in its tables", limit, setting="max_cells", seen=True)
