"""Derived files: used when they fit, ignored when they do not, gone with what was deleted."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger import Ledger, vector_of
from test_index import everything, look

from citewell.indexing import files
from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.types import Principal, Query

ANALYZER = Analyzer()
ME = Principal.local()
PARTS = ("manifest", "vectors", "columns", "names", "documents", "terms", "starts", "positions", "counts")


def some(ledger: Ledger, first: int, count: int) -> None:
    for at in range(first, first + count):
        ledger.add(f"d{at}", [f"rotate key {at}", f"vault pay {at % 7}"], sections=["Intro", f"S{at % 3}"])


def fresh(ledger: Ledger) -> tuple[object, ...]:
    return everything(look(Index(ledger, ANALYZER), "rotate vault 3", ME), "rotate vault 3")


def through(folder: Path, ledger: Ledger) -> tuple[object, ...]:
    return everything(look(Index(ledger, ANALYZER, folder), "rotate vault 3", ME), "rotate vault 3")


def write(folder: Path, ledger: Ledger) -> Index:
    index = Index(ledger, ANALYZER, folder)
    look(index, "key", ME)
    asyncio.run(index.close())
    return index


def the_file(folder: Path, part: str) -> Path:
    return next(path for path in folder.iterdir() if path.name.startswith(part))


def test_opening_reads_the_files_and_not_the_store(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 20)
    write(tmp_path, ledger)
    ledger.reads = 0
    assert through(tmp_path, ledger) == fresh(ledger)
    assert ledger.reads == 1 + 2  # the files: only "nothing newer"; memory: all, and "nothing newer"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["removed", "truncated", "emptied", "changed", "garbage"])
def test_damaged_files_change_no_result(tmp_path, part, damage):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 20)
    write(tmp_path, ledger)
    path = the_file(tmp_path, part)
    raw = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(raw[:-3])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "changed":
        middle = len(raw) // 2
        path.write_bytes(raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :])
    elif damage == "garbage":
        path.write_bytes(os.urandom(len(raw)))
    assert through(tmp_path, ledger) == fresh(ledger)


def test_files_of_another_format_or_store_are_ignored(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 5)
    write(tmp_path, ledger)
    other = Ledger(ANALYZER, identity={"embedder": "another"})
    some(other, 7, 5)
    assert through(tmp_path, other) == fresh(other)
    write(tmp_path, ledger)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": "citewell-index-0"}))
    assert files.load(tmp_path, ledger.identity) is None
    assert through(tmp_path, ledger) == fresh(ledger)


@pytest.mark.parametrize("longer", [False, True])
def test_files_of_another_history_of_the_same_store_are_ignored(tmp_path, longer):
    # As after a restore from a backup: the same numbers, other documents.
    ledger, other = Ledger(ANALYZER), Ledger(ANALYZER)
    some(ledger, 0, 5)
    write(tmp_path, ledger)
    some(other, 100, 9 if longer else 3)
    assert through(tmp_path, other) == fresh(other)


def test_a_copied_folder_is_trusted_by_its_checksums(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 5)
    write(tmp_path / "one", ledger)
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)
    assert files.load(tmp_path / "two", ledger.identity) is not None
    assert through(tmp_path / "two", ledger) == fresh(ledger)


def test_vectors_are_appended_and_small_tails_wait(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 600)
    index = Index(ledger, ANALYZER, tmp_path)
    look(index, "key", ME)
    path, rows = the_file(tmp_path, "vectors"), json.loads((tmp_path / "manifest.json").read_text())["rows"]
    assert rows == 1200
    some(ledger, 600, 5)
    assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    assert json.loads((tmp_path / "manifest.json").read_text())["rows"] == 1200
    some(ledger, 605, 500)
    look(index, "key", ME)
    assert json.loads((tmp_path / "manifest.json").read_text())["rows"] == 2210
    assert the_file(tmp_path, "vectors") == path
    assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    assert through(tmp_path, ledger) == fresh(ledger)
    assert len(list(tmp_path.iterdir())) == len(PARTS) + 1


def test_an_old_view_still_answers_while_the_index_moves_on(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 600)
    index = Index(ledger, ANALYZER, tmp_path)
    view = look(index, "rotate vault 3", ME)
    before = everything(view, "rotate vault 3")
    some(ledger, 600, 700)
    look(index, "key", ME)
    ledger.remove(0)
    look(index, "key", ME)
    assert everything(view, "rotate vault 3") == before


def test_a_deleted_document_leaves_the_files_at_once(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 5)
    ledger.add("gone", ["zanzibar"], sections=["Canary"])
    some(ledger, 5, 5)
    index = write(tmp_path, ledger)
    canaries = [vector_of("zanzibar").tobytes(), b"Canary"]
    held = [path.read_bytes() for path in tmp_path.iterdir()]
    assert all(any(canary in raw for raw in held) for canary in canaries)
    ledger.remove(next(key for key, row in ledger.documents.items() if row.ref.uri == "gone"))
    asyncio.run(index.refresh())
    held = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(canary in raw for canary in canaries for raw in held)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    number = ledger.ids["zanzibar"]
    assert number not in np.load(tmp_path / manifest["parts"]["terms"]["file"])
    assert through(tmp_path, ledger) == fresh(ledger)


def test_closing_alone_leaves_files_that_fit(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 5)
    key = ledger.add("gone", ["zanzibar"])
    asyncio.run(Index(ledger, ANALYZER, tmp_path).close())  # as after `citewell ingest`
    assert files.sequence_of(tmp_path, ledger.identity) == ledger.number
    ledger.remove(key)
    asyncio.run(Index(ledger, ANALYZER, tmp_path).close())  # as after `citewell delete`
    assert not any(vector_of("zanzibar").tobytes() in path.read_bytes() for path in tmp_path.iterdir())
    ledger.reads = 0
    asyncio.run(Index(ledger, ANALYZER, tmp_path).close())  # as after `citewell status`
    assert ledger.reads == 0


def test_two_indexes_share_one_folder(tmp_path):
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 600)
    one, two = Index(ledger, ANALYZER, tmp_path), Index(ledger, ANALYZER, tmp_path)
    for index in (one, two):
        look(index, "key", ME)
    for first in (600, 1300, 2100):
        some(ledger, first, 700)
        for index in (one, two) if first != 1300 else (two, one):
            assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    ledger.remove(3)
    for index in (two, one):
        assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    asyncio.run(one.close())
    asyncio.run(two.close())
    assert through(tmp_path, ledger) == fresh(ledger)


def test_a_folder_that_cannot_be_written_costs_nothing_but_speed(tmp_path):
    blocked = tmp_path / "index"
    blocked.write_text("a file where the folder should be")
    ledger = Ledger(ANALYZER)
    some(ledger, 0, 600)
    index = Index(ledger, ANALYZER, blocked)
    assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    ledger.remove(3)
    some(ledger, 600, 3)
    assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
    asyncio.run(index.close())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["add", "delete", "reopen", "look", "drop"]), min_size=3, max_size=12))
def test_any_history_of_files_gives_the_same_results(tmp_path_factory, history):
    folder = tmp_path_factory.mktemp("index")
    ledger = Ledger(ANALYZER)
    index = Index(ledger, ANALYZER, folder)
    made = 0
    for what in history:
        if what == "add":
            some(ledger, made, 3)
            made += 3
        elif what == "delete" and ledger.documents:
            ledger.remove(min(ledger.documents))
        elif what == "reopen":
            asyncio.run(index.close())
            index = Index(ledger, ANALYZER, folder)
        elif what == "drop":
            shutil.rmtree(folder, ignore_errors=True)
        assert asyncio.run(index.view(Query("key"), ME)).size == len(ledger.kept)
        assert everything(look(index, "rotate vault 3", ME), "rotate vault 3") == fresh(ledger)
