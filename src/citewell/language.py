"""Words and sentences with exact places: what the writers and the judge both count in.

It stands below the stages, because the judge must cut text at the same places, and take the same words for numbers and
negations, as the writer whose quotes it checks.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROW_BAR = " | "
"""What stands between two cells of a table row in a document's text."""

# 128: a part of an identifier longer than that is none; without an end to it "a1a1…" is scanned again from each letter.
_WORD = re.compile(
    r"\d+(?:[.,:]\d+)*(?=\D|$)|[^\W_]{1,128}+(?:_[^\W_]+)+|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\W_]+|[₀-₉]+", re.UNICODE
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")

STOP_WORDS: Mapping[str, frozenset[str]] = {
    "en": _set(
        """a about above after again all also am an and any are aren as at be because been before being below between
        both but by can could did didn do does doesn doing don during each either else few for from further
        get gets got had has hasn have haven having he her here hers herself him himself his how i if in into
        is isn it its itself just ll may me might more most much must my myself n't neither no nor not now of
        off on once only or other our ours out over own per re s same shall she should so some such t than
        that the their theirs them themselves then there these they this those through to too under until up
        upon us ve very was wasn we were weren what when where which while who whom whose why will with within
        without won would you your yours yourself"""
    ),
    "de": _set(
        """aber alle als also am an auch auf aus bei beim bin bis bist da damit dann das dass dem den denn der des die
        dies diese dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas euch euer für
        gegen haben hat hatte ich ihm ihn ihnen ihr ihre im in ist ja kann kein keine können man mein mich mir
        mit muss nach nicht noch nun nur ob oder ohne sehr sein seine sich sie sind so über um und uns unser
        unter vom von vor wann war waren was weil wenn wer werden wie wieder wird wir wo wurde zu zum zur
        zwischen"""
    ),
    "fr": _set(
        """à au aux avec ce ces cet cette comme comment dans de des du elle elles en est et été être eux il ils je la le
        les leur leurs lui ma mais me même mes moi mon ne nos notre nous on ont ou où par pas plus pour qu
        quand que quel quelle quelles quels qui sa sans se ses si son sont sur ta te tes toi ton tu un une vos
        votre vous"""
    ),
    "es": _set(
        """al algo como cómo con cuál cuándo cuánto de del desde donde dónde dos el él ella ellas ellos en entre era es
        esa ese eso esta está este esto fue ha hay la las le les lo los más me mi mis muy nada no nos nosotros
        o para pero por porque qué que quien quién se sea ser si sin sobre son su sus también te tiene todo tu
        un una uno y ya yo"""
    ),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word at characters [start, end): as it stands (`text`), lower-cased (`lower`) and stemmed (`stem`)."""

    text: str
    lower: str
    stem: str
    start: int
    end: int

    @property
    def number(self) -> bool:
        """Whether it starts with a digit."""
        return self.text[0].isdigit()


@lru_cache(maxsize=1)
def _stemmer() -> object:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=50_000)
def stem(lower: str) -> str:
    """The stem of one lower-cased word, without accents; digits and other scripts stay as they are.

    The English Snowball stemmer for every language: it is light elsewhere, and both sides are cut alike.
    """
    plain = "".join(ch for ch in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(ch))
    plain = plain.replace("’", "'")
    if plain.endswith("'s"):
        plain = plain[:-2]
    if not plain or plain[0].isdigit() or len(plain) < 3:
        return plain or lower
    return str(_stemmer().stemWord(plain))  # type: ignore[attr-defined]


def words(text: str) -> list[Word]:
    """The words of `text` in order. Chinese, Japanese and Korean characters are words of one character each."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        raw, start = match.group(), match.start()
        if _CJK.search(raw):
            found.extend(Word(ch, ch, ch, start + i, start + i + 1) for i, ch in enumerate(raw))
            continue
        lower = unicodedata.normalize("NFKC", raw).lower()
        found.append(Word(raw, lower, stem(lower), start, match.end()))
    return found


def parse_number(text: str) -> frozenset[float]:
    """The values a numeral may have: `1,000.5`, `1.000,5`, `1 000,5` and `1'000.5` are all 1000.5."""
    plain = re.sub(r"[\s\u00a0\u202f'’]", "", text)
    dots, commas = plain.count("."), plain.count(",")
    if dots and commas:
        point = "." if plain.rfind(".") > plain.rfind(",") else ","
        plain = plain.replace("," if point == "." else ".", "").replace(point, ".")
        return _values(plain)
    mark = "." if dots else ","
    if dots + commas == 0:
        return _values(plain)
    groups = plain.split(mark)
    thousands = len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    if len(groups) > 2:
        return _values("".join(groups)) if thousands else frozenset()
    if thousands and mark == ",":
        return _values("".join(groups))
    if thousands:
        return _values("".join(groups)) | _values(".".join(groups))
    return _values(".".join(groups))


def _values(plain: str) -> frozenset[float]:
    # A digit string can be as long as an attacker likes; float() is linear, and infinity equals itself.
    try:
        return frozenset({float(plain[:400])})
    except ValueError:
        return frozenset()


def language_of(lowers: Iterable[str]) -> str:
    """`en`, `de`, `fr` or `es` by the stop words that occur; `en` in doubt."""
    seen = frozenset(lowers)
    return max(STOP_WORDS, key=lambda code: (len(seen & STOP_WORDS[code]), code == "en"))


_NEGATIONS = _set(
    """not no never none nobody nothing nowhere neither nor without cannot cant can't n't lack lacks lacked lacking fail
    fails failed unable nicht kein keine keinen keiner keinem keines nie keins keinerlei niemals ohne weder ne
    pas jamais aucun aucune sans ni nunca ningún ninguno ninguna sin hardly scarcely barely"""
)
_NO_NEGATION_IN_ENGLISH = frozenset({"ne", "pas", "sin", "ni", "ohne", "sans"})


def is_negation(word: Word, language: str) -> bool:
    """Whether `word` negates in a text of `language`: not, never, no, without, n't, nicht, kein, ne … pas."""
    lower = word.lower.replace("’", "'")
    if lower.endswith("n't"):
        return True
    return lower in _NEGATIONS and not (language == "en" and lower in _NO_NEGATION_IN_ENGLISH)


def content(found: Sequence[Word]) -> list[Word]:
    """The words that carry meaning: no stop words of the text's own language, no single letters."""
    language = language_of(word.lower for word in found)
    stops = STOP_WORDS["en"] if language == "en" else STOP_WORDS[language] | STOP_WORDS["en"]
    return [
        word
        for word in found
        if word.lower not in stops
        and (len(word.text) > 1 or word.number or _CJK.match(word.text) or word.text.isupper())
    ]


def rarity(texts: Iterable[Iterable[str]]) -> dict[str, float]:
    """Weight of each stem by how few of `texts` (each given by its stems) hold it: ln(1 + (n - df + .5)/(df + .5)).

    The inverse document frequency of BM25 (Robertson and Zaragoza, 2009).
    """
    seen: Counter[str] = Counter()
    total = 0
    for stems in texts:
        seen.update(set(stems))
        total += 1
    return {one: math.log(1 + (total - df + 0.5) / (df + 0.5)) for one, df in seen.items()}


_ABBREVIATIONS = _set(
    """adj al approx apr art aug bd betr bspw bzw ca cf ch chap co col corp dec dept dipl dr ed eds eg etc ex feb ff fig
    figs gen ggf gov hon ie inc incl inkl jan jr jul jun kap lt ltd max mar min mr mrs ms mt nov nr no nos oct op p para
    pp prof rep resp rev sec sen sep sept sr st str tab tel u.s u.k usw v viz vgl vol vs z.b d.h u.a i.d.r e.g i.e a.m
    p.m ph.d u.s.a"""
)
_NEEDS_NUMBER = frozenset({"no", "nos", "p", "pp", "art", "max", "min", "mar", "v", "sec", "ch", "st", "op", "ed"})
# Possessive, and only from the start of a run: a long run of points that ends no sentence is read once.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s|$)|[。！？]+[”’」』）]*")
_VISIBLE = re.compile(r"\S")
_MARKER = re.compile(r"\s*(?:[-*+•–▪‣◦]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|#{1,6})\s+")


def sentences(text: str) -> list[tuple[int, int]]:
    """Characters [start, end) of each sentence, ascending, without white space at the ends; nothing visible is missing.

    A blank line, a list marker, a table row (a line with ` | `), a heading and a line that is visibly not wrapped
    end a sentence; within those, `.`, `!`, `?` and `…` do when what follows looks like a beginning and what precedes
    is no abbreviation or initial. Decimals have no white space after the point and so are never cut.
    """
    cuts: list[tuple[int, int]] = []
    for start, end in _pieces(text):
        cuts.extend(_split(text, start, end))
    return cuts


def lines(text: str) -> list[tuple[int, int]]:
    """Characters [start, end) of each line that is not blank, without white space at the ends."""
    found = []
    for match in re.finditer(r"[^\n]+", text):
        found.extend(_trim(text, match.start(), match.end()))
    return found


def _trim(text: str, start: int, end: int) -> list[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return [(start, end)] if start < end else []


def _pieces(text: str) -> list[tuple[int, int]]:
    """Stretches that no sentence crosses: wrapped lines joined; rows, list items and headings apart."""
    found: list[tuple[int, int]] = []
    for rows in _blocks(text):
        widest = max(b - a for a, b in rows)
        start = rows[0][0]
        for (a, b), (c, d) in zip(rows, [*rows[1:], (-1, -1)], strict=True):
            if c < 0:
                found.append((start, b))
                break
            here, following = text[a:b], text[c:d]
            wrapped = (b - a) >= 0.6 * widest and widest >= 60
            apart = (
                ROW_BAR in here
                or ROW_BAR in following
                or _MARKER.match(following)
                or here.lstrip().startswith("#")
                or (not wrapped and _begins(following.lstrip()) and not here.rstrip().endswith((",", "-")))
            )
            if apart:
                found.append((start, b))
                start = c
    return [cut for a, b in found for cut in _trim(text, a, b)]


def _blocks(text: str) -> list[list[tuple[int, int]]]:
    """The lines of each run of lines that are not blank."""
    found: list[list[tuple[int, int]]] = [[]]
    at = 0
    for line in text.split("\n"):
        if line and not line.isspace():
            found[-1].append((at, at + len(line)))
        elif found[-1]:
            found.append([])
        at += len(line) + 1
    return [rows for rows in found if rows]


def _begins(following: str) -> bool:
    first = following[:1]
    return first.isupper() or first.isdigit() or first in "\"'“‘«([*`_•-–¿¡$€£" or bool(_CJK.match(first))


def _split(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if ROW_BAR in text[start:end]:
        return _trim(text, start, end)
    marker = _MARKER.match(text, start, end)
    found: list[tuple[int, int]] = []
    at = start
    for match in _END.finditer(text, marker.end() if marker else start, end):
        visible = _VISIBLE.search(text, match.end(), end)
        if visible and text[match.start()] not in "。！？":
            following = visible.group()
            if not _begins(following):
                continue
            if match.group().startswith(".") and len(match.group().rstrip("\"'”’»)]")) == 1:
                before = _last_token(text, at, match.start())
                last = before.lower()
                if last in _ABBREVIATIONS and (last not in _NEEDS_NUMBER or following.isdigit()):
                    continue
                if len(last) == 1 and last.isalpha() and before.isupper():
                    continue
                if last.isdigit() and at + len(last) == match.start():
                    continue
        found.extend(_trim(text, at, match.end()))
        at = match.end()
    found.extend(_trim(text, at, end))
    return found


def _last_token(text: str, start: int, end: int) -> str:
    """What stands before `end`, back to white space, an opening bracket or quote, or `start`."""
    at = end
    while at > start and not text[at - 1].isspace() and text[at - 1] not in '(["“':
        at -= 1
    return text[at:end]


def fold(text: str) -> str:
    """`text` with every run of white space as one blank, none at the ends."""
    return " ".join(text.split())


def cells(row: str) -> list[str]:
    """The cells of a table row, folded. Bars at both ends are a frame; one at one end stands beside an empty cell."""
    bare = row.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == "|":
        bare = bare[1:-1]
    return [fold(cell) for cell in bare.split("|")]


def renderings(row: str, headers: Sequence[str]) -> list[str]:
    """A row in words, made of nothing but header cells and cells of that row; the best first, the bare row last.

    `Header: cell; Header: cell` under each header of as many cells (an empty cell is left out, an empty header leaves
    the cell bare), and `cell: cell` for a row of two.
    """
    values = cells(row)
    found = [
        "; ".join(f"{name}: {value}" if name else value for name, value in zip(names, values, strict=True) if value)
        for names in map(cells, headers)
        if len(names) == len(values)
    ]
    if len(values) == 2 and all(values):
        found.append(f"{values[0]}: {values[1]}")
    return [*found, fold(row)]


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit that can be quoted, at characters [start, end) of a node's text.

    `kind`: `sentence`, `item` (of a list), `row` (of a table), `code` (a line), `heading`, or `question` (of a question
    and answer pair). `headers` are the rows that may name a row's cells, the likeliest first.
    """

    start: int
    end: int
    kind: str
    headers: tuple[str, ...] = ()


_LOOK_AT = 200
"""Rows of a node that decide whether its first row is a header; more would not change the picture."""
_BULLET = re.compile(r"[-*+•–▪‣◦]\s+")


def cut(text: str, kind: str, context: str = "", headings: Sequence[str] = ()) -> list[Piece]:
    """The pieces of a node's text, in order. `kind` is the node's; `headings` are those above it, its own included."""
    if kind == "code":
        return [Piece(start, end, "code") for start, end in lines(text)]
    named = {fold(heading).lower() for heading in headings}
    spans = lines(text) if kind == "table" else sentences(text)
    above = [line for line in context.splitlines() if "|" in line]
    found: list[Piece] = []
    likely: dict[tuple[int, str], tuple[str, ...]] = {}  # by the width of a row and the first row of its table
    table = [cells(text[a:b]) for a, b in spans[:_LOOK_AT]]
    first = ""  # row of the table at hand
    for start, end in spans:
        here = text[start:end]
        if kind == "table" or ROW_BAR in here:
            width = len(cells(here))
            if width < 2:
                found.append(Piece(start, end, "sentence"))
                continue
            if (width, first) not in likely:
                headers = [*reversed(above), *([first] if first else [])]
                likely[width, first] = _likely(headers, width, table)
            found.append(Piece(start, end, "row", likely[width, first]))
            first = first or here
            continue
        first = ""
        if kind == "faq" and all(piece.kind == "heading" for piece in found) and here.endswith(("?", "？")):
            found.append(Piece(start, end, "question"))
        elif fold(here.lstrip("# ")).lower() in named:
            found.append(Piece(start, end, "heading"))
        elif bullet := _BULLET.match(here):
            found.append(
                Piece(start + bullet.end(), end, "item") if bullet.end() < len(here) else Piece(start, end, "item")
            )
        else:
            found.append(Piece(start, end, "item" if _MARKER.match(here) else "sentence"))
    return found


def _likely(headers: Sequence[str], width: int, rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The headers that fit a row of `width` cells; `rows` are those of its node, in cells.

    Of a table of two columns the first row is a header only if it looks unlike all others: `Owner | Jane` stands above
    `Since | 2020` without naming its cells.
    """
    fitting = [header for header in headers if len(cells(header)) == width]
    if width == 2 and fitting:
        header = cells(fitting[0])
        body = [values[1] for values in rows if len(values) == 2 and values != header]
        numeric = len(body) > 1 and all(any(ch.isdigit() for ch in value) for value in body if value)
        if not numeric or any(ch.isdigit() for ch in fitting[0]):
            return ()
    return tuple(fitting)
