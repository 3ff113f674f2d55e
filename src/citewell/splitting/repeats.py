"""Which texts repeat across the documents of a cohort: counts in, digests out; nothing of the order of ingestion.

A text repeats in a folder where enough *works* hold it, and a large share of all works there. A series is one work, and
so is a document that belongs to none. Works that consist of little but such texts are copies of one another (forms,
policies made from one template, versions nobody named as such): their text is what they say, so they do not count.
Of each repeated text one document keeps its copy, so that it can still be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from citewell.protocols import CohortTexts, Digests, Rows

    Bits: TypeAlias = NDArray[np.bool_]

OWN_SHARE = 1 / 3
"""At least this share of a work's characters must be its own, or it counts as a copy of the others."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The rule: in at least `documents` works and in at least `share` of all works of one folder, at any depth."""

    documents: int = 5
    share: float = 0.3

    @property
    def identity(self) -> str:
        """Changes whenever the same cohort would be judged otherwise."""
        return f"repeats@1:{self.documents}:{self.share:g}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What repeats where: digests by folder ("" is the whole bucket)."""

    folders: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def of(self, uri: str, digests: Digests) -> Digests:
        """Those of `digests` that repeat in a folder above `uri`; ascending, each once."""
        above = [self.folders[folder] for folder in folders(uri) if folder in self.folders]
        found = {one for one in digests.tolist() if any(one in held for held in above)} if above else set()
        return np.array(sorted(found), dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`repeated` (n): for each document the digests that count as repeated in it, ascending. `standing`: of all."""

    repeated: Sequence[Digests]
    standing: Standing


def folders(uri: str) -> list[str]:
    """The folders above `uri`, outermost first; the first is "", which holds everything."""
    path = uri.partition("?")[0].partition("#")[0] if uri.startswith(("http://", "https://")) else uri
    return ["", *(path[: at + 1] for at, letter in enumerate(path) if letter == "/")]


def judge(texts: CohortTexts, rule: Repeats) -> Judgement:
    """What repeats in a cohort. The same documents give the same judgement, in whatever order they came.

    Takes O(m log m) time and some 100 bytes a text.
    """
    count = len(texts.keys)
    nothing = Judgement([np.zeros(0, np.uint64)] * count, Standing())
    if count < rule.documents or not len(texts.digests):
        return nothing
    works = _works(texts)
    values, texts_of = np.unique(texts.digests, return_inverse=True)
    pairs = np.unique(texts.documents * len(values) + texts_of)  # each text once a document
    documents, held = np.divmod(pairs, len(values))
    works_of = np.bincount(np.unique(held * (works.max() + 1) + works[documents]) // (works.max() + 1))
    often = works_of >= rule.documents
    if not often.any():
        return nothing
    again = np.bincount(texts.documents, texts.sizes * often[texts_of], count)
    witness = texts.totals - again >= OWN_SHARE * texts.totals
    names, places, starts = _places(texts.uris, rule.documents)
    # From here on only texts that may repeat, numbered anew.
    often_pairs = often[held]
    documents = documents[often_pairs]
    numbers = np.cumsum(often) - 1
    held, values = numbers[held[often_pairs]], values[often]
    settled = _settled(rule, works, witness, places, starts, documents, held, len(values), len(names))
    at, folder = _spread(places, starts, documents)
    there = np.unique(at[np.isin(folder * len(values) + held[at], settled)])
    there = there[~_keeps(texts.uris, documents, held)[there]]
    repeated = _by_document(count, documents[there], values[held[there]])
    return Judgement(repeated, _standing(names, settled, values))


def _works(texts: CohortTexts) -> Rows:
    """A number a document, equal for documents of one series."""
    known: dict[tuple[bool, str], int] = {}
    names = ((True, series) if series else (False, uri) for series, uri in zip(texts.series, texts.uris, strict=True))
    return np.fromiter((known.setdefault(name, len(known)) for name in names), np.int64, len(texts.keys))


def _places(uris: Sequence[str], least: int) -> tuple[list[str], Rows, Rows]:
    """Folders that hold at least `least` documents, and which of them are above each document.

    The latter as `places`, numbers of folders one document's after the other's, and `starts` (n + 1,). A folder that
    holds the same documents as the one around it is left out.
    """
    parents = [uri[: uri.rfind("/") + 1] for uri in uris]
    sizes: dict[str, int] = {}
    chains: dict[str, list[str]] = {}
    for uri, parent in zip(uris, parents, strict=True):
        chain = chains.get(parent)
        if chain is None:
            chain = chains[parent] = folders(uri)
        for name in chain:
            sizes[name] = sizes.get(name, 0) + 1
    numbers: dict[str, int] = {}
    held: dict[str, list[int]] = {}
    for parent, chain in chains.items():
        around = [-1, *(sizes[name] for name in chain[:-1])]
        telling = [
            name for name, outer in zip(chain, around, strict=True) if sizes[name] >= least and sizes[name] != outer
        ]
        held[parent] = [numbers.setdefault(name, len(numbers)) for name in telling]
    depths = np.fromiter((len(held[parent]) for parent in parents), np.int64, len(uris))
    places = np.fromiter((number for parent in parents for number in held[parent]), np.int64, int(depths.sum()))
    return list(numbers), places, np.concatenate([[0], np.cumsum(depths)])


def _spread(places: Rows, starts: Rows, documents: Rows) -> tuple[Rows, Rows]:
    """For each of `documents` and each folder above it: the place in `documents`, and the folder."""
    depths = starts[documents + 1] - starts[documents]
    at = np.repeat(np.arange(len(documents)), depths)
    first = np.repeat(starts[documents] - np.cumsum(depths) + depths, depths)
    return at, places[first + np.arange(len(at))]


def _settled(
    rule: Repeats,
    works: Rows,
    witness: Bits,
    places: Rows,
    starts: Rows,
    documents: Rows,
    held: Rows,
    values: int,
    names: int,
) -> Rows:
    """What repeats where, as folder * `values` + text, ascending."""
    size = int(works.max()) + 1
    witnesses = np.flatnonzero(witness)
    at, folder = _spread(places, starts, witnesses)
    there = np.bincount(np.unique(folder * size + works[witnesses[at]]) // size, minlength=names)
    seen = witness[documents]
    at, folder = _spread(places, starts, documents[seen])
    keys = (folder * values + held[seen][at]) * size + works[documents[seen][at]]
    found, counts = np.unique(np.unique(keys) // size, return_counts=True)
    # The little that is added keeps 3 of 10 at 30 %, which floats do not.
    enough = (counts >= rule.documents) & (counts + 1e-9 >= rule.share * there[found // values])
    settled: Rows = found[enough]
    return settled


def _keeps(uris: Sequence[str], documents: Rows, held: Rows) -> Bits:
    """For each pair, whether the document keeps its copy of the text: the first by uri of all that hold it."""
    order = np.empty(len(uris), np.int64)
    order[sorted(range(len(uris)), key=uris.__getitem__)] = np.arange(len(uris))
    first = np.full(int(held.max()) + 1, len(uris))
    np.minimum.at(first, held, order[documents])
    keeps: Bits = order[documents] == first[held]
    return keeps


def _by_document(count: int, documents: Rows, digests: Digests) -> list[Digests]:
    order = np.lexsort((digests, documents))
    return np.split(digests[order], np.cumsum(np.bincount(documents, minlength=count))[:-1])


def _standing(names: Sequence[str], settled: Rows, values: Digests) -> Standing:
    held: dict[str, set[int]] = {}
    for one in settled.tolist():
        held.setdefault(names[one // len(values)], set()).add(int(values[one % len(values)]))
    return Standing({name: frozenset(digests) for name, digests in held.items()})
