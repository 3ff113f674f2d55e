"""CSV in any of its dialects: one table, or question/answer pairs where the header says so."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.decode import decode
from citewell.reading.faq import ANSWER_KEYS, QUESTION_KEYS, SECTION_KEYS, record_keys, record_piece
from citewell.reading.formats import CSV
from citewell.reading.limits import MAX_CELLS
from citewell.reading.pieces import Builder, Piece
from citewell.reading.positions import Positions, line_starts
from citewell.reading.tables import Table, too_many_cells
from citewell.types import BlockKind, Document, Place, Reason, Source, count_characters

_SAMPLE: Final = 65_536
_DELIMITERS: Final = ",;\t|"
_VALUE: Final = re.compile(r"[-+$€£¥(]*\s?[\d][\d\s.,:/%)-]*[A-Za-z%€$]{0,3}$")


class CsvReader:
    """Reads delimited text: one table block with one line a record, the header row marked.

    A column named question and one named answer make each record a FAQ block instead. A title line above a table of
    three or more columns becomes a paragraph. Blank records are left out.
    """

    identity = versions.CSV

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    @without_collector
    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded (`max_cells`)."""
        decoded = decode(source.content)
        delimiter = sniff(decoded.text[:_SAMPLE])
        warnings = [*decoded.warnings]
        rows, lines = self._rows(decoded.text, delimiter, warnings)
        starts = line_starts(decoded.text)
        spans = [(starts[first], starts[last] - 1) for first, last in lines]
        places = Positions(source.content, decoded).places(spans)
        builder = Builder(max_cells=self._max_cells)
        while len(rows) > 1 and len(rows[0]) < 3 <= len(rows[1]) and _filled(rows[0]) == 1:
            title = next(filter(str.strip, rows.pop(0)))
            builder.add(Piece(BlockKind.PARAGRAPH, title, source=places.pop(0)))
        header = _has_header(rows)
        question, answer = record_keys(rows[0]) if header else (None, None)
        if question is not None and answer is not None:
            names = [name.strip() for name in rows[0]]
            known = QUESTION_KEYS | ANSWER_KEYS | SECTION_KEYS
            records = [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]
            lacking = 0
            for record, row, place in zip(records, rows[1:], places[1:], strict=True):
                kept = bool(record.get(question, "").strip() and answer in record)
                if kept:
                    builder.add(replace(record_piece(record), source=place))
                lacking += not kept
                unused = [text for name, text in record.items() if not kept or name.strip().lower() not in known]
                unused += row[len(rows[0]) :]
                cells = sum(bool(text.strip()) for text in unused)
                builder.leave_out(Reason.UNREADABLE, characters=count_characters("".join(unused)), cells=cells)
            if lacking:
                warnings.append(f"{lacking} records without a question or an answer were left out.")
            if others := [name for name in names if name.lower() not in known]:
                warnings.append(f"Columns beside question and answer were left out: {', '.join(others)}.")
        else:
            whole = Place(places[0].start, places[-1].end, places[0].unit) if places else None
            table = Table(rows, header_rows=int(header), row_sources=places)
            builder.add(Piece(BlockKind.TABLE, table=table, source=whole))
        return builder.document(
            source,
            reader=self.identity,
            media_type=CSV,
            metadata={"encoding": decoded.encoding},
            warnings=warnings,
        )

    def _rows(self, text: str, delimiter: str, warnings: list[str]) -> tuple[list[list[str]], list[tuple[int, int]]]:
        """The records that hold something, and the lines [first, last) of each."""
        lines = text.split("\n")
        try:
            # The csv module cannot tell a newline inside quotes from the end of a record without the newline.
            reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
            return self._bounded((row, reader.line_num) for row in reader)
        except csv.Error:
            # A quote that never closes swallows lines until a field is too large for the csv module.
            warnings.append("Quotes do not match; fields were cut at every delimiter.")
            return self._bounded((line.split(delimiter), number) for number, line in enumerate(lines, 1))

    def _bounded(self, records: Iterable[tuple[list[str], int]]) -> tuple[list[list[str]], list[tuple[int, int]]]:
        rows, lines, cells, before = [], [], 0, 0
        for row, after in records:
            cells += len(row)
            if cells > self._max_cells:
                raise too_many_cells(cells, self._max_cells)
            if any(cell and not cell.isspace() for cell in row):
                rows.append(row)
                lines.append((before, after))
            before = after
        return rows, lines


def sniff(sample: str) -> str:
    """The delimiter under which most records of `sample` have the same number of fields, above one; comma if none."""
    best, best_score = ",", 0.0
    lines = sample.split("\n")
    if len(lines) > 1:
        sample = "\n".join(lines[:-1][:200])
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(sample.split("\n"), delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not widths:
            continue
        common = max(set(widths), key=widths.count)
        score = widths.count(common) / len(widths) * min(common, 20) if common > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    if len(rows) < 2:
        return False
    first = [cell.strip() for cell in rows[0]]
    if any(_VALUE.match(cell) for cell in first) or _filled(first) < max(1, len(first) - 1):
        return False
    return len(set(map(str.lower, first))) == len(first)


def _filled(row: Sequence[str]) -> int:
    return sum(1 for cell in row if cell.strip())
