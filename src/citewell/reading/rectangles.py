"""Rectangles around the spots of a map of probabilities: points that touch, and the smallest box around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewell.reading.ocr import Point, Quad

Bits: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.intp]
Reals: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle by its centre; `angle` in (-45°, 45°] in radians, clockwise, is that of its `width`."""

    x: float
    y: float
    width: float
    height: float
    angle: float

    def quad(self, turn: int = 0) -> Quad:
        """Its corners, clockwise, from the upper left one, or from the one `turn` further."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        corners: list[Point] = []
        for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            a, b = right * self.width / 2, down * self.height / 2
            corners.append((self.x + a * cos - b * sin, self.y + a * sin + b * cos))
        first, second, third, fourth = corners[turn:] + corners[:turn]
        return first, second, third, fourth

    def scaled(self, factor: float) -> Rectangle:
        """The same on a picture `factor` times as large."""
        return Rectangle(self.x * factor, self.y * factor, self.width * factor, self.height * factor, self.angle)

    def grown(self, share: float) -> Rectangle:
        """Larger on all sides by `share` of its area divided by its circumference."""
        more = share * self.width * self.height / (self.width + self.height)
        return replace(self, width=self.width + more, height=self.height + more)


@dataclass(frozen=True, slots=True)
class Runs:
    """Points of a map that are set, as runs: half-open columns [start, end) of a row, by row and column."""

    row: Ints
    start: Ints
    end: Ints


def runs(bits: Bits) -> Runs:
    """The runs of a two-dimensional map."""
    edges = np.diff(np.pad(bits.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, start = np.nonzero(edges == 1)
    return Runs(row, start, np.nonzero(edges == -1)[1])


def spots(found: Runs) -> Ints:
    """For each run the number of its spot, from 0: runs that touch, corners included, are of one spot."""
    count = len(found.row)
    if not count:
        return np.zeros(0, np.intp)
    key = int(found.end.max()) + 2
    starts, ends = found.row * key + found.start, found.row * key + found.end
    first = np.searchsorted(ends, (found.row + 1) * key + found.start, "left")
    last = np.searchsorted(starts, (found.row + 1) * key + found.end, "right")
    many = np.maximum(last - first, 0)
    above = np.repeat(np.arange(count), many)
    below = np.arange(len(above)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first, many)
    label = np.arange(count)
    while True:
        # Each pair takes the smaller of both labels, then every label that of its label: few rounds, no loop by run.
        lowest = np.minimum(label[above], label[below])
        new = label.copy()
        np.minimum.at(new, label[above], lowest)
        np.minimum.at(new, label[below], lowest)
        new = new[new]
        if np.array_equal(new, label):
            return np.unique(label, return_inverse=True)[1]
        label = new


def rectangles(heat: NDArray[np.float32], least: float, *, sure: float = 0.5, at_most: int = 2000) -> list[Rectangle]:
    """A rectangle around every spot above `least` whose mean is above `sure` and that is 3 points high or more."""
    bits = heat > least
    # Two by two points grow together: thin strokes of one line often fall apart by one.
    bits[1:] |= bits[:-1].copy()
    bits[:, 1:] |= bits[:, :-1].copy()
    found = runs(bits)
    spot = spots(found)
    if not len(spot):
        return []
    total = np.concatenate([[0.0], np.cumsum(heat, dtype=np.float64)])
    width = heat.shape[1]
    inside = total[found.row * width + found.end] - total[found.row * width + found.start]
    mean = np.bincount(spot, inside) / np.bincount(spot, found.end - found.start)
    order = np.argsort(spot, kind="stable")
    borders = np.searchsorted(spot[order], np.arange(len(mean) + 1))
    result: list[Rectangle] = []
    for number in np.flatnonzero(mean > sure):
        mine = order[borders[number] : borders[number + 1]]
        row, start, end = found.row[mine], found.start[mine], found.end[mine]
        if row[-1] - row[0] < 2 or end.max() - start.min() < 3:
            continue
        corners = [(start, row), (end, row), (start, row + 1), (end, row + 1)]
        points = np.concatenate([np.stack(pair, 1) for pair in corners]).astype(np.float64)
        result.append(_around(points))
        if len(result) == at_most:
            break
    return result


def _around(points: Reals) -> Rectangle:
    """The rectangle of least area around `points`: one of its sides lies along a side of their hull."""
    hull = _hull(points)
    sides = np.roll(hull, -1, 0) - hull
    angles = np.unique(np.round(np.arctan2(sides[:, 1], sides[:, 0]) % (math.pi / 2), 4))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    along, down = hull[:, 0] * cos + hull[:, 1] * sin, hull[:, 1] * cos - hull[:, 0] * sin
    width, height = np.ptp(along, 1), np.ptp(down, 1)
    best = int(np.argmin(width * height))
    a, b = (along[best].min() + along[best].max()) / 2, (down[best].min() + down[best].max()) / 2
    angle, w, h = float(angles[best]), float(width[best]), float(height[best])
    x, y = a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)
    if angle > math.pi / 4:
        angle, w, h = angle - math.pi / 2, h, w
    return Rectangle(float(x), float(y), w, h, angle)


def _hull(points: Reals) -> Reals:
    """Corners of the convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))

    def half(chain: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for x, y in chain:
            while len(kept) > 1 and (
                (kept[-1][0] - kept[-2][0]) * (y - kept[-2][1]) <= (kept[-1][1] - kept[-2][1]) * (x - kept[-2][0])
            ):
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))
