"""The contract of `workflow.Journal` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_journal_keeps_the_contract(case):
        asyncio.run(case(MyJournal(), read_my_entries))

A journal is only written to, so each case also gets a function that reads: run id → its entries, in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from citewell.workflow import Context, Entry, Event, Journal, Outcome, RunStart, StartEvent, StopEvent, Workflow, step

ReadEntries: TypeAlias = Callable[[str], Awaitable[Sequence[Entry]]]

_START = RunStart("run-1", "answer", "fingerprint", 1_700_000_000.25)
_ENTRIES = (
    Entry(1, "event", 1.5, event="mod:Asked", payload={"text": "héllo \U0001f600", "n": [1, 2.5, None, True]}),
    Entry(2, "stream", 2.0, step="write", event="mod:Token", payload="", caused_by=(1,)),
    Entry(3, "step", 2.5, step="write", caused_by=(1,), attempt=2, started_at=1.75, duration_s=0.75, error="E: no"),
    Entry(4, "event", 3.0, step="write", event="mod:Done", caused_by=(2, 1), target="write"),
    Entry(5, "step", 3.0, step="write", caused_by=(1,), state={"seen": {"a": 1}}, state_deleted=("old", "older")),
)


async def entries_come_back_as_they_were_and_in_order(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START)
    await journal.append("run-1", _ENTRIES[:2])
    await journal.append("run-1", [])
    await journal.append("run-1", _ENTRIES[2:])
    assert list(await read("run-1")) == list(_ENTRIES)
    await journal.ended("run-1", Outcome("done", 4, 3.5))
    assert list(await read("run-1")) == list(_ENTRIES)


async def a_run_without_entries_is_a_run(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START)
    assert list(await read("run-1")) == []
    await journal.ended("run-1", Outcome("cancelled", 1, 2.0, "stopped by hand"))
    assert list(await read("run-1")) == []


async def a_known_run_id_is_refused_and_its_record_left_alone(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START)
    await journal.append("run-1", _ENTRIES[:3])
    for again in (_START, replace(_START, workflow="other", at=5.0)):
        assert "run-1" in await _refused(journal.started(again))
    assert list(await read("run-1")) == list(_ENTRIES[:3])
    await journal.append("run-1", _ENTRIES[3:])
    assert list(await read("run-1")) == list(_ENTRIES)


async def a_run_that_never_started_takes_no_entries(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START)
    await _refused(journal.append("unknown", _ENTRIES[:1]))
    await _refused(journal.ended("unknown", Outcome("done", 1, 2.0)))
    await _refused(_as_work(read, "unknown"))
    assert list(await read("run-1")) == []


async def runs_are_kept_apart(journal: Journal, read: ReadEntries) -> None:
    # One id is the beginning of the other: prefixes must not be taken for the whole.
    for run_id in ("run-1", "run-10"):
        await journal.started(replace(_START, run_id=run_id))
    for entry in _ENTRIES:
        await journal.append("run-1" if entry.seq % 2 else "run-10", [entry])
    assert [entry.seq for entry in await read("run-1")] == [1, 3, 5]
    assert [entry.seq for entry in await read("run-10")] == [2, 4]


async def what_was_given_may_change_afterwards(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START)
    batch = [_ENTRIES[0]]
    await journal.append("run-1", batch)
    batch.clear()
    assert list(await read("run-1")) == [_ENTRIES[0]]


async def every_way_to_end_is_taken(journal: Journal, read: ReadEntries) -> None:
    for status in ("done", "failed", "timed_out", "cancelled", "stuck"):
        await journal.started(replace(_START, run_id=status))
        await journal.append(status, _ENTRIES[:1])
        await journal.ended(status, Outcome(status, 1, 2.0, None if status == "done" else "why\nit ended"))
        assert list(await read(status)) == [_ENTRIES[0]]


async def a_real_run_is_kept_as_the_engine_told_it(journal: Journal, read: ReadEntries) -> None:
    seen = _Seen(journal)
    assert await _Count().run(run_id="real", journal=seen, upto=3) == 3
    assert seen.outcomes == ["done"]
    kept = list(await read("real"))
    assert kept == seen.entries
    assert [entry.seq for entry in kept] == list(range(1, len(kept) + 1))
    assert {entry.kind for entry in kept} == {"event", "stream", "step"}


class _Seen:
    """A journal around a journal that remembers what went through."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner
        self.entries: list[Entry] = []
        self.outcomes: list[str] = []

    async def started(self, run: RunStart) -> None:
        await self._inner.started(run)

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        await self._inner.append(run_id, entries)
        self.entries.extend(entries)

    async def ended(self, run_id: str, outcome: Outcome) -> None:
        await self._inner.ended(run_id, outcome)
        self.outcomes.append(outcome.status)


@dataclass(frozen=True, slots=True)
class _Go(StartEvent):
    upto: int


@dataclass(frozen=True, slots=True)
class _At(Event):
    number: int
    upto: int


@dataclass(frozen=True, slots=True)
class _Shown(Event):
    number: int


@dataclass(frozen=True, slots=True)
class _End(StopEvent):
    result: int


class _Count(Workflow):
    """Counts up, shows each number, and keeps the last in its state."""

    @step
    async def begin(self, start: _Go) -> _At:
        return _At(1, start.upto)

    @step
    async def count(self, ctx: Context, at: _At) -> _At | _End:
        ctx.write_event_to_stream(_Shown(at.number))
        return _End(at.number) if at.number == at.upto else _At(at.number + 1, at.upto)


async def _as_work(read: ReadEntries, run_id: str) -> None:
    await read(run_id)


async def _refused(work: Awaitable[None]) -> str:
    """What the error says that `work` has to raise; of which kind is the journal's own affair."""
    try:
        await work
    except Exception as error:  # noqa: BLE001
        return str(error)
    raise AssertionError("nothing was refused")


CASES: tuple[Callable[[Journal, ReadEntries], Awaitable[None]], ...] = (
    entries_come_back_as_they_were_and_in_order,
    a_run_without_entries_is_a_run,
    a_known_run_id_is_refused_and_its_record_left_alone,
    a_run_that_never_started_takes_no_entries,
    runs_are_kept_apart,
    what_was_given_may_change_afterwards,
    every_way_to_end_is_taken,
    a_real_run_is_kept_as_the_engine_told_it,
)
"""All cases."""
