"""The text of a DrawingML shape: its paragraphs with their levels, bullets and links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.reading.docx_xml import M, choice, name, number
from citewell.reading.office_parts import A, R, Relation
from citewell.reading.omml import linear
from citewell.reading.tidy import tidy

_MATH: Final = "{http://schemas.microsoft.com/office/drawing/2010/main}m"


@dataclass(slots=True)
class Line:
    """One paragraph: its text, how deep it stands, and what its runs link to as (start, end, target).

    `bullet` is the sign or number format in front, "" where the shape says there is none, None where it says nothing.
    `unseen` is what stands in it and is not seen.
    """

    text: str
    level: int = 0
    bullet: str | None = None
    unseen: str = ""
    links: list[tuple[int, int, str]] = field(default_factory=list)


def lines_of(
    body: Any, related: Mapping[str, Relation] | None = None, hides: Callable[[Any, Any], bool] | None = None
) -> list[Line]:
    """The paragraphs of a text body that say something, in order; `body` may be None.

    `hides` tells of a run and its paragraph whether the run is not seen. Without it all of it is; with it, a line may
    have no text but what is unseen.
    """
    found = []
    for paragraph in body.iterfind(f"{A}p") if body is not None else ():
        line = _line(paragraph, related or {}, hides)
        if line.text or line.unseen:
            found.append(line)
    return found


def _line(paragraph: Any, related: Mapping[str, Relation], hides: Callable[[Any, Any], bool] | None) -> Line:
    parts: list[str] = []
    unseen: list[str] = []
    links: list[tuple[int, int, str]] = []
    at = 0
    for element in paragraph:
        kind = name(element)
        text = "".join(_text(one) for one in choice(element)) if kind == "AlternateContent" else _text(element)
        if not text:
            continue
        if hides is not None and kind in {"r", "fld"} and hides(element, paragraph):
            unseen.append(text)
            continue
        if kind == "r":
            link = element.find(f"{A}rPr/{A}hlinkClick")
            relation = related.get(link.get(f"{R}id") or "") if link is not None else None
            if relation is not None and relation.external and text.strip():
                links.append((at, at + len(text), relation.target))
        parts.append(text)
        at += len(text)
    properties = paragraph.find(f"{A}pPr")
    level = (number(properties.get("lvl")) or 0) if properties is not None else 0
    return Line(
        tidy("".join(parts), lines=True),
        max(0, min(level, 8)),
        bullet_of(properties),
        tidy("".join(unseen), lines=True),
        links,
    )


def _text(element: Any) -> str:
    kind = name(element)
    if kind in {"r", "fld"}:
        return str(element.findtext(f"{A}t") or "")
    if kind == "br":
        return "\n"
    if element.tag == _MATH:
        return "".join(linear(one) for one in element.iter(f"{M}oMath"))
    return ""


def bullet_of(properties: Any) -> str | None:
    """The bullet in paragraph properties: its sign or number format, "" for none, None where nothing is said."""
    for element in properties if properties is not None else ():
        kind = name(element)
        if kind == "buNone":
            return ""
        if kind == "buChar":
            return str(element.get("char") or "•")
        if kind == "buAutoNum":
            return str(element.get("type") or "arabicPeriod")
        if kind == "buBlip":
            return "•"
    return None
