"""Presentations: slides as pages, shapes in reading order with their boxes, notes, charts, SmartArt, hostile files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
from lxml import etree
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation as Deck
from pptx.util import Emu, Pt

from citewell.errors import ReadError
from citewell.reading.pptx import COMMENTS, NOTES, PptxReader
from citewell.reading.pptx_shapes import Shape, in_order
from citewell.reading.readers import Readers
from citewell.testing.place_laws import misplaced
from citewell.types import Block, BlockKind, Document, Reason, Source

P = "http://schemas.openxmlformats.org/presentationml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def saved(deck: Deck) -> bytes:
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def slide(deck: Deck, title: str = "", layout: int = 5) -> Any:
    made = deck.slides.add_slide(deck.slide_layouts[layout])
    if title:
        made.shapes.title.text = title
    return made


def box(made: Any, left: float, top: float, text: str, *, width: float = 100, height: float = 30) -> Any:
    shape = made.shapes.add_textbox(Pt(left), Pt(top), Pt(width), Pt(height))
    shape.text_frame.text = text
    return shape


def png(side: int = 40) -> io.BytesIO:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    lines = b"".join(b"\0" + bytes(3 * side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


def changed(content: bytes, replaced: dict[str, str | bytes]) -> bytes:
    """The archive with some of its parts replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in replaced:
                new.writestr(name, old.read(name))
        for name, part in replaced.items():
            new.writestr(name, part)
    return out.getvalue()


def part(content: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name).decode()


def read(content: bytes | Deck) -> Document:
    raw = content if isinstance(content, bytes) else saved(content)
    source = Source("file:///plan.pptx", raw)
    document = PptxReader().read(source)
    assert list(misplaced(document, source)) == []
    check_laws(document)
    return document


def check_laws(document: Document) -> None:
    at = 0
    for block in document.blocks:
        assert not document.text[at : block.span.start].strip()
        assert block.span.of(document.text).strip()
        at = block.span.end
        assert document.pages is not None
        assert all(1 <= region.page <= document.pages for region in block.regions)
        assert block.regions
        for cell in block.cells:
            assert cell.span.within(block.span)
            assert document.text.count("\n", block.span.start, cell.span.start) == cell.row
    assert not document.text[at:].strip()


def refusal(content: bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        PptxReader().read(Source("file:///bad.pptx", content))
    return caught.value


def shown(document: Document) -> list[tuple[str, int, str]]:
    return [(b.kind.value, b.regions[0].page, b.span.of(document.text)) for b in document.blocks if not b.boilerplate]


def only(document: Document, kind: BlockKind) -> Block:
    (found,) = (block for block in document.blocks if block.kind is kind)
    return found


def test_a_slide_is_a_page_and_its_title_a_heading_with_a_box() -> None:
    deck = Presentation()
    slide(deck, "Plan")
    made = slide(deck, "Costs")
    box(made, 100, 200, "Ten thousand")
    document = read(deck)
    assert shown(document) == [
        ("heading", 1, "Plan"),
        ("heading", 2, "Costs"),
        ("paragraph", 2, "Ten thousand"),
    ]
    assert document.pages == 2
    assert document.title == "Plan"
    assert document.blocks[-1].heading_path == ("Costs",)
    assert document.blocks[-1].regions[0].box == (100.0, 200.0, 200.0, 230.0)
    # The title's box is the layout's: the slide itself says nothing of it.
    assert document.blocks[0].regions[0].box is not None


def test_shapes_are_read_by_their_place_and_not_by_their_order_in_the_file() -> None:
    deck = Presentation()
    made = slide(deck)
    for left, top, text in ((300, 300, "right below"), (300, 202, "right"), (50, 300, "left below"), (50, 200, "left")):
        box(made, left, top, text)
    made = slide(deck, "Later")
    box(made, 50, 10, "above the title")
    texts = [text for _, _, text in shown(read(deck))]
    assert texts == ["left", "right", "left below", "right below", "Later", "above the title"]


def test_columns_of_different_rhythm_are_read_one_after_the_other() -> None:
    deck = Presentation()
    made = slide(deck)
    for left, top, height, text in (
        (50, 100, 60, "a1"),
        (50, 170, 80, "a2"),
        (300, 100, 100, "b1"),
        (300, 210, 40, "b2"),
    ):
        box(made, left, top, text, height=height)
    assert [text for _, _, text in shown(read(deck))] == ["a1", "a2", "b1", "b2"]


def test_shapes_without_a_place_stay_in_their_order() -> None:
    def shape(name: str, box: tuple[int, int, int, int] | None, role: str = "", text: str = "x") -> Shape:
        said = f"<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody>"
        return Shape(etree.fromstring(f'<p:sp xmlns:p="{P}" xmlns:a="{A}" n="{name}">{said}</p:sp>'), box, role)

    def order(*shapes: Shape) -> list[str]:
        return [one.element.get("n") for one in in_order(shapes)]

    below, above, title = shape("a", (0, 50, 1, 60)), shape("c", (0, 0, 1, 10)), shape("t", None, "title")
    assert order(below, shape("b", None), above, title) == ["t", "a", "b", "c"]
    assert order(below, shape("b", None, text=""), above, title)[-2:] == ["c", "a"], "what says nothing has no say"


def test_the_box_of_a_shape_in_groups_is_its_place_on_the_slide() -> None:
    deck = Presentation()
    made = slide(deck)
    group = made.shapes.add_group_shape()
    inner = group.shapes.add_textbox(Emu(1000), Emu(1000), Emu(1000), Emu(500))
    inner.text_frame.text = "inside"
    xfrm = group._element.grpSpPr.get_or_add_xfrm()
    for tag, (x, y) in {"off": (Pt(100), Pt(50)), "chOff": (0, 0)}.items():
        xfrm.find(f"{{{A}}}{tag}").set("x", str(int(x)))
        xfrm.find(f"{{{A}}}{tag}").set("y", str(int(y)))
    for tag, (x, y) in {"ext": (Pt(200), Pt(100)), "chExt": (2000, 2000)}.items():
        xfrm.find(f"{{{A}}}{tag}").set("cx", str(int(x)))
        xfrm.find(f"{{{A}}}{tag}").set("cy", str(int(y)))
    assert only(read(deck), BlockKind.PARAGRAPH).regions[0].box == (200.0, 100.0, 300.0, 125.0)


def test_a_turned_shape_has_the_box_around_it() -> None:
    deck = Presentation()
    box(slide(deck), 100, 100, "turned", width=100, height=20).rotation = 90
    assert only(read(deck), BlockKind.PARAGRAPH).regions[0].box == (140.0, 60.0, 160.0, 160.0)


def test_bullets_come_from_the_layout_and_keep_their_levels() -> None:
    deck = Presentation()
    made = slide(deck, "Steps", layout=1)
    frame = made.placeholders[1].text_frame
    frame.text = "one"
    for level, text in ((1, "one a"), (0, "two")):
        line = frame.add_paragraph()
        line.text, line.level = text, level
    found = [(b.kind.value, b.level, b.span.of(document.text)) for document in [read(deck)] for b in document.blocks]
    assert found == [
        ("heading", 1, "Steps"),
        ("list_item", 0, "one"),
        ("list_item", 1, "one a"),
        ("list_item", 0, "two"),
    ]


def test_tables_keep_their_merged_cells_their_header_and_the_boxes_of_cells() -> None:
    deck = Presentation()
    made = slide(deck, "Table")
    table = made.shapes.add_table(3, 3, Pt(60), Pt(150), Pt(300), Pt(90)).table
    for r in range(3):
        for c in range(3):
            table.cell(r, c).text = f"{r}{c}"
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    found = only(read(deck), BlockKind.TABLE)
    cells = {(cell.row, cell.column): cell for cell in found.cells}
    assert (cells[0, 1].row_span, cells[0, 1].column_span) == (1, 2)
    assert (cells[1, 0].row_span, cells[1, 0].column_span) == (2, 1)
    assert [cell.header for cell in found.cells] == [True] * 2 + [False] * 5
    assert cells[1, 1].region is not None
    assert cells[1, 1].region.box == (160.0, 180.0, 260.0, 210.0)


def test_a_chart_is_the_table_it_was_drawn_from() -> None:
    deck = Presentation()
    made = slide(deck, "Ducks")
    data = CategoryChartData(number_format="0%")
    data.categories = ["2023", "2024"]
    data.add_series("Fresh water", (0.25, 0.5))
    data.add_series("Salt water", (0.75, None))
    chart = made.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, Pt(50), Pt(150), Pt(300), Pt(200), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Share of ducks"
    document = read(deck)
    table = only(document, BlockKind.TABLE)
    assert table.span.of(document.text) == " | Fresh water | Salt water\n2023 | 25% | 75%\n2024 | 50% | "
    assert table.caption is not None
    assert table.caption.of(document.text) == "Share of ducks"


def test_notes_and_comments_stand_under_their_slide() -> None:
    deck = Presentation()
    slide(deck, "One").notes_slide.notes_text_frame.text = "Say hello.\nSmile."
    slide(deck, "Two")
    content = saved(deck)
    rels = part(content, "ppt/slides/_rels/slide2.xml.rels")
    comments = f'<Relationship Id="rId77" Type="{OFFICE}/comments" Target="../comments/comment1.xml"/></Relationships>'
    main = part(content, "ppt/_rels/presentation.xml.rels")
    people = f'<p:cmAuthorLst xmlns:p="{P}"><p:cmAuthor id="3" name="Bo"/></p:cmAuthorLst>'
    said = f'<p:cmLst xmlns:p="{P}"><p:cm authorId="3"><p:text>Too dear?</p:text></p:cm></p:cmLst>'
    authors = f'<Relationship Id="rId78" Type="{OFFICE}/commentAuthors" Target="commentAuthors.xml"/></Relationships>'
    document = read(
        changed(
            content,
            {
                "ppt/slides/_rels/slide2.xml.rels": rels.replace("</Relationships>", comments),
                "ppt/_rels/presentation.xml.rels": main.replace("</Relationships>", authors),
                "ppt/commentAuthors.xml": people,
                "ppt/comments/comment1.xml": said,
            },
        )
    )
    assert shown(document) == [
        ("heading", 1, "One"),
        ("paragraph", 1, "Say hello."),
        ("paragraph", 1, "Smile."),
        ("heading", 2, "Two"),
        ("paragraph", 2, "Comment by Bo: Too dear?"),
    ]
    assert document.blocks[1].heading_path == ("One", NOTES)
    assert document.blocks[-1].heading_path == ("Two", COMMENTS)


def test_pictures_are_kept_with_what_is_said_of_them() -> None:
    deck = Presentation()
    made = slide(deck, "Ducks")
    made.shapes.add_picture(png(), Pt(50), Pt(150))._element._nvXxPr.cNvPr.set("descr", "A duck on a pond")
    made.shapes.add_picture(png(41), Pt(50), Pt(300))._element._nvXxPr.cNvPr.set("descr", "image1.png")
    document = read(deck)
    figure = only(document, BlockKind.FIGURE)
    assert figure.span.of(document.text) == "A duck on a pond"
    assert [asset.alt for asset in document.assets] == ["A duck on a pond", ""]
    assert figure.asset == document.assets[0].id
    assert document.assets[0].content == png().getvalue()
    assert document.account.kept.images == 2


def test_a_hidden_slide_and_hidden_shapes_are_flagged() -> None:
    deck = Presentation()
    made = slide(deck, "Open")
    box(made, 50, 150, "unseen")._element.nvSpPr.cNvPr.set("hidden", "1")
    box(made, -500, 150, "beside the slide")
    slide(deck, "Secret")._element.set("show", "0")
    document = read(deck)
    flagged = [block.span.of(document.text) for block in document.blocks if block.hidden]
    assert flagged == ["beside the slide", "unseen", "Secret"]
    assert document.account.left_out[Reason.HIDDEN].pages == 1
    assert document.warnings[0] == "Hidden slides, marked as hidden: 1."


def test_footers_are_boilerplate_and_what_layouts_say_is_not_repeated() -> None:
    deck = Presentation()
    for title in ("One", "Two"):
        made = slide(deck, title)
        footer = made.shapes.add_textbox(Pt(50), Pt(500), Pt(100), Pt(20))
        footer.text_frame.text = "ACME"
        footer._element.nvSpPr.nvPr.append(footer._element.makeelement(f"{{{P}}}ph", {"type": "ftr", "idx": "11"}))
    layout = deck.slide_layouts[5]
    layout.shapes._spTree.append(box(slide(deck, "Three"), 0, 0, "Confidential")._element)
    deck.slides[0]._element.set("show", "0")
    document = read(deck)
    margins = [b.span.of(document.text) for b in document.blocks if b.kind is BlockKind.FOOTER and b.boilerplate]
    assert margins == ["ACME", "ACME", "Confidential"], "a hidden slide is not where they are seen first"
    assert not any("Click to edit" in block.span.of(document.text) for block in document.blocks)


def test_smart_art_is_read_from_its_data_without_running_in_circles() -> None:
    deck = Presentation()
    made = slide(deck, "Cycle")
    frame = made.shapes.add_table(1, 1, Pt(50), Pt(150), Pt(200), Pt(100))._element
    data = frame.find(f".//{{{A}}}graphicData")
    for child in list(data):
        data.remove(child)
    data.append(data.makeelement(f"{{{DGM}}}relIds", {f"{{{OFFICE}}}dm": "rId88"}))
    content = saved(deck)

    def point(name: str, text: str = "", kind: str = "node") -> str:
        said = f"<dgm:t><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t>" if text else ""
        return f'<dgm:pt modelId="{name}" type="{kind}">{said}</dgm:pt>'

    def link(source: str, target: str, order: int) -> str:
        return f'<dgm:cxn modelId="{source}{target}" srcId="{source}" destId="{target}" srcOrd="{order}"/>'

    points = (
        point("0", kind="doc") + point("b", "Second") + point("a", "First") + point("c", "Below") + point("x", "Lost")
    )
    links = link("0", "a", 0) + link("0", "b", 1) + link("a", "c", 0) + link("c", "a", 0) + link("x", "x", 0)
    model = f'<dgm:dataModel xmlns:dgm="{DGM}" xmlns:a="{A}"><dgm:ptLst>{points}</dgm:ptLst><dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>'  # noqa: E501
    rels = part(content, "ppt/slides/_rels/slide1.xml.rels")
    more = f'<Relationship Id="rId88" Type="{OFFICE}/diagramData" Target="../diagrams/data1.xml"/></Relationships>'
    document = read(
        changed(
            content,
            {
                "ppt/slides/_rels/slide1.xml.rels": rels.replace("</Relationships>", more),
                "ppt/diagrams/data1.xml": model,
            },
        )
    )
    items = [(b.level, b.span.of(document.text)) for b in document.blocks if b.kind is BlockKind.LIST_ITEM]
    assert items == [(0, "First"), (1, "Below"), (0, "Second"), (0, "Lost")]


def test_links_are_kept_with_the_words_that_carry_them() -> None:
    deck = Presentation()
    frame = box(slide(deck), 50, 50, "See ").text_frame
    run = frame.paragraphs[0].add_run()
    run.text = "the law"
    run.hyperlink.address = "https://example.org/law"
    document = read(deck)
    (link,) = only(document, BlockKind.PARAGRAPH).links
    assert (link.span.of(document.text), link.target) == ("the law", "https://example.org/law")


def test_every_word_that_python_pptx_finds_is_read() -> None:
    deck = Presentation()
    for number in range(4):
        made = slide(deck, f"Title {number}", layout=(1, 3, 5, 8)[number])
        for place, shape in enumerate(made.placeholders):
            if shape.has_text_frame and shape.placeholder_format.idx:
                shape.text_frame.text = f"body {number} {place}\nsecond {number} {place}"
        box(made, 40 * number, 300, f"note {number}")
    words = {
        word
        for one in deck.slides
        for shape in one.shapes
        if shape.has_text_frame
        for word in shape.text_frame.text.split()
    }
    assert words <= set(read(deck).text.split())


@pytest.mark.parametrize("name", ["ppt/presentation.xml", "ppt/slides/slide1.xml", "ppt/slideLayouts/slideLayout6.xml"])
@pytest.mark.parametrize(
    "dtd",
    ['<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'],
)
def test_any_dtd_is_refused(name: str, dtd: str) -> None:
    deck = Presentation()
    slide(deck, "Title")
    content = saved(deck)
    xml = part(content, name).partition("?>")[2]
    assert refusal(changed(content, {name: dtd + xml})).kind == "unsafe_content"


def test_cut_bombed_empty_and_other_archives_are_refused() -> None:
    deck = Presentation()
    slide(deck, "Title")
    content = saved(deck)
    assert refusal(content[: len(content) // 2]).kind == "corrupt"
    assert (
        refusal(changed(content, {"ppt/slides/slide1.xml": "<a>" + " " * (40 << 20) + "</a>"})).kind == "limit_exceeded"
    )
    assert refusal(changed(content, {"ppt/slides/slide1.xml": "<a>" * 300 + "</a>" * 300})).kind == "limit_exceeded"
    assert refusal(saved(Presentation())).kind == "no_text"
    assert refusal(b"PK\x05\x06" + b"\0" * 18).kind == "type_mismatch"


def test_text_in_a_shape_of_an_unknown_kind_is_counted_as_left_out() -> None:
    deck = Presentation()
    slide(deck, "Title")
    content = saved(deck)
    name = "ppt/slides/slide1.xml"
    odd = "<p:oddSp><p:txBody><a:p><a:r><a:t>lost words</a:t></a:r></a:p></p:txBody></p:oddSp>"
    document = read(changed(content, {name: part(content, name).replace("</p:spTree>", f"{odd}</p:spTree>")}))
    assert document.account.left_out[Reason.UNREADABLE].characters == len("lostwords")
    assert document.warnings == ("Characters that stand in shapes of unknown kinds and were left out: 9.",)
    assert Reason.UNREADABLE not in read(content).account.left_out


def test_groups_as_deep_as_the_parser_allows_are_read() -> None:
    deck = Presentation()
    slide(deck, "Title")
    content = saved(deck)
    said = "<p:sp><p:txBody><a:p><a:r><a:t>bottom</a:t></a:r></a:p></p:txBody></p:sp>"
    groups = "<p:grpSp>" * 240 + said + "</p:grpSp>" * 240
    name = "ppt/slides/slide1.xml"
    xml = part(content, name).replace("</p:spTree>", f"{groups}</p:spTree>")
    assert shown(read(changed(content, {name: xml})))[-1] == ("paragraph", 1, "bottom")


def test_slides_layouts_and_notes_that_point_in_circles_end() -> None:
    deck = Presentation()
    slide(deck, "Title")
    content = saved(deck)
    kinds = ("slideLayout", "slideMaster", "notesSlide", "comments", "diagramData", "chart")
    loop = "".join(
        f'<Relationship Id="l{n}" Type="{OFFICE}/{kind}" Target="slide1.xml"/>' for n, kind in enumerate(kinds)
    )
    rels = f'<Relationships xmlns="{RELS}">{loop}</Relationships>'
    document = read(changed(content, {"ppt/slides/_rels/slide1.xml.rels": rels}))
    assert document.title == "Title"
    assert document.pages == 1


def test_the_dispatcher_reads_presentations_in_a_worker() -> None:
    deck = Presentation()
    slide(deck, "Title")
    readers = Readers()
    try:
        document = readers.read(Source("file:///plan", saved(deck)))
    finally:
        readers.close()
    assert (document.reader, document.pages) == (PptxReader().identity, 1)
