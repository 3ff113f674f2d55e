"""How the text of an element looks, as far as that decides whether anyone can see it: computed without a browser.

Hidden is what is not displayed, not visible, transparent, cut off, moved off the page, under 1.5 px, or of the colour
of its ground. So is text for screen readers alone (`sr-only`): the same lines of style carry most injections, and
nothing tells the two apart. `aria-hidden` hides nothing from the eye and counts for nothing. A page that names style
sheets outside itself may have any ground: there only a ground that the page itself gives is compared.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from citewell.reading.html_css import Declarations, Sheets, applies, declarations, overlay, resolved

Colour: TypeAlias = tuple[int, int, int] | str | None
"""Levels of red, green and blue, a name that is not known here, or None where anything may be."""

_CONTRAST: Final = 12  # levels: as for PDF
_SMALLEST_PX: Final = 1.5
_FAR_PX: Final = 500
_FAINT: Final = 0.05
_NAMES: Final = {
    "white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255),
    "yellow": (255, 255, 0), "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192),
    "snow": (255, 250, 250), "ivory": (255, 255, 240), "whitesmoke": (245, 245, 245), "ghostwhite": (248, 248, 255),
    "floralwhite": (255, 250, 240), "azure": (240, 255, 255), "mintcream": (245, 255, 250), "navy": (0, 0, 128),
    "aliceblue": (240, 248, 255), "seashell": (255, 245, 238), "honeydew": (240, 255, 240), "canvas": (255, 255, 255),
    "lightyellow": (255, 255, 224), "lavenderblush": (255, 240, 245), "canvastext": (0, 0, 0), "aqua": (0, 255, 255),
    "cyan": (0, 255, 255), "fuchsia": (255, 0, 255), "magenta": (255, 0, 255), "lime": (0, 255, 0),
    "maroon": (128, 0, 0), "olive": (128, 128, 0), "purple": (128, 0, 128), "teal": (0, 128, 128),
    "orange": (255, 165, 0),
}  # fmt: skip
_SIZES: Final = {
    "xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0,
}  # fmt: skip
_KEEPING: Final = frozenset({"", "inherit", "unset", "initial", "revert", "auto", "none"})
_UNITS: Final = "px|pt|pc|in|cm|mm|em|rem|ex|ch|%|vw|vh"
_LENGTH: Final = re.compile(rf"([+-]?(?:\d{{1,9}}\.?\d{{0,9}}|\.\d{{1,9}}))({_UNITS})?(?![\w.%])")
_PX: Final = {"px": 1, "pt": 4 / 3, "pc": 16, "in": 96, "cm": 38, "mm": 3.8, "rem": 16, "vw": 12.8, "vh": 8, None: 1}
_COLOUR: Final = re.compile(
    r"#[0-9a-f]{3,8}\b|(?:rgb|hsl)a?\([^()]{1,80}\)|(?<![\w.%/-])(?!url|none|repeat|no-repeat|center|top|left|right"
    r"|bottom|cover|contain|fixed|scroll|inherit|unset|initial|auto|transparent)[a-z]{3,20}(?![\w(-])"
)
_OVERFLOWS: Final = ("overflow", "overflow-x", "overflow-y")
_NUMBER: Final = re.compile(r"([+-]?(?:\d{1,6}\.?\d{0,6}|\.\d{1,6}))(%|deg)?")
_UA: Final[Mapping[str, Declarations]] = {
    "mark": {"background-color": ("yellow", False), "color": ("black", False)},
    "button": {"background-color": ("#efefef", False), "color": ("black", False)},
    "select": {"background-color": ("white", False), "color": ("black", False)},
}


@dataclass(frozen=True, slots=True)
class Look:
    """How an element's own text looks; what is inside it looks the same until something is declared."""

    gone: bool = False
    invisible: bool = False
    opacity: float = 1.0
    size_px: float = 16.0
    colour: Colour = (0, 0, 0)
    ground: Colour = (255, 255, 255)

    @property
    def hidden(self) -> bool:
        """Whether nobody sees the text."""
        return (
            self.gone
            or self.invisible
            or self.opacity <= _FAINT
            or self.size_px < _SMALLEST_PX
            or self.colour == "transparent"
            or _same(self.colour, self.ground)
        )


class Looks:
    """The looks of a page's elements, from its attributes and its own style sheets."""

    def __init__(self, root: Any) -> None:
        """Raises ReadError limit_exceeded for style sheets that are too large."""
        found = [element for element in root.iter("style") if _is_sheet(element)]
        self._sheets = Sheets([element.text or "" for element in found], root)
        outside = any("stylesheet" in (link.get("rel") or "").lower() for link in root.iter("link"))
        outside = outside or any("@import" in (element.text or "") for element in found)
        self.first = Look(colour=None, ground=None) if outside else Look()
        """How text looks of which nothing is declared."""

    def of(self, element: Any, tag: str, above: Look) -> Look:
        """How an element looks that stands in one that looks like `above`."""
        if above.gone:
            return above  # nothing in it comes back
        attributes = element.attrib
        declared: dict[str, tuple[str, bool]] = {}
        if attributes:
            _hint(declared, element, tag)
        if tag in _UA:
            overlay(declared, _UA[tag])
        if self._sheets:
            overlay(declared, self._sheets.of(element, tag))
        if attributes and (style := attributes.get("style")):
            overlay(declared, declarations(style))
        if tag == "a" and attributes.get("href") and "color" not in declared and above.colour is not None:
            declared["color"] = ("#0000ee", False)
        return self._computed(declared, above) if declared else above

    def _computed(self, declared: Declarations, above: Look) -> Look:
        values = {name: resolved(value, self._sheets.variables) for name, (value, _) in declared.items()}
        look = above
        for name, value in values.items():
            match name:
                case "visibility" if value in ("hidden", "collapse", "visible"):
                    look = replace(look, invisible=value != "visible")
                case "opacity" if (found := _NUMBER.match(value)) is not None:
                    share = float(found[1]) / (100 if found[2] == "%" else 1)
                    look = replace(look, opacity=above.opacity * min(max(share, 0.0), 1.0))
                case "font-size" | "font":
                    look = replace(look, size_px=_size(value, above.size_px, shorthand=name == "font"))
                case "background" | "background-color" | "background-image":
                    look = replace(look, ground=_ground(value, look.ground))
                case _:
                    pass
        for name in ("color", "-webkit-text-fill-color"):
            if name in values:
                look = replace(look, colour=_colour(values[name], look.colour, look.ground))
        if "text" in values.get("background-clip", values.get("-webkit-background-clip", "")):
            look = replace(look, colour=None, ground=None)  # letters cut out of a picture
        return replace(look, gone=True) if _is_gone(values, look.size_px) else look


def _is_sheet(element: Any) -> bool:
    kind = (element.get("type") or "text/css").strip().lower()
    return (
        kind in ("text/css", "")
        and applies(element.get("media") or "")
        and not any(above.tag == "template" for above in element.iterancestors())
    )


def _hint(declared: dict[str, tuple[str, bool]], element: Any, tag: str) -> None:
    """What attributes other than `style` say of the looks."""
    hidden = element.get("hidden")
    if hidden is not None and hidden.strip().lower() != "until-found":
        declared["display"] = ("none", False)
    for attribute, name in (("bgcolor", "background-color"), ("text", "color"), ("color", "color")):
        value = element.get(attribute)
        if value and (attribute != "text" or tag == "body") and (attribute != "color" or tag == "font"):
            value = value.strip().lower()
            declared[name] = (f"#{value}" if re.fullmatch("[0-9a-f]{6}", value) else value, False)
    if element.get("background"):
        declared["background-image"] = ("url()", False)
    if tag == "img" and {element.get("width"), element.get("height")} & {"0", "1", "0px", "1px"}:
        declared["display"] = ("none", False)  # it counts who opens the page


def _is_gone(values: Mapping[str, str], size_px: float) -> bool:
    """Whether what is declared leaves nothing of an element on the page."""
    if values.get("display") == "none" or values.get("content-visibility") == "hidden":
        return True
    found = re.search(r"opacity\(\s*([\d.]+)(%?)", values.get("filter", ""))
    if found is not None and _number(found[1]) / (100 if found[2] else 1) <= _FAINT:
        return True

    def px(name: str) -> float | None:
        return _px(values.get(name, ""), size_px)

    far = [px("text-indent"), px("margin-left"), px("margin-top")]
    if values.get("position", "static") != "static":
        far += [px(side) for side in ("left", "right", "top", "bottom")]
        if any(place is not None and place >= 10 * _FAR_PX for place in far[3:]):
            return True
    if any(place is not None and place <= -_FAR_PX for place in far):
        return True
    if any("hidden" in values.get(name, "") or "clip" in values.get(name, "") for name in _OVERFLOWS):
        sides = [px(name) for name in ("width", "height", "max-width", "max-height")]
        if any(side is not None and side < _SMALLEST_PX for side in sides):
            return True
    return _is_moved(values.get("transform", ""), size_px) or _is_cut(values)


def _is_moved(transform: str, size_px: float) -> bool:
    for name, inside in re.findall(r"(scale[xy]?|translate[xy]?|translate3d|scale3d)\(([^()]{1,80})\)", transform):
        for part in re.split(r"[\s,]+", inside.strip()):
            length = _px(part, size_px)
            if length is not None and (length == 0 if name.startswith("scale") else length <= -_FAR_PX):
                return True
    return False


def _is_cut(values: Mapping[str, str]) -> bool:
    clip = values.get("clip", "")
    if clip.startswith("rect") and values.get("position") in ("absolute", "fixed"):
        sides = [_px(part, 16.0) for part in re.split(r"[\s,]+", clip[4:].strip("() "))]
        if len(sides) == 4 and None not in sides:
            top, right, bottom, left = [side or 0.0 for side in sides]
            return right - left < _SMALLEST_PX or bottom - top < _SMALLEST_PX
    path = values.get("clip-path", "")
    found = re.match(r"inset\(\s*([\d.]+)%", path)
    return bool(
        (found and _number(found[1]) >= 50)
        or re.match(r"(?:circle|ellipse)\(\s*0(?![.\d]*[1-9])", path)
        or re.match(r"(?:polygon|rect)\(\s*(?:0[a-z%]*[\s,]*){4,}\)", path)
    )


def _size(value: str, above: float, *, shorthand: bool) -> float:
    if shorthand:
        found = re.search(r"(?:^|\s)((?:\d{1,6}\.?\d{0,6}|\.\d{1,6})(?:px|pt|r?em|%|vw)?)(?=\s*/|\s+[a-z\"'])", value)
        value = found[1] if found and (found[1].strip("0.") == "" or not found[1].isdecimal()) else ""
    if value in _SIZES:
        return _SIZES[value]
    if value in ("smaller", "larger"):
        return above * (0.83 if value == "smaller" else 1.2)
    return above if value in _KEEPING else max(length, 0.0) if (length := _px(value, above)) is not None else above


def _px(value: str, size_px: float) -> float | None:
    """A length in pixels, a share of `size_px` for em and %; None for what is no length."""
    found = _LENGTH.match(value)
    if found is None:
        return None
    number, unit = _number(found[1]), found[2]
    if unit in ("em", "ex", "ch", "%"):
        return number * size_px / {"em": 1, "ex": 2, "ch": 2, "%": 100}[unit]
    return number * _PX[unit]


def _ground(value: str, above: Colour) -> Colour:
    if "url(" in value or "gradient" in value or "image" in value:
        return None
    if value in _KEEPING or value == "transparent":
        return above
    found = _COLOUR.search(value)
    return _colour(found[0], above, above, is_ground=True) if found else above


def _colour(value: str, above: Colour, ground: Colour, *, is_ground: bool = False) -> Colour:
    """The colour that a value names; on `ground` where it lets that through, which a transparent ground does."""
    if value in _KEEPING or value == "currentcolor":
        return (0, 0, 0) if value == "initial" else above
    if value == "transparent":
        return ground if is_ground else "transparent"
    if value in _NAMES:
        return _NAMES[value]
    levels, alpha = _levels(value)
    if levels is None:
        return value if value.isalpha() else None
    if alpha <= _FAINT:
        return ground if is_ground else "transparent"
    if alpha >= 1 or not isinstance(ground, tuple):
        return levels
    red, green, blue = (round(alpha * top + (1 - alpha) * low) for top, low in zip(levels, ground, strict=True))
    return red, green, blue


def _levels(value: str) -> tuple[tuple[int, int, int] | None, float]:
    """Red, green and blue of a colour in figures, and its opacity."""
    if re.fullmatch("#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = value[1:] if len(value) > 5 else "".join(2 * digit for digit in value[1:])
        red, green, blue, solid = (int((digits + "ff")[at : at + 2], 16) for at in (0, 2, 4, 6))
        return (red, green, blue), solid / 255
    parts = _NUMBER.findall(value.partition("(")[2])
    if not value.startswith(("rgb", "hsl")) or len(parts) < 3:
        return None, 1.0
    numbers = [_number(number) for number, _ in parts]
    alpha = 1.0 if len(parts) < 4 else numbers[3] / (100 if parts[3][1] == "%" else 1)
    if value.startswith("hsl"):
        shares = colorsys.hls_to_rgb(numbers[0] / 360 % 1, min(numbers[2] / 100, 1), min(numbers[1] / 100, 1))
    else:
        whole = [100 if unit == "%" else 255 for _, unit in parts]
        shares = numbers[0] / whole[0], numbers[1] / whole[1], numbers[2] / whole[2]
    first, second, third = (round(255 * min(max(share, 0.0), 1.0)) for share in shares)
    return (first, second, third), alpha


def _same(one: Colour, other: Colour) -> bool:
    if one is None or other is None:
        return False
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _CONTRAST


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
