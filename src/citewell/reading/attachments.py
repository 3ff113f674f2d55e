"""Sources found inside a source: what they are called, to whom they belong, and how many and how large they may be."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from citewell.reading.limits import over
from citewell.types import Metadata, Source

JOINT: Final = "!/"
"""Between the uri of a source and the name of one inside it, as in `jar:` urls: `mail/offer.eml!/price-list.xlsx`."""

MAX_PARTS: Final = 1_000
MAX_PART_BYTES: Final = 128 << 20
"""All attachments of one source together."""

UNPACK: Final = "Unpack it and ingest the folder."

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_DRIVE: Final = re.compile(r"[A-Za-z]:$")
_MAX_NAME_BYTES: Final = 200
# What belongs to the outer source itself and would be wrong of a part.
_OWN: Final = frozenset({"title", "series", "version_label", "effective"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """A source found inside another, before it has a uri. `name` is safe already, and unique among its siblings."""

    name: str
    content: bytes = field(repr=False)
    media_type: str | None = None
    metadata: Metadata = field(default_factory=dict)
    modified_at: str | None = None

    def of(self, outer: Source) -> Source:
        """The source, with tenant, bucket, access rule and metadata of `outer`; its metadata says `part_of`."""
        inherited = {key: value for key, value in outer.metadata.items() if key not in _OWN}
        return Source(
            uri=f"{outer.uri}{JOINT}{self.name}",
            content=self.content,
            tenant=outer.tenant,
            bucket=outer.bucket,
            media_type=self.media_type,
            access=outer.access,
            metadata={**self.metadata, **inherited, "part_of": outer.uri},
            modified_at=self.modified_at or outer.modified_at,
            fetched_at=outer.fetched_at,
        )


def safe_name(name: str, taken: Container[str], number: int) -> str:
    """`name` without what could lead out of anything or fool a reader, and made unlike all in `taken`.

    Folders in it stay (`reports/2024.csv`); `.`, `..`, drive letters, control and direction characters go; a name of
    which nothing is left becomes `part-NUMBER`.
    """
    parts = [_UNSAFE.sub("", part).strip() for part in name.replace("\\", "/").split("/")]
    parts = [_short(part) for part in parts if part not in ("", ".", "..") and not _DRIVE.match(part)]
    # At the end of a folder's name it would look like the joint.
    safe = "/".join([*(part.rstrip("!") + "_" if part.endswith("!") else part for part in parts[-8:])])
    safe = safe or f"part-{number}"
    stem, dot, extension = safe.rpartition(".")
    if not dot or "/" in extension:
        stem, extension = safe, ""
    unique, again = safe, 2
    while unique in taken:
        unique = f"{stem} ({again}){dot if extension else ''}{extension}"
        again += 1
    return unique


def require_fit(count: int, size_bytes: int) -> None:
    """Raises ReadError limit_exceeded where a source has too many attachments or too large ones, all together."""
    if count > MAX_PARTS:
        raise over("It", count, "files inside", MAX_PARTS, UNPACK, seen=True)
    if size_bytes > MAX_PART_BYTES:
        raise over("It", size_bytes, "bytes of files inside", MAX_PART_BYTES, UNPACK, seen=True)


def _short(part: str) -> str:
    raw = part.encode()
    if len(raw) <= _MAX_NAME_BYTES:
        return part
    stem, dot, extension = part.rpartition(".")
    tail = f"{dot}{extension}" if dot and len(extension) <= 10 else ""
    keep = _MAX_NAME_BYTES - len(tail.encode())
    return (stem if tail else part).encode()[:keep].decode("utf-8", "ignore") + tail
