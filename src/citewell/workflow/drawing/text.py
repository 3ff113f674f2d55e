"""Text of a drawing: foreign text made harmless, its width guessed, quantities in words."""

import html
import json
import math
import re
import unicodedata
from typing import Any

# What XML has no place for, and what would reorder or hide the text around it: controls, lone surrogates,
# non-characters, and the marks of writing direction.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


def clean(text: str) -> str:
    """The text with U+FFFD in place of every character that cannot be shown safely."""
    return _UNSHOWABLE.sub("\ufffd", text)


def escaped(text: str) -> str:
    """Clean text for the content of an element or for a quoted attribute, of XML and of HTML."""
    return html.escape(clean(text))


def cut(text: str, cells: int) -> str:
    """One line of at most `cells` columns; an ellipsis says that something was left out."""
    # Only the beginning is looked at: a name may be megabytes long.
    line = " ".join(clean(text[: 4 * cells + 8]).split())
    if len(text) <= 4 * cells + 8 and columns(line) <= cells:
        return line
    kept = ""
    for character in line:
        if columns(kept) + columns(character) > cells - 1:
            break
        kept += character
    return kept + "…"


def columns(text: str) -> int:
    """Width of a line in columns of a fixed-width font."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def plural(count: int, noun: str) -> str:
    """`1 step`, `1,200 steps`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """A time span in the units that keep it short: `480 µs`, `12.5 ms`, `3.2 s`, `4 min 5 s`, `3 d 4 h`."""
    if not 0 < seconds < math.inf:
        return "0 s"
    for limit, factor, unit in ((999.5e-6, 1e6, "µs"), (0.9995, 1e3, "ms"), (59.95, 1, "s")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    for limit, large, small, (first, second) in (
        (3599.5, 60, 1, ("min", "s")),
        (86_370, 3600, 60, ("h", "min")),
        (math.inf, 86_400, 3600, ("d", "h")),
    ):
        if seconds < limit:
            whole, rest = divmod(round(seconds / small), large // small)
            return f"{whole:,} {first} {rest} {second}" if rest else f"{whole:,} {first}"
    raise AssertionError(seconds)


def preview(payload: Any, characters: int) -> tuple[str, bool]:
    """The beginning of a JSON value, indented, and whether something was left out.

    What is not JSON is named by its type: its own text might differ from one process to the next.
    """
    kept: list[str] = []
    left = characters
    encoder = json.JSONEncoder(
        ensure_ascii=False, indent=1, skipkeys=True, default=lambda one: f"<{type(one).__name__}>"
    )
    try:
        for piece in encoder.iterencode(payload):
            kept.append(piece[:left])
            left -= len(piece)
            if left < 0:
                break
    except (ValueError, RecursionError) as error:
        return f"not shown: {type(error).__name__}", False
    return clean("".join(kept)), left < 0
