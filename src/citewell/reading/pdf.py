"""PDF bytes become a Document whose every block knows its page and its box.

liteparse finds structure; pypdfium2 counts pages, opens metadata and reads the pages of which liteparse made nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.formats import PDF
from citewell.reading.images import Picture
from citewell.reading.pdf_flow import (
    flag_margins,
    join,
    mend_cells,
    mend_headings,
    name_captions,
    rank_headings,
    split_lists,
)
from citewell.reading.pdf_images import PageImage, page_images
from citewell.reading.pdf_pages import LIGATURES, Box, PagePiece, broken_words, join_lines, read_page
from citewell.reading.pdf_tags import read_tagged, survey
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import grid
from citewell.reading.tidy import tidy, visible
from citewell.types import BlockKind, Document, Metadata, Reason, Region, Source, Value, count_characters

_NO_TITLE = re.compile(
    r"\(?(untitled|anonymous|unspecified)\)?|unbenannt|title|document\d*|microsoft word - .*"
    r"|[\W\d_]+|.*\.(docx?|pdf|dvi|tex|rtf|qxd|indd)",
    re.IGNORECASE,
)
_BATCH = 200
_CONTRAST = 12  # of 255 grey levels, between the darkest and the lightest point of what can be read
_PLENTY = 400  # letters on a page: reading it twice to see whether there are more costs a fifth of all time
_NEAR = 36  # points between an image and its caption
# A hyphen that divides a word, the dots that lead to a page number, and the sign of a list item.
_MARKS = re.compile(r"[-‐\u00ad]\n|\.(?: ?\.){3,}|^[ \t]*[•◦▪■●○‣–*\-\uf0b7\uf0a7](?=[ \t])", re.MULTILINE)
_OUTSIDE = (BlockKind.HEADER, BlockKind.FOOTER)

# PDFium is not made for threads: two documents open at once in one process can bring the process down.
_PDFIUM = threading.Lock()


@dataclass(frozen=True, slots=True)
class PdfReader:
    """Reads PDFs with a text layer. It runs native code on what strangers send: use it inside `isolation.Isolated`.

    Files over `max_pages` or `max_bytes` are refused whole, never cut.
    """

    max_pages: int = 5_000
    max_bytes: int = 512 << 20
    layout: bool = True

    RESCUE: ClassVar[Mapping[str, bool]] = {"layout": False}
    """Options for a file that crashes the layout parser (see `Isolated`): plain text then."""

    @property
    def identity(self) -> str:
        return versions.PDF

    @without_collector
    def read(self, source: Source) -> Document:
        """Headings, paragraphs, list items, tables, captions and code in reading order, each with page and box.

        Raises ReadError: empty, corrupt, encrypted, no_text or limit_exceeded.
        """
        if not source.content:
            raise ReadError("empty", "The file has no bytes. Was it saved or copied whole?")
        if len(source.content) > self.max_bytes:
            raise ReadError("limit_exceeded", f"The PDF has over {self.max_bytes >> 20} MiB (max_bytes). Split it.")
        warnings: list[str] = []
        content = _from_header(source.content)
        with _PDFIUM, _Plain(content) as plain:
            total = len(plain)
            if total > self.max_pages:
                raise ReadError(
                    "limit_exceeded",
                    f"The PDF has {total:,} pages; the limit is {self.max_pages:,} (max_pages). Split it.",
                )
            pages, heights, hyphened = self._pages(content, plain, warnings)
            rescued, blank = plain.rescue(pages)
            images = [plain.look(number).images for number in range(1, total + 1)]
            drawn = [number for number in blank if plain.look(number).ink]
            found = plain.characters()
            metadata, title = plain.metadata()
        if rescued:
            warnings.append(f"{_numbers(rescued)} read as plain text: the layout parser lost text there.")
        if not any(not piece.hidden for pieces in pages for piece in pieces):
            raise ReadError(
                "no_text",
                f"None of its pages ({total}) holds text; it seems to be a scan. "
                "OCR is not in this install: add a text layer (for example with ocrmypdf) and ingest it again.",
            )
        if blank:
            warnings.append(f"{_numbers(blank)} without text: blank, or a scan that would need OCR.")
        flag_margins(pages, heights)
        pieces = split_lists(mend_headings(join(pages, hyphened)))
        mend_cells(pieces)
        rank_headings(pieces)
        builder = _lay_down(pieces, images)
        builder.leave_out(Reason.UNREADABLE, pages=len(drawn))
        builder.leave_out(Reason.TOO_SMALL, pages=len(blank) - len(drawn))
        if any(piece.hidden for piece in pieces):
            warnings.append("Hidden text (paper-coloured or under 1 pt) is marked as hidden.")
        return builder.document(
            source,
            reader=self.identity,
            media_type=PDF,
            title=title or next((tidy(piece.text) for piece in pieces if piece.kind is BlockKind.HEADING), ""),
            metadata=metadata,
            pages=total,
            warnings=warnings,
            found=found,
        )

    def _pages(
        self, content: bytes, plain: _Plain, warnings: list[str]
    ) -> tuple[list[list[PagePiece]], list[float], set[tuple[str, str]]]:
        """Pieces and height of each page, and the hyphens to keep; empty pieces where liteparse failed."""
        import liteparse

        total = len(plain)
        pages: list[list[PagePiece]] = [[] for _ in range(total)]
        heights = [792.0] * total
        hyphened: set[tuple[str, str]] = set()
        if not self.layout:
            warnings.append("Read as plain text: the layout parser cannot read this file.")
            return pages, heights, hyphened
        parser = liteparse.LiteParse(
            ocr_enabled=False,
            quiet=True,
            num_workers=1,
            max_pages=total + 1,  # its default of 1000 cuts in silence
            continue_on_page_error=True,
            extract_blocks=True,
            extract_links=False,
            extract_structure_tree=True,
            extract_text_metadata=True,
            keep_headers_footers=True,  # by itself it also drops footnotes, and headings at the top of pages
        )
        try:
            # Long files in batches: every page held costs up to a megabyte.
            results = (
                [parser.parse(content)]
                if total <= _BATCH
                else (batch.result for batch in parser.parse_batches(content, batch_size=_BATCH))
            )
            for result in results:
                by_tags = partial(read_tagged, tags=survey(result.pages))
                for page in result.pages:
                    if 1 <= page.page_num <= total:
                        pages[page.page_num - 1] = read_page(page, by_tags, plain.shows)
                        heights[page.page_num - 1] = page.height
                hyphened |= broken_words(result.pages)
        except liteparse.ParseError as error:
            if "password" in str(error).lower():
                raise _encrypted() from error
            warnings.append(f"Read as plain text: the layout parser failed ({tidy(str(error))[:200]}).")
        return pages, heights, hyphened


@dataclass(frozen=True, slots=True)
class _Look:
    """What PDFium finds on one page."""

    text: str
    images: tuple[PageImage, ...]
    ink: bool


class _Plain:
    """The file through pypdfium2: page count, metadata, text of single pages."""

    def __init__(self, content: bytes) -> None:
        import pypdfium2

        try:
            self._pdf = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower() or "security" in str(error).lower():
                raise _encrypted() from error
            raise ReadError(
                "corrupt",
                f"The PDF is cut off or damaged: {tidy(str(error)).rstrip('.')}. Fetch or export it again.",
            ) from error
        self._looks: dict[int, _Look] = {}
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

    def _page(self, number: int) -> Any:
        """One page; the last one asked for is kept, because opening it reads all that is drawn on it."""
        if self._open[0] != number:
            self._open = number, self._pdf[number - 1]
        return self._open[1]

    def look(self, number: int) -> _Look:
        """Text by its lines, images, and whether there is any ink on one page; a broken page has nothing but ink."""
        import pypdfium2
        from pypdfium2 import raw

        if number not in self._looks:
            try:
                page = self._page(number)
                said = page.get_textpage().get_text_range()
                said = said.replace("\r\n", "\n").replace("\ufffe", "\u00ad").replace("\x02", "\u00ad")
                ink = raw.FPDFPage_CountObjects(page) > 0
                self._looks[number] = _Look(said, tuple(page_images(page)) if ink else (), ink)
            except pypdfium2.PdfiumError:
                self._looks[number] = _Look("", (), True)
        return self._looks[number]

    def characters(self) -> int:
        """Characters of all pages. Hyphens at line ends, leading dots and signs of list items are marks, not text."""
        texts = (_MARKS.sub("", self.look(number + 1).text).translate(LIGATURES) for number in range(len(self)))
        return sum(count_characters(visible(text)) for text in texts)

    def pieces(self, number: int) -> list[PagePiece]:
        """Paragraphs of one page by its lines, without boxes."""
        paragraphs = re.split(r"\n\s*\n", self.look(number).text)
        joined = (join_lines(paragraph.split("\n")) for paragraph in paragraphs)
        return [PagePiece(BlockKind.PARAGRAPH, paragraph, number) for paragraph in joined if paragraph]

    def rescue(self, pages: list[list[PagePiece]]) -> tuple[list[int], list[int]]:
        """Replace pages that lack text which stands in the file; numbers of those pages, and of pages without any."""
        rescued: list[int] = []
        blank: list[int] = []
        for number, pieces in enumerate(pages, 1):
            has = sum(_letters(piece.text) + sum(_letters(cell.text) for cell in piece.cells) for piece in pieces)
            if has > _PLENTY:
                continue
            found = self.pieces(number)
            could = sum(_letters(piece.text) for piece in found)
            # A page with hidden text keeps its flags: plain text knows nothing of colours.
            if has < 0.7 * could and (not has or could - has > 10) and not any(piece.hidden for piece in pieces):
                pages[number - 1] = found
                rescued.append(number)
            elif not has:
                blank.append(number)
        return rescued, blank

    def shows(self, number: int, width: float, boxes: Sequence[Box]) -> list[bool]:
        """Whether anything can be told from its ground in each box of a page, `width` points wide, when it is drawn."""
        import pypdfium2

        try:
            self.look(number)  # while the page is open
            page = self._page(number)
            scale = min(1.0, 2000 / max(page.get_size()))  # enough to tell ink from paper
            bitmap = page.render(scale=scale, grayscale=True)
        except (pypdfium2.PdfiumError, ValueError, MemoryError):
            return [True] * len(boxes)
        scale = bitmap.width / width
        pixels = memoryview(bitmap.buffer).cast("B")
        seen: list[bool] = []
        for x0, y0, x1, y1 in boxes:
            left, right = max(0, round(x0 * scale)), min(bitmap.width, round(x1 * scale) + 1)
            rows = range(max(0, round(y0 * scale)), min(bitmap.height, round(y1 * scale) + 1))
            lines = [bytes(pixels[row * bitmap.stride + left : row * bitmap.stride + right]) for row in rows]
            lines = [line for line in lines if line]
            contrast = max(map(max, lines)) - min(map(min, lines)) if lines else 0
            seen.append(contrast > _CONTRAST)
        return seen

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


def _encrypted() -> ReadError:
    return ReadError("encrypted", "The PDF is protected by a password. Save a copy without one.")


def _lay_down(pieces: Sequence[PagePiece], images: Sequence[Sequence[PageImage]]) -> Builder:
    captions = name_captions(pieces)
    builder = Builder()
    blocks: dict[int, int] = {}
    shown = 0  # pages whose images are laid down
    left = [list(on_page) for on_page in images]
    for place, piece in enumerate(pieces):
        while shown < piece.page - 1:
            _show(builder, left[shown], shown + 1)
            shown += 1
        image = _image_of(piece, left[piece.page - 1])
        number = builder.add(
            Piece(
                piece.kind,
                piece.text,
                piece.level,
                table=grid(piece.cells) if piece.kind is BlockKind.TABLE else None,
                path=() if piece.kind in _OUTSIDE else None,
                regions=piece.regions,
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
                asset=_placed(image, piece.page) if image else None,
            )
        )
        if number is not None:
            blocks[place] = number
    for number in range(shown, len(left)):
        _show(builder, left[number], number + 1)
    for table, caption in captions.items():
        if table in blocks and caption in blocks:
            builder.caption(blocks[table], blocks[caption])
    return builder


def _show(builder: Builder, images: Sequence[PageImage], page: int) -> None:
    """Keep the images of a page that no block stands for."""
    for image in images:
        if image.picture is None:
            builder.leave_out(Reason.TOO_SMALL if image.too_small else Reason.UNREADABLE, images=1)
        else:
            builder.add(Piece(BlockKind.FIGURE, asset=_placed(image, page)))


def _placed(image: PageImage, page: int) -> Picture | None:
    return replace(image.picture, regions=(Region(page, image.box),)) if image.picture else None


def _image_of(piece: PagePiece, images: list[PageImage]) -> PageImage | None:
    """Takes from `images` of its page the one that a figure's words stand in, or that is next to a caption."""
    if piece.box is None or piece.hidden or piece.kind not in (BlockKind.FIGURE, BlockKind.CAPTION):
        return None
    x0, y0, x1, y1 = piece.box
    near: list[tuple[float, int]] = []
    for number, image in enumerate(images):
        left, top, right, bottom = image.box
        across = min(x1, right) - max(x0, left)
        apart = max(y0 - bottom, top - y1)
        if image.picture and across > 0 and apart < (0 if piece.kind is BlockKind.FIGURE else _NEAR):
            near.append((apart, number))
    return images.pop(min(near)[1]) if near else None


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _numbers(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:20])) + (f" and {len(pages) - 20} more" if len(pages) > 20 else "")
    return f"Page {shown}" if len(pages) == 1 else f"Pages {shown}"
