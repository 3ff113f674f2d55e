"""`Workflow`: derive a class, mark its steps, run it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from citewell.workflow import questions
from citewell.workflow.context import Context
from citewell.workflow.errors import (
    ContextStateError,
    WorkflowConfigurationError,
    WorkflowRuntimeError,
    WorkflowValidationError,
)
from citewell.workflow.graph import CHECKS, Graph, GraphView, compile_graph, compile_steps, is_whole
from citewell.workflow.handler import WorkflowHandler
from citewell.workflow.journal import Entry, Journal
from citewell.workflow.plain import PlainEvent, PlainHumanResponseEvent, PlainStartEvent
from citewell.workflow.run import Run
from citewell.workflow.state import State
from citewell.workflow.step import MARK
from citewell.workflow.watch import Watch
from citewell.workflow.workers import CURRENT

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from citewell.workflow.context.serializers import BaseSerializer
    from citewell.workflow.resource import ResourceManager
    from citewell.workflow.workers import Worker

log = logging.getLogger("citewell.workflow")
_UNSET: Any = object()
T = TypeVar("T")


class Workflow:
    """Base of all workflows.

    A class in which some step takes a start event and some step emits a stop event is checked when it is defined;
    one that lacks either is a base for others, and is checked when an object of it is made. `abstract=True` leaves
    the check to that moment too: for a class that free functions complete. WorkflowValidationError and
    WorkflowConfigurationError say what is wrong.

    An event goes to every step that takes its exact type, or a base of it with `accept_event_subclasses`. The first
    stop event ends the run and cancels what still runs. A subclass inherits steps; one that overrides a step
    without `@step` removes it.

    `version` names the definition in recorded runs; `continues` lists the definitions (fingerprints or versions)
    whose recorded runs this class may continue, or maps them to functions that change each of their entries to fit.
    """

    version: ClassVar[str | None] = None
    continues: ClassVar[Iterable[str] | Mapping[str, Callable[[Entry], Entry | None]]] = ()

    __compiled__: ClassVar[Graph | None] = None
    _free: ClassVar[dict[str, Callable[..., Any]]] = {}

    # For subclasses that do not call this class's __init__.
    _timeout: float | None = 45.0
    _graph_checks: frozenset[str] = frozenset()
    _unchecked: bool = False
    _name: str | None = None
    _gate: asyncio.Semaphore | None = None
    _watch: Watch | None = None
    _resources: "ResourceManager | None" = None
    _serializer: "BaseSerializer | None" = None

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._free = {}
        cls.__compiled__ = None
        steps = compile_steps(cls, cls._free_functions())
        if not abstract and is_whole(steps):
            cls.__compiled__ = compile_graph(cls.__name__, steps)

    def __init__(
        self,
        timeout: float | None = 45.0,
        disable_validation: bool = False,
        verbose: bool = False,
        resource_manager: "ResourceManager | None" = None,
        num_concurrent_runs: int | None = None,
        workflow_name: str | None = None,
        skip_graph_checks: Iterable[str] | None = None,
        serializer: "BaseSerializer | None" = None,
        tracer: "Tracer | None" = None,
        runtime: object = None,
    ) -> None:
        """Settings of this object's runs.

        `timeout` in seconds for a whole run, time spent waiting for people included; None for no limit.
        `num_concurrent_runs` bounds the runs of this object that go on at once; others wait their turn. With
        `verbose` steps are printed as they run. With an OpenTelemetry `tracer` each run is a span, with one for each
        step below it, and so are the runs that its steps start.
        """
        if timeout is not None and timeout <= 0:
            raise WorkflowConfigurationError(f"timeout={timeout}: must be above 0, or None for no limit.")
        if num_concurrent_runs is not None and (type(num_concurrent_runs) is not int or num_concurrent_runs < 1):
            raise WorkflowValidationError(
                f"num_concurrent_runs={num_concurrent_runs!r}: must be a whole number of at least 1, or None."
            )
        if unknown := set(skip_graph_checks or ()) - CHECKS:
            raise WorkflowValidationError(f"skip_graph_checks: {min(unknown)!r} is none of {sorted(CHECKS)}.")
        self._timeout = timeout
        self._unchecked = disable_validation
        self._graph_checks = frozenset(skip_graph_checks or ())
        self._name = workflow_name
        self._gate = None if num_concurrent_runs is None else asyncio.Semaphore(num_concurrent_runs)
        self._watch = Watch(verbose=verbose, tracer=tracer) if verbose or tracer is not None else None
        self._resources = resource_manager
        self._serializer = serializer
        self._graph  # noqa: B018 - raises here what is wrong with the class

    @classmethod
    def _free_functions(cls) -> dict[str, Callable[..., Any]]:
        found: dict[str, Callable[..., Any]] = {}
        for klass in reversed(cls.__mro__):
            found.update(vars(klass).get("_free", {}))
        return found

    @classmethod
    def add_step(cls, func: Callable[..., Any]) -> None:
        """Add a free function, marked with `@step`, as a step. WorkflowValidationError when its name is taken."""
        if not hasattr(func, MARK):
            raise WorkflowValidationError(f"{func.__name__} is no step. Mark it with @step(workflow={cls.__name__}).")
        steps = compile_steps(cls, cls._free_functions())
        if any(spec.name == func.__name__ for spec in steps):
            raise WorkflowValidationError(
                f"{cls.__name__} has a step {func.__name__!r} already. Choose another name for the function."
            )
        cls._free[func.__name__] = func
        cls.__compiled__ = None
        # At once, so that a wrong signature is told where it stands.
        compile_steps(cls, cls._free_functions())

    @property
    def _graph(self) -> Graph:
        cls = type(self)
        if cls.__compiled__ is None:
            steps = compile_steps(cls, cls._free_functions())
            made = compile_graph(cls.__name__, steps, self._graph_checks, unchecked=self._unchecked)
            if self._graph_checks or self._unchecked:
                # Not for the class: another object of it may want all checks.
                return made
            cls.__compiled__ = made
        return cls.__compiled__

    @property
    def resources(self) -> "ResourceManager":
        """The resources of this object's runs; cached ones live as long as it does."""
        if self._resources is None:
            from citewell.workflow.resource import ResourceManager

            self._resources = ResourceManager()
        return self._resources

    @property
    def workflow_name(self) -> str:
        """The given name, or module and qualified name of the class."""
        cls = type(self)
        return self._name or f"{cls.__module__}.{cls.__qualname__}"

    @property
    def start_event_class(self) -> type[PlainEvent]:
        """The event that a run begins with."""
        return self._graph.start

    @property
    def stop_event_class(self) -> type[PlainEvent]:
        """The event that a run ends with."""
        return self._graph.stop

    @property
    def events(self) -> list[type[PlainEvent]]:
        """All events that steps take or emit."""
        return list(self._graph.events.values())

    def validate(self, *, validate_resource_configs: bool = True, validate_resources: bool = False) -> bool:
        """Whether people take part in the runs; raises what is wrong with the steps or their resources.

        `validate_resources` makes every resource once, too.
        """
        graph = self._graph
        if self._unchecked:
            compile_graph(graph.name, graph.steps, self._graph_checks)
        if graph.wants_resources:
            self._check_resources(validate_resource_configs, validate_resources)
        return any(issubclass(kind, PlainHumanResponseEvent) for kind in graph.events.values())

    def _check_resources_once(self) -> None:
        """Before the first run of the class: a resource that cannot be made is found before any step has run."""
        graph = self._graph
        if graph.wants_resources and not graph.resources_checked:
            self._check_resources(True, False)
            graph.resources_checked = True

    def _check_resources(self, configs: bool, build: bool) -> None:
        from citewell.workflow.resource import build as build_resources
        from citewell.workflow.resource import check

        wrong: list[str] = []
        for spec in self._graph.steps:
            if spec.resources and (configs or build):
                found = check(spec.resources)
                if not found and build:
                    found = _on_a_loop(build_resources(self.resources, spec.resources))
                wrong += [f"step {spec.name!r}: {one}" for one in found]
        if wrong:
            raise WorkflowValidationError(f"{self._graph.name}: " + "; ".join(wrong))

    def run(
        self,
        ctx: Context[Any] | None = None,
        start_event: PlainEvent | None = None,
        *,
        run_id: str | None = None,
        **fields: Any,
    ) -> WorkflowHandler:
        """A started run, from a start event or from the fields of one. Needs a running event loop.

        With `ctx` it takes over that context's state; a context that was saved while it ran goes on where it was.
        For runs that survive the process, see `Runs`.
        """
        if ctx is not None and ctx.is_running and ctx._saved is None:
            raise ContextStateError("The context has a run that goes on. Await it, or use another context.")
        resumed = ctx is not None and ctx.is_running
        start = None if resumed else self.start_event(start_event, fields)
        return launch(self, start, run_id=run_id, ctx=ctx)

    def start_event(self, start: PlainEvent | None, fields: Mapping[str, Any]) -> PlainEvent:
        """The given start event, or one made of fields; WorkflowRuntimeError when it is not this workflow's."""
        graph = self._graph
        if start is None:
            try:
                return graph.start(**fields)
            except (TypeError, ValueError) as error:
                raise WorkflowRuntimeError(
                    f"{graph.name}.run() could not make its {graph.start.__name__}: {error}"
                ) from error
        if fields:
            log.warning("%s.run() was given a start event; its keywords are ignored: %s", graph.name, sorted(fields))
        if not graph.routed(type(start)) or not isinstance(start, PlainStartEvent):
            message = f"{graph.name}.run(start_event=…) takes a {graph.start.__name__}, not a {type(start).__name__}."
            raise WorkflowRuntimeError(message) if isinstance(start, PlainStartEvent) else _NotAStart(message)
        return start

    def _context_of(self, run: Run) -> Context[Any]:
        made: Context[Any] = Context.__new__(Context)
        made._outer_workflow = self
        made._outer_state = run.state
        made._run = run
        made._saved = None
        made._serializer = self._serializer
        return made


def _on_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine gives, run on a loop of its own even where one is running."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


_ACTIVE: WeakValueDictionary[str, Run] = WeakValueDictionary()


class _NotAStart(WorkflowRuntimeError, ValueError):
    """What was given as a start event is none at all."""


def launch(
    workflow: Workflow,
    start: PlainEvent | None,
    *,
    run_id: str | None = None,
    journal: Journal | None = None,
    timeout_s: float | None = _UNSET,
    ctx: Context[Any] | None = None,
) -> WorkflowHandler:
    """A started run, recorded in `journal` if one is given: every step's outcome before its events are delivered.

    `timeout_s` is the workflow's unless it is given. Needs a running event loop.
    """
    graph = workflow._graph
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise WorkflowRuntimeError(
            f"{graph.name}.run() needs a running event loop. Call it inside an async function."
        ) from None
    if timeout_s is not _UNSET and timeout_s is not None and timeout_s <= 0:
        raise WorkflowConfigurationError(f"timeout_s={timeout_s}: must be above 0, or None for no limit.")
    if start is not None and type(start) is not graph.start:
        workflow.start_event(start, {})
    workflow._check_resources_once()
    state: State | None = None
    reducer = None
    waiting: list[Any] = []
    if ctx is not None:
        state = ctx._outer_state
        if start is None:
            from citewell.workflow.snapshot import restore

            assert ctx._saved is not None
            reducer, waiting = restore(graph, ctx._saved, ctx._serializer)
        ctx._saved = None
    if run_id is not None:
        active = _ACTIVE.get(run_id)
        if active is not None and not active.outlet.finished:
            raise WorkflowRuntimeError(f"A run with the id {run_id!r} is going on. Await it, or give another run_id.")
    parent = CURRENT.get()
    run = Run(
        workflow,
        graph,
        start,
        run_id=run_id,
        state=state,
        reducer=reducer,
        journal=journal,
        timeout_s=workflow._timeout if timeout_s is _UNSET else timeout_s,
        parent=parent,
        resources=workflow.resources if graph.wants_resources else None,
        gate=workflow._gate,
        watch=workflow._watch or _inherited(parent),
    )
    if run_id is not None:
        _ACTIVE[run_id] = run
    if waiting:
        questions.resume(run, waiting)
    if ctx is not None:
        ctx._run = run
        ctx._outer_workflow = workflow
    return WorkflowHandler(run, ctx)


def _inherited(parent: "Worker | None") -> Watch | None:
    # A trace that ended at the first nested run would say the least where most happens.
    watch = None if parent is None else parent.run.watch
    return None if watch is None or watch.tracer is None else Watch(tracer=watch.tracer)


def graph(workflow: type[Workflow]) -> GraphView:
    """The steps and events of a workflow class, and which leads to which."""
    compiled = workflow.__compiled__
    if compiled is None:
        steps = compile_steps(workflow, workflow._free_functions())
        if not is_whole(steps):
            raise WorkflowValidationError(
                f"{workflow.__name__} has no step for a start event, or none that stops. Take a subclass of it."
            )
        compiled = compile_graph(workflow.__name__, steps)
    return compiled.view()
