"""Ruled tables: lines that cross make a grid, words fall into its places, places without a line between are one cell.

Where the lines do not part everything, white space does: a place that holds columns of figures, line by line, is as
many rows; one that an empty strip runs through is two columns.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import attrgetter
from statistics import median
from typing import Final

from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_lines import Line, Lines

_NEAR: Final = 3.0  # points between two lines that are one, and between the end of one and the line it should meet
_DASH: Final = 5.0  # points between two pieces of one line
_MAX_PLACES: Final = 20_000
_NUMBER: Final = r"(?:\d{1,3}(?:[ ,.'’\u00a0]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*|[.,]\d+)"
_SIGNED: Final = rf"[(\[<>~±≤≥+\-–−—]{{0,2}}\s?[$€£¥]?\s?[(+\-–−]?{_NUMBER}\s?(?:[%)\]*†‡]|[a-e]\b)*"
_VALUE: Final = re.compile(
    rf"{_SIGNED}(?:\s?[±(/–-]\s?{_SIGNED})?|[-–—−.·:*]{{1,3}}|n/?\.?a\.?|\.\.+",
    re.IGNORECASE,
)


class Word:
    """A word, or a run of them that cannot be divided, where it stands: points from the top left."""

    __slots__ = ("height", "item", "middle", "text", "width", "x", "y")

    def __init__(self, x: float, y: float, width: float, height: float, text: str, item: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self.text = text
        self.item = item
        self.middle = y + height / 2


@dataclass(slots=True)
class Place:
    """One cell: the rows and columns it covers (ends excluded), its box and its words."""

    row: int
    column: int
    last_row: int
    last_column: int
    box: Box
    words: list[Word]


@dataclass(slots=True)
class Grid:
    """A table found by its lines."""

    box: Box
    places: list[Place]
    rows: int
    columns: int


def ruled(lines: Lines, words: Sequence[Word]) -> list[Grid]:
    """The ruled tables of a page that hold words in at least two rows and two columns, from top to bottom."""
    grids = [grid for across, down in _nets(lines) if (grid := _grid(across, down, words)) is not None]
    grids.sort(key=lambda grid: (grid.box[1], grid.box[0]))
    # A frame around tables is not a table of them.
    return [grid for grid in grids if not any(_within(other.box, grid.box) for other in grids if other is not grid)]


def merged(lines: Sequence[Line]) -> list[Line]:
    """Lines with their pieces put together, those that lie on each other or side by side as one."""
    groups: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: one.at):
        if groups and line.at - groups[-1][0].at <= _NEAR:
            groups[-1].append(line)
        else:
            groups.append([line])
    result: list[Line] = []
    for group in groups:
        at = sum(one.at * (one.end - one.start) for one in group) / sum(one.end - one.start for one in group)
        start, end = None, 0.0
        for one in sorted(group, key=lambda one: one.start):
            if start is None:
                start, end = one.start, one.end
            elif one.start - end <= _DASH:
                end = max(end, one.end)
            else:
                result.append(Line(at, start, end))
                start, end = one.start, one.end
        if start is not None:
            result.append(Line(at, start, end))
    return result


@lru_cache(maxsize=4096)
def is_value(text: str) -> bool:
    """Whether `text` is what stands in a column of figures: a number with its signs, or a mark for none."""
    return _VALUE.fullmatch(text.strip()) is not None


def _are_values(words: Sequence[Word]) -> bool:
    return all(is_value(text) for text in spaced(words).split())


def spaced(words: Sequence[Word]) -> str:
    """Words of a line as text, with a space where there is one: parsers divide words where the font changes."""
    text, end = "", 0.0
    for word in words:
        text += f" {word.text}" if text and not -word.height < word.x - end < word.height / 6 else word.text
        end = word.x + word.width
    return text


def rows_of(words: Iterable[Word]) -> list[list[Word]]:
    """Words by lines of text, from top to bottom and left to right."""
    lines: list[tuple[float, float, list[Word]]] = []
    for word in sorted(words, key=attrgetter("middle", "x")):
        if lines and abs(word.middle - lines[-1][0]) < max(word.height, lines[-1][1]) / 2:
            _, height, held = lines[-1]
            held.append(word)
            if word.height > height:
                lines[-1] = (word.middle, word.height, held)
        else:
            lines.append((word.middle, word.height, [word]))
    return [sorted(held, key=attrgetter("x")) for _, _, held in lines]


def _within(inner: Box, outer: Box) -> bool:
    return (
        inner[0] >= outer[0] - 1 and inner[1] >= outer[1] - 1 and inner[2] <= outer[2] + 1 and inner[3] <= outer[3] + 1
    )


def _nets(lines: Lines) -> list[tuple[list[Line], list[Line]]]:
    """Lines that meet, directly or by way of others: horizontal and vertical ones of each net."""
    across, down = merged(lines.across), merged(lines.down)
    parent = list(range(len(across) + len(down)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for i, h in enumerate(across):
        for j, v in enumerate(down, len(across)):
            if h.start - _NEAR <= v.at <= h.end + _NEAR and v.start - _NEAR <= h.at <= v.end + _NEAR:
                parent[root(i)] = root(j)
    nets: dict[int, tuple[list[Line], list[Line]]] = defaultdict(lambda: ([], []))
    for i, h in enumerate(across):
        nets[root(i)][0].append(h)
    for j, v in enumerate(down, len(across)):
        nets[root(j)][1].append(v)
    return [net for net in nets.values() if len(net[0]) > 1 and net[1]]


def _edges(values: Iterable[float]) -> list[float]:
    """Places of lines, those that lie close together as one."""
    result: list[list[float]] = []
    for value in sorted(values):
        if result and value - result[-1][0] <= _NEAR:
            result[-1].append(value)
        else:
            result.append([value])
    return [sum(group) / len(group) for group in result]


def _grid(across: list[Line], down: list[Line], words: Sequence[Word]) -> Grid | None:
    x0 = min([*(h.start for h in across), *(v.at for v in down)])
    x1 = max([*(h.end for h in across), *(v.at for v in down)])
    y0 = min([*(h.at for h in across), *(v.start for v in down)])
    y1 = max([*(h.at for h in across), *(v.end for v in down)])
    inside = [w for w in words if x0 - 1 <= w.x + w.width / 2 <= x1 + 1 and y0 - 1 <= w.middle <= y1 + 1]
    if len(inside) < 4:
        return None
    # A table open at its sides ends where its lines end.
    xs, ys = _edges([x0, x1, *(v.at for v in down)]), _edges([y0, y1, *(h.at for h in across)])
    if len(xs) * len(ys) > _MAX_PLACES:
        return None
    across, down = list(across), list(down)
    across += [Line(y0, x0, x1), Line(y1, x0, x1)]
    down += [Line(x0, y0, y1), Line(x1, y0, y1)]
    divided = list(_divided_rows(xs, ys, inside))
    across += [Line(y, x0, x1) for y in divided]
    ys = sorted([*ys, *divided])
    for line in _divided_columns(xs, ys, down, inside):
        down.append(line)
    xs = _edges([*xs, *(line.at for line in down)])
    if len(xs) * len(ys) > _MAX_PLACES:
        return None
    places = _places(xs, ys, across, down)
    _fill(places, xs, ys, inside)
    grid = Grid((x0, y0, x1, y1), places, len(ys) - 1, len(xs) - 1)
    return grid if _is_table(grid, inside) else None


def _covers(lines: Sequence[Line], start: float, end: float) -> bool:
    """Whether lines at one place cover more than half of the way from `start` to `end`."""
    covered = 0.0
    for one in lines:
        if one.start < end and start < one.end:
            covered += min(one.end, end) - max(one.start, start)
    return covered > (end - start) / 2


def _places(xs: list[float], ys: list[float], across: Sequence[Line], down: Sequence[Line]) -> list[Place]:
    """The cells, row by row: places with no line between them are one, as long as it stays a rectangle."""
    at_x: dict[int, list[Line]] = defaultdict(list)
    at_y: dict[int, list[Line]] = defaultdict(list)
    for line in down:
        at_x[_nearest(xs, line.at)].append(line)
    for line in across:
        at_y[_nearest(ys, line.at)].append(line)
    rows, columns = len(ys) - 1, len(xs) - 1
    right = [[_covers(at_x[c + 1], ys[r], ys[r + 1]) for c in range(columns)] for r in range(rows)]
    below = [[_covers(at_y[r + 1], xs[c], xs[c + 1]) for c in range(columns)] for r in range(rows)]
    taken = [[False] * columns for _ in range(rows)]
    result: list[Place] = []
    for r in range(rows):
        for c in range(columns):
            if taken[r][c]:
                continue
            end = c + 1
            while end < columns and not right[r][end - 1] and not taken[r][end]:
                end += 1
            last = r + 1
            while (
                last < rows
                and not any(below[last - 1][k] for k in range(c, end))
                and not any(taken[last][k] or right[last][k] for k in range(c, end - 1))
                and not taken[last][end - 1]
                and (c == 0 or right[last][c - 1])
                and (end == columns or right[last][end - 1])
            ):
                last += 1
            for row in range(r, last):
                for column in range(c, end):
                    taken[row][column] = True
            result.append(Place(r, c, last, end, (xs[c], ys[r], xs[end], ys[last]), []))
    return result


def _nearest(edges: Sequence[float], at: float) -> int:
    return min(range(len(edges)), key=lambda number: abs(edges[number] - at))


def _index(edges: Sequence[float], at: float) -> int:
    return min(max(bisect_right(edges, at) - 1, 0), len(edges) - 2)


def _fill(places: Sequence[Place], xs: list[float], ys: list[float], words: Iterable[Word]) -> None:
    owner = {(r, c): p for p in places for r in range(p.row, p.last_row) for c in range(p.column, p.last_column)}
    for word in words:
        owner[_index(ys, word.middle), _index(xs, word.x + word.width / 2)].words.append(word)


def _between_edges(edges: Sequence[float], words: Iterable[Word], where: Callable[[Word], float]) -> list[list[Word]]:
    """The words between each two of the ascending `edges`, by `where` they are, in their order; some are outside."""
    found: list[list[Word]] = [[] for _ in edges[1:]]
    for word in words:
        place = bisect_right(edges, where(word)) - 1
        if 0 <= place < len(found):
            found[place].append(word)
    return found


def _divided_rows(xs: list[float], ys: list[float], words: Sequence[Word]) -> Iterable[float]:
    """y of new lines between rows that hold figures line by line and have none."""
    for held in _between_edges(ys, words, attrgetter("middle")):
        lines = rows_of(held)
        if len(lines) < 2:
            continue
        by_column: dict[int, list[tuple[int, list[Word]]]] = defaultdict(list)
        for number, line in enumerate(lines):
            parts: dict[int, list[Word]] = defaultdict(list)
            for word in line:
                parts[_index(xs, word.x + word.width / 2)].append(word)
            for column, part in parts.items():
                by_column[column].append((number, part))
        figures = [
            {number for number, _ in held}
            for held in by_column.values()
            if len(held) > 1 and sum(_are_values(part) for _, part in held) >= 0.8 * len(held)
        ]
        if not figures or len(by_column) < 2:
            continue
        with_figures = sorted(set().union(*figures))
        starts = sorted({*with_figures, *_headings(lines, with_figures, xs)})
        # Text above the first figures, or beside none, goes with the figures nearest to it.
        yield from _between(lines, starts)


def _headings(lines: Sequence[Sequence[Word]], starts: Sequence[int], xs: Sequence[float]) -> Iterable[int]:
    """Numbers of lines that are rows though they have no figures: labels of the rows below, as far apart as rows are.

    `starts` are the numbers of lines with figures.
    """
    tops = [min(word.y for word in line) for line in lines]
    usual = min((tops[b] - tops[a] for a, b in pairwise(starts) if b == a + 1), default=float("inf"))
    for number, line in enumerate(lines):
        if number in starts or any(_index(xs, word.x) for word in line) or line[0].text[:1].islower():
            continue
        below = lines[number + 1][0].text if number + 1 < len(lines) else "x"
        above = tops[number] - tops[number - 1] if number else usual
        if not below[:1].islower() and min(above, tops[number + 1] - tops[number]) >= 0.9 * usual:
            yield number


def _between(lines: Sequence[Sequence[Word]], starts: Sequence[int]) -> list[float]:
    """y between the rows that the lines numbered `starts` are the main lines of; others go with the nearer one."""
    middles = [median(w.middle for w in line) for line in lines]
    belongs = [min(starts, key=lambda s: (round(abs(middles[s] - at)), s)) for at in middles]
    result = []
    for number, (one, other) in enumerate(pairwise(belongs)):
        if one != other:
            low = max(w.y + w.height for w in lines[number])
            high = min(w.y for w in lines[number + 1])
            result.append((low + high) / 2)
    return result


def _divided_columns(xs: list[float], ys: list[float], down: Sequence[Line], words: Sequence[Word]) -> Iterable[Line]:
    """Lines down between words where most rows have words on both sides and nothing in between.

    That is where other rows have lines, or in strips of white space within a column.
    """
    at_x: dict[int, list[Line]] = defaultdict(list)
    for line in down:
        at_x[_nearest(xs, line.at)].append(line)
    by_row = _between_edges(ys, sorted(words, key=attrgetter("x")), attrgetter("middle"))
    rows = [(top, bottom, held) for (top, bottom), held in zip(pairwise(ys), by_row, strict=True) if held]
    solid = {
        (top, bottom): [x for number, x in enumerate(xs) if _covers(at_x[number], top, bottom)]
        for top, bottom, _ in rows
    }
    for number in range(1, len(xs) - 1):
        yield from _divided(xs[number], rows, xs, solid, at_x[number], enough=0.5)
    by_column = [_between_edges(xs, held, lambda word: word.x + word.width / 2) for _, _, held in rows]
    for column in range(len(xs) - 1):
        inside = [(t, b, h) for (t, b, _), cells in zip(rows, by_column, strict=True) if (h := cells[column])]
        if len(inside) > 2:
            for strip in _strips([h for _, _, h in inside]):
                yield from _divided(strip, inside, xs, solid, [], enough=0.6)


def _divided(
    at: float,
    rows: Sequence[tuple[float, float, list[Word]]],
    xs: Sequence[float],
    solid: Mapping[tuple[float, float], Sequence[float]],
    lines: Sequence[Line],
    *,
    enough: float,
) -> Iterable[Line]:
    """Pieces of a line down at `at`; `solid` has, for top and bottom of each row, x of the lines that part it."""
    both: list[int] = []
    one_side: list[int] = []
    for number, (top, bottom, words) in enumerate(rows):
        if _covers(lines, top, bottom):
            continue
        # The words between the lines to the left and to the right of here that this row does have.
        left = max((x for x in solid[top, bottom] if x < at - _NEAR), default=xs[0])
        right = min((x for x in solid[top, bottom] if x > at + _NEAR), default=xs[-1])
        near = [w for w in words if left <= w.x + w.width / 2 <= right]
        before = max((w.x + w.width for w in near if w.x + w.width / 2 < at), default=None)
        after = min((w.x for w in near if w.x + w.width / 2 >= at), default=None)
        if before is None or after is None:
            if near and (before is None or before <= at + 1) and (after is None or after >= at - 1):
                one_side.append(number)
        elif before <= at + 1 and after >= at - 1 and after - before > 0.6 * near[0].height:
            both.append(number)
    if len(both) >= max(2, enough * (len(both) + len(one_side))):
        # What stands on one side above all these rows may be a heading over both.
        for number in both + [number for number in one_side if number > both[0]]:
            yield Line(at, rows[number][0], rows[number][1])


def _strips(rows: Sequence[Sequence[Word]]) -> list[float]:
    """x of the middle of each strip that hardly a row crosses and most have words on both sides of."""
    height = median(w.height for row in rows for w in row)
    points = sorted({*(w.x for row in rows for w in row), *(w.x + w.width for row in rows for w in row)})
    middles = [(start + end) / 2 for start, end in pairwise(points)]
    crossing = _crossing([[(w.x, w.x + w.width) for w in row] for row in rows], middles)
    spanning = _crossing([[(row[0].x, row[-1].x + row[-1].width)] for row in rows], middles)
    found: list[tuple[float, float]] = []
    for (start, end), crossed, both in zip(pairwise(points), crossing, spanning, strict=True):
        if crossed <= 0.1 * len(rows) and both - crossed >= max(3, 0.6 * len(rows)):
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
    return [(start + end) / 2 for start, end in found if end - start > 0.8 * height]


def _crossing(rows: Sequence[Sequence[tuple[float, float]]], points: Sequence[float]) -> list[int]:
    """How many of `rows`, each from left to right, have anything across each of the ascending `points`."""
    change = [0] * (len(points) + 1)
    for row in rows:
        reached = 0
        for start, end in row:
            first, last = max(bisect_right(points, start), reached), bisect_left(points, end)
            if first < last:
                change[first] += 1
                change[last] -= 1
                reached = last
    return list(accumulate(change))[:-1]


def _is_table(grid: Grid, words: Sequence[Word]) -> bool:
    """Whether a net of lines is a table and not a chart, a form or a frame around text."""
    filled = [place for place in grid.places if place.words]
    rows, columns = {place.row for place in filled}, {place.column for place in filled}
    if len(rows) < 2 or len(columns) < 2 or len(filled) < 4 or 4 * len(filled) < len(grid.places):
        return False
    crossing = sum(
        word.x < place.box[0] - word.height / 2 or word.x + word.width > place.box[2] + word.height / 2
        for place in filled
        for word in place.words
    )
    return crossing <= 0.1 * len(words)
