"""Understanding a question: its kind, its terms, and what makes it no question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.synthesis.question import MAX_CHARACTERS, understand


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How much may a hotel cost per night?", "money"),
        ("How many employees work in Ghent?", "number"),
        ("How long is the notice period?", "duration"),
        ("When does the policy take effect?", "date"),
        ("Who approves trips outside Europe?", "person"),
        ("Where are visitors registered?", "place"),
        ("How do I rotate keys?", "how-to"),
        ("May visitors take photographs?", "yes-no"),
        ("What is a business trip?", "definition"),
        ("Wie viele Tage Urlaub habe ich?", "number"),
        ("Wann beginnt die Kernzeit?", "date"),
    ],
)
def test_the_kind_of_answer_is_read_from_the_question(question: str, kind: str) -> None:
    assert understand(question).kind == kind


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("", "empty"),
        (" \n\t?!", "empty"),
        ("\u200b\u200b", "empty"),
        ("Hello there!", "small_talk"),
        ("thanks", "small_talk"),
        ("x" * (MAX_CHARACTERS + 1), "too_long"),
    ],
)
def test_what_cannot_be_answered_says_why(question: str, problem: str) -> None:
    found = understand(question)
    assert found.problem == problem
    assert found.message


def test_a_greeting_before_a_question_is_a_question() -> None:
    assert understand("Hi, how many days of leave do I have?").problem == ""


def test_names_numbers_phrases_years_and_versions_are_kept_as_written() -> None:
    found = understand('In 2023, did Anna Berg (emp_0451) sign "form A1" under version 3.2 for EUR 1,500?')
    assert found.years == (2023,)
    assert found.versions == ("3.2",)
    assert found.phrases == ("form A1",)
    assert {"Anna Berg", "emp_0451"} <= set(found.names)
    assert {"2023", "1,500"} <= set(found.numbers)


def test_terms_are_stems_without_little_words() -> None:
    assert understand("How often are the passwords changed?").terms == ("password", "chang")


@pytest.mark.parametrize(
    ("question", "compares"),
    [
        ("What changed between 2023 and 2025?", True),
        ("What has changed in the travel policy?", True),
        ("How has the hotel limit changed?", True),
        ("Which limits changed since 2023?", True),
        ("What are the changes to the limits between the versions?", True),
        ("What is the difference between the two policies?", True),
        ("Was hat sich an der Reiserichtlinie geändert?", True),
        ("How often is the password changed?", False),
        ("How did you change the password?", False),
        ("How do I change my password?", False),
        ("What changes must be reported?", False),
        ("What is the hotel limit?", False),
        ("Wie oft wird das Passwort geändert?", False),
    ],
)
def test_a_question_compares_where_the_change_itself_is_asked_for(question: str, compares: bool) -> None:
    assert understand(question).compares is compares


def test_the_future_is_noticed() -> None:
    assert understand("What is the upcoming hotel limit?").upcoming
    assert not understand("What is the hotel limit?").upcoming


@given(st.text(max_size=300))
def test_any_text_is_understood_and_the_same_each_time(text: str) -> None:
    found = understand(text)
    assert found == understand(text)
    assert found.problem or found.terms
