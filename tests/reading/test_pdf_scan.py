"""PDFs with pages that are pictures: read by OCR in the points of the page, and left alone where there is text."""

from __future__ import annotations

import io

import pypdfium2
import pytest
from pictures import Draw, both, pasted, pdf, photograph, scan, text
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from citewell.errors import ReadError
from citewell.reading.isolation import Isolated
from citewell.reading.pdf import PdfReader
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_scan import _is_broken, _is_odd, _is_other
from citewell.types import Block, BlockKind, Document, Reason, Source, Tally

SIZE = (360.0, 240.0)
LINES = ("The lease ends on 31 March 2027.", "Either side may end it before then.")


def scanned(*lines: str, dpi: int = 150, skew: float = 0.0, noise: float = 0.0) -> Draw:
    return pasted(scan(text(*lines, size=13), dpi=dpi, skew=skew, noise=noise), 0, 0, *SIZE)


def read(content: bytes, **options: object) -> Document:
    return PdfReader(**options).read(Source("file:///lease.pdf", content))  # type: ignore[arg-type]


def holding(document: Document, words: str) -> Block:
    return next(block for block in document.blocks if words in block.span.of(document.text))


def box_of(block: Block) -> tuple[float, float, float, float]:
    (region,) = block.regions
    assert region.box is not None
    return region.box


def test_a_scanned_page_is_read_with_boxes_in_points_within_the_default_limits() -> None:
    with Isolated(PdfReader) as reader:
        document = reader.read(Source("file:///lease.pdf", pdf(scanned(*LINES, skew=0.8, noise=10))))
    assert document.text == " ".join(LINES)
    (block,) = document.blocks
    assert block.confidence is not None
    assert block.confidence > 0.9
    x0, y0, x1, y1 = box_of(block)
    assert abs(x0 - 30) < 8
    assert abs(y0 - (240 - 200 - 12)) < 8
    assert abs(y1 - (240 - 200 + 13 * 1.4 + 4)) < 8
    assert 200 < x1 < 290
    assert document.account.kept.pages == 1


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_boxes_are_where_the_text_is_seen_on_turned_and_cropped_pages(turn: int) -> None:
    opened = pypdfium2.PdfDocument(pdf(scanned(*LINES)))
    opened[0].set_cropbox(20, 10, 350, 230)
    opened[0].set_rotation(turn)
    buffer = io.BytesIO()
    opened.save(buffer)
    document = read(buffer.getvalue())
    assert document.text == " ".join(LINES)
    x0, y0, x1, y1 = box_of(document.blocks[0])
    # In the cropped page before it is turned, from its top left: x from 10, y from 18 to 52.
    width, height = 330, 220
    seen = {
        90: (height - y1, x0, "vertical"),
        180: (width - x1, height - y1, "level"),
        270: (y0, width - x1, "vertical"),
    }[turn]
    left, top = {90: (y0, height - x1), 180: (width - x1, height - y1), 270: (width - y1, x0)}[turn]
    assert abs(left - 10) < 6
    assert abs(top - 18) < 6
    assert (x1 - x0 > y1 - y0) == (seen[2] == "level")


def test_pages_with_text_keep_it_beside_scanned_ones() -> None:
    document = read(pdf(text("A page with a text layer."), scanned(*LINES)))
    assert holding(document, "text layer").confidence is None
    assert holding(document, "lease ends").confidence is not None
    assert holding(document, "lease ends").regions[0].page == 2


def test_a_scan_with_an_invisible_text_layer_is_read_from_that_layer() -> None:
    said = "The layer says what the picture does not, so that we know where this came from."

    def layer(canvas: Canvas) -> None:
        run = canvas.beginText(30, 200)
        run.setFont("Helvetica", 8)
        run.setTextRenderMode(3)
        for _ in range(3):
            run.textLine(said)
        canvas.drawText(run)

    document = read(pdf(both(scanned(*LINES), layer)))
    assert said in document.text
    assert "lease" not in document.text
    assert not any(block.hidden for block in document.blocks)
    assert all(block.confidence is None for block in document.blocks)


def test_a_stamp_on_a_scan_does_not_stand_for_its_text() -> None:
    document = read(pdf(both(scanned(*LINES), text("Received 3 May", x=200, y=60, size=9))))
    assert document.text.count("Received 3 May") == 1
    assert LINES[0] in document.text
    assert holding(document, "Received").confidence is None


def test_blank_and_unread_pages_are_named_and_counted() -> None:
    content = pdf(text("Only this page has text."), lambda canvas: None, scanned(*LINES))
    without = read(content, ocr="none")
    assert "Page 2 without text: blank." in without.warnings
    assert any(warning.startswith("Page 3 not read") for warning in without.warnings)
    assert without.account.left_out == {Reason.UNREADABLE: Tally(pages=1), Reason.TOO_SMALL: Tally(pages=1)}
    late = read(content, ocr_budget_s=-1.0)
    assert any("time for OCR" in warning for warning in late.warnings)
    assert read(content).account.left_out == {Reason.TOO_SMALL: Tally(pages=1)}


def test_a_scan_is_refused_with_the_reason_when_ocr_is_off() -> None:
    with pytest.raises(ReadError, match=r"seems to be a scan. OCR is off") as caught:
        read(pdf(scanned(*LINES)), ocr="none")
    assert caught.value.kind == "no_text"


def test_pictures_in_pages_are_kept_beside_their_captions_and_small_ones_counted() -> None:
    photo = photograph()
    words = scan(text("Pump pressure", "Valve closed", size=20, x=20, y=150), size=(300, 200), dpi=100)
    content = pdf(
        both(
            text("The meadow behind the house is shown below, as it was in May.", y=225, size=9),
            pasted(photo, 30, 90, 160, 120),
            text("Figure 1: The meadow in May", y=75, size=9),
            pasted(photograph(40, 40), 300, 20, 20, 20),
        ),
        both(text("The state of the machine follows.", y=225, size=9), pasted(words, 30, 20, 240, 160)),
    )
    document = read(content)
    meadow, state = document.assets
    assert (meadow.width, meadow.height) == photo.size
    assert Image.open(io.BytesIO(meadow.content)).convert("RGB").tobytes() == photo.tobytes()
    assert meadow.alt == "Figure 1: The meadow in May"
    assert meadow.regions[0].box == (30, 30, 190, 150)
    assert meadow.span.start == document.text.index("Figure 1")
    figure = next(block for block in document.blocks if block.kind is BlockKind.FIGURE)
    assert figure.span.of(document.text) == "Pump pressure\nValve closed"
    assert figure.asset == state.id
    assert document.account.left_out[Reason.TOO_SMALL] == Tally(images=1)
    late = read(content, ocr_budget_s=-1.0)
    assert "Pump" not in late.text
    assert any("not looked for in 1 pictures" in warning for warning in late.warnings)
    quiet = read(content, figure_words=False)
    assert "Pump" not in quiet.text
    assert len(quiet.assets) == 2


def test_text_layers_that_are_nonsense_are_told_from_text() -> None:
    sentence = "The lease ends on the last day of March unless either side asks for more time before."
    shifted = "".join(chr((ord(char) - 97 + 3) % 26 + 97) if char.islower() else char for char in sentence)
    assert _is_broken("\ue001\ue002\ue003 \ue004a")
    assert _is_broken("(cid:12)(cid:7)(cid:44) x")
    assert not _is_broken(f"• {sentence} \uf0b7")
    assert _is_odd(shifted)
    assert not _is_odd(sentence)
    found = PagePiece(BlockKind.PARAGRAPH, sentence, 1)
    found.confidence = 0.98
    assert _is_other(shifted, [found])
    assert not _is_other(sentence, [found])
