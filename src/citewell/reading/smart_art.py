"""The words of a SmartArt drawing, which stand in a part of their own as points and the connections between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from citewell.reading.docx_xml import number
from citewell.reading.drawing_text import lines_of

DGM: Final = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_SPOKEN: Final = frozenset({"node", "asst"})  # others are the drawing's own machinery


def diagram_lines(root: Any) -> Iterator[tuple[int, str]]:
    """(depth, text) of the points that say something, parents before their children in the order they are drawn.

    Points that hang on nothing, or on each other in a circle, come last.
    """
    texts: dict[str, str] = {}
    tops: list[str] = []
    for point in root.iterfind(f"{DGM}ptLst/{DGM}pt"):
        identity = point.get("modelId") or ""
        if point.get("type") == "doc":
            tops.append(identity)
        elif (point.get("type") or "node") in _SPOKEN:
            texts[identity] = "\n".join(line.text for line in lines_of(point.find(f"{DGM}t")))
    children: dict[str, list[tuple[int, str]]] = {}
    for link in root.iterfind(f"{DGM}cxnLst/{DGM}cxn"):
        if (link.get("type") or "parOf") == "parOf":
            order = number(link.get("srcOrd")) or 0
            children.setdefault(link.get("srcId") or "", []).append((order, link.get("destId") or ""))
    seen: set[str] = set()
    # Roots first: a point that hangs on another is met there before it comes up by itself.
    waiting = [(0, one) for one in reversed(list(texts))] + [(-1, one) for one in reversed(tops)]
    while waiting:
        depth, identity = waiting.pop()
        if identity in seen:
            continue
        seen.add(identity)
        if texts.get(identity):
            yield max(depth, 0), texts[identity]
        below = sorted(children.get(identity, ()), reverse=True)
        waiting.extend((depth + 1, child) for _, child in below)
