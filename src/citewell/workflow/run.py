"""One run: carries out the reducer's jobs on the event loop and records what they did.

A worker is a task that takes one job after another and awaits its step itself, so a step that does not wait
for anything costs no task. While a step does wait, the loop gets control and calls `_standby`, which starts
workers for the jobs that are left. So every step runs in one ordinary task from beginning to end, and
`asyncio.timeout()`, task groups and context variables mean in it what they mean anywhere.
"""

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from citewell.workflow.codec import codec, encode
from citewell.workflow.context import Context
from citewell.workflow.errors import (
    CodecError,
    JournalFailed,
    StepFailed,
    UndeclaredEvent,
    WorkflowCancelled,
    WorkflowDefinitionError,
    WorkflowFailed,
    WorkflowStuck,
    WorkflowTimeout,
)
from citewell.workflow.events import Event, RunFailed, StopEvent
from citewell.workflow.journal import Entry, Journal, Outcome, RunStart
from citewell.workflow.reducer import Job, Reducer
from citewell.workflow.state import State
from citewell.workflow.step import in_thread

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph

log = logging.getLogger("citewell.workflow")

# A run whose steps never wait gives the loop back this often, so that other tasks, timers and cancellation
# go on.
SLICE_S = 0.005
BURST = 32

copy_context = contextvars.copy_context
monotonic = time.monotonic


class Worker:
    """A task of one run, and the job it is in."""

    __slots__ = ("job", "run", "task")

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.job: Job | None = None
        self.task: asyncio.Task[None]


CURRENT: contextvars.ContextVar[Worker | None] = contextvars.ContextVar(
    "citewell_workflow_worker", default=None
)


class _Batch(NamedTuple):
    """Entries that are recorded together, and what happens once they are."""

    entries: list[Entry]
    job: Job | None = None
    emitted: Sequence[tuple[int, Event, str | None]] = ()
    streamed: tuple[int, Event] | None = None


class Run:
    """A running workflow; `Handler` is its public face."""

    def __init__(
        self,
        workflow: object,
        graph: "Graph",
        start: Event,
        *,
        run_id: str | None,
        journal: Journal | None,
        timeout_s: float | None,
        parent: Worker | None,
    ) -> None:
        self.run_id = run_id or os.urandom(16).hex()
        self.parent_run_id = parent.run.run_id if parent is not None else None
        self.graph = graph
        self.reducer = Reducer(graph)
        self.state = State(graph.state)
        self.stream: list[tuple[int, Event]] = []
        self.error: WorkflowFailed | None = None
        self.finished = False
        self._workflow = workflow
        self._start: Event | None = start
        self._journal = journal
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._base = copy_context()
        self._workers: set[Worker] = set()
        self._readers: list[asyncio.Future[None]] = []
        self._outbox: list[_Batch] = []
        self._writing = False
        self._closing = False
        self._armed = False
        self._yielding = False
        self._burst = 1
        self._timer = self._loop.call_later(timeout_s, self._on_timeout) if timeout_s is not None else None
        self.done: asyncio.Future[Any] = self._loop.create_future()
        if journal is not None:
            _check_recordable(graph)
        self._spawn()

    # What the outside and the steps ask for

    def cancel(self) -> None:
        """End the run after the clean-up of its steps."""
        self._close(WorkflowCancelled(f"Run {self.run_id} of {self.graph.name} was cancelled."))

    def write_to_stream(self, job: Job, event: Event) -> None:
        """Number the event and show it to the readers, once it is recorded; from any thread."""
        if not isinstance(event, Event):
            raise TypeError(
                f"Step {job.spec.name!r} wrote a {type(event).__name__} to the stream. Derive it from Event."
            )
        if threading.get_ident() == self._thread:
            self._write_to_stream(job, event)
        else:
            self._loop.call_soon_threadsafe(self._write_to_stream, job, event)

    def _write_to_stream(self, job: Job, event: Event) -> None:
        if self._closing:
            return
        seq = self.reducer.number()
        if self._journal is None:
            self._show(seq, event)
            return
        entry = Entry(
            seq,
            "stream",
            time.time(),
            job.spec.name,
            type(event).__name__,
            encode(event),
            (job.seq,),
            job.attempt,
        )
        self._outbox.append(_Batch([entry], streamed=(seq, event)))
        self._write_soon()

    def check_sent(self, job: Job, event: Event, step: str | None) -> None:
        """Raise UndeclaredEvent unless some step, or the named one, accepts the event or it ends the run."""
        kind = type(event)
        if not isinstance(event, Event):
            raise self._undeclared(
                job, f"sent a {kind.__name__}, which is not an Event. Derive it from Event."
            )
        if step is not None:
            target = self.graph.by_name.get(step)
            if target is None:
                known = ", ".join(self.graph.by_name)
                raise self._undeclared(
                    job, f"sent {kind.__name__} to {step!r}, which is no step (there are {known})."
                )
            if not issubclass(kind, target.accepts):
                accepts = " or ".join(one.__name__ for one in target.accepts)
                raise self._undeclared(
                    job, f"sent {kind.__name__} to step {step!r}, which accepts only {accepts}."
                )
        elif not self._has_place(kind):
            raise self._undeclared(
                job, f"sent {kind.__name__}, which no step accepts. Add a step that takes it."
            )

    async def wait_for_news(self) -> None:
        """Return when the stream has grown or ended."""
        reader = self._loop.create_future()
        self._readers.append(reader)
        await reader

    # Workers

    def _spawn(self) -> None:
        worker = Worker(self)
        context = self._base.copy()
        context.run(CURRENT.set, worker)
        self._workers.add(worker)
        worker.task = self._loop.create_task(self._work(worker), context=context)
        worker.task.add_done_callback(functools.partial(self._on_worker_done, worker))

    def _standby(self) -> None:
        # The loop has control, so every worker waits for something: others have to take the jobs that are
        # left.
        self._armed = False
        if self._yielding or self._closing:
            return
        count = min(self.reducer.backlog, self._burst)
        self._burst = min(self._burst * 2, BURST) if count == self._burst else 1
        for _ in range(count):
            self._spawn()

    async def _work(self, worker: Worker) -> None:
        # Here too, because an eager task runs before create_task() has returned it.
        task = asyncio.current_task()
        assert task is not None
        worker.task = task
        try:
            if self._start is not None:
                await self._begin()
            if self._outbox:
                await self._write()
            await self._lead(worker)
        except asyncio.CancelledError:
            # Not from _close(), which interrupts steps only: the loop is shutting down.
            self.cancel()
            await _forget_cancellation(worker.task)
        if not self._closing and self.reducer.stuck and not self._outbox and not self._writing:
            waiting = self.reducer.waiting()
            self._close(
                WorkflowStuck(
                    f"Run {self.run_id} of {self.graph.name} is stuck: {'; '.join(waiting)}. Return or send "
                    "the missing event.",
                    waiting=waiting,
                )
            )
        if self._closing and len(self._workers) == 1 and not self.finished:
            await self._finalise()
        self._workers.discard(worker)

    async def _lead(self, worker: Worker) -> None:
        """Carry out jobs until none is ready; hot, so it is written out in one place."""
        reducer, workflow, claim, journaled = (
            self.reducer,
            self._workflow,
            self.reducer.claim,
            self._journal is not None,
        )
        loop, cancelling = self._loop, worker.task.cancelling
        clean = copy_context()
        slice_ends = monotonic() + SLICE_S
        while (job := claim()) is not None:
            if not self._armed:
                self._armed = True
                loop.call_soon(self._standby)
            worker.job = job
            spec = job.spec
            try:
                if journaled:
                    job.started_at, job.started = time.time(), time.perf_counter()
                if spec.simple:
                    context = Context(self, job) if spec.wants_context else None
                    result = await spec.invoke(workflow, context, job.event)
                else:
                    result = await self._attempts(job)
                worker.job = None
                if result is None and job.sent is None:
                    if journaled:
                        self._record(job, [])
                    else:
                        reducer.release(job)
                        reducer.seq += 1
                elif type(result) in spec.known and job.sent is None and not journaled:
                    reducer.release(job)
                    reducer.emit(result)
                    reducer.seq += 1
                else:
                    self._complete(job, result)
            except Exception as error:  # noqa: BLE001 - the step boundary: becomes a StepFailed
                worker.job = None
                self._fail(job, error)
            except asyncio.CancelledError as error:
                worker.job = None
                self._on_cancelled(worker, job, error)
            if reducer.stop is not None:
                self._close(None)
            if self._closing or cancelling():
                if not self._closing:
                    self.cancel()
                await _forget_cancellation(worker.task)
                return
            if self._outbox:
                await self._write()
            if _changed(clean):
                # The step changed a context variable of this task; the next step must not see it.
                if reducer.backlog:
                    self._spawn()
                return
            if monotonic() > slice_ends:
                self._yielding = True
                try:
                    await asyncio.sleep(0)
                finally:
                    self._yielding = False
                slice_ends = monotonic() + SLICE_S

    async def _attempts(self, job: Job) -> Any:
        """What the step returned in the attempt that succeeded; raises what the last one raised."""
        policy = job.spec.config.retry
        failed_at = 0.0
        while True:
            try:
                return await self._attempt(job)
            except Exception as error:
                if policy is None or self._closing:
                    raise
                failed_at = failed_at or monotonic()
                seed = f"{self.run_id}/{job.spec.name}/{job.seq}"
                delay_s = policy.next_delay_s(job.attempt, monotonic() - failed_at, error, seed)
                if delay_s is None:
                    raise
                self._record_failure(job, f"{type(error).__name__}: {error}")
            self.reducer.undo(job)
            job.attempt += 1
            job.cancelled = False
            self._write_soon()
            await asyncio.sleep(delay_s)
            job.started_at, job.started = time.time(), time.perf_counter()

    async def _attempt(self, job: Job) -> Any:
        spec = job.spec
        context = Context(self, job) if spec.wants_context else None
        timeout_s = spec.config.timeout_s
        if spec.mode == "inline":
            return spec.invoke(self._workflow, context, job.event)
        if timeout_s is None:
            return await self._call(job, context)
        try:
            async with asyncio.timeout(timeout_s) as scope:
                return await self._call(job, context)
        except TimeoutError as error:
            if not scope.expired():
                raise
            job.verdict = WorkflowTimeout(
                f"Step {spec.name!r} took longer than {timeout_s} s on {_label(job)}, attempt {job.attempt}. "
                "Raise its timeout_s, or give it a retry.",
                timeout_s=timeout_s,
                step=spec.name,
            )
            raise job.verdict from error

    async def _call(self, job: Job, context: Context[Any] | None) -> Any:
        if job.spec.mode == "async":
            return await job.spec.invoke(self._workflow, context, job.event)

        def on_cancel() -> None:
            job.cancelled = True

        return await in_thread(lambda: job.spec.invoke(self._workflow, context, job.event), on_cancel)

    # Outcomes of jobs

    def _complete(self, job: Job, result: Any) -> None:
        returned = [] if result is None else result if type(result) is list else [result]
        for event in returned:
            kind = type(event)
            if kind not in job.spec.known:
                self._check_returned(job, kind)
        emitted = [*(job.sent or ()), *((event, None) for event in returned)]
        if self._journal is not None:
            self._record(job, emitted)
            return
        reducer = self.reducer
        reducer.release(job)
        for event, step in emitted:
            reducer.deliver(reducer.number(), event, step)
        reducer.number()

    def _check_returned(self, job: Job, kind: type) -> None:
        declared = " | ".join(one.__name__ for one in job.spec.emits) or "None"
        if not issubclass(kind, Event):
            raise self._undeclared(
                job, f"returned a {kind.__name__}, which is not an Event. It declares {declared}."
            )
        if not issubclass(kind, job.spec.emits):
            raise self._undeclared(
                job,
                f"returned {kind.__name__}, but declares {declared}. Add {kind.__name__} to its annotation.",
            )
        if not self._has_place(kind):
            raise self._undeclared(
                job, f"returned {kind.__name__}, which no step accepts. Add a step that takes it."
            )
        job.spec.known.add(kind)

    def _has_place(self, kind: type) -> bool:
        routes = self.graph.routes
        return bool(routes[kind] if kind in routes else self.graph.route(kind)) or issubclass(kind, StopEvent)

    def _undeclared(self, job: Job, what: str) -> WorkflowFailed:
        spec = job.spec
        message = f"Step {spec.name!r} of {self.graph.name}, working on {_label(job)}, {what}"
        job.verdict = UndeclaredEvent(
            message, step=spec.name, event=type(job.event).__name__, attempt=job.attempt
        )
        return job.verdict

    def _fail(self, job: Job, error: Exception) -> None:
        if self._closing:
            log.warning("Step %r failed while run %s was ending", job.spec.name, self.run_id, exc_info=error)
        self._record_failure(job, f"{type(error).__name__}: {error}", ended=True)
        if job.verdict is not None and error is job.verdict:
            self._close(job.verdict)
            return
        name = type(job.event).__name__
        failure = StepFailed(
            f"Step {job.spec.name!r} of {self.graph.name} failed on {_label(job)}, attempt {job.attempt}: "
            f"{type(error).__name__}: {error}",
            step=job.spec.name,
            event=name,
            attempt=job.attempt,
        )
        failure.__cause__ = error
        self._close(failure)

    def _on_cancelled(self, worker: Worker, job: Job, error: asyncio.CancelledError) -> None:
        if self._closing:
            self._record_failure(job, "cancelled", ended=True)
        elif worker.task.cancelling():
            # Somebody cancelled the task itself, as asyncio.run() does with all tasks when it ends.
            self._record_failure(job, "cancelled", ended=True)
            self.cancel()
        else:
            own = RuntimeError("the step raised CancelledError although nobody cancelled it")
            own.__cause__ = error
            self._fail(job, own)

    # The record

    async def _begin(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        if self._journal is None:
            if not self._closing:
                self.reducer.emit(start)
            return
        try:
            at = time.time()
            await self._journal.started(
                RunStart(self.run_id, self.graph.name, self.graph.fingerprint, at, self.parent_run_id)
            )
            seq = self.reducer.number()
            entry = Entry(seq, "event", at, None, type(start).__name__, encode(start))
            self._outbox.append(_Batch([entry], emitted=[(seq, start, None)]))
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._on_journal_failed(error)

    def _record(self, job: Job, emitted: Sequence[tuple[Event, str | None]]) -> None:
        """Put a successful step, its events and the state it wrote into one batch."""
        at, causes, name = time.time(), job.causes or (job.seq,), job.spec.name
        duration_s = time.perf_counter() - job.started
        timing = (causes, job.attempt, job.started_at, duration_s)
        # All forms first: an event that has none must fail the step before anything is numbered.
        payloads = [encode(event) for event, _ in emitted]
        numbered = [(self.reducer.number(), event, target) for event, target in emitted]
        entries = [
            Entry(seq, "event", at, name, type(event).__name__, payload, *timing, target=target)
            for (seq, event, target), payload in zip(numbered, payloads, strict=True)
        ]
        dirty = job.dirty or set()
        state = self.state.recorded(dirty) if dirty else None
        deleted = tuple(sorted(dirty - self.state.values.keys()))
        entries.append(
            Entry(
                self.reducer.number(),
                "step",
                at,
                name,
                None,
                None,
                *timing,
                state=state,
                state_deleted=deleted,
            )
        )
        self._outbox.append(_Batch(entries, job, numbered))

    def _record_failure(self, job: Job, error: str, *, ended: bool = False) -> None:
        seq = self.reducer.number()
        if ended:
            self.reducer.release(job)
        if self._journal is None:
            return
        at, duration_s = time.time(), time.perf_counter() - job.started
        timing = (job.causes or (job.seq,), job.attempt, job.started_at, duration_s)
        self._outbox.append(_Batch([Entry(seq, "step", at, job.spec.name, None, None, *timing, error=error)]))

    def _write_soon(self) -> None:
        # With more than one batch in the outbox, somebody is already on the way to write it.
        if len(self._outbox) == 1 and not self._writing:
            self._spawn()

    async def _write(self) -> None:
        """Record what is in the outbox and act on it; a call during another's write leaves it to that one.

        So appends of one run never overlap, and what gathers while one is on its way goes out together.
        """
        if self._writing or self._journal is None:
            return
        self._writing = True
        try:
            while self._outbox:
                batches, self._outbox = self._outbox, []
                if not self._armed:
                    self._armed = True
                    self._loop.call_soon(self._standby)
                await self._journal.append(
                    self.run_id, [entry for batch in batches for entry in batch.entries]
                )
                for batch in batches:
                    self._apply(batch)
        except asyncio.CancelledError:
            # Whether it was recorded is not known: write no more, and leave the run as a crash would.
            self._journal, self._outbox = None, []
            raise
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._on_journal_failed(error)
        finally:
            self._writing = False

    def _apply(self, batch: _Batch) -> None:
        if batch.job is not None:
            self.reducer.release(batch.job)
        if self._closing:
            return
        if batch.streamed is not None:
            self._show(*batch.streamed)
        for seq, event, target in batch.emitted:
            self.reducer.deliver(seq, event, target)
        if self.reducer.stop is not None:
            self._close(None)

    def _on_journal_failed(self, error: Exception) -> None:
        self._journal, self._outbox = None, []
        failure = JournalFailed(f"Run {self.run_id} of {self.graph.name} could not be recorded: {error}")
        failure.__cause__ = error
        self._close(failure)
        self.error = self.error or failure

    # The end

    def _on_timeout(self) -> None:
        running = sorted({worker.job.spec.name for worker in self._workers if worker.job is not None})
        busy = f"running: {', '.join(running)}" if running else "no step was running"
        assert self._timeout_s is not None
        self._close(
            WorkflowTimeout(
                f"Run {self.run_id} of {self.graph.name} took longer than {self._timeout_s} s ({busy}).",
                timeout_s=self._timeout_s,
            )
        )

    def _close(self, error: WorkflowFailed | None) -> None:
        """Begin the end, with the first reason given: start nothing more and interrupt the steps that still
        run.
        """
        if self._closing:
            return
        self._closing = True
        self.error = error
        self.reducer.drain()
        for worker in self._workers:
            if worker.job is not None:
                worker.job.cancelled = True
                worker.task.cancel()

    async def _finalise(self) -> None:
        stop = self.reducer.stop
        await self._write()
        if self.error is None:
            assert stop is not None
            last: tuple[int, Event] = stop
        else:
            last = (self.reducer.number(), _failure(self.error))
        if self._journal is not None:
            try:
                at = time.time()
                if self.error is not None:
                    event = last[1]
                    entry = Entry(last[0], "event", at, None, type(event).__name__, encode(event))
                    await self._journal.append(self.run_id, [entry])
                text = None if self.error is None else str(self.error)
                await self._journal.ended(
                    self.run_id, Outcome(_status(self.error), self.reducer.seq, at, text)
                )
            except Exception as error:  # noqa: BLE001 - an adapter may raise anything
                self._on_journal_failed(error)
                if stop is not None and last is stop and self.error is not None:
                    last = (self.reducer.number(), _failure(self.error))
        self._finish(last)

    def _finish(self, last: tuple[int, Event]) -> None:
        self.finished = True
        if self._timer is not None:
            self._timer.cancel()
        self._show(*last)
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(getattr(last[1], "result", last[1]))

    def _on_worker_done(self, worker: Worker, task: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A worker of run %s broke", self.run_id, exc_info=error)
            self._close(WorkflowFailed(f"Run {self.run_id} of {self.graph.name} broke: {error!r}"))
        if not self._workers and not self.finished:
            # Cancelled before its first line ran, as when the loop shuts down: end as a crash would,
            # unrecorded.
            self.cancel()
            assert self.error is not None
            self._finish((self.reducer.number(), _failure(self.error)))

    def _show(self, seq: int, event: Event) -> None:
        self.stream.append((seq, event))
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)


def _label(job: Job) -> str:
    return f"{type(job.event).__name__} (event {job.seq})"


def _changed(clean: contextvars.Context) -> bool:
    try:
        return copy_context() != clean
    except Exception:  # noqa: BLE001 - values are compared by their own __eq__, which may raise anything
        return True


async def _forget_cancellation(task: asyncio.Task[None]) -> None:
    """Make the task usable for the end of the run after it was cancelled."""
    if not task.cancelling():
        return
    while task.cancelling():
        task.uncancel()
    # A cancellation that the step returned without meeting would hit the next await: let it hit this one.
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


def _status(error: WorkflowFailed | None) -> Literal["done", "failed", "timed_out", "cancelled", "stuck"]:
    match error:
        case None:
            return "done"
        case WorkflowTimeout():
            return "timed_out"
        case WorkflowCancelled():
            return "cancelled"
        case WorkflowStuck():
            return "stuck"
    return "failed"


def _failure(error: WorkflowFailed) -> RunFailed:
    status = _status(error)
    assert status != "done"
    cause = error.__cause__ if type(error) is StepFailed and error.__cause__ is not None else error
    return RunFailed(status, type(cause).__name__, str(error), getattr(error, "step", None))


def _check_recordable(graph: "Graph") -> None:
    try:
        for name, kind in graph.events.items():
            codec(kind, name)
    except CodecError as error:
        raise WorkflowDefinitionError(f"{graph.name} cannot be recorded in a journal. {error}") from error
