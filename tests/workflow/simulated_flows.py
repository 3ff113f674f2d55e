"""The workflows that the simulator plays: every way to wait, to fail, to fan out and to end, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from citewell.testing.simulator import Order, Workload
from citewell.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    PlainEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    step,
)
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_fixed
from citewell.workflow.runs import Question


class Turn(Event):
    n: int
    total: int


class Loop(Workflow):
    """A loop with state and a timer that is recorded."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Turn:
        await ctx.store.set("seen", [])
        return Turn(n=ev.n, total=0)

    @step
    async def turn(self, ctx: Context, ev: Turn) -> Turn | StopEvent:
        seen = await ctx.store.get("seen")
        seen.append(ev.n)
        await ctx.store.set("seen", seen)
        if ev.n % 2:
            await ctx.sleep(7.0)
        if ev.n == 0:
            return StopEvent(result=(ev.total, await ctx.store.get("seen")))
        return Turn(n=ev.n - 1, total=ev.total + ev.n)


class Part(Event):
    i: int


class Half(Event):
    i: int


class Out(Event):
    i: int


class Lists(Workflow):
    """Lists in a list: fan-out twice, gathered twice, with failures that are tried again and one that is taken over."""

    @step
    async def begin(self, ev: StartEvent) -> list[Part]:
        return [Part(i=i) for i in range(ev.n)]

    @step(num_workers=2, retry_policy=retry_policy(stop=stop_after_attempt(3), wait=wait_fixed(2.0)))
    async def split(self, ctx: Context, ev: Part) -> list[Half]:
        if ctx.attempt <= ev.i % 3:
            raise ConnectionError("again")
        return [Half(i=ev.i), Half(i=ev.i + 10)]

    @step
    async def half(self, ev: Half) -> Out:
        await asyncio.sleep(ev.i % 3)
        return Out(i=ev.i)

    @step
    async def end(self, outs: list[Out]) -> StopEvent:
        return StopEvent(result=sorted(out.i for out in outs))


class Gathered(Workflow):
    """Events sent one by one, gathered by a step that dawdles after it has held its own."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Part | None:
        await ctx.store.set("n", ev.n)
        for i in range(ev.n * 2):
            ctx.send_event(Part(i=i))
        return None

    @step(num_workers=3)
    async def gather(self, ctx: Context, ev: Part) -> Half | None:
        found = ctx.collect_events(ev, {Part: 2})
        await asyncio.sleep(ev.i % 3)
        return None if found is None else Half(i=1)

    @step
    async def end(self, ctx: Context, ev: Half) -> StopEvent | None:
        found = ctx.collect_events(ev, [Half] * await ctx.store.get("n"))
        await asyncio.sleep(0.5)
        return None if found is None else StopEvent(result=len(found))


class Ask(InputRequiredEvent):
    what: str


class Say(HumanResponseEvent):
    word: str


class Review(Workflow):
    """Asks by an event, one run at a time."""

    @step
    async def begin(self, ev: StartEvent) -> Ask:
        return Ask(what="review")

    @step
    async def end(self, ev: Say) -> StopEvent:
        await asyncio.sleep(0.5)
        return StopEvent(result=ev.word)


class Waits(Workflow):
    """Remembers, asks one after another and together, and is not answered in time."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Part | Half:
        made = await ctx.once("made", lambda: 42)
        ctx.send_event(Half(i=made))
        first = await ctx.wait_for_event(Say, Ask(what="first"), "first", timeout=None, who=["ann", "bob"])
        return Part(i=made if first.word == "first" else 0)

    @step
    async def aside(self, ctx: Context, ev: Half) -> None:
        ctx.write_event_to_stream(Out(i=ev.i))

    @step
    async def both(self, ctx: Context, ev: Part) -> Turn:
        one, two = await asyncio.gather(
            ctx.wait_for_event(Say, Ask(what="one"), "one", {"word": "one"}, timeout=None),
            ctx.wait_for_event(Say, Ask(what="two"), "two", {"word": "two"}, timeout=None),
        )
        return Turn(n=ev.i, total=len(one.word + two.word))

    @step
    async def late(self, ctx: Context, ev: Turn) -> StopEvent:
        try:
            await ctx.wait_for_event(Say, Ask(what="never"), "never", {"word": "never"}, timeout=30.0)
        except TimeoutError:
            return StopEvent(result=(ev.n, ev.total, "late"))
        return StopEvent(result="answered")


class Race(Workflow):
    """The first stop wins; the others are interrupted, and take their time."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> list[Part]:
        return [Part(i=i) for i in range(3)]

    @step
    async def run_one(self, ctx: Context, ev: Part) -> StopEvent:
        ctx.write_event_to_stream(Out(i=ev.i))
        try:
            await asyncio.sleep(1.0 if ev.i == 1 else 10_000_000.0)
        finally:
            await asyncio.sleep(0.1)
        return StopEvent(result=ev.i)


class Fails(Workflow):
    """Failures that are taken over, and one that is not."""

    @step
    async def begin(self, ev: StartEvent) -> list[Part]:
        return [Part(i=i) for i in range(ev.n)]

    @step
    async def work(self, ev: Part) -> Out:
        if ev.i % 2:
            raise LookupError(f"no {ev.i}")
        return Out(i=ev.i)

    @catch_error(for_steps=["work"], max_recoveries=1)
    async def recover(self, ev: StepFailedEvent) -> Out:
        return Out(i=100)

    @step
    async def end(self, outs: list[Out]) -> StopEvent:
        raise ValueError(f"{sorted(out.i for out in outs)}")


class Slow(Workflow):
    """Is over its time, unless it is cancelled before."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> StopEvent:
        await ctx.sleep(500.0)
        return StopEvent(result="in time")


def make_workload(draw: random.Random) -> Workload:
    """Three or four runs of shapes that are drawn."""
    flows: list[Workflow] = [
        Loop(timeout=None),
        Lists(timeout=None),
        Gathered(timeout=None),
        Review(timeout=None, num_concurrent_runs=1),
        Waits(timeout=None),
        Race(timeout=None),
        Fails(timeout=None),
        Slow(timeout=60.0),
    ]
    chosen = draw.choices(flows, k=draw.choice((2, 3)))
    orders = [
        Order(f"{n}-{type(flow).__name__}", flow, {"n": draw.randint(1, 3)}, _cancel(draw))
        for n, flow in enumerate(chosen)
    ]
    return Workload(orders, answer)


def _cancel(draw: random.Random) -> float | None:
    return draw.choice((0.0, 1.0, 20.0)) if draw.random() < 0.2 else None


def answer(question: Question) -> Sequence[tuple[PlainEvent, str | None]]:
    """What people say: to every question its own name, but nothing to the last."""
    if question.key is None:
        content: Any = question.content
        return [(Say(word=content["what"]), None)]
    name = question.key.rpartition("/")[2]
    return [] if name == "never" else [(Say(word=name), None)]
