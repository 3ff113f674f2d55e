"""An image as a reader finds it: its bytes, and what their first few hundred say without decoding it."""

from __future__ import annotations

import re
import struct
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from citewell.types import Region

MIN_SIDE: Final = 16
"""Pixels: what is narrower or lower is a spacer, a rule, a tracker or a bullet."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with its bytes, before it has a place. `alt` is what the source says in its stead.

    `regions` is where it is shown, where that is not where its piece stands (a caption, words in it).
    `width` and `height` are in pixels, 0 where the first bytes do not tell.
    """

    content: bytes = field(repr=False)
    media_type: str
    name: str = ""
    alt: str = ""
    width: int = 0
    height: int = 0
    regions: tuple[Region, ...] = ()

    @property
    def too_small(self) -> bool:
        """Whether it cannot show anything, by its size in pixels."""
        return 0 < self.width < MIN_SIDE or 0 < self.height < MIN_SIDE


def picture(content: bytes, *, name: str = "", alt: str = "") -> Picture | None:
    """The image in `content`, or None where the bytes are of no known image format; nothing is decoded.

    Known are PNG, JPEG, GIF, WebP, BMP, TIFF, JPEG 2000, AVIF, SVG, EMF and WMF.
    """
    found = _sniff(content)
    if found is None:
        return None
    media_type, width, height = found
    return Picture(content, media_type, name, alt, width, height)


def embedded(uri: str, *, alt: str = "") -> Picture | None:
    """The image that a `data:` uri holds itself, in base64; None for all other uris and for what is no image."""
    if uri[:5].lower() != "data:" or ";base64," not in uri[:100]:
        return None
    try:
        return picture(b64decode(unquote(uri).partition(",")[2], validate=True), alt=alt)
    except ValueError:
        return None


def _sniff(content: bytes) -> tuple[str, int, int] | None:
    head = content[:64]
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return ("image/png", *_pair(">II", head, 16))
    if head.startswith(b"\xff\xd8\xff"):
        return ("image/jpeg", *_jpeg(content))
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return ("image/gif", *_pair("<HH", head, 6))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ("image/webp", *_webp(head))
    if head[:2] == b"BM" and len(head) >= 26:
        width, height = _pair("<ii", head, 18)
        return "image/bmp", abs(width), abs(height)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "image/tiff", 0, 0
    if head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51":
        return "image/jp2", 0, 0
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif", 0, 0
    if head[:4] == b"\x01\0\0\0" and head[40:44] == b" EMF":
        return "image/emf", 0, 0
    if head[:4] == b"\xd7\xcd\xc6\x9a":
        return "image/wmf", 0, 0
    if re.match(rb"(?:\xef\xbb\xbf)?\s{0,99}<", head) and re.search(rb"<svg[\s>]", content[:4096]):
        return "image/svg+xml", 0, 0
    return None


def _pair(layout: str, raw: bytes, at: int) -> tuple[int, int]:
    try:
        width, height = struct.unpack_from(layout, raw, at)
    except struct.error:
        return 0, 0
    return int(width), int(height)


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(1000):  # segments before the frame's
        if at + 9 > len(content) or content[at] != 0xFF:
            return 0, 0
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _pair(">HH", content, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return 0, 0


def _webp(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        width, height = _pair("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0
