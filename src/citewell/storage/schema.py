"""The file: its tables, its format number, and how it is opened or refused."""

from __future__ import annotations

import sqlite3
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from citewell.errors import StoreError

FILE_NAME = "citewell.db"

APPLICATION_ID = 0x43574C31
"""Stands in the file's header ("CWL1"), so that another program's database is refused and not written into."""

TEXT_PAGE = 2000
"""Characters of document text a row of `texts`. Smaller than a database page, so that reading a node touches one or
two rows whatever the document's size, and four fit a page of 8 KiB."""

PART = "!/"
"""Between the uri of a source and the name of what was found inside it."""

UNSWEPT = "unswept_since"
"""Name of the `meta` row that says since when deleted content may linger in unused bytes."""

TERM_PAGE = 1000
"""Terms a row of `term_uses`, which holds uint32 counts of the document versions that use them. A row a term would be
rewritten by nearly every document that is added; so it is a few rows, and a few pages of the log."""

_VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER NOT NULL) STRICT;
INSERT INTO clock VALUES (1, 0);

CREATE TABLE buckets (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES buckets (id),
    uri TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'failed', 'deleted')),
    fingerprint TEXT NOT NULL,
    access TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    error_kind TEXT,
    error TEXT,
    updated_at TEXT NOT NULL,
    UNIQUE (bucket, uri)
) STRICT;

CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL REFERENCES sources (id),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    reader TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    pages INTEGER,
    metadata TEXT NOT NULL,
    access TEXT NOT NULL,
    warnings TEXT NOT NULL,
    characters INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    ingested_at TEXT NOT NULL,
    UNIQUE (source, version),
    CHECK (valid_to > valid_from)
) STRICT;
CREATE INDEX documents_by_id ON documents (id);
CREATE UNIQUE INDEX documents_current ON documents (source) WHERE valid_to IS NULL;

CREATE TABLE texts (
    document INTEGER NOT NULL REFERENCES documents (key),
    page INTEGER NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (document, page)
) STRICT;

CREATE TABLE blocks (document INTEGER PRIMARY KEY REFERENCES documents (key), content BLOB NOT NULL) STRICT;

CREATE TABLE vectors (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, content BLOB NOT NULL) STRICT;

CREATE TABLE terms (id INTEGER PRIMARY KEY AUTOINCREMENT, term BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE term_uses (page INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;

CREATE TABLE nodes (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (key),
    ordinal INTEGER NOT NULL,
    id TEXT NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    kind TEXT NOT NULL,
    heading_path TEXT NOT NULL,
    page INTEGER,
    tokens INTEGER NOT NULL,
    length INTEGER NOT NULL,
    vector INTEGER NOT NULL REFERENCES vectors (id),
    context BLOB NOT NULL,
    derived BLOB,
    terms BLOB NOT NULL
) STRICT;
CREATE INDEX nodes_by_document ON nodes (document);
CREATE INDEX nodes_by_vector ON nodes (vector);

CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    flow TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    groups TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    summary TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_user ON runs (tenant, user, number);

CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (number),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    payload TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (run, seq)
) STRICT;
"""

_VERSION_2 = """
ALTER TABLE documents ADD COLUMN account TEXT NOT NULL DEFAULT '{"kept": [0, 0, 0, 0], "left_out": {}}';

CREATE TABLE assets (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    media_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;

CREATE TABLE shown (
    document INTEGER NOT NULL REFERENCES documents (key),
    ordinal INTEGER NOT NULL,
    asset INTEGER NOT NULL REFERENCES assets (number),
    about TEXT NOT NULL,
    UNIQUE (document, ordinal)
) STRICT;
CREATE INDEX shown_by_asset ON shown (asset);
"""

# Flags on blocks change with the neighbours of a document, not with its source: a re-flagged version keeps its number
# and becomes a new revision. SQLite cannot drop a constraint, so the table is made anew, with its counter of keys.
_VERSION_3 = """
CREATE TABLE documents_3 (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL REFERENCES sources (id),
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    reader TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    pages INTEGER,
    metadata TEXT NOT NULL,
    access TEXT NOT NULL,
    warnings TEXT NOT NULL,
    characters INTEGER NOT NULL,
    nodes INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    ingested_at TEXT NOT NULL,
    account TEXT NOT NULL,
    UNIQUE (source, version, revision),
    CHECK (valid_to > valid_from)
) STRICT;
INSERT INTO documents_3 (key, source, id, version, title, media_type, reader, sha256, pages, metadata, access, warnings,
    characters, nodes, valid_from, valid_to, ingested_at, account)
    SELECT key, source, id, version, title, media_type, reader, sha256, pages, metadata, access, warnings, characters,
    nodes, valid_from, valid_to, ingested_at, account FROM documents;
DELETE FROM sqlite_sequence WHERE name = 'documents_3';
INSERT INTO sqlite_sequence (name, seq) SELECT 'documents_3', seq FROM sqlite_sequence WHERE name = 'documents';
DROP TABLE documents;
ALTER TABLE documents_3 RENAME TO documents;
CREATE INDEX documents_by_id ON documents (id);
CREATE UNIQUE INDEX documents_current ON documents (source) WHERE valid_to IS NULL;

CREATE TABLE cohorts (
    id INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES buckets (id),
    access TEXT NOT NULL,
    judged TEXT NOT NULL DEFAULT '',
    touched INTEGER NOT NULL DEFAULT 0,
    UNIQUE (bucket, access)
) STRICT;

CREATE TABLE repeatables (
    document INTEGER PRIMARY KEY REFERENCES documents (key),
    cohort INTEGER NOT NULL REFERENCES cohorts (id),
    series TEXT NOT NULL,
    total INTEGER NOT NULL,
    flagged INTEGER NOT NULL,
    content BLOB,
    repeated BLOB NOT NULL
) STRICT;
CREATE INDEX repeatables_by_cohort ON repeatables (cohort);

INSERT INTO cohorts (bucket, access) SELECT DISTINCT s.bucket, d.access
    FROM documents d JOIN sources s ON s.id = d.source WHERE d.valid_to IS NULL;
INSERT INTO repeatables SELECT d.key, c.id, '', 0, 0, NULL, x'' FROM documents d JOIN sources s ON s.id = d.source
    JOIN cohorts c ON c.bucket = s.bucket AND c.access = d.access WHERE d.valid_to IS NULL;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2, _VERSION_3)
"""Statement lists that lead from format n to n + 1; `PRAGMA user_version` counts those applied."""


def now() -> str:
    """The time in ISO 8601, UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def place(folder: Path, *, create: bool) -> Path:
    """The database file of `folder`, which is made when `create` is set and it is missing. Raises StoreError."""
    try:
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is a file, not the folder of a knowledge base. Name a folder.")
        path = folder / FILE_NAME
        if not path.exists():
            if not create:
                raise StoreError(
                    f"There is no knowledge base in {folder} ({FILE_NAME} is missing). "
                    "Name the right folder, or make one by ingesting: citewell ingest PATH."
                )
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be used ({error.strerror}). {_FOLDER_REMEDY}") from error
    return path


def connect(path: Path, factory: type[sqlite3.Connection], busy_timeout_s: float) -> sqlite3.Connection:
    """A connection with our settings, in autocommit; they hold for a connection, so that each one needs them."""
    db = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, factory=factory)
    try:
        db.execute("PRAGMA page_size = 8192")  # only heard while the file is new: five vectors of 384 fit
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cache_size = -16000")
        # 64 MiB: one large commit must not leave a log of its size for ever.
        db.execute("PRAGMA journal_size_limit = 67108864")
    except BaseException:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    """Bring a new or older file to the current format in one transaction; refuse what is not ours or is newer."""
    # Tables first: another process may be committing the first format right now, tables and mark together.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (found,) = db.execute("PRAGMA application_id").fetchone()
    if found != APPLICATION_ID and (found or tables):
        raise StoreError(f"{path} is a database of another program. Name another folder for the knowledge base.")
    _write_ahead(db, busy_timeout_s)
    if _format(db, path) == len(MIGRATIONS):
        return
    # A table that is made anew is gone for a moment, which rows that point into it must bear.
    db.execute("PRAGMA foreign_keys = OFF")
    try:
        _migrate(db, path)
    finally:
        db.execute("PRAGMA foreign_keys = ON")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        # Asked again under the lock: another process may have brought the file up to date meanwhile.
        for number in range(_format(db, path), len(MIGRATIONS)):
            for statement in MIGRATIONS[number].split(";"):
                if statement.strip():
                    db.execute(statement)
            if number == 0:
                db.execute("INSERT INTO meta VALUES ('uuid', ?), ('created_at', ?)", (uuid.uuid4().hex, now()))
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number + 1}")
        if lost := db.execute("PRAGMA foreign_key_check").fetchone():
            raise StoreError(f"{path} cannot be brought to format {len(MIGRATIONS)}: {lost[0]} has lost its {lost[2]}.")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.rollback()
        raise


def unswept(db: sqlite3.Connection) -> bool:
    """Whether something was deleted since the file was last swept."""
    return db.execute(f"SELECT 1 FROM meta WHERE name = '{UNSWEPT}'").fetchone() is not None


def sweep(db: sqlite3.Connection, path: Path, limit_bytes: int | None) -> bool:
    """Remove what deletions left behind, as far as nobody else holds the file; whether all of it is gone.

    `secure_delete` overwrites a row where it stands, but not the copy that stays in the unused part of a page when
    SQLite moves rows between pages (1 word in 1,000 deleted ones was found again). Only VACUUM, which writes the file
    anew, is rid of those; it is left out for files over `limit_bytes`. The log is emptied in any case.
    """
    (busy_timeout_ms,) = db.execute("PRAGMA busy_timeout").fetchone()
    # 100 ms: a reader or writer that keeps us out must not hold up the deletion; a later sweep does the rest.
    db.execute("PRAGMA busy_timeout = 100")
    try:
        small = limit_bytes is None or path.stat().st_size <= limit_bytes
        if small and unswept(db):
            # In memory where it fits: a copy in a temporary file would leave traces outside the folder.
            db.execute(f"PRAGMA temp_store = {'FILE' if limit_bytes is None else 'MEMORY'}")
            db.execute("VACUUM")
        (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if small and not busy:
            db.execute(f"DELETE FROM meta WHERE name = '{UNSWEPT}'")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        db.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
    return not busy and small


def _format(db: sqlite3.Connection, path: Path) -> int:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{path} has format {found}, this Citewell knows formats up to {len(MIGRATIONS)}. Update Citewell."
        )
    return found


def _write_ahead(db: sqlite3.Connection, busy_timeout_s: float) -> None:
    # SQLite does not wait for a lock when it changes the journal mode, so two processes that open a new file at the
    # same moment would fail: wait here, within the same bound.
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreError(f"The disk under this folder offers no write-ahead log (got {mode!r}). Use a local disk.")
        return


_FOLDER_REMEDY = "Check that it exists, that you may write in it and that the disk is not full."

_REMEDIES = (
    ("not a database", "It is no SQLite file, or an encrypted one. Restore it from a backup, or name another folder."),
    ("malformed", "The file is damaged. Restore it from a backup, or delete the folder and ingest again."),
    ("locked", "Another process holds it. Wait for it to end, then try again."),
    ("full", "Free some space and try again."),
    ("readonly", "Check that you may write to the file and its folder."),
    ("unable to open", _FOLDER_REMEDY),
)


def explained(path: Path, error: sqlite3.Error) -> StoreError:
    """What SQLite said about `path`, as an error that says what to do."""
    said = str(error)
    remedy = next((text for sign, text in _REMEDIES if sign in said), "Run citewell doctor to check the file.")
    return StoreError(f"The knowledge base {path} failed: {said}. Nothing was half-written. {remedy}")
