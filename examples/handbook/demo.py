"""What `make demo` runs: ingest the handbook, ask every question of questions.toml, and check each answer.

    python examples/handbook/demo.py            # for people; plain text when piped
    python examples/handbook/demo.py --json     # one JSON document

Exit code 0 when every question came out as questions.toml says, else 1. Uses only what `import citewell` offers.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import citewell
from citewell import Answer, Citation, Outcome, Principal

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "demo"
BUCKET = "handbook"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with its answer, how long that took, and what is not as it should be (nothing: all is well)."""

    question: dict[str, Any]
    answer: Answer
    took_s: float
    problems: tuple[str, ...]


def main() -> int:
    """Ingest, ask, check; the exit code."""
    arguments = argparse.ArgumentParser(description="Ask the sample handbook questions with known answers.")
    arguments.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    given = arguments.parse_args()
    questions = tomllib.loads((HERE / "questions.toml").read_text("utf-8"))["question"]
    screen = Screen(silent=given.json)
    shutil.rmtree(FOLDER, ignore_errors=True)

    with citewell.open(FOLDER) as kb:
        started = time.perf_counter()
        with screen.waiting("Reading the handbook …"):
            report = kb.ingest(str(HERE / "docs"), bucket=BUCKET)
        read_s = time.perf_counter() - started
        screen.ingested(report, read_s)

        asked = []
        for number, question in enumerate(questions, 1):
            started = time.perf_counter()
            answer = kb.ask(question["ask"], bucket=BUCKET, principal=who(question))
            took_s = time.perf_counter() - started
            asked.append(Asked(question, answer, took_s, tuple(problems(question, answer))))
            screen.asked(number, asked[-1])

    good = sum(not one.problems for one in asked)
    screen.summary(asked, good)
    done = good == len(asked) and not report.failed
    if given.json:
        failed = [{"uri": one.uri, "kind": one.kind, "message": one.message} for one in report.failed]
        document = {
            "ok": done,
            "met": good,
            "asked": len(asked),
            "ingested": {"sources": len(report.sources), "nodes": report.nodes, "failed": failed, "took_s": read_s},
            "questions": [as_json(one) for one in asked],
        }
        print(json.dumps(document, ensure_ascii=not utf_8(), indent=2))
    return 0 if done else 1


def who(question: dict[str, Any]) -> Principal:
    """Who asks: the local user, unless the question names a user and groups."""
    names = [name.partition(":") for name in question.get("as", [])]
    users = [name for kind, _, name in names if kind == "user"]
    groups = frozenset(name for kind, _, name in names if kind == "group")
    return Principal("local", users[0] if users else "local", groups)


def problems(question: dict[str, Any], answer: Answer) -> Iterator[str]:
    """What of `answer` is not as the question wants it; see the head of questions.toml."""
    came = "conflict" if answer.outcome is Outcome.ANSWERED and answer.conflicts else str(answer.outcome)
    if came != question["expect"]:
        yield f"is {came}, should be {question['expect']}"
    text = spaced(answer.text)
    cited = citations(answer)
    for wanted in question.get("must_contain", []):
        if spaced(wanted) not in text:
            yield f"does not say {wanted!r}"
    # A forbidden fact must not come in by the back door either: not in a quote, a title or a suggestion.
    everywhere = spaced(json.dumps([text, answer.message, *(source_json(one) for one in cited)], ensure_ascii=False))
    for unwanted in question.get("must_not_contain", []):
        if spaced(unwanted) in everywhere:
            yield f"says {unwanted!r}"
    for source in question.get("source", []):
        found = [one for one in cited if f"/{one.uri}".endswith(f"/{source}")]
        if not found:
            yield f"does not cite {source}"
        elif "page" in question and question["page"] not in [one.page for one in found]:
            yield f"cites page {found[0].page} of {source}, should cite page {question['page']}"


def citations(answer: Answer) -> list[Citation]:
    """All citations, those of conflicts too, by number, each place once."""
    every = [one for claim in answer.claims for one in claim.citations]
    every += [side for conflict in answer.conflicts for side in (conflict.left, conflict.right)]
    return list({(one.number, one.uri, one.start, one.end): one for one in every}.values())


def spaced(text: str) -> str:
    """`text` with every run of white space as one space."""
    return re.sub(r"\s+", " ", text)


def utf_8() -> bool:
    """Whether stdout can carry every character."""
    return (sys.stdout.encoding or "ascii").lower().startswith("utf")


def short(uri: str) -> str:
    """A uri as it stands below docs/."""
    return uri.rpartition("/docs/")[2] or uri


def source_json(one: Citation) -> dict[str, Any]:
    """A citation for the JSON document."""
    return {
        "number": one.number,
        "uri": short(one.uri),
        "title": one.document.title,
        "headings": list(one.heading_path),
        "version": one.version,
        "page": one.page,
        "quote": one.quote,
    }


def as_json(one: Asked) -> dict[str, Any]:
    """One question for the JSON document."""
    return {
        "ask": one.question["ask"],
        "as": one.question.get("as", []),
        "met": not one.problems,
        "problems": list(one.problems),
        "outcome": str(one.answer.outcome),
        "reason": str(one.answer.reason) if one.answer.reason else None,
        "text": one.answer.text,
        "message": one.answer.message,
        "conflicts": [conflict.about for conflict in one.answer.conflicts],
        "sources": [source_json(cited) for cited in citations(one.answer)],
        "run_id": one.answer.run_id,
        "took_s": round(one.took_s, 4),
    }


class Screen:
    """The demo for people, at most 88 columns wide. `silent` prints nothing."""

    def __init__(self, *, silent: bool) -> None:
        wide = Console(highlight=False, markup=False, emoji=False, quiet=silent)
        self.console = Console(highlight=False, markup=False, emoji=False, quiet=silent, width=min(wide.width, 88))
        self.good, self.bad, self.dot = ("✓", "✗", "·") if utf_8() else ("+", "x", "-")
        if not utf_8():
            sys.stdout.reconfigure(errors="replace")

    def print(self, part: Any = "") -> None:
        """One part; in a file or a pipe without the spaces with which rich fills lines."""
        if self.console.is_terminal or self.console.quiet:
            self.console.print(part)
            return
        with self.console.capture() as drawn:
            self.console.print(part)
        print("\n".join(line.rstrip() for line in drawn.get().split("\n")), end="", flush=True)

    def waiting(self, words: str) -> Any:
        """A spinner on a terminal, nothing in a file."""
        return self.console.status(words)

    def ingested(self, report: Any, took_s: float) -> None:
        """One line on the ingestion, and one for each file that failed."""
        self.print(Text("The sample handbook of Halvenmoor Instruments", style="bold"))
        counts = f"{len(report.sources)} files read in {took_s:.1f} s {self.dot} {report.nodes} passages"
        self.print(Text(f"{counts} {self.dot} bucket {report.bucket}", style="dim"))
        for one in report.failed:
            self.print(Text(f"{self.bad} {short(one.uri)}: {one.message}", style="red"))

    def asked(self, number: int, one: Asked) -> None:
        """A question, its answer, its sources, and whether that is as it should be."""
        asker = ", ".join(one.question.get("as", []))
        title = Text.assemble((f"{number:>2}  ", "dim"), (one.question["ask"], "bold"))
        if asker:
            title.append(f"  (asked by {asker})", "dim")
        self.print()
        self.print(_hanging(title))
        answer = one.answer
        if answer.text:
            text = Text(answer.text)
            text.highlight_regex(r"\[\d+\]", "cyan")
            self.print(Padding(text, (0, 0, 0, 4)))
        else:
            said = answer.message or f"Not answered: {answer.reason or answer.outcome}."
            self.print(Padding(Text(said, style="italic"), (0, 0, 0, 4)))
        for conflict in answer.conflicts:
            self.print(Padding(Text(f"! The sources disagree: {conflict.about}", style="yellow"), (0, 0, 0, 4)))
        cited = Table.grid(padding=(0, 1, 0, 0))
        cited.add_column(style="cyan", no_wrap=True)
        cited.add_column(overflow="fold", style="dim")
        for citation in {(one.number, one.uri, one.page): one for one in citations(answer)}.values():
            page = f", page {citation.page}" if citation.page is not None else ""
            # The other side of a conflict need not be cited by the answer itself: then it has no number.
            number = f"[{citation.number}]" if citation.number else self.dot
            cited.add_row(number, Text(f"{short(citation.uri)}, version {citation.version}{page}"))
        if cited.row_count:
            self.print(Padding(cited, (0, 0, 0, 4)))
        if one.problems:
            for problem in one.problems:
                self.print(Padding(Text(f"{self.bad} {problem}", style="red"), (0, 0, 0, 4)))
        else:
            said = f"{self.good} as expected: {one.question['expect']}"
            line = Text.assemble((said, "green"), (f" {self.dot} {one.took_s * 1000:.0f} ms", "dim"))
            self.print(Padding(line, (0, 0, 0, 4)))

    def summary(self, asked: list[Asked], good: int) -> None:
        """The last line."""
        total_s = sum(one.took_s for one in asked)
        all_good = good == len(asked)
        sign, style = (self.good, "bold green") if all_good else (self.bad, "bold red")
        self.print()
        said = f"{sign} {good} of {len(asked)} questions came out as expected, in {total_s:.1f} s."
        self.print(Text(said, style=style))
        if asked:
            run = asked[0].answer.run_id[:12]
            folder = FOLDER.relative_to(Path.cwd()) if FOLDER.is_relative_to(Path.cwd()) else FOLDER
            beside = Path(sys.executable).with_name("citewell")  # `make demo` installs into .venv, which is on no PATH
            program = beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside
            self.print(Text(f"Why answer 1: {program} --kb {folder} runs explain {run}", style="dim"))


def _hanging(title: Text) -> Table:
    """The title, its further lines under its first word."""
    made = Table.grid()
    made.add_column(no_wrap=True)
    made.add_column()
    made.add_row(title[:4], title[4:])
    return made


if __name__ == "__main__":
    sys.exit(main())
