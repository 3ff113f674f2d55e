"""From a question to a judged answer: understand → retrieve → pack → write → judge → answer or abstain.

Each arrow is a step; each event holds what the next step needs and nothing else decides, so the journal of a run
explains its answer completely: the hits with their scores, what was dropped and why, the exact text a writer was
shown, what it wrote, and what the judge found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from citewell.protocols import Index, Judgement, Retriever, Store, Validator, Writer
from citewell.synthesis.pack import pack
from citewell.synthesis.question import Intent, understand
from citewell.types import (
    AbstainReason,
    Answer,
    Draft,
    Dropped,
    Evidence,
    Hit,
    Outcome,
    Principal,
    Query,
)
from citewell.workflow import Event, StartEvent, StopEvent, Workflow, step


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
class Retrieved(Event):
    """What was found, best first, in the index as of `sequence`."""

    principal: Principal
    intent: Intent
    sequence: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Packed(Event):
    """What a writer is shown, and what it is not, each with its reason."""

    principal: Principal
    intent: Intent
    sequence: int
    evidence: tuple[Evidence, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Written(Event):
    """What was written; unchecked."""

    principal: Principal
    intent: Intent
    sequence: int
    evidence: tuple[Evidence, ...]
    draft: Draft


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """What holds of it."""

    principal: Principal
    intent: Intent
    sequence: int
    evidence: tuple[Evidence, ...]
    draft: Draft
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class Answered(StopEvent):
    """The end of the run. `result` is the answer."""

    result: Answer


class Answering(Workflow):
    """The answer flow over given parts. One instance serves any number of runs at once.

    `pool` hits are retrieved for packing; `budget_tokens` and `evidence` bound what a writer is shown.
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
        super().__init__()
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
            answer = Answer(question=event.query.text, outcome=Outcome.CLARIFY, text="", message=intent.problem)
            return Answered(answer)
        return Understood(event.principal, event.query, intent)

    @step
    async def retrieve(self, event: Understood) -> Retrieved:
        """The best hits among the nodes this principal may see."""
        view = await self.index.view(event.query, event.principal)
        ranking = await self.retriever.search(event.query, view, self.pool)
        hits = await view.hits(ranking, self.pool)
        return Retrieved(event.principal, event.intent, view.sequence, tuple(hits))

    @step
    def pack(self, event: Retrieved) -> Packed | Answered:
        """The smallest sufficient evidence."""
        evidence, dropped = pack(
            event.intent, event.hits, budget_tokens=self.budget_tokens, limit=self.evidence, today=self.today()
        )
        if not evidence:
            return Answered(_abstained(event.intent, AbstainReason.NO_EVIDENCE, event.sequence))
        return Packed(event.principal, event.intent, event.sequence, tuple(evidence), tuple(dropped))

    @step
    async def write(self, event: Packed) -> Written | Answered:
        """A draft with citations, or the writer's word that the evidence does not answer."""
        draft = await self.writer.write(event.intent.question, event.evidence)
        if draft.abstained:
            return Answered(_abstained(event.intent, draft.abstained, event.sequence, draft))
        return Written(event.principal, event.intent, event.sequence, event.evidence, draft)

    @step
    async def judge(self, event: Written) -> Judged:
        """Every claim against the evidence it cites."""
        judgements = await self.validator.judge(event.draft, event.evidence)
        return Judged(event.principal, event.intent, event.sequence, event.evidence, event.draft, tuple(judgements))

    @step
    async def conclude(self, event: Judged) -> Answered:
        """The answer made of what holds, with citations to the exact places."""
        claims = await self._claims(event)
        return Answered(_answer(event, claims))
