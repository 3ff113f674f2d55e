"""The decisions of one run, without clock, input or output: an event goes in, jobs for steps come out.

Every operation is O(1) in the number of pending events. The driver in `run.py` carries the jobs out.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from citewell.workflow.errors import WorkflowFailed
from citewell.workflow.events import Event, StopEvent

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph
    from citewell.workflow.step import StepSpec

# type[Any], because the key of a Mapping is invariant and a dict of one event type must do.
Wanted = Sequence[type[Event]] | Mapping[type[Any], int]


class Lane:
    """One step within one run: how many jobs it works on, and those beyond `num_workers` in their order."""

    __slots__ = ("active", "limit", "runs", "spec", "waiting")

    def __init__(self, spec: "StepSpec") -> None:
        self.spec = spec
        self.limit = spec.config.num_workers
        self.active = 0
        self.runs = 0
        self.waiting: deque[Job] | None = None


class Job:
    """One event for one step, from arrival to its recorded outcome, over all attempts."""

    __slots__ = (
        "attempt",
        "cancelled",
        "causes",
        "collected",
        "dirty",
        "event",
        "lane",
        "over",
        "sent",
        "seq",
        "spec",
        "started",
        "started_at",
        "verdict",
    )

    def __init__(self, lane: Lane, seq: int, event: Event) -> None:
        self.lane = lane
        self.spec = lane.spec
        self.seq = seq
        self.event = event
        self.attempt = 1
        self.causes: tuple[int, ...] | None = None
        self.sent: list[tuple[Event, str | None]] | None = None
        self.dirty: set[str] | None = None
        self.collected: list[tuple[_Buffer, Taken | None]] | None = None
        self.cancelled = False
        self.over = False
        self.started_at = 0.0
        self.started = 0.0
        # The error that the engine itself made of this job, to be told from one that a nested run raised in
        # it.
        self.verdict: WorkflowFailed | None = None

    @property
    def label(self) -> str:
        """The event, as error messages name it."""
        return f"{type(self.event).__name__} (event {self.seq})"


Taken = list[tuple[type[Event], int, Event]]


class _Buffer:
    """Events that one step holds back until it has all that it asked for."""

    __slots__ = ("count", "held", "wanted")

    def __init__(self) -> None:
        self.held: dict[type[Event], deque[tuple[int, Event]]] = {}
        self.count = 0
        self.wanted: Wanted = ()


class Reducer:
    """State of one run. The methods are its ticks; `claim()` and `stop` are what it wants done next."""

    __slots__ = ("_buffers", "_freed", "_lock", "_routes", "active", "graph", "lanes", "ready", "seq", "stop")

    def __init__(self, graph: "Graph") -> None:
        self.graph = graph
        self.lanes = [Lane(spec) for spec in graph.steps]
        self.ready: deque[Job] = deque()
        self._freed: deque[Job] = deque()
        self.seq = 0
        self.active = 0
        self.stop: tuple[int, StopEvent] | None = None
        self._routes = graph.routes
        self._buffers: dict[tuple[str, str], _Buffer] = {}
        # Only collect() needs it: steps in threads may call it at the same time.
        self._lock = threading.Lock()

    def emit(self, event: Event) -> int:
        """Number the event and deliver it; its sequence number."""
        seq = self.seq = self.seq + 1
        self.deliver(seq, event)
        return seq

    def number(self) -> int:
        """The next sequence number, for a record that reaches no step."""
        self.seq += 1
        return self.seq

    def deliver(self, seq: int, event: Event, step: str | None = None) -> None:
        """Queue one job for each step that accepts the event, or for the named one; a stop event ends the
        run.
        """
        indexes = self._routes.get(type(event))
        if indexes is None:
            indexes = self.graph.route(type(event))
        if step is not None:
            indexes = tuple(index for index in indexes if self.lanes[index].spec.name == step)
        lanes = self.lanes
        for index in indexes:
            self.ready.append(Job(lanes[index], seq, event))
        if not indexes and self.stop is None and isinstance(event, StopEvent):
            self.stop = (seq, event)

    def claim(self) -> Job | None:
        """The next job in order of arrival whose step has a free worker; None when there is none."""
        ready, freed = self.ready, self._freed
        while ready or freed:
            # Jobs that wait for a worker arrived before everything that is still in `ready`.
            job = freed.popleft() if freed else ready.popleft()
            lane = job.lane
            if lane.active < lane.limit:
                lane.active += 1
                lane.runs += 1
                self.active += 1
                return job
            if lane.waiting is None:
                lane.waiting = deque()
            lane.waiting.append(job)
        return None

    def release(self, job: Job) -> None:
        """The job is over: its worker takes the step's oldest waiting job."""
        job.over = True
        lane = job.lane
        lane.active -= 1
        self.active -= 1
        if lane.waiting:
            self._freed.append(lane.waiting.popleft())

    def drain(self) -> None:
        """Forget all queued jobs: the run is ending."""
        self.ready.clear()
        self._freed.clear()
        for lane in self.lanes:
            lane.waiting = None

    @property
    def backlog(self) -> int:
        """How many jobs could be claimed, at most."""
        return len(self.ready) + len(self._freed)

    @property
    def stuck(self) -> bool:
        """Whether nothing runs, nothing is queued and no stop event came."""
        return not self.active and not self.backlog and self.stop is None

    def collect(self, job: Job, event: Event, wanted: Wanted, name: str) -> list[Event] | None:
        """All wanted events in the order of `wanted`, once the step holds them; until then None, and it is
        held.
        """
        with self._lock:
            buffer = self._buffers.get((job.spec.name, name))
            if buffer is None:
                buffer = self._buffers[job.spec.name, name] = _Buffer()
            buffer.wanted = wanted
            if job.collected is None:
                job.collected = []
            if not job.collected or not any(mine is buffer for mine, _ in job.collected):
                self._hold(buffer, job, event, wanted)
            mapped = isinstance(wanted, Mapping)
            total = sum(wanted.values()) if isinstance(wanted, Mapping) else len(wanted)
            if buffer.count < total:
                return None
            needs: Mapping[type[Event], int] = wanted if isinstance(wanted, Mapping) else Counter(wanted)
            if any(len(buffer.held.get(kind, ())) < need for kind, need in needs.items()):
                return None
            order: Iterable[type[Event]] = (
                (kind for kind, need in needs.items() for _ in range(need)) if mapped else wanted
            )
            taken: Taken = [(kind, *buffer.held[kind].popleft()) for kind in order]
            buffer.count -= len(taken)
            job.collected.append((buffer, taken))
            job.causes = tuple(dict.fromkeys((job.seq, *(seq for _, seq, _ in taken))))
            return [event for _, _, event in taken]

    def _hold(self, buffer: _Buffer, job: Job, event: Event, wanted: Wanted) -> None:
        kind = type(event)
        if kind not in wanted:
            kind = next((one for one in wanted if isinstance(event, one)), kind)
            if kind not in wanted:
                raise TypeError(
                    f"collect_events() got a {type(event).__name__}, which is not among the wanted types. "
                    "Collect only events of the types you wait for."
                )
        buffer.held.setdefault(kind, deque()).append((job.seq, event))
        buffer.count += 1
        assert job.collected is not None
        job.collected.append((buffer, None))

    def undo(self, job: Job) -> None:
        """Take back what a failed attempt sent and collected, so that the next attempt starts as this one
        did.
        """
        job.sent = None
        job.causes = None
        with self._lock:
            for buffer, taken in reversed(job.collected or ()):
                for kind, seq, event in reversed(taken or ()):
                    buffer.held[kind].appendleft((seq, event))
                    buffer.count += 1
                if taken is None:
                    for kind, held in buffer.held.items():
                        kept = deque(entry for entry in held if entry[0] != job.seq)
                        buffer.count -= len(held) - len(kept)
                        buffer.held[kind] = kept
            job.collected = None

    def waiting(self) -> list[str]:
        """One line for each step that still waits: what it holds and lacks, or which event never came."""
        lines = []
        for (step, _), buffer in self._buffers.items():
            needs = buffer.wanted if isinstance(buffer.wanted, Mapping) else Counter(buffer.wanted)
            if buffer.count and (lacks := _lacking(needs, buffer)):
                holds = ", ".join(f"{len(held)} {kind.__name__}" for kind, held in buffer.held.items() if held)
                lines.append(f"step {step!r} holds {holds} and waits for {lacks}")
        for lane in self.lanes:
            if not lane.runs:
                accepts = " or ".join(kind.__name__ for kind in lane.spec.accepts)
                sources = self.graph.producers(lane.spec)
                by = f", which {_listed(sources)} did not emit" if sources else ""
                lines.append(f"step {lane.spec.name!r} waits for {accepts}{by}")
        sources = [spec.name for spec in self.graph.steps if any(issubclass(e, StopEvent) for e in spec.emits)]
        lines.append(f"the run waits for a StopEvent, which {_listed(sources)} did not emit")
        return lines


def _lacking(needs: Mapping[type[Event], int], buffer: _Buffer) -> str:
    missing = {kind: need - len(buffer.held.get(kind, ())) for kind, need in needs.items()}
    return ", ".join(f"{count} more {kind.__name__}" for kind, count in missing.items() if count > 0)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
