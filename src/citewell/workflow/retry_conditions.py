"""Which exceptions are worth another attempt: predicates that compose with `&` and `|`."""

# The names of the classes are those of `workflows.retry_policy`: source compatibility fixes them.
# ruff: noqa: N801

import dataclasses
import re
from collections.abc import Callable
from typing import Protocol

from citewell.workflow.retry_arguments import ExceptionTypes, Part, call, check_part, check_types, set_parts


class RetryCondition(Protocol):
    """Whether an exception is worth another attempt."""

    def __call__(self, error: BaseException) -> bool: ...


class _Condition(Part):
    def __call__(self, error: BaseException) -> bool:
        raise NotImplementedError

    def __and__(self, other: RetryCondition) -> "retry_all":
        return retry_all(self, other) if callable(other) else NotImplemented

    def __rand__(self, other: RetryCondition) -> "retry_all":
        return retry_all(other, self) if callable(other) else NotImplemented

    def __or__(self, other: RetryCondition) -> "retry_any":
        return retry_any(self, other) if callable(other) else NotImplemented

    def __ror__(self, other: RetryCondition) -> "retry_any":
        return retry_any(other, self) if callable(other) else NotImplemented


@dataclasses.dataclass(frozen=True)
class retry_if_exception(_Condition):
    """Retry if `predicate(error)` is true."""

    predicate: Callable[[BaseException], bool]

    def __post_init__(self) -> None:
        check_part("retry_if_exception", "predicate", self.predicate)

    def __call__(self, error: BaseException) -> bool:
        return bool(self.predicate(error))


@dataclasses.dataclass(frozen=True)
class retry_if_exception_type(_Condition):
    """Retry if the error is an instance of one of the types."""

    exception_types: ExceptionTypes = Exception

    def __post_init__(self) -> None:
        check_types(self, self.exception_types)

    def __call__(self, error: BaseException) -> bool:
        return isinstance(error, self.exception_types)


@dataclasses.dataclass(frozen=True)
class retry_if_not_exception_type(_Condition):
    """Retry unless the error is an instance of one of the types."""

    exception_types: ExceptionTypes = Exception

    def __post_init__(self) -> None:
        check_types(self, self.exception_types)

    def __call__(self, error: BaseException) -> bool:
        return not isinstance(error, self.exception_types)


@dataclasses.dataclass(frozen=True)
class retry_unless_exception_type(retry_if_not_exception_type):
    """Another name of `retry_if_not_exception_type`."""


@dataclasses.dataclass(frozen=True)
class retry_if_exception_cause_type(_Condition):
    """Retry if an exception in the chain of `raise … from` is an instance of one of the types; the error itself does
    not count, nor does what was merely being handled when it was raised.
    """

    exception_types: ExceptionTypes = Exception

    def __post_init__(self) -> None:
        check_types(self, self.exception_types)

    def __call__(self, error: BaseException) -> bool:
        seen: set[int] = set()
        cause = error.__cause__
        # Causes can be set by hand, so a chain may close on itself.
        while cause is not None and id(cause) not in seen:
            if isinstance(cause, self.exception_types):
                return True
            seen.add(id(cause))
            cause = cause.__cause__
        return False


@dataclasses.dataclass(frozen=True)
class retry_if_exception_message(_Condition):
    """Retry if the message of the error is `message`, or if the regular expression `match` is found in it."""

    message: str | None = None
    match: str | re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if (self.message is None) == (self.match is None):
            given = "neither" if self.message is None else "both"
            raise TypeError(
                f"{name}: {given} of message and match given. Give the whole text or a pattern, one of them."
            )
        if self.match is not None:
            try:
                re.compile(self.match)
            except re.error as error:
                raise ValueError(f"{name}: match={self.match!r} is not a regular expression: {error}.") from error

    def __call__(self, error: BaseException) -> bool:
        if self.match is None:
            return str(error) == self.message
        return re.search(self.match, str(error)) is not None


@dataclasses.dataclass(frozen=True)
class retry_if_not_exception_message(retry_if_exception_message):
    """Retry unless the message of the error is `message`, or the regular expression `match` is found in it."""

    def __call__(self, error: BaseException) -> bool:
        return not super().__call__(error)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class retry_any(_Condition):
    """Retry if one of the conditions holds; the same as `|`."""

    retries: tuple[RetryCondition, ...]

    def __init__(self, *retries: RetryCondition) -> None:
        set_parts(self, retries=retries)

    def __call__(self, error: BaseException) -> bool:
        return any(retry(error) for retry in self.retries)

    def __repr__(self) -> str:
        return call(self, self.retries)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class retry_all(_Condition):
    """Retry if all of the conditions hold; the same as `&`."""

    retries: tuple[RetryCondition, ...]

    def __init__(self, *retries: RetryCondition) -> None:
        set_parts(self, retries=retries)

    def __call__(self, error: BaseException) -> bool:
        return all(retry(error) for retry in self.retries)

    def __repr__(self) -> str:
        return call(self, self.retries)


@dataclasses.dataclass(frozen=True)
class retry_always(_Condition):
    """Retry whatever the error."""

    def __call__(self, error: BaseException) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class retry_never(_Condition):
    """Never retry."""

    def __call__(self, error: BaseException) -> bool:
        return False
