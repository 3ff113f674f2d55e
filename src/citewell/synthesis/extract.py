"""The extractive writer, the product's default: it answers by quoting the sentences that answer, or not at all."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from citewell.language import content, is_negation, language_of, words
from citewell.protocols import Embedder
from citewell.synthesis.candidates import FEATURES, Candidate, candidates, weigh
from citewell.synthesis.question import Intent, understand
from citewell.types import AbstainReason, Draft, Evidence, Mark, Statement, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What speaks for a sentence, in logits. Rounded from logistic regressions on sentences that hold a gold answer
# (Natural Questions), human-marked supporting sentences (CLAP NQ) and table rows (TAT-QA), towards what they agree on.
WEIGHTS: Mapping[str, float] = {
    "similar": 2.0,
    "in_context": 2.0,
    "neighbour": 2.5,
    "terms": 1.0,
    "terms_around": 0.0,
    "focus": 0.5,
    "type": 1.5,
    "names": 1.0,
    "numbers": 0.5,
    "rank": 0.8,
    "opening": 0.4,
    "asks": -2.0,
    "new": 0.8,
}
# What speaks for an answer being there at all. The cosine separates best on every set; terms and names that are
# missing from the evidence tell plausible questions without an answer from others.
GATE: Mapping[str, float] = {
    "most_similar": 2.0,
    "similar": 2.0,
    "most_in_context": 3.0,
    "in_context": 3.0,
    "terms_around": 0.5,
    "focus": 0.6,
    "shared": 1.0,
    "there": 0.5,
    "off_focus": -1.5,
    "type": 0.8,
    "names": 1.5,
    "numbers": 0.8,
    "new": 0.5,
}
GATE_BIAS = -10.1
MAX_STATEMENTS = 3
CLOSE = 0.35
"""A candidate this near (in logits) to the best is as likely the answer, and is quoted too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates chosen, best first, and the odds (a logit) that they answer at all; `lacking` says in words what
    the question has and they have not."""

    chosen: tuple[Candidate, ...]
    odds: float
    lacking: tuple[str, ...]


class Extractive:
    """Writer that quotes 1–3 sentences, table rows or answers verbatim, each with its exact place.

    Two embedding calls: the question, and at most 64 candidates. `threshold` is the probability, 0 to 1, below which
    it abstains.
    """

    def __init__(self, embedder: Embedder, *, threshold: float = 0.5) -> None:
        self._embedder = embedder
        self._threshold = threshold

    @property
    def name(self) -> str:
        return "extractive@1"

    async def write(self, question: str, evidence: Sequence[Evidence]) -> Draft:
        """Quotes with spans, best first, those of one evidence in reading order; or the reason why there is none."""
        intent = understand(question)
        found = candidates(intent, evidence)
        if intent.problem or not found:
            reason = intent.message or "Nothing was found that could be quoted."
            return Draft((), self.name, abstained=AbstainReason.NO_EVIDENCE, reason=reason)
        asked = await self._embedder.embed([intent.text], role="query")
        held = await self._embedder.embed([text for one in found for text in (one.seen, one.headed)], role="passage")
        cosines = held @ asked[0]
        choice = await asyncio.to_thread(choose, intent, found, cosines[0::2], cosines[1::2])
        usage = Usage(model_calls=2)
        chance = 1.0 / (1.0 + math.exp(-choice.odds))
        if chance < self._threshold:
            lacking = f" It lacks: {', '.join(choice.lacking)}." if choice.lacking else ""
            estimate = f"estimated chance {chance:.0%}, where {self._threshold:.0%} are needed"
            reason = f"The closest passage does not seem to answer this ({estimate}).{lacking}"
            return Draft((), self.name, abstained=AbstainReason.WEAK_EVIDENCE, reason=reason, usage=usage)
        statements = tuple(Statement(one.text, (Mark(one.evidence.number, one.span),)) for one in choice.chosen)
        return Draft(statements, self.name, usage=usage)


def choose(
    intent: Intent, found: Sequence[Candidate], similar: NDArray[np.float32], in_context: NDArray[np.float32]
) -> Choice:
    """The smallest set of candidates that answers: the best, and others only for a reason.

    A further one is taken if it is about as likely as the best, if it holds question terms that the chosen ones lack
    and is nearly as likely, or if another document says the like with other numbers or the opposite.
    """
    import numpy as np

    table, weight = weigh(intent, found, similar, in_context)
    score = table @ np.array([WEIGHTS[name] for name in FEATURES])
    order = np.argsort(-score, kind="stable")
    best = int(order[0])
    chosen = [best]
    covered = found[best].stems | found[best].around
    total = sum(weight.values()) or 1.0
    for at in map(int, order[1:24]):
        if len(chosen) >= MAX_STATEMENTS:
            break
        one, gap = found[at], float(score[best] - score[at])
        if any(_same(one, found[other]) for other in chosen):
            continue
        apart = _disagree(found[best], one)
        if not apart and _of_another(intent, one, found[best]):
            continue
        adds = sum(share for term, share in weight.items() if term in one.stems and term not in covered) / total
        if gap <= CLOSE or (gap <= 1.5 and adds >= 0.25) or (gap <= 3.0 and apart):
            chosen.append(at)
            covered |= one.stems | one.around
    kept = sorted(chosen, key=lambda at: (_first(chosen, found, at), found[at].place))
    return Choice(tuple(found[at] for at in kept), *_gate(intent, found, table, best, weight))


def _first(chosen: Sequence[int], found: Sequence[Candidate], at: int) -> int:
    """Where the evidence of `at` comes first among the chosen: evidence of the best first."""
    return next(i for i, other in enumerate(chosen) if found[other].evidence.number == found[at].evidence.number)


def _gate(
    intent: Intent, found: Sequence[Candidate], table: NDArray[np.float64], best: int, weight: Mapping[str, float]
) -> tuple[float, tuple[str, ...]]:
    """The odds that the best candidate answers, and what of the question its evidence lacks."""
    row = dict(zip(FEATURES, table[best], strict=True))
    most = dict(zip(FEATURES, table.max(axis=0), strict=True))
    number = found[best].evidence.number
    there = frozenset[str]().union(*(one.stems | one.around for one in found if one.evidence.number == number))
    there |= frozenset(word.stem for word in words(found[best].evidence.text))
    focus = {term: share for term, share in weight.items() if term not in _named(intent)}
    held = sum(share for term, share in focus.items() if term in there)
    values = {
        **row,
        "most_similar": most["similar"],
        "most_in_context": most["in_context"],
        "shared": sum(term in there for term in weight) / max(1, len(weight)),
        "there": held / sum(focus.values()) if focus else 1.0,
        # The passage is about whom the question names, and has no word of what it wants to know of them.
        "off_focus": float(bool(focus and intent.names and not held)),
    }
    lacking = [name for name in intent.names if not {word.stem for word in words(name)} <= there]
    odds = GATE_BIAS + sum(weight * values[name] for name, weight in GATE.items())
    text = found[best].evidence.text.lower()
    # An identifier is not paraphrased: where it is missing, the passage is about another thing.
    gone = [name for name in intent.names if any(ch.isdigit() for ch in name) and name.lower() not in text]
    if gone:
        odds -= 4.0
    return odds, tuple(dict.fromkeys([*gone, *lacking, *intent.numbers[: 0 if row["numbers"] >= 1.0 else 3]]))


def _of_another(intent: Intent, one: Candidate, best: Candidate) -> bool:
    """Whether the best holds what `one` lacks: a name or number of the question, or, in a table, any of its terms."""
    asked = _named(intent) | frozenset(word.stem for number in intent.numbers for word in words(number))
    if one.kind == best.kind == "row":
        asked |= frozenset(intent.terms)
    return bool(asked & best.stems - one.stems) and not (frozenset(intent.terms) & one.stems - best.stems)


def _named(intent: Intent) -> frozenset[str]:
    return frozenset(word.stem for name in intent.names for word in words(name))


def _negates(text: str) -> bool:
    found = words(text)
    language = language_of(word.lower for word in found)
    return any(is_negation(word, language) for word in found)


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether both say the same: one quote within the other, or the same words and numbers elsewhere."""
    if one.evidence.hit.document.id == other.evidence.hit.document.id and one.span.overlaps(other.span):
        return True
    mine, theirs = {word.stem for word in words(one.text)}, {word.stem for word in words(other.text)}
    return mine <= theirs or (len(mine & theirs) >= 0.9 * len(mine | theirs) and not _disagree(one, other))


def _disagree(one: Candidate, other: Candidate) -> bool:
    """Whether two documents say nearly the same with other numbers, or one of them negated."""
    if one.evidence.hit.document.uri == other.evidence.hit.document.uri:
        return False
    mine, theirs = content(words(one.text)), content(words(other.text))
    left = {word.stem for word in mine if not word.number}
    right = {word.stem for word in theirs if not word.number}
    if len(left & right) < 0.5 * min(len(left), len(right)) or len(left & right) < 2:
        return False
    numbers = {word.lower for word in mine if word.number}, {word.lower for word in theirs if word.number}
    differ = bool(numbers[0] - numbers[1]) and bool(numbers[1] - numbers[0])
    return differ or _negates(one.text) != _negates(other.text)
