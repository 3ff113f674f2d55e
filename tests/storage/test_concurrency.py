"""Readers, writers, other processes and cancelled callers at once."""

import asyncio
import os
import subprocess
import sys

from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, IDENTITY, current, version

WRITER = """
import asyncio, sys
from citewell.storage import SqliteStore
from citewell.testing.store_samples import IDENTITY, version

async def main(folder, name, count):
    async with await SqliteStore.open(folder) as store:
        await store.bind(IDENTITY)
        for number in range(int(count)):
            # One uri of its own and one that both write; the words are shared, so that both count the same terms.
            new = [version(f"{name}{number}", f"common words {number}"), version("shared", f"common {name} {number}")]
            done = await store.commit(new)
            print(done[0].sequence, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_two_processes_write_and_a_third_reads_without_losing_anything(tmp_path):
    async def watch(processes):
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            seen = 0
            while any(process.poll() is None for process in processes):
                sequence = await store.sequence()
                assert sequence >= seen
                catalogue = await store.catalogue()
                answering = current(catalogue, sequence)
                # Both of a commit are there, or neither: own documents are as many as versions of the shared one.
                own = sum(uri != "shared" for uri in answering)
                assert own == sequence
                seen = sequence
                await asyncio.sleep(0.002)
            assert await store.check() == []
            return await store.catalogue()

    processes = [start(WRITER, tmp_path, name, 25) for name in ("left", "right")]
    try:
        catalogue = asyncio.run(watch(processes))
        numbers = []
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            numbers += map(int, out.split())
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
    assert sorted(numbers) == list(range(1, 51))
    shared = [row.ref.version for row in catalogue if row.ref.uri == "shared"]
    assert shared == list(range(1, 51))


def test_readers_in_one_process_see_old_or_new_while_it_writes(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            await store.commit([version("a", "text 0\nmore 0")])
            writing = asyncio.create_task(write(store))
            polls = 0
            while not writing.done():
                (state,) = await store.sources(ANN)
                _, text, _ = await store.document(state.document.id, ANN)
                number = text.split("\n")[0].removeprefix("text ")
                assert text == f"text {number}\nmore {number}"
                batch = await store.rows(0, 1000)
                assert len(batch.rows) % 2 == 0
                assert len(await store.nodes(batch.rows.tolist())) == len(batch.rows)
                polls += 1
            await writing
            assert polls > 3

    async def write(store):
        for number in range(1, 60):
            await store.commit([version("a", f"text {number}\nmore {number}")])

    asyncio.run(work())


def test_a_cancelled_write_is_whole_or_absent_and_the_next_one_works(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            cancelled = 0
            for number in range(30):
                task = asyncio.create_task(store.commit([version(f"u{number}", "x\ny"), version(f"v{number}", "z")]))
                await asyncio.sleep(number * 0.0002)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1
            await store.commit([version("last", "words")])
            assert not store._writer.in_transaction
            assert cancelled > 0
            answering = current(await store.catalogue(), await store.sequence())
            for number in range(30):
                assert (f"u{number}" in answering) == (f"v{number}" in answering)
            assert "last" in answering
            assert await store.check() == []

    asyncio.run(work())


def test_many_writes_at_once_are_queued(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            done = await asyncio.gather(*(store.commit([version("a", f"text {number}")]) for number in range(20)))
            assert sorted(item.sequence for (item,) in done) == list(range(1, 21))
            assert sorted(item.document.version for (item,) in done) == list(range(1, 21))

    asyncio.run(work())
