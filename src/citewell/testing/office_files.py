"""Office files written part by part, without any library: what a test puts in is what the file holds."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPES: Final = "application/vnd.openxmlformats-officedocument."


@dataclass(slots=True)
class OfficeFile:
    """A file, and how often each thing is said in it that a reader has to find; what a thing is, its maker tells."""

    name: str
    content: bytes = b""
    said: Counter[tuple[str, ...]] = field(default_factory=Counter)


def packed(main: str, parts: Mapping[str, str], kinds: Mapping[str, str], links: Mapping[str, Iterable[str]]) -> bytes:
    """The archive of `parts` (name → XML), the same bytes on every run.

    `kinds` are their content types, without what all of those of office files begin with; `links` has for a part its
    relationships, each as `id kind target`. `main` is the part that the file is about.
    """
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{_TYPES}{kind}+xml"/>' for name, kind in kinds.items()
    )
    made = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/>{overrides}</Types>',
        "_rels/.rels": _relationships([f"r1 officeDocument {main}"]),
    }
    for name, held in links.items():
        folder, _, base = name.rpartition("/")
        made[f"{folder}/_rels/{base}.rels"] = _relationships(held)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (made | dict(parts)).items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), _HEAD + content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def text_of(text: str) -> str:
    """`text` as it stands in XML, in elements and in attributes."""
    return escape(text, {'"': "&quot;"})


_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def _relationships(held: Iterable[str]) -> str:
    made = ""
    for identity, kind, target in (one.split(" ", 2) for one in held):
        outside = ' TargetMode="External"' if "://" in target else ""
        made += f'<Relationship Id="{identity}" Type="{OFFICE}/{kind}" Target="{text_of(target)}"{outside}/>'
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{made}</Relationships>'
