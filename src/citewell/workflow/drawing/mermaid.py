"""A graph as Mermaid flowchart text, which many pages and editors draw."""

import re

from citewell.workflow.drawing.look import LIGHT, PARTS, part_of
from citewell.workflow.drawing.text import clean
from citewell.workflow.graph import GraphView

_NAME_CHARACTERS = 120
_FILLS = {
    "step": "step", "event": "event", "start": "start", "stop": "start", "human": "human", "external": "human",
    "resource": "resource", "failed": "failed", "uneven": "uneven",
}  # fmt: skip


ARROWS = {"event": "-->", "list": "==>", "failure": "--x", "resource": "-.->"}
"""By `GraphEdge.kind`: thick for lists, with a cross where a failure leads."""


def to_mermaid(view: GraphView) -> str:
    """The graph: steps as boxes, events rounded, start and stop as circles, events from or to a person slanted.

    Lists of events go along thick arrows; an arrow with a cross leads to the step that takes over after a failure.
    """
    ids = {node.name: f"n{number}" for number, node in enumerate(view.nodes)}
    lines = ["flowchart TD"]
    for node in view.nodes:
        left, right = PARTS[part_of(node.kind)].mermaid
        lines.append(f'    {ids[node.name]}{left}"{label(node.name)}"{right}')
    lines += [f"    {ids[edge.source]} {ARROWS[edge.kind]} {ids[edge.target]}" for edge in view.edges]
    kinds: dict[str, list[str]] = {}
    for node in view.nodes:
        kinds.setdefault(part_of(node.kind), []).append(ids[node.name])
    return "\n".join([*lines, *styled(kinds)]) + "\n"


def styled(classes: dict[str, list[str]]) -> list[str]:
    """The lines that give the nodes of each class its colours; "idle" is for what did not happen."""
    lines: list[str] = []
    for name, members in classes.items():
        if name == "idle":
            look = f"fill:{LIGHT['page']},stroke:{LIGHT['faint']},color:{LIGHT['faint']},stroke-dasharray:3 3"
        else:
            key = _FILLS[name]
            look = f"fill:{LIGHT[key]},stroke:{LIGHT[key + '-line']},color:{LIGHT['ink']}"
        lines += [f"    classDef {name}Node {look}", f"    class {','.join(members)} {name}Node"]
    return lines


def label(text: str) -> str:
    """Foreign text for the inside of quotes: every mark that Mermaid, Markdown or HTML may read goes by number."""
    short = " ".join(clean(text[: _NAME_CHARACTERS + 1]).split())
    if len(text) > _NAME_CHARACTERS:
        short = short[:_NAME_CHARACTERS] + "…"
    return re.sub(r"[^\w .,:×…\ufffd-]", lambda found: f"#{ord(found[0])};", short) or "#160;"
