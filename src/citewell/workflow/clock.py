"""The time of a run: that of its event loop, so that a loop with a clock of its own moves all timers with it."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """`wall()` is in seconds since 1970, UTC; `steady()` measures durations."""

    __slots__ = ("steady", "wall")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        wall: Callable[[], float] | None = getattr(loop, "wall_time", None)
        self.wall: Callable[[], float] = wall or time.time
        self.steady: Callable[[], float] = loop.time if wall is not None else time.perf_counter


REAL: Clock = Clock.__new__(Clock)
REAL.wall, REAL.steady = time.time, time.perf_counter


def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """The clock of a loop."""
    return Clock(loop) if hasattr(loop, "wall_time") else REAL
