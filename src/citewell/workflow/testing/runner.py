"""`WorkflowTestRunner`: one run from beginning to end, with all events that it streamed."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from citewell.workflow.context import Context
from citewell.workflow.events import StartEvent
from citewell.workflow.plain import PlainEvent
from citewell.workflow.workflow import Workflow


@dataclasses.dataclass
class WorkflowTestResult:
    """`collected` in the order of the stream, `event_types` how often each type was in it, the run's result."""

    collected: list[PlainEvent]
    event_types: dict[type[PlainEvent], int]
    result: Any
    ctx: Context[Any]


class WorkflowTestRunner:
    """Runs a workflow and collects its stream."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow

    async def run(
        self,
        start_event: PlainEvent | None = None,
        ctx: Context[Any] | None = None,
        expose_internal: bool = True,
        exclude_events: Sequence[type[PlainEvent]] | None = None,
    ) -> WorkflowTestResult:
        """The result of one run; raises what the run raises. `exclude_events` are left out by their exact types."""
        handler = self._workflow.run(start_event=start_event or StartEvent(), ctx=ctx)
        excluded = tuple(exclude_events or ())
        collected = [event async for event in handler.stream_events(expose_internal) if type(event) not in excluded]
        result = await handler
        return WorkflowTestResult(collected, dict(Counter(map(type, collected))), result, handler.ctx)
