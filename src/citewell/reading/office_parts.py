"""What Word, Excel and PowerPoint files have in common: relationships by id, properties, pictures."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Final

from citewell.reading.docx_xml import name
from citewell.reading.images import Picture, picture
from citewell.reading.package import Package
from citewell.reading.tidy import tidy
from citewell.types import Metadata, Value

R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
# File names and counted names say nothing of what is to be seen.
_MADE_UP: Final = re.compile(
    r"(?:Picture|Image|Grafik|Bild|Graphic|Imagen|Chart|Diagram)\s?\d{0,5}|[^\s/]{1,200}\.(?:png|jpe?g|gif|emf|wmf|bmp|tiff?|svg)",
    re.IGNORECASE,
)
_MAX_TEXT: Final = 1_000_000  # of one property
_PROPERTIES: Final = {
    "creator": "author",
    "created": "created",
    "modified": "modified",
    "lastModifiedBy": "last_modified_by",
    "subject": "subject",
    "description": "description",
    "keywords": "keywords",
    "language": "language",
    "category": "category",
    "version": "version",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part points to: `kind` is the last word of the type, `target` a part's name, or a url if `external`."""

    kind: str
    target: str
    external: bool = False


def relations(package: Package, part: str) -> dict[str, Relation]:
    """Where a part points to, by the id it uses for it. Targets that lead out of the package end inside it."""
    folder, base = posixpath.split(part)
    root = package.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
    found: dict[str, Relation] = {}
    for relation in root if root is not None else ():
        kind = (relation.get("Type") or "").rpartition("/")[2]
        target = relation.get("Target") or ""
        external = relation.get("TargetMode") == "External"
        if not external:
            at = target if target.startswith("/") else f"{folder}/{target}"
            target = posixpath.normpath(posixpath.join("/", at)).lstrip("/")
        found.setdefault(relation.get("Id") or "", Relation(kind, target, external))
    return found


def properties(package: Package) -> tuple[Metadata, str]:
    """Author, dates and the like under our own names, with the title apart."""
    metadata: dict[str, Value] = {}
    title = ""
    for part in package.related("", "core-properties") or ["docProps/core.xml"]:
        root = package.xml(part)
        for element in root if root is not None else ():
            text = tidy((element.text or "")[:_MAX_TEXT])
            if text and name(element) == "title":
                title = text
            elif text and name(element) in _PROPERTIES:
                metadata[_PROPERTIES[name(element)]] = text
    return metadata, title


def picture_in(package: Package, part: str, alt: str) -> Picture | None:
    """The image in a part, or None where there is none that we know."""
    content = package.part(part)
    return picture(content, name=part, alt=alt) if content else None


def alt_text(properties: Any) -> str:
    """What an author wrote in the stead of a shape: its description, else its title; not what a program made up."""
    if properties is None:
        return ""
    text = tidy(properties.get("descr") or properties.get("title") or "")
    return "" if _MADE_UP.fullmatch(text) else text
