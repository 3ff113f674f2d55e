"""What is plain to see in Markdown is read without the full grammar, and reads the same with it."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from laws import assert_lawful

from citewell.errors import ReadError
from citewell.reading.markdown import MarkdownReader
from citewell.reading.markdown_blocks import Rest, blocks
from citewell.reading.markdown_grammar import Grammar
from citewell.types import Document, Source

WORDS = st.sampled_from(
    ["word", "Table 1", "a_b", "x", "é", "1.", "12) n", "Q: why?", "A: so", "中文", "#tag", "it's", "5"]
)
MARKED = st.sampled_from(
    [
        *("*em*", "**Strong.**", "_so_", "__do it__", "***", "* ", "**bold *and* more**", "*open", "close*", "2 * 3"),
        *("`code`", "``a`b``", "` x `", "`a\nb`", "[link](https://example.org/a?b=1)", "[l](a \"t\")", "[ref]", "[1]"),
        *("[ref][]", "[^1]", "![alt](u.png)", "![alt][ref]", "<br>", "<b>x</b>", "<https://a.b>", "&amp;", "AT&T;"),
        *("a < b", "\\*no\\*", "~~gone~~", "~1", "!", "(*in*)", "*a*b", "_a_b_", "[a](javascript:x)", "[a](b(c))"),
        *("[]()", "[x](<y z>)", "[a[b](c)](d)", "**a**, b", "*a.*b"),
        *("\u2028", "\x85", "\xa0", "  \n", "\\\n", ":::note"),
        *("*a\nb*", "[a\nb](c)", "**[a](b)**", "*a*.", "*a.*)", "_a_\x85", "\x85*a*", "| c |", "\\|", "{#id}"),
    ]
)  # fmt: skip
INLINE = st.lists(st.one_of(WORDS, MARKED), min_size=1, max_size=6).flatmap(
    lambda parts: st.sampled_from([" ", "", "\n", "\n  "]).map(lambda gap: gap.join(parts))
)
OPENING = st.sampled_from(
    [
        *(
            "",
            "",
            "",
            "",
            "# ",
            "## ",
            "#",
            "####### ",
            "- ",
            "* ",
            "+ ",
            "-",
            "-\t",
            "1. ",
            "2) ",
            "7. ",
            "1986. ",
            "> ",
        ),
        *(
            ">",
            "  ",
            "    ",
            "\t",
            "  - ",
            "    - ",
            "   1. ",
            "  * ",
            "      ",
            "-     ",
            "- - ",
            "- # ",
            "- > ",
            "=",
            ":",
        ),
        *(
            "- [ ] ",
            "| ",
            "|a|b|\n|-|-|\n|",
            "a | b\n--|:-:\n",
            "-\n",
            " ",
            "<div>",
            "<pre>",
            "<!-- ",
            "</pre>",
            "<span>",
        ),
    ]
)
LINES = st.sampled_from(
    [
        *("---", "===", "***", "* * *", "___", "- - -", "--"),
        *("-", "=", "```", "```py", "~~~", "~~~ a`b", "````", "  ```"),
        *("    ```", "|-|-|", "--|--", "|---|", ":-:|--"),
        *("| a | b |", "a | b", "| x |", "-->", "[ref]: /url", "[ref]:"),
        *("[r2]: /u \"t\"", "/url", "", "", "", " "),
        *("\t", "  ", "# h #", "# h #\\#", "#", "# a | b", "import x from 'y'"),
        *("- a | b", "<div>", "</div>", "<script>", "</script>", "<?", "?>", ":::", "::: warning", "\x0b", "\u3000"),
    ]
)  # fmt: skip
PAGES = st.lists(st.one_of(st.builds(lambda a, b: a + b, OPENING, INLINE), LINES), min_size=1, max_size=14).flatmap(
    lambda lines: st.sampled_from(["\n", "\n\n", "\n"]).map(lambda gap: gap.join(lines))
)


def _read(text: str, uri: str, *, shortcuts: bool) -> Document | str:
    try:
        return MarkdownReader(shortcuts=shortcuts, max_depth=20).read(Source(uri, text.encode()))
    except ReadError as error:
        return error.kind


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(PAGES, st.sampled_from(["a.md", "a.md", "b.mdx"]))
@example("- a\n\n  1. b\n\n     c\n\n d\n", "a.md")
@example("text\n- a | b\n--|--\n", "a.md")
@example("# a | b\n--|--\nc | d\n", "a.md")
@example("- ```\n\n  x\n\ny\n```\n\nz\n\n```\n", "a.md")
@example("<!--\n\n# no\n\n-->\n\n# yes\n", "a.md")
@example("[a]\n\n> b\n>\n> [a]: /u\n", "a.md")
@example("Table 1: x\n\n---\n\n| a | b |\n|---|---|\n| 1 |\n", "a.md")
def test_shortcuts_read_what_the_full_grammar_reads(text: str, uri: str) -> None:
    short, full = _read(text, uri, shortcuts=True), _read(text, uri, shortcuts=False)
    assert short == full
    if isinstance(short, Document):
        assert_lawful(short)


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\nA paragraph\nof lines.\n\n## Next ##\n- one\n- two\n  more\n  "
        "- three\n\n    and more\n\n1. a\n2. b\n",
        "```py\nx = 1\n\n# no heading\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n***\n\nThe end.\n",
        "A list:\n- one\n- *two*\n\nText before a heading\n# Heading\nand text after it.\n",
    ],
)
def test_plain_markdown_needs_no_grammar(text: str) -> None:
    assert not [one for one in blocks(text, lambda at: Grammar(20).rest(text, at)) if isinstance(one, Rest)]


def test_what_is_left_to_the_grammar_ends_where_nothing_is_open() -> None:
    text = "Plain.\n\n> a quote\n> goes on\n\nPlain again.\n\n- ```\n  x\n\nAnd again.\n"
    rests = [one for one in blocks(text, lambda at: Grammar(20).rest(text, at)) if isinstance(one, Rest)]
    assert [text[one.start : one.end].strip() for one in rests] == ["> a quote\n> goes on", "- ```\n  x"]


def test_what_never_closes_is_read_a_few_times_and_not_once_a_paragraph() -> None:
    read: list[int] = []
    text = "<!--\n\n" + "- a\n\ntext\n\n" * 2000
    grammar = Grammar(20)
    whole = grammar.parsed

    def counted(text: str, start: int, end: int | None = None) -> Rest:
        read.append((len(text) if end is None else end) - start)
        return whole(text, start, end)

    grammar.parsed = counted  # type: ignore[method-assign]
    assert len(list(blocks(text, lambda at: grammar.rest(text, at)))) == 1
    assert sum(read) < 4 * len(text)
