"""The nouns of Citewell: one stage, one type (design §1).

    Source -read-> Document -split-> Node -index-> (rows)
    Query -search-> Hit -pack-> Evidence -write-> Draft -judge-> Answer

All are frozen, slotted dataclasses of plain values, so importing them loads neither numpy nor pydantic.
"""

from citewell.types.access import EVERYONE, Access, Principal
from citewell.types.answers import (
    AbstainReason,
    Answer,
    Citation,
    Claim,
    Conflict,
    Draft,
    Dropped,
    Evidence,
    Mark,
    Outcome,
    Statement,
    Usage,
    Verdict,
)
from citewell.types.documents import (
    Block,
    BlockKind,
    Cell,
    Document,
    DocumentRef,
    Metadata,
    Node,
    Region,
    Scalar,
    Source,
    Span,
    Value,
    content_hash,
    document_id,
    node_id,
)
from citewell.types.filters import Filter, matches, parse_filter
from citewell.types.queries import Found, Hit, Query

__all__ = [
    "EVERYONE",
    "AbstainReason",
    "Access",
    "Answer",
    "Block",
    "BlockKind",
    "Cell",
    "Citation",
    "Claim",
    "Conflict",
    "Document",
    "DocumentRef",
    "Draft",
    "Dropped",
    "Evidence",
    "Filter",
    "Found",
    "Hit",
    "Mark",
    "Metadata",
    "Node",
    "Outcome",
    "Principal",
    "Query",
    "Region",
    "Scalar",
    "Source",
    "Span",
    "Statement",
    "Usage",
    "Value",
    "Verdict",
    "content_hash",
    "document_id",
    "matches",
    "node_id",
    "parse_filter",
]
