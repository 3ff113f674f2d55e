"""Places of different documents that say other things of the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from citewell.language import renderings
from citewell.protocols import Grounds
from citewell.types import Evidence
from citewell.validation.align import Text, Unit, shown_context, units
from citewell.validation.differ import likeness, role_of
from citewell.validation.polarity import negated
from citewell.validation.quantities import Quantity, agree

SAME_TOPIC = 0.6
"""Share of the shorter place's content words, numbers apart, that both must have in common."""
SAME_ROLE = 0.4
"""Share of the words around a number, the closer the heavier, that the other number must have around it too."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two places that disagree: `about` is `number`, `date` or `negation`, `detail` names both sides in words.

    `left` is a cited place. `right` is cited too, or a place in evidence that was shown and not cited.
    """

    about: str
    detail: str
    left: Grounds
    right: Grounds


def find_conflicts(
    cited: Sequence[Grounds], evidence: Sequence[Evidence], *, cited_only: bool = False
) -> list[Disagreement]:
    """Each pair of places that disagree once, by the order of `cited`; at most one for two pieces of evidence.

    Places of one document, or of two versions of one series, never conflict: a newer version is meant to say other
    things. With `cited_only` both sides must be cited; otherwise a cited place is held against all evidence shown, so
    that a writer cannot hide a disagreement by citing one side.
    """
    by_number = {one.number: one for one in evidence}
    all_units = {number: [_Place(unit) for unit in units(one)] for number, one in by_number.items()}
    left: list[_Place] = []
    for ground in cited:
        left.extend(place for place in all_units.get(ground.number, ()) if place.unit.span.overlaps(ground.span))
    found: dict[tuple[int, int], Disagreement] = {}
    cited_ids = {id(place) for place in left}
    for place in left:
        for number, others in all_units.items():
            pair = (min(place.number, number), max(place.number, number))
            if pair in found or not _independent(by_number[place.number], by_number[number]):
                continue
            for other in others:
                if cited_only and id(other) not in cited_ids:
                    continue
                if (result := _compare(place, other)) is not None:
                    found[pair] = Disagreement(*result, place.unit.grounds, other.unit.grounds)
                    break
    return list(found.values())


class _Place(Text):
    """A unit as it is compared: a table row with its header."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(renderings(unit.text, unit.headers)[0] if unit.headers else unit.text)
        self.unit = unit
        self.number = unit.evidence.number
        self.topic = frozenset(word.stem for word in self.content if not word.number)
        self.around = frozenset(Text(shown_context(unit.evidence)).stems)


def _independent(one: Evidence, other: Evidence) -> bool:
    left, right = one.hit.document, other.hit.document
    if left.uri == right.uri and left.bucket == right.bucket:
        return False
    series = left.metadata.get("series"), right.metadata.get("series")
    return series[0] is None or series[0] != series[1]


def _compare(one: _Place, other: _Place) -> tuple[str, str] | None:
    shared = one.topic & other.topic
    least = min(len(one.topic), len(other.topic))
    if len(shared) < 2 or len(shared) < SAME_TOPIC * least:
        return None
    if _other_thing(one, other):
        return None
    rivals = [(mine, theirs) for mine in one.quantities if (theirs := _rival(one, other, mine)) is not None]
    kinds = {"date" if mine.dimension in ("date", "year") else "number" for mine, _ in rivals}
    if len(kinds) > 1:
        return None  # another number at another time
    if rivals:
        mine, theirs = rivals[0]
        about = "date" if mine.family in ("date", "clock") else "number"
        return about, f"{mine.text} against {theirs.text}"
    # A negation turns a sentence only if the rest of it is nearly the same.
    if len(shared) >= 0.7 * max(len(one.topic), len(other.topic)):
        ours = negated(one.words, one.language, one.stops)
        held = negated(other.words, other.language, other.stops)
        flipped = [stem for stem in ours if stem in held and ours[stem] != held[stem]]
        if flipped and any(ours.values()) != any(held.values()):
            return "negation", f"only {'the first' if any(ours.values()) else 'the second'} negates {flipped[0]!r}"
    return None


def _other_thing(one: _Place, other: _Place) -> bool:
    """Whether each names what the other does not: another name, or another word before the same noun (sick leave,
    annual leave)."""
    unnamed = [
        {word for name in mine.names if name.sure for word in name.parts} - {word.lower for word in theirs.words}
        for mine, theirs in ((one, other), (other, one))
    ]
    if all(unnamed):
        return True
    before = [_modifiers(mine) for mine in (one, other)]
    return any(
        before[0][noun] and before[1][noun] and before[0][noun].isdisjoint(before[1][noun])
        and not before[0][noun] & other.topic and not before[1][noun] & one.topic
        for noun in before[0].keys() & before[1].keys()
    )  # fmt: skip


def _modifiers(place: _Place) -> dict[str, set[str]]:
    """Noun stem → content stems that stand directly before it, numbers apart."""
    found: dict[str, set[str]] = {}
    for word, following in pairwise(place.words):
        plain = word.lower not in place.stops and not word.number and following.lower not in place.stops
        if plain and not following.number and place.text[word.end : following.start] in (" ", "-"):
            found.setdefault(following.stem, set()).add(word.stem)
    return found


def _rival(one: _Place, other: _Place, mine: Quantity) -> Quantity | None:
    """The quantity of `other` that stands where `mine` stands, and has another value."""
    if mine.dimension in ("ordinal", "decade") or any(
        agree(mine, held) or agree(held, mine) for held in other.quantities
    ):
        return None
    role = role_of(one, mine)
    if not role:
        return None
    for theirs in other.quantities:
        if theirs.family != mine.family or (
            theirs.dimension != mine.dimension and mine.family not in ("date", "money", "time")
        ):
            continue
        if any(agree(theirs, held) or agree(held, theirs) for held in one.quantities):
            continue
        fit = likeness(role, role_of(other, theirs))
        if fit >= SAME_ROLE * min(sum(role.values()), sum(role_of(other, theirs).values())):
            return theirs
    return None
