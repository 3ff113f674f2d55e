"""How well tables were recognised: the relations between neighbouring cells, found and true, compared.

Göbel, Hassan, Oro and Orsi, "A methodology for evaluating algorithms for table understanding in PDF documents",
DocEng 2012: every cell with text is related to the next one with text to its right and below it.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Relations: TypeAlias = Counter[tuple[str, str, str]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell of a table: 0-based rows and columns it covers, both ends included."""

    row: int
    column: int
    last_row: int
    last_column: int
    text: str


def relations(table: Iterable[GridCell]) -> Relations:
    """How often each (text, text of its neighbour, `right` or `below`) occurs; white space and case do not count."""
    cells = [(number, cell, _bare(cell.text)) for number, cell in enumerate(table)]
    found: set[tuple[int, int, str]] = set()
    texts = {number: text for number, _, text in cells}
    for direction in ("right", "below"):
        lines: dict[int, list[tuple[int, int]]] = {}
        for number, cell, text in cells:
            if not text:
                continue
            if direction == "right":
                crossed, start = range(cell.row, cell.last_row + 1), cell.column
            else:
                crossed, start = range(cell.column, cell.last_column + 1), cell.row
            for line in crossed:
                lines.setdefault(line, []).append((start, number))
        for starts in lines.values():
            order = [number for _, number in sorted(starts)]
            found.update((one, other, direction) for one, other in itertools.pairwise(order))
    return Counter((texts[one], texts[other], direction) for one, other, direction in found)


def f1(found: Counter[_T], true: Counter[_T]) -> float:
    """The harmonic mean of precision and recall of relations, or of anything counted; 0 where nothing was found."""
    right = (found & true).total()
    return 2 * right / (found.total() + true.total()) if right else 0.0


def mean_f1(found: Mapping[str, Relations], true: Mapping[str, Relations]) -> float:
    """The mean of `f1` over the documents of `true`."""
    return sum(f1(found.get(name, Counter()), truth) for name, truth in true.items()) / len(true)


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
