"""Arabic and Hebrew in PDFs read as they are read aloud, with the words, figures and signs of other scripts in them."""

from __future__ import annotations

import io

import pytest
from reportlab.pdfgen.canvas import Canvas

from citewell.reading.pdf import PdfReader
from citewell.reading.pdf_rtl import reading_order
from citewell.types import BlockKind, Source, Span, locate

LINES = [
    "ترتفع الإنتاجية عند استخدام Python و R في 25 مشروعا",
    "قال المدير إن الاجتماع يوم 12/05/2024 الساعة 10:30",
    "السعر الآن 1,250.50 دولار (بعد الخصم) لكل وحدة",
]
HEBREW = ["הנהלים החדשים של החברה תקפים מיום 3 במאי 2024", "כל עובד מקבל 25 ימי חופשה (כולל ערבי חג) בשנה"]


def drawn(lines: list[str], *, ligatures: bool, mirrored: bool = False) -> bytes:
    """A page of `lines`, each letter drawn where a typesetter would: from the right, and what is Latin from the left.

    There is no Arabic font here: a letter is drawn as a Latin one, and the font's table says what it stands for, as all
    fonts of PDFs do. `ligatures` are lam and alef as one sign; `mirrored` brackets stand for what they look like.
    """
    signs: dict[str, int] = {}

    def code(sign: str) -> int:
        return signs.setdefault(sign, 0x41 + len(signs))

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True, pageCompression=0)
    canvas.setFont("Courier", 12)
    for number, line in enumerate(lines):
        x = 540.0
        for part in placed(line, ligatures=ligatures):
            x -= 7.2
            if part != " ":
                sign = part.translate(str.maketrans("()", ")(")) if mirrored else part
                canvas.drawString(x, 700 - 18 * number, chr(code(sign)))
    canvas.save()
    rows = "".join(f"<{at:02x}> <{sign.encode('utf-16-be').hex()}>\n" for sign, at in signs.items())
    table = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(signs)} beginbfchar\n{rows}endbfchar endcmap end end"
    )
    return with_table(buffer.getvalue(), table.encode())


def placed(line: str, *, ligatures: bool) -> list[str]:
    """The signs of a line from right to left, as they are drawn."""
    made: list[str] = []
    run: list[str] = []
    for word in line.split(" "):
        latin = word[:1].isascii() and word[:1] != "("
        run = list(word) if not latin else list(reversed(word))
        if ligatures and not latin:
            joined = word
            for alef in "اأإآ":
                joined = joined.replace(f"ل{alef}", {"ا": "\x01", "أ": "\x02", "إ": "\x03", "آ": "\x04"}[alef])
            run = [{"\x01": "لا", "\x02": "لأ", "\x03": "لإ", "\x04": "لآ"}.get(sign, sign) for sign in joined]
        made += [*run, " "]
    return made[:-1]


def with_table(content: bytes, table: bytes) -> bytes:
    """The PDF with `table` as the ToUnicode table of its Courier."""
    at = content.index(b"/BaseFont /Courier")
    content = content[:at] + b"/ToUnicode 99 0 R " + content[at:]
    end = content.rindex(b"\nxref") + 1
    stream = b"99 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(table), table)
    content = content[:end] + stream + content[end:]
    # PDFium rebuilds a table of objects whose offsets are wrong.
    return content[: content.rindex(b"startxref")] + b"startxref\n0\n%%EOF\n"


@pytest.mark.parametrize("ligatures", [True, False])
@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("lines", [LINES, HEBREW])
def test_lines_from_right_to_left_are_read_in_their_order(lines, ligatures, mirrored):
    document = PdfReader(ocr="none").read(Source("a.pdf", drawn(lines, ligatures=ligatures, mirrored=mirrored)))
    assert document.text.split() == " ".join(lines).split()


def test_a_line_from_right_to_left_is_located_where_it_is_drawn():
    document = PdfReader(ocr="none").read(Source("a.pdf", drawn(LINES, ligatures=True)))
    for number, line in enumerate(LINES):
        at = document.text.index(line)
        (found,) = locate(document.blocks, Span(at + 5, at + 9))
        assert found.box is not None
        assert abs((found.box[1] + found.box[3]) / 2 - (792 - 700 + 18 * number - 3)) < 5


def test_cells_of_a_table_from_right_to_left_are_read_in_their_order():
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(612, 792), invariant=True)
    canvas.grid([72, 200, 330], [700 - 20 * row for row in range(4)])
    for row in range(3):
        canvas.drawString(80, 686 - 20 * row, f"Row {row}")
        canvas.drawString(210, 686 - 20 * row, str(100 + row))
    canvas.save()
    # What is not from right to left is left as it is.
    document = PdfReader(ocr="none").read(Source("a.pdf", buffer.getvalue()))
    table = next(block for block in document.blocks if block.kind is BlockKind.TABLE)
    assert [cell.span.of(document.text) for cell in table.cells] == ["Row 0", "100", "Row 1", "101", "Row 2", "102"]


@pytest.mark.parametrize(
    ("drawn_from_left", "read"),
    [
        ("ג ++C ב 17 א", "א 17 ב C++ ג"),
        ("%25 א", "א %25"),
        ("3-5 א", "א 3-5"),
        (".ב (2) א", "א (2) ב."),
        ("הדגב foo bar 7 א", "א foo bar 7 בגדה"),
        ("20 10 א", "א 10 20"),
        ("See אב here", "See בא here"),
    ],
)
def test_what_runs_from_left_to_right_keeps_its_order_in_a_line_that_does_not(drawn_from_left, read):
    assert reading_order(list(drawn_from_left)) == read
