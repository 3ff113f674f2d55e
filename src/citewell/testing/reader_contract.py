"""The contract of `Reader` as a test suite: every implementation runs `CASES` on sources of its own type.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_reader_keeps_the_contract(case):
        case(MyReader, [Source("file:///report.xyz", content)])

Each case gets a function that makes a reader, and sources that can be read. Give it several: small, large, odd.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.testing.document_laws import assert_document
from citewell.types import Document, Source

MakeReader: TypeAlias = Callable[[], Reader]

DAMAGES = 12
"""How many damaged copies of each source are tried."""


def documents_keep_the_laws(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    for source in sources:
        assert_document(reader.read(source), source)


def documents_name_the_reader_that_made_them(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    identity = reader.identity
    assert identity.strip()
    assert "\n" not in identity
    for source in sources:
        # One made of readers is known by them all, and a document by the one that read it.
        assert reader.read(source).reader in identity
    assert reader.identity == identity == make().identity


def the_same_bytes_make_the_same_document(make: MakeReader, sources: Sequence[Source]) -> None:
    one, other = make(), make()
    first = [one.read(source) for source in sources]
    assert [one.read(source) for source in reversed(sources)] == first[::-1]
    assert [other.read(source) for source in sources] == first


def the_id_follows_the_place_and_the_text_alone(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    for source in sources:
        document = reader.read(source)
        stem, dot, suffix = source.uri.rpartition(".")
        places = [
            replace(source, uri=f"{stem}-copy{dot}{suffix}" if dot else f"{source.uri}-copy"),
            replace(source, tenant=f"{source.tenant}-2"),
            replace(source, bucket=f"{source.bucket}-2"),
        ]
        elsewhere = [reader.read(place) for place in places]
        assert {one.text for one in elsewhere} == {document.text}
        assert len({document.id, *(one.id for one in elsewhere)}) == 4
        later = replace(source, fetched_at="2031-01-01T00:00:00+00:00", metadata={"owner": "ann"})
        assert reader.read(later).id == document.id
    read = [reader.read(source) for source in sources]
    assert len({document.id for document in read}) == len({(document.uri, document.text) for document in read})


def threads_may_read_at_once(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    alone = [reader.read(source) for source in sources]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make().read, [*sources, *sources])) == alone * 2
        assert list(pool.map(reader.read, [*sources, *sources])) == alone * 2


def damaged_bytes_are_read_or_refused_with_a_kind(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    for source in sources:
        whole = reader.read(source)
        for content in _damaged(source.content):
            _read_or_refused(reader, replace(source, content=content))
        assert reader.read(source) == whole, "a reader is none the worse for what it refused"


def what_is_no_document_at_all_is_refused_with_a_kind(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    source = sources[0]
    for content in (b"", b" \n\t \r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00" * 64):
        refused = _read_or_refused(reader, replace(source, content=content))
        assert refused is None, f"{content!r} holds no text, and was read as {refused.text!r}"


def bytes_of_another_type_are_read_or_refused_with_a_kind(make: MakeReader, sources: Sequence[Source]) -> None:
    reader = make()
    others = (
        *(b"%PDF-1.7\n%%EOF", b"PK\x03\x04not a zip", b"\x89PNG\r\n\x1a\n\x00\x00", b"{", b'{"a": [1, 2', b"<html"),
        *(b"\x1f\x8b\x08\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"a,b\n1", b"# t\n\nx", bytes(range(256)) * 4),
    )
    for content in others:
        _read_or_refused(reader, replace(sources[0], content=content))


def _read_or_refused(reader: Reader, source: Source) -> Document | None:
    """The lawful document, or None where a ReadError of a known kind names the source."""
    try:
        document = reader.read(source)
    except ReadError as error:
        refused = error
    else:
        assert_document(document, source)
        return document
    assert refused.kind in ReadError.KINDS
    assert source.uri in str(refused), refused
    return None


def _damaged(content: bytes) -> Iterator[bytes]:
    """Copies of `content` cut, with a hole, with wrong bytes, doubled; the same every time."""
    drawn = random.Random(len(content))  # noqa: S311
    for number in range(DAMAGES):
        at = drawn.randrange(len(content))
        size = drawn.randrange(1, 2 + len(content) // 10)
        if number % 4 == 0:
            yield content[:at]
        elif number % 4 == 1:
            yield content[:at] + content[at + size :]
        elif number % 4 == 2:
            yield content[:at] + drawn.randbytes(size) + content[at + size :]
        else:
            yield content[at:] + content[: at + size]


CASES: tuple[Callable[[MakeReader, Sequence[Source]], None], ...] = (
    documents_keep_the_laws,
    documents_name_the_reader_that_made_them,
    the_same_bytes_make_the_same_document,
    the_id_follows_the_place_and_the_text_alone,
    threads_may_read_at_once,
    damaged_bytes_are_read_or_refused_with_a_kind,
    what_is_no_document_at_all_is_refused_with_a_kind,
    bytes_of_another_type_are_read_or_refused_with_a_kind,
)
"""All cases."""
