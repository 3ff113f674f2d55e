"""A graph as SVG: text in boxes, arrows between them, and nothing that loads or runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from citewell.workflow.drawing.counts import controls, place_counts
from citewell.workflow.drawing.layout import Box, Layout, Pair, Point, Route, lay_out
from citewell.workflow.drawing.look import COLOURS, GRAPH, PARTS, part_of
from citewell.workflow.drawing.text import columns, cut, escaped, plural
from citewell.workflow.errors import WorkflowError
from citewell.workflow.graph import GraphView

_NAME_COLUMNS = 34
_COLUMN = 7.9
"""Pixels a column of the 13 px font takes, a little more than any common one needs."""
_SMALL = 6.7
"""The same for 11 px."""
_TIP = 8.0
_TIPS = {"list": ", any number at once", "failure": ", when it has failed", "resource": ", a resource"}


@dataclass(frozen=True, slots=True)
class Marks:
    """What is added to the graph: under names, along edges, as classes of the style; all but tips on one line."""

    notes: Mapping[str, str] = field(default_factory=dict)
    tips: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[Pair, str] = field(default_factory=dict)
    edge_classes: Mapping[Pair, str] = field(default_factory=dict)


PLAIN = Marks()


def to_svg(view: GraphView, title: str = "Workflow") -> str:
    """The graph as a file of its own, light or dark as the reader's system is."""
    return draw(view, title, style=COLOURS + GRAPH, standalone=True)


def place(view: GraphView, marks: Marks = PLAIN) -> Layout:
    """Where everything goes. Raises WorkflowError if an edge leads to or from a node that is not there."""
    sizes: dict[str, tuple[float, float]] = {}
    for node in view.nodes:
        note = marks.notes.get(node.name, "")
        width = max(columns(cut(node.name, _NAME_COLUMNS)) * _COLUMN, columns(note) * _SMALL)
        slant = 40 if node.kind in ("start", "stop", "external", "human") else 24
        sizes.setdefault(node.name, (max(width + slant, 64.0), 48.0 if marks.notes else 34.0))
    for edge in view.edges:
        for name in (edge.source, edge.target):
            if name not in sizes:
                raise WorkflowError(f"The edge {edge.source!r} → {edge.target!r} has no node {name!r}. Add the node.")
    starts = [node.name for node in view.nodes if node.kind == "start"]
    edges = [(edge.source, edge.target) for edge in view.edges]
    # A person's answer belongs after the question, though nothing inside the workflow leads there.
    people = [node.name for node in view.nodes if part_of(node.kind) == "human"]
    sent, taken = {target for _, target in edges}, {source for source, _ in edges}
    implied = {(one, other) for one in people if one not in taken for other in people if other not in sent}
    layout = lay_out(sizes, edges + [pair for pair in sorted(implied) if pair[0] != pair[1]], starts)
    return replace(layout, routes=tuple(one for one in layout.routes if (one.source, one.target) not in implied))


def draw(
    view: GraphView, title: str, marks: Marks = PLAIN, *, style: str = "", prefix: str = "g", standalone: bool = False
) -> str:
    """The graph as an svg element; `prefix` keeps its ids apart from others in a page."""
    layout = place(view, marks)
    kinds = {node.name: part_of(node.kind) for node in reversed(view.nodes)}
    number = {box.name: index for index, box in enumerate(layout.boxes)}
    ways = {(edge.source, edge.target): edge.kind for edge in view.edges if edge.kind != "event"}
    size = f'width="{layout.width:g}" height="{layout.height:g}" viewBox="0 0 {layout.width:g} {layout.height:g}"'
    space = 'xmlns="http://www.w3.org/2000/svg" ' if standalone else ""
    steps = sum(kind == "step" for kind in kinds.values())
    back = sum(route.back for route in layout.routes)
    about = (
        f"{plural(steps, 'step')}, {plural(len(kinds) - steps, 'event')}, {plural(len(layout.routes), 'connection')}"
    )
    loops = f", of which {back:,} lead back (dashed)" if back else ""
    lines = [
        f'<svg {space}class="graph" role="img" aria-labelledby="{prefix}-t {prefix}-d" {size}>',
        f'<title id="{prefix}-t">{escaped(title)}</title>',
        f'<desc id="{prefix}-d">Flow {"down" if layout.down else "to the right"}: {about}{loops}.</desc>',
    ]
    if style:
        lines.append(f"<style>{style}</style>")
    if standalone:
        lines.append('<rect width="100%" height="100%" style="fill:var(--page)"/>')
    for route in layout.routes:
        pair = (route.source, route.target)
        names = " ".join(
            filter(None, ["edge", "back" if route.back else "", ways.get(pair, ""), marks.edge_classes.get(pair, "")])
        )
        ends = f'data-s="{number[route.source]}" data-t="{number[route.target]}"'
        tip = escaped(f"{cut(route.source, 80)} → {cut(route.target, 80)}{_TIPS.get(ways.get(pair, ''), '')}")
        count = f": {escaped(marks.counts[pair])}" if pair in marks.counts else ""
        path, head = _arrow(route, layout.down)
        core = f'<path class="core" d="{path}"/>' if ways.get(pair) == "list" else ""
        shape = f'<path d="{path}"/>{core}<polygon points="{head}"/>'
        lines.append(f'<g class="{names}" {ends}><title>{tip}{count}</title>{shape}</g>')
    for box in layout.boxes:
        lines += _node(box, kinds[box.name], number[box.name], marks)
    lines += _counts(layout, number, marks, ways)
    lines.append("</svg>")
    return "\n".join(lines) + ("\n" if standalone else "")


def _node(box: Box, kind: str, number: int, marks: Marks) -> list[str]:
    names = " ".join(filter(None, ["node", kind, marks.classes.get(box.name, "")]))
    tip = marks.tips.get(box.name, "")
    about = escaped(f"{cut(box.name, 200)} ({PARTS[kind].title})" + (f"\n{tip}" if tip else ""))
    x, middle = box.x + box.width / 2, box.y + box.height / 2
    note = marks.notes.get(box.name, "")
    baseline = middle - 3 if note else middle + 4.5
    lines = [f'<g class="{names}" data-n="{number}"><title>{about}</title>', *_shape(box, kind)]
    lines.append(f'<text x="{x:g}" y="{baseline:g}">{escaped(cut(box.name, _NAME_COLUMNS))}</text>')
    if note:
        lines.append(f'<text class="note" x="{x:g}" y="{middle + 14:g}">{escaped(note)}</text>')
    return [*lines, "</g>"]


def _shape(box: Box, kind: str) -> list[str]:
    x, y, width, height = box.x, box.y, box.width, box.height
    if kind in ("human", "external"):
        # A slanted box is what a person puts in or takes out; a box with points at both sides is the outside.
        slant = 12
        corners = (
            [(x + slant, y), (x + width, y), (x + width - slant, y + height), (x, y + height)]
            if kind == "human"
            else [
                (x + slant, y), (x + width - slant, y), (x + width, y + height / 2),
                (x + width - slant, y + height), (x + slant, y + height), (x, y + height / 2),
            ]
        )  # fmt: skip
        return [f'<polygon class="shape" points="{_points(corners)}"/>']
    radius = {"step": 4.0, "resource": 0.0, "event": 14.0}.get(kind, height / 2)
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{min(radius, height / 2):g}"'
    frame = f'<rect class="shape" {place}/>'
    if kind != "stop":
        return [frame]
    inner = f'x="{x + 4:g}" y="{y + 4:g}" width="{width - 8:g}" height="{height - 8:g}" rx="{height / 2 - 4:g}"'
    return [frame, f'<rect class="inner" {inner}/>']


def _arrow(route: Route, down: bool) -> tuple[str, str]:
    """Path and tip of an edge; it ends along the flow, but one to its own box across it."""
    points = list(route.points)
    (x, y), before = points[-1], points[-2]
    if route.source == route.target:
        # The way back in stands across the flow.
        along, sign = not down, -1.0
    else:
        along, sign = down, (1.0 if (y > before[1] if down else x > before[0]) else -1.0)
    tip = _TIP * sign
    points[-1] = (x, y - 0.7 * tip) if along else (x - 0.7 * tip, y)
    head = (
        [(x, y), (x - _TIP / 2, y - tip), (x + _TIP / 2, y - tip)]
        if along
        else [(x, y), (x - tip, y - _TIP / 2), (x - tip, y + _TIP / 2)]
    )
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for one, other in pairwise(points):
        curve = "" if route.source == route.target else _bend(one, other, down)
        parts.append(f"{curve or 'L'}{other[0]:g} {other[1]:g}")
    return "".join(parts), _points(head)


def _bend(one: Point, other: Point, down: bool) -> str:
    if one[0 if down else 1] == other[0 if down else 1]:
        return ""
    first, second = controls(one, other, down)
    return f"C{first[0]:g} {first[1]:g} {second[0]:g} {second[1]:g} "


def _points(corners: list[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in corners)


def _counts(layout: Layout, number: Mapping[str, int], marks: Marks, ways: Mapping[Pair, str]) -> list[str]:
    # The line of a list is twice as broad, and a number so close would read as a part of it.
    room = {pair: 6.0 for pair, kind in ways.items() if kind == "list"}
    widths = {pair: columns(text) * _SMALL + room.get(pair, 0.0) for pair, text in marks.counts.items() if text}
    return [
        f'<text class="count" data-s="{number[pair[0]]}" data-t="{number[pair[1]]}" x="{x:g}" y="{y + 4:g}">'
        f"{escaped(marks.counts[pair])}</text>"
        for pair, (x, y) in place_counts(layout, widths).items()
    ]
