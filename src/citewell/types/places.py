"""Where something stands: in a document's text, on a page, in the bytes of a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters [start, end) of one document's text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        assert 0 <= self.start <= self.end, (self.start, self.end)

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        """The characters of `text` under this span."""
        return text[self.start : self.end]

    def overlaps(self, other: Span) -> bool:
        """Whether the two share at least one character."""
        return self.start < other.end and other.start < self.end

    def within(self, other: Span) -> bool:
        """Whether every character of this span is in `other`."""
        return other.start <= self.start and self.end <= other.end


@dataclass(frozen=True, slots=True)
class Region:
    """A place on a page: 1-based page number and, where known, a box (x0, y0, x1, y1) in points from the top left."""

    page: int
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class TextLine:
    """Where on a page the characters under `span` are printed: one line of a block, or the part of it in one column."""

    span: Span
    region: Region


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the source as it was found: [start, end), counted from 0 in `unit`, of its part `part`.

    `unit` is `bytes` where the format lets us know them, else what the format itself counts: `lines`, `rows`,
    `records`, `cells` (of a notebook), `paragraphs` (elements of that kind in the order of the part's XML), `elements`.
    `part` names the file inside a container (`word/document.xml`), a sheet or cells of it (`Sheet1!A3:C3`), a MIME part
    (`1.2`), and is "" where the source is one piece. The bytes hold the block with its marks: the `##` of a heading,
    the tags of a paragraph, the quotes of a field.
    """

    start: int
    end: int
    unit: str = "bytes"
    part: str = ""

    def __post_init__(self) -> None:
        assert 0 <= self.start <= self.end, (self.start, self.end)

    @property
    def said(self) -> str:
        """The place as people name it: `lines 3-5`, `document.xml paragraph 12`, `Sheet1!A3:C3`, `bytes 10-80`."""
        if self.unit == "rows" and "!" in self.part and not self.part.endswith("'"):  # cells, not the sheet `'Go!'`
            return self.part
        part = self.part if self.unit == "rows" else self.part.rpartition("/")[2]  # of a file, the folder says least
        if part.replace(".", "").isdigit():
            part = f"part {part}"  # of a mail
        if self.unit == "bytes":
            where = f"{self.unit} {self.start:,}-{self.end:,}"
        elif self.end - self.start < 2:  # people count lines from 1, and name the last one too
            where = f"{self.unit.removesuffix('s')} {self.end:,}"
        else:
            where = f"{self.unit} {self.start + 1:,}-{self.end:,}"
        return f"{part} {where}" if part else where


@dataclass(frozen=True, slots=True)
class Link:
    """What the characters under `span` point to: `target` as the source writes it, so often relative to its uri."""

    span: Span
    target: str
