"""The caller's end of a run: its result, its stream, its cancellation."""

import asyncio
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from citewell.workflow import outside
from citewell.workflow.errors import WorkflowCancelledByUser
from citewell.workflow.outlet import Stream
from citewell.workflow.plain import PlainEvent
from citewell.workflow.run import Run

if TYPE_CHECKING:
    from citewell.workflow.context import Context
    from citewell.workflow.runs import Runs


class WorkflowHandler:
    """A run: await it for its result. The run goes on by itself, whether it is awaited or not.

    Cancelling a task that awaits it leaves the run going, and it can be awaited again; `cancel_run()` ends it.
    Inside a step of another run it is the other way: the inner run ends with the step that awaits it.
    """

    __slots__ = ("_context", "_first", "_outlet", "_runs")

    def __init__(self, run: Run, context: "Context[Any] | None" = None, runs: "Runs | None" = None) -> None:
        self._first = run
        self._runs = runs
        self._outlet = run.outlet
        self._context = context

    @property
    def _run(self) -> Run:
        # A run that was parked comes back as another object.
        if self._runs is not None and self._first.parked:
            self._first = self._runs.live(self._first)
        return self._first

    @property
    def run_id(self) -> str:
        """The id under which the journal knows the run."""
        return self._run.run_id

    @property
    def parent_run_id(self) -> str | None:
        """The run in a step of which this one was started."""
        return self._run.parent_run_id

    @property
    def ctx(self) -> "Context[Any]":
        """The run's context as the outside sees it: its state, and the way to send events into it."""
        # Who holds it may send something at any time, so the run is not called stuck from now on.
        self._outlet.touched = True
        if self._context is None:
            workflow: Any = self._first.workflow
            self._context = workflow._context_of(self._run)
        return self._context

    def __await__(self) -> Generator[Any, None, Any]:
        """The result of a StopEvent; of a subclass the event itself; of a dataclass its `result` if it has one.

        Raises what a step raised in its last attempt, or WorkflowTimeoutError, WorkflowCancelledByUser,
        UndeclaredEvent, WorkflowStuck, JournalFailed, or RunsClosed when nobody looks after the run any more.
        """
        if not self._outlet.finished:
            try:
                yield from self._outlet.done()
            except asyncio.CancelledError:
                if self._first.parent_run_id is not None:
                    # Inside a step of another run.
                    self._run.cancel()
                    yield from asyncio.wait([self._outlet.done()]).__await__()
                    self._outlet.seen = True
                raise
        return self._outlet.result()

    def is_done(self) -> bool:
        """Whether the run has ended and its steps have finished their clean-up."""
        return self._outlet.finished

    def done(self) -> bool:
        """As `is_done`."""
        return self._outlet.finished

    def cancel(self) -> None:
        """Ask the run to end: its steps are cancelled, and `await` raises WorkflowCancelledByUser after clean-up.

        Raises RunsClosed when nobody looks after the run any more.
        """
        if self._outlet.closed is not None:
            raise self._outlet.closed
        if not self._outlet.finished:
            self._run.cancel()

    async def cancel_run(self, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the name that users know
        """Cancel the run and wait for the clean-up of its steps, at most `timeout` seconds."""
        self.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._outlet.done(), timeout)
        self._outlet.seen = True

    def cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return isinstance(self._outlet.error, WorkflowCancelledByUser)

    def exception(self) -> BaseException | None:
        """What ended the run, or None when it reached its stop event or goes on."""
        self._outlet.seen = True
        return self._outlet.error

    def result(self) -> Any:
        """What the run came to, as `await` gives it; asyncio.InvalidStateError while it goes on."""
        if not self._outlet.finished:
            raise asyncio.InvalidStateError(f"Run {self.run_id} goes on. Await it.")
        return self._outlet.result()

    def get_stop_event(self) -> PlainEvent | None:
        """The event that ended the run, None while it goes on."""
        return self._outlet.last

    async def stop_event_result(self) -> PlainEvent:
        """The event that ends the run; raises what `await` raises."""
        await self
        assert self._outlet.last is not None
        return self._outlet.last

    async def send_event(self, event: PlainEvent, step: str | None = None) -> None:
        """Send an event into the run: to the questions it answers and every step that takes it, or the named one."""
        self._outlet.touched = True
        if self._runs is not None and self._run.parked:
            await self._runs.wake(self.run_id)
        outside.send(self._run, event, step)

    def stream_events(self, expose_internal: bool = False, *, after: int | None = None) -> Stream:
        """The streamed events with sequence numbers above `after`: those present, those to come, the last.

        Without `after` it goes on where an earlier reading without `after` broke off, from the beginning when that
        one came to the end. Any number of readers may read at once, each from its own cursor; `after=0` is a reading
        from the beginning whatever others do. Internal events are told from when the first reader asks for them.
        """
        if expose_internal:
            self._run.expose()
        return Stream(self._outlet, after, expose_internal, self._run.check_quiet)

    def __str__(self) -> str:
        return f"WorkflowHandler(workflow={self._run.graph.name}, run_id={self.run_id}, done={self.is_done()})"
