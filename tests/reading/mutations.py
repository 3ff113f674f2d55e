"""Files broken by chance: bits turned, ends cut off, stretches copied and repeated, numbers that lie."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

_LIES: Final = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_DIGITS: Final = (b"0", b"-1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e999", b"NaN")
_NESTING: Final = (b"<div>", b"[", b"{\\b ", b"> ", b"<<", b"(", b"<a><b>", b'{"a":')


def mutated(content: bytes, seed: int) -> bytes:
    """`content` with one to four faults, the same for the same seed.

    What is packed in a ZIP archive is broken within, and packed again: else its checksums would hide every fault.
    """
    chance = random.Random(seed)
    if content.startswith(b"PK") and chance.random() < 0.8:
        return _repacked(content, chance)
    for _ in range(chance.randint(1, 4)):
        content = chance.choice(_FAULTS)(content, chance)
    return content


def _repacked(content: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    chosen = chance.randrange(len(parts))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, part) in enumerate(parts):
            inner = part
            if number == chosen:
                for _ in range(chance.randint(1, 3)):
                    inner = chance.choice(_FAULTS)(inner, chance)
            archive.writestr(name, inner, zipfile.ZIP_STORED if name == "mimetype" else None)
    return buffer.getvalue()


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 12)):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _drop(content: bytes, chance: random.Random) -> bytes:
    start, end = _stretch(content, chance)
    return content[:start] + content[end:]


def _copy(content: bytes, chance: random.Random) -> bytes:
    start, end = _stretch(content, chance)
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[start:end] + content[at:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = _stretch(content, chance)
    times = max(1, min(chance.choice((2, 50, 5000)), 200_000 // max(1, end - start)))
    return content[:end] + content[start:end] * times + content[end:]


def _nest(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.choice(_NESTING) * chance.choice((10, 300, 20_000)) + content[at:]


def _lie(content: bytes, chance: random.Random) -> bytes:
    size, order = chance.choice((1, 2, 4)), chance.choice("<>")
    if len(content) < size:
        return content
    at = chance.randrange(len(content) - size + 1)
    value = chance.choice(_LIES) & ((1 << 8 * size) - 1)
    return content[:at] + struct.pack(order + {1: "B", 2: "H", 4: "I"}[size], value) + content[at + size :]


def _number(content: bytes, chance: random.Random) -> bytes:
    """A number that is written out becomes another."""
    places = [at for at, sign in enumerate(content) if 48 <= sign <= 57]
    if not places:
        return content
    start = end = chance.choice(places)
    while end < len(content) and 48 <= content[end] <= 57:
        end += 1
    return content[:start] + chance.choice(_DIGITS) + content[end:]


def _noise(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.randint(1, 200)) + content[at:]


def _resum(content: bytes, chance: random.Random) -> bytes:
    """A PNG chunk whose size or content lies, with the checksum it should have."""
    at = content.find(b"IHDR")
    if at < 0:
        return _flip(content, chance)
    head = bytearray(content[at + 4 : at + 17])
    if len(head) < 13:
        return content
    head[chance.randrange(13)] = chance.choice((0, 1, 2, 3, 4, 6, 8, 16, 127, 255))
    return content[: at + 4] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + content[at + 21 :]


def _stretch(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 4, 40, 400)))


_FAULTS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    _flip, _flip, _cut, _drop, _copy, _repeat, _nest, _lie, _lie, _number, _number, _noise, _resum,
)  # fmt: skip
