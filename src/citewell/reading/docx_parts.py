"""The parts of a Word file beside its text: what it points to, its images, and where its paragraphs stand."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.docx_xml import FALLBACK, M, W, choice, name
from citewell.reading.images import Picture, picture
from citewell.reading.package import Package
from citewell.reading.tidy import visible
from citewell.types import Place, count_characters

_R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_V: Final = "{urn:schemas-microsoft-com:vml}"


@dataclass(slots=True)
class Parts:
    """What is known of the parts that were read: of each paragraph its place, of each part where it points to.

    `characters` are all that stand in them as text that is neither deleted nor another rendering of the same.
    """

    package: Package
    characters: int = 0
    _places: dict[Any, Place] = field(default_factory=dict)
    _targets: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)

    def enter(self, part: str, root: Any) -> None:
        """Number the paragraphs of a part and count its characters."""
        for number, paragraph in enumerate(root.iter(f"{W}p")):
            self._places[paragraph] = Place(number, number + 1, "paragraphs", part)
        for text in root.iter(f"{W}t", f"{M}t"):
            if not any(above.tag in (FALLBACK, f"{W}moveFrom", f"{W}del") for above in text.iterancestors()):
                self.characters += count_characters(visible(text.text or ""))

    def place(self, element: Any) -> Place | None:
        """Where a paragraph stands, or all the paragraphs of a table do."""
        found = self._places.get(element)
        if found is not None:
            return found
        inside = [place for one in element.iter(f"{W}p") if (place := self._places.get(one)) is not None]
        return Place(inside[0].start, inside[-1].end, "paragraphs", inside[0].part) if inside else None

    def target(self, element: Any, attribute: str) -> tuple[str, bool] | None:
        """What an element's relationship points to, and whether that is outside the file; None where it has none."""
        identity = element.get(f"{_R}{attribute}")
        if identity is None:
            return None
        part = self._part_of(element)
        if part not in self._targets:
            self._targets[part] = self._read_targets(part)
        return self._targets[part].get(identity)

    def _part_of(self, element: Any) -> str:
        for above in (element, *element.iterancestors()):
            if (place := self._places.get(above)) is not None:
                return place.part
        return ""

    def _read_targets(self, part: str) -> dict[str, tuple[str, bool]]:
        folder, base = posixpath.split(part)
        root = self.package.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, tuple[str, bool]] = {}
        for relation in root if root is not None else ():
            target, external = relation.get("Target") or "", relation.get("TargetMode") == "External"
            if not external:
                at = target if target.startswith("/") else f"{folder}/{target}"
                target = posixpath.normpath(posixpath.join("/", at)).lstrip("/")
            found[relation.get("Id") or ""] = (target, external)
        return found

    def images(self, drawing: Any) -> list[tuple[str, Picture | None, bool]]:
        """Of each image in a drawing its alternative text, its picture, and whether its bytes should be in the file.

        Those should that are embedded; what is linked to is not.
        """
        made: list[tuple[str, Picture | None, bool]] = []
        for element in choice(drawing) if name(drawing) == "AlternateContent" else (drawing,):
            alt = ""
            for inner in element.iter():
                match name(inner):
                    case "docPr" | "cNvPr" | "shape":
                        alt = " ".join((inner.get("descr") or inner.get("alt") or "").split()) or alt
                    case "blip" if inner.tag == f"{_A}blip":
                        made.append(self._image(self.target(inner, "embed") or self.target(inner, "link"), alt))
                    case "imagedata" if inner.tag == f"{_V}imagedata":
                        made.append(self._image(self.target(inner, "id"), alt))
                    case _:
                        pass
        return made

    def _image(self, target: tuple[str, bool] | None, alt: str) -> tuple[str, Picture | None, bool]:
        if target is None or target[1]:
            return alt, None, target is None
        try:
            content = self.package.part(target[0])
        except ReadError:
            content = None  # one damaged image must not cost the text
        return alt, picture(content, name=target[0], alt=alt) if content else None, True
