"""How a run ends: the reason is noted, its steps are interrupted, the end is recorded, everybody is told."""

from typing import TYPE_CHECKING

from citewell.workflow import questions
from citewell.workflow.errors import WorkflowCancelledByUser, WorkflowStuck, WorkflowTimeoutError
from citewell.workflow.events import WorkflowCancelledEvent, WorkflowFailedEvent, WorkflowTimedOutEvent
from citewell.workflow.journal import Outcome, Status
from citewell.workflow.plain import PlainEvent

if TYPE_CHECKING:
    from citewell.workflow.run import Run


def close(run: "Run", error: Exception | None) -> None:
    """Begin the end, with the first reason given: start nothing more and interrupt the steps that still run."""
    if run.closing or run.parked or (run.ending and error is not None):
        # In the last case its end is on the way to the disk, and what is recorded counts.
        return
    active = run.active_steps() if isinstance(error, WorkflowTimeoutError) else []
    run.closing = True
    run.error = error
    if run.failed is None and error is not None:
        run.failed = (0, _failure(error, active))
    run.reducer.drain()
    for worker in run.workers or ():
        if worker.job is not None:
            worker.job.cancelled = True
            worker.task.cancel()
    if not run.workers:
        # Nobody is left to bring the end about.
        run.spawn()


def time_out(run: "Run") -> None:
    """Begin the end of a run whose time is over."""
    running = run.active_steps()
    busy = f"running: {', '.join(running)}" if running else "no step was running"
    assert run.timeout_s is not None
    close(
        run,
        WorkflowTimeoutError(
            f"Run {run.run_id} of {run.graph.name} took longer than {run.timeout_s} s ({busy}). "
            "Give the workflow a longer timeout, or timeout=None where it waits for people.",
            timeout_s=run.timeout_s,
        ),
    )


async def record(run: "Run") -> None:
    """Record how a run that is closing ends, and end it."""
    if run.recorder is not None and run.ending != -1:
        seq, event = _last(run)
        message = None if run.error is None else said(run.error)
        outcome = Outcome(status_of(run.error), seq, run.clock.wall(), message)
        try:
            await run.recorder.end(outcome, None if run.error is None else event)
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything
            run.lose_journal(error)
    finish(run)


def finish(run: "Run") -> None:
    """Let go of everything, and tell how the run ended."""
    run.let_go()
    for wait in list((run.reducer.waits or {}).values()):
        questions.withdraw(run, wait)
    last = _last(run)
    run.outlet.show(last)
    run.outlet.end(last[1], run.error, run)
    run.settle()
    if run.keeper is not None:
        run.keeper.on_end(run)


def _last(run: "Run") -> tuple[int, PlainEvent]:
    """The event that ends the stream: the stop event, or a new one that tells of the failure."""
    if run.error is None:
        assert run.reducer.stop is not None
        return run.reducer.stop
    if run.failed is None:
        run.failed = (0, _failure(run.error, []))
    if not run.failed[0]:
        run.failed = (run.reducer.number(), run.failed[1])
    return run.failed


def _failure(error: Exception, active: list[str]) -> PlainEvent:
    """The last event of the stream of a run that this error ended while the steps `active` worked."""
    match status_of(error):
        case "timed_out":
            assert isinstance(error, WorkflowTimeoutError)
            return WorkflowTimedOutEvent(timeout=error.timeout_s, active_steps=active)
        case "cancelled":
            return WorkflowCancelledEvent()
    waiting = error.waiting if isinstance(error, WorkflowStuck) else ()
    return WorkflowFailedEvent(step_name=getattr(error, "step", None) or "", exception=error, waiting=waiting)


def status_of(error: BaseException | None) -> Status:
    """How a run that this error ended is said to have ended."""
    match error:
        case None:
            return "done"
        case WorkflowTimeoutError(step=None):
            return "timed_out"
        case WorkflowCancelledByUser():
            return "cancelled"
        case WorkflowStuck():
            return "stuck"
    return "failed"


def said(error: BaseException) -> str:
    """The error's type and message, as records keep them; of one that was read from a record, what it said there."""
    return f"{getattr(error, 'original_type', type(error).__name__)}: {error}"
