"""The graph of a run as its record has it, for those who have the record and not the code."""

import re
from collections.abc import Mapping

from citewell.workflow.graph import EdgeKind, GraphEdge, GraphNode, GraphView, NodeKind

_WIRING = re.compile(r"\((?P<accepts>[^\s)]*)(?P<gathers> [^>]*)?\)->(?P<emits>\S+) ")
_KINDS: dict[str, NodeKind] = {
    "StartEvent": "start",
    "StopEvent": "stop",
    "InputRequiredEvent": "human",
    "HumanResponseEvent": "human",
}


def recorded_view(code: Mapping[str, str]) -> GraphView:
    """The graph that `RunStart.code` tells of: steps, the events they take and emit, and which go as lists.

    What it does not tell, such as handlers of failures, comes into the drawing from what the run did.
    """
    bases = {
        name.removeprefix("event "): what.partition("(")[0] for name, what in code.items() if name.startswith("event ")
    }
    nodes: dict[str, GraphNode] = {}
    edges: dict[tuple[str, str], GraphEdge] = {}
    for name, what in code.items():
        wiring = _WIRING.match(what)
        if not name.startswith("step ") or wiring is None:
            continue
        step = name.removeprefix("step ")
        nodes[step] = GraphNode(step, "step")
        into: EdgeKind = "list" if wiring["gathers"] else "event"
        for event in filter(None, wiring["accepts"].split("|")):
            nodes.setdefault(event, GraphNode(event, _kind(event, bases)))
            edges[event, step] = GraphEdge(event, step, into)
        for written in wiring["emits"].split("|"):
            listed = written.startswith("list[")
            event = written[5:-1] if listed else written
            if event != "None":
                nodes.setdefault(event, GraphNode(event, _kind(event, bases)))
                edges[step, event] = GraphEdge(step, event, "list" if listed else "event")
    return GraphView(tuple(nodes.values()), tuple(edges.values()))


def _kind(event: str, bases: Mapping[str, str]) -> NodeKind:
    seen: set[str] = set()
    while event not in seen:
        kind = _KINDS.get(event.removeprefix("Plain"))
        if kind is not None:
            return kind
        seen.add(event)
        event = bases.get(event, event)
    return "event"
