"""The straight lines that are drawn on a PDF page: thin boxes and strokes, as segments in points from the top left."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_calls import Matrix, calls

THIN: Final = 3.0
"""A box at most this thick, in points, is a line."""

_DEEPEST: Final = 3  # forms within forms
_SHORTEST: Final = 2.0
_MAX_OBJECTS: Final = 20_000  # maps and charts: their lines make no table, and reading them takes seconds
_MAX_SEGMENTS: Final = 2_000
_STRAIGHT: Final = 0.5  # how far, in points, the ends of a line may be off the horizontal or vertical

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """From `start` to `end` along the page at `at` across it; across is y of horizontal lines, x of vertical ones."""

    at: float
    start: float
    end: float


@dataclass(slots=True)
class Lines:
    """The lines of one page."""

    across: list[Line] = field(default_factory=list)
    down: list[Line] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.across or self.down)


def page_lines(page: Any, width: float, height: float) -> Lines:
    """The lines of a pypdfium2 page that is shown `width` by `height` points large, whatever its rotation."""
    from pypdfium2 import raw

    found = Lines()
    if not 0 < raw.FPDFPage_CountObjects(page) <= _MAX_OBJECTS:
        return found
    shown = to_page(page, width, height)
    if shown is None:
        return found
    _collect(ctypes.addressof(page.raw.contents), shown, 0, found)
    return found


def to_page(page: Any, width: float, height: float) -> Matrix | None:
    """From the page's own space to points from the top left, rotation and crop box considered."""
    from pypdfium2 import raw

    points: list[Point] = []
    for x, y in ((0, 0), (1000, 0), (0, 1000)):
        at_x, at_y = ctypes.c_double(), ctypes.c_double()
        if not raw.FPDF_DeviceToPage(page, 0, 0, 1000, 1000, 0, x, y, at_x, at_y):
            return None
        points.append((at_x.value, at_y.value))
    (x0, y0), (x1, y1), (x2, y2) = points
    return _inverse(((x1 - x0) / width, (y1 - y0) / width, (x2 - x0) / height, (y2 - y0) / height, x0, y0))


def _inverse(m: Matrix) -> Matrix | None:
    a, b, c, d, e, f = m
    det = a * d - b * c
    if abs(det) < 1e-9:
        return None
    a, b, c, d = d / det, -b / det, -c / det, a / det
    return a, b, c, d, -(e * a + f * c), -(e * b + f * d)


def _times(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _collect(holder: int, outer: Matrix, depth: int, lines: Lines) -> None:
    """Add what the path objects of a form (of a page at depth 0) draw; `outer` leads from its space to the page.

    `holder` is its address.
    """
    from pypdfium2 import raw

    do = calls()
    count, get = (do.form_count, do.form_object) if depth else (do.page_count, do.page_object)
    path, form, kind_of = raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_FORM, do.kind
    a, b, c, d, e, f = outer
    for number in range(min(count(holder), _MAX_OBJECTS)):
        thing = get(holder, number)
        kind = kind_of(thing)
        if kind == path:
            filled, stroked = do.draws(thing)
            if not (filled or stroked) or (bounds := do.rectangle(thing)) is None:
                continue
            x0, y0, x1, y1 = bounds
            wide, high = abs(a * (x1 - x0) + c * (y1 - y0)), abs(b * (x1 - x0) + d * (y1 - y0))
            if min(wide, high) <= THIN:
                one = (a * x0 + c * y0 + e, b * x0 + d * y0 + f)
                other = (a * x1 + c * y1 + e, b * x1 + d * y1 + f)
                _keep_box(one, other, lines)
                continue
            if stroked or do.segments(thing) > 5:
                _keep_path(thing, _times(do.matrix(thing), outer), stroked, lines)
        elif kind == form and depth < _DEEPEST:
            _collect(thing, _times(do.matrix(thing), outer), depth + 1, lines)


def _keep_path(path: int, matrix: Matrix, stroked: bool, lines: Lines) -> None:
    """Add what is drawn of a path: strokes one by one; of what is only filled the thin parts."""
    from pypdfium2 import raw

    do = calls()
    count = do.segments(path)
    if not 1 < count <= _MAX_SEGMENTS:
        return
    a, b, c, d, e, f = matrix
    bezier, move = raw.FPDF_SEGMENT_BEZIERTO, raw.FPDF_SEGMENT_MOVETO
    parts: list[list[Point]] = []
    for number in range(count):
        segment = do.segment(path, number)
        kind = do.segment_kind(segment)
        if kind == bezier:
            return
        x, y = do.point(segment) or (0.0, 0.0)
        point = (a * x + c * y + e, b * x + d * y + f)
        if kind == move or not parts:
            parts.append([point])
        else:
            parts[-1].append(point)
        if do.segment_closes(segment):
            parts[-1].append(parts[-1][0])
    for part in parts:
        if len(part) < 2:
            continue
        x0, x1 = min(p[0] for p in part), max(p[0] for p in part)
        y0, y1 = min(p[1] for p in part), max(p[1] for p in part)
        if min(x1 - x0, y1 - y0) <= THIN:
            _keep_box((x0, y0), (x1, y1), lines)
        elif stroked:
            for one, other in pairwise(part):
                _keep(one, other, lines)


def _keep_box(one: Point, other: Point, lines: Lines) -> None:
    """Add a thin box as its middle line."""
    (x0, y0), (x1, y1) = one, other
    if abs(x1 - x0) >= abs(y1 - y0):
        _keep((x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), lines)
    else:
        _keep(((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), lines)


def _keep(one: Point, other: Point, lines: Lines) -> None:
    (x0, y0), (x1, y1) = one, other
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        return
    if abs(y1 - y0) <= _STRAIGHT and abs(x1 - x0) >= _SHORTEST:
        lines.across.append(Line((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
    elif abs(x1 - x0) <= _STRAIGHT and abs(y1 - y0) >= _SHORTEST:
        lines.down.append(Line((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
