"""A virtual loop that wakes tasks in an order drawn from a seed: one seed, one schedule; many seeds, many schedules.

    for seed in range(1000):
        run_shuffled(scenario(), seed)        # a failure names its seed, and the seed repeats it

What is shuffled, and why only that. asyncio promises that callbacks given to `call_soon` run in that order; futures,
transports and timeouts rely on it, so plain callbacks keep their order among each other. Nothing promises when a *task*
goes on after an `await`, except: not before the callbacks that were scheduled before it. So each turn of the loop draws
the order of the tasks that are ready, lets plain callbacks overtake them (never the other way), and holds some of them
back for a turn or more. To the tasks, that is no different from awaiting something that took a little longer.

Threads would bring the machine's own order back in. Work for `run_in_executor` is therefore done after a drawn number
of turns, on its thread, while the loop stands still; work that itself waits for the loop cannot be done like that, and
ends as Deadlock. What differs from process to process in the code under test (the order of a set of objects, of
`os.listdir`, unseeded randomness) differs here too.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

from citewell.testing.clock import WALL, Deadlock, VirtualLoop, run_on

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The C and Python tasks of CPython 3.11 to 3.13; a C task's first step has no name.
_STEPS = frozenset({None, "__step", "__wakeup", "task_wakeup"})


class ShuffledLoop(VirtualLoop):
    """A VirtualLoop on which the order of the tasks that are ready is drawn from `seed`.

    `hold` is the chance, from 0 to below 1, that a ready task is held back for one turn more. Virtual time does not
    pass meanwhile.
    """

    def __init__(
        self, seed: int, *, hold: float = 0.25, start: float = 0.0, wall: float = WALL, patience_s: float = 30.0
    ) -> None:
        super().__init__(start=start, wall=wall, patience_s=patience_s)
        if not 0 <= hold < 1:
            self.close()
            raise ValueError(f"hold={hold} is the chance that a task is held back: give a number from 0 to below 1.")
        self.seed = seed
        self._hold = hold
        self._random = random.Random(seed)  # noqa: S311 - a schedule, no secret

    def begin_turn(self, idle: bool) -> Any:
        self._shuffle()
        return super().begin_turn(idle)

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[Unpack[Ts]], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        pool = self.pool(executor)

        def wait(turns: int) -> None:
            if future.done():
                return
            if turns:
                self.call_soon(wait, turns - 1)
                return
            work = pool.submit(func, *args)
            if not concurrent.futures.wait([work], self._patience_s).done:
                place = getattr(func, "__qualname__", repr(func))
                message = f"{place} in a thread did not end within {self._patience_s} s. The loop stands still for it."
                future.set_exception(Deadlock(message, self._waiting()))
            elif error := work.exception():
                future.set_exception(error)
            else:
                future.set_result(work.result())

        self.call_soon(wait, self._random.randrange(4))
        return future

    def _shuffle(self) -> None:
        """Draw the order of what is ready: tasks in any order, held back or not, plain callbacks in theirs."""
        draw, ready = self._random, self._ready
        order: list[asyncio.Handle] = []
        waiting: list[asyncio.Handle] = []
        # One by one from the left, and back there: other threads append on the right meanwhile.
        for handle in [ready.popleft() for _ in range(len(ready))]:
            if _is_step(handle):
                waiting.append(handle)
                continue
            draw.shuffle(waiting)
            # Some go before this callback, the others let it overtake them.
            cut = draw.randint(0, len(waiting))
            order.extend(waiting[cut:])
            del waiting[cut:]
            order.append(handle)
        draw.shuffle(waiting)
        for handle in waiting:
            held = draw.random() < self._hold
            # A held task puts itself back when its turn comes, so it runs in the next turn at the earliest.
            order.append(asyncio.Handle(ready.append, (handle,), self) if held else handle)
        ready.extendleft(reversed(order))


def run_shuffled(
    main: Coroutine[Any, Any, T],
    seed: int,
    *,
    hold: float = 0.25,
    start: float = 0.0,
    wall: float = WALL,
    patience_s: float = 30.0,
) -> T:
    """What `main` returns, as from asyncio.run(), on a ShuffledLoop. An error carries a note with the seed."""
    try:
        return run_on(ShuffledLoop(seed, hold=hold, start=start, wall=wall, patience_s=patience_s), main)
    except BaseException as error:
        error.add_note(f"Schedule: seed={seed}, hold={hold}.")
        raise


def _is_step(handle: asyncio.Handle) -> bool:
    """Whether the handle begins a task or goes on with it; asyncio's own messages tell it in the same way."""
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task) and (
        getattr(callback, "__name__", None) in _STEPS
    )
