"""Web archives: the page as if it were read by itself, with the images that came with it."""

import base64

import pytest
from image_samples import PNG
from laws import assert_lawful, shown

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import WEB_ARCHIVE
from citewell.reading.html import HtmlReader
from citewell.reading.mhtml import MhtmlReader
from citewell.types import Document, Source

HTML = "<html><head><title>Limits</title></head><body><nav><a href=/>Home</a></nav><main><h1>Grenzen</h1><p>Größe 5.</p>{}</main></body></html>"  # noqa: E501
HEAD = (
    "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://acme.example/a/limits.html\r\nSubject: Limits\r\n"
    "Date: Thu, 02 Jan 2025 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/related; type="text/html"; boundary="b"\r\n\r\n'
)


def archive(body: str, charset: str = "utf-8", label: str = "; charset=utf-8") -> bytes:
    page = base64.encodebytes(body.encode(charset)).replace(b"\n", b"\r\n")
    image = base64.encodebytes(PNG).replace(b"\n", b"\r\n")
    return b"".join(
        [
            HEAD.encode(),
            f"--b\r\nContent-Type: text/html{label}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + page,
            b"--b\r\nContent-Type: text/css\r\n\r\np{}\r\n",
            b"--b\r\nContent-Type: image/png\r\nContent-Location: https://acme.example/a/pic.png\r\n",
            b"Content-ID: <pic@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + image + b"--b--\r\n",
        ]
    )


def read_archive(content: bytes) -> Document:
    document = MhtmlReader().read(Source("x.mhtml", content))
    assert_lawful(document)
    return document


def test_the_page_reads_as_it_does_by_itself() -> None:
    alone = HtmlReader().read(Source("x.mhtml", HTML.format("").encode()))
    document = read_archive(archive(HTML.format("")))
    assert detect(archive(HTML), "page.txt") == WEB_ARCHIVE
    assert (document.text, document.title) == (alone.text, "Grenzen")
    assert [(b.kind, b.boilerplate) for b in document.blocks] == [(b.kind, b.boilerplate) for b in alone.blocks]
    assert document.metadata["canonical"] == "https://acme.example/a/limits.html"
    assert document.metadata["saved"] == "2025-01-02T10:00:00+01:00"


@pytest.mark.parametrize("src", ["pic.png", "https://acme.example/a/pic.png", "cid:pic@x"])
def test_images_of_the_archive_are_kept(src: str) -> None:
    document = read_archive(archive(HTML.format(f"<img src='{src}' alt=Chart>")))
    assert [(one.alt, one.content) for one in document.assets] == [("Chart", PNG)]


def test_an_image_elsewhere_is_not_looked_at() -> None:
    assert (
        read_archive(archive(HTML.format("<img src='http://[broken' alt=A><img src=http://x.example/b.png>"))).assets
        == ()
    )


@pytest.mark.parametrize(
    ("charset", "label"), [("cp1252", "; charset=windows-1252"), ("utf-16", ""), ("cp1252", "; charset=x-user-defined")]
)
def test_the_charset_of_the_page_is_followed(charset: str, label: str) -> None:
    assert "Größe 5." in shown(read_archive(archive(HTML.format(""), charset, label)))


def test_a_page_that_only_frames_others_gives_way_to_the_next() -> None:
    content = (
        HEAD
        + "--b\r\nContent-Type: text/html\r\n\r\n<frameset></frameset>\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Inside.\r\n--b--"  # noqa: E501
    )
    document = read_archive(content.encode())
    assert document.text == "Inside."
    assert document.warnings == ("1 other pages of the archive were left out.",)


def test_an_archive_without_a_page_has_no_text() -> None:
    with pytest.raises(ReadError) as caught:
        read_archive((HEAD + "--b\r\nContent-Type: text/css\r\n\r\np{}\r\n--b--").encode())
    assert caught.value.kind == "no_text"
