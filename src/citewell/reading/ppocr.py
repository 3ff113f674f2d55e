"""Lines of text in a picture by the PP-OCR networks: one finds lines, one reads them; numpy and Pillow do the rest.

The networks are the ONNX files of the package citewell-ppocr. The steps and constants are those of PP-OCR (Li et al.,
"PP-OCRv3", arXiv 2206.03001; differentiable binarization: Liao et al., AAAI 2020).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewell.errors import ModelUnavailable
from citewell.reading.ocr import NOT_INSTALLED, PPOCR, Line, Quad, Word, require_pictures
from citewell.reading.rectangles import Rectangle, rectangles

if TYPE_CHECKING:
    from PIL.Image import Image

Floats: TypeAlias = NDArray[np.float32]

# SHA-256. Other weights would read differently under the same name.
_FINDER: Final = "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"
_READER: Final = "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"

_SHORT_SIDE = 960  # pixels that the shorter side is brought to: small print is found, and memory stays bounded
_LONG_SIDE = 1408  # of a page, and of one view
_VIEW_AREA = 1_000_000  # points looked at in one go: a quarter of a kilobyte of memory each
_OVERLAP = 160  # of two views: a line of text, and then some
_MAX_UPSCALE = 3.0
_INK = 0.3  # from this probability on a point belongs to a line
_UNCLIP = 1.4  # lines are found shrunken; by this share of area to circumference they grow again
_LINE_HEIGHT = 48  # what the reading network takes
_LEAST = 7.0  # pixels: lower letters have no shape left, and slivers between lines are none
_BATCH_WIDTH = 2400  # pixels of all lines read at once: each eighth of it costs 75 kB of output
_MAX_WIDTH = 3200
_MAX_LINES = 2000  # of one picture: more is a texture
_SURE = 0.8
_DOUBT = 0.95
_NOISE = 0.5  # below this mean probability it was no text


class PpOcr:
    """A Recogniser on the CPU, with `threads` threads; its networks are loaded when first needed."""

    identity = PPOCR

    def __init__(self, *, threads: int = 2) -> None:
        self._threads = threads
        self._finder: Any = None
        self._reader: Any = None
        self._characters: list[str] = []

    def lines(self, image: Image) -> list[Line]:
        """Lines from top to bottom and left to right, whichever way the page is turned; those that are noise left out.

        Raises ModelUnavailable when the networks are not installed, or not those that are known.
        """
        self._load()
        colour = image if image.mode == "RGB" else image.convert("RGB")
        found = self._find(colour)
        if not found:
            return []
        turns = self._turns(colour, found)
        read = self._read(colour, found, turns)
        self._look_again(colour, found, turns, read)
        kept = [line for line in read if line.confidence >= _NOISE and line.text.strip()]
        return sorted(kept, key=lambda line: (line.box[1], line.box[0]))

    def _look_again(self, image: Image, found: Sequence[Rectangle], turns: Sequence[int], read: list[Line]) -> None:
        """Read doubtful lines in other ways, and take what is surest: dots run together, ends cut off or added."""
        from PIL.ImageFilter import GaussianBlur

        doubtful = [place for place, line in enumerate(read) if line.confidence < _DOUBT]
        if not doubtful:
            return
        own, ways = [found[place] for place in doubtful], [turns[place] for place in doubtful]
        looks = [
            self._read(image.filter(GaussianBlur(0.8)), own, ways),
            self._read(image, [replace(one, width=one.width + 0.5 * one.height) for one in own], ways),
            self._read(image, [replace(one, width=one.width - 0.25 * one.height) for one in own], ways),
        ]
        # Upside down in itself, or a label turned the other way.
        lost = [n for n, place in enumerate(doubtful) if read[place].confidence < _NOISE]
        over = self._read(image, [own[n] for n in lost], [(ways[n] + 2) % 4 for n in lost])
        for n, line in zip(lost, over, strict=True):
            if line.confidence > _SURE:
                looks[0][n] = line
        for n, place in enumerate(doubtful):
            first = read[place]
            # A look that sees half of the line can be sure of that half.
            whole = [look[n] for look in looks if len(look[n].text) > 0.8 * len(first.text) - 2]
            read[place] = max((first, *whole), key=lambda line: line.confidence)

    def _load(self) -> None:
        if self._reader is not None:
            return
        finder, network = _networks()
        self._finder = _session(finder, self._threads)
        reader = _session(network, self._threads)
        characters = reader.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *characters, " "]  # 0 is the blank between characters
        self._reader = reader

    def _find(self, image: Image) -> list[Rectangle]:
        """Where lines are, in pixels of `image`."""
        from PIL.Image import Resampling

        short, long = sorted(image.size)
        scale = min(_SHORT_SIDE / short, _MAX_UPSCALE)
        if _LONG_SIDE < long * scale < 1.6 * _LONG_SIDE:
            scale = _LONG_SIDE / long  # a page: better a little smaller than in two views
        width, height = (max(32, round(side * scale)) for side in image.size)
        small = image.resize((width, height), Resampling.BILINEAR, reducing_gap=2.0)
        heat = np.zeros((height, width), np.float32)
        for left, top, right, bottom in _views((width, height)):
            pixels = np.asarray(small.crop((left, top, right, bottom)), np.float32)[:, :, ::-1] / 127.5 - 1
            fill = ((0, -pixels.shape[0] % 32), (0, -pixels.shape[1] % 32), (0, 0))
            pixels = np.pad(pixels, fill, "edge").transpose(2, 0, 1)[None]
            (seen,) = self._finder.run(None, {"x": pixels})
            place = heat[top:bottom, left:right]
            np.maximum(place, seen[0, 0, : bottom - top, : right - left], out=place)
        found = rectangles(heat, _INK, at_most=_MAX_LINES)
        grown = [one.grown(_UNCLIP).scaled(1 / scale) for one in found]
        return [one for one in grown if min(one.width, one.height) >= _LEAST and _fits(one, image.size)]

    def _turns(self, image: Image, found: Sequence[Rectangle]) -> list[int]:
        """How often a quarter turn to the right each line stands turned; of 180° apart, what reads better."""
        heights = [one.height for one in found if one.width > 2 * one.height]
        # A lone digit is higher than broad, and yet upright.
        usual = float(np.median(heights)) if heights else 0.0
        tall = [one.height > 1.5 * one.width and one.height > 1.6 * usual for one in found]
        lengths = [max(one.width, one.height) for one in found]
        sideways = sum(length for length, is_tall in zip(lengths, tall, strict=True) if is_tall) > sum(lengths) / 2
        chosen = [place for place, is_tall in enumerate(tall) if is_tall == sideways]
        sample = [found[place] for place in sorted(chosen, key=lambda place: -lengths[place])[:5]]
        best, score = 0, -1.0
        for turn in (3, 1) if sideways else (0, 2):
            lines = self._read(image, sample, [turn] * len(sample))
            mean = sum(line.confidence for line in lines) / max(1, len(lines))
            if mean > score:
                best, score = turn, mean
            if score > _SURE:
                break
        other = {0: 3, 2: 1, 1: 0, 3: 0}[best]
        return [best if is_tall == sideways else other for is_tall in tall]

    def _read(self, image: Image, found: Sequence[Rectangle], turns: Sequence[int]) -> list[Line]:
        """What stands in each rectangle, read in its direction; a rectangle without text gives an empty line."""
        quads = [one.quad(turn) for one, turn in zip(found, turns, strict=True)]
        lines: list[Line | None] = [None] * len(quads)
        for batch in _batches([_width(quad) for quad in quads]):
            width = max(_width(quads[place]) for place in batch)
            pixels = np.zeros((len(batch), 3, _LINE_HEIGHT, width), np.float32)
            for row, place in enumerate(batch):
                crop = _crop(image, quads[place], _width(quads[place]))
                pixels[row, :, :, : crop.shape[2]] = crop
            (output,) = self._reader.run(None, {"x": pixels})
            best, sure = output.argmax(2), output.max(2)
            for row, place in enumerate(batch):
                share = width / _width(quads[place])
                lines[place] = self._spell(best[row], sure[row], quads[place], share)
        return [line for line in lines if line is not None]

    def _spell(self, best: NDArray[np.int64], sure: Floats, quad: Quad, share: float) -> Line:
        """Characters of the most probable path, repeats and blanks dropped, with each word's place along the line."""
        fresh = best != 0
        fresh[1:] &= best[1:] != best[:-1]
        steps = np.flatnonzero(fresh)
        if not len(steps):
            return Line("", quad, 0.0)
        characters = [self._characters[one] for one in best[steps]]
        words: list[Word] = []
        start = 0
        for place in range(len(characters) + 1):
            if place < len(characters) and not characters[place].isspace():
                continue
            if place > start:
                half = 0.5 if place - start > 1 else 1.0
                first, last = (steps[start] - half) / len(best), (steps[place - 1] + 1 + half) / len(best)
                words.append(
                    Word("".join(characters[start:place]), max(0.0, first * share), min(1.0, float(last * share)))
                )
            start = place + 1
        return Line("".join(characters).strip(), quad, round(float(sure[steps].mean()), 4), tuple(words))


def _networks() -> tuple[Path, Path]:
    """The networks that find and read. Raises ModelUnavailable where they are missing, or other than was measured."""
    try:
        import citewell_ppocr

        found = (citewell_ppocr.finder_path(), citewell_ppocr.reader_path())
    except ImportError:
        raise ModelUnavailable(NOT_INSTALLED) from None
    except FileNotFoundError as error:
        raise ModelUnavailable(str(error)) from error
    require_pictures()
    for path, sha256 in zip(found, (_FINDER, _READER), strict=True):
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise ModelUnavailable(
                f"{path.name} of the installed citewell-ppocr is not the file that was checked. "
                "Reinstall citewell[ocr]."
            )
    return found


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Every picture has other shapes: an arena would keep the largest of each, a pattern all of them.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _views(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) that cover a picture of `size`, overlapping, none longer than one view."""

    def cuts(length: int, side: int) -> list[tuple[int, int]]:
        count = max(1, math.ceil((length - _OVERLAP) / (side - _OVERLAP)))
        step = (length - side) / (count - 1) if count > 1 else 0
        return [(round(number * step), min(length, round(number * step) + side)) for number in range(count)]

    # Few cuts from top to bottom, because those go through lines.
    for left, right in cuts(size[0], _LONG_SIDE):
        for top, bottom in cuts(size[1], _VIEW_AREA // (right - left)):
            yield left, top, right, bottom


def _fits(one: Rectangle, size: tuple[int, int]) -> bool:
    """Whether a rectangle is on the picture but for its grown edge: where all is warm, no line was found."""
    return one.width * one.height < 0.9 * size[0] * size[1] or size[1] < 3 * _LINE_HEIGHT


def _width(quad: Quad) -> int:
    """Pixels that the line in `quad` is wide once it is as high as the network wants it."""
    return max(16, min(_MAX_WIDTH, math.ceil(_LINE_HEIGHT * math.dist(quad[0], quad[1]) / _height(quad))))


def _height(quad: Quad) -> float:
    return max(1.0, math.dist(quad[0], quad[3]))


def _batches(widths: Sequence[int]) -> Iterator[list[int]]:
    """Places of lines to be read together: of like width, and not too many."""
    batch: list[int] = []
    for place in sorted(range(len(widths)), key=widths.__getitem__):
        if batch and (len(batch) + 1) * widths[place] > _BATCH_WIDTH:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _crop(image: Image, quad: Quad, width: int) -> Floats:
    """The picture of one line, upright: blue, green and red from -1 to 1, shape (3, 48, `width`)."""
    # Large print is cut out as it is, then made smaller with all its points: a transform alone would take samples.
    from PIL.Image import Resampling, Transform

    height = max(_LINE_HEIGHT, round(_height(quad)))
    across = max(1, round(width * height / _LINE_HEIGHT))
    (x0, y0), (x1, y1), _, (x3, y3) = quad
    right, down = ((x1 - x0) / across, (y1 - y0) / across), ((x3 - x0) / height, (y3 - y0) / height)
    matrix = (right[0], down[0], x0, right[1], down[1], y0)
    line = image.transform((across, height), Transform.AFFINE, matrix, Resampling.BICUBIC, fillcolor=(255, 255, 255))
    if height > _LINE_HEIGHT:
        line = line.resize((width, _LINE_HEIGHT), Resampling.BILINEAR)
    return np.asarray(line, np.float32)[:, :, ::-1].transpose(2, 0, 1) / 127.5 - 1
