"""How well a ranking puts the relevant first.

`ranking`: ids, best first, each once. `judged`: id → grade; above 0 is relevant, what is missing counts 0. Every
metric lies in [0, 1] and is 0 when nothing is relevant; sets leave such queries out (`mean` does not).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Grades = Mapping[str, float]


def ndcg(ranking: Sequence[str], judged: Grades, k: int) -> float:
    """Normalised discounted cumulative gain at `k`: Σ grade / log2(rank + 1), over that of the ideal ranking.

    Linear gain, as trec_eval's ndcg_cut and BEIR have it (Järvelin and Kekäläinen, TOIS 2002, with the discount of
    Burges et al., ICML 2005). Grades below 0 gain nothing.
    """
    ideal = sorted((grade for grade in judged.values() if grade > 0), reverse=True)
    best = _dcg(ideal[:k])
    return _dcg([max(0.0, judged.get(one, 0)) for one in ranking[:k]]) / best if best else 0.0


def _dcg(gains: Iterable[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def recall(ranking: Sequence[str], judged: Grades, k: int) -> float:
    """Share of the relevant among the first `k` (trec_eval's recall)."""
    wanted = _relevant(judged)
    return len(wanted.intersection(ranking[:k])) / len(wanted) if wanted else 0.0


def precision(ranking: Sequence[str], judged: Grades, k: int) -> float:
    """Relevant among the first `k`, over `k` (trec_eval's P)."""
    return len(_relevant(judged).intersection(ranking[:k])) / k


def hit_rate(ranking: Sequence[str], judged: Grades, k: int) -> float:
    """1 if any of the first `k` is relevant, else 0 (trec_eval's success)."""
    return float(not _relevant(judged).isdisjoint(ranking[:k]))


def reciprocal_rank(ranking: Sequence[str], judged: Grades, k: int | None = None) -> float:
    """1 / rank of the first relevant among the first `k` (None: all), 0 without one (Voorhees, TREC-8 1999)."""
    wanted = _relevant(judged)
    return next((1 / rank for rank, one in enumerate(ranking[:k], start=1) if one in wanted), 0.0)


def average_precision(ranking: Sequence[str], judged: Grades, k: int | None = None) -> float:
    """Mean over all relevant of the precision where each stands, 0 for those not ranked (trec_eval's map)."""
    wanted = _relevant(judged)
    found, total = 0, 0.0
    for rank, one in enumerate(ranking[:k], start=1):
        if one in wanted:
            found += 1
            total += found / rank
    return total / len(wanted) if wanted else 0.0


def mean(values: Iterable[float]) -> float:
    """The mean, 0 of nothing."""
    held = list(values)
    return math.fsum(held) / len(held) if held else 0.0


def _relevant(judged: Grades) -> set[str]:
    return {one for one, grade in judged.items() if grade > 0}
