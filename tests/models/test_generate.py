"""ModelGenerator over pydantic-ai's own test models: what is sent, what is counted, and what failure looks like."""

from __future__ import annotations

import asyncio
import sys

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from citewell.errors import ConfigError, ModelUnavailable
from citewell.models.describe import ModelDescriber
from citewell.models.generate import ModelGenerator


def ask(generator: ModelGenerator) -> str:
    return asyncio.run(generator.generate("Be brief.", "How many?", max_tokens=50)).text


def test_both_texts_are_sent_and_the_answer_comes_back_with_its_usage() -> None:
    seen: list[str] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.extend(f"{part.part_kind}: {part.content}" for message in messages for part in message.parts)
        assert info.model_settings is not None
        assert info.model_settings["max_tokens"] == 50
        return ModelResponse([TextPart("Five "), TextPart("[1].")])

    made = asyncio.run(ModelGenerator(FunctionModel(answer)).generate("Be brief.", "How many?", max_tokens=50))
    assert made.text == "Five [1]."
    assert seen == ["system-prompt: Be brief.", "user-prompt: How many?"]
    assert made.usage.model_calls == 1
    assert made.usage.input_tokens > 0


def test_pictures_are_shown_after_the_prompt_and_nothing_to_say_is_no_description() -> None:
    asked: list[list[ModelMessage]] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(messages)
        return ModelResponse([TextPart("A meadow\nunder a sky." if len(asked) == 1 else "NOTHING.")])

    describer = ModelDescriber(FunctionModel(answer, model_name="eyes"))
    assert asyncio.run(describer.describe(b"\x89PNG", "image/png")) == "A meadow under a sky."
    (prompt,) = [part for part in asked[0][0].parts if isinstance(part, UserPromptPart)]
    words, picture = prompt.content
    assert isinstance(words, str)
    assert (picture.data, picture.media_type) == (b"\x89PNG", "image/png")
    assert asyncio.run(describer.describe(b"\x89PNG", "image/png")) == ""
    assert describer.identity == "function:eyes/describe@1"


def test_a_test_model_answers() -> None:
    assert ask(ModelGenerator(TestModel(custom_output_text="Seven [2]."))) == "Seven [2]."


def test_empty_answers_and_passing_errors_are_tried_again() -> None:
    script = iter([ModelResponse([TextPart("  ")]), ModelHTTPError(503, "m"), ModelResponse([TextPart("At last.")])])

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = next(script)
        if isinstance(step, Exception):
            raise step
        return step

    made = asyncio.run(ModelGenerator(FunctionModel(answer), pause_s=0.0).generate("s", "p", max_tokens=5))
    assert made.text == "At last."
    assert made.usage.model_calls == 2


def test_a_model_that_stays_empty_is_unavailable_and_says_how_often_it_was_asked() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart("")])

    with pytest.raises(ModelUnavailable, match="no answer in 2 attempts") as caught:
        ask(ModelGenerator(FunctionModel(answer), attempts=2, pause_s=0.0))
    assert (caught.value.attempts, caught.value.last_error) == (2, "empty answer")


def test_a_refused_request_is_not_repeated() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(401, "m", "bad key")

    with pytest.raises(ModelUnavailable) as caught:
        ask(ModelGenerator(FunctionModel(answer), attempts=5, pause_s=0.0))
    assert caught.value.attempts == 1
    assert "401" in str(caught.value.last_error)


def test_a_model_that_hangs_is_given_up_after_its_time() -> None:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError

    with pytest.raises(ModelUnavailable, match=r"within 0\.05 s"):
        ask(ModelGenerator(FunctionModel(answer), timeout_s=0.05, attempts=2, pause_s=0.0))


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.direct", None)
    with pytest.raises(ModelUnavailable, match=r"citewell\[llm\]"):
        ask(ModelGenerator("openai:gpt-5-mini"))


@pytest.mark.parametrize("model", ["gpt-5-mini", ""])
def test_a_model_without_provider_is_refused_where_it_is_named(model: str) -> None:
    with pytest.raises(ConfigError, match="provider"):
        ModelGenerator(model)
