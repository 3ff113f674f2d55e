"""Quantities: notation does not matter, value and dimension do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.validation.quantities import agree, parse_number, quantities


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000.5 units", "1.000,5 units"),
        ("1 000 000 people", "one million people"),
        ("$5.5 million", "5,500,000 dollars"),
        ("5 %", "five percent"),
        ("two weeks", "14 days"),
        ("one year", "12 months"),
        ("1 May 2024", "2024-05-01"),
        ("May 1st, 2024", "01.05.2024"),
        ("18:00", "6 p.m."),
        ("3rd place", "third place"),
        ("2–5 days", "2 days"),
        ("May 2024", "2024"),
    ],
)
def test_the_same_value_agrees_whatever_its_notation(one: str, other: str) -> None:
    assert agree(quantities(one)[0], quantities(other)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 EUR", "5 USD"),
        ("5 days", "5 weeks"),
        ("12.5 %", "125 %"),
        ("1 May 2024", "1 May 2023"),
        ("March 2024", "May 2024"),
        ("09:00", "10:00"),
        ("-5 °C", "5 °C"),
        ("first", "second"),
        ("5 months", "5 days"),
    ],
)
def test_another_value_or_unit_does_not_agree(one: str, other: str) -> None:
    assert not agree(quantities(one)[0], quantities(other)[0])


def test_digits_of_identifiers_are_no_quantities() -> None:
    assert quantities("Use L-14, emp_0451 and COVID-19 forms.") == []


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_both_locales_of_a_grouped_decimal_are_one_number(whole: int, cents: int) -> None:
    english = f"{whole:,}.{cents:02d}"
    german = english.replace(",", " ").replace(".", ",").replace(" ", ".")
    assert parse_number(english) & parse_number(german)


@given(st.text(max_size=200))
def test_quantities_ascend_do_not_overlap_and_stand_where_they_say(text: str) -> None:
    found = quantities(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) for one in found)
