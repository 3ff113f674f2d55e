"""The commands: what each takes, which method of the engine it calls, what it prints, and its exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citewell.cli.options import Session, command, root
from citewell.cli.workflow import workflow_app
from citewell.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from citewell.protocols import SourceState
    from citewell.sync import KnowledgeBase
    from citewell.types import Access

app = typer.Typer(name="citewell", rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
documents_app = typer.Typer(rich_markup_mode=None)
runs_app = typer.Typer(rich_markup_mode=None)

root(
    app,
    help_="""Answers from your own documents, each sentence cited and checked.

    \b
    Start with:
      citewell ingest ./docs
      citewell ask "How do I rotate keys?"

    \b
    Exit codes: 0 done, 1 the thing asked for failed, 2 wrong use.
    """,
)

_Bucket = Annotated[str | None, typer.Option("--bucket", "-b", metavar="NAME", help="Only this bucket. [all]")]
_Where = Annotated[str | None, typer.Option("--where", metavar="FILTER", help="A condition on metadata.")]
_AsOf = Annotated[int | None, typer.Option("--as-of", metavar="NUMBER", help="The knowledge base as of this commit.")]
_Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or a beginning of it.")]


@command(
    app,
    "ingest",
    examples="""
    citewell ingest ./docs
    citewell ingest ./docs --mirror --bucket handbook
    citewell ingest hr/bands.md --allow group:people-ops --metadata year=2025
    """,
)
def ingest(
    session: Session,
    *,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files and folders.")],
    bucket: Annotated[str, typer.Option("--bucket", "-b", metavar="NAME", help="Where they go.")] = "default",
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="GLOB", help="Only these; can be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Not these; can be repeated.")
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Delete what the bucket holds beyond the places given.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="NAME", help="Who may read: user:X, group:X, everyone; can be repeated."),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="For every document; can be repeated."),
    ] = None,
) -> int:
    """Read files and folders; what has not changed is left alone.

    Exit code 1 when one of them failed. Values of --metadata are numbers, true, false or ["a", "list"] where they look
    so, and otherwise text; "2024" in double quotes is text.
    """
    from citewell.cli.show.ingest import progress, report_json, show_report

    access, given = _access(allow), _metadata(metadata)
    with session.open(create=True) as kb, progress(session.screen) as on_done:
        report = kb.ingest(
            *paths,
            bucket=bucket,
            access=access,
            metadata=given,
            include=include or (),
            exclude=exclude or (),
            mirror=mirror,
            on_done=on_done,
        )
    if session.as_json:
        session.json(report_json(report))
    else:
        show_report(session.screen, report)
        if mirror and not report.mirror:
            session.screen.show("Nothing was deleted: --mirror is held back when a place could not be listed.")
    return 1 if report.failed or not report.sources else 0


@command(
    app,
    "ask",
    examples="""
    citewell ask "How much may a hotel cost per night?"
    citewell ask "What is the band for E4?" --as user:imke --group people-ops
    citewell ask "Who approves travel?" --where "year >= 2024 and not draft == true"
    """,
)
def ask(
    session: Session,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In your own words; - reads it from stdin.")],
    bucket: _Bucket = None,
    where: _Where = None,
    as_of: _AsOf = None,
) -> int:
    """Answer a question from the documents, cited and checked.

    Exit code 1 unless the outcome is "answered".
    """
    from citewell.types import Outcome

    with session.open() as kb:
        answer = kb.ask(_words(question, "question"), bucket=bucket, where=where, as_of=as_of)
    if session.as_json:
        session.json(answer)
    else:
        from citewell.cli.show.answer import show_answer

        show_answer(session.screen, answer)
    return 0 if answer.outcome is Outcome.ANSWERED else 1


@command(
    app,
    "search",
    examples="""
    citewell search "hotel limit"
    citewell search "leave days" --limit 3 --bucket handbook --explain-scores
    citewell search tolerance --where "product_area == 'lab'" --json
    """,
)
def search(
    session: Session,
    *,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for; - reads it from stdin.")],
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", help="At most so many hits.")] = 10,
    bucket: _Bucket = None,
    where: _Where = None,
    as_of: _AsOf = None,
    explain_scores: Annotated[
        bool, typer.Option("--explain-scores", help="Show how each retriever scored and ranked.")
    ] = False,
) -> int:
    """Find the passages nearest to a query, best first.

    Exit code 1 when there are none.
    """
    with session.open() as kb:
        text = _words(query, "query")
        hits = kb.search(text, bucket=bucket, limit=limit, where=where, as_of=as_of)
    if session.as_json:
        session.json({"query": text, "hits": hits})
    else:
        from citewell.cli.show.hits import show_hits

        show_hits(session.screen, text, hits, explain=explain_scores)
    return 0 if hits else 1


@command(app, "status", examples="citewell status\ncitewell status --json")
def status(session: Session) -> int:
    """Show what the knowledge base holds and which parts built it."""
    with session.open() as kb:
        found = kb.status()
    if session.as_json:
        session.json({"folder": str(session.folder.absolute()), "status": found})
    else:
        from citewell.cli.show.documents import show_status

        show_status(session.screen, session.folder, found)
    return 0


@command(
    documents_app,
    "documents",
    group=True,
    examples="""
    citewell documents
    citewell documents --bucket handbook --failed
    citewell documents show policies/travel.md
    """,
)
def documents(
    session: Session,
    bucket: _Bucket = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that could not be read.")] = False,
) -> int:
    """List the documents you may read, with their state."""
    with session.open() as kb:
        states = [one for one in kb.documents(bucket=bucket) if one.state == "failed" or not failed]
    if session.as_json:
        session.json({"documents": states})
    else:
        from citewell.cli.show.documents import show_documents

        show_documents(session.screen, states)
    return 0


@command(documents_app, "show", examples="citewell documents show policies/travel.md\ncitewell documents show 3f9a2b")
def documents_show(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="URI|ID", help="A uri, the end of one, or the beginning of an id.")],
    bucket: _Bucket = None,
    every: Annotated[bool, typer.Option("--all", help="List all blocks.")] = False,
) -> int:
    """Show one document: its state, metadata, what was kept of it and what not, its figures and its blocks."""
    from citewell.cli.show.contents import contents_json, show_contents
    from citewell.cli.show.documents import document_json, show_document

    with session.open() as kb:
        state = _one(kb, name, bucket)
        found = kb.document(state.document.id) if state.document else None
        contents = kb.contents(state.document.id) if state.document else None
    _, text, blocks = found or (None, "", ())
    if session.as_json:
        session.json(document_json(state, found, contents) | contents_json(contents, text, blocks))
    else:
        show_document(session.screen, state, found, contents)
        if contents:
            show_contents(session.screen, contents, text, blocks, every=every)
    return 0


@command(
    app,
    "delete",
    examples="""
    citewell delete policies/travel-2023.md --bucket handbook
    citewell delete old.md older.md --yes
    """,
)
def delete(
    session: Session,
    uris: Annotated[list[str], typer.Argument(metavar="URI...", help="As `citewell documents` lists them.")],
    bucket: Annotated[str, typer.Option("--bucket", "-b", metavar="NAME", help="Where they are.")] = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Delete documents with all their versions, for everyone.

    Nothing is deleted, and the exit code is 1, when one of them is not there.
    """
    with session.open() as kb:
        if not yes and sys.stdin.isatty():
            from citewell.cli.plain import line

            what = line(uris[0]) if len(uris) == 1 else f"{len(uris)} documents"
            typer.confirm(f"Delete {what} with all versions?", abort=True, err=True)
        gone = kb.delete(*uris, bucket=bucket)
    if session.as_json:
        session.json({"deleted": gone})
    else:
        from citewell.cli.show.documents import show_deleted

        show_deleted(session.screen, gone)
    return 0


@command(runs_app, "runs", group=True, examples="citewell runs\ncitewell runs --limit 50\ncitewell runs explain 3f9a2b")
def runs(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", help="At most so many.")] = 20,
) -> int:
    """List your latest runs: what was asked and ingested."""
    if limit < 1:
        raise ConfigError(f"--limit is {limit}; it must be at least 1.")
    with session.open() as kb:
        records = kb.runs(limit=limit)
    if session.as_json:
        session.json({"runs": records})
    else:
        from citewell.cli.show.runs import show_runs

        show_runs(session.screen, records)
    return 0


@command(runs_app, "show", examples="citewell runs show 3f9a2b")
def runs_show(session: Session, run: _Run) -> int:
    """Show the steps of one run with their timings."""
    from citewell.cli.show.runs import run_json, show_run

    with session.open() as kb:
        account = kb.explain(run)
    if session.as_json:
        session.json(run_json(account))
    else:
        show_run(session.screen, account)
    return 0


@command(
    runs_app,
    "explain",
    examples="""
    citewell runs explain 3f9a2b
    citewell runs explain 3f9a2b --shown > prompt.txt
    """,
)
def runs_explain(
    session: Session,
    run: _Run,
    shown: Annotated[
        bool, typer.Option("--shown", help="Only the exact text the writer was shown, byte for byte.")
    ] = False,
) -> int:
    """Explain one run: all that went into each step and came out.

    Scores, what was dropped and why, the exact text shown to the writer, the draft, and what the judge found.
    """
    with session.open() as kb:
        account = kb.explain(run)
    if shown:
        return _shown(session, run, account.shown)
    if session.as_json:
        from citewell.cli.show.runs import explain_json

        session.json(explain_json(account))
    else:
        from citewell.cli.show.explain import show_explanation

        show_explanation(session.screen, account)
    return 0


@command(app, "doctor", examples="citewell doctor\ncitewell doctor --kb /srv/kb --json")
def doctor(session: Session) -> int:
    """Check the installation and the knowledge base.

    What is wrong is shown with its remedy; exit code 1 when anything fails.
    """
    from citewell.cli.doctor import checks, failed

    found = checks(session.folder, session.principal)
    if session.as_json:
        session.json({"ok": not failed(found), "checks": found})
    else:
        from citewell.cli.show.doctor import show_checks

        show_checks(session.screen, found)
    return 1 if failed(found) else 0


app.add_typer(documents_app, name="documents")
app.add_typer(runs_app, name="runs")
app.add_typer(workflow_app, name="workflow")


def _words(given: str, what: str) -> str:
    text = sys.stdin.read() if given == "-" else given
    if not text.strip():
        raise ConfigError(f"The {what} is empty.")
    return text.strip()


def _access(allow: list[str] | None) -> Access | None:
    from citewell.types import EVERYONE, Access

    for name in allow or ():
        kind, _, rest = name.partition(":")
        if name != EVERYONE and (kind not in ("user", "group") or not rest):
            raise ConfigError(f"--allow {name!r} names nobody: write user:NAME, group:NAME or {EVERYONE}.")
    return Access(frozenset(allow)) if allow else None


def _metadata(given: list[str] | None) -> dict[str, Any] | None:
    if not given:
        return None
    made: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--metadata {one!r} has no value: write KEY=VALUE, for example year=2025.")
        if key.strip() in made:
            raise ConfigError(f"--metadata {key.strip()!r} is given twice. For several values write {key}=[1, 2].")
        made[key.strip()] = _value(value)
    return made


def _value(text: str) -> Any:
    """A metadata value as written: JSON where it is a scalar or a list of scalars, otherwise the text itself."""
    import json

    try:
        value = json.loads(text, parse_constant=lambda name: name)
    except (json.JSONDecodeError, RecursionError):
        return text
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return tuple(value)
    return value if isinstance(value, str | int | float) else text


def _one(kb: KnowledgeBase, name: str, bucket: str | None) -> SourceState:
    """The one document of this uri, else this end of a uri, else this beginning of an id."""
    states = kb.documents(bucket=bucket)
    found = [one for one in states if one.uri == name]
    found = found or [one for one in states if one.uri.endswith("/" + name.lstrip("/"))]
    found = found or [one for one in states if one.document and len(name) >= 4 and one.document.id.startswith(name)]
    if not found:
        raise NotFound(f"There is no document {name!r} that you may read. List them: citewell documents.")
    if len(found) > 1:
        places = ", ".join(f"{one.uri} in {one.bucket}" for one in found[:3])
        raise NotFound(f"{len(found)} documents are called {name!r} ({places}). Give the whole uri, or --bucket.")
    return found[0]


def _shown(session: Session, run: str, shown: tuple[str, ...]) -> int:
    if not shown:
        raise NotFound(f"Nothing was shown to a writer in run {run!r}: it ended before, or it is no question.")
    if session.as_json:
        session.json({"shown": shown})
        return 0
    from citewell.cli.plain import visible
    from citewell.cli.screen import write, write_raw

    if sys.stdout.isatty():
        # Bytes of a document must not steer the terminal: into a file or a pipe they go as they are.
        write("\n\n".join(visible(one) for one in shown) + "\n")
    else:
        write_raw("\n\n".join(shown))
    return 0
