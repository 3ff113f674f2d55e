"""The state of a run as plain values, of one in memory and of one rebuilt from its record, so that they compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from citewell.workflow.codec import encode
from citewell.workflow.snapshot import pending

if TYPE_CHECKING:
    from citewell.workflow.job import Job, Trail
    from citewell.workflow.reducer import Reducer
    from citewell.workflow.replay import Replay
    from citewell.workflow.run import Run
    from citewell.workflow.wait import Wait


def shape_of_run(run: Run) -> dict[str, Any]:
    """The run in memory. While a step works, without what steps change before their outcome: state and buffers."""
    state = None if run.running_jobs() else run.state.recorded(set(run.state.values))
    waits = _open((run.reducer.waits or {}).values(), run.clock.wall())
    return _shape(run.reducer, pending(run), waits, state)


def shape_of_replay(replay: Replay, now: float, *, whole: bool) -> dict[str, Any]:
    """The run that a record comes to; `whole` with state and buffers."""
    state = replay.state.recorded(set(replay.state.values)) if whole else None
    return _shape(replay.reducer, replay.unfinished, _open(replay.waits, now), state)


def _shape(reducer: Reducer, jobs: Sequence[Job], waits: list[str], state: Any) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "seq": reducer.seq,
        "stop": reducer.stop,
        "jobs": sorted((job.spec.name, job.seq, _form(job.event), _trail(job.trail)) for job in jobs),
        "slots": {
            lane.spec.name: [[seq for seq, _ in slot] for slot in lane.slots]
            for lane in reducer.lanes or ()
            if lane.slots is not None and any(lane.slots)
        },
        "asks": sorted(reducer.asks or {}),
        "waits": waits,
    }
    if state is not None:
        shape["state"] = state
        shape["buffers"] = {
            (buffer.step, buffer.name): sorted(seq for held in buffer.held.values() for seq, _ in held)
            for buffer in (reducer.buffers or {}).values()
            if buffer.count
        }
    return shape


def _open(waits: Iterable[Wait], now: float) -> list[str]:
    # That a question has lapsed is not recorded: it follows from the time.
    return sorted(wait.key for wait in waits if wait.due is None or wait.due > now)


def _form(event: Any) -> str:
    """As it is recorded, which is all that a record can give back."""
    events = event if isinstance(event, list | tuple) else [event]
    return json.dumps([[type(one).__name__, encode(one)] for one in events], sort_keys=True)


def _trail(trail: Trail | None) -> str:
    """Where the job comes from: recoveries, and the open lists around it."""
    found = []
    while trail is not None:
        found.append(repr(sorted(trail.recovered.items())))
        scope = trail.scope
        if scope is None:
            break
        gathered = {index: None if at is None else [seq for seq, _ in at] for index, at in scope.gathered.items()}
        found.append(f"list {scope.seq}: {scope.pending} {gathered}")
        trail = scope.outer
    return " in ".join(found)
