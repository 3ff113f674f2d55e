"""The record of runs in one SQLite file: one transaction for all that was asked while the last one was committed.

WAL with `synchronous=FULL`: what was acknowledged survives the end of the process and of the machine, if the disk
keeps its promises. One process at a time may write; others may read.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from citewell.workflow.errors import RunNotFound, StartKeyConflict, WorkflowError
from citewell.workflow.journal import Entry, Outcome, RunStart
from citewell.workflow.sqlite_form import (
    SCHEMA,
    RunRow,
    RunStatus,
    connect,
    entries,
    json_of,
    rows,
    seal,
    sorted_json,
    text_of,
    verify,
)
from citewell.workflow.sqlite_writer import GroupCommit, Op


class SqliteJournal(GroupCommit):
    """A `Journal` that can be read again. Open it with `async with SqliteJournal(path) as journal`."""

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        super().__init__(Path(path))
        self._read_only = read_only
        self._lock_file: IO[bytes] | None = None
        # The runs that are marked as waiting.
        self._marked: set[str] = set()

    async def __aenter__(self) -> "SqliteJournal":
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """Open the file, made if it is missing, and begin to write. WorkflowError when another process writes it."""
        if self._read_only:
            if not self.path.exists():
                raise RunNotFound(f"There is no record of runs at {self.path}. Without `read_only` it is made.")
            self._db = self._connect()
            return
        self._lock_file = open(f"{self.path}.lock", "ab")  # noqa: SIM115 - held until close()
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            self._lock_file = None
            raise WorkflowError(
                f"The runs in {self.path} belong to another process that is going on. End it, or open them read-only."
            ) from None
        self._db = self._connect()
        self._start()

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, read_only=self._read_only)

    async def close(self) -> None:
        """Commit what was asked, and let go of the file."""
        await self._stop()
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # Writing

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        await self.accept(run, entries)

    async def accept(self, run: RunStart, entries: Sequence[Entry]) -> tuple[str, bool]:
        """As `started`; with a `key` that has a run already, that run's id instead. And whether a run was made.

        Raises StartKeyConflict when that run began with another event.
        """
        body = hashlib.sha256(sorted_json([entry.payload for entry in entries]).encode()).hexdigest()
        start = json_of([run.run_id, run.workflow, run.definition, run.at, run.parent_run_id, run.deadline, run.key])
        text = text_of(entries)
        first = entries[0].seq if entries else 0

        def do(db: sqlite3.Connection) -> tuple[str, bool]:
            if run.definition not in self._definitions:
                parts = json_of(dict(run.code))
                db.execute("INSERT OR IGNORE INTO definitions VALUES (?, ?)", (run.definition, parts))
                self._definitions.add(run.definition)
            if run.key is not None:
                found = db.execute(
                    "SELECT run_id, body FROM runs WHERE workflow = ? AND key = ?", (run.workflow, run.key)
                ).fetchone()
                if found is not None:
                    if found[1] != body:
                        raise StartKeyConflict(
                            f"Start key {run.key!r} of {run.workflow} has begun run {found[0]} with another event. "
                            "Use another key.",
                            run_id=found[0],
                        )
                    return str(found[0]), False
            try:
                made = db.execute(
                    "INSERT INTO runs (run_id, workflow, key, body, start, status) VALUES (?, ?, ?, ?, ?, 'running')",
                    (run.run_id, run.workflow, run.key, body, start),
                )
            except sqlite3.IntegrityError:
                raise WorkflowError(f"Run {run.run_id!r} is already in the journal. Use a new run_id.") from None
            assert made.lastrowid is not None
            self._numbers[run.run_id] = made.lastrowid
            self._heads[run.run_id] = hashlib.sha256(start.encode()).digest()
            if entries:
                self._insert(db, [(run.run_id, first, text)])
            return run.run_id, True

        chosen: tuple[str, bool] = await self._ask(do, whole=run.key is None)
        return chosen

    def append(self, run_id: str, entries: Sequence[Entry]) -> "asyncio.Future[None]":
        """Record entries, in order. The future is done once they are on the disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not entries:
            future.set_result(None)
            return future
        if run_id in self._marked:
            self._marked.discard(run_id)
            self._push(Op(_waiting(run_id, False, None, None), loop.create_future()))
        self._push(Op(None, future, (run_id, entries[0].seq, text_of(entries))))
        return future

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        form = [outcome.status, outcome.seq, outcome.at, outcome.error]
        text = text_of(entries)
        first = entries[0].seq if entries else 0

        def do(db: sqlite3.Connection) -> None:
            head = self._head(db, run_id, self._number(db, run_id))
            if entries:
                # As it will be once this row is written, with all others of the transaction.
                head = hashlib.sha256(head + text.encode()).digest()
            sealed = json_of([*form, seal(head, form)])
            db.execute(
                "UPDATE runs SET status = ?, outcome = ?, waiting = 0, due = NULL, questions = NULL WHERE run_id = ?",
                (outcome.status, sealed, run_id),
            )

        await self._ask(do, (run_id, first, text) if entries else None, whole=True)
        self._numbers.pop(run_id, None)
        self._heads.pop(run_id, None)

    async def rest(self, run_id: str, due: float | None, questions: Sequence[Mapping[str, Any]]) -> None:
        """Note that the run waits for somebody outside, and until when at most."""
        self._marked.add(run_id)
        await self._ask(_waiting(run_id, True, due, json.dumps(list(questions), ensure_ascii=False)))

    def taken_up(self, run_id: str) -> None:
        """A run that is marked as waiting came to memory: its next entry takes the mark away."""
        self._marked.add(run_id)

    async def probe(self) -> None:
        """Return once something was written; raises what keeps it from being written."""

        def do(db: sqlite3.Connection) -> None:
            # The same number again: unlike an UPDATE that changes nothing, this writes a page.
            db.execute(f"PRAGMA user_version = {SCHEMA}")

        await self._ask(do)

    async def flushed(self) -> None:
        """Return once all that was asked before is on the disk, or refused."""
        await self._ask(lambda _: None)

    async def compact(self, run_id: str, seq: int, form: Mapping[str, Any], *, keep_history: bool) -> None:
        """Keep a snapshot of the run after entry `seq`; without history, or once there is none, drop those up to it.

        The chain goes on from the last dropped entry, whose hash is kept with the snapshot.
        """
        text = json.dumps(form, ensure_ascii=False)

        def do(db: sqlite3.Connection) -> None:
            number = self._number(db, run_id)
            head = db.execute(
                "SELECT hash FROM batches WHERE run = ? AND seq <= ? ORDER BY seq DESC LIMIT 1", (number, seq)
            ).fetchone()
            if head is None:
                return
            kept = (number, seq, text, head[0], seal(head[0], [seq, text]))
            db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", kept)
            first = db.execute("SELECT min(seq) FROM batches WHERE run = ?", (number,)).fetchone()[0]
            if not keep_history or first > 1:
                # Once the beginning is gone, the chain is read from the snapshot on.
                db.execute("DELETE FROM batches WHERE run = ? AND seq <= ?", (number, seq))

        await self._ask(do)

    async def forget(self, run_id: str) -> None:
        """Remove a run that is over, with all that is recorded of it."""

        def do(db: sqlite3.Connection) -> None:
            number = self._number(db, run_id)
            db.execute("DELETE FROM batches WHERE run = ?", (number,))
            db.execute("DELETE FROM snapshots WHERE run = ?", (number,))
            db.execute("DELETE FROM runs WHERE n = ?", (number,))
            self._numbers.pop(run_id, None)
            self._heads.pop(run_id, None)

        await self._ask(do)

    # Reading

    def _reader(self) -> sqlite3.Connection:
        return self._connect_to_read()

    def _connect_to_read(self) -> sqlite3.Connection:
        path = self.path.resolve().as_uri()
        return sqlite3.connect(f"{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)

    async def _read(self, do: Callable[[sqlite3.Connection], Any]) -> Any:
        def work() -> Any:
            with contextlib.closing(self._connect_to_read()) as db:
                return do(db)

        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def run(self, run_id: str) -> RunRow:
        """The run's row. RunNotFound when there is none."""
        found: list[RunRow] = await self._read(lambda db: list(rows(db, "run_id = ?", (run_id,))))
        if not found:
            raise RunNotFound(f"There is no run {run_id!r} in {self.path}. `Runs.find` lists those that are.")
        return found[0]

    async def runs(
        self,
        *,
        status: RunStatus | None = None,
        workflow: str | None = None,
        waiting: bool | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        """The newest runs first, at most `limit`, of this status, workflow, waiting or not."""
        wanted: list[tuple[str, Any]] = []
        if status is not None:
            wanted.append(("status = ?", status))
        if workflow is not None:
            wanted.append(("workflow = ?", workflow))
        if waiting is not None:
            wanted.append(("waiting = ?", int(waiting)))
        where = " AND ".join(one for one, _ in wanted) or "1"
        values = tuple(value for _, value in wanted)
        found: list[RunRow] = await self._read(
            lambda db: list(rows(db, f"{where} ORDER BY n DESC LIMIT ?", (*values, limit)))
        )
        return found

    async def entries(self, run_id: str, after: int = 0) -> list[Entry]:
        """The run's entries with numbers above `after`, in order."""
        found: list[Entry] = await self._read(lambda db: entries(db, run_id, after))
        return found

    async def record(self, run_id: str) -> tuple[RunRow, Mapping[str, Any] | None, list[Entry]]:
        """The run's row, its snapshot if it has one, and the entries after it: one consistent reading."""

        def do(db: sqlite3.Connection) -> tuple[RunRow, Mapping[str, Any] | None, list[Entry]]:
            db.execute("BEGIN")
            row = next(rows(db, "run_id = ?", (run_id,)), None)
            if row is None:
                raise RunNotFound(f"There is no run {run_id!r} in {self.path}. `Runs.find` lists those that are.")
            kept = db.execute(
                "SELECT seq, form FROM snapshots WHERE run = (SELECT n FROM runs WHERE run_id = ?)", (run_id,)
            ).fetchone()
            snapshot = None if kept is None else json.loads(kept[1])
            return row, snapshot, entries(db, run_id, 0 if kept is None else kept[0])

        found: tuple[RunRow, Mapping[str, Any] | None, list[Entry]] = await self._read(do)
        return found

    async def agenda(self) -> tuple[list[tuple[str, str]], float | None]:
        """Ids and workflows of the runs that are not over and do not wait; when the first that waits goes on."""

        def do(db: sqlite3.Connection) -> tuple[list[tuple[str, str]], float | None]:
            going = db.execute(
                "SELECT run_id, workflow FROM runs WHERE status = 'running' AND waiting = 0 ORDER BY n"
            ).fetchall()
            due = db.execute("SELECT min(due) FROM runs WHERE status = 'running' AND waiting = 1").fetchone()[0]
            return going, due

        found: tuple[list[tuple[str, str]], float | None] = await self._read(do)
        return found

    async def lapsed(self, now: float, limit: int = 1000) -> list[tuple[str, str]]:
        """Ids and workflows of waiting runs whose time has come."""
        found: list[tuple[str, str]] = await self._read(
            lambda db: db.execute(
                "SELECT run_id, workflow FROM runs WHERE status = 'running' AND waiting = 1 AND due <= ? "
                "ORDER BY due LIMIT ?",
                (now, limit),
            ).fetchall()
        )
        return found

    async def verify(self, run_id: str) -> str | None:
        """What is wrong with the hash chain of a run's record, or None when it is whole.

        It binds the start, all entries, the snapshot and the outcome; not the mark of waiting, which is derived. A run
        that is not over may lack its last entries without that being seen, and whoever can write the file can make a
        new chain: keep heads elsewhere where that matters.
        """
        wrong: str | None = await self._read(lambda db: verify(db, run_id))
        return wrong


def _waiting(
    run_id: str, waits: bool, due: float | None, questions: str | None
) -> Callable[[sqlite3.Connection], None]:
    def do(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE runs SET waiting = ?, due = ?, questions = ? WHERE run_id = ? AND status = 'running'",
            (int(waits), due, questions, run_id),
        )

    return do
