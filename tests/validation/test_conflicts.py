"""Disagreements between documents: planted ones are found, equal statements in other words alarm nobody."""

from __future__ import annotations

import pytest

from citewell.protocols import Grounds
from citewell.types import BlockKind, DocumentRef, Evidence, Hit, Node, Span
from citewell.validation.conflicts import Disagreement, find_conflicts


def evidence(*texts: str, series: str | None = None, kind: BlockKind = BlockKind.PARAGRAPH) -> list[Evidence]:
    found = []
    for number, text in enumerate(texts, start=1):
        node = Node(f"n{number}", f"d{number}", Span(0, len(text)), text, "", kind)
        metadata = {"series": series} if series else {}
        reference = DocumentRef(f"d{number}", f"file:{number}.md", "Title", 1, "default", "text/markdown", metadata)
        found.append(Evidence(number, Hit(node, reference, 1.0, number, number), text, text, Span(0, len(text)), 20))
    return found


def conflicts(*texts: str, series: str | None = None) -> list[Disagreement]:
    given = evidence(*texts, series=series)
    return find_conflicts([Grounds(1, given[0].span)], given)


@pytest.mark.parametrize(
    ("one", "other", "about"),
    [
        (
            "The guest Wi-Fi password is changed every 30 days.",
            "The password of the guest Wi-Fi is changed every 90 days.",
            "number",
        ),
        ("Trips must be booked 14 days before departure.", "Book trips at least 10 days before departure.", "number"),
        ("The notice period is three months.", "The notice period is 4 weeks.", "number"),
        ("The company was founded in 2019 in Ghent.", "The company was founded in Ghent in 2021.", "date"),
        ("Applications close on 1 March 2025.", "Applications close on 15 March 2025.", "date"),
        ("Dogs are allowed in the office.", "Dogs are not allowed in the office.", "negation"),
    ],
)
def test_two_documents_that_disagree_are_found_with_both_places(one: str, other: str, about: str) -> None:
    found = conflicts(one, other)
    assert [conflict.about for conflict in found] == [about]
    assert (found[0].left, found[0].right) == (Grounds(1, Span(0, len(one))), Grounds(2, Span(0, len(other))))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Visitors must return badges by 18:00.", "Badges must be returned by visitors by 6 p.m."),
        ("The per diem in Belgium is EUR 60.", "Per diem in Belgium: 60 euros."),
        ("The limit is two weeks of leave.", "The limit is 14 days of leave."),
        ("Sick leave lasts 5 days in Belgium.", "Annual leave lasts 25 days in Belgium."),
        ("The hotel limit was EUR 140 in 2023.", "The hotel limit was EUR 165 in 2024."),
        ("Hotels in Oslo cost up to EUR 200.", "Hotels in Porto cost up to EUR 120."),
        ("Dogs are not allowed in the office.", "No dogs are allowed in the office."),
    ],
)
def test_equal_statements_in_other_words_and_other_things_do_not_alarm(one: str, other: str) -> None:
    assert conflicts(one, other) == []
    assert conflicts(other, one) == []


def test_two_versions_of_one_series_never_conflict() -> None:
    assert conflicts("The limit is 5 days of leave.", "The limit is 7 days of leave.", series="leave") == []


def test_a_place_that_was_shown_but_not_cited_counts_unless_only_cited_ones_are_asked_for() -> None:
    given = evidence("The daily limit is 5 samples.", "The daily limit is 7 samples.")
    cited = [Grounds(1, given[0].span)]
    assert len(find_conflicts(cited, given)) == 1
    assert find_conflicts(cited, given, cited_only=True) == []
    both = [*cited, Grounds(2, given[1].span)]
    assert len(find_conflicts(both, given, cited_only=True)) == 1
