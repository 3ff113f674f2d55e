"""BM25 over postings in arrays, exact, with statistics of the visible rows only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from citewell.indexing.mask import Visible

if TYPE_CHECKING:
    from citewell.protocols import Rows, Scores


Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Postings:
    """One piece of the inverted index, by term id: compressed sparse rows.

    `terms` (t,) ascending and distinct; the postings of `terms[i]` are `positions[starts[i] : starts[i + 1]]`,
    ascending, with their `counts`. The pieces of one index cover ascending, disjoint ranges of positions.
    """

    terms: Rows
    starts: Rows
    positions: Ints
    counts: Ints

    @classmethod
    def of(cls, terms: Rows, positions: Ints, counts: Ints) -> Postings:
        """The piece that holds these parallel arrays, in any order."""
        order = np.lexsort((positions, terms))
        terms = terms[order]
        distinct, first = np.unique(terms, return_index=True)
        starts = np.append(first, len(terms)).astype(np.int64)
        return cls(distinct.astype(np.int64), starts, positions[order], counts[order])

    def __len__(self) -> int:
        return len(self.positions)

    def parallel(self) -> tuple[Rows, Ints, Ints]:
        """Terms, positions and counts as parallel arrays."""
        return np.repeat(self.terms, np.diff(self.starts)), self.positions, self.counts


def merged(pieces: Sequence[Postings]) -> Postings:
    """One piece with the postings of all."""
    columns = [piece.parallel() for piece in pieces]
    terms, positions, counts = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Postings.of(terms, positions, counts)


@dataclass(frozen=True, slots=True)
class BM25:
    """Okapi BM25 with the idf that is never negative, as in Lucene:

        score(row) = Σ over terms  q · idf · f · (k1 + 1) / (f + k1 · (1 - b + b · length / average length))
        idf = ln(1 + (N - df + 0.5) / (df + 0.5))

    f, q: counts of the term in row and query. N, df and the average length are those of the visible rows.
    Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, §3; Kamphuis et al., ECIR 2020, table 1.

    The defaults are the usual ones. Mean nDCG@10 over 12 sets: (0.9, 0.4) 0.697, (1.2, 0.5) 0.702, (1.2, 0.75) 0.7025,
    (1.5, 0.75) 0.7026, (2, 0.75) 0.701; fused with vectors over 10 sets: (1.2, 0.75) 0.703, (1.5, 0.75) 0.700.
    """

    k1: float = 1.2
    b: float = 0.75

    def scores(self, pieces: Sequence[Postings], terms: Sequence[tuple[int, int]], visible: Visible) -> Scores:
        """The score of every position, shape (n,); 0 where no term occurs or the row is hidden.

        `terms` are (id, count in the query). Sums run in their order, which the caller derives from their text: ids
        follow from the order of ingestion, and the last bit of a score must not tell of hidden documents.
        """
        norms = visible.cached(("bm25", self.k1, self.b), lambda: self._norms(visible))
        ids = np.fromiter((term for term, _ in terms), np.int64, len(terms))
        places = [(piece, np.searchsorted(piece.terms, ids)) for piece in pieces if len(piece.terms)]
        found: list[Ints] = []
        weights: list[Scores] = []
        for number, (term, in_query) in enumerate(terms):
            held: list[tuple[Ints, Ints]] = []
            for piece, at in places:
                place = at[number]
                if place < len(piece.terms) and piece.terms[place] == term:
                    start, end = piece.starts[place], piece.starts[place + 1]
                    positions, counts = piece.positions[start:end], piece.counts[start:end]
                    if not visible.everything:
                        seen = visible.mask[positions]
                        positions, counts = positions[seen], counts[seen]
                    held.append((positions, counts))
            frequency = sum(len(positions) for positions, _ in held)
            idf = math.log(1 + (visible.count - frequency + 0.5) / (frequency + 0.5))
            for positions, counts in held:
                found.append(positions)
                weights.append(in_query * idf * (self.k1 + 1) * counts / (counts + norms[positions]))
        if not found:
            return np.zeros(visible.rows, np.float64)
        # bincount adds one after the other, in order: a row's sum never depends on which other rows there are.
        # Of nothing it makes integers, which would tell that a hidden row holds the terms.
        scores: Scores = np.bincount(np.concatenate(found), np.concatenate(weights), visible.rows).astype(np.float64)
        return scores

    def _norms(self, visible: Visible) -> Scores:
        average = visible.total_length / visible.count if visible.total_length else 1.0
        norms: Scores = self.k1 * (1 - self.b + self.b * (visible.lengths / average))
        return norms


def best(scores: Scores, limit: int) -> Rows:
    """Positions of the `limit` highest scores above 0, best first, ties by position."""
    candidates = np.flatnonzero(scores)
    if len(candidates) > limit:
        among = scores[candidates]
        least = np.partition(among, len(among) - limit)[len(among) - limit]
        candidates = candidates[among >= least]
    order = np.lexsort((candidates, -scores[candidates]))
    chosen: Rows = candidates[order[:limit]]
    return chosen
