"""Running text between two tables that a layout parser took for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from citewell.reading.pdf_grid import Word
from citewell.reading.pdf_layout import Item
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_prose import without_prose
from citewell.reading.tables import CellText
from citewell.types import BlockKind, Region

PROSE = [
    "Rating agencies look at a company from time to time, and so what they say of it here may",
    "be taken back by any of them on any day; what a loan costs depends upon what they say of",
    "the company.",
    "In the year to come we mean to spend more on new stores than in the one before it, and on",
    "what is needed for them less.",
]


def cell(row: int, column: int, text: str, top: float, bottom: float) -> CellText:
    x = 20.0 + 200 * column
    return CellText(row, column, text, region=Region(1, (x, top, x + 150, bottom)))


def item(text: str, x: float, y: float) -> Any:
    return Item(
        SimpleNamespace(x=x, y=y, width=5.0 * len(text), height=10.0, rotation=0.0, font_size=10.0, mcid=None), text
    )


def merged() -> tuple[PagePiece, list[Any], list[Word]]:
    items = [item(text, 20.0 + 200 * column, 100.0 + 14 * row) for row in range(2) for column, text in ((0, "Moody's"), (2, "Baa1"))]  # fmt: skip  # noqa: E501
    tops = [140.0, 152.0, 164.0, 190.0, 202.0]
    items += [item(text, 20.0, top) for text, top in zip(PROSE, tops, strict=True)]
    items += [item(text, 20.0 + 200 * column, 230.0 + 14 * row) for row in range(2) for column, text in ((0, "Stores"), (2, "5"))]  # fmt: skip  # noqa: E501
    cells = [cell(row, column, text, 100.0 + 14 * row, 110.0 + 14 * row) for row in range(2) for column, text in ((0, "Moody's"), (2, "Baa1"))]  # fmt: skip  # noqa: E501
    cells += [cell(2, column, "torn apart", 140.0, 212.0) for column in range(3)]
    cells += [cell(3 + row, column, text, 230.0 + 14 * row, 240.0 + 14 * row) for row in range(2) for column, text in ((0, "Stores"), (2, "5"))]  # fmt: skip  # noqa: E501
    words = [Word(one.x, one.y, one.width, one.height, one.text, number) for number, one in enumerate(items)]
    return PagePiece(BlockKind.TABLE, "", 1, (20.0, 100.0, 580.0, 254.0), cells=tuple(cells)), items, words


def test_text_between_two_tables_stands_between_them_as_paragraphs() -> None:
    made = without_prose(*merged())
    assert [piece.kind for piece in made] == [
        BlockKind.TABLE,
        BlockKind.PARAGRAPH,
        BlockKind.PARAGRAPH,
        BlockKind.TABLE,
    ]
    assert made[1].text == " ".join(PROSE[:3])
    assert made[2].text == " ".join(PROSE[3:])
    assert [(one.row, one.text) for one in made[3].cells] == [(0, "Stores"), (0, "5"), (1, "Stores"), (1, "5")]


def test_a_table_without_text_stays_as_it_is() -> None:
    piece, items, words = merged()
    short = [word for word in words if len(word.text) < 60]
    assert without_prose(piece, items, short) == [piece]
