"""The step graph of a workflow class: compiled once, checked before anything runs, and drawn."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Literal

from citewell.workflow.errors import WorkflowDefinitionError
from citewell.workflow.events import Event, StartEvent, StopEvent
from citewell.workflow.state import StateSchema
from citewell.workflow.step import MARK, StepSpec, compile_step


@dataclasses.dataclass(frozen=True, slots=True)
class GraphNode:
    """A step, or an event type with its part in the run."""

    name: str
    kind: Literal["step", "event", "start", "stop"]


@dataclasses.dataclass(frozen=True, slots=True)
class GraphEdge:
    """`source` emits the event `target`, or the step `target` accepts the event `source`."""

    source: str
    target: str


@dataclasses.dataclass(frozen=True, slots=True)
class GraphView:
    """What `graph()` returns: nodes in order of definition, edges in the order of the steps."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


class Graph:
    """The compiled wiring of one class. `routes` maps an exact event type to the steps that receive it."""

    __slots__ = ("_fingerprint", "by_name", "events", "name", "routes", "start", "state", "steps")

    def __init__(
        self, name: str, steps: tuple[StepSpec, ...], start: type[StartEvent], state: StateSchema | None
    ) -> None:
        self.name = name
        self.steps = steps
        self.start = start
        self.state = state
        self.by_name = {spec.name: spec for spec in steps}
        self.events: dict[str, type[Event]] = {
            kind.__name__: kind for spec in steps for kind in (*spec.accepts, *spec.emits)
        }
        self.routes: dict[type, tuple[int, ...]] = {}
        self._fingerprint: str | None = None
        for kind in self.events.values():
            self.route(kind)
        for spec in steps:
            spec.known = {kind for kind in spec.emits if self.routes[kind] or issubclass(kind, StopEvent)}

    def route(self, kind: type) -> tuple[int, ...]:
        """The steps that receive events of this type: every one that accepts it or a base of it."""
        indexes = tuple(spec.index for spec in self.steps if issubclass(kind, spec.accepts))
        self.routes[kind] = indexes
        return indexes

    def has_place(self, kind: type) -> bool:
        """Whether an event of this type reaches a step or ends the run."""
        return bool(self.routes[kind] if kind in self.routes else self.route(kind)) or issubclass(kind, StopEvent)

    def producers(self, consumer: StepSpec) -> list[str]:
        """Names of the steps that emit what this step accepts."""
        return [spec.name for spec in self.steps if any(_meet(out, consumer.accepts) for out in spec.emits)]

    @property
    def fingerprint(self) -> str:
        """Changes whenever a step, its events or its state type does; bound to every recorded run."""
        if self._fingerprint is None:
            import hashlib

            lines = [f"{spec.name}({_union(spec.accepts)})->{_union(spec.emits)}" for spec in self.steps]
            text = "\n".join([self.name, *lines, self.state.name if self.state else ""])
            self._fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._fingerprint

    def view(self) -> GraphView:
        """Nodes and edges for drawing and for the record."""
        nodes = {self.start.__name__: GraphNode(self.start.__name__, "start")}
        edges: list[GraphEdge] = []
        for spec in self.steps:
            nodes[spec.name] = GraphNode(spec.name, "step")
            for kind in (*spec.accepts, *spec.emits):
                part: Literal["event", "stop"] = "stop" if issubclass(kind, StopEvent) else "event"
                nodes.setdefault(kind.__name__, GraphNode(kind.__name__, part))
            edges += [GraphEdge(kind.__name__, spec.name) for kind in spec.accepts]
            edges += [GraphEdge(spec.name, kind.__name__) for kind in spec.emits]
        return GraphView(tuple(nodes.values()), tuple(edges))


def compile_graph(owner: type) -> Graph | None:
    """The checked graph of a workflow class, or None when it has no steps (an abstract base)."""
    marked = _marked(owner)
    if not marked:
        return None
    steps: list[StepSpec] = []
    functions: dict[int, str] = {}
    for name, fn in marked.items():
        if name in RESERVED:
            raise WorkflowDefinitionError(f"Step {owner.__name__}.{name}: {name!r} is Workflow's own. Rename the step.")
        if id(fn) in functions:
            raise WorkflowDefinitionError(
                f"Steps {functions[id(fn)]!r} and {name!r} of {owner.__name__} are one function, so it would "
                "receive each event twice. Remove one name."
            )
        functions[id(fn)] = name
        spec = compile_step(owner, name, fn)
        spec.index = len(steps)
        steps.append(spec)
    start = _check(owner.__name__, steps)
    return Graph(owner.__name__, tuple(steps), start, _state(owner.__name__, steps))


RESERVED = frozenset({"run"})


def _marked(owner: type) -> dict[str, Callable[..., Any]]:
    # Base classes first, so that an override keeps its place; one without @step removes the step.
    marked: dict[str, Callable[..., Any]] = {}
    for klass in reversed(owner.__mro__):
        for name, value in vars(klass).items():
            if MARK in getattr(getattr(value, "__func__", value), "__dict__", ()):
                if isinstance(value, staticmethod | classmethod):
                    raise WorkflowDefinitionError(
                        f"Step {klass.__name__}.{name} is a {type(value).__name__}. Make it a plain method with `self`."
                    )
                marked[name] = value
            else:
                marked.pop(name, None)
    return marked


def _check(name: str, steps: list[StepSpec]) -> type[StartEvent]:
    accepted = {kind: spec.name for spec in reversed(steps) for kind in spec.accepts}
    emitted = {kind: spec.name for spec in reversed(steps) for kind in spec.emits}
    _check_names(name, {**accepted, **emitted})
    starts = [kind for spec in steps for kind in spec.accepts if issubclass(kind, StartEvent)]
    if not starts:
        raise WorkflowDefinitionError(f"{name}: no step accepts a StartEvent. Let the first step take one.")
    if len(set(starts)) > 1:
        kinds = ", ".join(dict.fromkeys(kind.__name__ for kind in starts))
        raise WorkflowDefinitionError(f"{name} has several start events ({kinds}). Keep one; run() must know which.")
    if not any(issubclass(kind, StopEvent) for kind in emitted):
        raise WorkflowDefinitionError(f"{name}: no step returns a StopEvent. Let the last step return one.")
    for kind, step in accepted.items():
        if not issubclass(kind, StartEvent) and not _meet(kind, emitted):
            raise WorkflowDefinitionError(
                f"{name}: step {step!r} waits for {kind.__name__}, which no step emits. Add it to the return "
                "annotation of the step that returns or sends it, or remove the step."
            )
    for kind, step in emitted.items():
        if not issubclass(kind, StopEvent) and not _meet(kind, accepted):
            raise WorkflowDefinitionError(
                f"{name}: step {step!r} emits {kind.__name__}, which no step accepts. Add a step that takes "
                "it, or use ctx.write_event_to_stream() if only readers of the stream want it."
            )
    _check_reach(name, steps)
    return starts[0]


def _check_names(name: str, kinds: Iterable[type[Event]]) -> None:
    seen: dict[str, type[Event]] = {}
    for kind in kinds:
        other = seen.setdefault(kind.__name__, kind)
        if other is not kind:
            raise WorkflowDefinitionError(
                f"{name}: {kind.__module__}.{kind.__qualname__} and {other.__module__}.{other.__qualname__} "
                "have one name, and the journal knows events by name. Rename one."
            )


def _check_reach(name: str, steps: list[StepSpec]) -> None:
    reached = {spec.name for spec in steps if any(issubclass(kind, StartEvent) for kind in spec.accepts)}
    consumers: dict[str, list[StepSpec]] = defaultdict(list)
    for source in steps:
        consumers[source.name] = [t for t in steps if any(_meet(out, t.accepts) for out in source.emits)]
    frontier = list(reached)
    while frontier:
        for target in consumers[frontier.pop()]:
            if target.name not in reached:
                reached.add(target.name)
                frontier.append(target.name)
    for spec in steps:
        if spec.name not in reached:
            accepts = " or ".join(kind.__name__ for kind in spec.accepts)
            raise WorkflowDefinitionError(
                f"{name}: step {spec.name!r} is never reached from the start: {accepts} only comes from "
                "steps that are not reached either. Emit it from a step that runs, or remove the step."
            )


def _state(name: str, steps: list[StepSpec]) -> StateSchema | None:
    found: dict[type, str] = {spec.state_type: spec.name for spec in steps if spec.state_type is not None}
    if not found:
        return None
    # Steps may see a base of the state; the most derived type is the state itself.
    for kind, step in found.items():
        if all(issubclass(kind, other) for other in found):
            return StateSchema(kind, f"{name}: step {step!r}")
    listed = ", ".join(f"{kind.__name__} in {step!r}" for kind, step in found.items())
    raise WorkflowDefinitionError(f"{name} has several state types ({listed}). One must derive from all others.")


def _union(kinds: Iterable[type[Event]]) -> str:
    return "|".join(kind.__name__ for kind in kinds)


def _meet(kind: type, others: Iterable[type]) -> bool:
    # Either way round: a step annotated with a base may emit, or accept, the subclass.
    return any(issubclass(kind, other) or issubclass(other, kind) for other in others)


def mermaid(view: GraphView) -> str:
    """The graph as Mermaid flowchart text: steps as boxes, events as rounded boxes, start and stop as
    circles.
    """
    shapes = {"step": ("[", "]"), "event": ("(", ")"), "start": ("((", "))"), "stop": ("((", "))")}
    ids = {node.name: f"n{number}" for number, node in enumerate(view.nodes)}
    lines = ["flowchart TD"]
    for node in view.nodes:
        left, right = shapes[node.kind]
        lines.append(f'    {ids[node.name]}{left}"{node.name}"{right}')
    lines += [f"    {ids[edge.source]} --> {ids[edge.target]}" for edge in view.edges]
    return "\n".join(lines) + "\n"
