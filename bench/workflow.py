"""The workflow engine beside its peers and a floor, by CPU time: `make bench-workflow`.

    python bench/workflow.py [--rounds 3] [--quick] [--only CASE ...] [--json]

Every measurement is a process of its own, so that no engine pays for another's imports or heap. The engines take turns,
in the other order in every second round, and medians over the rounds are shown with the least and the most: other work
on the machine falls on all of them, so compare by ratio. Rates are per CPU second of the process, all threads.

loop         one run; a step passes an event to itself N times
chain        runs of five steps, one after another
conc1000     1,000 runs of five steps at once
fanoutN      one run sends N events to a worker step and collects its N results; the rate counts the N
durable      100 runs of five steps at once, every step's result on disk with fsync: wall ms per step, so the disk's too
durable_single  the same for one run at a time; `times_bare` is its ratio to bare commits in turn with it
idle         KB (1,024 bytes) that Python holds for each of 2,000 runs that wait for a person's answer
import       CPU seconds of importing the engine in a new interpreter, less those of a bare one

`citewell` has pydantic events, as workflows written for llama-index-workflows have; `citewell-dataclass` frozen slotted
dataclasses. `asyncio-floor` is a bare dispatcher, and bare SQLite with a commit for each step. A peer writes to disk as
its documentation offers: llama-index-workflows a snapshot file, Burr its SQLite persister. Burr has no dynamic fan-out,
and the time of llama-index-workflows grows with the square of the fan-out: 100,000 would take it hours, so it is left
out there. Figures of a whole run go to build/figures/workflow.json; with --quick or --only they are only printed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
FIGURES = BENCH.parent / "build" / "figures" / "workflow.json"
STEPS = 5
IMPORT_ROUNDS = 7
LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Engine:
    """Where an engine's flows are, the package it needs, and what a user imports to write a workflow."""

    heading: str
    module: str
    package: str
    imports: str


_LLAMA_IMPORTS = "from {0} import Context, Workflow, step; from {0}.events import Event, StartEvent, StopEvent"
_CITEWELL_IMPORTS = _LLAMA_IMPORTS.format("citewell.workflow")
ENGINES = {
    "citewell": Engine("citewell", "citewell_flows", "citewell", _CITEWELL_IMPORTS),
    "citewell-dataclass": Engine("dataclass", "citewell_flows", "citewell", _CITEWELL_IMPORTS),
    "llama-index-workflows": Engine("llama", "llama_flows", "workflows", _LLAMA_IMPORTS.format("workflows")),
    "burr": Engine("burr", "burr_flows", "burr", "from burr.core import ApplicationBuilder, State, action"),
    "asyncio-floor": Engine("floor", "floor_flows", "asyncio", "import asyncio"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A method of the engines, in which unit it is told, and for each engine its size and how often it is called.

    Sizes differ so that slow engines end and fast ones run for long enough; the unit is per event, run or step.
    """

    method: str
    unit: str
    work: Mapping[str, tuple[int, int]]
    at_least: float | None = None
    at_most: float | None = None

    def figures(self, measured: Mapping[str, float], size: int, times: int) -> dict[str, float]:
        """By unit, the case's own first, from what one process measured."""
        match self.unit:
            case "kb_per_run":
                return {self.unit: measured["bytes"] / 1024 / size}
            case "ms_per_step":
                each = 1000 / (size * times * STEPS)
                told = {self.unit: measured["wall_s"] * each, "cpu_ms_per_step": measured["cpu_s"] * each}
                return told | {name: value for name, value in measured.items() if name == "times_bare"}
            case _:
                return {self.unit: size * times / measured["cpu_s"]}


# A case, an engine, and a unit.
Key = tuple[str, str, str]
Found = dict[Key, list[float]]
Work = tuple[int, int]


def _work(citewell: Work, llama: Work | None, burr: Work | None, floor: Work) -> dict[str, Work]:
    given = zip(ENGINES, (citewell, citewell, llama, burr, floor), strict=True)
    return {engine: work for engine, work in given if work is not None}


EVENTS, RUNS, STEP_MS = "events_per_cpu_s", "runs_per_cpu_s", "ms_per_step"
_ONCE = _work((1, 1), (1, 1), (1, 1), (1, 1))
_WAITING = _work((2_000, 1), (2_000, 1), (2_000, 1), (2_000, 1))
CASES = {
    "loop": Case("loop", EVENTS, _work((100_000, 1), (1_500, 1), (5_000, 1), (500_000, 1)), at_least=150_000),
    "chain": Case("chain", RUNS, _work((5_000, 1), (200, 1), (1_000, 1), (50_000, 1)), at_least=25_000),
    "conc1000": Case("at_once", RUNS, _work((1_000, 4), (1_000, 1), (1_000, 1), (1_000, 20)), at_least=20_000),
    "fanout100": Case("fan_out", EVENTS, _work((100, 200), (100, 3), None, (100, 1_000)), at_least=100_000),
    "fanout1000": Case("fan_out", EVENTS, _work((1_000, 20), (1_000, 1), None, (1_000, 100)), at_least=100_000),
    "fanout100000": Case("fan_out", EVENTS, _work((100_000, 1), None, None, (100_000, 1)), at_least=100_000),
    "durable": Case("durable", STEP_MS, _work((100, 10), (100, 1), (100, 1), (100, 2)), at_most=0.05),
    "durable_single": Case("durable", STEP_MS, _work((1, 30), (1, 10), (1, 10), (1, 30))),
    "idle": Case("waiting", "kb_per_run", _WAITING, at_most=1.5),
    "import": Case("", "cpu_s", _ONCE, at_most=0.12),
}
LEFT_OUT = {("fanout100000", "llama-index-workflows"): "left out", ("import", "citewell-dataclass"): "-"}
FLAT, FLAT_WITHIN = "fanout flat", 1.5
SINGLE_WITHIN = 2.0


def measure(name: str, case: Case, size: int, times: int) -> dict[str, float]:
    """The figures of one new process by unit, none if the engine cannot do it. Raises RuntimeError if it failed."""
    command = [sys.executable, str(BENCH / "engines/measure.py"), ENGINES[name].module, name, case.method]
    done = subprocess.run(
        [*command, str(size), str(times)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return {} if "absent" in measured else case.figures(measured, size, times)


def import_seconds(names: list[str], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each engine's imports above those of bare Python in the same round."""
    took: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as compiled:
        # The first round compiles the modules, which an installation does once.
        for turn in range(rounds + 1):
            bare = own_seconds("pass", compiled)
            for name in names if turn % 2 else names[::-1]:
                took[name].append(own_seconds(ENGINES[name].imports, compiled) - bare)
    return {name: values[1:] for name, values in took.items()}


def own_seconds(code: str, compiled: str) -> float:
    """CPU seconds of a new interpreter that runs `code`; bytecode is in `compiled`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = compiled
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, code
    return usage.ru_utime + usage.ru_stime


def smaller(case: Case, name: str, quick: bool) -> tuple[int, int]:
    size, times = case.work[name]
    if not quick:
        return size, times
    # The size is what the case is about, unless it only says how long to go on.
    return (max(1, size // 5), times) if case.method in ("loop", "chain") else (size, max(1, times // 5))


def collect(cases: list[str], rounds: int, quick: bool, note: Console) -> Found:
    """All values of every case and engine, in the order of the rounds."""
    present = [name for name, engine in ENGINES.items() if importlib.util.find_spec(engine.package)]
    found: Found = {}
    for turn in range(rounds):
        note.print(f"round {turn + 1} of {rounds}", style="dim")
        for case_name in cases:
            case = CASES[case_name]
            # Memory does not depend on what else the machine does.
            if case_name == "import" or (case_name == "idle" and turn):
                continue
            for name in present if turn % 2 == 0 else present[::-1]:
                if name in case.work:
                    for unit, value in measure(name, case, *smaller(case, name, quick)).items():
                        found.setdefault((case_name, name, unit), []).append(value)
    if "import" in cases:
        names = [name for name in present if ("import", name) not in LEFT_OUT]
        times = import_seconds(names, 1 if quick else max(rounds, IMPORT_ROUNDS))
        found |= {("import", name, CASES["import"].unit): values for name, values in times.items()}
    return found


def told(figure: float) -> float:
    """Four digits that count."""
    return float(f"{figure:.4g}")


def shown(figure: float) -> str:
    """Three digits that count."""
    if figure >= 1e6:
        return f"{figure / 1e6:.3g}M"
    return f"{figure / 1000:.0f}k" if figure >= 99_950 else f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is asked of Citewell in a case, and whether it does it."""

    case: str
    target: str
    met: bool


def verdicts(medians: Mapping[Key, float]) -> Iterator[Verdict]:
    for name, case in CASES.items():
        ours = medians.get((name, "citewell", case.unit))
        if ours is None:
            continue
        if case.at_least is not None:
            yield Verdict(name, f"≥ {shown(case.at_least)}", ours >= case.at_least)
        if case.at_most is not None:
            yield Verdict(name, f"≤ {shown(case.at_most)}", ours <= case.at_most)
        if (ratio := medians.get((name, "citewell", "times_bare"))) is not None:
            yield Verdict(name, f"{ratio:.2g} ≤ {SINGLE_WITHIN:g} × bare", ratio <= SINGLE_WITHIN)
    rates = [value for key, value in medians.items() if key[0].startswith("fanout") and key[1] == "citewell"]
    if len(rates) == 3:
        ratio = max(rates) / min(rates)
        yield Verdict(FLAT, f"{ratio:.2f} ≤ {FLAT_WITHIN:g}", ratio <= FLAT_WITHIN)


def table(cases: list[str], found: Found) -> Table:
    medians = {key: statistics.median(values) for key, values in found.items()}
    asked = {verdict.case: verdict for verdict in verdicts(medians)}
    made = Table(title="Workflow engines: median ± half of least to most", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    made.add_column("", no_wrap=True)
    for engine in ENGINES.values():
        made.add_column(engine.heading, justify="right", no_wrap=True)
    for heading in ("× llama", "target", ""):
        made.add_column(heading, justify="right", no_wrap=True)
    for case_name in cases:
        case = CASES[case_name]
        cells = [cell(case_name, name, found.get((case_name, name, case.unit))) for name in ENGINES]
        ours, theirs = (medians.get((case_name, name, case.unit)) for name in ("citewell", "llama-index-workflows"))
        better = ""
        if ours and theirs:
            better = shown(ours / theirs if "_per_cpu_s" in case.unit else theirs / ours)
        unit = (
            case.unit.replace("_per_cpu_s", "/CPU s")
            .replace("_per_", "/")
            .replace("cpu_s", "CPU s")
            .replace("kb", "KB")
        )
        made.add_row(f"{case_name}\n[dim]{unit}[/]", *cells, better, *marked(asked.get(case_name)))
    if flatness := asked.get(FLAT):
        made.add_row(f"{FLAT}\n[dim]most / least[/]", *[""] * (len(ENGINES) + 1), *marked(flatness))
    return made


def cell(case_name: str, name: str, values: list[float] | None) -> str:
    if values is None:
        return LEFT_OUT.get((case_name, name), "absent" if name in CASES[case_name].work else "-")
    median = statistics.median(values)
    spread = f"\n[dim]±{(max(values) - min(values)) / 2 / median:.0%}[/]" if len(values) > 1 else ""
    return f"[bold]{shown(median)}[/]{spread}"


def marked(verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return "", ""
    return verdict.target, "[green]met[/]" if verdict.met else "[red]short[/]"


def flat(found: Found, rounds: int, quick: bool) -> dict[str, object]:
    """The figures under their names, and what they ran on."""
    figures: dict[str, object] = {"python": platform.python_version(), "cpus": os.cpu_count(), "rounds": rounds}
    for name in ("citewell", "llama-index-workflows", "apache-burr", "pydantic"):
        try:
            figures[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            figures[name] = "absent"
    for (case_name, name, unit), values in found.items():
        case = CASES[case_name]
        figure = f"{case_name}.{name}.{unit}"
        figures[figure] = told(statistics.median(values))
        figures[f"{figure}.min"], figures[f"{figure}.max"] = told(min(values)), told(max(values))
        if case.method:
            size, times = smaller(case, name, quick)
            figures[f"{case_name}.{name}.size"], figures[f"{case_name}.{name}.times"] = size, times
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of a fifth of the work")
    parser.add_argument("--only", metavar="CASE", action="append", choices=CASES, help=", ".join(CASES))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, not as a table")
    chosen = parser.parse_args()
    rounds = 1 if chosen.quick else max(1, chosen.rounds)
    cases = [name for name in CASES if not chosen.only or name in chosen.only]
    found = collect(cases, rounds, chosen.quick, Console(stderr=True))
    figures = flat(found, rounds, chosen.quick)
    if chosen.json:
        print(json.dumps(figures, indent=1))
    else:
        # Into a file or a pipe, rich would fold the columns to 80.
        Console(width=None if sys.stdout.isatty() else 100).print(table(cases, found))
    if not chosen.quick and not chosen.only:
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
