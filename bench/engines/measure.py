"""One measurement of one engine in this process, printed as a line of JSON.

    python bench/engines/measure.py MODULE ENGINE METHOD SIZE TIMES

`METHOD` of the engine is warmed up, then called TIMES times at SIZE. Prints {"cpu_s": ..., "wall_s": ...} for all the
calls together, with "times_bare" for a durable run alone; {"bytes": ...} for `waiting`; or {"absent": true} where the
engine cannot do it yet.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent.parent
sys.path[0] = str(BENCH)

from engines.floor_flows import Floor  # noqa: E402 - found through the path above

# On the disk of the repository: where temporary files live in memory, an fsync costs nothing.
SCRATCH = BENCH.parent / "build"
ABSENT = {"absent": True}


async def speed(
    work: Callable[[int], Awaitable[object]], size: int, times: int, *, warm: int = 200
) -> dict[str, float]:
    """CPU seconds of all threads, and wall seconds, of `times` calls, after one at `warm` or less."""
    await work(min(size, warm))
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await work(size)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


async def durable(engine: Any, size: int, times: int) -> dict[str, Any]:
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as one, tempfile.TemporaryDirectory(dir=SCRATCH) as other:
        work = await engine.durable(Path(one))
        if work is None:
            return ABSENT
        measured = await speed(work, size, times, warm=5)
        if size == 1:
            measured["times_bare"] = await times_bare(work, await Floor().durable(Path(other)), times)
        return measured


async def times_bare(
    work: Callable[[int], Awaitable[object]], bare: Callable[[int], Awaitable[object]], turns: int
) -> float:
    """How many times as long a run takes as the bare commits of as many steps, in wall time.

    They take turns and medians are compared: a shared disk is fast now and slow then, for both.
    """
    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * turns):
        began = time.perf_counter()
        await (work if turn % 2 else bare)(1)
        took[bool(turn % 2)].append(time.perf_counter() - began)
    return statistics.median(took[True]) / statistics.median(took[False])


async def memory(engine: Any, runs: int) -> dict[str, Any]:
    """Bytes that Python holds for `runs` waiting runs, beyond what a few of them had needed."""
    warm = await engine.waiting(20)
    if warm is None:
        return ABSENT
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = await engine.waiting(runs)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del held
    return {"bytes": after - before}


def main() -> None:
    module, name, method, size, times = sys.argv[1:]
    engine = importlib.import_module(f"engines.{module}").ENGINES[name]()
    if method == "waiting":
        work = memory(engine, int(size))
    elif method == "durable":
        work = durable(engine, int(size), int(times))
    else:
        work = speed(getattr(engine, method), int(size), int(times))
    print(json.dumps(asyncio.run(work)))


if __name__ == "__main__":
    main()
