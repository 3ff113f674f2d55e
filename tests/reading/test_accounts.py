"""Everything that a source holds is kept, or left out under a named reason; the sum is always all of it."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import read
from reportlab.pdfgen.canvas import Canvas

from citewell.errors import ReadError
from citewell.reading import attachments, html, pdf
from citewell.reading.attachments import safe_name
from citewell.reading.images import picture
from citewell.reading.pdf import PdfReader
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import Table
from citewell.types import Account, BlockKind, Reason, Region, Source, Tally, count_characters

TALLIES = st.builds(Tally, *[st.integers(0, 10**6)] * 4)


@given(st.text())
def test_characters_are_counted_as_python_sees_white_space(text):
    assert count_characters(text) == sum(not sign.isspace() for sign in text)


def test_every_white_space_there_is_counts_for_nothing():
    signs = "".join(chr(code) for code in range(0x110000))
    assert count_characters(signs) == sum(not sign.isspace() for sign in signs)


@given(TALLIES, st.dictionaries(st.sampled_from(Reason), TALLIES))
def test_what_was_found_is_what_was_kept_and_what_was_left_out(kept, left_out):
    account = Account.of(kept, left_out)
    assert account.found.characters == kept.characters + sum(one.characters for one in left_out.values())
    assert account.found.pages == kept.pages + sum(one.pages for one in left_out.values())
    assert all(account.left_out.values()), "no reason for nothing"
    both = account + account
    assert (both.found.images, both.kept.cells) == (2 * account.found.images, 2 * kept.cells)


def test_an_account_that_does_not_add_up_cannot_be_made():
    with pytest.raises(AssertionError):
        Account(Tally(3), Tally(1), {Reason.HIDDEN: Tally(1)})


def png(width: int = 40, height: int = 30, shade: int = 0) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def built(*pieces: Piece, pages: int | None = None, found: int | None = None):
    builder = Builder()
    builder.add(Piece(BlockKind.PARAGRAPH, "seen text"))
    for piece in pieces:
        builder.add(piece)
    return builder.document(Source("a", b"x"), reader="t@1", media_type="m/t", pages=pages, found=found)


def test_flagged_blocks_count_under_their_reason_and_separators_for_nothing():
    table = Table([["a b", None, "c"], ["", "d", "e"]])
    document = built(
        Piece(BlockKind.TABLE, table=table),
        Piece(BlockKind.TABLE, table=table, hidden=True),
        Piece(BlockKind.FOOTER, "foot", boilerplate=True),
        Piece(BlockKind.FOOTER, "both", boilerplate=True, hidden=True),
    )
    account = document.account
    assert account.kept == Tally(characters=8 + 5, cells=4)
    assert account.left_out == {Reason.HIDDEN: Tally(5 + 4, 4), Reason.BOILERPLATE: Tally(4)}
    assert account.found == Tally(26, 8)


def test_what_an_independent_count_has_found_beyond_is_unreadable():
    assert built(found=20).account.left_out == {Reason.UNREADABLE: Tally(12)}
    assert built(found=8).account.left_out == {}
    assert built(found=3).account.found == Tally(8)


def test_images_are_kept_once_with_all_their_places_and_counted_every_time():
    image, other, small = picture(png()), picture(png(shade=9), alt="other"), picture(png(4, 4))
    document = built(
        Piece(BlockKind.FIGURE, "first", asset=image, regions=[Region(1)]),
        Piece(BlockKind.FIGURE, "", asset=image, regions=[Region(2)]),
        Piece(BlockKind.FIGURE, "", asset=other, caption="Figure 2", hidden=True),
        Piece(BlockKind.FIGURE, "", asset=small),
        pages=2,
    )
    assert [(asset.media_type, asset.width, asset.height) for asset in document.assets] == [("image/png", 40, 30)] * 2
    first, second = document.assets
    assert (first.alt, first.regions) == ("first", (Region(1), Region(2)))
    shown = [(block.kind, block.asset) for block in document.blocks]
    assert shown[1:] == [(BlockKind.FIGURE, first.id), (BlockKind.CAPTION, second.id)]
    assert (first.span, second.span) == (document.blocks[1].span, document.blocks[2].span)
    assert document.account.kept.images == 1
    images = {reason: tally.images for reason, tally in document.account.left_out.items() if tally.images}
    assert images == {Reason.DUPLICATE: 1, Reason.HIDDEN: 1, Reason.TOO_SMALL: 1}
    assert document.account.found == Tally(len("seentext") + len("first") + len("Figure2"), 0, 4, 2)


@pytest.mark.parametrize(
    ("content", "kind", "size"),
    [
        (png(), "image/png", (40, 30)),
        (b"GIF89a\x07\x00\x05\x00", "image/gif", (7, 5)),
        (b"BM" + bytes(16) + struct.pack("<ii", 8, -6) + bytes(9), "image/bmp", (8, 6)),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01", "image/jpeg", (32, 16)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x0f\0\0\x1f\0\0" + bytes(9), "image/webp", (16, 32)),
        (b"<?xml version='1.0'?><svg viewBox='0 0 1 1'/>", "image/svg+xml", (0, 0)),
        (b"\xff\xd8\xff", "image/jpeg", (0, 0)),
        (b"\xff\xd8\xff" + b"\xff" * 5000, "image/jpeg", (0, 0)),
    ],
)
def test_images_are_known_by_their_first_bytes(content, kind, size):
    found = picture(content)
    assert found is not None
    assert (found.media_type, (found.width, found.height)) == (kind, size)


def test_what_is_no_image_is_none():
    assert [picture(one) for one in (b"", b"text", b"%PDF-1.7", b"<html><svg></svg>"[:6], b"\x89PNG")] == [None] * 5


def test_images_inside_a_page_are_kept_and_those_elsewhere_are_not():
    uri = "data:image/png;base64," + base64.b64encode(png()).decode()
    page = f"<body><p>Some text<img src='{uri}' alt='inside'><img src='https://x/y.png' alt='outside'></body>"
    marked = f"Some text ![inside]({uri})\n\n![outside](https://x/y.png)\n"
    for document in (read(page, "a.html"), read(marked, "a.md")):
        assert [asset.content for asset in document.assets] == [png()]
        assert document.account.found.images == 1
        figures = [block for block in document.blocks if block.kind is BlockKind.FIGURE]
        assert [figure.span.of(document.text) for figure in figures] == ["inside", "outside"]
        assert [figure.asset for figure in figures] == [document.assets[0].id, None]


PAGE = """<html><head><title>T</title><style>p {}</style></head><body><nav><a href=x>Home</a></nav><main>
<p>One paragraph with words enough to be the main part of this page, and more than that, as it goes on and on until
it has more than two hundred characters, which is what makes a part the main one of a page like this one here.</p>
<table><tr><th>A<th>B<tr><td>c<td>d</table><script>let hidden = 1</script><p style="display:none">unseen</p></main>
</body></html>"""


def test_a_page_is_accounted_for_and_a_branch_of_its_reader_that_fails_shows(monkeypatch):
    account = read(PAGE, "a.html").account
    assert account.left_out == {Reason.BOILERPLATE: Tally(4), Reason.HIDDEN: Tally(6)}
    assert account.kept.cells == 4
    monkeypatch.setattr(html._Walk, "_table", lambda *_: None)
    # In this process: a worker would read with the branch that works.
    document = html.HtmlReader().read(Source("a.html", PAGE.encode()))
    assert document.account.left_out[Reason.UNREADABLE] == Tally(4)


def test_a_pdf_is_accounted_for_and_text_that_its_parser_drops_shows(monkeypatch):
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True)
    for page in range(3):
        canvas.drawString(72, 800, "Running head of the report")
        canvas.drawString(72, 600, f"The text of page {page} is about the limits of hotels and of flights.")
        canvas.drawString(72, 560, "- and one more thing")
        canvas.showPage()
    canvas.save()
    source = Source("a.pdf", buffer.getvalue())
    account = PdfReader().read(source).account
    assert account.left_out == {Reason.BOILERPLATE: Tally(3 * 22)}
    assert account.found.pages == account.kept.pages == 3
    whole = pdf.read_page
    monkeypatch.setattr(pdf, "read_page", lambda page, *more: whole(page, *more)[:-1])
    assert PdfReader().read(source).account.left_out[Reason.UNREADABLE].characters >= 3 * 10


def test_fields_that_are_not_read_are_counted():
    records = [{"question": "Who?", "answer": "Me.", "note": "not read"}]
    account = read(json.dumps(records), "a.json").account
    assert (account.kept, account.left_out) == (Tally(7), {Reason.UNREADABLE: Tally(7)})
    account = read("question,answer,note\nWho?,Me.,not read\n,lost,\n", "a.csv").account
    assert (account.kept.characters, account.left_out) == (7, {Reason.UNREADABLE: Tally(11, 2)})


@given(st.lists(st.text(max_size=300), max_size=30))
def test_names_of_attachments_lead_nowhere_and_are_unique(names):
    taken: set[str] = set()
    for number, name in enumerate(names):
        safe = safe_name(name, taken, number)
        assert safe not in taken
        taken.add(safe)
        assert not safe.startswith("/")
        assert "!/" not in safe
        assert not re.search(r"[\x00-\x1f\\]|\A[A-Za-z]:", safe)
        assert all(part not in ("", ".", "..") and len(part.encode()) < 230 for part in safe.split("/"))


def test_names_of_attachments_stay_as_they_are_where_they_can():
    assert safe_name("reports/2024 größer.csv", set(), 1) == "reports/2024 größer.csv"
    assert safe_name("..\\..\\etc/passwd", set(), 1) == "etc/passwd"
    assert safe_name("C:\\x.txt", {"x.txt"}, 1) == "x (2).txt"
    assert safe_name("a!/b.eml!", set(), 1) == "a_/b.eml_"
    assert safe_name("\u202efdp.exe", set(), 1) == "fdp.exe"
    assert safe_name("//", set(), 7) == "part-7"


def test_attachments_are_limited_in_number_and_size(monkeypatch):
    monkeypatch.setattr(attachments, "MAX_PARTS", 3)
    monkeypatch.setattr(attachments, "MAX_PART_BYTES", 100)
    builder = Builder()
    assert [builder.attach("a.txt", b"x" * 30) for _ in range(3)] == ["a.txt", "a (2).txt", "a (3).txt"]
    with pytest.raises(ReadError, match="4 files inside; the limit is 3") as caught:
        builder.attach("b", b"")
    assert caught.value.kind == "limit_exceeded"
    with pytest.raises(ReadError, match="101 bytes of files inside; the limit is 100"):
        Builder().attach("b", b"x" * 101)
