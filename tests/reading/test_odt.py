"""OpenDocument: structure from elements and styles, hidden and deleted text kept apart."""

import base64
import io
import re
import zipfile

import pytest
from image_samples import PNG
from laws import assert_lawful, shown

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import ODP, ODS, ODT
from citewell.reading.odf import OdfReader
from citewell.reading.readers import Readers
from citewell.types import BlockKind, Document, Reason, Source

NAMES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for short, long in {
        "office": "office", "text": "text", "table": "table", "style": "style", "draw": "drawing",
        "fo": "xsl-fo-compatible", "svg": "svg-compatible", "presentation": "presentation", "meta": "meta",
    }.items()
) + ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip
STYLES = (
    f'<office:document-styles {NAMES}><office:styles><style:style style:name="Secret" style:family="text">'
    '<style:text-properties text:display="none"/></style:style><style:style style:name="Title" style:family="paragraph"/>'  # noqa: E501
    '</office:styles><office:master-styles><style:master-page style:name="S"><style:header><text:p>Acme internal</text:p>'  # noqa: E501
    "</style:header><style:footer><text:p>Page foot</text:p></style:footer></style:master-page></office:master-styles>"
    "</office:document-styles>"
)
AUTOMATIC = (
    '<office:automatic-styles><style:style style:name="T1" style:family="text" style:parent-style-name="Secret"/>'
    '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/></office:automatic-styles>'
)
BODY = """<text:tracked-changes><text:changed-region><text:deletion><text:p>Old limit</text:p></text:deletion>
</text:changed-region></text:tracked-changes><text:p text:style-name="P1">Key handbook</text:p>
<text:table-of-content><text:index-body><text:p>Rotation 1</text:p></text:index-body></text:table-of-content>
<text:h text:outline-level="1">Rotation</text:h>
<text:p>Keys<text:s text:c="2"/>last <text:a xlink:href="https://x.example/d">90
 days</text:a>.<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>By law.</text:p></text:note-body>
</text:note><text:span text:style-name="T1">SECRET</text:span><office:annotation><text:p>really?</text:p></office:annotation></text:p>
<text:h text:outline-level="2">Steps</text:h>
<text:list><text:list-item><text:p>Open it.</text:p><text:p>Log in.</text:p><text:list><text:list-item><text:p>Use SSO.</text:p>
</text:list-item></text:list></text:list-item><text:list-item><text:p>Rotate.</text:p></text:list-item></text:list>
<table:table><table:table-header-rows><table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>Plan</text:p>
</table:table-cell><table:covered-table-cell/><table:table-cell><text:p>Days</text:p></table:table-cell></table:table-row>
</table:table-header-rows><table:table-row><table:table-cell><text:p>Free</text:p></table:table-cell><table:table-cell>
<text:p>EU</text:p></table:table-cell><table:table-cell><text:p>90</text:p></table:table-cell></table:table-row></table:table>
<text:p><draw:frame><draw:text-box><text:p>Boxed words.</text:p></draw:text-box></draw:frame>
<draw:frame><draw:image xlink:href="Pictures/a.png"/><svg:title>A chart</svg:title></draw:frame></text:p>
<text:section text:display="none"><text:p>Hidden part.</text:p></text:section>"""  # noqa: E501


def packed(body: str, kind: str = "text", **parts: str | bytes) -> bytes:
    out = io.BytesIO()
    content = f"<office:document-content {NAMES}>{AUTOMATIC}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"  # noqa: E501
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        for name, data in {"content.xml": content, "styles.xml": STYLES, "Pictures/a.png": PNG, **parts}.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def odt(body: str = BODY, **parts: str | bytes) -> Document:
    document = OdfReader().read(Source("k.odt", packed(body, **parts)))
    assert_lawful(document)
    return document


def kind_of(body: str, **parts: str | bytes) -> str:
    with pytest.raises(ReadError) as caught:
        odt(body, **parts)
    return caught.value.kind


def test_structure_of_a_text() -> None:
    assert detect(packed(BODY), "x.bin") == ODT
    document = odt()
    found = [
        (b.kind.value, b.level, b.span.of(document.text)) for b in document.blocks if not (b.hidden or b.boilerplate)
    ]
    assert found == [
        ("heading", 1, "Key handbook"),
        ("heading", 1, "Rotation"),
        ("paragraph", 0, "Keys  last 90 days.[1]"),
        ("paragraph", 0, "[1] By law."),
        ("heading", 2, "Steps"),
        ("list_item", 0, "Open it.\nLog in."),
        ("list_item", 1, "Use SSO."),
        ("list_item", 0, "Rotate."),
        ("table", 0, "Plan |  | Days\nFree | EU | 90"),
        ("paragraph", 0, "Boxed words."),
        ("figure", 0, "A chart"),
    ]
    assert document.title == "Key handbook"


def test_hidden_text_is_flagged_and_margins_and_contents_are_boilerplate() -> None:
    document = odt()
    assert [b.span.of(document.text) for b in document.blocks if b.hidden] == ["SECRET", "Hidden part."]
    assert [(b.kind.value, b.span.of(document.text)) for b in document.blocks if b.boilerplate] == [
        ("header", "Acme internal"), ("paragraph", "Rotation 1"), ("footer", "Page foot"),
    ]  # fmt: skip


def test_deletions_and_comments_are_left_out_and_counted() -> None:
    document = odt()
    assert "Old limit" not in document.text
    assert "really" not in document.text
    assert document.account.left_out[Reason.HIDDEN].characters == len("Oldlimitreally?SECRETHiddenpart.")
    assert document.warnings == (
        "1 tracked deletions were left out.",
        "1 comments were left out.",
        "Blocks of hidden text, marked as hidden: 2.",
    )


def test_cells_know_their_spans_and_headers() -> None:
    document = odt()
    table = next(b for b in document.blocks if b.kind is BlockKind.TABLE)
    first = table.cells[0]
    assert (first.span.of(document.text), first.header, first.column_span) == ("Plan", True, 2)
    assert not table.cells[-1].header


def test_links_images_and_places_are_kept() -> None:
    document = odt()
    (link,) = [link for block in document.blocks for link in block.links]
    assert (link.span.of(document.text), link.target) == ("90 days", "https://x.example/d")
    assert [(one.name, one.alt) for one in document.assets] == [("Pictures/a.png", "A chart")]
    rotation = next(b for b in document.blocks if b.span.of(document.text) == "Rotation")
    assert rotation.source is not None
    assert (rotation.source.unit, rotation.source.part, rotation.source.start) == ("paragraphs", "content.xml", 3)


def test_metadata_comes_from_the_meta_part() -> None:
    meta = (
        f"<office:document-meta {NAMES}><office:meta><dc:title>The title</dc:title><dc:creator>Ana</dc:creator>"
        "<meta:keyword>keys</meta:keyword><dc:language>en-GB</dc:language></office:meta></office:document-meta>"
    )
    document = odt(**{"meta.xml": meta})
    assert document.title == "The title"
    assert document.metadata == {"author": "Ana", "language": "en-GB", "keywords": ("keys",)}


def test_slides_of_a_presentation_are_pages_with_their_titles_and_notes() -> None:
    body = (
        "<draw:page><draw:frame><draw:text-box><text:list><text:list-item><text:p>First point</text:p></text:list-item></text:list>"  # noqa: E501
        '</draw:text-box></draw:frame><draw:frame presentation:class="title"><draw:text-box><text:p>Plan</text:p></draw:text-box>'  # noqa: E501
        '</draw:frame><presentation:notes><draw:frame presentation:class="notes"><draw:text-box><text:p>Say hello.</text:p>'  # noqa: E501
        "</draw:text-box></draw:frame></presentation:notes></draw:page><draw:page/>"
    )
    document = OdfReader().read(Source("k.odp", packed(body, "presentation")))
    assert (document.media_type, document.pages) == (ODP, 2)
    assert shown(document) == ["Plan", "First point", "Say hello."]
    assert {region.page for block in document.blocks for region in block.regions} == {1}
    assert document.account.left_out[Reason.TOO_SMALL].pages == 1


def test_repetitions_and_spans_beyond_reason_are_bounded() -> None:
    cell = (
        '<table:table-cell table:number-columns-repeated="9999999" table:number-rows-spanned="9999999"><text:p>x</text:p>'  # noqa: E501
        "</table:table-cell>"
    )
    row = f'<table:table-row table:number-rows-repeated="999999">{cell}</table:table-row>'
    assert kind_of(f"<table:table>{row}</table:table>") == "limit_exceeded"


def test_passwords_entities_depth_and_damage_are_told_apart() -> None:
    assert kind_of(BODY, **{"META-INF/manifest.xml": "<m><manifest:encryption-data/></m>"}) == "encrypted"
    assert kind_of(BODY, **{"styles.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}) == "unsafe_content"
    assert kind_of("<text:section>" * 5000 + "</text:section>" * 5000) == "limit_exceeded"
    assert kind_of("<text:p>cut") == "corrupt"
    assert kind_of("<text:p/>", **{"styles.xml": f"<office:document-styles {NAMES}/>"}) == "no_text"


def flat(body: str, kind: str = "text") -> bytes:
    """The same document as one XML file, its picture in it."""
    picture = f"<office:binary-data>{base64.b64encode(PNG).decode()}</office:binary-data>"
    body = body.replace('<draw:image xlink:href="Pictures/a.png"/>', f"<draw:image>{picture}</draw:image>")
    inner = re.sub(r"</?office:document-styles[^>]*>", "", STYLES)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {NAMES} office:version="1.3" '
        f'office:mimetype="application/vnd.oasis.opendocument.{kind}">{inner}{AUTOMATIC}'
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"
    ).encode()


def test_a_flat_text_reads_like_a_packed_one() -> None:
    content = flat(BODY)
    assert detect(content, "k.fodt") == detect(content, "k.xml") == ODT
    document, packed_one = OdfReader().read(Source("k.odt", content)), odt()
    assert document.text == packed_one.text
    assert [block.kind for block in document.blocks] == [block.kind for block in packed_one.blocks]
    assert [asset.content for asset in document.assets] == [PNG]


def test_a_flat_spreadsheet_is_read() -> None:
    rows = "<table:table-row><table:table-cell><text:p>Oslo</text:p></table:table-cell></table:table-row>"
    content = flat(f'<table:table table:name="Cities">{rows}</table:table>', "spreadsheet")
    document = Readers().read(Source("cities.fods", content))
    assert document.media_type == ODS
    assert "Oslo" in document.text


def test_a_flat_file_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ReadError) as caught:
        OdfReader().read(Source("k.fodt", flat(BODY)[:-60]))
    assert caught.value.kind == "corrupt"
