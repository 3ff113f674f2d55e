"""The caller's end of a run: its result, its stream, its cancellation."""

import asyncio
from bisect import bisect_right
from collections.abc import Generator
from typing import Any

from citewell.workflow.events import Event
from citewell.workflow.run import Run


class Stream:
    """The streamed events of a run in order, from one reader's cursor on; ends after the stop event or
    RunFailed.

    `seq` is the sequence number of the event given last: `stream_events(after=seq)` goes on from there. After
    a `break` the same object goes on too.
    """

    __slots__ = ("_next", "_run", "seq")

    def __init__(self, run: Run, after: int) -> None:
        self._run = run
        self._next = bisect_right(run.stream, after, key=lambda item: item[0])
        self.seq = after

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Event:
        run = self._run
        while self._next >= len(run.stream):
            if run.finished:
                # The reader was shown the failure, so nobody has to be told that it went unseen.
                run.done.exception()
                raise StopAsyncIteration
            await run.wait_for_news()
        self.seq, event = run.stream[self._next]
        self._next += 1
        return event


class Handler:
    """A run: await it for its result. The run goes on by itself, whether it is awaited or not.

    Cancelling a task that awaits it leaves the run going, and it can be awaited again; `cancel()` ends it.
    Inside a step of another run it is the other way: the inner run ends with the step that awaits it.
    """

    __slots__ = ("_nested", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nested = run.parent_run_id is not None

    @property
    def run_id(self) -> str:
        """The id under which the journal knows the run."""
        return self._run.run_id

    @property
    def parent_run_id(self) -> str | None:
        """The run in a step of which this one was started."""
        return self._run.parent_run_id

    def __await__(self) -> Generator[Any, None, Any]:
        """The stop event's `result` if it has that attribute, else the stop event itself.

        Raises WorkflowFailed: StepFailed, UndeclaredEvent, WorkflowTimeout, WorkflowCancelled, WorkflowStuck
        or JournalFailed.
        """
        done = self._run.done
        if not done.done():
            try:
                yield from asyncio.shield(done).__await__()
            except asyncio.CancelledError:
                if self._nested:
                    self.cancel()
                    yield from asyncio.wait([done]).__await__()
                    done.exception()
                raise
        return done.result()

    def is_done(self) -> bool:
        """Whether the run has ended and its steps have finished their clean-up."""
        return self._run.finished

    def cancel(self) -> None:
        """Ask the run to end: its steps are cancelled, and `await` raises WorkflowCancelled after their
        clean-up.
        """
        if not self._run.finished:
            self._run.cancel()

    def stream_events(self, after: int = 0) -> Stream:
        """The streamed events with sequence numbers above `after`: those present, those to come, the last."""
        return Stream(self._run, after)
