"""The splitter keeps the contract of Splitter; two small transforms keep that of Transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from citewell.models.hashing import HashEmbedder
from citewell.splitting.sections import Sections
from citewell.testing.document_samples import document
from citewell.testing.splitter_contract import CASES as SPLITTER_CASES
from citewell.testing.splitter_contract import what_is_hidden_is_in_no_node
from citewell.testing.transform_contract import CASES as TRANSFORM_CASES
from citewell.types import BlockKind, Document, Node, node_id

FAULTS = {
    what_is_hidden_is_in_no_node: (
        "Sections packs from the first block's start to the last one's end, over a hidden block between them"
    )
}
SPLITTING = [
    pytest.param(case, marks=[pytest.mark.xfail(strict=True, reason=FAULTS[case])] if case in FAULTS else [])
    for case in SPLITTER_CASES
]


@pytest.mark.parametrize("case", SPLITTING, ids=lambda case: case.__name__)
def test_sections_keeps_the_contract_of_a_splitter(case):
    case(Sections)


@pytest.mark.xfail(strict=True, reason="Sections._pieces cuts at line ends first, and leaves the heading by itself")
def test_a_heading_stays_with_the_beginning_of_a_paragraph_that_has_to_be_cut():
    parts = [(BlockKind.HEADING, "Gauges"), (BlockKind.PARAGRAPH, "The lab in Ghent checks every gauge. " * 30)]
    first, *_ = Sections(HashEmbedder(), 100).split(document("gauges", parts))
    assert first.text.startswith("Gauges\n\nThe lab")


class WithoutCode:
    """A transform that drops: code is not indexed."""

    identity = "without-code@1"

    def apply(self, document: Document, nodes: Sequence[Node]) -> list[Node]:
        return [node for node in nodes if node.kind is not BlockKind.CODE]


class WithRowsInWords:
    """A transform that derives: after each table a node that says its first row in words."""

    identity = "rows-in-words@1"

    def apply(self, document: Document, nodes: Sequence[Node]) -> list[Node]:
        made = []
        for node in nodes:
            made.append(node)
            if node.kind is BlockKind.TABLE:
                head, row, *_ = (line.split(" | ") for line in node.text.split("\n"))
                words = "; ".join(f"{name}: {value}" for name, value in zip(head, row, strict=True))
                new = node_id(document.id, self.identity, node.span.start, node.span.end, "row-1")
                made.append(replace(node, id=new, text=words, derived=True))
        return made


@pytest.mark.parametrize("case", TRANSFORM_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("transform", [WithoutCode, WithRowsInWords])
def test_a_transform_keeps_the_contract(transform, case):
    case(transform)
