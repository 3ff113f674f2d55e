"""How nouns are written into columns and read back: text, JSON, arrays."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from citewell.types import (
    Access,
    Account,
    Asset,
    Block,
    BlockKind,
    Cell,
    Link,
    Metadata,
    Place,
    Reason,
    Region,
    Span,
    Tally,
    TextLine,
    Value,
)


def pack_text(text: str) -> bytes:
    """UTF-8 that also carries lone surrogates, which a badly encoded source may leave in a text."""
    return text.encode("utf-8", "surrogatepass")


def unpack_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def shown(text: str) -> str:
    """`text` for a column that only people read: what UTF-8 cannot carry becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def storable(text: str) -> bool:
    """Whether `text` can be a key: SQLite holds UTF-8, which has no lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def dump_strings(values: Sequence[str]) -> str:
    return json.dumps(list(values))


def load_strings(raw: str) -> tuple[str, ...]:
    return tuple(json.loads(raw))


def dump_access(access: Access) -> str:
    return json.dumps({"allow": sorted(access.allow), "deny": sorted(access.deny)})


def load_access(raw: str) -> Access:
    rule = json.loads(raw)
    return Access(frozenset(rule["allow"]), frozenset(rule["deny"]))


def dump_metadata(metadata: Metadata) -> str:
    """JSON with sorted keys; tuples become lists. Raises TypeError for a value that is no `Value`."""
    return json.dumps({key: _checked(key, metadata[key]) for key in sorted(metadata)})


def _checked(key: object, value: object) -> object:
    if not isinstance(key, str):
        raise TypeError(f"metadata key {key!r} is not text")
    if isinstance(value, (tuple, list)) and all(isinstance(item, (str, int, float, bool)) for item in value):
        return list(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"metadata value of {key!r} is a {type(value).__name__}, not text, number, truth value or tuple")


def load_metadata(raw: str) -> Metadata:
    found: dict[str, Value] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(raw).items()
    }
    return found


def dump_identity(identity: Mapping[str, str]) -> str:
    return json.dumps(dict(identity), sort_keys=True)


def dump_blocks(blocks: Sequence[Block]) -> bytes:
    """Compressed JSON: one list a block, fields in the order of `Block`."""
    listed = [
        [
            block.kind.value,
            *_pair(block.span),
            block.level,
            block.heading_path,
            [_region(region) for region in block.regions],
            [
                [
                    cell.row,
                    cell.column,
                    *_pair(cell.span),
                    cell.header,
                    cell.row_span,
                    cell.column_span,
                    _region(cell.region) if cell.region else None,
                    *([_place(cell.source)] if cell.source else ()),
                ]
                for cell in block.cells
            ],
            _pair(block.caption) if block.caption else None,
            _pair(block.question) if block.question else None,
            block.boilerplate,
            block.hidden,
            block.confidence,
            block.language,
            *_extras(block),
        ]
        for block in blocks
    ]
    return zlib.compress(json.dumps(listed, separators=(",", ":")).encode("ascii"))


def load_blocks(raw: bytes) -> tuple[Block, ...]:
    """The blocks that `dump_blocks` wrote."""
    blocks = []
    for kind, start, end, level, path, regions, cells, caption, question, *flags in json.loads(zlib.decompress(raw)):
        plate, hidden, sure, language, *extras = flags
        links, asset, place, *lines = extras or ((), None, None)
        blocks.append(
            Block(
                kind=BlockKind(kind),
                span=Span(start, end),
                level=level,
                heading_path=tuple(path),
                regions=tuple(_as_region(region) for region in regions),
                cells=tuple(_as_cell(cell) for cell in cells),
                caption=Span(*caption) if caption else None,
                question=Span(*question) if question else None,
                boilerplate=plate,
                hidden=hidden,
                confidence=sure,
                language=language,
                links=tuple(Link(Span(first, last), target) for first, last, target in links),
                asset=asset,
                source=Place(*place) if place else None,
                lines=tuple(_as_line(line) for line in lines[0]) if lines else (),
            )
        )
    return tuple(blocks)


def dump_account(account: Account) -> str:
    """JSON: what was kept and, by reason, what was left out; what was found follows."""
    return json.dumps(
        {
            "kept": _tally(account.kept),
            "left_out": {reason.value: _tally(tally) for reason, tally in account.left_out.items()},
        }
    )


def load_account(raw: str) -> Account:
    """The account that `dump_account` wrote."""
    told = json.loads(raw)
    return Account.of(
        Tally(*told["kept"]), {Reason(reason): Tally(*tally) for reason, tally in told["left_out"].items()}
    )


def dump_asset(asset: Asset) -> str:
    """JSON of all that is known of an asset beside its bytes and its id."""
    regions = [_region(region) for region in asset.regions]
    said = (asset.description, asset.described_by) if asset.described_by else ()
    return json.dumps([*_pair(asset.span), regions, asset.alt, asset.name, *said])


def load_asset(columns: Sequence[Any]) -> Asset:
    """The asset of id, media type, width, height, bytes and what `dump_asset` wrote."""
    number, media_type, width, height, content, raw = columns
    start, end, regions, alt, name, *said = json.loads(raw)
    places = tuple(_as_region(region) for region in regions)
    return Asset(number, media_type, content, Span(start, end), places, alt, name, width, height, *said)


def load_description(raw: str) -> tuple[str, str] | None:
    """The description in what `dump_asset` wrote, and who gave it; None where nobody did."""
    said = json.loads(raw)[5:]
    return (said[0], said[1]) if said else None


def _extras(block: Block) -> tuple[object, ...]:
    # Most blocks have none of it, and format 1 knew none.
    if not (block.links or block.asset or block.source or block.lines):
        return ()
    links = [[*_pair(link.span), link.target] for link in block.links]
    known = links, block.asset, _place(block.source) if block.source else None
    return (*known, [_line(line) for line in block.lines]) if block.lines else known


def _line(line: TextLine) -> list[object]:
    return [*_pair(line.span), *_region(line.region)]


def _as_line(raw: Sequence[Any]) -> TextLine:
    start, end, *region = raw
    return TextLine(Span(start, end), _as_region(region))


def _place(place: Place) -> list[object]:
    if place.part:
        return [place.start, place.end, place.unit, place.part]
    return [place.start, place.end] if place.unit == "bytes" else [place.start, place.end, place.unit]


def _tally(tally: Tally) -> list[int]:
    return [tally.characters, tally.cells, tally.images, tally.pages]


def _as_cell(raw: Sequence[Any]) -> Cell:
    row, column, start, end, header, down, across, region, *place = raw
    where = _as_region(region) if region else None
    return Cell(row, column, Span(start, end), header, down, across, where, Place(*place[0]) if place else None)


def _pair(span: Span) -> tuple[int, int]:
    return span.start, span.end


def _region(region: Region) -> list[object]:
    return [region.page, list(region.box) if region.box else None]


def _as_region(raw: Sequence[object]) -> Region:
    page, box = raw
    assert isinstance(page, int)
    if box is None:
        return Region(page)
    assert isinstance(box, list)
    x0, y0, x1, y1 = box
    return Region(page, (x0, y0, x1, y1))
