"""The index keeps the contract of Index and View, every retriever that of Retriever, over a real store."""

from __future__ import annotations

import asyncio

import pytest

from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.retrieval import Dense, Fused, Lexical
from citewell.testing.index_contract import CASES as INDEX_CASES
from citewell.testing.index_contract import lexical_search_finds_the_rows_that_hold_a_term
from citewell.testing.retriever_contract import (
    CASES,
    rankings_are_best_first_and_keep_their_limit,
    score_agrees_with_search,
    score_is_given_for_every_row_in_the_order_asked,
)

RETRIEVERS = {
    "dense": Dense,
    "lexical": lambda embedder: Lexical(),
    "zscore": lambda embedder: Fused([Dense(embedder), Lexical()]),
    "rrf": lambda embedder: Fused([Dense(embedder), Lexical()], method="rrf"),
    "nested": lambda embedder: Fused([Fused([Dense(embedder), Lexical()], name="inner"), Lexical()], weights=[2, 1]),
}


INTEGERS = (
    "BM25.scores makes integers of the scores where all rows that hold the terms are hidden (np.bincount of nothing)"
)
RANKS = "Fused ranks `rows` among each other in `score`, but by what each retriever found in `search`"
FAULTS = {
    ("lexical", rankings_are_best_first_and_keep_their_limit): INTEGERS,
    ("lexical", score_is_given_for_every_row_in_the_order_asked): INTEGERS,
    ("index", lexical_search_finds_the_rows_that_hold_a_term): INTEGERS,
    ("rrf", score_agrees_with_search): RANKS,
}


def cases(name, every):
    """The cases, each marked as failing where a fault is known."""
    for case in every:
        fault = FAULTS.get((name, case))
        marks = [pytest.mark.xfail(strict=True, reason=fault)] if fault else []
        yield pytest.param(name, case, id=f"{name}-{case.__name__}", marks=marks)


@pytest.mark.parametrize(("name", "case"), [one for name in RETRIEVERS for one in cases(name, CASES)])
def test_a_retriever_keeps_the_contract(name, case, tmp_path):
    asyncio.run(case(RETRIEVERS[name], tmp_path))


@pytest.mark.parametrize(("name", "case"), list(cases("index", INDEX_CASES)))
def test_the_index_keeps_the_contract(name, case, tmp_path):
    asyncio.run(case(lambda store, folder: Index(store, Analyzer(), folder), tmp_path))
