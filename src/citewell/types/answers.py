"""From evidence to a judged answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from citewell.types.documents import DocumentRef
from citewell.types.places import Place, Region, Span
from citewell.types.queries import Hit


@dataclass(frozen=True, slots=True)
class Evidence:
    """A hit as a writer is shown it, under its number from 1. `text` is the exact text shown; `tokens` its size.

    `span` is the part of the document that `text` quotes verbatim (context lines apart); `quotable` is that part.
    """

    number: int
    hit: Hit
    text: str
    quotable: str
    span: Span
    tokens: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """A hit that was not shown, and why. `stale`: because its version is superseded or not yet in force."""

    hit: Hit
    reason: str
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A citation as a writer made it: the number of an evidence and, from an extractive writer, the quote's span.

    Unchecked: the number may have been invented. `span` is in characters of the evidence's document.
    """

    number: int
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a draft with the citations its writer gave it."""

    text: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens as the provider counted them (or 0), and calls of models."""

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written, before anyone judged it.

    `prompt` is the exact text sent to a model ("" from the extractive writer), `raw` its exact output.
    `abstained` is the writer's own word that the evidence does not answer; `reason` says why.
    """

    statements: tuple[Statement, ...]
    writer: str
    prompt: str = ""
    raw: str = ""
    abstained: AbstainReason | None = None
    reason: str = ""
    usage: Usage = field(default_factory=Usage)


class Verdict(StrEnum):
    """What the judge found of one claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNSUPPORTED = "unsupported"


class Outcome(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    PARTIAL = "partial"
    ABSTAINED = "abstained"
    CLARIFY = "clarify"
    FAILED = "failed"


class AbstainReason(StrEnum):
    """Why there is no answer. None of these tells anything about documents the principal may not see."""

    NO_EVIDENCE = "no_evidence"
    WEAK_EVIDENCE = "weak_evidence"
    UNSUPPORTED = "unsupported"
    OUT_OF_SCOPE = "out_of_scope"
    STALE_ONLY = "stale_only"


@dataclass(frozen=True, slots=True)
class Citation:
    """A checked pointer from a claim to characters [start, end) of one version of one document.

    `quote` is verbatim what stands there. `regions` follow from the blocks under the span, and so do `places` in the
    source, where the format has no pages; of a table, those of the cells that are quoted, where cells have places.
    """

    number: int
    document: DocumentRef
    span: Span
    quote: str
    heading_path: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def uri(self) -> str:
        return self.document.uri

    @property
    def version(self) -> int:
        return self.document.version

    @property
    def page(self) -> int | None:
        """First page of the quote, counted from 1; None where the format has no pages."""
        return self.regions[0].page if self.regions else None

    @property
    def where(self) -> str:
        """The `places` as people name them (`Sheet1!A3:C3`, `lines 3-5`); "" where there are none but bytes."""
        return ", ".join(place.said for place in self.places if place.unit != "bytes")

    @property
    def start(self) -> int:
        return self.span.start

    @property
    def end(self) -> int:
        return self.span.end


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer, judged. `reasons` say what the judge found against it, or why it holds."""

    text: str
    citations: tuple[Citation, ...]
    verdict: Verdict
    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two cited places that disagree on the same thing; `about` says on what (numbers, dates, negation)."""

    about: str
    left: Citation
    right: Citation


@dataclass(frozen=True, slots=True)
class Answer:
    """What was judged. There is no Answer without judged claims: "unchecked" cannot pass for "supported".

    `text` is made of supported claims only, each followed by its numbers `[n]`. `rejected` holds the claims that
    were written and did not hold. `reason` is set whenever `outcome` is not `answered`; `message` says it in words.
    """

    question: str
    outcome: Outcome
    text: str
    claims: tuple[Claim, ...] = ()
    rejected: tuple[Claim, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    reason: AbstainReason | None = None
    message: str = ""
    run_id: str = ""
    sequence: int = 0
    usage: Usage = field(default_factory=Usage)
