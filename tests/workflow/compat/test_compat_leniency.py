"""Leniency: sloppy programs that run on llama-index-workflows run here too, with the same result.

An error belongs where such a program would wait for its timeout (group 5 of test_beats.py), not where it ends well.
"""

import asyncio
import logging

import pytest
from drive import run
from roots import Api


def test_a_stop_event_that_is_not_declared_ends_the_run(api: Api) -> None:
    class Middle(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Middle:
            return api.StopEvent(result="early") if ev.stop else Middle()

        @api.step
        async def second(self, ev: Middle) -> api.StopEvent:
            return api.StopEvent(result="late")

    assert (run(Flow(), stop=True), run(Flow(), stop=False)) == ("early", "late")


def test_a_stop_event_of_a_subclass_ends_the_run(api: Api) -> None:
    class Special(api.StopEvent):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return Special(result=3)

    assert run(Flow()).result == 3


def test_an_event_that_is_not_declared_reaches_the_step_that_takes_it(api: Api) -> None:
    class Again(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> Again:
            return Again(n=0)

        @api.step
        async def circle(self, ev: Again) -> api.StopEvent:
            return Again(n=ev.n + 1) if ev.n < 3 else api.StopEvent(result=ev.n)

    assert run(Flow()) == 3


def test_none_need_not_be_declared(api: Api) -> None:
    class Part(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> Part:
            for n in range(3):
                ctx.send_event(Part(n=n))

        @api.step
        async def end(self, ctx: api.Context, ev: Part) -> api.StopEvent:
            parts = ctx.collect_events(ev, [Part] * 3)
            if parts is None:
                return None
            return api.StopEvent(result=len(parts))

    assert run(Flow()) == 3


def test_an_event_sent_to_nobody_does_not_harm_a_run_that_ends(api: Api) -> None:
    class Stray(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            ctx.send_event(Stray())
            await asyncio.sleep(0.01)
            return api.StopEvent(result="end")

    assert run(Flow()) == "end"


def test_arguments_beside_a_start_event_are_left_alone(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=(ev.n, ev.get("other")))

    with caplog.at_level(logging.WARNING):
        assert run(Flow(), start_event=api.StartEvent(n=1), other=2) == (1, None)
    assert "other" in caplog.text


def test_every_name_may_be_a_field_of_the_start_event(api: Api) -> None:
    fields = {"timeout": 3, "workflow": "w", "start": "s", "journal": "j", "timeout_s": 4, "items": [1], "name": "n"}

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result={name: ev[name] for name in fields})

    assert run(Flow(), **fields) == fields


# A class with a first and a last step is checked here when it is defined, before any object can ask for less. The same
# object settings hold once the class leaves its check to its objects: `class Flow(Workflow, abstract=True)`.


def hiding(api: Api, **options: bool) -> type:
    class Hidden(api.Event):
        pass

    class Flow(api.Workflow, **options):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent | None:
            ctx.send_event(Hidden())
            return None

        @api.step
        async def end(self, ev: Hidden) -> api.StopEvent:
            return api.StopEvent(result="end")

    return Flow


def test_disabled_validation_lets_an_event_through_that_no_step_declares(peer: Api) -> None:
    assert run(hiding(peer)(disable_validation=True)) == "end"


def test_disabled_validation_does_so_here_where_the_class_leaves_the_check_to_its_objects(ours: Api) -> None:
    assert run(hiding(ours, abstract=True)(disable_validation=True)) == "end"
    with pytest.raises(ours.WorkflowValidationError, match="Hidden"):
        hiding(ours, abstract=True)()
    with pytest.raises(ours.WorkflowValidationError, match="Hidden"):
        hiding(ours)


def circling(api: Api, **options: bool) -> type:
    class Ping(api.Event):
        pass

    class Pong(api.Event):
        pass

    class Flow(api.Workflow, **options):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result="end")

        @api.step
        async def ping(self, ev: Pong) -> Ping:
            return Ping()

        @api.step
        async def pong(self, ev: Ping) -> Pong:
            return Pong()

    return Flow


def test_graph_checks_skipped_by_the_object_alone(peer: Api) -> None:
    assert run(circling(peer)(skip_graph_checks={"reachability", "dead_end"})) == "end"


def test_graph_checks_are_skipped_by_the_object_here_where_the_class_leaves_them_to_it(ours: Api) -> None:
    assert run(circling(ours, abstract=True)(skip_graph_checks={"reachability", "dead_end"})) == "end"
    with pytest.raises(ours.WorkflowValidationError, match="never reached"):
        circling(ours, abstract=True)(skip_graph_checks={"dead_end"})
    with pytest.raises(ours.WorkflowValidationError, match="never reached"):
        circling(ours)


def test_a_parameter_with_a_default_that_is_no_event_is_left_alone(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent, limit: int = 3) -> api.StopEvent:
            return api.StopEvent(result=limit)

    assert run(Flow()) == 3
