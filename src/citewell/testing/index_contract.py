"""The contract of `Index` and `View` as a test suite, over a real store: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_index_keeps_the_contract(case, tmp_path):
        asyncio.run(case(lambda store, folder: MyIndex(store, Analyzer(), folder), tmp_path))

Each case gets a function that opens an index of a store with its derived files in a folder, and an empty folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from citewell.errors import CitewellError, ConfigError, IndexMismatch
from citewell.protocols import Index, Ranking, Store, View
from citewell.testing.knowledge_samples import (
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
from citewell.testing.store_samples import raised
from citewell.testing.texts import ODD_TEXTS
from citewell.types import Query, parse_filter

if TYPE_CHECKING:
    from citewell.protocols import Vectors

OpenIndex: TypeAlias = Callable[[Store, Path], Index]

_ALL = 1000


async def a_view_shows_what_its_principal_may_read(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        for principal in (ANN, BOB, EVE, NOBODY):
            for buckets in ((), ("handbook",), ("handbook", "other"), ("unknown",)):
                allowed = await readable(store, principal, buckets)
                view = await index.view(Query("vault", buckets=buckets), principal)
                assert view.size == len(allowed)
                assert view.sequence == await store.sequence()
                ranking = view.dense(await _vector("vault"), _ALL)
                assert set(ranking.rows.tolist()) == set(allowed)
                hits = await view.hits(ranking, _ALL)
                assert [(hit.row, hit.document.uri) for hit in hits] == [
                    (row, allowed[row]) for row in ranking.rows.tolist()
                ]


async def no_method_of_a_view_reaches_a_hidden_row(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        allowed, every = await readable(store, BOB), await readable(store, ANN)
        every |= await readable(store, EVE)
        hidden = sorted(set(every) - set(allowed))
        assert hidden
        for text in ("salary", "zebra", "rotate the vault key"):
            view, vector = await index.view(Query(text), BOB), await _vector(text)
            for ranking in (view.dense(vector, _ALL), view.lexical(text, _ALL)):
                assert set(ranking.rows.tolist()) <= set(allowed)
            for row in [*hidden, max(every) + 1, -1]:
                for rows in (np.array([row], np.int64), np.array([min(allowed), row], np.int64)):
                    _unreachable(lambda v=view, x=vector, r=rows: v.dense_scores(x, r))  # type: ignore[misc]
                    _unreachable(lambda v=view, t=text, r=rows: v.lexical_scores(t, r))  # type: ignore[misc]
                    assert not await _hits_of(view, rows, row)


async def dense_search_is_exact(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        batch = await store.rows(0, _ALL)
        held = dict(zip(batch.rows.tolist(), batch.vectors.astype(np.float64), strict=True))
        for text in QUERIES:
            vector = await _vector(text)
            view = await index.view(Query(text), BOB)
            products = {row: float(held[row] @ vector.astype(np.float64)) for row in await readable(store, BOB)}
            for limit in (0, 1, 5, _ALL):
                ranking = view.dense(vector, limit)
                assert_ranking(ranking, limit)
                assert len(ranking.rows) == min(limit, len(products))
                assert np.allclose(ranking.scores, [products[row] for row in ranking.rows.tolist()], atol=1e-9)
                if len(ranking.rows):
                    best = sorted(products.values(), reverse=True)[: len(ranking.rows)]
                    assert np.allclose(ranking.scores, best, atol=1e-9)
            rows = np.array(sorted(products, reverse=True), np.int64)
            assert np.allclose(view.dense_scores(vector, rows), [products[row] for row in rows.tolist()], atol=1e-9)


async def lexical_search_finds_the_rows_that_hold_a_term(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        view = await index.view(Query("vault"), BOB)
        rows = np.array(sorted(await readable(store, BOB)), np.int64)
        ranking = view.lexical("vault", _ALL)
        assert_ranking(ranking, _ALL)
        texts = {hit.row: hit.node.text for hit in await view.hits(view.dense(await _vector("vault"), _ALL), _ALL)}
        assert set(ranking.rows.tolist()) == {row for row, text in texts.items() if "vault" in text}
        assert (ranking.scores > 0).all()
        scores = dict(zip(rows.tolist(), view.lexical_scores("vault", rows).tolist(), strict=True))
        found = dict(zip(ranking.rows.tolist(), ranking.scores.tolist(), strict=True))
        assert scores == {row: found.get(row, 0.0) for row in rows.tolist()}
        best = view.lexical("vault", 2)
        assert best.rows.tolist() == ranking.rows.tolist()[:2]
        # A text other than the one the view was made for is searched as well.
        assert (await view.hits(view.lexical("gauges", 1), 1))[0].document.uri.startswith("more-")
        assert len(view.lexical("zebra", 5).rows) == 1, "its own bucket has none, the other one has"
        assert len(view.lexical("unheard", 5).rows) == 0
        for text in (*QUERIES, "unheard", "salary"):
            assert_ranking(view.lexical(text, 3), 3)
            assert view.lexical_scores(text, rows).dtype == np.float64
            assert view.dense_scores(await _vector(text), rows).dtype == np.float64


async def equal_rows_are_ordered_by_row(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        text = "The vault is closed."
        view = await open_index(store, folder / "index").view(Query(text), BOB)
        for ranking in (view.dense(await _vector(text), 3), view.lexical(text, 3)):
            assert len(set(ranking.scores.tolist())) == 1
            assert ranking.rows.tolist() == sorted(ranking.rows.tolist())
            assert [hit.document.uri for hit in await view.hits(ranking, 3)] == ["twin-a.md", "twin-a.md", "twin-b.md"]


async def hits_say_what_the_ranking_says(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        view = await open_index(store, folder / "index").view(Query("vault"), BOB)
        found = view.lexical("vault", 4)
        ranks = np.array([1, 2, 0, 4], np.int64)
        ranking = Ranking(found.rows, found.scores, {"mine": (found.scores * 2, ranks)})
        hits = await view.hits(ranking, 3)
        assert [hit.rank for hit in hits] == [1, 2, 3]
        assert [hit.row for hit in hits] == found.rows.tolist()[:3]
        assert [hit.score for hit in hits] == found.scores.tolist()[:3]
        assert [hit.found_by["mine"].rank for hit in hits] == [1, 2, None]
        assert [hit.found_by["mine"].score for hit in hits] == (found.scores[:3] * 2).tolist()
        assert await view.hits(ranking, 0) == []


async def a_view_stays_as_it_was_and_the_next_one_follows(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        view = await index.view(Query("vault"), BOB)
        before = (view.size, view.sequence, view.lexical("vault", _ALL).rows.tolist())
        await store.commit([await version("new.md", "A vault of new things."), await version("keys.md", "No more.")])
        assert (view.size, view.sequence, view.lexical("vault", _ALL).rows.tolist()) == before
        after = await index.view(Query("vault"), BOB)
        assert after.sequence == before[1] + 1
        assert after.size == len(await readable(store, BOB))
        uris = {hit.document.uri for hit in await after.hits(after.lexical("vault", _ALL), _ALL)}
        assert "new.md" in uris
        assert "keys.md" not in uris
        past = await index.view(Query("vault", as_of=before[1]), BOB)
        assert (past.size, past.sequence, past.lexical("vault", _ALL).rows.tolist()) == before


async def what_was_deleted_is_out_of_every_view(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        old = await index.view(Query("rotate"), BOB)
        held = old.lexical("rotate", _ALL)
        then = old.sequence
        assert len(held.rows)
        await store.delete(["keys.md"], bucket="handbook", principal=BOB)
        assert await old.hits(held, _ALL) == [], "a view that was made before shows no content of it either"
        await index.refresh()
        for as_of in (None, then):
            view = await index.view(Query("rotate", as_of=as_of), BOB)
            assert view.lexical("rotate", _ALL).rows.tolist() == []
            ranking = view.dense(await _vector("rotate"), _ALL)
            assert set(held.rows.tolist()).isdisjoint(ranking.rows.tolist())


async def filters_and_moments_that_mean_nothing_are_refused(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        english = parse_filter({"language": "en"})
        view = await index.view(Query("pay", filter=english), BOB)
        assert {hit.document.uri for hit in await view.hits(view.dense(await _vector("pay"), _ALL), _ALL)} == {"pay.md"}
        none = await index.view(Query("pay", filter=parse_filter({"unheard": "of"})), BOB)
        assert none.size == 0
        for as_of in (-1, await store.sequence() + 1):
            await raised(ConfigError, index.view(Query("pay", as_of=as_of), BOB))
        await raised(ConfigError, index.view(Query("pay", filter="language"), BOB))  # type: ignore[arg-type]


async def vectors_of_another_embedder_are_refused(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        view = await open_index(store, folder / "index").view(Query("pay"), BOB)
        rows = np.array(sorted(await readable(store, BOB))[:1], np.int64)
        wide = np.ones(EMBEDDER.dimensions + 1, np.float32)
        broken = np.full(EMBEDDER.dimensions, np.nan, np.float32)
        for vector, kind in ((wide, IndexMismatch), (broken, CitewellError)):
            for work in (lambda v=vector: view.dense(v, 3), lambda v=vector: view.dense_scores(v, rows)):
                assert await raised(kind, asyncio.to_thread(work))


async def what_is_hidden_changes_neither_rank_nor_score(open_index: OpenIndex, folder: Path) -> None:
    every = await versions()
    hidden = [one for one in every if not one.source.access.permits(BOB) or one.source.tenant != BOB.tenant]
    shown = [one for one in every if one not in hidden]
    found = []
    # Hidden documents last, so that the rows of the others are the same; then by commits of their own.
    for name, parts in (("none", [shown]), ("behind", [[*shown, *hidden]]), ("after", [shown, hidden])):
        async with opened(folder / name, parts[0]) as store:
            for more in parts[1:]:
                await store.commit(more)
            index = open_index(store, folder / f"{name}-index")
            rankings = []
            for text in QUERIES:
                view = await index.view(Query(text), BOB)
                for ranking in (view.dense(await _vector(text), _ALL), view.lexical(text, _ALL)):
                    rankings.append((ranking.rows.tolist(), ranking.scores.tolist()))
            found.append(rankings)
    assert found[0] == found[1] == found[2]


async def an_index_opened_again_answers_the_same(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        first = open_index(store, folder / "index")
        before = await _everything(first)
        await first.close()
        again = open_index(store, folder / "index")
        assert await _everything(again) == before
        await store.commit([await version("new.md", "A vault of new things.")])
        assert await _everything(again) == await _everything(open_index(store, folder / "another"))
        await again.close()


async def damaged_files_of_an_index_are_made_anew(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        first = open_index(store, folder / "index")
        before = await _everything(first)
        await first.close()
        files = [path for path in (folder / "index").rglob("*") if path.is_file()]
        for damage in (lambda held: held[: len(held) // 2], lambda held: b"\xff" * len(held), lambda held: b""):
            for path in files:
                if path.is_file():
                    path.write_bytes(damage(path.read_bytes()))
            again = open_index(store, folder / "index")
            assert await _everything(again) == before
            await again.close()


async def an_empty_store_has_an_empty_view(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb", []) as store:
        index = open_index(store, folder / "index")
        view = await index.view(Query("vault"), ANN)
        assert (view.size, view.sequence) == (0, 0)
        for ranking in (view.dense(await _vector("vault"), 5), view.lexical("vault", 5)):
            assert_ranking(ranking, 0)
            assert await view.hits(ranking, 5) == []
        await index.close()


async def odd_texts_and_limits_are_no_error(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb") as store:
        index = open_index(store, folder / "index")
        for text in ODD_TEXTS:
            view = await index.view(Query(text), BOB)
            for limit in (-1, 0, 3):
                assert_ranking(view.lexical(text, limit), limit)
                assert_ranking(view.dense(await _vector(text), limit), limit)


async def queries_at_the_same_time_see_whole_commits(open_index: OpenIndex, folder: Path) -> None:
    async with opened(folder / "kb", []) as store:
        index = open_index(store, folder / "index")
        done = False

        async def write() -> None:
            nonlocal done
            for number in range(8):
                await store.commit([await version(f"d{number}.md", "one key\ntwo keys\nthree keys")])
            done = True

        async def read() -> None:
            seen = 0
            while not done:
                view = await index.view(Query("key"), ANN)
                assert view.size % 3 == 0
                assert seen <= view.size == len(view.lexical("key", _ALL).rows)
                seen = view.size
                await asyncio.sleep(0)

        await asyncio.gather(write(), *(read() for _ in range(3)))
        assert (await index.view(Query("key"), ANN)).size == 24


async def _everything(index: Index) -> list[object]:
    found: list[object] = []
    for principal in (ANN, BOB, EVE):
        for text in QUERIES:
            view = await index.view(Query(text), principal)
            for ranking in (view.dense(await _vector(text), _ALL), view.lexical(text, _ALL)):
                found.append((view.size, view.sequence, ranking.rows.tolist(), ranking.scores.tolist()))
    return found


async def _vector(text: str) -> Vectors:
    found: Vectors = (await EMBEDDER.embed([text], role="query"))[0]
    return found


def _unreachable(work: Callable[[], object]) -> None:
    try:
        found = work()
    except CitewellError:
        return
    raise AssertionError(f"a row outside of the view was scored: {found}")


async def _hits_of(view: View, rows: np.ndarray[tuple[int], np.dtype[np.int64]], row: int) -> bool:
    """Whether `view` shows `row` as a hit when it is told that it was found."""
    try:
        return row in {hit.row for hit in await view.hits(Ranking(rows, np.zeros(len(rows))), _ALL)}
    except CitewellError:
        return False


CASES: tuple[Callable[[OpenIndex, Path], Awaitable[None]], ...] = (
    a_view_shows_what_its_principal_may_read,
    no_method_of_a_view_reaches_a_hidden_row,
    dense_search_is_exact,
    lexical_search_finds_the_rows_that_hold_a_term,
    equal_rows_are_ordered_by_row,
    hits_say_what_the_ranking_says,
    a_view_stays_as_it_was_and_the_next_one_follows,
    what_was_deleted_is_out_of_every_view,
    filters_and_moments_that_mean_nothing_are_refused,
    vectors_of_another_embedder_are_refused,
    what_is_hidden_changes_neither_rank_nor_score,
    an_index_opened_again_answers_the_same,
    damaged_files_of_an_index_are_made_anew,
    an_empty_store_has_an_empty_view,
    odd_texts_and_limits_are_no_error,
    queries_at_the_same_time_see_whole_commits,
)
"""All cases."""
