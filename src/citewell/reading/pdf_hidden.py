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
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_calls import Calls, Matrix, calls
from citewell.reading.pdf_layers import Layers

Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top in points of the page's own space."""
Colour: TypeAlias = tuple[int, int, int]

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
_OPAQUE: Final = (255).to_bytes(4, sys.byteorder)
_TEXT, _PATH, _IMAGE, _SHADING, _FORM = 1, 2, 3, 4, 5  # of fpdfview.h, as the render modes are
_MODE_INVISIBLE, _MODE_FILL_CLIP, _MODE_CLIP = 3, 4, 7
_FLOATS: Final = struct.Struct("4f")
_SCAN: Final = 0.5  # of the page: images this large may be a scan


@dataclass(frozen=True, slots=True)
class Unseen:
    """Text that is not seen, with its box in points from the top left, as liteparse's text items have it."""

    text: str
    x: float
    y: float
    width: float
    height: float


_Plain: TypeAlias = tuple[int, int, Rectangle, bytes]
"""A text object as it is found: its address, its place in the order of drawing, its rectangle on the page, and its
fill colour as four native integers (red, green, blue, opacity), empty for a pattern."""


@dataclass(slots=True)
class _Text:
    """A text object in doubt. `scanned` is whether it may be the text layer of a scan."""

    raw: int
    order: int
    rectangle: Rectangle
    mode: int
    hidden: bool = False
    scanned: bool = False


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
    return _as_runs(page, hidden, survey) if hidden else []


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

        self._page = page
        self._layers = layers
        self._raw = raw
        self._calls = calls()
        self._plain: list[_Plain] = []
        self._doubted: dict[int, _Text] = {}
        self._covers: list[_Cover] = []
        self._images: list[Rectangle] = []
        self._clips: dict[tuple[int, int], Rectangle | None] = {}
        self._order = 0
        x, y = ctypes.c_double(), ctypes.c_double()
        corners = []
        for at in (0, 1000):  # the boxes themselves may be inherited, or turned
            raw.FPDF_DeviceToPage(page, 0, 0, 1000, 1000, 0, at, at, x, y)
            corners.append((x.value, y.value))
        self._sheet: Rectangle = _around(corners)
        self._walk(ctypes.addressof(page.raw.contents), self._calls.page_count, self._calls.page_object, None, 0)

    def _walk(
        self,
        holder: int,
        count: Callable[[int], int],
        get: Callable[[int, int], int],
        matrix: Matrix | None,
        depth: int,
    ) -> None:
        # The loop runs once a letter in some files: names are local, and what most letters need not is elsewhere.
        do, sheet, plain, layers = self._calls, self._sheet, self._plain, self._layers.some
        kind_of, mode_of, fill_of, bounds_of = do.kind, do.mode, do.fill, do.bounds
        transparent, clip_of, clip_paths, clip_segment = do.transparent, do.clip, do.clip_paths, do.clip_segment
        numbers, levels, unpack, clips = do.floats, do.levels, _FLOATS.unpack_from, self._clips
        places, shades = do.places, do.shades
        order = self._order
        for number in range(count(holder)):
            found = get(holder, number)
            kind = kind_of(found)
            order += 1
            if kind == _TEXT:
                if not bounds_of(found, *places):
                    continue
                rectangle = unpack(numbers)
                if matrix is not None:
                    rectangle = _carried(matrix, rectangle)
                left, bottom, right, top = rectangle
                if left == right and bottom == top:
                    continue  # a space
                text = (found, order, rectangle, bytes(levels) if fill_of(found, *shades) else b"")
                plain.append(text)
                if (
                    mode_of(found)
                    or text[3][12:] != _OPAQUE
                    or transparent(found)
                    or left >= sheet[2]
                    or right <= sheet[0]
                    or bottom >= sheet[3]
                    or top <= sheet[1]
                    or top - bottom < _TINY
                    or right - left < _TINY
                    or layers
                ):
                    self._doubt(text, matrix, in_form=depth > 0)
                clip = clip_of(found)
                paths = clip_paths(clip)
                if paths > 0:
                    key = (clip_segment(clip, paths - 1, 0) or 0, paths)  # shared by what is drawn under one clip
                    window = clips[key] if key in clips else self._clip(key, clip, matrix)
                    if window and not (
                        left < window[2] and window[0] < right and bottom < window[3] and window[1] < top
                    ):
                        self._mark(text, hidden=True)
            elif kind == _PATH:
                if do.is_filled(found):
                    self._cover(found, order, matrix, bytes(levels) if fill_of(found, *shades) else b"")
            elif kind == _FORM:
                if depth < _MAX_DEPTH:
                    self._order = order
                    inner = _times(do.matrix(found), matrix)
                    self._walk(found, do.form_count, do.form_object, inner, depth + 1)
                    order = self._order
            elif kind in (_IMAGE, _SHADING):
                self._cover(found, order, matrix, None, image=kind == _IMAGE)
        self._order = order

    def _cover(
        self, found: int, order: int, matrix: Matrix | None, colour: bytes | None, *, image: bool = False
    ) -> None:
        rectangle = self._calls.rectangle(found)
        if rectangle is None:
            return
        rectangle = _carried(matrix, rectangle) if matrix is not None else rectangle
        if image:
            self._images.append(rectangle)
        if rectangle[2] - rectangle[0] < 4 or rectangle[3] - rectangle[1] < 2:
            return  # rules and dots cover nothing
        if not colour:
            self._covers.append(_Cover(order, rectangle, None))
        elif colour[12] >= _SOLID:
            self._covers.append(_Cover(order, rectangle, (colour[0], colour[4], colour[8])))

    def _mark(self, text: _Plain, *, hidden: bool = False, scanned: bool = False, mode: int = 0) -> _Text:
        made = self._doubted.setdefault(text[1], _Text(*text[:3], mode))
        made.hidden, made.scanned = hidden or made.hidden, scanned
        return made

    def _doubt(self, text: _Plain, matrix: Matrix | None, *, in_form: bool) -> None:
        """Mark a text that is hidden for sure, or may be, by what it is itself."""
        found, _, rectangle, colour = text
        mode = self._calls.mode(found)
        tiny = min(rectangle[3] - rectangle[1], rectangle[2] - rectangle[0]) < _TINY
        if not _meet(rectangle, self._sheet) or (tiny and self._size(found, matrix) < _TINY):
            self._mark(text, hidden=True)
        elif mode == _MODE_INVISIBLE or (mode == 0 and colour and colour[12] < _FAINT):
            self._mark(text, hidden=True, scanned=True)
        elif (
            mode not in (0, _MODE_FILL_CLIP)  # drawn by outlines, which have a colour of their own
            or self._calls.transparent(found)
            or (self._layers.some and (in_form or self._layers.holds(found)))
        ):
            self._mark(text, mode=mode)

    def _size(self, found: int, matrix: Matrix | None) -> float:
        """The size of the letters on the page, in points."""
        size = self._calls.font_size(found)
        a, b, c, d, _, _ = _times(self._calls.matrix(found), matrix)
        return abs(size) * min(math.hypot(a, b), math.hypot(c, d)) if size else 12.0

    def _clip(self, key: tuple[int, int], clip: int, matrix: Matrix | None) -> Rectangle | None:
        """The rectangle around what a clip leaves; None where that is the whole page."""
        window = self._sheet
        for number in range(key[1]):
            points = self._calls.points(clip, number)
            around = _around([_moved(matrix, x, y) for x, y in points]) if points else (0.0, 0.0, 0.0, 0.0)
            window = _shared(window, around)
        self._clips[key] = made = None if window == self._sheet else window
        return made

    def hidden(self) -> list[_Text]:
        """The text objects that are not seen, in the order of drawing."""
        if self._covers:
            self._look_over()
        self._look_under()
        doubtful = [one for one in self._doubted.values() if not one.hidden]
        if doubtful:
            self._compare(doubtful)
        hidden = [one for one in self._doubted.values() if one.hidden]
        return self._without_scan(sorted(hidden, key=lambda one: one.order))

    @property
    def size(self) -> int:
        """How many text objects there are."""
        return len(self._plain)

    def seen(self, near: Rectangle) -> Iterator[tuple[int, Rectangle]]:
        """The text objects that reach into a rectangle and are not hidden, with their own."""
        for found, order, rectangle, _ in self._plain:
            if _meet(rectangle, near) and not (order in self._doubted and self._doubted[order].hidden):
                yield found, rectangle

    def _look_under(self) -> None:
        """Doubt text of the colour of paper, or of a fill on the page, unless it surely stands on another."""
        fills = {_PAPER, *(cover.colour for cover in self._covers if cover.colour is not None)}
        close = {
            colour: any(_near((colour[0], colour[4], colour[8]), fill) for fill in fills)
            for colour in {text[3] for text in self._plain}
            if colour
        }
        if not any(close.values()):
            return
        pairs = 0
        for text in self._plain:
            _, order, rectangle, colour = text
            if order in self._doubted or not colour or not close[colour]:
                continue
            ground: _Cover | None = None
            if pairs < _MAX_PAIRS:
                for cover in self._covers:
                    if cover.order > order:
                        break
                    pairs += 1
                    if _meet(cover.rectangle, rectangle):
                        ground = cover
            if (
                ground is None
                or ground.colour is None
                or _near((colour[0], colour[4], colour[8]), ground.colour)
                or not _within(rectangle, ground.rectangle)
            ):
                self._mark(text)

    def _look_over(self) -> None:
        """Doubt text over which something opaque is drawn later."""
        after: list[Rectangle] = []  # around this cover and all later ones
        for cover in reversed(self._covers):
            after.append(_around_both(after[-1], cover.rectangle) if after else cover.rectangle)
        after.reverse()
        first, pairs, count = 0, 0, len(self._covers)
        for text in self._plain:
            _, order, rectangle, _ = text
            while first < count and self._covers[first].order < order:
                first += 1
            if first == count:
                break
            if not _meet(after[first], rectangle) or order in self._doubted:
                continue
            if pairs > _MAX_PAIRS:
                self._mark(text)
                continue
            for number in range(first, count):
                pairs += 1
                cover = self._covers[number]
                if _meet(cover.rectangle, rectangle):
                    # A scan over its text hides it as well as render mode 3 does.
                    self._mark(text, scanned=cover.rectangle in self._images)
                    break

    def _compare(self, doubtful: Sequence[_Text]) -> None:
        """Draw the page with the doubtful texts and without them: what makes no difference is hidden."""
        switch = self._calls.switch
        whole = self._draw()
        try:
            for text in doubtful:
                switch(text.raw, 0)
            without = self._draw()
        finally:
            for text in doubtful:
                switch(text.raw, 1)
        if whole is None or without is None:
            return
        for text in doubtful:
            if text.mode == _MODE_CLIP:
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
        seen = len(self._plain) - len(hidden)
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


def _as_runs(page: Any, hidden: Sequence[_Text], survey: _Survey) -> list[Unseen]:
    """Hidden objects as text, those that follow each other on a line as one."""
    textpage = page.get_textpage()
    width, height = page.get_size()
    do, at = calls(), ctypes.addressof(textpage.raw.contents)
    runs: list[Unseen] = []
    again: list[bool] = []  # of each run, whether all of it is written where it can be seen
    pairs = 10 * _MAX_PAIRS
    for text in hidden:
        said = do.text(text.raw, at)
        if not said or said.isspace():
            continue
        is_again = pairs > 0 and _is_shown_again(do, at, text, said, survey)
        pairs -= survey.size
        left, top, right, bottom = placed(page, text.rectangle, width, height)
        if runs:
            last = runs[-1]
            gap = left - last.x - last.width
            tall = max(last.height, bottom - top)
            if abs(last.y + last.height - bottom) < tall / 2 and -tall / 2 < gap < 2 * tall:
                joint = " " if gap > tall / 6 and not (last.text[-1:].isspace() or said[:1].isspace()) else ""
                y, below = min(last.y, top), max(last.y + last.height, bottom)
                runs[-1] = Unseen(last.text + joint + said, last.x, y, max(right, last.x) - last.x, below - y)
                again[-1] = again[-1] and is_again
                continue
        runs.append(Unseen(said, left, top, right - left, bottom - top))
        again.append(is_again)
    return [run for run, is_again in zip(runs, again, strict=True) if not is_again]


def _is_shown_again(do: Calls, textpage: int, text: _Text, said: str, survey: _Survey) -> bool:
    """Whether the same is written where it can be seen, as with a shadow under a title."""
    for one, rectangle in survey.seen(_wider(text.rectangle, 3)):
        again = do.text(one, textpage)
        if again and _letters(said) in _letters(again):
            return True
        # What stands twice in one place PDFium gives to the first object alone.
        if not again and max(abs(a - b) for a, b in zip(rectangle, text.rectangle, strict=True)) < 3:
            return True
    return False


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


def _carried(matrix: Matrix, one: Rectangle) -> Rectangle:
    return _around([_moved(matrix, x, y) for x in (one[0], one[2]) for y in (one[1], one[3])])


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
