"""From a span of a document's text to the places on its pages: what a highlight is drawn from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from citewell.types.documents import Block
from citewell.types.places import Region, Span


def locate(blocks: Sequence[Block], span: Span) -> tuple[Region, ...]:
    """The pages and boxes of what stands under `span`, in reading order, each once; `blocks` are the document's.

    A table is cut to the cells under the span where it knows their places, any other block to its lines. A block that
    is wholly under the span, or of which neither is known, gives all its regions. Empty where the format has no pages.
    """
    at = max(bisect_right(blocks, span.start, key=lambda block: block.span.start) - 1, 0)
    found: dict[Region, None] = {}
    for block in blocks[at:]:
        if block.span.start >= max(span.end, span.start + 1):
            break
        if block.span.end > span.start:
            found.update(dict.fromkeys(_regions(block, span)))
    return tuple(found)


def _regions(block: Block, span: Span) -> Iterable[Region]:
    if block.span.within(span):
        return block.regions
    cells = [cell for cell in block.cells if cell.span.overlaps(span)]
    if cells and all(cell.region is not None for cell in cells):
        return [cell.region for cell in cells if cell.region is not None]
    if lines := [line.region for line in block.lines if line.span.overlaps(span)]:
        return lines
    return block.regions
