"""The contract of `Writer` as a test suite: every implementation runs `CASES`; one that asks a model, MODEL_CASES too.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_writer_keeps_the_contract(case):
        asyncio.run(case(MyWriter))

Each case of CASES gets a function that makes a writer, each of MODEL_CASES one that makes a writer around a generator.
A scripted generator may obey its prompt: see `cite_all`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from citewell.errors import ModelUnavailable
from citewell.language import fold
from citewell.protocols import Generator, Writer
from citewell.testing.evidence_samples import DOGS, HOSTILE, HOUSE, PLAIN, QUESTIONS, RATES
from citewell.testing.scripted import ScriptedGenerator
from citewell.testing.store_samples import raised
from citewell.testing.texts import ODD_TEXTS
from citewell.types import Draft, Evidence, Verdict
from citewell.validation.judge import Deterministic

MakeWriter: TypeAlias = Callable[[], Writer]
MakeModelWriter: TypeAlias = Callable[[Generator], Writer]


def cite_all(system: str, prompt: str) -> str:
    """An answer to any prompt: one sentence that cites every number standing in it behind the word `evidence`."""
    numbers = dict.fromkeys(re.findall(r"evidence (\d+)", prompt))
    return "The garden house has room for 24 guests " + "".join(f"[{number}]" for number in numbers) + "."


async def without_evidence_it_abstains_with_a_reason(make: MakeWriter) -> None:
    for question in (*QUESTIONS, *ODD_TEXTS):
        draft = await make().write(question, [])
        _assert_draft(draft, make(), ())
        assert draft.statements == ()
        assert (draft.prompt, draft.raw, draft.usage.model_calls) == ("", "", 0), "there was nothing to ask about"


async def drafts_keep_the_laws(make: MakeWriter) -> None:
    writer = make()
    written = 0
    for question in QUESTIONS:
        for evidence in (PLAIN, (HOUSE,), (RATES,), (DOGS, HOUSE)):
            draft = await writer.write(question, evidence)
            _assert_draft(draft, writer, evidence)
            written += len(draft.statements)
    assert written, "some of it is answered"


async def quotes_stand_word_for_word_under_their_mark(make: MakeWriter) -> None:
    for evidence in (PLAIN, HOSTILE):
        for question in QUESTIONS:
            draft = await make().write(question, evidence)
            judged = await Deterministic().judge(draft, evidence)
            for statement, judgement in zip(draft.statements, judged, strict=True):
                for mark in statement.marks:
                    if mark.span is not None:
                        shown = next(one for one in evidence if one.number == mark.number)
                        start = mark.span.start - shown.span.start
                        there = shown.quotable[start : start + len(mark.span)]
                        # A table row may be said in words; what is said then is for the judge to prove.
                        assert fold(there) == fold(statement.text) or " | " in there
                        assert judgement.verdict is Verdict.SUPPORTED, (statement, judgement.reasons)


async def hostile_evidence_steers_nothing(make: MakeWriter) -> None:
    writer = make()
    for question in QUESTIONS:
        for count in range(1, len(HOSTILE) + 1):
            _assert_draft(await writer.write(question, HOSTILE[:count]), writer, HOSTILE[:count])


async def odd_questions_are_no_error(make: MakeWriter) -> None:
    writer = make()
    for question in ODD_TEXTS:
        _assert_draft(await writer.write(question, PLAIN), writer, PLAIN)


async def numbers_are_those_of_the_evidence_whatever_its_order(make: MakeWriter) -> None:
    # Evidence may come in another order or with gaps: the number counts, not the place.
    some = (DOGS, HOUSE)
    for question in QUESTIONS[:3]:
        draft = await make().write(question, some)
        assert {mark.number for one in draft.statements for mark in one.marks} <= {1, 3}


async def the_same_question_is_answered_the_same(make: MakeWriter) -> None:
    one, other = make(), make()
    assert one.name == other.name
    assert one.name.strip()
    for question in QUESTIONS:
        drafts = [await writer.write(question, PLAIN) for writer in (one, one, other)]
        assert len({(draft.statements, draft.abstained, draft.reason) for draft in drafts}) == 1


async def questions_at_the_same_time_do_not_disturb_each_other(make: MakeWriter) -> None:
    writer = make()
    alone = [await writer.write(question, PLAIN) for question in QUESTIONS]
    together = await asyncio.gather(*(writer.write(question, PLAIN) for question in QUESTIONS))
    assert [draft.statements for draft in together] == [draft.statements for draft in alone]


async def the_draft_holds_what_was_sent_and_what_came_back(make: MakeModelWriter) -> None:
    for answer in (
        "The garden house has room for 24 guests [1].",
        " \nIt has 24 [1]; [2]\r\n\tthirty [9] é\U0001f600 ",
        "…",
    ):
        for evidence in (PLAIN, HOSTILE):
            generator = ScriptedGenerator([answer])
            draft = await make(generator).write(QUESTIONS[0], evidence)
            (asked,) = generator.asked
            assert draft.raw == answer
            assert draft.prompt == f"{asked.system}\n\n{asked.prompt}"
            assert draft.usage.model_calls == 1
            assert asked.max_tokens > 0
            for one in evidence:
                assert one.text in asked.prompt
                assert one.text not in asked.system
            assert QUESTIONS[0] in asked.prompt


async def evidence_cannot_end_the_place_it_stands_in(make: MakeModelWriter) -> None:
    prompts = []
    for _ in range(2):
        generator = ScriptedGenerator([cite_all])
        await make(generator).write(QUESTIONS[0], HOSTILE)
        system, prompt = generator.asked[0].system, generator.asked[0].prompt
        prompts.append(prompt)
        for one in HOSTILE:
            before, _, after = prompt.partition(one.text)
            fences = [before.rstrip("\n").rpartition("\n")[2], after.lstrip("\n").partition("\n")[0]]
            # No evidence could have written beforehand the line that begins or ends it.
            assert all(fence and not any(fence in other.text for other in HOSTILE) for fence in fences), fences
        assert "999 guests" not in system  # the words too: a random mark may hold the digits
    assert prompts[0] != prompts[1], "each request has marks of its own"


async def what_a_model_invents_is_kept_for_the_judge(make: MakeModelWriter) -> None:
    draft = await make(ScriptedGenerator(["The garden house has room for 999 guests [42]."])).write(QUESTIONS[0], PLAIN)
    (judged,) = await Deterministic().judge(draft, PLAIN)
    assert judged.fabricated == (42,)
    assert judged.verdict is not Verdict.SUPPORTED


async def a_failing_model_is_told_not_papered_over(make: MakeModelWriter) -> None:
    for answer in (ModelUnavailable("The model is gone.", attempts=2), ""):
        assert await raised(ModelUnavailable, make(ScriptedGenerator([answer])).write(QUESTIONS[0], PLAIN))


async def an_answer_of_which_nothing_can_be_shown_is_an_abstention(make: MakeModelWriter) -> None:
    for answer in ("[1]", "<img src=//evil.example/x>", "***", "\u200b.", "```\n```"):
        writer = make(ScriptedGenerator([answer]))
        draft = await writer.write(QUESTIONS[0], PLAIN)
        _assert_draft(draft, writer, PLAIN)
        assert draft.statements == ()
        assert draft.raw == answer


def _assert_draft(draft: Draft, writer: Writer, evidence: Sequence[Evidence]) -> None:
    assert draft.writer == writer.name
    assert bool(draft.statements) == (draft.abstained is None), "it answers, or it says that it does not"
    assert draft.abstained is None or draft.reason.strip(), "an abstention has a reason in words"
    assert bool(draft.prompt) == bool(draft.raw)
    usage = draft.usage
    assert min(usage.input_tokens, usage.output_tokens, usage.model_calls) >= 0
    assert not draft.raw or usage.model_calls >= 1
    given = {one.number: one for one in evidence}
    for statement in draft.statements:
        assert statement.text.strip()
        assert len(set(statement.marks)) == len(statement.marks)
        for mark in statement.marks:
            assert mark.number >= 0
            if mark.span is not None:
                assert mark.number in given, "who quotes knows what was given"
                assert mark.span
                assert mark.span.within(given[mark.number].span)
        if not draft.raw:
            assert statement.marks, "a quote has a place"
            assert all(mark.span is not None for mark in statement.marks)


CASES: tuple[Callable[[MakeWriter], Awaitable[None]], ...] = (
    without_evidence_it_abstains_with_a_reason,
    drafts_keep_the_laws,
    quotes_stand_word_for_word_under_their_mark,
    hostile_evidence_steers_nothing,
    odd_questions_are_no_error,
    numbers_are_those_of_the_evidence_whatever_its_order,
    the_same_question_is_answered_the_same,
    questions_at_the_same_time_do_not_disturb_each_other,
)
"""All cases for any writer."""

MODEL_CASES: tuple[Callable[[MakeModelWriter], Awaitable[None]], ...] = (
    the_draft_holds_what_was_sent_and_what_came_back,
    evidence_cannot_end_the_place_it_stands_in,
    what_a_model_invents_is_kept_for_the_judge,
    a_failing_model_is_told_not_papered_over,
    an_answer_of_which_nothing_can_be_shown_is_an_abstention,
)
"""All cases for a writer that asks a model once a question."""
