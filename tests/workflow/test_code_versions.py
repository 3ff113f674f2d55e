"""Recorded runs and changed code: old histories are read for good, and what no longer fits is refused by name."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import inspect
import itertools
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import history_flows
import pytest

from citewell.workflow import AnswerRefused, DefinitionChanged, Workflow
from citewell.workflow.journal import Entry, Outcome, RunStart
from citewell.workflow.runs import Runs

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
SOURCE = inspect.getsource(history_flows)
NUMBERS = itertools.count()


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_every_kept_history_is_read_by_the_present_code(path, tmp_path):
    form = json.loads(path.read_text())
    replayed, result = asyncio.run(_go_on(tmp_path, form, history_flows.Ship(timeout=None)))
    assert [list(one) for one in replayed.pending] == form["pending"]
    assert dict(replayed.state) == form["state"]
    assert result == [3, False]


def test_there_are_histories():
    assert {path.stem.partition("-")[2] for path in HISTORIES} == {"asked", "reviewed", "ended"}


async def _load(runs: Runs, form: dict[str, Any]) -> str:
    start = RunStart(**form["start"])
    entries = [Entry.from_json(one) for one in form["entries"]]
    await runs.journal.accept(start, entries[:1])
    await runs.journal.append(start.run_id, entries[1:])
    if form["outcome"] is not None:
        await runs.journal.ended(start.run_id, Outcome(**form["outcome"]), [])
    return start.run_id


async def _go_on(folder: Path, form: dict[str, Any], flow: Workflow) -> tuple[Any, Any]:
    """What the history comes to, and what the run comes to when it goes on from there."""
    async with Runs(folder / "runs.db", [flow]) as runs:
        run_id = await _load(runs, form)
        replayed = await runs.replay(run_id)
        return replayed, await _answer_all(runs, run_id, flow)


async def _answer_all(runs: Runs, run_id: str, flow: Workflow) -> Any:
    module = sys.modules[type(flow).__module__]
    handler = await runs.get(run_id)
    async with asyncio.timeout(10):
        while not handler.is_done():
            for question in await runs.questions():
                with contextlib.suppress(AnswerRefused):
                    answer = module.Sure(yes=True) if question.key else module.Say(yes=False)
                    await runs.answer(run_id, answer, question=question.key)
            await asyncio.sleep(0.005)
        return await handler


def _mutations(draw: random.Random) -> Iterator[tuple[str, str, str]]:
    """Kind, source, and what the error has to name."""
    while True:
        n = draw.randint(2, 99)
        yield "body", SOURCE.replace("i=ev.i * 2", f"i=ev.i * {n + 1}"), "step make has changed"
        yield "body", SOURCE.replace('"once"', f'"once {n}"'), "step make has changed"
        yield "annotation", SOURCE.replace("-> Ask:", f"-> Ask | StopEvent:  # {n}"), "step join has changed"
        yield (
            "field",
            SOURCE.replace('note: str = ""', f'note: str = ""\n    more{n}: int = 0'),
            "event Made has changed",
        )
        yield "field type", SOURCE.replace("total: int", draw.choice(["total: float", "total: str"])), "event Ask has"
        yield "gone field", SOURCE.replace('    note: str = ""\n', f"    # {n}\n"), "event Made has changed"
        yield "renamed event", re.sub(r"\bPiece\b", f"Piece{n}", SOURCE), "event Piece is gone"
        yield "renamed step", SOURCE.replace("def join", f"def join{n}"), "step join is gone"
        new = (
            f"    @step\n    async def extra{n}(self, ev: Say) -> None:\n        pass\n\n    @step\n    async def end("
        )
        yield "new step", SOURCE.replace("    @step\n    async def end(", new), f"step extra{n} is new"
        removed = SOURCE[: SOURCE.index("    @step(retry")] + SOURCE[SOURCE.index("    @step\n    async def join") :]
        yield (
            "removed step",
            removed.replace("list[Piece]", "list[Made]").replace("Piece(i=", "Made(i="),
            "step make is",
        )


MUTATIONS = list(itertools.islice(_mutations(random.Random(4)), 50))


@pytest.mark.parametrize("number", range(50))
def test_changed_code_is_refused_by_name_and_never_goes_on_in_silence(number, tmp_path):
    _, source, named = MUTATIONS[number]
    assert source != SOURCE
    flow = _module(tmp_path, source).Ship(timeout=None)
    for path in HISTORIES:
        folder = tmp_path / path.stem
        folder.mkdir()
        with pytest.raises(DefinitionChanged, match=re.escape(named)):
            asyncio.run(_go_on(folder, json.loads(path.read_text()), flow))


def _module(folder: Path, source: str) -> ModuleType:
    """The source as a module of its own, which lies in a file, so that its text can be read."""
    # The same module with other text, as after a change; only the files differ, since texts are read by file.
    path = folder / f"changed_flows_{next(NUMBERS)}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("changed_flows", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["changed_flows"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _start_and_park(folder: Path, flow: Workflow) -> None:
    async with Runs(folder / "runs.db", [flow]) as runs:
        await runs.start(flow, run_id="ship", n=3)
        while not await runs.questions():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _finish(folder: Path, flow: Workflow) -> Any:
    async with Runs(folder / "runs.db", [flow]) as runs:
        return await _answer_all(runs, "ship", flow)


def test_a_step_with_a_version_may_change_under_its_runs(tmp_path):
    versioned = SOURCE.replace("    @step\n    async def end(", '    @step(version="1")\n    async def end(')
    changed = versioned.replace("ev.yes]", 'ev.yes, "changed"]')
    asyncio.run(_start_and_park(tmp_path, _module(tmp_path, versioned).Ship(timeout=None)))
    assert asyncio.run(_finish(tmp_path, _module(tmp_path, changed).Ship(timeout=None))) == [3, False, "changed"]
    other = changed.replace('version="1"', 'version="2"')
    folder = tmp_path / "other"
    folder.mkdir()
    asyncio.run(_start_and_park(folder, _module(tmp_path, versioned).Ship(timeout=None)))
    with pytest.raises(DefinitionChanged, match="step end has changed"):
        asyncio.run(_finish(folder, _module(tmp_path, other).Ship(timeout=None)))


@pytest.mark.parametrize("by", ["list", "mapping"])
def test_a_workflow_that_continues_the_old_definition_goes_on_with_its_runs(by, tmp_path):
    declared = SOURCE.replace("class Ship(Workflow):\n", 'class Ship(Workflow):\n    version = "1"\n\n')
    asyncio.run(_start_and_park(tmp_path, _module(tmp_path, declared).Ship(timeout=None)))
    if by == "list":
        new = declared.replace("ev.yes]", 'ev.yes, "new"]').replace(
            'version = "1"', 'version = "2"\n    continues = ["1"]'
        )
    else:
        # An event and a step have other names, which the entries are taught.
        new = (
            re.sub(r"\bPiece\b", "Part", declared).replace("def make", "def build").replace("ev.yes]", 'ev.yes, "new"]')
        )
        new = new.replace('version = "1"', 'version = "2"\n    continues = {"1": _renamed}')
        new = new.replace("class Ship(", RENAMED + "\n\nclass Ship(")
    assert asyncio.run(_finish(tmp_path, _module(tmp_path, new).Ship(timeout=None))) == [3, False, "new"]


def test_the_end_of_a_run_is_taught_its_new_name_too(tmp_path):
    own = SOURCE.replace("class Ship(", "class Shipped(StopEvent):\n    said: list\n\n\nclass Ship(")
    own = own.replace("-> StopEvent:\n        return StopEvent(", "-> Shipped:\n        return Shipped(").replace(
        "result=[await", "said=[await"
    )
    old = own.replace("class Ship(Workflow):\n", 'class Ship(Workflow):\n    version = "1"\n\n')
    new = re.sub(r"\bShipped\b", "Delivered", old)
    new = new.replace('version = "1"', 'version = "2"\n    continues = {"1": _renamed}')
    new = new.replace(
        "class Ship(Workflow)",
        RENAMED.replace("Part", "Delivered").replace("Piece", "Shipped") + "\n\nclass Ship(Workflow)",
    )
    new = new.replace('"build" if entry.step == "make" else ', "")
    flow = _module(tmp_path, old).Ship(timeout=None)
    asyncio.run(_start_and_park(tmp_path, flow))
    assert asyncio.run(_finish(tmp_path, flow)).said == [3, False]

    async def look_back(folder: Path, module: ModuleType, *, compact: bool) -> Any:
        async with Runs(folder / "runs.db", [module.Ship(timeout=None)]) as runs:
            if compact:
                await runs.compact("ship", keep_history=False)
            return await runs.result("ship")

    for compact in (False, True):
        module = _module(tmp_path, new)
        end = asyncio.run(look_back(tmp_path, module, compact=compact))
        assert type(end) is module.Delivered
        assert end.said == [3, False]


RENAMED = """
def _renamed(entry):
    import dataclasses

    event = "Part" if entry.event == "Piece" else entry.event
    step = "build" if entry.step == "make" else entry.step
    return dataclasses.replace(entry, event=event, step=step)
"""
