"""A workflow class, as its compiled graph has it, in nodes and edges."""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError

from citewell.workflow.errors import WorkflowDefinitionError
from citewell.workflow.events import Event, StopEvent
from citewell.workflow.graph import Graph
from citewell.workflow.representation.types import (
    ANSWERING,
    ASKING,
    WorkflowEventNode,
    WorkflowExternalNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowGraphNode,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
)
from citewell.workflow.step import StepSpec
from citewell.workflow.workflow import Workflow

EXTERNAL = "external_step"
"""Id and label of the node that stands for people and systems outside of the workflow."""


@dataclasses.dataclass(frozen=True, slots=True)
class Injection:
    """What a step, or a resource, is given through one parameter: what `factory` makes, or a part of `config_file`."""

    parameter: str
    annotation: type | None = None
    factory: Callable[..., object] | None = None
    config_file: str | None = None
    path_selector: str | None = None
    value: Mapping[str, Any] | None = None
    label: str | None = None
    description: str | None = None
    needs: Sequence["Injection"] = ()


def get_workflow_representation(
    workflow: Workflow | type[Workflow], *, resources: Mapping[str, Sequence[Injection]] | None = None
) -> WorkflowGraph:
    """The graph of a workflow or of its class; `resources` by the name of the step that is given them.

    Raises WorkflowDefinitionError for a class without steps.
    """
    owner = workflow if isinstance(workflow, type) else type(workflow)
    if owner.__graph__ is None:
        raise WorkflowDefinitionError(f"{owner.__name__} has no steps, or is abstract. Describe a subclass of it.")
    return describe(owner.__graph__, owner, resources or {})


def describe(graph: Graph, owner: type, resources: Mapping[str, Sequence[Injection]]) -> WorkflowGraph:
    """The representation of a compiled graph; `owner` is the class whose methods the steps are."""
    found = _Description(graph)
    for spec in graph.steps:
        found.add_step(spec, inspect.getdoc(getattr(owner, spec.name, None)))
        for injection in resources.get(spec.name, ()):
            found.add_resource(injection)
    for spec in graph.steps:
        found.connect(spec, resources.get(spec.name, ()))
    return WorkflowGraph(name=graph.name, nodes=found.nodes, edges=found.edges, description=_doc(owner))


class _Description:
    def __init__(self, graph: Graph) -> None:
        self.nodes: list[WorkflowGraphNode] = []
        self.edges: list[WorkflowGraphEdge] = []
        self._producers: dict[str, list[str]] = {}
        for spec in graph.steps:
            for kind in dict.fromkeys(spec.emits):
                self._producers.setdefault(kind.__name__, []).append(spec.name)
        self._events: dict[type[Event], None] = {}
        self._ids: set[str] = set()
        # By what makes two injections the same resource: the factory itself, or the place in the file.
        self._resources: dict[object, str] = {}

    def add_step(self, spec: StepSpec, about: str | None) -> None:
        """The node of a step, and of the events it is the first to mention."""
        self._add(WorkflowStepNode(id=spec.name, label=spec.name, description=about))
        for kind in (*spec.accepts, *spec.emits):
            name = kind.__name__
            if kind not in self._events:
                self._events[kind] = None
                chain = _bases(kind)
                producers = self._producers.get(name, [])
                schema = _schema(kind)
                self._add(
                    WorkflowEventNode(
                        id=name,
                        label=name,
                        event_type=name,
                        event_types=chain,
                        event_schema=schema,
                        produced_by=producers,
                    )
                )
            if kind in spec.emits and ASKING in _bases(kind):
                self._add(WorkflowExternalNode(id=EXTERNAL, label=EXTERNAL))

    def connect(self, spec: StepSpec, resources: Sequence[Injection]) -> None:
        """The edges of a step: to what it emits, from what reaches it, and to what it is given."""
        for kind in dict.fromkeys(spec.emits):
            self._edge(spec.name, kind.__name__)
            if ASKING in _bases(kind):
                self._edge(kind.__name__, EXTERNAL)
        for kind in self._events:
            # A stop event ends the run; even a step that accepts every Event does not receive it.
            if not issubclass(kind, spec.accepts) or issubclass(kind, StopEvent):
                continue
            self._edge(kind.__name__, spec.name)
            if ANSWERING in _bases(kind) and EXTERNAL in self._ids:
                self._edge(EXTERNAL, kind.__name__)
        for injection in resources:
            self._edge(spec.name, self._resources[_identity(injection)], injection.parameter)

    def add_resource(self, injection: Injection) -> str:
        """The id of the node for a resource; it and what it needs in turn are added once."""
        identity = _identity(injection)
        if identity in self._resources:
            return self._resources[identity]
        node = _config(injection) if injection.config_file is not None else _resource(injection)
        while node.id in self._ids:
            # Two factories of one name in one file, such as closures, are two resources.
            node.id = f"resource_{_short(node.id)}"
        self._add(node)
        self._resources[identity] = node.id
        for need in injection.needs:
            self._edge(node.id, self.add_resource(need), need.parameter)
        return node.id

    def _add(self, node: WorkflowGraphNode) -> None:
        if node.id not in self._ids:
            self._ids.add(node.id)
            self.nodes.append(node)

    def _edge(self, source: str, target: str, label: str | None = None) -> None:
        edge = WorkflowGraphEdge(source=source, target=target, label=label)
        if edge not in self.edges:
            self.edges.append(edge)


def _bases(kind: type) -> list[str]:
    names: list[str] = []
    for one in kind.__mro__:
        if one is Event:
            break
        if issubclass(one, Event):
            names.append(one.__name__)
    return names


def _schema(kind: type | None) -> dict[str, Any] | None:
    """The JSON schema of a type, or None when it has none: an event may hold what JSON cannot."""
    if kind is None or not (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        return None
    try:
        return TypeAdapter(kind).json_schema()
    except (PydanticUserError, NameError):
        return None


def _identity(injection: Injection) -> object:
    if injection.config_file is not None:
        return injection.config_file, injection.path_selector
    return injection.factory if injection.factory is not None else (injection.parameter, injection.annotation)


def _resource(injection: Injection) -> WorkflowResourceNode:
    factory = injection.factory
    name = getattr(factory, "__qualname__", None) or injection.parameter
    file, line = _source(factory)
    type_name = _type_name(injection.annotation)
    place = f"{name}:{file or 'unknown'}"
    return WorkflowResourceNode(
        id=f"resource_{_short(place)}",
        label=injection.label or type_name or name,
        type_name=type_name,
        getter_name=name,
        source_file=file,
        source_line=line,
        description=injection.description or (inspect.getdoc(factory) if factory is not None else None),
    )


def _config(injection: Injection) -> WorkflowResourceConfigNode:
    type_name = _type_name(injection.annotation)
    place = f"{injection.config_file}:{injection.path_selector or ''}"
    return WorkflowResourceConfigNode(
        id=f"resource_config_{_short(place)}",
        label=injection.label or type_name or str(injection.config_file),
        type_name=type_name,
        config_file=injection.config_file,
        path_selector=injection.path_selector,
        config_schema=_schema(injection.annotation),
        config_value=None if injection.value is None else dict(injection.value),
        description=injection.description,
    )


def _source(factory: Callable[..., object] | None) -> tuple[str | None, int | None]:
    try:
        return (None, None) if factory is None else (inspect.getfile(factory), inspect.getsourcelines(factory)[1])
    except (TypeError, OSError):
        # Built in, or its source is not there any more.
        return None, None


def _type_name(annotation: type | None) -> str | None:
    return None if annotation is None else getattr(annotation, "__name__", str(annotation))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _doc(owner: type) -> str | None:
    """The docstring of the class, or of the nearest base of the user's; that of Workflow describes no workflow."""
    written: Iterable[type] = (one for one in owner.__mro__ if one not in (Workflow, object) and one.__doc__)
    return next((inspect.cleandoc(one.__doc__ or "") for one in written), None)
