"""Web archives (MHTML): a page and what it shows in one file of the form of a mail."""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import Final
from urllib.parse import urljoin

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.formats import WEB_ARCHIVE
from citewell.reading.html import HtmlReader
from citewell.reading.images import Picture, picture
from citewell.reading.limits import MAX_CELLS
from citewell.reading.mime import Message, Part, parse
from citewell.types import Document, Place, Source

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


class MhtmlReader:
    """Reads the page of a web archive as `HtmlReader` reads it by itself, with the images that the archive holds.

    Which part is the page is told by `start`, else it is the first one of HTML that says anything. Other
    pages are counted in a warning.
    """

    identity = versions.MHTML

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: no_text, corrupt, limit_exceeded."""
        message = parse(source.content)
        pages = _pages(message)
        failure = ReadError("no_text", "The web archive holds no page. Save the page as HTML and ingest that.")
        for page in pages:
            try:
                return self._read(source, message, page, len(pages) - 1)
            except ReadError as error:
                if error.kind != "no_text":
                    raise
                failure = error  # a page that is but a frame for others
        raise failure

    def _read(self, source: Source, message: Message, page: Part, frames: int) -> Document:
        where = page.head.text("content-location")
        where = where if "://" in where else message.root.head.text("snapshot-content-location")
        raw, content = message.body(page), _labelled(message, page)
        exact, whole = raw == content, Place(page.start, page.end)
        held = _Held(message, where)
        inner = HtmlReader(max_cells=self._max_cells, image=held.image, sheet=held.sheet).read(
            Source(source.uri, content)
        )
        metadata = dict(inner.metadata)
        if where.startswith(("http://", "https://")):
            metadata.setdefault("canonical", where)
        date = getattr(message.root.head.parsed("date"), "datetime", None)
        if date is not None:
            metadata.setdefault("saved", date.isoformat())
        return Document.of(
            source,
            reader=self.identity,
            media_type=WEB_ARCHIVE,
            title=inner.title,
            text=inner.text,
            # Places in the page count in its part, as it is once its transfer encoding is undone.
            blocks=tuple(
                replace(block, source=replace(block.source, part=page.path) if exact and block.source else whole)
                for block in inner.blocks
            ),
            metadata=metadata,
            warnings=(*inner.warnings, *([f"{frames} other pages of the archive were left out."] if frames else [])),
            account=inner.account,
            assets=inner.assets,
        )


class _Held:
    """The images and style sheets of an archive by the names that its page calls them."""

    def __init__(self, message: Message, base: str) -> None:
        self._message = message
        self._base = base
        self._parts: dict[str, Part] = {}
        for part in message.root.walk():
            if part.content_id:
                self._parts.setdefault(f"cid:{part.content_id}", part)
            if place := part.head.text("content-location"):
                self._parts.setdefault(place, part)

    def image(self, src: str) -> Picture | None:
        part = self._find(src)
        return picture(self._message.body(part), name=part.name) if part is not None else None

    def sheet(self, href: str) -> str | None:
        part = self._find(href)
        return self._message.text(part)[0] if part is not None else None

    def _find(self, src: str) -> Part | None:
        return self._parts.get(src.strip()) or self._parts.get(_joined(self._base, src.strip()))


def _joined(base: str, src: str) -> str:
    try:
        return urljoin(base, src)
    except ValueError:
        return ""


def _labelled(message: Message, page: Part) -> bytes:
    """The bytes of the page; where its part names a charset that there is, in UTF-8 with a mark that says so."""
    raw, charset = message.body(page), page.params.get("charset", "")
    try:
        if codecs.lookup(charset).name == "utf-8":
            return raw
    except LookupError:
        return raw
    if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw
    return codecs.BOM_UTF8 + message.text(page)[0].encode("utf-8", "replace")


def _pages(message: Message) -> list[Part]:
    """The parts that are pages, the one that the archive was made of first."""
    found = [one for one in message.root.walk() if not one.children and one.kind in _PAGES]
    start = message.root.params.get("start", "").strip("<>")
    return sorted(found, key=lambda one: not (start and one.content_id == start))
