"""A piece that does not know its place in the source stands between the pieces around it."""

from __future__ import annotations

from collections.abc import Sequence

from citewell.reading.pieces import Piece
from citewell.types import Place


def fill_places(pieces: Sequence[Piece], whole: Place) -> None:
    """Give each piece without a place that between its neighbours, one of theirs, or `whole`, in this order."""
    after: list[Place | None] = [None] * len(pieces)
    following: Place | None = None
    for number in range(len(pieces) - 1, -1, -1):
        after[number] = following
        following = pieces[number].source or following
    before: Place | None = None
    for piece, follower in zip(pieces, after, strict=True):
        if piece.source is None:
            piece.source = _between(before, follower) or before or follower or whole
        else:
            before = piece.source


def _between(before: Place | None, after: Place | None) -> Place | None:
    if before is None or after is None or (before.unit, before.part) != (after.unit, after.part):
        return None
    # Bytes that were not looked at might not hold the words.
    if before.unit == "bytes" or before.end >= after.start:
        return None
    return Place(before.end, after.start, before.unit, before.part)
