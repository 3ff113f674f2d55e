"""What liteparse says of a page becomes pieces: a kind, a text as printed, and a box.

Its blocks are Markdown (`**`, `\\*`, LaTeX for mathematics); a citation has to be what stands on the page, so marks
are taken off, and where that is not enough the text is put together anew from the page's own text items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import attrgetter
from typing import Any

from citewell.reading.images import Picture
from citewell.reading.pdf_layout import Box, Item, Items, Page, hundredths
from citewell.reading.pdf_text import letters_of, plain, printed, unligated
from citewell.reading.pdf_unseen import Unseen, cut, visible_items
from citewell.reading.tables import CellText
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Region

MAYBE_CUT = "\ue000"  # in a cell, until `mend_cells` has decided whether it is a space or nothing

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_KEEPS_HYPHEN = re.compile(r"\b(self|ex|well|vice|quasi|non-\w+|\w+-\w+)-$", re.IGNORECASE)
_BULLET = re.compile(r"[\u2022\u2023\u25a0-\u25ff\u2043\u2219\u27a2\uf000-\uf0ff●○■□▪▫◦·*\-–—o§]")


@dataclass(slots=True)
class PagePiece:
    """A block before its place in the document is known. `box` is (x0, y0, x1, y1) in points from the top left."""

    kind: BlockKind
    text: str
    page: int
    box: Box | None = None
    level: int = 0
    cells: tuple[CellText, ...] = ()
    regions: list[Region] = field(default_factory=list)
    boilerplate: bool = False
    hidden: bool = False
    goes_on: bool = False  # perhaps: a list item without a label may be the rest of the one before
    confidence: float | None = None  # where it was recognised
    asset: Picture | None = None
    repeated: int = 0  # characters of headers that a table had once more on its next page

    def __post_init__(self) -> None:
        self.regions = self.regions or [Region(self.page, self.box)]


def read_page(
    page: Page,
    tagged: Callable[[Page, Items], list[PagePiece] | None],
    secret: Sequence[Unseen],
    mend: Callable[[Page, Items, Sequence[PagePiece]], list[PagePiece]],
) -> list[PagePiece]:
    """Pieces of one liteparse page in reading order, hidden text apart, nothing of its text items lost.

    `tagged` reads the page's visible items by its tags, or declines; `secret` is what of the page is not seen; `mend`
    has a second opinion on the tables.
    """
    items = page.items
    seen = visible_items(items, secret) if secret else items
    pieces = tagged(page, seen)
    if pieces is None:
        pieces = [piece for block in page.blocks for piece in _from_block(block, page.page_num, seen, secret)]
        pieces = mend(page, seen, pieces)
    pieces += _left_over(seen, pieces, page.page_num)
    if secret:
        pieces.append(hidden_piece(secret, page.page_num))
    return pieces


def hidden_piece(secret: Sequence[Unseen], page: int) -> PagePiece:
    """What is not seen of a page, as one piece."""
    box = union(box_of(one) for one in secret)
    return PagePiece(BlockKind.PARAGRAPH, text_of(secret), page, box, hidden=True)


def box_of(thing: Any) -> Box | None:
    """The box of a rectangle or text item of liteparse, rounded to a hundredth of a point."""
    if thing is None:
        return None
    if isinstance(thing, Item):
        return thing.box
    x, y = thing.x, thing.y
    return hundredths(x), hundredths(y), hundredths(x + thing.width), hundredths(y + thing.height)


def union(boxes: Iterable[Box | None]) -> Box | None:
    """The smallest box around all `boxes`."""
    known = [box for box in boxes if box is not None]
    if len(known) < 2:
        return known[0] if known else None
    lefts, tops, rights, bottoms = zip(*known, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def lines_of(items: Sequence[Any]) -> list[str]:
    """Text items as lines from top to bottom; items share a line when their middles are within half a height."""
    return [line_of(held) for held in _grouped(items)]


def _grouped(items: Sequence[Any]) -> list[list[Any]]:
    """The items of each line, from top to bottom."""
    lines: list[tuple[float, float, list[Any]]] = []
    for item in sorted(items, key=attrgetter("middle", "x")):
        middle = item.middle
        if lines and abs(middle - lines[-1][0]) < max(item.height, lines[-1][1]) / 2:
            # A superscript must not drag the line up: the tallest item says where it is.
            at, height, held = lines[-1]
            lines[-1] = (middle, item.height, held) if item.height > height else (at, height, held)
            held.append(item)
        else:
            lines.append((middle, item.height, [item]))
    return [held for _, _, held in lines]


def text_of(items: Sequence[Any]) -> str:
    """Text items as running text, words divided at line ends joined."""
    return join_lines(lines_of(items))


def join_lines(lines: Iterable[str]) -> str:
    """Lines as one paragraph; a hyphen at a line end goes when a small letter follows, a soft one always."""
    text = ""
    for raw in lines:
        line = raw.strip()
        if text.endswith("-") and _KEEPS_HYPHEN.search(text):
            text += line
        elif text.endswith("\u00ad") or (text[-1:] in "-‐" and text[-2:-1].isalpha() and line[:1].islower()):
            text = text[:-1] + line
        elif text.endswith("-") and text[-2:-1].isalnum():
            text += line
        else:
            text = f"{text} {line}" if text else line
    return tidy(unligated(text))


def broken_words(pages: Iterable[Page]) -> set[tuple[str, str]]:
    """Pairs (`dual`, `encoder`) of words divided at a line end whose hyphen belongs to the word.

    It does when the document writes `dual-encoder` within a line somewhere, and never `dualencoder`.
    """
    divided: set[tuple[str, str]] = set()
    said: list[str] = []
    for page in pages:
        items = [item for item in page.text_items if item.text and not item.text.isspace()]
        for item in items:
            text = item.text.strip()
            said.append(text)
            if (
                text[-1] == "-"
                and (left := re.search(r"(?<![^\W\d_])([^\W\d_]+)-$", unligated(text)))
                and (below := _below(item, items))
                and (right := re.match(r"[^\W\d_]+", below))
                and right[0][0].islower()
            ):
                divided.add((left[1], right[0]))
    whole = unligated("\n".join(said)).lower() if divided else ""
    hyphened = {pair for pair in divided if "-".join(pair).lower() in whole}
    # The parts of other words, so far.
    words = set(_WORD.findall(whole)) if hyphened else set()
    return {
        (left, right)
        for left, right in hyphened
        if f"{left}-{right}".lower() in words and f"{left}{right}".lower() not in words
    }


def _below(item: Item, items: Sequence[Item]) -> str:
    """The text of the next line of the same column, or ""."""
    near = [
        (round(one.y), one.x, one.text.strip())
        for one in items
        if item.height / 2 < one.y - item.y < 2.5 * item.height
        and item.x < one.x + one.width
        and one.x < item.x + item.width
    ]
    return unligated(str(min(near)[2])) if near else ""


def line_of(items: list[Any]) -> str:
    """Items of one line from left to right; a gap of a sixth of the height is a space."""
    text, end = "", 0.0
    if _is_rtl("".join(one.text for one in items)):
        return tidy(" ".join(printed(one.text) for one in sorted(items, key=lambda one: -one.x)))
    for item in sorted(items, key=attrgetter("x")) if len(items) > 1 else items:
        gap = item.x - end
        if text and (gap > item.height / 6 or gap < -item.width):
            text += " "
        text += printed(item.text)
        end = item.x + item.width
    return tidy(text)


def _is_rtl(text: str) -> bool:
    """Whether most letters run from right to left (Hebrew, Arabic and their presentation forms)."""
    if text.isascii():
        return False
    letters = [char for char in text if char.isalpha()]
    return 2 * sum("\u0590" <= char <= "\u08ff" or "\ufb1d" <= char <= "\ufeff" for char in letters) > len(letters)


def _from_block(block: Any, page: int, items: Items, secret: Sequence[Any]) -> Iterator[PagePiece]:
    box = box_of(block.bbox)
    if block.kind in {"heading", "paragraph", "list_item"}:
        text = _without(plain(block.text or ""), secret, box, items)
        if not text:
            return
        kind = {"heading": BlockKind.HEADING, "list_item": BlockKind.LIST_ITEM}.get(block.kind, BlockKind.PARAGRAPH)
        marker = (block.marker or "").strip()
        if kind is BlockKind.LIST_ITEM and marker and not _BULLET.fullmatch(marker) and not text.startswith(marker):
            text = f"{plain(marker)} {text}"
        for number, (part, where) in enumerate(_paragraphs(text, box, items)):
            # What stands apart under a list item is no longer of it.
            cut = number > 0 and kind is BlockKind.LIST_ITEM
            yield PagePiece(
                BlockKind.PARAGRAPH if cut else kind, part, page, where, level=0 if cut else block.level or 0
            )
    elif block.kind == "table":
        cells = tuple(
            replace(cell, text=_without(cell.text, secret, cell.region.box if cell.region else None, items))
            if secret
            else cell
            for cell in _cells(block, page)
        )
        if cells:
            yield PagePiece(BlockKind.TABLE, "", page, box, cells=cells)
    elif block.kind == "code":
        lines = [_without(line.rstrip(), secret, None, items) for line in block.lines or ()]
        yield PagePiece(BlockKind.CODE, "\n".join(lines), page, box)
    elif block.kind == "grid_fallback":
        # A table whose grid was not found: its lines stay lines, because their columns would mix as running text.
        text = "\n".join(_without(line, secret, None, items) for line in block.lines or ())
        yield PagePiece(BlockKind.PARAGRAPH, tidy(unligated(text), lines=True), page, box)


def _paragraphs(text: str, box: Box | None, items: Items) -> list[tuple[str, Box | None]]:
    """`text` cut where its lines stand much further apart than most: liteparse runs such paragraphs together.

    Only where the lines in `box` say no more than `text` does, so that a neighbouring column cannot confuse it.
    """
    inside = [items[number] for number in items.inside(box)] if box is not None else []
    grouped = _grouped(inside) if len(inside) > 2 else []
    if len(grouped) < 3:
        return [(text, box)]
    tops = [min([one.box[1] for one in held]) for held in grouped]
    steps = [below - above for above, below in pairwise(tops)]
    usual = sorted(steps)[(len(steps) - 1) // 2]
    if usual <= 0 or max(steps) < 1.6 * usual:
        return [(text, box)]
    lines = [(union(one.box for one in held), line_of(held)) for held in grouped]
    if abs(sum(len(letters_of(line)) for _, line in lines) - len(letters_of(text))) > 4:
        return [(text, box)]
    parts: list[tuple[str, Box | None]] = []
    start, since = 0, 0
    for number, step in enumerate(steps, 1):
        if step < 1.6 * usual:
            continue
        at = text.find(lines[number][1][:24], start + 1)
        if at < 0:
            return [(text, box)]
        parts.append((text[start:at].strip(), union(where for where, _ in lines[since:number])))
        start, since = at, number
    return [*parts, (text[start:], union(where for where, _ in lines[since:]))]


def _inside(box: Box | None, items: Sequence[Any]) -> list[Any]:
    if box is None:
        return []
    if isinstance(items, Items):
        return [items[number] for number in items.inside(box)]
    x0, y0, x1, y1 = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    return [item for item in items if y0 <= item.y + item.height / 2 <= y1 and x0 <= item.x + item.width / 2 <= x1]


def _without(text: str, secret: Sequence[Unseen], box: Box | None, items: Sequence[Any]) -> str:
    """`text` of a block in `box` without what the `secret` items say; `items` are the visible ones."""
    if not secret:
        return text
    near = _inside(box, secret) if box is not None else secret
    if not near:
        return text
    for run in near:
        text, found = cut(text, printed(run.text))
        if not found and box is not None and letters_of(run.text) in letters_of(text):
            # Joined or hyphened beyond recognition: only what can be seen in the box is sure.
            return text_of(_inside(box, items))
    return tidy(text, lines="\n" in text)


def _cells(block: Any, page: int) -> Iterator[CellText]:
    header = list(block.header or ())
    rows = ([header] if any(cell.text.strip() for cell in header) else []) + list(block.rows or ())
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            yield CellText(
                row,
                column,
                plain(cell.text.replace("<br>", " ")),
                header=row == 0 and rows[0] is header and len(rows) > 1,
                region=Region(page, box_of(cell.bbox)) if cell.bbox else None,
            )


def _holds(box: Box | None, x: float, y: float) -> bool:
    return box is not None and box[0] - 1 <= x <= box[2] + 1 and box[1] - 1 <= y <= box[3] + 1


def _left_over(items: Sequence[Item], pieces: Sequence[PagePiece], page: int) -> Iterator[PagePiece]:
    """Text that stands on the page and in none of its pieces: turned lines in the margin, words within figures."""
    kept = letters_of(" ".join(piece.text + " ".join(cell.text for cell in piece.cells) for piece in pieces))
    lost: list[Item] = []
    at = 0
    for item in items:
        said = item.letters
        # Most stand right behind the one before.
        if (found := kept.find(said, at)) >= 0 or (found := kept.find(said)) >= 0:
            at = found + len(said)
        else:
            lost.append(item)
    turned = [item for item in lost if round(item.rotation) % 180]
    for item in turned:
        yield PagePiece(BlockKind.FOOTER, tidy(printed(item.text)), page, box_of(item), boilerplate=True)
    upright = [item for item in lost if not round(item.rotation) % 180]
    if upright:
        text = tidy(unligated("\n".join(lines_of(upright))), lines=True)
        yield PagePiece(BlockKind.FIGURE, text, page, union(box_of(item) for item in upright))
