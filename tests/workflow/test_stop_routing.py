"""A stop event ends the run, also where a step takes events of every kind."""

import asyncio

from citewell.workflow import Event, StartEvent, StopEvent, Workflow, step


def test_a_step_that_takes_every_event_does_not_keep_the_stop_event_from_ending_the_run() -> None:
    seen: list[str] = []

    class Logging(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            return StopEvent(result=1)

        @step(accept_event_subclasses=True)
        async def log(self, event: Event) -> None:
            seen.append(type(event).__name__)

    async def main() -> object:
        return await asyncio.wait_for(Logging().run(), 5)

    assert asyncio.run(main()) == 1
    assert seen in ([], ["StartEvent"])
