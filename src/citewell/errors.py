"""Every error Citewell raises: which thing, what is wrong, what to do."""

from __future__ import annotations


class CitewellError(Exception):
    """Root of all errors that Citewell raises on purpose."""


class ConfigError(CitewellError):
    """A setting or argument is unknown or impossible; raised where it enters, never at first use."""


class FilterError(ConfigError):
    """A filter cannot be understood. Never answered with "no filter": nothing is searched."""


class ReadError(CitewellError):
    """One source could not be read; ingestion records it and goes on.

    `kind` is one of `KINDS`, so that reports and tests need not parse messages.
    """

    KINDS = (
        "corrupt",
        "encrypted",
        "not_permitted",
        "unsupported_type",
        "type_mismatch",
        "empty",
        "no_text",
        "limit_exceeded",
        "unsafe_content",
        "missing",
    )

    def __init__(self, kind: str, message: str) -> None:
        assert kind in self.KINDS, kind
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[ReadError], tuple[str, str]]:
        # Readers run in worker processes: the default reduction would drop `kind`.
        return (ReadError, (self.kind, str(self)))


class ModelUnavailable(CitewellError):
    """A model is not installed, or its endpoint kept failing."""

    def __init__(self, message: str, *, attempts: int = 0, last_error: str | None = None) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.last_error = last_error


class IndexMismatch(CitewellError):
    """The knowledge base was built by another embedder, splitter, analyzer or format; says how to rebuild."""


class StoreError(CitewellError):
    """The store cannot be opened or written; nothing was half-committed."""


class NotFound(CitewellError):
    """No such run, document or bucket for this principal. Hidden and absent are told apart by nobody."""
