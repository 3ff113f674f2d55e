"""One job's attempts: the step in its mode, its timeout, its retries."""

import asyncio
import contextvars
import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from citewell.workflow.context import Context
from citewell.workflow.errors import UndeclaredEvent, WorkflowTimeout
from citewell.workflow.reducer import Job

if TYPE_CHECKING:
    from citewell.workflow.run import Run


async def attempts(run: "Run", job: Job) -> Any:
    """What the step returned in the attempt that succeeded; raises what the last one raised."""
    policy = job.spec.config.retry
    failed_at = 0.0
    while True:
        try:
            return await _attempt(run, job)
        except Exception as error:
            if policy is None or run.closing or isinstance(job.verdict, UndeclaredEvent):
                raise
            failed_at = failed_at or time.monotonic()
            seed = f"{run.run_id}/{job.spec.name}/{job.seq}"
            delay_s = policy.next_delay_s(job.attempt, time.monotonic() - failed_at, error, seed)
            if delay_s is None:
                raise
            run.record_failure(job, f"{type(error).__name__}: {error}")
        run.reducer.undo(job)
        job.attempt += 1
        job.cancelled = False
        job.verdict = None
        run.write_soon()
        await asyncio.sleep(delay_s)
        job.started_at, job.started = time.time(), time.perf_counter()


async def _attempt(run: "Run", job: Job) -> Any:
    spec = job.spec
    context = Context(run, job) if spec.wants_context else None
    timeout_s = spec.config.timeout_s
    if spec.mode == "inline":
        return spec.invoke(run.workflow, context, job.event)
    if timeout_s is None:
        return await _call(run, job, context)
    try:
        async with asyncio.timeout(timeout_s) as scope:
            return await _call(run, job, context)
    except TimeoutError as error:
        if not scope.expired():
            raise
        job.verdict = WorkflowTimeout(
            f"Step {spec.name!r} took longer than {timeout_s} s on {job.label}, attempt {job.attempt}. "
            "Raise its timeout_s, or give it a retry.",
            timeout_s=timeout_s,
            step=spec.name,
        )
        raise job.verdict from error


async def _call(run: "Run", job: Job, context: Context[Any] | None) -> Any:
    if job.spec.mode == "async":
        return await job.spec.invoke(run.workflow, context, job.event)

    def on_cancel() -> None:
        job.cancelled = True

    return await _in_thread(lambda: job.spec.invoke(run.workflow, context, job.event), on_cancel)


async def _in_thread(call: Callable[[], Any], on_cancel: Callable[[], None]) -> Any:
    """What `call` returns or raises, run in a thread with the caller's context variables.

    When cancelled it calls `on_cancel` and still waits for the thread: a run that has ended must not go on
    writing.
    """

    def guarded() -> tuple[Any, BaseException | None]:
        # As a value, because a StopIteration cannot be raised through a future.
        try:
            return call(), None
        except BaseException as error:  # noqa: BLE001 - raised again on the loop below
            return None, error

    context = contextvars.copy_context()
    future = asyncio.get_running_loop().run_in_executor(None, functools.partial(context.run, guarded))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            on_cancel()
    if cancelled is not None:
        raise cancelled
    value, raised = future.result()
    if raised is not None:
        raise raised
    return value
