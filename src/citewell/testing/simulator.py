"""Workflows in a simulated world: shuffled schedules, a virtual clock, failing disks, dying processes, from a seed.

    simulate(make_workload, seed=7, schedules=100)

Each schedule runs a workload through `Runs`, life after life of one process, until everybody has seen the result of
what he started, and then looks whether the laws hold: what was acknowledged is there, what is recorded was not done
again, results are those of a run without faults, the record is whole and comes to the same state as the run itself.
"""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from citewell.testing.simulated_journal import FAULTS, Fault
from citewell.testing.simulated_world import Order, Plan, Workload, World

MakeWorkload: TypeAlias = Callable[[random.Random], Workload]


class Violation(AssertionError):
    """A law did not hold: which, under which plan, and what happened before."""

    def __init__(self, wrong: Sequence[str], plan: Plan, trace: Sequence[str]) -> None:
        faults = ", ".join(f"{one.kind} at commit {one.commit} ({one.delay_s} s)" for one in plan.faults) or "none"
        told = "\n  ".join(trace)
        super().__init__(
            f"{'; '.join(wrong)}\nseed {plan.seed}, faults: {faults}, park_after_s={plan.park_after_s}, "
            f"orders: {', '.join(sorted(plan.orders))}\n  {told}"
        )
        self.wrong = tuple(wrong)
        self.plan = plan


def simulate(make_workload: MakeWorkload, seed: int, *, schedules: int = 1, first: int = 0) -> int:
    """Play `schedules` schedules of the workload that `seed` draws; how many lives of processes that took.

    Raises Violation, with the seed and the smallest plan and trace that were found to show it.
    """
    logging.getLogger("citewell.workflow").disabled = True
    try:
        workload = make_workload(random.Random(seed))  # noqa: S311 - schedules, not secrets
        keys = frozenset(order.key for order in workload.orders)
        whole = Plan(f"{seed}/whole", (), keys, 1.0, shuffled=False)
        clean, wrong = _play(make_workload, seed, whole, None)
        if wrong:
            raise Violation(wrong, whole, clean.trace)
        lives = 0
        for number in range(first, first + schedules):
            plan = _plan(f"{seed}/{number}", keys, clean.disk.commits)
            world, wrong = _play(make_workload, seed, plan, clean.results)
            lives += world.lives
            if wrong:
                raise _smallest(make_workload, seed, plan, clean.results, Violation(wrong, plan, world.trace))
        return lives
    finally:
        logging.getLogger("citewell.workflow").disabled = False


def _play(
    make_workload: MakeWorkload, seed: int, plan: Plan, expected: Mapping[str, str] | None
) -> tuple[World, list[str]]:
    world = World(make_workload(random.Random(seed)), plan)  # noqa: S311 - schedules, not secrets
    world.play()
    wrong = world.judge(expected)
    world.disk.close()
    return world, wrong


def _plan(seed: str, keys: frozenset[str], commits: int) -> Plan:
    draw = random.Random(f"plan {seed}")  # noqa: S311 - schedules, not secrets
    count = draw.choice((0, 1, 1, 2, 2, 3, 4))
    faults = {}
    for _ in range(count):
        at = draw.randint(1, max(commits, 2))
        faults[at] = Fault(at, draw.choice(FAULTS), draw.choice((0.0, 0.01, 1.0, 50.0)))
    return Plan(seed, tuple(faults[at] for at in sorted(faults)), keys, draw.choice((0.0, 0.5, 100.0)))


def _smallest(
    make_workload: MakeWorkload, seed: int, plan: Plan, expected: Mapping[str, str], violation: Violation
) -> Violation:
    """The violation of the smallest plan that still shows one: orders and faults are left out as long as it does."""
    smaller = True
    while smaller:
        smaller = False
        fewer = [dataclasses.replace(plan, faults=tuple(f for f in plan.faults if f is not one)) for one in plan.faults]
        fewer += [dataclasses.replace(plan, orders=plan.orders - {one}) for one in sorted(plan.orders)]
        for candidate in fewer:
            if not candidate.orders:
                continue
            world, wrong = _play(make_workload, seed, candidate, expected)
            if wrong:
                plan, violation, smaller = candidate, Violation(wrong, candidate, world.trace), True
                break
    return violation


__all__ = ["MakeWorkload", "Order", "Plan", "Violation", "Workload", "World", "simulate"]
