"""Made-up presentations, of which it is known what each slide says, and in what part of it."""

# ruff: noqa: E501 (markup is easier to read unbroken)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from citewell.testing.office_files import OFFICE, OfficeFile, packed, text_of
from citewell.testing.prose import Prose

_DRAWING: Final = "http://schemas.openxmlformats.org/drawingml/2006"
_NAMES: Final = (
    f'xmlns:a="{_DRAWING}/main" xmlns:r="{OFFICE}" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
_POINT: Final = 12_700
_WIDTH, _HEIGHT = 960, 540  # points
_PROMPT: Final = "Click to edit"


def pptx_files(count: int, seed: int = 1) -> Iterator[OfficeFile]:
    """`count` presentations, the same for the same `seed`.

    `said` has (slide, part, text) of every line: the parts are `title`, `item` (with a bullet or number), `text`,
    `cell` (of tables and charts), `caption` (of charts), `notes`, `margin` (footers, dates, slide numbers, what a
    layout says on all its slides, which counts on the first) and `hidden`, as is all on a hidden slide.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    for number in range(count):
        yield _Writer(chance, number).presentation()


class _Writer(Prose):
    """One presentation: its slides, each of one layout, with what belongs to them in parts of their own."""

    def __init__(self, chance: random.Random, number: int) -> None:
        super().__init__(chance)
        self.file = OfficeFile(f"deck {number}.pptx")
        self.parts: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.links: dict[str, list[str]] = {}
        self.slide = 0
        self.shown = True
        self.at = 0  # the next id of a shape
        self.top = 0.0  # where the next shape stands, in points
        self.branded = False
        self.told = False  # whether the words that stand on a layout were counted

    def presentation(self) -> OfficeFile:
        main = "ppt/presentation.xml"
        self.branded = self.chance.random() < 0.4
        self.part(main, "presentation.main", "")
        self.links[main] = ["m slideMaster slideMasters/slideMaster1.xml"]
        self.master()
        slides = ""
        for _ in range(self.chance.randint(2, 5)):
            self.slide += 1
            self.add_slide()
            self.links[main].append(f"s{self.slide} slide slides/slide{self.slide}.xml")
            slides += f'<p:sldId id="{255 + self.slide}" r:id="s{self.slide}"/>'
        self.parts[main] = (
            f'<p:presentation {_NAMES}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="m"/></p:sldMasterIdLst><p:sldIdLst>{slides}</p:sldIdLst>'
            f'<p:sldSz cx="{_WIDTH * _POINT}" cy="{_HEIGHT * _POINT}"/></p:presentation>'
        )
        self.file.content = packed(main, self.parts, self.kinds, self.links)
        return self.file

    def part(self, name: str, kind: str, xml: str) -> None:
        self.parts[name] = xml
        self.kinds[name] = kind if kind.startswith("drawingml") else f"presentationml.{kind}"

    def say(self, part: str, text: str) -> str:
        """`text`, counted as said by this slide."""
        self.file.said[str(self.slide), part if self.shown else "hidden", " ".join(text.split())] += 1
        return text

    def master(self) -> None:
        """A master with bullets on all levels, and the layouts."""
        bullets = "".join(f'<a:lvl{n}pPr><a:buChar char="•"/></a:lvl{n}pPr>' for n in range(1, 10))
        tree = self.holder("title", 0, _PROMPT, (40, 20, 880, 80)) + self.holder(
            "body", 1, _PROMPT, (40, 120, 880, 340)
        )
        name = "ppt/slideMasters/slideMaster1.xml"
        self.part(
            name,
            "slideMaster",
            f"<p:sldMaster {_NAMES}>{_tree(tree)}{_COLOURS}<p:txStyles><p:titleStyle/><p:bodyStyle>{bullets}</p:bodyStyle>"
            "<p:otherStyle/></p:txStyles></p:sldMaster>",
        )
        self.links[name] = []
        for layout in _LAYOUTS:
            made = {
                "title slide": self.holder("ctrTitle", 0, _PROMPT, (40, 150, 880, 100))
                + self.holder("subTitle", 1, _PROMPT, (40, 280, 880, 100), "<a:lvl1pPr><a:buNone/></a:lvl1pPr>"),
                "content": self.holder("title", 0, _PROMPT, None) + self.holder("", 1, _PROMPT, None),
                "two": self.holder("title", 0, _PROMPT, None)
                + self.holder("", 1, _PROMPT, (40, 120, 430, 340))
                + self.holder("", 2, _PROMPT, (490, 120, 430, 340)),
                "only title": self.holder("title", 0, _PROMPT, None),
                "blank": "",
            }[layout]
            if self.branded and layout == "content":
                made += self.box(_p(_r("For internal use only")), (700, 500, 200, 20))
            file = f"ppt/slideLayouts/slideLayout{_LAYOUTS.index(layout) + 1}.xml"
            self.part(file, "slideLayout", f"<p:sldLayout {_NAMES}>{_tree(made)}</p:sldLayout>")
            self.links[file] = ["m slideMaster ../slideMasters/slideMaster1.xml"]
            self.links[name].append(f"l{_LAYOUTS.index(layout)} slideLayout ../slideLayouts/{file.rpartition('/')[2]}")

    def add_slide(self) -> None:
        layout = "title slide" if self.slide == 1 else self.chance.choice(_LAYOUTS[1:])
        name = f"ppt/slides/slide{self.slide}.xml"
        self.shown = self.slide == 1 or self.chance.random() > 0.1
        self.links[name] = [f"l slideLayout ../slideLayouts/slideLayout{_LAYOUTS.index(layout) + 1}.xml"]
        self.top = 480.0
        made = []
        if layout != "blank" and self.chance.random() < 0.95:
            made.append(self.title_shape("ctrTitle" if layout == "title slide" else "title"))
        elif layout != "blank":
            made.append(self.holder("title", 0, "", None))  # left empty: what the layout asks for is not said
        match layout:
            case "title slide":
                made.append(self.holder("subTitle", 1, self.say("text", self.title()), None))
            case "content" | "two":
                for index in range(1, 3 if layout == "two" else 2):
                    made.append(self.bullets(index))
            case _:
                self.top = 120.0
                made += [part(self) for part in self.chance.sample(_PARTS, k=self.chance.randint(1, 3))]
        if self.chance.random() < 0.4:
            made += self.margins()
        if self.branded and layout == "content" and self.shown and not self.told:
            self.told = True
            self.say("margin", "For internal use only")
        self.chance.shuffle(made)
        show = "" if self.shown else ' show="0"'
        self.part(name, "slide", f"<p:sld {_NAMES}{show}>{_tree(''.join(made))}</p:sld>")
        if self.chance.random() < 0.5:
            self.notes(name)

    # Shapes.

    def holder(self, role: str, index: int, text: str, place: _Place | None, styles: str = "") -> str:
        """A placeholder with one paragraph; without a place of its own it takes that of its layout or master."""
        return self.held(role, index, _p(_r(text)) if text else "<a:p/>", place, styles)

    def held(self, role: str, index: int, inside: str, place: _Place | None, styles: str = "") -> str:
        kind = (f' type="{role}"' if role else "") + (f' idx="{index}"' if index else "")
        return self.shape(f"<p:ph{kind}/>", inside, place, styles)

    def box(self, inside: str, place: _Place | None = None, styles: str = "", more: str = "") -> str:
        return self.shape("", inside, place or self.below(30), styles, more)

    def shape(self, role: str, inside: str, place: _Place | None, styles: str = "", more: str = "") -> str:
        self.at += 1
        return (
            f'<p:sp><p:nvSpPr><p:cNvPr id="{self.at + 1}" name="Shape {self.at}"{more}/><p:cNvSpPr/><p:nvPr>{role}</p:nvPr></p:nvSpPr>'
            f"<p:spPr>{_xfrm(place)}</p:spPr><p:txBody><a:bodyPr/><a:lstStyle>{styles}</a:lstStyle>{inside}</p:txBody></p:sp>"
        )

    def below(self, height: float) -> _Place:
        """A place under all so far."""
        self.top += height + 12
        return (60, self.top - height - 12, 600, height)

    def title_shape(self, role: str) -> str:
        text = self.say("title", self.title())
        one, _, rest = text.partition(" ")
        inside = self.chance.choice(
            [_r(text), f"{_r(one)}<a:br/>{_r(rest)}", _r(one[:2]) + _r(one[2:] + " ", 'b="1"') + _r(rest)]
        )
        return self.held(role, 0, _p(inside), None)

    def bullets(self, index: int) -> str:
        """A placeholder whose lines have the bullets of the master, some their own or none."""
        made = ""
        for _ in range(self.chance.randint(2, 5)):
            text, level = self.words(3, 9).capitalize(), self.chance.choice([0, 0, 1, 2])
            mark = self.chance.choice(
                ["", "", "", "<a:buNone/>", '<a:buAutoNum type="arabicPeriod"/>', '<a:buChar char="–"/>']
            )
            self.say("text" if mark == "<a:buNone/>" else "item", text)
            one, _, rest = text.partition(" ")
            inside = self.chance.choice([_r(text), _r(one + " ", 'i="1"') + _r(rest), f"{_r(one)}<a:br/>{_r(rest)}"])
            made += _p(inside, f' lvl="{level}"' if level else "", mark)
            if self.chance.random() < 0.15:
                made += "<a:p/>"
        return self.held("", index, made, None)

    def plain(self) -> str:
        return self.box("".join(_p(_r(self.say("text", self.sentence()))) for _ in range(self.chance.randint(1, 2))))

    def own_bullets(self) -> str:
        """A text box whose own list style has bullets."""
        inside = "".join(_p(_r(self.say("item", self.words(3, 8)))) for _ in range(3))
        return self.box(inside, self.below(70), '<a:lvl1pPr><a:buChar char="•"/></a:lvl1pPr>')

    def linked(self) -> str:
        text = self.say("text", self.sentence())
        one, _, rest = text.partition(" ")
        return self.box(_p(f'<a:r><a:rPr><a:hlinkClick r:id="h"/></a:rPr><a:t>{one} </a:t></a:r>{_r(rest)}'))

    def choice(self) -> str:
        """A shape in two renderings, of which one is read."""
        made = self.plain()
        return f'<mc:AlternateContent><mc:Choice Requires="p14">{made}</mc:Choice><mc:Fallback>{made}</mc:Fallback></mc:AlternateContent>'

    def group(self) -> str:
        """Text boxes in groups in a group."""
        outer = self.below(120)
        boxes = [self.box(_p(_r(self.say("text", self.sentence()))), (0, 40.0 * at, 500, 30)) for at in range(3)]
        inner = _group(boxes[1] + boxes[2], (0, 40, 500, 70), (0, 40, 500, 70))
        return _group(boxes[0] + inner, outer, (0, 0, 500, 110))

    def table(self) -> str:
        """A table, with a header and cells that are merged."""
        columns, rows = self.chance.randint(2, 4), self.chance.randint(2, 4)
        made = ""
        wide = self.chance.random() < 0.5
        for row in range(rows):
            cells = ""
            for column in range(columns):
                over = row == 0 and wide and column < 2
                if over and column == 1:
                    cells += f'<a:tc hMerge="1">{_CELL.format("")}</a:tc>'
                    continue
                text = self.say("cell", self.words(1, 3))
                cells += (
                    f"<a:tc{' gridSpan=' + chr(34) + '2' + chr(34) if over else ''}>{_CELL.format(_r(text))}</a:tc>"
                )
            made += f'<a:tr h="{20 * _POINT}">{cells}</a:tr>'
        grid = f'<a:gridCol w="{100 * _POINT}"/>' * columns
        inside = f'<a:tbl><a:tblPr firstRow="1"/><a:tblGrid>{grid}</a:tblGrid>{made}</a:tbl>'
        return self.frame(f'<a:graphicData uri="{_DRAWING}/table">{inside}</a:graphicData>', self.below(20.0 * rows))

    def chart(self) -> str:
        """A chart with a title, categories and series."""
        name = f"ppt/charts/chart{self.slide}-{self.at}.xml"
        title = self.say("caption", self.title())
        categories = [self.say("cell", self.words(1, 2)) for _ in range(3)]
        series = ""
        for at in range(self.chance.randint(1, 2)):
            label = self.say("cell", f"{self.words(1, 1)} {at}")
            values = [self.chance.randrange(1, 100) for _ in range(3)]
            for value in values:
                self.say("cell", f"{value}%")
            series += (
                f"<c:ser><c:tx><c:strRef>{_cache('str', [label])}</c:strRef></c:tx><c:cat><c:strRef>{_cache('str', categories)}</c:strRef></c:cat>"
                f"<c:val><c:numRef>{_cache('num', [repr(value / 100) for value in values], '<c:formatCode>0%</c:formatCode>')}</c:numRef></c:val></c:ser>"
            )
        self.part(
            name,
            "drawingml.chart",
            f'<c:chartSpace xmlns:c="{_DRAWING}/chart" xmlns:a="{_DRAWING}/main"><c:chart><c:title><c:tx><c:rich><a:bodyPr/>{_p(_r(title))}</c:rich></c:tx></c:title>'
            f"<c:plotArea><c:barChart>{series}</c:barChart></c:plotArea></c:chart></c:chartSpace>",
        )
        identity = f"c{self.at}"
        self.links[f"ppt/slides/slide{self.slide}.xml"].append(f"{identity} chart ../charts/{name.rpartition('/')[2]}")
        inside = f'<c:chart xmlns:c="{_DRAWING}/chart" r:id="{identity}"/>'
        return self.frame(f'<a:graphicData uri="{_DRAWING}/chart">{inside}</a:graphicData>', self.below(100))

    def diagram(self) -> str:
        """SmartArt: a list of points."""
        identity = f"d{self.at}"
        name = f"ppt/diagrams/data{self.slide}-{self.at}.xml"
        points = "".join(
            f'<d:pt modelId="{at}"><d:t><a:bodyPr/>{_p(_r(self.say("item", self.words(2, 5))))}</d:t></d:pt>'
            for at in range(1, 4)
        )
        tied = "".join(
            f'<d:cxn modelId="{at + 10}" srcId="0" destId="{at}" srcOrd="{at}" destOrd="0"/>' for at in range(1, 4)
        )
        self.part(
            name,
            "drawingml.diagramData",
            f'<d:dataModel xmlns:d="{_DRAWING}/diagram" xmlns:a="{_DRAWING}/main"><d:ptLst><d:pt modelId="0" type="doc"/>{points}</d:ptLst>'
            f"<d:cxnLst>{tied}</d:cxnLst></d:dataModel>",
        )
        self.links[f"ppt/slides/slide{self.slide}.xml"].append(
            f"{identity} diagramData ../diagrams/{name.rpartition('/')[2]}"
        )
        inside = f'<d:relIds xmlns:d="{_DRAWING}/diagram" r:dm="{identity}" r:lo="x" r:qs="x" r:cs="x"/>'
        return self.frame(f'<a:graphicData uri="{_DRAWING}/diagram">{inside}</a:graphicData>', self.below(80))

    def frame(self, data: str, place: _Place) -> str:
        self.at += 1
        return (
            f'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="{self.at + 1}" name="Frame {self.at}"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>'
            f"{_xfrm(place, 'p')}<a:graphic>{data}</a:graphic></p:graphicFrame>"
        )

    def unseen(self) -> str:
        """A text box that no audience sees: hidden, beside the slide, or in the colour of the slide."""
        text = self.say("hidden", self.sentence())
        match self.chance.choice(["hidden", "beside", "white", "tiny"]):
            case "hidden":
                return self.box(_p(_r(text)), more=' hidden="1"')
            case "beside":
                return self.box(_p(_r(text)), (-700, 100, 600, 30))
            case "tiny":
                return self.box(_p(_r(text, 'sz="100"')))
            case _:
                white = '<a:solidFill><a:srgbClr val="FFFFFF"/></a:solidFill>'
                return self.box(_p(f"<a:r><a:rPr>{white}</a:rPr><a:t>{text}</a:t></a:r>"))

    def margins(self) -> list[str]:
        """A footer, a date and the number of the slide."""
        number = f'<a:fld id="{{1}}" type="slidenum"><a:t>{self.say("margin", str(self.slide))}</a:t></a:fld>'
        return [
            self.holder("ftr", 11, self.say("margin", "Northwind"), (300, 510, 300, 20)),
            self.holder("dt", 10, self.say("margin", "1 May 2026"), (40, 510, 200, 20)),
            self.held("sldNum", 12, _p(number), (800, 510, 100, 20)),
        ]

    def notes(self, slide: str) -> None:
        """What the speaker says, on a page that has a picture of the slide and its number too."""
        name = f"ppt/notesSlides/notesSlide{self.slide}.xml"
        inside = "".join(_p(_r(self.say("notes", self.sentence()))) for _ in range(self.chance.randint(1, 3)))
        number = f'<a:fld id="{{2}}" type="slidenum"><a:t>{self.slide}</a:t></a:fld>'
        tree = (
            self.held("sldImg", 0, "", None)
            + self.held("body", 1, inside, None)
            + self.held("sldNum", 5, _p(number), None)
        )
        self.part(name, "notesSlide", f"<p:notes {_NAMES}>{_tree(tree)}</p:notes>")
        self.links[slide].append(f"n notesSlide ../notesSlides/{name.rpartition('/')[2]}")


_Place = tuple[float, float, float, float]
_CELL: Final = "<a:txBody><a:bodyPr/><a:lstStyle/><a:p>{}</a:p></a:txBody><a:tcPr/>"
_COLOURS: Final = (
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" accent3="accent3" '
    'accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink" folHlink="folHlink"/>'
)
_LAYOUTS: Final = ("title slide", "content", "two", "only title", "blank")
_PARTS: Final[tuple[Callable[[_Writer], str], ...]] = (
    *(_Writer.plain, _Writer.own_bullets, _Writer.linked, _Writer.choice, _Writer.group, _Writer.table),
    *(_Writer.chart, _Writer.diagram, _Writer.unseen),
)


def _tree(inside: str) -> str:
    empty = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    return f"<p:cSld><p:spTree>{empty}{inside}</p:spTree></p:cSld>"


def _group(inside: str, place: _Place, inner: _Place) -> str:
    return (
        '<p:grpSp><p:nvGrpSpPr><p:cNvPr id="900" name="Group"/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr>'
        f"<p:grpSpPr>{_xfrm(place, 'a', inner)}</p:grpSpPr>{inside}</p:grpSp>"
    )


def _xfrm(place: _Place | None, prefix: str = "a", inner: _Place | None = None) -> str:
    if place is None:
        return ""

    def sides(place: _Place, offset: str, extent: str) -> str:
        x, y, width, height = (round(one * _POINT) for one in place)
        return f'<a:{offset} x="{x}" y="{y}"/><a:{extent} cx="{width}" cy="{height}"/>'

    more = sides(inner, "chOff", "chExt") if inner is not None else ""
    return f"<{prefix}:xfrm>{sides(place, 'off', 'ext')}{more}</{prefix}:xfrm>"


def _r(text: str, look: str = "") -> str:
    return f"<a:r><a:rPr {look}/><a:t>{text_of(text)}</a:t></a:r>"


def _p(runs: str, attributes: str = "", marks: str = "") -> str:
    properties = f"<a:pPr{attributes}>{marks}</a:pPr>" if attributes or marks else ""
    return f"<a:p>{properties}{runs}</a:p>"


def _cache(kind: str, values: list[str], more: str = "") -> str:
    points = "".join(f'<c:pt idx="{at}"><c:v>{value}</c:v></c:pt>' for at, value in enumerate(values))
    return f"<c:{kind}Cache>{more}{points}</c:{kind}Cache>"
