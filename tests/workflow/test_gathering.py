"""Lists and several parameters: what comes of a returned list is gathered once, whatever happens on the way."""

import asyncio
import dataclasses
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.workflow import (
    All,
    Collect,
    Context,
    Event,
    MemoryJournal,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    StepFailedEvent,
    StopEvent,
    Take,
    Workflow,
    WorkflowRuntimeError,
    WorkflowStuck,
    catch_error,
    launch,
    step,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Outer(PlainEvent):
    n: int
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Inner(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Made(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sum(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: Any = None


both_ways = pytest.mark.parametrize("recorded", [False, True], ids=["in_memory", "recorded"])


def run(workflow: Workflow, start: PlainStartEvent, *, recorded: bool = False) -> Any:
    async def main() -> Any:
        journal = MemoryJournal() if recorded else None
        return await asyncio.wait_for(launch(workflow, start, journal=journal), 5)

    return asyncio.run(main())


class Nested(Workflow):
    """A list of lists: each inner list is summed, then the sums. An outer member of size -1 is dropped."""

    @step
    async def scatter(self, event: Go) -> list[Outer]:
        return [Outer(n, size) for n, size in enumerate(event.sizes)]

    @step(num_workers=2)
    async def split(self, event: Outer) -> list[Inner] | None:
        await asyncio.sleep(0)
        return None if event.size < 0 else [Inner(10 * event.n + k) for k in range(event.size)]

    @step(num_workers=3)
    async def work(self, event: Inner) -> Made | None:
        if event.n % 3 == 0:
            await asyncio.sleep(0)
        return Made(event.n) if event.n % 10 != 4 else None

    @step
    async def inner_sum(self, events: list[Made]) -> Sum:
        return Sum(sum(event.n for event in events))

    @step
    async def outer_sum(self, events: list[Sum]) -> Done:
        return Done(sorted(event.n for event in events))


def expected(sizes: tuple[int, ...]) -> list[int]:
    return sorted(sum(10 * n + k for k in range(size) if k != 4) for n, size in enumerate(sizes) if size >= 0)


@both_ways
@pytest.mark.parametrize("sizes", [(), (0,), (0, 0), (3,), (1, 2, 3), (2, 0, 6), (-1, 2), (-1, -1)])
def test_nested_lists_are_gathered_each_in_its_own(sizes: tuple[int, ...], recorded: bool):
    assert run(Nested(), Go(sizes), recorded=recorded) == expected(sizes)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-1, 9), max_size=7).map(tuple))
def test_nested_lists_of_any_size_are_gathered_once(sizes: tuple[int, ...]):
    assert run(Nested(), Go(sizes)) == expected(sizes)


@both_ways
def test_an_empty_list_is_gathered_as_one(recorded: bool):
    class Empty(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Inner]:
            return []

        @step
        async def work(self, event: Inner) -> Made:
            return Made(event.n)

        @step
        async def gather(self, events: list[Made]) -> Done:
            return Done(events)

    assert run(Empty(), Go(), recorded=recorded) == []


def test_a_gathering_step_may_take_several_types_and_the_events_of_the_list_itself():
    class Mixed(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Inner | Made]:
            return [Made(1), Inner(2), Made(3)]

        @step
        async def work(self, event: Inner) -> Sum:
            await asyncio.sleep(0)
            return Sum(event.n)

        @step
        async def gather(self, events: Annotated[list[Made | Sum], Collect(All())]) -> Done:
            return Done(events)

    assert run(Mixed(), Go()) == [Made(1), Made(3), Sum(2)]


def test_two_steps_may_gather_the_same_list():
    class Twice(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Inner]:
            return [Inner(n) for n in range(4)]

        @step
        async def odd_or_even(self, event: Inner) -> Made | Sum:
            return Made(event.n) if event.n % 2 else Sum(event.n)

        @step
        async def odd(self, events: list[Made]) -> Outer:
            return Outer(0, sum(event.n for event in events))

        @step
        async def even(self, events: list[Sum]) -> Outer:
            return Outer(1, sum(event.n for event in events))

        @step
        async def end(self, ctx: Context, event: Outer) -> Done | None:
            sums = ctx.collect_events(event, [Outer, Outer])
            return None if sums is None else Done(sorted((one.n, one.size) for one in sums))

    assert run(Twice(), Go()) == [(0, 4), (1, 2)]


def taking(count: int) -> Workflow:
    class Takes(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Inner]:
            return [Inner(n) for n in event.sizes]

        @step(num_workers=8)
        async def work(self, event: Inner) -> Made | None:
            await asyncio.sleep(0.002 * event.n)
            return Made(event.n) if event.n < 9 else None

        @step
        async def first(self, events: Annotated[list[Made], Collect(Take(count))]) -> Done | None:
            self.calls.append([event.n for event in events])
            # The run goes on, so that late members could do harm.
            await asyncio.sleep(0.05)
            return Done()

    made = Takes()
    made.calls = []  # type: ignore[attr-defined]
    return made


@both_ways
@pytest.mark.parametrize(
    ("count", "sizes", "given"),
    [
        (2, (5, 1, 3, 0), [0, 1]),
        (1, (4, 2), [2]),
        (4, (3, 2, 1, 0), [0, 1, 2, 3]),
        (3, (1, 0), [0, 1]),
        (3, (1, 9, 9), [1]),
        (2, (), []),
    ],
)
def test_take_gives_the_first_of_them_once_and_fewer_when_there_are_fewer(
    count: int, sizes: tuple[int, ...], given: list[int], recorded: bool
):
    workflow = taking(count)
    run(workflow, Go(sizes), recorded=recorded)
    assert workflow.calls == [given]  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_take_of_less_than_one_is_refused(count: Any):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        Take(count)


class Recovers(Workflow):
    """Members that are negative fail; the handler makes a Made(0) of them, or nothing."""

    def __init__(self, stands_in: bool) -> None:
        super().__init__()
        self.stands_in = stands_in
        self.failed: list[Any] = []

    @step
    async def scatter(self, event: Go) -> list[Inner]:
        return [Inner(n) for n in event.sizes]

    @step(num_workers=2)
    async def work(self, event: Inner) -> Made:
        await asyncio.sleep(0)
        if event.n < 0:
            raise ValueError(event.n)
        return Made(event.n)

    @catch_error
    async def recover(self, event: StepFailedEvent) -> Made | None:
        self.failed.append(event.input_event)
        return Made(0) if self.stands_in else None

    @step
    async def gather(self, events: list[Made]) -> Done:
        return Done(sorted(event.n for event in events))


@both_ways
@pytest.mark.parametrize("stands_in", [False, True])
def test_a_member_that_fails_is_replaced_by_what_its_handler_makes_of_it(stands_in: bool, recorded: bool):
    workflow = Recovers(stands_in)
    assert run(workflow, Go((1, -2, 3, -4)), recorded=recorded) == ([0, 0, 1, 3] if stands_in else [1, 3])
    assert workflow.failed == [Inner(-2), Inner(-4)]


def test_a_member_that_fails_without_a_handler_ends_the_run():
    class Bare(Recovers):
        recover = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match="-2") as caught:
        run(Bare(False), Go((1, -2, 3)))
    assert "Step 'work' of Bare failed on Inner" in caught.value.__notes__[0]


@both_ways
def test_a_gathering_step_that_fails_is_handed_over_with_its_events(recorded: bool):
    seen: list[StepFailedEvent] = []

    class Fails(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Made]:
            return [Made(1), Made(2)]

        @step
        async def gather(self, events: list[Made]) -> Done:
            raise ValueError("no")

        @catch_error
        async def recover(self, event: StepFailedEvent) -> Done:
            seen.append(event)
            return Done([one.n for one in event.input_event.events])

    assert run(Fails(), Go(), recorded=recorded) == [1, 2]
    assert [(one.step_name, one.attempts, str(one.exception)) for one in seen] == [("gather", 1, "no")]


class Budget(Workflow):
    """Each recovery leads back to the step that fails, until `heals` of them have been made."""

    def __init__(self, heals: int) -> None:
        super().__init__()
        self.heals = heals
        self.recovered = 0

    @step
    async def begin(self, event: Go) -> Inner:
        return Inner(0)

    @step
    async def work(self, event: Inner) -> Done:
        if event.n < self.heals:
            raise ValueError(f"after {event.n} recoveries")
        return Done(event.n)

    @catch_error(max_recoveries=3)
    async def recover(self, event: StepFailedEvent) -> Inner:
        self.recovered += 1
        return Inner(event.input_event.n + 1)


@both_ways
def test_a_handler_takes_over_as_often_as_it_may_in_one_line_of_events(recorded: bool):
    workflow = Budget(3)
    assert run(workflow, Go(), recorded=recorded) == 3
    assert workflow.recovered == 3


@both_ways
def test_beyond_its_budget_the_failure_is_the_run_s(recorded: bool):
    workflow = Budget(4)
    with pytest.raises(ValueError, match="after 3 recoveries"):
        run(workflow, Go(), recorded=recorded)
    assert workflow.recovered == 3


def test_the_budget_counts_for_each_line_of_events_by_itself():
    class Lines(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Inner]:
            return [Inner(n) for n in range(5)]

        @step
        async def work(self, event: Inner) -> Made:
            raise ValueError

        @catch_error
        async def recover(self, event: StepFailedEvent) -> Made:
            return Made(event.input_event.n)

        @step
        async def gather(self, events: list[Made]) -> Done:
            return Done(sorted(event.n for event in events))

    assert run(Lines(), Go()) == [0, 1, 2, 3, 4]


def test_a_handler_for_named_steps_goes_before_the_one_for_all_and_its_own_failure_ends_the_run():
    class Scoped(Workflow):
        @step
        async def begin(self, event: Go) -> Inner | Made:
            return Inner(0) if event.sizes else Made(0)

        @step
        async def one(self, event: Inner) -> Done:
            raise ValueError("one")

        @step
        async def two(self, event: Made) -> Done:
            raise ValueError("two")

        @catch_error(for_steps=["one"])
        async def of_one(self, event: StepFailedEvent) -> Done:
            return Done(event.step_name)

        @catch_error
        async def of_all(self, event: StepFailedEvent) -> Done:
            raise KeyError("in the handler")

    assert run(Scoped(), Go((1,))) == "one"
    with pytest.raises(KeyError, match="in the handler"):
        run(Scoped(), Go())


def test_a_gathering_step_cannot_be_sent_to():
    class Sends(Workflow):
        @step
        async def scatter(self, ctx: Context, event: Go) -> list[Made]:
            ctx.send_event(Made(1), "gather")
            return []

        @step
        async def gather(self, events: list[Made]) -> Done:
            return Done()

    with pytest.raises(WorkflowRuntimeError, match="to step 'gather', which gathers what comes of a returned list"):
        run(Sends(), Go())


# Several event parameters


class Pair(Workflow):
    @step
    async def begin(self, event: Go) -> list[Inner | Made]:
        return [Inner(1), Inner(2), Made(10), Inner(3), Made(20), Made(30)]

    @step(num_workers=1)
    async def pair(self, left: Inner, ctx: Context, right: Made) -> Sum:
        return Sum(left.n + right.n)

    @step
    async def end(self, ctx: Context, event: Sum) -> Done | None:
        sums = ctx.collect_events(event, [Sum] * 3)
        return None if sums is None else Done([one.n for one in sums])


@both_ways
def test_a_step_with_two_event_parameters_runs_for_each_pair_in_order(recorded: bool):
    assert run(Pair(), Go(), recorded=recorded) == [11, 22, 33]


def test_a_pair_that_stays_incomplete_is_named():
    class Lacks(Pair):
        @step
        async def begin(self, event: Go) -> list[Inner | Made]:
            return [Inner(1), Inner(2), Made(10)]

    with pytest.raises(WorkflowStuck, match="step 'pair' holds 1 Inner and waits for Made"):
        run(Lacks(), Go())


def test_a_pair_is_recorded_with_the_numbers_of_both_events():
    journal = MemoryJournal()

    async def main() -> None:
        await launch(Pair(), Go(), journal=journal, run_id="r")

    asyncio.run(main())
    entries = journal.entries["r"]
    name = {entry.seq: entry.event for entry in entries if entry.kind == "event"}
    causes = [entry.caused_by for entry in entries if entry.kind == "step" and entry.step == "pair"]
    assert [sorted(str(name[seq]) for seq in cause) for cause in causes] == [["Inner", "Made"]] * 3
    # First the one that came last.
    assert all(cause[0] == max(cause) for cause in causes)


@dataclasses.dataclass(frozen=True, slots=True)
class SubInner(Inner):
    pass


def test_a_parameter_of_the_exact_type_goes_before_one_of_its_base():
    class Exact(Workflow):
        @step
        async def begin(self, event: Go) -> list[Inner | SubInner]:
            return [SubInner(2), Inner(1)]

        @step
        async def end(self, base: Inner, sub: SubInner) -> Done:
            return Done((base.n, sub.n))

    assert run(Exact(), Go()) == (1, 2)


class Word(Event):
    text: str


def test_a_pair_that_fails_is_handed_over_with_both_events():
    class Fails(Workflow):
        @step
        async def begin(self, event: Go) -> list[Word | Made]:
            return [Word(text="a", extra=1), Made(1)]

        @step
        async def end(self, word: Word, made: Made) -> StopEvent:
            raise ValueError("no")

        @catch_error
        async def recover(self, event: StepFailedEvent) -> StopEvent:
            return StopEvent(result=event.input_event.events)

    assert run(Fails(), Go()) == [Word(text="a", extra=1), Made(1)]
