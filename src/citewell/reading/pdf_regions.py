"""Where on a page a table may be that has no grid of lines: between rules, or where lines end in figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from citewell.reading.pdf_columns import Part, parts_of
from citewell.reading.pdf_grid import Word, is_value, merged, rows_of
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_lines import Line

_APART: Final = 1.2  # of a line's height: parts of a line this far apart are no running text
_LONG: Final = 60  # characters: longer parts of a line are text beside a table
_FEWEST: Final = 3
_CAPTION: Final = re.compile(r"(table|tab\.|figure|fig\.|tabelle|abbildung|tableau|source|note|exhibit)\b", re.I)


@dataclass(slots=True)
class Region:
    """Words that may be a table: `known` if the parser takes them for one, `ruled` if they stand between rules."""

    words: list[Word]
    known: bool = False
    ruled: bool = False


@dataclass(slots=True)
class _TextLine:
    words: list[Word]
    parts: list[Part]
    top: float
    bottom: float
    height: float

    def is_tabular(self) -> bool:
        """Whether the line has figures that stand apart from what is before them."""
        if len(self.parts) < 2 or any(len(part.text) > _LONG for part in self.parts):
            return False
        return any(
            other.x0 - one.x1 > _APART * self.height and is_value(other.text) for one, other in pairwise(self.parts)
        )

    def is_apart(self) -> bool:
        """Whether the line has parts that stand well apart."""
        return any(other.x0 - one.x1 > _APART * self.height for one, other in pairwise(self.parts))


def regions(words: Sequence[Word], across: Sequence[Line], tables: Sequence[Box]) -> list[Region]:
    """Regions of a page whose words outside grids are `words`; `tables` are boxes of what the parser takes for one."""
    lines = [_text_line(line) for line in rows_of(words)]
    found: list[Region] = []
    taken: set[int] = set()
    for box in _between_rules(across, lines):
        inside = set(_in(box, lines))
        if not inside & taken:
            taken |= inside
            found.append(Region([w for n in sorted(inside) for w in lines[n].words if _holds(box, w)], ruled=True))
    known = [(inside, box) for box in tables if (inside := set(_in(box, lines))) and not inside <= taken]
    runs = _runs(lines)
    for inside, box in known:
        numbers = set(inside)
        for run in runs:
            others = sum(bool(run & other) for other, _ in known)
            if run & inside and others == 1 and _fits(run, box, lines):
                numbers |= run
        wide = _widened(inside, box, lines)
        numbers = _extended(numbers, lines, wide) - taken
        taken |= numbers
        held = [w for n in sorted(numbers) for w in lines[n].words if n not in inside or _holds(wide, w)]
        found.append(Region(held, known=True))
    for run in runs:
        if not run & taken:
            numbers = _extended(run, lines, None) - taken
            taken |= numbers
            found.append(Region([w for n in sorted(numbers) for w in lines[n].words]))
    return found


def _widened(inside: set[int], box: Box, lines: Sequence[_TextLine]) -> Box:
    """`box` with the columns right beside it: most lines have short parts there, and none a long one."""
    x0, y0, x1, y1 = box
    for side in (0, 1):
        beside = []
        for number in inside:
            parts = lines[number].parts
            beside.append([part for part in parts if (part.center < x0 - 2 if side == 0 else part.center > x1 + 2)])
        filled = [parts for parts in beside if parts]
        if 2 * len(filled) < len(inside) or any(len(part.text) > _LONG // 2 for parts in filled for part in parts):
            continue
        if side == 0:
            x0 = min(part.x0 for parts in filled for part in parts)
        else:
            x1 = max(part.x1 for parts in filled for part in parts)
    return (x0, y0, x1, y1)


def _text_line(words: list[Word]) -> _TextLine:
    return _TextLine(
        words,
        parts_of(words),
        min(w.y for w in words),
        max(w.y + w.height for w in words),
        median(w.height for w in words),
    )


def _holds(box: Box, word: Word) -> bool:
    return box[0] - 2 <= word.x + word.width / 2 <= box[2] + 2 and box[1] - 1 <= word.middle <= box[3] + 1


def _in(box: Box, lines: Sequence[_TextLine]) -> list[int]:
    return [
        number
        for number, line in enumerate(lines)
        if line.top <= box[3] + 1 and line.bottom >= box[1] - 1 and any(_holds(box, word) for word in line.words)
    ]


def _fits(run: set[int], box: Box, lines: Sequence[_TextLine]) -> bool:
    """Whether the lines of a run are about as wide as a table, so that nothing beside it is among them."""
    x0 = min(w.x for n in run for w in lines[n].words)
    x1 = max(w.x + w.width for n in run for w in lines[n].words)
    return x0 > box[0] - 0.15 * (box[2] - box[0]) and x1 < box[2] + 0.15 * (box[2] - box[0])


def _runs(lines: Sequence[_TextLine]) -> list[set[int]]:
    """Numbers of lines with figures, close to each other, with lone lines in between."""
    runs: list[set[int]] = []
    last: int | None = None
    for number, line in enumerate(lines):
        if not line.is_tabular():
            continue
        if last is not None and number - last <= 4 and _joined(lines[last : number + 1]):
            runs[-1].update(range(last, number + 1))
        else:
            runs.append({number})
        last = number
    return [run for run in runs if sum(lines[number].is_tabular() for number in run) >= _FEWEST]


def _joined(lines: Sequence[_TextLine]) -> bool:
    if any(other.top - one.bottom > 1.8 * max(one.height, other.height) for one, other in pairwise(lines)):
        return False
    return all(max(len(part.text) for part in line.parts) <= _LONG for line in lines[1:-1])


def _extended(numbers: set[int], lines: Sequence[_TextLine], box: Box | None) -> set[int]:
    """With the lines of its head above, and what goes on below."""
    result = set(numbers)
    x0 = min(w.x for n in numbers for w in lines[n].words) if box is None else box[0]
    x1 = max(w.x + w.width for n in numbers for w in lines[n].words) if box is None else box[2]
    for step in (-1, 1):
        at = (min(result) if step < 0 else max(result)) + step
        while 0 <= at < len(lines):
            line, near = lines[at], lines[at - step]
            gap = near.top - line.bottom if step < 0 else line.top - near.bottom
            inside = x0 - 3 <= line.words[0].x and max(w.x + w.width for w in line.words) <= x1 + 3
            if gap > line.height or not inside or _CAPTION.match(line.parts[0].text):
                break
            if step > 0 and not line.is_tabular():
                break
            if step < 0 and (not line.is_apart() or any(len(part.text) > _LONG for part in line.parts)):
                # A heading over several columns stands alone, but not at the left.
                alone = len(line.parts) == 1 and line.parts[0].x0 > x0 + 0.2 * (x1 - x0)
                if not alone or box is not None:
                    break
            result.add(at)
            at += step
    return result


def _between_rules(across: Sequence[Line], lines: Sequence[_TextLine]) -> list[Box]:
    """Boxes between rules of the same width above each other with lines in between that have parts apart."""
    groups: list[list[Line]] = []
    for line in merged(across):
        if line.end - line.start < 72:
            continue
        group = next((g for g in groups if abs(g[0].start - line.start) < 4 and abs(g[0].end - line.end) < 4), None)
        if group is None:
            groups.append([line])
        else:
            group.append(line)
    boxes: list[Box] = []
    for group in groups:
        if len(group) < _FEWEST:
            continue
        box = (group[0].start, group[0].at, group[0].end, group[-1].at)
        inside = [lines[number] for number in _in(box, lines)]
        if len(inside) < _FEWEST or 2 * sum(len(line.parts) > 1 for line in inside) < len(inside):
            continue
        # Rules under single columns are not those of the table.
        words = [word for line in inside for word in line.words]
        if sum(_holds(box, word) for word in words) >= 0.9 * len(words):
            boxes.append(box)
    return sorted(boxes, key=lambda box: (box[1] - box[3], box))
