"""reStructuredText through docutils, with what only Sphinx knows read for the words in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.decode import decode
from citewell.reading.formats import RST
from citewell.reading.gaps import fill_places
from citewell.reading.limits import MAX_CELLS
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Builder, Piece
from citewell.reading.tables import CellText, Places, grid
from citewell.types import BlockKind, Document, Place, Reason, Source, Value, count_characters

_MAX_NAMES: Final = 300  # directives and roles of one file that docutils does not know
_DIRECTIVE: Final = re.compile(r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]{1,100}\|[ \t]*)?([\w:+.-]{1,60})::", re.MULTILINE)
_ROLE: Final = re.compile(r":([a-zA-Z][\w:+.-]{0,60}):`|`:([a-zA-Z][\w:+.-]{0,60}):")
_TARGETED: Final = re.compile(r"^[!~.]?(.*?)(?<!\s)\s*<([^<>]*)>$", re.DOTALL)
# Directives of lists of files and of index entries: no words for readers.
_NO_TEXT: Final = frozenset(
    {"toctree", "index", "only", "currentmodule", "highlight", "tabularcolumns", "default-domain"}
)
_CODE: Final = frozenset({"prompt", "ipython", "testcode", "doctest", "testoutput", "productionlist", "graphviz",
                          "mermaid", "code-cell", "parsed-code"})  # fmt: skip
_ASIDE: Final = frozenset(
    {"comment", "substitution_definition", "target", "pending", "raw", "meta", "docinfo", "generated"}
)


class RstReader:
    """Reads reStructuredText: sections, paragraphs, lists, tables, code, admonitions, footnotes, definitions.

    No file is included and no raw markup passed through. Directives and roles that only Sphinx has keep their words;
    comments are left out and counted, tables of contents go.
    """

    identity = versions.RST

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, limit_exceeded, no_text."""
        decoded = decode(source.content)
        try:
            tree = _tree(decoded.text)
            walk = _Walk(self._max_cells)
            walk.blocks(tree, 0)
        except RecursionError as error:
            raise ReadError("limit_exceeded", "The file is nested too deeply to be read. Flatten it.") from error
        _place(decoded.text, walk)
        builder = Builder(max_cells=self._max_cells)
        for piece in walk.pieces:
            builder.add(piece)
        builder.leave_out(Reason.HIDDEN, characters=walk.comments)
        found: dict[str, Value] = {**walk.fields, "encoding": decoded.encoding}
        metadata, warnings = document_metadata(found)
        return builder.document(
            source,
            reader=self.identity,
            media_type=RST,
            metadata=metadata,
            warnings=[*decoded.warnings, *warnings, *walk.warnings],
        )


def _tree(text: str) -> Any:
    from docutils.core import publish_doctree

    _know(text)
    return publish_doctree(
        text,
        settings_overrides={
            "file_insertion_enabled": False,
            "raw_enabled": False,
            "_disable_config": True,
            "report_level": 5,
            "halt_level": 5,
            "warning_stream": False,
            "doctitle_xform": False,
            "sectsubtitle_xform": False,
            "syntax_highlight": "none",
            "smart_quotes": False,
            "line_length_limit": 1_000_000,
            "input_encoding": "unicode",
        },
    )


def _know(text: str) -> None:
    """Make docutils know the directives and roles of `text` that it has not: as boxes, code or words."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives, languages, roles
    from docutils.parsers.rst.languages import en
    from docutils.utils import Reporter

    class Anything(dict[str, Any]):
        """Options of any name, unread."""

        def __missing__(self, key: str) -> Any:
            return lambda value: value or ""

    class Box(Directive):  # type: ignore[misc]
        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True
        option_spec = Anything(name=lambda value: value or "")

        def run(self) -> list[Any]:
            kind = self.name.rpartition(":")[2]
            if kind in _NO_TEXT:
                return []
            box = nodes.container()
            words = self.arguments[0] if self.arguments else ""
            if kind in _CODE:
                box += nodes.literal_block("\n".join(self.content), "\n".join(self.content))
                return [box]
            if words:
                inline, messages = self.state.inline_text(words, self.lineno)
                box += nodes.paragraph(words, "", *inline, *messages)
            if self.content:
                self.state.nested_parse(self.content, self.content_offset, box)
            return [box]

    def role(name: str, raw: str, words: str, *_: Any, **__: Any) -> Any:
        shown = _TARGETED.match(words)
        said = shown[1] if shown else words.lstrip("!~") if not words.startswith("~") else words.rpartition(".")[2]
        return [nodes.inline(raw, said)], []

    reporter = Reporter("", 5, 5, stream=False)
    for name in list(dict.fromkeys(_DIRECTIVE.findall(text)))[:_MAX_NAMES]:
        known, _ = directives.directive(name, languages.get_language("en", reporter), nodes.document(None, reporter))
        if known is None:
            directives.register_directive(name, Box)
    for one, other in list(dict.fromkeys(_ROLE.findall(text)))[:_MAX_NAMES]:
        name = (one or other).lower()
        if name not in en.roles and name not in roles._roles:
            roles.register_local_role(name, role)


class _Walk:
    """One pass over the tree; docutils itself calls as deep as the tree goes."""

    def __init__(self, max_cells: int) -> None:
        self.pieces: list[Piece] = []
        self.raws: list[str] = []  # what each piece is in the source, as far as docutils tells
        self.fields: dict[str, Value] = {}
        self.warnings: list[str] = []
        self.comments = 0
        self._max_cells = max_cells
        self._items: list[Piece | None] = []
        self._label = ""

    def blocks(self, parent: Any, depth: int) -> None:
        """Add the blocks under `parent`, which stands `depth` sections deep."""
        for node in parent.children:
            match node.tagname:
                case "section":
                    self.blocks(node, depth + 1)
                case "title" | "rubric":
                    kind = (
                        BlockKind.HEADING
                        if node.tagname == "title" and parent.tagname == "section"
                        else BlockKind.PARAGRAPH
                    )
                    self._add(node, Piece(kind, node.astext(), max(depth, 1), links=_links(node)))
                case "paragraph" | "attribution":
                    self._paragraph(node)
                case "bullet_list" | "enumerated_list":
                    for item in node.children:
                        self._items.append(None)
                        self.blocks(item, depth)
                        self._items.pop()
                case "definition_list_item":
                    self._items.append(None)
                    terms = " : ".join(one.astext() for one in node.children if one.tagname in ("term", "classifier"))
                    self._item(node, terms, ())
                    self.blocks(node.children[-1], depth)
                    self._items.pop()
                case "term" | "classifier" | "colspec" | "label":
                    pass
                case "literal_block" | "doctest_block" | "math_block":
                    classes = [one for one in node.get("classes", ()) if one != "code"]
                    language = str(node.get("language") or (classes[0] if classes else "")) or None
                    self._add(node, Piece(BlockKind.CODE, node.astext(), language=language))
                case "line_block":
                    self._add(node, Piece(BlockKind.PARAGRAPH, node.astext().replace("\n\n", "\n")))
                case "table":
                    self._table(node)
                case "figure":
                    caption = next((one.astext() for one in node.children if one.tagname == "caption"), "")
                    alt = next((str(one.get("alt", "")) for one in node.findall() if one.tagname == "image"), "")
                    self._add(node, Piece(BlockKind.FIGURE, alt or caption, caption=caption if alt else ""))
                    for legend in (one for one in node.children if one.tagname == "legend"):
                        self.blocks(legend, depth)
                case "image":
                    self._add(node, Piece(BlockKind.FIGURE, str(node.get("alt", ""))))
                case "field" | "option_list_item":
                    name, body = node.children[0].astext(), node.children[-1].astext()
                    self._add(node, Piece(BlockKind.PARAGRAPH, f"{name}: {body}" if body else name))
                case "docinfo":
                    self._docinfo(node)
                case "topic" if "contents" in node.get("classes", ()):
                    pass
                case "footnote" | "citation":
                    text = " ".join(one.astext() for one in node.children if one.tagname != "label")
                    mark = next((one.astext() for one in node.children if one.tagname == "label"), "")
                    self._add(node, Piece(BlockKind.PARAGRAPH, f"[{mark}] {text}" if mark else text, path=()))
                case "comment":
                    self.comments += count_characters(node.astext())
                case "system_message":
                    # What docutils could not read is in the message that says so.
                    for block in node.children:
                        if block.tagname == "literal_block":
                            self._add(block, Piece(BlockKind.CODE, block.astext()))
                case name if name in _ASIDE:
                    pass
                case "#text":
                    pass
                case _:
                    self.blocks(node, depth)

    def _paragraph(self, node: Any) -> None:
        text = node.astext()
        if self._items:
            self._item(node, text, _links(node))
        else:
            self._add(node, Piece(BlockKind.PARAGRAPH, " ".join(text.split("\n")), links=_links(node)))
        for image in (one for one in node.findall() if one.tagname == "image" and one.get("alt")):
            self._add(image, Piece(BlockKind.FIGURE, str(image["alt"])))

    def _item(self, node: Any, text: str, links: Sequence[tuple[int, int, str]]) -> None:
        text = " ".join(text.split("\n"))
        held = self._items[-1]
        if held is not None and self.pieces and self.pieces[-1] is held:
            at = len(held.text) + 1
            held.text += f"\n{text}"
            held.links = [*held.links, *((start + at, end + at, target) for start, end, target in links)]
            return
        piece = Piece(BlockKind.LIST_ITEM, text, len(self._items) - 1, links=links)
        self._items[-1] = piece
        self._add(node, piece)

    def _table(self, table: Any) -> None:
        rows = [(row, row.parent.tagname == "thead") for row in table.findall() if row.tagname == "row"]
        places = Places(len(rows), self._max_cells)
        cells: list[CellText] = []
        for number, (row, header) in enumerate(rows):
            for entry in row.children:
                down, across = entry.get("morerows", 0) + 1, entry.get("morecols", 0) + 1
                column, reach = places.take(number, down, across)
                cells.append(CellText(number, column, entry.astext(), header, reach, across))
        caption = next((one.astext() for one in table.children if one.tagname == "title"), "")
        self._add(table, Piece(BlockKind.TABLE, table=grid(cells, self._max_cells), caption=caption))

    def _docinfo(self, node: Any) -> None:
        for field in node.children:
            if field.tagname == "field":
                name, value = field.children[0].astext(), field.children[-1].astext()
            else:
                name, value = field.tagname, field.astext()
            self.fields.setdefault(re.sub(r"\W+", "_", name.strip().lower()), " ".join(value.split()))

    def _add(self, node: Any, piece: Piece) -> None:
        self.pieces.append(piece)
        raw = node.rawsource
        if not raw:
            raw = "\n".join(one.rawsource for one in node.findall() if one.tagname == "paragraph" and one.rawsource)
        self.raws.append(raw)


def _links(node: Any) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    at = 0
    for inner in node.findall():
        if inner.tagname == "reference" and inner.get("refuri"):
            found.append((at, at + len(inner.astext()), str(inner["refuri"])))
        elif inner.tagname == "#text":
            at += len(inner.astext())
    return found


def _place(text: str, walk: _Walk) -> None:
    """Find each piece by the first and last lines that docutils says it was made of, after the piece before."""
    at = line = 0
    for piece, raw in zip(walk.pieces, walk.raws, strict=True):
        lines = [line.strip() for line in raw.split("\n") if line.strip()]
        if not lines:
            continue
        start = text.find(lines[0], at)
        last = text.find(lines[-1], start) if start >= 0 else -1
        if start >= 0 and last >= 0:
            line += text.count("\n", at, start)
            until = line + text.count("\n", start, last)
            piece.source = Place(line, until + 1, "lines")
            at, line = last + len(lines[-1]), until
    fill_places(walk.pieces, Place(0, text.count("\n") + 1, "lines"))
