"""What belongs to a figure: its caption, the paragraph that speaks of it, and a node of what a model said of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from citewell.protocols import Tokenizer
from citewell.types import Asset, Block, BlockKind, Document, Node, Span, node_id

DESCRIBED: Final = "described@1"

_REACH: Final = 12  # blocks on either side in which a paragraph may speak of a figure
_LABEL: Final = re.compile(
    r"(figure|fig\.?|abbildung|abb\.?|chart|exhibit|plate|diagram|image|bild)\s*([A-Z]?\d+)", re.I
)
_TEXT: Final = frozenset({BlockKind.PARAGRAPH, BlockKind.LIST_ITEM})


def caption_of(blocks: Sequence[Block], at: int) -> Span | None:
    """The caption of the figure at place `at`: the one it names, else a caption right below it or right above it."""
    figure = blocks[at]
    if figure.kind is BlockKind.CAPTION:
        return figure.span
    if figure.caption is not None:
        return figure.caption
    others = {block.caption for block in blocks[max(at - 2, 0) : at + 3] if block.caption}
    for place in (at + 1, at - 1):
        if 0 <= place < len(blocks):
            near = blocks[place]
            if near.kind is BlockKind.CAPTION and near.span not in others and not (near.hidden or near.boilerplate):
                return near.span
    return None


def paragraph_around(text: str, blocks: Sequence[Block], at: int) -> Span | None:
    """The paragraph that speaks of the figure at place `at` of `blocks`.

    That is one nearby which names it as its caption does (`Figure 3`), else the one above it, else the one below it,
    under the same heading.
    """
    figure = blocks[at]
    around = range(max(at - _REACH, 0), min(at + _REACH + 1, len(blocks)))
    near = [
        place
        for place in sorted(around, key=lambda place: (abs(place - at), place > at))
        if blocks[place].kind in _TEXT and not (blocks[place].hidden or blocks[place].boilerplate)
    ]
    caption = caption_of(blocks, at)
    label = _LABEL.match(caption.of(text)) if caption else None
    if label:
        for place in near:
            named = (found[2].lower() for found in _LABEL.finditer(blocks[place].span.of(text)))
            if label[2].lower() in named:
                return blocks[place].span
    own = [place for place in near if blocks[place].heading_path == figure.heading_path]
    above = [place for place in own if place < at]
    return blocks[(above or own)[0]].span if own else None


def described_nodes(document: Document, tokenizer: Tokenizer, max_tokens: int) -> list[Node]:
    """A derived node for each image that somebody described, at its place, in the order of the images.

    Its text says whose words they are; its context holds the title, the headings above, the caption and the paragraph
    around it. Together they have at most `max_tokens` tokens, of which the context has at most half.
    """
    shown = [block for block in document.blocks if not block.hidden and block.span.of(document.text).strip()]
    nodes = []
    for asset in document.assets:
        if not asset.description or not shown:
            continue
        at = _place(shown, asset)
        block = shown[at]
        title = document.title if block.span.of(document.text) != document.title else ""
        parts = [PATH_SEPARATOR.join(path_under(title, block.heading_path))]
        spans = dict.fromkeys((caption_of(shown, at), paragraph_around(document.text, shown, at)))
        parts += [span.of(document.text) for span in spans if span is not None]
        room = max_tokens // 2
        context = shortened("\n".join(" ".join(part.split()) for part in parts if part), room, tokenizer)
        used = len(tokenizer.token_starts(context))
        said = f"[Picture, described by {asset.described_by}] {asset.description}"
        text = shortened(said, max_tokens - used, tokenizer)
        regions = asset.regions or block.regions
        nodes.append(
            Node(
                id=node_id(document.id, DESCRIBED, block.span.start, block.span.end, asset.id),
                document_id=document.id,
                span=block.span,
                text=text,
                context=context,
                kind=BlockKind.FIGURE,
                heading_path=block.heading_path,
                page=regions[0].page if regions else None,
                tokens=used + len(tokenizer.token_starts(text)),
                derived=True,
            )
        )
    return nodes


def path_under(title: str, headings: Sequence[str]) -> list[str]:
    """A document's title and the headings above a place, the title once where it is the first heading too."""
    path = [part for part in (title, *headings) if part]
    return path[1:] if len(path) > 1 and path[0].casefold() == path[1].casefold() else path


PATH_SEPARATOR: Final = " > "


def shortened(text: str, tokens: int, tokenizer: Tokenizer) -> str:
    """`text` up to `tokens` tokens; what was cut is shown as …"""
    # A "word" of thousands of letters can be a single token, so tokens alone bound nothing.
    limit = tokens * CHARACTERS_PER_TOKEN
    starts = tokenizer.token_starts(text[: 2 * limit])
    if len(starts) <= tokens and len(text) <= limit:
        return text
    return text[: min(starts[tokens - 1] if len(starts) >= tokens else limit, limit)].rstrip() + "…"


CHARACTERS_PER_TOKEN: Final = 16
"""English has 4 to 5 characters a token; 16 leave every real text alone."""


def _place(shown: Sequence[Block], asset: Asset) -> int:
    """The place of the block that shows `asset`, else of the one that stands where it does, else of the one before."""
    for at, block in enumerate(shown):
        if block.asset == asset.id:
            return at
    before = [at for at, block in enumerate(shown) if block.span.start <= asset.span.start]
    return before[-1] if before else 0
