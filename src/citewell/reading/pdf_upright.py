"""PDF pages whose text does not run from left to right as shown, turned so that it does, and their places turned back.

The layout parser breaks the words of text that is set sideways or upside down, and finds no blocks in it. Such pages
are rewritten by PDFium with the turn in their content, and read again.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from citewell.reading.pdf_layout import Box, Page
from citewell.types import Block, Document, Region

_MOST: Final = 0.8  # of the characters of a page run in its direction


@dataclass(frozen=True, slots=True)
class Turn:
    """A page as it is shown, `width` by `height` points, was turned clockwise by `quarters` to stand upright."""

    quarters: int
    width: float
    height: float

    def back(self, box: Box) -> Box:
        """A box on the upright page as it stands on the page as it is shown."""
        x0, y0, x1, y1 = box
        if self.quarters == 1:
            box = (y0, self.height - x1, y1, self.height - x0)
        elif self.quarters == 2:
            box = (self.width - x1, self.height - y1, self.width - x0, self.height - y0)
        elif self.quarters == 3:
            box = (self.width - y1, x0, self.width - y0, x1)
        return (round(box[0], 2), round(box[1], 2), round(box[2], 2), round(box[3], 2))


def quarters_to_turn(page: Page) -> int:
    """How many quarters clockwise a liteparse page has to be turned for its text to run from left to right."""
    lengths = [0, 0, 0, 0]
    for item in page.text_items:
        lengths[round(item.rotation / 90) % 4] += len(item.text)
    most = max(range(4), key=lambda quarters: lengths[quarters])
    return -most % 4 if lengths[most] >= _MOST * sum(lengths) else 0


def turn_pages(pdf: Any, turns: Mapping[int, Turn]) -> bytes:
    """The file with its pages (numbers from 1) turned; they are so in the pypdfium2 document `pdf` from now on."""
    for number, turn in turns.items():
        _turn(pdf, number - 1, turn.quarters)
    made = io.BytesIO()
    # Without its protection: who reads the copy needs no password.
    from pypdfium2 import raw

    pdf.save(made, flags=raw.FPDF_REMOVE_SECURITY)
    return made.getvalue()


def turned_back(document: Document, turns: Mapping[int, Turn]) -> Document:
    """`document` with its places on the pages in `turns` as the pages are shown."""
    if not turns:
        return document

    def shown(region: Region) -> Region:
        turn = turns.get(region.page)
        return region if turn is None or region.box is None else Region(region.page, turn.back(region.box))

    def back(block: Block) -> Block:
        cells = tuple(replace(cell, region=shown(cell.region)) if cell.region else cell for cell in block.cells)
        lines = tuple(replace(line, region=shown(line.region)) for line in block.lines)
        return replace(block, regions=tuple(map(shown, block.regions)), cells=cells, lines=lines)

    return replace(
        document,
        blocks=tuple(map(back, document.blocks)),
        assets=tuple(replace(asset, regions=tuple(map(shown, asset.regions))) for asset in document.assets),
    )


def _turn(pdf: Any, index: int, quarters: int) -> None:
    """Write the turn that a page is shown with, and `quarters` more, into its content."""
    from pypdfium2 import raw

    page = pdf[index]
    x0, y0, x1, y1 = page.get_cropbox()
    total = (page.get_rotation() // 90 + quarters) % 4
    a, b, c, d, e, f = _matrix(total, (x0, y0, x1, y1))
    matrix = raw.FS_MATRIX(a, b, c, d, e, f)
    raw.FPDFPage_TransFormWithClip(page, ctypes.byref(matrix), None)
    raw.FPDFPage_TransformAnnots(page, a, b, c, d, e, f)
    wide, high = (y1 - y0, x1 - x0) if total % 2 else (x1 - x0, y1 - y0)
    page.set_rotation(0)
    page.set_mediabox(0, 0, wide, high)
    page.set_cropbox(0, 0, wide, high)
    page.close()


def _matrix(quarters: int, sheet: Box) -> Sequence[float]:
    """What turns a sheet clockwise and moves its lower left corner to the origin; y points up."""
    x0, y0, x1, y1 = sheet
    return ((1, 0, 0, 1, -x0, -y0), (0, -1, 1, 0, -y0, x1), (-1, 0, 0, -1, x1, y1), (0, 1, -1, 0, y1, -x0))[quarters]
