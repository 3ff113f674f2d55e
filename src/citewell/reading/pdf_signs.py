"""Words as they are printed: the layout parser writes typewriter quotes and hyphens where the file has others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_text import unligated

_TYPED: Final = str.maketrans("“”„‟‘’‚‛–—‒―", "\"\"\"\"''''----")
_PRINTED: Final = re.compile("[“”„‟‘’‚‛–—‒―]")
_MARKED: Final = re.compile("[\"'-]")  # what a word has where its printed form may differ
_WORD: Final = re.compile(r"(?<!\S)[^\s\"'-]*[\"'-]\S*")  # that has one of them


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
        piece.cells = tuple(
            cell if (said := _set(cell.text, printed)) == cell.text else replace(cell, text=said)
            for cell in piece.cells
        )


def _printed(text: str) -> Mapping[tuple[str, str], str]:
    """(The word before or "", a word), both as the layout parser writes them → the word as it stands in `text`.

    Empty where they are the same all over.
    """
    if _PRINTED.search(text) is None:
        return {}
    text = unligated(text)
    words = text.split()
    typed = _PRINTED.sub(lambda match: chr(_TYPED[ord(match[0])]), text).split()
    ways: dict[tuple[str, str], set[str]] = {}
    for number, written in enumerate(typed):
        if "-" in written or "'" in written or '"' in written:
            ways.setdefault(("", written), set()).add(words[number])
            ways.setdefault((typed[number - 1] if number else "", written), set()).add(words[number])
    return {key: next(iter(found)) for key, found in ways.items() if len(found) == 1}


def _set(text: str, printed: Mapping[tuple[str, str], str]) -> str:
    if _MARKED.search(text) is None:
        return text

    def set_right(match: re.Match[str]) -> str:
        word = match[0]
        if (alone := printed.get(("", word))) is not None:
            return alone
        before = text[: match.start()].rsplit(None, 1)
        return printed.get((before[-1] if before else "", word), word)

    return _WORD.sub(set_right, text)
