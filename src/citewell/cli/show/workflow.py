"""How runs of workflows look: how one ended or what it asks, a list of them, the steps of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from citewell.cli.plain import clean, line, text_of
from citewell.cli.recorded import Attempt, attempts, moment, state_of
from citewell.cli.show.layout import STYLES, count, duration, grid, heading, indented, outcome, table
from citewell.cli.show.layout import moment as shown_moment

if TYPE_CHECKING:
    from citewell.cli.recorded import Recorded
    from citewell.cli.running import Followed
    from citewell.cli.screen import Screen
    from citewell.workflow.sqlite_form import RunRow

SHORT_ID = 12
STEPS = 100
"""Attempts of a run that are shown: the last ones."""
_SIGNS = {"done": "ok", "running": "dots", "waiting": "ask"}


def show_outcome(screen: Screen, found: Followed, hints: Sequence[str]) -> None:
    """Print the result, the error, or the questions with the commands that answer them."""
    if found.status == "done":
        screen.show(Text.assemble((f"{screen.sign('ok')} ", STYLES["ok"]), ("done", "bold")))
        if found.result is not None:
            screen.show(indented(_value(found.result)))
        return
    if found.status != "waiting":
        screen.show(outcome(screen, "fail", found.status.replace("_", " ")))
        screen.show(indented(Text(clean(found.error or ""), overflow="fold")))
        return
    screen.show(outcome(screen, "ask", f"waiting: run {line(found.run_id)}"))
    show_questions(screen, found.questions)
    if found.error:
        screen.show(outcome(screen, "fail", line(found.error)))
    for hint in hints:
        screen.note(Text(f"Answer: {line(hint)}", style="dim"))


def show_questions(screen: Screen, questions: Iterable[Mapping[str, Any]]) -> None:
    """Print what a run asks, of whom, and until when."""
    for one in questions:
        facts = grid()
        asked = _words(one)
        facts.add_row("asks", Text(asked))
        if one.get("question"):
            facts.add_row("question", Text(line(str(one["question"]))))
        if one.get("wants"):
            facts.add_row("wants", Text(line(str(one["wants"]))))
        if one.get("who"):
            facts.add_row("of", Text(line(", ".join(one["who"]))))
        if one.get("due"):
            facts.add_row("until", Text(f"{shown_moment(moment(one['due']))} UTC"))
        screen.show(indented(facts))


def _words(question: Mapping[str, Any]) -> str:
    if question.get("asks"):
        content = text_of(question["content"]) if question.get("content") else ""
        return f"{line(str(question['asks']))}{': ' if content else ''}{content}"
    return "an answer to the step that waits"


def _value(value: Any) -> Text:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Text(clean(text), overflow="fold")


def show_rows(screen: Screen, rows: Sequence[RunRow]) -> None:
    """Print one row a run, newest first."""
    if not rows:
        screen.show(outcome(screen, "none", "No runs yet."))
        return
    made = table("", "run", "workflow", "started (UTC)", ("took", "right"), ("state", "fold"))
    for row in rows:
        state = state_of(row)
        kind = _SIGNS.get(state, "fail")
        took = None if row.outcome is None else max(row.outcome.at - row.started.at, 0.0)
        made.add_row(
            Text(screen.sign(kind), style=STYLES.get(kind, "")),
            line(row.run_id)[:SHORT_ID],
            Text(line(row.workflow)),
            shown_moment(moment(row.started.at)),
            duration(took),
            Text(_state_words(row, state)),
        )
    screen.show(made)


def _state_words(row: RunRow, state: str) -> str:
    words = state.replace("_", " ")
    if state == "waiting" and row.questions:
        asked = Counter(line(str(one.get("asks") or one.get("wants"))) for one in row.questions)
        words += ": " + ", ".join(asked)
    if row.status == "failed" and row.outcome is not None and row.outcome.error:
        words += f": {line(row.outcome.error)[:120]}"
    return words + (f" (key {line(row.key)})" if row.key else "")


def show_recorded(screen: Screen, found: Recorded) -> None:
    """Print what a run is, its attempts, what it asks, and whether its record is whole."""
    row = found.row
    facts = grid()
    facts.add_row("run", Text(line(row.run_id)))
    facts.add_row("workflow", Text(line(row.workflow)))
    if row.key:
        facts.add_row("key", Text(line(row.key)))
    took = None if row.outcome is None else max(row.outcome.at - row.started.at, 0.0)
    began = f"{shown_moment(moment(row.started.at))} UTC"
    facts.add_row("started", Text(began + (f", took {duration(took)}" if took is not None else "")))
    state = state_of(row)
    facts.add_row("state", Text(state.replace("_", " "), style=STYLES.get(_SIGNS.get(state, "fail"), "")))
    if row.outcome is not None and row.outcome.error:
        facts.add_row("error", Text(clean(row.outcome.error), overflow="fold"))
    facts.add_row("code", Text(line(row.started.definition)))
    screen.show(facts)
    every = attempts(found.entries)
    if every:
        screen.show("", _steps(every[-STEPS:]))
    if len(every) > STEPS:
        screen.note(Text(f"{count(len(every) - STEPS, 'earlier attempt')} not shown; --html has all.", style="dim"))
    if row.questions:
        screen.show("", heading("Asked"))
        show_questions(screen, found.questions)
    whole = f"record whole: {count(len(found.entries), 'entry', 'entries')}, each chained to the one before"
    screen.show(
        "",
        outcome(screen, "ok", whole)
        if found.fault is None
        else outcome(screen, "fail", f"record damaged: {found.fault}"),
    )


def _steps(every: Sequence[Attempt]) -> Any:
    made = table("step", ("took", "right"), "worked on", ("made", "fold"))
    for one in every:
        name = line(one.step) + (f" (attempt {one.attempt})" if one.attempt > 1 else "")
        result = Text(line(one.error), style="red") if one.error else Text(_counted(one.outputs))
        made.add_row(Text(name), duration(one.duration_s), Text(_counted(one.inputs)), result)
    return made


def _counted(names: Iterable[str]) -> str:
    """`Work, Note`; of several of one type `Work ×3`."""
    return ", ".join(line(name) + (f" ×{many}" if many > 1 else "") for name, many in Counter(names).items())
