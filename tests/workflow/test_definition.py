"""A wrong step graph is refused when its class is defined, with the step, the event and the remedy."""

from __future__ import annotations

import asyncio
import dataclasses
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from citewell.workflow import (
    Context,
    MemoryJournal,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    Workflow,
    WorkflowConfigurationError,
    WorkflowError,
    WorkflowValidationError,
    graph,
    launch,
    step,
)
from citewell.workflow.definition import definition

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    pass


class OtherStart(PlainStartEvent):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class A(PlainEvent):
    pass


class SubA(A):
    pass


class B(PlainEvent):
    pass


class Done(PlainStopEvent):
    pass


def begin(self: Any, event: Go) -> A: ...
def end(self: Any, event: A) -> Done: ...
def whole(self: Any, event: Go) -> Done: ...


def no_event(self: Any) -> Done: ...
def two_events(self: Any, one: Go | A, two: A) -> Done: ...
def two_of_one(self: Any, one: A, two: A) -> Done: ...
def two_lists(self: Any, one: list[A], two: list[B]) -> Done: ...
def list_and_event(self: Any, one: list[A], two: B) -> Done: ...
def gathers(self: Any, events: list[A]) -> Done: ...
def takes_two(self: Any, one: Go, two: B) -> Done: ...
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


def method(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A new function, named as if it had been written in the body of a class Flow."""
    made = types.FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    made.__annotations__ = fn.__annotations__
    made.__qualname__ = f"Flow.{fn.__name__}"
    return made


def define(*functions: Callable[..., Any], **options: Any) -> type[Workflow]:
    return type("Flow", (Workflow,), {fn.__name__: step(**options)(method(fn)) for fn in functions})


def make(*functions: Callable[..., Any], **options: Any) -> Workflow:
    """An object of it, because a class without a start or a stop is taken for a base and not checked before."""
    return define(*functions, **options)()


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([no_event], "Step Flow.no_event has no event parameter. Annotate one with an event type"),
        ([two_events], r"several event parameters, so each takes exactly one type; 'one' takes Go \| A"),
        ([begin, end, two_of_one], "two_of_one has two parameters of one event type. Use ctx.collect_events"),
        ([begin, end, two_lists], "two_lists gathers twice, in 'one' and 'two'. Keep one list"),
        ([begin, end, list_and_event], "has the list parameter 'one' beside the event parameter 'two'"),
        ([begin, end, gathers], r"step 'gathers' gathers list\[A\], but no step returns a list that leads to"),
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
        ([hidden], "annotated with 'Hidden', which cannot be found.*not only under TYPE_CHECKING"),
        ([generator], "generator is a generator. Return a list of events"),
        ([unused, end], "step 'unused' emits B, which no step accepts. Add a step that takes it"),
        ([begin, end, needs_b], "step 'needs_b' waits for B, which no step emits. Add it to the return"),
        (
            [whole, loops_b, needs_b],
            "steps 'loops_b', 'needs_b' are never reached from the start: B only comes from steps that",
        ),
        ([whole, other_start], r"several start events \(Go, OtherStart\). Keep one"),
        ([no_stop], "Flow: no step returns a StopEvent. Let the last step return one"),
        ([no_start], "Flow: no step accepts a StartEvent. Let the first step take one"),
    ],
)
def test_a_wrong_graph_is_refused(functions: list[Callable[..., Any]], message: str):
    with pytest.raises(WorkflowError, match=message) as caught:
        make(*functions)
    missing = "several start" in message or "no step" in message.partition(": ")[2][:7]
    assert type(caught.value) is (WorkflowConfigurationError if missing else WorkflowValidationError)


@pytest.mark.parametrize("functions", [[unused, end], [begin, end, needs_b], [whole, other_start], [whole, takes_two]])
def test_a_class_with_a_start_and_a_stop_is_checked_when_it_is_defined(functions: list[Callable[..., Any]]):
    with pytest.raises(WorkflowError):
        define(*functions)


@pytest.mark.parametrize("functions", [[], [no_stop], [begin], [no_start], [end]])
def test_a_class_that_lacks_a_start_or_a_stop_is_a_base_that_cannot_be_made(functions: list[Callable[..., Any]]):
    base = define(*functions)
    with pytest.raises(WorkflowConfigurationError, match="Flow: no step"):
        base()


def test_a_step_that_takes_subclasses_cannot_take_one_twice():
    with pytest.raises(
        WorkflowValidationError, match=r"takes_both' is ambiguous: it accepts SubA twice, also as A. Keep A"
    ):
        define(begin, takes_both, accept_event_subclasses=True)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (whole, {"num_workers": 0}, "num_workers=0: it must be a whole number of at least 1"),
        (whole, {"timeout_s": 0}, "timeout_s=0. It must be above 0"),
        (whole, {"inline": True, "timeout_s": 1}, "no timeout can interrupt it"),
        (coroutine, {"inline": True}, "is async; inline=True is only for a plain `def`"),
    ],
)
def test_impossible_step_options_are_refused(function: Callable[..., Any], options: dict[str, Any], message: str):
    with pytest.raises(WorkflowValidationError, match=message):
        define(function, **options)


def test_one_function_under_two_names_is_refused():
    with pytest.raises(WorkflowValidationError, match="Steps 'one' and 'two' of Twice are one function"):

        class Twice(Workflow):
            @step
            async def one(self, event: Go) -> Done: ...  # type: ignore[empty-body]

            two = one


def test_a_static_method_and_a_step_named_run_are_refused():
    with pytest.raises(WorkflowValidationError, match=r"one is a staticmethod. Make it a plain method"):

        class Static(Workflow):
            @staticmethod
            @step
            def one(event: Go) -> Done: ...

    with pytest.raises(WorkflowValidationError, match=r"'run' is Workflow's own. Rename the step"):
        type("Named", (Workflow,), {"run": step(method(whole))})


def test_two_events_with_one_name_are_told_apart_in_memory_and_refused_before_a_recorded_run():
    other = type("A", (PlainEvent,), {"__module__": "elsewhere"})
    seen: list[str] = []

    async def from_other(self: Any, event: Any) -> Any:
        seen.append(type(event).__module__)

    from_other.__annotations__ = {"event": other, "return": None}

    async def both(self: Any, event: Any) -> Any:
        return [other(), A()]

    both.__annotations__ = {"event": Go, "return": list[A | other]}  # type: ignore[valid-type]

    async def last(self: Any, event: A) -> Done:
        return Done()

    flow = make(both, last, from_other)

    async def main() -> None:
        await flow.run(start_event=Go())
        assert seen == ["elsewhere"]
        with pytest.raises(WorkflowValidationError, match="Two events are named A, and the record knows events by"):
            launch(flow, Go(), journal=MemoryJournal())

    asyncio.run(main())


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
        ([str], "state type str is neither a dataclass nor a pydantic model"),
        ([Frozen], "Frozen is frozen, but edit_state\\(\\) changes its fields"),
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
        steps[f"work{number}"] = step(method(work))
    with pytest.raises(WorkflowValidationError, match=message):
        type("Flow", (Workflow,), steps)


def test_annotations_may_name_classes_of_the_enclosing_function_and_of_the_workflow():
    class LocalStart(PlainStartEvent):
        pass

    class Flow(Workflow):
        class Inner(PlainStopEvent):
            pass

        @step
        async def work(self, event: LocalStart) -> Inner:
            return self.Inner()

    async def main() -> Any:
        return await Flow().run(start_event=LocalStart())

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
        return await Flow().run(start_event=Go())

    assert isinstance(asyncio.run(main()), Done)


def test_a_base_without_steps_or_declared_abstract_is_not_checked_but_cannot_run():
    class Empty(Workflow):
        pass

    class Half(Workflow):
        @step
        async def begin(self, event: Go) -> A:
            return A()

    class Later(Workflow, abstract=True):
        @step
        async def begin(self, event: Go) -> A | Done:
            return A()

    class Whole(Half):
        @step
        async def end(self, event: A) -> Done:
            return Done()

    assert [node.name for node in graph(Whole).nodes if node.kind == "step"] == ["begin", "end"]
    for base in (Empty, Half):
        with pytest.raises(WorkflowValidationError, match=r"no step for a start event, or none that stops. Take a sub"):
            graph(base)
    for refused in (graph, lambda base: base()):
        with pytest.raises(WorkflowValidationError, match="'begin' emits A, which no step accepts"):
            refused(Later)

    @step(workflow=Later)
    async def end(event: A) -> Done:
        return Done()

    async def main() -> Any:
        return await Later().run(start_event=Go())

    assert isinstance(asyncio.run(main()), Done)


def test_the_graph_has_all_steps_events_and_edges():
    view = graph(define(unused, end, needs_b))
    assert [(node.name, node.kind) for node in view.nodes] == [
        ("Go", "start"),
        ("unused", "step"),
        ("A", "event"),
        ("B", "event"),
        ("Done", "stop"),
        ("end", "step"),
        ("needs_b", "step"),
    ]
    edges = "Go-unused unused-A unused-B unused-Done A-end end-Done B-needs_b needs_b-Done"
    assert [f"{edge.source}-{edge.target}" for edge in view.edges] == edges.split()


def whole_again(self: Any, event: Go) -> Done: ...


whole_again.__name__ = "whole"


def test_the_fingerprint_changes_with_the_wiring_and_the_code_and_only_with_them():
    def mark(*functions: Callable[..., Any], **options: Any) -> str:
        flow = define(*functions, **options)()
        return definition(flow, flow._graph).fingerprint

    assert mark(begin, end) == mark(begin, end)
    assert len({mark(begin, end), mark(whole), mark(unused, end, needs_b)}) == 3
    assert mark(whole) == mark(whole, num_workers=9)
    assert mark(whole) != mark(whole, version="2")


class CommentsOnly:
    class One(Workflow):
        """One."""

        @step
        async def work(self, event: Go) -> Done:
            """Say."""
            # Why.
            return Done()

    class Two(Workflow):
        @step(num_workers=2)
        async def work(self, event: Go) -> Done:
            return Done()

    class Three(Workflow):
        @step
        async def work(self, event: Go) -> Done:
            return Done(1)  # type: ignore[call-arg]


def test_comments_docstrings_layout_and_decorators_are_not_part_of_the_definition():
    def part(flow: type[Workflow]) -> str:
        made = flow()
        return definition(made, made._graph).parts["step work"]

    assert part(CommentsOnly.One) == part(CommentsOnly.Two)
    assert part(CommentsOnly.One) != part(CommentsOnly.Three)
