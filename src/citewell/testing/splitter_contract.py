"""The contract of `Splitter` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_splitter_keeps_the_contract(case):
        case(lambda tokenizer, max_tokens: MySplitter(tokenizer, max_tokens))

Each case gets a function that makes a splitter with this tokenizer and size bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from citewell.models.hashing import HashEmbedder
from citewell.protocols import Splitter, Tokenizer
from citewell.testing.document_samples import HIDDEN_WORD, UNSEEN, documents
from citewell.types import Block, BlockKind, Node

MakeSplitter: TypeAlias = Callable[[Tokenizer, int], Splitter]

BOUNDS = (32, 100, 254)
_OVERSIZE_ROW = 4
"""A single table row may have this many times the bound: half a row is worse than one whose end is not seen."""


def _make(make: MakeSplitter, max_tokens: int = 100) -> Splitter:
    return make(HashEmbedder(), max_tokens)


def verbatim_nodes_are_slices_of_their_document(make: MakeSplitter) -> None:
    for bound in BOUNDS:
        for document in documents():
            for node in _make(make, bound).split(document):
                assert node.document_id == document.id
                assert node.span.end <= len(document.text)
                assert node.derived or node.span.of(document.text) == node.text
                assert node.text.strip(), "a node holds text"


def no_node_is_over_the_bound(make: MakeSplitter) -> None:
    tokenizer = HashEmbedder()
    for bound in BOUNDS:
        for document in documents():
            for node in _make(make, bound).split(document):
                size = len(tokenizer.token_starts(node.indexed_text))
                assert size <= bound or (_is_row(node) and size <= _OVERSIZE_ROW * bound), (document.title, bound, size)
                # A piece of a cut word is one token more to a tokenizer that sees it alone.
                assert not node.tokens or 0 <= size - node.tokens <= 1, "`tokens` counts context and text"


def every_visible_character_is_in_a_node(make: MakeSplitter) -> None:
    for bound in BOUNDS:
        for document in documents():
            covered = bytearray(len(document.text))
            for node in _make(make, bound).split(document):
                covered[node.span.start : node.span.end] = b"\1" * len(node.span)
            lost = [at for at, held in enumerate(covered) if not held and not document.text[at].isspace()]
            assert not lost, (document.title, bound, document.text[lost[0] : lost[0] + 40])


def nodes_come_in_reading_order(make: MakeSplitter) -> None:
    for document in documents():
        places = [(node.span.start, node.span.end) for node in _make(make).split(document)]
        assert places == sorted(places), document.title


def ids_are_unique_in_and_across_documents(make: MakeSplitter) -> None:
    ids = [node.id for document in documents() for node in _make(make).split(document)]
    assert len(set(ids)) == len(ids)
    assert all(ids)


def the_same_document_is_split_the_same(make: MakeSplitter) -> None:
    one, other = _make(make), _make(make)
    assert one.identity == other.identity
    for document in documents():
        assert one.split(document) == one.split(document) == other.split(document), document.title


def the_identity_changes_with_what_changes_the_nodes(make: MakeSplitter) -> None:
    small, large = _make(make, 32), _make(make, 254)
    assert small.identity.strip()
    differ = any(
        [node.span for node in small.split(document)] != [node.span for node in large.split(document)]
        for document in documents()
    )
    assert not differ or small.identity != large.identity


def pages_and_headings_of_a_node_are_those_of_its_blocks(make: MakeSplitter) -> None:
    for document in documents():
        for node in _make(make).split(document):
            under = [block for block in document.blocks if block.span.overlaps(node.span)]
            pages = [region.page for block in under for region in block.regions]
            assert node.page == (min(pages) if pages else None)
            # A node may open with its heading, and then lies under it.
            own = {(*block.heading_path, block.span.of(document.text)) for block in under if _heads(block)}
            assert node.heading_path in {block.heading_path for block in under} | own


def context_is_no_part_of_the_text(make: MakeSplitter) -> None:
    for document in documents():
        for node in _make(make).split(document):
            # What is shown around a quote comes from the document itself, never from elsewhere.
            parts = node.context.replace("…", "").replace("\n", " > ").split(" > ")
            known = f"{document.title}\n{document.text}"
            assert all(part.strip() in known for part in parts), node.context
            assert not node.indexed_text.endswith(node.context) or not node.context or node.context == node.text


def what_is_hidden_is_in_no_node(make: MakeSplitter) -> None:
    for document in UNSEEN:
        nodes = _make(make).split(document)
        assert any("Seen" in node.text or "Ghent" in node.text for node in nodes), document.title
        assert not any(HIDDEN_WORD in node.indexed_text for node in nodes), document.title


def _heads(block: Block) -> bool:
    return block.kind is BlockKind.HEADING


def _is_row(node: Node) -> bool:
    """Whether the node is one table row, with at most a heading and a caption above."""
    return node.kind is BlockKind.TABLE and len([line for line in node.text.split("\n") if line.strip()]) <= 3


CASES: tuple[Callable[[MakeSplitter], None], ...] = (
    verbatim_nodes_are_slices_of_their_document,
    no_node_is_over_the_bound,
    every_visible_character_is_in_a_node,
    nodes_come_in_reading_order,
    ids_are_unique_in_and_across_documents,
    the_same_document_is_split_the_same,
    the_identity_changes_with_what_changes_the_nodes,
    pages_and_headings_of_a_node_are_those_of_its_blocks,
    context_is_no_part_of_the_text,
    what_is_hidden_is_in_no_node,
)
"""All cases."""
