"""What is said of a file that is too much: what of it, how much that is, what the limit is, and what to do."""

from __future__ import annotations

from citewell.errors import ReadError


def over(
    holder: str, found: int, unit: str, limit: int, remedy: str = "Split it.", *, setting: str = "", seen: bool = False
) -> ReadError:
    """limit_exceeded: `holder` has `found` of something (`unit`, in the plural), where `limit` are the most.

    `setting` is the option that says so, where there is one. `seen` is for what was counted only until it was too much.
    """
    least = "at least " if seen else ""
    named = f"{setting} " if setting else ""
    return ReadError("limit_exceeded", f"{holder} has {least}{found:,} {unit}; the limit {named}is {limit:,}. {remedy}")
