"""Spans follow from the layout: checked on arbitrary pieces and on arbitrary bytes in every text format."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import FORMATS, assert_lawful

from citewell.errors import ReadError
from citewell.reading.pieces import Piece, compose
from citewell.reading.tables import Table
from citewell.types import BlockKind, Source

TEXTS = st.text(st.sampled_from("ab é中\u200b\n\t |.?*"), max_size=30)
FLAGS = {"boilerplate": st.booleans(), "hidden": st.booleans()}
TABLES = st.lists(st.lists(st.one_of(TEXTS, st.none()), max_size=4), max_size=4).map(
    lambda rows: Table(rows, header_rows=len(rows) // 2)
)
PIECES = st.one_of(
    st.builds(
        Piece, st.sampled_from([kind for kind in BlockKind if kind.value not in ("table", "faq")]), TEXTS,
        st.integers(0, 8), caption=TEXTS, **FLAGS,
    ),
    st.builds(Piece, st.just(BlockKind.FAQ), TEXTS, question=st.just("who  is\nit?"), **FLAGS),
    st.builds(Piece, st.just(BlockKind.TABLE), table=TABLES, caption=TEXTS, **FLAGS),
)  # fmt: skip
SNIPPETS = st.sampled_from(
    [
        *("# h\n", "## x #\n", "a\n===\n", "- one\n", "  - two\n", "1. n\n", "> q\n", "```py\ncode\n```\n", "    in\n"),
        *("p *a* **b** `c` [d](e)\n", "![alt](u)\n", "Q: why?\nA: so.\n", "**Q:** who?\n\n**A:** me\n", ":::note N\n"),
        *("<div>x</div>\n", "<table><tr><td colspan=2>1<td>2<tr><th rowspan=9>3</table>", "<p hidden>h</p>"),
        *(
            "<li>i<p>j",
            "<pre>  k\n l</pre>",
            "<nav>n</nav>",
            "<h2>t</h2>",
            "<dl><dt>a?<dd>b</dl>",
            "<!-- c -->",
            "<br>",
        ),
        *("<details><summary>y?</summary>z</details>", "<figure><img alt=f><figcaption>g</figcaption></figure>"),
        *("&amp;", "&lt;", "</html>", "a,b,c\n", "1,2\n", '"x\ny",3\n', ";", "\t", " \n", "\n\n", "---\n", "k: v\n"),
        *("TITLE OF THIS\n", "\r\n", "\x00", "\x1e", "\x0b", "é", "\\", "*", "[", "](", "{#i}", "import x\n"),
        *("| a | b |\n", "|---|---|\n", "| 1 | 2 |\n"),
    ]
)


@given(st.lists(PIECES, max_size=12))
def test_any_pieces_lie_in_their_document_in_order_and_apart(pieces: list[Piece]) -> None:
    source = Source("a_b.txt", b"x")
    if all(piece.hidden or not _has_text(piece) for piece in pieces):
        with pytest.raises(ReadError, match="no visible text"):
            compose(source, pieces, reader="test@1", media_type="text/plain")
    else:
        assert_lawful(compose(source, pieces, reader="test@1", media_type="text/plain"))


def _has_text(piece: Piece) -> bool:
    rows = piece.table.rows if piece.table else []
    texts = [piece.question, piece.caption, piece.text, *(text or "" for row in rows for text in row)]
    return any(map(str.strip, texts))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(st.lists(SNIPPETS, min_size=1, max_size=12), st.sampled_from(["md", "html", "txt", "csv", "json", "mdx", "bin"]))
def test_every_text_format_keeps_the_laws_on_any_mixture_of_markup(parts: list[str], suffix: str) -> None:
    _read_any("".join(parts).encode(), f"x.{suffix}")


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.sampled_from(["md", "html", "txt", "csv", "json"]))
def test_arbitrary_bytes_are_read_lawfully_or_refused_with_a_kind(content: bytes, suffix: str) -> None:
    if content.startswith((b"%PDF", b"PK")):
        return  # other readers, in their own processes
    _read_any(content, f"x.{suffix}")


def _read_any(content: bytes, uri: str) -> None:
    source, failure = Source(uri, content), None
    try:
        document = FORMATS.read(source)
    except ReadError as error:
        failure = error
    if failure is None:
        assert_lawful(document)
        assert FORMATS.read(source) == document
    else:
        # "corrupt" is for bytes that are no text; an unexpected exception of a reader would name its type.
        assert "Error." not in str(failure), failure
