"""Streams: what a reader of `handler.stream_events()` sees, when it ends, and what it may do in between."""

import asyncio
from typing import Any

import pytest
from drive import go, read, until
from roots import Api


def counting(api: Api) -> type:
    """Writes the numbers 0 to 4 to the stream, then stops with "end"."""

    class Note(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            for n in range(5):
                ctx.write_event_to_stream(Note(n=n))
                await asyncio.sleep(0)
            return api.StopEvent(result="end")

    return Flow


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_stream_gives_what_was_written_in_order_and_the_stop_event(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        events = await read(handler)
        assert [event.n for event in events[:-1]] == [0, 1, 2, 3, 4]
        assert names(events[-1:]) == ["StopEvent"]
        assert events[-1].result == "end"
        assert await handler == "end"

    go(main())


def test_a_stream_holds_only_what_was_written(api: Api) -> None:
    class Middle(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Middle:
            return Middle()

        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent()

    async def main() -> None:
        assert names(await read(Flow().run())) == ["StopEvent"]

    go(main())


def test_a_stream_can_be_read_while_the_run_goes_on(api: Api) -> None:
    class Note(api.Event):
        pass

    class Flow(api.Workflow):
        def __init__(self) -> None:
            super().__init__()
            self.read = asyncio.Event()

        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            ctx.write_event_to_stream(Note())
            await self.read.wait()
            return api.StopEvent()

    async def main() -> None:
        flow = Flow()
        handler = flow.run()
        seen = []
        async for event in handler.stream_events():
            seen.append(event)
            flow.read.set()
        assert names(seen) == ["Note", "StopEvent"]

    go(main())


def test_a_stream_can_be_read_after_the_run(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        assert await handler == "end"
        assert names(await read(handler)) == ["Note"] * 5 + ["StopEvent"]

    go(main())


def test_a_stream_goes_on_after_a_break(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        seen = []
        async for event in handler.stream_events():
            seen.append(event.n)
            if event.n == 1:
                break
        seen += [event.n for event in await read(handler) if not isinstance(event, api.StopEvent)]
        assert seen == [0, 1, 2, 3, 4]

    go(main())


def test_the_object_written_is_the_object_read(api: Api) -> None:
    written: list[Any] = []

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            ctx.write_event_to_stream(ev)
            written.append(ev)
            return api.StopEvent()

    async def main() -> None:
        events = await read(Flow().run(n=1))
        assert events[0] is written[0]

    go(main())


def test_writing_none_writes_nothing(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            ctx.write_event_to_stream(None)
            return api.StopEvent()

    async def main() -> None:
        assert names(await read(Flow().run())) == ["StopEvent"]

    go(main())


def test_a_stop_event_written_ends_the_stream_and_not_the_run(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            ctx.write_event_to_stream(api.StopEvent(result="written"))
            await asyncio.sleep(0.02)
            return api.StopEvent(result="returned")

    async def main() -> None:
        handler = Flow().run()
        events = await read(handler)
        assert [event.result for event in events] == ["written"]
        assert await handler == "returned"

    go(main())


def test_a_custom_stop_event_ends_the_stream(api: Api) -> None:
    class Answer(api.StopEvent):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> Answer:
            return Answer(text="yes")

    async def main() -> None:
        assert [event.text for event in await read(Flow().run())] == ["yes"]

    go(main())


def test_several_steps_write_to_one_stream(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Note(api.Event):
        n: int

    class Done(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(6)]

        @api.step
        async def work(self, ctx: api.Context, ev: Work) -> Done:
            ctx.write_event_to_stream(Note(n=ev.n))
            return Done()

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent()

    async def main() -> None:
        events = await read(Flow().run())
        assert sorted(event.n for event in events[:-1]) == list(range(6))

    go(main())


def test_a_failure_ends_the_stream_with_its_event(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise KeyError("lost")

    async def main() -> None:
        handler = Flow().run()
        last = (await read(handler))[-1]
        assert isinstance(last, api.WorkflowFailedEvent)
        assert (last.step_name, last.attempts) == ("only", 1)
        assert isinstance(last.exception, KeyError)
        assert last.elapsed_seconds >= 0
        with pytest.raises(KeyError, match="lost"):
            await handler

    go(main())


def test_an_input_required_event_is_streamed_when_returned(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def ask(self, ev: api.StartEvent) -> api.InputRequiredEvent:
            return api.InputRequiredEvent(prefix="Name? ")

        @api.step
        async def end(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.response)

    async def main() -> None:
        handler = Flow().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                assert event.prefix == "Name? "
                handler.ctx.send_event(api.HumanResponseEvent(response="Ada"))
        assert await handler == "Ada"

    go(main())


def test_internal_events_show_each_step_start_and_end(api: Api) -> None:
    async def main() -> None:
        events = await read(counting(api)().run(), expose_internal=True)
        changes = [event for event in events if isinstance(event, api.StepStateChanged)]
        assert [(change.name, change.step_state) for change in changes] == [
            ("only", api.StepState.RUNNING),
            ("only", api.StepState.NOT_RUNNING),
        ]
        assert "StartEvent" in changes[0].input_event_name
        assert "StopEvent" in changes[1].output_event_name
        assert isinstance(changes[0].worker_id, str)

    go(main())


def test_internal_events_show_that_a_step_waits_for_a_worker(api: Api) -> None:
    class Work(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            for _ in range(3):
                ctx.send_event(Work())
            return None

        @api.step(num_workers=1)
        async def work(self, ctx: api.Context, ev: Work) -> api.StopEvent | None:
            await asyncio.sleep(0.01)
            return api.StopEvent() if ctx.collect_events(ev, [Work] * 3) else None

    async def main() -> None:
        events = await read(Flow().run(), expose_internal=True)
        states = [
            event.step_state for event in events if isinstance(event, api.StepStateChanged) and event.name == "work"
        ]
        assert states.count(api.StepState.PREPARING) == 2
        assert states.count(api.StepState.RUNNING) == 3

    go(main())


def test_internal_events_are_hidden_otherwise(api: Api) -> None:
    async def main() -> None:
        assert not any(isinstance(event, api.InternalDispatchEvent) for event in await read(counting(api)().run()))

    go(main())


def test_the_values_of_the_step_states(api: Api) -> None:
    assert [state.value for state in (api.StepState.PREPARING, api.StepState.RUNNING, api.StepState.NOT_RUNNING)] == [
        "preparing",
        "running",
        "not_running",
    ]


def test_a_run_that_waits_says_that_it_is_idle(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            answer = await ctx.wait_for_event(api.HumanResponseEvent)
            return api.StopEvent(result=answer.response)

    async def main() -> None:
        handler = Flow().run()
        async for event in handler.stream_events(expose_internal=True):
            if isinstance(event, api.WorkflowIdleEvent):
                handler.ctx.send_event(api.HumanResponseEvent(response="go on"))
        assert await handler == "go on"

    go(main())


def test_an_event_sent_from_outside_that_nobody_takes_is_reported(api: Api) -> None:
    class Stray(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            answer = await ctx.wait_for_event(api.HumanResponseEvent)
            return api.StopEvent(result=answer.response)

    async def main() -> None:
        handler = Flow().run()
        stray = []
        async for event in handler.stream_events(expose_internal=True):
            if isinstance(event, api.WorkflowIdleEvent) and not stray:
                handler.ctx.send_event(Stray())
            if isinstance(event, api.UnhandledEvent):
                stray.append((event.event_type, event.step_name, event.idle))
                handler.ctx.send_event(api.HumanResponseEvent(response="end"))
        assert await handler == "end"
        assert stray == [("Stray", None, True)]

    go(main())


def test_the_stream_of_a_context_is_the_stream_of_its_handler(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        seen = []
        async for event in handler.ctx.stream_events():
            seen.append(type(event).__name__)
            if isinstance(event, api.StopEvent):
                break
        assert seen[-1] == "StopEvent"
        assert seen.count("Note") == 5

    go(main())


def test_a_slow_reader_misses_nothing(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        seen = 0
        async for _ in handler.stream_events():
            await asyncio.sleep(0.005)
            seen += 1
        assert seen == 6

    go(main())


def test_a_run_does_not_wait_for_a_reader(api: Api) -> None:
    async def main() -> None:
        handler = counting(api)().run()
        await until(handler.is_done)
        assert await handler == "end"

    go(main())


def test_each_of_two_runs_at_once_has_its_own_stream(api: Api) -> None:
    async def main() -> None:
        flow = counting(api)()
        first, second = flow.run(), flow.run()
        streams = await asyncio.gather(read(first), read(second))
        assert [names(stream) for stream in streams] == [["Note"] * 5 + ["StopEvent"]] * 2

    go(main())
