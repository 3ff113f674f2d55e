"""What is known of a job from before: failed attempts, answers to its questions, results it has remembered."""

import datetime
from typing import Any

from citewell.workflow.plain import PlainEvent

MISSING: Any = object()


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

    @property
    def last_failed(self) -> datetime.datetime | None:
        """When the last attempt failed, in UTC."""
        return datetime.datetime.fromtimestamp(self.failed_at, datetime.UTC) if self.failed_at else None
