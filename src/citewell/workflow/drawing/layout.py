"""Where the nodes and edges of a graph go: in layers along the flow, with few crossings and no overlaps.

The layered method of Sugiyama, Tagawa and Toda (1981): turn loops, assign layers, give every long edge a place in
each layer it passes, reduce crossings by barycentres and by swaps of neighbours, then place each layer as close to
its neighbours as the distances allow. Everything goes by the order of the input, so equal graphs look equal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from citewell.workflow.drawing.order import Grid, layers, reduce_crossings, turned_edges

Point = tuple[float, float]
Pair = tuple[str, str]

GAP = 22.0
"""Between two boxes of one layer, in pixels."""
_LANE = 16.0
"""What a passing edge takes of a layer."""
_BETWEEN = 36.0
"""Between two layers, at least."""
_PORT = 14.0
"""Between two edges at one side of a box, at most."""
_LOOP = 26.0
"""How far an edge from a box to itself stands out."""
MARGIN = 16.0


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its top left corner and its size, in pixels."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Route:
    """An edge from the border of its source to that of its target.

    Two points at the same place across the flow are joined by a line, others by a curve that leaves and arrives along
    the flow; an edge from a box to itself is four corners. `back` means against the flow.
    """

    source: str
    target: str
    points: tuple[Point, ...]
    back: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes and routes in the order of the input. `down`: the flow goes down, else to the right."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    down: bool


def lay_out(sizes: Mapping[str, tuple[float, float]], edges: Sequence[Pair], starts: Sequence[str] = ()) -> Layout:
    """The layout that fits a page better: downwards, or to the right.

    `sizes` are widths and heights by name; `edges` join names of it and count once each; `starts` come first.
    """
    across = _lay_out(sizes, edges, starts, down=True)
    if across.width <= 1000:
        return across
    # A page scrolls down more easily than sideways.
    along = _lay_out(sizes, edges, starts, down=False)
    return min(across, along, key=lambda one: max(one.width / 1000, one.height / 1600))


def _lay_out(
    sizes: Mapping[str, tuple[float, float]], edges: Sequence[Pair], starts: Sequence[str], *, down: bool
) -> Layout:
    # Inside, the flow goes down: x is across the flow and y along it.
    names = list(sizes)
    number = {name: index for index, name in enumerate(names)}
    pairs = list(dict.fromkeys((number[source], number[target]) for source, target in edges))
    turned = turned_edges(len(names), pairs, [number[name] for name in starts])
    flow = [(b, a) if (a, b) in turned else (a, b) for a, b in pairs]
    between = [pair for pair in flow if pair[0] != pair[1]]
    grid = Grid(layers(len(names), between, [number[name] for name in starts]), flow)
    reduce_crossings(grid)
    loops = {a for a, b in pairs if a == b}
    wide, tall = [], []
    for index, name in enumerate(names):
        width, height = sizes[name] if down else sizes[name][::-1]
        # Room for every edge at the busier side.
        busiest = max(len(grid.above[index]), len(grid.below[index]))
        wide.append(max(width, min(busiest * 9.0 + 14, 420.0)))
        tall.append(height)
    ports = _ports(grid, wide)
    x = _across(grid, wide, loops, ports)
    top = _along(grid, x, tall)
    boxes = [
        Box(name, x[i] - wide[i] / 2, top[grid.layer[i]][0] + (top[grid.layer[i]][1] - tall[i]) / 2, wide[i], tall[i])
        for i, name in enumerate(names)
    ]
    rows = [top[layer] for layer in grid.layer]
    routes: list[Route] = []
    for index, (a, b) in enumerate(pairs):
        if a == b:
            points = _loop(boxes[a])
        else:
            first, last = grid.chains[index][0], grid.chains[index][-1]
            leaves = (x[first] + ports[first, index], boxes[first].y + boxes[first].height)
            arrives = (x[last] + ports[last, index], boxes[last].y)
            points = _through(grid.chains[index], leaves, arrives, x, rows)
            if (a, b) in turned:
                points.reverse()
        routes.append(Route(names[a], names[b], tuple(points), (a, b) in turned))
    return _framed(boxes, routes, down)


def _across(grid: Grid, wide: Sequence[float], loops: set[int], ports: Mapping[tuple[int, int], float]) -> list[float]:
    """The centre of every node across the flow."""

    def half(node: int) -> float:
        return wide[node] / 2 if node < grid.real else 0.0

    def apart(left: int, right: int) -> float:
        gap = GAP if left < grid.real and right < grid.real else _LANE
        return half(left) + half(right) + gap + (_LOOP if left in loops else 0.0)

    x = [0.0] * len(grid.layer)
    for row in grid.rows:
        for left, right in pairwise(row):
            x[right] = x[left] + apart(left, right)
        middle = (x[row[0]] + x[row[-1]]) / 2 if row else 0.0
        for node in row:
            x[node] -= middle

    def settle(rows: Sequence[list[int]], sides: Callable[[int], list[tuple[int, int]]]) -> None:
        for row in rows:
            wanted, weights = [], []
            for node in row:
                # An edge is straight when its two ports are in line, not the two centres.
                pulls = [
                    (x[other] + ports.get((other, edge), 0.0) - ports.get((node, edge), 0.0), _pull(grid, node, other))
                    for other, edge in sides(node)
                ]
                weight = sum(pull for _, pull in pulls)
                wanted.append(sum(at * pull for at, pull in pulls) / weight if pulls else x[node])
                weights.append(weight if pulls else 0.1)
            for node, at in zip(row, _apart(wanted, weights, row, apart), strict=True):
                x[node] = at

    for _ in range(10):
        settle(grid.rows, lambda node: grid.above[node])
        settle(grid.rows[::-1], lambda node: grid.below[node])
    for _ in range(20):
        settle(grid.rows, lambda node: grid.above[node] + grid.below[node])
        settle(grid.rows[::-1], lambda node: grid.above[node] + grid.below[node])
    for chain in _chains(grid):
        _straighten(grid, x, chain, apart)
    return x


def _chains(grid: Grid) -> list[list[int]]:
    """What should be one straight line, the longest first: nodes with one neighbour each way, and passing edges."""
    found = [chain[1:-1] for chain in grid.chains if len(chain) > 3]
    follows = {
        node: grid.below[node][0][0]
        for node in range(grid.real)
        if len(grid.below[node]) == 1 and grid.below[node][0][0] < grid.real
        if len(grid.above[grid.below[node][0][0]]) == 1
    }
    for node in follows.keys() - follows.values():
        chain = [node]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        found.append(chain)
    return sorted(found, key=lambda chain: (-len(chain), chain))


def _straighten(grid: Grid, x: list[float], chain: Sequence[int], apart: Callable[[int, int], float]) -> None:
    """Bring the nodes of a chain into one line, as near to where they are as their neighbours leave room for."""
    low, high = float("-inf"), float("inf")
    for node in chain:
        row, place = grid.rows[grid.layer[node]], grid.place[node]
        if place > 0:
            low = max(low, x[row[place - 1]] + apart(row[place - 1], node))
        if place + 1 < len(row):
            high = min(high, x[row[place + 1]] - apart(node, row[place + 1]))
    if low <= high:
        middle = min(max(sum(x[node] for node in chain) / len(chain), low), high)
        for node in chain:
            x[node] = middle


def _pull(grid: Grid, one: int, other: int) -> float:
    # Long edges are straight where they pass, and chains are; what has several neighbours gives way.
    if one >= grid.real and other >= grid.real:
        return 12.0
    upper, lower = (one, other) if grid.layer[one] < grid.layer[other] else (other, one)
    alone = len(grid.below[upper]) == 1, len(grid.above[lower]) == 1
    return (1.0, 2.0, 8.0)[sum(alone)]


def _apart(
    wanted: Sequence[float], weights: Sequence[float], row: Sequence[int], apart: Callable[[int, int], float]
) -> list[float]:
    """The places nearest to the wanted ones (weighted least squares) that keep order and distances.

    Pool adjacent violators: neighbours that would overlap move as one block.
    """
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + apart(left, right))
    blocks: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, mass, size = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, many = blocks.pop()
            mean = (before * heavy + mean * mass) / (heavy + mass)
            mass, size = mass + heavy, size + many
        blocks.append((mean, mass, size))
    bases = [mean for mean, _, size in blocks for _ in range(size)]
    return [base + offset for base, offset in zip(bases, offsets, strict=False)]


def _along(grid: Grid, x: Sequence[float], tall: Sequence[float]) -> list[tuple[float, float]]:
    """Start and thickness of each layer; layers with edges that go far sideways stand further apart."""
    found: list[tuple[float, float]] = []
    y = 0.0
    for row in grid.rows:
        thick = max((tall[node] for node in row if node < grid.real), default=0.0)
        found.append((y, thick))
        reach = max((abs(x[node] - x[other]) for node in row for other, _ in grid.below[node]), default=0.0)
        y += thick + min(_BETWEEN + reach * 0.1, 2.6 * _BETWEEN)
    return found


def _ports(grid: Grid, wide: Sequence[float]) -> dict[tuple[int, int], float]:
    """Where each edge meets the boxes at its ends, from the middle of the box, by (node, edge)."""
    found: dict[tuple[int, int], float] = {}
    for node in range(grid.real):
        for beside in (grid.above[node], grid.below[node]):
            # Two edges between one pair keep their order at both ends, side by side.
            order = sorted(beside, key=lambda link: (grid.place[link[0]], link[1]))
            step = min(_PORT, (wide[node] - 14) / max(len(order) - 1, 1))
            for place, (_, index) in enumerate(order):
                found[node, index] = (place - (len(order) - 1) / 2) * step
    return found


def _through(
    chain: Sequence[int], leaves: Point, arrives: Point, x: Sequence[float], rows: Sequence[tuple[float, float]]
) -> list[Point]:
    """The way of one edge down its layers: it bends only between them, where no box is."""
    points = [leaves, (leaves[0], sum(rows[chain[0]]))]
    for node in chain[1:-1]:
        points += [(x[node], rows[node][0]), (x[node], sum(rows[node]))]
    points += [(arrives[0], rows[chain[-1]][0]), arrives]
    return [point for place, point in enumerate(points) if place == 0 or point != points[place - 1]]


def _loop(box: Box) -> list[Point]:
    right, middle, half = box.x + box.width, box.y + box.height / 2, min(box.height / 2 - 4, 9.0)
    far = right + _LOOP - 6
    return [(right, middle - half), (far, middle - half), (far, middle + half), (right, middle + half)]


def _framed(boxes: Sequence[Box], routes: Sequence[Route], down: bool) -> Layout:
    """Everything moved to begin at the margin, and turned if the flow goes to the right."""
    left = min([box.x for box in boxes] + [x for route in routes for x, _ in route.points], default=0.0) - MARGIN
    right = max([box.x + box.width for box in boxes] + [x for route in routes for x, _ in route.points], default=0.0)
    low = max((box.y + box.height for box in boxes), default=0.0)

    def at(x: float, y: float) -> Point:
        x, y = round(x - left, 1), round(y + MARGIN, 1)
        return (x, y) if down else (y, x)

    placed = []
    for box in boxes:
        x, y = at(box.x, box.y)
        width, height = round(box.width, 1), round(box.height, 1)
        placed.append(Box(box.name, x, y, *((width, height) if down else (height, width))))
    ways = [Route(r.source, r.target, tuple(at(*point) for point in r.points), r.back) for r in routes]
    width, height = at(right + MARGIN, low + MARGIN)
    return Layout(width, height, tuple(placed), tuple(ways), down)
