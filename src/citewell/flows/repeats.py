"""Flags for what repeats across documents, kept true as documents come and go.

The judgement is made when a run has brought in all that it has, over the cohorts that documents joined or left, and
carried out a batch a transaction: the old nodes of a document answer until its new ones are in. A cohort counts as
judged only after the last batch, so a run that was cut short is made good by the next run into the bucket.

Meanwhile new documents are flagged by what is known to repeat so far. That only saves work: the end of the run decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from citewell.flows.stages import Stages
from citewell.protocols import Cohort, Repeatable, Revision
from citewell.splitting.flags import flag, repeatable
from citewell.splitting.repeats import Standing, judge
from citewell.types import Access, Account, Document, Principal, Source

if TYPE_CHECKING:
    from citewell.protocols import CohortTexts, Digests

_BATCH = 64
_FIRST = 32
"""Commits after which what repeats is looked at for the first time."""
_OFF = "off"
_ROUNDS = 5
"""So often a cohort is judged anew when another process changed it meanwhile; its own run will judge it then."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """How many documents have blocks that are flagged for repeating across documents, and how many blocks those are.

    Counted in the buckets' cohorts that changed and that the principal may read.
    """

    documents: int = 0
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Revised:
    """What of an ingested document is otherwise after it was flagged anew."""

    nodes: int
    account: Account


class Cohorts:
    """The cohorts of one bucket during one run. `committed` counts documents; `revised` tells what became otherwise."""

    def __init__(self, stages: Stages, tenant: str, bucket: str) -> None:
        self.committed = 0
        self.revised: dict[str, Revised] = {}
        self._stages = stages
        self._place = (tenant, bucket)
        # By rule: what repeats, and after how many commits that is looked at again.
        self._known: dict[Access, tuple[Standing, int]] = {}

    async def look(self, rules: Iterable[Access]) -> None:
        """Have at hand what repeats among the documents of each of `rules`, before documents are read.

        Looked at when the run meets a rule, and again whenever as many documents have come as there were: what is
        spent on it grows with the number of documents, not with its square.
        """
        if self._stages.repeats is None:
            return
        for rule in rules:
            if rule in self._known and self.committed < self._known[rule][1]:
                continue
            cohort = await self._stages.store.cohort(*self._place, rule)
            if cohort is None:
                self._known[rule] = Standing(), self.committed + _FIRST
                continue
            texts = await self._stages.store.cohort_texts(cohort.number)
            judgement = await asyncio.to_thread(judge, texts, self._stages.repeats)
            self._known[rule] = judgement.standing, self.committed + max(_FIRST, len(texts.keys))

    def flagged(self, source: Source, document: Document) -> tuple[Document, Repeatable | None]:
        """A document as read, with what is known to repeat flagged; needs `look` for its rule."""
        if self._stages.repeats is None:
            return document, None
        held = repeatable(document)
        known = self._known.get(source.access)
        return flag(document, held, known[0].of(source.uri, held.digests)) if known else (document, held)

    async def settle(self, principal: Principal) -> Repeated:
        """Judge all cohorts of the bucket that changed, and flag their documents accordingly."""
        store, rule = self._stages.store, self._stages.repeats
        name = rule.identity if rule else _OFF
        waiting = await store.cohorts(*self._place, name)
        # Others' documents are flagged all the same; nothing is told of them.
        seen = [cohort.number for cohort in waiting if cohort.access.permits(principal)]
        for _ in range(_ROUNDS):
            for cohort in waiting:
                await self._settle(cohort)
            waiting = await store.judged(waiting, name)
            if not waiting:
                break
        return Repeated(*await store.flagged(seen)) if seen else Repeated()

    async def _settle(self, cohort: Cohort) -> None:
        texts = await self._stages.store.cohort_texts(cohort.number)
        if self._stages.repeats and texts.unknown:
            await self._look_through(cohort, texts.unknown)
            texts = await self._stages.store.cohort_texts(cohort.number)
        repeated = await asyncio.to_thread(self._repeated, texts)
        wrong = {
            key: wanted
            for key, wanted, held in zip(texts.keys.tolist(), repeated, texts.repeated, strict=True)
            if wanted.tobytes() != held
        }
        for keys in _batches(list(wrong)):
            await self._revise(cohort, {key: wrong[key] for key in keys})

    def _repeated(self, texts: CohortTexts) -> Sequence[Digests]:
        if self._stages.repeats is None:
            return [np.zeros(0, np.uint64)] * len(texts.keys)
        return judge(texts, self._stages.repeats).repeated

    async def _look_through(self, cohort: Cohort, keys: Sequence[int]) -> None:
        """Note what may repeat of documents that came in while nobody looked."""
        store = self._stages.store
        for part in _batches(keys):
            found = await store.revisable(part)
            looked = [Revision(one.key, repeatable(one.version.document)) for one in found if one.version]
            await store.revise(cohort, looked)

    async def _revise(self, cohort: Cohort, wanted: dict[int, Digests]) -> None:
        """Flag documents by their keys: what shall count as repeated in each is `wanted`."""
        store = self._stages.store
        found = await store.revisable(list(wanted))
        made = await asyncio.to_thread(lambda: [self._revision(one, wanted[one.key]) for one in found])
        nodes = [one.version.nodes if one.version else () for one in made]
        vectors = await self._stages.embed([node.indexed_text for held in nodes for node in held])
        ends = np.cumsum([len(held) for held in nodes]).tolist()
        ready = [
            replace(one, version=replace(one.version, vectors=vectors[end - len(held) : end])) if one.version else one
            for one, held, end in zip(made, nodes, ends, strict=True)
        ]
        done = await store.revise(cohort, ready)
        for one in ready:
            if one.version and one.key in done:
                self.revised[done[one.key]] = Revised(len(one.version.nodes), one.version.document.account)

    def _revision(self, held: Revision, repeated: Digests) -> Revision:
        """What becomes of a document in which `repeated` repeat; its vectors are still to come."""
        assert held.version is not None
        document, known = flag(held.version.document, held.repeatable, repeated)
        if document is held.version.document:
            return Revision(held.key, known)
        pieces = self._stages.pieces(document)
        version = replace(held.version, document=document, nodes=pieces.nodes, terms=pieces.terms, repeatable=known)
        return Revision(held.key, known, version)


def _batches(keys: Sequence[int]) -> list[Sequence[int]]:
    return [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
