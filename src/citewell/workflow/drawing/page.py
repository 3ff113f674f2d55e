"""A page that needs nothing but itself: its policy lets no address be loaded, and only this module's script run."""

import base64
import hashlib
from collections.abc import Iterable, Sequence

from citewell.workflow.drawing.look import COLOURS, GRAPH, PARTS, part_of
from citewell.workflow.drawing.svg import PLAIN, Marks, draw
from citewell.workflow.drawing.text import cut, escaped, plural
from citewell.workflow.drawing.timeline import STYLE as TIMELINE
from citewell.workflow.graph import GraphEdge, GraphView

_PAGE = """\
*{box-sizing:border-box}
body{margin:0 auto;padding:20px 24px 60px;max-width:1180px;background:var(--page);color:var(--ink)}
body{font:15px/1.5 system-ui,sans-serif}
h1{font-size:22px;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:16px;margin:28px 0 8px}
p{margin:4px 0}
.faint{color:var(--faint)}
figure{margin:0}
.frame{overflow:auto;border:1px solid var(--rule);border-radius:6px;max-height:86vh}
.frame:focus-visible{outline:2px solid var(--back)}
.frame svg{display:block;margin:auto}
.tools{display:none;gap:4px;margin:0 0 6px}
.tools.on{display:flex}
button{font:inherit;font-size:13px;color:var(--ink);background:var(--panel)}
button{border:1px solid var(--rule);border-radius:4px;padding:2px 10px}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0;padding:0;list-style:none;font-size:13px;color:var(--faint)}
.key svg{vertical-align:-3px;margin-right:6px}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;vertical-align:top;padding:3px 10px 3px 0;border-bottom:1px solid var(--rule)}
td{overflow-wrap:anywhere}
td.id,td.word{overflow-wrap:break-word}
.wide{overflow-x:auto}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.id,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px}
tr.failed td{background:var(--failed)}
tr.gap td{text-align:center;color:var(--faint)}
tr:target td{background:var(--event)}
a{color:var(--step-line)}
pre{margin:4px 0;padding:8px;background:var(--panel);border-radius:4px;font-size:12px}
pre{white-space:pre-wrap;max-height:320px;overflow:auto}
summary{cursor:pointer}
.state{display:inline-block;padding:0 8px;border-radius:10px;border:1px solid var(--start-line);background:var(--start)}
.state.bad{border-color:var(--failed-line);background:var(--failed)}
.state.open{border-color:var(--step-line);background:var(--step)}
"""
STYLE = COLOURS + _PAGE + GRAPH + TIMELINE

# Without it the page shows the same: it only adds zoom and what belongs to the node under the pointer.
SCRIPT = """\
for (const figure of document.querySelectorAll("figure")) {
  const frame = figure.querySelector(".frame"), tools = figure.querySelector(".tools");
  const svg = frame.querySelector("svg");
  const width = svg.width.baseVal.value, height = svg.height.baseVal.value;
  let scale = 1;
  const zoom = (to) => {
    const x = (frame.scrollLeft + frame.clientWidth / 2) / scale;
    const y = (frame.scrollTop + frame.clientHeight / 2) / scale;
    scale = Math.min(Math.max(to, 0.1), 4);
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    frame.scrollLeft = x * scale - frame.clientWidth / 2;
    frame.scrollTop = y * scale - frame.clientHeight / 2;
  };
  const actions = {
    in: () => zoom(scale * 1.25),
    out: () => zoom(scale / 1.25),
    one: () => zoom(1),
    fit: () => zoom(Math.min(frame.clientWidth / width, innerHeight * 0.86 / height)),
  };
  tools.classList.add("on");
  tools.addEventListener("click", (event) => actions[event.target.dataset.do]?.());
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    const x = event.clientX + frame.scrollLeft, y = event.clientY + frame.scrollTop;
    const move = (next) => { frame.scrollLeft = x - next.clientX; frame.scrollTop = y - next.clientY; };
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  });
  if (!svg.classList.contains("graph")) {
    // The end of a run is looked for first, so a timeline is shown whole as long as it can be read.
    if (frame.clientWidth < width) zoom(Math.max(frame.clientWidth / width, 0.6));
    continue;
  }
  svg.addEventListener("pointerover", (event) => {
    const node = event.target.closest(".node");
    for (const lit of svg.querySelectorAll(".lit")) lit.classList.remove("lit");
    svg.classList.toggle("dim", !!node);
    if (!node) return;
    const near = new Set([node.dataset.n]);
    for (const edge of svg.querySelectorAll("[data-s]")) {
      if (edge.dataset.s !== node.dataset.n && edge.dataset.t !== node.dataset.n) continue;
      edge.classList.add("lit");
      near.add(edge.dataset.s).add(edge.dataset.t);
    }
    for (const other of svg.querySelectorAll(".node")) if (near.has(other.dataset.n)) other.classList.add("lit");
  });
  svg.addEventListener("pointerleave", () => svg.classList.remove("dim"));
}
"""


def to_html(view: GraphView, title: str) -> str:
    """The graph as a page of its own, with every step in words below it."""
    steps = [node.name for node in view.nodes if node.kind == "step"]
    body = [
        f"<h1>{escaped(title)}</h1>",
        f'<p class="faint">{plural(len(steps), "step")}, {plural(len(view.nodes) - len(steps), "event")}</p>',
        *graph_figure(view, title),
        "<h2>Steps</h2>",
        *steps_table(view, steps),
    ]
    return page(title, body)


def page(title: str, body: Iterable[str]) -> str:
    """A whole document around a body; what is foreign in the body must have been escaped."""
    policy = f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}"
    policy += "; base-uri 'none'; form-action 'none'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escaped(cut(title, 200))}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            f"<script>{SCRIPT}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _digest(text: str) -> str:
    # Narrower than 'unsafe-inline': should foreign text ever slip through, it still could not run.
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def figure(svg: str, name: str) -> list[str]:
    """An svg element in a frame that scrolls, with buttons to zoom once the script runs."""
    buttons = (
        ("out", "−", "Smaller"),
        ("one", "100 %", "Full size"),
        ("in", "+", "Larger"),
        ("fit", "Fit", "All of it"),
    )
    return [
        "<figure>",
        '<div class="tools">'
        + "".join(
            f'<button type="button" data-do="{do}" aria-label="{about}">{text}</button>' for do, text, about in buttons
        )
        + "</div>",
        f'<div class="frame" tabindex="0" role="region" aria-label="{escaped(name)}">',
        svg,
        "</div>",
        "</figure>",
    ]


def graph_figure(view: GraphView, title: str, marks: Marks = PLAIN) -> list[str]:
    """The graph in its frame, and what its shapes mean."""
    kinds = {part_of(node.kind) for node in view.nodes}
    shown = [(kind, part.title) for kind, part in PARTS.items() if kind in kinds]
    classes = set(" ".join(marks.classes.values()).split())
    shown += [(f"{kind} {name}", about) for name, kind, about in _CONDITIONS if name in classes]
    svg = draw(view, title, marks)
    ways = {edge.kind for edge in view.edges}
    lines = [(kind, about) for kind, about in _WAYS if kind in ways or (kind == "back" and 'class="edge back' in svg)]
    return [*figure(svg, "Graph"), *_key(shown, lines)]


_WAYS = (("list", "any number of events at once"), ("failure", "takes over after a failure"), ("back", "leads back"))


_CONDITIONS = (
    ("failed", "step", "failed"),
    ("uneven", "step", "failed, then succeeded"),
    ("idle", "event", "not reached"),
    ("seen", "event", "seen in the run, not in the definition"),
)


def _key(shown: Sequence[tuple[str, str]], ways: Sequence[tuple[str, str]]) -> list[str]:
    """What each class of shape, and of line, means."""
    lines = []
    for names, about in shown:
        kind = names.split()[0]
        radius = {"event": 5, "start": 8, "stop": 8}.get(kind, 2)
        inner = '<rect class="inner" x="4" y="4" width="18" height="10" rx="5"/>' if kind == "stop" else ""
        shape = f'<rect class="shape" x="1" y="1" width="24" height="16" rx="{radius}"/>{inner}'
        if kind in ("human", "external"):
            corners = "7,1 25,1 19,17 1,17" if kind == "human" else "7,1 19,1 25,9 19,17 7,17 1,9"
            shape = f'<polygon class="shape" points="{corners}"/>'
        lines.append(_item(f'<g class="{names}">{shape}</g>', about))
    for kind, about in ways:
        core = '<path class="core" d="M0 9H26"/>' if kind == "list" else ""
        lines.append(_item(f'<g class="edge {kind}"><path d="M0 9H26"/>{core}</g>', about))
    return ['<ul class="key">', *lines, "</ul>"]


def _item(drawn: str, about: str) -> str:
    return f'<li><svg class="graph" width="26" height="18" aria-hidden="true">{drawn}</svg>{about}</li>'


def steps_table(view: GraphView, steps: Sequence[str]) -> list[str]:
    """Every step with what it accepts and emits, for those who read rather than look."""
    lines = ['<div class="wide"><table><thead><tr><th>step</th><th>accepts</th><th>emits</th></tr></thead><tbody>']
    for step in steps:
        accepts = [_end(edge, edge.source) for edge in view.edges if edge.target == step]
        emits = [_end(edge, edge.target) for edge in view.edges if edge.source == step and edge.kind in _EMITTED]
        cells = "".join(
            f'<td class="id">{escaped(", ".join(names))}</td>' for names in ([cut(step, 80)], accepts, emits)
        )
        lines.append(f"<tr>{cells}</tr>")
    return [*lines, "</tbody></table></div>"]


_EMITTED = ("event", "list")


def _end(edge: GraphEdge, name: str) -> str:
    """One end of an edge in words."""
    said = {"list": "list[{}]", "failure": "failures of {}"}.get(edge.kind, "{}")
    return said.format(cut(name, 80))
