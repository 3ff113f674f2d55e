"""Pages become one text: running heads are told apart, and what a page or a column cut is joined again."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

from citewell.reading.limits import MAX_CELLS
from citewell.reading.pdf_pages import MAYBE_CUT, PagePiece, join_lines, union
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import CellText, grid
from citewell.types import BlockKind, count_characters

_MARGIN = 0.12  # of the page's height, above and below
_PAGE_NUMBER = re.compile(
    r"(page|seite|página|p\.)?\s*+[-–—|]?\s*+(\d{1,4}|[ivxlc]{1,7})\s*+([-–—|/]|of|von|de|sur)?\s*+(\d{1,4})?\s*+[-–—|]?",
    re.I,
)
_CAPTION = re.compile(r"(table|tab\.|figure|fig\.|tabelle|abbildung|abb\.|tableau|chart|exhibit)\s*[A-Z]?\d+", re.I)
_TABLE_CAPTION = re.compile(r"(table|tab\.|tabelle|tableau|exhibit)\s", re.I)
_CUT = re.compile(rf"(?<![^\W\d_])([^\W\d_]++['’]?){MAYBE_CUT}([^\W\d_]+)")
_LETTERS = re.compile(r"[^\W\d_]+")
_SPACED = re.compile(r"(?<![^\W\d_])([^\W\d_]++) (?=([^\W\d_]++))")
_SHORT = re.compile("a|i|am|an|as|at|be|by|do|he|if|in|is|it|me|my|no|of|on|or|so|to|up|us|we")  # whole words
_ENDS = tuple(".!?:;。！？؟")
_OUTSIDE = (BlockKind.HEADER, BlockKind.FOOTER)


def flag_margins(pages: Sequence[list[PagePiece]], heights: Sequence[float]) -> None:
    """Make running heads and feet HEADER and FOOTER pieces, flagged as boilerplate.

    A line in the outer margin is one when it (digits aside) stands in the same margin at the same height on at least
    three pages and a third of all (on both pages of two), or when it is a bare page number. Headings are kept unless
    they repeat word for word: chapters do start at the top of pages.
    """
    places: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for pieces, height in zip(pages, heights, strict=True):
        for piece in pieces:
            if (side := _side(piece, height)) is not None:
                places[side, _key(piece)].append((piece.page, piece.box[1] if piece.box else 0.0))
    enough = 2 if len(pages) == 2 else max(3, min(len(pages) // 3, 12))
    for pieces, height in zip(pages, heights, strict=True):
        for piece in pieces:
            side = _side(piece, height)
            if side is None:
                continue
            top = piece.box[1] if piece.box else 0.0
            found = {page for page, y in places[side, _key(piece)] if abs(y - top) < 6}
            if len(found) >= enough or (len(piece.text) < 40 and _PAGE_NUMBER.fullmatch(piece.text)):
                piece.kind = BlockKind.HEADER if side == "top" else BlockKind.FOOTER
                piece.level, piece.boilerplate = 0, True


def _key(piece: PagePiece) -> str:
    text = piece.text.casefold()
    return text if piece.kind is BlockKind.HEADING else re.sub(r"\d+|\b[ivxlc]+\b", "#", text)


def _side(piece: PagePiece, height: float) -> str | None:
    if piece.box is None or len(piece.text) > 200 or piece.kind in {BlockKind.TABLE, BlockKind.CODE} or piece.hidden:
        return None
    if piece.box[3] < height * _MARGIN:
        return "top"
    return "bottom" if piece.box[1] > height * (1 - _MARGIN) else None


def join(pages: Sequence[list[PagePiece]], hyphened: Collection[tuple[str, str]]) -> list[PagePiece]:
    """All pieces in order, with paragraphs that a line, a column or a page had cut made whole.

    `hyphened` are the pairs of word halves whose hyphen stays (see `broken_words`).
    """
    joined: list[PagePiece] = []
    for piece in (piece for pieces in pages for piece in pieces):
        before = next((one for one in reversed(joined) if not one.boilerplate and not one.hidden), None)
        if before is not None and _same_heading(before, piece):
            before.text = f"{before.text} {piece.text}"
            before.regions += piece.regions
            before.box = union((before.box, piece.box))
        elif before is not None and _same_table(before, piece):
            stacked = _stack(before.cells, piece.cells)
            before.repeated += _characters(before.cells) + _characters(piece.cells) - _characters(stacked)
            before.cells = stacked
            before.regions += piece.regions
            before.page = piece.page
        elif before is not None and _continues(before, piece):
            divided = before.text[-1] in "-‐\u00ad" and before.text[-2:-1].isalpha() and piece.text[0].islower()
            before.text = before.text[:-1] + piece.text if divided else f"{before.text} {piece.text}"
            before.regions += piece.regions
            before.box = piece.box
            before.page = piece.page
        else:
            joined.append(piece)
    if hyphened:
        whole = {left + right: f"{left}-{right}" for left, right in hyphened}
        pattern = re.compile(r"\b(" + "|".join(map(re.escape, sorted(whole, key=len, reverse=True))) + r")")
        for piece in joined:
            if piece.kind not in {BlockKind.TABLE, BlockKind.CODE}:
                piece.text = pattern.sub(lambda match: whole[match[0]], piece.text)
    return joined


def _continues(before: PagePiece, piece: PagePiece) -> bool:
    """Whether `piece` is the rest of `before`."""
    if piece.boilerplate or piece.hidden or not piece.text:
        return False
    if piece.kind is not BlockKind.PARAGRAPH:
        rest = piece.goes_on and before.kind is BlockKind.LIST_ITEM
        return rest and not before.text.endswith(_ENDS) and piece.page - before.page <= 1
    if before.kind not in {BlockKind.PARAGRAPH, BlockKind.LIST_ITEM} or not before.text:
        return False
    if _CAPTION.match(before.text) and (before.page != piece.page or not piece.text[0].islower()):
        return False
    if "\n" in before.text or "\n" in piece.text or before.text.endswith(_ENDS) or _CAPTION.match(piece.text):
        return False
    starts_small = piece.text[0].islower() or (before.text[-1] in "-‐," and piece.text[0].isalpha())
    if before.page != piece.page or before.box is None or piece.box is None:
        return starts_small and piece.page - before.page <= 1
    gap, height = piece.box[1] - before.box[3], min(piece.box[3] - piece.box[1], 24.0)
    if gap < -2:  # the top of the next column
        return starts_small and piece.box[0] > before.box[0]
    # Lines of one paragraph that liteparse set apart: same column, no more between them than a line.
    overlap = min(before.box[2], piece.box[2]) - max(before.box[0], piece.box[0])
    narrow = min(before.box[2] - before.box[0], piece.box[2] - piece.box[0])
    if gap > height or overlap < narrow / 2:
        return False
    full_line = before.box[2] > piece.box[2] - 0.1 * (piece.box[2] - piece.box[0])
    return starts_small or (
        full_line and before.kind is BlockKind.PARAGRAPH and gap < height / 3 and len(before.text) > 40
    )


def _same_heading(before: PagePiece, piece: PagePiece) -> bool:
    """Whether two headings are lines of one: same size, one right under the other, neither with a number."""
    if before.kind is not BlockKind.HEADING or piece.kind is not BlockKind.HEADING or before.level != piece.level:
        return False
    if before.page != piece.page or before.box is None or piece.box is None or len(before.text) + len(piece.text) > 200:
        return False
    gap, height = piece.box[1] - before.box[3], piece.box[3] - piece.box[1]
    return -height / 2 < gap < height and not re.match(r"[\dIVX]+[.)]?\s|[A-Z][.)]\s", piece.text)


def _same_table(before: PagePiece, piece: PagePiece) -> bool:
    """Whether a table at the top of a page is the rest of the one that ended the page before."""
    if before.kind is not BlockKind.TABLE or piece.kind is not BlockKind.TABLE or piece.page != before.page + 1:
        return False
    return _width(before.cells) == _width(piece.cells) or _is_rest_of_row(piece.cells)


def _is_rest_of_row(cells: Sequence[CellText]) -> bool:
    first = [cell for cell in cells if cell.row == 0 and cell.text]
    return bool(first) and all(cell.text[0].islower() for cell in first)


def _characters(cells: Sequence[CellText]) -> int:
    return sum(count_characters(cell.text) for cell in cells)


def _width(cells: Sequence[CellText]) -> int:
    return max((cell.column + cell.column_span for cell in cells), default=0)


def _stack(above: Sequence[CellText], below: Sequence[CellText]) -> tuple[CellText, ...]:
    """Two parts of one table: a repeated header goes, and a first row that a page had cut is made whole."""
    head = [cell.text for cell in above if cell.row == 0]
    rows = sorted({cell.row for cell in below})
    skip = 1 if [cell.text for cell in below if cell.row == rows[0]] == head else 0
    result = list(above)
    first = [cell for cell in below if cell.row == rows[0] and cell.text]
    if not skip and _is_rest_of_row(below):
        last = max(cell.row for cell in above)
        for cell in first:
            candidates = [place for place, one in enumerate(result) if one.row == last]
            shares = [_shared(result[place], cell) for place in candidates]
            place = candidates[shares.index(max(shares))]
            result[place] = replace(result[place], text=f"{result[place].text} {cell.text}")
        skip = 1
    shift = max(cell.row for cell in above) + 1 - rows[0] - skip
    result += [replace(cell, row=cell.row + shift, header=False) for cell in below if cell.row >= rows[0] + skip]
    return tuple(result)


def _shared(one: CellText, other: CellText) -> float:
    """How much of their breadth two cells share, in points; by their columns where no boxes are known."""
    if one.region is None or other.region is None or one.region.box is None or other.region.box is None:
        return 1.0 if one.column == other.column else 0.0
    return min(one.region.box[2], other.region.box[2]) - max(one.region.box[0], other.region.box[0])


def split_lists(pieces: Sequence[PagePiece]) -> list[PagePiece]:
    """List items that were run together (`1. … 2. … 3. …`) as items of their own; they share their regions."""
    result: list[PagePiece] = []
    for piece in pieces:
        parts = _items(piece.text) if piece.kind in {BlockKind.LIST_ITEM, BlockKind.PARAGRAPH} else [piece.text]
        if len(parts) == 1 or piece.hidden or piece.boilerplate:
            result.append(piece)
        else:
            result += [
                replace(piece, kind=BlockKind.LIST_ITEM, text=part, regions=list(piece.regions)) for part in parts
            ]
    return result


def _items(text: str) -> list[str]:
    first = re.match(r"(\d{1,2}|[A-Y])([.)]) \S", text)
    if first is None:
        return [text]
    label, sign, start = first[1], re.escape(first[2]), 0
    parts: list[str] = []
    while True:
        label = str(int(label) + 1) if label.isdigit() else chr(ord(label) + 1)
        found = re.compile(rf"[.;:!?,)] ({label}{sign}) [A-Z“\"'(]").search(text, start + 2)
        if found is None:
            break
        parts.append(text[start : found.start(1)].strip())
        start = found.start(1)
    return [*parts, text[start:]]


def mend_headings(pieces: Sequence[PagePiece]) -> list[PagePiece]:
    """Headings that are no more than the first line of the text under them (`Aim: To find out whether`) as text.

    What tells them is that the next line, right below, goes on with a small letter; where that is short, it is rather
    the second line of a heading.
    """
    result: list[PagePiece] = []
    for piece in pieces:
        before = result[-1] if result else None
        if (
            before is not None
            and before.kind is BlockKind.HEADING
            and piece.kind is BlockKind.PARAGRAPH
            and (piece.text[:1].islower() or _fills_line(before, piece))
            and not (piece.hidden or piece.boilerplate or before.text.endswith(_ENDS))
            and before.page == piece.page
            and before.box is not None
            and piece.box is not None
            and abs(piece.box[1] - before.box[3]) < 0.6 * (before.box[3] - before.box[1])
        ):
            joined = join_lines([before.text, piece.text])
            second_line = len(joined) < 100 and not piece.text.endswith(_ENDS)
            before.kind = BlockKind.HEADING if second_line else BlockKind.PARAGRAPH
            before.level = before.level if second_line else 0
            before.text = joined
            before.regions = before.regions + piece.regions
            before.box = union((before.box, piece.box))
        else:
            result.append(piece)
    return result


def _fills_line(heading: PagePiece, text: PagePiece) -> bool:
    """Whether a "heading" is a whole line of small-lettered words, as broad as the text below it."""
    words = heading.text.split()
    if heading.box is None or text.box is None or len(heading.text) < 60 or len(words) < 8:
        return False
    small = sum(word[0].islower() for word in words)
    return small > len(words) / 2 and heading.box[2] > text.box[2] - 0.05 * (text.box[2] - text.box[0])


def mend_cells(pieces: Sequence[PagePiece]) -> None:
    """Make words whole that a narrow column had cut without a hyphen (`Descriptio n`), by the other words there are."""
    if not any(piece.cells for piece in pieces):
        return
    written: set[str] = set()
    for piece in pieces:
        if not piece.hidden:
            written.update(_LETTERS.findall(piece.text))
    words = {word.casefold() for word in written}

    def one_word(left: str, right: str) -> bool:
        return left + right in words and not (left in words and right in words)

    def mended(match: re.Match[str]) -> str:
        left, right = match[1].casefold().rstrip("'’"), match[2].casefold()
        if len(right) < 3:
            cut = not _SHORT.fullmatch(right)
        else:
            cut = len(right) < 5 and left not in words and right not in words
        return match[1] + match[2] if cut or one_word(left, right) else f"{match[1]} {match[2]}"

    def joined(match: re.Match[str]) -> str:
        return match[1] if one_word(match[1].casefold(), match[2].casefold()) else f"{match[1]} "

    for piece in pieces:
        if piece.cells:
            texts = [
                _CUT.sub(mended, cell.text).replace(MAYBE_CUT, " ") if MAYBE_CUT in cell.text else cell.text
                for cell in piece.cells
            ]
            texts = [_SPACED.sub(joined, text) if " " in text else text for text in texts]
            piece.cells = tuple(
                cell if cell.text == text else replace(cell, text=text)
                for cell, text in zip(piece.cells, texts, strict=True)
            )


def rank_headings(pieces: Sequence[PagePiece]) -> None:
    """Number the heading levels in use from 1, without gaps: a parser's `4` may be all that a file has."""
    used = sorted({piece.level for piece in pieces if piece.kind is BlockKind.HEADING})
    ranks = {level: min(rank, 6) for rank, level in enumerate(used, 1)}
    for piece in pieces:
        if piece.kind is BlockKind.HEADING:
            piece.level = ranks[piece.level]


def name_captions(pieces: Sequence[PagePiece]) -> dict[int, int]:
    """Make paragraphs that begin `Table 3` or `Figure 3` captions; place of each table → place of its caption."""
    for piece in pieces:
        if piece.kind is BlockKind.PARAGRAPH and len(piece.text) < 500 and _CAPTION.match(piece.text):
            piece.kind = BlockKind.CAPTION
    captions: dict[int, int] = {}
    for (left, before), (right, after) in pairwise(
        [(place, piece) for place, piece in enumerate(pieces) if not piece.boilerplate and not piece.hidden]
    ):
        kinds = (before.kind, after.kind)
        if kinds == (BlockKind.CAPTION, BlockKind.TABLE) and _TABLE_CAPTION.match(before.text):
            captions[right] = left
        elif kinds == (BlockKind.TABLE, BlockKind.CAPTION) and _TABLE_CAPTION.match(after.text):
            captions.setdefault(left, right)
    taken: Counter[int] = Counter(captions.values())
    return {table: caption for table, caption in captions.items() if taken[caption] == 1 or caption < table}


def lay_down(pieces: Sequence[PagePiece], *, first: Sequence[Piece] = (), max_cells: int = MAX_CELLS) -> Builder:
    """The builder that holds `first` and then all `pieces`, tables with their captions.

    Raises ReadError limit_exceeded.
    """
    captions = name_captions(pieces)
    builder = Builder(max_cells=max_cells)
    for one in first:
        builder.add(one)
    blocks: dict[int, int] = {}
    for place, piece in enumerate(pieces):
        number = builder.add(
            Piece(
                piece.kind,
                piece.text,
                piece.level,
                table=grid(piece.cells, max_cells) if piece.kind is BlockKind.TABLE else None,
                path=() if piece.kind in _OUTSIDE else None,
                regions=piece.regions,
                boilerplate=piece.boilerplate,
                hidden=piece.hidden,
                asset=piece.asset,
                confidence=piece.confidence,
            )
        )
        if number is not None:
            blocks[place] = number
    for table, caption in captions.items():
        if table in blocks and caption in blocks:
            builder.caption(blocks[table], blocks[caption])
    return builder
