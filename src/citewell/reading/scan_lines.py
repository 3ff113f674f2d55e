"""Recognised lines set upright: turned and skewed pages are turned back, so that rows are level and columns plumb."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from citewell.reading.ocr import Line, Point, Quad, Word

_QUARTER = math.pi / 2


@dataclass(frozen=True, slots=True)
class Frame:
    """The turn, in radians clockwise, of a page's text against the picture it is in."""

    angle: float = 0.0

    def level(self, point: Point) -> Point:
        """Where a point of the picture is once the text is level."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return point[0] * cos + point[1] * sin, point[1] * cos - point[0] * sin


@dataclass(frozen=True, slots=True)
class Strip:
    """Text on one row of the level page: its box there, and the corners in the picture that it is made of."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    confidence: float
    words: tuple[Word, ...]
    quads: tuple[Quad, ...] = field(repr=False)

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def centre(self) -> float:
        return (self.x0 + self.x1) / 2


def frame_of(lines: Sequence[Line]) -> Frame:
    """The direction in which most of the text runs: a quarter turn, and the median skew of the longer lines."""
    weights: dict[int, float] = defaultdict(float)
    for line in lines:
        weights[_turn(line)] += len(line.text)
    if not weights:
        return Frame()
    turn = max(weights, key=lambda one: (weights[one], one == 0))
    skews = sorted(
        (_skew(line), len(line.text))
        for line in lines
        if _turn(line) == turn and math.dist(line.quad[0], line.quad[1]) > 4 * math.dist(line.quad[0], line.quad[3])
    )
    skew, half = 0.0, sum(weight for _, weight in skews) / 2
    for value, weight in skews:
        skew = value
        half -= weight
        if half <= 0:
            break
    return Frame(turn * _QUARTER + skew)


def level(lines: Iterable[Line], frame: Frame) -> tuple[list[Strip], list[Line]]:
    """Strips for the lines that run with the frame, and the lines that run otherwise (along a margin)."""
    strips: list[Strip] = []
    others: list[Line] = []
    for line in lines:
        off = (line.angle - frame.angle + math.pi) % (2 * math.pi) - math.pi
        if abs(off) > math.pi / 6:
            others.append(line)
            continue
        x, y = frame.level(
            (sum(corner[0] for corner in line.quad) / 4, sum(corner[1] for corner in line.quad) / 4),
        )
        width, height = math.dist(line.quad[0], line.quad[1]), math.dist(line.quad[0], line.quad[3])
        strips.append(
            Strip(
                line.text,
                x - width / 2,
                y - height / 2,
                x + width / 2,
                y + height / 2,
                line.confidence,
                line.words,
                (line.quad,),
            )
        )
    return strips, others


def rows_of(strips: Iterable[Strip]) -> list[list[Strip]]:
    """Strips as rows from top to bottom, each from left to right: of one row are those whose middles nearly agree."""
    rows: list[list[Strip]] = []
    for strip in sorted(strips, key=lambda one: one.middle):
        # The row's longest strip says where it is: a speck beside it must not drag it off.
        anchor = max(rows[-1], key=lambda one: one.width) if rows else None
        if anchor is not None and strip.middle - anchor.middle < 0.5 * min(strip.height, anchor.height):
            rows[-1].append(strip)
        else:
            rows.append([strip])
    return [sorted(row, key=lambda one: one.x0) for row in rows]


def joined(strips: Sequence[Strip]) -> Strip:
    """Strips of one row as one."""
    if len(strips) == 1:
        return strips[0]
    length = sum(len(one.text) for one in strips)
    return Strip(
        " ".join(one.text for one in strips),
        min(one.x0 for one in strips),
        min(one.y0 for one in strips),
        max(one.x1 for one in strips),
        max(one.y1 for one in strips),
        sum(one.confidence * len(one.text) for one in strips) / max(1, length),
        (),
        tuple(quad for one in strips for quad in one.quads),
    )


def parted(strip: Strip, edges: Sequence[float], least: float = -math.inf) -> list[Strip]:
    """The strip cut at those of `edges` (x) that no word of it stands across, where words are `least` pixels apart."""
    if len(strip.quads) != 1 or len(strip.words) < 2:
        return [strip]
    spans = [(strip.x0 + word.start * strip.width, strip.x0 + word.end * strip.width) for word in strip.words]
    slack = 0.25 * strip.height
    parts: list[Strip] = []
    first = 0
    for place in range(1, len(spans)):
        end, start = spans[place - 1][1], spans[place][0]
        if start - end >= least and any(end - slack <= edge <= start + slack for edge in edges):
            parts.append(_part(strip, first, place))
            first = place
    return [*parts, _part(strip, first, len(spans))] if first else [strip]


def _part(strip: Strip, first: int, last: int) -> Strip:
    words = strip.words[first:last]
    start, end = words[0].start, words[-1].end
    upper_left, upper_right, lower_right, lower_left = strip.quads[0]
    quad = (
        _between(upper_left, upper_right, start),
        _between(upper_left, upper_right, end),
        _between(lower_left, lower_right, end),
        _between(lower_left, lower_right, start),
    )
    scale = max(end - start, 1e-6)
    return replace(
        strip,
        text=" ".join(word.text for word in words),
        x0=strip.x0 + start * strip.width,
        x1=strip.x0 + end * strip.width,
        words=tuple(Word(word.text, (word.start - start) / scale, (word.end - start) / scale) for word in words),
        quads=(quad,),
    )


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _turn(line: Line) -> int:
    return round(line.angle / _QUARTER) % 4


def _skew(line: Line) -> float:
    return (line.angle + _QUARTER / 2) % _QUARTER - _QUARTER / 2
