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
    JournalFailed,
    MemoryJournal,
    Outcome,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    RunStart,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowCancelledEvent,
    WorkflowError,
    WorkflowFailedEvent,
    WorkflowValidationError,
    decode,
    launch,
    step,
)
from citewell.workflow.events import RecordedError
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Part(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Made(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Token(PlainEvent):
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
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
        async with ctx.store.edit_state() as state:
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

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0.001)
        await super().started(run, entries)
        self.appends.append(list(entries))

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        assert not self.busy
        self.busy = True
        await asyncio.sleep(0.001)
        await super().append(run_id, entries)
        self.appends.append(list(entries))
        self.busy = False

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        assert not self.busy
        await asyncio.sleep(0.001)
        await super().ended(run_id, outcome, entries)
        self.appends.append(list(entries))


@pytest.mark.parametrize("kind", [MemoryJournal, SlowJournal])
def test_the_journal_has_every_entry_once_in_order_with_its_causes(kind: type[MemoryJournal]):
    journal = kind()

    async def main() -> int:
        return await launch(Sum(), Go(5), run_id="r", journal=journal)

    assert asyncio.run(main()) == 10
    entries = journal.entries["r"]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    text = json.dumps([entry.to_json() for entry in entries])
    assert [Entry.from_json(form) for form in json.loads(text)] == entries
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
        await launch(Sum(), Go(5), journal=journal)

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
        await launch(Checks(), Go(), run_id="r", journal=journal)

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
            await launch(OneAtATime(), Go(5), run_id="r", journal=journal)

        asyncio.run(main())
        return [(e.seq, e.kind, e.step, e.event, e.payload, e.caused_by) for e in journal.entries["r"]]

    assert record() == record()


def test_sequence_numbers_are_the_same_with_and_without_a_journal():
    async def numbers(**options: Any) -> list[int]:
        stream = launch(OneAtATime(), Go(5), **options).stream_events()
        return [stream.seq async for _ in stream]

    assert asyncio.run(numbers()) == asyncio.run(numbers(journal=MemoryJournal()))


def test_failed_attempts_are_recorded_with_their_error_and_times():
    class Flaky(Workflow):
        @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(2)))
        async def work(self, ctx: Context, event: Go) -> Done:
            await asyncio.sleep(0.002)
            raise ValueError(f"attempt {ctx.attempt}")

    journal = MemoryJournal()

    async def main() -> None:
        with pytest.raises(ValueError, match="attempt 2"):
            await launch(Flaky(), Go(), run_id="r", journal=journal)

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
    assert (first.due is not None, second.due) == (True, None)
    assert last.event == "citewell.workflow.events:WorkflowFailedEvent"
    told = decode(WorkflowFailedEvent, last.payload)
    assert (told.step_name, str(told.exception), told.attempts) == ("work", "attempt 2", 2)
    assert isinstance(told.exception, RecordedError)
    assert told.exception.original_type == "ValueError"
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

    async def main() -> list[PlainEvent]:
        handler = launch(Sum(), Go(5), journal=Broken())
        with pytest.raises(JournalFailed, match=r"of Sum could not be recorded: disk full") as caught:
            await handler
        assert isinstance(caught.value.__cause__, OSError)
        return [event async for event in handler.stream_events()]

    last = asyncio.run(main())[-1]
    assert isinstance(last, WorkflowFailedEvent)
    assert isinstance(last.exception, JournalFailed)


def test_a_known_run_id_is_refused():
    async def main() -> None:
        journal = MemoryJournal()
        await launch(Sum(), Go(5), run_id="r", journal=journal)
        kept = list(journal.entries["r"])
        with pytest.raises(WorkflowError, match=r"'r' is already in the journal"):
            await launch(Sum(), Go(5), run_id="r", journal=journal)
        assert journal.entries["r"] == kept
        assert journal.outcomes["r"].status == "done"

    asyncio.run(main())


@dataclasses.dataclass(frozen=True, slots=True)
class Opaque(PlainEvent):
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
        assert await Passes().run(start_event=Go()) == 1
        with pytest.raises(WorkflowValidationError, match=r"Passes cannot be recorded .* Opaque.loop"):
            launch(Passes(), Go(), journal=MemoryJournal())

    asyncio.run(main())


def test_a_nested_run_is_recorded_with_its_parent():
    journal = MemoryJournal()

    class Parent(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            return Done(await launch(Sum(), Go(5), run_id="child", journal=journal))

    async def main() -> None:
        await launch(Parent(), Go(), run_id="parent", journal=journal)

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
        assert await launch(Race(), Go(), run_id="r", journal=journal) == 1

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
    async def read(handler: Any, after: int) -> list[tuple[int, PlainEvent]]:
        stream = handler.stream_events(after=after)
        return [(stream.seq, event) async for event in stream]

    async def main() -> None:
        handler = launch(Talks(), Go(10), journal=SlowJournal() if journaled else None)
        during = await asyncio.gather(*[read(handler, 0) for _ in range(3)])
        everything = await read(handler, 0)
        assert [event for _, event in everything] == [*(Token(str(n)) for n in range(10)), Done(10)]
        assert during == [everything] * 3
        for seq, _ in everything:
            assert await read(handler, seq) == [item for item in everything if item[0] > seq]

    asyncio.run(main())


def test_a_stream_goes_on_after_a_break():
    async def main() -> None:
        stream = Talks().run(start_event=Go(4)).stream_events()
        async for event in stream:
            if event == Token("1"):
                break
        assert [event async for event in stream] == [Token("2"), Token("3"), Done(4)]

    asyncio.run(main())


def test_another_reading_goes_on_where_the_first_broke_off_and_after_0_begins_anew():
    async def main() -> None:
        handler = Talks().run(start_event=Go(4))
        async for event in handler.stream_events():
            if event == Token("1"):
                break
        assert [event async for event in handler.stream_events()] == [Token("2"), Token("3"), Done(4)]
        whole = [Token("0"), Token("1"), Token("2"), Token("3"), Done(4)]
        assert [event async for event in handler.stream_events(after=0)] == whole
        # The reading came to the end, so the next begins anew.
        assert [event async for event in handler.stream_events()] == whole

    asyncio.run(main())


def test_a_reader_that_leaves_does_not_disturb_the_others():
    async def main() -> None:
        handler = Talks().run(start_event=Go(20))

        async def read() -> list[PlainEvent]:
            return [event async for event in handler.stream_events()]

        readers = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0)
        readers[0].cancel()
        assert len(await readers[1]) == len(await readers[2]) == 21

    asyncio.run(main())


def test_a_cancelled_run_ends_its_stream():
    async def main() -> None:
        handler = Talks().run(start_event=Go(1_000_000))
        events = []
        async for event in handler.stream_events():
            events.append(event)
            handler.cancel()
        last = events[-1]
        assert isinstance(last, WorkflowCancelledEvent)
        with pytest.raises(WorkflowCancelledByUser):
            await handler

    asyncio.run(main())


def test_only_events_can_be_written_to_the_stream():
    class Wrong(Workflow):
        @step
        async def work(self, ctx: Context, event: Go) -> Done:
            ctx.write_event_to_stream("text")  # type: ignore[arg-type]
            return Done(1)

    async def main() -> None:
        with pytest.raises(TypeError, match=r"'work' wrote a str to the stream. Derive it from Event"):
            await Wrong().run(start_event=Go())

    asyncio.run(main())
