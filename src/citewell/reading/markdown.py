"""Markdown as its readers see it: structure from the block grammar, text without the marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import Decoded, decode
from citewell.reading.faq import SOFT_BREAK, has_marks, paired
from citewell.reading.formats import MARKDOWN
from citewell.reading.frontmatter import split_front_matter
from citewell.reading.images import embedded
from citewell.reading.pieces import Piece, compose, document_metadata
from citewell.reading.positions import Positions, line_starts
from citewell.reading.tables import MAX_CELLS, Table
from citewell.types import BlockKind, Document, Place, Source

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Paragraphs without any of these need no inline grammar, which is half of the time.
_MARKED: Final = re.compile(r"[*_`\[<&!\\~]|  \n")
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
    the worst case; block nesting above `max_depth` is refused.
    """

    identity = versions.MARKDOWN

    def __init__(self, *, max_depth: int = 100, max_inline: int = 20_000, max_cells: int = MAX_CELLS) -> None:
        self._max_depth = max_depth
        self._max_inline = max_inline
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded."""
        decoded = decode(source.content)
        front, body, warnings = split_front_matter(decoded.text)
        metadata, reserved = document_metadata(front)
        title = metadata.pop("title", "")
        metadata["encoding"] = decoded.encoding
        walk = _Walk(self._parser(), self._max_inline, self._max_cells, modules=source.uri.endswith(".mdx"))
        found = walk.pieces(self._tokens(walk.parser, body))
        _put(found, walk.lines, decoded, len(decoded.text) - len(body), source.content)
        pieces = paired(found) if any(has_marks(piece.text) for piece in found) else iter(found)
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
        walk = _Walk(self._parser(), self._max_inline, self._max_cells, modules=False)
        found = walk.pieces(self._tokens(walk.parser, text))
        return list(_softened(iter(found))), walk.warnings

    def _parser(self) -> MarkdownIt:
        from markdown_it import MarkdownIt

        parser = MarkdownIt("commonmark", {"maxNesting": self._max_depth}).enable(["table", "strikethrough"])
        parser.core.ruler.disable("inline")
        return parser

    def _tokens(self, parser: MarkdownIt, text: str) -> tuple[list[Token], dict[str, Any]]:
        if _DEEP_QUOTE.search(text) and _quote_work(text) > _MAX_QUOTE_WORK:
            raise ReadError("limit_exceeded", "Too many lines stand in deeply nested quotes. Flatten the file.")
        env: dict[str, Any] = {}
        tokens = parser.parse(text, env)
        # At its own limit the grammar stops and drops the rest in silence.
        if any(token.level >= self._max_depth - 1 for token in tokens):
            raise ReadError(
                "limit_exceeded",
                f"The file nests quotes or lists more than {self._max_depth} deep (max_depth). Flatten the file.",
            )
        return tokens, env


class _Walk:
    """One pass over the tokens of one document."""

    def __init__(self, parser: MarkdownIt, max_inline: int, max_cells: int, *, modules: bool) -> None:
        self.parser = parser
        self.warnings: list[str] = []
        self._max_inline = max_inline
        self._max_cells = max_cells
        self._modules = modules
        self.lines: list[tuple[int, int]] = []
        """The lines [first, last) of each piece."""
        self._links: list[tuple[int, int, str]] = []
        self._figures: list[Piece] = []
        self._env: dict[str, Any] = {}

    def pieces(self, parsed: tuple[Sequence[Token], dict[str, Any]]) -> list[Piece]:
        tokens, self._env = parsed
        out: list[Piece] = []
        # One entry an open list item: the piece that its next paragraph continues, if any.
        items: list[Piece | None] = []
        kind, level, at = BlockKind.PARAGRAPH, 0, 0
        map_: list[int] | None = None
        while at < len(tokens):
            token = tokens[at]
            map_ = token.map or map_
            match token.type:
                case "inline":
                    text = self._text(token.content)
                    if kind is BlockKind.HEADING:
                        out.append(Piece(kind, _HEADING_ID.sub("", text), level, links=self._taken()))
                    elif not items:
                        code = self._modules and _MODULE.match(text) is not None
                        out.append(Piece(BlockKind.PARAGRAPH, text, boilerplate=code, links=self._taken()))
                    elif (held := items[-1]) is not None and out and out[-1] is held:
                        after = len(held.text) + 1
                        held.links = [*held.links, *((a + after, b + after, c) for a, b, c in self._taken())]
                        held.text += "\n" + text
                        if token.map:
                            self.lines[-1] = (self.lines[-1][0], token.map[1])
                    elif text.strip():
                        item = Piece(BlockKind.LIST_ITEM, text, len(items) - 1, links=self._taken())
                        items[-1] = item
                        out.append(item)
                    out.extend(self._figures)
                    self._figures.clear()
                case "heading_open":
                    kind, level = BlockKind.HEADING, int(token.tag[1])
                case "heading_close":
                    kind = BlockKind.PARAGRAPH
                case "list_item_open":
                    items.append(None)
                case "list_item_close":
                    items.pop()
                case "fence" | "code_block":
                    language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else None
                    out.append(Piece(BlockKind.CODE, token.content, language=language))
                case "html_block":
                    out.extend(self._html(token.content))
                case "table_open":
                    end = next(n for n in range(at, len(tokens)) if tokens[n].type == "table_close")
                    out.append(self._table(tokens[at:end], out))
                    out.extend(self._figures)
                    self._figures.clear()
                    at = end
                case _:
                    pass
            at += 1
            if len(out) > len(self.lines):
                first, last = map_ or (0, 0)
                self.lines += [(first, last)] * (len(out) - len(self.lines))
        return out

    def _taken(self) -> list[tuple[int, int, str]]:
        """The links of the text that was just put together."""
        links, self._links = self._links, []
        return links

    def _table(self, tokens: Sequence[Token], out: list[Piece]) -> Piece:
        rows: list[list[str | None]] = []
        held: list[list[list[tuple[int, int, str]]]] = []
        header_rows = 0
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
                held.append([])
            elif token.type == "inline":
                rows[-1].append(self._text(token.content).replace("\n", " ").replace(SOFT_BREAK, " "))
                held[-1].append(self._taken())
            elif token.type == "thead_close":
                header_rows = len(rows)
        # Tables without a header are written with an empty one.
        header_rows = sum(any(row) for row in rows[:header_rows])
        held = [links for row, links in zip(rows, held, strict=True) if any(row)]
        rows = [row for row in rows if any(row)]
        links = {(r, c): cell for r, row in enumerate(held) for c, cell in enumerate(row) if cell}
        caption = ""
        if out and out[-1].kind is BlockKind.PARAGRAPH and _TABLE_CAPTION.match(out[-1].text):
            caption = out.pop().text.replace(SOFT_BREAK, " ")
            self.lines.pop()
        return Piece(BlockKind.TABLE, table=Table(rows, header_rows=header_rows, links=links), caption=caption)

    def _text(self, content: str) -> str:
        """Inline text without its marks; soft line ends as `SOFT_BREAK`, hard ones as newline."""
        if ":::" in content:
            content = _ADMONITION.sub("", content).strip()
        if not _MARKED.search(content):
            return content if "\n" not in content else SOFT_BREAK.join(map(str.strip, content.split("\n")))
        if len(content) > self._max_inline:
            if not self.warnings:
                self.warnings.append(f"Runs of text above {self._max_inline:,} characters keep their Markdown marks.")
            return content
        return self._inline(content)

    def _inline(self, content: str) -> str:
        tokens: list[Token] = []
        self.parser.inline.parse(content, self.parser, self._env, tokens)
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
    """Give each of `pieces`, which stand in these lines after the first `skipped` characters, its place."""
    text = decoded.text
    starts = line_starts(text[skipped:])
    spans = []
    for first, last in lines:
        start, end = skipped + starts[first], skipped + max(starts[last] - 1, starts[first])
        while end > start and text[end - 1].isspace():
            end -= 1
        spans.append((start, end))
    order = sorted(set(spans))
    # Pieces of one paragraph share its lines, a list item may reach around a figure: places are made for offsets.
    offsets = sorted({offset for span in order for offset in span})
    made = dict(zip(offsets, Positions(content, decoded).places(list(pairwise([*offsets, len(text)]))), strict=True))
    for piece, (start, end) in zip(pieces, spans, strict=True):
        first_place, last_place = made[start], made[end]
        if first_place.unit == "lines":
            piece.source = Place(first_place.start, max(last_place.start, first_place.start) + 1, "lines")
        else:
            piece.source = Place(first_place.start, last_place.start)


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
