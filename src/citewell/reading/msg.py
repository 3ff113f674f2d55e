"""Outlook messages (.msg): the properties of a mail in an OLE container, brought into the form of any other mail."""

from __future__ import annotations

import codecs
import io
import re
import struct
from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.formats import MSG
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.mail import read_letter
from citewell.reading.metadata import document_metadata
from citewell.reading.mime import parse_head
from citewell.reading.pieces import Builder
from citewell.types import Document, Place, Source

MAX_STREAM_BYTES: Final = 64 << 20
MAX_FILES: Final = 1000
_DAMAGE: Final = (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError)
_MAX_DEPTH: Final = 10
# Property numbers of [MS-OXPROPS].
_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER, _SENDER_MAIL, _SENDER_SMTP, _ON_BEHALF = 0x0C1A, 0x0C1F, 0x5D01, 0x0042
_TO, _CC, _BCC = 0x0E04, 0x0E03, 0x0E02
_HEADERS, _MESSAGE_ID, _IN_REPLY_TO, _REFERENCES = 0x007D, 0x1035, 0x1042, 0x1039
_SENT, _DELIVERED, _CLASS = 0x0039, 0x0E06, 0x001A
_CODEPAGE, _INTERNET_CODEPAGE = 0x3FFD, 0x3FDE
_DATA, _LONG_NAME, _SHORT_NAME, _MIME, _CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x370E, 0x3712
_NAME, _MAIL, _SMTP, _KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
_ROLES: Final = {1: "To", 2: "Cc", 3: "Bcc"}
_CODEPAGES: Final = {65001: "utf-8", 1200: "utf-16-le", 20127: "ascii", 28591: "latin-1", 932: "cp932", 936: "gb18030",
                     949: "cp949", 950: "big5", 20866: "koi8-r", 50220: "iso2022_jp", 51932: "euc_jp"}  # fmt: skip
_LZ_START: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor "
    b"MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20"
    b"\\b\\i\\u\\tab\\tx"
)


class MsgReader:
    """Reads an Outlook message as if it were an e-mail of the standard form.

    An attached message becomes a source of that form (`.eml`). What cannot be read of the properties is left away.
    """

    identity = versions.MSG

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, encrypted, limit_exceeded."""
        import olefile

        try:
            with olefile.OleFileIO(io.BytesIO(source.content)) as ole:
                mail = _Store(ole).mail(())
        except (*_DAMAGE, RecursionError, struct.error) as error:
            # Not a sign of which bytes: olefile says what it found with any of these.
            raise ReadError(
                "corrupt", f"The Outlook message is damaged: {str(error)[:200]}. Save it again, or as .eml."
            ) from error
        letter = read_letter(mail, self._max_cells)
        builder = Builder(max_cells=self._max_cells)
        for piece in letter.pieces:
            piece.source = Place(0, len(source.content))  # theirs count in the form we brought it to
        letter.add_to(builder)
        metadata, warnings = document_metadata(letter.metadata)
        return builder.document(
            source,
            reader=self.identity,
            media_type=MSG,
            title=letter.subject,
            metadata=metadata,
            warnings=[*letter.warnings, *warnings],
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """A body (without a name) or a file of a message, and how it is written."""

    kind: str
    content: bytes
    name: str = ""
    content_id: str = ""

    def written(self) -> str:
        head = f"Content-Type: {self.kind}\r\nContent-Transfer-Encoding: base64\r\n"
        if self.name:
            name = re.sub(r'["\\]', "_", _plain(self.name))
            where = "inline" if self.content_id else "attachment"
            head += f'Content-Disposition: {where}; filename="{name}"\r\n'
        if self.content_id:
            head += f"Content-ID: <{self.content_id}>\r\n"
        return f"{head}\r\n{b2a_base64(self.content).decode()}\r\n"


@dataclass(slots=True)
class _Store:
    """The properties of the messages in one container; a message is named by the path of its storage."""

    ole: Any
    left: int = field(default_factory=lambda: MAX_FILES)
    _streams: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.ole.listdir(streams=True, storages=True):
            self._streams.setdefault("/".join(entry[:-1]), []).append(entry[-1])

    def mail(self, path: tuple[str, ...]) -> bytes:
        """The message at `path` in the form of RFC 5322."""
        fixed = self._fixed(path, 32 if not path else 24)
        codec = _codec(fixed.get(_CODEPAGE))
        known, _ = parse_head(self._text(path, _HEADERS, codec).lstrip().encode(), 0)
        heads = {name: value for name, value in self._heads(path, codec, fixed) if _plain(value)}
        for name in ("Message-ID", "In-Reply-To", "References", "Date", "From", "To", "Cc", "Reply-To", "List-ID"):
            if name not in heads and (value := known.all(name.lower())):
                heads[name] = value
        parts = [*self._bodies(path, codec, _codec(fixed.get(_INTERNET_CODEPAGE)))]
        for storage in self._inside(path, "__attach_version1.0_#"):
            if self.left <= 0:
                remedy = "Save them by themselves."
                raise over("The message", MAX_FILES + 1, "files inside", MAX_FILES, remedy, seen=True)
            self.left -= 1
            parts.extend(self._file(storage, codec))
        return _written(heads, parts)

    def _heads(self, path: tuple[str, ...], codec: str, fixed: dict[int, Any]) -> Iterator[tuple[str, str]]:
        def text(number: int) -> str:
            return self._text(path, number, codec)

        yield "Subject", text(_SUBJECT)
        address = next((a for a in (text(_SENDER_SMTP), text(_SENDER_MAIL)) if "@" in a), "")
        yield "From", _mailbox(text(_SENDER) or text(_ON_BEHALF), address)
        roles: dict[str, list[str]] = {}
        for storage in self._inside(path, "__recip_version1.0_#"):
            role = _ROLES.get(int(self._fixed(storage, 8).get(_KIND, 1)) & 0xF, "To")
            mails = (self._text(storage, number, codec) for number in (_SMTP, _MAIL))
            roles.setdefault(role, []).append(
                _mailbox(self._text(storage, _NAME, codec), next((a for a in mails if "@" in a), ""))
            )
        for role, shown in (("To", _TO), ("Cc", _CC), ("Bcc", _BCC)):
            yield (
                role,
                ", ".join(filter(None, roles[role])) if role in roles else text(shown).rstrip("\0; ").replace(";", ","),
            )
        moment = fixed.get(_SENT) or fixed.get(_DELIVERED)
        if isinstance(moment, datetime):
            yield "Date", format_datetime(moment)
        yield "Message-ID", text(_MESSAGE_ID)
        yield "In-Reply-To", text(_IN_REPLY_TO)
        yield "References", text(_REFERENCES)

    def _bodies(self, path: tuple[str, ...], codec: str, internet: str) -> Iterator[_Part]:
        plain = self._text(path, _BODY, codec)
        html = self._bytes(path, _HTML, "0102")
        if not html and (text := self._text(path, _HTML, internet)):
            html, internet = text.encode(), "utf-8"
        if not plain.strip() and not html and (packed := self._bytes(path, _RTF, "0102")):
            from citewell.reading.rtf import rtf_text

            plain = rtf_text(unpack_rtf(packed))
        if plain.strip():
            yield _Part("text/plain; charset=utf-8", plain.encode("utf-8", "replace"))
        if html:
            yield _Part(f"text/html; charset={internet}", html)

    def _file(self, storage: tuple[str, ...], codec: str) -> Iterator[_Part]:
        name = next((text for n in (_LONG_NAME, _SHORT_NAME, _NAME) if (text := self._text(storage, n, codec))), "")
        inner = (*storage, f"__substg1.0_{_DATA:04X}000D")
        if "/".join(inner) in self._streams:
            if len(inner) > 2 * _MAX_DEPTH:
                deep = len(inner) // 2
                raise over("The message", deep, "levels of messages", _MAX_DEPTH, "Save them apart.", seen=True)
            stem = re.sub(r"(?i)\.msg$", "", name or self._text(inner, _SUBJECT, codec) or "message")
            yield _Part("message/rfc822", self.mail(inner), f"{stem}.eml")
        elif content := self._bytes(storage, _DATA, "0102"):
            kind = self._text(storage, _MIME, codec).lower()
            if not re.fullmatch(r"[a-z]{1,20}/[\w.+-]{1,100}", kind) or kind.startswith(("multipart/", "message/")):
                kind = "application/octet-stream"
            cid = _plain(self._text(storage, _CONTENT_ID, codec)).strip("<>")
            yield _Part(kind, content, name or "attachment", cid if kind.startswith("image/") else "")

    def _inside(self, path: tuple[str, ...], prefix: str) -> list[tuple[str, ...]]:
        names = self._streams.get("/".join(path), [])
        return [(*path, name) for name in sorted(names) if name.startswith(prefix)]

    def _bytes(self, path: tuple[str, ...], number: int, kind: str) -> bytes:
        name = f"__substg1.0_{number:04X}{kind}"
        if name not in self._streams.get("/".join(path), ()):
            return b""
        with self.ole.openstream([*path, name]) as stream:
            content: bytes = stream.read(MAX_STREAM_BYTES + 1)
        if len(content) > MAX_STREAM_BYTES:
            raise over("A part of the message", len(content), "bytes", MAX_STREAM_BYTES, "Save it apart.", seen=True)
        return content

    def _text(self, path: tuple[str, ...], number: int, codec: str) -> str:
        try:
            if wide := self._bytes(path, number, "001F"):
                return wide.decode("utf-16-le", "replace").rstrip("\0")
            return self._bytes(path, number, "001E").decode(codec, "replace").rstrip("\0")
        except OSError:
            return ""  # one damaged property is no damaged message

    def _fixed(self, path: tuple[str, ...], skip: int) -> dict[int, Any]:
        """Numbers and moments by property, from the stream of all properties of fixed size."""
        found: dict[int, Any] = {}
        try:
            if "__properties_version1.0" not in self._streams.get("/".join(path), ()):
                return found
            with self.ole.openstream([*path, "__properties_version1.0"]) as stream:
                content = stream.read(1 << 20)
        except OSError:
            return found
        for at in range(skip, len(content) - 15, 16):
            kind, number, _, value = struct.unpack_from("<HHIQ", content, at)
            if kind == 0x0003:
                found[number] = value & 0xFFFFFFFF
            elif kind == 0x0040 and 0 < value < 0x0300_0000_0000_0000:
                found[number] = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 10)
        return found


def unpack_rtf(packed: bytes) -> bytes:
    """RTF that was packed as [MS-OXRTFCP] has it, as far as it goes."""
    if len(packed) < 16:
        return b""
    _, size, kind = struct.unpack_from("<III", packed)
    if kind == 0x414C454D:
        return packed[16 : 16 + size]
    if kind != 0x75465A4C or size > MAX_STREAM_BYTES:
        return b""
    window = bytearray(_LZ_START) + bytearray(4096 - len(_LZ_START))
    write, at, out = len(_LZ_START), 16, bytearray()
    while at < len(packed) and len(out) < size:
        flags = packed[at]
        at += 1
        for bit in range(8):
            if not flags >> bit & 1:
                chunk = packed[at : at + 1]
                at += 1
            else:
                if at + 2 > len(packed):
                    return bytes(out)
                token = packed[at] << 8 | packed[at + 1]
                at += 2
                read, length = token >> 4, (token & 0xF) + 2
                if read == write:
                    return bytes(out)
                copied = bytearray()
                for n in range(length):  # a copy may reach into what it writes
                    byte = window[(read + n) % 4096]
                    window[(write + n) % 4096] = byte
                    copied.append(byte)
                write = (write + length) % 4096
                out += copied
                continue
            if not chunk:
                return bytes(out)
            window[write] = chunk[0]
            write = (write + 1) % 4096
            out += chunk
    return bytes(out[:size])


def _codec(codepage: object) -> str:
    if not isinstance(codepage, int) or not codepage:
        return "cp1252"
    name = _CODEPAGES.get(codepage) or (f"iso8859-{codepage - 28590}" if 28590 < codepage < 28607 else f"cp{codepage}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


def _mailbox(name: str, address: str) -> str:
    name = _plain(name).strip("'\" ")
    if not address or address == name:
        return address or name
    quoted = f'"{name}"' if re.search(r"[^\w\s.-]", name) else name
    return f"{quoted.replace(chr(92), '')} <{address}>" if name else address


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]+", " ", text).split())


def _written(heads: Mapping[str, str], parts: Sequence[_Part]) -> bytes:
    """A mail of these parts; the boundary is what base64 cannot hold."""
    out = [f"{name}: {_plain(value)[:20_000]}\r\n" for name, value in heads.items()]
    bodies = [part for part in parts if not part.name]
    rest = [part for part in parts if part.name]
    out.append('Content-Type: multipart/mixed; boundary="==mixed"\r\n\r\n')
    if bodies:
        out.append('--==mixed\r\nContent-Type: multipart/alternative; boundary="==either"\r\n\r\n')
        out.extend(f"--==either\r\n{part.written()}" for part in bodies)
        out.append("--==either--\r\n")
    out.extend(f"--==mixed\r\n{part.written()}" for part in rest)
    out.append("--==mixed--\r\n")
    return "".join(out).encode("utf-8", "replace")
