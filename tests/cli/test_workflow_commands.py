"""`citewell workflow`: draw, run, resume and show workflows of a module in the current folder."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ran import Run

SHOP = """
import asyncio
from pathlib import Path
from typing import Annotated

from citewell.workflow import (
    Context, Event, HumanResponseEvent, InputRequiredEvent, Resource, StartEvent, StopEvent, Workflow, step
)


class Order(StartEvent):
    order: int
    note: str = ""


class Checked(Event):
    amount: float


class Approve(InputRequiredEvent):
    text: str


class Approval(HumanResponseEvent):
    approved: bool


class Part(Event):
    n: int


def ledger() -> dict:
    return {}


class Refund(Workflow):
    @step
    async def check(self, ev: Order, ctx: Context, book: Annotated[dict, Resource(ledger)]) -> Checked:
        ctx.write_event_to_stream(Checked(amount=0))
        return Checked(amount=ev.order * 2.5)

    @step
    async def ask(self, ev: Checked) -> Approve:
        return Approve(text=f"Pay back {ev.amount}? " + "x" * 200)

    @step
    async def pay(self, ev: Approval) -> StopEvent:
        return StopEvent(result={"approved": ev.approved})


class Two(Workflow):
    def __init__(self):
        super().__init__(timeout=None)

    @step
    async def ask(self, ev: Order, ctx: Context) -> StopEvent:
        first = await ctx.wait_for_event(Approval, Approve(text="first?"), who=["ana"], timeout=None)
        second = await ctx.wait_for_event(Approval, Approve(text="second?"), "again", timeout=None)
        return StopEvent(result=[first.approved, second.approved])


class Fails(Workflow):
    @step
    async def only(self, ev: Order) -> StopEvent:
        raise ValueError(f"no order {ev.order} \\x1b[31m{ev.note}")


class Slow(Workflow):
    @step
    async def first(self, ev: Order) -> Checked:
        with Path("calls").open("a") as calls:
            calls.write("first\\n")
        return Checked(amount=1.5)

    @step
    async def second(self, ev: Checked) -> StopEvent:
        with Path("calls").open("a") as calls:
            calls.write("second\\n")
        while not Path("go").exists():
            await asyncio.sleep(0.02)
        return StopEvent(result=ev.amount)


class Unmade(Workflow):
    def __init__(self, limit, **settings):
        super().__init__(**settings)

    @step
    async def only(self, ev: Order) -> StopEvent:
        return StopEvent(result="made")


class Fan(Workflow):
    @step
    async def split(self, ev: Order) -> list[Part]:
        return [Part(n=n) for n in range(ev.order)]

    @step
    async def join(self, parts: list[Part]) -> StopEvent:
        return StopEvent(result=sum(part.n for part in parts))


made = Unmade(3)
number = 3
""".replace("\\\\", "\\")


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "wf_shop.py").write_text(SHOP, "utf-8")
    (tmp_path / "wf_needs.py").write_text("import no_such_package_of_anybody\n", "utf-8")
    (tmp_path / "wf_breaks.py").write_text("raise OSError('disk gone')\n", "utf-8")
    (tmp_path / "wf_wrong.py").write_text(
        "from citewell.workflow import *\nclass W(Workflow):\n    @step\n"
        "    async def only(self, ev: StartEvent) -> StopEvent | Event:\n        return StopEvent()\n",
        "utf-8",
    )
    monkeypatch.delenv("CITEWELL_RUNS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("wf_shop", "wf_needs", "wf_breaks", "wf_wrong"):
        sys.modules.pop(name, None)


def test_a_workflow_is_drawn_as_text_svg_and_page(run: Run, tmp_path: Path) -> None:
    ran = run("workflow", "draw", "wf_shop:Refund")
    assert ran.code == 0, ran
    assert ran.out.startswith("flowchart TD\n")
    assert '[("dict")]' in ran.out
    assert "external_step" in ran.out
    assert run("workflow", "draw", "wf_shop:Fan").out.count("==>") == 2
    assert run("workflow", "draw", "wf_shop:Refund", "-o", "refund.svg").code == 0
    assert ET.fromstring((tmp_path / "refund.svg").read_text("utf-8")).tag.endswith("svg")
    assert run("workflow", "draw", "wf_shop:Refund", "--format", "html", "-o", "page").code == 0
    assert (tmp_path / "page").read_text("utf-8").startswith("<!doctype html>")
    drawn = run("workflow", "draw", "wf_shop:Refund", "--format", "svg", "--json").json
    assert (drawn["format"], drawn["file"]) == ("svg", None)
    assert drawn["drawing"].startswith("<svg")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wf_shop", "'wf_shop' names no workflow: write MODULE:CLASS"),
        ("wf shop:Refund", "'wf shop:Refund' names no workflow"),
        ("wf_none:Refund", "There is no module 'wf_none' in "),
        ("wf_shop.inner:Refund", "There is no module 'wf_shop.inner'"),
        ("wf_needs:Refund", "Module wf_needs cannot be imported: it needs 'no_such_package_of_anybody'"),
        ("wf_breaks:Refund", "Module wf_breaks cannot be imported. OSError: disk gone"),
        ("wf_shop:Refnd", "wf_shop has no 'Refnd'. The workflows in wf_shop: Refund, Two,"),
        ("wf_shop:number", "wf_shop:number is of type int, and no Workflow."),
        ("wf_shop:Order", "wf_shop:Order is a class, and no Workflow."),
        ("wf_shop:Unmade", "wf_shop:Unmade cannot be made without arguments: it needs limit."),
    ],
)
def test_a_name_that_is_no_workflow_is_wrong_use_and_says_exactly_why(run: Run, name: str, said: str) -> None:
    ran = run("workflow", "run", name, "--set", "order=1")
    assert ran.code == 2, ran
    assert said in ran.error
    assert ran.error.count("\n") == 1


def test_a_workflow_that_is_not_well_defined_is_a_failure_that_names_the_step(run: Run) -> None:
    ran = run("workflow", "draw", "wf_wrong:W")
    assert (ran.code, ran.out) == (1, "")
    assert "W: step 'only' emits Event, which no step accepts" in ran.error


def test_an_object_of_a_module_is_a_workflow_too(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:made", "--set", "order=1")
    assert ran.code == 0, ran
    assert ran.out.split() == ["✓", "done", "made"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "order"], "--set 'order' has no value"),
        (["--set", "order=1", "--set", "order=2"], "given twice"),
        (["--set", "order=1", "--event", "{}"], "not both"),
        (["--event", "[1]"], "--event must be a JSON object"),
        (["--event", "{1}"], "--event is no JSON"),
        (["--set", "amount=1"], "The fields given do not make a Order: order: Field required."),
        (["--set", "order=1", "--timeout", "0"], "--timeout '0' must be a number of seconds above 0, or none"),
        (["--set", "order=1", "--key", "a"], "--key needs --runs"),
    ],
)
def test_what_does_not_begin_a_run_is_wrong_use(run: Run, options: list[str], said: str) -> None:
    ran = run("workflow", "run", "wf_shop:Refund", *options)
    assert ran.code == 2, ran
    assert said in ran.error
    assert not Path("runs.db").exists()


def test_a_run_in_memory_shows_its_events_one_on_a_line_and_its_result(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:Fan", "--set", "order=4")
    assert (ran.code, ran.error) == (0, "")
    assert ran.out.split() == ["✓", "done", "6"]
    assert "\x1b" not in ran.out
    told = run("workflow", "run", "wf_shop:Fan", "--event", '{"order": 4}', "--json").json
    assert (told["workflow"], told["status"], told["result"], told["error"]) == ("Fan", "done", 6, None)
    assert [event["event"] for event in told["events"]] == ["StopEvent"]


def test_a_run_that_fails_is_exit_code_1_with_the_error_of_the_step(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:Fails", "--set", "order=9", "--set", "note=late")
    assert ran.code == 1
    assert "failed" in ran.out
    assert "ValueError: no order 9 late" in ran.out
    assert "\x1b" not in ran.out
    told = run("workflow", "run", "wf_shop:Fails", "--set", "order=9", "--json")
    assert told.code == 1
    assert told.json["status"] == "failed"


def test_a_run_that_takes_longer_than_its_limit_is_timed_out(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:Slow", "--set", "order=1", "--timeout", "0.2", "--json")
    assert (ran.code, ran.json["status"]) == (1, "timed_out")


def test_a_run_that_waits_in_memory_is_a_failure_that_says_what_to_do(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:Refund", "--set", "order=9")
    assert ran.code == 1
    assert "Give --runs FILE" in ran.out


def test_a_recorded_run_waits_for_a_person_and_goes_on_with_the_answer(run: Run) -> None:
    ran = run("workflow", "run", "wf_shop:Refund", "--set", "order=9", "--runs", "runs.db", "--key", "k9")
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    assert lines[0] == "Checked  amount = 0"
    # One event, one line.
    assert lines[1].startswith("Approve  text = Pay back 22.5?")
    assert len(lines[1]) <= 80
    assert lines[2].startswith("? waiting: run ")
    run_id = lines[2].split()[-1]
    hint = f"citewell workflow resume wf_shop:Refund {run_id} --runs runs.db --answer '{{\"approved\": …}}'"
    assert hint in ran.error
    listed = run("workflow", "show", "--json").json["runs"]
    assert [(one["run_id"], one["status"], one["key"]) for one in listed] == [(run_id, "waiting", "k9")]
    again = run("workflow", "run", "wf_shop:Refund", "--set", "order=9", "--runs", "runs.db", "--key", "k9", "--json")
    assert (again.code, again.json["run_id"], again.json["status"]) == (0, run_id, "waiting")
    other = run("workflow", "run", "wf_shop:Refund", "--set", "order=8", "--runs", "runs.db", "--key", "k9")
    assert other.code == 1
    assert "Start key 'k9'" in other.error
    wrong = run("workflow", "resume", "wf_shop:Refund", run_id, "--answer", '{"approved": "perhaps"}')
    assert (wrong.code, wrong.out) == (2, "")
    assert "--answer does not fit Approval: approved: Input should be a valid boolean" in wrong.error
    done = run("workflow", "resume", "wf_shop:Refund", run_id[:8], "--answer", '{"approved": true}', "--json")
    assert (done.code, done.json["status"], done.json["result"]) == (0, "done", {"approved": True})
    late = run("workflow", "resume", "wf_shop:Refund", run_id, "--answer", '{"approved": true}')
    assert late.code == 1
    assert "it takes no answer any more" in late.error


def test_who_may_answer_and_which_question_is_meant_are_held_to(run: Run) -> None:
    started = run("workflow", "run", "wf_shop:Two", "--set", "order=1", "--runs", "two.db", "--json").json
    (question,) = started["questions"]
    assert (question["asks"], question["content"], question["who"]) == ("Approve", {"text": "first?"}, ["ana"])
    assert started["answer_with"][0].endswith("--as ana")
    resume = ["workflow", "resume", "wf_shop:Two", started["run_id"], "--runs", "two.db"]
    refused = run(*resume, "--answer", '{"approved": true}', "--as", "bob")
    assert refused.code == 1
    assert "bob may not answer" in refused.error
    missing = run(*resume, "--answer", '{"approved": true}', "--as", "ana", "--question", "ask/1/other")
    assert missing.code == 2
    assert f"the run asks {question['question']}" in missing.error
    second = run(*resume, "--answer", '{"Approval": {"approved": true}}', "--as", "user:ana", "--json").json
    assert second["status"] == "waiting"
    assert [one["question"].rpartition("/")[2] for one in second["questions"]] == ["again"]
    done = run(*resume, "--answer", '{"approved": false}', "--question", second["questions"][0]["question"])
    assert done.code == 0, done
    assert json.loads(done.out.split("done", 1)[1]) == [True, False]


GUIDE = Path(__file__).parents[2] / "docs" / "workflows.md"


def test_the_commands_of_the_guide_run_as_they_stand_one_after_another(run: Run, tmp_path: Path) -> None:
    section = GUIDE.read_text("utf-8").split("## Command line")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in section.splitlines() if line.startswith("    citewell ")]
    assert [words[1] for words in commands] == ["draw", "run", "show", "resume", "show"]
    # The shop of the guide: its refund is that of these tests, without a limit of time.
    (tmp_path / "shop.py").write_text(SHOP.replace("class Refund(Workflow):\n", REFUND), "utf-8")
    try:
        for words in commands:
            rows = run("workflow", "show", "--runs", "runs.db", "--json") if Path("runs.db").exists() else None
            run_id = "" if rows is None else json.loads(rows.out)["runs"][0]["run_id"]
            ran = run(*[run_id if word == "RUN" else word for word in words])
            assert ran.code == 0, (words, ran.error)
    finally:
        sys.modules.pop("shop", None)
    assert Path("refund.svg").read_text("utf-8").startswith("<svg")
    assert "<h1>Refund</h1>" in Path("run.html").read_text("utf-8")
    assert "approved" in ran.out or "done" in ran.out


REFUND = """class Refund(Workflow):
    def __init__(self):
        super().__init__(timeout=None)

"""


def test_a_finished_run_is_shown_with_its_steps_and_its_record_is_verified(run: Run, tmp_path: Path) -> None:
    assert run("workflow", "run", "wf_shop:Fan", "--set", "order=3", "--runs", "runs.db").code == 0
    run_id = run("workflow", "show", "--json").json["runs"][0]["run_id"]
    ran = run("workflow", "show", run_id[:6], "--html", "run.html")
    assert ran.code == 0, ran
    assert "Part ×3" in ran.out
    assert "record whole" in ran.out
    assert "list[Part]" not in ran.out
    page = (tmp_path / "run.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "any number of events at once" in page
    assert 'class="node start' in page
    told = run("workflow", "show", run_id, "--json").json
    assert [one["step"] for one in told["steps"]] == ["split", "join"]
    assert (told["whole"], told["fault"]) == (True, None)
    db = sqlite3.connect(tmp_path / "runs.db")
    db.execute("UPDATE batches SET entries = replace(entries, '\"n\":2', '\"n\":7')")
    db.commit()
    db.close()
    damaged = run("workflow", "show", run_id)
    assert damaged.code == 1
    assert "record damaged: the entries from" in damaged.out


def test_what_is_not_there_is_said_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = run("workflow", "show")
    assert ran.code == 2
    assert f"There is no record of runs at {tmp_path / 'runs.db'}. Name it with --runs or CITEWELL_RUNS." in ran.error
    assert run("workflow", "run", "wf_shop:Fan", "--set", "order=3", "--runs", "named.db").code == 0
    monkeypatch.setenv("CITEWELL_RUNS", "named.db")
    assert run("workflow", "show").code == 0
    assert run("workflow", "show", "zzz").code == 1
    assert run("workflow", "show", "--html", "x.html").code == 2
    assert run("workflow", "show", "--limit", "0").code == 2
    Path("text.db").write_text("no database at all, only text in a file of some length", "utf-8")
    broken = run("workflow", "show", "--runs", "text.db")
    assert broken.code == 1
    assert "cannot be opened as a record of runs" in broken.error


def test_a_killed_process_leaves_a_run_that_another_one_finishes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "citewell", "workflow"]
    started = subprocess.Popen(
        [*command, "run", "wf_shop:Slow", "--set", "order=1", "--runs", "runs.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    calls = tmp_path / "calls"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (calls.exists() and "second" in calls.read_text("utf-8")):
            assert started.poll() is None, started.communicate()
            time.sleep(0.02)
        held = subprocess.run(
            [*command, "run", "wf_shop:Fan", "--set", "order=1", "--runs", "runs.db"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert held.returncode == 1
        assert "belong to another process" in held.stderr
        shown = subprocess.run([*command, "show", "--json"], capture_output=True, text=True, check=True, timeout=60)
        (row,) = json.loads(shown.stdout)["runs"]
        assert row["status"] == "running"
    finally:
        os.kill(started.pid, signal.SIGKILL)
        started.communicate()
    (tmp_path / "go").touch()
    ended = subprocess.run(
        [*command, "resume", "wf_shop:Slow", row["run_id"]], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended
    assert ended.stdout.split() == ["✓", "done", "1.5"]
    # What was recorded is not done again; what was not, is.
    assert calls.read_text("utf-8").split() == ["first", "second", "second"]


def test_an_interrupted_run_stops_with_130_and_can_be_gone_on_with(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "citewell", "workflow"]
    started = subprocess.Popen(
        [*command, "run", "wf_shop:Slow", "--set", "order=1", "--runs", "runs.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    calls = tmp_path / "calls"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (calls.exists() and "second" in calls.read_text("utf-8")):
        assert started.poll() is None, started.communicate()
        time.sleep(0.02)
    os.kill(started.pid, signal.SIGINT)
    _, error = started.communicate(timeout=60)
    assert started.returncode == 130, error
    run_line, stopped = error.splitlines()
    assert stopped.startswith("citewell: Stopped.")
    (tmp_path / "go").touch()
    ended = subprocess.run(
        [*command, "resume", "wf_shop:Slow", run_line.split()[1]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended
    assert ended.stdout.split() == ["✓", "done", "1.5"]
