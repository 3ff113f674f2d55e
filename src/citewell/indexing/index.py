"""The index: follows the store commit by commit, and gives each principal a view of what it may see."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from citewell.errors import ConfigError, IndexMismatch, NotFound
from citewell.indexing import dense, files, lexical
from citewell.indexing.analysis import Analyzer
from citewell.indexing.lexical import BM25
from citewell.indexing.mask import Catalogue, Visible
from citewell.indexing.snapshot import Snapshot, Tail, extended, without_deleted
from citewell.protocols import Ranking, Store
from citewell.types import Found, Hit, Principal, Query, parse_filter

if TYPE_CHECKING:
    from citewell.protocols import Rows, Scores, Vectors


_BATCH_ROWS = 5_000
_CHECKPOINT_ROWS = 1_000
_CHECKPOINT_SHARE = 0.1
_MAX_VOCABULARY = 100_000


class Index:
    """Rows of `store` that can be searched; `folder` keeps derived files (None: memory only).

    Files are written when 1,000 rows and a tenth of the rows are new, when a document was deleted, and at `close`. For
    one event loop; any number of queries may run at once.
    """

    def __init__(self, store: Store, analyzer: Analyzer, folder: Path | None = None, bm25: BM25 | None = None) -> None:
        self._store = store
        self._analyzer = analyzer
        self._folder = folder
        self._bm25 = bm25 or BM25()
        self._snapshot = Snapshot.empty()
        self._base: files.Base | None = None
        self._tail: Tail | None = None
        self._opened = False
        self._refreshing = asyncio.Lock()

    async def view(self, query: Query, principal: Principal) -> SnapshotView:
        """What `principal` may see under the query's buckets, filter and as-of, at the store's current sequence.

        Raises FilterError on a filter that cannot be understood, ConfigError on an as-of that has not been yet.
        """
        where = parse_filter(query.filter)
        snapshot = await self.refresh()
        sequence = snapshot.sequence if query.as_of is None else query.as_of
        if not 0 <= sequence <= snapshot.sequence:
            raise ConfigError(f"as_of {sequence} is not a commit of this store; the last one is {snapshot.sequence}.")
        visible = snapshot.visible(principal, query.buckets, where, sequence)
        view = SnapshotView(snapshot, visible, sequence, store=self._store, analyzer=self._analyzer, bm25=self._bm25)
        await view.learn(query.text)
        return view

    async def refresh(self) -> Snapshot:
        """The index at the store's current sequence. Call it after a delete: nothing of the document stays in files."""
        if self._opened and await self._store.sequence() == self._snapshot.sequence:
            return self._snapshot
        async with self._refreshing:
            # Asked again: while this call waited, another may have done the work.
            sequence = await self._store.sequence()
            if not self._opened or sequence != self._snapshot.sequence:
                await self._follow(sequence)
        return self._snapshot

    async def _follow(self, sequence: int) -> None:
        identity = dict(self._store.identity)
        base = self._base
        if not self._opened and self._folder is not None:
            base = await asyncio.to_thread(files.load, self._folder, identity)
        snapshot = self._snapshot if self._opened or base is None else base.snapshot()
        if snapshot.sequence > sequence:  # the store was brought back to an older state
            base, snapshot = None, Snapshot.empty()
        tail = self._tail if snapshot is self._snapshot else None
        while True:
            snapshot, tail = await self._read(snapshot, tail)
            # After the rows, so that every row's document is in it unless it was deleted. What was committed meanwhile
            # is in here too, and not visible: its valid_from is above `sequence`.
            catalogue = Catalogue(await self._store.catalogue())
            if self._opened or base is None or base.fits(catalogue, sequence):
                break
            base, snapshot, tail = None, Snapshot.empty(), None
        snapshot, removed = await asyncio.to_thread(without_deleted, snapshot, catalogue, sequence)
        if removed:
            tail = None
        self._base, self._snapshot, self._tail, self._opened = base, snapshot, tail, True
        fresh = len(snapshot) - snapshot.base
        if removed or fresh > max(_CHECKPOINT_ROWS, _CHECKPOINT_SHARE * len(snapshot)):
            await self.checkpoint()

    async def _read(self, snapshot: Snapshot, tail: Tail | None) -> tuple[Snapshot, Tail | None]:
        """`snapshot` with all rows of the store behind its own."""
        after = int(snapshot.columns.rows[-1]) if len(snapshot) else -1
        while len((batch := await self._store.rows(after, _BATCH_ROWS)).rows):
            if tail is None:
                tail = Tail(batch.vectors.shape[1])
                if snapshot.base == 0 and len(snapshot):
                    # Rows left over by a delete, kept in memory only: they are the beginning of the new tail.
                    for segment in snapshot.segments:
                        tail.append(segment)
            snapshot = await asyncio.to_thread(extended, snapshot, batch, tail)
            after = int(batch.rows[-1])
        return snapshot, tail

    async def checkpoint(self) -> None:
        """Write the derived files, and use them from here on."""
        if self._folder is None:
            return
        snapshot, identity = self._snapshot, dict(self._store.identity)
        base = await asyncio.to_thread(files.save, self._folder, snapshot, identity, self._base)
        if base is not None:
            self._snapshot = replace(base.snapshot(), sequence=snapshot.sequence, catalogue=snapshot.catalogue)
            self._base, self._tail = base, None

    async def close(self) -> None:
        """Bring the derived files up to the store, which stays open: it is not ours.

        So a process that only ingests leaves an index that opens at once, and one that only deletes leaves nothing of
        what it deleted.
        """
        if self._folder is None:
            return
        if not self._opened:
            written = await asyncio.to_thread(files.sequence_of, self._folder, dict(self._store.identity))
            if written == await self._store.sequence():
                return
        await self.refresh()
        async with self._refreshing:
            if self._base is None or self._base.sequence != self._snapshot.sequence:
                await self.checkpoint()


class SnapshotView:
    """protocols.View: one snapshot through one mask."""

    def __init__(
        self,
        snapshot: Snapshot,
        visible: Visible,
        sequence: int,
        *,
        store: Store,
        analyzer: Analyzer,
        bm25: BM25,
    ) -> None:
        self._snapshot = snapshot
        self._visible = visible
        self._sequence = sequence
        self._store = store
        self._analyzer = analyzer
        self._bm25 = bm25
        self._scored: tuple[str, Scores] | None = None

    @property
    def sequence(self) -> int:
        """The store's sequence number this view shows."""
        return self._sequence

    @property
    def size(self) -> int:
        """How many rows are visible."""
        return self._visible.count

    def dense(self, vector: Vectors, limit: int) -> Ranking:
        """The `limit` visible rows with the highest inner product with `vector`, shape (dimensions,); exact."""
        self._check_vector(vector)
        if limit <= 0 or not self.size:
            return _nothing()
        snapshot = self._snapshot
        positions, scores = dense.nearest(snapshot.segments, snapshot.largest_norm, self._visible, vector, limit)
        return Ranking(snapshot.rows[positions], scores)

    def dense_scores(self, vector: Vectors, rows: Rows) -> Scores:
        """Inner products of `vector` with `rows`, in their order. Raises NotFound for a row not visible here."""
        self._check_vector(vector)
        positions = self._positions(rows)
        return dense.exact(self._snapshot.segments, positions, vector) if len(positions) else np.empty(0, np.float64)

    def lexical(self, text: str, limit: int) -> Ranking:
        """The best `limit` visible rows by BM25 over the terms of `text`; rows that hold none of them are left out."""
        if limit <= 0 or not self.size:
            return _nothing()
        scores = self._lexical(text)
        positions = lexical.best(scores, limit)
        return Ranking(self._snapshot.rows[positions], scores[positions])

    def lexical_scores(self, text: str, rows: Rows) -> Scores:
        """BM25 scores of `rows` for `text`, in their order; 0 where no term occurs. Raises NotFound as above."""
        positions = self._positions(rows)
        return self._lexical(text)[positions] if len(positions) else np.empty(0, np.float64)

    async def hits(self, ranking: Ranking, limit: int) -> list[Hit]:
        """The first `limit` rows as hits; a row whose document was deleted since is left out."""
        rows = ranking.rows[: max(0, limit)]
        self._positions(rows)
        nodes = await self._store.nodes([int(row) for row in rows])
        hits: list[Hit] = []
        for at, row in enumerate(rows.tolist()):
            if row not in nodes:
                continue
            node, document = nodes[row]
            found_by = {
                name: Found(float(scores[at]), int(ranks[at]) or None)
                for name, (scores, ranks) in ranking.parts.items()
            }
            hits.append(Hit(node, document, float(ranking.scores[at]), len(hits) + 1, row, found_by))
        return hits

    async def learn(self, text: str) -> None:
        """Look up the ids of the terms of `text`, so that `lexical(text)` need not."""
        unknown = self._unknown(text)
        if unknown:
            self._note(unknown, await self._store.term_ids(unknown))

    def _unknown(self, text: str) -> list[str]:
        return [term for term in self._analyzer.terms(text) if term not in self._snapshot.vocabulary]

    def _note(self, terms: list[str], ids: Mapping[str, int]) -> None:
        vocabulary = self._snapshot.vocabulary
        if len(vocabulary) > _MAX_VOCABULARY:
            vocabulary.clear()
        vocabulary.update((term, ids.get(term)) for term in terms)

    def _lexical(self, text: str) -> Scores:
        """BM25 of every position; the last text's scores are kept, as fusion asks for them twice."""
        if self._scored is None or self._scored[0] != text:
            unknown = self._unknown(text)
            if unknown:
                # A text other than the query's, from a caller that cannot wait: ask from a loop of its own.
                self._note(unknown, _apart(self._store, unknown))
            ids = self._snapshot.vocabulary
            # By text, not by id: see BM25.scores.
            terms = [
                (number, count)
                for term, count in sorted(self._analyzer.terms(text).items())
                if (number := ids.get(term)) is not None
            ]
            self._scored = (text, self._bm25.scores(self._snapshot.pieces, terms, self._visible))
        return self._scored[1]

    def _positions(self, rows: Rows) -> Rows:
        positions = self._snapshot.positions(rows)
        seen = positions >= 0
        seen[seen] = self._visible.mask[positions[seen]]
        if not seen.all():
            raise NotFound(f"Row {int(rows[~seen][0])} is not in this view.")
        return positions

    def _check_vector(self, vector: Vectors) -> None:
        dimensions = self._snapshot.dimensions
        if dimensions is not None and vector.shape != (dimensions,):
            raise IndexMismatch(
                f"The query's vector has shape {vector.shape}, the index holds vectors of {dimensions} numbers: "
                "open the knowledge base with the embedder that built it."
            )
        if not np.isfinite(vector).all():
            raise ConfigError("The query's vector holds numbers that are not finite; look at the embedder.")


def _nothing() -> Ranking:
    return Ranking(np.empty(0, np.int64), np.empty(0, np.float64))


def _apart(store: Store, terms: list[str]) -> dict[str, int]:
    """`store.term_ids(terms)` from a thread with an event loop of its own, whatever loop the caller is in."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(store.term_ids(terms))).result()
