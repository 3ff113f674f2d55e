"""What every document that was read must satisfy, whatever its format."""

from citewell.reading.readers import Readers
from citewell.types import BlockKind, Document, Source

FORMATS = Readers()


def read(content: bytes | str, uri: str = "notes.txt", declared: str | None = None) -> Document:
    raw = content.encode() if isinstance(content, str) else content
    document = FORMATS.read(Source(uri, raw, media_type=declared))
    assert_lawful(document)
    return document


def assert_lawful(document: Document) -> None:
    text, at = document.text, 0
    for block in document.blocks:
        span = block.span
        assert at <= span.start < span.end <= len(text), "blocks ascend, do not overlap, lie inside and are not empty"
        assert not text[at : span.start].strip(), "text between blocks is white space"
        body = span.of(text)
        assert body.strip()
        assert not block.regions, "formats without pages have no regions"
        if block.kind is BlockKind.TABLE:
            assert block.cells
            cell_at, row = span.start, 0
            for cell in block.cells:
                assert cell_at <= cell.span.start <= cell.span.end <= span.end
                assert "\n" not in cell.span.of(text)
                row += text.count("\n", cell_at, cell.span.start)
                assert row == cell.row, "one line a row"
                cell_at = cell.span.end
            assert len({(cell.row, cell.column) for cell in block.cells}) == len(block.cells)
            rest = "".join(
                text[a:b]
                for a, b in zip(
                    [span.start, *(cell.span.end for cell in block.cells)],
                    [*(cell.span.start for cell in block.cells), span.end],
                    strict=True,
                )
            )
            assert set(rest) <= set(" |\n"), "cells cover their table"
        else:
            assert not block.cells
        if block.kind is BlockKind.FAQ:
            assert block.question is not None
            assert block.question.start == span.start
            assert block.question.within(span)
            assert text[block.question.end : block.question.end + 1] in {"\n", ""}
        if block.kind is BlockKind.HEADING:
            assert 1 <= block.level <= 6
            assert "\n" not in body
        if block.caption is not None:
            assert any(other.span == block.caption and other.kind is BlockKind.CAPTION for other in document.blocks)
        at = span.end
    assert not text[at:].strip(), "no text after the last block"
    assert not any(ch in text for ch in "\r\0\x1e\v\f")


def shown(document: Document, *kinds: BlockKind) -> list[str]:
    """Texts of the visible blocks, of `kinds` if given, that are not boilerplate."""
    return [
        block.span.of(document.text)
        for block in document.blocks
        if not (block.hidden or block.boilerplate) and (not kinds or block.kind in kinds)
    ]
