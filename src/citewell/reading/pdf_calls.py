"""Calls into PDFium that cost little: some files draw every letter as an object of its own, 4,000 a page.

pypdfium2's own bindings make an object for every pointer and let other threads run at every call, which takes five
times as long. Addresses are whole numbers here. They are those of a page's objects while the page is open.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

Matrix: TypeAlias = tuple[float, float, float, float, float, float]

_P: Final = ctypes.c_void_p
_I: Final = ctypes.c_int
_D: Final = ctypes.c_double
_MAX_POINTS: Final = 10_000  # of one clip path
_MAX_TEXT_BYTES: Final = 1 << 20  # of one object


class Calls:
    """The functions, and the variables that they write to."""

    def __init__(self) -> None:
        self.floats = (ctypes.c_float * 6)()
        self.levels = (ctypes.c_uint32 * 4)()
        self.page_count: Callable[[int], int] = _bind("FPDFPage_CountObjects", _I, _P)
        self.page_object: Callable[[int, int], int] = _bind("FPDFPage_GetObject", _P, _P, _I)
        self.form_count: Callable[[int], int] = _bind("FPDFFormObj_CountObjects", _I, _P)
        self.form_object: Callable[[int, int], int] = _bind("FPDFFormObj_GetObject", _P, _P, ctypes.c_ulong)
        self.kind: Callable[[int], int] = _bind("FPDFPageObj_GetType", _I, _P)
        self.mode: Callable[[int], int] = _bind("FPDFTextObj_GetTextRenderMode", _I, _P)
        self.transparent: Callable[[int], int] = _bind("FPDFPageObj_HasTransparency", _I, _P)
        self.clip: Callable[[int], int] = _bind("FPDFPageObj_GetClipPath", _P, _P)
        self.clip_paths: Callable[[int], int] = _bind("FPDFClipPath_CountPaths", _I, _P)
        self.clip_segment: Callable[[int, int, int], int | None] = _bind("FPDFClipPath_GetPathSegment", _P, _P, _I, _I)
        self.switch: Callable[[int, int], int] = _bind("FPDFPageObj_SetIsActive", _I, _P, _I)
        self.bounds: Callable[[int, int, int, int, int], int] = _bind("FPDFPageObj_GetBounds", _I, _P, _P, _P, _P, _P)
        self.fill: Callable[[int, int, int, int, int], int] = _bind("FPDFPageObj_GetFillColor", _I, _P, _P, _P, _P, _P)
        self.draw_mode: Callable[[int, int, int], int] = _bind("FPDFPath_GetDrawMode", _I, _P, _P, _P)
        self.segments: Callable[[int], int] = _bind("FPDFPath_CountSegments", _I, _P)
        self.segment: Callable[[int, int], int] = _bind("FPDFPath_GetPathSegment", _P, _P, _I)
        self.segment_kind: Callable[[int], int] = _bind("FPDFPathSegment_GetType", _I, _P)
        self.segment_closes: Callable[[int], int] = _bind("FPDFPathSegment_GetClose", _I, _P)
        self.sign_count: Callable[[int], int] = _bind("FPDFText_CountChars", _I, _P)
        self.sign: Callable[[int, int], int] = _bind("FPDFText_GetUnicode", ctypes.c_uint, _P, _I)
        self.is_generated: Callable[[int, int], int] = _bind("FPDFText_IsGenerated", _I, _P, _I)
        self._sign_box: Callable[[int, int, int], int] = _bind("FPDFText_GetLooseCharBox", _I, _P, _I, _P)
        self._clip_segments: Callable[[int, int], int] = _bind("FPDFClipPath_CountPathSegments", _I, _P, _I)
        self._point: Callable[[int, int, int], int] = _bind("FPDFPathSegment_GetPoint", _I, _P, _P, _P)
        self._stroke_width: Callable[[int, int], int] = _bind("FPDFPageObj_GetStrokeWidth", _I, _P, _P)
        self._matrix: Callable[[int, int], int] = _bind("FPDFPageObj_GetMatrix", _I, _P, _P)
        self._font_size: Callable[[int, int], int] = _bind("FPDFTextObj_GetFontSize", _I, _P, _P)
        self._text: Callable[[int, int, int | None, int], int] = _bind(
            "FPDFTextObj_GetText", ctypes.c_ulong, _P, _P, _P, ctypes.c_ulong
        )
        self._to_device: Callable[..., int] = _bind("FPDF_PageToDevice", _I, _P, _I, _I, _I, _I, _I, _D, _D, _P, _P)
        self._wholes = (ctypes.c_int * 2)()
        at = ctypes.addressof(self._wholes)
        self._corner = (at, at + 4)
        at = ctypes.addressof(self.floats)
        self.places = (at, at + 4, at + 8, at + 12)
        """Where `bounds` writes left, bottom, right and top: into `floats`."""
        at = ctypes.addressof(self.levels)
        self.shades = (at, at + 4, at + 8, at + 12)
        """Where `fill` writes red, green, blue and opacity, 0 to 255: into `levels`."""

    def to_device(self, page: int, width: int, height: int, x: float, y: float) -> tuple[int, int]:
        """Where a point of a page stands on a picture of it that is `width` by `height` pixels large."""
        self._to_device(page, 0, 0, width, height, 0, x, y, *self._corner)
        return self._wholes[0], self._wholes[1]

    def draws(self, path: int) -> tuple[bool, bool]:
        """Whether a path is filled, and whether it is stroked."""
        if not self.draw_mode(path, self.shades[0], self.shades[1]):
            return False, False
        return bool(self.levels[0]), bool(self.levels[1])

    def stroke_width(self, found: int) -> float:
        """How broad the strokes of an object are, before its matrix; 0 where it has none."""
        return float(self.floats[0]) if self._stroke_width(found, self.places[0]) else 0.0

    def rectangle(self, found: int) -> tuple[float, float, float, float] | None:
        """Left, bottom, right and top of an object."""
        if not self.bounds(found, *self.places):
            return None
        left, bottom, right, top = self.floats[:4]
        return left, bottom, right, top

    def matrix(self, found: int) -> Matrix:
        """The matrix of a text object or form."""
        if not self._matrix(found, self.places[0]):
            return 1.0, 0.0, 0.0, 1.0, 0.0, 0.0
        a, b, c, d, e, f = self.floats[:]
        return a, b, c, d, e, f

    def font_size(self, text: int) -> float:
        """The size of a text object's font, before its matrix; 0 where it has none."""
        return float(self.floats[0]) if self._font_size(text, self.places[0]) else 0.0

    def sign_box(self, textpage: int, number: int) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of a sign with the room that its font gives it."""
        if not self._sign_box(textpage, number, self.places[0]):
            return None
        left, top, right, bottom = self.floats[:4]
        return left, top, right, bottom

    def points(self, clip: int, path: int) -> list[tuple[float, float]]:
        """The points of one path of a clip."""
        made = []
        for number in range(min(max(self._clip_segments(clip, path), 0), _MAX_POINTS)):
            segment = self.clip_segment(clip, path, number)
            if segment and (point := self.point(segment)):
                made.append(point)
        return made

    def point(self, segment: int) -> tuple[float, float] | None:
        """Where a segment of a path or clip ends."""
        if not self._point(segment, self.places[0], self.places[1]):
            return None
        x, y = self.floats[:2]
        return x, y

    def text(self, found: int, textpage: int) -> str:
        """What a text object says."""
        size = min(self._text(found, textpage, None, 0), _MAX_TEXT_BYTES)
        if size <= 2:
            return ""
        units = ctypes.create_string_buffer(size)
        self._text(found, textpage, ctypes.addressof(units), size)
        return units.raw.decode("utf-16-le", "replace").rstrip("\0")


@cache
def calls() -> Calls:
    """The calls, bound once: PDFium is used by one thread at a time (see `pdf`)."""
    return Calls()


def _bind(name: str, result: Any, *arguments: Any) -> Any:
    from pypdfium2 import raw

    # PYFUNCTYPE keeps the interpreter's lock: none of these calls takes long enough to let others run.
    address = ctypes.cast(getattr(raw, name), ctypes.c_void_p).value
    assert address is not None
    return ctypes.PYFUNCTYPE(result, *arguments)(address)
