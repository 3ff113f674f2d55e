"""Citewell, with pydantic events as llama-index-workflows has them, and with frozen slotted dataclasses.

The workflows are written once, over the event classes of either way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from citewell.workflow import Context, Workflow, step
from citewell.workflow.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent
from citewell.workflow.plain import (
    PlainEvent,
    PlainHumanResponseEvent,
    PlainInputRequiredEvent,
    PlainStartEvent,
    PlainStopEvent,
)
from citewell.workflow.runs import Runs


def pydantic_events() -> SimpleNamespace:
    """Event classes as a workflow written for llama-index-workflows has them."""

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

    return SimpleNamespace(
        Go=Go,
        Tick=Tick,
        Tock=Tock,
        Third=Third,
        Fourth=Fourth,
        Finished=StopEvent,
        Question=InputRequiredEvent,
        Reply=HumanResponseEvent,
    )


def dataclass_events() -> SimpleNamespace:
    """Event classes the fast way."""

    @dataclass(frozen=True, slots=True)
    class Go(PlainStartEvent):
        count: int

    @dataclass(frozen=True, slots=True)
    class Tick(PlainEvent):
        left: int

    @dataclass(frozen=True, slots=True)
    class Tock(PlainEvent):
        left: int

    @dataclass(frozen=True, slots=True)
    class Third(PlainEvent):
        left: int

    @dataclass(frozen=True, slots=True)
    class Fourth(PlainEvent):
        left: int

    @dataclass(frozen=True, slots=True)
    class Finished(PlainStopEvent):
        result: int

    @dataclass(frozen=True, slots=True)
    class Question(PlainInputRequiredEvent):
        prefix: str

    @dataclass(frozen=True, slots=True)
    class Reply(PlainHumanResponseEvent):
        response: int

    return SimpleNamespace(
        Go=Go, Tick=Tick, Tock=Tock, Third=Third, Fourth=Fourth, Finished=Finished, Question=Question, Reply=Reply
    )


def workflows(events: SimpleNamespace) -> SimpleNamespace:
    """The workflows over these event classes."""
    Go, Tick, Tock, Third = events.Go, events.Tick, events.Tock, events.Third  # noqa: N806
    Fourth, Finished, Question, Reply = events.Fourth, events.Finished, events.Question, events.Reply  # noqa: N806

    class Loop(Workflow):
        @step
        async def begin(self, event: Go) -> Tick:
            return Tick(left=event.count)

        @step
        async def turn(self, event: Tick) -> Tick | Finished:
            return Tick(left=event.left - 1) if event.left else Finished(result=0)

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
        async def five(self, event: Fourth) -> Finished:
            return Finished(result=event.left)

    class FanOut(Workflow):
        wanted: dict[type, int]

        @step
        async def scatter(self, ctx: Context, event: Go) -> Tick | None:
            for number in range(event.count):
                ctx.send_event(Tick(left=number))
            return None

        @step
        async def work(self, event: Tick) -> Tock:
            return Tock(left=event.left)

        @step
        async def gather(self, ctx: Context, event: Tock) -> Finished | None:
            found = ctx.collect_events(event, self.wanted)
            return None if found is None else Finished(result=len(found))

    class Ask(Workflow):
        @step
        async def ask(self, event: Go) -> Question:
            return Question(prefix="Go on?")

        @step
        async def answer(self, event: Reply) -> Finished:
            return Finished(result=event.response)

    return SimpleNamespace(Loop=Loop, Chain=Chain, FanOut=FanOut, Ask=Ask)


class Citewell:
    """Over pydantic events."""

    def __init__(self) -> None:
        self.events = self.kind()
        self.flows = workflows(self.events)

    kind = staticmethod(pydantic_events)

    async def loop(self, turns: int) -> None:
        await self.flows.Loop().run(count=turns)

    async def chain(self, runs: int) -> None:
        flow = self.flows.Chain()
        for _ in range(runs):
            await flow.run(count=1)

    async def at_once(self, runs: int) -> None:
        flow = self.flows.Chain()
        await asyncio.gather(*[flow.run(count=1) for _ in range(runs)])

    async def fan_out(self, width: int) -> None:
        flow = self.flows.FanOut()
        # The mapping, not a list of `width` classes: the list form is read once for each result.
        flow.wanted = {self.events.Tock: width}
        assert result_of(await flow.run(count=width)) == width

    async def durable(self, folder: Path) -> Callable[[int], Awaitable[object]] | None:
        flow = self.flows.Chain()
        runs = await Runs(folder / "citewell.db", [flow]).__aenter__()

        async def one() -> None:
            await (await runs.start(flow, count=1))

        async def run(count: int) -> None:
            await asyncio.gather(*[one() for _ in range(count)])

        return run

    async def waiting(self, runs: int) -> object | None:
        flow = self.flows.Ask(timeout=None)
        handlers = [flow.run(count=1) for _ in range(runs)]
        for handler in handlers:
            async for event in handler.stream_events():
                if isinstance(event, self.events.Question):
                    break
        handlers[0].ctx.send_event(self.events.Reply(response=7))
        assert result_of(await handlers[0]) == 7
        return flow, handlers


def result_of(found: object) -> object:
    """What a run came to, which the engine may give by itself or in its stop event."""
    return getattr(found, "result", found)


class CitewellDataclass(Citewell):
    """Over dataclass events."""

    kind = staticmethod(dataclass_events)


ENGINES = {"citewell": Citewell, "citewell-dataclass": CitewellDataclass}
