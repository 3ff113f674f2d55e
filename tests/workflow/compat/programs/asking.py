"""A step that stops in its middle to ask a person, with a typed state."""

from pydantic import BaseModel, Field
from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, InputRequiredEvent, StartEvent, StopEvent


class Form(BaseModel):
    name: str = ""
    answers: list[str] = Field(default_factory=list)


class Ready(Event):
    name: str


class Asking(Workflow):
    @step
    async def begin(self, ctx: Context[Form], ev: StartEvent) -> Ready:
        await ctx.store.set("name", ev.name)
        return Ready(name=ev.name)

    @step
    async def ask(self, ctx: Context[Form], ev: Ready) -> StopEvent:
        reply = await ctx.wait_for_event(
            HumanResponseEvent,
            waiter_event=InputRequiredEvent(prefix=f"How old is {ev.name}? "),
            waiter_id="age",
            requirements={"about": "age"},
        )
        async with ctx.store.edit_state() as form:
            form.answers.append(reply.response)
        form = await ctx.store.get_state()
        return StopEvent(result=f"{form.name} is {form.answers[0]}")


async def main() -> object:
    handler = Asking(timeout=10).run(name="Ada")
    asked = []
    async for event in handler.stream_events():
        if isinstance(event, InputRequiredEvent):
            asked.append(event.prefix)
            handler.ctx.send_event(HumanResponseEvent(about="height", response="tall"))
            handler.ctx.send_event(HumanResponseEvent(about="age", response="36"))
    return asked, await handler


EXPECTED = (["How old is Ada? "], "Ada is 36")
