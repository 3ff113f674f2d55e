"""Where the numbers along edges stand: beside their own line, off boxes, other lines and other numbers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from citewell.workflow.drawing.layout import Box, Layout, Pair, Point, Route

Frame = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_CELL = 16.0
_HALF_HEIGHT = 6.5


def controls(one: Point, other: Point, down: bool) -> tuple[Point, Point]:
    """The inner points of the curve between two points of a route."""
    half = round((one[1] + other[1]) / 2 if down else (one[0] + other[0]) / 2, 1)
    return ((one[0], half), (other[0], half)) if down else ((half, one[1]), (half, other[1]))


def place_counts(layout: Layout, widths: Mapping[Pair, float]) -> dict[Pair, Point]:
    """The middle of each number, by edge, for numbers of these widths in pixels."""
    solid = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in layout.boxes]
    lines: dict[tuple[int, int], list[Point]] = {}
    for route in layout.routes:
        x, y = route.points[-1]
        # The tip of an arrow must not be covered: it says which way.
        solid.append((x - 9, y - 9, x + 9, y + 9))
        for x, y in _drawn(route, layout.down):
            lines.setdefault((int(x // _CELL), int(y // _CELL)), []).append((x, y))
    boxes = {box.name: box for box in layout.boxes}
    found: dict[Pair, Point] = {}
    for route in layout.routes:
        pair = (route.source, route.target)
        if pair not in widths:
            continue
        half = widths[pair] / 2
        best: tuple[float, Point, Frame] | None = None
        own = route.source == route.target
        places = _around(route, boxes[route.source], layout.down, half) if own else _beside(route, layout.down, half)
        for malus, (x, y) in places:
            frame = (x - half, y - _HALF_HEIGHT, x + half, y + _HALF_HEIGHT)
            cost = malus + sum(_shared(frame, other) for other in solid) + 5.0 * _covered(frame, lines)
            if frame[0] < 0 or frame[1] < 0 or frame[2] > layout.width or frame[3] > layout.height:
                cost += 1e6
            if best is None or cost < best[0]:
                best = (cost, (round(x, 1), round(y, 1)), frame)
        assert best is not None
        found[pair] = best[1]
        solid.append(best[2])
    return found


def _beside(route: Route, down: bool, half: float) -> Iterator[tuple[float, Point]]:
    """Places right and left of a line that goes down, or above and below one to the right; lower malus is better."""
    legs = list(pairwise(route.points))
    for one, other in legs:
        length = abs(one[0] - other[0]) + abs(one[1] - other[1])
        if length < 8 and len(legs) > 1:
            continue
        for t in (0.5, 0.35, 0.65, 0.2, 0.8):
            x, y = _at(one, other, t, down)
            # In the middle of a long leg first: near a box a number might be read as that of another edge.
            malus = 16 * abs(t - 0.5) - min(length, 120.0) / 40
            for side in (1, -1):
                for off in (3, 8):
                    at = (x + side * (half + off), y) if down else (x, y - side * (_HALF_HEIGHT + off - 1))
                    yield malus + (side < 0) + off / 2, at


def _around(route: Route, box: Box, down: bool, half: float) -> Iterator[tuple[float, Point]]:
    """Places past the line of a box to itself, and beside it where no box of the same layer is."""
    xs, ys = [x for x, _ in route.points], [y for _, y in route.points]
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    off = _HALF_HEIGHT + 1.5
    if not down:
        yield 0.0, (x, max(ys) + off)
        yield 1.0, (max(xs) + 3 + half, y)
        yield 2.0, (min(xs) - 3 - half, y)
        return
    yield 0.0, (max(xs) + 3 + half, y)
    for malus, (centre, shift) in enumerate(((x, 0.0), (box.x + box.width - half, 1.0)), 1):
        yield malus + shift, (centre, box.y - off)
        yield malus + shift + 0.5, (centre, box.y + box.height + off)


def _at(one: Point, other: Point, t: float, down: bool) -> Point:
    first, second = controls(one, other, down)
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    ends = (one, first, second, other)
    return (
        sum(weight * end[0] for weight, end in zip(weights, ends, strict=True)),
        sum(weight * end[1] for weight, end in zip(weights, ends, strict=True)),
    )


def _drawn(route: Route, down: bool) -> Iterator[Point]:
    """Points of the line, close together."""
    for one, other in pairwise(route.points):
        count = int((abs(one[0] - other[0]) + abs(one[1] - other[1])) / 4) + 1
        for step in range(count + 1):
            yield _at(one, other, step / count, down)


def _covered(frame: Frame, lines: Mapping[tuple[int, int], Sequence[Point]]) -> int:
    """How many points of lines there are in a frame; `lines` has them by cell."""
    left, top, right, bottom = (int(edge // _CELL) for edge in frame)
    return sum(
        frame[0] - 2 < x < frame[2] + 2 and frame[1] - 1 < y < frame[3] + 1
        for column in range(left, right + 1)
        for row in range(top, bottom + 1)
        for x, y in lines.get((column, row), ())
    )


def _shared(one: Frame, other: Frame) -> float:
    """The area two frames have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
