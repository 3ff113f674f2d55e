"""Outlook messages made in code: properties in a container of the smallest kind there is."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, "bytes | Tree"]
_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF


def text(number: int, value: str) -> dict[str, bytes | Tree]:
    """A text property, in UTF-16."""
    return {f"__substg1.0_{number:04X}001F": value.encode("utf-16-le")}


def data(number: int, value: bytes) -> dict[str, bytes | Tree]:
    """A property of bytes."""
    return {f"__substg1.0_{number:04X}0102": value}


def fixed(skip: int, *values: tuple[int, int, int]) -> dict[str, bytes | Tree]:
    """Properties of fixed size: (type, number, value) each, behind a head of `skip` bytes."""
    rows = b"".join(struct.pack("<HHIQ", kind, number, 6, value) for kind, number, value in values)
    return {"__properties_version1.0": b"\0" * skip + rows}


def container(tree: Tree) -> bytes:
    """An OLE container with `tree` in it: siblings in one chain, streams below 4096 bytes in the stream of such."""
    entries: list[tuple[str, int, int, int, int, int]] = []  # name, kind, right, child, start, size
    sectors: list[bytes] = []
    chains: list[int] = []

    def store(content: bytes) -> int:
        first = len(sectors)
        pieces = [content[at : at + 512].ljust(512, b"\0") for at in range(0, len(content), 512)]
        for n, piece in enumerate(pieces):
            sectors.append(piece)
            chains.append(first + n + 1 if n + 1 < len(pieces) else _END)
        return first if pieces else _END

    small = bytearray()
    small_chains: list[int] = []

    def store_small(content: bytes) -> int:
        first, count = len(small_chains), -(-len(content) // 64)
        small.extend(content.ljust(count * 64, b"\0"))
        small_chains.extend(first + n + 1 if n + 1 < count else _END for n in range(count))
        return first if count else _END

    def add(name: str, node: bytes | Tree) -> int:
        place = len(entries)
        entries.append(("", 0, 0, 0, 0, 0))
        if isinstance(node, bytes):
            start = store(node) if len(node) >= 4096 else store_small(node)
            entries[place] = (name, 2, _NONE, _NONE, start, len(node))
            return place
        places = [add(child, below) for child, below in sorted(node.items(), key=lambda one: (len(one[0]), one[0]))]
        for one, after in pairwise(places):
            entries[one] = (*entries[one][:2], after, *entries[one][3:])
        entries[place] = (name, 1 if place else 5, _NONE, places[0] if places else _NONE, 0 if place else _END, 0)
        return place

    add("Root Entry", tree)
    assert len(small_chains) <= 128
    entries[0] = (*entries[0][:4], store(bytes(small)), len(small))
    small_fat = store(struct.pack(f"<{len(small_chains)}I", *small_chains)) if small_chains else _END
    directory = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", 2 * len(name) + 2, kind, 1, _NONE, right, child)
        + b"\0" * 36
        + struct.pack("<IQ", start, size)
        for name, kind, right, child, start, size in entries
    )
    first = store(directory.ljust(-(-len(directory) // 512) * 512, b"\0"))
    count = 1
    while (len(sectors) + count) * 4 > count * 512:
        count += 1
    fat_at = len(sectors)
    table = chains + [_FAT] * count
    table += [_FREE] * (count * 128 - len(table))
    fat = struct.pack(f"<{len(table)}I", *table)
    places = list(range(fat_at, fat_at + count))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    head += struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, count, first, 0, 4096, small_fat, 1, _END, 0, *places[:1]
    )
    head += struct.pack("<108I", *(places[1:] + [_FREE] * (109 - count)))
    return head + b"".join(sectors) + fat
