"""Retries: how often, after what, when to stop, and what a step sees of its earlier attempts."""

import random
import warnings
from datetime import UTC, timedelta
from typing import Any

import pytest
from drive import go, run
from roots import Api


def failing(api: Api, policy: Any, times: int, error: Exception | None = None) -> tuple[Any, list[Any]]:
    """A workflow whose step fails `times` times and then stops with "end"; and what `ctx.retry_info()` said."""
    seen: list[Any] = []

    class Flow(api.Workflow):
        @api.step(retry_policy=policy)
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            seen.append(ctx.retry_info())
            if len(seen) <= times:
                raise error or ValueError(f"failure {len(seen)}")
            return api.StopEvent(result="end")

    return Flow(), seen


def quietly(make: Any, *arguments: Any, **options: Any) -> Any:
    """The two named policies are deprecated, and say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return make(*arguments, **options)


def test_without_a_policy_a_failure_is_final(api: Api) -> None:
    flow, seen = failing(api, None, 1)
    with pytest.raises(ValueError, match="failure 1"):
        run(flow)
    assert len(seen) == 1


def test_a_constant_delay_policy_retries(api: Api) -> None:
    flow, seen = failing(api, quietly(api.ConstantDelayRetryPolicy, maximum_attempts=3, delay=0.01), 2)
    assert run(flow) == "end"
    assert len(seen) == 3


def test_maximum_attempts_counts_every_attempt(api: Api) -> None:
    flow, seen = failing(api, quietly(api.ConstantDelayRetryPolicy, maximum_attempts=3, delay=0), 9)
    with pytest.raises(ValueError, match="failure 3"):
        run(flow)
    assert len(seen) == 3


def test_an_exponential_policy_retries(api: Api) -> None:
    policy = quietly(api.ExponentialBackoffRetryPolicy, maximum_attempts=4, initial_delay=0.001, jitter=True)
    flow, seen = failing(api, policy, 3)
    assert run(flow) == "end"
    assert len(seen) == 4


def test_the_delays_of_an_exponential_policy(api: Api) -> None:
    policy = quietly(
        api.ExponentialBackoffRetryPolicy,
        maximum_attempts=5,
        initial_delay=1,
        multiplier=3,
        max_delay=20,
        jitter=False,
    )
    assert [policy.next(0.0, attempts, ValueError()) for attempts in range(1, 6)] == [1, 3, 9, 20, None]


def test_the_jitter_of_an_exponential_policy_stays_below_its_delay(api: Api) -> None:
    policy = quietly(api.ExponentialBackoffRetryPolicy, initial_delay=2, multiplier=2, max_delay=5)
    delays = [policy.next(0.0, 2, ValueError()) for _ in range(50)]
    assert all(0 <= delay <= 4 for delay in delays)
    assert len(set(delays)) > 1


def test_the_defaults_of_the_named_policies(api: Api) -> None:
    constant = quietly(api.ConstantDelayRetryPolicy)
    assert [constant.next(0.0, n, ValueError()) for n in (1, 2, 3)] == [5, 5, None]
    exponential = quietly(api.ExponentialBackoffRetryPolicy, jitter=False)
    assert [exponential.next(0.0, n, ValueError()) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, None]


def test_the_defaults_of_a_composed_policy(api: Api) -> None:
    policy = api.retry_policy()
    assert [policy.next(0.0, n, ValueError()) for n in (1, 2, 3)] == [5, 5, None]


def test_a_composed_policy_retries(api: Api) -> None:
    policy = api.retry_policy(
        retry=api.retry_if_exception_type(ValueError), wait=api.wait_none(), stop=api.stop_after_attempt(3)
    )
    flow, seen = failing(api, policy, 2)
    assert run(flow) == "end"
    assert len(seen) == 3


def test_a_composed_policy_does_not_retry_another_error(api: Api) -> None:
    policy = api.retry_policy(retry=api.retry_if_exception_type(ValueError), wait=api.wait_none())
    flow, seen = failing(api, policy, 9, KeyError("other"))
    with pytest.raises(KeyError):
        run(flow)
    assert len(seen) == 1


def test_any_object_with_next_is_a_policy(api: Api) -> None:
    asked: list[tuple[int, str]] = []

    class Twice:
        def next(
            self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None
        ) -> float | None:
            assert elapsed_time >= 0
            asked.append((attempts, str(error)))
            return 0.0 if attempts < 3 else None

    assert isinstance(Twice(), api.RetryPolicy)
    flow, seen = failing(api, Twice(), 9)
    with pytest.raises(ValueError, match="failure 3"):
        run(flow)
    assert asked == [(1, "failure 1"), (2, "failure 2"), (3, "failure 3")]
    assert len(seen) == 3


def test_a_policy_that_takes_no_seed_works(api: Api) -> None:
    class Once:
        def next(self, elapsed_time: float, attempts: int, error: Exception) -> float | None:
            return 0.0 if attempts < 2 else None

    flow, seen = failing(api, Once(), 1)
    assert run(flow) == "end"
    assert len(seen) == 2


def test_a_step_sees_its_earlier_attempts(api: Api) -> None:
    policy = api.retry_policy(wait=api.wait_fixed(0.01), stop=api.stop_after_attempt(5))
    flow, seen = failing(api, policy, 2)
    run(flow)
    assert [info.retry_number for info in seen] == [0, 1, 2]
    assert [str(info.last_exception) for info in seen] == ["None", "failure 1", "failure 2"]
    assert seen[0].last_failed_at is None
    assert seen[0].elapsed_seconds == 0.0
    assert 0 < seen[1].elapsed_seconds <= seen[2].elapsed_seconds
    assert seen[1].last_failed_at.tzinfo is UTC
    assert seen[1].last_failed_at < seen[2].last_failed_at


def test_each_event_has_attempts_of_its_own(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        tries: int

    tries: dict[int, int] = {}

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(4)]

        @api.step(retry_policy=api.retry_policy(wait=api.wait_none(), stop=api.stop_after_attempt(5)))
        async def work(self, ev: Work) -> Done:
            tries[ev.n] = tries.get(ev.n, 0) + 1
            if tries[ev.n] <= ev.n:
                raise ValueError("again")
            return Done(tries=tries[ev.n])

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.tries for event in done))

    assert run(Flow()) == [1, 2, 3, 4]


def test_the_object_that_failed_is_the_event_of_the_next_attempt(api: Api) -> None:
    seen: list[Any] = []

    class Flow(api.Workflow):
        @api.step(retry_policy=api.retry_policy(wait=api.wait_none()))
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            seen.append(ev)
            if len(seen) == 1:
                raise ValueError("again")
            return api.StopEvent(result=seen[0] is seen[1])

    assert run(Flow()) is True


def test_sync_steps_are_retried(api: Api) -> None:
    tries: list[int] = []

    class Flow(api.Workflow):
        @api.step(retry_policy=api.retry_policy(wait=api.wait_none()))
        def only(self, ev: api.StartEvent) -> api.StopEvent:
            tries.append(1)
            if len(tries) < 2:
                raise ValueError("again")
            return api.StopEvent(result="end")

    assert run(Flow()) == "end"


def test_a_retry_that_waits_ends_at_the_timeout(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step(retry_policy=api.retry_policy(wait=api.wait_fixed(3600)))
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise ValueError("again")

    with pytest.raises(api.WorkflowTimeoutError):
        run(Flow(timeout=0.2))


def test_conditions_by_type(api: Api) -> None:
    only = api.retry_if_exception_type((KeyError, OSError))
    assert [only(KeyError()), only(FileNotFoundError()), only(ValueError())] == [True, True, False]
    assert api.retry_if_exception_type()(ValueError())
    for name in ("retry_if_not_exception_type", "retry_unless_exception_type"):
        unless = getattr(api, name)(ValueError)
        assert [unless(ValueError()), unless(KeyError())] == [False, True]


def test_conditions_by_message(api: Api) -> None:
    assert api.retry_if_exception_message(message="busy")(ValueError("busy"))
    assert not api.retry_if_exception_message(message="busy")(ValueError("very busy"))
    assert api.retry_if_exception_message(match=r"HTTP 5\d\d")(ValueError("got HTTP 503"))
    assert not api.retry_if_not_exception_message(match="key")(ValueError("bad key"))
    with pytest.raises(TypeError):
        api.retry_if_exception_message()
    with pytest.raises(TypeError):
        api.retry_if_exception_message(message="a", match="b")


def test_conditions_by_predicate_and_cause(api: Api) -> None:
    assert api.retry_if_exception(lambda error: "x" in str(error))(ValueError("x"))
    error = ValueError("outer")
    error.__cause__ = KeyError("inner")
    assert api.retry_if_exception_cause_type(KeyError)(error)
    assert not api.retry_if_exception_cause_type(KeyError)(KeyError("itself"))


def test_conditions_combine(api: Api) -> None:
    values, keys = api.retry_if_exception_type(ValueError), api.retry_if_exception_type(KeyError)
    busy = api.retry_if_exception_message(match="busy")
    assert (values | keys)(KeyError())
    assert not (values | keys)(OSError())
    assert (values & busy)(ValueError("busy"))
    assert not (values & busy)(ValueError("no"))
    assert (values & busy | keys)(KeyError())
    assert api.retry_any(values, keys)(KeyError())
    assert not api.retry_all(values, keys)(KeyError())
    assert api.retry_always()(OSError())
    assert not api.retry_never()(OSError())
    assert (api.retry_never() | (lambda error: True))(OSError())


def delays(wait: Any, count: int) -> list[float]:
    return [wait(attempts) for attempts in range(count)]


def test_waits_without_chance(api: Api) -> None:
    assert delays(api.wait_fixed(2), 2) == [2, 2]
    assert delays(api.wait_fixed(timedelta(minutes=1)), 1) == [60]
    assert delays(api.wait_none(), 2) == [0, 0]
    assert delays(api.wait_exponential(multiplier=1, exp_base=2, max=5), 4) == [1, 2, 4, 5]
    assert delays(api.wait_exponential(min=3), 3) == [3, 3, 4]
    assert delays(api.wait_incrementing(start=1, increment=2, max=4), 3) == [1, 3, 4]
    assert delays(api.wait_chain(api.wait_fixed(1), api.wait_fixed(7)), 3) == [1, 7, 7]


def test_waits_add_up(api: Api) -> None:
    assert delays(api.wait_fixed(1) + api.wait_incrementing(start=0, increment=2), 3) == [1, 3, 5]
    assert delays(api.wait_combine(api.wait_fixed(1), api.wait_fixed(2)), 1) == [3]
    assert delays(sum([api.wait_fixed(1), api.wait_fixed(2), api.wait_fixed(3)]), 1) == [6]


def test_waits_by_chance_stay_within_their_bounds(api: Api) -> None:
    random.seed(0)
    for _ in range(50):
        assert 1 <= api.wait_random(min=1, max=2)(0) <= 2
        assert 0 <= api.wait_random_exponential(multiplier=1, max=60)(3) <= 8
        assert 4 <= api.wait_exponential_jitter(initial=1, jitter=1)(2) <= 5
        assert 0 <= api.wait_full_jitter(multiplier=1, max=2)(9) <= 2


def test_waits_by_chance_repeat_with_a_seed(api: Api) -> None:
    for wait in (api.wait_random(0, 100), api.wait_random_exponential(max=100), api.wait_exponential_jitter(jitter=50)):
        assert wait(4, seed=7) == wait(4, seed=7)
        assert wait(4, seed=7) != wait(4, seed=8)


def test_stops(api: Api) -> None:
    assert [api.stop_after_attempt(3)(n, 0.0) for n in (2, 3)] == [False, True]
    assert [api.stop_after_delay(10)(1, elapsed) for elapsed in (9.0, 10.0)] == [False, True]
    assert api.stop_after_delay(timedelta(seconds=10))(1, 11.0)
    assert [api.stop_before_delay(10)(1, 6.0, upcoming_sleep=s) for s in (3.0, 4.0)] == [False, True]
    assert not api.stop_never()(1000, 1e9)


def test_stops_combine(api: Api) -> None:
    attempts, delay = api.stop_after_attempt(3), api.stop_after_delay(10)
    assert [(attempts | delay)(n, e) for n, e in ((3, 0.0), (1, 10.0), (1, 0.0))] == [True, True, False]
    assert [(attempts & delay)(n, e) for n, e in ((3, 0.0), (3, 10.0))] == [False, True]
    assert api.stop_any(attempts, delay)(3, 0.0)
    assert not api.stop_all(attempts, delay)(3, 0.0)


def test_a_stop_by_delay_ends_the_retries_of_a_run(api: Api) -> None:
    policy = api.retry_policy(wait=api.wait_fixed(0.1), stop=api.stop_after_delay(0.4))
    flow, seen = failing(api, policy, 1000)
    with pytest.raises(ValueError, match="failure"):
        run(flow)
    assert 2 <= len(seen) <= 6


def test_a_policy_is_told_how_long_the_step_has_been_failing(api: Api) -> None:
    elapsed: list[float] = []

    class Thrice:
        def next(
            self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None
        ) -> float | None:
            elapsed.append(elapsed_time)
            return 0.05 if attempts < 3 else None

    flow, _ = failing(api, Thrice(), 9)
    with pytest.raises(ValueError, match="failure 3"):
        run(flow)
    # Half of the delay, because a timer may fire a little early.
    assert elapsed[0] < elapsed[1] < elapsed[2]
    assert elapsed[2] - elapsed[0] > 0.05


def test_an_answer_is_kept_for_the_next_attempt_of_the_step(api: Api) -> None:
    tries: list[str] = []

    class Flow(api.Workflow):
        @api.step(retry_policy=api.retry_policy(wait=api.wait_none()))
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            tries.append(reply.text)
            if len(tries) == 1:
                raise ValueError("again")
            return api.StopEvent(result=tries)

    async def main() -> Any:
        handler = Flow().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                handler.ctx.send_event(api.HumanResponseEvent(text=f"answer {len(tries) + 1}"))
        return await handler

    assert go(main()) == ["answer 1", "answer 1"]
