"""A small corpus, its knowledge base, and the command line run in this process."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from ran import Ran, Run

import citewell
from citewell.cli.app import main

FILES = {
    "travel.md": """# Travel policy

## Hotels

A room in a hotel may cost up to EUR 180 per night, breakfast included.

## Trains

Trains are booked in second class. First class needs a reason.
""",
    "leave.html": """<html><head><title>Leave</title></head><body><main><h1>Leave</h1>
<p>Every employee has 26 days of annual leave in a calendar year.</p>
<p>Leave that was not taken is not paid out.</p></main></body></html>
""",
    "prices.csv": "item,price,currency\nTablet,480,EUR\nScreen,210,EUR\n",
}
SECRET = "# Salary bands\n\nThe salary band for level E4 begins at 62,400 euro a year.\n"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITEWELL_EMBEDDING__PROVIDER", "hashing")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("CITEWELL_KB", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # Processes started by a test run in its folder: a relative path to the package would lead nowhere from there.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(citewell.__file__).parents[1]), *sys.path]))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `citewell` with these arguments."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of documents."""
    folder = tmp_path_factory.mktemp("docs")
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="session")
def _built(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CITEWELL_EMBEDDING__PROVIDER", "hashing")
        folder = tmp_path_factory.mktemp("built") / "kb"
        assert main(["--quiet", "ingest", str(corpus), "--kb", str(folder), "--metadata", "year=2025"]) == 0
        secret = tmp_path_factory.mktemp("secret") / "bands.md"
        secret.write_text(SECRET, "utf-8")
        allowed = ["--allow", "group:people", "--kb", str(folder)]
        assert main(["--quiet", "ingest", str(secret), "--bucket", "hr", *allowed]) == 0
    return folder


@pytest.fixture
def kb(_built: Path, tmp_path: Path) -> Path:
    """A knowledge base of its own for each test, with the corpus and one page for the group `people`."""
    folder = tmp_path / "kb"
    shutil.copytree(_built, folder)
    return folder
