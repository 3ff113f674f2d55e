"""A mail as the tree of parts that it is: cut at its boundaries in one pass, without recursion, however broken."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from email.policy import default as policy
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.decode import decode, utf16_without_mark
from citewell.reading.limits import over

MAX_PARTS: Final = 2000
MAX_DEPTH: Final = 1000
MAX_HEADERS: Final = 2000  # lines of one part's head
_SAVE: Final = "Save its text as HTML."
_MAX_PARSED: Final = 20_000  # characters: the address grammar of the standard library is quadratic
_NAME: Final = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_DELIMITER: Final = re.compile(rb"^--([^\r\n]{1,500})[^\r\n]*(?:\r\n|\n|\r|\Z)", re.MULTILINE)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


@dataclass(slots=True)
class Head:
    """The headers of one part: by lower-case name the values as they stand, unfolded, in their order."""

    raw: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The first value of a header as people read it, on one line; "" where there is none."""
        values = self.raw.get(name)
        return _readable(name, values[0]) if values else ""

    def all(self, name: str) -> str:
        """All values of a header as people read them, joined by commas."""
        return ", ".join(filter(None, (_readable(name, value) for value in self.raw.get(name, ()))))

    def parsed(self, name: str) -> Any:
        """The header as the standard library understands it (`email.headerregistry`), or None."""
        values = self.raw.get(name)
        return _parse(name, values[0]) if values else None


@dataclass(slots=True)
class Part:
    """One part: its head, and where its body stands in the bytes. `path` is its number among its kin (`1.2`)."""

    head: Head
    start: int
    end: int
    path: str
    kind: str = "text/plain"
    params: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)

    @property
    def disposition(self) -> str:
        """`attachment`, `inline` or ""."""
        found = self.head.parsed("content-disposition")
        return str(getattr(found, "content_disposition", None) or "").lower()

    @property
    def name(self) -> str:
        """The file name that the part gives itself, or ""."""
        found = self.head.parsed("content-disposition")
        named = dict(getattr(found, "params", {})).get("filename") or self.params.get("name") or ""
        return _one_line(str(_decoded(str(named)))).replace("/", "_").replace("\\", "_")[:200]

    @property
    def content_id(self) -> str:
        """The name by which other parts refer to this one, or ""."""
        return self.head.text("content-id").strip("<> ")

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in their order."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))


@dataclass(slots=True)
class Message:
    """A mail and the bytes that its parts' places count in; `exact` says that those are the bytes of the source."""

    root: Part
    content: bytes
    exact: bool

    def body(self, part: Part) -> bytes:
        """The bytes of a part, its transfer encoding undone as far as it goes."""
        raw = self.content[part.start : part.end]
        match part.head.text("content-transfer-encoding").lower().strip():
            case "base64":
                return _base64(raw)
            case "quoted-printable":
                return quopri.decodestring(raw)
            case "x-uuencode" | "uuencode" | "x-uue" | "uue":
                return _uudecoded(raw)
            case _:
                return raw

    def text(self, part: Part) -> tuple[str, tuple[str, ...]]:
        """The text of a part and warnings on what was lost. Raises ReadError corrupt when it is none."""
        raw = self.body(part)
        charset = part.params.get("charset", "").strip("'\" ").lower()
        if not self.exact and raw == self.content[part.start : part.end]:
            charset = "utf-8"  # the whole mail was brought to it
        if charset in ("utf-7", "utf7", "unicode-1-1-utf-7"):
            with suppress(UnicodeError):
                raw = raw.decode("utf-7").encode()
        decoded = decode(raw, declared=charset or None)
        return decoded.text, decoded.warnings


def parse(content: bytes) -> Message:
    """The parts of a mail. Raises ReadError limit_exceeded where there are too many or they nest too deeply."""
    exact = True
    encoding = utf16_without_mark(content)
    if encoding or content.startswith(_MARKS):
        content, exact = decode(content).text.encode("utf-8", "replace"), False
    root = _part(content, 0, "1")
    parts = 0
    stack: list[Part] = []  # open multiparts
    names: dict[bytes, list[int]] = {}  # by boundary, the places in the stack that it opened

    def close(depth: int, at: int) -> None:
        while len(stack) > depth:
            gone = stack.pop()
            names[_boundary(gone)].pop()
            gone.end = at
            if gone.children:
                gone.children[-1].end = min(gone.children[-1].end, at)

    def open_(part: Part) -> None:
        if part.kind.startswith("multipart/"):
            if len(stack) >= MAX_DEPTH:
                raise over("The mail", len(stack) + 1, "levels of parts", MAX_DEPTH, _SAVE, seen=True)
            if not part.params.get("boundary"):
                part.params["boundary"] = _first_delimiter(content, part.start)
            if part.params["boundary"]:
                names.setdefault(_boundary(part), []).append(len(stack))
                stack.append(part)

    open_(root)
    if not stack:
        return Message(root, content, exact)
    for found in _DELIMITER.finditer(content, root.start):
        line = found[1].rstrip()
        ends = False
        places = names.get(line)
        if not places and line.endswith(b"--"):
            places, ends = names.get(line[:-2]), True
        if not places:
            continue
        at = _before_break(content, found.start())
        above = stack[places[-1]]
        close(places[-1] + 1, at)
        if above.children:
            above.children[-1].end = min(above.children[-1].end, at)
        if ends:
            close(places[-1], found.end() if above.children else at)
        else:
            parts += 1
            if parts > MAX_PARTS:
                raise over("The mail", parts, "parts", MAX_PARTS, _SAVE, seen=True)
            child = _part(content, found.end(), f"{above.path}.{len(above.children) + 1}")
            above.children.append(child)
            open_(child)
        if not stack:
            break
    close(0, len(content))
    for part in root.walk():
        part.end = max(part.end, part.start)  # a delimiter right behind a head leaves no body
    return Message(root, content, exact)


def _part(content: bytes, start: int, path: str) -> Part:
    head, body = parse_head(content, start)
    part = Part(head, body, len(content), path)
    found = head.parsed("content-type")
    kind = str(getattr(found, "content_type", "text/plain")).lower()
    part.params = {str(key).lower(): str(value) for key, value in dict(getattr(found, "params", {})).items()}
    if found is None and path.count(".") and content[body : body + 4].lower() in (b"<htm", b"<!do"):
        kind = "text/html"
    part.kind = kind
    return part


def parse_head(content: bytes, start: int) -> tuple[Head, int]:
    """The headers from `start`, and where the body begins: after a blank line, or at the first line that is none."""
    head = Head()
    at, name, value = start, "", bytearray()

    def keep() -> None:
        if name:
            head.raw.setdefault(name, []).append(_text(bytes(value)))

    for count in range(MAX_HEADERS):
        found = _LINE.match(content, at)
        assert found is not None
        line = found[0].rstrip(b"\r\n")
        if found.end() == at or not line.strip():
            # White space before the first header is no blank line after the last.
            if (count and name) or found.end() == at or start > 0:
                at = found.end()
                break
        elif line[:1] in b" \t" and name:
            value += b" " + line.strip()
        elif named := _NAME.match(line):
            keep()
            name = named[0][:-1].strip().decode("ascii").lower()
            value = bytearray(line[named.end() :].strip())
        elif not (not name and line.startswith((b"From ", b">From "))):
            break  # the blank line was forgotten
        at = found.end()
    keep()
    return head, at


def _before_break(content: bytes, at: int) -> int:
    """The line break before a delimiter belongs to the delimiter."""
    if content[at - 2 : at] == b"\r\n":
        return at - 2
    return at - 1 if at and content[at - 1 : at] in (b"\n", b"\r") else at


def _boundary(part: Part) -> bytes:
    return part.params["boundary"].encode("utf-8", "replace").rstrip()


def _first_delimiter(content: bytes, start: int) -> str:
    for found in _DELIMITER.finditer(content, start, start + 100_000):
        if head := _NAME.match(content, found.end()):
            assert head
            return found[1].rstrip().decode("utf-8", "replace")
    return ""


def _parse(name: str, value: str) -> Any:
    if len(value) > _MAX_PARSED:
        return None
    try:
        return policy.header_factory(name, value)
    except Exception:  # noqa: BLE001 - the header grammar fails on odd values with errors of any type
        return None


def _readable(name: str, value: str) -> str:
    parsed = _parse(name, value)
    text = _decoded(value) if parsed is None or "\ufffd" in str(parsed) else str(parsed)
    return _one_line(text)


def _decoded(value: str) -> str:
    """A value with its encoded words decoded, as far as they can be."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value[:_MAX_PARSED])))
    except (MessageError, LookupError, UnicodeError, ValueError, binascii.Error):
        return value


def _one_line(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()  # lone surrogates stand for undecodable bytes
    return " ".join(_CONTROLS.sub(" ", text).split())


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return decode(value).text
    except ReadError:
        return value.decode("latin-1")


def _base64(raw: bytes) -> bytes:
    clean = re.sub(rb"[^A-Za-z0-9+/]", b"", raw.split(b"=", 1)[0] if raw.rstrip().endswith(b"=") else raw)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def _uudecoded(raw: bytes) -> bytes:
    out: list[bytes] = []
    for line in raw.splitlines():
        if line.startswith(b"begin ") or not line:
            continue
        if line == b"end":
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            try:
                out.append(binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3]))
            except binascii.Error:
                continue
    return b"".join(out)
