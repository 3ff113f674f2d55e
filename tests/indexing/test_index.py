"""The index against plain code: what is seen, how it scores, and that it follows the store."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger import DIMENSIONS, Ledger, bm25, vector_of

from citewell.errors import ConfigError, FilterError, IndexMismatch, NotFound
from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index, SnapshotView
from citewell.indexing.lexical import BM25
from citewell.types import Access, Principal, Query, matches, parse_filter
from citewell.types.filters import And, Compare, Not, Or

ANALYZER = Analyzer()
WORDS = ("key", "rotate", "vault", "holiday", "pay", "europe", "2024", "naïve", "東京", "e-mail")
NAMES = ("everyone", "user:ann", "user:bob", "group:hr", "group:it")
VALUES = (True, False, 0, 1, 2, 1.0, 2.5, "1", "en", "de", "2024-01-01", ("hr", "pay"), ("hr",), (), ("1", 1))
FIELDS = ("language", "year", "tags", "bucket", "version", "uri", "title", "page", "kind", "section", "media_type")

texts = st.lists(st.sampled_from(WORDS), min_size=0, max_size=8).map(" ".join)
accesses = st.builds(
    Access,
    st.frozensets(st.sampled_from(NAMES), max_size=3),
    st.frozensets(st.sampled_from(NAMES), max_size=1),
)
principals = st.builds(
    Principal,
    st.sampled_from(["local", "other"]),
    st.sampled_from(["ann", "bob", "eve"]),
    st.frozensets(st.sampled_from(["hr", "it"])),
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    nodes = draw(st.lists(texts, min_size=0, max_size=4))
    size = len(nodes)
    return {
        "uri": draw(st.sampled_from(["a", "b", "c", "d"])),
        "texts": nodes,
        "tenant": draw(st.sampled_from(["local", "local", "other"])),
        "bucket": draw(st.sampled_from(["default", "hr"])),
        "access": draw(accesses),
        "metadata": draw(
            st.dictionaries(st.sampled_from(["language", "year", "tags", "title"]), st.sampled_from(VALUES), max_size=3)
        ),
        "pages": draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)),
        "kinds": draw(st.lists(st.sampled_from(["paragraph", "table"]), min_size=size, max_size=size)),
        "sections": draw(st.lists(st.sampled_from(["", "Intro", "Intro > Keys"]), min_size=size, max_size=size)),
        "gap": draw(st.integers(0, 2)),
    }


operations = st.lists(st.one_of(documents(), st.integers(0, 9)), min_size=1, max_size=10)


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    name, op = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(["==", "!=", "<", "<=", "in", "not in", "exists"]))
    scalars = [one for one in VALUES if not isinstance(one, tuple)] + ["hr", "default", "a", "paragraph", "Intro"]
    if op == "exists":
        return Compare(name, op, draw(st.booleans()))
    if op in ("in", "not in") or draw(st.integers(0, 5)) == 0:
        op = op if op in ("in", "not in") else draw(st.sampled_from(["any", "all"]))
        return Compare(name, op, tuple(draw(st.lists(st.sampled_from(scalars), max_size=3))))
    if op in ("<", "<="):
        return Compare(name, op, draw(st.sampled_from([1, 2, "de", "b"])))
    if draw(st.integers(0, 5)) == 0:
        return Compare(name, "contains", draw(st.sampled_from(scalars)))
    return Compare(name, op, draw(st.sampled_from(VALUES)))


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def write(ledger: Ledger, operation: dict[str, Any] | int) -> None:
    if isinstance(operation, int):
        if ledger.documents:
            ledger.remove(sorted(ledger.documents)[operation % len(ledger.documents)])
    else:
        ledger.add(**operation)


def ledger_of(history: list[dict[str, Any] | int]) -> Ledger:
    ledger = Ledger(ANALYZER)
    for operation in history:
        write(ledger, operation)
    return ledger


def everything(view: SnapshotView, text: str) -> tuple[Any, ...]:
    """All that a view tells about a text, as plain values."""
    dense, lexical = view.dense(vector_of(text), 5), view.lexical(text, 5)
    return (
        view.size,
        dense.rows.tolist(),
        dense.scores.tolist(),
        lexical.rows.tolist(),
        lexical.scores.tolist(),
        view.lexical_scores(text, dense.rows).tolist(),
        view.dense_scores(vector_of(text), lexical.rows).tolist(),
    )


def look(index: Index, text: str, principal: Principal, **query: Any) -> SnapshotView:
    return asyncio.run(index.view(Query(text, **query), principal))


@slow
@given(operations, principals, st.sampled_from([(), ("default",), ("hr", "default"), ("none",)]), filters, st.data())
def test_the_mask_is_what_the_types_permit(history, principal, buckets, where, data):
    ledger = ledger_of(history)
    as_of = data.draw(st.none() | st.integers(0, ledger.number))
    view = look(Index(ledger, ANALYZER), "key", principal, buckets=buckets, filter=where, as_of=as_of)

    def get(one):
        row = ledger.documents[one.key]
        fields = dict(row.ref.metadata) | {
            "uri": row.ref.uri,
            "title": row.ref.title,
            "bucket": row.bucket,
            "version": row.ref.version,
            "media_type": row.ref.media_type,
            "page": one.page or None,
            "kind": one.kind,
            "section": one.section or None,
        }
        return fields.get

    wanted = [one.row for one in ledger.visible(principal, buckets, as_of) if matches(where, get(one))]
    assert view.size == len(wanted)
    assert sorted(view.dense(vector_of("x"), 1000).rows.tolist()) == wanted


@slow
@given(operations, principals, texts, st.integers(1, 6))
def test_scores_and_ranks_are_those_of_plain_code(history, principal, text, limit):
    ledger = ledger_of(history)
    model = BM25(1.1, 0.6)
    view = look(Index(ledger, ANALYZER, bm25=model), text, principal)
    rows = ledger.visible(principal, (), None)

    scores = bm25(rows, ANALYZER.terms(text), 1.1, 0.6)
    lexical = view.lexical(text, limit)
    assert_ranked(lexical, scores, limit)
    all_rows = np.array([one.row for one in rows], np.int64)
    assert view.lexical_scores(text, all_rows).tolist() == pytest.approx([scores.get(row, 0.0) for row in all_rows])

    vector = vector_of(text)
    products = {
        one.row: math.fsum(float(a) * float(b) for a, b in zip(one.vector, vector, strict=True)) for one in rows
    }
    assert_ranked(view.dense(vector, limit), products, limit)
    assert view.dense_scores(vector, all_rows).tolist() == pytest.approx([products[row] for row in all_rows])


def assert_ranked(ranking, scores, limit):
    rows, got = ranking.rows.tolist(), ranking.scores.tolist()
    assert len(rows) == min(limit, len(scores))
    assert got == pytest.approx([scores[row] for row in rows])
    # Best first, and nothing better was left out; equal scores by row.
    pairs = [(-score, row) for score, row in zip(got, rows, strict=True)]
    assert pairs == sorted(pairs)
    assert all(scores[row] <= got[-1] + 1e-9 for row in scores if row not in rows) if rows else True


@slow
@given(operations, st.lists(st.booleans(), min_size=10, max_size=10), texts, principals, st.booleans())
def test_following_the_store_ends_where_a_rebuild_does(tmp_path_factory, history, peeks, text, principal, on_disk):
    folder = tmp_path_factory.mktemp("kb") / "index" if on_disk else None
    ledger = Ledger(ANALYZER)
    index = Index(ledger, ANALYZER, folder)
    for operation, peek in zip(history, peeks, strict=False):
        write(ledger, operation)
        if peek:
            look(index, text, principal)
        if peek and on_disk and isinstance(operation, dict) and operation["gap"]:
            asyncio.run(index.close())
            index = Index(ledger, ANALYZER, folder)
    followed = everything(look(index, text, principal), text)
    assert followed == everything(look(Index(ledger, ANALYZER), text, principal), text)


@slow
@given(operations, st.lists(st.tuples(st.integers(0, 10), documents(), st.integers(0, 2)), max_size=5), texts)
def test_hidden_documents_change_nothing_that_is_shown(history, hidden, text):
    ann = Principal("local", "ann", frozenset({"hr"}))
    open_world, secret_world = Ledger(ANALYZER), Ledger(ANALYZER)
    for at, operation in enumerate(op for op in history if isinstance(op, dict)):
        for where, document, way in hidden:
            if where == at:
                unseen = ({"access": Access()}, {"tenant": "third"}, {"access": Access(frozenset({"user:eve"}))})[way]
                secret_world.add(**document | {"uri": f"hidden {where} {way}"} | unseen)
        open_world.add(**operation)
        secret_world.add(**operation)
    plain, secret = (look(Index(world, ANALYZER), text, ann) for world in (open_world, secret_world))
    # Row numbers differ between the worlds; the n-th visible row is the same one.
    orders = []
    for world in (open_world, secret_world):
        orders.append({one.row: at for at, one in enumerate(world.visible(ann, (), None))})
    dense = [view.dense(vector_of(text), 4) for view in (plain, secret)]
    lexical = [view.lexical(text, 4) for view in (plain, secret)]
    assert plain.size == secret.size
    for one, other in (dense, lexical):
        assert one.scores.tolist() == other.scores.tolist()
        assert [orders[0][row] for row in one.rows.tolist()] == [orders[1][row] for row in other.rows.tolist()]


def test_not_even_the_last_bit_of_a_score_tells_of_hidden_documents():
    # A hidden document that came first gives the terms other ids: sums must not run in their order.
    words = [f"word{at}" for at in range(40)]
    rng = np.random.default_rng(5)
    shown = [" ".join(rng.choice(words, 25)) for _ in range(40)]
    scores = []
    for hidden in ([], words[::-1]):
        ledger = Ledger(ANALYZER)
        ledger.add("hidden", [" ".join(hidden)], access=Access())
        for at, text in enumerate(shown):
            ledger.add(f"d{at}", [text])
        view = look(Index(ledger, ANALYZER), " ".join(words[:12]), Principal.local())
        scores.append(view.lexical(" ".join(words[:12]), 40).scores.tolist())
    assert scores[0] == scores[1]


@slow
@given(st.lists(documents(), min_size=1, max_size=8), texts, principals)
def test_as_of_shows_what_was_shown_then(history, text, principal):
    ledger = Ledger(ANALYZER)
    index = Index(ledger, ANALYZER)
    past = []
    for document in history:
        ledger.add(**document)
        past.append((ledger.number, everything(look(index, text, principal), text)))
    for sequence, shown in past:
        assert everything(look(index, text, principal, as_of=sequence), text) == shown


def test_true_and_one_in_a_filter_do_not_share_a_mask():
    ledger = Ledger(ANALYZER)
    ledger.add("a", ["key"], metadata={"flag": True})
    ledger.add("b", ["key", "key"], metadata={"flag": 1})
    index, me = Index(ledger, ANALYZER), Principal.local()
    assert look(index, "key", me, filter=parse_filter({"flag": True})).size == 1
    assert look(index, "key", me, filter=parse_filter({"flag": 1})).size == 2


def test_a_row_outside_the_view_cannot_be_scored_or_fetched():
    ledger = Ledger(ANALYZER)
    ledger.add("open", ["key"])
    ledger.add("secret", ["key"], access=Access())
    index = Index(ledger, ANALYZER)
    view = look(index, "key", Principal.local())
    secret = np.array([2], np.int64)
    for attempt in (
        lambda: view.dense_scores(vector_of("key"), secret),
        lambda: view.lexical_scores("key", secret),
        lambda: asyncio.run(view.hits(replace(view.lexical("key", 5), rows=secret), 1)),
    ):
        with pytest.raises(NotFound):
            attempt()
    hits = asyncio.run(view.hits(view.lexical("key", 5), 5))
    assert [(hit.document.uri, hit.rank, hit.row) for hit in hits] == [("open", 1, 1)]


def test_a_document_deleted_since_is_left_out_of_hits():
    ledger = Ledger(ANALYZER)
    key = ledger.add("a", ["key"])
    ledger.add("b", ["key"])
    view = look(Index(ledger, ANALYZER), "key", Principal.local())
    ledger.remove(key)
    hits = asyncio.run(view.hits(view.lexical("key", 5), 5))
    assert [(hit.document.uri, hit.rank) for hit in hits] == [("b", 1)]


def test_impossible_questions_are_errors():
    ledger = Ledger(ANALYZER)
    ledger.add("a", ["key"])
    index, me = Index(ledger, ANALYZER), Principal.local()
    with pytest.raises(ConfigError):
        look(index, "key", me, as_of=2)
    with pytest.raises(ConfigError):
        look(index, "key", me, as_of=-1)
    with pytest.raises(FilterError):
        look(index, "key", me, filter=Compare("year", "near", 3))
    view = look(index, "key", me)
    with pytest.raises(IndexMismatch):
        view.dense(np.zeros(DIMENSIONS + 1, np.float32), 1)
    with pytest.raises(ConfigError):
        view.dense(np.full(DIMENSIONS, np.nan, np.float32), 1)


def test_an_empty_index_answers_with_nothing():
    view = look(Index(Ledger(ANALYZER), ANALYZER), "key", Principal.local())
    assert everything(view, "key") == (0, [], [], [], [], [], [])


def test_a_view_scores_texts_other_than_its_query_inside_a_running_loop():
    ledger = Ledger(ANALYZER)
    ledger.add("a", ["rotate the vault", "holiday pay"])
    index = Index(ledger, ANALYZER)

    async def ask() -> list[int]:
        view = await index.view(Query("vault"), Principal.local())
        return view.lexical("holiday", 5).rows.tolist()

    assert asyncio.run(ask()) == [2]


def test_concurrent_views_refresh_once_and_agree():
    ledger = Ledger(ANALYZER)
    for at in range(20):
        ledger.add(f"d{at}", ["rotate the key", "pay"])
    index = Index(ledger, ANALYZER)

    async def ask() -> list[SnapshotView]:
        return await asyncio.gather(*(index.view(Query("key"), Principal.local()) for _ in range(20)))

    views = asyncio.run(ask())
    assert ledger.reads == 2  # one batch, and the empty one behind it
    assert len({tuple(view.lexical("key", 5).rows.tolist()) for view in views}) == 1


@given(st.integers(1, 40), st.integers(2, 400), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_dense_score_does_not_depend_on_its_company(count, dimensions, seed):
    from citewell.indexing.dense import exact

    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dimensions)).astype(np.float32)
    query = rng.standard_normal(dimensions).astype(np.float32)
    together = exact((vectors[:1], vectors[1:]), np.arange(count), query)
    alone = [exact((vectors,), np.array([at]), query)[0] for at in range(count)]
    assert together.tolist() == alone


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 1.0])
def test_dense_ranks_are_the_same_by_scan_and_by_gather(share, tmp_path: Path):
    from citewell.indexing.dense import nearest
    from citewell.indexing.mask import Visible

    rng = np.random.default_rng(7)
    vectors = rng.standard_normal((3000, 64)).astype(np.float32)
    vectors[1::3] = vectors[::3]  # ties everywhere
    query = rng.standard_normal(64).astype(np.float32)
    mask = rng.random(3000) < share
    norm = float(np.linalg.norm(vectors, axis=1).max())
    found, scores = nearest((vectors[:1000], vectors[1000:]), norm, Visible(mask, np.ones(3000, np.int32)), query, 25)
    products = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    order = [at for at in np.lexsort((np.arange(3000), -products)).tolist() if mask[at]][:25]
    assert found.tolist() == order
    assert scores.tolist() == products[order].tolist()
