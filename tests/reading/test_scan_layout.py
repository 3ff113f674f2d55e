"""Reading order, tables, headings and lists made of recognised lines, whatever recognised them."""

from __future__ import annotations

import math

import pytest

from citewell.reading.ocr import Line, Point, Word
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.scan import doubts
from citewell.reading.scan_layout import pieces_of
from citewell.types import BlockKind

SIZE = (800, 1000)


def line(text: str, x: float, y: float, *, height: float = 20, char: float = 9, degrees: float = 0) -> Line:
    """A line of `text` whose upper left corner is at (x, y), the whole page turned by `degrees`."""
    width = char * len(text)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def turned(px: float, py: float) -> Point:
        return px * cos - py * sin, px * sin + py * cos

    quad = (turned(x, y), turned(x + width, y), turned(x + width, y + height), turned(x, y + height))
    words: list[Word] = []
    at = 0
    for word in text.split(" "):
        words.append(Word(word, at / len(text), (at + len(word)) / len(text)))
        at += len(word) + 1
    return Line(text, quad, 0.98, tuple(words))


def layout(lines: list[Line], rules: list[tuple[Point, Point]] | None = None) -> list[PagePiece]:
    def place(quad: tuple[Point, ...]) -> tuple[float, float, float, float]:
        xs, ys = [x for x, _ in quad], [y for _, y in quad]
        return min(xs), min(ys), max(xs), max(ys)

    return pieces_of(lines, rules or [], SIZE, 1, place)


def table_of(pieces: list[PagePiece]) -> dict[tuple[int, int], str]:
    (table,) = (piece for piece in pieces if piece.kind is BlockKind.TABLE)
    return {(cell.row, cell.column): cell.text for cell in table.cells}


PROSE = "the quick brown fox jumps over it"  # as long as a line of a narrow column


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("degrees", [0, 1.5, 90, 180, 270])
def test_columns_are_read_one_after_the_other_between_what_spans_them(columns: int, degrees: float) -> None:
    width = 330 if columns == 2 else 320
    lines = [line("A title that reaches over all columns of the page, and more of it", 0, 0, height=34, char=14)]
    for column in range(columns):
        for row in range(8):
            lines.append(line(f"c{column}r{row} {PROSE}"[:34], column * width, 80 + 28 * row))
    lines.append(line("A note below that reaches over all of the columns of the page " + PROSE, 0, 340))
    text = "\n".join(piece.text for piece in layout([*lines[1:], lines[0]], None if degrees else []))
    turned = [
        Line(one.text, line_turned.quad, one.confidence, one.words)
        for one, line_turned in ((one, turn(one, degrees)) for one in lines)
    ]
    text = "\n".join(piece.text for piece in layout(turned))
    marks = [f"c{column}r{row}" for column in range(columns) for row in range(8)]
    places = [text.index("A title"), *(text.index(mark) for mark in marks), text.index("A note")]
    assert places == sorted(places)


def turn(one: Line, degrees: float) -> Line:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b, c, d = ((x * cos - y * sin, x * sin + y * cos) for x, y in one.quad)
    return Line(one.text, (a, b, c, d), one.confidence, one.words)


ROWS = [
    ["Plan", "Fee", "Users", "Note"],
    ["Basic", "10.00", "5", ""],
    ["Pro", "25.50", "25", "popular"],
    ["Max", "", "500", "x"],
]


def test_aligned_columns_are_a_table_with_its_header_and_empty_cells() -> None:
    lines = [line(t, 20 + 150 * c, 100 + 30 * r) for r, row in enumerate(ROWS) for c, t in enumerate(row) if t]
    pieces = layout(
        [
            line("Prices hold for all customers of the company.", 20, 20),
            *lines,
            line("All prices in euro, taxes are not in them.", 20, 300),
        ]
    )
    assert [piece.kind for piece in pieces] == [BlockKind.PARAGRAPH, BlockKind.TABLE, BlockKind.PARAGRAPH]
    assert table_of(pieces) == {(r, c): t for r, row in enumerate(ROWS) for c, t in enumerate(row) if t}
    assert [cell.header for cell in pieces[1].cells] == [cell.row == 0 for cell in pieces[1].cells]
    (cell,) = (cell for cell in pieces[1].cells if cell.text == "25.50")
    assert cell.region is not None
    assert cell.region.box == (170, 160, 215, 180)


def test_cells_run_together_by_the_recognition_are_parted_at_the_gaps() -> None:
    lines = [
        line(t, 20 + 200 * c, 100 + 30 * r) for r in range(4) for c, t in enumerate([f"item{r}", f"{r}0", f"{r}.99"])
    ]
    together = line(f"item9{' ' * 17}90{' ' * 20}9.99", 20, 220)
    words = (Word("item9", 0, 0.1), Word("90", 200 / 432, 218 / 432), Word("9.99", 400 / 432, 1))
    pieces = layout([*lines, Line("item9 90 9.99", together.quad, 0.9, words)])
    assert table_of(pieces)[4, 0] == "item9"
    assert table_of(pieces)[4, 1] == "90"
    assert table_of(pieces)[4, 2] == "9.99"


def test_a_second_line_in_a_cell_belongs_to_the_row_above() -> None:
    lines: list[Line] = []
    for r in range(4):
        lines += [
            line(f"key{r}", 20, 100 + 70 * r),
            line(f"a value of {r}", 200, 100 + 70 * r),
            line(f"{r}", 500, 100 + 70 * r),
        ]
        lines.append(line("goes on below", 200, 122 + 70 * r))
    assert table_of(layout(lines))[2, 1] == "a value of 2 goes on below"


def test_ruled_cells_are_cells_even_when_they_span() -> None:
    # A header over two columns, as spreadsheets have it: no line between its halves.
    rules: list[tuple[Point, Point]] = [((0.0, y), (300.0, y)) for y in (0.0, 40.0, 80.0, 120.0)]
    rules += [
        ((0.0, 0.0), (0.0, 120.0)),
        ((300.0, 0.0), (300.0, 120.0)),
        ((100.0, 0.0), (100.0, 120.0)),
        ((200.0, 40.0), (200.0, 120.0)),
    ]
    lines = [line("Name", 10, 10), line("Both years", 120, 10)]
    lines += [
        line(t, 10 + 100 * c, 50 + 40 * r)
        for r, row in enumerate([["a", "1", "2"], ["b", "3", "4"]])
        for c, t in enumerate(row)
    ]
    pieces = layout(lines, rules)
    assert table_of(pieces) == {
        (0, 0): "Name",
        (0, 1): "Both years",
        (1, 0): "a",
        (1, 1): "1",
        (1, 2): "2",
        (2, 0): "b",
        (2, 1): "3",
        (2, 2): "4",
    }
    (wide,) = (cell for cell in pieces[0].cells if cell.text == "Both years")
    assert (wide.row_span, wide.column_span, wide.header) == (1, 2, True)


def test_a_frame_around_text_is_no_table() -> None:
    rules = [
        ((0.0, 0.0), (700.0, 0.0)),
        ((0.0, 200.0), (700.0, 200.0)),
        ((0.0, 0.0), (0.0, 200.0)),
        ((700.0, 0.0), (700.0, 200.0)),
    ]
    pieces = layout(
        [
            line("A framed note that says one thing in a line", 10, 20),
            line("and goes on in the next, which ends here.", 10, 46),
        ],
        rules,
    )
    assert [piece.kind for piece in pieces] == [BlockKind.PARAGRAPH]


def test_numbered_items_beside_their_numbers_are_a_list_and_no_table() -> None:
    lines: list[Line] = []
    for r in range(4):
        lines += [line(f"{r + 1}.", 20, 100 + 30 * r), line(f"Item number {r} is done with care.", 70, 100 + 30 * r)]
    pieces = layout(lines)
    assert [piece.kind for piece in pieces] == [BlockKind.LIST_ITEM] * 4
    assert pieces[2].text == "3. Item number 2 is done with care."


def test_larger_print_is_a_heading_and_lines_with_room_left_end_on_purpose() -> None:
    lines = [line("Where to write", 20, 10, height=40, char=18)]
    lines += [line(t, 20, 80 + 26 * r) for r, t in enumerate(["Ada Example", "12 Example Street, London"])]
    lines += [
        line(t, 20, 220 + 26 * r)
        for r, t in enumerate(
            ["This sentence fills its whole line and goes", "on in the next one, where it has its end."]
        )
    ]
    heading, address, sentence = layout(lines)
    assert heading.kind is BlockKind.HEADING
    assert address.text == "Ada Example\n12 Example Street, London"
    assert sentence.text == "This sentence fills its whole line and goes on in the next one, where it has its end."


def test_low_confidence_is_warned_of_with_its_pages() -> None:
    pieces = [PagePiece(BlockKind.PARAGRAPH, "x", page, None) for page in (1, 2, 3)]
    for piece, confidence in zip(pieces, (0.99, 0.5, None), strict=True):
        piece.confidence = confidence
    (warning,) = doubts(pieces)
    assert "1 block(s) on page 2" in warning
    assert doubts(pieces[:1]) == []
