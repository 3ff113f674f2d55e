"""Whether a run's journal is the one that was written: each entry's seal covers the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citewell.types.journal import CHAIN, GENESIS, canonical, seal


def verify_chain(run_id: str, entries: Sequence[Mapping[str, object]], *, head: str | None = None) -> list[str]:
    """What is wrong with the journal of `run_id` as `Store.run` returns it; empty when nothing is.

    A changed, moved, added or dropped entry is found wherever it stands, save for entries dropped from the end: those
    show only against `head`, the hash of the last entry as it was noted elsewhere.
    """
    problems = []
    previous = GENESIS
    for place, entry in enumerate(entries, 1):
        link = entry.get(CHAIN)
        if not isinstance(link, Mapping):
            problems.append(f"Entry {place} of run {run_id} carries no seal.")
            continue
        if link.get("seq") != place:
            problems.append(
                f"Entry {place} of run {run_id} is numbered {link.get('seq')}: entries are missing or moved."
            )
        if link.get("prev") != previous:
            problems.append(f"Entry {place} of run {run_id} does not follow the one before it.")
        payload = canonical({key: value for key, value in entry.items() if key != CHAIN})
        if link.get("hash") != seal(run_id, place, str(link.get("at")), str(link.get("prev")), payload):
            problems.append(f"Entry {place} of run {run_id} was altered after it was written.")
        previous = str(link.get("hash"))
    if head is not None and previous != head:
        problems.append(f"Run {run_id} ends in {previous}, not in {head} as noted: entries were cut off or added.")
    return problems
