"""Failure: which exception reaches the caller, and `@catch_error` handlers, scoped, for all, and how often."""

import asyncio
import traceback
from datetime import UTC
from typing import Any

import pytest
from drive import go, read, refused, run
from roots import Api


class Broken(Exception):
    pass


def test_the_exception_of_a_step_is_the_exception_of_the_run(api: Api) -> None:
    error = Broken("here")

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise error

    with pytest.raises(Broken) as caught:
        run(Flow())
    assert caught.value is error
    assert "only" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_a_failure_in_one_of_many_parts_fails_the_run(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(5)]

        @api.step
        async def work(self, ev: Work) -> Done:
            if ev.n == 3:
                raise Broken("part 3")
            return Done()

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent()

    with pytest.raises(Broken, match="part 3"):
        run(Flow())


def guarded(api: Api, **options: Any) -> type:
    """`work` fails; `rescue` is its handler and stops with the fields of the failure."""

    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> Work:
            return Work(n=5)

        @api.step(retry_policy=api.retry_policy(wait=api.wait_none(), stop=api.stop_after_attempt(2)))
        async def work(self, ev: Work) -> api.StopEvent:
            raise Broken("no")

        @api.catch_error(**options)
        async def rescue(self, ctx: api.Context, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=ev)

    return Flow


def test_a_handler_for_a_step_gets_the_failure(api: Api) -> None:
    failed = run(guarded(api, for_steps=["work"])())
    assert isinstance(failed, api.StepFailedEvent)
    assert (failed.step_name, failed.attempts, failed.input_event.n) == ("work", 2, 5)
    assert isinstance(failed.exception, Broken)
    assert failed.elapsed_seconds >= 0
    assert failed.failed_at.tzinfo is UTC


def test_a_handler_for_all_steps_gets_the_failure(api: Api) -> None:
    assert run(guarded(api)()).step_name == "work"


def test_a_handler_takes_no_parentheses(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise Broken("no")

        @api.catch_error
        async def rescue(self, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.step_name)

    assert run(Flow()) == "only"


def test_a_handler_can_send_the_run_on(api: Api) -> None:
    class Fetched(api.Event):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def fetch(self, ev: api.StartEvent) -> Fetched:
            raise Broken("no network")

        @api.step
        async def show(self, ev: Fetched) -> api.StopEvent:
            return api.StopEvent(result=ev.text)

        @api.catch_error(for_steps=["fetch"])
        async def fall_back(self, ev: api.StepFailedEvent) -> Fetched:
            return Fetched(text="from the cache")

    assert run(Flow()) == "from the cache"


def test_a_scoped_handler_goes_before_the_one_for_all(api: Api) -> None:
    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Next:
            if ev.fail == "first":
                raise Broken("first")
            return Next()

        @api.step
        async def second(self, ev: Next) -> api.StopEvent:
            raise Broken("second")

        @api.catch_error(for_steps=["first"])
        async def scoped(self, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=("scoped", ev.step_name))

        @api.catch_error
        async def general(self, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=("general", ev.step_name))

    assert run(Flow(), fail="first") == ("scoped", "first")
    assert run(Flow(), fail="second") == ("general", "second")


def test_a_handler_for_other_steps_is_not_asked(api: Api) -> None:
    class Next(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def first(self, ev: api.StartEvent) -> Next:
            return Next()

        @api.step
        async def second(self, ev: Next) -> api.StopEvent:
            raise Broken("second")

        @api.catch_error(for_steps=["first"])
        async def scoped(self, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent()

    with pytest.raises(Broken, match="second"):
        run(Flow())


def looping(api: Api, **options: Any) -> tuple[Any, list[int]]:
    """A step that always fails and a handler that sends the same work again."""
    rescued: list[int] = []

    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> Work:
            return Work(n=0)

        @api.step
        async def work(self, ev: Work) -> api.StopEvent:
            raise Broken(f"work {ev.n}")

        @api.catch_error(for_steps=["work"], **options)
        async def rescue(self, ev: api.StepFailedEvent) -> Work:
            rescued.append(ev.input_event.n)
            return Work(n=ev.input_event.n + 1)

    return Flow(), rescued


@pytest.mark.parametrize(("options", "times"), [({}, 1), ({"max_recoveries": 3}, 3)])
def test_a_handler_helps_as_often_as_it_may(api: Api, options: dict[str, int], times: int) -> None:
    flow, rescued = looping(api, **options)
    with pytest.raises(Broken, match=f"work {times}"):
        run(flow)
    assert rescued == list(range(times))


def test_each_part_of_a_fan_out_is_rescued_by_itself(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Done(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=n) for n in range(4)]

        @api.step
        async def work(self, ev: Work) -> Done:
            if ev.n % 2:
                raise Broken("odd")
            return Done(n=ev.n)

        @api.catch_error(for_steps=["work"])
        async def rescue(self, ev: api.StepFailedEvent) -> Done:
            return Done(n=-ev.input_event.n)

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.n for event in done))

    assert run(Flow()) == [-3, -1, 0, 2]


def test_a_handler_that_raises_fails_the_run_with_its_own_exception(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            raise KeyError("first")

        @api.catch_error
        async def rescue(self, ev: api.StepFailedEvent) -> api.StopEvent:
            raise Broken("second")

    with pytest.raises(Broken, match="second"):
        run(Flow())


def test_a_rescued_run_streams_no_failure(api: Api) -> None:
    async def main() -> list[str]:
        return [type(event).__name__ for event in await read(guarded(api)().run())]

    assert go(main()) == ["StopEvent"]


def test_a_handler_may_use_the_state(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await ctx.store.set("a", 1)
            raise Broken("no")

        @api.catch_error
        async def rescue(self, ctx: api.Context, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=await ctx.store.get("a"))

    assert run(Flow()) == 1


def test_a_handler_for_an_unknown_step_is_refused(api: Api) -> None:
    assert "nobody" in refused(api.WorkflowValidationError, lambda: guarded(api, for_steps=["nobody"])())


def test_two_handlers_for_all_steps_are_refused(api: Api) -> None:
    def build() -> Any:
        class Flow(guarded(api)):
            @api.catch_error
            async def other(self, ev: api.StepFailedEvent) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "other" in refused(api.WorkflowValidationError, build)


def test_two_handlers_for_one_step_are_refused(api: Api) -> None:
    def build() -> Any:
        class Flow(guarded(api, for_steps=["work"])):
            @api.catch_error(for_steps=["work"])
            async def other(self, ev: api.StepFailedEvent) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "work" in refused(api.WorkflowValidationError, build)


@pytest.mark.parametrize("options", [{"max_recoveries": 0}, {"for_steps": "work"}, {"for_steps": [1]}])
def test_wrong_arguments_of_a_handler_are_refused(api: Api, options: dict[str, Any]) -> None:
    refused(api.WorkflowValidationError, lambda: guarded(api, **options)())


def test_a_handler_takes_the_failure_event_only(api: Api) -> None:
    def build() -> Any:
        class Flow(api.Workflow):
            @api.step
            async def only(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

            @api.catch_error
            async def rescue(self, ev: api.StartEvent) -> api.StopEvent:
                return api.StopEvent()

        return Flow()

    assert "rescue" in refused(api.WorkflowValidationError, build)


def test_the_failure_of_a_join_carries_the_events_it_was_given(api: Api) -> None:
    class Work(api.Event):
        n: int

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(n=1), Work(n=2)]

        @api.step
        async def join(self, works: list[Work]) -> api.StopEvent:
            raise Broken("no")

        @api.catch_error
        async def rescue(self, ev: api.StepFailedEvent) -> api.StopEvent:
            return api.StopEvent(result=[event.n for event in ev.input_event.events])

    assert run(Flow()) == [1, 2]


def test_a_timeout_inside_a_step_is_a_failure_of_the_step(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(3600)
            return api.StopEvent()

    with pytest.raises(TimeoutError) as caught:
        run(Flow())
    assert not isinstance(caught.value, api.WorkflowTimeoutError)


def test_a_group_of_exceptions_reaches_the_caller(api: Api) -> None:
    async def fail() -> None:
        raise Broken("in a group")

    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
            return api.StopEvent()

    with pytest.raises(ExceptionGroup) as caught:
        run(Flow())
    assert [type(error) for error in caught.value.exceptions] == [Broken]
