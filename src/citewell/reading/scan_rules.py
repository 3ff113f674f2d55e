"""Lines drawn in a picture, and the grids of cells they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewell.reading.ocr import Point
from citewell.reading.rectangles import runs, spots
from citewell.reading.scan_lines import Frame

if TYPE_CHECKING:
    from PIL.Image import Image

Bits: TypeAlias = NDArray[np.bool_]

_SIDE = 1600  # points of the longer side at which lines are looked for
_CONTRAST = 32  # of 255: pale grey rules on white are still rules
_PIECE = 24  # points in one row: the strokes of letters are shorter, the steps of a skewed rule longer
_LENGTH = 48
_THICK = 6
_NEAR = 6.0  # points between ends that meet, per 1000 of the longer side


@dataclass(frozen=True, slots=True)
class Rule:
    """A level or plumb line of the level page: at `at`, from `start` to `end`, all in pixels of the picture."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table: `xs` and `ys` are its edges, ascending; `cells` are (row, column, row span, column span)."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    cells: tuple[tuple[int, int, int, int], ...]

    def holds(self, x: float, y: float) -> bool:
        """Whether a point is inside."""
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]


def drawn(image: Image) -> list[tuple[Point, Point]]:
    """The straight lines in a picture that are about level or plumb, as their ends in its pixels."""
    grey = np.asarray(image.convert("L"))
    factor = max(1, round(max(grey.shape) / _SIDE))
    height, width = grey.shape[0] // factor, grey.shape[1] // factor
    if height < _LENGTH // 2 or width < _LENGTH // 2:
        return []
    tiles = grey[: height * factor, : width * factor].reshape(height, factor, width, factor)
    ground = float(np.percentile(grey[::4, ::4], 75))
    if ground > 100:
        marks = tiles.min((1, 3)) < ground - _CONTRAST
    else:  # light on dark
        marks = tiles.max((1, 3)) > float(np.percentile(grey[::4, ::4], 25)) + _CONTRAST
    across = [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in _strokes(marks)]
    down = [((y0, x0), (y1, x1)) for x0, y0, x1, y1 in _strokes(marks.T)]
    return [((a[0] * factor, a[1] * factor), (b[0] * factor, b[1] * factor)) for a, b in across + down]


def _strokes(marks: Bits) -> list[tuple[float, float, float, float]]:
    """Long thin level strokes as (x0, y0, x1, y1)."""
    found = runs(marks)
    long = np.flatnonzero(found.end - found.start >= _PIECE)
    kept = type(found)(found.row[long], found.start[long], found.end[long])
    spot = spots(kept)
    strokes: list[tuple[float, float, float, float]] = []
    order = np.argsort(spot, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(spot[order])) + 1) if len(order) else []:
        row, start, end = kept.row[mine], kept.start[mine], kept.end[mine]
        length = int(end.max() - start.min())
        if length < _LENGTH or (end - start).sum() / length > _THICK or np.ptp(row) > max(_THICK, 0.06 * length):
            continue
        left, right = start <= start.min() + 3, end >= end.max() - 3
        strokes.append((float(start.min()), row[left].mean() + 0.5, float(end.max()), row[right].mean() + 0.5))
    return strokes


def grids(lines: Sequence[tuple[Point, Point]], frame: Frame, size: tuple[int, int]) -> list[Grid]:
    """Tables that are ruled both ways, from top to bottom. A frame around text is none."""
    near = _NEAR * max(size) / 1000
    level: list[Rule] = []
    plumb: list[Rule] = []
    for one, other in lines:
        (x0, y0), (x1, y1) = frame.level(one), frame.level(other)
        if abs(x1 - x0) >= abs(y1 - y0):
            level.append(Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
        else:
            plumb.append(Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
    found = [grid for rows, columns in _meeting(level, plumb, near) if (grid := _grid(rows, columns, near)) is not None]
    return sorted(found, key=lambda grid: grid.ys[0])


def _meeting(level: Sequence[Rule], plumb: Sequence[Rule], near: float) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules that touch one another, directly or through others."""
    owner = list(range(len(level) + len(plumb)))

    def root(one: int) -> int:
        while owner[one] != one:
            owner[one] = owner[owner[one]]
            one = owner[one]
        return one

    for a, row in enumerate(level):
        for b, column in enumerate(plumb, len(level)):
            if row.start - near <= column.at <= row.end + near and column.start - near <= row.at <= column.end + near:
                owner[root(a)] = root(b)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for number in range(len(owner)):
        rows, columns = groups.setdefault(root(number), ([], []))
        if number < len(level):
            rows.append(level[number])
        else:
            columns.append(plumb[number - len(level)])
    return list(groups.values())


def _grid(level: Sequence[Rule], plumb: Sequence[Rule], near: float) -> Grid | None:
    ys, xs = _edges([rule.at for rule in level], near), _edges([rule.at for rule in plumb], near)
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 1 or columns < 1 or rows * columns < 2 or rows * columns > 100_000:
        return None

    def divided(rules: Sequence[Rule], at: float, middle: float) -> bool:
        return any(abs(rule.at - at) <= near and rule.start <= middle <= rule.end for rule in rules)

    middles_x = [(a + b) / 2 for a, b in pairwise(xs)]
    middles_y = [(a + b) / 2 for a, b in pairwise(ys)]
    beside = [[divided(plumb, xs[c + 1], y) for c in range(columns)] for y in middles_y]
    below = [[divided(level, ys[r + 1], x) for x in middles_x] for r in range(rows)]
    taken: set[tuple[int, int]] = set()
    cells: list[tuple[int, int, int, int]] = []
    for r in range(rows):
        for c in range(columns):
            if (r, c) in taken:
                continue
            across = 1
            while c + across < columns and not beside[r][c + across - 1] and (r, c + across) not in taken:
                across += 1
            down = 1
            while (
                r + down < rows
                and not any(below[r + down - 1][c : c + across])
                and not any(beside[r + down][c : c + across - 1])
            ):
                down += 1
            taken.update((r + i, c + j) for i in range(down) for j in range(across))
            cells.append((r, c, down, across))
    return Grid(tuple(xs), tuple(ys), tuple(cells)) if len(cells) > 1 else None


def _edges(values: Sequence[float], near: float) -> list[float]:
    """Values that are nearly equal as one, ascending."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] <= near:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [sum(group) / len(group) for group in groups]
