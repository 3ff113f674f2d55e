"""One job's attempts: the step in its mode, with its resources, its timeout, its retries."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from citewell.workflow import outcomes
from citewell.workflow.context import StepContext
from citewell.workflow.ends import said
from citewell.workflow.errors import UndeclaredEvent, WorkflowTimeoutError
from citewell.workflow.job import Job
from citewell.workflow.past import past_of

if TYPE_CHECKING:
    from citewell.workflow.retry_policy import RetryPolicy
    from citewell.workflow.run import Run


async def attempts(run: "Run", job: Job) -> Any:
    """What the step returned in the attempt that succeeded; raises what the last one raised."""
    policy = job.spec.config.retry_policy
    if job.past is not None and (rest_s := job.past.due - run.clock.wall()) > 0:
        await asyncio.sleep(rest_s)
    while True:
        try:
            return await _attempt(run, job)
        except Exception as error:
            if run.closing or isinstance(job.verdict, UndeclaredEvent):
                raise
            past = past_of(job)
            now = run.clock.wall()
            past.failed(error, now, job.started_at or now)
            if policy is None:
                raise
            delay_s = _next_delay_s(policy, now - past.first_failed_at, job.attempt, error, _seed(run.run_id, job))
            if delay_s is None:
                raise
            past.due = now + delay_s
            outcomes.note(run, job, said(error), due=past.due)
        run.reducer.undo(job)
        job.attempt += 1
        past.sending = 0
        job.cancelled = False
        job.verdict = None
        if run.recorder is not None:
            # Before the next one begins: a killed process repeats the attempt under way, and no other.
            await run.written()
        await asyncio.sleep(max(past.due - run.clock.wall(), 0.0))
        job.started_at, job.started = run.clock.wall(), run.clock.steady()


def _next_delay_s(policy: "RetryPolicy", elapsed_s: float, attempt: int, error: Exception, seed: int) -> float | None:
    if _takes_seed(type(policy)):
        return policy.next(elapsed_s, attempt, error, seed=seed)
    # A policy of somebody's own may know nothing of seeds.
    return policy.next(elapsed_s, attempt, error)


@functools.lru_cache(maxsize=256)
def _takes_seed(kind: type) -> bool:
    parameters = inspect.signature(kind.next).parameters.values()  # type: ignore[attr-defined]
    return any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in parameters)


def _seed(run_id: str, job: Job) -> int:
    import hashlib

    # From what a replay knows too, so that it waits as long as the recorded run did.
    text = f"{run_id}/{job.spec.name}/{job.seq}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


async def _attempt(run: "Run", job: Job) -> Any:
    spec = job.spec
    context = StepContext(run, job)
    timeout_s = spec.config.timeout_s
    if spec.mode == "inline" and not spec.resources:
        return spec.invoke(run.workflow, context, job.event)
    if timeout_s is None:
        return await _call(run, job, context)
    try:
        async with asyncio.timeout(timeout_s) as scope:
            return await _call(run, job, context)
    except TimeoutError as error:
        if not scope.expired():
            raise
        job.verdict = WorkflowTimeoutError(
            f"Step {spec.name!r} took longer than {timeout_s} s on {job.label}, attempt {job.attempt}. "
            "Raise its timeout_s, or give it a retry_policy.",
            timeout_s=timeout_s,
            step=spec.name,
        )
        raise job.verdict from error


async def _call(run: "Run", job: Job, context: "StepContext[Any]") -> Any:
    spec = job.spec
    resources: dict[str, Any] = {}
    if spec.resources:
        from citewell.workflow.resource import resolve

        resources = await resolve(run.resources, spec.resources)
    if spec.mode == "async":
        return await spec.invoke(run.workflow, context, job.event, **resources)
    if spec.mode == "inline":
        return spec.invoke(run.workflow, context, job.event, **resources)

    def on_cancel() -> None:
        job.cancelled = True

    return await _in_thread(lambda: spec.invoke(run.workflow, context, job.event, **resources), on_cancel)


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
