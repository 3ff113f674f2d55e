"""Text → terms, the same way for documents and queries, in any script.

A *surface* is a run of word characters with inner connectors (`state-of-the-art`, `user_name`, `3.14`). Its terms:

- Latin, Greek, Cyrillic, Arabic, Hebrew, Indic …: one term a word, folded (NFKC, case, accents and optional vowel
  signs); English stop words dropped, ASCII words stemmed by Porter2 (Snowball `english`);
- compounds (`getUserName`, `user_name`, `e-mail`, `X-1234`, `v2.1`): the parts, and of camel case, hyphens and
  versions the whole written together too, so that `email` finds `e-mail`;
- numbers with points or commas stay whole, without thousands commas (`1,000` is `1000`);
- Han, Hiragana, Katakana, Hangul: overlapping character pairs (a single character for itself); scripts without
  spaces between words (Thai, Lao, Khmer, Myanmar): overlapping triples.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

# Marks of the Indic and South-East Asian scripts are not \w for `re`; without their ranges words would break at
# every vowel sign. The two dandas, their full stops, are left out.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
_MARKS += "\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0963\u0966-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e80-\u109f"
_MARKS += "\u1780-\u17d3\u17e0-\u17e9"
_WORD = rf"[\w{_MARKS}]"
_SURFACE = re.compile(rf"{_WORD}+(?:[-‐‑'’.,:&/+]{_WORD}+)*[+#]*")
_ASCII_SURFACE = re.compile(r"\w+(?:[-'.,:&/+]\w+)*[+#]*", re.ASCII)

_PAIRED = "\u1100-\u11ff\u3005-\u3007\u3021-\u3029\u3040-\u312f\u3130-\u318f\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af"
_PAIRED += "\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_RUNS = re.compile(rf"(?P<paired>[{_PAIRED}]+)|(?P<unspaced>[{_UNSPACED}]+)|(?P<word>[^{_PAIRED}{_UNSPACED}]+)")
_GRAM = {"paired": 2, "unspaced": 3}

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PARTS = re.compile(r"[-‐‑'’.,:&/+#_]+")
_HYPHENED = re.compile(r"[^\W_]+(?:[-‐‑][^\W_]+)+")
_VERSION = re.compile(r"(?=.*\d)[^\W_]+(?:\.[^\W_]+)+")
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Accents go where they sit on a Latin or Greek letter; elsewhere (й, が, vowel signs) they make another letter.
_ACCENTS = re.compile("(?<=[a-z\u0250-\u02af\u0370-\u03ff\u1d00-\u1d7f])[\u0300-\u036f]+")
_OPTIONAL = re.compile("[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]+")
_SPELLINGS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ё": "е", "ς": "σ"})
_MAX_TERM = 64
_MAX_CACHED = 200_000

_STOP_WORDS = """
    a about after all also am an and any are as at be because been before being both but by can could did do does
    doing done each for from had has have having he her here hers him his how i if in into is it its itself just me
    more most my no nor not of on only or other our ours out over own same she should so some such than that the their
    theirs them then there these they this those through to too under until up very was we were what when where which
    while who whom whose why will with would you your yours s t d ll re ve m"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


class Analyzer:
    """Terms of a text with their counts. `identity` changes whenever the same text would give other terms."""

    identity = "porter2-en@1"

    def __init__(self) -> None:
        from Stemmer import Stemmer

        self._stem = Stemmer("english").stemWord
        # Terms of surfaces seen before; emptied when full, so memory stays bounded whatever is read.
        self._known: dict[str, tuple[str, ...]] = {}

    def terms(self, text: str) -> Mapping[str, int]:
        """Counts of the terms of `text`, in order of first occurrence; the same for the same text, always."""
        counts: Counter[str] = Counter()
        if text.isascii():
            surfaces = Counter(_ASCII_SURFACE.findall(text))
        else:
            surfaces = Counter(_SURFACE.findall(unicodedata.normalize("NFKC", text)))
        known = self._known
        for surface, count in surfaces.items():
            terms = known.get(surface)
            if terms is None:
                terms = self._terms_of(surface)
                if len(known) >= _MAX_CACHED:
                    known.clear()
                if len(surface) <= _MAX_TERM:
                    known[surface] = terms
            for term in terms:
                counts[term] += count
        return counts

    def _terms_of(self, surface: str) -> tuple[str, ...]:
        if surface.isascii():
            return tuple(self._words(surface))
        terms: list[str] = []
        for run in _RUNS.finditer(surface):
            kind, text = str(run.lastgroup), run.group()
            if kind == "word":
                terms.extend(self._words(text))
            else:
                size = _GRAM[kind]
                terms.extend(text[at : at + size] for at in range(max(1, len(text) - size + 1)))
        return tuple(terms)

    def _words(self, surface: str) -> list[str]:
        if _NUMBER.fullmatch(surface):
            return [_THOUSANDS.sub("", surface)[:_MAX_TERM]]
        terms: list[str] = []
        whole: list[str] = []
        for piece in _PARTS.split(surface):
            if piece:
                whole.append(piece)
                humps = _HUMP.split(piece)
                if len(humps) > 1:
                    terms.extend(self._word(hump) for hump in humps)
                terms.append(self._word(piece))
        # Not for what other signs join (and/or, end.Start, user_name, l'homme): measured, it costs more than it finds.
        if surface[-1] in "+#":  # C++ and C# are names
            terms.append(surface.casefold()[:_MAX_TERM])
        elif 1 < len(whole) <= 4 and (_HYPHENED.fullmatch(surface) or _VERSION.fullmatch(surface)):
            terms.append(self._word("".join(whole)))
        return [term for term in terms if term]

    def _word(self, word: str) -> str:
        """The term of one word, or "" for a stop word."""
        folded = _fold(word)[:_MAX_TERM]
        if folded in STOP_WORDS:
            return ""
        return str(self._stem(folded)) if folded.isascii() and folded.isalpha() else folded


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    apart = unicodedata.normalize("NFKD", word.casefold())
    folded = unicodedata.normalize("NFC", _ACCENTS.sub("", apart))
    return _OPTIONAL.sub("", folded).translate(_SPELLINGS)
