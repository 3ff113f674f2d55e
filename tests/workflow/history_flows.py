"""The workflows of the recorded histories. Change one, and `make_histories.py` has to say why its records go on."""

from __future__ import annotations

from citewell.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_fixed


class Begin(StartEvent):
    n: int


class Piece(Event):
    i: int


class Made(Event):
    i: int
    note: str = ""


class Ask(InputRequiredEvent):
    total: int


class Say(HumanResponseEvent):
    yes: bool


class Sure(HumanResponseEvent):
    yes: bool


class Ship(Workflow):
    """Fan-out, fan-in, retries, state, a memo, a question inside a step and one by an event."""

    @step
    async def begin(self, ctx: Context, ev: Begin) -> list[Piece]:
        await ctx.store.set("n", ev.n)
        return [Piece(i=i) for i in range(ev.n)]

    @step(retry_policy=retry_policy(stop=stop_after_attempt(3), wait=wait_fixed(0.0)))
    async def make(self, ctx: Context, ev: Piece) -> Made:
        if ev.i == 1 and ctx.attempt == 1:
            raise ConnectionError("once")
        return Made(i=ev.i * 2)

    @step
    async def join(self, ctx: Context, made: list[Made]) -> Ask:
        total = await ctx.once("total", lambda: sum(one.i for one in made))
        ctx.write_event_to_stream(Made(i=total, note="joined"))
        await ctx.wait_for_event(Sure, Ask(total=total), "sure", {"yes": True}, timeout=None)
        return Ask(total=total)

    @step
    async def end(self, ctx: Context, ev: Say) -> StopEvent:
        return StopEvent(result=[await ctx.store.get("n"), ev.yes])
