"""Definition: what makes a step, how steps are inherited and added, and what the checks of the event graph refuse."""

import asyncio
import inspect
from typing import Annotated, Optional, Union

import pytest
from drive import go, refused, run
from roots import Api


def linear(api: Api) -> type:
    class Middle(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Middle:
            return Middle(n=1)

        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result=ev.n)

    return Flow


def test_step_takes_parentheses_or_none(api: Api) -> None:
    class Middle(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step()
        async def first(self, ev: api.StartEvent) -> Middle:
            return Middle()

        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result="end")

    assert run(Flow()) == "end"


def test_the_event_parameter_may_have_any_name_and_place(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, incoming: api.StartEvent, context: api.Context) -> api.StopEvent:
            await context.store.set("seen", incoming.n)
            return api.StopEvent(result=await context.store.get("seen"))

    assert run(Flow(), n=4) == 4


def test_annotations_may_be_strings(api: Api) -> None:
    StartEvent, StopEvent = api.StartEvent, api.StopEvent

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: "StartEvent") -> "StopEvent":
            return StopEvent(result=1)

    assert run(Flow()) == 1


@pytest.mark.parametrize("style", ["bar", "union", "optional"])
def test_a_return_of_nothing_may_be_written_in_three_ways(api: Api, style: str) -> None:
    class Middle(api.Event):
        n: int

    hint = {"bar": Middle | None, "union": Union[Middle, None], "optional": Optional[Middle]}[style]  # noqa: UP007, UP045

    class Flow(api.Workflow):
        @api.step
        async def first(self, ctx: api.Context, ev: api.StartEvent) -> hint:
            ctx.send_event(Middle(n=2))
            return None

        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result=ev.n)

    assert run(Flow()) == 2


def test_one_step_takes_several_event_types_by_union(api: Api) -> None:
    class Left(api.Event):
        pass

    class Right(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def choose(self, ev: api.StartEvent) -> Left | Right:
            return Left() if ev.way == "left" else Right()

        @api.step
        async def end(self, ev: Left | Right) -> api.StopEvent:
            return api.StopEvent(result=type(ev).__name__)

    assert run(Flow(), way="left") == "Left"
    assert run(Flow(), way="right") == "Right"


def test_a_free_function_becomes_a_step_of_a_class(api: Api) -> None:
    class Flow(api.Workflow):
        pass

    @api.step(workflow=Flow)
    async def only(ev: api.StartEvent) -> api.StopEvent:
        return api.StopEvent(result="free")

    assert run(Flow()) == "free"


def test_free_and_bound_steps_mix(api: Api) -> None:
    class Middle(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Middle:
            return Middle(n=5)

    @api.step(workflow=Flow)
    async def second(ctx: api.Context, ev: Middle) -> api.StopEvent:
        return api.StopEvent(result=ev.n)

    assert run(Flow()) == 5


def test_a_free_function_without_its_class_is_refused(api: Api) -> None:
    with pytest.raises(api.WorkflowValidationError, match="lonely"):

        @api.step
        async def lonely(ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent()


def test_a_second_step_of_one_name_is_refused(api: Api) -> None:
    Flow = linear(api)
    with pytest.raises(api.WorkflowValidationError, match="first"):

        @api.step(workflow=Flow)
        async def first(ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent()


def test_add_step_refuses_a_plain_function(api: Api) -> None:
    async def plain(ev: api.StartEvent) -> api.StopEvent:
        return api.StopEvent()

    with pytest.raises(api.WorkflowValidationError, match="plain"):
        linear(api).add_step(plain)


def test_a_step_added_after_a_run_takes_part_in_the_next(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> api.StopEvent:
            if ev.wait:
                await asyncio.sleep(3600)
            return api.StopEvent(result="first")

    flow = Flow()
    assert run(flow, wait=False) == "first"

    @api.step(workflow=Flow)
    async def side(ev: api.HumanResponseEvent) -> api.StopEvent:
        return api.StopEvent(result="side")

    async def main() -> str:
        handler = flow.run(wait=True)
        handler.ctx.send_event(api.HumanResponseEvent())
        return await handler

    assert go(main()) == "side"


def test_a_step_needs_an_event_parameter(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def only(self, n: int) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_a_step_needs_a_return_annotation(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def only(self, ev: api.StartEvent):
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


@pytest.mark.parametrize("count", [0, -1, 1.5, "two"])
def test_num_workers_is_a_positive_whole_number(api: Api, count: object) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step(num_workers=count)
            async def only(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "num_workers" in refused(api.WorkflowValidationError, build)


def test_an_async_generator_is_no_step(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def only(self, ev: api.StartEvent) -> api.StopEvent:
                yield api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_a_name_that_cannot_be_resolved_is_refused(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def only(self, ev: "NobodyDefinedThis") -> api.StopEvent:  # noqa: F821
                return api.StopEvent()

        return Flow()

    assert "NobodyDefinedThis" in refused(api.WorkflowValidationError, build)


def test_no_step_is_a_configuration_error(api: Api) -> None:
    def build() -> object:
        class Empty(api.Workflow):
            pass

        return Empty()

    refused(api.WorkflowConfigurationError, build)


def test_no_start_step_is_a_configuration_error(api: Api) -> None:
    def build() -> object:
        class Middle(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def end(self, ev: Middle) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "StartEvent" in refused(api.WorkflowConfigurationError, build)


def test_no_stop_is_a_configuration_error(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def begin(self, ev: api.StartEvent) -> None:
                return None

        return Flow()

    assert "StopEvent" in refused(api.WorkflowConfigurationError, build)


def test_two_start_types_are_a_configuration_error(api: Api) -> None:
    def build() -> object:
        class Other(api.StartEvent):
            pass

        class Flow(api.Workflow):
            @api.step
            async def a(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

            @api.step
            async def b(self, ev: Other) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowConfigurationError, build)


def test_two_stop_types_are_a_configuration_error(api: Api) -> None:
    def build() -> object:
        class Other(api.StopEvent):
            pass

        class Flow(api.Workflow):
            @api.step
            async def a(self, ev: api.StartEvent) -> api.StopEvent | Other:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowConfigurationError, build)


def test_an_event_nobody_takes_is_refused(api: Api) -> None:
    def build() -> object:
        class Lost(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def a(self, ev: api.StartEvent) -> Lost | api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "Lost" in refused(api.WorkflowValidationError, build)


def test_an_event_nobody_makes_is_refused(api: Api) -> None:
    def build() -> object:
        class Never(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def a(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

            @api.step
            async def b(self, ev: Never) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "Never" in refused(api.WorkflowValidationError, build)


def test_a_step_that_takes_a_stop_event_is_refused(api: Api) -> None:
    def build() -> object:
        class Flow(api.Workflow):
            @api.step
            async def a(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

            @api.step
            async def b(self, ev: api.StopEvent) -> None:
                return None

        return Flow()

    assert "StopEvent" in refused(api.WorkflowValidationError, build)


def island(api: Api, **options: object) -> type:
    """A workflow with two steps that feed each other and that nothing else reaches or leaves."""

    class Ping(api.Event):
        pass

    class Pong(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result="end")

        @api.step(**options)
        async def ping(self, ev: Pong) -> Ping:
            return Ping()

        @api.step(**options)
        async def pong(self, ev: Ping) -> Pong:
            return Pong()

    return Flow


def test_unreachable_steps_are_refused(api: Api) -> None:
    message = refused(api.WorkflowValidationError, lambda: island(api)())
    assert "ping" in message or "pong" in message


def test_a_step_that_never_reaches_the_end_is_refused(api: Api) -> None:
    def build() -> object:
        class Round(api.Event):
            pass

        class Flow(api.Workflow):
            @api.step
            async def only(self, ev: api.StartEvent) -> api.StopEvent | Round:
                return api.StopEvent()

            @api.step
            async def circle(self, ev: Round) -> Round:
                return Round()

        return Flow()

    assert "circle" in refused(api.WorkflowValidationError, build)


def test_graph_checks_can_be_skipped_for_a_step(api: Api) -> None:
    assert run(island(api, skip_graph_checks=["reachability", "dead_end"])()) == "end"


def test_graph_checks_can_be_skipped_for_a_workflow(api: Api) -> None:
    Flow = island(api, skip_graph_checks=["reachability", "dead_end"])
    assert run(Flow(skip_graph_checks={"reachability", "dead_end"})) == "end"


def test_an_unknown_graph_check_is_refused(api: Api) -> None:
    with pytest.raises(api.WorkflowValidationError, match="spelling"):
        linear(api)(skip_graph_checks={"spelling"})


def test_validate_says_whether_a_person_takes_part(api: Api) -> None:
    class Asking(api.Workflow):
        @api.step
        async def ask(self, ev: api.StartEvent) -> api.InputRequiredEvent:
            return api.InputRequiredEvent()

        @api.step
        async def end(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent()

    assert linear(api)().validate() is False
    assert Asking().validate() is True


def test_disabled_validation_lets_a_sound_workflow_run(api: Api) -> None:
    assert run(linear(api)(disable_validation=True)) == 1


@pytest.mark.parametrize("number", [0, -2, 1.5, True])
def test_num_concurrent_runs_is_a_positive_whole_number(api: Api, number: object) -> None:
    with pytest.raises(api.WorkflowValidationError, match="num_concurrent_runs"):
        linear(api)(num_concurrent_runs=number)


def test_the_classes_of_start_and_stop_are_known(api: Api) -> None:
    class Begin(api.StartEvent):
        topic: str

    class End(api.StopEvent):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: Begin) -> End:
            return End(text=ev.topic)

    assert (Flow().start_event_class, Flow().stop_event_class) == (Begin, End)
    assert linear(api)().start_event_class is api.StartEvent
    assert linear(api)().stop_event_class is api.StopEvent


def test_events_lists_every_event_once(api: Api) -> None:
    names = sorted(event.__name__ for event in linear(api)().events)
    assert names == ["Middle", "StartEvent", "StopEvent"]


def test_a_name_given_to_a_workflow_is_its_name(api: Api) -> None:
    assert linear(api)(workflow_name="orders").workflow_name == "orders"


def test_the_name_of_a_workflow_is_its_module_and_class(api: Api) -> None:
    Flow = linear(api)
    assert Flow().workflow_name == f"{Flow.__module__}.{Flow.__qualname__}"


def test_a_subclass_inherits_steps(api: Api) -> None:
    class Child(linear(api)):
        pass

    assert run(Child()) == 1


def test_a_subclass_overrides_a_step(api: Api) -> None:
    Flow = linear(api)

    class Child(Flow):
        @api.step
        async def first(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result="child")

        @api.step
        async def second(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent()

    assert run(Child()) == "child"
    assert run(Flow()) == 1


def test_an_override_calls_the_step_it_replaces(api: Api) -> None:
    class Parent(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=1)

    class Child(Parent):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            stop = await super().only(ev)
            return api.StopEvent(result=stop.result + 1)

    assert run(Child()) == 2


def test_an_override_without_step_removes_the_step(api: Api) -> None:
    class Parent(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result="parent")

        @api.step
        async def other(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent()

    class Child(Parent):
        async def other(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent()

    assert api.HumanResponseEvent in Parent().events
    assert api.HumanResponseEvent not in Child().events
    assert run(Child()) == "parent"


def test_a_mixin_gives_steps(api: Api) -> None:
    class Middle(api.Event):
        pass

    class Ending:
        @api.step
        async def end(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result="mixed")

    class Flow(Ending, api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> Middle:
            return Middle()

    assert run(Flow()) == "mixed"


def test_attributes_set_in_the_constructor_are_seen_by_steps(api: Api) -> None:
    class Flow(api.Workflow):
        def __init__(self, model: str, **options: object) -> None:
            super().__init__(**options)
            self.model = model

        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=self.model + self.suffix())

        def suffix(self) -> str:
            return "!"

    assert run(Flow("tiny", timeout=10)) == "tiny!"


def test_a_step_can_still_be_called_as_a_method(api: Api) -> None:
    async def main() -> None:
        stop = await linear(api)().first(api.StartEvent())
        assert stop.n == 1

    go(main())


def test_a_default_parameter_that_is_no_event_is_left_alone(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent, unused: Annotated[int, "a note"] = 3) -> api.StopEvent:
            return api.StopEvent(result=unused)

    assert run(Flow()) == 3


def test_the_default_timeout_is_45_seconds(api: Api) -> None:
    assert inspect.signature(api.Workflow).parameters["timeout"].default == 45.0


def test_verbose_changes_no_result(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(linear(api)(verbose=True)) == 1
    assert "first" in capsys.readouterr().out


def test_a_subclass_reaches_a_step_that_accepts_subclasses(api: Api) -> None:
    class Parent(api.Event):
        n: int

    class Child(Parent):
        pass

    class Flow(api.Workflow):
        @api.step
        async def make(self, ev: api.StartEvent) -> Child:
            return Child(n=7)

        @api.step(accept_event_subclasses=True)
        async def take(self, ev: Parent) -> api.StopEvent:
            return api.StopEvent(result=(type(ev).__name__, ev.n))

    assert run(Flow()) == ("Child", 7)


def test_a_subclass_is_not_taken_for_its_base_otherwise(api: Api) -> None:
    def build() -> object:
        class Parent(api.Event):
            pass

        class Child(Parent):
            pass

        class Flow(api.Workflow):
            @api.step
            async def make(self, ev: api.StartEvent) -> Child:
                return Child()

            @api.step
            async def take(self, ev: Parent) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    refused(api.WorkflowValidationError, build)


def test_a_flow_made_in_a_running_loop_and_before_it_both_run(api: Api) -> None:
    before = linear(api)()

    async def main() -> list[object]:
        return list(await asyncio.gather(before.run(), linear(api)().run()))

    assert go(main()) == [1, 1]


def test_a_base_class_may_be_unfinished(api: Api) -> None:
    class Middle(api.Event):
        n: int

    class Unfinished(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Middle:
            return Middle(n=self.number())

        def number(self) -> int:
            raise NotImplementedError

    class Finished(Unfinished):
        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result=ev.n)

        def number(self) -> int:
            return 9

    assert run(Finished()) == 9


def test_settings_may_be_given_by_position(api: Api) -> None:
    assert run(linear(api)(10.0, False, False)) == 1


def test_two_classes_may_have_steps_of_one_name(api: Api) -> None:
    first, second = linear(api), linear(api)
    assert (run(first()), run(second())) == (1, 1)


def test_step_functions_of_a_module_know_their_class(api: Api) -> None:
    program = api.program("free_functions")
    assert [step.__name__ for step in (program.begin, program.end)] == ["begin", "end"]
    assert run(program.Free(), n=1) == 12
