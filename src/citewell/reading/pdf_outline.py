"""A PDF's own outline (bookmarks) says which of its lines are headings, and how they nest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_text import letters
from citewell.reading.tidy import tidy
from citewell.types import BlockKind

_MOST: Final = 10_000  # entries
_DEEPEST: Final = 6
_TRUSTED: Final = 0.5  # of the entries must stand on their pages, or the outline is of something else
_NUMBER: Final = re.compile(r"(?:chapter|section|part|appendix|kapitel|chapitre)?[\s\divxlc.§:)–-]*(?=\W|\d)", re.I)
_KINDS: Final = frozenset({BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST_ITEM})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the outline: a heading of `level` 1 and more on `page`."""

    title: str
    level: int
    page: int


def outline_of(pdf: Any) -> list[Entry]:
    """The entries of a pypdfium2 document's outline that lead to one of its pages, in their order."""
    found: list[Entry] = []
    for mark in pdf.get_toc(max_depth=_DEEPEST + 2):
        goal = mark.get_dest()
        page = goal.get_index() if goal is not None else None
        title = tidy(mark.get_title() or "")
        if page is not None and letters(title):
            found.append(Entry(title, min(mark.level + 1, _DEEPEST), page + 1))
        if len(found) >= _MOST:
            break
    return found


def follow_outline(pieces: Sequence[PagePiece], outline: Sequence[Entry]) -> bool:
    """Make the pieces that the outline names headings of its levels; False where it says too little of them.

    Headings that it does not name stand below the one it names before them.
    """
    if len(outline) < 2:
        return False
    named = dict(_named(pieces, outline))
    if len(named) < max(2, _TRUSTED * len(outline)):
        return False
    others = sorted({piece.level for piece in pieces if piece.kind is BlockKind.HEADING and id(piece) not in named})
    above = 0
    for piece in pieces:
        if id(piece) in named:
            piece.kind, piece.level = BlockKind.HEADING, named[id(piece)]
            above = piece.level
        elif piece.kind is BlockKind.HEADING and not (piece.hidden or piece.boilerplate):
            piece.level = min(above + 1 + others.index(piece.level), _DEEPEST)
    return True


def _named(pieces: Sequence[PagePiece], outline: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """The id and level of each piece that an entry names, which stands on its page or at the top of the next."""
    by_page: dict[int, list[PagePiece]] = {}
    for piece in pieces:
        if piece.kind in _KINDS and piece.text and not (piece.hidden or piece.boilerplate) and len(piece.text) < 300:
            by_page.setdefault(piece.regions[0].page, []).append(piece)
    taken: set[int] = set()
    for entry in outline:
        whole, bare = _key(entry.title), _key(_bare(entry.title))
        for page in (entry.page, entry.page + 1):
            found = [
                piece
                for piece in by_page.get(page, ())
                if id(piece) not in taken and (_key(piece.text) == whole or (bare and _key(_bare(piece.text)) == bare))
            ]
            if found:
                best = next((piece for piece in found if piece.kind is BlockKind.HEADING), found[0])
                taken.add(id(best))
                yield id(best), entry.level
                break


def _key(text: str) -> str:
    return letters(text).casefold()


def _bare(text: str) -> str:
    """`text` without the number that it begins with."""
    found = _NUMBER.match(text)
    return text[found.end() :] if found else text
