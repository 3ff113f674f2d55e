"""What steps ask people: a question is put, shown and recorded; the first answer counts, or its time runs out."""

import asyncio
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from citewell.workflow.codec import encode
from citewell.workflow.errors import AnswerRefused
from citewell.workflow.job import Job
from citewell.workflow.past import past_of
from citewell.workflow.plain import PlainEvent
from citewell.workflow.record import name_of_kind
from citewell.workflow.wait import Wait, key_of

if TYPE_CHECKING:
    from citewell.workflow.run import Run

# As many turns of the loop as a step needs to come from an answer, or from a first question, to what it awaits next.
TURNS = 4


class Answering(asyncio.Future[None]):
    """Done when a question is answered, or its time is over."""


async def ask(
    run: "Run",
    job: Job,
    name: str,
    kind: type[PlainEvent],
    shown: PlainEvent | None,
    requirements: Mapping[str, Any],
    timeout_s: float | None,
    who: frozenset[str] | None,
) -> PlainEvent:
    """The answer to a step's question; TimeoutError when none came in time."""
    past = past_of(job)
    if past.answers is not None and name in past.answers:
        return past.answers[name]
    asked = past.asked is not None and name in past.asked
    if asked:
        assert past.asked is not None
        due = past.asked[name]
    else:
        due = None if timeout_s is None else run.clock.wall() + timeout_s
    key = key_of(job.spec.name, job.seq, name)
    old = (run.reducer.waits or {}).get(key)
    late = asked and due is not None and due <= run.clock.wall() and (old is None or not old.promised)
    if (past.spent and name in past.spent) or late:
        raise TimeoutError(_too_late(job, name))
    wait = old or Wait(job, name, kind, requirements, due, who)
    wait.kind, wait.requirements = kind, requirements
    wait.future = Answering(loop=run.loop)
    if not asked:
        await _put(run, job, wait, shown)
    else:
        _register(run, wait)
    if wait.answer is None and wait.error is None:
        await _rest(run, job, wait)
    if wait.error is not None:
        raise wait.error
    assert wait.answer is not None
    return wait.answer


async def _put(run: "Run", job: Job, wait: Wait, shown: PlainEvent | None) -> None:
    """Register the question, record it and show its event."""

    def act() -> None:
        past_of(job).was_asked(wait.name, wait.due)
        _register(run, wait)

    if run.recorder is None:
        act()
        if shown is not None:
            run.stream(job, shown, None)
        return
    _flush(run, job)
    terms: dict[str, Any] = {"event": name_of_kind(run.graph, wait.kind)}
    if wait.requirements:
        terms["requirements"] = dict(wait.requirements)
    if wait.who is not None:
        terms["who"] = sorted(wait.who)
    if shown is not None:
        terms["asks"] = encode(shown)
    run.recorder.noted(job, "wait", wait.name, terms, wait.due, act)
    if shown is not None:
        run.stream(job, shown, encode(shown))
    await run.written()


def _flush(run: "Run", job: Job) -> None:
    # The answer may come of an event that this step has sent, so what it sent cannot wait for its outcome.
    past = past_of(job)
    sent, job.sent = job.sent or [], None
    assert run.recorder is not None
    for event, step in sent[past.flushed :] if past.flushed else sent:
        run.recorder.flushed(job, event, step, functools.partial(_deliver_flushed, run, job, event, step))
    past.flushed = max(past.flushed, len(sent))
    job.sent = sent or None


def _deliver_flushed(run: "Run", job: Job, event: PlainEvent, step: str | None, seq: int) -> None:
    run.reducer.deliver(seq, event, step, job.trail, sent=True)
    answer_from_step(run, event)


def _register(run: "Run", wait: Wait) -> None:
    reducer = run.reducer
    if reducer.waits is None:
        reducer.waits = {}
    reducer.waits[wait.key] = wait
    run.settle()
    if wait.due is not None and wait.timer is None:
        delay_s = max(wait.due - run.clock.wall(), 0.0)
        wait.timer = run.loop.call_later(delay_s, _lapse, run, wait)


async def _rest(run: "Run", job: Job, wait: Wait) -> None:
    """Give the worker back until the question is answered, if the step does nothing else meanwhile."""
    assert wait.future is not None
    if job.wait is None:
        if _only_asks(job, asyncio.current_task()):
            _lend(run, wait)
        else:
            # It may be about to: what it gathers need not have begun.
            run.loop.call_soon(_rest_again, run, job, TURNS)
    try:
        await wait.future
    except asyncio.CancelledError:
        withdraw(run, wait)
        if wait.lent:
            # Whoever ends this job counts it as one that has a worker.
            wait.lent = False
            job.wait = None
            run.reducer.forget(job)
            job.lane.active += 1
            run.reducer.active += 1
        raise
    if job.past is not None and job.past.asked is not None and len(job.past.asked) > 1:
        run.loop.call_soon(_rest_again, run, job, TURNS)


def _lend(run: "Run", wait: Wait) -> None:
    wait.job.wait = wait
    wait.lent = True
    run.reducer.set_aside(wait.job)
    run.spawn()


def _rest_again(run: "Run", job: Job, turns: int) -> None:
    """Once it shows whether the step goes on with one of its answers: if it waits for the others, so does the job."""
    if run.closing or run.parked or job.over:
        return
    if turns:
        run.loop.call_soon(_rest_again, run, job, turns - 1)
    elif job.wait is None and _only_asks(job, None):
        asked = [wait for wait in _left(run, job) if wait.future is not None and not wait.future.done()]
        if asked:
            _lend(run, asked[0])


def _left(run: "Run", job: Job) -> list[Wait]:
    """The open questions of a job, oldest first."""
    names = job.past.asked if job.past is not None else None
    keys = [key_of(job.spec.name, job.seq, name) for name in names or ()]
    return [wait for key in keys if (wait := (run.reducer.waits or {}).get(key)) is not None]


def _only_asks(job: Job, asking: "asyncio.Task[Any] | None") -> bool:
    """Whether only answers can move the step: its task, when `asking` waits too, awaits questions, or a gather of them.

    Of a task that awaits anything else nobody knows what for, so it counts as at work.
    """
    from citewell.workflow.workers import CURRENT

    worker = CURRENT.get()
    if worker is None or worker.job is not job:
        return False
    return worker.task is asking or _awaits_answer(worker.task, asking)


def _awaits_answer(awaiting: "asyncio.Future[Any]", asking: "asyncio.Task[Any] | None") -> bool:
    if awaiting is asking or isinstance(awaiting, Answering):
        return not awaiting.done()
    # There is no public way to ask what a task awaits. Without these, the run stays in memory.
    members = getattr(awaiting, "_children", None)
    if members is not None:
        return not awaiting.done() and all(one.done() or _awaits_answer(one, asking) for one in members)
    awaited = getattr(awaiting, "_fut_waiter", None)
    return awaited is not None and not awaited.done() and _awaits_answer(awaited, asking)


def end(run: "Run", job: Job) -> None:
    """The job is over: what it still asks, nobody has to answer any more."""
    for wait in _left(run, job):
        withdraw(run, wait)
        if wait.future is not None and not wait.future.done():
            wait.future.cancel()


def withdraw(run: "Run", wait: Wait) -> None:
    if wait.timer is not None:
        wait.timer.cancel()
    if run.reducer.waits is not None:
        run.reducer.waits.pop(wait.key, None)


def answer_from_step(run: "Run", event: PlainEvent) -> None:
    """Answer with an event that a step emitted; a question that only some people may answer is left to them."""
    found: dict[str, Wait] = {}
    for wait in (run.reducer.waits or {}).values():
        if wait.who is None and wait.fits(event):
            found.setdefault(wait.job.spec.name, wait)
    for wait in found.values():
        answer(run, wait, event)


def asked_of(run: "Run", event: PlainEvent, by: str | None, question: str | None = None) -> list[Wait]:
    """The open questions that an event from outside answers: the one with this key, or of each step the oldest.

    Raises AnswerRefused when `by` may answer none that it fits.
    """
    found: dict[str, Wait] = {}
    refused: Wait | None = None
    for wait in (run.reducer.waits or {}).values():
        # What a step has sent is recorded before an answer that is still on its way, and so counts before it.
        if wait.promised or wait.job.spec.name in found or not wait.fits(event):
            continue
        if question not in (None, wait.key):
            continue
        if wait.who is not None and by not in wait.who:
            refused = wait
            continue
        found[wait.job.spec.name] = wait
    if refused is not None and not found:
        assert refused.who is not None
        raise AnswerRefused(
            f"{by or 'Somebody without a name'} may not answer {refused.key!r} of run {run.run_id}; "
            f"{', '.join(sorted(refused.who))} may."
        )
    return list(found.values())


def answer(run: "Run", wait: Wait, event: PlainEvent) -> None:
    withdraw(run, wait)
    wait.answer = event
    past_of(wait.job).answered(wait.name, event)
    _take_up(run, wait)


def _lapse(run: "Run", wait: Wait) -> None:
    if wait.answer is not None or wait.promised or run.closing:
        return
    withdraw(run, wait)
    wait.error = TimeoutError(_too_late(wait.job, wait.name))
    past_of(wait.job).lapsed(wait.name)
    _take_up(run, wait)
    run.spawn()


def _take_up(run: "Run", wait: Wait) -> None:
    if run.closing:
        # Its steps are interrupted, and none may begin any more: nobody would interrupt it.
        return
    if wait.future is None:
        # An earlier process has asked: the step begins anew and finds the answer. Once, if it asked several things.
        # In which it may have begun anew already, and asked something else first.
        if wait.job.wait is not None and not wait.job.wait.lent:
            wait.job.wait = None
            run.reducer.take_up(wait.job)
    elif wait.lent:
        run.reducer.take_up(wait.job)
    elif (other := wait.job.wait) is not None and other.answer is None and other.error is None:
        # The step was set aside with another of its questions, and goes on with this one.
        other.lent, wait.lent, wait.job.wait = False, True, wait
        run.reducer.take_up(wait.job)
    elif not wait.future.done():
        wait.future.set_result(None)


def resume(run: "Run", jobs: "list[tuple[Job, list[Wait]]]") -> None:
    """Take over questions that were asked before this process; those whose time is over lapse at once."""
    for job, waits in jobs:
        job.wait = waits[0]
        for wait in waits:
            _register(run, wait)


def listed(run: "Run") -> list[dict[str, Any]]:
    """What the run asks somebody outside, as lists of open questions show it."""
    found: list[dict[str, Any]] = [
        {
            "question": wait.key,
            "wants": wait.kind.__name__,
            "who": None if wait.who is None else sorted(wait.who),
            "due": wait.due,
        }
        for wait in (run.reducer.waits or {}).values()
        if not wait.promised
    ]
    found += [
        {"question": None, "asks": type(event).__name__, "content": encode(event), "who": None, "due": None}
        for _, event in run.reducer.asks
    ]
    return found


def next_due(run: "Run") -> float | None:
    """When the run goes on by itself, in seconds since 1970; None when only people can move it."""
    dues = [wait.due for wait in (run.reducer.waits or {}).values() if wait.due is not None]
    dues += [run.deadline] if run.deadline is not None else []
    return min(dues, default=None)


def suspended(run: "Run") -> bool:
    """Whether code of a step is held in memory, waiting for an answer."""
    return any(wait.future is not None for wait in (run.reducer.waits or {}).values())


def _too_late(job: Job, name: str) -> str:
    return f"Nobody answered {key_of(job.spec.name, job.seq, name)!r} in time."
