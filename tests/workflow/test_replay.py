"""A recorded run that was cut off anywhere: the record alone gives back what was still to do, and the same end."""

import asyncio
import dataclasses
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.workflow import (
    CodecError,
    Context,
    Entry,
    Event,
    InputRequiredEvent,
    MemoryJournal,
    PlainEvent,
    PlainHumanResponseEvent,
    PlainStartEvent,
    PlainStopEvent,
    RunStart,
    StepFailedEvent,
    Workflow,
    catch_error,
    launch,
    outside,
    questions,
    step,
)
from citewell.workflow.replay import Replay
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none
from citewell.workflow.run import Run
from citewell.workflow.snapshot import pending


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    sizes: tuple[int, ...]
    seed: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Outer(PlainEvent):
    n: int
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tick(PlainEvent):
    n: int


class Inner(Event):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Made(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sum(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Paired(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Pairs(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Total(PlainEvent):
    n: int


class Ask(InputRequiredEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reply(PlainHumanResponseEvent):
    to: int
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: list[int]


AGAIN = retry_policy(wait=wait_none(), stop=stop_after_attempt(3))


class Everything(Workflow):
    """Nested lists, pairs, buffers, retries, recoveries, questions, remembered values, state, sends, streams.

    What a member does depends on its number alone, so every run of the same start comes to the same result.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(timeout=None)
        self.random = random.Random(seed)

    async def pause(self) -> None:
        for _ in range(self.random.randrange(3)):
            await asyncio.sleep(0)

    @step
    async def begin(self, ctx: Context, event: Go) -> list[Outer | Tick]:
        await ctx.store.set("wanted", len(event.sizes))
        await ctx.store.set("gone", 1)
        for n in range(len(event.sizes)):
            ctx.send_event(Tick(n))
        return [Outer(n, size) for n, size in enumerate(event.sizes)]

    @step(num_workers=2)
    async def split(self, event: Outer) -> list[Inner]:
        await self.pause()
        return [Inner(n=100 * event.n + k, extra=(k,)) for k in range(event.size)]

    @step(num_workers=2, retry_policy=AGAIN)
    async def work(self, ctx: Context, event: Inner) -> Made | None:
        await self.pause()
        ctx.write_event_to_stream(Tick(event.n))
        kind = event.n % 100
        if kind == 1 and ctx.attempt < 3:
            raise ValueError("not yet")
        if kind == 2:
            raise ValueError("never")
        value = event.n
        if kind == 3:
            answer = await ctx.wait_for_event(Reply, Ask(n=event.n), requirements={"to": event.n})
            value = answer.value
        if kind == 4:
            value = await ctx.once("value", lambda: event.n + 1)
            await self.pause()
        if kind == 5:
            return None
        async with ctx.store.edit_state() as state:
            state.total = state.get("total", 0) + value
            state.pop("gone", None)
            state[f"seen{event.n}"] = (value, {"n": event.n})
        return Made(value)

    @catch_error(for_steps=["work"])
    async def recover(self, event: StepFailedEvent) -> Made:
        await self.pause()
        return Made(-event.input_event.n)

    @step
    async def inner_sum(self, events: list[Made]) -> Sum:
        await self.pause()
        return Sum(sum(event.n for event in events))

    @step(num_workers=1)
    async def pair(self, left: Sum, right: Tick) -> Paired:
        await self.pause()
        return Paired(left.n)

    @step
    async def pairs(self, ctx: Context, event: Paired) -> Pairs | None:
        await self.pause()
        found = ctx.collect_events(event, {Paired: await ctx.store.get("wanted")})
        return None if found is None else Pairs(sum(one.n for one in found))

    @step
    async def outer_sum(self, events: list[Sum]) -> Total:
        return Total(sum(event.n for event in events))

    @step
    async def end(self, ctx: Context, event: Pairs | Total) -> Done | None:
        await self.pause()
        both = ctx.collect_events(event, [Pairs, Total])
        return None if both is None else Done([one.n for one in both])


def expected(sizes: tuple[int, ...]) -> list[int]:
    numbers = [100 * n + k for n, size in enumerate(sizes) for k in range(size)]
    values = {1: lambda n: n, 2: lambda n: -n, 3: lambda n: n + 1000, 4: lambda n: n + 1, 5: lambda n: 0}
    total = sum(values.get(n % 100, lambda n: n)(n) for n in numbers)
    return [total, total]


async def answer_all(run: Run) -> None:
    """Play the people until the run is over."""
    while not run.outlet.finished:
        for wait in list((run.reducer.waits or {}).values()):
            if not wait.promised:
                to = wait.requirements["to"]
                outside.send(run, Reply(to, to + 1000))
        await asyncio.sleep(0)


async def result_of(run: Run) -> Any:
    async with asyncio.timeout(5):
        await answer_all(run)
    return run.outlet.result()


Place = tuple[str, int, Any]


class Cut(NamedTuple):
    """A border between two transactions: what the live run had still to do there, and which state was recorded."""

    count: int
    places: list[Place]
    state: dict[str, Any]
    questions: set[str]


class Cutting(MemoryJournal):
    """Notes before every call what the run is at: what its record must be able to give back."""

    def __init__(self, hesitates: random.Random | None) -> None:
        super().__init__()
        self.run: Run
        self.cuts: list[Cut] = []
        self.hesitates = hesitates

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        if not self.run.closing:
            self.cuts.append(self._cut(entries))
        if self.hesitates is not None:
            for _ in range(self.hesitates.randrange(3)):
                await asyncio.sleep(0)
        await super().append(run_id, entries)

    def _cut(self, coming: Sequence[Entry]) -> Cut:
        # What is over already but only in the entries that are on their way is still to do by the record.
        run = self.run
        live = pending(run)
        ending = [one for one in coming if one.kind == "step" and (one.error is None or one.due is None)]
        places = [(job.spec.name, job.seq, job.event) for job in live]
        known = {place[:2] for place in places}
        places += [
            (str(one.step), one.caused_by[0], None) for one in ending if (one.step, one.caused_by[0]) not in known
        ]
        unrecorded = {key for job in live for key in job.dirty or ()}
        for one in ending:
            unrecorded |= {*(one.state or ()), *one.state_deleted}
        state = {key: value for key, value in run.state.values.items() if key not in unrecorded}
        done = {(one.step, one.caused_by[0]) for one in ending}
        coming_questions = {f"{one.step}/{one.caused_by[0]}/{one.name}" for one in coming if one.kind == "wait"}
        answered = {key for one in coming for key in one.answers}
        questions = {
            key
            for key, wait in (run.reducer.waits or {}).items()
            if (wait.job.spec.name, wait.job.seq) not in done and key not in coming_questions
        }
        return Cut(len(self.entries["r"]), places, state, questions | answered)


async def record(sizes: tuple[int, ...], seed: int) -> tuple[Cutting, Run]:
    rng = random.Random(seed)
    journal = Cutting(rng if seed % 2 else None)
    handler = launch(Everything(seed), Go(sizes, seed), journal=journal, run_id="r")
    journal.run = handler._run
    assert await result_of(handler._run) == expected(sizes)
    return journal, handler._run


def through_text(entries: Sequence[Entry]) -> list[Entry]:
    return [Entry.from_json(json.loads(json.dumps(entry.to_json(), allow_nan=False))) for entry in entries]


def replayed(entries: Sequence[Entry]) -> Replay:
    made = Replay(Everything(0)._graph)
    made.apply(entries)
    return made


runs = given(st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple), st.integers(0, 2**32))


@settings(max_examples=30, deadline=None)
@runs
def test_the_record_cut_at_any_border_gives_the_jobs_the_questions_and_the_state_of_the_run(
    sizes: tuple[int, ...], seed: int
):
    async def main() -> None:
        journal, run = await record(sizes, seed)
        entries = through_text(journal.entries["r"])
        assert len(journal.cuts) > 3
        for cut in journal.cuts:
            again = replayed(entries[: cut.count])
            jobs = {(job.spec.name, job.seq): job.event for job in again.unfinished}
            assert sorted(jobs) == sorted(place[:2] for place in cut.places)
            for name, seq, event in cut.places:
                assert event is None or told(jobs[name, seq]) == told(event)
            assert {key: again.state.values[key] for key in cut.state} == cut.state
            assert set(again._waits) == cut.questions
        whole = replayed(entries)
        assert not whole.unfinished
        assert whole.state.values == run.state.values
        stop = whole.reducer.stop
        assert stop is not None
        assert stop[1] == Done(expected(sizes))
        shown = [(seq, told(event)) for seq, event in run.outlet.events[:-1]]
        assert [(seq, told(event)) for seq, event in whole.stream] == shown

    asyncio.run(main())


def told(event: Any) -> Any:
    """The event as it can be compared: an exception is read back as its type's name and its message."""
    if isinstance(event, StepFailedEvent):
        return (event.step_name, event.input_event, event.attempts, str(event.exception))
    return event


@settings(max_examples=12, deadline=None)
@runs
def test_a_run_continued_from_any_border_comes_to_the_same_result(sizes: tuple[int, ...], seed: int):
    async def main() -> None:
        journal, run = await record(sizes, seed)
        entries = through_text(journal.entries["r"])
        borders = sorted({cut.count for cut in journal.cuts})
        for border in borders[:: max(1, len(borders) // 12)]:
            workflow = Everything(seed + border)
            again = replayed(entries[:border])
            waiting = again.ready(now=0.0)
            assert again.failed is None
            second = Run(workflow, workflow._graph, None, state=again.state, reducer=again.reducer)
            questions.resume(second, waiting)
            assert await result_of(second) == expected(sizes)
            assert second.state.values == run.state.values

    asyncio.run(main())


def test_a_continued_run_goes_on_recording_without_gaps():
    async def main() -> None:
        journal, _ = await record((5, 6), 2)
        entries = journal.entries["r"]
        for cut in journal.cuts[::5]:
            again = replayed(entries[: cut.count])
            waiting = again.ready(now=0.0)
            second = MemoryJournal()
            await second.started(RunStart("r", "Everything", "x", 0.0), entries[: cut.count])
            workflow = Everything(1)
            run = Run(
                workflow, workflow._graph, None, run_id="r", state=again.state, reducer=again.reducer, journal=second
            )
            questions.resume(run, waiting)
            assert await result_of(run) == expected((5, 6))
            assert [entry.seq for entry in second.entries["r"]] == list(range(1, len(second.entries["r"]) + 1))
            whole = replayed(through_text(second.entries["r"]))
            assert not whole.unfinished
            assert whole.state.values == run.state.values

    asyncio.run(main())


def first_entries(play: Callable[[Run], Awaitable[Any]], workflow: Workflow, start: PlainStartEvent) -> list[Entry]:
    async def main() -> list[Entry]:
        journal = MemoryJournal()
        handler = launch(workflow, start, journal=journal, run_id="r")
        await play(handler._run)
        return journal.entries["r"]

    return asyncio.run(main())


def test_an_entry_out_of_order_is_refused():
    entries = first_entries(result_of, Everything(0), Go((2,)))
    made = replayed(entries[:4])
    with pytest.raises(CodecError, match="Entry 4 follows 4: the record is damaged"):
        made.apply(entries[3:])


def test_a_record_that_does_not_fit_the_present_steps_says_where():
    class Other(Workflow):
        @step
        async def begin(self, event: Go) -> Done:
            return Done([])

    entries = first_entries(result_of, Everything(0), Go((2,)))
    with pytest.raises(CodecError, match=r"Tick: Other knows no such event"):
        Replay(Other()._graph).apply(entries)


class Lapses(Workflow):
    @step
    async def ask(self, ctx: Context, event: Go) -> Done:
        try:
            answer = await ctx.wait_for_event(Reply, Ask(n=0), timeout=1000)
        except TimeoutError:
            return Done([-1])
        return Done([answer.value])


async def cut_off(run: Run) -> None:
    while not run.reducer.waits:  # noqa: ASYNC110 - the engine sets no event
        await asyncio.sleep(0)
    run.cancel()
    while not run.outlet.finished:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.mark.parametrize("late", [False, True])
def test_a_question_goes_on_until_its_deadline_downtime_included(late: bool):
    entries = first_entries(cut_off, Lapses(), Go(()))
    asked = next(n for n, entry in enumerate(entries) if entry.kind == "wait")
    due = entries[asked].due
    assert due is not None

    async def main() -> None:
        workflow = Lapses()
        again = Replay(workflow._graph)
        again.apply(through_text(entries[: asked + 1]))
        waiting = again.ready(now=due + 1 if late else due - 1)
        assert [wait.key for _, waits in waiting for wait in waits] == ([] if late else ["ask/1/Reply:1"])
        run = Run(workflow, workflow._graph, None, state=again.state, reducer=again.reducer, timeout_s=5)
        questions.resume(run, waiting)
        if not late:
            outside.send(run, Reply(0, 7))
        while not run.outlet.finished:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert run.outlet.result() == ([-1] if late else [7])

    asyncio.run(main())
