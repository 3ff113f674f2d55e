"""What a file of runs holds: its tables, its rows as objects, and the hash chain that shows whether it is whole."""

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_json

from citewell.workflow.definition import fingerprint_of
from citewell.workflow.errors import RunNotFound, WorkflowError
from citewell.workflow.journal import Entry, Outcome, RunStart, Status

SCHEMA = 1
TABLES = """
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

RunStatus = Literal["running"] | Status


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


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """The database at this path, made unless it is only read. WorkflowError when it is something else."""
    mode = "ro" if read_only else "rwc"
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute("PRAGMA busy_timeout = 5000")
        if not read_only:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA wal_autocheckpoint = 4000")
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not read_only:
            db.execute("BEGIN IMMEDIATE")
            for statement in TABLES.split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute("COMMIT")
        elif version != SCHEMA:
            raise WorkflowError(f"{path} has format {version}; this version of Citewell reads {SCHEMA}.")
    except sqlite3.DatabaseError as error:
        db.close()
        raise WorkflowError(f"{path} cannot be opened as a record of runs: {error}.") from error
    except BaseException:
        db.close()
        raise
    return db


def rows(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> Iterator[RunRow]:
    """The runs for which this SQL condition holds."""
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


def entries(db: sqlite3.Connection, run_id: str, after: int) -> list[Entry]:
    """The run's entries with numbers above `after`, in order."""
    found = db.execute(
        "SELECT entries FROM batches WHERE run = (SELECT n FROM runs WHERE run_id = ?) ORDER BY seq", (run_id,)
    )
    read = [Entry.from_json(form) for (text,) in found for form in json.loads(text)]
    return [entry for entry in read if entry.seq > after] if after else read


def last_hash(db: sqlite3.Connection, number: int) -> bytes:
    """Where the hash chain of this run's record has come to."""
    for table in ("batches", "snapshots"):
        found = db.execute(f"SELECT hash FROM {table} WHERE run = ? ORDER BY seq DESC LIMIT 1", (number,)).fetchone()
        if found is not None:
            return bytes(found[0])
    start: str = db.execute("SELECT start FROM runs WHERE n = ?", (number,)).fetchone()[0]
    return hashlib.sha256(start.encode()).digest()


def verify(db: sqlite3.Connection, run_id: str) -> str | None:
    """What is wrong with the record of a run, or None. Leaves a reading transaction open."""
    db.execute("BEGIN")
    row = db.execute("SELECT n, start, status, outcome, workflow, key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(f"There is no run {run_id!r}. `Runs.find` lists those that are.")
    number, start, status, outcome, workflow, key = row
    head, last = hashlib.sha256(start.encode()).digest(), 0
    begun = json.loads(start)
    if (begun[0], begun[1], begun[6]) != (run_id, workflow, key):
        return "the row of the run does not fit how it began"
    code = db.execute("SELECT parts FROM definitions WHERE fingerprint = ?", (begun[2],)).fetchone()
    if code is None or fingerprint_of(json.loads(code[0])) != begun[2]:
        return "the definition under which it was recorded was changed"
    kept = db.execute("SELECT seq, hash, form, seal FROM snapshots WHERE run = ?", (number,)).fetchone()
    if kept is not None and kept[3] != seal(kept[1], [kept[0], kept[2]]):
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
    *form, sealed = json.loads(outcome)
    if sealed != seal(head, form) or form[0] != status:
        return "how the run ended was changed, or its last entries are missing"
    return None


def seal(head: bytes, what: object) -> str:
    """Binds what is kept beside the chain to the chain's head."""
    return hashlib.sha256(head + sorted_json(what).encode()).hexdigest()


def text_of(entries: Sequence[Entry]) -> str:
    """The entries as they are kept."""
    return json_of([entry.to_json() for entry in entries])


_PLAIN = json.JSONEncoder(separators=(",", ":")).encode


def json_of(value: Any) -> str:
    """Compact JSON."""
    try:
        return to_json(value).decode()
    except ValueError:
        # Half of a surrogate pair, which only the escapes of the slower way can write.
        return _PLAIN(value)


sorted_json = json.JSONEncoder(sort_keys=True).encode
