"""Lives of one process after another over one file of runs, each ended with SIGKILL: at a drawn time or a named point.

Run as a program it forks one life for every line of JSON on its standard input, and answers how the life ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from kill_flows import FLOWS, OUTSIDE, answers

from citewell.workflow import AnswerRefused, Workflow, WorkflowRuntimeError
from citewell.workflow.runs import Runs
from citewell.workflow.sqlite import SqliteJournal

POINTS = ("before begin", "before insert", "before commit", "after commit", "before resolve")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed:
    """A connection that ends the process at the `left`-th passage of a point."""

    def __init__(self, db: sqlite3.Connection, point: str, left: int) -> None:
        self._db = db
        self._point = point
        self._left = left

    def pass_by(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                die()

    def execute(self, text: str, *values: Any) -> Any:
        if text.startswith("BEGIN"):
            self.pass_by("before begin")
        elif text.startswith("INSERT"):
            self.pass_by("before insert")
        elif text == "COMMIT":
            self.pass_by("before commit")
        found = self._db.execute(text, *values)
        if text == "COMMIT":
            self.pass_by("after commit")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class DoomedJournal(SqliteJournal):
    """A journal whose process is killed at the n-th passage of one of POINTS."""

    def __init__(self, path: str, point: str, n: int) -> None:
        super().__init__(path)
        self._point, self._n = point, n

    def _connect(self) -> Any:
        return Doomed(super()._connect(), self._point, self._n)

    def _commit(self, ops: Sequence[Any]) -> Any:
        outcomes = super()._commit(ops)
        self._db.pass_by("before resolve")  # type: ignore[union-attr]
        return outcomes


def orders(seed: int) -> list[tuple[str, Workflow, int]]:
    """The runs of one workload: key, workflow, size."""
    draw = random.Random(seed)
    kinds = [*FLOWS, *draw.choices(FLOWS, k=6)]
    draw.shuffle(kinds)
    return [(f"{seed}-{n}", flow, draw.randint(1, 6)) for n, flow in enumerate(kinds)]


async def live(folder: str, seed: int, point: str | None, n: int, opened: int) -> None:
    """Start what is not started, answer what is asked, until every result has been seen."""
    OUTSIDE.open(folder)
    path = f"{folder}/runs.db"
    journal = SqliteJournal(path) if point is None else DoomedJournal(path, point, n)
    draw = random.Random(f"{seed} {n} {point}")
    runs = OUTSIDE.runs = Runs(journal, FLOWS, park_after_s=draw.choice([0.0, 0.003, 1.0]))
    async with journal, runs:
        OUTSIDE.log("refused", json.dumps({one: str(error) for one, error in runs.refused.items()}))
        os.write(opened, b"o")
        people = asyncio.create_task(_answer_all(runs, draw.random() < 0.3))
        async with asyncio.TaskGroup() as group:
            for order, flow, size in orders(seed):
                group.create_task(_see_to(runs, order, flow, size))
        people.cancel()


async def _see_to(runs: Runs, order: str, flow: Workflow, size: int) -> None:
    handler = await runs.start(flow, key=order, order=order, n=size)
    OUTSIDE.log("started", order, handler.run_id)
    try:
        result = await handler
    except Exception as error:  # noqa: BLE001 - how a run failed is its result here
        result = f"{getattr(error, 'original_type', type(error).__name__)}: {error}"
    OUTSIDE.log("result", order, json.dumps(result))


async def _answer_all(runs: Runs, compact: bool) -> None:
    while True:
        for question in await runs.questions():
            if compact:
                # Refused for one that is in memory.
                with contextlib.suppress(WorkflowRuntimeError):
                    await runs.compact(question.run_id)
            for said, by, key in answers(question):
                with contextlib.suppress(AnswerRefused):
                    try:
                        await runs.answer(question.run_id, said, by=by, question=key)
                    except AnswerRefused:
                        raise
                    except Exception as error:  # noqa: BLE001 - judged by the test
                        if "is over" not in str(error):
                            OUTSIDE.log("unexpected", repr(error))
                        continue
                    OUTSIDE.log("answered", question.run_id, key, by)
        await asyncio.sleep(0.002)


def _one_life(order: dict[str, Any], opened: int) -> None:
    folder, point = order["folder"], order["point"]
    with open(f"{folder}/errors", "a") as errors:
        os.dup2(errors.fileno(), 2)
        code = 1
        try:
            limit = asyncio.wait_for(live(folder, order["seed"], point, order["n"], opened), 20)
            asyncio.run(limit)
            code = 0
        except BaseException as error:  # noqa: BLE001 - told to the test by the log
            OUTSIDE.log("unexpected", repr(error))
        os._exit(code)


def _warm_up() -> None:
    """Live once, so that the lives to come find read and compiled what each would have to read by itself."""
    here, there = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(folder, 0, None, 0, there))
    os.close(here)
    os.close(there)
    # The children would copy what a collection touches.
    gc.freeze()


def serve() -> None:
    """Fork a life for each line, kill it `after_s` seconds after it has opened the runs if that is given."""
    _warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(here)
            _one_life(order, there)
        os.close(there)
        if order["after_s"] is not None:
            if not order["blind"]:
                os.read(here, 1)
            time.sleep(order["after_s"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(here)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
