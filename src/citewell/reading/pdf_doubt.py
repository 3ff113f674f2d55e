"""What looks like a table and is none: text in a box or with wide spaces, a list by its labels, a chart by its axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from citewell.reading.pdf_columns import parts_of
from citewell.reading.pdf_grid import Word, is_value, rows_of
from citewell.reading.pdf_pages import PagePiece

_LABEL: Final = re.compile(r"\W*\w{1,4}(\.\w{1,3})*\W+|[^.]{1,20}:|\W{1,3}|\d{1,3}|\[\w{1,12}\]")
_NUMBER: Final = re.compile(r"[-−–]?\d+(?:[.,]\d+)?")
_TICKS: Final = 5  # numbers at even steps that make an axis


def is_box(piece: PagePiece) -> bool:
    """Whether a "table" has but one column: text in a box."""
    return len({cell.column for cell in piece.cells if cell.text}) < 2


def is_prose(words: Sequence[Word]) -> bool:
    """Whether most lines of a "table" whose words these are run through from left to right as text does."""
    if not words:
        return False
    left, right = min(word.x for word in words), max(word.x + word.width for word in words)
    lines = [parts_of(line) for line in rows_of(words)]
    through = sum(
        len(parts) == 1 and parts[0].x0 < left + 0.15 * (right - left) and parts[0].x1 > left + 0.6 * (right - left)
        for parts in lines
    )
    return 2 * through >= len(lines)


def has_figures(piece: PagePiece) -> bool:
    """Whether any cell but those of the first column is a figure."""
    return any(cell.column and any(map(str.isdigit, cell.text)) and is_value(cell.text) for cell in piece.cells)


def is_list(piece: PagePiece) -> bool:
    """Whether two "columns" are the labels of notes or items (`(a)`, `NB:`) and their text."""
    filled = [cell for cell in piece.cells if cell.text]
    if {cell.column for cell in filled} != {0, 1} or has_figures(piece):
        return False
    labels = [cell.text for cell in filled if cell.column == 0]
    texts = [cell.text for cell in filled if cell.column == 1]
    return all(_LABEL.fullmatch(label) for label in labels) and sum(map(len, texts)) > 25 * len(texts)


def is_chart(piece: PagePiece) -> bool:
    """Whether the figures are the marks of axes: all columns of figures, or the last rows, go on in even steps."""
    columns: dict[int, list[str]] = {}
    rows: dict[int, list[str]] = {}
    for cell in sorted(piece.cells, key=lambda cell: (cell.row, cell.column)):
        if cell.text:
            columns.setdefault(cell.column, []).append(cell.text)
            rows.setdefault(cell.row, []).append(cell.text)
    of_figures = [texts for texts in columns.values() if 2 * sum(map(_is_ticks, texts)) >= len(texts)]
    if of_figures and all(_is_axis(" ".join(filter(_is_ticks, texts))) for texts in of_figures):
        return True
    return len(rows) > 1 and any(_is_axis(" ".join(rows[row])) for row in sorted(rows)[-3:])


def is_full(piece: PagePiece) -> bool:
    """Whether every place of several rows and columns is filled: between the marks of axes there is nothing to read."""
    filled = {
        (row, column)
        for cell in piece.cells
        if cell.text
        for row in range(cell.row, cell.row + cell.row_span)
        for column in range(cell.column, cell.column + cell.column_span)
    }
    rows, columns = {row for row, _ in filled}, {column for _, column in filled}
    return len(rows) > 1 and len(columns) > 1 and len(filled) == len(rows) * len(columns)


def _is_ticks(text: str) -> bool:
    return all(_NUMBER.fullmatch(word.rstrip("%")) for word in text.split())


def _is_axis(text: str) -> bool:
    """Whether `text` is numbers at even steps that are neither years nor a count from one."""
    words = [word.rstrip("%") for word in text.split()]
    if len(words) < _TICKS or not all(_NUMBER.fullmatch(word) for word in words):
        return False
    numbers = [float(word.replace(",", ".").replace("−", "-").replace("–", "-")) for word in words]
    steps = [other - one for one, other in pairwise(numbers)]
    usual = sorted(steps)[len(steps) // 2]
    # The next chart below begins anew.
    even = sum(abs(step - usual) <= 1e-6 + 1e-3 * abs(usual) for step in steps)
    years = all(number == int(number) and 1800 <= number <= 2100 for number in numbers)
    return even >= max(_TICKS - 1, 0.85 * len(steps)) and usual != 0 and abs(usual) != 1 and not years
