"""Runs that outlive their process: started once per key, resumed after a crash, parked while they wait for people."""

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from citewell.workflow import ends, outside, questions
from citewell.workflow.clock import clock_of
from citewell.workflow.codec import encode
from citewell.workflow.definition import definition
from citewell.workflow.errors import (
    AnswerRefused,
    JournalFailed,
    RunNotFound,
    RunOver,
    RunsClosed,
    RunTaken,
    WorkflowRuntimeError,
)
from citewell.workflow.handler import WorkflowHandler
from citewell.workflow.journal import Entry, RunStart
from citewell.workflow.outlet import Outlet
from citewell.workflow.plain import PlainEvent
from citewell.workflow.rebuild import Replayed, ended, rebuild, replayed, snapshot_of
from citewell.workflow.record import check_recordable, name_in
from citewell.workflow.replay import Replay
from citewell.workflow.run import Run
from citewell.workflow.sqlite import SqliteJournal
from citewell.workflow.sqlite_form import RunRow, RunStatus
from citewell.workflow.workflow import Workflow

log = logging.getLogger("citewell.workflow")

PARK_AFTER_S = 60.0
"""How long a run whose step is suspended in wait_for_event stays in memory."""
RETRY_S = 1.0
RETRY_MOST_S = 60.0
"""First and longest pause before what the journal did not take is tried again."""
COMPACT_AFTER = 5_000
"""A run that is parked with more entries than this since its last snapshot gets a new one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Something that a run asks somebody outside. `key` is None where a step takes what answers it."""

    run_id: str
    workflow: str
    key: str | None
    wants: str | None
    asks: str | None
    content: Any
    who: tuple[str, ...] | None
    due: float | None


class Runs:
    """The runs of some workflows in one journal: `async with Runs("runs.db", [Refund()]) as runs`.

    Entering it resumes every run that was going on when the last process ended; runs that wait for people stay in
    the file until they are answered or their time is over. An id of a workflow that is not among `workflows` is left
    alone. Who holds no handler of a parked run holds nothing of it in memory.
    """

    def __init__(
        self,
        journal: SqliteJournal | str | os.PathLike[str],
        workflows: Iterable[Workflow] = (),
        *,
        park_after_s: float = PARK_AFTER_S,
        resume: bool = True,
    ) -> None:
        self._own = not isinstance(journal, SqliteJournal)
        self.journal = journal if isinstance(journal, SqliteJournal) else SqliteJournal(journal)
        self._workflows = {one._graph.name: one for one in workflows}
        self._park_after_s = park_after_s
        self._resume = resume
        self._live: dict[str, Run] = {}
        self._outlets: WeakValueDictionary[str, Outlet] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        # Held while a run comes to memory, so that it never is there twice.
        self._coming: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._closed = False
        # Runs that could not be resumed when this was opened, and why.
        self.refused: dict[str, Exception] = {}

    async def __aenter__(self) -> "Runs":
        self._clock = clock_of(asyncio.get_running_loop())
        for workflow in self._workflows.values():
            check_recordable(workflow._graph)
        if self._own:
            self.journal.open()
        if self._resume:
            going, due = await self.journal.agenda()
            for run_id, name in going:
                await self._resume_one(run_id, name)
            self._set_alarm(due)
        return self

    async def _resume_one(self, run_id: str, name: str) -> None:
        if name not in self._workflows or run_id in self._live or run_id in self.refused:
            return
        try:
            await self._wake(run_id)
        except RunOver:
            # Others that were resumed have brought it to its end meanwhile.
            return
        except Exception as error:  # noqa: BLE001 - one run that does not fit must not stop the others
            log.error("Run %s of %s was not resumed: %s", run_id, name, error)
            self.refused[run_id] = error

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop working: what is recorded stays, and goes on when the runs are opened again."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        for task in list(self._tasks):
            task.cancel()
        runs = list(self._live.values())
        for run in runs:
            run.leave()
        await asyncio.gather(*(run.left() for run in runs))
        self._live.clear()
        for run_id, outlet in list(self._outlets.items()):
            outlet.close(self._closed_error(f"Run {run_id} is not over"))
        if self._own:
            await self.journal.close()

    # Starting and finding

    async def start(
        self,
        workflow: Workflow,
        start_event: PlainEvent | None = None,
        *,
        key: str | None = None,
        run_id: str | None = None,
        **fields: Any,
    ) -> WorkflowHandler:
        """A run that is on the disk when this returns: it will go on to its end, whatever happens to this process.

        With a `key` that has a run of this workflow already, that run. Raises StartKeyConflict when it began with
        another event.
        """
        self._known(workflow)
        graph = workflow._graph
        start = workflow.start_event(start_event, fields)
        check_recordable(graph)
        made = definition(workflow, graph)
        at = self._clock.wall()
        deadline = None if workflow._timeout is None else at + workflow._timeout
        run = RunStart(
            run_id or os.urandom(16).hex(), graph.name, made.fingerprint, at, None, made.parts, deadline, key
        )
        entry = Entry(1, "event", at, None, name_in(graph, start), encode(start))
        async with self._turn(run.run_id):
            try:
                chosen, made_now = await self.journal.accept(run, [entry])
            except asyncio.CancelledError:
                # It may be on its way to the disk, and then it goes on although nobody waits for it.
                self._spawn(self._adopt(run.run_id))
                raise
            if made_now:
                self._check_open()
                replay = Replay(graph)
                replay.reducer.seq = 1
                replay.reducer.deliver(1, start)
                return self._launch(workflow, run, replay, [])
        return await self.get(chosen)

    async def _adopt(self, run_id: str) -> None:
        await self.journal.flushed()
        with contextlib.suppress(RunNotFound, RunOver):
            await self._wake(run_id)

    async def get(self, run_id: str) -> WorkflowHandler:
        """The run's handler: to await it, read its stream, send it events. RunNotFound when there is none."""
        live = self._live.get(run_id)
        if live is not None:
            return self._handler(live)
        row = await self.journal.run(run_id)
        workflow = self._workflow_of(row)
        if row.outcome is None:
            try:
                return self._handler(await self._wake(run_id))
            except RunOver:
                # It has ended meanwhile.
                pass
        return await self._ended(workflow, run_id)

    async def result(self, run_id: str) -> Any:
        """What the run came to, now or in the end; raises what ended it."""
        return await (await self.get(run_id))

    async def find(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        waiting: bool | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        """The newest runs first."""
        return await self.journal.runs(status=status, workflow=workflow, waiting=waiting, limit=limit)

    async def questions(self, *, who: str | None = None, limit: int = 1000) -> list[Question]:
        """What runs ask, at most `limit` of them, newest first; with `who`, only what that person may answer."""
        rows = await self.journal.runs(status="running", waiting=True, limit=limit)
        # A run in memory knows better, and may ask while some of its steps go on.
        asking: list[tuple[str, str, Sequence[Mapping[str, Any]]]]
        asking = [(run.run_id, run.graph.name, questions.listed(run)) for run in reversed(self._live.values())]
        asking += [(row.run_id, row.workflow, row.questions) for row in rows if row.run_id not in self._live]
        found = []
        for run_id, workflow, asked in asking:
            for one in asked:
                allowed = one.get("who")
                if who is None or allowed is None or who in allowed:
                    found.append(
                        Question(
                            run_id,
                            workflow,
                            one.get("question"),
                            one.get("wants"),
                            one.get("asks"),
                            one.get("content"),
                            None if allowed is None else tuple(allowed),
                            one.get("due"),
                        )
                    )
        return found[:limit]

    # Going on

    async def answer(
        self, run_id: str, event: PlainEvent, *, question: str | None = None, by: str | None = None
    ) -> None:
        """Answer a run that waits; recorded when this returns.

        Of several answers to one question the first counts, and AnswerRefused is raised for the others, for those
        who may not answer, and for what nobody asked.
        """
        while True:
            try:
                run = self._live.get(run_id) or await self._wake(run_id)
            except RunOver as over:
                raise AnswerRefused(f"No answer is taken any more. {over}") from None
            await run.settled()
            if not run.parked:
                break
        await outside.receive(run, event, by=by, question=question)

    async def cancel(self, run_id: str) -> None:
        """End a run after the clean-up of its steps; recorded when this returns. JournalFailed when it was not.

        Raises RunOver when it has ended before.

        A run whose journal failed on the way goes on: ask again.
        """
        run = self._live.get(run_id) or await self._wake(run_id)
        run.cancel()
        await asyncio.wait([run.outlet.done()])
        run.outlet.seen = True
        if run.outlet.closed is not None:
            raise run.outlet.closed
        if isinstance(run.error, JournalFailed):
            raise run.error

    async def stream(self, run_id: str, after: int = 0) -> AsyncIterator[tuple[int, PlainEvent]]:
        """The run's streamed events with their numbers, from any cursor, across restarts; ends with the run."""
        handler = await self.get(run_id)
        stream = handler.stream_events(after=after)
        async for event in stream:
            yield stream.seq, event

    async def replay(self, run_id: str) -> Replayed:
        """What the record says of a run, read by the present code; no step runs.

        Raises DefinitionChanged or CodecError when the record does not fit the present code.
        """
        row, snapshot, entries = await self.journal.record(run_id)
        return replayed(self._workflow_of(row), row, snapshot, entries)

    async def compact(self, run_id: str, *, keep_history: bool = True) -> int:
        """Keep a snapshot of a run that is not in memory, so that resuming it costs no more than what came after.

        Without history the entries before it are dropped; the result stays. The number of entries that it stands for.
        """
        if run_id in self._live:
            raise WorkflowRuntimeError(f"Run {run_id} is going on. Compact it when it waits or is over.")
        row, snapshot, entries = await self.journal.record(run_id)
        if not entries:
            return 0
        form = snapshot_of(self._workflow_of(row), row, snapshot, entries)
        await self.journal.compact(run_id, entries[-1].seq, form, keep_history=keep_history)
        return len(entries)

    # Inside

    def _known(self, workflow: Workflow) -> None:
        name = workflow._graph.name
        known = self._workflows.setdefault(name, workflow)
        if type(known) is not type(workflow):
            raise WorkflowRuntimeError(
                f"Two workflows are named {name}: {type(known).__module__} and {type(workflow).__module__}. Rename one."
            )

    def _workflow_of(self, row: RunRow) -> Workflow:
        workflow = self._workflows.get(row.workflow)
        if workflow is None:
            known = ", ".join(self._workflows) or "none"
            raise RunNotFound(
                f"Run {row.run_id} is of {row.workflow}, which is not among these workflows ({known}). "
                f"Name {row.workflow} when the runs are opened."
            )
        return workflow

    def live(self, run: Run) -> Run:
        """The run as it is in memory now, or this one if it is not."""
        return self._live.get(run.run_id, run)

    async def wake(self, run_id: str) -> None:
        """Bring a run that waits back to memory."""
        await self._wake(run_id)

    async def _wake(self, run_id: str) -> Run:
        """The run in memory, resumed if it was not there."""
        self._check_open()
        async with self._turn(run_id):
            live = self._live.get(run_id)
            if live is not None:
                return live
            row, snapshot, entries = await self.journal.record(run_id)
            self._check_open()
            workflow = self._workflow_of(row)
            if row.outcome is not None:
                raise RunOver(
                    f"Run {run_id} is over ({row.outcome.status}): it goes on no more. "
                    f"What it came to: runs.result({run_id!r})."
                )
            replay, _ = rebuild(workflow, row, snapshot, entries)
            waiting = replay.ready(self._clock.wall())
            if row.waiting:
                self.journal.taken_up(run_id)
            handler = self._launch(workflow, row.started, replay, waiting)
            if replay.failed is not None or replay.reducer.stop is not None:
                # Before anything else can end it in another way.
                ends.close(handler._run, replay.failed)
            return handler._run

    def _turn(self, run_id: str) -> asyncio.Lock:
        return self._coming.get(run_id) or self._coming.setdefault(run_id, asyncio.Lock())

    def _check_open(self) -> None:
        if self._closed:
            raise self._closed_error("Nothing can be asked of these runs")

    def _closed_error(self, what: str) -> RunsClosed:
        return RunsClosed(
            f"{what}: Runs({str(self.journal.path)!r}) was closed. What is recorded goes on when it is opened again: "
            "`async with Runs(…) as runs`, then `await runs.result(run_id)`."
        )

    def _launch(self, workflow: Workflow, started: RunStart, replay: Replay, waiting: list[Any]) -> WorkflowHandler:
        graph = workflow._graph
        outlet = self._outlets.get(started.run_id)
        if outlet is None or outlet.finished:
            # One that is finished told its readers that the journal had failed; the run goes on all the same.
            outlet = Outlet()
        outlet.replace(replay.stream)
        self._outlets[started.run_id] = outlet
        run = Run(
            workflow,
            graph,
            None,
            run_id=started.run_id,
            state=replay.state,
            reducer=replay.reducer,
            outlet=outlet,
            journal=self.journal,
            begun=started,
            timeout_s=None if started.deadline is None else started.deadline - started.at,
            resources=workflow.resources if graph.wants_resources else None,
            gate=workflow._gate,
            watch=workflow._watch,
            keeper=self,
        )
        if waiting:
            questions.resume(run, waiting)
        self._live[started.run_id] = run
        return self._handler(run)

    def _handler(self, run: Run) -> WorkflowHandler:
        return WorkflowHandler(run, runs=self)

    async def _ended(self, workflow: Workflow, run_id: str) -> WorkflowHandler:
        """A handler of a run that is over."""
        row, snapshot, entries = await self.journal.record(run_id)
        return self._handler(ended(workflow, row, snapshot, entries))

    def on_quiet(self, run: Run) -> None:
        """As `Keeper` says."""
        if not self._closed:
            self._spawn(self._rest(run))

    async def _rest(self, run: Run) -> None:
        """Note that the run waits, and let it leave memory."""
        if not run.idle:
            # Somebody has answered already, and the mark would come after what came of that.
            return
        seq = run.reducer.seq
        due = questions.next_due(run)
        try:
            await self.journal.rest(run.run_id, due, questions.listed(run))
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything
            # Unmarked, nobody would see what it asks.
            log.warning("Run %s could not be marked as waiting, which is tried again: %s", run.run_id, error)
            await asyncio.sleep(RETRY_S)
            if run.reducer.seq == seq:
                await self._rest(run)
            return
        self._set_alarm(due)
        if questions.suspended(run):
            await asyncio.sleep(self._park_after_s)
        if run.idle and run.reducer.seq == seq and self._live.get(run.run_id) is run:
            run.leave()
            del self._live[run.run_id]
            if seq > COMPACT_AFTER:
                await run.left()
                await self.compact(run.run_id)

    def on_end(self, run: Run) -> None:
        """As `Keeper` says; a run that ended only because it could not be recorded is taken up again."""
        if self._live.get(run.run_id) is run:
            del self._live[run.run_id]
        lost = run.recorder is not None and run.recorder.broken and isinstance(run.error, JournalFailed)
        if lost and not self._closed and not isinstance(run.error, RunTaken):
            self._spawn(self._retry(run.run_id))

    async def _retry(self, run_id: str) -> None:
        """Take a run up again once the journal works: before that its steps would be done again for nothing."""
        pause_s = RETRY_S
        while run_id not in self._live:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MOST_S)
            try:
                await self.journal.probe()
                await self._wake(run_id)
            except (RunOver, RunNotFound, RunTaken):
                return
            except Exception as error:  # noqa: BLE001 - an adapter may raise anything
                log.warning("Run %s waits for its record to work again: %s", run_id, error)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Looking after runs failed", exc_info=error)

    # Time

    def _set_alarm(self, due: float | None) -> None:
        if due is None or self._closed or (self._alarm_at is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        delay_s = max(due - self._clock.wall(), 0.0)
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._alarm_at = self._alarm = None
        self._spawn(self._wake_lapsed())

    async def _wake_lapsed(self) -> None:
        for run_id, name in await self.journal.lapsed(self._clock.wall()):
            await self._resume_one(run_id, name)
        _, due = await self.journal.agenda()
        if due is not None:
            # Not at once again for runs that could not be resumed.
            self._set_alarm(max(due, self._clock.wall() + 1.0))
