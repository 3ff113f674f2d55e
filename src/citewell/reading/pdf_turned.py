"""Text set sideways on a page, as wide tables are: seen with the page turned so that it runs from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from citewell.reading.pdf_grid import Grid, Word
from citewell.reading.pdf_layout import Box
from citewell.reading.pdf_lines import Line, Lines


@dataclass(frozen=True, slots=True)
class Turned:
    """A page of which text that runs at `angle` (0, 90 or 270 degrees clockwise) is seen upright; sizes in points."""

    angle: int
    width: float
    height: float

    def word(self, item: Any, number: int) -> Word:
        """What has the box and the text of a liteparse item or word, upright; `number` is that of its item."""
        if not self.angle:
            return Word(item.x, item.y, item.width, item.height, item.text, number)
        if self.angle == 270:
            return Word(self.height - item.y - item.height, item.x, item.height, item.width, item.text, number)
        return Word(item.y, self.width - item.x - item.width, item.height, item.width, item.text, number)

    def lines(self, lines: Lines) -> Lines:
        """The lines of the page, upright."""
        if self.angle == 270:
            across = [Line(one.at, self.height - one.end, self.height - one.start) for one in lines.down]
            return Lines(across, [Line(self.height - one.at, one.start, one.end) for one in lines.across])
        if self.angle == 90:
            down = [Line(one.at, self.width - one.end, self.width - one.start) for one in lines.across]
            return Lines([Line(self.width - one.at, one.start, one.end) for one in lines.down], down)
        return lines

    def box(self, box: Box) -> Box:
        """A box on the page, upright."""
        x0, y0, x1, y1 = box
        if self.angle == 270:
            return (self.height - y1, x0, self.height - y0, x1)
        return (y0, self.width - x1, y1, self.width - x0) if self.angle == 90 else box

    def back(self, box: Box) -> Box:
        """An upright box as it stands on the page."""
        x0, y0, x1, y1 = box
        if self.angle == 270:
            return (y0, self.height - x1, y1, self.height - x0)
        return (self.width - y1, x0, self.width - y0, x1) if self.angle == 90 else box

    def turn_back(self, grid: Grid) -> None:
        """Give the boxes of `grid` as they stand on the page."""
        grid.box = self.back(grid.box)
        for place in grid.places:
            place.box = self.back(place.box)


def main_direction(items: Sequence[Any], width: float, height: float) -> Turned:
    """How to see the page so that most of the text of `items` is upright."""
    lengths = {0: 0, 90: 0, 270: 0}
    for item in items:
        angle = angle_of(item)
        if angle in lengths:
            lengths[angle] += len(item.text)
    return Turned(max(lengths, key=lambda angle: (lengths[angle], -angle)), width, height)


def angle_of(item: Any) -> int:
    """In which direction an item's text runs, in degrees clockwise, to the nearest right angle."""
    return int(round(item.rotation / 90) * 90 % 360)
