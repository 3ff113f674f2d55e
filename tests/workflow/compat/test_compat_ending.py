"""The end of a run: the first stop event, time limits, cancellation, a failure, and nothing that is left."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from drive import go, read, run, until
from roots import Api
from small_flows import echo, waiting


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
