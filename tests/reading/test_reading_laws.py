"""Spans follow from the layout: checked on arbitrary pieces and on arbitrary bytes in every text format."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import FORMATS, assert_lawful

from citewell.errors import ReadError
from citewell.reading.pieces import Piece, Table, compose
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
    "# h\n|## x #\n|a\n===\n|- one\n|  - two\n|1. n\n|> q\n|```py\ncode\n```\n|    indented\n|p *a* **b** `c` [d](e)\n|![alt](u)\n"
    "|Q: why?\nA: so.\n|**Q:** who?\n\n**A:** me\n|<div>x</div>\n|<table><tr><td colspan=2>1<td>2<tr><th rowspan=9>3</table>"
    "|<p hidden>h</p>|<li>i<p>j|<pre>  k\n l</pre>|<nav>n</nav>|<h2>t</h2>|<details><summary>y?</summary>z</details>"
    "|<dl><dt>a?<dd>b</dl>|<figure><img alt=f><figcaption>g</figcaption></figure>|<!-- c -->|&amp;|&lt;|<br>|</html>"
    "|a,b,c\n|1,2\n|\"x\ny\",3\n|;|\t| \n|\n\n|:::note N\n|---\n|k: v\n|TITLE OF THIS\n|\r\n|\x00|\x1e|\x0b|é|\\|*|[|](|{#i}"
    "|| a | b |\n||---|---|\n|| 1 | 2 |\n|import x\n".split("|")
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_any_pieces_lie_in_their_document_in_order_and_apart(pieces: list[Piece]) -> None:
    source = Source("a_b.txt", b"x")
    try:
        document = compose(source, pieces, reader="test@1", media_type="text/plain")
    except ReadError as error:
        assert error.kind == "no_text"
        return
    assert_lawful(document)


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
    try:
        document = FORMATS.read(Source(uri, content))
    except ReadError as error:
        # "corrupt" is for bytes that are no text; an unexpected exception of a reader would name its type.
        assert error.kind in ReadError.KINDS
        assert "Error." not in str(error), error
        return
    assert_lawful(document)
    assert FORMATS.read(Source(uri, content)) == document
