"""The step graph of a workflow class: which event reaches which step, compiled once and checked before any run."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from citewell.workflow.errors import WorkflowConfigurationError, WorkflowValidationError
from citewell.workflow.events import StepFailedEvent
from citewell.workflow.plain import (
    PlainEvent,
    PlainHumanResponseEvent,
    PlainInputRequiredEvent,
    PlainStartEvent,
    PlainStopEvent,
)
from citewell.workflow.state import Schema, schema_of
from citewell.workflow.step import MARK, StepSpec, compile_step

WorkflowGraphCheck = Literal["reachability", "terminal_event", "dead_end"]
CHECKS = frozenset({"reachability", "terminal_event", "dead_end"})
NodeKind = Literal["step", "event", "start", "stop", "human", "external", "resource"]
EdgeKind = Literal["event", "list", "failure", "resource"]


@dataclasses.dataclass(frozen=True, slots=True)
class GraphNode:
    """A step, or an event type with its part in the run: "human" events go to people or come from them."""

    name: str
    kind: NodeKind


@dataclasses.dataclass(frozen=True, slots=True)
class GraphEdge:
    """`source` emits the event `target`, or the step `target` accepts the event `source`.

    "list": any number of them at once, returned or gathered as `list[E]`. "failure": the step `target` takes over when
    the step `source` has failed for good. "resource": the step `source` is given the resource `target`.
    """

    source: str
    target: str
    kind: EdgeKind = "event"


@dataclasses.dataclass(frozen=True, slots=True)
class GraphView:
    """What `graph()` returns: nodes in order of definition, edges in the order of the steps."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


class Graph:
    """The compiled wiring of one class.

    `routes` maps an exact event type to the indexes of the steps that receive it. `opens` maps a step that returns
    lists to the collecting steps that gather what comes of them. `handler_for` maps a step to the `@catch_error`
    step that stands in for it. `listens` says whether some step takes what people answer.
    """

    __slots__ = (
        "by_name",
        "events",
        "handler_for",
        "listens",
        "name",
        "opens",
        "recordable",
        "resources_checked",
        "routes",
        "start",
        "state",
        "steps",
        "stop",
        "wants_resources",
    )

    def __init__(
        self,
        name: str,
        steps: tuple[StepSpec, ...],
        start: type[PlainEvent],
        stop: type[PlainEvent],
        state: Schema | None,
    ) -> None:
        self.name = name
        self.steps = steps
        self.start = start
        self.stop = stop
        self.state = state
        self.by_name = {spec.name: spec for spec in steps}
        self.wants_resources = any(spec.resources for spec in steps)
        # Set by those who check, so that it is done once.
        self.resources_checked = False
        self.recordable = False
        self.events: dict[str, type[PlainEvent]] = {}
        for spec in steps:
            for kind in (*spec.accepts, *spec.emits):
                self.events.setdefault(kind.__name__, kind)
        self.routes: dict[type, tuple[int, ...]] = {}
        for kind in self.events.values():
            self.route(kind)
        self.handler_for = _handlers(steps)
        self.listens = any(issubclass(kind, PlainHumanResponseEvent) for kind in self.events.values())
        self.opens = self._openings()
        for spec in steps:
            spec.known = {
                kind
                for kind in spec.bare
                if (self.routed(kind) or issubclass(kind, PlainStopEvent))
                and not issubclass(kind, PlainInputRequiredEvent)
                and not any(steps[index].cardinality for index in self.routed(kind))
            }

    def route(self, kind: type) -> tuple[int, ...]:
        """The steps that receive events of this type: those that take it, or a base of it and ask for subclasses."""
        # A stop event ends the run, whatever takes all events.
        stops = isinstance(kind, type) and issubclass(kind, PlainStopEvent)
        found = () if stops else tuple(spec.index for spec in self.steps if takes(spec, kind))
        self.routes[kind] = found
        return found

    def routed(self, kind: type) -> tuple[int, ...]:
        """As `route`, remembered."""
        found = self.routes.get(kind)
        return self.route(kind) if found is None else found

    def has_place(self, kind: type) -> bool:
        """Whether an event of this type reaches a step, ends the run or asks somebody outside."""
        return bool(self.routed(kind)) or issubclass(kind, PlainStopEvent | PlainInputRequiredEvent)

    def producers(self, consumer: StepSpec) -> list[str]:
        """Names of the steps that emit what this step accepts."""
        return [spec.name for spec in self.steps if any(takes(consumer, out) for out in spec.emits)]

    def view(self) -> GraphView:
        """Nodes and edges for drawing and for the record."""
        nodes = {self.start.__name__: GraphNode(self.start.__name__, "start")}
        edges: dict[tuple[str, str], GraphEdge] = {}
        for spec in self.steps:
            nodes[spec.name] = GraphNode(spec.name, "step")
            # A handler is reached by the edges of those that may fail, which say more than its event.
            taken = [kind for kind in received(self, spec) if not issubclass(kind, StepFailedEvent)]
            for kind in (*taken, *spec.emits):
                nodes.setdefault(kind.__name__, GraphNode(kind.__name__, _part(kind)))
            into: EdgeKind = "event" if spec.cardinality is None else "list"
            for kind in taken:
                edges[kind.__name__, spec.name] = GraphEdge(kind.__name__, spec.name, into)
            for kind in spec.emits:
                out: EdgeKind = "list" if kind in spec.listed else "event"
                edges[spec.name, kind.__name__] = GraphEdge(spec.name, kind.__name__, out)
        for failing, (handler, _) in self.handler_for.items():
            edges[failing, handler] = GraphEdge(failing, handler, "failure")
        return GraphView(tuple(nodes.values()), tuple(edges.values()))

    def _openings(self) -> dict[int, tuple[int, ...]]:
        openers = {spec.index for spec in self.steps if spec.listed}
        while True:
            found = {index: self._gatherers(index, openers) for index in openers}
            kept = {index for index, joins in found.items() if joins}
            if kept == openers:
                return found
            # A list that nobody gathers opens nothing: its members belong to the list around it.
            openers = kept

    def _gatherers(self, opener: int, openers: set[int]) -> tuple[int, ...]:
        joins: dict[int, None] = {}
        frontier: list[tuple[type, int]] = [(kind, 0) for kind in self.steps[opener].listed]
        seen = set(frontier)
        while frontier:
            kind, depth = frontier.pop()
            for index in self.routed(kind):
                spec = self.steps[index]
                if spec.cardinality is not None:
                    if depth == 0:
                        joins[index] = None
                        continue
                    within, listed_within = depth - 1, depth - 1 + (index in openers)
                else:
                    within, listed_within = depth, depth + (index in openers)
                reached = [(one, within) for one in spec.bare] + [(one, listed_within) for one in spec.listed]
                for step in reached:
                    if step not in seen and step[1] <= len(self.steps):
                        seen.add(step)
                        frontier.append(step)
        return tuple(joins)


def received(graph: Graph, spec: StepSpec) -> list[type[PlainEvent]]:
    """The event types of the graph that reach a step, those that it names first."""
    every = dict.fromkeys((*spec.accepts, *graph.events.values()))
    return [kind for kind in every if takes(spec, kind) and not issubclass(kind, PlainStopEvent)]


def _part(kind: type) -> Literal["event", "stop", "human"]:
    if issubclass(kind, PlainStopEvent):
        return "stop"
    return "human" if issubclass(kind, PlainInputRequiredEvent | PlainHumanResponseEvent) else "event"


def marked(owner: type) -> dict[str, Callable[..., Any]]:
    """The marked methods of a class by name, inherited ones first; an override without `@step` removes the step."""
    found: dict[str, Callable[..., Any]] = {}
    for klass in reversed(owner.__mro__):
        for name, value in vars(klass).items():
            if MARK in getattr(getattr(value, "__func__", value), "__dict__", ()):
                if isinstance(value, staticmethod | classmethod):
                    raise WorkflowValidationError(
                        f"Step {klass.__name__}.{name} is a {type(value).__name__}. Make it a plain method with `self`."
                    )
                found[name] = value
            else:
                found.pop(name, None)
    return found


def compile_steps(owner: type, free: Mapping[str, Callable[..., Any]]) -> tuple[StepSpec, ...]:
    """All steps of a class, those that are free functions last. Raises WorkflowValidationError."""
    steps: list[StepSpec] = []
    functions: dict[int, str] = {}
    methods = marked(owner)
    for name, fn in [*methods.items(), *free.items()]:
        if name in RESERVED:
            raise WorkflowValidationError(f"Step {owner.__name__}.{name}: {name!r} is Workflow's own. Rename the step.")
        if id(fn) in functions:
            raise WorkflowValidationError(
                f"Steps {functions[id(fn)]!r} and {name!r} of {owner.__name__} are one function, so it would "
                "receive each event twice. Remove one name."
            )
        functions[id(fn)] = name
        spec = compile_step(owner, name, fn, free=name not in methods)
        spec.index = len(steps)
        steps.append(spec)
    return tuple(steps)


RESERVED = frozenset({"run"})


def compile_graph(
    name: str, steps: tuple[StepSpec, ...], skip: Iterable[str] = (), *, unchecked: bool = False
) -> Graph:
    """The checked graph of compiled steps.

    `skip` names checks that are left out, `unchecked` leaves all out that are not needed to run. Raises
    WorkflowConfigurationError or WorkflowValidationError.
    """
    start, stop = start_of(name, steps), stop_of(name, steps)
    graph = Graph(name, steps, start, stop, _state(name, steps))
    if not unchecked:
        _check(graph, frozenset(skip))
    return graph


def start_of(name: str, steps: Iterable[StepSpec]) -> type[PlainEvent]:
    """The one start event that some step takes; raises WorkflowConfigurationError."""
    starts = dict.fromkeys(kind for spec in steps for kind in spec.accepts if issubclass(kind, PlainStartEvent))
    if not starts:
        raise WorkflowConfigurationError(f"{name}: no step accepts a StartEvent. Let the first step take one.")
    if len(starts) > 1:
        listed = ", ".join(kind.__name__ for kind in starts)
        raise WorkflowConfigurationError(
            f"{name} has several start events ({listed}). Keep one; run() must know which."
        )
    return next(iter(starts))


def stop_of(name: str, steps: Iterable[StepSpec]) -> type[PlainEvent]:
    """The one stop event that some step emits; raises WorkflowConfigurationError."""
    stops = dict.fromkeys(kind for spec in steps for kind in spec.emits if issubclass(kind, PlainStopEvent))
    if not stops:
        raise WorkflowConfigurationError(f"{name}: no step returns a StopEvent. Let the last step return one.")
    if len(stops) > 1:
        listed = ", ".join(kind.__name__ for kind in stops)
        raise WorkflowConfigurationError(
            f"{name} has several stop events ({listed}). Keep one, so that who awaits a run knows what comes of it."
        )
    return next(iter(stops))


def is_whole(steps: Iterable[StepSpec]) -> bool:
    """Whether some step takes a start event and some step emits a stop event."""
    steps = tuple(steps)
    return any(issubclass(kind, PlainStartEvent) for spec in steps for kind in spec.accepts) and any(
        issubclass(kind, PlainStopEvent) for spec in steps for kind in spec.emits
    )


def _handlers(steps: tuple[StepSpec, ...]) -> dict[str, tuple[str, int]]:
    named = {spec.name: spec.config.handles for spec in steps if spec.config.handles is not None}
    found: dict[str, tuple[str, int]] = {}
    for handler, handles in named.items():
        for covered in handles.for_steps or ():
            found[covered] = (handler, handles.max_recoveries)
    for handler, handles in named.items():
        if handles.for_steps is None:
            for spec in steps:
                if spec.name not in named:
                    found.setdefault(spec.name, (handler, handles.max_recoveries))
    return found


def check_handlers(name: str, steps: tuple[StepSpec, ...]) -> None:
    """Raise WorkflowValidationError unless every failure has at most one handler, and every handler its steps."""
    handlers = [spec for spec in steps if spec.config.handles is not None]
    names = {spec.name for spec in steps}
    wildcards = [spec.name for spec in handlers if spec.config.handles and spec.config.handles.for_steps is None]
    if len(wildcards) > 1:
        raise WorkflowValidationError(
            f"{name} has several @catch_error steps for all failures: {', '.join(wildcards)}. Keep one, or give the "
            "others for_steps."
        )
    owners: dict[str, str] = {}
    for spec in handlers:
        assert spec.config.handles is not None
        for covered in spec.config.handles.for_steps or ():
            if covered not in names:
                raise WorkflowValidationError(
                    f"{name}: @catch_error step {spec.name!r} names {covered!r}, which is no step "
                    f"(there are {', '.join(sorted(names))}). Name one of these."
                )
            if any(covered == other.name for other in handlers):
                raise WorkflowValidationError(
                    f"{name}: @catch_error step {spec.name!r} cannot stand in for {covered!r}, which is one itself. "
                    "Take it out of for_steps."
                )
            if covered in owners:
                raise WorkflowValidationError(
                    f"{name}: step {covered!r} has two @catch_error steps, {owners[covered]!r} and {spec.name!r}. "
                    "Let one of them name it."
                )
            owners[covered] = spec.name


def _check(graph: Graph, skip: frozenset[str]) -> None:
    name, steps = graph.name, graph.steps
    check_handlers(name, steps)
    accepted = {kind: spec.name for spec in reversed(steps) for kind in spec.accepts}
    emitted = {kind: spec.name for spec in reversed(steps) for kind in spec.emits}
    for kind, step in accepted.items():
        outside = issubclass(kind, PlainStartEvent | PlainHumanResponseEvent | StepFailedEvent)
        if not outside and not any(takes(graph.by_name[step], out) for out in emitted):
            raise WorkflowValidationError(
                f"{name}: step {step!r} waits for {kind.__name__}, which no step emits. Add it to the return "
                "annotation of the step that returns or sends it, or remove the step."
            )
    for spec in steps:
        for one in spec.accepts:
            for other in spec.accepts:
                if one is not other and issubclass(one, other) and spec.config.accept_event_subclasses:
                    raise WorkflowValidationError(
                        f"{name}: step {spec.name!r} is ambiguous: it accepts {one.__name__} twice, also as "
                        f"{other.__name__}. Keep {other.__name__} only."
                    )
        if "terminal_event" in skip:
            continue
        for kind in spec.emits:
            if not graph.has_place(kind):
                raise WorkflowValidationError(
                    f"{name}: step {spec.name!r} emits {kind.__name__}, which no step accepts. Add a step that takes "
                    "it, or use ctx.write_event_to_stream() if only readers of the stream want it."
                )
    _check_gathering(graph)
    leads = _leads(graph)
    if "reachability" not in skip:
        _check_reach(graph, leads)
    if "dead_end" not in skip:
        _check_ends(graph, leads)


def _check_gathering(graph: Graph) -> None:
    bound = {index for joins in graph.opens.values() for index in joins}
    for spec in graph.steps:
        if spec.cardinality is not None and spec.index not in bound:
            listed = " | ".join(kind.__name__ for kind in spec.accepts)
            raise WorkflowValidationError(
                f"{graph.name}: step {spec.name!r} gathers list[{listed}], but no step returns a list that leads to "
                "it. Return list[...] from the step that fans out, or use ctx.collect_events()."
            )


def _leads(graph: Graph) -> dict[str, list[str]]:
    """The steps to which each step leads, by its events or by failing."""
    leads: dict[str, list[str]] = {}
    for source in graph.steps:
        leads[source.name] = [graph.steps[index].name for out in source.emits for index in graph.routed(out)]
        if source.name in graph.handler_for:
            leads[source.name].append(graph.handler_for[source.name][0])
    return leads


def _closure(begin: Iterable[str], leads: Mapping[str, Iterable[str]]) -> set[str]:
    reached = set(begin)
    frontier = list(reached)
    while frontier:
        for target in leads[frontier.pop()]:
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    return reached


def _check_reach(graph: Graph, leads: Mapping[str, Iterable[str]]) -> None:
    begins = PlainStartEvent | PlainHumanResponseEvent
    first = [spec.name for spec in graph.steps if any(issubclass(kind, begins) for kind in spec.accepts)]
    first += [graph.steps[index].name for index in graph.routed(graph.start)]
    reached = _closure(first, leads)
    lost = [s for s in graph.steps if s.name not in reached and "reachability" not in s.config.skip_graph_checks]
    if lost:
        accepts = " or ".join(kind.__name__ for kind in lost[0].accepts)
        raise WorkflowValidationError(
            f"{graph.name}: {_named(lost)} never reached from the start: {accepts} only comes from "
            "steps that are not reached either. Emit it from a step that runs, or remove the step."
        )


def _check_ends(graph: Graph, leads: Mapping[str, Iterable[str]]) -> None:
    ends = PlainStopEvent | PlainInputRequiredEvent
    back: dict[str, list[str]] = defaultdict(list)
    for source, targets in leads.items():
        for target in targets:
            back[target].append(source)
    ending = [spec.name for spec in graph.steps if any(issubclass(kind, ends) for kind in spec.emits)]
    reaching = _closure(ending, back)
    lost = [
        spec
        for spec in graph.steps
        if spec.emits and spec.name not in reaching and "dead_end" not in spec.config.skip_graph_checks
    ]
    if lost:
        raise WorkflowValidationError(
            f"{graph.name}: nothing that {_named(lost, verb='')} emits ever leads to the end. Emit something that "
            'does, or say skip_graph_checks=["dead_end"] for a step that is meant to circle.'
        )


def _named(specs: Sequence[StepSpec], verb: str = "are") -> str:
    names = ", ".join(repr(spec.name) for spec in specs)
    if not verb:
        return f"step {names}"
    return f"steps {names} are" if len(specs) > 1 else f"step {names} is"


def _state(name: str, steps: tuple[StepSpec, ...]) -> Schema | None:
    found: dict[type, str] = {spec.state_type: spec.name for spec in steps if spec.state_type is not None}
    if not found:
        return None
    # Steps may see a base of the state; the most derived type is the state itself.
    for kind, step in found.items():
        if all(issubclass(kind, other) for other in found):
            return schema_of(kind, f"{name}: step {step!r}")
    listed = ", ".join(f"{kind.__name__} in {step!r}" for kind, step in found.items())
    raise WorkflowValidationError(f"{name} has several state types ({listed}). One must derive from all others.")


def takes(spec: StepSpec, kind: type) -> bool:
    """Whether a step receives events of exactly this type."""
    if kind in spec.accepts:
        return True
    return spec.config.accept_event_subclasses and isinstance(kind, type) and issubclass(kind, spec.accepts)
