"""What a store keeps of a document beside its text and passages: part of the contract of `Store`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np

from citewell.errors import NotFound
from citewell.protocols import NewVersion
from citewell.testing.store_samples import (
    ANN,
    BOB,
    DIMENSIONS,
    EVE,
    HR_ONLY,
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
    Place,
    Reason,
    Region,
    Source,
    Span,
    Tally,
    TextLine,
    content_hash,
)


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


CASES: tuple[Callable[[OpenStore], Awaitable[None]], ...] = (
    blocks_keep_all_that_is_known_of_them,
    images_and_the_account_are_kept_with_the_document,
    descriptions_are_found_by_image_and_describer_and_go_with_the_image,
    what_is_inside_a_source_goes_with_it,
    what_may_repeat_is_kept_by_cohort,
    a_cohort_is_judged_until_it_is_touched,
    other_flags_are_no_new_version,
    long_and_odd_texts_are_kept_to_the_letter,
)
