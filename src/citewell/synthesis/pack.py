"""Packing: the smallest evidence that still holds what the question needs, and a reason for every hit left out."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from citewell.language import content, fold, is_negation, language_of, words
from citewell.synthesis.question import Intent
from citewell.types import BlockKind, Dropped, Evidence, Hit

DOCUMENT_SHARE = 0.6
"""Most of the budget that one document may fill where several were found."""
SHINGLE = 5
SAME = 0.8
SURE_RANKS = 3
"""Hits down to this rank are kept even if they share no word with the question: a dense retriever may know better."""


def pack(
    intent: Intent, hits: Sequence[Hit], *, budget_tokens: int = 2000, limit: int = 8, today: dt.date
) -> tuple[list[Evidence], list[Dropped]]:
    """Evidence numbered 1…n in the order of `hits`, and every other hit with its reason, in that order too.

    Dropped: what cannot be quoted; versions superseded, not in force on `today`, or not the one the question names;
    repetitions; what shares no term with the question below rank 3; what goes beyond `limit`, `budget_tokens` or one
    document's share. A repetition must hold no number, name of a unit or negation that the kept text lacks: texts that
    differ in one number disagree, and both are shown.
    """
    reasons = _versions(intent, hits, today)
    kept: list[tuple[Hit, int]] = []
    dropped: list[Dropped] = []
    used = 0
    by_document: dict[str, int] = {}
    several = len({hit.document.uri for at, hit in enumerate(hits) if at not in reasons}) > 1
    shown: list[tuple[Hit, frozenset[tuple[str, ...]], frozenset[str]]] = []
    for at, hit in enumerate(hits):
        grams, marks = _shingles(hit.node.text), _marks(hit.node.text)
        size = _tokens(hit)
        reason = reasons.get(at) or _unquotable(hit) or _repeats(hit, grams, marks, shown)
        # Counted without outdated versions: behind many of them the current one stands far down.
        sure = at - sum(other < at for other in reasons) < SURE_RANKS
        if not reason and not sure and not _touches(intent, hit):
            reason = f"holds none of the question's terms, and stands at rank {at + 1}"
        if not reason and len(kept) >= limit:
            reason = f"beyond the limit of {limit} pieces of evidence"
        if not reason and used + size > budget_tokens:
            reason = f"over budget: {size} tokens, {budget_tokens - used} of {budget_tokens} left"
        share = int(DOCUMENT_SHARE * budget_tokens) if several else budget_tokens
        if not reason and by_document.get(hit.document.uri, 0) + size > share:
            reason = f"one document may fill {share} of {budget_tokens} tokens; {hit.document.uri} has its share"
        if reason:
            dropped.append(Dropped(hit, reason, stale=at in reasons))
            continue
        kept.append((hit, size))
        shown.append((hit, grams, marks))
        used += size
        by_document[hit.document.uri] = by_document.get(hit.document.uri, 0) + size
    evidence = [
        Evidence(number, hit, hit.node.indexed_text, hit.node.text, hit.node.span, size)
        for number, (hit, size) in enumerate(kept, start=1)
    ]
    assert len(evidence) + len(dropped) == len(hits)
    return evidence, dropped


def _tokens(hit: Hit) -> int:
    """The node's own count where its splitter knew it, else four thirds of its words."""
    return hit.node.tokens or max(1, round(len(words(hit.node.indexed_text)) * 4 / 3))


def _unquotable(hit: Hit) -> str:
    if hit.node.derived:
        return "derived text: nothing in it stands in the source"
    if hit.node.kind in (BlockKind.HEADER, BlockKind.FOOTER):
        return f"boilerplate: a page {hit.node.kind.value}"
    if not content(words(hit.node.text)):
        return "boilerplate: no word that carries meaning"
    return "a heading alone says nothing" if hit.node.kind is BlockKind.HEADING else ""


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    lowers = [word.lower for word in words(text)]
    size = min(SHINGLE, len(lowers))
    return frozenset(tuple(lowers[at : at + size]) for at in range(len(lowers) - size + 1)) if size else frozenset()


_TURNING = frozenset({"except", "unless", "only", "must", "may"})


def _marks(text: str) -> frozenset[str]:
    """What makes two alike texts differ in meaning: numbers, words with digits, negations, exceptions, duties."""
    found = words(text)
    language = language_of(word.lower for word in found)
    return frozenset(
        word.lower
        for word in found
        if any(ch.isdigit() for ch in word.text) or word.lower in _TURNING or is_negation(word, language)
    )


def _repeats(
    hit: Hit,
    grams: frozenset[tuple[str, ...]],
    marks: frozenset[str],
    shown: Sequence[tuple[Hit, frozenset[tuple[str, ...]], frozenset[str]]],
) -> str:
    for number, (other, theirs, held) in enumerate(shown, start=1):
        if other.document.id == hit.document.id and hit.node.span.within(other.node.span):
            return f"already shown within [{number}]"
        if grams and marks <= held and len(grams & theirs) >= SAME * len(grams):
            return f"near-duplicate of [{number}] ({other.document.uri})"
    return ""


def _touches(intent: Intent, hit: Hit) -> bool:
    held = {word.stem for word in words(hit.node.indexed_text)}
    return not intent.terms or not held.isdisjoint(intent.terms)


def _versions(intent: Intent, hits: Sequence[Hit], today: dt.date) -> dict[int, str]:
    """Index of a hit → why its version is not the one to answer from."""
    series: dict[str, list[int]] = {}
    reasons: dict[int, str] = {}
    for at, hit in enumerate(hits):
        name = hit.document.metadata.get("series")
        if isinstance(name, str) and name:
            series.setdefault(f"{hit.document.bucket}\n{name}", []).append(at)
        elif (day := _effective(hit)) and day > today and not intent.upcoming and day.year not in intent.years:
            reasons[at] = f"not in force until {day.isoformat()}"
    for members in series.values():
        wanted = _wanted(intent, hits, members, today)
        for at in members:
            if at not in wanted:
                reasons[at] = _why_not(hits[at], [hits[one] for one in sorted(wanted)], today)
    return reasons


def _wanted(intent: Intent, hits: Sequence[Hit], members: Sequence[int], today: dt.date) -> set[int]:
    """The members of one series to answer from: those the question names, else the newest in force on `today`."""
    named = {at for at in members if _is_named(intent, hits[at])}
    if intent.compares and len({_key(hits[at]) for at in named}) != 1:
        return named or set(members)
    if named:
        return named
    dated = [(day, at) for at in members if (day := _effective(hits[at])) is not None]
    if intent.compares or not dated:
        return set(members)
    for year in intent.years:
        # "in 2024": what was in force at the end of that year.
        past = [day for day, _ in dated if day <= dt.date(year, 12, 31)]
        if past and (year < today.year or any(day.year == year for day, _ in dated)):
            return {at for day, at in dated if day == max(past)}
    if intent.upcoming and (coming := [day for day, _ in dated if day > today]):
        return {at for day, at in dated if day == min(coming)}
    if current := [day for day, _ in dated if day <= today]:
        return {at for day, at in dated if day == max(current)}
    return {at for at in members if _effective(hits[at]) is None}


def _key(hit: Hit) -> tuple[object, object]:
    return hit.document.metadata.get("version_label"), hit.document.metadata.get("effective")


def _is_named(intent: Intent, hit: Hit) -> bool:
    label = hit.document.metadata.get("version_label")
    if label is None:
        return False
    plain = fold(str(label)).lower()
    if any(str(year) == plain or re.search(rf"(?<!\d){year}(?!\d)", plain) for year in intent.years):
        return True
    bare = re.sub(r"^(?:version|v|release|revision|edition|rev\.?)\s*", "", plain)
    return bare in intent.versions or (len(bare) > 3 and not bare.isdigit() and bare in intent.text.lower())


def _effective(hit: Hit) -> dt.date | None:
    value = hit.document.metadata.get("effective")
    try:
        return dt.date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _why_not(hit: Hit, better: Sequence[Hit], today: dt.date) -> str:
    day = _effective(hit)
    if day and day > today:
        return f"not in force until {day.isoformat()}"
    if not better:
        return "no version of this series is in force"
    label = better[0].document.metadata.get("version_label") or better[0].document.uri
    other = _effective(better[0])
    if day and other and day < other:
        return f"superseded by {label} of {other.isoformat()}"
    return f"the question is about {label}"
