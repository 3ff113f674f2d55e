"""The tasks that carry out a run's jobs.

A worker is a task that takes one job after another and awaits its step itself, so a step that does not wait
for anything costs no task. While a step does wait, the loop gets control and calls `standby`, which starts
workers for the jobs that are left. So every step runs in one ordinary task from beginning to end, and
`asyncio.timeout()`, task groups and context variables mean in it what they mean anywhere.
"""

import asyncio
import contextlib
import contextvars
import functools
import logging
from typing import TYPE_CHECKING, Any

from citewell.workflow import ends, outcomes
from citewell.workflow.attempt import attempts
from citewell.workflow.context import StepContext
from citewell.workflow.errors import WorkflowRuntimeError
from citewell.workflow.job import Job
from citewell.workflow.watch import Watch

if TYPE_CHECKING:
    from citewell.workflow.run import Run

log = logging.getLogger("citewell.workflow")

# A run whose steps never wait gives the loop back this often, so that other tasks, timers and cancellation go on.
SLICE_S = 0.005
SLICE_JOBS = 256
BURST = 32

copy_context = contextvars.copy_context


class Worker:
    """A task of one run, and the job it is in."""

    __slots__ = ("job", "run", "task")

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.job: Job | None = None
        self.task: asyncio.Task[None]


CURRENT: contextvars.ContextVar[Worker | None] = contextvars.ContextVar("citewell_workflow_worker", default=None)


def spawn(run: "Run") -> None:
    """Start one more worker of the run."""
    worker = Worker(run)
    context = run.base.copy()
    context.run(CURRENT.set, worker)
    if run.workers is None:
        run.workers = {}
    run.workers[worker] = None
    worker.task = run.loop.create_task(_work(run, worker), context=context)
    worker.task.add_done_callback(functools.partial(_on_done, run, worker))


def standby(run: "Run") -> None:
    """Start workers for the jobs that are left: the loop has control, so every worker waits for something."""
    run.armed = False
    if run.yielding or run.closing:
        return
    count = min(run.reducer.backlog, run.burst)
    run.burst = min(run.burst * 2, BURST) if count == run.burst else 1
    for _ in range(count):
        spawn(run)


async def _work(run: "Run", worker: Worker) -> None:
    # Here too, because an eager task runs before create_task() has returned it.
    task = asyncio.current_task()
    assert task is not None
    worker.task = task
    try:
        if run.unstarted is not None and run.recorder is None and run.gate is None:
            # As begin() would, which is a coroutine of its own and most of what a short run costs beside its steps.
            start, run.unstarted = run.unstarted, None
            if not run.closing:
                run.reducer.emit(start)
        elif (run.unstarted is not None or run.gate is not None) and not run.parked:
            await run.begin()
        if run.reducer.stop is not None:
            # It goes on from a record that lacks only its end.
            ends.close(run, None)
        if run.recorder is not None:
            await run.write()
        if not run.parked:
            await _lead(run, worker)
    except asyncio.CancelledError:
        # Not from ends.close(), which interrupts steps only: the loop is shutting down.
        if not run.parked:
            run.cancel()
        await _forget_cancellation(worker.task)
    if run.idle:
        run.on_quiet()
    assert run.workers is not None
    if run.closing and len(run.workers) == 1 and not run.outlet.finished:
        if run.recorder is None:
            ends.finish(run)
        else:
            await ends.record(run)
    run.workers.pop(worker, None)


async def _lead(run: "Run", worker: Worker) -> None:
    """Carry out jobs until none is ready; hot, so it is written out in one place."""
    reducer, recorder, workflow = run.reducer, run.recorder, run.workflow
    claim, call_soon, cancelling = reducer.claim, run.loop.call_soon, worker.task.cancelling
    watched, outlet = run.watch is not None, run.outlet
    clean = copy_context()
    # By the loop's clock and by number: on a virtual clock no time passes while steps work.
    now = run.loop.time
    slice_ends, left = now() + SLICE_S, SLICE_JOBS
    while (job := claim()) is not None:
        if not run.armed and (reducer.ready or reducer.freed):
            run.armed = True
            call_soon(standby, run)
        worker.job = job
        spec = job.spec
        try:
            if recorder is not None:
                job.started_at, job.started = run.clock.wall(), run.clock.steady()
            if watched or outlet.expose:
                result = await (run.watch or Watch()).step(run, job, attempts)
            elif spec.simple and job.past is None:
                context: Any = StepContext(run, job) if spec.wants_context else None
                result = await spec.invoke(workflow, context, job.event)
            else:
                result = await attempts(run, job)
            worker.job = None
            if recorder is not None or job.trail is not None or run.closing:
                outcomes.complete(run, job, result)
            elif result is None:
                reducer.release(job)
                reducer.seq += 1
                reducer.idle_job = job
            elif type(result) in spec.known and not reducer.waits:
                reducer.release(job)
                reducer.emit(result)
                reducer.seq += 1
            else:
                outcomes.complete(run, job, result)
        except Exception as error:  # noqa: BLE001 - the step boundary: becomes the run's failure
            worker.job = None
            outcomes.fail(run, job, error)
        except asyncio.CancelledError as error:
            worker.job = None
            if run.parked:
                raise
            outcomes.cancelled(run, worker.task, job, error)
        if reducer.stop is not None:
            ends.close(run, None)
        if run.closing or cancelling():
            if not run.closing:
                run.cancel()
            await _forget_cancellation(worker.task)
            return
        if recorder is not None:
            await run.write()
            if run.parked:
                return
        if _changed(clean):
            # The step changed a context variable of this task; the next step must not see it.
            if reducer.backlog:
                spawn(run)
            return
        if run.yielding:
            # Another worker is about to go on; two would hold the loop for two slices.
            return
        left -= 1
        if not left or now() > slice_ends:
            run.yielding = True
            try:
                await asyncio.sleep(0)
            finally:
                run.yielding = False
            if run.parked:
                return
            slice_ends, left = now() + SLICE_S, SLICE_JOBS


def _on_done(run: "Run", worker: Worker, task: asyncio.Task[None]) -> None:
    if run.workers is not None:
        run.workers.pop(worker, None)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("A worker of run %s broke", run.run_id, exc_info=error)
        ends.close(
            run,
            WorkflowRuntimeError(
                f"Run {run.run_id} of {run.graph.name} broke inside the engine, not in a step: {error!r}. "
                "The log of citewell.workflow has the traceback; please report it."
            ),
        )
    if not run.workers:
        run.workers = None
        if run.closing and not run.outlet.finished:
            # The loop shuts down and cancelled the worker before its first line, or while the end was being
            # recorded: end as a crash would.
            ends.finish(run)
        elif task.cancelled() and not run.parked and not run.outlet.finished:
            run.cancel()
            ends.finish(run)


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
