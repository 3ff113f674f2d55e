"""The scores for reading find what is there, and nothing that is not."""

from __future__ import annotations

import pytest

from citewell.evaluation.adjacency import GridCell, f1, mean_f1, relations
from citewell.evaluation.facts import holds, lines_found
from citewell.evaluation.office import cells, headings, lines
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import CellText, Table, grid
from citewell.testing.place_laws import misplaced, unfaithful
from citewell.types import BlockKind, Node, Place, Region, Source, Span

SOURCE = Source("a.pdf", b"# One\n\nfirst page text\n")


def document():
    builder = Builder()
    builder.add(Piece(BlockKind.HEADING, "1 One", 1, regions=[Region(1)]))
    builder.add(Piece(BlockKind.PARAGRAPH, "ﬁrst\n page text", regions=[Region(1), Region(2)]))
    table = Table([["Name", "", "Sum"], ["Ann", "x", "2.50"]], header_rows=1)
    builder.add(Piece(BlockKind.TABLE, table=table, regions=[Region(2)], source=Place(0, 1, "rows", "Sheet1")))
    builder.attach("a.txt", b"x")
    return builder.document(SOURCE, reader="t@1", media_type="application/pdf", pages=2, metadata={"from": "Ann <a@b>"})


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        ({"kind": "text", "value": "first page", "page": 1}, True),
        ({"kind": "text", "value": "first page", "page": 2}, True),
        ({"kind": "text", "value": "One", "page": 2}, False),
        ({"kind": "text", "value": "Name", "slide": 2}, True),
        ({"kind": "heading", "value": "One", "level": 1}, True),
        ({"kind": "heading", "value": "One", "level": 2}, False),
        ({"kind": "heading", "value": "first page text"}, False),
        ({"kind": "table_row", "value": ["", "Name", "Sum"]}, True),
        ({"kind": "table_row", "value": ["Sum", "Name"]}, False),
        ({"kind": "table_row", "value": ["Name", "x"]}, False),
        ({"kind": "line", "value": "Ann;x;2.50"}, True),
        ({"kind": "line", "value": "Ann x"}, False),
        ({"kind": "cell", "sheet": "Sheet1", "value": "2.5"}, True),
        ({"kind": "cell", "sheet": "Sheet1", "value": "2.6"}, False),
        ({"kind": "sheets", "value": ["Sheet1"]}, True),
        ({"kind": "sheets", "value": ["Sheet2"]}, False),
        ({"kind": "header", "name": "from", "value": "Ann <a@b>"}, True),
        ({"kind": "header", "name": "from", "value": "Bob"}, False),
        ({"kind": "attachments", "value": ["a.txt"]}, True),
        ({"kind": "attachments", "value": ["b.txt"]}, False),
        ({"kind": "page_count", "value": 2}, True),
        ({"kind": "slide_count", "value": 3}, False),
        ({"kind": "field", "value": "FIRST PAGE"}, True),
        ({"kind": "unheard", "value": "One"}, False),
    ],
)
def test_a_fact_is_found_where_it_is(fact, expected):
    assert holds(fact, document()) is expected


def test_every_cell_is_related_to_the_next_with_text_to_the_right_and_below():
    table = [
        GridCell(0, 0, 0, 1, "Head"),
        GridCell(1, 0, 1, 0, "a"),
        GridCell(1, 1, 1, 1, " "),
        GridCell(1, 2, 1, 2, "B c"),
    ]
    table.append(GridCell(2, 1, 2, 1, "d"))
    found = relations(table)
    assert found == {("head", "a", "below"): 1, ("a", "bc", "right"): 1, ("head", "d", "below"): 1}
    assert f1(found, found) == 1.0
    assert f1(relations(table[:2]), found) == 0.5
    assert f1(relations([]), found) == 0.0
    assert mean_f1({"one": found}, {"one": found, "two": found}) == 0.5


def test_what_cannot_be_shown_is_named():
    table = grid([CellText(0, 0, "a"), CellText(0, 1, "b", source=Place(99, 100))])
    builder = Builder()
    builder.add(Piece(BlockKind.PARAGRAPH, "One", source=Place(2, 5)))
    builder.add(Piece(BlockKind.PARAGRAPH, "Two", source=Place(2, 5)))
    builder.add(Piece(BlockKind.PARAGRAPH, "Far", source=Place(2, 500)))
    builder.add(Piece(BlockKind.PARAGRAPH, "Nowhere"))
    builder.add(Piece(BlockKind.TABLE, table=table, source=Place(0, 9, "rows")))
    made = builder.document(SOURCE, reader="t@1", media_type="text/markdown")
    wrong = [(block.span.of(made.text), said) for block, said in misplaced(made, SOURCE)]
    assert [text for text, _ in wrong] == ["Two", "Far", "Nowhere", "a | b"]
    assert list(misplaced(document(), SOURCE)) == []
    assert unfaithful(made, Node("n", made.id, Span(0, 3), "One")) == ""
    assert unfaithful(made, Node("n", made.id, Span(0, 3), "Two"))
    assert unfaithful(made, Node("n", made.id, Span(0, 3000), "One"))


def test_lines_of_a_picture_are_found_by_their_letters_and_digits_as_often_as_they_stand():
    assert lines_found(["FIRST page, text!", "name: sum", "---"], document()) == 1.0
    assert lines_found(["one", "One", "x 2.5", "nobody"], document()) == 0.5
    assert lines_found([], document()) == 1.0


def test_office_scores_tell_a_thing_by_where_it_stands_and_what_it_is():
    builder = Builder()
    builder.add(Piece(BlockKind.HEADING, "Plan", 2, regions=[Region(3)]))
    builder.add(Piece(BlockKind.HEADING, "Secret", 1, regions=[Region(3)], hidden=True))
    place = Place(2, 4, "rows", "'My sheet'!B3:C4")
    table = Table([["a", "b"], ["c"]], merged={(1, 0): (1, 2)})
    builder.add(Piece(BlockKind.TABLE, table=table, regions=[Region(4)], source=place))
    builder.add(Piece(BlockKind.PARAGRAPH, "x", regions=[Region(4)], source=Place(8, 9, "rows", "'My sheet'!A9")))
    made = builder.document(Source("a", b"x"), reader="t@1", media_type="x", pages=4)
    assert headings(made) == {("2", "Plan"): 1}
    places = {("B3", "a", "1x1"), ("C3", "b", "1x1"), ("B4", "c", "1x2"), ("A9", "x", "1x1")}
    assert cells(made) == {("My sheet", where, text, reach, "seen"): 1 for where, text, reach in places}
    slide = {("title", "Plan"): "3", ("hidden", "Secret"): "3", ("text", "x"): "4"}
    slide |= {("cell", text): "4" for text in "abc"}
    assert lines(made) == {(page, *what): 1 for what, page in slide.items()}
