"""Who may read what of a store, and what tells nobody apart: part of the contract of `Store`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from citewell.errors import NotFound
from citewell.testing.store_samples import (
    ANN,
    BOB,
    EVE,
    HR_ONLY,
    OpenStore,
    bound,
    raised,
    version,
)
from citewell.types import (
    Access,
)


async def hidden_and_absent_are_told_apart_by_nobody(open_store: OpenStore) -> None:
    store = await bound(open_store)
    (done,) = await store.commit([version("a", "for hr", access=HR_ONLY)])
    assert (await store.document(done.document.id, ANN))[1] == "for hr"
    assert [state.uri for state in await store.sources(ANN)] == ["a"]
    for stranger in (BOB, EVE):
        hidden = await raised(NotFound, store.document(done.document.id, stranger))
        absent = await raised(NotFound, store.document("0" * 32, stranger))
        assert hidden.replace(done.document.id, "ID") == absent.replace("0" * 32, "ID")
        assert await store.sources(stranger) == []
        assert await store.sources(stranger, "b") == []
        assert await store.delete(["a"], bucket="b", principal=stranger) == []
    assert await store.sequence() == 1
    assert (await store.document(done.document.id, ANN))[1] == "for hr"
    await store.close()


async def deny_wins_and_an_empty_rule_permits_nobody(open_store: OpenStore) -> None:
    store = await bound(open_store)
    denied = Access(frozenset({"everyone"}), frozenset({"user:ann"}))
    done = await store.commit([version("a", "not for ann", access=denied), version("n", "nobody", access=Access())])
    assert (await store.document(done[0].document.id, BOB))[1] == "not for ann"
    await raised(NotFound, store.document(done[0].document.id, ANN))
    for principal in (ANN, BOB):
        await raised(NotFound, store.document(done[1].document.id, principal))
    assert [state.uri for state in await store.sources(BOB)] == ["a"]
    await store.close()


async def what_was_taken_away_cannot_be_read_as_of_before(open_store: OpenStore) -> None:
    store = await bound(open_store)
    (old,) = await store.commit([version("a", "open once")])
    await store.commit([version("a", "closed now", access=HR_ONLY)])
    await raised(NotFound, store.document(old.document.id, BOB))
    assert (await store.document(old.document.id, ANN))[1] == "open once"
    for row in await store.catalogue():
        assert row.access.permits(ANN)
        assert not row.access.permits(BOB)
    assert await store.sources(BOB) == []
    await store.close()


async def a_wider_rule_does_not_open_what_was_closed_before(open_store: OpenStore) -> None:
    store = await bound(open_store)
    (draft,) = await store.commit([version("a", "the draft", access=HR_ONLY)])
    (published,) = await store.commit([version("a", "published")])
    await raised(NotFound, store.document(draft.document.id, BOB))
    assert (await store.document(published.document.id, BOB))[1] == "published"
    permitted = [row.access.permits(BOB) for row in await store.catalogue()]
    assert permitted == [False, True]
    await store.close()


async def tenants_do_not_see_each_other(open_store: OpenStore) -> None:
    store = await bound(open_store)
    ours, theirs = version("a", "ours"), version("a", "theirs", tenant="other")
    await store.commit([ours, theirs])
    assert [state.document.id for state in await store.sources(ANN) if state.document] == [ours.document.id]
    assert [state.document.id for state in await store.sources(EVE) if state.document] == [theirs.document.id]
    await store.delete(["a"], bucket="b", principal=EVE)
    assert (await store.document(ours.document.id, ANN))[1] == "ours"
    assert (await store.source_states("other", "b", ["a"]))["a"].state == "deleted"
    assert (await store.source_states("acme", "b", ["a"]))["a"].state == "active"
    await store.close()


async def sources_are_listed_by_bucket_and_uri(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version(uri, "x", bucket=bucket) for bucket in ("q", "p") for uri in ("b", "a")])
    listed = [(state.bucket, state.uri) for state in await store.sources(ANN)]
    assert listed == [("p", "a"), ("p", "b"), ("q", "a"), ("q", "b")]
    assert [state.uri for state in await store.sources(ANN, "q")] == ["a", "b"]
    assert await store.sources(ANN, "unknown") == []
    await store.close()


CASES: tuple[Callable[[OpenStore], Awaitable[None]], ...] = (
    hidden_and_absent_are_told_apart_by_nobody,
    deny_wins_and_an_empty_rule_permits_nobody,
    what_was_taken_away_cannot_be_read_as_of_before,
    a_wider_rule_does_not_open_what_was_closed_before,
    tenants_do_not_see_each_other,
    sources_are_listed_by_bucket_and_uri,
)
