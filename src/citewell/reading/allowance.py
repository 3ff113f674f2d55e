"""How a reader asks for more time, page by page: one limit cannot fit both a letter and a book of scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

ALLOW: Final = "allow_s"
"""The key under which a worker passes it on, in a frame of its own before its answer."""

_granted: list[Callable[[float], object]] = []


def allow(seconds: float) -> None:
    """From now on this document may take `seconds`, if it had less left; the worker's owner sets the end of it all.

    Outside a worker nothing limits the time, and nothing happens.
    """
    for grant in _granted:
        grant(seconds)


def on_allow(grant: Callable[[float], object]) -> None:
    """Call `grant` from now on with what readers in this process ask for."""
    _granted.append(grant)
