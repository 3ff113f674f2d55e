"""Tables by white space: empty strips that run down part the columns, figures and gaps between lines part the rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median
from typing import Final

from citewell.reading.pdf_grid import Grid, Place, Word, is_value, rows_of, spaced
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_lines import Line

_STRIP: Final = 0.45  # of a line's height: narrower strips of white space part nothing
_SPACE: Final = 0.75  # of a line's height: the widest gap between words of one cell
_BROAD: Final = 0.4  # of a line's height: broader than the space between words of most text
_CLOSE: Final = 0.08
_ENOUGH: Final = 3  # lines of figures that say by themselves where the columns are
_MOST_COLUMNS: Final = 40
_GLUED_RIGHT: Final = frozenset({"$", "€", "£", "¥", "(", "US$", "C$", "A$"})
_MOST_GLUED: Final = max(map(len, _GLUED_RIGHT))  # words: each has a character at least
_GLUED_LEFT: Final = frozenset({")", "%", ")%", "%)"})


@dataclass(slots=True)
class Part:
    """Words of one line that stand together."""

    x0: float
    x1: float
    words: list[Word]

    @property
    def text(self) -> str:
        return spaced(self.words)

    @property
    def center(self) -> float:
        return (self.x0 + self.x1) / 2


@dataclass(slots=True)
class _Row:
    """One line of text; later, all lines of one row. `cells` has (first column, last column) → words."""

    top: float
    bottom: float
    cells: dict[tuple[int, int], list[Word]]

    def is_note(self) -> bool:
        """Whether the text of the first column reaches over others: a heading or a note, no label of figures."""
        return any(first == 0 and last > 0 for first, last in self.cells)

    def alone(self) -> bool:
        """Whether nothing but the first column says anything."""
        return all(first == 0 for first, _ in self.cells)


def by_columns(words: Sequence[Word], across: Sequence[Line] = ()) -> Grid | None:
    """The table that `words` make up, or None where no columns are found; `across` are horizontal lines among them."""
    lines = [parts_of(line) for line in rows_of(words)]
    if len(lines) < 2:
        return None
    height = median(word.height for word in words)
    strips = _separators(lines, height)
    if not strips or len(strips) >= _MOST_COLUMNS:
        return None
    x0, x1 = min(word.x for word in words), max(word.x + word.width for word in words)
    edges = [x0, *strips, x1]
    lines = [[one for part in parts for one in _cut(part, strips)] for parts in lines]
    figures = _figure_columns(lines, edges)
    body = _first_of_body(lines, edges, figures)
    for number in range(body - 1, -1, -1):
        below = lines[number + 1] if number + 1 < body else []
        if len(lines[number]) == 1:
            continue  # a heading by itself is over all the columns that it reaches over
        lines[number] = [one for part in lines[number] for one in _cut_heading(part, strips, below)]
    reach = _reach(lines[body:], edges)
    rows = [_row(parts, _spans(parts, edges)) for parts in lines[body:]]
    heads = [_row(parts, _over(parts, _spans(parts, edges), reach, across)) for parts in lines[:body]]
    inner = sorted(line.at for line in across if line.end - line.start > 0.5 * (x1 - x0))
    rows = _head(heads, height, inner) + _body(rows, figures, inner)
    return _grid(rows, edges)


def parts_of(line: Sequence[Word]) -> list[Part]:
    """A line cut where words stand further apart than in text; signs of currency stay with their figures."""
    parts: list[Part] = []
    for word in line:
        last = parts[-1] if parts else None
        near = last is not None and word.x - last.x1 <= _SPACE * word.height
        if last is not None and word.text in _GLUED_RIGHT and is_value(last.words[-1].text):
            near = False  # the sign of the next figure
        if last is not None and (
            (
                near
                and not (is_value(word.text) and is_value(last.words[-1].text) and word.x - last.x1 > 0.4 * word.height)
            )
            or (len(last.words) <= _MOST_GLUED and last.text in _GLUED_RIGHT)
            or word.text in _GLUED_LEFT
        ):
            last.words.append(word)
            last.x1 = max(last.x1, word.x + word.width)
        else:
            parts.append(Part(word.x, word.x + word.width, [word]))
    return parts


def _separators(lines: Sequence[Sequence[Part]], height: float) -> list[float]:
    """x of the middles of the strips between columns."""
    many = [parts for parts in lines if len(parts) > 1]
    if len(many) < 2:
        return []
    # Headings are set more freely than the figures under them.
    with_figures = [parts for parts in many if sum(is_value(part.text) for part in parts) >= 0.4 * len(parts)]
    if len(with_figures) >= _ENOUGH:
        many = with_figures
    points = sorted({x for parts in many for part in parts for x in (part.x0, part.x1)})
    strips: list[tuple[float, float]] = []
    allowed = 0.12 * len(many)
    crossed = _crossed(many, points)
    for number, (start, end) in enumerate(pairwise(points)):
        if crossed[number] > allowed:
            continue
        if strips and strips[-1][1] == start:
            strips[-1] = (strips[-1][0], end)
        else:
            strips.append((start, end))
    found = [_middle(start, end, lines) for start, end in strips if end - start >= _STRIP * height]
    # Columns that no line has words in both of are one column, set left here and right there.
    changed = True
    while changed and found:
        changed = False
        edges = [float("-inf"), *found, float("inf")]
        held = [{_column(edges, part.center) for part in parts} for parts in many]
        for number in range(len(found)):
            both = sum(number in columns and number + 1 in columns for columns in held)
            either = sum(number in columns for columns in held), sum(number + 1 in columns for columns in held)
            if both <= 0.1 * min(either) or min(either) < 2:
                del found[number]
                changed = True
                break
    return found


def _crossed(lines: Sequence[Sequence[Part]], points: Sequence[float]) -> list[int]:
    """How many of `lines` have a part across each of the strips between `points`, which the parts begin and end at."""
    place = {x: number for number, x in enumerate(points)}
    change = [0] * (len(points) + 1)
    for parts in lines:
        reached = 0
        for first, last in sorted((place[part.x0], place[part.x1]) for part in parts):
            if last > (first := max(first, reached)):
                change[first] += 1
                change[last] -= 1
                reached = last
    return list(accumulate(change))


def _middle(start: float, end: float, lines: Sequence[Sequence[Part]]) -> float:
    """x in a strip that the fewest words of all lines cross, as near to its middle as can be."""
    words = [w for parts in lines for part in parts for w in part.words if w.x < end and start < w.x + w.width]
    ends = sorted({start, end, *(x for w in words for x in (w.x, w.x + w.width) if start < x < end)})
    half = (start + end) / 2
    # Where nothing is crossed next to the middle, the middle itself will do.
    points = [half, *((one + other) / 2 for one, other in pairwise(ends) if other - one > 0.5)]
    return min(points, key=lambda x: (sum(w.x < x < w.x + w.width for w in words), abs(x - half)))


def _cut_heading(part: Part, strips: Sequence[float], below: Sequence[Part]) -> list[Part]:
    """Headings side by side that almost touch: each stands in line with what is below it, or right above the figures.

    A heading over several columns does neither.
    """
    pieces = _cut(part, strips, 0.0)
    if len(pieces) == 1:
        return pieces
    for piece in pieces:
        under = [one for one in below if one.x0 < piece.x1 and piece.x0 < one.x1]
        slack = 0.25 * piece.words[0].height
        if below and not any(
            min(abs(one.x0 - piece.x0), abs(one.x1 - piece.x1), abs(one.center - piece.center)) < slack for one in under
        ):
            return [part]
    return pieces


def _cut(part: Part, strips: Sequence[float], broad: float = _BROAD) -> list[Part]:
    """A part cut where a strip between columns falls on a space that is broader than those between words."""
    if not any(part.x0 < strip < part.x1 for strip in strips):
        return [part]
    pieces: list[list[Word]] = [[]]
    figures = len(part.words)
    while figures > 1 and is_value(part.words[figures - 1].text):
        figures -= 1
    for number, word in enumerate(part.words):
        end = max((one.x + one.width for one in pieces[-1]), default=word.x)
        # A figure after text is an entry of its own already where the space is hardly broader than any.
        least = min(broad, _CLOSE) if is_value(word.text) else broad
        parted = word.x - end > least * word.height and any(end - 1 <= strip <= word.x + 1 for strip in strips)
        # A label that reaches into the next column does not take the figure there with it.
        reached = number == figures and any(part.x0 < strip < word.x for strip in strips)
        if parted or reached:
            pieces.append([])
        pieces[-1].append(word)
    return [Part(words[0].x, max(one.x + one.width for one in words), words) for words in pieces if words]


def _column(edges: Sequence[float], at: float) -> int:
    return bisect_right(edges, at, 1, len(edges) - 1) - 1


def _span(edges: Sequence[float], part: Part, slack: float) -> tuple[int, int]:
    first, last = _column(edges, part.x0 + slack), _column(edges, part.x1 - slack)
    return (first, max(first, last))


def _figure_columns(lines: Sequence[Sequence[Part]], edges: Sequence[float]) -> set[int]:
    """Columns most of whose entries are figures."""
    found: dict[int, list[bool]] = {}
    for parts in lines:
        for part in parts:
            first, last = _span(edges, part, 1.0)
            if first == last and len(parts) > 1:
                found.setdefault(first, []).append(is_value(part.text))
    return {column for column, values in found.items() if sum(values) >= max(2, 0.5 * len(values))}


def _first_of_body(lines: Sequence[Sequence[Part]], edges: Sequence[float], figures: set[int]) -> int:
    """The number of lines that make up the head: those above the first with figures in half of their columns."""
    if figures:
        for number, parts in enumerate(lines):
            with_figures = {_column(edges, part.center) for part in parts if is_value(part.text)} & figures
            if 2 * len(with_figures) >= len(figures):
                # What stands right above, in the first column alone, heads the rows below and not the columns.
                first = number
                while first and all(_span(edges, part, 1.0) == (0, 0) for part in lines[first - 1]):
                    first -= 1
                return first
    return 0


def _reach(lines: Sequence[Sequence[Part]], edges: Sequence[float]) -> list[tuple[float, float]]:
    """From where to where each column is filled, headings apart; an empty one reaches over all of its place."""
    reach: list[tuple[float, float]] = []
    for column, (left, right) in enumerate(pairwise(edges)):
        own = [part for parts in lines for part in parts if _span(edges, part, 1.0) == (column, column)]
        reach.append((min((p.x0 for p in own), default=left), max((p.x1 for p in own), default=right)))
    return reach


def _spans(parts: Sequence[Part], edges: Sequence[float]) -> list[tuple[int, int]]:
    return [_span(edges, part, 1.0) for part in parts]


def _row(parts: Sequence[Part], spans: Sequence[tuple[int, int]]) -> _Row:
    words = [word for part in parts for word in part.words]
    cells: dict[tuple[int, int], list[Word]] = {}
    for part, span in zip(parts, spans, strict=True):
        _enter(cells, span, part.words)
    return _Row(min(w.y for w in words), max(w.y + w.height for w in words), cells)


def _enter(cells: dict[tuple[int, int], list[Word]], span: tuple[int, int], words: Sequence[Word]) -> None:
    """Add `words` to a row; entries that share a column become one."""
    first, last = span
    held = list(words)
    while (other := next((one for one in cells if one[0] <= last and first <= one[1]), None)) is not None:
        held = [*cells.pop(other), *held]
        first, last = min(first, other[0]), max(last, other[1])
    cells[first, last] = held


def _over(
    parts: Sequence[Part],
    spans: list[tuple[int, int]],
    reach: Sequence[tuple[float, float]],
    across: Sequence[Line],
) -> list[tuple[int, int]]:
    """The columns that headings are over: those above the rule under them, or those that they are in the middle of."""
    ruled = [_above_rule(part, span, reach, across) for part, span in zip(parts, spans, strict=True)]
    if ruled != spans:
        return ruled
    heads = [number for number, span in enumerate(spans) if span != (0, 0)]
    columns = list(range(1, len(reach)))
    size, rest = divmod(len(columns), max(1, len(heads)))
    # One heading in the middle of an odd number of columns is rather that of the one that it stands over.
    if rest or size < 2 or not heads or (len(heads) == 1 and size % 2 and all(a == b for a, b in spans)):
        return spans
    wide = list(spans)
    for place, number in enumerate(heads):
        first, last = columns[place * size], columns[(place + 1) * size - 1]
        left, right = reach[first][0], reach[last][1]
        inside = first <= spans[number][0] and spans[number][1] <= last
        if not inside or abs((left + right) / 2 - parts[number].center) > (right - left) / 5:
            return spans
        wide[number] = (first, last)
    return wide


def _above_rule(
    part: Part, span: tuple[int, int], reach: Sequence[tuple[float, float]], across: Sequence[Line]
) -> tuple[int, int]:
    bottom = max(word.y + word.height for word in part.words)
    height = part.words[0].height
    for line in across:
        if not bottom - height / 2 <= line.at <= bottom + height or line.start > part.x0 + 2 or line.end < part.x1 - 2:
            continue
        under = [c for c, (left, right) in enumerate(reach) if line.start <= (left + right) / 2 <= line.end]
        if 1 < len(under) < len(reach) - 1 and under[0] <= span[0] and span[1] <= under[-1]:
            return (under[0], under[-1])
    return span


def _head(rows: Sequence[_Row], height: float, across: Sequence[float]) -> list[_Row]:
    """Rows of the head: lines of one heading are joined, headings over several columns stay by themselves."""
    result: list[_Row] = []
    for row in rows:
        above = result[-1] if result else None
        if (
            above is not None
            and row.top - above.bottom < 0.6 * height
            and not any(above.bottom - 1 <= at <= row.top + height / 2 for at in across)
            and all(first == last for first, last in row.cells)
            and all(first == last for first, last in above.cells)
        ):
            _add(above, row)
        else:
            result.append(row)
    return result


def _add(above: _Row, row: _Row) -> None:
    for span, words in row.cells.items():
        _enter(above.cells, span, words)
    above.top, above.bottom = min(above.top, row.top), max(above.bottom, row.bottom)


def _body(rows: Sequence[_Row], figures: set[int], across: Sequence[float]) -> list[_Row]:
    """Lines put together to rows."""
    if len(rows) < 2:
        return list(rows)
    lined = [any(one.bottom - 2 <= at <= other.top + 2 for at in across) for one, other in pairwise(rows)]
    steps = [other.top - one.top for one, other in pairwise(rows)]
    main = [any(first in figures for first, _ in row.cells) for row in rows]
    if sum(lined) >= 2 and sum(lined) >= 0.4 * max(1, sum(main) - 1) and not _several(main, lined):
        joined = [
            not line and not (figures and one.alone() and not main[n] and _label(other)[:1].isupper())
            for n, (line, (one, other)) in enumerate(zip(lined, pairwise(rows), strict=True))
        ]
    elif figures:
        joined = _joined_by_figures(rows, main, steps)
    else:
        joined = _joined_by_steps(rows, steps)
    if figures:
        notes = [row.is_note() for row in rows]
        joined = [with_above and not any(pair) for with_above, pair in zip(joined, pairwise(notes), strict=True)]
    result = [rows[0]]
    for row, with_above in zip(rows[1:], joined, strict=True):
        if with_above:
            _add(result[-1], row)
        else:
            result.append(row)
    return result


def _several(main: Sequence[bool], lined: Sequence[bool]) -> bool:
    """Whether between two lines there are several rows of figures somewhere."""
    count = int(main[0])
    for is_main, line in zip(main[1:], lined, strict=True):
        count = int(is_main) if line else count + is_main
        if count > 1:
            return True
    return False


def _joined_by_figures(rows: Sequence[_Row], main: Sequence[bool], steps: Sequence[float]) -> list[bool]:
    """For each line but the first, whether it goes on with the row above: what has no figures may be the rest of it."""
    joined = [False] * len(steps)
    for number in range(len(rows)):
        if main[number]:
            continue
        up = steps[number - 1] if number else float("inf")
        down = steps[number] if number + 1 < len(rows) else float("inf")
        text = _label(rows[number])
        below = _label(rows[number + 1]) if number + 1 < len(rows) else ""
        if text[:1].islower() or (not rows[number].alone() and up < 0.9 * down):
            if number and up <= 1.1 * down:
                joined[number - 1] = True
        elif up < 0.85 * down and number:
            joined[number - 1] = True
        elif not text.endswith(":") and number + 1 < len(rows) and (below[:1].islower() or down < 0.85 * up < 1e9):
            joined[number] = True
    return joined


def _joined_by_steps(rows: Sequence[_Row], steps: Sequence[float]) -> list[bool]:
    """For each line but the first, whether it goes on with the row above, in a table of text."""
    low, high = min(steps), max(steps)
    if high > 1.25 * low:
        limit = (low + min(high, 2.5 * low)) / 2
        return [step < limit for step in steps]
    columns = max(last for row in rows for _, last in row.cells)
    return [
        not (any(first == 0 for first, _ in row.cells) and (not columns or any(first for first, _ in row.cells)))
        or _label(row)[:1].islower()
        for row in rows[1:]
    ]


def _label(row: _Row) -> str:
    words = next((words for (first, _), words in row.cells.items() if first == 0), [])
    return " ".join(word.text for word in words)


def _grid(rows: Sequence[_Row], edges: Sequence[float]) -> Grid:
    places: list[Place] = []
    for number, row in enumerate(rows):
        for (first, last), words in sorted(row.cells.items()):
            box = _box(words)
            places.append(Place(number, first, number + 1, last + 1, box, words))
    boxes = [place.box for place in places]
    whole = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    return Grid(whole, places, len(rows), len(edges) - 1)


def _box(words: Sequence[Word]) -> Box:
    return (
        min(w.x for w in words),
        min(w.y for w in words),
        max(w.x + w.width for w in words),
        max(w.y + w.height for w in words),
    )
