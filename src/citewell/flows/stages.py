"""The parts an ingestion works with, and the stages behind reading: split, analyse, embed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from citewell.protocols import Embedder, Reader, Splitter, Store, Transform, vector_key
from citewell.splitting.figures import DESCRIBED, described_nodes
from citewell.types import Document, Node

if TYPE_CHECKING:
    from citewell.flows.describing import Pictures
    from citewell.protocols import Vectors
    from citewell.splitting.repeats import Repeats


@dataclass(frozen=True, slots=True)
class Pieces:
    """The nodes of a document, and the terms of each."""

    nodes: tuple[Node, ...] = ()
    terms: tuple[Mapping[str, int], ...] = ()

    def __add__(self, others: Pieces) -> Pieces:
        return Pieces(self.nodes + others.nodes, self.terms + others.terms)


@dataclass(frozen=True, slots=True)
class Stages:
    """The parts an ingestion works with.

    `repeats` says when a text repeats across documents; None: none ever does. `pictures` says who describes pictures,
    and which; None for nobody.
    """

    store: Store
    reader: Reader
    splitter: Splitter
    embedder: Embedder
    terms: Callable[[str], Mapping[str, int]]
    transforms: Sequence[Transform] = ()
    repeats: Repeats | None = None
    pictures: Pictures | None = None

    @property
    def identity(self) -> str:
        """Changes whenever the same bytes would become other rows, their neighbours aside."""
        parts = [self.reader.identity, self.splitter.identity, *(one.identity for one in self.transforms)]
        return "\0".join(parts + ([DESCRIBED, self.pictures.identity] if self.pictures else []))

    def pieces(self, document: Document) -> Pieces:
        """`document` split, transformed and analysed; behind that what was said of its pictures, if it was yet."""
        nodes = self.splitter.split(document)
        for transform in self.transforms:
            nodes = transform.apply(document, nodes)
        return self._analysed(nodes) + self.described(document)

    def described(self, document: Document) -> Pieces:
        """What was said of the pictures of `document`, as nodes of their own."""
        return self._analysed(described_nodes(document, self.embedder, self.embedder.max_tokens))

    def _analysed(self, nodes: Sequence[Node]) -> Pieces:
        return Pieces(tuple(nodes), tuple(self.terms(node.indexed_text) for node in nodes))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text; none is computed that the store already has, and equal texts only once."""
        import numpy as np

        keys = [vector_key(self.embedder.identity, "passage", text) for text in texts]
        known = await self.store.vectors(list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = await self.embedder.embed(list(missing.values()), role="passage")
            known.update(zip(missing, made, strict=True))
        if not keys:
            return np.zeros((0, self.embedder.dimensions), np.float32)
        return np.stack([known[key] for key in keys])
