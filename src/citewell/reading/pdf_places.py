"""Where on its pages each line of a block is printed: the letters of a block are found again among those of its pages.

Between a page and the text of a document, lines are joined, hyphens go and signs are restored; letters and figures
stay in their order, so that they are what a block and the lines under it are matched by.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewell.reading.pdf_layout import Box, Item
from citewell.reading.pdf_pages import union
from citewell.types import Block, Document, Region, Span, TextLine

_KEY: Final = 3  # letters of a run that it is looked up by
_SURE: Final = 4  # letters: shorter runs are taken only close behind the one before
_NEAR: Final = 3  # runs
_LOST: Final = 0.03  # of a block's letters may be in no run


class Run:
    """Letters and figures that are printed in one box, in points from the top left."""

    __slots__ = ("box", "letters", "middle")

    def __init__(self, box: Box, said: str) -> None:
        self.box = box
        self.letters = said
        self.middle = (box[1] + box[3]) / 2


Runs: TypeAlias = Sequence[Run]
"""What is printed on one page, ordered by the middles of the boxes."""


def runs_of(items: Iterable[Item]) -> Runs:
    """The runs of text items."""
    return sorted([Run(item.box, item.letters) for item in items if item.letters], key=attrgetter("middle"))


def replaced(runs: Runs, lines: Sequence[Run]) -> Runs:
    """`runs` with `lines` in place of those that are within them."""
    rest = [
        run
        for run in runs
        if not any(
            line.box[0] - 1 <= (run.box[0] + run.box[2]) / 2 <= line.box[2] + 1
            and line.box[1] <= run.middle <= line.box[3]
            for line in lines
        )
    ]
    return sorted([*rest, *lines], key=attrgetter("middle"))


def with_lines(document: Document, pages: Sequence[Runs]) -> Document:
    """`document` with the lines of its blocks, of which those on page n are among `pages[n - 1]`.

    A block has none where its region is that of its only line, or where too much of it is not found.
    """
    said, offsets = _letters(document.text)
    return replace(document, blocks=tuple(_lined(block, said, offsets, pages) for block in document.blocks))


def _letters(text: str) -> tuple[str, NDArray[np.intp]]:
    """The letters and figures of `text`, and where each stands in it."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    is_letter = np.zeros(0x110000, np.bool_)
    for sign in set(text):
        is_letter[ord(sign)] = sign.isalnum()
    offsets = np.flatnonzero(is_letter[codes])
    return codes[offsets].tobytes().decode("utf-32-le", "surrogatepass"), offsets


def _lined(block: Block, said: str, offsets: NDArray[np.intp], pages: Sequence[Runs]) -> Block:
    if block.cells or not block.regions:
        return block
    first, last = np.searchsorted(offsets, (block.span.start, block.span.end)).tolist()
    found = _found(said[first:last], block.regions, pages)
    if not found or (len(found) == 1 and block.regions == (found[0][1],)):
        return block
    starts = offsets[[first + start for start, _ in found[1:]]].tolist() if len(found) > 1 else []
    spans = pairwise([block.span.start, *starts, block.span.end])
    return replace(
        block, lines=tuple(TextLine(Span(*span), region) for span, (_, region) in zip(spans, found, strict=True))
    )


def _found(said: str, regions: Sequence[Region], pages: Sequence[Runs]) -> list[tuple[int, Region]]:
    """(Place of the first letter, region) of each printed line of what `said` has; nothing where too much is lost.

    The next run is the one printed next where that goes on as `said` does, else the longest that does.
    """
    rows = [
        (region.page, row)
        for region in dict.fromkeys(regions)
        if region.box is not None
        for row in _rows_in(region.box, pages[region.page - 1])
    ]
    runs = [(number, run) for number, (_, row) in enumerate(rows) for run in row]
    starts: dict[str, list[int]] = {}  # filled when first asked: most blocks are printed line after line
    found: list[tuple[int, int, list[Box]]] = []  # place of the first letter, number of the row, boxes
    at = lost = 0
    last = -1
    taken: set[int] = set()
    while at < len(said):
        best, size = -1, 0
        if (after := last + 1) < len(runs) and after not in taken and said.startswith(runs[after][1].letters, at):
            best, size = after, len(runs[after][1].letters)
        if not size and not starts:
            for place, (_, run) in enumerate(runs):
                starts.setdefault(run.letters[:_KEY], []).append(place)
        for key in () if size else {said[at : at + length] for length in range(1, _KEY + 1)}:
            for place in starts.get(key, ()):
                own = runs[place][1].letters
                near = last < place <= last + _NEAR
                if place in taken or len(own) < size or not (near or len(own) >= _SURE) or not said.startswith(own, at):
                    continue
                if len(own) > size or (best < last < place):
                    best, size = place, len(own)
        if best < 0:
            at += 1
            lost += 1
            if lost > max(2, _LOST * len(said)):
                return []
            continue
        taken.add(best)
        number, run = runs[best]
        if found and found[-1][1] == number:
            found[-1][2].append(run.box)
        else:
            found.append((at, number, [run.box]))
        at += size
        last = best
    return [(start, Region(rows[number][0], union(boxes))) for start, number, boxes in found]


def _rows_in(box: Box, runs: Runs) -> list[list[Run]]:
    """The runs inside `box` by their lines, from top to bottom and from left to right.

    Runs share a line when their middles are within half a height.
    """
    x0, y0, x1, y1 = box
    low = bisect_left(runs, y0 - 1, key=attrgetter("middle"))
    high = bisect_right(runs, y1 + 1, lo=low, key=attrgetter("middle"))
    rows: list[list[Run]] = []
    at = height = 0.0
    for run in runs[low:high]:
        if not x0 - 1 <= (run.box[0] + run.box[2]) / 2 <= x1 + 1:
            continue
        high_as = run.box[3] - run.box[1]
        if rows and run.middle - at < max(high_as, height) / 2:
            rows[-1].append(run)
            if high_as > height:  # a superscript must not drag the line up: the tallest run says where it is
                at, height = run.middle, high_as
        else:
            rows.append([run])
            at, height = run.middle, high_as
    return [sorted(row, key=lambda run: run.box[0]) for row in rows]
