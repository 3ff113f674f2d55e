"""Timeouts of many runs: a run puts itself into the bucket of its second, and only the buckets have timers."""

import asyncio
import threading
import weakref
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary


class Timed(Protocol):
    """What is told when its time is over."""

    def on_timeout(self) -> None:
        """The time is over."""
        ...


class Deadlines:
    """The deadlines of one event loop, in seconds of its clock.

    Almost no deadline is ever met, so setting and lifting one must cost next to nothing: a timer of the loop would
    cost more than a step. In the second before it is due, each deadline gets a timer of its own.
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        # It must not hold its loop, which is the key under which it is kept.
        self._buckets: dict[int, dict[Timed, float]] = {}

    def set(self, timed: Timed, delay_s: float) -> float:
        """Tell `timed` after this delay; what `lift` wants."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = now + delay_s
        second = int(due)
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = {}
            loop.call_at(max(second, now), self._open, second)
        elif second <= now:
            # Its second has begun, so the bucket may have been opened.
            loop.call_at(due, self._tell, second, timed)
        bucket[timed] = due
        return due

    def lift(self, timed: Timed, due: float) -> None:
        """Do not tell it any more."""
        bucket = self._buckets.get(int(due))
        if bucket is not None:
            bucket.pop(timed, None)

    def _open(self, second: int) -> None:
        loop = asyncio.get_running_loop()
        for timed, due in self._buckets[second].items():
            loop.call_at(due, self._tell, second, timed)
        loop.call_at(second + 1.5, self._buckets.pop, second, None)

    def _tell(self, second: int, timed: Timed) -> None:
        if self._buckets.get(second, {}).pop(timed, None) is not None:
            timed.on_timeout()


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines] = WeakKeyDictionary()


class _Last(threading.local):
    """What was asked for last in this thread, which is nearly always what is asked for next."""

    loop: Callable[[], asyncio.AbstractEventLoop | None] = staticmethod(lambda: None)
    found: Deadlines


_LAST = _Last()


def deadlines(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """The deadlines of this loop."""
    if _LAST.loop() is loop:
        return _LAST.found
    found = _BY_LOOP.get(loop)
    if found is None:
        found = _BY_LOOP[loop] = Deadlines()
    _LAST.loop, _LAST.found = weakref.ref(loop), found
    return found
