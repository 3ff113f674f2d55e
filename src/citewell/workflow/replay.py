"""A run rebuilt from its record: what is over stays over, and what is not is queued again. No step runs here."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from citewell.workflow.buffers import buffer_of
from citewell.workflow.errors import CodecError
from citewell.workflow.events import RecordedError, StepFailedEvent
from citewell.workflow.job import Emitted, Job
from citewell.workflow.journal import Entry
from citewell.workflow.past import Past, past_of
from citewell.workflow.plain import PlainEvent, PlainHumanResponseEvent, PlainInputRequiredEvent
from citewell.workflow.record import CANCELLED, DROPPED, FLUSHED, event_of, kind_of
from citewell.workflow.reducer import Reducer
from citewell.workflow.snapshot import Waiting, load
from citewell.workflow.state import State
from citewell.workflow.tagged import from_json
from citewell.workflow.wait import Wait, key_of

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph

Place = tuple[str, int]


class Replay:
    """Entries go in, in their order; `reducer`, `state`, `stream` are the run after the last of them.

    `failed` is the failure that ended the run if its end was not recorded itself. Raises CodecError where an entry
    does not fit the present code.
    """

    def __init__(self, graph: "Graph", snapshot: Mapping[str, Any] | None = None) -> None:
        self.graph = graph
        self.state = State(graph.state)
        self.state.strict = True
        self.stream: list[tuple[int, PlainEvent]] = []
        self.failed: RecordedError | None = None
        self._jobs: dict[Place, Job] = {}
        self._waits: dict[str, Wait] = {}
        self._emitted: dict[Place, list[Emitted]] = {}
        self._lost: dict[Place, Job] = {}
        # Jobs of which one question was answered while another was open: nobody knows whether they need both.
        self._moved: set[Place] = set()
        if snapshot is None:
            self.reducer = Reducer(graph)
        else:
            self.reducer, jobs, waits = load(graph, snapshot, None)
            self._jobs = {(job.spec.name, job.seq): job for job in jobs}
            self._waits = {wait.key: wait for wait in waits}
            self.state.restore(snapshot["state"])
            self.stream = [(seq, event_of(graph, one["type"], one["value"])) for seq, one in snapshot.get("stream", ())]

    def apply(self, entries: Iterable[Entry]) -> None:
        """Take over the next entries."""
        for entry in entries:
            if entry.seq <= self.reducer.seq:
                raise CodecError(f"Entry {entry.seq} follows {self.reducer.seq}: the record is damaged.")
            match entry.kind:
                case "event":
                    self._event(entry)
                case "step":
                    self._step(entry)
                case "stream":
                    self._show(entry.seq, self._read(entry))
                case "wait":
                    self._wait(entry)
                case "memo":
                    past = self._past(entry)
                    past.remembers(str(entry.name), from_json(entry.payload, str(entry.name)))
            self.reducer.seq = entry.seq
            self._gather_jobs()

    def ready(self, now: float) -> Waiting:
        """Queue what can go on, at this time (seconds since 1970); the jobs that wait for answers, with questions."""
        if self._lost and self.failed is None and self.reducer.stop is None:
            (step, _), job = next(iter(self._lost.items()))
            error = job.past.error if job.past is not None else None
            self.failed = error if isinstance(error, RecordedError) else RecordedError(f"Step {step!r} failed.")
            self.failed.step = step
        waiting: dict[Place, tuple[Job, list[Wait]]] = {}
        for wait in self._waits.values():
            place = (wait.job.spec.name, wait.job.seq)
            if wait.due is not None and wait.due <= now:
                past_of(wait.job).lapsed(wait.name)
            elif place in self._jobs:
                waiting.setdefault(place, (wait.job, []))[1].append(wait)
        spent = {place for place, job in self._jobs.items() if job.past is not None and job.past.spent}
        for place, job in self._jobs.items():
            if place not in waiting or place in spent or place in self._moved:
                waiting.pop(place, None)
                self.reducer.queue(job)
        return list(waiting.values())

    @property
    def waits(self) -> list[Wait]:
        """The questions that are not answered."""
        return list(self._waits.values())

    @property
    def unfinished(self) -> list[Job]:
        """The jobs that are not over."""
        return list(self._jobs.values())

    def _read(self, entry: Entry) -> PlainEvent:
        assert entry.event is not None
        return event_of(self.graph, entry.event, entry.payload)

    def _show(self, seq: int, event: PlainEvent) -> None:
        # The stop event is the last of the stream, whatever was on its way to the record behind it.
        if self.reducer.stop is None:
            self.stream.append((seq, event))

    def _gather_jobs(self) -> None:
        for job in self.reducer.fetch():
            job.lane.runs += 1
            self._jobs[job.spec.name, job.seq] = job

    def _job(self, entry: Entry) -> Job:
        place = (str(entry.step), entry.caused_by[0])
        job = self._jobs.get(place)
        if job is None:
            raise CodecError(
                f"Entry {entry.seq}: step {entry.step!r} worked on event {entry.caused_by[0]}, which it does not "
                "receive by the present code."
            )
        return job

    def _past(self, entry: Entry) -> Past:
        job = self._job(entry)
        return past_of(job)

    def _event(self, entry: Entry) -> None:
        event = self._read(entry)
        if entry.step is None:
            for key in entry.answers:
                wait = self._waits.pop(key, None)
                if wait is not None:
                    self._answered(wait, event)
            self.reducer.deliver(entry.seq, event, entry.target)
            if self.reducer.asks and not entry.answers and isinstance(event, PlainHumanResponseEvent):
                self.reducer.was_answered()
            return
        place = (entry.step, entry.caused_by[0])
        if entry.name == FLUSHED:
            job = self._job(entry)
            past = self._past(entry)
            past.flushed += 1
            self.reducer.deliver(entry.seq, event, entry.target, job.trail, sent=True)
            self._answer(event, entry.at)
        elif isinstance(event, StepFailedEvent) and place in self._lost:
            self.reducer.hand_over(self._lost.pop(place), entry.seq, event, str(entry.target))
        else:
            emitted = Emitted(entry.seq, event, entry.target, entry.listed, entry.sent)
            self._emitted.setdefault(place, []).append(emitted)

    def _step(self, entry: Entry) -> None:
        job = self._job(entry)
        place = (job.spec.name, job.seq)
        if entry.error in (CANCELLED, DROPPED):
            # The run had begun to end, and its end did not come to be recorded: the job is as open as before.
            return
        if entry.error is not None:
            past = self._past(entry)
            kind, _, message = entry.error.partition(": ")
            past.failed(RecordedError(message, kind), entry.at, entry.started_at or entry.at)
            if entry.due is not None:
                past.due = entry.due
                job.attempt = entry.attempt + 1
            else:
                self._lost[place] = self._jobs.pop(place)
                self._forget_questions(job)
            return
        del self._jobs[place]
        self._forget_questions(job)
        job.over = True
        self._hold(job, entry)
        self.state.restore(entry.state or {}, entry.state_deleted)
        emitted = self._emitted.pop(place, [])
        for one in emitted:
            if isinstance(one.event, PlainInputRequiredEvent) and not one.sent:
                self._show(one.seq, one.event)
                self.reducer.asked((one.seq, one.event))
            self._answer(one.event, entry.at)
        self.reducer.finish(job, entry.seq, emitted, entry.opened)

    def _hold(self, job: Job, entry: Entry) -> None:
        for name, seqs in entry.held:
            buffer = buffer_of(self.reducer, job.spec.name, name)
            if seqs is None:
                buffer.put_back(job.seq, job.event)
            else:
                buffer.take_out(seqs)

    def _wait(self, entry: Entry) -> None:
        job = self._job(entry)
        past = self._past(entry)
        name = str(entry.name)
        past.was_asked(name, entry.due)
        terms = entry.payload
        who = terms.get("who")
        wait = Wait(
            job,
            name,
            kind_of(self.graph, terms["event"]),
            terms.get("requirements", {}),
            entry.due,
            None if who is None else frozenset(who),
        )
        self._waits[wait.key] = wait

    def _answer(self, event: PlainEvent, at: float) -> None:
        steps: set[str] = set()
        for key, wait in list(self._waits.items()):
            late = wait.due is not None and wait.due <= at
            if wait.job.spec.name in steps or late or wait.who is not None or not wait.fits(event):
                continue
            steps.add(wait.job.spec.name)
            del self._waits[key]
            self._answered(wait, event)

    def _forget_questions(self, job: Job) -> None:
        if job.past is not None and job.past.asked:
            for name in job.past.asked:
                self._waits.pop(key_of(job.spec.name, job.seq, name), None)

    def _answered(self, wait: Wait, event: PlainEvent) -> None:
        past_of(wait.job).answered(wait.name, event)
        if any(other.job is wait.job for other in self._waits.values()):
            self._moved.add((wait.job.spec.name, wait.job.seq))
