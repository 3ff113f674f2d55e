"""A picture of a page becomes pieces: text where it is text, one figure where it is a photograph or a chart."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from citewell.errors import ModelUnavailable
from citewell.reading.images import MIN_SIDE, Picture
from citewell.reading.ocr import Line, Quad, Recogniser, require_pictures
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece, union
from citewell.reading.scan_layout import pieces_of
from citewell.reading.scan_lines import frame_of, joined, level, rows_of
from citewell.reading.scan_rules import drawn
from citewell.types import BlockKind

if TYPE_CHECKING:
    from PIL.Image import Image

DOUBTFUL: Final = 0.8
"""Below this confidence text is named in a document's warnings."""

_SAMPLE = 160  # points of the longer side when a picture is looked at as a whole
_WORDS = 4  # letters and digits: fewer are a mark on something
_EDGE = 12  # grey levels: the faintest print that is read
_EDGES = 40  # points: a letter has ten
_PROSE = 40  # characters of a line that is a sentence rather than a label


def read_picture(
    image: Image,
    recogniser: Recogniser,
    page: int,
    place: Callable[[Quad], Box],
    *,
    covered: Callable[[Line], bool] = lambda _: False,
) -> list[PagePiece]:
    """Pieces of an RGB picture in reading order, none where it holds no text; `place` gives boxes in points.

    Lines that are `covered`, because they are known from elsewhere, are left out.
    """
    lines = [line for line in recogniser.lines(image) if not covered(line)]
    if not lines or _is_noise(lines):
        return []
    pieces = pieces_of(lines, drawn(image), image.size, page, place)
    if any(piece.kind is BlockKind.TABLE for piece in pieces) or not _is_figure(image, lines):
        return pieces
    figure = PagePiece(BlockKind.FIGURE, _rows(lines), page, union(place(line.quad) for line in lines))
    figure.confidence = mean_confidence(lines)
    return [figure]


def picture_words(recogniser: Recogniser, shown: Picture) -> tuple[str, float | None]:
    """The words in a picture that belongs to a text, row by row, and the confidence in them; ("", None) for none.

    What is uncertain is left out: in a photograph anything may look like a letter.
    """
    try:
        require_pictures()
    except ModelUnavailable:
        return "", None
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(shown.content)) as opened:
            image = opened.convert("RGB")
            lines = [] if _is_plain(image) else recogniser.lines(image)
    except (OSError, SyntaxError, ValueError, ModelUnavailable, Pillow.DecompressionBombError):
        return "", None
    lines = [line for line in lines if line.confidence >= DOUBTFUL]
    if sum(sum(map(str.isalnum, line.text)) for line in lines) < _WORDS:
        return "", None
    return _rows(lines), mean_confidence(lines)


def _is_plain(image: Image) -> bool:
    """Whether so few points of a picture differ from their neighbours that no word can stand in it."""
    if min(image.size) < MIN_SIDE:
        return True
    points = np.asarray(image.convert("L"), np.int16)
    edges = (np.abs(np.diff(points, axis=0)) > _EDGE).sum() + (np.abs(np.diff(points, axis=1)) > _EDGE).sum()
    return int(edges) < _EDGES


def mean_confidence(lines: Sequence[Line]) -> float:
    """The confidence of lines together, by their characters."""
    return round(sum(line.confidence * len(line.text) for line in lines) / sum(len(line.text) for line in lines), 4)


def busy(image: Image, lines: Sequence[Line]) -> float:
    """The share of a picture beside its lines of text that is not plain ground."""
    scale = _SAMPLE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    points = np.asarray(image.resize((size[0], size[1]), 4).convert("RGB"), np.int16)
    beside = np.ones(points.shape[:2], np.bool_)
    for line in lines:
        x0, y0, x1, y1 = (round(value * scale) for value in line.box)
        beside[max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = False
    rest = points[beside]
    if not len(rest):
        return 0.0
    # Plain ground is the commonest colour; sixteen steps of each channel are one.
    colours, counts = np.unique(rest // 16, axis=0, return_counts=True)
    ground = colours[counts.argmax()] * 16 + 8
    return float((np.abs(rest - ground).max(1) > 24).mean())


def _rows(lines: Sequence[Line]) -> str:
    strips, others = level(lines, frame_of(lines))
    return "\n".join([joined(row).text for row in rows_of(strips)] + [line.text for line in others])


def _is_noise(lines: Sequence[Line]) -> bool:
    """Whether what was recognised is what photographs and stains look like: a sign or two, or a few doubtful ones."""
    count = sum(sum(map(str.isalnum, line.text)) for line in lines)
    return count < 2 or (count < 12 and mean_confidence(lines) < 0.7)


def _is_figure(image: Image, lines: Sequence[Line]) -> bool:
    """Whether the text only labels what the picture shows: little of it, no sentences, and much else to be seen."""
    long = sum(len(line.text) for line in lines if len(line.text) >= _PROSE)
    if 3 * long > sum(len(line.text) for line in lines):
        return False
    area = sum((line.box[2] - line.box[0]) * (line.box[3] - line.box[1]) for line in lines)
    share = area / (image.width * image.height)
    shown = busy(image, lines)
    return shown > 0.3 or (shown > 0.06 and share < 0.12)


def doubts(pieces: Sequence[PagePiece]) -> list[str]:
    """The warning on text that was recognised with little confidence, if there is any."""
    doubtful = [piece for piece in pieces if piece.confidence is not None and piece.confidence < DOUBTFUL]
    if not doubtful:
        return []
    pages = sorted({piece.page for piece in doubtful})
    where = f"page {pages[0]}" if len(pages) == 1 else f"pages {', '.join(map(str, pages[:20]))}"
    return [f"Recognised with low confidence (under {DOUBTFUL}): {len(doubtful)} block(s) on {where}. Check them."]
