"""What is seen of a run from outside: its stream, its readers, its end."""

import asyncio
import logging
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from citewell.workflow.events import InternalDispatchEvent, StopEvent
from citewell.workflow.plain import PlainEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.run import Run

log = logging.getLogger("citewell.workflow")


# Never added to: most runs have nothing in their stream until they end.
_NO_EVENTS: list[tuple[int, PlainEvent]] = []


class Outlet:
    """The stream of a run as pairs of number and event, and how it ended. It outlives the run's time in memory."""

    __slots__ = (
        "__weakref__",
        "_readers",
        "_waiters",
        "closed",
        "cursor",
        "error",
        "events",
        "expose",
        "finished",
        "followed",
        "label",
        "last",
        "lent",
        "seen",
        "touched",
    )

    def __init__(self) -> None:
        self.events: list[tuple[int, PlainEvent]] = _NO_EVENTS
        self.label = ""
        self.finished = False
        # Set when nobody looks after the run any more although it is not over: why.
        self.closed: Exception | None = None
        self.error: BaseException | None = None
        self.last: PlainEvent | None = None
        # Whether internal events are wanted; whether the outside has taken the context, and so may send events.
        self.expose = False
        self.touched = False
        # How many readers were given an event and have not come back for the next.
        self.lent = 0
        # How far the reading that names no cursor of its own has come.
        self.cursor = 0
        # How many readings that name no cursor wait for the next event at this moment.
        self.followed = 0
        self.seen = False
        self._waiters: list[asyncio.Future[None]] | None = None
        self._readers: list[asyncio.Future[None]] | None = None

    def replace(self, events: list[tuple[int, PlainEvent]]) -> None:
        """Take over the stream as it was recorded; what was not recorded is gone from it."""
        if self.cursor:
            self.cursor = bisect_right(events, self.events[self.cursor - 1][0], key=lambda item: item[0])
        self.events = events

    def show(self, shown: tuple[int, PlainEvent]) -> None:
        """Put an event, with its number, into the stream."""
        if self.events is _NO_EVENTS:
            self.events = [shown]
        else:
            self.events.append(shown)
        if self._readers is not None:
            self.wake()

    def wake(self) -> None:
        """Let all readers look again."""
        readers, self._readers = self._readers, None
        for reader in readers or ():
            if not reader.done():
                reader.set_result(None)

    def end(self, event: PlainEvent, error: BaseException | None, run: "Run | None" = None) -> None:
        """The run is over."""
        if error is not None and run is not None:
            self.label = f"Run {run.run_id} of {run.graph.name}"
        self.last = event
        self.error = error
        self.finished = True
        self._tell()

    def close(self, error: Exception) -> None:
        """Nobody looks after the run any more: whoever waits for it, now or later, is told so."""
        if not self.finished:
            self.closed = error
            self._tell()

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self.wake()

    async def news(self) -> None:
        """Return when the stream has grown or ended."""
        reader = asyncio.get_running_loop().create_future()
        if self._readers is None:
            self._readers = []
        self._readers.append(reader)
        await reader

    def done(self) -> "asyncio.Future[None]":
        """A future of the caller's own, done when the run is over or left to itself; its result says nothing."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.finished or self.closed is not None:
            future.set_result(None)
        elif self._waiters is None:
            self._waiters = [future]
        else:
            self._waiters.append(future)
        return future

    def result(self) -> Any:
        """What awaiting the run gives; raises what ended it. Only once it is over, or left to itself."""
        self.seen = True
        if self.closed is not None:
            raise self.closed
        if self.error is not None:
            raise self.error
        assert self.last is not None
        return result_of(self.last)

    def __del__(self) -> None:
        if self.error is not None and not self.seen:
            log.error("%s failed, and nobody awaited it: %r", self.label, self.error)


def result_of(event: PlainEvent) -> Any:
    """A plain StopEvent's result, a dataclass stop event's `result` if it has one, else the event itself."""
    if type(event) is StopEvent:
        return event.result
    return event if isinstance(event, StopEvent) else getattr(event, "result", event)


class Stream:
    """The streamed events of a run in order, from one reader's cursor on; ends after the event that ended the run.

    `seq` is the sequence number of the event given last: `stream_events(after=seq)` goes on from there. After
    a `break` the same object goes on too. A stop event that a step wrote to the stream ends it as well.
    """

    __slots__ = ("_common", "_ended", "_expose", "_holds", "_list", "_next", "_on_return", "_outlet", "seq")

    def __init__(self, outlet: Outlet, after: int | None, expose: bool, on_return: Any) -> None:
        self._outlet = outlet
        # A reading that is going on has not broken off anywhere: beside it this one reads by itself.
        self._common = after is None and not outlet.followed
        self._next = outlet.cursor if self._common else bisect_right(outlet.events, after or 0, key=lambda one: one[0])
        self._list = outlet.events
        self._expose = expose
        self._on_return = on_return
        self._holds = False
        self._ended = False
        self.seq = after or 0

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> PlainEvent:
        self._give_back()
        outlet = self._outlet
        while not self._ended:
            while self._next >= len(outlet.events):
                if outlet.finished:
                    # The reader was shown the failure, so nobody has to be told that it went unseen.
                    outlet.seen = True
                    raise StopAsyncIteration
                if outlet.closed is not None:
                    raise outlet.closed
                outlet.followed += self._common
                try:
                    await outlet.news()
                finally:
                    outlet.followed -= self._common
            if outlet.events is not self._list and self._list is _NO_EVENTS:
                self._list = outlet.events
            if outlet.events is not self._list:
                self._list = outlet.events
                self._next = bisect_right(self._list, self.seq, key=lambda item: item[0])
                continue
            seq, event = outlet.events[self._next]
            self._next += 1
            if self._common:
                outlet.cursor = self._next
            if isinstance(event, InternalDispatchEvent) and not self._expose:
                continue
            self.seq = seq
            self._ended = isinstance(event, PlainStopEvent)
            if self._ended:
                outlet.seen = True
                if self._common:
                    outlet.cursor = 0
            else:
                self._holds = True
                outlet.lent += 1
            return event
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """The reader has enough."""
        self._give_back()

    def _give_back(self) -> None:
        if self._holds:
            self._holds = False
            self._outlet.lent -= 1
            if not self._outlet.lent and not self._outlet.finished:
                self._on_return()

    def __del__(self) -> None:
        if self._holds:
            self._holds = False
            self._outlet.lent -= 1
