"""Word documents are read from their XML: only there do merged cells, tracked deletions and hidden runs show.

kreuzberg's tree was measured beside it and loses what citations need: it returns hidden (`w:vanish`) text as text,
rewrites links as Markdown and has no merged cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from citewell.errors import ReadError
from citewell.reading.omml import linear
from citewell.reading.package import Package
from citewell.reading.pieces import Builder, Piece, document_metadata
from citewell.reading.tables import CellText, grid
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Document, Metadata, Source, Value

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT_W = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MAX_DEPTH = 200  # of nested elements that hold text; Word itself stops at 64 nested tables
_HEADING = re.compile(r"heading\s*([1-9])", re.IGNORECASE)
_SYMBOLS = {"F0B7": "•", "F0A7": "▪", "F0D8": "➢", "F0FC": "✓", "F0E0": "→", "F0E8": "➔"}


class DocxReader:
    """Reads .docx and .docm bytes; macros are never looked at, nothing outside the file is fetched or written."""

    identity = "docx@2"

    def read(self, source: Source) -> Document:
        """The document's headings, paragraphs, list items, tables, footnotes, headers and footers, in body order.

        There are no pages in the format, and none are invented. Raises ReadError: encrypted, corrupt, unsafe_content,
        limit_exceeded, type_mismatch or no_text.
        """
        package = Package.open(source)
        main = package.related("", "officeDocument") or ["word/document.xml"]
        body = package.xml(main[0])
        if body is None:
            raise ReadError("type_mismatch", f"{source.uri}: a ZIP file without a Word document inside.")
        walk = _Walk(package, main[0])
        walk.body(body)
        found, title = _properties(package)
        metadata, left_out = document_metadata(found)
        return walk.builder.document(
            source,
            reader=self.identity,
            media_type=MEDIA_TYPE,
            title=title or walk.title,
            metadata=metadata,
            warnings=(*walk.warnings(), *left_out),
        )


@dataclass(frozen=True, slots=True)
class _Style:
    name: str = ""
    based_on: str | None = None
    outline: int | None = None
    numbering: tuple[str | None, int | None] = (None, None)
    hidden: bool = False


@dataclass(slots=True)
class _Paragraph:
    """A paragraph before it becomes a block."""

    visible: str
    hidden: str
    kind: BlockKind
    level: int
    title: bool = False
    boxes: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Text:
    """What a paragraph's runs say, and what else hangs on them."""

    visible: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    boxes: list[Any] = field(default_factory=list)


class _Walk:
    """One pass over the body; parts that belong to it (notes, headers, text boxes) are read where they are named."""

    def __init__(self, package: Package, main: str) -> None:
        self.builder = Builder()
        self.title = ""
        self._package = package
        self._main = main
        self._styles = _styles(package, main)
        self._numbering = _Numbering(package, main)
        self._notes = {kind: _notes(package, main, kind) for kind in ("footnote", "endnote")}
        self._cited: list[tuple[str, str]] = []
        self._deleted = 0
        self._hidden = 0
        self._last_caption: int | None = None
        self._last_table: int | None = None

    def warnings(self) -> Iterator[str]:
        if self._deleted:
            yield f"{self._deleted} tracked deletions were left out."
        if self._hidden:
            yield f"{self._hidden} passages of hidden text are marked as hidden."

    def body(self, root: Any) -> None:
        self._margins("header", BlockKind.HEADER)
        for element in root:
            if _name(element) == "body":
                self._blocks(element, 0)
        for kind, identity in dict.fromkeys(self._cited):
            for note in self._notes[kind].get(identity, ()):
                self._emit(note, outside=True)
        self._margins("footer", BlockKind.FOOTER)

    def _margins(self, kind: str, block: BlockKind) -> None:
        seen: set[str] = set()
        for part in self._package.related(self._main, kind):
            root = self._package.xml(part)
            for paragraph in root.iter(f"{_W}p") if root is not None else ():
                text = self._read(paragraph)
                line = tidy("".join(text.visible))
                if line and line not in seen:
                    seen.add(line)
                    self.builder.add(Piece(block, line, path=(), boilerplate=True))

    def _blocks(self, parent: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ReadError("limit_exceeded", f"{self._package.uri}: elements are nested over {_MAX_DEPTH} deep.")
        for element in parent:
            name = _name(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element, depth)
            elif name in {"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag", "txbxContent"}:
                self._blocks(element, depth + 1)
            elif name == "AlternateContent":
                self._blocks(_choice(element), depth + 1)
            elif name in {"del", "moveFrom"}:
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
        for box in paragraph.boxes:
            self._blocks(box, 1)

    def _emit(self, paragraph: _Paragraph, *, outside: bool = False) -> int | None:
        if paragraph.hidden.strip():
            self._hidden += 1
            self.builder.add(Piece(BlockKind.PARAGRAPH, tidy(paragraph.hidden), hidden=True))
        text = paragraph.visible if paragraph.kind is BlockKind.CODE else tidy(paragraph.visible, lines=True)
        return self.builder.add(Piece(paragraph.kind, text, paragraph.level, path=() if outside else None))

    def _understand(self, element: Any) -> _Paragraph:
        text = self._read(element)
        visible = "".join(text.visible)
        properties = element.find(f"{_W}pPr")
        style_id = _value(properties, "pStyle")
        styles = list(self._lineage(style_id))
        names = [style.name.lower() for style in styles]
        kind, level, title = BlockKind.PARAGRAPH, 0, False
        outline = _number(_value(properties, "outlineLvl"))
        if outline is None:
            outline = next((style.outline for style in styles if style.outline is not None), None)
        heading = next((int(found[1]) for name in names if (found := _HEADING.fullmatch(name))), None)
        if heading is None and outline is not None and 0 <= outline < 9:
            heading = outline + 1
        if names and names[0] == "title":
            heading, title = 1, True
        if any(style.hidden for style in styles):
            text.hidden.append(visible)
            visible = ""
        if heading is not None and visible.strip():
            label = self._numbering.label(properties, styles)
            kind, level = BlockKind.HEADING, min(heading, 6)
            visible = f"{label[0]} {visible}" if label and label[0] else visible
            if not self.title and heading == 1:
                self.title = tidy(visible)
        elif "caption" in names:
            kind = BlockKind.CAPTION
        elif any("code" in name.split() or name in {"html preformatted", "plain text"} for name in names):
            kind = BlockKind.CODE
        elif visible.strip() and (label := self._numbering.label(properties, styles)):
            kind, level = BlockKind.LIST_ITEM, label[1]
            visible = f"{label[0]} {visible}" if label[0] else visible
        return _Paragraph(visible, "".join(text.hidden), kind, level, title, text.boxes)

    def _lineage(self, style_id: str | None) -> Iterator[_Style]:
        for _ in range(12):
            style = self._styles.get(style_id or "")
            if style is None:
                return
            yield style
            style_id = style.based_on

    def _read(self, paragraph: Any) -> _Text:
        text = _Text()
        self._runs(paragraph, text, 0)
        return text

    def _runs(self, parent: Any, text: _Text, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ReadError("limit_exceeded", f"{self._package.uri}: elements are nested over {_MAX_DEPTH} deep.")
        for element in parent:
            name = _name(element)
            if name == "r":
                self._run(element, text, depth)
            elif name in {"del", "moveFrom"}:
                self._deleted += 1
            elif name == "AlternateContent":
                self._runs(_choice(element), text, depth + 1)
            elif element.tag == f"{_M}oMath":
                text.visible.append(linear(element))
            elif name not in {"pPr", "rPr", "sdtPr", "sdtEndPr", "tcPr", "instrText"}:
                self._runs(element, text, depth + 1)

    def _run(self, run: Any, text: _Text, depth: int) -> None:
        properties = run.find(f"{_W}rPr")
        out = text.hidden if self._is_hidden(properties) else text.visible
        for element in run:
            name = _name(element)
            if name == "t":
                out.append(element.text or "")
            elif name in {"tab", "ptab"}:
                out.append("\t")
            elif name in {"br", "cr"}:
                out.append("\n")
            elif name == "noBreakHyphen":
                out.append("-")
            elif name == "sym":
                code = (element.get(f"{_W}char") or "").upper()
                out.append(_SYMBOLS.get(code, ""))
            elif name in {"footnoteReference", "endnoteReference"}:
                kind, identity = name.removesuffix("Reference"), element.get(f"{_W}id") or ""
                if identity in self._notes[kind] and (kind, identity) not in self._cited:
                    self._cited.append((kind, identity))
            elif name in {"drawing", "pict", "object", "AlternateContent"}:
                holder = _choice(element) if name == "AlternateContent" else element
                text.boxes += [box for box in holder.iter(f"{_W}txbxContent") if not _inside(box, holder)]
            elif name == "ruby":
                base = element.find(f"{_W}rubyBase")
                if base is not None:
                    self._runs(base, text, depth + 1)

    def _is_hidden(self, properties: Any) -> bool:
        if properties is None:
            return False
        if _on(properties, "vanish") or _on(properties, "webHidden"):
            return True
        size = _number(_value(properties, "sz"))
        if size is not None and size <= 2:  # half points: nobody reads 1 pt
            return True
        if (_value(properties, "color") or "").upper() in {"FFFFFF", "FEFEFE"}:
            fill = properties.find(f"{_W}shd")
            shade = (fill.get(f"{_W}fill") or "auto").upper() if fill is not None else "AUTO"
            # White text on a shaded cell, paragraph or run is a fashion, not a secret.
            return shade in {"AUTO", "FFFFFF"} and not _shaded(properties) and _value(properties, "highlight") is None
        style = self._styles.get(_value(properties, "rStyle") or "")
        return style is not None and style.hidden

    def _table(self, table: Any, depth: int) -> None:
        cells: list[CellText] = []
        open_above: dict[int, int] = {}  # column → place in `cells` of the merged cell that reaches down
        nested: list[Any] = []
        header_rows = True
        row_number = 0
        for row in _rows(table):
            properties = row.find(f"{_W}trPr")
            if properties is not None and properties.find(f"{_W}del") is not None:
                self._deleted += 1
                continue
            declared = properties is not None and _on(properties, "tblHeader")
            header_rows = header_rows and (declared or (row_number == 0 and _first_row_is_header(table)))
            column = _number(_value(properties, "gridBefore")) or 0
            for cell in _cells(row):
                cell_properties = cell.find(f"{_W}tcPr")
                width = max(1, min(_number(_value(cell_properties, "gridSpan")) or 1, 1000))
                merge = cell_properties.find(f"{_W}vMerge") if cell_properties is not None else None
                if merge is not None and merge.get(f"{_W}val") != "restart" and column in open_above:
                    place = open_above[column]
                    above = cells[place]
                    cells[place] = CellText(
                        above.row,
                        above.column,
                        above.text,
                        above.header,
                        row_number - above.row + 1,
                        above.column_span,
                    )
                else:
                    open_above.pop(column, None)
                    text, inner = self._cell(cell)
                    nested += inner
                    cells.append(CellText(row_number, column, text, header_rows, 1, width))
                    if merge is not None:
                        open_above[column] = len(cells) - 1
                column += width
            row_number += 1
        number = self.builder.add(Piece(BlockKind.TABLE, table=grid(cells)))
        if number is not None:
            if self._last_caption is not None:
                self.builder.caption(number, self._last_caption)
            self._last_table, self._last_caption = number, None
        for inner in nested:
            # A table in a cell follows its outer table: rows stay lines, and no text is lost.
            self._table(inner, depth + 1) if depth < _MAX_DEPTH else None

    def _cell(self, cell: Any) -> tuple[str, list[Any]]:
        """The cell's text and the tables nested in it."""
        parts: list[str] = []
        nested: list[Any] = []

        def visit(parent: Any, depth: int) -> None:
            for element in parent:
                name = _name(element)
                if name == "p":
                    paragraph = self._understand(element)
                    if paragraph.hidden.strip():
                        self._hidden += 1
                    parts.append(paragraph.visible)
                    for box in paragraph.boxes:
                        visit(box, depth + 1)
                elif name == "tbl":
                    nested.append(element)
                elif name in {"del", "moveFrom"}:
                    self._deleted += 1
                elif name == "AlternateContent":
                    visit(_choice(element), depth + 1)
                elif name not in {"tcPr"} and depth < _MAX_DEPTH:
                    visit(element, depth + 1)

        visit(cell, 0)
        return tidy(" ".join(parts)), nested


class _Numbering:
    """List labels as Word would print them: the numbers are not in the text."""

    def __init__(self, package: Package, main: str) -> None:
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for part in package.related(main, "numbering"):
            root = package.xml(part)
            if root is None:
                continue
            for definition in root.iter(f"{_W}abstractNum"):
                levels = {}
                for level in definition.iter(f"{_W}lvl"):
                    levels[_number(level.get(f"{_W}ilvl")) or 0] = (
                        _value(level, "numFmt") or "decimal",
                        _value(level, "lvlText") or "",
                        _number(_value(level, "start")) or 1,
                    )
                self._levels[definition.get(f"{_W}abstractNumId") or ""] = levels
            for instance in root.iter(f"{_W}num"):
                self._abstract[instance.get(f"{_W}numId") or ""] = _value(instance, "abstractNumId") or ""

    def label(self, properties: Any, styles: list[_Style]) -> tuple[str, int] | None:
        """The label of the next item (`1.2.`, `b)`; empty for bullets) and its depth; None outside lists."""
        numbering = properties.find(f"{_W}numPr") if properties is not None else None
        identity = _value(numbering, "numId")
        depth = _number(_value(numbering, "ilvl"))
        for style in styles:
            identity = identity if identity is not None else style.numbering[0]
            depth = depth if depth is not None else style.numbering[1]
        if identity is None or identity == "0":
            named = next((style.name.lower() for style in styles if style.name.lower().startswith("list ")), None)
            if identity is None and named is not None and re.fullmatch(r"list (bullet|number)( \d)?", named):
                digits = re.search(r"\d", named)
                return "", int(digits[0]) - 1 if digits else 0
            return None
        depth = max(0, min(depth or 0, 8))
        abstract = self._abstract.get(identity, "")
        levels = self._levels.get(abstract, {})
        form, pattern, start = levels.get(depth, ("bullet", "", 1))
        counts = self._counts.setdefault(abstract or identity, {})
        counts[depth] = counts.get(depth, start - 1) + 1
        for deeper in [level for level in counts if level > depth]:
            del counts[deeper]
        if form in {"bullet", "none"}:
            return "", depth

        def shown(match: re.Match[str]) -> str:
            level = int(match[1]) - 1
            level_form, _, level_start = levels.get(level, ("decimal", "", 1))
            return _count(counts.get(level, level_start), level_form)

        return re.sub(r"%([1-9])", shown, pattern).strip(), depth


def _count(number: int, form: str) -> str:
    """`number` in one of Word's number formats; those we do not know are printed as digits."""
    if form in {"lowerLetter", "upperLetter"} and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter.upper() if form == "upperLetter" else letter
    if form in {"lowerRoman", "upperRoman"} and 0 < number < 4000:
        text = ""
        for value, sign in zip(
            (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
            ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
            strict=True,
        ):
            times, number = divmod(number, value)
            text += sign * times
        return text.upper() if form == "upperRoman" else text
    return f"{number:02d}" if form == "decimalZero" else str(number)


def _styles(package: Package, main: str) -> Mapping[str, _Style]:
    found: dict[str, _Style] = {}
    for part in package.related(main, "styles"):
        root = package.xml(part)
        for style in root.iter(f"{_W}style") if root is not None else ():
            paragraph, run = style.find(f"{_W}pPr"), style.find(f"{_W}rPr")
            numbering = paragraph.find(f"{_W}numPr") if paragraph is not None else None
            found[style.get(f"{_W}styleId") or ""] = _Style(
                name=_value(style, "name") or "",
                based_on=_value(style, "basedOn"),
                outline=_number(_value(paragraph, "outlineLvl")),
                numbering=(_value(numbering, "numId"), _number(_value(numbering, "ilvl"))),
                hidden=run is not None and _on(run, "vanish"),
            )
    return found


def _notes(package: Package, main: str, kind: str) -> dict[str, list[_Paragraph]]:
    notes: dict[str, list[_Paragraph]] = {}
    for part in package.related(main, f"{kind}s"):
        root = package.xml(part)
        for note in root.iter(f"{_W}{kind}") if root is not None else ():
            if note.get(f"{_W}type") in {"separator", "continuationSeparator", "continuationNotice"}:
                continue
            lines = ["".join(text.text or "" for text in paragraph.iter(f"{_W}t")) for paragraph in note.iter(f"{_W}p")]
            notes[note.get(f"{_W}id") or ""] = [_Paragraph(line, "", BlockKind.PARAGRAPH, 0) for line in lines]
    return notes


def _properties(package: Package) -> tuple[Metadata, str]:
    """Author, dates and the like, with the title apart; names as in our own metadata."""
    names = {
        "creator": "author",
        "created": "created",
        "modified": "modified",
        "lastModifiedBy": "last_modified_by",
        "subject": "subject",
        "keywords": "keywords",
        "language": "language",
        "category": "category",
        "version": "version",
    }
    metadata: dict[str, Value] = {}
    title = ""
    for part in package.related("", "core-properties"):
        root = package.xml(part)
        for element in root if root is not None else ():
            text = tidy(element.text or "")
            if text and _name(element) == "title":
                title = text
            elif text and _name(element) in names:
                metadata[names[_name(element)]] = text
    return metadata, title


def _name(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _value(parent: Any, name: str) -> str | None:
    """The `w:val` of a child, or None."""
    child = parent.find(f"{_W}{name}") if parent is not None else None
    value = child.get(f"{_W}val") if child is not None else None
    return str(value) if value is not None else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,9}", text) else None


def _on(properties: Any, name: str) -> bool:
    child = properties.find(f"{_W}{name}")
    return child is not None and (child.get(f"{_W}val") or "1").lower() not in {"0", "false", "off", "none"}


def _choice(alternative: Any) -> Any:
    """The newest of several renderings of the same thing; reading all would double the text."""
    for child in alternative:
        if child.tag == f"{_MC}Choice":
            return child
    for child in alternative:
        if child.tag == f"{_MC}Fallback":
            return child
    return ()


def _inside(box: Any, holder: Any) -> bool:
    """Whether `box` stands inside another text box, or in a rendering that was not chosen."""
    parent = box.getparent()
    while parent is not None and parent is not holder:
        if _name(parent) == "txbxContent" or parent.tag == f"{_MC}Fallback":
            return True
        parent = parent.getparent()
    return False


def _shaded(properties: Any) -> bool:
    for name in ("p", "tc"):
        holder = next(properties.iterancestors(f"{_W}{name}"), None)
        own = holder.find(f"{_W}{name}Pr") if holder is not None else None
        fill = own.find(f"{_W}shd") if own is not None else None
        if fill is not None and (fill.get(f"{_W}fill") or "auto").upper() not in {"AUTO", "FFFFFF"}:
            return True
    # A table style may shade its header row by rules we do not evaluate; then white is what the author meant to show.
    table = next(properties.iterancestors(f"{_W}tbl"), None)
    return table is not None and _value(table.find(f"{_W}tblPr"), "tblStyle") is not None


def _rows(table: Any) -> Iterator[Any]:
    for element in table:
        if _name(element) == "tr":
            yield element
        elif _name(element) in {"sdt", "sdtContent", "customXml", "ins", "moveTo"}:
            yield from _rows(element)


def _cells(row: Any) -> Iterator[Any]:
    for element in row:
        if _name(element) == "tc":
            yield element
        elif _name(element) in {"sdt", "sdtContent", "customXml", "ins", "moveTo"}:
            yield from _cells(element)


def _first_row_is_header(table: Any) -> bool:
    """Whether the table's style is told to format its first row apart (`w:tblLook`), or all its cells are bold."""
    look = next((child for child in table.iter(f"{_W}tblLook")), None)
    styled = _value(table.find(f"{_W}tblPr"), "tblStyle") not in {None, "TableNormal", "TableGrid"}
    if look is not None and styled:
        first = (look.get(f"{_W}firstRow") or "").lower()
        if first in {"1", "true"} or (not first and int(look.get(f"{_W}val") or "0", 16) & 0x20):
            return True
    rows = list(_rows(table))
    if len(rows) < 2:
        return False
    runs = [run for run in rows[0].iter(f"{_W}r") if any((text.text or "").strip() for text in run.iter(f"{_W}t"))]
    below = [run for run in rows[1].iter(f"{_W}r") if any((text.text or "").strip() for text in run.iter(f"{_W}t"))]
    return bool(runs) and all(_bold(run) for run in runs) and not (below and all(_bold(run) for run in below))


def _bold(run: Any) -> bool:
    properties = run.find(f"{_W}rPr")
    return properties is not None and _on(properties, "b")
