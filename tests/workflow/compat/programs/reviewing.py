"""Parts of a fan-out that each may ask a person, joined by a list."""

from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Page(Event):
    name: str


class Reviewed(Event):
    text: str


class Question(InputRequiredEvent):
    name: str


class Reply(HumanResponseEvent):
    text: str


class Reviewing(Workflow):
    @step
    async def split(self, ev: StartEvent) -> list[Page]:
        return [Page(name=name) for name in ev.names]

    @step
    async def review(self, ctx: Context, ev: Page) -> Reviewed:
        if ev.name == "b":
            return Reviewed(text="b")
        reply = await ctx.wait_for_event(
            Reply, waiter_event=Question(name=ev.name), waiter_id=ev.name, requirements={"name": ev.name}
        )
        return Reviewed(text=reply.text)

    @step
    async def end(self, pages: list[Reviewed]) -> StopEvent:
        return StopEvent(result=sorted(page.text for page in pages))


async def main() -> object:
    handler = Reviewing(timeout=10).run(names=["a", "b", "c"])
    async for event in handler.stream_events():
        if isinstance(event, Question):
            handler.ctx.send_event(Reply(name=event.name, text=event.name.upper()))
    return await handler


EXPECTED = ["A", "C", "b"]
