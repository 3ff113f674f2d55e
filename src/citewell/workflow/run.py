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
from typing import TYPE_CHECKING, Any, Literal

from citewell.workflow.attempt import attempts
from citewell.workflow.codec import encode
from citewell.workflow.context import Context
from citewell.workflow.declared import check_returned
from citewell.workflow.errors import (
    JournalFailed,
    StepFailed,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowStuck,
    WorkflowTimeout,
)
from citewell.workflow.events import Event, RunFailed
from citewell.workflow.journal import Journal, Outcome
from citewell.workflow.record import Batch, Recorder, check_recordable
from citewell.workflow.reducer import Job, Reducer
from citewell.workflow.state import State

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


CURRENT: contextvars.ContextVar[Worker | None] = contextvars.ContextVar("citewell_workflow_worker", default=None)


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
        self.workflow = workflow
        self._start: Event | None = start
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._base = copy_context()
        self._workers: set[Worker] = set()
        self._readers: list[asyncio.Future[None]] = []
        self._failed: tuple[int, Event] | None = None
        self.closing = False
        self._armed = False
        self._yielding = False
        self._burst = 1
        self._recorder: Recorder | None = None
        if journal is not None:
            check_recordable(graph, start)
            self._recorder = Recorder(self.run_id, journal, self.reducer, self.state, self._apply)
        self._timer = self._loop.call_later(timeout_s, self._on_timeout) if timeout_s is not None else None
        self.done: asyncio.Future[Any] = self._loop.create_future()
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
        payload = encode(event) if self._recorder is not None else None
        if threading.get_ident() == self._thread:
            self._write_to_stream(job, event, payload)
        else:
            self._loop.call_soon_threadsafe(self._write_to_stream, job, event, payload)

    def _write_to_stream(self, job: Job, event: Event, payload: Any) -> None:
        if self.closing:
            return
        if self._recorder is None:
            self._show(self.reducer.number(), event)
        else:
            self._recorder.streamed(job, event, payload)
            self.write_soon()

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
        if self._yielding or self.closing:
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
            await self._write()
            await self._lead(worker)
        except asyncio.CancelledError:
            # Not from _close(), which interrupts steps only: the loop is shutting down.
            self.cancel()
            await _forget_cancellation(worker.task)
        if not self.closing and self.reducer.stuck and (self._recorder is None or self._recorder.idle):
            waiting = self.reducer.waiting()
            self._close(
                WorkflowStuck(
                    f"Run {self.run_id} of {self.graph.name} is stuck: {'; '.join(waiting)}. Return or send "
                    "the missing event.",
                    waiting=waiting,
                )
            )
        if self.closing and len(self._workers) == 1 and not self.finished:
            await self._finalise()
        self._workers.discard(worker)

    async def _lead(self, worker: Worker) -> None:
        """Carry out jobs until none is ready; hot, so it is written out in one place."""
        reducer, recorder, workflow = self.reducer, self._recorder, self.workflow
        claim, call_soon, cancelling = reducer.claim, self._loop.call_soon, worker.task.cancelling
        clean = copy_context()
        slice_ends = monotonic() + SLICE_S
        while (job := claim()) is not None:
            if not self._armed:
                self._armed = True
                call_soon(self._standby)
            worker.job = job
            spec = job.spec
            try:
                if recorder is not None:
                    job.started_at, job.started = time.time(), time.perf_counter()
                if spec.simple:
                    context = Context(self, job) if spec.wants_context else None
                    result = await spec.invoke(workflow, context, job.event)
                else:
                    result = await attempts(self, job)
                worker.job = None
                if recorder is not None or job.sent is not None or self.closing:
                    self._complete(job, result)
                elif result is None:
                    reducer.release(job)
                    reducer.seq += 1
                elif type(result) in spec.known:
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
            if self.closing or cancelling():
                if not self.closing:
                    self.cancel()
                await _forget_cancellation(worker.task)
                return
            if recorder is not None:
                await self._write()
            if _changed(clean):
                # The step changed a context variable of this task; the next step must not see it.
                if reducer.backlog:
                    self._spawn()
                return
            if self._yielding:
                # Another worker is about to go on; two would hold the loop for two slices.
                return
            if monotonic() > slice_ends:
                self._yielding = True
                try:
                    await asyncio.sleep(0)
                finally:
                    self._yielding = False
                slice_ends = monotonic() + SLICE_S

    # Outcomes of jobs

    def _complete(self, job: Job, result: Any) -> None:
        if self.closing:
            self.record_failure(job, "dropped: it returned after the run had begun to end", ended=True)
            return
        returned = [] if result is None else result if type(result) is list else [result]
        for event in returned:
            check_returned(self.graph, job, event)
        emitted = [*(job.sent or ()), *((event, None) for event in returned)]
        if self._recorder is not None:
            self._recorder.succeeded(job, emitted)
            return
        reducer = self.reducer
        reducer.release(job)
        for event, step in emitted:
            reducer.deliver(reducer.number(), event, step)
        reducer.number()

    def _fail(self, job: Job, error: Exception) -> None:
        if self.closing:
            log.warning("Step %r failed while run %s was ending", job.spec.name, self.run_id, exc_info=error)
        self.record_failure(job, f"{type(error).__name__}: {error}", ended=True)
        if job.verdict is not None and error is job.verdict:
            self._close(job.verdict)
            return
        name = type(job.event).__name__
        failure = StepFailed(
            f"Step {job.spec.name!r} of {self.graph.name} failed on {job.label}, attempt {job.attempt}: "
            f"{type(error).__name__}: {error}",
            step=job.spec.name,
            event=name,
            attempt=job.attempt,
        )
        failure.__cause__ = error
        self._close(failure)

    def _on_cancelled(self, worker: Worker, job: Job, error: asyncio.CancelledError) -> None:
        if self.closing:
            self.record_failure(job, "cancelled", ended=True)
        elif worker.task.cancelling():
            # Somebody cancelled the task itself, as asyncio.run() does with all tasks when it ends.
            self.record_failure(job, "cancelled", ended=True)
            self.cancel()
        else:
            own = RuntimeError("the step raised CancelledError although nobody cancelled it")
            own.__cause__ = error
            self._fail(job, own)

    # The record

    async def _begin(self) -> None:
        start, self._start = self._start, None
        assert start is not None
        if self._recorder is None:
            if not self.closing:
                self.reducer.emit(start)
            return
        try:
            await self._recorder.begin(start, self.graph.name, self.graph.fingerprint, self.parent_run_id)
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._on_journal_failed(error)

    def record_failure(self, job: Job, error: str, *, ended: bool = False) -> None:
        if ended:
            self.reducer.release(job)
        if self._recorder is None:
            self.reducer.number()
        else:
            self._recorder.failed(job, error)

    def write_soon(self) -> None:
        # With more than one batch in the outbox, somebody is already on the way to write it.
        recorder = self._recorder
        if recorder is not None and len(recorder.outbox) == 1 and not recorder.writing:
            self._spawn()

    async def _write(self) -> None:
        if self._recorder is None or not self._recorder.outbox:
            return
        if not self._armed:
            # The journal may wait too, and meanwhile others take the jobs that are left.
            self._armed = True
            self._loop.call_soon(self._standby)
        try:
            await self._recorder.write()
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._on_journal_failed(error)

    def _apply(self, batch: Batch) -> None:
        if batch.job is not None:
            self.reducer.release(batch.job)
        if self.closing:
            return
        if batch.streamed is not None:
            self._show(*batch.streamed)
        for seq, event, target in batch.emitted:
            self.reducer.deliver(seq, event, target)
        if self.reducer.stop is not None:
            self._close(None)

    def _on_journal_failed(self, error: Exception) -> None:
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
        if self.closing:
            return
        self.closing = True
        self.error = error
        self.reducer.drain()
        for worker in self._workers:
            if worker.job is not None:
                worker.job.cancelled = True
                worker.task.cancel()

    async def _finalise(self) -> None:
        if self._recorder is not None:
            await self._write()
            seq, event = self._last()
            message = None if self.error is None else str(self.error)
            outcome = Outcome(_status(self.error), seq, time.time(), message)
            try:
                await self._recorder.end(outcome, None if self.error is None else event)
            except Exception as error:  # noqa: BLE001 - an adapter may raise anything
                self._on_journal_failed(error)
        self._finish()

    def _last(self) -> tuple[int, Event]:
        """The event that ends the stream: the stop event, or a new one that tells of the failure."""
        if self.error is None:
            assert self.reducer.stop is not None
            return self.reducer.stop
        if self._failed is None:
            self._failed = (self.reducer.number(), _failure(self.error))
        return self._failed

    def _finish(self) -> None:
        self.finished = True
        if self._timer is not None:
            self._timer.cancel()
        seq, event = self._last()
        self._show(seq, event)
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(getattr(event, "result", event))

    def _on_worker_done(self, worker: Worker, task: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A worker of run %s broke", self.run_id, exc_info=error)
            self._close(WorkflowFailed(f"Run {self.run_id} of {self.graph.name} broke: {error!r}"))
        if not self._workers and not self.finished:
            # The loop shuts down and cancelled the worker before its first line, or while the end was being
            # recorded: end as a crash would.
            self.cancel()
            self._finish()

    def _show(self, seq: int, event: Event) -> None:
        self.stream.append((seq, event))
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)


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
