"""The type comes from the bytes; names only break ties between text formats."""

import io
import zipfile

import pytest

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import CSV, DOCX, EPUB, HTML, JSON, MAIL, MARKDOWN, PDF, PPTX, TEXT, XLSX

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PDF_BYTES = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n0\n%%EOF\n"


def zipped(*names: str, first: tuple[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if first:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, "x" * 100)
    return out.getvalue()


OFFICE = {
    DOCX: zipped("[Content_Types].xml", "word/document.xml"),
    PPTX: zipped("[Content_Types].xml", "ppt/presentation.xml"),
    XLSX: zipped("[Content_Types].xml", "xl/workbook.xml"),
    EPUB: zipped("META-INF/container.xml", first=("mimetype", "application/epub+zip")),
    "application/vnd.oasis.opendocument.text": zipped(
        "content.xml", first=("mimetype", "application/vnd.oasis.opendocument.text")
    ),
    "application/zip": zipped("a.txt", "word.txt"),
}


@pytest.mark.parametrize("media_type", OFFICE)
@pytest.mark.parametrize("name", ["x.pdf", "x.md", "x", "x.docx"])
def test_zip_formats_are_told_by_their_parts_whatever_the_name(media_type: str, name: str) -> None:
    assert detect(OFFICE[media_type], name) == media_type


def test_a_truncated_zip_is_still_told_by_its_first_parts() -> None:
    assert detect(OFFICE[DOCX][:300], "x.bin") == DOCX


def test_a_pdf_is_told_at_the_start_and_after_junk_but_not_in_text_about_pdf() -> None:
    assert detect(PDF_BYTES, "x.docx") == PDF
    assert detect(b"\n" + PDF_BYTES, "x") == PDF
    assert detect(b"HTTP/1.1 200 OK\r\n\r\n" + PDF_BYTES, "x") == PDF
    assert detect(b"A PDF file starts with %PDF-1.4 and ends with %%EOF.\n", "x.txt") == TEXT


def test_a_pdf_that_lost_its_header_still_goes_to_the_pdf_reader() -> None:
    assert detect(b"\x00\x01\x02" * 20 + b"7 0 obj <</Type/XRef /Length 3>> stream", "x.bin") == PDF


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        ("<!doctype html><p>x", "x.txt", HTML),
        ("<?xml version='1.0'?>\n<html xmlns='x'><body/></html>", "x.md", HTML),
        ("\n  <!-- note --><html><p>x", "x", HTML),
        ("just <b>bold</b> words", "x.html", HTML),
        ("<p align=center>logo</p>\n\n# Title", "README.md", MARKDOWN),
        ("<p align=center>logo</p>\n\n<p>more", "page", HTML),
        ("# Title\n\nSee [this](there).\n", "page", MARKDOWN),
        ("---\ntitle: x\n---\nbody", "page", MARKDOWN),
        ("# comment\nx = 1\n", "x.py", "text/x-python"),
        ("# comment\nx = 1\n", "x.txt", TEXT),
        ("a,b,c\n1,2,3\n4,5,6\n", "table", CSV),
        ("a,b,c\n1,2,3\n4,5,6\n", "notes.txt", TEXT),
        ("a;b\n1;2\n", "x.csv", CSV),
        ("One, two.\nThree, four.\nFive, six.\n", "letter", TEXT),
        ('[{"question": "a", "answer": "b"}]', "x", JSON),
        ('{"a": 1}\n{"a": 2}\n', "x.txt", JSON),
        ("[link](x) is how it starts, and [this] is how it ends", "x", TEXT),
        ('{ "name": "John", "age": 30', "x.txt", TEXT),
        ("{braces} at the start", "x", TEXT),
        ("plain words", "x", TEXT),
        ("plain words", "x.unknown", TEXT),
    ],
)
def test_text_formats_are_told_by_content_first_and_name_second(content: str, name: str, media_type: str) -> None:
    assert detect(content.encode(), name) == media_type
    assert detect(b"\xef\xbb\xbf" + content.encode(), name) == media_type
    assert detect(content.encode("utf-16"), name) == media_type


def test_a_declared_type_breaks_ties_before_the_name_but_never_overrules_content() -> None:
    assert detect(b"a, b", "x.txt", "text/csv; charset=utf-8") == CSV
    assert detect(PDF_BYTES, "x", "text/markdown") == PDF
    assert detect(b"<!doctype html><p>x", "x.md", "text/csv") == HTML


def test_urls_are_split_before_their_suffix_is_looked_at() -> None:
    assert detect(b"a, b", "https://example.org/data.csv?x=1.md") == CSV


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (bytes(range(256)) * 4, "unsupported_type"),
        (OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\0\0", "encrypted"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "unsafe_content"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_kind(content: bytes, kind: str) -> None:
    with pytest.raises(ReadError) as caught:
        detect(content, "some/file.docx")
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 20, "image/png"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\1\2\3" * 9, "application/x-gzip"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (OLE + "WordDocument".encode("utf-16-le") + b"\0\0", "application/msword"),
    ],
)
def test_known_types_without_a_reader_are_still_named(content: bytes, media_type: str) -> None:
    assert detect(content, "x.txt") == media_type


MAIL_HEAD = "From: a@b.c\nTo: d@e.f\nSubject: Plan\n"
MAIL_CODED = f"{MAIL_HEAD}Content-Type: text/plain;\n charset=utf-8\nContent-Transfer-Encoding: base64\n\nSGk="


def test_a_mail_is_told_from_a_memo_by_a_body_that_nobody_can_read() -> None:
    assert detect(MAIL_CODED.encode(), "x") == MAIL
    assert detect(MAIL_CODED.replace("\n", "\r\n").encode(), "x.txt") == MAIL
    assert detect(f"{MAIL_HEAD}\nHello.".encode(), "x.txt") == TEXT
    assert detect(f"{MAIL_HEAD}\nHello.".encode(), "x.eml") == MAIL
    assert detect(f"On MIME:\n\n{MAIL_CODED}".encode(), "x.txt") == TEXT
