"""What recognises text in a picture: one small Protocol, the lines it gives, and the engines there are by name."""

from __future__ import annotations

import importlib.util
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from citewell.errors import ConfigError, ModelUnavailable

if TYPE_CHECKING:
    from PIL.Image import Image

PPOCR: Final = "ppocr-v6-small@1"
"""The identity of the engine `ppocr`."""

Point: TypeAlias = tuple[float, float]
Quad: TypeAlias = tuple[Point, Point, Point, Point]
"""Corners in pixels from the top left of the picture, clockwise, from where the text begins to be read, above it."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: where it begins and ends along the line, from 0.0 to 1.0."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text as recognised. `confidence` is 0.0 to 1.0, the engine's own; `words` may be empty."""

    text: str
    quad: Quad
    confidence: float
    words: tuple[Word, ...] = ()

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box (x0, y0, x1, y1) around the line, in pixels."""
        xs, ys = [x for x, _ in self.quad], [y for _, y in self.quad]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def angle(self) -> float:
        """The direction it is read in: radians clockwise from left-to-right."""
        (x0, y0), (x1, y1) = self.quad[0], self.quad[1]
        return math.atan2(y1 - y0, x1 - x0)


NOT_INSTALLED: Final = (
    "Text in images and scans is read with Pillow and citewell-ppocr, which are not installed. Install citewell[ocr]."
)


class Recogniser(Protocol):
    """Finds and reads the lines of text in a picture."""

    @property
    def identity(self) -> str:
        """`name@version`; changes whenever the same picture would read differently."""
        ...

    def lines(self, image: Image) -> list[Line]:
        """All lines found, in no order that matters. Raises ModelUnavailable when the engine is not installed."""
        ...


def require_pictures() -> None:
    """Raises ModelUnavailable where pictures cannot be opened, so that no engine can be shown any."""
    if not _installed("PIL"):
        raise ModelUnavailable(NOT_INSTALLED)


NONE: Final = "none"
"""The name of no engine: pictures stay unread."""

AUTO: Final = "auto"
"""The name of `ppocr` where it is installed, else of `tesseract` where that program is."""

_ENGINES: Final = ("ppocr", "tesseract")


def engine(name: str) -> Recogniser | None:
    """The engine called `name`: `ppocr`, `tesseract`, `tesseract:eng+deu` with languages, `auto`, or None for `none`.

    Nothing is loaded yet. Raises ConfigError for other names.
    """
    if name == NONE:
        return None
    kind, _, languages = (_chosen() if name == AUTO else name).partition(":")
    if kind == "tesseract":
        from citewell.reading.tesseract import Tesseract

        return Tesseract(languages=languages) if languages else Tesseract()
    if kind not in _ENGINES or languages:
        raise ConfigError(f"No OCR engine is called {name!r}. There are: {', '.join((AUTO, NONE, *_ENGINES))}.")
    from citewell.reading.ppocr import PpOcr

    return PpOcr()


def engine_identity(name: str) -> str:
    """The identity of the engine called `name`, "" where it is not installed or is none; nothing is loaded for it.

    Raises ConfigError as `engine` does.
    """
    if name in (AUTO, "ppocr"):
        if _installed("citewell_ppocr") and _installed("PIL"):
            return PPOCR
        if name == "ppocr" or _chosen() == "ppocr":
            return ""
    made = engine(name)
    return "" if made is None or not _installed("PIL") else made.identity


def _chosen() -> str:
    return "tesseract" if not _installed("citewell_ppocr") and shutil.which("tesseract") else "ppocr"


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
