"""What the layout parser makes of a PDF, taken from its native results as far as it is used.

liteparse's own conversion makes Python objects of everything it knows (the code of each letter, colours, the boxes of
words), which takes a third as long again as finding it. Here that is asked for where it is needed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from citewell.reading.pdf_text import letters_of

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in points from the top left of a page as it is shown."""


class Item:
    """Text of one line or a part of one, with its box in points from the top left; it runs at `rotation` degrees."""

    __slots__ = (
        "_box",
        "_letters",
        "_native",
        "_words",
        "center",
        "font_size",
        "height",
        "mcid",
        "middle",
        "rotation",
        "text",
        "width",
        "x",
        "y",
    )

    def __init__(self, native: Any, text: str) -> None:
        self._native = native
        self._box: Box | None = None
        self._letters: str | None = None
        self._words: Sequence[Any] | None = None
        self.text = text
        self.x: float = native.x
        self.y: float = native.y
        self.width: float = native.width
        self.height: float = native.height
        self.rotation: float = native.rotation
        self.font_size: float | None = native.font_size
        self.mcid: int | None = native.mcid
        self.center: float = self.x + self.width / 2
        self.middle: float = self.y + self.height / 2

    @property
    def words(self) -> Sequence[Any]:
        """The words with their boxes, which need not make up the text."""
        if self._words is None:
            self._words = list(self._native.words)
        return self._words

    @property
    def box(self) -> Box:
        """The box, rounded to a hundredth of a point."""
        if self._box is None:
            x, y = self.x, self.y
            self._box = hundredths(x), hundredths(y), hundredths(x + self.width), hundredths(y + self.height)
        return self._box

    @property
    def letters(self) -> str:
        """The letters and figures of the text as it is printed."""
        if self._letters is None:
            self._letters = letters_of(self.text)
        return self._letters

    @property
    def bold(self) -> bool:
        """Whether the font says so."""
        return "bold" in (self._native.font_name or "").lower() or (self._native.font_weight or 0) >= 600

    def saying(self, text: str) -> Item:
        """The same in the same place, with another text."""
        return Item(self._native, text)


class Items(list[Item]):
    """Items of one page, as they are from the first look on: those in a box are found without asking each."""

    def __init__(self, items: Iterable[Item]) -> None:
        super().__init__(items)
        # What is no number stands in no box, and in no order.
        known = [(item.middle, number) for number, item in enumerate(self) if not math.isnan(item.middle)]
        known.sort()
        self._middles = [middle for middle, _ in known]
        self._numbers = [number for _, number in known]
        self._centers = [self[number].center for number in self._numbers]

    def inside(self, box: Box) -> list[int]:
        """The numbers of those whose middle is in `box` or within a point of it, ascending."""
        low, high = bisect_left(self._middles, box[1] - 1), bisect_right(self._middles, box[3] + 1)
        left, right = box[0] - 1, box[2] + 1
        near = zip(self._numbers[low:high], self._centers[low:high], strict=True)
        return sorted([number for number, center in near if left <= center <= right])


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One tag of a tagged PDF, with the marks of its content, its attributes that are numbers, and the tags below."""

    type: str
    marked_content_ids: Sequence[int]
    attributes: Mapping[str, object]
    children: Sequence[Element]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its text in the order found, its blocks as liteparse has them, and its tags, from the outermost in."""

    page_num: int
    width: float
    height: float
    text_items: Sequence[Item]
    blocks: Sequence[Any]
    roots: Sequence[Element]

    @property
    def items(self) -> Items:
        """The items that say something."""
        return Items(item for item in self.text_items if item.text and not item.text.isspace())


def parsed(content: bytes, *, batch_size: int | None = None, **options: Any) -> Iterator[list[Page]]:
    """The pages of a PDF, in batches of `batch_size` or else all at once. Raises liteparse.ParseError.

    `options` are those of `liteparse.LiteParse`.
    """
    import liteparse

    parser = liteparse.LiteParse(**options)
    native = getattr(parser, "_native", None)
    if native is None:  # a liteparse that keeps it elsewhere: what it has converted has the same names, and is slower
        yield from _converted(parser, content, batch_size)
        return
    try:
        if batch_size is None:
            yield _pages(native.parse_bytes(content))
            return
        session = native.open_batch_session_bytes(content, batch_size)
        while (batch := session.next_batch()) is not None:
            yield _pages(batch.result)
    except Exception as error:  # the native parser has no type of its own for what it cannot parse
        raise liteparse.ParseError(str(error)) from error


def _converted(parser: Any, content: bytes, batch_size: int | None) -> Iterator[list[Page]]:
    if batch_size is None:
        yield _pages(parser.parse(content))
    else:
        for batch in parser.parse_batches(content, batch_size=batch_size):
            yield _pages(batch.result)


def _pages(result: Any) -> list[Page]:
    return [_page(native) for native in result.pages]


def _page(native: Any) -> Page:
    tree = native.structure_tree
    return Page(
        native.page_num,
        native.width,
        native.height,
        [Item(item, item.text) for item in native.text_items],
        native.blocks or (),
        [_element(root) for root in tree.roots] if tree is not None else (),
    )


def _element(native: Any) -> Element:
    said = native.attributes
    return Element(
        native.element_type if hasattr(native, "element_type") else native.type,
        native.marked_content_ids,
        said if isinstance(said, Mapping) else {one.name: one.number_value for one in said if one.number_value},
        [_element(child) for child in native.children],
    )


def hundredths(value: float) -> float:
    """`round(value, 2)`, in a third of the time."""
    scaled = value * 100.0
    whole = int(scaled + 0.5)
    # Next to the middle between two, the product may be on the wrong side; below zero `int` rounds up.
    return whole / 100 if -0.499999 < scaled - whole < 0.499999 else round(value, 2)
