"""What the README shows is done as it stands there, in a folder that has the examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from citewell.cli.app import main
from citewell.config import load

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def test_the_program_of_the_readme_answers_with_quotes(folder):
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.startswith("answered "), done
    assert "supported" in done.stdout
    assert "travel-policy" in done.stdout


def test_the_commands_of_the_readme_do_what_they_say(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for name in ("CITEWELL_KB", "CITEWELL_EMBEDDING__PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    section = README.split("## Use it from the command line")[1].split("\n## ")[0]
    commands = [line.partition("#")[0].strip() for line in section.splitlines() if line.startswith("    citewell ")]
    assert len(commands) >= 5
    for command in commands:
        code = main(shlex.split(command)[1:])
        said = capsys.readouterr()
        assert (code, bool(said.out)) == (0, True), f"{command}: {said.out}{said.err}"


def test_the_settings_of_the_readme_are_taken(tmp_path):
    rules, settings = blocks("toml")
    assert tomllib.loads(rules)["rule"]
    (tmp_path / "citewell.toml").write_text(settings)
    assert load(tmp_path, {}).answering.writer == "generative"
