"""Word documents are read from their XML: only there do merged cells, tracked deletions and hidden runs show.

kreuzberg's tree was measured beside it and loses what citations need: it returns hidden (`w:vanish`) text as text,
rewrites links as Markdown and has no merged cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.docx_lists import Numbering
from citewell.reading.docx_parts import Parts
from citewell.reading.docx_styles import Styles, outline, page_colour
from citewell.reading.docx_tables import read_table
from citewell.reading.docx_xml import FALLBACK, M, W, child_number, child_value, choice, is_on, name
from citewell.reading.formats import DOCX
from citewell.reading.limits import MAX_CELLS
from citewell.reading.links import moved
from citewell.reading.metadata import document_metadata
from citewell.reading.ocr import AUTO
from citewell.reading.office_parts import properties
from citewell.reading.omml import linear
from citewell.reading.package import Package
from citewell.reading.picture_text import read_pictures
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import grid
from citewell.reading.tidy import tidy, visible
from citewell.types import BlockKind, Document, Place, Reason, Source, count_characters

_DELETED = frozenset({"del", "moveFrom"})
_SYMBOLS = {"F0B7": "•", "F0A7": "▪", "F0D8": "➢", "F0FC": "✓", "F0E0": "→", "F0E8": "➔"}


class DocxReader:
    """Reads .docx and .docm bytes; macros are never looked at, nothing outside the file is fetched or written."""

    def __init__(self, *, max_cells: int = MAX_CELLS, ocr: str = AUTO) -> None:
        self._max_cells = max_cells
        self._ocr = ocr
        self.identity = versions.with_ocr(versions.DOCX, ocr)

    def read(self, source: Source) -> Document:
        """The document's headings, paragraphs, list items, tables, footnotes, headers and footers, in body order.

        There are no pages in the format, and none are invented. Raises ReadError: encrypted, corrupt, unsafe_content,
        limit_exceeded, type_mismatch or no_text.
        """
        package = Package.open(source.content)
        main = package.related("", "officeDocument") or ["word/document.xml"]
        body = package.xml(main[0])
        if body is None:
            raise ReadError("type_mismatch", "This is a ZIP file without a Word document inside.")
        walk = _Walk(package, main[0], self._max_cells)
        walk.body(body)
        found, title = properties(package)
        metadata, left_out = document_metadata(found)
        read_pictures(walk.builder, self._ocr)
        return walk.builder.document(
            source,
            reader=self.identity,
            media_type=DOCX,
            title=title or walk.title,
            metadata=metadata,
            warnings=(*walk.warnings(), *left_out),
            hidden_told=True,
            found=walk.found,
        )


@dataclass(slots=True)
class _Paragraph:
    """A paragraph before it becomes a block."""

    visible: str
    hidden: str
    kind: BlockKind
    level: int
    title: bool = False
    boxes: list[Any] = field(default_factory=list)
    links: list[tuple[int, int, str]] = field(default_factory=list)
    drawings: list[Any] = field(default_factory=list)
    place: Place | None = None


@dataclass(slots=True)
class _Text:
    """What a paragraph's runs say, and what else hangs on them."""

    visible: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    boxes: list[Any] = field(default_factory=list)
    links: list[tuple[int, int, str]] = field(default_factory=list)
    drawings: list[Any] = field(default_factory=list)


class _Walk:
    """One pass over the body; parts that belong to it (notes, headers, text boxes) are read where they are named.

    It calls itself for what is nested, which the XML parser allows to a depth of 256.
    """

    def __init__(self, package: Package, main: str, max_cells: int) -> None:
        self.builder = Builder(max_cells=max_cells)
        self._max_cells = max_cells
        self.title = ""
        self._package = package
        self._main = main
        self._styles = Styles(package, main)
        self._numbering = Numbering(package, main)
        self._parts = Parts(package, max_cells)
        self._notes = {kind: self._read_notes(kind) for kind in ("footnote", "endnote", "comment")}
        self._made = 0  # characters that stand in no part: numbers of list items, signs of other fonts
        self._cited: dict[tuple[str, str], None] = {}  # in the order of the text
        self._deleted = 0
        self._hidden = 0
        self._last_caption: int | None = None
        self._last_table: int | None = None

    @property
    def found(self) -> int:
        """Characters that stand in the parts that were read, with those that their numbering says."""
        return self._parts.characters + self._made

    def _read_notes(self, kind: str) -> dict[str, list[Any]]:
        """The paragraphs of the footnotes, endnotes or comments, by the note's id."""
        notes: dict[str, list[Any]] = {}
        for part in self._package.related(self._main, f"{kind}s"):
            root = self._package.xml(part)
            if root is None:
                continue
            self._parts.enter(part, root)
            for note in root.iter(f"{W}{kind}"):
                if note.get(f"{W}type") not in {"separator", "continuationSeparator", "continuationNotice"}:
                    notes[note.get(f"{W}id") or ""] = list(note.iter(f"{W}p"))
        return notes

    def warnings(self) -> Iterator[str]:
        if self._deleted:
            yield f"{self._deleted} tracked deletions were left out."
        if self._hidden:
            yield f"Passages of hidden text, marked as hidden: {self._hidden}."

    def body(self, root: Any) -> None:
        self._parts.enter(self._main, root)
        self._styles.page = page_colour(root)
        self._margins("header", BlockKind.HEADER)
        for element in root:
            if name(element) == "body":
                self._blocks(element)
        for kind, identity in list(self._cited):
            for paragraph in self._notes[kind].get(identity, ()):
                text = self._read(paragraph)
                place = self._parts.place(paragraph)
                self._hide("".join(text.hidden), place)
                raw = "".join(text.visible)
                said = tidy(raw, lines=True)
                links = moved(text.links, raw, said)
                self.builder.add(Piece(BlockKind.PARAGRAPH, said, path=(), links=links, source=place))
                self._show(text.drawings, place)
        self._margins("footer", BlockKind.FOOTER)

    def _margins(self, kind: str, block: BlockKind) -> None:
        seen: set[str] = set()
        for part in self._package.related(self._main, kind):
            root = self._package.xml(part)
            if root is None:
                continue
            self._parts.enter(part, root)
            for paragraph in root.iter(f"{W}p"):
                text = self._read(paragraph)
                place = self._parts.place(paragraph)
                self._hide("".join(text.hidden), place)
                line = tidy("".join(text.visible))
                if line and line not in seen:
                    seen.add(line)
                    self.builder.add(Piece(block, line, path=(), boilerplate=True, source=place))
                elif line:
                    self.builder.leave_out(Reason.DUPLICATE, characters=count_characters(line))
                self._show(text.drawings, place, boilerplate=True)

    def _blocks(self, parent: Any) -> None:
        for element in parent:
            kind = name(element)
            if kind == "p":
                self._paragraph(element)
            elif kind == "tbl":
                self._table(element)
            elif kind in {"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag", "txbxContent"}:
                self._blocks(element)
            elif kind == "AlternateContent":
                self._blocks(choice(element))
            elif kind in _DELETED:
                self._deleted += 1

    def _paragraph(self, element: Any) -> None:
        paragraph = self._understand(element)
        number = self._emit(paragraph)
        if number is not None:
            if paragraph.title and not self.title:
                self.title = tidy(paragraph.visible)
            if paragraph.kind is BlockKind.CAPTION:
                if self._last_table is not None and self.builder.blocks[self._last_table].caption is None:
                    self.builder.caption(self._last_table, number)
                    self._last_caption = None
                else:
                    self._last_caption = number
            else:
                self._last_caption = None
            self._last_table = None
        self._show(paragraph.drawings, paragraph.place)
        for box in paragraph.boxes:
            self._blocks(box)

    def _hide(self, text: str, place: Place | None) -> None:
        """Keep what cannot be seen as a block of its own."""
        if self.builder.add(Piece(BlockKind.PARAGRAPH, tidy(text), hidden=True, source=place)) is not None:
            self._hidden += 1

    def _show(self, drawings: list[Any], place: Place | None, *, boilerplate: bool = False) -> None:
        """Keep the images of drawings, each as a figure with its alternative text, their charts and embedded files."""
        for drawing in drawings:
            for alt, found, inside in self._parts.images(drawing):
                if found is None and inside:
                    self.builder.leave_out(Reason.UNREADABLE, images=1)
                self._made += count_characters(alt)
                self.builder.add(Piece(BlockKind.FIGURE, alt, asset=found, source=place, boilerplate=boilerplate))
            for piece in self._parts.charts(drawing):
                rows = piece.table.rows if piece.table is not None else ()
                cells = sum(count_characters(text) for row in rows for text in row if text)
                self._made += cells + count_characters(piece.text) + count_characters(piece.caption)
                self.builder.add(replace(piece, source=place, boilerplate=boilerplate))
            for named, content in self._parts.files(drawing):
                self.builder.attach(named, content)

    def _emit(self, paragraph: _Paragraph) -> int | None:
        self._hide(paragraph.hidden, paragraph.place)
        text = paragraph.visible if paragraph.kind is BlockKind.CODE else tidy(paragraph.visible, lines=True)
        links = moved(paragraph.links, paragraph.visible, text)
        return self.builder.add(Piece(paragraph.kind, text, paragraph.level, links=links, source=paragraph.place))

    def _understand(self, element: Any) -> _Paragraph:
        text = self._read(element)
        shown = "".join(text.visible)
        properties = element.find(f"{W}pPr")
        styles = list(self._styles.lineage(child_value(properties, "pStyle")))
        names = [style.name.lower() for style in styles]
        kind, level = BlockKind.PARAGRAPH, 0
        heading, title = outline(child_number(properties, "outlineLvl"), styles)
        hidden = any(style.hidden for style in styles)
        if hidden:
            text.hidden.append(shown)
            shown = ""
        if heading is not None and shown.strip():
            label = self._numbering.label(properties, styles)
            kind, level = BlockKind.HEADING, min(heading, 6)
            shown = self._labelled(text, label[0] if label else "", shown)
            if not self.title and heading == 1:
                self.title = tidy(shown)
        elif "caption" in names:
            kind = BlockKind.CAPTION
        elif any("code" in style.split() or style in {"html preformatted", "plain text"} for style in names):
            kind = BlockKind.CODE
        elif shown.strip() and (label := self._numbering.label(properties, styles)):
            kind, level = BlockKind.LIST_ITEM, label[1]
            shown = self._labelled(text, label[0], shown)
        elif not (shown.strip() or hidden or _is_mark_gone(properties)):
            self._numbering.label(properties, styles)  # Word numbers what is empty too
        return _Paragraph(
            shown,
            "".join(text.hidden),
            kind,
            level,
            title,
            text.boxes,
            text.links,
            text.drawings,
            self._parts.place(element),
        )

    def _labelled(self, text: _Text, label: str, shown: str) -> str:
        if not label:
            return shown
        self._made += count_characters(label)
        after = len(label) + 1
        text.links = [(start + after, end + after, target) for start, end, target in text.links]
        return f"{label} {shown}"

    def _read(self, paragraph: Any) -> _Text:
        text = _Text()
        self._runs(paragraph, text)
        return text

    def _runs(self, parent: Any, text: _Text) -> None:
        for element in parent:
            kind = name(element)
            if kind == "r":
                self._run(element, text)
            elif kind in _DELETED:
                self._deleted += 1
            elif kind == "AlternateContent":
                self._runs(choice(element), text)
            elif element.tag == f"{M}oMath":
                said = linear(element)
                stands = "".join(one.text or "" for one in element.iter(f"{M}t", f"{W}t"))
                self._made += count_characters(visible(said)) - count_characters(visible(stands))
                text.visible.append(said)
            elif kind == "hyperlink" and (target := self._parts.target(element, "id")) is not None:
                start = sum(map(len, text.visible))
                self._runs(element, text)
                text.links.append((start, sum(map(len, text.visible)), target.target))
            elif kind not in {"pPr", "rPr", "sdtPr", "sdtEndPr", "tcPr", "instrText"}:
                self._runs(element, text)

    def _run(self, run: Any, text: _Text) -> None:
        out = text.hidden if self._styles.hides(run) else text.visible
        for element in run:
            kind = name(element)
            if kind == "t":
                out.append(visible(element.text or ""))
            elif kind in {"tab", "ptab"}:
                out.append("\t")
            elif kind in {"br", "cr"}:
                out.append("\n")
            elif kind == "noBreakHyphen":
                out.append("-")
                self._made += 1
            elif kind == "sym":
                code = (element.get(f"{W}char") or "").upper()
                out.append(_SYMBOLS.get(code, ""))
                self._made += 1
            elif kind in {"footnoteReference", "endnoteReference", "commentReference"}:
                note, identity = kind.removesuffix("Reference"), element.get(f"{W}id") or ""
                if identity in self._notes[note]:
                    self._cited[note, identity] = None
            elif kind in {"drawing", "pict", "object", "AlternateContent"}:
                holder = choice(element) if kind == "AlternateContent" else element
                text.drawings.append(element)
                text.boxes += [box for box in holder.iter(f"{W}txbxContent") if not _inside(box, holder)]
            elif kind == "ruby":
                base = element.find(f"{W}rubyBase")
                if base is not None:
                    self._runs(base, text)

    def _table(self, table: Any) -> None:
        nested: list[Any] = []
        hidden: list[str] = []
        drawings: list[Any] = []
        cells, deleted = read_table(table, lambda cell: self._cell(cell, nested, hidden, drawings))
        self._deleted += deleted
        place = self._parts.place(table)
        number = self.builder.add(Piece(BlockKind.TABLE, table=grid(cells, self._max_cells), source=place))
        if number is not None:
            if self._last_caption is not None:
                self.builder.caption(number, self._last_caption)
            self._last_table, self._last_caption = number, None
        for text in hidden:
            self._hide(text, place)
        self._show(drawings, place)
        for inner in nested:
            # A table in a cell follows its outer table: rows stay lines, and no text is lost.
            self._table(inner)

    def _cell(self, cell: Any, nested: list[Any], hidden: list[str], drawings: list[Any]) -> str:
        """The visible text; tables in it go to `nested`, what cannot be seen to `hidden`, images to `drawings`."""
        parts: list[str] = []

        def visit(parent: Any) -> None:
            for element in parent:
                kind = name(element)
                if kind == "p":
                    paragraph = self._understand(element)
                    hidden.append(paragraph.hidden)
                    parts.append(paragraph.visible)
                    drawings.extend(paragraph.drawings)
                    for box in paragraph.boxes:
                        visit(box)
                elif kind == "tbl":
                    nested.append(element)
                elif kind in _DELETED:
                    self._deleted += 1
                elif kind == "AlternateContent":
                    visit(choice(element))
                elif kind != "tcPr":
                    visit(element)

        visit(cell)
        return tidy(" ".join(parts))


def _is_mark_gone(properties: Any) -> bool:
    """Whether a paragraph's own mark is hidden, deleted or moved away, and the paragraph with it."""
    mark = properties.find(f"{W}rPr") if properties is not None else None
    return mark is not None and (is_on(mark, "vanish") or any(name(one) in _DELETED for one in mark))


def _inside(box: Any, holder: Any) -> bool:
    """Whether `box` stands inside another text box, or in a rendering that was not chosen."""
    parent = box.getparent()
    while parent is not None and parent is not holder:
        if name(parent) == "txbxContent" or parent.tag == FALLBACK:
            return True
        parent = parent.getparent()
    return False
