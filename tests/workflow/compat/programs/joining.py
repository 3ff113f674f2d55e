"""A step with two event parameters, one of which a person sends."""

from workflows import Context, Workflow, step
from workflows.events import Event, HumanResponseEvent, StartEvent, StopEvent


class Word(Event):
    word: str


class Waiting(Event):
    pass


class Reply(HumanResponseEvent):
    word: str


class Joining(Workflow):
    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Word:
        ctx.write_event_to_stream(Waiting())
        return Word(word=ev.word)

    @step
    async def join(self, first: Word, second: Reply) -> StopEvent:
        return StopEvent(result=f"{first.word} {second.word}")


async def main() -> object:
    handler = Joining(timeout=10).run(word="a")
    async for event in handler.stream_events():
        if isinstance(event, Waiting):
            handler.ctx.send_event(Reply(word="b"))
    return await handler


EXPECTED = "a b"
