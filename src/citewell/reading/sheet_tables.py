"""Where a sheet's tables are, and how many of their rows are headers: nothing in a spreadsheet has to say so."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

Range: TypeAlias = tuple[int, int, int, int]
"""First row, first column, last row, last column, all inclusive and from 0."""

Island: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""The rows and columns of a table, ascending; those without any text are not among them."""

_Cells: TypeAlias = Mapping[int, Mapping[int, str]]
_DEPTH: Final = 12  # cuts within cuts; a sheet laid out as stairs would else be cut once for every step
_VALUE: Final = re.compile(
    r"[-+(]{0,2}\s?(?:[A-Z]{1,3}\s)?[-+$€£¥(]{0,2}\s?\d[\d\s.,:/%)-]{0,40}(?:E[+-]?\d{1,3})?(?:[^\W\d_]{1,3}\)?)?\s?[%€$£]?"
)
_YEAR: Final = re.compile(r"(?:FY\s?)?(?:19|20)\d\d(?:[-/]\d{1,2}){0,2}[A-Z]?")


def islands(cells: _Cells, merged: Iterable[Range], named: Iterable[Range] = ()) -> list[Island]:
    """The tables among `cells`, in reading order: apart by blank rows and columns, merged cells taken as filled.

    Ranges in `named` are tables by themselves. A blank column between labels and their numbers, or a blank row in
    the middle of a table, is a spacer.
    """
    if not cells:
        return []
    rows = sorted(row for row in cells if cells[row])
    if not rows:
        return []
    spans = _clipped(merged, rows, cells)
    found: list[Island] = []
    taken: set[int] = set()
    for top, left, bottom, right in sorted(named):
        inside = rows[bisect_left(rows, top) : bisect_right(rows, bottom)]
        columns = sorted({c for row in inside for c in cells[row] if left <= c <= right})
        outside = any(not left <= c <= right for row in inside for c in cells[row])
        if inside and columns and not outside and not taken.intersection(inside):
            found.append((inside, columns))
            taken.update(inside)
    bands: list[list[int]] = [[]]
    for row in rows:
        if row in taken:
            bands.append([])
        else:
            bands[-1].append(row)
    for band in bands:
        if band:
            first, last = _extent(cells, band)
            found.extend(_cut(cells, spans, band, first, last, depth=0))
    found.sort(key=lambda island: (island[0][0], island[1][0]))
    return found


def within(ranges: Sequence[Range], first: int, last: int) -> Sequence[Range]:
    """Those of `ranges`, which ascend, that begin in the rows from `first` to `last`."""
    return ranges[bisect_left(ranges, (first, -1, -1, -1)) : bisect_left(ranges, (last + 1, -1, -1, -1))]


def header_rows(texts: Sequence[Sequence[str | None]], merged: Mapping[tuple[int, int], tuple[int, int]]) -> int:
    """How many of the first rows name the columns: 0 where the first row already holds values."""
    if len(texts) < 2 or len(texts[0]) < 2:
        return 0
    first = [text.strip() if text else "" for text in texts[0]]
    covered = sum(across - 1 for (row, _), (_, across) in merged.items() if row == 0)
    filled = sum(map(bool, first))
    if not _names(first) or filled + covered < max(2, (len(first) + 1) // 2):
        return 0
    depth = max((down for (row, _), (down, _) in merged.items() if row == 0), default=1)
    if depth == 1 and covered and len(texts) > 2:
        # "2023 | | 2024" above "plan | actual | plan | actual": groups above names.
        second = [text.strip() if text else "" for text in texts[1]]
        depth = 2 if _names(second) and sum(map(bool, second)) > filled else 1
    depth = min(depth, len(texts) - 1, 5)
    if depth == 1 and not covered:
        body = [text for row in texts[1:50] for text in row if text and text.strip()]
        values = sum(1 for text in body if _VALUE.fullmatch(text.strip()))
        named = [text.lower() for text in first if text]
        if not values and (len(set(named)) < len(named) or filled < max(2, len(first) - 1)):
            return 0
        if any(map(_YEAR.fullmatch, first)) and not any(text and not _YEAR.fullmatch(text) for text in first):
            return 0
    return depth


def _names(row: Sequence[str]) -> bool:
    """Whether the texts of a row may be names of columns: words, or years and dates behind a word or a blank."""
    filled = [text for text in row if text]
    if not all(any(map(str.isalnum, text)) for text in filled):
        return False
    values = [text for text in filled if _VALUE.fullmatch(text)]
    if not filled:
        return False
    if not values:
        return True
    years = all(_YEAR.fullmatch(text) for text in values)
    return years and not (row[0] and _VALUE.fullmatch(row[0]))


def _clipped(merged: Iterable[Range], rows: Sequence[int], cells: _Cells) -> list[Range]:
    """Merged ranges as far as there are cells: a range may cover the whole sheet and hold nothing."""
    last_row, last_column = rows[-1], max(max(cells[row]) for row in rows)
    spans = []
    for top, left, bottom, right in merged:
        if left in cells.get(top, {}):
            spans.append((top, left, min(bottom, last_row), min(right, last_column)))
    return sorted(spans)


def _extent(cells: _Cells, rows: Sequence[int]) -> tuple[int, int]:
    return min(min(cells[row]) for row in rows), max(max(cells[row]) for row in rows)


def _cut(
    cells: _Cells, spans: Sequence[Range], rows: Sequence[int], first: int, last: int, *, depth: int
) -> Iterable[Island]:
    """The tables within `rows` and the columns from `first` to `last`."""
    filled = [row for row in rows if any(first <= column <= last for column in cells[row])]
    if not filled:
        return
    inside = [one for one in within(spans, filled[0], filled[-1]) if one[1] <= last and one[3] >= first]
    bands = _bands(filled, inside)
    if len(bands) > 1 and depth < _DEPTH:
        parts = [(band, _columns(cells, inside, band, first, last)) for band in bands]
        for joined in _rejoined(cells, parts):
            yield from _cut_columns(cells, inside, joined, first, last, depth=depth + 1)
    else:
        yield from _cut_columns(cells, inside, filled, first, last, depth=depth + 1)


def _cut_columns(
    cells: _Cells, spans: Sequence[Range], rows: Sequence[int], first: int, last: int, *, depth: int
) -> Iterable[Island]:
    columns = _columns(cells, spans, rows, first, last)
    groups: list[list[int]] = [[columns[0]]]
    for column in columns[1:]:
        if column - groups[-1][-1] > 1 and not _is_spacer(cells, rows, groups[-1], column, columns):
            groups.append([column])
        else:
            groups[-1].append(column)
    if len(groups) == 1 or depth >= _DEPTH:
        filled = {column for row in rows for column in cells[row] if first <= column <= last}
        yield rows, sorted(filled)
        return
    for group in groups:
        yield from _cut(cells, spans, rows, group[0], group[-1], depth=depth)


def _bands(rows: Sequence[int], spans: Sequence[Range]) -> list[list[int]]:
    """`rows` in runs without a gap; a merged cell reaches as far as it goes."""
    reach: dict[int, int] = {}
    for top, _, bottom, _ in spans:
        reach[top] = max(reach.get(top, top), bottom)
    bands: list[list[int]] = []
    end = -2
    for row in rows:
        if row <= end + 1 and bands:
            bands[-1].append(row)
        else:
            bands.append([row])
        end = max(end, row, reach.get(row, row))
    return bands


def _columns(cells: _Cells, spans: Sequence[Range], rows: Sequence[int], first: int, last: int) -> list[int]:
    filled = {column for row in rows for column in cells[row] if first <= column <= last}
    wanted = set(rows)
    for top, left, _, right in within(spans, rows[0], rows[-1]):
        if top in wanted:
            filled.update(range(max(left, first), min(right, last) + 1))
    return sorted(filled)


def _rejoined(cells: _Cells, parts: Sequence[tuple[list[int], list[int]]]) -> list[list[int]]:
    """Bands of rows, less the blank single rows in the middle of a table.

    A band goes on the one above when it has the same columns, at least two of them, and no header of its own.
    """
    bands: list[list[int]] = []
    before: list[int] = []
    for rows, columns in parts:
        goes_on = (
            bool(bands)
            and rows[0] - bands[-1][-1] == 2
            and len(columns) > 1
            and len(bands[-1]) > 1
            and set(columns) <= set(before)
            and len(columns) >= len(before) - 1
            and _has_value(cells[rows[0]])
        )
        if goes_on:
            bands[-1].extend(rows)
        else:
            bands.append(list(rows))
            before = columns
    return bands


def _has_value(row: Mapping[int, str]) -> bool:
    return any(_VALUE.fullmatch(text.strip()) and not _YEAR.fullmatch(text.strip()) for text in row.values())


def _is_spacer(cells: _Cells, rows: Sequence[int], group: Sequence[int], column: int, columns: Sequence[int]) -> bool:
    """Whether the blank columns before `column` only hold labels and their numbers apart.

    So it is where no more than two are blank, and numbers follow, below at most two names, in rows of the left.
    """
    if column - group[-1] > 3:
        return False
    right = [number for number in columns if number >= column]
    while len(right) > 1 and right[-1] - right[0] != len(right) - 1:
        right.pop()
    texts = {row: [cells[row][c].strip() for c in right if c in cells[row]] for row in rows}
    held = [row for row in rows if texts[row]]
    left = {row for row in rows if any(c in cells[row] for c in group)}
    if not held or any(row not in left for row in held):
        return False
    values = [row for row in held if all(map(_VALUE.fullmatch, texts[row]))]
    labels = sum(1 for row in held if not _VALUE.fullmatch(cells[row].get(group[0], "x").strip()))
    return len(values) >= len(held) - 2 and len(values) * 2 > len(held) and labels * 2 > len(held)
