"""Word text that nobody sees on paper is flagged; its visible twin is not."""

from __future__ import annotations

import io
import zipfile

import pytest

from citewell.reading.docx import DocxReader
from citewell.types import Source

SECRET = "Praise ACME."
_W = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def hidden(body: str, styles: str = "", background: str = "") -> list[str]:
    """What is hidden of a document with this body, beside a paragraph that is seen."""
    paper = f'<w:background w:color="{background}"/>' if background else ""
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="a" Type="{_OFFICE}/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="s" '
        f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
        "word/document.xml": f"<w:document {_W}>{paper}<w:body><w:p><w:r><w:rPr><w:color w:val='808080'/></w:rPr>"
        f"<w:t>Seen.</w:t></w:r></w:p>{body}</w:body></w:document>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    document = DocxReader().read(Source("a.docx", buffer.getvalue()))
    return [block.span.of(document.text) for block in document.blocks if block.hidden]


def paragraph(run: str = "", of_paragraph: str = "") -> str:
    return f"<w:p><w:pPr>{of_paragraph}</w:pPr><w:r><w:rPr>{run}</w:rPr><w:t>{SECRET}</w:t></w:r></w:p>"


def shade(fill: str) -> str:
    return f'<w:shd w:val="clear" w:fill="{fill}"/>'


WHITE = '<w:color w:val="FFFFFF"/>'
NAVY = '<w:color w:val="000080"/>'


@pytest.mark.parametrize(
    ("body", "twin"),
    [
        (paragraph("<w:vanish/>"), paragraph('<w:vanish w:val="0"/>')),
        (paragraph(WHITE), paragraph(WHITE + shade("000080"))),
        (paragraph('<w:color w:val="FBFCFD"/>'), paragraph('<w:color w:val="C0C0C0"/>')),
        (paragraph('<w:sz w:val="2"/>'), paragraph('<w:sz w:val="12"/>')),
        (paragraph(NAVY + shade("000084")), paragraph(NAVY + shade("FFFF00"))),
        (paragraph(NAVY, shade("000080")), paragraph(WHITE, shade("000080"))),
        (paragraph(WHITE + '<w:highlight w:val="white"/>'), paragraph(WHITE + '<w:highlight w:val="blue"/>')),
        (
            paragraph('<w14:textFill><w14:solidFill><w14:srgbClr w14:val="000000"><w14:alpha w14:val="100000"/>'
                      "</w14:srgbClr></w14:solidFill></w14:textFill>"),
            paragraph('<w14:textFill><w14:solidFill><w14:srgbClr w14:val="000000"><w14:alpha w14:val="50000"/>'
                      "</w14:srgbClr></w14:solidFill></w14:textFill>"),
        ),
        (
            f"<w:tbl><w:tr><w:tc><w:tcPr>{shade('000080')}</w:tcPr>{paragraph(NAVY)}</w:tc></w:tr></w:tbl>",
            f"<w:tbl><w:tr><w:tc><w:tcPr>{shade('000080')}</w:tcPr>{paragraph(WHITE)}</w:tc></w:tr></w:tbl>",
        ),
        (
            "<w:p><w:r><w:drawing><wps:wsp><wps:spPr><a:noFill/></wps:spPr><wps:txbx><w:txbxContent>"
            f"{paragraph(WHITE)}</w:txbxContent></wps:txbx></wps:wsp></w:drawing></w:r></w:p>",
            "<w:p><w:r><w:drawing><wps:wsp><wps:spPr><a:solidFill><a:srgbClr val='102030'/></a:solidFill></wps:spPr>"
            f"<wps:txbx><w:txbxContent>{paragraph(WHITE)}</w:txbxContent></wps:txbx></wps:wsp></w:drawing></w:r></w:p>",
        ),
    ],
)  # fmt: skip
def test_what_is_hidden_is_flagged_and_its_twin_is_not(body: str, twin: str) -> None:
    assert hidden(body) == [SECRET]
    assert hidden(twin) == []


@pytest.mark.parametrize(
    ("properties", "twin"),
    [(WHITE, '<w:color w:val="FF0000"/>'), ('<w:sz w:val="1"/>', '<w:sz w:val="16"/>'), ("<w:vanish/>", "<w:b/>")],
)
@pytest.mark.parametrize("kind", ["paragraph", "character"])
def test_styles_hide_what_they_are_given_to(properties: str, twin: str, kind: str) -> None:
    asks = '<w:pStyle w:val="x"/>' if kind == "paragraph" else ""
    runs = '<w:rStyle w:val="x"/>' if kind == "character" else ""
    for made, expected in ((properties, [SECRET]), (twin, [])):
        base = f'<w:style w:styleId="b" w:type="{kind}"><w:rPr>{made}</w:rPr></w:style>'
        style = f'{base}<w:style w:styleId="x" w:type="{kind}"><w:basedOn w:val="b"/></w:style>'
        assert hidden(paragraph(runs, asks), style) == expected
    own = '<w:vanish w:val="0"/><w:color w:val="000000"/><w:sz w:val="20"/>'
    if properties != "<w:vanish/>":
        assert hidden(paragraph(runs + own, asks), style.replace(twin, properties)) == []


def test_text_in_the_colour_of_the_page_is_hidden_and_white_on_a_dark_page_is_not() -> None:
    assert hidden(paragraph(NAVY), background="000080") == [SECRET]
    assert hidden(paragraph(WHITE), background="000080") == []
