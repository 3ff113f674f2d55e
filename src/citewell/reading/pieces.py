"""Text and spans are built together: readers list pieces in reading order, and every span follows from the layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from citewell.errors import ReadError
from citewell.reading.attachments import Attachment, require_fit, safe_name
from citewell.reading.images import Picture
from citewell.reading.invisible import Clean, Kind, clean, said
from citewell.reading.limits import MAX_CELLS
from citewell.reading.links import links_in
from citewell.reading.tables import Table, too_many_cells
from citewell.types import (
    Asset,
    Block,
    BlockKind,
    Cell,
    Document,
    Link,
    Metadata,
    Place,
    Reason,
    Region,
    Source,
    Span,
    Tally,
    account_of,
    content_hash,
    count_characters,
)

CELL_GAP: Final = " | "

MAX_ASSET_BYTES: Final = 64 << 20
"""All images that are kept of one document together."""

_ITEM: Final = BlockKind.LIST_ITEM
_PLAIN: Final = frozenset({BlockKind.PARAGRAPH, BlockKind.LIST_ITEM})


@dataclass(slots=True)
class Piece:
    """One block before it has a place. `text` is a FAQ's answer when `question` is set, unused for a table.

    A `caption` becomes a caption block right before the block it belongs to; its place is `caption_source`, else that
    of the block. `path`, when given, replaces the heading path that follows from the headings before; `()` is for what
    stands outside the text, as footnotes do.
    `links` are (start, end, target) with offsets into `text`, into the answer where there is a `question`; those of
    a table stand in it. White space may be written as it comes: offsets are mapped to what is left of it.
    `asset` is the image that the piece shows; a figure without text, and only that, may show one alone.
    `source` is where the piece stands in the source, where the format has no pages to name in `regions`.
    `confidence` is how sure the recognition of its text is, in [0, 1].
    """

    kind: BlockKind
    text: str = ""
    level: int = 0
    question: str = ""
    table: Table | None = None
    caption: str = ""
    caption_source: Place | None = None
    path: tuple[str, ...] | None = None
    regions: Sequence[Region] = ()
    boilerplate: bool = False
    hidden: bool = False
    language: str | None = None
    links: Sequence[tuple[int, int, str]] = ()
    asset: Picture | None = None
    source: Place | None = None
    confidence: float | None = None


class Builder:
    """Appends pieces to a text; each becomes a block whose span is where its text went. Empty pieces leave nothing.

    Everything that a source holds and no piece does is named with `leave_out`, so that the account of the document
    adds up. What is flagged hidden or boilerplate is counted by itself, and must not be named again; so is what
    becomes of pictures: kept, `duplicate` when one was there before, `too_small`, or `unreadable` above the limit.
    Characters that show nothing are taken out of all texts (see `invisible`), counted as hidden and reported.

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
        self._left_out: dict[Reason, Tally] = {}
        self._assets: dict[str, Asset] = {}
        self._asset_flags: dict[str, Reason] = {}
        self._asset_bytes = 0
        self._attachments: dict[str, Attachment] = {}
        self._attached_bytes = 0
        self._warnings: list[str] = []
        self._recognised = 0
        self._secret: Counter[Kind] = Counter()  # removed from texts and from what is said of the document
        self._secret_characters = 0  # of them, those in texts
        self._uncounted = 0  # removed from texts, held by independent counts, and not reported; or less than none

    @property
    def size(self) -> int:
        """How many blocks and pictures there are so far."""
        return len(self.blocks) + len(self._assets)

    def leave_out(
        self, reason: Reason, *, characters: int = 0, cells: int = 0, images: int = 0, pages: int = 0
    ) -> None:
        """Say that the source holds this much which the document will not have, and why (units: see `Tally`)."""
        more = Tally(characters, cells, images, pages)
        self._left_out[reason] = self._left_out.get(reason, Tally()) + more

    def warn(self, said: str) -> None:
        """Have the document say this among its warnings, once."""
        if said not in self._warnings:
            self._warnings.append(said)

    def attach(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str | None = None,
        metadata: Metadata | None = None,
        modified_at: str | None = None,
    ) -> str:
        """Hand on a source found inside this one, to be ingested by itself; the name it got, safe and unique.

        Its characters and images count in its own document, not here. Raises ReadError limit_exceeded for too many.
        """
        self._attached_bytes += len(content)
        require_fit(len(self._attachments) + 1, self._attached_bytes)
        name = safe_name(name, self._attachments, len(self._attachments) + 1)
        self._attachments[name] = Attachment(name, content, media_type, dict(metadata or {}), modified_at)
        return name

    def add(self, piece: Piece) -> int | None:
        """Append one piece; the place of its block in `blocks`, or None where it is empty.

        Raises ReadError limit_exceeded when the document has too many table cells.
        """
        piece = self._without_invisible(piece)
        kind = piece.kind
        if kind in _PLAIN and not (piece.question or piece.caption or piece.asset or piece.table):
            return self._add_plain(piece)
        if piece.asset is not None:
            self._keep(piece, piece.asset)
        if piece.table is not None:
            return self._add_table(piece, piece.table)
        text = piece.text.strip("\n").rstrip() if kind is BlockKind.CODE else piece.text.strip()
        if piece.question:
            question = " ".join(piece.question.split())
            span = self._place(f"{question}\n{text}" if text else question, kind)
            links = links_in(piece.links, piece.text, text, span.end - len(text))
            return self._append(piece, span, question=Span(span.start, span.start + len(question)), links=links)
        caption = self._caption(piece, alone=not text)
        if not text:
            return None
        if kind is not BlockKind.HEADING:
            span = self._place(text, kind)
            links = links_in(piece.links, piece.text, text, span.start)
            return self._append(piece, span, level=piece.level, caption=caption, links=links)
        text = " ".join(text.split())
        level = min(max(piece.level, 1), 6)
        path: tuple[str, ...] = ()
        if not (piece.boilerplate or piece.hidden):
            while self._headings and self._headings[-1][0] >= level:
                self._headings.pop()
            path = tuple(heading for _, heading in self._headings)
            self._headings.append((level, text))
            self._path = (*path, text)
        span = self._place(text, kind)
        links = links_in(piece.links, piece.text, text, span.start)
        return self._append(piece, span, path=path, level=level, caption=caption, links=links)

    def silent_pictures(self) -> list[Asset]:
        """All pictures that can be seen, where no block is; else none."""
        if any(not block.hidden for block in self.blocks):
            return []
        return [asset for asset in self._assets.values() if self._asset_flags.get(asset.id) is not Reason.HIDDEN]

    def recognise(self, asset: Asset, text: str, confidence: float | None) -> None:
        """Append the words that stand in a picture that was kept, as a figure; nothing for no words."""
        if text := clean(text).text:
            self._recognised += count_characters(text)
            self._asset_flags.pop(asset.id, None)
            piece = Piece(BlockKind.FIGURE, text, regions=asset.regions, confidence=confidence)
            self._append(piece, self._place(text, BlockKind.FIGURE), BlockKind.FIGURE, asset=asset.id)

    def _add_plain(self, piece: Piece) -> int | None:
        """`add` for what is text and nothing else: most of every document, so it is done in as few steps as can be."""
        text = piece.text.strip()
        if not text:
            return None
        blocks, parts, start, kind = self.blocks, self._parts, self._length, piece.kind
        if parts:
            gap = "\n" if kind is _ITEM and blocks and blocks[-1].kind is _ITEM else "\n\n"
            parts.append(gap)
            start += len(gap)
        parts.append(text)
        self._length = end = start + len(text)
        blocks.append(
            Block(
                kind,
                Span(start, end),
                piece.level,
                self._path if piece.path is None else piece.path,
                tuple(piece.regions),
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
                confidence=piece.confidence,
                language=piece.language,
                links=links_in(piece.links, piece.text, text, start) if piece.links else (),
                source=piece.source,
            )
        )
        return len(blocks) - 1

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
        found: int | None = None,
        hidden_told: bool = False,
    ) -> Document:
        """The document so far; its title is `title`, else the first visible level-1 heading, else the file's name.

        `found` is the number of characters by a count that is independent of the pieces, where there is one: those of
        them that neither blocks nor reasons account for are unreadable. Pages are kept unless left out. Hidden blocks
        are counted in a warning, unless those of the reader tell of them (`hidden_told`).
        Raises ReadError no_text when nothing visible is in it.
        """
        text, blocks = "".join(self._parts), tuple(self.blocks)
        require_text(blocks)
        title = self._said(title or first_heading(text, blocks) or title_from_uri(source.uri))
        metadata = {
            key: self._said(value) if isinstance(value, str) else value for key, value in (metadata or {}).items()
        }
        shown = {block.asset: block.span for block in reversed(blocks) if block.asset}
        end = Span(len(text), len(text))
        assets = tuple(
            replace(asset, span=shown.get(asset.id, min(asset.span, end))) for asset in self._assets.values()
        )
        left_out = dict(self._left_out)
        for reason in self._asset_flags.values():
            left_out[reason] = left_out.get(reason, Tally()) + Tally(images=1)
        if self._secret_characters:
            secret = Tally(characters=self._secret_characters)
            left_out[Reason.HIDDEN] = left_out.get(Reason.HIDDEN, Tally()) + secret
        if found is not None:
            found -= self._uncounted
        unseen = 0 if hidden_told else sum(block.hidden for block in blocks)
        hidden = [f"Blocks of hidden text, marked as hidden: {unseen}."] if unseen else []
        lost_pages = sum(one.pages for one in left_out.values())
        kept = Tally(images=len(assets) - len(self._asset_flags), pages=max((pages or 0) - lost_pages, 0))
        return Document.of(
            source,
            reader=reader,
            media_type=media_type,
            title=title,
            text=text,
            blocks=blocks,
            metadata=metadata,
            pages=pages,
            warnings=(*warnings, *self._warnings, *hidden, *([said(self._secret)] if self._secret else [])),
            account=account_of(text, blocks, kept, left_out, found=None if found is None else found + self._recognised),
            assets=assets,
            attachments=tuple(one.of(source) for one in self._attachments.values()),
        )

    def _without_invisible(self, piece: Piece) -> Piece:
        """The piece without characters that show nothing; they are counted."""
        plain = piece.text.isascii() and piece.question.isascii() and piece.caption.isascii()
        if plain and piece.table is None and not piece.path and piece.asset is None:
            return piece
        cleaned = clean(piece.text)
        links = piece.links
        if cleaned.removed:
            self._count(cleaned)
            links = [(cleaned.after(start), cleaned.after(end), target) for start, end, target in links]
        picture = piece.asset
        if picture is not None and not picture.alt.isascii():
            picture = replace(picture, alt=self._said(picture.alt))
        question, caption = self._cleaned(piece.question), self._cleaned(piece.caption)
        path = None if piece.path is None else tuple(clean(heading).text for heading in piece.path)
        table = None if piece.table is None else self._seen_table(piece.table)
        same = table is piece.table and picture is piece.asset and path == piece.path and question == piece.question
        if same and caption == piece.caption and not cleaned.removed:
            return piece
        return replace(
            piece,
            text=cleaned.text,
            links=links,
            question=question,
            caption=caption,
            path=path,
            table=table,
            asset=picture,
        )

    def _seen_table(self, table: Table) -> Table:
        rows, links, changed = list(table.rows), dict(table.links), False
        for r, row in enumerate(rows):
            if "".join([text for text in row if text]).isascii():
                continue
            made = list(row)
            for c, text in enumerate(row):
                if text and (cleaned := clean(text)).removed:
                    self._count(cleaned)
                    made[c] = cleaned.text
                    if (r, c) in links:
                        links[r, c] = [(cleaned.after(a), cleaned.after(b), target) for a, b, target in links[r, c]]
                    rows[r], changed = made, True
        return replace(table, rows=rows, links=links) if changed else table

    def _cleaned(self, text: str) -> str:
        cleaned = clean(text)
        if cleaned.removed:
            self._count(cleaned)
        return cleaned.text

    def _said(self, text: str) -> str:
        """What is said of the document, without what shows nothing: reported, but no part of what accounts count."""
        cleaned = clean(text)
        self._secret.update(cleaned.secret)
        return cleaned.text

    def _count(self, cleaned: Clean) -> None:
        secret = sum(cleaned.secret.values())
        self._secret.update(cleaned.secret)
        self._secret_characters += secret
        self._uncounted += cleaned.counted - secret

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
        links: tuple[Link, ...] = (),
        asset: str | None = None,
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
                piece.confidence,
                piece.language,
                links,
                self._shown(piece) if kind is None else asset,
                piece.source,
            )
        )
        return len(self.blocks) - 1

    def _caption(self, piece: Piece, *, alone: bool = False) -> Span | None:
        text = " ".join(piece.caption.split())
        if not text:
            return None
        span = self._place(text, BlockKind.CAPTION)
        if piece.caption_source is not None:
            piece = replace(piece, source=piece.caption_source)
        self._append(piece, span, BlockKind.CAPTION, asset=self._shown(piece) if alone else None)
        return span

    def _keep(self, piece: Piece, picture: Picture) -> None:
        """Make an asset of the picture, or say why there is none."""
        identity = content_hash(picture.content)
        regions = picture.regions or tuple(piece.regions)
        flag = Reason.HIDDEN if piece.hidden else Reason.BOILERPLATE if piece.boilerplate else None
        if (known := self._assets.get(identity)) is not None:
            alt = known.alt or picture.alt or piece.text
            self._assets[identity] = replace(known, regions=(*known.regions, *regions), alt=alt)
            self.leave_out(Reason.DUPLICATE, images=1)
            if flag is None:
                self._asset_flags.pop(identity, None)
        elif picture.too_small:
            self.leave_out(Reason.TOO_SMALL, images=1)
        elif self._asset_bytes + len(picture.content) > MAX_ASSET_BYTES:
            self.leave_out(Reason.UNREADABLE, images=1)
            said = f"Images above {MAX_ASSET_BYTES >> 20} MiB together were left out."
            self.warn(said)
        else:
            # Where the next block will stand: the caption's or the figure's own, if there is one.
            at = self._length + (2 if self._parts else 0)
            self._assets[identity] = Asset(
                identity,
                picture.media_type,
                picture.content,
                Span(at, at),
                regions,
                picture.alt or piece.text,
                picture.name,
                picture.width,
                picture.height,
            )
            self._asset_bytes += len(picture.content)
            if flag is not None:
                self._asset_flags[identity] = flag

    def _shown(self, piece: Piece) -> str | None:
        """The id of the asset that the piece shows, if it was kept."""
        if piece.asset is None:
            return None
        identity = content_hash(piece.asset.content)
        return identity if identity in self._assets else None

    def _add_table(self, piece: Piece, table: Table) -> int | None:
        self._cells_left -= sum(map(len, table.rows))
        if self._cells_left < 0:
            raise too_many_cells(self._max_cells - self._cells_left, self._max_cells)
        caption = self._caption(piece)
        if not any(text and not text.isspace() for row in table.rows for text in row):
            return None
        at = start = self._place("", BlockKind.TABLE).start
        parts: list[str] = []
        cells: list[Cell] = []
        links: list[Link] = []
        special = table.merged or table.regions or table.sources
        for r, row in enumerate(table.rows):
            if r:
                parts.append("\n")
                at += 1
            place = table.row_sources[r] if table.row_sources else None
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
                    cells.append(
                        Cell(
                            r,
                            c,
                            span,
                            header,
                            down,
                            across,
                            table.regions.get((r, c)),
                            table.sources.get((r, c), place),
                        )
                    )
                else:
                    cells.append(Cell(r, c, span, header, source=place))
                parts.append(text)
                if table.links and (held := table.links.get((r, c))):
                    links += links_in(held, found, text, at)
                at += len(text)
        self._parts.append("".join(parts))
        self._length = at
        return self._append(piece, Span(start, at), cells=tuple(cells), caption=caption, links=tuple(links))


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
    found: int | None = None,
) -> Document:
    """The document that `pieces` make up (see `Builder`)."""
    builder = Builder(max_cells=max_cells)
    for piece in pieces:
        builder.add(piece)
    return builder.document(
        source, reader=reader, media_type=media_type, title=title, metadata=metadata, warnings=warnings, found=found
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


def _trimmed(row: Sequence[str | None]) -> Sequence[str | None]:
    # A cell that reaches to the right edge would otherwise leave a trail of empty columns.
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row if end == len(row) else row[:end]
