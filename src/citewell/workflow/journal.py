"""What is recorded of a run, and the one interface through which it is."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from citewell.workflow.errors import WorkflowError


@dataclasses.dataclass(frozen=True, slots=True)
class RunStart:
    """A run was accepted. `definition` is the fingerprint of the step graph it is bound to."""

    run_id: str
    workflow: str
    definition: str
    at: float
    parent_run_id: str | None = None


EntryKind = Literal["event", "stream", "step"]


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of a run's record; `seq` counts from 1 without gaps and in the order of `append`.

    - "event": an event was emitted; it is delivered once the entry is recorded.
    - "stream": an event was shown to the readers only.
    - "step": one attempt of a step ended. A successful one comes after its events, in the same `append`, with
      the values it wrote to the state; one with `error` has no events.

    `caused_by` are the sequence numbers of the events that the step worked on, first the one it received
    last. Times are seconds since 1970, UTC.
    """

    seq: int
    kind: EntryKind
    at: float
    step: str | None = None
    event: str | None = None
    payload: Any = None
    caused_by: tuple[int, ...] = ()
    attempt: int = 1
    started_at: float | None = None
    duration_s: float | None = None
    error: str | None = None
    target: str | None = None
    state: Mapping[str, Any] | None = None
    state_deleted: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; `seq` is that of the event that ended it: the stop event, or RunFailed."""

    status: Literal["done", "failed", "timed_out", "cancelled", "stuck"]
    seq: int
    at: float
    error: str | None = None


class Journal(Protocol):
    """The record of runs. Calls for one run come one at a time and in order; an exception ends the run.

    `append` is one transaction: all of its entries are recorded, or none. What it holds is acted on after it
    returns.
    """

    async def started(self, run: RunStart) -> None:
        """Record that a run was accepted; refuse a run id that is already known."""
        ...

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Record entries, in order."""
        ...

    async def ended(self, run_id: str, outcome: Outcome) -> None:
        """Record how the run ended."""
        ...


class MemoryJournal:
    """A journal in memory, for tests and short processes: `runs`, `entries` and `outcomes` by run id."""

    def __init__(self) -> None:
        self.runs: dict[str, RunStart] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.outcomes: dict[str, Outcome] = {}

    async def started(self, run: RunStart) -> None:
        if run.run_id in self.runs:
            raise WorkflowError(f"Run {run.run_id!r} is already in the journal. Use a new run_id.")
        self.runs[run.run_id] = run
        self.entries[run.run_id] = []

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        self._known(run_id)
        self.entries[run_id].extend(entries)

    async def ended(self, run_id: str, outcome: Outcome) -> None:
        self._known(run_id)
        self.outcomes[run_id] = outcome

    def _known(self, run_id: str) -> None:
        if run_id not in self.runs:
            raise WorkflowError(f"Run {run_id!r} is not in the journal. Call `started` first.")
