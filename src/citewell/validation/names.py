"""Names in a text: capitalised sequences and identifiers, which a claim may not have unless its source does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from citewell.language import STOP_WORDS, Word, sentences, words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# 64: the longest local part of an address (RFC 5321); without an end to it a long run of points is scanned from each.
_IDENTIFIER = re.compile(
    r"(?<![\w])(?:[A-Za-z]+[-_/]?\d[\w-]*|\w+_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*"
    r"|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+|https?://\S+)(?!\w)"
)
_OPENERS = frozenset(':•-“"|')
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
    openings = {start + at for start, _ in sentences(text) for at in range(4)}  # a quote, a bracket may come first
    taken = bytearray(len(text))  # a mark on each character of an identifier
    for one in found:
        taken[one.start : one.end] = b"\1" * (one.end - one.start)
    run: list[Word] = []

    def close() -> None:
        if run:
            at = run[0].start
            while at and text[at - 1].isspace():
                at -= 1
            opening = run[0].start in openings or text[at - 1 : at] in _OPENERS
            while run and opening and _plain(run[0]):
                run.pop(0)
                opening = False
        if run and not (len(run) == 1 and _plain(run[0])):
            sure = not (opening and len(run) == 1 and not run[0].text.isupper())
            start, end = run[0].start, run[-1].end
            if taken.find(1, start, end) < 0:
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
