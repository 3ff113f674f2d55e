"""Where output goes: results to stdout, the rest to stderr; colours, width and signs as the terminal allows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

TEXT_WIDTH = 100
"""Running text is not set wider than this many columns, however wide the terminal is."""

_SIGNS = {
    "ok": ("✓", "+"),
    "partial": ("◐", "~"),
    "warn": ("!", "!"),
    "fail": ("✗", "x"),
    "none": ("–", "-"),
    "ask": ("?", "?"),
    "under": ("›", ">"),
    "dot": ("·", "-"),
    "dots": ("…", "..."),
    "open": ("“", '"'),
    "close": ("”", '"'),
    "arrow": ("→", "->"),
    "rule": ("─", "-"),
}


class Screen:
    """The two streams of one command. `quiet` leaves out everything but the result.

    `program` is how hints should call us, so that they reach the same knowledge base as the same person.
    """

    def __init__(self, *, no_color: bool = False, quiet: bool = False, program: str = "citewell") -> None:
        self.quiet = quiet
        self.program = program
        self._no_color = no_color or bool(os.environ.get("NO_COLOR"))
        self._consoles: dict[str, Console] = {}

    def sign(self, name: str) -> str:
        """One of our own signs, in ASCII where stdout cannot carry it."""
        return _SIGNS[name][not _utf(sys.stdout)]

    def show(self, *parts: RenderableType) -> None:
        """Print to stdout. A reader that went away (`| head`) is no error: what is left is dropped."""
        console = self._console(sys.stdout)
        with console.capture() as drawn:
            for part in parts:
                console.print(part)
        # Rich fills lines with spaces; in a file they are only in the way of a search.
        write("".join(line.rstrip() + "\n" for line in drawn.get().split("\n")[:-1]))

    def note(self, *parts: RenderableType) -> None:
        """Print to stderr, unless quiet."""
        if not self.quiet:
            console = self._console(sys.stderr)
            for part in parts:
                console.print(part, soft_wrap=True)  # a command in a hint can be copied

    @property
    def width(self) -> int:
        """Columns for running text."""
        return min(self._console(sys.stdout).width, TEXT_WIDTH)

    @property
    def shows_progress(self) -> bool:
        """Whether someone watches stderr."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def _console(self, stream: TextIO) -> Console:
        name = "out" if stream is sys.stdout else "error"
        if name not in self._consoles:
            self._consoles[name] = _console(stream, plain=self._no_color)
        return self._consoles[name]


def _console(stream: TextIO, *, plain: bool) -> Console:
    """Rich on one stream. Without colour, and in a file or a pipe, there are no escape codes at all."""
    from rich.console import Console

    _replace_what_cannot_be_written(stream)
    return Console(
        file=stream,
        # Markup, emoji codes and highlighting are off: what documents say is never a command to the screen.
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=None if stream.isatty() and not plain else False,
        color_system="auto" if stream.isatty() and not plain else None,
    )


def write(text: str) -> None:
    """`text` to stdout as it is; JSON goes this way, without loading rich."""
    _replace_what_cannot_be_written(sys.stdout)
    with _piped():
        sys.stdout.write(text)


def write_raw(text: str) -> None:
    """The UTF-8 bytes of `text` to stdout, whatever its encoding or line ends are."""
    sys.stdout.flush()
    with _piped():
        sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))


def complain(text: str) -> None:
    """One line to stderr, also when quiet."""
    _replace_what_cannot_be_written(sys.stderr)
    with _piped():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


@contextmanager
def _piped() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more. The command's own work is done or goes on, and its exit code stays what it is; what is
        # written from here on, and what the interpreter flushes at exit, goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _utf(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")


def _replace_what_cannot_be_written(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None and getattr(stream, "errors", "") == "strict":
        reconfigure(errors="replace")
