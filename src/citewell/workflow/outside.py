"""What comes from outside a run: events for its steps, and answers to its questions."""

import asyncio
from typing import TYPE_CHECKING

from citewell.workflow import questions
from citewell.workflow.declared import check_target
from citewell.workflow.errors import AnswerRefused, WorkflowRuntimeError
from citewell.workflow.events import UnhandledEvent
from citewell.workflow.plain import PlainEvent, PlainHumanResponseEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.run import Run


def send(run: "Run", event: PlainEvent, step: str | None = None, *, by: str | None = None) -> tuple[str, ...]:
    """An event from outside the run; the keys of the questions it answers.

    Raises WorkflowRuntimeError when the run is over, the step does not take it, or it would end the run.
    """
    if not isinstance(event, PlainEvent):
        raise WorkflowRuntimeError(f"send_event() takes an Event, not a {type(event).__name__}.")
    who = f"Who sends to run {run.run_id} of {run.graph.name}"
    if run.closing or run.outlet.finished:
        raise WorkflowRuntimeError(f"{who} is too late: it is over.")
    if step is not None:
        check_target(run.graph, type(event), step, who)
    elif isinstance(event, PlainStopEvent):
        raise WorkflowRuntimeError(f"{who} cannot end it with a {type(event).__name__}. Use cancel_run().")
    waits = questions.asked_of(run, event, by) if step is None else []
    for wait in waits:
        # The record may take a while, and the next answer is for the next question.
        wait.promised = True
    answered = tuple(wait.key for wait in waits)
    if run.recorder is None:
        _arrive(run, run.reducer.number(), event, step, answered)
    else:
        run.recorder.outside(event, step, answered, by, lambda seq: _arrive(run, seq, event, step, answered))
    run.spawn()
    return answered


async def receive(run: "Run", event: PlainEvent, *, by: str | None, question: str | None) -> None:
    """Take an answer, and return once it is recorded; AnswerRefused unless it answers an open question."""
    if run.closing or run.outlet.finished:
        raise AnswerRefused(f"Run {run.run_id} is over; it takes no answer any more.")
    waits = questions.asked_of(run, event, by, question)
    asks = run.reducer.asks and question is None and isinstance(event, PlainHumanResponseEvent)
    if not waits and not (asks and run.graph.routed(type(event))):
        named = f"{question!r} of " if question else ""
        raise AnswerRefused(
            f"A {type(event).__name__} answers no open question: {named}run {run.run_id} asks "
            f"{_asks_what(run)}. It may have been answered already."
        )
    for wait in waits:
        # Nobody else may answer while this is on its way to the disk, and it cannot lapse any more. It stays where
        # the step, when it begins anew meanwhile, finds it.
        wait.promised = True
        if wait.timer is not None:
            wait.timer.cancel()
    keys = tuple(wait.key for wait in waits)
    done = run.loop.create_future()
    assert run.recorder is not None
    if not waits:
        run.reducer.was_answered()

    def act(seq: int) -> None:
        first = [wait for wait in waits if wait.answer is None]
        for wait in first:
            questions.answer(run, wait, event)
        if not run.closing:
            run.reducer.deliver(seq, event)
        if done.done():
            return
        if waits and not first:
            done.set_exception(
                AnswerRefused(f"A step of run {run.run_id} has answered {keys[0]!r} before. The first answer counts.")
            )
        else:
            done.set_result(None)

    run.recorder.outside(event, None, keys, by, act)
    run.spawn()
    ended = run.outlet.done()
    await asyncio.wait([done, ended], return_when=asyncio.FIRST_COMPLETED)
    if done.done():
        done.result()
    else:
        raise run.error or run.outlet.closed or AnswerRefused(f"Run {run.run_id} ended before the answer was recorded.")


def _asks_what(run: "Run") -> str:
    open_ones = [*(run.reducer.waits or {}), *(type(event).__name__ for _, event in run.reducer.asks)]
    return ", ".join(open_ones) or "nothing"


def _arrive(run: "Run", seq: int, event: PlainEvent, step: str | None, answered: tuple[str, ...]) -> None:
    if run.closing:
        return
    for key in answered:
        wait = (run.reducer.waits or {}).get(key)
        if wait is not None:
            questions.answer(run, wait, event)
    if run.reducer.asks and not answered and isinstance(event, PlainHumanResponseEvent):
        run.reducer.was_answered()
    taken = run.reducer.deliver(seq, event, step) or bool(answered)
    if not taken and run.outlet.expose:
        kind = type(event)
        run.tell(
            UnhandledEvent(
                event_type=kind.__name__,
                qualified_name=f"{kind.__module__}.{kind.__qualname__}",
                step_name=step,
                idle=run.reducer.quiet,
            )
        )
