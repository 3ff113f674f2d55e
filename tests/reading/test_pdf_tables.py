"""Tables drawn here in many looks, whose cells are known, and pages that hold none."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from citewell.reading.pdf import PdfReader
from citewell.reading.pdf_columns import by_columns
from citewell.reading.pdf_doubt import is_chart, is_list
from citewell.reading.pdf_grid import Word, is_value, ruled
from citewell.reading.pdf_lines import Line, Lines
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_tables import worth
from citewell.reading.pdf_turned import Turned
from citewell.reading.tables import CellText
from citewell.types import Block, BlockKind, Document, Source

FONT, SIZE, LEAD, PAD = "Helvetica", 9, 11, 4
WIDTHS = (150, 70, 70, 70)
PROSE = (
    "The office counted what each region had spent on water and on roads, and set it beside the year before. "
    "Where a region had sent no account the office wrote to it again, and those that answered late are marked."
)

NUMBERS = [
    ["Region", "Water", "Roads", "Change"],
    ["North", "1,204", "310.5", "(2.1%)"],
    ["South and islands", "88", "12.0", "4.0%"],
    ["East", "-", "7.25", "11.3%"],
    ["West", "15,000", "940.1", "0.2%"],
]
WRAPPED = [
    ["Item", "First", "Second", "Third"],
    ["Grants to regions", "120", "95", "101"],
    ["Loans to companies owned by several regions jointly", "8", "7", "12"],
    ["Interest", "1,310", "1,402", "1,288"],
    ["Repairs", "44", "39", "57"],
]
SECTIONS = [
    ["Account", "First", "Second", "Third"],
    ["Income:", "", "", ""],
    ["Taxes", "900", "910", "935"],
    ["Fees", "31", "28", "40"],
    ["Spending:", "", "", ""],
    ["Salaries", "410", "402", "422"],
    ["Buildings", "77", "81", "64"],
]


def wrapped(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if stringWidth(longer, FONT, SIZE) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw_table(canvas: Canvas, rows: Sequence[Sequence[str]], look: str, x: float = 72, y: float = 600) -> None:
    """Look: `grid`, `frame` (lines around and under the head alone), `booktabs`, `rules` under each row, or `bare`."""
    canvas.setFont(FONT, SIZE)
    lefts = [x + sum(WIDTHS[:column]) for column in range(len(WIDTHS) + 1)]
    tops = [y]
    for row in rows:
        lines = [wrapped(text, width - 2 * PAD) for text, width in zip(row, WIDTHS, strict=True)]
        for column, texts in enumerate(lines):
            for number, text in enumerate(texts):
                at = tops[-1] - SIZE - 2 - LEAD * number
                if column:
                    canvas.drawRightString(lefts[column + 1] - PAD, at, text)
                else:
                    canvas.drawString(lefts[column] + PAD, at, text)
        tops.append(tops[-1] - LEAD * max(map(len, lines)) - 4)
    across = {"grid": tops, "frame": [tops[0], tops[1], tops[-1]], "rules": tops}.get(look, [])
    across = [tops[0], tops[1], tops[-1]] if look == "booktabs" else across
    for top in across:
        canvas.line(lefts[0], top, lefts[-1], top)
    for left in lefts if look in {"grid", "frame"} else []:
        canvas.line(left, tops[0], left, tops[-1])


def write(canvas: Canvas, text: str, *, x: float = 72, y: float = 700, width: float = 450) -> float:
    canvas.setFont(FONT, SIZE)
    for line in wrapped(text, width):
        canvas.drawString(x, y, line)
        y -= LEAD
    return y


def page_with(rows: Sequence[Sequence[str]], look: str) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        write(canvas, PROSE)
        draw_table(canvas, rows, look)
        write(canvas, PROSE, y=400)

    return draw


def read(*pages: Callable[[Canvas], None]) -> Document:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return PdfReader().read(Source("tables.pdf", buffer.getvalue()))


def tables(document: Document) -> list[Block]:
    return [block for block in document.blocks if block.kind is BlockKind.TABLE]


def filled(document: Document, table: Block) -> dict[tuple[int, int], str]:
    cells = {(cell.row, cell.column): cell.span.of(document.text) for cell in table.cells}
    return {place: text for place, text in cells.items() if text}


def expected(rows: Sequence[Sequence[str]]) -> dict[tuple[int, int], str]:
    return {(r, c): text for r, row in enumerate(rows) for c, text in enumerate(row) if text}


@pytest.mark.parametrize("look", ["grid", "frame", "booktabs", "rules", "bare"])
@pytest.mark.parametrize("rows", [NUMBERS, WRAPPED, SECTIONS], ids=["numbers", "wrapped", "sections"])
def test_table_of_any_look_has_the_cells_that_were_drawn(rows: list[list[str]], look: str) -> None:
    document = read(page_with(rows, look))
    (table,) = tables(document)
    assert filled(document, table) == expected(rows)


@pytest.mark.parametrize("look", ["grid", "bare"])
def test_cells_know_where_they_stand(look: str) -> None:
    document = read(page_with(NUMBERS, look))
    (table,) = tables(document)
    boxes = {
        (cell.row, cell.column): cell.region.box for cell in table.cells if cell.region is not None and cell.region.box
    }
    assert len(boxes) == 20
    for (row, column), (x0, y0, x1, y1) in boxes.items():
        assert 71 <= x0 < x1 <= 72 + sum(WIDTHS) + 1
        assert 842 - 601 <= y0 < y1 <= 842 - 500
        if (row, column + 1) in boxes:
            assert x1 <= boxes[row, column + 1][0] + 1
        if (row + 1, column) in boxes:
            assert y1 <= boxes[row + 1, column][1] + 3


def test_text_around_tables_stays_text_in_its_order() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, "Spending was as follows in the year under review.", y=700)
        draw_table(canvas, NUMBERS, "grid", y=680)
        write(canvas, "A year before that, accounts were kept by item.", y=590)
        draw_table(canvas, WRAPPED, "grid", y=570)
        write(canvas, "Both were audited.", y=440)

    document = read(draw)
    shown = [(block.kind, block.span.of(document.text)[:12]) for block in document.blocks]
    assert shown == [
        (BlockKind.PARAGRAPH, "Spending was"),
        (BlockKind.TABLE, "Region | Wat"),
        (BlockKind.PARAGRAPH, "A year befor"),
        (BlockKind.TABLE, "Item | First"),
        (BlockKind.PARAGRAPH, "Both were au"),
    ]


@pytest.mark.parametrize("degrees", [90, 270])
def test_table_set_sideways_is_read_as_if_upright_and_its_boxes_are_on_the_page(degrees: int) -> None:
    def draw(canvas: Canvas) -> None:
        if degrees == 270:
            canvas.translate(595, 0)
            canvas.rotate(90)
        else:
            canvas.translate(0, 842)
            canvas.rotate(-90)
        draw_table(canvas, NUMBERS, "grid", y=400)

    document = read(draw)
    (table,) = tables(document)
    assert filled(document, table) == expected(NUMBERS)
    for cell in table.cells:
        assert cell.region is not None
        assert cell.region.box is not None
        x0, y0, x1, y1 = cell.region.box
        assert 0 < x0 < x1 < 595
        assert 0 < y0 < y1 < 842


def test_page_that_is_shown_turned_has_its_lines_turned_too() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        canvas.translate(595, 0)
        canvas.rotate(90)
        draw_table(canvas, SECTIONS, "grid", y=400)

    document = read(draw)
    (table,) = tables(document)
    assert filled(document, table) == expected(SECTIONS)


def test_cell_that_reaches_over_others_says_so() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont(FONT, SIZE)
        canvas.rect(72, 540, 300, 60)
        for y in (560, 580):
            canvas.line(72 if y == 560 else 172, y, 372, y)
        canvas.line(172, 540, 172, 600)
        canvas.line(272, 540, 272, 580)
        for x, y, text in (
            (80, 575, "Kind"), (240, 586, "Last year"), (180, 566, "Paid"), (280, 566, "Owed"),
            (80, 546, "Rent"), (180, 546, "120"), (280, 546, "14"),
        ):  # fmt: skip
            canvas.drawString(x, y, text)

    document = read(draw)
    (table,) = tables(document)
    spans = {
        cell.span.of(document.text): (cell.row, cell.column, cell.row_span, cell.column_span) for cell in table.cells
    }
    assert spans == {
        "Kind": (0, 0, 2, 1),
        "Last year": (0, 1, 1, 2),
        "Paid": (1, 1, 1, 1),
        "Owed": (1, 2, 1, 1),
        "Rent": (2, 0, 1, 1),
        "120": (2, 1, 1, 1),
        "14": (2, 2, 1, 1),
    }


def columns(canvas: Canvas) -> None:
    for x in (60, 310):
        write(canvas, f"{PROSE} " * 8, x=x, y=760, width=225)


def listed(canvas: Canvas) -> None:
    y = 760.0
    for number in range(1, 12):
        canvas.drawString(72, y, f"{number}.")
        y = write(canvas, PROSE if number % 3 else "Sent back.", x=96, y=y, width=420) - 4


def boxed(canvas: Canvas) -> None:
    write(canvas, PROSE, y=760)
    canvas.rect(66, 560, 462, 150)
    write(canvas, f"{PROSE} " * 4, y=690)


def justified(canvas: Canvas) -> None:
    y = 760.0
    for line in wrapped(f"{PROSE} " * 10, 200):
        words = line.split()
        gap = (215 - sum(stringWidth(word, FONT, SIZE) for word in words)) / max(len(words) - 1, 1)
        x = 72.0
        for word in words:
            canvas.drawString(x, y, word)
            x += stringWidth(word, FONT, SIZE) + min(gap, 12)
        y -= LEAD


def chart(canvas: Canvas) -> None:
    write(canvas, PROSE, y=760)
    for number in range(9):
        y = 400 + 30 * number
        canvas.drawRightString(95, y - 3, str(50 * number))
        canvas.line(100, y, 500, y)
        canvas.drawCentredString(120 + 45 * number, 385, str(2001 + number))
        canvas.rect(110 + 45 * number, 400, 20, 17 * number + 9)


@pytest.mark.parametrize("page", [columns, listed, boxed, justified, chart])
def test_page_without_a_table_has_none(page: Callable[[Canvas], None]) -> None:
    assert not tables(read(page))


def test_box_around_text_is_text() -> None:
    document = read(boxed)
    assert document.text.count("set it beside the year before") == 5


def words(*texts: tuple[float, float, str]) -> list[Word]:
    return [Word(x, y, 5.0 * len(text), 10, text, number) for number, (x, y, text) in enumerate(texts)]


def test_rows_without_lines_between_them_are_parted_by_their_figures() -> None:
    lines = Lines([Line(y, 0, 200) for y in (0, 20, 80)], [Line(x, 0, 80) for x in (0, 100, 200)])
    (grid,) = ruled(
        lines,
        words(
            (5, 5, "Place"), (105, 5, "Cost"),
            (5, 25, "Bonn"), (105, 25, "12"), (5, 40, "Kiel"), (105, 40, "7.5"), (5, 55, "Ulm"), (105, 55, "-"),
        ),
    )  # fmt: skip
    assert [(p.row, p.column, p.words[0].text) for p in grid.places] == [
        (0, 0, "Place"), (0, 1, "Cost"), (1, 0, "Bonn"), (1, 1, "12"), (2, 0, "Kiel"), (2, 1, "7.5"), (3, 0, "Ulm"),
        (3, 1, "-"),
    ]  # fmt: skip


def test_lines_of_a_heading_are_one_row() -> None:
    lines = Lines([Line(y, 0, 200) for y in (0, 40, 60)], [Line(x, 0, 60) for x in (0, 100, 200)])
    (grid,) = ruled(
        lines,
        words((5, 5, "to"), (105, 5, "to"), (5, 20, "air"), (105, 20, "water"), (5, 45, "10"), (105, 45, "20")),
    )
    assert grid.rows == 2


def test_heading_over_two_columns_reaches_over_both() -> None:
    grid = by_columns(
        words(
            (150, 0, "Sold"), (300, 0, "Held"),
            (0, 15, "Year"), (120, 15, "now"), (190, 15, "then"), (270, 15, "now"), (340, 15, "then"),
            *((x, y, text) for y in (30, 45, 60) for x, text in ((0, "Name"), (120, "1.5"), (190, "22"), (270, "3"),
                                                                  (340, "41"))),
        )
    )  # fmt: skip
    assert grid is not None
    spans = {p.words[0].text: (p.column, p.last_column) for p in grid.places if p.row == 0}
    assert spans == {"Sold": (1, 3), "Held": (3, 5)}


def test_heading_by_itself_is_not_cut_where_a_space_meets_a_strip() -> None:
    rows = [
        (x, y, text) for y in (30, 45, 60) for x, text in ((0, "Name"), (120, "1.50"), (158, "22.5"), (196, "3.25"))
    ]
    head = [(130, 0, "Year"), (153, 0, "ended"), (182, 0, "on"), (196, 0, "31st")]
    years = [(0, 15, "Item"), (120, 15, "2015"), (158, 15, "2014"), (196, 15, "2013")]
    grid = by_columns(words(*head, *years, *rows))
    assert grid is not None
    assert [[word.text for word in p.words] for p in grid.places if p.row == 0] == [["Year", "ended", "on", "31st"]]


def test_text_without_strips_is_no_table() -> None:
    line = ["the", "quick", "brown", "fox", "jumps", "over", "one", "lazy", "dog", "and", "another"]
    placed = []
    for row in range(6):
        x = 0.0
        for word in line[row:] + line[:row]:
            placed.append((x, 15.0 * row, word))
            x += 5.0 * len(word) + 4
    assert by_columns(words(*placed)) is None


@pytest.mark.parametrize("text", ["12", "1 234.5", "(3.1%)", "$5", "-", "–", "12 (4.5%)", "0.45***", "n/a", "1990-95"])
def test_figures_are_values(text: str) -> None:
    assert is_value(text)


@pytest.mark.parametrize("text", ["Total", "1 2 3 4", "12 months", "Q1 2010", "", "Table 3"])
def test_words_are_not_values(text: str) -> None:
    assert not is_value(text)


def piece(*rows: Sequence[str]) -> PagePiece:
    cells = tuple(CellText(r, c, text) for r, row in enumerate(rows) for c, text in enumerate(row))
    return PagePiece(BlockKind.TABLE, "", 1, (0, 0, 1, 1), cells=cells)


def test_a_ruled_table_of_nothing_but_even_steps_is_a_table() -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True)
    canvas.grid([320, 396, 472], [700 - 16 * row for row in range(9)])
    for row in range(8):
        canvas.drawRightString(390, 688 - 16 * row, f"{200 * (row + 1)}.01")
        canvas.drawRightString(468, 688 - 16 * row, str(2 * row + 1))
    canvas.save()
    document = PdfReader(ocr="none").read(Source("a.pdf", buffer.getvalue()))
    (table,) = document.blocks
    texts = [cell.span.of(document.text) for cell in table.cells]
    assert texts == [text for row in range(8) for text in (f"{200 * (row + 1)}.01", str(2 * row + 1))]


def test_axes_are_a_chart_and_years_and_counts_are_not() -> None:
    assert is_chart(piece(*([str(value), "Spain"] for value in range(0, 300, 50))))
    assert not is_chart(piece(*([str(year), "Spain"] for year in range(1990, 2020, 5))))
    assert not is_chart(piece(*([str(rank), "Spain"] for rank in range(1, 9))))
    assert not is_chart(piece(*([str(10 * row), str(row * row)] for row in range(8))))


def test_labels_and_long_texts_are_a_list_and_names_with_figures_are_not() -> None:
    assert is_list(piece(["(a)", PROSE], ["(b)", PROSE]))
    assert is_list(piece(["NB:", PROSE], ["Source:", PROSE]))
    assert not is_list(piece(["Rent:", "120"], ["Food:", "88"]))
    assert not is_list(piece(["Water", PROSE], ["Roads", PROSE]))


def test_table_with_several_figures_in_a_cell_is_worth_less() -> None:
    good = [(r, c, 1, text) for r, row in enumerate(NUMBERS) for c, text in enumerate(row)]
    crowded = [(0, 0, 1, "Region"), (0, 1, 1, "Water"), (1, 0, 1, "North South"), (1, 1, 1, "1,204 88 15,000")]
    assert worth(good, 5, 4) == 1.0
    assert worth(crowded, 2, 2) < 0.6


@pytest.mark.parametrize("angle", [0, 90, 270])
def test_turned_boxes_turn_back(angle: int) -> None:
    turned = Turned(angle, 595, 842)
    item: Any = SimpleNamespace(x=100.0, y=200.0, width=8.0, height=40.0, text="word")
    word = turned.word(item, 3)
    assert turned.back((word.x, word.y, word.x + word.width, word.y + word.height)) == (100, 200, 108, 240)
    assert turned.back(turned.box((1, 2, 3, 4))) == (1, 2, 3, 4)
