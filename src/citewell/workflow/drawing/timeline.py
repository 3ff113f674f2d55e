"""The timeline of a run as SVG: a lane for each step, bars for its attempts, ticks for its events."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from citewell.workflow.drawing.text import cut, duration, escaped, plural
from citewell.workflow.drawing.trace import Bar, End, Tick, Trace, Wait

_WIDTH = 1100
_LEFT = 200.0
_RIGHT = 1080.0
_ROW = 13.0
_BINS = 220
_BARS = 3000
"""Drawn one by one in all; a lane with more than its share shows how many attempts worked at a time instead."""
_ROWS = 10
_TICKS = 800

STYLE = """\
.timeline text{font:12px system-ui,sans-serif;fill:var(--ink)}
.timeline .lane{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.timeline .small{font-size:11px;fill:var(--faint)}
.timeline .axis{text-anchor:middle;font-size:11px;fill:var(--faint)}
.timeline .rule{stroke:var(--rule);stroke-width:1;fill:none}
.timeline .done{fill:var(--bar)}
.timeline .failed{fill:var(--failed-line)}
.timeline .ended{fill:var(--idle)}
.timeline .again{stroke:var(--uneven-line);stroke-width:2}
.timeline .cross{stroke:var(--failed-line);stroke-width:2;fill:none}
.timeline .rim{stroke:var(--page);stroke-width:5;fill:none}
.timeline .tick{stroke:var(--event-line);stroke-width:1.5;fill:none}
.timeline .stream{stroke:var(--faint);stroke-width:1;fill:none}
.timeline .wait{stroke:var(--wait);stroke-width:1}
.timeline .hatch{stroke:var(--wait);stroke-width:2.5}
.timeline .over{stroke:var(--start-line);stroke-width:1.5;fill:none}
.timeline .over.bad{stroke:var(--failed-line)}
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From seconds to pixels."""

    span_s: float

    def x(self, at_s: float) -> float:
        share = at_s / self.span_s if self.span_s > 0 else 0.0
        return round(_LEFT + (_RIGHT - _LEFT) * min(max(share, 0.0), 1.0), 1)


def draw_timeline(found: Trace, steps: Sequence[str], title: str, status: str, prefix: str = "t") -> str:
    """The timeline as an svg element; `steps` are its lanes, in order, and steps without a lane get one at the end."""
    scale = _Scale(found.span_s)
    bars: dict[str, list[Bar]] = {step: [] for step in [*steps, *found.steps]}
    for bar in found.bars:
        bars[bar.step].append(bar)
    ticks: dict[str | None, list[Tick]] = {}
    for tick in found.ticks:
        ticks.setdefault(tick.step, []).append(tick)
    share = max(_BARS // max(len(bars), 1), 20)
    apart = len(found.ticks) <= _TICKS
    body: list[str] = []
    y = 30.0
    outside = ticks.get(None, [])
    if outside:
        body += _label(y, "outside", plural(len(outside), "event"))
        body += _ticks(outside, scale, y + 15, apart)
        y = _rule(body, y + 32)
    if found.waits:
        waited = sum(wait.end_s - wait.start_s for wait in found.waits)
        lines, height = _wait_lane(found.waits, scale, y + 4, prefix)
        body += [*_label(y, "people", f"waited {duration(waited)}"), *lines]
        y = _rule(body, y + max(height + 8, 32))
    for step, mine in bars.items():
        tally = found.steps.get(step)
        about = f"{plural(tally.attempts, 'attempt')}, {duration(tally.busy_s)}" if tally else "not reached"
        rows = _packed(mine) if len(mine) <= share else None
        if rows is None or max(rows, default=0) >= _ROWS:
            lines, height = _density(mine, scale, y + 4)
        else:
            lines, height = [], (max(rows, default=0) + 1) * _ROW
            for bar, row in zip(mine, rows, strict=True):
                lines.append(_bar(bar, scale, y + 4 + row * _ROW))
            lines += _crosses(
                [
                    (scale.x(bar.end_s) + 6, y + 3.5 + (row + 0.5) * _ROW)
                    for bar, row in zip(mine, rows, strict=True)
                    if bar.end == "failed"
                ]
            )
        lines += _ticks(ticks.get(step, []), scale, y + height + 5, apart)
        body += [*_label(y, step, about), *lines]
        y = _rule(body, y + max(height + 16, 36))
    over = f'<path class="over{"" if status == "done" else " bad"}" d="M{scale.x(found.span_s):g} 20V{y:g}"/>'
    about = f"{duration(found.span_s)}; {plural(len(found.bars), 'attempt')} of {plural(len(found.steps), 'step')}."
    return "\n".join(
        [
            f'<svg class="timeline" role="img" aria-labelledby="{prefix}-t {prefix}-d" width="{_WIDTH}" '
            f'height="{y + 6:g}" viewBox="0 0 {_WIDTH} {y + 6:g}">',
            f'<title id="{prefix}-t">{escaped(title)}</title>',
            f'<desc id="{prefix}-d">Timeline of {about}</desc>',
            f'<defs><pattern id="{prefix}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path class="hatch" d="M0 0V6"/></pattern></defs>',
            *_axis(scale, y),
            *body,
            over,
            "</svg>",
        ]
    )


def _label(y: float, name: str, about: str) -> list[str]:
    return [
        f'<text class="lane" x="6" y="{y + 14:g}"><title>{escaped(cut(name, 200))}</title>'
        f"{escaped(cut(name, 25))}</text>",
        f'<text class="small" x="6" y="{y + 28:g}">{escaped(cut(about, 32))}</text>',
    ]


def _rule(body: list[str], y: float) -> float:
    body.append(f'<path class="rule" d="M0 {y:g}H{_WIDTH}"/>')
    return y + 2


def _axis(scale: _Scale, low: float) -> Iterator[str]:
    """Lines at round times: 1, 2 or 5 of a unit, in seconds, minutes, hours or days."""
    for at in round_times(scale.span_s):
        x = scale.x(at)
        yield f'<path class="rule" d="M{x:g} 22V{low:g}"/><text class="axis" x="{x:g}" y="16">{duration(at)}</text>'


def round_times(span_s: float) -> list[float]:
    """At most nine times from 0 to the span, evenly apart."""
    if span_s <= 0:
        return [0.0]
    steps = [10.0**power * unit for power in range(-9, 2) for unit in (1, 2, 5) if 10.0**power * unit < 60]
    steps += [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200]
    steps += [86400.0 * 10.0**power * unit for power in range(8) for unit in (1, 2, 5)]
    step = next((one for one in steps if span_s / one <= 8), span_s)
    return [count * step for count in range(math.floor(span_s / step) + 1)]


def _packed(bars: Sequence[Bar]) -> list[int]:
    """A row for each bar, so that bars of one row do not overlap in time."""
    free: list[float] = []
    rows = [0] * len(bars)
    for place in sorted(range(len(bars)), key=lambda one: (bars[one].start_s, one)):
        # A millionth of a second: `started_at` and `duration_s` come from two clocks.
        row = next((row for row, end in enumerate(free) if end <= bars[place].start_s + 1e-6), len(free))
        free[row : row + 1] = [bars[place].end_s]
        rows[place] = row
    return rows


_ENDS: dict[End, str] = {"done": "done", "failed": "failed", "ended": "ended with the run"}


def _bar(bar: Bar, scale: _Scale, y: float) -> str:
    left, right = scale.x(bar.start_s), scale.x(bar.end_s)
    again = " again" if bar.attempt > 1 else ""
    about = f"{bar.step} #{bar.seq}: {_ENDS[bar.end]}, {duration(bar.end_s - bar.start_s)}"
    about += f" at {duration(bar.start_s)}" + (f", attempt {bar.attempt}" if again else "")
    about += f"\n{cut(bar.error, 200)}" if bar.error else ""
    return (
        f'<rect class="{bar.end}{again}" x="{left:g}" y="{y + 1:g}" width="{max(right - left, 2.0):g}" '
        f'height="{_ROW - 3:g}" rx="1"><title>{escaped(about)}</title></rect>'
    )


def _crosses(centres: Sequence[tuple[float, float]]) -> list[str]:
    """The marks of failures, over everything else of a lane, each with a rim in the colour of the page."""
    path = "".join(_cross(x, y) for x, y in centres)
    return [f'<path class="rim" d="{path}"/>', f'<path class="cross" d="{path}"/>'] if path else []


def _cross(x: float, y: float) -> str:
    return f"M{x - 3:g} {y - 3:g}l6 6m0 -6l-6 6"


def _density(bars: Sequence[Bar], scale: _Scale, y: float) -> tuple[list[str], float]:
    """How many attempts worked at a time, over the whole run, with a cross wherever one failed."""
    size = (scale.span_s or 1.0) / _BINS
    # Changes of a running sum rather than every bin of every bar: one bar may cover all of them.
    change = [0.0] * (_BINS + 1)
    part = [0.0] * _BINS
    failed: set[int] = set()
    for bar in bars:
        first, last = (min(max(int(at / size), 0), _BINS - 1) for at in (bar.start_s, bar.end_s))
        if bar.end == "failed":
            failed.add(last)
        if first == last:
            part[first] += (bar.end_s - bar.start_s) / size
        else:
            part[first] += first + 1 - bar.start_s / size
            part[last] += bar.end_s / size - last
            change[first + 1] += 1
            change[last] -= 1
    running, busy = 0.0, []
    for one, other in zip(change, part, strict=False):
        running += one
        busy.append(running + other)
    most, height, wide = max(busy) or 1.0, 36.0, (_RIGHT - _LEFT) / _BINS
    path = [f"M{_LEFT:g} {y + height:g}"]
    for place, one in enumerate(busy):
        # Never lower than a line where something ran, however short.
        level = max(height * one / most, 1.0) if one > 0 else 0.0
        path.append(f"V{y + height - level:.1f}H{_LEFT + (place + 1) * wide:.1f}")
    path.append(f"V{y + height:g}Z")
    errors = sum(bar.end == "failed" for bar in bars)
    about = (
        f"{plural(len(bars), 'attempt')} drawn together: the height is how many worked at a time, at most {most:.2g}"
    )
    lines = [f'<path class="done" d="{"".join(path)}"><title>{about}; {errors:,} failed</title></path>']
    if failed:
        lines += _crosses([(_LEFT + (place + 0.5) * wide, y + 4) for place in sorted(failed)])
    return lines, height


def _ticks(ticks: Sequence[Tick], scale: _Scale, y: float, apart: bool) -> list[str]:
    """Events as strokes, those only for readers as short ones; one element each with its name, or all in two."""
    looks = {False: ("tick", 8), True: ("stream", 4)}
    if apart:
        lines = []
        for tick in ticks:
            name, height = looks[tick.stream]
            about = escaped(f"{cut(tick.event, 80)} #{tick.seq} at {duration(tick.at_s)}")
            path = f"M{scale.x(tick.at_s):g} {y:g}v{height}"
            lines.append(f'<path class="{name}" d="{path}"><title>{about}</title></path>')
        return lines
    lines = []
    for stream, (name, height) in looks.items():
        places = sorted({round(scale.x(tick.at_s)) for tick in ticks if tick.stream is stream})
        if places:
            strokes = "".join(f"M{x} {y:g}v{height}" for x in places)
            lines.append(f'<path class="{name}" d="{strokes}"/>')
    return lines


def _wait_lane(waits: Sequence[Wait], scale: _Scale, y: float, prefix: str) -> tuple[list[str], float]:
    rows = _packed([Bar(0, "", wait.start_s, wait.end_s, 1, "done") for wait in waits])
    if len(waits) > 300 or max(rows) >= _ROWS:
        # Too many to tell apart: when anybody was waited for at all.
        waits = _merged(waits, scale.span_s / 400)
        rows = [0] * len(waits)
    lines = []
    for wait, row in zip(waits, rows, strict=False):
        left, right = scale.x(wait.start_s), scale.x(wait.end_s)
        length, end = duration(wait.end_s - wait.start_s), "answered" if wait.answered else "not answered"
        end += f" by {cut(wait.by, 40)}" if wait.by else ""
        about = f"{cut(wait.event, 80)}: {end} after {length}"
        lines.append(
            f'<rect class="wait" fill="url(#{prefix}-hatch)" x="{left:g}" y="{y + row * _ROW + 1:g}" '
            f'width="{max(right - left, 3.0):g}" height="{_ROW - 3:g}"><title>{escaped(about)}</title></rect>'
        )
    return lines, (max(rows, default=0) + 1) * _ROW


def _merged(waits: Sequence[Wait], gap_s: float) -> list[Wait]:
    found: list[Wait] = []
    for wait in waits:
        if found and wait.start_s <= found[-1].end_s + gap_s:
            before = found.pop()
            end = max(before.end_s, wait.end_s)
            wait = Wait("several", before.start_s, end, before.answered and wait.answered)  # noqa: PLW2901
        found.append(wait)
    return found
