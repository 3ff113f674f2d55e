"""Made-up documents, people and keys with which the contract of Store is tried out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from citewell.errors import CitewellError
from citewell.protocols import CatalogueRow, NewVersion, Repeatable, Revision, Store
from citewell.types import (
    Access,
    Block,
    BlockKind,
    Document,
    Metadata,
    Node,
    Principal,
    Source,
    Span,
    node_id,
)

OpenStore: TypeAlias = Callable[[], Awaitable[Store]]

DIMENSIONS = 8
EMBEDDER = "contract@1"
IDENTITY = {"embedder": EMBEDDER, "dimensions": str(DIMENSIONS), "splitter": "lines@1", "analyzer": "words@1"}
ANN = Principal("acme", "ann", frozenset({"hr"}))
BOB = Principal("acme", "bob")
EVE = Principal("other", "ann", frozenset({"hr"}))
HR_ONLY = Access(frozenset({"group:hr"}))


def version(
    uri: str,
    text: str,
    *,
    bucket: str = "b",
    tenant: str = "acme",
    access: Access | None = None,
    metadata: Metadata | None = None,
    derived: Sequence[str] = (),
) -> NewVersion:
    """A version with one node a line of `text` and one derived node for each of `derived`; vectors follow the text."""
    source = Source(
        uri,
        text.encode("utf-8", "surrogatepass"),
        tenant,
        bucket,
        "text/plain",
        access or Access.everyone(),
        metadata or {},
    )
    spans = []
    start = 0
    for line in text.split("\n"):
        if line:
            spans.append(Span(start, start + len(line)))
        start += len(line) + 1
    blocks = tuple(Block(BlockKind.PARAGRAPH, span, heading_path=("Top", "Sub")) for span in spans)
    document = Document.of(
        source, reader="text@1", media_type="text/plain", title=f"Title of {uri}", text=text, blocks=blocks
    )
    nodes = [
        Node(
            id=node_id(document.id, "lines@1", span.start, span.end),
            document_id=document.id,
            span=span,
            text=span.of(text),
            context=f"Title of {uri}",
            heading_path=("Top", "Sub"),
            page=number,
            tokens=len(span),
        )
        for number, span in enumerate(spans, 1)
    ]
    nodes += [
        Node(
            id=node_id(document.id, "lines@1", 0, len(text), f"derived{number}"),
            document_id=document.id,
            span=Span(0, len(text)),
            text=words,
            derived=True,
        )
        for number, words in enumerate(derived)
    ]
    return NewVersion(
        source=source,
        document=document,
        nodes=tuple(nodes),
        vectors=np.array([vector(node.indexed_text) for node in nodes], np.float32).reshape(len(nodes), DIMENSIONS),
        terms=tuple(Counter(node.indexed_text.lower().split()) for node in nodes),
        metadata=metadata or {},
        fingerprint=document.sha256,
    )


def repeating(new: NewVersion, digests: Sequence[int], repeated: Sequence[int] = ()) -> NewVersion:
    """`new` with `digests` for the texts of its first blocks, of which `repeated` count as repeated."""
    sizes = [len(block.span) for block in new.document.blocks]
    held = Repeatable(
        digests=np.array(digests, np.uint64),
        blocks=np.arange(len(digests)),
        sizes=np.array(sizes[: len(digests)], np.int64),
        total=sum(sizes),
        repeated=np.array(sorted(repeated), np.uint64),
        flagged=len(repeated),
    )
    return replace(new, repeatable=held)


def flagged(held: Revision, repeated: Sequence[int]) -> Revision:
    """What becomes of a stored document when its texts with the digests `repeated` are flagged and make no nodes."""
    assert held.version is not None
    document = held.version.document
    marks = dict(zip(held.repeatable.blocks.tolist(), held.repeatable.digests.tolist(), strict=True))
    blocks = tuple(
        replace(block, boilerplate=marks.get(number) in repeated) for number, block in enumerate(document.blocks)
    )
    plain = version(document.uri, document.text, bucket=held.version.source.bucket)
    kept = [n for n, block in enumerate(blocks) if not block.boilerplate]
    made = replace(
        held.version,
        document=replace(document, blocks=blocks),
        nodes=tuple(plain.nodes[n] for n in kept),
        vectors=plain.vectors[kept],
        terms=tuple(plain.terms[n] for n in kept),
    )
    made = repeating(made, held.repeatable.digests.tolist(), repeated)
    assert made.repeatable is not None
    return Revision(held.key, made.repeatable, made)


def vector(text: str) -> list[float]:
    """Eight float32 values that follow from `text` alone."""
    raw = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return [float(value) for value in np.frombuffer(raw, dtype="<u4").astype(np.float32) / np.float32(2**32)]


async def bound(open_store: OpenStore) -> Store:
    """An open store, bound to `IDENTITY`."""
    store = await open_store()
    await store.bind(IDENTITY)
    return store


async def raised(kind: type[CitewellError], work: Awaitable[object]) -> str:
    """The message of the error of this kind that `work` has to raise."""
    try:
        await work
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was not raised")


def current(catalogue: Iterable[CatalogueRow], sequence: int) -> dict[str, str]:
    """Document ids by uri as they answer at `sequence`."""
    return {
        row.ref.uri: row.ref.id
        for row in catalogue
        if row.valid_from <= sequence and (row.valid_to is None or sequence < row.valid_to)
    }
