"""The record of runs in one SQLite file: one transaction for all that was asked while the last one was committed.

WAL with `synchronous=FULL`: what was acknowledged survives the end of the process and of the machine, if the disk
keeps its promises. One process at a time may write; others may read.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from pydantic_core import to_json

from citewell.workflow.definition import fingerprint_of
from citewell.workflow.errors import JournalFailed, RunNotFound, StartKeyConflict, WorkflowError
from citewell.workflow.journal import Entry, Outcome, RunStart

SCHEMA = 1
_TABLES = """
CREATE TABLE runs (
  n INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  key TEXT,
  body TEXT NOT NULL,
  start TEXT NOT NULL,
  status TEXT NOT NULL,
  waiting INTEGER NOT NULL DEFAULT 0,
  due REAL,
  questions TEXT,
  outcome TEXT,
  UNIQUE (workflow, key)
);
CREATE INDEX runs_open ON runs (waiting, due) WHERE status = 'running';
CREATE TABLE definitions (fingerprint TEXT PRIMARY KEY, parts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  entries TEXT NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE TABLE snapshots (
  run INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  form TEXT NOT NULL,
  hash BLOB NOT NULL,
  seal TEXT NOT NULL
);
"""
# Rows of one INSERT, so that few statements give the interpreter away and few texts are compiled.
_ROWS = (64, 8, 1)

RunStatus = Literal["running", "done", "failed", "timed_out", "cancelled", "stuck"]


@dataclasses.dataclass(frozen=True, slots=True)
class RunRow:
    """A run as lists show it. `waiting` for somebody outside; `due` is when it goes on by itself, in s since 1970."""

    run_id: str
    workflow: str
    status: RunStatus
    key: str | None
    waiting: bool
    due: float | None
    questions: tuple[Mapping[str, Any], ...]
    started: RunStart
    outcome: Outcome | None


@dataclasses.dataclass(slots=True)
class _Op:
    """Something to do in the next transaction, and a row of entries to write; `whole` when it is one statement."""

    do: Callable[[sqlite3.Connection], Any] | None
    future: "asyncio.Future[Any]"
    row: tuple[str, int, str] | None = None
    whole: bool = False


class SqliteJournal:
    """A `Journal` that can be read again. Open it with `async with SqliteJournal(path) as journal`."""

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._read_only = read_only
        self._lock_file: IO[bytes] | None = None
        self._db: sqlite3.Connection | None = None
        self._queue: list[_Op] = []
        self._handed: list[list[_Op]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Number and hash chain head of each run that this process writes; and those marked as waiting.
        self._numbers: dict[str, int] = {}
        self._heads: dict[str, bytes] = {}
        self._marked: set[str] = set()
        self._definitions: set[str] = set()

    async def __aenter__(self) -> "SqliteJournal":
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """Open the file, made if it is missing, and begin to write. WorkflowError when another process writes it."""
        if self._read_only:
            if not self.path.exists():
                raise RunNotFound(f"There is no record of runs at {self.path}.")
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
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_on, name=f"journal {self.path.name}", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        path = self.path.resolve().as_uri()
        db = sqlite3.connect(f"{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA busy_timeout = 5000")
            if not self._read_only:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA wal_autocheckpoint = 4000")
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not self._read_only:
                db.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.split(";"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA}")
                db.execute("COMMIT")
            elif version != SCHEMA:
                raise WorkflowError(f"{self.path} has format {version}; this version of Citewell reads {SCHEMA}.")
        except sqlite3.DatabaseError as error:
            db.close()
            raise WorkflowError(f"{self.path} cannot be opened as a record of runs: {error}.") from error
        except BaseException:
            db.close()
            raise
        return db

    async def close(self) -> None:
        """Commit what was asked, and let go of the file."""
        if self._thread is not None:
            self._hand_over()
            with self._wake:
                self._closing = True
                self._wake.notify()
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._thread = None
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
        body = hashlib.sha256(_sorted_json([entry.payload for entry in entries]).encode()).hexdigest()
        start = _json([run.run_id, run.workflow, run.definition, run.at, run.parent_run_id, run.deadline, run.key])
        text = _text(entries)
        first = entries[0].seq if entries else 0

        def do(db: sqlite3.Connection) -> tuple[str, bool]:
            if run.definition not in self._definitions:
                parts = _json(dict(run.code))
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
            self._push(_Op(_waiting(run_id, False, None, None), loop.create_future()))
        self._push(_Op(None, future, (run_id, entries[0].seq, _text(entries))))
        return future

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        form = [outcome.status, outcome.seq, outcome.at, outcome.error]
        text = _text(entries)
        first = entries[0].seq if entries else 0

        def do(db: sqlite3.Connection) -> None:
            head = self._head(db, run_id, self._number(db, run_id))
            if entries:
                # As it will be once this row is written, with all others of the transaction.
                head = hashlib.sha256(head + text.encode()).digest()
            sealed = _json([*form, _seal(head, form)])
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
            kept = (number, seq, text, head[0], _seal(head[0], [seq, text]))
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

    async def _ask(
        self, do: Callable[[sqlite3.Connection], Any], row: tuple[str, int, str] | None = None, *, whole: bool = False
    ) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._push(_Op(do, future, row, whole))
        return await future

    def _push(self, op: _Op) -> None:
        if self._thread is None or self._loop is None:
            raise JournalFailed(f"The record of runs in {self.path} is closed.")
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
                self._loop.call_soon_threadsafe(_resolve, outcomes)

    def _commit(self, ops: Sequence[_Op]) -> list[tuple["asyncio.Future[Any]", Any, BaseException | None]]:
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
            return [(ops[0].future, None, _told(error))]
        return outcomes

    @staticmethod
    def _one(db: sqlite3.Connection, op: _Op) -> tuple[Any, BaseException | None]:
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
            return None, _told(error)
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
            head = self._heads[run_id] = _last_hash(db, number)
        return head

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
        rows: list[RunRow] = await self._read(lambda db: list(_rows(db, "run_id = ?", (run_id,))))
        if not rows:
            raise RunNotFound(f"There is no run {run_id!r} in {self.path}.")
        return rows[0]

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
            lambda db: list(_rows(db, f"{where} ORDER BY n DESC LIMIT ?", (*values, limit)))
        )
        return found

    async def entries(self, run_id: str, after: int = 0) -> list[Entry]:
        """The run's entries with numbers above `after`, in order."""
        found: list[Entry] = await self._read(lambda db: _entries(db, run_id, after))
        return found

    async def record(self, run_id: str) -> tuple[RunRow, Mapping[str, Any] | None, list[Entry]]:
        """The run's row, its snapshot if it has one, and the entries after it: one consistent reading."""

        def do(db: sqlite3.Connection) -> tuple[RunRow, Mapping[str, Any] | None, list[Entry]]:
            db.execute("BEGIN")
            rows = list(_rows(db, "run_id = ?", (run_id,)))
            if not rows:
                raise RunNotFound(f"There is no run {run_id!r} in {self.path}.")
            kept = db.execute(
                "SELECT seq, form FROM snapshots WHERE run = (SELECT n FROM runs WHERE run_id = ?)", (run_id,)
            ).fetchone()
            snapshot = None if kept is None else json.loads(kept[1])
            return rows[0], snapshot, _entries(db, run_id, 0 if kept is None else kept[0])

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
        wrong: str | None = await self._read(lambda db: _verify(db, run_id))
        return wrong


_plain_json = json.JSONEncoder(separators=(",", ":")).encode


def _json(value: Any) -> str:
    try:
        return to_json(value).decode()
    except ValueError:
        # Half of a surrogate pair, which only the escapes of the slower way can write.
        return _plain_json(value)


_sorted_json = json.JSONEncoder(sort_keys=True).encode
_INSERTS = {size: f"INSERT INTO batches VALUES {', '.join(['(?, ?, ?, ?)'] * size)}" for size in _ROWS}


def _waiting(
    run_id: str, waits: bool, due: float | None, questions: str | None
) -> Callable[[sqlite3.Connection], None]:
    def do(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE runs SET waiting = ?, due = ?, questions = ? WHERE run_id = ? AND status = 'running'",
            (int(waits), due, questions, run_id),
        )

    return do


def _text(entries: Sequence[Entry]) -> str:
    return _json([entry.to_json() for entry in entries])


def _told(error: BaseException) -> BaseException:
    if isinstance(error, sqlite3.IntegrityError):
        told = JournalFailed("Another process has gone on with this run meanwhile; this one has stopped it here.")
        told.__cause__ = error
        return told
    return error


def _resolve(outcomes: Sequence[tuple["asyncio.Future[Any]", Any, BaseException | None]]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
            # Not everybody who asks waits for the answer.
            future.exception()
        else:
            future.set_result(value)


def _rows(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> Iterator[RunRow]:
    columns = "run_id, workflow, status, key, waiting, due, questions, start, outcome"
    for row in db.execute(f"SELECT {columns} FROM runs WHERE {where}", values).fetchall():
        run_id, workflow, status, key, waiting, due, questions, start, outcome = row
        asked = tuple(json.loads(questions)) if questions else ()
        ended = Outcome(*json.loads(outcome)[:4]) if outcome else None
        _, _, definition, at, parent, deadline, _ = json.loads(start)
        parts = db.execute("SELECT parts FROM definitions WHERE fingerprint = ?", (definition,)).fetchone()
        code = json.loads(parts[0]) if parts else {}
        started = RunStart(run_id, workflow, definition, at, parent, code, deadline, key)
        yield RunRow(run_id, workflow, status, key, bool(waiting), due, asked, started, ended)


def _entries(db: sqlite3.Connection, run_id: str, after: int) -> list[Entry]:
    found = db.execute(
        "SELECT entries FROM batches WHERE run = (SELECT n FROM runs WHERE run_id = ?) ORDER BY seq", (run_id,)
    )
    entries = [Entry.from_json(form) for (text,) in found for form in json.loads(text)]
    return [entry for entry in entries if entry.seq > after] if after else entries


def _last_hash(db: sqlite3.Connection, number: int) -> bytes:
    for table in ("batches", "snapshots"):
        found = db.execute(f"SELECT hash FROM {table} WHERE run = ? ORDER BY seq DESC LIMIT 1", (number,)).fetchone()
        if found is not None:
            return bytes(found[0])
    start: str = db.execute("SELECT start FROM runs WHERE n = ?", (number,)).fetchone()[0]
    return hashlib.sha256(start.encode()).digest()


def _verify(db: sqlite3.Connection, run_id: str) -> str | None:
    db.execute("BEGIN")
    row = db.execute("SELECT n, start, status, outcome, workflow, key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(f"There is no run {run_id!r}.")
    number, start, status, outcome, workflow, key = row
    head, last = hashlib.sha256(start.encode()).digest(), 0
    begun = json.loads(start)
    if (begun[0], begun[1], begun[6]) != (run_id, workflow, key):
        return "the row of the run does not fit how it began"
    code = db.execute("SELECT parts FROM definitions WHERE fingerprint = ?", (begun[2],)).fetchone()
    if code is None or fingerprint_of(json.loads(code[0])) != begun[2]:
        return "the definition under which it was recorded was changed"
    kept = db.execute("SELECT seq, hash, form, seal FROM snapshots WHERE run = ?", (number,)).fetchone()
    if kept is not None and kept[3] != _seal(kept[1], [kept[0], kept[2]]):
        return f"the snapshot after {kept[0]} was changed"
    snapshot_fits = True
    batches = db.execute("SELECT seq, entries, hash FROM batches WHERE run = ? ORDER BY seq", (number,)).fetchall()
    if kept is not None and (not batches or batches[0][0] > 1):
        last, head = kept[:2]
    for seq, text, recorded in batches:
        head = hashlib.sha256(head + text.encode()).digest()
        if head != recorded:
            return f"the entries from {seq} on were changed, or something before them was removed"
        if kept is not None and seq <= kept[0]:
            snapshot_fits = head == kept[1]
        numbers = [form["seq"] for form in json.loads(text)]
        if numbers != list(range(last + 1, last + 1 + len(numbers))) or numbers[0] != seq:
            return f"entries are missing before {seq}"
        last = numbers[-1]
    if not snapshot_fits:
        return f"the snapshot after {kept[0]} is not of these entries"
    if outcome is None:
        return None if status == "running" else f"the run is {status}, and nothing says how it ended"
    *form, seal = json.loads(outcome)
    if seal != _seal(head, form) or form[0] != status:
        return "how the run ended was changed, or its last entries are missing"
    return None


def _seal(head: bytes, what: object) -> str:
    """Binds what is kept beside the chain to the chain's head."""
    return hashlib.sha256(head + _sorted_json(what).encode()).hexdigest()
