"""Numbers, amounts, durations, dates and clock times as values that can be compared, whatever their notation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from citewell.language import parse_number

_MONTHS = {
    name: index
    for index, names in enumerate(
        (
            "january jan januar janvier enero",
            "february feb februar février febrero",
            "march mar märz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août agosto",
            "september sep sept septembre septiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_YEAR = r"(?P<year>1[0-9]{3}|20[0-9]{2}|21[0-9]{2})(?![\w]|[.,]\d)"
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th|\.|er)?"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w.-])(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?![\w-])",
        rf"(?<![\w.,]){_DAY}\s+(?:of\s+|de\s+)?{_MONTH}(?:(?:\s*,)?\s*(?:de\s+)?{_YEAR})?",
        rf"(?<!\w){_MONTH}\s+{_DAY}(?![\d%]|[.,]\d)(?:(?:\s*,)?\s*{_YEAR})?",
        rf"(?<!\w){_MONTH}(?:\s*,|\s+of|\s+de)?\s+{_YEAR}",
        r"(?<![\w.])(?P<day>3[01]|[12]\d|0?[1-9])\.(?P<month>1[0-2]|0?[1-9])\.(?P<year>\d{4})(?!\w)",
        r"(?<![\w/])(?P<one>\d{1,2})/(?P<two>\d{1,2})/(?P<year>\d{4})(?![\w/])",
    )
]
_CLOCK = re.compile(
    r"(?<![\w:.])([01]?\d|2[0-4])(?::([0-5]\d))?\s*([ap])\.?\s?m\b\.?|(?<![\w:.])([01]?\d|2[0-4]):([0-5]\d)(?![\w:])",
    re.I,
)

_CURRENCIES = {
    code: aliases.split()
    for code, aliases in {
        "eur": "€ eur euro euros",
        "usd": "$ usd us$ dollar dollars",
        "gbp": "£ gbp pound_sterling pounds_sterling quid",
        "jpy": "¥ jpy yen",
        "chf": "chf franken",
        "inr": "₹ inr rupee rupees rs",
        "cny": "cny rmb yuan",
        "sek": "sek",
        "nok": "nok",
        "dkk": "dkk",
        "pln": "pln zł",
    }.items()
}
_MONEY = {alias: code for code, aliases in _CURRENCIES.items() for alias in aliases}
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "tsd": 1e3, "tausend": 1e3, "mille": 1e3, "mil": 1e3,
    "million": 1e6, "millions": 1e6, "mn": 1e6, "mio": 1e6, "millionen": 1e6, "m": 1e6, "mm": 1e6,
    "billion": 1e9, "billions": 1e9, "bn": 1e9, "b": 1e9, "milliarden": 1e9, "mrd": 1e9,
    "trillion": 1e12, "trillions": 1e12, "tn": 1e12, "dozen": 12.0,
}  # fmt: skip
# A bare letter scales only money or what is glued to its number: "5 m" is metres, "$5m" millions.
_LETTERS = frozenset({"k", "m", "mm", "b", "mn", "bn", "tn", "mil"})
_UNITS: dict[str, tuple[str, float]] = {}
for _dimension, _table in {
    "time": {"ms millisecond milliseconds": 1e-3, "s sec secs second seconds sekunde sekunden": 1.0,
             "min mins minute minutes minuten": 60.0, "h hr hrs hour hours stunde stunden heure heures hora"
                                                      " horas": 3600.0,
             "day days tag tage tagen jour jours día días": 86400.0,
             "week weeks woche wochen semaine semaines semana semanas": 604800.0},
    "months": {"month months monat monate monaten mois mes meses": 1.0, "quarter quarters": 3.0,
               "year years jahr jahre jahren an ans année années año años": 12.0, "decade decades": 120.0,
               "century centuries": 1200.0},
    "length": {"mm millimetre millimeter millimetres millimeters": 1e-3, "cm centimetre centimeter centimetres"
                                                                         " centimeters": 1e-2,
               "m metre meter metres meters": 1.0, "km kilometre kilometer kilometres kilometers": 1e3,
               "mile miles mi": 1609.344, "ft foot feet": 0.3048, "inch inches": 0.0254, "yard yards yd": 0.9144},
    "mass": {"mg milligram milligrams": 1e-6, "g gram grams": 1e-3, "kg kilogram kilograms kilo kilos": 1.0,
             "tonne tonnes ton tons": 1e3, "lb lbs": 0.45359237, "oz ounce ounces": 0.028349523125},
    "data": {"kb": 1e3, "mb megabyte megabytes": 1e6, "gb gigabyte gigabytes": 1e9, "tb terabyte terabytes": 1e12,
             "kib": 1024.0, "mib": 1048576.0, "gib": 1073741824.0, "byte bytes": 1.0},
    "volume": {"ml": 1e-3, "l litre liter litres liters": 1.0},
    "temperature": {"°c celsius": 1.0, "°f fahrenheit": 1.00001},
    "power": {"w watt watts": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9},
    "energy": {"kwh": 1.0, "mwh": 1e3, "gwh": 1e6},
    "voltage": {"v volt volts": 1.0, "kv": 1e3},
    "frequency": {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
}.items():  # fmt: skip
    for _names, _factor in _table.items():
        for _name in _names.split():
            _UNITS[_name] = (_dimension, _factor)
_PERCENT = frozenset({"%", "percent", "prozent", "pct", "percentage_points", "pourcent", "ciento"})

_WORDS = {
    word: float(value)
    for value, names in {
        0: "zero null", 1: "one eins", 2: "two zwei deux", 3: "three drei trois tres", 4: "four vier quatre cuatro",
        5: "five fünf cinq cinco", 6: "six sechs seis", 7: "seven sieben siete", 8: "eight acht huit ocho",
        9: "nine neun neuf nueve", 10: "ten zehn dix diez", 11: "eleven elf onze", 12: "twelve zwölf douze doce",
        13: "thirteen dreizehn", 14: "fourteen vierzehn quatorze", 15: "fifteen fünfzehn quinze quince", 16: "sixteen",
        17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty zwanzig vingt veinte", 30: "thirty dreißig"
                                                                                                " trente treinta",
        40: "forty vierzig", 50: "fifty fünfzig", 60: "sixty sechzig", 70: "seventy", 80: "eighty achtzig",
        90: "ninety neunzig", 100: "hundert", 1000: "tausend",
    }.items()
    for word in names.split()
}  # fmt: skip
_ORDINAL_WORDS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
_ORDINALS = {name: float(index) for index, name in enumerate(_ORDINAL_WORDS.split(), start=1)}
_TIMES = {"twice": 2.0, "thrice": 3.0}
_FRACTIONS = {"half": 0.5}  # a quarter is mostly three months

_NUMERAL = r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,'’]\d+)*"
_NUMBER = re.compile(
    rf"""(?P<pre>us\$|[€$£¥₹]|(?<![A-Za-z])(?:eur|usd|gbp|chf|jpy|inr|cny|sek|nok|dkk|pln)(?=[\s\d]))?\s?
    (?P<sign>(?<![\w)\]])[-−+](?=\d))?(?P<num>(?<![\w.])(?:{_NUMERAL})|(?<=[€$£¥₹])(?:{_NUMERAL})|(?<=eur|usd|gbp|chf)(?:{_NUMERAL}))
    (?P<ord>st|nd|rd|th)?(?P<glue>[A-Za-z°%€$£¥₹µ]*)""",
    re.VERBOSE | re.IGNORECASE,
)
_TOKEN = re.compile(r"[ \u00a0\u202f]?([-–]?)[ \u00a0]?(%|[€$£¥₹]|°[CF]|[^\W\d_]+)")
_ALPHA = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(r"[%€$£¥₹]|°[cf]|[^\W\d_]+")
_ABOUT = re.compile(
    r"(?:about|around|approximately|approx\.?|nearly|almost|roughly|some|circa|ca\.|etwa|rund|~)\s*$", re.I
)
_RANGE = re.compile(r"\s*(?:-|–|—|to|and|or|bis|à|a|und|/)\s*(?:€|\$|£|eur\s|usd\s)?\s*$", re.I)
_WIDEST_RANGE = 40
"""Characters between the two numbers of a range, a line break with its indent included."""

Day = tuple[int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number at characters [start, end): its possible values in base units, its dimension, and how it was written.

    `dimension` is `date`, `clock`, `ordinal`, `percent`, `money:eur`, a physical one, `year`, or "" for a bare number.
    More than one value: the notation is ambiguous (1.000 is a thousand or one; 3/4/2024 is in March or April).
    `days` holds the dates as (year, month, day) with None for what is not said. `about`: "about", "nearly", …
    """

    text: str
    start: int
    end: int
    dimension: str
    values: frozenset[float]
    days: frozenset[Day] = frozenset()
    about: bool = False

    @property
    def family(self) -> str:
        """What it can be confused with: dates with years, money with money, time with months."""
        if self.dimension in ("date", "year"):
            return "date"
        if self.dimension.startswith("money"):
            return "money"
        return "time" if self.dimension == "months" else self.dimension


def quantities(text: str) -> list[Quantity]:
    """All quantities of `text`, ascending, not overlapping. Digits inside identifiers (`L-14`, `emp_0451`) are none."""
    found: list[Quantity] = []
    taken = bytearray(len(text))  # a mark on each character: asking every quantity found would be quadratic

    def free(start: int, end: int) -> bool:
        return taken.find(1, start, end) < 0

    def add(one: Quantity) -> None:
        found.append(one)
        taken[one.start : one.end] = b"\1" * (one.end - one.start)

    if any(ch.isdigit() for ch in text):
        for pattern in _DATES:
            for match in pattern.finditer(text):
                if free(*match.span()) and (days := _days(match)):
                    add(Quantity(match.group(), *match.span(), "date", frozenset(), days))
        for match in _CLOCK.finditer(text):
            if free(*match.span()):
                add(_clock(match))
        for match in _NUMBER.finditer(text):
            if free(match.start("num"), match.end("num")) and (one := _number(text, match)):
                add(one)
    for one in _in_words(text):
        if free(one.start, one.end):
            add(one)
    found.sort(key=lambda one: one.start)
    return _ranges(text, found)


def _days(match: re.Match[str]) -> frozenset[Day]:
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else None
    if "one" in parts:
        one, two = int(parts["one"]), int(parts["two"])
        return frozenset((year, m, d) for m, d in ((one, two), (two, one)) if 1 <= m <= 12 and 1 <= d <= 31)
    month = parts["month"]
    day = int(parts["day"]) if parts.get("day") else None
    return frozenset({(year, int(month) if month.isdigit() else _MONTHS[month.lower()], day)})


def _clock(match: re.Match[str]) -> Quantity:
    hour, minute, half, hour24, minute24 = match.groups()
    if half:
        value = (int(hour) % 12 + (12 if half.lower() == "p" else 0)) * 60 + int(minute or 0)
    else:
        value = int(hour24) * 60 + int(minute24)
    return Quantity(match.group(), *match.span(), "clock", frozenset({float(value)}))


def _number(text: str, match: re.Match[str]) -> Quantity | None:
    start, end, num = match.start("num"), match.end("num"), match.group("num")
    joined = start >= 2 and text[start - 1] in "-_/" and (text[start - 2].isalpha() or text[start - 2] == "_")
    if joined and not match.group("pre"):
        return None  # L-14, COVID-19
    values = parse_number(num)
    if not values:
        return None
    if match.group("sign") in ("-", "−"):
        values = frozenset(-value for value in values)
        start -= 1
    about = bool(_ABOUT.search(text[max(0, match.start() - 16) : match.start()]))
    if match.group("ord"):
        return Quantity(text[start : match.end("ord")], start, match.end("ord"), "ordinal", values)
    pre = (match.group("pre") or "").strip().lower()
    if pre:
        start = match.start("pre")
    dimension = f"money:{_MONEY[pre]}" if pre else ""
    factor, glue = 1.0, match.group("glue")
    if glue == "s" and re.fullmatch(r"1[0-9]{2}0|20[0-9]0", num):
        return Quantity(num + "s", start, match.end("glue"), "decade", values)
    if glue:
        kind = _unit(glue, glued=True, money=bool(pre))
        if kind is None:
            # 16th-like endings are taken above; "3D" or "5a" are names, not numbers.
            return (
                None if glue.isalpha() and len(glue) <= 2 and not pre else Quantity(num, start, end, dimension, values)
            )
        end = match.end("glue")
        dimension, factor = kind[0] or dimension, kind[1]
    for _ in range(2):  # a scale, then a unit: 5 million euros
        if dimension and not dimension.startswith("money"):
            break
        after = _TOKEN.match(text, end)
        if after is None:
            break
        word = after.group(2)
        kind = _unit(word, glued=False, money=dimension.startswith("money"))
        if kind is None or (kind[0] and dimension and kind[0] != dimension):
            break
        if kind[0] and dimension == kind[0]:
            end = after.end()
            break
        dimension, factor, end = kind[0] or dimension, factor * kind[1], after.end()
    if not dimension and factor == 1.0 and re.fullmatch(r"1[0-9]{3}|20[0-9]{2}|21[0-9]{2}", num):
        year = int(num)
        return Quantity(num, start, end, "year", values, frozenset({(year, None, None)}), about)
    return Quantity(text[start:end], start, end, dimension, frozenset(v * factor for v in values), frozenset(), about)


def _unit(word: str, *, glued: bool, money: bool) -> tuple[str, float] | None:
    lower = word.lower()
    if lower in _PERCENT:
        return ("percent", 1.0)
    if lower in _MONEY:
        return (f"money:{_MONEY[lower]}", 1.0)
    if lower in _SCALES and (lower not in _LETTERS or money or (glued and lower in ("k", "bn", "mn"))):
        return ("", _SCALES[lower])
    if lower in ("m", "b", "mm") and glued and word.isupper():
        return ("", _SCALES[lower])
    if lower in _UNITS:
        if lower in ("an", "s", "h", "l", "v", "w", "g", "mi", "mes", "second", "quarter") and not (
            glued or word in ("s", "h", "l", "V", "W", "g", "v")
        ):
            return None
        return _UNITS[lower]
    return None


def _in_words(text: str) -> list[Quantity]:
    found: list[Quantity] = []
    tokens = [(m.group().lower(), m.start(), m.end()) for m in _ALPHA.finditer(text)]
    at = 0
    while at < len(tokens):
        word, start, end = tokens[at]
        here = at
        if word in _WORDS:
            total, value = 0.0, _WORDS[word]
            at += 1
            while at < len(tokens) and re.fullmatch(r"[\s-]*(?:and\s+)?", text[end : tokens[at][1]]):
                following = tokens[at][0]
                tens = value % 100 >= 20 and value % 10 == 0  # twenty-one
                hundreds = value >= 100 and value % 100 == 0  # two hundred and one
                if following in _WORDS and _WORDS[following] < (10 if tens else 100 if hundreds else 0):
                    value += _WORDS[following]
                elif following in _SCALES and following not in _LETTERS:
                    value *= _SCALES[following]
                    if _SCALES[following] >= 1e3:
                        total, value = total + value, 0.0
                elif following == "and" and value >= 100:
                    pass
                else:
                    break
                end = tokens[at][2]
                at += 1
            value += total
            unit = (
                _UNITS.get(tokens[at][0])
                if at < len(tokens) and text[end : tokens[at][1]].strip(" -\n") == ""
                else None
            )
            percent = at < len(tokens) and tokens[at][0] in _PERCENT
            money = _MONEY.get(tokens[at][0]) if at < len(tokens) else None
            if at < len(tokens) and len(tokens[at][0]) < 3:
                unit, money = None, None
            if word == "one" and at == here + 1 and not (unit or percent or money):
                continue  # mostly a pronoun; where it counts, the words around it are compared too
            dimension = "percent" if percent else f"money:{money}" if money else unit[0] if unit else ""
            if dimension:
                end = tokens[at][2]
                at += 1
            factor = unit[1] if unit and not percent else 1.0
            found.append(Quantity(text[start:end], start, end, dimension, frozenset({value * factor})))
            continue
        if word in _ORDINALS and not (word == "second" and at + 1 < len(tokens) and tokens[at + 1][0] in ("per", "of")):
            found.append(Quantity(text[start:end], start, end, "ordinal", frozenset({_ORDINALS[word]})))
        elif word in _TIMES:
            found.append(Quantity(text[start:end], start, end, "times", frozenset({_TIMES[word]})))
        elif word in _FRACTIONS:
            found.append(Quantity(text[start:end], start, end, "fraction", frozenset({_FRACTIONS[word]})))
        at += 1
    return found


def _ranges(text: str, found: list[Quantity]) -> list[Quantity]:
    """In "2–5 days", "2 to 5 %" the first number has the unit of the second."""
    for at in range(len(found) - 2, -1, -1):
        one, two = found[at], found[at + 1]
        if one.dimension == "" and two.dimension not in ("", "date", "year", "clock", "ordinal"):
            between = text[one.end : two.start]
            if len(between) <= _WIDEST_RANGE and _RANGE.fullmatch(between):
                factor = 1.0
                unit = _TOKEN.match(text, two.end - len(two.text.split()[-1])) if two.dimension in _DIMENSIONS else None
                if unit is not None and unit.group(2).lower() in _UNITS:
                    factor = _UNITS[unit.group(2).lower()][1]
                values = frozenset(value * factor for value in one.values)
                found[at] = Quantity(one.text, one.start, one.end, two.dimension, values, one.days, one.about)
    return found


_DIMENSIONS = frozenset(dimension for dimension, _ in _UNITS.values())


def agree(claimed: Quantity, held: Quantity) -> bool:
    """Whether `held` bears out `claimed`: the same value in a dimension that does not contradict it.

    A claim may say less than its source (2024 for May 2024, a bare 5 for 5 days), never other things.
    """
    if claimed.days and held.days:
        return any(_same_day(one, two) for one in claimed.days for two in held.days)
    if (claimed.days and claimed.dimension == "date") or held.dimension == "date":
        return False
    if claimed.dimension != held.dimension and {claimed.dimension, held.dimension} - {"", "year"}:
        both = {claimed.dimension, held.dimension}
        if both != {"time", "months"} and "" not in both and "year" not in both:
            return False
        if both == {"time", "months"}:
            return False
        if claimed.dimension in ("percent", "ordinal", "clock", "times", "fraction"):
            return False
        if held.dimension in ("clock", "ordinal", "times", "fraction"):
            return False
        # "5 days" from a bare 5, as in a table whose header holds the unit: compare the numeral as written.
        if claimed.dimension in _DIMENSIONS or held.dimension in _DIMENSIONS:
            return bool(_numerals(claimed) & _numerals(held))
    # "about 5 million" for 4.98 million: a claim may round what its source has in full, and say so.
    rounded = claimed.about and not held.about and _digits(claimed) < _digits(held)
    tolerance = 0.05 if rounded else 1e-9
    return any(
        math.isclose(one, two, rel_tol=tolerance, abs_tol=1e-12) for one in claimed.values for two in held.values
    )


def mentions(text: str, dimension: str) -> bool:
    """Whether a word or sign of this dimension (`money:eur`, `percent`, `time`, …) stands anywhere in `text`."""
    for token in _NAMED.findall(text.lower()):
        if token in _PERCENT and dimension == "percent":
            return True
        if dimension in (f"money:{_MONEY.get(token, '')}", _UNITS.get(token, ("", 1.0))[0]):
            return True
    return False


def _digits(one: Quantity) -> int:
    """Significant digits as written."""
    match = re.search(_NUMERAL, one.text)
    return len(re.sub(r"\D", "", match.group()).strip("0")) if match else 1


def _numerals(one: Quantity) -> frozenset[float]:
    match = re.search(_NUMERAL, one.text)
    if match:
        return parse_number(match.group())
    return frozenset({_WORDS[word] for word in one.text.lower().split() if word in _WORDS})


def _same_day(one: Day, two: Day) -> bool:
    shared = [(a, b) for a, b in zip(one, two, strict=True) if a is not None and b is not None]
    return bool(shared) and all(a == b for a, b in shared)
