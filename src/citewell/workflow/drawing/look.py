"""How a drawing looks: the part a node plays, and its colours on light and on dark pages."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Part:
    """What a kind of node is called, and the brackets of its shape in Mermaid."""

    title: str
    mermaid: tuple[str, str]


PARTS: Final = {
    "start": Part("start event", ("((", "))")),
    "step": Part("step", ("[", "]")),
    "event": Part("event", ("(", ")")),
    "human": Part("event from or to a person", ("[/", "/]")),
    "external": Part("outside of the workflow", ("{{", "}}")),
    "resource": Part("resource", ("[(", ")]")),
    "stop": Part("stop event", ("((", "))")),
}
"""By `GraphNode.kind`; a kind that is not here is drawn as an event."""


def part_of(kind: str) -> str:
    """The key into PARTS for the kind of a node."""
    return kind if kind in PARTS else "event"


LIGHT: Final = {
    "page": "#ffffff", "ink": "#1b1f24", "faint": "#57606a", "rule": "#d5dae0", "panel": "#f5f7f9",
    "edge": "#6a737d", "back": "#6b4fbb",
    "step": "#e6effc", "step-line": "#2f5fb3", "event": "#fff6dd", "event-line": "#8f6500",
    "start": "#e2f4e6", "start-line": "#26753a", "human": "#f7e8fc", "human-line": "#8a3fa8",
    "resource": "#eceff2", "resource-line": "#57606a",
    "failed": "#fde3e1", "failed-line": "#b3261e", "uneven": "#ffe9cf", "uneven-line": "#a65200",
    "bar": "#3f74cc", "wait": "#8a3fa8", "idle": "#8b949e",
}  # fmt: skip
DARK: Final = {
    "page": "#14171b", "ink": "#e8eaed", "faint": "#a9b1ba", "rule": "#343a42", "panel": "#1c2026",
    "edge": "#9aa4ae", "back": "#b9a5f5",
    "step": "#1d2e4d", "step-line": "#7fa8f0", "event": "#372d14", "event-line": "#d9ad4a",
    "start": "#16331e", "start-line": "#6cc483", "human": "#372142", "human-line": "#cf8fe6",
    "resource": "#262b31", "resource-line": "#a9b1ba",
    "failed": "#471c1a", "failed-line": "#ff8a80", "uneven": "#43290e", "uneven-line": "#ffb366",
    "bar": "#6f9df0", "wait": "#cf8fe6", "idle": "#7d8690",
}  # fmt: skip
INK_ON: Final = ("page", "panel", "step", "event", "start", "human", "resource", "failed", "uneven")
"""What text in `ink` stands on."""


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


COLOURS: Final = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}\n"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}\n"
)

MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

_NODES: Final = "".join(
    f".{name}>.shape{{fill:var(--{key});stroke:var(--{key}-line)}}\n"
    for name, key in (
        ("step", "step"), ("event", "event"), ("start", "start"), ("stop", "start"), ("human", "human"),
        ("external", "human"), ("resource", "resource"), ("failed", "failed"), ("uneven", "uneven"),
    )
)  # fmt: skip

GRAPH: Final = f"""\
.graph text{{font:13px {MONO};fill:var(--ink);text-anchor:middle}}
.graph text.note{{font-size:11px}}
.graph text.count{{font-size:11px;paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}}
.shape{{stroke-width:1.5}}
{_NODES}.step>.shape{{stroke-width:2}}
.stop>.inner{{fill:none;stroke:var(--start-line)}}
.external>.shape,.seen>.shape{{stroke-dasharray:5 3}}
.failed>.shape{{stroke-width:3}}
.idle>.shape{{fill:var(--page);stroke-dasharray:3 3}}
.edge path{{fill:none;stroke:var(--edge);stroke-width:1.5}}
.edge polygon{{fill:var(--edge)}}
.back path{{stroke:var(--back);stroke-dasharray:7 4}}
.back polygon{{fill:var(--back)}}
.failure path{{stroke:var(--failed-line);stroke-dasharray:1 3}}
.failure polygon{{fill:var(--failed-line)}}
.resource path{{stroke-dasharray:1 4}}
.idle path{{stroke-dasharray:2 4}}
.w2 path{{stroke-width:2.2}}
.w3 path{{stroke-width:3}}
.list path{{stroke-width:4.4}}
.list.w2 path{{stroke-width:5.4}}
.list.w3 path{{stroke-width:6.6}}
.list path.core{{stroke:var(--page);stroke-width:1.8;stroke-dasharray:none}}
.graph.dim .node,.graph.dim .edge,.graph.dim .count{{opacity:.25}}
.graph.dim .lit{{opacity:1}}
"""
