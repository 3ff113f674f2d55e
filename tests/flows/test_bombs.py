"""Ten bombs at once cost ten lines of the report; searches go on being answered while they are read."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from citewell.config import EmbeddingSettings, ReadingSettings, Settings, assemble
from citewell.types import Principal

ME = Principal("local", "local")
# libxml2 and the walk over it take their time for so many tables; the limit ends them long before.
BOMB = b"<!doctype html><html><body>" + b"<table><tr><td rowspan=9>a" * 1_500 + b"<p><b>a" * 400_000


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_searches_are_answered_while_ten_bombs_are_read(tmp_path: Path) -> None:
    async def work() -> tuple[int, list[str], int]:
        settings = Settings(
            embedding=EmbeddingSettings(provider="hashing"),
            reading=ReadingSettings(timeout_s=3.0, longest_s=3.0, workers=2),
        )
        answered = 0
        async with await assemble(tmp_path / "kb", settings, principal=ME) as engine:
            await engine.ingest_bytes(b"The hotel limit is EUR 180 per night.", uri="good.txt")
            await engine.search("hotel limit")
            bombs = tmp_path / "bombs"
            bombs.mkdir()
            for number in range(10):
                (bombs / f"{number}.html").write_bytes(BOMB + str(number).encode())
            reading = asyncio.ensure_future(engine.ingest(str(bombs)))
            longest = 0.0
            while not reading.done():
                began = time.monotonic()
                (hit,) = await engine.search("hotel limit", limit=1)
                longest = max(longest, time.monotonic() - began)
                assert "EUR 180" in hit.node.text
                answered += 1
                await asyncio.sleep(0.02)
            report = await reading
            status = await engine.status()
            return answered, [one.kind or one.outcome for one in report.sources], status.buckets[0].active

    answered, kinds, active = asyncio.run(work())
    assert kinds == ["limit_exceeded"] * 10
    assert active == 1, "nothing of a bomb is left behind"
    # Had a search waited for a thread that a bomb holds, there were two or three; there are hundreds.
    assert answered > 20
