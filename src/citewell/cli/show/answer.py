"""How an answer looks: the text, what became of it, its sources with the words they rest on, and what disagrees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.constrain import Constrain
from rich.text import Text

from citewell.cli.plain import clean, line
from citewell.cli.show.layout import count, grid, heading, indented, outcome, paragraph, place, quoted
from citewell.types import Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

    from citewell.cli.screen import Screen
    from citewell.types import Answer, Citation

_KINDS = {
    Outcome.ANSWERED: "ok",
    Outcome.PARTIAL: "partial",
    Outcome.ABSTAINED: "none",
    Outcome.CLARIFY: "ask",
    Outcome.FAILED: "fail",
}
_WORDS = {
    Outcome.ANSWERED: "Answered",
    Outcome.PARTIAL: "Answered in part",
    Outcome.ABSTAINED: "Not answered",
    Outcome.CLARIFY: "The question is not clear",
    Outcome.FAILED: "Failed",
}


def show_answer(screen: Screen, answer: Answer) -> None:
    """Print `answer`: text, outcome, conflicts, sources; the run that explains it goes to the notes."""
    if answer.text:
        body = paragraph(answer.text)
        body.highlight_regex(r"\[\d+\]", "cyan")
        screen.show(Constrain(body, screen.width), "")
    screen.show(outcome(screen, _KINDS[answer.outcome], verdict(screen, answer)))
    if answer.message and answer.outcome is not Outcome.ANSWERED:
        screen.show(indented(Text(clean(answer.message))))
    for conflict in answer.conflicts:
        screen.show("", outcome(screen, "warn", f"The sources disagree ({line(conflict.about)}):"))
        for side in (conflict.left, conflict.right):
            screen.show(indented(_entry(screen, [side])))
    told = {_place(side) for conflict in answer.conflicts for side in (conflict.left, conflict.right)}
    cited = [left for one in sources(answer) if (left := [each for each in one if _place(each) not in told])]
    if cited:
        screen.show("", heading("Other sources" if told else "Sources"))
        for citations in cited:
            screen.show(indented(_entry(screen, citations)))
    if answer.run_id:
        screen.note("", Text(f"Why this answer: {screen.program} runs explain {answer.run_id[:12]}", style="dim"))


def verdict(screen: Screen, answer: Answer) -> str:
    """The outcome in words: how much of what was written held."""
    parts = [_WORDS[answer.outcome]]
    if answer.reason:
        parts.append(line(str(answer.reason)).replace("_", " "))
    if answer.claims:
        parts.append(f"{count(len(answer.claims), 'sentence')} checked against {_places(answer)}")
    if answer.rejected:
        parts.append(f"{count(len(answer.rejected), 'sentence')} left out: not supported")
    return f" {screen.sign('dot')} ".join(parts)


def sources(answer: Answer) -> list[list[Citation]]:
    """The citations of the claims, by number, equal ones once; one list a number."""
    return _by_number(citation for claim in answer.claims for citation in claim.citations)


def _by_number(citations: Iterable[Citation]) -> list[list[Citation]]:
    found: dict[int, dict[tuple[str, int, int], Citation]] = {}
    for one in citations:
        found.setdefault(one.number, {}).setdefault(_place(one), one)
    return [list(found[number].values()) for number in sorted(found)]


def _place(one: Citation) -> tuple[str, int, int]:
    return one.document.id, one.start, one.end


def _places(answer: Answer) -> str:
    documents = {one.document.id for claim in answer.claims for one in claim.citations}
    return count(len(documents), "document")


def _entry(screen: Screen, citations: list[Citation]) -> RenderableType:
    """[n] title › headings, then where it is, then the quotes."""
    first = citations[0]
    about = [f"version {first.version}"]
    pages = sorted({one.page for one in citations if one.page is not None})
    if pages:
        about.append(("page " if len(pages) == 1 else "pages ") + ", ".join(map(str, pages)))
    elif where := "; ".join(dict.fromkeys(one.where for one in citations if one.where)):
        about.append(line(where))
    about.append(line(first.uri))
    made = grid()
    made.columns[0].style = "cyan"
    made.columns[0].justify = "right"
    # The place that contradicts a cited one may not be cited itself: then it has no number.
    number = f"[{first.number}]" if first.number else screen.sign("dot")
    made.add_row(number, Text(place(screen, first.document, first.heading_path), style="bold"))
    made.add_row("", Text(f" {screen.sign('dot')} ".join(about), style="dim"))
    for one in citations:
        made.add_row("", quoted(screen, one.quote))
    return made
