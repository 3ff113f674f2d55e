"""Cells with spans become rows: no text is lost, nothing blank is kept, and no span can ask for endless places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import ReadError
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import CellText, Places, grid
from citewell.types import BlockKind, Region

LISTED = st.lists(
    st.lists(st.tuples(st.sampled_from(["", " ", "a", "b c"]), st.integers(1, 4), st.integers(1, 4)), max_size=4),
    max_size=5,
)


def laid_out(listed: list[list[tuple[str, int, int]]]) -> list[CellText]:
    places = Places(len(listed))
    cells = []
    for row, named in enumerate(listed):
        for text, down, across in named:
            column, reach = places.take(row, down, across)
            cells.append(CellText(row, column, text, row_span=reach, column_span=across))
    return cells


@given(LISTED)
def test_every_text_of_a_table_stands_once_and_no_row_or_column_is_blank(
    listed: list[list[tuple[str, int, int]]],
) -> None:
    rows = grid(laid_out(listed)).rows
    kept = [text for row in rows for text in row if text and text.strip()]
    assert kept == [text for row in listed for text, _, _ in row if text.strip()]
    assert all(any(text and text.strip() for text in row) for row in rows)
    assert all(any(text and text.strip() for text in column) for column in zip(*rows, strict=True))


@given(LISTED)
def test_what_a_merged_cell_covers_is_no_cell(listed: list[list[tuple[str, int, int]]]) -> None:
    made = grid(laid_out(listed))
    for (row, column), (down, across) in made.merged.items():
        assert all(made.rows[below][column] is None for below in range(row + 1, row + down))
        assert row + down <= len(made.rows)
        assert column + across <= len(made.rows[row])


def test_columns_that_only_spans_made_leave_no_trace_in_the_text() -> None:
    cells = [
        CellText(0, 0, "Name", True, 1, 3), CellText(0, 3, "Size", True, 1, 2),
        CellText(1, 0, "bolt", False, 2, 3, Region(4)), CellText(1, 3, "M4"), CellText(1, 4, "M5"),
        CellText(2, 3, "M6"), CellText(3, 0, " ", False, 1, 5),
    ]  # fmt: skip
    builder = Builder()
    assert builder.add(Piece(BlockKind.TABLE, table=grid(cells))) == 0
    block = builder.blocks[0]
    text = "Name | Size\nbolt | M4 | M5\n | M6"
    assert [(c.row, c.column, c.span.of(text), c.row_span, c.column_span, c.header) for c in block.cells] == [
        (0, 0, "Name", 1, 1, True),
        (0, 1, "Size", 1, 2, True),
        (1, 0, "bolt", 2, 1, False),
        (1, 1, "M4", 1, 1, False),
        (1, 2, "M5", 1, 1, False),
        (2, 1, "M6", 1, 1, False),
    ]
    assert len(block.span) == len(text)
    assert [cell.region for cell in block.cells if cell.region] == [Region(4)]


def test_spans_that_cover_more_than_the_limit_are_refused_before_they_take_memory() -> None:
    places = Places(1_000_000)
    places.take(0, 999, 1000)
    with pytest.raises(ReadError, match="max_cells") as caught:
        places.take(1, 2, 1000)
    assert caught.value.kind == "limit_exceeded"
    diagonal = [CellText(place, place, "x") for place in range(2000)]
    with pytest.raises(ReadError, match="max_cells"):
        grid(diagonal, max_cells=1_000_000)
