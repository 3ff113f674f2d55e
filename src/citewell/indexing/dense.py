"""Exact search by inner product: a float32 scan finds the candidates, one fixed routine scores them.

A float32 sum depends in its last bits on the order of its terms, and that on the library and the kernel it picks for
an array's shape. The scan only chooses candidates, with a margin for its error; ranks and scores come from `exact`.

The scan is `np.vecdot`, one BLAS dot product a row on one thread: 0.33 ms at 10,000 × 384 where a matrix product takes
0.43 ms, and 0.13 ms to 60 ms with two threads on a machine whose cores are busy (they wait for each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from citewell.indexing.mask import Visible

if TYPE_CHECKING:
    from citewell.protocols import Rows, Scores, Vectors


_GATHER_BELOW = 0.25  # share of visible rows under which copying them is cheaper than scanning all (measured)


def gather(segments: Sequence[Vectors], positions: Rows) -> Vectors:
    """The vectors at `positions`, in their order; `segments` stand one behind the other."""
    if len(segments) == 1:
        return segments[0][positions]
    found = np.empty((len(positions), segments[0].shape[1]), np.float32)
    first = 0
    for segment in segments:
        here = (positions >= first) & (positions < first + len(segment))
        found[here] = segment[positions[here] - first]
        first += len(segment)
    return found


def exact(segments: Sequence[Vectors], positions: Rows, vector: Vectors) -> Scores:
    """Inner products in float64, in the order of `positions`; a pair's score does not depend on its company.

    Products of float32 are exact in float64; each row is summed by itself, pairwise along the contiguous axis.
    """
    products = gather(segments, positions).astype(np.float64) * vector.astype(np.float64)
    sums: Scores = np.add.reduce(products, axis=1)
    return sums


def nearest(
    segments: Sequence[Vectors], largest_norm: float, visible: Visible, vector: Vectors, limit: int
) -> tuple[Rows, Scores]:
    """The `limit` visible positions with the highest inner product, best first, ties by position, and their scores."""
    if visible.count <= limit:
        candidates = visible.positions
    else:
        if visible.count < _GATHER_BELOW * visible.rows:
            among = visible.positions
            rough = np.vecdot(gather(segments, among), vector)
        else:
            among = None
            rough = np.concatenate([np.vecdot(segment, vector) for segment in segments])
            if not visible.everything:
                rough[~visible.mask] = -np.inf
        # |error of a float32 inner product| <= d u / (1 - d u) |x| |y| in any order of summation, u = 2^-24 (Higham,
        # Accuracy and Stability of Numerical Algorithms, 2002, §3.1); twice that, as both sides of a comparison err.
        size = len(vector) * 2.0**-24
        margin = 2 * size / (1 - size) * largest_norm * float(np.linalg.norm(vector.astype(np.float64)))
        least = float(np.partition(rough, len(rough) - limit)[len(rough) - limit])
        candidates = np.flatnonzero(rough >= np.float32(least - margin - 1e-12))
        if among is not None:
            candidates = among[candidates]
    scores = exact(segments, candidates, vector)
    order = np.lexsort((candidates, -scores))[:limit]
    return candidates[order], scores[order]
