"""Runs and their journals in a store: part of the contract of `Store`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from citewell.errors import NotFound, StoreError
from citewell.testing.store_samples import (
    ANN,
    BOB,
    EVE,
    OpenStore,
    bound,
    raised,
)


async def a_journal_is_kept_in_order_and_sealed(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.start_run("run-1", "answer", ANN, "a question")
    entries = [{"kind": "Retrieved", "scores": [0.5, 1.0], "n": number} for number in range(3)]
    await store.append_events("run-1", entries[:2])
    await store.append_events("run-1", entries[2:])
    await store.append_events("run-1", [])
    await store.end_run("run-1", "done", "an answer")
    await store.close()
    store = await open_store()
    record, journal = await store.run("run-1", ANN)
    assert (record.run_id, record.flow, record.principal) == ("run-1", "answer", ANN)
    assert (record.status, record.summary) == ("done", "an answer")
    assert record.ended_at is not None
    assert record.started_at <= record.ended_at
    assert [{key: value for key, value in entry.items() if key != "chain"} for entry in journal] == entries
    links = [entry["chain"] for entry in journal]
    assert all(isinstance(link, dict) for link in links)
    assert [link["seq"] for link in links if isinstance(link, dict)] == [1, 2, 3]
    await store.close()


async def a_run_begins_and_ends_together_with_its_entries(open_store: OpenStore) -> None:
    store = await bound(open_store)
    bad: dict[str, object] = {"x": object()}
    await raised(StoreError, store.start_run("r", "answer", ANN, "s", [{"n": 1}, bad]))
    await raised(NotFound, store.run("r", ANN))
    await store.start_run("r", "answer", ANN, "s", [{"n": 1}, {"n": 2}])
    await raised(StoreError, store.start_run("r", "answer", ANN, "again", [{"n": 9}]))
    await raised(StoreError, store.end_run("r", "done", "t", [{"n": 3}, bad]))
    record, journal = await store.run("r", ANN)
    assert (record.status, record.ended_at) == ("running", None)
    assert [entry["n"] for entry in journal] == [1, 2]
    await store.end_run("r", "done", "t", [{"n": 3}])
    record, journal = await store.run("r", ANN)
    assert (record.status, record.summary) == ("done", "t")
    assert [entry["n"] for entry in journal] == [1, 2, 3]
    await store.close()


async def a_run_is_found_by_a_prefix_and_only_by_its_owner(open_store: OpenStore) -> None:
    store = await bound(open_store)
    for run_id in ("abc", "abcd", "abxy", "q%"):
        await store.start_run(run_id, "answer", ANN, "s")
    await store.start_run("abzz", "answer", BOB, "s")
    assert (await store.run("abx", ANN))[0].run_id == "abxy"
    assert (await store.run("abc", ANN))[0].run_id == "abc"
    assert (await store.run("q%", ANN))[0].run_id == "q%"
    assert (await store.run("abz", BOB))[0].run_id == "abzz"
    assert "More than one" in await raised(NotFound, store.run("ab", ANN))
    hidden = await raised(NotFound, store.run("abzz", ANN))
    absent = await raised(NotFound, store.run("nono", ANN))
    assert hidden.replace("abzz", "ID") == absent.replace("nono", "ID")
    for run_id, principal in (("", ANN), ("%", ANN), ("ABX", ANN), ("abc", EVE), ("abc", BOB)):
        await raised(NotFound, store.run(run_id, principal))
    assert [record.run_id for record in await store.runs(ANN, 3)] == ["q%", "abxy", "abcd"]
    assert [record.run_id for record in await store.runs(BOB, 3)] == ["abzz"]
    assert await store.runs(EVE, 3) == []
    await store.close()


async def entries_that_cannot_be_kept_are_refused_whole(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.start_run("r", "answer", ANN, "s")
    refused: list[dict[str, object]] = [{"x": float("nan")}, {"x": object()}, {"chain": {}}]
    for bad in refused:
        await raised(StoreError, store.append_events("r", [{"fine": 1}, bad]))
    await raised(StoreError, store.append_events("unknown", [{"fine": 1}]))
    await raised(StoreError, store.end_run("unknown", "done", ""))
    await raised(StoreError, store.start_run("r", "answer", BOB, "again"))
    assert (await store.run("r", ANN))[1] == []
    await store.close()


CASES: tuple[Callable[[OpenStore], Awaitable[None]], ...] = (
    a_journal_is_kept_in_order_and_sealed,
    a_run_begins_and_ends_together_with_its_entries,
    a_run_is_found_by_a_prefix_and_only_by_its_owner,
    entries_that_cannot_be_kept_are_refused_whole,
)
