"""The nouns of Citewell: one stage, one type (design §1).

    Source -read-> Document -split-> Node -index-> (rows)
    Query -search-> Hit -pack-> Evidence -write-> Draft -judge-> Answer

All are frozen, slotted dataclasses of plain values, so importing them loads neither numpy nor pydantic.
"""

from citewell.types.access import EVERYONE, Access, Principal
from citewell.types.accounts import Account, Reason, Tally, count_characters
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
    Asset,
    Block,
    BlockKind,
    Cell,
    Document,
    DocumentRef,
    Metadata,
    Node,
    Scalar,
    Source,
    Value,
    account_of,
    content_hash,
    document_id,
    node_id,
)
from citewell.types.filters import Filter, matches, parse_filter
from citewell.types.locate import locate
from citewell.types.places import Link, Place, Region, Span, TextLine
from citewell.types.queries import Found, Hit, Query

__all__ = [
    "EVERYONE",
    "AbstainReason",
    "Access",
    "Account",
    "Answer",
    "Asset",
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
    "Link",
    "Mark",
    "Metadata",
    "Node",
    "Outcome",
    "Place",
    "Principal",
    "Query",
    "Reason",
    "Region",
    "Scalar",
    "Source",
    "Span",
    "Statement",
    "Tally",
    "TextLine",
    "Usage",
    "Value",
    "Verdict",
    "account_of",
    "content_hash",
    "count_characters",
    "document_id",
    "locate",
    "matches",
    "node_id",
    "parse_filter",
]
