"""The deterministic judge: a claim holds only by what stands in its own cited evidence, checked word by word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from citewell.language import fold, is_negation, renderings
from citewell.protocols import Grounds, Judgement
from citewell.types import Draft, Evidence, Mark, Statement, Verdict
from citewell.validation.align import MAX_SENTENCES, Alignment, Text, Unit, align, shown_context, units
from citewell.validation.differ import Difference, numbers, strangers, swapped, turned, wording

SUPPORT = 0.75
"""Least share of a claim that the cited places must hold."""

_ANSWER_WORD = re.compile(r"(?P<word>yes|no|ja|nein|oui|non|sí)\s*[,.:;!–-]+\s+(?=\S)", re.IGNORECASE)


class Deterministic:
    """Validator without a model: quotes verbatim, numbers, dates, negations and names agreeing, content covered.

    The score of a quote is 1. That of another claim is the share of its content words that its evidence holds (see
    `Alignment.score`), lowered by each difference found; 0 without a valid citation. Nothing is learned, and nothing
    is parsed from a model's prose.
    """

    @property
    def name(self) -> str:
        return "deterministic@1"

    async def judge(self, draft: Draft, evidence: Sequence[Evidence]) -> list[Judgement]:
        """One judgement a statement, in order."""
        given = {one.number: one for one in evidence}
        held = {number: units(one) for number, one in given.items()}
        return [_judge(statement, given, held) for statement in draft.statements]


def _judge(statement: Statement, given: dict[int, Evidence], held: dict[int, list[Unit]]) -> Judgement:
    fabricated = tuple(dict.fromkeys(mark.number for mark in statement.marks if mark.number not in given))
    marks = [mark for mark in statement.marks if mark.number in given]
    reasons = [f"citation [{number}] was never given; removed" for number in fabricated]
    if not marks:
        reasons.append("no valid citation is left" if fabricated else "no citation")
        return Judgement(statement, Verdict.UNSUPPORTED, 0.0, tuple(reasons), (), fabricated)
    if quotes := [mark for mark in marks if mark.span is not None]:
        return _quoted(statement, quotes, given, held, reasons=reasons, fabricated=fabricated)
    cited = list(dict.fromkeys(mark.number for mark in marks))
    verdict, score, found, grounds = _weigh(statement.text, cited, given, held)
    reasons.extend(found)
    if verdict is not Verdict.SUPPORTED:
        for number in given:
            if number not in cited and _weigh(statement.text, [number], given, held)[0] is Verdict.SUPPORTED:
                reasons.append(f"[{number}] would support it, but was not cited")
    return Judgement(statement, verdict, score, tuple(reasons), grounds, fabricated)


def _quoted(
    statement: Statement,
    quotes: Sequence[Mark],
    given: dict[int, Evidence],
    held: dict[int, list[Unit]],
    *,
    reasons: list[str],
    fabricated: tuple[int, ...],
) -> Judgement:
    """A quote holds if one of its marks proves it: the text is what stands there, or that table row in words."""
    grounds: list[Grounds] = []
    for mark in quotes:
        evidence = given[mark.number]
        assert mark.span is not None
        if not mark.span.within(evidence.span) or not len(mark.span):
            reasons.append(f"[{mark.number}]: the quoted place was not shown")
            continue
        start = mark.span.start - evidence.span.start
        there = evidence.quotable[start : start + len(mark.span)]
        if fold(there) == fold(statement.text) or _row_in_words(statement.text, there, mark, held[mark.number]):
            grounds.append(Grounds(mark.number, mark.span))
        else:
            reasons.append(f"[{mark.number}]: the quote is not verbatim")
    if not grounds:
        return Judgement(statement, Verdict.UNSUPPORTED, 0.0, tuple(reasons), (), fabricated)
    return Judgement(statement, Verdict.SUPPORTED, 1.0, (*reasons, "verbatim"), tuple(grounds), fabricated)


def _row_in_words(text: str, row: str, mark: Mark, held: Sequence[Unit]) -> bool:
    return any(unit.span == mark.span and fold(text) in renderings(row, unit.headers) for unit in held)


def _weigh(
    text: str, cited: Sequence[int], given: dict[int, Evidence], held: dict[int, list[Unit]]
) -> tuple[Verdict, float, list[str], tuple[Grounds, ...]]:
    for number in cited:
        for unit in held[number]:
            if fold(unit.text).rstrip(" .") == fold(text).rstrip(" .") and len(text) > 3:
                return Verdict.SUPPORTED, 1.0, ["verbatim"], (unit.grounds,)
    spoken = _ANSWER_WORD.match(text)
    claim = Text(text[spoken.end() :] if spoken else text)
    mine = [unit for number in cited for unit in held[number]]
    context = Text("\n".join(shown_context(given[number]) for number in cited))
    found = align(claim, mine, context.text)
    if not found.units:
        return Verdict.UNSUPPORTED, 0.0, ["nothing of it stands in the cited source"], ()
    differences, rests_on = _differences(claim, found, mine, context)
    if spoken and spoken["word"].lower() in ("no", "nein", "non") and not _restricts(claim):
        differences.append(Difference("negation", f"{spoken['word']!r} is not borne out by what follows", hard=False))
    score = found.score
    for difference in differences:
        # Other wording decides the verdict alone: as a grade it is worse than the share of words it already lowers.
        score *= 1.0 if difference.kind == "wording" else 0.85
    reasons = [difference.reason for difference in differences]
    grounds = tuple(unit.grounds for unit in rests_on)
    if any(difference.hard for difference in differences) and found.covered >= 0.4:
        return Verdict.CONTRADICTED, score, reasons, grounds
    if not differences and found.covered >= SUPPORT:
        return (
            Verdict.SUPPORTED,
            score,
            [f"{found.covered:.0%} of it stands in the cited place"],
            grounds,
        )
    if found.missing:
        reasons.append(f"not in the source: {', '.join(found.missing[:6])}")
    return Verdict.UNSUPPORTED, score, reasons or ["too little of it stands in one place"], grounds


def _differences(
    claim: Text, found: Alignment, mine: Sequence[Unit], context: Text
) -> tuple[list[Difference], tuple[Unit, ...]]:
    """What speaks against the claim, and the units it rests on in the order they stand."""
    near = [(unit, diff) for unit in mine if (diff := wording(claim, unit)) is not None]
    near.sort(key=lambda pair: (len(pair[1]), -len(claim.stems & pair[0].stems)))
    if near:
        unit, differences = near[0]
        chosen: tuple[Unit, ...] = (unit, *(one for one in found.units if one is not unit))[:MAX_SENTENCES]
        if not found.units or all(not claim.stems & one.stems - unit.stems for one in found.units):
            chosen = (unit,)
    else:
        chosen, differences = found.units, []
    others = [unit for unit in mine if all(unit is not one for one in chosen)]
    wrong, more = numbers(claim, chosen, others, context)
    differences = [*differences, *wrong, *strangers(claim, mine, context), *swapped(claim, chosen)]
    if not near:
        differences.extend(turned(claim, chosen))
    unique = list({difference.reason: difference for difference in differences}.values())
    rests_on = {id(unit): unit for unit in (*chosen, *more)}.values()
    return unique, tuple(sorted(rests_on, key=lambda unit: (unit.evidence.number, unit.span)))


def _restricts(claim: Text) -> bool:
    return any(is_negation(word, claim.language) or word.lower in ("only", "nur", "seulement") for word in claim.words)
