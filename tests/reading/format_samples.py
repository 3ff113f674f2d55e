"""One small source of every format, with a bit of all that the format has: what mutations start from."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache

from ole_samples import container, fixed, text

PROSE = "The lab in Ghent checks every gauge twice a year, and keeps the record for ten years."
OPEN = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "text", "table", "style", "drawing")
)
OPEN_ROW = "<table:table-row><table:table-cell><text:p>north</text:p></table:table-cell></table:table-row>"
PARTS = {
    "txt": f"GAUGES\n\n{PROSE}\n\nQ: How often?\nA: Twice.\n\nRecords\n-------\n\na | b\n1 | 2\n",
    "md": f"---\ntitle: G\n---\n# Gauges\n\n{PROSE} **Twice** [r](https://e.org/r).\n\n- a\n  - b\n\n> c\n\n"
    "|a|b|\n|-|-|\n|1|2|\n\n```py\nx\n```\n<table><tr><td>1</table>\n",
    "html": f"<!doctype html><html><body><nav><a href=/>h</a></nav><main><h1>Gauges</h1><p>{PROSE}</p>"
    "<p style='display:none'>no</p><ul><li>a</ul><table><tr><th>a<td rowspan=2>b</table>"
    "<details><summary>How?</summary>So.</details></main></body></html>",
    "csv": 'Gauge,Pressure,Remark\nnorth,7 bar,"checked, and\nrecorded"\nsouth,2 bar,\n',
    "json": json.dumps({"title": "G", "gauges": [{"name": "north", "bar": 7}, {"name": "b", "bar": 2}], "x": PROSE}),
    "jsonl": '{"question": "How often?", "answer": "Twice."}\n{"question": "Where?", "answer": "Ghent."}\n',
    "xml": f"<?xml version='1.0'?><book><title>G</title><chapter n='1'><p>{PROSE}</p><p>x &amp; y</p></chapter></book>",
    "rst": f"Gauges\n======\n\n{PROSE}\n\n* a\n* b\n\n.. note:: c\n\n=== ===\n a   b\n=== ===\n 1   2\n=== ===\n",
    "rtf": "{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}{\\info{\\title G}}\\f0\\pard{\\b Gauges}\\par "
    + PROSE
    + "\\par\\trowd\\cellx1000\\cellx2000 a\\cell b\\cell\\row\\pard x\\'e9\\u233?\\par}",
    "py": f'"""Gauges."""\n\nclass Gauge:\n    """{PROSE}"""\n\n    def check(self):\n        return 7\n',
    "ipynb": json.dumps(
        {
            "nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"language": "python"}},
            "cells": [
                {"cell_type": "markdown", "metadata": {}, "source": ["# Gauges\n", PROSE]},
                {"cell_type": "code", "metadata": {}, "source": "check()", "execution_count": 1, "outputs": [
                    {"output_type": "stream", "name": "stdout", "text": ["7 bar\n"]}]},
            ],
        }
    ),
    "eml": "From: a@e.org\nTo: b@e.org\nSubject: G\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
    f"--B\nContent-Type: text/plain\n\n{PROSE}\n> quoted\n--B\nContent-Type: text/csv; name=a.csv\n"
    "Content-Disposition: attachment; filename=a.csv\nContent-Transfer-Encoding: base64\n\nYSxiCjEsMgo=\n--B--\n",
    "mbox": "From a@e.org Mon Jan  1 00:00:00 2024\nFrom: a@e.org\nSubject: One\nDate: x\n\n" + PROSE + "\n\n"
    "From b@e.org Mon Jan  1 00:00:00 2024\nFrom: b@e.org\nSubject: Two\nDate: x\n\nSecond mail.\n",
    "mhtml": "From: <Saved by Blink>\nSnapshot-Content-Location: https://e.org/\nMIME-Version: 1.0\n"
    "Content-Type: multipart/related; boundary=B\n\n--B\nContent-Type: text/html\n\n<html><body><h1>G</h1><p>"
    + PROSE
    + "</p></body></html>\n--B--\n",
}  # fmt: skip


@cache
def samples() -> dict[str, bytes]:
    """Suffix → content."""
    binary = {
        "docx": _docx(),
        "pptx": _pptx(),
        "xlsx": _xlsx(),
        "xls": _xls(),
        "pdf": _pdf(),
        "png": _png(),
        "msg": container(
            {**fixed(32, (0x0003, 0x0E07, 1)), **text(0x0037, "Gauges"), **text(0x1000, PROSE), **text(0x0C1A, "Ann")}
        ),
        "odt": _zip(
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            (
                "content.xml",
                f"<office:document-content {OPEN}><office:body><office:text><text:h text:outline-level='1'>G</text:h>"
                f"<text:p>{PROSE}</text:p><table:table>{OPEN_ROW}</table:table></office:text></office:body>"
                "</office:document-content>",
            ),
        ),
        "ods": _zip(
            ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
            (
                "content.xml",
                f"<office:document-content {OPEN}><office:body><office:spreadsheet><table:table table:name='S'>"
                f"{OPEN_ROW * 3}</table:table></office:spreadsheet></office:body></office:document-content>",
            ),
        ),
        "epub": _zip(
            ("mimetype", "application/epub+zip"),
            (
                "META-INF/container.xml",
                '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                '<rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            ),
            (
                "c.opf",
                '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest><item id="a" href="a.xhtml" '
                'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
            ),
            ("a.xhtml", f"<html><body><h1>G</h1><p>{PROSE}</p></body></html>"),
        ),
    }
    return {name: content.encode() for name, content in PARTS.items()} | binary


def _zip(*parts: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return buffer.getvalue()


def _docx() -> bytes:
    from docx import Document

    made = Document()
    made.add_heading("Gauges", 1)
    made.add_paragraph(PROSE)
    made.add_paragraph("at most 7 bar", style="List Bullet")
    made.add_table(rows=2, cols=2).cell(0, 0).text = "north"
    return _saved(made)


def _pptx() -> bytes:
    from pptx import Presentation

    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Gauges"
    slide.placeholders[1].text = PROSE
    slide.notes_slide.notes_text_frame.text = "Say it twice."
    return _saved(made)


def _xlsx() -> bytes:
    import openpyxl

    made = openpyxl.Workbook()
    for row in (("Gauge", "Pressure"), ("north", 7), ("south", 2.5)):
        made.active.append(row)
    made.active.merge_cells("A5:B6")
    return _saved(made)


def _xls() -> bytes:
    import xlwt

    made = xlwt.Workbook()
    sheet = made.add_sheet("S")
    for at, value in enumerate(("Gauge", "north", 7)):
        sheet.write(at, 0, value)
    return _saved(made)


def _pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pageCompression=0, invariant=1)
    canvas.bookmarkPage("a")
    canvas.addOutlineEntry("Gauges", "a")
    for number in range(2):
        canvas.drawString(72, 720, f"Gauges {number}")
        canvas.drawString(72, 690, PROSE)
        canvas.grid([72, 172, 272], [600, 620, 640])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _png() -> bytes:
    from PIL import Image, ImageDraw

    made = Image.new("L", (160, 40), 255)
    ImageDraw.Draw(made).text((10, 12), "Gauges 7 bar", fill=0)
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()


def _saved(made: object) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()
