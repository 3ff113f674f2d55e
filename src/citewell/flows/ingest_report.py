"""What came of an ingestion, source by source."""

from __future__ import annotations

from dataclasses import dataclass, field

from citewell.flows.repeats import Repeated
from citewell.types import Account


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one source: `added`, `updated`, `unchanged`, `deleted` or `failed` (then `kind` and `message`)."""

    uri: str
    outcome: str
    document_id: str | None = None
    version: int | None = None
    nodes: int = 0
    characters: int = 0
    kind: str | None = None
    message: str | None = None
    warnings: tuple[str, ...] = ()
    account: Account | None = None
    """What was kept of it and what was not, where it was read by this run."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did, source by source, in the order of their uris.

    `mirror` tells the strategy that ran: false where mirroring was asked for and a place could not be listed, because
    then nothing was deleted. Of a uri given several times the last source counts, and it has one line. `repeated` tells
    what is flagged as boilerplate for repeating across documents.
    """

    run_id: str
    bucket: str
    mirror: bool
    sources: tuple[Ingested, ...]
    repeated: Repeated = field(default_factory=Repeated)

    def count(self, outcome: str) -> int:
        """How many sources had this outcome."""
        return sum(one.outcome == outcome for one in self.sources)

    @property
    def failed(self) -> tuple[Ingested, ...]:
        """The sources that could not be ingested."""
        return tuple(one for one in self.sources if one.outcome == "failed")

    @property
    def nodes(self) -> int:
        """Nodes written by this run."""
        return sum(one.nodes for one in self.sources if one.outcome in ("added", "updated"))

    @property
    def account(self) -> Account:
        """What was found, kept and left out of all that was added or updated, added up."""
        return sum((one.account for one in self.sources if one.account), Account())
