"""OpenDocument styles: what of a text is hidden, and what a paragraph's style makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
FO: Final = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_MAX_CHAIN: Final = 20


@dataclass(slots=True)
class Styles:
    """The styles of a document by family and name; each says only what it changes of its parent."""

    _hidden: dict[tuple[str, str], bool] = field(default_factory=dict)
    _parents: dict[tuple[str, str], str] = field(default_factory=dict)
    _levels: dict[str, int] = field(default_factory=dict)
    _display: dict[str, str] = field(default_factory=dict)

    def learn(self, root: Any) -> None:
        """Take in the styles under `root`, the content's or the styles part's."""
        for style in root.iter(f"{STYLE}style"):
            family, name = style.get(f"{STYLE}family") or "", style.get(f"{STYLE}name") or ""
            key = family, name
            self._parents[key] = style.get(f"{STYLE}parent-style-name") or ""
            self._display[name] = style.get(f"{STYLE}display-name") or name
            level = style.get(f"{STYLE}default-outline-level") or ""
            if level.isdigit() and int(level):
                self._levels[name] = int(level)
            properties = style.find(f"{STYLE}text-properties")
            if properties is None:
                continue
            if shown := properties.get(f"{TEXT}display"):
                self._hidden[key] = shown == "none"
            else:
                size = properties.get(f"{FO}font-size") or ""
                ink, paper = (properties.get(f"{FO}{name}") or "" for name in ("color", "background-color"))
                if size in ("0pt", "0in", "0cm") or (ink and ink.lower() == paper.lower()):
                    self._hidden[key] = True

    def is_hidden(self, family: str, name: str) -> bool:
        """Whether text of the style is not shown."""
        return next((self._hidden[key] for key in self._chain(family, name) if key in self._hidden), False)

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
