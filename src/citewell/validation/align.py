"""Which sentences of the cited evidence a claim rests on, and how much of it they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from citewell.language import STOP_WORDS, Piece, Word, content, cut, language_of, words
from citewell.protocols import Grounds
from citewell.types import Evidence, Span
from citewell.validation.names import Name, names
from citewell.validation.quantities import Quantity, agree, quantities

MAX_SENTENCES = 3
_MAX_UNITS = 2000


class Text:
    """A text with what is compared in it: words, content stems, quantities and names; each found once, when asked."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def words(self) -> list[Word]:
        return words(self.text)

    @cached_property
    def language(self) -> str:
        return language_of(word.lower for word in self.words)

    @cached_property
    def stops(self) -> frozenset[str]:
        return STOP_WORDS[self.language] | STOP_WORDS["en"]

    @cached_property
    def content(self) -> list[Word]:
        return content(self.words)

    @cached_property
    def plain(self) -> frozenset[str]:
        """`stems` without the words inside quantities, which are compared by value and not as words."""
        inside = [(one.start, one.end) for one in self.quantities]
        return frozenset(
            word.stem for word in self.content if not any(a < word.end and word.start < b for a, b in inside)
        )

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the content words; of all words where there is no content word ("to be or not to be")."""
        return frozenset(word.stem for word in self.content or self.words)

    @cached_property
    def quantities(self) -> list[Quantity]:
        return quantities(self.text)

    @cached_property
    def names(self) -> list[Name]:
        return names(self.text)


class Unit(Text):
    """One piece of an evidence; `span` is in characters of its document, `headers` may name a table row's cells."""

    def __init__(self, evidence: Evidence, piece: Piece) -> None:
        super().__init__(evidence.quotable[piece.start : piece.end])
        self.evidence = evidence
        self.span = Span(evidence.span.start + piece.start, evidence.span.start + piece.end)
        self.headers = piece.headers

    @property
    def grounds(self) -> Grounds:
        return Grounds(self.evidence.number, self.span)


def units(evidence: Evidence) -> list[Unit]:
    """The units of an evidence's quotable text, in order: rows of tables, lines of code, sentences of the rest."""
    node = evidence.hit.node
    pieces = cut(evidence.quotable, node.kind.value, shown_context(evidence), node.heading_path)
    return [Unit(evidence, piece) for piece in pieces[:_MAX_UNITS]]


def shown_context(evidence: Evidence) -> str:
    """What a writer was shown beside the quotable text: title, heading path, caption and header row."""
    at = evidence.text.find(evidence.quotable) if evidence.quotable else -1
    if at < 0:
        return evidence.hit.node.context
    return evidence.text[:at] + evidence.text[at + len(evidence.quotable) :]


@dataclass(frozen=True, slots=True)
class Alignment:
    """The up to three units that hold most of a claim's content words, best first, and the shares held.

    `covered` is the share of what has to be held that the chosen units and the context hold. `score` grades how well:
    the share of content words that the best unit alone, the chosen ones, and all the cited evidence hold, the last
    counting as much as the others together: a claim that is scattered over many places is weaker than one in a place.
    """

    units: tuple[Unit, ...]
    covered: float
    score: float
    missing: tuple[str, ...]


def align(claim: Text, held: Sequence[Unit], context: str) -> Alignment:
    """The alignment of `claim` with the units of its cited evidence; ties go to the earlier unit.

    What has to be held are the stems outside of quantities, and each quantity by its value.
    """
    amounts = {f"#{at}": one for at, one in enumerate(claim.quantities)}
    wanted = (claim.plain | amounts.keys()) or claim.stems
    around = Text(context)
    parts = [(unit, _held(unit, wanted, amounts)) for unit in held]
    chosen: list[Unit] = []
    covered: frozenset[str] = frozenset()
    for _ in range(MAX_SENTENCES):
        unit, adds = max(parts, key=lambda part: len(part[1] - covered), default=(None, frozenset[str]()))
        if unit is None or not adds - covered:
            break
        chosen.append(unit)
        covered |= adds
    anywhere = _held(around, wanted, amounts).union(*(part for _, part in parts))
    missing = [word.text for word in claim.content if word.stem in wanted - anywhere]
    missing += [one.text for key, one in amounts.items() if key not in anywhere]
    covered |= wanted & around.stems
    share = len(covered) / max(1, len(wanted))
    return Alignment(tuple(chosen), share, _score(claim.stems, held, around), tuple(dict.fromkeys(missing)))


def _score(wanted: frozenset[str], held: Sequence[Unit], around: Text) -> float:
    total = max(1, len(wanted))
    best = max((len(wanted & unit.stems) for unit in held), default=0) / total
    covered: frozenset[str] = frozenset()
    for _ in range(MAX_SENTENCES):
        covered |= max((wanted & unit.stems for unit in held), key=lambda one: len(one - covered), default=frozenset())
    anywhere = (wanted & around.stems).union(*(wanted & unit.stems for unit in held))
    return 0.25 * best + 0.25 * len(covered) / total + 0.5 * len(anywhere) / total


def _held(text: Text, wanted: frozenset[str], amounts: Mapping[str, Quantity]) -> frozenset[str]:
    if not amounts:
        return wanted & text.stems
    values = {key for key, one in amounts.items() if any(agree(one, other) for other in text.quantities)}
    return (wanted & text.stems) | values
