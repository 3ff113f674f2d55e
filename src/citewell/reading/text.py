"""Plain text as it stands: paragraphs are runs of lines, and the text is not touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from citewell.reading import versions
from citewell.reading.collector import without_collector
from citewell.reading.decode import decode
from citewell.reading.faq import has_marks, paired
from citewell.reading.formats import TEXT
from citewell.reading.invisible import Clean, clean, said
from citewell.reading.limits import MAX_CELLS
from citewell.reading.pieces import Piece, compose, first_heading, require_text, title_from_uri
from citewell.reading.positions import Positions
from citewell.types import Block, BlockKind, Cell, Document, Place, Reason, Source, Span, Tally, account_of

# From the first visible character of a run of lines; possessive, so that blank stretches are looked at once.
_PARAGRAPH: Final = re.compile(r"\S[^\n]*+(?:\n[^\S\n]*+\S[^\n]*+)*+")
_UNDERLINE: Final = re.compile(r"\n([=\-~^*#+])\1{2,199}[ \t]*(?:\n|\Z)")
_UNDERLINED: Final = re.compile(r"^([^\n]{1,200})\n([=\-~^*#+])\2{2,199}[ \t]*$", re.MULTILINE)
_MAX_SHOUT: Final = 80
_BAR: Final = " | "
_RULE: Final = re.compile(r":?-{2,}+:?")


class TextReader:
    """Reads plain text: one paragraph block a run of non-blank lines, `Q:`/`A:` pairs as FAQ blocks.

    Headings are taken only where nothing else is likely: a line underlined to its length, and a short line all in
    capitals that stands alone. Lines of equally many cells between ` | ` are a table. The text is the decoded file,
    character for character, unless there are underlines or question marks to leave out, or characters that show
    nothing (see `invisible`).
    """

    identity = versions.TEXT

    @without_collector
    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text."""
        decoded = decode(source.content)
        found = clean(decoded.text)
        text = decoded.text
        metadata = {"encoding": decoded.encoding}
        positions = Positions(source.content, decoded)
        if has_marks(text) or _UNDERLINE.search(text):
            return compose(
                source,
                paired(_pieces(text, positions)),
                reader=self.identity,
                media_type=TEXT,
                metadata=metadata,
                warnings=decoded.warnings,
            )
        text, secret = found.text, sum(found.secret.values())
        blocks = _blocks(text, _Seen(positions, found))
        require_text(blocks)
        return Document.of(
            source,
            reader=self.identity,
            media_type=TEXT,
            title=first_heading(text, blocks) or clean(title_from_uri(source.uri)).text,
            text=text,
            blocks=blocks,
            metadata=metadata,
            warnings=(*decoded.warnings, *([said(found.secret)] if secret else [])),
            account=account_of(text, blocks, Tally(), {Reason.HIDDEN: Tally(characters=secret)}) if secret else None,
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Positions of text from which characters were removed."""

    positions: Positions
    found: Clean

    def places(self, spans: Sequence[tuple[int, int]]) -> list[Place]:
        """One place for each of `spans`, as `Positions` has it."""
        if self.found.removed:
            before = self.found.before
            spans = [(before(start), before(end - 1) + 1) for start, end in spans]
        return self.positions.places(spans)


def _paragraphs(text: str) -> list[tuple[int, int]]:
    found = []
    for paragraph in _PARAGRAPH.finditer(text):
        start, end = paragraph.span()
        if text[end - 1].isspace():
            end = start + len(paragraph[0].rstrip())
        found.append((start, end))
    return found


def _blocks(text: str, positions: _Seen) -> tuple[Block, ...]:
    blocks: list[Block] = []
    title: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    paragraph = BlockKind.PARAGRAPH
    spans = _paragraphs(text)
    bar = text.find(_BAR) if "|" in text else -1  # the first that is not before the paragraph
    for (start, end), place in zip(spans, positions.places(spans), strict=True):
        if 0 <= bar < start:
            bar = text.find(_BAR, start)
        span = Span(start, end)
        if 0 <= bar <= end - len(_BAR) and (cells := _cells(text, start, end)):
            blocks.append(Block(BlockKind.TABLE, span, heading_path=path, cells=cells, source=place))
        elif end - start > _MAX_SHOUT or not _is_shouted(text[start:end]):
            blocks.append(Block(paragraph, span, 0, path, source=place))
        elif not blocks:
            title = path = (text[start:end],)
            blocks.append(Block(BlockKind.HEADING, span, level=1, source=place))
        else:
            path = (*title, text[start:end])
            blocks.append(Block(BlockKind.HEADING, span, level=2, heading_path=title, source=place))
    return tuple(blocks)


def _cells(text: str, start: int, end: int) -> tuple[Cell, ...]:
    """The cells of a paragraph whose lines are rows of one table; () where they are not."""
    rows: list[list[Span]] = []
    for line in re.finditer(r"[^\n]+", text[start:end]):
        if _BAR not in line[0] and not ("|" in line[0] and set(line[0]) <= set("|:- \t")):
            return ()
        at, row = start + line.start(), []
        for part in line[0].split("|"):
            row.append(_trimmed(text, at, at + len(part)))
            at += len(part) + 1
        rows.append(row)
    width = len(rows[0])
    if len(rows) < 2 or any(len(row) != width for row in rows) or len(rows) * width > MAX_CELLS:
        return ()
    if all(not len(row[0]) and not len(row[-1]) for row in rows):
        rows = [row[1:-1] for row in rows]  # bars at both ends of every line are a frame
    rows = [row for row in rows if not all(_RULE.fullmatch(cell.of(text)) for cell in row)]
    # Rows without a stub above the first that has one name the columns; else a first row without any number does.
    headers = next((number for number, row in enumerate(rows) if len(row[0])), 0)
    if headers == 0 and rows and not any(map(str.isdigit, "".join(cell.of(text) for cell in rows[0]))):
        headers = 1
    return tuple(
        Cell(number, column, cell, header=number < headers)
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
    )


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _pieces(text: str, positions: Positions) -> Iterator[Piece]:
    styles: list[str] = []
    first = True
    spans = _paragraphs(text)
    for (start, end), place in zip(spans, positions.places(spans), strict=True):
        paragraph = text[start:end]
        at = 0
        for found in _UNDERLINED.finditer(paragraph):
            title = found[1].strip()
            if abs(len(found[0]) - len(found[1]) - 1 - len(found[1].rstrip())) > 2 or not any(map(str.isalpha, title)):
                continue
            yield Piece(BlockKind.PARAGRAPH, paragraph[at : found.start()], source=place)
            if found[2] not in styles:
                styles.append(found[2])
            yield Piece(BlockKind.HEADING, title, 1 + styles.index(found[2]), source=place)
            at = found.end()
        if at == 0 and len(paragraph) <= _MAX_SHOUT and _is_shouted(paragraph.strip()):
            yield Piece(BlockKind.HEADING, paragraph, 1 if first else 2 + len(styles), source=place)
        else:
            yield Piece(BlockKind.PARAGRAPH, paragraph[at:], source=place)
        first = False


def _is_shouted(line: str) -> bool:
    if not line.isupper() or "\n" in line or line[-1] in ".,;!?:)":
        return False
    return sum(map(str.isalpha, line)) > max(4, len(line) // 2)
