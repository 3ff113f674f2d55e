"""An event-driven workflow engine that knows nothing of retrieval: typed events in, typed events out, all
recorded.
"""

from citewell.workflow.codec import decode, encode
from citewell.workflow.context import Context
from citewell.workflow.errors import (
    CodecError,
    JournalFailed,
    StateRefused,
    StepFailed,
    UndeclaredEvent,
    WorkflowCancelled,
    WorkflowDefinitionError,
    WorkflowError,
    WorkflowFailed,
    WorkflowStuck,
    WorkflowTimeout,
)
from citewell.workflow.events import Event, RunFailed, StartEvent, StopEvent
from citewell.workflow.graph import GraphEdge, GraphNode, GraphView
from citewell.workflow.handler import Handler, Stream
from citewell.workflow.journal import Entry, Journal, MemoryJournal, Outcome, RunStart
from citewell.workflow.retry import Retry, RetryPolicy
from citewell.workflow.step import step
from citewell.workflow.workflow import Workflow, graph, to_mermaid

__all__ = [
    "CodecError",
    "Context",
    "Entry",
    "Event",
    "GraphEdge",
    "GraphNode",
    "GraphView",
    "Handler",
    "Journal",
    "JournalFailed",
    "MemoryJournal",
    "Outcome",
    "Retry",
    "RetryPolicy",
    "RunFailed",
    "RunStart",
    "StartEvent",
    "StateRefused",
    "StepFailed",
    "StopEvent",
    "Stream",
    "UndeclaredEvent",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowDefinitionError",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowStuck",
    "WorkflowTimeout",
    "decode",
    "encode",
    "graph",
    "step",
    "to_mermaid",
]
