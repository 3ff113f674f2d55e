"""Excel's number formats: what a person sees of a stored number, and the number itself where the eye sees less.

ECMA-376 part 1, 18.8.30 and 18.8.31. Names of months and days are English; what depends on the machine that shows the
file (formats 14 and 22, `[$-F800]`) is shown as ISO 8601, which everybody reads alike.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

BUILT_IN: Final = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0_);($#,##0)", 6: "$#,##0_);[Red]($#,##0)",
    7: "$#,##0.00_);($#,##0.00)", 8: "$#,##0.00_);[Red]($#,##0.00)", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0_);(#,##0)",
    38: "#,##0_);[Red](#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);[Red](#,##0.00)",
    41: "_(* #,##0_);_(* (#,##0);_(* \"-\"_);_(@_)", 42: "_($* #,##0_);_($* (#,##0);_($* \"-\"_);_(@_)",
    43: "_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)",
    44: "_($* #,##0.00_);_($* (#,##0.00);_($* \"-\"??_);_(@_)",
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    27: "yyyy-mm-dd", 28: "yyyy-mm-dd", 29: "yyyy-mm-dd", 30: "yyyy-mm-dd", 31: "yyyy-mm-dd", 32: "h:mm:ss",
    33: "h:mm:ss", 34: "yyyy-mm-dd", 35: "yyyy-mm-dd", 36: "yyyy-mm-dd",
    **dict.fromkeys(range(50, 59), "yyyy-mm-dd"),
}  # fmt: skip
"""Formats by number that files do not write down; those of East Asian dates as ISO 8601."""

_TOKEN: Final = re.compile(
    r"""(?P<literal>"[^"]*"?|\\.|!.)|(?P<space>_.)|(?P<fill>\*.)|(?P<elapsed>\[(?:h+|m+|s+)\])|\[(?P<bracket>[^\]]{0,255})\]"""
    r"""|(?P<general>General)|(?P<half>AM/PM|A/P|上午/下午)|(?P<power>E[+-])|(?P<part>y+|m+|d+|h+|s+(?:\.0+)?|b+|e+|g+)"""
    r"""|(?P<digit>[0#?])|(?P<other>.)""",
    re.IGNORECASE | re.DOTALL,
)
_SIMPLE: Final = re.compile(r"(0|#,##0)(\.0{1,9})?")
_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d{1,15}(?:\.\d{1,15})?)$")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_FIFTEEN: Final = Context(prec=15, rounding=ROUND_HALF_UP)
_WIDE: Final = Context(prec=400, rounding=ROUND_HALF_UP)
_LAST_DAY: Final = 2_958_466  # the day after 9999-12-31
_MAX_CODE: Final = 2000
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                  "November", "December")  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Shown(NamedTuple):
    """What a cell shows, and what it holds where that cannot be told from what it shows."""

    text: str
    stored: str = ""


def show(value: float, code: str, *, since_1904: bool = False) -> Shown:
    """`value` under the format `code`; a code that makes no sense shows the number plainly.

    Dates count days from 1900, or from 1904 in files that old Macintoshes began. A stored date is ISO 8601, a stored
    number has 15 significant digits, as many as Excel keeps.
    """
    if code in {"General", "@", ""} or not math.isfinite(value):
        return Shown(plain(value))
    if (simple := _SIMPLE.fullmatch(code)) and (quick := _quick(value, simple[1], len(simple[2] or ".") - 1)):
        return quick
    section = _choose(_sections(code[:_MAX_CODE]), value)
    if section is None or section.kind == "general":
        return Shown(plain(value))
    if section.kind == "date":
        moment = from_serial(value, since_1904=since_1904)
        return Shown(plain(value)) if moment is None else _show_date(section, value, moment)
    return _show_number(section, value)


def _quick(value: float, whole: str, places: int) -> Shown | None:
    """As `_show_number` for the plainest formats, in a quarter of its time; None where it would have to round a tie."""
    exact = plain(value)
    part = exact.partition(".")[2]
    if "E" in exact or part[places:] == "5" or value == 0:
        return None
    text = f"{value:,.{places}f}" if whole != "0" else f"{value:.{places}f}"
    if value < 0 and not any(digit in text for digit in "123456789"):
        text = text[1:]
    return Shown(text, exact if len(part) > places else "")


def is_date(code: str) -> bool:
    """Whether numbers under this format are points in time."""
    return code not in {"General", "@", ""} and any(one.kind == "date" for one in _sections(code[:_MAX_CODE]))


def shows_nothing(code: str) -> bool:
    """Whether the format hides whatever stands in the cell, as `;;;` does."""
    return code.count(";") >= 2 and all(not one.tokens and one.kind != "general" for one in _sections(code[:_MAX_CODE]))


def plain(value: float) -> str:
    """A number as the format General has it, in full: up to 15 significant digits, an exponent only where it helps."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    exact = _FIFTEEN.create_decimal(repr(value)).normalize()
    exponent = exact.adjusted()
    return format(exact, "f") if -7 < exponent < 21 else format(exact, "E")


def from_serial(serial: float, *, since_1904: bool = False) -> dt.datetime | None:
    """The point in time that a day count means, to the millisecond; None before 1900 and after 9999."""
    if not 0 <= serial < _LAST_DAY:
        return None
    # Day 60 of 1900 is a 29 February that never was: days before it count from the day after.
    start = dt.datetime(1904, 1, 1) if since_1904 else dt.datetime(1899, 12, 31 if serial < 60 else 30)  # noqa: DTZ001
    try:
        return start + dt.timedelta(days=int(serial), milliseconds=round((serial - int(serial)) * 86_400_000))
    except OverflowError:
        return None


def iso(moment: dt.datetime, *, time_only: bool = False) -> str:
    """ISO 8601 with a space between date and time, without a midnight and without empty fractions."""
    time = moment.time()
    clock = time.isoformat(timespec="milliseconds" if time.microsecond else "seconds")
    if time_only:
        return clock
    return moment.date().isoformat() if time == dt.time() else f"{moment.date().isoformat()} {clock}"


@dataclass(frozen=True, slots=True)
class _Section:
    """One of up to four parts of a format: (name, text) tokens, for the values that meet its condition."""

    kind: str  # general, number, fraction, date, text, literal
    tokens: tuple[tuple[str, str], ...]
    condition: tuple[str, float] | None = None
    negative: bool = False  # values come here because they are negative: the section itself says so


@lru_cache(maxsize=2048)
def _sections(code: str) -> tuple[_Section, ...]:
    parts: list[list[tuple[str, str]]] = [[]]
    conditions: list[tuple[str, float] | None] = [None]
    for found in _TOKEN.finditer(code):
        name, text = found.lastgroup or "other", found[0]
        if name == "other" and text == ";":
            if len(parts) == 4:
                break
            parts.append([])
            conditions.append(None)
        elif name == "literal":
            parts[-1].append(("literal", text[1:].removesuffix('"') if text[0] == '"' else text[1:]))
        elif name == "space":
            parts[-1].append(("literal", " "))
        elif name == "bracket":
            inside = found["bracket"]
            if condition := _CONDITION.match(inside.strip()):
                conditions[-1] = condition[1], float(condition[2])
            elif inside.startswith("$"):
                symbol, _, locale = inside[1:].partition("-")
                if locale.upper() in {"F800", "F400"}:
                    # The reader's own machine decides how its long date and time look.
                    parts[-1] = [("system", locale.upper())]
                    break
                if symbol:
                    parts[-1].append(("literal", symbol))
        elif name != "fill":
            parts[-1].append((name, text))
    return tuple(
        _Section(_kind(tokens), tuple(_minutes(tokens)), conditions[number], number == 1 and conditions[0] is None)
        for number, tokens in enumerate(parts)
    )


def _kind(tokens: list[tuple[str, str]]) -> str:
    names = {name for name, _ in tokens}
    signs = {text for name, text in tokens if name == "other"}
    if names & {"part", "elapsed", "half", "system"}:
        return "date"
    if "general" in names:
        return "general" if len(tokens) == 1 else "number"
    if "digit" in names:
        return "fraction" if "/" in signs and "power" not in names else "number"
    return "text" if "@" in signs else "literal"


def _minutes(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """`tokens` with the m that are minutes, after hours or before seconds, told from those that are months."""
    times = [number for number, (name, _) in enumerate(tokens) if name in {"part", "elapsed"}]
    for place, number in enumerate(times):
        name, text = tokens[number]
        if name != "part" or text[0] not in "mM" or len(text) > 2:
            continue
        before = tokens[times[place - 1]][1].lstrip("[")[0].lower() if place else ""
        after = tokens[times[place + 1]][1].lstrip("[")[0].lower() if place + 1 < len(times) else ""
        if before == "h" or after == "s":
            tokens[number] = "minute", text
    return tokens


def _choose(sections: tuple[_Section, ...], value: float) -> _Section | None:
    if any(section.condition for section in sections):
        for number, section in enumerate(sections[:3]):
            if section.condition is None:
                if number or len(sections) == 1:
                    return section
                if value > 0:
                    return section
            elif _COMPARE[section.condition[0]](value, section.condition[1]):
                return section
        return sections[-1] if len(sections) < 4 else None
    numeric = sections[:3]
    if len(numeric) == 1:
        return None if numeric[0].kind == "text" else numeric[0]
    if len(sections) == 2 and sections[1].kind == "text":
        return sections[0]
    if value < 0:
        return numeric[1]
    return numeric[2] if value == 0 and len(numeric) == 3 else numeric[0]


def _show_date(section: _Section, value: float, moment: dt.datetime) -> Shown:
    if section.tokens[0][0] == "system":
        clock_only = section.tokens[0][1] == "F400"
        return Shown(iso(moment, time_only=clock_only), iso(moment) if clock_only and value >= 1 else "")
    fraction = max((len(text.partition(".")[2]) for name, text in section.tokens if name == "part"), default=0)
    exact, step = moment, dt.timedelta(seconds=1)
    half = any(name == "half" for name, _ in section.tokens)
    if fraction == 0 and moment.microsecond:
        moment = (moment + step / 2 if moment.microsecond >= 500_000 else moment).replace(microsecond=0)
    out: list[str] = []
    seen: set[str] = set()
    elapsed = value * 86_400
    for name, text in section.tokens:
        letter = text[0].lower()
        if name == "minute":
            seen.add("minute")
            out.append(f"{moment.minute:0{len(text)}d}")
        elif name == "elapsed":
            letter, width = text[1].lower(), len(text) - 2
            count = round(elapsed, 3) / {"h": 3600, "m": 60, "s": 1}[letter]
            seen |= {"year", "month", "day", {"h": "hour", "m": "minute", "s": "second"}[letter]}
            seen |= {"h": set[str](), "m": {"hour"}, "s": {"hour", "minute"}}[letter]
            out.append(f"{int(count + 1e-9):0{width}d}")
        elif name == "half":
            seen.add("half")
            late = moment.hour >= 12
            out.append(("PM" if late else "AM") if len(text) > 3 else ("P" if late else "A"))
        elif name == "part":
            out.append(_date_part(letter, text, moment, half, seen))
        elif name in {"literal", "other"}:
            out.append(text)
    told = {"year", "month", "day"} <= seen or (exact.date() < dt.date(1900, 1, 1) and value < 1)
    clock = exact.time()
    if clock != dt.time():
        told = told and {"hour", "minute"} <= seen and ("second" in seen or not (clock.second or clock.microsecond))
    return Shown("".join(out).strip(), "" if told else iso(exact, time_only=value < 1))


def _date_part(letter: str, text: str, moment: dt.datetime, half: bool, seen: set[str]) -> str:
    width = len(text)
    match letter:
        case "y" | "e":
            if width > 2 or letter == "e":
                seen.add("year")
                return f"{moment.year:04d}"
            return f"{moment.year % 100:02d}"
        case "m":
            seen.add("month")
            name = _MONTHS[moment.month - 1]
            return f"{moment.month:0{width}d}" if width < 3 else {3: name[:3], 5: name[0]}.get(width, name)
        case "d":
            if width < 3:
                seen.add("day")
                return f"{moment.day:0{width}d}"
            return _DAYS[moment.weekday()][:3] if width == 3 else _DAYS[moment.weekday()]
        case "h":
            seen.add("hour")
            return f"{(moment.hour % 12 or 12) if half else moment.hour:0{min(width, 2)}d}"
        case "s":
            seen.add("second")
            whole, _, digits = text.partition(".")
            part = f".{moment.microsecond:06d}"[: len(digits) + 1] if digits else ""
            return f"{moment.second:0{min(len(whole), 2)}d}{part}"
        case "b":
            return str(moment.year + 543)
        case _:
            return ""


def _show_number(section: _Section, value: float) -> Shown:
    if section.kind in {"literal", "text"}:
        text = "".join(plain(value) if sign == "@" else sign for _, sign in section.tokens).strip()
        return Shown(text, "" if section.kind == "text" else plain(value))
    number = _WIDE.create_decimal(plain(value))
    minus = "-" if value < 0 and not _says_minus(section) else ""
    amount = abs(number)
    if section.kind == "fraction":
        text, shown = _fraction(section, amount)
    else:
        text, shown = _digits(section, amount)
    if shown == 0 and amount != 0:
        minus = ""  # -0.001 under 0.00 shows as 0.00
    return Shown((minus + text).strip(), "" if shown == amount else plain(value))


def _says_minus(section: _Section) -> bool:
    if section.condition is not None:
        sign, limit = section.condition
        return sign in {"<", "<="} and limit <= 0
    return section.negative


def _digits(section: _Section, amount: Decimal) -> tuple[str, Decimal]:
    """`amount` in the placeholders of the section, and what a reader takes it for."""
    tokens = list(section.tokens)
    places = [number for number, (name, _) in enumerate(tokens) if name == "digit"]
    if not places:  # General beside other text
        return "".join(plain(float(amount)) if name == "general" else text for name, text in tokens), amount
    percent = sum(1 for name, text in tokens if name == "other" and text == "%")
    power = next((number for number, (name, _) in enumerate(tokens) if name == "power"), len(tokens))
    point = next((n for n, (name, text) in enumerate(tokens[:power]) if name == "other" and text == "."), power)
    before = [number for number in places if number < point]
    after = [number for number in places if point < number < power]
    last = max([*before, *after])
    commas = [number for number, (name, text) in enumerate(tokens) if name == "other" and text == ","]
    trailing = [n for n in commas if n > (before[-1] if before else -1) and (n < point or n > last) and n < power]
    grouped = any(before and before[0] < number < before[-1] for number in commas)
    for number in commas:
        tokens[number] = "literal", ""
    scale = Decimal(100) ** percent / Decimal(1000) ** len(trailing)
    scaled = _WIDE.multiply(amount, scale)
    exponent = 0
    if power < len(tokens):
        step = max(len(before), 1)
        if scaled:
            exponent = math.floor(scaled.adjusted() / step) * step
        scaled = scaled.scaleb(-exponent, _WIDE)
    rounded = scaled.quantize(Decimal(1).scaleb(-len(after)), rounding=ROUND_HALF_UP, context=_WIDE)
    if power < len(tokens) and rounded.adjusted() >= max(len(before), 1) and rounded:
        step = max(len(before), 1)
        exponent += step
        rounded = rounded.scaleb(-step).quantize(Decimal(1).scaleb(-len(after)), rounding=ROUND_HALF_UP, context=_WIDE)
    whole, _, part = format(rounded, "f").partition(".")
    filled = dict(_fill_whole(tokens, before, "" if whole == "0" else whole, grouped))
    filled |= _fill_part(tokens, after, part)
    if power < len(tokens):
        sign = "-" if exponent < 0 else ("+" if tokens[power][1][1] == "+" else "")
        filled[power] = f"E{sign}"
        filled |= _fill_whole(tokens, [n for n in places if n > power], str(abs(exponent)), grouped=False)
    text = "".join(filled.get(n, "" if name == "digit" else text) for n, (name, text) in enumerate(tokens))
    # Who looks for 123456789 does not find 123-45-6789.
    between = (tokens[n] for n in range(places[0], places[-1]))
    if any(name in {"literal", "other"} and sign.strip(" .") for name, sign in between):
        return text, Decimal(-1)
    return text, _WIDE.divide(rounded.scaleb(exponent), scale)


def _fill_whole(tokens: list[tuple[str, str]], places: list[int], digits: str, grouped: bool) -> dict[int, str]:
    """What stands at each placeholder before the point: the last takes the last digit, the first all that are left."""
    filled: dict[int, str] = {}
    count = 0
    for order, place in enumerate(reversed(places)):
        first = order == len(places) - 1
        taken, digits = (digits, "") if first else (digits[-1:], digits[:-1])
        if not taken:
            taken = {"0": "0", "?": " "}.get(tokens[place][1], "")
        text = ""
        for digit in reversed(taken):
            if grouped and count and count % 3 == 0 and digit != " ":
                text = f",{text}"
            text = digit + text
            count += 1
        filled[place] = text
    return filled


def _fill_part(tokens: list[tuple[str, str]], places: list[int], digits: str) -> dict[int, str]:
    kept = len(digits.rstrip("0"))
    filled: dict[int, str] = {}
    for order, place in enumerate(places):
        digit = digits[order] if order < len(digits) else "0"
        optional = {"#": "", "?": " "}.get(tokens[place][1])
        filled[place] = digit if order < kept or optional is None else optional
    return filled


def _fraction(section: _Section, amount: Decimal) -> tuple[str, Decimal]:
    tokens = list(section.tokens)
    slash = next(number for number, (name, text) in enumerate(tokens) if name == "other" and text == "/")
    above = below = slash
    while above and (tokens[above - 1][0] == "digit"):
        above -= 1
    while below + 1 < len(tokens) and (tokens[below + 1][0] == "digit" or tokens[below + 1][1].isdigit()):
        below += 1
    bottom = "".join(text for _, text in tokens[slash + 1 : below + 1])
    whole_places = [number for number in range(above) if tokens[number][0] == "digit"]
    exact = Fraction(amount)
    base = int(exact) if whole_places else 0
    if bottom.isdigit() and int(bottom):
        denominator = int(bottom)
        numerator = round((exact - base) * denominator)
    else:
        found = (exact - base).limit_denominator(10 ** min(max(len(bottom), 1), 9) - 1)
        numerator, denominator = found.numerator, found.denominator
    if whole_places and numerator == denominator:
        base, numerator = base + 1, 0
    shown = base + Fraction(numerator, denominator)
    ratio = "" if whole_places and not numerator else f"{numerator}/{denominator}"
    filled = _fill_whole(tokens, whole_places, str(base) if base or not numerator else "", grouped=False)
    out = [filled.get(n, "" if name == "digit" else text) for n, (name, text) in enumerate(tokens[:above])]
    rest = [text for name, text in tokens[below + 1 :] if name in {"literal", "other"}]
    # Who looks for 2.5 does not find "2 1/2", though it says the same.
    told = not ratio and shown == exact
    return "".join([*out, ratio, *rest]), amount if told else Decimal(-1)
