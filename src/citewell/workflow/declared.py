"""Whether what a step emits was declared and has somewhere to go; if not, what to change.

Plain events are held to their declarations. Events that derive from `Event` are treated as llama-index-workflows
treats them, where a run can still end; both ways the run fails at once where it cannot.
"""

import logging
from typing import TYPE_CHECKING

from citewell.workflow.errors import UndeclaredEvent, WorkflowRuntimeError, WorkflowStepDoesNotExistError
from citewell.workflow.events import Event
from citewell.workflow.job import Job
from citewell.workflow.plain import PlainEvent, PlainInputRequiredEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph

log = logging.getLogger("citewell.workflow")


def check_sent(graph: "Graph", job: Job, event: PlainEvent, step: str | None) -> None:
    """Raise UndeclaredEvent unless some step, or the named one, accepts the event."""
    kind = type(event)
    if job.over:
        raise _undeclared(graph, job, f"sent {kind.__name__} after it had ended. Send before the step returns.")
    if not isinstance(event, PlainEvent):
        raise _undeclared(graph, job, f"sent a {kind.__name__}, which is not an Event. Derive it from Event.")
    if step is not None:
        check_target(graph, kind, step, f"Step {job.spec.name!r} of {graph.name}, working on {job.label},")
    elif not graph.routed(kind):
        if isinstance(event, Event):
            # As programs for llama-index-workflows expect: only a run that cannot go on for lack of it fails.
            log.warning("Step %r sent %s, which no step accepts.", job.spec.name, kind.__name__)
            return
        if isinstance(event, PlainStopEvent):
            raise _undeclared(graph, job, f"sent {kind.__name__}, which reaches no step. Return it to end the run.")
        if isinstance(event, PlainInputRequiredEvent):
            remedy = "Return it from the step, or use ctx.write_event_to_stream()."
            raise _undeclared(graph, job, f"sent {kind.__name__}, which no step accepts. {remedy}")
        raise _undeclared(graph, job, f"sent {kind.__name__}, which no step accepts. Add one that does.")


def check_target(graph: "Graph", kind: type, step: str, who: str) -> None:
    """Raise unless the named step is there and accepts events of this type, and not only as part of a list."""
    target = graph.by_name.get(step)
    if target is None:
        known = ", ".join(graph.by_name)
        raise WorkflowStepDoesNotExistError(
            f"{who} sent {kind.__name__} to {step!r}, which is no step (there are {known})."
        )
    if target.index not in graph.routed(kind):
        accepts = " or ".join(one.__name__ for one in target.accepts)
        raise WorkflowRuntimeError(f"{who} sent {kind.__name__} to step {step!r}, which accepts only {accepts}.")
    if target.cardinality is not None:
        raise WorkflowRuntimeError(
            f"{who} sent {kind.__name__} to step {step!r}, which gathers what comes of a returned list. Return the "
            "event in a list, or let the step use ctx.collect_events()."
        )


def check_returned(graph: "Graph", job: Job, event: object, *, listed: bool) -> None:
    """Raise UndeclaredEvent unless the step declares the type, or a base of it, that way, and something takes it."""
    kind = type(event)
    spec = job.spec
    if not listed and kind in spec.known:
        return
    declared = " | ".join([*(o.__name__ for o in spec.bare), *(f"list[{o.__name__}]" for o in spec.listed)]) or "None"
    if not isinstance(event, PlainEvent):
        raise _undeclared(graph, job, f"returned a {kind.__name__}, which is not an Event. It declares {declared}.")
    allowed = (spec.listed or spec.bare) if listed else spec.bare
    if not issubclass(kind, allowed):
        if not listed and issubclass(kind, spec.listed):
            raise _undeclared(
                graph, job, f"returned a {kind.__name__}, but declares {declared}. Return a list, or declare it alone."
            )
        if isinstance(event, Event) and graph.has_place(kind) and not (listed and not spec.listed):
            # As programs for llama-index-workflows expect; but the checks and the drawing know nothing of it.
            log.warning("Step %r returned %s, which it does not declare.", spec.name, kind.__name__)
            return
        remedy = f"Add {kind.__name__} to its return annotation."
        raise _undeclared(graph, job, f"returned {kind.__name__}, but declares {declared}. {remedy}")
    if not graph.has_place(kind):
        raise _undeclared(graph, job, f"returned {kind.__name__}, which no step accepts. Add one that does.")


def _undeclared(graph: "Graph", job: Job, what: str) -> UndeclaredEvent:
    name = job.spec.name
    error = UndeclaredEvent(
        f"Step {name!r} of {graph.name}, working on {job.label}, {what}",
        step=name,
        event=job.event_name,
        attempt=job.attempt,
    )
    job.verdict = error
    return error
