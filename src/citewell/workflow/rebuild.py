"""A recorded run as the present code reads it: whether it fits, what it says, how it ended. No step runs here."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from citewell.workflow.definition import check_unchanged, definition
from citewell.workflow.errors import (
    CodecError,
    DefinitionChanged,
    WorkflowCancelledByUser,
    WorkflowStuck,
    WorkflowTimeoutError,
)
from citewell.workflow.events import RecordedError
from citewell.workflow.journal import Entry, Outcome, RunStart
from citewell.workflow.outlet import Outlet
from citewell.workflow.plain import PlainEvent
from citewell.workflow.record import event_of
from citewell.workflow.replay import Replay
from citewell.workflow.run import Run
from citewell.workflow.snapshot import capture_replay
from citewell.workflow.sqlite_form import RunRow
from citewell.workflow.workflow import Workflow


@dataclasses.dataclass(frozen=True, slots=True)
class Replayed:
    """What a record says of a run: nothing was run to find it out."""

    started: RunStart
    outcome: Outcome | None
    entries: tuple[Entry, ...]
    stream: tuple[tuple[int, PlainEvent], ...]
    state: Mapping[str, Any]
    pending: tuple[tuple[str, int], ...]


def rebuild(
    workflow: Workflow, row: RunRow, snapshot: Mapping[str, Any] | None, entries: list[Entry]
) -> tuple[Replay, list[Entry]]:
    """The run after its last entry, and the entries as the workflow's `continues` has changed them.

    Raises DefinitionChanged when the run was recorded by other code, or its entries mean nothing to the present one.
    """
    entries = _as_present(workflow, row, entries)
    replay = Replay(workflow._graph, snapshot)
    try:
        replay.apply(entries)
    except (CodecError, KeyError, ValueError, TypeError) as error:
        raise DefinitionChanged(
            f"Run {row.run_id} cannot be read by the present code: {str(error).rstrip('.')}. "
            "Finish it with the old code, or give the workflow's `continues` a function that changes such entries. "
            "`citewell workflow show` tells whether its record is whole.",
            changed=[str(error)],
        ) from error
    return replay, entries


def _as_present(workflow: Workflow, row: RunRow, entries: list[Entry]) -> list[Entry]:
    """The entries of a run as the present code has them; DefinitionChanged when it does not go on with such runs."""
    present = definition(workflow, workflow._graph)
    started = row.started
    if started.definition == present.fingerprint:
        return entries
    names = (started.definition, _version_of(started))
    continues = workflow.continues
    match = next((name for name in names if name in continues), None)
    if match is None:
        check_unchanged(row.run_id, started.code, started.definition, present)
    if not isinstance(continues, Mapping) or match is None:
        return entries
    change = continues[match]
    return [changed for entry in entries if (changed := change(entry)) is not None]


def replayed(workflow: Workflow, row: RunRow, snapshot: Mapping[str, Any] | None, entries: list[Entry]) -> Replayed:
    """What the record says of the run; raises as `rebuild` does."""
    replay, entries = rebuild(workflow, row, snapshot, entries)
    pending = tuple((job.spec.name, job.seq) for job in replay.unfinished)
    state = replay.state.recorded(set(replay.state.values))
    return Replayed(row.started, row.outcome, tuple(entries), tuple(replay.stream), state, pending)


def ended(workflow: Workflow, row: RunRow, snapshot: Mapping[str, Any] | None, entries: list[Entry]) -> Run:
    """A run that is over, with its stream and state, for a handler to look back on; raises as `rebuild` does."""
    outcome = row.outcome
    assert outcome is not None
    replay, _ = rebuild(workflow, row, snapshot, _without_end(entries, outcome))
    last = next((entry for entry in reversed(entries) if entry.seq == outcome.seq), None)
    if last is None and snapshot is not None and "end" in snapshot:
        last = Entry.from_json(snapshot["end"])
    if last is None or last.event is None:
        raise CodecError(
            f"The record of run {row.run_id} lacks entry {outcome.seq}, the event that ended it: it is damaged. "
            f"`citewell workflow show {row.run_id}` says where."
        )
    # A function that drops the entry of the end changes nothing about the run being over.
    last = next(iter(_as_present(workflow, row, [last])), last)
    assert last.event is not None
    event = event_of(workflow._graph, last.event, last.payload)
    outlet = Outlet()
    outlet.events = replay.stream
    outlet.events.append((last.seq, event))
    outlet.end(event, None if outcome.status == "done" else _error_of(outcome, event))
    outlet.seen = True
    return Run.over(workflow, workflow._graph, row.run_id, outlet, replay.state)


def snapshot_of(
    workflow: Workflow, row: RunRow, snapshot: Mapping[str, Any] | None, entries: list[Entry]
) -> dict[str, Any]:
    """What the record comes to after its last entry, of which there must be one; raises as `rebuild` does.

    Of a run that is over it has the event that ended it too, since that entry may be dropped with the others.
    """
    outcome = row.outcome
    replay, _ = rebuild(workflow, row, snapshot, _without_end(entries, outcome))
    replay.reducer.seq = entries[-1].seq
    form = capture_replay(replay)
    if outcome is not None:
        form["end"] = next(entry.to_json() for entry in entries if entry.seq == outcome.seq)
    return form


def _without_end(entries: Sequence[Entry], outcome: Outcome | None) -> list[Entry]:
    """The entries but for the one that only tells how the run ended; a stop event that a step emitted stays."""
    return [
        entry
        for entry in entries
        if outcome is None or entry.seq != outcome.seq or entry.step is not None or entry.kind != "event"
    ]


def _version_of(started: RunStart) -> str:
    """The declared version in a recorded definition, or nothing."""
    _, _, version = started.code.get("workflow", "").partition(" ")
    return version


def _error_of(outcome: Outcome, event: PlainEvent) -> Exception:
    kind, _, message = (outcome.error or "").partition(": ")
    match outcome.status:
        case "timed_out":
            return WorkflowTimeoutError(message, timeout_s=getattr(event, "timeout", 0.0))
        case "cancelled":
            return WorkflowCancelledByUser(message)
        case "stuck":
            return WorkflowStuck(message, waiting=getattr(event, "waiting", ()))
    return RecordedError(message, kind)
