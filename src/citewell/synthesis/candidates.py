"""What an extractive writer may quote, and what speaks for each candidate as the answer to a question."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from citewell.language import STOP_WORDS, Piece, content, cut, fold, parse_number, rarity, renderings, stem, words
from citewell.synthesis.question import Intent
from citewell.types import Evidence, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CANDIDATES = 64
_LONG_ANSWER = 120

FEATURES = (
    "similar", "in_context", "neighbour", "terms", "terms_around", "focus", "type", "names", "numbers", "rank",
    "opening", "asks", "new",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """One quotable unit. `text` is what an answer would say: the quote folded, or a table row in words.

    `span` is in characters of the evidence's document. `seen` is what is embedded and `stems` what is matched: of a row
    with its header, of an answer with its question. `headed` is `seen` under its title and nearest heading. `around`
    are the stems of title, headings and the piece before.
    """

    evidence: Evidence
    text: str
    span: Span
    kind: str
    place: int
    seen: str
    headed: str
    stems: frozenset[str]
    around: frozenset[str]


def candidates(intent: Intent, evidence: Sequence[Evidence]) -> list[Candidate]:
    """At most `MAX_CANDIDATES`, in the order they stand; those that share words with the question go first."""
    found = [one for item in evidence for one in _of(item)]
    found = _asked_side(intent, [one for one in found if not _of_other_measure(intent, one)])
    if len(found) > MAX_CANDIDATES:
        wanted = frozenset(intent.terms)
        order = sorted(
            range(len(found)), key=lambda at: (-len(wanted & found[at].stems), -len(wanted & found[at].around), at)
        )
        found = [found[at] for at in sorted(order[:MAX_CANDIDATES])]
    return found


_MEASURE = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)*)\s?(%|[^\W\d_]{1,12})")
_BOUND = re.compile(
    r"[<>≤≥]|\b(?:up to|at (?:least|most)|over|under|above|below|from|until|(?:more|less|fewer) than|or (?:more|less)|"
    r"max|min|maximum|minimum|ab|bis|über|unter|höchstens|mindestens|jusqu'à|à partir|hasta|desde)\b",
    re.IGNORECASE,
)
_FORBIDS = re.compile(
    r"\b(?:forbidden|prohibited|banned|not (?:be )?(?:allowed|permitted)|must not|may not|never|verboten|nicht erlaubt|"
    r"interdite?s?|prohibid[oa]s?)\b",
    re.IGNORECASE,
)
_ALLOWS = re.compile(r"\b(?:allowed|permitted|may|erlaubt|zulässig|autorisée?s?|permitid[oa]s?)\b", re.IGNORECASE)


def _of_other_measure(intent: Intent, one: Candidate) -> bool:
    """Whether a table row is about another measure than the question: `6 mm` where 9 mm were asked for.

    A row that gives a bound (`up to 5 kg`) or several numbers of the unit (`2 kg to 5 kg`) may hold the one asked for.
    """
    if one.kind != "row" or _BOUND.search(one.text):
        return False
    held = _measures(one.text)
    return any(
        len(asked) == len(held.get(unit, ())) == 1 and asked[0].isdisjoint(held[unit][0])
        for unit, asked in _measures(intent.text).items()
    )


def _measures(text: str) -> dict[str, list[frozenset[float]]]:
    """Stem of a unit → the values of each number before it; a little word (`2023 in`) is no unit.

    So `s` and `t`, little words of English too, are none: a row too many does less harm than the right one left out.
    """
    found: dict[str, list[frozenset[float]]] = {}
    for number, unit in _MEASURE.findall(text.lower()):
        if unit == "%" or not any(unit in stops for stops in STOP_WORDS.values()):
            found.setdefault(stem(unit), []).append(parse_number(number))
    return found


def _asked_side(intent: Intent, found: list[Candidate]) -> list[Candidate]:
    """Without what is allowed where the question asks what is forbidden, and the other way round, if both are there."""
    if intent.kind == "yes-no":
        return found  # "may I" is answered by either
    sides = ["forbids" if _FORBIDS.search(one.text) else "allows" if _ALLOWS.search(one.text) else "" for one in found]
    asked = "forbids" if _FORBIDS.search(intent.text) else "allows" if _ALLOWS.search(intent.text) else ""
    if not asked or asked not in sides:
        return found
    return [one for one, side in zip(found, sides, strict=True) if side in (asked, "")]


def _of(evidence: Evidence) -> list[Candidate]:
    node, text = evidence.hit.node, evidence.quotable
    title = f"{evidence.hit.document.title}\n{node.context}"
    pieces = cut(text, node.kind.value, node.context, node.heading_path)
    context = frozenset(word.stem for word in words(title + "\n" + "\n".join(node.heading_path)))
    found: list[Candidate] = []
    before: frozenset[str] = frozenset()
    heads = {header for piece in pieces for header in piece.headers}
    asked = next((text[p.start : p.end] for p in pieces if p.kind == "question"), "")
    if node.kind.value == "faq":
        pieces = _whole_answer(text, pieces)
    above = frozenset[str]()
    top = fold(". ".join(dict.fromkeys(one for one in (evidence.hit.document.title, *node.heading_path[-1:]) if one)))
    for place, piece in enumerate(_with_lists(text, pieces)):
        quote = text[piece.start : piece.end]
        stems = frozenset(word.stem for word in words(quote))
        if piece.kind in ("heading", "question"):
            above |= stems
            continue
        said, seen = fold(quote), fold(quote)
        if piece.kind == "row":
            said = renderings(quote, piece.headers)[0]
            seen = said.replace("_", " ")  # headers such as full_day_eur are words to find, though quoted as they stand
            stems |= frozenset(word.stem for word in words(seen))
        if asked:
            seen, stems = asked, stems | frozenset(word.stem for word in words(asked))
        if not content(words(quote)) or (piece.kind == "row" and quote in heads):
            continue
        span = Span(evidence.span.start + piece.start, evidence.span.start + piece.end)
        found.append(
            Candidate(
                evidence,
                said,
                span,
                piece.kind,
                place,
                seen,
                f"{top}: {seen}" if top else seen,
                stems,
                context | above | before,
            )
        )
        before = stems
    return found


def _whole_answer(text: str, pieces: Sequence[Piece]) -> list[Piece]:
    """The answer of a question and answer pair is one unit, unless it is long."""
    answer = [piece for piece in pieces if piece.kind not in ("question", "heading")]
    rest = [piece for piece in pieces if piece.kind in ("question", "heading")]
    if not answer or len(text[answer[0].start : answer[-1].end].split()) > _LONG_ANSWER:
        return list(pieces)
    return [*rest, Piece(answer[0].start, answer[-1].end, "answer")]


def _with_lists(text: str, pieces: Sequence[Piece]) -> list[Piece]:
    """A list that is not long is quoted whole too: with the line in front of it that ends in a colon, or, right below
    a heading (the steps of a how-to), by itself."""
    found: list[Piece] = []
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        announced = piece.kind == "sentence" and text[: piece.end].endswith(":")
        headed = piece.kind == "item" and (at == 0 or pieces[at - 1].kind == "heading")
        first = at + 1 if announced else at
        end = first
        while (announced or headed) and end < len(pieces) and pieces[end].kind == "item":
            end += 1
        if (
            end - first > (0 if announced else 1)
            and len(text[piece.start : pieces[end - 1].end].split()) <= _LONG_ANSWER
        ):
            found.append(Piece(piece.start, pieces[end - 1].end, "list"))
            found.extend(pieces[first:end])
            at = end
            continue
        found.append(piece)
        at += 1
    return found


_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred"
        r"|thousand|million|billion|once|twice|"
    r"half|no limit|unlimited|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn)\b", re.IGNORECASE
)  # fmt: skip
_MONEY = re.compile(
    r"[€$£¥₹]|\b(?:eur|usd|gbp|chf|euros?|dollars?|pounds?|cents?|percent|free of charge|nothing)\b|_(?:eur|usd"
    r"|gbp)\b|\d[.,]*\s?%",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"\b(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?|tage?n?|wochen?|monate?n?|jahre?n?"
    r"|stunden?)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:1[0-9]{3}|20\d\d)\b|\b(?:january|february|march|april|may|june|july|august|september|october"
        r"|november|december|monday|tuesday|wednesday|"
    r"thursday|friday|saturday|sunday|spring|summer|autumn|winter|century|januar|februar|märz|mai|juni|juli"
        r"|oktober|dezember)\b|"
    r"\b\d{1,2}(?:st|nd|rd|th)\b|\d{1,2}:\d{2}|\b(?:day|week|month|year|deadline|noon|midnight|before|after"
        r"|until)\b", re.IGNORECASE
)  # fmt: skip
_CAPITAL = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'-]+|\b[A-Z]\w+\s+[A-Z]\w+")


def has_type(kind: str, text: str, question: str) -> float:
    """1 if `text` holds something of the kind asked for that the question does not hold itself, 0 if not.

    0.5 for kinds that cannot be told from the surface.
    """
    known = {word.lower for word in words(question)}
    if kind in ("number", "money", "duration", "date"):
        rest = " ".join(word for word in text.split() if word.strip(".,;:()?!\"'").lower() not in known)
        if kind == "date":
            return float(bool(_DATE.search(rest)))
        if not _NUMBER.search(rest):
            return 0.0
        if kind == "money":
            return 1.0 if _MONEY.search(text) else 0.5
        return 1.0 if kind == "number" or _DURATION.search(text) else 0.25
    if kind in ("person", "place"):
        fresh = [m.group() for m in _CAPITAL.finditer(text) if not {w.lower for w in words(m.group())} <= known]
        return 1.0 if fresh else 0.0
    return 0.5


def weigh(
    intent: Intent, found: Sequence[Candidate], similar: NDArray[np.float32], in_context: NDArray[np.float32]
) -> tuple[NDArray[np.float64], Mapping[str, float]]:
    """What speaks for each candidate: shape (len(found), len(FEATURES)), in the order of `found` and `FEATURES`.

    `similar` and `in_context` (len(found),) are the cosines of `seen` and `headed` with the question. Term shares
    are weighted by rarity among the candidates, which is the second thing returned: a question's term that no
    candidate holds is the rarest of all.
    """
    rare = rarity([one.stems | one.around for one in found])
    top = math.log(1 + (len(found) + 0.5) / 0.5)
    weight = {term: rare.get(term, top) for term in intent.terms}
    total = sum(weight.values()) or 1.0
    names = [frozenset(word.stem for word in content(words(name))) for name in intent.names]
    names = [name for name in names if name]
    focus = {term: share for term, share in weight.items() if not any(term in name for name in names)}
    sought = sum(focus.values())
    best: dict[int, float] = {}
    for one, cosine in zip(found, in_context, strict=True):
        best[one.evidence.number] = max(best.get(one.evidence.number, -1.0), float(cosine))
    opened: set[int] = set()
    rows = []
    for one, cosine, within in zip(found, similar, in_context, strict=True):
        both = one.stems | one.around
        held = sum(share for term, share in weight.items() if term in one.stems) / total
        around = sum(share for term, share in weight.items() if term in both) / total
        named = sum(len(name & both) / len(name) for name in names) / len(names) if names else 1.0
        numbers = [number in one.evidence.text for number in intent.numbers]
        fresh = len({word.stem for word in content(words(one.text))} - set(intent.terms) - one.around)
        rows.append(
            (
                float(cosine),
                float(within),
                best[one.evidence.number],
                held,
                around,
                sum(share for term, share in focus.items() if term in one.stems) / sought if sought else 1.0,
                has_type(intent.kind, one.text, intent.text),
                named,
                sum(numbers) / len(numbers) if numbers else 1.0,
                1.0 / one.evidence.number,
                float(one.evidence.number not in opened),
                float(one.text.rstrip().endswith(("?", "？"))),
                min(1.0, fresh / 8),
            )
        )
        opened.add(one.evidence.number)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), weight
