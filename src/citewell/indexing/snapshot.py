"""The index at one commit: arrays that never change, so that queries may run while the next one is made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from citewell.errors import ConfigError, IndexMismatch
from citewell.indexing.lexical import Ints, Postings, merged
from citewell.indexing.mask import Bits, Catalogue, Condition, Encoded, Visible
from citewell.protocols import RowBatch
from citewell.types import Filter, Principal

if TYPE_CHECKING:
    from citewell.protocols import Rows, Vectors


_MAX_MASKS = 64
_MAX_MASK_ROWS = 8_000_000  # rows over all cached masks; one costs up to 17 bytes a row
COLUMNS = ("rows", "documents", "lengths", "pages", "kinds", "sections")


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of each position: `table` (6, n) int64 in the order of COLUMNS, ascending by row.

    `documents` are the store's keys, `lengths` in terms, `pages` from 1 or 0; kinds and sections are codes into names.
    """

    table: NDArray[np.int64]
    kind_names: tuple[str, ...] = ()
    section_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.shape[1])

    @property
    def rows(self) -> Rows:
        found: Rows = self.table[0]
        return found

    @property
    def documents(self) -> Rows:
        found: Rows = self.table[1]
        return found

    def extended(self, batch: RowBatch) -> Columns:
        """These columns and those of `batch` behind them."""
        kinds, kind_names = _coded(batch.kinds, self.kind_names)
        sections, section_names = _coded(batch.sections, self.section_names)
        added = np.array(
            [batch.rows, batch.document_keys, batch.lengths, batch.pages, kinds, sections], dtype=np.int64
        ).reshape(len(COLUMNS), len(batch.rows))
        return Columns(np.concatenate([self.table, added], axis=1), kind_names, section_names)


def _coded(values: Sequence[str], names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    known = {name: code for code, name in enumerate(names)}
    codes = [known.setdefault(value, len(known)) for value in values]
    return codes, tuple(known)


@dataclass(eq=False)
class Snapshot:
    """Rows, vectors and postings with the catalogue they belong to, as of `sequence`.

    Positions 0…n-1 number the rows in ascending order. `segments` are the vectors, one behind the other; `pieces` the
    postings by position. The first `base` positions come from the derived files. `largest_norm` bounds the vectors'
    lengths. Nothing changes after it was made, save what is derived from it and kept.
    """

    sequence: int
    catalogue: Catalogue
    columns: Columns
    segments: tuple[Vectors, ...]
    pieces: tuple[Postings, ...]
    largest_norm: float
    base: int
    vocabulary: dict[str, int | None] = field(init=False, default_factory=dict)
    _masks: OrderedDict[object, Visible] = field(init=False, default_factory=OrderedDict)
    _row_columns: dict[str, Encoded] = field(init=False, default_factory=dict)

    @classmethod
    def empty(cls) -> Snapshot:
        """Nothing, before the first commit."""
        return cls(-1, Catalogue([]), Columns(np.empty((len(COLUMNS), 0), np.int64)), (), (), 0.0, 0)

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def rows(self) -> Rows:
        """Row of each position."""
        return np.ascontiguousarray(self.columns.rows)

    @cached_property
    def lengths(self) -> Ints:
        """Length of each position, in terms."""
        found: Ints = self.columns.table[2].astype(np.int32)
        return found

    @cached_property
    def ordinals(self) -> Ints:
        """Place in the catalogue of each position's document."""
        found: Ints = np.searchsorted(self.catalogue.keys, self.columns.documents).astype(np.int32)
        return found

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors, None while there are none."""
        return int(self.segments[0].shape[1]) if self.segments else None

    def positions(self, rows: Rows) -> Rows:
        """Positions of `rows`, -1 for a row that is not here."""
        if not len(self.rows):
            return np.full(len(rows), -1, np.int64)
        found = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[found] == rows, found, -1)

    def visible(self, principal: Principal, buckets: Sequence[str], where: Filter | None, sequence: int) -> Visible:
        """The rows `principal` may see under `where` as of `sequence`; a mask asked for before is used again."""
        # repr, not the tree itself: `x == 1` and `x == true` are equal as Python values and differ in meaning.
        key = (principal.tenant, principal.names, tuple(sorted(set(buckets))), repr(where), sequence)
        visible = self._masks.get(key)
        if visible is None:
            visible = Visible(self._mask(principal, buckets, where, sequence), self.lengths)
            self._masks[key] = visible
            while len(self._masks) > max(1, min(_MAX_MASKS, _MAX_MASK_ROWS // max(1, len(self)))):
                self._masks.popitem(last=False)
        self._masks.move_to_end(key)
        return visible

    def _mask(self, principal: Principal, buckets: Sequence[str], where: Filter | None, sequence: int) -> Bits:
        mask = self.catalogue.readable(principal, buckets, sequence)[self.ordinals]
        if where is not None:
            mask &= Condition(self.catalogue, self.ordinals, self._row_column).rows(where)
        return mask

    def _row_column(self, name: str) -> Encoded:
        if name not in self._row_columns:
            if name == "page":
                values, codes = np.unique(self.columns.table[3], return_inverse=True)
                column = Encoded(codes.astype(np.int32), [int(page) or None for page in values])
            else:
                at, names = (4, self.columns.kind_names) if name == "kind" else (5, self.columns.section_names)
                column = Encoded(self.columns.table[at].astype(np.int32), [one or None for one in names])
            self._row_columns[name] = column
        return self._row_columns[name]


class Tail:
    """Vectors behind the base in one growing array: what was handed out stays, what comes stands behind."""

    def __init__(self, dimensions: int) -> None:
        self._room = np.empty((256, dimensions), np.float32)
        self._used = 0

    def append(self, vectors: Vectors) -> Vectors:
        """All vectors so far, these last, as one array."""
        needed = self._used + len(vectors)
        if needed > len(self._room):
            room = np.empty((max(needed, 2 * len(self._room)), self._room.shape[1]), np.float32)
            room[: self._used] = self._room[: self._used]
            self._room = room
        self._room[self._used : needed] = vectors
        self._used = needed
        return self._room[:needed]


def grown(pieces: tuple[Postings, ...], added: Postings, keep: int) -> tuple[Postings, ...]:
    """`pieces` and one more behind them; small ones are merged, so that their number stays logarithmic.

    The first `keep` pieces (those of the derived files) are left alone.
    """
    fixed, loose = pieces[:keep], [*pieces[keep:], added]
    while len(loose) > 1 and len(loose[-2]) < 2 * len(loose[-1]):
        last = loose.pop()
        loose[-1] = merged([loose[-1], last])
    return (*fixed, *loose)


def extended(snapshot: Snapshot, batch: RowBatch, tail: Tail) -> Snapshot:
    """`snapshot` with the rows of `batch` behind its own; its catalogue is still the old one.

    Raises IndexMismatch when the vectors have another length than those before, ConfigError on rows out of order.
    """
    ascending = bool(np.all(np.diff(batch.rows) > 0)) and (not len(snapshot) or batch.rows[0] > snapshot.rows[-1])
    if not ascending:
        raise ConfigError("The store gave index rows out of order; rows ascend and are never numbered anew.")
    vectors = np.asarray(batch.vectors, np.float32)
    if snapshot.dimensions not in (None, vectors.shape[1]):
        raise IndexMismatch(
            f"Vectors of {vectors.shape[1]} numbers stand beside vectors of {snapshot.dimensions}: "
            "the embedder was changed. Ingest the documents into a new knowledge base."
        )
    first = len(snapshot)
    positions: Ints = (np.searchsorted(batch.rows, batch.posting_rows) + first).astype(np.int32)
    added = Postings.of(batch.posting_terms.astype(np.int64), positions, batch.posting_counts.astype(np.int32))
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    fixed = 1 if snapshot.base else 0
    return replace(
        snapshot,
        columns=snapshot.columns.extended(batch),
        segments=(*snapshot.segments[:fixed], tail.append(vectors)),
        pieces=grown(snapshot.pieces, added, fixed),
        largest_norm=max(snapshot.largest_norm, float(norms.max(initial=0.0))),
    )


def without_deleted(snapshot: Snapshot, catalogue: Catalogue, sequence: int) -> tuple[Snapshot, bool]:
    """`snapshot` under a new catalogue, and whether rows had to go because their document is gone from it.

    Then nothing of them is left: vectors and postings are copied without them into new arrays.
    """
    keep = np.isin(snapshot.columns.documents, catalogue.keys)
    if keep.all():
        return replace(snapshot, sequence=sequence, catalogue=catalogue), False
    columns = snapshot.columns
    terms, positions, counts = merged(snapshot.pieces).parallel()
    left = keep[positions]
    moved = (np.cumsum(keep) - 1).astype(np.int32)
    # The names of sections may come from deleted documents alone: only those in use stay.
    kinds, kind_names = _in_use(columns.table[4][keep], columns.kind_names)
    sections, section_names = _in_use(columns.table[5][keep], columns.section_names)
    table = np.concatenate([columns.table[:4, keep], kinds[None], sections[None]])
    first, vectors = 0, []
    for segment in snapshot.segments:
        vectors.append(segment[keep[first : first + len(segment)]])
        first += len(segment)
    kept = replace(
        snapshot,
        sequence=sequence,
        catalogue=catalogue,
        columns=Columns(table, kind_names, section_names),
        segments=(np.concatenate(vectors),),
        pieces=(Postings.of(terms[left], moved[positions[left]], counts[left]),),
        base=0,
    )
    return kept, True


def _in_use(codes: NDArray[np.int64], names: tuple[str, ...]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    used, anew = np.unique(codes, return_inverse=True)
    return anew.astype(np.int64), tuple(names[code] for code in used)
