"""The floor: a bare dispatcher over `async def` handlers, and bare SQLite.

No validation, timeouts, retries or streams: it bounds what an engine in Python can reach.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Handlers = dict[type, Callable[[Any], Awaitable[Any]]]


@dataclass(frozen=True, slots=True)
class Go:
    count: int


@dataclass(frozen=True, slots=True)
class Tick:
    left: int


@dataclass(frozen=True, slots=True)
class Tock:
    left: int


@dataclass(frozen=True, slots=True)
class Third:
    left: int


@dataclass(frozen=True, slots=True)
class Fourth:
    left: int


@dataclass(frozen=True, slots=True)
class Finished:
    result: int


async def dispatch(handlers: Handlers, event: object) -> int:
    """The result of the first Finished; the handler of an event's type returns an event, a list of them, or None."""
    queue = deque([event])
    while queue:
        event = queue.popleft()
        if type(event) is Finished:
            return event.result
        made = await handlers[type(event)](event)
        if type(made) is list:
            queue.extend(made)
        elif made is not None:
            queue.append(made)
    raise RuntimeError("The queue ran dry.")


async def begin(event: Go) -> Tick:
    return Tick(event.count)


async def turn(event: Tick) -> Tick | Finished:
    return Tick(event.left - 1) if event.left else Finished(0)


async def two(event: Tick) -> Tock:
    return Tock(event.left)


async def three(event: Tock) -> Third:
    return Third(event.left)


async def four(event: Third) -> Fourth:
    return Fourth(event.left)


async def five(event: Fourth) -> Finished:
    return Finished(event.left)


LOOP: Handlers = {Go: begin, Tick: turn}
CHAIN: Handlers = {Go: begin, Tick: two, Tock: three, Third: four, Fourth: five}


class Floor:
    async def loop(self, turns: int) -> None:
        await dispatch(LOOP, Go(turns))

    async def chain(self, runs: int) -> None:
        for _ in range(runs):
            await dispatch(CHAIN, Go(1))

    async def at_once(self, runs: int) -> None:
        await asyncio.gather(*[dispatch(CHAIN, Go(1)) for _ in range(runs)])

    async def fan_out(self, width: int) -> None:
        results: list[Tock] = []

        async def scatter(event: Go) -> list[Tick]:
            return [Tick(number) for number in range(event.count)]

        async def gather(event: Tock) -> Finished | None:
            results.append(event)
            return Finished(len(results)) if len(results) == width else None

        assert await dispatch({Go: scatter, Tick: two, Tock: gather}, Go(width)) == width

    async def durable(self, folder: Path) -> Callable[[int], Awaitable[object]]:
        connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE steps (run INTEGER, step INTEGER, result TEXT)")

        def committed(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
            async def handle(event: object) -> object:
                made = await handler(event)
                # A statement of its own is a transaction of its own.
                connection.execute("INSERT INTO steps VALUES (1, 1, ?)", (repr(made),))
                return made

            return handle

        handlers = {kind: committed(handler) for kind, handler in CHAIN.items()}

        async def run(runs: int) -> None:
            await asyncio.gather(*[dispatch(handlers, Go(1)) for _ in range(runs)])

        return run

    async def waiting(self, runs: int) -> object:
        """A task for each run, which waits for a future."""
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in range(runs)]

        async def answered(number: int) -> Finished:
            return Finished(await answers[number])

        tasks = [loop.create_task(answered(number)) for number in range(runs)]
        await asyncio.sleep(0.01)
        answers[0].set_result(7)
        assert (await tasks[0]).result == 7
        return answers, tasks


ENGINES = {"asyncio-floor": Floor}
