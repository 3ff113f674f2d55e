"""The contract of `Generator` as a test suite: every implementation runs `CASES`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_generator_keeps_the_contract(case):
        asyncio.run(case(lambda answer: MyGenerator(a_server_that_says(answer))))

Each case gets a function that makes a generator whose model gives this answer every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from citewell.errors import ModelUnavailable
from citewell.protocols import Generator
from citewell.testing.store_samples import raised
from citewell.testing.texts import ODD_TEXTS

MakeGenerator: TypeAlias = Callable[[str], Generator]

_ANSWERS = (
    "Five [1].",
    "  two\n\nlines \t",
    "漢字 é \U0001f600",
    "word " * 2000 + "end",
    "```\ncode\n```",
    "None",
    "0",
    "{}",
)


async def the_whole_answer_comes_back_to_the_letter(make: MakeGenerator) -> None:
    for answer in _ANSWERS:
        assert (await make(answer).generate("Be brief.", "How many?", max_tokens=4000)).text == answer


async def an_empty_answer_is_no_answer(make: MakeGenerator) -> None:
    for answer in ("", "   ", "\n\t"):
        assert await raised(ModelUnavailable, make(answer).generate("Be brief.", "How many?", max_tokens=50))


async def it_says_which_model_wrote_and_what_that_cost(make: MakeGenerator) -> None:
    generator = make("Five [1].")
    made = await generator.generate("Be brief.", "How many?", max_tokens=50)
    assert made.model.strip()
    assert made.usage.model_calls == 1
    assert made.usage.input_tokens >= 0
    assert made.usage.output_tokens >= 0
    again = await generator.generate("Be brief.", "How many?", max_tokens=50)
    assert again.usage == made.usage, "a call's own cost, not the sum of all"


async def the_identity_is_one_line_and_stays(make: MakeGenerator) -> None:
    one, other = make("Five."), make("Six.")
    identity = one.identity
    assert identity.strip()
    assert "\n" not in identity
    await one.generate("Be brief.", "How many?", max_tokens=50)
    assert one.identity == identity == other.identity


async def odd_prompts_are_sent_all_the_same(make: MakeGenerator) -> None:
    generator = make("Five.")
    for text in ODD_TEXTS:
        assert (await generator.generate(text, "How many?", max_tokens=50)).text == "Five."
        assert (await generator.generate("Be brief.", text, max_tokens=50)).text == "Five."


async def calls_at_the_same_time_do_not_disturb_each_other(make: MakeGenerator) -> None:
    generator = make("Five.")
    made = await asyncio.gather(*(generator.generate("s", f"p{number}", max_tokens=50) for number in range(8)))
    assert [(one.text, one.usage.model_calls) for one in made] == [("Five.", 1)] * 8


async def a_cancelled_call_harms_nothing(make: MakeGenerator) -> None:
    generator = make("Five.")
    task = asyncio.ensure_future(generator.generate("s", "p", max_tokens=50))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert (await generator.generate("s", "p", max_tokens=50)).text == "Five."


CASES: tuple[Callable[[MakeGenerator], Awaitable[None]], ...] = (
    the_whole_answer_comes_back_to_the_letter,
    an_empty_answer_is_no_answer,
    it_says_which_model_wrote_and_what_that_cost,
    the_identity_is_one_line_and_stays,
    odd_prompts_are_sent_all_the_same,
    calls_at_the_same_time_do_not_disturb_each_other,
    a_cancelled_call_harms_nothing,
)
"""All cases."""
