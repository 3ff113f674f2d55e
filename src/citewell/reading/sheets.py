"""A sheet of any spreadsheet format as blocks: its tables told apart, what is hidden apart from what is seen.

A reader fills a `Sheet`; `sheet_pieces` makes of it a heading, and for each island of cells a table (a lone cell is a
paragraph, or the caption of the table below it). Rows and columns count from 0 here, as everywhere but in addresses.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from citewell.errors import ReadError
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.pieces import Builder, Piece
from citewell.reading.sheet_tables import Island, Range, header_rows, islands, within
from citewell.reading.tables import Table, too_many_cells
from citewell.types import Block, BlockKind, Cell, Place

MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
MAX_CHARACTERS: Final = 50_000_000
"""The text of all cells of one file; one long shared string in a million cells would otherwise be a bomb."""

MAX_STORED: Final = 100_000
"""How many values of a sheet are kept as stored beside what is shown of them."""

_LIST: Final = 200  # stored values in one block; a table's first such block can be found, the others are flagged
_MAX_REACH: Final = 2_000_000  # rows that all merged cells of a sheet reach, together
_Cells: TypeAlias = Mapping[int, Mapping[int, str]]
_RANGE: Final = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})(?::([A-Z]{1,3})([1-9]\d{0,6}))?")


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote beside a cell."""

    row: int
    column: int
    text: str
    author: str = ""


@dataclass(slots=True)
class Sheet:
    """One sheet before it becomes blocks. `rows` has the texts as shown, by row and column; empty cells are absent.

    `stored` holds what a cell really holds, where its text does not tell. `hidden_columns` are runs (first, last).
    `drawn` are text boxes, charts and pictures with the cell they hang on.
    `tables` are ranges that the file itself names as tables, with how many of their rows are headers.
    """

    name: str
    hidden: bool = False
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    stored: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    hidden_cells: set[tuple[int, int]] = field(default_factory=set)
    merged: list[Range] = field(default_factory=list)
    tables: list[tuple[Range, int]] = field(default_factory=list)
    filtered: list[Range] = field(default_factory=list)
    frozen_rows: int = 0
    notes: list[Note] = field(default_factory=list)
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    drawn: list[tuple[Piece, tuple[int, int] | None]] = field(default_factory=list)


@dataclass(slots=True)
class Limits:
    """What is left of the cells and characters that one file may have."""

    max_cells: int = MAX_CELLS
    cells: int = 0
    characters: int = 0

    def count(self, text: str, times: int = 1) -> None:
        """Account for a cell `times` over. Raises ReadError limit_exceeded."""
        self.cells += times
        self.characters += len(text) * times
        if self.cells > self.max_cells:
            raise too_many_cells(self.cells, self.max_cells)
        if self.characters > MAX_CHARACTERS:
            remedy = "Split it by sheets."
            raise over("The file", self.characters, "characters in its cells", MAX_CHARACTERS, remedy, seen=True)


def add_sheets(builder: Builder, sheets: Iterable[Sheet], max_cells: int = MAX_CELLS) -> None:
    """Add the blocks of all sheets. Raises ReadError: limit_exceeded, no_text where only their names are to be seen."""
    seen = False
    for sheet in sheets:
        for number, piece in enumerate(sheet_pieces(sheet, max_cells)):
            builder.add(piece)
            seen = seen or (number > 0 and not piece.hidden)
    if not seen:
        raise ReadError("no_text", "The sheets hold nothing to be seen: nothing of them could be found or quoted.")


def sheet_pieces(sheet: Sheet, max_cells: int = MAX_CELLS) -> Iterator[Piece]:
    """The blocks of a sheet, top to bottom; all of them flagged where the sheet is hidden.

    Cells in hidden rows and columns follow as flagged tables. Raises ReadError limit_exceeded.
    """
    path = (sheet.name,)
    sheet.merged = _sound(sheet)
    rows = max(sheet.rows, default=-1) + 1
    whole = Place(0, rows, "rows", quoted(sheet.name))
    yield Piece(BlockKind.HEADING, sheet.name, 1, hidden=sheet.hidden, source=whole)
    seen, unseen = _apart(sheet)
    beside = _Beside(sheet, max_cells)
    # What is hidden does not part what is seen, so the tables are told apart with it.
    whole_islands = islands(sheet.rows, sheet.merged, [where for where, _ in sheet.tables])
    for cells, hidden in ((seen, sheet.hidden), (unseen, True)):
        found = whole_islands if cells is sheet.rows else list(_kept(whole_islands, cells))
        for piece in _blocks(sheet, cells, found, beside, titled=cells is seen):
            piece.hidden = piece.hidden or hidden
            piece.path = path
            yield piece
    for note in [note for notes in beside.notes.values() for note in notes]:
        piece = _note(sheet, note)  # on a cell without text
        piece.hidden, piece.path = sheet.hidden, path
        yield piece
    for piece, anchor in sheet.drawn:
        piece.hidden, piece.path, piece.source = sheet.hidden, path, whole
        if anchor is not None:
            piece.source = _cell_place(sheet, *anchor)
        yield piece


def address(block: Block, cell: Cell | None = None) -> str:
    """Where a block of a spreadsheet, or one cell of its table, stands: `Sheet1!B3:F20`, `'My sheet'!C5`.

    "" for what stands in no cell, as the values of a chart do.
    """
    if block.source is None or block.source.unit != "rows" or "!" not in block.source.part:
        return ""
    sheet, _, where = block.source.part.rpartition("!")
    if cell is None:
        return block.source.part
    if ":" not in where:
        return ""  # a chart, which hangs on one cell and is made of none
    ranges = [parse_range(one) for one in where.split(",")]
    rows = _place(sorted({(top, bottom) for top, _, bottom, _ in ranges}), cell.row)
    columns = _place(sorted({(left, right) for _, left, _, right in ranges}), cell.column)
    return f"{sheet}!{cell_name(rows, columns)}"


def cell_range(block: Block, cells: Sequence[Cell]) -> Place | None:
    """From the first to the last row and column of a spreadsheet that `cells` of a table stand in, if it is of one."""
    named = [name for cell in cells if (name := address(block, cell))]
    if not named:
        return None
    sheet = named[0].rpartition("!")[0]
    places = [parse_range(name.rpartition("!")[2]) for name in named]
    top, left = min(place[0] for place in places), min(place[1] for place in places)
    bottom, right = max(place[2] for place in places), max(place[3] for place in places)
    first, last = cell_name(top, left), cell_name(bottom, right)
    where = first if first == last else f"{first}:{last}"
    return Place(top, bottom + 1, "rows", f"{sheet}!{where}")


def cell_name(row: int, column: int) -> str:
    """`B3` for row 2, column 1."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def column_number(letters: str) -> int:
    """27 for `AB`."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def parse_range(text: str) -> Range:
    """First row, first column, last row and last column of `B3:F20`. Raises ValueError for what is none."""
    found = _RANGE.fullmatch(text.replace("$", ""))
    if found is None:
        raise ValueError(text[:40])
    left, top, right, bottom = found.groups()
    first = int(top) - 1, column_number(left)
    last = (int(bottom) - 1, column_number(right)) if right else first
    return min(first[0], last[0]), min(first[1], last[1]), max(first[0], last[0]), max(first[1], last[1])


def quoted(name: str) -> str:
    """A sheet's name as it stands before the `!` of an address."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) else "'" + name.replace("'", "''") + "'"


def _place(runs: Sequence[tuple[int, int]], number: int) -> int:
    for first, last in runs:
        if number <= last - first:
            return first + number
        number -= last - first + 1
    raise AssertionError(number)


def _apart(sheet: Sheet) -> tuple[dict[int, dict[int, str]], dict[int, dict[int, str]]]:
    """The cells that are seen and those that are not."""
    covered = _covered(sheet)
    if not (sheet.hidden_rows or sheet.hidden_columns or sheet.hidden_cells or covered):
        return sheet.rows, {}
    columns = _Runs(sheet.hidden_columns)
    seen: dict[int, dict[int, str]] = {}
    unseen: dict[int, dict[int, str]] = {}
    for row, cells in sheet.rows.items():
        if row in sheet.hidden_rows:
            unseen[row] = cells
            continue
        for column, text in cells.items():
            hide = column in columns or (row, column) in sheet.hidden_cells or (row, column) in covered
            (unseen if hide else seen).setdefault(row, {})[column] = text
    return seen, unseen


def _sound(sheet: Sheet) -> list[Range]:
    """The merged ranges, ascending. Raises ReadError limit_exceeded where they overlap beyond all reason.

    No program writes ranges that overlap; those that do not reach every row at most once in each column.
    """
    rows = sorted(sheet.rows)
    if not rows:
        return []
    reach = 0
    for top, left, bottom, right in sheet.merged:
        reach += bisect_right(rows, bottom) - bisect_right(rows, top - 1) + min(right - left, MAX_COLUMNS) // 100
        if reach > _MAX_REACH:
            remedy = "They overlap: save the file again."
            holder = f"Sheet {sheet.name!r}"
            raise over(holder, reach, "rows that merged cells reach", _MAX_REACH, remedy, seen=True)
    return sorted(sheet.merged)


def _covered(sheet: Sheet) -> set[tuple[int, int]]:
    """Cells with text that a merged cell covers: no program shows them."""
    covered: set[tuple[int, int]] = set()
    rows = sorted(sheet.rows) if sheet.merged else []
    for top, left, bottom, right in sheet.merged:
        for row in rows[bisect_left(rows, top) : bisect_right(rows, bottom)]:
            cells = sheet.rows[row]
            if len(cells) <= right - left:
                covered.update((row, column) for column in cells if left <= column <= right)
            else:
                covered.update((row, column) for column in range(left, right + 1) if column in cells)
        covered.discard((top, left))
    return covered


class _Runs:
    """Membership in runs of numbers, whose number may be large and their length huge."""

    def __init__(self, runs: Iterable[tuple[int, int]]) -> None:
        self._runs = sorted(runs)
        self._starts = [first for first, _ in self._runs]

    def __contains__(self, number: object) -> bool:
        assert isinstance(number, int)
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and self._runs[place][1] >= number


class _Beside:
    """What belongs to cells without being their text, by row, so that a table finds its own at once."""

    def __init__(self, sheet: Sheet, max_cells: int) -> None:
        self.max_cells = max_cells
        self.stored = _by_row(sheet.stored)
        self.links = _by_row(sheet.links)
        self.notes: dict[int, list[Note]] = {}
        for note in sheet.notes:
            self.notes.setdefault(note.row, []).append(note)
        self.headers: dict[int, list[tuple[Range, int]]] = {}
        for where, count in (*sheet.tables, *((one, 1) for one in sheet.filtered)):
            self.headers.setdefault(where[0], []).append((where, count))


def _by_row(cells: Mapping[tuple[int, int], str]) -> dict[int, dict[int, str]]:
    rows: dict[int, dict[int, str]] = {}
    for (row, column), text in cells.items():
        rows.setdefault(row, {})[column] = text
    return rows


def _kept(found: Iterable[Island], cells: _Cells) -> Iterator[Island]:
    """What is left of the tables when only `cells` are there."""
    for rows, columns in found if cells else ():
        across = set(columns)
        held = [row for row in rows if row in cells and not across.isdisjoint(cells[row])]
        if held:
            yield held, sorted({column for row in held for column in cells[row] if column in across})


def _blocks(sheet: Sheet, cells: _Cells, found: Sequence[Island], beside: _Beside, *, titled: bool) -> Iterator[Piece]:
    """Tables, paragraphs and notes of the given cells, which are in the islands `found`; with captions if `titled`."""
    waiting: tuple[int, int] | None = None  # a lone cell that is the caption of the next table
    for number, (rows, columns) in enumerate(found):
        first = rows[0], columns[0]
        if len(rows) == len(columns) == 1:
            following = found[number + 1] if number + 1 < len(found) else None
            if (
                titled
                and waiting is None
                and following is not None
                and _is_caption(cells[rows[0]][columns[0]], first, following)
            ):
                waiting = first
                continue
            yield _paragraph(sheet, cells, *first)
        elif len(columns) == 1 and _is_prose([cells[row][columns[0]] for row in rows]):
            for row in rows:
                yield _paragraph(sheet, cells, row, columns[0])
        else:
            yield from _table(sheet, cells, rows, columns, caption=waiting, beside=beside, titled=titled)
            if waiting is not None:
                yield from _notes(sheet, beside, [waiting[0]], [waiting[1]])
            waiting = None
        yield from _notes(sheet, beside, rows, columns)


def _notes(sheet: Sheet, beside: _Beside, rows: Sequence[int], columns: Sequence[int]) -> Iterator[Piece]:
    """The notes on these cells; each comes once."""
    across = set(columns)
    for row in rows if beside.notes else ():
        held = beside.notes.get(row, [])
        for note in [note for note in held if note.column in across]:
            held.remove(note)
            yield _note(sheet, note)


def _is_caption(text: str, place: tuple[int, int], following: tuple[Sequence[int], Sequence[int]]) -> bool:
    rows, columns = following
    near = 0 < rows[0] - place[0] <= 2 and columns[0] - 1 <= place[1] <= columns[-1]
    return near and len(rows) > 1 and len(columns) > 1 and any(map(str.isalpha, text))


def _is_prose(texts: Sequence[str]) -> bool:
    """Whether cells below each other are lines of text and no list of values."""
    return sum(map(len, texts)) > 40 * len(texts) or len(texts) < 3


def _paragraph(sheet: Sheet, cells: _Cells, row: int, column: int) -> Piece:
    text = cells[row][column]
    stored = sheet.stored.get((row, column))
    link = sheet.links.get((row, column))
    return Piece(
        BlockKind.PARAGRAPH,
        f"{text} ({stored})" if stored else text,
        source=_cell_place(sheet, row, column),
        links=((0, len(text), link),) if link else (),
    )


def _note(sheet: Sheet, note: Note) -> Piece:
    by = f" by {note.author}" if note.author else ""
    said = f"Note on {cell_name(note.row, note.column)}{by}: {note.text}"
    return Piece(BlockKind.PARAGRAPH, said, source=_cell_place(sheet, note.row, note.column))


def _cell_place(sheet: Sheet, row: int, column: int) -> Place:
    return Place(row, row + 1, "rows", f"{quoted(sheet.name)}!{cell_name(row, column)}")


def _table(
    sheet: Sheet,
    cells: _Cells,
    rows: Sequence[int],
    columns: Sequence[int],
    *,
    caption: tuple[int, int] | None,
    beside: _Beside,
    titled: bool,
) -> Iterator[Piece]:
    if titled and caption is None and len(rows) > 2:
        # A title in the first row, alone: it says what the table is and names no column.
        top = [column for column in columns if column in cells[rows[0]]]
        below = sum(column in cells[rows[1]] for column in columns)
        above = within(sheet.merged, rows[0], rows[0]) if len(top) == 1 else ()
        spread = next((one for one in above if one[1] == top[0]), None)
        alone = len(top) == 1 and below > 1 and (spread is None or spread[2] == rows[0])
        if alone and top[0] <= columns[-1] and any(map(str.isalpha, cells[rows[0]][top[0]])):
            caption = rows[0], top[0]
            rows = rows[1:]
    if len(rows) * len(columns) > beside.max_cells:
        raise too_many_cells(len(rows) * len(columns), beside.max_cells)
    texts: list[list[str | None]] = []
    for row in rows:
        held = cells[row]
        texts.append([held.get(column) for column in columns])
    merged = _merged(within(sheet.merged, rows[0], rows[-1]), rows, columns)
    links = {
        (number, at): [(0, len(text), link)]
        for number, row in enumerate(rows if beside.links else ())
        for column, link in beside.links.get(row, {}).items()
        if (text := cells[row].get(column)) and (at := _index(columns, column)) is not None
    }
    part = f"{quoted(sheet.name)}!{_reference(rows, columns)}"
    place = Place(rows[0], rows[-1] + 1, "rows", part)
    header = _known_header(sheet, beside, rows, columns)
    table = Table(
        texts,
        header_rows=header_rows(texts, merged) if header is None else header,
        merged=merged,
        links=links,
    )
    piece = Piece(BlockKind.TABLE, table=table, source=place)
    if caption is not None:
        piece.caption, piece.caption_source = cells[caption[0]][caption[1]], _cell_place(sheet, *caption)
    yield piece
    if beside.stored:
        across = set(columns)
        stored = [
            f"{cell_name(row, column)} = {text}"
            for row in rows
            for column, text in beside.stored.get(row, {}).items()
            if column in across and column in cells[row]
        ]
        for start in range(0, len(stored), _LIST):
            said = "; ".join(stored[start : start + _LIST])
            yield Piece(BlockKind.PARAGRAPH, f"Values as stored: {said}.", source=place, hidden=start > 0)


def _known_header(sheet: Sheet, beside: _Beside, rows: Sequence[int], columns: Sequence[int]) -> int | None:
    """How many rows the file itself says are headers: of a table, above a filter, frozen in place."""
    for (_, left, _, right), count in beside.headers.get(rows[0], ()):
        if left <= columns[-1] and right >= columns[0]:
            return count
    if rows[0] < sheet.frozen_rows <= rows[-1] and sheet.frozen_rows - rows[0] <= 5:
        return sum(row < sheet.frozen_rows for row in rows[:5])
    return None


def _merged(
    ranges: Iterable[Range], rows: Sequence[int], columns: Sequence[int]
) -> dict[tuple[int, int], tuple[int, int]]:
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    for top, left, bottom, right in ranges:
        row, column = _index(rows, top), _index(columns, left)
        if row is None or column is None:
            continue
        reach = bisect_right(rows, bottom) - row, bisect_right(columns, right) - column
        if reach != (1, 1):
            merged[row, column] = reach
    return merged


def _index(numbers: Sequence[int], number: int) -> int | None:
    place = bisect_right(numbers, number) - 1
    return place if place >= 0 and numbers[place] == number else None


def _reference(rows: Sequence[int], columns: Sequence[int]) -> str:
    """The ranges that rows and columns make up, as `A1:C3,A5:C9`."""
    ranges = []
    for top, bottom in _runs(rows):
        for left, right in _runs(columns):
            ranges.append(f"{cell_name(top, left)}:{cell_name(bottom, right)}")
    return ",".join(ranges)


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    breaks = [place for place, (a, b) in enumerate(pairwise(numbers), 1) if b - a > 1]
    return [(numbers[a], numbers[b - 1]) for a, b in pairwise([0, *breaks, len(numbers)])]
