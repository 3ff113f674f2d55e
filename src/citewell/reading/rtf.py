"""Rich Text: paragraphs with their styles' levels, lists, tables and notes, in the codepages of their fonts."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from typing import Final

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.colours import PAPER, near
from citewell.reading.formats import RTF
from citewell.reading.gaps import fill_places
from citewell.reading.images import picture
from citewell.reading.limits import MAX_CELLS, over
from citewell.reading.metadata import document_metadata
from citewell.reading.pieces import Builder, Piece
from citewell.reading.rtf_flow import Flow, Paragraph
from citewell.reading.rtf_tokens import Token, tokens
from citewell.reading.tables import Table
from citewell.types import BlockKind, Document, Place, Reason, Source, Value, count_characters

MAX_GROUPS: Final = 2000
MAX_PICTURE_BYTES: Final = 16 << 20
_CHARSETS: Final = {0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "big5",
                    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
                    204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850"}  # fmt: skip
_SIGNS: Final = {"tab": "\t", "line": "\n", "lbr": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘",
                 "rquote": "’", "ldblquote": "“", "rdblquote": "”", "emspace": "\u2003", "enspace": "\u2002",
                 "qmspace": "\u2005", "zwj": "\u200d", "zwnj": "\u200c", "zwbo": "\u200b", "ltrmark": "\u200e",
                 "rtlmark": "\u200f"}  # fmt: skip
# What stands in these is no text of the page. Other destinations marked `\*` are skipped as well.
_SKIPPED: Final = frozenset({
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "objdata", "themedata", "datastore", "listtable",
    "listoverridetable", "rsidtbl", "generator", "filetbl", "xmlnstbl", "latentstyles", "revtbl", "bkmkstart",
    "bkmkend", "fldinst", "sp", "shppict", "nonshppict", "listpicture", "pntext", "listtext", "pnseclvl", "tc", "xe",
    "template", "mmathPr", "fontemb", "panose", "falt", "objclass", "objname", "shpinst", "header", "headerl",
    "headerr", "headerf", "footer", "footerl", "footerr", "footerf", "footnote", "annotation", "atnid", "atnauthor",
    "private", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "htmltag", "mhtmltag",
})  # fmt: skip
_MARGINS: Final = {"header": BlockKind.HEADER, "footer": BlockKind.FOOTER}
_INFO: Final = {"title": "title", "author": "author", "subject": "subject", "keywords": "keywords",
                "company": "company", "creatim": "created", "revtim": "modified"}  # fmt: skip
_MOMENT: Final = ("yr", "mo", "dy", "hr", "min")
_LEVEL: Final = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop|rubrik|заголовок)\s*(\d)", re.IGNORECASE)
_FIELD_LINK: Final = re.compile(r'HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]{1,2000})"', re.IGNORECASE)
_USUAL: Final = 24  # half points of size


@dataclass(slots=True)
class _State:
    """What a group inherits and its end takes back."""

    where: str = "text"  # which destination this is
    codec: str = "cp1252"
    hidden: bool = False
    deleted: bool = False
    skip: int = 1  # bytes or signs that stand in for a \u
    font: int = -1
    colour: int = 0  # by the table of colours, 0 for the usual one
    ground: int = 0
    size: int = _USUAL  # half points


class RtfReader:
    """Reads Rich Text. Headings are told by outline levels and by the names of styles.

    Hidden text is flagged, page headers and footers are boilerplate, tracked deletions and comments are left out and
    counted, notes follow the paragraph they belong to. Pictures in a format that is kept are assets.
    """

    identity = versions.RTF

    def __init__(self, *, max_cells: int = MAX_CELLS) -> None:
        self._max_cells = max_cells

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError: corrupt, no_text, limit_exceeded."""
        walk = _Walk(source.content)
        walk.run()
        builder = Builder(max_cells=self._max_cells)
        pieces = [*walk.headers, *walk.body.pieces, *walk.footers]
        fill_places(pieces, Place(0, len(source.content)))
        for piece in pieces:
            builder.add(piece)
        builder.leave_out(Reason.HIDDEN, characters=walk.left_out)
        builder.leave_out(Reason.UNREADABLE, images=walk.unreadable)
        metadata, warnings = document_metadata(walk.info)
        title = str(metadata.pop("title", "") or "")
        if walk.deletions:
            warnings.append(f"{walk.deletions} tracked deletions and comments were left out.")
        return builder.document(
            source, reader=self.identity, media_type=RTF, title=title, metadata=metadata, warnings=warnings
        )


def rtf_text(content: bytes) -> str:
    """The shown text of some RTF, a paragraph a line; "" where there is none."""
    walk = _Walk(content)
    try:
        walk.run()
    except ReadError:
        return ""
    lines = [
        piece.text if piece.table is None else _rows(piece.table) for piece in walk.body.pieces if not piece.hidden
    ]
    return "\n\n".join(lines)


class _Walk:
    """One pass over the tokens; what a group changes stands on a stack."""

    def __init__(self, content: bytes) -> None:
        self.body = Flow()
        self.headers: list[Piece] = []
        self.footers: list[Piece] = []
        self.info: dict[str, Value] = {}
        self.left_out = 0
        self.deletions = 0
        self.unreadable = 0
        self._content = content
        self._stack: list[_State] = []
        self._state = _State()
        self._flow = self.body
        self._flows: list[tuple[int, Flow, str]] = []  # (depth, the flow outside, which destination)
        self._paragraph = Paragraph()
        self._paragraphs: list[Paragraph] = []
        self._bytes = bytearray()
        self._skip = 0
        self._starred = False
        self._fonts: dict[int, str] = {}
        self._font = -1
        self._colours: list[str | None] = []  # None for the usual one
        self._colour: dict[str, int] = {}
        self._page: str | None = PAPER
        self._levels: dict[int, int] = {}
        self._captured: list[str] = []  # the text of a destination that is looked at
        self._style = 0
        self._moment: dict[str, int] = {}
        self._instructions: list[str] = []
        self._links: list[tuple[int, int, str]] = []  # (depth, start, target) of open fields
        self._picture: list[bytes] = []
        self._picture_size = 0
        self._html_off = False
        self._default = "cp1252"

    def run(self) -> None:
        """Fill `body`, `headers`, `footers` and what else is found."""
        for token in tokens(self._content):
            if token.brace == "{":
                self._flush()
                if len(self._stack) >= MAX_GROUPS:
                    deep = len(self._stack) + 1
                    raise over("The RTF", deep, "levels of groups", MAX_GROUPS, "Save it again.", seen=True)
                self._stack.append(self._state)
                self._state = replace(self._state)
            elif token.brace:
                self._flush()
                self._close()
            elif token.word:
                self._word(token)
            elif token.symbol is not None:
                self._flush()
                if token.symbol == "\n":
                    self._end_paragraph(token.at)
                elif token.symbol:
                    self._put(token.symbol)
            else:
                self._raw(token.text)
        self._flush()
        while self._stack:
            self._close()
        self._end_paragraph(len(self._content))
        self._flow.end_table()

    def _raw(self, text: bytes) -> None:
        if self._skip:
            taken = min(self._skip, len(text))
            self._skip -= taken
            text = text[taken:]
        if self._state.where == "pict":
            self._picture_size += len(text)
            if self._picture_size <= 2 * MAX_PICTURE_BYTES:
                self._picture.append(text)
        else:
            self._bytes += text

    def _flush(self) -> None:
        self._skip = 0
        if self._bytes:
            text = bytes(self._bytes).decode(self._state.codec, "replace")
            self._bytes.clear()
            self._put(text)

    def _put(self, text: str) -> None:
        state = self._state
        where = state.where
        if self._html_off:
            return
        if where == "text":
            if state.deleted:
                self.left_out += count_characters(text)
            elif state.hidden or self._vanishes(state):
                self._flow.unseen.append(text)
            else:
                self._flow.text.append(text)
        elif where in ("style", "font", "fldinst", "info"):
            self._captured.append(text)
        elif where == "colours":
            for _ in range(text.count(";")):
                levels = [self._colour.get(name, 0) for name in ("red", "green", "blue")]
                self._colours.append("".join(f"{level:02X}" for level in levels) if self._colour else None)
                self._colour = {}
        elif where == "comment":
            self.left_out += count_characters(text)

    def _vanishes(self, state: _State) -> bool:
        """Whether text cannot be seen: too small, or of the colour of what it stands on."""
        if state.size <= 2:
            return True  # nobody reads 1 pt
        if not 0 < state.colour < len(self._colours):
            return False
        ground = state.ground or self._paragraph.ground
        if 0 < ground < len(self._colours):
            return near(self._colours[state.colour], self._colours[ground])
        return not self._flow.row_is_shaded and near(self._colours[state.colour], self._page)

    def _word(self, token: Token) -> None:
        word, number = token.word, token.number
        if self._skip and word not in ("u", "uc"):
            self._skip -= 1  # a control word stands for one sign of the stand-in
            if word not in ("par", "cell", "row"):
                return
        if word == "u" and number is not None:
            self._unicode(number)
            return
        self._flush()
        if word == "*":
            self._starred = True
            return
        starred, self._starred = self._starred, False
        if word in _SKIPPED or starred:
            self._destination(word, starred, token.at)
            return
        state, paragraph = self._state, self._paragraph
        if word in _SIGNS:
            self._put(_SIGNS[word])
            return
        match word:
            case "par" | "sect" | "page" | "softline":
                if state.where == "text":
                    self._end_paragraph(token.at)
            case "pard":
                self._paragraph = Paragraph()
            case "plain":
                state.hidden = state.deleted = False
                state.colour = state.ground = 0
                state.size = _USUAL
                state.codec = self._default
            case "v":
                state.hidden = number != 0
            case "deleted":
                self.deletions += number != 0 and not state.deleted
                state.deleted = number != 0
            case "ansicpg" | "cpg":
                state.codec = self._default = _codec(number) or state.codec
            case "mac":
                state.codec = self._default = "mac_roman"
            case "pc":
                state.codec = "cp437"
            case "uc":
                state.skip = max(number or 0, 0)
            case "f" if number is not None:
                if state.where == "font":
                    self._font = number
                else:
                    state.codec = self._fonts.get(number, state.codec)
            case "fcharset" if state.where == "font":
                self._fonts[self._font] = _CHARSETS.get(number or 0, "cp1252")
            case "s" if number is not None:
                if state.where == "style":
                    self._style = number
                else:
                    paragraph.style = number
            case "outlinelevel" if number is not None:
                if state.where == "style":
                    self._levels[self._style] = number + 1
                else:
                    paragraph.outline = number
            case "ls" | "pnlvlblt" | "pnlvlbody":
                paragraph.listed = True
            case "ilvl":
                paragraph.level = min(max(number or 0, 0), 9)
            case "intbl":
                paragraph.in_table = True
            case "cell" | "nestcell":
                self._flow.end_cell(nested=word == "nestcell")
            case "row":
                self._flow.end_row()
            case "nestrow":
                if self._flow.nested:
                    self._flow.cell.append(" ".join(self._flow.nested))
                    self._flow.nested.clear()
            case "trowd":
                self._flow.row_is_header = self._flow.row_is_shaded = False
            case "clcbpat" | "clshdng":
                self._flow.row_is_shaded = True
            case "cf" if state.where == "text":
                state.colour = number or 0
            case "highlight" | "chcbpat" | "cb" if state.where == "text":
                state.ground = number or 0
            case "cbpat" if state.where == "text":
                paragraph.ground = number or 0
            case "fs" if state.where == "text":
                state.size = _USUAL if number is None else number
            case "red" | "green" | "blue" if state.where == "colours":
                self._colour = {**self._colour, word: min(max(number or 0, 0), 255)}
            case "trhdr":
                self._flow.row_is_header = True
            case "htmlrtf":
                self._html_off = number != 0
            case _ if state.where == "info" and word in (*_MOMENT, "sec"):
                self._moment[word] = number or 0
            case _ if state.where == "info" and word in _INFO:
                state.where = "info"
                self._captured.clear()
                self._moment.clear()
                self._instructions = [word]
            case _:
                pass

    def _unicode(self, number: int) -> None:
        if self._skip:
            self._skip = 0
        self._flush()
        code = number & 0xFFFF
        if 0xD800 <= code <= 0xDFFF or code >= 32:
            self._put(chr(code))
        self._skip = self._state.skip

    def _destination(self, word: str, starred: bool, at: int) -> None:
        state = self._state
        if state.where not in ("text", "object") and word not in ("pict",):
            return
        match word:
            case "fonttbl":
                state.where = "font"
            case "colortbl":
                state.where = "colours"
            case "background":
                self._page = None  # a drawing that is under all pages
                state.where = "skipped"
            case "stylesheet":
                state.where = "style"
                self._captured.clear()
            case "info":
                state.where = "info"
            case "fldinst":
                state.where = "fldinst"
                self._captured.clear()
            case "pict":
                state.where = "pict"
                self._picture.clear()
                self._picture_size = 0
            case "object" | "shppict" | "shpinst" | "shptxt" | "pn" | "pnseclvl":
                if word in ("pn", "pnseclvl"):
                    self._paragraph.listed = True
                    state.where = "skipped"
                elif word == "object":
                    state.where = "object"
            case "listtext" | "pntext":
                self._paragraph.listed = True
                state.where = "skipped"
            case "annotation":
                self.deletions += 1
                state.where = "comment"
            case (
                "footnote" | "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf"
            ):
                self._flows.append((len(self._stack), self._flow, word))
                self._paragraphs.append(self._paragraph)
                self._flow, self._paragraph = Flow(start=at), Paragraph()
            case "result" | "shprslt" | "txbxcontent" | "fldrslt":
                pass
            case "sp":
                state.where = "skipped"
            case _:
                if not (starred and word in ("shptxt", "fldrslt", "docvar_text")):
                    state.where = "skipped"

    def _close(self) -> None:
        if not self._stack:
            return  # one brace too many says nothing
        state, self._state = self._state, self._stack.pop()
        depth = len(self._stack)
        outer = self._state.where
        self._starred = False
        if state.where == "style" and outer == "style":
            name = "".join(self._captured).strip().rstrip(";")
            if (found := _LEVEL.match(name)) and self._style not in self._levels:
                self._levels[self._style] = int(found[1])
            elif name.lower() == "title":
                self._levels.setdefault(self._style, 1)
            self._captured.clear()
            self._style = 0
        elif state.where == "fldinst" and outer != "fldinst":
            if found := _FIELD_LINK.search("".join(self._captured)):
                self._links.append((depth, sum(map(len, self._flow.text)), found[1]))
            self._captured.clear()
        elif state.where == "info" and self._instructions:
            self._take_info()
        elif state.where == "pict" and outer != "pict":
            self._take_picture()
        while self._links and self._links[-1][0] > depth:
            _, start, target = self._links.pop()
            if (end := sum(map(len, self._flow.text))) > start:
                self._flow.links.append((start, end, target))
        if self._flows and self._flows[-1][0] > depth:
            self._end_flow()

    def _end_flow(self) -> None:
        self._end_paragraph(len(self._content))
        self._flow.end_table()
        _, outer, word = self._flows.pop()
        inner, self._flow = self._flow, outer
        self._paragraph = self._paragraphs.pop()
        for piece in inner.pieces:
            piece.path = ()
            if word == "footnote":
                piece.kind = BlockKind.PARAGRAPH if piece.kind is BlockKind.HEADING else piece.kind
            else:
                piece.boilerplate = True
                if piece.table is None:
                    piece.kind = _MARGINS[word[:6]]
        if word == "footnote":
            outer.notes.extend(inner.pieces)
        else:
            known = self.headers if word.startswith("header") else self.footers
            known.extend(piece for piece in inner.pieces if piece.text not in [one.text for one in known])

    def _take_info(self) -> None:
        key = _INFO[self._instructions[0]]
        self._instructions = []
        if self._moment.get("yr"):
            year, month, day, hour, minute = (self._moment.get(name, 0) for name in _MOMENT)
            self.info[key] = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:00"
        elif text := " ".join("".join(self._captured).split()):
            self.info[key] = text
        self._captured.clear()

    def _take_picture(self) -> None:
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", b"".join(self._picture))
        self._picture.clear()
        found = picture(bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))) if digits else None
        if found is None or self._picture_size > 2 * MAX_PICTURE_BYTES:
            self.unreadable += 1
        else:
            self._flow.pieces.append(Piece(BlockKind.FIGURE, asset=found))

    def _end_paragraph(self, at: int) -> None:
        paragraph = self._paragraph
        level = paragraph.outline + 1 if paragraph.outline >= 0 else self._levels.get(paragraph.style, 0)
        self._flow.end_paragraph(paragraph, level, at)
        self._links = [(depth, 0, target) for depth, _, target in self._links]


def _rows(table: Table) -> str:
    return "\n".join(" | ".join(cell or "" for cell in row) for row in table.rows)


def _codec(codepage: int | None) -> str | None:
    try:
        return codecs.lookup("utf-8" if codepage == 65001 else f"cp{codepage}").name
    except LookupError:
        return None
