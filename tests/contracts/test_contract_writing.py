"""Writers, generators and the judge keep their contracts."""

from __future__ import annotations

import asyncio

import pytest

from citewell.models.generate import ModelGenerator
from citewell.models.hashing import HashEmbedder
from citewell.protocols import Generator, Writer
from citewell.synthesis.extract import Extractive
from citewell.synthesis.generate import Generative
from citewell.testing.generator_contract import CASES as GENERATOR_CASES
from citewell.testing.scripted import ScriptedGenerator
from citewell.testing.validator_contract import CASES as VALIDATOR_CASES
from citewell.testing.writer_contract import CASES, MODEL_CASES, cite_all
from citewell.validation.judge import Deterministic


def test_model(answer: str) -> Generator:
    models = pytest.importorskip("pydantic_ai.models.test")
    return ModelGenerator(models.TestModel(custom_output_text=answer), attempts=1, pause_s=0.0)


test_model.__test__ = False


def obeying() -> Writer:
    return Generative(ScriptedGenerator([cite_all] * 500))


WRITERS = {
    "extractive": lambda: Extractive(HashEmbedder(64)),
    "extractive-bold": lambda: Extractive(HashEmbedder(64), threshold=0.0),
    "generative": obeying,
}
GENERATORS = {"scripted": lambda answer: ScriptedGenerator([answer] * 100), "model": test_model}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_keeps_the_contract(name, case):
    asyncio.run(case(WRITERS[name]))


@pytest.mark.parametrize("case", MODEL_CASES, ids=lambda case: case.__name__)
def test_a_writer_that_asks_a_model_keeps_the_contract(case):
    asyncio.run(case(Generative))


@pytest.mark.parametrize("case", GENERATOR_CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_keeps_the_contract(name, case):
    asyncio.run(case(GENERATORS[name]))


@pytest.mark.parametrize("case", VALIDATOR_CASES, ids=lambda case: case.__name__)
def test_the_judge_keeps_the_contract(case):
    asyncio.run(case(Deterministic))
