"""When a failed step is tried again, and after how long."""

import dataclasses
from collections.abc import Callable
from typing import Protocol


class RetryPolicy(Protocol):
    """Decides after each failed attempt; must give the same answer for the same arguments."""

    def next_delay_s(self, attempt: int, elapsed_s: float, error: Exception, seed: str) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        `attempt` counts from 1, `elapsed_s` runs from the first failure, `seed` is the same for all attempts
        at one event in one step.
        """
        ...


def any_error(error: Exception) -> bool:
    """True: every exception is worth another attempt."""
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` in all, waiting `delay_s * factor**k`, at most `max_delay_s`, spread by ±`jitter` (a share
    of it).

    The spread is drawn from the seed, so a replayed run waits as long as the recorded one did.
    """

    attempts: int = 3
    delay_s: float = 0.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.0
    when: Callable[[Exception], bool] = any_error

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.delay_s < 0 or self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError(f"{self}: attempts and factor must be at least 1, delay_s at least 0, jitter in [0, 1].")

    def next_delay_s(self, attempt: int, elapsed_s: float, error: Exception, seed: str) -> float | None:
        if attempt >= self.attempts or not self.when(error):
            return None
        delay_s = min(self.delay_s * self.factor ** (attempt - 1), self.max_delay_s)
        if self.jitter:
            import random

            # Not cryptography: the draw has to be the same in a replay.
            spread = random.Random(f"{seed}/{attempt}").uniform(-self.jitter, self.jitter)  # noqa: S311
            delay_s *= 1 + spread
        return delay_s
