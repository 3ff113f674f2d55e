"""What is inside a signed mail that came as one opaque part (S/MIME, `smime.p7m`): its bytes, signatures aside.

Cryptographic Message Syntax, RFC 5652, in the basic encoding rules of ASN.1. Signatures are not checked: who wrote a
mail is told by its header here, signed or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from citewell.errors import ReadError

_SIGNED: Final = bytes.fromhex("2a864886f70d010702")
_LOCKED: Final = frozenset(
    bytes.fromhex(oid) for oid in ("2a864886f70d010703", "2a864886f70d010706", "2a864886f70d0109100117")
)
_SEQUENCE, _OCTETS, _OCTETS_IN_PARTS = 0x30, 0x04, 0x24
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    start: int
    end: int
    after: int


def signed_content(content: bytes) -> bytes:
    """The bytes that are signed in a CMS message. Raises ReadError encrypted, and corrupt for anything else."""
    try:
        kind, *rest = _children(content, _sequence(content, 0))
        oid = content[kind.start : kind.end]
        if oid in _LOCKED:
            raise ReadError("encrypted", "The mail is encrypted. Save it decrypted and ingest it again.")
        if oid == _SIGNED:
            (signed,) = _children(content, rest[0])
            for element in _children(content, signed):
                if element.tag == _SEQUENCE:
                    _, held = _children(content, element)
                    return b"".join(_octets(content, part) for part in _children(content, held))
    except (IndexError, ValueError):
        pass
    raise ReadError("corrupt", "The signed part of the mail is damaged: its envelope holds no content.")


def _sequence(content: bytes, at: int) -> _Element:
    found = _element(content, at, 0)
    if found.tag != _SEQUENCE:
        raise ValueError("no sequence")
    return found


def _element(content: bytes, at: int, depth: int) -> _Element:
    """The element at `at`. Raises IndexError or ValueError where there is none."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    tag, length, start = content[at], content[at + 1], at + 2
    if length == 0x80:  # it ends where two zero bytes stand in place of a child
        end = start
        while content[end : end + 2] != b"\0\0":
            end = _element(content, end, depth + 1).after
        return _Element(tag, start, end, end + 2)
    if length > 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(content[start : start + size], "big"), start + size
    if start + length > len(content):
        raise ValueError("cut off")
    return _Element(tag, start, start + length, start + length)


def _children(content: bytes, parent: _Element) -> Iterator[_Element]:
    at = parent.start
    while at < parent.end:
        child = _element(content, at, 0)
        yield child
        at = child.after


def _octets(content: bytes, element: _Element, depth: int = 0) -> bytes:
    if element.tag == _OCTETS:
        return content[element.start : element.end]
    if element.tag != _OCTETS_IN_PARTS or depth > _DEEPEST:
        raise ValueError("no octets")
    return b"".join(_octets(content, part, depth + 1) for part in _children(content, element))
