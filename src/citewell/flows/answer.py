"""From a question to a judged answer: understand → retrieve → pack → write → judge → conclude.

Each arrow is a step, and each event holds what the next step needs, so the journal of a run explains its answer
completely: the hits with their scores, what was dropped and why, the exact text a writer was shown, what it wrote,
and what the judge found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from citewell.errors import NotFound
from citewell.protocols import Grounds, Index, Judgement, Ranking, Retriever, Store, Validator, View, Writer
from citewell.synthesis.pack import pack
from citewell.synthesis.question import Intent, understand
from citewell.types import (
    AbstainReason,
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
    Place,
    Principal,
    Query,
    Region,
    Span,
    Verdict,
)
from citewell.types.filters import And, Compare, Filter
from citewell.validation.conflicts import Disagreement, find_conflicts
from citewell.validation.outcome import Settled, settle
from citewell.workflow import PlainEvent, PlainStartEvent, PlainStopEvent, Workflow, step

_SERIES = 3
"""In how many series more is searched for: each costs one more search."""
_ROUNDS = 6
"""How many more searches look for versions of series that no search brought yet; each brings at least one, if any."""
_OF_VERSION = 3
"""How many hits such a version gets."""
WITHDRAWN = "[withdrawn: a source of this was removed or closed while the answer was written]"
"""Stands in an answer for a claim that may not be shown any more."""


@dataclass(frozen=True, slots=True)
class Asked(PlainStartEvent):
    """A question, by whom and over what."""

    principal: Principal
    query: Query


@dataclass(frozen=True, slots=True)
class Understood(PlainEvent):
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
class Retrieved(PlainEvent):
    """What was found, best first."""

    case: Case
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Packed(PlainEvent):
    """What a writer is shown, and what it is not, each with its reason."""

    case: Case
    evidence: tuple[Evidence, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Written(PlainEvent):
    """What was written; unchecked."""

    case: Case
    evidence: tuple[Evidence, ...]
    draft: Draft


@dataclass(frozen=True, slots=True)
class Judged(PlainEvent):
    """What holds of it."""

    case: Case
    evidence: tuple[Evidence, ...]
    draft: Draft
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class Answered(PlainStopEvent):
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
        names = [name for hit in hits if isinstance(name := hit.document.metadata.get("series"), str) and name]
        # Only what stands high enough to be shown is worth more hits of its own.
        high = [hit.document.metadata.get("series") for hit in hits[: self.evidence]]
        more: list[Hit] = []

        def add(ones: Sequence[Hit]) -> None:
            for hit in ones:
                if hit.node.id not in found:
                    found.add(hit.node.id)
                    more.append(replace(hit, rank=len(hits) + len(more) + 1))

        for name in [name for name in dict.fromkeys(names) if name in high][:_SERIES]:
            add(await self._within(event, [Compare("series", "==", name)], self.evidence))
        # A version whose words are far from the question's stands behind all passages of the others, however many
        # there are: it is only found when those are left out.
        for _ in range(_ROUNDS if names else 0):
            uris = tuple(dict.fromkeys(hit.document.uri for hit in (*hits, *more)))
            parts = [Compare("series", "in", tuple(dict.fromkeys(names))), Compare("uri", "not in", uris)]
            unseen = await self._within(event, parts, self.pool)
            if not unseen:
                break
            by_uri: dict[str, list[Hit]] = {}
            for hit in unseen:
                by_uri.setdefault(hit.document.uri, []).append(hit)
            add([hit for ones in by_uri.values() for hit in ones[:_OF_VERSION]])
        return more

    async def _within(self, event: Understood, parts: Sequence[Filter], limit: int) -> list[Hit]:
        asked = (event.query.filter,) if event.query.filter else ()
        query = replace(event.query, filter=And((*asked, *parts)))
        return await self._hits(query, await self.index.view(query, event.principal), limit)

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
        draft = await self.writer.write(event.case.question, event.evidence)
        if not event.evidence and any(one.stale for one in event.dropped):
            draft = replace(draft, abstained=AbstainReason.STALE_ONLY, reason="")
        return Written(event.case, event.evidence, draft)

    @step
    async def judge(self, event: Written) -> Judged:
        """Every claim against the evidence it cites."""
        judgements = await self.validator.judge(event.draft, event.evidence)
        return Judged(event.case, event.evidence, event.draft, tuple(judgements))

    @step
    async def conclude(self, event: Judged) -> Answered:
        """The answer made of what holds, with citations to the exact places."""
        principal, evidence, draft = event.case.principal, event.evidence, event.draft
        relied = {mark.number for one in draft.statements for mark in one.marks}
        relied |= {ground.number for one in event.judgements for ground in one.grounds}
        sources = await self._sources(principal, [one for one in evidence if one.number in relied])
        judgements: Sequence[Judgement] = event.judgements
        if gone := relied & {one.number for one in evidence} - sources.keys():
            evidence = tuple(one for one in evidence if one.number not in gone)
            draft, judgements = await self._without(gone, draft, evidence)
        settled = settle(draft, [_recheck(one, sources) for one in judgements])
        disagreements = find_conflicts(_grounds(settled.kept), evidence)
        # The other side need not be cited, so it was not looked up yet.
        others = {one.right.number for one in disagreements} - sources.keys()
        sources |= await self._sources(principal, [one for one in evidence if one.number in others])
        answer = Answer(
            question=event.case.question,
            outcome=settled.outcome,
            text=settled.text,
            claims=tuple(_claims(settled.kept, sources, settled)),
            rejected=tuple(_claims(settled.rejected, sources, settled)),
            conflicts=tuple(_conflicts(disagreements, sources, settled)),
            reason=settled.reason,
            message=settled.message,
            sequence=event.case.sequence,
            usage=event.draft.usage,
        )
        return Answered(answer)

    async def _without(
        self, gone: Set[int], draft: Draft, evidence: Sequence[Evidence]
    ) -> tuple[Draft, list[Judgement]]:
        """The draft without its marks on evidence that is `gone`, judged anew by what is left.

        What then does not hold, and rested on it, is not shown even among the rejected claims.
        """
        left = [
            replace(one, marks=tuple(mark for mark in one.marks if mark.number not in gone)) for one in draft.statements
        ]
        shorter = replace(draft, statements=tuple(left))
        judged = []
        for before, now in zip(draft.statements, await self.validator.judge(shorter, evidence), strict=True):
            if gone.isdisjoint(mark.number for mark in before.marks):
                judged.append(now)
                continue
            reason = "a cited source was removed or closed while the answer was written"
            if now.verdict is Verdict.SUPPORTED:
                judged.append(replace(now, reasons=(*now.reasons, reason)))
            else:
                hidden = replace(now.statement, text=WITHDRAWN)
                judged.append(Judgement(hidden, Verdict.UNSUPPORTED, 0.0, (reason,)))
        return shorter, judged

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
            places=_places(self.blocks, span),
        )


def _places(blocks: Sequence[Block], span: Span) -> tuple[Place, ...]:
    """Where `span` stands in its source, in order; what follows on each other in one unit is one place."""
    from citewell.reading.sheets import cell_range  # late: no search needs it

    found: list[Place] = []
    for block in blocks:
        if not block.span.overlaps(span) or block.source is None:
            continue
        cells = [cell for cell in block.cells if cell.span.overlaps(span)]
        own = [cell.source for cell in cells if cell.source is not None]
        if own and len(own) == len(cells):
            held = own
        elif cells and (reached := cell_range(block, cells)) is not None:
            held = [reached]
        else:
            held = [block.source]
        for place in held:
            last = found[-1] if found else None
            if (
                last is not None
                and (last.unit, last.part) == (place.unit, place.part)
                and last.start <= place.start <= last.end
            ):
                found[-1] = replace(last, end=max(last.end, place.end))
            else:
                found.append(place)
    return tuple(found)


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
    reasons = (*judgement.reasons, "a cited place does not stand in its source as it was judged")
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
