"""What of a slide's text cannot be seen: of the colour of what it stands on, transparent, tiny, or under a shape.

Colours are followed from the run over its list styles, layout and master to the theme, and grounds from the shape over
what is drawn before it to the background. Where one of them is a picture, a gradient or a style that is not evaluated
here, the text counts as seen.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.reading.colours import PAPER, near, rgb
from citewell.reading.docx_xml import name, number
from citewell.reading.office_parts import A
from citewell.reading.pptx_shapes import Box, P, Shape

_NAMES: Final = {"white": PAPER, "black": "000000", "red": "FF0000", "yellow": "FFFF00", "blue": "0000FF"}
_MAPPING: Final = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}
_FILLS: Final = frozenset({"noFill", "solidFill", "gradFill", "blipFill", "pattFill", "grpFill"})
_TINY: Final = 100  # hundredths of a point: nobody reads 1 pt
_CLEAR: Final = 5_000  # thousandths of a per cent
_SOLID: Final = 98_000
_WHOLE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Fill:
    """What a shape is filled with: `colour` as RRGGBB, None where that is not one colour; `clear` where it has none."""

    colour: str | None = None
    clear: bool = False


NOTHING: Final = Fill(clear=True)


@dataclass(slots=True)
class Palette:
    """The colours of a theme under the names that slides call them by."""

    theme: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=lambda: _MAPPING)

    def named(self, scheme: str) -> str | None:
        return self.theme.get(self.mapping.get(scheme, scheme)) or {"lt1": PAPER, "dk1": "000000"}.get(
            self.mapping.get(scheme, scheme)
        )

    def overridden(self, root: Any) -> Palette:
        """The palette of a part that may map the names in its own way."""
        override = root.find(f"{P}clrMapOvr/{A}overrideClrMapping")
        return Palette(self.theme, dict(override.attrib)) if override is not None else self

    def colour(self, holder: Any) -> tuple[str | None, int]:
        """The colour that an element holds, None where it is not followed here, and how solid it is in 1/100,000."""
        for element in holder if holder is not None else ():
            match name(element):
                case "srgbClr":
                    found = rgb(element.get("val"))
                case "sysClr":
                    found = rgb(element.get("lastClr"))
                case "schemeClr":
                    found = self.named(element.get("val") or "")
                case "prstClr":
                    found = _NAMES.get(element.get("val") or "")
                case _:
                    continue
            return _modified(found, element)
        return None, _WHOLE

    def fill(self, properties: Any) -> Fill | None:
        """What the properties of a shape, cell, run or background fill it with; None where they say nothing."""
        for element in properties if properties is not None else ():
            kind = name(element)
            if kind == "noFill":
                return NOTHING
            if kind == "solidFill":
                colour, solid = self.colour(element)
                return NOTHING if solid <= _CLEAR else Fill(colour if solid >= _SOLID else None)
            if kind in _FILLS:
                return Fill()
        return None


def _modified(colour: str | None, element: Any) -> tuple[str | None, int]:
    solid, scale, shift = _WHOLE, _WHOLE, 0
    for change in element:
        value = number(change.get("val")) or 0
        match name(change):
            case "alpha":
                solid = value
            case "lumMod":
                scale = value
            case "lumOff":
                shift = value
            case _:
                colour = None
    if colour is not None and (scale != _WHOLE or shift):
        hue, light, full = colorsys.rgb_to_hls(*(int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)))
        light = min(max(light * scale / _WHOLE + shift / _WHOLE, 0.0), 1.0)
        colour = "".join(f"{round(255 * level):02X}" for level in colorsys.hls_to_rgb(hue, light, full))
    return colour, solid


def theme_colours(theme: Any) -> dict[str, str]:
    """The colours of a theme part by their names there: `lt1`, `dk1`, `accent1` and so on."""
    scheme = theme.find(f"{A}themeElements/{A}clrScheme") if theme is not None else None
    plain = Palette()
    found = {name(one): plain.colour(one)[0] for one in scheme if len(one)} if scheme is not None else {}
    return {called: colour for called, colour in found.items() if colour}


def background(root: Any, palette: Palette) -> Fill | None:
    """What a slide, layout or master has behind its shapes; None where it says nothing."""
    element = root.find(f"{P}cSld/{P}bg")
    if element is None:
        return None
    reference = element.find(f"{P}bgRef")
    if reference is None:
        return palette.fill(element.find(f"{P}bgPr")) or Fill()
    return Fill(palette.colour(reference)[0] if reference.get("idx") in {"1", "1001"} else None)


def shape_fill(element: Any, palette: Palette) -> Fill | None:
    """What a shape is filled with by itself; None where it says nothing, as a placeholder that inherits."""
    kind = name(element)
    if kind in {"pic", "graphicFrame"}:
        return Fill()
    fill = palette.fill(element.find(f"{P}spPr"))
    if fill is not None:
        return fill
    reference = element.find(f"{P}style/{A}fillRef")
    if reference is None:
        return None
    place = reference.get("idx") or "0"
    return NOTHING if place == "0" else Fill(palette.colour(reference)[0] if place == "1" else None)


def levels(styles: Any) -> dict[int, Any]:
    """The run properties that a list style gives to its levels from 0."""
    found: dict[int, Any] = {}
    for element in styles if styles is not None else ():
        kind = name(element)
        properties = element.find(f"{A}defRPr")
        if kind.startswith("lvl") and kind[3:4].isdigit() and properties is not None:
            found[int(kind[3]) - 1] = properties
    return found


class SlideLooks:
    """How the texts of one slide look."""

    def __init__(
        self,
        root: Any,
        shapes: Sequence[Shape],
        palette: Palette,
        ground: Fill,
        under: Sequence[tuple[Box | None, Fill]],
        inherited: Callable[[Shape], Fill | None],
        styles: Callable[[Shape, int], Iterator[Any]],
    ) -> None:
        """`shapes` as they are drawn over `under`, which layout and master draw on `ground`.

        `inherited` gives the fill of a placeholder that has none of its own, `styles` the run properties that its
        text takes from layout and master, nearest first.
        """
        self._palette = palette.overridden(root)
        self._ground = background(root, self._palette) or ground
        self._styles = styles
        self._drawn = list(under)
        self._places: dict[int, int] = {}
        self._fills: dict[int, Fill] = {}
        self._opaque: list[tuple[int, Box]] = []
        moving = {one.get("spid") for one in root.iter(f"{P}spTgt")}
        for shape in _flat(shapes):
            fill = shape_fill(shape.element, self._palette) or inherited(shape) or NOTHING
            place = self._places[id(shape.element)] = len(self._drawn)
            self._fills[id(shape.element)] = fill
            self._drawn.append((shape.box, NOTHING if shape.hidden else fill))
            if fill.colour and shape.box and not shape.hidden and _is_plain_box(shape.element):
                identity = shape.element.find(f"*/{P}cNvPr")
                if identity is None or identity.get("id") not in moving:
                    self._opaque.append((place, shape.box))

    def is_covered(self, shape: Shape) -> bool:
        """Whether something opaque that does not move lies over all of a shape."""
        place, box = self._places.get(id(shape.element)), shape.box
        if place is None or box is None:
            return False
        return any(at > place and _within(box, over) for at, over in self._opaque)

    def hides(self, shape: Shape) -> Callable[[Any, Any], bool]:
        """Of a run of a shape and its paragraph, whether the run is not seen."""
        fill = self._fills.get(id(shape.element), NOTHING)
        ground = self._below(shape) if fill.clear else fill.colour
        own = levels(shape.element.find(f"{P}txBody/{A}lstStyle"))
        reference = shape.element.find(f"{P}style/{A}fontRef")

        def hidden(run: Any, paragraph: Any) -> bool:
            properties = paragraph.find(f"{A}pPr")
            level = max(0, min(number(properties.get("lvl")) or 0, 8)) if properties is not None else 0
            told = [run.find(f"{A}rPr"), own.get(level), *self._styles(shape, level)]
            usual = self._palette.colour(reference)[0] if reference is not None and len(reference) else None
            usual = usual or self._palette.named("tx1")
            return self._is_unseen([one for one in told if one is not None], ground, usual)

        return hidden

    def hides_in_cell(self, shape: Shape, table: Any, cell: Any) -> Callable[[Any, Any], bool]:
        """Of a run in a cell of a table and its paragraph, whether the run is not seen."""
        fill = self._palette.fill(cell.find(f"{A}tcPr"))
        styled = table.find(f"{A}tblPr/{A}tableStyleId") is not None
        if fill is not None and not fill.clear:
            ground = fill.colour
        else:
            ground = None if styled and fill is None else self._below(shape)

        def hidden(run: Any, _: Any) -> bool:
            properties = run.find(f"{A}rPr")
            return properties is not None and self._is_unseen([properties], ground, None)

        return hidden

    def _below(self, shape: Shape) -> str | None:
        """The colour of what a shape lies on; None where that is not one that is known."""
        place, box = self._places.get(id(shape.element), len(self._drawn)), shape.box
        for under, fill in reversed(self._drawn[:place]):
            if fill.clear:
                continue
            if box is None or under is None:
                return None
            if _meet(box, under):
                return fill.colour if _within(box, under) else None
        return self._ground.colour

    def _is_unseen(self, told: Sequence[Any], ground: str | None, usual: str | None) -> bool:
        size = next((number(one.get("sz")) for one in told if one.get("sz")), None)
        if size is not None and size <= _TINY:
            return True
        first = told[0] if told else None
        if first is not None:
            outline = self._palette.fill(first.find(f"{A}ln"))
            effects = first.find(f"{A}effectLst")
            if (outline is not None and not outline.clear) or (effects is not None and len(effects)):
                return False
            if first.find(f"{A}hlinkClick") is not None:
                return False  # links have a colour of their own
            if (marked := first.find(f"{A}highlight")) is not None:
                ground = self._palette.colour(marked)[0]
        fill = next((fill for one in told if (fill := self._palette.fill(one)) is not None), None)
        if fill is not None and fill.clear:
            return True
        return near(usual if fill is None else fill.colour, ground)


def _flat(shapes: Sequence[Shape]) -> Iterator[Shape]:
    for shape in shapes:
        if shape.children:
            yield from _flat(shape.children)
        else:
            yield shape


def _is_plain_box(element: Any) -> bool:
    """Whether a shape is a rectangle that is not turned."""
    form, place = element.find(f"{P}spPr/{A}prstGeom"), element.find(f"{P}spPr/{A}xfrm")
    return form is not None and form.get("prst") == "rect" and (place is None or not number(place.get("rot")))


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(one: Box, other: Box) -> bool:
    return other[0] <= one[0] and one[2] <= other[2] and other[1] <= one[1] and one[3] <= other[3]
