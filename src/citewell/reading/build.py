"""Blocks are laid down one after the other, so that every span is right by construction.

A builder keeps the text so far and the headings above; readers only say what comes next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from citewell.types import Block, BlockKind, Cell, Region, Span

_SPACE = re.compile(r"[^\S\n]+")
# Characters that show nothing and break words for search: soft hyphen, zero-width space, word joiner, BOM, and the
# controls that XML and terminals refuse.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class CellText:
    """A table cell before its place in the text is known."""

    row: int
    column: int
    text: str
    header: bool = False
    row_span: int = 1
    column_span: int = 1
    region: Region | None = None


def tidy(text: str, *, lines: bool = False) -> str:
    """`text` without invisible characters and with runs of white space as one space; `lines` keeps line breaks."""
    if not text.isprintable():  # among much else, white space other than " " and what is invisible is not printable
        text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not lines:
        return " ".join(text.split())
    return "\n".join(_SPACE.sub(" ", line).strip() for line in text.split("\n")).strip("\n")


class BlockBuilder:
    """The text and the blocks of one document, in reading order."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, str]] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(
        self,
        kind: BlockKind,
        text: str,
        *,
        level: int = 0,
        regions: Sequence[Region] = (),
        boilerplate: bool = False,
        hidden: bool = False,
        outside: bool = False,
    ) -> int | None:
        """Append a block and return its number; blank text makes none.

        `text` is taken as it is, apart from white space at its ends. `outside` blocks (running headers, footnotes)
        stand under no heading.
        """
        text = text.strip("\n") if kind is BlockKind.CODE else text.strip()
        if not text.strip():
            return None
        if kind is BlockKind.HEADING:
            while self._headings and self._headings[-1][0] >= level:
                self._headings.pop()
        path = () if outside else tuple(title for _, title in self._headings)
        if kind is BlockKind.HEADING:
            self._headings.append((level, tidy(text)))
        start = self._open(kind)
        self._write(text)
        self.blocks.append(
            Block(
                kind,
                Span(start, self._length),
                level=level,
                heading_path=path,
                regions=tuple(regions),
                boilerplate=boilerplate,
                hidden=hidden,
            )
        )
        return len(self.blocks) - 1

    def table(self, cells: Sequence[CellText], *, regions: Sequence[Region] = ()) -> int | None:
        """Append a table, one line a row, cells joined by ` | `, and return its number; a blank one makes none.

        A merged cell stands once, at its first row and column; rows below keep an empty place for it.
        """
        if not any(cell.text.strip() for cell in cells):
            return None
        start = self._open(BlockKind.TABLE)
        rows = max(cell.row + cell.row_span for cell in cells)
        by_row: list[list[CellText]] = [[] for _ in range(rows)]
        held: list[set[int]] = [set() for _ in range(rows)]
        for one in sorted(cells, key=lambda cell: (cell.row, cell.column)):
            by_row[one.row].append(one)
            for row in range(one.row + 1, one.row + one.row_span):
                held[row].add(one.column)
        placed: list[Cell] = []
        for row, present in enumerate(by_row):
            if row:
                self._write("\n")
            places: list[tuple[int, CellText | None]] = [(cell.column, cell) for cell in present]
            places += [(column, None) for column in held[row]]
            for number, (column, cell) in enumerate(sorted(places, key=lambda place: place[0])):
                if number:
                    self._write(" | ")
                if cell is None:
                    continue
                begin = self._length
                self._write(tidy(cell.text))
                placed.append(
                    Cell(
                        row,
                        column,
                        Span(begin, self._length),
                        header=cell.header,
                        row_span=cell.row_span,
                        column_span=cell.column_span,
                        region=cell.region,
                    )
                )
        self.blocks.append(
            Block(
                BlockKind.TABLE,
                Span(start, self._length),
                heading_path=tuple(title for _, title in self._headings),
                regions=tuple(regions),
                cells=tuple(placed),
            )
        )
        return len(self.blocks) - 1

    def caption(self, table: int, caption: int) -> None:
        """Say that block `caption` is the caption of block `table`."""
        self.blocks[table] = replace(self.blocks[table], caption=self.blocks[caption].span)

    def _open(self, kind: BlockKind) -> int:
        if self.blocks:
            list_goes_on = kind is BlockKind.LIST_ITEM and self.blocks[-1].kind is BlockKind.LIST_ITEM
            self._write("\n" if list_goes_on else "\n\n")
        return self._length

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
