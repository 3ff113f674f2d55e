"""A Document as plain JSON, and back under suspicion: what a worker answers may come from whoever wrote the file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from citewell.errors import ReadError
from citewell.types import Block, BlockKind, Cell, Document, Region, Source, Span

LENGTH = struct.Struct(">Q")


def frame(value: Mapping[str, Any]) -> bytes:
    """`value` as JSON behind its length."""
    raw = json.dumps(value).encode()
    return LENGTH.pack(len(raw)) + raw


def _region_data(region: Region) -> list[Any]:
    return [region.page, list(region.box) if region.box else None]


def to_data(document: Document) -> dict[str, Any]:
    """`document` as JSON-able data, without what the owner of the worker knows itself."""
    return {
        "title": document.title,
        "text": document.text,
        "media_type": document.media_type,
        "metadata": {key: list(v) if isinstance(v, tuple) else v for key, v in document.metadata.items()},
        "pages": document.pages,
        "warnings": list(document.warnings),
        "blocks": [
            [
                block.kind.value,
                block.span.start,
                block.span.end,
                block.level,
                list(block.heading_path),
                [_region_data(region) for region in block.regions],
                [
                    [
                        cell.row,
                        cell.column,
                        cell.span.start,
                        cell.span.end,
                        cell.header,
                        cell.row_span,
                        cell.column_span,
                        _region_data(cell.region) if cell.region else None,
                    ]
                    for cell in block.cells
                ],
                [block.caption.start, block.caption.end] if block.caption else None,
                [block.question.start, block.question.end] if block.question else None,
                block.boilerplate,
                block.hidden,
                block.confidence,
                block.language,
            ]
            for block in document.blocks
        ],
    }


def to_document(data: Mapping[str, Any], source: Source, identity: str) -> Document:
    """The document in a worker's answer. Raises ReadError when it breaks what Document and Block promise."""
    try:
        text = _text(data["text"])
        blocks = tuple(_to_block(row, len(text)) for row in data["blocks"])
        _check(all(a.span.end <= b.span.start for a, b in pairwise(blocks)))
        pages = data["pages"]
        _check(pages is None or (type(pages) is int and pages > 0))
        return Document.of(
            source,
            reader=identity,
            media_type=_text(data["media_type"]),
            title=_text(data["title"]),
            text=text,
            blocks=blocks,
            metadata={_text(key): _to_value(value) for key, value in data["metadata"].items()},
            pages=pages,
            warnings=tuple(_text(warning) for warning in data["warnings"]),
        )
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ReadError(
            "corrupt", f"The parser's answer is not a document ({error!r}). The file may be hostile."
        ) from error


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("a rule of Document does not hold")


def _text(value: Any) -> str:
    _check(isinstance(value, str))
    return str(value)


def _to_value(value: Any) -> str | int | float | bool | tuple[str | int | float | bool, ...] | None:
    if isinstance(value, list):
        _check(all(isinstance(one, (str, int, float, bool)) for one in value))
        return tuple(value)
    _check(value is None or isinstance(value, (str, int, float, bool)))
    return value  # type: ignore[no-any-return]


def _to_span(start: Any, end: Any, length: int) -> Span:
    _check(type(start) is int and type(end) is int and 0 <= start <= end <= length)
    return Span(start, end)


def _to_region(data: Sequence[Any]) -> Region:
    page, box = data
    _check(type(page) is int and page >= 1)
    if box is None:
        return Region(page)
    x0, y0, x1, y1 = (float(number) for number in box)
    return Region(page, (x0, y0, x1, y1))


def _to_block(row: Sequence[Any], length: int) -> Block:
    kind, start, end, level, path, regions, cells, caption, question, boilerplate, hidden, confidence, language = row
    _check(type(level) is int)
    return Block(
        BlockKind(kind),
        _to_span(start, end, length),
        level=level,
        heading_path=tuple(_text(part) for part in path),
        regions=tuple(_to_region(region) for region in regions),
        cells=tuple(_to_cell(cell, length) for cell in cells),
        caption=_to_span(caption[0], caption[1], length) if caption else None,
        question=_to_span(question[0], question[1], length) if question else None,
        boilerplate=bool(boilerplate),
        hidden=bool(hidden),
        confidence=None if confidence is None else float(confidence),
        language=None if language is None else _text(language),
    )


def _to_cell(data: Sequence[Any], length: int) -> Cell:
    row, column, start, end, header, row_span, column_span, region = data
    _check(all(type(number) is int for number in (row, column, row_span, column_span)))
    return Cell(
        row,
        column,
        _to_span(start, end, length),
        header=bool(header),
        row_span=row_span,
        column_span=column_span,
        region=_to_region(region) if region else None,
    )
