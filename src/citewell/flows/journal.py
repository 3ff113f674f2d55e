"""A run's journal kept in the knowledge base: what the workflow engine records is the audit record."""

from __future__ import annotations

from collections.abc import Sequence

from citewell.protocols import Store
from citewell.types import Principal
from citewell.workflow import Entry, Outcome, RunStart


class StoreJournal:
    """A `workflow.Journal` that writes one principal's runs into the store, each call as one transaction.

    `summary` is the line by which people will recognise the run in a list.
    """

    def __init__(self, store: Store, principal: Principal, summary: str) -> None:
        self._store = store
        self._principal = principal
        self._summary = summary

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        forms = [entry.to_json() for entry in entries]
        await self._store.start_run(run.run_id, run.workflow, self._principal, self._summary, forms)

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        await self._store.append_events(run_id, [entry.to_json() for entry in entries])

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        status = "done" if outcome.status == "done" else "failed"
        await self._store.end_run(run_id, status, self._summary, [entry.to_json() for entry in entries])
