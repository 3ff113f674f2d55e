"""A web page as its readers see it: structure from tags, with what is no content flagged, never dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.decode import Decoded, decode_html
from citewell.reading.faq import has_marks, paired
from citewell.reading.formats import HTML
from citewell.reading.html_looks import Look, Looks
from citewell.reading.html_page import characters, metadata_of, parse, shown
from citewell.reading.html_survey import Survey, survey
from citewell.reading.html_table import read_table
from citewell.reading.html_tags import BLOCKS, SKIPPED
from citewell.reading.images import Picture, embedded
from citewell.reading.limits import MAX_CELLS
from citewell.reading.links import moved
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Piece, compose
from citewell.reading.positions import Positions, line_starts
from citewell.types import BlockKind, Document, Place, Source

MAX_DEPTH: Final = 2000
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")
_MAX_LINE: Final = 65_000
_INVISIBLE: Final = " \n\t\xa0\u200b\u2060\ufeff"
_BR: Final = "\v"  # stands for <br> until white space has been collapsed; decoded text never holds it


class HtmlReader:
    """Reads HTML: headings, paragraphs, lists, tables, code, figures, definition lists, question/answer pairs.

    Navigation, page headers and footers, cookie banners and lists of links are blocks with `boilerplate`; where the
    page names its main part, all outside it is. Elements that are not shown are blocks with `hidden`. Nothing is
    fetched or run. Nesting above `max_depth` (at most 2048, the parser's own limit) is refused. `image` gives the
    image that a `src` names, and `sheet` the style sheet that an `href` does, where the page comes with them.
    """

    identity = versions.HTML

    def __init__(
        self,
        *,
        max_depth: int = MAX_DEPTH,
        max_cells: int = MAX_CELLS,
        image: Callable[[str], Picture | None] | None = None,
        sheet: Callable[[str], str | None] | None = None,
    ) -> None:
        self._max_depth = max_depth
        self._max_cells = max_cells
        self._image = image
        self._sheet = sheet

    @without_collector
    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded."""
        decoded = decode_html(source.content)
        root = parse(decoded.text)
        if root is None:
            raise ReadError("no_text", "The page holds no visible text: nothing of it could be found or quoted.")
        metadata, warnings = document_metadata({**metadata_of(root), "encoding": decoded.encoding})
        titles = [title for title in (" ".join((el.text or "").split()) for el in root.iter("title")) if title]
        walk = _Walk(
            survey(root, self._max_depth), Looks(root, self._sheet), self._max_cells, judge=True, image=self._image
        )
        walk.run(root)
        _put(walk.pieces, decoded, source.content)
        found = characters(root) + sum(shown(p.text) for p in walk.pieces if p.kind is BlockKind.FIGURE)
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
            found=found,
        )


def fragment_pieces(
    markup: str,
    max_cells: int,
    *,
    aside: Callable[[Any], bool] | None = None,
    image: Callable[[str], Picture | None] | None = None,
    sheet: Callable[[str], str | None] | None = None,
    part: str = "",
) -> list[Piece]:
    """The pieces of some HTML inside another document; hidden parts are flagged.

    Boilerplate are the elements that `aside` says to be so, and no others. `image` gives the image that a `src`
    names, and `sheet` the style sheet that an `href` does, where the document around it holds them. Places are lines
    of `part`. Raises ReadError limit_exceeded.
    """
    root = parse(markup)
    if root is None:
        return []
    walk = _Walk(survey(root, MAX_DEPTH), Looks(root, sheet), max_cells, judge=False, aside=aside, image=image)
    walk.run(root)
    line = 0
    for piece in walk.pieces:
        assert piece.source is not None
        line = max(line, piece.source.start)
        piece.source = Place(line, line + 1, "lines", part)
    return walk.pieces


def _put(pieces: Sequence[Piece], decoded: Decoded, content: bytes) -> None:
    """Make of the line on which each piece starts the bytes of all lines up to where the next one does."""
    starts = line_starts(decoded.text)
    last = len(starts) - 2
    firsts, line = [], 0
    for piece in pieces:
        assert piece.source is not None
        line = max(line, min(piece.source.start, last))
        firsts.append(line)
    spans, after, line = [], last, last
    for first in reversed(firsts):
        if first < line:
            # libxml2 counts lines up to 65,535 and stays there.
            after, line = line if line < _MAX_LINE else last, first
        spans.append((starts[first], max(starts[after + 1] - 1, starts[first])))
    spans.reverse()
    lines = sorted({offset for span in spans for offset in span})
    made = dict(
        zip(lines, Positions(content, decoded).places(list(pairwise([*lines, len(decoded.text)]))), strict=True)
    )
    for piece, (start, end) in zip(pieces, spans, strict=True):
        begin, until = made[start], made[end]
        piece.source = Place(begin.start, until.start + (begin.unit == "lines"), begin.unit)


def _aside(piece: Piece) -> bool:
    return piece.boilerplate or piece.hidden


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
    line: int = 0
    href: tuple[int, str] | None = None
    look: Look = field(default_factory=Look)


class _Walk:
    """One pass over the elements of a page, without recursion: text gathers until a block begins or ends."""

    def __init__(
        self,
        found: Survey,
        looks: Looks,
        max_cells: int,
        *,
        judge: bool,
        aside: Callable[[Any], bool] | None = None,
        image: Callable[[str], Picture | None] | None = None,
    ) -> None:
        self.pieces: list[Piece] = []
        self._survey = found
        self._looks = looks
        self._max_cells = max_cells
        self._judge = judge
        self._aside = aside
        self._image = image
        self._frames: list[_Frame] = [_Frame(main=found.main is None, look=looks.first)]
        self._texts: dict[tuple[bool, bool], list[str]] = {}
        self._sizes: dict[tuple[bool, bool], int] = {}
        self._links: dict[tuple[bool, bool], list[tuple[int, int, str]]] = {}
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
        look = self._looks.of(element, tag, above.look)
        frame = _Frame(
            above.kind,
            above.level,
            above.boilerplate,
            look.hidden,
            above.main or index == self._survey.main,
            above.sectioned or tag in ("main", "article"),
            above.pre,
            above.item,
            len(self.pieces),
            max(above.line, (element.sourceline or 1) - 1),
            look=look,
        )
        if self._judge and not above.boilerplate:
            frame.boilerplate = self._survey.is_boilerplate(element, tag, index, sectioned=frame.sectioned)
        elif self._aside is not None and not above.boilerplate:
            frame.boilerplate = self._aside(element)
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
            case "a" if element.get("href"):
                frame.href = self._length(), element.get("href")
            case "br":
                self._put(_BR)
            case "img" | "area":
                flags = frame.boilerplate or not frame.main
                alt = " ".join((element.get("alt") or "").split())
                src = element.get("src") or ""
                asset = embedded(src) or (self._image(src) if self._image is not None else None)
                if alt or asset:
                    self._figures.append(
                        Piece(
                            BlockKind.FIGURE,
                            alt,
                            boilerplate=flags,
                            hidden=frame.hidden,
                            asset=asset,
                            source=Place(frame.line, frame.line, "lines"),
                        )
                    )
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
            case "a" if frame.href is not None:
                start, target = frame.href
                if (end := self._length()) > start:  # a block in it has taken its text away
                    key = (frame.hidden, frame.boilerplate)
                    self._links.setdefault(key, []).append((start, end, target))
            case _:
                pass
        self._frames.pop()

    def _text(self, text: str | None) -> None:
        if text:
            self._put(text if self._frames[-1].pre else _SPACE.sub(" ", text))

    def _put(self, text: str) -> None:
        frame = self._frames[-1]
        key = (frame.hidden, frame.boilerplate)
        self._texts.setdefault(key, []).append(text)
        self._sizes[key] = self._sizes.get(key, 0) + len(text)

    def _length(self) -> int:
        frame = self._frames[-1]
        return self._sizes.get((frame.hidden, frame.boilerplate), 0)

    def _flush(self) -> None:
        if self._texts:
            frame = self._frames[-1]
            for (hidden, boilerplate), parts in self._texts.items():
                raw = text = "".join(parts)
                if frame.pre:
                    text = text.replace(_BR, "\n")
                elif _BR in text:
                    text = "\n".join(_SPACE.sub(" ", line).strip() for line in text.split(_BR)).strip()
                else:
                    text = _SPACE.sub(" ", text).strip()
                text = text.strip("\u200b\ufeff") if frame.pre else text.strip(_INVISIBLE)
                if text and not text.isspace():
                    links = self._links.get((hidden, boilerplate), ())
                    self._add(frame, text, hidden, boilerplate, moved(links, raw, text) if links else [])
            self._texts.clear()
            self._sizes.clear()
            self._links.clear()
        if self._figures:
            self.pieces.extend(self._figures)
            self._figures.clear()

    def _add(
        self, frame: _Frame, text: str, hidden: bool, boilerplate: bool, links: list[tuple[int, int, str]]
    ) -> None:
        boilerplate = boilerplate or self._is_outside(frame)
        line = Place(frame.line, frame.line, "lines")
        piece = Piece(frame.kind, text, frame.level, boilerplate=boilerplate, hidden=hidden, links=links, source=line)
        if frame.kind is BlockKind.LIST_ITEM:
            held = self._held[frame.item]
            if (
                held is not None
                and self.pieces[-1] is held
                and (held.hidden, held.boilerplate) == (hidden, boilerplate)
            ):
                after = len(held.text) + 1
                held.links = [*held.links, *((start + after, end + after, target) for start, end, target in links)]
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
        table, caption, unseen, figures = read_table(element, self._max_cells, self._looks, frame.look)
        boilerplate = frame.boilerplate or not frame.main
        line = Place(frame.line, frame.line, "lines")
        pieces = [Piece(BlockKind.TABLE, table=table, caption=caption, hidden=frame.hidden)]
        pieces += [Piece(BlockKind.FIGURE, alt, hidden=frame.hidden) for alt in figures]
        if unseen:
            pieces.append(Piece(BlockKind.PARAGRAPH, unseen, hidden=True))
        self.pieces += [replace(piece, boilerplate=boilerplate, source=line) for piece in pieces]

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
        links, at = [], 0
        for piece in answer:
            links += [(begin + at, end + at, target) for begin, end, target in piece.links]
            at += len(piece.text) + 1
        self.pieces[start:] = [
            Piece(
                BlockKind.FAQ,
                text,
                question=first.text,
                boilerplate=first.boilerplate,
                links=links,
                source=first.source,
            )
        ]

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
    # A heading over nothing but boilerplate (`Related articles`) belongs to that. `under` is the lowest level of a
    # heading that the content further down does not stand under.
    under, flagged = 0, False
    for piece in reversed(pieces):
        if piece.boilerplate:
            flagged = True
        elif piece.hidden:
            continue
        elif piece.kind is not BlockKind.HEADING:
            under, flagged = 7, False
        elif flagged and piece.level > 1 and piece.level >= under:
            piece.boilerplate = True
        else:
            under, flagged = piece.level, False
    return pieces
