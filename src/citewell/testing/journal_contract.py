"""The contract of `workflow.Journal` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_journal_keeps_the_contract(case):
        asyncio.run(case(MyJournal(), read_my_entries))

A journal is only written to, so each case also gets a function that reads: run id → its entries, in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, overload

from citewell.workflow import (
    Context,
    Entry,
    Journal,
    Outcome,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    RunStart,
    Workflow,
    launch,
    step,
)

ReadEntries: TypeAlias = Callable[[str], Awaitable[Sequence[Entry]]]

_START = RunStart("run-1", "answer", "fingerprint", 1_700_000_000.25, code={"step write": "a0"}, deadline=1_700_000_045)
_ENTRIES = (
    Entry(1, "event", 1.5, event="mod:Asked", payload={"text": "héllo \U0001f600", "n": [1, 2.5, None, True]}),
    Entry(2, "stream", 2.0, step="write", event="mod:Token", payload="", caused_by=(1,)),
    Entry(
        3, "step", 2.5, step="write", caused_by=(1,), attempt=2, started_at=1.75, duration_s=0.75, error="E: no", due=9
    ),
    Entry(4, "event", 3.0, step="write", event="mod:Done", caused_by=(2, 1), target="write", sent=True, listed=True),
    Entry(
        5,
        "step",
        3.0,
        step="write",
        caused_by=(1,),
        state={"seen": {"a": 1}},
        state_deleted=("old", "older"),
        opened=True,
        held=(("", None), ("b", (4, 1)), ("c", ())),
    ),
    Entry(6, "wait", 4.0, step="write", caused_by=(4,), name="Reply:1", payload={"event": "Reply"}, due=60.5),
    Entry(7, "event", 5.0, event="Reply", payload={}, answers=("write/4/Reply:1", "other/1/a"), by="Zoë"),
    Entry(8, "memo", 6.0, step="write", caused_by=(4,), name="once", payload=[{"$type": "tuple", "value": []}]),
)


async def entries_come_back_as_they_were_and_in_order(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, _ENTRIES[:1])
    await journal.append("run-1", _ENTRIES[1:3])
    await journal.append("run-1", [])
    await journal.append("run-1", _ENTRIES[3:])
    assert list(await read("run-1")) == list(_ENTRIES)
    await journal.ended("run-1", Outcome("done", 4, 3.5), [])
    assert list(await read("run-1")) == list(_ENTRIES)


async def the_first_entries_come_with_the_start_and_the_last_with_the_end(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, _ENTRIES[:2])
    assert list(await read("run-1")) == list(_ENTRIES[:2])
    await journal.append("run-1", _ENTRIES[2:3])
    await journal.ended("run-1", Outcome("failed", 5, 3.5, "why"), _ENTRIES[3:])
    assert list(await read("run-1")) == list(_ENTRIES)


async def a_run_without_entries_is_a_run(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, [])
    assert list(await read("run-1")) == []
    await journal.ended("run-1", Outcome("cancelled", 1, 2.0, "stopped by hand"), [])
    assert list(await read("run-1")) == []


async def a_known_run_id_is_refused_and_its_record_left_alone(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, _ENTRIES[:1])
    await journal.append("run-1", _ENTRIES[1:3])
    for again in (_START, replace(_START, workflow="other", at=5.0)):
        assert "run-1" in await _refused(journal.started(again, _ENTRIES[3:]))
    assert list(await read("run-1")) == list(_ENTRIES[:3])
    await journal.append("run-1", _ENTRIES[3:])
    assert list(await read("run-1")) == list(_ENTRIES)


async def a_run_that_never_started_takes_no_entries(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, [])
    await _refused(journal.append("unknown", _ENTRIES[:1]))
    await _refused(journal.ended("unknown", Outcome("done", 1, 2.0), _ENTRIES[:1]))
    await _refused(_as_work(read, "unknown"))
    assert list(await read("run-1")) == []


async def runs_are_kept_apart(journal: Journal, read: ReadEntries) -> None:
    # One id is the beginning of the other: prefixes must not be taken for the whole.
    for run_id in ("run-1", "run-10"):
        await journal.started(replace(_START, run_id=run_id), [])
    for entry in _ENTRIES:
        await journal.append("run-1" if entry.seq % 2 else "run-10", [entry])
    assert [entry.seq for entry in await read("run-1")] == [1, 3, 5, 7]
    assert [entry.seq for entry in await read("run-10")] == [2, 4, 6, 8]


async def what_was_given_may_change_afterwards(journal: Journal, read: ReadEntries) -> None:
    batches = [list(_ENTRIES[:1]), list(_ENTRIES[1:2]), list(_ENTRIES[2:3])]
    await journal.started(_START, batches[0])
    await journal.append("run-1", batches[1])
    await journal.ended("run-1", Outcome("done", 1, 2.0), batches[2])
    for batch in batches:
        batch.clear()
    assert list(await read("run-1")) == list(_ENTRIES[:3])


async def a_start_that_fails_records_nothing(journal: Journal, read: ReadEntries) -> None:
    await _refused(journal.started(_START, _Broken(_ENTRIES[:2])))
    await _refused(_as_work(read, "run-1"))
    await journal.started(_START, _ENTRIES[:1])
    assert list(await read("run-1")) == list(_ENTRIES[:1])


async def an_append_that_fails_records_nothing(journal: Journal, read: ReadEntries) -> None:
    await journal.started(_START, _ENTRIES[:1])
    await _refused(journal.append("run-1", _Broken(_ENTRIES[1:3])))
    await _refused(journal.ended("run-1", Outcome("done", 3, 2.0), _Broken(_ENTRIES[1:3])))
    assert list(await read("run-1")) == list(_ENTRIES[:1])
    await journal.append("run-1", _ENTRIES[1:3])
    assert list(await read("run-1")) == list(_ENTRIES[:3])


async def every_way_to_end_is_taken(journal: Journal, read: ReadEntries) -> None:
    for status in ("done", "failed", "timed_out", "cancelled", "stuck"):
        await journal.started(replace(_START, run_id=status), _ENTRIES[:1])
        await journal.ended(status, Outcome(status, 1, 2.0, None if status == "done" else "why\nit ended"), [])
        assert list(await read(status)) == [_ENTRIES[0]]


async def a_real_run_is_kept_as_the_engine_told_it(journal: Journal, read: ReadEntries) -> None:
    seen = _Seen(journal)
    assert await launch(_Count(), _Go(3), run_id="real", journal=seen) == 3
    assert seen.outcomes == ["done"]
    kept = list(await read("real"))
    assert kept == seen.entries
    assert [entry.seq for entry in kept] == list(range(1, len(kept) + 1))
    assert {entry.kind for entry in kept} == {"event", "stream", "step", "wait", "memo"}


class _Broken(Sequence[Entry]):
    """Entries of which the last cannot be had, as when its payload has no form that could be stored."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Entry]: ...
    def __getitem__(self, at: Any) -> Any:
        if at == len(self._entries) - 1:
            raise ValueError("This entry cannot be recorded.")
        return self._entries[at]


class _Seen:
    """A journal around a journal that remembers what went through."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner
        self.entries: list[Entry] = []
        self.outcomes: list[str] = []

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        await self._inner.started(run, entries)
        self.entries.extend(entries)

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        await self._inner.append(run_id, entries)
        self.entries.extend(entries)

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        await self._inner.ended(run_id, outcome, entries)
        self.entries.extend(entries)
        self.outcomes.append(outcome.status)


@dataclass(frozen=True, slots=True)
class _Go(PlainStartEvent):
    upto: int


@dataclass(frozen=True, slots=True)
class _At(PlainEvent):
    number: int
    upto: int


@dataclass(frozen=True, slots=True)
class _Shown(PlainEvent):
    number: int


@dataclass(frozen=True, slots=True)
class _End(PlainStopEvent):
    result: int


class _Count(Workflow):
    """Counts up, shows each number, keeps the last in its state, and waits for the second."""

    @step
    async def begin(self, start: _Go) -> _At:
        return _At(1, start.upto)

    @step
    async def wait(self, ctx: Context, start: _Go) -> None:
        await ctx.wait_for_event(_At, requirements={"number": 2}, timeout=60)

    @step
    async def count(self, ctx: Context, at: _At) -> _At | _End:
        ctx.write_event_to_stream(_Shown(at.number))
        await ctx.store.set("last", await ctx.once("number", lambda: at.number))
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
    the_first_entries_come_with_the_start_and_the_last_with_the_end,
    a_run_without_entries_is_a_run,
    a_known_run_id_is_refused_and_its_record_left_alone,
    a_run_that_never_started_takes_no_entries,
    runs_are_kept_apart,
    what_was_given_may_change_afterwards,
    a_start_that_fails_records_nothing,
    an_append_that_fails_records_nothing,
    every_way_to_end_is_taken,
    a_real_run_is_kept_as_the_engine_told_it,
)
"""All cases."""
