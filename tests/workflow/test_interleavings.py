"""Random pauses, failures, timeouts, threads and cancellations: whatever the interleaving, the laws hold."""

import asyncio
import contextvars
import dataclasses
import random
from collections.abc import Sequence

import pytest

from citewell.workflow import (
    Context,
    Entry,
    MemoryJournal,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    Workflow,
    WorkflowCancelledByUser,
    launch,
    step,
)
from citewell.workflow.retry_policy import retry_policy, stop_after_attempt, wait_none


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    seed: int
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class A(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class B(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class C(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shown(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: int


AGAIN = retry_policy(wait=wait_none(), stop=stop_after_attempt(99))
VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("variable")


class HesitantJournal(MemoryJournal):
    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        draw = random.random()
        if draw < 0.5:
            await asyncio.sleep(0 if draw < 0.3 else 0.001)
        await super().append(run_id, entries)


class Chaos(Workflow):
    def __init__(self, recorded: bool) -> None:
        super().__init__()
        self.recorded = recorded
        self.sent: set[int] = set()

    @step
    async def scatter(self, event: Go) -> list[A]:
        self.random = random.Random(event.seed)
        self.n = event.n
        return [A(n) for n in range(event.n)]

    @step(num_workers=3, retry_policy=AGAIN)
    async def work(self, ctx: Context, event: A) -> B | None:
        assert VARIABLE.get(None) is None
        # In a recorded run what a failed attempt has sent never left it, so the next one may do something else.
        match 5 if event.n in self.sent and not self.recorded else self.random.randrange(8):
            case 0:
                await asyncio.sleep(0)
            case 1:
                await asyncio.sleep(0.0005)
            case 2:
                raise ValueError
            case 3:
                VARIABLE.set(event.n)
            case 4:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.0003):
                        await asyncio.sleep(1)
            case 5:
                ctx.send_event(B(event.n))
                self.sent.add(event.n)
                ctx.write_event_to_stream(Shown(event.n))
                if self.random.random() < 0.5:
                    raise ValueError
                return None
            case 6:
                async with ctx.store.edit_state() as state:
                    state["n"] = state.get("n", 0) + 1
                    await asyncio.sleep(0)
        return B(event.n)

    @step(retry_policy=AGAIN)
    def thread(self, ctx: Context, event: B) -> C:
        if self.random.random() < 0.1:
            raise ValueError
        ctx.write_event_to_stream(Shown(-event.n))
        return C(event.n)

    @step
    async def gather(self, ctx: Context, event: C) -> Done | None:
        if self.random.random() < 0.5:
            await asyncio.sleep(0)
        events = ctx.collect_events(event, {C: self.n})
        if events is None:
            return None
        assert sorted(one.n for one in events) == list(range(self.n))
        return Done(len(events))


@pytest.mark.parametrize("seed", range(24))
def test_every_event_is_worked_on_once_shown_in_order_and_recorded_without_gaps(seed: int):
    random.seed(seed)
    cancelled = seed % 3 == 0
    journal = HesitantJournal() if seed % 2 else None

    async def main() -> None:
        handler = launch(Chaos(journal is not None), Go(seed, 20), run_id="r", journal=journal)
        shown: list[int] = []

        async def read() -> None:
            stream = handler.stream_events()
            shown.extend([stream.seq async for _ in stream])

        reader = asyncio.create_task(read())
        if cancelled:
            await asyncio.sleep(random.random() * 0.01)
            handler.cancel()
        try:
            assert await handler == 20
        except WorkflowCancelledByUser:
            assert cancelled
        await reader
        assert shown == sorted(set(shown))
        if journal is not None:
            entries = journal.entries["r"]
            assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
            assert set(shown[:-1]) <= {entry.seq for entry in entries if entry.kind == "stream"}
            assert shown[-1] == journal.outcomes["r"].seq
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
