"""Cohorts made of plain Python, and the rule of what repeats as a plain program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from citewell.protocols import CohortTexts
from citewell.splitting.repeats import OWN_SHARE, Repeats, folders


@dataclass(frozen=True)
class Held:
    """One document: its texts as (digest, size), and how many characters it shows beside them."""

    uri: str
    texts: tuple[tuple[int, int], ...]
    others: int = 0
    series: str = ""

    @property
    def total(self) -> int:
        return self.others + sum(size for _, size in self.texts)


def cohort(held: list[Held]) -> CohortTexts:
    """`held` as the store gives it, in the order of the list."""
    return CohortTexts(
        keys=np.arange(1, len(held) + 1),
        uris=[one.uri for one in held],
        series=[one.series for one in held],
        totals=np.array([one.total for one in held], np.int64),
        repeated=[b""] * len(held),
        documents=np.repeat(np.arange(len(held)), [len(one.texts) for one in held]).astype(np.int64),
        digests=np.array([digest for one in held for digest, _ in one.texts], np.uint64),
        sizes=np.array([size for one in held for _, size in one.texts], np.int64),
    )


def plainly(held: list[Held], rule: Repeats) -> dict[str, set[int]]:
    """What `judge` has to find, by uri: the rule word for word."""

    def work(one: Held) -> tuple[str, str]:
        return ("series", one.series) if one.series else ("uri", one.uri)

    def works(documents: list[Held], digest: int) -> int:
        return len({work(one) for one in documents if digest in dict(one.texts)})

    often = {digest for one in held for digest, _ in one.texts if works(held, digest) >= rule.documents}

    @cache
    def own(one: Held) -> bool:
        return one.total - sum(size for digest, size in one.texts if digest in often) >= OWN_SHARE * one.total

    @cache
    def repeats_in(folder: str, digest: int) -> bool:
        there = [one for one in held if folder in folders(one.uri) and own(one)]
        holding = works(there, digest)
        return holding >= rule.documents and holding + 1e-9 >= rule.share * len({work(one) for one in there})

    keeper = {digest: min(one.uri for one in held if digest in dict(one.texts)) for digest in often}
    return {
        one.uri: {
            digest
            for digest in often.intersection(dict(one.texts))
            if keeper[digest] != one.uri and any(repeats_in(folder, digest) for folder in folders(one.uri))
        }
        for one in held
    }
