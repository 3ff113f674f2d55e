"""At a limit a file is read in full; one beyond, it is refused, and told by how much and of what."""

from __future__ import annotations

import importlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import openpyxl
import pytest
from format_samples import OPEN
from ole_samples import container, data, fixed
from ole_samples import text as ole_text
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Pt
from reportlab.pdfgen.canvas import Canvas

from citewell.errors import ReadError
from citewell.reading import html as html_reader
from citewell.reading import mime
from citewell.reading.csv_ import CsvReader
from citewell.reading.docx import DocxReader
from citewell.reading.epub import EpubReader
from citewell.reading.faq import FaqReader
from citewell.reading.html import HtmlReader
from citewell.reading.image import ImageReader
from citewell.reading.mail import MailReader
from citewell.reading.markdown import MarkdownReader
from citewell.reading.mbox import MboxReader
from citewell.reading.msg import MsgReader
from citewell.reading.notebook import NotebookReader
from citewell.reading.ocr import Line
from citewell.reading.ods import OdsReader
from citewell.reading.pdf import PdfReader
from citewell.reading.pptx import PptxReader
from citewell.reading.readers import Readers, default_factories
from citewell.reading.rtf import RtfReader
from citewell.reading.xlsx import XlsxReader
from citewell.reading.xml_ import XmlReader
from citewell.testing.office_files import OFFICE, packed
from citewell.types import Document, Source

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(made) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def word(count: int) -> str:
    """What is said in number `count`; each is looked for."""
    return f"word{count}"


def words(count: int) -> list[str]:
    return [word(n) for n in range(count)]


# Files with so many of something. What is in them is `words(count)`, each once.


def pdf(pages: int) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for one in words(pages):
        canvas.drawString(72, 700, one)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def docx(body: str, **more: str) -> bytes:
    parts = {"word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>", **more}
    kinds = {"word/document.xml": "wordprocessingml.document.main"}
    return packed("word/document.xml", parts, kinds, {})


def paragraphs(count: int) -> str:
    return "".join(f"<w:p><w:r><w:t>{one}</w:t></w:r></w:p>" for one in words(count))


def docx_of_parts(count: int) -> bytes:
    more = {f"x{n}": "" for n in range(count - 3)}  # beside the types, the relationships and the text
    return docx(paragraphs(count), **more)


def docx_of_bytes(size: int, *, over: int = 0) -> bytes:
    """A document whose only large part has `size` bytes, or whose parts have as many together, `over` of them."""
    empty = docx(paragraphs(1))
    with zipfile.ZipFile(io.BytesIO(empty)) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
    spare = size - (sum(sizes.values()) if over else sizes["word/document.xml"])
    return docx(paragraphs(1) + "<!--" + "x" * (spare - len("<!---->")) + "-->")


def docx_cells(count: int) -> bytes:
    cells = "".join(f"<w:tc><w:p><w:r><w:t>{one}</w:t></w:r></w:p></w:tc>" for one in words(count))
    return docx(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>")


def docx_nested(depth: int) -> bytes:
    around = depth - 5  # beside document, body, p, r and t
    return docx(f"{'<w:sdtContent>' * around}{paragraphs(1)}{'</w:sdtContent>' * around}")


def docx_ratio(ratio: int) -> bytes:
    """A document with a part of 1.5 MiB that unpacks to `ratio` times its size, by lying of how small it is."""
    content = bytearray(docx(paragraphs(1), pad=" " * (3 << 19)))
    at = content.rindex(b"pad") - 46  # its entry in the central directory
    size = int.from_bytes(content[at + 24 : at + 28], "little")
    content[at + 20 : at + 24] = (-(-size // ratio)).to_bytes(4, "little")
    return bytes(content)


def sheet(rows: list[list[str]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def xlsx_of_sheets(count: int) -> bytes:
    book = sheet([[word(0)]])
    for one in words(count)[1:]:
        book.create_sheet().append([one])
    return saved(book)


def xlsx_merged(count: int) -> bytes:
    book = sheet([[one] for one in words(count)])
    for row in range(1, count + 1):
        book.active.merge_cells(f"A{row}:B{row}")
    return saved(book)


def xlsx_strings(characters: int) -> bytes:
    """Two strings that the file keeps apart from its cells, as Excel does."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cells = "".join(f'<row r="{n + 1}"><c t="s"><v>{n}</v></c></row>' for n in range(2))
    strings = "".join(f"<si><t>{one}</t></si>" for one in (word(0), "x" * (characters - len(word(0)))))
    named = f'<sheet xmlns:r="{OFFICE}" name="S" sheetId="1" r:id="s1"/>'
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{main}"><sheets>{named}</sheets></workbook>',
        "xl/sheet.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
        "xl/strings.xml": f'<sst xmlns="{main}">{strings}</sst>',
    }
    links = {"xl/workbook.xml": ["s1 worksheet sheet.xml", "s2 sharedStrings strings.xml"]}
    return packed("xl/workbook.xml", parts, {}, links)


def pptx(slides: int) -> bytes:
    deck = Presentation()
    for one in words(slides):
        deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = one
    return saved(deck)


def pptx_cells(count: int) -> bytes:
    deck = Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    table = shapes.add_table(1, count, 0, 0, Pt(300), Pt(30)).table
    for n, one in enumerate(words(count)):
        table.cell(0, n).text = one
    return saved(deck)


def pptx_chart(cells: int) -> bytes:
    """A chart that is a table of two columns, the header included."""
    drawn = CategoryChartData()
    drawn.categories = words(cells // 2 - 1)
    drawn.add_series("sum", range(cells // 2 - 1))
    deck = Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, Pt(300), Pt(300), drawn)
    return saved(deck)


def ods(sheets: int) -> bytes:
    tables = "".join(
        f'<table:table table:name="s{n}"><table:table-row><table:table-cell><text:p>{one}</text:p></table:table-cell>'
        "</table:table-row></table:table>"
        for n, one in enumerate(words(sheets))
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        inside = f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
        archive.writestr("content.xml", f"<office:document-content {OPEN}>{inside}</office:document-content>")
    return buffer.getvalue()


def epub(chapters: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        for n, one in enumerate(words(chapters)):
            archive.writestr(f"c{n:03}.xhtml", f"<html><body><p>{one}</p></body></html>")
    return buffer.getvalue()


def tiff(pages: int) -> bytes:
    buffer = io.BytesIO()
    first, *others = (Image.new("L", (60, 40), 200 + n) for n in range(pages))
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    return buffer.getvalue()


def png(pixels: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (pixels // 40, 40), 255).save(buffer, "PNG")
    return buffer.getvalue()


def html(depth: int) -> bytes:
    around = depth - 3  # beside html, body and p
    return f"<html><body>{'<div>' * around}<p>{word(0)}</p>{'</div>' * around}</body></html>".encode()


def html_cells(count: int) -> bytes:
    said = words(count)
    rows = "".join(f"<tr><td>{one}</td><td>{other}</td></tr>" for one, other in zip(said[::2], said[1::2], strict=True))
    return f"<html><body><table>{rows}</table></body></html>".encode()


def csv(cells: int) -> bytes:
    return "\n".join(words(cells)).encode()


def quotes(depth: int) -> bytes:
    return f"{'> ' * depth}{word(0)}\n".encode()


def lists(depth: int) -> bytes:
    return "".join(f"{'  ' * n}- {one}\n" for n, one in enumerate(words(depth))).encode()


def mail(parts: int) -> bytes:
    said = "".join(f"--B\nContent-Type: text/plain\n\n{one}\n" for one in words(parts))
    return f"From: a@e.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n{said}--B--\n".encode()


def nested_mail(depth: int) -> bytes:
    body = f"Content-Type: text/plain\n\n{word(0)}\n"
    for n in range(depth):
        body = f"Content-Type: multipart/mixed; boundary=B{n}\n\n--B{n}\n{body}\n--B{n}--\n"
    return f"From: a@e.org\nMIME-Version: 1.0\n{body}".encode()


def attached(files: int) -> bytes:
    parts = "".join(f"--B\nContent-Disposition: attachment; filename={one}.txt\n\nx\n" for one in words(files))
    head = "From: a@e.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
    return f"{head}--B\nContent-Type: text/plain\n\nword0\n{parts}--B--\n".encode()


def mbox(mails: int) -> bytes:
    return "".join(
        f"From a@e.org Mon Jan  1 00:00:00 2024\nFrom: a@e.org\nSubject: x\n\n{one}\n\n" for one in words(mails)
    ).encode()


def msg(files: int) -> bytes:
    storages = {
        f"__attach_version1.0_#{n:08X}": {**fixed(8), **ole_text(0x3707, f"{one}.txt"), **data(0x3701, b"x")}
        for n, one in enumerate(words(files))
    }
    return container({**fixed(32), **ole_text(0x1000, word(0)), **storages})


def rtf(depth: int) -> bytes:
    return b"{" * depth + word(0).encode() + b"\\par" + b"}" * depth


def notebook(cells: int) -> bytes:
    made = [{"cell_type": "markdown", "metadata": {}, "source": one} for one in words(cells)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


def pairs(count: int) -> bytes:
    return json.dumps([{"question": f"{one}?", "answer": "yes"} for one in words(count)]).encode()


class _Sees:
    """A recogniser that sees one word in every picture."""

    identity = "sees@1"

    def lines(self, image: Image.Image) -> list[Line]:
        return [Line(word(0), ((5, 10), (40, 10), (40, 22), (5, 22)), 0.99)]


def pictures(**limits: int) -> ImageReader:
    reader = ImageReader(**limits)
    reader.__dict__["_recogniser"] = _Sees()  # what `cached_property` keeps
    return reader


@dataclass(frozen=True)
class Limit:
    """`make(n)` is a file with n of `unit`; `reader(limit)` reads up to that, or has the `constant` set to it.

    `all_said` is whether the file says a word for each of them, `step` by how much it can be beyond.
    """

    unit: str
    make: Callable[[int], bytes]
    reader: Callable[[int], object]
    limit: int
    setting: str = ""
    constant: str = ""
    all_said: bool = True
    step: int = 1
    said: Callable[[Document], str] = field(default=lambda document: document.text)


def attachments(document: Document) -> str:
    return " ".join([*(one.uri for one in document.attachments), document.text])


MARKDOWN = "levels of quotes and lists"
ELEMENTS = "levels of nested elements"
LIMITS = {
    "bytes of any file": Limit(
        "bytes", lambda n: f"{word(0)} ".encode().ljust(n, b"x"), lambda n: Readers(max_bytes=n), 40, "max_bytes",
        all_said=False,
    ),
    "pages of a PDF": Limit("pages", pdf, lambda n: PdfReader(ocr="none", max_pages=n), 2, "max_pages"),
    "pages of a picture": Limit("pages", tiff, lambda n: pictures(max_pages=n), 2, "max_pages", all_said=False),
    "pixels": Limit("pixels", png, lambda n: pictures(max_pixels=n), 2400, "max_pixels", all_said=False, step=40),
    "cells of CSV": Limit("cells in its tables", csv, lambda n: CsvReader(max_cells=n), 4, "max_cells"),
    "cells of a page": Limit(
        "cells in its tables", html_cells, lambda n: HtmlReader(max_cells=n), 4, "max_cells",
        step=2,
    ),
    "cells of a workbook": Limit(
        "cells in its tables", lambda n: saved(sheet([[one] for one in words(n)])), lambda n: XlsxReader(max_cells=n),
        6, "max_cells",
    ),
    "cells of a Word document": Limit(
        "cells in its tables", docx_cells, lambda n: DocxReader(ocr="none", max_cells=n), 4, "max_cells"
    ),
    "cells of slides": Limit(
        "cells in its tables", pptx_cells, lambda n: PptxReader(ocr="none", max_cells=n), 4, "max_cells"
    ),
    "cells of a chart": Limit(
        "cells in its tables", pptx_chart, lambda n: PptxReader(ocr="none", max_cells=n), 8, "max_cells",
        all_said=False, step=2,
    ),
    "cells of Markdown": Limit(
        "cells in its tables", lambda n: "".join(f"|{one}|\n{'|-|' * (not at)}\n" if not at else f"|{one}|\n"
        for at, one in enumerate(words(n))).encode(), lambda n: MarkdownReader(max_cells=n), 4, "max_cells",
    ),
    "depth of quotes": Limit(MARKDOWN, quotes, lambda n: MarkdownReader(max_depth=n), 7, all_said=False),
    "depth of lists": Limit(MARKDOWN, lists, lambda n: MarkdownReader(max_depth=n), 12),
    "depth of a page": Limit(ELEMENTS, html, lambda n: HtmlReader(max_depth=n), 9, all_said=False),
    "depth of any page": Limit(ELEMENTS, html, lambda n: HtmlReader(max_depth=9999), 2048, all_said=False),
    "depth of a part": Limit(ELEMENTS, docx_nested, lambda n: DocxReader(ocr="none"), 256, all_said=False),
    "depth of XML": Limit(
        ELEMENTS, lambda n: ("<a>" * n + word(0) + "</a>" * n).encode(), lambda n: XmlReader(), 256, all_said=False
    ),
    "depth of RTF": Limit("levels of groups", rtf, lambda n: RtfReader(), 6, constant="rtf:MAX_GROUPS", all_said=False),
    "depth of a mail": Limit(
        "levels of parts", nested_mail, lambda n: MailReader(), 6, constant="mime:MAX_DEPTH", all_said=False
    ),
    "parts of a mail": Limit("parts", mail, lambda n: MailReader(), 3, constant="mime:MAX_PARTS"),
    "files in a mail": Limit(
        "files inside", attached, lambda n: MailReader(), 3, constant="attachments:MAX_PARTS", said=attachments
    ),
    "files in a message": Limit(
        "files inside", msg, lambda n: MsgReader(), 3, constant="msg:MAX_FILES", said=attachments
    ),
    "mails": Limit("mails", mbox, lambda n: MboxReader(max_mails=n), 3),
    "pairs": Limit("pairs", pairs, lambda n: FaqReader(max_pairs=n), 3),
    "cells of a notebook": Limit("cells", notebook, lambda n: NotebookReader(), 3, constant="notebook:_MAX_CELLS"),
    "chapters": Limit("chapters", epub, lambda n: EpubReader(), 3, constant="epub:_MAX_CHAPTERS"),
    "slides": Limit("slides", pptx, lambda n: PptxReader(ocr="none"), 2, constant="pptx:_MAX_SLIDES"),
    "sheets of a workbook": Limit("sheets", xlsx_of_sheets, lambda n: XlsxReader(), 2, constant="xlsx:_MAX_SHEETS"),
    "sheets of ODS": Limit("sheets", ods, lambda n: OdsReader(), 2, constant="ods:_MAX_SHEETS"),
    "merged cells": Limit("merged cells", xlsx_merged, lambda n: XlsxReader(), 3, constant="xlsx:_MAX_MERGED"),
    "characters of cells": Limit(
        "characters in its cells", xlsx_strings, lambda n: XlsxReader(), 30, constant="sheets:MAX_CHARACTERS",
        all_said=False,
    ),
    "characters of strings": Limit(
        "characters in its strings", xlsx_strings, lambda n: XlsxReader(), 30, constant="xlsx_styles:MAX_CHARACTERS",
        all_said=False,
    ),
    "parts of a package": Limit(
        "parts", docx_of_parts, lambda n: DocxReader(ocr="none"), 6, constant="package:MAX_ENTRIES"
    ),
    "bytes of a part": Limit(
        "bytes", docx_of_bytes, lambda n: DocxReader(ocr="none"), 2000, constant="package:MAX_PART_BYTES",
        all_said=False,
    ),
    "bytes of a package": Limit(
        "bytes once unpacked", lambda n: docx_of_bytes(n, over=1), lambda n: DocxReader(ocr="none"), 3000,
        constant="package:MAX_TOTAL_BYTES", all_said=False,
    ),
    "ratio of a part": Limit(
        "times its size once unpacked", docx_ratio, lambda n: DocxReader(ocr="none"), 200, all_said=False
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_a_file_at_a_limit_is_read_in_full_and_one_beyond_is_refused(name, monkeypatch):
    one = LIMITS[name]
    if one.constant:
        module, _, constant = one.constant.partition(":")
        monkeypatch.setattr(importlib.import_module(f"citewell.reading.{module}"), constant, one.limit)
    reader = one.reader(one.limit)
    said = one.said(reader.read(Source("file", one.make(one.limit))))
    assert [text for text in words(one.limit if one.all_said else 1) if text not in said] == []
    beyond = one.limit + one.step
    with pytest.raises(ReadError) as caught:
        reader.read(Source("file", one.make(beyond)))
    assert caught.value.kind == "limit_exceeded"
    setting = f"reading.{one.setting} " if one.setting else ""
    told = re.search(rf"([\d,]+) {one.unit}; the limit {setting}is {one.limit:,}\. ", str(caught.value))
    assert told is not None, caught.value
    assert one.limit < int(told[1].replace(",", "")) <= beyond
    assert ("raise the limit" in str(caught.value)) == bool(one.setting), "what no setting says cannot be raised"


def test_a_mailbox_says_how_many_of_its_mails_are_lacking_however_many_they_are(monkeypatch):
    monkeypatch.setattr(mime, "MAX_PARTS", 0)
    bad = mail(1).decode()
    letters = "".join(f"From a@e.org Mon Jan  1 00:00:00 2024\n{bad}\n" for _ in range(120))
    document = MboxReader().read(Source("m.mbox", letters.encode() + mbox(1)))
    assert word(0) in document.text
    assert document.warnings[0] == "Mails that could not be read and were left out: 120."
    assert document.warnings[-1] == "Warnings of this mailbox that are not shown: 21."
    assert len(document.warnings) == 101


def test_a_mail_that_is_lacking_is_told_before_all_that_is_odd_about_others(monkeypatch):
    monkeypatch.setattr(mime, "MAX_PARTS", 5)
    monkeypatch.setattr(html_reader, "MAX_DEPTH", 3)
    deep = "--B\nContent-Type: text/html\n\n<div><div><p>x</p></div></div>\n"
    head = "From a@e.org Mon Jan  1 00:00:00 2024\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
    odd = f"{head}{deep * 4}--B\nContent-Type: text/plain\n\n{word(0)}\n--B--\n\n"
    bad = f"From a@e.org Mon Jan  1 00:00:00 2024\n{mail(6).decode()}\n"
    document = MboxReader().read(Source("m.mbox", (odd * 30 + bad).encode()))
    assert document.warnings[0].startswith("Mail 31 was left out: The mail has at least 6 parts")
    assert document.warnings[-1] == "Warnings of this mailbox that are not shown: 21."
    assert sum(one.startswith("Mail 1: ") for one in document.warnings) == 4


def test_the_limits_of_the_settings_reach_the_readers_here_and_in_workers():
    readers = Readers(default_factories(max_cells=4, max_pages=2))
    try:
        for source, limit in ((Source("a.csv", csv(5)), "max_cells is 4"), (Source("a.pdf", pdf(3)), "max_pages is 2")):
            with pytest.raises(ReadError, match=limit):
                readers.read(source)
        assert word(3) in readers.read(Source("a.csv", csv(4))).text
        assert word(1) in readers.read(Source("a.pdf", pdf(2))).text
    finally:
        readers.close()
