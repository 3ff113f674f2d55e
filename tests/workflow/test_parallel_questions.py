"""Steps that ask several things at once, or ask and work: at work they hold their run, waiting they hold nothing."""

from __future__ import annotations

import asyncio

import pytest

from citewell.workflow import Context, Event, HumanResponseEvent, StartEvent, StopEvent, Workflow, step
from citewell.workflow.runs import Runs


class Say(HumanResponseEvent):
    to: str


class Part(Event):
    n: int


async def ask(ctx: Context, to: str) -> Say:
    return await ctx.wait_for_event(Say, waiter_id=to, requirements={"to": to}, timeout=None)


class FirstOfTwo(Workflow):
    """Goes on with the first answer, and works for a while."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.began = 0
        self.works = asyncio.Event()
        self.goes_on = asyncio.Event()

    @step
    async def both(self, ctx: Context, ev: StartEvent) -> StopEvent:
        self.began += 1
        asked = [asyncio.create_task(ask(ctx, to)) for to in ("ann", "bob")]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        self.works.set()
        await self.goes_on.wait()
        return StopEvent(result=[one.result().to for one in asked if one.done()])


def test_a_step_that_goes_on_with_one_of_two_answers_is_not_parked_while_it_works(tmp_path):
    async def main() -> None:
        workflow = FirstOfTwo()
        async with Runs(tmp_path / "runs.db", [workflow], park_after_s=0) as runs:
            handler = await runs.start(workflow)
            while len(await runs.questions()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await runs.answer(handler.run_id, Say(to="bob"))
            await workflow.works.wait()
            await asyncio.sleep(0.05)
            assert handler.run_id in runs._live
            assert [one.key for one in await runs.questions()] == ["both/1/ann"]
            workflow.goes_on.set()
            assert await handler == ["bob"]
            assert workflow.began == 1
            assert await runs.questions() == []

    asyncio.run(asyncio.wait_for(main(), 60))


class AsksAndWorks(FirstOfTwo):
    """Asks, and works meanwhile."""

    @step
    async def both(self, ctx: Context, ev: StartEvent) -> StopEvent:
        self.began += 1
        asked = asyncio.create_task(ask(ctx, "ann"))
        self.works.set()
        await self.goes_on.wait()
        return StopEvent(result=(await asked).to)


def test_a_step_that_works_while_it_asks_is_not_parked_and_keeps_its_worker(tmp_path):
    async def main() -> None:
        workflow = AsksAndWorks()
        async with Runs(tmp_path / "runs.db", [workflow], park_after_s=0) as runs:
            handler = await runs.start(workflow)
            while not await runs.questions():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            run = runs._live[handler.run_id]
            assert run.reducer.active == 1
            workflow.goes_on.set()
            await runs.answer(handler.run_id, Say(to="ann"))
            assert await handler == "ann"
            assert workflow.began == 1
            assert run.reducer.active == 0

    asyncio.run(asyncio.wait_for(main(), 60))


class All(Workflow):
    @step
    async def all(self, ctx: Context, ev: StartEvent) -> StopEvent:
        answers = await asyncio.gather(*(ask(ctx, to) for to in ("ann", "bob", "cid")))
        return StopEvent(result=[one.to for one in answers])


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("cid", "bob", "ann"), ("bob", "cid", "ann")])
def test_a_step_that_gathers_answers_is_parked_between_any_two_of_them(tmp_path, order):
    async def main() -> None:
        workflow = All(timeout=None)
        async with Runs(tmp_path / "runs.db", [workflow], park_after_s=0) as runs:
            run_id = (await runs.start(workflow)).run_id
            for n, to in enumerate(order):
                open_ones = sorted(f"all/1/{one}" for one in order[n:])
                while runs._live or sorted(str(q.key) for q in await runs.questions()) != open_ones:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await runs.answer(run_id, Say(to=to))
            assert await runs.result(run_id) == ["ann", "bob", "cid"]

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("cid", "bob", "ann"), ("bob", "cid", "ann")])
def test_in_memory_a_gather_of_answers_gives_its_worker_back_in_between(order):
    async def main() -> None:
        handler = All(timeout=None).run()
        run = handler._run
        for n, to in enumerate(order):
            while run.reducer.active or len(run.reducer.waits or ()) != len(order) - n:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await handler.send_event(Say(to=to))
        assert await handler == ["ann", "bob", "cid"]
        assert run.reducer.active == 0
        assert not run.reducer.waits

    asyncio.run(asyncio.wait_for(main(), 60))
