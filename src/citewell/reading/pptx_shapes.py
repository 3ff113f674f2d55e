"""The shapes of a slide with their boxes, in the order a reader takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from citewell.reading.docx_xml import choice, name, number
from citewell.reading.office_parts import A

P: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
POINT: Final = 12_700  # EMU
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in points from the top left corner of the slide."""

TITLES: Final = frozenset({"title", "ctrTitle"})
MARGINS: Final = frozenset({"dt", "ftr", "sldNum", "hdr"})
_SHAPES: Final = frozenset({"sp", "pic", "graphicFrame"})  # connectors and ink say nothing
_OVERLAP: Final = 6.0  # points by which boxes may overlap and still stand apart


@dataclass(slots=True)
class Shape:
    """One shape. `placeholder` is its role on the slide, "" for none; `key` is what it inherits by."""

    element: Any
    box: Box | None
    placeholder: str = ""
    key: tuple[str, str] = ("", "")
    hidden: bool = False
    children: list[Shape] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Frame:
    """How the coordinates inside a group become points on the slide."""

    scale_x: float = 1 / POINT
    scale_y: float = 1 / POINT
    x: float = 0.0
    y: float = 0.0

    def box(self, xfrm: Any) -> Box | None:
        """The box of a shape, around it where it is turned; None where it has no size of its own."""
        sides = _sides(xfrm, "off", "ext")
        if sides is None:
            return None
        x, y, width, height = sides
        left, top = x * self.scale_x + self.x, y * self.scale_y + self.y
        right, bottom = left + width * self.scale_x, top + height * self.scale_y
        turn = number(xfrm.get("rot")) or 0
        if turn:
            angle = math.radians(turn / 60_000)
            cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
            half_x = ((right - left) * cos + (bottom - top) * sin) / 2
            half_y = ((right - left) * sin + (bottom - top) * cos) / 2
            middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
            left, right, top, bottom = middle_x - half_x, middle_x + half_x, middle_y - half_y, middle_y + half_y
        return round(left, 2), round(top, 2), round(right, 2), round(bottom, 2)

    def inner(self, xfrm: Any) -> _Frame:
        """The frame inside the group that stands at `xfrm`."""
        outer, inner = _sides(xfrm, "off", "ext"), _sides(xfrm, "chOff", "chExt")
        if outer is None or inner is None:
            return self
        x, y, width, height = outer
        child_x, child_y, child_width, child_height = inner
        ratio_x = width / child_width if child_width else 1.0
        ratio_y = height / child_height if child_height else 1.0
        return _Frame(
            self.scale_x * ratio_x,
            self.scale_y * ratio_y,
            self.x + (x - child_x * ratio_x) * self.scale_x,
            self.y + (y - child_y * ratio_y) * self.scale_y,
        )


def _sides(xfrm: Any, offset: str, extent: str) -> tuple[int, int, int, int] | None:
    first = xfrm.find(f"{A}{offset}") if xfrm is not None else None
    second = xfrm.find(f"{A}{extent}") if xfrm is not None else None
    if first is None or second is None:
        return None
    found = [number(first.get("x")), number(first.get("y")), number(second.get("cx")), number(second.get("cy"))]
    x, y, width, height = (one or 0 for one in found)
    return None if None in found or width < 0 or height < 0 else (x, y, width, height)


def shapes_of(tree: Any, inherited: Mapping[tuple[str, str], Box | None] | None = None) -> list[Shape]:
    """The shapes of a shape tree, those of a group inside it; placeholders without a box take their `inherited` one."""
    return list(_walk(tree, _Frame(), inherited or {}))


def _walk(parent: Any, frame: _Frame, inherited: Mapping[tuple[str, str], Box | None]) -> Iterator[Shape]:
    # The XML parser allows elements to nest 256 deep, so this does not call itself without end.
    for element in parent if parent is not None else ():
        kind = name(element)
        if kind == "AlternateContent":
            yield from _walk(choice(element), frame, inherited)
        elif kind == "grpSp":
            xfrm = element.find(f"{P}grpSpPr/{A}xfrm")
            children = list(_walk(element, frame.inner(xfrm), inherited))
            hidden = _is_hidden(element.find(f"{P}nvGrpSpPr/{P}cNvPr"))
            yield Shape(element, frame.box(xfrm) or _around(children), hidden=hidden, children=children)
        elif kind in _SHAPES:
            xfrm = element.find(f"{P}xfrm") if kind == "graphicFrame" else element.find(f"{P}spPr/{A}xfrm")
            holder = next((one for one in element if name(one).startswith("nv")), None)
            role, key = _role(holder.find(f"{P}nvPr/{P}ph") if holder is not None else None)
            box = frame.box(xfrm)
            if box is None and role:
                box = inherited.get(("idx", key[1])) or inherited.get(("type", key[0]))
            hidden = _is_hidden(holder.find(f"{P}cNvPr") if holder is not None else None)
            yield Shape(element, box, role, key, hidden)


def _role(placeholder: Any) -> tuple[str, tuple[str, str]]:
    if placeholder is None:
        return "", ("", "")
    role = placeholder.get("type") or "obj"
    family = "title" if role in TITLES else "body" if role in {"obj", "subTitle", "body"} else role
    return role, (family, placeholder.get("idx") or "0")


def _is_hidden(properties: Any) -> bool:
    return properties is not None and (properties.get("hidden") or "").lower() in {"1", "true"}


def _around(shapes: Sequence[Shape]) -> Box | None:
    boxes = [shape.box for shape in shapes if shape.box is not None]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def in_order(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes as they are read: the title, then top to bottom and left to right, a group at a time; margins last.

    Bands of boxes that stand clear of each other are read one after the other, and so are columns within a band.
    Where the box of one that says something is unknown, all stay in the order of the file.
    """
    titles = [shape for shape in shapes if shape.placeholder in TITLES]
    margins = [shape for shape in shapes if shape.placeholder in MARGINS]
    rest = [shape for shape in shapes if shape.placeholder not in TITLES | MARGINS]
    if all(shape.box is not None or _is_silent(shape) for shape in rest):
        rest = _cut([(shape.box or (0, 0, 0, 0), shape) for shape in rest], 0)
    ordered: list[Shape] = []
    for shape in [*titles, *rest, *margins]:
        ordered.extend(in_order(shape.children) if shape.children else [shape])
    return ordered


def _is_silent(shape: Shape) -> bool:
    return shape.element.find(f"{P}txBody") is not None and not any(one.text for one in shape.element.iter(f"{A}t"))


_T = TypeVar("_T")


def _cut(boxed: list[tuple[Box, _T]], depth: int) -> list[_T]:
    if len(boxed) < 2:
        return [shape for _, shape in boxed]
    for axis in (1, 0):
        parts = _apart(boxed, axis)
        if len(parts) > 1 and depth < 20:
            return [shape for part in parts for shape in _cut(part, depth + 1)]
    return [shape for _, shape in sorted(boxed, key=lambda one: (one[0][1], one[0][0]))]


def _apart(boxed: list[tuple[Box, _T]], axis: int) -> list[list[tuple[Box, _T]]]:
    """Boxes in groups that overlap each other along one axis (0 is x, 1 is y) by no more than a little."""
    parts: list[list[tuple[Box, _T]]] = []
    end = -math.inf
    for one in sorted(boxed, key=lambda one: one[0][axis]):
        start, stop = one[0][axis], one[0][axis + 2]
        if parts and start < end - min(_OVERLAP, (stop - start) / 2):
            parts[-1].append(one)
        else:
            parts.append([one])
        end = max(end, stop)
    return parts
