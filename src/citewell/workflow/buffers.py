"""Events that a step holds back with `collect_events` until it has all that it asked for. Each costs O(1)."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from citewell.workflow.plain import PlainEvent

if TYPE_CHECKING:
    from citewell.workflow.job import Job
    from citewell.workflow.reducer import Reducer

# type[Any], because the key of a Mapping is invariant and a dict of one event type must do.
Wanted = Sequence[type[PlainEvent]] | Mapping[type[Any], int]
Taken = list[tuple[type[PlainEvent], int, PlainEvent]]

# Steps in threads may collect at the same time. One for all runs: it is held for microseconds.
_LOCK = threading.Lock()


class Buffer:
    """Events that one step holds back until it has all that it asked for."""

    __slots__ = ("_as_found", "count", "early", "held", "name", "step", "wanted")

    def __init__(self, step: str, name: str) -> None:
        self.step = step
        self.name = name
        self.held: dict[type[PlainEvent], deque[tuple[int, PlainEvent]]] = {}
        self.count = 0
        self.wanted: Wanted = ()
        # Events that were taken out before the job that held them was over: it must not hold them again.
        self.early: set[int] | None = None
        # Set while events are held under their own types, which need not be the ones that are wanted.
        self._as_found = False

    def put_back(self, seq: int, event: PlainEvent) -> None:
        """Hold an event that was held before this process."""
        if self.early and seq in self.early:
            self.early.discard(seq)
            return
        self.held.setdefault(type(event), deque()).append((seq, event))
        self.count += 1
        self._as_found = True

    def take_out(self, seqs: Iterable[int]) -> None:
        """Release the events with these numbers."""
        gone = set(seqs)
        early = gone - {seq for held in self.held.values() for seq, _ in held}
        if early:
            self.early = {*(self.early or ()), *early}
        for kind, held in self.held.items():
            self.held[kind] = deque(one for one in held if one[0] not in gone)
        self.count = sum(map(len, self.held.values()))

    def sort(self, wanted: Wanted) -> None:
        """Hold what was put back under the types that are wanted."""
        if not self._as_found:
            return
        self._as_found = False
        everything = sorted((one for held in self.held.values() for one in held), key=lambda one: one[0])
        self.held = {}
        for seq, event in everything:
            kind = type(event)
            if kind not in wanted:
                kind = next((one for one in wanted if isinstance(event, one)), kind)
            self.held.setdefault(kind, deque()).append((seq, event))


def collect(reducer: "Reducer", job: "Job", event: PlainEvent, wanted: Wanted, name: str) -> list[Any] | None:
    """All wanted events in the order of `wanted`, once the step holds them; until then None, and it is held."""
    with _LOCK:
        buffer = buffer_of(reducer, job.spec.name, name)
        buffer.wanted = wanted
        buffer.sort(wanted)
        if job.collected is None:
            job.collected = []
        if not job.collected or not any(mine is buffer for mine, _ in job.collected):
            _hold(buffer, job, event, wanted)
        # Exactly dict first: the question whether something is a Mapping costs more than all the rest.
        mapped = type(wanted) is dict or isinstance(wanted, Mapping)
        total = sum(wanted.values()) if mapped else len(wanted)  # type: ignore[union-attr]
        if buffer.count < total:
            return None
        needs: Mapping[type[PlainEvent], int] = wanted if mapped else Counter(wanted)  # type: ignore[assignment]
        if any(len(buffer.held.get(kind, ())) < need for kind, need in needs.items()):
            return None
        order: Iterable[type[PlainEvent]] = (
            (kind for kind, need in needs.items() for _ in range(need)) if mapped else wanted
        )
        taken: Taken = [(kind, *buffer.held[kind].popleft()) for kind in order]
        buffer.count -= len(taken)
        job.collected.append((buffer, taken))
        job.causes = tuple(dict.fromkeys((job.seq, *(seq for _, seq, _ in taken))))
        return [event for _, _, event in taken]


def give_back(job: "Job") -> None:
    """Take back what the job has held, and hold again what it has taken."""
    if not job.collected:
        return
    with _LOCK:
        for buffer, taken in reversed(job.collected):
            for kind, seq, event in reversed(taken or ()):
                buffer.held[kind].appendleft((seq, event))
                buffer.count += 1
            if taken is None:
                for kind, held in buffer.held.items():
                    kept = deque(entry for entry in held if entry[0] != job.seq)
                    buffer.count -= len(held) - len(kept)
                    buffer.held[kind] = kept
        job.collected = None


def buffer_of(reducer: "Reducer", step: str, name: str) -> Buffer:
    """The buffer of that name of a step, made when it is not there."""
    if reducer.buffers is None:
        reducer.buffers = {}
    found = reducer.buffers.get((step, name))
    if found is None:
        found = reducer.buffers[step, name] = Buffer(step, name)
    return found


def _hold(buffer: Buffer, job: "Job", event: PlainEvent, wanted: Wanted) -> None:
    kind = type(event)
    if kind not in wanted:
        kind = next((one for one in wanted if isinstance(event, one)), kind)
        if kind not in wanted or not job.spec.config.accept_event_subclasses:
            # Not asked for, and so not kept.
            return
    if buffer.early and job.seq in buffer.early:
        assert job.collected is not None
        job.collected.append((buffer, None))
        return
    buffer.held.setdefault(kind, deque()).append((job.seq, event))
    buffer.count += 1
    assert job.collected is not None
    job.collected.append((buffer, None))
