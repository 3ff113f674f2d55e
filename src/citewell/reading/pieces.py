"""Text and spans are built together: readers list pieces in reading order, and every span follows from the layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from citewell.errors import ReadError
from citewell.reading.metadata import RESERVED
from citewell.reading.tables import MAX_CELLS, Table, too_many_cells
from citewell.types import Block, BlockKind, Cell, Document, Metadata, Region, Source, Span, Value

CELL_GAP: Final = " | "


@dataclass(slots=True)
class Piece:
    """One block before it has a place. `text` is a FAQ's answer when `question` is set, unused for a table.

    A `caption` becomes a caption block right before the block it belongs to. `path`, when given, replaces the
    heading path that follows from the headings before; `()` is for what stands outside the text, as footnotes do.
    """

    kind: BlockKind
    text: str = ""
    level: int = 0
    question: str = ""
    table: Table | None = None
    caption: str = ""
    path: tuple[str, ...] | None = None
    regions: Sequence[Region] = ()
    boilerplate: bool = False
    hidden: bool = False
    language: str | None = None


class Builder:
    """Appends pieces to a text; each becomes a block whose span is where its text went. Empty pieces leave nothing.

    Blocks stand apart by a blank line, items of one list by a newline. A table has one line a row; a merged cell
    stands at its first row and column, and the other places it covers stay empty. Headings that are boilerplate or
    hidden do not reach into the heading path of what follows.
    """

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._cells_left = self._max_cells = max_cells

    def add(self, piece: Piece) -> int | None:
        """Append one piece; the place of its block in `blocks`, or None where it is empty.

        Raises ReadError limit_exceeded when the document has too many table cells.
        """
        kind = piece.kind
        if piece.table is not None:
            return self._add_table(piece, piece.table)
        text = piece.text.strip("\n").rstrip() if kind is BlockKind.CODE else piece.text.strip()
        if piece.question:
            question = " ".join(piece.question.split())
            span = self._place(f"{question}\n{text}" if text else question, kind)
            return self._append(piece, span, question=Span(span.start, span.start + len(question)))
        caption = self._caption(piece)
        if not text:
            return None
        if kind is not BlockKind.HEADING:
            return self._append(piece, self._place(text, kind), level=piece.level, caption=caption)
        text = " ".join(text.split())
        level = min(max(piece.level, 1), 6)
        path: tuple[str, ...] = ()
        if not (piece.boilerplate or piece.hidden):
            while self._headings and self._headings[-1][0] >= level:
                self._headings.pop()
            path = tuple(heading for _, heading in self._headings)
            self._headings.append((level, text))
            self._path = (*path, text)
        return self._append(piece, self._place(text, kind), path=path, level=level, caption=caption)

    def caption(self, block: int, caption: int) -> None:
        """Say that block number `caption`, wherever it stands, is the caption of block number `block`."""
        self.blocks[block] = replace(self.blocks[block], caption=self.blocks[caption].span)

    def document(
        self,
        source: Source,
        *,
        reader: str,
        media_type: str,
        title: str = "",
        metadata: Metadata | None = None,
        pages: int | None = None,
        warnings: Iterable[str] = (),
    ) -> Document:
        """The document so far; its title is `title`, else the first visible level-1 heading, else the file's name.

        Raises ReadError no_text when nothing visible is in it.
        """
        text, blocks = "".join(self._parts), tuple(self.blocks)
        require_text(blocks)
        return Document.of(
            source,
            reader=reader,
            media_type=media_type,
            title=title or first_heading(text, blocks) or title_from_uri(source.uri),
            text=text,
            blocks=blocks,
            metadata=metadata,
            pages=pages,
            warnings=tuple(warnings),
        )

    def _place(self, text: str, kind: BlockKind) -> Span:
        if self._parts:
            close = kind is BlockKind.LIST_ITEM and self.blocks and self.blocks[-1].kind is BlockKind.LIST_ITEM
            gap = "\n" if close else "\n\n"
            self._parts.append(gap)
            self._length += len(gap)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return Span(start, self._length)

    def _append(
        self,
        piece: Piece,
        span: Span,
        kind: BlockKind | None = None,
        *,
        path: tuple[str, ...] | None = None,
        level: int = 0,
        cells: tuple[Cell, ...] = (),
        caption: Span | None = None,
        question: Span | None = None,
    ) -> int:
        if path is None:
            path = self._path if piece.path is None else piece.path
        self.blocks.append(
            Block(
                piece.kind if kind is None else kind,
                span,
                level,
                path,
                tuple(piece.regions),
                cells,
                caption,
                question,
                piece.boilerplate,
                piece.hidden,
                language=piece.language,
            )
        )
        return len(self.blocks) - 1

    def _caption(self, piece: Piece) -> Span | None:
        text = " ".join(piece.caption.split())
        if not text:
            return None
        span = self._place(text, BlockKind.CAPTION)
        self._append(piece, span, BlockKind.CAPTION)
        return span

    def _add_table(self, piece: Piece, table: Table) -> int | None:
        self._cells_left -= sum(map(len, table.rows))
        if self._cells_left < 0:
            raise too_many_cells(self._max_cells)
        caption = self._caption(piece)
        if not any(text and not text.isspace() for row in table.rows for text in row):
            return None
        at = start = self._place("", BlockKind.TABLE).start
        parts: list[str] = []
        cells: list[Cell] = []
        special = table.merged or table.regions
        for r, row in enumerate(table.rows):
            if r:
                parts.append("\n")
                at += 1
            for c, found in enumerate(_trimmed(row)):
                if c:
                    parts.append(CELL_GAP)
                    at += len(CELL_GAP)
                if found is None:
                    continue
                text = " ".join(found.split())
                span = Span(at, at + len(text))
                header = r < table.header_rows or (r, c) in table.headers
                if special:
                    down, across = table.merged.get((r, c), (1, 1))
                    cells.append(Cell(r, c, span, header, down, across, table.regions.get((r, c))))
                else:
                    cells.append(Cell(r, c, span, header))
                parts.append(text)
                at += len(text)
        self._parts.append("".join(parts))
        self._length = at
        return self._append(piece, Span(start, at), cells=tuple(cells), caption=caption)


def compose(
    source: Source,
    pieces: Iterable[Piece],
    *,
    reader: str,
    media_type: str,
    title: str = "",
    metadata: Metadata | None = None,
    warnings: Iterable[str] = (),
    max_cells: int = MAX_CELLS,
) -> Document:
    """The document that `pieces` make up (see `Builder`)."""
    builder = Builder(max_cells=max_cells)
    for piece in pieces:
        builder.add(piece)
    return builder.document(
        source, reader=reader, media_type=media_type, title=title, metadata=metadata, warnings=warnings
    )


def require_text(blocks: Sequence[Block]) -> None:
    """Raises ReadError no_text when no block is visible."""
    if all(block.hidden for block in blocks):
        raise ReadError("no_text", "The file holds no visible text: nothing of it could be found or quoted.")


def first_heading(text: str, blocks: Sequence[Block]) -> str:
    """The first visible level-1 heading that is not boilerplate, or nothing."""
    for block in blocks:
        if block.kind is BlockKind.HEADING and block.level == 1 and not (block.boilerplate or block.hidden):
            return block.span.of(text)
    return ""


def title_from_uri(uri: str) -> str:
    """A title made of the file's name: `docs/travel-policy_2025.md` gives `Travel policy 2025`."""
    path = unquote(urlsplit(uri).path) if "://" in uri else uri
    stem = PurePosixPath(path.replace("\\", "/")).stem
    words = " ".join(re.split(r"[\s_-]+", stem)).strip()
    return words[:1].upper() + words[1:] if words else uri


def document_metadata(found: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
    """What a document says of itself, less the names that belong to Citewell, and warnings on what was left out.

    A document's own `version` becomes `version_label`: which version is active is decided by ingestion alone.
    """
    kept: dict[str, Value] = {}
    dropped: list[str] = []
    for key, value in found.items():
        if key == "version":
            kept.setdefault("version_label", str(value))
        elif key in RESERVED or not key:
            dropped.append(key)
        elif value is not None and value != "":
            kept[key] = value
    warnings = [f"Metadata keys reserved by Citewell were left out: {', '.join(dropped)}."] if dropped else []
    return kept, warnings


def _trimmed(row: Sequence[str | None]) -> Sequence[str | None]:
    # A cell that reaches to the right edge would otherwise leave a trail of empty columns.
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row if end == len(row) else row[:end]
