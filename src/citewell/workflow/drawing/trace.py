"""What one run did, counted from its journal: how often edges were taken, when steps worked, who was waited for."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from citewell.workflow.drawing.layout import Pair
from citewell.workflow.drawing.look import part_of
from citewell.workflow.graph import GraphEdge, GraphNode, GraphView
from citewell.workflow.journal import Entry, Outcome, RunStart
from citewell.workflow.wait import key_of

End = Literal["done", "failed", "ended"]
"""How an attempt came out; "ended" is neither success nor failure: the run was over before it was."""

_SEEN_NODES = 40
_SEEN_EDGES = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt of a step, in seconds from the beginning of the run."""

    seq: int
    step: str
    start_s: float
    end_s: float
    attempt: int
    end: End
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """An event at its time; `step` is None when it came from outside."""

    seq: int
    step: str | None
    at_s: float
    event: str
    stream: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """From a question to a person until the answer, or until its time was over, or the end of what is known.

    `event` is the one that asked, or else the one that was waited for; `by` is who answered, if that is recorded.
    """

    event: str
    start_s: float
    end_s: float
    answered: bool
    by: str | None = None


@dataclass(slots=True)
class StepTally:
    """Counts of one step. `received` are events it worked on; of these, `failed` came to nothing in the end."""

    received: int = 0
    attempts: int = 0
    errors: int = 0
    ended: int = 0
    failed: int = 0
    busy_s: float = 0.0
    longest_s: float = 0.0

    @property
    def retries(self) -> int:
        """Attempts after the first at the same event."""
        return self.attempts - self.received


@dataclass(slots=True)
class Trace:
    """Everything that the drawings of a run show. `edges` counts deliveries, not attempts; `left_out` are event types
    and edges that the run had beyond the definition and the drawing has no room for.
    """

    began_at: float
    span_s: float
    steps: dict[str, StepTally] = field(default_factory=dict)
    emitted: Counter[str] = field(default_factory=Counter)
    streamed: Counter[str] = field(default_factory=Counter)
    edges: Counter[Pair] = field(default_factory=Counter)
    bars: list[Bar] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    left_out: int = 0


def trace(view: GraphView, run: RunStart | None, entries: Sequence[Entry], outcome: Outcome | None) -> Trace:
    """The counts of a run, or of what is recorded of it so far."""
    entries = [_plainly_named(entry) for entry in entries]
    times = [at for at in _times(run, entries, outcome) if math.isfinite(at)]
    found = Trace(min(times, default=0.0), max(times, default=0.0) - min(times, default=0.0))
    declared = {(edge.source, edge.target) for edge in view.edges}
    names = {one.seq: one.event for one in entries if one.kind == "event" and one.event is not None}
    own = {(one.step, one.event) for one in entries if one.kind == "event"}
    failures = {(edge.source, edge.target) for edge in view.edges if edge.kind == "failure"}
    last: dict[tuple[str, int], End] = {}
    delivered: set[tuple[str, int]] = set()
    for entry in entries:
        if entry.kind == "step" and entry.step is not None:
            bar = _bar(entry, found)
            found.bars.append(bar)
            tally = found.steps.setdefault(entry.step, StepTally())
            tally.attempts += 1
            tally.errors += bar.end == "failed"
            tally.busy_s += bar.end_s - bar.start_s
            tally.longest_s = max(tally.longest_s, bar.end_s - bar.start_s)
            # The first cause is the event it received last: the one that this attempt was for.
            trigger = entry.caused_by[0] if entry.caused_by else -entry.seq
            if (entry.step, trigger) not in last:
                tally.received += 1
            for seq in entry.caused_by:
                # A step that gathers has several causes, and one that collects names some that it has received before.
                if seq in names and (entry.step, seq) not in delivered:
                    delivered.add((entry.step, seq))
                    found.edges[names[seq], entry.step] += 1
            last[entry.step, trigger] = bar.end
        elif entry.target is not None and (str(entry.step), entry.target) in failures:
            # The event by which a handler learns of a failure is drawn as the way from the one to the other.
            del names[entry.seq]
            found.edges[str(entry.step), entry.target] += 1
        elif entry.event is not None:
            stream = entry.kind == "stream"
            if entry.step is None and outcome is not None and entry.seq == outcome.seq and outcome.status != "done":
                # The engine's own word that the run failed; no step sent it and none receives it.
                continue
            found.ticks.append(Tick(entry.seq, entry.step, _offset(entry.at, found), entry.event, stream))
            (found.streamed if stream else found.emitted)[entry.event] += 1
            if entry.step is not None:
                pair = (entry.step, entry.event)
                if not stream or (pair in declared and pair not in own):
                    found.edges[pair] += 1
    for (step, _), end in last.items():
        found.steps[step].failed += end == "failed"
        found.steps[step].ended += end == "ended"
    found.waits = _waits(view, entries, found)
    return found


def observed(view: GraphView, found: Trace) -> tuple[GraphView, set[str]]:
    """The graph with what the run had beyond it (subclasses of declared events, say), and the names that were added."""
    nodes = {node.name: node for node in view.nodes}
    edges = {(edge.source, edge.target): edge for edge in view.edges}
    added: set[str] = set()
    counted = [(name, True) for name in found.steps] + [(name, False) for name in found.emitted]
    for name, is_step in counted:
        if name in nodes:
            continue
        if len(added) >= _SEEN_NODES:
            found.left_out += 1
            continue
        added.add(name)
        nodes[name] = GraphNode(name, "step" if is_step else "event")
    room = _SEEN_EDGES
    for pair in found.edges:
        if pair in edges:
            continue
        if room and pair[0] in nodes and pair[1] in nodes:
            edges[pair] = GraphEdge(*pair)
            room -= 1
        else:
            found.left_out += 1
    return GraphView(tuple(nodes.values()), tuple(edges.values())), added


def _plainly_named(entry: Entry) -> Entry:
    # The record names a type that the definition does not know with its module.
    if entry.event is None or ":" not in entry.event:
        return entry
    plain = entry.event.rpartition(":")[2].rpartition(".")[2]
    return replace(entry, event=plain) if plain.isidentifier() else entry


def _times(run: RunStart | None, entries: Sequence[Entry], outcome: Outcome | None) -> Iterable[float]:
    if run is not None:
        yield run.at
    for entry in entries:
        yield entry.at
        if entry.started_at is not None:
            yield entry.started_at
            yield entry.started_at + (entry.duration_s or 0.0)
    if outcome is not None:
        yield outcome.at


def _offset(at: float, found: Trace) -> float:
    return at - found.began_at if math.isfinite(at) else 0.0


def _bar(entry: Entry, found: Trace) -> Bar:
    length = entry.duration_s or 0.0
    length = length if math.isfinite(length) and length > 0 else 0.0
    start = _offset(entry.started_at if entry.started_at is not None else entry.at - length, found)
    # What the engine writes when a run was over before an attempt was: no fault of the step.
    over = entry.error is not None and (entry.error == "cancelled" or entry.error.startswith("dropped:"))
    end: End = "done" if entry.error is None else "ended" if over else "failed"
    return Bar(entry.seq, entry.step or "", start, start + length, entry.attempt, end, entry.error)


def _waits(view: GraphView, entries: Sequence[Entry], found: Trace) -> list[Wait]:
    """The questions that steps put themselves, with their answers, and those that they returned, answered in turn."""
    people = {node.name for node in view.nodes if part_of(node.kind) == "human"}
    asked: dict[str, _Asked] = {}
    returned: dict[int, _Asked] = {}
    closed: list[Wait] = []
    known: set[tuple[str | None, str | None, tuple[int, ...]]] = set()
    waiting = {(one.step, one.caused_by) for one in entries if one.kind == "wait"}
    for place, entry in enumerate(entries):
        at = _offset(entry.at, found)
        if entry.kind == "wait" and entry.caused_by:
            due = None if entry.due is None else _offset(entry.due, found)
            key = key_of(str(entry.step), entry.caused_by[0], str(entry.name))
            asked.setdefault(key, _Asked(_wanted(entry), at, due, (str(entry.step), entry.caused_by[0])))
        elif entry.kind == "step" and entry.due is None and entry.caused_by:
            # What is still open was answered from inside, or nobody answered in time.
            for key in [key for key, one in asked.items() if one.job == (entry.step, entry.caused_by[0])]:
                closed.append(asked.pop(key).closed(at))
        elif entry.event is not None and entry.step is not None:
            # One question may be both sent and shown in the stream.
            same = (entry.step, entry.event, entry.caused_by)
            shown = entry.kind == "stream" and (entry.step, entry.caused_by) in waiting
            if entry.event in people and same not in known and not shown:
                known.add(same)
                returned[entry.seq] = _Asked(entry.event, at)
        elif entry.kind == "event" and place > 0:
            closed += [asked.pop(key).closed(at, entry.by) for key in entry.answers if key in asked]
            if not entry.answers and entry.event in people and returned:
                closed.append(returned.pop(next(iter(returned))).closed(at, entry.by))
    rest = [
        Wait(one.event, one.at_s, max(min(found.span_s, one.due_s or math.inf), one.at_s), False)
        for one in (*asked.values(), *returned.values())
    ]
    return sorted(closed + rest, key=lambda wait: wait.start_s)


@dataclass(frozen=True, slots=True)
class _Asked:
    """An open question; `job` is the step and the number of the event it works on, if the step itself waits."""

    event: str
    at_s: float
    due_s: float | None = None
    job: tuple[str, int] | None = None

    def closed(self, at_s: float, by: str | None = None) -> Wait:
        if self.due_s is not None and self.due_s <= at_s:
            return Wait(self.event, self.at_s, max(self.due_s, self.at_s), False)
        return Wait(self.event, self.at_s, max(at_s, self.at_s), True, by)


def _wanted(entry: Entry) -> str:
    terms = entry.payload if isinstance(entry.payload, dict) else {}
    return str(terms.get("event", entry.name))
