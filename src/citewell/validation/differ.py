"""In what a claim differs from its source: numbers, units, dates, negations, small words, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from citewell.language import Word, is_negation, words
from citewell.validation.align import Text, Unit
from citewell.validation.polarity import is_turn, negated, turns
from citewell.validation.quantities import Quantity, agree, mentions


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEAR = 0.7
"""From this share of words in the same order on, a claim is held to the wording of its source."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What kind of thing differs (`number`, `date`, `negation`, `name`, `small word`, `wording`), and how, in words.

    `hard`: the source says another thing; otherwise it merely does not say this.
    """

    kind: str
    reason: str
    hard: bool = True


def wording(claim: Text, unit: Text) -> list[Difference] | None:
    """The differences of a claim from a unit it nearly repeats; None when it does not.

    Word by word: what was put in or exchanged must not be a number, a name, a negation or a small word that turns the
    meaning, nor a content word in the place of another; what was left out must not be a negation or such a small word.
    """
    ours, theirs = claim.words, unit.words
    if not ours or not theirs:
        return None
    matcher = SequenceMatcher(None, [w.stem for w in theirs], [w.stem for w in ours], autojunk=False)
    codes = matcher.get_opcodes()
    equal = [(i1, j1, i2 - i1) for tag, i1, i2, j1, _ in codes if tag == "equal"]
    same = sum(size for _, _, size in equal)
    # Scattered articles and prepositions match anywhere: the longest run, or the content, has to match too.
    run = max((size for _, _, size in equal), default=0)
    if same < (NEAR if len(ours) > 5 else 0.6) * len(ours) or run < min(3, len(ours) - 1, len(ours) // 2):
        return None
    if len(claim.stems & unit.stems) < 0.6 * len(claim.stems) and len(ours) > 5:
        return None
    found: list[Difference] = []
    in_names = {
        word.start
        for name in claim.names
        if name.sure or len(name.parts) > 1
        for word in ours
        if name.start <= word.start < name.end
    }
    proved, used = _proved(claim, unit), _proved(unit, claim)
    for tag, i1, i2, j1, j2 in codes:
        if tag != "equal":
            gone, new = theirs[i1:i2], ours[j1:j2]
            found.extend(_amounts(claim, unit, gone, new))
            gone = [word for word in gone if word.start not in used]
            new = [word for word in new if word.start not in proved]
            outer = not new and len(gone) > 2 and (i1 == 0 or i2 == len(theirs))
            found.extend(_exchanged(claim, unit, gone, new, in_names=in_names, outer=outer))
    return found


def _proved(text: Text, other: Text) -> set[int]:
    """Where the words of those quantities start that `other` has too: all words if it has them in the same dimension,
    the numeral alone if not ("2 days" does not prove what stands after a 2)."""
    found: set[int] = set()
    for one in text.quantities:
        held = [two for two in other.quantities if agree(one, two)]
        if held:
            inside = [word.start for word in text.words if one.start <= word.start < one.end]
            found.update(inside if any(one.dimension == two.dimension for two in held) else inside[:1])
    return found


def _amounts(claim: Text, unit: Text, gone: Sequence[Word], new: Sequence[Word]) -> list[Difference]:
    """A quantity that stands where the source has another."""
    mine = [one for one in claim.quantities if any(one.start < w.end and w.start < one.end for w in new)]
    theirs = [one for one in unit.quantities if any(one.start < w.end and w.start < one.end for w in gone)]
    if not mine or not theirs:
        return []
    for one in mine:
        if not any(agree(one, held) for held in theirs):
            kind = "date" if one.family in ("date", "clock") else "number"
            return [Difference(kind, f"{kind}: the source says {theirs[0].text!r} where the claim says {one.text!r}")]
    return []


def _exchanged(
    claim: Text, unit: Text, gone: Sequence[Word], new: Sequence[Word], *, in_names: set[int], outer: bool
) -> list[Difference]:
    found: list[Difference] = []
    gone_negations = [word for word in gone if is_negation(word, unit.language)]
    new_negations = [word for word in new if is_negation(word, claim.language)]
    # A whole clause may be left out with the "not" inside it; a "not" on its own may not.
    dropped = bool(gone_negations) and (bool(new) or (len(gone) <= 3 and not outer))
    if len(new_negations) != len(gone_negations) and (new_negations or dropped):
        word = (new_negations or gone_negations)[0].text
        here = "added" if new_negations else "left out"
        found.append(Difference("negation", f"negation: {word!r} was {here}"))
    new_turns = [w for w in new if is_turn(w) and not _says(unit, w)]
    gone_turns = [w for w in gone if is_turn(w)]
    strong = [word for word in new_turns if word.lower in _STRONG]
    if strong or (new_turns and gone_turns):
        before = gone_turns[0].text if gone_turns else "nothing"
        now = (strong or new_turns)[0].text
        found.append(Difference("small word", f"the source has {before!r} where the claim has {now!r}"))
    elif gone_turns and not outer and len(gone) <= 3 and not new_turns:
        lost_strong = [word.text for word in gone_turns if word.lower in _STRONG]
        found.extend(Difference("small word", f"{word!r} was left out") for word in lost_strong[:1])
    little = {id(word) for word in (*new_negations, *new_turns, *gone_negations, *gone_turns)}
    lost = [word for word in gone if word.lower not in unit.stops and id(word) not in little]
    known = {word.stem for word in unit.words}
    fresh = [w for w in new if w.lower not in claim.stops and w.stem not in known and id(w) not in little]
    old = " ".join(word.text for word in lost)
    called = any(word.text[:1].isupper() for word in lost)
    stems = {word.stem for word in lost}
    other = [w for w in new if w.start in in_names and w.lower not in claim.stops and w.stem not in stems]
    # A name in the place of "he" or "the company" resolves a reference; in the place of another name it is one more.
    if called and other:
        found.append(Difference("name", f"name: the source says {old!r} where the claim says {other[0].text!r}"))
    elif lost and fresh and len(fresh) <= 2 and len(lost) <= 2 and fresh[0].start not in in_names:
        hard = called or any(word.number for word in (*lost, *fresh))
        found.append(Difference("wording", f"the source says {old!r} where the claim says {fresh[0].text!r}", hard))
    return found


_STRONG = _set(
    """must shall may only all every always never except unless before after until least most minimum maximum required
    optional forbidden prohibited excluding"""
)


def _says(unit: Text, word: Word) -> bool:
    return any(one.stem == word.stem for one in unit.words)


def numbers(
    claim: Text, chosen: Sequence[Unit], others: Sequence[Unit], context: Text
) -> tuple[list[Difference], list[Unit]]:
    """Quantities of `claim` that its source does not bear out in the same role, and further units some rest on.

    A quantity is looked for in the chosen units, then in the other units of the cited evidence, then in its context.
    The role of a quantity is the words around it: a claim may not give one thing the number of another.
    """
    found: list[Difference] = []
    more: list[Unit] = []
    for one in claim.quantities:
        kind = "date" if one.family in ("date", "clock") else "number"
        mine = role_of(claim, one)
        enough = 0.5 * sum(sorted(mine.values())[-2:])
        near = [(unit, held) for unit in chosen for held in unit.quantities]
        same = [(unit, held) for unit, held in near if _borne_out(one, unit, held, context)]
        rivals = [
            (unit, held, likeness(mine, role_of(unit, held)))
            for unit, held in near
            if not _borne_out(one, unit, held, context) and _rival(one, held)
        ]
        if same:
            fit = max(likeness(mine, role_of(unit, held)) for unit, held in same)
            unit, held, rival_fit = max(rivals, key=lambda rival: rival[2], default=(None, None, 0.0))
            first = unit is chosen[0] and all(other is not unit for other, _ in same)
            if held is not None and rival_fit > (fit if first else 1.5 * fit + 0.34):
                found.append(Difference(kind, f"{kind}: the source gives {held.text!r} for this, not {one.text!r}"))
            continue
        rivals = [rival for rival in rivals if rival[2] >= enough]
        if not rivals:
            far = [
                unit
                for unit in others
                for held in unit.quantities
                if _borne_out(one, unit, held, context) and mine.keys() & unit.stems
            ]
            if far:
                more.append(max(far, key=lambda unit: len(claim.stems & unit.stems)))
                continue
            if any(agree(one, held) for held in context.quantities):
                continue
            found.append(Difference(kind, f"{kind}: {one.text!r} is not in the source", hard=False))
        else:
            said = ", ".join(dict.fromkeys(held.text for _, held, _ in rivals[:3]))
            found.append(Difference(kind, f"{kind}: the claim says {one.text!r}, the source {said}"))
    return found, more


def _borne_out(one: Quantity, unit: Unit, held: Quantity, context: Text) -> bool:
    """Whether `held` bears out `one`. A bare number bears out one with a unit only where something names the unit:
    `3 employees` is not `3 EUR`, but the cell `3` under the header `EUR` is."""
    if not agree(one, held):
        return False
    if held.dimension not in ("", "year") or one.family in ("", "date", "clock"):
        return True
    return any(mentions(text, one.dimension) for text in (unit.text, *unit.headers, context.text))


def _rival(one: Quantity, held: Quantity) -> bool:
    if held.family == one.family:
        return True
    return "" in (held.dimension, one.dimension) and "date" not in (held.family, one.family)


def role_of(text: Text, one: Quantity) -> dict[str, float]:
    """Stem → closeness (1 / distance in words) of the content words around a quantity, its own numbers apart."""
    inside = [i for i, word in enumerate(text.words) if word.start < one.end and one.start < word.end]
    if not inside:
        return {}
    low, high = inside[0], inside[-1]
    role: dict[str, float] = {}
    for i in range(max(0, low - 8), min(len(text.words), high + 9)):
        word = text.words[i]
        if low <= i <= high or word.lower in text.stops:
            continue
        distance = low - i if i < low else i - high
        role[word.stem] = max(role.get(word.stem, 0.0), 1.0 / distance)
    return role


def likeness(mine: dict[str, float], theirs: dict[str, float]) -> float:
    """How much two roles share: the sum of the smaller closeness of each common stem."""
    return sum(min(weight, theirs[stem]) for stem, weight in mine.items() if stem in theirs)


def strangers(claim: Text, held: Sequence[Unit], context: Text) -> list[Difference]:
    """Names of `claim` that stand nowhere in its cited evidence or its context."""
    known = {word.lower for unit in held for word in unit.words} | {word.lower for word in context.words}
    stems = {word.stem for unit in held for word in unit.words} | {word.stem for word in context.words}
    found = []
    for name in claim.names:
        new = [
            w for w in words(name.text) if w.lower not in known and w.stem not in stems and w.lower not in claim.stops
        ]
        if new and (name.sure or len(name.parts) > 1):
            initials = "".join(part[0] for part in name.parts)
            if initials in known and len(initials) > 1:
                continue  # "World Health Organization" for WHO
            found.append(Difference("name", f"name: {name.text!r} is not in the source", hard=False))
    return found


def swapped(claim: Text, chosen: Sequence[Unit]) -> list[Difference]:
    """Two names that have changed places: each stands after the little word that the other has in the source."""
    ours = _stances(claim)
    for unit in chosen:
        theirs = _stances(unit)
        shared = [name for name in ours if name in theirs]
        for at, one in enumerate(shared):
            for other in shared[at + 1 :]:
                held = theirs[one], theirs[other]
                if held[0].isdisjoint(held[1]) and ours[one] <= held[1] and ours[other] <= held[0]:
                    return [Difference("name", f"name: {one!r} and {other!r} have changed places")]
    return []


def _stances(text: Text) -> dict[str, set[str]]:
    """Name → the words of little meaning that stand directly before it ("" for none)."""
    found: dict[str, set[str]] = {}
    for name in text.names:
        before = [word for word in text.words if word.end <= name.start][-1:]
        stance = before[0].lower if before and before[0].lower in text.stops else ""
        found.setdefault(name.text, set()).add(stance)
    return found


def turned(claim: Text, chosen: Sequence[Unit]) -> list[Difference]:
    """Negations and small words that turn a paraphrased claim against the sentence it rests on most."""
    if not chosen:
        return []
    found: list[Difference] = []
    unit = chosen[0]
    ours = negated(claim.words, claim.language, claim.stops)
    theirs = negated(unit.words, unit.language, unit.stops)
    shared = [stem for stem in ours if stem in theirs]
    flipped = [stem for stem in shared if ours[stem] != theirs[stem]]
    said = any(is_negation(word, claim.language) for word in claim.words)
    held = any(is_negation(word, unit.language) for word in unit.words)
    if flipped and said != held and len(shared) >= 2:
        where = "the claim" if said else "the source"
        found.append(Difference("negation", f"negation: only {where} negates {flipped[0]!r}"))
    mine: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    for turn in turns(claim.text):
        mine.setdefault(turn.kind, set()).add(turn.value)
    for turn in turns(" . ".join(one.text for one in chosen)):
        others.setdefault(turn.kind, set()).add(turn.value)
    for kind, values in mine.items():
        if kind in ("modal", "order", "exception") and len(claim.stems & unit.stems) < 0.7 * len(claim.stems):
            continue
        there = others.get(kind, set())
        if there and not values & there and kind in ("bound", "compare", "modal", "trend", "side", "exception"):
            left, right = sorted(values)[0], sorted(there)[0]
            found.append(
                Difference("small word", f"the claim says {left!r}, the source {right!r}", hard=kind != "modal")
            )
    return found
