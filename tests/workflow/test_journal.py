"""The stream and the journal: every event once, in order, with its cause, before it is acted on."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest

from citewell.workflow import (
    Context,
    Entry,
    Event,
    JournalFailed,
    MemoryJournal,
    Outcome,
    Retry,
    RunFailed,
    RunStart,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowFailed,
    decode,
    step,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Go(StartEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Part(Event):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Made(Event):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Token(Event):
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done(StopEvent):
    result: int


class Sum(Workflow):
    """Scatter, work with a pause, gather; writes the stream and the state on the way."""

    @step
    async def scatter(self, ctx: Context, event: Go) -> list[Part]:
        ctx.write_event_to_stream(Token("begin"))
        await ctx.store.set("total", 0)
        return [Part(n) for n in range(event.n)]

    @step
    async def work(self, ctx: Context, event: Part) -> Made:
        await asyncio.sleep(0)
        async with ctx.store.edit() as state:
            state["total"] += event.n
        ctx.write_event_to_stream(Token(str(event.n)))
        return Made(event.n)

    @step
    async def gather(self, ctx: Context, event: Made) -> Done | None:
        events = ctx.collect_events(event, {Made: 5})
        return None if events is None else Done(await ctx.store.get("total"))


class SlowJournal(MemoryJournal):
    """Takes its time, and checks that the calls for one run never overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.appends: list[list[Entry]] = []
        self.busy = False

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        assert not self.busy
        self.busy = True
        await asyncio.sleep(0.001)
        await super().append(run_id, entries)
        self.appends.append(list(entries))
        self.busy = False


@pytest.mark.parametrize("kind", [MemoryJournal, SlowJournal])
def test_the_journal_has_every_entry_once_in_order_with_its_causes(kind: type[MemoryJournal]):
    journal = kind()

    async def main() -> int:
        return await Sum().run(Go(5), run_id="r", journal=journal)

    assert asyncio.run(main()) == 10
    entries = journal.entries["r"]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    json.dumps([dataclasses.asdict(entry) for entry in entries])
    by_seq = {entry.seq: entry for entry in entries}
    assert (entries[0].step, entries[0].event, entries[0].payload) == (None, "Go", {"n": 5})
    assert decode(Go, entries[0].payload) == Go(5)
    for entry in entries[1:]:
        assert entry.step is not None
        assert entry.caused_by
        for cause in entry.caused_by:
            assert cause < entry.seq
            assert by_seq[cause].kind == "event"
    (stop,) = [entry for entry in entries if entry.event == "Done"]
    assert {by_seq[cause].payload["n"] for cause in stop.caused_by} == set(range(5))
    assert journal.outcomes["r"] == Outcome("done", stop.seq, journal.outcomes["r"].at)
    assert journal.runs["r"].workflow == "Sum"


def test_a_step_its_events_and_its_state_are_in_one_append():
    journal = SlowJournal()

    async def main() -> None:
        await Sum().run(Go(5), journal=journal)

    asyncio.run(main())
    for entries in journal.appends:
        events = {(entry.step, entry.caused_by) for entry in entries if entry.kind == "event" and entry.step}
        steps = {(entry.step, entry.caused_by) for entry in entries if entry.kind == "step"}
        assert events <= steps
    states = [entry.state for entries in journal.appends for entry in entries if entry.state]
    assert states[0] == {"total": 0}
    assert states[-1] == {"total": 10}


def test_an_event_is_delivered_only_after_it_was_recorded():
    journal = SlowJournal()

    class Checks(Workflow):
        @step
        async def begin(self, event: Go) -> Part:
            assert [entry.event for entry in journal.entries["r"]] == ["Go"]
            return Part(1)

        @step
        async def end(self, event: Part) -> Done:
            assert [entry.event for entry in journal.entries["r"]] == ["Go", "Part", None]
            return Done(1)

    async def main() -> None:
        await Checks().run(Go(), run_id="r", journal=journal)

    asyncio.run(main())


class OneAtATime(Sum):
    # Steps that overlap end in an order that depends on the clock; these cannot overlap.
    @step(num_workers=1)
    async def work(self, ctx: Context, event: Part) -> Made:
        ctx.write_event_to_stream(Token(str(event.n)))
        return Made(event.n)


def test_two_runs_with_the_same_events_have_the_same_record():
    def record() -> list[Any]:
        journal = MemoryJournal()

        async def main() -> None:
            await OneAtATime().run(Go(5), run_id="r", journal=journal)

        asyncio.run(main())
        return [(e.seq, e.kind, e.step, e.event, e.payload, e.caused_by) for e in journal.entries["r"]]

    assert record() == record()


def test_sequence_numbers_are_the_same_with_and_without_a_journal():
    async def numbers(**options: Any) -> list[int]:
        stream = OneAtATime().run(Go(5), **options).stream_events()
        return [stream.seq async for _ in stream]

    assert asyncio.run(numbers()) == asyncio.run(numbers(journal=MemoryJournal()))


def test_failed_attempts_are_recorded_with_their_error_and_times():
    class Flaky(Workflow):
        @step(retry=Retry(attempts=2))
        async def work(self, ctx: Context, event: Go) -> Done:
            await asyncio.sleep(0.002)
            raise ValueError(f"attempt {ctx.attempt}")

    journal = MemoryJournal()

    async def main() -> None:
        with pytest.raises(StepFailed):
            await Flaky().run(Go(), run_id="r", journal=journal)

    asyncio.run(main())
    _, first, second, last = journal.entries["r"]
    assert (first.attempt, first.error) == (1, "ValueError: attempt 1")
    assert (second.attempt, second.error) == (2, "ValueError: attempt 2")
    for entry in (first, second):
        assert entry.kind == "step"
        assert entry.duration_s is not None
        assert entry.duration_s >= 0.001
        assert entry.started_at is not None
        assert entry.started_at <= entry.at
    assert decode(RunFailed, last.payload).reason == "failed"
    outcome = journal.outcomes["r"]
    assert (outcome.status, outcome.seq) == ("failed", last.seq)
    assert "attempt 2" in (outcome.error or "")


@pytest.mark.parametrize("method", ["started", "append", "ended"])
def test_a_journal_that_fails_ends_the_run_with_its_error(method: str):
    class Broken(MemoryJournal):
        pass

    async def fail(self: Any, *arguments: Any) -> None:
        raise OSError("disk full")

    setattr(Broken, method, fail)

    async def main() -> list[Event]:
        handler = Sum().run(Go(5), journal=Broken())
        with pytest.raises(JournalFailed, match=r"of Sum could not be recorded: disk full") as caught:
            await handler
        assert isinstance(caught.value.__cause__, OSError)
        return [event async for event in handler.stream_events()]

    last = asyncio.run(main())[-1]
    assert isinstance(last, RunFailed)
    assert last.error == "JournalFailed"


def test_a_known_run_id_is_refused():
    async def main() -> None:
        journal = MemoryJournal()
        await Sum().run(Go(5), run_id="r", journal=journal)
        with pytest.raises(JournalFailed, match=r"'r' is already in the journal"):
            await Sum().run(Go(5), run_id="r", journal=journal)
        assert journal.outcomes["r"].status == "done"

    asyncio.run(main())


@dataclasses.dataclass(frozen=True, slots=True)
class Opaque(Event):
    loop: asyncio.AbstractEventLoop


def test_an_event_without_a_json_form_is_refused_before_a_recorded_run_and_passes_without_a_journal():
    class Passes(Workflow):
        @step
        async def begin(self, event: Go) -> Opaque:
            return Opaque(asyncio.get_running_loop())

        @step
        async def end(self, event: Opaque) -> Done:
            return Done(int(event.loop is asyncio.get_running_loop()))

    async def main() -> None:
        assert await Passes().run(Go()) == 1
        with pytest.raises(WorkflowDefinitionError, match=r"Passes cannot be recorded .* Opaque.loop"):
            Passes().run(Go(), journal=MemoryJournal())

    asyncio.run(main())


def test_a_nested_run_is_recorded_with_its_parent():
    journal = MemoryJournal()

    class Parent(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            return Done(await Sum().run(Go(5), run_id="child", journal=journal))

    async def main() -> None:
        await Parent().run(Go(), run_id="parent", journal=journal)

    asyncio.run(main())
    assert isinstance(journal.runs["child"], RunStart)
    assert journal.runs["child"].parent_run_id == "parent"
    assert journal.runs["parent"].parent_run_id is None


def test_steps_that_a_stop_interrupts_are_recorded_as_cancelled():
    class Race(Workflow):
        @step
        async def begin(self, event: Go) -> list[Part | Made]:
            return [Part(1), Made(1)]

        @step
        async def slow(self, event: Part) -> Done:
            await asyncio.sleep(10)
            return Done(0)

        @step
        async def fast(self, event: Made) -> Done:
            return Done(1)

    journal = MemoryJournal()

    async def main() -> None:
        assert await Race().run(Go(), run_id="r", journal=journal) == 1

    asyncio.run(main())
    assert [entry.error for entry in journal.entries["r"] if entry.step == "slow"] == ["cancelled"]


# Streams


class Talks(Workflow):
    @step
    async def talk(self, ctx: Context, event: Go) -> Done:
        for n in range(event.n):
            ctx.write_event_to_stream(Token(str(n)))
            await asyncio.sleep(0)
        return Done(event.n)


@pytest.mark.parametrize("journaled", [False, True])
def test_any_number_of_readers_see_every_event_from_any_cursor(journaled: bool):
    async def read(handler: Any, after: int) -> list[tuple[int, Event]]:
        stream = handler.stream_events(after=after)
        return [(stream.seq, event) async for event in stream]

    async def main() -> None:
        handler = Talks().run(Go(10), journal=SlowJournal() if journaled else None)
        during = await asyncio.gather(*[read(handler, 0) for _ in range(3)])
        everything = await read(handler, 0)
        assert [event for _, event in everything] == [*(Token(str(n)) for n in range(10)), Done(10)]
        assert during == [everything] * 3
        for seq, _ in everything:
            assert await read(handler, seq) == [item for item in everything if item[0] > seq]

    asyncio.run(main())


def test_a_stream_goes_on_after_a_break():
    async def main() -> None:
        stream = Talks().run(Go(4)).stream_events()
        async for event in stream:
            if event == Token("1"):
                break
        assert [event async for event in stream] == [Token("2"), Token("3"), Done(4)]

    asyncio.run(main())


def test_a_reader_that_leaves_does_not_disturb_the_others():
    async def main() -> None:
        handler = Talks().run(Go(20))

        async def read() -> list[Event]:
            return [event async for event in handler.stream_events()]

        readers = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0)
        readers[0].cancel()
        assert len(await readers[1]) == len(await readers[2]) == 21

    asyncio.run(main())


def test_a_cancelled_run_ends_its_stream():
    async def main() -> None:
        handler = Talks().run(Go(1_000_000))
        events = []
        async for event in handler.stream_events():
            events.append(event)
            handler.cancel()
        last = events[-1]
        assert isinstance(last, RunFailed)
        assert last.reason == "cancelled"
        with pytest.raises(WorkflowFailed):
            await handler

    asyncio.run(main())


def test_only_events_can_be_written_to_the_stream():
    class Wrong(Workflow):
        @step
        async def work(self, ctx: Context, event: Go) -> Done:
            ctx.write_event_to_stream("text")  # type: ignore[arg-type]
            return Done(1)

    async def main() -> None:
        with pytest.raises(WorkflowError, match=r"'work' wrote a str to the stream. Derive it from Event"):
            await Wrong().run(Go())

    asyncio.run(main())
