"""The caller's end of a run: internal events, and a run that is saved while it waits and goes on elsewhere."""

import asyncio
import dataclasses
import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.workflow import (
    Context,
    PlainEvent,
    PlainHumanResponseEvent,
    PlainStartEvent,
    PlainStopEvent,
    Workflow,
    WorkflowHandler,
    step,
)
from citewell.workflow.events import (
    InternalDispatchEvent,
    StepState,
    StepStateChanged,
    UnhandledEvent,
    WorkflowIdleEvent,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    sizes: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Outer(PlainEvent):
    n: int
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Inner(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Made(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sum(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reply(PlainHumanResponseEvent):
    to: int


@dataclasses.dataclass(frozen=True, slots=True)
class Stray(PlainHumanResponseEvent):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: list[int]


class Asking(Workflow):
    """Nested lists, each member of which waits for its own answer; a buffer and state besides."""

    @step
    async def begin(self, ctx: Context, event: Go) -> list[Outer]:
        await ctx.store.set("wanted", len(event.sizes))
        return [Outer(n, size) for n, size in enumerate(event.sizes)]

    @step
    async def split(self, event: Outer) -> list[Inner]:
        return [Inner(10 * event.n + k) for k in range(event.size)]

    @step(num_workers=2)
    async def ask(self, ctx: Context, event: Inner) -> Made:
        await ctx.wait_for_event(Reply, requirements={"to": event.n})
        async with ctx.store.edit_state() as state:
            state.total = state.get("total", 0) + event.n
        return Made(event.n)

    @step
    async def add(self, events: list[Made]) -> Sum:
        return Sum(sum(event.n for event in events))

    @step
    async def end(self, ctx: Context, event: Sum) -> Done | None:
        sums = ctx.collect_events(event, {Sum: await ctx.store.get("wanted")})
        return None if sums is None else Done([sum(one.n for one in sums), await ctx.store.get("total", 0)])


async def settle(handler: WorkflowHandler) -> None:
    """Return when the run waits for somebody outside, or is over."""
    while not handler.is_done():
        run = handler._run
        if run.reducer.quiet and run.reducer.waits:
            return
        await asyncio.sleep(0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple), st.data())
def test_a_run_saved_whenever_it_waits_and_restored_comes_to_the_same_result(sizes: tuple[int, ...], data: Any):
    numbers = [10 * n + k for n, size in enumerate(sizes) for k in range(size)]
    order = data.draw(st.permutations(numbers))
    saves = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))

    async def main() -> None:
        handler = Asking(timeout=None).run(start_event=Go(sizes))
        for to, save in zip(order, saves, strict=True):
            await settle(handler)
            if save:
                form = json.loads(json.dumps(handler.ctx.to_dict(), allow_nan=False))
                await handler.cancel_run()
                workflow = Asking(timeout=None)
                handler = workflow.run(ctx=Context.from_dict(workflow, form))
                await settle(handler)
            await handler.send_event(Reply(to))
        assert await asyncio.wait_for(handler, 5) == [sum(numbers)] * 2

    asyncio.run(main())


def test_internal_events_tell_of_every_step_of_idleness_and_of_strays_and_only_who_asks_sees_them():
    async def main() -> None:
        handler = Asking(timeout=None).run(start_event=Go((3,)))
        seen: list[PlainEvent] = []
        async for event in handler.stream_events(expose_internal=True):
            seen.append(event)
            if isinstance(event, WorkflowIdleEvent) and sum(isinstance(one, WorkflowIdleEvent) for one in seen) == 1:
                await handler.send_event(Stray())
                for n in range(3):
                    await handler.send_event(Reply(n))
        states = Counter((event.name, event.step_state) for event in seen if isinstance(event, StepStateChanged))
        assert states["ask", StepState.RUNNING] == states["ask", StepState.NOT_RUNNING] == 3
        assert states["add", StepState.RUNNING] == 1
        assert [event.event_type for event in seen if isinstance(event, UnhandledEvent)] == ["Stray"]
        plain = [event async for event in handler.stream_events(after=0)]
        assert not any(isinstance(event, InternalDispatchEvent) for event in plain)
        assert plain == [Done([3, 3])]

    asyncio.run(main())
