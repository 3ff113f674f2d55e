"""Every program of docs/workflows.md runs as it stands, and prints what stands under it."""

import importlib
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import citewell

GUIDE = Path(__file__).parents[2] / "docs" / "workflows.md"
_SECTION = re.compile(r"^## (?P<name>.+?)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)


def programs() -> list[tuple[str, str, str]]:
    """Section, program and what it prints, of each fenced program."""
    found = []
    for section in _SECTION.finditer(GUIDE.read_text("utf-8")):
        blocks = [(block["kind"], block["text"]) for block in _BLOCK.finditer(section["text"])]
        for (kind, text), (next_kind, printed) in pairwise([*blocks, ("", "")]):
            if kind == "python":
                assert next_kind == "text", f"The program of {section['name']!r} is not followed by what it prints."
                found.append((section["name"], text, printed))
    return found


def test_every_pattern_of_the_table_has_a_section() -> None:
    text = GUIDE.read_text("utf-8")
    anchors = {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in re.findall(r"^## (.+)$", text, re.M)}
    linked = set(re.findall(r"\]\(#([\w-]+)\)", text))
    assert linked == anchors
    assert len(programs()) >= 13


COMPATIBILITY = GUIDE.with_name("compatibility.md")


def test_every_name_of_the_compatibility_table_stands_at_its_place() -> None:
    table = COMPATIBILITY.read_text("utf-8").split("## Names")[1].split("## ")[0]
    found = 0
    for row in re.findall(r"^\| (.+?) \| (.+) \|$", table, re.M)[1:]:
        places = re.findall(r"`\.([\w.]+)`", row[0]) or [""]
        names = re.findall(r"`(\w+)`", row[1].partition("; an edge")[0])
        # The last row has three places, of which each has what the text behind it says.
        if len(places) > 1:
            names = []
        for place in places:
            module = importlib.import_module(f"citewell.workflow.{place}".removesuffix("."))
            for name in names:
                assert hasattr(module, name), (place, name)
                found += 1
    assert found > 75


def test_every_test_that_the_compatibility_page_names_is_there() -> None:
    folder = Path(__file__).parent / "compat"
    named = set(re.findall(r"`(test_\w+)(?:\.py)?`", COMPATIBILITY.read_text("utf-8")))
    assert named == {path.stem for path in folder.glob("test_*.py")} - {"test_compat_names", "test_compat_programs"}


@pytest.mark.parametrize(("section", "program", "printed"), programs(), ids=[one[0] for one in programs()])
def test_a_program_of_the_guide_prints_what_the_guide_says(
    section: str, program: str, printed: str, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text(program, "utf-8")
    path = os.pathsep.join([str(Path(citewell.__file__).parents[1]), *(one for one in sys.path if one)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(file)],
        capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, env=environment, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == printed, section
    # Neither a warning nor an error of the engine goes unseen.
    assert ran.stderr == ""
