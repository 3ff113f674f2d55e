"""What is asked of the index, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from citewell.types.documents import DocumentRef, Node
from citewell.types.filters import Filter


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for and where: text, buckets (none named = all the principal may see), filter, limit, as-of.

    `as_of` is a sequence number of the store: the index is read as it was after that commit. None = now.
    """

    text: str
    limit: int = 10
    buckets: tuple[str, ...] = ()
    filter: Filter | None = None
    as_of: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """How one retriever saw a node: its score, and its rank from 1 (None = scored, but outside its own pool)."""

    score: float
    rank: int | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A node with its score, its rank from 1, and how each retriever saw it. Best first; ties broken by `row`."""

    node: Node
    document: DocumentRef
    score: float
    rank: int
    row: int
    found_by: Mapping[str, Found] = field(default_factory=dict)
