"""OpenDocument texts and presentations: own walk over their XML, nothing laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.formats import ODP, ODT
from citewell.reading.gaps import fill_places
from citewell.reading.images import picture
from citewell.reading.limits import MAX_CELLS
from citewell.reading.metadata import document_metadata
from citewell.reading.ocr import AUTO
from citewell.reading.odf_flat import open_odf
from citewell.reading.odf_styles import TEXT, Look, Styles
from citewell.reading.package import Package
from citewell.reading.picture_text import read_pictures
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import CellText, Places, grid
from citewell.reading.xml_tree import attribute, local
from citewell.types import BlockKind, Document, Place, Reason, Region, Source, Value, count_characters

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_XLINK: Final = "{http://www.w3.org/1999/xlink}"
_NUMBER: Final = "{citewell}number"
_MAX_REPEAT: Final = 1000
_SPACE: Final = re.compile(r"[ \t\n\r]+")
# Fields whose text is not part of what the page shows, or that a reader sees as a comment.
_UNSHOWN: Final = frozenset({"tracked-changes", "sequence-decls", "variable-decls", "user-field-decls", "forms", "desc",
                             "title", "event-listeners", "glue-point", "dde-connection-decls",
                             "note-citation"})  # fmt: skip
_INDEXES: Final = frozenset({"table-of-content", "illustration-index", "table-index", "alphabetical-index",
                             "object-index", "user-index", "bibliography"})  # fmt: skip
_META: Final = {"creator": "author", "initial-creator": "creator", "date": "modified", "creation-date": "created",
                "language": "language", "subject": "subject", "description": "description"}  # fmt: skip


class OdfReader:
    """Reads OpenDocument texts and presentations: headings with levels, lists, tables, notes, text boxes, images.

    Hidden text is flagged, tables of contents, page headers and footers are boilerplate, tracked deletions and
    comments are left out and counted. Slides are pages; what the speaker notes say follows each.
    """

    def __init__(self, *, max_cells: int = MAX_CELLS, ocr: str = AUTO) -> None:
        self._max_cells = max_cells
        self._ocr = ocr
        self.identity = versions.with_ocr(versions.ODF, ocr)

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, encrypted, no_text, limit_exceeded, unsafe_content."""
        package = open_odf(source.content)
        manifest = package.part("META-INF/manifest.xml") or b""
        if b"encryption-data" in manifest:
            raise ReadError("encrypted", "The document is protected by a password. Save it without one.")
        content = package.xml("content.xml")
        body = content.find(f"{_OFFICE}body") if content is not None else None
        if body is None or not len(body):
            raise ReadError("corrupt", "The document has no content part. Save it again.")
        styles = Styles()
        looks = package.xml("styles.xml")
        for root in (looks, content):
            if root is not None:
                styles.learn(root)
        walk = _Walk(package, styles, Builder(max_cells=self._max_cells), self._max_cells)
        kind = ODP if local(body[0]) == "presentation" else ODT
        metadata, warnings = document_metadata(_metadata(package))
        if looks is not None and kind == ODT:
            walk.margins(looks, "header", BlockKind.HEADER)
        walk.part = "content.xml"
        for number, element in enumerate(body.iter(f"{TEXT}p", f"{TEXT}h")):
            element.set(_NUMBER, str(number))
        walk.body(body[0])
        if looks is not None and kind == ODT:
            walk.margins(looks, "footer", BlockKind.FOOTER)
        fill_places(walk.pieces, Place(0, 1, "elements", "content.xml"))
        for piece in walk.pieces:
            walk.builder.add(piece)
        read_pictures(walk.builder, self._ocr)
        title = metadata.pop("title", "")
        return walk.builder.document(
            source,
            reader=self.identity,
            media_type=kind,
            title=str(title) or walk.title,
            metadata=metadata,
            pages=walk.slides or None,
            warnings=[*walk.warnings(), *warnings],
        )


@dataclass(slots=True)
class _Run:
    """The text of a paragraph as it is read: shown and hidden apart, with links and what is anchored in it."""

    shown: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    links: list[tuple[int, int, str]] = field(default_factory=list)
    anchored: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    def put(self, text: str, hidden: bool) -> None:
        (self.hidden if hidden else self.shown).append(text)

    def length(self) -> int:
        return sum(map(len, self.shown))


class _Walk:
    """One pass over a body, in reading order. The parser refuses nesting over 255 deep, so calls nest no deeper."""

    def __init__(self, package: Package, styles: Styles, builder: Builder, max_cells: int) -> None:
        self.builder = builder
        self.pieces: list[Piece] = []
        self.title = ""
        self.part = ""
        self.slides = 0
        self._package = package
        self._styles = styles
        self._max_cells = max_cells
        self._deleted = 0
        self._comments = 0
        self._hidden = 0  # how many enclosing sections are not shown
        self._boilerplate = 0
        self._items: list[Piece | None] = []  # one entry an open list item: the piece its next paragraph continues
        self._ground = styles.page
        self._path: tuple[str, ...] | None = None
        self._kind = BlockKind.PARAGRAPH

    def warnings(self) -> Iterator[str]:
        if self._deleted:
            yield f"{self._deleted} tracked deletions were left out."
        if self._comments:
            yield f"{self._comments} comments were left out."

    def margins(self, looks: Any, which: str, kind: BlockKind) -> None:
        """Add page headers or footers, each text once."""
        said: set[str] = set()
        self.part, self._kind, self._path = "styles.xml", kind, ()
        self._boilerplate += 1
        for element in looks.iter():
            if local(element) in (which, f"{which}-left", f"{which}-first") and element.tag.startswith("{urn:oasis"):
                text = " ".join("".join(element.itertext()).split())
                if text and text not in said:
                    said.add(text)
                    self.body(element)
        self._boilerplate -= 1
        self._kind, self._path = BlockKind.PARAGRAPH, None

    def body(self, parent: Any) -> None:
        """Add what stands in `parent`, block by block."""
        for element in parent:
            name = local(element)
            match name:
                case "p" | "h":
                    self._paragraph(element, name)
                case "list":
                    self._list(element)
                case "table" if element.tag.startswith(_TABLE):
                    self._table(element)
                case "section":
                    unseen = attribute(element, "display") == "none"
                    self._hidden += unseen
                    self.body(element)
                    self._hidden -= unseen
                case "page" if element.tag.startswith(_DRAW):
                    self._slide(element)
                case "tracked-changes":
                    self._changes(element)
                case _ if name in _INDEXES:
                    self._boilerplate += 1
                    self.body(element)
                    self._boilerplate -= 1
                case "frame":
                    self._frame(element)
                case "annotation" | "annotation-end":
                    self._comment(element)
                case "":
                    pass
                case _ if name not in _UNSHOWN:
                    with self._standing_on(element):
                        self.body(element)
                case _:
                    pass

    def _slide(self, page: Any) -> None:
        self.slides += 1
        notes = page.find("{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}notes")
        if notes is not None:
            page.remove(notes)
        before = len(self.pieces)
        style = attribute(page, "style-name")
        unseen = self._styles.says("drawing-page", style, "visibility") == "hidden"
        self._hidden += unseen
        ground = self._ground
        self._ground = self._styles.fill("drawing-page", style, self._styles.slide(attribute(page, "master-page-name")))
        if any(local(one) not in ("frame", "notes") or one.find(f"{_DRAW}image") is not None for one in page):
            self._ground = None  # a text may stand on what is drawn before it
        frames = sorted(page, key=lambda frame: attribute(frame, "class") != "title")
        for frame in frames:
            if attribute(frame, "class") == "title":
                with self._standing_on(frame):
                    text = " ".join(self._texts(frame))
                if text:
                    self._add(Piece(BlockKind.HEADING, text, 1))
            elif local(frame) == "frame":
                self._frame(frame)
            else:
                self.body([frame])
        if notes is not None:
            self.body([one for one in notes if attribute(one, "class") not in ("page-number", "header", "footer")])
        self._ground = ground
        self._hidden -= unseen
        if unseen:
            self.builder.leave_out(Reason.HIDDEN, pages=1)
        elif len(self.pieces) == before:
            self.builder.leave_out(Reason.TOO_SMALL, pages=1)

    def _frame(self, frame: Any) -> None:
        alt = " ".join(
            " ".join((one.text or "").split()) for one in frame if local(one) in ("title", "desc") and one.text
        )
        for inner in frame:
            match local(inner):
                case "image":
                    self._image(inner, alt)
                    return  # what follows are renderings of the same thing
                case "text-box":
                    items, self._items = self._items, []
                    with self._standing_on(frame):
                        self.body(inner)
                    self._items = items
                case "table":
                    self._table(inner)
                    return
                case "object":
                    self._object(inner, alt)
                    return
                case _:
                    pass

    def _image(self, image: Any, alt: str) -> None:
        href = (image.get(f"{_XLINK}href") or "").removeprefix("./")
        content = self._package.part(href) if href and "://" not in href else None
        shown = picture(content, name=href) if content else None
        if content and shown is None:
            self.builder.leave_out(Reason.UNREADABLE, images=1)
        if alt or shown is not None:
            self._add(Piece(BlockKind.FIGURE, alt, asset=shown))

    def _object(self, inner: Any, alt: str) -> None:
        """A formula by its text, a chart or sheet by its tables, anything else by its alternative text."""
        href = (inner.get(f"{_XLINK}href") or "").removeprefix("./").rstrip("/")
        root = self._package.xml(f"{href}/content.xml") if href and "://" not in href else None
        if root is not None and local(root) == "math":
            note = next((one.text for one in root.iter() if local(one) == "annotation" and one.text), "")
            alt = " ".join((note or " ".join(root.itertext())).split())
        elif root is not None:
            tables = list(root.iter(f"{_TABLE}table"))
            for table in tables[:5]:
                self._table(table)
            if tables:
                return
        if alt:
            self._add(Piece(BlockKind.FIGURE, alt))

    def _list(self, element: Any) -> None:
        for item in element:
            if local(item) in ("list-item", "list-header"):
                self._items.append(None)
                self.body(item)
                self._items.pop()

    def _paragraph(self, element: Any, name: str) -> None:
        style = attribute(element, "style-name")
        run = self._run(element, style)
        text, unseen = "".join(run.shown), "".join(run.hidden)
        level = attribute(element, "outline-level")
        depth = int(level) if level.isdigit() else self._styles.level(style)
        if name == "h" or (depth and not self._items):
            kind, depth = BlockKind.HEADING, min(max(depth, 1), 6)
        elif self._styles.is_called(style, "Title") and not self._items:
            kind, depth = BlockKind.HEADING, 1
            self.title = self.title or " ".join(text.split())
        elif self._items:
            kind, depth = BlockKind.LIST_ITEM, len(self._items) - 1
        elif self._styles.is_called(style, "Caption"):
            kind = BlockKind.CAPTION
        elif self._styles.is_called(style, "Preformatted Text") or self._styles.is_called(
            style, "Preformatted_20_Text"
        ):
            kind = BlockKind.CODE
        else:
            kind = self._kind
        number = element.get(_NUMBER)
        place = Place(int(number), int(number) + 1, "paragraphs", self.part) if number else None
        held = self._items[-1] if self._items else None
        if text.strip():
            if kind is BlockKind.LIST_ITEM and held is not None and self.pieces[-1] is held:
                at = len(held.text) + 1
                held.text += f"\n{text}"
                held.links = [*held.links, *((start + at, end + at, target) for start, end, target in run.links)]
            else:
                piece = Piece(kind, text, depth, links=run.links, source=place)
                if kind is BlockKind.LIST_ITEM:
                    self._items[-1] = piece
                self._add(piece)
        if unseen.strip():
            self._hidden += 1
            self._add(Piece(self._kind, unseen, source=place))
            self._hidden -= 1
        for anchored in run.anchored:
            self._frame(anchored) if local(anchored) == "frame" else self.body([anchored])
        for note in run.notes:
            self._note(note)

    def _note(self, note: Any) -> None:
        mark = next(("".join(one.itertext()).strip() for one in note if local(one) == "note-citation"), "")
        body = next((one for one in note if local(one) == "note-body"), None)
        if body is not None:
            text = "\n".join(filter(None, self._texts(body)))
            path, self._path = self._path, ()
            self._add(Piece(BlockKind.PARAGRAPH, f"[{mark}] {text}" if mark and text else text))
            self._path = path

    def _texts(self, parent: Any) -> list[str]:
        """The shown text of each paragraph under `parent`, on one line; what is hidden of it is counted."""
        texts: list[str] = []
        for one in parent.iter(f"{TEXT}p", f"{TEXT}h"):
            run = self._run(one, attribute(one, "style-name"))
            texts.append(" ".join("".join(run.shown).split()))
            if unseen := count_characters("".join(run.hidden)):
                self.builder.leave_out(Reason.HIDDEN, characters=unseen)
        return texts

    @contextmanager
    def _standing_on(self, element: Any) -> Iterator[None]:
        """While what stands in a shape, cell or slide is read: text in it is seen against its own ground."""
        before = self._ground
        name = local(element)
        for family in (name,) if name in ("table", "table-row", "table-cell") else ("graphic", "presentation"):
            name = _styled(element, family)
            self._ground = self._styles.fill(family, name, self._ground) if name else self._ground
        yield
        self._ground = before

    def _run(self, paragraph: Any, style: str) -> _Run:
        run = _Run()
        self._inline(paragraph, run, self._styles.look("paragraph", style, self._styles.first(self._ground)))
        return run

    def _inline(self, parent: Any, run: _Run, look: Look) -> None:
        hidden = look.hidden
        if parent.text:
            run.put(_spaced(parent.text), hidden)
        for element in parent:
            name = local(element)
            match name:
                case "span":
                    self._inline(element, run, self._styles.look("text", attribute(element, "style-name"), look))
                case "a":
                    start = run.length()
                    self._inline(element, run, self._styles.look("text", attribute(element, "style-name"), look))
                    if not hidden and run.length() > start:
                        run.links.append((start, run.length(), element.get(f"{_XLINK}href") or ""))
                case "s":
                    count = attribute(element, "c")
                    run.put(" " * (min(int(count), 100) if count.isdigit() else 1), hidden)
                case "tab":
                    run.put("\t", hidden)
                case "line-break":
                    run.put("\n", hidden)
                case "note":
                    mark = next(
                        ("".join(one.itertext()).strip() for one in element if local(one) == "note-citation"), ""
                    )
                    run.put(f"[{mark}]" if mark else "", hidden)
                    run.notes.append(element)
                case "annotation":
                    self._comment(element)
                case "hidden-text" | "hidden-paragraph":
                    run.put(attribute(element, "string-value") or "".join(element.itertext()), True)
                case "frame" | "rect" | "custom-shape" | "g" | "ellipse" | "polygon":
                    run.anchored.append(element)
                case "ruby-text":
                    run.put(f"({''.join(element.itertext())})", hidden)
                case "":
                    pass
                case _ if name not in _UNSHOWN:
                    self._inline(element, run, look)
                case _:
                    pass
            if element.tail:
                run.put(_spaced(element.tail), hidden)

    def _table(self, table: Any) -> None:
        rows: list[tuple[Any, bool]] = []

        def collect(parent: Any, header: bool) -> None:
            for element in parent:
                name = local(element)
                if name == "table-row":
                    again = _repeated(element, "number-rows-repeated")
                    filled = any(local(cell) == "table-cell" and len(cell) for cell in element)
                    rows.extend([(element, header)] * (again if filled else 1))
                elif name in ("table-header-rows", "table-rows", "table-row-group"):
                    collect(element, header or name == "table-header-rows")

        collect(table, False)
        places = Places(len(rows), self._max_cells)
        cells: list[CellText] = []
        after: list[Any] = []
        for number, (row, header) in enumerate(rows):
            for cell in row:
                if local(cell) != "table-cell":
                    continue  # covered ones follow from the spans
                down, across = (_repeated(cell, f"number-{way}-spanned") for way in ("rows", "columns"))
                with self._standing_on(table), self._standing_on(row), self._standing_on(cell):
                    text = "\n".join(filter(None, self._texts(cell)))
                for _ in range(_repeated(cell, "number-columns-repeated") if text else 1):
                    column, reach = places.take(number, down, across)
                    cells.append(CellText(number, column, text, header, reach, across))
                if not text:
                    for _ in range(_repeated(cell, "number-columns-repeated") - 1):
                        places.take(number, 1, 1)
                after.extend(frame for frame in cell.iter(f"{_DRAW}frame"))
        numbers = [int(one.get(_NUMBER)) for one in table.iter(f"{TEXT}p", f"{TEXT}h") if one.get(_NUMBER)]
        place = Place(numbers[0], numbers[-1] + 1, "paragraphs", self.part) if numbers else None
        self._add(Piece(BlockKind.TABLE, table=grid(cells, self._max_cells), source=place))
        for frame in after:
            self._frame(frame)

    def _changes(self, element: Any) -> None:
        for deletion in element.iter(f"{TEXT}deletion"):
            self._deleted += 1
            said = "".join("".join(one.itertext()) for one in deletion.iter(f"{TEXT}p", f"{TEXT}h"))
            self.builder.leave_out(Reason.HIDDEN, characters=count_characters(said))

    def _comment(self, element: Any) -> None:
        if local(element) == "annotation":
            self._comments += 1
            said = "".join("".join(one.itertext()) for one in element.iter(f"{TEXT}p"))
            self.builder.leave_out(Reason.HIDDEN, characters=count_characters(said))

    def _add(self, piece: Piece) -> None:
        piece.hidden = piece.hidden or self._hidden > 0
        piece.boilerplate = piece.boilerplate or self._boilerplate > 0
        if piece.path is None:
            piece.path = self._path
        if self.slides:
            piece.regions = (Region(self.slides),)
        self.pieces.append(piece)


def _metadata(package: Package) -> dict[str, Value]:
    found: dict[str, Value] = {}
    words: list[str] = []
    try:
        root = package.xml("meta.xml")
    except ReadError as error:
        if error.kind != "corrupt":
            raise
        return found
    for element in root.iter() if root is not None else ():
        text = " ".join((element.text or "").split())
        name = local(element)
        if name == "title" and text:
            found.setdefault("title", text)
        elif name == "keyword" and text:
            words.append(text)
        elif name in _META and text:
            found.setdefault(_META[name], text)
    if words:
        found["keywords"] = tuple(words)
    return found


def _styled(element: Any, family: str) -> str:
    """The name of an element's style of a family."""
    prefix = {"graphic": "drawing", "table-cell": "table", "table-row": "table"}.get(family, family)
    return element.get(f"{{urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0}}style-name") or ""


def _spaced(text: str) -> str:
    # White space of the XML is one space, as in HTML; the elements s, tab and line-break say where there is more.
    return _SPACE.sub(" ", text)


def _repeated(element: Any, name: str) -> int:
    value = element.get(f"{_TABLE}{name}") or ""
    return min(max(int(value), 1), _MAX_REPEAT) if value.isdigit() and len(value) < 8 else 1
