"""Data as people read it: flat records are tables, fields are lines, and the path to a value is its heading path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from citewell.reading.pieces import Piece
from citewell.reading.tables import Table
from citewell.types import BlockKind

Data: TypeAlias = "str | bool | Sequence[Data] | Mapping[str, Data] | None"
"""What JSON holds, numbers as they are written."""

MAX_HEADINGS: Final = 6  # what is deeper is named by its dotted path
_LONG: Final = 200  # characters: a longer value is a text of its own, not a field
_MAX_COLUMNS: Final = 40
_NAMES: Final = ("name", "title", "label", "id", "key", "slug", "heading", "subject")


@dataclass(frozen=True, slots=True)
class Field:
    """A piece with the keys and values that it was made of, in their order, to find it again in the source."""

    piece: Piece
    tokens: tuple[str, ...] = ()


def pieces_of(data: Data) -> Iterator[Field]:
    """The pieces of some data, in its order."""
    yield from _any(data, "", ())


def is_flat(value: Data) -> bool:
    """Whether a value is shown in one place: a scalar, or a short list of such."""
    if isinstance(value, list):
        return (
            len(value) <= 20
            and all(isinstance(one, (str, bool)) or one is None for one in value)
            and not _is_long(value)
        )
    return not isinstance(value, dict)


def shown(value: Data) -> str:
    """A flat value as people read it; "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.strip()
    return ", ".join(filter(None, (shown(one) for one in value)))


def table_of(records: Sequence[Data]) -> Table | None:
    """The records as a table, None where they are not flat or too unlike for one."""
    columns: dict[str, int] = {}
    for record in records:
        if not isinstance(record, dict) or not record:
            return None
        for key, value in record.items():
            if not is_flat(value) or (isinstance(value, str) and (len(value) > _LONG or "\n\n" in value)):
                return None
            columns[key] = columns.get(key, 0) + 1
        if len(columns) > _MAX_COLUMNS:
            return None
    if not columns or sum(columns.values()) < 0.5 * len(columns) * len(records):
        return None
    rows: list[Sequence[str | None]] = [list(columns)]
    rows.extend([shown(record.get(key)) if isinstance(record, dict) else "" for key in columns] for record in records)
    return Table(rows, header_rows=1)


def _any(data: Data, name: str, path: tuple[str, ...]) -> Iterator[Field]:
    if isinstance(data, dict):
        yield from _object(data, name, path)
    elif isinstance(data, list):
        yield from _list(data, name, path)
    elif text := shown(data):
        yield from _texts(name, text, path)


def _object(data: Mapping[str, Data], name: str, path: tuple[str, ...]) -> Iterator[Field]:
    lines: list[str] = []
    tokens: list[str] = []

    def close() -> Iterator[Field]:
        if lines:
            yield Field(Piece(BlockKind.PARAGRAPH, "\n".join(lines), path=path), tuple(tokens))
        lines.clear()
        tokens.clear()

    for key, value in data.items():
        label = f"{name}.{key}" if name else key
        if is_flat(value) and not (isinstance(value, str) and (len(value) > _LONG or "\n" in value.strip())):
            if text := shown(value):
                lines.append(f"{label}: {text}")
                tokens.extend((key, *_scalars(value)))
            continue
        yield from close()
        if isinstance(value, str):
            yield from _texts(label, value, path)
        elif len(path) < MAX_HEADINGS and key.strip():
            heading = " ".join(key.split())
            yield Field(Piece(BlockKind.HEADING, heading, len(path) + 1), (key,))
            yield from _any(value, "", (*path, heading))
        else:
            yield from _any(value, label, path)
    yield from close()


def _list(data: Sequence[Data], name: str, path: tuple[str, ...]) -> Iterator[Field]:
    if len(data) > 1 and (table := table_of(data)) is not None:
        first, last = data[0], data[-1]
        assert isinstance(first, dict)
        assert isinstance(last, dict)
        ends = [token for value in list(last.values())[-1:] for token in _scalars(value)]
        yield Field(Piece(BlockKind.TABLE, table=table, caption=name, path=path), (next(iter(first), ""), *ends))
        return
    for number, item in enumerate(data, 1):
        if isinstance(item, dict):
            called = next((_called(key, item[key]) for key in _NAMES if isinstance(item.get(key), str)), "")
            if len(path) < MAX_HEADINGS and len(data) > 1:
                heading = " ".join(called[:_LONG].split()) or f"{name or 'Record'} {number}"
                yield Field(Piece(BlockKind.HEADING, heading, len(path) + 1))
                yield from _object(item, "", (*path, heading))
            else:
                yield from _object(item, f"{name}[{number}]" if name else "", path)
        elif isinstance(item, list):
            if is_flat(item):
                if text := shown(item):
                    yield Field(Piece(BlockKind.LIST_ITEM, text, path=path), tuple(_scalars(item)))
            else:
                yield from _list(item, name, path)
        elif text := shown(item):
            yield Field(Piece(BlockKind.LIST_ITEM, text, path=path), tuple(_scalars(item)))


def _called(key: str, value: Data) -> str:
    text = shown(value)
    return f"{key} {text}" if text.isdigit() else text


def _texts(name: str, text: str, path: tuple[str, ...]) -> Iterator[Field]:
    """A long text: its paragraphs, the first behind its name."""
    parts = [part for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]
    for number, part in enumerate(parts):
        said = part.strip("\n")
        token = max(said.split("\n"), key=len)
        text_ = f"{name}: {said}" if name and not number else said
        piece = Piece(BlockKind.PARAGRAPH, text_, path=path)
        yield Field(piece, (*((name.rpartition(".")[2],) if name and not number else ()), token))


def _scalars(value: Data) -> list[str]:
    if isinstance(value, list):
        return [token for one in value for token in _scalars(one)]
    return [value] if isinstance(value, str) else []


def _is_long(values: Sequence[Data]) -> bool:
    return sum(len(one) for one in values if isinstance(one, str)) > _LONG
