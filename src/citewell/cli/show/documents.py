"""How the contents of a knowledge base look: its status, its documents, one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.text import Text

from citewell.cli.plain import line, text_of
from citewell.cli.show.layout import count, grid, heading, indented, moment, outcome, table

if TYPE_CHECKING:
    from citewell.cli.screen import Screen
    from citewell.engine import Status
    from citewell.protocols import Contents, SourceState
    from citewell.types import Block, DocumentRef

_Found: TypeAlias = "tuple[DocumentRef, str, tuple[Block, ...]]"

_NOUNS = {"code": ("code block",), "faq": ("question with its answer", "questions with their answers")}
_STATES = {"active": "green", "failed": "red"}


def show_status(screen: Screen, folder: Path, status: Status) -> None:
    """Print the buckets with their counts, and the parts that built them."""
    if status.buckets:
        made = table("bucket", ("documents", "right"), ("passages", "right"), ("failed", "right"))
        for one in status.buckets:
            failed = Text(f"{one.failed:,}", style="bold red" if one.failed else "dim")
            made.add_row(Text(line(one.name)), f"{one.active:,}", f"{one.nodes:,}", failed)
        screen.show(made, "")
    else:
        screen.show(outcome(screen, "none", "Nothing in it that you may read."), "")
    facts = grid()
    facts.add_row("folder", line(str(folder.absolute())))
    if status.outdated:
        facts.add_row("outdated", f"{count(status.outdated, 'document')} read by an older reader: ingest again")
    facts.add_row("commits", f"{status.sequence:,}")
    facts.add_row("retriever", line(status.retriever))
    facts.add_row("writer", line(status.writer))
    for name, value in status.identity.items():
        facts.add_row(line(name), line(value))
    screen.show(facts)


def show_documents(screen: Screen, states: Sequence[SourceState]) -> None:
    """Print one row a document; failed ones are followed by the reason."""
    if not states:
        screen.show(outcome(screen, "none", "No documents that you may read."))
        return
    for number, bucket in enumerate(dict.fromkeys(one.bucket for one in states)):
        screen.show(*[""][:number], heading(line(bucket)))
        made = table(("uri", "fold"), "state", ("version", "right"), ("passages", "right"), "updated")
        for one in states:
            if one.bucket == bucket:
                made.add_row(
                    Text(line(one.uri)),
                    Text(line(one.state), style=_STATES.get(one.state, "")),
                    str(one.document.version) if one.document else "",
                    f"{one.nodes:,}" if one.document else "",
                    moment(one.updated_at)[:10],
                )
        screen.show(indented(made))
    failed = [one for one in states if one.state == "failed"]
    if failed:
        screen.show("")
    for one in failed:
        screen.show(outcome(screen, "fail", line(one.uri)), indented(Text(line(one.error or ""))))
    screen.note("", Text(count(len(states), "document"), style="dim"))


def show_document(screen: Screen, state: SourceState, found: _Found | None, contents: Contents | None) -> None:
    """Print what is known of one document, but for what `show_contents` does."""
    facts = grid()
    facts.add_row("uri", Text(line(state.uri)))
    facts.add_row("bucket", Text(line(state.bucket)))
    facts.add_row("state", Text(line(state.state), style=_STATES.get(state.state, "")))
    if state.error:
        facts.add_row("error", Text(line(f"{state.error} ({state.error_kind})")))
    facts.add_row("updated", Text(f"{moment(state.updated_at)} UTC"))
    if found:
        document, text, blocks = found
        facts.add_row("id", Text(line(document.id)))
        facts.add_row("version", Text(str(document.version)))
        facts.add_row("type", Text(line(document.media_type)))
        facts.add_row("size", Text(f"{count(len(text), 'character')}, {count(state.nodes, 'passage')}"))
        facts.add_row("made of", Text(_made_of(blocks)))
    screen.show(heading(line(found[0].title) if found else line(state.uri)), indented(facts))
    if found and found[0].metadata:
        known = grid()
        for name, value in found[0].metadata.items():
            known.add_row(Text(line(name)), Text(text_of(value)))
        screen.show("", heading("Metadata"), indented(known))
    for number, said in enumerate(warnings(state, found, contents)):
        screen.show(*[""][number:], outcome(screen, "warn", line(said)))


def warnings(state: SourceState, found: _Found | None, contents: Contents | None) -> list[str]:
    """What a reader of this document should know: it is out of date, parts were read with doubt, hidden or lost."""
    said = []
    if state.state == "failed" and found:
        said.append("The latest version could not be read; this older one still answers.")
    if found:
        doubtful = sum(one.confidence is not None and one.confidence < 0.8 for one in found[2])
        if doubtful:
            said.append(f"{count(doubtful, 'block')} recognised with a confidence below 0.8.")
    return said + list(contents.warnings if contents else ())


def document_json(state: SourceState, found: _Found | None, contents: Contents | None) -> dict[str, Any]:
    """One document as `--json` prints it: its source, and what it is made of (None where no version is readable)."""
    made: dict[str, Any] = {"source": state, "content": None, "warnings": warnings(state, found, contents)}
    if found:
        _, text, blocks = found
        kinds = Counter(str(one.kind) for one in blocks)
        made["content"] = {"characters": len(text), "blocks": len(blocks), "kinds": dict(kinds), "nodes": state.nodes}
    return made


def show_deleted(screen: Screen, gone: Sequence[SourceState]) -> None:
    """Print what was deleted."""
    if not screen.quiet:
        for one in gone:
            screen.show(outcome(screen, "ok", f"deleted {line(one.uri)}"))


def _made_of(blocks: Sequence[Block]) -> str:
    kinds = Counter(str(one.kind).replace("_", " ") for one in blocks)
    boilerplate = sum(one.boilerplate for one in blocks)
    parts = [count(number, *_NOUNS.get(kind, (kind,))) for kind, number in kinds.most_common()]
    return ", ".join(parts) + (f" ({boilerplate:,} of them boilerplate)" if boilerplate else "")
