"""SqliteStore keeps the contract of every Store."""

import asyncio

import pytest

from citewell.storage import SqliteStore
from citewell.testing.store_contract import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_sqlite_store_keeps_the_contract(case, tmp_path):
    asyncio.run(case(lambda: SqliteStore.open(tmp_path / "kb")))
