"""The image objects of a PDF page, without an object of Python's for each of the thousands that are no image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MAX_DEPTH: Final = 5
"""Forms within forms that are looked into."""


def image_objects(page: Any) -> Iterator[Any]:
    """The images of a pypdfium2 page, those inside its forms too, in the order in which they are drawn.

    As `page.get_objects` gives them. Raises PdfiumError where the page is broken.
    """
    return _within(page, None, 0)


def _within(page: Any, form: Any, level: int) -> Iterator[Any]:
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
        elif kind == raw.FPDF_PAGEOBJ_FORM and level < MAX_DEPTH - 1:
            inner = pypdfium2.PdfObject(found, page=page, pdf=page.pdf, container=form, level=level)
            yield from _within(page, inner, level + 1)
