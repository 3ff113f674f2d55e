"""Words as they are printed: the layout parser writes typewriter quotes and hyphens where the file has others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from citewell.reading.pdf_pages import PagePiece, unligated

_TYPED: Final = str.maketrans("“”„‟‘’‚‛–—‒―", "\"\"\"\"''''----")
_PRINTED: Final = re.compile("[“”„‟‘’‚‛–—‒―]")
_MARKED: Final = re.compile("[\"'-]")  # what a word has where its printed form may differ
_WORD: Final = re.compile(r"\S+")


def restore(pieces: Sequence[PagePiece], text: str) -> None:
    """Give the words of a page's pieces the quotes and dashes that they have in `text`, which PDFium found there.

    A word that `text` has in more ways than one is told by the word before it, or stays as it is; so does one that a
    line's end divides.
    """
    printed = _printed(text)
    if not printed:
        return
    for piece in pieces:
        piece.text = _set(piece.text, printed)
        piece.cells = tuple(replace(cell, text=_set(cell.text, printed)) for cell in piece.cells)


def _printed(text: str) -> Mapping[tuple[str, str], str]:
    """(The word before or "", a word), both as the layout parser writes them → the word as it stands in `text`.

    Empty where they are the same all over.
    """
    if _PRINTED.search(text) is None:
        return {}
    text = unligated(text)
    words = text.split()
    typed = text.translate(_TYPED).split()
    ways: dict[tuple[str, str], set[str]] = {}
    for before, written, word in zip(("", *typed), typed, words, strict=False):
        if _MARKED.search(written):
            ways.setdefault(("", written), set()).add(word)
            ways.setdefault((before, written), set()).add(word)
    return {key: next(iter(found)) for key, found in ways.items() if len(found) == 1}


def _set(text: str, printed: Mapping[tuple[str, str], str]) -> str:
    if _MARKED.search(text) is None:
        return text
    made: list[str] = []
    at, before = 0, ""
    for match in _WORD.finditer(text):
        word = match[0]
        made += (text[at : match.start()], printed.get(("", word)) or printed.get((before, word), word))
        at, before = match.end(), word
    return "".join(made) + text[at:]
