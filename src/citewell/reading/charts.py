"""A chart as the table it was drawn from: categories down, series across, with its title as the caption."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from citewell.reading.docx_xml import name, number
from citewell.reading.number_format import show
from citewell.reading.office_parts import A
from citewell.reading.package import Package
from citewell.reading.pieces import Piece
from citewell.reading.tables import Table, too_many_cells
from citewell.reading.tidy import tidy
from citewell.types import BlockKind

C: Final = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_MAX_POINTS: Final = 100_000


def chart_piece(package: Package, part: str, max_cells: int) -> Piece | None:
    """The chart in a part as a table with a caption, or as a caption's text alone; None where it says nothing.

    Raises ReadError limit_exceeded for charts of over `max_cells` points.
    """
    root = package.xml(part)
    chart = root.find(f"{C}chart") if root is not None else None
    if chart is None:
        return None
    title = _title(chart)
    plot = chart.find(f"{C}plotArea")
    series = [one for group in (plot if plot is not None else ()) for one in group.iterfind(f"{C}ser")]
    if not series:
        return Piece(BlockKind.FIGURE, title) if title else None
    categories: dict[int, str] = {}
    columns: list[tuple[str, dict[int, str]]] = []
    for count, one in enumerate(series, 1):
        found = _points(one.find(f"{C}cat")) or _points(one.find(f"{C}xVal"))
        for at, text in found.items():
            categories.setdefault(at, text)
        values = _points(one.find(f"{C}val")) or _points(one.find(f"{C}yVal"))
        named = _points(one.find(f"{C}tx")) or {0: tidy(one.findtext(f"{C}tx/{C}v") or "")}
        columns.append((" ".join(filter(None, named.values())) or f"Series {count}", values))
        sizes = _points(one.find(f"{C}bubbleSize"))
        if sizes:
            columns.append((f"{columns[-1][0]} (size)", sizes))
    places = sorted(categories.keys() | {at for _, values in columns for at in values})
    if len(places) * (len(columns) + 1) > max_cells:
        raise too_many_cells(len(places) * (len(columns) + 1), max_cells)
    axes = [text for axis in (plot if plot is not None else ()) if name(axis).endswith("Ax") if (text := _title(axis))]
    rows = [
        [axes[0] if axes else "", *(name_ for name_, _ in columns)],
        *([categories.get(at, str(at + 1)), *(values.get(at, "") for _, values in columns)] for at in places),
    ]
    caption = title if len(axes) < 2 else f"{title} ({' / '.join(axes[1:])})".strip()
    return Piece(BlockKind.TABLE, table=Table(rows, header_rows=1), caption=caption)


def _title(parent: Any) -> str:
    title = parent.find(f"{C}title")
    if title is None:
        return ""
    lines = ["".join(text.text or "" for text in line.iter(f"{A}t")) for line in title.iter(f"{A}p")]
    written = tidy(" ".join(lines))
    return written or " ".join(_points(title.find(f"{C}tx")).values())


def _points(holder: Any) -> dict[int, str]:
    """The cached texts of a reference by their place, as shown under the format that the file keeps with them."""
    if holder is None:
        return {}
    levels: list[dict[int, str]] = []
    for cache in _caches(holder):
        code = cache.findtext(f"{C}formatCode") or "General"
        found: dict[int, str] = {}
        for point in cache.iterfind(f"{C}pt"):
            at = number(point.get("idx"))
            text = tidy(point.findtext(f"{C}v") or "")
            if at is not None and 0 <= at < _MAX_POINTS and text:
                found[at] = _shown(text, point.get("formatCode") or code) if "num" in name(cache) else text
        levels.append(found)
    if len(levels) < 2:
        return levels[0] if levels else {}
    # Categories in several levels: the outer one is written once for all that it covers.
    joined: dict[int, str] = {}
    outer = [sorted(level.items()) for level in reversed(levels[1:])]
    for at, text in levels[0].items():
        above = [next((t for place, t in reversed(level) if place <= at), "") for level in outer]
        joined[at] = " / ".join(filter(None, [*above, text]))
    return joined


def _caches(holder: Any) -> Iterator[Any]:
    yield from holder.iter(f"{C}strCache", f"{C}strLit", f"{C}numCache", f"{C}numLit", f"{C}lvl")


def _shown(text: str, code: str) -> str:
    try:
        return show(float(text), code).text or text
    except (ValueError, OverflowError):
        return text
