"""Recognised lines become pieces in reading order: columns one after the other, tables, headings, paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import median

from citewell.reading.ocr import Line, Point, Quad
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece, join_lines, union
from citewell.reading.scan_lines import Strip, frame_of, joined, level, rows_of
from citewell.reading.scan_rules import grids
from citewell.reading.scan_tables import ScanCell, aligned, ruled
from citewell.reading.tables import CellText
from citewell.types import BlockKind, Region

_ITEM = re.compile(r"(?:[•·●○■□▪►*]\s?|[-–—]\s|\(?(?:\d{1,3}|[a-zA-Z])[.)]\s)(?=\S)")
_BULLET = re.compile(r"[•·●○■□▪►*]\s?|[-–—]\s")
_ENDS = (".", "!", "?", ":", ";", "。")
_HEADING = 1.35  # times the usual height: boxes around capitals and around small letters differ by less


def pieces_of(
    lines: Sequence[Line],
    rules: Sequence[tuple[Point, Point]],
    size: tuple[int, int],
    page: int,
    place: Callable[[Quad], Box],
) -> list[PagePiece]:
    """Pieces of one page in reading order; `place` gives the box of a quadrilateral of the picture in points.

    `rules` are the lines drawn in the picture, `size` is its width and height in pixels.
    """
    frame = frame_of(lines)
    strips, others = level(lines, frame)
    usual = _usual_height(strips)
    tables: list[tuple[Box, list[ScanCell]]] = []
    for grid in grids(rules, frame, size):
        inside = [strip for strip in strips if grid.holds(strip.centre, strip.middle)]
        cells = ruled(grid, inside)
        if len({cell.column for cell in cells}) > 1 or len({cell.row for cell in cells}) > 2:
            tables.append(((grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1]), cells))
            strips = [strip for strip in strips if strip not in inside]
    letters = [char for line in lines for char in line.text if char.isalpha()]
    loud = sum(map(str.isupper, letters)) > 0.35 * len(letters)
    draft = _Draft(page, place, usual, loud=loud)
    # A table takes part in the order as one large strip.
    blocks = {_stand_in(box): cells for box, cells in tables}
    for region in _order([*strips, *blocks]):
        text: list[Strip] = []
        for strip in sorted(region, key=lambda one: one.middle if one not in blocks else one.y0):
            if strip in blocks:
                draft.region(text)
                text = []
                draft.table(blocks[strip])
            else:
                text.append(strip)
        draft.region(text)
    for line in others:
        draft.aside(line)
    return draft.pieces


def _stand_in(box: Box) -> Strip:
    return Strip("", box[0], box[1], box[2], box[3], 1.0, (), ())


def _usual_height(strips: Sequence[Strip]) -> float:
    """The height of the page's body text: the median over all characters."""
    heights = sorted((strip.height, len(strip.text)) for strip in strips)
    half = sum(length for _, length in heights) / 2
    for height, length in heights:
        half -= length
        if half <= 0:
            return height
    return 1.0


def _order(strips: list[Strip]) -> list[list[Strip]]:
    """Strips as regions in reading order: where a gutter divides a page, left before right between what spans both."""
    gutter = _gutter(strips)
    if gutter is None:
        return [strips] if strips else []
    regions: list[list[Strip]] = []
    band: list[Strip] = []

    def flush() -> None:
        regions.extend(_order([strip for strip in band if strip.x1 <= gutter]))
        regions.extend(_order([strip for strip in band if strip.x1 > gutter]))
        band.clear()

    spanning: list[Strip] = []
    for strip in sorted(strips, key=lambda one: one.middle):
        if strip.x0 < gutter < strip.x1:
            if band:
                flush()
            spanning.append(strip)
        else:
            if spanning:
                regions.append(spanning)
                spanning = []
            band.append(strip)
    if spanning:
        regions.append(spanning)
    flush()
    return regions


def _gutter(strips: Sequence[Strip]) -> float | None:
    """The x of the white strip that best divides text into columns, or None where it is one column, or a table."""
    lines = [strip for strip in strips if strip.text]
    if len(lines) < 6:
        return None
    height = median(strip.height for strip in lines)
    edges = sorted([(strip.x0, 1) for strip in lines] + [(strip.x1, -1) for strip in lines])
    best, most, depth = None, 0.0, 0
    for (x, step), (following, _) in pairwise(edges):
        depth += step
        if following - x < 0.6 * height or depth > len(lines) // 4:
            continue
        at = (x + following) / 2
        left = [strip for strip in lines if strip.x1 <= at]
        right = [strip for strip in lines if strip.x0 >= at]
        worth = min(len(left), len(right)) - 1.5 * depth + min(1.0, (following - x) / height / 4)
        if min(len(left), len(right)) >= 3 and worth > most and _are_columns(left, right):
            best, most = at, worth
    return best


def _are_columns(left: Sequence[Strip], right: Sequence[Strip]) -> bool:
    """Whether texts side by side are columns of text rather than of a table.

    They are when both run to the edge of their column in lines of some length, or when their lines are not level with
    one another, as those of a table's rows are.
    """
    top = max(min(one.y0 for one in left), min(one.y0 for one in right))
    bottom = min(max(one.y1 for one in left), max(one.y1 for one in right))
    beside = [[one for one in side if top <= one.middle <= bottom] for side in (left, right)]
    fewer, more = sorted(beside, key=len)
    if len(fewer) < 3:
        return False
    partners = sum(
        any(abs(one.middle - other.middle) < 0.25 * min(one.height, other.height) for other in more) for one in fewer
    )
    return partners < 0.6 * len(fewer) or (_is_prose(beside[0]) and _is_prose(beside[1]))


def _is_prose(strips: Sequence[Strip]) -> bool:
    widths = sorted(strip.width for strip in strips)
    broad = widths[min(len(widths) - 1, 9 * len(widths) // 10)]
    full = sum(width > 0.8 * broad for width in widths)
    return full >= 0.5 * len(widths) and median(len(strip.text) for strip in strips) >= 18


def _is_loud(text: str) -> bool:
    """Whether a line is all capitals, as headings are on pages that are not."""
    return text.isupper() and sum(map(str.isalpha, text)) > max(5, len(text) // 2) and len(text) < 60


class _Draft:
    """The pieces of one page so far."""

    def __init__(self, page: int, place: Callable[[Quad], Box], usual: float, *, loud: bool) -> None:
        self.pieces: list[PagePiece] = []
        self._page = page
        self._place = place
        self._usual = usual
        self._loud = loud

    def region(self, strips: Sequence[Strip]) -> None:
        """The tables and the text of one column."""
        rows = rows_of(strips)
        at = 0
        for start, end, cells in aligned(rows):
            self._text([joined(row) for row in rows[at:start]])
            self.table(cells)
            at = end
        self._text([joined(row) for row in rows[at:]])

    def table(self, cells: Sequence[ScanCell]) -> None:
        texts = tuple(
            CellText(
                cell.row,
                cell.column,
                cell.text,
                cell.header,
                cell.row_span,
                cell.column_span,
                Region(self._page, self._box(cell.strips)),
            )
            for cell in cells
        )
        strips = [strip for cell in cells for strip in cell.strips]
        if texts:
            self._add(BlockKind.TABLE, "", strips, cells=texts)

    def aside(self, line: Line) -> None:
        """A line that runs another way than the page does."""
        piece = PagePiece(BlockKind.PARAGRAPH, line.text, self._page, self._place(line.quad))
        piece.confidence = line.confidence
        self.pieces.append(piece)

    def _text(self, lines: Sequence[Strip]) -> None:
        """Headings, list items and paragraphs of the lines of a column."""
        if not lines:
            return
        right = max(line.x1 for line in lines)
        steps = [below.middle - above.middle for above, below in pairwise(lines)]
        usual_step = median([step for step in steps if step < 2.2 * self._usual] or [1.6 * self._usual])
        group: list[Strip] = []
        for line in lines:
            if group and self._ends(group, line, right, usual_step):
                self._paragraph(group)
                group = []
            group.append(line)
        self._paragraph(group)

    def _ends(self, group: Sequence[Strip], line: Strip, right: float, usual_step: float) -> bool:
        """Whether a new piece begins with `line`."""
        before = group[-1]
        if self._is_heading(before) != self._is_heading(line):
            return True
        if not 0.7 < line.height / before.height < 1.4 and self._is_heading(line):
            return True
        step = line.middle - before.middle
        if step > max(1.35 * usual_step, usual_step + 0.35 * self._usual) and step > 1.2 * line.height:
            return True
        if self._is_heading(line):
            return False
        if _ITEM.match(line.text):
            return True
        indent = line.x0 - before.x0
        if _ITEM.match(group[0].text):
            return indent < -0.8 * line.height and len(group) > 1
        short = before.x1 < right - 3 * line.height
        return (0.8 * line.height < indent < 6 * line.height and len(group) > 1) or (
            short and before.text.endswith(_ENDS[:3]) and len(before.text) > 20
        )

    def _is_heading(self, line: Strip) -> bool:
        return line.height > _HEADING * self._usual and sum(map(str.isalpha, line.text)) > 2

    def _paragraph(self, lines: Sequence[Strip]) -> None:
        item = _ITEM.match(lines[0].text)
        if self._is_heading(lines[0]) and sum(len(line.text) for line in lines) < 200 and len(lines) < 5:
            self._add(BlockKind.HEADING, join_lines(line.text for line in lines), lines, level=self._rank(lines))
            return
        texts = [line.text for line in lines]
        if len(lines) == 1 and not self._loud and _is_loud(texts[0]):
            self._add(BlockKind.HEADING, texts[0], lines, level=4)
            return
        if item:
            texts[0] = _BULLET.sub("", texts[0], count=1)
        # A line that stops although the next word had room stops on purpose: addresses, forms, verses.
        right = max(line.x1 for line in lines)
        parts: list[list[str]] = [[texts[0]]]
        for before, text, line in zip(lines, texts[1:], lines[1:], strict=False):
            word = len(text.split(" ", 1)[0]) + 1
            room = right - before.x1 > 1.3 * word * line.width / max(1, len(line.text)) + line.height
            centred = abs(before.x0 - line.x0) > line.height > abs(before.centre - line.centre)
            if (room or centred) and not item:
                parts.append([text])
            else:
                parts[-1].append(text)
        kind = BlockKind.LIST_ITEM if item else BlockKind.PARAGRAPH
        self._add(kind, "\n".join(join_lines(part) for part in parts), lines)

    def _rank(self, lines: Sequence[Strip]) -> int:
        """1 to 3 by how much larger than the text it is; `rank_headings` closes the gaps."""
        larger = median(line.height for line in lines) / self._usual
        return 1 if larger > 2.2 else 2 if larger > 1.7 else 3

    def _add(
        self,
        kind: BlockKind,
        text: str,
        strips: Sequence[Strip],
        *,
        level: int = 0,
        cells: tuple[CellText, ...] = (),
    ) -> None:
        piece = PagePiece(kind, text, self._page, self._box(strips), level, cells)
        length = sum(len(strip.text) for strip in strips)
        piece.confidence = round(sum(one.confidence * len(one.text) for one in strips) / max(1, length), 4)
        self.pieces.append(piece)

    def _box(self, strips: Iterable[Strip]) -> Box | None:
        return union(self._place(quad) for strip in strips for quad in strip.quads)
