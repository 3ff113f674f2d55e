"""What holds for the place of everything that was read: it can be shown in the source, by page and box or by bytes."""

from __future__ import annotations

import html
from collections.abc import Iterator

from citewell.types import Block, Document, Node, Place, Source, Span

_TEXTUAL = ("text/", "application/json")


def misplaced(document: Document, source: Source) -> Iterator[tuple[Block, str]]:
    """Blocks of `document` that cannot be shown in `source`, and why."""
    for block in document.blocks:
        for span, place in [(block.span, block.source), *((cell.span, cell.source) for cell in block.cells)]:
            if place is not None and (said := _wrong(document, source, span, place)):
                yield block, said
                break
        else:
            if document.pages is not None:
                if not block.regions:
                    yield block, "it has no page"
                elif any(not 1 <= region.page <= document.pages for region in block.regions):
                    yield block, "its page does not exist"
            elif block.source is None:
                yield block, "it has neither a page nor a place in the source"


def unfaithful(document: Document, node: Node) -> str:
    """Why the text of `node` is not what stands under its span; "" where it is (or is derived)."""
    if node.span.end > len(document.text):
        return "its span reaches beyond the text"
    return "" if node.derived or node.span.of(document.text) == node.text else "its text is not that under its span"


def _wrong(document: Document, source: Source, span: Span, place: Place) -> str:
    if place.unit != "bytes" or place.part:
        return ""
    if place.end > len(source.content):
        return "its bytes reach beyond the source"
    if not document.media_type.startswith(_TEXTUAL):
        return ""
    raw = source.content[place.start : place.end].decode(str(document.metadata.get("encoding", "utf-8")), "replace")
    letters = iter(html.unescape(raw))
    said = (sign for sign in span.of(document.text) if sign.isalnum())
    return "" if all(sign in letters for sign in said) else "its bytes do not hold its letters"
