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
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from citewell.workflow.attempt import attempts
from citewell.workflow.clock import Clock, clock_of
from citewell.workflow.codec import encode
from citewell.workflow.context import StepContext
from citewell.workflow.deadline import deadlines
from citewell.workflow.declared import check_returned, check_target
from citewell.workflow.errors import (
    AnswerRefused,
    JournalFailed,
    WorkflowCancelledByUser,
    WorkflowError,
    WorkflowRuntimeError,
    WorkflowStuck,
    WorkflowTimeoutError,
)
from citewell.workflow.events import (
    CollectionReleaseEvent,
    StepFailedEvent,
    StepState,
    StepStateChanged,
    UnhandledEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowIdleEvent,
    WorkflowTimedOutEvent,
)
from citewell.workflow.journal import Journal, Outcome, RunStart
from citewell.workflow.outlet import Outlet
from citewell.workflow.past import Past
from citewell.workflow.plain import PlainEvent, PlainHumanResponseEvent, PlainInputRequiredEvent, PlainStopEvent
from citewell.workflow.record import CANCELLED, DROPPED, Batch, Recorder, check_recordable, name_of_kind
from citewell.workflow.reducer import Emitted, Job, Reducer, Trail
from citewell.workflow.state import State
from citewell.workflow.wait import Wait, key_of
from citewell.workflow.watch import Watch

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph
    from citewell.workflow.resource import ResourceManager

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

Status = Literal["done", "failed", "timed_out", "cancelled", "stuck"]


class Keeper(Protocol):
    """Looks after runs that outlive their process."""

    def on_quiet(self, run: "Run") -> None:
        """The run waits for somebody outside."""
        ...

    def on_end(self, run: "Run") -> None:
        """The run is over."""
        ...


class Run:
    """A running workflow; `WorkflowHandler` is its public face.

    `start` is None when it goes on from a saved or recorded state, which `reducer` then holds. `begun` is the record
    of its acceptance if there is one already. `keeper` is told when it waits for somebody outside, and when it is over.
    """

    __slots__ = (
        "__weakref__",
        "_armed",
        "_base",
        "_beginning",
        "_begun",
        "_burst",
        "_due",
        "_ending",
        "_failed",
        "_gate",
        "_held",
        "_id",
        "_loop",
        "_settling",
        "_span",
        "_start",
        "_state",
        "_workers",
        "_yielding",
        "clock",
        "closing",
        "deadline",
        "error",
        "graph",
        "keeper",
        "outlet",
        "parent_run_id",
        "parked",
        "recorder",
        "reducer",
        "resources",
        "timeout_s",
        "watch",
        "workflow",
    )

    def __init__(
        self,
        workflow: object,
        graph: "Graph",
        start: PlainEvent | None,
        *,
        run_id: str | None = None,
        state: State | None = None,
        reducer: Reducer | None = None,
        outlet: Outlet | None = None,
        journal: Journal | None = None,
        begun: RunStart | None = None,
        timeout_s: float | None = None,
        parent: Worker | None = None,
        resources: "ResourceManager | None" = None,
        gate: asyncio.Semaphore | None = None,
        watch: Watch | None = None,
        keeper: "Keeper | None" = None,
    ) -> None:
        self._id: str | bytes = run_id or os.urandom(16)
        self.parent_run_id = parent.run.run_id if parent is not None else None
        self.graph = graph
        self.reducer = Reducer(graph) if reducer is None else reducer
        self._state = state
        self.outlet = outlet or Outlet()
        self.error: Exception | None = None
        self.workflow = workflow
        self.resources: ResourceManager = resources  # type: ignore[assignment]  # set wherever a step asks for one
        self.watch = watch
        self.keeper = keeper
        self.closing = False
        self.parked = False
        self.timeout_s = timeout_s
        self._start = start
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self.clock: Clock = clock_of(self._loop)
        self._base = copy_context()
        # In order: a set's would differ from process to process.
        self._workers: dict[Worker, None] | None = None
        self._failed: tuple[int, PlainEvent] | None = None
        self._armed = False
        self._yielding = False
        self._burst = 1
        self._gate = gate
        self._held: asyncio.Semaphore | None = None
        self._settling: list[asyncio.Future[None]] | None = None
        self._beginning = False
        # The number of the stop event that will be recorded together with the end; -1 once it is.
        self._ending = 0
        self.recorder: Recorder | None = None
        if state is not None:
            state.strict = journal is not None
        self._due: float | None = None
        self.deadline: float | None = None
        if timeout_s is not None:
            rest_s = timeout_s
            if begun is not None:
                self.deadline = begun.deadline
                assert self.deadline is not None
                rest_s = max(self.deadline - self.clock.wall(), 0.0)
            elif journal is not None:
                self.deadline = self.clock.wall() + timeout_s
            self._due = deadlines(self._loop).set(self, rest_s)
        if journal is not None:
            check_recordable(graph)
            if start is not None:
                encode(start)
            # Said here, because the state may just have been made, before there was a recorder.
            self.state.strict = True
            self.recorder = Recorder(self.run_id, journal, graph, self.reducer, self.state, self.clock)
        self._span = None if watch is None else watch.open(self, self._base)
        self._spawn()

    @property
    def run_id(self) -> str:
        """The run's id; of a run that nobody named 32 hexadecimal digits, made when they are first wanted."""
        if type(self._id) is bytes:
            self._id = self._id.hex()
        return str(self._id)

    @property
    def state(self) -> State:
        """The run's state, made when it is first wanted."""
        if self._state is None:
            self._state = State(self.graph.state)
            self._state.strict = self.recorder is not None
        return self._state

    # What the outside and the steps ask for

    def cancel(self) -> None:
        """End the run after the clean-up of its steps."""
        self._close(WorkflowCancelledByUser(f"Run {self.run_id} of {self.graph.name} was cancelled."))

    def write_to_stream(self, job: Job, event: PlainEvent) -> None:
        """Number the event and show it to the readers, once it is recorded; from any thread."""
        if not isinstance(event, PlainEvent):
            raise TypeError(
                f"Step {job.spec.name!r} wrote a {type(event).__name__} to the stream. Derive it from Event."
            )
        payload = encode(event) if self.recorder is not None else None
        self._on_loop(self._write_to_stream, job, event, payload)

    def _on_loop(self, call: Callable[..., object], *arguments: object) -> None:
        if asyncio._get_running_loop() is self._loop:
            call(*arguments)
        else:
            self._loop.call_soon_threadsafe(call, *arguments)

    def _write_to_stream(self, job: Job | None, event: PlainEvent, payload: Any) -> None:
        if self.closing:
            return
        if self.recorder is None:
            self.outlet.show((self.reducer.number(), event))
        else:
            self.recorder.shown(job, event, payload, lambda seq: self._show(seq, event))
            self.write_soon()

    def _show(self, seq: int, event: PlainEvent) -> None:
        # The stop event is the last of the stream, whatever was on its way to the record behind it.
        if self.reducer.stop is None:
            self.outlet.show((seq, event))

    def send(self, job: Job, event: PlainEvent, step: str | None) -> None:
        """An event that a step sends: now, or in a recorded run with the step's outcome, in one transaction."""
        if self.recorder is not None:
            if job.sent is None:
                job.sent = []
            job.sent.append((event, step))
        elif asyncio._get_running_loop() is self._loop:
            self._send(job, event, step)
        else:
            self._loop.call_soon_threadsafe(self._send, job, event, step)

    def _send(self, job: Job, event: PlainEvent, step: str | None) -> None:
        if self.closing:
            return
        reducer = self.reducer
        if job.spec.config.retry_policy is not None and _sent_before(job, event, step):
            return
        reducer.seq += 1
        if not reducer.deliver(reducer.seq, event, step, job.trail, sent=True):
            reducer.lost = (job, event)
        if reducer.waits:
            self._answer_waits(event)
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._standby)

    def send_from_outside(
        self, event: PlainEvent, step: str | None = None, *, by: str | None = None
    ) -> tuple[str, ...]:
        """An event from outside the run; the keys of the questions it answers.

        Raises WorkflowRuntimeError when the run is over, the step does not take it, or it would end the run.
        """
        if not isinstance(event, PlainEvent):
            raise WorkflowRuntimeError(f"send_event() takes an Event, not a {type(event).__name__}.")
        who = f"Who sends to run {self.run_id} of {self.graph.name}"
        if self.closing or self.outlet.finished:
            raise WorkflowRuntimeError(f"{who} is too late: it is over.")
        if step is not None:
            check_target(self.graph, type(event), step, who)
        elif isinstance(event, PlainStopEvent):
            raise WorkflowRuntimeError(f"{who} cannot end it with a {type(event).__name__}. Use cancel_run().")
        questions = self._asked_of(event, by) if step is None else []
        for wait in questions:
            # The record may take a while, and the next answer is for the next question.
            wait.promised = True
        answered = tuple(wait.key for wait in questions)
        if self.recorder is None:
            self._arrive(self.reducer.number(), event, step, answered)
        else:
            self.recorder.outside(event, step, answered, by, lambda seq: self._arrive(seq, event, step, answered))
        self._hurry()
        return answered

    async def receive(self, event: PlainEvent, *, by: str | None, question: str | None) -> None:
        """Take an answer, and return once it is recorded; AnswerRefused unless it answers an open question."""
        if self.closing or self.outlet.finished:
            raise AnswerRefused(f"Run {self.run_id} is over; it takes no answer any more.")
        waits = self._asked_of(event, by, question)
        asks = self.reducer.asks and question is None and isinstance(event, PlainHumanResponseEvent)
        if not waits and not (asks and self.graph.routed(type(event))):
            named = f"{question!r} of " if question else ""
            raise AnswerRefused(
                f"A {type(event).__name__} answers no open question: {named}run {self.run_id} asks "
                f"{self._asks_what()}. It may have been answered already."
            )
        for wait in waits:
            # Nobody else may answer while this is on its way to the disk, and it cannot lapse any more. It stays where
            # the step, when it begins anew meanwhile, finds it.
            wait.promised = True
            if wait.timer is not None:
                wait.timer.cancel()
        keys = tuple(wait.key for wait in waits)
        done = self._loop.create_future()
        assert self.recorder is not None
        if not waits:
            self.reducer.was_answered()

        def act(seq: int) -> None:
            first = [wait for wait in waits if wait.answer is None]
            for wait in first:
                self._answer(wait, event)
            if not self.closing:
                self.reducer.deliver(seq, event)
            if done.done():
                return
            if waits and not first:
                done.set_exception(AnswerRefused(f"A step of run {self.run_id} has answered {keys[0]!r} before."))
            else:
                done.set_result(None)

        self.recorder.outside(event, None, keys, by, act)
        self._hurry()
        ended = self.outlet.done()
        await asyncio.wait([done, ended], return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            done.result()
        else:
            raise self.error or AnswerRefused(f"Run {self.run_id} ended before the answer was recorded.")

    def _asks_what(self) -> str:
        open_ones = [*(self.reducer.waits or {}), *(type(event).__name__ for _, event in self.reducer.asks)]
        return ", ".join(open_ones) or "nothing"

    def questions(self) -> list[dict[str, Any]]:
        """What the run asks somebody outside, as lists of open questions show it."""
        found: list[dict[str, Any]] = [
            {
                "question": wait.key,
                "wants": wait.kind.__name__,
                "who": None if wait.who is None else sorted(wait.who),
                "due": wait.due,
            }
            for wait in (self.reducer.waits or {}).values()
            if not wait.promised
        ]
        found += [
            {"question": None, "asks": type(event).__name__, "content": encode(event), "who": None, "due": None}
            for _, event in self.reducer.asks
        ]
        return found

    @property
    def next_due(self) -> float | None:
        """When the run goes on by itself, in seconds since 1970; None when only people can move it."""
        dues = [wait.due for wait in (self.reducer.waits or {}).values() if wait.due is not None]
        dues += [self.deadline] if self.deadline is not None else []
        return min(dues, default=None)

    def fail(self, error: Exception | None) -> None:
        """End the run with this error, or with the stop event that it has."""
        self._close(error)

    def _arrive(self, seq: int, event: PlainEvent, step: str | None, answered: tuple[str, ...]) -> None:
        if self.closing:
            return
        for key in answered:
            wait = (self.reducer.waits or {}).get(key)
            if wait is not None:
                self._answer(wait, event)
        if self.reducer.asks and not answered and isinstance(event, PlainHumanResponseEvent):
            self.reducer.was_answered()
        taken = self.reducer.deliver(seq, event, step) or bool(answered)
        if not taken and self.outlet.expose:
            kind = type(event)
            self.tell(
                UnhandledEvent(
                    event_type=kind.__name__,
                    qualified_name=f"{kind.__module__}.{kind.__qualname__}",
                    step_name=step,
                    idle=self.reducer.quiet,
                )
            )

    def _hurry(self) -> None:
        # Somebody outside has given the run something to do, and all its workers may be gone or waiting.
        self._spawn()

    # Questions to people

    async def ask(
        self,
        job: Job,
        name: str,
        kind: type[PlainEvent],
        shown: PlainEvent | None,
        requirements: Mapping[str, Any],
        timeout_s: float | None,
        who: frozenset[str] | None,
    ) -> PlainEvent:
        """The answer to a step's question; TimeoutError when none came in time."""
        past = job.past = job.past or Past()
        if past.answers is not None and name in past.answers:
            return past.answers[name]
        asked = past.asked is not None and name in past.asked
        if asked:
            assert past.asked is not None
            due = past.asked[name]
        else:
            due = None if timeout_s is None else self.clock.wall() + timeout_s
        key = key_of(job.spec.name, job.seq, name)
        old = (self.reducer.waits or {}).get(key)
        late = asked and due is not None and due <= self.clock.wall() and (old is None or not old.promised)
        if (past.spent and name in past.spent) or late:
            raise TimeoutError(_too_late(job, name))
        wait = old or Wait(job, name, kind, requirements, due, who)
        wait.kind, wait.requirements = kind, requirements
        wait.future = self._loop.create_future()
        if not asked:
            await self._put(job, wait, shown)
        else:
            self._register(wait)
        if wait.answer is None and wait.error is None:
            await self._rest(job, wait)
        if wait.error is not None:
            raise wait.error
        assert wait.answer is not None
        return wait.answer

    async def _put(self, job: Job, wait: Wait, shown: PlainEvent | None) -> None:
        """Register the question, record it and show its event."""

        def act() -> None:
            past = job.past = job.past or Past()
            if past.asked is None:
                past.asked = {}
            past.asked[wait.name] = wait.due
            self._register(wait)

        if self.recorder is None:
            act()
            if shown is not None:
                self._write_to_stream(job, shown, None)
            return
        self._flush(job)
        terms: dict[str, Any] = {"event": name_of_kind(self.graph, wait.kind)}
        if wait.requirements:
            terms["requirements"] = dict(wait.requirements)
        if wait.who is not None:
            terms["who"] = sorted(wait.who)
        if shown is not None:
            terms["asks"] = encode(shown)
        self.recorder.noted(job, "wait", wait.name, terms, wait.due, act)
        if shown is not None:
            self._write_to_stream(job, shown, encode(shown))
        await self._written()

    def _flush(self, job: Job) -> None:
        # The answer may come of an event that this step has sent, so what it sent cannot wait for its outcome.
        past = job.past = job.past or Past()
        sent, job.sent = job.sent or [], None
        assert self.recorder is not None
        for event, step in sent[past.flushed :] if past.flushed else sent:
            self.recorder.flushed(job, event, step, functools.partial(self._deliver_flushed, job, event, step))
        past.flushed = max(past.flushed, len(sent))
        job.sent = sent or None

    def _deliver_flushed(self, job: Job, event: PlainEvent, step: str | None, seq: int) -> None:
        self.reducer.deliver(seq, event, step, job.trail, sent=True)
        self._answer_waits(event)

    def _register(self, wait: Wait) -> None:
        reducer = self.reducer
        if reducer.waits is None:
            reducer.waits = {}
        reducer.waits[wait.key] = wait
        self._settle()
        if wait.due is not None and wait.timer is None:
            delay_s = max(wait.due - self.clock.wall(), 0.0)
            wait.timer = self._loop.call_later(delay_s, self._lapse, wait)

    async def _rest(self, job: Job, wait: Wait) -> None:
        """Give the worker back until the question is answered."""
        assert wait.future is not None
        if job.wait is None:
            job.wait = wait
            wait.lent = True
            self.reducer.set_aside(job)
            self._hurry()
        try:
            await wait.future
        except asyncio.CancelledError:
            self._withdraw(wait)
            if wait.lent:
                # Whoever ends this job counts it as one that has a worker.
                wait.lent = False
                job.wait = None
                job.lane.active += 1
                self.reducer.active += 1
            raise

    def _withdraw(self, wait: Wait) -> None:
        if wait.timer is not None:
            wait.timer.cancel()
        if self.reducer.waits is not None:
            self.reducer.waits.pop(wait.key, None)

    def _answer_waits(self, event: PlainEvent) -> None:
        """Answer with an event that a step emitted; a question that only some people may answer is left to them."""
        found: dict[str, Wait] = {}
        for wait in (self.reducer.waits or {}).values():
            if wait.who is None and wait.fits(event):
                found.setdefault(wait.job.spec.name, wait)
        for wait in found.values():
            self._answer(wait, event)

    def _asked_of(self, event: PlainEvent, by: str | None, question: str | None = None) -> list[Wait]:
        """The open questions that an event from outside answers: the one with this key, or of each step the oldest.

        Raises AnswerRefused when `by` may answer none that it fits.
        """
        found: dict[str, Wait] = {}
        refused: Wait | None = None
        for wait in (self.reducer.waits or {}).values():
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
                f"{by or 'Somebody without a name'} may not answer {refused.key!r} of run {self.run_id}; "
                f"{', '.join(sorted(refused.who))} may."
            )
        return list(found.values())

    def _answer(self, wait: Wait, event: PlainEvent) -> None:
        self._withdraw(wait)
        wait.answer = event
        past = wait.job.past = wait.job.past or Past()
        if past.answers is None:
            past.answers = {}
        past.answers[wait.name] = event
        self._take_up(wait)

    def _lapse(self, wait: Wait) -> None:
        if wait.answer is not None or wait.promised or self.closing:
            return
        self._withdraw(wait)
        wait.error = TimeoutError(_too_late(wait.job, wait.name))
        past = wait.job.past = wait.job.past or Past()
        past.spent = {*(past.spent or ()), wait.name}
        self._take_up(wait)
        self._hurry()

    def _take_up(self, wait: Wait) -> None:
        if wait.future is None:
            # An earlier process has asked: the step begins anew and finds the answer. Once, if it asked several things.
            if wait.job.wait is not None:
                wait.job.wait = None
                self.reducer.take_up(wait.job)
        elif wait.lent:
            self.reducer.take_up(wait.job)
        elif not wait.future.done():
            wait.future.set_result(None)

    def resume_waiting(self, jobs: "list[tuple[Job, list[Wait]]]") -> None:
        """Take over questions that were asked before this process; those whose time is over lapse at once."""
        for job, waits in jobs:
            job.wait = waits[0]
            for wait in waits:
                self._register(wait)

    async def remember(self, job: Job, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave when the step first asked under this name, in whichever attempt or process."""
        past = job.past = job.past or Past()
        if past.memos is not None and name in past.memos:
            return past.memos[name]
        value = make()
        if hasattr(value, "__await__"):
            value = await value
        if self.recorder is not None:
            from citewell.workflow.tagged import to_json

            self.recorder.noted(job, "memo", name, to_json(value, name), None, lambda: None)
            await self._written()
        if past.memos is None:
            past.memos = {}
        past.memos[name] = value
        return value

    # Workers

    def _spawn(self) -> None:
        worker = Worker(self)
        context = self._base.copy()
        context.run(CURRENT.set, worker)
        if self._workers is None:
            self._workers = {}
        self._workers[worker] = None
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
            if (self._start is not None or self._gate is not None) and not self.parked:
                await self._begin()
            if self.reducer.stop is not None:
                # It goes on from a record that lacks only its end.
                self._close(None)
            await self._write()
            if not self.parked:
                await self._lead(worker)
        except asyncio.CancelledError:
            # Not from _close(), which interrupts steps only: the loop is shutting down.
            if not self.parked:
                self.cancel()
            await _forget_cancellation(worker.task)
        if self.idle:
            self._on_quiet()
        assert self._workers is not None
        if self.closing and len(self._workers) == 1 and not self.outlet.finished:
            await self._finalise()
        self._workers.pop(worker, None)

    async def _lead(self, worker: Worker) -> None:
        """Carry out jobs until none is ready; hot, so it is written out in one place."""
        reducer, recorder, workflow = self.reducer, self.recorder, self.workflow
        claim, call_soon, cancelling = reducer.claim, self._loop.call_soon, worker.task.cancelling
        watched, outlet = self.watch is not None, self.outlet
        clean = copy_context()
        # By the loop's clock and by number: on a virtual clock no time passes while steps work.
        now = self._loop.time
        slice_ends, left = now() + SLICE_S, SLICE_JOBS
        while (job := claim()) is not None:
            if not self._armed and (reducer.ready or reducer.freed):
                self._armed = True
                call_soon(self._standby)
            worker.job = job
            spec = job.spec
            try:
                if recorder is not None:
                    job.started_at, job.started = self.clock.wall(), self.clock.steady()
                if watched or outlet.expose:
                    result = await self._watched(job)
                elif spec.simple and job.past is None:
                    context: Any = StepContext(self, job) if spec.wants_context else None
                    result = await spec.invoke(workflow, context, job.event)
                else:
                    result = await attempts(self, job)
                worker.job = None
                if recorder is not None or job.trail is not None or self.closing:
                    self._complete(job, result)
                elif result is None:
                    reducer.release(job)
                    reducer.seq += 1
                    reducer.idle_job = job
                elif type(result) in spec.known and not reducer.waits:
                    reducer.release(job)
                    reducer.emit(result)
                    reducer.seq += 1
                else:
                    self._complete(job, result)
            except Exception as error:  # noqa: BLE001 - the step boundary: becomes the run's failure
                worker.job = None
                self._fail(job, error)
            except asyncio.CancelledError as error:
                worker.job = None
                if self.parked:
                    raise
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
                if self.parked:
                    return
            if _changed(clean):
                # The step changed a context variable of this task; the next step must not see it.
                if reducer.backlog:
                    self._spawn()
                return
            if self._yielding:
                # Another worker is about to go on; two would hold the loop for two slices.
                return
            left -= 1
            if not left or now() > slice_ends:
                self._yielding = True
                try:
                    await asyncio.sleep(0)
                finally:
                    self._yielding = False
                if self.parked:
                    return
                slice_ends, left = now() + SLICE_S, SLICE_JOBS

    async def _watched(self, job: Job) -> Any:
        """As `attempts`, telling whoever watches."""
        if self.watch is None and not self.outlet.expose:
            return await attempts(self, job)
        watch = self.watch or Watch()
        return await watch.step(self, job, attempts)

    # Outcomes of jobs

    def _complete(self, job: Job, result: Any) -> None:
        if self.closing:
            self.note_failure(job, DROPPED, ended=True)
            return
        opened = type(result) is list
        returned = [] if result is None else result if opened else [result]
        if not returned:
            self.reducer.idle_job = job
        for event in returned:
            check_returned(self.graph, job, event, listed=opened)
        if opened and not job.spec.listed and not job.spec.bare:
            check_returned(self.graph, job, result, listed=True)
        opened = opened and bool(job.spec.listed)
        if self.recorder is not None:
            flushed = job.past.flushed if job.past is not None else 0
            sent = (job.sent or [])[flushed:]
            events = [*((e, step, False, True) for e, step in sent), *((e, None, opened, False) for e in returned)]
            self.recorder.succeeded(job, events, opened, lambda seq, out: self._finish_job(job, seq, out, opened))
            reducer = self.reducer
            alone = reducer.active == 1 and not reducer.backlog and not reducer.waits and not self.recorder.writing
            if alone and events and isinstance(events[0][0], PlainStopEvent):
                # Nothing else is going on, so that the run ends with this: in one transaction.
                self._ending = reducer.seq - len(events)
            return
        reducer = self.reducer
        reducer.release(job)
        numbered = [Emitted(reducer.number(), event, None, opened) for event in returned]
        self._finish_job(job, reducer.number(), numbered, opened, released=True)

    def _finish_job(self, job: Job, seq: int, emitted: list[Emitted], opened: bool, *, released: bool = False) -> None:
        if not released:
            self.reducer.release(job)
        if self.closing:
            return
        for one in emitted:
            if isinstance(one.event, PlainInputRequiredEvent) and not one.sent:
                shown = (one.seq, one.event)
                self.reducer.asked(shown)
                self._settle()
                self.outlet.show(shown)
            if self.reducer.waits:
                self._answer_waits(one.event)
        self.reducer.finish(job, seq, emitted, opened)
        if self.reducer.stop is not None:
            self._close(None)

    def _fail(self, job: Job, error: Exception) -> None:
        if self.closing:
            log.warning("Step %r failed while run %s was ending", job.spec.name, self.run_id, exc_info=error)
            self.note_failure(job, said(error), ended=True)
            return
        if self._recover(job, error):
            return
        self.note_failure(job, said(error), ended=True)
        if job.verdict is None or error is not job.verdict:
            error.add_note(f"Step {job.spec.name!r} of {self.graph.name} failed on {job.label}, attempt {job.attempt}.")
        self._failed = (0, self._failure_of(job, error))
        self._close(error)

    def _failure_of(self, job: Job, error: Exception) -> WorkflowFailedEvent:
        past = job.past
        elapsed_s = self.clock.wall() - past.first_at if past is not None and past.first_at else 0.0
        return WorkflowFailedEvent(
            step_name=job.spec.name, exception=error, attempts=job.attempt, elapsed_seconds=elapsed_s
        )

    def _recover(self, job: Job, error: Exception) -> bool:
        """Hand the failure to the step that stands in for this one, if there is one that still may."""
        handler = self.graph.handler_for.get(job.spec.name)
        if handler is None or isinstance(error, WorkflowStuck) or error is job.verdict:
            return False
        name, most = handler
        trail = job.trail
        recovered = trail.recovered if trail is not None else {}
        if recovered.get(name, 0) >= most:
            return False
        now = self.clock.wall()
        past = job.past = job.past or Past()
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
        self.reducer.undo(job)
        if self.recorder is not None:
            job.over = True
            text = said(error)
            self.recorder.failed(job, text, None, failed, name, lambda seq: self._hand_over(job, seq, failed, name))
        else:
            self._hand_over(job, self.reducer.number(), failed, name)
        return True

    def _hand_over(self, job: Job, seq: int, failed: PlainEvent, handler: str) -> None:
        self.reducer.release(job)
        if not self.closing:
            self.reducer.hand_over(job, seq, failed, handler)

    def _on_cancelled(self, worker: Worker, job: Job, error: asyncio.CancelledError) -> None:
        if self.closing:
            self.note_failure(job, CANCELLED, ended=True)
        elif worker.task.cancelling():
            # Somebody cancelled the task itself, as asyncio.run() does with all tasks when it ends.
            self.note_failure(job, CANCELLED, ended=True)
            self.cancel()
        else:
            own = WorkflowRuntimeError(
                f"Step {job.spec.name!r} of {self.graph.name} raised CancelledError on {job.label} although nobody "
                "cancelled it. Raise another exception, or cancel the run with handler.cancel_run()."
            )
            own.__cause__ = error
            self._fail(job, own)

    # The record

    async def _begin(self) -> None:
        start, self._start = self._start, None
        gate, self._gate = self._gate, None
        self._beginning = True
        try:
            if gate is not None:
                await gate.acquire()
                self._held = gate
                if self.parked:
                    self._give_gate_back()
            if start is None:
                return
            if self.recorder is None:
                if not self.closing:
                    self.reducer.emit(start)
                return
            run = self._begun or self.accepted()
            await self.recorder.begin(run, start, lambda seq: self._arrive_start(seq, start))
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._on_journal_failed(error)
        finally:
            self._beginning = False
        # The number of the stop event that will be recorded together with the end; -1 once it is.
        self._ending = 0

    def accepted(self) -> RunStart:
        """The record of this run's acceptance."""
        from citewell.workflow.definition import definition

        made = definition(self.workflow, self.graph)
        return RunStart(
            self.run_id,
            self.graph.name,
            made.fingerprint,
            self.clock.wall(),
            self.parent_run_id,
            made.parts,
            self.deadline,
        )

    def _arrive_start(self, seq: int, start: PlainEvent) -> None:
        if not self.closing:
            self.reducer.deliver(seq, start)

    def note_failure(self, job: Job, error: str, *, ended: bool = False, due: float | None = None) -> None:
        """Record an attempt that came to nothing; `ended` when it was the last."""
        if ended:
            self.reducer.release(job)
        if self.recorder is None:
            self.reducer.number()
        else:
            self.recorder.failed(job, error, due)

    def write_soon(self) -> None:
        """Have somebody write the outbox."""
        # With more than one batch in the outbox, somebody is already on the way to write it.
        recorder = self.recorder
        if recorder is not None and len(recorder.outbox) == 1 and not recorder.writing:
            self._spawn()

    async def _write(self) -> None:
        if self.recorder is None or not self.recorder.outbox:
            return
        if not self._armed and self.reducer.backlog:
            # The journal may wait too, and meanwhile others take the jobs that are left.
            self._armed = True
            self._loop.call_soon(self._standby)
        try:
            if self._ending:
                outcome = Outcome("done", self._ending, self.clock.wall())
                self._ending = -1
                await self.recorder.finish(outcome)
            else:
                await self.recorder.write()
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self._ending = 0
            self._on_journal_failed(error)

    async def _written(self) -> None:
        """Return once what is in the outbox now is recorded.

        For steps, which may be interrupted at any time: a write may not, since it carries what others have done too.
        So a worker without a job does it.
        """
        recorder = self.recorder
        assert recorder is not None
        done = self._loop.create_future()
        recorder.outbox.append(Batch([], lambda: None if done.done() else done.set_result(None)))
        if not recorder.writing:
            self._spawn()
        await done

    def _on_journal_failed(self, error: Exception) -> None:
        if isinstance(error, WorkflowError):
            failure: Exception = error
        else:
            failure = JournalFailed(f"Run {self.run_id} of {self.graph.name} could not be recorded: {error}")
            failure.__cause__ = error
        self._close(failure)
        # Also where it was about to end otherwise: that end is not recorded, and nobody may rely on it.
        self.error, self._failed = failure, None

    # Waiting, and the end

    def check_quiet(self) -> None:
        """Look again whether the run can go on: a reader has come back."""
        if not self.closing and not self.parked and not self._workers and self.reducer.quiet:
            self._spawn()

    def _on_quiet(self) -> None:
        reducer = self.reducer
        if reducer.waits or self.graph.listens or self.outlet.touched:
            if self.outlet.expose:
                self.tell(WorkflowIdleEvent())
            self._settle()
            reducer.rest()
            if self.keeper is not None:
                self.keeper.on_quiet(self)
            return
        if self.outlet.lent:
            # A reader is busy with an event and may send something because of it.
            return
        waiting = reducer.waiting()
        self._close(
            WorkflowStuck(
                f"Run {self.run_id} of {self.graph.name} is stuck: {'; '.join(waiting)}. Return or send "
                "the missing event.",
                waiting=waiting,
            )
        )

    def tell(self, event: PlainEvent) -> None:
        """Show an internal event; it is not recorded, and shares the number of what was last."""
        self.outlet.show((self.reducer.seq, event))

    def leave(self) -> None:
        """Leave memory: interrupt the steps and record nothing of it; the journal has all that is needed to go on."""
        assert self.recorder is not None
        if self.outlet.finished or self.closing:
            # Its end is on the way to the record.
            return
        self.parked = True
        if self.watch is not None:
            self.watch.close(self, self._span)
        self._lift()
        self._give_gate_back()
        for wait in (self.reducer.waits or {}).values():
            if wait.timer is not None:
                wait.timer.cancel()
        for worker in self._workers or ():
            # Not who writes: somebody may wait for an answer to be recorded.
            if worker.job is not None or self._beginning:
                worker.task.cancel()
        self._settle()

    async def left(self) -> None:
        """Return when nothing of the run is at work any more."""
        while self._workers:
            await asyncio.wait([worker.task for worker in self._workers])

    @property
    def idle(self) -> bool:
        """Whether the run only waits for somebody outside, and all is recorded."""
        busy = self.closing or self.parked or self._beginning or not self.reducer.quiet
        return not busy and (self.recorder is None or self.recorder.idle)

    async def settled(self) -> None:
        """Return when the run asks something, waits, or is over."""
        if self.reducer.waits or self.reducer.asks or self.idle or self.outlet.finished:
            return
        future = self._loop.create_future()
        if self._settling is None:
            self._settling = []
        self._settling.append(future)
        await future

    def _settle(self) -> None:
        futures, self._settling = self._settling, None
        for future in futures or ():
            if not future.done():
                future.set_result(None)

    @classmethod
    def over(cls, workflow: object, graph: "Graph", run_id: str, outlet: Outlet, state: State) -> "Run":
        """A run that is over, for a handler to look back on."""
        made = cls.__new__(cls)
        made._id, made.graph, made.outlet, made._state, made.workflow = run_id, graph, outlet, state, workflow
        made.parent_run_id, made.error = None, None
        made.closing, made.parked = True, False
        made.reducer = Reducer(graph)
        made.recorder = None
        made._workers = None
        return made

    def expose(self) -> None:
        """Tell internal events from now on."""
        self.outlet.expose = True
        self.reducer.on_wait = self._tell_preparing

    def _tell_preparing(self, job: Job) -> None:
        self.tell(
            StepStateChanged(
                name=job.spec.name,
                step_state=StepState.PREPARING,
                worker_id=str(job.seq),
                input_event_name=job.event_name,
            )
        )

    @property
    def suspended(self) -> bool:
        """Whether code of a step is held in memory, waiting for an answer."""
        return any(wait.future is not None for wait in (self.reducer.waits or {}).values())

    def running_jobs(self) -> list[Job]:
        """The jobs that are in a step, whether it works or waits."""
        return [worker.job for worker in self._workers or () if worker.job is not None]

    def active_steps(self) -> list[str]:
        """Names of the steps that work at this moment."""
        return sorted({job.spec.name for job in self.running_jobs()})

    @property
    def unstarted(self) -> PlainEvent | None:
        """The start event, until it has gone to its step."""
        return self._start

    def _lift(self) -> None:
        if self._due is not None:
            deadlines(self._loop).lift(self, self._due)
            self._due = None

    def on_timeout(self) -> None:
        """The run's time is over."""
        running = self.active_steps()
        busy = f"running: {', '.join(running)}" if running else "no step was running"
        assert self.timeout_s is not None
        self._close(
            WorkflowTimeoutError(
                f"Run {self.run_id} of {self.graph.name} took longer than {self.timeout_s} s ({busy}).",
                timeout_s=self.timeout_s,
            )
        )

    def _close(self, error: Exception | None) -> None:
        """Begin the end, with the first reason given: start nothing more and interrupt the steps that still run."""
        if self.closing or self.parked or (self._ending and error is not None):
            # In the last case its end is on the way to the disk, and what is recorded counts.
            return
        active = self.active_steps() if isinstance(error, WorkflowTimeoutError) else []
        self.closing = True
        self.error = error
        if self._failed is None and error is not None:
            self._failed = (0, _failure(error, active))
        self.reducer.drain()
        for worker in self._workers or ():
            if worker.job is not None:
                worker.job.cancelled = True
                worker.task.cancel()
        if not self._workers:
            # Nobody is left to bring the end about.
            self._spawn()

    async def _finalise(self) -> None:
        if self.recorder is not None and self._ending != -1:
            await self._write()
            seq, event = self._last()
            message = None if self.error is None else said(self.error)
            outcome = Outcome(status_of(self.error), seq, self.clock.wall(), message)
            try:
                await self.recorder.end(outcome, None if self.error is None else event)
            except Exception as error:  # noqa: BLE001 - an adapter may raise anything
                self._on_journal_failed(error)
        self._finish()

    def _last(self) -> tuple[int, PlainEvent]:
        """The event that ends the stream: the stop event, or a new one that tells of the failure."""
        if self.error is None:
            assert self.reducer.stop is not None
            return self.reducer.stop
        if self._failed is None:
            self._failed = (0, _failure(self.error, []))
        if not self._failed[0]:
            self._failed = (self.reducer.number(), self._failed[1])
        return self._failed

    def _finish(self) -> None:
        self._lift()
        self._give_gate_back()
        for wait in list((self.reducer.waits or {}).values()):
            self._withdraw(wait)
        if self.watch is not None:
            self.watch.close(self, self._span)
        last = self._last()
        event = last[1]
        self.outlet.show(last)
        self.outlet.end(event, self.error, self)
        self._settle()
        if self.keeper is not None:
            self.keeper.on_end(self)

    def _give_gate_back(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None

    def _on_worker_done(self, worker: Worker, task: asyncio.Task[None]) -> None:
        if self._workers is not None:
            self._workers.pop(worker, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A worker of run %s broke", self.run_id, exc_info=error)
            self._close(WorkflowRuntimeError(f"Run {self.run_id} of {self.graph.name} broke: {error!r}"))
        if not self._workers:
            self._workers = None
            if self.closing and not self.outlet.finished:
                # The loop shuts down and cancelled the worker before its first line, or while the end was being
                # recorded: end as a crash would.
                self._finish()
            elif task.cancelled() and not self.parked and not self.outlet.finished:
                self.cancel()
                self._finish()


def _sent_before(job: Job, event: PlainEvent, step: str | None) -> bool:
    """Whether a failed attempt has sent this event at this place; its effect is there already."""
    past = job.past = job.past or Past()
    at, past.sending = past.sending, past.sending + 1
    if past.sent is None:
        past.sent = []
    if at < len(past.sent) and past.sent[at] == (event, step):
        return True
    past.sent[at:] = [(event, step)]
    return False


def _too_late(job: Job, name: str) -> str:
    return f"Nobody answered {key_of(job.spec.name, job.seq, name)!r} in time."


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


def said(error: BaseException) -> str:
    """The error's type and message, as records keep them; of one that was read from a record, what it said there."""
    return f"{getattr(error, 'original_type', type(error).__name__)}: {error}"


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


def _failure(error: Exception, active: list[str]) -> PlainEvent:
    match status_of(error):
        case "timed_out":
            assert isinstance(error, WorkflowTimeoutError)
            return WorkflowTimedOutEvent(timeout=error.timeout_s, active_steps=active)
        case "cancelled":
            return WorkflowCancelledEvent()
    return WorkflowFailedEvent(step_name=getattr(error, "step", None) or "", exception=error)


__all__ = ["CURRENT", "Run", "Status", "Trail", "Worker", "said", "status_of"]
