"""A writer that is killed at any moment loses nothing it acknowledged and leaves nothing half done (W1, S1, S2)."""

import asyncio
import multiprocessing
import os
import random
import signal
import time

import pytest
from crash_writer import expected, write

from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, current


async def found(folder):
    async with await SqliteStore.open(folder) as store:
        assert await store.check() == []
        sequence = await store.sequence()
        catalogue = await store.catalogue()
        texts = {}
        for uri, document in current(catalogue, sequence).items():
            ref, texts[uri], _ = await store.document(document, ANN)
            assert ref.uri == uri
        states = {state.uri: state.state for state in await store.sources(ANN)}
        assert {uri for uri, state in states.items() if state == "active"} == set(texts)
        batch = await store.rows(0, 1_000_000)
        assert set(batch.document_keys.tolist()) == {row.key for row in catalogue}
        assert len(await store.nodes(batch.rows.tolist())) == len(batch.rows)
        return texts, sequence


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_writer_loses_nothing_and_leaves_nothing_half(tmp_path, kills):
    chance = random.Random(kills)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["citewell.testing.store_contract", "citewell.storage", "hashlib"])
    steps = 0
    in_flight = 0
    for _ in range(kills):
        heard, said = context.Pipe(duplex=False)
        process = context.Process(target=write, args=(tmp_path, steps, said), daemon=True)
        process.start()
        said.close()
        acknowledged = steps
        try:
            assert heard.poll(60)
            assert heard.recv() == -1
            for _ in range(chance.randrange(6)):
                assert heard.poll(60)
                acknowledged = heard.recv() + 1
            time.sleep(chance.random() * 0.03)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        try:
            while True:  # what was acknowledged before the kill but not yet heard
                acknowledged = heard.recv() + 1
        except EOFError:
            heard.close()
        texts, sequence = asyncio.run(found(tmp_path))
        if (texts, sequence) == expected(acknowledged):
            steps = acknowledged
        else:  # the change under way was carried out, and killed before it could say so
            assert (texts, sequence) == expected(acknowledged + 1)
            steps = acknowledged + 1
            in_flight += 1
    assert steps >= kills
    print(f"{kills} kills, {steps} changes, {in_flight} carried out but not acknowledged, 0 lost")
