"""Where boxes and lines go: no overlaps, every node and edge once, the same for the same graph."""

import itertools
import random
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.workflow import GraphEdge, GraphNode, GraphView, StartEvent, StopEvent, Workflow, WorkflowError, step
from citewell.workflow import graph as graph_of
from citewell.workflow.drawing import to_svg
from citewell.workflow.drawing.counts import place_counts
from citewell.workflow.drawing.layout import Box, Layout, Route, lay_out
from citewell.workflow.drawing.order import Grid, layers, reduce_crossings, turned_edges

SVG = "{http://www.w3.org/2000/svg}"
Sizes = dict[str, tuple[float, float]]
Edges = list[tuple[str, str]]


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> tuple[Sizes, Edges]:
    """Any graph: loops, edges from a node to itself, parts that are not joined, boxes of many widths."""
    names = [f"n{number}" for number in range(draw(st.integers(1, most)))]
    sizes = {name: (float(draw(st.integers(30, 260))), float(draw(st.sampled_from([34, 48])))) for name in names}
    ends = st.tuples(st.sampled_from(names), st.sampled_from(names))
    return sizes, draw(st.lists(ends, max_size=2 * most, unique=True))


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def on_border(point: tuple[float, float], box: Box) -> bool:
    x, y = point
    inside = box.x - 0.11 <= x <= box.x + box.width + 0.11 and box.y - 0.11 <= y <= box.y + box.height + 0.11
    sides = min(abs(x - box.x), abs(x - box.x - box.width), abs(y - box.y), abs(y - box.y - box.height))
    return inside and sides < 0.11


@given(graphs())
def test_no_two_boxes_overlap_and_all_are_on_the_sheet(graph: tuple[Sizes, Edges]) -> None:
    layout = lay_out(*graph)
    assert [box.name for box in layout.boxes] == list(graph[0])
    for one, other in itertools.combinations(layout.boxes, 2):
        assert not overlap(one, other), (one, other)
    for box in layout.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= layout.width
        assert box.y + box.height <= layout.height
        # A box is never smaller than its text.
        width, height = graph[0][box.name]
        assert box.width >= width - 0.1
        assert box.height >= height - 0.1


@given(graphs())
def test_every_edge_is_drawn_once_and_begins_and_ends_at_the_borders_of_its_boxes(graph: tuple[Sizes, Edges]) -> None:
    layout = lay_out(*graph)
    boxes = {box.name: box for box in layout.boxes}
    assert [(route.source, route.target) for route in layout.routes] == graph[1]
    for route in layout.routes:
        assert on_border(route.points[0], boxes[route.source]), route
        assert on_border(route.points[-1], boxes[route.target]), route
        for x, y in route.points:
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.height


def passes(route: Route, box: Box, down: bool) -> bool:
    """Whether a line goes through a box, looked for at many points of each leg."""
    for one, other in itertools.pairwise(route.points):
        for count in range(1, 20):
            t = count / 20
            # The curve of the drawing: the middle of the leg along the flow holds both inner points.
            ease = 3 * t * t - 2 * t * t * t
            along = 1.5 * t * (1 - t) + t * t * t
            x = one[0] + (other[0] - one[0]) * (ease if down else along)
            y = one[1] + (other[1] - one[1]) * (along if down else ease)
            if box.x + 0.2 < x < box.x + box.width - 0.2 and box.y + 0.2 < y < box.y + box.height - 0.2:
                return True
    return False


@given(graphs(16))
def test_no_line_goes_through_a_box_that_it_does_not_join(graph: tuple[Sizes, Edges]) -> None:
    layout = lay_out(*graph)
    for route in layout.routes:
        for box in layout.boxes:
            if route.source != route.target and box.name not in (route.source, route.target):
                assert not passes(route, box, layout.down), (route, box)


@given(graphs())
def test_lines_bend_only_between_the_layers_where_no_box_is(graph: tuple[Sizes, Edges]) -> None:
    layout = lay_out(*graph)
    across, along = (0, 1) if layout.down else (1, 0)
    spans = [(box.y, box.y + box.height) if layout.down else (box.x, box.x + box.width) for box in layout.boxes]
    for route in layout.routes:
        for one, other in itertools.pairwise(route.points):
            if one[across] != other[across] and route.source != route.target:
                low, high = sorted((one[along], other[along]))
                assert not any(start < high - 0.11 and low + 0.11 < end for start, end in spans), route


@given(graphs())
def test_the_same_graph_is_always_laid_out_the_same(graph: tuple[Sizes, Edges]) -> None:
    assert lay_out(*graph) == lay_out(dict(graph[0]), list(graph[1]))


@given(graphs(), st.data())
def test_no_number_lies_on_a_box_when_there_is_room_elsewhere(graph: tuple[Sizes, Edges], data: st.DataObject) -> None:
    layout = lay_out(*graph)
    widths = {pair: float(data.draw(st.sampled_from([7, 20, 40]))) for pair in graph[1]}
    places = place_counts(layout, widths)
    assert places.keys() == widths.keys()
    for (x, y), width in zip(places.values(), widths.values(), strict=False):
        for box in layout.boxes:
            assert not (box.x < x < box.x + box.width and box.y < y < box.y + box.height), (x, y, width, box)


def test_the_number_of_a_loop_at_the_end_of_a_row_stands_off_all_boxes() -> None:
    sizes = {f"n{number}": (30.0, 34.0) for number in range(5)}
    for name in sizes:
        layout = lay_out(sizes, [(name, name)])
        ((x, y),) = place_counts(layout, {(name, name): 40.0}).values()
        for box in layout.boxes:
            assert x + 20 <= box.x or box.x + box.width <= x - 20 or y + 6 <= box.y or box.y + box.height <= y - 6
        assert 0 <= x - 20 < x + 20 <= layout.width


def test_numbers_of_a_fan_do_not_cover_each_other() -> None:
    sizes = dict.fromkeys(["split", *(f"t{number}" for number in range(12))], (70.0, 48.0))
    edges = [("split", name) for name in sizes if name != "split"]
    places = place_counts(lay_out(sizes, edges), dict.fromkeys(edges, 20.0))
    for (x, y), (other_x, other_y) in itertools.combinations(places.values(), 2):
        assert abs(x - other_x) >= 19 or abs(y - other_y) >= 12


def chain(length: int) -> tuple[Sizes, Edges]:
    names = [f"n{number}" for number in range(length)]
    return {name: (60.0 + 7 * number % 50, 34.0) for number, name in enumerate(names)}, list(itertools.pairwise(names))


def test_a_chain_is_one_straight_line() -> None:
    layout = lay_out(*chain(12))
    assert layout.down
    assert len({x for route in layout.routes for x, _ in route.points}) == 1


def test_a_chain_stays_straight_beside_a_way_around_it() -> None:
    sizes, edges = chain(9)
    layout = lay_out(sizes, [*edges, ("n0", "n8")], ["n0"])
    middles = {box.name: box.x + box.width / 2 for box in layout.boxes}
    assert max(abs(middles[f"n{number}"] - middles["n1"]) for number in range(1, 8)) <= 0.1
    around = layout.routes[-1].points
    assert len({x for x, _ in around[2:-2]}) == 1


def test_a_loop_is_turned_where_it_closes_and_the_way_from_the_start_goes_down() -> None:
    sizes, edges = chain(5)
    layout = lay_out(sizes, [*edges, ("n3", "n1")], ["n0"])
    assert [(route.source, route.target) for route in layout.routes if route.back] == [("n3", "n1")]
    y = {box.name: box.y for box in layout.boxes}
    assert y["n0"] < y["n1"] < y["n2"] < y["n3"] < y["n4"]
    back = layout.routes[-1]
    assert back.points[0][1] > back.points[-1][1]


def test_two_edges_between_one_pair_stand_side_by_side() -> None:
    layout = lay_out({"a": (80.0, 34.0), "b": (80.0, 34.0)}, [("a", "b"), ("b", "a")])
    there, back = layout.routes
    assert back.back
    assert {x for x, _ in there.points}.isdisjoint({x for x, _ in back.points})


def test_a_wide_fan_flows_to_the_right() -> None:
    sizes = dict.fromkeys(["split", *(f"task{number}" for number in range(30)), "join"], (90.0, 34.0))
    tasks = [name for name in sizes if name.startswith("task")]
    layout = lay_out(sizes, [("split", task) for task in tasks] + [(task, "join") for task in tasks], ["split"])
    assert not layout.down
    x = {box.name: box.x for box in layout.boxes}
    assert x["split"] < x["task7"] < x["join"]
    assert crossings(layout) == 0


def crossings(layout: Layout) -> int:
    """Pairs of edges whose ends change sides between two layers, of those without passing places."""
    axis = 0 if layout.down else 1
    legs = [(route.points[0][axis], route.points[-1][axis], route.points[0][1 - axis]) for route in layout.routes]
    return sum(
        one[2] == other[2] and (one[0] - other[0]) * (one[1] - other[1]) < 0
        for one, other in itertools.combinations(legs, 2)
    )


def test_a_tree_has_no_crossings_in_whatever_order_it_is_given() -> None:
    edges = [(f"n{(number - 1) // 3}", f"n{number}") for number in range(1, 40)]
    for seed in range(6):
        mixed = edges[:]
        random.Random(seed).shuffle(mixed)
        sizes = dict.fromkeys([name for edge in mixed for name in edge], (40.0, 34.0))
        assert crossings(lay_out(sizes, mixed, ["n0"])) == 0


@given(graphs())
def test_the_count_of_crossings_is_that_of_the_pairs_and_sweeps_never_add_any(graph: tuple[Sizes, Edges]) -> None:
    number = {name: index for index, name in enumerate(graph[0])}
    pairs = [(number[one], number[other]) for one, other in graph[1] if one != other]
    turned = turned_edges(len(number), pairs, [])
    flow = list(dict.fromkeys((b, a) if (a, b) in turned else (a, b) for a, b in pairs))
    grid = Grid(layers(len(number), flow, []), flow)
    before = grid.crossings()
    links = [
        (grid.layer[node], grid.place[node], grid.place[other])
        for node in range(len(grid.layer))
        for other, _ in grid.below[node]
    ]
    assert before == sum(
        one[0] == other[0] and (one[1] - other[1]) * (one[2] - other[2]) < 0
        for one, other in itertools.combinations(links, 2)
    )
    reduce_crossings(grid)
    assert grid.crossings() <= before
    assert sorted(node for row in grid.rows for node in row) == list(range(len(grid.layer)))
    for a, b in flow:
        assert grid.layer[a] < grid.layer[b]
    # No two neighbours would cross less the other way round.
    best = grid.crossings()
    for row in grid.rows:
        for place in range(len(row) - 1):
            row[place], row[place + 1] = row[place + 1], row[place]
            grid.number()
            assert grid.crossings() >= best
            row[place], row[place + 1] = row[place + 1], row[place]
    grid.number()


@pytest.mark.parametrize("count", [3, 60])
def test_a_graph_of_any_size_is_drawn_with_every_node_and_edge_once(count: int) -> None:
    chance = random.Random(count)
    names = [f"Node{number}" for number in range(count)]
    nodes = tuple(GraphNode(name, "step" if number % 2 else "event") for number, name in enumerate(names))
    pairs = list(itertools.pairwise(names)) + [tuple(chance.sample(names, 2)) for _ in range(count // 3)]
    edges = tuple(GraphEdge(*pair) for pair in dict.fromkeys(pairs))
    drawn = ET.fromstring(to_svg(GraphView(nodes, edges)))
    assert [text.text for text in drawn.iter(f"{SVG}text")] == names
    groups = [group for group in drawn.iter(f"{SVG}g") if "edge" in str(group.get("class")).split()]
    number_of = {name: str(number) for number, name in enumerate(names)}
    expected = [(number_of[edge.source], number_of[edge.target]) for edge in edges]
    assert [(group.get("data-s"), group.get("data-t")) for group in groups] == expected
    assert all(group.find(f"{SVG}path") is not None and group.find(f"{SVG}polygon") is not None for group in groups)


def test_a_single_step_workflow_is_drawn_from_start_to_stop() -> None:
    class Only(Workflow):
        @step
        async def only(self, event: StartEvent) -> StopEvent:
            return StopEvent()

    drawn = ET.fromstring(to_svg(graph_of(Only)))
    assert [text.text for text in drawn.iter(f"{SVG}text")] == ["StartEvent", "only", "StopEvent"]


def test_an_answer_of_a_person_is_drawn_after_the_question_though_nothing_leads_there() -> None:
    pairs = [("Start", "ask"), ("ask", "Question"), ("Answer", "use"), ("use", "Stop")]
    kinds = {"Start": "start", "ask": "step", "Question": "human", "Answer": "human", "use": "step", "Stop": "stop"}
    nodes = tuple(GraphNode(name, kind) for name, kind in kinds.items())  # type: ignore[arg-type]
    drawn = ET.fromstring(to_svg(GraphView(nodes, tuple(GraphEdge(*pair) for pair in pairs))))
    y = {text.text: float(str(text.get("y"))) for text in drawn.iter(f"{SVG}text")}
    assert y["Start"] < y["ask"] < y["Question"] < y["Answer"] < y["use"] < y["Stop"]
    assert sum("edge" in str(group.get("class")).split() for group in drawn.iter(f"{SVG}g")) == len(pairs)


def test_an_edge_to_a_node_that_is_not_there_is_refused_by_name() -> None:
    view = GraphView((GraphNode("A", "event"),), (GraphEdge("A", "missing"),))
    with pytest.raises(WorkflowError, match=r"'A' → 'missing' has no node 'missing'"):
        to_svg(view)


def test_a_graph_without_nodes_is_an_empty_sheet() -> None:
    assert not list(ET.fromstring(to_svg(GraphView((), ()))).iter(f"{SVG}text"))
