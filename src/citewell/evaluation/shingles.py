"""How alike two texts are by the runs of words they share, as article extraction is commonly measured."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_WORD: Final = re.compile(r"\w+")


def shingle_f1(found: str, true: str, size: int = 4) -> float:
    """The F1 of all runs of `size` words in `found` against those in `true`, each as often as it stands there.

    A text of fewer words is one run.
    """
    one, other = _shingles(found, size), _shingles(true, size)
    both = sum((one & other).values())
    return 2 * both / (sum(one.values()) + sum(other.values())) if one or other else 1.0


def _shingles(text: str, size: int) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    if 0 < len(words) < size:
        return Counter([tuple(words)])
    return Counter(tuple(words[at : at + size]) for at in range(len(words) - size + 1))
