"""The embedder without a model."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.models.hashing import HashEmbedder


def embed(texts: list[str], dimensions: int = 384) -> np.ndarray:
    return asyncio.run(HashEmbedder(dimensions).embed(texts, role="query"))


@given(st.lists(st.text(max_size=60), max_size=5), st.sampled_from([8, 384]))
@settings(max_examples=40, deadline=None)
def test_vectors_are_unit_float32_and_each_depends_on_its_text_alone(texts: list[str], dimensions: int) -> None:
    vectors = embed(texts, dimensions)
    assert vectors.shape == (len(texts), dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert (embed(texts[::-1], dimensions)[::-1] == vectors).all()


def test_texts_that_share_words_or_parts_of_words_are_nearer() -> None:
    query, same, part, other = embed(["rotate the keys", "Keys: rotate!", "key rotation", "bake a cake"])
    assert query @ same > query @ part > query @ other


def test_vectors_are_the_same_in_another_process() -> None:
    program = (
        "import asyncio; from citewell.models.hashing import HashEmbedder\n"
        "v = asyncio.run(HashEmbedder().embed(['rotate the keys'], role='query'))\n"
        "print(v.tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == embed(["rotate the keys"]).tobytes().hex()


def test_only_the_first_tokens_count() -> None:
    first, second = embed(["word " * 256, "word " * 256 + "other"])
    assert (first == second).all()


def test_the_identity_names_the_dimensions() -> None:
    assert HashEmbedder(384).identity != HashEmbedder(64).identity


@given(st.text())
def test_token_starts_ascend_and_point_at_visible_characters(text: str) -> None:
    starts = list(HashEmbedder().token_starts(text))
    assert starts == sorted(set(starts))
    assert all(not text[start].isspace() for start in starts)
