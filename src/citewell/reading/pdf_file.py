"""A PDF as PDFium has it: its pages one by one, what is written and drawn on them, and what it says of itself.

That is a second opinion, independent of the layout parser: what text there is, what of it is not seen, and the pages
of which the layout parser made nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.allowance import allow
from citewell.reading.attachments import require_fit
from citewell.reading.images import Picture
from citewell.reading.ocr import Recogniser
from citewell.reading.pdf_figures import Found, Kept, figures, place_figures
from citewell.reading.pdf_hidden import sight
from citewell.reading.pdf_images import largest
from citewell.reading.pdf_layers import Layers, may_have_layers
from citewell.reading.pdf_lines import Lines, page_lines
from citewell.reading.pdf_notes import Notes, notes_of
from citewell.reading.pdf_outline import Entry, outline_of
from citewell.reading.pdf_pages import PagePiece, hidden_piece, join_lines
from citewell.reading.pdf_places import Runs, replaced
from citewell.reading.pdf_rtl import RTL, glyphs_of, mend_rtl
from citewell.reading.pdf_scan import Scanned, read_scans
from citewell.reading.pdf_text import letters, unligated
from citewell.reading.pdf_unseen import Unseen, without_unseen
from citewell.reading.pdf_upright import Turn, turn_pages
from citewell.reading.scan import picture_words
from citewell.reading.tidy import tidy, visible
from citewell.types import BlockKind, Metadata, Value, count_characters

LETTER: Final = (612.0, 792.0)
"""Width and height of a page of which nothing is known, in points."""

_NO_TITLE = re.compile(
    r"\(?(untitled|anonymous|unspecified)\)?|unbenannt|title|document\d*|microsoft word - .*"
    r"|[\W\d_]+|.*\.(docx?|pdf|dvi|tex|rtf|qxd|indd)",
    re.IGNORECASE,
)
_PICTURE_S: Final = 30.0  # what the words in one picture may take; most take 1 s
_PLENTY: Final = 400  # letters on a page: reading it twice to see whether there are more costs a fifth of all time
# A hyphen that divides a word, the dots that lead to a page number, and the sign of a list item.
_MARKS = re.compile(r"[-‐\u00ad]\n|\.(?: ?\.){3,}|^[ \t]*[•◦▪■●○‣–*\-\uf0b7\uf0a7](?=[ \t])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Look:
    """What PDFium finds on one page. `text` is all of it by its lines; `unseen` is what of it nobody sees.

    `figures` are its pictures, `passed` counts those that are none. `size` is width and height as the page is shown, in
    points; those of a letter where the page is broken. `cover` is the share of the page that its largest picture takes,
    None where that is not known.
    """

    text: str = ""
    unseen: Sequence[Unseen] = ()
    figures: Sequence[Found] = ()
    passed: Kept = field(default_factory=Kept)
    size: tuple[float, float] = LETTER
    notes: Notes = field(default_factory=Notes)
    cover: float | None = None


class PdfFile:
    """The file through pypdfium2: use it as a context manager, by one thread at a time.

    Raises ReadError: corrupt or encrypted.
    """

    def __init__(self, content: bytes, passwords: Sequence[str] = ()) -> None:
        import pypdfium2

        self.password: str | None = None
        for password in (None, *passwords):
            try:
                self._pdf = pypdfium2.PdfDocument(content, password=password)
            except pypdfium2.PdfiumError as error:
                if "password" not in str(error).lower() and "security" not in str(error).lower():
                    raise ReadError(
                        "corrupt",
                        f"The PDF is cut off or damaged: {tidy(str(error)).rstrip('.')}. Fetch or export it again.",
                    ) from error
            else:
                self.password = password
                break
        else:
            raise encrypted(len(passwords))
        self._looks: dict[int, Look] = {}
        self._pdf.init_forms()
        self._layers = Layers(may_have_layers(content))
        self._open: tuple[int, Any] = (0, None)
        if not len(self):
            self._pdf.close()
            raise ReadError("corrupt", "The PDF has no pages that can be found. Export it again.")

    def __len__(self) -> int:
        return len(self._pdf)

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._open = 0, None
        self._pdf.close()

    def turned(self, turns: Mapping[int, Turn]) -> bytes:
        """The file with some of its pages turned; this is of the turned pages from now on."""
        self._looks = {number: look for number, look in self._looks.items() if number not in turns}
        self._open = 0, None
        return turn_pages(self._pdf, turns)

    def _page(self, number: int) -> Any:
        """One page; the last one asked for is kept, because opening it reads all that is drawn on it."""
        if self._open[0] != number:
            self._open = number, self._pdf[number - 1]
        return self._open[1]

    def look(self, number: int) -> Look:
        """What one page holds; nothing where it is broken."""
        import pypdfium2

        if number not in self._looks:
            try:
                page = self._page(number)
                size = page.get_size()
                textpage = page.get_textpage()
                said = textpage.get_text_range()
                said = said.replace("\r\n", "\n").replace("\ufffe", "\u00ad").replace("\x02", "\u00ad")
                seen, passed = sight(page, textpage, self._layers), Kept()
                found = tuple(figures(page, seen.images, passed)) if seen.images else ()
                notes = notes_of(self._pdf, page, textpage, number, *size)
                cover = largest(seen.images, *size)
                self._looks[number] = Look(said, seen.unseen, found, passed, size, notes, cover)
            except pypdfium2.PdfiumError:
                self._looks[number] = Look()
        return self._looks[number]

    def mend_order(self, number: int, pieces: Sequence[PagePiece], runs: Runs) -> Runs:
        """Put what runs from right to left in `pieces` of a page in reading order; its `runs` with that."""
        import pypdfium2

        if not RTL.search(self.look(number).text):
            return runs
        try:
            glyphs = glyphs_of(self._page(number), *self.look(number).size)
        except pypdfium2.PdfiumError:
            return runs
        return replaced(runs, mend_rtl(pieces, glyphs))

    def characters(self) -> int:
        """Characters of all text layers. Hyphens at line ends, leading dots and signs of list items are marks."""
        texts = (unligated(_MARKS.sub("", self.look(number + 1).text)) for number in range(len(self)))
        return sum(count_characters(visible(text)) for text in texts)

    def pieces(self, number: int) -> list[PagePiece]:
        """Paragraphs of one page by its lines, without boxes; what is not seen of them apart."""
        look = self.look(number)
        paragraphs = re.split(r"\n\s*\n", without_unseen(look.text, look.unseen))
        joined = (join_lines(paragraph.split("\n")) for paragraph in paragraphs)
        found = [PagePiece(BlockKind.PARAGRAPH, paragraph, number) for paragraph in joined if paragraph]
        return [*found, hidden_piece(look.unseen, number)] if look.unseen else found

    def rescue(self, pages: list[list[PagePiece]]) -> list[int]:
        """Replace pages that lack text which stands in the file; the numbers of those pages."""
        rescued: list[int] = []
        for number, pieces in enumerate(pages, 1):
            shown = [piece for piece in pieces if not piece.hidden]
            has = 0
            for piece in shown:
                has += _letters(piece.text) + sum(_letters(cell.text) for cell in piece.cells)
                if has > _PLENTY:
                    break
            if has > _PLENTY:
                continue
            found = self.pieces(number)
            could = sum(_letters(piece.text) for piece in found if not piece.hidden)
            if has < 0.7 * could and (not has or could - has > 10):
                pages[number - 1] = found
                rescued.append(number)
        return rescued

    def scans(
        self,
        pages: list[list[PagePiece]],
        heights: list[float],
        recogniser: Recogniser | None,
        *,
        dpi: int,
        budget_s: float,
    ) -> Scanned:
        """Replace pages that are pictures by what OCR finds on them (see `read_scans`)."""

        def cover(number: int) -> float | None:
            return self.look(number).cover

        return read_scans(self._pdf, pages, heights, recogniser, cover, dpi=dpi, budget_s=budget_s)

    def figures(
        self, pages: list[list[PagePiece]], scanned: Scanned, recogniser: Recogniser | None, budget_s: float
    ) -> Kept:
        """Put the pictures of all other pages among their pieces, with their words while `budget_s` lasts."""
        kept = Kept()
        deadline = time.monotonic() + budget_s
        known: dict[bytes, tuple[str, float | None]] = {}  # a letterhead is the same picture on every page

        def words(shown: Picture) -> tuple[str, float | None]:
            if recogniser is None:
                return "", None
            if time.monotonic() > deadline:
                kept.silent += 1
                return "", None
            if shown.content not in known:
                allow(_PICTURE_S)
                known[shown.content] = picture_words(recogniser, shown)
            return known[shown.content]

        for number, pieces in enumerate(pages, 1):
            if number not in scanned.read:
                look = self.look(number)
                kept.small += look.passed.small
                kept.lost += look.passed.lost
                if number not in scanned.unread:  # else the picture is the page, which is counted itself
                    kept.pages += look.passed.pages
                place_figures(look.figures, number, pieces, kept, words)
        return kept

    def lines(self, number: int, width: float, height: float) -> Lines:
        """What straight lines are drawn on one page, shown `width` by `height` points large; none on a broken one."""
        import pypdfium2

        try:
            self.look(number)  # while the page is open
            return page_lines(self._page(number), width, height)
        except pypdfium2.PdfiumError:
            return Lines()

    def enclosed(self) -> list[tuple[str, bytes]]:
        """Names and bytes of the files in the file. Raises ReadError limit_exceeded for too many."""
        import pypdfium2

        found: list[tuple[str, bytes]] = []
        size = 0
        for number in range(self._pdf.count_attachments()):
            try:
                one = self._pdf.get_attachment(number)
                content = bytes(one.get_data())
            except (pypdfium2.PdfiumError, UnicodeDecodeError):
                continue  # a name without a file
            size += len(content)
            require_fit(len(found) + 1, size)
            if content:
                found.append((one.get_name() or "attachment", content))
        return found

    def outline(self) -> list[Entry]:
        """The file's own list of its headings; none where it is broken."""
        import pypdfium2

        try:
            return outline_of(self._pdf)
        except (pypdfium2.PdfiumError, UnicodeDecodeError):
            return []

    def metadata(self) -> tuple[Metadata, str]:
        """Author, dates (ISO 8601) and the like, with the title apart."""
        raw: Mapping[str, str] = self._pdf.get_metadata_dict(skip_empty=True)
        names = {
            "Author": "author",
            "Subject": "subject",
            "Keywords": "keywords",
            "Creator": "creator",
            "Producer": "producer",
        }
        metadata: dict[str, Value] = {
            ours: text
            for theirs, ours in names.items()
            if (text := tidy(raw.get(theirs, ""))) and not re.fullmatch(r"\((anonymous|unspecified)\)", text)
        }
        for theirs, ours in (("CreationDate", "created"), ("ModDate", "modified")):
            if (date := iso_date(raw.get(theirs, ""))) is not None:
                metadata[ours] = date
        return metadata, _real_title(tidy(raw.get("Title", "")))


def iso_date(text: str) -> str | None:
    """A PDF date (`D:20240131120000+05'30'`) in ISO 8601, as exact as it was; None when it is none."""
    found = re.match(
        r"(?:D:)?(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(\d\d)(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?)?)?)?", text.strip()
    )
    if found is None or not 1 <= int(found[2] or 1) <= 12 or not 1 <= int(found[3] or 1) <= 31:
        return None
    date = "-".join(part for part in found.group(1, 2, 3) if part)
    if found[4] is None:
        return date
    zone = "Z" if found[7] else f"{found[8]}{found[9]}:{found[10] or '00'}" if found[8] else ""
    return f"{date}T{found[4]}:{found[5]}:{found[6] or '00'}{zone}"


def _real_title(title: str) -> str:
    """ "" for what programs write when nobody gave a title: file names, `untitled`."""
    return "" if _NO_TITLE.fullmatch(title) else title


def encrypted(tried: int) -> ReadError:
    known = "the one" if tried == 1 else f"none of the {tried}"
    said = f", and {known} in reading.passwords {'does not open' if tried == 1 else 'opens'} it" if tried else ""
    return ReadError(
        "encrypted",
        f"The PDF is protected by a password{said}. Name it in citewell.toml (passwords under [reading]) or in "
        "CITEWELL_READING__PASSWORDS, or save a copy without one.",
    )


def _letters(text: str) -> int:
    return len(letters(text))
