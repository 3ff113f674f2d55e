"""Events are immutable values; their class hierarchy alone decides which steps receive them."""

import dataclasses
from typing import Literal


class Event:
    """Base of all events: derive a frozen, slotted dataclass, or a pydantic model, from it."""

    __slots__ = ()


class StartEvent(Event):
    """Base of the event that begins a run; its fields are the run's arguments."""

    __slots__ = ()


class StopEvent(Event):
    """Base of the events that end a run. Awaiting the run gives its `result` attribute, else the event
    itself.
    """

    __slots__ = ()


FailureReason = Literal["failed", "timed_out", "cancelled", "stuck"]


@dataclasses.dataclass(frozen=True, slots=True)
class RunFailed(Event):
    """Last event in the stream of a run that did not reach a stop event."""

    reason: FailureReason
    error: str
    message: str
    step: str | None = None
