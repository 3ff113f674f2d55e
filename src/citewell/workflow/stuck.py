"""Why a run cannot go on: which step waits, and for which event."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from citewell.workflow.plain import PlainEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.buffers import Buffer
    from citewell.workflow.reducer import Reducer


def waits_for(reducer: "Reducer") -> list[str]:
    """One line for each step that still waits: what it holds and lacks, or which event never came."""
    lines = []
    for (step, _), buffer in (reducer.buffers or {}).items():
        needs = buffer.wanted if isinstance(buffer.wanted, Mapping) else Counter(buffer.wanted)
        if buffer.count and (lacks := _lacking(needs, buffer)):
            holds = ", ".join(f"{len(held)} {kind.__name__}" for kind, held in buffer.held.items() if held)
            lines.append(f"step {step!r} holds {holds} and waits for {lacks}")
    for lane in reducer.lanes or reducer._lanes_again():
        if lane.slots is not None and any(lane.slots):
            pairs = list(zip(lane.spec.slots, lane.slots, strict=True))
            holds = ", ".join(f"{len(slot)} {kind.__name__}" for kind, slot in pairs if slot)
            lacks = ", ".join(kind.__name__ for kind, slot in pairs if not slot)
            lines.append(f"step {lane.spec.name!r} holds {holds} and waits for {lacks}")
        elif not lane.runs and lane.spec.config.handles is None:
            accepts = " or ".join(kind.__name__ for kind in lane.spec.accepts)
            sources = reducer.graph.producers(lane.spec)
            by = f", which {_listed(sources)} did not emit" if sources else ""
            lines.append(f"step {lane.spec.name!r} waits for {accepts}{by}")
    if reducer.lost is not None:
        job, event = reducer.lost
        lines.append(f"step {job.spec.name!r} sent {type(event).__name__}, which no step accepts")
    if reducer.idle_job is not None:
        lines.append(f"step {reducer.idle_job.spec.name!r} emitted nothing on {reducer.idle_job.label}")
    sources = [spec.name for spec in reducer.graph.steps if any(issubclass(e, PlainStopEvent) for e in spec.emits)]
    lines.append(f"the run waits for a StopEvent, which {_listed(sources)} did not emit")
    return lines


def _lacking(needs: Mapping[type[PlainEvent], int], buffer: "Buffer") -> str:
    missing = {kind: need - len(buffer.held.get(kind, ())) for kind, need in needs.items()}
    return ", ".join(f"{count} more {kind.__name__}" for kind, count in missing.items() if count > 0)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
