"""SqliteStore: the Store protocol on one SQLite file, with one writing thread and readers that never wait for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from citewell.errors import IndexMismatch, StoreError
from citewell.protocols import (
    CatalogueRow,
    Cohort,
    CohortTexts,
    Committed,
    Contents,
    NewVersion,
    Revision,
    RowBatch,
    RunRecord,
    SourceState,
)
from citewell.storage import codec, journal, reads, repeats, schema, writes
from citewell.types import Access, Block, DocumentRef, Node, Principal, Source

if TYPE_CHECKING:
    from citewell.protocols import Vectors

T = TypeVar("T")

INLINE_ROWS = 64
"""Reads of up to this many rows are done on the event loop: they take less than the way to a thread and back."""


SWEEP_BYTES = 16 * 2**20
"""Files of up to this size are written anew after a deletion, which takes some 0.2 s."""


class SqliteStore:
    """The one truth of a knowledge base, in `citewell.db` of its folder.

    Three connections: a writer used by one thread, so that writes queue and a transaction never spans an `await`; a
    reader for short reads on the event loop; a second reader on a thread of its own for long ones. Other processes may
    read and write the same file. A write whose awaiter is cancelled is either not begun or carried out whole.

    All methods raise StoreError when the file cannot be read or written; then nothing was half-written.
    """

    def __init__(
        self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, scanner: sqlite3.Connection
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._scanner = scanner
        self._writing = ThreadPoolExecutor(1, "citewell-write")
        self._scanning = ThreadPoolExecutor(1, "citewell-read")
        self._seen: tuple[int, int] | None = None
        self._lexicon = writes.Lexicon()
        self._closed = False

    @classmethod
    async def open(
        cls,
        folder: Path | str,
        *,
        create: bool = True,
        busy_timeout_s: float = 30.0,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> SqliteStore:
        """The store in `folder`, made when it is missing and `create` is set.

        `busy_timeout_s` bounds the wait for another process's transaction. `connection` is the class of the writing
        connection, for tests that let it fail. Raises StoreError for a file that is damaged, newer or not ours.
        """
        return await asyncio.to_thread(cls._open, Path(folder), create, busy_timeout_s, connection)

    @classmethod
    def _open(
        cls, folder: Path, create: bool, busy_timeout_s: float, connection: type[sqlite3.Connection]
    ) -> SqliteStore:
        path = schema.place(folder, create=create)
        opened: list[sqlite3.Connection] = []
        try:
            with _explaining(path):
                opened.append(schema.connect(path, connection, busy_timeout_s))
                schema.prepare(opened[0], path, busy_timeout_s)
                for _ in range(2):
                    opened.append(schema.connect(path, sqlite3.Connection, busy_timeout_s))
                    opened[-1].execute("PRAGMA query_only = ON")
                reads.sequence(opened[-1])
        except BaseException:
            for db in opened:
                db.close()
            raise
        return cls(path, *opened)

    async def __aenter__(self) -> SqliteStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is being written, fold the write-ahead log into the file and let go of it. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._scanning, self._scanner.close)
        self._reader.close()
        with _explaining(self.path):
            await loop.run_in_executor(self._writing, self._leave)
        self._writing.shutdown(wait=False)
        self._scanning.shutdown(wait=False)

    def _leave(self) -> None:
        try:
            self._writer.execute("PRAGMA busy_timeout = 100")  # others' readers are not waited for
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            # An error that somebody still holds can keep a statement open; closing ends it, and folds the log as well
            # unless another process has the file open, which will do so then.
            if "locked" not in str(error):
                raise
        finally:
            self._writer.close()

    # How reads and writes reach the file

    def _short(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._require_open()
        with _explaining(self.path):
            return work(self._reader)

    async def _long(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._require_open()
        with _explaining(self.path):
            return await asyncio.get_running_loop().run_in_executor(self._scanning, work, self._scanner)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._require_open()
        with _explaining(self.path):
            return await asyncio.get_running_loop().run_in_executor(self._writing, self._transact, work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            result = work(db)
            db.execute("COMMIT")
        except BaseException:
            self._lexicon.forget()
            db.rollback()
            raise
        return result

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"The knowledge base {self.path} was closed. Open it again.")

    # Identity and sequence

    @property
    def identity(self) -> Mapping[str, str]:
        return self._short(reads.identity)

    async def bind(self, identity: Mapping[str, str]) -> None:
        """Record who builds this knowledge base, or raise IndexMismatch naming what differs.

        Raises StoreError when `identity` lacks `embedder` or `dimensions`.
        """
        given = dict(identity)
        if not given.get("embedder") or not given.get("dimensions", "").isdecimal():
            raise StoreError(f"An identity needs `embedder` and `dimensions` (a whole number), not {given!r}.")
        if self._short(reads.identity) != given:
            await self._write(lambda db: self._bind(db, given))

    def _bind(self, db: sqlite3.Connection, given: dict[str, str]) -> None:
        held = reads.identity(db)
        if not held:
            db.execute("INSERT INTO meta VALUES ('identity', ?)", (codec.dump_identity(given),))
            return
        differing = [
            f"{name} {held.get(name)!r}, now {given.get(name)!r}"
            for name in sorted(held.keys() | given.keys())
            if held.get(name) != given.get(name)
        ]
        if differing:
            raise IndexMismatch(
                f"The knowledge base in {self.path.parent} was built with {'; '.join(differing)}. "
                "Open it with what it was built with, or ingest the sources into a new folder."
            )

    async def sequence(self) -> int:
        # data_version changes with every commit of another connection, of this process or not; asking for it reads
        # no page. Asked first, so that a commit in between is at worst read twice.
        (version,) = self._short(lambda db: db.execute("PRAGMA data_version").fetchone())
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, self._short(reads.sequence))
        return self._seen[1]

    # Writing

    async def commit(self, versions: Sequence[NewVersion]) -> list[Committed]:
        """Make all versions visible at once; each replaces the active one of its uri, still readable as of then.

        Raises StoreError when a source is given twice or a version contradicts itself, IndexMismatch when its vectors
        have other dimensions than the store was bound to.
        """
        if not versions:
            return []
        identity = self.identity
        self._require_open()
        prepared = await asyncio.get_running_loop().run_in_executor(self._writing, writes.prepare, versions, identity)
        committed = await self._write(lambda db: writes.commit(db, prepared, self._lexicon, schema.now()))
        if any(version.parts is not None for version in versions) and await self.unswept():
            await self._tidy(SWEEP_BYTES)
        return committed

    async def revise(self, cohort: Cohort, revisions: Sequence[Revision]) -> dict[int, str]:
        """Set other flags on current versions, in one transaction; the uris of those done, by key.

        None where the cohort was touched since. The revision before stays and answers as of before. Raises as `commit`.
        """
        if not revisions:
            return {}
        identity = self.identity
        self._require_open()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._writing, writes.prepare_revisions, revisions, identity)
        return await self._write(lambda db: writes.revise(db, cohort, prepared, self._lexicon))

    async def judged(self, cohorts: Sequence[Cohort], rule: str) -> list[Cohort]:
        return await self._write(lambda db: repeats.judged(db, cohorts, rule)) if cohorts else []

    async def fail(self, source: Source, kind: str, message: str) -> None:
        writes.require_keys(source)
        await self._write(lambda db: writes.fail(db, source, kind, message, schema.now()))

    async def delete(self, uris: Sequence[str], *, bucket: str, principal: Principal) -> list[SourceState]:
        """Remove documents with text, nodes, vectors and older versions, in one transaction; what was removed.

        What `principal` may not read is as if it were not there. A file of up to `SWEEP_BYTES` is swept at once; in a
        larger one, bytes that SQLite moved earlier may linger until `sweep`.
        """
        removed = await self._write(lambda db: self._delete(db, uris, bucket, principal))
        if removed:
            await self._tidy(SWEEP_BYTES)
        return removed

    def _delete(
        self, db: sqlite3.Connection, uris: Sequence[str], bucket: str, principal: Principal
    ) -> list[SourceState]:
        self._lexicon.forget()
        return writes.delete(db, uris, bucket, principal, schema.now())

    async def sweep(self) -> None:
        """Leave no trace of what was deleted, whatever the file's size: it is written anew (about 100 MB a second).

        Raises StoreError when another process kept the file busy.
        """
        if not await self._tidy(None):
            raise StoreError(f"{self.path} is in use, so deleted text may linger in unused bytes. Sweep again later.")

    async def unswept(self) -> bool:
        """Whether something was deleted that may linger in unused bytes of the file."""
        return self._short(schema.unswept)

    async def _tidy(self, limit_bytes: int | None) -> bool:
        self._require_open()
        with _explaining(self.path):
            return await asyncio.get_running_loop().run_in_executor(
                self._writing, schema.sweep, self._writer, self.path, limit_bytes
            )

    # Reading

    async def cohorts(self, tenant: str, bucket: str, rule: str) -> list[Cohort]:
        return self._short(lambda db: repeats.cohorts(db, tenant, bucket, rule))

    async def cohort(self, tenant: str, bucket: str, access: Access) -> Cohort | None:
        return self._short(lambda db: repeats.cohort(db, tenant, bucket, access))

    async def cohort_texts(self, number: int) -> CohortTexts:
        return await self._long(lambda db: repeats.texts(db, number))

    async def flagged(self, cohorts: Sequence[int]) -> tuple[int, int]:
        return await self._long(lambda db: repeats.flagged(db, cohorts))

    async def revisable(self, keys: Sequence[int]) -> list[Revision]:
        return await self._long(lambda db: reads.revisable(db, keys))

    async def sources(self, principal: Principal, bucket: str | None = None) -> list[SourceState]:
        return await self._long(lambda db: reads.sources(db, principal, bucket))

    async def source_states(self, tenant: str, bucket: str, uris: Sequence[str]) -> dict[str, SourceState]:
        known = await self._long(lambda db: reads.known_sources(db, tenant, bucket, uris))
        return {source.state.uri: source.state for source in known}

    async def document(self, document_id: str, principal: Principal) -> tuple[DocumentRef, str, tuple[Block, ...]]:
        return await self._long(lambda db: reads.document(db, document_id, principal))

    async def contents(self, document_id: str, principal: Principal) -> Contents:
        return await self._long(lambda db: reads.contents(db, document_id, principal))

    async def parts(self, tenant: str, bucket: str, uris: Sequence[str]) -> dict[str, list[str]]:
        return await self._long(lambda db: {uri: reads.parts(db, tenant, bucket, uri) for uri in uris})

    async def vectors(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Stored vectors by content key, float32, shape (dimensions,) each; unknown keys are left out."""
        return await self._long(lambda db: reads.vectors(db, keys))

    async def descriptions(self, assets: Sequence[str], by: str) -> dict[str, str]:
        return await self._long(lambda db: reads.descriptions(db, assets, by))

    async def catalogue(self) -> list[CatalogueRow]:
        return await self._long(reads.catalogue)

    async def rows(self, after: int, limit: int) -> RowBatch:
        dimensions = int(self.identity.get("dimensions", "0"))
        return await self._long(lambda db: reads.rows(db, after, max(limit, 0), dimensions))

    async def term_ids(self, terms: Sequence[str]) -> dict[str, int]:
        if len(terms) <= INLINE_ROWS:
            return self._short(lambda db: reads.term_ids(db, terms))
        return await self._long(lambda db: reads.term_ids(db, terms))

    async def nodes(self, rows: Sequence[int]) -> dict[int, tuple[Node, DocumentRef]]:
        if len(rows) <= INLINE_ROWS:
            return self._short(lambda db: reads.nodes(db, rows))
        return await self._long(lambda db: reads.nodes(db, rows))

    # Runs

    async def start_run(
        self,
        run_id: str,
        flow: str,
        principal: Principal,
        summary: str,
        entries: Sequence[Mapping[str, object]] = (),
    ) -> None:
        made = journal.payloads(run_id, entries)

        def work(db: sqlite3.Connection) -> None:
            at = schema.now()
            journal.start(db, run_id, flow=flow, principal=principal, summary=summary, at=at)
            journal.append(db, run_id, made, at)

        await self._write(work)

    async def append_events(self, run_id: str, entries: Sequence[Mapping[str, object]]) -> None:
        """Add entries to a run, each sealed to the one before; one transaction.

        `run` gives them back with their seal under the key `chain`; that key is refused here.
        """
        made = journal.payloads(run_id, entries)
        await self._write(lambda db: journal.append(db, run_id, made, schema.now()))

    async def end_run(
        self, run_id: str, status: str, summary: str, entries: Sequence[Mapping[str, object]] = ()
    ) -> None:
        made = journal.payloads(run_id, entries)

        def work(db: sqlite3.Connection) -> None:
            at = schema.now()
            journal.append(db, run_id, made, at)
            journal.end(db, run_id, status, summary, at)

        await self._write(work)

    async def run(self, run_id: str, principal: Principal) -> tuple[RunRecord, list[dict[str, object]]]:
        return await self._long(lambda db: journal.run(db, run_id, principal))

    async def runs(self, principal: Principal, limit: int) -> list[RunRecord]:
        return await self._long(lambda db: journal.runs(db, principal, limit))

    async def check(self) -> list[str]:
        """What is wrong with the file and with how its tables hang together; empty when nothing is. Reads all of it."""
        return await self._long(reads.problems)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise schema.explained(path, error) from error
