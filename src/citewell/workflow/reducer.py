"""The decisions of one run, without clock, input or output: an event goes in, jobs for steps come out.

Every operation is O(1) in the number of pending events. The driver in `run.py` carries the jobs out.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from citewell.workflow.buffers import give_back
from citewell.workflow.collect import Take
from citewell.workflow.job import Emitted, Job, Lane, Scope, Trail
from citewell.workflow.plain import PlainEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.buffers import Buffer
    from citewell.workflow.graph import Graph
    from citewell.workflow.wait import Wait

log = logging.getLogger("citewell.workflow")


class Reducer:
    """State of one run. The methods are its ticks; `claim()` and `stop` are what it wants done next."""

    __slots__ = (
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
        self.buffers: dict[tuple[str, str], Buffer] | None = None
        self.waits: dict[str, Wait] | None = None
        # Events that ask somebody outside and are not answered yet, by number.
        self.asks: tuple[tuple[int, PlainEvent], ...] = ()
        self.scopes = 0
        # Told of every job that has to wait for a worker of its step; and the last one that came to nothing.
        self.on_wait: Callable[[Job], None] | None = None
        self.idle_job: Job | None = None
        # The last event that was sent to nobody.
        self.lost: tuple[Job, PlainEvent] | None = None

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

    def forget(self, job: Job) -> None:
        """Take a job out of the queues: it goes on without them."""
        for queue in (self.freed, job.lane.waiting):
            if queue and job in queue:
                queue.remove(job)

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

    def undo(self, job: Job) -> None:
        """Take back what a failed attempt sent and collected, so that the next attempt starts as this one did."""
        job.sent = None
        if type(job.event) is not list and type(job.event) is not tuple:
            job.causes = None
        give_back(job)
