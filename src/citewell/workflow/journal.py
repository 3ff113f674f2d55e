"""What is recorded of a run, and the one interface through which it is."""

import dataclasses
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, Protocol

from citewell.workflow.errors import RunNotFound, WorkflowError


@dataclasses.dataclass(frozen=True, slots=True)
class RunStart:
    """A run was accepted.

    `definition` is the fingerprint of the code it is bound to, `code` what the fingerprint was made of, by step and
    event. `deadline` is when the run times out, in seconds since 1970, UTC, as is `at`.
    """

    run_id: str
    workflow: str
    definition: str
    at: float
    parent_run_id: str | None = None
    code: Mapping[str, str] = dataclasses.field(default_factory=dict)
    deadline: float | None = None
    key: str | None = None


Status = Literal["done", "failed", "timed_out", "cancelled", "stuck"]
EntryKind = Literal["event", "stream", "step", "wait", "memo"]


# Not frozen: that would make every recorded step a tenth dearer. Nobody changes one.
@dataclasses.dataclass(slots=True)
class Entry:
    """One line of a run's record; `seq` counts from 1 without gaps and in the order of `append`.

    - "event": an event was emitted, by a step or (`step` None) from outside; it is delivered once it is recorded.
      `listed` in a returned list, `sent` by send_event. `answers` are the questions it answered, `by` whoever sent it.
    - "stream": an event was shown to the readers only.
    - "step": one attempt of a step ended. A successful one comes after its events, in the same `append`, with the
      values it wrote to the state; one with `error` has no events, and is tried again at `due` if that is given.
      `opened` when it returned a list. `held` are the events it put into, or took out of, buffers: pairs of the
      buffer's name and None (its own event went in) or the numbers of the events that it took.
    - "wait": a step asks; `name` is the question's within the step, `payload` its terms, `due` when it lapses.
    - "memo": a step has remembered a result under `name`, for its next attempts.

    `caused_by` are the sequence numbers of the events that the step worked on, first the one it received last.
    Times are seconds since 1970, UTC.
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
    sent: bool = False
    listed: bool = False
    opened: bool = False
    held: tuple[tuple[str, tuple[int, ...] | None], ...] = ()
    name: str | None = None
    due: float | None = None
    answers: tuple[str, ...] = ()
    by: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON, without what has its default value."""
        # Written out: it is done twice for every recorded step.
        found: dict[str, Any] = {"seq": self.seq, "kind": self.kind, "at": self.at}
        if self.step is not None:
            found["step"] = self.step
        if self.event is not None:
            found["event"] = self.event
        if self.payload is not None:
            found["payload"] = self.payload
        if self.caused_by:
            found["caused_by"] = self.caused_by
        if self.attempt != 1:
            found["attempt"] = self.attempt
        if self.started_at is not None:
            found["started_at"] = self.started_at
            found["duration_s"] = self.duration_s
        if self.kind != "event":
            for name in _OUTCOME:
                value = getattr(self, name)
                if value:
                    found[name] = value
        else:
            for name in _EVENT:
                value = getattr(self, name)
                if value:
                    found[name] = value
        if self.due is not None:
            found["due"] = self.due
        return found

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> "Entry":
        """The entry of which `to_json` made this, before or after it went through JSON text."""
        values = dict(form)
        for name in ("caused_by", "state_deleted", "answers"):
            if name in values:
                values[name] = tuple(values[name])
        if "held" in values:
            values["held"] = tuple((name, None if seqs is None else tuple(seqs)) for name, seqs in values["held"])
        return cls(**values)


_OUTCOME = ("error", "state", "state_deleted", "opened", "held", "name")
_EVENT = ("target", "sent", "listed", "answers", "by", "name")


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; `seq` is that of the event that ended it: the stop event, or the one that tells why not."""

    status: Status
    seq: int
    at: float
    error: str | None = None


class Journal(Protocol):
    """The record of runs. Calls for one run come one at a time and in order; an exception ends the run.

    Each call is one transaction: all of it is recorded, or nothing. What it holds is acted on after it returns.
    """

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        """Record that a run was accepted, and its first entries; refuse a run id that is already known."""
        ...

    def append(self, run_id: str, entries: Sequence[Entry]) -> Awaitable[None]:
        """Record entries, in order."""
        ...

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        """Record how the run ended, and its last entries."""
        ...


class MemoryJournal:
    """A journal in memory, for tests and short processes: `runs`, `entries` and `outcomes` by run id."""

    def __init__(self) -> None:
        self.runs: dict[str, RunStart] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.outcomes: dict[str, Outcome] = {}

    async def started(self, run: RunStart, entries: Sequence[Entry]) -> None:
        if run.run_id in self.runs:
            raise WorkflowError(f"Run {run.run_id!r} is already in the journal. Use a new run_id.")
        # All copies first: a call that fails must leave nothing.
        kept = list(entries)
        self.runs[run.run_id] = run
        self.entries[run.run_id] = kept

    async def append(self, run_id: str, entries: Sequence[Entry]) -> None:
        self._known(run_id)
        self.entries[run_id] += list(entries)

    async def ended(self, run_id: str, outcome: Outcome, entries: Sequence[Entry]) -> None:
        self._known(run_id)
        self.entries[run_id] += list(entries)
        self.outcomes[run_id] = outcome

    def _known(self, run_id: str) -> None:
        if run_id not in self.runs:
            raise RunNotFound(f"Run {run_id!r} is not in the journal. Call `started` first.")
