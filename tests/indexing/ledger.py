"""A store in memory that follows the protocol to the letter, for histories made by hypothesis; and plain oracles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from citewell.protocols import CatalogueRow, RowBatch
from citewell.types import Access, BlockKind, DocumentRef, Node, Principal, Span

DIMENSIONS = 8


@dataclass
class Kept:
    """One index row as the ledger keeps it."""

    row: int
    key: int
    terms: Mapping[str, int]
    vector: np.ndarray
    page: int
    kind: str
    section: str


@dataclass
class Ledger:
    """The parts of protocols.Store that an index reads; writes are plain methods."""

    analyzer: Any
    identity: dict[str, str] = field(default_factory=lambda: {"embedder": "test", "dimensions": str(DIMENSIONS)})
    documents: dict[int, CatalogueRow] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    number: int = 0
    next_row: int = 0
    next_key: int = 0
    reads: int = 0

    def add(
        self,
        uri: str,
        texts: Sequence[str],
        *,
        tenant: str = "local",
        bucket: str = "default",
        access: Access | None = None,
        metadata: Mapping[str, Any] | None = None,
        pages: Sequence[int] | None = None,
        kinds: Sequence[str] | None = None,
        sections: Sequence[str] | None = None,
        vectors: np.ndarray | None = None,
        gap: int = 0,
    ) -> int:
        """Commit a version of `uri`, which replaces the active one; its key. `gap` leaves row numbers out."""
        self.number += 1
        version = 1
        for key, row in self.documents.items():
            if (row.tenant, row.bucket, row.ref.uri) == (tenant, bucket, uri):
                version = max(version, row.ref.version + 1)
                if row.valid_to is None:
                    self.documents[key] = replace(row, valid_to=self.number)
        key = self.next_key
        self.next_key += 1 + gap
        ref = DocumentRef(
            f"{key:x}-{uri}", uri, uri.title(), version, bucket, "text/plain", dict(metadata or {}), "2026-01-01"
        )
        self.documents[key] = CatalogueRow(key, tenant, bucket, access or Access.everyone(), ref, self.number, None)
        for at, text in enumerate(texts):
            self.next_row += 1 + gap
            terms = dict(self.analyzer.terms(text))
            for term in terms:
                self.ids.setdefault(term, len(self.ids) + 1)
            vector = vectors[at] if vectors is not None else vector_of(text)
            page, kind = (pages or [0] * len(texts))[at], (kinds or ["paragraph"] * len(texts))[at]
            section = (sections or [""] * len(texts))[at]
            self.kept.append(Kept(self.next_row, key, terms, vector, page, kind, section))
        return key

    def remove(self, key: int) -> None:
        """Delete one document version with everything of it."""
        self.number += 1
        del self.documents[key]
        self.kept = [one for one in self.kept if one.key != key]

    async def sequence(self) -> int:
        return self.number

    async def catalogue(self) -> list[CatalogueRow]:
        return list(self.documents.values())

    async def rows(self, after: int, limit: int) -> RowBatch:
        self.reads += 1
        held = [one for one in self.kept if one.row > after][:limit]
        postings = [(one.row, self.ids[term], count) for one in held for term, count in one.terms.items()]
        columns = np.array(postings, np.int64).reshape(-1, 3)
        return RowBatch(
            rows=np.array([one.row for one in held], np.int64),
            document_keys=np.array([one.key for one in held], np.int64),
            lengths=np.array([sum(one.terms.values()) for one in held], np.int64),
            pages=np.array([one.page for one in held], np.int64),
            kinds=[one.kind for one in held],
            sections=[one.section for one in held],
            vectors=np.array([one.vector for one in held], np.float32).reshape(len(held), DIMENSIONS),
            posting_rows=columns[:, 0],
            posting_terms=columns[:, 1],
            posting_counts=columns[:, 2],
        )

    async def term_ids(self, terms: Sequence[str]) -> dict[str, int]:
        return {term: self.ids[term] for term in terms if term in self.ids}

    async def nodes(self, rows: Sequence[int]) -> dict[int, tuple[Node, DocumentRef]]:
        wanted = set(rows)
        return {
            one.row: (
                Node(f"n{one.row}", self.documents[one.key].ref.id, Span(0, 1), "x", kind=BlockKind(one.kind)),
                self.documents[one.key].ref,
            )
            for one in self.kept
            if one.row in wanted
        }

    # Oracles: the same meaning in plain Python.

    def visible(self, principal: Principal, buckets: Sequence[str], as_of: int | None) -> list[Kept]:
        """Rows that `principal` may see, one by one by the rules of the types."""
        now = self.number if as_of is None else as_of
        seen = []
        for one in self.kept:
            row = self.documents[one.key]
            valid = row.valid_from <= now and (row.valid_to is None or now < row.valid_to)
            if (
                valid
                and row.tenant == principal.tenant
                and row.access.permits(principal)
                and (not buckets or row.bucket in buckets)
            ):
                seen.append(one)
        return seen


def vector_of(text: str) -> np.ndarray:
    """A unit vector that follows from the text alone."""
    raw = np.zeros(DIMENSIONS)
    for at, character in enumerate(text.encode()):
        raw[(at * 7 + character) % DIMENSIONS] += 1 + character % 5
    raw[0] += 0.5
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def bm25(rows: Sequence[Kept], query: Mapping[str, int], k1: float, b: float) -> dict[int, float]:
    """BM25 of each row that holds a term of the query, in plain Python, over `rows` alone."""
    lengths = {one.row: sum(one.terms.values()) for one in rows}
    average = (sum(lengths.values()) / len(rows) if rows else 0) or 1.0
    scores: dict[int, float] = {}
    for term, in_query in sorted(query.items()):
        holders = [one for one in rows if term in one.terms]
        idf = math.log(1 + (len(rows) - len(holders) + 0.5) / (len(holders) + 0.5))
        for one in holders:
            f = one.terms[term]
            norm = k1 * (1 - b + b * lengths[one.row] / average)
            scores[one.row] = scores.get(one.row, 0.0) + in_query * idf * f * (k1 + 1) / (f + norm)
    return scores
