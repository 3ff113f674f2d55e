"""What a file is, told from its bytes: the name breaks ties between text formats and decides nothing else."""

from __future__ import annotations

import re
import struct
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from citewell.errors import ReadError
from citewell.reading.decode import utf16_without_mark
from citewell.reading.formats import (
    CSV,
    DOCX,
    EPUB,
    HTML,
    JSON,
    MAIL,
    MARKDOWN,
    MBOX,
    NOTEBOOK,
    ODF,
    ODS,
    PDF,
    PPTX,
    RST,
    SVG,
    TEXT,
    WEB_ARCHIVE,
    XLS,
    XLSX,
    XML,
)
from citewell.reading.images import picture
from citewell.reading.languages import CODE_LABELS, CODE_SUFFIXES, CODE_TYPES

_SUFFIXES: Final = {
    ".md": MARKDOWN,
    ".mdx": MARKDOWN,
    ".markdown": MARKDOWN,
    ".mdown": MARKDOWN,
    ".qmd": MARKDOWN,
    ".rmd": MARKDOWN,
    ".csv": CSV,
    ".tsv": CSV,
    ".tab": CSV,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".mht": WEB_ARCHIVE,
    ".mhtml": WEB_ARCHIVE,
    ".eml": MAIL,
    ".mbox": MBOX,
    ".ipynb": NOTEBOOK,
    ".rst": RST,
    ".rest": RST,
    ".xml": XML,
    ".dbk": XML,
    ".tei": XML,
    ".rss": XML,
    ".atom": XML,
    ".svg": SVG,
    **CODE_SUFFIXES,
}
_DECLARED: Final = {
    "text/markdown": MARKDOWN,
    "text/x-markdown": MARKDOWN,
    "text/csv": CSV,
    "text/tab-separated-values": CSV,
    "text/html": HTML,
    "application/xhtml+xml": HTML,
    "application/json": JSON,
    "application/jsonl": JSON,
    "application/x-ndjson": JSON,
    "application/ndjson": JSON,
    "message/rfc822": MAIL,
    "multipart/related": WEB_ARCHIVE,
    "text/plain": TEXT,
    "application/mbox": MBOX,
    "application/x-ipynb+json": NOTEBOOK,
    "text/x-rst": RST,
    "text/prs.fallenstein.rst": RST,
    "application/xml": XML,
    "text/xml": XML,
    "application/rss+xml": XML,
    "application/atom+xml": XML,
    **{one: one for one in CODE_TYPES},
    **CODE_LABELS,
}
# Where nothing in the text speaks against them, these are what their name says.
_TRUSTED: Final = frozenset({MARKDOWN, CSV, JSON, MAIL, MBOX, NOTEBOOK, RST, WEB_ARCHIVE, *CODE_TYPES})
_HEAD_BYTES: Final = 65_536
_MAX_PARTS: Final = 10_000
_TEXT_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_BAD_CONTROLS: Final = bytes([*range(1, 8), *range(14, 27), *range(28, 32), 127])
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS: Final = (
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", XLS),
    ("Book", XLS),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
_PDF_OBJECT: Final = re.compile(
    rb"\b\d{1,7} \d{1,5} obj\s{0,3}(?:<<|\[)[^\0]{0,500}/(?:Type|Length|Kids|Filter|Count)\b"
)
# Images that carry PDF objects inside (Illustrator and scanners write such) are still images.
_SIGNED: Final = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"\x1f\x8b", b"RIFF")
_HTML_TAGS: Final = (
    "html|head|body|title|meta|link|script|style|div|p|h[1-6]|table|ul|ol|dl|section|article|main|nav|header|footer|"
    "form|center|blockquote|pre|span|a|b|i|em|strong|font|img|br|hr|iframe|template|aside|details|figure"
)
# A comment or processing instruction may stand before the first tag; the lengths keep the search linear.
_HTML_START: Final = re.compile(r"\s*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])", re.IGNORECASE)
_HTML_ROOT: Final = re.compile(r"<(?:!doctype\s+html|html[\s>])", re.IGNORECASE)
_HTML_TAG: Final = re.compile(rf"<(?:{_HTML_TAGS})(?:\s[^<>]{{0,1000}})?/?>", re.IGNORECASE)
_ENTITY: Final = re.compile(r"<!ENTITY\s", re.IGNORECASE)
_MARKDOWN_SIGNS: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^#{1,6} \S",
        r"^(?:```|~~~)",
        r"\[[^\[\]\n]{1,200}\]\([^()\s]{1,500}\)",
        r"^\|?[ \t]*:?-{3,}:?[ \t]*\|",
        r"(?<!\*)\*\*[^*\s][^*\n]{0,200}\*\*",
        r"^[*-] \S",
        r"^> \S",
    )
)


# Header lines down to the first blank one. A mail whose body is legible as it stands is as good as any text.
_MAIL_HEAD: Final = re.compile(
    r"(?:From [^\n]{1,200}\n)?(?:[!-9;-~]{1,80}:[^\n]{0,2000}\n(?:[ \t][^\n]{0,2000}\n){0,200}){3,200}\s*\n"
)
_MAIL_CODED: Final = re.compile(
    r"^Content-(?:Type:\s{0,9}multipart/|Transfer-Encoding:\s{0,9}(?:base64|quoted-printable))",
    re.IGNORECASE | re.MULTILINE,
)
# Headers that programs write and people do not: with them even a legible mail is told by its head alone.
_MAIL_SENT: Final = re.compile(r"^(?:Received|Message-ID|Return-Path|MIME-Version):", re.IGNORECASE | re.MULTILINE)
_ARCHIVE_HEAD: Final = re.compile(
    r"^(?:Snapshot-Content-Location:|From:\s{0,9}<?Saved by )", re.IGNORECASE | re.MULTILINE
)
_RELATED: Final = re.compile(r"^Content-Type:\s{0,9}multipart/related", re.IGNORECASE | re.MULTILINE)
_MAILBOX: Final = re.compile(r"From \S[^\n]{0,300}\b\d{4}\b[^\n]{0,20}\n(?=[!-9;-~]{1,80}:)")
_FLAT: Final = re.compile(
    rf"office:mimetype\s{{0,9}}=\s{{0,9}}[\"']({re.escape(ODF)}\.(?:text|spreadsheet|presentation))[\"']"
)
_NOTEBOOK: Final = re.compile(r"\"nbformat(?:_minor)?\"\s{0,20}:\s{0,20}\d")


def detect(content: bytes, uri: str, declared: str | None = None) -> str:
    """The media type of `content`.

    Raises ReadError: empty for no bytes, encrypted for a locked office file, unsafe_content for XML that declares
    entities, unsupported_type for binary data of no known kind. Types that no reader is for are still named.
    """
    if not content:
        raise ReadError("empty", "The file has no bytes. Was it saved or copied whole?")
    binary = _binary(content)
    if binary is not None:
        return binary
    head = content[:_HEAD_BYTES]
    if not _is_text(head):
        # A damaged PDF may have lost its header; its reader can say more of it than that it is unknown.
        if (image := picture(content)) is not None:
            return image.media_type
        return PDF if _PDF_OBJECT.search(content) and not content.startswith(_SIGNED) else _magic(head)
    return _text_type(_peek(head), uri, declared)


def _binary(content: bytes) -> str | None:
    if content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n\0").startswith(b"%PDF-") or _pdf_after_junk(content):
        return PDF
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_type(content)
    if content.startswith(_OLE):
        return _ole_type(content)
    if content.startswith(b"{\\rtf"):
        return "application/rtf"
    if content[257:262] == b"ustar":
        return "application/x-tar"
    return None


def _pdf_after_junk(content: bytes) -> bool:
    # Readers accept a header anywhere in the first 1024 bytes; a text about PDF may say "%PDF-" there, but it has
    # no object and no cross-reference table behind it.
    found = re.search(rb"%PDF-[12]\.\d", content[:1032])
    return bool(found) and b" obj" in content and b"endobj" in content and b"%%EOF" in content[-4096:]


def _zip_type(content: bytes) -> str:
    names = _zip_names(content)
    if not names and content.startswith(b"PK\x05\x06"):
        raise ReadError("empty", "The file is a ZIP archive with nothing in it. Was it saved or copied whole?")
    if "word/document.xml" in names or (_has(names, "word/") and "[Content_Types].xml" in names):
        return DOCX
    if _has(names, "ppt/") and "[Content_Types].xml" in names:
        return PPTX
    if _has(names, "xl/") and "[Content_Types].xml" in names:
        return XLSX
    # OpenDocument and EPUB store their type first, without compression.
    mimetype = re.match(rb"PK\x03\x04.{4}\x00\x00.{16}\x08\x00..mimetype([\w.+/-]{5,100})", content[:200], re.DOTALL)
    if mimetype:
        stored = mimetype[1].decode("ascii").split("PK")[0]
        for known in (EPUB, f"{ODF}.text", ODS, f"{ODF}.presentation", f"{ODF}.graphics"):
            if stored.startswith(known):
                return known
    if "META-INF/container.xml" in names:
        return EPUB
    return "application/zip"


def _has(names: frozenset[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _zip_names(content: bytes) -> frozenset[str]:
    """Part names from the central directory, or from the local headers where it is cut off. Nothing is inflated."""
    names: set[str] = set()
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - 66_000))
    if end >= 0 and end + 22 <= len(content):
        size, offset = struct.unpack_from("<II", content, end + 12)
        at = offset if content[offset : offset + 4] == b"PK\x01\x02" else max(0, end - size)
        while len(names) < _MAX_PARTS and content[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(content):
            name, extra, comment = struct.unpack_from("<HHH", content, at + 28)
            names.add(content[at + 46 : at + 46 + name].decode("utf-8", "replace"))
            at += 46 + name + extra + comment
    if not names:
        for found in re.finditer(rb"PK\x03\x04.{22}(..)..", content, re.DOTALL):
            (length,) = struct.unpack("<H", found[1])
            names.add(content[found.end() : found.end() + length].decode("utf-8", "replace"))
            if len(names) >= _MAX_PARTS:
                break
    return frozenset(names)


def _ole_type(content: bytes) -> str:
    def holds(stream: str) -> bool:
        return stream.encode("utf-16-le") + b"\0\0" in content

    if holds("EncryptedPackage"):
        raise ReadError("encrypted", "The office file is encrypted. Remove the password and ingest it again.")
    for stream, media_type in _OLE_STREAMS:
        if holds(stream):
            return media_type
    return "application/x-ole-storage"


def _is_text(head: bytes) -> bool:
    if head.startswith(_TEXT_BOMS):
        # FF FE also starts MPEG audio, whose decoded text is mostly unassigned or control characters.
        text = _peek(head)[:2000]
        return sum(not (ch.isprintable() or ch.isspace()) for ch in text) <= len(text) // 10
    if utf16_without_mark(head):
        return True
    bad = len(head) - len(head.translate(None, _BAD_CONTROLS))
    if bad > len(head) // 50:
        return False
    nuls = head.count(0)
    # Blocks of NUL come from crashed writers and fixed-size records; NULs all over the place are binary data.
    rest = head.replace(b"\0", b"")
    return not nuls or (bool(rest.strip()) and bad == 0 and len(re.findall(rb"\0+", head)) <= 2 + len(head) // 500)


def _peek(head: bytes) -> str:
    if head.startswith(b"\xff\xfe\0\0"):
        return head.decode("utf-32-le", "ignore").lstrip("\ufeff")
    if head.startswith(b"\0\0\xfe\xff"):
        return head.decode("utf-32-be", "ignore").lstrip("\ufeff")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "ignore")
    encoding = utf16_without_mark(head)
    return head.decode(encoding or "utf-8", "ignore").lstrip("\ufeff")


def _magic(head: bytes) -> str:
    import puremagic

    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError, IndexError):
        found = []
    for match in found:
        if match.mime_type and not match.mime_type.startswith("text/"):
            return str(match.mime_type)
    raise ReadError("unsupported_type", "The file is binary data of no known type. Save it as PDF, HTML or text.")


def _text_type(text: str, uri: str, declared: str | None) -> str:
    """The format of a text, of which `text` is the beginning."""
    claimed = _claimed(uri, declared)
    start = text.lstrip()
    if _HTML_START.match(start):
        return HTML
    if start.startswith("<"):
        return _markup_type(start, claimed)
    if claimed == HTML and _HTML_TAG.search(text):
        return HTML
    if (mail := _MAIL_HEAD.match(start)) and (found := _mail_type(start, mail[0], claimed)):
        return found
    if claimed in (None, TEXT, JSON) and start[:1] == "{" and '"cells"' in text and _NOTEBOOK.search(text):
        return NOTEBOOK
    if claimed in _TRUSTED:
        return claimed
    if _is_json(start, whole=len(text) < _HEAD_BYTES // 4):
        return JSON
    if claimed == TEXT:
        return TEXT
    if _is_markdown(text):
        return MARKDOWN
    return CSV if _is_csv(text) else TEXT


def _mail_type(start: str, head: str, claimed: str | None) -> str | None:
    """Which kind of mail a text is that starts with `head`, or None."""
    if claimed == WEB_ARCHIVE or _ARCHIVE_HEAD.search(head):
        return WEB_ARCHIVE if _RELATED.search(head) or _ARCHIVE_HEAD.search(head) else MAIL
    # A single mail that was cut out of a mailbox keeps the line above it.
    if _MAILBOX.match(start) and (claimed == MBOX or _MAILBOX.search(start, len(head))):
        return MBOX
    return MAIL if claimed == MAIL or _MAIL_CODED.search(head) or len(_MAIL_SENT.findall(head)) > 1 else None


def _claimed(uri: str, declared: str | None) -> str | None:
    if declared:
        known = _DECLARED.get(declared.partition(";")[0].strip().lower())
        if known is not None and known != TEXT:
            return known
    path = urlsplit(uri).path if "://" in uri else uri
    suffix = PurePosixPath(path).suffix.lower()
    return _SUFFIXES.get(suffix, TEXT if suffix else None)


def _markup_type(start: str, claimed: str | None) -> str:
    if start.startswith("<?php"):
        return "text/x-php"
    root = re.search(r"<(?:[\w.-]{1,50}:)?([A-Za-z][\w.-]{0,50})", start)
    name = root[1].lower() if root else ""
    if name == "html":
        return HTML
    if start.startswith("<?xml") or re.match(r"<!doctype\s+(?!html)", start, re.IGNORECASE):
        if _ENTITY.search(start):
            raise ReadError(
                "unsafe_content", "The XML declares entities of its own, which is refused. Save it without them."
            )
        # Flat OpenDocument says what it is by an attribute of its root.
        flat = _FLAT.search(start) if name == "document" else None
        return flat[1] if flat else SVG if name == "svg" else XML
    if name == "svg":
        return SVG
    # Markdown may start with HTML (a centred logo), and then only the name can tell.
    if claimed in (MARKDOWN, XML, *CODE_TYPES):
        return claimed
    if claimed == HTML or _HTML_ROOT.search(start) or _HTML_TAG.match(start):
        return HTML
    if re.match(r"<[\w.:-]{1,100}\s[^<>]{0,1000}?\bxmlns(?::\w{1,50})?\s{0,9}=", start):
        return XML
    return claimed or TEXT


def _is_json(start: str, *, whole: bool) -> bool:
    lines = [line.strip() for line in start[:20_000].split("\n")[:3] if line.strip()]
    if len(lines) > 1 and all(re.match(r"\{\s*\"", line) for line in lines) and lines[0].endswith("}"):
        return True
    if not re.match(r"\{\s*[\"}]|\[\s*[\[{\"\d\]-]", start):
        return False
    # An excerpt of JSON inside a text also starts so; the end tells when it is in view.
    return start.rstrip()[-1] in "]}" if whole else True


def _is_markdown(text: str) -> bool:
    if re.match(r"---[ \t]*\n(?:[\w-]+:[^\n]*\n){1,40}", text):
        return True
    counts = [len(sign.findall(text[:20_000])) for sign in _MARKDOWN_SIGNS]
    # One sign alone is not proof: "# " also starts comments, "- " and "> " stand in plain mail.
    return sum(1 for count in counts if count) >= 2 and any(counts[:5])


def _is_csv(text: str) -> bool:
    lines = [line for line in text[:20_000].split("\n")[:-1] if line.strip()][:20]
    if len(lines) < 3:
        return False
    for delimiter in ",;\t|":
        counts = {line.count(delimiter) for line in lines}
        if len(counts) == 1 and counts.pop() >= (1 if delimiter == "\t" else 2):
            return True
    return False
