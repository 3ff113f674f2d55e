"""Excel workbooks are read from their XML, once through: values, formats, merges and what is hidden stand side by side.

python-calamine and openpyxl were measured beside it: the first has no formats, notes or hidden rows, so the sheet
would have to be read again for them; the second takes several times as long and as much memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.charts import C, chart_piece
from citewell.reading.docx_xml import name, number
from citewell.reading.drawing_text import lines_of
from citewell.reading.formats import XLSX
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.number_format import Shown, show
from citewell.reading.office_parts import A, R, Relation, alt_text, picture_in, properties, relations
from citewell.reading.package import Package
from citewell.reading.pieces import Builder, Piece, title_from_uri
from citewell.reading.sheets import (
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_STORED,
    Limits,
    Note,
    Sheet,
    add_sheets,
    column_number,
    parse_range,
)
from citewell.reading.tidy import tidy
from citewell.reading.xlsx_styles import S, Styles, rich_text, shared_strings
from citewell.types import BlockKind, Document, Reason, Source

_XDR: Final = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_THREADED: Final = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_ON: Final = frozenset({"1", "true", "on"})
_MAX_SHEETS: Final = 1000
_MAX_MERGED: Final = 200_000


class XlsxReader:
    """Reads .xlsx and .xlsm bytes; formulas and macros are never run, nothing outside the file is fetched or written.

    A cell's text is what Excel would show; where that tells less than the cell holds, the value as stored follows
    below the table. A formula stands for its last result, or for itself where the file holds none.
    """

    identity = versions.XLSX

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The sheets in their order, each with its tables, notes, text boxes, charts and pictures.

        Hidden sheets, rows, columns and cells are flagged. Raises ReadError: encrypted, corrupt, unsafe_content,
        limit_exceeded, type_mismatch or no_text.
        """
        package = Package.open(source.content)
        main = (package.related("", "officeDocument") or ["xl/workbook.xml"])[0]
        if main.endswith(".bin"):
            raise ReadError("unsupported_type", "This is a binary Excel workbook (.xlsb). Save it as .xlsx.")
        root = package.xml(main)
        if root is None or name(root) != "workbook":
            raise ReadError("type_mismatch", "This is a ZIP file without an Excel workbook inside.")
        book = _Book(package, main, root, self._max_cells)
        builder = Builder(max_cells=self._max_cells)
        add_sheets(builder, book.sheets(), self._max_cells)
        if book.lost_pictures:
            builder.leave_out(Reason.UNREADABLE, images=book.lost_pictures)
        found, title = properties(package)
        metadata, left_out = document_metadata(found)
        return builder.document(
            source,
            reader=self.identity,
            media_type=XLSX,
            title=title or title_from_uri(source.uri),
            metadata=metadata,
            warnings=(*book.warnings(), *left_out),
            hidden_told=True,
        )


class _Book:
    """One pass over the sheets of a workbook, with what they share read first."""

    def __init__(self, package: Package, main: str, root: Any, max_cells: int) -> None:
        self.lost_pictures = 0
        self._package = package
        self._relations = relations(package, main)
        self._sheets = list(root.iterfind(f"{S}sheets/{S}sheet"))
        settings = root.find(f"{S}workbookPr")
        self._since_1904 = settings is not None and (settings.get("date1904") or "").lower() in _ON
        self._limits = Limits(max_cells)
        self._styles = Styles.of(package, self._part("styles") or "xl/styles.xml")
        self._strings = shared_strings(package, self._part("sharedStrings") or "xl/sharedStrings.xml")
        self._people: dict[str, str] = {}
        people = package.xml(self._part("person")) if self._part("person") else None
        for person in people if people is not None else ():
            self._people[person.get("id") or ""] = tidy(person.get("displayName") or "")
        self._counts = dict.fromkeys(_SAID, 0)

    def warnings(self) -> Iterator[str]:
        for what, said in _SAID.items():
            if count := self._counts[what]:
                yield said.format(f"{count:,}")

    def sheets(self) -> Iterator[Sheet]:
        """The sheets in their order. Raises ReadError corrupt where the workbook names a sheet that is not there."""
        if len(self._sheets) > _MAX_SHEETS:
            raise over("The workbook", len(self._sheets), "sheets", _MAX_SHEETS)
        seen: set[str] = set()
        for element in self._sheets:
            relation = self._relations.get(element.get(f"{R}id") or "")
            state = element.get("state") or "visible"
            if relation is None or relation.external or relation.target in seen:
                self._counts["lost"] += 1
                continue
            seen.add(relation.target)
            if relation.kind not in {"worksheet", "chartsheet"}:
                self._counts["macros"] += 1
                continue
            if self._package.part(relation.target) is None:
                self._counts["lost"] += 1
                continue
            self._counts["hidden"] += state == "hidden"
            self._counts["very_hidden"] += state == "veryHidden"
            sheet = Sheet(tidy(element.get("name") or "") or "Sheet", hidden=state != "visible")
            self._read(relation.target, sheet)
            self._counts["rows"] += sum(row in sheet.hidden_rows for row in sheet.rows)
            self._counts["cells"] += len(sheet.hidden_cells)
            used = {column for cells in sheet.rows.values() for column in cells} if sheet.hidden_columns else set()
            self._counts["columns"] += sum(any(a <= column <= b for a, b in sheet.hidden_columns) for column in used)
            yield sheet

    def _part(self, kind: str) -> str:
        return next((one.target for one in self._relations.values() if one.kind == kind and not one.external), "")

    def _read(self, part: str, sheet: Sheet) -> None:
        related = relations(self._package, part)
        tags = ("sheetFormatPr", "pane", "col", "row", "mergeCell", "hyperlink", "tablePart", "drawing",
                "conditionalFormatting", "autoFilter")  # fmt: skip
        rows_hide = coloured = False
        white: list[tuple[int, int]] = []
        at = -1
        for element in self._package.elements(part, *(f"{S}{tag}" for tag in tags)):
            match name(element):
                case "row":
                    at = self._row(element, at + 1, sheet, white, rows_hide)
                case "sheetFormatPr":
                    rows_hide = (element.get("zeroHeight") or "").lower() in _ON
                case "pane":
                    frozen = number(element.get("ySplit"))
                    if (element.get("state") or "").startswith("frozen") and frozen and element.get("topLeftCell"):
                        sheet.frozen_rows = frozen
                case "col":
                    first, last = number(element.get("min")), number(element.get("max"))
                    if (element.get("hidden") or "").lower() in _ON and first and last and first <= last:
                        sheet.hidden_columns.append((first - 1, last - 1))
                case "mergeCell":
                    if (where := _range(element.get("ref"))) is not None:
                        sheet.merged.append(where)
                    if len(sheet.merged) > _MAX_MERGED:
                        raise over("A sheet", len(sheet.merged), "merged cells", _MAX_MERGED, seen=True)
                case "hyperlink":
                    where = _range(element.get("ref"))
                    relation = related.get(element.get(f"{R}id") or "")
                    if where is not None and relation is not None and relation.external:
                        sheet.links[where[0], where[1]] = relation.target
                case "autoFilter":
                    if (where := _range(element.get("ref"))) is not None:
                        sheet.filtered.append(where)
                case "tablePart":
                    coloured = True
                    self._table(related.get(element.get(f"{R}id") or ""), sheet)
                case "conditionalFormatting":
                    coloured = True
                case "drawing":
                    self._drawing(related.get(element.get(f"{R}id") or ""), sheet)
                case _:
                    pass
        if not coloured:
            sheet.hidden_cells.update(white)
        self._notes(related, sheet)

    def _row(self, element: Any, at: int, sheet: Sheet, white: list[tuple[int, int]], rows_hide: bool) -> int:
        """Read one row; its place. Cells without an address follow the one before, as the standard has it."""
        written = number(element.get("r"))
        row = at if written is None else written - 1
        if not 0 <= row < MAX_ROWS:
            raise ReadError("corrupt", f"Sheet {sheet.name!r} has a row {row + 1:,}, which no sheet can have.")
        if (element.get("hidden") or ("1" if rows_hide else "")).lower() in _ON:
            sheet.hidden_rows.add(row)
        cells = sheet.rows.setdefault(row, {})
        column = -1
        blank, faint = self._styles.blank, self._styles.faint
        for cell in element:
            if cell.tag != _CELL:
                continue
            column = _column(cell.get("r"), column + 1)
            if not len(cell):
                continue
            style = int(s) if (s := cell.get("s")) and s.isdecimal() and len(s) < 7 else 0
            text, stored = self._value(cell, style)
            if not text and not stored:
                continue
            if not 0 <= column < MAX_COLUMNS:
                raise ReadError(
                    "corrupt", f"Sheet {sheet.name!r} has a column {column + 1:,}, which no sheet can have."
                )
            if not text:
                text, stored = stored, ""
                sheet.hidden_cells.add((row, column))
            self._limits.count(text)
            cells[column] = text
            if stored:
                if len(sheet.stored) < MAX_STORED:
                    sheet.stored[row, column] = stored
                else:
                    self._counts["stored"] += 1
            if style in blank:
                sheet.hidden_cells.add((row, column))
            elif style in faint:
                white.append((row, column))
        if not cells:
            del sheet.rows[row]
        return row

    def _value(self, cell: Any, style: int) -> Shown:
        kind = cell.get("t")
        value = formula = None
        for child in cell:
            if child.tag == _VALUE:
                value = child.text
            elif child.tag == _INLINE:
                return Shown(rich_text(child))
            elif child.tag == _FORMULA:
                formula = child.text or ""
        if value is None:
            if formula is None:
                return _NOTHING
            self._counts["formulas"] += 1
            return Shown(tidy(f"={formula}")) if formula else _NOTHING
        if kind == "s":
            place = int(value) if value.isdecimal() and len(value) < 10 else -1
            if 0 <= place < len(self._strings):
                return Shown(self._strings[place])
            self._counts["strings"] += 1
            return _NOTHING
        if kind in {None, "n"}:
            code = self._styles.codes[style] if style < len(self._styles.codes) else "General"
            return shown(value, code, self._since_1904)
        if kind == "b":
            return Shown("TRUE" if value.strip() in {"1", "true"} else "FALSE")
        return Shown(tidy(value.removesuffix("T00:00:00") if kind == "d" else value, lines=True))

    def _table(self, relation: Relation | None, sheet: Sheet) -> None:
        root = self._package.xml(relation.target) if relation is not None and not relation.external else None
        where = _range(root.get("ref")) if root is not None else None
        if root is not None and where is not None:
            rows = number(root.get("headerRowCount"))
            sheet.tables.append((where, 1 if rows is None else max(0, min(rows, 5))))

    def _notes(self, related: dict[str, Relation], sheet: Sheet) -> None:
        threaded = set()
        for relation in related.values():
            root = self._package.xml(relation.target) if relation.kind == "threadedComment" else None
            for one in root.iterfind(f"{_THREADED}threadedComment") if root is not None else ():
                where, text = _range(one.get("ref")), tidy(one.findtext(f"{_THREADED}text") or "")
                if where is not None and text:
                    threaded.add(where[:2])
                    sheet.notes.append(Note(where[0], where[1], text, self._people.get(one.get("personId") or "", "")))
        for relation in related.values():
            root = self._package.xml(relation.target) if relation.kind == "comments" else None
            if root is None:
                continue
            authors = [tidy(one.text or "") for one in root.iterfind(f"{S}authors/{S}author")]
            for one in root.iterfind(f"{S}commentList/{S}comment"):
                where, inside = _range(one.get("ref")), one.find(f"{S}text")
                if where is None or inside is None or where[:2] in threaded:
                    continue  # old programs see a copy of a thread here
                by = number(one.get("authorId"))
                author = authors[by] if by is not None and 0 <= by < len(authors) else ""
                text = rich_text(inside).removeprefix(f"{author}:").strip() if author else rich_text(inside)
                if text:
                    sheet.notes.append(Note(where[0], where[1], tidy(text), "" if author.startswith("tc=") else author))
        for note in sheet.notes:
            self._limits.count(note.text)

    def _drawing(self, relation: Relation | None, sheet: Sheet) -> None:
        root = self._package.xml(relation.target) if relation is not None and not relation.external else None
        if relation is None or root is None:
            return
        related = relations(self._package, relation.target)
        for anchor in root:
            row, column = (number(anchor.findtext(f"{_XDR}from/{_XDR}{tag}")) for tag in ("row", "col"))
            known = row is not None and column is not None and 0 <= row < MAX_ROWS and 0 <= column < MAX_COLUMNS
            place = (row or 0, column or 0) if known else None
            for shape in anchor.iter(f"{_XDR}sp", f"{_XDR}pic", f"{C}chart"):
                piece = self._drawn(shape, related)
                if piece is not None:
                    sheet.drawn.append((piece, place))

    def _drawn(self, shape: Any, related: dict[str, Relation]) -> Piece | None:
        """A text box, a chart or a picture, if it says or shows anything."""
        if shape.tag == f"{_XDR}sp":
            said = "\n".join(line.text for line in lines_of(shape.find(f"{_XDR}txBody")))
            self._limits.count(said)
            return Piece(BlockKind.PARAGRAPH, said) if said else None
        blip = shape.find(f".//{A}blip")
        identity = shape.get(f"{R}id") if blip is None else blip.get(f"{R}embed")
        found = related.get(identity or "")
        if found is None or found.external:
            return None
        if shape.tag == f"{C}chart":
            return chart_piece(self._package, found.target, self._limits.max_cells)
        alt = alt_text(shape.find(f"{_XDR}nvPicPr/{_XDR}cNvPr"))
        made = picture_in(self._package, found.target, alt)
        if made is None and self._package.part(found.target):
            self.lost_pictures += 1
        return Piece(BlockKind.FIGURE, alt, asset=made) if made is not None or alt else None


_CELL, _VALUE, _FORMULA, _INLINE = (f"{S}{tag}" for tag in ("c", "v", "f", "is"))
_NOTHING: Final = Shown("")
_ADDRESS: Final = re.compile(r"([A-Za-z]{1,3})\d{1,7}$")
_SAID: Final = {
    "hidden": "Hidden sheets, marked as hidden: {}.",
    "very_hidden": "Very hidden sheets (which no menu shows), marked as hidden: {}.",
    "rows": "Hidden rows, marked as hidden: {}.",
    "columns": "Hidden columns, marked as hidden: {}.",
    "cells": "Cells that nobody can see, marked as hidden: {}.",
    "formulas": "Formulas without a stored result, which stand for themselves: {}. Open and save the file.",
    "strings": "Cells that name a text which the file does not hold, left empty: {}.",
    "stored": "Values of which only what is shown was kept: {}.",
    "macros": "Macro and dialog sheets that were left out: {}.",
    "lost": "Sheets that the workbook names and the file does not hold: {}.",
}


@lru_cache(maxsize=65_536)
def _columns(letters: str) -> int:
    return column_number(letters.upper())


def _column(address: str | None, following: int) -> int:
    found = _ADDRESS.match(address) if address else None
    return _columns(found[1]) if found else following


def _range(text: str | None) -> tuple[int, int, int, int] | None:
    try:
        return parse_range((text or "").partition(" ")[0])
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def shown(value: str, code: str, since_1904: bool) -> Shown:
    """A number as written in a file under a format; what is no number is shown as it is written."""
    if code == "General" and len(value) < 15 and value.isdecimal() and (value[0] != "0" or value == "0"):
        return Shown(value)
    try:
        return show(float(value), code, since_1904=since_1904)
    except (ValueError, OverflowError):
        return Shown(tidy(value))
