"""Pages and diagrams of workflows: whole, harmless whatever names and payloads hold, and right in what they count."""

import asyncio
import base64
import dataclasses
import hashlib
import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from citewell.workflow import (
    Context,
    Entry,
    Event,
    GraphEdge,
    GraphNode,
    GraphView,
    MemoryJournal,
    Outcome,
    RunStart,
    StartEvent,
    StepFailedEvent,
    StopEvent,
    Workflow,
    catch_error,
    launch,
    step,
)
from citewell.workflow import graph as graph_of
from citewell.workflow.drawing import run_mermaid, run_to_html, to_html, to_mermaid, to_svg
from citewell.workflow.drawing.look import DARK, INK_ON, LIGHT
from citewell.workflow.drawing.text import columns, cut, duration, preview
from citewell.workflow.drawing.timeline import round_times
from citewell.workflow.drawing.trace import observed, trace

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</title></svg><script>alert(1)</script>",
    '" onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "]]><!--",
    "a\x00b\x08c\x1b[31m",
    "\ud800 \ufffe \u202eetavirp",
    "&lt;b&gt; &amp;amp; &#60;",
    "x" * 5000,
    "",
    "日本語のイベント",
    "line\nbreak\ttab",
]


class Parsed(HTMLParser):
    """What a browser would make of a page: elements with attributes, and all text outside of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def view_of(*names: str) -> GraphView:
    """Start, step, event, step, …, stop in one chain, with these names."""
    kinds = ["start", *(("step", "event")[place % 2] for place in range(len(names) - 2)), "stop"]
    nodes = [GraphNode(name, kind) for name, kind in zip(names, kinds, strict=True)]  # type: ignore[arg-type]
    return GraphView(tuple(nodes), tuple(GraphEdge(*pair) for pair in pairwise(names)))


def run_of(*entries: dict[str, Any], status: Any = "done") -> tuple[RunStart, list[Entry], Outcome]:
    """A run with these entries, numbered, one second apart unless they say when."""
    numbered = [Entry(**{"seq": seq, "at": 1000.0 + seq, **entry}) for seq, entry in enumerate(entries, 1)]
    last = numbered[-1]
    return RunStart("run-1", "Flow", "abc", 1000.0), numbered, Outcome(status, last.seq, last.at)


CHAIN = view_of("Go", "work", "Done")


def attempt(step: str, cause: int, **more: Any) -> dict[str, Any]:
    return {"kind": "step", "step": step, "caused_by": (cause,), "duration_s": 0.5, "started_at": 1001.0, **more}


def emitted(event: str, step: str | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": "event", "event": event, "step": step, **more}


# Whole and harmless


def test_a_drawing_is_well_formed_and_says_what_it_shows() -> None:
    drawn = ET.fromstring(to_svg(CHAIN, "The <flow> & more"))
    assert drawn.get("role") == "img"
    named = {element.get("id"): element.text for element in drawn if element.get("id")}
    assert str(drawn.get("aria-labelledby")).split() == list(named)
    assert list(named.values()) == ["The <flow> & more", "Flow down: 1 step, 2 events, 2 connections."]


@given(st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), min_size=3, max_size=7, unique=True))
@example(HOSTILE[:7])
@example(HOSTILE[4:])
def test_whatever_the_names_are_a_drawing_is_well_formed_and_holds_nothing_that_runs(names: list[str]) -> None:
    text = to_svg(view_of(*names), names[0])
    text.encode()
    drawn = ET.fromstring(text)
    tags = {element.tag.removeprefix(SVG) for element in drawn.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "path", "polygon", "text"}
    allowed = {"class", "role", "aria-labelledby", "id", "width", "height", "viewBox", "d", "points", "style"}
    allowed |= {"x", "y", "rx", "data-n", "data-s", "data-t"}
    assert {name for element in drawn.iter() for name in element.attrib} <= allowed


def pages(view: GraphView, title: str, *, names: list[str]) -> Iterator[str]:
    yield to_html(view, title)
    entries = [emitted(names[0], payload={name: name for name in names})]
    for number, name in enumerate(names):
        entries += [
            attempt(name, 1, error=name),
            emitted(name, name, caused_by=(1, number), payload=[name]),
            {"kind": "stream", "event": name, "step": name, "payload": name, "caused_by": (1,), "target": name},
            attempt(name, 1, state={name: name}, attempt=2, state_deleted=(name,)),
        ]
    run, entries_, outcome = run_of(*entries)
    run = dataclasses.replace(run, run_id=title, workflow=title, definition=title, parent_run_id=title)
    yield run_to_html(view, run, entries_, dataclasses.replace(outcome, status="failed", error=title), title)


@given(st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), min_size=3, max_size=6, unique=True))
@example(HOSTILE[:6])
@example(HOSTILE[5:])
def test_whatever_names_and_payloads_hold_a_page_has_only_its_own_elements(names: list[str]) -> None:
    for page in pages(view_of(*names), names[-1], names=names):
        page.encode()
        parsed = Parsed(page)
        assert not parsed.open
        assert len(parsed.named("script")) == len(parsed.named("style")) == 1
        assert not {tag for tag, _ in parsed.elements} & {
            "img",
            "link",
            "iframe",
            "object",
            "base",
            "form",
            "foreignobject",
        }
        for _, attributes in parsed.elements:
            assert not any(name.startswith("on") or name in ("src", "style", "xlink:href") for name in attributes)
            assert str(attributes.get("href", "#")).startswith("#")


def test_a_page_lets_nothing_be_loaded_and_runs_only_its_own_script() -> None:
    for page in pages(CHAIN, "Title", names=["Go", "work", "Done"]):
        policy = next(
            one["content"] for one in Parsed(page).named("meta") if one.get("http-equiv") == "Content-Security-Policy"
        )
        rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        for tag, rule in (("script", "script-src"), ("style", "style-src")):
            content = page.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert rules[rule] == f"'sha256-{digest}'"
        assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
        assert page.index("Content-Security-Policy") < page.index("<style>")
        assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", page)


@given(st.lists(st.text(max_size=40) | st.sampled_from(HOSTILE), min_size=3, max_size=7, unique=True))
def test_mermaid_text_has_one_line_for_each_node_and_edge_and_no_mark_of_its_grammar_in_a_label(
    names: list[str],
) -> None:
    view = view_of(*names)
    entries = [Entry(1, "event", 1.0, event=names[0]), Entry(2, "step", 2.0, step=names[1], caused_by=(1,))]
    for text in (to_mermaid(view), run_mermaid(view, entries)):
        lines = text.splitlines()
        assert lines[0] == "flowchart TD"
        nodes = [line for line in lines if '"' in line and "-->" not in line]
        assert len(nodes) == len(names)
        for line in nodes:
            inside = re.sub(r"#\d+;|<br/>", "", line.split('"', 1)[1].rsplit('"', 1)[0])
            assert not set(inside) & set("\"'`#<>&;[](){}|\\/*$%~@^=+!?")
        assert sum("-->" in line or "-.->" in line for line in lines) == len(view.edges)


def test_mermaid_shows_each_kind_of_node_in_its_own_shape() -> None:
    kinds = ["start", "step", "event", "human", "external", "resource", "stop", "agent"]
    nodes = tuple(GraphNode(f"N{number}", kind) for number, kind in enumerate(kinds))  # type: ignore[arg-type]
    lines = to_mermaid(GraphView(nodes, (GraphEdge("N0", "N1"),))).splitlines()
    assert [line.strip() for line in lines[1:10]] == [
        'n0(("N0"))',
        'n1["N1"]',
        'n2("N2")',
        'n3[/"N3"/]',
        'n4{{"N4"}}',
        'n5[("N5")]',
        'n6(("N6"))',
        'n7("N7")',
        "n0 --> n1",
    ]
    assert "class n2,n7 eventNode" in [line.strip() for line in lines]


# What it counts


def test_edges_count_what_was_sent_and_delivered_and_steps_their_attempts() -> None:
    view = view_of("Go", "split", "Task", "work", "Done")
    run, entries, outcome = run_of(
        emitted("Go"),
        emitted("Task", "split", caused_by=(1,)),
        emitted("Task", "split", caused_by=(1,)),
        attempt("split", 1),
        attempt("work", 2, error="ValueError: no"),
        attempt("work", 2, attempt=2),
        {"kind": "stream", "event": "Note", "step": "work", "caused_by": (3,)},
        emitted("Done", "work", caused_by=(3,)),
        attempt("work", 3),
    )
    found = trace(view, run, entries, outcome)
    assert dict(found.edges) == {
        ("Go", "split"): 1, ("split", "Task"): 2, ("Task", "work"): 2, ("work", "Done"): 1
    }  # fmt: skip
    work = found.steps["work"]
    assert (work.received, work.attempts, work.retries, work.errors, work.failed) == (2, 3, 1, 1, 0)
    assert (work.busy_s, work.longest_s) == (1.5, 0.5)
    assert (found.emitted["Task"], found.streamed["Note"], found.span_s) == (2, 1, 9.0)
    page = run_to_html(view, run, entries, outcome, "Run")
    counts = re.findall(r'<text class="count" data-s="(\d)" data-t="(\d)"[^>]*>([\d,]+)<', page)
    assert sorted(counts) == [("0", "1", "1"), ("1", "2", "2"), ("2", "3", "2"), ("3", "4", "1")]
    assert "2× · 1.5 s · 1 retry" in page
    assert re.search(r'<g class="node step uneven"[^>]*><title>work ', page)
    row = "".join(f'<td class="n">{one}</td>' for one in (2, 3, 1, 1, 0, 0, "1.5 s", "500 ms", "500 ms"))
    assert f'<tr><td class="id">work</td>{row}</tr>' in page


def test_a_step_that_failed_for_good_is_marked_and_what_was_not_reached_too() -> None:
    view = view_of("Go", "work", "Mid", "last", "Done")
    run, entries, outcome = run_of(
        emitted("Go"),
        attempt("work", 1, error="ValueError: no"),
        attempt("work", 1, attempt=2, error="ValueError: <no>"),
        emitted("RunFailed"),
        status="failed",
    )
    page = run_to_html(view, run, entries, outcome, "Run")
    assert re.search(r'<g class="node step failed"[^>]*><title>work ', page)
    assert re.search(r'<g class="node step idle"[^>]*><title>last ', page)
    assert re.search(r'<g class="node stop idle"[^>]*><title>Done ', page)
    assert len(re.findall(r'<g class="edge idle"', page)) == 3
    assert page.count('<rect class="failed"') == page.count('<rect class="failed again"') == 1
    assert "ValueError: &lt;no&gt;" in page
    # The engine's own last event is no part of the graph.
    assert ">RunFailed (" not in page
    text = run_mermaid(view, entries, outcome)
    assert "    class n1 failedNode" in text
    assert "    class n2,n3,n4 idleNode" in text
    assert '    n0 -->|"1×"| n1\n    n1 -.-> n2\n' in text


def test_attempts_that_were_over_with_the_run_are_no_failures() -> None:
    run, entries, outcome = run_of(
        emitted("Go"),
        attempt("work", 1, error="cancelled"),
        attempt("work", 1, error="dropped: it returned after the run had begun to end"),
        status="cancelled",
    )
    tally = trace(CHAIN, run, entries, outcome).steps["work"]
    assert (tally.errors, tally.failed, tally.ended) == (0, 0, 1)
    assert run_to_html(CHAIN, run, entries, outcome, "Run").count('<rect class="ended"') == 2


def test_the_time_a_person_took_is_a_hatched_bar_from_the_question_to_its_answer() -> None:
    names = {"Go": "start", "ask": "step", "Question": "human", "Answer": "human", "use": "step", "Done": "stop"}
    edges = [("Go", "ask"), ("ask", "Question"), ("Answer", "use"), ("use", "Done")]
    nodes = tuple(GraphNode(name, kind) for name, kind in names.items())  # type: ignore[arg-type]
    view = GraphView(nodes, tuple(GraphEdge(*pair) for pair in edges))
    run, entries, outcome = run_of(
        emitted("Go"),
        emitted("Question", "ask", caused_by=(1,)),
        {"kind": "stream", "event": "Question", "step": "ask", "caused_by": (1,)},
        emitted("Question", "ask", caused_by=(9,)),
        emitted("Answer", at=1060.0),
        emitted("Answer", at=1090.0),
        emitted("Question", "ask", at=1091.0, caused_by=(5,)),
        emitted("Done", "use", at=1100.0),
    )
    waits = trace(view, run, entries, outcome).waits
    assert [(wait.start_s, wait.end_s, wait.answered) for wait in waits] == [
        (2.0, 60.0, True), (4.0, 90.0, True), (91.0, 100.0, False)
    ]  # fmt: skip
    page = run_to_html(view, run, entries, outcome, "Run")
    bars = re.findall(r'<rect class="wait" fill="url\(#t-hatch\)" [^>]*><title>([^<]*)<', page)
    assert bars == [
        "Question: answered after 58 s", "Question: answered after 1 min 26 s", "Question: not answered after 9 s"
    ]  # fmt: skip
    assert '<pattern id="t-hatch"' in page


def test_bars_stand_where_and_as_long_as_the_attempts_were() -> None:
    run, entries, outcome = run_of(
        emitted("Go", at=1000.0),
        attempt("work", 1, started_at=1002.0, duration_s=3.0, at=1005.0),
        emitted("Done", "work", at=1010.0),
    )
    page = run_to_html(CHAIN, run, entries, outcome, "Run")
    left, width = re.findall(r'<rect class="done" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', page)[0]
    # The axis goes from 200 to 1080 pixels for 10 s.
    assert (float(left), float(width)) == (200 + 88 * 2, 88 * 3)
    assert re.search(r'<path class="over" d="M1080 ', page)
    assert '<td class="n">5 s</td>' in page


class Go(StartEvent):
    pass


class Task(Event):
    number: int


class Special(Task):
    pass


class Done(StopEvent):
    pass


class Fan(Workflow):
    @step
    async def split(self, event: Go) -> list[Task]:
        return [Special(number=number) if number % 3 == 0 else Task(number=number) for number in range(7)]

    @step(accept_event_subclasses=True)
    async def work(self, event: Task, ctx: Context) -> Done | None:
        return Done() if ctx.collect_events(event, [Task] * 7) else None


def record(workflow: Workflow) -> tuple[RunStart, list[Entry], Outcome]:
    journal = MemoryJournal()

    async def main() -> None:
        await asyncio.wait_for(launch(workflow, Go(), journal=journal, run_id="r"), 5)

    asyncio.run(main())
    return journal.runs["r"], journal.entries["r"], journal.outcomes["r"]


def test_a_real_run_is_drawn_with_subclasses_of_declared_events_beside_the_definition() -> None:
    run, entries, outcome = record(Fan())
    view = graph_of(Fan)
    found = trace(view, run, entries, outcome)
    assert found.edges[("split", "Task")] == found.edges[("Task", "work")] == 4
    assert found.edges[("split", "Special")] == found.edges[("Special", "work")] == 3
    wider, added = observed(view, found)
    assert added == {"Special"}
    assert len(wider.edges) == len(view.edges) + 2
    page = run_to_html(view, run, entries, outcome, "Real")
    assert re.search(r'<g class="node event seen"[^>]*><title>Special ', page)
    assert "seen in the run, not in the definition" in page


class Part(Event):
    number: int


class Half(Event):
    number: int


class Gathering(Workflow):
    """A list out and in, a step that fails once for good, and the one that takes over."""

    @step
    async def split(self, event: Go) -> list[Part]:
        return [Part(number=number) for number in range(5)]

    @step
    async def work(self, event: Part) -> Half:
        if event.number == 3:
            raise ValueError("three")
        return Half(number=event.number)

    @catch_error(for_steps=["work"])
    async def rescue(self, event: StepFailedEvent) -> Half:
        return Half(number=-1)

    @step
    async def join(self, event: list[Half]) -> Done:
        return Done(count=len(event))


def test_lists_and_failures_are_edges_of_their_own_kind_and_are_counted() -> None:
    run, entries, outcome = record(Gathering())
    view = graph_of(Gathering)
    kinds = {(edge.source, edge.target): edge.kind for edge in view.edges}
    assert kinds == {
        ("Go", "split"): "event", ("split", "Part"): "list", ("Part", "work"): "event", ("work", "Half"): "event",
        ("rescue", "Half"): "event", ("Half", "join"): "list", ("join", "Done"): "event", ("work", "rescue"): "failure",
    }  # fmt: skip
    found = trace(view, run, entries, outcome)
    assert dict(found.edges) == {
        ("Go", "split"): 1, ("split", "Part"): 5, ("Part", "work"): 5, ("work", "Half"): 4, ("work", "rescue"): 1,
        ("rescue", "Half"): 1, ("Half", "join"): 5, ("join", "Done"): 1,
    }  # fmt: skip
    assert observed(view, found)[1] == set()
    text = to_mermaid(view)
    assert (text.count("==>"), text.count("--x"), text.count("-->")) == (2, 1, 5)
    drawn = ET.fromstring(to_svg(view))
    shapes = [str(group.get("class")) for group in drawn.iter(f"{SVG}g") if "edge" in str(group.get("class"))]
    assert (shapes.count("edge list"), shapes.count("edge failure"), shapes.count("edge")) == (2, 1, 5)
    page = run_to_html(view, run, entries, outcome, "Gathered")
    assert "any number of events at once" in page
    assert "takes over after a failure" in page
    table = to_html(view, "Gathering").split("<h2>Steps</h2>")[1]
    assert '<td class="id">failures of work</td>' in table
    assert '<td class="id">list[Half]</td>' in table


def test_the_number_at_a_list_stands_clear_of_its_broad_line() -> None:
    page = run_to_html(graph_of(Gathering), *record(Gathering()), "Gathered")
    graph = re.search(r'<svg class="graph" role.*?</svg>', page, re.DOTALL)
    assert graph is not None
    drawn = ET.fromstring(graph[0].replace("<svg", f'<svg xmlns="{SVG[1:-1]}"', 1))
    counts = {(one.get("data-s"), one.get("data-t")): one for one in drawn.iter(f"{SVG}text") if one.get("data-t")}
    broad = 0
    for group in drawn.iter(f"{SVG}g"):
        if "list" not in str(group.get("class")).split():
            continue
        path = group.find(f"{SVG}path")
        assert path is not None
        (x,) = {one.split()[0] for one in re.findall(r"[ML]([\d.]+ [\d.]+)", str(path.get("d")))}
        count = counts[group.get("data-s"), group.get("data-t")]
        # Half of the broadest line, and half of a digit of 6 pixels.
        assert abs(float(str(count.get("x"))) - float(x)) > 3.3 + 3
        broad += 1
    assert broad == 2


def test_every_table_of_a_page_scrolls_by_itself_instead_of_pushing_the_page_wide() -> None:
    view = graph_of(Gathering)
    for page in (to_html(view, "Gathering"), run_to_html(view, *record(Gathering()), "Gathered")):
        assert page.count("<table>") == page.count('<div class="wide"><table>') > 0
        assert page.count("</table>") == page.count("</table></div>")


def test_a_question_that_a_step_puts_itself_lasts_until_its_answer_or_until_it_lapsed() -> None:
    terms = {"event": "Reply", "who": ["ana"], "asks": {}}
    asking = {"kind": "wait", "step": "work", "caused_by": (1,), "payload": terms}
    run, entries, outcome = run_of(
        emitted("Go"),
        {**asking, "name": "first"},
        {"kind": "stream", "event": "Question", "step": "work", "caused_by": (1,)},
        emitted("Reply", at=1010.0, answers=("work/1/first",), by="ana"),
        {**asking, "name": "second", "at": 1011.0, "due": 1021.0},
        {**asking, "name": "third", "at": 1022.0},
        attempt("work", 1, at=1030.0),
        emitted("Done", "work", at=1031.0),
    )
    kinds = {"Go": "start", "work": "step", "Question": "human", "Reply": "human", "Done": "stop"}
    nodes = tuple(GraphNode(name, kind) for name, kind in kinds.items())  # type: ignore[arg-type]
    view = GraphView(nodes, (GraphEdge("Go", "work"), GraphEdge("Reply", "work"), GraphEdge("work", "Done")))
    waits = trace(view, run, entries, outcome).waits
    assert [(wait.start_s, wait.end_s, wait.answered, wait.by) for wait in waits] == [
        (2.0, 10.0, True, "ana"), (11.0, 21.0, False, None), (22.0, 30.0, True, None)
    ]  # fmt: skip
    page = run_to_html(view, run, entries, outcome, "Run")
    assert "Reply: answered by ana after 8 s" in page
    assert "answers work/1/first by ana" in page
    assert "until 1970-01-01 00:17:01 UTC" in page


def test_equal_runs_give_equal_pages_and_all_times_come_from_the_entries() -> None:
    run, entries, outcome = record(Fan())
    page = run_to_html(graph_of(Fan), run, entries, outcome, "Run")
    assert page == run_to_html(graph_of(Fan), run, list(entries), outcome, "Run")
    old = dataclasses.replace(run, at=0.0)
    moved = [
        dataclasses.replace(
            one, at=one.at - run.at, started_at=None if one.started_at is None else one.started_at - run.at
        )
        for one in entries
    ]
    page = run_to_html(graph_of(Fan), old, moved, dataclasses.replace(outcome, at=outcome.at - run.at), "Run")
    assert "began 1970-01-01 00:00:00 UTC" in page
    assert set(re.findall(r"\b(\d{4})-\d\d-\d\d", page)) == {"1970"}


def test_a_run_that_goes_on_and_a_run_without_entries_are_pages_too() -> None:
    run, entries, _ = run_of(emitted("Go"), attempt("work", 1))
    assert "not ended" in run_to_html(CHAIN, run, entries, None, "Open")
    empty = run_to_html(CHAIN, run, [], None, "Empty")
    assert "not reached" in empty
    assert not Parsed(empty).open


# Long runs


def long_run(count: int, payload: Any = None) -> tuple[RunStart, list[Entry], Outcome]:
    entries = [Entry(1, "event", 1000.0, event="Go")]
    while len(entries) < count:
        seq = len(entries) + 1
        at = 1000.0 + seq / 10
        facts: dict[str, Any] = {"step": "work", "caused_by": (1,), "started_at": at - 1, "duration_s": 1.0}
        if seq % 2:
            error = "ValueError: no" if seq % 101 == 0 else None
            entries.append(Entry(seq, "step", at, attempt=seq, error=error, **facts))
        else:
            entries.append(Entry(seq, "event", at, event="Done", payload=payload, **facts))
    return RunStart("long", "Flow", "abc", 1000.0), entries, Outcome("done", count, entries[-1].at)


def test_a_run_of_ten_thousand_entries_is_a_page_under_five_megabytes_that_says_what_it_leaves_out() -> None:
    worst = "<&\x01" * 100_000
    run, entries, outcome = long_run(10_000, {worst: [worst]})
    entries = [dataclasses.replace(one, error=None if one.error is None else worst) for one in entries]
    page = run_to_html(CHAIN, run, entries, outcome, "Long")
    assert len(page.encode()) < 5_000_000
    rows = [int(seq) for seq in re.findall(r'<tr id="e(\d+)"', page)]
    failed = [entry.seq for entry in entries[400:-400] if entry.error is not None]
    assert rows == [*range(1, 401), *failed, *range(9601, 10_001)]
    assert f"{len(rows)} of 10,000 entries: the first 400, the last 400, and {len(failed)} failures in between" in page
    hidden = sum(int(count.replace(",", "")) for count in re.findall(r">([\d,]+) entries are not shown<", page))
    assert hidden + len(rows) == 10_000
    assert page.count('<rect class="done') == 0
    assert "5,000 attempts drawn together" not in page
    assert "4,999 attempts drawn together" in page
    assert f"; {sum(one.error is not None for one in entries)} failed</title>" in page


def test_a_step_with_many_attempts_at_a_time_is_drawn_by_how_many_there_were() -> None:
    entries = [emitted("Go", at=1000.0)]
    entries += [
        attempt("work", 1, started_at=1000.0 + at, duration_s=10.0, at=1010.0 + at) for at in [0.0] * 40 + [30.0]
    ]
    run, numbered, outcome = run_of(*entries, emitted("Done", "work", at=1040.0))
    page = run_to_html(CHAIN, run, numbered, outcome, "Many")
    path = re.findall(r'<path class="done" d="M200 ([\d.]+)([^"]*)Z"', page)
    low, heights = float(path[0][0]), [float(y) for y in re.findall(r"V([\d.]+)H", path[0][1])]
    assert len(heights) == 220
    assert (low - heights[10], low - heights[100], low - heights[200]) == (36.0, 0.0, 1.0)


def test_a_cut_payload_says_so_and_a_short_one_is_whole() -> None:
    run, entries, outcome = run_of(
        emitted("Go", payload={"text": "a" * 3000}), emitted("Go", payload={"text": "short"})
    )
    page = run_to_html(CHAIN, run, entries, outcome, "Run")
    assert page.count("… cut after 600 characters") == 1
    assert html.escape('{\n "text": "short"\n}') in page
    assert "a" * 600 not in page


# Text


VALUES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(VALUES, lambda one: st.lists(one) | st.dictionaries(st.text(), one)))
def test_a_preview_is_the_beginning_of_the_payload(payload: Any) -> None:
    whole, cut_off = preview(payload, 10**6)
    assert not cut_off
    for characters in (0, 5, 50):
        text, cut_off = preview(payload, characters)
        assert text == whole[:characters]
        assert cut_off == (len(whole) > characters)


def test_a_payload_that_is_not_json_is_named_by_its_type() -> None:
    assert preview({"a": object(), (1, 2): 3}, 100) == ('{\n "a": "<object>"\n}', False)
    ring: list[Any] = []
    ring.append(ring)
    assert preview(ring, 100)[0].startswith("not shown: ")


@given(st.text(max_size=200), st.integers(2, 40))
def test_a_cut_name_fits_and_only_a_cut_one_ends_in_an_ellipsis(text: str, cells: int) -> None:
    short = cut(text, cells)
    assert columns(short) <= cells
    assert "\n" not in short
    if columns(" ".join(text.split())) > cells and text.isascii() and text.isprintable():
        assert short.endswith("…")
        assert " ".join(text.split()).startswith(short[:-1])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"), (0.0, "0 s"), (float("nan"), "0 s"), (float("inf"), "0 s"), (4.8e-7, "0.48 µs"),
        (0.00048, "480 µs"), (0.0125, "12.5 ms"), (0.9999, "1 s"),
        (3.21, "3.21 s"), (59.99, "1 min"), (245.0, "4 min 5 s"), (3599.9, "1 h"),
        (7800.0, "2 h 10 min"), (86_399.0, "1 d"), (277_200.0, "3 d 5 h"), (1e8, "1,157 d 10 h"),
    ],
)  # fmt: skip
def test_durations_are_short_and_in_the_right_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(1e-9, 1e9))
def test_the_axis_has_a_few_round_times_within_the_run(span_s: float) -> None:
    times = round_times(span_s)
    assert times[0] == 0.0
    assert 2 <= len(times) <= 9
    assert times[-1] <= span_s * (1 + 1e-9)
    assert len({duration(at) for at in times}) == len(times)


# Colours


def luminance(colour: str) -> float:
    """Relative luminance: WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_and_lines_stand_out_on_light_and_on_dark_pages(colours: dict[str, str]) -> None:
    assert LIGHT.keys() == DARK.keys()
    for ground in INK_ON:
        assert contrast(colours["ink"], colours[ground]) >= 7, ground
    assert contrast(colours["faint"], colours["page"]) >= 4.5
    assert contrast(colours["step-line"], colours["page"]) >= 4.5
    for line in ("edge", "back", "bar", "wait", "idle", *(name for name in colours if name.endswith("-line"))):
        assert contrast(colours[line], colours["page"]) >= 3, line
