"""Plain text as it stands: paragraphs are runs of lines, and the text is not touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from citewell.reading import versions
from citewell.reading.decode import decode
from citewell.reading.faq import has_marks, paired
from citewell.reading.formats import TEXT
from citewell.reading.pieces import Piece, compose, first_heading, require_text, title_from_uri
from citewell.types import Block, BlockKind, Document, Source, Span

# From the first visible character of a run of lines; possessive, so that blank stretches are looked at once.
_PARAGRAPH: Final = re.compile(r"\S[^\n]*+(?:\n[^\S\n]*+\S[^\n]*+)*+")
_UNDERLINE: Final = re.compile(r"\n([=\-~^*#+])\1{2,199}[ \t]*(?:\n|\Z)")
_UNDERLINED: Final = re.compile(r"^([^\n]{1,200})\n([=\-~^*#+])\2{2,199}[ \t]*$", re.MULTILINE)
_MAX_SHOUT: Final = 80


class TextReader:
    """Reads plain text: one paragraph block a run of non-blank lines, `Q:`/`A:` pairs as FAQ blocks.

    Headings are taken only where nothing else is likely: a line underlined to its length, and a short line all in
    capitals that stands alone. The text is the decoded file, character for character, unless there are underlines
    or question marks to leave out.
    """

    identity = versions.TEXT

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text."""
        decoded = decode(source.content)
        text = decoded.text
        metadata = {"encoding": decoded.encoding}
        if has_marks(text) or _UNDERLINE.search(text):
            return compose(
                source,
                paired(_pieces(text)),
                reader=self.identity,
                media_type=TEXT,
                metadata=metadata,
                warnings=decoded.warnings,
            )
        blocks = _blocks(text)
        require_text(blocks)
        return Document.of(
            source,
            reader=self.identity,
            media_type=TEXT,
            title=first_heading(text, blocks) or title_from_uri(source.uri),
            text=text,
            blocks=blocks,
            metadata=metadata,
            warnings=decoded.warnings,
        )


def _blocks(text: str) -> tuple[Block, ...]:
    blocks: list[Block] = []
    title: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    for found in _PARAGRAPH.finditer(text):
        start, end = found.span()
        body = found[0]
        if body[-1].isspace():
            end = start + len(body.rstrip())
        if end - start > _MAX_SHOUT or not _is_shouted(text[start:end]):
            blocks.append(Block(BlockKind.PARAGRAPH, Span(start, end), heading_path=path))
        elif not blocks:
            title = path = (text[start:end],)
            blocks.append(Block(BlockKind.HEADING, Span(start, end), level=1))
        else:
            path = (*title, text[start:end])
            blocks.append(Block(BlockKind.HEADING, Span(start, end), level=2, heading_path=title))
    return tuple(blocks)


def _pieces(text: str) -> Iterator[Piece]:
    styles: list[str] = []
    first = True
    for paragraph in _PARAGRAPH.findall(text):
        at = 0
        for found in _UNDERLINED.finditer(paragraph):
            title = found[1].strip()
            if abs(len(found[0]) - len(found[1]) - 1 - len(found[1].rstrip())) > 2 or not any(map(str.isalpha, title)):
                continue
            yield Piece(BlockKind.PARAGRAPH, paragraph[at : found.start()])
            if found[2] not in styles:
                styles.append(found[2])
            yield Piece(BlockKind.HEADING, title, 1 + styles.index(found[2]))
            at = found.end()
        if at == 0 and len(paragraph) <= _MAX_SHOUT and _is_shouted(paragraph.strip()):
            yield Piece(BlockKind.HEADING, paragraph, 1 if first else 2 + len(styles))
        else:
            yield Piece(BlockKind.PARAGRAPH, paragraph[at:])
        first = False


def _is_shouted(line: str) -> bool:
    if not line.isupper() or "\n" in line or line[-1] in ".,;!?:)":
        return False
    return sum(map(str.isalpha, line)) > max(4, len(line) // 2)
