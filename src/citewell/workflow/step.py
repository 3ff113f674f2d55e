"""`@step` marks a method; its annotations are its wiring, read once when the class is defined."""

import collections.abc
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, overload

from citewell.workflow.context import Context
from citewell.workflow.errors import WorkflowDefinitionError
from citewell.workflow.events import Event, StartEvent, StopEvent
from citewell.workflow.retry import RetryPolicy

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__citewell_step__"


@dataclasses.dataclass(frozen=True, slots=True)
class StepConfig:
    """How a step runs, as given to `@step`."""

    num_workers: int = 4
    timeout_s: float | None = None
    retry: RetryPolicy | None = None
    inline: bool = False


@overload
def step(method: F, /) -> F: ...
@overload
def step(
    *,
    num_workers: int = ...,
    timeout_s: float | None = ...,
    retry: RetryPolicy | None = ...,
    inline: bool = ...,
) -> Callable[[F], F]: ...
def step(
    method: F | None = None,
    /,
    *,
    num_workers: int = 4,
    timeout_s: float | None = None,
    retry: RetryPolicy | None = None,
    inline: bool = False,
) -> F | Callable[[F], F]:
    """The method itself, marked as a step of its workflow.

    `num_workers` bounds how many events it works on at once in one run. `timeout_s` is for one attempt. A
    plain `def` runs in a thread, or on the event loop with `inline=True`: only for computations of well under
    a millisecond. A thread cannot be interrupted: its timeout and the run's cancellation take effect when it
    returns.
    """
    config = StepConfig(num_workers, timeout_s, retry, inline)

    def mark(fn: F) -> F:
        setattr(fn, MARK, config)
        return fn

    return mark if method is None else mark(method)


class StepSpec:
    """One step of one class, compiled: nothing about it is looked up while a run goes on."""

    __slots__ = (
        "accepts",
        "config",
        "emits",
        "index",
        "invoke",
        "known",
        "mode",
        "name",
        "simple",
        "state_type",
        "wants_context",
    )

    def __init__(
        self,
        *,
        name: str,
        config: StepConfig,
        accepts: tuple[type[Event], ...],
        emits: tuple[type[Event], ...],
        mode: Literal["async", "thread", "inline"],
        invoke: Callable[[Any, Any, Event], Any],
        wants_context: bool,
        state_type: type | None,
    ) -> None:
        self.index = 0
        self.name = name
        self.config = config
        self.accepts = accepts
        self.emits = emits
        self.mode = mode
        self.invoke = invoke
        self.wants_context = wants_context
        self.state_type = state_type
        # Exact types known to be declared and to have a place to go: one set lookup for each event that is
        # returned.
        self.known: set[type] = set()
        self.simple = mode == "async" and config.timeout_s is None and config.retry is None


def compile_step(owner: type, name: str, fn: Callable[..., Any]) -> StepSpec:
    """A marked method, compiled; raises WorkflowDefinitionError naming step, parameter and remedy."""
    where = f"Step {owner.__name__}.{name}"
    config: StepConfig = getattr(fn, MARK)
    _check_config(where, config, fn)
    hints = _hints(where, owner, fn)
    event_name, context_name, accepts, state_type = _parameters(where, fn, hints)
    if "return" not in hints:
        raise WorkflowDefinitionError(
            f"{where} has no return annotation. Declare the events it emits, for example `-> StopEvent` or `-> None`."
        )
    emits = tuple(_emitted(where, hints["return"]))
    mode: Literal["async", "thread", "inline"]
    mode = "async" if inspect.iscoroutinefunction(fn) else "inline" if config.inline else "thread"
    positional = [p.name for p in inspect.signature(fn).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    invoke = _binder(fn, positional, event_name, context_name)
    return StepSpec(
        name=name,
        config=config,
        accepts=accepts,
        emits=emits,
        mode=mode,
        invoke=invoke,
        wants_context=context_name is not None,
        state_type=state_type,
    )


def _check_config(where: str, config: StepConfig, fn: Callable[..., Any]) -> None:
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise WorkflowDefinitionError(f"{where} is a generator. Return a list of events, or use ctx.send_event().")
    if not inspect.isfunction(fn):
        raise WorkflowDefinitionError(f"{where} is a {type(fn).__name__}. Make it a plain method with `self`.")
    is_async = inspect.iscoroutinefunction(fn)
    if config.inline and is_async:
        raise WorkflowDefinitionError(f"{where} is async; inline=True is only for a plain `def`. Remove it.")
    if config.inline and config.timeout_s is not None:
        raise WorkflowDefinitionError(
            f"{where} runs inline on the event loop, where no timeout can interrupt it. Remove timeout_s or inline."
        )
    if config.num_workers < 1:
        raise WorkflowDefinitionError(f"{where} has num_workers={config.num_workers}. It must be at least 1.")
    if config.timeout_s is not None and config.timeout_s <= 0:
        raise WorkflowDefinitionError(f"{where} has timeout_s={config.timeout_s}. It must be above 0.")


def _hints(where: str, owner: type, fn: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(fn)
    except NameError:
        # String annotations may name classes local to the function that defines the workflow, or nested in
        # it.
        names: dict[str, Any] = {}
        for frame in _callers():
            for key, value in frame.f_locals.items():
                names.setdefault(key, value)
        names.update({key: value for klass in reversed(owner.__mro__) for key, value in vars(klass).items()})
        names.setdefault(owner.__name__, owner)
        try:
            return typing.get_type_hints(fn, localns=names)
        except NameError as error:
            raise WorkflowDefinitionError(
                f"{where} is annotated with {error.name!r}, which cannot be found where the class is "
                "defined. Import it at run time (not only under TYPE_CHECKING)."
            ) from error


def _callers() -> Iterator[types.FrameType]:
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _parameters(
    where: str, fn: Callable[..., Any], hints: Mapping[str, Any]
) -> tuple[str, str | None, tuple[type[Event], ...], type | None]:
    event_name: str | None = None
    context_name: str | None = None
    accepts: tuple[type[Event], ...] = ()
    state_type: type | None = None
    parameters = list(inspect.signature(fn).parameters.values())
    first = hints.get(parameters[0].name) if parameters else None
    if not parameters or any(_is_event(member) for member in _members(first)) or _is_context(first):
        raise WorkflowDefinitionError(f"{where} must be a method with `self` first.")
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise WorkflowDefinitionError(f"{where} takes *{parameter.name}. Declare one event parameter instead.")
        hint = hints.get(parameter.name)
        if hint is None:
            raise WorkflowDefinitionError(
                f"{where}: parameter {parameter.name!r} has no annotation. Annotate it with an event type or Context."
            )
        if _is_context(hint):
            if context_name is not None:
                raise WorkflowDefinitionError(f"{where} has two Context parameters. Remove {parameter.name!r}.")
            context_name = parameter.name
            state_type = _state_type(where, hint)
            continue
        members = tuple(_members(hint))
        wrong = [member for member in members if not _is_event(member)]
        if wrong:
            raise WorkflowDefinitionError(
                f"{where}: parameter {parameter.name!r} is annotated with {_name(wrong[0])}, which is "
                "neither an Event nor Context. Derive it from Event, or take the value from self or "
                "ctx.store."
            )
        if event_name is not None:
            raise WorkflowDefinitionError(
                f"{where} has two event parameters, {event_name!r} and {parameter.name!r}. Use one, "
                "annotated with `A | B` for either, and ctx.collect_events() for both."
            )
        event_name, accepts = parameter.name, members
    if event_name is None:
        raise WorkflowDefinitionError(f"{where} has no event parameter. Annotate one with an event type.")
    _check_accepted(where, accepts)
    return event_name, context_name, accepts, state_type


def _check_accepted(where: str, accepts: tuple[type[Event], ...]) -> None:
    for one in accepts:
        if issubclass(one, StopEvent):
            raise WorkflowDefinitionError(
                f"{where} accepts {one.__name__}, but a StopEvent ends the run and reaches no step. "
                "Give the step an event of its own."
            )
        for other in accepts:
            if one is not other and issubclass(one, other):
                raise WorkflowDefinitionError(
                    f"{where} is ambiguous: it accepts {one.__name__} twice, also as {other.__name__}. "
                    f"Keep {other.__name__} only."
                )


def _emitted(where: str, hint: Any) -> Iterator[type[Event]]:
    for member in _members(hint):
        if member is type(None):
            continue
        if typing.get_origin(member) in (list, collections.abc.Sequence):
            yield from _emitted(where, typing.get_args(member)[0])
            continue
        if not _is_event(member):
            raise WorkflowDefinitionError(
                f"{where} is annotated to return {_name(member)}, which is not an Event. "
                "Return event types, None, a union of these, or list[...] of event types."
            )
        if issubclass(member, StartEvent):
            raise WorkflowDefinitionError(
                f"{where} returns {member.__name__}, but a StartEvent only comes from run(). Use an event of its own."
            )
        yield member


def _state_type(where: str, hint: Any) -> type | None:
    arguments = typing.get_args(hint)
    if not arguments or arguments[0] is Any or (typing.get_origin(arguments[0]) or arguments[0]) is dict:
        return None
    if not isinstance(arguments[0], type):
        raise WorkflowDefinitionError(f"{where}: Context[{_name(arguments[0])}] needs a dataclass as the state type.")
    return arguments[0]


def _members(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for member in typing.get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _is_event(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Event)


def _is_context(hint: Any) -> bool:
    return hint is Context or typing.get_origin(hint) is Context


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _binder(
    fn: Callable[..., Any], positional: list[str], event_name: str, context_name: str | None
) -> Callable[[Any, Any, Event], Any]:
    """A call with a fixed shape, (workflow, context, event), whatever order the method declares."""
    if positional == [event_name] and context_name is None:
        return lambda workflow, context, event: fn(workflow, event)
    if positional == [context_name, event_name]:
        return fn
    if positional == [event_name, context_name]:
        return lambda workflow, context, event: fn(workflow, event, context)
    if context_name is None:
        return lambda workflow, context, event: fn(workflow, **{event_name: event})
    return lambda workflow, context, event: fn(workflow, **{context_name: context, event_name: event})
