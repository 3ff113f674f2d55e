"""`Workflow`: derive a class, mark its steps, run it."""

import asyncio
from typing import Any, ClassVar

from citewell.workflow.errors import WorkflowDefinitionError, WorkflowError
from citewell.workflow.events import StartEvent
from citewell.workflow.graph import Graph, GraphView, compile_graph, mermaid
from citewell.workflow.handler import Handler
from citewell.workflow.journal import Journal
from citewell.workflow.run import CURRENT, Run


class Workflow:
    """Base of all workflows. A subclass is checked when it is defined: WorkflowDefinitionError says what is
    wrong.

    Every step that accepts an event's type, or a base of it, receives the event. The first stop event ends
    the run and cancels what still runs. A subclass inherits steps; one that overrides a step without `@step`
    removes it. A class without steps, or one defined with `abstract=True`, is a base and is not checked.
    """

    __graph__: ClassVar[Graph | None] = None

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__graph__ = None if abstract else compile_graph(cls)

    def run(
        self,
        start: StartEvent | None = None,
        /,
        *,
        run_id: str | None = None,
        journal: Journal | None = None,
        timeout_s: float | None = None,
        **fields: Any,
    ) -> Handler:
        """A started run, from a start event or from the fields of one. Needs a running event loop.

        With a journal, every step's outcome is recorded before its events are delivered; without one nothing
        is encoded.
        """
        graph = _graph(type(self))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise WorkflowError(
                f"{graph.name}.run() needs a running event loop. Call it inside an async function."
            ) from None
        if timeout_s is not None and timeout_s <= 0:
            raise WorkflowError(f"{graph.name}.run(timeout_s={timeout_s}): must be above 0, or None for no timeout.")
        if start is None:
            try:
                start = graph.start(**fields)
            except (TypeError, ValueError) as error:
                raise WorkflowError(f"{graph.name}.run() could not make its {graph.start.__name__}: {error}") from error
        elif fields:
            raise WorkflowError(f"{graph.name}.run() takes a start event or its fields, not both ({min(fields)!r}).")
        elif not isinstance(start, graph.start):
            raise WorkflowError(f"{graph.name}.run() takes a {graph.start.__name__}, not a {type(start).__name__}.")
        return Handler(
            Run(self, graph, start, run_id=run_id, journal=journal, timeout_s=timeout_s, parent=CURRENT.get())
        )


def _graph(workflow: type[Workflow]) -> Graph:
    if workflow.__graph__ is None:
        raise WorkflowDefinitionError(f"{workflow.__name__} has no steps, or is abstract. Run a subclass of it.")
    return workflow.__graph__


def graph(workflow: type[Workflow]) -> GraphView:
    """The steps and events of a workflow class, and which leads to which."""
    return _graph(workflow).view()


def to_mermaid(workflow: type[Workflow]) -> str:
    """The graph of a workflow class as Mermaid flowchart text."""
    return mermaid(graph(workflow))
