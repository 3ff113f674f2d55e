"""A journal on the event loop itself, in memory that outlives it, which fails, dawdles and crashes when it is told to.

All that a SqliteJournal does with its database is done here too; what differs is when it is done, and by whom: not by
a thread, but in turns of the loop, so that a seeded loop gives the same order every time.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from citewell.workflow.errors import JournalFailed
from citewell.workflow.sqlite import SqliteJournal
from citewell.workflow.sqlite_form import SCHEMA, TABLES
from citewell.workflow.sqlite_writer import Op, resolve

FaultKind: TypeAlias = Literal["refuse", "slow", "slow to tell", "crash before", "crash after", "close"]
FAULTS: tuple[FaultKind, ...] = ("refuse", "slow", "slow to tell", "crash before", "crash after", "close")


class DiskFull(OSError):
    """A simulated disk took nothing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the commit of this number, counted from 1 over all lives of the process.

    "refuse": nothing of it is written, and all who asked are told. "slow" and "slow to tell" take `delay_s` before
    the commit, or after it. "crash …": the process ends before the commit, or after it and before anybody knows.
    "close": the process ends in an orderly way. After both it is away for `delay_s`.
    """

    commit: int
    kind: FaultKind
    delay_s: float = 0.0


class Disk:
    """What outlives a process: a database in memory.

    `successes` are the jobs whose outcome it took, `answers` how many answers of whom to which run: both also where
    the run was compacted since and the entry is gone.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.db.deserialize(_empty())
        self.faults = {fault.commit: fault for fault in faults}
        self.commits = 0
        self.successes: set[tuple[str, str, int]] = set()
        self.answers: Counter[tuple[str, str]] = Counter()

    def close(self) -> None:
        """Let go of the memory."""
        self.db.close()


class SimulatedJournal(SqliteJournal):
    """One process's view of a Disk. `on_end` is told of the fault that is to end the process."""

    def __init__(self, disk: Disk, draw: random.Random, on_end: Callable[[Fault], None] = lambda _: None) -> None:
        super().__init__("simulated")
        self._disk = disk
        self._draw = draw
        self._on_end = on_end
        self._busy: asyncio.Future[None] | None = None
        self.dead = False

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._db = self._disk.db

    async def close(self) -> None:
        self._hand_over()
        while self._busy is not None:
            await self._busy
        self.dead = True

    def _push(self, op: Op) -> None:
        if self.dead or self._loop is None:
            raise JournalFailed("The simulated process has ended.")
        if not self._queue:
            self._loop.call_soon(self._hand_over)
        self._queue.append(op)

    def _hand_over(self) -> None:
        if self.dead:
            return
        if self._queue:
            self._handed.append(self._queue)
            self._queue = []
        if self._handed and self._busy is None:
            assert self._loop is not None
            self._busy = self._loop.create_future()
            self._disk.commits += 1
            fault = self._disk.faults.get(self._disk.commits)
            if fault is not None and fault.kind == "slow":
                self._loop.call_later(fault.delay_s, self._write, fault)
            else:
                self._after_turns(lambda: self._write(fault))

    def _write(self, fault: Fault | None) -> None:
        if self.dead:
            return
        kind = None if fault is None else fault.kind
        if fault is not None and kind == "crash before":
            self._on_end(fault)
            return
        handed, self._handed = self._handed, []
        ops = [op for part in handed for op in part]
        outcomes: list[Any]
        if kind == "refuse":
            outcomes = [(op.future, None, DiskFull("the simulated disk is full")) for op in ops]
        else:
            outcomes = self._commit(ops)
            self._note(ops, outcomes)
        if fault is not None and kind == "crash after":
            self._on_end(fault)
            return
        if fault is not None and kind == "slow to tell":
            assert self._loop is not None
            self._loop.call_later(fault.delay_s, self._tell, outcomes)
        else:
            self._after_turns(lambda: self._tell(outcomes))
        if fault is not None and kind == "close":
            self._on_end(fault)

    def _tell(self, outcomes: list[Any]) -> None:
        if self.dead:
            return
        resolve(outcomes)
        assert self._busy is not None
        self._busy.set_result(None)
        self._busy = None
        self._hand_over()

    def _note(self, ops: Sequence[Op], outcomes: list[Any]) -> None:
        refused = {id(future) for future, _, error in outcomes if error is not None}
        for op in ops:
            if op.row is None or id(op.future) in refused:
                continue
            run_id, _, text = op.row
            for form in json.loads(text):
                if form["kind"] == "step" and "error" not in form:
                    self._disk.successes.add((run_id, form["step"], form["caused_by"][0]))
                elif "by" in form:
                    self._disk.answers[run_id, form["by"]] += 1

    def _after_turns(self, call: Callable[[], None]) -> None:
        """As long as a thread may take: some turns of the loop."""

        def wait(turns: int) -> None:
            assert self._loop is not None
            if turns:
                self._loop.call_soon(wait, turns - 1)
            else:
                call()

        wait(self._draw.randrange(1, 5))

    async def _read(self, do: Callable[[sqlite3.Connection], Any]) -> Any:
        for _ in range(self._draw.randrange(1, 4)):
            await asyncio.sleep(0)
        if self.dead:
            raise JournalFailed("The simulated process has ended.")
        found = self.look(do)
        for _ in range(self._draw.randrange(3)):
            await asyncio.sleep(0)
        return found

    def look(self, do: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `do` finds on the disk at this moment."""
        db = self._disk.db
        try:
            return do(db)
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")


def _empty() -> bytes:
    """A database without runs."""
    if not _EMPTY:
        db = sqlite3.connect(":memory:", isolation_level=None)
        for statement in TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")
        _EMPTY.append(db.serialize())
        db.close()
    return _EMPTY[0]


_EMPTY: list[bytes] = []
