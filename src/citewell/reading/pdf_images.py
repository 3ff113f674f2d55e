"""The images on a PDF page with their boxes: as they are in the file where that is an image format, else as PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from citewell.reading.images import MIN_SIDE, Picture, picture
from citewell.reading.pdf_pages import Box

MAX_PIXELS: Final = 16_000_000
_MAX_IMAGES: Final = 200  # on one page: more are the strips or tiles of drawings
_MAX_DEPTH: Final = 3  # forms within forms
_WHOLE: Final = frozenset({"DCTDecode", "JPXDecode"})


@dataclass(frozen=True, slots=True)
class PageImage:
    """An image where it stands; without a picture where it cannot be made out."""

    box: Box
    picture: Picture | None
    too_small: bool = False


def page_images(page: Any) -> Iterator[PageImage]:
    """The images of a pypdfium2 page, those inside its forms too, in the order in which they are drawn."""
    height = page.get_height()
    for number, found in enumerate(_images(page)):
        left, bottom, right, top = found.get_bounds()
        box = (round(left, 2), round(height - top, 2), round(right, 2), round(height - bottom, 2))
        width, tall = found.get_px_size()
        if min(width, tall) < MIN_SIDE or min(right - left, top - bottom) < 8:
            yield PageImage(box, None, too_small=True)
        elif number >= _MAX_IMAGES or width * tall > MAX_PIXELS:
            yield PageImage(box, None)
        else:
            yield PageImage(box, _picture(found, width, tall))


def _images(page: Any, form: Any = None, level: int = 0) -> Iterator[Any]:
    """As `page.get_objects`, but without an object of Python's for each of the thousands that are no image."""
    import pypdfium2
    from pypdfium2 import raw

    if form is None:
        parent, count, get = page.raw, raw.FPDFPage_CountObjects(page), raw.FPDFPage_GetObject
    else:
        parent, count, get = form.raw, raw.FPDFFormObj_CountObjects(form), raw.FPDFFormObj_GetObject
    for number in range(count):
        found = get(parent, number)
        if not found:
            raise pypdfium2.PdfiumError("Failed to get pageobject.")
        kind = raw.FPDFPageObj_GetType(found)
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            yield pypdfium2.PdfObject(found, page=page, pdf=page.pdf, container=form, level=level)
        elif kind == raw.FPDF_PAGEOBJ_FORM and level < _MAX_DEPTH - 1:
            inner = pypdfium2.PdfObject(found, page=page, pdf=page.pdf, container=form, level=level)
            yield from _images(page, inner, level + 1)


def _picture(found: Any, width: int, height: int) -> Picture | None:
    import pypdfium2

    try:
        filters = found.get_filters(skip_simple=True)
        if len(filters) == 1 and filters[0] in _WHOLE:
            return picture(bytes(found.get_data(decode_simple=True)))
        bitmap = found.get_bitmap(render=False)
        if bitmap.mode not in ("L", "BGR", "BGRX", "BGRA"):
            return None
        return Picture(_png(bitmap), "image/png", width=bitmap.width, height=bitmap.height)
    except (pypdfium2.PdfiumError, ValueError, MemoryError):
        return None


def _png(bitmap: Any) -> bytes:
    """A bitmap of PDFium as PNG, without its alpha."""
    channels, width, height, stride = bitmap.n_channels, bitmap.width, bitmap.height, bitmap.stride
    pixels = memoryview(bitmap.buffer).cast("B")
    if channels == 1:
        lines = [pixels[at : at + width] for at in range(0, height * stride, stride)]
    else:
        lines = []
        for at in range(0, height * stride, stride):
            line, coloured = bytes(pixels[at : at + width * channels]), bytearray(3 * width)
            coloured[0::3], coloured[1::3], coloured[2::3] = line[2::channels], line[1::channels], line[0::channels]
            lines.append(memoryview(coloured))
    out = b"\0" + b"\0".join(lines) if lines else b""  # 0 before each line: no filter
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(out, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
