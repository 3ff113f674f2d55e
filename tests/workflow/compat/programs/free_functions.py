"""Steps as free functions of a module, with annotations as strings."""

from __future__ import annotations

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class Free(Workflow):
    pass


class Middle(Event):
    n: int


@step(workflow=Free)
async def begin(ctx: Context, ev: StartEvent) -> Middle | None:
    await ctx.store.set("offset", 10)
    return Middle(n=ev.n + 1)


@step(workflow=Free, num_workers=1)
def end(ev: Middle) -> StopEvent:
    return StopEvent(result=ev.n + 10)


async def main() -> object:
    return await Free(timeout=10).run(n=5)


EXPECTED = 16
