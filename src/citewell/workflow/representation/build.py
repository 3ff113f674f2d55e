"""A workflow class, as its compiled graph has it, in nodes and edges."""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError

from citewell.workflow.errors import WorkflowValidationError
from citewell.workflow.events import Event
from citewell.workflow.graph import EdgeKind, Graph, compile_graph, compile_steps, is_whole, received
from citewell.workflow.plain import (
    PlainEvent,
    PlainHumanResponseEvent,
    PlainInputRequiredEvent,
    PlainStartEvent,
    PlainStopEvent,
)
from citewell.workflow.representation.types import (
    WorkflowEventNode,
    WorkflowExternalNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowGraphNode,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
)
from citewell.workflow.resource import Resource, ResourceConfig, ResourceDescriptor, ResourceError
from citewell.workflow.step import StepSpec
from citewell.workflow.workflow import Workflow

EXTERNAL = "external_step"
"""Id and label of the node that stands for people and systems outside of the workflow."""


@dataclasses.dataclass(frozen=True, slots=True)
class Injection:
    """What a step, or a resource, is given through one parameter: what `factory` makes, or a part of `config_file`.

    `name` is that of a descriptor which is neither.
    """

    parameter: str
    annotation: Any = None
    factory: Callable[..., object] | None = None
    config_file: str | None = None
    path_selector: str | None = None
    value: Any = None
    label: str | None = None
    description: str | None = None
    needs: Sequence["Injection"] = ()
    name: str | None = None


def get_workflow_representation(workflow: Workflow | type[Workflow]) -> WorkflowGraph:
    """The graph of a workflow or of its class, whether or not it would pass the checks of the graph.

    Raises WorkflowValidationError for a class without a first or without a last step.
    """
    owner = workflow if isinstance(workflow, type) else type(workflow)
    found = _Description(_compiled(workflow))
    return found.described(owner)


def _compiled(workflow: Workflow | type[Workflow]) -> Graph:
    if not isinstance(workflow, type):
        return workflow._graph
    if workflow.__compiled__ is not None:
        return workflow.__compiled__
    steps = compile_steps(workflow, workflow._free_functions())
    if not is_whole(steps):
        raise WorkflowValidationError(
            f"{workflow.__name__} has no step for a start event, or none that stops. Describe a subclass of it."
        )
    return compile_graph(workflow.__name__, steps, unchecked=True)


class _Description:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[WorkflowGraphNode] = []
        self.edges: list[WorkflowGraphEdge] = []
        self._producers: dict[str, list[str]] = {}
        for spec in graph.steps:
            for kind in spec.emits:
                self._producers.setdefault(kind.__name__, []).append(spec.name)
        self._ids: set[str] = set()
        # By what makes two injections the same resource: the factory itself, or the place in the file.
        self._resources: dict[object, str] = {}

    def described(self, owner: type) -> WorkflowGraph:
        """The representation; `owner` is the class whose docstring describes it."""
        given = {spec.name: [injection(one.name, one.resource, one.type_annotation) for one in spec.resources]
                 for spec in self.graph.steps}  # fmt: skip
        for spec in self.graph.steps:
            self.add_step(spec)
            for one in given[spec.name]:
                self.add_resource(one)
        for spec in self.graph.steps:
            self.connect(spec, given[spec.name])
        for failing, (handler, _) in self.graph.handler_for.items():
            self._edge(failing, handler, kind="failure")
        return WorkflowGraph(name=self.graph.name, nodes=self.nodes, edges=self.edges, description=_doc(owner))

    def add_step(self, spec: StepSpec) -> None:
        """The node of a step, and of the events it is the first to mention."""
        self._add(WorkflowStepNode(id=spec.name, label=spec.name, description=inspect.getdoc(spec.fn)))
        for kind in (*spec.accepts, *spec.emits):
            name = kind.__name__
            if name not in self._ids:
                self._add(
                    WorkflowEventNode(
                        id=name,
                        label=name,
                        event_type=name,
                        event_types=_bases(kind),
                        event_schema=_schema(kind),
                        produced_by=self._producers.get(name, []),
                    )
                )
            if kind in spec.emits and issubclass(kind, PlainInputRequiredEvent):
                self._add(WorkflowExternalNode(id=EXTERNAL, label=EXTERNAL))

    def connect(self, spec: StepSpec, resources: Sequence[Injection]) -> None:
        """The edges of a step: to what it emits, from what reaches it, and to what it is given."""
        for kind in spec.emits:
            self._edge(spec.name, kind.__name__, kind="list" if kind in spec.listed else "event")
            if issubclass(kind, PlainInputRequiredEvent):
                self._edge(kind.__name__, EXTERNAL)
        for kind in received(self.graph, spec):
            self._edge(kind.__name__, spec.name, kind="event" if spec.cardinality is None else "list")
            if issubclass(kind, PlainHumanResponseEvent) and EXTERNAL in self._ids:
                self._edge(EXTERNAL, kind.__name__)
        for one in resources:
            self._edge(spec.name, self._resources[_identity(one)], one.parameter, kind="resource")

    def add_resource(self, given: Injection) -> str:
        """The id of the node for a resource; it and what it needs in turn are added once."""
        identity = _identity(given)
        if identity in self._resources:
            return self._resources[identity]
        node = _config(given) if given.config_file is not None else _resource(given)
        while node.id in self._ids:
            # Two factories of one name in one file, such as closures, are two resources.
            node.id = f"resource_{_short(node.id)}"
        self._add(node)
        self._resources[identity] = node.id
        for need in given.needs:
            self._edge(node.id, self.add_resource(need), need.parameter, kind="resource")
        return node.id

    def _add(self, node: WorkflowGraphNode) -> None:
        if node.id not in self._ids:
            self._ids.add(node.id)
            self.nodes.append(node)

    def _edge(self, source: str, target: str, label: str | None = None, *, kind: EdgeKind = "event") -> None:
        edge = WorkflowGraphEdge(source=source, target=target, label=label, kind=kind)
        if edge not in self.edges:
            self.edges.append(edge)


def injection(
    parameter: str, resource: ResourceDescriptor, annotation: Any, outer: frozenset[object] = frozenset()
) -> Injection:
    """What a parameter is given, with all that is needed for it; no factory is called."""
    if isinstance(resource, ResourceConfig):
        try:
            value = resource.read()
        except ResourceError:
            # A drawing shows what there is; `validate()` says what is missing.
            value = None
        return Injection(
            parameter,
            annotation,
            config_file=resource.config_file,
            path_selector=resource.path_selector,
            value=value,
            label=resource.label,
            description=resource.description,
        )
    needs: list[Injection] = []
    key = resource.key if isinstance(resource, Resource) else ("name", resource.name)
    if key not in outer:
        try:
            needs = [injection(*one, outer | {key}) for one in resource.get_dependencies()]
        except ResourceError:
            needs = []
    factory = resource.factory if isinstance(resource, Resource) else None
    return Injection(parameter, annotation, factory=factory, needs=needs, name=resource.name)


def _bases(kind: type) -> list[str]:
    names: list[str] = []
    for one in kind.__mro__:
        if one in (Event, PlainEvent):
            break
        if issubclass(one, PlainEvent):
            names.append(_PUBLIC.get(one, one.__name__))
    return names


# Readers of a graph know the four roots by these names, whichever of the two kinds an event is of.
_PUBLIC: dict[type, str] = {
    PlainStartEvent: "StartEvent",
    PlainStopEvent: "StopEvent",
    PlainInputRequiredEvent: "InputRequiredEvent",
    PlainHumanResponseEvent: "HumanResponseEvent",
}


def _schema(kind: Any) -> dict[str, Any] | None:
    """The JSON schema of a type, or None when it has none: an event may hold what JSON cannot."""
    if not isinstance(kind, type) or not (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        return None
    try:
        return TypeAdapter(kind).json_schema()
    except (PydanticUserError, NameError):
        return None


def _identity(given: Injection) -> object:
    if given.config_file is not None:
        return given.config_file, given.path_selector
    return given.factory if given.factory is not None else (given.name, given.annotation)


def _resource(given: Injection) -> WorkflowResourceNode:
    factory = given.factory
    name = given.name or getattr(factory, "__qualname__", None) or given.parameter
    file, line = _source(factory)
    type_name = _type_name(given.annotation)
    place = f"{name}:{file or 'unknown'}"
    return WorkflowResourceNode(
        id=f"resource_{_short(place)}",
        label=given.label or type_name or name,
        type_name=type_name,
        getter_name=name,
        source_file=file,
        source_line=line,
        description=given.description or (inspect.getdoc(factory) if factory is not None else None),
    )


def _config(given: Injection) -> WorkflowResourceConfigNode:
    type_name = _type_name(given.annotation)
    place = f"{given.config_file}:{given.path_selector or ''}"
    value = given.value.model_dump(mode="json") if isinstance(given.value, BaseModel) else given.value
    return WorkflowResourceConfigNode(
        id=f"resource_config_{_short(place)}",
        label=given.label or type_name or str(given.config_file),
        type_name=type_name,
        config_file=given.config_file,
        path_selector=given.path_selector,
        config_schema=_schema(given.annotation),
        config_value=value if isinstance(value, dict) else None,
        description=given.description,
    )


def _source(factory: Callable[..., object] | None) -> tuple[str | None, int | None]:
    try:
        return (None, None) if factory is None else (inspect.getfile(factory), inspect.getsourcelines(factory)[1])
    except (TypeError, OSError):
        # Built in, or its source is not there any more.
        return None, None


def _type_name(annotation: Any) -> str | None:
    return None if annotation is None else getattr(annotation, "__name__", str(annotation))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _doc(owner: type) -> str | None:
    """The docstring of the class, or of the nearest base of the user's; that of Workflow describes no workflow."""
    written: Iterable[type] = (one for one in owner.__mro__ if one not in (Workflow, object) and one.__doc__)
    return next((inspect.cleandoc(one.__doc__ or "") for one in written), None)
