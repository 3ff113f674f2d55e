"""What a slide takes from its layout and master: where placeholders stand, which of their lines have bullets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.reading.colours import PAPER
from citewell.reading.docx_xml import name
from citewell.reading.drawing_text import bullet_of, lines_of
from citewell.reading.office_parts import A, relations
from citewell.reading.package import Package
from citewell.reading.pptx_looks import NOTHING, Fill, Palette, background, levels, shape_fill, theme_colours
from citewell.reading.pptx_shapes import Box, P, Shape, shapes_of

_STYLES: Final = {"title": "titleStyle", "body": "bodyStyle"}


@dataclass(slots=True)
class Layout:
    """A layout or master. By ("idx", n) and ("type", name): the boxes and bullet lists of its placeholders.

    `static` is the text that stands on every slide of this layout, `drawn` its boxes with what fills them, over
    `ground`. `fills` and `inks` are, as `boxes`, of placeholders: what fills them, and run properties by level.
    """

    boxes: dict[tuple[str, str], Box | None] = field(default_factory=dict)
    bullets: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    static: list[tuple[str, Box | None]] = field(default_factory=list)
    palette: Palette = field(default_factory=Palette)
    ground: Fill = field(default_factory=lambda: Fill(PAPER))
    drawn: list[tuple[Box | None, Fill]] = field(default_factory=list)
    fills: dict[tuple[str, str], Fill] = field(default_factory=dict)
    inks: dict[tuple[str, str], list[dict[int, Any]]] = field(default_factory=dict)

    def bullet(self, key: tuple[str, str], level: int) -> str | None:
        """The bullet of a line of the placeholder with this key, "" for none, None where nothing is said."""
        for place in (("idx", key[1]), ("type", key[0]), ("style", key[0])):
            found = self.bullets.get(place, {}).get(level)
            if found is not None:
                return found
        return None

    def fill(self, shape: Shape) -> Fill | None:
        """What fills a placeholder that has nothing of its own to say; None where nothing is said."""
        if not shape.placeholder:
            return None
        keys = (("idx", shape.key[1]), ("type", shape.key[0]))
        return next((self.fills[key] for key in keys if key in self.fills), None)

    def runs(self, shape: Shape, level: int) -> Iterator[Any]:
        """The run properties that the text of a placeholder takes from here, nearest first."""
        if shape.placeholder:
            for key in (("idx", shape.key[1]), ("type", shape.key[0]), ("style", shape.key[0])):
                yield from (held[level] for held in self.inks.get(key, ()) if level in held)


class Layouts:
    """The layouts of a presentation, each read when it is first used."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._known: dict[str, Layout] = {}

    def of(self, slide: str) -> Layout:
        """What the layout of a slide says, and its master where the layout says nothing."""
        part = next((one.target for one in relations(self._package, slide).values() if one.kind == "slideLayout"), "")
        if part not in self._known:
            self._known[part] = self._read(part) if part else Layout()
        return self._known[part]

    def _read(self, part: str) -> Layout:
        master = next((one.target for one in relations(self._package, part).values() if one.kind == "slideMaster"), "")
        layout = Layout()
        layout.palette = self._palette(master)
        layout.ground = Fill(layout.palette.named("bg1"))
        drawn: list[list[tuple[Box | None, Fill]]] = []
        grounded = False
        shows_master = True
        for source in (part, master):
            root = self._package.xml(source) if source else None
            if root is None:
                continue
            palette = layout.palette.overridden(root)
            if not grounded and (ground := background(root, palette)) is not None:
                layout.ground, grounded = ground, True
            drawn.insert(0, [])
            for shape in _flat(shapes_of(root.find(f"{P}cSld/{P}spTree"))):
                body = shape.element.find(f"{P}txBody")
                # Only a layout shares its numbers with the slide; a master knows its placeholders by type.
                keys = [("type", shape.key[0]), *([("idx", shape.key[1])] if source == part else [])]
                for key in keys if shape.placeholder else ():
                    if shape.box is not None:
                        layout.boxes.setdefault(key, shape.box)
                    layout.bullets[key] = {**own_levels(body), **layout.bullets.get(key, {})}
                    if (fill := shape_fill(shape.element, palette)) is not None:
                        layout.fills.setdefault(key, fill)
                    styles = body.find(f"{A}lstStyle") if body is not None else None
                    layout.inks.setdefault(key, []).append(levels(styles))
                if not (shape.placeholder or shape.hidden) and shows_master:
                    drawn[0].append((shape.box, shape_fill(shape.element, palette) or NOTHING))
                if not (shape.placeholder or shape.hidden) and shows_master and (lines := lines_of(body)):
                    layout.static.append(("\n".join(line.text for line in lines), shape.box))
            styles = root.find(f"{P}txStyles")
            for family, style in _STYLES.items():
                found = _levels(styles.find(f"{P}{style}") if styles is not None else None)
                layout.bullets.setdefault(("style", family), {}).update(found)
                inks = levels(styles.find(f"{P}{style}") if styles is not None else None)
                layout.inks.setdefault(("style", family), []).append(inks)
            shows_master = (root.get("showMasterSp") or "1") not in {"0", "false"}
        layout.drawn = [one for held in drawn for one in held]
        return layout

    def _palette(self, master: str) -> Palette:
        root = self._package.xml(master) if master else None
        mapping = root.find(f"{P}clrMap") if root is not None else None
        if mapping is None:
            return Palette()
        theme = next((one.target for one in relations(self._package, master).values() if one.kind == "theme"), "")
        colours = theme_colours(self._package.xml(theme) if theme else None)
        return Palette(colours, dict(mapping.attrib))


def _flat(shapes: list[Shape]) -> Iterator[Shape]:
    for shape in shapes:
        if shape.children:
            yield from _flat(shape.children)
        else:
            yield shape


def _levels(styles: Any) -> dict[int, str]:
    """The bullets that a list style gives to its levels from 0."""
    found: dict[int, str] = {}
    for element in styles if styles is not None else ():
        kind = name(element)
        if kind.startswith("lvl") and kind.endswith("pPr") and kind[3:4].isdigit():
            bullet = bullet_of(element)
            if bullet is not None:
                found[int(kind[3]) - 1] = bullet
    return found


def own_levels(body: Any) -> dict[int, str]:
    """The bullets that a shape's own list style gives to its levels."""
    return _levels(body.find(f"{A}lstStyle") if body is not None else None)
