"""A second opinion on the tables of a page: where lines are drawn, they say what a cell is.

liteparse finds tables by white space as well as lines, and now and then runs several together or takes a box around
text for one. What is found here takes the place of the pieces that hold the same words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_columns import by_columns
from citewell.reading.pdf_doubt import has_figures, is_box, is_chart, is_full, is_list, is_prose
from citewell.reading.pdf_grid import Grid, Place, Word, is_value, ruled, spaced
from citewell.reading.pdf_layout import Box, Item, Items, Page, hundredths
from citewell.reading.pdf_lines import Lines
from citewell.reading.pdf_pages import PagePiece, box_of, join_lines, lines_of, text_of, union
from citewell.reading.pdf_prose import without_prose
from citewell.reading.pdf_regions import regions
from citewell.reading.pdf_text import printed
from citewell.reading.pdf_turned import Turned, angle_of, main_direction
from citewell.reading.tables import CellText
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Region

Draws: TypeAlias = Callable[[int, float, float], Lines]
"""Page number, width and height in points → the lines drawn on the page."""

_FEW: Final = 3  # lines that end in figures before a page is looked at
_LEAST: Final = 0.45  # how much a table by white space has to look like one
_MARGIN: Final = -0.05
_LOSS: Final = 0.1  # of the letters of a table: one that has less is not the same table
_APART: Final = 2.0  # of a line's height: words further apart than this are no running text


def mend_tables(page: Page, items: Items, pieces: Sequence[PagePiece], draws: Draws) -> list[PagePiece]:
    """`pieces` of a page whose visible text items are `items`, with its tables as lines and white space have them."""
    if not _suspicious(page, items, pieces):
        return list(pieces)
    turned = main_direction(items, page.width, page.height)
    by_item = words_of(items, turned)
    words = [word for held in by_item for word in held]
    lines = turned.lines(draws(page.page_num, page.width, page.height))
    grids = ruled(lines, words)
    lined = len(grids)
    upright = [angle_of(item) == turned.angle for item in items]
    grids += _unruled(lines, [word for word in words if upright[word.item]], grids, pieces, turned)
    for grid in grids:
        turned.turn_back(grid)
    tables = [
        PagePiece(
            BlockKind.TABLE, "", page.page_num, _rounded(grid.box), cells=_cells(grid, items, turned, page.page_num)
        )
        for grid in grids
    ]
    sure = {id(table) for table in tables[:lined]}
    result = _placed(grids, tables, items, turned, pieces)
    if not turned.angle:
        result = [
            part for piece in result for part in ([piece] if id(piece) in sure else _parted(piece, items, by_item))
        ]
    return [part for piece in result for part in _doubted(piece, items, by_item, turned, id(piece) in sure)]


def _parted(piece: PagePiece, items: Items, by_item: Sequence[Sequence[Word]]) -> list[PagePiece]:
    if piece.kind is not BlockKind.TABLE or piece.box is None:
        return [piece]
    own = items.inside(piece.box)
    return without_prose(piece, [items[number] for number in own], [word for number in own for word in by_item[number]])


def words_of(items: Sequence[Item], turned: Turned) -> list[list[Word]]:
    """The words of each text item, with its place; an item whose words do not make it up is one itself."""
    found: list[list[Word]] = []
    for number, item in enumerate(items):
        words = item.words
        texts = [word.text for word in words]
        if len(words) > 1 and "".join(texts).replace(" ", "") == item.text.replace(" ", ""):
            found.append([turned.word(word, number) for word, text in zip(words, texts, strict=True) if text.strip()])
        else:
            found.append([turned.word(item, number)])
    return found


def _unruled(
    lines: Lines, words: Sequence[Word], grids: Sequence[Grid], pieces: Sequence[PagePiece], turned: Turned
) -> list[Grid]:
    """Tables by white space, where that makes better tables than those among `pieces`, or where there is none."""
    held = {id(word) for grid in grids for place in grid.places for word in place.words}
    free = [word for word in words if id(word) not in held]
    known = [
        (piece, box)
        for piece in pieces
        if piece.kind is BlockKind.TABLE and piece.box and not piece.hidden and not is_box(piece)
        for box in [turned.box(piece.box)]
        if not any(_meet(box, grid.box) for grid in grids)
    ]
    found: list[Grid] = []
    for region in regions(free, lines.across, [box for _, box in known]):
        if len(region.words) < _FEW:
            continue
        top, bottom = min(w.y for w in region.words), max(w.y + w.height for w in region.words)
        grid = by_columns(region.words, [line for line in lines.across if top - 3 <= line.at <= bottom + 3])
        if grid is None:
            continue
        mine = worth(_texts(grid), grid.rows, grid.columns)
        rivals = [piece for piece, box in known if _meet(box, grid.box)]
        if mine < _LEAST or (len(rivals) > 1 and not region.ruled):
            continue
        if len(rivals) == 1:
            cells = [(cell.row, cell.column, cell.column_span, cell.text) for cell in rivals[0].cells]
            rows, columns = max(cell[0] for cell in cells) + 1, max(cell[1] + cell[2] for cell in cells)
            has, could = _size(text for *_, text in cells), _size(text for *_, text in _texts(grid))
            lost = (could - has) / max(1, could, has)  # below zero where it is this one that loses some
            if mine <= worth(cells, rows, columns) - lost + _MARGIN or lost < -_LOSS:
                continue
        elif not (region.known or region.ruled) and not _has_figures(grid):
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
    for row, _, span, text in filled:
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
    return [(place.row, place.column, place.last_column - place.column, spaced(place.words)) for place in grid.places]


def _size(texts: Iterable[str]) -> int:
    return sum(sum(map(str.isalnum, text)) for text in texts)


def _has_figures(grid: Grid) -> bool:
    """Whether at least one column but the first is mostly figures, in three rows at least."""
    found: dict[int, list[bool]] = {}
    for _, column, span, text in _texts(grid):
        if column and span == 1:
            found.setdefault(column, []).append(is_value(text))
    return any(sum(values) >= _FEW and 2 * sum(values) > len(values) for values in found.values())


def _suspicious(page: Page, items: Sequence[Item], pieces: Sequence[PagePiece]) -> bool:
    """Whether a look at the lines of a page may pay: there is a table, or there are lines that end in figures."""
    if any(piece.kind is BlockKind.TABLE for piece in pieces):
        return True
    if any(block.kind == "grid_fallback" for block in page.blocks):
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


def _placed(
    grids: Sequence[Grid],
    tables: Sequence[PagePiece],
    items: Items,
    turned: Turned,
    pieces: Sequence[PagePiece],
) -> list[PagePiece]:
    """`pieces` with `tables`, made of `grids`, in place of what holds the same words."""
    held = {word.item: number for number, grid in enumerate(grids) for place in grid.places for word in place.words}
    result: list[PagePiece] = []
    waiting = dict(enumerate(tables))
    for piece in pieces:
        own = [] if piece.hidden or piece.box is None else items.inside(piece.box)
        mine = sorted({held[number] for number in own if number in held})
        if not mine:
            result.append(piece)
            continue
        rest = [number for number in own if number not in held]
        parts = [(grids[number].box[1], waiting.pop(number)) for number in mine if number in waiting]
        tops = sorted(grids[number].box[1] for number in mine)
        for top, bottom in zip([0.0, *tops], [*tops, float("inf")], strict=True):
            between = [number for number in rest if top <= items[number].y < bottom]
            if between:
                box = union(box_of(items[number]) for number in between)
                text = text_of([turned.word(items[number], number) for number in between])
                parts.append((box[1] if box else 0.0, PagePiece(BlockKind.PARAGRAPH, text, piece.page, box)))
        result += (part for _, part in sorted(parts, key=lambda part: part[0]))
    return result


def _cells(grid: Grid, items: Sequence[Any], turned: Turned, page: int) -> tuple[CellText, ...]:
    sizes = Counter(word.item for place in grid.places for word in place.words)
    cells = []
    for place in grid.places:
        if len(place.words) < 2:
            texts = [
                items[word.item].text if sizes[word.item] == 1 and not turned.angle else word.text
                for word in place.words
            ]
            cells.append(_cell(place, "".join([tidy(printed(text)) for text in texts]), page))
            continue
        mine = Counter(word.item for word in place.words)
        # Items know their spaces better than their words do; those that run otherwise than others stay in their order.
        # Not of text set sideways: there they have spaces within words.
        whole = sorted(number for number, count in mine.items() if count == sizes[number] and not turned.angle)
        aside = [number for number in whole if angle_of(items[number]) != angle_of(items[whole[0]])]
        parts = [turned.word(items[number], number) for number in whole if number not in aside]
        parts += [word for word in place.words if word.item not in whole]
        texts = [*lines_of(parts), *(printed(items[number].text) for number in aside)]
        cells.append(_cell(place, join_lines(texts), page))
    return tuple(cells)


def _cell(place: Place, text: str, page: int) -> CellText:
    return CellText(
        place.row,
        place.column,
        text,
        header=place.row == 0,
        row_span=place.last_row - place.row,
        column_span=place.last_column - place.column,
        region=Region(page, _rounded(place.box)),
    )


def _doubted(
    piece: PagePiece, items: Items, by_item: Sequence[Sequence[Word]], turned: Turned, sure: bool
) -> list[PagePiece]:
    """A table, or what it is instead; one that lines make `sure` can only be a chart, if places in it are empty."""
    if piece.kind is not BlockKind.TABLE or piece.hidden or piece.box is None:
        return [piece]
    inside = items.inside(piece.box)
    own = [turned.word(items[number], number) for number in inside]
    if is_chart(piece) and not (sure and is_full(piece)):
        text = tidy("\n".join(lines_of(own)), lines=True)
        return [PagePiece(BlockKind.FIGURE, text, piece.page, piece.box)]
    if sure:
        return [piece]
    if is_list(piece):
        rows = sorted({cell.row for cell in piece.cells})
        texts = [tidy(" ".join(cell.text for cell in piece.cells if cell.row == row)) for row in rows]
        return [PagePiece(BlockKind.PARAGRAPH, text, piece.page, piece.box) for text in texts if text]
    words = [word for number in inside for word in by_item[number]]
    if is_box(piece) or is_prose(words) or (not has_figures(piece) and by_columns(words) is None):
        text = join_lines(lines_of(own))
        return [PagePiece(BlockKind.PARAGRAPH, text, piece.page, piece.box)] if text else []
    return [piece]


def _rounded(box: Box) -> Box:
    x0, y0, x1, y1 = map(hundredths, box)
    return x0, y0, x1, y1


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
