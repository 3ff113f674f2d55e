"""Which sentences of the cited evidence a claim rests on, and how much of it they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from citewell.protocols import Grounds
from citewell.types import Evidence, Span
from citewell.validation.language import STOP_WORDS, Piece, Word, content, cut, language_of, words
from citewell.validation.names import Name, names
from citewell.validation.quantities import Quantity, quantities

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

    `best` is the share that the best unit alone holds, `together` that of the chosen units, `anywhere` that of all the
    cited evidence with its context. Shares are of distinct content stems.
    """

    units: tuple[Unit, ...]
    best: float
    together: float
    anywhere: float
    missing: tuple[str, ...]

    @property
    def score(self) -> float:
        """The three shares, the whole text's counting as much as the places': a claim scattered over many is weaker."""
        return 0.25 * self.best + 0.25 * self.together + 0.5 * self.anywhere


def align(claim: Text, held: Sequence[Unit], context: str) -> Alignment:
    """The alignment of `claim` with the units of its cited evidence; ties go to the earlier unit."""
    wanted = claim.stems
    if not wanted:
        return Alignment((), 0.0, 0.0, 0.0, ())
    around = Text(context).stems
    chosen: list[Unit] = []
    covered: frozenset[str] = frozenset()
    best = 0.0
    for _ in range(MAX_SENTENCES):
        gain, unit = 0, None
        for one in held:
            adds = len(wanted & (one.stems - covered))
            if adds > gain:
                gain, unit = adds, one
        if unit is None:
            break
        chosen.append(unit)
        covered |= unit.stems
        best = best or gain / len(wanted)
    anywhere = around.union(*(unit.stems for unit in held))
    missing = tuple(dict.fromkeys(word.text for word in claim.content if word.stem not in anywhere))
    share = len(wanted & anywhere) / len(wanted)
    together = len(wanted & covered) / len(wanted)
    return Alignment(tuple(chosen), best, together, share, missing)
