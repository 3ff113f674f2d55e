"""One stream of a Rich Text's blocks: its paragraphs, and the cells, rows and tables they end in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from citewell.reading.pieces import Piece
from citewell.reading.tables import Table
from citewell.types import BlockKind, Place

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufeff]")


@dataclass(slots=True)
class Paragraph:
    """What is said of a paragraph outside its text; \\pard takes it back."""

    style: int = 0
    outline: int = -1
    level: int = 0
    listed: bool = False
    in_table: bool = False
    ground: int = 0


@dataclass(slots=True)
class Flow:
    """One stream of blocks: the body, a note, a page header."""

    pieces: list[Piece] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    links: list[tuple[int, int, str]] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    headers: int = 0
    row_is_header: bool = False
    row_is_shaded: bool = False
    nested: list[str] = field(default_factory=list)
    notes: list[Piece] = field(default_factory=list)
    start: int = 0

    def end_paragraph(self, paragraph: Paragraph, level: int, at: int) -> None:
        """Make what was written since the last end a block, a heading where `level` is not 0, or part of a cell."""
        text, unseen = _joined(self.text), _joined(self.unseen)
        links, self.links = self.links, []
        place = Place(min(self.start, at), at)
        self.text.clear()
        self.unseen.clear()
        self.start = at
        if paragraph.in_table:
            if text.strip():
                self.cell.append(text.strip())
        else:
            self.end_table()
            if text.strip():
                if 0 < level < 10:
                    piece = Piece(BlockKind.HEADING, text, min(level, 6), links=links, source=place)
                elif paragraph.listed:
                    piece = Piece(BlockKind.LIST_ITEM, text, paragraph.level, links=links, source=place)
                else:
                    piece = Piece(BlockKind.PARAGRAPH, text, links=links, source=place)
                self.pieces.append(piece)
        if unseen.strip():
            self.pieces.append(Piece(BlockKind.PARAGRAPH, unseen, hidden=True, source=place))
        self.pieces.extend(self.notes)
        self.notes.clear()

    def end_cell(self, *, nested: bool) -> None:
        """Put what was written into the row, or into the cell around it where the cell is `nested`."""
        if text := _joined(self.text).strip():
            self.cell.append(text)
        self.text.clear()
        self.links = []
        if nested:
            self.nested.extend(self.cell)
        else:
            self.row.append(" ".join(self.cell))
        self.cell = []

    def end_row(self) -> None:
        """Put the row, where there is one, into the table."""
        if self.row:
            self.rows.append(self.row)
            self.headers += self.row_is_header and self.headers == len(self.rows) - 1
        self.row = []

    def end_table(self) -> None:
        """Make the rows a block, where there are any."""
        self.end_row()
        if self.rows:
            # A table that only frames a text has one cell.
            if len(self.rows) == 1 and len(self.rows[0]) == 1:
                self.pieces.append(Piece(BlockKind.PARAGRAPH, self.rows[0][0]))
            else:
                table = Table(self.rows, header_rows=self.headers)
                self.pieces.append(Piece(BlockKind.TABLE, table=table))
        self.rows, self.headers = [], 0
        if self.cell:
            self.pieces.append(Piece(BlockKind.PARAGRAPH, "\n".join(self.cell)))
            self.cell = []


def _joined(parts: list[str]) -> str:
    """The text of `parts`, in which surrogate pairs are one sign and lone ones a mark of loss; no control signs."""
    text = "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROLS.sub("", text)
