"""XML of any vocabulary: what reads like a book becomes one, the rest is read as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from citewell.reading import versions
from citewell.reading.formats import XML
from citewell.reading.gaps import fill_places
from citewell.reading.limits import MAX_CELLS
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Builder, Piece, title_from_uri
from citewell.reading.records import Data, pieces_of
from citewell.reading.tables import CellText, Places, grid
from citewell.reading.xml_tree import attribute, local, parse_xml
from citewell.types import BlockKind, Document, Place, Source, Value

# Names that DocBook, TEI, JATS, DITA, NITF, FictionBook and RSS share.
_SECTIONS: Final = re.compile(
    r"(?:book|part|chapter|article|appendix|preface|sect[1-6]|section|sec|div[1-7]?|topic|concept|task|reference|"
    r"abstract|body|front|back|text|group|glossary|bibliography|dedication|item|entry|refentry|refsect[1-3]|simplesect)"
)
_TITLES: Final = frozenset({"title", "head", "heading", "headline", "bridgehead", "hl1", "h1", "h2", "h3", "h4",
                            "h5", "h6", "article-title", "hedline"})  # fmt: skip
_PARAGRAPHS: Final = frozenset({"p", "para", "simpara", "formalpara", "ab", "l", "lg", "s", "line", "abstract",
                                "summary", "description", "quote", "blockquote", "note", "verse", "v", "sp",
                                "speech", "subtitle", "shortdesc", "cmd"})  # fmt: skip
_LISTS: Final = frozenset({"list", "itemizedlist", "orderedlist", "variablelist", "simplelist", "ul", "ol", "dl",
                           "steps", "glosslist", "procedure"})  # fmt: skip
_ITEMS: Final = frozenset(
    {"listitem", "list-item", "li", "item", "member", "varlistentry", "glossentry", "dlentry", "step"}
)
_CODES: Final = frozenset({"programlisting", "screen", "literallayout", "codeblock", "code", "pre", "eg", "preformat"})
_CAPTIONS: Final = frozenset({"caption", "figdesc"})
_UNREAD: Final = frozenset({"script", "style", "binary", "binaryobject"})
_MARKS: Final = frozenset({"p", "para", "simpara", "l", "lg"})
_META: Final = {"author": "author", "creator": "author", "language": "language", "lang": "language", "pubdate": "date",
                "date": "date", "updated": "modified", "copyright": "rights"}  # fmt: skip


class XmlReader:
    """Reads XML without knowing its schema.

    Vocabularies of texts (paragraphs in sections with titles) become headings, paragraphs, lists, tables and code, as
    their names say; elsewhere elements are read as JSON is: their names as headings, flat records as tables. No
    document type is followed and no entity resolved.
    """

    identity = versions.XML

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, unsafe_content, limit_exceeded, no_text."""
        root = parse_xml(source.content)
        builder = Builder(max_cells=self._max_cells)
        title, found = "", {}
        if _is_text(root):
            walk = _Walk(self._max_cells)
            walk.block(root, 0)
            pieces = walk.pieces
            title, found = walk.title, _metadata(root)
        else:
            pieces = [field.piece for field in pieces_of({local(root): _data(root)})]
            title = title_from_uri(source.uri)
        fill_places(pieces, Place(0, source.content.count(b"\n") + 1, "lines"))
        for piece in pieces:
            builder.add(piece)
        metadata, warnings = document_metadata({**found, "root": local(root)})
        return builder.document(
            source, reader=self.identity, media_type=XML, title=title, metadata=metadata, warnings=warnings
        )


def _is_text(root: Any) -> bool:
    """Whether the elements are those of a text: paragraphs, or words between elements."""
    marks = mixed = elements = 0
    for element in root.iter():
        elements += 1
        marks += local(element).lower() in _MARKS
        mixed += bool(element.tail and element.tail.strip())
        if elements > 20_000:
            break
    return (marks >= 1 and (marks + mixed) * 20 >= elements) or mixed * 5 >= elements


class _Walk:
    """One pass over a text; the parser refuses nesting over 255 deep, so calls nest no deeper."""

    def __init__(self, max_cells: int) -> None:
        self.pieces: list[Piece] = []
        self.title = ""
        self._max_cells = max_cells
        self._lists = 0

    def block(self, element: Any, depth: int) -> None:
        """Add the blocks of an element that stands `depth` sections deep."""
        name = local(element).lower()
        if name in _UNREAD or not name:
            return
        if name in _TITLES:
            if text := _words(element):
                self.title = self.title or text
                self._add(element, Piece(BlockKind.HEADING, text, max(depth, 1)))
        elif name in _CODES and not (element.getparent() is not None and _is_inline(element)):
            self._add(element, Piece(BlockKind.CODE, "".join(element.itertext()), language=element.get("language")))
        elif name in ("table", "informaltable") and any(local(one) in ("row", "tr") for one in element.iter()):
            self._table(element)
        elif name in _LISTS and self._list(element, depth):
            pass
        elif name in _CAPTIONS:
            self._add(element, Piece(BlockKind.CAPTION, _words(element)))
        elif name in _PARAGRAPHS and (name == "lg" or not any(_stands_alone(one) for one in element)):
            self._add(element, Piece(BlockKind.PARAGRAPH, _lines(element)))
        elif not len(element) or _holds_words(element):
            self._mixed(element, depth)
        else:
            inside = depth + (_SECTIONS.fullmatch(name) is not None and _is_titled(element))
            for child in element:
                self.block(child, inside)

    def _mixed(self, element: Any, depth: int) -> None:
        """Words with elements between: those that stand alone end the paragraph."""
        parts = [element.text or ""]

        def close() -> None:
            if text := " ".join("".join(parts).split()):
                self._add(element, Piece(BlockKind.PARAGRAPH, text))
            parts.clear()

        for child in element:
            if _stands_alone(child):
                close()
                self.block(child, depth)
            elif local(child):
                parts.append("".join(child.itertext()))
            parts.append(child.tail or "")
        close()

    def _list(self, element: Any, depth: int) -> bool:
        items = [child for child in element if local(child).lower() in _ITEMS]
        if not items:
            return False
        for child in element:
            if child in items:
                self._lists += 1
                before = len(self.pieces)
                if any(_stands_alone(one) for one in child):
                    self._mixed(child, depth)
                elif text := _words(child):
                    self._add(child, Piece(BlockKind.LIST_ITEM, text))
                self._lists -= 1
                for piece in self.pieces[before:]:
                    if piece.kind is BlockKind.PARAGRAPH:
                        piece.kind, piece.level = BlockKind.LIST_ITEM, self._lists
            else:
                self.block(child, depth)
        return True

    def _table(self, table: Any) -> None:
        rows = [row for row in table.iter() if local(row).lower() in ("row", "tr")]
        places = Places(len(rows), self._max_cells)
        cells: list[CellText] = []
        for number, row in enumerate(rows):
            head = local(row.getparent()).lower() == "thead" or row.get("role") == "label"
            for cell in row:
                name = local(cell).lower()
                if not name:
                    continue
                across, down = _number(cell, "colspan", "cols"), _number(cell, "rowspan", "rows")
                down = max(down, _number(cell, "morerows") + 1) if attribute(cell, "morerows") else down
                column, reach = places.take(number, down, across)
                header = head or name == "th" or cell.get("role") == "label"
                cells.append(CellText(number, column, _words(cell), header, reach, across))
        caption = next(
            (_words(one) for one in table if local(one).lower() in ("title", "head", "caption", "label")), ""
        )
        self._add(table, Piece(BlockKind.TABLE, table=grid(cells, self._max_cells), caption=caption))

    def _add(self, element: Any, piece: Piece) -> None:
        line = element.sourceline
        if line:
            last = max((one.sourceline or line for one in element.iter()), default=line)
            piece.source = Place(line - 1, max(last, line), "lines")
        self.pieces.append(piece)


def _is_titled(element: Any) -> bool:
    return any(local(child).lower() in _TITLES or local(child).lower().endswith("info") for child in element)


def _stands_alone(element: Any) -> bool:
    name = local(element).lower()
    return (
        name in _MARKS
        or name in _LISTS
        or name in ("table", "informaltable", "programlisting", "screen", "codeblock", "figure", "blockquote")
        or (_SECTIONS.fullmatch(name) is not None and _is_titled(element))
    )


def _is_inline(element: Any) -> bool:
    parent = element.getparent()
    return bool((element.tail and element.tail.strip()) or (parent.text and parent.text.strip()))


def _holds_words(element: Any) -> bool:
    return bool((element.text and element.text.strip()) or any(one.tail and one.tail.strip() for one in element))


def _words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _lines(element: Any) -> str:
    """The words of a paragraph; lines of verse stay lines."""
    if any(local(one).lower() in ("l", "line", "lb", "br") for one in element):
        parts = [element.text or ""]
        for child in element:
            parts.append("\n" if local(child).lower() in ("lb", "br") else f"{''.join(child.itertext())}\n")
            parts.append(child.tail or "")
        return "\n".join(" ".join(line.split()) for line in "".join(parts).split("\n") if line.strip())
    return _words(element)


def _number(element: Any, *names: str) -> int:
    value = next((attribute(element, name) for name in names if attribute(element, name)), "1")
    return min(max(int(value), 1), 1000) if value.isdigit() and len(value) < 8 else 1


def _data(element: Any) -> Data:
    """An element as data: attributes and children by their names, equal names as a list, words by themselves."""
    own = " ".join((element.text or "").split())
    if not len(element) and not element.attrib:
        return own
    found: dict[str, Data] = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    lists: dict[str, list[Data]] = {}
    for child in element:
        name = local(child)
        if name:
            lists.setdefault(name, []).append(_data(child))
        if child.tail and child.tail.strip():
            own += f" {' '.join(child.tail.split())}"
    for name, values in lists.items():
        key = name if name not in found else f"{name} (element)"
        found[key] = values if len(values) > 1 else values[0]
    if own:
        if not found:
            return own
        found["text"] = own.strip()
    return found


def _metadata(root: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if language := attribute(root, "lang"):
        found["language"] = language
    for element, _ in zip(_heads(root), range(2000), strict=False):
        key = _META.get(local(element).lower())
        if key and (text := _words(element)) and len(text) <= 300:
            found.setdefault(key, text)
    return found


def _heads(root: Any) -> Iterator[Any]:
    for element in root.iter():
        if local(element).lower() in (
            "info",
            "bookinfo",
            "articleinfo",
            "teiheader",
            "front",
            "channel",
            "metadata",
            "prolog",
        ):
            yield from element.iter()
