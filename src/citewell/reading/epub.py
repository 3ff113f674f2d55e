"""EPUB books: the chapters in the order of the spine, under the headings of the table of contents."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import decode_html
from citewell.reading.formats import EPUB
from citewell.reading.html import fragment_pieces
from citewell.reading.images import Picture, picture
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.package import Package
from citewell.reading.pieces import Builder, Piece
from citewell.reading.xml_tree import attribute, local, parse_xml
from citewell.types import BlockKind, Document, Reason, Source, Value

_MAX_CHAPTERS: Final = 5000
_PAGES: Final = (".xhtml", ".html", ".htm", ".xml")
# XHTML may close any element in itself; to HTML that is an open one, and what follows would be its content.
_EMPTY: Final = re.compile(
    r"<((?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)[\w:-]+)((?:\s[^<>]*)?)/>"
)
_FONTS: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_DC: Final = {"creator": "author", "date": "date", "language": "language", "publisher": "publisher",
              "description": "description", "identifier": "identifier", "rights": "rights",
              "subject": "subjects"}  # fmt: skip


@dataclass(slots=True)
class _Book:
    """What the package file says: chapters in reading order, what the book says of itself, its table of contents."""

    chapters: list[str] = field(default_factory=list)
    title: str = ""
    metadata: dict[str, Value] = field(default_factory=dict)
    contents: str = ""  # the part that holds the table of contents
    is_ncx: bool = False
    warnings: list[str] = field(default_factory=list)


class EpubReader:
    """Reads EPUB 2 and 3. Each chapter reads as HTML does; the table of contents gives the levels of its headings.

    A chapter without a heading of its own stands under its title in the table of contents, which itself is
    boilerplate where it is a page of the book. Images are kept; nothing outside the book is looked at.
    """

    identity = versions.EPUB

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, encrypted, limit_exceeded, unsafe_content."""
        package = Package.open(source.content)
        book = _book(package)
        if _locked(package).intersection(book.chapters):
            raise ReadError("encrypted", "The book is protected against reading (DRM). Use a copy without protection.")
        contents = _contents(package, book)
        builder = Builder(max_cells=self._max_cells)
        for name in book.chapters:
            for piece in self._chapter(package, name, contents.get(name), book, builder):
                piece.boilerplate = piece.boilerplate or name == book.contents
                builder.add(piece)
        metadata, warnings = document_metadata(book.metadata)
        return builder.document(
            source,
            reader=self.identity,
            media_type=EPUB,
            title=book.title,
            metadata=metadata,
            warnings=[*book.warnings, *warnings],
        )

    def _chapter(
        self, package: Package, name: str, entry: tuple[int, str] | None, book: _Book, builder: Builder
    ) -> list[Piece]:
        content = package.part(name)
        if content is None:
            book.warnings.append(f"The chapter {name} is not in the file.")
            return []

        def image(src: str) -> Picture | None:
            where = _joined(name, src)
            found = package.part(where) if where else None
            shown = picture(found, name=where) if found else None
            if found and shown is None:
                builder.leave_out(Reason.UNREADABLE, images=1)
            return shown

        def sheet(href: str) -> str | None:
            where = _joined(name, href)
            found = package.part(where) if where else None
            return found.decode("utf-8", "replace") if found is not None else None

        try:
            decoded = decode_html(content)
            markup = _EMPTY.sub(r"<\1\2></\1>", decoded.text)
            pieces = fragment_pieces(markup, self._max_cells, image=image, sheet=sheet, part=name)
        except ReadError as error:
            if error.kind not in ("corrupt", "no_text"):
                raise
            book.warnings.append(f"The chapter {name} could not be read: {error}")
            return []
        book.warnings.extend(decoded.warnings)
        headings = [piece for piece in pieces if piece.kind is BlockKind.HEADING and not piece.hidden]
        if entry is not None:
            depth, title = entry
            if headings:
                shift = depth - headings[0].level
                for piece in headings:
                    piece.level = min(max(piece.level + shift, 1), 6)
            elif pieces:
                pieces.insert(0, Piece(BlockKind.HEADING, title, depth, source=pieces[0].source))
        return pieces


def _book(package: Package) -> _Book:
    book = _Book()
    opf = _package_file(package)
    root = _tree(package, opf, book) if opf else None
    if root is not None:
        _describe(root, book)
        _spine(root, opf, package, book)
    if not book.chapters:
        book.warnings.append("The book names no order of its chapters: they are read in the order of their names.")
        book.chapters = sorted(name for name in package.names() if name.endswith(_PAGES[:3]))
    if len(book.chapters) > _MAX_CHAPTERS:
        raise over("The book", len(book.chapters), "chapters", _MAX_CHAPTERS)
    return book


def _tree(package: Package, name: str, book: _Book) -> Any:
    content = package.part(name)
    if content is None:
        return None
    try:
        return parse_xml(content, f"Its part {name}")
    except ReadError as error:
        if error.kind != "corrupt":
            raise
        book.warnings.append(str(error))
        return None


def _package_file(package: Package) -> str:
    content = package.part("META-INF/container.xml")
    if content is not None:
        try:
            for element in parse_xml(content, "Its part META-INF/container.xml").iter():
                if local(element) == "rootfile" and (path := element.get("full-path")):
                    return unquote(path).lstrip("/")
        except ReadError as error:
            if error.kind != "corrupt":
                raise
    return next((name for name in package.names() if name.endswith(".opf")), "")


def _describe(root: Any, book: _Book) -> None:
    found: dict[str, list[str]] = {}
    for element in root.iter():
        if "purl.org/dc/" in (element.tag if isinstance(element.tag, str) else ""):
            if text := " ".join("".join(element.itertext()).split()):
                found.setdefault(local(element), []).append(text)
        elif local(element) == "meta" and element.get("property") == "dcterms:modified":
            book.metadata["modified"] = (element.text or "").strip()
    book.title = found.get("title", [""])[0]
    for name, key in _DC.items():
        if values := found.get(name):
            book.metadata[key] = tuple(values) if key == "subjects" else ", ".join(values[:5])


def _spine(root: Any, opf: str, package: Package, book: _Book) -> None:
    items: dict[str, tuple[str, str, str]] = {}
    order: list[str] = []
    toc = ""
    for element in root.iter():
        match local(element):
            case "item":
                where = _joined(opf, element.get("href") or "")
                items[element.get("id") or ""] = where, element.get("media-type") or "", element.get("properties") or ""
            case "itemref":
                order.append(element.get("idref") or "")
            case "spine":
                toc = element.get("toc") or ""
            case _:
                pass
    for identity in dict.fromkeys(order):
        if identity in items:
            where, kind, _ = items[identity]
            if not kind.startswith("image/") or where.endswith(_PAGES):
                book.chapters.append(where)
    for where, kind, properties in items.values():
        if "nav" in properties.split():
            book.contents, book.is_ncx = where, False
            return
        if kind == "application/x-dtbncx+xml" and not book.contents:
            book.contents, book.is_ncx = where, True
    if toc in items:
        book.contents, book.is_ncx = items[toc][0], True


def _contents(package: Package, book: _Book) -> dict[str, tuple[int, str]]:
    """Of each chapter the level and title that the table of contents gives it: its first entry, from 1."""
    found: dict[str, tuple[int, str]] = {}
    root = _tree(package, book.contents, book) if book.contents else None
    if root is None:
        return found
    for depth, title, href in _entries(root, book.is_ncx):
        where = _joined(book.contents, href)
        if title and where not in found:
            found[where] = min(depth, 6), title
    return found


def _entries(root: Any, is_ncx: bool) -> Iterator[tuple[int, str, str]]:
    from lxml import etree

    depth = 0
    inside = is_ncx
    title = ""
    for event, element in etree.iterwalk(root, events=("start", "end")):
        name, start = local(element), event == "start"
        if is_ncx:
            if name == "navPoint":
                depth += 1 if start else -1
            elif name == "text" and start:
                title = " ".join((element.text or "").split())
            elif name == "content" and start and depth:
                yield depth, title, element.get("src") or ""
        elif name == "nav":
            inside = start and attribute(element, "type") in ("toc", "")
        elif inside and name == "ol":
            depth += 1 if start else -1
        elif inside and name == "a" and start and depth:
            yield depth, " ".join("".join(element.itertext()).split()), element.get("href") or ""


def _locked(package: Package) -> set[str]:
    """The parts that are encrypted; fonts that are only made unusable elsewhere do not count."""
    content = package.part("META-INF/encryption.xml")
    if content is None:
        return set()
    locked: set[str] = set()
    method = ""
    for element in parse_xml(content, "Its part META-INF/encryption.xml").iter():
        if local(element) == "EncryptionMethod":
            method = element.get("Algorithm") or ""
        elif local(element) == "CipherReference" and method not in _FONTS:
            locked.add(unquote(element.get("URI") or "").lstrip("/"))
    return locked


def _joined(base: str, href: str) -> str:
    """The part that `href` names, seen from part `base`; "" where it points out of the book."""
    parts = urlsplit(href) if not href.lower().startswith("data:") else None
    if parts is None or parts.scheme or parts.netloc or not parts.path:
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(parts.path)))
    return "" if path.startswith("..") else path.lstrip("/")
