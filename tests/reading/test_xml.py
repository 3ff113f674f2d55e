"""XML: texts become texts, data becomes data, and nothing outside the file is looked at."""

import pytest
from laws import assert_lawful, read

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import XML
from citewell.reading.xml_ import XmlReader
from citewell.types import Document, Source

DOCBOOK = """<?xml version="1.0"?><!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "docbookx.dtd">
<book lang="en"><bookinfo><title>Key book</title><author>Ana</author></bookinfo>
<chapter><title>Rotation</title><para>Keys <emphasis>must</emphasis>
turn&nbsp;soon.</para><section><title>Steps</title>
<orderedlist><listitem><para>Open</para></listitem><listitem><para>Log in</para>
<itemizedlist><listitem><para>SSO</para></listitem></itemizedlist></listitem></orderedlist>
<programlisting language="sh">a
  b</programlisting>
<table><title>Plans</title><tgroup><thead><row><entry>a</entry><entry>b</entry></row></thead>
<tbody><row><entry morerows="1">1</entry><entry>2</entry></row><row><entry>3</entry></row></tbody></tgroup></table>
</section></chapter></book>"""


def load(content: str | bytes) -> Document:
    raw = content.encode() if isinstance(content, str) else content
    document = XmlReader().read(Source("some-data.xml", raw))
    assert_lawful(document)
    return document


def rows(document: Document) -> list[tuple[str, int, str]]:
    return [(b.kind.value, b.level, b.span.of(document.text)) for b in document.blocks]


def kind_of(content: str) -> str:
    with pytest.raises(ReadError) as caught:
        load(content)
    return caught.value.kind


def test_a_book_becomes_headings_paragraphs_lists_code_and_tables() -> None:
    assert detect(DOCBOOK.encode(), "x") == XML
    document = load(DOCBOOK)
    assert rows(document) == [
        ("heading", 1, "Key book"),
        ("paragraph", 0, "Ana"),
        ("heading", 2, "Rotation"),
        ("paragraph", 0, "Keys must turn soon."),
        ("heading", 3, "Steps"),
        ("list_item", 0, "Open"),
        ("list_item", 0, "Log in"),
        ("list_item", 1, "SSO"),
        ("code", 0, "a\n  b"),
        ("caption", 0, "Plans"),
        ("table", 0, "a | b\n1 | 2\n | 3"),
    ]
    assert (document.title, document.metadata["language"]) == ("Key book", "en")
    place = document.blocks[4].source
    assert place is not None
    assert (place.start, place.end, place.unit) == (3, 4, "lines")


def test_verse_of_tei_keeps_its_lines() -> None:
    document = load(
        "<TEI xmlns='http://www.tei-c.org/ns/1.0'><text><body><div><head>Song</head><lg><l>One</l><l>Two</l></lg></div></body></text></TEI>"
    )
    assert rows(document) == [("heading", 1, "Song"), ("paragraph", 0, "One\nTwo")]


def test_data_becomes_tables_and_fields() -> None:
    document = load(
        '<orders date="2025"><order id="1"><sku>A</sku><qty>2</qty></order><order id="2"><sku>B</sku><qty>3</qty></order>'  # noqa: E501
        "<note>Check <b>it</b> twice</note></orders>"
    )
    assert rows(document)[:4] == [
        ("heading", 1, "orders"),
        ("paragraph", 0, "date: 2025"),
        ("heading", 2, "order"),
        ("table", 0, "id | sku | qty\n1 | A | 2\n2 | B | 3"),
    ]
    assert "Check twice" in document.text
    assert "b: it" in document.text
    assert document.title == "Some data"


def test_utf_16_and_other_encodings_are_read() -> None:
    xml = '<?xml version="1.0" encoding="{}"?><doc><p>Größe</p><p>x</p></doc>'
    for encoding in ("utf-16", "iso-8859-1", "windows-1252", "utf-8"):
        assert "Größe" in load(xml.format(encoding).encode(encoding)).text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "unsafe_content"),
        ('<!DOCTYPE a [<!ENTITY % b SYSTEM "http://x.example/">%b;]><a/>', "unsafe_content"),
        ("<a>&undeclared;</a>", "corrupt"),
        ("<a><b></a>", "corrupt"),
        ("<a>" * 100_000, "limit_exceeded"),
        ("<a></a>", "no_text"),
    ],
)
def test_hostile_and_broken_xml_is_refused_with_its_kind(content: str, kind: str) -> None:
    assert kind_of(content) == kind


def test_entities_in_utf_16_are_found_as_well() -> None:
    with pytest.raises(ReadError) as caught:
        load('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"))
    assert caught.value.kind == "unsafe_content"


def test_a_table_of_endless_spans_is_refused() -> None:
    cells = '<entry cols="1000">x</entry>' * 2000
    assert kind_of(f"<doc>{'<p>a</p>' * 1000}<table>{f'<row>{cells}</row>' * 3}</table></doc>") == "limit_exceeded"


def test_broken_xml_is_read_as_the_text_it_is() -> None:
    assert read("<?xml version='1.0'?><a>words<b></a>", "x.xml").reader.startswith("text@")
