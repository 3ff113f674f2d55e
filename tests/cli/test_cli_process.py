"""`citewell` as a process: what it loads, and how it ends when it is interrupted or nobody listens."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

CITEWELL = [sys.executable, "-m", "citewell"]
HEAVY = ("numpy", "pydantic", "onnxruntime", "rich", "sqlite3", "asyncio")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(option: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "citewell", option], capture_output=True, text=True, check=True
    )
    loaded = {row.rpartition("|")[2].strip().partition(".")[0] for row in ran.stderr.splitlines()}
    assert "citewell" in loaded
    assert not loaded & set(HEAVY)
    assert "citewell" in ran.stdout


@pytest.mark.parametrize(
    "command",
    [
        *["", "ingest", "ask", "search", "status", "documents", "documents show", "delete", "runs", "runs show"],
        *["doctor", "workflow", "workflow draw", "workflow run", "workflow resume", "workflow show"],
    ],
)
def test_every_command_has_help_with_examples(command: str) -> None:
    ran = subprocess.run([*CITEWELL, *command.split(), "--help"], capture_output=True, text=True, check=True)
    assert "Examples:" in ran.stdout or not command
    assert f"citewell {command}".strip() in ran.stdout
    assert "\x1b" not in ran.stdout


def test_a_reader_that_goes_away_is_no_error(kb: Path) -> None:
    started = subprocess.Popen(
        [*CITEWELL, "documents", "--kb", str(kb)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    error = started.stderr.read()
    started.stderr.close()
    assert started.wait(60) == 0
    assert "Traceback" not in error
    assert "BrokenPipe" not in error


@pytest.fixture
def interrupted(tmp_path: Path) -> tuple[int, str, Path]:
    """An ingestion of 4000 files that was sent SIGINT after its first commit: exit code, stderr, knowledge base."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(4000):
        (docs / f"{number}.md").write_text(f"# Page {number}\n\nWords about the number {number}.\n", "utf-8")
    folder = tmp_path / "kb"
    started = subprocess.Popen(
        [*CITEWELL, "ingest", str(docs), "--kb", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    waited_until = time.monotonic() + 60
    while started.poll() is None and time.monotonic() < waited_until and _committed(folder / "citewell.db") == 0:
        time.sleep(0.05)
    assert started.poll() is None, started.communicate()
    os.kill(started.pid, signal.SIGINT)
    _, error = started.communicate(timeout=60)
    return started.returncode, error, folder


def test_an_interrupted_ingestion_ends_with_130_and_keeps_what_was_finished(
    interrupted: tuple[int, str, Path],
) -> None:
    code, error, folder = interrupted
    assert code == 130, error
    assert error.startswith("citewell: Stopped.")
    assert 0 < _committed(folder / "citewell.db") < 4000
    checked = subprocess.run([*CITEWELL, "doctor", "--kb", str(folder)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_an_interrupted_ingestion_says_so_in_one_line(interrupted: tuple[int, str, Path]) -> None:
    assert interrupted[1].count("\n") == 1


def test_an_output_that_is_not_utf_8_degrades(kb: Path) -> None:
    ran = subprocess.run(
        [*CITEWELL, "search", "hotel", "--kb", str(kb)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=True,
    )
    assert "Travel policy > Hotels" in ran.stdout.decode("ascii")


def _committed(file: Path) -> int:
    """How many documents are visible; 0 while there is no such file or table yet."""
    if not file.exists():
        return 0
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        count: int = db.execute("SELECT count(*) FROM documents").fetchone()[0]
    except sqlite3.Error:
        return 0
    finally:
        db.close()
    return count
