"""A run is cancelled at each of its step boundaries: it ends at once, its steps clean up, and one commit records it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from citewell.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    MemoryJournal,
    StartEvent,
    StopEvent,
    Workflow,
    launch,
    step,
)
from citewell.workflow.errors import WorkflowCancelledByUser
from citewell.workflow.job import Job
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_fixed
from citewell.workflow.run import Run
from citewell.workflow.watch import Watch


class Part(Event):
    n: int


class Done(Event):
    n: int


class Collected(Event):
    total: int


class Say(HumanResponseEvent):
    n: int


class Turn(Event):
    pass


class Asked(Event):
    pass


class Answered(Event):
    n: int


class Everything(Workflow):
    """Fans out and in, waits and cleans up, tries again, asks, and has a step that ignores that it is cancelled."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.open = 0
        self.cleaned = 0
        self.failed = False

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> list[Part]:
        await ctx.store.set("begun", True)
        return [Part(n=n) for n in range(3)]

    @step(num_workers=2)
    async def work(self, ev: Part) -> Done:
        self.open += 1
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            self.cleaned += 1
            raise
        finally:
            self.open -= 1
        return Done(n=ev.n)

    @step
    async def gather(self, ctx: Context, done: list[Done]) -> Collected:
        return Collected(total=sum(one.n for one in done))

    @step(retry_policy=retry_policy(wait=wait_fixed(0.001), stop=stop_after_attempt(2)))
    async def again(self, ctx: Context, ev: Collected) -> Turn | Asked:
        if not self.failed:
            self.failed = True
            raise LookupError("once")
        ctx.send_event(Asked())
        return Turn()

    @step
    async def ask(self, ctx: Context, ev: Asked) -> Answered:
        answer = await ctx.wait_for_event(Say, timeout=None)
        return Answered(n=answer.n)

    @step
    async def stubborn(self, ev: Turn) -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                # It will not be told.
                continue

    @step
    async def end(self, ev: Answered) -> StopEvent:
        return StopEvent(result=ev.n)


class Counted(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def started(self, run, entries):
        self.calls.append("started")
        await asyncio.sleep(0)
        await super().started(run, entries)

    async def append(self, run_id, entries):
        self.calls.append("append")
        await asyncio.sleep(0)
        await super().append(run_id, entries)

    async def ended(self, run_id, outcome, entries):
        self.calls.append("ended")
        await asyncio.sleep(0)
        await super().ended(run_id, outcome, entries)


class Cancelling(Watch):
    """Cancels the run at the boundary of this number, counted from 1; notes which steps begin after that."""

    def __init__(self, at: int, journal: Counted) -> None:
        super().__init__()
        self.at = at
        self.journal = journal
        self.passed = 0
        self.begun_late: list[str] = []
        self.calls_before = -1
        # Whether the stop event had come already.
        self.over = False

    async def step(self, run: Run, job: Job, perform: Callable[[Run, Job], Awaitable[Any]]) -> Any:
        if self.calls_before >= 0:
            self.begun_late.append(job.spec.name)
        self._pass(run)
        try:
            return await super().step(run, job, perform)
        finally:
            self._pass(run)

    def _pass(self, run: Run) -> None:
        self.passed += 1
        if self.passed == self.at:
            self.over = run.closing
            self.calls_before = len(self.journal.calls)
            run.cancel()


async def cancel_at(at: int, *, recorded: bool) -> tuple[Cancelling, Everything, Any, Counted]:
    workflow, journal = Everything(), Counted()
    workflow._watch = watch = Cancelling(at, journal)
    handler = launch(workflow, StartEvent(), journal=journal, run_id="r") if recorded else workflow.run()
    while not handler.is_done():
        if handler._run.reducer.waits and not handler._run.closing:
            await handler.send_event(Say(n=7))
        await asyncio.sleep(0.0005)
    return watch, workflow, handler, journal


@pytest.mark.parametrize("recorded", [False, True], ids=["in memory", "recorded"])
def test_a_run_can_be_cancelled_at_every_step_boundary(recorded):
    async def main() -> None:
        watch, _, handler, _ = await cancel_at(0, recorded=recorded)
        assert await handler == 7
        boundaries, cleaned, over = watch.passed, 0, 0
        # Nine jobs: beginning and end of each.
        assert boundaries == 2 * 9
        for at in range(1, boundaries + 1):
            watch, workflow, handler, journal = await cancel_at(at, recorded=recorded)
            if watch.over:
                # The step that would not go, interrupted by the stop event.
                assert await handler == 7
                over += 1
                continue
            with pytest.raises(WorkflowCancelledByUser):
                await handler
            assert not watch.begun_late, at
            assert workflow.open == 0, at
            cleaned += workflow.cleaned
            assert not handler._run.reducer.active
            assert not handler._run.workers or all(one.task.done() for one in handler._run.workers)
            if recorded:
                _check_record(journal, watch.calls_before, at)
        assert cleaned > 2
        assert over <= 1

    asyncio.run(asyncio.wait_for(main(), 120))


def _check_record(journal: Counted, calls_before: int, at: int) -> None:
    # One commit holds the end, and what came of the clean-up; before it, whoever was writing goes on while there is
    # something to write.
    after: Sequence[str] = journal.calls[calls_before:]
    assert after[-1] == "ended", at
    assert set(after[:-1]) <= {"append"}, at
    assert len(after) <= 4, at
    assert journal.outcomes["r"].status == "cancelled"
    entries = journal.entries["r"]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert str(entries[-1].event).endswith("WorkflowCancelledEvent")
