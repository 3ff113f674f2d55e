"""A draft that a person approves or sends back: questions and answers as events between steps."""

from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Draft(Event):
    text: str
    version: int


class Approval(InputRequiredEvent):
    text: str


class Decision(HumanResponseEvent):
    approved: bool
    remark: str = ""


class Published(StopEvent):
    text: str
    versions: int


class Approvals(Workflow):
    @step
    async def write(self, ctx: Context, ev: StartEvent) -> Draft:
        await ctx.store.set("topic", ev.topic)
        return Draft(text=f"About {ev.topic}", version=1)

    @step
    async def ask(self, ctx: Context, ev: Draft) -> Approval:
        async with ctx.store.edit_state() as state:
            state.draft = ev.text
            state.version = ev.version
        return Approval(text=ev.text)

    @step
    async def decide(self, ctx: Context, ev: Decision) -> Draft | Published:
        draft, version = await ctx.store.get("draft"), await ctx.store.get("version")
        if ev.approved:
            return Published(text=draft, versions=version)
        return Draft(text=f"{draft}, {ev.remark}", version=version + 1)


async def main() -> object:
    handler = Approvals(timeout=10).run(topic="keys")
    remarks = ["shorter", "clearer"]
    async for event in handler.stream_events():
        if isinstance(event, Approval):
            if remarks:
                handler.ctx.send_event(Decision(approved=False, remark=remarks.pop(0)))
            else:
                handler.ctx.send_event(Decision(approved=True))
    published = await handler
    return published.text, published.versions


EXPECTED = ("About keys, shorter, clearer", 3)
