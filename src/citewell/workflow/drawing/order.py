"""The order of a layered drawing: which edges lead back, the layer of each node, and few crossings."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise


def turned_edges(count: int, pairs: Sequence[tuple[int, int]], starts: Sequence[int]) -> set[tuple[int, int]]:
    """The edges that close a loop when one walks from the starts, then from nodes that nothing leads to."""
    following: list[list[int]] = [[] for _ in range(count)]
    entered = set()
    for a, b in pairs:
        following[a].append(b)
        if a != b:
            entered.add(b)
    order = [*starts, *(node for node in range(count) if node not in entered), *range(count)]
    done, open_, found = set[int](), set[int](), set[tuple[int, int]]()
    for root in order:
        if root in done:
            continue
        open_.add(root)
        walk = [(root, iter(following[root]))]
        while walk:
            node, rest = walk[-1]
            for other in rest:
                if other in open_:
                    if other != node:
                        found.add((node, other))
                elif other not in done:
                    open_.add(other)
                    walk.append((other, iter(following[other])))
                    break
            else:
                walk.pop()
                open_.discard(node)
                done.add(node)
    return found


def layers(count: int, flow: Sequence[tuple[int, int]], starts: Sequence[int]) -> list[int]:
    """A layer for each node, so that every edge leads to a later one.

    What the starts lead to comes as early as it can; what leads into it from elsewhere, as late as it can.
    """
    into: list[list[int]] = [[] for _ in range(count)]
    out: list[list[int]] = [[] for _ in range(count)]
    for a, b in flow:
        out[a].append(b)
        into[b].append(a)
    waiting = [len(one) for one in into]
    order = [node for node in range(count) if not waiting[node]]
    led = set(starts or order)
    layer = [0] * count
    for node in order:
        for other in out[node]:
            if node in led:
                led.add(other)
            layer[other] = max(layer[other], layer[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                order.append(other)
    for node in reversed(order):
        if out[node] and (node not in led or len(out[node]) > len(into[node]) > 0):
            layer[node] = min(layer[other] for other in out[node]) - 1
    return layer


class Grid:
    """Nodes and, after them, the passing places of long edges; `rows` are the layers in their order across."""

    def __init__(self, layer: list[int], flow: Sequence[tuple[int, int]]) -> None:
        self.real = len(layer)
        self.layer = list(layer)
        self.chains: list[list[int]] = []
        links: list[tuple[int, int, int]] = []
        for index, (a, b) in enumerate(flow):
            chain = [a]
            for place in range(layer[a] + 1, layer[b]):
                chain.append(len(self.layer))
                self.layer.append(place)
            chain.append(b)
            self.chains.append(chain)
            if a != b:
                links += [(index, upper, lower) for upper, lower in pairwise(chain)]
        # Neighbours with the edge they belong to: two edges may join the same pair.
        self.above: list[list[tuple[int, int]]] = [[] for _ in self.layer]
        self.below: list[list[tuple[int, int]]] = [[] for _ in self.layer]
        for index, upper, lower in links:
            self.below[upper].append((lower, index))
            self.above[lower].append((upper, index))
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for node in _walked(self):
            self.rows[self.layer[node]].append(node)
        self.place = [0] * len(self.layer)
        self.number()

    def number(self) -> None:
        """Follow a change of `rows`."""
        for row in self.rows:
            for place, node in enumerate(row):
                self.place[node] = place

    def crossings(self) -> int:
        """How many pairs of edges cross."""
        total = 0
        for row in self.rows:
            seen: list[int] = []
            for node in row:
                ends = sorted(self.place[other] for other, _ in self.below[node])
                total += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total


def _walked(grid: Grid) -> list[int]:
    """All nodes, depth first from the first: what belongs together begins side by side."""
    order: dict[int, None] = {}
    for root in sorted(range(len(grid.layer)), key=lambda node: grid.layer[node]):
        stack = [root]
        while stack:
            node = stack.pop()
            if node not in order:
                order[node] = None
                stack += [other for other, _ in reversed(grid.below[node])]
    return list(order)


def reduce_crossings(grid: Grid) -> None:
    _swap(grid)
    best, rows = grid.crossings(), [list(row) for row in grid.rows]
    for sweep in range(24):
        if best == 0:
            break
        downwards = sweep % 2 == 0
        beside = grid.above if downwards else grid.below
        for row in grid.rows if downwards else reversed(grid.rows):
            # Equal ones change places in every other pair of sweeps: that leads out of some dead ends.
            if sweep % 4 > 1:
                row.reverse()
            row.sort(key=lambda node: _barycentre(grid, beside, node))
            for place, node in enumerate(row):
                grid.place[node] = place
        _swap(grid)
        count = grid.crossings()
        if count < best:
            best, rows = count, [list(row) for row in grid.rows]
    grid.rows = rows
    grid.number()


def _barycentre(grid: Grid, beside: Sequence[Sequence[tuple[int, int]]], node: int) -> float:
    places = [grid.place[other] for other, _ in beside[node]]
    return sum(places) / len(places) if places else grid.place[node]


def _swap(grid: Grid) -> None:
    """Exchange neighbours of a layer wherever that has fewer crossings."""
    for _ in range(24):
        changed = False
        for row in grid.rows:
            for left in range(len(row) - 1):
                a, b = row[left], row[left + 1]
                if _crossed(grid, a, b) > _crossed(grid, b, a):
                    row[left], row[left + 1] = b, a
                    grid.place[a], grid.place[b] = left + 1, left
                    changed = True
        if not changed:
            return


def _crossed(grid: Grid, left: int, right: int) -> int:
    """How often edges of two nodes cross when the first is left of the second."""
    return sum(
        grid.place[one] > grid.place[other]
        for beside in (grid.above, grid.below)
        for one, _ in beside[left]
        for other, _ in beside[right]
    )
