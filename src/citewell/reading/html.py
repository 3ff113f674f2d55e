"""A web page as its readers see it: structure from tags, with what is no content flagged, never dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.decode import decode_html
from citewell.reading.detect import HTML
from citewell.reading.faq import has_marks, paired
from citewell.reading.htmltable import read_table
from citewell.reading.pieces import Piece, compose, document_metadata
from citewell.reading.tables import MAX_CELLS
from citewell.types import BlockKind, Document, Source, Value

BLOCKS: Final = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "caption",
        "noscript",
        "optgroup",
        "select",
    }
)
SKIPPED: Final = frozenset(
    {
        "script",
        "style",
        "template",
        "svg",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "head",
        "title",
        "meta",
        "link",
        "base",
        "annotation",
        "annotation-xml",
        "noframes",
    }
)
_BOILER_TAGS: Final = frozenset({"nav", "footer", "menu", "noscript", "button", "select"})
_BOILER_ROLES: Final = frozenset(
    {
        "navigation",
        "banner",
        "contentinfo",
        "complementary",
        "search",
        "menu",
        "menubar",
        "toolbar",
        "alertdialog",
        "dialog",
    }
)
_HINTS: Final = frozenset(
    {
        "nav",
        "navbar",
        "navigation",
        "navbox",
        "menu",
        "topbar",
        "sidebar",
        "breadcrumb",
        "breadcrumbs",
        "cookie",
        "cookies",
        "consent",
        "gdpr",
        "footer",
        "masthead",
        "banner",
        "social",
        "share",
        "sharing",
        "related",
        "advert",
        "advertisement",
        "ads",
        "promo",
        "newsletter",
        "subscribe",
        "skip",
        "pagination",
        "pager",
        "toc",
        "toolbar",
        "popup",
        "modal",
        "copyright",
    }
)
_HINTED: Final = frozenset(
    {"div", "section", "ul", "ol", "aside", "table", "form", "p", "span", "header", "dialog", "a", "li"}
)
_DENSE: Final = frozenset({"div", "section", "ul", "ol", "td", "table", "p", "dl"})
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")
_HIDING: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_COLOUR: Final = re.compile(r"(?:^|[;\s])(background(?:-color)?|color)\s*:\s*([^;!]{1,60})", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_META: Final = {
    "author": "author",
    "article:author": "author",
    "dc.creator": "author",
    "date": "date",
    "article:published_time": "date",
    "dc.date": "date",
    "article:modified_time": "modified",
    "last-modified": "modified",
    "description": "description",
    "og:description": "description",
    "content-language": "language",
    "dc.language": "language",
}
_MIN_MAIN: Final = 200
_INVISIBLE: Final = " \n\t\xa0\u200b\u2060\ufeff"
_BR: Final = "\v"  # stands for <br> until white space has been collapsed; decoded text never holds it


class HtmlReader:
    """Reads HTML: headings, paragraphs, lists, tables, code, figures, definition lists, question/answer pairs.

    Navigation, page headers and footers, cookie banners and lists of links are blocks with `boilerplate`; where the
    page names its main part, all outside it is. Elements that are not shown are blocks with `hidden`. Nothing is
    fetched or run. Nesting above `max_depth` (at most 2048, the parser's own limit) is refused.
    """

    identity = "html@1"

    def __init__(self, *, max_depth: int = 2000, max_cells: int = MAX_CELLS) -> None:
        self._max_depth = max_depth
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded."""
        decoded = decode_html(source.content, uri=source.uri)
        root = _parse(decoded.text, source.uri)
        if root is None:
            raise ReadError("no_text", f"{source.uri} holds no visible text. Nothing of it can be found or quoted.")
        survey = _survey(root, self._max_depth, source.uri)
        metadata, warnings = document_metadata({**_metadata(root), "encoding": decoded.encoding})
        titles = [title for title in (" ".join((el.text or "").split()) for el in root.iter("title")) if title]
        walk = _Walk(survey, self._max_cells, judge=True)
        walk.run(root)
        pieces: Sequence[Piece] | Iterator[Piece] = _unflagged(walk.pieces)
        if any(has_marks(piece.text) for piece in walk.pieces):
            pieces = paired(pieces)
        first = next(
            (p.text for p in walk.pieces if p.kind is BlockKind.HEADING and p.level == 1 and not _aside(p)), ""
        )
        return compose(
            source,
            pieces,
            reader=self.identity,
            media_type=HTML,
            title=" ".join(first.split()) or (titles[0] if titles else ""),
            metadata=metadata,
            warnings=[*decoded.warnings, *warnings],
            max_cells=self._max_cells,
        )


def fragment_pieces(markup: str, source: Source, *, max_depth: int = 2000, max_cells: int = MAX_CELLS) -> list[Piece]:
    """The pieces of some HTML inside another document; hidden parts are flagged, nothing counts as boilerplate."""
    root = _parse(markup, source.uri)
    if root is None:
        return []
    walk = _Walk(_survey(root, max_depth, source.uri), max_cells, judge=False)
    walk.run(root)
    return walk.pieces


def is_hidden(element: Any) -> bool:
    """Whether the element's own attributes keep it from being shown. Style sheets are not looked at."""
    if element.get("hidden") is not None and element.get("hidden") != "until-found":
        return True
    style = element.get("style")
    if not style:
        return False
    if _HIDING.search(style):
        return True
    colours = {name.lower()[:5]: _colour(value) for name, value in _COLOUR.findall(style)}
    return len(colours) == 2 and len(set(colours.values())) == 1


def _colour(value: str) -> str:
    value = value.strip().lower()
    if re.fullmatch("#[0-9a-f]{3}", value):
        value = "#" + "".join(2 * digit for digit in value[1:])
    return {"white": "#ffffff", "black": "#000000"}.get(value, value)


def _aside(piece: Piece) -> bool:
    return piece.boilerplate or piece.hidden


def _parse(markup: str, uri: str) -> Any:
    from lxml import etree

    # huge_tree lifts the limit of 256 levels, which pages with unclosed tags reach; 2048 remains.
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    last = parser.error_log.last_error
    if last is not None and last.type_name == "ERR_RESOURCE_LIMIT":
        raise ReadError("limit_exceeded", f"{uri} is nested too deep to read: {last.message}.")
    if root is not None:
        # What follows the first </html> is a root of its own; browsers show it, so it must not be lost.
        for sibling in list(root.itersiblings()):
            root.append(sibling)
    return root


@dataclass(slots=True)
class _Survey:
    """Per element in document order: characters of text, of link text, number of links, elements inside."""

    texts: list[int] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    layout: set[int] = field(default_factory=set)
    main: int | None = None
    main_has_h1: bool = False


def _survey(root: Any, max_depth: int, uri: str) -> _Survey:
    from lxml import etree

    survey = _Survey()
    texts, linked, links, sizes = survey.texts, survey.linked, survey.links, survey.sizes
    stack: list[int] = []
    tags: list[str] = []
    tables: list[_TableNote] = []
    mains: list[int] = []
    articles: list[int] = []
    h1s: list[int] = []
    skipped = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        if event == "start":
            index = len(texts)
            stack.append(index)
            tags.append(tag)
            if len(stack) > max_depth:
                raise ReadError("limit_exceeded", f"{uri} nests elements more than {max_depth} deep (max_depth).")
            skipped += tag in SKIPPED
            size = 0 if skipped or not element.text else len(element.text.strip())
            texts.append(size)
            linked.append(0)
            links.append(0)
            sizes.append(1)
            if tag == "table":
                tables.append(_TableNote(element.get("role") in ("presentation", "none")))
            elif tables:
                tables[-1].note(tag)
            if tag == "main" or element.get("role") == "main":
                mains.append(index)
            elif tag == "article":
                articles.append(index)
            elif tag == "h1":
                h1s.append(index)
            continue
        index = stack.pop()
        tags.pop()
        skipped -= tag in SKIPPED
        if tag == "a" and element.get("href"):
            linked[index] = texts[index]
            links[index] = 1
        if tag == "table":
            if tables.pop().is_layout(texts[index]):
                survey.layout.add(index)
            if tables:
                tables[-1].inner += texts[index]
        if stack:
            above = stack[-1]
            tail = 0 if skipped or not element.tail else len(element.tail.strip())
            texts[above] += texts[index] + tail
            linked[above] += linked[index]
            links[above] += links[index]
            sizes[above] += sizes[index]
    candidates = mains or (articles if len(articles) == 1 else [])
    best = max(candidates, key=lambda index: texts[index], default=None)
    if best is not None and texts[best] >= max(_MIN_MAIN, texts[0] // 4):
        survey.main = best
        survey.main_has_h1 = any(best <= index < best + sizes[best] for index in h1s)
    return survey


@dataclass(slots=True)
class _TableNote:
    """What tells a table of data from one that lays out a page."""

    presentation: bool
    named: bool = False  # has header cells or a caption
    rich: bool = False  # has lists, code or headings
    rows: int = 0
    widest: int = 0
    cells: int = 0
    inner: int = 0  # characters in tables inside

    def note(self, tag: str) -> None:
        if tag in ("th", "caption"):
            self.named = True
        if tag == "tr":
            self.rows += 1
            self.cells = 0
        elif tag in ("td", "th"):
            self.cells += 1
            self.widest = max(self.widest, self.cells)
        elif tag in ("ul", "ol", "dl", "pre", "h1", "h2", "h3", "h4", "h5", "h6"):
            self.rich = True

    def is_layout(self, size: int) -> bool:
        if self.presentation or self.inner > size // 2:
            return True
        return not (self.named or (self.rows > 1 and self.widest > 1 and not self.rich))


@dataclass(slots=True)
class _Frame:
    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    boilerplate: bool = False
    hidden: bool = False
    main: bool = False
    sectioned: bool = False
    pre: bool = False
    item: int = -1
    start: int = 0


class _Walk:
    """One pass over the elements of a page, without recursion: text gathers until a block begins or ends."""

    def __init__(self, survey: _Survey, max_cells: int, *, judge: bool) -> None:
        self.pieces: list[Piece] = []
        self._survey = survey
        self._max_cells = max_cells
        self._judge = judge
        self._frames: list[_Frame] = [_Frame(main=survey.main is None)]
        self._texts: dict[tuple[bool, bool], list[str]] = {}
        self._figures: list[Piece] = []
        self._held: list[Piece | None] = []  # one entry an open list item: the piece its next paragraph continues
        self._lists = 0
        self._question: int | None = None

    def run(self, root: Any) -> None:
        """Fill `pieces` with the blocks under `root`."""
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        index = 0
        for event, element in walk:
            tag = element.tag
            if event == "end":
                if tag in SKIPPED:
                    self._text(element.tail)
                    continue
                self._end(tag)
                self._text(element.tail)
            elif tag in SKIPPED:
                index += self._survey.sizes[index]
                walk.skip_subtree()
            elif tag == "table" and index not in self._survey.layout:
                self._start(element, tag, index)
                self._table(element)
                index += self._survey.sizes[index]
                walk.skip_subtree()
            else:
                self._start(element, tag, index)
                self._text(element.text)
                index += 1
        self._flush()

    def _start(self, element: Any, tag: str, index: int) -> None:
        above = self._frames[-1]
        if tag in BLOCKS:
            self._flush()
        frame = _Frame(
            above.kind,
            above.level,
            above.boilerplate,
            above.hidden or is_hidden(element),
            above.main or index == self._survey.main,
            above.sectioned or tag in ("main", "article"),
            above.pre,
            above.item,
            len(self.pieces),
        )
        if self._judge and not above.boilerplate:
            frame.boilerplate = self._is_boilerplate(element, tag, index, frame)
        self._frames.append(frame)
        match tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                frame.kind, frame.level = BlockKind.HEADING, int(tag[1])
            case "ul" | "ol" | "dl" | "menu" | "dir":
                self._lists += 1
            case "li" | "dt" | "dd":
                self._held.append(None)
                frame.kind, frame.item = BlockKind.LIST_ITEM, len(self._held) - 1
                frame.level = max(self._lists - 1, 0) + (tag == "dd")
                if tag == "dt":
                    self._question = len(self.pieces)
            case "td" | "th":
                frame.kind, frame.item = BlockKind.PARAGRAPH, -1
            case "figcaption" | "caption":
                frame.kind = BlockKind.CAPTION
            case "pre":
                frame.kind, frame.pre = BlockKind.CODE, True
            case "br":
                self._put(_BR)
            case "img" | "area":
                if alt := " ".join((element.get("alt") or "").split()):
                    flags = frame.boilerplate or not frame.main
                    self._figures.append(Piece(BlockKind.FIGURE, alt, boilerplate=flags, hidden=frame.hidden))
            case _:
                pass

    def _end(self, tag: str) -> None:
        frame = self._frames[-1]
        if tag in BLOCKS:
            self._flush()
        match tag:
            case "ul" | "ol" | "dl" | "menu" | "dir":
                self._lists -= 1
            case "li" | "dt" | "dd":
                self._held.pop()
                if tag == "dd" and self._question is not None:
                    self._fold(self._question)
                    self._question = None
            case "details":
                self._fold(frame.start)
            case "figure":
                self._join_caption(frame.start)
            case _:
                pass
        self._frames.pop()

    def _is_boilerplate(self, element: Any, tag: str, index: int, frame: _Frame) -> bool:
        if tag in _BOILER_TAGS or (tag == "aside" and not frame.sectioned):
            return True
        role = element.get("role")
        if role in _BOILER_ROLES:
            return True
        survey = self._survey
        size, total = survey.texts[index], survey.texts[0]
        if tag == "header" and not frame.sectioned:
            # A page header that holds the title alone is content.
            return survey.links[index] > 1
        if tag in _HINTED and size <= 0.4 * total:
            names = f"{element.get('class') or ''} {element.get('id') or ''}"
            if names != " " and not _HINTS.isdisjoint(word.lower() for word in _WORD.findall(names)):
                return True
        return (
            tag in _DENSE
            and not frame.sectioned
            and survey.links[index] >= 5
            and survey.linked[index] >= 0.85 * size
            and size < 40 * survey.links[index]
            and size <= 0.5 * total
        )

    def _text(self, text: str | None) -> None:
        if text:
            self._put(text if self._frames[-1].pre else _SPACE.sub(" ", text))

    def _put(self, text: str) -> None:
        frame = self._frames[-1]
        self._texts.setdefault((frame.hidden, frame.boilerplate), []).append(text)

    def _flush(self) -> None:
        if self._texts:
            frame = self._frames[-1]
            for (hidden, boilerplate), parts in self._texts.items():
                text = "".join(parts)
                if frame.pre:
                    text = text.replace(_BR, "\n")
                elif _BR in text:
                    text = "\n".join(_SPACE.sub(" ", line).strip() for line in text.split(_BR)).strip()
                else:
                    text = _SPACE.sub(" ", text).strip()
                text = text.strip("\u200b\ufeff") if frame.pre else text.strip(_INVISIBLE)
                if text and not text.isspace():
                    self._add(frame, text, hidden, boilerplate)
            self._texts.clear()
        if self._figures:
            self.pieces.extend(self._figures)
            self._figures.clear()

    def _add(self, frame: _Frame, text: str, hidden: bool, boilerplate: bool) -> None:
        boilerplate = boilerplate or self._is_outside(frame)
        piece = Piece(frame.kind, text, frame.level, boilerplate=boilerplate, hidden=hidden)
        if frame.kind is BlockKind.LIST_ITEM:
            held = self._held[frame.item]
            if (
                held is not None
                and self.pieces[-1] is held
                and (held.hidden, held.boilerplate) == (hidden, boilerplate)
            ):
                held.text += "\n" + text
                return
            self._held[frame.item] = piece
        self.pieces.append(piece)

    def _is_outside(self, frame: _Frame) -> bool:
        # The title of a page often stands above its main part.
        is_title = frame.kind is BlockKind.HEADING and frame.level == 1 and not self._survey.main_has_h1
        return not frame.main and not is_title

    def _table(self, element: Any) -> None:
        frame = self._frames[-1]
        table, caption, unseen, figures = read_table(element, self._max_cells)
        boilerplate = frame.boilerplate or not frame.main
        self.pieces.append(
            Piece(BlockKind.TABLE, table=table, caption=caption, boilerplate=boilerplate, hidden=frame.hidden)
        )
        for alt in figures:
            self.pieces.append(Piece(BlockKind.FIGURE, alt, boilerplate=boilerplate, hidden=frame.hidden))
        if unseen:
            self.pieces.append(Piece(BlockKind.PARAGRAPH, unseen, boilerplate=boilerplate, hidden=True))

    def _fold(self, start: int) -> None:
        """Make a question and the pieces after it one FAQ piece."""
        question, answer = self.pieces[start : start + 1], self.pieces[start + 1 :]
        kinds = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.CODE)
        if not question or not answer or not question[0].text.rstrip().endswith(("?", "？", "؟")):
            return
        if question[0].question or any(p.kind not in kinds or p.question or p.hidden for p in answer):
            return
        first = question[0]
        text = "\n".join(piece.text for piece in answer)
        self.pieces[start:] = [Piece(BlockKind.FAQ, text, question=first.text, boilerplate=first.boilerplate)]

    def _join_caption(self, start: int) -> None:
        inside = self.pieces[start:]
        captions = [piece for piece in inside if piece.kind is BlockKind.CAPTION]
        shown = [piece for piece in inside if piece.kind in (BlockKind.TABLE, BlockKind.FIGURE)]
        if len(captions) == 1 and len(shown) == 1 and not shown[0].caption:
            shown[0].caption = captions[0].text
            self.pieces[start:] = [piece for piece in inside if piece is not captions[0]]


def _unflagged(pieces: list[Piece]) -> list[Piece]:
    # A page that is all navigation is what its reader came for.
    if all(piece.boilerplate or piece.hidden for piece in pieces):
        for piece in pieces:
            piece.boilerplate = False
    return pieces


def _metadata(root: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    if language:
        found["language"] = language.strip()
    for meta in root.iter("meta"):
        name = (meta.get("name") or meta.get("property") or meta.get("http-equiv") or "").strip().lower()
        content = " ".join((meta.get("content") or "").split())
        if content and name in _META:
            found.setdefault(_META[name], content)
    for link in root.iter("link"):
        if "canonical" in (link.get("rel") or "").lower().split() and (link.get("href") or "").strip():
            found.setdefault("canonical", link.get("href").strip())
    return found
