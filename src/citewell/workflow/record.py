"""What a run writes to its journal, batch by batch and in order."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from citewell.workflow.clock import Clock
from citewell.workflow.codec import codec, decode, encode
from citewell.workflow.errors import CodecError, WorkflowValidationError
from citewell.workflow.job import Emitted, Job
from citewell.workflow.journal import Entry, Journal, Outcome, RunStart
from citewell.workflow.plain import PlainEvent
from citewell.workflow.reducer import Reducer
from citewell.workflow.state import State
from citewell.workflow.tagged import find_type, name_of

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph

FLUSHED = "flushed"
"""Name of the entry of an event that left its step before the step's outcome."""
CANCELLED = "cancelled"
"""Error of an attempt that was interrupted because the run was ending."""
DROPPED = "dropped: it returned after the run had begun to end"
"""Error of an attempt that had a result which nobody wanted any more."""


class Batch(NamedTuple):
    """Entries that are recorded together, and what is done once they are."""

    entries: list[Entry]
    act: Callable[[], None]


class Recorder:
    """The outbox of one run. What a batch is for is done after the journal has taken it."""

    __slots__ = ("_graph", "_journal", "_reducer", "_run_id", "_state", "broken", "clock", "outbox", "writing")

    def __init__(
        self, run_id: str, journal: Journal, graph: "Graph", reducer: Reducer, state: State, clock: Clock
    ) -> None:
        self.outbox: list[Batch] = []
        self.writing = False
        # Set once the journal has failed, or was interrupted: what came of the last call is not known.
        self.broken = False
        self.clock = clock
        self._run_id = run_id
        self._journal = journal
        self._graph = graph
        self._reducer = reducer
        self._state = state

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way to the journal."""
        return not self.outbox and not self.writing

    async def begin(self, run: RunStart, start: PlainEvent, act: Callable[[int], None]) -> None:
        """Record that the run was accepted, and its start event; then `act` on the event's number."""
        seq = self._reducer.number()
        entry = Entry(seq, "event", run.at, None, name_in(self._graph, start), encode(start))
        try:
            await self._journal.started(run, [entry])
        except (Exception, asyncio.CancelledError):
            # Above all, the id may be another run's: nothing more may be recorded under it.
            self.broken = True
            raise
        act(seq)

    def succeeded(
        self,
        job: Job,
        events: Sequence[tuple[PlainEvent, str | None, bool, bool]],
        opened: bool,
        act: Callable[[int, list[Emitted]], None],
    ) -> None:
        """Put a step's outcome, the events it emitted (event, target, listed, sent) and the state it wrote together."""
        job.over = True
        # All forms first: an event that has none must fail the step before anything is numbered.
        payloads = [encode(event) for event, _, _, _ in events]
        at = self.clock.wall()
        caused_by = job.causes or (job.seq,)
        duration_s = self.clock.steady() - job.started
        name, attempt = job.spec.name, job.attempt
        entries: list[Entry] = []
        numbered: list[Emitted] = []
        for (event, target, listed, sent), payload in zip(events, payloads, strict=True):
            seq = self._reducer.number()
            numbered.append(Emitted(seq, event, target, listed, sent))
            entries.append(
                Entry(
                    seq,
                    "event",
                    at,
                    name,
                    name_in(self._graph, event),
                    payload,
                    caused_by,
                    attempt,
                    job.started_at,
                    duration_s,
                    target=target,
                    sent=sent,
                    listed=listed,
                )
            )
        dirty = job.dirty
        for key, before in (job.lent or {}).items():
            if key in self._state.values and self._state.form(key) != before:
                dirty = {*(dirty or ()), key}
        state = self._state.recorded(dirty) if dirty else None
        deleted = tuple(sorted(dirty - self._state.values.keys())) if dirty else ()
        held = (
            tuple((b.name, None if taken is None else tuple(t[1] for t in taken)) for b, taken in job.collected)
            if job.collected
            else ()
        )
        number = self._reducer.number()
        entries.append(
            Entry(
                number,
                "step",
                at,
                name,
                None,
                None,
                caused_by,
                attempt,
                job.started_at,
                duration_s,
                state=state,
                state_deleted=deleted,
                opened=opened,
                held=held,
            )
        )
        self.outbox.append(Batch(entries, lambda: act(number, numbered)))

    def failed(
        self,
        job: Job,
        error: str,
        due: float | None = None,
        handled: PlainEvent | None = None,
        target: str | None = None,
        act: Callable[[int], None] | None = None,
    ) -> None:
        """Record an attempt that came to nothing; with `handled`, the event by which the step `target` learns of it.

        `act` is given the number of that event.
        """
        form = None if handled is None else encode(handled)
        facts = self._facts(job)
        entries = [Entry(self._reducer.number(), "step", self.clock.wall(), error=error, due=due, **facts)]
        if handled is not None:
            seq = self._reducer.number()
            name = name_in(self._graph, handled)
            entries.append(
                Entry(seq, "event", entries[0].at, job.spec.name, name, form, facts["caused_by"], target=target)
            )
        number = entries[-1].seq
        self.outbox.append(Batch(entries, _nothing if act is None else lambda: act(number)))

    def shown(self, job: Job | None, event: PlainEvent, payload: Any, act: Callable[[int], None]) -> None:
        """Record an event for the readers of the stream."""
        seq = self._reducer.number()
        step, causes, attempt = (job.spec.name, job.causes or (job.seq,), job.attempt) if job else (None, (), 1)
        name = name_in(self._graph, event)
        entry = Entry(seq, "stream", self.clock.wall(), step, name, payload, causes, attempt)
        self.outbox.append(Batch([entry], lambda: act(seq)))

    def outside(
        self,
        event: PlainEvent,
        target: str | None,
        answers: tuple[str, ...],
        by: str | None,
        act: Callable[[int], None],
    ) -> None:
        """Record an event that came from outside."""
        payload = encode(event)
        seq = self._reducer.number()
        name = name_in(self._graph, event)
        entry = Entry(seq, "event", self.clock.wall(), None, name, payload, target=target, answers=answers, by=by)
        self.outbox.append(Batch([entry], lambda: act(seq)))

    def flushed(self, job: Job, event: PlainEvent, target: str | None, act: Callable[[int], None]) -> None:
        """Record an event that leaves a step before its outcome is known."""
        payload = encode(event)
        seq = self._reducer.number()
        causes = job.causes or (job.seq,)
        name = name_in(self._graph, event)
        at = self.clock.wall()
        entry = Entry(
            seq, "event", at, job.spec.name, name, payload, causes, job.attempt, target=target, sent=True, name=FLUSHED
        )
        self.outbox.append(Batch([entry], lambda: act(seq)))

    def noted(self, job: Job, kind: Any, name: str, payload: Any, due: float | None, act: Callable[[], None]) -> None:
        """Record a question that a step asks ("wait"), or a result that it remembers ("memo")."""
        causes = job.causes or (job.seq,)
        entry = Entry(
            self._reducer.number(),
            kind,
            self.clock.wall(),
            job.spec.name,
            None,
            payload,
            causes,
            job.attempt,
            name=name,
            due=due,
        )
        self.outbox.append(Batch([entry], act))

    def _facts(self, job: Job) -> dict[str, Any]:
        return {
            "step": job.spec.name,
            "caused_by": job.causes or (job.seq,),
            "attempt": job.attempt,
            "started_at": job.started_at,
            "duration_s": self.clock.steady() - job.started,
        }

    async def write(self) -> None:
        """Record what is in the outbox and act on it; a call during another's write leaves it to that one.

        So appends of one run never overlap, and what gathers while one is on its way goes out together.
        Raises what the journal raises.
        """
        if self.writing or self.broken:
            return
        self.writing = True
        try:
            while self.outbox:
                batches, self.outbox = self.outbox, []
                lines = batches[0].entries if len(batches) == 1 else [line for b in batches for line in b.entries]
                await self._journal.append(self._run_id, lines)
                for batch in batches:
                    batch.act()
        except (Exception, asyncio.CancelledError):
            self.broken, self.outbox = True, []
            raise
        finally:
            self.writing = False

    async def finish(self, outcome: Outcome) -> None:
        """Record the rest of the outbox and how the run ended, in one transaction, and act on it."""
        if self.writing or self.broken:
            return
        self.writing = True
        try:
            batches, self.outbox = self.outbox, []
            lines = [line for batch in batches for line in batch.entries]
            await self._journal.ended(self._run_id, outcome, lines)
            for batch in batches:
                batch.act()
        except (Exception, asyncio.CancelledError):
            self.broken, self.outbox = True, []
            raise
        finally:
            self.writing = False

    async def end(self, outcome: Outcome, failure: PlainEvent | None) -> None:
        """Record the rest of the outbox, the event that tells of a failure, and how the run ended: one transaction."""
        if self.broken:
            return
        batches, self.outbox = self.outbox, []
        lines = [line for batch in batches for line in batch.entries]
        if failure is not None:
            name = name_in(self._graph, failure)
            lines.append(Entry(outcome.seq, "event", outcome.at, event=name, payload=encode(failure)))
        self.writing = True
        try:
            await self._journal.ended(self._run_id, outcome, lines)
            for batch in batches:
                batch.act()
        except (Exception, asyncio.CancelledError):
            self.broken = True
            raise
        finally:
            self.writing = False


def _nothing() -> None:
    pass


def name_in(graph: "Graph", event: PlainEvent) -> str:
    """How a record names the event's type: plainly if the graph knows it, else with its module."""
    return name_of_kind(graph, type(event))


def name_of_kind(graph: "Graph", kind: type) -> str:
    """As `name_in`, of a type."""
    return kind.__name__ if graph.events.get(kind.__name__) is kind else name_of(kind)


def event_of(graph: "Graph", name: str, payload: Any) -> PlainEvent:
    """The recorded event; CodecError when its type is gone or does not fit."""
    found: PlainEvent = decode(kind_of(graph, name), payload)
    return found


def kind_of(graph: "Graph", name: str) -> type[PlainEvent]:
    """The type of event that a record names so; CodecError when it is gone."""
    kind: type | None = graph.events.get(name)
    if kind is None and ":" in name:
        kind = find_type(name)
    if kind is None or not issubclass(kind, PlainEvent):
        raise CodecError(f"{name}: {graph.name} knows no such event. Was it renamed? Declare a migration.")
    return kind


def check_recordable(graph: "Graph") -> None:
    """Raise before a run begins if any event of its class has no JSON form, or shares its name with another."""
    if graph.recordable:
        return
    try:
        for spec in graph.steps:
            for kind in (*spec.accepts, *spec.emits):
                if graph.events[kind.__name__] is not kind:
                    raise CodecError(
                        f"Two events are named {kind.__name__}, and the record knows events by name. Rename one."
                    )
                codec(kind, kind.__name__)
    except CodecError as error:
        raise WorkflowValidationError(f"{graph.name} cannot be recorded in a journal. {error}") from error
    graph.recordable = True
