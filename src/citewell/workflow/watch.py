"""Who looks on while steps run: readers of internal events, a console, a tracer. None of it costs when not wanted."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from citewell.workflow.ends import status_of
from citewell.workflow.events import StepState, StepStateChanged

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from citewell.workflow.job import Job
    from citewell.workflow.run import Run


class Watch:
    """`verbose` prints what steps do; with `tracer` every step is a span of OpenTelemetry, under one for the run."""

    __slots__ = ("tracer", "verbose")

    def __init__(self, *, verbose: bool = False, tracer: "Tracer | None" = None) -> None:
        self.verbose = verbose
        self.tracer = tracer

    def open(self, run: "Run", base: contextvars.Context) -> "Span | None":
        """The span of a run that begins, or goes on in this process; current in `base`, which its steps run in."""
        if self.tracer is None:
            return None
        from opentelemetry import context
        from opentelemetry.trace import set_span_in_context

        attributes: dict[str, str | bool] = {"citewell.workflow": run.graph.name, "citewell.run_id": run.run_id}
        if run.parent_run_id is not None:
            attributes["citewell.parent_run_id"] = run.parent_run_id
        if run.reducer.seq > 1:
            attributes["citewell.resumed"] = True
        span = self.tracer.start_span(run.graph.name, attributes=attributes)
        base.run(context.attach, set_span_in_context(span))
        return span

    def close(self, run: "Run", span: "Span | None") -> None:
        """End the span of a run that is over, or leaves this process."""
        if span is None:
            return
        from opentelemetry.trace import Status, StatusCode

        status = status_of(run.error)
        span.set_attribute("citewell.status", "parked" if run.parked else status)
        if run.error is not None and status != "cancelled":
            span.record_exception(run.error)
            span.set_status(Status(StatusCode.ERROR, f"{type(run.error).__name__}: {run.error}"))
        span.end()

    async def step(self, run: "Run", job: "Job", perform: "Callable[[Run, Job], Awaitable[Any]]") -> Any:
        """What `perform` gives for the job."""
        name = job.spec.name
        self._say(run, f"Running step {name}")
        self._tell(run, job, StepState.RUNNING, None)
        result: Any = None
        try:
            if self.tracer is None:
                result = await perform(run, job)
            else:
                result = await self._traced(run, job, perform)
        finally:
            made = None if result is None else _named(result)
            self._tell(run, job, StepState.NOT_RUNNING, made)
        said = "no event" if result is None else f"event {_named(result)}"
        self._say(run, f"Step {name} produced {said}")
        return result

    async def _traced(self, run: "Run", job: "Job", perform: "Callable[[Run, Job], Awaitable[Any]]") -> Any:
        from opentelemetry.trace import Status, StatusCode

        assert self.tracer is not None
        attributes: dict[str, str | int] = {
            "citewell.workflow": run.graph.name,
            "citewell.run_id": run.run_id,
            "citewell.step": job.spec.name,
            "citewell.event": job.event_name,
            "citewell.seq": job.seq,
        }
        span: Span
        with self.tracer.start_as_current_span(
            f"{run.graph.name}.{job.spec.name}",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = await perform(run, job)
            except asyncio.CancelledError:
                span.set_attribute("citewell.cancelled", True)
                raise
            except Exception as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
                raise
            finally:
                span.set_attribute("citewell.attempts", job.attempt)
            if result is not None:
                span.set_attribute("citewell.emitted", _named(result))
            return result

    def _say(self, run: "Run", text: str) -> None:
        if self.verbose:
            print(text)

    def _tell(self, run: "Run", job: "Job", state: StepState, made: str | None) -> None:
        if run.outlet.expose and not run.closing:
            run.tell(
                StepStateChanged(
                    name=job.spec.name,
                    step_state=state,
                    worker_id=str(job.seq),
                    input_event_name=job.event_name,
                    output_event_name=made,
                )
            )


def _named(result: Any) -> str:
    if type(result) is list:
        return f"list of {len(result)}"
    return type(result).__name__
