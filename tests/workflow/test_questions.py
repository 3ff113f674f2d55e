"""Steps that wait for somebody outside, that remember what they did once, and that sleep."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from citewell.workflow import (
    AnswerRefused,
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    MemoryJournal,
    PlainEvent,
    PlainHumanResponseEvent,
    PlainStartEvent,
    StopEvent,
    Workflow,
    WorkflowCancelledByUser,
    WorkflowHandler,
    WorkflowRuntimeError,
    WorkflowTimeoutError,
    launch,
    outside,
    step,
)
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Item(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Reply(PlainHumanResponseEvent):
    text: str
    to: int = 0


class Ask(InputRequiredEvent):
    prompt: str


class Loose(HumanResponseEvent):
    pass


AGAIN = retry_policy(wait=wait_none(), stop=stop_after_attempt(3))
both_ways = pytest.mark.parametrize("recorded", [False, True], ids=["in_memory", "recorded"])


def drive(
    workflow: Workflow,
    play: Callable[[WorkflowHandler], Awaitable[None]],
    start: PlainStartEvent | None = None,
    *,
    journal: MemoryJournal | None = None,
    recorded: bool = False,
    timeout_s: float | None = None,
) -> Any:
    """Start the workflow, play the people, and give the result."""

    async def main() -> Any:
        kept = MemoryJournal() if recorded and journal is None else journal
        handler = launch(workflow, start or Go(), journal=kept, run_id="r", timeout_s=timeout_s)
        await play(handler)
        return await asyncio.wait_for(handler, 5)

    return asyncio.run(main())


async def shown(handler: WorkflowHandler, count: int) -> list[Ask]:
    """The first questions, once so many were asked."""
    found: list[Ask] = []
    async for event in handler.stream_events(after=0):
        if isinstance(event, Ask):
            found.append(event)
        if len(found) == count:
            break
    return found


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for is the engine's, which sets no event
        await asyncio.sleep(0.001)


async def waiting(handler: WorkflowHandler, count: int) -> None:
    """Return once so many questions are open."""
    await until(lambda: len(handler._run.reducer.waits or {}) == count)


class Once(Workflow):
    """Asks once, and says how often its step began."""

    def __init__(self, **terms: Any) -> None:
        super().__init__()
        self.terms = terms
        self.began = 0

    @step
    async def ask(self, ctx: Context, event: Go) -> StopEvent:
        self.began += 1
        answer = await ctx.wait_for_event(Reply, Ask(prompt="?"), **self.terms)
        return StopEvent((answer.text, self.began))


@both_ways
def test_the_question_is_shown_and_the_step_goes_on_with_the_answer(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        assert [one.prompt for one in await shown(handler, 1)] == ["?"]
        await handler.send_event(Reply("yes"))

    assert drive(Once(), play, recorded=recorded) == ("yes", 1)


class Two(Workflow):
    @step
    async def ask(self, ctx: Context, event: Go) -> StopEvent:
        first = await ctx.wait_for_event(Reply, Ask(prompt="first"))
        second = await ctx.wait_for_event(Reply, Ask(prompt="second"))
        return StopEvent([first.text, second.text])


@both_ways
def test_two_waits_for_one_type_in_one_step_take_their_answers_in_order(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 1)
        await handler.send_event(Reply("a"))
        await shown(handler, 2)
        await handler.send_event(Reply("b"))

    assert drive(Two(), play, recorded=recorded) == ["a", "b"]


class AtOnce(Workflow):
    @step
    async def ask(self, ctx: Context, event: Go) -> StopEvent:
        waits = [ctx.wait_for_event(Reply, Ask(prompt=str(n)), waiter_id=f"q{n}") for n in range(3)]
        return StopEvent([answer.text for answer in await asyncio.gather(*waits)])


@both_ways
def test_questions_that_a_step_asks_at_once_are_answered_oldest_first(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 3)
        for text in "abc":
            await handler.send_event(Reply(text))

    assert drive(AtOnce(), play, recorded=recorded) == ["a", "b", "c"]


@dataclasses.dataclass(frozen=True, slots=True)
class Answered(PlainEvent):
    n: int
    text: str


class Several(Workflow):
    """One question for each item; which answer belongs to which is said by the requirements."""

    def __init__(self) -> None:
        super().__init__()
        self.open = self.most_open = self.busy = self.most_busy = 0

    @step
    async def scatter(self, event: Go) -> list[Item]:
        return [Item(n) for n in range(event.n)]

    @step(num_workers=2)
    async def ask(self, ctx: Context, event: Item) -> Answered:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        answer = await ctx.wait_for_event(Reply, Ask(prompt=str(event.n)), requirements={"to": event.n})
        self.open -= 1
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        await asyncio.sleep(0.002)
        self.busy -= 1
        return Answered(event.n, answer.text)

    @step
    async def gather(self, events: list[Answered]) -> StopEvent:
        return StopEvent(sorted((event.n, event.text) for event in events))


@both_ways
def test_answers_in_any_order_find_the_question_whose_requirements_they_meet(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 6)
        await handler.send_event(Reply("nobody's", to=99))
        for n in (3, 0, 5, 1, 4, 2):
            await handler.send_event(Reply(f"answer {n}", to=n))

    assert drive(Several(), play, Go(6), recorded=recorded) == [(n, f"answer {n}") for n in range(6)]


@both_ways
def test_a_step_that_waits_keeps_no_worker_busy_and_takes_one_again_to_go_on(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 6)
        await waiting(handler, 6)
        for n in range(6):
            await handler.send_event(Reply("", to=n))

    workflow = Several()
    drive(workflow, play, Go(6), recorded=recorded)
    assert (workflow.most_open, workflow.most_busy) == (6, 2)


class Undeclared(Workflow):
    """Requirements that are met by undeclared fields."""

    @step
    async def ask(self, ctx: Context, event: Go) -> StopEvent:
        answer = await ctx.wait_for_event(Loose, Ask(prompt="?"), requirements={"user": "ann"})
        return StopEvent(answer.text)


@both_ways
def test_requirements_see_undeclared_fields_and_an_event_without_the_field_does_not_fit(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 1)
        await handler.send_event(Loose(text="nobody's"))
        await handler.send_event(Loose(text="bob's", user="bob"))
        await handler.send_event(Loose(text="ann's", user="ann"))

    assert drive(Undeclared(), play, recorded=recorded) == "ann's"


class Both(Workflow):
    @step
    async def one(self, ctx: Context, event: Go) -> Answered:
        return Answered(1, (await ctx.wait_for_event(Reply, Ask(prompt="one"))).text)

    @step
    async def two(self, ctx: Context, event: Go) -> Answered:
        return Answered(2, (await ctx.wait_for_event(Reply, Ask(prompt="two"))).text)

    @step
    async def end(self, ctx: Context, event: Answered) -> StopEvent | None:
        got = ctx.collect_events(event, [Answered, Answered])
        return None if got is None else StopEvent(sorted((one.n, one.text) for one in got))


@both_ways
def test_one_answer_is_for_every_step_that_waits_for_it(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 2)
        await handler.send_event(Reply("both"))

    assert drive(Both(), play, recorded=recorded) == [(1, "both"), (2, "both")]


async def nobody(handler: WorkflowHandler) -> None:
    pass


@both_ways
def test_a_question_lapses_with_a_timeout_error_that_names_it(recorded: bool):
    with pytest.raises(TimeoutError, match=r"Nobody answered 'ask/1/Reply:1' in time"):
        drive(Once(timeout=0.01), nobody, recorded=recorded)


@both_ways
def test_a_step_may_go_on_after_its_question_has_lapsed(recorded: bool):
    class Patient(Workflow):
        @step
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            try:
                await ctx.wait_for_event(Reply, Ask(prompt="first"), timeout=0.01)
            except TimeoutError:
                answer = await ctx.wait_for_event(Reply, Ask(prompt="second"), timeout=60)
                return StopEvent(answer.text)
            return StopEvent("too early")

    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 2)
        await handler.send_event(Reply("late"))

    assert drive(Patient(), play, recorded=recorded) == "late"


def test_the_time_spent_waiting_counts_towards_the_timeout_of_the_run():
    with pytest.raises(WorkflowTimeoutError, match=r"longer than 0.02 s \(running: ask\)"):
        drive(Once(), nobody, timeout_s=0.02)


@both_ways
def test_a_run_without_a_timeout_waits_and_is_not_stuck(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await waiting(handler, 1)
        await asyncio.sleep(0.01)
        assert not handler.is_done()
        await handler.send_event(Reply("now"))

    assert drive(Once(timeout=None), play, recorded=recorded) == ("now", 1)


@both_ways
def test_cancelling_a_run_that_waits_lets_the_step_clean_up(recorded: bool):
    cleaned: list[str] = []

    class Cleans(Workflow):
        @step(num_workers=1)
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            try:
                await ctx.wait_for_event(Reply)
            finally:
                await asyncio.sleep(0)
                cleaned.append("ask")
            return StopEvent()

    async def play(handler: WorkflowHandler) -> None:
        await waiting(handler, 1)
        handler.cancel()

    journal = MemoryJournal() if recorded else None
    with pytest.raises(WorkflowCancelledByUser):
        drive(Cleans(), play, journal=journal)
    assert cleaned == ["ask"]
    if journal is not None:
        assert journal.outcomes["r"].status == "cancelled"
        assert [entry.error for entry in journal.entries["r"] if entry.kind == "step"] == ["cancelled"]


@both_ways
def test_a_run_that_ends_interrupts_the_steps_that_wait(recorded: bool):
    class Race(Workflow):
        @step
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            await ctx.wait_for_event(Reply)
            return StopEvent("answered")

        @step
        async def end(self, event: Go) -> StopEvent:
            await asyncio.sleep(0.005)
            return StopEvent("ended")

    assert drive(Race(), nobody, recorded=recorded) == "ended"


@both_ways
def test_only_those_who_may_answer_can(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        await waiting(handler, 1)
        for by, name in (("bob", "bob"), (None, "Somebody without a name")):
            with pytest.raises(AnswerRefused, match=rf"{name} may not answer 'ask/1/Reply:1' of run r; ann, zoe may"):
                outside.send(handler._run, Reply("no"), by=by)
        assert outside.send(handler._run, Reply("yes"), by="zoe") == ("ask/1/Reply:1",)

    assert drive(Once(who=["zoe", "ann"]), play, recorded=recorded) == ("yes", 1)


class Named(Workflow):
    @step
    async def ask(self, ctx: Context, event: Go) -> StopEvent:
        answers = [
            (await ctx.wait_for_event(Reply, Ask(prompt=name), waiter_id=name, who={name})).text
            for name in ("ann", "bob")
        ]
        return StopEvent(answers)


@both_ways
def test_an_answer_is_recorded_with_its_question_and_its_author(recorded: bool):
    async def play(handler: WorkflowHandler) -> None:
        for count, name in enumerate(("ann", "bob"), 1):
            await shown(handler, count)
            await waiting(handler, 1)
            outside.send(handler._run, Reply(name.upper()), by=name)

    journal = MemoryJournal()
    assert drive(Named(), play, journal=journal if recorded else None) == ["ANN", "BOB"]
    if recorded:
        answers = [(entry.answers, entry.by) for entry in journal.entries["r"] if entry.event == "test_questions:Reply"]
        assert answers == [(("ask/1/ann",), "ann"), (("ask/1/bob",), "bob")]
        waits = [(entry.name, entry.payload["who"]) for entry in journal.entries["r"] if entry.kind == "wait"]
        assert waits == [("ann", ["ann"]), ("bob", ["bob"])]


@both_ways
def test_an_attempt_after_the_answer_does_not_ask_again(recorded: bool):
    class Fails(Workflow):
        @step(retry_policy=AGAIN)
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            answer = await ctx.wait_for_event(Reply, Ask(prompt="?"))
            if ctx.attempt < 3:
                raise ValueError
            return StopEvent((answer.text, ctx.attempt))

    prompts: list[Ask] = []

    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 1)
        await handler.send_event(Reply("once"))
        prompts.extend([event async for event in handler.stream_events(after=0) if isinstance(event, Ask)])

    assert drive(Fails(), play, recorded=recorded) == ("once", 3)
    assert len(prompts) == 1


@both_ways
def test_what_a_step_sends_before_it_waits_leaves_before_the_answer_and_only_once(recorded: bool):
    seen: list[int] = []

    class Sends(Workflow):
        @step(retry_policy=AGAIN)
        async def ask(self, ctx: Context, event: Go) -> Item | StopEvent:
            ctx.send_event(Item(1))
            ctx.send_event(Item(2))
            answer = await ctx.wait_for_event(Reply)
            ctx.send_event(Item(3))
            await asyncio.sleep(0.002)
            if ctx.attempt < 2:
                raise ValueError
            return StopEvent(answer.text)

        @step
        async def log(self, event: Item) -> None:
            seen.append(event.n)

    async def play(handler: WorkflowHandler) -> None:
        await waiting(handler, 1)
        await until(lambda: len(seen) == 2)
        await handler.send_event(Reply("sent"))

    assert drive(Sends(), play, recorded=recorded) == "sent"
    # In a recorded run the third leaves with the outcome, which ends the run.
    assert seen == ([1, 2] if recorded else [1, 2, 3])


@both_ways
def test_what_another_step_sends_may_be_the_answer_even_if_that_one_waits_then(recorded: bool):
    class Inside(Workflow):
        @step
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            item = await ctx.wait_for_event(Item)
            return StopEvent(item.n)

        @step
        async def answer(self, ctx: Context, event: Go) -> Item | None:
            await until(lambda: bool(ctx._inside.reducer.waits))  # type: ignore[attr-defined]
            ctx.send_event(Item(7))
            await ctx.wait_for_event(Reply, timeout=60)

        @step
        async def log(self, event: Item) -> StopEvent | None:
            return None

    assert drive(Inside(), nobody, recorded=recorded, timeout_s=2) == 7


@both_ways
def test_an_event_of_a_step_does_not_answer_a_question_that_is_put_to_certain_people(recorded: bool):
    class Inside(Workflow):
        @step
        async def ask(self, ctx: Context, event: Go) -> StopEvent:
            answer = await ctx.wait_for_event(Reply, Ask(prompt="?"), who=["ann"])
            return StopEvent(answer.text)

        @step
        async def emit(self, ctx: Context, event: Go) -> Reply:
            await until(lambda: bool(ctx._inside.reducer.waits))  # type: ignore[attr-defined]
            ctx.send_event(Reply("sent by a step"))
            return Reply("returned by a step")

        @step
        async def log(self, event: Reply) -> StopEvent | None:
            seen.append(event.text)

    seen: list[str] = []

    async def play(handler: WorkflowHandler) -> None:
        await until(lambda: len(seen) == 2)
        outside.send(handler._run, Reply("ann's"), by="ann")

    assert drive(Inside(), play, recorded=recorded, timeout_s=2) == "ann's"


@both_ways
def test_people_may_answer_a_returned_question_with_an_event_that_a_step_takes(recorded: bool):
    class Dialogue(Workflow):
        @step
        async def ask(self, event: Go) -> Ask:
            return Ask(prompt="?")

        @step
        async def end(self, event: Reply) -> StopEvent:
            return StopEvent(event.text)

    async def play(handler: WorkflowHandler) -> None:
        await shown(handler, 1)
        await handler.send_event(Reply("yes"))

    assert drive(Dialogue(), play, recorded=recorded) == "yes"


# once() and sleep()


@both_ways
def test_once_gives_every_attempt_what_the_first_made(recorded: bool):
    made: list[str] = []

    class Remembers(Workflow):
        @step(retry_policy=AGAIN)
        async def work(self, ctx: Context, event: Go) -> StopEvent:
            async def slow() -> dict[str, Any]:
                await asyncio.sleep(0)
                made.append("slow")
                return {"a": (1, 2)}

            values = [
                await ctx.once("plain", lambda: made.append("plain")),
                await ctx.once("slow", slow),
                await ctx.once("attempt", lambda: ctx.attempt),
            ]
            if ctx.attempt < 3:
                raise ValueError
            return StopEvent(values)

    journal = MemoryJournal()
    assert drive(Remembers(), nobody, journal=journal if recorded else None) == [None, {"a": (1, 2)}, 1]
    assert made == ["plain", "slow"]
    if recorded:
        assert [entry.name for entry in journal.entries["r"] if entry.kind == "memo"] == ["plain", "slow", "attempt"]


def test_once_remembers_for_each_event_by_itself_and_no_failure():
    class Each(Workflow):
        @step
        async def scatter(self, event: Go) -> list[Item]:
            return [Item(n) for n in range(3)]

        @step(retry_policy=AGAIN)
        async def work(self, ctx: Context, event: Item) -> Answered:
            def make() -> int:
                if ctx.attempt == 1:
                    raise ValueError
                return 10 * event.n

            return Answered(await ctx.once("x", make), str(ctx.attempt))

        @step
        async def gather(self, events: list[Answered]) -> StopEvent:
            return StopEvent(sorted((event.n, event.text) for event in events))

    assert drive(Each(), nobody, Go()) == [(0, "2"), (10, "2"), (20, "2")]


def test_a_recorded_run_refuses_to_remember_what_has_no_json_form():
    class Wrong(Workflow):
        @step
        async def work(self, ctx: Context, event: Go) -> StopEvent:
            await ctx.once("lock", object)
            return StopEvent("kept")

    assert drive(Wrong(), nobody) == "kept"
    with pytest.raises(ValueError, match="lock: object has no JSON form"):
        drive(Wrong(), nobody, recorded=True)


@both_ways
def test_a_retry_does_not_sleep_anew(recorded: bool):
    slept: list[float] = []

    class Sleeps(Workflow):
        @step(retry_policy=AGAIN)
        async def work(self, ctx: Context, event: Go) -> StopEvent:
            began = time.monotonic()
            await ctx.sleep(0.1)
            slept.append(time.monotonic() - began)
            if ctx.attempt < 2:
                raise ValueError
            return StopEvent()

    drive(Sleeps(), nobody, recorded=recorded)
    first, second = slept
    assert second < first / 2


# Sending from outside


class Takes(Workflow):
    @step
    async def begin(self, event: Go) -> Item | None:
        return Item(0) if event.n else None

    @step
    async def end(self, event: Item) -> StopEvent:
        return StopEvent(event.n)

    @step
    async def answer(self, event: Loose) -> StopEvent:
        return StopEvent("loose")


@pytest.mark.parametrize(
    ("event", "to", "message"),
    [
        (StopEvent(1), None, "Who sends to run r of Takes cannot end it with a StopEvent. Use cancel_run()"),
        ("text", None, "send_event() takes an Event, not a str"),
        (Item(1), "nowhere", "to 'nowhere', which is no step"),
        (Item(1), "answer", "to step 'answer', which accepts only Loose"),
        (StopEvent(1), "end", "sent StopEvent to step 'end', which accepts only Item"),
    ],
)
@both_ways
def test_a_wrong_event_from_outside_is_refused_at_the_call_and_the_run_goes_on(
    event: Any, to: str | None, message: str, recorded: bool
):
    async def play(handler: WorkflowHandler) -> None:
        for send in (handler.send_event, context_send(handler)):
            with pytest.raises(WorkflowRuntimeError) as caught:
                await send(event, to)
            assert message in str(caught.value)
        await handler.send_event(Item(5), "end")

    assert drive(Takes(), play, recorded=recorded) == 5


def context_send(handler: WorkflowHandler) -> Callable[[Any, str | None], Awaitable[None]]:
    async def send(event: Any, to: str | None) -> None:
        handler.ctx.send_event(event, to)

    return send


@both_ways
def test_an_event_sent_to_a_run_that_is_over_is_refused(recorded: bool):
    handlers: list[WorkflowHandler] = []

    async def play(handler: WorkflowHandler) -> None:
        assert await handler == 0
        with pytest.raises(WorkflowRuntimeError, match="Who sends to run r of Takes is too late: it is over"):
            await handler.send_event(Item(1))
        handlers.append(handler)

    assert drive(Takes(), play, Go(1), recorded=recorded) == 0
    assert handlers


def test_an_event_without_a_json_form_is_refused_at_the_call_by_a_recorded_run():
    class Odd(Event):
        pass

    async def play(handler: WorkflowHandler) -> None:
        with pytest.raises(ValueError, match="lock: object has no JSON form"):
            await handler.send_event(Odd(lock=object()))
        await handler.send_event(Item(1))

    assert drive(Takes(), play, recorded=True) == 1
