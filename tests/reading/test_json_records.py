"""JSON of any shape: paths are headings, flat records are tables, and nothing of it is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import assert_lawful, read, shown

from citewell.errors import ReadError
from citewell.reading.json_ import JsonReader
from citewell.types import BlockKind, Document, Source

DATA = """{"name": "Acme", "tags": ["a", "b"], "plans": [{"plan": "Free", "days": 90}, {"plan": "Pro", "days": 3.10}],
"address": {"city": "Köln", "geo": {"lat": 50.10}}, "text": "Para one.\\n\\nPara two.", "open": true, "none": null}"""


def load(content: str) -> Document:
    document = JsonReader().read(Source("some-data.json", content.encode()))
    assert_lawful(document)
    return document


def rows(document: Document) -> list[tuple[str, tuple[str, ...], str]]:
    return [(b.kind.value, b.heading_path, b.span.of(document.text)) for b in document.blocks]


def test_structure_of_an_object() -> None:
    document = load(DATA)
    assert rows(document) == [
        ("paragraph", (), "name: Acme\ntags: a, b"),
        ("heading", (), "plans"),
        ("table", ("plans",), "plan | days\nFree | 90\nPro | 3.10"),
        ("heading", (), "address"),
        ("paragraph", ("address",), "city: Köln"),
        ("heading", ("address",), "geo"),
        ("paragraph", ("address", "geo"), "lat: 50.10"),
        ("paragraph", (), "text: Para one."),
        ("paragraph", (), "Para two."),
        ("paragraph", (), "open: true"),
    ]
    assert document.title == "Acme"


def test_blocks_know_the_bytes_they_stand_in_and_escaped_ones_their_line() -> None:
    data = {"a": {"größe": "5 cm é"}, "b": {"größe": "6"}}
    raw = json.dumps(data, ensure_ascii=False).encode()
    places = {b.span.of(d.text): b.source for d in [JsonReader().read(Source("x.json", raw))] for b in d.blocks}
    place = places["größe: 6"]
    assert place is not None
    assert raw[place.start : place.end].decode() == 'größe": "6'
    assert place.start > raw.index(b'"b"')
    lines = json.dumps(data, indent=1).encode()
    place = JsonReader().read(Source("x.json", lines)).blocks[-1].source
    assert place is not None
    assert (place.start, place.end, place.unit) == (5, 6, "lines")


def test_records_with_long_or_nested_values_are_sections_by_their_names() -> None:
    document = load(json.dumps([{"title": "T1", "body": {"x": 1}}, {"id": 7, "body": "word " * 100}]))
    assert [text for kind, _, text in rows(document) if kind == "heading"] == ["T1", "body", "id 7"]
    assert rows(document)[-1][1] == ("id 7",)


def test_lines_of_json_are_records_and_a_broken_line_is_a_warning() -> None:
    lines = "\n".join(json.dumps({"a": n, "b": "x"}) for n in range(30))
    document = load(f"{lines}\n{{broken\n")
    assert document.blocks[0].kind is BlockKind.TABLE
    assert "29 | x" in document.text
    assert document.warnings == ("1 lines are no JSON and were left out: 31.",)


def test_what_is_deeper_than_headings_go_is_named_by_its_path() -> None:
    document = load('{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}')
    assert rows(document)[-1] == ("paragraph", ("a", "b", "c", "d", "e", "f"), "g.h: 1")


def test_odd_values_are_shown_as_written() -> None:
    document = load('{"a": NaN, "a": -Infinity, "n": %s, "s": "x\\ud800y", "e": 1e400}' % ("7" * 5000))
    assert document.text.split("\n")[:2] == ["a: NaN", "a (2): -Infinity"]
    assert f"n: {'7' * 5000}" in document.text.replace("\n\n", "\n")
    assert "x\ufffdy" in document.text
    assert "1e400" in document.text


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":1}\n' + "[" * 100_000]
)
def test_a_hundred_thousand_levels_are_left_to_the_text_reader(content: str) -> None:
    with pytest.raises(ReadError) as caught:
        JsonReader().read(Source("x.json", content.encode()))
    assert caught.value.kind == "unsupported_type"


def test_what_is_no_json_is_read_as_text() -> None:
    assert read('{"a": 1, oops', "x.json").reader.startswith("text@")


def test_questions_and_answers_stay_with_the_faq_reader() -> None:
    assert read('[{"question": "a?", "answer": "b"}]', "x.json").reader.startswith("faq@")
    assert read('[{"q": 1}]', "x.json").reader.startswith("json@")


def test_an_empty_value_has_no_text() -> None:
    for content in ("{}", "[]", "null", '{"a": [null, ""]}'):
        with pytest.raises(ReadError) as caught:
            JsonReader().read(Source("x.json", content.encode()))
        assert caught.value.kind == "no_text"


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)),  # noqa: E501
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "name", "x y"]), inner, max_size=4)),  # noqa: E501
    max_leaves=25,
)  # fmt: skip


@given(VALUES)
def test_every_word_of_the_data_is_in_the_document(value: object) -> None:
    def words(one: object) -> list[str]:
        if isinstance(one, dict):
            return [word for inner in one.values() for word in words(inner)]
        if isinstance(one, list):
            return [word for inner in one for word in words(inner)]
        return [] if one is None or isinstance(one, bool) else [str(one)]

    try:
        document = load(json.dumps({"data": value}))
    except ReadError as error:
        assert error.kind == "no_text" and not words(value)  # noqa: PT017, PT018 - nothing to read
        return
    for word in words(value):
        assert word in document.text


def test_a_place_holder_of_a_table_is_no_cell() -> None:
    document = load('[{"a": "1", "b": null}, {"a": "2"}]')
    assert shown(document) == ["a | b\n1 | \n2 | "]
