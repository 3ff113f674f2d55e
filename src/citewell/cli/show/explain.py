"""How the account of a run looks: step by step what went in and what came out, in full once, by name after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from citewell.cli.plain import line, text_of, visible
from citewell.cli.screen import write
from citewell.cli.show.layout import count, duration, grid, heading, indented, outcome, quoted, table
from citewell.cli.show.runs import show_head

if TYPE_CHECKING:
    from rich.console import RenderableType

    from citewell.audit.account import Account
    from citewell.cli.screen import Screen

Content = Mapping[str, Any]

_MOST = 20
_FIRST = ("uri", "outcome", "kind", "message")
_VERDICTS = {"supported": "ok", "contradicted": "fail", "unsupported": "warn"}


def show_explanation(screen: Screen, account: Account) -> None:
    """Print every step of the run, and between rules the exact text a writer was shown."""
    show_head(screen, account)
    told: list[Any] = []
    for number, step in enumerate(account.steps, 1):
        took = Text(f"  {duration(step.duration_s)}", style="dim")
        attempt = f" (attempt {step.attempt})" if step.attempt > 1 else ""
        screen.show("", Text.assemble((f"{number}  {line(step.step)}{attempt}", "bold"), took))
        for way, events in (("in", step.inputs), ("out", step.outputs)):
            for name, content in events:
                known = any(content is one for one in told)
                told.append(content)
                note = " (as above)" if known else ""
                screen.show(indented(Text.assemble((f"{way:<4}", "dim"), line(name), (note, "dim")), 3))
                if not known:
                    for part in _content(screen, name, content):
                        screen.show(indented(part, 7))
        if step.error:
            screen.show(indented(outcome(screen, "fail", line(step.error)), 3))
        if step.step == "pack" and account.shown:
            _show_shown(screen, account.shown)


def _show_shown(screen: Screen, shown: Sequence[str]) -> None:
    """The texts as they are, neither wrapped nor changed; characters a terminal would act on are written out."""
    rule = screen.sign("rule") * 8
    size = sum(len(one.encode("utf-8", "surrogatepass")) for one in shown)
    for number, text in enumerate(shown, 1):
        title = f"{rule} shown to the writer, {number} of {len(shown)} {rule}"
        screen.show("", Text(title, style="cyan"))
        write(visible(text) + "\n")
    end = f"{rule} end of what was shown: {count(size, 'byte')} {rule}"
    screen.show(Text(end, style="cyan"))


def _content(screen: Screen, name: str, content: Any) -> list[RenderableType]:
    if not isinstance(content, Mapping):
        return [Text(text_of(content))]
    known = _EVENTS.get(name)
    try:
        return known(screen, content) if known else [_tree(screen, content)]
    except (KeyError, TypeError, AttributeError):
        # A run of another version may have recorded other fields: then they are shown as they are.
        return [_tree(screen, content)]


def _asked(screen: Screen, content: Content) -> list[RenderableType]:
    query, facts = content["query"], grid()
    facts.add_row("question", Text(line(query["text"])))
    facts.add_row("buckets", Text(text_of(query["buckets"]) if query["buckets"] else "all"))
    if query["filter"] is not None:
        facts.add_row("filter", Text(text_of(query["filter"])))
    if query["as_of"] is not None:
        facts.add_row("as of", Text(str(query["as_of"])))
    who = content["principal"]
    facts.add_row("by", Text(text_of([f"user:{who['user']}", *(f"group:{one}" for one in sorted(who["groups"]))])))
    return [facts]


def _understood(screen: Screen, content: Content) -> list[RenderableType]:
    return [_tree(screen, content["intent"])]


def _retrieved(screen: Screen, content: Content) -> list[RenderableType]:
    hits = content["hits"]
    said = Text(f"{count(len(hits), 'hit')} as of commit {content['case']['sequence']}")
    return [said, _hits(screen, hits)] if hits else [said]


def _hits(screen: Screen, hits: Sequence[Content], reasons: Sequence[str] = ()) -> RenderableType:
    """One row a hit: rank, score, each retriever's score with its rank in brackets, the place, and why dropped."""
    retrievers = list(dict.fromkeys(name for hit in hits for name in hit["found_by"]))
    columns: list[str | tuple[str, str]] = [("#", "right"), ("score", "right")]
    columns += [(line(name), "right") for name in retrievers]
    made = table(*columns, ("place", "fold"))
    for at, hit in enumerate(hits):
        seen = [hit["found_by"].get(name) for name in retrievers]
        scores = [f"{one['score']:.2f} ({one['rank'] or '-'})" if one else "-" for one in seen]
        where = Text(_place(screen, hit))
        if reasons:
            where = Text("\n").join([where, Text(f"{screen.sign('arrow')} {line(reasons[at])}", style="yellow")])
        made.add_row(str(hit["rank"]), f"{hit['score']:.2f}", *scores, where)
    return made


def _place(screen: Screen, hit: Content) -> str:
    node, span = hit["node"], hit["node"]["span"]
    page = f", page {node['page']}" if node["page"] else ""
    path = "".join(f" {screen.sign('under')} {line(one)}" for one in node["heading_path"][-1:])
    return f"{line(hit['document']['uri'])}{path}{page} [{span['start']}:{span['end']}]"


def _packed(screen: Screen, content: Content) -> list[RenderableType]:
    made = table(("[n]", "right"), ("tokens", "right"), ("shown", "fold"))
    for one in content["evidence"]:
        made.add_row(f"[{one['number']}]", f"{one['tokens']:,}", Text(_place(screen, one["hit"])))
    parts: list[RenderableType] = [made]
    dropped = content["dropped"]
    if dropped:
        parts += ["", heading(f"Not shown: {count(len(dropped), 'hit')}")]
        parts.append(_hits(screen, [one["hit"] for one in dropped], [one["reason"] for one in dropped]))
    return parts


def _written(screen: Screen, content: Content) -> list[RenderableType]:
    draft, parts = content["draft"], grid()
    parts.add_row("writer", Text(line(draft["writer"])))
    for one in draft["statements"]:
        marks = " ".join(f"[{mark['number']}]" for mark in one["marks"]) or "cites nothing"
        parts.add_row(marks, quoted(screen, one["text"]))
    if draft["abstained"]:
        parts.add_row("abstained", Text(text_of([draft["abstained"], draft["reason"]])))
    if draft["raw"]:
        parts.add_row("model said", Text(visible(draft["raw"])))
    if any(draft["usage"].values()):
        parts.add_row("usage", Text(text_of(draft["usage"])))
    return [parts]


def _judged(screen: Screen, content: Content) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for one in content["judgements"]:
        said = f"{one['verdict']} {one['score']:.2f}"
        parts += [outcome(screen, _VERDICTS.get(one["verdict"], "warn"), said)]
        about = grid()
        about.add_row("claim", quoted(screen, one["statement"]["text"]))
        for reason in one["reasons"]:
            about.add_row("because", Text(line(reason)))
        for ground in one["grounds"]:
            about.add_row("rests on", Text(f"[{ground['number']}] {ground['span']['start']}:{ground['span']['end']}"))
        if one["fabricated"]:
            about.add_row("invented", Text(", ".join(f"[{number}]" for number in one["fabricated"])))
        parts.append(Padding(about, (0, 0, 0, 2)))
    return parts


def _answered(screen: Screen, content: Content) -> list[RenderableType]:
    answer, parts = content["result"], grid()
    parts.add_row("outcome", Text(text_of([one for one in (answer["outcome"], answer["reason"]) if one])))
    if answer["text"]:
        parts.add_row("text", Text(line(answer["text"])))
    if answer["message"]:
        parts.add_row("message", Text(line(answer["message"])))
    for one in answer["rejected"]:
        parts.add_row("left out", Text.assemble(quoted(screen, one["text"]), f" {text_of(one['reasons'])}"))
    for one in answer["conflicts"]:
        sides = [f"[{side['number']}] {line(side['quote'])}" for side in (one["left"], one["right"])]
        parts.add_row("conflict", Text(f"{line(one['about'])}: " + " / ".join(sides)))
    return [parts]


_EVENTS: dict[str, Callable[[Screen, Content], list[RenderableType]]] = {
    "Asked": _asked,
    "Understood": _understood,
    "Retrieved": _retrieved,
    "Packed": _packed,
    "Written": _written,
    "Judged": _judged,
    "Answered": _answered,
}


def _tree(screen: Screen, content: Content) -> RenderableType:
    """Any recorded content: one row a field that is not empty, lists of records one row an element."""
    made = grid()
    for name, value in content.items():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            made.add_row(line(name), Text(count(len(value), "record")))
            for one in value[:_MOST]:
                made.add_row("", Text(_record(one)))
            if len(value) > _MOST:
                made.add_row("", Text(f"{screen.sign('dots')} and {len(value) - _MOST:,} more: --json has all."))
        else:
            made.add_row(Text(line(name)), Text(text_of(value)))
    return made


def _record(one: Content) -> str:
    """A record on one line, its name and fate first, empty fields left out."""
    names = sorted(one, key=lambda name: name not in _FIRST)
    return text_of({name: one[name] for name in names if one[name] not in (None, "", [], {})})
