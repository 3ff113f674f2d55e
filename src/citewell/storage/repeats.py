"""What current documents may have in common, by cohort: kept with every change of them, and gone with them.

A cohort is the documents of one bucket under one access rule. Only current versions are in it: an older version is no
further document. Whatever joins or leaves touches the cohort, so that it is judged anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from citewell.protocols import Cohort, CohortTexts, NewVersion, Repeatable
from citewell.storage import codec
from citewell.types import Access

if TYPE_CHECKING:
    from citewell.protocols import Digests

_TEXT = np.dtype([("digest", "<u8"), ("block", "<u4"), ("size", "<u4")])


def join(db: sqlite3.Connection, key: int, version: NewVersion, bucket: int, access: str, cohort: int | None) -> None:
    """Put a current version into its cohort; a revision into the given one, which is not touched by it."""
    if cohort is None:
        (cohort,) = db.execute(
            "INSERT INTO cohorts (bucket, access) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET judged = '', touched = touched + 1 RETURNING id",
            (bucket, access),
        ).fetchone()
    named = version.metadata.get("series")
    series = codec.shown(named) if isinstance(named, str) else ""
    db.execute(
        "INSERT INTO repeatables (document, cohort, series, total, flagged, content, repeated)"
        " VALUES (?, ?, ?, 0, 0, NULL, x'')",
        (key, cohort, series),
    )
    if version.repeatable is not None:
        note(db, key, version.repeatable)


def note(db: sqlite3.Connection, key: int, held: Repeatable) -> None:
    """Write down what of a current version may repeat, and what of it was flagged."""
    texts = np.empty(len(held.digests), _TEXT)
    texts["digest"], texts["block"], texts["size"] = held.digests, held.blocks, held.sizes
    db.execute(
        "UPDATE repeatables SET total = ?, flagged = ?, content = ?, repeated = ? WHERE document = ?",
        (held.total, held.flagged, texts.tobytes(), _packed(held.repeated), key),
    )


def leave(db: sqlite3.Connection, key: int) -> None:
    """Take a version out of its cohort, with all that was known of its texts."""
    if cohort := drop(db, key):
        db.execute("UPDATE cohorts SET judged = '', touched = touched + 1 WHERE id = ?", (cohort,))


def drop(db: sqlite3.Connection, key: int) -> int | None:
    """As `leave`, for a version whose next revision takes its place; its cohort."""
    found = db.execute("DELETE FROM repeatables WHERE document = ? RETURNING cohort", (key,)).fetchone()
    return found[0] if found else None


def cohorts(db: sqlite3.Connection, tenant: str, bucket: str, rule: str) -> list[Cohort]:
    """The cohorts of a bucket that have to be judged under `rule`, in the order they came up."""
    found = db.execute(
        "SELECT c.id, c.access, c.touched FROM cohorts c JOIN buckets b ON b.id = c.bucket"
        " WHERE b.tenant = ? AND b.name = ? AND c.judged <> ? ORDER BY c.id",
        (tenant, bucket, rule),
    ).fetchall()
    return [Cohort(number, codec.load_access(access), touched) for number, access, touched in found]


def cohort(db: sqlite3.Connection, tenant: str, bucket: str, access: Access) -> Cohort | None:
    """The cohort of one access rule."""
    found = db.execute(
        "SELECT c.id, c.touched FROM cohorts c JOIN buckets b ON b.id = c.bucket"
        " WHERE b.tenant = ? AND b.name = ? AND c.access = ?",
        (tenant, bucket, codec.dump_access(access)),
    ).fetchone()
    return Cohort(found[0], access, found[1]) if found else None


def texts(db: sqlite3.Connection, cohort: int) -> CohortTexts:
    """What the documents of a cohort may have in common."""
    known = []
    unknown = []
    for row in db.execute(
        "SELECT r.document, s.uri, r.series, r.total, r.repeated, r.content FROM repeatables r"
        " JOIN documents d ON d.key = r.document JOIN sources s ON s.id = d.source WHERE r.cohort = ?"
        " ORDER BY r.document",
        (cohort,),
    ):
        if row[5] is None:
            unknown.append(row[0])
        else:
            known.append(row)
    keys, uris, series, totals, repeated, contents = zip(*known, strict=True) if known else ((),) * 6
    sizes = np.fromiter(map(len, contents), np.int64, len(contents)) // _TEXT.itemsize
    found = np.frombuffer(b"".join(contents), _TEXT)
    return CohortTexts(
        keys=np.array(keys, np.int64),
        uris=uris,
        series=series,
        totals=np.array(totals, np.int64),
        repeated=repeated,
        documents=np.repeat(np.arange(len(contents)), sizes),
        digests=found["digest"].astype(np.uint64),
        sizes=found["size"].astype(np.int64),
        unknown=tuple(unknown),
    )


def repeatable(db: sqlite3.Connection, key: int) -> Repeatable:
    """What of a current version may repeat; `total` is -1 where nobody has looked."""
    total, flagged, content, repeated = db.execute(
        "SELECT total, flagged, content, repeated FROM repeatables WHERE document = ?", (key,)
    ).fetchone()
    found = np.frombuffer(content or b"", _TEXT)
    return Repeatable(
        digests=found["digest"].astype(np.uint64),
        blocks=found["block"].astype(np.int64),
        sizes=found["size"].astype(np.int64),
        total=-1 if content is None else total,
        repeated=np.frombuffer(repeated, "<u8").astype(np.uint64),
        flagged=flagged,
    )


def flagged(db: sqlite3.Connection, numbers: Sequence[int]) -> tuple[int, int]:
    """Documents with blocks flagged for repeating, and such blocks, of the cohorts `numbers`."""
    documents = blocks = 0
    for number in dict.fromkeys(numbers):
        held, sums = db.execute(
            "SELECT count(*), coalesce(sum(flagged), 0) FROM repeatables WHERE cohort = ? AND flagged > 0", (number,)
        ).fetchone()
        documents += held
        blocks += sums
    return documents, blocks


def touched(db: sqlite3.Connection, cohort: Cohort) -> bool:
    """Whether a document joined or left since `cohort` was asked for."""
    found = db.execute("SELECT touched FROM cohorts WHERE id = ?", (cohort.number,)).fetchone()
    return found is None or found[0] != cohort.touched


def judged(db: sqlite3.Connection, cohorts: Sequence[Cohort], rule: str) -> list[Cohort]:
    """Note the rule that cohorts were judged under; those touched since, as they are now. Empty ones are forgotten."""
    left = []
    for cohort in cohorts:
        found = db.execute("SELECT touched FROM cohorts WHERE id = ?", (cohort.number,)).fetchone()
        if found and found[0] != cohort.touched:
            left.append(replace(cohort, touched=found[0]))
        else:
            db.execute("UPDATE cohorts SET judged = ? WHERE id = ?", (rule, cohort.number))
            db.execute(
                "DELETE FROM cohorts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM repeatables WHERE cohort = ?1)",
                (cohort.number,),
            )
    return left


def problems(db: sqlite3.Connection) -> list[str]:
    """What does not hang together."""
    return [
        f"document {key} is in no cohort, or in the wrong one"
        for (key,) in db.execute(
            "SELECT d.key FROM documents d JOIN sources s ON s.id = d.source LEFT JOIN repeatables r"
            " ON r.document = d.key LEFT JOIN cohorts c ON c.id = r.cohort WHERE (d.valid_to IS NULL) <>"
            " (c.id IS NOT NULL) OR c.access <> d.access OR c.bucket <> s.bucket"
        )
    ]


def _packed(digests: Digests) -> bytes:
    return digests.astype("<u8").tobytes()
