"""Whatever is changed in the record of a run, `verify` says so; but for the last entries of one that goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from citewell.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from citewell.workflow.runs import Runs
from citewell.workflow.sqlite import SqliteJournal


class Link(Event):
    n: int


class Count(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Link:
        return Link(n=ev.n)

    @step
    async def turn(self, ctx: Context, ev: Link) -> Link | StopEvent:
        await ctx.store.set("n", ev.n)
        return Link(n=ev.n - 1) if ev.n else StopEvent(result="counted")


class Ask(InputRequiredEvent):
    n: int


class Say(HumanResponseEvent):
    n: int


class Talk(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Link:
        return Link(n=ev.n)

    @step
    async def ask(self, ev: Link) -> Ask:
        return Ask(n=ev.n)

    @step
    async def hear(self, ev: Say) -> StopEvent:
        return StopEvent(result=ev.n)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some runs that are over, one that waits and was compacted."""
    path = tmp_path_factory.mktemp("record") / "runs.db"

    async def make() -> None:
        async with Runs(path, [count := Count(), talk := Talk(timeout=None)]) as runs:
            for n in range(5, 10):
                assert await (await runs.start(count, key=f"count {n}", run_id=f"count {n}", n=n)) == "counted"
            await runs.start(talk, key="talk", run_id="talk", n=3)
            while not await runs.questions() or runs._live:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await runs.compact("talk")

    asyncio.run(make())
    assert verify(path) == {}
    return path


def verify(path: Path) -> dict[str, str]:
    """What is wrong, by run."""

    with contextlib.closing(sqlite3.connect(path)) as db:
        ids = [run_id for (run_id,) in db.execute("SELECT run_id FROM runs")]

    async def ask() -> dict[str, str]:
        async with SqliteJournal(path, read_only=True) as journal:
            found = {run_id: await journal.verify(run_id) for run_id in ids}
        return {run: wrong for run, wrong in found.items() if wrong is not None}

    return asyncio.run(ask())


def tampered(record: Path, folder: Path, change: Callable[[sqlite3.Connection], None]) -> dict[str, str]:
    path = folder / "runs.db"
    for end in ("", "-wal"):
        if Path(f"{record}{end}").exists():
            shutil.copy(f"{record}{end}", f"{path}{end}")
    with contextlib.closing(sqlite3.connect(path)) as db:
        before = db.total_changes
        change(db)
        assert db.total_changes > before
        db.commit()
    found = verify(path)
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    return found


def rows(record: Path, where: str = "1") -> list[tuple[int, int]]:
    with contextlib.closing(sqlite3.connect(record)) as db:
        return db.execute(f"SELECT run, seq FROM batches WHERE {where}").fetchall()


def drawn(record: Path, kind: str, where: str = "1") -> list[tuple[int, int]]:
    return random.Random(kind).choices(rows(record, where), k=100)


OVER = "run IN (SELECT n FROM runs WHERE status != 'running')"


def test_every_deleted_row_of_a_run_that_is_over_is_missed(record, tmp_path):
    for row in drawn(record, "delete", OVER):
        assert tampered(
            record, tmp_path, lambda db, row=row: _do(db, "DELETE FROM batches WHERE run = ? AND seq = ?", row)
        )


def test_every_edited_row_is_found(record, tmp_path):
    draw = random.Random("edit")
    for run, seq in drawn(record, "edit"):

        def edit(db: sqlite3.Connection, run: int = run, seq: int = seq) -> None:
            (text,) = db.execute("SELECT entries FROM batches WHERE run = ? AND seq = ?", (run, seq)).fetchone()
            forms = json.loads(text)
            one = draw.choice(forms)
            name = draw.choice(sorted(one))
            one[name] = {"edited": one[name]} if name != "seq" else one[name] + 1
            new = json.dumps(forms, ensure_ascii=False, separators=(",", ":"))
            _do(db, "UPDATE batches SET entries = ? WHERE run = ? AND seq = ?", (new, run, seq))

        assert tampered(record, tmp_path, edit)


def test_every_edited_hash_is_found(record, tmp_path):
    for row in drawn(record, "hash"):
        change = "UPDATE batches SET hash = randomblob(32) WHERE run = ? AND seq = ?"
        assert tampered(record, tmp_path, lambda db, row=row, change=change: _do(db, change, row))


def test_rows_that_changed_places_are_found(record, tmp_path):
    draw = random.Random("reorder")
    for run, seq in drawn(record, "reorder"):
        other = draw.choice([one for one in rows(record) if one != (run, seq)])

        def swap(db: sqlite3.Connection, a: tuple[int, int] = (run, seq), b: tuple[int, int] = other) -> None:
            place = "UPDATE batches SET run = ?, seq = ? WHERE run = ? AND seq = ?"
            for new, old in (((-1, -1), a), (a, b), (b, (-1, -1))):
                _do(db, place, (*new, *old))

        assert tampered(record, tmp_path, swap)


def test_a_truncated_run_that_is_over_is_found(record, tmp_path):
    for row in drawn(record, "truncate", OVER):
        assert tampered(
            record, tmp_path, lambda db, row=row: _do(db, "DELETE FROM batches WHERE run = ? AND seq >= ?", row)
        )


def test_a_truncated_run_that_goes_on_is_not_found_unless_it_has_a_snapshot(record, tmp_path):
    (run, last) = max(rows(record, "run = (SELECT n FROM runs WHERE run_id = 'talk')"))

    def cut(db: sqlite3.Connection) -> None:
        _do(db, "DELETE FROM batches WHERE run = ? AND seq >= ?", (run, last))

    def cut_snapshot_too(db: sqlite3.Connection) -> None:
        cut(db)
        _do(db, "DELETE FROM snapshots WHERE run = ?", (run,))

    assert tampered(record, tmp_path, cut)
    # The limit of a chain without a head that is kept elsewhere.
    assert not tampered(record, tmp_path, cut_snapshot_too)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET status = 'failed' WHERE run_id = 'count 5'",
        "UPDATE runs SET status = 'done' WHERE run_id = 'talk'",
        "UPDATE runs SET outcome = replace(outcome, 'done', 'failed'), status = 'failed' WHERE run_id = 'count 5'",
        "UPDATE runs SET outcome = json_set(outcome, '$[2]', 1) WHERE run_id = 'count 5'",
        "UPDATE runs SET outcome = json_set(outcome, '$[4]', 'x') WHERE run_id = 'count 5'",
        "UPDATE runs SET start = replace(start, 'count 5', 'count 4') WHERE run_id = 'count 5'",
        "UPDATE definitions SET parts = replace(parts, 'step turn', 'step turm')",
        "UPDATE runs SET workflow = 'Talk' WHERE run_id = 'count 5'",
        "UPDATE runs SET key = 'another' WHERE run_id = 'count 5'",
        "UPDATE runs SET run_id = 'count 55' WHERE run_id = 'count 5'",
        "UPDATE snapshots SET form = replace(form, 'Talk', 'Walk')",
        "UPDATE snapshots SET seq = seq - 1",
        "UPDATE snapshots SET hash = randomblob(32)",
    ],
)
def test_what_stands_beside_the_entries_is_bound_to_them(record, tmp_path, change):
    assert tampered(record, tmp_path, lambda db: _do(db, change, ()))


def _do(db: sqlite3.Connection, text: str, values: tuple[object, ...]) -> None:
    db.execute(text, values)
