"""Whole programs: written for llama-index-workflows, run as they are and with only the import root replaced."""

import pytest
from drive import go
from roots import PROGRAMS, Api


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.py")))
def test_a_program_runs_with_only_its_imports_changed(api: Api, name: str) -> None:
    program = api.program(name)
    assert go(program.main()) == program.EXPECTED


def test_every_program_imports_the_engine() -> None:
    programs = list(PROGRAMS.glob("*.py"))
    assert len(programs) >= 5
    assert all("\nfrom workflows import " in path.read_text("utf-8") for path in programs)
