"""Text of PDF pages that runs from right to left, in the order in which it is read.

A page has its letters where they are drawn. Layout parsers sort them by their places, which mixes up lines of Arabic or
Hebrew with words, figures and signs of other scripts in them. Here every line is taken letter by letter, from right to
left, and what runs from left to right in it is turned around (the Unicode bidirectional algorithm, UAX #9, backwards).
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from citewell.reading.pdf_calls import calls
from citewell.reading.pdf_layout import Box, hundredths
from citewell.reading.pdf_lines import to_page
from citewell.reading.pdf_pages import PagePiece, join_lines, union
from citewell.reading.pdf_places import Run
from citewell.reading.pdf_text import LIGATURES, letters
from citewell.reading.tidy import tidy
from citewell.types import BlockKind

RTL: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
"""A letter of a script that runs from right to left."""

_MAX_CHARACTERS: Final = 50_000  # of one page
_SPACE: Final = 0.2  # of a line's height: a gap this wide divides words
_LEFT: Final = frozenset({"L", "EN", "AN"})
_BETWEEN: Final = frozenset({"ES", "CS", "ET", "ON", "WS", "NSM", "BN"})  # they go the way of what is around them
_MIRROR: Final = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
_OPEN: Final = "([{"
_CLOSE: Final = ")]}"


@dataclass(slots=True)
class Glyph:
    """One thing drawn: its characters in reading order (a ligature has several), and its box."""

    text: str
    box: Box

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2

    @property
    def center(self) -> float:
        return (self.box[0] + self.box[2]) / 2


def glyphs_of(page: Any, width: float, height: float) -> list[Glyph]:
    """What is drawn as text on a pypdfium2 page that is shown `width` by `height` points large."""
    matrix = to_page(page, width, height)
    if matrix is None:
        return []
    a, b, c, d, e, f = matrix
    textpage = page.get_textpage()
    do, at = calls(), ctypes.addressof(textpage.raw.contents)
    found: list[Glyph] = []
    for number in range(min(do.sign_count(at), _MAX_CHARACTERS)):
        sign = chr(do.sign(at, number))
        if do.is_generated(at, number) == 1 or unicodedata.category(sign) in {"Cc", "Cf", "Cn"}:
            continue
        if (bounds := do.sign_box(at, number)) is None:
            continue
        left, top, right, bottom = bounds
        xs = [a * x + c * y + e for x in (left, right) for y in (bottom, top)]
        ys = [b * x + d * y + f for x in (left, right) for y in (bottom, top)]
        box = (hundredths(min(xs)), hundredths(min(ys)), hundredths(max(xs)), hundredths(max(ys)))
        if found and found[-1].box == box and RTL.match(sign):
            found[-1].text += sign
        else:
            found.append(Glyph(sign, box))
    for glyph in found:
        glyph.text = _in_order(glyph.text)
    return found


def mend_rtl(pieces: Sequence[PagePiece], glyphs: Sequence[Glyph]) -> list[Run]:
    """Give pieces with text from right to left what `glyphs` say in their boxes, in reading order; their printed lines.

    A piece of which less would be left stays as it is.
    """
    runs: list[Run] = []
    for piece in pieces:
        if piece.hidden:
            continue
        if piece.cells and any(RTL.search(cell.text) for cell in piece.cells):
            piece.cells = tuple(
                replace(cell, text=join_lines(text for _, text in lines))
                if cell.region and (lines := _read(cell.text, cell.region.box, glyphs))
                else cell
                for cell in piece.cells
            )
        elif RTL.search(piece.text) and (lines := _read(piece.text, piece.box, glyphs)):
            texts = [text for _, text in lines]
            as_lines = piece.kind in {BlockKind.FIGURE, BlockKind.CODE} or "\n" in piece.text
            piece.text = tidy("\n".join(texts), lines=True) if as_lines else join_lines(texts)
            runs += (Run(box, letters(text)) for box, text in lines)
    return runs


def _read(text: str, box: Box | None, glyphs: Sequence[Glyph]) -> list[tuple[Box, str]]:
    """The lines in `box`; none where they lack letters that `text` has."""
    if box is None or not RTL.search(text):
        return []
    x0, y0, x1, y1 = box
    inside = [one for one in glyphs if x0 - 1 <= one.center <= x1 + 1 and y0 - 1 <= one.middle <= y1 + 1]
    lines = [(where, said) for where, said in map(_line, _rows(inside)) if said]
    has, had = len(letters(" ".join(said for _, said in lines))), len(letters(unicodedata.normalize("NFKC", text)))
    return lines if has >= had else []


def _rows(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Glyphs by their lines, from top to bottom; those of a line have their middles within half a height."""
    rows: list[list[Glyph]] = []
    at = height = 0.0
    for glyph in sorted(glyphs, key=lambda one: one.middle):
        high = glyph.box[3] - glyph.box[1]
        if rows and glyph.middle - at < max(high, height) / 2:
            rows[-1].append(glyph)
            if high > height:
                at, height = glyph.middle, high
        else:
            rows.append([glyph])
            at, height = glyph.middle, high
    return rows


def _line(row: Sequence[Glyph]) -> tuple[Box, str]:
    """The box and the text of one line."""
    box = union(one.box for one in row if not one.text.isspace()) or row[0].box
    height = box[3] - box[1]
    drawn: list[str] = []  # from left to right
    edge = None
    for glyph in _with_marks(row):
        if edge is not None and glyph.box[0] - edge > _SPACE * height and not drawn[-1].isspace():
            drawn.append(" ")
        drawn.append(" " if glyph.text.isspace() else glyph.text)
        edge = max(glyph.box[2], glyph.box[0] if edge is None else edge)
    text = tidy(reading_order(drawn))
    return box, unicodedata.normalize("NFC", text).translate(LIGATURES)


def _with_marks(row: Sequence[Glyph]) -> list[Glyph]:
    """Glyphs from left to right, with the marks above and below letters behind the letters they are drawn over."""
    marks = [one for one in row if all(map(unicodedata.combining, one.text))]
    drawn = sorted((Glyph(one.text, one.box) for one in row if one not in marks), key=lambda one: one.center)
    bases = [one for one in drawn if RTL.search(one.text)]
    for mark in marks:
        if bases:
            base = max(bases, key=lambda one: (_shared(one.box, mark.box), -abs(one.center - mark.center)))
            base.text += mark.text
    # Some programs write spaces without a width into the middle of a letter, beside its mark.
    return [one for one in drawn if not (one.text.isspace() and any(_covers(base.box, one.box) for base in bases))]


def _covers(one: Box, other: Box) -> bool:
    return one[0] + 0.2 < other[0] <= other[2] < one[2] - 0.2


def _shared(one: Box, other: Box) -> float:
    return max(0.0, min(one[2], other[2]) - max(one[0], other[0]))


def reading_order(drawn: Sequence[str]) -> str:
    """The text of one line whose parts are `drawn` from left to right, as it is read.

    A line with more letters from left to right than the other way is taken for one of such a text.
    """
    kinds = _with_terminators([_kind(part) for part in drawn])
    back = sum(kind in {"R", "AL"} for kind in kinds)
    rightward = 2 * back >= sum(kind == "L" for kind in kinds)
    inner = {"R", "AL"} if not rightward else _LEFT
    parts = list(drawn) if not rightward else list(reversed(drawn))
    kinds = kinds if not rightward else kinds[::-1]
    made: list[str] = []
    at = 0
    while at < len(parts):
        end = _run_end(kinds, at, inner)
        made += reversed(parts[at:end]) if end > at else [parts[at]]
        at = max(end, at + 1)
    text = "".join(made)
    return text.translate(_MIRROR) if _inverted(text) else text


def _run_end(kinds: Sequence[str], start: int, inner: Iterable[str]) -> int:
    """Where the run that begins at `start` and goes the other way ends; `start` where none begins."""
    if kinds[start] not in inner:
        return start
    end = at = start
    while at < len(kinds) and (kinds[at] in inner or kinds[at] in _BETWEEN):
        at += 1
        if kinds[at - 1] in inner:
            end = at
    # Between figures alone only such signs stand as figures are written with: two figures apart are two runs.
    if "L" in inner and not any(kind == "L" for kind in kinds[start:end]):
        at = start
        while at < end and kinds[at] != "WS" and (kinds[at] in inner or kinds[at] in {"ES", "CS", "ET"}):
            at += 1
        while kinds[at - 1] not in inner:
            at -= 1
        return at
    return end


def _kind(part: str) -> str:
    """The bidirectional class of what is drawn: that of its first character that has a direction."""
    kinds = [unicodedata.bidirectional(sign) for sign in part]
    return next((kind for kind in kinds if kind in {"L", "R", "AL", "EN", "AN"}), kinds[0] if kinds else "ON")


def _with_terminators(kinds: list[str]) -> list[str]:
    """`kinds` with signs of percent, currency and degree as part of the figures they stand at."""
    for places in (range(len(kinds)), reversed(range(len(kinds)))):
        before = ""
        for place in places:
            if kinds[place] == "ET" and before == "EN":
                kinds[place] = "EN"
            before = kinds[place]
    return kinds


def _inverted(text: str) -> bool:
    """Whether most brackets close before they open: a font may say of a sign what it looks like, or what it means."""
    depth = wrong = right = 0
    for sign in text:
        if sign in _OPEN:
            depth += 1
            right += depth > 0
        elif sign in _CLOSE:
            wrong += depth <= 0
            depth -= 1
    return wrong > 0 and wrong >= right - wrong


def _in_order(text: str) -> str:
    """The characters of one glyph as they are read: PDFium turns those of a line around, ligatures with them."""
    if len(text) < 2 or unicodedata.normalize("NFKC", text) in _ligatures():
        return text
    return text[::-1]


@cache
def _ligatures() -> frozenset[str]:
    """What the ligatures among Unicode's presentation forms stand for, in reading order."""
    forms = [*range(0xFB1D, 0xFE00), *range(0xFE70, 0xFEFD)]
    return frozenset(said for form in forms if len(said := unicodedata.normalize("NFKC", chr(form))) > 1)
