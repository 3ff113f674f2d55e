"""The reducer alone: order, bounds and joins for any interleaving, and a cost that does not grow."""

import asyncio
import dataclasses
import subprocess
import sys
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.workflow import Context, PlainEvent, PlainStartEvent, PlainStopEvent, Workflow, step
from citewell.workflow.buffers import collect
from citewell.workflow.job import Job
from citewell.workflow.reducer import Reducer


@dataclasses.dataclass(frozen=True, slots=True)
class Go(PlainStartEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class A(PlainEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class B(PlainEvent):
    n: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Done(PlainStopEvent):
    result: int = 0


class Flow(Workflow):
    def __init__(self, wanted: int) -> None:
        super().__init__(timeout=None)
        self.wanted = {B: wanted}

    @step
    async def scatter(self, event: Go) -> list[A | B]:
        return [A(n) for n in range(event.n)]

    @step(num_workers=2)
    async def work(self, event: A) -> B:
        return B(event.n)

    @step(num_workers=1)
    async def gather(self, ctx: Context, event: B) -> Done | None:
        return Done() if ctx.collect_events(event, self.wanted) else None


def reducer() -> Reducer:
    assert Flow.__compiled__ is not None
    return Reducer(Flow.__compiled__)


@given(st.lists(st.sampled_from([A, B]), max_size=30), st.randoms(use_true_random=False))
def test_jobs_are_claimed_in_order_within_the_bounds_whatever_ends_first(kinds: list[type], random: object):
    machine = reducer()
    sent = [machine.emit(kind(n)) for n, kind in enumerate(kinds)]
    assert sent == list(range(1, len(kinds) + 1))
    running: list[Job] = []
    claimed: list[Job] = []
    while True:
        while (job := machine.claim()) is not None:
            running.append(job)
            claimed.append(job)
        counts = Counter(job.spec.name for job in running)
        assert counts["work"] <= 2
        assert counts["gather"] <= 1
        if not running:
            break
        # A job can wait only while its step is full.
        machine.release(running.pop(random.randrange(len(running))))  # type: ignore[attr-defined]
    assert machine.quiet
    for kind in (A, B):
        seqs = [job.seq for job in claimed if type(job.event) is kind]
        assert seqs == sorted(seqs)
    assert sorted(job.seq for job in claimed) == sent


@given(st.lists(st.sampled_from([A, B]), max_size=40), st.integers(1, 4), st.integers(0, 4))
def test_collect_gives_the_earliest_of_each_type_and_loses_none(kinds: list[type], of_a: int, of_b: int):
    machine = reducer()
    lane = machine.lanes[2]
    wanted = [A] * of_a + [B] * of_b
    given_out: list[PlainEvent] = []
    for number, kind in enumerate(kinds):
        event = kind(number)
        if kind not in wanted:
            continue
        got = collect(machine, Job(lane, number, event), event, wanted, "")
        if got is not None:
            assert [type(one) for one in got] == wanted
            given_out += got
    for kind, need in ((A, of_a), (B, of_b)):
        came = [kind(n) for n, one in enumerate(kinds) if one is kind]
        out = [event for event in given_out if type(event) is kind]
        assert out == came[: len(out)] if need else not out
    full = min(kinds.count(A) // of_a, kinds.count(B) // of_b if of_b else len(kinds))
    assert len(given_out) == full * len(wanted)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 4))
def test_an_undone_attempt_leaves_the_collection_as_it_was(fails: list[bool], need: int):
    machine, plain = reducer(), reducer()
    for number, failing in enumerate(fails):
        event = B(number)
        job = Job(machine.lanes[2], number, event)
        if failing:
            collect(machine, job, event, {B: need}, "")
            machine.undo(job)
        got = collect(machine, job, event, {B: need}, "")
        assert got == collect(plain, Job(plain.lanes[2], number, event), event, {B: need}, "")


def test_the_cost_of_an_event_does_not_grow_with_the_number_of_pending_events():
    def cpu_s_per_event(count: int, runs: int) -> float:
        async def main() -> float:
            began = time.process_time()
            for _ in range(runs):
                await Flow(count).run(start_event=Go(count))
            return (time.process_time() - began) / (count * runs)

        return min(asyncio.run(main()) for _ in range(3))

    # A quadratic engine would show a ratio near 200.
    assert cpu_s_per_event(20_000, 1) < 4 * cpu_s_per_event(100, 50)


@pytest.mark.parametrize("module", ["numpy", "opentelemetry", "sqlite3", "llama_index", "workflows"])
def test_importing_the_engine_does_not_load(module: str):
    code = f"import sys, citewell.workflow; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
