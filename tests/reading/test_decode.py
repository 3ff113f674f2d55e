"""Whatever the bytes were saved as, the words come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import ReadError
from citewell.reading.decode import decode, decode_html

GERMAN = "Die schöne Müllerin aß heiße Würste für 5 € – „ganz köstlich“, sagte sie über das Frühstück.\n"
FRENCH = "L’été dernier, nous avons mangé à l’hôtel où le garçon était très âgé.\n"
POLISH = "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.\n"
CZECH = "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň úpěl ďábelské ódy.\n"
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.\n"
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.\n"
JAPANESE = "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。\n"
CHINESE = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。\n"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (CZECH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GREEK, "cp1253"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
        (CHINESE, "gb18030"),
        (KOREAN, "cp949"),
        *[(GERMAN + RUSSIAN, mark) for mark in ("utf-8", "utf-8-sig", "utf-16", "utf-32")],
    ],
)
def test_words_come_out_of_common_encodings_without_a_label(text: str, encoding: str) -> None:
    decoded = decode((3 * text).encode(encoding))
    assert decoded.text == 3 * text
    assert not decoded.warnings


def test_a_page_that_says_utf_8_but_is_cp1252_reads_rightly() -> None:
    page = f'<html><head><meta charset="utf-8"></head><p>{GERMAN}</p>'
    assert GERMAN.strip() in decode_html(page.encode("cp1252")).text


def test_a_page_that_says_latin_1_but_is_utf_8_reads_rightly() -> None:
    page = f'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>{GERMAN}</p>'
    assert GERMAN.strip() in decode_html(page.encode()).text


def test_a_label_decides_where_the_bytes_cannot() -> None:
    page = '<meta charset="iso-8859-7"><p>αβγ</p>'
    assert "αβγ" in decode_html(page.encode("iso-8859-7")).text
    assert "日本語" in decode_html("<meta charset=iso-2022-jp><p>日本語".encode("iso-2022-jp")).text


@pytest.mark.parametrize("label", ["hex", "rot13", "utf-7", "nonsense", "idna", "undefined", "unicode_escape"])
def test_labels_that_are_no_character_set_are_passed_over(label: str) -> None:
    assert decode("Grüße und Küsse".encode("cp1252"), declared=label).text == "Grüße und Küsse"
    assert decode(b"a+AD4-b \\u0041", declared=label).text == "a+AD4-b \\u0041"


def test_damaged_utf_8_keeps_its_words_and_says_so() -> None:
    decoded = decode(("ж" * 200).encode() + b"\xff" + "ы".encode())
    assert decoded.text == "ж" * 200 + "\ufffd" + "ы"
    assert "1 places" in decoded.warnings[0]


def test_newlines_become_one_kind_and_control_characters_go() -> None:
    decoded = decode(b"a\r\nb\rc\0\x07d\x0ce\x0bf\tg")
    assert decoded.text == "a\nb\ncd\ne\nf\tg"
    assert "2 control characters" in decoded.warnings[0]


def test_text_is_not_brought_to_a_normal_form() -> None:
    assert decode("e\u0301 é ﬁ".encode()).text == "e\u0301 é ﬁ"


def test_bytes_that_are_no_text_are_corrupt() -> None:
    with pytest.raises(ReadError) as caught:
        decode(bytes(range(128, 256)) + b"\x01\x02\x03\x81\x8d" * 50)
    assert caught.value.kind == "corrupt"


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc"))), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
)
def test_marked_or_utf_8_text_without_controls_survives_as_it_is(text: str, encoding: str) -> None:
    if encoding == "utf-8" and text.startswith("\ufeff"):
        return
    assert decode(text.encode(encoding)).text == text.removeprefix("\ufeff")


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_corrupt(content: bytes) -> None:
    try:
        text = decode(content).text
    except ReadError as error:
        kind, text = error.kind, ""
    else:
        kind = "corrupt"
    assert kind == "corrupt"
    assert not any(ch in text for ch in "\r\0\x1e")
