"""The roots of all events: empty classes, so that frozen dataclasses and pydantic models can both derive from them."""


class PlainEvent:
    """Root of all events. Derive a frozen, slotted dataclass from it where speed counts; else use `Event`."""

    __slots__ = ()


class PlainStartEvent(PlainEvent):
    """Root of the events that begin a run; their fields are the run's arguments."""

    __slots__ = ()


class PlainStopEvent(PlainEvent):
    """Root of the events that end a run. Awaiting the run gives its `result` attribute, else the event itself."""

    __slots__ = ()


class PlainInputRequiredEvent(PlainEvent):
    """Root of the events that ask somebody outside; one that a step returns goes to the stream and to no step."""

    __slots__ = ()


class PlainHumanResponseEvent(PlainEvent):
    """Root of the events that come from outside: steps may wait for one although no step emits it."""

    __slots__ = ()
