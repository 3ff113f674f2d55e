"""Rich Text: words in the right encoding, structure from styles, what is not shown kept apart."""

import time

import pytest
from image_samples import PNG
from laws import assert_lawful, shown
from proportion import out_of_proportion

from citewell.errors import ReadError
from citewell.reading.detect import detect
from citewell.reading.formats import RTF
from citewell.reading.rtf import RtfReader, rtf_text
from citewell.types import BlockKind, Document, Reason, Source

HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset128 MS;}}"
    r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}}"
    r"{\info{\title Key handbook}{\author Ana}{\creatim\yr2025\mo1\dy2\hr10\min5}}"
)


def rtf(body: str | bytes) -> Document:
    raw = body.encode("latin-1") if isinstance(body, str) else body
    document = RtfReader().read(Source("k.rtf", HEAD.encode() + raw + b"}"))
    assert_lawful(document)
    return document


def kind_of(content: bytes) -> str:
    with pytest.raises(ReadError) as caught:
        RtfReader().read(Source("k.rtf", content))
    return caught.value.kind


def test_structure_of_a_document() -> None:
    document = rtf(
        r"\pard\s1 Rotation\par\pard Keys \b last\b0  90 days.\line Or less.\par\pard\s2 Steps\par"
        r"\pard{\listtext 1.\tab}\ls1\ilvl0 Open it.\par{\listtext a.\tab}\ilvl1 Log in.\par"
        r"\trowd\trhdr\pard\intbl Plan\cell Days\cell\row\trowd\pard\intbl Free\par plan\cell 90\cell\row\pard After.\par"  # noqa: E501
    )
    assert detect(HEAD.encode(), "x.doc") == RTF
    assert [(b.kind.value, b.level, b.span.of(document.text)) for b in document.blocks] == [
        ("heading", 1, "Rotation"),
        ("paragraph", 0, "Keys last 90 days.\nOr less."),
        ("heading", 2, "Steps"),
        ("list_item", 0, "Open it."),
        ("list_item", 1, "Log in."),
        ("table", 0, "Plan | Days\nFree plan | 90"),
        ("paragraph", 0, "After."),
    ]
    table = next(b for b in document.blocks if b.kind is BlockKind.TABLE)
    assert [cell.header for cell in table.cells] == [True, True, False, False]
    assert (document.title, document.metadata) == ("Key handbook", {"author": "Ana", "created": "2025-01-02T10:05:00"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (r"Gr\'f6\'dfe", "Größe"),
        (r"\f1 \'ea\'eb\'fe\'f7\f0  key", "ключ key"),
        (r"{\f2 \'8c\'ae}\'e9", "鍵é"),
        (r"\u1082?\u1083?\uc0\u1102\u1095", "ключ"),
        (r"\uc2\u8364\'80\'80uro", "€uro"),
        (r"\uc1\u8364{\uc0}\'80", "€\u20ac"),
        (r"\u-10179?\u-8704?", "\U0001f600"),
        (r"a\~b\emdash c\ldblquote d\rdblquote\{\}\\", "a\xa0b—c“d”{}\\"),
        (r"x{\*\unknown secret}{\fldinst none}y", "xy"),
    ],
)
def test_characters_are_read_in_their_encoding(body: str, said: str) -> None:
    assert rtf(body).text == said


def test_hidden_and_deleted_text_and_comments_are_kept_apart() -> None:
    document = rtf(r"Seen{\v HIDDEN}{\deleted gone}{\*\annotation note} too.\par")
    assert shown(document) == ["Seen too."]
    assert [b.span.of(document.text) for b in document.blocks if b.hidden] == ["HIDDEN"]
    assert document.account.left_out[Reason.HIDDEN].characters == len("HIDDENgonenote")
    assert document.warnings == (
        "2 tracked deletions and comments were left out.",
        "Blocks of hidden text, marked as hidden: 1.",
    )


def test_notes_follow_their_paragraph_and_margins_are_boilerplate() -> None:
    document = rtf(r"{\header Acme\par}{\footer Foot\par}One{\footnote Note.\par} two.\par Three.\par")
    assert [(b.kind.value, b.boilerplate, b.span.of(document.text)) for b in document.blocks] == [
        ("header", True, "Acme"),
        ("paragraph", False, "One two."),
        ("paragraph", False, "Note."),
        ("paragraph", False, "Three."),
        ("footer", True, "Foot"),
    ]


def test_a_link_keeps_its_words_and_target() -> None:
    document = rtf(r'See {\field{\*\fldinst{HYPERLINK "https://x.example/a"}}{\fldrslt{the docs}}} now.\par')
    assert document.text == "See the docs now."
    (link,) = document.blocks[0].links
    assert (link.span.of(document.text), link.target) == ("the docs", "https://x.example/a")


def test_pictures_are_assets_and_unknown_ones_are_counted() -> None:
    document = rtf(r"Text{\pict\pngblip " + PNG.hex() + r"}{\pict\wmetafile8 00ff}\par")
    assert [one.media_type for one in document.assets] == ["image/png"]
    assert document.account.left_out[Reason.UNREADABLE].images == 1
    assert "89504e" not in document.text


def test_binary_data_is_skipped_by_its_length() -> None:
    assert rtf(b"a{\\pict\\bin5 }}}}}}b\\par").text == "ab"


def test_places_are_bytes_of_the_source() -> None:
    raw = HEAD.encode() + b"\\pard One.\\par\\pard Two.\\par}"
    place = RtfReader().read(Source("k.rtf", raw)).blocks[1].source
    assert place is not None
    assert b"Two." in raw[place.start : place.end]
    assert b"One." not in raw[place.start : place.end]


@pytest.mark.parametrize(
    "content",
    [b"{\\rtf1 {{{ open to the end", b"{\\rtf1 a}}}} open to the end", b"{\\rtf1 \\u99999999?open to the end\\"],
)
def test_broken_files_keep_their_words(content: bytes) -> None:
    assert "open to the end" in RtfReader().read(Source("k.rtf", content)).text


def test_a_hundred_thousand_open_groups_are_refused() -> None:
    assert kind_of(b"{\\rtf1 " + b"{" * 100_000) == "limit_exceeded"
    assert kind_of(b"{\\rtf1 " + b"{}" * 100_000 + b"}") == "no_text"


@pytest.mark.parametrize(
    "unit",
    [
        rb"\par x",
        rb"\'",
        rb"{\*\a ",
        rb"\u1\'",
        rb"\cell",
        rb"\row\cell",
        rb"{\field{\*\fldinst HYPERLINK ",
        rb"\bin0 ",
    ],
)
def test_repeated_control_words_take_time_in_proportion_or_are_refused(unit: bytes) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        try:
            RtfReader().read(Source("k.rtf", b"{\\rtf1 x" + unit * (size // len(unit))))
        except ReadError as error:
            assert error.kind == "limit_exceeded"  # noqa: PT017 - both outcomes are fine
        return time.process_time() - start

    assert not out_of_proportion(seconds, 20_000)


def test_the_plain_text_of_some_rtf() -> None:
    assert rtf_text(b"{\\rtf1 One.\\par{\\v no}Two.\\par}") == "One.\n\nTwo."
