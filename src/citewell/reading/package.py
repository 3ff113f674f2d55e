"""An Office file is a ZIP of XML parts: opened in memory, under limits, without DTDs, and never on disk.

What the central directory promises is checked before anything is inflated, and what really comes out is counted
while it does: a directory can lie.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from citewell.errors import ReadError
from citewell.reading.limits import over
from citewell.reading.xml_tree import too_deep

MAX_ENTRIES = 10_000
MAX_TOTAL_BYTES = 2 << 30
MAX_PART_BYTES = 64 << 20  # one XML part: lxml needs five to eight times as much memory
MAX_RATIO = 200  # over 1 MiB; Word's own XML packs 10 to 40 times
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PURL = b"http://purl.oclc.org/ooxml/"
_SCHEMAS = b"http://schemas.openxmlformats.org/"
# ISO's strict variant has the same elements under other names; one vocabulary is enough to know.
_STRICT = tuple(
    (_PURL + strict, _SCHEMAS + transitional)
    for strict, transitional in (
        (b"wordprocessingml/main", b"wordprocessingml/2006/main"),
        (b"spreadsheetml/main", b"spreadsheetml/2006/main"),
        (b"presentationml/main", b"presentationml/2006/main"),
        (b"officeDocument/relationships", b"officeDocument/2006/relationships"),
        (b"drawingml/main", b"drawingml/2006/main"),
        (b"drawingml/chart", b"drawingml/2006/chart"),
        (b"drawingml/diagram", b"drawingml/2006/diagram"),
        (b"drawingml/spreadsheetDrawing", b"drawingml/2006/spreadsheetDrawing"),
    )
)


_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


@dataclass(slots=True)
class Package:
    """The parts of one Office file by name, inflated when asked for."""

    _zip: zipfile.ZipFile
    _names: dict[str, zipfile.ZipInfo] = field(default_factory=dict)

    @classmethod
    def open(cls, content: bytes) -> Package:
        """Raises ReadError: empty, encrypted, type_mismatch, corrupt or limit_exceeded."""
        if not content:
            raise ReadError("empty", "The file has no bytes. Was it saved or copied whole?")
        if content.startswith(_OLE):
            # Office wraps an encrypted file in an OLE container with this stream (its name is in UTF-16).
            if "EncryptedPackage".encode("utf-16-le") in content:
                raise ReadError("encrypted", "The file is protected by a password. Save it without one.")
            raise ReadError("type_mismatch", "This is an old binary Office file. Save it in today's format.")
        if content[:2] != b"PK":
            raise ReadError("type_mismatch", "This is not an Office file: its bytes are no ZIP archive.")
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
            entries = archive.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
            raise ReadError("corrupt", f"The file is cut off or damaged: {error}. Fetch or save it again.") from error
        if len(entries) > MAX_ENTRIES:
            raise over("The file", len(entries), "parts", MAX_ENTRIES)
        if (total := sum(entry.file_size for entry in entries)) > MAX_TOTAL_BYTES:
            raise over("The file", total, "bytes once unpacked", MAX_TOTAL_BYTES, "It may be a bomb. Split it.")
        for entry in entries:
            if entry.file_size > 1 << 20 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
                ratio = -(-entry.file_size // max(entry.compress_size, 1))
                part = f"Its part {entry.filename[:80]!r}"
                remedy = "The file may be a bomb. Save it again."
                raise over(part, ratio, "times its size once unpacked", MAX_RATIO, remedy)
        # Names are keys here and nothing else; the last of two equal ones would win in other readers, so refuse both.
        names: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if names.setdefault(entry.filename.lstrip("/"), entry) is not entry:
                raise ReadError("corrupt", f"Two parts of the file are named {entry.filename[:80]!r}. Save it again.")
        return cls(archive, names)

    def names(self) -> tuple[str, ...]:
        """Names of all parts, in the order of the archive."""
        return tuple(self._names)

    def part(self, name: str) -> bytes | None:
        """The bytes of a part, or None when there is none. Raises ReadError limit_exceeded, encrypted or corrupt."""
        entry = self._names.get(name)
        if entry is None:
            return None
        if entry.flag_bits & 1:
            raise ReadError("encrypted", f"Its part {name} is encrypted. Save the file without a password.")
        try:
            with self._zip.open(entry) as file:
                content = file.read(MAX_PART_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
            raise ReadError("corrupt", f"Its part {name} is damaged: {error}. Fetch or save the file again.") from error
        if len(content) > MAX_PART_BYTES:
            raise over(f"Its part {name}", len(content), "bytes", MAX_PART_BYTES, "Split the file.", seen=True)
        return content

    def xml(self, name: str) -> Any:
        """The root element of a part, or None. Raises ReadError unsafe_content for any DTD, corrupt for bad XML."""
        content = self._transitional(name)
        if content is None:
            return None
        from lxml import etree

        try:
            root = etree.fromstring(content, etree.XMLParser(**_SAFE))
        except (etree.XMLSyntaxError, ValueError) as error:
            raise _bad_xml(name, content, error) from error
        if root.getroottree().docinfo.doctype:
            raise _dtd(name)
        return root

    def elements(self, name: str, *tags: str) -> Iterator[Any]:
        """The elements of a part with one of `tags`, each when it ends; nothing if there is no such part.

        What was handed out is emptied on the next step, so that a part of any length takes little memory. Raises as
        `xml` does, when it gets there.
        """
        content = self._transitional(name)
        if content is None:
            return
        from lxml import etree

        first = True
        try:
            for _, element in etree.iterparse(io.BytesIO(content), events=("end",), tag=tags, **_SAFE):
                if first and element.getroottree().docinfo.doctype:
                    raise _dtd(name)
                first = False
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        except (etree.XMLSyntaxError, ValueError) as error:
            raise _bad_xml(name, content, error) from error
        if first and b"<!DOCTYPE" in content[:4096]:
            raise _dtd(name)

    def _transitional(self, name: str) -> bytes | None:
        content = self.part(name)
        if content is not None and _PURL in content:
            for strict, transitional in _STRICT:
                content = content.replace(strict, transitional)
        return content

    def related(self, name: str, kind: str) -> list[str]:
        """Names of the parts that `name` ("" for the package) points to by relationships of `kind`, in their order."""
        folder, base = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: list[str] = []
        for relation in root if root is not None else ():
            if relation.get("TargetMode") == "External" or not (relation.get("Type") or "").endswith(f"/{kind}"):
                continue
            target = relation.get("Target") or ""
            path = posixpath.normpath(posixpath.join("/", target if target.startswith("/") else f"{folder}/{target}"))
            if path.lstrip("/") not in found:
                found.append(path.lstrip("/"))
        return found


def _bad_xml(name: str, content: bytes, error: Exception) -> ReadError:
    if b"<!DOCTYPE" in content[:4096] or b"<!ENTITY" in content:
        return _dtd(name)
    if "depth" in str(error).lower():
        return too_deep(f"Its part {name}")
    return ReadError("corrupt", f"Its part {name} is damaged XML: {error}. Save the file again.")


def _dtd(name: str) -> ReadError:
    return ReadError("unsafe_content", f"Its part {name} declares a DTD, which Office files never do; it is refused.")
