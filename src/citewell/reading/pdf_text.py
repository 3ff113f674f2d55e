"""Text of a PDF as it is printed: without the marks and the mathematics in which the layout parser writes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from citewell.reading.tidy import tidy

_MARKS = re.compile(r"\\(.)|\*+", re.DOTALL)
_LATEX = re.compile(r"\$[^$]*\\{1,2}[A-Za-z{}][^$]*\$|\$[^$]*[_^]\{[^$]*\$")
_COMMAND = re.compile(r"\\{1,2}([A-Za-z]+) ?|[{}_^]")
_SYMBOLS = {
    "cdot": "·", "cdots": "⋯", "times": "×", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "neq": "≠", "in": "∈",
    "sum": "∑", "prod": "∏", "int": "∫", "infty": "∞", "pm": "±", "rightarrow": "→", "to": "→", "approx": "≈",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "theta": "θ", "lambda": "λ", "mu": "μ",
    "pi": "π", "sigma": "σ", "phi": "φ", "omega": "ω", "mathcal": "", "mathrm": "", "text": "", "mathbf": "",
    "operatorname": "", "left": "", "right": "", "ldots": "…", "dots": "…", "mid": "|",
}  # fmt: skip
LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " ", "\u2011": "-"}
)
_LIGATED = re.compile("[" + "".join(map(chr, LIGATURES)) + "]")
_LETTERS = re.compile(r"[^\W_]+")
_OTHERS = {sign: None for sign in range(128) if not chr(sign).isalnum()}
_LONG = 100  # characters


def plain(markdown: str) -> str:
    """Text as printed: without liteparse's emphasis marks and escapes, and with ligatures as letters."""
    text = printed(markdown)
    return tidy(_MARKS.sub(lambda match: match[1] or "", text) if "*" in text or "\\" in text else text)


def printed(text: str) -> str:
    """`text` with ligatures as letters and liteparse's LaTeX for mathematics as characters: `$E_{P}$` as `EP`."""
    if ("$" in text and "\\" in text) or "_{" in text or "^{" in text:
        text = _LATEX.sub(lambda match: _COMMAND.sub(_symbol, match[0].strip("$")), text)
    return unligated(text)


def unligated(text: str) -> str:
    """`text` with its ligatures as letters, and plain spaces and hyphens for those that do not break."""
    # Where there are few, as in most text, this takes a fraction of the time that `str.translate` does.
    return text if text.isascii() else _LIGATED.sub(lambda match: LIGATURES[ord(match[0])], text)


def letters(text: str) -> str:
    """The letters and figures of `text` (`str.isalnum`)."""
    if text.isalnum():
        return text
    # Ten times as fast on a long text; it first makes a table, and other text than ASCII it asks about sign by sign.
    if len(text) > _LONG and text.isascii():
        return text.translate(_OTHERS)
    return "".join(_LETTERS.findall(text))


def letters_of(text: str) -> str:
    """The letters and figures of `text` as it is printed."""
    return text if text.isascii() and text.isalnum() else letters(printed(text))


def offsets_of(numbers: Sequence[int], text: str, start: int, end: int) -> list[int]:
    """Where in `text` the letters stand that have these numbers, ascending, among those between `start` and `end`."""
    found: list[int] = []
    passed = at = 0
    for match in _LETTERS.finditer(text, start, end) if numbers else ():
        first, last = match.span()
        while at < len(numbers) and numbers[at] < passed + last - first:
            found.append(first + numbers[at] - passed)
            at += 1
        passed += last - first
    return found


def _symbol(match: re.Match[str]) -> str:
    return _SYMBOLS.get(match[1], match[1]) if match[1] else ""
