"""Outcomes: what is shown is supported, and numbered in order of appearance."""

from __future__ import annotations

from citewell.protocols import Grounds, Judgement
from citewell.types import AbstainReason, Draft, Mark, Outcome, Span, Statement, Verdict
from citewell.validation.outcome import settle


def judgement(text: str, verdict: Verdict, *numbers: int) -> Judgement:
    grounds = tuple(Grounds(number, Span(0, 5)) for number in numbers)
    return Judgement(Statement(text, tuple(Mark(number) for number in numbers)), verdict, 1.0, (), grounds)


DRAFT = Draft((), "test")
YES, NO, AGAINST = Verdict.SUPPORTED, Verdict.UNSUPPORTED, Verdict.CONTRADICTED


def test_sources_are_numbered_in_order_of_appearance() -> None:
    found = settle(DRAFT, [judgement("A.", YES, 4), judgement("B.", YES, 2, 4), judgement("C.", YES, 2)])
    assert found.outcome is Outcome.ANSWERED
    assert found.text == "A. [1] B. [2][1] C. [2]"
    assert found.numbers == {4: 1, 2: 2}
    assert found.reason is None


def test_what_did_not_hold_is_not_in_the_text_and_takes_no_number() -> None:
    found = settle(DRAFT, [judgement("Bad.", AGAINST, 1), judgement("Good.", YES, 3), judgement("Worse.", NO)])
    assert found.outcome is Outcome.PARTIAL
    assert found.text == "Good. [1]"
    assert found.reason is AbstainReason.UNSUPPORTED
    assert "2 of 3" in found.message
    assert [one.statement.text for one in found.rejected] == ["Bad.", "Worse."]


def test_nothing_supported_is_an_abstention_with_a_reason() -> None:
    found = settle(DRAFT, [judgement("Bad.", NO, 1)])
    assert (found.outcome, found.text, found.reason) == (Outcome.ABSTAINED, "", AbstainReason.UNSUPPORTED)
    assert found.message


def test_a_supported_judgement_without_grounds_is_not_shown() -> None:
    assert settle(DRAFT, [judgement("Claimed.", YES)]).outcome is Outcome.ABSTAINED


def test_the_writers_own_abstention_keeps_its_reason_and_words() -> None:
    draft = Draft((), "test", abstained=AbstainReason.WEAK_EVIDENCE, reason="It lacks: Atlantis.")
    found = settle(draft, [])
    assert (found.outcome, found.reason, found.message) == (
        Outcome.ABSTAINED,
        AbstainReason.WEAK_EVIDENCE,
        "It lacks: Atlantis.",
    )
