"""Pictures inside the pages of PDFs: kept with their bytes, placed beside their captions."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewell.reading.images import Picture
from citewell.reading.pdf_images import image_objects
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece
from citewell.types import BlockKind, Region

MIN_POINTS: Final = 48.0
"""The shorter side of a picture on the page from which on it is kept, in points."""

WORDS_POINTS: Final = 150.0
"""The same from which on words are looked for in it: charts and screenshots, not logos."""

Words: TypeAlias = Callable[[Picture], tuple[str, float | None]]
"""A picture → the words in it, line by line, and the confidence in them."""

_MAX_PIXELS: Final = 16_000_000
_MAX_PER_PAGE: Final = 40  # more are the tiles of one picture, or a map made of signs
_PAGE_SHARE: Final = 0.85  # what fills the page is the page itself
_NEAR: Final = 60.0  # points between a figure and its caption
_CAPTION: Final = re.compile(r"(figure|fig\.|abbildung|abb\.|chart|exhibit|plate|photo|image|bild)\s*[A-Z]?\d+", re.I)


@dataclass(frozen=True, slots=True)
class Found:
    """A picture on a page: where it stands, in points from the top left of the page as it is shown."""

    box: Box
    picture: Picture | None


@dataclass(slots=True)
class Kept:
    """Pictures of a file that are no assets, counted.

    `small` ones, `lost` ones that could not be decoded, and `pages` that fill a page, under the text that it has.
    `silent` are assets in which nobody looked for words, for lack of time.
    """

    small: int = 0
    lost: int = 0
    pages: int = 0
    silent: int = 0


def place_figures(
    shown: Sequence[Found], number: int, pieces: list[PagePiece], kept: Kept, words: Words | None = None
) -> None:
    """Put the pictures of a page among its pieces, each before its caption, with the words that `words` finds in them.

    Where the page's own text stands in a picture nothing is looked for: it is known already.
    """
    for found in shown:
        if found.picture is None:
            kept.lost += 1
            continue
        x0, y0, x1, y1 = found.box
        at = _caption(found.box, pieces)
        alt = "" if at is None else pieces[at].text
        if at is None:
            at = next((n for n, one in enumerate(pieces) if _follows(one, found.box)), len(pieces))
        piece = PagePiece(BlockKind.FIGURE, "", number, found.box)
        piece.asset = replace(found.picture, alt=alt, regions=(Region(number, found.box),))
        written = any(
            one.box is not None
            and not one.hidden
            and x0 <= (one.box[0] + one.box[2]) / 2 <= x1
            and y0 <= (one.box[1] + one.box[3]) / 2 <= y1
            for one in pieces
        )
        if words is not None and not written and min(x1 - x0, y1 - y0) >= WORDS_POINTS:
            piece.text, piece.confidence = words(found.picture)
        if alt and not piece.text and pieces[at].asset is None:
            pieces[at].asset = piece.asset  # a figure that says nothing is shown by its caption
        else:
            pieces.insert(at, piece)


def figures(page: Any, images: Sequence[int], kept: Kept) -> Iterator[Found]:
    """The pictures on a page of pypdfium2 that are large enough to show something, as they are in the file.

    `images` are the addresses of its image objects. One that fills the page is the page itself, and none of these.
    """
    import pypdfium2

    width, height = page.get_size()
    shown: list[tuple[Box, Any]] = []
    for one in image_objects(page, images):
        box = _shown(page, one.get_bounds())
        across, down = box[2] - box[0], box[3] - box[1]
        if min(across, down) < MIN_POINTS:
            kept.small += 1
        elif across * down < _PAGE_SHARE * width * height:
            shown.append((box, one))
        else:
            kept.pages += 1
    kept.small += len(shown[_MAX_PER_PAGE:])
    for box, one in shown[:_MAX_PER_PAGE]:
        try:
            yield Found(box, _picture(one))
        except (pypdfium2.PdfiumError, ValueError, MemoryError):
            yield Found(box, None)


def _shown(page: Any, bounds: tuple[float, float, float, float]) -> Box:
    """A box in the file's own points, as it is seen: cropped, turned, and measured from the top."""
    left, bottom, right, top = page.get_cropbox()
    x0, y0, x1, y1 = bounds
    x0, x1 = min(max(x0, left), right) - left, min(max(x1, left), right) - left
    y0, y1 = top - min(max(y1, bottom), top), top - min(max(y0, bottom), top)
    width, height = right - left, top - bottom
    turned = {
        0: (x0, y0, x1, y1),
        90: (height - y1, x0, height - y0, x1),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (y0, width - x1, y1, width - x0),
    }[page.get_rotation() % 360]
    a, b, c, d = (round(float(value), 2) for value in turned)
    return a, b, c, d


def _picture(one: Any) -> Picture | None:
    """The picture's own JPEG where it is one, else its points as PNG; None where there are too many."""
    from pypdfium2 import raw

    width, height = one.get_px_size()
    if width * height > _MAX_PIXELS or not width or not height:
        return None
    if list(one.get_filters()) == ["DCTDecode"] and not _has_mask(one):
        content = bytes(one.get_data(decode_simple=False))
        if content.startswith(b"\xff\xd8\xff"):
            return Picture(content, "image/jpeg", width=width, height=height)
    bitmap = one.get_bitmap(render=False)
    if bitmap.format not in (raw.FPDFBitmap_Gray, raw.FPDFBitmap_BGR, raw.FPDFBitmap_BGRx, raw.FPDFBitmap_BGRA):
        return None
    return Picture(_png(bitmap), "image/png", width=bitmap.width, height=bitmap.height)


def _has_mask(one: Any) -> bool:
    from pypdfium2 import raw

    return bool(raw.FPDFPageObj_HasTransparency(one.raw))


def _png(bitmap: Any) -> bytes:
    """The points of a PDFium bitmap as a PNG of black and white, of grey, or of red, green and blue."""
    channels = bitmap.n_channels
    lines = np.frombuffer(bitmap.buffer, np.uint8).reshape(bitmap.height, bitmap.stride)
    points = lines[:, : bitmap.width * channels].reshape(bitmap.height, bitmap.width, channels)
    colours = min(channels, 3)
    # Of scans and fax pages eight points make a byte: packing them takes an eighth of the time.
    depth = 1 if channels == 1 and _is_black_and_white(points) else 8
    body = np.zeros((bitmap.height, 1 + (bitmap.width * colours * depth + 7) // 8), np.uint8)  # 0 first: no filter
    if depth == 1:
        body[:, 1:] = np.packbits(points[:, :, 0], axis=1)  # whatever is not 0 is 1
    for place in range(colours) if depth == 8 else ():
        body[:, 1 + place :: colours] = points[:, :, colours - 1 - place]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, depth, 0 if channels == 1 else 2, 0, 0, 0)
    packed = zlib.compress(body.data, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _is_black_and_white(points: NDArray[np.uint8]) -> bool:
    # One more than 255 is 0 in a byte. Most pictures have a grey in their first lines.
    return all(int((part + np.uint8(1)).max()) <= 1 for part in (points[:16], points))


def _caption(box: Box, pieces: Sequence[PagePiece]) -> int | None:
    """The place of the caption right below a figure, or right above it, or None."""
    near: list[tuple[float, int]] = []
    for place, piece in enumerate(pieces):
        if (
            piece.box is None
            or piece.hidden
            or not _CAPTION.match(piece.text)
            or min(piece.box[2], box[2]) <= max(piece.box[0], box[0])
        ):
            continue
        below, above = piece.box[1] - box[3], box[1] - piece.box[3]
        if -10 < below < _NEAR:
            near.append((below, place))
        elif -10 < above < _NEAR:
            near.append((above + _NEAR, place))
    return min(near)[1] if near else None


def _follows(piece: PagePiece, box: Box) -> bool:
    """Whether a piece begins below a box, in its columns."""
    return (
        piece.box is not None
        and piece.box[1] >= (box[1] + box[3]) / 2
        and min(piece.box[2], box[2]) > max(piece.box[0], box[0])
    )
