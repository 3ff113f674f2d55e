"""Image objects of PDF pages by their addresses, which a survey of the page has found (see `pdf_hidden`)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from citewell.reading.pdf_calls import calls


def image_objects(page: Any, addresses: Sequence[int]) -> list[Any]:
    """pypdfium2's objects for the images at `addresses` of an open page."""
    import pypdfium2
    from pypdfium2 import raw

    return [pypdfium2.PdfObject(ctypes.cast(at, raw.FPDF_PAGEOBJECT), page=page, pdf=page.pdf) for at in addresses]


def largest(addresses: Sequence[int], width: float, height: float) -> float:
    """The share of a page, `width` by `height` points large, that its largest image takes, at most 1.

    1 where the place of one cannot be told.
    """
    do = calls()
    most = 0.0
    for at in addresses:
        rectangle = do.rectangle(at)
        if rectangle is None:
            return 1.0
        left, bottom, right, top = rectangle
        most = max(most, (right - left) * (top - bottom))
    return min(1.0, most / max(1.0, width * height))
