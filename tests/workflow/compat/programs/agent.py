"""A tool-using loop as the field writes it: memory in the store, tool calls fanned out, progress streamed."""

from collections.abc import Callable

from pydantic import BaseModel
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent


class ToolCall(BaseModel):
    tool: str
    number: int


class Thought(Event):
    history: list[str]


class ToolCalls(Event):
    calls: list[ToolCall]


class CallTool(Event):
    call: ToolCall


class ToolResult(Event):
    text: str


class Progress(Event):
    text: str


def scripted(history: list[str]) -> list[ToolCall]:
    """What a model would ask for, given what happened so far."""
    if len(history) == 1:
        return [ToolCall(tool="double", number=4), ToolCall(tool="square", number=3)]
    if len(history) == 3:
        return [ToolCall(tool="double", number=9)]
    return []


class Agent(Workflow):
    def __init__(self, *args: object, tools: dict[str, Callable[[int], int]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.tools = tools

    @step
    async def prepare(self, ctx: Context, ev: StartEvent) -> Thought:
        await ctx.store.set("history", [ev.question])
        return Thought(history=[ev.question])

    @step
    async def think(self, ctx: Context, ev: Thought) -> ToolCalls | StopEvent:
        calls = scripted(ev.history)
        ctx.write_event_to_stream(Progress(text=f"{len(calls)} calls"))
        return ToolCalls(calls=calls) if calls else StopEvent(result={"history": ev.history})

    @step
    async def dispatch(self, ctx: Context, ev: ToolCalls) -> CallTool | None:
        await ctx.store.set("count", len(ev.calls))
        for call in ev.calls:
            ctx.send_event(CallTool(call=call))
        return None

    @step(num_workers=2)
    async def call(self, ctx: Context, ev: CallTool) -> ToolResult:
        return ToolResult(text=f"{ev.call.tool}({ev.call.number})={self.tools[ev.call.tool](ev.call.number)}")

    @step
    async def gather(self, ctx: Context, ev: ToolResult) -> Thought | None:
        results = ctx.collect_events(ev, [ToolResult] * await ctx.store.get("count"))
        if results is None:
            return None
        history = await ctx.store.get("history") + sorted(result.text for result in results)
        await ctx.store.set("history", history)
        return Thought(history=history)


async def main() -> object:
    agent = Agent(timeout=10, verbose=False, tools={"double": lambda n: 2 * n, "square": lambda n: n * n})
    handler = agent.run(question="q")
    progress = [event.text async for event in handler.stream_events() if isinstance(event, Progress)]
    return progress, (await handler)["history"]


EXPECTED = (["2 calls", "1 calls", "0 calls"], ["q", "double(4)=8", "square(3)=9", "double(9)=18"])
