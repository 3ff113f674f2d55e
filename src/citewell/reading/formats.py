"""The formats there are: their media types, and what to tell people of those that are not read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from citewell.errors import ReadError

CSV: Final = "text/csv"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EPUB: Final = "application/epub+zip"
HTML: Final = "text/html"
JSON: Final = "application/json"
MAIL: Final = "message/rfc822"
MARKDOWN: Final = "text/markdown"
MBOX: Final = "application/mbox"
MSG: Final = "application/vnd.ms-outlook"
NOTEBOOK: Final = "application/x-ipynb+json"
ODF: Final = "application/vnd.oasis.opendocument"
ODP: Final = f"{ODF}.presentation"
ODS: Final = f"{ODF}.spreadsheet"
ODT: Final = f"{ODF}.text"
PDF: Final = "application/pdf"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
RST: Final = "text/x-rst"
RTF: Final = "application/rtf"
SVG: Final = "image/svg+xml"
TEXT: Final = "text/plain"
WEB_ARCHIVE: Final = "multipart/related"
XLS: Final = "application/vnd.ms-excel"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XML: Final = "application/xml"

IMAGES: Final = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/gif")
"""The images whose text is read."""

_READ: Final = {
    CSV: "CSV",
    DOCX: "Word (.docx)",
    EPUB: "EPUB",
    HTML: "HTML",
    JSON: "JSON",
    MAIL: "e-mail (.eml)",
    MARKDOWN: "Markdown",
    MBOX: "mailbox (.mbox)",
    MSG: "Outlook message (.msg)",
    NOTEBOOK: "Jupyter notebook",
    ODP: "OpenDocument presentation (.odp)",
    ODS: "OpenDocument spreadsheet (.ods)",
    ODT: "OpenDocument text (.odt)",
    PDF: "PDF",
    PPTX: "PowerPoint (.pptx)",
    RST: "reStructuredText",
    RTF: "RTF",
    TEXT: "plain text",
    WEB_ARCHIVE: "web archive (MHTML)",
    XLS: "old Excel (.xls)",
    XLSX: "Excel (.xlsx)",
    XML: "XML",
    **{kind: kind.removeprefix("image/").upper() for kind in IMAGES},
}
_AS_PDF: Final = "Save it as PDF and ingest that."
_AS_WORD: Final = "Save it as .docx or PDF and ingest that."
_UNPACKED: Final = "Unpack it and ingest what is in it."
_UNREAD: Final = {
    SVG: ("an SVG drawing", _AS_PDF),
    f"{ODF}.graphics": ("an OpenDocument drawing", _AS_PDF),
    "application/msword": ("an old Word document (.doc)", _AS_WORD),
    "application/vnd.ms-powerpoint": ("an old PowerPoint presentation (.ppt)", _AS_PDF),
    "application/x-7z-compressed": ("a 7-Zip archive", _UNPACKED),
    "application/x-gzip": ("a gzip archive", _UNPACKED),
    "application/x-ole-storage": ("an old office file of an unknown kind", _AS_PDF),
    "application/x-tar": ("a tar archive", _UNPACKED),
    "application/x-xz": ("an xz archive", _UNPACKED),
    "application/zip": ("a ZIP archive", _UNPACKED),
}
_UNREAD_FAMILIES: Final = {
    "audio": ("a sound recording", "Ingest a transcript of it."),
    "image": ("an image", "Save it as PNG or JPEG and ingest that."),
    "video": ("a film", "Ingest a transcript of it."),
}


def unread(media_type: str, read: Iterable[str]) -> str:
    """What to say of a file of `media_type`, for which there is no reader; `read` are the types for which there is."""
    family, _, kind = media_type.partition("/")
    if media_type in _UNREAD:
        name, advice = _UNREAD[media_type]
        return f"This is {name}, which is not read yet. {advice}"
    if family in _UNREAD_FAMILIES:
        name, advice = _UNREAD_FAMILIES[family]
        return f"This is {name} ({kind}), which is not read yet. {advice}"
    known = ", ".join(sorted(_READ.get(one, one) for one in read))
    return f"This is of type {media_type}, which is not read. Save it as one of these: {known}."


def not_installed(error: ImportError) -> ReadError:
    """The error for a file whose reader lacks a library; readers import theirs when they first read."""
    missing = error.name or str(error)
    said = f"Files of this type are read with {missing}, which is not installed. Install it."
    return ReadError("unsupported_type", said)
