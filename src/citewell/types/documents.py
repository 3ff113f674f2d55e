"""What was read: sources, documents with their blocks, and the nodes they are split into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from citewell.types.access import Access

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None
Metadata: TypeAlias = Mapping[str, Value]
"""Typed metadata: text, numbers, truth values, and tuples of them. Dates are ISO 8601 text, which orders rightly."""


def _digest(*parts: str) -> str:
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(8, "little"))
        hasher.update(raw)
    return hasher.hexdigest()


def content_hash(content: bytes) -> str:
    """SHA-256 of the bytes as found, in hex."""
    return hashlib.sha256(content).hexdigest()


def document_id(source: Source, reader: str, text: str) -> str:
    """Hex id that changes whenever the place, the text or the reader's version does."""
    return _digest(source.tenant, source.bucket, source.uri, reader, text)


def node_id(document: str, splitter: str, start: int, end: int, kind: str = "") -> str:
    """Hex id from position alone: two nodes of one document never share it, whatever their text or metadata."""
    return _digest(document, splitter, str(start), str(end), kind)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters [start, end) of one document's text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        assert 0 <= self.start <= self.end, (self.start, self.end)

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        """The characters of `text` under this span."""
        return text[self.start : self.end]

    def overlaps(self, other: Span) -> bool:
        """Whether the two share at least one character."""
        return self.start < other.end and other.start < self.end

    def within(self, other: Span) -> bool:
        """Whether every character of this span is in `other`."""
        return other.start <= self.start and self.end <= other.end


@dataclass(frozen=True, slots=True)
class Region:
    """A place on a page: 1-based page number and, where known, a box (x0, y0, x1, y1) in points from the top left."""

    page: int
    box: tuple[float, float, float, float] | None = None


class BlockKind(StrEnum):
    """What a block of a document is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"
    FIGURE = "figure"
    CAPTION = "caption"
    HEADER = "header"
    FOOTER = "footer"
    FAQ = "faq"


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: 0-based row and column, the characters it stands for, and how far it reaches."""

    row: int
    column: int
    span: Span
    header: bool = False
    row_span: int = 1
    column_span: int = 1
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a document in reading order: a character range of its text, and what is known of it.

    Blocks do not overlap and ascend by `span`. `level` is 1–6 for a heading, the depth from 0 for a list item.
    `heading_path` holds the headings above, outermost first; a heading's own text is not in its own path.
    A table's text has one line per row with cells joined by ` | `; `cells` cover it; rows whose cells all have
    `header` are its header. `caption` is the caption's span, wherever it stands. A FAQ block is a question line
    followed by its answer; `question` is the span of the question.
    """

    kind: BlockKind
    span: Span
    level: int = 0
    heading_path: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    cells: tuple[Cell, ...] = ()
    caption: Span | None = None
    question: Span | None = None
    boilerplate: bool = False
    hidden: bool = False
    confidence: float | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes as found, and where they belong.

    `media_type` is what the finder claims; readers decide by content. The metadata keys `series`, `version_label`
    and `effective` (ISO date) say that this source is one version of something that stands under several uris.
    """

    uri: str
    content: bytes
    tenant: str = "local"
    bucket: str = "default"
    media_type: str | None = None
    access: Access = field(default_factory=Access.everyone)
    metadata: Metadata = field(default_factory=dict)
    modified_at: str | None = None
    fetched_at: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one source at one version, with its blocks in reading order.

    Every block's span lies within `text`; text between blocks is white space. `reader` is the identity of the
    reader that made it (`markdown@1`). `metadata` is what the source itself says (author, language, created…).
    `warnings` name what could not be kept.
    """

    id: str
    uri: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    reader: str
    sha256: str
    metadata: Metadata = field(default_factory=dict)
    pages: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        reader: str,
        media_type: str,
        title: str,
        text: str,
        blocks: tuple[Block, ...],
        metadata: Metadata | None = None,
        pages: int | None = None,
        warnings: tuple[str, ...] = (),
    ) -> Document:
        """The document that `reader` read from `source`, with its id and the hash of the bytes."""
        return cls(
            id=document_id(source, reader, text),
            uri=source.uri,
            title=title,
            text=text,
            blocks=blocks,
            media_type=media_type,
            reader=reader,
            sha256=content_hash(source.content),
            metadata=metadata or {},
            pages=pages,
            warnings=warnings,
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A unit of retrieval: the text to find and the span it stands for.

    A verbatim node satisfies `document.text[span] == text`; a derived one (summary, table in words) says so.
    `context` (title, heading path, caption and header row of a table) is indexed and shown, never quoted.
    `tokens` counts context and text together, in tokens of the embedder that the splitter was given.
    `page` is the first page under the span, where the format has pages.
    """

    id: str
    document_id: str
    span: Span
    text: str
    context: str = ""
    kind: BlockKind = BlockKind.PARAGRAPH
    heading_path: tuple[str, ...] = ()
    page: int | None = None
    tokens: int = 0
    derived: bool = False

    @property
    def indexed_text(self) -> str:
        """What embedder and lexical index see: the context, then the text."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """One version of a document as hits, evidence and citations name it. `version` counts from 1 per uri."""

    id: str
    uri: str
    title: str
    version: int
    bucket: str
    media_type: str
    metadata: Metadata = field(default_factory=dict)
    ingested_at: str = ""
