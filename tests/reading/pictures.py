"""Pictures drawn here: pages as a scanner or a screen would show them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pypdfium2
from PIL import Image, ImageFilter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]


def pdf(*pages: Draw, size: tuple[float, float] = (360, 240)) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=True)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scan(
    draw: Draw, *, size: tuple[float, float] = (360, 240), dpi: int = 150, skew: float = 0.0, noise: float = 0.0
) -> Image.Image:
    """The page in shades of grey, turned by `skew` degrees, blurred and with noise where there is any."""
    page = pypdfium2.PdfDocument(pdf(draw, size=size))[0].render(scale=dpi / 72).to_pil().convert("L")
    page = page.rotate(skew, resample=Image.Resampling.BICUBIC, fillcolor=252) if skew else page
    if not noise:
        return page
    points = np.asarray(page.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    dirty = points + np.random.default_rng(7).normal(0, noise, points.shape)
    return Image.fromarray(np.clip(dirty, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def text(*lines: str, x: float = 30, y: float = 200, size: float = 11, font: str = "Helvetica") -> Draw:
    def draw(canvas: Canvas) -> None:
        canvas.setFont(font, size)
        for number, line in enumerate(lines):
            canvas.drawString(x, y - 1.4 * size * number, line)

    return draw


def both(*draws: Draw) -> Draw:
    def draw(canvas: Canvas) -> None:
        for one in draws:
            one(canvas)

    return draw


def pasted(image: Image.Image, x: float, y: float, width: float, height: float) -> Draw:
    return lambda canvas: canvas.drawImage(ImageReader(image), x, y, width, height) and None


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    """Smooth colours without an edge: sky, grass, no letter in it."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    red = 120 + 80 * np.sin(x / 97) * np.cos(y / 71)
    green = 130 + 70 * np.cos(x / 61 + y / 83)
    blue = 110 + 90 * np.sin(y / 53)
    return Image.fromarray(np.stack([red, green, blue], 2).clip(0, 255).astype(np.uint8))
