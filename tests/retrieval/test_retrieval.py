"""Retrievers over a real index: fusion weighs, ties are stable, every option changes something or raises."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import DIMENSIONS, Ledger, vector_of

from citewell.errors import ConfigError
from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.protocols import Ranking, Retriever
from citewell.retrieval import Dense, Fused, Lexical
from citewell.retrieval.fuse import RRF_K
from citewell.types import Access, Principal, Query

ANALYZER = Analyzer()
WORDS = ("key", "rotate", "vault", "holiday", "pay", "europe")


class ByLetters:
    """An embedder without a model: vectors follow from the letters. Counts its calls."""

    identity, dimensions, max_tokens = "letters@1", DIMENSIONS, 1000

    def __init__(self) -> None:
        self.calls = 0

    def token_starts(self, text: str) -> Sequence[int]:
        return range(len(text))

    async def embed(self, texts: Sequence[str], *, role: str) -> np.ndarray:
        self.calls += 1
        return np.array([vector_of(text) for text in texts], np.float32)


corpora = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=25)
queries = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


def index_of(texts: Sequence[str]) -> Index:
    ledger = Ledger(ANALYZER)
    for at, text in enumerate(texts):
        ledger.add(f"d{at}", [text])
    ledger.add("hidden", ["key rotate vault holiday"], access=Access())
    return Index(ledger, ANALYZER)


def search(retriever: Retriever, texts: Sequence[str], query: str, limit: int = 5) -> Ranking:
    async def run() -> Ranking:
        asked = Query(query)
        return await retriever.search(asked, await index_of(texts).view(asked, Principal.local()), limit)

    return asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(corpora, queries, st.integers(1, 8), st.sampled_from([(1.0, 1.0), (0.3, 2.0)]), st.integers(1, 10))
def test_z_score_fusion_ranks_like_plain_code(texts, query, limit, weights, pool):
    fused = search(Fused([Dense(ByLetters()), Lexical()], weights=weights, pool=pool), texts, query, limit)
    dense, lexical = search(Dense(ByLetters()), texts, query, 100), search(Lexical(), texts, query, 100)
    size = max(pool, limit)
    candidates = sorted({*dense.rows.tolist()[:size], *lexical.rows.tolist()[:size]})
    totals = dict.fromkeys(candidates, 0.0)
    for ranking, weight in zip((dense, lexical), weights, strict=True):
        held = dict(zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True))
        scores = [held.get(row, 0.0) for row in candidates]
        mean = math.fsum(scores) / len(scores)
        spread = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
        for row, score in zip(candidates, scores, strict=True):
            totals[row] += weight * (score - mean) / spread if spread > 1e-9 * max(1, *map(abs, scores)) else 0.0
    rows, got = fused.rows.tolist(), fused.scores.tolist()
    assert len(rows) == min(limit, len(candidates))
    assert got == pytest.approx([totals[row] for row in rows], abs=1e-6)
    assert [(-score, row) for score, row in zip(got, rows, strict=True)] == sorted(
        (-score, row) for score, row in zip(got, rows, strict=True)
    )
    assert all(totals[row] <= got[-1] + 1e-6 for row in candidates if row not in rows)


@settings(max_examples=60, deadline=None)
@given(corpora, queries, st.integers(1, 10))
def test_reciprocal_rank_fusion_ranks_like_plain_code(texts, query, pool):
    fused = search(Fused([Dense(ByLetters()), Lexical()], method="rrf", weights=[1, 3], pool=pool), texts, query, 4)
    size = max(pool, 4)
    totals: dict[int, float] = {}
    for retriever, weight in ((Dense(ByLetters()), 1), (Lexical(), 3)):
        for rank, row in enumerate(search(retriever, texts, query, size).rows.tolist(), start=1):
            totals[row] = totals.get(row, 0.0) + weight / (RRF_K + rank)
    wanted = sorted(totals, key=lambda row: (-round(totals[row], 12), row))[:4]
    assert [totals[row] for row in wanted] == pytest.approx(fused.scores.tolist())


@pytest.mark.parametrize("method", ["zscore", "rrf"])
def test_weights_really_weigh(method):
    texts = ["vault vault vault holiday", "tluav yek", "key", "rotate the vault key in europe", "pay"]
    one, other = (
        search(Fused([Dense(ByLetters()), Lexical()], method=method, weights=weights), texts, "vault", 5)
        for weights in ([1, 0], [0, 1])
    )
    assert one.rows.tolist() == search(Dense(ByLetters()), texts, "vault", 5).rows.tolist()
    assert other.rows.tolist() == search(Lexical(), texts, "vault", 5).rows.tolist()
    assert one.rows.tolist() != other.rows.tolist()
    assert set(one.parts) == {"dense"}


@pytest.mark.parametrize(
    "options",
    [
        {"method": "sum"},
        {"weights": [1]},
        {"weights": [1, -1]},
        {"weights": [0, 0]},
        {"weights": [1, math.nan]},
        {"weights": [1, math.inf]},
        {"pool": 0},
    ],
)
def test_impossible_options_are_errors(options):
    with pytest.raises(ConfigError):
        Fused([Dense(ByLetters()), Lexical()], **options)


def test_retrievers_of_one_name_and_none_at_all_are_errors():
    with pytest.raises(ConfigError):
        Fused([Lexical(), Lexical()])
    with pytest.raises(ConfigError):
        Fused([])


def test_hits_say_who_found_them_and_how():
    texts = ["rotate the vault", "holiday pay", "vault key", "europe"]

    async def run():
        asked = Query("vault")
        view = await index_of(texts).view(asked, Principal.local())
        retriever = Fused([Dense(ByLetters()), Lexical()], pool=2)
        return await view.hits(await retriever.search(asked, view, 4), 4), await Lexical().search(asked, view, 4)

    hits, lexical = asyncio.run(run())
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert "hidden" not in {hit.document.uri for hit in hits}
    by_row = dict(zip(lexical.rows.tolist(), lexical.scores.tolist(), strict=True))
    for hit in hits:
        assert set(hit.found_by) == {"dense", "lexical"}
        assert hit.found_by["lexical"].score == by_row.get(hit.row, 0.0)
        assert (hit.found_by["lexical"].rank is None) == (hit.row not in by_row)


def test_fused_retrievers_nest():
    texts = ["rotate the vault", "holiday pay", "vault key", "europe"]
    inner = Fused([Lexical(), Dense(ByLetters())], name="inner")
    ranking = search(Fused([inner, Lexical()]), texts, "vault key", 3)
    assert ranking.rows.tolist()[0] == 3
    assert set(ranking.parts) == {"inner", "lexical"}


def test_a_query_is_embedded_once_and_memory_is_bounded():
    embedder = ByLetters()
    retriever = Fused([Dense(embedder, remember=2), Lexical()])
    for _ in range(3):
        search(retriever, ["key", "vault"], "key")
    assert embedder.calls == 1
    for text in ("a1", "b2", "c3", "key"):
        search(retriever, ["key", "vault"], text)
    assert embedder.calls == 5


def test_nothing_visible_gives_nothing():
    assert search(Fused([Dense(ByLetters()), Lexical()]), [], "key").rows.tolist() == []
