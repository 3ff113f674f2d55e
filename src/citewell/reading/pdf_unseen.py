"""Text of a PDF page that is not seen, taken out of what other parsers made of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from citewell.reading.pdf_layout import Item, Items
from citewell.reading.pdf_text import letters


@dataclass(frozen=True, slots=True)
class Unseen:
    """Text that is not seen, with its box in points from the top left, as liteparse's text items have it."""

    text: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def visible_items(items: Sequence[Item], secret: Sequence[Unseen]) -> Items:
    """liteparse's text items without what is not seen; those that hold some of it are cut, and keep their boxes."""
    kept = []
    for item in items:
        text = item.text
        for run in secret:
            if _overlap(item, run):
                if letters(text) in letters(run.text):
                    text = ""
                    break
                text, _ = cut(text, run.text, (run.x - item.x) / item.width if item.width > 0 else 0.0)
        if text == item.text:
            kept.append(item)
        elif letters(text):
            kept.append(item.saying(text))
    return Items(kept)


def without_unseen(text: str, secret: Sequence[Unseen]) -> str:
    """Plain text of a page without what is not seen."""
    for run in secret:
        text, _ = cut(text, run.text)
    return text


def cut(text: str, said: str, at: float = 0.0) -> tuple[str, bool]:
    """`text` without `said`, whatever signs and spaces stand between its letters, and whether it was there.

    Where it stands more than once, the one nearest to `at` goes, which is a share of the text.
    """
    wanted = letters(said)
    if not wanted:
        return text, False
    places = [place for place, sign in enumerate(text) if sign.isalnum()]
    packed = "".join([text[place] for place in places])
    found = [match.start() for match in re.finditer(re.escape(wanted), packed)]
    if not found:
        return text, False
    first = min(found, key=lambda place: abs(places[place] - at * len(text)))
    start, end = places[first], places[first + len(wanted) - 1] + 1
    rest = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
    return (rest if any(map(str.isalnum, rest)) else ""), True


def _overlap(item: Item, run: Unseen) -> bool:
    """Whether a text item and hidden text stand on one line and share a part of it."""
    shared = min(item.y + item.height, run.y + run.height) - max(item.y, run.y)
    on_line = shared > 0 and shared >= min(item.height, run.height) / 2
    return bool(on_line and run.x < item.x + item.width and item.x < run.x + run.width)
