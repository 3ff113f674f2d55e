"""What can go wrong with a workflow, each error naming the step, the event and the remedy."""

from collections.abc import Sequence

from citewell.errors import CitewellError


class WorkflowError(CitewellError):
    """A workflow could not be defined, run or recorded."""


class WorkflowValidationError(WorkflowError, ValueError):
    """A step's signature or the step graph is wrong."""


class WorkflowConfigurationError(WorkflowError):
    """A workflow has no start or no stop, or more than one of them, or was given impossible settings."""


class WorkflowRuntimeError(WorkflowError, RuntimeError):
    """A run was asked for something that it cannot do, or ended without its stop event."""


class WorkflowStepDoesNotExistError(WorkflowRuntimeError):
    """An event was addressed to a step that the workflow does not have."""


class UndeclaredEvent(WorkflowRuntimeError):
    """A step returned or sent something that its annotation, or the graph, has no place for."""

    def __init__(self, message: str, *, step: str, event: str, attempt: int) -> None:
        super().__init__(message)
        self.step = step
        self.event = event
        self.attempt = attempt


class WorkflowStuck(WorkflowRuntimeError):
    """Nothing runs, nothing is queued and no stop event came; `waiting` has a line for each waiting step."""

    def __init__(self, message: str, *, waiting: Sequence[str]) -> None:
        super().__init__(message)
        self.waiting = tuple(waiting)


class WorkflowTimeoutError(WorkflowError):
    """A run, or one step of it when `step` is set, took longer than `timeout_s`."""

    def __init__(self, message: str, *, timeout_s: float = 0.0, step: str | None = None) -> None:
        super().__init__(message)
        self.timeout_s = timeout_s
        self.step = step


class WorkflowCancelledByUser(WorkflowError):
    """The run was cancelled; its steps had finished their clean-up when this was raised."""


class JournalFailed(WorkflowError):
    """The journal did not take an entry, so the run stopped there; the adapter's exception is `__cause__`."""


class RunsClosed(JournalFailed):
    """The `Runs` that looked after a run were closed; the run is not over, and goes on when they are opened again."""


class RunTaken(JournalFailed):
    """Another process has gone on with the run, so this one has stopped it here."""


class ContextStateError(WorkflowError):
    """A context was asked for something that it can do only before a run, from outside one, or in a step."""


class ContextSerdeError(WorkflowError):
    """A saved context cannot be read: it is damaged, or of another workflow or format."""


class CodecError(WorkflowError, ValueError):
    """A value has no JSON form, or a recorded form does not fit its type; the message names the path."""


class StateRefused(WorkflowError, ValueError):
    """A value was refused by the state store at the write; names the key and the type."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


class RunNotFound(WorkflowError, KeyError):
    """No run of that id, or key, is in the journal."""

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return str(self.args[0])


class RunOver(WorkflowRuntimeError):
    """The run has ended, so it can neither go on nor be cancelled; `Runs.result` gives what it came to."""


class StartKeyConflict(WorkflowError):
    """A start key was used before, with another workflow or another start event; `run_id` is that run."""

    def __init__(self, message: str, *, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class AnswerRefused(WorkflowError):
    """An answer came too late, twice, from somebody who may not give it, or does not fit the question."""


class DefinitionChanged(WorkflowError):
    """A recorded run does not fit the present code; `changed` names what differs."""

    def __init__(self, message: str, *, changed: Sequence[str]) -> None:
        super().__init__(message)
        self.changed = tuple(changed)
