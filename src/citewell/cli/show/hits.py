"""How hits look: rank, score and place, with the words around what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from citewell.cli.plain import line
from citewell.cli.show.layout import count, outcome, place, table

if TYPE_CHECKING:
    from citewell.cli.screen import Screen
    from citewell.types import Found, Hit

_SNIPPET = 200
_WORD = re.compile(r"\w[\w'’.,+#-]*\w|\w")


def show_hits(screen: Screen, query: str, hits: Sequence[Hit], *, explain: bool = False) -> None:
    """Print `hits` as a table; with `explain`, a column for each retriever: its score, and its rank in brackets."""
    if not hits:
        screen.show(outcome(screen, "none", "Nothing found that you may read."))
        return
    retrievers = list(dict.fromkeys(name for hit in hits for name in hit.found_by)) if explain else []
    made = table(("#", "right"), ("score", "right"), *((line(name), "right") for name in retrievers), ("found", "fold"))
    wanted = terms_of(query)
    for number, hit in enumerate(hits):
        made.add_row(
            str(hit.rank),
            f"{hit.score:.2f}",
            *(_seen(hit.found_by.get(name)) for name in retrievers),
            _found(screen, hit, wanted),
            end_section=False,
        )
        if number < len(hits) - 1:
            made.add_row()
    screen.show(made)
    screen.note("", Text(count(len(hits), "hit"), style="dim"))


def _seen(found: Found | None) -> str:
    if found is None:
        return "-"
    return f"{found.score:.2f} ({found.rank if found.rank is not None else '-'})"


def _found(screen: Screen, hit: Hit, wanted: frozenset[str]) -> Text:
    about = [line(hit.document.uri)]
    if hit.node.page is not None:
        about.insert(0, f"page {hit.node.page}")
    return Text("\n").join(
        [
            Text(place(screen, hit.document, hit.node.heading_path), style="bold"),
            snippet(screen, _body(hit), wanted),
            Text(f" {screen.sign('dot')} ".join(about), style="dim"),
        ]
    )


def _body(hit: Hit) -> str:
    """The passage without the heading it may begin with, which stands above it."""
    text, path = line(hit.node.text), hit.node.heading_path
    return (text.removeprefix(line(path[-1])).lstrip() if path else text) or text


def terms_of(query: str) -> frozenset[str]:
    """The terms by which the lexical index looks for `query`."""
    from citewell.indexing.analysis import Analyzer

    return frozenset(Analyzer().terms(query))


def snippet(screen: Screen, text: str, wanted: frozenset[str]) -> Text:
    """About 200 characters of `text` with the most of the wanted terms, these in bold; cut between words."""
    from citewell.indexing.analysis import Analyzer

    analyzer = Analyzer()
    words = line(text)
    found = [one.span() for one in _WORD.finditer(words) if not wanted.isdisjoint(analyzer.terms(one.group()))]
    start, end = _window(words, found)
    dots = screen.sign("dots")
    made = Text(words)
    for one in found:
        made.stylize("bold yellow", *one)
    cut = made[start:end]
    return Text.assemble(f"{dots} " if start else "", cut, f" {dots}" if end < len(words) else "")


def _window(words: str, found: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Where a snippet begins and ends: the stretch with the most found words, the earliest of equals."""
    if len(words) <= _SNIPPET:
        return 0, len(words)
    starts = [start for start, _ in found] or [0]
    best = max(starts, key=lambda at: (sum(at <= start < at + _SNIPPET - 40 for start in starts), -at))
    start = max(0, min(best - 30, len(words) - _SNIPPET))
    if start:
        start = words.find(" ", start, best) + 1 or best
    end = start + _SNIPPET
    if end < len(words):
        end = max(words.rfind(" ", start, end), start + _SNIPPET // 2)
    return start, min(end, len(words))
