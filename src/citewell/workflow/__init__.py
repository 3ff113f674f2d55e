"""An event-driven workflow engine that knows nothing of retrieval: typed events in, typed events out, all recorded.

A workflow written for llama-index-workflows runs after changing its imports: the same names stand at the same places
(`citewell.workflow`, `.events`, `.retry_policy`, `.resource`, `.errors`, `.testing`).
"""

from typing import TYPE_CHECKING, Any

from citewell.workflow.codec import decode, encode
from citewell.workflow.collect import All, Collect, Take
from citewell.workflow.context import Context
from citewell.workflow.errors import (
    AnswerRefused,
    CodecError,
    ContextSerdeError,
    ContextStateError,
    DefinitionChanged,
    JournalFailed,
    RunNotFound,
    RunOver,
    RunsClosed,
    RunTaken,
    StartKeyConflict,
    StateRefused,
    UndeclaredEvent,
    WorkflowCancelledByUser,
    WorkflowConfigurationError,
    WorkflowError,
    WorkflowRuntimeError,
    WorkflowStepDoesNotExistError,
    WorkflowStuck,
    WorkflowTimeoutError,
    WorkflowValidationError,
)
from citewell.workflow.events import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    WorkflowCancelledEvent,
    WorkflowFailedEvent,
    WorkflowTimedOutEvent,
)
from citewell.workflow.graph import GraphEdge, GraphNode, GraphView
from citewell.workflow.handler import WorkflowHandler
from citewell.workflow.journal import Entry, Journal, MemoryJournal, Outcome, RunStart
from citewell.workflow.outlet import Stream
from citewell.workflow.plain import (
    PlainEvent,
    PlainHumanResponseEvent,
    PlainInputRequiredEvent,
    PlainStartEvent,
    PlainStopEvent,
)
from citewell.workflow.step import catch_error, step
from citewell.workflow.workflow import Workflow, graph, launch

if TYPE_CHECKING:
    from citewell.workflow.drawing import run_to_html, to_html, to_mermaid, to_svg
    from citewell.workflow.resource import Resource, ResourceConfig, ResourceManager
    from citewell.workflow.retry_policy import RetryInfo, RetryPolicy
    from citewell.workflow.runs import Runs

__all__ = [
    "All",
    "AnswerRefused",
    "CodecError",
    "Collect",
    "Context",
    "ContextSerdeError",
    "ContextStateError",
    "DefinitionChanged",
    "Entry",
    "Event",
    "GraphEdge",
    "GraphNode",
    "GraphView",
    "HumanResponseEvent",
    "InputRequiredEvent",
    "Journal",
    "JournalFailed",
    "MemoryJournal",
    "Outcome",
    "PlainEvent",
    "PlainHumanResponseEvent",
    "PlainInputRequiredEvent",
    "PlainStartEvent",
    "PlainStopEvent",
    "Resource",
    "ResourceConfig",
    "ResourceManager",
    "RetryInfo",
    "RetryPolicy",
    "RunNotFound",
    "RunOver",
    "RunStart",
    "RunTaken",
    "Runs",
    "RunsClosed",
    "StartEvent",
    "StartKeyConflict",
    "StateRefused",
    "StepFailedEvent",
    "StopEvent",
    "Stream",
    "Take",
    "UndeclaredEvent",
    "Workflow",
    "WorkflowCancelledByUser",
    "WorkflowCancelledEvent",
    "WorkflowConfigurationError",
    "WorkflowError",
    "WorkflowFailedEvent",
    "WorkflowHandler",
    "WorkflowRuntimeError",
    "WorkflowStepDoesNotExistError",
    "WorkflowStuck",
    "WorkflowTimedOutEvent",
    "WorkflowTimeoutError",
    "WorkflowValidationError",
    "catch_error",
    "decode",
    "encode",
    "graph",
    "launch",
    "run_to_html",
    "step",
    "to_html",
    "to_mermaid",
    "to_svg",
]

# Loaded when first asked for: a workflow that is not drawn, or not recorded, does without them.
_LATER = {
    "Resource": "resource",
    "ResourceConfig": "resource",
    "ResourceManager": "resource",
    "RetryInfo": "retry_policy",
    "RetryPolicy": "retry_policy",
    "Runs": "runs",
    "run_to_html": "drawing",
    "to_html": "drawing",
    "to_mermaid": "drawing",
    "to_svg": "drawing",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
