"""People: questions and answers by events between steps, and by `ctx.wait_for_event` inside a step."""

import asyncio
import contextlib
from typing import Any

import pytest
from drive import go, read, until
from roots import Api


async def answer(handler: Any, question: type, reply: Any) -> list[Any]:
    """Read the stream; to every `question` send `reply(question)`. All the questions, in order."""
    asked = []
    async for event in handler.stream_events():
        if isinstance(event, question):
            asked.append(event)
            handler.ctx.send_event(reply(event))
    return asked


def waiting(api: Api, **options: Any) -> type:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent, **options)
            return api.StopEvent(result=reply.response)

    return Flow


def test_a_question_and_an_answer_of_ones_own_types(api: Api) -> None:
    class Question(api.InputRequiredEvent):
        text: str

    class Reply(api.HumanResponseEvent):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def ask(self, ev: api.StartEvent) -> Question:
            return Question(text="Name? ")

        @api.step
        async def greet(self, ev: Reply) -> api.StopEvent:
            return api.StopEvent(result=f"Hello {ev.text}")

    async def main() -> None:
        handler = Flow().run()
        asked = await answer(handler, Question, lambda question: Reply(text=f"<{question.text}>"))
        assert len(asked) == 1
        assert await handler == "Hello <Name? >"

    go(main())


def test_questions_follow_each_other(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def begin(self, ctx: api.Context, ev: api.StartEvent) -> api.InputRequiredEvent:
            await ctx.store.set("answers", [])
            return api.InputRequiredEvent(number=1)

        @api.step
        async def again(self, ctx: api.Context, ev: api.HumanResponseEvent) -> api.InputRequiredEvent | api.StopEvent:
            answers = [*await ctx.store.get("answers"), ev.response]
            await ctx.store.set("answers", answers)
            if len(answers) == 3:
                return api.StopEvent(result=answers)
            return api.InputRequiredEvent(number=len(answers) + 1)

    async def main() -> None:
        handler = Flow().run()
        await answer(
            handler, api.InputRequiredEvent, lambda question: api.HumanResponseEvent(response=question.number * 10)
        )
        assert await handler == [10, 20, 30]

    go(main())


def test_a_step_may_take_the_question_too(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def ask(self, ev: api.StartEvent) -> api.InputRequiredEvent:
            return api.InputRequiredEvent(text="who?")

        @api.step
        async def reply(self, ev: api.InputRequiredEvent) -> api.HumanResponseEvent:
            return api.HumanResponseEvent(response=f"re: {ev.text}")

        @api.step
        async def end(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.response)

    async def main() -> None:
        assert await Flow().run() == "re: who?"

    go(main())


def test_a_step_waits_for_an_answer(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent(prefix="Name? "))().run()
        asked = await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        assert [event.prefix for event in asked] == ["Name? "]
        assert await handler == "Ada"

    go(main())


def test_send_event_of_the_handler_can_be_awaited(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent())().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                await handler.send_event(api.HumanResponseEvent(response="Ada"))
        assert await handler == "Ada"

    go(main())


def test_the_waiter_event_is_streamed_once(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent(), waiter_id="name")().run()
        asked = await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        assert len(asked) == 1

    go(main())


def test_any_event_type_can_be_waited_for(api: Api) -> None:
    class Arrived(api.Event):
        number: int

    class Ready(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            arrived = await ctx.wait_for_event(Arrived, waiter_event=Ready())
            return api.StopEvent(result=arrived.number)

    async def main() -> None:
        handler = Flow().run()
        await answer(handler, Ready, lambda _: Arrived(number=4))
        assert await handler == 4

    go(main())


def test_an_answer_that_does_not_meet_the_requirements_is_passed_over(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent(), requirements={"user": "ada"})().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                handler.ctx.send_event(api.HumanResponseEvent(user="bob", response="wrong"))
                handler.ctx.send_event(api.HumanResponseEvent(user="ada", response="right"))
        assert await handler == "right"

    go(main())


def test_waits_with_ids_of_their_own_get_their_own_answers(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            replies = []
            for name in ("first", "second"):
                reply = await ctx.wait_for_event(
                    api.HumanResponseEvent,
                    waiter_event=api.InputRequiredEvent(name=name),
                    waiter_id=name,
                    requirements={"name": name},
                )
                replies.append(reply.response)
            return api.StopEvent(result=replies)

    async def main() -> None:
        handler = Flow().run()
        asked = await answer(
            handler,
            api.InputRequiredEvent,
            lambda question: api.HumanResponseEvent(name=question.name, response=question.name.upper()),
        )
        assert [question.name for question in asked] == ["first", "second"]
        assert await handler == ["FIRST", "SECOND"]

    go(main())


def test_several_runs_of_one_step_wait_at_once(api: Api) -> None:
    class Work(api.Event):
        name: str

    class Done(api.Event):
        text: str

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return [Work(name=name) for name in ("a", "b", "c")]

        @api.step
        async def ask(self, ctx: api.Context, ev: Work) -> Done:
            reply = await ctx.wait_for_event(
                api.HumanResponseEvent,
                waiter_event=api.InputRequiredEvent(name=ev.name),
                waiter_id=ev.name,
                requirements={"name": ev.name},
            )
            return Done(text=reply.response)

        @api.step
        async def end(self, done: list[Done]) -> api.StopEvent:
            return api.StopEvent(result=sorted(event.text for event in done))

    async def main() -> None:
        handler = Flow().run()
        await answer(
            handler,
            api.InputRequiredEvent,
            lambda question: api.HumanResponseEvent(name=question.name, response=question.name.upper()),
        )
        assert await handler == ["A", "B", "C"]

    go(main())


def test_a_wait_that_takes_too_long_is_a_timeout_in_the_step(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            try:
                await ctx.wait_for_event(api.HumanResponseEvent, timeout=0.1)
            except TimeoutError:
                return api.StopEvent(result="nobody came")
            return api.StopEvent(result="somebody came")

    async def main() -> None:
        assert await Flow().run() == "nobody came"

    go(main())


def test_a_wait_that_takes_too_long_fails_the_run_when_it_is_not_caught(api: Api) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError, match="HumanResponseEvent"):
            await waiting(api, timeout=0.1)().run()

    go(main())


def test_an_answer_in_time_beats_the_timeout_of_a_wait(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent(), timeout=10)().run()
        await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        assert await handler == "Ada"

    go(main())


def test_time_spent_waiting_for_a_person_counts_towards_the_timeout(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api)(timeout=0.1).run()
        with pytest.raises(api.WorkflowTimeoutError):
            await handler

    go(main())


def test_a_run_that_waits_can_be_cancelled(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent())().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                await handler.cancel_run()
        with pytest.raises(api.WorkflowCancelledByUser):
            await handler

    go(main())


def test_other_steps_go_on_while_one_waits(api: Api) -> None:
    class Side(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def ask(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent)
            return api.StopEvent(result=(reply.response, await ctx.store.get("side")))

        @api.step
        async def side(self, ctx: api.Context, ev: api.StartEvent) -> None:
            await ctx.store.set("side", "done")
            ctx.write_event_to_stream(Side())

    async def main() -> None:
        handler = Flow().run()
        await answer(handler, Side, lambda _: api.HumanResponseEvent(response="Ada"))
        assert await handler == ("Ada", "done")

    go(main())


def test_the_answer_is_the_object_that_was_sent(api: Api) -> None:
    reply = api.HumanResponseEvent(response="Ada")

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(
                result=await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent()) is reply
            )

    async def main() -> None:
        handler = Flow().run()
        await answer(handler, api.InputRequiredEvent, lambda _: reply)
        assert await handler is True

    go(main())


def test_an_event_can_be_sent_to_one_step_from_outside(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> api.InputRequiredEvent:
            return api.InputRequiredEvent()

        @api.step
        async def left(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent(result="left")

        @api.step
        async def right(self, ev: api.HumanResponseEvent) -> api.StopEvent:
            return api.StopEvent(result="right")

    async def main() -> None:
        handler = Flow().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                handler.ctx.send_event(api.HumanResponseEvent(), step="right")
        assert await handler == "right"

    go(main())


def test_an_event_for_an_unknown_step_is_refused_from_outside(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent())().run()
        with pytest.raises(api.WorkflowRuntimeError, match="nobody"):
            handler.ctx.send_event(api.HumanResponseEvent(), step="nobody")
        await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        assert await handler == "Ada"

    go(main())


def test_code_after_the_wait_runs_once(api: Api) -> None:
    after: list[str] = []

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            after.append(reply.response)
            ctx.write_event_to_stream(api.Event(n=1))
            return api.StopEvent()

    async def main() -> None:
        handler = Flow().run()
        events = []
        async for event in handler.stream_events():
            events.append(type(event).__name__)
            if isinstance(event, api.InputRequiredEvent):
                handler.ctx.send_event(api.HumanResponseEvent(response="Ada"))
        assert after == ["Ada"]
        assert events == ["InputRequiredEvent", "Event", "StopEvent"]

    go(main())


def test_a_stream_may_be_left_to_ask_and_read_on_after(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent())().run()
        async for event in handler.stream_events():
            if isinstance(event, api.InputRequiredEvent):
                break
        handler.ctx.send_event(api.HumanResponseEvent(response="Ada"))
        assert [type(event).__name__ for event in await read(handler)] == ["StopEvent"]
        assert await handler == "Ada"

    go(main())


def test_a_function_called_by_a_step_may_wait(api: Api) -> None:
    async def ask(ctx: Any, text: str) -> str:
        reply = await ctx.wait_for_event(
            api.HumanResponseEvent,
            waiter_event=api.InputRequiredEvent(prefix=text),
            waiter_id=text,
            requirements={"about": text},
        )
        return reply.response

    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            if await ask(ctx, "sure?") != "yes":
                return api.StopEvent(result="left")
            return api.StopEvent(result=await ask(ctx, "really?"))

    async def main() -> None:
        handler = Flow().run()
        asked = await answer(
            handler,
            api.InputRequiredEvent,
            lambda question: api.HumanResponseEvent(about=question.prefix, response="yes"),
        )
        assert [question.prefix for question in asked] == ["sure?", "really?"]
        assert await handler == "yes"

    go(main())


def test_an_event_after_the_end_of_a_run_changes_nothing(api: Api) -> None:
    async def main() -> None:
        handler = waiting(api, waiter_event=api.InputRequiredEvent())().run()
        await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        # Ignored there; saying that it comes too late is allowed.
        with contextlib.suppress(api.WorkflowRuntimeError):
            handler.ctx.send_event(api.HumanResponseEvent(response="Bob"))
        await asyncio.sleep(0.02)
        assert await handler == "Ada"

    go(main())


def test_an_answer_sent_before_the_question_does_not_end_the_wait(api: Api) -> None:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            await ctx.store.set("started", True)
            await asyncio.sleep(0.1)
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            return api.StopEvent(result=reply.response)

    async def main() -> None:
        handler = Flow().run()
        await asyncio.sleep(0.02)
        handler.ctx.send_event(api.HumanResponseEvent(response="too early"))
        await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="in time"))
        assert await handler == "in time"

    go(main())


def test_an_answer_goes_to_a_waiting_step_and_to_a_step_that_takes_it(api: Api) -> None:
    taken: list[str] = []

    class Flow(api.Workflow):
        @api.step
        async def ask(self, ctx: api.Context, ev: api.StartEvent) -> api.StopEvent:
            reply = await ctx.wait_for_event(api.HumanResponseEvent, waiter_event=api.InputRequiredEvent())
            await until(lambda: bool(taken))
            return api.StopEvent(result=(reply.response, taken))

        @api.step
        async def log(self, ev: api.HumanResponseEvent) -> None:
            taken.append(ev.response)

    async def main() -> None:
        handler = Flow().run()
        await answer(handler, api.InputRequiredEvent, lambda _: api.HumanResponseEvent(response="Ada"))
        assert await handler == ("Ada", ["Ada"])

    go(main())
