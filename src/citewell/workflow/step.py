"""`@step` and `@catch_error` mark functions as steps; a marked function is compiled once, with its class."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from citewell.workflow.collect import Cardinality
from citewell.workflow.errors import WorkflowValidationError
from citewell.workflow.events import StepFailedEvent
from citewell.workflow.plain import PlainEvent
from citewell.workflow.signature import Signature, read_signature

if TYPE_CHECKING:
    from citewell.workflow.resource import ResourceDefinition
    from citewell.workflow.retry_policy import RetryPolicy
    from citewell.workflow.workflow import Workflow

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__citewell_step__"
StepGraphCheck = Literal["reachability", "dead_end"]
STEP_CHECKS = frozenset({"reachability", "dead_end"})


@dataclasses.dataclass(frozen=True, slots=True)
class Handles:
    """Which steps' failures a `@catch_error` step takes (None: all others'), and how often in one line of events."""

    for_steps: tuple[str, ...] | None = None
    max_recoveries: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class StepConfig:
    """How a step runs, as given to `@step`."""

    num_workers: int = 4
    timeout_s: float | None = None
    retry_policy: "RetryPolicy | None" = None
    inline: bool = False
    skip_graph_checks: tuple[str, ...] = ()
    accept_event_subclasses: bool = False
    version: str | None = None
    handles: Handles | None = None


@overload
def step(func: F, /) -> F: ...
@overload
def step(
    *,
    workflow: "type[Workflow] | None" = ...,
    num_workers: int = ...,
    retry_policy: "RetryPolicy | None" = ...,
    skip_graph_checks: Sequence[StepGraphCheck] | None = ...,
    accept_event_subclasses: bool = ...,
    timeout_s: float | None = ...,
    inline: bool = ...,
    version: str | None = ...,
) -> Callable[[F], F]: ...
def step(
    func: F | None = None,
    /,
    *,
    workflow: "type[Workflow] | None" = None,
    num_workers: int = 4,
    retry_policy: "RetryPolicy | None" = None,
    skip_graph_checks: Sequence[StepGraphCheck] | None = None,
    accept_event_subclasses: bool = False,
    timeout_s: float | None = None,
    inline: bool = False,
    version: str | None = None,
) -> F | Callable[[F], F]:
    """The function itself, marked as a step; a free function becomes one of `workflow`.

    `num_workers` bounds how many events it works on at once in one run. `timeout_s` is for one attempt. A plain
    `def` runs in a thread, or on the event loop with `inline=True`: only for computations of well under a
    millisecond. A thread cannot be interrupted: its timeout and the run's cancellation take effect when it returns.
    With `accept_event_subclasses` it also receives subclasses that another step takes by name. `version` stands for
    the code of the step in recorded runs: while it stays the same, the code may change under them.
    """
    if type(num_workers) is not int or num_workers < 1:
        raise WorkflowValidationError(f"num_workers={num_workers!r}: it must be a whole number of at least 1.")
    skipped = tuple(skip_graph_checks or ())
    if unknown := set(skipped) - STEP_CHECKS:
        raise WorkflowValidationError(f"skip_graph_checks: {min(unknown)!r} is none of {sorted(STEP_CHECKS)}.")
    config = StepConfig(num_workers, timeout_s, retry_policy, inline, skipped, accept_event_subclasses, version, None)

    def mark(fn: F) -> F:
        setattr(fn, MARK, config)
        if is_free(fn):
            if workflow is None:
                raise WorkflowValidationError(
                    f"Step {fn.__name__} is a free function. Say whose it is: @step(workflow=YourWorkflow)."
                )
            workflow.add_step(fn)
        return fn

    return mark if func is None else mark(func)


@overload
def catch_error(func: F, /) -> F: ...
@overload
def catch_error(*, for_steps: list[str] | None = ..., max_recoveries: int = ...) -> Callable[[F], F]: ...
def catch_error(
    func: F | None = None, /, *, for_steps: list[str] | None = None, max_recoveries: int = 1
) -> F | Callable[[F], F]:
    """The method itself, marked as the step that takes over when others have failed for good.

    It receives a StepFailedEvent. `for_steps` are the steps it stands in for, None for all that no other handler
    names. It takes over at most `max_recoveries` times in one line of events; after that the run fails.
    """
    if type(max_recoveries) is not int or max_recoveries < 1:
        raise WorkflowValidationError(f"@catch_error: max_recoveries={max_recoveries!r} must be at least 1.")
    if for_steps is not None and not (isinstance(for_steps, list) and all(isinstance(one, str) for one in for_steps)):
        raise WorkflowValidationError(f"@catch_error: for_steps={for_steps!r} must be a list of step names, or None.")
    handles = Handles(None if for_steps is None else tuple(for_steps), max_recoveries)

    def mark(fn: F) -> F:
        setattr(fn, MARK, StepConfig(num_workers=1, handles=handles))
        return fn

    return mark if func is None else mark(func)


def is_free(fn: Callable[..., Any]) -> bool:
    """Whether the function was defined outside of any class."""
    outer = getattr(fn, "__qualname__", "").rpartition(".")[0]
    return not outer or outer.endswith("<locals>")


class StepSpec:
    """One step of one class, compiled: nothing about it is looked up while a run goes on."""

    __slots__ = (
        "accepts",
        "bare",
        "cardinality",
        "config",
        "emits",
        "fn",
        "index",
        "invoke",
        "known",
        "listed",
        "mode",
        "name",
        "resources",
        "simple",
        "slots",
        "state_type",
        "wants_context",
    )

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        config: StepConfig,
        signature: Signature,
        mode: Literal["async", "thread", "inline"],
        invoke: Callable[..., Any],
    ) -> None:
        self.index = 0
        self.name = name
        self.fn = fn
        self.config = config
        self.accepts = signature.accepts
        self.bare = signature.bare
        self.listed = signature.listed
        self.emits = tuple(dict.fromkeys((*signature.bare, *signature.listed)))
        self.slots: tuple[type[PlainEvent], ...] = tuple(kind for _, kind in signature.slots)
        self.cardinality: Cardinality | None = signature.cardinality
        self.resources: tuple[ResourceDefinition, ...] = signature.resources
        self.mode = mode
        self.invoke = invoke
        self.wants_context = signature.context is not None
        self.state_type = signature.state_type
        # Exact types known to be declared and to have a place to go: one set lookup for each event that is returned.
        self.known: set[type] = set()
        self.simple = mode == "async" and config.timeout_s is None and config.retry_policy is None
        self.simple = self.simple and not self.resources


def compile_step(owner: type, name: str, fn: Callable[..., Any], *, free: bool = False) -> StepSpec:
    """A marked function, compiled; raises WorkflowValidationError naming step, parameter and remedy."""
    where = f"Step {owner.__name__}.{name}"
    config: StepConfig = getattr(fn, MARK)
    _check_config(where, config, fn)
    signature = read_signature(where, fn, owner, free=free)
    if config.handles is not None and signature.accepts != (StepFailedEvent,):
        raise WorkflowValidationError(f"{where}: a @catch_error step takes exactly one event, a StepFailedEvent.")
    if config.handles is None and StepFailedEvent in signature.accepts:
        raise WorkflowValidationError(f"{where} takes a StepFailedEvent, so mark it with @catch_error, not @step.")
    mode: Literal["async", "thread", "inline"]
    mode = "async" if inspect.iscoroutinefunction(fn) else "inline" if config.inline else "thread"
    return StepSpec(name, fn, config, signature, mode, _binder(fn, signature, free))


def _check_config(where: str, config: StepConfig, fn: Callable[..., Any]) -> None:
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise WorkflowValidationError(f"{where} is a generator. Return a list of events, or use ctx.send_event().")
    if not callable(fn) or isinstance(fn, type):
        raise WorkflowValidationError(f"{where} is a {type(fn).__name__}. Make it a plain method with `self`.")
    if config.inline and inspect.iscoroutinefunction(fn):
        raise WorkflowValidationError(f"{where} is async; inline=True is only for a plain `def`. Remove it.")
    if config.inline and config.timeout_s is not None:
        raise WorkflowValidationError(
            f"{where} runs inline on the event loop, where no timeout can interrupt it. Remove timeout_s or inline."
        )
    if config.timeout_s is not None and config.timeout_s <= 0:
        raise WorkflowValidationError(f"{where} has timeout_s={config.timeout_s}. It must be above 0.")


def _binder(fn: Callable[..., Any], signature: Signature, free: bool) -> Callable[..., Any]:
    """A call with a fixed shape, (workflow, context, event, **resources), whatever order the function declares."""
    context = signature.context
    event = signature.event or signature.gathered
    if not free and not signature.resources and event is not None:
        if signature.positional == (event,) and context is None:
            return lambda workflow, _, happened: fn(workflow, happened)
        if signature.positional == (context, event):
            return fn
        if signature.positional == (event, context):
            return lambda workflow, ctx, happened: fn(workflow, happened, ctx)
    names = tuple(name for name, _ in signature.slots)

    def call(workflow: Any, ctx: Any, happened: Any, **resources: Any) -> Any:
        if context is not None:
            resources[context] = ctx
        if event is not None:
            resources[event] = happened
        else:
            resources.update(zip(names, happened, strict=True))
        return fn(**resources) if free else fn(workflow, **resources)

    return call
