"""The few shapes all views are made of: a table without lines, a heading, an indented paragraph, a quote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from citewell.cli.plain import clean, line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from citewell.cli.screen import Screen
    from citewell.types import DocumentRef

STYLES = {"ok": "green", "warn": "yellow", "partial": "yellow", "fail": "red", "none": "yellow", "ask": "cyan"}


def table(*columns: str | tuple[str, str]) -> Table:
    """An empty table with these headings; a pair is (heading, `right` or `fold`). Long words fold, nothing is cut."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for column in columns:
        name, kind = column if isinstance(column, tuple) else (column, "")
        if kind == "fold":
            made.add_column(name, overflow="fold", ratio=None, min_width=12)
        else:
            made.add_column(name, justify="right" if kind == "right" else "left", no_wrap=True)
    return made


def grid() -> Table:
    """Names on the left, what they stand for on the right."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def indented(part: RenderableType, columns: int = 2) -> Padding:
    """`part`, so many columns to the right."""
    return Padding(part, (0, 0, 0, columns), expand=False)


def heading(text: str) -> Text:
    """A heading of our own words."""
    return Text(text, style="bold")


def outcome(screen: Screen, kind: str, words: str) -> Text:
    """A line that begins with the sign of its kind, in its colour."""
    return Text.assemble((f"{screen.sign(kind)} ", STYLES[kind]), (words, STYLES[kind] if kind != "ok" else "bold"))


def quoted(screen: Screen, quote: str, limit: int = 600) -> Text:
    """A quote on one paragraph in quotation marks; a long one is cut, and says so."""
    text = line(quote)
    if len(text) > limit:
        text = text[:limit].rsplit(" ", 1)[0] + f" {screen.sign('dots')}"
    return Text(f"{screen.sign('open')}{text}{screen.sign('close')}")


def place(screen: Screen, document: DocumentRef, heading_path: Sequence[str]) -> str:
    """Title › headings; a heading that repeats the title is left out."""
    title = line(document.title) or line(document.uri)
    path = [line(one) for one in heading_path]
    if path and path[0].casefold() == title.casefold():
        path = path[1:]
    return f" {screen.sign('under')} ".join([title, *path])


def paragraph(text: str) -> Text:
    """Running text from data; its own line breaks stay."""
    return Text(clean(text), overflow="fold")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 source`, `2 sources`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(iso: str) -> str:
    """An ISO time as `2025-03-01 14:05`; anything else as it is."""
    return line(iso)[:16].replace("T", " ") if iso else ""


def duration(seconds: float | None) -> str:
    """`0.4 ms`, `12 ms`, `1.3 s`."""
    if seconds is None:
        return ""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
