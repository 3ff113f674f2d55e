"""Images and screenshots become Documents: their text with boxes in the picture, and the picture itself as an asset."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from citewell.errors import ModelUnavailable, ReadError
from citewell.reading import versions
from citewell.reading.allowance import allow
from citewell.reading.images import Picture, picture
from citewell.reading.limits import MAX_CELLS, MAX_PAGES, MAX_PIXELS, over
from citewell.reading.ocr import AUTO, NOT_INSTALLED, Quad, Recogniser, engine
from citewell.reading.pdf_flow import flag_margins, join, lay_down, mend_headings, rank_headings, split_lists
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pieces import Piece
from citewell.reading.scan import doubts, read_picture
from citewell.types import BlockKind, Document, Reason, Region, Source

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
}
_OPENED: Final = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")  # MPO is what JPEG finds when there are two pictures
_PAGE_S = 30.0  # what one page may take; most take 1 to 6 s
_WORKING_SIDE = 5000  # pixels: what is larger is made smaller once it is decoded


@dataclass(frozen=True)
class ImageReader:
    """Reads PNG, JPEG, TIFF (its pages), WebP, BMP and GIF. Use it inside `isolation.Isolated`: decoders are native.

    `ocr` names the engine (see `ocr.engine`). Pictures of over `max_pixels` a page, or `max_pages`, are refused
    before they are decoded, and so are those with over `max_cells` in their tables. Boxes are in pixels of the picture
    as it is shown, after its EXIF rotation; the metadata `width` and `height` of the first page go with them.
    """

    ocr: str = AUTO
    max_pixels: int = MAX_PIXELS
    max_pages: int = MAX_PAGES
    max_cells: int = MAX_CELLS

    @cached_property
    def _recogniser(self) -> Recogniser | None:
        return engine(self.ocr)

    @property
    def identity(self) -> str:
        return versions.with_ocr(versions.IMAGE, self.ocr)

    def read(self, source: Source) -> Document:
        """Tables, headings, list items and paragraphs in reading order, or one figure with the labels in it.

        Raises ReadError: empty, corrupt, limit_exceeded, unsupported_type (OCR is not installed) or no_text.
        """
        if not source.content:
            raise ReadError("empty", "The file has no bytes. Was it saved or copied whole?")
        if self._recogniser is None:
            raise ReadError("unsupported_type", "Pictures are not read: OCR is off (reading.ocr).")
        pages: list[list[PagePiece]] = []
        sizes: list[tuple[int, int]] = []
        blank: list[int] = []
        warnings: list[str] = []
        media_type = ""
        for number, (image, kind) in enumerate(self._images(source.content, warnings), 1):
            media_type = kind
            sizes.append(image.size)
            scale = _working_scale(image.size)
            working = image
            if scale < 1:
                working = image.resize((round(image.width * scale), round(image.height * scale)), 2)
            allow(_PAGE_S)
            try:
                pieces = read_picture(working, self._recogniser, number, partial(_box, scale=1 / scale))
            except ModelUnavailable as error:
                raise ReadError("unsupported_type", str(error)) from error
            pages.append(pieces)
            if not pieces:
                blank.append(number)
        kept = picture(source.content) or Picture(source.content, media_type)
        kept = Picture(kept.content, media_type, kept.name, kept.alt, *sizes[0])
        if not any(pages):
            raise ReadError(
                "no_text",
                "The picture holds no text that could be recognised. To find it by what it shows, name a vision model "
                "(describing.model), or write what it shows beside it.",
            )
        warnings += [f"No text on page {number}." for number in blank] if len(pages) > 1 else []
        if len(pages) > 1:
            flag_margins(pages, [float(height) for _, height in sizes])
        pieces = split_lists(mend_headings(join(pages, set())))
        rank_headings(pieces)
        whole = [Region(number, (0.0, 0.0, float(w), float(h))) for number, (w, h) in enumerate(sizes, 1)]
        figure = next((piece for piece in pieces if piece.kind is BlockKind.FIGURE), None)
        first: list[Piece] = []
        if figure is not None and len(pages) == 1:
            figure.asset, figure.regions = kept, whole
        else:
            first.append(Piece(BlockKind.FIGURE, asset=kept, regions=whole))
        builder = lay_down(pieces, first=first, max_cells=self.max_cells)
        if blank and len(blank) < len(pages):
            builder.leave_out(Reason.UNREADABLE, pages=len(blank))
        return builder.document(
            source,
            reader=self.identity,
            media_type=media_type,
            metadata={"width": sizes[0][0], "height": sizes[0][1]},
            pages=len(pages),
            warnings=[*warnings, *doubts(pieces)],
        )

    def _images(self, content: bytes, warnings: list[str]) -> Iterator[tuple[Image, str]]:
        """The pages as RGB pictures the right way up, with their media type."""
        try:
            from PIL import Image as Pillow
            from PIL import ImageOps
        except ImportError:
            raise ReadError("unsupported_type", NOT_INSTALLED) from None
        try:
            opened = Pillow.open(io.BytesIO(content), formats=_OPENED)
        except Pillow.DecompressionBombError:
            raise self._too_large() from None
        except (OSError, SyntaxError, ValueError, TypeError, KeyError) as error:
            raise _damaged(error) from error
        with opened:
            kind = _FORMATS[opened.format or ""]
            frames = getattr(opened, "n_frames", 1)
            if opened.format != "TIFF" and frames > 1:
                if opened.format != "MPO":
                    warnings.append(f"Of an animation of {frames} pictures the first was read.")
                frames = 1
            if frames > self.max_pages:
                raise over("The file", frames, "pages", self.max_pages, setting="max_pages")
            for number in range(frames):
                try:
                    opened.seek(number)
                    if opened.width * opened.height > self.max_pixels:
                        raise self._too_large(opened.size)
                    if opened.format == "JPEG":
                        opened.draft("RGB", (_WORKING_SIDE, _WORKING_SIDE))
                    yield _plain(ImageOps.exif_transpose(opened)), kind
                except Pillow.DecompressionBombError:
                    raise self._too_large(opened.size) from None
                except (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError) as error:
                    raise _damaged(error) from error

    def _too_large(self, size: tuple[int, int] | None = None) -> ReadError:
        found = size[0] * size[1] if size else self.max_pixels + 1
        remedy = "Make it smaller."
        return over("The picture", found, "pixels", self.max_pixels, remedy, setting="max_pixels", seen=size is None)


def _plain(image: Image) -> Image:
    """An RGB picture: what is transparent becomes the ground on which the rest can be seen."""
    from PIL import Image as Pillow

    if image.mode.startswith("I") or image.mode == "F":
        low, high = image.getextrema()
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        scale = 255 / max(high - low, 1e-9)
        return image.convert("F").point(lambda value: value * scale - low * scale).convert("L").convert("RGB")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    light = layer.convert("RGB").convert("L").resize((64, 64), 4)
    cover = layer.getchannel("A").resize((64, 64), 4)
    seen = sum(a * b for a, b in zip(light.tobytes(), cover.tobytes(), strict=True))
    mean = seen / max(1, sum(cover.tobytes()))
    ground = Pillow.new("RGBA", layer.size, (0, 0, 0, 255) if mean > 200 else (255, 255, 255, 255))
    return Pillow.alpha_composite(ground, layer).convert("RGB")


def _working_scale(size: tuple[int, int]) -> float:
    return min(1.0, _WORKING_SIDE / max(size))


def _box(quad: Quad, scale: float) -> Box:
    xs, ys = [x * scale for x, _ in quad], [y * scale for _, y in quad]
    return round(max(0.0, min(xs)), 2), round(max(0.0, min(ys)), 2), round(max(xs), 2), round(max(ys), 2)


def _damaged(error: Exception) -> ReadError:
    said = re.sub(r"<[^<>]*>", "it", " ".join(str(error).split()))[:200]
    return ReadError("corrupt", f"The picture is damaged or cut off ({said}). Save or export it again.")
