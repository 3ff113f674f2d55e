"""A tagged PDF says itself what is a heading, a list item, a cell, and in which order: believe it where it adds up.

Word, LibreOffice and their like write such tags. They give the reading order of pages that layout analysis cannot
untangle (a table across two columns), and merged cells. Pages whose tags leave out text are not read this way.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from citewell.reading.pdf_layout import Box, Element, Item, Page
from citewell.reading.pdf_pages import MAYBE_CUT, PagePiece, box_of, join_lines, line_of, union
from citewell.reading.pdf_text import printed
from citewell.reading.tables import CellText, Places
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Region

_COVERED = 0.9  # of a page's letters; what is left are artifacts: running heads, page numbers
_LONGEST = 6000  # characters of one paragraph on one page: beyond, the tags are a mere wrapper
_HEADINGS = {"H": 1, "Title": 1, **{f"H{level}": level for level in range(1, 7)}}
_BLOCKS = {
    *_HEADINGS, "P", "L", "LI", "Table", "Caption", "TOC", "TOCI", "BlockQuote", "Note", "Code", "Sect", "Div", "Part",
    "Art", "Document", "Figure", "Aside", "FENote", "Index", "NonStruct",
}  # fmt: skip
_MARGIN = 0.12


@dataclass(slots=True)
class Tags:
    """How a document is tagged: whether it has heading tags, and the size of its running text in points."""

    headings: bool
    body_size: float


def survey(pages: Sequence[Page]) -> Tags | None:
    """How `pages` are tagged; None when they are not."""
    headings, tagged = False, False
    sizes: Counter[float] = Counter()
    for page in pages:
        for element in _walk(page.roots):
            tagged = True
            headings = headings or element.type in _HEADINGS
    for page in pages if tagged else ():
        for item in page.text_items:
            sizes[round(item.font_size or 0, 1)] += len(item.text)
    return Tags(headings, max(sizes, key=lambda size: sizes[size])) if tagged and sizes else None


def read_tagged(page: Page, items: Sequence[Item], *, tags: Tags | None, max_cells: int) -> list[PagePiece] | None:
    """Pieces of one page in the order of its tags; None where the tags leave out text of `items` or are mere wrappers.

    `items` are the visible text items of the page. Raises ReadError limit_exceeded for tables of over `max_cells`.
    """
    if tags is None:
        return None
    roots = page.roots
    owned = _owners(roots, {item.mcid for item in items if item.mcid is not None})
    reader = _TagReader(page.page_num, tags, _by_mark(items), owned, max_cells)
    total = sum(len(item.text.strip()) for item in items)
    inside = sum(len(item.text.strip()) for item in items if item.mcid in reader.marks)
    if not roots or inside < _COVERED * total:
        return None
    for root in roots:
        reader.element(root, 0)
    if any(len(piece.text) > _LONGEST for piece in reader.pieces):
        return None
    free = [item for item in items if item.mcid is None or item.mcid not in reader.marks]
    above, below = _artifacts(free, page)
    return above + reader.in_order() + below


def _walk(elements: Sequence[Element]) -> Iterator[Element]:
    stack = list(reversed(elements))
    while stack:
        element = stack.pop()
        yield element
        stack += reversed(element.children)


def _owners(roots: Sequence[Any], present: set[int]) -> dict[int, int]:
    """Mark of marked content → id of the element that owns it on this page.

    An element that crosses pages lists the marks of its other pages too, and marks start anew on each page. Where two
    elements claim one mark, it belongs to that between whose other marks it falls.
    """
    flat = [(mark, id(element)) for element in _walk(roots) for mark in element.marked_content_ids if mark in present]
    claims: dict[int, list[int]] = defaultdict(list)
    for place, (mark, _) in enumerate(flat):
        claims[mark].append(place)

    def fits(place: int) -> int:
        mark: int = flat[place][0]
        before = next((flat[i][0] for i in range(place - 1, -1, -1) if len(claims[flat[i][0]]) == 1), -1)
        after = next((flat[i][0] for i in range(place + 1, len(flat)) if len(claims[flat[i][0]]) == 1), 1 << 30)
        return int(before < mark) + int(mark < after)

    return {
        mark: flat[places[0] if len(places) == 1 else max(places[:50], key=fits)][1] for mark, places in claims.items()
    }


def _by_mark(items: Sequence[Any]) -> dict[int, list[Any]]:
    marks: dict[int, list[Any]] = defaultdict(list)
    for item in items:
        if item.mcid is not None:
            marks[item.mcid].append(item)
    return marks


class _TagReader:
    """One page's tag tree, walked in order."""

    def __init__(
        self, page: int, tags: Tags, items: Mapping[int, list[Any]], owners: Mapping[int, int], max_cells: int
    ) -> None:
        self.pieces: list[PagePiece] = []
        self._first_mark: dict[int, int] = {}  # id of a list item's piece → its first mark
        self.marks = {mark for mark in owners if mark in items}
        self._page = page
        self._tags = tags
        self._items = items
        self._owners = owners
        self._max_cells = max_cells

    def in_order(self) -> list[PagePiece]:
        """The pieces; a list that began on another page comes with its inner lists first, so its marks say better."""
        result: list[PagePiece] = []
        for listed, group in groupby(self.pieces, key=lambda piece: piece.kind is BlockKind.LIST_ITEM):
            run = list(group)
            result += sorted(run, key=lambda piece: self._first_mark[id(piece)]) if listed else run
        return result

    def element(self, element: Any, depth: int, list_depth: int = -1) -> None:
        """Append the pieces of an element and of those in it."""
        if depth > 60:
            return
        kind = element.type
        if kind == "Table":
            self._table(element)
        elif kind in {"LI", "TOCI"}:
            self._item(element, depth, max(list_depth, 0))
        elif kind in {"L", "TOC"}:
            for child in element.children:
                self.element(child, depth + 1, list_depth + 1)
        elif any(child.type in _BLOCKS for child in element.children):
            self._add(BlockKind.PARAGRAPH, self._own(element))
            for child in element.children:
                if child.type in _BLOCKS:
                    self.element(child, depth + 1, list_depth)
                else:
                    self._add(BlockKind.PARAGRAPH, self._all(child))
        else:
            items = self._all(element)
            if kind in _HEADINGS:
                self._add(BlockKind.HEADING, items, level=_HEADINGS[kind])
            elif kind == "Caption":
                self._add(BlockKind.CAPTION, items)
            elif kind == "Code":
                self._add(BlockKind.CODE, items)
            elif not self._tags.headings and (level := self._looks_like_heading(items)) is not None:
                self._add(BlockKind.HEADING, items, level=level)
            else:
                self._add(BlockKind.PARAGRAPH, items)

    def _item(self, element: Any, depth: int, list_depth: int) -> None:
        """A list item: its label and its own text as one piece, then the lists in it."""
        inner: list[Any] = []
        marks: list[int] = []
        labels: list[Any] = []
        stack = list(reversed(element.children))
        marks += self._claimed(element)
        while stack:
            child = stack.pop()
            if child.type in {"L", "TOC", "Table"}:
                inner.append(child)
            elif child.type == "Lbl":
                labels += self._all(child)
            else:
                marks += self._claimed(child)
                stack += reversed(child.children)
        items = [item for mark in marks for item in self._items.get(mark, ())]
        label = tidy(" ".join(item.text for item in labels))
        text = running_text(items)
        if re.search(r"\w", label) and not text.startswith(label) and len(label) < 12 and label != "o":
            text = f"{label} {text}"
        if text:
            box = union(box_of(item) for item in [*labels, *items])
            piece = PagePiece(BlockKind.LIST_ITEM, text, self._page, box, level=list_depth, goes_on=not labels)
            self.pieces.append(piece)
            self._first_mark[id(piece)] = min(item.mcid for item in [*labels, *items])
        for child in inner:
            self.element(child, depth + 1, list_depth)

    def _table(self, table: Any) -> None:
        found: list[tuple[CellText, list[Any]]] = []
        bold_rows: dict[int, bool] = {}
        rows = list(_rows(table))
        places = Places(len(rows), self._max_cells)
        for row, element in enumerate(rows):
            for tagged in (child for child in element.children if child.type in {"TH", "TD"}):
                across = _span_of(tagged, "ColSpan")
                column, down = places.take(row, _span_of(tagged, "RowSpan"), across)
                items = self._all(tagged)
                bold_rows[row] = bold_rows.get(row, True) and all(item.bold for item in items)
                box = union(box_of(item) for item in items)
                region = Region(self._page, box) if box else None
                found.append((CellText(row, column, "", tagged.type == "TH", down, across, region), items))
        breadths: dict[int, float] = defaultdict(float)
        for cell, items in found:
            if cell.column_span == 1:
                breadths[cell.column] = max([breadths[cell.column], *map(_breadth, _line_items(items))])
        cells = [
            replace(cell, text=_cell_text(items, breadths[cell.column] if cell.column_span == 1 else math.inf))
            for cell, items in found
        ]
        if any(cell.text for cell in cells):
            box = union(cell.region.box for cell in cells if cell.region)
            self.pieces.append(PagePiece(BlockKind.TABLE, "", self._page, box, cells=_header_first(cells, bold_rows)))
        for child in table.children:
            if child.type == "Caption":
                self._add(BlockKind.CAPTION, self._all(child))

    def _looks_like_heading(self, items: Sequence[Any]) -> int | None:
        """A level for a short line in bold or larger type, larger first, then by the depth of its number."""
        text = running_text(items)
        if not text or len(text) > 120 or text[-1] in ".;,:" or len({round(item.y / 4) for item in items}) > 4:
            return None
        size = max(item.font_size or 0 for item in items)
        bold = all(item.bold for item in items)
        if not bold and size < 1.15 * self._tags.body_size:
            return None
        number = re.match(r"(\d+(?:\.\d+)*)\.?\s", text)
        depth = number[1].count(".") if number else 0
        return max(0, 100 - round(size)) * 10 + min(depth, 8)

    def _claimed(self, element: Any) -> list[int]:
        return [mark for mark in element.marked_content_ids if self._owners.get(mark) == id(element)]

    def _own(self, element: Any) -> list[Any]:
        return [item for mark in self._claimed(element) for item in self._items.get(mark, ())]

    def _all(self, element: Any) -> list[Any]:
        return [item for one in _walk([element]) for item in self._own(one)]

    def _add(self, kind: BlockKind, items: Sequence[Any], level: int = 0) -> None:
        text = "\n".join(_lines(items)) if kind is BlockKind.CODE else running_text(items)
        if text:
            self.pieces.append(PagePiece(kind, text, self._page, union(box_of(item) for item in items), level=level))


def running_text(items: Sequence[Any]) -> str:
    """Items in the order given as running text; a new line starts where the height changes or the pen goes back."""
    return join_lines(_lines(items))


def _cell_text(items: Sequence[Any], breadth: float) -> str:
    """The text of a cell; MAYBE_CUT stands where a word may have been cut because it was broader than its column.

    That is where the next line goes on with a small letter that would not have fitted any more into `breadth`.
    """
    lines = _line_items(items)
    text = ""
    for number, line in enumerate(lines):
        words = line_of(line)
        before = line_of(lines[number - 1]) if number else ""
        full = number and _breadth(lines[number - 1]) + _breadth(line) / max(len(words), 1) > 0.98 * breadth
        cut = full and words[:1].islower() and re.fullmatch(r"\S*[^\W\d_]['’]?", before)
        text = f"{text}{MAYBE_CUT}{words}" if cut else join_lines([text, words])
    return text


def _breadth(line: Sequence[Any]) -> float:
    return float(max(item.x + item.width for item in line) - min(item.x for item in line))


def _lines(items: Sequence[Any]) -> list[str]:
    return [line_of(line) for line in _line_items(items)]


def _line_items(items: Sequence[Any]) -> list[list[Any]]:
    lines: list[list[Any]] = []
    for item in items:
        last = lines[-1][-1] if lines else None
        same = (
            last is not None
            and abs((item.y + item.height / 2) - (last.y + last.height / 2)) < max(item.height, last.height) / 2
        )
        if same:
            lines[-1].append(item)
        else:
            lines.append([item])
    return lines


def _rows(table: Any) -> Iterator[Any]:
    for child in table.children:
        if child.type == "TR":
            yield child
        elif child.type in {"THead", "TBody", "TFoot"}:
            yield from _rows(child)


def _span_of(cell: Any, name: str) -> int:
    value = cell.attributes.get(name, 1)
    return max(1, min(int(value), 1000)) if isinstance(value, (int, float)) else 1


def _header_first(cells: Sequence[CellText], bold_rows: Mapping[int, bool]) -> tuple[CellText, ...]:
    """A header is a run of first rows of header cells only, or else a first row that alone is bold."""
    if bold_rows.get(0) and bold_rows.get(1) is False:
        cells = [replace(cell, header=True) if cell.row == 0 else cell for cell in cells]
    by_row: dict[int, list[CellText]] = defaultdict(list)
    for cell in cells:
        by_row[cell.row].append(cell)
    header = True
    result: list[CellText] = []
    for row in sorted(by_row):
        header = header and len(by_row) > 1 and all(cell.header for cell in by_row[row])
        result += [CellText(c.row, c.column, c.text, header, c.row_span, c.column_span, c.region) for c in by_row[row]]
    return tuple(result)


def _artifacts(items: Sequence[Any], page: Any) -> tuple[list[PagePiece], list[PagePiece]]:
    """What no tag names, above and below the text: running heads and feet, and in the middle whatever else it is."""
    above: list[PagePiece] = []
    below: list[PagePiece] = []
    rows: dict[int, list[Any]] = defaultdict(list)
    for item in items:
        rows[round((item.y + item.height / 2) / 4)].append(item)
    for _, row in sorted(rows.items()):
        box: Box | None = union(box_of(item) for item in row)
        text = printed(line_of(row))
        if box is None or not text:
            continue
        if box[3] < page.height * _MARGIN:
            above.append(PagePiece(BlockKind.HEADER, text, page.page_num, box, boilerplate=True))
        elif box[1] > page.height * (1 - _MARGIN):
            below.append(PagePiece(BlockKind.FOOTER, text, page.page_num, box, boilerplate=True))
        else:
            below.append(PagePiece(BlockKind.PARAGRAPH, text, page.page_num, box))
    return above, below
