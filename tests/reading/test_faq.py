"""Question/answer pairs are found wherever they stand, and nothing else is taken for one."""

import json

import pytest
from laws import read, shown

from citewell.errors import ReadError
from citewell.reading import versions
from citewell.types import BlockKind, Document


def pairs(document: Document) -> list[tuple[str, str]]:
    found = []
    for block in document.blocks:
        if block.kind is BlockKind.FAQ:
            assert block.question is not None
            question = block.question.of(document.text)
            found.append((question, block.span.of(document.text)[len(question) + 1 :]))
    return found


EXPECTED = [("How do I pay?", "By card."), ("And by invoice?", "Ask us.")]


@pytest.mark.parametrize(
    ("content", "uri"),
    [
        ("Q: How do I pay?\nA: By card.\n\nQ: And by invoice?\nA: Ask us.\n", "f.txt"),
        ("Q: How do I pay?\nA: By card.\nQ: And by invoice?\nA: Ask us.\n", "f.md"),
        ("**Q: How do I pay?**\n\nA: By card.\n\n**Q:** And by invoice?\n\n**A:** Ask us.\n", "f.md"),
        ("### Q1. How do I pay?\n\nAnswer: By card.\n\n### Q2. And by invoice?\n\nAnswer: Ask us.\n", "f.md"),
        ("- Q: How do I pay?\n- A: By card.\n- Q: And by invoice?\n- A: Ask us.\n", "f.md"),
        ("Frage: How do I pay?\nAntwort: By card.\n\nFrage: And by\ninvoice?\nAntwort: Ask\nus.\n", "f.md"),
        ("<p>Q: How do I pay?</p><p>A: By card.</p><p>Q: And by invoice?<br>A: Ask us.</p>", "f.html"),
        ("<dl><dt>How do I pay?<dd>By card.<dt>And by invoice?<dd>Ask us.</dl>", "f.html"),
        (
            "<details><summary>How do I pay?</summary><p>By card.</p></details>"
            "<details><summary>And by invoice?</summary>Ask us.</details>",
            "f.html",
        ),
        ("Question,Answer\nHow do I pay?,By card.\nAnd by invoice?,Ask us.\n", "f.csv"),
        ("id;frage;antwort\n1;How do I pay?;By card.\n2;And by invoice?;Ask us.\n", "f.csv"),
        (json.dumps([{"question": q, "answer": a} for q, a in EXPECTED]), "f.json"),
        ("\n".join(json.dumps({"answer": a, "question": q, "id": 1}) for q, a in EXPECTED), "f.jsonl"),
        (json.dumps({"faqs": [{"q": q, "a": a} for q, a in EXPECTED]}), "f.json"),
    ],
)
def test_pairs_are_found_in_every_format(content: str, uri: str) -> None:
    document = read(content, uri)
    assert pairs(document) == EXPECTED
    assert shown(document) == [f"{q}\n{a}" for q, a in EXPECTED]


def test_normal_content_around_pairs_stays() -> None:
    document = read("# Help\n\nIntro.\n\nQ: Why?\nA: So.\n\n- one\n- two\n\nOutro.\n", "f.md")
    assert shown(document) == ["Help", "Intro.", "Why?\nSo.\none\ntwo", "Outro."]
    assert document.blocks[2].heading_path == ("Help",)


def test_further_paragraphs_belong_to_an_answer_only_inside_a_run_of_pairs() -> None:
    document = read("Q: a?\n\nA: b\n\nmore b\n\nQ: c?\n\nA: d\n\nnot d\n", "f.md")
    assert pairs(document) == [("a?", "b\nmore b"), ("c?", "d")]
    assert shown(document)[-1] == "not d"


def test_questions_without_answers_and_lettered_lists_are_left_as_they_are() -> None:
    text = "Q: who knows?\n\nNobody.\n\nA. Smith went home.\n\nQ1: revenue grew 4 %.\n\nB. last"
    assert shown(read(text, "f.txt")) == text.split("\n\n")


def test_a_category_becomes_the_heading_path_and_other_columns_are_reported() -> None:
    document = read("category,question,answer,owner\nBilling,Why?,So.,Ana\n,When?,Now.,Bo\n", "f.csv")
    assert [block.heading_path for block in document.blocks] == [("Billing",), ()]
    assert any("owner" in warning for warning in document.warnings)


def test_records_without_a_question_are_reported() -> None:
    document = read("question,answer\n,lost\nWhy?,So.\n", "f.csv")
    assert pairs(document) == [("Why?", "So.")]
    assert any("1 records" in warning for warning in document.warnings)


def test_other_json_is_read_as_data() -> None:
    assert read('{"a": ["b", 1]}', "x.json").reader == versions.JSON


def test_json_nested_beyond_any_reason_is_text_not_a_crash() -> None:
    assert read("[" * 200_000 + "1" + "]" * 200_000, "x.json").blocks


def test_a_pair_list_without_words_is_refused() -> None:
    with pytest.raises(ReadError) as caught:
        read("[]", "x.md.json") and read(" \n\t", "x.txt")
    assert caught.value.kind == "no_text"
