"""One run, seen: its graph with counts, its timeline, its steps in figures and the entries of its journal."""

import datetime as dt
import math
from collections.abc import Sequence

from citewell.workflow.drawing.look import PARTS, part_of
from citewell.workflow.drawing.mermaid import ARROWS, label, styled
from citewell.workflow.drawing.page import figure, graph_figure, page
from citewell.workflow.drawing.svg import Marks
from citewell.workflow.drawing.text import cut, duration, escaped, plural, preview
from citewell.workflow.drawing.timeline import draw_timeline
from citewell.workflow.drawing.trace import StepTally, Trace, observed, trace
from citewell.workflow.graph import GraphView
from citewell.workflow.journal import Entry, Outcome, RunStart

_ENDS = 400
"""How many of the first and of the last entries a long table has."""
_FAILURES = 200
"""How many failures in between it has as well."""
_PAYLOAD = 600
"""Characters of a payload, and of an error."""


def run_mermaid(view: GraphView, entries: Sequence[Entry], outcome: Outcome | None = None) -> str:
    """The graph with what happened in one run: counts along the edges, dots where nothing went, failures in red.

    A flowchart and not a sequence diagram: that would have a line for every event, and loops and parallel work, which
    workflows are made of, would be taken apart into hundreds of lines. This stays as large as the definition.
    """
    found = trace(view, None, entries, outcome)
    view, _ = observed(view, found)
    ids = {node.name: f"n{number}" for number, node in enumerate(view.nodes)}
    lines = ["flowchart TD"]
    kinds: dict[str, list[str]] = {}
    for node in view.nodes:
        left, right = PARTS[part_of(node.kind)].mermaid
        if left == "((":
            # Two lines do not fit into Mermaid's circles.
            left, right = "([", "])"
        note = label(_note(node.name, node.kind, found))
        lines.append(f'    {ids[node.name]}{left}"{label(node.name)}<br/>{note}"{right}')
        kinds.setdefault(_condition(node.name, node.kind, found) or part_of(node.kind), []).append(ids[node.name])
    for edge in view.edges:
        count = found.edges[edge.source, edge.target]
        arrow = f'{ARROWS[edge.kind]}|"{count}×"|' if count else "-.->"
        lines.append(f"    {ids[edge.source]} {arrow} {ids[edge.target]}")
    return "\n".join([*lines, *styled(kinds)]) + "\n"


def run_to_html(view: GraphView, run: RunStart, entries: Sequence[Entry], outcome: Outcome | None, title: str) -> str:
    """A page about one run. `outcome` is None while it goes on; equal arguments give equal pages.

    A long run is shown in part, and the page says which: see the constants of this module and of `timeline`.
    """
    found = trace(view, run, entries, outcome)
    steps = [node.name for node in view.nodes if node.kind == "step"]
    wider, added = observed(view, found)
    status = outcome.status if outcome is not None else "not ended"
    body = [
        f"<h1>{escaped(title)}</h1>",
        *_head(run, entries, outcome, found, status),
        "<h2>What happened where</h2>",
        *graph_figure(wider, f"{title}: graph of the run", _marks(wider, found, added)),
    ]
    if found.left_out:
        body.append(f"<p>{found.left_out:,} event types and connections beyond the definition have no room here.</p>")
    body += [
        "<h2>When</h2>",
        *figure(draw_timeline(found, steps, f"{title}: timeline", status), "Timeline"),
        '<p class="faint">Bars are attempts: blue succeeded, red with a cross failed, grey was over with the run, '
        "framed is a repeated attempt, hatched is waiting for a person. Strokes under them are the events a step "
        "emitted, short ones only for readers of the stream. A step with very many attempts shows how many worked at "
        "a time.</p>",
        "<h2>Steps</h2>",
        *_steps_table(steps, found),
        "<h2>Entries</h2>",
        *_entries_table(entries, found),
    ]
    return page(title, body)


def _head(run: RunStart, entries: Sequence[Entry], outcome: Outcome | None, found: Trace, status: str) -> list[str]:
    look = "open" if outcome is None else "" if outcome.status == "done" else " bad"
    facts = [
        f'<span class="state {look.strip()}">{escaped(status.replace("_", " "))}</span>',
        f"after {duration(found.span_s)}" if outcome is not None else f"{duration(found.span_s)} recorded",
        f"began {_moment(run.at)}",
        plural(len(entries), "entry").replace("entrys", "entries"),
    ]
    about = f"run {cut(run.run_id, 80)} of {cut(run.workflow, 80)}, definition {cut(run.definition, 40)}"
    if run.parent_run_id is not None:
        about += f", inside run {cut(run.parent_run_id, 80)}"
    lines = [f"<p>{' · '.join(facts)}</p>", f'<p class="faint"><code>{escaped(about)}</code></p>']
    if outcome is not None and outcome.error:
        text, more = outcome.error[:2000], len(outcome.error) > 2000
        lines.append(f"<pre>{escaped(text)}{'… (cut)' if more else ''}</pre>")
    return lines


def _moment(at: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(at, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


def _condition(name: str, kind: str, found: Trace) -> str:
    """How it went with a node, as a class of the style; "" for well."""
    tally = found.steps.get(name)
    if tally is not None and kind == "step":
        return "failed" if tally.failed else "uneven" if tally.errors else ""
    return "" if found.emitted[name] or found.streamed[name] or kind in ("external", "resource") else "idle"


def _note(name: str, kind: str, found: Trace) -> str:
    tally = found.steps.get(name)
    if kind == "step":
        if tally is None:
            return "not reached"
        parts = [f"{tally.received:,}×", duration(tally.busy_s)]
        if tally.errors:
            parts.append(
                f"{tally.errors:,} failed" if tally.failed else plural(tally.retries, "retry").replace("ys", "ies")
            )
        return " · ".join(parts)
    count, streamed = found.emitted[name], found.streamed[name]
    if not count and streamed:
        return f"{streamed:,}× in the stream"
    return f"{count:,}×" if count else "" if kind in ("external", "resource") else "not seen"


def _marks(view: GraphView, found: Trace, added: set[str]) -> Marks:
    classes: dict[str, str] = {}
    for node in view.nodes:
        names = [_condition(node.name, node.kind, found), "seen" if node.name in added else ""]
        classes[node.name] = " ".join(filter(None, names))
    most = max(found.edges.values(), default=1)
    edge_classes = {
        pair: "idle" if not found.edges[pair] else f"w{1 + _weight(found.edges[pair], most)}"
        for pair in ((edge.source, edge.target) for edge in view.edges)
    }
    return Marks(
        notes={node.name: _note(node.name, node.kind, found) for node in view.nodes},
        tips={name: _tip(tally) for name, tally in found.steps.items()},
        classes=classes,
        counts={pair: f"{count:,}" for pair, count in found.edges.items()},
        edge_classes=edge_classes,
    )


def _weight(count: int, most: int) -> int:
    """0, 1 or 2: how thick a line is, by the order of magnitude."""
    return round(2 * math.log(count) / math.log(most)) if most > 1 else 0


def _tip(tally: StepTally) -> str:
    return (
        f"received {tally.received:,}, attempts {tally.attempts:,}, errors {tally.errors:,}, "
        f"busy {duration(tally.busy_s)}, longest {duration(tally.longest_s)}"
    )


def _steps_table(steps: Sequence[str], found: Trace) -> list[str]:
    names = ("received", "attempts", "retries", "errors", "failed", "over with the run", "busy", "mean", "longest")
    head = "".join(f'<th class="n">{name}</th>' for name in names)
    lines = [f'<div class="wide"><table><thead><tr><th>step</th>{head}</tr></thead><tbody>']
    known = dict.fromkeys([*steps, *found.steps])
    for step in list(known)[:1000]:
        tally = found.steps.get(step, StepTally())
        counts = (tally.received, tally.attempts, tally.retries, tally.errors, tally.failed, tally.ended)
        spans = (tally.busy_s, tally.busy_s / tally.attempts if tally.attempts else 0.0, tally.longest_s)
        cells = [f"{count:,}" for count in counts] + [duration(span) for span in spans]
        row = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        failed = ' class="failed"' if tally.failed else ""
        lines.append(f'<tr{failed}><td class="id">{escaped(cut(step, 80))}</td>{row}</tr>')
    return [*lines, "</tbody></table></div>"]


def _entries_table(entries: Sequence[Entry], found: Trace) -> list[str]:
    """The entries, or of many the first, the last and failures in between, with a line for each gap."""
    shown = range(len(entries))
    lines: list[str] = []
    kept = list(shown)
    if len(entries) > 2 * _ENDS + _FAILURES:
        between = [place for place in shown[_ENDS:-_ENDS] if entries[place].error is not None][:_FAILURES]
        kept = [*shown[:_ENDS], *between, *shown[-_ENDS:]]
        lines.append(
            f"<p>{len(kept):,} of {len(entries):,} entries: the first {_ENDS}, the last {_ENDS}, and "
            f"{plural(len(between), 'failure')} in between. The journal has all of them.</p>"
        )
    linked = {entries[place].seq for place in kept}
    lines.append(
        '<div class="wide"><table><thead><tr><th class="n">seq</th><th class="n">after</th><th>kind</th>'
        '<th>step</th><th>event</th><th>because of</th><th class="n">took</th><th>details</th></tr></thead><tbody>'
    )
    before = -1
    for place in kept:
        if place != before + 1:
            lines.append(f'<tr class="gap"><td colspan="8">{place - before - 1:,} entries are not shown</td></tr>')
        before = place
        lines.append(_row(entries[place], found, linked))
    return [*lines, "</tbody></table></div>"]


def _row(entry: Entry, found: Trace, linked: set[int]) -> str:
    causes = [f'<a href="#e{seq}">{seq}</a>' if seq in linked else str(seq) for seq in entry.caused_by[:6]]
    if len(entry.caused_by) > 6:
        causes.append(f"and {len(entry.caused_by) - 6:,} more")
    kind = entry.kind if entry.attempt == 1 else f"{entry.kind}, attempt {entry.attempt}"
    took = duration(entry.duration_s) if entry.duration_s is not None and entry.kind == "step" else ""
    at = entry.at - found.began_at if math.isfinite(entry.at) else 0.0
    target = f" → {cut(entry.target, 60)}" if entry.target else ""
    name = cut(entry.event or entry.name or "", 60)
    return (
        f'<tr id="e{entry.seq}"{" class=" + chr(34) + "failed" + chr(34) if entry.error is not None else ""}>'
        f'<td class="n">{entry.seq}</td><td class="n">{duration(at)}</td><td class="word">{kind}</td>'
        f'<td class="id">{escaped(cut(entry.step or "outside", 60))}</td>'
        f'<td class="id">{escaped(name + target)}</td>'
        f'<td>{", ".join(causes)}</td><td class="n">{took}</td><td>{_details(entry)}</td></tr>'
    )


def _details(entry: Entry) -> str:
    parts: list[str] = []
    if entry.error is not None:
        more = "… (cut)" if len(entry.error) > _PAYLOAD else ""
        parts.append(f"<div>{escaped(entry.error[:_PAYLOAD])}{more}</div>")
    if entry.answers or entry.by:
        answered = f"answers {', '.join(entry.answers[:20])}" if entry.answers else "came"
        parts.append(f"<div>{escaped(cut(answered + (f' by {entry.by}' if entry.by else ''), 200))}</div>")
    if entry.kind == "wait" and entry.due is not None:
        parts.append(f"<div>until {_moment(entry.due)}</div>")
    for name, value in (("payload", entry.payload), ("state written", entry.state)):
        if value is not None:
            text, longer = preview(value, _PAYLOAD)
            cut_off = f"\n… cut after {_PAYLOAD} characters" if longer else ""
            parts.append(f"<details><summary>{name}</summary><pre>{escaped(text)}{cut_off}</pre></details>")
    if entry.state_deleted:
        parts.append(f"<div>state deleted: {escaped(cut(', '.join(entry.state_deleted[:20]), 200))}</div>")
    return "".join(parts)
