"""What a step's annotations say: the events it takes and emits, its context, its resources."""

import collections.abc
import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from citewell.workflow.collect import All, Cardinality, Collect, Take
from citewell.workflow.context import Context
from citewell.workflow.errors import WorkflowValidationError
from citewell.workflow.plain import PlainEvent, PlainStartEvent, PlainStopEvent

if TYPE_CHECKING:
    from citewell.workflow.resource import ResourceDefinition

Parameter = inspect.Parameter


@dataclasses.dataclass(slots=True)
class Signature:
    """A step's annotations, read. Exactly one of `event`, `slots` and `gathered` names its event parameters."""

    positional: tuple[str, ...]
    event: str | None = None
    accepts: tuple[type[PlainEvent], ...] = ()
    slots: tuple[tuple[str, type[PlainEvent]], ...] = ()
    gathered: str | None = None
    cardinality: Cardinality | None = None
    context: str | None = None
    state_type: type | None = None
    resources: "tuple[ResourceDefinition, ...]" = ()
    listed: tuple[type[PlainEvent], ...] = ()
    bare: tuple[type[PlainEvent], ...] = ()


def read_signature(where: str, fn: Callable[..., Any], owner: type, *, free: bool) -> Signature:
    """What `fn`, a step of `owner`, declares; `free` when it has no `self`.

    Raises WorkflowValidationError naming step, parameter and remedy.
    """
    hints = _hints(where, owner, fn)
    parameters = list(inspect.signature(fn).parameters.values())
    if not free:
        first = hints.get(parameters[0].name) if parameters else None
        if not parameters or any(_is_event(member) for member in _members(first)) or _is_context(first):
            raise WorkflowValidationError(f"{where} must be a method with `self` first.")
        parameters = parameters[1:]
    found = Signature(tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY))
    if any(_may_inject(hints.get(parameter.name)) for parameter in parameters):
        from citewell.workflow.resource import definitions

        found.resources = definitions(fn, hints, parameters)
    injected = {definition.name for definition in found.resources}
    events: list[tuple[str, tuple[type[PlainEvent], ...]]] = []
    for parameter in parameters:
        if parameter.name in injected:
            continue
        _read_parameter(where, found, parameter, hints.get(parameter.name), events)
    _settle(where, found, events)
    if "return" not in hints:
        raise WorkflowValidationError(
            f"{where} has no return annotation. Declare the events it emits, for example `-> StopEvent` or `-> None`."
        )
    _read_return(where, found, hints["return"])
    return found


def _read_parameter(
    where: str,
    found: Signature,
    parameter: Parameter,
    hint: Any,
    events: list[tuple[str, tuple[type[PlainEvent], ...]]],
) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise WorkflowValidationError(f"{where} takes *{parameter.name}. Declare one event parameter instead.")
    if hint is None:
        raise WorkflowValidationError(
            f"{where}: parameter {parameter.name!r} has no annotation. Annotate it with an event type or Context."
        )
    if _is_context(hint):
        if found.context is not None:
            raise WorkflowValidationError(f"{where} has two Context parameters. Remove {parameter.name!r}.")
        found.context = parameter.name
        found.state_type = _state_type(where, hint)
        return
    plain, marker = _annotated(hint)
    if typing.get_origin(plain) is list:
        _read_gathered(where, found, parameter.name, plain, marker)
        return
    if marker is not None:
        raise WorkflowValidationError(
            f"{where}: Collect() marks parameter {parameter.name!r}, which is no list. Annotate it as "
            "`Annotated[list[E], Collect(...)]`."
        )
    members = tuple(_members(hint))
    if parameter.default is not parameter.empty and not any(_is_event(member) for member in members):
        # It has its value already.
        return
    wrong = [member for member in members if not _is_event(member)]
    if wrong:
        raise WorkflowValidationError(
            f"{where}: parameter {parameter.name!r} is annotated with {name_of(wrong[0])}, which is neither an Event "
            "nor Context. Derive it from Event, or take the value from self, ctx.store or a Resource."
        )
    events.append((parameter.name, members))


def _read_gathered(where: str, found: Signature, name: str, hint: Any, marker: Collect | None) -> None:
    arguments = typing.get_args(hint)
    members = tuple(_members(arguments[0])) if arguments else ()
    if not members or not all(_is_event(member) for member in members):
        raise WorkflowValidationError(f"{where}: parameter {name!r} must be a list of event types, such as list[Done].")
    if found.gathered is not None:
        raise WorkflowValidationError(f"{where} gathers twice, in {found.gathered!r} and {name!r}. Keep one list.")
    cardinality = marker.cardinality if marker is not None else All()
    if type(cardinality) not in (All, Take):
        raise WorkflowValidationError(f"{where}: Collect({cardinality!r}) is not known. Use All() or Take(n).")
    found.gathered, found.accepts, found.cardinality = name, members, cardinality


def _settle(where: str, found: Signature, events: list[tuple[str, tuple[type[PlainEvent], ...]]]) -> None:
    if found.gathered is not None and events:
        raise WorkflowValidationError(
            f"{where} has the list parameter {found.gathered!r} beside the event parameter {events[0][0]!r}. Keep one."
        )
    if found.gathered is None and not events:
        raise WorkflowValidationError(f"{where} has no event parameter. Annotate one with an event type.")
    if len(events) == 1:
        found.event, found.accepts = events[0]
    elif events:
        for name, members in events:
            if len(members) != 1:
                raise WorkflowValidationError(
                    f"{where} has several event parameters, so each takes exactly one type; {name!r} takes "
                    f"{' | '.join(one.__name__ for one in members)}."
                )
        found.slots = tuple((name, members[0]) for name, members in events)
        kinds = [kind for _, kind in found.slots]
        if len(set(kinds)) != len(kinds):
            raise WorkflowValidationError(
                f"{where} has two parameters of one event type. Use ctx.collect_events(), or a list parameter."
            )
        found.accepts = tuple(kinds)
    _check_accepted(where, found.accepts)


def _check_accepted(where: str, accepts: tuple[type[PlainEvent], ...]) -> None:
    for one in accepts:
        if issubclass(one, PlainStopEvent):
            raise WorkflowValidationError(
                f"{where} accepts {one.__name__}, but a StopEvent ends the run and reaches no step. "
                "Give the step an event of its own."
            )


def _read_return(where: str, found: Signature, hint: Any) -> None:
    bare: list[type[PlainEvent]] = []
    listed: list[type[PlainEvent]] = []
    for member in _members(hint):
        if member is type(None):
            continue
        if typing.get_origin(member) in (list, collections.abc.Sequence):
            listed += [_emitted(where, one) for one in _members(typing.get_args(member)[0])]
        else:
            bare.append(_emitted(where, member))
    found.bare, found.listed = tuple(dict.fromkeys(bare)), tuple(dict.fromkeys(listed))


def _emitted(where: str, member: Any) -> type[PlainEvent]:
    if not _is_event(member):
        raise WorkflowValidationError(
            f"{where} is annotated to return {name_of(member)}, which is not an Event. "
            "Return event types, None, a union of these, or list[...] of event types."
        )
    kind: type[PlainEvent] = member
    if issubclass(kind, PlainStartEvent):
        raise WorkflowValidationError(
            f"{where} returns {kind.__name__}, but a StartEvent only comes from run(). Use an event of its own."
        )
    return kind


def _hints(where: str, owner: type, fn: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except NameError:
        # String annotations may name classes local to the function that defines the workflow, or nested in it.
        names: dict[str, Any] = {}
        for frame in _callers():
            for key, value in frame.f_locals.items():
                names.setdefault(key, value)
        names.update({key: value for klass in reversed(owner.__mro__) for key, value in vars(klass).items()})
        names.setdefault(owner.__name__, owner)
        try:
            return typing.get_type_hints(fn, localns=names, include_extras=True)
        except NameError as error:
            raise WorkflowValidationError(
                f"{where} is annotated with {error.name!r}, which cannot be found where the class is "
                "defined. Import it at run time (not only under TYPE_CHECKING)."
            ) from error


def _callers() -> Iterator[types.FrameType]:
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _state_type(where: str, hint: Any) -> type | None:
    arguments = typing.get_args(hint)
    if not arguments or arguments[0] is Any or (typing.get_origin(arguments[0]) or arguments[0]) is dict:
        return None
    if not isinstance(arguments[0], type):
        raise WorkflowValidationError(
            f"{where}: Context[{name_of(arguments[0])}] needs a dataclass or a pydantic model as the state type."
        )
    return arguments[0]


def _annotated(hint: Any) -> tuple[Any, Collect | None]:
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, None
    inner, *extras = typing.get_args(hint)
    markers = [extra() if extra is Collect else extra for extra in extras if extra is Collect or _is_collect(extra)]
    return inner, markers[0] if markers else None


def _may_inject(hint: Any) -> bool:
    if typing.get_origin(hint) is not typing.Annotated:
        return False
    return any(not _is_collect(extra) and extra is not Collect for extra in typing.get_args(hint)[1:])


def _is_collect(extra: object) -> bool:
    return isinstance(extra, Collect)


def _members(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for member in typing.get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _is_event(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, PlainEvent)


def _is_context(hint: Any) -> bool:
    return hint is Context or typing.get_origin(hint) is Context


def name_of(hint: Any) -> str:
    """The annotation as messages show it."""
    return hint.__name__ if isinstance(hint, type) else str(hint)
