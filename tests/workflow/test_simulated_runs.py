"""The engine in a simulated world: whatever the schedule, the faults and the restarts, the laws of durability hold."""

from __future__ import annotations

import asyncio
import random

import pytest
from simulated_flows import Loop, Review, Waits, answer, make_workload

from citewell.testing.simulator import Order, Violation, Workload, simulate
from citewell.workflow.replay import Replay
from citewell.workflow.runs import Runs
from citewell.workflow.sqlite import SqliteJournal


@pytest.mark.parametrize("part", range(20))
def test_the_laws_hold_in_ten_thousand_schedules(part):
    for seed in range(part * 25, part * 25 + 25):
        simulate(make_workload, seed, schedules=20)


@pytest.mark.long
@pytest.mark.parametrize("part", range(100))
def test_the_laws_hold_in_a_hundred_thousand_schedules(part):
    for seed in range(10_000 + part * 25, 10_000 + part * 25 + 25):
        simulate(make_workload, seed, schedules=40)


def test_one_seed_is_one_story():
    told = []
    for _ in range(2):
        with pytest.raises(Violation) as caught:
            simulate(_suspicious, 3)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_a_violation_shows_the_smallest_plan_that_was_found():
    with pytest.raises(Violation, match="seed 5/") as caught:
        simulate(_suspicious_of_faults, 5, schedules=50)
    assert len(caught.value.plan.faults) == 1
    assert len(caught.value.plan.orders) == 1


def _suspicious(draw: random.Random) -> Workload:
    return Workload([Order("a", Loop(timeout=None), {"n": 2})], answer, lambda world: ["I do not like it"])


def _suspicious_of_faults(draw: random.Random) -> Workload:
    orders = [Order(name, Loop(timeout=None), {"n": 2}) for name in "abc"]
    return Workload(orders, answer, lambda world: ["two lives"] if world.lives > 1 else [])


# The simulator would be worth nothing if it did not see the faults that it is there for. Each of these was one.


def _waits(draw: random.Random) -> Workload:
    orders = [Order("waits", Waits(timeout=None), {}), Order("review", Review(timeout=None), {})]
    return Workload(orders, answer)


def test_it_sees_a_run_that_was_answered_and_left_marked_as_waiting(monkeypatch):
    monkeypatch.setattr(SqliteJournal, "taken_up", lambda self, run_id: None)
    with pytest.raises(Violation, match=r"sleeps|never ended|without faults"):
        simulate(_waits, 1, schedules=400)


def test_it_sees_a_step_that_runs_again_after_its_commit(monkeypatch):
    kept = Replay._step

    def step(self, entry):
        job = self._job(entry)
        kept(self, entry)
        if entry.step == "both":
            self._jobs[entry.step, entry.caused_by[0]] = job

    monkeypatch.setattr(Replay, "_step", step)
    with pytest.raises(Violation, match=r"ran again|comes to"):
        simulate(_waits, 1, schedules=200)


def test_it_sees_that_what_was_asked_is_not_on_the_disk(monkeypatch):
    commit = SqliteJournal._commit

    def forget_some(self, ops):
        outcomes = commit(self, ops)
        if any(op.row is not None and '"kind":"wait"' in op.row[2] for op in ops):
            self._db.execute("DELETE FROM batches WHERE seq = (SELECT max(seq) FROM batches)")
        return outcomes

    monkeypatch.setattr(SqliteJournal, "_commit", forget_some)
    with pytest.raises(Violation):
        simulate(_waits, 1, schedules=20)


def test_it_sees_a_run_that_is_in_memory_twice(monkeypatch):
    monkeypatch.setattr(Runs, "_turn", lambda self, run_id: asyncio.Lock())
    with pytest.raises(Violation):
        simulate(_waits, 1, schedules=400)
