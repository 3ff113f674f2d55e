"""Old Excel workbooks (BIFF, .xls) by way of xlrd, which knows formats, merged and hidden cells; calamine knows values.

What xlrd hands out goes the way of all spreadsheets: a `Sheet`, then blocks.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.colours import near
from citewell.reading.formats import XLS
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.number_format import BUILT_IN, Shown, plain, show, shows_nothing
from citewell.reading.pieces import Builder, title_from_uri
from citewell.reading.sheets import MAX_STORED, Limits, Note, Sheet, add_sheets
from citewell.reading.tidy import tidy
from citewell.types import Document, Source

_EMPTY, _TEXT, _NUMBER, _DATE, _BOOLEAN, _ERROR = range(6)
_MAX_MERGED: Final = 200_000
_LAST_WORDS: Final = "Save it as .xlsx and ingest that."


class XlsReader:
    """Reads .xls bytes of Excel 5.0 to 2003; macros are never looked at. See `XlsxReader` for what a cell's text is."""

    identity = versions.XLS

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The sheets in their order, each with its tables and notes; what is hidden is flagged.

        Raises ReadError: corrupt, encrypted, limit_exceeded, no_text.
        """
        book = _open(source.content)
        builder = Builder(max_cells=self._max_cells)
        limits = Limits(self._max_cells)
        add_sheets(builder, (_read(book, found, limits) for found in book.sheets()), self._max_cells)
        hidden = sum(found.visibility != 0 for found in book.sheets())
        warnings = [f"Hidden sheets, marked as hidden: {hidden}."] if hidden else []
        metadata, left_out = document_metadata({"last_modified_by": tidy(book.user_name or "")})
        return builder.document(
            source,
            reader=self.identity,
            media_type=XLS,
            title=title_from_uri(source.uri),
            metadata=metadata,
            warnings=(*warnings, *left_out),
            hidden_told=True,
        )


def _open(content: bytes) -> Any:
    import xlrd

    try:
        return xlrd.open_workbook(file_contents=content, formatting_info=True, logfile=io.StringIO(), on_demand=False)
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise ReadError("encrypted", "The workbook is protected by a password. Save it without one.") from error
        raise ReadError("corrupt", f"The workbook is damaged: {error}. {_LAST_WORDS}") from error
    except Exception as error:
        # xlrd trusts what the file says of its own parts; there is no end to how that can be wrong.
        said = f"The workbook is damaged ({type(error).__name__}). {_LAST_WORDS}"
        raise ReadError("corrupt", said) from error


def _is_faint(book: Any, style: int) -> bool:
    """Whether a style writes in the colour of what it stands on, or too small to read."""
    if not 0 <= style < len(book.xf_list):
        return False
    look = book.xf_list[style]
    if not 0 <= look.font_index < len(book.font_list):
        return False
    font = book.font_list[look.font_index]
    if font.height <= 20:  # twentieths of a point
        return True
    filled = look.background.fill_pattern
    if filled > 1:
        return False
    ground = book.colour_map.get(look.background.pattern_colour_index) if filled else (255, 255, 255)
    ink = book.colour_map.get(font.colour_index)
    return bool(ink and ground) and near("{:02X}{:02X}{:02X}".format(*ink), "{:02X}{:02X}{:02X}".format(*ground))


def _read(book: Any, found: Any, limits: Limits) -> Sheet:
    sheet = Sheet(tidy(found.name) or "Sheet", hidden=found.visibility != 0)
    formats = book.format_map
    codes: dict[int, str] = {}
    unseen: dict[int, bool] = {}
    for row in range(found.nrows):
        cells: dict[int, str] = {}
        for column, (kind, value, style) in enumerate(
            zip(found.row_types(row), found.row_values(row), _styles(found, row), strict=False)
        ):
            if kind == _EMPTY or kind > _ERROR or value == "":
                continue
            if style not in codes:
                codes[style] = _code(book, formats, style)
            text, stored = _shown(kind, value, codes[style], book.datemode == 1)
            if not text and stored:
                text, stored = stored, ""
                sheet.hidden_cells.add((row, column))
            if text:
                limits.count(text)
                cells[column] = text
                if stored and len(sheet.stored) < MAX_STORED:
                    sheet.stored[row, column] = stored
                if style not in unseen:
                    unseen[style] = shows_nothing(codes[style]) or _is_faint(book, style)
                if unseen[style]:
                    sheet.hidden_cells.add((row, column))
        if cells:
            sheet.rows[row] = cells
    sheet.hidden_rows = {row for row, info in found.rowinfo_map.items() if info.hidden}
    sheet.hidden_columns = [(column, column) for column, info in found.colinfo_map.items() if info.hidden]
    if len(found.merged_cells) > _MAX_MERGED:
        raise over("A sheet", len(found.merged_cells), "merged cells", _MAX_MERGED)
    sheet.merged = [(top, left, bottom - 1, right - 1) for top, bottom, left, right in found.merged_cells]
    sheet.notes = list(_notes(found))
    sheet.links = {
        (link.frowx, link.fcolx): link.url_or_path
        for link in found.hyperlink_list
        if isinstance(link.url_or_path, str) and link.type == "url"
    }
    if found.panes_are_frozen and 0 < found.horz_split_pos < 100:
        sheet.frozen_rows = found.horz_split_pos
    for note in sheet.notes:
        limits.count(note.text)
    return sheet


def _styles(found: Any, row: int) -> list[int]:
    return [found.cell_xf_index(row, column) for column in range(found.row_len(row))]


def _code(book: Any, formats: Any, style: int) -> str:
    key = book.xf_list[style].format_key if 0 <= style < len(book.xf_list) else 0
    if key in {14, 22}:
        return BUILT_IN[key]
    written = formats[key].format_str if key in formats else ""
    return str(written) or BUILT_IN.get(key, "General")


def _shown(kind: int, value: Any, code: str, since_1904: bool) -> Shown:
    from xlrd.biffh import error_text_from_code

    if kind == _TEXT:
        return Shown(tidy(str(value), lines=True))
    if kind == _BOOLEAN:
        return Shown("TRUE" if value else "FALSE")
    if kind == _ERROR:
        return Shown(error_text_from_code.get(value, "#N/A"))
    number = float(value)
    if not math.isfinite(number):
        return Shown(plain(number))
    return show(number, code, since_1904=since_1904)


def _notes(found: Any) -> Iterator[Note]:
    for (row, column), note in found.cell_note_map.items():
        author = tidy(note.author or "")
        text = tidy((note.text or "").removeprefix(f"{author}:") if author else note.text or "")
        if text:
            yield Note(row, column, text, author)
