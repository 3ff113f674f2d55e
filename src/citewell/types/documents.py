"""What was read: sources, documents with their blocks, and the nodes they are split into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from citewell.types.access import Access
from citewell.types.accounts import Account, Reason, Tally, count_characters
from citewell.types.places import Link, Place, Region, Span, TextLine

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
    source: Place | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a document in reading order: a character range of its text, and what is known of it.

    Blocks do not overlap and ascend by `span`. `level` is 1–6 for a heading, the depth from 0 for a list item.
    `heading_path` holds the headings above, outermost first; a heading's own text is not in its own path.
    A table's text has one line per row with cells joined by ` | `; `cells` cover it; rows whose cells all have
    `header` are its header. `caption` is the caption's span, wherever it stands. A FAQ block is a question line
    followed by its answer; `question` is the span of the question.
    A figure's text is what is said in its place (alternative text, the words in it); `asset` is the id of its image.
    A figure without any text has no block of its own; its caption's block then has the `asset`.
    `source` is where the block stands in the source; what reads pages gives `regions`, all else gives `source`. A cell
    without a `source` or `region` of its own stands where its table does. `links` ascend and lie within `span`.
    `lines` say where on `regions` the block's characters are printed: they ascend and cover `span` without gaps, or
    there are none (the block is a single line, or where they are is not known).
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
    links: tuple[Link, ...] = ()
    asset: str | None = None
    source: Place | None = None
    lines: tuple[TextLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Asset:
    """An image that a source holds, kept with its bytes; `id` is their SHA-256 in hex, so equal images are one.

    `span` is where it first stands in the text: the block that shows it, or the empty span of a place between blocks.
    `regions` are all its places on pages. `alt` is what the source says in its stead. `name` is what it is called
    inside the source (`word/media/image1.png`). `width` and `height` are in pixels, 0 where unknown.
    `description` is what a vision model said of it, "" where it said nothing, and `described_by` the model, "" where
    none was asked: words of the model, which stand nowhere in the source.
    """

    id: str
    media_type: str
    content: bytes = field(repr=False)
    span: Span
    regions: tuple[Region, ...] = ()
    alt: str = ""
    name: str = ""
    width: int = 0
    height: int = 0
    description: str = ""
    described_by: str = ""


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
    reader that made it (`markdown@1`). `metadata` is what the source itself says: `author`, `created`, `modified`,
    `language` and more. `warnings` name what could not be kept; `account` counts it.
    `attachments` are sources found inside this one (the files of a mail); their uris are `OUTER!/NAME`, and they
    belong to the tenant and bucket of the outer one and are read by whom it may be read. They become documents of
    their own and are no part of this one's text or account.
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
    account: Account = field(default_factory=Account)
    assets: tuple[Asset, ...] = ()
    attachments: tuple[Source, ...] = ()

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
        account: Account | None = None,
        assets: tuple[Asset, ...] = (),
        attachments: tuple[Source, ...] = (),
    ) -> Document:
        """The document that `reader` read from `source`, with its id and the hash of the bytes.

        Without an `account` all that was found is in `blocks` and `assets` (see `account_of`).
        """
        if account is None:
            account = account_of(text, blocks, Tally(images=len(assets), pages=pages or 0))
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
            account=account,
            assets=assets,
            attachments=attachments,
        )


def account_of(
    text: str,
    blocks: Sequence[Block],
    kept: Tally,
    left_out: Mapping[Reason, Tally] | None = None,
    *,
    found: int | None = None,
) -> Account:
    """The account of a document with `blocks` over `text`, of `kept` images and pages and what else was left out.

    A block counts as kept, or as left out for being hidden or else boilerplate where it is flagged; between the cells
    of a table stand separators, which count for nothing. `found` is how many characters an independent count found:
    those that are in no block and under no reason are unreadable.
    """
    sums = dict(left_out or {})
    flagged = 0
    separators = 0
    cells = 0
    for block in blocks:
        if not (block.cells or block.hidden or block.boilerplate):
            continue
        characters = held = 0
        if block.cells:
            characters = count_characters("".join([text[cell.span.start : cell.span.end] for cell in block.cells]))
            held = sum([cell.span.end > cell.span.start for cell in block.cells])
            separators += count_characters(block.span.of(text)) - characters
        else:
            characters = count_characters(block.span.of(text))
        if block.hidden or block.boilerplate:
            reason = Reason.HIDDEN if block.hidden else Reason.BOILERPLATE
            sums[reason] = sums.get(reason, Tally()) + Tally(characters, held)
            flagged += characters
        else:
            cells += held
    characters = count_characters(text) - separators - flagged
    if found is not None:
        lost = found - characters - sum(one.characters for one in sums.values())
        if lost > 0:
            sums[Reason.UNREADABLE] = sums.get(Reason.UNREADABLE, Tally()) + Tally(lost)
    return Account.of(kept + Tally(characters, cells), sums)


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
