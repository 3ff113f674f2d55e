"""Runs whose `Runs` are closed, or whose journal fails for a while: who waits is told, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from citewell.workflow import (
    AnswerRefused,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    JournalFailed,
    RunNotFound,
    RunOver,
    RunsClosed,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from citewell.workflow import runs as runs_module
from citewell.workflow.runs import Runs
from citewell.workflow.sqlite import SqliteJournal


class Ask(InputRequiredEvent):
    pass


class Say(HumanResponseEvent):
    text: str


class Asks(Workflow):
    @step
    async def ask(self, ev: StartEvent) -> Ask:
        return Ask()

    @step
    async def take(self, ev: Say) -> StopEvent:
        return StopEvent(result=ev.text)


class Sleeps(Workflow):
    @step
    async def sleep(self, ev: StartEvent) -> StopEvent:
        await asyncio.sleep(ev.for_s)
        return StopEvent(result="slept")


@pytest.mark.parametrize("workflow", [Asks(timeout=None), Sleeps(timeout=None)], ids=["parked", "at work"])
def test_whoever_waits_for_a_run_is_told_at_once_that_its_runs_were_closed(tmp_path, workflow):
    path = tmp_path / "runs.db"

    async def first() -> str:
        async with Runs(path, [workflow]) as runs:
            handler = await runs.start(workflow, for_s=600.0)
            if isinstance(workflow, Asks):
                while runs._live:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            waiting = asyncio.ensure_future(_await(handler))
            stream = handler.stream_events()
            if isinstance(workflow, Asks):
                assert isinstance(await anext(stream), Ask)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.01)
        for one in (waiting, reading):
            with pytest.raises(RunsClosed, match=rf"Run {handler.run_id} is not over: Runs\('.*runs\.db'\) was closed"):
                await asyncio.wait_for(one, 5)
        for ask in (handler, handler.stop_event_result(), handler.send_event(Say(text="late"))):
            with pytest.raises(RunsClosed, match="opened again"):
                await asyncio.wait_for(_await(ask), 5)
        with pytest.raises(RunsClosed):
            handler.cancel()
        assert not handler.is_done()
        return handler.run_id

    async def second(run_id: str) -> object:
        async with Runs(path, [workflow]) as runs:
            if isinstance(workflow, Asks):
                await runs.answer(run_id, Say(text="yes"))
                return await runs.result(run_id)
            handler = await runs.get(run_id)
            await handler.cancel_run()
            return handler.cancelled()

    run_id = asyncio.run(first())
    assert asyncio.run(second(run_id)) == ("yes" if isinstance(workflow, Asks) else True)


async def _await(what: object) -> object:
    return await what  # type: ignore[misc]


class Failing(SqliteJournal):
    """A journal whose disk takes nothing while `fails` says so of the rows that it is given."""

    fails: Callable[[list[str]], bool] = staticmethod(lambda _: False)
    refused = 0

    def _commit(self, ops):
        if self.fails([op.row[2] for op in ops if op.row is not None]):
            self.refused += 1
            return [(op.future, None, sqlite3.OperationalError("database or disk is full")) for op in ops]
        return super()._commit(ops)


class Half(Event):
    pass


class Chain(Workflow):
    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.ran: list[str] = []

    @step
    async def one(self, ev: StartEvent) -> Half:
        self.ran.append("one")
        return Half()

    @step
    async def two(self, ctx: Context, ev: Half) -> StopEvent:
        self.ran.append("two")
        return StopEvent(result="done")


def test_a_run_whose_journal_failed_goes_on_by_itself_once_the_journal_works(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(runs_module, "RETRY_S", 0.01)
    workflow = Chain()

    async def main() -> None:
        async with Failing(tmp_path / "runs.db") as journal, Runs(journal, [workflow]) as runs:
            full = True
            # The first outcome of a step, and from then on everything.
            broke = False

            def fails(rows: list[str]) -> bool:
                nonlocal broke
                broke = broke or any('"step":"one"' in row for row in rows)
                return broke and full

            journal.fails = fails
            handler = await runs.start(workflow)
            with pytest.raises(JournalFailed, match=r"of Chain could not be recorded: .*full.* goes on by itself"):
                await handler
            while journal.refused < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            # Nothing was done again for nothing: each try has only asked whether the journal works.
            assert workflow.ran == ["one"]
            assert (await journal.run(handler.run_id)).status == "running"
            full = False
            while (await journal.run(handler.run_id)).outcome is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert workflow.ran == ["one", "one", "two"]
            assert await runs.result(handler.run_id) == "done"
            assert await journal.verify(handler.run_id) is None

    asyncio.run(asyncio.wait_for(main(), 60))
    assert "waits for its record to work again" in caplog.text


def test_a_run_whose_journal_failed_is_left_alone_once_its_runs_are_closed(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(runs_module, "RETRY_S", 0.01)
    workflow = Chain()

    async def main() -> None:
        async with Failing(tmp_path / "runs.db") as journal:
            async with Runs(journal, [workflow]) as runs:
                journal.fails = lambda rows: any('"step":"one"' in row for row in rows)
                handler = await runs.start(workflow)
                with pytest.raises(JournalFailed):
                    await handler
            seen = len(workflow.ran)
            await asyncio.sleep(0.1)
            assert len(workflow.ran) == seen
            journal.fails = lambda _: False
            async with Runs(journal, [workflow]) as runs:
                assert await runs.result(handler.run_id) == "done"

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_run_that_is_over_says_so_to_who_cancels_or_answers_it_and_where_its_result_is(tmp_path: Path):
    workflow = Chain()

    async def main() -> None:
        async with Runs(tmp_path / "runs.db", [workflow]) as runs:
            handler = await runs.start(workflow)
            assert await handler == "done"
            while (await runs.journal.run(handler.run_id)).outcome is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            told = rf"Run {handler.run_id} is over \(done\).* runs\.result\('{handler.run_id}'\)"
            with pytest.raises(RunOver, match=told):
                await runs.cancel(handler.run_id)
            with pytest.raises(AnswerRefused, match=told):
                await runs.answer(handler.run_id, HumanResponseEvent())
        async with Runs(tmp_path / "runs.db", []) as runs:
            with pytest.raises(RunNotFound, match=r"is of Chain, which .* \(none\)\. Name Chain when"):
                await runs.get(handler.run_id)

    asyncio.run(asyncio.wait_for(main(), 60))
