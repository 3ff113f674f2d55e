"""Scripted steps stand in for the real ones, and a recording tells what a run did."""

import asyncio
import dataclasses

import pytest

from citewell.testing import ScriptEnded, record, with_steps
from citewell.workflow import Event, PlainEvent, PlainStartEvent, PlainStopEvent, StartEvent, StopEvent, Workflow, step
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none


class Fetched(Event):
    page: str


class Reading(Workflow):
    def __init__(self, shelf: str = "top") -> None:
        super().__init__(timeout=30)
        self.shelf = shelf

    @step(retry_policy=retry_policy(wait=wait_none(), stop=stop_after_attempt(3)))
    async def fetch(self, ev: StartEvent) -> Fetched:
        raise AssertionError("the network is not there in tests")

    @step
    async def read(self, ev: Fetched) -> StopEvent:
        return StopEvent(result=f"{self.shelf}: {ev.page}")


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Part(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class End(PlainStopEvent):
    result: int


class Counting(Workflow):
    @step(inline=True)
    def split(self, ev: Go) -> list[Part]:
        return [Part(n) for n in range(ev.n)]

    @step
    async def add(self, parts: list[Part]) -> End:
        return End(sum(part.n for part in parts))


def test_a_scripted_step_gives_its_outcomes_in_turn_and_the_other_steps_are_real():
    flow = with_steps(Reading("low"), fetch=[ConnectionError("down"), lambda ev: Fetched(page=ev.book)])
    assert asyncio.run(record(flow, book="Emma")).result == "low: Emma"


def test_the_workflow_itself_stays_as_it_was():
    flow = Reading()
    with_steps(flow, fetch=[Fetched(page="x")])
    assert isinstance(asyncio.run(record(flow)).error, AssertionError)


def test_a_script_that_ends_too_early_says_which_step_and_event():
    found = asyncio.run(record(with_steps(Reading(), fetch=[])))
    assert isinstance(found.error, ScriptEnded)
    assert "fetch" in str(found.error)
    assert "StartEvent" in str(found.error)


def test_a_sync_step_and_one_that_gathers_can_be_scripted():
    assert asyncio.run(record(with_steps(Counting(), split=[[Part(5), Part(6)]]), Go(1))).result == 11
    assert asyncio.run(record(with_steps(Counting(), add=[lambda parts: End(len(parts))]), Go(4))).result == 4


def test_a_free_function_can_be_scripted():
    class Free(Workflow):
        pass

    @step(workflow=Free)
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result="real")

    assert asyncio.run(record(with_steps(Free(), only=[StopEvent(result="scripted")]))).result == "scripted"
    assert asyncio.run(record(Free())).result == "real"


def test_a_name_that_is_no_step_is_refused():
    with pytest.raises(ValueError, match="no step 'fetsh'; it has fetch, read"):
        with_steps(Reading(), fetsh=[])


def test_a_recording_has_steps_events_and_stream():
    found = asyncio.run(record(with_steps(Reading(), fetch=[KeyError("x"), Fetched(page="y")])))
    assert found.steps == ("fetch", "fetch", "read")
    assert found.emitted("fetch") == ("Fetched",)
    assert [type(event) for event in found.stream] == [StopEvent]
