"""Durability: whenever the process is killed, what was acknowledged stays, what is recorded never runs again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_worker import POINTS, orders

from citewell.workflow.journal import Entry
from citewell.workflow.sqlite_form import verify

HERE = Path(__file__).parent
LIVES = 80
"""So many lives of one workload are cut short; the next may come to its end."""


class Lives:
    """The program that forks lives."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, str(HERE / "kill_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        )

    def live(
        self,
        folder: Path,
        seed: int,
        *,
        point: str | None = None,
        n: int = 0,
        after_s: float | None = None,
        blind: bool = False,
    ) -> bool:
        """Whether this life was killed; otherwise it had done everything."""
        order = {"folder": str(folder), "seed": seed, "point": point, "n": n, "after_s": after_s, "blind": blind}
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        code = int(self._program.stdout.readline())
        assert code in (0, -9), "\n".join(path.read_text()[-3000:] for path in (folder / "log", folder / "errors"))
        return code != 0

    def close(self) -> None:
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait(30)
        assert self._program.stdout is not None
        self._program.stdout.close()


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    made = Lives()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path) -> Iterator[Path]:
    """A folder in memory, where there is one: what a killed process had written is there, and no disk is waited for."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 64 << 20:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="citewell-kills-", dir=memory) as folder:
        yield Path(folder)


def campaign(lives: Lives, folder: Path, seed: int, kills: int) -> None:
    """Workload after workload, killed again and again, until there were so many kills."""
    done = 0
    number = seed * 1000
    while done < kills:
        done += workload(lives, folder, number, kills - done)
        number += 1


def workload(lives: Lives, folder: Path, seed: int, most: int) -> int:
    """One workload killed at most so often; how often it was."""
    whole, killed = folder / f"{seed}-whole", folder / f"{seed}-killed"
    whole.mkdir()
    killed.mkdir()
    assert not lives.live(whole, seed)
    draw = random.Random(seed)
    watch = Watch(killed, seed)
    kills = 0
    while True:
        if kills < min(most, LIVES):
            if draw.random() < 0.5:
                point, n, after_s, blind = draw.choice(POINTS), draw.randint(1, 12), None, False
            else:
                # Blind: while the process opens the runs, perhaps.
                blind = draw.random() < 0.2
                point, n, after_s = None, draw.randint(0, 99), draw.expovariate(200 if blind else 100)
            ended = not lives.live(killed, seed, point=point, n=n, after_s=after_s, blind=blind)
        else:
            ended = not lives.live(killed, seed)
            assert ended
        kills += not ended
        watch.look()
        if ended:
            break
    watch.compare(whole, kills)
    return kills


class Watch:
    """What a file of runs, a client's log and a sink say, life after life."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.succeeded: set[str] = set()
        self.logged = 0
        self.sunk = 0
        self.started: dict[str, str] = {}
        self.results: dict[str, str] = {}

    def look(self) -> None:
        """Check everything that must hold after any kill."""
        lines = _lines(self.folder / "log")
        new, self.logged = lines[self.logged :], len(lines)
        began = Counter[tuple[str, str]]()
        with contextlib.closing(sqlite3.connect(self.folder / "runs.db", isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batches'").fetchone():
                assert not [one for one in new if one[0] != "refused"]
                return
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            runs = {run: (key, status) for run, key, status in db.execute("SELECT run_id, key, status FROM runs")}
            records = {run: _entries(db, run) for run in runs}
            for run in runs:
                assert verify(db, run) is None
                db.execute("COMMIT")
        for kind, *words in new:
            match kind:
                case "unexpected":
                    raise AssertionError(f"{self.folder}: {words}")
                case "refused":
                    assert words == ["{}"]
                case "started":
                    order, run = words
                    assert self.started.setdefault(order, run) == run, "one key, two runs"
                case "result":
                    order, result = words
                    assert self.results.setdefault(order, result) == result, "two results"
                case "exec":
                    key, step, attempt = words
                    assert key not in self.succeeded, f"{step} ran again after its commit"
                    began[key, attempt] += 1
                case "answered":
                    run, question, _ = words
                    given = [one for one in records[run] if one.kind == "event" and one.step is None and one.seq > 1]
                    assert any(question in ("None", *one.answers) for one in given), "an answer was lost"
        for order, run in self.started.items():
            assert runs[run][0] == order, "an acknowledged run was lost"
        for run, entries in records.items():
            self._check_record(run, entries)
            self.succeeded |= {_key(run, one) for one in entries if one.kind == "step" and one.error is None}

    @staticmethod
    def _check_record(run: str, entries: list[Entry]) -> None:
        assert [one.seq for one in entries] == list(range(1, len(entries) + 1)), "a gap"
        over = [(one.step, one.caused_by[0]) for one in entries if one.kind == "step" and one.error is None]
        assert len(over) == len(set(over)), "one step, two outcomes"
        at = {one.seq: place for place, one in enumerate(entries)}
        for one in entries:
            # Every change comes of something that is recorded, before it.
            assert all(at[cause] < at[one.seq] for cause in one.caused_by)
            if one.kind == "event" and one.step is not None and one.name is None and one.target is None:
                outcome = next(e for e in entries[at[one.seq] :] if e.kind == "step" and e.step == one.step)
                assert outcome.caused_by == one.caused_by, "an event without its step's outcome"

    def compare(self, whole: Path, kills: int) -> None:
        """Compare the end with that of a workload that was not killed."""
        expected = {words[0]: words[1] for kind, *words in _lines(whole / "log") if kind == "result"}
        assert self.results == expected
        assert set(expected) == {order for order, _, _ in orders(self.seed)}
        assert _outcomes(self.folder) == _outcomes(whole)
        effects, clean = _effects(self.folder), _effects(whole)
        assert set(map(_named, effects)) == set(map(_named, clean)), "an effect is missing"
        for what, calls in effects.items():
            assert len(set(calls)) == 1, f"{what} was done under {len(set(calls))} keys"
            assert len(calls) <= len(clean.get(what, calls)) + kills, f"{what} was called {len(calls)} times"
        tokens = {(words[0], words[1]) for kind, *words in _lines(self.folder / "log") if kind == "token"}
        assert len(tokens) == len({run for run, _ in tokens}), "once() gave two values"


def _lines(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []


def _entries(db: sqlite3.Connection, run: str) -> list[Entry]:
    found = db.execute(
        "SELECT entries FROM batches WHERE run = (SELECT n FROM runs WHERE run_id = ?) ORDER BY seq", (run,)
    )
    return [Entry.from_json(form) for (text,) in found for form in json.loads(text)]


def _key(run: str, entry: Entry) -> str:
    text = f"{run}\0{entry.step}\0{entry.caused_by[0]}\0"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _outcomes(folder: Path) -> dict[str, tuple[str, str | None]]:
    with contextlib.closing(sqlite3.connect(folder / "runs.db")) as db:
        found = db.execute("SELECT key, status, outcome FROM runs").fetchall()
    # The key of a child run holds the id of its parent, which is drawn anew in each workload.
    return {key: (status, json.loads(outcome)[3]) for key, status, outcome in found if "-" in key}


def _effects(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for what, key, _ in _lines(folder / "sink"):
        found.setdefault(what, []).append(key)
    return found


def _named(what: str) -> str:
    # A run's id is drawn anew in each workload.
    return "released" if "released" in what else what


@pytest.mark.parametrize("seed", range(8))
def test_nothing_acknowledged_is_lost_and_nothing_recorded_runs_again(lives, place, seed):
    campaign(lives, place, seed, 125)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_nothing_is_lost_or_doubled_in_ten_thousand_kills(lives, place, seed):
    campaign(lives, place, seed, 250)
