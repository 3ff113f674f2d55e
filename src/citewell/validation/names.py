"""Names in a text: capitalised sequences and identifiers, which a claim may not have unless its source does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from citewell.language import STOP_WORDS, Word, sentences, words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IDENTIFIER = re.compile(
    r"(?<![\w])(?:[A-Za-z]+[-_/]?\d[\w-]*|\w+_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://\S+)(?!\w)"
)
_NOT_NAMES = _set(
    """january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday yes no i"""
)


@dataclass(frozen=True, slots=True)
class Name:
    """A name at characters [start, end); `parts` are its words, lower-cased. `sure` is False for the word that opens
    a sentence, whose capital may mean nothing."""

    text: str
    parts: tuple[str, ...]
    start: int
    end: int
    sure: bool = True


def names(text: str) -> list[Name]:
    """Capitalised sequences and identifiers, ascending. In a text without lower-case letters there are none."""
    found = [
        Name(m.group(), tuple(w.lower for w in words(m.group())), m.start(), m.end())
        for m in _IDENTIFIER.finditer(text)
    ]
    if not any(ch.islower() for ch in text):
        return sorted(found, key=lambda one: one.start)
    openings = {start for start, _ in sentences(text)}
    run: list[Word] = []

    def close() -> None:
        if run:
            first = text[: run[0].start].rstrip()
            opening = any(o <= run[0].start <= o + 3 for o in openings) or first.endswith(
                (":", "•", "-", "“", '"', "|")
            )
            while run and opening and _plain(run[0]):
                run.pop(0)
                opening = False
        if run and not (len(run) == 1 and _plain(run[0])):
            sure = not (opening and len(run) == 1 and not run[0].text.isupper())
            start, end = run[0].start, run[-1].end
            if all(end <= one.start or one.end <= start for one in found):
                found.append(Name(text[start:end], tuple(word.lower for word in run), start, end, sure))
        run.clear()

    last = -1
    for word in words(text):
        joined = last < 0 or text[last : word.start].strip(" ") in ("", "-", "&", ".", "'")
        if (
            word.text[:1].isupper()
            and joined
            and not (run and text[last : word.start].strip() == "." and len(run[-1].text) > 2)
        ):
            run.append(word)
        else:
            close()
            if word.text[:1].isupper():
                run.append(word)
        last = word.end
    close()
    return sorted(found, key=lambda one: one.start)


def _plain(word: Word) -> bool:
    return word.lower in STOP_WORDS["en"] or word.lower in STOP_WORDS["de"] or word.lower in _NOT_NAMES
