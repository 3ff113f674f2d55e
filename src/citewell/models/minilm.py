"""The default embedder: all-MiniLM-L6-v2 as int8 ONNX on the CPU, from the package citewell-minilm, no download."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from citewell.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REMEDY = "Install it with: pip install --force-reinstall citewell-minilm onnxruntime tokenizers"
_SPECIAL_TOKENS = 2

_TEXT_RULES = 1
"""Counts up whenever this module would give the model other token ids for the same text."""

# Tokenising is linear up to about 64,000 characters and twice as slow per character at a million; a piece also bounds
# how long the interpreter lock is held (4 ms).
_PIECE_CHARACTERS = 8192

# Enough for 254 tokens of most languages; a text that needs more is tried again with four times as much.
_HEAD_CHARACTERS = 2048

# The only characters that the tokenizer surely treats as a boundary: it drops other controls, which joins words.
_BOUNDARY = re.compile(r"[ \t\n\r]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class MiniLM:
    """English sentence embeddings, 384 dimensions, of the first 254 tokens of a text. Thread-safe.

    A vector depends on its text alone: each text is a run of its own, because the model quantises activations with
    one scale per run (in a batch, neighbours would move a vector by up to 0.01 in cosine). On one machine the bytes are
    the same every time; another version of onnxruntime or kind of CPU may differ by 0.001 in cosine.

    `threads` is how many texts are embedded at the same time (by default one per usable CPU, at most 4); each takes
    about 15 MB while it runs. `batch_tokens` is how much work, about, a thread takes before it looks whether to go
    on: it bounds what is still computed after a cancellation.

    Nothing is loaded before first use. Loading takes about 0.2 s of CPU beside numpy, of which 0.03 s verify the sha256
    of the model: a damaged file would give plausible vectors, and nobody would notice.
    """

    dimensions: int = 384
    max_tokens: int = 256 - _SPECIAL_TOKENS

    def __init__(self, threads: int | None = None, batch_tokens: int = 2048) -> None:
        self.threads = _usable_cpus() if threads is None else max(1, threads)
        self.batch_tokens = max(1, batch_tokens)
        self._lock = threading.Lock()
        self._tokenizer: Any = None
        self._session: Any = None

    @cached_property
    def identity(self) -> str:
        """Model, quantisation and a hash over model file, tokenizer file and the rules of this module.

        Raises ModelUnavailable when citewell-minilm is not installed.
        """
        files = _files()
        content = f"{files.model_sha256}\n{files.tokenizer_sha256}\n{_TEXT_RULES}"
        return f"all-MiniLM-L6-v2/int8/{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def token_starts(self, text: str) -> Sequence[int]:
        """Character offsets at which the tokens of `text` start, without special tokens; about 2 MB of text a second.

        Not descending; equal where one character makes several tokens (Hangul). A word of over 100 characters is one
        token, and characters that the model ignores (controls, zero width) belong to none.

        Raises ModelUnavailable when the tokenizer cannot be loaded.
        """
        tokenizer = self._loaded_tokenizer()
        starts: list[int] = []
        for offset, piece in _pieces(_SURROGATE.sub("\ufffd", text)):
            encoding = tokenizer.encode(piece, add_special_tokens=False)
            starts.extend([offset + start for start, _ in encoding.offsets])
        return starts

    async def embed(self, texts: Sequence[str], *, role: Literal["query", "passage"]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape (len(texts), 384), in the order of `texts`; `role` makes no difference here.

        Raises ModelUnavailable when the model cannot be loaded.
        """
        vectors = await asyncio.to_thread(self._prepare, len(texts))
        waiting = deque(_slices(texts, self.batch_tokens, self.max_tokens))

        async def work() -> None:
            while waiting:
                start, end = waiting.popleft()
                await asyncio.to_thread(self._fill, vectors[start:end], texts[start:end])

        try:
            await asyncio.gather(*(work() for _ in range(min(self.threads, len(waiting)))))
        finally:
            # After an error or a cancellation the other workers end with the slice they have.
            waiting.clear()
        return vectors

    def _prepare(self, count: int) -> NDArray[np.float32]:
        import numpy as np

        if count:
            self._loaded_tokenizer()
            self._loaded_session()
        return np.empty((count, self.dimensions), np.float32)

    def _fill(self, vectors: NDArray[np.float32], texts: Sequence[str]) -> None:
        import numpy as np

        tokenizer, session = self._loaded_tokenizer(), self._loaded_session()
        for row, text in enumerate(texts):
            ids = np.array([self._ids(tokenizer, text)], np.int32)
            vectors[row] = session.run(["embedding"], {"input_ids": ids})[0][0]

    def _ids(self, tokenizer: Any, text: str) -> list[int]:
        """Token ids with [CLS] and [SEP], at most 256. Only as much of a long text is tokenised as can matter."""
        size = _HEAD_CHARACTERS
        while True:
            # Cut between words: a word cut in two would have other tokens.
            end = len(text) if size >= len(text) else max(text.rfind(mark, 0, size) for mark in " \t\n\r")
            if end >= 0:
                head = _SURROGATE.sub("\ufffd", text[:end])
                ids: list[int] = tokenizer.encode(head, add_special_tokens=False).ids
                if end == len(text) or len(ids) >= self.max_tokens:
                    break
            size *= 4
        return [tokenizer.token_to_id("[CLS]"), *ids[: self.max_tokens], tokenizer.token_to_id("[SEP]")]

    def _loaded_tokenizer(self) -> Any:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = _load_tokenizer(_files())
            return self._tokenizer

    def _loaded_session(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _load_session(_files())
            return self._session


@dataclass(frozen=True, slots=True)
class _Files:
    """The two files of the model and the sha256 that their card states."""

    model: Path
    model_sha256: str
    tokenizer: Path
    tokenizer_sha256: str


def _files() -> _Files:
    try:
        import citewell_minilm

        stated = citewell_minilm.card()["files"]
        return _Files(
            model=citewell_minilm.model_path(),
            model_sha256=stated["model.onnx"]["sha256"],
            tokenizer=citewell_minilm.tokenizer_path(),
            tokenizer_sha256=stated["tokenizer.json"]["sha256"],
        )
    except (ImportError, OSError) as error:
        message = f"The embedding model all-MiniLM-L6-v2 is not installed ({error}). {_REMEDY}"
        raise ModelUnavailable(message, last_error=str(error)) from error


def _load_tokenizer(files: _Files) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelUnavailable(f"tokenizers cannot be imported ({error}). {_REMEDY}", last_error=str(error)) from error
    _verify(files.tokenizer, files.tokenizer_sha256)
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    # The file pads and truncates to 128 tokens. Set once: it is not safe to change while other threads tokenise.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # A text that says "[SEP]" means those five characters: documents are data and must not steer the model.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _load_session(files: _Files) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelUnavailable(f"onnxruntime cannot be imported ({error}). {_REMEDY}", last_error=str(error)) from error
    _verify(files.model, files.model_sha256)
    options = onnxruntime.SessionOptions()
    # Parallel over texts, not inside one: no pool of threads that spin between operators, no waiting for each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The file is the graph as it is to run; an optimiser pass would only add to the start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Memory goes back after each run, and no plan is kept for each of the 256 lengths.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(files.model), options, providers=["CPUExecutionProvider"])


def _verify(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read ({error}). {_REMEDY}", last_error=str(error)) from error
    if found != sha256:
        message = f"{path.name} of citewell-minilm is damaged: its sha256 is not the one in card.json. {_REMEDY}"
        raise ModelUnavailable(message, last_error="sha256 differs")


def _slices(texts: Sequence[str], batch_tokens: int, max_tokens: int) -> Iterator[tuple[int, int]]:
    """[start, end) ranges that cover `texts`, each of about `batch_tokens` tokens or one text."""
    start, tokens = 0, 0
    for row, text in enumerate(texts):
        # 4 characters a token, for English; how much work a slice is need not be exact.
        estimate = min(len(text) // 4, max_tokens) + _SPECIAL_TOKENS
        if tokens and tokens + estimate > batch_tokens:
            yield start, row
            start, tokens = row, 0
        tokens += estimate
    if start < len(texts):
        yield start, len(texts)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Offset and text of consecutive pieces, cut only where the tokenizer would end a word anyway."""
    start = 0
    while start < len(text):
        cut = _BOUNDARY.search(text, start + _PIECE_CHARACTERS)
        end = cut.start() if cut else len(text)
        yield start, text[start:end]
        start = end


def _usable_cpus() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 4)
