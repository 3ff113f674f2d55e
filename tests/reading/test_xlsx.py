"""Excel workbooks: cells as shown and as stored, tables told apart, what is hidden flagged, hostile files refused."""

from __future__ import annotations

import datetime as dt
import io
import random
import re
import zipfile

import openpyxl
import pytest
from laws import assert_lawful
from openpyxl.comments import Comment
from openpyxl.styles import Font
from openpyxl.worksheet.table import Table

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.reading.number_format import plain
from citewell.reading.readers import Readers
from citewell.reading.sheets import address, cell_name
from citewell.reading.xlsx import XlsxReader
from citewell.testing.place_laws import misplaced
from citewell.types import Block, BlockKind, Document, Reason, Source

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def saved(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def packed(sheet: str, **more: str) -> bytes:
    """A workbook of one sheet with this XML inside; `more` are parts by name, with _ for / and a dot before xml."""
    relations = (
        f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    )
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{RELS}"><Relationship Id="a" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELS}">{relations}</Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}">{sheet}</worksheet>',
        **{f"xl/{name}.xml": content for name, content in more.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(content: bytes | openpyxl.Workbook, **options: int) -> Document:
    raw = content if isinstance(content, bytes) else saved(content)
    source = Source("file:///fee-list.xlsx", raw)
    document = XlsxReader(**options).read(source)
    assert list(misplaced(document, source)) == []
    assert_lawful(document)
    return document


def refusal(content: bytes, **options: int) -> ReadError:
    with pytest.raises(ReadError) as caught:
        XlsxReader(**options).read(Source("file:///bad.xlsx", content))
    return caught.value


def shown(document: Document) -> list[tuple[str, bool, str]]:
    return [(block.kind.value, block.hidden, block.span.of(document.text)) for block in document.blocks]


def tables(document: Document) -> list[Block]:
    return [block for block in document.blocks if block.kind is BlockKind.TABLE]


def addressed(document: Document) -> dict[str, str]:
    """The texts of all cells by their address, lone cells included."""
    found: dict[str, str] = {}
    for block in document.blocks:
        for cell in block.cells:
            found[address(block, cell)] = cell.span.of(document.text)
        if block.kind is BlockKind.PARAGRAPH and re.search(r"!\w+$", address(block)):
            found[address(block)] = block.span.of(document.text)
    return found


def stored(document: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for block in document.blocks:
        text = block.span.of(document.text)
        if text.startswith("Values as stored: "):
            sheet = address(block).rpartition("!")[0]
            for name, value in re.findall(r"([A-Z]+\d+) = (.+?)(?:; |\.$)", text):
                found[f"{sheet}!{name}"] = value
    return found


def rows(*texts: str) -> str:
    return f"<sheetData>{''.join(texts)}</sheetData>"


def fees() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Fees"
    for row in (["Item", "Price", "Share"], ["Tea", 2.5, 0.25], ["Cake", 3.25, 0.5]):
        sheet.append(row)
    return book


def test_a_sheet_is_a_section_and_its_cells_know_their_address() -> None:
    document = read(fees())
    assert shown(document) == [
        ("heading", False, "Fees"),
        ("table", False, "Item | Price | Share\nTea | 2.5 | 0.25\nCake | 3.25 | 0.5"),
    ]
    (table,) = tables(document)
    assert table.heading_path == ("Fees",)
    assert [cell.header for cell in table.cells] == [True] * 3 + [False] * 6
    assert address(table) == "Fees!A1:C3"
    assert addressed(document)["Fees!B3"] == "3.25"
    assert document.account.kept.cells == 9
    assert document.title == "Fee list"


def test_properties_become_title_and_metadata() -> None:
    book = fees()
    book.properties.title = "Fees of 2024"
    book.properties.creator = "Ada"
    book.properties.created = dt.datetime.fromisoformat("2024-01-02T03:04:05")
    document = read(book)
    assert document.title == "Fees of 2024"
    assert document.metadata["author"] == "Ada"
    assert document.metadata["created"] == "2024-01-02T03:04:05Z"


def test_a_cell_says_what_is_shown_and_its_stored_value_stays_to_be_found() -> None:
    book = fees()
    sheet = book["Fees"]
    sheet["B2"].number_format = '"$"#,##0.00'
    sheet["C2"].number_format = "0%"
    sheet["C3"] = 0.1234
    sheet["C3"].number_format = "0%"
    document = read(book)
    assert tables(document)[0].span.of(document.text) == "Item | Price | Share\nTea | $2.50 | 25%\nCake | 3.25 | 12%"
    assert stored(document) == {"Fees!C3": "0.1234"}


def test_dates_times_truths_and_errors_read_as_people_see_them() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(
        [dt.date(2024, 3, 5), dt.datetime.fromisoformat("2024-03-05T17:30:00"), dt.time(9, 15), True, "#DIV/0!"]
    )
    sheet["B1"].number_format = "d mmm yyyy h:mm AM/PM"
    assert list(addressed(read(book)).values()) == ["2024-03-05", "5 Mar 2024 5:30 PM", "9:15:00", "TRUE", "#DIV/0!"]


def test_a_formula_stands_for_its_last_result_or_else_for_itself() -> None:
    sheet = rows('<row r="1"><c r="A1"><f>SUM(B1:B9)</f><v>42</v></c><c r="B1"><f>A1*2</f></c></row>')
    document = read(packed(sheet))
    assert addressed(document) == {"S!A1": "42", "S!B1": "=A1*2"}
    assert any("without a stored result, which stand for themselves: 1" in warning for warning in document.warnings)


def test_tables_apart_by_blank_rows_or_columns_are_tables_of_their_own() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row, column, name in ((1, 1, "x"), (1, 6, "y"), (9, 2, "z")):
        for r in range(4):
            for c in range(3):
                sheet.cell(row + r, column + c, f"{name}-{c}" if r == 0 else r * 10 + c)
    document = read(book)
    assert [address(block) for block in tables(document)] == ["Sheet!A1:C4", "Sheet!F1:H4", "Sheet!B9:D12"]
    assert all(sum(cell.header for cell in block.cells) == 3 for block in tables(document))


def test_a_title_above_a_table_is_its_caption() -> None:
    for gap in (1, 2):
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet["A1"] = "Ducks per year"
        for row, (year, ducks) in enumerate((("Year", "Ducks"), (2023, 160), (2024, 180)), 1 + gap):
            sheet.cell(row, 1, year)
            sheet.cell(row, 2, ducks)
        document = read(book)
        (table,) = tables(document)
        assert table.caption is not None
        assert table.caption.of(document.text) == "Ducks per year"
        assert [address(one) for one in document.blocks if one.kind is BlockKind.CAPTION] == ["Sheet!A1"]
        assert [cell.span.of(document.text) for cell in table.cells if cell.header] == ["Year", "Ducks"]


def test_blank_columns_between_labels_and_their_numbers_do_not_part_them() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row, (label, value) in enumerate((("Topic", "Page"), ("Revenue", 1), ("Costs", 2), ("Cash", 3)), 1):
        sheet.cell(row, 1, label)
        sheet.cell(row, 4, value)
    document = read(book)
    (table,) = tables(document)
    assert table.span.of(document.text).split("\n")[1] == "Revenue | 1"
    assert address(table, table.cells[-1]) == "Sheet!D4"


def test_merged_cells_stand_once_and_know_their_reach() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Rate", "Years", None], [None, "2023", "2024"], ["up", 4, 5], [None, 6, 7]):
        sheet.append(row)
    for where in ("A1:A2", "B1:C1", "A3:A4"):
        sheet.merge_cells(where)
    document = read(book)
    (table,) = tables(document)
    reach = {address(table, cell): (cell.row_span, cell.column_span) for cell in table.cells}
    assert {name: span for name, span in reach.items() if span != (1, 1)} == {
        "Sheet!A1": (2, 1),
        "Sheet!B1": (1, 2),
        "Sheet!A3": (2, 1),
    }
    assert {address(table, cell) for cell in table.cells if cell.header} == {
        "Sheet!A1", "Sheet!B1", "Sheet!B2", "Sheet!C2",
    }  # fmt: skip


def test_a_table_that_the_file_names_has_the_header_that_it_says() -> None:
    book = fees()
    for column, name in enumerate(("1", "2", "3"), 1):
        book["Fees"].cell(1, column, name)
    book["Fees"].add_table(Table(displayName="Prices", ref="A1:C3"))
    (table,) = tables(read(book))
    assert [cell.header for cell in table.cells] == [True] * 3 + [False] * 6


def test_hidden_rows_and_columns_are_flagged_and_the_rest_keeps_its_addresses() -> None:
    book = fees()
    sheet = book["Fees"]
    sheet.append(["Pie", 4, 1])
    sheet.row_dimensions[2].hidden = True
    sheet.column_dimensions["B"].hidden = True
    document = read(book)
    seen, *unseen = tables(document)
    assert seen.span.of(document.text) == "Item | Share\nCake | 0.5\nPie | 1"
    assert address(seen) == "Fees!A1:A1,C1:C1,A3:A4,C3:C4"
    assert address(seen, seen.cells[-1]) == "Fees!C4"
    assert all(block.hidden for block in unseen)
    assert addressed(document)["Fees!B2"] == "2.5"
    assert document.account.left_out[Reason.HIDDEN].cells == 6
    assert document.warnings == ("Hidden rows, marked as hidden: 1.", "Hidden columns, marked as hidden: 1.")


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_hidden_sheets_are_flagged_whole(state: str) -> None:
    book = fees()
    secret = book.create_sheet("Secret")
    secret["A1"] = "classified"
    secret.sheet_state = state
    document = read(book)
    assert [text for _, hidden, text in shown(document) if hidden] == ["Secret", "classified"]
    assert "1" in document.warnings[0]


def test_cells_that_nobody_can_see_are_flagged() -> None:
    book = fees()
    book["Fees"]["B2"].number_format = ";;;"
    book["Fees"]["A3"].font = Font(color="FFFFFFFF")
    document = read(book)
    flagged = " ".join(text for _, hidden, text in shown(document) if hidden)
    assert "2.5" in flagged
    assert "Cake" in flagged
    assert "2.5" not in tables(document)[0].span.of(document.text)


def test_notes_and_links_stay_with_their_cell() -> None:
    book = fees()
    book["Fees"]["B2"].comment = Comment("Raised in May", "Bo")
    book["Fees"]["A3"].hyperlink = "https://example.org/cake"
    document = read(book)
    assert shown(document)[-1] == ("paragraph", False, "Note on B2 by Bo: Raised in May")
    assert document.blocks[-1].heading_path == ("Fees",)
    (link,) = tables(document)[0].links
    assert (link.span.of(document.text), link.target) == ("Cake", "https://example.org/cake")


def test_charts_are_read_and_hang_on_their_cell() -> None:
    from openpyxl.chart import BarChart, Reference

    book = fees()
    chart = BarChart()
    chart.title = "Prices this year"
    chart.add_data(Reference(book["Fees"], min_col=2, min_row=1, max_row=3), titles_from_data=True)
    book["Fees"].add_chart(chart, "F1")
    document = read(book)
    (said,) = [block for block in document.blocks if block.span.of(document.text) == "Prices this year"]
    assert address(said) == "Fees!F1"
    assert said.heading_path == ("Fees",)


def test_the_values_kept_with_a_chart_are_a_table_that_stands_in_no_cell() -> None:
    c = "http://schemas.openxmlformats.org/drawingml/2006/chart"
    xdr = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    at = "<xdr:from><xdr:col>5</xdr:col><xdr:row>0</xdr:row></xdr:from>"
    points = "".join(f'<c:pt idx="{n}"><c:v>{value}</c:v></c:pt>' for n, value in enumerate((0.25, 0.5)))
    names = '<c:pt idx="0"><c:v>Tea</c:v></c:pt><c:pt idx="1"><c:v>Cake</c:v></c:pt>'
    series = (
        f"<c:ser><c:tx><c:v>Share</c:v></c:tx><c:cat><c:strRef><c:strCache>{names}</c:strCache></c:strRef></c:cat>"
        f"<c:val><c:numRef><c:numCache><c:formatCode>0%</c:formatCode>{points}</c:numCache></c:numRef></c:val></c:ser>"
    )
    relation = '<Relationship Id="{}" Type="' + OFFICE + '/{}" Target="{}"/>'
    parts = {
        "xl/worksheets/_rels/sheet1.xml.rels": relation.format("d1", "drawing", "../drawings/d.xml"),
        "xl/drawings/_rels/d.xml.rels": relation.format("c1", "chart", "../charts/c.xml"),
    }
    parts = {name: f'<Relationships xmlns="{RELS}">{inside}</Relationships>' for name, inside in parts.items()}
    parts["xl/drawings/d.xml"] = (
        f'<xdr:wsDr xmlns:xdr="{xdr}" xmlns:c="{c}" xmlns:r="{OFFICE}"><xdr:oneCellAnchor>{at}<xdr:graphicFrame>'
        '<c:chart r:id="c1"/></xdr:graphicFrame></xdr:oneCellAnchor></xdr:wsDr>'
    )
    parts["xl/charts/c.xml"] = (
        f'<c:chartSpace xmlns:c="{c}"><c:chart><c:plotArea><c:pieChart>{series}</c:pieChart></c:plotArea></c:chart>'
        "</c:chartSpace>"
    )
    buffer = io.BytesIO(packed(rows("<row><c><v>1</v></c></row>") + '<drawing r:id="d1"/>'))
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    document = read(buffer.getvalue())
    (chart,) = tables(document)
    assert chart.span.of(document.text) == " | Share\nTea | 25%\nCake | 50%"
    assert address(chart) == "S!F1"
    assert {address(chart, cell) for cell in chart.cells} == {""}


def test_text_boxes_are_read_and_pictures_kept() -> None:
    xdr = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    a = "http://schemas.openxmlformats.org/drawingml/2006/main"
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0"
    at = "<xdr:from><xdr:col>2</xdr:col><xdr:row>4</xdr:row></xdr:from>"
    text = "<xdr:sp><xdr:txBody><a:p><a:r><a:t>Mind the step</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    blip = '<xdr:blipFill><a:blip r:embed="p1"/></xdr:blipFill>'
    named = '<xdr:nvPicPr><xdr:cNvPr id="1" name="x" descr="A step"/></xdr:nvPicPr>'
    drawing = (
        f'<xdr:wsDr xmlns:xdr="{xdr}" xmlns:a="{a}" xmlns:r="{OFFICE}">'
        f"<xdr:oneCellAnchor>{at}{text}</xdr:oneCellAnchor>"
        f"<xdr:oneCellAnchor>{at}<xdr:pic>{named}{blip}</xdr:pic></xdr:oneCellAnchor></xdr:wsDr>"
    )
    parts: dict[str, str | bytes] = {
        "xl/worksheets/_rels/sheet1.xml.rels": f'<Relationships xmlns="{RELS}"><Relationship Id="d1" '
        f'Type="{OFFICE}/drawing" Target="../drawings/d.xml"/></Relationships>',
        "xl/drawings/d.xml": drawing,
        "xl/drawings/_rels/d.xml.rels": f'<Relationships xmlns="{RELS}"><Relationship Id="p1" '
        f'Type="{OFFICE}/image" Target="../media/i.png"/></Relationships>',
        "xl/media/i.png": png,
    }
    buffer = io.BytesIO(packed(rows("<row><c><v>1</v></c></row>") + '<drawing r:id="d1"/>'))
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    document = read(buffer.getvalue())
    assert shown(document)[2:] == [("paragraph", False, "Mind the step"), ("figure", False, "A step")]
    assert address(document.blocks[-1]) == "S!C5"
    assert document.assets[0].content == png


FORMATS = ["General", "0", "0.00", "#,##0", "#,##0.00", "0%", "0.0%", '"$"#,##0.00', "[$€-407] #,##0.00", "0.00E+00",
           "# ?/?", "#,##0.00;[Red](#,##0.00)", "#,##0,"]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_is_found_at_its_address_with_its_stored_value(seed: int) -> None:
    chance = random.Random(seed)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    truth: dict[str, str | float] = {}
    top = 1
    for _ in range(3):
        left, height, width = chance.randint(1, 5), chance.randint(3, 15), chance.randint(2, 6)
        for column in range(left, left + width):
            code = chance.choice(FORMATS)
            for row in range(top, top + height):
                if row == top:
                    value: str | float = f"Col {chance.randint(0, 99999)}"
                elif chance.random() < 0.1:
                    continue
                elif chance.random() < 0.3:
                    value = chance.choice(["alpha", "γάμμα", "日本", "x & <y>", "a\nb"])
                else:
                    value = chance.choice(
                        [chance.random(), chance.randint(-99999, 99999), round(chance.uniform(0, 999), 2)]
                    )
                cell = sheet.cell(row, column, value)
                cell.number_format = code
                truth[f"Sheet!{cell_name(row - 1, column - 1)}"] = value
        if chance.random() < 0.5:
            sheet.row_dimensions[top + 2].hidden = True
        top += height + chance.randint(1, 3)
    document = read(book)
    found, kept = addressed(document), stored(document)
    captions = [block.span.of(document.text) for block in document.blocks if block.kind is BlockKind.CAPTION]
    for name, value in truth.items():
        text = found.get(name, "")
        if isinstance(value, str):
            assert " ".join(value.split()) in {text, *captions}, name
        elif name in kept or f"({plain(value)})" in text:
            assert plain(value) in {kept.get(name), text.partition("(")[2].removesuffix(")")}, name
        else:
            digits = re.sub(r"[^\d.E+-]", "", text.replace("(", "-"))
            scale = 0.01 if "%" in text else 1
            assert float(digits) * scale == pytest.approx(value, rel=1e-13), name


def test_a_dimension_that_lies_costs_nothing() -> None:
    sheet = '<dimension ref="A1:XFD1048576"/>' + rows(
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    )
    assert addressed(read(packed(sheet))) == {"S!A1": "1", "S!XFD1048576": "2"}


def test_cells_and_rows_without_an_address_follow_each_other() -> None:
    sheet = rows("<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>")
    assert addressed(read(packed(sheet))) == {"S!A1": "1", "S!B1": "2", "S!A2": "3"}


def test_a_string_that_is_not_there_leaves_its_cell_empty_and_is_told() -> None:
    sheet = rows('<row r="1"><c r="A1" t="s"><v>9999</v></c><c r="B1" t="s"><v>-1</v></c><c r="C1"><v>5</v></c></row>')
    document = read(packed(sheet))
    assert addressed(document) == {"S!C1": "5"}
    assert document.warnings == ("Cells that name a text which the file does not hold, left empty: 2.",)


@pytest.mark.parametrize("place", ['r="0"', 'r="1048577"'])
def test_a_row_that_no_sheet_can_have_is_corrupt(place: str) -> None:
    assert refusal(packed(rows(f"<row {place}><c><v>1</v></c></row>"))).kind == "corrupt"


def test_more_cells_than_the_limit_are_refused_with_the_limit_named() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in range(30):
        book.active.append([row] * 4)
    assert len(tables(read(book, max_cells=120))) == 1
    error = refusal(saved(book), max_cells=119)
    assert (error.kind, "the limit reading.max_cells is 119" in str(error)) == ("limit_exceeded", True)


def test_a_long_string_in_many_cells_is_refused_before_it_fills_the_memory() -> None:
    strings = f'<sst xmlns="{MAIN}"><si><t>{random.Random(1).randbytes(200_000).hex()}</t></si></sst>'
    cells = "".join(f'<row r="{r}"><c r="A{r}" t="s"><v>0</v></c></row>' for r in range(1, 500))
    assert refusal(packed(rows(cells), sharedStrings=strings)).kind == "limit_exceeded"


def test_merged_ranges_that_overlap_without_end_are_refused() -> None:
    cells = "".join(f'<row r="{r}"><c r="A{r}"><v>{r}</v></c></row>' for r in range(1, 1001))
    merged = "".join(f'<mergeCell ref="A{r % 1000 + 1}:XFD1048576"/>' for r in range(9000))
    assert refusal(packed(rows(cells) + f"<mergeCells>{merged}</mergeCells>")).kind == "limit_exceeded"


@pytest.mark.parametrize(
    "dtd",
    ['<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'],
)
@pytest.mark.parametrize("part", ["sharedStrings", "worksheets/sheet1", "styles"])
def test_any_dtd_is_refused(dtd: str, part: str) -> None:
    content = f'{dtd}<sst xmlns="{MAIN}"><si><t>&e;</t></si></sst>'
    assert refusal(packed(rows("<row><c><v>1</v></c></row>"), **{part: content})).kind == "unsafe_content"


def test_a_bomb_is_refused_and_a_cut_file_is_corrupt() -> None:
    assert refusal(packed(rows("<row/>" * 2_000_000))).kind == "limit_exceeded"
    content = saved(fees())
    assert refusal(content[: len(content) // 2]).kind == "corrupt"
    assert refusal(packed("<sheetData><row></sheetData>")).kind == "corrupt"


def test_sheets_that_point_at_each_other_or_at_nothing_end() -> None:
    relations = (
        f'<Relationships xmlns="{RELS}">'
        f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r9" Type="{OFFICE}/worksheet" Target="../../../etc/passwd"/></Relationships>'
    )
    loop = (
        f'<Relationships xmlns="{RELS}"><Relationship Id="r1" Type="{OFFICE}/drawing" Target="sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/comments" Target="sheet1.xml"/></Relationships>'
    )
    book = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="S" r:id="r1"/><sheet name="T" r:id="r1"/>'
        '<sheet name="U" r:id="r9"/><sheet name="V" r:id="none"/></sheets></workbook>'
    )
    buffer = io.BytesIO(packed(rows("<row><c><v>1</v></c></row>") + '<drawing r:id="r1"/>'))
    out = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            replaced = {"xl/workbook.xml": book, "xl/_rels/workbook.xml.rels": relations}.get(name)
            new.writestr(name, replaced or old.read(name))
        new.writestr("xl/worksheets/_rels/sheet1.xml.rels", loop)
    document = read(out.getvalue())
    assert addressed(document) == {"S!A1": "1"}
    assert document.warnings == ("Sheets that the workbook names and the file does not hold: 3.",)


def test_a_binary_workbook_and_another_archive_are_named_as_such() -> None:
    main = f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.bin"/>'
    binary = {"_rels/.rels": f'<Relationships xmlns="{RELS}">{main}</Relationships>', "xl/workbook.bin": "x"}
    for parts, kind in ((binary, "unsupported_type"), ({"a": "b"}, "type_mismatch")):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        assert refusal(buffer.getvalue()).kind == kind


def test_the_strict_variant_of_the_format_reads_like_the_usual_one() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(fees()))) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name).replace(MAIN.encode(), b"http://purl.oclc.org/ooxml/spreadsheetml/main")
            content = content.replace(OFFICE.encode(), b"http://purl.oclc.org/ooxml/officeDocument/relationships")
            new.writestr(name, content)
    assert addressed(read(out.getvalue())) == addressed(read(fees()))


def test_the_dispatcher_reads_workbooks_in_a_worker() -> None:
    readers = Readers()
    try:
        document = readers.read(Source("file:///fees.bin", saved(fees())))
    finally:
        readers.close()
    assert document.reader == versions.XLSX
    assert [address(block) for block in tables(document)] == ["Fees!A1:C3"]
