"""OpenDocument styles: how text looks, as far as that decides whether it is seen, and what paragraphs are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from citewell.reading.colours import PAPER, near, rgb

STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
FO: Final = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_DRAW: Final = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_PRESENTATION: Final = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_MAX_CHAIN: Final = 20
_SIZE: Final = re.compile(r"(\d{1,4}(?:\.\d{1,6})?)(pt|in|cm|mm|px)")
_POINTS: Final = {"pt": 1.0, "in": 72.0, "cm": 28.35, "mm": 2.835, "px": 0.75}
_TINY: Final = 1.0  # points: nobody reads them


@dataclass(frozen=True, slots=True)
class Look:
    """How text looks: its colour, "" for the usual one, and what it stands on, both RRGGBB; None where unknown."""

    gone: bool = False
    colour: str | None = ""
    ground: str | None = PAPER
    size: float = 12.0  # points

    @property
    def hidden(self) -> bool:
        """Whether nobody sees the text."""
        return self.gone or self.size <= _TINY or near(self.colour, self.ground)


@dataclass(slots=True)
class Styles:
    """The styles of a document by family and name; each says only what it changes of its parent."""

    page: str | None = PAPER
    """What pages of text have as their ground (RRGGBB); None where that is a picture, or differs between pages."""

    _properties: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _parents: dict[tuple[str, str], str] = field(default_factory=dict)
    _levels: dict[str, int] = field(default_factory=dict)
    _display: dict[str, str] = field(default_factory=dict)
    _grounds: set[str | None] = field(default_factory=set)
    _masters: dict[str, str | None] = field(default_factory=dict)

    def learn(self, root: Any) -> None:
        """Take in the styles under `root`, the content's or the styles part's."""
        for style in root.iter(f"{STYLE}style", f"{STYLE}default-style"):
            family, name = style.get(f"{STYLE}family") or "", style.get(f"{STYLE}name") or ""
            key = family, name
            self._properties[key] = properties = {}
            for element in style:
                properties.update(_told(element))
            if not name:
                continue
            self._parents[key] = style.get(f"{STYLE}parent-style-name") or ""
            self._display[name] = style.get(f"{STYLE}display-name") or name
            level = style.get(f"{STYLE}default-outline-level") or ""
            if level.isdigit() and int(level):
                self._levels[name] = int(level)
        for master in root.iter(f"{STYLE}master-page"):
            drawn = any(child.tag.startswith(_DRAW) and not child.get(f"{_PRESENTATION}class") for child in master)
            self._masters[master.get(f"{STYLE}name") or ""] = None if drawn else master.get(f"{_DRAW}style-name") or ""
        for properties_of in root.iter(f"{STYLE}page-layout-properties"):
            told = _told(properties_of)
            self._grounds.add(None if "picture" in told else rgb(told.get("ground")) or PAPER)
        self.page = next(iter(self._grounds)) if len(self._grounds) == 1 else None if self._grounds else PAPER

    def look(self, family: str, name: str, above: Look) -> Look:
        """How text of the style looks that stands in what looks like `above`."""
        look = above
        for key in reversed(self._chain(family, name)):
            if told := self._properties.get(key):
                look = _changed(look, told)
        return look

    def first(self, ground: str | None) -> Look:
        """How text looks, on this ground, of which no style is named."""
        return _changed(Look(ground=ground), self._properties.get(("paragraph", ""), {}))

    def says(self, family: str, name: str, what: str) -> str:
        """What a style or one that it comes from says: `ground`, `fill`, `visibility` or `display`; "" for nothing."""
        told = (self._properties.get(key, {}).get(what) for key in self._chain(family, name))
        return next((value for value in told if value), "")

    def fill(self, family: str, name: str, under: str | None) -> str | None:
        """What is seen behind the text in a shape, cell or slide of this style that stands on `under`."""
        fill = self.says(family, name, "fill")
        if fill == "solid":
            return rgb(self.says(family, name, "fill-color"))
        if fill and fill != "none":
            return None
        ground = self.says(family, name, "ground")
        if ground and ground != "transparent":
            return rgb(ground)
        return None if self.says(family, name, "picture") else under

    def slide(self, master: str) -> str | None:
        """What a master page of slides shows behind them (RRGGBB); None where that is not one colour."""
        style = self._masters.get(master, "")
        return self.fill("drawing-page", style, PAPER) if style is not None else None

    def is_called(self, name: str, wanted: str) -> bool:
        """Whether the paragraph style or one that it comes from has the name `wanted`."""
        return any(self._display.get(one, one) == wanted or one == wanted for _, one in self._chain("paragraph", name))

    def level(self, name: str) -> int:
        """The outline level of a paragraph style, 0 where it has none."""
        return next((self._levels[one] for _, one in self._chain("paragraph", name) if one in self._levels), 0)

    def _chain(self, family: str, name: str) -> list[tuple[str, str]]:
        chain: list[tuple[str, str]] = []
        while name and len(chain) < _MAX_CHAIN:
            chain.append((family, name))
            name = self._parents.get((family, name), "")
        return chain


def _told(element: Any) -> dict[str, str]:
    """What one element of properties says about how things look."""
    names = (
        ("gone", f"{TEXT}display"),
        ("colour", f"{FO}color"),
        ("usual", f"{STYLE}use-window-font-color"),
        ("size", f"{FO}font-size"),
        ("ground", f"{FO}background-color"),
        ("fill", f"{_DRAW}fill"),
        ("fill-color", f"{_DRAW}fill-color"),
        ("visibility", f"{_PRESENTATION}visibility"),
    )
    told = {what: value for what, name in names if (value := element.get(name))}
    if any(child.tag == f"{STYLE}background-image" and len(child.attrib) for child in element):
        told["picture"] = "yes"
    return told


def _changed(look: Look, told: dict[str, str]) -> Look:
    if "gone" in told:
        look = replace(look, gone=told["gone"] == "none")
    if told.get("usual") == "true":
        look = replace(look, colour="")
    elif "colour" in told:
        look = replace(look, colour=rgb(told["colour"]))
    if "ground" in told and told["ground"] != "transparent":
        look = replace(look, ground=rgb(told["ground"]))
    if "picture" in told:
        look = replace(look, ground=None)
    if (found := _SIZE.fullmatch(told.get("size", ""))) is not None:
        look = replace(look, size=float(found[1]) * _POINTS[found[2]])
    return look
