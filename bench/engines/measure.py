"""One measurement of one engine in this process, printed as a line of JSON.

    python bench/engines/measure.py MODULE ENGINE METHOD SIZE TIMES

`METHOD` of the engine is warmed up, then called TIMES times at SIZE. Prints {"cpu_s": ..., "wall_s": ...} for all the
calls together, {"bytes": ...} for `waiting`, or {"absent": true} where the engine cannot do it yet.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent.parent
# On the disk of the repository: where temporary files live in memory, an fsync costs nothing.
SCRATCH = BENCH.parent / "build"
ABSENT = {"absent": True}


async def speed(work: Callable[[int], Awaitable[object]], size: int, times: int) -> dict[str, float]:
    """CPU seconds of all threads, and wall seconds, of `times` calls."""
    await work(min(size, 200))
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await work(size)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


async def durable(engine: Any, size: int, times: int) -> dict[str, Any]:
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        work = await engine.durable(Path(folder))
        return ABSENT if work is None else await speed(work, size, times)


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
    sys.path[0] = str(BENCH)
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
