"""`Context.to_dict` and `from_dict`: state, waiting runs, questions left open, buffers, serializers, wrong use."""

import asyncio
import json
from typing import Any

import pytest
from drive import go, run
from pydantic import BaseModel
from roots import Api


async def parked(handler: Any, kind: type) -> dict[str, Any]:
    """The saved context of a run that has streamed a `kind`; the run itself is given up."""
    async for event in handler.stream_events():
        if isinstance(event, kind):
            break
    # One turn of the loop, so that the run has come to rest where it waits.
    await asyncio.sleep(0.02)
    saved = json.loads(json.dumps(handler.ctx.to_dict()))
    await handler.cancel_run()
    return saved


def counter(api: Api) -> type:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            n = await ctx.store.get("n", default=0)
            await ctx.store.set("n", n + 1)
            return api.StopEvent(result=n + 1)

    return Flow


def test_state_goes_through_a_dict_to_another_workflow_object(api: Api) -> None:
    async def main() -> None:
        Flow = counter(api)
        first = Flow()
        ctx = api.Context(first)
        assert await first.run(ctx=ctx) == 1
        saved = json.loads(json.dumps(ctx.to_dict()))
        second = Flow()
        assert await second.run(ctx=api.Context.from_dict(second, saved)) == 2

    go(main())


def test_a_context_before_its_run_can_be_saved(api: Api) -> None:
    async def main() -> None:
        flow = counter(api)()
        ctx = api.Context(flow)
        await ctx.store.set("n", 5)
        saved = json.loads(json.dumps(ctx.to_dict()))
        assert await flow.run(ctx=api.Context.from_dict(flow, saved)) == 6

    go(main())


def test_a_restored_context_gives_its_state_before_the_run(api: Api) -> None:
    async def main() -> None:
        flow = counter(api)()
        handler = flow.run()
        await handler
        restored = api.Context.from_dict(flow, handler.ctx.to_dict())
        assert await restored.store.get("n") == 1
        assert restored.is_running is False

    go(main())


def test_saving_does_not_tie_the_copies_together(api: Api) -> None:
    async def main() -> None:
        flow = counter(api)()
        ctx = api.Context(flow)
        await flow.run(ctx=ctx)
        saved = ctx.to_dict()
        assert await flow.run(ctx=ctx) == 2
        assert await flow.run(ctx=api.Context.from_dict(flow, saved)) == 2
        assert await flow.run(ctx=api.Context.from_dict(flow, saved)) == 2

    go(main())


def test_typed_state_goes_through_a_dict(api: Api) -> None:
    program = api.program("asking")

    async def main() -> None:
        flow = program.Asking()
        ctx = api.Context(flow)
        await ctx.store.set("answers", ["a"])
        restored = api.Context.from_dict(flow, json.loads(json.dumps(ctx.to_dict())))
        assert await restored.store.get_state() == program.Form(answers=["a"])

    go(main())


class Point(BaseModel):
    x: int


def test_models_inside_free_state_go_through_a_dict(api: Api) -> None:
    async def main() -> None:
        flow = counter(api)()
        ctx = api.Context(flow, serializer=api.JsonSerializer())
        await ctx.store.set("points", {"a": [Point(x=1)]})
        saved = json.loads(json.dumps(ctx.to_dict()))
        restored = api.Context.from_dict(flow, saved, serializer=api.JsonSerializer())
        assert await restored.store.get("points") == {"a": [Point(x=1)]}

    go(main())


def test_a_run_that_waits_for_a_person_goes_on_from_a_dict(api: Api) -> None:
    program = api.program("approvals")

    async def main() -> None:
        saved = await parked(program.Approvals().run(topic="keys"), program.Approval)
        flow = program.Approvals()
        restored = api.Context.from_dict(flow, saved)
        assert restored.is_running is True
        handler = flow.run(ctx=restored)
        handler.ctx.send_event(program.Decision(approved=True))
        published = await handler
        assert (published.text, published.versions) == ("About keys", 1)

    go(main())


def test_a_restored_run_asks_again_and_goes_on(api: Api) -> None:
    program = api.program("approvals")

    async def main() -> None:
        saved = await parked(program.Approvals().run(topic="keys"), program.Approval)
        flow = program.Approvals()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(program.Decision(approved=False, remark="longer"))
        async for event in handler.stream_events():
            if isinstance(event, program.Approval):
                assert event.text == "About keys, longer"
                handler.ctx.send_event(program.Decision(approved=True))
        assert (await handler).versions == 2

    go(main())


def test_one_saved_run_can_be_answered_in_two_ways(api: Api) -> None:
    program = api.program("approvals")

    async def main() -> list[int]:
        saved = await parked(program.Approvals().run(topic="keys"), program.Approval)
        texts = []
        for remark in ("a", "b"):
            flow = program.Approvals()
            handler = flow.run(ctx=api.Context.from_dict(flow, json.loads(json.dumps(saved))))
            handler.ctx.send_event(program.Decision(approved=False, remark=remark))
            async for event in handler.stream_events():
                if isinstance(event, program.Approval):
                    handler.ctx.send_event(program.Decision(approved=True))
            texts.append((await handler).text)
        return texts

    assert go(main()) == ["About keys, a", "About keys, b"]


def test_a_step_that_waits_goes_on_from_a_dict(api: Api) -> None:
    program = api.program("asking")

    async def main() -> None:
        saved = await parked(program.Asking().run(name="Ada"), api.InputRequiredEvent)
        flow = program.Asking()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(api.HumanResponseEvent(about="age", response="36"))
        assert await handler == "Ada is 36"

    go(main())


def test_a_partly_filled_buffer_goes_through_a_dict(api: Api) -> None:
    program = api.program("gathering")

    async def main() -> None:
        saved = await parked(program.Gathering().run(words=["a"]), api.Event)
        flow = program.Gathering()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(program.Gate(words=["c"]))
        assert await handler == ["a", "c"]

    go(main())


def test_only_the_step_in_progress_runs_again(api: Api) -> None:
    calls: list[str] = []
    program = api.program("asking")

    class Counted(program.Asking):
        @api.step
        async def begin(self, ctx: api.Context[program.Form], ev: api.StartEvent) -> program.Ready:
            calls.append("begin")
            return await super().begin(ctx, ev)

        @api.step
        async def ask(self, ctx: api.Context[program.Form], ev: program.Ready) -> api.StopEvent:
            calls.append("ask")
            return await super().ask(ctx, ev)

    async def main() -> None:
        saved = await parked(Counted().run(name="Ada"), api.InputRequiredEvent)
        assert calls == ["begin", "ask"]
        flow = Counted()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(api.HumanResponseEvent(about="age", response="36"))
        assert await handler == "Ada is 36"
        assert calls.count("begin") == 1

    go(main())


def test_a_saved_run_that_was_done_starts_anew(api: Api) -> None:
    program = api.program("approvals")

    async def main() -> None:
        flow = program.Approvals()
        handler = flow.run(topic="keys")
        async for event in handler.stream_events():
            if isinstance(event, program.Approval):
                handler.ctx.send_event(program.Decision(approved=True))
        await handler
        restored = api.Context.from_dict(flow, json.loads(json.dumps(handler.ctx.to_dict())))
        assert restored.is_running is False
        again = flow.run(ctx=restored, topic="doors")
        async for event in again.stream_events():
            if isinstance(event, program.Approval):
                again.ctx.send_event(program.Decision(approved=True))
        assert (await again).text == "About doors"

    go(main())


def test_a_saved_context_without_state_keeps_the_run(api: Api) -> None:
    program = api.program("gathering")

    async def main() -> None:
        handler = program.Gathering().run(words=["a"])
        async for _ in handler.stream_events():
            break
        saved = handler.ctx.to_dict(include_state=False)
        assert saved["state"] == {}
        await handler.cancel_run()

    go(main())


def test_a_pickle_serializer_saves_what_json_cannot(api: Api) -> None:
    async def main() -> None:
        flow = counter(api)()
        pickled = api.PickleSerializer()
        ctx = api.Context(flow, serializer=pickled)
        await ctx.store.set("when", {1, 2, 3})
        saved = json.loads(json.dumps(ctx.to_dict(serializer=pickled)))
        restored = api.Context.from_dict(flow, saved, serializer=pickled)
        assert await restored.store.get("when") == {1, 2, 3}

    go(main())


def test_serializers_give_back_what_they_take(api: Api) -> None:
    json_ = api.JsonSerializer()
    value = {"a": [1, 2.5, None, True], "point": Point(x=3), "nested": {"points": [Point(x=4)]}}
    assert json_.deserialize(json_.serialize(value)) == value
    assert api.PickleSerializer().deserialize(api.PickleSerializer().serialize({1, 2})) == {1, 2}


def test_a_json_serializer_refuses_what_json_cannot_say(api: Api) -> None:
    with pytest.raises(ValueError, match="object"):
        api.JsonSerializer().serialize({"a": [object()]})


def test_events_survive_a_serializer(api: Api) -> None:
    program = api.program("gathering")
    serializer = api.JsonSerializer()
    event = serializer.deserialize(serializer.serialize(program.Hits(words=["a"], extra=1)))
    assert isinstance(event, program.Hits)
    assert (event.words, event.extra) == (["a"], 1)


@pytest.mark.parametrize("wrong", ["text", -1.5, [{}]])
def test_a_saved_context_that_was_damaged_is_a_serde_error(api: Api, wrong: object) -> None:
    async def main() -> None:
        flow = counter(api)()
        handler = flow.run()
        await handler
        saved = handler.ctx.to_dict()
        with pytest.raises(api.ContextSerdeError):
            api.Context.from_dict(flow, dict.fromkeys(saved, wrong))
        with pytest.raises(api.ContextSerdeError):
            api.Context.from_dict(flow, saved | {"is_running": "perhaps"})

    go(main())


def test_two_runs_at_once_on_one_context_are_a_state_error(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await asyncio.sleep(0.05)
            return api.StopEvent(result="end")

    async def main() -> None:
        flow = Flow()
        ctx = api.Context(flow)
        handler = flow.run(ctx=ctx)
        with pytest.raises(api.ContextStateError):
            flow.run(ctx=ctx)
        assert await handler == "end"

    go(main())


def test_a_context_before_its_run_takes_no_events(api: Api) -> None:
    ctx = api.Context(counter(api)())
    with pytest.raises(api.ContextStateError):
        ctx.send_event(api.Event())
    with pytest.raises(api.ContextStateError):
        ctx.write_event_to_stream(api.Event())
    with pytest.raises(api.ContextStateError):
        ctx.collect_events(api.Event(), [api.Event])
    with pytest.raises(api.ContextStateError):
        ctx.stream_events()


def test_the_context_of_a_handler_has_none_of_the_verbs_of_a_step(api: Api) -> None:
    async def main() -> None:
        handler = counter(api)().run()
        with pytest.raises(api.ContextStateError):
            handler.ctx.write_event_to_stream(api.Event())
        with pytest.raises(api.ContextStateError):
            handler.ctx.collect_events(api.Event(), [api.Event])
        with pytest.raises(api.ContextStateError):
            await handler.ctx.wait_for_event(api.Event)
        with pytest.raises(api.ContextStateError):
            handler.ctx.retry_info()
        await handler

    go(main())


def test_the_context_of_a_step_has_none_of_the_verbs_of_a_handler(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            refusals = []
            for call in (ctx.to_dict, ctx.stream_events):
                try:
                    call()
                except api.ContextStateError:
                    refusals.append(call.__name__)
            try:
                await ctx.running_steps()
            except api.ContextStateError:
                refusals.append("running_steps")
            return api.StopEvent(result=refusals)

    assert run(Flow()) == ["to_dict", "stream_events", "running_steps"]


def test_events_declared_by_steps_need_no_importable_name(api: Api) -> None:
    class Question(api.InputRequiredEvent):
        text: str

    class Reply(api.HumanResponseEvent):
        text: str

    class Begin(api.StartEvent):
        name: str

    class Flow(api.Workflow):
        @api.step
        async def ask(self, ev: Begin) -> Question:
            return Question(text=ev.name)

        @api.step
        async def end(self, ev: Reply) -> api.StopEvent:
            return api.StopEvent(result=ev.text)

    async def main() -> None:
        saved = await parked(Flow().run(name="Ada"), Question)
        flow = Flow()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(Reply(text="end"))
        assert await handler == "end"

    go(main())


def test_a_fan_out_that_waits_goes_on_from_a_dict(api: Api) -> None:
    program = api.program("reviewing")

    async def main() -> None:
        handler = program.Reviewing().run(names=["a", "b", "c"])
        asked = 0
        async for event in handler.stream_events():
            asked += isinstance(event, program.Question)
            if asked == 2:
                break
        await asyncio.sleep(0.02)
        saved = json.loads(json.dumps(handler.ctx.to_dict()))
        await handler.cancel_run()
        flow = program.Reviewing()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        for name in ("a", "c"):
            handler.ctx.send_event(program.Reply(name=name, text=name.upper()))
        assert await handler == ["A", "C", "b"]

    go(main())


def test_one_of_two_event_parameters_goes_through_a_dict(api: Api) -> None:
    program = api.program("joining")

    async def main() -> None:
        saved = await parked(program.Joining().run(word="first"), program.Waiting)
        flow = program.Joining()
        handler = flow.run(ctx=api.Context.from_dict(flow, saved))
        handler.ctx.send_event(program.Reply(word="second"))
        assert await handler == "first second"

    go(main())


def test_a_saved_context_is_plain_json(api: Api) -> None:
    async def main() -> None:
        handler = counter(api)().run()
        await handler
        saved = handler.ctx.to_dict()
        assert json.loads(json.dumps(saved)) == saved

    go(main())
