"""Reading makes many objects that all stay: the cyclic collector would look at them again and again for nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_T = TypeVar("_T")


class _Pause:
    """How many are reading, and whether the collector was on before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._reading:
                self._was_on = gc.isenabled()
                gc.disable()
            self._reading += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._reading -= 1
            if not self._reading and self._was_on:
                gc.enable()


_PAUSE = _Pause()


def without_collector(
    read: Callable[Concatenate[_Self, _P], _T],
) -> Callable[Concatenate[_Self, _P], _T]:
    """`read` with the cyclic collector of this process at rest, which is a third of the time of a long text.

    For what works on one file of bounded size and returns: what other threads leave behind meanwhile is collected
    after it. A collector that was off stays off.
    """

    @wraps(read)
    def at_rest(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _PAUSE:
            return read(self, *args, **kwargs)

    return at_rest
