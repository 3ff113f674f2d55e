"""Text and spans are built together: readers list pieces in reading order, and every span follows from the layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from citewell.errors import ReadError
from citewell.reading.metadata import RESERVED
from citewell.types import Block, BlockKind, Cell, Document, Metadata, Source, Span, Value

CELL_GAP: Final = " | "


@dataclass(slots=True)
class Table:
    """Rows of cell texts; None where a cell from above or from the left reaches.

    `headers` are the (row, column) of header cells, `merged` the (row span, column span) of cells that reach
    further than themselves.
    """

    rows: Sequence[Sequence[str | None]]
    headers: frozenset[tuple[int, int]] = frozenset()
    header_rows: int = 0
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Piece:
    """One block before it has a place. `text` is a FAQ's answer when `question` is set, unused for a table.

    A `caption` becomes a caption block right before the block it belongs to. `path`, when given, replaces the
    heading path that follows from the headings before.
    """

    kind: BlockKind
    text: str = ""
    level: int = 0
    question: str = ""
    table: Table | None = None
    caption: str = ""
    path: tuple[str, ...] | None = None
    boilerplate: bool = False
    hidden: bool = False
    language: str | None = None


class TextBuilder:
    """Appends pieces to a text; each becomes a block whose span is where its text went. Empty pieces leave nothing.

    Blocks stand apart by a blank line, items of one list by a newline. Headings that are boilerplate or hidden do
    not reach into the heading path of what follows.
    """

    def __init__(self, *, max_cells: int = 1_000_000) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._cells_left = self._max_cells = max_cells

    @property
    def text(self) -> str:
        """Everything appended so far."""
        return "".join(self._parts)

    def add(self, piece: Piece) -> None:
        """Append one piece. Raises ReadError limit_exceeded when the document has too many table cells."""
        if piece.table is not None:
            self._add_table(piece, piece.table)
            return
        kind = piece.kind
        text = piece.text.strip("\n").rstrip() if kind is BlockKind.CODE else piece.text.strip()
        if piece.question:
            self._add_faq(piece, " ".join(piece.question.split()), text)
            return
        if not text:
            self._caption(piece)
            return
        caption = self._caption(piece)
        if kind is BlockKind.HEADING:
            text = " ".join(text.split())
            level = min(max(piece.level, 1), 6)
            if piece.boilerplate or piece.hidden:
                path: tuple[str, ...] = ()
            else:
                while self._headings and self._headings[-1][0] >= level:
                    self._headings.pop()
                path = tuple(heading for _, heading in self._headings)
                self._headings.append((level, text))
                self._path = (*path, text)
        else:
            level = piece.level
            path = self._path if piece.path is None else piece.path
        self.blocks.append(
            Block(
                kind,
                self._place(text, kind),
                level=level,
                heading_path=path,
                caption=caption,
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
                language=piece.language,
            )
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

    def _caption(self, piece: Piece) -> Span | None:
        text = " ".join(piece.caption.split())
        if not text:
            return None
        span = self._place(text, BlockKind.CAPTION)
        path = self._path if piece.path is None else piece.path
        self.blocks.append(
            Block(BlockKind.CAPTION, span, heading_path=path, boilerplate=piece.boilerplate, hidden=piece.hidden)
        )
        return span

    def _add_faq(self, piece: Piece, question: str, answer: str) -> None:
        span = self._place(f"{question}\n{answer}" if answer else question, BlockKind.FAQ)
        self.blocks.append(
            Block(
                BlockKind.FAQ,
                span,
                heading_path=self._path if piece.path is None else piece.path,
                question=Span(span.start, span.start + len(question)),
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
            )
        )

    def _add_table(self, piece: Piece, table: Table) -> None:
        self._cells_left -= sum(map(len, table.rows))
        if self._cells_left < 0:
            raise ReadError(
                "limit_exceeded",
                f"The tables have more than {self._max_cells:,} cells (max_cells). Split the file or raise the limit.",
            )
        if not any(text and not text.isspace() for row in table.rows for text in row):
            self._caption(piece)
            return
        caption = self._caption(piece)
        span = self._place("", BlockKind.TABLE)
        at = span.start
        parts: list[str] = []
        cells: list[Cell] = []
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
                header = r < table.header_rows or (r, c) in table.headers
                if table.merged and (r, c) in table.merged:
                    row_span, column_span = table.merged[r, c]
                    cells.append(Cell(r, c, Span(at, at + len(text)), header, row_span, column_span))
                else:
                    cells.append(Cell(r, c, Span(at, at + len(text)), header))
                parts.append(text)
                at += len(text)
        self._parts.append("".join(parts))
        self._length = at
        self.blocks.append(
            Block(
                BlockKind.TABLE,
                Span(span.start, at),
                heading_path=self._path if piece.path is None else piece.path,
                cells=tuple(cells),
                caption=caption,
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
            )
        )


def compose(
    source: Source,
    pieces: Iterable[Piece],
    *,
    reader: str,
    media_type: str,
    title: str = "",
    metadata: Metadata | None = None,
    warnings: Iterable[str] = (),
    max_cells: int = 1_000_000,
) -> Document:
    """The document that `pieces` make up; its title is `title`, else the first visible level-1 heading, else the file.

    Raises ReadError: no_text when nothing visible is left, limit_exceeded over `max_cells`.
    """
    builder = TextBuilder(max_cells=max_cells)
    for piece in pieces:
        builder.add(piece)
    text, blocks = builder.text, tuple(builder.blocks)
    require_text(source, blocks)
    return Document.of(
        source,
        reader=reader,
        media_type=media_type,
        title=title or first_heading(text, blocks) or title_from_uri(source.uri),
        text=text,
        blocks=blocks,
        metadata=metadata,
        warnings=tuple(warnings),
    )


def require_text(source: Source, blocks: Sequence[Block]) -> None:
    """Raises ReadError no_text when no block is visible."""
    if all(block.hidden for block in blocks):
        raise ReadError("no_text", f"{source.uri} holds no visible text. Nothing of it can be found or quoted.")


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
