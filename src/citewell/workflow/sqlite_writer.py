"""One thread that writes: what all runs ask while a transaction is committed goes together into the next."""

import asyncio
import contextlib
import dataclasses
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from citewell.workflow.errors import JournalFailed, RunNotFound, RunTaken
from citewell.workflow.sqlite_form import last_hash

# Rows of one INSERT, so that few statements give the interpreter away and few texts are compiled.
_ROWS = (64, 8, 1)
_INSERTS = {size: f"INSERT INTO batches VALUES {', '.join(['(?, ?, ?, ?)'] * size)}" for size in _ROWS}


@dataclasses.dataclass(slots=True)
class Op:
    """Something to do in the next transaction, and a row of entries to write; `whole` when it is one statement."""

    do: Callable[[sqlite3.Connection], Any] | None
    future: "asyncio.Future[Any]"
    row: tuple[str, int, str] | None = None
    whole: bool = False


class GroupCommit:
    """Writes batches of entries, each run's in a hash chain, and whatever else is asked, in shared transactions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._queue: list[Op] = []
        self._handed: list[list[Op]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Number and hash chain head of each run that this process writes.
        self._numbers: dict[str, int] = {}
        self._heads: dict[str, bytes] = {}
        self._definitions: set[str] = set()

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_on, name=f"journal {self.path.name}", daemon=True)
        self._thread.start()

    async def _stop(self) -> None:
        """Commit what was asked, and end the thread."""
        if self._thread is None:
            return
        self._hand_over()
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._thread = None

    async def _ask(
        self, do: Callable[[sqlite3.Connection], Any], row: tuple[str, int, str] | None = None, *, whole: bool = False
    ) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._push(Op(do, future, row, whole))
        return await future

    def _push(self, op: Op) -> None:
        if self._thread is None or self._loop is None:
            raise JournalFailed(f"The record of runs in {self.path} is closed. Open it again with `async with`.")
        if not self._queue:
            # Once in a turn of the loop: what all runs ask in this turn goes into one transaction.
            self._loop.call_soon(self._hand_over)
        self._queue.append(op)

    def _hand_over(self) -> None:
        if self._queue:
            with self._wake:
                self._handed.append(self._queue)
                self._wake.notify()
            self._queue = []

    def _write_on(self) -> None:
        while True:
            with self._wake:
                while not self._handed and not self._closing:
                    self._wake.wait()
                handed, self._handed = self._handed, []
                if not handed:
                    return
            ops = handed[0] if len(handed) == 1 else [op for part in handed for op in part]
            outcomes = self._commit(ops)
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):
                # The loop may be closed already, and nobody waits any more.
                self._loop.call_soon_threadsafe(resolve, outcomes)

    def _commit(self, ops: Sequence[Op]) -> list[tuple["asyncio.Future[Any]", Any, BaseException | None]]:
        assert self._db is not None
        db = self._db
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        rows: list[tuple[str, int, str]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for op in ops:
                value, error = (None, None) if op.do is None else self._one(db, op)
                outcomes.append((op.future, value, error))
                if op.row is not None and error is None:
                    rows.append(op.row)
            # All together: each statement gives the interpreter away, and has to wait to get it back.
            self._insert(db, rows)
            db.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - told to everyone who has asked
            if db.in_transaction:
                db.execute("ROLLBACK")
            # What was learnt inside the transaction is not so.
            self._heads.clear()
            self._numbers.clear()
            self._definitions.clear()
            if len(ops) > 1:
                # One of them may be at fault: each by itself.
                return [outcome for op in ops for outcome in self._commit([op])]
            return [(ops[0].future, None, _told(error, ops[0]))]
        return outcomes

    @staticmethod
    def _one(db: sqlite3.Connection, op: Op) -> tuple[Any, BaseException | None]:
        assert op.do is not None
        try:
            if op.whole:
                return op.do(db), None
            db.execute("SAVEPOINT one")
            value = op.do(db)
        except Exception as error:  # noqa: BLE001 - told to whoever has asked
            if not op.whole:
                db.execute("ROLLBACK TO one")
                db.execute("RELEASE one")
            return None, _told(error, op)
        db.execute("RELEASE one")
        return value, None

    def _insert(self, db: sqlite3.Connection, rows: Sequence[tuple[str, int, str]]) -> None:
        made: list[Any] = []
        heads: dict[str, bytes] = {}
        for run_id, seq, text in rows:
            number = self._number(db, run_id)
            head = heads.get(run_id) or self._head(db, run_id, number)
            head = heads[run_id] = hashlib.sha256(head + text.encode()).digest()
            made += (number, seq, text, head)
        at = 0
        for size in _ROWS:
            while len(rows) - at >= size:
                db.execute(_INSERTS[size], made[at * 4 : (at + size) * 4])
                at += size
        # Only now: had a row been refused, the chain would go on from what is not there.
        self._heads.update(heads)

    def _number(self, db: sqlite3.Connection, run_id: str) -> int:
        number = self._numbers.get(run_id)
        if number is None:
            found = db.execute("SELECT n FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if found is None:
                raise RunNotFound(f"Run {run_id!r} is not in the journal. Call `started` first.")
            number = self._numbers[run_id] = found[0]
        return number

    def _head(self, db: sqlite3.Connection, run_id: str, number: int) -> bytes:
        head = self._heads.get(run_id)
        if head is None:
            head = self._heads[run_id] = last_hash(db, number)
        return head


def _told(error: BaseException, op: Op) -> BaseException:
    if isinstance(error, sqlite3.IntegrityError):
        run = "this run" if op.row is None else f"run {op.row[0]}"
        told = RunTaken(
            f"Another process has gone on with {run} meanwhile; this one has stopped it here. "
            "Its end is known there, or here once these runs are closed and opened again."
        )
        told.__cause__ = error
        return told
    return error


def resolve(outcomes: Sequence[tuple["asyncio.Future[Any]", Any, BaseException | None]]) -> None:
    """Tell everyone who has asked what came of it."""
    for future, value, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
            # Not everybody who asks waits for the answer.
            future.exception()
        else:
            future.set_result(value)
