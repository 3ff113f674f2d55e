"""What comes of a job: its events go on, its failure goes to a handler or ends the run."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from citewell.workflow import ends, questions
from citewell.workflow.declared import check_returned
from citewell.workflow.ends import said
from citewell.workflow.errors import WorkflowRuntimeError, WorkflowStuck
from citewell.workflow.events import CollectionReleaseEvent, StepFailedEvent, WorkflowFailedEvent
from citewell.workflow.job import Emitted, Job
from citewell.workflow.past import past_of
from citewell.workflow.plain import PlainEvent, PlainInputRequiredEvent, PlainStopEvent
from citewell.workflow.record import CANCELLED, DROPPED

if TYPE_CHECKING:
    from citewell.workflow.run import Run

log = logging.getLogger("citewell.workflow")


def _recover(run: "Run", job: Job, error: Exception) -> bool:
    """Hand the failure to the step that stands in for this one, if there is one that still may."""
    handler = run.graph.handler_for.get(job.spec.name)
    if handler is None or isinstance(error, WorkflowStuck) or error is job.verdict:
        return False
    name, most = handler
    trail = job.trail
    recovered = trail.recovered if trail is not None else {}
    if recovered.get(name, 0) >= most:
        return False
    now = run.clock.wall()
    past = past_of(job)
    if not past.failed_at:
        past.failed(error, now, job.started_at or now)
    at = past.last_failed
    assert at is not None
    shown = job.event
    if type(shown) is not tuple and type(shown) is not list:
        inner = shown
    else:
        inner = CollectionReleaseEvent(events=list(shown), stream_id=str(job.seq), binding_id=job.spec.name)
    failed = StepFailedEvent(
        step_name=job.spec.name,
        input_event=inner,
        exception=error,
        attempts=job.attempt,
        elapsed_seconds=now - past.first_at,
        failed_at=at,
    )
    run.reducer.undo(job)
    if run.recorder is not None:
        job.over = True
        text = said(error)
        run.recorder.failed(job, text, None, failed, name, lambda seq: _hand_over(run, job, seq, failed, name))
    else:
        _hand_over(run, job, run.reducer.number(), failed, name)
    return True


def _hand_over(run: "Run", job: Job, seq: int, failed: PlainEvent, handler: str) -> None:
    _release(run, job)
    if not run.closing:
        run.reducer.hand_over(job, seq, failed, handler)


def _failure_of(run: "Run", job: Job, error: Exception) -> WorkflowFailedEvent:
    past = job.past
    elapsed_s = run.clock.wall() - past.first_at if past is not None and past.first_at else 0.0
    return WorkflowFailedEvent(
        step_name=job.spec.name, exception=error, attempts=job.attempt, elapsed_seconds=elapsed_s
    )


def complete(run: "Run", job: Job, result: Any) -> None:
    if run.closing:
        note(run, job, DROPPED, ended=True)
        return
    opened = type(result) is list
    returned = [] if result is None else result if opened else [result]
    if not returned:
        run.reducer.idle_job = job
    for event in returned:
        check_returned(run.graph, job, event, listed=opened)
    if opened and not job.spec.listed and not job.spec.bare:
        check_returned(run.graph, job, result, listed=True)
    opened = opened and bool(job.spec.listed)
    if run.recorder is not None:
        flushed = job.past.flushed if job.past is not None else 0
        sent = (job.sent or [])[flushed:]
        events = [*((e, step, False, True) for e, step in sent), *((e, None, opened, False) for e in returned)]
        run.recorder.succeeded(job, events, opened, lambda seq, out: _finish(run, job, seq, out, opened))
        reducer = run.reducer
        alone = reducer.active == 1 and not reducer.backlog and not reducer.waits and not run.recorder.writing
        if alone and events and isinstance(events[0][0], PlainStopEvent):
            # Nothing else is going on, so that the run ends with this: in one transaction.
            run.ending = reducer.seq - len(events)
        return
    reducer = run.reducer
    _release(run, job)
    numbered = [Emitted(reducer.number(), event, None, opened) for event in returned]
    _finish(run, job, reducer.number(), numbered, opened, released=True)


def _finish(run: "Run", job: Job, seq: int, emitted: list[Emitted], opened: bool, *, released: bool = False) -> None:
    if not released:
        _release(run, job)
    if run.closing:
        return
    for one in emitted:
        if isinstance(one.event, PlainInputRequiredEvent) and not one.sent:
            shown = (one.seq, one.event)
            run.reducer.asked(shown)
            run.settle()
            run.outlet.show(shown)
        if run.reducer.waits:
            questions.answer_from_step(run, one.event)
    run.reducer.finish(job, seq, emitted, opened)
    if run.reducer.stop is not None:
        ends.close(run, None)


def fail(run: "Run", job: Job, error: Exception) -> None:
    if run.closing:
        log.warning("Step %r failed while run %s was ending", job.spec.name, run.run_id, exc_info=error)
        note(run, job, said(error), ended=True)
        return
    if _recover(run, job, error):
        return
    note(run, job, said(error), ended=True)
    if job.verdict is None or error is not job.verdict:
        error.add_note(f"Step {job.spec.name!r} of {run.graph.name} failed on {job.label}, attempt {job.attempt}.")
    run.failed = (0, _failure_of(run, job, error))
    ends.close(run, error)


def cancelled(run: "Run", task: "asyncio.Task[None]", job: Job, error: asyncio.CancelledError) -> None:
    """The step was interrupted: because the run ends, because somebody cancelled the task, or by itself."""
    if run.closing:
        note(run, job, CANCELLED, ended=True)
    elif task.cancelling():
        # Somebody cancelled the task itself, as asyncio.run() does with all tasks when it ends.
        note(run, job, CANCELLED, ended=True)
        run.cancel()
    else:
        own = WorkflowRuntimeError(
            f"Step {job.spec.name!r} of {run.graph.name} raised CancelledError on {job.label} although nobody "
            "cancelled it. Raise another exception, or cancel the run with handler.cancel_run()."
        )
        own.__cause__ = error
        fail(run, job, own)


def note(run: "Run", job: Job, error: str, *, ended: bool = False, due: float | None = None) -> None:
    """Record an attempt that came to nothing; `ended` when it was the last."""
    if ended:
        _release(run, job)
    if run.recorder is None:
        run.reducer.number()
    else:
        run.recorder.failed(job, error, due)


def _release(run: "Run", job: Job) -> None:
    if run.reducer.waits:
        questions.end(run, job)
    run.reducer.release(job)
