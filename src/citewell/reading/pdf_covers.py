"""What on a PDF page may hide text by lying over it, or by having its colour: fills, images, and many bars or dots.

Looking each text up among thousands of them is what takes time, so they are kept by bands and cells of the page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from citewell.reading.pdf_geometry import Rectangle

Colour: TypeAlias = tuple[int, int, int]

CELL: Final = 16.0
"""The side of a cell in which bars and dots are counted, in points."""

_NEAR: Final = 24  # levels: text this close to a fill's colour is looked at
_MAX_CELLS: Final = 10_000  # of one rectangle
_BAND: Final = 24.0  # points: covers are looked for in bands of this height


@dataclass(slots=True)
class Cover:
    """Something opaque: a filled path of one colour, or else an image or a shading without one."""

    order: int
    rectangle: Rectangle
    colour: Colour | None


def cells_of(one: Rectangle) -> Iterator[tuple[int, int]]:
    """The cells of the page that a rectangle reaches into."""
    left, bottom, right, top = (max(-1000, min(int(side // CELL), 1000)) for side in one)
    if (right - left + 1) * (top - bottom + 1) <= _MAX_CELLS:
        for x in range(left, right + 1):
            for y in range(bottom, top + 1):
                yield x, y


def banded(covers: Sequence[Cover], places: Iterable[int]) -> dict[int, list[int]]:
    """The `places` of covers by the bands of the page that they reach into, ascending."""
    bands: dict[int, list[int]] = {}
    for number in places:
        for band in _bands(covers[number].rectangle):
            bands.setdefault(band, []).append(number)
    return bands


def _bands(one: Rectangle) -> range:
    low, high = (max(-1000, min(int(side // _BAND), 1000)) for side in (one[1], one[3]))
    return range(low, high + 1)


def between(bands: Mapping[int, list[int]], rectangle: Rectangle, end: int) -> Iterator[int]:
    """The places before `end` of the covers in the bands of a rectangle, descending."""
    reached = [held for band in _bands(rectangle) if (held := bands.get(band))]
    if len(reached) == 1:
        yield from reversed(reached[0][: bisect_left(reached[0], end)])
    elif reached:
        yield from sorted({place for held in reached for place in held[: bisect_left(held, end)]}, reverse=True)


def near(one: Colour, other: Colour) -> bool:
    """Whether two colours can hardly be told apart."""
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]), abs(one[2] - other[2])) <= _NEAR
