"""A run as the command line follows it: its events as they come, its questions, how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citewell.cli.plain import text_of
from citewell.cli.recorded import asked
from citewell.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from citewell.cli.options import Session
    from citewell.workflow import PlainEvent, Runs, Workflow
    from citewell.workflow.handler import WorkflowHandler
    from citewell.workflow.outlet import Stream
    from citewell.workflow.run import Run


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What is run: a workflow, the name it has on the command line, and the record, None for a run in memory."""

    name: str
    workflow: Workflow
    file: Path | None


SETTLES_S = 10.0
"""How long the note in the record that a run waits may take to be written."""


@dataclasses.dataclass(slots=True)
class Followed:
    """What there is to say of a run when the command ends. `status` is "waiting", or how the run ended.

    `kinds` are the types of event that answer, by question.
    """

    run_id: str
    workflow: str
    status: str = "waiting"
    result: Any = None
    error: str | None = None
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    questions: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    kinds: dict[str | None, list[type[PlainEvent]]] = dataclasses.field(default_factory=dict)


def begin(session: Session, target: Target, start: PlainEvent, key: str | None) -> int:
    """Run a workflow to its end, or until it waits for a person; the exit code."""

    async def main() -> Followed:
        from citewell.workflow import Runs

        workflow, file = target.workflow, target.file
        if file is None:
            return await _follow(session, workflow.run(start_event=start))
        async with Runs(file, [workflow], resume=False) as runs:
            handler = await runs.start(workflow, start, key=key)
            session.screen.note(f"Run {handler.run_id}")
            return await _follow(session, handler, runs)

    return _tell(session, target, asyncio.run(main()))


def go_on(session: Session, target: Target, run_id: str, fields: Mapping[str, Any] | None, question: str | None) -> int:
    """Go on with a recorded run, answering it if there are `fields`; the exit code."""

    async def main() -> Followed:
        from citewell.workflow import AnswerRefused, Runs

        assert target.file is not None
        async with Runs(target.file, [target.workflow], resume=False) as runs:
            whole = await full_id(runs.journal, run_id)
            handler = await runs.get(whole)
            if fields is None:
                # What was shown before is not shown again.
                after = sys.maxsize if handler.is_done() else handler._run.reducer.seq
                return await _follow(session, handler, runs, after=after)
            if handler.is_done():
                raise AnswerRefused(f"Run {whole} is over; it takes no answer any more.")
            stream = handler.stream_events(expose_internal=True, after=handler._run.reducer.seq)
            await handler._run.settled()
            answer = _answer(handler._run, fields, question)
            by = None if session.as_user is None else session.as_user.removeprefix("user:")
            await runs.answer(whole, answer, question=question, by=by)
            return await _follow(session, handler, runs, stream=stream)

    return _tell(session, target, asyncio.run(main()))


async def full_id(journal: Any, run_id: str) -> str:
    """The id of the one run that it is the beginning of. NotFound when there is none, or more than one."""
    rows = await journal.runs(limit=1_000_000)
    found = [row.run_id for row in rows if row.run_id == run_id] or [
        row.run_id for row in rows if row.run_id.startswith(run_id)
    ]
    if not found:
        raise NotFound(f"There is no run {run_id!r} in {journal.path}. List them: citewell workflow show.")
    if len(found) > 1:
        raise NotFound(f"{len(found)} runs begin with {run_id!r}. Give more of the id.")
    return str(found[0])


async def _follow(
    session: Session,
    handler: WorkflowHandler,
    runs: Runs | None = None,
    *,
    after: int = 0,
    stream: Stream | None = None,
) -> Followed:
    from citewell.workflow import questions
    from citewell.workflow.ends import status_of
    from citewell.workflow.events import InternalDispatchEvent, WorkflowIdleEvent

    found = Followed(handler.run_id, handler._run.graph.name)
    finished = handler.is_done()
    stream = stream or handler.stream_events(expose_internal=not finished, after=after)
    async for event in stream:
        if isinstance(event, WorkflowIdleEvent):
            if handler._run.idle:
                found.questions, found.kinds = questions.listed(handler._run), _kinds(handler._run)
                await _at_rest(handler, runs, found)
                return found
        elif not isinstance(event, InternalDispatchEvent):
            form = fields_of(event)
            found.events.append({"seq": stream.seq, "event": type(event).__name__, "content": form})
            if not session.as_json and event is not handler.get_stop_event():
                _show_event(session, type(event).__name__, form)
    error: Exception | None = None
    try:
        found.result = jsonable(await handler)
    except Exception as raised:  # noqa: BLE001 - the outcome of somebody's own steps, which is what is to be told
        error = raised
        found.error = f"{getattr(raised, 'original_type', type(raised).__name__)}: {raised}"
    found.status = status_of(error)
    return found


async def _at_rest(handler: WorkflowHandler, runs: Runs | None, found: Followed) -> None:
    """End a run that nobody could answer later; of a recorded one, wait until its record says that it waits."""
    if runs is None:
        await handler.cancel_run()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLES_S):
            while not (await runs.journal.run(handler.run_id)).waiting:  # noqa: ASYNC110 - the record is what counts
                await asyncio.sleep(0.01)
    found.questions = asked(found.questions, await runs.journal.entries(handler.run_id))


def _kinds(run: Run) -> dict[str | None, list[type[PlainEvent]]]:
    """The types of event that answer, by question; under None those that a step takes."""
    from citewell.workflow.plain import PlainHumanResponseEvent

    graph = run.graph
    found: dict[str | None, list[type[PlainEvent]]] = {
        wait.key: [wait.kind] for wait in (run.reducer.waits or {}).values()
    }
    every = graph.events.values()
    found[None] = [kind for kind in every if issubclass(kind, PlainHumanResponseEvent) and graph.routed(kind)]
    return found


def _answer(run: Run, fields: Mapping[str, Any], question: str | None) -> PlainEvent:
    every = _kinds(run)
    asked = {key: kinds for key, kinds in every.items() if key is not None}
    if question is not None and question not in asked:
        raise ConfigError(f"No question {question!r} is open: the run asks {', '.join(asked) or 'none by name'}.")
    # Who asked by name is answered first; only if nobody did, the steps that take what comes.
    chosen = [asked[question]] if question is not None else list(asked.values()) or [every[None]]
    kinds = {kind.__name__: kind for one in chosen for kind in one}
    named = {kind.__name__: kind for one in every.values() for kind in one}
    content: Any = fields
    only = next(iter(fields)) if len(fields) == 1 else ""
    if only in named and isinstance(fields[only], dict):
        kinds, content = {only: named[only]}, fields[only]
    if not kinds:
        raise NotFound("The run asks nothing, and no step of it takes an answer.")
    if len(kinds) > 1:
        names = ", ".join(kinds)
        raise ConfigError(
            f"Events of several types may answer ({names}). Write --answer '{{\"{next(iter(kinds))}\": {{…}}}}'."
        )
    name, kind = next(iter(kinds.items()))
    try:
        return kind(**content)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--answer does not fit {name}: {fault(error)}") from error


def fault(error: BaseException) -> str:
    """What a constructor found wrong with its fields, on one line."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    told = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in told)


# What is told


def _show_event(session: Session, name: str, form: Mapping[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    told = Text.assemble((name, "cyan"), "  " if form else "", text_of(form) if form else "")
    told.no_wrap, told.overflow = True, "ellipsis"
    # One line each; rich would join bare texts, and forget that they are not to be wrapped.
    session.screen.show(Padding(told, 0))


_TOLD = ("run_id", "workflow", "status", "result", "error", "events", "questions")


def _tell(session: Session, target: Target, found: Followed) -> int:
    file = target.file
    failed = found.status != "done" and (found.status != "waiting" or file is None)
    if found.status == "waiting" and file is None:
        found.error = "The run waits for a person, but lives in memory only. Give --runs FILE to answer it later."
    hints = [_hint(target, found, one) for one in found.questions] if file else []
    if session.as_json:
        told = {name: getattr(found, name) for name in _TOLD}
        session.json({**told, "answer_with": hints})
        return int(failed)
    from citewell.cli.show.workflow import show_outcome

    show_outcome(session.screen, found, hints)
    return int(failed)


def _hint(target: Target, found: Followed, question: Mapping[str, Any]) -> str:
    """The command that answers a question."""
    kinds = found.kinds.get(question.get("question"), [])
    inside = ", ".join(f'"{field}": …' for field in _field_names(kinds[0])) if kinds else ""
    answer = f"{{{inside}}}"
    if len(kinds) > 1:
        answer = f'{{"{kinds[0].__name__}": {answer}}}'
    words = [
        "citewell",
        "workflow",
        "resume",
        target.name,
        found.run_id,
        "--runs",
        str(target.file),
        "--answer",
        answer,
    ]
    if question.get("question") and len(found.questions) > 1:
        words += ["--question", question["question"]]
    if question.get("who"):
        words += ["--as", question["who"][0]]
    return shlex.join(words)


def _field_names(kind: type) -> list[str]:
    fields: Mapping[str, Any] = getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", None) or {}
    return list(fields)


def fields_of(event: PlainEvent) -> dict[str, Any]:
    """The fields of an event in JSON; what has no JSON form as Python would show it."""
    from citewell.workflow import Event, StopEvent

    found: dict[str, Any] = {}
    if isinstance(event, Event):
        found = event.to_dict()
        if isinstance(event, StopEvent) and event.result is not None:
            found["result"] = event.result
    else:
        found = {name: getattr(event, name) for name in getattr(event, "__dataclass_fields__", {})}
    form = jsonable(found)
    return form if isinstance(form, dict) else {}


def jsonable(value: Any) -> Any:
    """A JSON form of any value; of what has none, its `repr`."""
    from pydantic_core import to_jsonable_python

    from citewell.workflow.plain import PlainEvent

    if isinstance(value, PlainEvent):
        return fields_of(value)
    return to_jsonable_python(value, fallback=repr, inf_nan_mode="strings")
