"""Importing Citewell is cheap, and its facade is the engine without await."""

from __future__ import annotations

import inspect
import subprocess
import sys

import citewell
from citewell.engine import Engine
from citewell.sync import KnowledgeBase


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_import_loads_no_heavy_module():
    heavy = {"numpy", "pydantic", "onnxruntime", "tokenizers", "typer", "rich", "fastapi", "sqlite3", "asyncio"}
    assert loaded_by("import citewell") & heavy == set()


def test_every_public_name_can_be_reached():
    for name in citewell.__all__:
        assert getattr(citewell, name) is not None


def test_sync_facade_has_the_signatures_of_the_engine():
    def public(kind: type) -> dict[str, list[tuple[str, object, object]]]:
        return {
            name: [(one.name, one.kind, one.default) for one in inspect.signature(member).parameters.values()]
            for name, member in vars(kind).items()
            if inspect.isfunction(member) and not name.startswith("_")
        }

    assert public(KnowledgeBase) == public(Engine)
