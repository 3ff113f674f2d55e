"""What holds for every document, whoever made it: its blocks, its tables and its identity."""

from __future__ import annotations

from citewell.types import Block, BlockKind, Document, Source, content_hash, document_id


def assert_document(document: Document, source: Source) -> None:
    """That `document` keeps the laws of `Document` and was read from `source`; AssertionError says which it breaks."""
    assert document.text.strip(), "a document has text"
    assert document.title.strip(), "a document has a title"
    assert "\n" not in document.title, "a title is one line"
    assert document.media_type.count("/") == 1
    assert document.reader.strip()
    assert document.uri == source.uri
    assert document.sha256 == content_hash(source.content)
    assert document.id == document_id(source, document.reader, document.text)
    assert document.pages is None or document.pages > 0
    for name, value in document.metadata.items():
        parts = value if isinstance(value, tuple) else (value,)
        assert isinstance(name, str)
        assert value is None or all(isinstance(part, str | int | float) for part in parts), (name, value)
    assert_blocks(document)


def assert_blocks(document: Document) -> None:
    """That the blocks of `document` ascend, lie apart and cover its text, and that each is what its kind says."""
    text, at = document.text, 0
    assert document.blocks
    assert not all(block.hidden for block in document.blocks), "something can be seen"
    titles: set[str] = set()
    for block in document.blocks:
        span = block.span
        assert at <= span.start < span.end <= len(text), ("blocks ascend, lie apart, inside, and hold text", block)
        assert not text[at : span.start].strip(), ("text between blocks is white space", at, span.start)
        assert span.of(text).strip()
        at = span.end
        assert all(title.strip() for title in block.heading_path)
        assert set(block.heading_path) <= titles, ("a heading path names headings that stand above", block)
        if block.kind is BlockKind.HEADING:
            assert 1 <= block.level <= 6
            titles.add(span.of(text))
            titles.add(" ".join(span.of(text).split()))
        assert block.confidence is None or 0 <= block.confidence <= 1
        _assert_regions(document, block)
        _assert_cells(document, block)
        if block.kind is BlockKind.FAQ:
            assert block.question is not None
            assert block.question.within(span)
            assert block.question.of(text).strip()
        if block.caption is not None:
            assert any(one.span == block.caption and one.kind is BlockKind.CAPTION for one in document.blocks)
    assert not text[at:].strip(), "no text after the last block"


def _assert_regions(document: Document, block: Block) -> None:
    regions = [*block.regions, *(cell.region for cell in block.cells if cell.region)]
    assert document.pages is not None or not regions, "regions only where the format has pages"
    at = block.span.start
    for line in block.lines:
        assert line.span.start == at < line.span.end, ("lines ascend without gaps", block)
        at = line.span.end
    assert at == block.span.end or not block.lines, ("lines cover their block", block)
    regions += (line.region for line in block.lines)
    for region in regions:
        assert 1 <= region.page <= (document.pages or 0)
        if region.box is not None:
            x0, y0, x1, y1 = region.box
            assert x0 <= x1
            assert y0 <= y1


def _assert_cells(document: Document, block: Block) -> None:
    assert bool(block.cells) == (block.kind is BlockKind.TABLE), ("a table has cells, and nothing else has", block)
    at = block.span.start
    for cell in block.cells:
        assert at <= cell.span.start <= cell.span.end <= block.span.end, ("cells ascend and lie in their table", cell)
        assert not set(document.text[at : cell.span.start]) - set(" |\n"), "cells cover their table"
        at = cell.span.end
        assert cell.row_span >= 1
        assert cell.column_span >= 1
    assert len({(cell.row, cell.column) for cell in block.cells}) == len(block.cells)
    if block.cells:
        assert not set(document.text[at : block.span.end]) - set(" |\n"), "cells cover their table"
