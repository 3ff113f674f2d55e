"""Links of texts: which may be followed, and where they stand once white space was written anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from citewell.reading.invisible import clean
from citewell.types import Link, Span, count_characters

_MAX_TARGET: Final = 2000
_STRIPPED: Final = " \n\t\xa0\u200b\u2060\ufeff"
_NO_TARGETS: Final = ("javascript:", "vbscript:", "data:")


def is_followed(target: str) -> bool:
    """Whether a reader may follow a link to `target`: no script, no data, and not too long."""
    target = target.strip()
    return 0 < len(target) <= _MAX_TARGET and not target.lower().startswith(_NO_TARGETS)


def moved(links: Sequence[tuple[int, int, str]], raw: str, text: str) -> list[tuple[int, int, str]]:
    """`links` of `raw` with offsets into `text`, which is `raw` with other white space, and stripped perhaps."""
    places = [place for place, sign in enumerate(text) if not sign.isspace()]
    before = count_characters(_head(raw)) - count_characters(_head(text))
    made = []
    for start, end, target in sorted(links):
        first = max(count_characters(raw[:start]) - before, 0)
        last = min(count_characters(raw[:end]) - before, len(places))
        begin = places[first] if first < len(places) else len(text)
        made.append((begin, places[last - 1] + 1 if last > first else begin, target))
    return made


def links_in(links: Sequence[tuple[int, int, str]], raw: str, text: str, at: int) -> tuple[Link, ...]:
    """`links` of `raw` as they stand in `text`, which begins at `at`; without those that no reader should follow."""
    if not links:
        return ()
    return tuple(
        Link(Span(at + start, at + end), target.strip())
        for start, end, target in ((start, end, clean(target).text) for start, end, target in moved(links, raw, text))
        if is_followed(target)
    )


def _head(text: str) -> str:
    return text[: len(text) - len(text.lstrip(_STRIPPED))]
