"""Markdown as its readers see it: structure from the block grammar, text without the marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.decode import Decoded, decode
from citewell.reading.faq import SOFT_BREAK, has_marks, paired
from citewell.reading.formats import MARKDOWN
from citewell.reading.frontmatter import split_front_matter
from citewell.reading.images import embedded
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.markdown_blocks import Fence, Found, Item, Rest, Text, blocks
from citewell.reading.markdown_grammar import Grammar
from citewell.reading.markdown_inline import simple
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Piece, compose
from citewell.reading.positions import Positions, line_starts
from citewell.reading.tables import Table
from citewell.types import BlockKind, Document, Place, Source

if TYPE_CHECKING:
    from markdown_it.token import Token

# Paragraphs without any of these need no inline grammar, which is half of the time.
_MARKED: Final = re.compile(r"[*_`\[<&!\\~]")
_HEADING_ID: Final = re.compile(r"(?<![ \t])[ \t]*\{#[\w:.-]{1,200}\}$")
_TABLE_CAPTION: Final = re.compile(r"(?:table|tabelle|tab\.)[ \t]*\d{1,4}\b", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>|<[!?][^<>]*>")
_ALT: Final = re.compile(r"""\balt[ \t]*=[ \t]*(?:"([^"]*)"|'([^']*)')""")
_BREAK_TAG: Final = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_DEEP_QUOTE: Final = re.compile(r"^[ \t]*(?:>[ \t]?){6}", re.MULTILINE)
_PREFIX: Final = re.compile(r"[ \t>*+.)\d-]*")
_MAX_QUOTE_WORK: Final = 500_000  # about 3 s
_ADMONITION: Final = re.compile(r"^[ \t]*:{3,}[ \t]*(?:[a-z]{1,20}\b)?[ \t]*", re.MULTILINE)
_MODULE: Final = re.compile(r"(?:import|export)\s+[\w{*]")
_SKIPPED: Final = ("script", "style")


class MarkdownReader:
    """Reads CommonMark with tables, front matter, and `Q:`/`A:` pairs.

    Inline marks go: links keep their words, images become figure blocks with their alternative text, HTML keeps its
    text. A run of inline text above `max_inline` characters keeps its marks, since the inline grammar is quadratic in
    the worst case; block nesting above `max_depth` is refused. Without `shortcuts` all of it is read by the full
    grammar, which gives the same document and takes several times as long.
    """

    identity = versions.MARKDOWN

    def __init__(
        self,
        *,
        max_depth: int = 100,
        max_inline: int = 20_000,
        max_cells: int = MAX_CELLS,
        shortcuts: bool = True,
    ) -> None:
        self._max_depth = max_depth
        self._max_inline = max_inline
        self._max_cells = max_cells
        self._shortcuts = shortcuts

    @without_collector
    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded."""
        decoded = decode(source.content)
        front, body, warnings = split_front_matter(decoded.text)
        metadata, reserved = document_metadata(front)
        title = metadata.pop("title", "")
        metadata["encoding"] = decoded.encoding
        grammar = Grammar(self._max_depth)
        walk = _Walk(
            grammar,
            self._max_inline,
            self._max_cells,
            modules=source.uri.endswith(".mdx"),
            shortcuts=self._shortcuts,
        )
        walk.take(body, self._blocks(body, grammar))
        _put(walk.pieces, walk.spans, decoded, len(decoded.text) - len(body), source.content)
        marked = has_marks("\n".join([piece.text for piece in walk.pieces]))
        pieces = paired(walk.pieces) if marked else iter(walk.pieces)
        return compose(
            source,
            _softened(pieces),
            reader=self.identity,
            media_type=MARKDOWN,
            title=str(title or "").strip(),
            metadata=metadata,
            warnings=[*decoded.warnings, *warnings, *reserved, *walk.warnings],
            max_cells=self._max_cells,
        )

    def pieces(self, text: str) -> tuple[list[Piece], list[str]]:
        """The pieces of some Markdown inside another document, and warnings. Raises ReadError limit_exceeded."""
        grammar = Grammar(self._max_depth)
        walk = _Walk(grammar, self._max_inline, self._max_cells, modules=False, shortcuts=self._shortcuts)
        walk.take(text, self._blocks(text, grammar))
        return list(_softened(iter(walk.pieces))), walk.warnings

    def _blocks(self, text: str, grammar: Grammar) -> list[Found]:
        if text.count(">") > 5 and _DEEP_QUOTE.search(text) and (work := _quote_work(text)) > _MAX_QUOTE_WORK:
            raise over("The file", work, "quotes that lines stand in", _MAX_QUOTE_WORK, "Flatten it.")
        if not self._shortcuts:
            return [grammar.parsed(text, 0)]
        return list(blocks(text, partial(grammar.rest, text)))  # all before any: a reference may be defined at the end


class _Walk:
    """One pass over the blocks of one document."""

    def __init__(self, grammar: Grammar, max_inline: int, max_cells: int, *, modules: bool, shortcuts: bool) -> None:
        self.warnings: list[str] = []
        self.pieces: list[Piece] = []
        self.spans: list[tuple[int, int]] = []
        """Where each piece stands, from the start of a line to the end of one."""
        self._grammar = grammar
        self._max_inline = max_inline
        self._max_cells = max_cells
        self._modules = modules
        self._shortcuts = shortcuts
        self._links: Sequence[tuple[int, int, str]] = ()
        self._figures: list[Piece] = []
        # One entry an open list item: the piece that its next paragraph continues, if any.
        self._items: list[Piece | None] = []

    def take(self, text: str, found: Iterable[Found]) -> None:
        """Make pieces of all that was `found` in `text`."""
        pieces, spans, items = self.pieces, self.spans, self._items
        for block in found:
            if isinstance(block, Rest):
                self._tokens(block, text)
                continue
            if isinstance(block, Text):
                if block.level:
                    self._heading(block.content, block.level)
                elif block.content:
                    items.clear()
                    self._paragraph(block.content, block.end)
            elif isinstance(block, Item):
                del items[block.depth + (not block.opens) :]
                if block.opens:
                    items.append(None)
                self._paragraph(block.content, block.end)
            elif isinstance(block, Fence):
                pieces.append(_code(block.content, block.info))
            else:
                self._table(block.rows, 1)
            self._figured()
            if len(pieces) > len(spans):
                spans += [(block.start, block.end)] * (len(pieces) - len(spans))

    def _tokens(self, rest: Rest, text: str) -> None:
        tokens, out = rest.tokens, self.pieces
        starts = line_starts(text[rest.start : rest.end])
        self._items.clear()
        heading, at = 0, 0
        map_: list[int] = [0, 0]
        while at < len(tokens):
            token = tokens[at]
            map_ = token.map or map_
            match token.type:
                case "inline" if heading:
                    self._heading(token.content, heading)
                case "inline":
                    self._paragraph(token.content, rest.start + starts[map_[1]] - 1)
                case "heading_open":
                    heading = int(token.tag[1])
                case "heading_close":
                    heading = 0
                case "list_item_open":
                    self._items.append(None)
                case "list_item_close":
                    self._items.pop()
                case "fence" | "code_block":
                    out.append(_code(token.content, token.info))
                case "html_block":
                    out.extend(self._html(token.content))
                case "table_open":
                    end = next(n for n in range(at, len(tokens)) if tokens[n].type == "table_close")
                    self._table(*_rows(tokens[at:end]))
                    at = end
                case _:
                    pass
            at += 1
            self._figured()
            if len(out) > len(self.spans):
                first, last = map_
                span = rest.start + starts[first], rest.start + max(starts[last] - 1, starts[first])
                self.spans += [span] * (len(out) - len(self.spans))

    def _figured(self) -> None:
        if self._figures:
            self.pieces += self._figures
            self._figures.clear()

    def _heading(self, content: str, level: int) -> None:
        text = self._text(content)
        self.pieces.append(Piece(BlockKind.HEADING, _HEADING_ID.sub("", text), level, links=self._taken()))

    def _paragraph(self, content: str, end: int) -> None:
        text = self._text(content)
        items, out = self._items, self.pieces
        if not items:
            code = self._modules and _MODULE.match(text) is not None
            out.append(Piece(BlockKind.PARAGRAPH, text, boilerplate=code, links=self._taken()))
        elif (held := items[-1]) is not None and out and out[-1] is held:
            after = len(held.text) + 1
            held.links = [*held.links, *((a + after, b + after, c) for a, b, c in self._taken())]
            held.text += "\n" + text
            self.spans[-1] = (self.spans[-1][0], end)
        elif text.strip():
            item = Piece(BlockKind.LIST_ITEM, text, len(items) - 1, links=self._taken())
            items[-1] = item
            out.append(item)

    def _taken(self) -> Sequence[tuple[int, int, str]]:
        """The links of the text that was just put together."""
        links, self._links = self._links, ()
        return links

    def _table(self, raw: Sequence[Sequence[str]], header_rows: int) -> None:
        rows: list[list[str | None]] = []
        held: list[list[Sequence[tuple[int, int, str]]]] = []
        for row in raw:
            rows.append([])
            held.append([])
            for content in row:
                rows[-1].append(self._text(content).replace("\n", " ").replace(SOFT_BREAK, " "))
                held[-1].append(self._taken())
        # Tables without a header are written with an empty one.
        header_rows = sum(any(row) for row in rows[:header_rows])
        held = [links for row, links in zip(rows, held, strict=True) if any(row)]
        rows = [row for row in rows if any(row)]
        links = {(r, c): cell for r, row in enumerate(held) for c, cell in enumerate(row) if cell}
        caption, out = "", self.pieces
        if out and out[-1].kind is BlockKind.PARAGRAPH and _TABLE_CAPTION.match(out[-1].text):
            caption = out.pop().text.replace(SOFT_BREAK, " ")
            self.spans.pop()
        out.append(Piece(BlockKind.TABLE, table=Table(rows, header_rows=header_rows, links=links), caption=caption))

    def _text(self, content: str) -> str:
        """Inline text without its marks; soft line ends as `SOFT_BREAK`, hard ones as newline."""
        if ":::" in content:
            content = _ADMONITION.sub("", content).strip()
        if not _MARKED.search(content) and "  \n" not in content:
            if "\n" not in content:
                return content
            if "\n " in content or " \n" in content or "\t" in content or not content.isascii():
                return SOFT_BREAK.join(map(str.strip, content.split("\n")))
            return content.replace("\n", SOFT_BREAK)
        if len(content) > self._max_inline:
            if not self.warnings:
                self.warnings.append(f"Runs of text above {self._max_inline:,} characters keep their Markdown marks.")
            return content
        grammar = self._grammar
        references = bool(grammar.env.get("references"))
        found = (
            simple(content, grammar.target, references=references, soft_break=SOFT_BREAK) if self._shortcuts else None
        )
        if found is None:
            return self._inline(content)
        text, self._links = found
        return text

    def _inline(self, content: str) -> str:
        tokens: list[Token] = []
        parser = self._grammar.parser
        parser.inline.parse(content, parser, self._grammar.env, tokens)
        parts: list[str] = []
        links: list[tuple[int, int, str]] = []
        opened: list[tuple[int, str]] = []
        size = counted = 0
        for token in tokens:
            size += sum(map(len, parts[counted:]))
            counted = len(parts)
            match token.type:
                case "text" | "code_inline" | "text_special":
                    parts.append(token.content)
                case "link_open":
                    opened.append((size, str(token.attrs.get("href", ""))))
                case "link_close" if opened:
                    start, target = opened.pop()
                    links.append((start, size, target))
                case "softbreak":
                    parts.append(SOFT_BREAK)
                case "hardbreak":
                    parts.append("\n")
                case "image":
                    alt = self._inline(token.content) if token.content.strip() else ""
                    self._figures.append(_figure(alt, str(token.attrs.get("src", ""))))
                case "html_inline":
                    if token.content[:3].lower() == "<br":
                        parts.append("\n")
                    elif alt := _alt(token.content):
                        self._figures.append(Piece(BlockKind.FIGURE, alt))
                case _:
                    pass
        self._links = links
        return "".join(parts)

    def _html(self, content: str) -> Iterator[Piece]:
        if "<table" in content and "</table>" in content:
            from citewell.reading.html import fragment_pieces

            yield from fragment_pieces(content, self._max_cells)
            return
        text = strip_tags(content)
        for paragraph in re.split(r"\n[ \t]*\n", text):
            if paragraph.strip():
                yield Piece(BlockKind.PARAGRAPH, SOFT_BREAK.join(map(str.strip, paragraph.strip().split("\n"))))
        for tag in _TAG.findall(content):
            if alt := _alt(tag):
                yield Piece(BlockKind.FIGURE, alt)


def _put(
    pieces: Sequence[Piece], lines: Sequence[tuple[int, int]], decoded: Decoded, skipped: int, content: bytes
) -> None:
    """Give each of `pieces`, which stand in these lines behind the first `skipped` characters, its place."""
    text = decoded.text
    spans = []
    before, apart = 0, True
    for first, last in lines:
        start, end = skipped + first, skipped + last
        while end > start and text[end - 1].isspace():
            end -= 1
        apart = apart and start >= before
        before = end
        spans.append((start, end))
    positions = Positions(content, decoded)
    if apart:
        for piece, place in zip(pieces, positions.places(spans), strict=True):
            piece.source = place
        return
    order = sorted(set(spans))
    # Pieces of one paragraph share its lines, a list item may reach around a figure: places are made for offsets.
    offsets = sorted({offset for span in order for offset in span})
    made = dict(zip(offsets, positions.places(list(pairwise([*offsets, len(text)]))), strict=True))
    for piece, (start, end) in zip(pieces, spans, strict=True):
        first_place, last_place = made[start], made[end]
        if first_place.unit == "lines":
            piece.source = Place(first_place.start, max(last_place.start, first_place.start) + 1, "lines")
        else:
            piece.source = Place(first_place.start, last_place.start)


def _code(content: str, info: str) -> Piece:
    words = info.split(maxsplit=1)
    return Piece(BlockKind.CODE, content, language=words[0] if words else None)


def _rows(tokens: Sequence[Token]) -> tuple[list[list[str]], int]:
    """The rows of a table as they are written, and how many of them are its header."""
    rows: list[list[str]] = []
    header_rows = 0
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content)
        elif token.type == "thead_close":
            header_rows = len(rows)
    return rows, header_rows


def _figure(alt: str, target: str) -> Piece:
    """A figure; one whose image stands in the file itself (`data:image/png;base64,…`) has it."""
    return Piece(BlockKind.FIGURE, alt, asset=embedded(target))


def _quote_work(text: str) -> int:
    """How often the grammar looks at a line because quotes around it may go on: once for each."""
    work = depth = 0
    for line in text.split("\n"):
        marks = _PREFIX.match(line)
        assert marks is not None
        depth = max(depth, marks[0].count(">")) if line.strip() else 0
        work += depth
    return work


def strip_tags(markup: str) -> str:
    """The text of a piece of HTML: without tags, comments, scripts and styles, character references resolved."""
    for start, end in (("<!--", "-->"), *((f"<{tag}", f"</{tag}>") for tag in _SKIPPED)):
        markup = _without(markup, start, end)
    return unescape(_TAG.sub("", _BREAK_TAG.sub("\n", markup)))


def _without(text: str, start: str, end: str) -> str:
    parts: list[str] = []
    at = 0
    while (found := text.find(start, at)) >= 0:
        parts.append(text[at:found])
        close = text.find(end, found)
        at = len(text) if close < 0 else close + len(end)
    parts.append(text[at:])
    return "".join(parts)


def _alt(tag: str) -> str:
    found = _ALT.search(tag)
    return unescape(found[1] or found[2] or "").strip() if found else ""


def _softened(pieces: Iterator[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if SOFT_BREAK in piece.text:
            piece.text = piece.text.replace(SOFT_BREAK, " ")
        yield piece
