"""Links, comments and filled-in forms of PDFs stand in the text where they stand on the page."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from citewell.reading.pdf import PdfReader
from citewell.types import BlockKind, Source, count_characters


@pytest.fixture(scope="module")
def document():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True)
    width = canvas.stringWidth
    canvas.setFont("Helvetica", 11)
    canvas.drawString(72, 740, "Read the travel policy on our site before you leave, as everyone has to.")
    start, end = 72 + width("Read the ", "Helvetica", 11), 72 + width("Read the travel policy", "Helvetica", 11)
    canvas.linkURL("https://example.com/policy", (start, 737, end, 750))
    canvas.drawString(72, 726, "See chapter two for all of the details that matter to you.")
    canvas.linkRect("", "two", (72, 723, 72 + width("See chapter two", "Helvetica", 11), 736))
    canvas.linkURL("javascript:alert(1)", (300, 723, 320, 736))
    form = canvas.acroForm
    canvas.drawString(72, 640, "Full name:")
    form.textfield(name="name", tooltip="Full name", x=150, y=635, width=200, height=18, value="Jane Q. Doe")
    for number, (label, on) in enumerate((("I agree to the terms", True), ("Send me the newsletter", False))):
        canvas.drawString(100, 600 - 20 * number, label)
        form.checkbox(name=f"box{number}", x=72, y=596 - 20 * number, checked=on)
    canvas.drawString(72, 540, "Smoker")
    form.checkbox(name="smoker", x=120, y=536, checked=True)
    form.radio(name="size", value="M", selected=True, x=72, y=500, tooltip="Shirt size")
    form.radio(name="size", value="L", selected=False, x=110, y=500, tooltip="Shirt size")
    canvas.textAnnotation("Check this with legal.", Rect=[400, 700, 420, 720])
    canvas.textAnnotation("Nobody is to see this.", Rect=[400, 300, 420, 320], F=2)
    canvas.grid([72, 200, 300], [460, 440, 420])
    for row, text in enumerate(("Paid", "Open")):
        canvas.drawString(80, 446 - 20 * row, text)
        form.checkbox(name=f"cell{row}", x=210, y=443 - 20 * row, size=14, checked=row == 0)
    canvas.showPage()
    canvas.bookmarkPage("two")
    canvas.drawString(72, 700, "Chapter two is short.")
    canvas.save()
    return PdfReader(ocr="none").read(Source("a.pdf", buffer.getvalue()))


def test_links_lead_from_the_text_under_them(document):
    found = [(link.span.of(document.text), link.target) for block in document.blocks for link in block.links]
    assert found == [("travel policy", "https://example.com/policy"), ("See chapter two", "#page=2")]


def test_what_was_filled_in_stands_beside_its_label(document):
    assert "Full name: Jane Q. Doe" in document.text


def test_what_is_written_large_in_a_field_is_no_heading():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True)
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(72, 740, "Inspection protocol")
    canvas.setFont("Helvetica", 9)
    for line in range(8):
        canvas.drawString(72, 700 - 11 * line, f"Point {line} of the list was looked at and found to be in good order.")
    canvas.acroForm.textfield(name="who", x=72, y=520, width=200, height=24, fontSize=16, value="Ottoline Brandt")
    canvas.save()
    document = PdfReader(ocr="none").read(Source("a.pdf", buffer.getvalue()))
    kinds = {block.span.of(document.text): block.kind for block in document.blocks}
    assert kinds["Inspection protocol"] is BlockKind.HEADING
    assert kinds["Ottoline Brandt"] is BlockKind.PARAGRAPH


def test_boxes_say_whether_they_are_ticked(document):
    assert "☑ I agree to the terms" in document.text
    assert "☐ Send me the newsletter" in document.text
    assert "Smoker ☑" in document.text
    assert "◉ Shirt size: M" in document.text
    assert "Paid ☑" in document.text
    assert "Open ☐" in document.text


def test_comments_are_marked_as_such_and_stand_where_they_were_made(document):
    comment = next(block for block in document.blocks if "legal" in block.span.of(document.text))
    assert comment.span.of(document.text) == "[Comment] Check this with legal."
    assert comment.kind is BlockKind.PARAGRAPH
    (region,) = comment.regions
    assert region.page == 1
    assert region.box == pytest.approx((400, 72, 420, 92), abs=1)
    hidden = next(block for block in document.blocks if "Nobody" in block.span.of(document.text))
    assert hidden.hidden


def test_fields_and_comments_are_in_the_account(document):
    account = document.account
    assert account.found.characters == count_characters(document.text.replace(" | ", " "))
    assert not any(tally.characters for reason, tally in account.left_out.items() if reason.value == "unreadable")


def test_files_inside_a_pdf_are_handed_on():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True)
    canvas.drawString(72, 700, "The figures are in the file that is enclosed.")
    canvas.save()
    pdf = pypdfium2.PdfDocument(buffer.getvalue())
    pdf.new_attachment("figures.csv").set_data(b"x,y\n1,2\n")
    made = io.BytesIO()
    pdf.save(made)
    pdf.close()
    document = PdfReader(ocr="none").read(Source("a.pdf", made.getvalue()))
    assert [(one.uri, one.content) for one in document.attachments] == [("a.pdf!/figures.csv", b"x,y\n1,2\n")]
