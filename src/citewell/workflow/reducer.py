"""The decisions of one run, without clock, input or output: an event goes in, jobs for steps come out.

Every operation is O(1) in the number of pending events. The driver in `run.py` carries the jobs out.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from citewell.workflow.collect import Take
from citewell.workflow.plain import PlainEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.graph import Graph
    from citewell.workflow.past import Past
    from citewell.workflow.step import StepSpec
    from citewell.workflow.wait import Wait

log = logging.getLogger("citewell.workflow")

# type[Any], because the key of a Mapping is invariant and a dict of one event type must do.
Wanted = Sequence[type[PlainEvent]] | Mapping[type[Any], int]


class Emitted(NamedTuple):
    """An event that a step sent or returned: its number, for which step only, and whether it stood in a list."""

    seq: int
    event: PlainEvent
    target: str | None = None
    listed: bool = False
    sent: bool = False


class Trail:
    """What events hand on to what comes of them: the list they belong to, and the failures already recovered."""

    __slots__ = ("recovered", "scope")

    def __init__(self, scope: "Scope | None", recovered: Mapping[str, int]) -> None:
        self.scope = scope
        self.recovered = recovered


class Scope:
    """A list that a step returned, until all that came of it is worked off; `gathered` by collecting step."""

    __slots__ = ("gathered", "outer", "pending", "seq")

    def __init__(self, seq: int, outer: Trail | None, joins: Iterable[int]) -> None:
        self.seq = seq
        self.outer = outer
        self.pending = 0
        # None once the step has been given its events.
        self.gathered: dict[int, list[tuple[int, PlainEvent]] | None] = {index: [] for index in joins}


class Lane:
    """One step within one run: how many jobs it works on, and those beyond `num_workers` in their order."""

    __slots__ = ("active", "joins", "limit", "runs", "slots", "spec", "waiting")

    def __init__(self, spec: "StepSpec") -> None:
        self.spec = spec
        self.limit = spec.config.num_workers
        # Whether it takes several events at once.
        self.joins = spec.cardinality is not None or bool(spec.slots)
        self.active = 0
        self.runs = 0
        self.waiting: deque[Job] | None = None
        self.slots: list[deque[tuple[int, PlainEvent]]] | None = None


class Job:
    """One event for one step, from arrival to its recorded outcome, over all attempts.

    `event` is a list for a step that gathers, a tuple for one with several event parameters.
    """

    __slots__ = (
        "attempt",
        "cancelled",
        "causes",
        "collected",
        "dirty",
        "event",
        "lane",
        "lent",
        "over",
        "past",
        "sent",
        "seq",
        "spec",
        "started",
        "started_at",
        "trail",
        "verdict",
        "wait",
    )

    def __init__(self, lane: Lane, seq: int, event: Any, trail: Trail | None = None) -> None:
        self.lane = lane
        self.spec = lane.spec
        self.seq = seq
        self.event = event
        self.trail = trail
        self.attempt = 1
        self.causes: tuple[int, ...] | None = None
        self.sent: list[tuple[PlainEvent, str | None]] | None = None
        self.dirty: set[str] | None = None
        # Values of the state that the step was given, as they were then.
        self.lent: dict[str, Any] | None = None
        self.collected: list[tuple[_Buffer, Taken | None]] | None = None
        self.cancelled = False
        self.over = False
        self.started_at = 0.0
        self.started = 0.0
        # The error that the engine itself made of this job, to be told from one that a nested run raised in it.
        self.verdict: Exception | None = None
        # What the step waits for at this moment.
        self.wait: Wait | None = None
        # What earlier attempts, or earlier processes, have left: failures, answers, remembered results.
        self.past: Past | None = None

    @property
    def label(self) -> str:
        """The event, as error messages name it."""
        return f"{self.event_name} (event {self.seq})"

    @property
    def event_name(self) -> str:
        """Type of the event, or of the events."""
        if type(self.event) is list:
            return f"list[{' | '.join(kind.__name__ for kind in self.spec.accepts)}]"
        if type(self.event) is tuple:
            return " and ".join(kind.__name__ for kind in self.spec.slots)
        return type(self.event).__name__


Taken = list[tuple[type[PlainEvent], int, PlainEvent]]


class _Buffer:
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


class Reducer:
    """State of one run. The methods are its ticks; `claim()` and `stop` are what it wants done next."""

    __slots__ = (
        "_lock",
        "_ran",
        "_routes",
        "active",
        "asks",
        "buffers",
        "freed",
        "graph",
        "idle_job",
        "lanes",
        "lost",
        "on_wait",
        "ready",
        "scopes",
        "seq",
        "stop",
        "waits",
    )

    def __init__(self, graph: "Graph") -> None:
        self.graph = graph
        # None while the run rests.
        self.lanes: list[Lane] | None = [Lane(spec) for spec in graph.steps]
        self._ran = 0
        # Jobs, and such as are not made yet: their lane, event number, event and trail, one after the other. None
        # while nothing is queued for long: an empty deque takes as much room as all the rest of a run.
        self.ready: deque[Any] | None = None
        self.freed: deque[Job] | None = None
        self.seq = 0
        self.active = 0
        self.stop: tuple[int, PlainEvent] | None = None
        self._routes = graph.routes
        self.buffers: dict[tuple[str, str], _Buffer] | None = None
        self.waits: dict[str, Wait] | None = None
        # Events that ask somebody outside and are not answered yet, by number.
        self.asks: tuple[tuple[int, PlainEvent], ...] = ()
        self.scopes = 0
        # Told of every job that has to wait for a worker of its step; and the last one that came to nothing.
        self.on_wait: Callable[[Job], None] | None = None
        self.idle_job: Job | None = None
        # The last event that was sent to nobody.
        self.lost: tuple[Job, PlainEvent] | None = None
        # Only collect() needs it: steps in threads may call it at the same time.
        self._lock: threading.Lock | None = None

    def emit(self, event: PlainEvent) -> int:
        """Number the event and deliver it; its sequence number."""
        seq = self.seq = self.seq + 1
        self.deliver(seq, event)
        return seq

    def number(self) -> int:
        """The next sequence number, for a record that reaches no step."""
        self.seq += 1
        return self.seq

    def deliver(
        self,
        seq: int,
        event: PlainEvent,
        step: str | None = None,
        trail: Trail | None = None,
        *,
        sent: bool = False,
    ) -> bool:
        """Queue one job for each step that accepts the event, or for the named one; a stop event ends the run.

        Whether anything came of it.
        """
        indexes = self._routes.get(type(event))
        if indexes is None:
            indexes = self.graph.route(type(event))
        lanes = self.lanes or self._lanes_again()
        if step is not None:
            indexes = tuple(index for index in indexes if lanes[index].spec.name == step)
        ready = self.ready
        if ready is None:
            ready = self.ready = deque()
        for index in indexes:
            lane = lanes[index]
            if lane.joins:
                if lane.spec.cardinality is not None:
                    self._gather(lane, seq, event, trail, sent)
                    continue
                job = self._fill(lane, seq, event, trail)
                if job is None:
                    continue
                ready.append(job)
            else:
                # What a job is made of, and not yet the job: a hundred thousand objects that wait would have to be
                # gone through by every garbage collection.
                ready.extend((lane, seq, event, trail))
            if trail is not None and trail.scope is not None:
                trail.scope.pending += 1
        if not indexes and not sent and self.stop is None and isinstance(event, PlainStopEvent):
            self.stop = (seq, event)
            return True
        return bool(indexes)

    def finish(self, job: Job, seq: int, emitted: Sequence[Emitted], opened: bool) -> None:
        """Deliver what the job emitted, whose outcome has number `seq`; `opened` when it returned a list."""
        trail = job.trail
        inside = trail
        scope: Scope | None = None
        if opened and (joins := self.graph.opens.get(job.spec.index)):
            scope = Scope(seq, trail, joins)
            inside = Trail(scope, {} if trail is None else trail.recovered)
            self.scopes += 1
            if trail is not None and trail.scope is not None:
                trail.scope.pending += 1
            # Held open until all members are delivered: a collecting step may take them at once.
            scope.pending += 1
        for one in emitted:
            self.deliver(one.seq, one.event, one.target, inside if one.listed else trail, sent=one.sent)
        if scope is not None:
            self._settle(scope)
        if trail is not None and trail.scope is not None:
            self._settle(trail.scope)

    def hand_over(self, job: Job, seq: int, failed: PlainEvent, handler: str) -> None:
        """Give the failure of a job, as event number `seq`, to the step that stands in for it."""
        trail = job.trail
        scope = trail.scope if trail is not None else None
        recovered = dict(trail.recovered) if trail is not None else {}
        recovered[handler] = recovered.get(handler, 0) + 1
        lane = (self.lanes or self._lanes_again())[self.graph.by_name[handler].index]
        if scope is not None:
            scope.pending += 1
        self.queue(Job(lane, seq, failed, Trail(scope, recovered)))
        if scope is not None:
            self._settle(scope)

    def _settle(self, scope: Scope) -> None:
        # One thing less that may still add to the list.
        scope.pending -= 1
        if scope.pending:
            return
        self.scopes -= 1
        for index, members in scope.gathered.items():
            if members is not None:
                self._release(scope, index, members)
        if scope.outer is not None and scope.outer.scope is not None:
            self._settle(scope.outer.scope)

    def _gather(self, lane: Lane, seq: int, event: PlainEvent, trail: Trail | None, sent: bool) -> None:
        scope = trail.scope if trail is not None else None
        while scope is not None and lane.spec.index not in scope.gathered:
            scope = scope.outer.scope if scope.outer is not None else None
        if scope is None or sent:
            log.warning(
                "Step %r gathers what comes of a returned list; a %s that came another way does not reach it.",
                lane.spec.name,
                type(event).__name__,
            )
            return
        members = scope.gathered[lane.spec.index]
        if members is None:
            return
        members.append((seq, event))
        cardinality = lane.spec.cardinality
        if type(cardinality) is Take and len(members) == cardinality.n:
            self._release(scope, lane.spec.index, members)

    def _release(self, scope: Scope, index: int, members: list[tuple[int, PlainEvent]]) -> None:
        scope.gathered[index] = None
        job = Job((self.lanes or self._lanes_again())[index], scope.seq, [event for _, event in members], scope.outer)
        job.causes = (scope.seq, *(seq for seq, _ in members))
        if scope.outer is not None and scope.outer.scope is not None:
            scope.outer.scope.pending += 1
        self.queue(job)

    def _fill(self, lane: Lane, seq: int, event: PlainEvent, trail: Trail | None) -> Job | None:
        if lane.slots is None:
            lane.slots = [deque() for _ in lane.spec.slots]
        slots = lane.spec.slots
        # The exact type first: another parameter may take a base of it.
        exact = type(event) in slots
        at = slots.index(type(event)) if exact else next(n for n, kind in enumerate(slots) if isinstance(event, kind))
        lane.slots[at].append((seq, event))
        if not all(lane.slots):
            return None
        taken = [slot.popleft() for slot in lane.slots]
        job = Job(lane, seq, tuple(event for _, event in taken), trail)
        job.causes = tuple(dict.fromkeys((seq, *(one for one, _ in taken))))
        return job

    def queue(self, *jobs: Job) -> None:
        """Put jobs behind all others."""
        if self.ready is None:
            self.ready = deque()
        self.ready.extend(jobs)

    def fetch(self) -> list[Job]:
        """Take all jobs that no worker has looked at."""
        found = self._made()
        self.ready = None
        return found

    def _made(self) -> list[Job]:
        items = iter(self.ready or ())
        return [Job(one, next(items), next(items), next(items)) if type(one) is Lane else one for one in items]

    def rest(self) -> None:
        """Hold no more than needed while the run waits for somebody outside."""
        self.ready = None
        if self.lanes is not None and not self.waits and not any(lane.slots for lane in self.lanes):
            self._ran = sum(1 << lane.spec.index for lane in self.lanes if lane.runs)
            self.lanes = None

    def _lanes_again(self) -> list[Lane]:
        self.lanes = [Lane(spec) for spec in self.graph.steps]
        for lane in self.lanes:
            lane.runs = self._ran >> lane.spec.index & 1
        return self.lanes

    def lane(self, index: int) -> Lane:
        """The lane of the step with this index."""
        return (self.lanes or self._lanes_again())[index]

    def asked(self, asked: tuple[int, PlainEvent]) -> None:
        """Somebody outside is asked by this event, of this number."""
        self.asks = (*self.asks, asked)

    def was_answered(self) -> None:
        """The oldest event that asks is answered."""
        self.asks = self.asks[1:]

    def claim(self) -> Job | None:
        """The next job in order of arrival whose step has a free worker; None when there is none."""
        ready = self.ready
        while ready or self.freed:
            # Jobs that wait for a worker arrived before everything that is still in `ready`.
            if self.freed:
                job = self.freed.popleft()
                lane = job.lane
            else:
                first = ready.popleft()  # type: ignore[union-attr]
                if type(first) is Lane:
                    lane = first
                    job = Job(lane, ready.popleft(), ready.popleft(), ready.popleft())  # type: ignore
                else:
                    job = first
                    lane = job.lane
            if lane.active < lane.limit:
                lane.active += 1
                self.active += 1
                if job.wait is not None:
                    # It has begun already and goes on in its own task.
                    job.wait.go_on(job)
                    continue
                lane.runs += 1
                return job
            if lane.waiting is None:
                lane.waiting = deque()
            lane.waiting.append(job)
            if self.on_wait is not None:
                self.on_wait(job)
        return None

    def release(self, job: Job) -> None:
        """The job is over: its worker takes the step's oldest waiting job."""
        job.over = True
        self.set_aside(job)

    def set_aside(self, job: Job) -> None:
        """The job waits for somebody outside and needs no worker meanwhile."""
        lane = job.lane
        lane.active -= 1
        self.active -= 1
        if lane.waiting:
            if self.freed is None:
                self.freed = deque()
            self.freed.append(lane.waiting.popleft())

    def take_up(self, job: Job) -> None:
        """Queue a job again that was set aside, or that an earlier process had begun."""
        if self.freed is None:
            self.freed = deque()
        self.freed.append(job)

    def queued(self) -> list[Job]:
        """The jobs that no worker has taken."""
        behind = [job for lane in self.lanes or () for job in lane.waiting or ()]
        return [*(self.freed or ()), *behind, *self._made()]

    def drain(self) -> None:
        """Forget all queued jobs: the run is ending."""
        self.ready = None
        self.freed = None
        for lane in self.lanes or ():
            lane.waiting = None

    @property
    def backlog(self) -> int:
        """About how many jobs could be claimed; above 0 if there is any."""
        return (len(self.ready) + 3 if self.ready else 0) // 4 + (len(self.freed) if self.freed else 0)

    @property
    def quiet(self) -> bool:
        """Whether nothing runs, nothing is queued and no stop event came."""
        return not self.active and not self.ready and not self.freed and self.stop is None

    def collect(self, job: Job, event: PlainEvent, wanted: Wanted, name: str) -> list[Any] | None:
        """All wanted events in the order of `wanted`, once the step holds them; until then None, and it is held."""
        if self._lock is None:
            self._lock = threading.Lock()
        with self._lock:
            buffer = self.buffer(job.spec.name, name)
            buffer.wanted = wanted
            buffer.sort(wanted)
            if job.collected is None:
                job.collected = []
            if not job.collected or not any(mine is buffer for mine, _ in job.collected):
                self._hold(buffer, job, event, wanted)
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

    def buffer(self, step: str, name: str) -> _Buffer:
        """The buffer of that name of a step, made when it is not there."""
        if self.buffers is None:
            self.buffers = {}
        found = self.buffers.get((step, name))
        if found is None:
            found = self.buffers[step, name] = _Buffer(step, name)
        return found

    def _hold(self, buffer: _Buffer, job: Job, event: PlainEvent, wanted: Wanted) -> None:
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

    def undo(self, job: Job) -> None:
        """Take back what a failed attempt sent and collected, so that the next attempt starts as this one did."""
        job.sent = None
        if type(job.event) is not list and type(job.event) is not tuple:
            job.causes = None
        if not job.collected:
            return
        assert self._lock is not None
        with self._lock:
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

    def waiting(self) -> list[str]:
        """One line for each step that still waits: what it holds and lacks, or which event never came."""
        lines = []
        for (step, _), buffer in (self.buffers or {}).items():
            needs = buffer.wanted if isinstance(buffer.wanted, Mapping) else Counter(buffer.wanted)
            if buffer.count and (lacks := _lacking(needs, buffer)):
                holds = ", ".join(f"{len(held)} {kind.__name__}" for kind, held in buffer.held.items() if held)
                lines.append(f"step {step!r} holds {holds} and waits for {lacks}")
        for lane in self.lanes or self._lanes_again():
            if lane.slots is not None and any(lane.slots):
                pairs = list(zip(lane.spec.slots, lane.slots, strict=True))
                holds = ", ".join(f"{len(slot)} {kind.__name__}" for kind, slot in pairs if slot)
                lacks = ", ".join(kind.__name__ for kind, slot in pairs if not slot)
                lines.append(f"step {lane.spec.name!r} holds {holds} and waits for {lacks}")
            elif not lane.runs and lane.spec.config.handles is None:
                accepts = " or ".join(kind.__name__ for kind in lane.spec.accepts)
                sources = self.graph.producers(lane.spec)
                by = f", which {_listed(sources)} did not emit" if sources else ""
                lines.append(f"step {lane.spec.name!r} waits for {accepts}{by}")
        if self.lost is not None:
            job, event = self.lost
            lines.append(f"step {job.spec.name!r} sent {type(event).__name__}, which no step accepts")
        if self.idle_job is not None:
            lines.append(f"step {self.idle_job.spec.name!r} emitted nothing on {self.idle_job.label}")
        sources = [spec.name for spec in self.graph.steps if any(issubclass(e, PlainStopEvent) for e in spec.emits)]
        lines.append(f"the run waits for a StopEvent, which {_listed(sources)} did not emit")
        return lines


def _lacking(needs: Mapping[type[PlainEvent], int], buffer: _Buffer) -> str:
    missing = {kind: need - len(buffer.held.get(kind, ())) for kind, need in needs.items()}
    return ", ".join(f"{count} more {kind.__name__}" for kind, count in missing.items() if count > 0)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)
