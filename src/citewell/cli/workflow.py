"""The commands for workflows of one's own: draw one, run it, go on with it, look at what was recorded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citewell.cli.options import Session, command
from citewell.errors import ConfigError

if TYPE_CHECKING:
    from citewell.workflow import PlainEvent, Workflow

workflow_app = typer.Typer(rich_markup_mode=None)
workflow_app.callback(
    help="""Draw, run and resume workflows of your own.

    \b
    Examples:
      citewell workflow draw shop:Refund -o refund.svg
      citewell workflow run shop:Refund --set order=7 --runs runs.db
    """
)(lambda: None)

DEFAULT_RUNS = "runs.db"
RUNS_VARIABLE = "CITEWELL_RUNS"

_Name = Annotated[
    str, typer.Argument(metavar="MODULE:CLASS", help="A workflow that can be imported from the current folder.")
]
_Runs = Annotated[
    str | None,
    typer.Option("--runs", metavar="FILE", help=f"The record of runs. [{RUNS_VARIABLE}; ./{DEFAULT_RUNS}]"),
]
_FORMATS = ("mermaid", "svg", "html")


@command(
    workflow_app,
    "draw",
    examples="""
    citewell workflow draw shop:Refund
    citewell workflow draw shop:Refund --format svg -o refund.svg
    citewell workflow draw shop:Refund -o refund.html
    """,
)
def draw(
    session: Session,
    name: _Name,
    form: Annotated[
        str | None, typer.Option("--format", metavar="mermaid|svg|html", help="[by the end of FILE; mermaid]")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there. [stdout]")
    ] = None,
) -> int:
    """Draw the steps of a workflow, its events and resources."""
    from citewell.cli.load import find_workflow
    from citewell.cli.screen import write_raw
    from citewell.workflow.drawing import to_html, to_mermaid, to_svg
    from citewell.workflow.representation import get_workflow_representation

    chosen = form or (Path(output).suffix.removeprefix(".") if output else "")
    if form is not None and form not in _FORMATS:
        raise ConfigError(f"--format {form!r} is none of {', '.join(_FORMATS)}.")
    graph = get_workflow_representation(find_workflow(name))
    view = graph.view()
    chosen = chosen if chosen in _FORMATS else "mermaid"
    if chosen == "mermaid":
        text = to_mermaid(view)
    else:
        text = to_svg(view, graph.name) if chosen == "svg" else to_html(view, graph.name)
    if output is not None:
        _save(output, text)
    if session.as_json:
        session.json({"format": chosen, "file": output, "drawing": None if output else text})
    elif output is None:
        write_raw(text)
    else:
        session.screen.note(f"Drawn to {output}.")
    return 0


@command(
    workflow_app,
    "run",
    examples="""
    citewell workflow run shop:Refund --set order=7 --set reason=broken
    citewell workflow run shop:Refund --event '{"order": 7}' --runs runs.db --key order-7
    """,
)
def run(
    session: Session,
    *,
    name: _Name,
    runs: Annotated[
        str | None, typer.Option("--runs", metavar="FILE", help="Record the run there, so that it can go on later.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Start at most one run with this key. Needs --runs.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A field of the start event; can be repeated."),
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="JSON", help="All fields of the start event, as an object.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="SECONDS", help="For the whole run, or none. [the workflow's own]"),
    ] = None,
) -> int:
    """Run a workflow and show its events as they come, then its result.

    Values of --set are JSON where they look so, and otherwise text. Without --runs the run lives in memory only. With
    it, a run that waits for a person is left waiting in the record, exit code 0, and `citewell workflow resume` goes
    on. Exit code 1 when the run failed.
    """
    from citewell.cli.load import make_workflow
    from citewell.cli.running import Target, begin

    if key is not None and runs is None:
        raise ConfigError("--key needs --runs FILE: without a record there is no earlier run to find.")
    given = _fields(fields, event)
    workflow = make_workflow(name, timeout_s=_timeout(timeout))
    start = _start(workflow, given)
    return begin(session, Target(name, workflow, None if runs is None else Path(runs)), start, key)


@command(
    workflow_app,
    "resume",
    examples="""
    citewell workflow resume shop:Refund 3f9a2b --runs runs.db
    citewell workflow resume shop:Refund 3f9a2b --answer '{"approved": true}' --as ana
    """,
)
def resume(
    session: Session,
    *,
    name: _Name,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or a beginning of it.")],
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="JSON", help="The fields of the event that answers.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", metavar="KEY", help="Which question, where there are several.")
    ] = None,
    runs: _Runs = None,
) -> int:
    """Go on with a recorded run: after a crash, or with the answer that it waits for.

    --as says who answers, as user:NAME or NAME. Where events of several types may answer, write the type around the
    fields: '{"Approval": {"approved": true}}'. Exit code 1 when the run failed or the answer was refused.
    """
    from citewell.cli.load import make_workflow
    from citewell.cli.running import Target, go_on

    if question is not None and answer is None:
        raise ConfigError("--question needs --answer JSON.")
    fields = None if answer is None else _object(answer, "--answer")
    return go_on(session, Target(name, make_workflow(name), _record(runs)), run_id, fields, question)


@command(
    workflow_app,
    "show",
    examples="""
    citewell workflow show
    citewell workflow show 3f9a2b --runs runs.db
    citewell workflow show 3f9a2b --html run.html
    """,
)
def show(
    session: Session,
    *,
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id, or a beginning of it.")] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Also write a page with the run's graph and timeline.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", help="At most so many runs.")] = 20,
    runs: _Runs = None,
) -> int:
    """List recorded runs, or show one: its steps, its open questions, and whether its record is whole.

    Exit code 1 when the record of the run was damaged or changed.
    """
    from citewell.cli.recorded import look_at, look_through

    if limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1.")
    if run_id is None:
        if html is not None:
            raise ConfigError("--html needs a RUN.")
        return look_through(session, _record(runs), limit)
    account = look_at(session, _record(runs), run_id)
    if html is not None:
        _save(html, account.page())
        session.screen.note(f"Page written to {html}.")
    return 0 if account.fault is None else 1


def _record(given: str | None) -> Path:
    path = Path(given or os.environ.get(RUNS_VARIABLE) or DEFAULT_RUNS)
    if not path.is_file():
        raise ConfigError(f"There is no record of runs at {path.absolute()}. Name it with --runs or {RUNS_VARIABLE}.")
    return path


def _save(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error


def _fields(given: list[str] | None, event: str | None) -> dict[str, Any]:
    if event is not None:
        if given:
            raise ConfigError("Give --set or --event, not both.")
        return _object(event, "--event")
    made: dict[str, Any] = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {one!r} has no value: write NAME=VALUE, for example order=7.")
        if name.strip() in made:
            raise ConfigError(f"--set {name.strip()!r} is given twice.")
        made[name.strip()] = _value(value)
    return made


def _value(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text


def _object(text: str, option: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{option} is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{option} must be a JSON object, for example '{{\"order\": 7}}'.")
    return found


def _timeout(given: str | None) -> float | str | None:
    if given is None:
        return "own"
    if given == "none":
        return None
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ConfigError(f"--timeout {given!r} must be a number of seconds above 0, or none.")
    return found


def _start(workflow: Workflow, fields: dict[str, Any]) -> PlainEvent:
    from citewell.cli.running import fault
    from citewell.workflow import WorkflowRuntimeError

    try:
        return workflow.start_event(None, fields)
    except WorkflowRuntimeError as error:
        name = workflow.start_event_class.__name__
        raise ConfigError(f"The fields given do not make a {name}: {fault(error.__cause__ or error)}.") from error
