"""Loss accounting: whatever a source holds is kept, or left out under a named reason, and the sum is all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why something that a source holds is not part of what can be found and quoted.

    `boilerplate` and `hidden` mostly stand in the document as flagged blocks; invisible characters that carry a
    message are `hidden` and stand nowhere. `duplicate` is what stands in it already
    (an image shown again, text that a page carries twice). `unreadable` is what we know to be there and cannot make
    out (a scan without OCR, broken characters, an image in an unknown format, what a parser dropped). `too_small` is
    what is too little to be anything (spacer images, blank pages).
    """

    BOILERPLATE = "boilerplate"
    DUPLICATE = "duplicate"
    HIDDEN = "hidden"
    UNREADABLE = "unreadable"
    TOO_SMALL = "too_small"


@dataclass(frozen=True, slots=True)
class Tally:
    """How much there is of something.

    `characters`: those that are no white space, of what the source holds as text for people to read, after decoding
    and without the marks of its format (tags, scripts, style sheets, Markdown signs, cell separators, soft hyphens
    and other invisible marks that only guide the breaking of lines). What a reader writes down that a format only
    implies (the number of a list item) counts as found and kept. `cells`: table cells that hold text, a merged one
    once. `images`: uses of images whose bytes the source holds; what it only points to is not in it. `pages`: pages,
    slides.
    """

    characters: int = 0
    cells: int = 0
    images: int = 0
    pages: int = 0

    def __post_init__(self) -> None:
        assert min(self.characters, self.cells, self.images, self.pages) >= 0, self

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.characters + other.characters,
            self.cells + other.cells,
            self.images + other.images,
            self.pages + other.pages,
        )

    def __bool__(self) -> bool:
        return self != _NOTHING


_NOTHING: Final = Tally()


@dataclass(frozen=True, slots=True)
class Account:
    """What was found in a source, what of it was kept for answers, and what was left out for which reason.

    found == kept + the sum of `left_out`, for characters, cells, images and pages alike.
    """

    found: Tally = _NOTHING
    kept: Tally = _NOTHING
    left_out: Mapping[Reason, Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert sum(self.left_out.values(), self.kept) == self.found, self

    @classmethod
    def of(cls, kept: Tally, left_out: Mapping[Reason, Tally]) -> Account:
        """The account of `kept` and `left_out`; reasons for which nothing was left out are not named."""
        named = {reason: left_out[reason] for reason in Reason if left_out.get(reason)}
        return cls(sum(named.values(), kept), kept, named)

    def __add__(self, other: Account) -> Account:
        both = {reason: self.left_out.get(reason, _NOTHING) + other.left_out.get(reason, _NOTHING) for reason in Reason}
        return Account.of(self.kept + other.kept, both)


_ASCII_SPACE: Final = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
# All other white space in UTF-8: whole, or by the bytes it starts with, which are searched for at full speed.
_WIDE: Final = (b"\xc2\x85", b"\xc2\xa0", b"\xe1\x9a\x80", b"\xe2\x81\x9f", b"\xe3\x80\x80")
_GENERAL: Final = re.compile(b"\xe2\x80[\x80-\x8a\xa8\xa9\xaf]")


def count_characters(text: str) -> int:
    """How many characters of `text` are no white space (as `str.isspace` has it)."""
    raw = text.encode("utf-8", "surrogatepass")
    count = len(text) - len(raw) + len(raw.translate(None, _ASCII_SPACE))
    if len(raw) > len(text):
        count -= sum(map(raw.count, _WIDE)) + sum(1 for _ in _GENERAL.finditer(raw))
    return count
