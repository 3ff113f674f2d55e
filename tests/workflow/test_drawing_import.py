"""What `import citewell.workflow` loads, and what it only names."""

import subprocess
import sys

import pytest

import citewell.workflow
from citewell.workflow import errors

LATER = ["Runs", "run_to_html", "to_html", "to_mermaid", "to_svg"]


def test_the_package_loads_neither_drawings_nor_the_record_of_runs() -> None:
    code = "import sys, citewell.workflow; print(*(one for one in sys.modules if one.startswith('citewell.workflow.')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.split(".")[2] for name in ran.stdout.split()}
    assert "workflow" in loaded
    assert not loaded & {"drawing", "representation", "runs", "sqlite"}


@pytest.mark.parametrize("name", LATER)
def test_what_is_loaded_later_is_there_under_its_name(name: str) -> None:
    assert getattr(citewell.workflow, name).__name__ == name
    assert name in citewell.workflow.__all__
    assert name in dir(citewell.workflow)


def test_every_error_stands_in_errors_and_in_the_package() -> None:
    every = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    made = {name: one for name, one in every.items() if one.__module__ == errors.__name__}
    assert {"RunsClosed", "RunTaken", "RunOver", "JournalFailed"} <= made.keys()
    for name, one in made.items():
        assert name in citewell.workflow.__all__
        assert getattr(citewell.workflow, name) is one


def test_a_name_that_is_not_there_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'to_png'"):
        citewell.workflow.to_png
