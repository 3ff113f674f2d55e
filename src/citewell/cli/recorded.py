"""Recorded runs as the command line shows them, read without the code that made them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from citewell.cli.options import Session
    from citewell.workflow import Entry
    from citewell.workflow.sqlite_form import RunRow


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step, with what it worked on and what it made."""

    step: str
    attempt: int
    started_at: str | None
    duration_s: float | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    error: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """A run and all that is recorded of it; `fault` is what is wrong with its hash chain, None when it is whole."""

    row: RunRow
    entries: tuple[Entry, ...]
    fault: str | None

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What the run asks now."""
        return asked(self.row.questions, self.entries)

    def page(self) -> str:
        """A page with the run's graph, timeline and entries."""
        from citewell.workflow.drawing import run_to_html
        from citewell.workflow.drawing.recorded import recorded_view

        row = self.row
        return run_to_html(recorded_view(row.started.code), row.started, self.entries, row.outcome, row.workflow)


def look_through(session: Session, file: Path, limit: int) -> int:
    """List the newest runs; exit code 0."""
    from citewell.workflow.sqlite import SqliteJournal

    async def main() -> list[RunRow]:
        async with SqliteJournal(file, read_only=True) as journal:
            return await journal.runs(limit=limit)

    rows = asyncio.run(main())
    if session.as_json:
        session.json({"file": str(file), "runs": [row_json(row) for row in rows]})
    else:
        from citewell.cli.show.workflow import show_rows

        show_rows(session.screen, rows)
    return 0


def look_at(session: Session, file: Path, run_id: str) -> Recorded:
    """Show one run, and give it."""
    from citewell.cli.running import full_id
    from citewell.workflow.sqlite import SqliteJournal

    async def main() -> Recorded:
        async with SqliteJournal(file, read_only=True) as journal:
            whole = await full_id(journal, run_id)
            row = await journal.run(whole)
            return Recorded(row, tuple(await journal.entries(whole)), await journal.verify(whole))

    found = asyncio.run(main())
    if session.as_json:
        session.json(
            {
                "run": {**row_json(found.row), "questions": found.questions},
                "definition": found.row.started.definition,
                "whole": found.fault is None,
                "fault": found.fault,
                "entries": len(found.entries),
                "steps": attempts(found.entries),
            }
        )
    else:
        from citewell.cli.show.workflow import show_recorded

        show_recorded(session.screen, found)
    return found


def state_of(row: RunRow) -> str:
    """The run's status, in which waiting for somebody outside is one of its own."""
    return "waiting" if row.status == "running" and row.waiting else row.status


def row_json(row: RunRow) -> dict[str, Any]:
    """A run as `--json` lists it; times are ISO 8601, UTC."""
    return {
        "run_id": row.run_id,
        "workflow": row.workflow,
        "status": state_of(row),
        "key": row.key,
        "started_at": moment(row.started.at),
        "ended_at": None if row.outcome is None else moment(row.outcome.at),
        "due": None if row.due is None else moment(row.due),
        "questions": [dict(one) for one in row.questions],
        "error": None if row.outcome is None else row.outcome.error,
    }


def asked(questions: Iterable[Mapping[str, Any]], entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Questions with the event that asked them, as `asks` and `content`; the list of runs does not have it of all."""
    from citewell.workflow.wait import key_of

    waits = {key_of(str(one.step), one.caused_by[0], str(one.name)): one for one in entries if one.kind == "wait"}
    found: list[dict[str, Any]] = []
    for question in questions:
        wait = waits.get(str(question.get("question")))
        terms = wait.payload if wait is not None and isinstance(wait.payload, dict) else {}
        if wait is not None and terms.get("asks") is not None:
            same = (wait.step, wait.caused_by)
            shown = [
                one
                for one in entries
                if one.kind == "stream" and one.seq > wait.seq and (one.step, one.caused_by) == same
            ]
            found.append({**question, "asks": short(str(shown[0].event)) if shown else None, "content": terms["asks"]})
        else:
            found.append(dict(question))
    return found


def attempts(entries: Sequence[Entry]) -> list[Attempt]:
    """Every attempt in the order in which they ended."""
    names: Mapping[int, str] = {one.seq: short(one.event) for one in entries if one.kind == "event" and one.event}
    made: dict[tuple[str | None, tuple[int, ...]], list[str]] = {}
    found: list[Attempt] = []
    for one in entries:
        if one.kind == "event" and one.event is not None and one.step is not None:
            made.setdefault((one.step, one.caused_by), []).append(short(one.event))
        elif one.kind == "step":
            started = None if one.started_at is None else moment(one.started_at)
            inputs = tuple(names[seq] for seq in one.caused_by if seq in names)
            outputs = () if one.error else tuple(made.pop((one.step, one.caused_by), ()))
            found.append(Attempt(str(one.step), one.attempt, started, one.duration_s, inputs, outputs, one.error))
    return found


def short(name: str) -> str:
    """An event's name without its module."""
    return name.rpartition(":")[2]


def moment(at: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")
