"""What stands on a PDF page beside its text: links, comments, and the fields of forms with what was filled in."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from citewell.reading.links import is_followed
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_lines import to_page
from citewell.reading.pdf_pages import PagePiece
from citewell.reading.pdf_places import Runs
from citewell.reading.pdf_text import letters, offsets_of
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Document, Link, Span

_MOST: Final = 5_000  # annotations of one page
_MAX_BYTES: Final = 1 << 20  # of one text
_TICKED, _EMPTY, _CHOSEN, _OPEN = "☑", "☐", "◉", "○"
_UNSEEN: Final = 2 | 32  # of an annotation's flags: hidden, not to be shown
_SECRET: Final = 1 << 13  # of a field's flags: a password
_RIGHT, _LEFT = 2.5, 15.0  # of a box's height: so far on either side its label is looked for


@dataclass(frozen=True, slots=True)
class PageLink:
    """What is under `box` on a page, with the text `said`, points to `target`; a page of the file is `#page=3`."""

    page: int
    box: Box
    said: str
    target: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form. `mark` says how a box or button stands; `value` is what was written or chosen."""

    box: Box
    label: str
    value: str = ""
    mark: str = ""
    hidden: bool = False


@dataclass(slots=True)
class Notes:
    """What stands on one page beside its text."""

    links: list[PageLink] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    comments: list[PagePiece] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.links or self.fields or self.comments)


def notes_of(pdf: Any, page: Any, textpage: Any, number: int, width: float, height: float) -> Notes:
    """The annotations of a page of a pypdfium2 document, which is shown `width` by `height` points large.

    `textpage` is that of the page. Fields are found where `pdf.init_forms()` was called before the page was opened.
    """
    from pypdfium2 import raw

    notes = Notes()
    count = raw.FPDFPage_GetAnnotCount(page)
    matrix = to_page(page, width, height) if count > 0 else None
    if matrix is None:
        return notes
    a, b, c, d, e, f = matrix

    def shown(rect: Any) -> Box:
        xs = [a * x + c * y + e for x in (rect.left, rect.right) for y in (rect.bottom, rect.top)]
        ys = [b * x + d * y + f for x in (rect.left, rect.right) for y in (rect.bottom, rect.top)]
        return (round(min(xs), 2), round(min(ys), 2), round(max(xs), 2), round(max(ys), 2))

    for place in range(min(count, _MOST)):
        note = raw.FPDFPage_GetAnnot(page, place)
        if not note:
            continue
        try:
            rect = raw.FS_RECTF()
            raw.FPDFAnnot_GetRect(note, ctypes.byref(rect))
            kind = raw.FPDFAnnot_GetSubtype(note)
            hidden = bool(raw.FPDFAnnot_GetFlags(note) & _UNSEEN)
            if kind == raw.FPDF_ANNOT_LINK:
                target = _target(pdf, raw.FPDFAnnot_GetLink(note))
                if is_followed(target):
                    said = textpage.get_text_bounded(rect.left, rect.bottom, rect.right, rect.top)
                    notes.links.append(PageLink(number, shown(rect), said, target))
            elif kind == raw.FPDF_ANNOT_WIDGET:
                if pdf.formenv and (found := _field(pdf.formenv, note, shown(rect), hidden)):
                    notes.fields.append(found)
            elif kind != raw.FPDF_ANNOT_POPUP and (text := _string(note, b"Contents")):
                text = f"{author}: {text}" if (author := _string(note, b"T")) else text
                said = text if kind == raw.FPDF_ANNOT_FREETEXT else f"[Comment] {text}"
                notes.comments.append(PagePiece(BlockKind.PARAGRAPH, said, number, shown(rect), hidden=hidden))
        finally:
            raw.FPDFPage_CloseAnnot(note)
    return notes


def place_notes(pieces: list[PagePiece], notes: Notes, number: int, runs: Runs) -> int:
    """Put the fields and comments of page `number` among its `pieces`; how many characters more there are.

    `runs` are what is printed on the page.

    What is written in a field mostly stands in its place as text already. The mark of a box is put before its label,
    where that is found beside it.
    """
    more = 0
    said = letters(" ".join(piece.text + " ".join(cell.text for cell in piece.cells) for piece in pieces))
    for one in notes.fields:
        value = letters(one.value)
        if one.mark and not one.hidden and _marked(pieces, one, runs):
            more += 1
        elif one.mark:
            text = f"{one.mark} {one.label}".strip()
            more += _insert(pieces, PagePiece(BlockKind.PARAGRAPH, text, number, one.box, hidden=one.hidden))
        elif value and value not in said:
            text = f"{one.label}: {one.value}" if one.label else one.value
            more += _insert(pieces, PagePiece(BlockKind.PARAGRAPH, text, number, one.box, hidden=one.hidden))
        elif value:
            more += len("".join(one.value.split()))  # the layout parser has it, and PDFium's text has not
            # Written larger than the page around it, it is no heading of what follows all the same.
            for piece in pieces:
                same = piece.kind is BlockKind.HEADING and letters(piece.text) == value
                if same and piece.box is not None and _meet(piece.box, one.box):
                    piece.kind, piece.level = BlockKind.PARAGRAPH, 0
    for comment in notes.comments:
        if letters(comment.text.removeprefix("[Comment] ")) not in said:
            more += _insert(pieces, replace(comment, regions=list(comment.regions)))
    return more


def with_links(document: Document, links: Iterable[PageLink]) -> Document:
    """`document` with the links of its pages on the text that is under them."""
    blocks = list(document.blocks)
    at: dict[int, list[int]] = {}
    for place, block in enumerate(blocks):
        for page in {region.page for region in block.regions}:
            at.setdefault(page, []).append(place)
    for link in links:
        said = letters(link.said)
        found = next(
            (
                (place, span)
                for place in at.get(link.page, ())
                for start, end, boxes in _parts(document, place)
                if any(page == link.page and (box is None or _meet(box, link.box)) for page, box in boxes)
                and (span := _span_of(said, document.text, start, end)) is not None
                and not any(span.overlaps(one.span) for one in blocks[place].links)
            ),
            None,
        )
        if said and found is not None:
            place, span = found
            held = sorted([*blocks[place].links, Link(span, link.target)], key=lambda one: one.span)
            blocks[place] = replace(blocks[place], links=tuple(held))
    return replace(document, blocks=tuple(blocks))


def _parts(document: Document, place: int) -> Iterator[tuple[int, int, list[tuple[int, Box | None]]]]:
    """The smallest parts of a block whose places are known, as (start, end, places): lines, pairs of lines, cells."""
    block = document.blocks[place]
    for cell in block.cells:
        if cell.region:
            yield cell.span.start, cell.span.end, [(cell.region.page, cell.region.box)]
    for line in block.lines:
        yield line.span.start, line.span.end, [(line.region.page, line.region.box)]
    yield block.span.start, block.span.end, [(region.page, region.box) for region in block.regions]


def _span_of(said: str, text: str, start: int, end: int) -> Span | None:
    """Where between `start` and `end` the letters `said` stand in `text`."""
    at = letters(text[start:end]).find(said) if said else -1
    if at < 0:
        return None
    first, *rest = offsets_of([at, at + len(said) - 1], text, start, end)
    return Span(first, rest[-1] + 1)


def _marked(pieces: Sequence[PagePiece], one: Field, runs: Runs) -> bool:
    """Whether the mark of a box could be put to its label: before the text on its right, or behind that on its left."""
    x0, y0, x1, y1 = one.box
    high = max(y1 - y0, 8.0)
    level = [run for run in runs if y0 - 2 <= run.middle <= y1 + 2]
    beside = [(run.box[0] - x1, True, run.letters) for run in level if -2 <= run.box[0] - x1 <= _RIGHT * high]
    beside += [(x0 - run.box[2], False, run.letters) for run in level if -2 <= x0 - run.box[2] <= _LEFT * high]
    return any(_put(pieces, said, one.mark, before=before) for _, before, said in sorted(beside)[:2])


def _put(pieces: Sequence[PagePiece], said: str, mark: str, *, before: bool) -> bool:
    """Put `mark` before or behind the letters `said`, where they stand first in a visible piece."""
    for piece in pieces:
        if piece.hidden:
            continue
        if span := _span_of(said, piece.text, 0, len(piece.text)):
            piece.text = _with(piece.text, span, mark, before=before)
            return True
        for place, cell in enumerate(piece.cells):
            if span := _span_of(said, cell.text, 0, len(cell.text)):
                cells = list(piece.cells)
                cells[place] = replace(cell, text=_with(cell.text, span, mark, before=before))
                piece.cells = tuple(cells)
                return True
    return False


def _with(text: str, span: Span, mark: str, *, before: bool) -> str:
    at = span.start if before else span.end
    return f"{text[:at]}{mark} {text[at:]}" if before else f"{text[:at]} {mark}{text[at:]}"


def _insert(pieces: list[PagePiece], piece: PagePiece) -> int:
    """Put a piece behind the last one that ends above it, or stands beside it to the left; its characters."""
    assert piece.box is not None
    place = 0
    for number, other in enumerate(pieces, 1):
        if other.box is not None and (
            other.box[3] <= piece.box[1] + 2 or (other.box[1] <= piece.box[1] + 2 and other.box[0] <= piece.box[0])
        ):
            place = number
    pieces.insert(place, piece)
    return len("".join(piece.text.split()))


def _field(forms: Any, note: Any, box: Box, hidden: bool) -> Field | None:
    """The field that a widget shows; None for buttons, signatures and what is empty."""
    from pypdfium2 import raw

    def text(call: Callable[[Any, Any, Any, int], int]) -> str:
        return _read(lambda buffer, size: call(forms, note, buffer, size))

    kind = raw.FPDFAnnot_GetFormFieldType(forms, note)
    flags = raw.FPDFAnnot_GetFormFieldFlags(forms, note)
    label = text(raw.FPDFAnnot_GetFormFieldAlternateName) or text(raw.FPDFAnnot_GetFormFieldName).rpartition(".")[2]
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        on = bool(raw.FPDFAnnot_IsChecked(forms, note))
        if kind == raw.FPDF_FORMFIELD_CHECKBOX:
            return Field(box, label, mark=_TICKED if on else _EMPTY, hidden=hidden)
        said = text(raw.FPDFAnnot_GetFormFieldExportValue) if on else ""
        return Field(box, f"{label}: {said}" if said else label, mark=_CHOSEN if on else _OPEN, hidden=hidden)
    if kind not in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        return None
    value = text(raw.FPDFAnnot_GetFormFieldValue)
    if kind == raw.FPDF_FORMFIELD_LISTBOX:
        chosen = [
            _read(partial(raw.FPDFAnnot_GetOptionLabel, forms, note, at))
            for at in range(min(max(raw.FPDFAnnot_GetOptionCount(forms, note), 0), 1000))
            if raw.FPDFAnnot_IsOptionSelected(forms, note, at)
        ]
        value = ", ".join(chosen) or value
    if not value or flags & _SECRET:
        return None
    return Field(box, label, value, hidden=hidden)


def _target(pdf: Any, link: Any) -> str:
    """Where a link leads: an address, or a page of this file or of another as `#page=3`."""
    from pypdfium2 import raw

    if not link:
        return ""
    action = raw.FPDFLink_GetAction(link)
    kind = raw.FPDFAction_GetType(action) if action else raw.PDFACTION_UNSUPPORTED
    if kind == raw.PDFACTION_URI:
        size = raw.FPDFAction_GetURIPath(pdf, action, None, 0)
        if not 1 < size <= _MAX_BYTES:
            return ""
        buffer = ctypes.create_string_buffer(size)
        raw.FPDFAction_GetURIPath(pdf, action, buffer, size)
        return tidy(buffer.value.decode("utf-8", "replace"))
    if kind == raw.PDFACTION_REMOTEGOTO:
        size = raw.FPDFAction_GetFilePath(action, None, 0)
        if not 1 < size <= _MAX_BYTES:
            return ""
        buffer = ctypes.create_string_buffer(size)
        raw.FPDFAction_GetFilePath(action, buffer, size)
        return tidy(buffer.value.decode("utf-8", "replace"))
    goal = raw.FPDFAction_GetDest(pdf, action) if kind == raw.PDFACTION_GOTO else raw.FPDFLink_GetDest(pdf, link)
    page = raw.FPDFDest_GetDestPageIndex(pdf, goal) if goal else -1
    return f"#page={page + 1}" if page >= 0 else ""


def _string(note: Any, key: bytes) -> str:
    from pypdfium2 import raw

    return _read(lambda buffer, size: raw.FPDFAnnot_GetStringValue(note, key, buffer, size))


def _read(call: Callable[[Any, int], int]) -> str:
    """What a function of PDFium writes in UTF-16 into a buffer that it is given, tidied."""
    from pypdfium2 import raw

    size = call(None, 0)
    if not 2 < size <= _MAX_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return tidy(buffer.raw.decode("utf-16-le", "replace").split("\0", 1)[0])


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
