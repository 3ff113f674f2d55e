"""Chains, branches, loops, fan-out and fan-in: who receives which event, and what the run gives back."""

import asyncio
import contextvars
import dataclasses
import threading
from typing import Any

import pytest

from citewell.workflow import (
    Context,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    UndeclaredEvent,
    Workflow,
    WorkflowConfigurationError,
    WorkflowError,
    WorkflowRuntimeError,
    launch,
    step,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class A(PlainEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class B(PlainEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SubA(A):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Answered(PlainStopEvent):
    text: str


def run(workflow: Workflow, start: PlainStartEvent | None = None, **options: Any) -> Any:
    async def main() -> Any:
        return await asyncio.wait_for(workflow.run(start_event=start, **options), 5)

    return asyncio.run(main())


def test_a_chain_passes_events_on_and_gives_the_result_of_its_stop_event():
    class Chain(Workflow):
        @step
        async def one(self, event: Go) -> A:
            return A(event.n + 1)

        @step
        async def two(self, event: A) -> Done:
            return Done(event.n * 10)

    assert run(Chain(), Go(4)) == 50
    assert run(Chain(), n=4) == 50


def test_a_stop_event_without_result_is_itself_the_result():
    class Ask(Workflow):
        @step
        async def answer(self, event: Go) -> Answered:
            return Answered("yes")

    assert run(Ask(), Go()) == Answered("yes")


def test_the_event_returned_decides_the_branch():
    class Branch(Workflow):
        @step
        async def choose(self, event: Go) -> A | B:
            return A() if event.n else B()

        @step
        async def left(self, event: A) -> Done:
            return Done("left")

        @step
        async def right(self, event: B) -> Done:
            return Done("right")

    assert run(Branch(), Go(1)) == "left"
    assert run(Branch(), Go(0)) == "right"


def test_a_step_may_loop_to_itself():
    class Loop(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return A(event.n)

        @step
        async def turn(self, event: A) -> A | Done:
            return A(event.n - 1) if event.n else Done("out")

    assert run(Loop(), Go(1000)) == "out"


class Squares(Workflow):
    @step
    async def scatter(self, event: Go) -> list[A]:
        return [A(n) for n in range(event.n)]

    @step(num_workers=3)
    async def square(self, event: A) -> B:
        await asyncio.sleep(0)
        return B(event.n**2)

    @step
    async def gather(self, ctx: Context, event: B) -> Done | None:
        events = ctx.collect_events(event, [B] * 20)
        return None if events is None else Done(sorted(b.n for b in events))


def test_a_returned_list_fans_out_and_collect_events_fans_in():
    assert run(Squares(), Go(20)) == [n**2 for n in range(20)]


def test_collected_events_come_in_the_order_asked_for_and_the_surplus_is_kept():
    seen: list[list[PlainEvent]] = []

    class Pairs(Workflow):
        @step
        async def scatter(self, event: Go) -> list[A | B]:
            return [A(1), A(2), B(1), A(3), B(2), B(3)]

        @step(num_workers=1)
        async def pair(self, event: A | B, ctx: Context) -> Done | None:
            both = ctx.collect_events(event, {B: 1, A: 1})
            if both is not None:
                seen.append(both)
            return Done() if len(seen) == 3 else None

    run(Pairs(), Go())
    assert seen == [[B(1), A(1)], [B(2), A(2)], [B(3), A(3)]]


def test_every_step_that_accepts_an_event_receives_it():
    seen: list[str] = []

    class Several(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return A()

        @step
        async def log(self, event: A) -> None:
            seen.append("log")

        @step
        async def end(self, event: A) -> Done:
            seen.append("end")
            return Done()

    run(Several(), Go())
    assert seen == ["log", "end"]


def test_a_subclass_event_reaches_the_step_typed_with_its_base_if_that_asks_for_subclasses():
    class Base(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return SubA(7)

        @step(accept_event_subclasses=True)
        async def end(self, event: A) -> Done:
            return Done((type(event), event.n))

    assert run(Base(), Go()) == (SubA, 7)


class Exact(Workflow):
    @step
    async def begin(self, ctx: Context, event: Go) -> A:
        if event.n == 1:
            ctx.send_event(SubA(7))
        if event.n == 2:
            ctx.send_event(SubA(7), "end")
        return SubA(7)

    @step
    async def end(self, event: A) -> Done:
        return Done(event.n)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (0, r"'begin' of Exact, working on Go \(event 1\), returned SubA, which no step accepts"),
        (1, r"'begin' of Exact, working on Go \(event 1\), sent SubA, which no step accepts"),
        (2, r"'begin' of Exact, working on Go \(event 1\), sent SubA to step 'end', which accepts only A"),
    ],
)
def test_a_subclass_event_that_reaches_no_step_is_refused_and_not_lost(how: int, message: str):
    with pytest.raises(WorkflowRuntimeError, match=message):
        run(Exact(), Go(how))


def test_a_step_that_takes_the_exact_type_does_not_keep_a_subclass_from_one_that_asks_for_it():
    class Both(Workflow):
        @step
        async def begin(self, event: Go) -> A | SubA:
            return SubA(event.n) if event.n else A(9)

        @step(accept_event_subclasses=True)
        async def any_a(self, event: A) -> B:
            return B(event.n)

        @step
        async def only_sub(self, event: SubA) -> None:
            seen.append(event.n)

        @step
        async def end(self, event: B) -> Done:
            return Done(event.n)

    seen: list[int] = []
    assert [run(Both(), Go(0)), run(Both(), Go(3))] == [9, 3]
    assert seen == [3]


def test_events_pass_between_steps_by_identity():
    sent = A(1)

    class Same(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return sent

        @step
        async def end(self, event: A) -> Done:
            return Done(event is sent)

    assert run(Same(), Go()) is True


def test_sent_events_come_before_the_returned_one_and_may_name_a_step():
    seen: list[tuple[str, int]] = []

    class Sends(Workflow):
        @step
        async def begin(self, ctx: Context, event: Go) -> A | B:
            ctx.send_event(A(1))
            ctx.send_event(A(2), step="second")
            return B(3)

        @step
        async def first(self, event: A) -> None:
            seen.append(("first", event.n))

        @step
        async def second(self, event: A) -> None:
            seen.append(("second", event.n))

        @step
        async def end(self, event: B) -> Done:
            return Done()

    run(Sends(), Go())
    assert seen == [("first", 1), ("second", 1), ("second", 2)]


def test_a_stop_event_may_only_be_returned():
    class Sends(Workflow):
        @step
        async def begin(self, ctx: Context, event: Go) -> Done | None:
            ctx.send_event(Done("sent"))
            return None

    with pytest.raises(UndeclaredEvent, match=r"'begin' of Sends, .* sent Done, .* Return it to end the run"):
        run(Sends(), Go())


def test_the_first_stop_event_cancels_the_steps_that_still_run():
    cleaned: list[str] = []

    class Race(Workflow):
        @step
        async def begin(self, event: Go) -> list[A | B]:
            return [A(), B()]

        @step
        async def slow(self, event: A) -> Done:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.01)
                cleaned.append("slow")
            return Done("slow")

        @step
        async def fast(self, event: B) -> Done:
            return Done("fast")

    assert run(Race(), Go()) == "fast"
    assert cleaned == ["slow"]


@pytest.mark.parametrize("workers", [1, 3, 7])
def test_num_workers_bounds_the_jobs_of_a_step_and_is_reached(workers: int):
    busy = peak = 0

    class Bounded(Workflow):
        @step
        async def scatter(self, event: Go) -> list[A]:
            return [A(n) for n in range(30)]

        @step(num_workers=workers)
        async def work(self, event: A) -> B:
            nonlocal busy, peak
            busy += 1
            peak = max(peak, busy)
            await asyncio.sleep(0.001)
            busy -= 1
            return B(event.n)

        @step
        async def gather(self, ctx: Context, event: B) -> Done | None:
            return Done() if ctx.collect_events(event, {B: 30}) else None

    run(Bounded(), Go())
    assert peak == workers


def test_jobs_of_a_step_start_in_the_order_of_their_events():
    started: list[int] = []

    class Ordered(Workflow):
        @step
        async def scatter(self, event: Go) -> list[A]:
            return [A(n) for n in range(50)]

        @step(num_workers=3)
        async def work(self, event: A) -> B:
            started.append(event.n)
            if event.n % 2:
                await asyncio.sleep(0.0005 * (event.n % 5))
            return B(event.n)

        @step
        async def gather(self, ctx: Context, event: B) -> Done | None:
            return Done() if ctx.collect_events(event, {B: 50}) else None

    run(Ordered(), Go())
    assert started == list(range(50))


def test_plain_steps_run_in_a_thread_and_inline_ones_on_the_loop():
    threads: dict[str, int] = {}

    class Plain(Workflow):
        @step
        def threaded(self, ctx: Context, event: Go) -> A | B:
            threads["threaded"] = threading.get_ident()
            ctx.send_event(B(1))
            ctx.write_event_to_stream(B(2))
            return A(1)

        @step(inline=True)
        def inline(self, event: A) -> Done:
            threads["inline"] = threading.get_ident()
            return Done()

        @step
        async def sink(self, event: B) -> None: ...

    async def main() -> list[PlainEvent]:
        handler = Plain().run(start_event=Go())
        return [event async for event in handler.stream_events()]

    assert asyncio.run(main()) == [B(2), Done()]
    assert threads["threaded"] != threading.get_ident()
    assert threads["inline"] == threading.get_ident()


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_a_step_sees_the_context_variables_of_the_caller_and_not_those_of_other_steps():
    class Variables(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            VARIABLE.set("leaked")
            return A()

        @step
        def threaded(self, event: A) -> B:
            assert VARIABLE.get() == "caller"
            return B()

        @step
        async def end(self, event: B) -> Done:
            return Done(VARIABLE.get())

    async def main() -> str:
        VARIABLE.set("caller")
        return await Variables().run(start_event=Go())

    assert asyncio.run(main()) == "caller"


def test_asyncio_timeout_and_task_groups_work_inside_a_step():
    class Inner(Workflow):
        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(n) for n in range(5)]

        @step
        async def work(self, event: A) -> B:
            task = asyncio.current_task()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await asyncio.sleep(10)
            async with asyncio.TaskGroup() as group:
                children = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
            assert asyncio.current_task() is task
            return B(sum(child.result() for child in children))

        @step
        async def gather(self, ctx: Context, event: B) -> Done | None:
            events = ctx.collect_events(event, [B] * 5)
            return None if events is None else Done([b.n for b in events])

    assert run(Inner(), Go()) == [3] * 5


def test_a_run_that_never_waits_still_lets_other_tasks_go_on():
    class Endless(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return A()

        @step
        async def turn(self, event: A) -> A | Done:
            return A()

    async def main() -> None:
        handler = Endless().run(start_event=Go())
        loop = asyncio.get_running_loop()
        gaps = []
        for _ in range(5):
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)
        handler.cancel()
        with pytest.raises(WorkflowError, match="was cancelled"):
            await handler
        assert sorted(gaps)[2] < 0.05

    asyncio.run(main())


def test_a_nested_run_knows_its_parent_and_ends_with_the_step_that_awaits_it():
    ended: list[str] = []
    parents: list[str | None] = []

    class Child(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            try:
                await asyncio.sleep(10 * event.n)
            finally:
                ended.append("child")
            return Done("child")

    class Parent(Workflow):
        @step
        async def nest(self, event: Go) -> Done:
            handler = Child().run(start_event=Go(event.n))
            parents.append(handler.parent_run_id)
            return Done(await handler)

    async def main() -> None:
        assert await Parent().run(start_event=Go(0), run_id="p") == "child"
        assert parents == ["p"]
        handler = Parent().run(start_event=Go(1))
        await asyncio.sleep(0.01)
        handler.cancel()
        with pytest.raises(WorkflowError, match="was cancelled"):
            await handler
        assert ended == ["child", "child"]

    asyncio.run(main())


def test_a_subclass_inherits_steps_and_may_override_them_and_call_super():
    class Base(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return A(event.n)

        @step
        async def end(self, event: A) -> Done:
            return Done(event.n)

    class Louder(Base):
        @step
        async def end(self, event: A) -> Done:
            done = await super().end(event)
            return Done(done.result * 10)

    assert run(Base(), Go(2)) == 2
    assert run(Louder(), Go(2)) == 20


def test_overriding_a_step_without_the_mark_removes_it():
    class Base(Workflow):
        @step
        async def begin(self, event: Go) -> Done:
            return Done("kept")

        @step
        async def other(self, event: Go) -> Done:
            return Done("other")

    class Fewer(Base):
        async def begin(self, event: Go) -> Done:
            return Done("never")

    assert run(Fewer(), Go()) == "other"


def test_a_workflow_runs_many_times_at_once():
    async def main() -> None:
        workflow = Squares()
        results = await asyncio.gather(*[workflow.run(start_event=Go(20)) for _ in range(20)])
        assert all(result == [n**2 for n in range(20)] for result in results)

    asyncio.run(main())


def test_no_task_is_left_after_runs_of_every_kind():
    class Mixed(Workflow):
        @step
        async def begin(self, event: Go) -> A | Done:
            if event.n == 1:
                raise ValueError
            return A()

        @step
        async def end(self, event: A) -> Done | None:
            await asyncio.sleep(0.001)
            return Done()

    async def main() -> None:
        for n in range(2):
            handlers = [Mixed().run(start_event=Go(n)) for _ in range(20)]
            handlers[0].cancel()
            await asyncio.gather(*handlers, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.run(start_event=A()), "takes a Go, not a A"),
        (lambda w: w.run(m=1), "could not make its Go"),
        (lambda w: launch(w, Go(), timeout_s=0), "must be above 0"),
        (lambda w: launch(w, A()), "takes a Go, not a A"),
    ],
)
def test_a_wrong_start_is_refused_at_the_call(call: Any, message: str):
    async def main() -> None:
        with pytest.raises(WorkflowError, match=message):
            call(Squares())

    asyncio.run(main())


def test_run_without_an_event_loop_says_so():
    with pytest.raises(WorkflowError, match="needs a running event loop"):
        Squares().run(start_event=Go())


@pytest.mark.parametrize("timeout_s", [0, -1.5])
def test_a_workflow_with_an_impossible_timeout_is_refused(timeout_s: float):
    with pytest.raises(WorkflowConfigurationError, match=f"timeout={timeout_s}: must be above 0, or None"):
        Squares(timeout=timeout_s)


@pytest.mark.parametrize(
    ("event", "to", "message"),
    [
        (A(), None, "'begin' of Sends, working on Go .* sent A, which no step accepts"),
        (B(), "nowhere", "to 'nowhere', which is no step"),
        (B(), "begin", "to step 'begin', which accepts only Go"),
        ("text", None, "sent a str, which is not an Event"),
    ],
)
def test_an_event_sent_to_nobody_is_refused_at_the_call(event: Any, to: str | None, message: str):
    class Sends(Workflow):
        @step
        async def begin(self, ctx: Context, event_: Go) -> B | Done:
            ctx.send_event(event, to)
            return Done()

        @step
        async def other(self, event: B) -> None: ...

    with pytest.raises(WorkflowRuntimeError, match=message):
        run(Sends(), Go())
