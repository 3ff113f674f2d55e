"""One run: what it holds, what its steps ask of it, and how it is recorded.

`workers.py` carries out its jobs, `outcomes.py` takes what came of them, `questions.py` and `outside.py` see to people,
`ends.py` ends it.
"""

import asyncio
import contextvars
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from citewell.workflow import ends, questions
from citewell.workflow.clock import Clock, clock_of
from citewell.workflow.codec import encode
from citewell.workflow.deadline import deadlines
from citewell.workflow.errors import JournalFailed, WorkflowCancelledByUser, WorkflowError, WorkflowStuck
from citewell.workflow.events import StepState, StepStateChanged, WorkflowIdleEvent
from citewell.workflow.job import Job
from citewell.workflow.journal import Journal, Outcome, RunStart
from citewell.workflow.outlet import Outlet
from citewell.workflow.past import past_of
from citewell.workflow.plain import PlainEvent
from citewell.workflow.record import Batch, Recorder, check_recordable
from citewell.workflow.reducer import Reducer
from citewell.workflow.state import State
from citewell.workflow.stuck import waits_for
from citewell.workflow.watch import Watch
from citewell.workflow.workers import Worker, spawn, standby

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph
    from citewell.workflow.resource import ResourceManager


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
        "_begun",
        "_due",
        "_held",
        "_id",
        "_settling",
        "_span",
        "_state",
        "armed",
        "base",
        "beginning",
        "burst",
        "clock",
        "closing",
        "deadline",
        "ending",
        "error",
        "failed",
        "gate",
        "graph",
        "keeper",
        "loop",
        "outlet",
        "parent_run_id",
        "parked",
        "recorder",
        "reducer",
        "resources",
        "timeout_s",
        "unstarted",
        "watch",
        "workers",
        "workflow",
        "yielding",
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
        self._id = run_id
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
        self.unstarted = start
        self._begun = begun
        self.loop = asyncio.get_running_loop()
        self.clock: Clock = clock_of(self.loop)
        self.base = contextvars.copy_context()
        # In order: a set's would differ from process to process.
        self.workers: dict[Worker, None] | None = None
        self.failed: tuple[int, PlainEvent] | None = None
        self.armed = False
        self.yielding = False
        self.burst = 1
        self.gate = gate
        self._held: asyncio.Semaphore | None = None
        self._settling: list[asyncio.Future[None]] | None = None
        self.beginning = False
        # The number of the stop event that will be recorded together with the end; -1 once it is.
        self.ending = 0
        self.recorder: Recorder | None = None
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
            self._due = deadlines(self.loop).set(self, rest_s)
        if journal is not None:
            check_recordable(graph)
            if start is not None:
                encode(start)
            self.recorder = Recorder(self.run_id, journal, graph, self.reducer, self.state, self.clock)
        if self._state is not None:
            # The state of a context goes from run to run, and those may be recorded or not.
            self._state.strict = journal is not None
        self._span = None if watch is None else watch.open(self, self.base)
        self.spawn()

    @property
    def run_id(self) -> str:
        """The run's id; of a run that nobody named 32 hexadecimal digits, made when they are first wanted."""
        if self._id is None:
            self._id = os.urandom(16).hex()
        return self._id

    @property
    def state(self) -> State:
        """The run's state, made when it is first wanted."""
        if self._state is None:
            self._state = State(self.graph.state)
        return self._state

    def spawn(self) -> None:
        """Have one more worker: there is something to do, and all others may be gone or waiting."""
        spawn(self)

    # What the steps ask for

    def cancel(self) -> None:
        """End the run after the clean-up of its steps."""
        ends.close(self, WorkflowCancelledByUser(f"Run {self.run_id} of {self.graph.name} was cancelled."))

    def write_to_stream(self, job: Job, event: PlainEvent) -> None:
        """Number the event and show it to the readers, once it is recorded; from any thread."""
        if not isinstance(event, PlainEvent):
            raise TypeError(
                f"Step {job.spec.name!r} wrote a {type(event).__name__} to the stream. Derive it from Event."
            )
        payload = encode(event) if self.recorder is not None else None
        self._on_loop(self.stream, job, event, payload)

    def _on_loop(self, call: Callable[..., object], *arguments: object) -> None:
        if asyncio._get_running_loop() is self.loop:
            call(*arguments)
        else:
            self.loop.call_soon_threadsafe(call, *arguments)

    def stream(self, job: Job | None, event: PlainEvent, payload: Any) -> None:
        """As `write_to_stream`, on the loop, with the event's form where the run is recorded."""
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
        elif asyncio._get_running_loop() is self.loop:
            self._send(job, event, step)
        else:
            self.loop.call_soon_threadsafe(self._send, job, event, step)

    def _send(self, job: Job, event: PlainEvent, step: str | None) -> None:
        if self.closing:
            return
        reducer = self.reducer
        if job.spec.config.retry_policy is not None and past_of(job).sends_again(event, step):
            return
        reducer.seq += 1
        if not reducer.deliver(reducer.seq, event, step, job.trail, sent=True):
            reducer.lost = (job, event)
        if reducer.waits:
            questions.answer_from_step(self, event)
        if not self.armed:
            self.armed = True
            self.loop.call_soon(standby, self)

    async def remember(self, job: Job, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave when the step first asked under this name, in whichever attempt or process."""
        past = past_of(job)
        if past.memos is not None and name in past.memos:
            return past.memos[name]
        value = make()
        if hasattr(value, "__await__"):
            value = await value
        if self.recorder is not None:
            from citewell.workflow.tagged import to_json

            self.recorder.noted(job, "memo", name, to_json(value, name), None, lambda: None)
            await self.written()
        past.remembers(name, value)
        return value

    # The record

    async def begin(self) -> None:
        """Wait for a place among num_concurrent_runs, record the acceptance, and deliver the start event."""
        start, self.unstarted = self.unstarted, None
        gate, self.gate = self.gate, None
        self.beginning = True
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
            self.lose_journal(error)
        finally:
            self.beginning = False

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

    def write_soon(self) -> None:
        """Have somebody write the outbox."""
        # With more than one batch in the outbox, somebody is already on the way to write it.
        recorder = self.recorder
        if recorder is not None and len(recorder.outbox) == 1 and not recorder.writing:
            self.spawn()

    async def write(self) -> None:
        """Record the outbox, or have whoever is at it do so; a journal that fails ends the run."""
        if self.recorder is None or not self.recorder.outbox:
            return
        if not self.armed and self.reducer.backlog:
            # The journal may wait too, and meanwhile others take the jobs that are left.
            self.armed = True
            self.loop.call_soon(standby, self)
        try:
            if self.ending:
                outcome = Outcome("done", self.ending, self.clock.wall())
                self.ending = -1
                await self.recorder.finish(outcome)
            else:
                await self.recorder.write()
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; it ends the run
            self.ending = 0
            self.lose_journal(error)

    async def written(self) -> None:
        """Return once what is in the outbox now is recorded.

        For steps, which may be interrupted at any time: a write may not, since it carries what others have done too.
        So a worker without a job does it.
        """
        recorder = self.recorder
        assert recorder is not None
        done = self.loop.create_future()
        recorder.outbox.append(Batch([], lambda: None if done.done() else done.set_result(None)))
        if not recorder.writing:
            self.spawn()
        await done

    def lose_journal(self, error: Exception) -> None:
        """End the run because it can no longer be recorded."""
        if isinstance(error, WorkflowError):
            failure: Exception = error
        else:
            what = f"Run {self.run_id} of {self.graph.name} could not be recorded: {error}"
            kept = self.keeper is not None
            advice = (
                f". It goes on by itself once it can; runs.result({self.run_id!r}) waits for its end." if kept else ""
            )
            failure = JournalFailed(what + advice)
            failure.__cause__ = error
        ends.close(self, failure)
        # Also where it was about to end otherwise: that end is not recorded, and nobody may rely on it.
        self.error, self.failed = failure, None

    # Waiting, and the end

    def check_quiet(self) -> None:
        """Look again whether the run can go on: a reader has come back."""
        if not self.closing and not self.parked and not self.workers and self.reducer.quiet:
            self.spawn()

    def on_quiet(self) -> None:
        """Rest while somebody outside may move the run; else it is stuck."""
        reducer = self.reducer
        if reducer.waits or self.graph.listens or self.outlet.touched:
            if self.outlet.expose:
                self.tell(WorkflowIdleEvent())
            self.settle()
            reducer.rest()
            if self.keeper is not None:
                self.keeper.on_quiet(self)
            return
        if self.outlet.lent:
            # A reader is busy with an event and may send something because of it.
            return
        waiting = waits_for(reducer)
        ends.close(
            self,
            WorkflowStuck(
                f"Run {self.run_id} of {self.graph.name} is stuck: {'; '.join(waiting)}. Return or send "
                "the missing event.",
                waiting=waiting,
            ),
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
        self.let_go()
        for wait in (self.reducer.waits or {}).values():
            if wait.timer is not None:
                wait.timer.cancel()
        for worker in self.workers or ():
            # Not who writes: somebody may wait for an answer to be recorded.
            if worker.job is not None or self.beginning:
                worker.task.cancel()
        self.settle()

    async def left(self) -> None:
        """Return when nothing of the run is at work any more."""
        while self.workers:
            await asyncio.wait([worker.task for worker in self.workers])

    @property
    def idle(self) -> bool:
        """Whether the run only waits for somebody outside, and all is recorded."""
        busy = self.closing or self.parked or self.beginning or not self.reducer.quiet
        return not busy and (self.recorder is None or self.recorder.idle)

    async def settled(self) -> None:
        """Return when the run asks something, waits, or is over."""
        if self.reducer.waits or self.reducer.asks or self.idle or self.outlet.finished:
            return
        future = self.loop.create_future()
        if self._settling is None:
            self._settling = []
        self._settling.append(future)
        await future

    def settle(self) -> None:
        """Tell those who wait for the run to settle."""
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
        made.workers = None
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

    def running_jobs(self) -> list[Job]:
        """The jobs that are in a step, whether it works or waits."""
        return [worker.job for worker in self.workers or () if worker.job is not None]

    def active_steps(self) -> list[str]:
        """Names of the steps that work at this moment."""
        return sorted({job.spec.name for job in self.running_jobs()})

    def let_go(self) -> None:
        """Hold nothing any more that others share with it: its timer, its place among runs, its span."""
        if self._due is not None:
            deadlines(self.loop).lift(self, self._due)
            self._due = None
        self._give_gate_back()
        if self.watch is not None:
            self.watch.close(self, self._span)

    def on_timeout(self) -> None:
        """As `Timed` says."""
        ends.time_out(self)

    def _give_gate_back(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None
