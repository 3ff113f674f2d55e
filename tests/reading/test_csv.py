"""CSV: any dialect, one line a record, limits named."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import read

from citewell.errors import ReadError
from citewell.reading.csv_ import CsvReader, sniff
from citewell.types import BlockKind, Source


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_is_found(delimiter: str) -> None:
    rows = [["city", "note", "fee"], ["Rome", f"a{delimiter}b", "1"], ["Oslo", "x, y; z", "2"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    document = read(out.getvalue(), "x.csv")
    assert document.text.split("\n") == [" | ".join(" ".join(cell.split()) for cell in row) for row in rows]
    assert [cell.header for cell in document.blocks[0].cells] == [True] * 3 + [False] * 6


@pytest.mark.parametrize(
    ("content", "header"),
    [("name,age\nAnn,3\n", True), ("1,2,3\n4,5,6\n", False), ("a,a\nb,c\n", False), ("only,one\n", False)],
)
def test_the_first_row_is_a_header_only_when_it_looks_like_names(content: str, header: bool) -> None:
    cells = read(content, "x.csv").blocks[0].cells
    assert all(cell.header is (header and cell.row == 0) for cell in cells)


def test_newlines_inside_quotes_stay_in_their_cell_and_blank_records_go() -> None:
    assert read('a,b\n"x\ny",1\n\n,\nz,2\n', "x.csv").text == "a | b\nx y | 1\nz | 2"


def test_a_title_line_above_the_table_is_a_paragraph() -> None:
    document = read("Fees 2025\n\ncity,fee,note\nRome,1,x\n", "x.csv")
    assert [block.kind for block in document.blocks] == [BlockKind.PARAGRAPH, BlockKind.TABLE]


def test_a_quote_that_never_closes_loses_nothing() -> None:
    document = read('a,b\n"x,1\n' + "y,2\n" * 60_000, "x.csv")
    assert document.text.count("y | 2") == 60_000
    assert any("Quotes" in warning for warning in document.warnings)


def test_cells_beyond_the_limit_are_refused_by_name_and_number() -> None:
    with pytest.raises(ReadError, match="max_cells") as caught:
        CsvReader(max_cells=10).read(Source("x.csv", b"a,b\n" * 6))
    assert caught.value.kind == "limit_exceeded"
    assert CsvReader(max_cells=12).read(Source("x.csv", b"a,b\n" * 6)).blocks


def test_prose_in_a_csv_file_is_still_text() -> None:
    assert read("just a note", "x.csv").text == "just a note"


@given(
    st.lists(
        st.lists(st.text(st.sampled_from("ab1,;\"'\n |é"), min_size=1, max_size=5), min_size=2, max_size=4),
        min_size=1, max_size=6,
    ),
    st.sampled_from(",;\t"),
)  # fmt: skip
def test_every_field_that_was_written_is_in_the_text(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    if not any(field.strip() for row in rows for field in row):
        return
    text = " ".join(read(out.getvalue(), "x.csv").text.split())
    for row in rows:
        for field in row:
            # Under another dialect than the writer's, quotes and delimiters may stand elsewhere; the words stay.
            assert all(word in text for word in "".join(c if c in "ab1é" else " " for c in field).split())


@given(st.text(max_size=50))
def test_sniffing_any_text_gives_a_delimiter(sample: str) -> None:
    assert sniff(sample) in ",;\t|"
