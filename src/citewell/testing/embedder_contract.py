"""The contract of `Embedder` as a test suite: every implementation runs `CASES`, and those of `tokenizer_contract`.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_embedder_keeps_the_contract(case):
        asyncio.run(case(lambda: MyEmbedder("model")))

Each case gets a function that makes an embedder of one and the same identity.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from citewell.protocols import Embedder, Role
from citewell.testing.texts import ODD_TEXTS, TEXTS

if TYPE_CHECKING:
    from citewell.protocols import Vectors

MakeEmbedder: TypeAlias = Callable[[], Embedder]

_SAME = 1e-6
"""Most by which two vectors of one text may differ in any of their numbers: the last bits of a float32."""


async def vectors_are_unit_float32_of_the_stated_shape(make: MakeEmbedder) -> None:
    embedder = make()
    assert embedder.dimensions > 0
    vectors = await embedder.embed(TEXTS, role="passage")
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-5


async def no_texts_make_an_empty_array(make: MakeEmbedder) -> None:
    embedder = make()
    for role in ("query", "passage"):
        vectors = await embedder.embed([], role=_role(role))
        assert vectors.shape == (0, embedder.dimensions)
        assert vectors.dtype == np.float32


async def vectors_come_in_the_order_of_their_texts(make: MakeEmbedder) -> None:
    embedder = make()
    forward = await embedder.embed(TEXTS, role="passage")
    backward = await embedder.embed(TEXTS[::-1], role="passage")
    assert _near(forward, backward[::-1])
    # Texts that say different things have different vectors, or the order could not be told.
    assert not _near(forward[:1], forward[1:2])


async def a_text_has_one_vector_in_any_company(make: MakeEmbedder) -> None:
    embedder = make()
    together = await embedder.embed([*TEXTS, *TEXTS[:3]], role="passage")
    assert _near(together[: len(TEXTS)][:3], together[len(TEXTS) :])
    for row, text in enumerate(TEXTS[:5]):
        alone = await embedder.embed([text], role="passage")
        assert _near(alone, together[row : row + 1]), text
    # A cache in the store outlives the process: another instance must agree.
    assert _near(await make().embed(TEXTS[:3], role="passage"), together[:3])


async def empty_and_odd_texts_have_unit_vectors_too(make: MakeEmbedder) -> None:
    vectors = await make().embed(ODD_TEXTS, role="passage")
    assert np.isfinite(vectors).all()
    assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-5


async def both_roles_make_vectors_that_can_be_compared(make: MakeEmbedder) -> None:
    embedder = make()
    asked = await embedder.embed(["rotate the keys"], role="query")
    held = await embedder.embed(["rotate the keys", "holiday in the mountains"], role="passage")
    assert asked.shape[1] == held.shape[1] == embedder.dimensions
    near, far = (held @ asked[0]).tolist()
    assert near > far
    assert _near(asked, await embedder.embed(["rotate the keys"], role="query"))


async def what_stands_after_max_tokens_is_not_seen(make: MakeEmbedder) -> None:
    embedder = make()
    limit = embedder.max_tokens
    assert limit > 0
    text = " ".join(("alpha", "beta", "gamma")[number % 3] for number in range(2 * limit + 3))
    starts = embedder.token_starts(text)
    assert len(starts) > limit
    # At the start of a word, so that the cut itself makes no other token.
    cut = text.rfind(" ", 0, starts[limit] + 1)
    head = text[:cut]
    seen = await embedder.embed([head, f"{head} {'other words ' * 50}"], role="passage")
    if len(embedder.token_starts(head)) == limit:
        assert _near(seen[:1], seen[1:])
    whole = await embedder.embed([text, f"{text} {'other words ' * 50}", f"other {text}"], role="passage")
    assert _near(whole[:1], whole[1:2])
    assert not _near(whole[:1], whole[2:]), "what stands before the limit is seen"


async def the_identity_is_one_line_and_the_same_for_every_instance(make: MakeEmbedder) -> None:
    one, other = make(), make()
    before = one.identity
    await one.embed(["a text"], role="query")
    assert one.identity == before == other.identity
    assert before.strip()
    assert "\n" not in before
    assert "\0" not in before
    assert (one.dimensions, one.max_tokens) == (other.dimensions, other.max_tokens)


async def calls_at_the_same_time_do_not_disturb_each_other(make: MakeEmbedder) -> None:
    embedder = make()
    parts = [list(TEXTS[:4]), [], list(TEXTS[4:]), [TEXTS[0]] * 3, ["", "one more"]]
    alone = [await embedder.embed(part, role="passage") for part in parts]
    fresh = make()  # also: the first use, by several at once
    together = await asyncio.gather(*(fresh.embed(part, role="passage") for part in parts * 2))
    assert all(_near(one, other) for one, other in zip(alone * 2, together, strict=True))


async def any_event_loop_may_use_it(make: MakeEmbedder) -> None:
    embedder = make()
    here = await embedder.embed(TEXTS[:2], role="passage")

    def elsewhere() -> Vectors:
        return asyncio.run(embedder.embed(TEXTS[:2], role="passage"))

    there = await asyncio.gather(*(asyncio.to_thread(elsewhere) for _ in range(3)))
    assert all(_near(here, one) for one in there)
    assert _near(here, await embedder.embed(TEXTS[:2], role="passage"))


async def a_cancelled_call_ends_and_harms_nothing(make: MakeEmbedder) -> None:
    embedder = make()
    before = await embedder.embed(TEXTS[:3], role="passage")
    texts = [f"{number} {TEXTS[1] * 10}" for number in range(400)]
    task = asyncio.ensure_future(embedder.embed(texts, role="passage"))
    await asyncio.sleep(0.01)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done, "a cancelled call goes on for more than 5 s"
    assert task.cancelled() or len(task.result()) == len(texts)  # it may have been through already
    assert _near(before, await embedder.embed(TEXTS[:3], role="passage"))


async def the_event_loop_goes_on_meanwhile(make: MakeEmbedder) -> None:
    embedder = make()
    await embedder.embed(["warm"], role="passage")
    texts = [f"{number} {TEXTS[1] * 10}" for number in range(8)]
    for _ in range(12):
        took_s, gap_s = await _longest_gap(embedder, texts)
        # The whole call in one gap is what blocking looks like; a busy machine makes gaps as well, hence the share.
        if took_s >= 0.1 and gap_s < 0.6 * took_s:
            return
        if took_s < 0.1:
            texts = texts * 2
    if took_s >= 0.1:
        raise AssertionError(f"no other task ran for {gap_s:.2f} of {took_s:.2f} s")


async def _longest_gap(embedder: Embedder, texts: Sequence[str]) -> tuple[float, float]:
    """How long embedding `texts` took, and the longest time in which nothing else ran, in seconds."""
    gap_s, over = 0.0, False

    async def tick() -> None:
        nonlocal gap_s
        last = time.perf_counter()
        while not over:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gap_s, last = max(gap_s, now - last), now
            await asyncio.sleep(0.002)

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    started = time.perf_counter()
    await embedder.embed(texts, role="passage")
    took_s = time.perf_counter() - started
    over = True
    await ticking
    return took_s, gap_s


def _role(name: str) -> Role:
    return "query" if name == "query" else "passage"


def _near(one: Vectors, other: Vectors) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max(initial=0.0) <= _SAME)


CASES: tuple[Callable[[MakeEmbedder], Awaitable[None]], ...] = (
    vectors_are_unit_float32_of_the_stated_shape,
    no_texts_make_an_empty_array,
    vectors_come_in_the_order_of_their_texts,
    a_text_has_one_vector_in_any_company,
    empty_and_odd_texts_have_unit_vectors_too,
    both_roles_make_vectors_that_can_be_compared,
    what_stands_after_max_tokens_is_not_seen,
    the_identity_is_one_line_and_the_same_for_every_instance,
    calls_at_the_same_time_do_not_disturb_each_other,
    any_event_loop_may_use_it,
    a_cancelled_call_ends_and_harms_nothing,
    the_event_loop_goes_on_meanwhile,
)
"""All cases."""
