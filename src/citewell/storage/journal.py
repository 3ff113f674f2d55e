"""Runs and their journals: entries are only ever added, each sealed to the one before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from citewell.errors import NotFound, StoreError
from citewell.protocols import RunRecord
from citewell.storage import codec
from citewell.types import Principal
from citewell.types.journal import CHAIN, GENESIS, canonical, seal


def payloads(run_id: str, entries: Sequence[Mapping[str, object]]) -> list[str]:
    """Each entry as canonical JSON. Raises StoreError for one that is not JSON-able or brings its own seal."""
    made = []
    for entry in entries:
        if CHAIN in entry:
            raise StoreError(f"An entry of run {run_id} uses the key {CHAIN!r}, which is kept for its seal. Rename it.")
        try:
            made.append(canonical(entry))
        except (TypeError, ValueError) as error:
            raise StoreError(f"An entry of run {run_id} cannot be written as JSON: {error}.") from error
    return made


def start(db: sqlite3.Connection, run_id: str, *, flow: str, principal: Principal, summary: str, at: str) -> None:
    names = (run_id, flow, principal.tenant, principal.user)
    if not run_id or not all(map(codec.storable, names)):
        raise StoreError(f"A run cannot be kept under these names: {names!r}. Use characters that UTF-8 can carry.")
    try:
        db.execute(
            "INSERT INTO runs (id, flow, tenant, user, groups, status, started_at, summary)"
            " VALUES (?, ?, ?, ?, ?, 'running', ?, ?)",
            (*names, codec.dump_strings(sorted(principal.groups)), at, codec.shown(summary)),
        )
    except sqlite3.IntegrityError as error:
        raise StoreError(f"Run {run_id} was started before. Give each run an id of its own.") from error


def append(db: sqlite3.Connection, run_id: str, made: Sequence[str], at: str) -> None:
    run = _number(db, run_id)
    last = db.execute("SELECT seq, hash FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1", (run,)).fetchone()
    seq, previous = last or (0, GENESIS)
    rows = []
    for payload in made:
        seq += 1
        sealed = seal(run_id, seq, at, previous, payload)
        rows.append((run, seq, at, payload, previous, sealed))
        previous = sealed
    db.executemany("INSERT INTO events (run, seq, at, payload, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?)", rows)


def end(db: sqlite3.Connection, run_id: str, status: str, summary: str, at: str) -> None:
    db.execute(
        "UPDATE runs SET status = ?, summary = ?, ended_at = ? WHERE number = ?",
        (codec.shown(status), codec.shown(summary), at, _number(db, run_id)),
    )


def _number(db: sqlite3.Connection, run_id: str) -> int:
    found = db.execute("SELECT number FROM runs WHERE id = ?", (codec.shown(run_id),)).fetchone()
    if found is None:
        raise StoreError(f"Run {run_id} was never started here. Start it before adding to it.")
    number: int = found[0]
    return number


_RUN = "SELECT number, id, flow, tenant, user, groups, status, started_at, ended_at, summary FROM runs"


def _record(columns: Sequence[Any]) -> RunRecord:
    _, run_id, flow, tenant, user, groups, status, started_at, ended_at, summary = columns
    principal = Principal(tenant, user, frozenset(codec.load_strings(groups)))
    return RunRecord(run_id, flow, principal, status, started_at, ended_at, summary)


def run(db: sqlite3.Connection, run_id: str, principal: Principal) -> tuple[RunRecord, list[dict[str, object]]]:
    """The one run of this tenant and user whose id is `run_id` or begins with it; its entries with their seals."""
    asked = codec.shown(run_id)
    found = []
    if asked and codec.storable(principal.tenant) and codec.storable(principal.user):
        found = db.execute(
            f"{_RUN} WHERE tenant = ? AND user = ? AND substr(id, 1, length(?3)) = ?3 ORDER BY id = ?3 DESC LIMIT 2",
            (principal.tenant, principal.user, asked),
        ).fetchall()
    if len(found) > 1 and found[0][1] != asked:
        raise NotFound(f"More than one run begins with {run_id!r}. Give more of its id; list them: citewell runs.")
    if not found:
        raise NotFound(f"There is no run {run_id!r} of yours. List them: citewell runs.")
    entries = []
    for seq, at, payload, previous, sealed in db.execute(
        "SELECT seq, at, payload, prev_hash, hash FROM events WHERE run = ? ORDER BY seq", (found[0][0],)
    ):
        entry: dict[str, object] = json.loads(payload)
        entry[CHAIN] = {"seq": seq, "at": at, "prev": previous, "hash": sealed}
        entries.append(entry)
    return _record(found[0]), entries


def runs(db: sqlite3.Connection, principal: Principal, limit: int) -> list[RunRecord]:
    """The latest runs of this tenant and user, newest first."""
    if not (codec.storable(principal.tenant) and codec.storable(principal.user)):
        return []
    found = db.execute(
        f"{_RUN} WHERE tenant = ? AND user = ? ORDER BY number DESC LIMIT ?",
        (principal.tenant, principal.user, max(limit, 0)),
    )
    return [_record(columns) for columns in found]
