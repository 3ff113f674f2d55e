"""`get_workflow_representation`: the nodes and edges of a workflow class or object."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel
from roots import Api


class Limits(BaseModel):
    most: int


def drawn(api: Api, config_file: str | None = None) -> type:
    class Work(api.Event):
        """A part of the work."""

        n: int

    class Answer(api.StopEvent):
        text: str

    class Question(api.InputRequiredEvent):
        pass

    def connect() -> str:
        """Open the store."""
        return "store"

    config = api.ResourceConfig(config_file=config_file, label="Limits") if config_file else api.Resource(connect)

    class Flow(api.Workflow):
        """Asks and answers."""

        @api.step
        async def begin(self, ev: api.StartEvent, store: Annotated[str, api.Resource(connect)]) -> Work | Question:
            """Split the work."""
            return Work(n=1)

        @api.step
        async def work(self, ev: Work | api.HumanResponseEvent, limits: Annotated[Limits, config]) -> Answer | None:
            return Answer(text="yes")

    return Flow


def test_a_class_and_an_object_give_one_graph(api: Api) -> None:
    Flow = drawn(api)
    assert api.get_workflow_representation(Flow) == api.get_workflow_representation(Flow())


def test_a_graph_has_the_name_and_description_of_its_class(api: Api) -> None:
    graph = api.get_workflow_representation(drawn(api))
    assert (graph.name, graph.description) == ("Flow", "Asks and answers.")


def test_every_step_is_a_node(api: Api) -> None:
    nodes = [node for node in api.get_workflow_representation(drawn(api)).nodes if node.node_type == "step"]
    assert {node.id: node.description for node in nodes} == {"begin": "Split the work.", "work": None}
    assert {node.label for node in nodes} == {"begin", "work"}


def test_every_event_is_a_node(api: Api) -> None:
    nodes = {node.id: node for node in api.get_workflow_representation(drawn(api)).nodes if node.node_type == "event"}
    assert sorted(nodes) == ["Answer", "HumanResponseEvent", "Question", "StartEvent", "Work"]
    assert nodes["Answer"].event_types == ["Answer", "StopEvent"]
    assert nodes["Answer"].is_subclass_of("StopEvent")
    assert nodes["Work"].event_type == "Work"
    assert nodes["Work"].produced_by == ["begin"]
    assert nodes["Work"].event_schema["properties"]["n"]["type"] == "integer"


def test_people_are_an_external_node(api: Api) -> None:
    nodes = [node for node in api.get_workflow_representation(drawn(api)).nodes if node.node_type == "external"]
    assert [node.id for node in nodes] == ["external_step"]


def test_resources_are_nodes(api: Api) -> None:
    nodes = [node for node in api.get_workflow_representation(drawn(api)).nodes if node.node_type == "resource"]
    assert len(nodes) == 1
    assert (nodes[0].type_name, nodes[0].description) == ("str", "Open the store.")
    assert nodes[0].getter_name.endswith("connect")
    assert nodes[0].source_file.endswith("test_compat_representation.py")


def test_configurations_are_nodes(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text(json.dumps({"most": 3}), encoding="utf-8")
    graph = api.get_workflow_representation(drawn(api, str(path)))
    nodes = [node for node in graph.nodes if node.node_type == "resource_config"]
    assert [(node.label, node.type_name, node.config_value) for node in nodes] == [("Limits", "Limits", {"most": 3})]


def test_edges_lead_from_events_to_steps_and_on(api: Api) -> None:
    graph = api.get_workflow_representation(drawn(api))
    edges = {(edge.source, edge.target) for edge in graph.edges if edge.label is None}
    assert edges == {
        ("StartEvent", "begin"),
        ("begin", "Work"),
        ("begin", "Question"),
        ("Question", "external_step"),
        ("external_step", "HumanResponseEvent"),
        ("HumanResponseEvent", "work"),
        ("Work", "work"),
        ("work", "Answer"),
    }


def test_edges_to_resources_carry_the_name_of_the_parameter(api: Api) -> None:
    graph = api.get_workflow_representation(drawn(api))
    labelled = [(edge.source, edge.label) for edge in graph.edges if edge.label is not None]
    assert sorted(labelled) == [("begin", "store"), ("work", "limits")]


def test_a_graph_can_be_reduced_to_its_steps(api: Api) -> None:
    graph = api.get_workflow_representation(drawn(api)).filter_by_node_type("event", "resource", "external")
    assert [node.id for node in graph.nodes] == ["begin", "work"]
    assert ("begin", "work") in {(edge.source, edge.target) for edge in graph.edges}


def test_a_graph_is_json(api: Api) -> None:
    graph = json.loads(api.get_workflow_representation(drawn(api)).model_dump_json())
    assert sorted(graph) == ["description", "edges", "name", "nodes"]


def test_a_fan_out_is_drawn_as_its_events(api: Api) -> None:
    class Work(api.Event):
        pass

    class Flow(api.Workflow):
        @api.step
        async def begin(self, ev: api.StartEvent) -> list[Work]:
            return []

        @api.step
        async def end(self, works: list[Work]) -> api.StopEvent:
            return api.StopEvent()

    edges = {(edge.source, edge.target) for edge in api.get_workflow_representation(Flow).edges}
    assert {("begin", "Work"), ("Work", "end")} <= edges
