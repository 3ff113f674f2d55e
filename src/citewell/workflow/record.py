"""What a run writes to its journal, batch by batch and in order."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from citewell.workflow.codec import codec, encode
from citewell.workflow.errors import CodecError, WorkflowDefinitionError
from citewell.workflow.events import Event
from citewell.workflow.graph import Graph
from citewell.workflow.journal import Entry, Journal, Outcome, RunStart
from citewell.workflow.reducer import Job, Reducer
from citewell.workflow.state import State


class Batch(NamedTuple):
    """Entries that are recorded together, and what happens once they are."""

    entries: list[Entry]
    job: Job | None = None
    emitted: Sequence[tuple[int, Event, str | None]] = ()
    streamed: tuple[int, Event] | None = None


class Recorder:
    """The outbox of one run. `apply` is called with each batch after the journal has taken it."""

    def __init__(
        self, run_id: str, journal: Journal, reducer: Reducer, state: State, apply: Callable[[Batch], None]
    ) -> None:
        self.outbox: list[Batch] = []
        self.writing = False
        # Set once the journal has failed, or was interrupted: what came of the last call is not known.
        self.broken = False
        self._run_id = run_id
        self._journal = journal
        self._reducer = reducer
        self._state = state
        self._apply = apply

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way to the journal."""
        return not self.outbox and not self.writing

    async def begin(self, start: Event, workflow: str, definition: str, parent_run_id: str | None) -> None:
        """Record that the run was accepted, and its start event."""
        at, payload = time.time(), encode(start)
        try:
            await self._journal.started(RunStart(self._run_id, workflow, definition, at, parent_run_id))
        except (Exception, asyncio.CancelledError):
            # Above all, the id may be another run's: nothing more may be recorded under it.
            self.broken = True
            raise
        seq = self._reducer.number()
        entry = Entry(seq, "event", at, None, type(start).__name__, payload)
        self.outbox.append(Batch([entry], emitted=[(seq, start, None)]))
        await self.write()

    def succeeded(self, job: Job, emitted: Sequence[tuple[Event, str | None]]) -> None:
        """Put a step's outcome, the events it emitted and the state it wrote into one batch."""
        job.over = True
        # All forms first: an event that has none must fail the step before anything is numbered.
        payloads = [encode(event) for event, _ in emitted]
        numbered = [(self._reducer.number(), event, target) for event, target in emitted]
        at, facts = self._facts(job)
        entries = [
            Entry(seq, "event", at, event=type(event).__name__, payload=payload, target=target, **facts)
            for (seq, event, target), payload in zip(numbered, payloads, strict=True)
        ]
        dirty = job.dirty or set()
        state = self._state.recorded(dirty) if dirty else None
        deleted = tuple(sorted(dirty - self._state.values.keys()))
        entries.append(Entry(self._reducer.number(), "step", at, state=state, state_deleted=deleted, **facts))
        self.outbox.append(Batch(entries, job, numbered))

    def failed(self, job: Job, error: str) -> None:
        """Record an attempt that came to nothing."""
        at, facts = self._facts(job)
        self.outbox.append(Batch([Entry(self._reducer.number(), "step", at, error=error, **facts)]))

    def streamed(self, job: Job, event: Event, payload: Any) -> None:
        """Record an event for the readers of the stream."""
        seq = self._reducer.number()
        name = type(event).__name__
        entry = Entry(seq, "stream", time.time(), job.spec.name, name, payload, job.causes or (job.seq,), job.attempt)
        self.outbox.append(Batch([entry], streamed=(seq, event)))

    def _facts(self, job: Job) -> tuple[float, dict[str, Any]]:
        return time.time(), {
            "step": job.spec.name,
            "caused_by": job.causes or (job.seq,),
            "attempt": job.attempt,
            "started_at": job.started_at,
            "duration_s": time.perf_counter() - job.started,
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
                await self._journal.append(self._run_id, [line for batch in batches for line in batch.entries])
                for batch in batches:
                    self._apply(batch)
        except (Exception, asyncio.CancelledError):
            self.broken, self.outbox = True, []
            raise
        finally:
            self.writing = False

    async def end(self, outcome: Outcome, failure: Event | None) -> None:
        """Record the rest of the outbox, the event that tells of a failure, and how the run ended."""
        await self.write()
        if self.broken:
            return
        if failure is not None:
            name = type(failure).__name__
            entry = Entry(outcome.seq, "event", outcome.at, event=name, payload=encode(failure))
            await self._journal.append(self._run_id, [entry])
        await self._journal.ended(self._run_id, outcome)


def check_recordable(graph: Graph, start: Event) -> None:
    """Raise before a run begins if its start event, or any event of its class, has no JSON form."""
    try:
        for name, kind in graph.events.items():
            codec(kind, name)
    except CodecError as error:
        raise WorkflowDefinitionError(f"{graph.name} cannot be recorded in a journal. {error}") from error
    encode(start)
