"""The dispatcher: the right reader by content, limits before work, every failure a ReadError."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from laws import read
from proportion import out_of_proportion

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.formats import HTML, MARKDOWN, TEXT
from citewell.reading.html import HtmlReader
from citewell.reading.markdown import MarkdownReader
from citewell.reading.readers import Factory, Readers, default_factories
from citewell.reading.text import TextReader
from citewell.types import Document, Source


class Failing:
    """A reader that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    identity = "failing@1"

    def read(self, source: Source) -> Document:
        raise self._error


def failing(error: Exception) -> Factory:
    return lambda: Failing(error)


def kind_of(readers: Readers, content: bytes, uri: str = "x.txt") -> str:
    with pytest.raises(ReadError) as caught:
        readers.read(Source(uri, content))
    assert uri not in str(caught.value), "whoever reports an error says beside it where it happened"
    assert caught.value.__notes__ == [f"Source: {uri}"]
    return caught.value.kind


def test_the_document_names_the_reader_and_type_that_were_used() -> None:
    assert (read("# a\n\n[b](c)", "x").reader, read("# a\n\n[b](c)", "x").media_type) == (versions.MARKDOWN, MARKDOWN)
    assert read("<!doctype html><p>x", "x.md").reader == versions.HTML


def test_the_same_bytes_always_give_the_same_document_and_another_place_another_id() -> None:
    assert read("same", "a.txt") == read("same", "a.txt")
    assert read("same", "a.txt").id != read("same", "b.txt").id


def test_the_identity_holds_that_of_every_reader() -> None:
    made = Readers({TEXT: TextReader, MARKDOWN: (MarkdownReader, TextReader)})
    assert made.identity == f"readers@1({versions.MARKDOWN} {versions.TEXT})"


def test_the_identity_is_that_of_the_readers_as_made_and_is_told_without_loading_them() -> None:
    made = Readers({kind: [lambda one=one: one() for one in readers] for kind, readers in default_factories().items()})
    assert made.identity == Readers().identity
    made.close()
    code = (
        "import sys; from citewell.reading.readers import Readers; Readers().identity; "
        "print(*[name for name in sys.modules if name.startswith('citewell.reading.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    light = {"readers", "detect", "decode", "formats", "images", "languages", "limits", "ocr", "versions"}
    assert {name.removeprefix("citewell.reading.") for name in loaded} <= light


def test_a_source_over_the_limit_is_refused_before_anything_looks_at_it() -> None:
    source = Source("big.txt", b"x" * 100_000_000)
    start = time.process_time()
    with pytest.raises(ReadError, match=r"100,000,000 bytes; the limit reading\.max_bytes is 50,000,000") as caught:
        Readers().read(source)
    assert caught.value.kind == "limit_exceeded"
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    ("content", "uri", "said"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(range(256)), "x.txt", "an image (jp2)"),
        (b"PK\x03\x04" + b"\0" * 22 + b"\x05\0\0\0a.txt", "x.xlsx", "a ZIP archive"),
        (b"a\0" * 128 + b"\0ustar\0" + b"\0" * 300, "x.tar", "a tar archive"),
    ],
)
def test_a_type_without_a_reader_is_named_in_words_with_what_to_do(content: bytes, uri: str, said: str) -> None:
    with pytest.raises(ReadError, match="not read yet") as caught:
        Readers().read(Source(uri, content))
    assert caught.value.kind == "unsupported_type"
    assert str(caught.value).startswith(f"This is {said}, which is not read yet. ")


def test_a_type_that_has_no_name_is_refused_with_the_types_that_are_read() -> None:
    with pytest.raises(ReadError, match=r"type text/html.*: Markdown, plain text\."):
        Readers({TEXT: TextReader, MARKDOWN: MarkdownReader}).read(Source("x", b"<!doctype html><p>x"))


def test_a_crash_of_a_reader_is_a_corrupt_file_not_a_crash_of_ours() -> None:
    made = Readers({TEXT: failing(RecursionError("deep"))})
    assert kind_of(made, b"x") == "corrupt"
    with pytest.raises(ReadError, match="failing@1 failed on it with RecursionError"):
        made.read(Source("x.txt", b"x"))


def test_the_next_reader_is_tried_unless_the_failure_is_final() -> None:
    assert Readers({TEXT: (failing(ValueError()), TextReader)}).read(Source("x.txt", b"x")).reader == versions.TEXT
    made = Readers({TEXT: (failing(ReadError("encrypted", "The file is locked.")), TextReader)})
    assert kind_of(made, b"x") == "encrypted"


def test_what_a_second_reader_found_says_that_the_first_could_not() -> None:
    made = Readers({TEXT: (failing(ReadError("no_text", "Nothing found.")), TextReader)})
    assert made.read(Source("x.txt", b"x")).warnings == (
        f"Read by {versions.TEXT}, because failing@1 could not: Nothing found.",
    )
    made = Readers({TEXT: (failing(ReadError("unsupported_type", "Not mine.")), TextReader)})
    assert made.read(Source("x.txt", b"x")).warnings == ()
    made = Readers({TEXT: (failing(ReadError("no_text", "Nothing found.")), failing(ValueError()))})
    with pytest.raises(ReadError, match=r"Nothing found\. Tried were failing@1, failing@1\."):
        made.read(Source("x.txt", b"x"))


def test_when_all_readers_fail_the_first_one_speaks() -> None:
    first = ReadError("no_text", "first")
    assert kind_of(Readers({TEXT: (failing(first), failing(ValueError()))}), b"x") == "no_text"


def test_a_reader_whose_library_is_missing_is_reported_as_such() -> None:
    def missing() -> TextReader:
        raise ModuleNotFoundError("No module named 'x'", name="x")

    assert kind_of(Readers({TEXT: missing}), b"x") == "unsupported_type"


def test_a_library_that_is_missing_only_when_it_reads_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    with pytest.raises(ReadError, match="read with lxml, which is not installed") as caught:
        Readers({HTML: HtmlReader}).read(Source("x.html", b"<!doctype html><p>x"))
    assert caught.value.kind == "unsupported_type"


@pytest.mark.parametrize(
    ("content", "uri"),
    [(b" \n\t", "x.txt"), (b"---\na: b\n---\n", "x.md"), (b"<p hidden>a</p>", "x.html"), (b",,\n,\n", "x.csv"),
     (b"<html></html>", "x.html"), (b"<!-- c -->", "x.md"), ("\ufeff".encode(), "x.txt")],
)  # fmt: skip
def test_a_document_without_visible_text_is_refused(content: bytes, uri: str) -> None:
    assert kind_of(Readers(), content, uri) == "no_text"


def test_plain_text_is_kept_character_for_character() -> None:
    text = "TITLE OF THIS\n\n  Indented  line\nsecond line  \n\n\n\tLast.\n"
    document = read(text, "x.txt")
    assert document.text == text
    assert [(b.kind.value, b.level, b.span.of(text)) for b in document.blocks] == [
        ("heading", 1, "TITLE OF THIS"),
        ("paragraph", 0, "Indented  line\nsecond line"),
        ("paragraph", 0, "Last."),
    ]


def test_underlined_lines_of_plain_text_are_headings_by_order_of_their_style() -> None:
    document = read("Guide\n=====\nIntro\n\nSetup\n-----\n\nDo it.\n\nNot a heading\n--\nx\n", "x.txt")
    assert [(b.kind.value, b.level, b.heading_path) for b in document.blocks] == [
        ("heading", 1, ()),
        ("paragraph", 0, ("Guide",)),
        ("heading", 2, ("Guide",)),
        ("paragraph", 0, ("Guide", "Setup")),
        ("paragraph", 0, ("Guide", "Setup")),
    ]


BOMBS = {
    "md": ["[" * 9, "![a](", "*a ", "> " * 90 + "\n", "- ", "|a", "<!--", "`` ` ", "[a]: b\n", "&#", "1. x\n", "a\n"],
    "html": ["<p>x", "<b><i>", "<li>x", "<table><tr><td>", "<br>x", "<", "&amp", "<td colspan=9>", "</p>", "<!--"],
    "csv": ['"', ",", 'a,"b\n', "a;b,c\t\n"],
    "txt": ["=", "ab\n==\n", " ", "\n ", "Q: a\nA: b\n", "Q:\n", "A: ", "AB CD\n\n", "\t:"],
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "unit"), [(suffix, unit) for suffix, units in BOMBS.items() for unit in units])
def test_repeated_markup_takes_time_in_proportion_or_is_refused(suffix: str, unit: str) -> None:
    def seconds(size: int) -> float:
        source = Source(f"x.{suffix}", b"words here\n\n" + (unit * (size // len(unit))).encode())
        start = time.process_time()
        try:
            readers.read(source)
        except ReadError as error:
            assert error.kind in ("limit_exceeded", "no_text"), error  # noqa: PT017 - both outcomes are fine
        return time.process_time() - start

    # In this process, where the time can be measured.
    readers = Readers({kind: [replace(one, pool=None) for one in made] for kind, made in default_factories().items()})
    assert not out_of_proportion(seconds, 10_000)


def pids() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set((task / "children").read_text().split())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("uri", "content", "apart"),
    [
        ("x.md", b"x" * 62, False),
        ("x.md", b"x" * 63, True),
        ("x.md", b"a <table><tr><td>b</table>", True),
        ("x.txt", b"x" * 1000, False),
        ("x.txt", b"x" * 1001, True),
        ("x.html", b"<!doctype html><p>x", True),
    ],
)
def test_what_is_long_or_needs_a_native_parser_is_read_in_a_worker(uri: str, content: bytes, apart: bool) -> None:
    before = pids()
    readers = Readers(default_factories(inline_bytes=1000))
    try:
        assert readers.read(Source(uri, content)).text
        assert bool(pids() - before) == apart
    finally:
        readers.close()
    assert not pids() - before
