"""Packing: nothing vanishes without a reason, and the right version is shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from citewell.synthesis.pack import DOCUMENT_SHARE, pack
from citewell.synthesis.question import understand
from citewell.types import BlockKind, DocumentRef, Evidence, Hit, Node, Span

TODAY = dt.date(2025, 6, 1)
LIMIT = understand("What is the hotel limit?")


def hit(
    text: str,
    rank: int,
    *,
    uri: str = "",
    tokens: int = 10,
    metadata: Mapping[str, str] | None = None,
    kind: BlockKind = BlockKind.PARAGRAPH,
    derived: bool = False,
) -> Hit:
    uri = uri or f"file:{rank}.md"
    node = Node(
        f"n{rank}",
        f"d:{uri}",
        Span(100 * rank, 100 * rank + len(text)),
        text,
        "Title",
        kind,
        tokens=tokens,
        derived=derived,
    )
    return Hit(
        node,
        DocumentRef(f"d:{uri}", uri, "Title", 1, "default", "text/markdown", metadata or {}),
        1.0 / rank,
        rank,
        rank,
    )


def version(year: int, rank: int, limit: int) -> Hit:
    facts = {"series": "travel", "version_label": str(year), "effective": f"{year}-01-01"}
    return hit(f"The hotel limit is EUR {limit} per night.", rank, metadata=facts)


def shown(evidence: list[Evidence]) -> list[int]:
    return [one.hit.rank for one in evidence]


VERSIONS = [version(2023, 1, 140), version(2024, 2, 165), version(2026, 3, 200), version(2025, 4, 180)]


def test_the_newest_version_in_force_is_shown_and_the_others_say_why_not() -> None:
    evidence, dropped = pack(LIMIT, VERSIONS, today=TODAY)
    assert shown(evidence) == [4]
    assert [one.reason for one in dropped] == [
        "superseded by 2025 of 2025-01-01",
        "superseded by 2025 of 2025-01-01",
        "not in force until 2026-01-01",
    ]


def test_a_version_that_the_question_names_wins() -> None:
    assert shown(pack(understand("What is the hotel limit in the 2023 policy?"), VERSIONS, today=TODAY)[0]) == [1]


def test_a_year_without_a_version_of_its_own_means_what_was_in_force_then() -> None:
    gap = [VERSIONS[0], VERSIONS[3]]
    assert shown(pack(understand("What was the hotel limit in 2024?"), gap, today=TODAY)[0]) == [1]


def test_a_comparison_keeps_the_versions_it_names() -> None:
    asked = understand("How does the hotel limit differ between 2023 and 2025?")
    assert shown(pack(asked, VERSIONS, today=TODAY)[0]) == [1, 4]


def test_a_repetition_is_dropped_and_names_what_was_kept_but_another_number_is_no_repetition() -> None:
    text = "The hotel limit for all employees of the company on a business trip is EUR 180 per night."
    hits = [hit(text, 1), hit(text + "", 2), hit(text.replace("180", "140"), 3)]
    evidence, dropped = pack(LIMIT, hits, today=TODAY)
    assert shown(evidence) == [1, 3]
    assert [one.reason for one in dropped] == ["near-duplicate of [1] (file:1.md)"]


def test_what_cannot_be_quoted_is_dropped() -> None:
    hits = [hit("Hotel limit", 1, kind=BlockKind.FOOTER), hit("A summary of the hotel limit", 2, derived=True)]
    evidence, dropped = pack(LIMIT, hits, today=TODAY)
    assert evidence == []
    assert ["boilerplate" in dropped[0].reason, "derived" in dropped[1].reason] == [True, True]


def test_one_document_fills_only_its_share_where_there_are_several() -> None:
    hits = [hit(f"The hotel limit, part {at}: about room {at}.", at, uri="file:a.md", tokens=30) for at in range(1, 5)]
    hits.append(hit("The hotel limit elsewhere.", 5, uri="file:b.md", tokens=30))
    evidence, dropped = pack(LIMIT, hits, budget_tokens=100, today=TODAY)
    assert shown(evidence) == [1, 2, 5]
    assert all("its share" in one.reason for one in dropped)


@st.composite
def many_hits(draw: st.DrawFn) -> list[Hit]:
    words = st.sampled_from(["hotel", "limit", "night", "room", "180", "140", "not", "bicycle", "garden", "tea"])
    return [
        hit(
            " ".join(draw(st.lists(words, max_size=12))),
            rank,
            uri=f"file:{draw(st.integers(1, 3))}.md",
            tokens=draw(st.integers(0, 60)),
            kind=draw(st.sampled_from(BlockKind)),
        )
        for rank in range(1, draw(st.integers(1, 12)) + 1)
    ]


@given(many_hits(), st.integers(0, 150), st.integers(0, 6))
def test_every_hit_is_shown_or_dropped_with_a_reason_within_all_bounds(
    hits: list[Hit], budget: int, limit: int
) -> None:
    evidence, dropped = pack(LIMIT, hits, budget_tokens=budget, limit=limit, today=TODAY)
    assert sorted([*shown(evidence), *(one.hit.rank for one in dropped)]) == [one.rank for one in hits]
    assert all(one.reason for one in dropped)
    assert [one.number for one in evidence] == list(range(1, len(evidence) + 1))
    assert len(evidence) <= limit
    assert sum(one.tokens for one in evidence) <= budget
    uris = {one.hit.document.uri for one in evidence}
    if len(uris) > 1:
        for uri in uris:
            assert sum(one.tokens for one in evidence if one.hit.document.uri == uri) <= DOCUMENT_SHARE * budget
    for one in evidence:
        assert one.quotable == one.hit.node.text
        assert one.text == one.hit.node.indexed_text
