"""PowerPoint presentations are read from their XML: a slide is a page, a shape a place on it.

python-pptx was measured beside it: it gives the same shapes, but neither SmartArt nor comments nor what a slide takes
from its layout by way of bullets, and brings Pillow and XlsxWriter along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.charts import C, chart_piece
from citewell.reading.docx_xml import FALLBACK, name, number
from citewell.reading.drawing_text import Line, lines_of
from citewell.reading.formats import PPTX
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.ocr import AUTO
from citewell.reading.office_parts import A, R, Relation, alt_text, picture_in, properties, relations
from citewell.reading.package import Package
from citewell.reading.picture_text import read_pictures
from citewell.reading.pieces import Builder, Piece
from citewell.reading.pptx_layouts import Layout, Layouts, own_levels
from citewell.reading.pptx_looks import SlideLooks
from citewell.reading.pptx_shapes import MARGINS, POINT, TITLES, Box, P, Shape, in_order, shapes_of
from citewell.reading.pptx_table import read_table
from citewell.reading.smart_art import DGM, diagram_lines
from citewell.reading.tidy import tidy
from citewell.types import BlockKind, Document, Reason, Region, Source, count_characters

NOTES: Final = "Speaker notes"
"""The last step of the heading path of what stands in a slide's notes."""

COMMENTS: Final = "Comments"
_MAX_SLIDES: Final = 10_000
_MODERN: Final = "{http://schemas.microsoft.com/office/powerpoint/2018/8/main}"
_MODERN_AUTHOR: Final = f"{_MODERN}author"
# What PowerPoint writes as the title of every new file, in some of its languages.
_NO_TITLES: Final = frozenset(
    {"powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint", "presentación de powerpoint",
     "presentazione standard di powerpoint", "presentation", "no slide title", "slide 1", "pptx"}
)  # fmt: skip
_OFF: Final = frozenset({"0", "false"})
_WIDTH, _HEIGHT = 9_144_000, 6_858_000  # EMU, where the presentation does not say


class PptxReader:
    """Reads .pptx, .pptm and .ppsx bytes; macros are never looked at, nothing outside the file is fetched."""

    def __init__(self, *, max_cells: int = MAX_CELLS, ocr: str = AUTO) -> None:
        self._max_cells = max_cells
        self._ocr = ocr
        self.identity = versions.with_ocr(versions.PPTX, ocr)

    def read(self, source: Source) -> Document:
        """The slides in their order: title, text, tables, charts, SmartArt and pictures, then notes and comments.

        Hidden slides and shapes are flagged, footers are boilerplate. Raises ReadError: encrypted, corrupt,
        unsafe_content, limit_exceeded, type_mismatch or no_text.
        """
        package = Package.open(source.content)
        main = (package.related("", "officeDocument") or ["ppt/presentation.xml"])[0]
        root = package.xml(main)
        if root is None or name(root) != "presentation":
            raise ReadError("type_mismatch", "This is a ZIP file without a PowerPoint presentation inside.")
        show = _Show(package, main, root, self._max_cells)
        pages = show.read()
        found, title = properties(package)
        metadata, left_out = document_metadata(found)
        read_pictures(show.builder, self._ocr)
        return show.builder.document(
            source,
            reader=self.identity,
            media_type=PPTX,
            title="" if title.lower() in _NO_TITLES else title,
            metadata=metadata,
            pages=pages or None,
            warnings=(*show.warnings(), *left_out),
            hidden_told=True,
        )


class _Show:
    """One pass over the slides; what belongs to a slide (notes, charts, comments) is read where it is named."""

    def __init__(self, package: Package, main: str, root: Any, max_cells: int) -> None:
        self.builder = Builder(max_cells=max_cells)
        self.max_cells = max_cells
        self._package = package
        self._relations = relations(package, main)
        self._slides = [one.get(f"{R}id") or "" for one in root.iterfind(f"{P}sldIdLst/{P}sldId")]
        size = root.find(f"{P}sldSz")
        sides = (number(size.get("cx")), number(size.get("cy"))) if size is not None else (None, None)
        self._width, self._height = (sides[0] or _WIDTH) / POINT, (sides[1] or _HEIGHT) / POINT
        self._layouts = Layouts(package)
        self._authors = self._read_authors()
        self._static: set[str] = set()
        self._counts = dict.fromkeys(_SAID, 0)

    def warnings(self) -> Iterator[str]:
        for what, said in _SAID.items():
            if count := self._counts[what]:
                yield said.format(f"{count:,}")

    def read(self) -> int:
        """Add the blocks of all slides; how many slides there are."""
        if len(self._slides) > _MAX_SLIDES:
            raise over("It", len(self._slides), "slides", _MAX_SLIDES, "Split the file.")
        seen: set[str] = set()
        page = 0
        for identity in self._slides:
            relation = self._relations.get(identity)
            if relation is None or relation.external or relation.target in seen:
                self._counts["lost"] += 1
                continue
            seen.add(relation.target)
            root = self._package.xml(relation.target)
            if root is None:
                self._counts["lost"] += 1
                continue
            page += 1
            self._slide(root, relation.target, page)
        return page

    def _slide(self, root: Any, part: str, page: int) -> None:
        before = self.builder.size
        related = relations(self._package, part)
        layout = self._layouts.of(part)
        hidden = (root.get("show") or "1") in _OFF
        self._counts["hidden"] += hidden
        shapes = shapes_of(root.find(f"{P}cSld/{P}spTree"), layout.boxes)
        shows_layout = (root.get("showMasterSp") or "1") not in _OFF
        under = layout.drawn if shows_layout else ()
        looks = SlideLooks(root, shapes, layout.palette, layout.ground, under, layout.fill, layout.runs)
        slide = _Slide(self, page, related=related, layout=layout, looks=looks, hidden=hidden)
        for shape in in_order(shapes):
            slide.add(shape)
        # By a count of its own: what stands in shapes of unknown kinds, or below merged cells, is not passed over.
        lost = _written(root) - slide.characters
        if lost > 0:
            self.builder.leave_out(Reason.UNREADABLE, characters=lost)
            self._counts["characters"] += lost
        for text, box in () if hidden else layout.static:
            if text not in self._static:
                self._static.add(text)
                slide.put(Piece(BlockKind.FOOTER, text, boilerplate=True), box, path=())
        self._notes(slide, related)
        self._comments(slide, related)
        if hidden:
            self.builder.leave_out(Reason.HIDDEN, pages=1)
        elif self.builder.size == before:
            self.builder.leave_out(Reason.TOO_SMALL, pages=1)

    def _notes(self, slide: _Slide, related: Mapping[str, Relation]) -> None:
        for relation in related.values():
            root = self._package.xml(relation.target) if relation.kind == "notesSlide" else None
            if root is None:
                continue
            links = relations(self._package, relation.target)
            for shape in shapes_of(root.find(f"{P}cSld/{P}spTree")):
                if shape.placeholder not in MARGINS | {"sldImg"}:
                    for line in lines_of(shape.element.find(f"{P}txBody"), links):
                        piece = Piece(BlockKind.PARAGRAPH, line.text, links=line.links)
                        slide.put(piece, None, path=(*slide.path, NOTES))

    def _comments(self, slide: _Slide, related: Mapping[str, Relation]) -> None:
        for relation in related.values():
            root = self._package.xml(relation.target) if relation.kind == "comments" else None
            for one in root.iter(f"{P}cm", f"{_MODERN}cm", f"{_MODERN}reply") if root is not None else ():
                if name(one) == "cm" and one.tag.startswith(P):
                    text = tidy(one.findtext(f"{P}text") or "", lines=True)
                else:
                    text = "\n".join(line.text for line in lines_of(one.find(f"{_MODERN}txBody")))
                by = self._authors.get(one.get("authorId") or "", "")
                if text:
                    said = f"Comment by {by}: {text}" if by else f"Comment: {text}"
                    slide.put(Piece(BlockKind.PARAGRAPH, said), None, path=(*slide.path, COMMENTS))

    def _read_authors(self) -> dict[str, str]:
        authors: dict[str, str] = {}
        for relation in self._relations.values():
            root = self._package.xml(relation.target) if relation.kind in {"commentAuthors", "authors"} else None
            for one in root.iter(f"{P}cmAuthor", _MODERN_AUTHOR) if root is not None else ():
                authors[one.get("id") or ""] = tidy(one.get("name") or "")
        return authors

    def is_outside(self, box: Box | None) -> bool:
        """Whether a box lies wholly beside the slide, where no audience sees it."""
        if box is None:
            return False
        left, top, right, bottom = box
        return right <= 0 or bottom <= 0 or left >= self._width or top >= self._height

    def piece_of(self, part: str) -> Piece | None:
        """The chart in a part."""
        return chart_piece(self._package, part, self.max_cells)

    def picture_of(self, relation: Relation, alt: str, piece: Piece) -> Piece | None:
        """`piece` with the picture that a relation leads to, or without where there is none we know."""
        if relation.external or self._package.part(relation.target) is None:
            return piece if alt else None
        found = picture_in(self._package, relation.target, alt)
        if found is None:
            self.builder.leave_out(Reason.UNREADABLE, images=1)
            return piece if alt else None
        return replace(piece, asset=found)

    def diagram(self, relation: Relation) -> list[tuple[int, str]]:
        """The lines of the SmartArt that a relation leads to."""
        root = self._package.xml(relation.target) if not relation.external else None
        return list(diagram_lines(root)) if root is not None else []

    def attach(self, relation: Relation) -> None:
        """Hand on a file that is embedded in a slide."""
        content = self._package.part(relation.target)
        if content:
            self.builder.attach(relation.target.rpartition("/")[2], content)

    def count(self, what: str) -> None:
        """Count one thing that a warning will tell of."""
        self._counts[what] += 1


def _written(slide: Any) -> int:
    """How many characters a slide holds as text, white space apart, each rendering of the same thing once."""
    others = {text for fallback in slide.iter(FALLBACK) for text in fallback.iter(f"{A}t")}
    return sum(count_characters(tidy(text.text or "")) for text in slide.iter(f"{A}t") if text not in others)


class _Slide:
    """Adds the shapes of one slide, in the order they come."""

    def __init__(
        self,
        show: _Show,
        page: int,
        *,
        related: Mapping[str, Relation],
        layout: Layout,
        looks: SlideLooks,
        hidden: bool,
    ) -> None:
        self.path: tuple[str, ...] = ()
        self.characters = 0  # of the slide's own text, read so far
        self._show = show
        self._page = page
        self._related = related
        self._layout = layout
        self._looks = looks
        self._hidden = hidden

    def put(self, piece: Piece, box: Box | None, *, path: tuple[str, ...] | None = None, hidden: bool = False) -> None:
        """Add one piece that stands in `box` of this slide, under its title unless `path` says otherwise."""
        piece.regions = (Region(self._page, box),)
        piece.hidden = self._hidden or hidden
        piece.path = self.path if path is None else path
        self._show.builder.add(piece)

    def add(self, shape: Shape) -> None:
        """Add what a shape says and shows."""
        hidden = shape.hidden
        if self._show.is_outside(shape.box) or self._looks.is_covered(shape):
            hidden = True
        if hidden and not self._hidden:
            self._show.count("shapes")
        element = shape.element
        kind = name(element)
        if kind == "graphicFrame":
            self._frame(shape, hidden)
        elif kind == "pic":
            self._picture(shape, element, hidden)
        else:
            self._text(shape, hidden)

    def _text(self, shape: Shape, hidden: bool) -> None:
        body = shape.element.find(f"{P}txBody")
        lines = lines_of(body, self._related, self._looks.hides(shape))
        unseen = "\n".join(line.unseen for line in lines if line.unseen)
        if unseen:
            self.characters += count_characters(unseen)
            self._unseen(Piece(BlockKind.PARAGRAPH, unseen), shape)
        lines = [line for line in lines if line.text]
        self.characters += sum(count_characters(line.text) for line in lines)
        if shape.placeholder in TITLES:
            text = " ".join(line.text for line in lines)
            if text and not self.path:
                # White space within a heading is one space, there as here.
                self.path = () if self._hidden or hidden else (" ".join(text.split()),)
                self.put(Piece(BlockKind.HEADING, text, 1), shape.box, hidden=hidden)
            elif text:
                self.put(Piece(BlockKind.PARAGRAPH, text), shape.box, hidden=hidden)
            return
        if shape.placeholder in MARGINS:
            for line in lines:
                self.put(Piece(BlockKind.FOOTER, line.text, boilerplate=True), shape.box, path=(), hidden=hidden)
            return
        own = own_levels(body)
        for line in lines:
            # The number of a numbered item is not written: the file does not hold it, only how to count.
            if self._bullet(shape, own, line):
                piece = Piece(BlockKind.LIST_ITEM, line.text, line.level, links=line.links)
            else:
                piece = Piece(BlockKind.PARAGRAPH, line.text, links=line.links)
            self.put(piece, shape.box, hidden=hidden)

    def _unseen(self, piece: Piece, shape: Shape) -> None:
        self._show.count("texts")
        self.put(piece, shape.box, hidden=True)

    def _bullet(self, shape: Shape, own: Mapping[int, str], line: Line) -> str:
        found = line.bullet if line.bullet is not None else own.get(line.level)
        if found is None and shape.placeholder:
            found = self._layout.bullet(shape.key, line.level)
        return found or ""

    def _frame(self, shape: Shape, hidden: bool) -> None:
        alt = alt_text(shape.element.find(f"{P}nvGraphicFramePr/{P}cNvPr"))
        data = shape.element.find(f"{A}graphic/{A}graphicData")
        for element in data if data is not None else ():
            for one in element.iter(f"{A}tbl", f"{C}chart", f"{DGM}relIds", f"{P}oleObj"):
                if one.tag == f"{A}tbl":
                    hides = partial(self._looks.hides_in_cell, shape, one)
                    for piece in read_table(one, self._page, shape.box, self._related, hides, self._show.max_cells):
                        if piece.hidden:
                            self.characters += count_characters(piece.text)
                            self._unseen(piece, shape)
                            continue
                        rows = piece.table.rows if piece.table is not None else ()
                        self.characters += sum(count_characters(text) for row in rows for text in row if text)
                        self.put(piece, shape.box, hidden=hidden)
                elif one.tag == f"{C}chart":
                    relation = self._related.get(one.get(f"{R}id") or "")
                    found = self._show.piece_of(relation.target) if relation and not relation.external else None
                    if found is not None:
                        found.caption = found.caption or alt
                        self.put(found, shape.box, hidden=hidden)
                elif one.tag == f"{DGM}relIds":
                    relation = self._related.get(one.get(f"{R}dm") or "")
                    for level, text in self._show.diagram(relation) if relation is not None else ():
                        self.put(Piece(BlockKind.LIST_ITEM, text, level), shape.box, hidden=hidden)
                else:
                    relation = self._related.get(one.get(f"{R}id") or "")
                    if relation is not None and relation.kind == "package" and not (self._hidden or hidden):
                        self._show.attach(relation)
                    picture = one.find(f"{P}pic")
                    if picture is not None:
                        self._picture(shape, picture, hidden, alt)

    def _picture(self, shape: Shape, element: Any, hidden: bool, alt: str = "") -> None:
        alt = alt or alt_text(element.find(f"{P}nvPicPr/{P}cNvPr"))
        blip = element.find(f"{P}blipFill/{A}blip")
        relation = self._related.get((blip.get(f"{R}embed") or "") if blip is not None else "")
        piece: Piece | None = Piece(BlockKind.FIGURE, alt, regions=(Region(self._page, shape.box),))
        if relation is not None and piece is not None:
            piece = self._show.picture_of(relation, alt, piece)
        if piece is not None:
            self.put(piece, shape.box, hidden=hidden)


_SAID: Final = {
    "hidden": "Hidden slides, marked as hidden: {}.",
    "shapes": "Shapes that are hidden, covered or beside their slide, marked as hidden: {}.",
    "texts": "Texts that nobody can see by their colour or size, marked as hidden: {}.",
    "characters": "Characters that stand in shapes of unknown kinds and were left out: {}.",
    "lost": "Slides that the presentation names and the file does not hold: {}.",
}
