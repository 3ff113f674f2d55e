"""Two workflows of one step: one gives back what it was given, one waits until it is cancelled."""

import asyncio
from typing import Any

from roots import Api


def echo(api: Api) -> type:
    class Flow(api.Workflow):
        @api.step
        async def only(self, ev: api.StartEvent) -> api.StopEvent:
            return api.StopEvent(result=ev.get("n"))

    return Flow


def waiting(api: Api) -> type:
    """A workflow whose only step waits for ever; `entered` and `left` say where it is."""

    class Flow(api.Workflow):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.entered = 0
            self.left: list[str] = []

        @api.step
        async def hold(self, ev: api.StartEvent) -> api.StopEvent:
            self.entered += 1
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.left.append("cancelled")
                raise
            return api.StopEvent()

    return Flow
