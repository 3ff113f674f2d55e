"""The blocks of Markdown that are plain to see, in one pass over the lines; all else is named for the full grammar.

Most of what is written in Markdown is headings, paragraphs, simple lists, fenced code and pipe tables. They are found
here a hundred times as fast as by the whole of CommonMark, and only where both are sure to agree: what might mean
anything else becomes a `Rest`, which begins where a block begins and ends where no block can be open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from markdown_it.token import Token

# What CommonMark strips: less than str.strip does.
_SPACE: Final = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_RUN: Final = re.compile(r"[^ \t\n][^\n]*+(?:\n[ \t]*+[^ \t\n][^\n]*+)*+")
# The lines within a run that may not be the text they follow.
_TURN: Final = re.compile(r"\n[ \t]*+(?:[#>|:=<+*\-`~_]|[0-9]{1,9}[.)])")
_FIRST: Final = re.compile(r"[#>|:=<+*\-`~_\[]|[0-9]{1,9}[.)]")
# A line, without its indentation, that is not simply text.
_SPECIAL: Final = re.compile(
    r"[><\t]|#{1,6}(?:[ \t]|$)|[-+*](?:[ \t]|$)|[0-9]{1,9}[.)](?:[ \t]|$)|```|~~~"
    r"|[|:-][|:\- \t]*$|=+[ \t]*$|([-*_])[ \t]*(?:\1[ \t]*){2,}$"
)
_RULE: Final = re.compile(r"([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_HEADING: Final = re.compile(r"(#{1,6})(?:[ \t]|$)")
_ITEM: Final = re.compile(r"( *)([-+*]|[0-9]{1,9}[.)])( {1,4})([^ \t\n].*)")
_FENCE: Final = re.compile(r"(`{3,})([^`\n]*)$|(~{3,})(.*)$")
_DELIMITERS: Final = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_BOUNDARY: Final = re.compile(r"\n[ \t]*\n(?=[^ \t\n])")
_MAX_DEPTH: Final = 8
_MAX_FILLED: Final = 10_000  # cells that the lines of a table lack: the grammar has a limit too


@dataclass(slots=True)
class Text:
    """A paragraph, or a heading where there is a `level`; `content` has its inline marks."""

    start: int
    end: int
    content: str
    level: int = 0


@dataclass(slots=True)
class Item:
    """A paragraph of a list item; the first of one that opens `depth` deep, or a later one of it."""

    start: int
    end: int
    content: str
    depth: int
    opens: bool


@dataclass(slots=True)
class Fence:
    """Fenced code with the line behind its opening mark."""

    start: int
    end: int
    content: str
    info: str


@dataclass(slots=True)
class Pipes:
    """A table of at least one row, the first being its header; all rows are equally wide."""

    start: int
    end: int
    rows: list[list[str]]


@dataclass(slots=True)
class Rest:
    """Lines for the full grammar, and what it makes of them."""

    start: int
    end: int
    tokens: Sequence[Token]


Found: TypeAlias = Text | Item | Fence | Pipes | Rest
"""What stands in [start, end) of the text, from the start of a line to the end of one."""


def boundary(text: str, at: int) -> int:
    """The end of the blank lines after `at`, before the first line that no open list or quote can reach to.

    An open fence can, and so can markup as `<pre>` and `<!--`.
    """
    found = _BOUNDARY.search(text, at)
    return found.end() if found else len(text)


def blocks(text: str, full: Callable[[int], Rest]) -> Iterator[Found]:
    """The blocks of `text` in order. `full` reads from where it is told to a `boundary` behind which nothing is open.

    References are known once all are read: the text of a block must not be read before.
    """
    turns = [found.start() for found in _TURN.finditer(text)]
    turns.append(len(text))
    turn = at = 0
    while run := _RUN.search(text, at):
        start, end = run.span()
        while turns[turn] < start:
            turn += 1
        if turns[turn] >= end and not _FIRST.match(text, start) and (not start or text[start - 1] == "\n"):
            yield Text(start, end, text[start:end].strip(_SPACE))
            at = end
            continue
        found: Sequence[Found] = ()
        if start and text[start - 1] != "\n":  # indented: code, or what belongs to a list
            start = text.rfind("\n", 0, start) + 1
        else:
            found = _started(text, start, end)
        if not found:
            found = (full(start),)
        yield from found
        at = max(found[-1].end, start + 1)


def _started(text: str, start: int, end: int) -> Sequence[Found]:
    """The block that starts at `start`, in a run of lines that are not blank; nothing where it is not plain to see."""
    line_end = _line_end(text, start)
    line = text[start:line_end]
    if not _SPECIAL.match(line):
        return _paragraph(text, start, end)
    if _RULE.match(line):
        return (Text(start, line_end, ""),)
    if "|" in line and _DELIMITERS.match(text[line_end + 1 : _line_end(text, line_end + 1)].lstrip(" ")):
        return ()  # whatever it looks like, it may be the header of a table
    if heading := _HEADING.match(line):
        return (_heading(start, line, len(heading[1])),)
    if fence := _FENCE.match(line):
        return _fenced(text, start, line_end, fence)
    return _list(text, start) if _ITEM.match(line) else ()


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _heading(start: int, line: str, level: int) -> Text:
    content = line[level:].rstrip(" \t")
    closed = content.rstrip("#")
    if closed and closed[-1] in " \t":
        content = closed
    return Text(start, start + len(line), content.strip(_SPACE), level)


def _fenced(text: str, start: int, line_end: int, fence: re.Match[str]) -> Sequence[Fence]:
    mark = fence[1] or fence[3]
    close = re.compile(rf"\n {{0,3}}{mark[0]}{{{len(mark)},}}[ \t]*(?=\n|\Z)").search(text, line_end)
    if close is None:
        return ()
    content = text[line_end + 1 : close.start() + 1]
    return (Fence(start, close.end(), content, fence[2] or fence[4] or ""),)


def _paragraph(text: str, start: int, end: int) -> Sequence[Found]:
    """A paragraph up to the end of its run or to what may stand right behind one; or a table, headed by its line."""
    at = first_end = _line_end(text, start)
    while at < end:
        next_end = _line_end(text, at + 1)
        raw = text[at + 1 : next_end]
        line = raw.lstrip(" \t")
        if _SPECIAL.match(line):
            if at == first_end and (table := _table(text, start, at, end)):
                return (table,)
            if not _interrupts(raw):
                return ()
            break
        at = next_end
    content = text[start:at].strip(_SPACE)
    if content.startswith("[") and "]:" in content:
        return ()  # perhaps the definition of a reference
    return (Text(start, at, content),)


def _interrupts(line: str) -> bool:
    """Whether a line that follows on a paragraph's starts another block for sure."""
    if line[:1] == " ":
        return False
    if _HEADING.match(line) or _FENCE.match(line):
        return True
    item = _ITEM.match(line)
    return item is not None and (item[2] in "-+*" or item[2][:-1] == "1") and not _RULE.match(line)


def _table(text: str, start: int, line_end: int, end: int) -> Pipes | None:
    """The table whose header is the line at `start`, where nothing is escaped and all of its run belongs to it."""
    delimiters = text[line_end + 1 : _line_end(text, line_end + 1)]
    if "|" not in delimiters or delimiters[0] in " \t" or delimiters[:2] in ("- ", "-\t"):
        return None
    lines = text[start:end].split("\n") if _DELIMITERS.match(delimiters) else []
    if not lines or "|" not in lines[0] or "\\" in text[start:end]:
        return None
    rows = [_row(line) for number, line in enumerate(lines) if number != 1]
    width = len(rows[0])
    if not width or len(_row(delimiters)) != width or sum(max(width - len(row), 0) for row in rows) > _MAX_FILLED:
        return None
    for line in lines[2:]:
        if line[0] in " \t" or "|" not in line or (_SPECIAL.match(line) and line[0] != "|"):
            return None
    return Pipes(start, end, [[*row[:width], *[""] * (width - len(row))] for row in rows])


def _row(line: str) -> list[str]:
    cells = line.strip(_SPACE).split("|")
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [cell.strip(_SPACE) for cell in cells]


def _list(text: str, start: int) -> Sequence[Item]:
    """The paragraphs of the list at `start` with the lists in it, up to what is not plain to see."""
    found: list[Item] = []
    offsets: list[int] = []  # where the text of each open item stands in its lines
    lines: list[str] = []  # of the paragraph that may go on, without their indentation
    opened = start, 0, True  # where it began, how deep it is, whether it opens its item
    at = last = start
    blank = True
    sure = 0  # items before one that could as well begin a list of its own

    def close() -> bool:
        content = "\n".join(lines).strip(_SPACE)
        if lines:
            found.append(Item(opened[0], last, content, opened[1], opened[2]))
            lines.clear()
        return not (content.startswith("[") and "]:" in content)  # perhaps the definition of a reference

    while at < len(text):
        line_end = _line_end(text, at)
        raw = text[at:line_end]
        line = raw.lstrip(" ")
        indent = len(raw) - len(line)
        at, begun = line_end + 1, at
        if not line.strip("\t "):
            blank = True
            continue
        item = _ITEM.match(raw)
        if item is None:
            if not indent and (line[0] != "\t" if blank else _HEADING.match(raw) or _FENCE.match(raw)):
                break
            if _SPECIAL.match(line):
                return found[:sure]
            if not blank:
                lines.append(raw[min(indent, offsets[-1]) :])
                last = line_end
                continue
        if (item is None or blank) and not close():
            return found[:sure]
        before = len(offsets)
        while offsets and indent < offsets[-1]:
            offsets.pop()
        if indent - (offsets[-1] if offsets else 0) > 3:
            return found[:sure]
        if item is None:
            if not offsets:
                return found[:sure]
            opened = begun, len(offsets) - 1, False
            lines.append(line)
        else:
            goes_on = not blank and len(offsets) == before and item[2][-1] in ".)" and int(item[2][:-1]) != 1
            if goes_on or len(offsets) >= _MAX_DEPTH or _SPECIAL.match(item[4]) or not close():
                return found[:sure]
            if blank and not indent:
                sure = len(found)
            offsets.append(indent + len(item[2]) + len(item[3]))
            opened = begun, len(offsets) - 1, True
            lines.append(item[4])
        blank = False
        last = line_end
    return found if close() else found[:sure]
