"""Whether reading takes time in proportion to what is read."""

from __future__ import annotations

from collections.abc import Callable


def out_of_proportion(seconds: Callable[[int], float], size: int) -> list[tuple[float, float]]:
    """Nothing, or what was measured, where four times `size` takes over twice its share of the CPU time each time.

    0.3 s are allowed for the noise of a busy machine. What grows with the square takes sixteen times as long every
    time; a neighbour's load does not come three times.
    """
    seconds(size // 100)  # libraries loaded
    measured = []
    for _ in range(3):
        small, large = seconds(size), seconds(4 * size)
        if large < 8 * small + 0.3:
            return []
        measured.append((small, large))
    return measured
