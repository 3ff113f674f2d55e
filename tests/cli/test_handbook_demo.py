"""The demo's own judgement: it sees every way in which an answer can miss what its question expects."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cli_samples as samples
import pytest

GOOD = {
    "ask": "How much may a hotel cost per night?",
    "expect": "answered",
    "must_contain": ["EUR  180"],
    "must_not_contain": ["EUR 140"],
    "source": ["policies/travel-policy-2025.md"],
    "page": 3,
}


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "handbook" / "demo.py"
    spec = importlib.util.spec_from_file_location("handbook_demo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def test_an_answer_as_expected_has_no_problems(demo: ModuleType) -> None:
    assert list(demo.problems(GOOD, samples.answered())) == []
    conflict = {"expect": "conflict", "must_contain": ["every 30 days"], "source": ["it/office-network.html"]}
    assert list(demo.problems(conflict, samples.conflicting())) == []
    assert list(demo.problems({"expect": "abstained", "source": []}, samples.abstained())) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"expect": "abstained"},
        {"expect": "conflict"},
        {"must_contain": ["EUR 181"]},
        {"must_not_contain": ["EUR 180"]},
        {"must_not_contain": ["travel-policy-2025"]},
        {"source": ["policy-2025.md"]},
        {"source": ["policies/travel-policy-2024.md"]},
        {"page": 4},
    ],
)
def test_what_is_not_as_expected_is_one_problem(wrong: dict[str, Any], demo: ModuleType) -> None:
    assert len(list(demo.problems({**GOOD, **wrong}, samples.answered()))) == 1


def test_a_forbidden_word_in_a_message_is_found(demo: ModuleType) -> None:
    answer = replace(samples.abstained(), message="See the page salary-bands.")
    question = {"expect": "abstained", "must_not_contain": ["salary-bands"]}
    assert list(demo.problems(question, answer)) == ["says 'salary-bands'"]


def test_who_asks_is_the_local_user_or_as_named(demo: ModuleType) -> None:
    assert (demo.who(GOOD).user, demo.who(GOOD).groups) == ("local", frozenset())
    named = demo.who({"as": ["user:imke", "group:people-ops"]})
    assert (named.tenant, named.user, named.groups) == ("local", "imke", frozenset({"people-ops"}))
