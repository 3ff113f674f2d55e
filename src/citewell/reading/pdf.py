"""PDF bytes become a Document whose every block knows its page and its box.

liteparse finds structure; pypdfium2 counts pages, opens metadata and reads the pages of which liteparse made nothing.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.allowance import allow
from citewell.reading.attachments import require_fit
from citewell.reading.collector import without_collector
from citewell.reading.formats import PDF
from citewell.reading.images import Picture
from citewell.reading.limits import MAX_CELLS, MAX_PAGES, over
from citewell.reading.ocr import AUTO, Recogniser, engine
from citewell.reading.pdf_figures import Found, Kept, figures, place_figures
from citewell.reading.pdf_flow import (
    flag_margins,
    join,
    lay_down,
    mend_cells,
    mend_headings,
    rank_headings,
    split_lists,
)
from citewell.reading.pdf_hidden import sight
from citewell.reading.pdf_layers import Layers, may_have_layers
from citewell.reading.pdf_lines import Lines, page_lines
from citewell.reading.pdf_notes import Notes, PageLink, notes_of, place_notes, with_links
from citewell.reading.pdf_outline import Entry, follow_outline, outline_of
from citewell.reading.pdf_pages import PagePiece, broken_words, hidden_piece, join_lines, read_page, unligated
from citewell.reading.pdf_places import Runs, replaced, runs_of, with_lines
from citewell.reading.pdf_rtl import RTL, glyphs_of, mend_rtl
from citewell.reading.pdf_scan import Scanned, read_scans
from citewell.reading.pdf_signs import restore
from citewell.reading.pdf_tables import mend_tables
from citewell.reading.pdf_tags import read_tagged, survey
from citewell.reading.pdf_unseen import Unseen, without_unseen
from citewell.reading.pdf_upright import Turn, quarters_to_turn, turn_pages, turned_back
from citewell.reading.scan import doubts, picture_words
from citewell.reading.tidy import tidy, visible
from citewell.types import BlockKind, Document, Metadata, Reason, Source, Value, count_characters

_NO_TITLE = re.compile(
    r"\(?(untitled|anonymous|unspecified)\)?|unbenannt|title|document\d*|microsoft word - .*"
    r"|[\W\d_]+|.*\.(docx?|pdf|dvi|tex|rtf|qxd|indd)",
    re.IGNORECASE,
)
_BATCH = 200
_LETTER = (612.0, 792.0)
_PICTURE_S = 30.0  # what the words in one picture may take; most take 1 s
_PLENTY = 400  # letters on a page: reading it twice to see whether there are more costs a fifth of all time
# A hyphen that divides a word, the dots that lead to a page number, and the sign of a list item.
_MARKS = re.compile(r"[-‐\u00ad]\n|\.(?: ?\.){3,}|^[ \t]*[•◦▪■●○‣–*\-\uf0b7\uf0a7](?=[ \t])", re.MULTILINE)

# PDFium is not made for threads: two documents open at once in one process can bring the process down.
_PDFIUM = threading.Lock()


@dataclass(frozen=True, slots=True)
class PdfReader:
    """Reads PDFs. It runs native code on what strangers send: use it inside `isolation.Isolated`.

    Files over `max_pages` or `max_cells` are refused whole, never cut. Pages that are pictures are read by the engine
    `ocr` (see `ocr.engine`), drawn at `ocr_dpi`, for at most `ocr_budget_s` together; with `figure_words` it also reads
    the words in large pictures on other pages, for at most `figure_budget_s`. `passwords` are tried on protected
    files.
    """

    max_pages: int = MAX_PAGES
    max_cells: int = MAX_CELLS
    layout: bool = True
    ocr: str = AUTO
    ocr_dpi: int = 200
    ocr_budget_s: float = 1500.0
    figure_words: bool = True
    figure_budget_s: float = 300.0
    passwords: Sequence[str] = field(default=(), repr=False)

    RESCUE: ClassVar[Mapping[str, bool]] = {"layout": False}
    """Options for a file that crashes the layout parser (see `Isolated`): plain text then."""

    @property
    def identity(self) -> str:
        return versions.of_pdf(self.ocr, figure_words=self.figure_words)

    @without_collector
    def read(self, source: Source) -> Document:
        """Headings, paragraphs, list items, tables, captions and code in reading order, each with page and box.

        Raises ReadError: empty, corrupt, encrypted, no_text or limit_exceeded.
        """
        if not source.content:
            raise ReadError("empty", "The file has no bytes. Was it saved or copied whole?")
        warnings: list[str] = []
        content = _from_header(source.content)
        with _PDFIUM, _Plain(content, self.passwords) as plain:
            total = len(plain)
            if total > self.max_pages:
                raise over("The PDF", total, "pages", self.max_pages, setting="max_pages")
            laid = self._laid_out(content, plain, warnings)
            pages, heights = laid.pages, laid.heights
            rescued = plain.rescue(pages)
            for number, pieces_on_page in enumerate(pages, 1):
                restore(pieces_on_page, plain.look(number).text)
                laid.runs[number - 1] = plain.mend_order(number, pieces_on_page, laid.runs[number - 1])
            recogniser = engine(self.ocr)
            more = plain.place_notes(pages, laid)
            scanned = plain.scans(pages, heights, self, recogniser)
            kept = plain.figures(pages, scanned, self, recogniser if self.figure_words and not scanned.why else None)
            found = plain.characters()
            metadata, title = plain.metadata()
            outline = plain.outline()
            enclosed = plain.enclosed()
        if rescued:
            warnings.append(f"{_numbers(rescued)} read as plain text: the layout parser lost text there.")
        if not any(not piece.hidden and (piece.text or piece.cells) for pieces in pages for piece in pieces):
            raise ReadError("no_text", _nothing(total, scanned))
        if scanned.blank:
            warnings.append(f"{_numbers(scanned.blank)} without text: blank.")
        if scanned.unread:
            warnings.append(f"{_numbers(scanned.unread)} not read: {scanned.why or 'a scan, and OCR is off'}.")
        flag_margins(pages, heights)
        pieces = split_lists(mend_headings(join(pages, laid.hyphened)))
        mend_cells(pieces)
        if not follow_outline(pieces, outline):
            rank_headings(pieces)
        builder = lay_down(pieces, max_cells=self.max_cells)
        builder.leave_out(Reason.UNREADABLE, characters=scanned.broken, pages=len(scanned.unread))
        builder.leave_out(Reason.UNREADABLE, images=kept.lost)
        builder.leave_out(Reason.TOO_SMALL, images=kept.small, pages=len(scanned.blank))
        builder.leave_out(
            Reason.DUPLICATE, images=kept.pages, characters=sum(piece.repeated for piece in pieces if not piece.hidden)
        )
        for name, held in enclosed:
            builder.attach(name, held)
        warnings += doubts(pieces)
        if kept.silent:
            why = f"the time for them ({min(self.ocr_budget_s, self.figure_budget_s):g} s) was used up"
            warnings.append(f"Words were not looked for in {kept.silent} pictures: {why}.")
        if any(piece.hidden for piece in pieces):
            where = _numbers(sorted({piece.page for piece in pieces if piece.hidden}))
            warnings.append(
                "Hidden text (by its colour, size, place, layer or clip, or under what covers it) is marked as hidden: "
                f"{where.lower()}."
            )
        document = builder.document(
            source,
            reader=self.identity,
            media_type=PDF,
            title=title or next((tidy(piece.text) for piece in pieces if piece.kind is BlockKind.HEADING), ""),
            metadata=metadata,
            pages=total,
            warnings=warnings,
            hidden_told=True,
            found=found + more + sum(_count(piece) for piece in pieces if piece.confidence is not None),
        )
        return turned_back(with_links(with_lines(document, laid.runs), laid.links), laid.turns)

    def _laid_out(self, content: bytes, plain: _Plain, warnings: list[str]) -> _Laid:
        """What liteparse makes of the file; empty pieces where it failed."""
        import liteparse

        total = len(plain)
        laid = _Laid([[] for _ in range(total)], [_LETTER[1]] * total)
        laid.runs = [()] * total
        if not self.layout:
            warnings.append("Read as plain text: the layout parser cannot read this file.")
            return laid
        parser = partial(
            liteparse.LiteParse,
            password=plain.password,
            ocr_enabled=False,
            quiet=True,
            num_workers=1,
            max_pages=total + 1,  # its default of 1000 cuts in silence
            continue_on_page_error=True,
            extract_blocks=True,
            extract_links=False,
            extract_structure_tree=True,
            extract_text_metadata=True,
            emit_word_boxes=True,
            keep_headers_footers=True,  # by itself it also drops footnotes, and headings at the top of pages
        )
        try:
            # Long files in batches: every page held costs up to a megabyte.
            results = (
                [parser().parse(content)]
                if total <= _BATCH
                else (batch.result for batch in parser().parse_batches(content, batch_size=_BATCH))
            )
            for result in results:
                found = {page.page_num: page for page in result.pages if 1 <= page.page_num <= total}
                turns = {
                    number: Turn(quarters, *plain.look(number).size)
                    for number, page in found.items()
                    if (quarters := quarters_to_turn(page))
                }
                if turns:
                    only = parser(target_pages=",".join(map(str, turns)), password=None)
                    found |= {page.page_num: page for page in only.parse(plain.turned(turns)).pages}
                    laid.turns |= turns
                by_tags = partial(read_tagged, tags=survey(list(found.values())), max_cells=self.max_cells)
                mend = partial(mend_tables, draws=plain.lines)
                for number, page in found.items():
                    laid.pages[number - 1] = read_page(page, by_tags, plain.look(number).unseen, mend)
                    laid.heights[number - 1] = page.height
                    laid.runs[number - 1] = runs_of(page.text_items)
                laid.hyphened |= broken_words(list(found.values()))
        except liteparse.ParseError as error:
            if "password" in str(error).lower():
                raise _encrypted(len(self.passwords)) from error
            warnings.append(f"Read as plain text: the layout parser failed ({tidy(str(error))[:200]}).")
        return laid


@dataclass(slots=True)
class _Laid:
    """Pieces, height and printed runs of each page, the hyphens to keep, and the pages that had to be turned."""

    pages: list[list[PagePiece]]
    heights: list[float]
    runs: list[Runs] = field(default_factory=list)
    hyphened: set[tuple[str, str]] = field(default_factory=set)
    turns: dict[int, Turn] = field(default_factory=dict)
    links: list[PageLink] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Look:
    """What PDFium finds on one page. `text` is all of it by its lines; `unseen` is what of it nobody sees.

    `figures` are its pictures, `passed` counts those that are none. `size` is width and height as the page is shown, in
    points; those of a letter where the page is broken.
    """

    text: str = ""
    unseen: Sequence[Unseen] = ()
    figures: Sequence[Found] = ()
    passed: Kept = field(default_factory=Kept)
    size: tuple[float, float] = _LETTER
    notes: Notes = field(default_factory=Notes)


class _Plain:
    """The file through pypdfium2: page count, metadata, text of single pages."""

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
            raise _encrypted(len(passwords))
        self._looks: dict[int, _Look] = {}
        self._pdf.init_forms()
        self._layers = Layers(may_have_layers(content))
        self._open: tuple[int, Any] = (0, None)
        if not len(self):
            self._pdf.close()
            raise ReadError("corrupt", "The PDF has no pages that can be found. Export it again.")

    def __len__(self) -> int:
        return len(self._pdf)

    def __enter__(self) -> _Plain:
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

    def look(self, number: int) -> _Look:
        """What one page holds; nothing where it is broken."""
        import pypdfium2

        if number not in self._looks:
            try:
                page = self._page(number)
                size = page.get_size()
                said = page.get_textpage().get_text_range()
                said = said.replace("\r\n", "\n").replace("\ufffe", "\u00ad").replace("\x02", "\u00ad")
                seen, passed = sight(page, self._layers), Kept()
                found = tuple(figures(page, seen.images, passed)) if seen.images else ()
                notes = notes_of(self._pdf, page, number, *size)
                self._looks[number] = _Look(said, seen.unseen, found, passed, size, notes)
            except pypdfium2.PdfiumError:
                self._looks[number] = _Look()
        return self._looks[number]

    def place_notes(self, pages: list[list[PagePiece]], laid: _Laid) -> int:
        """Put fields and comments among the pieces and links into `laid`; how many characters more there are."""
        more = 0
        for number, pieces in enumerate(pages, 1):
            notes = self.look(number).notes
            if notes:
                more += place_notes(pieces, notes, number, laid.runs[number - 1])
                laid.links += notes.links
        return more

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
            has = sum(_letters(piece.text) + sum(_letters(cell.text) for cell in piece.cells) for piece in shown)
            if has > _PLENTY:
                continue
            found = self.pieces(number)
            could = sum(_letters(piece.text) for piece in found if not piece.hidden)
            if has < 0.7 * could and (not has or could - has > 10):
                pages[number - 1] = found
                rescued.append(number)
        return rescued

    def scans(
        self, pages: list[list[PagePiece]], heights: list[float], how: PdfReader, recogniser: Recogniser | None
    ) -> Scanned:
        """Replace pages that are pictures by what OCR finds on them."""
        return read_scans(self._pdf, pages, heights, recogniser, dpi=how.ocr_dpi, budget_s=how.ocr_budget_s)

    def figures(
        self, pages: list[list[PagePiece]], scanned: Scanned, how: PdfReader, recogniser: Recogniser | None
    ) -> Kept:
        """Put the pictures of all other pages among their pieces."""
        kept = Kept()
        deadline = time.monotonic() + min(how.ocr_budget_s, how.figure_budget_s)
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


def _from_header(content: bytes) -> bytes:
    """The bytes from `%PDF-` on. Raises ReadError corrupt where the first KiB has none.

    liteparse guesses types, and hands what it does not take for a PDF to converters that it starts itself.
    """
    at = content.find(b"%PDF-", 0, 1024 + 5)
    if at < 0:
        raise ReadError("corrupt", "The PDF is damaged: its first KiB has no %PDF-. Fetch or export it again.")
    return content[at:]


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


def _encrypted(tried: int) -> ReadError:
    known = "the one" if tried == 1 else f"none of the {tried}"
    said = f", and {known} in reading.passwords {'does not open' if tried == 1 else 'opens'} it" if tried else ""
    return ReadError(
        "encrypted",
        f"The PDF is protected by a password{said}. Name it in citewell.toml (passwords under [reading]) or in "
        "CITEWELL_READING__PASSWORDS, or save a copy without one.",
    )


def _nothing(total: int, scanned: Scanned) -> str:
    """What to say of a file of `total` pages without any text."""
    said = f"None of its pages ({total}) holds text"
    if not scanned.unread:
        return f"{said}; they are blank."
    return f"{said}; it seems to be a scan. {(scanned.why or 'OCR is off (ocr)').rstrip('.')}."


def _count(piece: PagePiece) -> int:
    return count_characters(piece.text) + sum(count_characters(cell.text) for cell in piece.cells)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _numbers(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:20])) + (f" and {len(pages) - 20} more" if len(pages) > 20 else "")
    return f"Page {shown}" if len(pages) == 1 else f"Pages {shown}"
