"""What the tests of the flows share: settings, and how two worlds are compared."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from citewell.config import EmbeddingSettings, Settings
from citewell.types import Access, Principal, Source

SETTINGS = Settings(embedding=EmbeddingSettings("hashing"))

CLOCKS = {"run_id", "sequence", "row", "ingested_at", "updated_at"}
"""Ids of runs, times, and the numbers that commits and rows get as they come: a clock of the whole knowledge base."""


def clock_free(value: object) -> object:
    """`value` with everything but clocks, as plain tuples that compare to the last bit."""
    if is_dataclass(value):
        return tuple(
            (field.name, clock_free(getattr(value, field.name))) for field in fields(value) if field.name not in CLOCKS
        )
    if isinstance(value, dict):
        return tuple((key, clock_free(held)) for key, held in value.items())
    if isinstance(value, list | tuple):
        return tuple(clock_free(one) for one in value)
    return value


async def fail_with(engine, uri: str, content: bytes, access: Access, principal: Principal) -> None:
    """Make `uri` a source that failed."""
    report = await engine.ingest_sources([Source(uri, content, access=access)], principal=principal)
    assert [one.outcome for one in report.sources] == ["failed"]
