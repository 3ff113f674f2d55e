"""A second opinion on the tables of a page: where lines are drawn, they say what a cell is.

liteparse finds tables by white space as well as lines, and now and then runs several together or takes a box around
text for one. What is found here takes the place of the pieces that hold the same words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_columns import by_columns
from citewell.reading.pdf_grid import Grid, Word, is_value, rows_of, ruled
from citewell.reading.pdf_lines import Lines
from citewell.reading.pdf_pages import Box, PagePiece, box_of, join_lines, line_of, lines_of, text_of, union
from citewell.reading.pdf_regions import regions
from citewell.reading.tables import CellText
from citewell.types import BlockKind, Region

Draws: TypeAlias = Callable[[int, float, float], Lines]
"""Page number, width and height in points → the lines drawn on the page."""

_FEW: Final = 3  # lines that end in figures before a page is looked at
_LEAST: Final = 0.45  # how much a table by white space has to look like one
_MARGIN: Final = -0.05
_APART: Final = 2.0  # of a line's height: words further apart than this are no running text


def mend_tables(page: Any, items: Sequence[Any], pieces: Sequence[PagePiece], draws: Draws) -> list[PagePiece]:
    """`pieces` of a page whose visible text items are `items`, with its tables as its lines have them."""
    if not _suspicious(page, items, pieces):
        return list(pieces)
    words = words_of(items)
    lines = draws(page.page_num, page.width, page.height)
    grids = ruled(lines, words)
    grids += _unruled(lines, words, grids, pieces)
    result = _placed(grids, items, pieces, page.page_num)
    return [part for piece in result for part in _unboxed(piece, items)]


def _unruled(
    lines: Lines, words: Sequence[Word], grids: Sequence[Grid], pieces: Sequence[PagePiece]
) -> list[Grid]:
    """Tables by white space, where that makes better tables than those among `pieces`, or where there is none."""
    held = {id(word) for grid in grids for place in grid.places for word in place.words}
    free = [word for word in words if id(word) not in held]
    own = [piece for piece in pieces if piece.kind is BlockKind.TABLE and not piece.hidden and not _is_box(piece)]
    known = [
        piece for piece in own if piece.box and not any(_meet(piece.box, grid.box) for grid in grids if piece.box)
    ]
    found: list[Grid] = []
    for region in regions(free, lines.across, [piece.box for piece in known if piece.box]):
        if len(region.words) < _FEW:
            continue
        top, bottom = min(w.y for w in region.words), max(w.y + w.height for w in region.words)
        grid = by_columns(region.words, [line for line in lines.across if top - 3 <= line.at <= bottom + 3])
        if grid is None:
            continue
        mine = worth(_texts(grid), grid.rows, grid.columns)
        rivals = [piece for piece in known if piece.box and _meet(piece.box, grid.box)]
        if len(rivals) > 1 or mine < _LEAST:
            continue
        if rivals:
            cells = [(cell.row, cell.column, cell.column_span, cell.text) for cell in rivals[0].cells]
            rows, columns = max(cell[0] for cell in cells) + 1, max(cell[1] + cell[2] for cell in cells)
            lost = 1 - min(1.0, _size(text for *_, text in cells) / max(1, _size(text for *_, text in _texts(grid))))
            if mine <= worth(cells, rows, columns) - lost + _MARGIN:
                continue
        elif not region.known and not _has_figures(grid):
            continue
        found.append(grid)
    return found


def worth(cells: Sequence[tuple[int, int, int, str]], rows: int, columns: int) -> float:
    """How much a table looks like one, at most 1: places that are filled, less cells that hold several figures.

    `cells` are (row, column, column span, text).
    """
    filled = [(row, column, span, text) for row, column, span, text in cells if text.strip()]
    if rows < 2 or columns < 2 or not filled:
        return 0.0
    # A row with nothing but a label heads those below it; one that begins with a small letter is the rest of another.
    by_row: dict[int, list[tuple[int, str]]] = {}
    for row, column, span, text in filled:
        by_row.setdefault(row, []).append((span, text))
    full = [held for held in by_row.values() if len(held) > 1]
    loose = sum(len(held) == 1 and held[0][1][:1].islower() for held in by_row.values()) / len(by_row)
    share = sum(span for held in full for span, _ in held) / max(1, len(full) * columns)
    crowded = sum(_is_crowded(text) for *_, text in filled) / len(filled)
    by_column: dict[int, int] = {}
    for _, column, span, _ in filled:
        for one in range(column, column + span):
            by_column[one] = by_column.get(one, 0) + 1
    sparse = sum(by_column.get(column, 0) < 0.25 * rows for column in range(columns)) / columns
    return share - 2 * crowded - 0.5 * sparse - loose


def _is_crowded(text: str) -> bool:
    words = text.split()
    figures = sum(is_value(word) and any(map(str.isdigit, word)) for word in words)
    return figures > 1 and 2 * figures > len(words) and not is_value(text)


def _texts(grid: Grid) -> list[tuple[int, int, int, str]]:
    return [
        (place.row, place.column, place.last_column - place.column, " ".join(word.text for word in place.words))
        for place in grid.places
    ]


def _size(texts: Iterable[str]) -> int:
    return sum(sum(map(str.isalnum, text)) for text in texts)


def _has_figures(grid: Grid) -> bool:
    """Whether at least one column but the first is mostly figures, in three rows at least."""
    found: dict[int, list[bool]] = {}
    for _, column, span, text in _texts(grid):
        if column and span == 1:
            found.setdefault(column, []).append(is_value(text))
    return any(sum(values) >= _FEW and 2 * sum(values) > len(values) for values in found.values())


def words_of(items: Sequence[Any]) -> list[Word]:
    """The words of text items, each with the place of its item; an item whose words do not make it up stays whole."""
    found: list[Word] = []
    for number, item in enumerate(items):
        words = item.words or ()
        if len(words) > 1 and "".join(w.text for w in words).replace(" ", "") == item.text.replace(" ", ""):
            found += (Word(w.x, w.y, w.width, w.height, w.text, number) for w in words if w.text.strip())
        else:
            found.append(Word(item.x, item.y, item.width, item.height, item.text, number))
    return found


def _suspicious(page: Any, items: Sequence[Any], pieces: Sequence[PagePiece]) -> bool:
    """Whether a look at the lines of a page may pay: there is a table, or there are lines that end in figures."""
    if any(piece.kind is BlockKind.TABLE for piece in pieces):
        return True
    if any(block.kind == "grid_fallback" for block in page.blocks or ()):
        return True
    values = [item for item in items if len(item.text) < 16 and is_value(item.text)]
    if len(values) < _FEW:
        return False
    starts = sorted((item.y + item.height / 2, item.x, item.x + item.width) for item in items)
    middles = [middle for middle, _, _ in starts]
    found = 0
    for item in values:
        middle, apart = item.y + item.height / 2, item.x - _APART * item.height
        low, high = bisect_left(middles, middle - item.height / 3), bisect_right(middles, middle + item.height / 3)
        found += any(right < apart + item.height for _, _, right in starts[low:high])
    return found >= _FEW


def _placed(grids: Sequence[Grid], items: Sequence[Any], pieces: Sequence[PagePiece], page: int) -> list[PagePiece]:
    """`pieces` with `grids` in place of what holds the same words."""
    held = {word.item: number for number, grid in enumerate(grids) for place in grid.places for word in place.words}
    result: list[PagePiece] = []
    waiting = dict(enumerate(grids))
    for piece in pieces:
        own = [] if piece.hidden or piece.box is None else _inside(piece.box, items)
        mine = {held[number] for number in own if number in held}
        if not mine:
            result.append(piece)
            continue
        rest = [number for number in own if number not in held]
        parts: list[tuple[float, PagePiece]] = []
        for number in mine & waiting.keys():
            grid = waiting.pop(number)
            parts.append(
                (grid.box[1], PagePiece(BlockKind.TABLE, "", page, _rounded(grid.box), cells=_cells(grid, items, page)))
            )
        tops = sorted(grids[number].box[1] for number in mine)
        for top, bottom in zip([0.0, *tops], [*tops, float("inf")], strict=True):
            between = [items[number] for number in rest if top <= items[number].y < bottom]
            parts += ((piece.box[1], piece) for piece in _text(between, page) if piece.box)
        result += (part for _, part in sorted(parts, key=lambda part: part[0]))
    return result


def _text(items: Sequence[Any], page: int) -> list[PagePiece]:
    return [PagePiece(BlockKind.PARAGRAPH, text_of(items), page, union(map(box_of, items)))] if items else []


def _cells(grid: Grid, items: Sequence[Any], page: int) -> tuple[CellText, ...]:
    sizes: dict[int, int] = {}
    for place in grid.places:
        for word in place.words:
            sizes[word.item] = sizes.get(word.item, 0) + 1
    cells = []
    for place in grid.places:
        mine: dict[int, int] = {}
        for word in place.words:
            mine[word.item] = mine.get(word.item, 0) + 1
        whole = {number for number, count in mine.items() if count == sizes[number]}
        parts: list[Any] = [items[number] for number in sorted(whole)]
        parts += [word for word in place.words if word.item not in whole]
        cells.append(
            CellText(
                place.row,
                place.column,
                join_lines(lines_of(parts)),
                header=place.row == 0,
                row_span=place.last_row - place.row,
                column_span=place.last_column - place.column,
                region=Region(page, _rounded(place.box)),
            )
        )
    return tuple(cells)


def _unboxed(piece: PagePiece, items: Sequence[Any]) -> list[PagePiece]:
    """A "table" of one column is text in a box."""
    if not _is_box(piece):
        return [piece]
    text = join_lines(cell.text for cell in piece.cells)
    return [PagePiece(BlockKind.PARAGRAPH, text, piece.page, piece.box)] if text else []


def _is_box(piece: PagePiece) -> bool:
    return piece.kind is BlockKind.TABLE and len({cell.column for cell in piece.cells if cell.text}) < 2


def _rounded(box: Box) -> Box:
    return (round(box[0], 2), round(box[1], 2), round(box[2], 2), round(box[3], 2))


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: Box, items: Sequence[Any]) -> list[int]:
    x0, y0, x1, y1 = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    return [
        number
        for number, item in enumerate(items)
        if x0 <= item.x + item.width / 2 <= x1 and y0 <= item.y + item.height / 2 <= y1
    ]
