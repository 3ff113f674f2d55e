"""Made-up documents with every kind of block, for the contracts of Splitter and Transform."""

from __future__ import annotations

from collections.abc import Sequence

from citewell.types import Block, BlockKind, Cell, Document, Node, Region, Source, Span, node_id

_SENTENCE = "The calibration lab in Ghent checks every gauge twice a year, and keeps the record for ten years. "

Part = tuple[BlockKind, str]


def document(name: str, parts: Sequence[Part], *, pages: bool = False, flags: Sequence[str] = ()) -> Document:
    """A document of these parts in their order, a blank line apart; `flags` are `hidden` or `boilerplate` by part.

    Lines of a table are its rows, the first one its header; a FAQ pair's first line is its question.
    """
    text = ""
    blocks: list[Block] = []
    path: tuple[str, ...] = ()
    for number, (kind, body) in enumerate(parts):
        text += "\n\n" if text else ""
        span = Span(len(text), len(text) + len(body))
        text += body
        flag = flags[number] if number < len(flags) else ""
        question = Span(span.start, span.start + body.index("\n")) if kind is BlockKind.FAQ else None
        blocks.append(
            Block(
                kind,
                span,
                level=1 if kind is BlockKind.HEADING else 0,
                heading_path=() if kind is BlockKind.HEADING else path,
                regions=(Region(1 + number // 3),) if pages else (),
                cells=_cells(body, span.start) if kind is BlockKind.TABLE else (),
                caption=blocks[-1].span
                if kind is BlockKind.TABLE and parts[number - 1][0] is BlockKind.CAPTION
                else None,
                question=question,
                hidden=flag == "hidden",
                boilerplate=flag == "boilerplate",
            )
        )
        if kind is BlockKind.HEADING and not flag:
            path = (body,)
    source = Source(f"file:///{name}.txt", text.encode("utf-8", "surrogatepass"))
    return Document.of(
        source, reader="made@1", media_type="text/plain", title=f"On {name}", text=text, blocks=tuple(blocks),
        pages=1 + (len(parts) - 1) // 3 if pages else None,
    )  # fmt: skip


def _cells(body: str, start: int) -> tuple[Cell, ...]:
    cells, at = [], start
    for row, line in enumerate(body.split("\n")):
        for column, held in enumerate(line.split(" | ")):
            cells.append(Cell(row, column, Span(at, at + len(held)), header=row == 0))
            at += len(held) + 3
        at -= 2  # a line break in place of " | "
    return tuple(cells)


def documents() -> tuple[Document, ...]:
    """Documents short and long, of prose, lists, tables, pairs and code, with pages, in several scripts."""
    paragraph, heading, item = BlockKind.PARAGRAPH, BlockKind.HEADING, BlockKind.LIST_ITEM
    rows = "\n".join(f"Gauge {number} | {number * 7} bar | checked in Ghent" for number in range(120))
    table = f"Gauge | Pressure | Remark\n{rows}"
    pair = "How often are gauges checked?\n"
    return (
        document("one letter", [(paragraph, "x")]),
        document(
            "prose", [(heading, "Gauges"), (paragraph, _SENTENCE * 3), (heading, "Records"), (paragraph, "Kept.")]
        ),
        document("a long paragraph", [(heading, "Gauges"), (paragraph, _SENTENCE * 80)]),
        document("lists", [(heading, "Steps"), *((item, f"Step {number}: {_SENTENCE}") for number in range(30))]),
        document("a table", [(heading, "Table"), (BlockKind.CAPTION, "All gauges"), (BlockKind.TABLE, table)]),
        document("a small table", [(paragraph, "Before."), (BlockKind.TABLE, "a | b\n1 | 2"), (paragraph, "After.")]),
        document("pairs", [(BlockKind.FAQ, pair + _SENTENCE), (BlockKind.FAQ, pair + _SENTENCE * 40)]),
        document("code", [(paragraph, "Run this:"), (BlockKind.CODE, "for gauge in gauges:\n    check(gauge)\n" * 40)]),
        document("one word", [(paragraph, "a" * 9000)]),
        document("scripts", [(paragraph, "漢字かなまじりの文章です。" * 120), (paragraph, "한국어 문장입니다. " * 90)]),
        document("pages", [(heading, "Gauges"), *((paragraph, _SENTENCE * 2) for _ in range(9))], pages=True),
        document("headings", [(heading, "One"), (heading, "Two"), (paragraph, "Text."), (heading, "Three")]),
        document("a long heading", [(heading, _SENTENCE * 20), (paragraph, _SENTENCE * 20)]),
        document("odd", [(paragraph, "\u200b zero \ufeff width \0 nul \udcff"), (paragraph, "\U0001f600" * 400)]),
    )


HIDDEN_WORD = "Swordfish"

UNSEEN: tuple[Document, ...] = tuple(
    document(name, [(BlockKind.PARAGRAPH, text) for text in texts], flags=flags)
    for name, texts, flags in (
        ("unseen first", (f"The {HIDDEN_WORD} is hidden.", "Seen."), ("hidden",)),
        ("unseen last", ("Seen.", f"The {HIDDEN_WORD} is hidden."), ("", "hidden")),
        ("unseen between", ("Seen.", f"The {HIDDEN_WORD} is hidden.", "Seen as well."), ("", "hidden")),
        ("unseen far between", (_SENTENCE * 40, f"The {HIDDEN_WORD} is hidden.", _SENTENCE * 40), ("", "hidden")),
    )
)
"""Documents of which the block with HIDDEN_WORD is hidden, and the rest is seen."""


def nodes_of(document: Document) -> list[Node]:
    """One node a block, as a plain splitter would make them."""
    return [
        Node(
            id=node_id(document.id, "blocks@1", block.span.start, block.span.end),
            document_id=document.id,
            span=block.span,
            text=block.span.of(document.text),
            context=document.title,
            kind=block.kind,
            heading_path=block.heading_path,
            page=block.regions[0].page if block.regions else None,
        )
        for block in document.blocks
    ]
