"""Broken files are read or refused with a kind: nothing hangs, nothing breaks the reading of the next file."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from format_samples import samples
from mutations import mutated

from citewell.errors import ReadError
from citewell.reading.readers import Readers, default_factories
from citewell.types import Source

FORMATS = sorted(samples())
LONG = int(os.environ.get("CITEWELL_MUTATIONS", "400"))
GROWTH_BYTES = 256 << 20


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    made = Readers(default_factories(timeout_s=30.0, longest_s=60.0))
    yield made
    made.close()


def resident() -> int:
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("cases", [6, pytest.param(LONG, marks=pytest.mark.long)])
def test_mutated_file_is_read_or_refused_in_time_and_memory(readers: Readers, suffix: str, cases: int) -> None:
    whole = Source(f"whole.{suffix}", samples()[suffix])
    expected = None
    if suffix != "png":  # what is read of a picture depends on the extras installed
        expected = readers.read(whole)
    before = resident()
    for seed in range(cases):
        source = Source(f"seed-{seed}.{suffix}", mutated(whole.content, seed))
        failure = None
        try:
            assert readers.read(source).text.strip()
        except ReadError as error:
            failure = error
        if failure is not None:
            assert failure.kind in ReadError.KINDS
            assert not re.search("took longer than|of CPU time", str(failure)), (seed, str(failure))
    assert resident() - before < GROWTH_BYTES
    if expected is not None:
        assert readers.read(whole) == expected
