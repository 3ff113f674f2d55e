"""The index over the real store: commits, replacements, deletes, another process's writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from ledger import DIMENSIONS, vector_of

from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.protocols import NewVersion
from citewell.storage.sqlite import SqliteStore
from citewell.types import Access, Block, BlockKind, Document, Node, Principal, Query, Source, Span, node_id

ANALYZER = Analyzer()
IDENTITY = {"embedder": "letters@1", "dimensions": str(DIMENSIONS), "splitter": "none", "analyzer": ANALYZER.identity}
ME = Principal.local()


def version(uri: str, *texts: str, access: Access | None = None) -> NewVersion:
    whole = "\n".join(texts)
    source = Source(uri, whole.encode(), access=access or Access.everyone())
    spans, at = [], 0
    for text in texts:
        spans.append(Span(at, at + len(text)))
        at += len(text) + 1
    blocks = tuple(Block(BlockKind.PARAGRAPH, span) for span in spans)
    document = Document.of(source, reader="r@1", media_type="text/plain", title=uri, text=whole, blocks=blocks)
    nodes = tuple(
        Node(node_id(document.id, "none", span.start, span.end), document.id, span, span.of(whole)) for span in spans
    )
    vectors = np.array([vector_of(text) for text in texts], np.float32)
    return NewVersion(
        source, document, nodes, vectors, tuple(ANALYZER.terms(text) for text in texts), {}, document.sha256
    )


async def titles(index: Index, text: str, **query: object) -> list[tuple[str, int]]:
    view = await index.view(Query(text, **query), ME)  # type: ignore[arg-type]
    hits = await view.hits(view.lexical(text, 10), 10)
    dense = await view.hits(view.dense(vector_of(text), 10), 10)
    assert len(dense) == view.size
    assert all(hit.node.text for hit in hits)
    return [(hit.document.uri, hit.document.version) for hit in hits]


def test_the_index_follows_the_store(tmp_path: Path):
    async def run() -> None:
        async with await SqliteStore.open(tmp_path) as store, await SqliteStore.open(tmp_path) as elsewhere:
            await store.bind(IDENTITY)
            index = Index(store, ANALYZER, tmp_path / "index")
            assert await titles(index, "vault") == []
            await store.commit([version("a", "rotate the vault", "pay"), version("b", "holiday pay")])
            (first,) = await elsewhere.commit([version("secret", "vault vault", access=Access())])
            assert await titles(index, "vault") == [("a", 1)]
            await elsewhere.commit([version("a", "the vault is gone", "and so is the pay")])
            assert await titles(index, "vault") == [("a", 2)]
            assert await titles(index, "rotate") == []
            assert await titles(index, "rotate", as_of=first.sequence) == [("a", 1)]
            await store.delete(["a"], bucket="default", principal=ME)
            assert await titles(index, "vault") == []
            assert await titles(index, "rotate", as_of=first.sequence) == []
            assert await titles(index, "pay") == [("b", 1)]
            await index.close()
            again = Index(store, ANALYZER, tmp_path / "index")
            assert await titles(again, "pay") == [("b", 1)]
            await store.commit([version("c", "pay day")])
            assert await titles(again, "pay") == await titles(Index(store, ANALYZER), "pay") != []

    asyncio.run(run())


def test_views_during_commits_show_whole_commits_only(tmp_path: Path):
    async def run() -> None:
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            index = Index(store, ANALYZER)
            done = False

            async def write() -> None:
                nonlocal done
                for at in range(25):
                    await store.commit([version(f"d{at}", "one key", "two keys", "three keys")])
                done = True

            async def read() -> int:
                seen = 0
                while not done:
                    view = await index.view(Query("key"), ME)
                    assert view.size % 3 == 0
                    assert view.size >= seen
                    assert len(view.lexical("key", 100).rows) == view.size
                    seen = view.size
                    await asyncio.sleep(0)
                return seen

            await asyncio.gather(write(), *(read() for _ in range(3)))
            assert (await index.view(Query("key"), ME)).size == 75

    asyncio.run(run())
