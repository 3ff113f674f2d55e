"""E-mail: what its heads say, what its writer says, what it quotes, and the files that come with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.cms import signed_content
from citewell.reading.decode import decode_html
from citewell.reading.formats import MAIL
from citewell.reading.gaps import fill_places
from citewell.reading.html import fragment_pieces
from citewell.reading.images import Picture, picture
from citewell.reading.limits import MAX_CELLS
from citewell.reading.mail_text import plain_pieces, settle
from citewell.reading.metadata import document_metadata
from citewell.reading.mime import Head, Message, Part, parse, parse_head
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tnef import is_tnef, read_tnef
from citewell.types import BlockKind, Document, Place, Reason, Source, Value, count_characters

_SHOWN: Final = ("from", "to", "cc", "bcc", "date", "reply-to")
_NAMES: Final = {"reply-to": "Reply-To"}
_SIGNATURES: Final = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_DEEPEST: Final = 4
_UNKNOWN: Final = "application/octet-stream"
_ENVELOPES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SUFFIXES: Final = {"message/rfc822": ".eml", "text/html": ".html", "text/plain": ".txt", "text/calendar": ".ics"}
_ASIDE_CLASSES: Final = re.compile(
    r"\b(?:gmail_(?:quote(?:_container)?|signature|attr)|moz-(?:cite-prefix|signature|forward-container)|yahoo_quoted|"
    r"OutlookMessageHeader|protonmail_quote|zmail_extra|x_gmail_quote)\b"
)
_ASIDE_IDS: Final = frozenset(
    {
        "divRplyFwdMsg",
        "appendonsend",
        "Signature",
        "ms-outlook-mobile-signature",
        "mail-editor-reference-message-container",
    }
)
_FORWARDED: Final = re.compile(
    r"(?<!-)-{3,}\s*(?:Forwarded|Weitergeleitete|Begin forwarded)|Begin forwarded message", re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"<([^<>@\s]{1,300}@[^<>@\s]{1,300})>|([^<>@\s,;]{1,300}@[^<>@\s,;]{1,300})")
_ID: Final = re.compile(r"<[^<>\s]{1,500}>")
_LETTERS: Final = re.compile(r"[\W_]+")
_URL: Final = re.compile(r"<?\b(?:https?|mailto|ftp):[^\s<>]+>?|\[(?:cid|image):[^\]\s]*\]")


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that came with a mail: to be read as a source of its own."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Letter:
    """What one mail holds: pieces in reading order, what it says of itself, the files with it, what was lost."""

    subject: str
    pieces: list[Piece]
    metadata: dict[str, Value]
    enclosed: list[Enclosed] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    duplicate: int = 0  # characters of alternatives that say what another one says
    unreadable: int = 0  # images of no known format

    def add_to(self, builder: Builder, folder: str = "") -> None:
        """Write the letter down. Raises ReadError limit_exceeded."""
        for piece in self.pieces:
            builder.add(piece)
        for file in self.enclosed:
            builder.attach(folder + file.name, file.content, media_type=_declared(file.media_type))
        builder.leave_out(Reason.DUPLICATE, characters=self.duplicate)
        builder.leave_out(Reason.UNREADABLE, images=self.unreadable)


class MailReader:
    """Reads one e-mail as RFC 5322 has it, and whatever else mail programs write.

    The subject is a heading, sender, recipients and date a paragraph below it. Of alternatives the HTML one is read,
    with what only the plain one says after it. Quotations at the end and signatures are boilerplate. Files become
    `attachments`, images that stand in the text assets. An unreadable part never takes the readable ones with it.
    """

    identity = versions.MAIL

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: no_text, encrypted, limit_exceeded."""
        letter = read_letter(source.content, self._max_cells)
        builder = Builder(max_cells=self._max_cells)
        letter.add_to(builder)
        metadata, warnings = document_metadata(letter.metadata)
        return builder.document(
            source,
            reader=self.identity,
            media_type=MAIL,
            title=letter.subject,
            metadata=metadata,
            warnings=[*letter.warnings, *warnings],
        )


def read_letter(content: bytes, max_cells: int = MAX_CELLS) -> Letter:
    """What the mail in `content` holds. Raises ReadError encrypted, limit_exceeded."""
    message = parse(content)
    head = message.root.head
    subject = head.text("subject")
    pieces = [Piece(BlockKind.HEADING, subject, 1)] if subject else []
    if lines := list(_headlines(head)):
        pieces.append(Piece(BlockKind.PARAGRAPH, "\n".join(lines)))
    letter = Letter(subject, pieces, _metadata(head))
    sort = _Sorting(message, letter, max_cells)
    sort.run()
    # Of a mail that was brought to UTF-8 no bytes of the source are known.
    known = Place(0, message.root.start) if message.exact else Place(0, 1, "lines")
    for piece in letter.pieces:
        piece.source = known
    fill_places(sort.pieces, known)
    letter.pieces.extend(sort.pieces)
    return letter


class _Sorting:
    """One pass over the parts of a mail: which are its text, which are files."""

    def __init__(self, message: Message, letter: Letter, max_cells: int, depth: int = 0) -> None:
        self.pieces: list[Piece] = []
        self._message = message
        self._letter = letter
        self._max_cells = max_cells
        self._depth = depth  # of signatures around signatures
        self._pictures = {part.content_id: part for part in message.root.walk() if part.content_id}
        self._shown: set[str] = set()  # paths of parts that stand in the text
        self._images: list[Part] = []

    def run(self) -> None:
        """Fill `pieces` and the letter with the parts of the message."""
        stack = [self._message.root]
        while stack:
            part = stack.pop()
            kind = part.kind
            if kind == "multipart/encrypted":
                raise ReadError("encrypted", "The mail is encrypted. Save it decrypted and ingest it again.")
            if kind in _ENVELOPES and self._depth < _DEEPEST:
                self._signed(part)
                continue
            if not part.children and kind.startswith("multipart/"):
                kind = "text/plain"  # what was cut off before its first boundary is still text
            if kind == "multipart/alternative":
                stack.extend(reversed(self._alternative(part)))
            elif part.children:
                stack.extend(reversed(part.children))
            elif self._is_text(part, kind):
                self.pieces.extend(self._text(part, kind))
            elif kind not in _SIGNATURES or part.name:
                self._file(part)
        for part in self._images:
            if part.path not in self._shown:
                self.pieces.append(Piece(BlockKind.FIGURE, part.name, asset=self._picture(part)))

    def _signed(self, part: Part) -> None:
        """Go on with what a signature is around: parts as those of any mail."""
        within = parse(signed_content(self._message.body(part)))
        sort = _Sorting(within, self._letter, self._max_cells, self._depth + 1)
        sort.run()
        # Their bytes are within those of the envelope.
        for piece in sort.pieces:
            if piece.source is not None:
                piece.source = replace(piece.source, part=f"{part.path}/{piece.source.part}")
        self.pieces.extend(sort.pieces)

    def _winmail(self, content: bytes) -> None:
        """The files in a `winmail.dat`, and its text where the mail has no other."""
        found = read_tnef(content)
        for file in found.files:
            self._letter.enclosed.append(Enclosed(file.name or "attachment", file.media_type or _UNKNOWN, file.content))
        if self.pieces:
            return
        if found.html:
            markup = decode_html(found.html).text
            self.pieces.extend(settle(fragment_pieces(markup, self._max_cells, aside=_is_aside)))
        elif found.text.strip():
            self.pieces.extend(plain_pieces(found.text, flowed=False, delete_space=False))
        elif found.rtf:
            from citewell.reading.msg import unpack_rtf
            from citewell.reading.rtf import rtf_text

            self.pieces.extend(plain_pieces(rtf_text(unpack_rtf(found.rtf)), flowed=False, delete_space=False))

    def _is_text(self, part: Part, kind: str) -> bool:
        if part.disposition == "attachment" or (part.name and kind not in ("text/plain", "text/html")):
            return False
        if part.name and not part.content_id and part.disposition != "inline" and part is not self._message.root:
            return False
        return kind in (
            "text/plain",
            "text/html",
            "text/enriched",
            "message/delivery-status",
            "text/rfc822-headers",
        ) or (kind.startswith("text/") and kind != "text/calendar")

    def _alternative(self, part: Part) -> list[Part]:
        """The parts of an alternative to go on with; its texts are read here, when both HTML and plain are there."""
        flat = [one for child in part.children for one in ([child] if not child.children else child.walk())]
        html = [one for one in flat if one.kind == "text/html" and self._is_text(one, one.kind)]
        plain = [one for one in flat if one.kind == "text/plain" and self._is_text(one, one.kind)]
        if not html or not plain:
            return part.children
        found = [piece for one in html for piece in self._text(one, "text/html")]
        said = _letters("".join(f"{piece.text}\n{_cells(piece)}" for piece in found))
        if not said:
            return [one for one in part.children if one not in html]
        for one in plain:
            for piece in self._text(one, "text/plain"):
                if (left := _unsaid(piece.text, said)) and not piece.boilerplate:
                    piece.text = left
                    found.append(piece)
                else:
                    self._letter.duplicate += count_characters(piece.text)
        self.pieces.extend(found)
        return [one for one in flat if not (one in html or one in plain or one.children)]

    def _text(self, part: Part, kind: str) -> list[Piece]:
        try:
            text, warnings = self._message.text(part)
        except ReadError as error:
            self._letter.warnings.append(f"Part {part.path} could not be read: {error}")
            self._file(part)
            return []
        self._letter.warnings.extend(warnings)
        if kind == "text/html" or (
            kind == "text/plain" and text.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))
        ):
            try:
                return settle(
                    fragment_pieces(text, self._max_cells, aside=_is_aside, image=self._image, part=part.path)
                )
            except ReadError as error:
                self._letter.warnings.append(f"Part {part.path} could not be read: {error}")
                return []
        if kind == "text/enriched":
            text = re.sub(r"<(/?)[\w-]{1,60}>", "", text)
        flowed = part.params.get("format", "").lower() == "flowed"
        return plain_pieces(
            text, flowed=flowed, delete_space=part.params.get("delsp", "").lower() == "yes", part=part.path
        )

    def _file(self, part: Part) -> None:
        content = self._message.body(part)
        name = part.name
        if is_tnef(content):
            self._winmail(content)
            return
        if not name:
            stem = "message" if part.kind == "message/rfc822" else f"part-{part.path}"
            if part.kind == "message/rfc822":
                stem = parse_subject(content) or stem
            name = stem + _SUFFIXES.get(part.kind, "")
        if not content.strip():
            return
        if part.kind.startswith("image/") and (part.content_id or part.disposition == "inline"):
            self._images.append(part)
        else:
            self._letter.enclosed.append(Enclosed(name, part.kind, content))

    def _picture(self, part: Part) -> Picture | None:
        found = picture(self._message.body(part), name=part.name)
        if found is None:
            self._letter.unreadable += 1
        return found

    def _image(self, src: str) -> Picture | None:
        part = self._pictures.get(unquote(src[4:])) if src[:4].lower() == "cid:" else None
        if part is None:
            return None
        self._shown.add(part.path)
        return self._picture(part)


def parse_subject(content: bytes) -> str:
    """The subject of the mail in `content`, made fit for a file's name."""
    return re.sub(r"[^\w .,-]+", "_", parse_head(content, 0)[0].text("subject"))[:80].strip()


def _declared(kind: str) -> str | None:
    # Mail programs call what they do not know an octet stream: the name then tells more.
    return None if kind in (_UNKNOWN, "application/x-download") else kind


def _headlines(head: Head) -> Iterator[str]:
    for name in _SHOWN:
        if value := head.all(name) if name != "date" else head.text(name):
            yield f"{_NAMES.get(name, name.capitalize())}: {value}"


def _metadata(head: Head) -> dict[str, Value]:
    """From, to, cc, bcc as lists of addresses with names; the ids of the mail, of what it answers, of its thread."""
    found: dict[str, Value] = {"author": head.text("from"), "subject": head.text("subject")}
    for name in ("from", "to", "cc", "bcc"):
        if addresses := _addresses(head.all(name)):
            found[name] = addresses
    date = head.parsed("date")
    moment = getattr(date, "datetime", None)
    found["date"] = moment.isoformat() if moment is not None else head.text("date")
    found["message_id"] = head.text("message-id")
    for name, key in (("in-reply-to", "in_reply_to"), ("references", "references")):
        if ids := tuple(_ID.findall(head.all(name))):
            found[key] = ids if name == "references" else ids[0]
    found["list"] = head.text("list-id")
    found["language"] = head.text("content-language")
    return found


def _addresses(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((one or other).lower() for one, other in _ADDRESS.findall(value)))[:1000]


def _is_aside(element: Any) -> bool:
    """Whether an HTML element is what a mail program marks as a quotation of an earlier mail, or as a signature."""
    if element.tag == "blockquote" and (element.get("type") or "").lower() == "cite":
        return True
    if element.get("id") in _ASIDE_IDS:
        return True
    if _ASIDE_CLASSES.search(element.get("class") or ""):
        # A forwarded mail is what the forwarding one is about.
        start = "".join(text for text, _ in zip(element.itertext(), range(6), strict=False))
        return not _FORWARDED.search(start)
    return False


def _cells(piece: Piece) -> str:
    return " ".join(text or "" for row in (piece.table.rows if piece.table else ()) for text in row)


def _letters(text: str) -> str:
    return _LETTERS.sub("", _URL.sub(" ", text)).lower()


def _unsaid(text: str, said: str) -> str:
    """The lines of `text`, or all of it, that are not in `said`; "" when all are."""
    if _letters(text) in said:
        return ""
    lines: Sequence[str] = text.split("\n")
    left = [line for line in lines if _letters(line) not in said]
    return "\n".join(left) if len(left) < len(lines) else text
