"""A part of a PDF page as it is drawn, to be compared with itself drawn otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from citewell.reading.pdf_geometry import Rectangle, pixels, placed

CONTRAST: Final = 12
"""Of 255 levels of a colour: less is not seen."""

_MAX_SIDE: Final = 2000  # pixels


@dataclass(slots=True)
class Bitmap:
    """A part of a page as drawn, from (`left`, `top`) on; the whole would be `across` by `down` pixels large."""

    made: Any
    left: int
    top: int
    across: int
    down: int

    @property
    def width(self) -> int:
        return int(self.made.width)

    @property
    def height(self) -> int:
        return int(self.made.height)

    def _rows(self, box: tuple[int, int, int, int]) -> Iterator[bytes]:
        pixels = memoryview(self.made.buffer).cast("B")
        step = int(self.made.n_channels)
        left, right = max(0, box[0]) * step, min(self.width, box[2]) * step
        if right > left:
            for row in range(max(0, box[1]), min(self.height, box[3])):
                yield bytes(pixels[row * self.made.stride + left : row * self.made.stride + right])

    def differs(self, other: Bitmap, box: tuple[int, int, int, int]) -> bool:
        """Whether the two can be told apart in a box."""
        for mine, its in zip(self._rows(box), other._rows(box), strict=True):
            if mine != its and max(abs(a - b) for a, b in zip(mine, its, strict=True)) > CONTRAST:
                return True
        return False

    def varies(self, box: tuple[int, int, int, int]) -> bool:
        """Whether anything can be told from its ground in a box."""
        left, top, right, bottom = box
        middle = (top + bottom) // 2
        # Where one line of points says it, which is most times, the others need not be asked.
        return self._vary((left, middle, right, min(middle + 1, bottom))) or self._vary(box)

    def _vary(self, box: tuple[int, int, int, int]) -> bool:
        step = int(self.made.n_channels)
        joined = b"".join(self._rows(box))
        planes = [joined[channel::step] for channel in range(min(step, 3))]
        return any(plane and max(plane) - min(plane) > CONTRAST for plane in planes)

    def of(self, page: Any, rectangle: Rectangle) -> tuple[int, int, int, int]:
        """The pixels of a rectangle of the page on it: left, top, right, bottom."""
        left, top, right, bottom = pixels(placed(page, rectangle, self.across, self.down))
        return left - self.left, top - self.top, right - self.left, bottom - self.top


def draw(page: Any, area: Rectangle, longest: int = _MAX_SIDE) -> Bitmap | None:
    """What is seen in a rectangle of the page; nothing outside it is drawn."""
    import pypdfium2

    try:
        size = page.get_size()
        scale = min(1.0, longest / max(size))
        width, height = math.ceil(size[0] * scale), math.ceil(size[1] * scale)
        left, top, right, bottom = pixels(placed(page, area, width, height))
        left, top = max(0, min(left - 2, width - 1)), max(0, min(top - 2, height - 1))
        right, bottom = max(left + 1, min(right + 2, width)), max(top + 1, min(bottom + 2, height))
        # Half a pixel less than what is meant: it is rounded up.
        sides = (left, height - bottom, width - right, top)
        cut = tuple(max(0.0, side - 0.5) / scale for side in sides)
        return Bitmap(page.render(scale=scale, crop=cut), left, top, width, height)
    except (pypdfium2.PdfiumError, ValueError, MemoryError, ZeroDivisionError):
        return None
