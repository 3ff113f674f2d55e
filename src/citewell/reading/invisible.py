"""Characters that show nothing: those that writing needs stay, those that carry a message unseen go and are counted.

Joiners stay in the scripts that write with them and in emoji, variation selectors where there are variants, tags in
the flags that have them, direction marks beside letters that run from right to left. Embeddings, overrides and
isolates of direction go, and the text stays in the order in which it is stored, which is the order that models read.
Private-use characters of the basic plane stay: fonts show them as bullets and icons.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from citewell.reading.tidy import visible


class Kind(StrEnum):
    """What was removed, as warnings name it."""

    TAGS = "tag characters"
    SELECTORS = "variation selectors"
    ZERO_WIDTH = "zero-width characters in runs"
    DIRECTION = "text direction controls"
    ANNOTATION = "annotation marks"
    PRIVATE = "private-use characters in runs"
    UNASSIGNED = "characters without a meaning"


@dataclass(frozen=True, slots=True)
class Clean:
    """A text without what shows nothing.

    `removed` has the offsets of all that went, ascending, in the text before. `secret` counts by kind those that are
    reported: all but single marks that only guide line breaking (soft hyphens, zero-width spaces, byte order marks)
    and controls. `counted` is how many of `removed` an independent count holds that leaves out what `tidy` does.
    """

    text: str
    removed: tuple[int, ...] = ()
    secret: Mapping[Kind, int] = field(default_factory=dict)
    counted: int = 0

    def before(self, offset: int) -> int:
        """Where the character at `offset` of the text stood before; removed ones stand before what follows them."""
        low, high = offset, offset + len(self.removed)
        while low < high:
            middle = (low + high) // 2
            if middle + 1 - bisect_left(self.removed, middle + 1) > offset:
                high = middle
            else:
                low = middle + 1
        return low

    def after(self, offset: int) -> int:
        """Where the character at `offset` of the text before stands now; a removed one where the next one does."""
        return offset - bisect_left(self.removed, offset)


# Everything that may have to go; what is not in it is not looked at.
_SUSPECT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1b\x7f\x80-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]+"
)
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D, *range(0x1C, 0x20)})
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_BREAKS: Final = frozenset("\u00ad\u200b\u2060\ufeff")
_JOINERS: Final = frozenset("\u200c\u200d")
_MARKS: Final = frozenset("\u200e\u200f\u061c")  # of direction, without a reach
_EMBEDDINGS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
_FLAGS: Final = re.compile("\U0001f3f4((?:\U000e0067\U000e0062)(?:\U000e0065\U000e006e\U000e0067"
                           "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f)")  # fmt: skip
# Scripts that are written with joiners: Arabic and its kin, N'Ko, Indic, Khmer, Mongolian, Tibetan and others.
_JOINING: Final = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1700-\u18af\u1900-\u1aaf\u1b00-\u1c4f\ua800-\ua82f\ua840-\ua9ff"
    "\uaa00-\uaaff\uabc0-\uabff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefe\U00010a00-\U00010fff\U00011000-\U00011fff"
    "\U0001e800-\U0001e95f\u25cc]"
)
# Scripts that are written without spaces between words, and may mark where lines break.
_UNSPACED: Final = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
                              "\ua980-\ua9df\uaa60-\uaa7f]")  # fmt: skip
_IDEOGRAPH: Final = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_RTL: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]")
_PICTURE: Final = frozenset({"So", "Sm", "Sk", "Po", "Nd", "No", "Pd"})
_MAX_JOINERS: Final = 2  # in a row: typing errors; three are a message
_MAX_PRIVATE: Final = 3


def clean(text: str) -> Clean:
    """`text` without what shows nothing and is not needed for writing it."""
    if not _may_hold(text):
        return Clean(text)
    flags = {place for found in _FLAGS.finditer(text) for place in range(*found.span(1))}
    removed: list[int] = []
    secret: Counter[Kind] = Counter()
    counted = 0
    rtl: bool | None = None
    for found in _SUSPECT.finditer(text):
        start, end = found.span()
        run = found[0]
        if any(sign in _MARKS for sign in run) and rtl is None:
            rtl = _RTL.search(text) is not None
        for place, kind in _judge(text, start, end, flags, rtl=bool(rtl)):
            removed.append(place)
            counted += bool(visible(text[place]))
            if kind is not None:
                secret[kind] += 1
    if not removed:
        return Clean(text)
    parts, at = [], 0
    for place in removed:
        parts.append(text[at:place])
        at = place + 1
    parts.append(text[at:])
    return Clean("".join(parts), tuple(removed), dict(secret), counted)


def _may_hold(text: str) -> bool:
    """Whether anything in a text is suspect; what can be told of plain text by its bytes costs a tenth."""
    if text.isascii():
        plain = text.encode("ascii")
        return len(plain.translate(None, _CONTROLS)) < len(plain)
    return _SUSPECT.search(text) is not None


def said(secret: Mapping[Kind, int]) -> str:
    """A warning on what was removed, or ""; it quotes none of it."""
    if not any(secret.values()):
        return ""
    listed = ", ".join(f"{secret[kind]:,} {kind.value}" for kind in Kind if secret.get(kind))
    return f"Characters that show nothing and may carry a hidden message were removed: {listed}."


def _judge(text: str, start: int, end: int, flags: set[int], *, rtl: bool) -> Iterable[tuple[int, Kind | None]]:
    """What goes of a run of suspects, [start, end): its place, and its kind where that is reported."""
    run, before, after = text[start:end], text[max(start - 1, 0) : start], text[end : end + 1]
    base = _base(text, start)
    zero = [sign for sign in run if _is_zero_width(sign)]
    channel = len(zero) > 1 and not _is_writing(run, zero, before, after, rtl=rtl)
    private = sum(sign >= "\U000f0000" for sign in run) > _MAX_PRIVATE
    selected = False  # the base has its variant
    for place, sign in enumerate(run, start):
        if place in flags:
            continue
        if _CONTROL.match(sign):
            yield place, None
        elif sign in _EMBEDDINGS or "\u206a" <= sign <= "\u206f":
            yield place, Kind.DIRECTION
        elif "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef":
            # After a joiner there is no base, and after a selector none that is left.
            if selected or place != start or not _has_variant(base, sign):
                yield place, Kind.SELECTORS
            selected = True
        elif "\U000e0000" <= sign <= "\U000e0fff":
            yield place, Kind.TAGS if sign <= "\U000e007f" else Kind.UNASSIGNED
        elif "\ufff9" <= sign <= "\ufffb":
            yield place, Kind.ANNOTATION
        elif "\ufdd0" <= sign <= "\ufdef" or "\ufff0" <= sign <= "\ufff8" or ord(sign) & 0xFFFE == 0xFFFE:
            yield place, Kind.UNASSIGNED
        elif sign >= "\U000f0000":
            if private:
                yield place, Kind.PRIVATE
        elif channel:
            yield place, Kind.ZERO_WIDTH
        elif sign in _BREAKS:
            if not (sign == "\u200b" and (_UNSPACED.match(before) or _UNSPACED.match(after))):
                yield place, None
        elif sign in _JOINERS:
            if not _joins(sign, before, after, base, text[place + 1 : place + 2]):
                yield place, None
        elif sign in _MARKS and not rtl:
            yield place, None


def _is_zero_width(sign: str) -> bool:
    return (
        sign in _BREAKS
        or sign in _JOINERS
        or sign in _MARKS
        or sign in _FILLERS
        or sign in "\u034f\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f"
        or "\u2061" <= sign <= "\u2065"
        or "\U0001bca0" <= sign <= "\U0001bca3"
        or "\U0001d173" <= sign <= "\U0001d17a"
    )


def _is_writing(run: str, zero: list[str], before: str, after: str, *, rtl: bool) -> bool:
    """Whether two or more zero-width characters in a row are how something is written."""
    if len(zero) > _MAX_JOINERS:
        return False
    if rtl and all(sign in _MARKS for sign in zero):
        return True
    if all(sign in _FILLERS for sign in zero):
        return "\u1100" <= (before or after) <= "\u11ff" or "\u1100" <= after <= "\u11ff"  # Old Korean
    near = _JOINING.match(before) or _JOINING.match(after)
    return bool(near) and all(sign in _JOINERS or sign in "\u034f\u200b" or (rtl and sign in _MARKS) for sign in zero)


def _base(text: str, start: int) -> str:
    """The character that a run of suspects stands on, or ""; skin tones and the rest of a keycap are not bases."""
    at = start - 1
    while at >= 0 and ("\U0001f3fb" <= text[at] <= "\U0001f3ff" or text[at] == "\u20e3"):
        at -= 1
    return text[at] if at >= 0 else ""


def _has_variant(base: str, selector: str) -> bool:
    """Whether a character may be followed by this variation selector."""
    if not base or base.isspace():
        return False
    if selector >= "\U000e0100":
        return _IDEOGRAPH.match(base) is not None
    if selector in "\ufe0e\ufe0f":
        return base in "\u2139\u24c2\u3297\u3299\u303d" or unicodedata.category(base) in _PICTURE
    if selector > "\ufe02":
        return False  # no variants were ever defined, save for a few old scripts
    return (
        _IDEOGRAPH.match(base) is not None
        or unicodedata.category(base) in {"Sm", "Po", "Pi", "Pf", "Ps", "Pe", "So", "Nd"}
        or "\u1000" <= base <= "\u109f"
        or "\ua840" <= base <= "\ua87f"
        or "\uaa60" <= base <= "\uaa7f"
    )


def _joins(sign: str, before: str, after: str, base: str, following: str) -> bool:
    """Whether a joiner is needed where it stands: in a script written with them, or between emoji."""
    if _JOINING.match(before) or _JOINING.match(after):
        return True
    return (
        sign == "\u200d"
        and bool(base and following)
        and unicodedata.category(base) == "So"
        and unicodedata.category(following) in {"So", "Sm"}
    )
