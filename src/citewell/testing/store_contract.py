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
from citewell.testing.store_samples import (
    ANN,
    BOB,
    DIMENSIONS,
    EMBEDDER,
    EVE,
    HR_ONLY,
    IDENTITY,
    OpenStore,
    bound,
    current,
    flagged,
    raised,
    repeating,
    version,
)
from citewell.types import (
    Access,
    Account,
    Asset,
    Block,
    BlockKind,
    Cell,
    Document,
    Link,
    Node,
    Place,
    Reason,
    Region,
    Source,
    Span,
    Tally,
    TextLine,
    content_hash,
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


async def blocks_keep_all_that_is_known_of_them(open_store: OpenStore) -> None:
    store = await bound(open_store)
    text = "Head\na | b\n1 | 2\nAsked?\nTold."
    source = Source("a", text.encode(), "acme", "b")
    box = (1.5, 2.0, 30.25, 4.0)
    cells = (
        Cell(0, 0, Span(5, 6), header=True, row_span=2, region=Region(2, box)),
        Cell(1, 1, Span(15, 16), column_span=3, source=Place(9, 12, "rows", "Sheet\udcff1")),
    )
    blocks = (
        Block(BlockKind.HEADING, Span(0, 4), level=2, regions=(Region(1), Region(2, box)), language="de"),
        Block(BlockKind.TABLE, Span(5, 16), heading_path=("Head",), cells=cells, caption=Span(0, 4), confidence=0.5),
        Block(BlockKind.FAQ, Span(17, len(text)), question=Span(17, 23), boilerplate=True, hidden=True),
    )
    blocks = (
        *blocks[:2],
        replace(
            blocks[2],
            source=Place(0, 7),
            links=(Link(Span(17, 18), "https://x\udcff"),),
            asset="f" * 64,
            lines=(TextLine(Span(17, 24), Region(1, box)), TextLine(Span(24, len(text)), Region(2))),
        ),
    )
    document = Document.of(
        source, reader="t@1", media_type="text/plain", title="T", text=text, blocks=blocks, pages=2, warnings=("w",)
    )
    await store.commit([NewVersion(source, document, (), np.empty((0, DIMENSIONS), np.float32), (), {}, "f")])
    assert (await store.document(document.id, ANN))[2] == blocks
    assert document.sha256 == content_hash(source.content)
    await store.close()


async def images_and_the_account_are_kept_with_the_document(open_store: OpenStore) -> None:
    store = await bound(open_store)
    image, other = b"\x89PNG" + bytes(range(256)) * 99, b"GIF"
    region = Region(1, (0.5, 1.0, 2.0, 3.0))
    first = Asset(content_hash(image), "image/png", image, Span(0, 1), (region,), "alt\udcff", "a.png", 30, 40)
    second = Asset(content_hash(other), "image/gif", other, Span(1, 1))
    account = Account.of(Tally(3, 0, 2, 1), {Reason.HIDDEN: Tally(1), Reason.TOO_SMALL: Tally(0, 0, 5, 0)})
    made = [version("a", "x"), version("b", "y"), version("c", "z", access=HR_ONLY)]
    assets = {"a": (first, second), "b": (first,), "c": ()}
    versions = [
        replace(one, document=replace(one.document, assets=assets[one.source.uri], account=account, pages=1))
        for one in made
    ]
    await store.commit(versions)
    await store.close()
    store = await open_store()
    for one in versions:
        held = await store.contents(one.document.id, ANN)
        assert held.assets == one.document.assets
        assert held.account == account
        assert (held.ref.uri, held.pages, held.reader) == (one.source.uri, 1, "text@1")
        assert held.sha256 == one.document.sha256
    await raised(NotFound, store.contents(versions[2].document.id, BOB))
    await raised(NotFound, store.contents(versions[0].document.id, EVE))
    await store.delete(["a"], bucket="b", principal=ANN)
    await raised(NotFound, store.contents(versions[0].document.id, ANN))
    assert (await store.contents(versions[1].document.id, ANN)).assets == (first,)
    await store.close()


async def descriptions_are_found_by_image_and_describer_and_go_with_the_image(open_store: OpenStore) -> None:
    store = await bound(open_store)
    pictures = [
        Asset(content_hash(name), "image/png", name, Span(0, 0), description=said, described_by=by)
        for name, said, by in ((b"told", "A pump.", "seer"), (b"mute", "", "seer"), (b"unasked", "", ""))
    ]
    told, mute, unasked = pictures
    made = [version("a", "x"), version("b", "y")]
    shown = {"a": (told, mute, unasked), "b": (replace(told, description="A motor.", described_by="other"),)}
    await store.commit([replace(one, document=replace(one.document, assets=shown[one.source.uri])) for one in made])
    ids = [one.id for one in pictures]
    assert await store.descriptions([*ids, "f" * 64, ids[0]], "seer") == {told.id: "A pump.", mute.id: ""}
    assert await store.descriptions(ids, "other") == {told.id: "A motor."}
    assert await store.descriptions([], "seer") == {}
    assert (await store.contents(made[0].document.id, ANN)).assets == shown["a"]
    await store.delete(["a"], bucket="b", principal=ANN)
    assert await store.descriptions(ids, "seer") == {}
    assert await store.descriptions(ids, "other") == {told.id: "A motor."}
    await store.close()


async def what_is_inside_a_source_goes_with_it(open_store: OpenStore) -> None:
    store = await bound(open_store)
    inside = ["m!/a", "m!/b", "m!/b!/x", "m!/b!/y", "m!/b!0", "m!0", "m2!/a", "m"]
    await store.commit([version(uri, f"text of {uri}") for uri in inside])
    assert (await store.parts("acme", "b", ["m", "m!/b", "none", "m\udcff"])) == {
        "m": ["m!/a", "m!/b", "m!/b!/x", "m!/b!/y", "m!/b!0"],
        "m!/b": ["m!/b!/x", "m!/b!/y"],
        "none": [],
        "m\udcff": [],
    }
    new = replace(version("m", "another text"), parts=frozenset({"m!/b", "m!/c"}))
    await store.commit([new, version("m!/c", "text of m!/a")])
    assert (await store.parts("acme", "b", ["m"]))["m"] == ["m!/b", "m!/b!/x", "m!/b!/y", "m!/c"]
    assert sorted(current(await store.catalogue(), await store.sequence())) == sorted(
        {"m", "m!/b", "m!/b!/x", "m!/b!/y", "m!/c", "m!0", "m2!/a"}
    )
    removed = await store.delete(["m", "m!/c"], bucket="b", principal=ANN)
    assert sorted(one.uri for one in removed) == ["m", "m!/b", "m!/b!/x", "m!/b!/y", "m!/c"]
    assert sorted(current(await store.catalogue(), await store.sequence())) == ["m!0", "m2!/a"]
    await store.close()


async def what_may_repeat_is_kept_by_cohort(open_store: OpenStore) -> None:
    store = await bound(open_store)
    one = repeating(version("a", "notice\ntext", metadata={"series": "s"}), [5, 2**64 - 1])
    two, closed = repeating(version("b", "notice"), [5]), repeating(version("c", "notice", access=HR_ONLY), [5])
    await store.commit([one, two, closed, version("d", "nobody looked"), version("e", "elsewhere", bucket="q")])
    (cohort, other) = await store.cohorts("acme", "b", "rule")
    assert (cohort.access, other.access) == (Access.everyone(), HR_ONLY)
    assert await store.cohort("acme", "b", HR_ONLY) == other
    assert await store.cohort("other", "b", HR_ONLY) is None
    texts = await store.cohort_texts(cohort.number)
    keys = {row.ref.uri: row.key for row in await store.catalogue()}
    assert texts.keys.tolist() == [keys["a"], keys["b"]]
    assert (list(texts.uris), list(texts.series), texts.totals.tolist()) == (["a", "b"], ["s", ""], [10, 6])
    assert (texts.documents.tolist(), texts.digests.tolist()) == ([0, 0, 1], [5, 2**64 - 1, 5])
    assert texts.unknown == (keys["d"],)
    assert len((await store.cohort_texts(other.number)).digests) == 1
    await store.close()


async def a_cohort_is_judged_until_it_is_touched(open_store: OpenStore) -> None:
    store = await bound(open_store)
    await store.commit([version("a", "x"), version("b", "y")])
    (cohort,) = await store.cohorts("acme", "b", "rule")
    await store.commit([version("a", "z")])
    (now,) = await store.judged([cohort], "rule")
    assert [now] == await store.cohorts("acme", "b", "rule")
    assert now.touched != cohort.touched
    assert await store.judged([now], "rule") == []
    assert await store.cohorts("acme", "b", "rule") == []
    assert len(await store.cohorts("acme", "b", "another rule")) == 1
    await store.delete(["a"], bucket="b", principal=ANN)
    (cohort,) = await store.cohorts("acme", "b", "rule")
    await store.commit([version("b", "y", access=HR_ONLY)])
    assert len(await store.cohorts("acme", "b", "rule")) == 2
    await store.close()
    store = await open_store()
    assert await store.judged(await store.cohorts("acme", "b", "rule"), "rule") == []
    assert await store.cohorts("acme", "b", "another rule") == [await store.cohort("acme", "b", HR_ONLY)]
    await store.close()


async def other_flags_are_no_new_version(open_store: OpenStore) -> None:
    store = await bound(open_store)
    new = repeating(version("a", "notice\ntext"), [5, 6])
    (first,) = await store.commit([new])
    await store.commit([version("b", "other")])
    (cohort,) = await store.cohorts("acme", "b", "rule")
    assert await store.judged([cohort], "rule") == []
    old = (await store.rows(0, 10)).rows.tolist()[:2]
    revisions = []
    for repeated in ([5], [6], []):
        key = max(row.key for row in await store.catalogue() if row.ref.uri == "a")
        (held,) = await store.revisable([key])
        assert held.version is not None
        assert held.version.document.text == "notice\ntext"
        assert held.version.document.id == new.document.id
        assert [block.boilerplate for block in held.version.document.blocks] == [
            digest in held.repeatable.repeated.tolist() for digest in (5, 6)
        ]
        made = flagged(held, repeated)
        before = await store.sequence()
        assert await store.revise(replace(cohort, touched=cohort.touched - 1), [made]) == {}
        assert await store.sequence() == before
        assert await store.revise(cohort, [made]) == {key: "a"}
        assert await store.revise(cohort, [made]) == {}  # it is not current any more
        revisions.append(await store.sequence())
        ref, text, blocks = await store.document(new.document.id, ANN)
        assert (ref, text) == (first.document, "notice\ntext")
        assert [block.boilerplate for block in blocks] == [digest in repeated for digest in (5, 6)]
        assert await store.flagged([cohort.number]) == (bool(repeated), len(repeated))
        (state,) = (one for one in await store.sources(ANN) if one.uri == "a")
        assert (state.document, state.nodes) == (first.document, 2 - len(repeated))
        # Rows that a query ranked before can be fetched after.
        assert len(await store.nodes(old)) == len(old)
        old = [row for row in (await store.rows(0, 100)).rows.tolist() if row > max(old) and row > 3]
    assert revisions == [3, 4, 5]
    assert await store.cohorts("acme", "b", "rule") == []  # its documents are the same
    valid = [(row.valid_from, row.valid_to) for row in await store.catalogue() if row.ref.uri == "a"]
    assert valid == [(1, 5), (5, None)]
    for sequence in range(1, 6):
        assert current(await store.catalogue(), sequence)["a"] == new.document.id
    await store.commit([version("a", "later")])
    assert (await store.source_states("acme", "b", ["a"]))["a"].document != first.document
    await store.delete(["a"], bucket="b", principal=ANN)
    assert [row.ref.uri for row in await store.catalogue()] == ["b"]
    assert "notice" not in await store.term_ids(["notice", "other"])
    await store.close()


async def long_and_odd_texts_are_kept_to_the_letter(open_store: OpenStore) -> None:
    store = await bound(open_store)
    long = "".join(chr(0x4E00 + number % 5000) if number % 7 else "é𝕏" for number in range(30_000))
    texts = {
        "long": f"{long}\nend",
        "nul": "a\0b\nc",
        "surrogate": "x\udcffy\nz",
        "edge": "k" * 4000 + "\n" + "m" * 4001,
    }
    await store.commit([version(uri, text, derived=["in\udc80words"]) for uri, text in texts.items()])
    batch = await store.rows(0, 100)
    seen = set()
    for node, ref in (await store.nodes(batch.rows.tolist())).values():
        seen.add(ref.uri)
        if node.derived:
            assert node.text == "in\udc80words"
        else:
            assert node.text == texts[ref.uri][node.span.start : node.span.end]
        assert (await store.document(ref.id, ANN))[1] == texts[ref.uri]
    assert seen == set(texts)
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
    hidden_and_absent_are_told_apart_by_nobody,
    deny_wins_and_an_empty_rule_permits_nobody,
    what_was_taken_away_cannot_be_read_as_of_before,
    a_wider_rule_does_not_open_what_was_closed_before,
    tenants_do_not_see_each_other,
    sources_are_listed_by_bucket_and_uri,
    blocks_keep_all_that_is_known_of_them,
    images_and_the_account_are_kept_with_the_document,
    descriptions_are_found_by_image_and_describer_and_go_with_the_image,
    what_is_inside_a_source_goes_with_it,
    what_may_repeat_is_kept_by_cohort,
    a_cohort_is_judged_until_it_is_touched,
    other_flags_are_no_new_version,
    long_and_odd_texts_are_kept_to_the_letter,
    a_uri_that_is_no_text_is_refused_with_a_remedy,
    thousands_of_keys_are_looked_up_at_once,
    a_second_opening_sees_commits_at_once,
    a_journal_is_kept_in_order_and_sealed,
    a_run_begins_and_ends_together_with_its_entries,
    a_run_is_found_by_a_prefix_and_only_by_its_owner,
    entries_that_cannot_be_kept_are_refused_whole,
    a_closed_store_says_so,
)
"""All cases, in the order of the protocol."""
