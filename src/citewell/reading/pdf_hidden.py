"""Text of a PDF page that nobody who looks at the page can see, told object by object.

What can be told from the objects is: their place, size, render mode, clip and colour, and the fills and images under
and over them. Where that leaves a doubt, the page is drawn with the doubtful objects and without them, and what makes
no difference is not seen. Pages without doubt, which is most of them, are not drawn.

Not told: glyphs that look like other letters than they stand for, and fonts whose glyphs are empty.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_layers import Layers

Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in points of the page's own space."""
Colour: TypeAlias = tuple[int, int, int]
Matrix: TypeAlias = tuple[float, float, float, float, float, float]

CONTRAST: Final = 12
"""Of 255 levels of a colour: less is not seen."""
_PAPER: Final = (255, 255, 255)
_TINY: Final = 1.0  # points
_NEAR: Final = 24  # levels: text this close to a fill's colour is looked at
_SOLID: Final = 250  # of 255: a fill of this opacity covers
_FAINT: Final = 8
_MAX_DEPTH: Final = 8  # forms within forms
_MAX_PAIRS: Final = 500_000  # texts by what may cover them: beyond, drawing is cheaper
_MAX_SIDE: Final = 2000  # pixels
_SCAN: Final = 0.5  # of the page: images this large may be a scan


@dataclass(frozen=True, slots=True)
class Unseen:
    """Text that is not seen, with its box in points from the top left, as liteparse's text items have it."""

    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class _Text:
    """A text object: its place in the order of drawing, its rectangle on the page, its colour, and what is doubted."""

    raw: Any
    order: int
    rectangle: Rectangle
    colour: Colour | None  # None: a pattern, or drawn by its outlines
    mode: int
    doubtful: bool = False
    hidden: bool = False
    scanned: bool = False  # may be the text layer of a scan


@dataclass(slots=True)
class _Cover:
    """Something opaque: a filled path of one colour, or else an image or a shading without one."""

    order: int
    rectangle: Rectangle
    colour: Colour | None


def unseen(page: Any, layers: Layers) -> list[Unseen]:
    """What is written on a pypdfium2 page and not seen, in the order of drawing.

    The invisible text layer of a scan, over an image as large as half the page that shows something there, is not
    among it: that is how scans become searchable. Nor is text that is drawn a second time where it can be seen.
    """
    layers.new_page()
    survey = _Survey(page, layers)
    hidden = survey.hidden()
    return _as_runs(page, hidden, survey.texts) if hidden else []


def visible_items(items: Sequence[Any], secret: Sequence[Unseen]) -> list[Any]:
    """liteparse's text items without what is not seen; those that hold some of it are cut, and keep their boxes."""
    kept = []
    for item in items:
        text = item.text
        for run in secret:
            if _overlap(item, run):
                if _letters(text) in _letters(run.text):
                    text = ""
                    break
                text, _ = cut(text, run.text, (run.x - item.x) / item.width if item.width > 0 else 0.0)
        if text == item.text:
            kept.append(item)
        elif _letters(text):
            fields = {name: getattr(item, name) for name in dir(item) if not name.startswith("_")}
            kept.append(SimpleNamespace(**{**fields, "text": text}))
    return kept


def without_unseen(text: str, secret: Sequence[Unseen]) -> str:
    """Plain text of a page without what is not seen."""
    for run in secret:
        text, _ = cut(text, run.text)
    return text


def cut(text: str, said: str, at: float = 0.0) -> tuple[str, bool]:
    """`text` without `said`, whatever signs and spaces stand between its letters, and whether it was there.

    Where it stands more than once, the one nearest to `at` goes, which is a share of the text.
    """
    letters = _letters(said)
    if not letters:
        return text, False
    places = [place for place, sign in enumerate(text) if sign.isalnum()]
    packed = "".join([text[place] for place in places])
    found = [match.start() for match in re.finditer(re.escape(letters), packed)]
    if not found:
        return text, False
    first = min(found, key=lambda place: abs(places[place] - at * len(text)))
    start, end = places[first], places[first + len(letters) - 1] + 1
    return f"{text[:start].rstrip()} {text[end:].lstrip()}".strip(), True


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _overlap(item: Any, run: Unseen) -> bool:
    """Whether a text item and hidden text stand on one line and share a part of it."""
    middle = run.y + run.height / 2
    return bool(item.y <= middle <= item.y + item.height and run.x < item.x + item.width and item.x < run.x + run.width)


class _Survey:
    """The text objects of one page, and what lies under and over them."""

    def __init__(self, page: Any, layers: Layers) -> None:
        from pypdfium2 import raw

        self.texts: list[_Text] = []
        self._page = page
        self._layers = layers
        self._raw = raw
        self._covers: list[_Cover] = []
        self._images: list[Rectangle] = []
        self._clips: dict[tuple[int, int], Rectangle | None] = {}
        self._order = 0
        # One set of variables for all calls: making them costs more than the calls.
        self._floats = [ctypes.c_float() for _ in range(4)]
        self._bounds = [ctypes.byref(one) for one in self._floats]
        self._levels = [ctypes.c_uint() for _ in range(4)]
        self._rgba = [ctypes.byref(one) for one in self._levels]
        self._fill, self._stroke = ctypes.c_int(), ctypes.c_int()
        self._drawing = (ctypes.byref(self._fill), ctypes.byref(self._stroke))
        box = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(page, box)
        self._sheet: Rectangle = (box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top))
        self._walk(page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject, None, 0)

    def _walk(self, holder: Any, count: Any, get: Any, matrix: Matrix | None, depth: int) -> None:
        raw, texts = self._raw, self.texts
        kind_of, text, path = raw.FPDFPageObj_GetType, raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH
        for number in range(count(holder)):
            found = get(holder, number)
            kind = kind_of(found)
            self._order += 1
            if kind == text:
                rectangle = self._rectangle(found, matrix)
                if rectangle is not None:
                    texts.append(self._text(found, rectangle, matrix, in_form=depth > 0))
            elif kind == path:
                if raw.FPDFPath_GetDrawMode(found, *self._drawing) and self._fill.value:
                    self._add_path(found, matrix)
            elif kind == raw.FPDF_PAGEOBJ_FORM:
                if depth < _MAX_DEPTH:
                    own = raw.FS_MATRIX()
                    raw.FPDFPageObj_GetMatrix(found, own)
                    inner = _times((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
                    self._walk(found, raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject, inner, depth + 1)
            elif kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING):
                rectangle = self._rectangle(found, matrix)
                if rectangle is not None:
                    self._covers.append(_Cover(self._order, rectangle, None))
                    if kind == raw.FPDF_PAGEOBJ_IMAGE:
                        self._images.append(rectangle)

    def _rectangle(self, found: Any, matrix: Matrix | None) -> Rectangle | None:
        if not self._raw.FPDFPageObj_GetBounds(found, *self._bounds):
            return None
        left, bottom, right, top = [one.value for one in self._floats]
        if matrix is None:
            return left, bottom, right, top
        return _around([_moved(matrix, x, y) for x in (left, right) for y in (bottom, top)])

    def _colour(self, found: Any) -> tuple[Colour | None, int]:
        """Fill colour and opacity of an object; no colour for patterns."""
        if not self._raw.FPDFPageObj_GetFillColor(found, *self._rgba):
            return None, 255
        red, green, blue, alpha = [one.value for one in self._levels]
        return (red, green, blue), alpha

    def _add_path(self, found: Any, matrix: Matrix | None) -> None:
        rectangle = self._rectangle(found, matrix)
        if rectangle is None or rectangle[2] - rectangle[0] < 4 or rectangle[3] - rectangle[1] < 2:
            return  # rules and dots cover nothing
        colour, alpha = self._colour(found)
        if alpha >= _SOLID:
            self._covers.append(_Cover(self._order, rectangle, colour))

    def _text(self, found: Any, rectangle: Rectangle, matrix: Matrix | None, *, in_form: bool) -> _Text:
        raw = self._raw
        colour, alpha = self._colour(found)
        mode = raw.FPDFTextObj_GetTextRenderMode(found)
        made = _Text(found, self._order, rectangle, colour, mode)
        if mode == raw.FPDF_TEXTRENDERMODE_INVISIBLE or mode == raw.FPDF_TEXTRENDERMODE_CLIP:
            made.hidden = made.scanned = mode == raw.FPDF_TEXTRENDERMODE_INVISIBLE
            made.doubtful = not made.hidden
        elif mode not in (raw.FPDF_TEXTRENDERMODE_FILL, raw.FPDF_TEXTRENDERMODE_FILL_CLIP):
            made.colour, made.doubtful = None, True  # drawn by outlines, which have a colour of their own
        elif alpha < _FAINT:
            made.hidden = made.scanned = True
        elif raw.FPDFPageObj_HasTransparency(found):
            made.doubtful = True
        if not _meet(rectangle, self._sheet) or self._is_clipped(found, rectangle, matrix):
            made.hidden, made.scanned = True, False
        elif min(rectangle[3] - rectangle[1], rectangle[2] - rectangle[0]) < _TINY and self._size(found, matrix) < _TINY:
            made.hidden, made.scanned = True, False
        if self._layers.some and not made.hidden and (in_form or self._layers.holds(found)):
            made.doubtful = True
        return made

    def _size(self, found: Any, matrix: Matrix | None) -> float:
        """The size of the letters on the page, in points."""
        own, size = self._raw.FS_MATRIX(), ctypes.c_float()
        if not (
            self._raw.FPDFPageObj_GetMatrix(found, own) and self._raw.FPDFTextObj_GetFontSize(found, ctypes.byref(size))
        ):
            return 12.0
        a, b, c, d, _, _ = _times((own.a, own.b, own.c, own.d, 0.0, 0.0), matrix)
        return abs(size.value) * min(math.hypot(a, b), math.hypot(c, d))

    def _is_clipped(self, found: Any, rectangle: Rectangle, matrix: Matrix | None) -> bool:
        """Whether the object's clip leaves nothing of it."""
        raw = self._raw
        clip = raw.FPDFPageObj_GetClipPath(found)
        count = raw.FPDFClipPath_CountPaths(clip)
        if count <= 0:
            return False
        last = raw.FPDFClipPath_GetPathSegment(clip, count - 1, 0)
        # Objects drawn under the same clip share its points.
        key = (ctypes.addressof(last.contents) if last else 0, count)
        if key not in self._clips:
            self._clips[key] = self._clip(clip, count, matrix)
        window = self._clips[key]
        return window is not None and not _meet(rectangle, window)

    def _clip(self, clip: Any, count: int, matrix: Matrix | None) -> Rectangle | None:
        raw, x, y = self._raw, ctypes.c_float(), ctypes.c_float()
        window: Rectangle | None = None
        for number in range(count):
            points = []
            for place in range(min(max(raw.FPDFClipPath_CountPathSegments(clip, number), 0), 10_000)):
                if raw.FPDFPathSegment_GetPoint(raw.FPDFClipPath_GetPathSegment(clip, number, place), x, y):
                    points.append(_moved(matrix, x.value, y.value))
            around = _around(points) if points else (0.0, 0.0, 0.0, 0.0)
            window = around if window is None else _shared(window, around)
        return window

    def hidden(self) -> list[_Text]:
        """The text objects that are not seen."""
        self._look_under()
        self._look_over()
        doubtful = [one for one in self.texts if one.doubtful and not one.hidden]
        if doubtful:
            self._compare(doubtful)
        return self._without_scan([one for one in self.texts if one.hidden])

    def _look_under(self) -> None:
        """Doubt text of the colour of paper, or of a fill on the page, unless it surely stands on another."""
        fills = {cover.colour for cover in self._covers if cover.colour is not None}
        close: dict[Colour | None, bool] = {None: False}
        for text in self.texts:
            if text.colour not in close:
                close[text.colour] = any(_near(text.colour, fill) for fill in (_PAPER, *fills) if text.colour)
            if text.hidden or text.doubtful or not close[text.colour]:
                continue
            ground: _Cover | None = None
            for cover in self._covers:
                if cover.order > text.order:
                    break
                if _meet(cover.rectangle, text.rectangle):
                    ground = cover
            text.doubtful = (
                ground is None
                or ground.colour is None
                or text.colour is None
                or _near(text.colour, ground.colour)
                or not _within(text.rectangle, ground.rectangle)
            )

    def _look_over(self) -> None:
        """Doubt text over which something opaque is drawn later."""
        after: list[Rectangle] = []  # around this cover and all later ones
        for cover in reversed(self._covers):
            after.append(_around_both(after[-1], cover.rectangle) if after else cover.rectangle)
        after.reverse()
        first, pairs = 0, 0
        for text in self.texts:
            while first < len(self._covers) and self._covers[first].order < text.order:
                first += 1
            if text.hidden or text.doubtful or first == len(self._covers) or not _meet(after[first], text.rectangle):
                continue
            if pairs > _MAX_PAIRS:
                text.doubtful = True
                continue
            for number in range(first, len(self._covers)):
                if _meet(self._covers[number].rectangle, text.rectangle):
                    text.doubtful = True
                    # A scan over its text hides it as well as render mode 3 does.
                    text.scanned = text.scanned or self._covers[number].rectangle in self._images
                    break
            pairs += number - first

    def _compare(self, doubtful: Sequence[_Text]) -> None:
        """Draw the page with the doubtful texts and without them: what makes no difference is hidden."""
        raw = self._raw
        whole = self._draw()
        try:
            for text in doubtful:
                raw.FPDFPageObj_SetIsActive(text.raw, False)
            without = self._draw()
        finally:
            for text in doubtful:
                raw.FPDFPageObj_SetIsActive(text.raw, True)
        if whole is None or without is None:
            return
        for text in doubtful:
            if text.mode == raw.FPDF_TEXTRENDERMODE_CLIP:
                # It is a stencil: what is drawn through it may show its letters.
                text.hidden = not whole.varies(self._on(whole, text.rectangle))
            else:
                text.hidden = not whole.differs(without, self._on(whole, text.rectangle))

    def _draw(self, longest: int = _MAX_SIDE) -> _Bitmap | None:
        import pypdfium2

        try:
            scale = min(1.0, longest / max(self._page.get_size()))
            return _Bitmap(self._page.render(scale=scale))
        except (pypdfium2.PdfiumError, ValueError, MemoryError, ZeroDivisionError):
            return None

    def _on(self, bitmap: _Bitmap, rectangle: Rectangle) -> tuple[int, int, int, int]:
        """The pixels of a rectangle: left, top, right, bottom."""
        left, top, right, bottom = placed(self._page, rectangle, bitmap.width, bitmap.height)
        return int(left), int(top), math.ceil(right) + 1, math.ceil(bottom) + 1

    def _without_scan(self, hidden: list[_Text]) -> list[_Text]:
        """`hidden` without the text layer of a scan."""
        layer = [text for text in hidden if text.scanned]
        seen = len(self.texts) - len(hidden)
        if not layer or len(layer) <= seen:
            return hidden  # a page that is written, not scanned
        size = (self._sheet[2] - self._sheet[0]) * (self._sheet[3] - self._sheet[1])
        large = sum((right - left) * (top - bottom) for left, bottom, right, top in self._images)
        if large < _SCAN * size or (drawn := self._draw(600)) is None:
            return hidden

        def stands(text: _Text) -> bool:
            on_image = any(_within(text.rectangle, _wider(image, 3)) for image in self._images)
            return on_image and drawn.varies(self._on(drawn, text.rectangle))

        return [text for text in hidden if not (text.scanned and stands(text))]


@dataclass(slots=True)
class _Bitmap:
    """A page as drawn."""

    made: Any

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

    def differs(self, other: _Bitmap, box: tuple[int, int, int, int]) -> bool:
        """Whether the two can be told apart in a box."""
        for mine, its in zip(self._rows(box), other._rows(box), strict=True):
            if mine != its and max(abs(a - b) for a, b in zip(mine, its, strict=True)) > CONTRAST:
                return True
        return False

    def varies(self, box: tuple[int, int, int, int]) -> bool:
        """Whether anything can be told from its ground in a box."""
        step = int(self.made.n_channels)
        joined = b"".join(self._rows(box))
        planes = [joined[channel::step] for channel in range(min(step, 3))]
        return any(plane and max(plane) - min(plane) > CONTRAST for plane in planes)


def placed(page: Any, rectangle: Rectangle, width: float, height: float) -> Rectangle:
    """A rectangle of the page as left, top, right, bottom on a picture of it, whichever way the page is turned."""
    from pypdfium2 import raw

    fine = 100  # PDFium gives whole numbers
    x, y = ctypes.c_int(), ctypes.c_int()
    corners = []
    for across in (rectangle[0], rectangle[2]):
        for up in (rectangle[1], rectangle[3]):
            raw.FPDF_PageToDevice(page, 0, 0, round(width * fine), round(height * fine), 0, across, up, x, y)
            corners.append((x.value / fine, y.value / fine))
    return _around(corners)


def _as_runs(page: Any, hidden: Sequence[_Text], texts: Sequence[_Text]) -> list[Unseen]:
    """Hidden objects as text, those that follow each other on a line as one."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    width, height = page.get_size()
    seen = [text for text in texts if not text.hidden]
    runs: list[Unseen] = []
    for text in hidden:
        said = _said(raw, textpage, text)
        if not said or said.isspace() or _is_shown_again(raw, textpage, text, said, seen):
            continue
        left, top, right, bottom = placed(page, text.rectangle, width, height)
        if runs:
            last = runs[-1]
            gap = left - last.x - last.width
            tall = max(last.height, bottom - top)
            if abs(last.y + last.height - bottom) < tall / 2 and -tall / 2 < gap < 2 * tall:
                joint = " " if gap > tall / 6 and not (last.text[-1:].isspace() or said[:1].isspace()) else ""
                y, below = min(last.y, top), max(last.y + last.height, bottom)
                runs[-1] = Unseen(last.text + joint + said, last.x, y, max(right, last.x) - last.x, below - y)
                continue
        runs.append(Unseen(said, left, top, right - left, bottom - top))
    return runs


def _said(raw: Any, textpage: Any, text: _Text) -> str:
    size = raw.FPDFTextObj_GetText(text.raw, textpage, None, 0)
    if size <= 2:
        return ""
    units = (ctypes.c_ushort * (size // 2))()
    raw.FPDFTextObj_GetText(text.raw, textpage, units, size)
    return bytes(units).decode("utf-16-le", "replace").rstrip("\0")


def _is_shown_again(raw: Any, textpage: Any, text: _Text, said: str, seen: Sequence[_Text]) -> bool:
    """Whether the same is written where this stands and can be seen, as with a shadow under a title."""
    wide = _wider(text.rectangle, 3)
    return any(
        _meet(one.rectangle, wide) and _letters(said) in _letters(_said(raw, textpage, one)) for one in seen
    )


def _times(first: Matrix, second: Matrix | None) -> Matrix:
    """The matrix that does `first`, then `second`."""
    if second is None:
        return first
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _moved(matrix: Matrix | None, x: float, y: float) -> tuple[float, float]:
    if matrix is None:
        return x, y
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _around(points: Sequence[tuple[float, float]]) -> Rectangle:
    across, up = [x for x, _ in points], [y for _, y in points]
    return min(across), min(up), max(across), max(up)


def _around_both(one: Rectangle, other: Rectangle) -> Rectangle:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _shared(one: Rectangle, other: Rectangle) -> Rectangle:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _wider(one: Rectangle, by: float) -> Rectangle:
    return one[0] - by, one[1] - by, one[2] + by, one[3] + by


def _meet(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(one: Rectangle, other: Rectangle) -> bool:
    return other[0] <= one[0] and one[2] <= other[2] and other[1] <= one[1] and one[3] <= other[3]


def _near(one: Colour, other: Colour) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]), abs(one[2] - other[2])) <= _NEAR
