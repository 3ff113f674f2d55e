"""Citewell, with pydantic events as llama-index-workflows has them, and with frozen slotted dataclasses.

The workflows are written once, over the event classes of either way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from pydantic import BaseModel

import citewell.workflow.events as events_module
from citewell.workflow import Context, Journal, Workflow, step


async def durable_journal(path: Path) -> Journal | None:
    """A journal in the SQLite file `path`, each step's result committed with fsync; None as long as there is none."""
    return None


def pydantic_events() -> SimpleNamespace:
    """Event classes as a workflow written for llama-index-workflows has them."""
    event, start, stop = (_model(getattr(events_module, name)) for name in ("Event", "StartEvent", "StopEvent"))

    class Go(start):
        count: int

    class Tick(event):
        left: int

    class Tock(event):
        left: int

    class Third(event):
        left: int

    class Fourth(event):
        left: int

    return SimpleNamespace(
        Go=Go,
        Tick=Tick,
        Tock=Tock,
        Third=Third,
        Fourth=Fourth,
        Finished=stop,
        Question=getattr(events_module, "InputRequiredEvent", None),
        Reply=getattr(events_module, "HumanResponseEvent", None),
    )


def _model(base: type) -> type[BaseModel]:
    """The engine's event class if it is a pydantic model; until it is, a model derived from it."""
    if issubclass(base, BaseModel):
        return base
    fields = {"result": int} if base is events_module.StopEvent else {}
    return type(base.__name__, (BaseModel, base), {"__module__": __name__, "__annotations__": fields})


def plain_bases() -> list[type | None]:
    """Event, StartEvent, StopEvent, InputRequiredEvent and HumanResponseEvent to derive dataclasses from."""
    names = ("Event", "StartEvent", "StopEvent", "InputRequiredEvent", "HumanResponseEvent")
    try:
        from citewell.workflow import plain
    except ImportError:  # until the engine has them, the bases of its events are plain themselves
        return [getattr(events_module, name, None) for name in names]
    return [getattr(plain, f"Plain{name}") for name in names]


def dataclass_events() -> SimpleNamespace:
    """Event classes the fast way."""
    Event, StartEvent, StopEvent, InputRequired, HumanResponse = plain_bases()  # noqa: N806

    @dataclass(frozen=True, slots=True)
    class Go(StartEvent):
        count: int

    @dataclass(frozen=True, slots=True)
    class Tick(Event):
        left: int

    @dataclass(frozen=True, slots=True)
    class Tock(Event):
        left: int

    @dataclass(frozen=True, slots=True)
    class Third(Event):
        left: int

    @dataclass(frozen=True, slots=True)
    class Fourth(Event):
        left: int

    @dataclass(frozen=True, slots=True)
    class Finished(StopEvent):
        result: int

    Question = Reply = None  # noqa: N806
    if InputRequired is not None and HumanResponse is not None:

        @dataclass(frozen=True, slots=True)
        class Question(InputRequired):
            prefix: str

        @dataclass(frozen=True, slots=True)
        class Reply(HumanResponse):
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

    flows = SimpleNamespace(Loop=Loop, Chain=Chain, FanOut=FanOut)
    if Question is not None:

        class Ask(Workflow):
            @step
            async def ask(self, event: Go) -> Question:
                return Question(prefix="Go on?")

            @step
            async def answer(self, event: Reply) -> Finished:
                return Finished(result=event.response)

        flows.Ask = Ask
    return flows


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
        journal = await durable_journal(folder / "citewell.db")
        if journal is None:
            return None
        flow = self.flows.Chain()

        async def run(runs: int) -> None:
            await asyncio.gather(*[flow.run(count=1, journal=journal) for _ in range(runs)])

        return run

    async def waiting(self, runs: int) -> object | None:
        if self.events.Question is None:
            return None
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
