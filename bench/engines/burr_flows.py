"""Burr: a state machine with actions; a run is an Application on a graph built once. It has no dynamic fan-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from burr.core import Application, ApplicationBuilder, State, action, default, expr
from burr.core.graph import Graph, GraphBuilder
from burr.core.persistence import SQLitePersister


@action(reads=["left"], writes=["left"])
async def turn(state: State) -> State:
    return state.update(left=state["left"] - 1)


@action(reads=["left"], writes=["left"])
async def one(state: State) -> State:
    return state.update(left=state["left"])


@action(reads=["left"], writes=["left"])
async def two(state: State) -> State:
    return state.update(left=state["left"])


@action(reads=["left"], writes=["left"])
async def three(state: State) -> State:
    return state.update(left=state["left"])


@action(reads=["left"], writes=["left"])
async def four(state: State) -> State:
    return state.update(left=state["left"])


@action(reads=["left"], writes=["left"])
async def five(state: State) -> State:
    return state.update(left=state["left"])


LOOP = (
    GraphBuilder()
    .with_actions(turn, five)
    .with_transitions(("turn", "turn", expr("left > 0")), ("turn", "five", default))
    .build()
)
CHAIN = (
    GraphBuilder()
    .with_actions(one, two, three, four, five)
    .with_transitions(("one", "two"), ("two", "three"), ("three", "four"), ("four", "five"))
    .build()
)


async def application(graph: Graph, entry: str, left: int) -> Application:
    return await ApplicationBuilder().with_graph(graph).with_state(left=left).with_entrypoint(entry).abuild()


async def run_chain() -> None:
    await (await application(CHAIN, "one", 1)).arun(halt_after=["five"])


class Burr:
    async def loop(self, turns: int) -> None:
        await (await application(LOOP, "turn", turns)).arun(halt_after=["five"])

    async def chain(self, runs: int) -> None:
        for _ in range(runs):
            await run_chain()

    async def at_once(self, runs: int) -> None:
        await asyncio.gather(*[run_chain() for _ in range(runs)])

    async def durable(self, folder: Path) -> Callable[[int], Awaitable[object]]:
        """Its own SQLite persister: a commit for each step, with SQLite's default of a full fsync."""
        persister = SQLitePersister(str(folder / "burr.db"))
        persister.initialize()
        begun = 0

        async def saved(number: int) -> None:
            builder = ApplicationBuilder().with_graph(CHAIN).with_state(left=1).with_entrypoint("one")
            # Not abuild(), which takes asynchronous persisters only; this one comes with the package.
            flow = builder.with_identifiers(app_id=str(number)).with_state_persister(persister).build()
            await flow.arun(halt_after=["five"])

        async def run(runs: int) -> None:
            nonlocal begun
            begun += runs
            await asyncio.gather(*[saved(number) for number in range(begun - runs, begun)])
            assert persister.load("", str(begun - 1), None)["position"] == "five"

        return run

    async def waiting(self, runs: int) -> object:
        """Applications halted before a step, which is how it waits for a person."""
        flows = [await application(CHAIN, "one", 1) for _ in range(runs)]
        for flow in flows:
            await flow.arun(halt_before=["two"])
        await flows[0].arun(halt_after=["five"])
        return flows


ENGINES = {"burr": Burr}
