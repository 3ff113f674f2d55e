"""Ways to run a workflow from a plain test, each bounded, so that a hang fails instead of blocking."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

BOUND_S = 20.0


def go(main: Coroutine[Any, Any, Any], bound_s: float = BOUND_S) -> Any:
    return asyncio.run(asyncio.wait_for(main, bound_s))


def run(workflow: Any, /, **options: Any) -> Any:
    """What `await workflow.run(**options)` gives."""

    async def main() -> Any:
        return await workflow.run(**options)

    return go(main())


async def read(handler: Any, **options: Any) -> list[Any]:
    """Every event of the handler's stream, to its end."""
    return [event async for event in handler.stream_events(**options)]


def refused(error: type[BaseException], build: Callable[[], Any], **options: Any) -> str:
    """The message of the error raised when `build` defines and makes a workflow, or when it is run.

    Raising earlier than llama-index-workflows does is allowed, with the same class.
    """

    async def main() -> Any:
        return await build().run(**options)

    with pytest.raises(error) as caught:
        go(main())
    return str(caught.value)


async def until(condition: Callable[[], bool], bound_s: float = 10.0) -> None:
    """Wait for something that happens soon, without naming a time that a slow machine would miss."""
    async with asyncio.timeout(bound_s):
        while not condition():  # noqa: ASYNC110  the condition is plain state, nothing signals it
            await asyncio.sleep(0.005)
