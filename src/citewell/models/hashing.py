"""An embedder without a model: words and their trigrams, hashed. For tests, and where onnxruntime does not run.

It finds texts that share words or parts of words; it knows nothing of meaning.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 1
"""Counts up whenever the vectors of a text would change."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_TRIGRAM_WEIGHT = 0.3


class HashEmbedder:
    """Unit vectors of hashed words and trigrams; the same in every process and on every machine. Thread-safe."""

    max_tokens: int = 256

    def __init__(self, dimensions: int = 384) -> None:
        self.dimensions = dimensions

    @property
    def identity(self) -> str:
        """Changes with the algorithm and the number of dimensions."""
        return f"hash@{_VERSION}/{self.dimensions}"

    def token_starts(self, text: str) -> Sequence[int]:
        """Character offsets at which words and single punctuation marks start, ascending."""
        return [match.start() for match in _TOKEN.finditer(text)]

    async def embed(self, texts: Sequence[str], *, role: Literal["query", "passage"]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape (len(texts), dimensions), in the order of `texts`.

        A text without a word has the first unit vector. `role` makes no difference.
        """
        return await asyncio.to_thread(self._vectors, texts)

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for feature, weight in self._features(text):
                code = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
                # The lowest bit is the sign, so that unrelated features cancel out instead of adding up.
                vectors[row, (code >> 1) % self.dimensions] += weight if code & 1 else -weight
            norm = float(np.linalg.norm(vectors[row]))
            if norm > 0:
                vectors[row] /= norm
            else:
                vectors[row, 0] = 1.0
        return vectors

    def _features(self, text: str) -> Iterator[tuple[str, float]]:
        """Features and weights of the first `max_tokens` tokens, in order of first occurrence."""
        words: Counter[str] = Counter()
        for count, match in enumerate(_TOKEN.finditer(text)):
            if count == self.max_tokens:
                break
            words[match.group().casefold()] += 1
        for word, count in words.items():
            if not word[0].isalnum():
                continue
            # The square root keeps a word that a text repeats from drowning the others.
            weight = float(count) ** 0.5
            yield word, weight
            padded = f"<{word}>"
            for start in range(len(padded) - 2):
                yield f"3:{padded[start : start + 3]}", weight * _TRIGRAM_WEIGHT
