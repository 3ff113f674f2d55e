"""The contract of `Retriever` as a test suite, over a real store and index: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_retriever_keeps_the_contract(case, tmp_path):
        asyncio.run(case(lambda embedder: MyRetriever(embedder), tmp_path))

Each case gets a function that makes a retriever around the embedder that built the index, and an empty folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from citewell.indexing.index import Index
from citewell.protocols import Embedder, Retriever, View
from citewell.testing.knowledge_samples import (
    ANALYZER,
    ANN,
    BOB,
    EMBEDDER,
    EVE,
    NOBODY,
    QUERIES,
    assert_ranking,
    opened,
    readable,
    version,
    versions,
)
from citewell.testing.texts import ODD_TEXTS
from citewell.types import Principal, Query

MakeRetriever: TypeAlias = Callable[[Embedder], Retriever]

_ALL = 1000


async def only_rows_of_the_view_are_found(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        index = Index(store, ANALYZER)
        for principal in (ANN, BOB, EVE, NOBODY):
            for buckets in ((), ("handbook",), ("unknown",)):
                allowed = await readable(store, principal, buckets)
                for text in QUERIES:
                    view = await index.view(Query(text, buckets=buckets), principal)
                    # Asked with another query than the view was made for: the view decides, not the query.
                    for asked in (Query(text, buckets=buckets), Query(text), Query(text, buckets=("other",))):
                        ranking = await retriever.search(asked, view, _ALL)
                        assert set(ranking.rows.tolist()) <= set(allowed)


async def rankings_are_best_first_and_keep_their_limit(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    found = 0
    async with opened(folder) as store:
        for text in QUERIES:
            view = await _view(Index(store, ANALYZER), text)
            for limit in (0, 1, 2, 3, 7, view.size, _ALL):
                ranking = await retriever.search(Query(text), view, limit)
                assert_ranking(ranking, limit)
                found += len(ranking.rows)
    assert found, "something is found"


async def what_is_asked_for_comes_first(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    text = "Rotate the vault key every ninety days."
    async with opened(folder) as store:
        view = await _view(Index(store, ANALYZER), text)
        ranking = await retriever.search(Query(text), view, 1)
        (hit,) = await view.hits(ranking, 1)
        assert hit.node.text == text


async def score_agrees_with_search(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        for text in QUERIES:
            view = await _view(Index(store, ANALYZER), text)
            ranking = await retriever.search(Query(text), view, _ALL)
            scores = await retriever.score(Query(text), view, ranking.rows)
            assert np.allclose(scores, ranking.scores, rtol=1e-9, atol=1e-9), text


async def score_is_given_for_every_row_in_the_order_asked(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        rows = np.array(sorted(await readable(store, BOB)), np.int64)
        drawn = np.random.default_rng(7).permutation(rows)
        for text in QUERIES:
            view = await _view(Index(store, ANALYZER), text)
            straight = await retriever.score(Query(text), view, rows)
            mixed = await retriever.score(Query(text), view, drawn)
            assert straight.dtype == mixed.dtype == np.float64
            assert straight.shape == rows.shape
            assert np.isfinite(straight).all()
            by_row = dict(zip(rows.tolist(), straight.tolist(), strict=True))
            assert np.allclose([by_row[row] for row in drawn.tolist()], mixed, rtol=1e-9, atol=1e-9)
            none = await retriever.score(Query(text), view, rows[:0])
            assert none.shape == (0,)


async def the_same_query_is_answered_the_same(make: MakeRetriever, folder: Path) -> None:
    retriever, fresh = make(EMBEDDER), make(EMBEDDER)
    assert retriever.name == fresh.name
    assert retriever.name.strip()
    async with opened(folder) as store:
        for text in QUERIES:
            view, other = await _view(Index(store, ANALYZER), text), await _view(Index(store, ANALYZER), text)
            first = await retriever.search(Query(text), view, 7)
            for again in (
                await retriever.search(Query(text), view, 7),
                await fresh.search(Query(text), other, 7),
            ):
                assert first.rows.tolist() == again.rows.tolist()
                assert first.scores.tolist() == again.scores.tolist()


async def queries_at_the_same_time_do_not_disturb_each_other(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        index = Index(store, ANALYZER)

        async def rows(text: str, principal: Principal) -> list[int]:
            view = await index.view(Query(text), principal)
            found: list[int] = (await retriever.search(Query(text), view, 5)).rows.tolist()
            return found

        asked = [(text, principal) for text in QUERIES for principal in (ANN, BOB, EVE)]
        alone = [await rows(*one) for one in asked]
        assert await asyncio.gather(*(rows(*one) for one in asked)) == alone


async def a_view_of_nothing_gives_nothing(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        index = Index(store, ANALYZER)
        for view in (await index.view(Query("vault"), NOBODY), await index.view(Query("vault", as_of=0), ANN)):
            assert view.size == 0
            ranking = await retriever.search(Query("vault"), view, 10)
            assert_ranking(ranking, 0)


async def odd_queries_are_answered_lawfully(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        index, allowed = Index(store, ANALYZER), await readable(store, BOB)
        for text in ODD_TEXTS:
            view = await index.view(Query(text), BOB)
            ranking = await retriever.search(Query(text), view, 5)
            assert_ranking(ranking, 5)
            assert set(ranking.rows.tolist()) <= set(allowed)


async def what_is_hidden_changes_neither_rank_nor_score(make: MakeRetriever, folder: Path) -> None:
    every = await versions()
    # Hidden documents last, so that the rows of the others are the same with and without them.
    hidden = [one for one in every if not one.source.access.permits(BOB) or one.source.tenant != BOB.tenant]
    shown = [one for one in every if one not in hidden]
    found = []
    for name, held in (("without", shown), ("with", [*shown, *hidden])):
        retriever = make(EMBEDDER)
        async with opened(folder / name, held) as store:
            index = Index(store, ANALYZER)
            for text in QUERIES:
                ranking = await retriever.search(Query(text), await index.view(Query(text), BOB), 5)
                found.append((name, text, ranking.rows.tolist(), ranking.scores.tolist()))
    half = len(found) // 2
    assert [one[1:] for one in found[:half]] == [one[1:] for one in found[half:]]


async def what_was_deleted_is_found_no_more(make: MakeRetriever, folder: Path) -> None:
    retriever = make(EMBEDDER)
    async with opened(folder) as store:
        index = Index(store, ANALYZER)
        await store.commit([await version("gone.md", "The zanzibar clause.")])
        rows = set(await readable(store, BOB))
        await retriever.search(Query("zanzibar"), await index.view(Query("zanzibar"), BOB), 5)
        await store.delete(["gone.md"], bucket="handbook", principal=BOB)
        gone = rows - set(await readable(store, BOB))
        assert len(gone) == 1
        ranking = await retriever.search(Query("zanzibar"), await index.view(Query("zanzibar"), BOB), _ALL)
        assert gone.isdisjoint(ranking.rows.tolist())


async def _view(index: Index, text: str, principal: Principal = BOB) -> View:
    return await index.view(Query(text), principal)


CASES: tuple[Callable[[MakeRetriever, Path], Awaitable[None]], ...] = (
    only_rows_of_the_view_are_found,
    rankings_are_best_first_and_keep_their_limit,
    what_is_asked_for_comes_first,
    score_agrees_with_search,
    score_is_given_for_every_row_in_the_order_asked,
    the_same_query_is_answered_the_same,
    queries_at_the_same_time_do_not_disturb_each_other,
    a_view_of_nothing_gives_nothing,
    odd_queries_are_answered_lawfully,
    what_is_hidden_changes_neither_rank_nor_score,
    what_was_deleted_is_found_no_more,
)
"""All cases."""
