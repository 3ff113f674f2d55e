"""The parts of a Word file beside its text: what it points to, its images, and where its paragraphs stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading.charts import C, chart_piece
from citewell.reading.docx_xml import FALLBACK, M, W, choice, name
from citewell.reading.images import Picture
from citewell.reading.office_parts import A, R, Relation, alt_text, picture_in, relations
from citewell.reading.package import Package
from citewell.reading.pieces import Piece
from citewell.reading.smart_art import DGM, diagram_lines
from citewell.reading.tidy import visible
from citewell.types import BlockKind, Place, count_characters

_O: Final = "{urn:schemas-microsoft-com:office:office}"
_V: Final = "{urn:schemas-microsoft-com:vml}"


@dataclass(slots=True)
class Parts:
    """What is known of the parts that were read: of each paragraph its place, of each part where it points to.

    `characters` are all that stand in them as text that is neither deleted nor another rendering of the same.
    """

    package: Package
    max_cells: int
    characters: int = 0
    _places: dict[Any, Place] = field(default_factory=dict)
    _relations: dict[str, dict[str, Relation]] = field(default_factory=dict)

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

    def target(self, element: Any, attribute: str) -> Relation | None:
        """What an element's relationship points to; None where it has none."""
        identity = element.get(f"{R}{attribute}")
        if identity is None:
            return None
        part = self._part_of(element)
        if part not in self._relations:
            self._relations[part] = relations(self.package, part)
        return self._relations[part].get(identity)

    def _part_of(self, element: Any) -> str:
        for above in (element, *element.iterancestors()):
            if (place := self._places.get(above)) is not None:
                return place.part
        return ""

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
                    case "blip" if inner.tag == f"{A}blip":
                        made.append(self._image(self.target(inner, "embed") or self.target(inner, "link"), alt))
                    case "imagedata" if inner.tag == f"{_V}imagedata":
                        made.append(self._image(self.target(inner, "id"), alt))
                    case _:
                        pass
        return made

    def charts(self, drawing: Any) -> Iterator[Piece]:
        """The charts in a drawing as the tables they were drawn from, and what its SmartArt says as list items."""
        for element in choice(drawing) if name(drawing) == "AlternateContent" else (drawing,):
            alt = alt_text(next((one for one in element.iter() if name(one) == "docPr"), None))
            for inner in element.iter(f"{C}chart", f"{DGM}relIds"):
                is_chart = inner.tag == f"{C}chart"
                relation = self.target(inner, "id" if is_chart else "dm")
                if relation is None or relation.external:
                    continue
                if not is_chart:
                    root = self.package.xml(relation.target)
                    for level, text in diagram_lines(root) if root is not None else ():
                        yield Piece(BlockKind.LIST_ITEM, text, level)
                elif (piece := chart_piece(self.package, relation.target, self.max_cells)) is not None:
                    piece.caption = piece.caption or alt
                    yield piece

    def files(self, drawing: Any) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of the office files that are embedded in a drawing."""
        for element in drawing.iter(f"{_O}OLEObject"):
            relation = self.target(element, "id")
            if relation is not None and relation.kind == "package" and not relation.external:
                content = self.package.part(relation.target)
                if content:
                    yield relation.target.rpartition("/")[2], content

    def _image(self, relation: Relation | None, alt: str) -> tuple[str, Picture | None, bool]:
        if relation is None or relation.external:
            return alt, None, relation is None
        try:
            return alt, picture_in(self.package, relation.target, alt), True
        except ReadError:
            return alt, None, True  # one damaged image must not cost the text
