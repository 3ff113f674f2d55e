"""The whole state of a run as JSON, and back: for `Context.to_dict()`, and for the compaction of records."""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from citewell.workflow.buffers import buffer_of
from citewell.workflow.codec import encode
from citewell.workflow.errors import CodecError
from citewell.workflow.job import Job, Scope, Trail
from citewell.workflow.past import Past
from citewell.workflow.plain import PlainEvent
from citewell.workflow.record import event_of, kind_of, name_in, name_of_kind
from citewell.workflow.reducer import Reducer
from citewell.workflow.state import State
from citewell.workflow.tagged import TAG, from_json, to_json
from citewell.workflow.wait import Wait

if TYPE_CHECKING:
    from citewell.workflow.context.serializers import BaseSerializer
    from citewell.workflow.graph import Graph
    from citewell.workflow.replay import Replay
    from citewell.workflow.run import Run

FORMAT = 1
"""Raised whenever an older reader would misread a newer snapshot."""
_IDLE = frozenset({"version", "workflow", "is_running", "seq", "state"})
_BUSY = _IDLE | {"start", "jobs", "buffers", "slots", "questions", "asks", "trails", "scopes", "stream"}
Form = Mapping[str, Any]


class Writer:
    """Writes the parts of one snapshot; trails and scopes, which jobs share, are written once."""

    def __init__(self, graph: "Graph", serializer: "BaseSerializer | None") -> None:
        self.graph = graph
        self.serializer = serializer
        self.trails: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []
        self._trail_at: dict[int, int] = {}
        self._scope_at: dict[int, int] = {}

    def value(self, value: Any, path: str) -> Any:
        """Any value's form; CodecError when it has none."""
        if self.serializer is None:
            return to_json(value, path)
        try:
            return {TAG: "text", "value": self.serializer.serialize(value)}
        except (ValueError, TypeError) as error:
            raise CodecError(f"{path}: {type(value).__qualname__} cannot be serialized ({error}).") from error

    def event(self, event: PlainEvent) -> dict[str, Any]:
        """An event's form, under the name of its type."""
        name = name_in(self.graph, event)
        try:
            return {"type": name, "value": encode(event)}
        except CodecError:
            if self.serializer is None:
                raise
            return {"type": name, "text": self.serializer.serialize(event)}

    def job(self, job: Job) -> dict[str, Any]:
        """A job's form."""
        many = type(job.event) in (list, tuple)
        form: dict[str, Any] = {
            "step": job.spec.name,
            "seq": job.seq,
            "events": [self.event(one) for one in job.event] if many else self.event(job.event),
            "attempt": job.attempt,
            "trail": self.trail(job.trail),
        }
        if many and job.causes is not None:
            form["causes"] = list(job.causes)
        if job.past is not None:
            form["past"] = self._past(job.past)
        return form

    def _past(self, past: Past) -> dict[str, Any]:
        form: dict[str, Any] = {"due": past.due, "flushed": past.flushed}
        if past.failed_at:
            form["failed"] = [
                past.first_at,
                past.first_failed_at,
                past.failed_at,
                type(past.error).__name__,
                str(past.error),
            ]
        if past.asked:
            form["asked"] = dict(past.asked)
        if past.answers:
            form["answers"] = {name: self.event(event) for name, event in past.answers.items()}
        if past.spent:
            form["spent"] = sorted(past.spent)
        if past.memos:
            form["memos"] = {name: self.value(value, name) for name, value in past.memos.items()}
        return form

    def trail(self, trail: Trail | None) -> int | None:
        """The place of a trail among `trails`."""
        if trail is None:
            return None
        if id(trail) not in self._trail_at:
            self._trail_at[id(trail)] = len(self.trails)
            form: dict[str, Any] = {}
            self.trails.append(form)
            form["recovered"] = dict(trail.recovered)
            form["scope"] = self._scope(trail.scope)
        return self._trail_at[id(trail)]

    def _scope(self, scope: Scope | None) -> int | None:
        if scope is None:
            return None
        if id(scope) not in self._scope_at:
            self._scope_at[id(scope)] = len(self.scopes)
            form: dict[str, Any] = {}
            self.scopes.append(form)
            form["seq"], form["pending"] = scope.seq, scope.pending
            form["outer"] = self.trail(scope.outer)
            form["gathered"] = {
                self.graph.steps[index].name: None if members is None else [[seq, self.event(e)] for seq, e in members]
                for index, members in scope.gathered.items()
            }
        return self._scope_at[id(scope)]


def pending(run: "Run") -> list[Job]:
    """All jobs that are not over, in order of arrival as far as it is known."""
    reducer = run.reducer
    found: dict[int, Job] = {}
    waiting = [wait.job for wait in (reducer.waits or {}).values()]
    for job in [*run.running_jobs(), *waiting, *reducer.queued()]:
        if not job.over:
            found[id(job)] = job
    return sorted(found.values(), key=lambda job: job.seq)


def capture(run: "Run", serializer: "BaseSerializer | None" = None, *, include_state: bool = True) -> dict[str, Any]:
    """The run as it is between two steps; work in progress is saved as not yet begun. CodecError names what cannot."""
    waits = list((run.reducer.waits or {}).values())
    writer = Writer(run.graph, serializer)
    form = capture_parts(writer, run.reducer, pending(run), waits)
    form["start"] = None if run.unstarted is None else writer.event(run.unstarted)
    form["state"] = _state_form(run.state, writer) if include_state else {}
    return form


def capture_replay(replay: "Replay") -> dict[str, Any]:
    """What a record comes to, so that it can be read from here on."""
    writer = Writer(replay.graph, None)
    form = capture_parts(writer, replay.reducer, replay.unfinished, replay.waits)
    form["start"] = None
    form["state"] = _state_form(replay.state, writer)
    form["stream"] = [[seq, writer.event(event)] for seq, event in replay.stream]
    return form


def capture_parts(writer: Writer, reducer: Reducer, jobs: list[Job], waits: list[Wait]) -> dict[str, Any]:
    """The form of a run's reducer, with these jobs and open questions."""
    graph = writer.graph
    written = [writer.job(job) for job in jobs]
    return {
        "version": FORMAT,
        "workflow": graph.name,
        "is_running": True,
        "seq": reducer.seq,
        "jobs": written,
        "buffers": _buffers(writer, reducer, jobs),
        "slots": {
            lane.spec.name: [[[seq, writer.event(event)] for seq, event in slot] for slot in lane.slots]
            for lane in reducer.lanes or ()
            if lane.slots is not None and any(lane.slots)
        },
        "questions": [
            {
                "step": wait.job.spec.name,
                "seq": wait.job.seq,
                "name": wait.name,
                "event": name_of_kind(graph, wait.kind),
                "requirements": to_json(dict(wait.requirements), "requirements"),
                "who": None if wait.who is None else sorted(wait.who),
                "due": wait.due,
            }
            for wait in waits
        ],
        "asks": [[seq, writer.event(event)] for seq, event in reducer.asks],
        "trails": writer.trails,
        "scopes": writer.scopes,
    }


def _buffers(writer: Writer, reducer: Reducer, jobs: list[Job]) -> list[dict[str, Any]]:
    """What the buffers hold when the jobs, which are not over, have not begun."""
    forms = []
    own = {(job.spec.name, job.seq) for job in jobs}
    for buffer in (reducer.buffers or {}).values():
        mine = [job for job in jobs if job.spec.name == buffer.step]
        taken = [one[1:] for job in mine for at, found in job.collected or () if at is buffer for one in found or ()]
        there = [*(one for held in buffer.held.values() for one in held), *taken]
        early = {seq for seq in buffer.early or () if (buffer.step, seq) in own}
        seen = {seq for seq, _ in there}
        early |= {job.seq for job in mine if job.seq not in seen and any(at is buffer for at, _ in job.collected or ())}
        held = sorted((one for one in there if (buffer.step, one[0]) not in own), key=lambda one: one[0])
        if held or early:
            written = [[seq, writer.event(event)] for seq, event in held]
            forms.append({"step": buffer.step, "name": buffer.name, "held": written, "early": sorted(early)})
    return forms


def capture_idle(
    graph: "Graph",
    state: State,
    serializer: "BaseSerializer | None",
    include_state: bool,
    saved: Form | None,
) -> dict[str, Any]:
    """A context without a run, or whose run is over; `saved` is what it was made of and has not yet gone on with."""
    writer = Writer(graph, serializer)
    form: dict[str, Any] = (
        dict(saved)
        if saved is not None
        else {
            "version": FORMAT,
            "workflow": graph.name,
            "is_running": False,
            "seq": 0,
        }
    )
    form["state"] = _state_form(state, writer) if include_state else {}
    return form


def _state_form(state: State, writer: Writer) -> dict[str, Any]:
    if writer.serializer is None:
        return state.recorded(set(state.values))
    return {key: writer.value(value, key) for key, value in sorted(state.values.items())}


def check(graph: "Graph", form: Form) -> None:
    """Raise CodecError unless this is a snapshot of a workflow with these steps."""
    if not isinstance(form, Mapping) or form.get("version") != FORMAT:
        raise CodecError(f"it is not in the format {FORMAT}.")
    if unknown := form.keys() - _BUSY:
        raise CodecError(f"it has a part {min(map(str, unknown))!r}, which is not known.")
    if form["workflow"] != graph.name:
        raise CodecError(f"it is of the workflow {form['workflow']!r}.")
    if not isinstance(form["is_running"], bool) or not isinstance(form["state"], Mapping):
        raise CodecError("its parts are damaged.")
    if not form["is_running"]:
        return
    for one in form["jobs"]:
        if one["step"] not in graph.by_name:
            raise CodecError(f"step {one['step']!r}, which has work waiting, is gone.")


def load_state(state: State, form: Form, serializer: "BaseSerializer | None") -> None:
    """Take over the saved state."""
    plain: dict[str, Any] = {}
    for key, value in form["state"].items():
        if isinstance(value, Mapping) and value.get(TAG) == "text":
            if serializer is None:
                raise CodecError(f"state {key!r} was saved with a serializer, and none is given.")
            state.values[key] = serializer.deserialize(value["value"])
        else:
            plain[key] = value
    state.restore(plain)


class Reader:
    """Reads the parts of one snapshot."""

    def __init__(self, graph: "Graph", form: Form, serializer: "BaseSerializer | None") -> None:
        self.graph = graph
        self.form = form
        self.serializer = serializer
        self._trails: dict[int, Trail] = {}
        self._scopes: dict[int, Scope] = {}

    def event(self, form: Form) -> PlainEvent:
        """The event of which `Writer.event` made this."""
        if "text" in form:
            if self.serializer is None:
                raise CodecError(f"{form['type']} was saved with a serializer, and none is given.")
            found: PlainEvent = self.serializer.deserialize(form["text"])
            return found
        return event_of(self.graph, form["type"], form["value"])

    def value(self, form: Any, path: str) -> Any:
        """The value of which `Writer.value` made this."""
        if isinstance(form, Mapping) and form.get(TAG) == "text":
            if self.serializer is None:
                raise CodecError(f"{path} was saved with a serializer, and none is given.")
            return self.serializer.deserialize(form["value"])
        return from_json(form, path)

    def trail(self, at: int | None) -> Trail | None:
        """The trail at this place."""
        if at is None:
            return None
        if at not in self._trails:
            form = self.form["trails"][at]
            made = self._trails[at] = Trail(None, form["recovered"])
            made.scope = self._scope(form["scope"])
        return self._trails[at]

    def _scope(self, at: int | None) -> Scope | None:
        if at is None:
            return None
        if at not in self._scopes:
            form = self.form["scopes"][at]
            made = self._scopes[at] = Scope(form["seq"], None, ())
            made.outer = self.trail(form["outer"])
            made.pending = form["pending"]
            for step, members in form["gathered"].items():
                read = None if members is None else [(seq, self.event(one)) for seq, one in members]
                made.gathered[self.graph.by_name[step].index] = read
        return self._scopes[at]

    def job(self, reducer: Reducer, form: Form) -> Job:
        """The job of which `Writer.job` made this."""
        spec = self.graph.by_name[form["step"]]
        events = form["events"]
        event: Any
        if isinstance(events, list):
            event = [self.event(one) for one in events]
            event = tuple(event) if spec.slots else event
        else:
            event = self.event(events)
        job = Job(reducer.lane(spec.index), form["seq"], event, self.trail(form["trail"]))
        job.attempt = form["attempt"]
        if "causes" in form:
            job.causes = tuple(form["causes"])
        if "past" in form:
            job.past = self._past(form["past"])
        return job

    def _past(self, form: Form) -> Past:
        past = Past()
        past.due, past.flushed = form["due"], form["flushed"]
        if "failed" in form:
            from citewell.workflow.events import RecordedError

            past.first_at, past.first_failed_at, past.failed_at, kind, message = form["failed"]
            past.error = RecordedError(message, kind)
        past.asked = dict(form["asked"]) if "asked" in form else None
        if "answers" in form:
            past.answers = {name: self.event(one) for name, one in form["answers"].items()}
        past.spent = set(form["spent"]) if "spent" in form else None
        if "memos" in form:
            past.memos = {name: self.value(one, name) for name, one in form["memos"].items()}
        return past


Waiting = list[tuple[Job, list[Wait]]]


def restore(graph: "Graph", form: Form, serializer: "BaseSerializer | None" = None) -> tuple[Reducer, Waiting]:
    """The saved run: its reducer, with all work queued that can go on, and the jobs that wait for answers."""
    reducer, jobs, waits = load(graph, form, serializer)
    waiting: dict[int, tuple[Job, list[Wait]]] = {}
    for wait in waits:
        waiting.setdefault(id(wait.job), (wait.job, []))[1].append(wait)
    reducer.queue(*(job for job in jobs if id(job) not in waiting))
    return reducer, list(waiting.values())


def load(graph: "Graph", form: Form, serializer: "BaseSerializer | None") -> tuple[Reducer, list[Job], list[Wait]]:
    """The saved reducer without its jobs, the jobs in their order, and the open questions."""
    reader = Reader(graph, form, serializer)
    reducer = Reducer(graph)
    reducer.seq = form["seq"]
    jobs = [reader.job(reducer, one) for one in form["jobs"]]
    if form.get("start") is not None:
        reducer.emit(reader.event(form["start"]))
        jobs += reducer.fetch()
    for one in form["buffers"]:
        buffer = buffer_of(reducer, one["step"], one["name"])
        for seq, event in one["held"]:
            buffer.put_back(seq, reader.event(event))
        buffer.early = set(one["early"]) or None
    for step, slots in form["slots"].items():
        lane = reducer.lane(graph.by_name[step].index)
        lane.slots = [deque((seq, reader.event(event)) for seq, event in slot) for slot in slots]
    for seq, one in form["asks"]:
        reducer.asked((seq, reader.event(one)))
    by_place = {(job.spec.name, job.seq): job for job in jobs}
    waits = []
    for one in form["questions"]:
        kind = kind_of(graph, one["event"])
        who = None if one["who"] is None else frozenset(one["who"])
        job = by_place[one["step"], one["seq"]]
        waits.append(Wait(job, one["name"], kind, from_json(one["requirements"], "requirements"), one["due"], who))
    return reducer, jobs, waits
