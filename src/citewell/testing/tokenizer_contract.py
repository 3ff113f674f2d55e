"""The contract of `Tokenizer` as a test suite: every implementation runs `CASES`, every embedder is one too.

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_tokenizer_keeps_the_contract(case):
        case(MyTokenizer)

Each case gets a function that makes a tokenizer; all that it makes count alike.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from citewell.protocols import Tokenizer
from citewell.testing.texts import ODD_TEXTS, TEXTS

MakeTokenizer: TypeAlias = Callable[[], Tokenizer]


def starts_ascend_and_lie_in_the_text(make: MakeTokenizer) -> None:
    tokenizer = make()
    for text in (*TEXTS, *ODD_TEXTS):
        starts = list(tokenizer.token_starts(text))
        # Not strictly: one character may make several tokens.
        assert starts == sorted(starts), text
        assert all(isinstance(start, int) and 0 <= start < len(text) for start in starts), text


def nothing_has_no_tokens_and_every_real_text_has_some(make: MakeTokenizer) -> None:
    tokenizer = make()
    assert len(tokenizer.token_starts("")) == 0
    for text in TEXTS:
        assert len(tokenizer.token_starts(text)) > 0, text


def the_same_text_has_the_same_tokens(make: MakeTokenizer) -> None:
    one, other = make(), make()
    for text in (*TEXTS, *ODD_TEXTS):
        assert list(one.token_starts(text)) == list(one.token_starts(text)) == list(other.token_starts(text)), text


def starts_can_be_searched_and_sliced(make: MakeTokenizer) -> None:
    starts = make().token_starts("one two three four")
    assert [starts[place] for place in range(len(starts))] == list(starts)
    assert list(starts[1:]) == list(starts)[1:]
    assert starts[0] == 0


def a_longer_text_has_no_fewer_tokens(make: MakeTokenizer) -> None:
    tokenizer = make()
    for one in TEXTS:
        for other in TEXTS[:3]:
            parts = [len(tokenizer.token_starts(text)) for text in (one, other)]
            assert len(tokenizer.token_starts(f"{one}\n\n{other}")) >= max(parts), (one, other)


def a_token_of_a_long_text_starts_where_its_word_does(make: MakeTokenizer) -> None:
    # A book is cut by these offsets: one that drifts would cut through words, far from the beginning only.
    words = [("alpha", "beta", "gamma")[number % 3] for number in range(20_000)]
    text = " ".join(words)
    starts = set(make().token_starts(text))
    at = 0
    for word in words:
        # Byte-pair tokenizers count the space before a word as its first character.
        assert at in starts or at - 1 in starts, at
        at += len(word) + 1


def threads_may_count_at_once(make: MakeTokenizer) -> None:
    tokenizer = make()
    texts = [text * 3 for text in TEXTS] * 4
    alone = [list(tokenizer.token_starts(text)) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [list(starts) for starts in pool.map(tokenizer.token_starts, texts)] == alone


CASES: tuple[Callable[[MakeTokenizer], None], ...] = (
    starts_ascend_and_lie_in_the_text,
    nothing_has_no_tokens_and_every_real_text_has_some,
    the_same_text_has_the_same_tokens,
    starts_can_be_searched_and_sliced,
    a_longer_text_has_no_fewer_tokens,
    a_token_of_a_long_text_starts_where_its_word_does,
    threads_may_count_at_once,
)
"""All cases."""
