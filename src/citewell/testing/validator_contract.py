"""The contract of `Validator` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_validator_keeps_the_contract(case):
        asyncio.run(case(MyValidator))

Each case gets a function that makes a validator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from citewell.language import fold, sentences
from citewell.protocols import Judgement, Validator
from citewell.testing.evidence_samples import HOSTILE, HOUSE, PLAIN
from citewell.testing.texts import ODD_TEXTS, TEXTS
from citewell.types import Draft, Evidence, Mark, Span, Statement, Verdict

MakeValidator: TypeAlias = Callable[[], Validator]

_GUESTS = "It has room for 24 guests and a small kitchen."

STATEMENTS = (
    Statement(_GUESTS, (Mark(1),)),
    Statement("The garden house has room for 24 guests.", (Mark(1),)),
    Statement("The garden house has room for 25 guests.", (Mark(1),)),
    Statement("Music does not have to stop at 22:00.", (Mark(1), Mark(4))),
    Statement("Dogs are welcome in the garden.", (Mark(3), Mark(9))),
    Statement("Dogs are welcome in the garden."),
    Statement("The roof was designed by Anna Berg.", (Mark(1),)),
    Statement("Music has to stop at 22:00.", (Mark(9),)),
    Statement("Room: Green room; Hourly rate: 48 EUR; Seats: 20", (Mark(2),)),
    Statement(_GUESTS, (Mark(1), Mark(1))),
    Statement("", (Mark(1),)),
)


def _draft(*statements: Statement) -> Draft:
    return Draft(statements, "made@1")


async def every_statement_gets_its_judgement_in_order(make: MakeValidator) -> None:
    for statements in (STATEMENTS, STATEMENTS[::-1], STATEMENTS[:1], ()):
        judged = await make().judge(_draft(*statements), PLAIN)
        assert [one.statement for one in judged] == list(statements)
        _assert_judgements(judged, PLAIN)


async def invented_numbers_are_named_and_never_rested_on(make: MakeValidator) -> None:
    for numbers in ((9,), (0,), (9, 8, 9), (10**9,)):
        statement = Statement(_GUESTS, tuple(Mark(number) for number in dict.fromkeys(numbers)))
        (judged,) = await make().judge(_draft(statement), PLAIN)
        assert set(judged.fabricated) == set(numbers)
        assert len(judged.fabricated) == len(set(numbers))
        assert judged.verdict is not Verdict.SUPPORTED
        assert judged.grounds == ()
    (mixed,) = await make().judge(_draft(Statement(_GUESTS, (Mark(9), Mark(1)))), PLAIN)
    assert mixed.fabricated == (9,)
    assert {ground.number for ground in mixed.grounds} <= {1}


async def a_quote_of_what_was_shown_holds(make: MakeValidator) -> None:
    for evidence in (*PLAIN, *HOSTILE[:4]):
        for start, end in sentences(evidence.quotable):
            text = evidence.quotable[start:end]
            span = Span(evidence.span.start + start, evidence.span.start + end)
            (judged,) = await make().judge(_draft(Statement(fold(text), (Mark(evidence.number, span),))), [evidence])
            assert judged.verdict is Verdict.SUPPORTED, (text, judged.reasons)
            assert any(ground.span.overlaps(span) for ground in judged.grounds)


async def a_quote_of_what_does_not_stand_there_does_not_hold(make: MakeValidator) -> None:
    start = HOUSE.span.start + HOUSE.quotable.index(_GUESTS)
    right = Span(start, start + len(_GUESTS))
    wrong = (
        Statement(_GUESTS.replace("24", "25"), (Mark(1, right),)),
        Statement(_GUESTS.replace("It has", "It has no"), (Mark(1, right),)),
        Statement(_GUESTS, (Mark(1, Span(0, len(_GUESTS))),)),
        Statement(_GUESTS, (Mark(1, Span(start + 5, right.end + 5)),)),
        Statement(_GUESTS, (Mark(1, Span(HOUSE.span.end, HOUSE.span.end + len(_GUESTS))),)),
        Statement(_GUESTS, (Mark(1, Span(start, start)),)),
        Statement(_GUESTS, (Mark(9, right),)),
        Statement(_GUESTS, (Mark(2, right),)),
    )
    for judged in await make().judge(_draft(*wrong), PLAIN):
        assert judged.verdict is not Verdict.SUPPORTED, (judged.statement, judged.grounds)


async def without_a_citation_or_evidence_nothing_holds(make: MakeValidator) -> None:
    bare = [Statement(one.text) for one in STATEMENTS]
    for statements, evidence in ((bare, PLAIN), (STATEMENTS, ()), (bare, ())):
        judged = await make().judge(_draft(*statements), evidence)
        assert len(judged) == len(statements)
        _assert_judgements(judged, evidence)
        assert not any(one.verdict is Verdict.SUPPORTED for one in judged)
        assert not any(one.grounds for one in judged)


async def a_statement_is_judged_by_its_own_citations_alone(make: MakeValidator) -> None:
    together = await make().judge(_draft(*STATEMENTS), PLAIN)
    for at, statement in enumerate(STATEMENTS):
        (alone,) = await make().judge(_draft(statement), PLAIN)
        assert alone == together[at], "other statements of the draft count for nothing"
        cited = {mark.number for mark in statement.marks}
        (narrow,) = await make().judge(_draft(statement), [one for one in PLAIN if one.number in cited])
        assert (narrow.verdict, narrow.score, narrow.grounds) == (alone.verdict, alone.score, alone.grounds)
    assert await make().judge(_draft(*STATEMENTS), PLAIN[::-1]) == together, "nor does the order of the evidence"


async def what_is_told_apart_by_one_number_is_told_apart(make: MakeValidator) -> None:
    right, wrong = await make().judge(_draft(STATEMENTS[0], STATEMENTS[2]), PLAIN)
    assert right.verdict is Verdict.SUPPORTED
    assert wrong.verdict is not Verdict.SUPPORTED
    assert wrong.reasons


async def the_same_draft_is_judged_the_same(make: MakeValidator) -> None:
    one, other = make(), make()
    assert one.name == other.name
    assert one.name.strip()
    draft = _draft(*STATEMENTS)
    first = await one.judge(draft, PLAIN)
    assert first == await one.judge(draft, PLAIN) == await other.judge(draft, PLAIN)
    assert await asyncio.gather(*(one.judge(draft, PLAIN) for _ in range(4))) == [first] * 4


async def odd_statements_and_hostile_evidence_are_judged_lawfully(make: MakeValidator) -> None:
    odd = [
        Statement(text, marks)
        for text in (*ODD_TEXTS, *TEXTS)
        for marks in ((), (Mark(5),), (Mark(6, HOSTILE[5].span),), (Mark(2), Mark(7)))
    ]
    judged = await make().judge(_draft(*odd), HOSTILE)
    assert [one.statement for one in judged] == odd
    _assert_judgements(judged, HOSTILE)


async def what_evidence_demands_is_not_done(make: MakeValidator) -> None:
    told = (
        Statement("The garden house has room for 999 guests.", (Mark(42),)),
        Statement("Cite every sentence.", (Mark(42), Mark(7))),
    )
    for judged in await make().judge(_draft(*told), HOSTILE):
        assert 42 in judged.fabricated
        assert judged.verdict is not Verdict.SUPPORTED


def _assert_judgements(judged: Sequence[Judgement], evidence: Sequence[Evidence]) -> None:
    given = {one.number: one for one in evidence}
    for one in judged:
        cited = {mark.number for mark in one.statement.marks}
        assert 0.0 <= one.score <= 1.0
        assert set(one.fabricated) == cited - set(given)
        assert all(reason.strip() for reason in one.reasons)
        assert one.verdict is Verdict.SUPPORTED or one.reasons, "what does not hold says why"
        assert one.verdict is not Verdict.SUPPORTED or one.grounds, "what holds says by what"
        for ground in one.grounds:
            assert ground.number in cited
            assert ground.number in given
            assert ground.span
            assert ground.span.within(given[ground.number].span)


CASES: tuple[Callable[[MakeValidator], Awaitable[None]], ...] = (
    every_statement_gets_its_judgement_in_order,
    invented_numbers_are_named_and_never_rested_on,
    a_quote_of_what_was_shown_holds,
    a_quote_of_what_does_not_stand_there_does_not_hold,
    without_a_citation_or_evidence_nothing_holds,
    a_statement_is_judged_by_its_own_citations_alone,
    what_is_told_apart_by_one_number_is_told_apart,
    the_same_draft_is_judged_the_same,
    odd_statements_and_hostile_evidence_are_judged_lawfully,
    what_evidence_demands_is_not_done,
)
"""All cases."""
