"""A process with all that it started: what they take together, and how to end every one of them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_MOST: Final = 10_000  # processes that are looked at: the machine holds no more for long
_PASSES: Final = 100


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process and its descendants hold and have used; zeros and one process where /proc does not tell."""

    resident_bytes: int = 0
    cpu_s: float = 0.0
    processes: int = 1


def taken(pid: int) -> Taken:
    """What the tree under `pid` takes now. Descendants that ended count with their CPU time once waited for."""
    pages = ticks = 0
    pids = [pid, *descendants(pid)]
    for one in pids:
        with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{one}/stat", "rb") as file:
            # The name before the last parenthesis is the process's own choice, spaces and parentheses included.
            fields = file.read().rpartition(b")")[2].split()
            pages += int(fields[21])
            ticks += sum(map(int, fields[11:15]))  # user and system, of itself and of children that it waited for
    return Taken(pages * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK"), len(pids))


def descendants(pid: int) -> list[int]:
    """Children of a process with theirs, nearest first; empty where /proc does not tell (macOS)."""
    found: list[int] = []
    queue = [pid]
    while queue and len(found) < _MOST:
        parent = queue.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    children = [int(child) for child in file.read().split()]
            except OSError:
                continue
            found += children
            queue += children
    return found


def end_tree(leader: int) -> None:
    """SIGKILL for a process that leads a group, for its group, and for all descendants, in whatever groups they are.

    The leader must not have been waited for, and has to adopt orphans (see `walls`) for those to be found as well.
    """
    # Stopped first: what is stopped starts no more, so there is an end to what has to be found.
    below = _signalled_until_none_is_new(leader, signal.SIGSTOP)
    _signal(below, signal.SIGKILL)
    _signalled_until_none_is_new(leader, signal.SIGKILL, known=below)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    _signal([leader], signal.SIGKILL)


def _signalled_until_none_is_new(leader: int, number: signal.Signals, known: Iterable[int] = ()) -> set[int]:
    """All below `leader`, which was itself stopped, after each got the signal; more come while it is on its way."""
    _signal([leader], signal.SIGSTOP)
    seen = set(known)
    for _ in range(_PASSES):
        fresh = set(descendants(leader)) - seen
        if not fresh:
            break
        _signal(fresh, number)
        seen |= fresh
    return seen


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
