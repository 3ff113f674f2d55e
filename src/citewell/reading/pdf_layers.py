"""Layers of a PDF (optional content): whether a file may have any, and which text objects stand in one.

PDFium says nothing of a layer being on or off, but draws what is on: the drawing decides (`pdf_hidden`).
"""

from __future__ import annotations

import ctypes
import re
import zlib
from dataclasses import dataclass, field
from typing import Final

_NAME: Final = b"/OCProperties"
_STREAM: Final = re.compile(rb"/ObjStm\b.{0,400}?\bstream\r?\n", re.DOTALL)
_MAX_STREAMS: Final = 2000
_MAX_OBJECTS_BYTES: Final = 4 << 20
"""Of one object stream: the catalog stands near the front of one."""
_MAX_TOTAL_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Layers:
    """What of a page's text stands in a layer; `some` is whether the file may have layers at all."""

    some: bool = False
    _known: dict[int, bool] = field(default_factory=dict)

    def new_page(self) -> None:
        """Forget the marks of the page before, which may be gone."""
        self._known.clear()

    def holds(self, found: int) -> bool:
        """Whether a page object is marked as part of a layer."""
        from pypdfium2 import raw

        found_at = ctypes.cast(found, raw.FPDF_PAGEOBJECT)
        for number in range(raw.FPDFPageObj_CountMarks(found_at)):
            mark = raw.FPDFPageObj_GetMark(found_at, number)
            if not mark:
                continue
            key = ctypes.addressof(mark.contents)
            if key not in self._known:
                name, size = (ctypes.c_ushort * 8)(), ctypes.c_ulong()
                raw.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), ctypes.byref(size))
                self._known[key] = bytes(name).startswith("OC\0".encode("utf-16-le"))
            if self._known[key]:
                return True
        return False


def may_have_layers(content: bytes) -> bool:
    """Whether the catalog names optional content; True where it may be in a stream that cannot be opened."""
    if _NAME in content:
        return True
    total = 0
    for number, found in enumerate(_STREAM.finditer(content)):
        if number >= _MAX_STREAMS or total > _MAX_TOTAL_BYTES:
            return True
        if b"/FlateDecode" not in content[max(found.start() - 400, 0) : found.end()]:
            return True
        inflater = zlib.decompressobj()
        try:
            objects = inflater.decompress(content[found.end() : found.end() + _MAX_OBJECTS_BYTES], _MAX_OBJECTS_BYTES)
        except zlib.error:
            return True
        total += len(objects)
        if _NAME in objects or inflater.unconsumed_tail:
            return True
    return False
