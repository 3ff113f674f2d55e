"""llama-index-workflows, as its documentation writes workflows."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from workflows import Context, Workflow, step
from workflows.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepState,
    StepStateChanged,
    StopEvent,
)


class Go(StartEvent):
    count: int


class Tick(Event):
    left: int


class Tock(Event):
    left: int


class Third(Event):
    left: int


class Fourth(Event):
    left: int


class Loop(Workflow):
    @step
    async def begin(self, event: Go) -> Tick:
        return Tick(left=event.count)

    @step
    async def turn(self, event: Tick) -> Tick | StopEvent:
        return Tick(left=event.left - 1) if event.left else StopEvent(result=0)


class Chain(Workflow):
    @step
    async def one(self, event: Go) -> Tick:
        return Tick(left=event.count)

    @step
    async def two(self, event: Tick) -> Tock:
        return Tock(left=event.left)

    @step
    async def three(self, event: Tock) -> Third:
        return Third(left=event.left)

    @step
    async def four(self, event: Third) -> Fourth:
        return Fourth(left=event.left)

    @step
    async def five(self, event: Fourth) -> StopEvent:
        return StopEvent(result=event.left)


class FanOut(Workflow):
    wanted: list[type[Event]]

    @step
    async def scatter(self, ctx: Context, event: Go) -> Tick | None:
        for number in range(event.count):
            ctx.send_event(Tick(left=number))
        return None

    @step
    async def work(self, event: Tick) -> Tock:
        return Tock(left=event.left)

    @step
    async def gather(self, ctx: Context, event: Tock) -> StopEvent | None:
        events = ctx.collect_events(event, self.wanted)
        return None if events is None else StopEvent(result=len(events))


class Ask(Workflow):
    @step
    async def ask(self, event: Go) -> InputRequiredEvent:
        return InputRequiredEvent(prefix="Go on?")

    @step
    async def answer(self, event: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=event.response)


class Llama:
    async def loop(self, turns: int) -> None:
        await Loop(timeout=None).run(count=turns)

    async def chain(self, runs: int) -> None:
        flow = Chain()
        for _ in range(runs):
            await flow.run(count=1)

    async def at_once(self, runs: int) -> None:
        flow = Chain()
        await asyncio.gather(*[flow.run(count=1) for _ in range(runs)])

    async def fan_out(self, width: int) -> None:
        flow = FanOut(timeout=None)
        flow.wanted = [Tock] * width
        assert await flow.run(count=width) == width

    async def durable(self, folder: Path) -> Callable[[int], Awaitable[object]]:
        """A snapshot in the run's file, with fsync, whenever a step has ended."""
        flow = Chain(timeout=None)

        async def saved(number: int) -> None:
            handler = flow.run(count=1)
            snapshots = 0
            async for event in handler.stream_events(expose_internal=True):
                if isinstance(event, StepStateChanged) and event.step_state is StepState.NOT_RUNNING:
                    with open(folder / f"run-{number}.json", "w") as file:  # noqa: ASYNC230 - what it has to wait for
                        json.dump(handler.ctx.to_dict(), file)
                        file.flush()
                        os.fsync(file.fileno())
                    snapshots += 1
            await handler
            assert snapshots >= 4, snapshots

        async def run(runs: int) -> None:
            await asyncio.gather(*[saved(number) for number in range(runs)])

        return run

    async def waiting(self, runs: int) -> object:
        flow = Ask(timeout=None)
        handlers = [flow.run(count=1) for _ in range(runs)]
        for handler in handlers:
            async for event in handler.stream_events():
                if isinstance(event, InputRequiredEvent):
                    break
        handlers[0].ctx.send_event(HumanResponseEvent(response=7))
        assert await handlers[0] == 7
        return flow, handlers


ENGINES = {"llama-index-workflows": Llama}
