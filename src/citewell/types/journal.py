"""The rule that chains a run's journal: canonical JSON, and a hash that ties each entry to the one before.

It stands with the nouns because two siblings need it and may not import each other: a store seals what it appends,
`citewell.audit` checks what it is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

CHAIN = "chain"
"""The key under which a journal entry carries its seal: `seq` from 1, `at`, `prev` and `hash`."""

GENESIS = "0" * 64
"""What the first entry of a run has in place of the hash of the one before."""


def canonical(entry: Mapping[str, object]) -> str:
    """`entry` as JSON in ASCII with sorted keys and no spaces; equal entries give equal text.

    Raises TypeError or ValueError when it is not JSON-able (NaN and infinities are not).
    """
    # Twice, because keys that are not text become text on the way and must be sorted as such: what is read back
    # has to give the same text again.
    plain = json.loads(json.dumps(entry, allow_nan=False))
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal(run_id: str, seq: int, at: str, previous: str, payload: str) -> str:
    """SHA-256 in hex over run, place, time, the previous entry's hash and the canonical payload."""
    sealed = json.dumps([run_id, seq, at, previous, payload], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(sealed.encode("ascii")).hexdigest()
