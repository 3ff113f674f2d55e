"""Images of all formats: their text with boxes, charts and photographs, turned and broken and oversized pictures."""

from __future__ import annotations

import importlib.util
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import both, photograph, saved, scan, text
from PIL import Image, ImageDraw
from reportlab.pdfgen.canvas import Canvas

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.image import ImageReader
from citewell.reading.isolation import Isolated
from citewell.types import Block, BlockKind, Document, Source

WORDS = "Total amount 42.50"


def small() -> Image.Image:
    return scan(text(WORDS, x=12, y=18, size=14), size=(160, 50), dpi=110)


def read(content: bytes, **options: object) -> Document:
    return ImageReader(**options).read(Source("file:///picture.png", content))  # type: ignore[arg-type]


def refusal(content: bytes, **options: object) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read(content, **options)
    return caught.value


def texts(document: Document, kind: BlockKind) -> list[str]:
    return [block.span.of(document.text) for block in document.blocks if block.kind is kind]


def holding(document: Document, words: str) -> Block:
    return next(block for block in document.blocks if words in block.span.of(document.text))


ROWS = [["Plan", "Monthly fee", "Users"], ["Basic", "10.00", "5"], ["Pro", "25.50", "25"], ["Max", "99.00", "500"]]


def screenshot(canvas: Canvas) -> None:
    text("Price list 2025", y=205, size=22, font="Helvetica-Bold")(canvas)
    text("These prices hold for everyone who", "orders before the end of the year.", y=175, size=10)(canvas)
    for number, row in enumerate(ROWS):
        for column, cell in enumerate(row):
            text(cell, x=30 + 110 * column, y=125 - 20 * number, size=10)(canvas)


def test_a_screenshot_has_its_structure_and_the_picture_read_apart_within_the_default_limits() -> None:
    content = saved(scan(screenshot, dpi=130))
    with Isolated(ImageReader) as reader:
        document = reader.read(Source("file:///prices.png", content))
    assert texts(document, BlockKind.HEADING) == ["Price list 2025"]
    assert texts(document, BlockKind.PARAGRAPH) == [
        "These prices hold for everyone who orders before the end of the year."
    ]
    (table,) = (block for block in document.blocks if block.kind is BlockKind.TABLE)
    assert {(cell.row, cell.column): cell.span.of(document.text) for cell in table.cells} == {
        (r, c): cell for r, row in enumerate(ROWS) for c, cell in enumerate(row)
    }
    assert [cell.row for cell in table.cells if cell.header] == [0, 0, 0]
    assert table.heading_path == ("Price list 2025",)
    assert all(block.confidence is not None and block.confidence > 0.9 for block in document.blocks)
    (asset,) = document.assets
    assert asset.content == content
    assert document.metadata["width"] == asset.width == 650
    where = next(cell.region for cell in table.cells if cell.row == 2 and cell.column == 1)
    assert where is not None
    assert where.box is not None
    scale = 130 / 72
    assert abs(where.box[0] - 140 * scale) < 6
    assert where.box[1] < (240 - 85) * scale < where.box[3] + 4


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("TIFF", "image/tiff"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("GIF", "image/gif"),
    ],
)
def test_every_format_is_told_from_its_bytes_and_read(kind: str, media_type: str) -> None:
    content = saved(small(), kind)
    assert detect(content, "unnamed") == media_type
    document = read(content)
    assert document.text == WORDS
    assert document.media_type == media_type


def test_pages_of_a_tiff_are_pages() -> None:
    second = scan(text("Second page", x=12, y=18, size=14), size=(160, 50), dpi=110)
    document = read(saved(small(), "TIFF", save_all=True, append_images=[Image.new("L", (100, 60), 255), second]))
    assert document.pages == 3
    assert [block.regions[0].page for block in document.blocks] == [1, 3]
    assert "No text on page 2." in document.warnings


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side
    lying = scan(text(WORDS, "Thank you", x=12, y=60, size=14), size=(160, 100), dpi=110).rotate(90, expand=True)
    document = read(saved(lying.convert("RGB"), "JPEG", exif=exif, quality=92))
    assert document.text.split() == [*WORDS.split(), "Thank", "you"]
    assert (document.metadata["width"], document.metadata["height"]) == (lying.height, lying.width)
    box = document.blocks[0].regions[0].box
    assert box is not None
    assert box[2] - box[0] > box[3] - box[1]


@pytest.mark.parametrize("ground", ["transparent", "dark"])
def test_light_words_on_a_dark_or_transparent_ground_are_read(ground: str) -> None:
    mask = small().point(lambda value: 255 - value)
    if ground == "dark":
        picture = Image.merge("RGB", [mask] * 3)
    else:
        picture = Image.new("RGBA", mask.size, (255, 255, 255, 0))
        picture.putalpha(mask)
    assert read(saved(picture)).text == WORDS


def test_a_chart_is_a_figure_with_its_labels() -> None:
    def chart(canvas: Canvas) -> None:
        for number, value in enumerate((90, 140, 60, 120)):
            canvas.setFillColorRGB(0.2, 0.4 + 0.1 * number, 0.8)
            canvas.rect(60 + 70 * number, 40, 45, value, fill=1, stroke=0)
        canvas.setFillColorRGB(0, 0, 0)
        for number in range(4):
            text(f"Q{number + 1}", x=74 + 70 * number, y=24, size=11)(canvas)
        text("Revenue in million", x=120, y=215, size=14)(canvas)

    document = read(saved(scan(chart, dpi=120).convert("RGB")))
    (figure,) = document.blocks
    assert figure.kind is BlockKind.FIGURE
    assert figure.span.of(document.text).splitlines()[0] == "Revenue in million"
    assert all(f"Q{number}" in document.text for number in (1, 2, 3, 4))
    assert figure.asset == document.assets[0].id


def test_a_photograph_is_refused_with_what_would_help() -> None:
    error = refusal(saved(photograph(), "JPEG", quality=90))
    assert error.kind == "no_text"
    assert "describing.model" in str(error)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    error = refusal(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    assert error.kind == "limit_exceeded"
    assert refusal(saved(small()), max_pixels=1000).kind == "limit_exceeded"
    pages = saved(small(), "TIFF", save_all=True, append_images=[small(), small()])
    assert refusal(pages, max_pages=2).kind == "limit_exceeded"


def test_damaged_pictures_say_so() -> None:
    whole = saved(small())
    for content in (whole[: len(whole) // 2], b"\x89PNG\r\n\x1a\n" + b"junk" * 50, saved(small(), "TIFF")[:300]):
        error = refusal(content)
        assert error.kind == "corrupt"
        assert "object at 0x" not in str(error)
    assert refusal(b"").kind == "empty"


def test_a_missing_install_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where no tesseract stands in
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "citewell_ppocr" else real(name))
    monkeypatch.setitem(sys.modules, "citewell_ppocr", None)
    error = refusal(saved(small()))
    assert error.kind == "unsupported_type"
    assert "Install citewell[ocr]" in str(error)
    assert "+" not in ImageReader().identity


def test_a_ruled_form_in_a_dirty_scan_is_a_table() -> None:
    def form(canvas: Canvas) -> None:
        for r, row in enumerate([["Name", "Ada Example"], ["City", "London"], ["Phone", "555 0199"]]):
            for c, cell in enumerate(row):
                canvas.rect(30 + 120 * c, 150 - 28 * r, 120, 28)
                text(cell, x=38 + 120 * c, y=160 - 28 * r, size=12)(canvas)

    document = read(saved(scan(both(form, text("Form 17", y=210)), skew=1.0, noise=10)))
    assert texts(document, BlockKind.TABLE) == ["Name | Ada Example\nCity | London\nPhone | 555 0199"]


def test_noise_without_letters_holds_no_text() -> None:
    points = np.random.default_rng(3).normal(128, 60, (200, 300)).clip(0, 255)
    picture = Image.fromarray(points.astype(np.uint8))
    ImageDraw.Draw(picture).ellipse((80, 40, 220, 160), fill=90)
    assert refusal(saved(picture)).kind == "no_text"
