"""Tables drawn with bars in plain text."""

from __future__ import annotations

from citewell.reading.text import TextReader
from citewell.types import BlockKind, Source

TABLE = """Revenue, in millions:

 |  | Years ended September 30, |
 | 2019 | 2018
Fixed price | 1,452.4 | 1,146.2
Other | 44.1 | 56.7

That was all."""


def read(text: str):
    return TextReader().read(Source("a.txt", text.encode()))


def test_rows_of_equally_many_cells_are_a_table_and_the_text_stays_as_it_is() -> None:
    document = read(TABLE.replace(" |  | Years", " |  Years").replace("30, |", "30, | "))
    assert [block.kind for block in document.blocks] == [BlockKind.PARAGRAPH, BlockKind.TABLE, BlockKind.PARAGRAPH]
    cells = document.blocks[1].cells
    held = {(cell.row, cell.column): cell.span.of(document.text) for cell in cells}
    assert held[2, 0] == "Fixed price"
    assert held[2, 2] == "1,146.2"
    assert {cell.row for cell in cells if cell.header} == {0, 1}
    assert document.text == TABLE.replace(" |  | Years", " |  Years").replace("30, |", "30, | ")


def test_a_frame_and_a_rule_are_no_cells() -> None:
    document = read("| Name | Age |\n|------|-----|\n| Ann | 5 |\n| Bob | 6 |")
    (table,) = document.blocks
    assert [cell.span.of(document.text) for cell in table.cells] == ["Name", "Age", "Ann", "5", "Bob", "6"]
    assert [cell.header for cell in table.cells] == [True, True, False, False, False, False]


def test_uneven_lines_and_single_lines_are_prose() -> None:
    assert [block.kind for block in read("a | b\nc | d | e").blocks] == [BlockKind.PARAGRAPH]
    assert [block.kind for block in read("left | right").blocks] == [BlockKind.PARAGRAPH]


def test_a_first_row_with_numbers_is_no_header() -> None:
    (table,) = read("2024-01-01 | INFO | started\n2024-01-02 | WARN | slow").blocks
    assert not any(cell.header for cell in table.cells)
