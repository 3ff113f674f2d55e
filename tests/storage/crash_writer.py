"""The writer that test_crash kills: a module of its own, so that a child imports nothing but what it runs."""

import asyncio

from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN, IDENTITY, version


def change(number):
    """What step `number` does: None for a deletion of u0, else texts by uri that become visible together."""
    if number % 5 == 4:
        return None
    return {f"u{number % 3}": f"step {number}\nof three", "all": f"step {number}\n" + "long words " * (number % 7 * 50)}


def expected(steps):
    """What answers after the first `steps` changes, and the sequence number then."""
    texts, sequence = {}, 0
    for number in range(steps):
        new = change(number)
        if new is None:
            sequence += texts.pop("u0", None) is not None
        else:
            texts.update(new)
            sequence += 1
    return texts, sequence


def write(folder, first, said):
    """Carry out changes from `first` on, telling of each when it is acknowledged, until killed."""

    async def work():
        store = await SqliteStore.open(folder)
        await store.bind(IDENTITY)
        said.send(-1)
        for number in range(first, first + 10_000):
            new = change(number)
            if new is None:
                await store.delete(["u0"], bucket="b", principal=ANN)
            else:
                await store.commit([version(uri, text) for uri, text in new.items()])
            said.send(number)

    asyncio.run(work())
