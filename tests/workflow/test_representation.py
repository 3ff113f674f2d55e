"""The representation of a workflow: the nodes, edges and fields that tools for llama-index-workflows read."""

import dataclasses
import functools
import itertools
import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

from citewell.workflow import (
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    PlainEvent,
    PlainStartEvent,
    PlainStopEvent,
    Resource,
    ResourceConfig,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    WorkflowValidationError,
    catch_error,
    step,
)
from citewell.workflow.drawing import to_svg
from citewell.workflow.representation import (
    WorkflowEventNode,
    WorkflowGenericNode,
    WorkflowGraph,
    WorkflowGraphEdge,
    WorkflowResourceConfigNode,
    WorkflowResourceNode,
    WorkflowStepNode,
    get_workflow_representation,
)


class Go(StartEvent):
    question: str


class Draft(Event):
    """A pydantic event."""

    text: str


class Better(Draft):
    score: float = 0.0


class Opaque(Event):
    call: functools.partial  # type: ignore[type-arg]


class Done(StopEvent):
    pass


class Writing(Workflow):
    """Writes until it is good.

    Then stops.
    """

    @step
    async def begin(self, event: Go) -> Opaque | list[Draft]:
        """Makes a first draft."""
        return []

    @step(accept_event_subclasses=True)
    async def improve(self, event: Draft | Opaque) -> Better | Done:
        return Done()


class Question(InputRequiredEvent):
    pass


class Answer(HumanResponseEvent):
    pass


class Asking(Workflow):
    """Its question is for people, and no step accepts it."""

    @step
    async def ask(self, event: Go) -> Question:
        return Question()

    @step
    async def use(self, event: Answer) -> Done:
        return Done()


def edges(graph: WorkflowGraph) -> list[tuple[str, ...]]:
    return [tuple(filter(None, (edge.source, edge.target, edge.label))) for edge in graph.edges]


def test_steps_events_and_their_connections_are_all_there_in_order() -> None:
    graph = get_workflow_representation(Writing)
    assert graph == get_workflow_representation(Writing())
    assert (graph.name, graph.description) == ("Writing", "Writes until it is good.\n\nThen stops.")
    assert [(node.id, node.node_type) for node in graph.nodes] == [
        ("begin", "step"), ("Go", "event"), ("Opaque", "event"), ("Draft", "event"),
        ("improve", "step"), ("Better", "event"), ("Done", "event"),
    ]  # fmt: skip
    assert edges(graph) == [
        ("begin", "Opaque"), ("begin", "Draft"), ("Go", "begin"),
        # A subclass reaches the step that accepts its base.
        ("improve", "Better"), ("improve", "Done"), ("Draft", "improve"), ("Opaque", "improve"), ("Better", "improve"),
    ]  # fmt: skip


def test_nodes_have_the_fields_that_users_of_the_other_library_read() -> None:
    nodes = {node.id: node for node in get_workflow_representation(Writing).nodes}
    assert nodes["begin"] == WorkflowStepNode(id="begin", label="begin", description="Makes a first draft.")
    assert nodes["improve"].model_dump() == {
        "id": "improve", "label": "improve", "node_type": "step", "description": None
    }  # fmt: skip
    better = nodes["Better"]
    assert isinstance(better, WorkflowEventNode)
    assert better.model_dump(exclude={"event_schema"}) == {
        "id": "Better", "label": "Better", "node_type": "event", "event_type": "Better",
        "event_types": ["Better", "Draft"], "produced_by": ["improve"],
    }  # fmt: skip
    assert better.is_subclass_of("Nothing", "Draft")
    assert not better.is_subclass_of("Event")
    start, stop = nodes["Go"], nodes["Done"]
    assert isinstance(start, WorkflowEventNode)
    assert isinstance(stop, WorkflowEventNode)
    assert (start.event_types, start.produced_by) == (["Go", "StartEvent"], [])
    assert stop.event_types == ["Done", "StopEvent"]


def test_events_have_a_json_schema_where_they_have_a_json_form() -> None:
    nodes = {node.id: node for node in get_workflow_representation(Writing).nodes}
    schemas = {name: node.event_schema for name, node in nodes.items() if isinstance(node, WorkflowEventNode)}
    assert schemas["Draft"] == Draft.model_json_schema()
    assert schemas["Go"] == TypeAdapter(Go).json_schema()
    assert schemas["Opaque"] is None


def test_the_json_form_is_read_back_as_the_same_graph() -> None:
    graph = get_workflow_representation(Writing)
    agent = WorkflowGenericNode(id="agent", label="agent", node_type="agent", event_types=["Agent", "Tool"])
    assert agent.is_subclass_of("Tool")
    assert not WorkflowGenericNode(id="x", label="x", node_type="tool").is_subclass_of("Tool")
    graph.nodes.append(agent)
    again = WorkflowGraph.model_validate(json.loads(graph.model_dump_json()))
    assert again == graph
    assert [type(node) for node in again.nodes] == [type(node) for node in graph.nodes]


def test_questions_go_to_the_outside_and_answers_come_from_there() -> None:
    graph = get_workflow_representation(Asking)
    assert [(node.id, node.node_type) for node in graph.nodes] == [
        ("ask", "step"), ("Go", "event"), ("Question", "event"), ("external_step", "external"),
        ("use", "step"), ("Answer", "event"), ("Done", "event"),
    ]  # fmt: skip
    assert edges(graph) == [
        ("ask", "Question"), ("Question", "external_step"), ("Go", "ask"),
        ("use", "Done"), ("Answer", "use"), ("external_step", "Answer"),
    ]  # fmt: skip
    kinds = {node.name: node.kind for node in graph.view().nodes}
    assert kinds == {
        "ask": "step", "Go": "start", "Question": "human", "external_step": "external",
        "use": "step", "Answer": "human", "Done": "stop",
    }  # fmt: skip
    drawn = to_svg(graph.view())
    assert drawn.count('class="node human"') == 2
    assert drawn.count('class="node external"') == 1


def test_a_stop_event_leads_to_no_step_even_where_every_event_is_accepted() -> None:
    class Everything(Workflow):
        @step
        async def only(self, event: Go) -> Draft | Done:
            return Done()

        @step(accept_event_subclasses=True)
        async def log(self, event: Event) -> None: ...

    assert edges(get_workflow_representation(Everything)) == [
        ("only", "Draft"), ("only", "Done"), ("Go", "only"), ("Event", "log"), ("Go", "log"), ("Draft", "log")
    ]  # fmt: skip


def test_an_exact_type_is_routed_exactly() -> None:
    class Exact(Workflow):
        @step
        async def begin(self, event: Go) -> Draft | Better:
            return Draft(text="")

        @step
        async def improve(self, event: Draft) -> Done:
            return Done()

        @step
        async def publish(self, event: Better) -> Done:
            return Done()

    assert [edge[:2] for edge in edges(get_workflow_representation(Exact)) if edge[0] == "Better"] == [
        ("Better", "publish")
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class PlainGo(PlainStartEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class PlainPart(PlainEvent):
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class PlainDone(PlainStopEvent):
    result: int


class Counting(Workflow):
    @step
    async def split(self, event: PlainGo) -> list[PlainPart]:
        return []

    @step
    async def join(self, parts: list[PlainPart]) -> PlainDone:
        return PlainDone(0)

    @catch_error
    async def rescue(self, event: StepFailedEvent) -> PlainDone:
        return PlainDone(-1)


def test_plain_events_have_the_same_roots_by_name_and_a_schema() -> None:
    nodes = {
        node.id: node for node in get_workflow_representation(Counting).nodes if isinstance(node, WorkflowEventNode)
    }
    assert nodes["PlainGo"].event_types == ["PlainGo", "StartEvent"]
    assert nodes["PlainDone"].event_types == ["PlainDone", "StopEvent"]
    assert nodes["PlainPart"].event_types == ["PlainPart"]
    assert nodes["PlainGo"].event_schema == TypeAdapter(PlainGo).json_schema()


def test_lists_and_handlers_of_failures_are_told_by_the_kind_of_an_edge() -> None:
    graph = get_workflow_representation(Counting)
    kinds = {(edge.source, edge.target): edge.kind for edge in graph.edges if edge.kind != "event"}
    assert kinds == {
        ("split", "PlainPart"): "list", ("PlainPart", "join"): "list",
        ("split", "rescue"): "failure", ("join", "rescue"): "failure",
    }  # fmt: skip
    assert "StepFailedEvent" in {node.id for node in graph.nodes}
    view = graph.view()
    # In a drawing the edges of the failures say it.
    assert "StepFailedEvent" not in {node.name for node in view.nodes}
    assert {edge.kind for edge in view.edges} == {"event", "list", "failure"}


class Settings(BaseModel):
    host: str


def test_resources_are_nodes_once_with_what_they_need_and_the_parameters_as_labels(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    file.write_text('{"db": {"host": "h"}}', "utf-8")
    config_file = str(file)

    def connect(settings: Annotated[Settings, ResourceConfig(config_file, "db")]) -> dict[str, str]:
        """Opens it."""
        raise AssertionError("a drawing makes nothing")

    class Storing(Workflow):
        @step
        async def ask(self, event: Go, db: Annotated[dict[str, str], Resource(connect)]) -> Draft:
            return Draft(text="")

        @step
        async def use(
            self,
            event: Draft,
            store: Annotated[dict[str, str], Resource(connect)],
            settings: Annotated[Settings, ResourceConfig(config_file, "db")],
        ) -> Done:
            return Done()

    graph = get_workflow_representation(Storing)
    resource, config = [node for node in graph.nodes if node.node_type.startswith("resource")]
    assert isinstance(resource, WorkflowResourceNode)
    assert resource.getter_name is not None
    assert (resource.label, resource.getter_name.rpartition(".")[2]) == ("dict", "connect")
    assert resource.description == "Opens it."
    assert str(resource.source_file).endswith("test_representation.py")
    assert resource.source_line is not None
    assert isinstance(config, WorkflowResourceConfigNode)
    assert (config.label, config.config_file, config.path_selector) == ("Settings", config_file, "db")
    assert config.config_value == {"host": "h"}
    assert config.config_schema == Settings.model_json_schema()
    assert [edge for edge in edges(graph) if len(edge) == 3] == [
        (resource.id, config.id, "settings"), ("ask", resource.id, "db"),
        ("use", resource.id, "store"), ("use", config.id, "settings"),
    ]  # fmt: skip
    view = graph.view()
    assert {node.name: node.kind for node in view.nodes if node.kind == "resource"} == {
        "dict": "resource", "Settings": "resource"
    }  # fmt: skip
    assert to_svg(view).count('class="node resource"') == 2
    file.unlink()
    gone = get_workflow_representation(Storing)
    assert [node.config_value for node in gone.nodes if isinstance(node, WorkflowResourceConfigNode)] == [None]


def test_two_factories_of_one_name_are_two_resources() -> None:
    def made(number: int) -> Any:
        def factory() -> int:
            return number

        return factory

    class Two(Workflow):
        @step
        async def only(
            self, event: Go, a: Annotated[int, Resource(made(1))], b: Annotated[int, Resource(made(2))]
        ) -> Done:
            return Done()

    graph = get_workflow_representation(Two)
    assert len({node.id for node in graph.nodes if node.node_type == "resource"}) == 2
    # Their labels are equal, so the drawing tells them apart by their ids.
    assert len([node for node in graph.view().nodes if node.kind == "resource"]) == 2


def test_a_factory_without_source_is_a_resource_without_a_place() -> None:
    class Clock(Workflow):
        @step
        async def only(self, event: Go, clock: Annotated[Any, Resource(dict)]) -> Done:
            return Done()

    graph = get_workflow_representation(Clock)
    node = next(node for node in graph.nodes if isinstance(node, WorkflowResourceNode))
    assert (node.getter_name, node.source_file, node.source_line) == ("dict", None, None)


def test_filtering_out_events_joins_the_steps_by_edges_that_name_the_event() -> None:
    graph = get_workflow_representation(Writing).filter_by_node_type("event")
    assert [node.id for node in graph.nodes] == ["begin", "improve"]
    assert edges(graph) == [("begin", "improve", "Opaque"), ("improve", "improve", "Better")]
    assert graph.name == "Writing"


def test_filtering_follows_long_ways_and_loops_through_removed_nodes() -> None:
    names = [f"E{number}" for number in range(5000)]
    events = [WorkflowEventNode(id=name, label=name, event_type=name, event_types=[name]) for name in names]
    ends = [WorkflowStepNode(id=name, label=name) for name in ("a", "b")]
    ways = [("a", "E0"), *itertools.pairwise(names), ("E4999", "E0"), ("E4999", "b"), ("a", "b")]
    graph = WorkflowGraph(
        name="long", nodes=[*events, *ends], edges=[WorkflowGraphEdge(source=one, target=other) for one, other in ways]
    )
    assert edges(graph.filter_by_node_type("event", "external")) == [("a", "b", "E0")]
    assert graph.filter_by_node_type().nodes == graph.nodes


def test_a_long_label_is_cut_with_an_asterisk() -> None:
    node = WorkflowStepNode(id="x", label="abcdef")
    assert [node.truncated_label(length) for length in (7, 6, 5)] == ["abcdef", "abcdef", "abcd*"]


def test_a_class_without_steps_cannot_be_described() -> None:
    class Empty(Workflow):
        pass

    with pytest.raises(WorkflowValidationError, match="Empty has no step for a start event"):
        get_workflow_representation(Empty)


def test_a_class_that_is_not_checked_yet_is_described_as_it_is() -> None:
    class Loose(Workflow, abstract=True):
        @step
        async def only(self, event: Go) -> Draft | Done:
            return Done()

    assert edges(get_workflow_representation(Loose)) == [("only", "Draft"), ("only", "Done"), ("Go", "only")]


def test_a_class_without_a_docstring_is_described_by_that_of_its_base_but_not_of_workflow() -> None:
    class Plain(Writing):
        pass

    class Bare(Workflow):
        @step
        async def only(self, event: Go) -> Done:
            return Done()

    assert get_workflow_representation(Plain).description == get_workflow_representation(Writing).description
    assert get_workflow_representation(Bare).description is None
