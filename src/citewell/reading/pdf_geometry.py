"""Rectangles and matrices of PDF pages, in points of the page's own space."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from citewell.reading.pdf_calls import Matrix, calls

Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in points of the page's own space."""


def placed(page: Any, rectangle: Rectangle, width: float, height: float) -> Rectangle:
    """A rectangle of the page as left, top, right, bottom on a picture of it, whichever way the page is turned."""
    fine = 100  # PDFium gives whole numbers
    to_device, at = calls().to_device, ctypes.addressof(page.raw.contents)
    wide, tall = round(width * fine), round(height * fine)
    left, bottom, right, top = rectangle
    corners = [to_device(at, wide, tall, x, y) for x in (left, right) for y in (bottom, top)]
    return around([(x / fine, y / fine) for x, y in corners])


def pixels(box: Rectangle) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return int(left), int(top), math.ceil(right) + 1, math.ceil(bottom) + 1


def times(first: Matrix, second: Matrix | None) -> Matrix:
    """The matrix that does `first`, then `second`."""
    if second is None:
        return first
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def moved(matrix: Matrix | None, x: float, y: float) -> tuple[float, float]:
    if matrix is None:
        return x, y
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def around(points: Sequence[tuple[float, float]]) -> Rectangle:
    across, up = [x for x, _ in points], [y for _, y in points]
    return min(across), min(up), max(across), max(up)


def carried(matrix: Matrix, one: Rectangle) -> Rectangle:
    return around([moved(matrix, x, y) for x in (one[0], one[2]) for y in (one[1], one[3])])


def around_both(one: Rectangle, other: Rectangle) -> Rectangle:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def shared(one: Rectangle, other: Rectangle) -> Rectangle:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def wider(one: Rectangle, by: float) -> Rectangle:
    return one[0] - by, one[1] - by, one[2] + by, one[3] + by


def meet(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def within(one: Rectangle, other: Rectangle) -> bool:
    return other[0] <= one[0] and one[2] <= other[2] and other[1] <= one[1] and one[3] <= other[3]
