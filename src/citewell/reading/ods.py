"""OpenDocument spreadsheets are read from their XML, once through: it holds every cell as shown and as stored.

python-calamine gives the stored values alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.docx_xml import name, number
from citewell.reading.formats import ODS
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.number_format import plain
from citewell.reading.odf_flat import open_odf
from citewell.reading.odf_styles import STYLE, Look, Styles
from citewell.reading.office_parts import picture_in
from citewell.reading.package import Package
from citewell.reading.pieces import Builder, Piece, title_from_uri
from citewell.reading.sheets import MAX_COLUMNS, MAX_ROWS, MAX_STORED, Limits, Note, Sheet, add_sheets, parse_range
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Document, Metadata, Source, Value

_OASIS: Final = "{urn:oasis:names:tc:opendocument:xmlns:"
OFFICE: Final = f"{_OASIS}office:1.0}}"
TABLE: Final = f"{_OASIS}table:1.0}}"
TEXT: Final = f"{_OASIS}text:1.0}}"
DRAW: Final = f"{_OASIS}drawing:1.0}}"
META: Final = f"{_OASIS}meta:1.0}}"
SVG: Final = f"{_OASIS}svg-compatible:1.0}}"
MANIFEST: Final = f"{_OASIS}manifest:1.0}}"
DC: Final = "{http://purl.org/dc/elements/1.1/}"
XLINK: Final = "{http://www.w3.org/1999/xlink}"
_MAX_SHEETS: Final = 1000
_PROPERTIES: Final = {
    f"{META}initial-creator": "author",
    f"{DC}creator": "last_modified_by",
    f"{META}creation-date": "created",
    f"{DC}date": "modified",
    f"{DC}subject": "subject",
    f"{DC}description": "description",
    f"{DC}language": "language",
    f"{META}keyword": "keywords",
}


class OdsReader:
    """Reads .ods bytes; formulas and macros are never run. See `XlsxReader` for what a cell's text is."""

    identity = versions.ODS

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The sheets in their order, each with its tables, notes, text boxes and pictures; what is hidden is flagged.

        Raises ReadError: encrypted, corrupt, unsafe_content, limit_exceeded, type_mismatch or no_text.
        """
        package = open_odf(source.content)
        _require_open(package)
        book = _Book(package, self._max_cells)
        builder = Builder(max_cells=self._max_cells)
        add_sheets(builder, book.sheets(), self._max_cells)
        found, title = _properties(package)
        metadata, left_out = document_metadata(found)
        return builder.document(
            source,
            reader=self.identity,
            media_type=ODS,
            title=title or title_from_uri(source.uri),
            metadata=metadata,
            warnings=(*book.warnings(), *left_out),
            hidden_told=True,
        )


def _require_open(package: Package) -> None:
    manifest = package.xml("META-INF/manifest.xml")
    if manifest is not None and any(True for _ in manifest.iter(f"{MANIFEST}encryption-data")):
        raise ReadError("encrypted", "The spreadsheet is protected by a password. Save it without one.")


def _properties(package: Package) -> tuple[Metadata, str]:
    root = package.xml("meta.xml")
    found: dict[str, Value] = {}
    title = ""
    for element in root.iter() if root is not None else ():
        text = tidy(element.text or "")
        if element.tag == f"{DC}title":
            title = title or text
        elif element.tag in _PROPERTIES and text:
            found.setdefault(_PROPERTIES[element.tag], text)
    return found, title


class _Book:
    """One pass over the content; styles come before the sheets in it, filters after them."""

    def __init__(self, package: Package, max_cells: int) -> None:
        self._package = package
        self._limits = Limits(max_cells)
        self._defaults: dict[int, str] = {}  # faint styles of a sheet's columns
        self._white: list[tuple[int, int]] = []
        self._unseen: set[str] = set()  # styles of sheets that are not displayed
        self._faint: set[str] = set()  # styles of cells whose text cannot be told from its ground
        self._hidden = self._rows = self._columns = self._cells = self._stored = 0

    def warnings(self) -> Iterator[str]:
        for count, what in ((self._hidden, "sheets"), (self._rows, "rows"), (self._columns, "columns")):
            if count:
                yield f"Hidden {what}, marked as hidden: {count:,}."
        if self._cells:
            yield f"Cells that nobody can see, marked as hidden: {self._cells:,}."
        if self._stored:
            yield f"Values of which only what is shown was kept: {self._stored:,}."

    def sheets(self) -> Iterator[Sheet]:
        """The sheets in their order. Raises ReadError type_mismatch where the content is no spreadsheet."""
        root = self._package.xml("content.xml")
        body = root.find(f"{OFFICE}body/{OFFICE}spreadsheet") if root is not None else None
        if root is None or body is None:
            raise ReadError("type_mismatch", "This is a ZIP file without an OpenDocument spreadsheet inside.")
        for style in root.iterfind(f"{OFFICE}automatic-styles/{STYLE}style"):
            properties = style.find(f"{STYLE}table-properties")
            if properties is not None and properties.get(f"{TABLE}display") == "false":
                self._unseen.add(style.get(f"{STYLE}name") or "")
        self._learn_looks(root)
        filtered: dict[str, list[tuple[int, int, int, int]]] = {}
        for one in body.iterfind(f"{TABLE}database-ranges/{TABLE}database-range"):
            sheet_name, _, where = (one.get(f"{TABLE}target-range-address") or "").partition(":")[0].rpartition(".")
            if one.get(f"{TABLE}contains-header") != "false" and where:
                try:
                    last = (one.get(f"{TABLE}target-range-address") or "").rpartition(".")[2]
                    filtered.setdefault(sheet_name.strip("$'"), []).append(parse_range(f"{where}:{last}"))
                except ValueError:
                    continue
        tables = body.findall(f"{TABLE}table")
        if len(tables) > _MAX_SHEETS:
            raise over("The file", len(tables), "sheets", _MAX_SHEETS)
        for table in tables:
            title = tidy(table.get(f"{TABLE}name") or "") or "Sheet"
            hidden = table.get(f"{TABLE}style-name") in self._unseen
            self._hidden += hidden
            sheet = Sheet(title, hidden=hidden, filtered=filtered.get(title, []))
            at = [0, 0]  # the next row and column
            self._defaults.clear()
            self._walk(table, sheet, at, hidden=False)
            if any(one.tag.endswith("}conditional-formats") for one in table):
                self._white.clear()  # what colours cells by their values may colour these
            sheet.hidden_cells.update(self._white)
            self._cells += len(self._white)
            self._white.clear()
            for shapes in table.iterfind(f"{TABLE}shapes"):
                for shape in shapes:
                    self._shape(shape, sheet, None)
            yield sheet

    def _learn_looks(self, root: Any) -> None:
        """Take in which styles of cells write in the colour of their ground, or too small to read."""
        styles = Styles()
        roots = [one for one in (self._package.xml("styles.xml"), root) if one is not None]
        for one in roots:
            styles.learn(one)
        for one in roots:
            for style in one.iter(f"{STYLE}style"):
                called = style.get(f"{STYLE}name") or ""
                depends = style.find(f"{STYLE}map") is not None  # on the value of the cell
                is_cell = style.get(f"{STYLE}family") == "table-cell" and not depends
                if is_cell and styles.look("table-cell", called, Look()).hidden:
                    self._faint.add(called)

    def _walk(self, parent: Any, sheet: Sheet, at: list[int], *, hidden: bool) -> None:
        """Rows and columns, those in groups and headers included; the XML parser lets them nest 256 deep."""
        for element in parent:
            match element.tag.removeprefix(TABLE):
                case "table-row":
                    self._row(element, sheet, at, hidden=hidden)
                case "table-column":
                    first, count = at[1], _repeat(element, "columns")
                    at[1] += count
                    if (style := element.get(f"{TABLE}default-cell-style-name")) in self._faint:
                        self._defaults.update(dict.fromkeys(range(first, min(at[1], MAX_COLUMNS)), style))
                    if hidden or _is_collapsed(element):
                        sheet.hidden_columns.append((first, at[1] - 1))
                        self._columns += min(count, MAX_COLUMNS) if count < 1000 else 0
                case "table-header-rows":
                    before = at[0]
                    self._walk(element, sheet, at, hidden=hidden)
                    sheet.frozen_rows = at[0] if before == 0 else 0
                case "table-rows" | "table-row-group" | "table-columns" | "table-column-group" | "table-header-columns":
                    self._walk(element, sheet, at, hidden=hidden or element.get(f"{TABLE}display") == "false")
                case _:
                    pass

    def _row(self, element: Any, sheet: Sheet, at: list[int], *, hidden: bool) -> None:
        row, times = at[0], _repeat(element, "rows")
        at[0] += times
        column = 0
        cells: dict[int, str] = {}
        stored: dict[int, str] = {}
        faint: list[int] = []
        usual = element.get(f"{TABLE}default-cell-style-name")
        for cell in element:
            if cell.tag not in {f"{TABLE}table-cell", f"{TABLE}covered-table-cell"}:
                continue
            wide = _repeat(cell, "columns")
            if len(cell) or cell.get(f"{OFFICE}value-type"):
                text, held = self._cell(cell, sheet, row, column)
                if text:
                    self._limits.count(text, wide * times)
                    if column + wide > MAX_COLUMNS or row + times > MAX_ROWS:
                        raise ReadError("corrupt", f"Sheet {sheet.name!r} has cells where no sheet can have any.")
                    cells.update(dict.fromkeys(range(column, column + wide), text))
                    style = cell.get(f"{TABLE}style-name") or usual
                    if self._faint:
                        places = range(column, column + wide)
                        faint += (place for place in places if (style or self._defaults.get(place)) in self._faint)
                    if held:
                        stored.update(dict.fromkeys(range(column, column + wide), held))
                down = number(cell.get(f"{TABLE}number-rows-spanned")) or 1
                across = number(cell.get(f"{TABLE}number-columns-spanned")) or 1
                if down > 1 or across > 1:
                    sheet.merged.append((row, column, row + down - 1, column + across - 1))
            column += wide
        if not cells:
            return
        for again in range(row, row + times):
            sheet.rows[again] = cells if times == 1 else dict(cells)
            self._white += ((again, place) for place in faint)
            if hidden or _is_collapsed(element):
                sheet.hidden_rows.add(again)
                self._rows += 1
            for place, held in stored.items():
                if len(sheet.stored) < MAX_STORED:
                    sheet.stored[again, place] = held
                else:
                    self._stored += 1

    def _cell(self, cell: Any, sheet: Sheet, row: int, column: int) -> tuple[str, str]:
        """A cell's text, and its stored value where that says more."""
        lines: list[str] = []
        for child in cell:
            if child.tag in (f"{TEXT}p", f"{TEXT}h"):
                lines.append(_text(child))
                for link in child.iter(f"{TEXT}a"):
                    if target := link.get(f"{XLINK}href"):
                        sheet.links.setdefault((row, column), target)
            elif child.tag == f"{OFFICE}annotation":
                said = tidy("\n".join(_text(one) for one in child.iter(f"{TEXT}p")), lines=True)
                if said:
                    self._limits.count(said)
                    sheet.notes.append(Note(row, column, said, tidy(child.findtext(f"{DC}creator") or "")))
            else:
                self._shape(child, sheet, (row, column))
        text = tidy("\n".join(lines), lines=True)
        kind = cell.get(f"{OFFICE}value-type") or ""
        stored = _stored(cell, kind)
        if not text:
            return stored, ""
        return text, "" if not stored or _says(text, stored, kind) else stored

    def _shape(self, element: Any, sheet: Sheet, place: tuple[int, int] | None) -> None:
        # Text boxes, pictures and shapes with words, wherever they hang.
        for image in element.iter(f"{DRAW}image"):
            part = image.get(f"{XLINK}href") or ""
            found = picture_in(self._package, part.removeprefix("./"), "") if part else None
            if found is not None:
                alt = tidy(element.findtext(f"{SVG}desc") or element.findtext(f"{SVG}title") or "")
                sheet.drawn.append((Piece(BlockKind.FIGURE, alt, asset=found), place))
        said = tidy("\n".join(_text(one) for one in element.iter(f"{TEXT}p")), lines=True)
        if said and name(element) not in {"annotation", "tracked-changes"}:
            self._limits.count(said)
            sheet.drawn.append((Piece(BlockKind.PARAGRAPH, said), place))


def _repeat(element: Any, what: str) -> int:
    count = number(element.get(f"{TABLE}number-{what}-repeated"))
    return max(1, count) if count is not None else 1


def _is_collapsed(element: Any) -> bool:
    return element.get(f"{TABLE}visibility") in {"collapse", "filter"}


def _text(paragraph: Any) -> str:
    """The text of a paragraph, with the spaces, tabs and breaks that are elements. It nests 256 deep at most."""
    parts: list[str] = [paragraph.text or ""]
    for element in paragraph:
        if element.tag == f"{TEXT}s":
            parts.append(" " * min(number(element.get(f"{TEXT}c")) or 1, 1000))
        elif element.tag == f"{TEXT}tab":
            parts.append("\t")
        elif element.tag == f"{TEXT}line-break":
            parts.append("\n")
        elif element.tag != f"{OFFICE}annotation":
            parts.append(_text(element))
        parts.append(element.tail or "")
    return "".join(parts)


def _stored(cell: Any, kind: str) -> str:
    if kind in {"float", "percentage", "currency"}:
        try:
            return plain(float(cell.get(f"{OFFICE}value") or ""))
        except (ValueError, OverflowError):
            return ""
    if kind == "date":
        return str(cell.get(f"{OFFICE}date-value") or "").replace("T", " ").removesuffix(" 00:00:00")
    if kind == "time":
        return str(cell.get(f"{OFFICE}time-value") or "")
    return ""


def _says(text: str, stored: str, kind: str) -> bool:
    """Whether the text tells the stored value: all its digits are there, or those of its hundredfold."""
    shown = "".join(sign for sign in text if sign.isdigit())
    if kind == "date":
        day = stored.partition(" ")[0].split("-")
        time = stored.partition(" ")[2].replace(":", "").partition(".")[0]
        digits = "".join(part.lstrip("0") for part in day)
        return day[0] in text and len(shown) >= len(digits) - 2 and (not time or time.rstrip("0") in shown)
    if kind == "time":
        return True
    digits = "".join(sign for sign in stored.partition("E")[0] if sign.isdigit())
    return digits.strip("0") in shown and len(shown.strip("0")) <= len(digits.strip("0")) + 1
