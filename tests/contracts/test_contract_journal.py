"""Every journal keeps the contract of workflow.Journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from citewell.flows.journal import StoreJournal
from citewell.storage import SqliteStore
from citewell.testing.journal_contract import CASES
from citewell.types import Principal
from citewell.types.journal import CHAIN
from citewell.workflow import Entry, MemoryJournal

ME = Principal.local()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_journal_in_memory_keeps_the_contract(case):
    journal = MemoryJournal()

    async def read(run_id: str) -> Sequence[Entry]:
        return journal.entries[run_id]

    asyncio.run(case(journal, read))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_journal_in_the_store_keeps_the_contract(case, tmp_path):
    async def run() -> None:
        async with await SqliteStore.open(tmp_path) as store:

            async def read(run_id: str) -> Sequence[Entry]:
                _, kept = await store.run(run_id, ME)
                return [entry(one) for one in kept]

            await case(StoreJournal(store, ME, "a question"), read)

    asyncio.run(run())


def entry(kept: dict[str, object]) -> Entry:
    """The entry that was written as this JSON."""
    return Entry.from_json({name: value for name, value in kept.items() if name != CHAIN})
