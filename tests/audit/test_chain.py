"""The journal as a store gives it back: any edit shows."""

import asyncio
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.audit.chain import verify_chain
from citewell.storage import SqliteStore
from citewell.testing.store_samples import ANN
from citewell.types.journal import CHAIN, canonical

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    async def work():
        async with await SqliteStore.open(tmp_path_factory.mktemp("kb")) as store:
            await store.start_run("r1", "answer", ANN, "s")
            for number in range(8):
                await store.append_events(
                    "r1", [{"kind": "Step", "n": number, "x": {"b": 1, "a": [0.1, None, "é\udc80"]}}]
                )
            return (await store.run("r1", ANN))[1]

    return asyncio.run(work())


def test_an_untouched_journal_has_no_problems(journal):
    assert len(journal) == 8
    assert verify_chain("r1", journal) == []
    assert verify_chain("r1", journal, head=journal[-1][CHAIN]["hash"]) == []
    assert verify_chain("r1", []) == []


@pytest.mark.parametrize("place", range(8))
def test_every_edit_of_an_entry_is_found(journal, place):
    def changed(edit):
        entries = copy.deepcopy(journal)
        edit(entries)
        return verify_chain("r1", entries)

    assert changed(lambda entries: entries[place].update(n=99))
    assert changed(lambda entries: entries[place].update(more=1))
    assert changed(lambda entries: entries[place].pop("kind"))
    assert changed(lambda entries: entries[place][CHAIN].update(at="1999-01-01T00:00:00+00:00"))
    assert changed(lambda entries: entries[place][CHAIN].update(seq=77))
    assert changed(lambda entries: entries[place].pop(CHAIN))
    assert changed(lambda entries: entries.insert(place, entries[place]))
    assert changed(lambda entries: entries.reverse())
    if place < 7:
        assert changed(lambda entries: entries.pop(place))


def test_entries_of_another_run_do_not_pass(journal):
    assert verify_chain("r2", journal)


def test_a_cut_off_end_is_found_against_the_noted_head(journal):
    head = journal[-1][CHAIN]["hash"]
    assert verify_chain("r1", journal[:-1]) == []
    assert "cut off" in verify_chain("r1", journal[:-1], head=head)[0]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=4) | st.integers() | st.booleans(), values, max_size=4))
def test_canonical_text_reads_back_to_itself(entry):
    import json

    text = canonical(entry)
    assert text.isascii()
    assert canonical(json.loads(text)) == text
