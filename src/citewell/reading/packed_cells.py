"""Table cells as columns of numbers: a million of them as JSON take minutes and half a gigabyte on either side."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from citewell.types import Cell, Place, Region, Span

_CELL: Final = struct.Struct("=7i")  # row, column, start, end, header, row_span, column_span
_PLACE: Final = struct.Struct("=4q")  # number of the cell, start, end, number of (unit, part) among the names
_REGION: Final = struct.Struct("=qqd4d")  # number of the cell, page, whether there is a box, the box


@dataclass(frozen=True, slots=True)
class PackedCells:
    """Cells in their order: the columns of all, of those with a place, and of those with a region.

    `names` are the (unit, part) of the places, each once.
    """

    columns: tuple[bytes, bytes, bytes]
    names: Sequence[Any]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> PackedCells:
        """Raises struct.error for numbers above 31 bits, which no cell of a text has."""
        numbers, places, regions = bytearray(), bytearray(), bytearray()
        names: dict[tuple[str, str], int] = {}
        for index, cell in enumerate(cells):
            span = cell.span
            numbers += _CELL.pack(
                cell.row, cell.column, span.start, span.end, cell.header, cell.row_span, cell.column_span
            )
            if (place := cell.source) is not None:
                name = names.setdefault((place.unit, place.part), len(names))
                places += _PLACE.pack(index, place.start, place.end, name)
            if (region := cell.region) is not None:
                regions += _REGION.pack(index, region.page, region.box is not None, *(region.box or (0, 0, 0, 0)))
        return cls((bytes(numbers), bytes(places), bytes(regions)), list(names))

    def cells(self, length: int) -> Iterator[Cell]:
        """The cells, of a text of `length` characters. Raises ValueError, TypeError, IndexError or struct.error where
        the columns are none."""
        numbers, placed, marked = self.columns
        names = [(_text(unit), _text(part)) for unit, part in self.names]
        places, regions = _PLACE.iter_unpack(placed), _REGION.iter_unpack(marked)
        place, region = next(places, None), next(regions, None)
        for index, (row, column, start, end, header, row_span, column_span) in enumerate(_CELL.iter_unpack(numbers)):
            if not 0 <= start <= end <= length:
                raise ValueError(f"cell {index} stands outside of the text")
            source = where = None
            if place is not None and place[0] == index:
                if not 0 <= place[3] < len(names):
                    raise ValueError(f"the place of cell {index} has no name")
                source = Place(place[1], place[2], *names[place[3]])
                place = next(places, None)
            if region is not None and region[0] == index:
                page, boxed, *box = region[1:]
                if page < 1:
                    raise ValueError(f"cell {index} is on page {page}")
                where = Region(page, (box[0], box[1], box[2], box[3]) if boxed else None)
                region = next(regions, None)
            yield Cell(row, column, Span(start, end), bool(header), row_span, column_span, where, source)
        if place is not None or region is not None:
            raise ValueError("places or regions of no cell")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
