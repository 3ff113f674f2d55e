"""What changes the truth: commit, fail, delete, each run inside one transaction that its caller opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

import numpy as np

from citewell.errors import IndexMismatch, StoreError
from citewell.protocols import Cohort, Committed, NewVersion, Revision, SourceState, vector_key
from citewell.storage import codec, reads, repeats
from citewell.storage.schema import PART, TERM_PAGE, TEXT_PAGE, UNSWEPT
from citewell.types import DocumentRef, Principal, Source

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from citewell.protocols import Rows

    Postings: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version checked and encoded, so that the write lock is held for writing only."""

    version: NewVersion
    access: str
    metadata: str
    texts: list[tuple[int, bytes]]
    blocks: bytes
    account: str
    abouts: list[str]
    vector_keys: list[bytes]
    vectors: list[bytes]


def prepare(versions: Sequence[NewVersion], identity: Mapping[str, str]) -> list[Prepared]:
    """`versions` checked against each other and what the store was bound to, and encoded.

    Raises StoreError for one that contradicts itself or is given twice, IndexMismatch for vectors of other dimensions.
    """
    if not identity:
        raise StoreError("The knowledge base has no embedder yet: bind it before the first commit.")
    seen: set[tuple[str, str, str]] = set()
    for version in versions:
        key = (version.source.tenant, version.source.bucket, version.source.uri)
        if key in seen:
            raise StoreError(f"{version.source.uri} is given twice in one commit. Commit one version after the other.")
        seen.add(key)
    return [_prepared(version, identity) for version in versions]


def _prepared(version: NewVersion, identity: Mapping[str, str]) -> Prepared:
    source, document, nodes = version.source, version.document, version.nodes
    require_keys(source)
    if document.uri != source.uri:
        raise StoreError(f"The document read from {source.uri} says that it stands under {document.uri}.")
    if len(version.terms) != len(nodes) or len(version.vectors) != len(nodes):
        raise StoreError(
            f"{source.uri} has {len(nodes)} nodes, but {len(version.vectors)} vectors and {len(version.terms)} sets of "
            "terms. Give one of each a node."
        )
    dimensions = int(identity["dimensions"])
    vectors = np.ascontiguousarray(version.vectors, dtype="<f4")
    if len(nodes) and vectors.shape != (len(nodes), dimensions):
        raise IndexMismatch(
            f"The vectors of {source.uri} have shape {vectors.shape}, but the knowledge base was built with "
            f"{dimensions} dimensions by {identity['embedder']!r}. "
            "Use that embedder, or ingest the sources into a knowledge base in a new folder."
        )
    if not np.isfinite(vectors).all():
        raise StoreError(f"The vectors of {source.uri} hold values that are no numbers. Check the embedder.")
    for node in nodes:
        if node.document_id != document.id:
            raise StoreError(f"Node {node.id} of {source.uri} belongs to document {node.document_id}.")
        if node.span.end > len(document.text):
            raise StoreError(
                f"Node {node.id} of {source.uri} reaches beyond the text of {len(document.text)} characters."
            )
        if not node.derived and node.text != node.span.of(document.text):
            raise StoreError(f"Node {node.id} of {source.uri} is not the text under its span. Mark it as derived.")
    try:
        metadata = codec.dump_metadata(version.metadata)
    except TypeError as error:
        raise StoreError(f"The metadata of {source.uri} cannot be stored: {error}.") from error
    text = document.text
    return Prepared(
        version=version,
        access=codec.dump_access(source.access),
        metadata=metadata,
        texts=[
            (page, codec.pack_text(text[start : start + TEXT_PAGE]))
            for page, start in enumerate(range(0, len(text), TEXT_PAGE))
        ],
        blocks=codec.dump_blocks(document.blocks),
        account=codec.dump_account(document.account),
        abouts=[codec.dump_asset(asset) for asset in document.assets],
        vector_keys=[vector_key(identity["embedder"], "passage", node.indexed_text) for node in nodes],
        vectors=[vector.tobytes() for vector in vectors],
    )


def require_keys(source: Source) -> None:
    """Raises StoreError when tenant, bucket or uri cannot be keys."""
    for name in (source.tenant, source.bucket, source.uri):
        if not codec.storable(name):
            raise StoreError(
                f"{name!r} holds bytes that are no characters. Percent-encode them before ingesting (RFC 3986)."
            )


class Lexicon:
    """Ids of terms as one connection last saw them: looking up ten thousand words a batch costs more than storing it.

    It is forgotten whenever it may be wrong: after a rollback or a deletion here, and after any commit elsewhere.
    """

    LIMIT = 500_000

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self._version: int | None = None

    def forget(self) -> None:
        self.ids.clear()

    def refresh(self, db: sqlite3.Connection) -> None:
        """Called inside the writing transaction, when no other can commit any more."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self.ids) > self.LIMIT:
            self.forget()
            self._version = version


def commit(db: sqlite3.Connection, versions: Sequence[Prepared], lexicon: Lexicon, at: str) -> list[Committed]:
    """Make all of `versions` visible under the next sequence number, and what they no longer contain invisible."""
    sequence = _advance(db)
    lexicon.refresh(db)
    postings = _register_terms(db, versions, lexicon.ids)
    vectors = _register_vectors(db, versions)
    committed = []
    for version, held in zip(versions, postings, strict=True):
        place = _take_place(db, version, sequence, at)
        ref = _write(db, version, place, postings=held, vectors=vectors)
        committed.append(Committed(ref, sequence, place.replaced))
    # Last, so that words and vectors that a part shares with a new version stay.
    if _remove_parts(db, [prepared.version for prepared in versions], at):
        lexicon.forget()
    return committed


def _remove_parts(db: sqlite3.Connection, versions: Sequence[NewVersion], at: str) -> bool:
    """Remove what was inside older versions and is not inside the new ones; whether any document went."""
    removed = False
    for version in versions:
        source = version.source
        if version.parts is None:
            continue
        inside = reads.parts(db, source.tenant, source.bucket, source.uri)
        # A part of a part belongs to the part, whose own next version decides on it.
        after = len(source.uri) + len(PART)
        gone = [uri for uri in inside if source.uri + PART + uri[after:].partition(PART)[0] not in version.parts]
        for known in reads.known_sources(db, source.tenant, source.bucket, gone):
            removed |= _remove_source(db, known.number, at)
    return removed


def _advance(db: sqlite3.Connection) -> int:
    sequence: int
    (sequence,) = db.execute("UPDATE clock SET sequence = sequence + 1 RETURNING sequence").fetchone()
    return sequence


def _register_terms(db: sqlite3.Connection, versions: Sequence[Prepared], ids: dict[str, int]) -> list[Postings]:
    """The postings of each version, with ids of terms from `ids`, which learns those that it lacks; new ones are made.

    Counts, too, the document versions that hold each term.
    """
    distinct = set(chain.from_iterable(chain.from_iterable(held.version.terms for held in versions)))
    # Not `distinct - ids.keys()`: that walks over all known terms, however few are asked for.
    ids.update(reads.term_ids(db, [term for term in distinct if term not in ids]))
    fresh = sorted(term for term in distinct if term not in ids)
    # Ids are never reused: an index that has not heard of a deletion must not take a new term for an old one.
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'terms'").fetchone()
    ids.update(zip(fresh, count((last[0] if last else 0) + 1), strict=False))
    db.executemany("INSERT INTO terms (id, term) VALUES (?, ?)", ((ids[term], codec.pack_text(term)) for term in fresh))
    postings = [_postings(held.version.terms, ids) for held in versions]
    _count_terms(db, np.concatenate([np.unique(pairs[:, 0]) for pairs in postings]).astype(np.int64), 1)
    return postings


def _postings(counts: Sequence[Mapping[str, int]], ids: Mapping[str, int]) -> Postings:
    """(term id, count) of all nodes of a document, one node's after the other's."""
    size = sum(map(len, counts))
    pairs = np.empty((size, 2), dtype="<u4")
    pairs[:, 0] = np.fromiter(map(ids.__getitem__, chain.from_iterable(counts)), dtype="<u4", count=size)
    pairs[:, 1] = np.fromiter(chain.from_iterable(node.values() for node in counts), dtype="<u4", count=size)
    return pairs


def _count_terms(db: sqlite3.Connection, ids: Rows, change: int) -> Rows:
    """Add `change` to the count of each of `ids`, once for every time it occurs; those that are not used any more."""
    distinct, times = np.unique(ids, return_counts=True)
    unused = []
    starts = np.flatnonzero(np.diff(distinct // TERM_PAGE, prepend=-1))
    for part, more in zip(np.split(distinct, starts[1:]), np.split(times, starts[1:]), strict=True):
        if not len(part):
            continue
        page = int(part[0]) // TERM_PAGE
        held = db.execute("SELECT content FROM term_uses WHERE page = ?", (page,)).fetchone()
        uses = np.frombuffer(held[0], "<u4").astype(np.int64) if held else np.zeros(TERM_PAGE, np.int64)
        uses[part % TERM_PAGE] += change * more
        assert uses.min() >= 0, f"terms of page {page} are counted wrongly"
        unused.append(part[uses[part % TERM_PAGE] == 0])
        db.execute("INSERT OR REPLACE INTO term_uses VALUES (?, ?)", (page, uses.astype("<u4").tobytes()))
    return np.concatenate(unused) if unused else distinct


def _register_vectors(db: sqlite3.Connection, versions: Sequence[Prepared]) -> dict[bytes, int]:
    """Ids of all vectors of `versions` by content key; equal content is stored once."""
    given = {
        key: vector for version in versions for key, vector in zip(version.vector_keys, version.vectors, strict=True)
    }
    found = {key: number for number, key in reads.by_keys(db, "SELECT id, key FROM vectors WHERE key", list(given))}
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM vectors").fetchone()
    made = {key: number for number, key in enumerate((key for key in given if key not in found), last + 1)}
    db.executemany(
        "INSERT INTO vectors (id, key, content) VALUES (?, ?, ?)",
        ((number, key, given[key]) for key, number in made.items()),
    )
    return found | made


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document version goes: its source, its number, and from when on it is valid. `replaced`: by id."""

    source: int
    version: int
    revision: int
    valid_from: int
    ingested_at: str
    replaced: str | None
    cohort: int | None = None
    """The one of the revision before; None for a new version."""


def _take_place(db: sqlite3.Connection, prepared: Prepared, sequence: int, at: str) -> Place:
    """The place of the next version of a source, whose present one ends."""
    source = prepared.version.source
    number, last_version = db.execute(
        "INSERT INTO sources (bucket, uri, state, fingerprint, access, last_version, updated_at)"
        " VALUES (?, ?, 'active', ?, ?, 1, ?)"
        " ON CONFLICT DO UPDATE SET state = 'active', fingerprint = excluded.fingerprint, access = excluded.access,"
        " last_version = last_version + 1, error_kind = NULL, error = NULL, updated_at = excluded.updated_at"
        " RETURNING id, last_version",
        (_bucket(db, source), source.uri, prepared.version.fingerprint, prepared.access, at),
    ).fetchone()
    replaced = db.execute(
        "UPDATE documents SET valid_to = ? WHERE source = ? AND valid_to IS NULL RETURNING id, key", (sequence, number)
    ).fetchone()
    if replaced:
        repeats.leave(db, replaced[1])
    return Place(number, last_version, 0, sequence, at, replaced[0] if replaced else None)


def _write(
    db: sqlite3.Connection, prepared: Prepared, place: Place, *, postings: Postings, vectors: Mapping[bytes, int]
) -> DocumentRef:
    source, document, nodes = prepared.version.source, prepared.version.document, prepared.version.nodes
    ref = DocumentRef(
        id=document.id,
        uri=source.uri,
        title=codec.shown(document.title),
        version=place.version,
        bucket=source.bucket,
        media_type=document.media_type,
        metadata=codec.load_metadata(prepared.metadata),
        ingested_at=place.ingested_at,
    )
    key = db.execute(
        "INSERT INTO documents (source, id, version, revision, title, media_type, reader, sha256, pages, metadata,"
        " access, warnings, characters, nodes, valid_from, ingested_at, account)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            place.source,
            ref.id,
            ref.version,
            place.revision,
            ref.title,
            ref.media_type,
            document.reader,
            document.sha256,
            document.pages,
            prepared.metadata,
            prepared.access,
            codec.dump_strings(document.warnings),
            len(document.text),
            len(nodes),
            place.valid_from,
            place.ingested_at,
            prepared.account,
        ),
    ).lastrowid
    assert key is not None
    repeats.join(db, key, prepared.version, _bucket(db, source), prepared.access, place.cohort)
    _write_assets(db, key, prepared)
    db.execute("INSERT INTO blocks (document, content) VALUES (?, ?)", (key, prepared.blocks))
    db.executemany(
        "INSERT INTO texts (document, page, content) VALUES (?, ?, ?)",
        ((key, page, content) for page, content in prepared.texts),
    )
    raw = postings.tobytes()
    rows = []
    start = 0
    for ordinal, (node, held, vector) in enumerate(
        zip(nodes, prepared.version.terms, prepared.vector_keys, strict=True)
    ):
        end = start + 8 * len(held)
        rows.append(
            (
                key,
                ordinal,
                node.id,
                node.span.start,
                node.span.end,
                node.kind.value,
                codec.dump_strings(node.heading_path),
                node.page,
                node.tokens,
                sum(held.values()),
                vectors[vector],
                codec.pack_text(node.context),
                codec.pack_text(node.text) if node.derived else None,
                raw[start:end],
            )
        )
        start = end
    db.executemany(
        "INSERT INTO nodes (document, ordinal, id, start, stop, kind, heading_path, page, tokens, length, vector,"
        " context, derived, terms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return ref


@dataclass(frozen=True, slots=True)
class Reflagged:
    """A revision checked and encoded; `prepared` is None where only what is known of its texts changes."""

    revision: Revision
    prepared: Prepared | None


def prepare_revisions(revisions: Sequence[Revision], identity: Mapping[str, str]) -> list[Reflagged]:
    """`revisions` checked and encoded like the versions that they hold; raises as `prepare` does."""
    made = iter(prepare([one.version for one in revisions if one.version], identity))
    return [Reflagged(one, next(made) if one.version else None) for one in revisions]


def revise(db: sqlite3.Connection, cohort: Cohort, given: Sequence[Reflagged], lexicon: Lexicon) -> dict[int, str]:
    """Give current versions other flags and nodes under the next sequence number; the uris of those done, by key.

    Of each version one older revision stays, so that a query under way still finds the rows that it ranked. It stands
    for all before it: what of a document is boilerplate is judged by its neighbours, and is no part of its history.
    Nothing is done for a cohort that was touched since: another process may have judged it rightly meanwhile.
    """
    if repeats.touched(db, cohort):
        return {}
    held = {
        key: (uri, *place)
        for key, uri, *place in reads.by_keys(
            db,
            "SELECT d.key, s.uri, d.source, d.version, d.revision, d.valid_from, d.ingested_at FROM documents d"
            " JOIN sources s ON s.id = d.source WHERE d.valid_to IS NULL AND d.key",
            [one.revision.key for one in given],
        )
    }
    for one in given:
        if one.revision.key in held and one.prepared is None:
            repeats.note(db, one.revision.key, one.revision.repeatable)
    changed = [(one.revision.key, one.prepared) for one in given if one.prepared and one.revision.key in held]
    if changed:
        sequence = _advance(db)
        lexicon.refresh(db)
        versions = [prepared for _, prepared in changed]
        postings = _register_terms(db, versions, lexicon.ids)
        vectors = _register_vectors(db, versions)
        older: list[int] = []
        for (key, prepared), pairs in zip(changed, postings, strict=True):
            _, source, version, revision, valid_from, ingested_at = held[key]
            before = db.execute(
                "SELECT key, valid_from FROM documents WHERE source = ? AND version = ? AND key <> ?",
                (source, version, key),
            ).fetchall()
            older += [former for former, _ in before]
            first = min([valid_from, *(start for _, start in before)])
            db.execute("UPDATE documents SET valid_from = ?, valid_to = ? WHERE key = ?", (first, sequence, key))
            place = Place(source, version, revision + 1, sequence, ingested_at, None, repeats.drop(db, key))
            _write(db, prepared, place, postings=pairs, vectors=vectors)
        # Last, so that words and vectors that the new nodes share with them stay.
        for key in older:
            _remove_document(db, key)
        if older:
            lexicon.forget()
    return {key: uri for key, (uri, *_) in held.items()}


def _write_assets(db: sqlite3.Connection, key: int, prepared: Prepared) -> None:
    """The images of a document; one that any document has already is stored once."""
    for ordinal, (asset, about) in enumerate(zip(prepared.version.document.assets, prepared.abouts, strict=True)):
        columns = (asset.id, codec.shown(asset.media_type), asset.width, asset.height, asset.content)
        db.execute(
            "INSERT OR IGNORE INTO assets (id, media_type, width, height, content) VALUES (?, ?, ?, ?, ?)", columns
        )
        db.execute("INSERT INTO shown SELECT ?, ?, number, ? FROM assets WHERE id = ?", (key, ordinal, about, asset.id))


def _bucket(db: sqlite3.Connection, source: Source) -> int:
    db.execute("INSERT OR IGNORE INTO buckets (tenant, name) VALUES (?, ?)", (source.tenant, source.bucket))
    number: int
    (number,) = db.execute(
        "SELECT id FROM buckets WHERE tenant = ? AND name = ?", (source.tenant, source.bucket)
    ).fetchone()
    return number


def fail(db: sqlite3.Connection, source: Source, kind: str, message: str, at: str) -> None:
    """Note a failure on the source. What answers, and who may read it, stays.

    The fingerprint is emptied, so that the next run tries again. A source without a document takes the access rule it
    was found with; one that has a document keeps the rule it was read under.
    """
    db.execute(
        "INSERT INTO sources (bucket, uri, state, fingerprint, access, last_version, error_kind, error, updated_at)"
        " VALUES (?, ?, 'failed', '', ?, 0, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET state = 'failed', fingerprint = '', error_kind = excluded.error_kind,"
        " error = excluded.error, updated_at = excluded.updated_at, access = CASE WHEN EXISTS"
        " (SELECT 1 FROM documents WHERE source = sources.id) THEN access ELSE excluded.access END",
        (
            _bucket(db, source),
            source.uri,
            codec.dump_access(source.access),
            codec.shown(kind),
            codec.shown(message),
            at,
        ),
    )


def delete(
    db: sqlite3.Connection, uris: Iterable[str], bucket: str, principal: Principal, at: str
) -> list[SourceState]:
    """Remove all that is held of `uris` and of what was found inside them, except what is absent or not readable.

    Tombstones stay, with the uri, the access rule and the last version number, so that a citation of a deleted version
    can never come to mean a later one.
    """
    removed: list[SourceState] = []
    advanced = False
    asked = dict.fromkeys(uris)
    for uri in list(asked):
        asked.update(dict.fromkeys(reads.parts(db, principal.tenant, bucket, uri)))
    known = reads.known_sources(db, principal.tenant, bucket, list(asked))
    for source in known:
        if source.state.state == "deleted" or not source.access.permits(principal):
            continue
        if _remove_source(db, source.number, at) and not advanced:
            _advance(db)
            advanced = True
        removed.append(
            SourceState(
                uri=source.state.uri,
                bucket=bucket,
                state="deleted",
                fingerprint="",
                document=source.state.document,
                nodes=source.state.nodes,
                updated_at=at,
            )
        )
    return removed


def _remove_source(db: sqlite3.Connection, number: int, at: str) -> bool:
    """Remove the documents of a source and leave a tombstone; whether there were any."""
    keys = [key for (key,) in db.execute("SELECT key FROM documents WHERE source = ?", (number,))]
    if keys:
        db.execute(f"INSERT OR REPLACE INTO meta VALUES ('{UNSWEPT}', ?)", (at,))
    for key in keys:
        _remove_document(db, key)
    db.execute(
        "UPDATE sources SET state = 'deleted', fingerprint = '', error_kind = NULL, error = NULL, updated_at = ?"
        " WHERE id = ?",
        (at, number),
    )
    return bool(keys)


def _remove_document(db: sqlite3.Connection, key: int) -> None:
    held = db.execute("SELECT vector, terms FROM nodes WHERE document = ?", (key,)).fetchall()
    pairs = np.frombuffer(b"".join(terms for _, terms in held), dtype="<u4").reshape(-1, 2)
    db.execute("DELETE FROM nodes WHERE document = ?", (key,))
    db.executemany(
        "DELETE FROM vectors WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM nodes WHERE vector = ?1)",
        [(vector,) for vector in {vector for vector, _ in held}],
    )
    # The last document that holds a term takes it along: a word can be as telling as a sentence.
    unused = _count_terms(db, np.unique(pairs[:, 0]).astype(np.int64), -1)
    db.executemany("DELETE FROM terms WHERE id = ?", [(term,) for term in unused.tolist()])
    assets = db.execute("DELETE FROM shown WHERE document = ? RETURNING asset", (key,)).fetchall()
    db.executemany(
        "DELETE FROM assets WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM shown WHERE asset = ?1)",
        list(dict.fromkeys(assets)),
    )
    db.execute("DELETE FROM texts WHERE document = ?", (key,))
    db.execute("DELETE FROM blocks WHERE document = ?", (key,))
    repeats.leave(db, key)
    db.execute("DELETE FROM documents WHERE key = ?", (key,))
