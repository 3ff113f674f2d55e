"""What is located on a page is where it was drawn, and ink is there when the page is rendered."""

from __future__ import annotations

import io
import random

import pypdfium2
import pytest
from reportlab.lib.pagesizes import letter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from citewell.reading.pdf import PdfReader
from citewell.types import BlockKind, Reason, Region, Source, Span, locate

WIDTH, HEIGHT = letter
LINES = [
    "Everyone who travels for the company books through the portal",
    "and keeps all of the receipts that the hotel hands out, always.",
]
WORDS = [
    "the",
    "traveller",
    "keeps",
    "every",
    "receipt",
    "that",
    "a",
    "hotel",
    "hands",
    "out",
    "and",
    "shows",
    "it",
    "to",
    "whoever",
    "asks",
]
ROWS = [["Country", "Night", "Day"], ["Norway", "230", "61"], ["Germany", "180", "44"], ["Austria", "170", "40"]]


def drawing() -> tuple[bytes, dict[str, Region]]:
    """Two pages, and where what stands on them was drawn (baseline to cap height, from the top left)."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=letter, invariant=True)
    where: dict[str, Region] = {}

    def put(text: str, x: float, y: float, *, page: int, font: str = "Helvetica", size: float = 11) -> None:
        canvas.setFont(font, size)
        canvas.drawString(x, y, text)
        box = (x, HEIGHT - y - 0.75 * size, x + canvas.stringWidth(text, font, size), HEIGHT - y + 0.2 * size)
        where[text] = Region(page, box)

    put("Travel policy", 72, 700, page=1, font="Helvetica-Bold", size=20)
    for number, line in enumerate(LINES):
        put(line, 72, 670 - 14 * number, page=1)
    canvas.showPage()
    put("Limits abroad", 72, 700, page=2, font="Helvetica-Bold", size=20)
    canvas.grid([72, 200, 300, 400], [640 - 20 * row for row in range(5)])
    for r, row in enumerate(ROWS):
        for c, text in enumerate(row):
            put(
                text, (78, 206, 306)[c], 626 - 20 * r, page=2, font="Helvetica-Bold" if r == 0 else "Helvetica", size=10
            )
    canvas.showPage()
    canvas.save()
    return buffer.getvalue(), where


def overlap(one: Region, other: Region) -> float:
    """Intersection over union."""
    assert one.box is not None
    assert other.box is not None
    if one.page != other.page:
        return 0.0
    width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    both = max(width, 0.0) * max(height, 0.0)
    sizes = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one.box, other.box))
    return both / (sizes - both)


def around(*regions: Region) -> Region:
    boxes = [region.box for region in regions if region.box]
    return Region(
        regions[0].page,
        (
            min(box[0] for box in boxes),
            min(box[1] for box in boxes),
            max(box[2] for box in boxes),
            max(box[3] for box in boxes),
        ),
    )


@pytest.fixture(scope="module")
def made():
    content, where = drawing()
    return PdfReader().read(Source("a.pdf", content)), content, where


def span_of(document, text):
    start = document.text.index(text)
    return Span(start, start + len(text))


def test_a_quote_is_located_in_the_box_of_its_block(made):
    document, _, where = made
    (heading,) = locate(document.blocks, span_of(document, "policy"))
    assert overlap(heading, where["Travel policy"]) >= 0.5
    whole = locate(document.blocks, span_of(document, " ".join(LINES)))
    assert overlap(around(*whole), around(*(where[line] for line in LINES))) >= 0.5
    both = locate(document.blocks, Span(0, document.text.index("Limits abroad") + 3))
    assert [region.page for region in both] == [1, 1, 2]


def test_a_quote_is_located_on_the_lines_it_covers(made):
    document, _, where = made
    for line in LINES:
        (found,) = locate(document.blocks, span_of(document, line.split()[3]))
        assert overlap(found, where[line]) >= 0.7
    found = locate(document.blocks, span_of(document, "portal and keeps"))
    assert all(overlap(one, where[line]) >= 0.7 for one, line in zip(found, LINES, strict=True))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize(("columns", "size"), [(1, 11), (2, 9.5), (3, 8)])
def test_lines_are_where_they_were_drawn_whatever_the_columns_and_the_turn_of_the_page(columns, size, upright, turn):
    words = random.Random(columns).choices(WORDS, k=150)
    content, where = set_in_columns(words, columns, size, turn, upright=upright)
    document = PdfReader(ocr="none").read(Source("a.pdf", content))
    for line, region in where:
        (found,) = locate(document.blocks, span_of(document, line))
        assert overlap(found, region) >= 0.7


def set_in_columns(words, columns, size, turn, *, upright):
    """A page of running text, and each line with its place as the page is shown, turned.

    Lines run along the page as it is shown if `upright`, else as it was before it was turned.
    """
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=letter, invariant=True)
    if upright:
        canvas.transform(*{0: (1, 0, 0, 1, 0, 0), 90: (0, 1, -1, 0, WIDTH, 0), 180: (-1, 0, 0, -1, WIDTH, HEIGHT),
                           270: (0, -1, 1, 0, 0, HEIGHT)}[turn])  # fmt: skip
    wide, high = (HEIGHT, WIDTH) if upright and turn % 180 else (WIDTH, HEIGHT)
    canvas.setFont("Helvetica", size)
    broad = (wide - 108 - 24 * (columns - 1)) / columns
    lines, line = [], ""
    for number, word in enumerate(words):
        longer = f"{line} {word}{number}".strip()
        if canvas.stringWidth(longer, "Helvetica", size) > broad:
            lines.append(line)
            longer = f"{word}{number}"
        line = longer
    rows = -(-len(lines) // columns)
    where = []
    for number, line in enumerate(lines):
        x, y = 54 + (number // rows) * (broad + 24), high - 92 - (number % rows) * 1.25 * size
        canvas.drawString(x, y, line)
        box = (x, y - 0.2 * size, x + canvas.stringWidth(line, "Helvetica", size), y + 0.75 * size)
        where.append((line, Region(1, shown(box, wide, high, 0 if upright else turn))))
    canvas.showPage()
    canvas.save()
    pdf, made = pypdfium2.PdfDocument(buffer.getvalue()), io.BytesIO()
    pdf[0].set_rotation(turn)  # reportlab's own way also turns the sheet
    pdf.save(made)
    pdf.close()
    return made.getvalue(), where


def shown(box, wide, high, turn):
    """A box in points from the bottom left as it is seen on the page turned clockwise, from the top left."""
    x0, y0, x1, y1 = box
    return {
        0: (x0, high - y1, x1, high - y0),
        90: (y0, x0, y1, x1),
        180: (wide - x1, y0, wide - x0, y1),
        270: (high - y1, wide - x1, high - y0, wide - x0),
    }[turn]


def test_a_quote_from_a_table_is_located_in_its_cells(made):
    document, _, where = made
    table = next(block for block in document.blocks if block.kind is BlockKind.TABLE)
    for text in ("Norway", "180", "40"):
        (cell,) = locate(document.blocks, span_of(document, text))
        wanted = where[text]
        assert cell.box is not None
        assert wanted.box is not None
        assert cell.page == 2
        assert cell.box[0] - 1 <= wanted.box[0] <= wanted.box[2] <= cell.box[2] + 1
        assert cell.box[1] - 1 <= (wanted.box[1] + wanted.box[3]) / 2 <= cell.box[3] + 1
    row = locate(document.blocks, span_of(document, "Norway | 230 | 61"))
    assert len(row) == 3
    assert locate(document.blocks, table.span) == table.regions


def test_there_is_ink_in_what_is_located_and_hardly_any_outside(made):
    document, content, _ = made
    pdf = pypdfium2.PdfDocument(content)
    for page in (1, 2):
        bitmap = pdf[page - 1].render(scale=1, grayscale=True)
        pixels = memoryview(bitmap.buffer).cast("B")
        dark = {
            (x, y) for y in range(bitmap.height) for x in range(bitmap.width) if pixels[y * bitmap.stride + x] < 128
        }
        assert dark
        boxes = [
            region.box
            for block in document.blocks
            for region in locate(document.blocks, block.span)
            if region.page == page and region.box
        ]
        for x0, y0, x1, y1 in boxes:
            assert any(x0 <= x <= x1 and y0 <= y <= y1 for x, y in dark)
        wide = [(x0 - 3, y0 - 3, x1 + 3, y1 + 3) for x0, y0, x1, y1 in boxes]
        outside = [(x, y) for x, y in dark if not any(a <= x <= c and b <= y <= d for a, b, c, d in wide)]
        assert len(outside) < 0.15 * len(dark)
    pdf.close()


def test_nothing_is_located_where_there_are_no_pages_or_no_blocks(made):
    document, _, _ = made
    assert locate((), Span(0, 5)) == ()
    end = len(document.text)
    assert locate(document.blocks, Span(end + 10, end + 12)) == ()


def test_images_keep_their_bytes_boxes_and_captions_and_pages_without_text_are_counted():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=letter, invariant=True, pageCompression=0)
    photo = ImageReader(io.BytesIO(ppm(64, 48)))
    canvas.drawImage(photo, 100, 500, 200, 150)
    canvas.setFont("Helvetica", 10)
    canvas.drawString(100, 485, "Figure 1: A blue square that is drawn in many shades.")
    canvas.drawString(72, 700, "A page with one image on it, and with enough words to be a paragraph of text.")
    canvas.showPage()
    canvas.drawImage(photo, 300, 500, 200, 150)
    canvas.showPage()
    canvas.showPage()
    canvas.save()
    document = PdfReader().read(Source("a.pdf", buffer.getvalue()))
    (asset,) = document.assets
    assert (asset.media_type, asset.width, asset.height) == ("image/png", 64, 48)
    assert [region.page for region in asset.regions] == [1, 2]
    assert overlap(asset.regions[0], Region(1, (100, HEIGHT - 650, 300, HEIGHT - 500))) > 0.95
    caption = next(block for block in document.blocks if block.kind is BlockKind.CAPTION)
    assert caption.asset == asset.id
    assert asset.span == caption.span
    account = document.account
    assert (account.found.images, account.kept.images, account.left_out[Reason.DUPLICATE].images) == (2, 1, 1)
    assert (account.found.pages, account.kept.pages) == (3, 1)
    assert account.left_out[Reason.UNREADABLE].pages == 1
    assert account.left_out[Reason.TOO_SMALL].pages == 1


def ppm(width: int, height: int) -> bytes:
    rows = bytes(value for y in range(height) for x in range(width) for value in (x * 3 % 256, y * 5 % 256, 200))
    return b"P6 %d %d 255\n" % (width, height) + rows
