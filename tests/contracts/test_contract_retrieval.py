"""The index keeps the contract of Index and View, every retriever that of Retriever, over a real store."""

from __future__ import annotations

import asyncio

import pytest

from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.retrieval import Dense, Fused, Lexical
from citewell.testing.index_contract import CASES as INDEX_CASES
from citewell.testing.retriever_contract import (
    CASES,
)

RETRIEVERS = {
    "dense": Dense,
    "lexical": lambda embedder: Lexical(),
    "zscore": lambda embedder: Fused([Dense(embedder), Lexical()]),
    "rrf": lambda embedder: Fused([Dense(embedder), Lexical()], method="rrf"),
    "nested": lambda embedder: Fused([Fused([Dense(embedder), Lexical()], name="inner"), Lexical()], weights=[2, 1]),
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in RETRIEVERS for case in CASES])
def test_a_retriever_keeps_the_contract(name, case, tmp_path):
    asyncio.run(case(RETRIEVERS[name], tmp_path))


@pytest.mark.parametrize("case", INDEX_CASES, ids=lambda case: case.__name__)
def test_the_index_keeps_the_contract(case, tmp_path):
    asyncio.run(case(lambda store, folder: Index(store, Analyzer(), folder), tmp_path))
