"""What flagging of repeated text costs: CPU seconds of ingestion with it and without, side by side, by corpus size.

Generated documents of a few paragraphs; each carries two notices that most others carry as well, so that the flags of
nearly all have to be decided. The embedder hashes, so that nothing hides behind a model: with one, the ratio is less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import citewell
from citewell.config import EmbeddingSettings, IngestionSettings, Settings
from citewell.types import Principal, Source

ROOT = Path(__file__).resolve().parent.parent
NOTICES = (
    "This document is confidential and meant for the employees of the company only. Do not pass it on to others.",
    "Printed copies are not controlled. The version on the intranet is the one in force at any time.",
)
PARAGRAPHS, WORDS = 8, 50


def sources(count: int, seed: int) -> Iterator[Source]:
    """Documents in ten folders, of words that no other paragraph has in the same order."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(4_000)]
    for number in range(count):
        text = [" ".join(chance.choices(words, k=WORDS)) + "." for _ in range(PARAGRAPHS)]
        body = "\n\n".join([f"# Document {number}", NOTICES[0], *text, NOTICES[1]])
        yield Source(f"f{number % 10}/{number:06}.md", body.encode(), media_type="text/markdown")


async def ingest(count: int, on: bool) -> tuple[float, float]:
    """CPU seconds of ingesting `count` documents, and of one more."""
    held = list(sources(count + 1, count))
    settings = Settings(embedding=EmbeddingSettings("hashing"), ingestion=IngestionSettings(boilerplate=on))
    with tempfile.TemporaryDirectory() as folder:
        async with await citewell.assemble(folder, settings, principal=Principal.local()) as engine:
            started = time.process_time()
            report = await engine.ingest_sources(held[:-1])
            whole = time.process_time() - started
            assert report.count("added") == count
            assert report.repeated.documents == (count - 1 if on else 0)
            started = time.process_time()
            await engine.ingest_sources(held[-1:])
            return whole, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[250, 500, 1000, 2000])
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    asyncio.run(ingest(50, True))  # what is loaded once is loaded
    print(
        f"{'documents':>9}{'with':>9}{'without':>9}{'ratio':>7}{'one more, with':>16}{'without':>9}  (ms of CPU each)"
    )
    for count in arguments.counts:
        runs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for _ in range(arguments.rounds):
            for switch, done in runs.items():
                done.append(asyncio.run(ingest(count, switch)))
        (on, one), (off, other) = (tuple(map(min, zip(*runs[key], strict=True))) for key in (True, False))
        print(
            f"{count:>9}{1000 * on / count:>9.2f}{1000 * off / count:>9.2f}{on / off:>7.2f}{1000 * one:>16.1f}"
            f"{1000 * other:>9.1f}",
            flush=True,
        )
        figures |= {f"repeats.{count}.ratio": on / off, f"repeats.{count}.ms_per_document": 1000 * on / count}
        figures |= {f"repeats.{count}.one_more_ms": 1000 * one, f"repeats.{count}.one_more_without_ms": 1000 * other}
    file = ROOT / "build/figures/repeats.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({key: round(value, 4) for key, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
