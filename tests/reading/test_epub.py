"""EPUB: chapters in the order of the spine, under the headings of the table of contents."""

import io
import zipfile

import pytest
from image_samples import PNG
from laws import assert_lawful, shown

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.epub import EpubReader
from citewell.reading.formats import EPUB
from citewell.types import BlockKind, Document, Reason, Source

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="b/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
OPF = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>Key book</dc:title><dc:creator>Ana</dc:creator><dc:creator>Bo</dc:creator><dc:language>en</dc:language>
<dc:subject>keys</dc:subject><dc:subject>locks</dc:subject></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="gone" href="text/gone.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="n"/><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/></spine></package>"""  # noqa: E501
NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body><nav epub:type="toc"><ol>
<li><a href="text/one.xhtml">Part I</a><ol><li><a href="text/two%20b.xhtml#s">The <i>lock</i></a></li></ol></li></ol></nav>
</body></html>"""  # noqa: E501
ONE = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><a id="x"/>
<h2>First part</h2><p>Keys&nbsp;turn.</p><p><img src="../key.png" alt="A key"/><img src="../odd.png" alt="Odd"/>
<img src="https://x.example/far.png"/></p></body></html>"""
TWO = "<html><body><p>Locks hold.</p></body></html>"
BOOK: dict[str, str | bytes] = {
    "META-INF/container.xml": CONTAINER, "b/content.opf": OPF, "b/nav.xhtml": NAV, "b/text/one.xhtml": ONE,
    "b/text/two b.xhtml": TWO, "b/key.png": PNG, "b/odd.png": b"no image",
}  # fmt: skip


def packed(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def book(**changed: str | bytes) -> Document:
    names = {
        "opf": "b/content.opf",
        "nav": "b/nav.xhtml",
        "one": "b/text/one.xhtml",
        "encryption": "META-INF/encryption.xml",
    }
    parts = {**BOOK, **{names[name]: content for name, content in changed.items()}}
    document = EpubReader().read(Source("k.epub", packed({name: c for name, c in parts.items() if c})))
    assert_lawful(document)
    return document


def kind_of(**changed: str | bytes) -> str:
    with pytest.raises(ReadError) as caught:
        book(**changed)
    return caught.value.kind


def test_chapters_stand_in_the_order_of_the_spine_with_levels_of_the_contents() -> None:
    assert detect(packed(BOOK), "x.zip") == EPUB
    document = book()
    found = [(b.kind.value, b.level, b.span.of(document.text)) for b in document.blocks if not b.boilerplate]
    assert found == [
        ("heading", 1, "First part"),
        ("paragraph", 0, "Keys\xa0turn."),
        ("figure", 0, "A key"),
        ("figure", 0, "Odd"),
        ("heading", 2, "The lock"),
        ("paragraph", 0, "Locks hold."),
    ]
    assert document.blocks[-1].heading_path == ("First part", "The lock")


def test_the_page_of_contents_is_boilerplate() -> None:
    document = book()
    assert [b.span.of(document.text) for b in document.blocks if b.boilerplate] == ["Part I", "The lock"]


def test_the_book_says_who_wrote_it() -> None:
    document = book()
    assert document.title == "Key book"
    assert document.metadata == {"author": "Ana, Bo", "language": "en", "subjects": ("keys", "locks")}


def test_images_of_the_book_are_kept_and_what_is_no_image_is_counted() -> None:
    document = book()
    assert [(one.name, one.alt, one.content) for one in document.assets] == [("b/key.png", "A key", PNG)]
    assert document.account.left_out[Reason.UNREADABLE].images == 1
    figure = next(block for block in document.blocks if block.kind is BlockKind.FIGURE)
    assert figure.asset == document.assets[0].id


def test_a_block_names_the_part_that_it_stands_in() -> None:
    place = book().blocks[-1].source
    assert place is not None
    assert place.part == "b/text/two b.xhtml"


def test_hidden_text_of_a_chapter_is_flagged_and_told() -> None:
    document = book(one=ONE.replace("<p>Keys", '<p style="display:none">Doors sing.</p><p>Keys'))
    assert [block.span.of(document.text) for block in document.blocks if block.hidden] == ["Doors sing."]
    assert "Blocks of hidden text, marked as hidden: 1." in document.warnings
    assert not any("hidden" in said for said in book().warnings)


def test_a_chapter_that_is_missing_is_a_warning() -> None:
    assert any("text/gone.xhtml" in warning for warning in book().warnings)


def test_the_contents_of_epub_2_serve_as_well() -> None:
    ncx = (
        '<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Old style</text></navLabel>'  # noqa: E501
        '<content src="text/two%20b.xhtml"/></navPoint></navMap></ncx>'
    )
    opf = OPF.replace('media-type="application/xhtml+xml" properties="nav"', 'media-type="application/x-dtbncx+xml"')
    document = book(opf=opf.replace('<itemref idref="n"/>', "").replace("<spine>", '<spine toc="n">'), nav=ncx)
    assert "Old style" in shown(document)


def test_a_book_without_a_package_file_is_read_by_the_names_of_its_chapters() -> None:
    assert "Locks hold." in book(opf="").text


def test_a_book_under_protection_is_encrypted_but_hidden_fonts_are_not() -> None:
    def encryption(method: str, part: str) -> str:
        return (
            '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData><EncryptionMethod '
            f'Algorithm="{method}"/><CipherReference URI="{part}"/></EncryptedData></encryption>'
        )

    assert (
        kind_of(encryption=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "b/text/one.xhtml")) == "encrypted"
    )
    assert book(encryption=encryption("http://www.idpf.org/2008/embedding", "b/text/one.xhtml"))


def test_entities_bombs_and_paths_out_of_the_book_are_refused() -> None:
    xxe = '<!DOCTYPE package [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + OPF.split("?>", 1)[1].replace(
        "Key book", "&x;"
    )
    assert kind_of(opf=xxe) == "unsafe_content"
    assert kind_of(one="<p>" + "\0" * 20_000_000) == "limit_exceeded"
    assert "root:" not in book(opf=OPF.replace("text/one.xhtml", "../../../../etc/passwd")).text


def test_a_damaged_book_is_corrupt() -> None:
    with pytest.raises(ReadError) as caught:
        EpubReader().read(Source("k.epub", packed(BOOK)[:400]))
    assert caught.value.kind == "corrupt"
