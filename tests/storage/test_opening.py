"""A file is opened rightly or refused with a remedy."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from citewell.errors import IndexMismatch, StoreError
from citewell.storage import SqliteStore, schema
from citewell.storage.schema import MIGRATIONS
from citewell.testing.store_samples import ANN, IDENTITY, raised, version


def opened(folder, **options):
    async def work():
        async with await SqliteStore.open(folder, **options) as store:
            await store.bind(IDENTITY)
            return await store.commit([version("a", "some text")])

    return asyncio.run(work())


def refused(folder, **options):
    with pytest.raises(StoreError) as caught:
        opened(folder, **options)
    return str(caught.value)


def test_a_missing_folder_is_made_or_refused_as_asked(tmp_path):
    folder = tmp_path / "deep" / "kb"
    assert "citewell ingest" in refused(folder, create=False)
    assert not folder.exists()
    opened(folder)
    opened(folder, create=False)
    assert [path.name for path in folder.iterdir()] == ["citewell.db"]


def test_a_folder_without_a_knowledge_base_is_not_one(tmp_path):
    assert "citewell.db" in refused(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "kb").write_text("x")
    assert "Name a folder" in refused(tmp_path / "kb")


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "citewell.db"
    path.write_bytes(b"Dear diary, " * 1000)
    said = refused(tmp_path)
    assert "not a database" in said
    assert "backup" in said
    assert path.read_bytes() == b"Dear diary, " * 1000


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "citewell.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = path.read_bytes()
    assert "another program" in refused(tmp_path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(tmp_path):
    opened(tmp_path)
    db = sqlite3.connect(tmp_path / "citewell.db", isolation_level=None)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    said = refused(tmp_path)
    assert f"format {len(MIGRATIONS) + 1}" in said
    assert "Update Citewell" in said


def test_a_file_of_an_older_format_is_brought_up_to_date_whole(tmp_path, monkeypatch):
    """Format 2 as it was written: today's rows in the tables of then."""
    made = version("a", "old text\nof two lines", metadata={"n": 1})

    async def fill():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            await store.commit([version("a", "first"), version("gone", "x")])
            await store.commit([made])
            await store.delete(["gone"], bucket="b", principal=ANN)

    asyncio.run(fill())
    path = tmp_path / "citewell.db"
    new = sqlite3.connect(path, isolation_level=None)
    held = {
        table: new.execute(f"SELECT * FROM {table}").fetchall()
        for table in (
            "meta",
            "clock",
            "buckets",
            "sources",
            "texts",
            "blocks",
            "vectors",
            "terms",
            "term_uses",
            "nodes",
        )
    }
    columns = [name for _, name, *_ in new.execute("PRAGMA table_info(documents)") if name != "revision"]
    documents = new.execute(f"SELECT {', '.join(columns)} FROM documents").fetchall()
    (last,) = new.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").fetchone()
    new.close()
    path.unlink()
    with monkeypatch.context() as then:
        then.setattr(schema, "MIGRATIONS", MIGRATIONS[:2])
        old = schema.connect(path, sqlite3.Connection, 5)
        schema.prepare(old, path, 5)
    old.execute("PRAGMA foreign_keys = OFF")
    old.execute("DELETE FROM meta")
    old.execute("DELETE FROM clock")
    for table, rows in held.items():
        old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    marks = ", ".join("?" * len(columns))
    old.executemany(f"INSERT INTO documents ({', '.join(columns)}) VALUES ({marks})", documents)
    old.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'documents'", (last,))
    assert old.execute("PRAGMA user_version").fetchone() == (2,)
    old.close()

    async def read():
        async with await SqliteStore.open(tmp_path, create=False) as store:
            assert await store.check() == []
            (cohort,) = await store.cohorts("acme", "b", "rule")
            texts = await store.cohort_texts(cohort.number)
            (current,) = (row for row in await store.catalogue() if row.valid_to is None)
            assert (len(texts.keys), texts.unknown) == (0, (current.key,))
            ref, text, blocks = await store.document(made.document.id, ANN)
            assert (ref.version, text, blocks) == (2, made.document.text, made.document.blocks)
            assert len((await store.rows(0, 10)).rows) == 3
            await store.commit([version("new", "y")])
            assert max(row.key for row in await store.catalogue()) == last + 1
            assert await store.check() == []

    asyncio.run(read())


def test_a_half_made_file_is_made_whole(tmp_path):
    (tmp_path / "citewell.db").write_bytes(b"")
    opened(tmp_path)


@pytest.mark.parametrize("place", ["schema", "everywhere"])
def test_a_damaged_file_is_reported_with_a_remedy(tmp_path, place):
    async def fill():
        async with await SqliteStore.open(tmp_path) as store:
            await store.bind(IDENTITY)
            await store.commit([version(f"u{number}", f"text {number} " * 300) for number in range(50)])

    asyncio.run(fill())
    path = tmp_path / "citewell.db"
    raw = bytearray(path.read_bytes())
    start = 100 if place == "schema" else 8192
    raw[start:] = b"\xa5" * (len(raw) - start)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match=r"damaged|doctor") as caught:
        opened(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("state", ["empty", "filled"])
def test_a_folder_that_cannot_be_written_is_refused(state):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kb"
        folder.mkdir()
        if state == "filled":
            opened(folder)
            (folder / "citewell.db").chmod(0o444)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)  # root may write anywhere, so it is tried as nobody
            said = refused(folder)
        finally:
            if user == 0:
                os.seteuid(0)
            folder.chmod(0o755)
    assert "heck that" in said


def test_two_processes_may_make_the_same_folder_at_once(tmp_path):
    code = (
        "import asyncio, sys\n"
        "from citewell.storage import SqliteStore\n"
        "async def main():\n"
        "    sys.stdin.read(1)\n"
        "    async with await SqliteStore.open(sys.argv[1]) as store:\n"
        "        print(await store.sequence())\n"
        "asyncio.run(main())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "kb")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(3)
    ]
    for process in started:
        process.stdin.write("g")
        process.stdin.flush()
    for process in started:
        out, err = process.communicate(timeout=60)
        assert (out.strip(), process.returncode) == ("0", 0), err


def test_every_connection_has_the_settings_that_safety_rests_on(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            for db in (store._writer, store._reader, store._scanner):
                said = {
                    name: db.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "page_size")
                }
                assert said == {
                    "journal_mode": "wal",
                    "synchronous": 2,
                    "secure_delete": 1,
                    "foreign_keys": 1,
                    "page_size": 8192,
                }
            for db in (store._reader, store._scanner):
                with pytest.raises(sqlite3.OperationalError, match="readonly"):
                    db.execute("DELETE FROM clock")

    asyncio.run(work())


def test_closing_leaves_one_file_that_can_be_copied(tmp_path):
    opened(tmp_path / "kb")
    assert [path.name for path in (tmp_path / "kb").iterdir()] == ["citewell.db"]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "citewell.db").write_bytes((tmp_path / "kb" / "citewell.db").read_bytes())

    async def work():
        async with await SqliteStore.open(tmp_path / "copy", create=False) as store:
            assert await store.check() == []
            return [state.uri for state in await store.sources(ANN)]

    assert asyncio.run(work()) == ["a"]


def test_the_mismatch_names_both_sides_and_the_remedy(tmp_path):
    async def work():
        async with await SqliteStore.open(tmp_path / "kb") as store:
            await store.bind(IDENTITY)
            return await raised(IndexMismatch, store.bind({**IDENTITY, "embedder": "large@3", "dimensions": "1024"}))

    assert asyncio.run(work()) == (
        f"The knowledge base in {tmp_path / 'kb'} was built with dimensions '8', now '1024'; "
        "embedder 'contract@1', now 'large@3'. "
        "Open it with what it was built with, or ingest the sources into a new folder."
    )


@pytest.mark.parametrize("identity", [{}, {"embedder": "e"}, {"embedder": "e", "dimensions": "many"}])
def test_an_identity_without_embedder_and_dimensions_is_refused(tmp_path, identity):
    async def work():
        async with await SqliteStore.open(tmp_path) as store:
            return await raised(StoreError, store.bind(identity))

    assert "dimensions" in asyncio.run(work())
