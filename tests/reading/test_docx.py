"""Word documents: structure, merged cells, hidden and deleted text, hostile archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.errors import ReadError
from citewell.reading.docx import DocxReader
from citewell.types import Block, BlockKind, Document, Source

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = """
<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Heading2"><w:name w:val="heading 2"/></w:style>
<w:style w:type="paragraph" w:styleId="MySub"><w:name w:val="My sub"/><w:basedOn w:val="Heading2"/></w:style>
<w:style w:type="paragraph" w:styleId="Caption"><w:name w:val="caption"/></w:style>
"""
NUMBERING = """
<w:abstractNum w:abstractNumId="0">
 <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
 <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="1">
 <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="-"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
"""
CORE = """<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">
 <dc:title>The plan</dc:title><dc:creator>Ada</dc:creator><dcterms:created>2024-01-02T03:04:05Z</dcterms:created>
</cp:coreProperties>"""


def packed(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def parts(body: str, **more: str) -> dict[str, str | bytes]:
    def part(tag: str, inside: str) -> str:
        return f'<w:{tag} xmlns:w="{W}" xmlns:r="{OFFICE}">{inside}</w:{tag}>'

    named = {"styles": STYLES, "numbering": NUMBERING, **more}
    tags = {"header": "hdr", "footer": "ftr"}
    relations = "".join(
        f'<Relationship Id="r{n}" Type="{OFFICE}/{kind}" Target="{kind}.xml"/>' for n, kind in enumerate(named)
    )
    return {
        "_rels/.rels": f'<Relationships xmlns="{RELS}"><Relationship Id="a" Type="{OFFICE}/officeDocument" '
        f'Target="word/document.xml"/><Relationship Id="b" Type="{RELS}/metadata/core-properties" '
        'Target="docProps/core.xml"/></Relationships>',
        "docProps/core.xml": CORE,
        "word/document.xml": part("document", f"<w:body>{body}</w:body>"),
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{RELS}">{relations}</Relationships>',
        **{f"word/{kind}.xml": part(tags.get(kind, kind), inside) for kind, inside in named.items()},
    }


def p(text: str, style: str = "", run: str = "", inside: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:rPr>{run}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>{inside}</w:p>'


def item(text: str, number: int = 1, level: int = 0) -> str:
    return (
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>'
        f"<w:r><w:t>{text}</w:t></w:r></w:p>"
    )


def cell(text: str, properties: str = "", run: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text, run=run)}</w:tc>"


def row(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def read(body: str, **more: str) -> Document:
    return DocxReader().read(Source("file:///plan.docx", packed(parts(body, **more))))


def shown(document: Document) -> list[tuple[BlockKind, str]]:
    return [(block.kind, block.span.of(document.text)) for block in document.blocks]


def refusal(content: bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        DocxReader().read(Source("file:///bad.docx", content))
    return caught.value


def test_headings_paragraphs_and_lists_keep_their_place() -> None:
    document = read(
        p("Rules", "Heading1") + p("All of us.") + p("Keys", "MySub") + item("one") + item("sub", level=1)
        + item("two") + item("dot", number=2)
    )  # fmt: skip
    assert shown(document) == [
        (BlockKind.HEADING, "Rules"),
        (BlockKind.PARAGRAPH, "All of us."),
        (BlockKind.HEADING, "Keys"),
        (BlockKind.LIST_ITEM, "1. one"),
        (BlockKind.LIST_ITEM, "1.a) sub"),
        (BlockKind.LIST_ITEM, "2. two"),
        (BlockKind.LIST_ITEM, "dot"),
    ]
    assert [block.level for block in document.blocks] == [1, 0, 2, 0, 1, 0, 0]
    assert document.blocks[3].heading_path == ("Rules", "Keys")
    assert document.blocks[2].heading_path == ("Rules",)
    assert document.title == "The plan"
    assert document.metadata == {"author": "Ada", "created": "2024-01-02T03:04:05Z"}
    assert document.pages is None
    assert not any(block.regions for block in document.blocks)


def numbered(*instances: tuple[int, str], levels: str) -> str:
    """Numbering of one definition with these levels; each instance has its id and what it changes."""
    made = "".join(f'<w:num w:numId="{n}"><w:abstractNumId w:val="0"/>{more}</w:num>' for n, more in instances)
    return f'<w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>{made}'


def a_level(depth: int, pattern: str, more: str = "", *, form: str = "decimal", start: int = 1) -> str:
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{pattern}"/></w:lvl>'
    )


def test_a_list_that_says_so_starts_anew_and_one_that_does_not_goes_on() -> None:
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
    document = read(
        item("a", 1) + item("b", 1) + item("c", 2) + item("d", 3) + item("e", 3) + item("f", 1),
        numbering=numbered((1, ""), (2, ""), (3, anew), levels=a_level(0, "%1.")),
    )
    assert document.text.split("\n") == ["1. a", "2. b", "3. c", "1. d", "2. e", "3. f"]


def test_each_level_of_a_list_starts_where_the_list_itself_says() -> None:
    starts = "".join(
        f'<w:lvlOverride w:ilvl="{depth}"><w:startOverride w:val="{start}"/></w:lvlOverride>'
        for depth, start in ((0, 1), (1, 5))
    )
    numbering = numbered((1, ""), (2, starts), levels=a_level(0, "%1.") + a_level(1, "%1.%2"))
    items = item("a", 1) + item("b", 2) + item("c", 2, 1) + item("d", 2, 1) + item("e", 2) + item("f", 2, 1)
    said = ["1. a", "1. b", "1.5 c", "1.6 d", "2. e", "2.5 f"]
    assert read(items, numbering=numbering).text.split("\n") == said
    # What has not begun is printed as if it had.
    assert read(item("a", 1) + item("b", 2, 1), numbering=numbering).text.split("\n") == ["1. a", "1.5 b"]


def test_a_hidden_paragraph_takes_no_number() -> None:
    hidden = '<w:style w:type="paragraph" w:styleId="Gone"><w:name w:val="Gone"/><w:rPr><w:vanish/></w:rPr></w:style>'
    gone = item("gone").replace("<w:pPr>", '<w:pPr><w:pStyle w:val="Gone"/>')
    document = read(
        item("a") + gone + item("b"), styles=STYLES + hidden, numbering=numbered((1, ""), levels=a_level(0, "%1."))
    )
    assert [block.span.of(document.text) for block in document.blocks if not block.hidden] == ["1. a", "2. b"]


def test_numbers_are_printed_as_word_prints_them() -> None:
    levels = (
        a_level(0, "%1", form="upperRoman", start=0)
        + a_level(1, "%1.%2", "<w:isLgl/>")
        + a_level(2, "(%3)", '<w:lvlRestart w:val="0"/>', form="lowerLetter")
    )
    empty = item("", level=1)
    gone = item("", level=1).replace("</w:pPr>", "<w:rPr><w:del w:id='1'/></w:rPr></w:pPr>")
    document = read(
        item("a") + item("b") + item("c", level=1) + empty + gone + item("d", level=1) + item("e", level=2)
        + item("f") + item("g", level=1) + item("h", level=2),
        numbering=numbered((1, ""), levels=levels),
    )  # fmt: skip
    said = document.text.split("\n")
    assert said == ["0 a", "I b", "1.1 c", "1.3 d", "(a) e", "II f", "2.1 g", "(b) h"]


def test_a_list_of_a_list_style_has_the_numbers_of_that_style() -> None:
    style = '<w:abstractNum w:abstractNumId="1"><w:styleLink w:val="Laws"/>' + a_level(0, "§ %1") + "</w:abstractNum>"
    uses = '<w:numStyleLink w:val="Laws"/>'
    assert read(item("a"), numbering=style + numbered((1, ""), levels=uses)).text == "§ 1 a"


@pytest.mark.parametrize(
    ("style", "own", "level"),
    [
        ('<w:name w:val="Mine"/><w:basedOn w:val="Heading2"/>', "", 2),
        ('<w:name w:val="Mine"/><w:basedOn w:val="Heading2"/><w:pPr><w:outlineLvl w:val="4"/></w:pPr>', "", 5),
        ('<w:name w:val="TOC Heading"/><w:basedOn w:val="Heading2"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr>', "", 0),
        ('<w:name w:val="Mine"/><w:basedOn w:val="Heading2"/>', '<w:outlineLvl w:val="9"/>', 0),
        ('<w:name w:val="heading 3"/>', '<w:outlineLvl w:val="0"/>', 3),
        ('<w:name w:val="Überschrift"/>', '<w:outlineLvl w:val="0"/>', 1),
    ],
)
def test_the_nearest_that_names_a_level_decides_whether_a_paragraph_is_a_heading(
    style: str, own: str, level: int
) -> None:
    paragraph = p("Words", "Mine").replace("</w:pPr>", f"{own}</w:pPr>")
    styles = f'{STYLES}<w:style w:type="paragraph" w:styleId="Mine">{style}</w:style>'
    (block,) = read(paragraph, styles=styles).blocks
    assert (block.kind is BlockKind.HEADING, block.level) == (level > 0, level)


def test_merged_cells_stand_once_and_know_their_reach() -> None:
    document = read(
        "<w:tbl>"
        + row(cell("Rate", run="<w:b/>"), cell("Years", '<w:gridSpan w:val="2"/>', run="<w:b/>"))
        + row(cell("up", '<w:vMerge w:val="restart"/>'), cell("2023"), cell("2024"))
        + row(cell("", "<w:vMerge/>"), cell("4"), cell("5"))
        + "</w:tbl>"
    )
    (table,) = document.blocks
    assert table.span.of(document.text) == "Rate | Years\nup | 2023 | 2024\n | 4 | 5"
    found = [(c.row, c.column, c.row_span, c.column_span, c.header, c.span.of(document.text)) for c in table.cells]
    assert found == [
        (0, 0, 1, 1, True, "Rate"),
        (0, 1, 1, 2, True, "Years"),
        (1, 0, 2, 1, False, "up"),
        (1, 1, 1, 1, False, "2023"),
        (1, 2, 1, 1, False, "2024"),
        (2, 1, 1, 1, False, "4"),
        (2, 2, 1, 1, False, "5"),
    ]


def test_caption_belongs_to_the_table_beside_it() -> None:
    table = f"<w:tbl>{row(cell('a'))}</w:tbl>"
    above = read(p("Table 1: Fees", "Caption") + table)
    below = read(p("Text") + table + p("Table 1: Fees", "Caption"))
    for document in (above, below):
        block = next(block for block in document.blocks if block.kind is BlockKind.TABLE)
        assert block.caption is not None
        assert block.caption.of(document.text) == "Table 1: Fees"


def test_deleted_text_is_gone_and_inserted_text_is_there() -> None:
    document = read(
        "<w:p><w:r><w:t>The fee is </w:t></w:r><w:del><w:r><w:delText>10</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>20</w:t></w:r></w:ins></w:p>"
    )
    assert document.text == "The fee is 20"
    assert document.warnings == ("1 tracked deletions were left out.",)


@pytest.mark.parametrize("run", ["<w:vanish/>", '<w:color w:val="FFFFFF"/>', '<w:sz w:val="2"/>'])
def test_hidden_text_is_marked_and_apart(run: str) -> None:
    document = read(p("open ", inside=p("secret", run=run)[5:-6]))
    assert [(block.hidden, block.span.of(document.text)) for block in document.blocks] == [
        (True, "secret"),
        (False, "open"),
    ]


def test_white_text_on_a_dark_cell_is_not_hidden() -> None:
    white, dark = '<w:color w:val="FFFFFF"/>', '<w:shd w:fill="1F3864"/>'
    document = read(f"<w:tbl>{row(cell('Name', dark, white))}{row(cell('Bo'))}</w:tbl>")
    assert document.text == "Name\nBo"


def test_headers_and_footers_are_boilerplate_and_footnotes_are_kept() -> None:
    note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    document = read(
        p("Body", inside=note) + '<w:p><w:r><w:br/><w:t>x</w:t></w:r></w:p>',
        header=p("ACME confidential"),
        footer=p("Page 1"),
        footnotes=f'<w:footnote w:id="0" w:type="separator">{p("---")}</w:footnote>'
        f'<w:footnote w:id="2">{p("See law.")}</w:footnote>',
    )  # fmt: skip
    kinds = [(block.kind, block.boilerplate, block.span.of(document.text)) for block in document.blocks]
    assert kinds == [
        (BlockKind.HEADER, True, "ACME confidential"),
        (BlockKind.PARAGRAPH, False, "Body"),
        (BlockKind.PARAGRAPH, False, "x"),
        (BlockKind.PARAGRAPH, False, "See law."),
        (BlockKind.FOOTER, True, "Page 1"),
    ]


HIDDEN = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"


@pytest.mark.parametrize("part", ["body", "cell", "header", "note"])
def test_hidden_text_is_kept_as_hidden_wherever_it_stands(part: str) -> None:
    hidden = f"<w:p>{HIDDEN}<w:r><w:t>shown</w:t></w:r></w:p>"
    note = '<w:p><w:r><w:t>see</w:t><w:footnoteReference w:id="2"/></w:r></w:p>'
    document = read(
        {"body": hidden, "cell": f"<w:tbl><w:tr><w:tc>{hidden}</w:tc></w:tr></w:tbl>", "note": note}.get(part, p("x")),
        header=hidden if part == "header" else p("top"),
        footnotes=f'<w:footnote w:id="2">{hidden if part == "note" else p("note")}</w:footnote>',
    )
    said = {block.span.of(document.text): block.hidden for block in document.blocks}
    assert said["secret"] is True
    assert said["shown"] is False
    assert document.warnings == ("Passages of hidden text, marked as hidden: 1.",)


def test_documents_written_by_python_docx_are_read() -> None:
    docx = pytest.importorskip("docx")
    made = docx.Document()
    made.add_heading("Leave", 1)
    made.add_paragraph("Thirty days.")
    made.add_paragraph("first", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for place, text in enumerate(["Kind", "Days", "Annual", "30"]):
        table.cell(place // 2, place % 2).text = text
    buffer = io.BytesIO()
    made.save(buffer)
    document = DocxReader().read(Source("leave.docx", buffer.getvalue()))
    assert shown(document) == [
        (BlockKind.HEADING, "Leave"),
        (BlockKind.PARAGRAPH, "Thirty days."),
        (BlockKind.LIST_ITEM, "first"),
        (BlockKind.TABLE, "Kind | Days\nAnnual | 30"),
    ]


def test_charts_and_smart_art_say_what_they_show_and_embedded_files_are_handed_on() -> None:
    draw = "http://schemas.openxmlformats.org/drawingml/2006"
    anchor = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
    ole = "urn:schemas-microsoft-com:office:office"
    body = (
        p("Ducks are counted every year.")
        + f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="{anchor}"><wp:docPr id="1" name="x" descr="Ducks by year"/>'
        f'<c:chart xmlns:c="{draw}/chart" r:id="c1"/></wp:inline></w:drawing></w:r></w:p>'
        f'<w:p><w:r><w:drawing><d:relIds xmlns:d="{draw}/diagram" r:dm="d1"/></w:drawing></w:r></w:p>'
        f'<w:p><w:r><w:object><o:OLEObject xmlns:o="{ole}" r:id="e1"/></w:object></w:r></w:p>'
    )
    made = parts(body)
    more = (
        f'<Relationship Id="c1" Type="{OFFICE}/chart" Target="charts/chart1.xml"/>'
        f'<Relationship Id="d1" Type="{OFFICE}/diagramData" Target="diagrams/data1.xml"/>'
        f'<Relationship Id="e1" Type="{OFFICE}/package" Target="embeddings/counts.xlsx"/></Relationships>'
    )
    rels = "word/_rels/document.xml.rels"
    made[rels] = str(made[rels]).replace("</Relationships>", more)

    def cached(kind: str, *values: str) -> str:
        points = "".join(f'<c:pt idx="{n}"><c:v>{value}</c:v></c:pt>' for n, value in enumerate(values))
        return f"<c:{kind}Cache>{points}</c:{kind}Cache>"

    series = (
        f"<c:ser><c:tx><c:strRef>{cached('str', 'Fresh water')}</c:strRef></c:tx>"
        f"<c:cat><c:strRef>{cached('str', '2023', '2024')}</c:strRef></c:cat>"
        f"<c:val><c:numRef>{cached('num', '25', '50')}</c:numRef></c:val></c:ser>"
    )
    made["word/charts/chart1.xml"] = (
        f'<c:chartSpace xmlns:c="{draw}/chart"><c:chart><c:plotArea><c:barChart>{series}</c:barChart></c:plotArea>'
        "</c:chart></c:chartSpace>"
    )
    said = "<d:t><a:p><a:r><a:t>Count, then feed</a:t></a:r></a:p></d:t>"
    made["word/diagrams/data1.xml"] = (
        f'<d:dataModel xmlns:d="{draw}/diagram" xmlns:a="{draw}/main"><d:ptLst>'
        f'<d:pt modelId="1">{said}</d:pt></d:ptLst></d:dataModel>'
    )
    made["word/embeddings/counts.xlsx"] = b"PK\x03\x04"
    document = DocxReader().read(Source("ducks.docx", packed(made)))
    assert shown(document) == [
        (BlockKind.PARAGRAPH, "Ducks are counted every year."),
        (BlockKind.CAPTION, "Ducks by year"),
        (BlockKind.TABLE, " | Fresh water\n2023 | 25\n2024 | 50"),
        (BlockKind.LIST_ITEM, "Count, then feed"),
    ]
    assert [one.uri for one in document.attachments] == ["ducks.docx!/counts.xlsx"]
    assert not document.account.left_out


def test_formulas_keep_what_their_place_says() -> None:
    m = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    document = read(
        f'<w:p><w:r><w:t>A = </w:t></w:r><m:oMath xmlns:m="{m}"><m:f><m:num><m:r><m:t>n+1</m:t></m:r></m:num>'
        "<m:den><m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:den>"
        "</m:f></m:oMath></w:p>"
    )
    assert document.text == "A = (n+1)/(r^2)"


words = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="<>&"), max_size=12)
bodies = st.lists(
    st.one_of(
        words.map(p),
        words.map(lambda text: p(text, "Heading1")),
        words.map(lambda text: p(text, run="<w:vanish/>")),
        words.map(item),
        st.lists(st.lists(words, min_size=1, max_size=3), min_size=1, max_size=3).map(
            lambda rows: f"<w:tbl>{''.join(row(*map(cell, cells)) for cells in rows)}</w:tbl>"
        ),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(bodies)
def test_blocks_ascend_cover_the_text_and_hold_their_cells(body: list[str]) -> None:
    check_laws(read(p("At least this.") + "".join(body)))


def check_laws(document: Document) -> None:
    at = 0
    for block in document.blocks:
        assert not document.text[at : block.span.start].strip()
        assert block.span.of(document.text).strip()
        at = block.span.end
        check_cells(block, document.text)
    assert not document.text[at:].strip()


def check_cells(block: Block, text: str) -> None:
    lines = block.span.of(text).split("\n")
    for one in block.cells:
        assert one.span.within(block.span)
        assert text.count("\n", block.span.start, one.span.start) == one.row
        assert one.row < len(lines)


def test_zip_bomb_is_refused_before_it_is_inflated() -> None:
    error = refusal(packed(parts(p("x" * (40 << 20)))))
    assert error.kind == "limit_exceeded"


def test_archive_that_lies_about_its_sizes_is_stopped_while_inflating() -> None:
    content = bytearray(packed(parts(p("y" * (65 << 20)))))
    true_size = len(parts(p("y" * (65 << 20)))["word/document.xml"])
    lie = (1000).to_bytes(4, "little")
    assert content.count(true_size.to_bytes(4, "little")) >= 2
    error = refusal(bytes(content.replace(true_size.to_bytes(4, "little"), lie)))
    assert error.kind in {"limit_exceeded", "corrupt"}


def test_too_many_entries_are_refused() -> None:
    many: dict[str, str | bytes] = {f"x/{n}": b"" for n in range(10_001)}
    assert refusal(packed({**parts(p("x")), **many})).kind == "limit_exceeded"


@pytest.mark.parametrize(
    "dtd",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "http://example.invalid/x.dtd">',
    ],
)
def test_any_dtd_is_refused(dtd: str) -> None:
    content = parts(p("x"))
    content["word/document.xml"] = dtd + str(content["word/document.xml"])
    assert refusal(packed(content)).kind == "unsafe_content"


def test_truncated_archive_is_corrupt() -> None:
    content = packed(parts(p("x")))
    assert refusal(content[: len(content) // 2]).kind == "corrupt"


def test_encrypted_office_container_is_named_as_encrypted() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600)
    assert refusal(ole).kind == "encrypted"
    assert refusal(ole[:600]).kind == "type_mismatch"


def test_other_archives_and_empty_documents_are_refused() -> None:
    assert refusal(packed({"a.txt": "x"})).kind == "type_mismatch"
    assert refusal(packed(parts(p("")))).kind == "no_text"
    assert refusal(packed(parts(p("secret", run="<w:vanish/>")))).kind == "no_text"
    assert refusal(b"").kind == "empty"


def test_a_document_part_without_bytes_is_corrupt_and_one_without_words_has_no_text() -> None:
    assert refusal(packed({**parts(p("x")), "word/document.xml": b""})).kind == "corrupt"
    assert refusal(packed(parts("<w:p><w:r/></w:p>"))).kind == "no_text"


def test_names_that_climb_out_of_the_archive_touch_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "work"
    inside.mkdir()
    monkeypatch.chdir(inside)
    read_from = packed({**parts(p("x")), "../escaped.txt": "out", "/abs.txt": "out", "word/vbaProject.bin": b"macro"})
    assert DocxReader().read(Source("u", read_from)).text == "x"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nesting_without_end_is_refused() -> None:
    body = "<w:sdt><w:sdtContent>" * 220 + p("x") + "</w:sdtContent></w:sdt>" * 220
    assert refusal(packed(parts(body))).kind == "limit_exceeded"
