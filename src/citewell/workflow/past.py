"""What is known of a job from before: failed attempts, answers to its questions, results it has remembered."""

import datetime
from typing import TYPE_CHECKING, Any

from citewell.workflow.plain import PlainEvent

if TYPE_CHECKING:
    from citewell.workflow.job import Job


class Past:
    """Of one job, over all attempts and processes. Times are seconds since 1970.

    `asked` are the ids of the questions whose event was shown; `answers` are by question id. `due` is when the next
    attempt may begin.
    """

    __slots__ = (
        "answers",
        "asked",
        "due",
        "error",
        "failed_at",
        "first_at",
        "first_failed_at",
        "flushed",
        "memos",
        "sending",
        "sent",
        "spent",
    )

    def __init__(self) -> None:
        self.answers: dict[str, PlainEvent] | None = None
        self.asked: dict[str, float | None] | None = None
        self.memos: dict[str, Any] | None = None
        self.due = 0.0
        self.error: Exception | None = None
        self.first_at = 0.0
        self.first_failed_at = 0.0
        self.failed_at = 0.0
        # Questions whose time ran out; later answers are refused.
        self.spent: set[str] | None = None
        # How many of the events that it sends went out before its outcome.
        self.flushed = 0
        # What it has sent in a run that only lives in memory, and at which of them the present attempt is.
        self.sent: list[tuple[PlainEvent, str | None]] | None = None
        self.sending = 0

    def failed(self, error: Exception, at: float, began: float) -> None:
        """Note a failed attempt."""
        self.error = error
        self.failed_at = at
        if not self.first_failed_at:
            self.first_failed_at, self.first_at = at, began

    def was_asked(self, name: str, due: float | None) -> None:
        """Note that the question was put, and until when it may be answered."""
        self.asked = self.asked or {}
        self.asked[name] = due

    def answered(self, name: str, event: PlainEvent) -> None:
        """Note the answer to a question."""
        self.answers = self.answers or {}
        self.answers[name] = event

    def lapsed(self, name: str) -> None:
        """Note that the time of a question is over."""
        self.spent = self.spent or set()
        self.spent.add(name)

    def remembers(self, name: str, value: Any) -> None:
        """Note a result that the next attempts find under this name."""
        self.memos = self.memos or {}
        self.memos[name] = value

    def sends_again(self, event: PlainEvent, step: str | None) -> bool:
        """Note what the present attempt sends; whether a failed one has sent the same at the same place."""
        at, self.sending = self.sending, self.sending + 1
        if self.sent is None:
            self.sent = []
        if at < len(self.sent) and self.sent[at] == (event, step):
            return True
        self.sent[at:] = [(event, step)]
        return False

    @property
    def last_failed(self) -> datetime.datetime | None:
        """When the last attempt failed, in UTC."""
        return datetime.datetime.fromtimestamp(self.failed_at, datetime.UTC) if self.failed_at else None


def past_of(job: "Job") -> Past:
    """The job's past, which begins when something of it is first to be kept."""
    if job.past is None:
        job.past = Past()
    return job.past
