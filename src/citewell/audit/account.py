"""The account of one run: what went into each step, what came out, how long it took; made from its journal alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from citewell.protocols import RunRecord


@dataclass(frozen=True, slots=True)
class StepAccount:
    """One attempt of one step: the events it worked on and those it made, by name, with their content as recorded.

    `started_at` is in seconds since 1970 UTC; None where the step failed before it began.
    """

    step: str
    attempt: int
    started_at: float | None
    duration_s: float | None
    inputs: tuple[tuple[str, Any], ...]
    outputs: tuple[tuple[str, Any], ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """A run, step by step in the order in which they ended. `entries` is the journal itself: see `workflow.Entry`."""

    record: RunRecord
    steps: tuple[StepAccount, ...]
    entries: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, record: RunRecord, entries: Sequence[Mapping[str, Any]]) -> Account:
        """The account of `record` from its journal, whose entries ascend by `seq`."""
        events = {entry["seq"]: entry for entry in entries if entry["kind"] == "event"}
        made: dict[str, list[Mapping[str, Any]]] = {}
        steps = []
        for entry in entries:
            if entry["kind"] == "event" and entry.get("step"):
                made.setdefault(_attempt(entry), []).append(entry)
            elif entry["kind"] == "step":
                steps.append(
                    StepAccount(
                        step=entry["step"],
                        attempt=entry.get("attempt", 1),
                        started_at=entry.get("started_at"),
                        duration_s=entry.get("duration_s"),
                        inputs=tuple(_named(events[seq]) for seq in entry.get("caused_by", ()) if seq in events),
                        outputs=tuple(_named(one) for one in made.get(_attempt(entry), [])),
                        error=entry.get("error"),
                    )
                )
        return cls(record, tuple(steps), tuple(entries))

    def event(self, name: str) -> Any:
        """The content of the run's last event of this name, or None."""
        found = [entry.get("payload") for entry in self.entries if entry["kind"] == "event" and entry["event"] == name]
        return found[-1] if found else None

    @property
    def shown(self) -> tuple[str, ...]:
        """The exact texts a writer was shown: the prompt that went to a model, else each evidence in order."""
        written = self.event("Written")
        if written and written["draft"]["prompt"]:
            return (written["draft"]["prompt"],)
        packed = self.event("Packed")
        return tuple(one["text"] for one in packed["evidence"]) if packed else ()


def _attempt(entry: Mapping[str, Any]) -> str:
    # One step may run for several events at once; what it made is told apart by the events it worked on.
    return f"{entry['step']}\0{entry.get('caused_by')}\0{entry.get('attempt', 1)}"


def _named(entry: Mapping[str, Any]) -> tuple[str, Any]:
    return (entry["event"], entry.get("payload"))
