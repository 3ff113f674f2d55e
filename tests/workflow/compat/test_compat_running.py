"""Running: start and stop events, results, loops, workers, time limits, cancellation, nesting, sync steps."""

import asyncio
import functools
import gc
import threading
import weakref
from typing import Any

import pytest
from drive import go, read, run, until
from roots import Api


def echo(api: Api) -> type:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.get("n"))

    return Flow


def waiting(api: Api) -> type:
    """A workflow whose only step waits for ever; `entered` and `left` say where it is."""

    class Flow(api.Workflow):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.entered = 0
            self.left: list[str] = []

        @api.step
        async def hold(self, ev: api.StartEvent) -> api.StopEvent:
            self.entered += 1
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.left.append("cancelled")
                raise
            return api.StopEvent()

    return Flow


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


def test_branches_are_chosen_by_the_event_returned(api: Api) -> None:
    class Big(api.Event):
        n: int

    class Small(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def choose(self, ev: api.StartEvent) -> Big | Small:
            return Big(n=ev.n) if ev.n > 10 else Small(n=ev.n)

        @api.step
        async def big(self, ev: Big) -> api.StopEvent:
            return api.StopEvent(result=f"big {ev.n}")

        @api.step
        async def small(self, ev: Small) -> api.StopEvent:
            return api.StopEvent(result=f"small {ev.n}")

    assert (run(Flow(), n=11), run(Flow(), n=2)) == ("big 11", "small 2")


def test_a_step_loops_through_its_own_event(api: Api) -> None:
    class Again(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> Again:
            return Again(n=ev.n)

        @api.step
        async def circle(self, ev: Again) -> Again | api.StopEvent:
            return Again(n=ev.n - 1) if ev.n else api.StopEvent(result="zero")

    assert run(Flow(), n=50) == "zero"


def test_two_steps_loop_through_each_other(api: Api) -> None:
    class Draft(api.Event):
        text: str

    class Review(api.Event):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def write(self, ev: api.StartEvent | Review) -> Draft:
            return Draft(text=(ev.get("text") or getattr(ev, "text", "")) + "x")

        @api.step
        async def judge(self, ev: Draft) -> Review | api.StopEvent:
            return api.StopEvent(result=ev.text) if len(ev.text) == 4 else Review(text=ev.text)

    assert run(Flow(), text="") == "xxxx"


def test_one_event_goes_to_every_step_that_takes_it(api: Api) -> None:
    class Done(api.Event):
        name: str

    class Flow(api.Workflow):
        @api.step
        async def a(self, ev: api.StartEvent) -> Done:
            return Done(name="a")

        @api.step
        async def b(self, ev: api.StartEvent) -> Done:
            return Done(name="b")

        @api.step
        async def end(self, ctx: api.Context, ev: Done) -> api.StopEvent | None:
            both = ctx.collect_events(ev, [Done, Done])
            return None if both is None else api.StopEvent(result=sorted(done.name for done in both))

    assert run(Flow()) == ["a", "b"]


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 2), (None, 4), (8, 8)])
def test_num_workers_bounds_the_runs_of_a_step_at_once(api: Api, workers: int | None, most: int) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    now, peak = 0, 0
    full = asyncio.Event()
    options = {} if workers is None else {"num_workers": workers}

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            for n in range(16):
                ctx.send_event(Work(n=n))
            return None

        @api.step(**options)
        async def work(self, ev: Work) -> Done:
            nonlocal now, peak
            now += 1
            peak = max(peak, now)
            if peak == most:
                full.set()
            await full.wait()
            # Time for one more to start, if the engine let it.
            await asyncio.sleep(0.02)
            now -= 1
            return Done(n=ev.n)

        @api.step
        async def end(self, ctx: api.Context, ev: Done) -> api.StopEvent | None:
            done = ctx.collect_events(ev, [Done] * 16)
            return None if done is None else api.StopEvent(result=len(done))

    assert run(Flow()) == 16
    assert peak == most


def test_one_worker_takes_events_in_the_order_sent(api: Api) -> None:
    class Work(api.Event):
        n: int

    seen: list[int] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Work | None:
            for n in range(10):
                ctx.send_event(Work(n=n))
            return None

        @api.step(num_workers=1)
        async def work(self, ev: Work) -> api.StopEvent | None:
            seen.append(ev.n)
            await asyncio.sleep(0)
            return api.StopEvent() if len(seen) == 10 else None

    run(Flow())
    assert seen == list(range(10))


def test_the_first_stop_event_ends_the_run_and_cancels_the_rest(api: Api) -> None:
    class Slow(api.Event):
        pass

    class Fast(api.Event):
        pass

    left: list[str] = []

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Slow | Fast | None:
            ctx.send_event(Slow())
            ctx.send_event(Fast())
            return None

        @api.step
        async def slow(self, ev: Slow) -> api.StopEvent:
            try:
                await asyncio.sleep(3600)
            finally:
                left.append("slow")
            return api.StopEvent(result="slow")

        @api.step
        async def fast(self, ev: Fast) -> api.StopEvent:
            await asyncio.sleep(0.05)
            return api.StopEvent(result="fast")

    async def main() -> None:
        assert await Flow().run() == "fast"
        await until(lambda: left == ["slow"])

    go(main())


def test_a_run_that_takes_too_long_is_a_timeout_error(api: Api) -> None:
    with pytest.raises(api.WorkflowTimeoutError) as caught:
        run(waiting(api)(timeout=0.1))
    assert "0.1" in str(caught.value)
    assert "hold" in str(caught.value)


def test_a_timeout_ends_the_stream_with_its_event(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api)(timeout=0.1).run()
        last = (await read(handler))[-1]
        assert isinstance(last, api.WorkflowTimedOutEvent)
        assert (last.timeout, last.active_steps) == (0.1, ["hold"])
        with pytest.raises(api.WorkflowTimeoutError):
            await handler
        assert handler.is_done()

    go(main())


def test_no_timeout_waits_as_long_as_needed(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            await asyncio.sleep(0.05)
            return api.StopEvent(result="end")

    assert run(Flow(timeout=None)) == "end"


def test_a_timed_out_step_is_cancelled(api: Api) -> None:
    flow = waiting(api)(timeout=0.1)

    async def main() -> None:
        with pytest.raises(api.WorkflowTimeoutError):
            await flow.run()
        await until(lambda: flow.left == ["cancelled"])

    go(main())


def test_cancel_run_raises_at_the_handler(api: Api) -> None:
    async def main() -> None:
        flow = waiting(api)()
        handler = flow.run()
        await until(lambda: flow.entered == 1)
        await handler.cancel_run()
        with pytest.raises(api.WorkflowCancelledByUser):
            await handler
        assert handler.is_done()
        await until(lambda: flow.left == ["cancelled"])

    go(main())


def test_cancel_run_ends_the_stream_with_its_event(api: Api) -> None:
    async def main() -> None:
        flow = waiting(api)()
        handler = flow.run()
        await until(lambda: flow.entered == 1)
        await handler.cancel_run()
        assert isinstance((await read(handler))[-1], api.WorkflowCancelledEvent)
        with pytest.raises(api.WorkflowCancelledByUser):
            await handler
        assert isinstance(handler.get_stop_event(), api.WorkflowCancelledEvent)

    go(main())


def test_cancel_run_after_the_end_changes_nothing(api: Api) -> None:
    async def main() -> None:
        handler = echo(api)().run(n=1)
        assert await handler == 1
        await handler.cancel_run()
        assert await handler == 1

    go(main())


def test_a_workflow_runs_again_after_a_cancellation(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            await asyncio.sleep(ev.seconds)
            return api.StopEvent(result="end")

    async def main() -> None:
        flow = Flow()
        handler = flow.run(seconds=3600)
        await asyncio.sleep(0.02)
        await handler.cancel_run()
        assert await flow.run(seconds=0) == "end"

    go(main())


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


def test_sync_steps_run(api: Api) -> None:
    class Middle(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        def first(self, ev: api.StartEvent) -> Middle:
            return Middle(n=ev.n + 1)

        @api.step
        def second(self, ctx: api.Context, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result=ev.n * 2)

    assert run(Flow(), n=1) == 4


def test_a_sync_step_does_not_block_the_loop(api: Api) -> None:
    class Ask(api.Event):
        pass

    class Open(api.Event):
        pass

    gate = threading.Event()

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Ask | Open | None:
            ctx.send_event(Ask())
            ctx.send_event(Open())
            return None

        @api.step
        def blocked(self, ev: Ask) -> api.StopEvent:
            return api.StopEvent(result=gate.wait(10))

        @api.step
        async def opens(self, ev: Open) -> None:
            gate.set()

    assert run(Flow()) is True


def test_a_sync_step_can_raise(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise ValueError("sync went wrong")

    with pytest.raises(ValueError, match="sync went wrong"):
        run(Flow())


def test_a_step_runs_another_workflow(api: Api) -> None:
    class Inner(api.Workflow):
        @api.step
        async def double(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.n * 2)

    class Outer(api.Workflow):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        @api.step
        async def call(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=await self.inner.run(n=ev.n) + 1)

    assert run(Outer(Inner()), n=5) == 11


def test_a_nested_workflow_streams_through_the_outer_one(api: Api) -> None:
    class Note(api.Event):
        n: int

    class Inner(api.Workflow):
        @api.step
        async def count(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            for n in range(3):
                ctx.write_event_to_stream(Note(n=n))
            return api.StopEvent()

    class Outer(api.Workflow):
        @api.step
        async def call(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            handler = Inner().run()
            async for event in handler.stream_events():
                if isinstance(event, Note):
                    ctx.write_event_to_stream(event)
            await handler
            return api.StopEvent()

    async def main() -> list[int]:
        return [event.n for event in await read(Outer().run()) if isinstance(event, Note)]

    assert go(main()) == [0, 1, 2]


def test_a_failure_of_a_nested_workflow_fails_the_outer_step(api: Api) -> None:
    class Inner(api.Workflow):
        @api.step
        async def fail(self, ev: api.StartEvent) -> api.StopEvent:
            raise KeyError("inner")

    class Outer(api.Workflow):
        @api.step
        async def call(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=await Inner().run())

    with pytest.raises(KeyError, match="inner"):
        run(Outer())


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


def test_a_run_fails_at_the_first_failure_and_cancels_the_rest(api: Api) -> None:
    left: list[str] = []

    class Flow(api.Workflow):
        @api.step
        async def slow(self, ev: api.StartEvent) -> api.StopEvent:
            try:
                await asyncio.sleep(3600)
            finally:
                left.append("slow")
            return api.StopEvent()

        @api.step
        async def failing(self, ev: api.StartEvent) -> None:
            await asyncio.sleep(0.02)
            raise KeyError("lost")

    async def main() -> None:
        with pytest.raises(KeyError):
            await Flow().run()
        await until(lambda: left == ["slow"])

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


def test_a_function_of_ones_own_may_wrap_a_step(api: Api) -> None:
    calls: list[str] = []

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapped(*arguments: Any, **options: Any) -> Any:
            calls.append(function.__name__)
            return await function(*arguments, **options)

        return wrapped

    class Flow(api.Workflow):
        @api.step
        @logged
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result="end")

    assert run(Flow()) == "end"
    assert calls == ["only"]


def test_a_run_is_garbage_when_it_is_over(api: Api) -> None:
    class Held:
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent()

    async def main() -> Any:
        held = Held()
        await Flow().run(held=held)
        return weakref.ref(held)

    reference = go(main())
    gc.collect()
    assert reference() is None


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


def test_a_stop_event_type_of_ones_own_ends_the_run_from_any_step(api: Api) -> None:
    class Found(api.StopEvent):
        where: str

    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Found | Next:
            return Found(where="first") if ev.early else Next()

        @api.step
        async def second(self, ev: Next) -> Found:
            return Found(where="second")

    assert (run(Flow(), early=True).where, run(Flow(), early=False).where) == ("first", "second")
