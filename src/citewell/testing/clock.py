"""An asyncio event loop on a virtual clock: when nothing is ready, time jumps to the next timer instead of passing.

    answer = run_virtual(my_coroutine())       # `await asyncio.sleep(10_000)` in it takes no time

Virtual time stands still while code runs, and while the loop waits for something outside it, a thread or a socket: a
thread always beats a timer, however slow the machine is, so what a test sees does not depend on it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

WALL = 1_767_225_600.0
"""2026-01-01 00:00 UTC, in seconds since 1970: when virtual loops begin unless they are told otherwise."""

_Ready = list[tuple[selectors.SelectorKey, int]]


class Deadlock(RuntimeError):
    """No callback is ready, no timer is set, and nothing outside the loop answers: a real loop would hang.

    `waiting` says for each task which line it is at.
    """

    def __init__(self, message: str, waiting: tuple[str, ...]) -> None:
        super().__init__(f"{message} Waiting: {'; '.join(waiting) or 'no task'}.")
        self.waiting = waiting


class _Turns(selectors.DefaultSelector):
    """The selector of a virtual loop, which asks the loop how to wait: each turn of a loop begins here."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> _Ready:
        return self.loop.begin_turn(timeout is None or timeout > 0)

    def wait(self, seconds: float) -> _Ready:
        return super().select(seconds)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector event loop whose `time()` is virtual and starts at `start` seconds.

    Time never passes while work that was given to `run_in_executor` is under way, while a socket or pipe is
    registered, or inside `outside()`; it is then waited for in real time, for at most `patience_s` seconds at once.
    Raises Deadlock out of `run_until_complete` when nothing can happen any more. A thread of one's own, and a child
    process without pipes, are seen only inside `outside()`.
    """

    _ready: Any
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float

    def __init__(self, *, start: float = 0.0, wall: float = WALL, patience_s: float = 30.0) -> None:
        self._turns = _Turns()
        self._turns.loop = self
        self._now = self._start = start
        self._wall = wall
        self._patience_s = patience_s
        self._outside = 0
        super().__init__(self._turns)
        self._move(start)
        # The loop's own wake-up pipe.
        self._own_files = len(self._turns.get_map())
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def wall_time(self) -> float:
        """Virtual seconds since 1970, which go with `time()`."""
        return self._wall + (self._now - self._start)

    def advance(self, seconds: float) -> None:
        """Move the clock on at once; the timers that are due by then run in their order, in the next turn.

        Call it on the loop's thread, or from others with `call_soon_threadsafe`. To stop at every timer on the way,
        await `asyncio.sleep(seconds)`. Raises ValueError for time that runs backwards or does not end.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"Cannot advance by {seconds} s: give a finite number from 0.")
        self._move(self._now + seconds)

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """While inside, something that the loop cannot see is going to wake it: time stands still."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def set_default_executor(self, executor: Any) -> None:
        super().set_default_executor(executor)
        self._threads = executor

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        work = self.pool(executor).submit(func, *args)
        self._outside += 1
        future = asyncio.wrap_future(work, loop=self)

        def came(_: object) -> None:
            # Whoever waited may have been cancelled, and the thread goes on.
            if work.done():
                self._outside -= 1
            else:
                work.add_done_callback(left)

        def left(_: object) -> None:
            # Nobody has to be told once the loop is closed.
            with contextlib.suppress(RuntimeError):
                self.call_soon_threadsafe(came, None)

        # Counted down only after the result has arrived: a moment earlier, the loop would be seen with nothing to do.
        future.add_done_callback(came)
        return future

    def pool(self, executor: concurrent.futures.Executor | None) -> concurrent.futures.Executor:
        """The executor, or the loop's own where none is given."""
        if executor is not None:
            return executor
        if self._threads is None:
            self.set_default_executor(concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio"))
        assert self._threads is not None
        return self._threads

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        with self.outside():
            await super().shutdown_default_executor(*args, **options)

    def begin_turn(self, idle: bool) -> _Ready:
        """The files that are ready; if nothing else is (`idle`), wait for the outside, or let time pass."""
        files = self._turns.wait(0)
        if not idle or files or self._ready:
            return files
        if self._outside or len(self._turns.get_map()) > self._own_files:
            return self._wait_outside()
        when = self._scheduled[0].when() if self._scheduled else math.inf
        if when == math.inf:
            raise Deadlock(
                f"Virtual time stands at {self._now} s for ever: no callback is ready, no timer is set, no thread or "
                "socket is pending. Set what is waited for, or wrap what sets it from outside in loop.outside().",
                self._waiting(),
            )
        self._move(max(self._now, when))
        return files

    def _wait_outside(self) -> _Ready:
        began = time.monotonic()
        files = self._turns.wait(self._patience_s)
        if not files and not self._ready and time.monotonic() - began >= self._patience_s:
            raise Deadlock(
                f"Virtual time stands at {self._now} s: a thread or socket was waited for, and did nothing for "
                f"{self._patience_s} s. If it waits for the clock itself, have it call loop.advance().",
                self._waiting(),
            )
        return files

    def _move(self, now: float) -> None:
        self._now = now
        # What is due within one resolution runs now. Far from zero the next float is further away than the usual
        # nanosecond, and a timer exactly at `now` would never be due.
        self._clock_resolution = max(1e-9, math.ulp(now))

    def _waiting(self) -> tuple[str, ...]:
        return tuple(sorted(f"{task.get_name()} in {_place(task)}" for task in asyncio.all_tasks(self)))


def run_virtual(main: Coroutine[Any, Any, T], *, start: float = 0.0, wall: float = WALL, patience_s: float = 30.0) -> T:
    """What `main` returns, as from asyncio.run(), on a VirtualLoop; raises Deadlock instead of hanging."""
    return run_on(VirtualLoop(start=start, wall=wall, patience_s=patience_s), main)


def run_on(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, as from asyncio.run(), on the given loop, which is closed then."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def _place(task: asyncio.Task[Any]) -> str:
    """The coroutines that await each other in a task, the outermost first, each with its line."""
    places: list[str] = []
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        places.append(f"{coroutine.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})")
        coroutine = coroutine.cr_await
    return " > ".join(places) or repr(coroutine)
