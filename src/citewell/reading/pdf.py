"""PDF bytes become a Document whose every block knows its page and its box.

liteparse finds structure; pypdfium2 counts pages, opens metadata and reads the pages of which liteparse made nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.formats import PDF
from citewell.reading.limits import MAX_CELLS, MAX_PAGES, over
from citewell.reading.ocr import AUTO, engine
from citewell.reading.pdf_file import LETTER, PdfFile, encrypted
from citewell.reading.pdf_flow import (
    flag_margins,
    join,
    lay_down,
    mend_cells,
    mend_headings,
    rank_headings,
    split_lists,
)
from citewell.reading.pdf_layout import parsed
from citewell.reading.pdf_notes import PageLink, place_notes, with_links
from citewell.reading.pdf_outline import follow_outline
from citewell.reading.pdf_pages import PagePiece, broken_words, read_page
from citewell.reading.pdf_places import Runs, runs_of, with_lines
from citewell.reading.pdf_scan import Scanned
from citewell.reading.pdf_signs import restore
from citewell.reading.pdf_tables import mend_tables
from citewell.reading.pdf_tags import read_tagged, survey
from citewell.reading.pdf_upright import Turn, quarters_to_turn, turned_back
from citewell.reading.scan import doubts
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Document, Reason, Source, count_characters

_BATCH = 200

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
        with _PDFIUM, PdfFile(content, self.passwords) as file:
            total = len(file)
            if total > self.max_pages:
                raise over("The PDF", total, "pages", self.max_pages, setting="max_pages")
            laid = self._laid_out(content, file, warnings)
            pages, heights = laid.pages, laid.heights
            rescued = file.rescue(pages)
            for number, pieces_on_page in enumerate(pages, 1):
                restore(pieces_on_page, file.look(number).text)
                laid.runs[number - 1] = file.mend_order(number, pieces_on_page, laid.runs[number - 1])
            recogniser = engine(self.ocr)
            more = _place_notes(file, laid)
            scanned = file.scans(pages, heights, recogniser, dpi=self.ocr_dpi, budget_s=self.ocr_budget_s)
            looker = recogniser if self.figure_words and not scanned.why else None
            kept = file.figures(pages, scanned, looker, min(self.ocr_budget_s, self.figure_budget_s))
            found = file.characters()
            metadata, title = file.metadata()
            outline = file.outline()
            enclosed = file.enclosed()
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

    def _laid_out(self, content: bytes, file: PdfFile, warnings: list[str]) -> _Laid:
        """What liteparse makes of the file; empty pieces where it failed."""
        import liteparse

        total = len(file)
        laid = _Laid([[] for _ in range(total)], [LETTER[1]] * total)
        laid.runs = [()] * total
        if not self.layout:
            warnings.append("Read as plain text: the layout parser cannot read this file.")
            return laid
        parse = partial(
            parsed,
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
            for batch in parse(content, batch_size=_BATCH if total > _BATCH else None, password=file.password):
                found = {page.page_num: page for page in batch if 1 <= page.page_num <= total}
                turns = {
                    number: Turn(quarters, *file.look(number).size)
                    for number, page in found.items()
                    if (quarters := quarters_to_turn(page))
                }
                if turns:
                    for again in parse(file.turned(turns), target_pages=",".join(map(str, turns))):
                        found |= {page.page_num: page for page in again}
                    laid.turns |= turns
                by_tags = partial(read_tagged, tags=survey(list(found.values())), max_cells=self.max_cells)
                mend = partial(mend_tables, draws=file.lines)
                for number, page in found.items():
                    laid.pages[number - 1] = read_page(page, by_tags, file.look(number).unseen, mend)
                    laid.heights[number - 1] = page.height
                    laid.runs[number - 1] = runs_of(page.text_items)
                laid.hyphened |= broken_words(list(found.values()))
        except liteparse.ParseError as error:
            if "password" in str(error).lower():
                raise encrypted(len(self.passwords)) from error
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


def _place_notes(file: PdfFile, laid: _Laid) -> int:
    """Put fields and comments among the pieces and links into `laid`; how many characters more there are."""
    more = 0
    for number, pieces in enumerate(laid.pages, 1):
        notes = file.look(number).notes
        if notes:
            more += place_notes(pieces, notes, number, laid.runs[number - 1])
            laid.links += notes.links
    return more


def _from_header(content: bytes) -> bytes:
    """The bytes from `%PDF-` on. Raises ReadError corrupt where the first KiB has none.

    liteparse guesses types, and hands what it does not take for a PDF to converters that it starts itself.
    """
    at = content.find(b"%PDF-", 0, 1024 + 5)
    if at < 0:
        raise ReadError("corrupt", "The PDF is damaged: its first KiB has no %PDF-. Fetch or export it again.")
    return content[at:]


def _nothing(total: int, scanned: Scanned) -> str:
    """What to say of a file of `total` pages without any text."""
    said = f"None of its pages ({total}) holds text"
    if not scanned.unread:
        return f"{said}; they are blank."
    return f"{said}; it seems to be a scan. {(scanned.why or 'OCR is off (ocr)').rstrip('.')}."


def _count(piece: PagePiece) -> int:
    return count_characters(piece.text) + sum(count_characters(cell.text) for cell in piece.cells)


def _numbers(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:20])) + (f" and {len(pages) - 20} more" if len(pages) > 20 else "")
    return f"Page {shown}" if len(pages) == 1 else f"Pages {shown}"
