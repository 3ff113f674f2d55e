"""A real engine on a real folder, with the hashing embedder so that no test waits for a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from citewell.config import EmbeddingSettings, Settings, assemble
from citewell.engine import Engine
from citewell.types import Principal

T = TypeVar("T")
SETTINGS = Settings(embedding=EmbeddingSettings("hashing"))


@pytest.fixture
def with_engine(tmp_path: Path) -> Callable[[Callable[[Engine], Awaitable[T]]], T]:
    """Runs a coroutine function on an engine over `tmp_path/kb`; a second call opens the same folder anew."""

    def run(work: Callable[[Engine], Coroutine[Any, Any, T]], settings: Settings = SETTINGS) -> T:
        async def session() -> T:
            async with await assemble(tmp_path / "kb", settings, principal=Principal.local()) as engine:
                return await work(engine)

        return asyncio.run(session())

    return run
