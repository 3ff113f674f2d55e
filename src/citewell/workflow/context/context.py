"""`Context`: a run as its steps see it, as the outside sees it, and before it has begun."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from citewell.workflow import outside, questions
from citewell.workflow.buffers import collect
from citewell.workflow.declared import check_sent
from citewell.workflow.errors import (
    CodecError,
    ContextSerdeError,
    ContextStateError,
    WorkflowRuntimeError,
)
from citewell.workflow.plain import PlainEvent
from citewell.workflow.state import State, Store

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    from citewell.workflow.context.serializers import BaseSerializer
    from citewell.workflow.job import Job
    from citewell.workflow.outlet import Stream
    from citewell.workflow.retry_policy import RetryInfo
    from citewell.workflow.run import Run
    from citewell.workflow.state import DictState
    from citewell.workflow.workflow import Workflow

    S = DefaultTypeVar("S", default=DictState)
else:
    S = TypeVar("S")

E = TypeVar("E", bound=PlainEvent)
T = TypeVar("T")

WAIT_S = 2000.0
"""How long `wait_for_event` waits unless it is told otherwise."""


class Context(Generic[S]):
    """The state of a run and the way to it from outside; `Context[MyState]` declares the state's type.

    Make one to set state before a run, to carry state from run to run (`workflow.run(ctx=ctx)`), or from what
    `to_dict()` has saved. Inside steps, what is declared as Context is a StepContext.
    """

    __slots__ = ("_outer_state", "_outer_workflow", "_run", "_saved", "_serializer")

    def __init__(
        self,
        workflow: "Workflow",
        previous_context: Mapping[str, Any] | None = None,
        serializer: "BaseSerializer | None" = None,
    ) -> None:
        self._outer_workflow = workflow
        self._outer_state = State(workflow._graph.state)
        self._run: Run | None = None
        self._saved: Mapping[str, Any] | None = None
        self._serializer = serializer
        if previous_context is not None:
            from citewell.workflow.snapshot import check, load_state

            try:
                check(workflow._graph, previous_context)
                load_state(self._outer_state, previous_context, serializer)
            except (CodecError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise ContextSerdeError(
                    f"The saved context of {workflow._graph.name} cannot be read: {error}"
                ) from error
            self._saved = previous_context

    @classmethod
    def from_dict(
        cls, workflow: "Workflow", data: Mapping[str, Any], serializer: "BaseSerializer | None" = None
    ) -> "Context[S]":
        """The context that `to_dict` saved; `workflow.run(ctx=…)` goes on where it was.

        Raises ContextSerdeError when it is damaged, or of another workflow or format.
        """
        return cls(workflow, data, serializer)

    def to_dict(self, serializer: "BaseSerializer | None" = None, *, include_state: bool = True) -> dict[str, Any]:
        """State, queues, buffers, questions and work in progress as a JSON-able dict.

        Raises ContextSerdeError naming what has no JSON form.
        """
        from citewell.workflow.snapshot import capture, capture_idle

        chosen = serializer or self._serializer
        try:
            run = self._run
            if run is not None and not run.outlet.finished:
                return capture(run, chosen, include_state=include_state)
            saved = self._saved if run is None else None
            return capture_idle(self._outer_workflow._graph, self._outer_state, chosen, include_state, saved)
        except CodecError as error:
            raise ContextSerdeError(f"The context cannot be saved: {error}") from error

    @staticmethod
    def get_step_context() -> "StepContext[Any]":
        """The context of the step that is running, for code below it that was not given one.

        Raises WorkflowRuntimeError outside of a step.
        """
        from citewell.workflow.workers import CURRENT

        worker = CURRENT.get()
        if worker is None or worker.job is None:
            raise WorkflowRuntimeError("get_step_context() works only while a step is running.")
        return StepContext(worker.run, worker.job)

    @property
    def is_running(self) -> bool:
        """Whether a run of this context is going on, or will go on with `run(ctx=…)` where it was saved."""
        if self._run is not None:
            return not self._run.outlet.finished
        return self._saved is not None and bool(self._saved["is_running"])

    @property
    def store(self) -> "Store[S]":
        """The state, before, during and after runs."""
        return Store(self._outer_state)

    def _outer(self, what: str) -> "Run":
        if self._run is None:
            raise ContextStateError(f"{what} needs a run. Call workflow.run() first.")
        return self._run

    def send_event(self, message: PlainEvent, step: str | None = None) -> None:
        """Send an event into the run: to the questions it answers and every step that takes it, or the named one.

        Raises WorkflowRuntimeError when the step is not there or does not take it, or the run is over.
        """
        run = self._outer("send_event()")
        run.outlet.touched = True
        outside.send(run, message, step)

    def stream_events(self, expose_internal: bool = True) -> "Stream":
        """The stream of the run; see `WorkflowHandler.stream_events`."""
        from citewell.workflow.outlet import Stream

        run = self._outer("stream_events()")
        return Stream(run.outlet, 0, expose_internal, run.check_quiet)

    async def running_steps(self) -> list[str]:
        """Names of the steps that work at this moment."""
        return self._outer("running_steps()").active_steps()

    def get_result(self) -> Any:
        """What the run came to; raises what ended it."""
        run = self._outer("get_result()")
        if not run.outlet.finished:
            raise ContextStateError("get_result() needs a run that is over. Await the handler.")
        return run.outlet.result()

    @property
    def streaming_queue(self) -> "asyncio.Queue[PlainEvent]":
        """A queue that the stream is copied to; prefer `handler.stream_events()`."""
        queue: asyncio.Queue[PlainEvent] = asyncio.Queue()
        stream = self.stream_events()

        async def pump() -> None:
            async for event in stream:
                await queue.put(event)

        task = asyncio.get_running_loop().create_task(pump())
        _PUMPS.add(task)
        task.add_done_callback(_PUMPS.discard)
        return queue

    # What only steps can do. Here, so that a step's `ctx: Context` is known to have it.

    def _inner(self, what: str) -> ContextStateError:
        return ContextStateError(f"{what} works only inside a step.")

    @property
    def run_id(self) -> str:
        """The run's id, the same after a restart."""
        return self._outer("run_id").run_id

    @property
    def step_name(self) -> str:
        """The step's name."""
        raise self._inner("step_name")

    @property
    def attempt(self) -> int:
        """Which attempt at this event this is, from 1."""
        raise self._inner("attempt")

    @property
    def cancelled(self) -> bool:
        """Whether the run is ending; a step in a thread should look at it from time to time, and return."""
        raise self._inner("cancelled")

    def idempotency_key(self, name: str = "") -> str:
        """A key for an outside effect: the same in every attempt of this step at this event, different from all others.

        32 hexadecimal digits. `name` tells several effects of one step apart.
        """
        raise self._inner("idempotency_key()")

    def collect_events(
        self,
        ev: PlainEvent,
        expected: Sequence[type[PlainEvent]] | Mapping[type[Any], int],
        buffer_id: str | None = None,
    ) -> list[Any] | None:
        """All wanted events, in the order of `expected`, once this step has received them all; None until then.

        `[A, A, B]` and `{A: 2, B: 1}` want the same; for many events give the mapping, which costs the same
        for any number. Of one type the earliest come first; surplus events are kept for the next collection.
        """
        raise self._inner("collect_events()")

    def write_event_to_stream(self, ev: PlainEvent | None) -> None:
        """Show an event to the readers of the stream, now; no step receives it."""
        raise self._inner("write_event_to_stream()")

    async def wait_for_event(
        self,
        event_type: type[E],
        waiter_event: PlainEvent | None = None,
        waiter_id: str | None = None,
        requirements: Mapping[str, Any] | None = None,
        timeout: float | None = WAIT_S,  # noqa: ASYNC109 - the name that users of llama-index-workflows know
        *,
        who: Collection[str] | None = None,
    ) -> E:
        """The next event of this type that has all of `requirements` as attributes; `waiter_event` is shown first.

        While it waits the step keeps no worker busy. The first fitting answer counts, once; `who` are the names of
        those whose answers fit (see `Runs.answer`). `waiter_id` names the question, by default after the event's
        type and its place in the step. In the process that asked, the step goes on after this line; where a recorded
        run was parked or its process ended, the step begins anew and finds the answer here. Raises TimeoutError after
        `timeout` seconds, downtime included.
        """
        raise self._inner("wait_for_event()")

    async def once(self, name: str, make: "Callable[[], T]") -> Any:
        """What `make()` (awaited if need be) gave when this step first came here at this event.

        Later attempts, and the step begun anew after a restart, get the recorded value. It needs a JSON form in a
        recorded run.
        """
        raise self._inner("once()")

    async def sleep(self, delay_s: float, name: str = "sleep") -> None:
        """Wait `delay_s` from when this step first came here: neither a retry nor a restart waits anew."""
        raise self._inner("sleep()")

    def retry_info(self) -> "RetryInfo":
        """How often this step has failed at this event, and with what."""
        raise self._inner("retry_info()")


_PUMPS: set[asyncio.Task[None]] = set()


class StepContext(Context[S]):
    """The run as one step sees it while it works on one event; made anew for every attempt.

    All but `store` and what is awaited may be used from a plain `def` step in its thread too.
    """

    __slots__ = ("_asked", "_inside", "_job")

    def __init__(self, run: "Run", job: "Job") -> None:
        self._inside = run
        self._job = job
        self._asked = 0

    @property
    def is_running(self) -> bool:
        return True

    @property
    def store(self) -> "Store[S]":
        return Store(self._inside.state, self._touch, self._lend if self._inside.recorder is not None else None)

    def _lend(self, key: str) -> None:
        # The step may change what it is given without saying so.
        if self._job.lent is None:
            self._job.lent = {}
        if key not in self._job.lent:
            self._job.lent[key] = self._inside.state.form(key)

    def _touch(self, key: str) -> None:
        if self._job.dirty is None:
            self._job.dirty = set()
        self._job.dirty.add(key)

    def _outer(self, what: str) -> "Run":
        raise ContextStateError(f"{what} does not work inside a step, only from outside the run.")

    def to_dict(self, serializer: "BaseSerializer | None" = None, *, include_state: bool = True) -> dict[str, Any]:
        raise ContextStateError("to_dict() does not work inside a step, only from outside the run.")

    @property
    def run_id(self) -> str:
        return self._inside.run_id

    @property
    def step_name(self) -> str:
        return self._job.spec.name

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def cancelled(self) -> bool:
        return self._job.cancelled

    def idempotency_key(self, name: str = "") -> str:
        import hashlib

        text = f"{self._inside.run_id}\0{self._job.spec.name}\0{self._job.seq}\0{name}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def send_event(self, message: PlainEvent, step: str | None = None) -> None:
        """Send an event to every step that accepts it, or to the named one only.

        In a recorded run it is delivered when this step has succeeded, in one transaction with its outcome: an
        attempt that fails has sent nothing. In one that only lives in memory it is delivered now, and an attempt
        that sends it again has no effect. Raises UndeclaredEvent at once if nothing would receive it.
        """
        run, job = self._inside, self._job
        if step is not None or job.over or not run.graph.routes.get(type(message)):
            check_sent(run.graph, job, message, step)
        run.send(job, message, step)

    def collect_events(
        self,
        ev: PlainEvent,
        expected: Sequence[type[PlainEvent]] | Mapping[type[Any], int],
        buffer_id: str | None = None,
    ) -> list[Any] | None:
        return collect(self._inside.reducer, self._job, ev, expected, buffer_id or "")

    def write_event_to_stream(self, ev: PlainEvent | None) -> None:
        if ev is not None:
            self._inside.write_to_stream(self._job, ev)

    async def wait_for_event(
        self,
        event_type: type[E],
        waiter_event: PlainEvent | None = None,
        waiter_id: str | None = None,
        requirements: Mapping[str, Any] | None = None,
        timeout: float | None = WAIT_S,  # noqa: ASYNC109
        *,
        who: Collection[str] | None = None,
    ) -> E:
        self._asked += 1
        name = waiter_id or f"{event_type.__name__}:{self._asked}"
        allowed = None if who is None else frozenset(who)
        found: Any = await questions.ask(
            self._inside, self._job, name, event_type, waiter_event, requirements or {}, timeout, allowed
        )
        return found  # type: ignore[no-any-return]

    async def once(self, name: str, make: "Callable[[], T]") -> Any:
        return await self._inside.remember(self._job, name, make)

    async def sleep(self, delay_s: float, name: str = "sleep") -> None:
        clock = self._inside.clock
        until: float = await self.once(name, lambda: clock.wall() + delay_s)
        await asyncio.sleep(max(until - clock.wall(), 0.0))

    def retry_info(self) -> "RetryInfo":
        from citewell.workflow.retry_policy import RetryInfo

        past = self._job.past
        if past is None or past.error is None:
            return RetryInfo(0, 0.0, None, None)
        elapsed_s = self._inside.clock.wall() - past.first_at
        return RetryInfo(self._job.attempt - 1, elapsed_s, past.error, past.last_failed)
