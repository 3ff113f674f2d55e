"""What can be seen, decided once: tenant, bucket, access, validity and filter become one boolean mask over rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from citewell.protocols import CatalogueRow
from citewell.types import Access, Filter, Principal
from citewell.types.filters import And, Compare, Not, Or, compare

if TYPE_CHECKING:
    from citewell.protocols import Rows


Bits = NDArray[np.bool_]
Codes = NDArray[np.int32]
T = TypeVar("T")

FOREVER = np.iinfo(np.int64).max
ROW_FIELDS = ("page", "kind", "section")
"""Fields of a node: first page (a number), kind of block, headings joined by ` > `; absent where there is none."""

DOCUMENT_FIELDS: dict[str, Callable[[CatalogueRow], object]] = {
    "document_id": lambda row: row.ref.id,
    "uri": lambda row: row.ref.uri,
    "title": lambda row: row.ref.title,
    "bucket": lambda row: row.bucket,
    "version": lambda row: row.ref.version,
    "media_type": lambda row: row.ref.media_type,
    "ingested_at": lambda row: row.ref.ingested_at,
}
"""Fields every document has. They win over metadata of the same name: what a document says of itself cannot hide them.
"""


def document_field(row: CatalogueRow, name: str) -> object:
    """A document's value of a field, None when absent."""
    system = DOCUMENT_FIELDS.get(name)
    return system(row) if system else row.ref.metadata.get(name)


class Encoded:
    """A column as codes into its distinct values: a filter is asked once a value, not once a row."""

    __slots__ = ("codes", "values")

    def __init__(self, codes: Codes, values: Sequence[object]) -> None:
        self.codes = codes
        self.values = values

    @classmethod
    def of(cls, column: Sequence[object]) -> Encoded:
        """The column's values, told apart by type as well: True, 1 and 1.0 are three."""
        known: dict[Hashable, int] = {}
        values: list[object] = []
        codes = np.empty(len(column), np.int32)
        for at, value in enumerate(column):
            key = _key(value)
            code = known.get(key)
            if code is None:
                code = known[key] = len(values)
                values.append(value)
            codes[at] = code
        return cls(codes, values)

    def where(self, test: Callable[[object], bool]) -> Bits:
        """For each place, whether its value passes."""
        passed = np.fromiter((test(value) for value in self.values), np.bool_, len(self.values))
        return passed[self.codes]


def _key(value: object) -> Hashable:
    if isinstance(value, list | tuple):
        return (list, tuple(_key(one) for one in value))
    return (type(value), value)


class Visible:
    """The rows one principal may see under one filter at one commit. `mask` (n,) by position; nothing here changes.

    `cached` keeps what a ranker derives from the mask alone (norms, …), once for all queries that share it.
    """

    def __init__(self, mask: Bits, lengths: NDArray[np.int32]) -> None:
        self.mask = mask
        self.lengths = lengths
        self.rows = len(mask)
        self.count = int(np.count_nonzero(mask))
        self.everything = self.count == self.rows
        self.total_length = int(lengths.sum(where=mask, dtype=np.int64))
        self._derived: dict[Hashable, Any] = {}

    @property
    def positions(self) -> Rows:
        """Positions of the visible rows, ascending."""
        return self.cached("positions", lambda: np.flatnonzero(self.mask))

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, or what it made before. Two threads may both make it; they make the same."""
        if key not in self._derived:
            self._derived[key] = make()
        made: T = self._derived[key]
        return made


class Catalogue:
    """Document versions as columns, by ascending key. Made of `Store.catalogue()`, which alone decides what exists."""

    def __init__(self, rows: Sequence[CatalogueRow]) -> None:
        self.rows = sorted(rows, key=lambda row: row.key)
        self.keys: Rows = np.fromiter((row.key for row in self.rows), np.int64, len(self.rows))
        self._valid_from = np.fromiter((row.valid_from for row in self.rows), np.int64, len(self.rows))
        self._valid_to = np.fromiter(
            (FOREVER if row.valid_to is None else row.valid_to for row in self.rows), np.int64, len(self.rows)
        )
        self._tenants = Encoded.of([row.tenant for row in self.rows])
        self._buckets = Encoded.of([row.bucket for row in self.rows])
        self._access = Encoded.of([row.access for row in self.rows])
        # Access rules by the names in them: a principal has few names, and there may be as many rules as documents.
        self._allowing: dict[str, list[int]] = {}
        self._denying: dict[str, list[int]] = {}
        for code, access in enumerate(self._access.values):
            assert isinstance(access, Access)
            for index, names in ((self._allowing, access.allow), (self._denying, access.deny)):
                for name in names:
                    index.setdefault(name, []).append(code)
        self._columns: dict[str, Encoded] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Encoded:
        """A field of all documents."""
        if name not in self._columns:
            self._columns[name] = Encoded.of([document_field(row, name) for row in self.rows])
        return self._columns[name]

    def readable(self, principal: Principal, buckets: Sequence[str], sequence: int) -> Bits:
        """Which documents `principal` may read in `buckets` (none = any) as of `sequence`; Access.permits, inverted."""
        seen = (self._valid_from <= sequence) & (sequence < self._valid_to)
        seen &= self._tenants.where(lambda tenant: tenant == principal.tenant)
        permitted = np.zeros(len(self._access.values), np.bool_)
        for name in principal.names:
            permitted[self._allowing.get(name, [])] = True
        for name in principal.names:
            permitted[self._denying.get(name, [])] = False
        seen &= permitted[self._access.codes]
        if buckets:
            seen &= self._buckets.where(lambda bucket: bucket in buckets)
        return seen


class Condition:
    """A filter evaluated over columns: by document where it can, by row where it asks for a node's own fields.

    The meaning is `types.matches` by construction: `compare` is asked once a distinct value, and the truth values are
    combined as there. `documents` (n,) says which document each row belongs to; `row_fields` holds ROW_FIELDS by row.
    """

    def __init__(
        self, catalogue: Catalogue, documents: NDArray[np.int32], row_fields: Callable[[str], Encoded]
    ) -> None:
        self._catalogue = catalogue
        self._documents = documents
        self._row_fields = row_fields

    def rows(self, where: Filter) -> Bits:
        """For each row, whether it meets the filter."""
        bits, by_row = self._bits(where)
        return bits if by_row else bits[self._documents]

    def _bits(self, where: Filter) -> tuple[Bits, bool]:
        match where:
            case Compare(field=name, op=op, value=asked):
                by_row = name in ROW_FIELDS
                column = self._row_fields(name) if by_row else self._catalogue.column(name)
                return column.where(lambda held: compare(op, held, asked)), by_row
            case Not(part=part):
                bits, by_row = self._bits(part)
                return ~bits, by_row
            case And(parts=parts):
                return self._all(np.logical_and, parts, True)
            case Or(parts=parts):
                return self._all(np.logical_or, parts, False)

    def _all(self, join: Callable[[Bits, Bits], Bits], parts: Sequence[Filter], empty: bool) -> tuple[Bits, bool]:
        total, total_by_row = np.full(len(self._catalogue), empty), False
        for part in parts:
            bits, by_row = self._bits(part)
            if by_row and not total_by_row:
                total, total_by_row = total[self._documents], True
            elif total_by_row and not by_row:
                bits = bits[self._documents]
            total = join(total, bits)
        return total, total_by_row
