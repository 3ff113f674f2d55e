"""Workflows some of whose steps do as a script says, and a record of what a run did."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from citewell.workflow import Entry, MemoryJournal, PlainEvent, Workflow, launch
from citewell.workflow.graph import marked
from citewell.workflow.step import MARK, StepConfig

W = TypeVar("W", bound=Workflow)


class ScriptEnded(AssertionError):
    """A scripted step was asked once more than its script has outcomes; names the step and the event."""


def with_steps(workflow: W, **scripts: Iterable[Any]) -> W:
    """A copy of the workflow in which the named steps follow a script: one outcome for each time one is called.

    An outcome is what the step returns (an event, a list of events, None), an exception, which it raises, or a
    function of the event that gives one of these. Retries, handlers, state and all other steps are as they were.
    Raises ValueError for a name that is no step.
    """
    kind = type(workflow)
    methods, free = marked(kind), kind._free_functions()
    if unknown := scripts.keys() - methods.keys() - free.keys():
        raise ValueError(f"{kind.__name__} has no step {min(unknown)!r}; it has {', '.join([*methods, *free])}.")
    body: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    for name in scripts.keys() & methods.keys():
        body[name] = _scripted(methods[name], name, iter(scripts[name]), receiver=1)
    scripted: Any = type(kind.__name__, (kind,), body, abstract=True)
    for name in scripts.keys() & free.keys():
        scripted._free[name] = _scripted(free[name], name, iter(scripts[name]), receiver=0)
    made = copy.copy(workflow)
    made.__class__ = scripted
    return made


def _scripted(step: Callable[..., Any], name: str, script: Iterator[Any], *, receiver: int) -> Callable[..., Any]:
    # Under the signature of the step that it stands for, from which the wiring is read.
    @functools.wraps(step)
    async def follow(*arguments: Any, **named: Any) -> Any:
        given = [*arguments[receiver:], *named.values()]
        event = next((one for one in given if isinstance(one, PlainEvent | list)), None)
        try:
            outcome = next(script)
        except StopIteration:
            raise ScriptEnded(f"Step {name!r} was called with {event!r} after its script had ended.") from None
        if callable(outcome) and not isinstance(outcome, type | PlainEvent):
            outcome = outcome(event)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    config: StepConfig = getattr(step, MARK)
    setattr(follow, MARK, dataclasses.replace(config, inline=False))
    return follow


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """What a run did: its result or the error that ended it, its stream, and its record."""

    result: Any
    error: BaseException | None
    stream: tuple[PlainEvent, ...]
    entries: tuple[Entry, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps in the order in which their attempts ended."""
        return tuple(str(entry.step) for entry in self.entries if entry.kind == "step")

    def emitted(self, step: str) -> tuple[str, ...]:
        """Names of the events that a step sent and returned, in order."""
        return tuple(str(one.event) for one in self.entries if one.kind == "event" and one.step == step)


async def record(workflow: Workflow, start: PlainEvent | None = None, **fields: Any) -> Recording:
    """One run of the workflow, from a start event or its fields, with all that it did; its error is not raised."""
    journal = MemoryJournal()
    handler = launch(workflow, workflow.start_event(start, fields), journal=journal)
    stream = tuple([event async for event in handler.stream_events()])
    entries = tuple(journal.entries.get(handler.run_id, ()))
    error = handler.exception()
    return Recording(None if error is not None else handler.result(), error, stream, entries)
