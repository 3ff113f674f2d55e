"""Splitting keeps every character, every row and every bound."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.splitting.sections import Sections
from citewell.types import Block, BlockKind, Cell, Document, Node, Source, Span


class Words:
    """A tokenizer whose tokens are words and single signs."""

    def token_starts(self, text: str) -> list[int]:
        return [found.start() for found in re.finditer(r"\w+|[^\w\s]", text)]


def document(*pieces: tuple[BlockKind, str], title: str = "Handbook") -> Document:
    """A document of `pieces`; table pieces are lines of cells joined by ` | `, the first line being the header."""
    text, blocks, path = "", [], []
    for kind, piece in pieces:
        start = len(text)
        text += piece
        span, cells, level = Span(start, len(text)), [], 0
        if kind is BlockKind.HEADING:
            level = 1 + len(path) if len(path) < 2 else 2
            blocks.append(Block(kind, span, level=level, heading_path=tuple(path[: level - 1])))
            path = [*path[: level - 1], piece]
        else:
            if kind is BlockKind.TABLE:
                at = start
                for row, line in enumerate(piece.split("\n")):
                    for column, cell in enumerate(line.split(" | ")):
                        cells.append(Cell(row, column, Span(at, at + len(cell)), header=row == 0))
                        at += len(cell) + 3
                    at += len("\n") - 3
            blocks.append(Block(kind, span, heading_path=tuple(path), cells=tuple(cells)))
        text += "\n\n"
    source = Source("handbook.md", text.encode())
    return Document.of(
        source, reader="test@1", media_type="text/markdown", title=title, text=text, blocks=tuple(blocks)
    )


def table(rows: int) -> str:
    return "\n".join(["Country | Allowance", *(f"Country {row} | {row * 3} EUR" for row in range(rows))])


words = st.text(alphabet="ab é漢.!?;,\n😀", min_size=1, max_size=600).filter(lambda text: text.strip())
pieces = st.lists(
    st.one_of(
        st.tuples(st.just(BlockKind.HEADING), st.text("abc ", min_size=1, max_size=60).filter(str.strip)),
        st.tuples(st.sampled_from([BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.CODE]), words),
        st.tuples(st.sampled_from([BlockKind.FIGURE, BlockKind.CAPTION]), words),
        st.tuples(st.just(BlockKind.TABLE), st.integers(0, 30).map(table)),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(pieces, st.integers(16, 80))
def test_every_node_is_a_slice_within_the_bound_and_no_character_is_lost(made, bound):
    whole = document(*made)
    nodes = Sections(Words(), bound).split(whole)
    covered = set()
    for node in nodes:
        assert whole.text[node.span.start : node.span.end] == node.text
        assert node.text == node.text.strip()
        assert node.tokens == len(Words().token_starts(node.context)) + len(Words().token_starts(node.text))
        assert node.tokens <= bound or node.kind is BlockKind.TABLE
        covered.update(range(node.span.start, node.span.end))
    lost = [at for at, sign in enumerate(whole.text) if at not in covered and not sign.isspace()]
    assert lost == []
    assert [node.span for node in nodes] == sorted(node.span for node in nodes)
    assert len({node.id for node in nodes}) == len(nodes)


def test_every_piece_of_a_long_table_carries_its_header_and_no_row_is_cut():
    whole = document((BlockKind.HEADING, "Rates"), (BlockKind.TABLE, table(60)))
    nodes = Sections(Words(), 128).split(whole)
    tables = [node for node in nodes if node.kind is BlockKind.TABLE]
    assert len(tables) >= 3
    for node in tables:
        assert "Country | Allowance" in node.indexed_text
        assert all(
            re.fullmatch(r"Country( \d+)? \| (\d+ EUR|Allowance)", line)
            for line in node.text.removeprefix("Rates\n\n").split("\n")
        )


def test_caption_stands_in_the_first_piece_and_in_the_context_of_the_others():
    whole = document((BlockKind.CAPTION, "Table 1: daily rates"), (BlockKind.TABLE, table(60)))
    caption, rows = whole.blocks
    linked = Block(rows.kind, rows.span, cells=rows.cells, caption=caption.span)
    whole = Document.of(
        Source("a", b""), reader="r", media_type="m", title="T", text=whole.text, blocks=(caption, linked)
    )
    nodes = Sections(Words(), 100).split(whole)
    assert len(nodes) > 2
    assert all("Table 1: daily rates" in node.indexed_text for node in nodes)
    assert nodes[0].text.startswith("Table 1")
    assert "Table 1" not in nodes[1].text


def illustrated(words: int) -> Document:
    """A section with a figure of so many words, its caption behind it, and the paragraph that names it before it."""
    labels = " ".join(f"label{number}" for number in range(words))
    return document(
        (BlockKind.HEADING, "Pumps"),
        (BlockKind.PARAGRAPH, "Efficiency falls with age, as Figure 7 shows for three plants."),
        (BlockKind.PARAGRAPH, "Nothing else was measured in that year, for want of money and of time."),
        (BlockKind.FIGURE, labels),
        (BlockKind.CAPTION, "Figure 7: Efficiency by age"),
        (BlockKind.PARAGRAPH, "Costs are another matter."),
    )


def test_every_piece_of_a_large_figure_carries_its_caption_and_the_paragraph_that_speaks_of_it():
    whole = illustrated(200)
    nodes = Sections(Words(), 100).split(whole)
    pieces = [node for node in nodes if "label" in node.text]
    assert len(pieces) > 2
    for node in pieces:
        assert "Figure 7: Efficiency by age" in node.context
        assert "Efficiency falls with age" in node.context
        assert node.tokens <= 100
    assert sum("Figure 7: Efficiency by age" in node.text for node in nodes) == 1


def test_a_figure_that_begins_a_node_has_the_paragraph_before_it_as_context_and_its_caption_in_its_text():
    (figure,) = [node for node in Sections(Words(), 44).split(illustrated(15)) if "label0" in node.text]
    assert figure.text.startswith("label0")
    assert "Figure 7: Efficiency by age" in figure.text
    assert "Figure 7: Efficiency by age" not in figure.context
    assert "Efficiency falls with age" in figure.context


def test_the_caption_that_a_figure_names_is_in_a_node():
    whole = document((BlockKind.CAPTION, "Station one"), (BlockKind.FIGURE, "roof gauge"), (BlockKind.PARAGRAPH, "x"))
    caption, figure, rest = whole.blocks
    named = Block(figure.kind, figure.span, caption=caption.span)
    whole = Document.of(
        Source("a", b""), reader="r", media_type="m", title="T", text=whole.text, blocks=(caption, named, rest)
    )
    assert any("Station one" in node.text for node in Sections(Words(), 64).split(whole))


def test_metadata_and_headings_longer_than_a_node_are_shortened_not_refused():
    heading = "Very long heading " * 200
    whole = document((BlockKind.HEADING, heading.strip()), (BlockKind.PARAGRAPH, "The rule."), title="Title " * 300)
    nodes = Sections(Words(), 64).split(whole)
    assert any("The rule." in node.text for node in nodes)
    assert all(node.tokens <= 64 for node in nodes)


def test_a_section_never_shares_a_node_with_the_next():
    whole = document(
        (BlockKind.HEADING, "Handbook"),
        (BlockKind.HEADING, "Hotels"),
        (BlockKind.PARAGRAPH, "Up to 180 EUR."),
        (BlockKind.HEADING, "Meals"),
        (BlockKind.PARAGRAPH, "Up to 58 EUR."),
    )
    hotels, meals = Sections(Words(), 100).split(whole)
    assert "Up to 180 EUR." in hotels.text
    assert hotels.heading_path == ("Handbook", "Hotels")
    assert "Up to 58 EUR." in meals.text
    assert "Handbook" in meals.context


def test_a_word_without_end_is_still_cut():
    whole = document((BlockKind.PARAGRAPH, "x" * 100_000))
    nodes = Sections(Words(), 64).split(whole)
    assert max(len(node.text) for node in nodes) <= 64 * 16
    assert "".join(node.text for node in nodes) == "x" * 100_000


def test_hidden_blocks_make_no_nodes_and_boilerplate_only_when_nothing_else_is_there():
    shown = Block(BlockKind.PARAGRAPH, Span(0, 5))
    text = "shown hidden footer"
    hidden = Block(BlockKind.PARAGRAPH, Span(6, 12), hidden=True)
    footer = Block(BlockKind.FOOTER, Span(13, 19), boilerplate=True)

    def texts(*blocks: Block) -> list[str]:
        whole = Document.of(Source("a", b""), reader="r", media_type="m", title="", text=text, blocks=blocks)
        return [node.text for node in Sections(Words(), 64).split(whole)]

    assert texts(shown, hidden, footer) == ["shown"]
    assert texts(hidden, footer) == ["footer"]


def test_pair_too_long_for_a_node_keeps_its_question_with_every_piece():
    text = "May I work from abroad?\n" + "Only with written consent of the manager. " * 30
    span = Span(0, len(text.rstrip()))
    block = Block(BlockKind.FAQ, span, question=Span(0, 23))
    whole = Document.of(Source("a", b""), reader="r", media_type="m", title="FAQ", text=text, blocks=(block,))
    nodes: list[Node] = Sections(Words(), 64).split(whole)
    assert len(nodes) > 2
    assert all("May I work from abroad?" in node.indexed_text for node in nodes)
    assert {node.kind for node in nodes} == {BlockKind.FAQ}


def test_cost_grows_with_the_size_of_the_text_only():
    class Counting(Words):
        calls = 0

        def token_starts(self, text: str) -> list[int]:
            Counting.calls += len(text)
            return super().token_starts(text)

    def cost(paragraphs: int) -> int:
        Counting.calls = 0
        Sections(Counting(), 64).split(document(*[(BlockKind.PARAGRAPH, "One more sentence. " * 9)] * paragraphs))
        return Counting.calls

    assert cost(400) < 2.2 * cost(200)
