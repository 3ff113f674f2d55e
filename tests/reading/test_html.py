"""HTML: structure, what is shown, and what is content."""

import pytest
from laws import read, shown

from citewell.errors import ReadError
from citewell.reading.html import HtmlReader
from citewell.types import BlockKind, Document, Source

PAGE = """<!doctype html><html lang="en"><head><title>Travel | Acme</title>
<meta name="author" content="Ana"><meta property="article:published_time" content="2025-01-02">
<link rel="canonical" href="https://acme.example/travel"><style>p{x:y}</style></head><body>
<header><a href=/>Acme</a><a href=/x>Docs</a></header><nav><ul><li><a href=/a>Home</a></ul></nav>
<div class="cookie-banner">We use cookies.</div>
<main><h1>Travel   policy</h1><p>Book <a href=/b>early</a>,<br>fly <b>economy</b>.<script>no()</script></p>
<h2>Limits</h2><table><caption>Table 1: Nights</caption><thead><tr><th>City<th colspan=2>Limits</thead>
<tr><th rowspan=2>Rome<td>120 EUR<td><p>per</p><p>night</p><tr><td>40 EUR<td>meals</table>
<ul><li>One<ul><li>Two<p>more</p></ul>tail<li>Three</ul>
<pre><code>  a = 1
  b</code></pre><blockquote>Be kind.</blockquote>
<figure><img src=x alt="A plane"><figcaption>Fig. 1</figcaption></figure>
<p>Visible <span style="display: none">SECRET</span>words.</p><div hidden><p>GONE</p></div>
<aside>Side note in the text.</aside></main>
<aside>Related posts</aside><footer>(c) Acme</footer></body></html>"""


def blocks_of(document: Document, **flags: bool) -> list[str]:
    return [
        b.span.of(document.text) for b in document.blocks if all(getattr(b, flag) is on for flag, on in flags.items())
    ]


def test_structure_of_a_page() -> None:
    document = read(PAGE, "t.html")
    content = [b for b in document.blocks if not (b.boilerplate or b.hidden)]
    assert [(b.kind.value, b.level, b.span.of(document.text)) for b in content] == [
        ("heading", 1, "Travel policy"),
        ("paragraph", 0, "Book early,\nfly economy."),
        ("heading", 2, "Limits"),
        ("caption", 0, "Table 1: Nights"),
        ("table", 0, "City | Limits\nRome | 120 EUR | per night\n | 40 EUR | meals"),
        ("list_item", 0, "One"),
        ("list_item", 1, "Two\nmore"),
        ("list_item", 0, "tail"),
        ("list_item", 0, "Three"),
        ("code", 0, "  a = 1\n  b"),
        ("paragraph", 0, "Be kind."),
        ("caption", 0, "Fig. 1"),
        ("figure", 0, "A plane"),
        ("paragraph", 0, "Visible words."),
        ("paragraph", 0, "Side note in the text."),
    ]
    assert content[-1].heading_path == ("Travel policy", "Limits")


def test_boilerplate_and_hidden_text_are_flagged_and_kept_apart() -> None:
    document = read(PAGE, "t.html")
    assert blocks_of(document, boilerplate=True) == [
        "AcmeDocs", "Home", "We use cookies.", "Related posts", "(c) Acme",
    ]  # fmt: skip
    assert blocks_of(document, hidden=True) == ["SECRET", "GONE"]


def test_title_and_metadata() -> None:
    document = read(PAGE, "t.html")
    assert document.title == "Travel policy"
    assert document.metadata == {
        "language": "en",
        "author": "Ana",
        "date": "2025-01-02",
        "canonical": "https://acme.example/travel",
        "encoding": "utf-8",
    }
    assert read("<title>Only  this</title><p>x", "t.html").title == "Only this"


def test_cells_of_a_table_know_their_spans_and_headers() -> None:
    document = read(PAGE, "t.html")
    table = next(b for b in document.blocks if b.kind is BlockKind.TABLE)
    found = {(c.row, c.column): (c.span.of(document.text), c.header, c.row_span, c.column_span) for c in table.cells}
    assert found == {
        (0, 0): ("City", True, 1, 1),
        (0, 1): ("Limits", True, 1, 2),
        (1, 0): ("Rome", True, 2, 1),
        (1, 1): ("120 EUR", False, 1, 1),
        (1, 2): ("per night", False, 1, 1),
        (2, 1): ("40 EUR", False, 1, 1),
        (2, 2): ("meals", False, 1, 1),
    }
    assert table.caption is not None
    assert table.caption.of(document.text) == "Table 1: Nights"


@pytest.mark.parametrize(
    "style", ["display:none", "visibility: hidden", "font-size:0", "opacity:0", "color:#fff;background:#ffffff"]
)
def test_text_that_inline_style_hides_is_hidden(style: str) -> None:
    document = read(f"<p>seen</p><div style='{style}'>unseen</div>", "t.html")
    assert blocks_of(document, hidden=True) == ["unseen"]


@pytest.mark.parametrize("style", ["font-size:0.8em", "opacity:0.5", "color:#000;background:#fff", "color:#666"])
def test_ordinary_style_hides_nothing(style: str) -> None:
    assert blocks_of(read(f"<div style='{style}'>seen</div>", "t.html"), hidden=True) == []


def test_hidden_cells_are_no_part_of_their_table() -> None:
    document = read("<table><tr><th>a<th>b<tr><td>1<td>2<span hidden>SECRET</span></table>", "t.html")
    assert shown(document) == ["a | b\n1 | 2"]
    assert blocks_of(document, hidden=True) == ["SECRET"]


def test_a_layout_table_is_read_as_what_it_holds() -> None:
    inner = "<h2>Title</h2><p>words words words</p><table><tr><th>a<td>1<tr><th>b<td>2</table>"
    document = read(f"<table><tr><td>{inner}<td>side</table>", "t.html")
    assert shown(document) == ["Title", "words words words", "a | 1\nb | 2", "side"]


def test_a_small_table_inside_a_cell_is_text_of_that_cell() -> None:
    rows = "".join(f"<tr><td>row number {n}<td>value {n}" for n in range(4))
    document = read(f"<table>{rows}<tr><td>x<td><table><tr><td>y<td>z</table></table>", "t.html")
    assert shown(document)[-1].split("\n")[-1] == "x | y z"


def test_empty_rows_and_columns_of_layout_go() -> None:
    document = read("<table><tr><td>a<td> <td>$<td>1<tr><td><td><td><td><tr><td>b<td><td>$<td>2</table>", "t.html")
    assert document.text == "a | $ | 1\nb | $ | 2"


def test_a_page_that_is_all_navigation_is_content() -> None:
    assert shown(read("<nav><p>Home</p><p>About</p></nav>", "t.html")) == ["Home", "About"]


def test_class_names_flag_parts_but_never_most_of_the_page() -> None:
    text = "<p>Long content. " + "word " * 50
    assert blocks_of(read(f"<div class='share-bar'>Tweet</div>{text}", "t.html"), boilerplate=True) == ["Tweet"]
    assert blocks_of(read(f"<div class='with-sidebar'>{text}</div>", "t.html"), boilerplate=True) == []


def test_a_block_of_links_is_boilerplate_outside_the_main_part_only() -> None:
    links = "<ul>" + "".join(f"<li><a href=/{n}>Page {n}</a>" for n in range(6)) + "</ul>"
    text = "<p>" + "word " * 100 + "</p>"
    assert len(blocks_of(read(links + text, "t.html"), boilerplate=True)) == 6
    assert not blocks_of(read(f"<main>{text}{links}</main>", "t.html"), boilerplate=True)


def test_text_after_the_end_of_the_page_is_kept() -> None:
    assert shown(read("<html><body><p>a</p></body></html><p>b</p><html><p>c</html>", "t.html")) == ["a", "b", "c"]


def test_unclosed_and_misnested_markup_keeps_its_words() -> None:
    words = "".join(shown(read("<p>a<b>b<i>c</b>d<p>e<li>f<td>g</div></p>h<h2>i", "t.html")))
    assert "".join(words.split()) == "abcdefghi"


def test_nesting_at_the_limit_is_read_and_beyond_it_is_refused() -> None:
    def page(depth: int) -> Source:
        return Source("x.html", b"<div>" * depth + b"deep")

    assert HtmlReader().read(page(1900)).text == "deep"
    for reader, depth in ((HtmlReader(), 30_000), (HtmlReader(max_depth=50), 100)):
        with pytest.raises(ReadError) as caught:
            reader.read(page(depth))
        assert caught.value.kind == "limit_exceeded"


def test_spans_beyond_any_reason_do_not_multiply_cells() -> None:
    rows = "<tr><td colspan=1000 rowspan=65000>x" * 2000
    with pytest.raises(ReadError) as caught:
        HtmlReader(max_cells=100_000).read(Source("x.html", f"<table><tr><th>a{rows}</table>".encode()))
    assert caught.value.kind == "limit_exceeded"
