"""When a failed step is tried again and after how long: a condition, a wait and a stop make a policy.

Source-compatible with `workflows.retry_policy`, so the building blocks keep its names. Every one is a frozen value:
equal, hashable, picklable and shown by its arguments. Times are seconds or a timedelta, kept as seconds. Impossible
arguments are refused where the policy is written, with ValueError or TypeError.
"""

# Source compatibility fixes the names of the classes and of the two older policies.
# ruff: noqa: N801, N802

import dataclasses
from datetime import datetime
from typing import Protocol, runtime_checkable

from citewell.workflow.retry_arguments import Part, assign, call, check_part, seconds, set_parts, time_unit_type
from citewell.workflow.retry_conditions import (
    RetryCondition,
    retry_all,
    retry_always,
    retry_any,
    retry_if_exception,
    retry_if_exception_cause_type,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_message,
    retry_if_not_exception_type,
    retry_never,
    retry_unless_exception_type,
)
from citewell.workflow.retry_waits import (
    WaitStrategy,
    wait_chain,
    wait_combine,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_full_jitter,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)

__all__ = [
    "ConstantDelayRetryPolicy",
    "ExponentialBackoffRetryPolicy",
    "RetryCondition",
    "RetryInfo",
    "RetryPolicy",
    "StopCondition",
    "WaitStrategy",
    "retry_all",
    "retry_always",
    "retry_any",
    "retry_if_exception",
    "retry_if_exception_cause_type",
    "retry_if_exception_message",
    "retry_if_exception_type",
    "retry_if_not_exception_message",
    "retry_if_not_exception_type",
    "retry_never",
    "retry_policy",
    "retry_unless_exception_type",
    "stop_after_attempt",
    "stop_after_delay",
    "stop_all",
    "stop_any",
    "stop_before_delay",
    "stop_never",
    "time_unit_type",
    "wait_chain",
    "wait_combine",
    "wait_exponential",
    "wait_exponential_jitter",
    "wait_fixed",
    "wait_full_jitter",
    "wait_incrementing",
    "wait_none",
    "wait_random",
    "wait_random_exponential",
]


@dataclasses.dataclass(frozen=True)
class RetryInfo:
    """What `Context.retry_info()` gives a step: its own attempt and the failure before it.

    `retry_number` is 0 on the first run; `elapsed_seconds` runs from the start of the first attempt. The last two are
    None on the first run; `last_failed_at` is in UTC. An exception read back from a record has no traceback.
    """

    retry_number: int
    elapsed_seconds: float
    last_exception: Exception | None
    last_failed_at: datetime | None


@runtime_checkable
class RetryPolicy(Protocol):
    """Decides after each failed attempt; must give the same answer for the same arguments and seed."""

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        `attempts` counts the failures so far, from 1; `elapsed_time` is seconds since the first of them. `seed` is the
        same for all attempts at one event in one step.
        """
        ...


class StopCondition(Protocol):
    """Whether to give up; `attempts` counts failures from 1, `upcoming_sleep` is the wait that would come next."""

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool: ...


@dataclasses.dataclass(frozen=True)
class _Composed:
    """A policy of three parts; `retry_policy()` makes it."""

    retry: RetryCondition | None
    wait: WaitStrategy
    stop: StopCondition

    def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> float | None:
        if self.retry is not None and not self.retry(error):
            return None
        # A wait written by the user may go below zero; that is a retry at once, never a time in the past.
        delay = max(0.0, self.wait(max(attempts - 1, 0), seed=seed))
        return None if self.stop(attempts, elapsed_time, upcoming_sleep=delay) else delay

    def __repr__(self) -> str:
        return f"retry_policy(retry={self.retry!r}, wait={self.wait!r}, stop={self.stop!r})"


class _Stop(Part):
    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        raise NotImplementedError

    def __and__(self, other: StopCondition) -> "stop_all":
        return stop_all(self, other) if callable(other) else NotImplemented

    def __rand__(self, other: StopCondition) -> "stop_all":
        return stop_all(other, self) if callable(other) else NotImplemented

    def __or__(self, other: StopCondition) -> "stop_any":
        return stop_any(self, other) if callable(other) else NotImplemented

    def __ror__(self, other: StopCondition) -> "stop_any":
        return stop_any(other, self) if callable(other) else NotImplemented


@dataclasses.dataclass(frozen=True)
class stop_after_attempt(_Stop):
    """Stop once `max_attempt_number` attempts have failed, the first one counted: 1 (or 0) never retries."""

    max_attempt_number: int

    def __post_init__(self) -> None:
        number = self.max_attempt_number
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(
                f"stop_after_attempt: max_attempt_number is {number!r}. Give a whole number, or use stop_never()."
            )
        if number < 0:
            raise ValueError(f"stop_after_attempt: max_attempt_number is {number}. It must be at least 0.")

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return attempts >= self.max_attempt_number


@dataclasses.dataclass(frozen=True, init=False)
class stop_after_delay(_Stop):
    """Stop once `max_delay` has passed since the first failure."""

    max_delay: float

    def __init__(self, max_delay: time_unit_type) -> None:
        assign(self, max_delay=seconds(self, "max_delay", max_delay, endless=True))

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return elapsed_time >= self.max_delay


@dataclasses.dataclass(frozen=True, init=False)
class stop_before_delay(_Stop):
    """Stop if the next attempt would start `max_delay` or later after the first failure."""

    max_delay: float

    def __init__(self, max_delay: time_unit_type) -> None:
        assign(self, max_delay=seconds(self, "max_delay", max_delay, endless=True))

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return elapsed_time + upcoming_sleep >= self.max_delay


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class stop_any(_Stop):
    """Stop if one of the conditions holds; the same as `|`."""

    stops: tuple[StopCondition, ...]

    def __init__(self, *stops: StopCondition) -> None:
        set_parts(self, stops=stops)

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return any(stop(attempts, elapsed_time, upcoming_sleep=upcoming_sleep) for stop in self.stops)

    def __repr__(self) -> str:
        return call(self, self.stops)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class stop_all(_Stop):
    """Stop if all of the conditions hold; the same as `&`."""

    stops: tuple[StopCondition, ...]

    def __init__(self, *stops: StopCondition) -> None:
        set_parts(self, stops=stops)

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return all(stop(attempts, elapsed_time, upcoming_sleep=upcoming_sleep) for stop in self.stops)

    def __repr__(self) -> str:
        return call(self, self.stops)


@dataclasses.dataclass(frozen=True)
class stop_never(_Stop):
    """Never stop; the timeout of the run is the only bound."""

    def __call__(self, attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return False


def retry_policy(
    retry: RetryCondition | None = None,
    wait: WaitStrategy = wait_fixed(5),  # noqa: B008 - a frozen value
    stop: StopCondition = stop_after_attempt(3),
) -> RetryPolicy:
    """A policy of a condition (None: every error), a wait and a stop: by default 3 attempts, 5 s apart."""
    if retry is not None:
        check_part("retry_policy", "retry", retry)
    check_part("retry_policy", "wait", wait)
    check_part("retry_policy", "stop", stop)
    return _Composed(retry, wait, stop)


def ConstantDelayRetryPolicy(maximum_attempts: int = 3, delay: time_unit_type = 5) -> RetryPolicy:
    """Every error, `maximum_attempts` in all, `delay` apart."""
    return retry_policy(wait=wait_fixed(delay), stop=stop_after_attempt(maximum_attempts))


def ExponentialBackoffRetryPolicy(
    maximum_attempts: int = 5,
    initial_delay: float = 1.0,
    multiplier: float = 2.0,
    max_delay: time_unit_type = 60.0,
    jitter: bool = True,
) -> RetryPolicy:
    """Every error, `maximum_attempts` in all; waits grow by `multiplier` up to `max_delay`, drawn from 0 up with
    `jitter`.
    """
    wait = wait_random_exponential if jitter else wait_exponential
    return retry_policy(
        wait=wait(multiplier=initial_delay, exp_base=multiplier, max=max_delay),
        stop=stop_after_attempt(maximum_attempts),
    )
