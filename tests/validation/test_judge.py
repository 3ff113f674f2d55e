"""The deterministic judge: what holds, what does not, and that no altered quote passes."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.language import sentences
from citewell.protocols import Judgement
from citewell.types import BlockKind, DocumentRef, Draft, Evidence, Hit, Mark, Node, Span, Statement, Verdict
from citewell.validation.judge import Deterministic


def evidence(
    text: str, number: int = 1, *, context: str = "", kind: BlockKind = BlockKind.PARAGRAPH, start: int = 0
) -> Evidence:
    span = Span(start, start + len(text))
    node = Node(f"n{number}", f"d{number}", span, text, context, kind)
    reference = DocumentRef(f"d{number}", f"file:{number}.md", "Title", 1, "default", "text/markdown")
    return Evidence(number, Hit(node, reference, 1.0, number, number), node.indexed_text, text, span, 50)


def judge(text: str, given_evidence: list[Evidence], *marks: Mark) -> Judgement:
    draft = Draft((Statement(text, marks or (Mark(1),)),), "test")
    return asyncio.run(Deterministic().judge(draft, given_evidence))[0]


LIMIT = "The limit is 5 units per order. Larger orders need the consent of Jane Doe."


def test_a_fabricated_citation_is_removed_and_its_claim_unsupported() -> None:
    found = judge("The limit is 99 units.", [evidence(LIMIT)], Mark(42))
    assert found.verdict is Verdict.UNSUPPORTED
    assert found.fabricated == (42,)
    assert found.grounds == ()
    assert "[42] was never given" in found.reasons[0]


def test_a_fabricated_citation_beside_a_good_one_is_named_and_the_claim_stands_on_the_good_one() -> None:
    found = judge("The limit is 5 units per order.", [evidence(LIMIT)], Mark(1), Mark(7))
    assert found.verdict is Verdict.SUPPORTED
    assert found.fabricated == (7,)


def test_a_statement_without_citation_is_unsupported_even_if_it_is_verbatim() -> None:
    draft = Draft((Statement("The limit is 5 units per order."),), "test")
    assert asyncio.run(Deterministic().judge(draft, [evidence(LIMIT)]))[0].verdict is Verdict.UNSUPPORTED


def test_a_verbatim_sentence_is_supported_and_its_ground_is_exactly_that_sentence() -> None:
    found = judge("The limit is 5 units per order.", [evidence(LIMIT, start=100)])
    assert (found.verdict, found.score) == (Verdict.SUPPORTED, 1.0)
    assert [ground.span for ground in found.grounds] == [Span(100, 131)]


def test_a_claim_that_is_supported_only_by_an_uncited_source_is_not_supported() -> None:
    both = [evidence("Dogs are welcome in the garden.", 1), evidence(LIMIT, 2)]
    found = judge("The limit is 5 units per order.", both, Mark(1))
    assert found.verdict is Verdict.UNSUPPORTED
    assert any("[2] would support it" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("The limit is 5 units.", "The limit is 99 units."),
        ("Hotels cost up to EUR 180 per night.", "Hotels cost up to USD 180 per night."),
        ("The policy applies from 1 May 2024.", "The policy applies from 1 May 2025."),
        ("The policy applies from 1 May 2024.", "The policy applies from 1 March 2024."),
        ("Reports are kept for 10 years.", "Reports are kept for 10 months."),
        ("Employees must not share passwords.", "Employees must share passwords."),
        ("Employees may work abroad.", "Employees may not work abroad."),
        ("The travel desk approves trips outside Europe.", "The travel desk approves trips outside Asia."),
        ("Anna Berg leads the team in Ghent.", "Tom Olsen leads the team in Ghent."),
        ("Anna Berg reports to Tom Olsen.", "Tom Olsen reports to Anna Berg."),
        (
            "Revenue was 5 million in 2022 and 7 million in 2023.",
            "Revenue was 7 million in 2022 and 5 million in 2023.",
        ),
        ("At least two people must sign.", "At most two people must sign."),
        ("All visitors need a badge.", "Some visitors need a badge."),
        ("Only managers may approve this.", "Managers may approve this."),
        ("The share rose to 12.5 % last year.", "The share rose to 125 % last year."),
        ("Twenty people attended the course.", "Thirty people attended the course."),
        ("She won the second prize in 1998.", "She won the first prize in 1998."),
        ("The door opens at 09:00.", "The door opens at 10:00."),
        ("Sales increased in spring.", "Sales decreased in spring."),
        ("You must wear gloves in the lab.", "You may wear gloves in the lab."),
    ],
)
def test_a_claim_that_differs_in_a_number_date_unit_negation_or_name_is_never_supported(
    source: str, claim: str
) -> None:
    assert judge(claim, [evidence(source)]).verdict is not Verdict.SUPPORTED
    assert judge(source, [evidence(source)]).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("The limit is 1,000.5 units per order.", "The limit is 1.000,5 units per order."),
        ("Notice must be given two weeks in advance.", "Notice must be given 14 days in advance."),
        ("The policy applies from 2024-05-01.", "The policy applies from 1 May 2024."),
        ("The budget is $5 million for travel.", "The budget for travel is $5,000,000."),
        (
            "The travel desk books all hotels. Hotels cost at most EUR 180 per night.",
            "Hotels cost at most 180 euros per night.",
        ),
        ("The office closes at 6 p.m. on Fridays.", "The office closes at 18:00 on Fridays."),
    ],
)
def test_the_same_value_in_another_notation_is_supported(source: str, claim: str) -> None:
    found = judge(claim, [evidence(source)])
    assert found.verdict is Verdict.SUPPORTED, found.reasons


def test_a_number_of_another_thing_in_the_same_source_is_not_enough() -> None:
    source = "Trips need approval above EUR 1,500. Hotels cost at most EUR 180. Meals cost at most EUR 40."
    assert judge("Hotels cost at most EUR 40.", [evidence(source)]).verdict is not Verdict.SUPPORTED
    assert judge("Hotels cost at most EUR 180.", [evidence(source)]).verdict is Verdict.SUPPORTED


def test_a_row_in_words_is_proved_cell_by_cell() -> None:
    table = "Country | Days | Rate\\nBelgium | 20 | 60 EUR\\nPortugal | 26 | 55 EUR".replace("\\n", "\n")
    source = evidence(table, kind=BlockKind.TABLE)
    row = Mark(1, Span(table.index("Portugal"), len(table)))
    assert judge("Country: Portugal; Days: 26; Rate: 55 EUR", [source], row).verdict is Verdict.SUPPORTED
    assert judge("Country: Portugal; Days: 20; Rate: 55 EUR", [source], row).verdict is Verdict.UNSUPPORTED
    assert judge("Country: Portugal; Rate: 26; Days: 55 EUR", [source], row).verdict is Verdict.UNSUPPORTED


def test_a_quote_outside_of_what_was_shown_is_unsupported() -> None:
    shown = evidence("The limit is 5 units.", start=50)
    assert judge("The limit is 5 units.", [shown], Mark(1, Span(0, 21))).verdict is Verdict.UNSUPPORTED
    assert judge("The limit is 5 units.", [shown], Mark(1, Span(50, 71))).verdict is Verdict.SUPPORTED


def test_an_endless_number_and_a_huge_claim_end() -> None:
    found = judge("The limit is " + "9" * 5000 + " units " + "and so on " * 300, [evidence(LIMIT)])
    assert found.verdict is not Verdict.SUPPORTED


NAMES = ["Anna Berg", "Tom Olsen", "Jane Doe", "Halvenmoor Instruments", "Reedbed", "Leipzig", "Ghent", "Porto"]
UNITS = ["days", "weeks", "hours", "months", "EUR", "percent", "km", "kg", "employees", "licences"]
SUBJECTS = ["travel desk", "helpdesk", "safety officer", "quality team", "mail room", "calibration lab"]
VERBS = ["approves", "collects", "records", "checks", "returns", "archives"]
OBJECTS = ["requests", "badges", "measurements", "invoices", "contracts", "parcels"]


@st.composite
def facts(draw: st.DrawFn) -> list[str]:
    """Sentences with a name, a number with a unit, a date and a modal or negation each."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        number = draw(st.integers(2, 9999))
        shapes = [
            f"The {draw(st.sampled_from(SUBJECTS))} in {draw(st.sampled_from(NAMES))} must not keep"
            f" {draw(st.sampled_from(OBJECTS))} "
            f"for more than {number} {draw(st.sampled_from(UNITS))}.",
            f"{draw(st.sampled_from(NAMES))} {draw(st.sampled_from(VERBS))} {number}"
            f" {draw(st.sampled_from(OBJECTS))} per month "
            f"since {draw(st.integers(1, 28))} March {draw(st.integers(1990, 2030))}.",
            f"Since {draw(st.integers(1990, 2030))}, {draw(st.sampled_from(OBJECTS))} of"
            f" {draw(st.sampled_from(NAMES))} are never "
            f"sent to the {draw(st.sampled_from(SUBJECTS))} without at least {number}"
            f" {draw(st.sampled_from(UNITS))} of notice.",
            f"Up to {number} {draw(st.sampled_from(UNITS))} may be spent on {draw(st.sampled_from(OBJECTS))} when the "
            f"{draw(st.sampled_from(SUBJECTS))} has agreed.",
        ]
        made.append(draw(st.sampled_from(shapes)))
    return made


def alterations(sentence: str, rnd: random.Random) -> list[tuple[str, str]]:
    """(kind, altered sentence) for each thing that can be altered."""
    found: list[tuple[str, str]] = []
    for match in re.finditer(r"\d+", sentence):
        value = int(match.group())
        other = value + rnd.choice([1, 2, 7, 10])
        found.append(("number", sentence[: match.start()] + str(other) + sentence[match.end() :]))
    for unit in UNITS:
        if re.search(rf"\d {unit}\b", sentence):
            other_unit = rnd.choice([one for one in UNITS if one != unit])
            found.append(("unit", re.sub(rf"(\d) {unit}\b", rf"\1 {other_unit}", sentence)))
    for name in NAMES:
        if name in sentence:
            found.append(("name", sentence.replace(name, rnd.choice([one for one in NAMES if one != name]))))
    if "March" in sentence:
        found.append(("date", sentence.replace("March", rnd.choice(["April", "June", "October"]))))
    for old, new in [("must not", "must"), ("may be", "may not be"), ("are never", "are"), ("Up to", "At least"),
                     ("at least", "at most"),
                     ("without", "with"), ("more than", "less than")]:  # fmt: skip
        if old in sentence:
            found.append(("negation", sentence.replace(old, new)))
    return found


@settings(max_examples=40, deadline=None)
@given(facts(), st.integers(0, 10**6))
def test_a_verbatim_sentence_holds_and_no_alteration_of_it_does(made: list[str], seed: int) -> None:
    rnd = random.Random(seed)
    source = evidence(" ".join(made))
    for sentence in made:
        assert judge(sentence, [source]).verdict is Verdict.SUPPORTED
        for kind, altered in alterations(sentence, rnd):
            if altered in made:
                continue
            found = judge(altered, [source])
            assert found.verdict is not Verdict.SUPPORTED, (kind, sentence, altered, found)


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=300), st.integers(0, 1000)
)
def test_every_sentence_of_any_text_can_be_quoted_and_holds(text: str, start: int) -> None:
    source = evidence(text, start=start)
    for a, b in sentences(text):
        found = judge(" ".join(text[a:b].split()), [source], Mark(1, Span(start + a, start + b)))
        assert found.verdict is Verdict.SUPPORTED


def test_the_number_of_one_sentence_does_not_bear_out_the_unit_of_another() -> None:
    source = evidence(
        "Up to 3 employees may travel when the desk has agreed. Up to 2 EUR may be spent on each request."
    )
    found = judge("Up to 3 EUR may travel when the desk has agreed.", [source])
    assert found.verdict is not Verdict.SUPPORTED
