"""Every block of the formats of structured text and of mail can be shown in its source."""

import pytest
from ole_samples import container
from test_code import PYTHON
from test_epub import BOOK, packed
from test_json_records import DATA
from test_mail import HEAD, HTML, MBOX_TEXT, MESSAGE, parts
from test_mhtml import HTML as PAGE_OF_ARCHIVE
from test_mhtml import archive
from test_notebook import code, notebook, result
from test_odt import BODY
from test_odt import packed as packed_odt
from test_rst import PAGE
from test_rtf import HEAD as RTF_HEAD
from test_xml import DOCBOOK

from citewell.reading.readers import Readers
from citewell.testing.place_laws import misplaced
from citewell.types import Source

SAMPLES: dict[str, bytes] = {
    "a.eml": (HEAD + parts(HTML, "\nplain\n")).encode(),
    "b.eml": (HEAD + parts(HTML, "\nplain\n")).encode("utf-16"),
    "a.mbox": MBOX_TEXT.encode(),
    "a.msg": container(MESSAGE),
    "a.mhtml": archive(PAGE_OF_ARCHIVE.format("<p>more")),
    "b.mhtml": archive(PAGE_OF_ARCHIVE.format("<p>more"), "cp1252", "; charset=windows-1252"),
    "a.epub": packed(BOOK),
    "a.odt": packed_odt(BODY),
    "a.rtf": RTF_HEAD.encode() + rb"\pard One\par\trowd\intbl a\cell b\cell\row\pard{\header H\par}Two\par}",
    "a.json": DATA.encode(),
    "b.json": b'{"a": {"gr\\u00f6sse": "x \\"y\\""}, "r": [{"n": {"x": "1"}}, {"n": {"x": "2"}}]}',
    "a.xml": DOCBOOK.encode(),
    "b.xml": b"<r><a><b>1</b></a><a><b>2</b></a></r>",
    "a.ipynb": notebook(code("x = 1", result(text_plain="1"))),
    "a.rst": PAGE.encode(),
    "a.py": PYTHON.encode(),
    "b.py": PYTHON.replace("\n", "\r\n").encode("utf-16"),
}


@pytest.mark.parametrize("uri", SAMPLES)
def test_every_block_can_be_shown_in_its_source(uri: str) -> None:
    readers = Readers()
    source = Source(uri, SAMPLES[uri], media_type="application/xml" if uri == "b.xml" else None)
    document = readers.read(source)
    assert document.blocks
    assert [(block.span.of(document.text), said) for block, said in misplaced(document, source)] == []
    readers.close()


@pytest.mark.parametrize("uri", SAMPLES)
def test_the_account_of_what_was_found_adds_up(uri: str) -> None:
    readers = Readers()
    account = readers.read(Source(uri, SAMPLES[uri])).account
    assert sum(account.left_out.values(), account.kept) == account.found
    assert account.kept.characters > 0
    readers.close()
