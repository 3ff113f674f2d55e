"""Running: start and stop events, results, handlers, runs at once, what a step can ask of its context."""

import asyncio
from typing import Any

import pytest
from drive import go, run, until
from roots import Api
from small_flows import echo, waiting


def test_keyword_arguments_become_the_start_event(api: Api) -> None:
    assert run(echo(api)(), n=3) == 3


def test_a_custom_start_event_is_made_from_keyword_arguments(api: Api) -> None:
    class Ask(api.StartEvent):
        question: str
        limit: int = 5

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: Ask) -> api.StopEvent:
            return api.StopEvent(result=(ev.question, ev.limit))

    assert run(Flow(), question="why") == ("why", 5)
    assert run(Flow(), question="why", limit="7") == ("why", 7)


def test_a_start_event_can_be_given(api: Api) -> None:
    class Ask(api.StartEvent):
        question: str

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: Ask) -> api.StopEvent:
            return api.StopEvent(result=ev)

    ask = Ask(question="why")
    assert run(Flow(), start_event=ask) is ask


def test_bad_keyword_arguments_are_a_runtime_error(api: Api) -> None:
    class Ask(api.StartEvent):
        question: str

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: Ask) -> api.StopEvent:
            return api.StopEvent()

    with pytest.raises(api.WorkflowRuntimeError, match="Ask"):
        run(Flow(), wrong=1)


def test_a_start_event_of_another_kind_is_a_value_error(api: Api) -> None:
    with pytest.raises(ValueError, match="StartEvent"):
        run(echo(api)(), start_event=api.Event())


def test_the_result_of_a_stop_event_is_awaited(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result={"a": 1})

    assert run(Flow()) == {"a": 1}


def test_a_stop_event_without_a_result_gives_none(api: Api) -> None:
    assert run(echo(api)()) is None


def test_a_custom_stop_event_is_the_result(api: Api) -> None:
    class Answer(api.StopEvent):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> Answer:
            return Answer(text="yes")

    answer = run(Flow())
    assert isinstance(answer, Answer)
    assert answer.text == "yes"


def test_a_handler_can_be_awaited_again_and_again(api: Api) -> None:
    async def main() -> None:
        handler = echo(api)().run(n=1)
        assert [await handler, await handler] == [1, 1]

    go(main())


def test_several_tasks_can_await_one_handler(api: Api) -> None:
    async def main() -> list[int]:
        handler = echo(api)().run(n=1)

        async def wait() -> int:
            return await handler

        return list(await asyncio.gather(wait(), wait(), wait()))

    assert go(main()) == [1, 1, 1]


def test_a_handler_says_when_it_is_done(api: Api) -> None:
    async def main() -> None:
        handler = echo(api)().run(n=1)
        assert isinstance(handler, api.WorkflowHandler)
        assert handler.is_done() is False
        await handler
        assert handler.is_done() is True

    go(main())


def test_a_handler_gives_the_stop_event(api: Api) -> None:
    async def main() -> None:
        handler = echo(api)().run(n=8)
        assert handler.get_stop_event() is None
        await handler
        stop = handler.get_stop_event()
        assert isinstance(stop, api.StopEvent)
        assert stop.result == 8
        assert (await handler.stop_event_result()) is stop

    go(main())


def test_runs_have_ids_of_their_own(api: Api) -> None:
    async def main() -> None:
        flow = echo(api)()
        first, second = flow.run(), flow.run()
        assert isinstance(first.run_id, str)
        assert first.run_id != second.run_id
        await asyncio.gather(first, second)

    go(main())


def test_a_run_id_can_be_given(api: Api) -> None:
    async def main() -> None:
        handler = echo(api)().run(run_id="run-7", n=2)
        assert handler.run_id == "run-7"
        assert await handler == 2

    go(main())


def test_one_workflow_object_runs_many_times(api: Api) -> None:
    async def main() -> list[int]:
        flow = echo(api)()
        return [await flow.run(n=n) for n in range(5)]

    assert go(main()) == [0, 1, 2, 3, 4]


def test_runs_of_one_workflow_object_do_not_mix(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await ctx.store.set("n", ev.n)
            await asyncio.sleep(0.01)
            return api.StopEvent(result=await ctx.store.get("n"))

    async def main() -> list[int]:
        flow = Flow()
        return list(await asyncio.gather(*(flow.run(n=n) for n in range(20))))

    assert go(main()) == list(range(20))


def test_num_concurrent_runs_bounds_the_runs_at_once(api: Api) -> None:
    now, peak = 0, 0
    full = asyncio.Event()

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            nonlocal now, peak
            now += 1
            peak = max(peak, now)
            if peak == 2:
                full.set()
            await full.wait()
            await asyncio.sleep(0.02)
            now -= 1
            return api.StopEvent(result=ev.n)

    async def main() -> list[int]:
        flow = Flow(num_concurrent_runs=2)
        return list(await asyncio.gather(*(flow.run(n=n) for n in range(6))))

    assert go(main()) == list(range(6))
    assert peak == 2


def test_a_step_can_address_another_by_name(api: Api) -> None:
    class Work(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            ctx.send_event(Work(), step="right")
            return None

        @api.step
        async def left(self, ev: Work) -> api.StopEvent:
            return api.StopEvent(result="left")

        @api.step
        async def right(self, ev: Work) -> api.StopEvent:
            await asyncio.sleep(0.02)
            return api.StopEvent(result="right")

    assert run(Flow()) == "right"


@pytest.mark.parametrize("name", ["nobody", "end"])
def test_an_event_for_a_step_that_cannot_take_it_is_a_runtime_error(api: Api, name: str) -> None:
    class Work(api.Event):
        pass

    class Other(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | Other:
            ctx.send_event(Work(), step=name)
            return Other()

        @api.step
        async def work(self, ev: Work) -> None:
            return None

        @api.step
        async def end(self, ev: Other) -> api.StopEvent:
            return api.StopEvent()

    with pytest.raises(api.WorkflowRuntimeError, match=name):
        run(Flow())


def test_a_step_that_returns_no_event_is_a_runtime_error(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return "text"

    with pytest.raises(api.WorkflowRuntimeError, match="only"):
        run(Flow())


def test_running_steps_names_the_steps_at_work(api: Api) -> None:
    async def main() -> None:
        flow = waiting(api)()
        handler = flow.run()
        await until(lambda: flow.entered == 1)
        assert await handler.ctx.running_steps() == ["hold"]
        await handler.cancel_run()

    go(main())


def test_a_context_says_whether_its_run_goes_on(api: Api) -> None:
    async def main() -> None:
        flow = echo(api)()
        ctx = api.Context(flow)
        assert ctx.is_running is False
        handler = flow.run(ctx=ctx, n=1)
        assert handler.ctx is ctx
        assert ctx.is_running is True
        await handler
        assert ctx.is_running is False

    go(main())


def test_a_decorated_function_finds_the_context_of_its_step(api: Api) -> None:
    async def note(n: int) -> None:
        ctx = api.Context.get_step_context()
        await ctx.store.set("noted", n)

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await note(4)
            return api.StopEvent(result=await ctx.store.get("noted"))

    assert run(Flow()) == 4


def test_there_is_no_step_context_outside_a_step(api: Api) -> None:
    with pytest.raises(api.WorkflowRuntimeError):
        api.Context.get_step_context()


def test_run_needs_a_running_loop(api: Api) -> None:
    with pytest.raises((RuntimeError, api.WorkflowRuntimeError), match="loop"):
        echo(api)().run()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_older_questions_to_a_handler_are_answered(api: Api) -> None:
    class Failing(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise KeyError("lost")

    async def main() -> None:
        good, bad, held = echo(api)().run(n=1), Failing().run(), waiting(api)().run()
        assert not good.done()
        await good
        assert (good.done(), good.exception(), good.cancelled()) == (True, None, False)
        assert good.ctx.get_result() == 1
        with pytest.raises(KeyError):
            await bad
        assert isinstance(bad.exception(), KeyError)
        await held.cancel_run()
        assert held.cancelled()

    go(main())


def test_a_context_is_the_first_argument_of_run(api: Api) -> None:
    async def main() -> None:
        flow = echo(api)()
        ctx = api.Context(flow)
        handler = flow.run(ctx, n=3)
        assert await handler == 3
        assert handler.ctx is ctx

    go(main())


def test_an_active_run_id_is_not_given_twice(api: Api) -> None:
    async def main() -> None:
        flow = waiting(api)()
        handler = flow.run(run_id="same")
        with pytest.raises(Exception, match="same"):
            await flow.run(run_id="same")
        await handler.cancel_run()

    go(main())


def test_tasks_of_a_step_know_the_context_of_the_step(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            async def put(n: int) -> None:
                await ctx.store.set(f"n{n}", n)

            await asyncio.gather(*(put(n) for n in range(3)))
            return api.StopEvent(result=[await ctx.store.get(f"n{n}") for n in range(3)])

    assert run(Flow()) == [0, 1, 2]


def test_an_event_goes_to_the_steps_of_its_own_type_and_not_of_its_base(api: Api) -> None:
    class Parent(api.Event):
        pass

    class Child(Parent):
        pass

    taken: list[str] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Parent | Child | None:
            ctx.send_event(Child())
            ctx.send_event(Parent())
            return None

        @api.step
        async def parent(self, ev: Parent) -> api.StopEvent:
            taken.append(f"parent takes {type(ev).__name__}")
            await until(lambda: len(taken) > 1)
            return api.StopEvent()

        @api.step
        async def child(self, ev: Child) -> None:
            taken.append(f"child takes {type(ev).__name__}")

    run(Flow())
    assert sorted(taken) == ["child takes Child", "parent takes Parent"]


def test_an_event_waited_for_is_of_the_very_type(api: Api) -> None:
    class Child(api.HumanResponseEvent):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            return api.StopEvent(result=type(reply).__name__)

    async def main() -> Any:
        handler = Flow().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                handler.ctx.send_event(Child())
                handler.ctx.send_event(api.HumanResponseEvent())
        return await handler

    assert go(main()) == "HumanResponseEvent"


def test_events_are_collected_by_their_very_type(api: Api) -> None:
    class Parent(api.Event):
        pass

    class Child(Parent):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Parent | Child | None:
            for event in (Child(), Child(), Parent()):
                ctx.send_event(event)
            return None

        @api.step(num_workers=1)
        async def end(self, ctx: api.Context, ev: Parent | Child) -> api.StopEvent | None:
            both = ctx.collect_events(ev, [Parent, Child])
            return None if both is None else api.StopEvent(result=[type(event).__name__ for event in both])

    assert run(Flow()) == ["Parent", "Child"]
