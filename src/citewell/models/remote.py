"""Embeddings from any endpoint that speaks OpenAI's `/embeddings`: retried, checked, and silent about the key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, Literal, cast

from citewell.errors import ConfigError, ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_TOO_MANY_REQUESTS = 429

# A run of ASCII letters or digits counts as one token per 3 characters, every other visible character as one token.
_RUN = re.compile(r"[A-Za-z0-9]+|\S")
_CHARACTERS_PER_TOKEN = 3


class OpenAIEmbedder:
    """Unit vectors from `POST {base_url}/embeddings`. Thread-safe: no state is kept between calls.

    Timeouts, lost connections, 429 and 5xx are tried again up to `attempts` times in all, after the time the endpoint
    asks for in Retry-After, else after 0.5 s, 1 s, 2 s … with jitter, never more than 60 s. Other refusals and answers
    that do not fit the request are not tried again. Neither errors nor `repr` show the key.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str = "",
        *,
        dimensions: int = 1536,
        batch_size: int = 64,
        timeout_s: float = 30.0,
        attempts: int = 4,
        max_tokens: int = 8191,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError("base_url of the embedding endpoint must start with http:// or https://.")
        if min(dimensions, batch_size, attempts, max_tokens) < 1 or timeout_s <= 0:
            raise ConfigError("dimensions, batch_size, attempts, max_tokens and timeout_s must be positive.")
        self.model = model
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.timeout_s = timeout_s
        self.attempts = attempts
        self._url = base_url.rstrip("/") + "/embeddings"
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"OpenAIEmbedder(model={self.model!r}, dimensions={self.dimensions})"

    @property
    def identity(self) -> str:
        """Model, dimensions and a hash of the address: two endpoints may call different models by one name."""
        place = hashlib.sha256(self._url.encode()).hexdigest()[:8]
        return f"openai/{self.model}/{self.dimensions}@{place}"

    def token_starts(self, text: str) -> Sequence[int]:
        """Character offsets at which tokens are taken to start, ascending.

        The tokenizer of a remote model is not known, so this counts rather too many than too few: every third
        character of a run of ASCII letters or digits, and every other character that is not white space.
        """
        return [
            start for match in _RUN.finditer(text) for start in range(match.start(), match.end(), _CHARACTERS_PER_TOKEN)
        ]

    async def embed(self, texts: Sequence[str], *, role: Literal["query", "passage"]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape (len(texts), dimensions), in the order of `texts`; `role` makes no difference.

        Raises ModelUnavailable once the endpoint has failed `attempts` times, has refused, or has sent something that
        does not fit; also when httpx is not installed.
        """
        # In a thread: the first import of the two takes 0.2 s, which the event loop must not wait for.
        numpy, httpx = await asyncio.to_thread(_libraries)
        if not texts:
            return cast("NDArray[np.float32]", numpy.empty((0, self.dimensions), numpy.float32))
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        parts = []
        async with httpx.AsyncClient(timeout=self.timeout_s, headers=headers, follow_redirects=False) as client:
            for start in range(0, len(texts), self.batch_size):
                batch = [self._bounded(text) for text in texts[start : start + self.batch_size]]
                content, attempts = await self._answer(client, batch)
                parts.append(await asyncio.to_thread(self._checked, content, len(batch), attempts))
        return cast("NDArray[np.float32]", numpy.concatenate(parts))

    def _bounded(self, text: str) -> str:
        """The first `max_tokens` tokens: an endpoint may refuse a longer text instead of cutting it."""
        starts = self.token_starts(text)
        return text if len(starts) <= self.max_tokens else text[: starts[self.max_tokens]]

    async def _answer(self, client: Any, batch: Sequence[str]) -> tuple[bytes, int]:
        """The body of the answer to one batch and how many attempts it took."""
        import httpx

        # Endpoints refuse an empty string, and a lone surrogate cannot be sent; both must not sink a whole batch.
        texts = [text.encode("utf-8", "replace").decode("utf-8") or " " for text in batch]
        body = {"model": self.model, "input": texts, "encoding_format": "float"}
        for attempt in range(1, self.attempts + 1):
            try:
                response = await client.post(self._url, json=body)
            except httpx.TransportError as error:
                failure = _Failure(type(error).__name__, again=True)
            else:
                if response.is_success:
                    return response.content, attempt
                failure = _failure(response.status_code, response.headers.get("Retry-After"))
            if not failure.again or attempt == self.attempts:
                raise self._unavailable(failure.what, attempt) from None
            await asyncio.sleep(_pause_s(attempt, failure.retry_after_s))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _checked(self, content: bytes, count: int, attempts: int) -> NDArray[np.float32]:
        """The vectors of one answer in the order of its request, normalised."""
        import numpy as np

        try:
            answer = json.loads(content)
            rows = {int(item["index"]): item["embedding"] for item in answer["data"]}
            if len(answer["data"]) != count or sorted(rows) != list(range(count)):
                raise self._unavailable(f"the answer does not hold one vector for each of {count} texts", attempts)
            vectors = np.array([rows[row] for row in range(count)], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._unavailable("the answer does not have the form of embeddings", attempts) from None
        if vectors.shape != (count, self.dimensions):
            found = vectors.shape[1] if vectors.ndim == 2 else "no"
            raise self._unavailable(f"vectors have {found} dimensions, not {self.dimensions}", attempts)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise self._unavailable("a vector is zero or not finite", attempts)
        unit: NDArray[np.float32] = (vectors / norms).astype(np.float32)
        return unit

    def _unavailable(self, what: str, attempts: int) -> ModelUnavailable:
        # The body of a refusal is left out: endpoints echo parts of the key and of the texts in it.
        message = (
            f"The embedding model {self.model!r} did not answer after {attempts} attempt(s): {what}. "
            "Check base_url, key and model, or use the local model."
        )
        return ModelUnavailable(message, attempts=attempts, last_error=what)


@dataclass(frozen=True, slots=True)
class _Failure:
    """One attempt that failed: what happened, whether another may help, and how long the endpoint asks to wait."""

    what: str
    again: bool
    retry_after_s: float | None = None


def _libraries() -> tuple[Any, Any]:
    """numpy and httpx. Raises ModelUnavailable when httpx is not installed."""
    try:
        import httpx
    except ImportError as error:
        message = "Remote embeddings need httpx. Install citewell[remote]."
        raise ModelUnavailable(message, last_error=str(error)) from error
    import numpy as np

    return np, httpx


def _failure(status: int, retry_after: str | None) -> _Failure:
    again = status == _TOO_MANY_REQUESTS or status >= 500
    return _Failure(f"HTTP status {status}", again, _seconds(retry_after) if again else None)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After (seconds or a date, RFC 9110, 10.2.3) in seconds from now; None when absent or unreadable."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _pause_s(attempt: int, retry_after_s: float | None) -> float:
    if retry_after_s is not None:
        return min(retry_after_s, _LONGEST_PAUSE_S)
    # Jitter: clients that failed together should not come back together.
    return min(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311
