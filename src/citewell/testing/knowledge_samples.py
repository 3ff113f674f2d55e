"""A small made-up knowledge base in a real store, with people who may see different parts of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from citewell.indexing.analysis import Analyzer
from citewell.models.hashing import HashEmbedder
from citewell.protocols import NewVersion, Ranking, Store
from citewell.storage import SqliteStore
from citewell.types import Access, Block, BlockKind, Document, Metadata, Node, Principal, Source, Span, node_id

EMBEDDER = HashEmbedder(64)
ANALYZER = Analyzer()
IDENTITY = {
    "embedder": EMBEDDER.identity,
    "dimensions": str(EMBEDDER.dimensions),
    "splitter": "lines@1",
    "analyzer": ANALYZER.identity,
}
ANN = Principal("acme", "ann", frozenset({"hr"}))
BOB = Principal("acme", "bob")
EVE = Principal("other", "eve")
NOBODY = Principal("empty", "nobody")
HR_ONLY = Access(frozenset({"group:hr"}))

QUERIES = (
    "rotate the vault key",
    "holiday pay in Europe",
    "salary",
    "vault",
    "what is not there: zebra",
    "pay pay key",
)


async def version(
    uri: str,
    text: str,
    *,
    bucket: str = "handbook",
    tenant: str = "acme",
    access: Access | None = None,
    metadata: Metadata | None = None,
) -> NewVersion:
    """A version with one node a line of `text`, its vectors by EMBEDDER and its terms by ANALYZER."""
    source = Source(uri, text.encode(), tenant, bucket, access=access or Access.everyone(), metadata=metadata or {})
    spans, at = [], 0
    for line in text.split("\n"):
        spans.append(Span(at, at + len(line)))
        at += len(line) + 1
    blocks = tuple(Block(BlockKind.PARAGRAPH, span) for span in spans)
    document = Document.of(source, reader="made@1", media_type="text/plain", title=uri, text=text, blocks=blocks)
    nodes = tuple(
        Node(node_id(document.id, "lines@1", span.start, span.end), document.id, span, span.of(text)) for span in spans
    )
    vectors = await EMBEDDER.embed([node.indexed_text for node in nodes], role="passage")
    terms = tuple(ANALYZER.terms(node.indexed_text) for node in nodes)
    return NewVersion(source, document, nodes, vectors, terms, metadata or {}, document.sha256)


async def versions() -> list[NewVersion]:
    """What the knowledge base holds; ties (twins), two buckets, another tenant, and documents for one group only."""
    made = [
        version(
            "keys.md", "Rotate the vault key every ninety days.\nThe vault key is kept in Ghent.\nA key opens a door."
        ),
        version(
            "pay.md", "Holiday pay in Europe is twelve weeks.\nPay day is the last day.", metadata={"language": "en"}
        ),
        version("twin-a.md", "The vault is closed.\nThe vault is closed."),
        version("twin-b.md", "The vault is closed.\nNothing to see."),
        version("secret.md", "The salary of the vault keeper: zebra.\nRotate the salary key.", access=HR_ONLY),
        version("secret-too.md", "Holiday pay of the board in Europe.\nsalary salary salary", access=HR_ONLY),
        version("other.md", "Pay for the key of the vault.\nzebra", bucket="other"),
        version("ours.md", "Rotate the vault key: ours alone.\nsalary", tenant="other"),
        *(
            version(f"more-{number}.md", f"Note {number} on gauges.\nKept in Porto, room {number}.")
            for number in range(9)
        ),
    ]
    return [await one for one in made]


@asynccontextmanager
async def opened(folder: Path, held: Sequence[NewVersion] | None = None) -> AsyncIterator[Store]:
    """A store in `folder` that holds these versions, by default all of the knowledge base."""
    store = await SqliteStore.open(folder)
    try:
        await store.bind(IDENTITY)
        await store.commit(await versions() if held is None else held)
        yield store
    finally:
        await store.close()


async def readable(store: Store, principal: Principal, buckets: Sequence[str] = ()) -> dict[int, str]:
    """The rows that `principal` may see now, and their uris: by the rules of the types, one row after the other."""
    now = await store.sequence()
    keys = {
        row.key: row.ref.uri
        for row in await store.catalogue()
        if row.tenant == principal.tenant
        and row.access.permits(principal)
        and row.valid_from <= now
        and (row.valid_to is None or now < row.valid_to)
        and (not buckets or row.bucket in buckets)
    }
    batch = await store.rows(0, 100_000)
    pairs = zip(batch.rows.tolist(), batch.document_keys.tolist(), strict=True)
    return {row: keys[key] for row, key in pairs if key in keys}


def assert_ranking(ranking: Ranking, limit: int) -> None:
    """That `ranking` keeps the laws of `Ranking`: best first, ties by ascending row, at most `limit`, each row once."""
    rows, scores = ranking.rows, ranking.scores
    assert rows.dtype == np.int64
    assert scores.dtype == np.float64
    assert rows.shape == scores.shape == (len(rows),)
    assert len(rows) <= max(0, limit)
    assert len(set(rows.tolist())) == len(rows)
    assert np.isfinite(scores).all()
    order = list(zip((-scores).tolist(), rows.tolist(), strict=True))
    assert order == sorted(order), "best first, ties by ascending row"
    for name, (seen, ranks) in ranking.parts.items():
        assert name
        assert seen.shape == ranks.shape == rows.shape
        assert ranks.dtype == np.int64
        assert (ranks >= 0).all()
