"""Text of a PDF page that nobody who looks at the page can see, told object by object.

What can be told from the objects is: their place, size, render mode, clip and colour, and the fills and images under
and over them. Where that leaves a doubt, the page is drawn with the doubtful objects and without them, and what makes
no difference is not seen. Pages without doubt, which is most of them, are not drawn.

Not told: glyphs that look like other letters than they stand for, and fonts whose glyphs are empty.
"""

from __future__ import annotations

import ctypes
import math
import struct
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from citewell.reading.pdf_bitmap import draw
from citewell.reading.pdf_calls import Calls, Matrix, calls
from citewell.reading.pdf_covers import CELL, Colour, Cover, banded, between, cells_of, near
from citewell.reading.pdf_geometry import (
    Rectangle,
    around,
    around_both,
    carried,
    meet,
    moved,
    placed,
    shared,
    times,
    wider,
    within,
)
from citewell.reading.pdf_layers import Layers
from citewell.reading.pdf_text import letters
from citewell.reading.pdf_unseen import Unseen

_PAPER: Final = (255, 255, 255)
_TINY: Final = 1.0  # points
_SOLID: Final = 250  # of 255: a fill of this opacity covers
_FAINT: Final = 8
_MAX_DEPTH: Final = 8  # forms within forms
_MAX_PAIRS: Final = 500_000  # texts by what may cover them: beyond, drawing is cheaper
_OPAQUE: Final = (255).to_bytes(4, sys.byteorder)
_TEXT, _PATH, _IMAGE, _SHADING, _FORM = 1, 2, 3, 4, 5  # of fpdfview.h, as the render modes are
_MODE_INVISIBLE, _MODE_FILL_CLIP, _MODE_CLIP = 3, 4, 7
_FLOATS: Final = struct.Struct("4f")
_SCAN: Final = 0.5  # of the page: images this large may be a scan
_IMAGE_DEPTH: Final = 5  # forms within forms in which images are looked for
_DENSE: Final = 0.2  # of the cells: bars and dots that take this much may be what text stands on
_BROAD: Final = 4.0  # points: a stroke that may be what text stands on, or what covers it


@dataclass(frozen=True, slots=True)
class Sight:
    """What is written on a page and not seen, in the order of drawing, and the addresses of its images' objects."""

    unseen: list[Unseen] = field(default_factory=list)
    images: list[int] = field(default_factory=list)


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


def sight(page: Any, textpage: Any, layers: Layers) -> Sight:
    """What of a pypdfium2 page is not seen, and what are its images; addresses hold while the page is open.

    `textpage` is that of the page.

    The invisible text layer of a scan, over an image as large as half the page that shows something there, is not
    among it: that is how scans become searchable. Nor is text that is drawn a second time where it can be seen.
    """
    layers.new_page()
    survey = _Survey(page, layers)
    hidden = survey.hidden()
    return Sight(_as_runs(page, textpage, hidden, survey) if hidden else [], survey.pictures)


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
        self._covers: list[Cover] = []
        self._images: list[Rectangle] = []
        self.pictures: list[int] = []
        self._specks: dict[Colour, dict[tuple[int, int], float]] = {}  # how much small fills of a colour take, by cell
        self._clips: dict[tuple[int, int], Rectangle | None] = {}
        self._order = 0
        x, y = ctypes.c_double(), ctypes.c_double()
        corners = []
        for at in (0, 1000):  # the boxes themselves may be inherited, or turned
            raw.FPDF_DeviceToPage(page, 0, 0, 1000, 1000, 0, at, at, x, y)
            corners.append((x.value, y.value))
        self._sheet: Rectangle = around(corners)
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
                    rectangle = carried(matrix, rectangle)
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
                filled, stroked = do.draws(found)
                if filled:
                    self._cover(found, order, matrix, bytes(levels) if fill_of(found, *shades) else b"")
                elif stroked and do.stroke_width(found) >= _BROAD:
                    self._cover(found, order, matrix, None)
            elif kind == _FORM:
                if depth < _MAX_DEPTH:
                    self._order = order
                    inner = times(do.matrix(found), matrix)
                    self._walk(found, do.form_count, do.form_object, inner, depth + 1)
                    order = self._order
            elif kind in (_IMAGE, _SHADING):
                self._cover(found, order, matrix, None, image=kind == _IMAGE)
                if kind == _IMAGE and depth < _IMAGE_DEPTH:
                    self.pictures.append(found)
        self._order = order

    def _cover(
        self, found: int, order: int, matrix: Matrix | None, colour: bytes | None, *, image: bool = False
    ) -> None:
        rectangle = self._calls.rectangle(found)
        if rectangle is None:
            return
        rectangle = carried(matrix, rectangle) if matrix is not None else rectangle
        if image:
            self._images.append(rectangle)
        wide, tall = rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]
        if wide < 4 or tall < 2:  # rules and dots cover nothing, unless there are many
            if colour and colour[12] >= _SOLID:
                speck = colour[0], colour[4], colour[8]
                cells = self._specks.setdefault(speck, {})
                inside = list(cells_of(rectangle))
                for cell in inside:
                    cells[cell] = cells.get(cell, 0.0) + wide * tall / len(inside)
            return
        if not colour:
            self._covers.append(Cover(order, rectangle, None))
        elif colour[12] >= _SOLID:
            self._covers.append(Cover(order, rectangle, (colour[0], colour[4], colour[8])))

    def _mark(self, text: _Plain, *, hidden: bool = False, scanned: bool = False, mode: int = 0) -> _Text:
        made = self._doubted.setdefault(text[1], _Text(*text[:3], mode))
        made.hidden, made.scanned = hidden or made.hidden, scanned
        return made

    def _doubt(self, text: _Plain, matrix: Matrix | None, *, in_form: bool) -> None:
        """Mark a text that is hidden for sure, or may be, by what it is itself."""
        found, _, rectangle, colour = text
        mode = self._calls.mode(found)
        tiny = min(rectangle[3] - rectangle[1], rectangle[2] - rectangle[0]) < _TINY
        if not meet(rectangle, self._sheet) or (tiny and self._size(found, matrix) < _TINY):
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
        a, b, c, d, _, _ = times(self._calls.matrix(found), matrix)
        return abs(size) * min(math.hypot(a, b), math.hypot(c, d)) if size else 12.0

    def _clip(self, key: tuple[int, int], clip: int, matrix: Matrix | None) -> Rectangle | None:
        """The rectangle around what a clip leaves; None where that is the whole page."""
        window = self._sheet
        for number in range(key[1]):
            points = self._calls.points(clip, number)
            box = around([moved(matrix, x, y) for x, y in points]) if points else (0.0, 0.0, 0.0, 0.0)
            window = shared(window, box)
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
            if meet(rectangle, near) and not (order in self._doubted and self._doubted[order].hidden):
                yield found, rectangle

    def _look_under(self) -> None:
        """Doubt text that may stand on its own colour: on paper, fills, images of any colour, or many specks."""
        fills = {cover.colour for cover in self._covers if cover.colour is not None}
        colours = {text[3]: (text[3][0], text[3][4], text[3][8]) for text in self._plain if text[3]}
        bare = {key: near(colour, _PAPER) for key, colour in colours.items()}
        close = {key: bare[key] or any(near(colour, one) for one in fills) for key, colour in colours.items()}
        pictured = any(cover.colour is None for cover in self._covers)
        dense = [speck for speck, cells in self._specks.items() if max(cells.values()) > _DENSE * CELL * CELL]
        dotted = {key: [speck for speck in dense if near(colour, speck)] for key, colour in colours.items()}
        if not pictured and not any(close.values()) and not any(dotted.values()):
            return
        covers = self._covers
        bands = banded(covers, range(len(covers)))
        orders = [cover.order for cover in covers]
        alike = {  # by colour, where it might stand on what it cannot be told from
            key: banded(covers, [n for n, one in enumerate(covers) if one.colour is None or near(colour, one.colour)])
            for key, colour in colours.items()
            if not bare[key]
        }
        pairs = 0
        for text in self._plain:
            _, order, rectangle, colour = text
            if order in self._doubted or not colour or not (pictured or close[colour] or dotted[colour]):
                continue
            if any(self._is_among(rectangle, speck) for speck in dotted[colour]):
                self._mark(text)
                continue
            if pairs > _MAX_PAIRS:
                if pictured or close[colour]:
                    self._mark(text)
                continue
            end = bisect_left(orders, order)
            left, bottom, right, top = rectangle
            if not bare[colour]:
                for number in between(alike[colour], rectangle, end):
                    pairs += 1
                    x0, y0, x1, y1 = covers[number].rectangle
                    if x0 < right and left < x1 and y0 < top and bottom < y1:
                        break
                else:
                    continue
            # From the last that was drawn under it to the one that holds all of it, or else down to the paper.
            doubtful = bare[colour]
            for number in between(bands, rectangle, end):
                cover = covers[number]
                pairs += 1
                if not meet(cover.rectangle, rectangle):
                    continue
                if cover.colour is None or near(colours[colour], cover.colour):
                    doubtful = True
                    break
                if within(rectangle, cover.rectangle):
                    doubtful = False
                    break
            if doubtful:
                self._mark(text)

    def _is_among(self, rectangle: Rectangle, speck: Colour) -> bool:
        """Whether bars and dots of a colour take a good part of where a text stands."""
        cells = self._specks[speck]
        found = [cells.get(cell, 0.0) for cell in cells_of(rectangle)]
        return bool(found) and sum(found) > _DENSE * CELL * CELL * len(found)

    def _look_over(self) -> None:
        """Doubt text over which something opaque is drawn later."""
        after: list[Rectangle] = []  # around this cover and all later ones
        for cover in reversed(self._covers):
            after.append(around_both(after[-1], cover.rectangle) if after else cover.rectangle)
        after.reverse()
        first, pairs, count = 0, 0, len(self._covers)
        for text in self._plain:
            _, order, rectangle, _ = text
            while first < count and self._covers[first].order < order:
                first += 1
            if first == count:
                break
            if not meet(after[first], rectangle) or order in self._doubted:
                continue
            if pairs > _MAX_PAIRS:
                self._mark(text)
                continue
            for number in range(first, count):
                pairs += 1
                cover = self._covers[number]
                if meet(cover.rectangle, rectangle):
                    # A scan over its text hides it as well as render mode 3 does.
                    self._mark(text, scanned=cover.rectangle in self._images)
                    break

    def _compare(self, doubtful: Sequence[_Text]) -> None:
        """Draw the page with the doubtful texts and without them: what makes no difference is hidden."""
        switch = self._calls.switch
        area = doubtful[0].rectangle
        for text in doubtful:
            area = around_both(area, text.rectangle)
        whole = draw(self._page, area)
        try:
            for text in doubtful:
                switch(text.raw, 0)
            without = draw(self._page, area)
        finally:
            for text in doubtful:
                switch(text.raw, 1)
        if whole is None or without is None:
            return
        for text in doubtful:
            if text.mode == _MODE_CLIP:
                # It is a stencil: what is drawn through it may show its letters.
                text.hidden = not whole.varies(whole.of(self._page, text.rectangle))
            else:
                text.hidden = not whole.differs(without, whole.of(self._page, text.rectangle))

    def _without_scan(self, hidden: list[_Text]) -> list[_Text]:
        """`hidden` without the text layer of a scan."""
        layer = [text for text in hidden if text.scanned]
        seen = len(self._plain) - len(hidden)
        if not layer or len(layer) <= seen:
            return hidden  # a page that is written, not scanned
        size = (self._sheet[2] - self._sheet[0]) * (self._sheet[3] - self._sheet[1])
        large = sum((right - left) * (top - bottom) for left, bottom, right, top in self._images)
        if large < _SCAN * size or (drawn := draw(self._page, self._sheet, 600)) is None:
            return hidden

        def stands(text: _Text) -> bool:
            on_image = any(within(text.rectangle, wider(image, 3)) for image in self._images)
            return on_image and drawn.varies(drawn.of(self._page, text.rectangle))

        return [text for text in hidden if not (text.scanned and stands(text))]


def _as_runs(page: Any, textpage: Any, hidden: Sequence[_Text], survey: _Survey) -> list[Unseen]:
    """Hidden objects as text, those that follow each other on a line as one."""
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
            alike = min(last.height, bottom - top) > tall / 3  # else one of them runs up the margin
            if alike and abs(last.y + last.height - bottom) < tall / 2 and -tall / 2 < gap < 2 * tall:
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
    for one, rectangle in survey.seen(wider(text.rectangle, 3)):
        again = do.text(one, textpage)
        if again and letters(said) in letters(again):
            return True
        # What stands twice in one place PDFium gives to the first object alone.
        if not again and max(abs(a - b) for a, b in zip(rectangle, text.rectangle, strict=True)) < 3:
            return True
    return False
