"""What a document says that was read from an office file, in the terms in which made-up files say it of themselves."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from citewell.reading.pptx import NOTES
from citewell.reading.sheets import address
from citewell.types import BlockKind, Document

_LONE: Final = re.compile(r"[A-Z]{1,3}[1-9][0-9]{0,6}")


def headings(document: Document) -> Counter[tuple[str, ...]]:
    """Level and text of every heading, as often as it stands there."""
    return Counter(
        (str(block.level), " ".join(block.span.of(document.text).split()))
        for block in document.blocks
        if block.kind is BlockKind.HEADING and not block.hidden
    )


def cells(document: Document) -> Counter[tuple[str, ...]]:
    """Of every cell its sheet, address, text, the rows and columns it covers (`2x1`), and "seen" or "hidden".

    A cell that is no part of a table covers `1x1`. Notes on cells are none, nor are the values as stored.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for block in document.blocks:
        if block.kind is BlockKind.TABLE:
            held = [(address(block, one), one.span, f"{one.row_span}x{one.column_span}") for one in block.cells]
        else:
            held = [(address(block), block.span, "1x1")]
        for where, span, reach in held:
            sheet, _, place = where.rpartition("!")
            text = " ".join(span.of(document.text).split())
            if sheet.startswith("'"):
                sheet = sheet[1:-1].replace("''", "'")
            if text and _LONE.fullmatch(place) and not text.startswith("Note on "):
                found[sheet, place, text, reach, "hidden" if block.hidden else "seen"] += 1
    return found


def lines(document: Document) -> Counter[tuple[str, ...]]:
    """Of all that the slides say: the slide's number, what part of the slide it is, and the text.

    The parts are `title`, `item`, `text`, `cell`, `caption`, `notes`, `margin` and `hidden`.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for block in document.blocks:
        part = _PARTS.get(block.kind, "text")
        if block.heading_path[-1:] == (NOTES,):
            part = "notes"
        for span in [one.span for one in block.cells] or [block.span]:
            if text := " ".join(span.of(document.text).split()):
                found[str(block.regions[0].page), "hidden" if block.hidden else part, text] += 1
    return found


_PARTS: Final = {
    BlockKind.HEADING: "title",
    BlockKind.LIST_ITEM: "item",
    BlockKind.TABLE: "cell",
    BlockKind.CAPTION: "caption",
    BlockKind.FOOTER: "margin",
}
