"""What reading one document may take, and what is said of a file that is too much."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from citewell.errors import ReadError

MAX_BYTES: Final = 50_000_000
"""The largest source that is read, unless the caller says otherwise."""

INLINE_BYTES: Final = 1_000_000
"""The largest plain text that is read in this process; one search in it holds the interpreter for some milliseconds."""

MAX_CELLS: Final = 1_000_000
"""How many places the tables of one document may have, those that merged cells cover included."""

MAX_PAGES: Final = 5_000
"""The pages of a PDF or of a picture that has several."""

MAX_PIXELS: Final = 64_000_000
"""Of one page of a picture that is a source by itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may take of a worker with all its children, and how many workers there are.

    `timeout_s` of wall time and `cpu_s` of CPU time of all cores together, or what its reader asks for (see
    `allowance`), which is at most `longest_s` in all, with CPU time in the same proportion; `memory_bytes` of resident
    memory; `output_bytes` of answer, images and attachments included; `open_files` and `processes` at a time.
    `workers` documents are read at once, and a worker is replaced after `documents_per_worker` of them.
    """

    timeout_s: float = 60.0
    longest_s: float = 1800.0
    cpu_s: float = 120.0
    memory_bytes: int = 768 << 20
    output_bytes: int = 256 << 20
    open_files: int = 64
    processes: int = 32
    workers: int = max(2, min(8, os.cpu_count() or 2))
    documents_per_worker: int = 200


def over(
    holder: str, found: int, unit: str, limit: int, remedy: str = "Split it.", *, setting: str = "", seen: bool = False
) -> ReadError:
    """limit_exceeded: `holder` has `found` of something (`unit`, in the plural), where `limit` are the most.

    `setting` is that under `[reading]` which says so, where there is one: it can be raised, besides the `remedy`.
    `seen` is for what was counted only until it was too much.
    """
    least = "at least " if seen else ""
    named, raised = (f"reading.{setting} ", ", or raise the limit.") if setting else ("", ".")
    said = f"{holder} has {least}{found:,} {unit}; the limit {named}is {limit:,}. {remedy.removesuffix('.')}{raised}"
    return ReadError("limit_exceeded", said)
