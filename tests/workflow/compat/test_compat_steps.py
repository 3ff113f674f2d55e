"""Steps: branches, loops, several takers of one event, workers, sync steps, nested workflows."""

import asyncio
import functools
import threading
from typing import Any

import pytest
from drive import go, read, run
from roots import Api


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
