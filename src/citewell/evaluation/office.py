"""What a document says that was read from an office file, in the terms in which made-up files say it of themselves."""

from __future__ import annotations

from collections import Counter

from citewell.types import BlockKind, Document


def headings(document: Document) -> Counter[tuple[str, ...]]:
    """Level and text of every heading, as often as it stands there."""
    return Counter(
        (str(block.level), " ".join(block.span.of(document.text).split()))
        for block in document.blocks
        if block.kind is BlockKind.HEADING and not block.hidden
    )
