"""A question that a step has put to somebody outside, until it is answered or its time is over."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from citewell.workflow.plain import PlainEvent

if TYPE_CHECKING:
    from citewell.workflow.job import Job


class Wait:
    """One open question of one job. `due` is in seconds since 1970; `who` are those who may answer, None for all."""

    __slots__ = (
        "answer",
        "due",
        "error",
        "future",
        "job",
        "key",
        "kind",
        "lent",
        "name",
        "promised",
        "requirements",
        "timer",
        "who",
    )

    def __init__(
        self,
        job: "Job",
        name: str,
        kind: type[PlainEvent],
        requirements: Mapping[str, Any],
        due: float | None,
        who: frozenset[str] | None,
    ) -> None:
        self.job = job
        self.name = name
        self.key = key_of(job.spec.name, job.seq, name)
        self.kind = kind
        self.requirements = requirements
        self.due = due
        self.who = who
        self.answer: PlainEvent | None = None
        self.error: Exception | None = None
        self.future: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        # Whether the job has given its worker back for the time of this wait.
        self.lent = False
        # Whether an answer is on its way to the record, so that no other can be given.
        self.promised = False

    def fits(self, event: PlainEvent) -> bool:
        """Whether the event is of the type that is waited for, and has all that is required of it."""
        if type(event) is not self.kind:
            return False
        return all(getattr(event, name, _NOTHING) == value for name, value in self.requirements.items())

    def go_on(self, job: "Job") -> None:
        """The job has a worker again."""
        job.wait = None
        self.lent = False
        if self.future is not None and not self.future.done():
            self.future.set_result(None)


_NOTHING = object()


def key_of(step: str, seq: int, name: str) -> str:
    """The name under which people know a question of a run: step, number of its event, name of the question."""
    return f"{step}/{seq}/{name}"
