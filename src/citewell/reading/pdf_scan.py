"""Pages of PDFs that are pictures: which they are, and their text by OCR, in the points of the page."""

from __future__ import annotations

import ctypes
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ModelUnavailable
from citewell.reading.allowance import allow
from citewell.reading.ocr import Line, Quad, Recogniser, require_pictures
from citewell.reading.pdf_images import largest
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_text import letters as letters_in
from citewell.reading.scan import read_picture

_MAX_PIXELS = 16_000_000  # of a page as it is drawn: an A2 sheet at 200 dpi
_PAGE_S = 30.0  # what one page may take; most take 2 to 6 s
_FEW = 150  # letters beside a picture that fills the page: a stamp or a running head, not its text
_ENOUGH = 1000  # characters: most of them have more letters than that
_FILLS = 0.5  # of the page
_BROKEN: Final = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]|\\(cid:\\d+\\)")
_VOWELS: Final = re.compile(r"[aeiouyàáâäãåèéêëìíîïòóôöõøùúûüæœ]", re.IGNORECASE)
_LATIN: Final = re.compile(r"[a-zA-ZÀ-ÿ]")


@dataclass(slots=True)
class Scanned:
    """What became of pages without good text, by number: `read` by OCR, `blank`, and `unread` with the reason."""

    read: list[int] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    why: str = ""
    broken: int = 0  # characters of text layers that were nonsense, and were read by OCR in their stead


def read_scans(
    pdf: Any,
    pages: list[list[PagePiece]],
    heights: list[float],
    recogniser: Recogniser | None,
    cover: Callable[[int], float | None],
    *,
    dpi: int,
    budget_s: float,
) -> Scanned:
    """Replace the pieces of pages that are scans by what is recognised there; `pdf` is pypdfium2's document.

    `cover` is the share of the page with a number that its largest picture takes, where that is known.
    A page with text keeps it. Where that is little beside a picture of the whole page, what is recognised elsewhere on
    it is added. Without a recogniser, or once `budget_s` is used up, pages stay as they are and count as unread.
    """
    done = Scanned()
    deadline = time.monotonic() + budget_s
    for number, pieces in enumerate(pages, 1):
        text = "".join(_text(piece) for piece in pieces if not piece.hidden)
        letters = len(letters_in(text[:_ENOUGH]))
        if letters <= _FEW:
            letters = len(letters_in(text))
        broken = _is_broken(text)
        odd = not broken and _is_odd(text)
        if letters > _FEW and not broken and not odd:
            continue
        readable = bool(letters) and not broken and not odd
        share = cover(number) if readable else None
        if share is not None and share < _FILLS:
            continue  # without opening the page
        page = _page(pdf, number)
        if page is None:
            if not letters:
                done.unread.append(number)
                done.why = done.why or "it cannot be opened"
            continue
        if readable and share is None and _cover(page) < _FILLS:
            continue
        if not letters and _is_blank(page):
            done.blank.append(number)
            continue
        if recogniser is None or time.monotonic() > deadline:
            if broken or not letters:
                done.unread.append(number)
                done.why = done.why or ("" if recogniser is None else f"the time for OCR ({budget_s:g} s) was used up")
            continue
        allow(_PAGE_S)
        try:
            found = _recognise(page, number, pieces, recogniser, dpi, anew=broken or odd)
        except ModelUnavailable as error:
            recogniser, done.why = None, str(error)
            if broken or not letters:
                done.unread.append(number)
            continue
        if letters and not broken and odd and not _is_other(text, found):
            continue  # it only looked odd
        if broken or odd:
            done.broken += sum(not char.isspace() for char in text)
            found += [piece for piece in pieces if piece.hidden]
        else:
            found = _merged(found, pieces)
        if found:
            pages[number - 1] = found
            heights[number - 1] = float(page.get_height())
            done.read.append(number)
        else:
            done.unread.append(number)
            done.why = done.why or "OCR found no text in their pictures"
    return done


def _recognise(
    page: Any, number: int, pieces: Sequence[PagePiece], recogniser: Recogniser, dpi: int, *, anew: bool
) -> list[PagePiece]:
    """What stands in the picture of a page; unless `anew`, only what none of its pieces covers."""
    require_pictures()
    width, height = page.get_size()
    scale = min(dpi / 72, (_MAX_PIXELS / (width * height)) ** 0.5)
    image = page.render(scale=scale).to_pil().convert("RGB")
    across, down = width / image.width, height / image.height

    def place(quad: Quad) -> Box:
        xs, ys = [x * across for x, _ in quad], [y * down for _, y in quad]
        return (
            round(max(0.0, min(xs)), 2),
            round(max(0.0, min(ys)), 2),
            round(min(width, max(xs)), 2),
            round(min(height, max(ys)), 2),
        )

    boxes = [region.box for piece in pieces if not piece.hidden for region in piece.regions if region.box]

    def covered(line: Line) -> bool:
        x0, y0, x1, y1 = place(line.quad)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        return any(a <= x <= c and b <= y <= d for a, b, c, d in boxes)

    return read_picture(image, recogniser, number, place, covered=(lambda _: False) if anew else covered)


def _merged(found: list[PagePiece], pieces: Sequence[PagePiece]) -> list[PagePiece]:
    """Both in one order: each piece of the text layer before the first recognised one that begins below it."""
    if not found:
        return []
    for piece in pieces:
        top = piece.box[1] if piece.box else 0.0
        at = next((n for n, one in enumerate(found) if one.box is not None and one.box[1] > top), len(found))
        found.insert(at, piece)
    return found


def _page(pdf: Any, number: int) -> Any:
    import pypdfium2

    try:
        return pdf[number - 1]
    except pypdfium2.PdfiumError:
        return None


def _cover(page: Any) -> float:
    """The share of a page that its largest picture takes; all of it where that cannot be told."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        found = page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=5)
        return largest([ctypes.addressof(one.raw.contents) for one in found], *page.get_size())
    except pypdfium2.PdfiumError:
        return 1.0


def _is_blank(page: Any) -> bool:
    """Whether nothing is to be seen on a page."""
    scale = min(1.0, 1000 / max(page.get_size()))
    bitmap = page.render(scale=scale, grayscale=True)
    points = bytes(memoryview(bitmap.buffer).cast("B"))
    rows = [points[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height)]
    return max(map(max, rows)) - min(map(min, rows)) < 24


def _is_broken(text: str) -> bool:
    """Whether a text layer is nonsense by its characters: fonts without a table of what their signs mean."""
    # What it looks for is not printable, save these two: most text is done with here, in a tenth of the time.
    if "\ufffd" not in text and "(cid:" not in text and text.replace("\n", "").isprintable():
        return False
    if _BROKEN.search(text) is None:
        return False
    whole = sum(not char.isspace() for char in text)
    bad = sum(len(match[0]) for match in _BROKEN.finditer(text))
    return whole > 0 and bad > 0.3 * whole


def _is_odd(text: str) -> bool:
    """Whether a text in Latin letters has hardly a vowel, as it has when every letter stands for another."""
    if sum(map(text.count, "aeiou")) >= 0.18 * len(text):
        return False  # not even if all of it were letters; most text is done with here
    signs = Counter(text)
    latin = sum(count for sign, count in signs.items() if _LATIN.match(sign))
    return latin > 40 and sum(count for sign, count in signs.items() if _VOWELS.match(sign)) < 0.18 * latin


def _is_other(text: str, found: Sequence[PagePiece]) -> bool:
    """Whether what was recognised, and surely so, shares next to no words with `text`."""
    seen = " ".join(_text(piece) for piece in found)
    lines = [piece for piece in found if piece.confidence is not None]
    sure = lines and sum(piece.confidence or 0.0 for piece in lines) / len(lines) > 0.9
    ours, theirs = set(re.findall(r"\w{3,}", seen.lower())), set(re.findall(r"\w{3,}", text.lower()))
    return bool(sure) and len(ours) > 5 and len(ours & theirs) < 0.2 * len(ours)


def _text(piece: PagePiece) -> str:
    return piece.text + " ".join(cell.text for cell in piece.cells)
