"""How long to wait before the next attempt: strategies that add up with `+`, and draw their jitter from a seed."""

# The names of the classes are those of `workflows.retry_policy`: source compatibility fixes them.
# ruff: noqa: N801

import dataclasses
import hashlib
import math
import random
import sys
from typing import Protocol

from citewell.workflow.retry_arguments import Part, assign, call, factor, seconds, set_parts, set_range, time_unit_type


class WaitStrategy(Protocol):
    """Seconds before the next attempt; `attempts` is 0 for the first retry."""

    def __call__(self, attempts: int, *, seed: int | None = None) -> float: ...


class _Wait(Part):
    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        raise NotImplementedError

    def __add__(self, other: WaitStrategy) -> "wait_combine":
        return wait_combine(self, other) if callable(other) else NotImplemented

    def __radd__(self, other: object) -> WaitStrategy:
        # sum() starts from 0.
        if other == 0:
            return self
        return wait_combine(other, self) if callable(other) else NotImplemented


@dataclasses.dataclass(frozen=True, init=False)
class wait_fixed(_Wait):
    """Always `wait`."""

    wait: float

    def __init__(self, wait: time_unit_type) -> None:
        assign(self, wait=seconds(self, "wait", wait))

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return self.wait


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class wait_none(wait_fixed):
    """No wait at all."""

    def __init__(self) -> None:
        super().__init__(0)

    def __repr__(self) -> str:
        return "wait_none()"


@dataclasses.dataclass(frozen=True, init=False)
class wait_exponential(_Wait):
    """`multiplier * exp_base**attempts`, at least `min`, at most `max`."""

    multiplier: float
    exp_base: float
    max: float
    min: float

    def __init__(
        self,
        multiplier: float = 1.0,
        exp_base: float = 2.0,
        max: time_unit_type = 60.0,
        min: time_unit_type = 0.0,
    ) -> None:
        assign(self, multiplier=factor(self, "multiplier", multiplier), exp_base=factor(self, "exp_base", exp_base))
        set_range(self, min, max)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return max(self.min, min(_growth(self.multiplier, self.exp_base, attempts), self.max))


@dataclasses.dataclass(frozen=True, init=False)
class wait_incrementing(_Wait):
    """`start + increment * attempts`, at most `max`; a negative increment shrinks it, to zero at the least."""

    start: float
    increment: float
    max: float

    def __init__(
        self,
        start: time_unit_type = 0.0,
        increment: time_unit_type = 100.0,
        max: time_unit_type = math.inf,
    ) -> None:
        assign(
            self,
            start=seconds(self, "start", start),
            increment=seconds(self, "increment", increment, negative=True),
            max=seconds(self, "max", max, endless=True),
        )

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return max(0.0, min(self.start + self.increment * attempts, self.max))


@dataclasses.dataclass(frozen=True, init=False)
class wait_random(_Wait):
    """Uniform in [`min`, `max`], drawn from seed and attempt."""

    min: float
    max: float

    def __init__(self, min: time_unit_type = 0.0, max: time_unit_type = 1.0) -> None:
        set_range(self, min, max, endless=False)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return _draw(seed, attempts, self.min, self.max)


@dataclasses.dataclass(frozen=True, init=False)
class wait_exponential_jitter(_Wait):
    """`initial * exp_base**attempts` plus a draw from [0, `jitter`], at most `max`."""

    initial: float
    exp_base: float
    max: float
    jitter: float

    def __init__(
        self,
        initial: time_unit_type = 1.0,
        exp_base: float = 2.0,
        max: time_unit_type = 60.0,
        jitter: time_unit_type = 1.0,
    ) -> None:
        assign(
            self,
            initial=seconds(self, "initial", initial),
            exp_base=factor(self, "exp_base", exp_base),
            max=seconds(self, "max", max, endless=True),
            jitter=seconds(self, "jitter", jitter),
        )

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return min(_growth(self.initial, self.exp_base, attempts) + _draw(seed, attempts, 0.0, self.jitter), self.max)


@dataclasses.dataclass(frozen=True, init=False)
class wait_random_exponential(_Wait):
    """A draw from [`min`, the wait that `wait_exponential` would give]."""

    multiplier: float
    exp_base: float
    max: float
    min: float

    def __init__(
        self,
        multiplier: float = 1.0,
        exp_base: float = 2.0,
        max: time_unit_type = 60.0,
        min: time_unit_type = 0.0,
    ) -> None:
        assign(self, multiplier=factor(self, "multiplier", multiplier), exp_base=factor(self, "exp_base", exp_base))
        set_range(self, min, max)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        upper = max(self.min, min(_growth(self.multiplier, self.exp_base, attempts), self.max))
        return _draw(seed, attempts, self.min, upper)


def wait_full_jitter(
    multiplier: float = 1.0,
    exp_base: float = 2.0,
    max: time_unit_type = 60.0,
    min: time_unit_type = 0.0,
) -> wait_random_exponential:
    """Another name of `wait_random_exponential`."""
    return wait_random_exponential(multiplier=multiplier, exp_base=exp_base, max=max, min=min)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class wait_chain(_Wait):
    """The strategies in order, one for each retry; the last one stays."""

    strategies: tuple[WaitStrategy, ...]

    def __init__(self, *strategies: WaitStrategy) -> None:
        if not strategies:
            raise ValueError("wait_chain has no strategies. Give at least one, for example wait_fixed(1).")
        set_parts(self, strategies=strategies)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return self.strategies[min(attempts, len(self.strategies) - 1)](attempts, seed=seed)

    def __repr__(self) -> str:
        return call(self, self.strategies)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class wait_combine(_Wait):
    """The sum of the strategies; the same as `+`. Each of them draws for itself."""

    strategies: tuple[WaitStrategy, ...]

    def __init__(self, *strategies: WaitStrategy) -> None:
        set_parts(self, strategies=strategies)

    def __call__(self, attempts: int, *, seed: int | None = None) -> float:
        return sum(
            strategy(attempts, seed=None if seed is None else _child(seed, place))
            for place, strategy in enumerate(self.strategies)
        )

    def __repr__(self) -> str:
        return call(self, self.strategies)


def _growth(first: float, base: float, attempts: int) -> float:
    # Past about a thousand doublings the power leaves the floats; `max` bounds it then as it did before.
    try:
        return min(first * base**attempts, sys.float_info.max)
    except OverflowError:
        return sys.float_info.max if first else 0.0


def _draw(seed: int | None, attempts: int, low: float, high: float) -> float:
    # Not cryptography: with a seed the draw has to be the same in a replay, in whatever process, yet differ between
    # the attempts that share the seed.
    source = random.Random() if seed is None else random.Random(f"{seed}/{attempts}")  # noqa: S311
    return min(max(source.uniform(low, high), low), high)


def _child(seed: int, place: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{place}".encode(), digest_size=8).digest())
