"""How runs look: a list of them, and the steps of one with their timings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from citewell.cli.plain import line
from citewell.cli.show.layout import STYLES, count, duration, grid, indented, moment, outcome, table

if TYPE_CHECKING:
    from citewell.audit.account import Account
    from citewell.cli.screen import Screen
    from citewell.protocols import RunRecord

SHORT_ID = 12
_SIGNS = {"done": "ok", "failed": "fail", "running": "dots"}
_STATES = {"done": "green", "failed": "red", "running": "yellow"}


def show_runs(screen: Screen, records: Sequence[RunRecord]) -> None:
    """Print one row a run, newest first."""
    if not records:
        screen.show(outcome(screen, "none", "No runs of yours yet."))
        return
    made = table("", "run", "started (UTC)", ("took", "right"), ("what", "fold"))
    for one in records:
        kind = _SIGNS.get(one.status, "warn")
        note = "" if one.status == "done" else f" ({line(one.status)})"
        made.add_row(
            Text(screen.sign(kind), style=STYLES.get(kind, "")),
            line(one.run_id)[:SHORT_ID],
            moment(one.started_at),
            duration(lasted_s(one)),
            Text(line(one.summary) + note),
        )
    screen.show(made)


def show_run(screen: Screen, account: Account) -> None:
    """Print what the run was, and its steps in the order in which they ended."""
    show_head(screen, account)
    made = table("step", ("took", "right"), "worked on", ("made", "fold"))
    for step in account.steps:
        name = line(step.step) + (f" (attempt {step.attempt})" if step.attempt > 1 else "")
        result = Text(line(step.error), style="red") if step.error else Text(", ".join(n for n, _ in step.outputs))
        made.add_row(name, duration(step.duration_s), Text(", ".join(n for n, _ in step.inputs)), result)
    screen.show("", made)
    screen.note(
        "", Text(f"All of it: {screen.program} runs explain {line(account.record.run_id)[:SHORT_ID]}", style="dim")
    )


def show_head(screen: Screen, account: Account) -> None:
    """Print who asked what, when, and how long it took."""
    record = account.record
    who = record.principal
    facts = grid()
    facts.add_row("run", Text(line(record.run_id)))
    facts.add_row("what", Text(line(record.summary)))
    facts.add_row("flow", Text(line(record.flow)))
    facts.add_row("by", Text(line(", ".join([f"user:{who.user}", *(f"group:{one}" for one in sorted(who.groups))]))))
    took = duration(lasted_s(record))
    facts.add_row("started", Text(f"{moment(record.started_at)} UTC" + (f", took {took}" if took else "")))
    facts.add_row("status", Text(line(record.status), style=_STATES.get(record.status, "")))
    screen.show(facts)
    failed = sum(step.error is not None for step in account.steps)
    if failed:
        screen.show(indented(outcome(screen, "fail", f"{count(failed, 'attempt')} of a step failed")))


def run_json(account: Account) -> dict[str, Any]:
    """A run as `runs show --json` prints it: its record, and each step with its timing and the names of its events."""
    steps = [
        {
            "step": step.step,
            "attempt": step.attempt,
            "started_at": step.started_at,
            "duration_s": step.duration_s,
            "inputs": [name for name, _ in step.inputs],
            "outputs": [name for name, _ in step.outputs],
            "error": step.error,
        }
        for step in account.steps
    ]
    return {"run": account.record, "steps": steps}


def explain_json(account: Account) -> dict[str, Any]:
    """A run as `runs explain --json` prints it: with the content of every event, and the texts shown to the writer."""
    steps = [
        {
            "step": step.step,
            "attempt": step.attempt,
            "started_at": step.started_at,
            "duration_s": step.duration_s,
            "inputs": [{"event": name, "content": content} for name, content in step.inputs],
            "outputs": [{"event": name, "content": content} for name, content in step.outputs],
            "error": step.error,
        }
        for step in account.steps
    ]
    return {"run": account.record, "steps": steps, "shown": account.shown}


def lasted_s(record: RunRecord) -> float | None:
    """Seconds from start to end; None while it runs."""
    try:
        start, end = (dt.datetime.fromisoformat(one) for one in (record.started_at, record.ended_at or ""))
    except ValueError:
        return None
    return max((end - start).total_seconds(), 0.0)
