"""Old Excel workbooks and OpenDocument spreadsheets: the same sheets by other ways."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import pytest
import xlwt
from laws import assert_lawful

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.reading import versions
from citewell.reading.ods import OdsReader
from citewell.reading.readers import Readers
from citewell.reading.sheets import address
from citewell.reading.xls import XlsReader
from citewell.testing.place_laws import misplaced
from citewell.types import BlockKind, Document, Source

SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        "office": "office", "table": "table", "text": "text", "style": "style", "meta": "meta", "draw": "drawing",
        "manifest": "manifest",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip
META = (
    "<office:meta><dc:title>Fees</dc:title><meta:initial-creator>Ada</meta:initial-creator>"
    "<meta:creation-date>2024-01-02</meta:creation-date></office:meta>"
)


def ods(*sheets: str, content: str = "", **more: str) -> bytes:
    style = (
        '<office:automatic-styles><style:style style:name="unseen" style:family="table">'
        '<style:table-properties table:display="false"/></style:style></office:automatic-styles>'
    )
    body = f"<office:body><office:spreadsheet>{''.join(sheets)}</office:spreadsheet></office:body>"
    parts = {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "content.xml": content or f"<office:document-content {SPACES}>{style}{body}</office:document-content>",
        "meta.xml": f"<office:document-meta {SPACES}>{META}</office:document-meta>",
        **{f"{name}.xml": part for name, part in more.items()},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def table(*rows: str, name: str = "S", more: str = "") -> str:
    return f'<table:table table:name="{name}" {more}>{"".join(rows)}</table:table>'


def row(*cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def cell(text: str = "", more: str = "", inside: str = "") -> str:
    said = f"<text:p>{text}</text:p>" if text else ""
    return f"<table:table-cell {more}>{inside}{said}</table:table-cell>"


def value(text: str, stored: float, kind: str = "float") -> str:
    return cell(text, f'office:value-type="{kind}" office:value="{stored}"')


def read(content: bytes, reader: Reader | None = None) -> Document:
    source = Source("file:///fees.ods", content)
    document = (reader or OdsReader()).read(source)
    assert list(misplaced(document, source)) == []
    assert_lawful(document)
    return document


def refusal(content: bytes, reader: Reader | None = None) -> ReadError:
    with pytest.raises(ReadError) as caught:
        (reader or OdsReader()).read(Source("file:///bad.ods", content))
    return caught.value


def texts(document: Document, *, hidden: bool = False) -> list[str]:
    return [block.span.of(document.text) for block in document.blocks if block.hidden is hidden]


def addressed(document: Document) -> dict[str, str]:
    return {
        address(block, one): one.span.of(document.text)
        for block in document.blocks
        if block.kind is BlockKind.TABLE
        for one in block.cells
    }


def test_an_open_sheet_shows_its_cells_as_their_author_saw_them() -> None:
    document = read(
        ods(
            table(
                row(cell("Item"), cell("Price"), cell("Share"), cell("Since")),
                row(
                    cell("Tea"),
                    value("2,50 €", 2.5, "currency"),
                    value("12%", 0.1234, "percentage"),
                    cell("5.3.2024", 'office:value-type="date" office:date-value="2024-03-05"'),
                ),
                row(cell("Cake"), value("3,25 €", 3.25, "currency"), value("25%", 0.25, "percentage")),
                name="Fees 24",
            )
        )
    )
    assert texts(document) == [
        "Fees 24",
        "Item | Price | Share | Since\nTea | 2,50 € | 12% | 5.3.2024\nCake | 3,25 € | 25%",
        "Values as stored: C2 = 0.1234.",
    ]
    assert addressed(document)["'Fees 24'!D2"] == "5.3.2024"
    assert (document.title, document.metadata["author"], document.metadata["created"]) == ("Fees", "Ada", "2024-01-02")


def test_repeated_cells_and_rows_stand_as_often_as_they_say_and_empty_ones_cost_nothing() -> None:
    document = read(
        ods(
            table(
                row(cell("a", 'table:number-columns-repeated="2"'), cell(more='table:number-columns-repeated="16000"'),
                    more='table:number-rows-repeated="3"'),
                row(cell(more='table:number-columns-repeated="16384"'), more='table:number-rows-repeated="1000000"'),
                row(cell("end"), cell("here")),
            )
        )
    )  # fmt: skip
    found = addressed(document)
    assert [found[f"S!{name}"] for name in ("A1", "B3", "A1000004")] == ["a", "a", "end"]


def test_a_cell_repeated_into_a_bomb_is_refused() -> None:
    bomb = row(cell("a", 'table:number-columns-repeated="16384"'), more='table:number-rows-repeated="1048576"')
    assert refusal(ods(table(bomb))).kind == "limit_exceeded"
    beyond = row(cell("a", 'table:number-columns-repeated="16385"'))
    assert refusal(ods(table(beyond))).kind == "corrupt"


def test_merged_cells_notes_links_and_inner_breaks_of_an_open_sheet_are_kept() -> None:
    note = "<office:annotation><dc:creator>Bo</dc:creator><text:p>Raised</text:p></office:annotation>"
    link = '<text:p><text:a xlink:href="https://example.org">the<text:s text:c="2"/>law</text:a> of 2024</text:p>'
    document = read(
        ods(
            table(
                row(cell("Rate"), cell("Years", 'table:number-columns-spanned="2"'), "<table:covered-table-cell/>"),
                row(cell(), cell("2023", inside=note), cell("2024")),
                row(cell("x"), cell(inside=link), cell("y")),
            )
        )
    )
    block = document.blocks[1]
    assert block.cells[1].column_span == 2
    assert texts(document)[-1] == "Note on B2 by Bo: Raised"
    assert addressed(document)["S!B3"] == "the law of 2024"
    assert [link.target for link in block.links] == ["https://example.org"]


def test_hidden_rows_columns_and_sheets_of_an_open_file_are_flagged() -> None:
    columns = '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>'
    document = read(
        ods(
            table(
                columns,
                row(cell("a"), cell("unseen column"), cell("b")),
                row(cell("c"), cell("d"), cell("e"), more='table:visibility="filter"'),
                row(cell("f"), cell("g"), cell("h")),
            ),
            table(row(cell("classified")), name="Secret", more='table:style-name="unseen"'),
        )
    )
    assert texts(document) == ["S", "a | b\nf | h"]
    assert [block.span.of(document.text) for block in document.blocks if block.hidden][-2:] == ["Secret", "classified"]
    assert [warning.partition(",")[0] for warning in document.warnings] == [
        "Hidden sheets", "Hidden rows", "Hidden columns",
    ]  # fmt: skip


def test_locked_cut_and_foreign_open_files_are_refused() -> None:
    lock = f"<manifest:manifest {SPACES}><manifest:encryption-data/></manifest:manifest>"
    good = table(row(cell("a")))
    assert refusal(ods(good, **{"META-INF/manifest": lock})).kind == "encrypted"
    assert refusal(ods(good)[:300]).kind == "corrupt"
    assert refusal(ods(content=f"<office:document-content {SPACES}/>")).kind == "type_mismatch"
    assert refusal(ods(content="<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>")).kind == "unsafe_content"
    assert refusal(ods(table(row(cell())))).kind == "no_text"


def old_book() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Fees")
    for column, name in enumerate(("Item", "Price", "Share", "Since")):
        sheet.write(0, column, name)
    for number, (item, price, share) in enumerate((("Tea", 1234.5, 0.1234), ("Cake", -3.0, 1.0), ("Pie", 2.0, 0.5)), 1):
        sheet.write(number, 0, item)
        sheet.write(number, 1, price, xlwt.easyxf(num_format_str="#,##0.00;(#,##0.00)"))
        sheet.write(number, 2, share, xlwt.easyxf(num_format_str="0%"))
        sheet.write(number, 3, dt.date(2024, 3, number), xlwt.easyxf(num_format_str="dd/mm/yyyy"))
    sheet.row(2).hidden = True
    sheet.write_merge(5, 5, 0, 3, "All prices include tax")
    book.add_sheet("Secret").write(0, 0, "classified")
    book.get_sheet(1).visibility = 2
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_an_old_workbook_reads_like_a_new_one() -> None:
    document = read(old_book(), XlsReader())
    assert texts(document) == [
        "Fees",
        "Item | Price | Share | Since\nTea | 1,234.50 | 12% | 01/03/2024\nPie | 2.00 | 50% | 03/03/2024",
        "Values as stored: C2 = 0.1234.",
        "All prices include tax",
    ]
    assert texts(document, hidden=True) == ["Cake | (3.00) | 100% | 02/03/2024", "Secret", "classified"]
    assert addressed(document)["Fees!B4"] == "2.00"
    assert document.blocks[0].hidden is False


def test_damaged_old_workbooks_are_refused_and_never_crash() -> None:
    content = old_book()
    assert refusal(content[:512], XlsReader()).kind == "corrupt"
    kinds = set()
    for place in range(0, len(content), 97):
        damaged = content[:place] + b"\xff\x00\xff\x7f" + content[place + 4 :]
        try:
            read(damaged, XlsReader())
        except ReadError as error:
            kinds.add(error.kind)
    assert kinds <= {"corrupt", "no_text", "limit_exceeded", "encrypted"}


def test_the_dispatcher_tells_both_by_their_bytes() -> None:
    readers = Readers()
    try:
        found = [
            readers.read(Source("file:///x", content)).reader for content in (old_book(), ods(table(row(cell("a")))))
        ]
    finally:
        readers.close()
    assert found == [versions.XLS, versions.ODS]
