"""Spans of OpenTelemetry: one for each run and below it one for each step, whatever thread or nested run it is in."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from citewell.workflow import Context, Event, HumanResponseEvent, Runs, StartEvent, StopEvent, Workflow, step
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer


class Part(Event):
    n: int


class Half(Event):
    n: int


class Reply(HumanResponseEvent):
    text: str


class Inner(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=event.n * 2)


class Outer(Workflow):
    """A list out and in, steps in threads, and a nested run in each of two steps."""

    seen: dict[int, int]

    @step
    async def split(self, event: StartEvent) -> list[Part]:
        self.seen = {}
        return [Part(n=n) for n in range(3)]

    @step
    def work(self, event: Part) -> Half:
        # In a thread: what is current there is the span of this step.
        self.seen[event.n] = trace.get_current_span().get_span_context().span_id
        return Half(n=event.n)

    @step
    async def join(self, halves: list[Half]) -> StopEvent:
        return StopEvent(result=await Inner().run(n=len(halves)))


class Fails(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        raise ValueError("no")


class Retried(Workflow):
    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
    async def only(self, event: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return StopEvent(result=ctx.attempt)


class Asks(Workflow):
    @step
    async def only(self, event: StartEvent, ctx: Context) -> StopEvent:
        reply = await ctx.wait_for_event(Reply, timeout=None)
        return StopEvent(result=reply.text)


@pytest.fixture
def traced() -> tuple[Tracer, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test"), exporter


def done(workflow: Workflow, **fields: Any) -> Any:
    async def main() -> Any:
        return await asyncio.wait_for(workflow.run(**fields), 10)

    return asyncio.run(main())


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def identity(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_every_step_is_a_span_below_that_of_its_run(traced: tuple[Tracer, InMemorySpanExporter]) -> None:
    tracer, exporter = traced
    workflow = Outer(tracer=tracer)
    assert done(workflow) == 6
    (run,) = named(exporter, "Outer")
    steps = [span for span in exporter.get_finished_spans() if span.name.startswith("Outer.")]
    assert sorted(span.name for span in steps) == ["Outer.join", "Outer.split", *["Outer.work"] * 3]
    assert {parent(span) for span in steps} == {identity(run)}
    assert parent(run) is None
    assert facts(run)["citewell.workflow"] == "Outer"
    assert facts(run)["citewell.status"] == "done"
    assert run.status.status_code is StatusCode.UNSET
    (join,) = named(exporter, "Outer.join")
    assert facts(join)["citewell.event"] == "list[Half]"
    assert facts(join)["citewell.emitted"] == "StopEvent"
    assert facts(join)["citewell.run_id"] == facts(run)["citewell.run_id"]
    assert run.start_time is not None
    assert run.end_time is not None
    assert all(run.start_time <= (span.start_time or 0) <= (span.end_time or 0) <= run.end_time for span in steps)


def test_the_span_of_a_step_is_current_in_its_thread(traced: tuple[Tracer, InMemorySpanExporter]) -> None:
    tracer, exporter = traced
    workflow = Outer(tracer=tracer)
    done(workflow)
    assert sorted(workflow.seen.values()) == sorted(identity(span) for span in named(exporter, "Outer.work"))


def test_a_nested_run_is_a_child_of_the_step_that_started_it_without_a_tracer_of_its_own(
    traced: tuple[Tracer, InMemorySpanExporter],
) -> None:
    tracer, exporter = traced
    done(Outer(tracer=tracer))
    (inner,), (join,), (run,) = named(exporter, "Inner"), named(exporter, "Outer.join"), named(exporter, "Outer")
    assert parent(inner) == identity(join)
    assert facts(inner)["citewell.parent_run_id"] == facts(run)["citewell.run_id"]
    assert [parent(span) for span in named(exporter, "Inner.only")] == [identity(inner)]
    assert len({span.context.trace_id for span in exporter.get_finished_spans() if span.context}) == 1


def test_a_run_belongs_to_the_span_that_was_current_when_it_began(
    traced: tuple[Tracer, InMemorySpanExporter],
) -> None:
    tracer, exporter = traced

    async def main() -> None:
        with tracer.start_as_current_span("request"):
            await asyncio.wait_for(Inner(tracer=tracer).run(n=1), 10)
            current = trace.get_current_span().get_span_context().span_id
        assert [current] == [identity(span) for span in named(exporter, "request")]

    asyncio.run(main())
    assert parent(named(exporter, "Inner")[0]) == identity(named(exporter, "request")[0])


def test_a_failure_is_an_error_of_the_step_and_of_the_run(traced: tuple[Tracer, InMemorySpanExporter]) -> None:
    tracer, exporter = traced
    with pytest.raises(ValueError, match="no"):
        done(Fails(tracer=tracer))
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["Fails.only", "Fails"]
    for span in spans:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "ValueError: no"
        assert [event.name for event in span.events] == ["exception"]
    assert facts(spans[1])["citewell.status"] == "failed"


def test_a_step_that_was_tried_again_is_one_span_that_counts_its_attempts(
    traced: tuple[Tracer, InMemorySpanExporter],
) -> None:
    tracer, exporter = traced
    assert done(Retried(tracer=tracer)) == 3
    (only,) = named(exporter, "Retried.only")
    assert facts(only)["citewell.attempts"] == 3
    assert only.status.status_code is StatusCode.UNSET


def test_a_cancelled_run_is_no_error(traced: tuple[Tracer, InMemorySpanExporter]) -> None:
    tracer, exporter = traced

    async def main() -> None:
        handler = Asks(tracer=tracer).run()
        await asyncio.sleep(0.01)
        await handler.cancel_run()

    asyncio.run(main())
    (run,) = named(exporter, "Asks")
    assert facts(run)["citewell.status"] == "cancelled"
    assert run.status.status_code is StatusCode.UNSET
    assert facts(named(exporter, "Asks.only")[0])["citewell.cancelled"] is True


def test_a_recorded_run_has_a_span_in_each_process_that_has_held_it(
    traced: tuple[Tracer, InMemorySpanExporter], tmp_path: Path
) -> None:
    tracer, exporter = traced

    async def first() -> str:
        async with Runs(tmp_path / "runs.db", [Asks(timeout=None, tracer=tracer)]) as runs:
            handler = await runs.start(Asks(timeout=None, tracer=tracer))
            await handler._run.settled()
            return handler.run_id

    async def second(run_id: str) -> Any:
        async with Runs(tmp_path / "runs.db", [Asks(timeout=None, tracer=tracer)]) as runs:
            await runs.answer(run_id, Reply(text="yes"))
            return await asyncio.wait_for(runs.result(run_id), 10)

    run_id = asyncio.run(first())
    assert [facts(span)["citewell.status"] for span in named(exporter, "Asks")] == ["parked"]
    assert asyncio.run(second(run_id)) == "yes"
    spans = named(exporter, "Asks")
    assert [facts(span)["citewell.status"] for span in spans] == ["parked", "done"]
    assert [facts(span).get("citewell.resumed") for span in spans] == [None, True]
    assert {facts(span)["citewell.run_id"] for span in spans} == {run_id}


def test_nothing_of_opentelemetry_is_loaded_without_a_tracer() -> None:
    code = """
import asyncio, sys
from citewell.workflow import StartEvent, StopEvent, Workflow, step
class Only(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=1)
async def main(): return await Only(verbose=True).run()
assert asyncio.run(main()) == 1
print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "opentelemetry" not in ran.stdout
