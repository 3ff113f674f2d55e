"""Text made to be slow to read: 100 KB of any shape is cut and compared in about a second."""

from __future__ import annotations

import time

import pytest

from citewell.language import cut, sentences, words
from citewell.validation.names import names
from citewell.validation.quantities import quantities

SIZE = 100_000
SHAPES = [
    "a1",
    "A. ",
    "a. ",
    ".",
    " ",
    "\u2028",
    "a | b\n",
    "1 ",
    "1-",
    "2024-01-01 ",
    "1 may ",
    "first ",
    "Ab of ",
    "a-",
]
LIMIT_S = 5.0
"""Each takes under a second; where the time grows with the square of the length, each took minutes."""


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_a_hostile_text_takes_time_in_proportion_to_its_length(shape: str) -> None:
    text = (shape * SIZE)[:SIZE] + "x"
    for read in (words, sentences, lambda text: cut(text, "table"), quantities, names):
        began = time.process_time()
        read(text)
        assert time.process_time() - began < LIMIT_S
