"""One simulated world: a disk, the lives of a process on it, the people who order, ask and answer, and its laws."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from citewell.testing.clock import Deadlock, VirtualLoop, run_on
from citewell.testing.run_shape import shape_of_replay, shape_of_run
from citewell.testing.shuffle import ShuffledLoop
from citewell.testing.simulated_journal import Disk, DiskFull, Fault, SimulatedJournal
from citewell.workflow import AnswerRefused, Entry, JournalFailed, PlainEvent, Workflow, WorkflowRuntimeError
from citewell.workflow.errors import RunOver
from citewell.workflow.job import Job
from citewell.workflow.rebuild import rebuild
from citewell.workflow.run import Run
from citewell.workflow.runs import Question, Runs
from citewell.workflow.sqlite_form import entries as entries_of
from citewell.workflow.sqlite_form import rows, verify
from citewell.workflow.watch import Watch

PATIENCE_S = 2_000.0
"""Virtual seconds after which a workload that has not ended is lost."""


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """A run that somebody wants, under a start key, and no longer `cancel_after_s` virtual seconds after it began."""

    key: str
    workflow: Workflow
    fields: Mapping[str, Any]
    cancel_after_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Workload:
    """What is run. `answer` says what people answer to a question, and who; two of them answer at the same time.

    `check` gives what is wrong with a world at its end, beyond the laws that hold for all.
    """

    orders: Sequence[Order]
    answer: Callable[[Question], Sequence[tuple[PlainEvent, str | None]]] = lambda _: ()
    check: Callable[[World], Iterable[str]] = lambda _: ()

    @property
    def workflows(self) -> list[Workflow]:
        """Each workflow once."""
        return list({id(order.workflow): order.workflow for order in self.orders}.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is drawn for one schedule, but the order of tasks, which comes from `seed` alone."""

    seed: str
    faults: tuple[Fault, ...]
    orders: frozenset[str]
    park_after_s: float
    shuffled: bool = True


class World:
    """One schedule: what people have seen, and what the disk holds. Use it in `Workload.check`."""

    def __init__(self, workload: Workload, plan: Plan) -> None:
        self.workload = workload
        self.plan = plan
        self.disk = Disk(plan.faults)
        self.draw = random.Random(f"world {plan.seed}")  # noqa: S311 - schedules, not secrets
        self.trace: list[str] = []
        self.wrong: list[str] = []
        # What was acknowledged to people: ids by key, results by key, answers by question, keys of cancelled runs.
        self.started: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self.answered: dict[tuple[str, str], str | None] = {}
        self._acknowledged: Counter[tuple[str, str]] = Counter()
        self.cancelled: set[str] = set()
        self.lives = 0
        self._loop: VirtualLoop
        for workflow in workload.workflows:
            workflow._watch = _Onlooker(self)
            workflow.__dict__["_gate"] = _fresh(workflow)

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self._loop.time():10.3f} {text}")

    def entries(self, run_id: str) -> list[Entry]:
        """What the disk holds of a run."""
        return entries_of(self.disk.db, run_id, 0)

    def play(self) -> None:
        """Run it all."""
        loop = ShuffledLoop(_number(self.plan.seed)) if self.plan.shuffled else VirtualLoop()
        self._loop = loop
        try:
            run_on(loop, self._play())
        except Deadlock as error:
            self.wrong.append(f"everything stands still: {error}")

    async def _play(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await self._live():
                    pass
        except TimeoutError:
            missing = sorted(self.plan.orders - self.results.keys())
            self.wrong.append(f"never ended: {', '.join(missing)}")
            await self._kill([])

    async def _live(self) -> bool:
        """One life of the process; whether there has to be another."""
        self.lives += 1
        loop = asyncio.get_running_loop()
        crashed: asyncio.Future[Fault] = loop.create_future()
        asked: asyncio.Future[Fault] = loop.create_future()

        def end(fault: Fault) -> None:
            journal.dead = fault.kind != "close"
            chosen = crashed if journal.dead else asked
            if not chosen.done():
                chosen.set_result(fault)

        async def close() -> None:
            await runs.close()
            await journal.close()

        journal = SimulatedJournal(self.disk, self.draw, end)
        journal.open()
        runs = Runs(journal, self.workload.workflows, park_after_s=self.plan.park_after_s)
        self.note(f"life {self.lives} begins")
        life = loop.create_task(self._see_to_all(runs, journal))
        await _first(life, crashed, asked)
        if asked.done() and not crashed.done():
            self.note(f"the process closes at commit {asked.result().commit}")
            life.cancel()
            await _first(life, crashed)
        if not crashed.done():
            # It may crash all the same.
            await _first(loop.create_task(close()), crashed)
        delay_s = asked.result().delay_s if asked.done() else 0.0
        if crashed.done():
            delay_s = crashed.result().delay_s
            self.note(f"{crashed.result().kind} at commit {crashed.result().commit}")
        elif not asked.done():
            if error := life.exception():
                self.wrong.append(f"unexpected: {_innermost(error)!r}")
            return False
        await self._kill([runs])
        await asyncio.sleep(delay_s)
        return True

    async def _kill(self, all_runs: Sequence[Runs]) -> None:
        """Take everything out of memory."""
        for runs in all_runs:
            runs._closed = True
            if runs._alarm is not None:
                runs._alarm.cancel()
            for run in runs._live.values():
                run.leave()
        for _ in range(100):
            tasks = sorted(asyncio.all_tasks() - {asyncio.current_task()}, key=_age)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        self.wrong.append("some task cannot be cancelled")

    # People

    def _moment(self, within_s: float) -> float:
        # In half seconds, so that people do things at the same time.
        return round(self.draw.random() * within_s * 2) / 2

    async def _see_to_all(self, runs: Runs, journal: SimulatedJournal) -> None:
        await self._until_done(runs.__aenter__, journal)
        for run_id, error in runs.refused.items():
            if not isinstance(error, JournalFailed | DiskFull):
                self.wrong.append(f"run {run_id} was not resumed: {error!r}")
        self._look_for_sleepers(runs, journal)
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._answer_all(runs, journal, name)) for name in ("ann", "bob")]
            others.append(group.create_task(self._compare_all(runs, journal)))
            async with asyncio.TaskGroup() as orders:
                for order in self.workload.orders:
                    if order.key in self.plan.orders:
                        for who in range(self.draw.choice((1, 1, 2))):
                            orders.create_task(self._see_to(runs, journal, order, who))
            for other in others:
                other.cancel()

    async def _until_done(self, ask: Callable[[], Awaitable[Any]], journal: SimulatedJournal) -> Any:
        """What `ask` gives, asked again while the disk takes nothing."""
        while True:
            try:
                return await ask()
            except (JournalFailed, DiskFull) as error:
                if journal.dead:
                    await asyncio.get_running_loop().create_future()
                if "Another process" in str(error):
                    self.wrong.append(f"a run was in memory twice: {error}")
                await asyncio.sleep(self.draw.random())

    async def _see_to(self, runs: Runs, journal: SimulatedJournal, order: Order, who: int) -> None:
        run_id = f"{order.key}.{self.lives}.{who}"

        async def start() -> Any:
            return await runs.start(order.workflow, key=order.key, run_id=run_id, **order.fields)

        async def result() -> Any:
            return await runs.result(self.started[order.key])

        await asyncio.sleep(self._moment(self.draw.choice((0, 3))))
        if order.key in self.started and self.draw.random() < 0.5:
            # He does not ask for it again, and it goes on all the same.
            await self._look_on(self.started[order.key])
        handler = await self._until_done(start, journal)
        if self.started.setdefault(order.key, handler.run_id) != handler.run_id:
            self.wrong.append(f"{order.key} has two runs")
        self.note(f"{order.key}: started as {handler.run_id}")
        async with asyncio.TaskGroup() as group:
            if order.cancel_after_s is not None:
                group.create_task(self._cancel(runs, journal, order, handler.run_id))
            del handler
            try:
                said = repr(await self._until_done(result, journal))
            except (AnswerRefused, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 - how a run failed is its result here
                said = f"{getattr(error, 'original_type', type(error).__name__)}: {error}"
        # Which steps were running when time was over depends on when that was.
        said = said.replace(self.started[order.key], order.key).partition(" s (")[0]
        self.note(f"{order.key}: {said}")
        if self.results.setdefault(order.key, said) != said:
            self.wrong.append(f"{order.key} came to {self.results[order.key]}, then to {said}")

    async def _look_on(self, run_id: str) -> None:
        pause_s = 1.0
        while self._status(run_id) == "running":
            await asyncio.sleep(pause_s)
            pause_s *= 1.3

    async def _cancel(self, runs: Runs, journal: SimulatedJournal, order: Order, run_id: str) -> None:
        assert order.cancel_after_s is not None
        await asyncio.sleep(order.cancel_after_s)
        with contextlib.suppress(RunOver, JournalFailed, DiskFull):
            await runs.cancel(run_id)
            if not journal.dead and self._status(run_id) == "running":
                self.wrong.append(f"{order.key}: cancel() returned, and nothing of that is recorded")
            self.note(f"{order.key}: cancel() returned")

    async def _answer_all(self, runs: Runs, journal: SimulatedJournal, name: str) -> None:
        pause_s = 3.0
        while True:
            await asyncio.sleep(self._moment(pause_s))
            pause_s *= 1.3
            for question in await self._until_done(runs.questions, journal):
                pause_s = 3.0
                for event, by in self.workload.answer(question):
                    await self._answer(runs, journal, question, event, by or name)

    async def _answer(
        self, runs: Runs, journal: SimulatedJournal, question: Question, event: PlainEvent, by: str
    ) -> None:
        try:
            await runs.answer(question.run_id, event, question=question.key, by=by)
        except AnswerRefused:
            return
        except (JournalFailed, DiskFull) as error:
            if "Another process" in str(error):
                self.wrong.append(f"a run was in memory twice: {error}")
            return
        if journal.dead:
            return
        self.note(f"{by} has answered {question.key} of {question.run_id}")
        self._acknowledged[question.run_id, by] += 1
        if self._acknowledged[question.run_id, by] > self.disk.answers[question.run_id, by]:
            self.wrong.append(f"{by}'s answer to {question.run_id} is not recorded")
        if question.key is None:
            return
        place = (question.run_id, question.key)
        if place in self.answered:
            self.wrong.append(f"{place} was answered twice: by {self.answered[place]} and {by}")
        self.answered[place] = by

    async def _compare_all(self, runs: Runs, journal: SimulatedJournal) -> None:
        """Look from time to time whether the records come to the same as the runs in memory, and compact some."""
        pause_s = 5.0
        while True:
            await asyncio.sleep(self._moment(pause_s))
            pause_s *= 1.3
            for run in list(runs._live.values()):
                self._compare(runs, run, journal)
            if self.draw.random() < 0.5:
                for row in await self._until_done(lambda: runs.find(waiting=True), journal):
                    keep_history = self.draw.random() < 0.8
                    with contextlib.suppress(WorkflowRuntimeError, JournalFailed, DiskFull):
                        await runs.compact(row.run_id, keep_history=keep_history)

    def _look_for_sleepers(self, runs: Runs, journal: SimulatedJournal) -> None:
        """Runs that are marked as waiting for somebody, and have something to do."""
        if journal.dead:
            return
        found = self.disk.db.execute("SELECT run_id FROM runs WHERE status = 'running' AND waiting = 1").fetchall()
        for (run_id,) in found:
            row, snapshot, entries = journal.look(functools.partial(_record, run_id=run_id))
            replay, _ = rebuild(runs._workflow_of(row), row, snapshot, entries)
            # A step may go on when one of its questions is answered, or may need the others too: both are in order.
            replay._moved.clear()
            replay.ready(0.0)
            if run_id not in runs._live and (replay.reducer.ready or replay.reducer.stop or replay.failed):
                self.wrong.append(f"{run_id} sleeps although it has something to do")

    def _compare(self, runs: Runs, run: Run, journal: SimulatedJournal) -> None:
        if run.recorder is None or not run.recorder.idle or run.closing or run.parked or run.beginning or journal.dead:
            return
        row, snapshot, entries = journal.look(lambda db: _record(db, run.run_id))
        replay, _ = rebuild(runs._workflow_of(row), row, snapshot, entries)
        mine, found = shape_of_run(run), shape_of_replay(replay, run.clock.wall(), whole=not run.running_jobs())
        # A step that works, or is about to begin anew, asks again when it comes to its questions.
        busy = tuple(
            f"{job.spec.name}/{job.seq}/" for job in [*run.running_jobs(), *run.reducer.queued()] if job.wait is None
        )
        for shape in (mine, found):
            shape["waits"] = [key for key in shape["waits"] if not key.startswith(busy)]
        if mine != found:
            self.wrong.append(f"{run.run_id} is {mine}, its record comes to {found}")

    # The end

    def judge(self, expected: Mapping[str, str] | None) -> list[str]:
        """What is wrong, given the results of a world without faults."""
        wrong = self.wrong
        for order in self.workload.orders:
            if order.key not in self.plan.orders:
                continue
            run_id = self.started.get(order.key)
            if run_id is None or self._status(run_id) is None:
                wrong.append(f"{order.key} is lost")
                continue
            wrong += [f"{order.key}: {one}" for one in self._judge_record(run_id)]
            found = self.results.get(order.key)
            status = self._status(run_id)
            if order.cancel_after_s is not None and status == "cancelled":
                continue
            if expected is not None and found != expected[order.key] and order.cancel_after_s is None:
                wrong.append(f"{order.key} came to {found}, without faults to {expected[order.key]}")
        wrong += self.workload.check(self)
        return wrong

    def _status(self, run_id: str) -> str | None:
        found = self.disk.db.execute("SELECT status FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return None if found is None else str(found[0])

    def _judge_record(self, run_id: str) -> Iterator[str]:
        broken = verify(self.disk.db, run_id)
        self.disk.db.execute("ROLLBACK")
        if broken is not None:
            yield f"the record is broken: {broken}"
        if self._status(run_id) == "running" and not self.wrong:
            yield "its end is not recorded"
        entries = self.entries(run_id)
        over: set[tuple[str | None, int]] = set()
        for entry in entries:
            if entry.kind == "step" and entry.error is None:
                place = (entry.step, entry.caused_by[0])
                if place in over:
                    yield f"step {entry.step!r} has two outcomes for event {entry.caused_by[0]}"
                over.add(place)
            if entry.kind == "wait" and entry.due is not None:
                key = f"{entry.step}/{entry.caused_by[0]}/{entry.name}"
                answered = any(key in one.answers for one in entries)
                after = [one for one in entries if one.kind == "step" and one.step == entry.step and one.error is None]
                if not answered and any(one.at < entry.due and one.caused_by == entry.caused_by for one in after):
                    yield f"{key} lapsed before its time"

    def began(self, run_id: str, job: Job) -> None:
        """A step begins to work."""
        if (run_id, job.spec.name, job.seq) in self.disk.successes:
            self.wrong.append(f"{run_id}: step {job.spec.name!r} ran again on event {job.seq} after its commit")
        self.note(f"{run_id}: {job.spec.name} on {job.seq}, attempt {job.attempt}")


class _Onlooker(Watch):
    """Tells the world of every step that begins."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def step(self, run: Run, job: Job, perform: Callable[[Run, Job], Awaitable[Any]]) -> Any:
        self._world.began(run.run_id, job)
        return await super().step(run, job, perform)


def _record(db: Any, run_id: str) -> Any:
    row = next(rows(db, "run_id = ?", (run_id,)))
    kept = db.execute(
        "SELECT seq, form FROM snapshots WHERE run = (SELECT n FROM runs WHERE run_id = ?)", (run_id,)
    ).fetchone()
    snapshot = None if kept is None else json.loads(kept[1])
    return row, snapshot, entries_of(db, run_id, 0 if kept is None else kept[0])


def _fresh(workflow: Workflow) -> asyncio.Semaphore | None:
    # A semaphore belongs to the loop that it was used on first.
    return None if workflow._gate is None else asyncio.Semaphore(workflow._gate._value)


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Return once one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _number(seed: str) -> int:
    return random.Random(f"loop {seed}").getrandbits(32)  # noqa: S311 - schedules, not secrets


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _age(task: asyncio.Task[Any]) -> tuple[int, str]:
    name = task.get_name()
    return len(name), name
