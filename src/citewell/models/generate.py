"""Language models of any provider, one request at a time, through pydantic-ai's direct API (extra `llm`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from citewell.errors import ConfigError, ModelUnavailable
from citewell.protocols import Generation
from citewell.types import Usage

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_PAUSE_S = 0.5


class ModelGenerator:
    """Generator over a model of pydantic-ai: a string (`openai:gpt-5-mini`, `anthropic:…`, `ollama:…`) or a `Model`.

    pydantic-ai is imported on the first call, not before. A request that fails, takes longer than `timeout_s`, or
    comes back empty is tried again after a pause that doubles, `attempts` times in all; errors that another try
    cannot mend (no such model, wrong key, request refused) end it at once.
    """

    def __init__(
        self, model: str | Model, *, timeout_s: float = 60.0, attempts: int = 3, pause_s: float = _PAUSE_S
    ) -> None:
        if isinstance(model, str) and ":" not in model:
            raise ConfigError(
                f"Model {model!r} names no provider. Write it as provider:model, such as openai:gpt-5-mini."
            )
        if timeout_s <= 0 or attempts < 1:
            raise ConfigError(
                f"timeout_s={timeout_s} and attempts={attempts}: the first must be over 0, the second at least 1."
            )
        self._model = model
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._pause_s = pause_s

    @property
    def identity(self) -> str:
        """Provider and model, as given."""
        if isinstance(self._model, str):
            return self._model
        return f"{self._model.system}:{self._model.model_name}"

    async def generate(
        self, system: str, prompt: str, *, max_tokens: int, images: Sequence[tuple[bytes, str]] = ()
    ) -> Generation:
        """The model's whole answer. Raises ModelUnavailable once it has failed `attempts` times.

        `images`, each with its media type, are shown after the prompt, to models that can see. `usage` counts every
        attempt that was answered, the empty ones too: they were paid for.
        """
        try:
            from pydantic_ai.direct import model_request
            from pydantic_ai.exceptions import UserError
            from pydantic_ai.messages import BinaryContent, ModelRequest, SystemPromptPart, UserPromptPart
            from pydantic_ai.settings import ModelSettings
        except ImportError as missing:
            raise ModelUnavailable(
                f"{self.identity} needs pydantic-ai, which is not installed. Install citewell[llm].",
                last_error=str(missing),
            ) from missing
        shown = [BinaryContent(content, media_type=media_type) for content, media_type in images]
        request = ModelRequest(parts=[SystemPromptPart(system), UserPromptPart([prompt, *shown] if shown else prompt)])
        settings = ModelSettings(max_tokens=max_tokens, timeout=self._timeout_s)
        used, last, made = Usage(), "", 0
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
            made = attempt + 1
            try:
                # The provider's own timeout is per read; this one holds for the whole answer.
                async with asyncio.timeout(self._timeout_s):
                    answer = await model_request(self._model, [request], model_settings=settings)
            except TimeoutError:
                last = f"no answer within {self._timeout_s:g} s"
                continue
            except (ImportError, UserError) as wrong:
                # An SDK of this provider is missing, its key is not set, or the model's name means nothing.
                raise ModelUnavailable(
                    f"{self.identity} cannot be used: {wrong}. Install citewell[llm] with the extra of this provider "
                    "and set its key.", attempts=made, last_error=str(wrong)
                ) from wrong  # fmt: skip
            except Exception as failed:  # noqa: BLE001 - any SDK may raise its own; what counts is whether to try again
                last = f"{type(failed).__name__}: {failed}"[:500]
                if _hopeless(failed):
                    break
                continue
            used = Usage(
                used.input_tokens + (answer.usage.input_tokens or 0),
                used.output_tokens + (answer.usage.output_tokens or 0),
                used.model_calls + 1,
            )
            text = answer.text or ""
            if text.strip():
                return Generation(text, answer.model_name or self.identity, used)
            last = "empty answer"
        raise ModelUnavailable(
            f"{self.identity} gave no answer in {made} attempts; last: {last}.", attempts=made, last_error=last
        )


def _hopeless(failed: Any) -> bool:
    """Whether the provider said that the request itself is wrong: a 4xx other than timeout, conflict and rate limit."""
    status = getattr(failed, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425, 429)
