"""A mailbox file: many mails in one text, each under a line that starts with `From `."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.formats import MBOX
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.mail import read_letter
from citewell.reading.pieces import Builder, Piece, title_from_uri
from citewell.types import BlockKind, Document, Place, Source

# The line that starts a mail ends with a year; that in running text rarely stands alone and has no header below it.
_START: Final = re.compile(
    rb"(?:^|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]{0,300}\b\d{4}\b[^\r\n]{0,20}\r?\n(?=[!-9;-~]{1,200}:)"
)
_MAX_WARNINGS: Final = 100
_STUFFED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


class MboxReader:
    """Reads a mailbox: each mail as `MailReader` reads one, under its subject as a heading, with its files attached.

    The warnings say how many mails could not be read, and name the first of them.
    """

    identity = versions.MBOX

    def __init__(self, *, max_mails: int = 20_000, max_cells: int = MAX_CELLS) -> None:
        self._max_mails = max_mails
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: no_text, limit_exceeded."""
        builder = Builder(max_cells=self._max_cells)
        lost: list[str] = []
        warnings: list[str] = []
        ids: list[str] = []
        number = 0
        for number, (start, end) in enumerate(_mails(source.content), 1):
            if number > self._max_mails:
                raise over("The mailbox", number, "mails", self._max_mails, seen=True)
            try:
                letter = read_letter(_STUFFED.sub(rb"\1", source.content[start:end]), self._max_cells)
            except ReadError as error:
                lost.append(f"Mail {number} was left out: {error}")
                continue
            if not letter.subject:
                letter.pieces.insert(0, Piece(BlockKind.HEADING, f"Mail {number}", 1))
            for piece in letter.pieces:
                piece.source = Place(start, end)
                # Headings inside a mail stand below its subject.
                if piece.kind is BlockKind.HEADING and piece is not letter.pieces[0]:
                    piece.level = min(piece.level + 1, 6)
            letter.add_to(builder, f"{number}/")
            warnings.extend(f"Mail {number}: {warning}" for warning in letter.warnings)
            if isinstance(found := letter.metadata.get("message_id"), str):
                ids.append(found)
        if len(lost) > 1:
            lost.insert(0, f"Mails that could not be read and were left out: {len(lost):,}.")
        return builder.document(
            source,
            reader=self.identity,
            media_type=MBOX,
            metadata={"mails": number, "message_ids": tuple(ids[:1000])},
            title=title_from_uri(source.uri),
            warnings=_first(lost + warnings),
        )


def _first(warnings: list[str]) -> list[str]:
    """As many warnings as anybody reads, and how many more there are."""
    more = len(warnings) - _MAX_WARNINGS
    if more <= 0:
        return warnings
    return [*warnings[:_MAX_WARNINGS], f"Warnings of this mailbox that are not shown: {more:,}."]


def _mails(content: bytes) -> Iterator[tuple[int, int]]:
    starts = [found.start() for found in _START.finditer(content)] or [0]
    yield from zip(starts, [*starts[1:], len(content)], strict=True)
