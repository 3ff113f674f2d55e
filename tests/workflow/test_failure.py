"""Runs without a stop event: each ends at once, says which step and event, and leaves nothing."""

import asyncio
import dataclasses
import threading
import time
from typing import Any

import pytest

from citewell.workflow import (
    Context,
    MemoryJournal,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    RetryPolicy,
    UndeclaredEvent,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowFailedEvent,
    WorkflowRuntimeError,
    WorkflowStuck,
    WorkflowTimedOutEvent,
    WorkflowTimeoutError,
    launch,
    step,
)
from citewell.workflow.retry_policy import (
    retry_if_exception_type,
    retry_policy,
    stop_after_attempt,
    wait_exponential_jitter,
    wait_none,
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
class Done(PlainStopEvent):
    result: Any = None


def run(workflow: Workflow, start: PlainStartEvent, **options: Any) -> Any:
    async def main() -> Any:
        return await asyncio.wait_for(launch(workflow, start, **options), 5)

    return asyncio.run(main())


def attempts(count: int, *errors: type[Exception]) -> RetryPolicy:
    return retry_policy(retry_if_exception_type(errors or Exception), wait_none(), stop_after_attempt(count))


def note_of(error: BaseException) -> str:
    (note,) = error.__notes__
    return note


class Flaky(Workflow):
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.attempts: list[int] = []
        self.keys: list[str] = []

    @step(retry_policy=attempts(3, ValueError))
    async def work(self, ctx: Context, event: Go) -> Done:
        self.attempts.append(ctx.attempt)
        self.keys.append(ctx.idempotency_key("charge"))
        if len(self.attempts) <= self.failures:
            raise ValueError("not yet")
        return Done("worked")


def test_a_failed_step_is_tried_again_with_the_same_idempotency_key():
    workflow = Flaky(2)
    assert run(workflow, Go()) == "worked"
    assert workflow.attempts == [1, 2, 3]
    assert len(set(workflow.keys)) == 1


def test_idempotency_keys_differ_between_names_steps_events_and_runs():
    keys: list[str] = []

    class Keys(Workflow):
        @step
        async def begin(self, ctx: Context, event: Go) -> list[A]:
            keys.extend([ctx.idempotency_key("a"), ctx.idempotency_key("b")])
            return [A(), A()]

        @step
        async def work(self, ctx: Context, event: A) -> Done | None:
            keys.append(ctx.idempotency_key("a"))
            return Done() if ctx.collect_events(event, [A, A]) else None

    run(Keys(), Go(), run_id="one")
    run(Keys(), Go(), run_id="two")
    assert len(keys) == len(set(keys)) == 8
    first = keys.copy()
    keys.clear()
    run(Keys(), Go(), run_id="one")
    assert keys == first[:4]


def test_after_the_last_attempt_the_error_names_step_event_and_attempt():
    with pytest.raises(ValueError, match="not yet") as caught:
        run(Flaky(9), Go())
    assert note_of(caught.value) == "Step 'work' of Flaky failed on Go (event 1), attempt 3."


def test_an_error_that_the_policy_does_not_want_is_not_tried_again():
    class Fails(Flaky):
        @step(retry_policy=attempts(3, KeyError))
        async def work(self, ctx: Context, event: Go) -> Done:
            return await super().work(ctx, event)

    workflow = Fails(1)
    with pytest.raises(ValueError, match="not yet"):
        run(workflow, Go())
    assert workflow.attempts == [1]


def test_a_failed_attempt_has_sent_and_collected_nothing():
    class Undone(Workflow):
        def __init__(self) -> None:
            self.collected: list[Any] = []

        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(1), A(2), A(3)]

        @step(num_workers=1, retry_policy=attempts(2))
        async def work(self, ctx: Context, event: A) -> B | None:
            both = ctx.collect_events(event, [A, A, A])
            ctx.send_event(B(event.n))
            if ctx.attempt == 1:
                raise ValueError
            self.collected.append(both)
            return None

        @step
        async def end(self, ctx: Context, event: B) -> Done | None:
            events = ctx.collect_events(event, [B, B, B])
            return None if events is None else Done(events)

    workflow = Undone()
    assert run(workflow, Go()) == [B(1), B(2), B(3)]
    assert workflow.collected == [None, None, [A(1), A(2), A(3)]]


class Noting:
    """A policy that remembers what it was asked and tries twice."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int, str, int | None]] = []

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        self.asked.append((elapsed_time, attempts, str(error), seed))
        return 0.0 if attempts < 3 else None


def asked_of(run_id: str) -> list[tuple[float, int, str, int | None]]:
    policy = Noting()

    class Fails(Workflow):
        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(0), A(1)]

        @step(retry_policy=policy, num_workers=1)
        async def work(self, ctx: Context, event: A) -> Done:
            if event.n == 0 and ctx.attempt == 2:
                return Done()
            raise ValueError(f"{event.n}, {ctx.attempt}")

    run(Fails(), Go(), run_id=run_id)
    return policy.asked


def test_a_policy_is_told_the_attempt_the_error_and_a_seed_that_a_replay_knows_too():
    asked = asked_of("one")
    assert [(count, error) for _, count, error, _ in asked] == [(1, "0, 1")]
    assert asked[0][0] == 0.0
    seeds = [seed for *_, seed in asked]
    assert seeds == [seed for *_, seed in asked_of("one")]
    assert seeds != [seed for *_, seed in asked_of("two")]
    wait = wait_exponential_jitter(initial=1, max=5)
    assert wait(1, seed=seeds[0]) == wait(1, seed=seeds[0])


def test_the_seed_is_one_for_all_attempts_at_an_event_and_another_for_each_event():
    policy = Noting()

    class Fails(Workflow):
        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(0), A(1)]

        @step(retry_policy=policy, num_workers=1)
        async def work(self, ctx: Context, event: A) -> B:
            if ctx.attempt < 3:
                raise ValueError
            return B(event.n)

        @step
        async def end(self, events: list[B]) -> Done:
            return Done(len(events))

    assert run(Fails(), Go()) == 2
    seeds = [seed for *_, seed in policy.asked]
    assert len(seeds) == 4
    assert len(set(seeds)) == 2
    assert [elapsed == 0.0 for elapsed, count, _, _ in policy.asked if count == 1] == [True, True]


def test_a_policy_of_ones_own_may_know_nothing_of_seeds():
    class Bare:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            return 0 if attempts < 3 else None

    class Fails(Workflow):
        @step(retry_policy=Bare())  # type: ignore[arg-type]
        async def work(self, ctx: Context, event: Go) -> Done:
            if ctx.attempt < 3:
                raise ValueError
            return Done(ctx.attempt)

    assert run(Fails(), Go()) == 3


def test_a_policy_that_fails_itself_ends_the_run_with_its_error():
    class Broken:
        def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float:
            raise ZeroDivisionError("in the policy")

    class Fails(Workflow):
        @step(retry_policy=Broken())
        async def work(self, event: Go) -> Done:
            raise ValueError

    with pytest.raises(ZeroDivisionError, match="in the policy") as caught:
        run(Fails(), Go())
    assert "'work' of Fails failed on Go" in note_of(caught.value)


def test_a_step_that_takes_too_long_ends_the_run_with_its_name():
    class Slow(Workflow):
        @step(timeout_s=0.005)
        async def work(self, event: Go) -> Done:
            await asyncio.sleep(10)
            return Done()

    with pytest.raises(WorkflowTimeoutError, match=r"Step 'work' took longer than 0.005 s on Go") as caught:
        run(Slow(), Go())
    assert caught.value.step == "work"


def test_a_timeout_of_a_step_can_be_retried():
    class Slow(Workflow):
        @step(timeout_s=0.005, retry_policy=attempts(2))
        async def work(self, ctx: Context, event: Go) -> Done:
            await asyncio.sleep(10 if ctx.attempt == 1 else 0)
            return Done(ctx.attempt)

    assert run(Slow(), Go()) == 2


def test_a_timeout_error_of_the_step_itself_is_its_failure():
    class Raises(Workflow):
        @step(timeout_s=5)
        async def work(self, event: Go) -> Done:
            raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run(Raises(), Go())


def test_a_run_that_takes_too_long_names_the_steps_that_ran_and_waits_for_their_clean_up():
    cleaned = []

    class Slow(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.005)
                cleaned.append(True)
            return Done()

    with pytest.raises(WorkflowTimeoutError, match=r"longer than 0.005 s \(running: work\)"):
        run(Slow(), Go(), timeout_s=0.005)
    assert cleaned == [True]


def test_a_thread_is_told_of_the_cancellation_and_waited_for():
    seen: list[bool] = []
    started = threading.Event()

    class Threaded(Workflow):
        @step
        def work(self, ctx: Context, event: Go) -> Done:
            started.set()
            deadline = time.monotonic() + 5
            while not ctx.cancelled and time.monotonic() < deadline:
                time.sleep(0.001)
            seen.append(ctx.cancelled)
            return Done()

    async def main() -> None:
        handler = Threaded().run(start_event=Go())
        await asyncio.to_thread(started.wait, 5)
        handler.cancel()
        with pytest.raises(WorkflowCancelledByUser):
            await handler
        assert seen == [True]

    asyncio.run(main())


def test_cancelling_waits_for_the_clean_up_of_all_steps():
    cleaned: list[int] = []

    class Many(Workflow):
        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(n) for n in range(6)]

        @step(num_workers=3)
        async def work(self, event: A) -> Done:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.002)
                cleaned.append(event.n)
            return Done()

    async def main() -> None:
        handler = Many().run(start_event=Go())
        await asyncio.sleep(0.005)
        handler.cancel()
        handler.cancel()
        assert not handler.is_done()
        for _ in range(2):
            with pytest.raises(WorkflowCancelledByUser, match="of Many was cancelled"):
                await handler
        assert handler.is_done()
        assert sorted(cleaned) == [0, 1, 2]

    asyncio.run(main())


def test_a_run_cancelled_before_its_first_step_runs_no_step():
    ran = []

    class Never(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            ran.append(1)
            return Done()

    async def main() -> None:
        handler = Never().run(start_event=Go())
        handler.cancel()
        with pytest.raises(WorkflowCancelledByUser):
            await handler

    asyncio.run(main())
    assert not ran


@pytest.mark.parametrize("waits", [False, True])
def test_a_step_may_cancel_its_own_run(waits: bool):
    class Quits(Workflow):
        handler: Any = None

        @step
        async def work(self, event: Go) -> Done:
            self.handler.cancel()
            if waits:
                await asyncio.sleep(1)
            return Done()

    async def main() -> None:
        journal = MemoryJournal()
        workflow = Quits()
        handler = workflow.handler = launch(workflow, Go(), journal=journal)
        with pytest.raises(WorkflowCancelledByUser):
            await handler
        assert journal.outcomes[handler.run_id].status == "cancelled"

    asyncio.run(main())


def test_a_run_goes_on_when_the_task_that_awaits_it_is_cancelled():
    class Slow(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            await asyncio.sleep(0.02)
            return Done("in the end")

    async def main() -> None:
        handler = Slow().run(start_event=Go())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handler, 0.001)
        assert not handler.is_done()
        assert await handler == "in the end"

    asyncio.run(main())


def test_a_loop_that_shuts_down_lets_the_steps_clean_up():
    cleaned = []

    class Slow(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0)
                cleaned.append(True)
            return Done()

    async def main() -> Any:
        handler = launch(Slow(), Go(), journal=journal, run_id="r")
        await asyncio.sleep(0.001)
        return handler, Slow().run(start_event=Go())

    journal = MemoryJournal()
    handler, late = asyncio.run(main())
    assert cleaned
    assert journal.outcomes["r"].status == "cancelled"
    assert handler.is_done()
    assert late.is_done()


def test_a_step_that_raises_cancelled_error_by_itself_is_named():
    class Odd(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            raise asyncio.CancelledError

    with pytest.raises(WorkflowRuntimeError, match=r"'work' of Odd raised CancelledError on Go .*although nobody"):
        run(Odd(), Go())


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (B(), r"'work' of Wrong, working on A \(event 2\), returned B, but declares Done"),
        ("text", "returned a str, which is not an Event. It declares Done"),
        ([Done(), None], "returned a NoneType"),
    ],
)
def test_an_undeclared_result_ends_the_run_naming_step_and_event(result: Any, message: str):
    class Wrong(Workflow):
        @step
        async def begin(self, event: Go) -> A | B:
            return A()

        @step
        async def work(self, event: A) -> Done:
            return result

        @step
        async def other(self, event: B) -> None: ...

    with pytest.raises(UndeclaredEvent, match=message):
        run(Wrong(), Go())


def test_an_undeclared_event_is_not_retried():
    made = []

    class Wrong(Workflow):
        @step(retry_policy=attempts(3))
        async def begin(self, ctx: Context, event: Go) -> Done:
            made.append(1)
            ctx.send_event(A())
            return Done()

    with pytest.raises(UndeclaredEvent):
        run(Wrong(), Go())
    assert made == [1]


def test_a_failure_of_a_nested_run_is_the_failure_of_the_step_that_awaits_it():
    class Child(Workflow):
        @step(timeout_s=0.001)
        async def work(self, event: Go) -> Done:
            await asyncio.sleep(1)
            return Done()

    class Parent(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            return Done(await Child().run(start_event=Go()))

    with pytest.raises(WorkflowTimeoutError, match=r"Step 'work' took longer than 0.001 s") as caught:
        run(Parent(), Go())
    assert note_of(caught.value) == "Step 'work' of Parent failed on Go (event 1), attempt 1."


def test_a_run_in_which_every_branch_returns_none_is_stuck_at_once():
    class Silent(Workflow):
        @step
        async def begin(self, event: Go) -> A | None:
            return None

        @step
        async def end(self, event: A) -> Done:
            return Done()

    with pytest.raises(WorkflowStuck) as caught:
        run(Silent(), Go())
    assert caught.value.waiting == (
        "step 'end' waits for A, which 'begin' did not emit",
        "step 'begin' emitted nothing on Go (event 1)",
        "the run waits for a StopEvent, which 'end' did not emit",
    )
    assert "of Silent is stuck: step 'end' waits for A" in str(caught.value)


def test_a_fan_in_that_lacks_events_says_which_and_how_many():
    class Lacks(Workflow):
        @step
        async def begin(self, event: Go) -> list[A | B]:
            return [A(), A()]

        @step
        async def end(self, ctx: Context, event: A | B) -> Done | None:
            await asyncio.sleep(0)
            return Done() if ctx.collect_events(event, {A: 3, B: 1}) else None

    with pytest.raises(WorkflowStuck, match="step 'end' holds 2 A and waits for 1 more A, 1 more B"):
        run(Lacks(), Go())


def test_an_event_of_a_type_not_wanted_is_not_collected():
    class Skips(Workflow):
        @step
        async def begin(self, event: Go) -> list[A | B]:
            return [B(1), A(2), B(3), A(4)]

        @step(num_workers=1)
        async def end(self, ctx: Context, event: A | B) -> Done | None:
            events = ctx.collect_events(event, [A, A])
            return None if events is None else Done(events)

    assert run(Skips(), Go()) == [A(2), A(4)]


def test_sending_after_the_step_has_ended_is_refused():
    refused: list[str] = []

    class Late(Workflow):
        @step
        async def begin(self, ctx: Context, event: Go) -> A:
            self.ctx = ctx
            return A()

        @step
        async def end(self, event: A) -> Done:
            with pytest.raises(UndeclaredEvent, match="sent A after it had ended") as caught:
                self.ctx.send_event(A())
            refused.append(caught.value.step)
            return Done()

    run(Late(), Go())
    assert refused == ["begin"]


def test_an_error_during_the_clean_up_does_not_hide_the_result(caplog: pytest.LogCaptureFixture):
    class Race(Workflow):
        @step
        async def begin(self, event: Go) -> list[A | B]:
            return [A(), B()]

        @step
        async def slow(self, event: A) -> Done:
            try:
                await asyncio.sleep(10)
            finally:
                raise ValueError("in the clean-up")

        @step
        async def fast(self, event: B) -> Done:
            return Done("fast")

    assert run(Race(), Go()) == "fast"
    assert "failed while run" in caplog.text


def test_a_failed_run_ends_its_stream_with_the_reason():
    async def main() -> list[PlainEvent]:
        handler = Flaky(9).run(start_event=Go())
        return [event async for event in handler.stream_events()]

    (last,) = asyncio.run(main())
    assert isinstance(last, WorkflowFailedEvent)
    assert (last.step_name, repr(last.exception), last.attempts) == ("work", "ValueError('not yet')", 3)
    assert last.elapsed_seconds is not None
    assert last.elapsed_seconds >= 0


@pytest.mark.parametrize("journaled", [False, True])
def test_a_run_that_took_too_long_ends_its_stream_with_the_steps_that_ran(journaled: bool):
    class Slow(Workflow):
        @step
        async def begin(self, event: Go) -> list[A]:
            return [A(), A()]

        @step
        async def work(self, event: A) -> Done:
            await asyncio.sleep(10)
            return Done()

    async def main() -> None:
        journal = MemoryJournal() if journaled else None
        handler = launch(Slow(), Go(), timeout_s=0.02, journal=journal, run_id="r")
        (last,) = [event async for event in handler.stream_events()]
        assert isinstance(last, WorkflowTimedOutEvent)
        assert (last.timeout, last.active_steps) == (0.02, ["work"])
        if journal is not None:
            assert journal.outcomes["r"].status == "timed_out"

    asyncio.run(main())


def test_a_run_that_gets_stuck_ends_its_stream_with_the_reason():
    class Silent(Workflow):
        @step
        async def begin(self, event: Go) -> Done | None:
            return None

    async def main() -> list[PlainEvent]:
        return [event async for event in Silent().run(start_event=Go()).stream_events()]

    (last,) = asyncio.run(main())
    assert isinstance(last, WorkflowFailedEvent)
    assert isinstance(last.exception, WorkflowStuck)
    assert last.waiting == last.exception.waiting
    assert last.waiting
