"""Colours as office formats write them, and whether text of one can be told from a ground of another."""

from __future__ import annotations

import re
from typing import Final

PAPER: Final = "FFFFFF"
CONTRAST: Final = 12
"""Of 255 levels of a colour: less is not seen, as for PDF."""

_HEX: Final = re.compile("[0-9A-Fa-f]{6}")


def rgb(text: str | None) -> str | None:
    """`text` as RRGGBB, without the sign or the opacity in front of it; None where it is no colour in figures."""
    digits = (text or "").strip().lstrip("#")
    digits = digits[2:] if len(digits) == 8 else digits
    return digits.upper() if _HEX.fullmatch(digits) else None


def near(one: str | None, other: str | None) -> bool:
    """Whether two colours (RRGGBB) cannot be told apart; False where one is not known."""
    if not (one and other and _HEX.fullmatch(one) and _HEX.fullmatch(other)):
        return False
    return all(abs(int(one[at : at + 2], 16) - int(other[at : at + 2], 16)) <= CONTRAST for at in (0, 2, 4))
