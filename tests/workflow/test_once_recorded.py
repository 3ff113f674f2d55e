"""`ctx.once()` gives a value to its step only when the record has it, however busy the record is."""

import asyncio
from collections.abc import Sequence

from citewell.workflow import (
    Context,
    Entry,
    Event,
    MemoryJournal,
    StartEvent,
    StopEvent,
    Workflow,
    launch,
    step,
)


class Slow(MemoryJournal):
    """A journal that needs some turns of the loop for each append, as a disk does."""

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        await super().append(run_id, entries)


class Part(Event):
    n: int


class Half(Event):
    known: bool


class Fan(Workflow):
    journal: Slow

    @step
    async def split(self, event: StartEvent) -> list[Part]:
        return [Part(n=n) for n in range(6)]

    @step(num_workers=6)
    async def work(self, event: Part, ctx: Context) -> Half:
        for _ in range(event.n * 7):
            await asyncio.sleep(0)
        value = await ctx.once(f"value {event.n}", lambda: event.n)
        names = [entry.name for entry in self.journal.entries[ctx.run_id] if entry.kind == "memo"]
        return Half(known=value == event.n and f"value {event.n}" in names)

    @step
    async def join(self, halves: list[Half]) -> StopEvent:
        return StopEvent(result=[half.known for half in halves])


def test_a_remembered_value_is_recorded_before_the_step_has_it() -> None:
    async def main() -> list[bool]:
        workflow = Fan()
        workflow.journal = Slow()
        found: list[bool] = await asyncio.wait_for(launch(workflow, StartEvent(), journal=workflow.journal), 10)
        return found

    assert asyncio.run(main()) == [True] * 6
