"""What can go wrong with a workflow, each error naming the step, the event and the remedy."""

from collections.abc import Sequence

from citewell.errors import CitewellError


class WorkflowError(CitewellError):
    """A workflow could not be defined, run or recorded."""


class WorkflowDefinitionError(WorkflowError):
    """The step graph of a class is wrong; raised when the class is defined, before anything runs."""


class WorkflowFailed(WorkflowError):
    """The run ended without its stop event; the subclass says how."""


class StepFailed(WorkflowFailed):
    """A step raised in its last attempt; the step's own exception is `__cause__`."""

    def __init__(self, message: str, *, step: str, event: str, attempt: int) -> None:
        super().__init__(message)
        self.step = step
        self.event = event
        self.attempt = attempt


class UndeclaredEvent(StepFailed):
    """A step returned or sent something that its annotation, or the graph, has no place for."""


class WorkflowTimeout(WorkflowFailed):
    """A run, or one step of it when `step` is set, took longer than `timeout_s`."""

    def __init__(self, message: str, *, timeout_s: float, step: str | None = None) -> None:
        super().__init__(message)
        self.timeout_s = timeout_s
        self.step = step


class WorkflowCancelled(WorkflowFailed):
    """The run was cancelled; its steps had finished their clean-up when this was raised."""


class WorkflowStuck(WorkflowFailed):
    """Nothing runs, nothing is queued and no stop event came; `waiting` has a line for each waiting step."""

    def __init__(self, message: str, *, waiting: Sequence[str]) -> None:
        super().__init__(message)
        self.waiting = tuple(waiting)


class JournalFailed(WorkflowFailed):
    """The journal did not take an entry, so the run stopped there; the adapter's exception is `__cause__`."""


class CodecError(WorkflowError):
    """A value has no JSON form, or a recorded form does not fit its type; the message names the path."""


class StateRefused(WorkflowError):
    """A value was refused by the state store at the write; names the key and the type."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key
