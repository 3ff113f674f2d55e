"""From a question to a judged answer: understand → retrieve → pack → write → judge → conclude.

Each arrow is a step, and each event holds what the next step needs, so the journal of a run explains its answer
completely: the hits with their scores, what was dropped and why, the exact text a writer was shown, what it wrote,
and what the judge found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from citewell.errors import NotFound
from citewell.protocols import Grounds, Index, Judgement, Ranking, Retriever, Store, Validator, View, Writer
from citewell.synthesis.pack import pack
from citewell.synthesis.question import Intent, understand
from citewell.types import (
    Answer,
    Block,
    Citation,
    Claim,
    Conflict,
    Draft,
    Dropped,
    Evidence,
    Hit,
    Outcome,
    Principal,
    Query,
    Region,
    Span,
    Verdict,
)
from citewell.types.filters import And, Compare
from citewell.validation.conflicts import Disagreement, find_conflicts
from citewell.validation.outcome import Settled, settle
from citewell.workflow import Event, StartEvent, StopEvent, Workflow, step

_SERIES = 3
"""Of how many series all versions are looked up: each costs one more search."""


@dataclass(frozen=True, slots=True)
class Asked(StartEvent):
    """A question, by whom and over what."""

    principal: Principal
    query: Query


@dataclass(frozen=True, slots=True)
class Understood(Event):
    """What the question wants."""

    principal: Principal
    query: Query
    intent: Intent


@dataclass(frozen=True, slots=True)
class Case:
    """What every later step knows: who asked what, and in which state of the index (`sequence`) it was searched."""

    principal: Principal
    question: str
    intent: Intent
    sequence: int


@dataclass(frozen=True, slots=True)
class Retrieved(Event):
    """What was found, best first."""

    case: Case
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Packed(Event):
    """What a writer is shown, and what it is not, each with its reason."""

    case: Case
    evidence: tuple[Evidence, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Written(Event):
    """What was written; unchecked."""

    case: Case
    evidence: tuple[Evidence, ...]
    draft: Draft


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """What holds of it."""

    case: Case
    evidence: tuple[Evidence, ...]
    draft: Draft
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class Answered(StopEvent):
    """The end of the run. `result` is the answer."""

    result: Answer


class Answering(Workflow):
    """The answer flow over given parts. One instance serves any number of runs at once.

    `pool` hits are retrieved for packing; `evidence` pieces and `budget_tokens` bound what a writer is shown.
    """

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        retriever: Retriever,
        writer: Writer,
        validator: Validator,
        pool: int = 30,
        evidence: int = 8,
        budget_tokens: int = 2000,
        today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date(),
    ) -> None:
        self.store = store
        self.index = index
        self.retriever = retriever
        self.writer = writer
        self.validator = validator
        self.pool = pool
        self.evidence = evidence
        self.budget_tokens = budget_tokens
        self.today = today

    @step(inline=True)
    def understand(self, event: Asked) -> Understood | Answered:
        """What is asked; a question that cannot be searched for is sent back."""
        intent = understand(event.query.text)
        if intent.problem:
            return Answered(Answer(event.query.text, Outcome.CLARIFY, "", message=intent.message))
        return Understood(event.principal, event.query, intent)

    @step
    async def retrieve(self, event: Understood) -> Retrieved:
        """The best hits among the nodes this principal may see."""
        view = await self.index.view(event.query, event.principal)
        hits = await self._hits(event.query, view, self.pool)
        case = Case(event.principal, event.query.text, event.intent, view.sequence)
        return Retrieved(case, (*hits, *await self._other_versions(event, hits)))

    async def _hits(self, query: Query, view: View, limit: int) -> list[Hit]:
        ranking: Ranking = await self.retriever.search(query, view, limit)
        return await view.hits(ranking, limit)

    async def _other_versions(self, event: Understood, hits: Sequence[Hit]) -> list[Hit]:
        """The best hits in each version of the series found, where the search itself brought only some of them.

        Without them an outdated version would pass for the current one, just because its wording is closer.
        """
        found = {hit.node.id for hit in hits}
        # Only what stands high enough to be shown can pass for current.
        names = dict.fromkeys(hit.document.metadata.get("series") for hit in hits[: self.evidence])
        more: list[Hit] = []
        for name in [name for name in names if isinstance(name, str) and name][:_SERIES]:
            part = Compare("series", "==", name)
            where = And((event.query.filter, part)) if event.query.filter else part
            query = replace(event.query, filter=where)
            view = await self.index.view(query, event.principal)
            for hit in await self._hits(query, view, self.evidence):
                if hit.node.id not in found:
                    found.add(hit.node.id)
                    more.append(replace(hit, rank=len(hits) + len(more) + 1))
        return more

    @step
    def pack(self, event: Retrieved) -> Packed:
        """The smallest sufficient evidence."""
        evidence, dropped = pack(
            event.case.intent, event.hits, budget_tokens=self.budget_tokens, limit=self.evidence, today=self.today()
        )
        return Packed(event.case, tuple(evidence), tuple(dropped))

    @step
    async def write(self, event: Packed) -> Written:
        """A draft with citations, or the writer's word that the evidence does not answer."""
        return Written(event.case, event.evidence, await self.writer.write(event.case.question, event.evidence))

    @step
    async def judge(self, event: Written) -> Judged:
        """Every claim against the evidence it cites."""
        judgements = await self.validator.judge(event.draft, event.evidence)
        return Judged(event.case, event.evidence, event.draft, tuple(judgements))

    @step
    async def conclude(self, event: Judged) -> Answered:
        """The answer made of what holds, with citations to the exact places."""
        cited = {ground.number for one in event.judgements for ground in one.grounds}
        sources = await self._sources(event.case.principal, [one for one in event.evidence if one.number in cited])
        judgements = [_recheck(one, sources) for one in event.judgements]
        settled = settle(event.draft, judgements)
        answer = Answer(
            question=event.case.question,
            outcome=settled.outcome,
            text=settled.text,
            claims=tuple(_claims(settled.kept, sources, settled)),
            rejected=tuple(_claims(settled.rejected, sources, settled)),
            conflicts=tuple(_conflicts(find_conflicts(_grounds(settled.kept), event.evidence), sources, settled)),
            reason=settled.reason,
            message=settled.message,
            sequence=event.case.sequence,
            usage=event.draft.usage,
        )
        return Answered(answer)

    async def _sources(self, principal: Principal, evidence: Sequence[Evidence]) -> dict[int, _Source]:
        """The cited documents as the store holds them now, by evidence number; those gone or forbidden are left out."""
        found: dict[int, _Source] = {}
        for one in evidence:
            try:
                _, text, blocks = await self.store.document(one.hit.document.id, principal)
            except NotFound:
                continue
            found[one.number] = _Source(one, text, blocks)
        return found


@dataclass(frozen=True, slots=True)
class _Source:
    """A piece of evidence with the whole document it comes from."""

    evidence: Evidence
    text: str
    blocks: tuple[Block, ...]

    def cite(self, number: int, span: Span) -> Citation:
        block = next((block for block in self.blocks if block.span.overlaps(span)), None)
        return Citation(
            number=number,
            document=self.evidence.hit.document,
            span=span,
            quote=span.of(self.text),
            heading_path=block.heading_path if block else self.evidence.hit.node.heading_path,
            regions=tuple(_regions(self.blocks, span)),
        )


def _regions(blocks: Sequence[Block], span: Span) -> Iterator[Region]:
    """Where `span` stands on pages: its cells' boxes in a table, else its blocks' boxes; each once, in order."""
    seen: set[Region] = set()
    for block in blocks:
        if not block.span.overlaps(span):
            continue
        cells = [cell.region for cell in block.cells if cell.region and cell.span.overlaps(span)]
        for region in cells or block.regions:
            if region not in seen:
                seen.add(region)
                yield region


def _recheck(judgement: Judgement, sources: dict[int, _Source]) -> Judgement:
    """The judgement without grounds that no longer stand in the store as they were judged."""
    standing = []
    for ground in judgement.grounds:
        source = sources.get(ground.number)
        if source is None:
            continue
        evidence = source.evidence
        start = evidence.span.start
        judged = evidence.quotable[ground.span.start - start : ground.span.end - start]
        if ground.span.within(evidence.span) and judged == ground.span.of(source.text):
            standing.append(ground)
    if len(standing) == len(judgement.grounds):
        return judgement
    verdict = judgement.verdict if standing else Verdict.UNSUPPORTED
    reasons = (*judgement.reasons, "a cited source was removed or closed while the answer was written")
    return replace(judgement, grounds=tuple(standing), verdict=verdict, reasons=reasons)


def _claims(judgements: Sequence[Judgement], sources: dict[int, _Source], settled: Settled) -> Iterator[Claim]:
    for one in judgements:
        citations = tuple(_cite(ground, sources, settled) for ground in one.grounds if ground.number in sources)
        yield Claim(one.statement.text, citations, one.verdict, one.score, one.reasons)


def _cite(ground: Grounds, sources: dict[int, _Source], settled: Settled) -> Citation:
    # A rejected claim's evidence has no number in the text: 0 says so.
    return sources[ground.number].cite(settled.numbers.get(ground.number, 0), ground.span)


def _conflicts(found: Sequence[Disagreement], sources: dict[int, _Source], settled: Settled) -> Iterator[Conflict]:
    for one in found:
        if one.left.number in sources and one.right.number in sources:
            yield Conflict(one.about, _cite(one.left, sources, settled), _cite(one.right, sources, settled))


def _grounds(judgements: Sequence[Judgement]) -> list[Grounds]:
    return [ground for one in judgements for ground in one.grounds]
