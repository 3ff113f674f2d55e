"""What is inside a `winmail.dat`: files, and the text where Outlook put it there (TNEF, [MS-OXTNEF])."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_SIGNATURE: Final = 0x223E9F78
_ATTACHMENT, _TITLE, _DATA, _ATTACHMENT_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005
_PROPERTIES, _BODY, _CODEPAGE = 0x9003, 0x800C, 0x9007
_LONG_NAME, _SHORT_NAME, _MIME, _OBJECT = 0x3707, 0x3704, 0x370E, 0x3701
_TEXT, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_FIXED: Final = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_VARIABLE: Final = frozenset({13, 30, 31, 258})
_MANY: Final = 0x1000
_MOST: Final = 1_000  # files


@dataclass(slots=True)
class TnefFile:
    """A file in a `winmail.dat`; `media_type` is "" where it does not say."""

    name: str = ""
    content: bytes = b""
    media_type: str = ""


@dataclass(slots=True)
class Tnef:
    """The files in a `winmail.dat`, and the text of the mail in the forms that it has there (`rtf` is packed)."""

    files: list[TnefFile] = field(default_factory=list)
    text: str = ""
    html: bytes = b""
    rtf: bytes = b""


def is_tnef(content: bytes) -> bool:
    """Whether `content` begins as a TNEF stream does."""
    return content[:4] == struct.pack("<I", _SIGNATURE)


def read_tnef(content: bytes) -> Tnef:
    """What a TNEF stream holds, as far as it is whole."""
    found = Tnef()
    codec = "cp1252"
    for name, value in _attributes(content):
        if name == _CODEPAGE and len(value) >= 4:
            codec = f"cp{struct.unpack_from('<I', value)[0]}"
        elif name == _ATTACHMENT and len(found.files) < _MOST:
            found.files.append(TnefFile())
        elif name == _BODY:
            found.text = found.text or _decoded(value, codec)
        elif name == _PROPERTIES:
            for tag, kind, held in _properties(value):
                if tag == _TEXT:
                    found.text = _decoded(held, "utf-16-le" if kind == 31 else codec) or found.text
                elif tag == _HTML:
                    found.html = held
                elif tag == _RTF:
                    found.rtf = held
        elif found.files:
            _learn(found.files[-1], name, value, codec)
    found.files = [file for file in found.files if file.content]
    return found


def _learn(file: TnefFile, name: int, value: bytes, codec: str) -> None:
    if name == _TITLE:
        file.name = file.name or _decoded(value, codec)
    elif name == _DATA:
        file.content = value
    elif name == _ATTACHMENT_PROPERTIES:
        for tag, kind, held in _properties(value):
            said = _decoded(held, "utf-16-le" if kind == 31 else codec)
            if tag == _LONG_NAME or (tag == _SHORT_NAME and not file.name):
                file.name = said or file.name
            elif tag == _MIME:
                file.media_type = said
            elif tag == _OBJECT and not file.content:
                file.content = held[16:]  # behind the id of its interface


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Names and values of the attributes, up to where the stream is cut off."""
    at = 6
    while at + 9 <= len(content):
        _, name, _, size = struct.unpack_from("<BHHI", content, at)
        if at + 9 + size > len(content):
            return
        yield name, content[at + 9 : at + 9 + size]
        at += 11 + size  # with a checksum, which Outlook itself gets wrong now and then


def _properties(value: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(Tag, kind, value) of MAPI properties, the first value of several, up to the first that is not understood."""
    try:
        (count,) = struct.unpack_from("<I", value)
        at = 4
        for _ in range(min(count, 10_000)):
            kind, tag = struct.unpack_from("<HH", value, at)
            at += 4
            if tag >= 0x8000:  # it has a name instead of a number
                (named,) = struct.unpack_from("<I", value, at + 16)
                at += 20
                (size,) = struct.unpack_from("<I", value, at)
                at += 4 + (-(-size // 4) * 4 if named else 0)
            base = kind & ~_MANY
            many = 1
            if kind & _MANY or base in _VARIABLE:
                (many,) = struct.unpack_from("<I", value, at)
                at += 4
            first = b""
            for number in range(min(many, 10_000)):
                if base in _VARIABLE:
                    (size,) = struct.unpack_from("<I", value, at)
                    at += 4
                elif base in _FIXED:
                    size = _FIXED[base]
                else:
                    return
                if at + size > len(value):
                    return
                first = value[at : at + size] if not number else first
                at += -(-size // 4) * 4
            yield tag, base, first
    except struct.error:
        return


def _decoded(value: bytes, codec: str) -> str:
    try:
        text = value.decode(codec, "replace")
    except LookupError:
        text = value.decode("cp1252", "replace")
    return text.split("\0", 1)[0].strip()
