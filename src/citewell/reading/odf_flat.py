"""Flat OpenDocument (.fodt, .fods, .fodp): one XML file, made into the package of parts that the readers know."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from typing import Final

from citewell.reading.package import Package
from citewell.reading.xml_tree import parse_xml

_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_PARTS: Final = ("content.xml", "styles.xml", "meta.xml")


def open_odf(content: bytes) -> Package:
    """The parts of an OpenDocument file, flat or not. Raises ReadError as `Package.open` and `parse_xml` do."""
    return Package.open(_packed(content) if content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else content)


def _packed(content: bytes) -> bytes:
    """A ZIP of the parts of a flat file; its pictures are parts that the images in it name."""
    from lxml import etree

    root = parse_xml(content, "The document")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, data in enumerate(list(root.iter(f"{_OFFICE}binary-data"))):
            holder = data.getparent()
            try:
                picture = base64.b64decode("".join((data.text or "").split()), validate=True)
            except (binascii.Error, ValueError):
                continue
            archive.writestr(f"Pictures/{number}", picture)
            holder.set(_HREF, f"Pictures/{number}")
            holder.remove(data)
        text = etree.tostring(root, encoding="utf-8")
        for name in _PARTS:  # each looks for what it needs and passes over the rest
            archive.writestr(name, text)
    return made.getvalue()
