"""Whatever statement fails, the store is as before or as after, never between."""

import asyncio
import sqlite3

import pytest

from citewell.errors import StoreError
from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, IDENTITY, flagged, repeating, version
from citewell.types import Access


class Failing(sqlite3.Connection):
    """A connection whose n-th statement from `arm` on fails, before or after it was carried out."""

    left = None
    after = False
    error = (sqlite3.OperationalError, "disk I/O error")

    @classmethod
    def arm(cls, left, *, after=False, error=error):
        cls.left, cls.after, cls.error = left, after, error

    def _due(self):
        if Failing.left is None:
            return False
        Failing.left -= 1
        if Failing.left == 0:
            Failing.left = None
            return True
        return False

    def execute(self, *arguments):
        due = self._due()
        if due and not Failing.after:
            raise Failing.error[0](Failing.error[1])
        result = super().execute(*arguments)
        if due:
            raise Failing.error[0](Failing.error[1])
        return result

    def executemany(self, sql, rows):
        if not self._due():
            return super().executemany(sql, rows)
        rows = list(rows)
        super().executemany(sql, rows[: len(rows) // 2])  # in the middle of many
        raise Failing.error[0](Failing.error[1])


async def state_of(store):
    """All that can be seen of the store, but for times."""
    catalogue = await store.catalogue()
    texts = {}
    for row in catalogue:
        ref, text, blocks = await store.document(row.ref.id, ANN)
        texts[row.key] = (ref.id, text, blocks)
    batch = await store.rows(0, 10_000)
    nodes = await store.nodes(batch.rows.tolist())
    return (
        await store.sequence(),
        [(row.key, row.ref.uri, row.ref.version, row.valid_from, row.valid_to) for row in catalogue],
        texts,
        batch.rows.tolist(),
        batch.vectors.tobytes(),
        batch.posting_terms.tolist(),
        {row: node for row, (node, _) in nodes.items()},
        [(state.uri, state.state, state.fingerprint, state.nodes) for state in await store.sources(ANN)],
    )


def commit_two(store):
    return store.commit([version("a", "new text\nof a"), version("c", "all new\nwords here", derived=["so to say"])])


def delete_two(store):
    return store.delete(["a", "b"], bucket="b", principal=ANN)


def fail_one(store):
    return store.fail(version("a", "x").source, "corrupt", "damaged")


async def revise_two(store):
    keys = [row.key for row in await store.catalogue() if row.valid_to is None]
    cohort = await store.cohort("acme", "b", Access.everyone())
    return await store.revise(cohort, [flagged(held, [1]) for held in await store.revisable(keys)])


@pytest.mark.parametrize("work", [commit_two, delete_two, fail_one, revise_two], ids=lambda work: work.__name__)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "error", [(sqlite3.OperationalError, "disk I/O error"), (MemoryError, "no more")], ids=["io", "memory"]
)
def test_a_failing_statement_leaves_all_or_nothing(tmp_path, work, after, error):
    expected = StoreError if error[0] is sqlite3.OperationalError else MemoryError

    async def run(folder, number):
        """The state before, after, and what came of it when statement `number` fails."""
        store = await SqliteStore.open(folder, connection=Failing)
        try:
            if not store.identity:
                await store.bind(IDENTITY)
                both = [version("a", "old text\nof a"), version("b", "b stays\nold text")]
                await store.commit([repeating(one, [1, 2]) for one in both])
            before = await state_of(store)
            Failing.arm(number, after=after, error=error)
            failed = False
            try:
                await work(store)
            except expected:
                failed = True
            reached = Failing.left is None
            Failing.arm(None)
            assert not store._writer.in_transaction
            assert await store.check() == []
            return before, await state_of(store), failed, reached
        finally:
            Failing.arm(None)
            await store.close()

    async def campaign():
        _, done, failed, _ = await run(tmp_path / "clean", None)
        assert not failed
        outcomes = set()
        number = 1
        folder = tmp_path / "n1"
        while True:
            before, now, failed, reached = await run(folder, number)
            if not reached:
                assert not failed
                return number - 1, outcomes
            assert now in (before, done), f"statement {number} left something between"
            outcomes.add((failed, now == done))
            number += 1
            if now != before:
                folder = tmp_path / f"n{number}"

    statements, outcomes = asyncio.run(campaign())
    assert statements >= 5
    assert (True, False) in outcomes
    if after:
        assert (True, True) in outcomes  # the commit itself was carried out before the error came


def test_the_store_goes_on_after_a_failed_commit(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path, connection=Failing) as store:
            await store.bind(IDENTITY)
            Failing.arm(9)
            with pytest.raises(StoreError, match="disk I/O error"):
                await commit_two(store)
            await commit_two(store)
            assert await store.check() == []
            assert len(await store.term_ids(["all", "new", "words"])) == 3

    asyncio.run(work())
