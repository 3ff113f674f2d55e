"""What is read back, as plain functions on a connection; each answer comes from one statement or one snapshot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from citewell.errors import NotFound
from citewell.protocols import CatalogueRow, Contents, NewVersion, Revision, RowBatch, SourceState
from citewell.storage import codec, repeats
from citewell.storage.schema import PART, TERM_PAGE, TEXT_PAGE
from citewell.types import (
    EVERYONE,
    Access,
    Asset,
    Block,
    BlockKind,
    Document,
    DocumentRef,
    Node,
    Principal,
    Source,
    Span,
)

if TYPE_CHECKING:
    from citewell.protocols import Vectors

Key = TypeVar("Key", str, bytes, int)

SECTION_JOINT = " > "
"""Stands between the headings of `RowBatch.sections`."""

_LISTS = (8, 64, 500)
"""Lengths of IN lists: few, so that their statements stay prepared; a shorter list repeats its last key."""


def by_keys(db: sqlite3.Connection, select: str, keys: Sequence[Key], *before: object) -> Iterator[tuple[Any, ...]]:
    """Rows of `select` (which ends before IN) whose last condition is one of `keys`; `before` fill earlier marks."""
    for start in range(0, len(keys), _LISTS[-1]):
        part: list[Key] = list(keys[start : start + _LISTS[-1]])
        size = next(size for size in _LISTS if size >= len(part))
        part.extend(part[-1:] * (size - len(part)))
        yield from db.execute(f"{select} IN ({', '.join('?' * size)})", (*before, *part))


def identity(db: sqlite3.Connection) -> dict[str, str]:
    found = db.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
    return dict(json.loads(found[0])) if found else {}


def sequence(db: sqlite3.Connection) -> int:
    number: int
    (number,) = db.execute("SELECT sequence FROM clock").fetchone()
    return number


def term_ids(db: sqlite3.Connection, terms: Sequence[str]) -> dict[str, int]:
    """Ids of known terms."""
    packed = {codec.pack_text(term): term for term in terms}
    return {packed[raw]: number for number, raw in by_keys(db, "SELECT id, term FROM terms WHERE term", list(packed))}


def vectors(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
    """Stored vectors by content key, each of shape (dimensions,)."""
    found = by_keys(db, "SELECT key, content FROM vectors WHERE key", list(dict.fromkeys(keys)))
    return {key: np.frombuffer(content, dtype="<f4") for key, content in found}


def descriptions(db: sqlite3.Connection, assets: Sequence[str], by: str) -> dict[str, str]:
    """What `by` said of each of `assets` in any document version; those that it was not asked about are left out."""
    select = "SELECT a.id, s.about FROM assets a JOIN shown s ON s.asset = a.number WHERE a.id"
    found: dict[str, str] = {}
    for name, about in by_keys(db, select, list(dict.fromkeys(assets))):
        said = codec.load_description(about)
        if said is not None and said[1] == by:
            found[name] = said[0]
    return found


def rows(db: sqlite3.Connection, after: int, limit: int, dimensions: int) -> RowBatch:
    """Up to `limit` index rows above `after`, as arrays."""
    (last,) = db.execute("SELECT coalesce(max(row), 0) FROM nodes").fetchone()
    cursor = db.execute(
        "SELECT n.row, n.document, n.length, coalesce(n.page, 0), n.kind, n.heading_path, n.terms, v.content"
        " FROM nodes n JOIN vectors v ON v.id = n.vector WHERE n.row > ? AND n.row <= ? ORDER BY n.row LIMIT ?",
        (after, last, limit),
    )
    # Filled in place and by the thousand: most of the time here goes into touching memory for the first time.
    vectors = np.empty((max(min(limit, last - after), 0), dimensions), dtype=np.float32)
    postings = [np.empty((0, 2), dtype="<u4")]
    heads: list[tuple[int, int, int, int]] = []
    kinds: list[str] = []
    paths: list[str] = []
    sizes: list[int] = []
    while part := cursor.fetchmany(1000):
        *numbers, part_kinds, part_paths, terms, content = zip(*part, strict=True)
        floats = np.frombuffer(b"".join(content), dtype="<f4")
        vectors[len(kinds) : len(kinds) + len(part)] = floats.reshape(len(part), dimensions)
        postings.append(np.frombuffer(b"".join(terms), dtype="<u4").reshape(-1, 2))
        heads.extend(zip(*numbers, strict=True))
        kinds.extend(part_kinds)
        paths.extend(part_paths)
        sizes.extend(map(len, terms))
    rows, documents, lengths, pages = np.array(heads, dtype=np.int64).reshape(-1, 4).T.copy()
    sections = {path: SECTION_JOINT.join(codec.load_strings(path)) for path in set(paths)}
    pairs = np.concatenate(postings)
    return RowBatch(
        rows=rows,
        document_keys=documents,
        lengths=lengths,
        pages=pages,
        kinds=kinds,
        sections=[sections[path] for path in paths],
        vectors=vectors[: len(kinds)],
        posting_rows=np.repeat(rows, np.array(sizes, dtype=np.int64) // 8),
        posting_terms=pairs[:, 0].astype(np.int64),
        posting_counts=pairs[:, 1].astype(np.int64),
    )


_REF = "d.id, s.uri, d.title, d.version, b.name, d.media_type, d.metadata, d.ingested_at"
_FROM = "FROM documents d JOIN sources s ON s.id = d.source JOIN buckets b ON b.id = s.bucket"


def _ref(columns: Sequence[Any]) -> DocumentRef:
    number, uri, title, version, bucket, media_type, metadata, ingested_at = columns
    return DocumentRef(number, uri, title, version, bucket, media_type, codec.load_metadata(metadata), ingested_at)


def catalogue(db: sqlite3.Connection) -> list[CatalogueRow]:
    """All document versions, oldest first.

    An older version is read under today's rights too: its access rule is narrowed to the source's newest one, so that
    a query as of yesterday gives nobody what was taken from them today.
    """
    rules: dict[tuple[str, str], Access] = {}
    listed = []
    for key, tenant, own, newest, valid_from, valid_to, *ref in db.execute(
        f"SELECT d.key, b.tenant, d.access, s.access, d.valid_from, d.valid_to, {_REF} {_FROM} ORDER BY d.key"
    ):
        access = rules.get((own, newest))
        if access is None:
            access = rules[own, newest] = narrowed(codec.load_access(own), codec.load_access(newest))
        listed.append(CatalogueRow(key, tenant, ref[4], access, _ref(ref), valid_from, valid_to))
    return listed


def narrowed(one: Access, other: Access) -> Access:
    """A rule that permits nobody whom `one` or `other` does not.

    Exact when one of them allows everyone or both allow the same; else it may refuse some whom both permit through
    different names, because a rule cannot say "and".
    """
    if EVERYONE in one.allow:
        allow = other.allow
    elif EVERYONE in other.allow:
        allow = one.allow
    else:
        allow = one.allow & other.allow
    return Access(allow, one.deny | other.deny)


def nodes(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[Node, DocumentRef]]:
    """Nodes by row with their documents; the text of verbatim ones is put together from the pages under their spans."""
    select = (
        "SELECT n.row, n.id, n.start, n.stop, n.context, n.kind, n.heading_path, n.page, n.tokens, n.derived,"
        f" t.page, t.content, n.document, {_REF} {_FROM} JOIN nodes n ON n.document = d.key"
        " LEFT JOIN texts t ON t.document = n.document AND n.derived IS NULL"
        f" AND t.page BETWEEN n.start / {TEXT_PAGE} AND (n.stop - 1) / {TEXT_PAGE} WHERE n.row"
    )
    refs: dict[int, DocumentRef] = {}
    pieces: dict[int, dict[int, bytes]] = {}
    heads: dict[int, tuple[Any, ...]] = {}
    for row, *columns in by_keys(db, select, [int(number) for number in dict.fromkeys(numbers)]):
        page, content, document = columns[9:12]
        if document not in refs:
            refs[document] = _ref(columns[12:])
        heads[row] = (*columns[:9], document)
        if content is not None:
            pieces.setdefault(row, {})[page] = content
    found = {}
    for row, (number, start, stop, context, kind, path, page, tokens, derived, document) in heads.items():
        if derived is None:
            held = pieces.get(row, {})
            text = codec.unpack_text(b"".join(held[place] for place in sorted(held)))
            first = start // TEXT_PAGE * TEXT_PAGE
            text = text[start - first : stop - first]
        else:
            text = codec.unpack_text(derived)
        node = Node(
            id=number,
            document_id=refs[document].id,
            span=Span(start, stop),
            text=text,
            context=codec.unpack_text(context),
            kind=BlockKind(kind),
            heading_path=codec.load_strings(path),
            page=page,
            tokens=tokens,
            derived=derived is not None,
        )
        found[row] = (node, refs[document])
    return found


def document(
    db: sqlite3.Connection, document_id: str, principal: Principal
) -> tuple[DocumentRef, str, tuple[Block, ...]]:
    """The newest version with this id that `principal` may read, with its text and blocks, or NotFound."""
    with _snapshot(db):
        key, ref = _permitted(db, document_id, principal)
        return ref, *_text(db, key)


def _text(db: sqlite3.Connection, key: int) -> tuple[str, tuple[Block, ...]]:
    pages = db.execute("SELECT content FROM texts WHERE document = ? ORDER BY page", (key,)).fetchall()
    (blocks,) = db.execute("SELECT content FROM blocks WHERE document = ?", (key,)).fetchone()
    return codec.unpack_text(b"".join(raw for (raw,) in pages)), codec.load_blocks(blocks)


def _assets(db: sqlite3.Connection, key: int) -> tuple[Asset, ...]:
    found = db.execute(
        "SELECT a.id, a.media_type, a.width, a.height, a.content, s.about FROM shown s"
        " JOIN assets a ON a.number = s.asset WHERE s.document = ? ORDER BY s.ordinal",
        (key,),
    )
    return tuple(map(codec.load_asset, found))


def contents(db: sqlite3.Connection, document_id: str, principal: Principal) -> Contents:
    """What is known of the version that `document` gives beside its text and blocks, or NotFound."""
    with _snapshot(db):
        key, ref = _permitted(db, document_id, principal)
        reader, sha256, pages, warnings, account = db.execute(
            "SELECT reader, sha256, pages, warnings, account FROM documents WHERE key = ?", (key,)
        ).fetchone()
        return Contents(
            ref,
            reader,
            sha256,
            pages,
            codec.load_strings(warnings),
            codec.load_account(account),
            _assets(db, key),
        )


def revisable(db: sqlite3.Connection, keys: Sequence[int]) -> list[Revision]:
    """Those of `keys` that are current, as they stand, without nodes; by key.

    Their metadata is the source's over the document's own, and what was read from is not kept: `content` is empty.
    """
    found = []
    with _snapshot(db):
        for key, tenant, rule, reader, sha256, pages, warnings, account, *columns in by_keys(
            db,
            "SELECT d.key, b.tenant, d.access, d.reader, d.sha256, d.pages, d.warnings, d.account,"
            f" {_REF} {_FROM} WHERE d.valid_to IS NULL AND d.key",
            list(dict.fromkeys(keys)),
        ):
            ref = _ref(columns)
            text, blocks = _text(db, key)
            document = Document(
                id=ref.id,
                uri=ref.uri,
                title=ref.title,
                text=text,
                blocks=blocks,
                media_type=ref.media_type,
                reader=reader,
                sha256=sha256,
                metadata=ref.metadata,
                pages=pages,
                warnings=codec.load_strings(warnings),
                account=codec.load_account(account),
                assets=_assets(db, key),
            )
            source = Source(ref.uri, b"", tenant, ref.bucket, ref.media_type, codec.load_access(rule), ref.metadata)
            held = repeats.repeatable(db, key)
            empty = np.zeros((0, 0), np.float32)
            found.append(Revision(key, held, NewVersion(source, document, (), empty, (), ref.metadata, "")))
    return sorted(found, key=lambda one: one.key)


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """One snapshot: a deletion between the statements must not give half a document."""
    try:
        db.execute("BEGIN")
        yield
    finally:
        db.rollback()


def _permitted(db: sqlite3.Connection, document_id: str, principal: Principal) -> tuple[int, DocumentRef]:
    # Text with surrogates is no id, and asking SQLite for it would be another error than "absent".
    asked = codec.shown(document_id)
    for key, tenant, own, newest, *columns in db.execute(
        f"SELECT d.key, b.tenant, d.access, s.access, {_REF} {_FROM} WHERE d.id = ? ORDER BY d.key DESC", (asked,)
    ).fetchall():
        permitted = all(codec.load_access(rule).permits(principal) for rule in (own, newest))
        if tenant == principal.tenant and permitted:
            return key, _ref(columns)
    raise NotFound(f"There is no document {document_id!r} that you may read. List them: citewell documents.")


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source as listed, with its number and the newest rule of who may read it."""

    number: int
    access: Access
    state: SourceState


_SOURCE = (
    "SELECT s.id, s.access, s.uri, b.name, s.state, s.fingerprint, s.error_kind, s.error, s.updated_at,"
    f" coalesce(d.nodes, 0), coalesce(d.reader, ''), d.key, {_REF}"
    " FROM sources s JOIN buckets b ON b.id = s.bucket"
    " LEFT JOIN documents d ON d.source = s.id AND d.valid_to IS NULL WHERE b.tenant = ?"
)


def _known(columns: Sequence[Any]) -> KnownSource:
    number, access, uri, bucket, state, mark, error_kind, error, updated_at, held, reader, key, *ref = columns
    return KnownSource(
        number,
        codec.load_access(access),
        SourceState(
            uri=uri,
            bucket=bucket,
            state=state,
            fingerprint=mark,
            document=None if key is None else _ref(ref),
            nodes=held,
            error_kind=error_kind,
            error=error,
            updated_at=updated_at,
            reader=reader,
        ),
    )


def known_sources(db: sqlite3.Connection, tenant: str, bucket: str, uris: Sequence[str]) -> list[KnownSource]:
    """Those of `uris` that were ever seen in this bucket."""
    if not (codec.storable(tenant) and codec.storable(bucket)):
        return []
    asked = [uri for uri in uris if codec.storable(uri)]
    return [_known(columns) for columns in by_keys(db, f"{_SOURCE} AND b.name = ? AND s.uri", asked, tenant, bucket)]


def parts(db: sqlite3.Connection, tenant: str, bucket: str, uri: str) -> list[str]:
    """The uris of what was found inside `uri`, at any depth, and is not deleted."""
    if not all(map(codec.storable, (tenant, bucket, uri))):
        return []
    found = db.execute(
        "SELECT s.uri FROM buckets b JOIN sources s ON s.bucket = b.id"
        " WHERE b.tenant = ? AND b.name = ? AND s.uri > ? AND s.uri < ? AND s.state <> 'deleted'",
        (tenant, bucket, f"{uri}{PART}", f"{uri}!0"),  # "0" comes after "/"
    )
    return [name for (name,) in found]


def sources(db: sqlite3.Connection, principal: Principal, bucket: str | None) -> list[SourceState]:
    """All sources that `principal` may read, by bucket and uri."""
    if not codec.storable(principal.tenant) or (bucket is not None and not codec.storable(bucket)):
        return []
    found = db.execute(f"{_SOURCE} AND b.name = coalesce(?, b.name) ORDER BY b.name, s.uri", (principal.tenant, bucket))
    known = (_known(columns) for columns in found)
    return [source.state for source in known if source.access.permits(principal)]


def problems(db: sqlite3.Connection) -> list[str]:
    """What SQLite, the foreign keys and our own counts find wrong; empty when nothing is."""
    found = [f"integrity: {said}" for (said,) in db.execute("PRAGMA integrity_check") if said != "ok"]
    found += [
        f"{table} {row} points to nothing in {parent}"
        for table, row, parent, _ in db.execute("PRAGMA foreign_key_check")
    ]
    found += [
        f"document {key} has {held} nodes, not {told}"
        for key, told, held in db.execute(
            "SELECT d.key, d.nodes, count(n.row) FROM documents d LEFT JOIN nodes n ON n.document = d.key"
            " GROUP BY d.key HAVING count(n.row) <> d.nodes"
        )
    ]
    found += [
        f"document {key} lacks text or blocks"
        for (key,) in db.execute(
            "SELECT key FROM documents d WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.document = d.key)"
            " OR (SELECT count(*) FROM texts t WHERE t.document = d.key) <> (d.characters + ?1 - 1) / ?1",
            (TEXT_PAGE,),
        )
    ]
    found += [
        f"image {number} belongs to no document"
        for (number,) in db.execute(
            "SELECT number FROM assets a WHERE NOT EXISTS (SELECT 1 FROM shown s WHERE s.asset = a.number)"
        )
    ]
    found += [
        f"vector {number} belongs to no node"
        for (number,) in db.execute(
            "SELECT id FROM vectors v WHERE NOT EXISTS (SELECT 1 FROM nodes n WHERE n.vector = v.id)"
        )
    ]
    found += repeats.problems(db)
    uses: dict[int, int] = {}
    for _, blobs in groupby(db.execute("SELECT document, terms FROM nodes ORDER BY document"), key=itemgetter(0)):
        pairs = np.frombuffer(b"".join(terms for _, terms in blobs), dtype="<u4").reshape(-1, 2)
        for term in np.unique(pairs[:, 0]).tolist():
            uses[term] = uses.get(term, 0) + 1
    told_uses = {
        page * TERM_PAGE + place: int(told)
        for page, content in db.execute("SELECT page, content FROM term_uses")
        for place, told in enumerate(np.frombuffer(content, dtype="<u4"))
        if told
    }
    if told_uses.keys() != {number for (number,) in db.execute("SELECT id FROM terms")}:
        found.append("terms are kept that no document holds, or used ones are missing")
    if uses != told_uses:
        wrong = sorted(term for term in uses.keys() | told_uses.keys() if uses.get(term) != told_uses.get(term))
        found.append(f"{len(wrong)} terms are counted wrongly, among them {wrong[:5]}")
    return found
