"""Made-up Word documents whose headings are marked in all the ways that real ones have, and are known.

Headings are what Word's navigation shows: paragraphs of a heading style, of a style based on one, or with an outline
level; titles count as level 1. Bold paragraphs, captions, entries of a table of contents, what stands in cells, margins
or notes, and paragraphs whose outline level is "body text" are none.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from citewell.testing.office_files import OFFICE, OfficeFile, packed, text_of
from citewell.testing.prose import Prose

_W: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NAMES: Final = (
    f'xmlns:w="{_W}" xmlns:r="{OFFICE}" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)
_ROMAN: Final = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV")


def docx_files(count: int, seed: int = 1) -> Iterator[OfficeFile]:
    """`count` documents; `said` has their headings as (level, text). The same for the same `seed`."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    for number in range(count):
        manner = list(_MANNERS)[number % len(_MANNERS)]
        scheme = list(_SCHEMES)[number // len(_MANNERS) % len(_SCHEMES)]
        yield _Writer(chance, manner, scheme).document()


class _Writer(Prose):
    """One document: headings in one manner of marking and one scheme of numbering, other things between them."""

    def __init__(self, chance: random.Random, manner: str, scheme: str) -> None:
        super().__init__(chance)
        self.file = OfficeFile(f"{manner}-{scheme}.docx")
        self.styles, self.style_of, self.direct = _MANNERS[manner]
        self.scheme = scheme
        self.counts = [0] * 9
        self.body: list[str] = []

    def document(self) -> OfficeFile:
        if self.chance.random() < 0.5:
            title = self.title()
            self.file.said["1", title] += 1
            self.body.append(_p(_r(title), "<w:pStyle w:val='Title'/>"))
            self.body.append(_p(_r(self.title()), "<w:pStyle w:val='Subtitle'/>"))
        if self.chance.random() < 0.4:
            self.body.append(self.contents())
        others = list(_OTHERS)
        self.chance.shuffle(others)
        for _ in range(self.chance.randint(2, 4)):
            self.body.append(self.heading(1))
            for _ in range(self.chance.randint(1, 3)):
                self.body.append(self.heading(2))
                self.body.append(others.pop()(self) if others else _p(_r(self.prose())))
                if self.chance.random() < 0.4:
                    self.body.append(self.heading(3) + _p(_r(self.prose())))
                    if self.chance.random() < 0.3:
                        # Where numbers are printed, no level is left out: what Word prints for it is in no standard.
                        deep = 4 if _SCHEMES[self.scheme] else self.chance.choice([4, 6])
                        self.body.append(self.heading(deep) + _p(_r(self.prose())))
        self.file.content = self.saved()
        return self.file

    def saved(self) -> bytes:
        styles = _STYLES + "".join(
            f'<w:style w:type="paragraph" w:styleId="{identity}"><w:name w:val="{name}"/>'
            + (f'<w:basedOn w:val="{based}"/>' if based else "")
            + f"<w:pPr>{self.numbered(identity)}{outline}</w:pPr></w:style>"
            for identity, name, based, outline in self.styles
        )
        parts = {
            "word/document.xml": f"<w:document {_NAMES}><w:body>{''.join(self.body)}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {_NAMES}>{styles}</w:styles>",
            "word/numbering.xml": f"<w:numbering {_NAMES}>{_SCHEMES[self.scheme]}{_LISTS}</w:numbering>",
            "word/header1.xml": f"<w:hdr {_NAMES}>{self.marked(1, _r(self.title()))}</w:hdr>",
            "word/footnotes.xml": f'<w:footnotes {_NAMES}><w:footnote w:id="2">{_p(_r(self.sentence()))}'
            "</w:footnote></w:footnotes>",
        }
        kinds = {name: f"wordprocessingml.{kind}" for name, kind in zip(parts, _KINDS, strict=True)}
        kinds["word/document.xml"] += ".main"
        links = [f"r{n} {kind} {kind}{'1' if kind == 'header' else ''}.xml" for n, kind in enumerate(_KINDS[1:])]
        return packed("word/document.xml", parts, kinds, {"word/document.xml": links})

    def numbered(self, style: str) -> str:
        """The numbering that a heading style has of its own."""
        level = next((n for n in range(1, 7) if self.style_of(n) == style), 0)
        if not level or not _SCHEMES[self.scheme]:
            return ""
        return f'<w:numPr><w:ilvl w:val="{level - 1}"/><w:numId w:val="1"/></w:numPr>'

    def marked(self, level: int, runs: str, more: str = "", *, numbered: bool = True) -> str:
        """A paragraph that is a heading of `level`; `numbered` False switches its number off."""
        style = self.style_of(level)
        marks = f'<w:pStyle w:val="{style}"/>' if style else ""
        if _SCHEMES[self.scheme] and (self.direct or not numbered):
            marks += f'<w:numPr><w:ilvl w:val="{level - 1}"/><w:numId w:val="{int(numbered)}"/></w:numPr>'
        return _p(runs, marks + (_outline(level) if self.direct else "") + more)

    def label(self, level: int) -> str:
        """The number that Word prints before the next heading of `level`, with the space after it."""
        if not _SCHEMES[self.scheme]:
            return ""
        first = 0 if self.scheme == "from zero" else 1
        self.counts[level - 1] += 1
        self.counts[level:] = [0] * (9 - level)
        numbers = [str(count - 1 + (first if at == 0 else 1)) for at, count in enumerate(self.counts[:level])]
        match self.scheme:
            case "chapters" if level == 1:
                return f"Chapter {numbers[0]}: "
            case "articles" if level == 1:
                return f"Article {_ROMAN[self.counts[0]]}. "
            case "letters" if level == 1:
                return f"{chr(64 + self.counts[0])}) "
            case "letters":
                return ".".join([chr(64 + self.counts[0]), *numbers[1:]]) + " "
            case _:
                return ".".join(numbers) + ("." if level == 1 and self.scheme != "articles" else "") + " "

    def heading(self, level: int) -> str:
        """A heading of `level`, that `said` gets, with what may stand in or around one."""
        text, extra = self.title(), ""
        one, _, rest = text.partition(" ")
        match self.chance.choice(_SHAPES):
            case "runs":
                runs = f'<w:bookmarkStart w:id="1" w:name="a"/>{_r(one[:2])}<w:proofErr w:type="spellStart"/>' + (
                    f'{_r(one[2:] + " ", "<w:i/>")}{_r(rest)}<w:bookmarkEnd w:id="1"/>'
                )
            case "broken":
                runs = f"{_r(one)}<w:r><w:br/></w:r>{_r(rest)}"
            case "tab":
                runs = f"{_r(one)}<w:r><w:tab/></w:r>{_r(rest)}"
            case "inserted":
                runs = f'<w:ins w:id="5" w:author="x">{_r(one + " ")}</w:ins>{_r(rest)}'
            case "all inserted":
                runs, extra = f'<w:ins w:id="5" w:author="x">{_r(text)}</w:ins>', '<w:rPr><w:ins w:id="4"/></w:rPr>'
            case "edited":
                gone = f'<w:del w:id="6" w:author="x"><w:r><w:delText>{self.words(1, 2)}</w:delText></w:r></w:del>'
                runs = f"{_r(one + ' ')}{gone}{_r(rest)}"
            case "linked":
                runs = f'<w:hyperlink w:anchor="a">{_r(one)}</w:hyperlink>{_r(" " + rest)}'
            case "noted":
                runs = f'{_r(text)}<w:r><w:footnoteReference w:id="2"/></w:r>'
            case "hidden words":
                runs = f"{_r(self.words(1, 2) + ' ', '<w:vanish/>')}{_r(text)}"
            case "field":
                field = "".join(f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate"))
                field = field.replace("</w:r><w:r>", "</w:r><w:r><w:instrText>REF a</w:instrText></w:r><w:r>")
                runs = f'{field}{_r(one)}<w:r><w:fldChar w:fldCharType="end"/></w:r>{_r(" " + rest)}'
            case _:
                runs = _r(text)
        said = f"{self.label(level)}{text}"
        self.file.said[str(level), said] += 1
        made = self.marked(level, runs, extra)
        if self.chance.random() < 0.1:
            return f"<w:sdt><w:sdtPr/><w:sdtContent>{made}</w:sdtContent></w:sdt>"
        return made

    def contents(self) -> str:
        """A table of contents; Word's own style for its heading says that it is body text."""
        made = _p(_r("Contents"), "<w:pStyle w:val='TOCHeading'/>")
        made += "".join(_p(_r(f"{self.title()}\t{n}"), f"<w:pStyle w:val='TOC{n}'/>") for n in (1, 2, 1))
        return f"<w:sdt><w:sdtPr/><w:sdtContent>{made}</w:sdtContent></w:sdt>"

    def bold(self) -> str:
        return _p(_r(self.title(), '<w:b/><w:sz w:val="32"/>')) + _p(_r(self.prose()))

    def empty(self) -> str:
        """A heading without words: Word numbers it, and shows nothing else."""
        self.label(2)
        return self.marked(2, "") + _p(_r(self.prose()))

    def table(self) -> str:
        """A table whose cells are in a heading's style, as of forms, with a caption."""
        rows = ""
        for _ in range(3):
            cells = self.marked(2, _r(self.title()), numbered=False), _p(_r(self.words(1, 3)))
            rows += f"<w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr>"
        return f"<w:tbl>{rows}</w:tbl>" + _p(_r(f"Table 1: {self.title()}"), '<w:pStyle w:val="Caption"/>')

    def preface(self) -> str:
        """A heading whose number is switched off, as of a preface or an index."""
        text = self.title()
        self.file.said["1", text] += 1
        return self.marked(1, _r(text), numbered=False) + _p(_r(self.prose()))

    def boxed(self) -> str:
        """A text box with a heading in it, in the two renderings that Word writes."""
        text = self.title()
        self.file.said["2", f"{self.label(2)}{text}"] += 1
        inside = f"<w:txbxContent>{self.marked(2, _r(text))}{_p(_r(self.sentence()))}</w:txbxContent>"
        drawing = (
            '<w:drawing><wp:inline><wp:docPr id="1" name="Text Box 1"/><a:graphic><a:graphicData><wps:wsp><wps:txbx>'
            f"{inside}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing>"
        )
        return _p(
            f'{_r(self.sentence())}<w:r><mc:AlternateContent><mc:Choice Requires="wps">{drawing}</mc:Choice>'
            f"<mc:Fallback><w:pict><v:shape><v:textbox>{inside}</v:textbox></v:shape></w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r>"
        )

    def deleted(self) -> str:
        """A heading that a tracked change takes away, and one that was moved: it counts where it went."""
        gone = f'<w:del w:id="7" w:author="x"><w:r><w:delText>{self.title()}</w:delText></w:r></w:del>'
        text = self.title()
        self.file.said["2", f"{self.label(2)}{text}"] += 1
        mark, moved = "<w:rPr><w:{0} w:id='8'/></w:rPr>", "<w:{0} w:id='9'>" + _r(text) + "</w:{0}>"
        return (
            self.marked(2, gone, mark.format("del"))
            + self.marked(2, moved.format("moveFrom"), mark.format("moveFrom"))
            + self.marked(2, moved.format("moveTo"), mark.format("moveTo"))
        )

    def list(self) -> str:
        """A numbered list, whose numbers are none of the headings'."""
        numbers = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="7"/></w:numPr>'
        return "".join(_p(_r(self.sentence()), numbers) for _ in range(3))

    def demoted(self) -> str:
        """A style based on a heading, and on the paragraph the outline level of body text."""
        return _p(_r(self.title()), '<w:pStyle w:val="Aside"/><w:outlineLvl w:val="9"/>') + _p(_r(self.prose()))

    def quoted(self) -> str:
        return _p(_r(self.sentence()), '<w:pStyle w:val="Quote"/>') + _p(_r(self.prose(), "<w:i/>"))

    def outlined(self) -> str:
        """A paragraph of the plain style with an outline level of its own."""
        text = self.title()
        self.file.said["3", text] += 1
        return _p(_r(text, "<w:b/>"), '<w:outlineLvl w:val="2"/>') + _p(_r(self.prose()))


def _r(text: str, look: str = "") -> str:
    properties = f"<w:rPr>{look}</w:rPr>" if look else ""
    return f'<w:r>{properties}<w:t xml:space="preserve">{text_of(text)}</w:t></w:r>'


def _p(runs: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{runs}</w:p>"


def _outline(level: int) -> str:
    return f'<w:outlineLvl w:val="{level - 1}"/>'


_KINDS: Final = ("document", "styles", "numbering", "header", "footnotes")
_SHAPES: Final = (
    *("plain", "plain", "plain", "runs", "broken", "tab", "inserted", "all inserted"),
    *("edited", "linked", "noted", "hidden words", "field"),
)
_OTHERS: Final[tuple[Callable[[_Writer], str], ...]] = (
    *(_Writer.bold, _Writer.empty, _Writer.table, _Writer.preface, _Writer.boxed, _Writer.deleted),
    *(_Writer.list, _Writer.demoted, _Writer.quoted, _Writer.outlined),
)
_LEVELS: Final = range(1, 7)
_Style = tuple[str, str, str, str]
_BUILT_IN: Final[list[_Style]] = [(f"Heading{n}", f"heading {n}", "Normal", _outline(n)) for n in _LEVELS]

# How headings are marked: the styles (id, name, based on, outline), the style of a level, and whether paragraphs
# have their outline level (and number) themselves.
_MANNERS: Final[dict[str, tuple[Sequence[_Style], Callable[[int], str], bool]]] = {
    "built-in": (_BUILT_IN, "Heading{}".format, False),
    "German Word": (
        [(f"berschrift{n}", f"heading {n}", "Standard", _outline(n)) for n in _LEVELS],
        "berschrift{}".format,
        False,
    ),
    "LibreOffice": (
        [("Heading", "Heading", "Normal", ""), *((f"Heading{n}", f"Heading {n}", "Heading", "") for n in _LEVELS)],
        "Heading{}".format,
        False,
    ),
    "of our own": (
        [(f"Kapitel{n}", f"Kapitel Ebene {n}", "Normal", _outline(n)) for n in _LEVELS],
        "Kapitel{}".format,
        False,
    ),
    "based on": (
        [*_BUILT_IN, *((f"Acme{n}", f"Acme Section {'ABCDEF'[n - 1]}", f"Heading{n}", "") for n in _LEVELS)],
        "Acme{}".format,
        False,
    ),
    "based on what is based on": (
        [
            *((f"Base{n}", f"Base {n}", "Normal", _outline(n)) for n in _LEVELS),
            *((f"Mid{n}", f"Mid {n}", f"Base{n}", "") for n in _LEVELS),
            *((f"Top{n}", f"Top {n}", f"Mid{n}", "") for n in _LEVELS),
        ],
        "Top{}".format,
        False,
    ),
    "another level": (
        # Each style is based on the heading above it and says its own level.
        [
            *_BUILT_IN[:1],
            *((f"Sub{n}", f"Sub {n}", "Heading1" if n == 1 else f"Sub{n - 1}", _outline(n)) for n in _LEVELS),
        ],
        "Sub{}".format,
        False,
    ),
    "on the paragraph": ([], lambda _: "", True),
}

_STYLES: Final = (
    '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/><w:basedOn w:val="Normal"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Subtitle"><w:name w:val="Subtitle"/><w:basedOn w:val="Title"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
    "</w:style>"
    '<w:style w:type="paragraph" w:styleId="Aside"><w:name w:val="Aside"/><w:basedOn w:val="H1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="TOCHeading"><w:name w:val="TOC Heading"/><w:basedOn w:val="H1"/>'
    '<w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="TOC1"><w:name w:val="toc 1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="TOC2"><w:name w:val="toc 2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Caption"><w:name w:val="caption"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Quote"><w:name w:val="Quote"/></w:style>'
    '<w:style w:type="character" w:styleId="Heading1Char"><w:name w:val="Heading 1 Char"/></w:style>'
)


def _levels(first: str, *, start: int = 1, form: str = "decimal", legal: bool = False) -> str:
    """The nine levels of a list for headings: `first` is the pattern of the first."""
    made = f'<w:lvl w:ilvl="0"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{first}"/></w:lvl>'
    for n in range(2, 10):
        pattern = ".".join(f"%{at}" for at in range(1, n + 1))
        made += (
            f'<w:lvl w:ilvl="{n - 1}"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
            f'{"<w:isLgl/>" if legal else ""}<w:lvlText w:val="{pattern}"/></w:lvl>'
        )
    return f'<w:abstractNum w:abstractNumId="0">{made}</w:abstractNum>'


_ONE: Final = '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
_SCHEMES: Final[dict[str, str]] = {
    "none": "",
    "decimal": _levels("%1.") + _ONE,
    "chapters": _levels("Chapter %1:") + _ONE,
    "articles": _levels("Article %1.", form="upperRoman", legal=True) + _ONE,
    "letters": _levels("%1)", form="upperLetter") + _ONE,
    "from zero": _levels("%1.", start=0) + _ONE,
}
_LISTS: Final = (
    '<w:abstractNum w:abstractNumId="5"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
    '<w:lvlText w:val="%1)"/></w:lvl></w:abstractNum><w:num w:numId="7"><w:abstractNumId w:val="5"/></w:num>'
)
