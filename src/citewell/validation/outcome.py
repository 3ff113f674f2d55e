"""From judgements to what is shown: supported claims only, their sources numbered anew, and an outcome in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from citewell.protocols import Judgement
from citewell.types import AbstainReason, Draft, Outcome, Verdict

_WORDS = {
    AbstainReason.NO_EVIDENCE: "Nothing was found that could answer this.",
    AbstainReason.WEAK_EVIDENCE: "What was found does not answer this well enough.",
    AbstainReason.UNSUPPORTED: "What was written could not be proved by the sources, so it is not shown.",
    AbstainReason.OUT_OF_SCOPE: "This is outside of what these documents are about.",
    AbstainReason.STALE_ONLY: "What was found is outdated, or not yet in force.",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a judged draft.

    `text` holds the supported statements only, each followed by its numbers. `numbers` maps the number of an evidence
    to the number shown, 1…m in order of appearance. `kept` and `rejected` are the judgements on either side, in order.
    """

    outcome: Outcome
    text: str
    reason: AbstainReason | None = None
    message: str = ""
    kept: tuple[Judgement, ...] = ()
    rejected: tuple[Judgement, ...] = ()
    numbers: Mapping[int, int] = field(default_factory=dict)


def settle(draft: Draft, judgements: Sequence[Judgement]) -> Settled:
    """Answered if all statements are supported, partial if some are, abstained if none is or the writer abstained."""
    kept = tuple(one for one in judgements if one.verdict is Verdict.SUPPORTED and one.grounds)
    rejected = tuple(one for one in judgements if one.verdict is not Verdict.SUPPORTED or not one.grounds)
    if draft.abstained is not None and not kept:
        message = draft.reason or _WORDS[draft.abstained]
        return Settled(Outcome.ABSTAINED, "", draft.abstained, message, (), rejected)
    if not kept:
        reason = AbstainReason.UNSUPPORTED if judgements else AbstainReason.NO_EVIDENCE
        return Settled(Outcome.ABSTAINED, "", reason, _WORDS[reason], (), rejected)
    numbers: dict[int, int] = {}
    parts = []
    for one in kept:
        shown = [numbers.setdefault(ground.number, len(numbers) + 1) for ground in one.grounds]
        parts.append(f"{one.statement.text} " + "".join(f"[{number}]" for number in dict.fromkeys(shown)))
    text = ("\n" if any("\n" in part for part in parts) else " ").join(parts)
    if not rejected:
        return Settled(Outcome.ANSWERED, text, None, "", kept, (), numbers)
    many = f"{len(rejected)} of {len(judgements)} statements"
    message = f"{many} could not be proved by the sources and {'is' if len(rejected) == 1 else 'are'} not shown."
    return Settled(Outcome.PARTIAL, text, AbstainReason.UNSUPPORTED, message, kept, rejected, numbers)
