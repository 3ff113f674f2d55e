"""How an ingestion looks: a bar while it runs, counts at the end, and a line for each source that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.text import Text

from citewell.cli.plain import line
from citewell.cli.show.contents import account_table
from citewell.cli.show.layout import count, grid, indented, outcome, table

if TYPE_CHECKING:
    from citewell.cli.screen import Screen
    from citewell.flows.ingest_report import Ingested, IngestReport

OUTCOMES = ("added", "updated", "unchanged", "deleted", "failed")
_MOST_WARNINGS = 10
_REPEATED = "repeat across documents and are flagged as boilerplate."


@contextmanager
def progress(screen: Screen) -> Iterator[Callable[[Ingested], None] | None]:
    """Gives what to call for each source that is done; draws on stderr where somebody watches it, else nothing."""
    if not screen.shows_progress:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TimeElapsedColumn

    class Said(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(task.description, overflow="ellipsis", no_wrap=True)

    # How many there will be is known only at the end: sources are found while others are read.
    columns = (SpinnerColumn(), BarColumn(bar_width=16), TimeElapsedColumn(), Said())
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("reading the first file", total=None)
        done = failed = 0

        def on_done(one: Ingested) -> None:
            nonlocal done, failed
            done += 1
            failed += one.outcome == "failed"
            said = f"{count(done, 'file')}" + (f", {failed:,} failed" if failed else "")
            bar.update(task, description=f"{said}  {line(one.uri)}")

        yield on_done


def show_report(screen: Screen, report: IngestReport) -> None:
    """Print the counts, each failed source with the reason, and what could not be kept of the others."""
    if not report.sources:
        screen.show(outcome(screen, "fail", "Nothing was found to ingest: check the paths and globs."))
        return
    for one in report.failed:
        screen.show(outcome(screen, "fail", line(one.uri)))
        screen.show(indented(_reason(one)))
    warned = [(one.uri, said) for one in report.sources for said in one.warnings]
    for uri, said in warned[:_MOST_WARNINGS]:
        screen.show(outcome(screen, "warn", line(uri)), indented(Text(_without(uri, said), style="dim")))
    if len(warned) > _MOST_WARNINGS:
        screen.show(
            Text(f"… and {count(len(warned) - _MOST_WARNINGS, 'warning')} more: --json lists all.", style="dim")
        )
    if report.failed or warned:
        screen.show("")
    if screen.quiet:
        return
    made = table(*((name, "right") for name in OUTCOMES), ("passages", "right"), "bucket")
    made.add_row(
        *(Text(f"{report.count(name):,}", style=_style(name, report.count(name))) for name in OUTCOMES),
        f"{report.nodes:,}",
        line(report.bucket),
    )
    screen.show(made)
    if report.account.found != report.account.kept:
        screen.show("", account_table(report.account))
    if report.repeated.blocks:
        blocks, documents = count(report.repeated.blocks, "block"), count(report.repeated.documents, "document")
        said = f"{blocks} of {documents} {_REPEATED}"
        screen.show("", Text(said, style="dim"))
    if not report.failed:
        screen.note("", Text(f'Ask with: {screen.program} ask "…"', style="dim"))


def report_json(report: IngestReport) -> dict[str, Any]:
    """The report as `--json` prints it: with the counts by outcome."""
    return {
        "run_id": report.run_id,
        "bucket": report.bucket,
        "mirror": report.mirror,
        "counts": {name: report.count(name) for name in OUTCOMES},
        "nodes": report.nodes,
        "account": report.account,
        "repeated": report.repeated,
        "sources": report.sources,
    }


def _style(name: str, number: int) -> str:
    if not number:
        return "dim"
    return {"failed": "bold red", "added": "bold green", "updated": "bold green"}.get(name, "bold")


def _reason(one: Ingested) -> Any:
    made = grid()
    kind = line(one.kind or "failed").replace("_", " ")
    made.add_row(Text(kind, style="red"), Text(_without(one.uri, one.message or "")))
    return made


def _without(uri: str, message: str) -> str:
    """`message` on one line, without the uri it may begin with: that stands beside it."""
    return line(message.removeprefix(uri).lstrip(": ") if message.startswith(uri) else message)
