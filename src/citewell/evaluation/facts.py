"""Whether a parsed document holds the facts that a manifest names: one line of JSON a file, with what must be found.

A fact is an object with a `kind` and a `value`: `text` (with `page` or `slide`), `heading` (with `level`), `table_row`,
`line` (of delimited text), `cell` (with `sheet`), `sheets`, `header` (of a mail), `attachments`, `page_count`,
`slide_count`, `notes`, `field` (of a form, wherever it stands), `error` (the kind of error that must be raised).
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from citewell.types import BlockKind, Document


def holds(fact: Mapping[str, Any], document: Document) -> bool:
    """Whether `document` holds `fact`; False for a kind that is not known."""
    value = fact["value"]
    match fact["kind"]:
        case "text" | "notes":
            page = fact.get("page") or fact.get("slide")
            return _plain(value) in _plain(_on_page(document, page) if document.pages else document.text)
        case "heading":
            return any(
                (_plain(text) == _plain(value) or _plain(text).endswith(f" {_plain(value)}"))
                and fact.get("level") in (None, level)
                for text, level in _headings(document)
            )
        case "table_row":
            return any(_runs_through([_plain(one) for one in value], row) for row in _rows(document))
        case "line":
            return any(
                _runs_through([_plain(one) for one in next(csv.reader([value], delimiter=sign)) if one.strip()], row)
                for sign in ";,\t|"
                for row in _rows(document)
                if sign in value
            )
        case "cell":
            return _has_cell(document, str(fact.get("sheet", "")), str(value))
        case "sheets":
            return all(_plain(name) in _plain(document.text) or name in _parts(document) for name in value)
        case "header":
            said = [*map(str, document.metadata.values()), document.title, document.text]
            return any(_plain(value) in _plain(one) for one in said)
        case "attachments":
            names = {one.uri.rpartition("!/")[2] for one in document.attachments}
            return set(value) <= names
        case "page_count" | "slide_count":
            return bool(document.pages == value)
        case "field":
            return _bare(value) in _bare(document.text)
        case _:
            return False


def lines_found(lines: Sequence[str], document: Document) -> float:
    """The share in [0, 1] of these lines of a picture that `document` has, by their letters and digits.

    Case, spaces and punctuation do not count, nor do lines without any letter or digit; 1.0 where none is left. A line
    that stands there twice must be found twice.
    """
    text = _signs(document.text)
    wanted = Counter(signs for line in lines if (signs := _signs(line)))
    found = sum(min(count, text.count(line)) for line, count in wanted.items())
    return found / wanted.total() if wanted else 1.0


def _on_page(document: Document, page: int | None) -> str:
    if page is None:
        return document.text
    blocks = [block for block in document.blocks if any(region.page == page for region in block.regions)]
    return "\n".join(block.span.of(document.text) for block in blocks)


def _headings(document: Document) -> Iterable[tuple[str, int]]:
    return ((block.span.of(document.text), block.level) for block in document.blocks if block.kind is BlockKind.HEADING)


def _rows(document: Document) -> list[list[str]]:
    """The texts of the cells of every row of every table, empty ones left out."""
    rows: list[list[str]] = []
    for block in document.blocks:
        held: dict[int, list[str]] = {}
        for cell in block.cells:
            if text := _plain(cell.span.of(document.text)):
                held.setdefault(cell.row, []).append(text)
        rows += held.values()
    return rows


def _runs_through(values: Sequence[str], row: Sequence[str]) -> bool:
    """Whether `values` come in this order in `row`."""
    at = iter(row)
    return all(any(value == cell for cell in at) for value in values if value)


def _has_cell(document: Document, sheet: str, value: str) -> bool:
    for block in document.blocks:
        part = block.source.part if block.source else ""
        where = {*block.heading_path, part, part.rpartition("!")[0].strip("'")}  # of `Sheet4!A1` or `'A sheet'!A1`
        for cell in block.cells:
            if cell.source:
                where.add(cell.source.part)
            said = _plain(cell.span.of(document.text))
            if (said == _plain(value) or _number(said) == _number(value) is not None) and (
                not sheet or sheet in where or len(_parts(document)) < 2
            ):
                return True
        # A title above a table and a lone cell are no tables; the stored values of a table stand below it as a list.
        if block.source is not None and (not sheet or sheet in where):
            said = _plain(block.span.of(document.text))
            if said == _plain(value) or re.search(rf"\b[A-Z]+\d+ = {re.escape(_stored(value))}(?=[;.]?(?:\s|$))", said):
                return True
    return False


def _parts(document: Document) -> set[str]:
    return {block.source.part for block in document.blocks if block.source and block.source.part}


def _stored(value: str) -> str:
    """A value as we write it down: a time to the millisecond."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})000", value)
    return found[1] if found else _plain(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", str(text)).split())


def _bare(text: str) -> str:
    return "".join(_plain(text).casefold().split())


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, _bare(text)))
