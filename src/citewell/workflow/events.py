"""Events as pydantic models with free fields, and the events that the engine itself emits."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from citewell.workflow.plain import (
    PlainEvent,
    PlainHumanResponseEvent,
    PlainInputRequiredEvent,
    PlainStartEvent,
    PlainStopEvent,
)


class DictLikeModel(BaseModel):
    """A pydantic model that takes undeclared fields too, and can be read like a mapping of all its fields."""

    # Built when first used: a program that imports the engine pays for the events that it makes.
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True, defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        own = set(cls.__private_attributes__)
        if own and "__init__" not in vars(cls):
            cls._init_private(frozenset(own))

    @classmethod
    def _init_private(cls, names: frozenset[str]) -> None:
        # Private attributes may be given as keywords; pydantic alone would take them for undeclared fields.
        inherited = cls.__init__

        def __init__(self: Any, *args: Any, **params: Any) -> None:  # noqa: N807 - becomes the class's own
            private = {name: params.pop(name) for name in names & params.keys()}
            inherited(self, *args, **params)
            for name, value in private.items():
                setattr(self, name, value)

        cls.__init__ = __init__  # type: ignore[method-assign]

    @property
    def _data(self) -> dict[str, Any]:
        """The undeclared fields, as they are kept."""
        extra = self.__pydantic_extra__
        assert extra is not None
        return extra

    def _fields(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in type(self).model_fields}, **self._data}

    def __getitem__(self, key: str) -> Any:
        if key in type(self).model_fields:
            return getattr(self, key)
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __contains__(self, key: object) -> bool:
        return key in type(self).model_fields or key in self._data

    def get(self, key: str, default: Any = None) -> Any:
        """The field's value, declared or not; `default` when there is none of that name."""
        return self[key] if key in self else default  # noqa: SIM401 - this is what `get` is made of

    def keys(self) -> KeysView[str]:
        """Names of all fields, declared ones first."""
        return self._fields().keys()

    def values(self) -> ValuesView[Any]:
        """Values of all fields, in the order of `keys()`."""
        return self._fields().values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values of all fields."""
        return self._fields().items()

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __bool__(self) -> bool:
        # An event without fields is still an event.
        return True

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as they are."""
        return self._fields()


class Event(DictLikeModel, PlainEvent):
    """Base of events: declare fields as in any pydantic model; undeclared keywords are kept too."""


class StartEvent(Event, PlainStartEvent):
    """The event that begins a run; the keywords of `Workflow.run()` are its fields."""


class StopEvent(Event, PlainStopEvent):
    """The event that ends a run with `result`; of a subclass the result of the run is the event itself."""

    def __init__(self, result: Any = None, **params: Any) -> None:
        super().__init__(**params)
        if result is not None:
            # Among the undeclared fields: a private attribute would cost as much as all the rest of the event.
            self._data["result"] = result

    def _get_result(self) -> Any:
        """What `result` gives; a subclass may override it."""
        return self._data.get("result")

    @property
    def result(self) -> Any:
        """What the run came to."""
        return self._get_result()

    def __str__(self) -> str:
        return str(self._get_result())


class InputRequiredEvent(Event, PlainInputRequiredEvent):
    """Asks somebody outside; one that a step returns goes to the stream, and no step need take it."""


class HumanResponseEvent(Event, PlainHumanResponseEvent):
    """What somebody outside answered; a step may take it although no step emits it."""


def _exception_out(error: Exception) -> dict[str, str]:
    return {"type": getattr(error, "original_type", type(error).__qualname__), "message": str(error)}


class RecordedError(Exception):
    """An exception read back from a record, which holds its type's name and its message only."""

    def __init__(self, message: str, original_type: str = "Exception") -> None:
        super().__init__(message)
        self.original_type = original_type
        self.step: str | None = None


def _exception_in(value: Any) -> Exception:
    if isinstance(value, Exception):
        return value
    if not (isinstance(value, dict) and isinstance(value.get("message"), str)):
        raise ValueError("an exception, or its type and message, is needed")
    return RecordedError(value["message"], str(value.get("type", "Exception")))


RecordableException = Annotated[
    Exception, PlainSerializer(_exception_out, return_type=dict[str, str]), PlainValidator(_exception_in)
]


class WorkflowFailedEvent(StopEvent):
    """Last event of the stream of a run that failed. `attempts` and `elapsed_seconds` are of the step that did.

    Of a run that was stuck, `waiting` has a line for each waiting step.
    """

    step_name: str
    exception: RecordableException
    attempts: int | None = None
    elapsed_seconds: float | None = None
    waiting: tuple[str, ...] = ()


class WorkflowTimedOutEvent(StopEvent):
    """Last event of the stream of a run that took longer than `timeout` seconds."""

    timeout: float
    active_steps: list[str]


class WorkflowCancelledEvent(StopEvent):
    """Last event of the stream of a run that was cancelled."""


class IdleReleasedEvent(StopEvent):
    """Stands for the result of a run that was released from memory while it waited."""


class StepFailedEvent(Event):
    """What a `@catch_error` handler receives when a step has failed for good."""

    step_name: str
    input_event: Any
    exception: RecordableException
    attempts: int
    elapsed_seconds: float
    failed_at: datetime


class CollectionReleaseEvent(Event):
    """Stands for the batch of a collecting step where one event is wanted: `StepFailedEvent.input_event`."""

    events: list[Any] = []
    stream_id: str = ""
    binding_id: str = ""


class InternalDispatchEvent(Event):
    """Base of what `stream_events(expose_internal=True)` shows besides what steps wrote."""


class WorkflowIdleEvent(InternalDispatchEvent):
    """Nothing runs and nothing is queued: the run waits for somebody outside."""


class UnhandledEvent(InternalDispatchEvent):
    """An event from outside reached no step and nobody waited for it."""

    event_type: str
    qualified_name: str
    step_name: str | None = None
    idle: bool


class StepState(Enum):
    """How far a step is with one event."""

    PREPARING = "preparing"
    RUNNING = "running"
    NOT_RUNNING = "not_running"


class StepStateChanged(InternalDispatchEvent):
    """A step received an event, began to work on it, or is done with it."""

    name: str
    step_state: StepState
    worker_id: str
    input_event_name: str
    output_event_name: str | None = None


EventType = type[Event]
