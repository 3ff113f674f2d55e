"""The nodes and edges that describe a workflow: pydantic models, so that their JSON is their form."""

from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel, Field

from citewell.workflow.graph import EdgeKind, GraphEdge, GraphNode, GraphView, NodeKind

ASKING, ANSWERING = "InputRequiredEvent", "HumanResponseEvent"
"""The bases, by name, of events that go to people and that come from them."""


class WorkflowNodeBase(BaseModel):
    """What all nodes have."""

    id: str
    label: str

    def truncated_label(self, max_length: int) -> str:
        """The label in at most `max_length` characters; an asterisk stands for what was left out."""
        return self.label if len(self.label) <= max_length else self.label[: max_length - 1] + "*"


class WorkflowStepNode(WorkflowNodeBase):
    """A step; `description` is its docstring."""

    node_type: Literal["step"] = "step"
    description: str | None = None


class WorkflowEventNode(WorkflowNodeBase):
    """An event type. `event_types` are its name and those of its bases up to, but without, Event; `produced_by` are
    the steps that declare to emit it.
    """

    node_type: Literal["event"] = "event"
    event_type: str
    event_types: list[str]
    event_schema: dict[str, Any] | None = None
    produced_by: list[str] = Field(default_factory=list)

    def is_subclass_of(self, *type_names: str) -> bool:
        """Whether the event type, or a base of it, has one of the names."""
        return not set(type_names).isdisjoint(self.event_types)


class WorkflowExternalNode(WorkflowNodeBase):
    """Where questions go and answers come from."""

    node_type: Literal["external"] = "external"


class WorkflowResourceNode(WorkflowNodeBase):
    """Something that a factory makes and a step is given."""

    node_type: Literal["resource"] = "resource"
    type_name: str | None = None
    getter_name: str | None = None
    source_file: str | None = None
    source_line: int | None = None
    description: str | None = None


class WorkflowResourceConfigNode(WorkflowNodeBase):
    """Settings from a JSON file that a step, or a resource, is given."""

    node_type: Literal["resource_config"] = "resource_config"
    type_name: str | None = None
    config_file: str | None = None
    path_selector: str | None = None
    config_schema: dict[str, Any] | None = None
    config_value: dict[str, Any] | None = None
    description: str | None = None


class WorkflowGenericNode(WorkflowNodeBase):
    """A node of any other kind, for those who draw agents and tools."""

    node_type: str
    event_type: str | None = None
    event_types: list[str] | None = None

    def is_subclass_of(self, *type_names: str) -> bool:
        """Whether one of the names is among the event types."""
        return not set(type_names).isdisjoint(self.event_types or ())


WorkflowGraphNode = (
    WorkflowStepNode
    | WorkflowEventNode
    | WorkflowExternalNode
    | WorkflowResourceNode
    | WorkflowResourceConfigNode
    | WorkflowGenericNode
)
"""The generic node last: it takes what is none of the others."""


class WorkflowGraphEdge(BaseModel):
    """From node to node, by id; `label` names the parameter through which a resource is given, `kind` is ours alone."""

    source: str
    target: str
    label: str | None = None
    kind: EdgeKind = "event"


class WorkflowGraph(BaseModel):
    """The graph of one workflow class; nodes in the order of the steps, each before what it is the first to mention."""

    name: str
    nodes: list[WorkflowGraphNode]
    edges: list[WorkflowGraphEdge]
    description: str | None = None

    def filter_by_node_type(self, *node_types: str) -> "WorkflowGraph":
        """The graph without nodes of these types; a way through removed nodes becomes one edge.

        Such an edge is labelled with the first node that it replaces. There is one edge for each pair of nodes.
        """
        labels = {node.id: node.label for node in self.nodes if node.node_type in node_types}
        kept = [node for node in self.nodes if node.id not in labels]
        leading: dict[str, list[WorkflowGraphEdge]] = {}
        for edge in self.edges:
            leading.setdefault(edge.source, []).append(edge)
        ids = {node.id for node in kept}
        edges: dict[tuple[str, str], WorkflowGraphEdge] = {}
        for node in kept:
            passed: set[str] = set()
            # A stack and not a recursion: a way through removed nodes may be long.
            ways = [(edge, edge.label) for edge in reversed(leading.get(node.id, []))]
            while ways:
                edge, label = ways.pop()
                if edge.target in ids:
                    found = WorkflowGraphEdge(source=node.id, target=edge.target, label=label)
                    edges.setdefault((node.id, edge.target), found)
                elif edge.target in labels and edge.target not in passed:
                    passed.add(edge.target)
                    through = label if edge.source != node.id else labels[edge.target]
                    ways += [(onward, through) for onward in reversed(leading.get(edge.target, []))]
        return WorkflowGraph(name=self.name, nodes=kept, edges=list(edges.values()), description=self.description)

    def view(self) -> GraphView:
        """The graph as the functions of `citewell.workflow.drawing` take it: nodes by their labels where they can."""
        count = Counter(node.label for node in self.nodes)
        names = {node.id: node.label if count[node.label] == 1 else node.id for node in self.nodes}
        # Steps that may fail lead to their handler themselves.
        handled = any(edge.kind == "failure" for edge in self.edges)
        gone = {
            node.id
            for node in self.nodes
            if handled and isinstance(node, WorkflowEventNode) and node.is_subclass_of(_FAILED)
        }
        nodes = [GraphNode(names[node.id], _kind(node)) for node in self.nodes if node.id not in gone]
        edges = [
            GraphEdge(names[edge.source], names[edge.target], edge.kind)
            for edge in self.edges
            if edge.source not in gone and edge.target not in gone
        ]
        return GraphView(tuple(nodes), tuple({(edge.source, edge.target): edge for edge in edges}.values()))


def _kind(node: WorkflowGraphNode) -> NodeKind:
    if isinstance(node, WorkflowEventNode):
        for kind, names in _PARTS.items():
            if node.is_subclass_of(*names):
                return kind
        return "event"
    if isinstance(node, WorkflowResourceConfigNode):
        return "resource"
    return "event" if isinstance(node, WorkflowGenericNode) else node.node_type


_FAILED = "StepFailedEvent"
_PARTS: dict[NodeKind, tuple[str, ...]] = {
    "start": ("StartEvent",),
    "stop": ("StopEvent",),
    "human": (ASKING, ANSWERING),
}
