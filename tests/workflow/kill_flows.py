"""The workflows that the kill tests run: each a shape of its own, with effects and a log of every step begun."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from citewell.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    step,
)
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_fixed

if TYPE_CHECKING:
    from citewell.workflow.runs import Runs


class Outside:
    """What survives a kill: the client's log, and a sink of effects; a line is written whole or not at all."""

    def __init__(self) -> None:
        self.runs: Runs
        self._log = self._sink = -1

    def open(self, folder: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(f"{folder}/log", flags)
        self._sink = os.open(f"{folder}/sink", flags)

    def log(self, *words: object) -> None:
        os.write(self._log, ("\t".join(map(str, words)) + "\n").encode())

    def begin(self, ctx: Context) -> None:
        self.log("exec", ctx.idempotency_key(), ctx.step_name, ctx.attempt)

    def effect(self, ctx: Context, order: str, what: str) -> None:
        """Done outside: sent with the key by which the other side may know it again."""
        os.write(self._sink, f"{order}/{what}\t{ctx.idempotency_key(what)}\t{ctx.attempt}\n".encode())
        os.fsync(self._sink)


OUTSIDE = Outside()


class Link(Event):
    order: str
    n: int
    total: int


class Chain(Workflow):
    """Twelve at most: a loop through two steps with a branch, state, and an effect in each turn."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Link:
        OUTSIDE.begin(ctx)
        await ctx.store.set("seen", [])
        return Link(order=ev.order, n=ev.n, total=0)

    @step
    async def turn(self, ctx: Context, ev: Link) -> Link | StopEvent:
        OUTSIDE.begin(ctx)
        OUTSIDE.effect(ctx, ev.order, f"turn {ev.n}")
        seen = await ctx.store.get("seen")
        await ctx.store.set("seen", [*seen, ev.n])
        await asyncio.sleep(0.001)
        if ev.n == 0:
            return StopEvent(result=[ev.total, await ctx.store.get("seen")])
        return Link(order=ev.order, n=ev.n - 1, total=ev.total + ev.n)


class Part(Event):
    order: str
    i: int


class PartDone(Event):
    i: int
    value: int


class FanOut(Workflow):
    """A list out, its results in as one list, three at a time; every third in a thread."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> list[Part]:
        OUTSIDE.begin(ctx)
        return [Part(order=ev.order, i=i) for i in range(ev.n)]

    @step(num_workers=3)
    def work(self, ctx: Context, ev: Part) -> PartDone:
        OUTSIDE.begin(ctx)
        OUTSIDE.effect(ctx, ev.order, f"part {ev.i}")
        return PartDone(i=ev.i, value=ev.i * ev.i)

    @step
    async def end(self, ctx: Context, parts: list[PartDone]) -> StopEvent:
        OUTSIDE.begin(ctx)
        return StopEvent(result=sum(part.value for part in parts))


class Gathered(Workflow):
    """Events sent one by one, and gathered by number; the gatherer dawdles after it has held its own."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Part | None:
        OUTSIDE.begin(ctx)
        await ctx.store.set("n", ev.n)
        for i in range(ev.n):
            ctx.send_event(Part(order=ev.order, i=i))
        return None

    @step(num_workers=4)
    async def work(self, ctx: Context, ev: Part) -> PartDone:
        OUTSIDE.begin(ctx)
        await asyncio.sleep(0.0005 * (ev.i % 3))
        OUTSIDE.effect(ctx, ev.order, f"part {ev.i}")
        return PartDone(i=ev.i, value=ev.i + 1)

    @step
    async def gather(self, ctx: Context, ev: PartDone) -> StopEvent | None:
        OUTSIDE.begin(ctx)
        found = ctx.collect_events(ev, {PartDone: await ctx.store.get("n")})
        await asyncio.sleep(0.001 * (ev.i % 2))
        return None if found is None else StopEvent(result=sum(one.value for one in found))


class Tried(Event):
    order: str


class Retried(Workflow):
    """Fails twice, remembers a value from the first attempt on, sleeps durably."""

    @step(retry_policy=retry_policy(stop=stop_after_attempt(5), wait=wait_fixed(0.002)))
    async def begin(self, ctx: Context, ev: StartEvent) -> Tried:
        OUTSIDE.begin(ctx)
        OUTSIDE.effect(ctx, ev.order, "tried")
        if ctx.attempt < 3:
            raise ConnectionError(f"attempt {ctx.attempt}")
        return Tried(order=ev.order)

    @step
    async def rest(self, ctx: Context, ev: Tried) -> StopEvent:
        OUTSIDE.begin(ctx)
        token = await ctx.once("token", lambda: os.urandom(4).hex())
        await ctx.sleep(0.005)
        OUTSIDE.log("token", ctx.run_id, token)
        OUTSIDE.effect(ctx, ev.order, "rested")
        return StopEvent(result=f"{ev.order} rested")


class Ask(InputRequiredEvent):
    question: str


class Say(HumanResponseEvent):
    answer: str


class Asked(Workflow):
    """Waits twice inside a step, for one person only, with an effect between."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> StopEvent:
        OUTSIDE.begin(ctx)
        first = await ctx.wait_for_event(Say, Ask(question="first"), "first", timeout=None, who=["ana"])
        OUTSIDE.effect(ctx, ev.order, "between")
        second = await ctx.wait_for_event(Say, Ask(question="second"), "second", timeout=None, who=["ben", "ana"])
        return StopEvent(result=[first.answer, second.answer])


class Review(Workflow):
    """Asks by returning an event; the run is parked until somebody answers."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Ask:
        OUTSIDE.begin(ctx)
        OUTSIDE.effect(ctx, ev.order, "asked")
        return Ask(question=ev.order)

    @step
    async def decide(self, ctx: Context, ev: Say) -> StopEvent:
        OUTSIDE.begin(ctx)
        await asyncio.sleep(0.002)
        OUTSIDE.effect(ctx, "", f"released {ctx.run_id}")
        return StopEvent(result=ev.answer)


class Both(Workflow):
    """Two questions of one step at the same time."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> StopEvent:
        OUTSIDE.begin(ctx)
        one, two = await asyncio.gather(
            ctx.wait_for_event(Say, Ask(question="one"), "one", {"to": "one"}, timeout=None),
            ctx.wait_for_event(Say, Ask(question="two"), "two", {"to": "two"}, timeout=None),
        )
        OUTSIDE.effect(ctx, ev.order, "both")
        return StopEvent(result=[one.answer, two.answer])


class Parent(Workflow):
    """Starts a durable run of another workflow under a key, and waits for it."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> StopEvent:
        OUTSIDE.begin(ctx)
        child = next(one for one in FLOWS if type(one) is Chain)
        handler = await OUTSIDE.runs.start(child, key=ctx.idempotency_key("child"), order=f"{ev.order}/child", n=2)
        return StopEvent(result=["child", await handler])


class Fast(Event):
    order: str


class Slow(Event):
    order: str


class Race(Workflow):
    """The first stop ends the run while others are still at work."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Fast | Slow | None:
        OUTSIDE.begin(ctx)
        ctx.send_event(Slow(order=ev.order))
        ctx.send_event(Fast(order=ev.order))
        return None

    @step
    async def slow(self, ctx: Context, ev: Slow) -> StopEvent:
        OUTSIDE.begin(ctx)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.002)
        return StopEvent(result="slow")

    @step
    async def fast(self, ctx: Context, ev: Fast) -> StopEvent:
        OUTSIDE.begin(ctx)
        for i in range(4):
            ctx.write_event_to_stream(Part(order=ev.order, i=i))
            await asyncio.sleep(0.0005)
        return StopEvent(result="fast")


class Fails(Workflow):
    """A failure that a handler takes, then one that nobody does."""

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Tried:
        OUTSIDE.begin(ctx)
        raise LookupError("as always")

    @catch_error(for_steps=["begin"])
    async def recover(self, ctx: Context, ev: StepFailedEvent) -> Tried:
        OUTSIDE.begin(ctx)
        return Tried(order=f"recovered from {ev.exception}")

    @step
    async def end(self, ctx: Context, ev: Tried) -> StopEvent:
        OUTSIDE.begin(ctx)
        await asyncio.sleep(0.001)
        raise ValueError(ev.order)


KINDS: tuple[type[Workflow], ...] = (
    Chain,
    FanOut,
    Gathered,
    Retried,
    Asked,
    Review,
    Both,
    Parent,
    Race,
    Fails,
)
FLOWS: tuple[Workflow, ...] = tuple(kind(timeout=None) for kind in KINDS)


def answers(question: Any) -> list[tuple[Say, str | None, str | None]]:
    """What people say to an open question: the answer, who says it, and to which question."""
    if question.asks is not None:
        return [(Say(answer=f"yes to {question.content['question']}"), None, None)]
    name = question.key.rpartition("/")[2]
    said = Say(answer=f"{name} it is", to=name)
    if question.who is None:
        return [(said, None, question.key)]
    return [(said, "mallory", question.key), (said, question.who[0], question.key)]
