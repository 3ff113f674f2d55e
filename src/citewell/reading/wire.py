"""A Document as plain JSON with bytes behind it, and back under suspicion: the answer may come from whoever wrote the
file."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.attachments import Attachment, require_fit, safe_name
from citewell.reading.limits import over
from citewell.reading.packed_cells import PackedCells
from citewell.types import (
    Account,
    Asset,
    Block,
    BlockKind,
    Cell,
    Document,
    Link,
    Place,
    Reason,
    Region,
    Source,
    Span,
    Tally,
    TextLine,
    Value,
    content_hash,
)

LENGTH: Final = struct.Struct(">Q")
MAX_HEAD_BYTES: Final = 8 << 20
"""JSON that is parsed at once: the head of an answer, or one block."""
MAX_BLOCKS_BYTES: Final = 96 << 20
"""Of a document's blocks, some 100 each; they take about eight times as much as objects."""


def frame(value: Mapping[str, Any]) -> bytes:
    """`value` as JSON behind its length."""
    raw = json.dumps(value).encode()
    return LENGTH.pack(len(raw)) + raw


def answer_frame(value: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> list[bytes]:
    """The parts of one frame that holds `value` as JSON and `blobs` as they are: lengths, JSON, blobs."""
    raw = json.dumps({**value, "sizes": list(map(len, blobs))}).encode()
    return [LENGTH.pack(LENGTH.size + len(raw) + sum(map(len, blobs))), LENGTH.pack(len(raw)), raw, *blobs]


def parse_answer(content: bytes | bytearray | memoryview[int]) -> tuple[dict[str, Any], list[bytes]]:
    """What `answer_frame` made its frame's content of. Raises ReadError corrupt for anything else.

    And limit_exceeded for more than `MAX_HEAD_BYTES` of JSON, of which each byte may become 30 of memory here.
    """
    try:
        (size,) = LENGTH.unpack_from(content)
        at = LENGTH.size + size
        _check(at <= len(content))
        if size > MAX_HEAD_BYTES:
            raise _too_much("What is said of it (names, metadata)", size, MAX_HEAD_BYTES)
        value = json.loads(bytes(content[LENGTH.size : at]))
        blobs = []
        for length in value.pop("sizes"):
            _check(type(length) is int and 0 <= length <= len(content) - at)
            blobs.append(bytes(content[at : at + length]))
            at += length
        _check(at == len(content) and isinstance(value, dict))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, struct.error) as error:
        raise ReadError("corrupt", "The parser answered nonsense. The file is damaged or hostile.") from error
    return value, blobs


def to_data(document: Document) -> tuple[dict[str, Any], list[bytes]]:
    """`document` as JSON-able data, without what the owner of the worker knows itself, and the bytes it carries.

    These are the text, one line of JSON a block, the cells of all tables in columns, then images and attachments.
    """
    data: dict[str, Any] = {
        "title": document.title,
        "media_type": document.media_type,
        "metadata": _listed(document.metadata),
        "pages": document.pages,
        "warnings": list(document.warnings),
        "kept": _tally_data(document.account.kept),
        "left_out": {reason.value: _tally_data(tally) for reason, tally in document.account.left_out.items()},
        "assets": [
            [
                asset.media_type,
                asset.span.start,
                asset.span.end,
                [_region_data(region) for region in asset.regions],
                asset.alt,
                asset.name,
                asset.width,
                asset.height,
            ]
            for asset in document.assets
        ],
        "attachments": [
            [one.uri.removeprefix(document.uri)[2:], one.media_type, _listed(one.metadata), one.modified_at]
            for one in document.attachments
        ],
    }
    packed = PackedCells.of(cell for block in document.blocks for cell in block.cells)
    data["cell_names"] = packed.names
    blobs = [
        document.text.encode("utf-8", "surrogatepass"),
        b"\n".join(json.dumps(_block_data(block)).encode() for block in document.blocks),
        *packed.columns,
        *(asset.content for asset in document.assets),
        *(one.content for one in document.attachments),
    ]
    return data, blobs


def to_document(data: Mapping[str, Any], blobs: Sequence[bytes], source: Source, identity: str) -> Document:
    """The document in a worker's answer. Raises ReadError when it breaks what Document and Block promise."""
    try:
        raw, lines, numbers, places, regions, *rest = blobs
        text = raw.decode("utf-8", "surrogatepass")
        cells = PackedCells((numbers, places, regions), data["cell_names"]).cells(len(text))
        blocks = tuple(_to_blocks(lines, cells, len(text)))
        _check(next(cells, None) is None)
        _check(all(a.span.end <= b.span.start for a, b in pairwise(blocks)))
        pages = data["pages"]
        _check(pages is None or (type(pages) is int and pages > 0))
        left_out = {Reason(reason): _to_tally(tally) for reason, tally in data["left_out"].items()}
        rows, parts = data["assets"], data["attachments"]
        _check(len(rows) + len(parts) == len(rest))
        assets = tuple(_to_asset(row, blob, len(text)) for row, blob in zip(rows, rest, strict=False))
        _check({block.asset for block in blocks if block.asset} <= {asset.id for asset in assets})
        return Document.of(
            source,
            reader=identity,
            media_type=_text(data["media_type"]),
            title=_text(data["title"]),
            text=text,
            blocks=blocks,
            metadata=_to_metadata(data["metadata"]),
            pages=pages,
            warnings=tuple(_text(warning) for warning in data["warnings"]),
            account=Account.of(_to_tally(data["kept"]), left_out),
            assets=assets,
            attachments=_to_attachments(parts, rest[len(rows) :], source),
        )
    except (
        AssertionError,
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise ReadError(
            "corrupt", f"The parser's answer is not a document ({error!r}). The file may be hostile."
        ) from error


def _to_blocks(lines: bytes, cells: Iterator[Cell], length: int) -> Iterator[Block]:
    if len(lines) > MAX_BLOCKS_BYTES:
        raise _too_much("The list of its blocks", len(lines), MAX_BLOCKS_BYTES)
    # Line by line: all of it as lists at once would take several times the memory of the blocks.
    with io.BytesIO(lines) as file:
        while line := file.readline(MAX_HEAD_BYTES + 1):
            if len(line) > MAX_HEAD_BYTES:
                raise _too_much("One of its blocks", len(line), MAX_HEAD_BYTES)
            yield _to_block(json.loads(line), cells, length)


def _too_much(what: str, size: int, limit: int) -> ReadError:
    return over(what, size, "bytes", limit, "Split the file.")


def _listed(metadata: Mapping[str, Value]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in metadata.items()}


def _tally_data(tally: Tally) -> list[int]:
    return [tally.characters, tally.cells, tally.images, tally.pages]


def _region_data(region: Region) -> list[Any]:
    return [region.page, list(region.box) if region.box else None]


def _place_data(place: Place | None) -> list[Any] | None:
    return [place.start, place.end, place.unit, place.part] if place else None


def _block_data(block: Block) -> list[Any]:
    return [
        block.kind.value,
        block.span.start,
        block.span.end,
        block.level,
        list(block.heading_path),
        [_region_data(region) for region in block.regions],
        len(block.cells),
        [block.caption.start, block.caption.end] if block.caption else None,
        [block.question.start, block.question.end] if block.question else None,
        block.boilerplate,
        block.hidden,
        block.confidence,
        block.language,
        [[link.span.start, link.span.end, link.target] for link in block.links],
        block.asset,
        _place_data(block.source),
        [[line.span.start, line.span.end, *_region_data(line.region)] for line in block.lines],
    ]


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


def _to_metadata(data: Mapping[str, Any]) -> dict[str, Value]:
    return {_text(key): _to_value(value) for key, value in data.items()}


def _to_tally(data: Sequence[Any]) -> Tally:
    _check(all(type(number) is int for number in data))
    characters, cells, images, pages = data
    return Tally(characters, cells, images, pages)


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


def _to_place(data: Sequence[Any] | None) -> Place | None:
    if data is None:
        return None
    start, end, unit, part = data
    _check(type(start) is int and type(end) is int)
    return Place(start, end, _text(unit), _text(part))


def _to_asset(row: Sequence[Any], content: bytes, length: int) -> Asset:
    media_type, start, end, regions, alt, name, width, height = row
    _check(type(width) is int and type(height) is int)
    return Asset(
        content_hash(content),
        _text(media_type),
        content,
        _to_span(start, end, length),
        tuple(_to_region(region) for region in regions),
        _text(alt),
        _text(name),
        width,
        height,
    )


def _to_attachments(rows: Sequence[Any], blobs: Sequence[bytes], source: Source) -> tuple[Source, ...]:
    # Names are made safe again here: the worker that did it before read the file of a stranger.
    require_fit(len(blobs), sum(map(len, blobs)))
    made: dict[str, Source] = {}
    for (said, media_type, metadata, modified_at), content in zip(rows, blobs, strict=True):
        name = safe_name(_text(said), made, len(made) + 1)
        kind = None if media_type is None else _text(media_type)
        at = None if modified_at is None else _text(modified_at)
        made[name] = Attachment(name, content, kind, _to_metadata(metadata), at).of(source)
    return tuple(made.values())


def _to_block(row: Sequence[Any], cells: Iterator[Cell], length: int) -> Block:
    kind, start, end, level, path, regions, count, caption, question, *flags, links, asset, place, lines = row
    boilerplate, hidden, confidence, language = flags
    _check(type(level) is int and type(count) is int)
    own = tuple(islice(cells, count))
    _check(len(own) == count)
    return Block(
        BlockKind(kind),
        _to_span(start, end, length),
        level=level,
        heading_path=tuple(_text(part) for part in path),
        regions=tuple(_to_region(region) for region in regions),
        cells=own,
        caption=_to_span(caption[0], caption[1], length) if caption else None,
        question=_to_span(question[0], question[1], length) if question else None,
        boilerplate=bool(boilerplate),
        hidden=bool(hidden),
        confidence=None if confidence is None else float(confidence),
        language=None if language is None else _text(language),
        links=tuple(Link(_to_span(first, last, length), _text(target)) for first, last, target in links),
        asset=None if asset is None else _text(asset),
        source=_to_place(place),
        lines=tuple(TextLine(_to_span(first, last, length), _to_region(region)) for first, last, *region in lines),
    )
