"""Start keys, one process at a time, streams that are cut anywhere, and many runs that wait."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel

from citewell.workflow import (
    AnswerRefused,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    JournalFailed,
    ResourceConfig,
    StartEvent,
    StartKeyConflict,
    StopEvent,
    Workflow,
    WorkflowFailedEvent,
    WorkflowStuck,
    WorkflowValidationError,
    step,
)
from citewell.workflow.events import RecordedError
from citewell.workflow.runs import Runs
from citewell.workflow.sqlite import SqliteJournal
from citewell.workflow.sqlite_form import connect


def on_a_loop(test: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    @functools.wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(test(tmp_path), 600))  # type: ignore[arg-type]

    return run


class Shown(Event):
    n: int


class Ask(InputRequiredEvent):
    n: int


class Say(HumanResponseEvent):
    n: int


class Square(Workflow):
    @step
    async def work(self, ev: StartEvent) -> StopEvent:
        await asyncio.sleep(0.001)
        return StopEvent(result=ev.n**2)


class Story(Workflow):
    """Shows three events, asks, shows three more, and so on."""

    @step
    async def begin(self, ev: StartEvent) -> Ask:
        return Ask(n=0)

    @step
    async def tell(self, ctx: Context, ev: Say) -> Ask | StopEvent:
        for i in range(3):
            ctx.write_event_to_stream(Shown(n=ev.n * 3 + i))
        return Ask(n=ev.n + 1) if ev.n < 4 else StopEvent(result="told")


@on_a_loop
async def test_of_a_thousand_starts_at_once_with_a_hundred_keys_there_are_a_hundred_runs(tmp_path):
    path = tmp_path / "runs.db"
    square = Square()
    ids: dict[int, str] = {}
    for _ in range(2):
        # The second time after a restart.
        async with Runs(path, [square]) as runs:

            async def start(n: int, runs: Runs = runs) -> None:
                handler = await runs.start(square, key=f"key {n}", n=n)
                assert ids.setdefault(n, handler.run_id) == handler.run_id
                assert await handler == n * n

            await asyncio.gather(*(start(i % 100) for i in random.Random(0).sample(range(1000), 1000)))
            assert len(await runs.find(limit=2000)) == 100
            for n in range(100):
                with pytest.raises(StartKeyConflict, match=f"'key {n}' of Square has begun run {ids[n]}") as caught:
                    await runs.start(square, key=f"key {n}", n=n + 1)
                assert caught.value.run_id == ids[n]
            assert len(await runs.find(limit=2000)) == 100
            for n in range(100):
                entries = await runs.journal.entries(ids[n])
                assert [entry.kind for entry in entries] == ["event", "event", "step"]


@on_a_loop
async def test_a_start_that_is_cancelled_while_it_is_recorded_goes_on(tmp_path):
    square = Square()
    async with Runs(tmp_path / "runs.db", [square]) as runs:
        task = asyncio.create_task(runs.start(square, run_id="left", n=3))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not await runs.find(status="done"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert await runs.result("left") == 9


OTHER = """
import asyncio, sys
from citewell.workflow import WorkflowError
from citewell.workflow.runs import Runs
async def main():
    async with Runs(sys.argv[1]): pass
try: asyncio.run(main())
except WorkflowError as error: print(error)
"""


@on_a_loop
async def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "runs.db"
    async with Runs(path, [square := Square()]) as runs:
        found = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", OTHER, str(path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        assert found.stdout.strip() == (
            f"The runs in {path} belong to another process that is going on. End it, or open them read-only."
        )
        assert await (await runs.start(square, n=2)) == 4
    async with Runs(path, [square]) as runs:
        assert await (await runs.start(square, n=3)) == 9


class Unlocked(SqliteJournal):
    """A journal for which the lock is another file's."""

    def open(self) -> None:
        path, self.path = self.path, self.path.with_name(f"{id(self)}")
        self._lock_file = open(self.path, "ab")  # noqa: SIM115 - held until close()
        fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = path
        self._db = connect(self.path, read_only=False)
        self._start()


class Slow(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Shown:
        await asyncio.sleep(ev.n / 1000)
        return Shown(n=1)

    @step
    async def turn(self, ev: Shown) -> Shown | StopEvent:
        await asyncio.sleep(0.001)
        return Shown(n=ev.n + 1) if ev.n < 5 else StopEvent(result=5)


@on_a_loop
async def test_without_the_lock_the_record_refuses_the_second_of_two_that_go_on_with_one_run(tmp_path):
    path = tmp_path / "runs.db"
    ends: Counter[str] = Counter()
    first, second = Slow(), Slow()
    async with Unlocked(path) as one, Unlocked(path) as other, Runs(one, [first]) as runs:
        for n in range(20):
            handler = await runs.start(first, n=n)
            async with Runs(other, [second]) as rival:
                found = await asyncio.gather(handler, rival.result(handler.run_id), return_exceptions=True)
            assert 5 in found
            for end in found:
                ends[type(end).__name__] += 1
                assert end == 5 or (isinstance(end, JournalFailed) and f"run {handler.run_id}" in str(end))
            assert await one.verify(handler.run_id) is None
            entries = await one.entries(handler.run_id)
            over = [(e.step, e.caused_by) for e in entries if e.kind == "step"]
            assert len(over) == len(set(over)) == 6
            assert (await one.run(handler.run_id)).status == "done"
    assert ends["RunTaken"]


class Silent(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> StopEvent | None:
        return None


@on_a_loop
async def test_the_record_of_a_run_that_got_stuck_says_what_it_waited_for(tmp_path):
    async with Runs(tmp_path / "runs.db", [Silent()]) as runs:
        with pytest.raises(WorkflowStuck) as caught:
            await (await runs.start(runs._workflows["Silent"], run_id="silent"))
    async with Runs(tmp_path / "runs.db", [Silent()]) as runs:
        with pytest.raises(WorkflowStuck) as again:
            await runs.result("silent")
    assert str(again.value) == str(caught.value)
    assert again.value.waiting == caught.value.waiting
    assert "step 'begin' emitted nothing on StartEvent (event 1)" in again.value.waiting


@on_a_loop
async def test_a_stream_cut_at_five_hundred_places_loses_and_doubles_nothing(tmp_path):
    """Cut after each event, opened anew in between, in runs that end, and in ones that go on while they are read."""
    story = Story(timeout=None)
    path = tmp_path / "runs.db"
    cuts = 0
    whole: list[tuple[int, str]] = []
    while cuts < 500:
        draw = random.Random(cuts)
        seen: list[tuple[int, str]] = []
        run_id = None
        while not (seen and "told" in seen[-1][1]):
            async with Runs(path, [story], park_after_s=0) as runs:
                if run_id is None:
                    run_id = (await runs.start(story)).run_id
                after = seen[-1][0] if seen else 0
                most = draw.randint(1, 3)
                asker = asyncio.create_task(_answer(runs, run_id))
                async for seq, event in runs.stream(run_id, after=after):
                    seen.append((seq, repr(event)))
                    most -= 1
                    if not most:
                        break
                asker.cancel()
                cuts += 1
        assert [seq for seq, _ in seen] == sorted({seq for seq, _ in seen})
        async with Runs(path, [story]) as runs:
            again = [(seq, repr(event)) async for seq, event in runs.stream(run_id)]
            assert seen == again
            for at, (seq, _) in enumerate(again):
                rest = [(number, repr(event)) async for number, event in runs.stream(run_id, after=seq)]
                assert rest == again[at + 1 :]
                cuts += 1
        whole = whole or [one for _, one in seen]
        assert [one for _, one in seen] == whole
    assert len(whole) == 5 + 15 + 1


async def _answer(runs: Runs, run_id: str) -> None:
    while True:
        for question in await runs.questions():
            if question.run_id == run_id:
                with contextlib.suppress(AnswerRefused):
                    await runs.answer(run_id, Say(n=question.content["n"]))
        await asyncio.sleep(0.001)


READER = """
import asyncio, sys
from test_durable_runs import Story, _answer
from citewell.workflow.runs import Runs
async def main():
    async with Runs(sys.argv[1], [story := Story(timeout=None)]) as runs:
        await runs.start(story, key="story", run_id="story")
        asker = asyncio.create_task(_answer(runs, "story"))
        async for seq, event in runs.stream("story", after=int(sys.argv[2])):
            print(seq, repr(event), flush=True)
            await asyncio.sleep(0.002)
        asker.cancel()
asyncio.run(main())
"""


def test_a_reader_of_a_process_that_is_killed_goes_on_with_its_cursor(tmp_path):
    here = Path(__file__).parent
    seen: list[tuple[int, str]] = []
    draw = random.Random(1)
    lives = 0
    while not (seen and "told" in seen[-1][1]):
        lives += 1
        child = subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path / "runs.db"), str(seen[-1][0] if seen else 0)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
        )
        assert child.stdout is not None
        for _ in range(draw.randint(1, 5)):
            line = child.stdout.readline()
            if line:
                seq, _, event = line.strip().partition(" ")
                seen.append((int(seq), event))
        child.kill()
        child.wait(10)
        child.stdout.close()
    assert lives > 3

    async def all_of_it() -> list[tuple[int, str]]:
        async with Runs(tmp_path / "runs.db", [Story(timeout=None)]) as runs:
            return [(seq, repr(event)) async for seq, event in runs.stream("story")]

    assert seen == asyncio.run(all_of_it())


async def _park(path: Path, count: int) -> None:
    """That many runs that wait for an answer."""
    async with SqliteJournal(path) as journal, Runs(journal, [story := Story(timeout=None)]) as runs:
        for _ in range(0, count, 1000):
            await asyncio.gather(*(runs.start(story) for _ in range(min(count, 1000))))
            while runs._live:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def _opening_s(path: Path) -> float:
    """The best of some openings, in seconds."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        async with Runs(path, [Story(timeout=None)]) as runs:
            times.append(time.perf_counter() - began)
            assert not runs._live
    return min(times)


@on_a_loop
async def test_runs_that_wait_cost_nothing_when_they_are_opened(tmp_path):
    for count in (200, 2_000):
        await _park(tmp_path / str(count), count)
    few, many = await _opening_s(tmp_path / "200"), await _opening_s(tmp_path / "2000")
    # Ten times as many: in a design that reads them all, ten times as long.
    assert many < few * 4


@pytest.mark.long
@on_a_loop
async def test_a_hundred_thousand_runs_that_wait_are_opened_in_a_second(tmp_path):
    await _park(tmp_path / "few", 1_000)
    await _park(tmp_path / "many", 100_000)
    few, many = await _opening_s(tmp_path / "few"), await _opening_s(tmp_path / "many")
    print(f"1,000 waiting runs open in {few * 1000:.1f} ms, 100,000 in {many * 1000:.1f} ms")
    assert many < few * 20


class Tells(Workflow):
    """Notes each call of its steps."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.ran: list[str] = []

    @step
    async def ask(self, ev: StartEvent, ctx: Context) -> Ask:
        self.ran.append("ask")
        await ctx.store.set("n", ev.n)
        return Ask(n=ev.n)

    @step
    async def tell(self, ev: Say) -> StopEvent:
        self.ran.append("tell")
        if ev.n < 0:
            raise ValueError("below zero")
        return StopEvent(result=ev.n)


@pytest.mark.parametrize("keep_history", [True, False])
def test_a_record_is_read_and_compacted_without_running_a_step(tmp_path, keep_history):
    async def main() -> None:
        path, workflow = tmp_path / "runs.db", Tells()
        async with Runs(path, [workflow]) as runs:
            for run_id in ("good", "bad"):
                await runs.start(workflow, run_id=run_id, n=1)
            while len(await runs.find(waiting=True)) < 2 or runs._live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            waits = await runs.replay("good")
            assert (waits.outcome, waits.pending, waits.state) == (None, (), {"n": 1})
            assert [type(event) for _, event in waits.stream] == [Ask]
            assert await runs.compact("good", keep_history=keep_history) == 3
            assert await runs.compact("good", keep_history=keep_history) == 0
            assert len(await runs.journal.entries("good")) == (3 if keep_history else 0)
            await runs.answer("good", Say(n=7))
            with pytest.raises(AnswerRefused):
                await runs.answer("good", Say(n=8))
            await runs.answer("bad", Say(n=-1))
            assert await runs.result("good") == 7
            # The exception itself while the run is in memory, and what the record keeps of it afterwards.
            with pytest.raises((ValueError, RecordedError), match="below zero"):
                await runs.result("bad")
            for run_id in ("good", "bad"):
                while (await runs.journal.run(run_id)).outcome is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        assert workflow.ran == ["ask", "ask", "tell", "tell"]
        looking = Tells()
        async with Runs(path, [looking]) as runs:
            for again in (False, True):
                good, bad = await runs.replay("good"), await runs.replay("bad")
                assert [type(event) for _, event in good.stream] == [Ask]
                assert [one.outcome.status for one in (good, bad) if one.outcome is not None] == ["done", "failed"]
                assert (good.pending, good.state, bad.state) == ((), {"n": 1}, {"n": 1})
                assert await runs.result("good") == 7
                with pytest.raises(RecordedError, match="below zero") as caught:
                    await runs.result("bad")
                assert caught.value.original_type == "ValueError"
                stream = [type(event) for _, event in [one async for one in runs.stream("bad")]]
                assert stream == [Ask, WorkflowFailedEvent]
                for run_id in ("good", "bad"):
                    assert bool(await runs.compact(run_id, keep_history=keep_history)) != again
                    assert await runs.journal.verify(run_id) is None
        assert looking.ran == []

    asyncio.run(asyncio.wait_for(main(), 60))


class Limits(BaseModel):
    most: int


def test_a_resource_that_cannot_be_made_is_named_before_a_recorded_run_begins_or_goes_on(tmp_path):
    settings = tmp_path / "limits.json"

    def made() -> Workflow:
        class Limited(Workflow):
            @step
            async def ask(self, ev: StartEvent) -> Ask:
                return Ask(n=ev.n)

            @step
            async def check(self, ev: Say, limits: Annotated[Limits, ResourceConfig(str(settings))]) -> StopEvent:
                return StopEvent(result=min(ev.n, limits.most))

        return Limited(timeout=None)

    async def main() -> None:
        path = tmp_path / "runs.db"
        async with Runs(path, [workflow := made()]) as runs:
            with pytest.raises(WorkflowValidationError, match=r"step 'check': .*limits\.json"):
                await runs.start(workflow, run_id="r", n=9)
            assert await runs.find() == []
            settings.write_text('{"most": 5}')
            await runs.start(workflow, run_id="r", n=9)
        settings.unlink()
        async with Runs(path, [made()]) as runs:
            with pytest.raises(WorkflowValidationError, match=r"step 'check': .*limits\.json"):
                await runs.answer("r", Say(n=9))
            settings.write_text('{"most": 5}')
            await runs.answer("r", Say(n=9))
            assert await runs.result("r") == 5

    asyncio.run(asyncio.wait_for(main(), 60))
