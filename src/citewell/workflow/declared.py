"""Whether what a step emits was declared and has somewhere to go; if not, what to change."""

from typing import TYPE_CHECKING

from citewell.workflow.errors import UndeclaredEvent
from citewell.workflow.events import Event
from citewell.workflow.reducer import Job

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph


def check_sent(graph: "Graph", job: Job, event: Event, step: str | None) -> None:
    """Raise UndeclaredEvent unless some step, or the named one, accepts the event or it ends the run."""
    kind = type(event)
    if job.over:
        raise _undeclared(graph, job, f"sent {kind.__name__} after it had ended. Send before the step returns.")
    if not isinstance(event, Event):
        raise _undeclared(graph, job, f"sent a {kind.__name__}, which is not an Event. Derive it from Event.")
    if step is None:
        if not graph.has_place(kind):
            raise _undeclared(graph, job, f"sent {kind.__name__}, which no step accepts. Add one that does.")
        return
    target = graph.by_name.get(step)
    if target is None:
        known = ", ".join(graph.by_name)
        raise _undeclared(graph, job, f"sent {kind.__name__} to {step!r}, which is no step (there are {known}).")
    if not issubclass(kind, target.accepts):
        accepts = " or ".join(one.__name__ for one in target.accepts)
        raise _undeclared(graph, job, f"sent {kind.__name__} to step {step!r}, which accepts only {accepts}.")


def check_returned(graph: "Graph", job: Job, event: object) -> None:
    """Raise UndeclaredEvent unless the step declares the type, or a base of it, and something takes it."""
    kind = type(event)
    spec = job.spec
    if kind in spec.known:
        return
    declared = " | ".join(one.__name__ for one in spec.emits) or "None"
    if not issubclass(kind, Event):
        raise _undeclared(graph, job, f"returned a {kind.__name__}, which is not an Event. It declares {declared}.")
    if not issubclass(kind, spec.emits):
        remedy = f"Add {kind.__name__} to its return annotation."
        raise _undeclared(graph, job, f"returned {kind.__name__}, but declares {declared}. {remedy}")
    if not graph.has_place(kind):
        raise _undeclared(graph, job, f"returned {kind.__name__}, which no step accepts. Add one that does.")
    spec.known.add(kind)


def _undeclared(graph: "Graph", job: Job, what: str) -> UndeclaredEvent:
    name = job.spec.name
    error = UndeclaredEvent(
        f"Step {name!r} of {graph.name}, working on {job.label}, {what}",
        step=name,
        event=type(job.event).__name__,
        attempt=job.attempt,
    )
    job.verdict = error
    return error
