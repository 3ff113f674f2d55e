"""Events per CPU second of the workflow engine: loop, five-step chain, fan-out with fan-in, concurrent runs.

    python bench/workflow_core.py [rounds]

Prints the best of `rounds` for each case as `case.citewell.metric value`: on a shared machine the best is the
least disturbed.
"""

import asyncio
import dataclasses
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

from citewell.workflow import Context, Event, MemoryJournal, StartEvent, StopEvent, Workflow, step


@dataclasses.dataclass(frozen=True, slots=True)
class Go(StartEvent):
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tick(Event):
    left: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tock(Event):
    left: int


@dataclasses.dataclass(frozen=True, slots=True)
class Third(Event):
    left: int


@dataclasses.dataclass(frozen=True, slots=True)
class Fourth(Event):
    left: int


@dataclasses.dataclass(frozen=True, slots=True)
class Finished(StopEvent):
    result: int


class Loop(Workflow):
    @step
    async def begin(self, event: Go) -> Tick:
        return Tick(event.count)

    @step
    async def turn(self, event: Tick) -> Tick | Finished:
        return Tick(event.left - 1) if event.left else Finished(0)


class Chain(Workflow):
    @step
    async def one(self, event: Go) -> Tick:
        return Tick(event.count)

    @step
    async def two(self, event: Tick) -> Tock:
        return Tock(event.left)

    @step
    async def three(self, event: Tock) -> Third:
        return Third(event.left)

    @step
    async def four(self, event: Third) -> Fourth:
        return Fourth(event.left)

    @step
    async def five(self, event: Fourth) -> Finished:
        return Finished(event.left)


class FanOut(Workflow):
    def __init__(self, count: int) -> None:
        self.wanted = {Tock: count}

    @step
    async def scatter(self, event: Go) -> list[Tick]:
        return [Tick(n) for n in range(event.count)]

    @step
    async def work(self, event: Tick) -> Tock:
        return Tock(event.left)

    @step
    async def gather(self, ctx: Context, event: Tock) -> Finished | None:
        events = ctx.collect_events(event, self.wanted)
        return None if events is None else Finished(len(events))


class Waiting(FanOut):
    @step(num_workers=1000)
    async def work(self, event: Tick) -> Tock:
        await asyncio.sleep(0)
        return Tock(event.left)


async def loops(count: int) -> None:
    await Loop().run(Go(count))


async def fans(flow: type[FanOut], count: int) -> None:
    await flow(count).run(Go(count))


async def chains(count: int) -> None:
    for _ in range(count):
        await Chain().run(Go(1))


async def concurrent(count: int) -> None:
    await asyncio.gather(*[Chain().run(Go(1)) for _ in range(count)])


async def journaled(count: int) -> None:
    await Loop().run(Go(count), journal=MemoryJournal())


def best(rounds: int, units: int, work: Callable[[], Awaitable[object]]) -> float:
    """Units per CPU second, best of the rounds."""

    async def once() -> float:
        gc.collect()
        began = time.process_time()
        await work()
        return units / (time.process_time() - began)

    return max(asyncio.run(once()) for _ in range(rounds))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for count in (1_000, 5_000, 100_000):
        print(f"loop{count}.citewell.events_per_cpu_s {best(rounds, count, partial(loops, count)):,.0f}")
    print(f"loop5000_journal.citewell.events_per_cpu_s {best(rounds, 5_000, partial(journaled, 5_000)):,.0f}")
    for count in (100, 1_000, 10_000, 100_000):
        # Two events for each item: one out, one back in.
        figure = best(rounds, 2 * count, partial(fans, FanOut, count))
        print(f"fanout{count}.citewell.events_per_cpu_s {figure:,.0f}")
    for count in (100, 10_000):
        figure = best(rounds, 2 * count, partial(fans, Waiting, count))
        print(f"fanout{count}_waiting.citewell.events_per_cpu_s {figure:,.0f}")
    print(f"chain.citewell.runs_per_cpu_s {best(rounds, 1_000, partial(chains, 1_000)):,.0f}")
    print(f"conc1000.citewell.runs_per_cpu_s {best(rounds, 1_000, partial(concurrent, 1_000)):,.0f}")


if __name__ == "__main__":
    main()
