"""Image objects of PDF pages by their addresses, which a survey of the page has found (see `pdf_hidden`)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any


def image_objects(page: Any, addresses: Sequence[int]) -> list[Any]:
    """pypdfium2's objects for the images at `addresses` of an open page."""
    import pypdfium2
    from pypdfium2 import raw

    return [pypdfium2.PdfObject(ctypes.cast(at, raw.FPDF_PAGEOBJECT), page=page, pdf=page.pdf) for at in addresses]
