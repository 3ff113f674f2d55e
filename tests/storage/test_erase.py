"""What was deleted is in no byte of the folder any more."""

import asyncio
import random
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from citewell.errors import StoreError
from citewell.protocols import NewVersion
from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, IDENTITY, flagged, repeating, version
from citewell.types import Access, Asset, Span, content_hash


def told(uri, canary):
    """A version that carries its canary in every place that text can take, and as a vector of its own."""
    plain = version(uri, f"{canary} first\nsecond x{canary}y", metadata={"note": canary}, derived=[f"derived {canary}"])
    floats = np.frombuffer(random.Random(canary).randbytes(4 * plain.vectors.size), dtype="<u4") % 2**20
    vectors = (floats.astype(np.float32) / 2**20).reshape(plain.vectors.shape)
    return NewVersion(plain.source, plain.document, plain.nodes, vectors, plain.terms, {"note": canary}, "f")


def raw_bytes(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_deleted_documents_leave_no_trace_in_the_files(tmp_path, seed):
    chance = random.Random(seed)
    canaries = {f"doc{number}": chance.randbytes(16).hex() for number in range(120)}

    async def work():
        store = await SqliteStore.open(tmp_path)
        await store.bind(IDENTITY)
        told_versions = [told(uri, canary) for uri, canary in canaries.items()]
        chance.shuffle(told_versions)
        for start in range(0, len(told_versions), 7):
            await store.commit(told_versions[start : start + 7])
        # New versions, so that older ones have to go as well; and new neighbours after a first deletion.
        await store.commit([version(uri, f"later {canaries[uri]}") for uri in sorted(canaries)[:20]])
        uris = sorted(canaries)
        chance.shuffle(uris)
        gone, kept = uris[:80], uris[80:]
        await store.delete(gone[:40], bucket="b", principal=ANN)
        await store.commit([version(f"new{number}", f"other words {number}") for number in range(20)])
        for uri in gone[40:]:
            await store.delete([uri], bucket="b", principal=ANN)
        open_files = raw_bytes(tmp_path)
        assert await store.check() == []
        await store.close()
        return gone, kept, {item.source.uri: item for item in told_versions}, open_files

    gone, kept, versions, open_files = asyncio.run(work())
    closed_files = raw_bytes(tmp_path)
    for files in (open_files, closed_files):
        for uri in kept:  # the search finds what is there
            assert files.count(canaries[uri].encode()) >= 5
            assert all(vector.tobytes() in files for vector in versions[uri].vectors)
        for uri in gone:
            assert canaries[uri].encode() not in files, f"{uri}: text"
            assert canaries[uri][:12].encode() not in files, f"{uri}: part of the text"
            for vector in versions[uri].vectors:
                assert vector.tobytes() not in files, f"{uri}: vector"


def test_images_and_parts_leave_no_trace_either(tmp_path):
    chance = random.Random(3)
    canaries = {f"doc{number}": chance.randbytes(40) for number in range(60)}

    def shown(uri):
        asset = Asset(content_hash(canaries[uri]), "image/png", canaries[uri], Span(0, 0), alt=uri * 3)
        plain = version(uri, f"text of {uri}")
        return replace(plain, document=replace(plain.document, assets=(asset,)), parts=frozenset())

    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            for uri in sorted(canaries):
                inner = replace(shown(uri), parts=None)
                part = version(f"{uri}!/part", f"inner {canaries[uri].hex()}")
                await store.commit([inner, part])
            gone, changed = sorted(canaries)[:20], sorted(canaries)[20:40]
            await store.delete(gone, bucket="b", principal=ANN)
            await store.commit([shown(uri) for uri in changed])
            assert await store.check() == []
        return gone, changed

    gone, changed = asyncio.run(work())
    files = raw_bytes(tmp_path)
    for uri, canary in canaries.items():
        assert (canary in files) == (uri not in gone), uri
        assert (canary.hex().encode() in files) == (uri not in gone and uri not in changed), uri


def test_digests_of_deleted_texts_are_gone_too(tmp_path):
    chance = random.Random(4)
    digests = {f"doc{number}": [chance.getrandbits(64) for _ in range(6)] for number in range(60)}

    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            made = {uri: version(uri, "\n".join(f"{uri} line {n}" for n in range(6))) for uri in digests}
            await store.commit([repeating(made[uri], held, held[:2]) for uri, held in digests.items()])
            keys = [row.key for row in await store.catalogue()]
            cohort = await store.cohort("acme", "b", Access.everyone())
            made = [flagged(one, digests[one.version.source.uri][:3]) for one in await store.revisable(keys)]
            assert len(await store.revise(cohort, made)) == len(keys)
            gone, changed = sorted(digests)[:20], sorted(digests)[20:40]
            await store.commit([version(uri, "another text") for uri in changed])
            await store.delete(gone, bucket="b", principal=ANN)
            assert await store.check() == []
            return {*gone, *changed}

    gone = asyncio.run(work())
    files = raw_bytes(tmp_path)
    for uri, held in digests.items():
        there = [one for one in held if one.to_bytes(8, "little") in files]
        assert there == ([] if uri in gone else held)


def test_words_that_moved_between_pages_are_gone_too(tmp_path):
    # Small rows in random order: SQLite moves them about, and leaves copies that overwriting on deletion misses.
    chance = random.Random(2)
    words = {f"u{number}": [chance.randbytes(7).hex() for _ in range(8)] for number in range(900)}
    uris = sorted(words, key=lambda _: chance.random())
    gone, kept = uris[:600], uris[600:]

    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            for start in range(0, len(uris), 50):
                await store.commit([version(uri, " ".join(words[uri])) for uri in sorted(uris)[start : start + 50]])
            for start in range(0, len(gone), 100):
                await store.delete(gone[start : start + 100], bucket="b", principal=ANN)
            assert not await store.unswept()
            assert await store.check() == []

    asyncio.run(work())
    files = raw_bytes(tmp_path)
    assert all(word.encode() in files for uri in kept for word in words[uri])
    assert [word for uri in gone for word in words[uri] if word.encode() in files] == []


def test_a_sweep_that_cannot_be_done_is_said_and_done_later(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            await store.commit([version("a", "one"), version("b", "two")])
            other = sqlite3.connect(store.path, isolation_level=None)
            other.execute("BEGIN")
            other.execute("SELECT * FROM nodes").fetchall()
            await store.delete(["a"], bucket="b", principal=ANN)
            with pytest.raises(StoreError, match="Sweep again later"):
                await store.sweep()
            assert [row.ref.uri for row in await store.catalogue()] == ["b"]
            other.execute("COMMIT")
            other.close()
            await store.sweep()
            assert not await store.unswept()

    asyncio.run(work())
