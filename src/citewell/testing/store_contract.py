"""The contract of `Store` as a test suite: every implementation runs `CASES`, and so can a store of your own.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_store_keeps_the_contract(case, tmp_path):
        asyncio.run(case(lambda: MyStore.open(tmp_path)))

Each case gets a function that opens the same, at first empty store; it is called anew after a close.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np

from citewell.errors import IndexMismatch, NotFound, StoreError
from citewell.protocols import NewVersion, vector_key
from citewell.testing import store_contract_access, store_contract_contents, store_contract_runs
from citewell.testing.store_samples import (
    ANN,
    DIMENSIONS,
    EMBEDDER,
    IDENTITY,
    OpenStore,
    bound,
    current,
    raised,
    version,
)
from citewell.types import (
    Node,
    Source,
    Span,
)


async def a_commit_can_be_read_back_whole(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = version(
        "a", "first line\nsecond line", metadata={"n": 1, "x": 0.5, "ok": True, "tags": ("p", "q"), "no": None}
    )
    (done,) = await store.commit([new])
    assert done.sequence == await store.sequence() == 1
    assert done.replaced is None
    assert done.document.version == 1
    assert (done.document.uri, done.document.bucket, done.document.id) == ("a", "b", new.document.id)
    await store.close()
    store = await open_store()
    ref, text, blocks = await store.document(new.document.id, ANN)
    assert ref == done.document
    assert dict(ref.metadata) == {"n": 1, "x": 0.5, "ok": True, "tags": ("p", "q"), "no": None}
    assert type(ref.metadata["ok"]) is bool
    assert text == new.document.text
    assert blocks == new.document.blocks
    batch = await store.rows(0, 100)
    held = await store.nodes(batch.rows.tolist())
    assert [held[row] for row in batch.rows.tolist()] == [(node, ref) for node in new.nodes]
    (row,) = await store.catalogue()
    assert (row.tenant, row.bucket, row.access, row.ref) == ("acme", "b", new.source.access, ref)
    assert (row.valid_from, row.valid_to) == (1, None)
    await store.close()


async def rows_carry_what_an_index_needs(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = [version("a", "one two two\nthree", derived=["in other words"]), version("b", "four one")]
    await store.commit(new)
    nodes = [node for item in new for node in item.nodes]
    batch = await store.rows(0, 100)
    assert (np.diff(batch.rows) > 0).all()
    assert batch.vectors.dtype == np.float32
    assert np.array_equal(batch.vectors, np.concatenate([item.vectors for item in new]))
    assert batch.lengths.tolist() == [sum(counts.values()) for item in new for counts in item.terms]
    assert batch.pages.tolist() == [node.page or 0 for node in nodes]
    assert list(batch.kinds) == [node.kind.value for node in nodes]
    assert list(batch.sections) == [" > ".join(node.heading_path) for node in nodes]
    keys = {row.ref.uri: row.key for row in await store.catalogue()}
    assert batch.document_keys.tolist() == [keys["a"]] * 3 + [keys["b"]]
    terms = sorted({term for item in new for counts in item.terms for term in counts})
    ids = await store.term_ids([*terms, "unheard"])
    assert sorted(ids) == terms
    names = {number: term for term, number in ids.items()}
    found: dict[int, dict[str, int]] = {}
    postings = zip(
        batch.posting_rows.tolist(), batch.posting_terms.tolist(), batch.posting_counts.tolist(), strict=True
    )
    for row, term, count in postings:
        found.setdefault(row, {})[names[term]] = count
    assert [found[row] for row in batch.rows.tolist()] == [counts for item in new for counts in item.terms]
    await store.close()


async def rows_come_in_parts_and_end(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version(f"u{number}", f"text {number}\nmore {number}") for number in range(5)])
    whole = await store.rows(0, 1000)
    parts: list[int] = []
    after = 0
    while len((batch := await store.rows(after, 3)).rows):
        assert batch.vectors.shape == (len(batch.rows), DIMENSIONS)
        parts += batch.rows.tolist()
        after = parts[-1]
    assert parts == whole.rows.tolist()
    assert len(parts) == 10
    assert (await store.rows(0, 0)).vectors.shape == (0, DIMENSIONS)
    await store.close()


async def the_old_version_answers_as_of_then(open_store: OpenStore) -> None:
    store = await bound(open_store)
    (first,) = await store.commit([version("a", "old words")])
    (second,) = await store.commit([version("a", "new words")])
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.document.version, second.document.version) == (1, 2)
    assert second.replaced == first.document.id
    catalogue = await store.catalogue()
    assert current(catalogue, 0) == {}
    assert current(catalogue, 1) == {"a": first.document.id}
    assert current(catalogue, 2) == {"a": second.document.id}
    assert (await store.document(first.document.id, ANN))[1] == "old words"
    assert len((await store.rows(0, 10)).rows) == 2
    (state,) = await store.sources(ANN)
    assert (state.state, state.document, state.nodes) == ("active", second.document, 1)
    await store.close()


async def going_back_to_an_earlier_text_is_a_new_version(open_store: OpenStore) -> None:
    store = await bound(open_store)
    done = [(await store.commit([version("a", text)]))[0] for text in ("x", "y", "x")]
    assert [item.document.version for item in done] == [1, 2, 3]
    assert done[0].document.id == done[2].document.id
    ref, _, _ = await store.document(done[0].document.id, ANN)
    assert ref.version == 3
    assert len((await store.rows(0, 10)).rows) == 3
    await store.close()


async def several_versions_become_visible_at_one_number(open_store: OpenStore) -> None:
    store = await bound(open_store)
    done = await store.commit([version("a", "x"), version("b", "y"), version("a", "z", bucket="other")])
    assert [item.sequence for item in done] == [1, 1, 1]
    assert [item.document.version for item in done] == [1, 1, 1]
    assert await store.commit([]) == []
    assert await store.sequence() == 1
    await store.close()


async def a_bad_version_takes_its_whole_batch_along(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version("a", "kept")])
    good, other = version("b", "good"), version("c", "bad")
    lying = Node(other.nodes[0].id, other.document.id, Span(0, 2), "not this")
    beyond = Node(other.nodes[0].id, other.document.id, Span(0, 99), "bad")
    no_number = other.vectors.copy()
    no_number[0, 0] = np.nan
    short = NewVersion(other.source, other.document, other.nodes, other.vectors[:0], other.terms, {}, "f")
    bad: list[list[NewVersion]] = [
        [good, good],
        [good, short],
        [good, NewVersion(other.source, other.document, (lying,), other.vectors, other.terms, {}, "f")],
        [good, NewVersion(other.source, other.document, (beyond,), other.vectors, other.terms, {}, "f")],
        [good, NewVersion(other.source, other.document, other.nodes, no_number, other.terms, {}, "f")],
        [good, NewVersion(good.source, other.document, other.nodes, other.vectors, other.terms, {}, "f")],
    ]
    for batch in bad:
        await raised(StoreError, store.commit(batch))
        assert await store.sequence() == 1
        assert [row.ref.uri for row in await store.catalogue()] == ["a"]
        assert len((await store.rows(0, 10)).rows) == 1
        assert [state.uri for state in await store.sources(ANN)] == ["a"]
    await store.close()


async def vectors_of_other_dimensions_are_refused(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = version("a", "x")
    wide = NewVersion(new.source, new.document, new.nodes, np.ones((1, 9), np.float32), new.terms, {}, "f")
    said = await raised(IndexMismatch, store.commit([wide]))
    assert "9" in said
    assert str(DIMENSIONS) in said
    assert EMBEDDER in said
    assert "new folder" in said
    assert await store.sequence() == 0
    await store.close()


async def another_embedder_is_refused_by_both_names(open_store: OpenStore) -> None:
    store = await open_store()
    assert dict(store.identity) == {}
    await raised(StoreError, store.commit([version("a", "x")]))
    await store.bind(IDENTITY)
    await store.bind(IDENTITY)
    await store.close()
    store = await open_store()
    assert dict(store.identity) == IDENTITY
    said = await raised(IndexMismatch, store.bind({**IDENTITY, "embedder": "other@2"}))
    assert EMBEDDER in said
    assert "other@2" in said
    assert "new folder" in said
    assert dict(store.identity) == IDENTITY
    await store.close()


async def a_failure_leaves_the_old_version_answering(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = version("a", "still here")
    (done,) = await store.commit([new])
    marked = (await store.source_states("acme", "b", ["a"]))["a"]
    await store.fail(new.source, "corrupt", "page 3 is damaged")
    (state,) = await store.sources(ANN)
    assert (state.state, state.error_kind, state.error) == ("failed", "corrupt", "page 3 is damaged")
    assert state.document == done.document
    assert state.fingerprint != marked.fingerprint
    assert current(await store.catalogue(), await store.sequence()) == {"a": done.document.id}
    assert await store.sequence() == 1
    await store.commit([new])
    (state,) = await store.sources(ANN)
    assert (state.state, state.error_kind, state.error) == ("active", None, None)
    assert state.fingerprint == marked.fingerprint
    await store.close()


async def a_source_that_never_was_read_is_listed_with_its_reason(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.fail(version("a", "x").source, "encrypted", "needs a password")
    (state,) = await store.sources(ANN)
    assert (state.uri, state.state, state.error_kind, state.document, state.nodes) == (
        "a",
        "failed",
        "encrypted",
        None,
        0,
    )
    assert await store.catalogue() == []
    await store.close()


async def the_fingerprint_of_the_last_commit_is_kept(open_store: OpenStore) -> None:
    store = await bound(open_store)
    for mark in ("first", "second"):
        await store.commit([replace(version("a", "x"), fingerprint=mark)])
        assert (await store.source_states("acme", "b", ["a", "unknown"]))["a"].fingerprint == mark
    await store.close()


async def a_deleted_document_is_gone_by_every_path(open_store: OpenStore) -> None:
    store = await bound(open_store)
    (first,) = await store.commit([version("a", "old secret")])
    (second,) = await store.commit([version("a", "new secret")])
    await store.commit([version("keep", "other")])
    batch = await store.rows(0, 10)
    gone = batch.rows.tolist()[:2]
    (state,) = await store.delete(["a", "a", "unknown"], bucket="b", principal=ANN)
    assert (state.uri, state.state, state.document, state.nodes) == ("a", "deleted", second.document, 1)
    assert await store.sequence() == 4
    assert [row.ref.uri for row in await store.catalogue()] == ["keep"]
    assert (await store.rows(0, 10)).rows.tolist() == batch.rows.tolist()[2:]
    assert await store.nodes(gone) == {}
    for lost in (first, second):
        await raised(NotFound, store.document(lost.document.id, ANN))
    keys = [vector_key(EMBEDDER, "passage", f"Title of a\n{text}") for text in ("old secret", "new secret")]
    assert await store.vectors(keys) == {}
    assert "secret" not in await store.term_ids(["secret", "other"])
    tombstone = (await store.source_states("acme", "b", ["a"]))["a"]
    assert (tombstone.state, tombstone.document, tombstone.nodes, tombstone.fingerprint) == ("deleted", None, 0, "")
    assert await store.delete(["a"], bucket="b", principal=ANN) == []
    assert await store.sequence() == 4
    await store.close()


async def neither_rows_nor_versions_are_used_again(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version("a", "word\nmore")])
    before = await store.rows(0, 10)
    key = (await store.catalogue())[0].key
    term = (await store.term_ids(["word"]))["word"]
    await store.delete(["a"], bucket="b", principal=ANN)
    (again,) = await store.commit([version("a", "word\nmore")])
    after = await store.rows(0, 10)
    assert after.rows.min() > before.rows.max()
    assert (await store.catalogue())[0].key > key
    assert (await store.term_ids(["word"]))["word"] > term
    assert again.document.version == 2
    assert again.replaced is None
    (state,) = await store.sources(ANN)
    assert state.state == "active"
    await store.close()


async def documents_of_equal_text_are_deleted_one_by_one(open_store: OpenStore) -> None:
    store = await bound(open_store)
    one = version("a", "same text")
    # Same title, so that text and context, and with them the vectors, are the same.
    two = version("a", "same text", bucket="other")
    await store.commit([one, two])
    key = vector_key(EMBEDDER, "passage", one.nodes[0].indexed_text)
    await store.delete(["a"], bucket="b", principal=ANN)
    assert key in await store.vectors([key])
    batch = await store.rows(0, 10)
    assert np.array_equal(batch.vectors, two.vectors)
    assert (await store.nodes(batch.rows.tolist()))[int(batch.rows[0])][0].text == "same text"
    assert len(await store.term_ids(["same", "text"])) == 2
    await store.delete(["a"], bucket="other", principal=ANN)
    assert await store.vectors([key]) == {}
    assert await store.term_ids(["same", "text"]) == {}
    await store.close()


async def stored_vectors_are_found_by_content(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = version("a", "x\ny\nx")
    await store.commit([new])
    keys = [vector_key(EMBEDDER, "passage", node.indexed_text) for node in new.nodes]
    found = await store.vectors([*keys, b"\0" * 32])
    assert set(found) == set(keys)
    for key, expected in zip(keys, new.vectors, strict=True):
        assert np.array_equal(found[key], expected)
    assert await store.vectors([]) == {}
    await store.close()


async def a_uri_that_is_no_text_is_refused_with_a_remedy(open_store: OpenStore) -> None:
    store = await bound(open_store)
    broken = version("x", "t").source
    broken = Source("file:///\udcff", broken.content, "acme", "b")
    assert "ercent-encode" in await raised(StoreError, store.fail(broken, "corrupt", "m"))
    assert await store.source_states("acme", "b", ["file:///\udcff"]) == {}
    assert await store.delete(["file:///\udcff"], bucket="b", principal=ANN) == []
    assert await store.sources(ANN) == []
    await store.close()


async def thousands_of_keys_are_looked_up_at_once(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version(f"u{number:04}", f"word{number} shared") for number in range(1200)])
    uris = [f"u{number:04}" for number in range(1500)]
    assert len(await store.source_states("acme", "b", uris)) == 1200
    assert len(await store.term_ids([f"word{number}" for number in range(1300)])) == 1200
    rows = (await store.rows(0, 5000)).rows.tolist()
    assert len(await store.nodes([*rows, 10**9])) == 1200
    assert len(await store.delete(uris, bucket="b", principal=ANN)) == 1200
    assert await store.catalogue() == []
    await store.close()


async def a_second_opening_sees_commits_at_once(open_store: OpenStore) -> None:
    one, two = await bound(open_store), await open_store()
    assert await two.sequence() == 0
    for number in range(1, 4):
        (done,) = await one.commit([version("a", f"text {number}")])
        assert await two.sequence() == done.sequence == number
        assert (await two.document(done.document.id, ANN))[1] == f"text {number}"
    await two.commit([version("b", "from the other")])
    assert await one.sequence() == 4
    await one.commit([version("b", "and back words")])
    await two.delete(["b"], bucket="b", principal=ANN)
    await one.commit([version("c", "and back words")])
    assert len(await one.term_ids(["and", "back", "words"])) == 3
    await one.close()
    await two.close()


async def a_closed_store_says_so(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.close()
    await store.close()
    assert "closed" in await raised(StoreError, store.sequence())
    assert "closed" in await raised(StoreError, store.commit([version("a", "x")]))
    assert "closed" in await raised(StoreError, store.catalogue())


CASES: tuple[Callable[[OpenStore], Awaitable[None]], ...] = (
    a_commit_can_be_read_back_whole,
    rows_carry_what_an_index_needs,
    rows_come_in_parts_and_end,
    the_old_version_answers_as_of_then,
    going_back_to_an_earlier_text_is_a_new_version,
    several_versions_become_visible_at_one_number,
    a_bad_version_takes_its_whole_batch_along,
    vectors_of_other_dimensions_are_refused,
    another_embedder_is_refused_by_both_names,
    a_failure_leaves_the_old_version_answering,
    a_source_that_never_was_read_is_listed_with_its_reason,
    the_fingerprint_of_the_last_commit_is_kept,
    a_deleted_document_is_gone_by_every_path,
    neither_rows_nor_versions_are_used_again,
    documents_of_equal_text_are_deleted_one_by_one,
    stored_vectors_are_found_by_content,
    *store_contract_access.CASES,
    *store_contract_contents.CASES,
    a_uri_that_is_no_text_is_refused_with_a_remedy,
    thousands_of_keys_are_looked_up_at_once,
    a_second_opening_sees_commits_at_once,
    *store_contract_runs.CASES,
    a_closed_store_says_so,
)
"""All cases, in the order of the protocol."""
