"""What a step may ask of its run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from citewell.workflow.declared import check_sent
from citewell.workflow.events import Event

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from citewell.workflow.reducer import Job
    from citewell.workflow.run import Run
    from citewell.workflow.state import Store

    S = TypeVar("S", default=dict[str, Any])
else:
    from typing import TypeVar

    S = TypeVar("S")


class Context(Generic[S]):
    """The run as one step sees it while it works on one event; `Context[MyState]` declares the state's type.

    All but `store` may be used from a plain `def` step in its thread too.
    """

    __slots__ = ("_job", "_run")

    def __init__(self, run: "Run", job: "Job") -> None:
        self._run = run
        self._job = job

    @property
    def store(self) -> "Store[S]":
        """The state of the run."""
        from citewell.workflow.state import Store

        return Store(self._run.state, self._job)

    @property
    def run_id(self) -> str:
        """The run's id, the same after a restart."""
        return self._run.run_id

    @property
    def step_name(self) -> str:
        """The step's method name."""
        return self._job.spec.name

    @property
    def attempt(self) -> int:
        """Which attempt at this event this is, from 1."""
        return self._job.attempt

    @property
    def cancelled(self) -> bool:
        """Whether the run is ending; a step in a thread should look at it from time to time, and return."""
        return self._job.cancelled

    def idempotency_key(self, name: str = "") -> str:
        """A key for an outside effect: the same in every attempt of this step at this event, different from
        all others.

        32 hexadecimal digits. `name` tells several effects of one step apart.
        """
        import hashlib

        text = f"{self._run.run_id}\0{self._job.spec.name}\0{self._job.seq}\0{name}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def send_event(self, event: Event, step: str | None = None) -> None:
        """Send an event to every step that accepts it, or to the named one only.

        It is delivered when this step has succeeded, after the events it returns were checked: an attempt
        that fails has sent nothing. Raises UndeclaredEvent at once if nothing would receive it.
        """
        check_sent(self._run.graph, self._job, event, step)
        if self._job.sent is None:
            self._job.sent = []
        self._job.sent.append((event, step))

    def collect_events(
        self, event: Event, wanted: Sequence[type[Event]] | Mapping[type[Any], int], buffer: str = ""
    ) -> list[Any] | None:
        """All wanted events, in the order of `wanted`, once this step has received them all; None until then.

        `[A, A, B]` and `{A: 2, B: 1}` want the same; for many events give the mapping, which costs the same
        for any number. Of one type the earliest come first; surplus events are kept for the next collection.
        """
        return self._run.reducer.collect(self._job, event, wanted, buffer)

    def write_event_to_stream(self, event: Event) -> None:
        """Show an event to the readers of the stream, now; no step receives it."""
        self._run.write_to_stream(self._job, event)
