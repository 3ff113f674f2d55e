"""Two sources asked at once and joined with `collect_events`; the second comes only when it is told to."""

import asyncio

from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, StartEvent, StopEvent


class Hits(Event):
    words: list[str]


class Gate(HumanResponseEvent):
    words: list[str]


class Gathering(Workflow):
    @step
    async def search(self, ctx: Context, ev: StartEvent) -> Hits:
        return Hits(words=ev.words)

    @step
    async def join(self, ctx: Context, ev: Hits | Gate) -> StopEvent | None:
        found = ctx.collect_events(ev, [Hits, Gate])
        if found is None:
            ctx.write_event_to_stream(Event(waiting=True))
            return None
        return StopEvent(result=[word for event in found for word in event.words])


async def main() -> object:
    handler = Gathering(timeout=10).run(words=["a", "b"])
    await asyncio.sleep(0)
    await handler.send_event(Gate(words=["c"]))
    return await handler


EXPECTED = ["a", "b", "c"]
