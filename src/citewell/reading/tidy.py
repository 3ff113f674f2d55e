"""Text as people see it: without invisible characters, with white space as single spaces."""

from __future__ import annotations

import re
from typing import Final

_SPACE: Final = re.compile(r"[^\S\n]+")
# Characters that show nothing and break words for search: soft hyphen, zero-width space, word joiner, BOM, and the
# controls that XML and terminals refuse.
_INVISIBLE: Final = re.compile("[\u00ad\u200b\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def visible(text: str) -> str:
    """`text` without characters that show nothing."""
    return text if text.isprintable() else _INVISIBLE.sub("", text)


def tidy(text: str, *, lines: bool = False) -> str:
    """`text` without invisible characters and with runs of white space as one space; `lines` keeps line breaks."""
    if not text.isprintable():  # among much else, white space other than " " and what is invisible is not printable
        text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not lines:
        return " ".join(text.split())
    return "\n".join(_SPACE.sub(" ", line).strip() for line in text.split("\n")).strip("\n")
