"""A wrong step graph is refused when its class is defined, with the step, the event and the remedy."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from citewell.workflow import (
    Context,
    Event,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowDefinitionError,
    graph,
    step,
    to_mermaid,
)

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


@dataclasses.dataclass(frozen=True, slots=True)
class Go(StartEvent):
    pass


class OtherStart(StartEvent):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class A(Event):
    pass


class SubA(A):
    pass


class B(Event):
    pass


class Done(StopEvent):
    pass


def begin(self: Any, event: Go) -> A: ...
def end(self: Any, event: A) -> Done: ...
def whole(self: Any, event: Go) -> Done: ...


def no_event(self: Any) -> Done: ...
def two_events(self: Any, one: Go, two: A) -> Done: ...
def two_contexts(self: Any, one: Context, event: Go, two: Context) -> Done: ...
def unannotated(self: Any, event) -> Done: ...  # type: ignore[no-untyped-def]
def variadic(self: Any, *events: Go) -> Done: ...
def not_event(self: Any, event: int) -> Done: ...
def no_return(self: Any, event: Go): ...  # type: ignore[no-untyped-def]
def returns_text(self: Any, event: Go) -> str: ...
def returns_start(self: Any, event: Go) -> Go | Done: ...
def takes_stop(self: Any, event: Done) -> None: ...
def takes_both(self: Any, event: A | SubA) -> Done: ...
def hidden(self: Any, event: Hidden) -> Done: ...
def unused(self: Any, event: Go) -> A | B | Done: ...
def needs_b(self: Any, event: B) -> Done: ...
def loops_b(self: Any, event: B) -> B: ...
def other_start(self: Any, event: OtherStart) -> Done: ...
def no_stop(self: Any, event: Go) -> None: ...
def no_start(self: Any, event: A) -> A | Done: ...
async def generator(self: Any, event: Go) -> Done:  # type: ignore[misc]
    yield


async def coroutine(self: Any, event: Go) -> Done: ...  # type: ignore[empty-body]


def define(*functions: Callable[..., Any], **options: Any) -> type[Workflow]:
    return type("Flow", (Workflow,), {fn.__name__: step(**options)(fn) for fn in functions})


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([no_event], "Step Flow.no_event has no event parameter. Annotate one with an event type"),
        ([two_events], "two event parameters, 'one' and 'two'. Use one, annotated with `A | B`"),
        ([two_contexts], "two Context parameters. Remove 'two'"),
        ([unannotated], "parameter 'event' has no annotation. Annotate it with an event type or Context"),
        ([variadic], r"takes \*events. Declare one event parameter instead"),
        ([not_event], "parameter 'event' is annotated with int, which is neither an Event nor Context"),
        ([no_return], "Flow.no_return has no return annotation. Declare the events it emits"),
        ([returns_text], "annotated to return str, which is not an Event"),
        ([returns_start], "returns Go, but a StartEvent only comes from run"),
        (
            [begin, end, takes_stop],
            "takes_stop accepts Done, but a StopEvent ends the run and reaches no step",
        ),
        ([begin, takes_both], "takes_both is ambiguous: it accepts SubA twice, also as A. Keep A only"),
        ([hidden], "annotated with 'Hidden', which cannot be found.*not only under TYPE_CHECKING"),
        ([generator], "generator is a generator. Return a list of events"),
        ([unused, end], "step 'unused' emits B, which no step accepts. Add a step that takes it"),
        ([begin, end, needs_b], "step 'needs_b' waits for B, which no step emits. Add it to the return"),
        (
            [whole, loops_b, needs_b],
            "step 'loops_b' is never reached from the start: B only comes from steps that",
        ),
        ([whole, other_start], r"several start events \(Go, OtherStart\). Keep one"),
        ([no_stop], "Flow: no step returns a StopEvent. Let the last step return one"),
        ([no_start], "Flow: no step accepts a StartEvent. Let the first step take one"),
    ],
)
def test_a_wrong_graph_is_refused(functions: list[Callable[..., Any]], message: str):
    with pytest.raises(WorkflowDefinitionError, match=message):
        define(*functions)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (whole, {"num_workers": 0}, "num_workers=0. It must be at least 1"),
        (whole, {"timeout_s": 0}, "timeout_s=0. It must be above 0"),
        (whole, {"inline": True, "timeout_s": 1}, "no timeout can interrupt it"),
        (coroutine, {"inline": True}, "is async; inline=True is only for a plain `def`"),
    ],
)
def test_impossible_step_options_are_refused(function: Callable[..., Any], options: dict[str, Any], message: str):
    with pytest.raises(WorkflowDefinitionError, match=message):
        define(function, **options)


def test_one_function_under_two_names_is_refused():
    with pytest.raises(WorkflowDefinitionError, match="Steps 'one' and 'two' of Twice are one function"):

        class Twice(Workflow):
            @step
            async def one(self, event: Go) -> Done: ...  # type: ignore[empty-body]

            two = one


def test_a_static_method_and_a_step_named_run_are_refused():
    with pytest.raises(WorkflowDefinitionError, match=r"one is a staticmethod. Make it a plain method"):

        class Static(Workflow):
            @staticmethod
            @step
            def one(event: Go) -> Done: ...

    with pytest.raises(WorkflowDefinitionError, match=r"'run' is Workflow's own. Rename the step"):
        type("Named", (Workflow,), {"run": step(whole)})


def test_two_events_with_one_name_are_refused():
    other = type("A", (Event,), {"__module__": "elsewhere"})

    def from_other(self: Any, event: Any) -> Any: ...

    from_other.__annotations__ = {"event": other, "return": Done}

    def both(self: Any, event: Any) -> Any: ...

    both.__annotations__ = {"event": Go, "return": A | other}
    with pytest.raises(WorkflowDefinitionError, match="have one name, and the journal knows events by name"):
        define(both, end, from_other)


@dataclasses.dataclass
class Counter:
    n: int = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    n: int = 0


@dataclasses.dataclass
class Required:
    n: int


@dataclasses.dataclass
class Opaque:
    lock: asyncio.Lock | None = None


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ([str], "state type str is not a dataclass"),
        ([Frozen], "Frozen is frozen, but edit\\(\\) changes its fields"),
        ([Required], "cannot be made without arguments .* Give every field a default"),
        ([Opaque], "the state cannot be recorded. Opaque.lock: Lock has no JSON form"),
        ([Counter, Opaque], "several state types .* One must derive from all others"),
    ],
)
def test_a_state_type_that_cannot_be_kept_is_refused(kinds: list[type], message: str):
    steps = {}
    for number, kind in enumerate(kinds):

        def work(self: Any, ctx: Any, event: Any) -> Any: ...

        work.__annotations__ = {"ctx": Context[kind], "event": Go, "return": Done}
        steps[f"work{number}"] = step(work)
    with pytest.raises(WorkflowDefinitionError, match=message):
        type("Flow", (Workflow,), steps)


def test_annotations_may_name_classes_of_the_enclosing_function_and_of_the_workflow():
    class LocalStart(StartEvent):
        pass

    class Flow(Workflow):
        class Inner(StopEvent):
            pass

        @step
        async def work(self, event: LocalStart) -> Inner:
            return self.Inner()

    async def main() -> Any:
        return await Flow().run(LocalStart())

    assert isinstance(asyncio.run(main()), Flow.Inner)


def test_parameters_may_come_in_any_order_and_by_keyword():
    class Flow(Workflow):
        @step
        async def one(self, event: Go, ctx: Context) -> A:
            assert ctx.step_name == "one"
            return A()

        @step
        async def two(self, *, context: Context, incoming: A) -> B:
            assert context.step_name == "two"
            return B()

        @step
        async def three(self, context: Context[Any], incoming: B) -> Done:
            assert context.step_name == "three"
            return Done()

    async def main() -> Any:
        return await Flow().run(Go())

    assert isinstance(asyncio.run(main()), Done)


def test_a_base_without_steps_or_declared_abstract_is_not_checked_but_cannot_run():
    class Empty(Workflow):
        pass

    class Half(Workflow, abstract=True):
        @step
        async def begin(self, event: Go) -> A:
            return A()

    class Whole(Half):
        @step
        async def end(self, event: A) -> Done:
            return Done()

    assert [node.name for node in graph(Whole).nodes if node.kind == "step"] == ["begin", "end"]
    for base in (Empty, Half):
        with pytest.raises(WorkflowDefinitionError, match=r"has no steps, or is abstract. Run a subclass"):
            graph(base)


def test_the_graph_is_drawn_with_all_its_steps_events_and_edges():
    flow = define(unused, end, needs_b)
    lines = to_mermaid(flow).splitlines()
    assert lines[0] == "flowchart TD"
    assert [line.strip() for line in lines[1:8]] == [
        'n0(("Go"))',
        'n1["unused"]',
        'n2("A")',
        'n3("B")',
        'n4(("Done"))',
        'n5["end"]',
        'n6["needs_b"]',
    ]
    edges = ["n0-n1", "n1-n2", "n1-n3", "n1-n4", "n2-n5", "n5-n4", "n3-n6", "n6-n4"]
    assert [line.strip().replace(" --> ", "-") for line in lines[8:]] == edges


def test_the_fingerprint_changes_with_the_wiring_and_only_with_it():
    def mark(*functions: Callable[..., Any]) -> str:
        compiled = define(*functions).__graph__
        assert compiled is not None
        return compiled.fingerprint

    assert mark(begin, end) == mark(begin, end)
    assert len({mark(begin, end), mark(whole), mark(unused, end, needs_b)}) == 3
