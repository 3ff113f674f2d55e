"""Split along the document's own structure: sections, paragraphs, sentences, words; tables by rows, FAQ by pairs.

Nothing is searched for afterwards: every node is a slice of the text, cut at offsets that are known beforehand.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from citewell.protocols import Tokenizer
from citewell.splitting.figures import (
    CHARACTERS_PER_TOKEN,
    PATH_SEPARATOR,
    caption_of,
    paragraph_around,
    path_under,
    shortened,
)
from citewell.types import Block, BlockKind, Document, Node, Span, node_id

# Where a block that is too large may be cut, best first. Each is tried only on pieces the one before left too large.
_CUTS = (
    re.compile(r"\n+"),
    re.compile(r"(?<=[.!?…。！？])[\"'»”)\]]*\s+|(?<=[。！？])"),
    re.compile(r"(?<=[;:,，、；])\s*"),
    re.compile(r"\s+"),
)
# A table row is never cut below this many times the bound: half a row is worse evidence than a row whose end the
# embedder does not see (the lexical index does). Above it, the "row" is a text in disguise.
_OVERSIZE_ROW = 4


@dataclass(frozen=True, slots=True)
class Sections:
    """Splitter into nodes of at most `max_tokens` tokens, context and text together, as `tokenizer` counts them.

    A heading opens a new node and belongs to it; paragraphs, list items and code below it are packed while they fit.
    A table and a FAQ pair are always nodes of their own. A table that does not fit is cut between rows, and every
    piece carries caption and header (the first in its text, the others as context). A node that begins with a figure
    has its caption, unless that stands in it, and the paragraph around it as context. `context` holds the title and
    the headings above; it takes at most half of the bound and is shortened, never refused.

    Boilerplate and hidden blocks make no nodes, unless the document holds nothing else (then boilerplate does).
    Exception to the bound: a single table row of up to 4 × `max_tokens` stays whole.
    """

    tokenizer: Tokenizer
    max_tokens: int = 254

    def __post_init__(self) -> None:
        assert self.max_tokens >= 16, "a node needs room for context and text"

    @property
    def identity(self) -> str:
        """Name and version of the rules, and the bound."""
        return f"sections@2:{self.max_tokens}"

    def split(self, document: Document) -> list[Node]:
        """Nodes in reading order; `document.text[node.span] == node.text` for each."""
        blocks = [block for block in document.blocks if block.span.of(document.text).strip()]
        shown = [block for block in blocks if not block.hidden]
        body = {block.span for block in shown if not block.boilerplate} or {block.span for block in shown}
        return list(_Pieces(self, document, blocks, body).nodes())


class _Pieces:
    """One pass over one document."""

    def __init__(self, rules: Sections, document: Document, blocks: Sequence[Block], body: Set[Span]) -> None:
        self.rules = rules
        self.document = document
        self.text = document.text
        self.blocks = blocks
        self.body = body
        self.starts = rules.tokenizer.token_starts(document.text)
        self.contexts: dict[tuple[str, ...], tuple[str, int]] = {}
        self.shown = [block for block in blocks if block.span in body]
        self.figures = {block.span: at for at, block in enumerate(self.shown) if block.kind is BlockKind.FIGURE}
        self.around: dict[Span, str] = {}

    def nodes(self) -> Iterator[Node]:
        group: list[Block] = []
        captions = {block.caption for block in self.shown if block.caption and block.cells}
        for block in self.blocks:
            if block.span not in self.body:
                # A node is everything from its first block to its last: it must end before what is left out.
                yield from self._prose(group)
                group = []
                continue
            if block.kind is BlockKind.CAPTION and block.span in captions:
                continue  # carried by its table
            if block.kind in (BlockKind.TABLE, BlockKind.FAQ):
                # A heading alone answers nothing: one with no text of its own opens the table or pair it stands above.
                lead = group if all(one.kind is BlockKind.HEADING for one in group) else []
                yield from self._prose(group if not lead else [])
                group = []
                first = lead[0].span.start if lead else block.span.start
                yield from self._table(block, first) if block.cells else self._pair(block, first)
            elif block.kind is BlockKind.HEADING and any(one.kind is not BlockKind.HEADING for one in group):
                yield from self._prose(group)
                group = [block]
            else:
                group.append(block)
        yield from self._prose(group)

    def _prose(self, blocks: Sequence[Block]) -> Iterator[Node]:
        """Pack the blocks of one section greedily; cut those that do not fit into a node of their own."""
        packed: list[Block] = []
        for block in blocks:
            if packed and self._fits(Span(packed[0].span.start, block.span.end), packed[0]):
                packed.append(block)
                continue
            if packed and all(one.kind is BlockKind.HEADING for one in packed) and not self._fits(block.span, block):
                yield from self._cut(block, packed)
                packed = []
                continue
            if packed:
                yield self._node(Span(packed[0].span.start, packed[-1].span.end), packed[0], packed)
            packed = []
            if self._fits(block.span, block):
                packed = [block]
            else:
                yield from self._cut(block, [])
        if packed:
            yield self._node(Span(packed[0].span.start, packed[-1].span.end), packed[0], packed)

    def _cut(self, block: Block, headings: Sequence[Block]) -> Iterator[Node]:
        """Cut one block; `headings` right above it stay with its first piece, unless they fill half a node."""
        room = self._room(block)
        start = block.span.start
        if headings:
            above = Span(headings[0].span.start, block.span.start)
            left = self._room(headings[0]) - self._tokens(above)
            if left >= room // 2:
                room, start = min(room, left), above.start
            else:
                yield self._node(Span(above.start, headings[-1].span.end), headings[0], headings)
        for number, piece in enumerate(self._pieces(block.span, room, 0)):
            if number == 0 and start < block.span.start:
                yield self._node(Span(start, piece.end), headings[0], [*headings, block])
            else:
                yield self._node(piece, block, [block])

    def _pieces(self, span: Span, room: int, level: int) -> Iterator[Span]:
        """Cut `span` into spans of at most `room` tokens at the best separators, filling each as far as it goes."""
        if self._within(span, room):
            if not self._blank(span.start, span.end):
                yield span
            return
        if level == len(_CUTS):
            yield from self._hard_cut(span, room)
            return
        parts = self._parts(span, _CUTS[level])
        held: Span | None = None
        for part in parts:
            joined = Span(held.start, part.end) if held else part
            if self._within(joined, room):
                held = joined
                continue
            if held:
                yield from self._pieces(held, room, level)
                held = None
            if self._within(part, room):
                held = part
            else:
                yield from self._pieces(part, room, level + 1)
        if held:
            yield from self._pieces(held, room, level)

    def _parts(self, span: Span, cut: re.Pattern[str]) -> Iterator[Span]:
        start = span.start
        for found in cut.finditer(self.text, span.start, span.end):
            if found.end() > start:
                yield Span(start, found.end())
                start = found.end()
        if start < span.end:
            yield Span(start, span.end)

    def _hard_cut(self, span: Span, room: int) -> Iterator[Span]:
        """Cut inside a word: by tokens where the word has several, else by characters."""
        at = span.start
        while at < span.end:
            first = bisect_left(self.starts, at)
            by_tokens = self.starts[first + room] if first + room < len(self.starts) else span.end
            end = min(by_tokens, at + room * CHARACTERS_PER_TOKEN, span.end)
            end = max(end, at + 1)
            if not self._blank(at, end):
                yield Span(at, end)
            at = end

    def _table(self, block: Block, first: int) -> Iterator[Node]:
        """Pack rows while they fit, from `first` on; later pieces get caption and header as context."""
        rows: dict[int, Span] = {}
        for cell in block.cells:
            row = rows.setdefault(cell.row, cell.span)
            rows[cell.row] = Span(min(row.start, cell.span.start), max(row.end, cell.span.end))
        body_rows = {cell.row for cell in block.cells if len(cell.span) and not cell.header}
        header = "\n".join(rows[row].of(self.text) for row in sorted(rows.keys() - body_rows))
        caption = block.caption.of(self.text) if block.caption else ""
        extra = "\n".join(part for part in (caption, header) if part)
        held: Span | None = None
        head = ""  # what the piece at hand needs as context: nothing while it is the first
        for line in self._lines(block, first, [rows[row] for row in sorted(rows)]):
            if held and self._within(Span(held.start, line.end), self._room(block, head)):
                held = Span(held.start, line.end)
            elif held:
                yield from self._rows(held, block, head, extra)
                held, head = line, extra
            else:
                held = line
        if held:
            yield from self._rows(held, block, head, extra)

    def _lines(self, block: Block, first: int, rows: Sequence[Span]) -> list[Span]:
        """Rows widened so that they tile the table, and its caption where that stands next to it: nothing is lost."""
        last = block.span.end
        if block.caption and block.caption.end <= block.span.start and self._blank(block.caption.end, block.span.start):
            first = min(first, block.caption.start)
        if block.caption and block.caption.start >= last and self._blank(last, block.caption.start):
            last = block.caption.end
        starts = [first, *(row.start for row in rows[1:])]
        ends = [*starts[1:], last]
        return [Span(start, max(start, end)) for start, end in zip(starts, ends, strict=True)]

    def _rows(self, span: Span, block: Block, head: str, extra: str) -> Iterator[Node]:
        if self._within(span, self._room(block, head) * _OVERSIZE_ROW):
            yield self._node(span, block, [block], head)
            return
        for number, piece in enumerate(self._pieces(span, self._room(block, extra), 0)):
            yield self._node(piece, block, [block], extra if number else head)

    def _pair(self, block: Block, first: int) -> Iterator[Node]:
        span = Span(first, block.span.end)
        if self._fits(span, block):
            yield self._node(span, block, [block])
            return
        question = block.question.of(self.text) if block.question else ""
        for number, piece in enumerate(self._pieces(span, self._room(block, question), 0)):
            yield self._node(piece, block, [block], question if number else "")

    def _blank(self, start: int, end: int) -> bool:
        return not self.text[start:end].strip()

    def _trimmed(self, span: Span) -> Span:
        start, end = span.start, span.end
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return Span(start, end)

    def _tokens(self, span: Span) -> int:
        return bisect_left(self.starts, span.end) - bisect_left(self.starts, span.start)

    def _within(self, span: Span, room: int) -> bool:
        return self._tokens(span) <= room and len(span) <= room * CHARACTERS_PER_TOKEN

    def _fits(self, span: Span, first: Block) -> bool:
        return self._within(span, self._room(first))

    def _room(self, first: Block, extra: str = "") -> int:
        return self.rules.max_tokens - self._context(first, extra)[1]

    def _context(self, first: Block, extra: str = "") -> tuple[str, int]:
        """Title and headings above `first`, then `extra`; with its size. At most half of the bound."""
        extra = extra or self._around(first)
        path = path_under(self.document.title, first.heading_path)
        if path and first.kind is BlockKind.HEADING and first.span.of(self.text).casefold() == path[0].casefold():
            del path[0]  # the title itself, which opens the text of this node
        key = (extra, *path)
        if key not in self.contexts:
            budget = self.rules.max_tokens // 4
            above = shortened(PATH_SEPARATOR.join(path), budget, self.rules.tokenizer)
            below = shortened(extra, self.rules.max_tokens // 2 - (budget if above else 0), self.rules.tokenizer)
            context = "\n".join(part for part in (above, below) if part)
            self.contexts[key] = (context, len(self.rules.tokenizer.token_starts(context)))
        return self.contexts[key]

    def _around(self, first: Block) -> str:
        """What a node that begins with the figure `first` needs as context: its caption, the paragraph around it."""
        if first.span not in self.figures:
            return ""
        if first.span not in self.around:
            at = self.figures[first.span]
            caption = caption_of(self.shown, at)
            if caption and self._within(Span(first.span.start, caption.end), self.rules.max_tokens // 2):
                caption = None  # it follows in the same node
            paragraph = paragraph_around(self.text, self.shown, at)
            budget = self.rules.max_tokens // 8
            parts = [
                shortened(span.of(self.text), budget, self.rules.tokenizer) for span in (caption, paragraph) if span
            ]
            self.around[first.span] = "\n".join(parts)
        return self.around[first.span]

    def _node(self, span: Span, first: Block, blocks: Sequence[Block], extra: str = "") -> Node:
        span = self._trimmed(span)
        context, context_tokens = self._context(first, extra)
        at = bisect_left(self.starts, span.start)
        # A piece that begins inside a long word has its own first token there.
        inside = at == len(self.starts) or self.starts[at] != span.start
        kinds = {block.kind for block in blocks if block.kind is not BlockKind.HEADING}
        kind = kinds.pop() if len(kinds) == 1 else BlockKind.PARAGRAPH
        if kind not in (BlockKind.TABLE, BlockKind.FAQ, BlockKind.CODE):
            kind = BlockKind.PARAGRAPH
        # The body's path, not the heading's: a node that opens with its heading lies under that heading.
        body = next((block for block in blocks if block.kind is not BlockKind.HEADING), blocks[-1])
        return Node(
            id=node_id(self.document.id, self.rules.identity, span.start, span.end, kind),
            document_id=self.document.id,
            span=span,
            text=span.of(self.text),
            context=context,
            kind=kind,
            heading_path=body.heading_path,
            page=self._page(span, blocks),
            tokens=context_tokens + self._tokens(span) + inside,
        )

    @staticmethod
    def _page(span: Span, blocks: Sequence[Block]) -> int | None:
        for block in blocks:
            for cell in block.cells:
                if cell.region and cell.span.overlaps(span):
                    return cell.region.page
            if block.regions and block.span.overlaps(span):
                return block.regions[0].page
        return None
