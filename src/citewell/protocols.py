"""The verbs of Citewell, one Protocol each. Nothing has to be inherited; what wraps one of a kind is of that kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    Rows: TypeAlias = NDArray[np.int64]
    Scores: TypeAlias = NDArray[np.float64]
    Digests: TypeAlias = NDArray[np.uint64]

from citewell.types import (
    Access,
    Account,
    Asset,
    Block,
    Document,
    DocumentRef,
    Draft,
    Evidence,
    Hit,
    Metadata,
    Node,
    Principal,
    Query,
    Source,
    Span,
    Statement,
    Usage,
    Verdict,
)

Role: TypeAlias = Literal["query", "passage"]


class Reader(Protocol):
    """Bytes → document. `identity` (`markdown@1`) changes whenever the same bytes would read differently."""

    @property
    def identity(self) -> str: ...

    def read(self, source: Source) -> Document:
        """The document in `source`. Raises ReadError; never returns a document without text."""
        ...


class Tokenizer(Protocol):
    """What counts as a token."""

    def token_starts(self, text: str) -> Sequence[int]:
        """Character offsets at which the tokens of `text` start, ascending, without special tokens."""
        ...


class Splitter(Protocol):
    """Document → nodes, in order. `identity` changes whenever the same document would be split differently."""

    @property
    def identity(self) -> str: ...

    def split(self, document: Document) -> list[Node]:
        """Nodes of `document`; each verbatim one is a slice of its text, and none is over the size bound."""
        ...


class Transform(Protocol):
    """Nodes → nodes: drop, enrich or derive. Runs between splitting and indexing."""

    @property
    def identity(self) -> str: ...

    def apply(self, document: Document, nodes: Sequence[Node]) -> list[Node]:
        """The nodes to index instead of `nodes`."""
        ...


class Embedder(Tokenizer, Protocol):
    """Texts → unit vectors. `identity` changes whenever the vectors would."""

    @property
    def identity(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int:
        """How many tokens of a text count; what stands after them is not seen."""
        ...

    async def embed(self, texts: Sequence[str], *, role: Role) -> Vectors:
        """Unit vectors, float32, shape (len(texts), dimensions), in the order of `texts`.

        Raises ModelUnavailable once the model cannot be loaded or its endpoint kept failing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote, with the model's own name and the tokens its provider counted."""

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)


class Generator(Protocol):
    """Prompt → text, by a language model."""

    @property
    def identity(self) -> str: ...

    async def generate(self, system: str, prompt: str, *, max_tokens: int) -> Generation:
        """The model's whole answer. Raises ModelUnavailable; an empty answer is one too."""
        ...


class Describer(Protocol):
    """Picture → words, by a vision model. `identity` changes whenever the same picture would be described otherwise."""

    @property
    def identity(self) -> str: ...

    async def describe(self, image: bytes, media_type: str) -> str:
        """What the picture shows, in a few sentences; "" when nothing can be said. Raises ModelUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows and their scores, best first, ties by ascending row; arrays of equal length.

    `parts` says how each retriever inside saw each of the rows: name → (scores, ranks), where rank 0 stands for
    "scored, but outside this retriever's own pool".
    """

    rows: Rows
    scores: Scores
    parts: Mapping[str, tuple[Scores, NDArray[np.int64]]] = field(default_factory=dict)


class View(Protocol):
    """The index at one commit as one principal may see it under one filter: no other row can be reached through it."""

    @property
    def sequence(self) -> int:
        """The store's sequence number this view shows."""
        ...

    @property
    def size(self) -> int:
        """How many rows are visible."""
        ...

    def dense(self, vector: Vectors, limit: int) -> Ranking:
        """The `limit` visible rows with the highest inner product with `vector`, shape (dimensions,); exact."""
        ...

    def dense_scores(self, vector: Vectors, rows: Rows) -> Scores:
        """Inner products of `vector` with `rows`, in their order."""
        ...

    def lexical(self, text: str, limit: int) -> Ranking:
        """The best `limit` visible rows by BM25 over the terms of `text`; rows that hold none of them are left out."""
        ...

    def lexical_scores(self, text: str, rows: Rows) -> Scores:
        """BM25 scores of `rows` for `text`, in their order; 0 where no term occurs."""
        ...

    async def hits(self, ranking: Ranking, limit: int) -> list[Hit]:
        """The first `limit` rows as hits; a row whose document was deleted since is left out."""
        ...


class Retriever(Protocol):
    """Query → ranking. It can only see through the view it is given, so no filter can be ignored."""

    @property
    def name(self) -> str: ...

    async def search(self, query: Query, view: View, limit: int) -> Ranking:
        """The best `limit` rows."""
        ...

    async def score(self, query: Query, view: View, rows: Rows) -> Scores:
        """This retriever's score of each of `rows`, in their order, whether or not it would have found them."""
        ...


class Reranker(Protocol):
    """Hits → hits in a better order."""

    @property
    def name(self) -> str: ...

    async def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits, re-scored and re-ranked."""
        ...


class Writer(Protocol):
    """Question and evidence → draft. What it writes is unchecked until a Validator has judged it."""

    @property
    def name(self) -> str: ...

    async def write(self, question: str, evidence: Sequence[Evidence]) -> Draft:
        """A draft whose statements carry the numbers of the evidence they rest on. Raises ModelUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Grounds:
    """The part of an evidence on which a statement rests."""

    number: int
    span: Span


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a validator found of one statement: verdict, score in [0, 1], reasons, and the spans it rests on.

    `fabricated` are cited numbers that were never given.
    """

    statement: Statement
    verdict: Verdict
    score: float
    reasons: tuple[str, ...] = ()
    grounds: tuple[Grounds, ...] = ()
    fabricated: tuple[int, ...] = ()


class Validator(Protocol):
    """Draft and evidence → one judgement a statement, in order."""

    @property
    def name(self) -> str: ...

    async def judge(self, draft: Draft, evidence: Sequence[Evidence]) -> list[Judgement]: ...


@dataclass(frozen=True, slots=True)
class Repeatable:
    """The long texts of one document that may stand in others as well: arrays of equal length (k,), ascending blocks.

    `digests` of the texts, `blocks` their numbers among the document's blocks, `sizes` in characters. `total` are the
    characters of all that the document shows. `repeated` (r,) ascending are the digests that were known to repeat
    across documents when the flags of the blocks were set, and `flagged` is how many blocks were flagged for it.
    """

    digests: Digests
    blocks: Rows
    sizes: Rows
    total: int
    repeated: Digests
    flagged: int = 0


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything that becomes visible together when a source is read anew: one transaction, or nothing.

    `vectors` has one row a node; `terms` one mapping term → count a node; `embedder` names who made the vectors.
    `metadata` is the document's own merged with the source's (the source wins). `fingerprint` is kept with the source
    (see `SourceState`). `parts` are the uris of what is inside the source now (`URI!/…`): what was inside it before
    and is not any more is deleted with the same commit. None leaves all of it. `repeatable` is None where nobody has
    looked for it.
    """

    source: Source
    document: Document
    nodes: tuple[Node, ...]
    vectors: Vectors
    terms: tuple[Mapping[str, int], ...]
    metadata: Metadata
    fingerprint: str
    parts: frozenset[str] | None = None
    repeatable: Repeatable | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did with one version: its document, its number, and the sequence number that made it visible."""

    document: DocumentRef
    sequence: int
    replaced: str | None


@dataclass(frozen=True, slots=True)
class Cohort:
    """The current documents of one bucket under one access rule: whoever may read one of them may read all.

    `touched` changes whenever a document joins or leaves.
    """

    number: int
    access: Access
    touched: int


@dataclass(frozen=True, slots=True)
class CohortTexts:
    """What the n documents of a cohort may have in common, by ascending document key.

    `series` are "" where a document belongs to none. `totals` (n,) and `repeated` (n) are those of `Repeatable`.
    `documents`, `digests` and `sizes` (m,) are its texts one after the other; `documents` are places in `keys`.
    `unknown` are keys of further documents, in which nobody has looked yet.
    """

    keys: Rows
    uris: Sequence[str]
    series: Sequence[str]
    totals: Rows
    repeated: Sequence[bytes]
    documents: Rows
    digests: Digests
    sizes: Rows
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """What of a current document version, by its key, is flagged anew: other `repeatable`, and what follows from it.

    `version` is the same document with other flags, nodes, vectors, terms and account; None where they stay.
    """

    key: int
    repeatable: Repeatable
    version: NewVersion | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What the store keeps of one document version beside its text, blocks and nodes; `assets` with their bytes."""

    ref: DocumentRef
    reader: str
    sha256: str
    pages: int | None
    warnings: tuple[str, ...]
    account: Account
    assets: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the store knows of one uri: readiness (`active`, `failed`, `deleted`), the bytes' hash and the document.

    `fingerprint` covers bytes, access rule, metadata and the parts that read and split: an equal one means that
    nothing has to be done. `reader` is the identity of the reader that made the document ("" where there is none).
    """

    uri: str
    bucket: str
    state: str
    fingerprint: str
    document: DocumentRef | None
    nodes: int
    error_kind: str | None = None
    error: str | None = None
    updated_at: str = ""
    reader: str = ""


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One document version as the visibility mask needs it. Valid for sequence numbers [valid_from, valid_to)."""

    key: int
    tenant: str
    bucket: str
    access: Access
    ref: DocumentRef
    valid_from: int
    valid_to: int | None


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Index rows in ascending order: `rows` (k,), `document_keys` (k,), `lengths` (k,) in terms, `pages` (k,) or 0,
    `kinds` (k), `sections` (k), `vectors` (k, dimensions), and postings as parallel arrays `posting_rows`,
    `posting_terms`, `posting_counts` (m,). Rows of deleted documents are missing.
    """

    rows: Rows
    document_keys: Rows
    lengths: Rows
    pages: Rows
    kinds: Sequence[str]
    sections: Sequence[str]
    vectors: Vectors
    posting_rows: Rows
    posting_terms: Rows
    posting_counts: Rows


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as listed: times in ISO 8601 UTC, `status` running, done or failed; `summary` is a line for people."""

    run_id: str
    flow: str
    principal: Principal
    status: str
    started_at: str
    ended_at: str | None
    summary: str


class Store(Protocol):
    """The one truth. Every write is one transaction; every read that shows content takes the principal.

    Methods that index and ingest use alone (`catalogue`, `rows`, `nodes`) do not take one: the visibility mask, which
    is made from `catalogue`, decides there.
    """

    @property
    def identity(self) -> Mapping[str, str]:
        """Who built this knowledge base: `embedder`, `dimensions`, `splitter`, `analyzer`; empty before `bind`."""
        ...

    async def bind(self, identity: Mapping[str, str]) -> None:
        """Record who builds this knowledge base, or raise IndexMismatch when it was built by another."""
        ...

    async def sequence(self) -> int:
        """The number of the last commit that changed what can be seen; also counts those of other processes."""
        ...

    async def commit(self, versions: Sequence[NewVersion]) -> list[Committed]:
        """Make all versions visible at once; each replaces the active one of its uri, still readable as of then."""
        ...

    async def fail(self, source: Source, kind: str, message: str) -> None:
        """Record that a source could not be read. An older version of it keeps answering."""
        ...

    async def delete(self, uris: Sequence[str], *, bucket: str, principal: Principal) -> list[SourceState]:
        """Remove documents with text, nodes, vectors and older versions, in one transaction; what was removed.

        What was found inside one of them (`URI!/…`) goes with it; an image goes with the last document that has it.
        """
        ...

    async def cohorts(self, tenant: str, bucket: str, rule: str) -> list[Cohort]:
        """The cohorts of a bucket that were not judged under `rule` since a document joined or left them."""
        ...

    async def cohort(self, tenant: str, bucket: str, access: Access) -> Cohort | None:
        """The cohort of the documents of a bucket that have this access rule, if there are any."""
        ...

    async def cohort_texts(self, number: int) -> CohortTexts:
        """What the documents of a cohort may have in common."""
        ...

    async def flagged(self, cohorts: Sequence[int]) -> tuple[int, int]:
        """How many documents of these cohorts have blocks flagged for repeating, and how many blocks those are."""
        ...

    async def revisable(self, keys: Sequence[int]) -> list[Revision]:
        """Those of `keys` that are current, as they are (without nodes), for flagging; `repeatable` of one that nobody
        looked through is empty, with `total` -1."""
        ...

    async def revise(self, cohort: Cohort, revisions: Sequence[Revision]) -> dict[int, str]:
        """Set other flags on current documents of a cohort, in one transaction; the uris of those done, by key.

        A version with other nodes keeps its number; the old nodes answer as of before. One that is not current any
        more is left out; all are where the cohort was touched since, because what repeats in it may be another thing.
        """
        ...

    async def judged(self, cohorts: Sequence[Cohort], rule: str) -> list[Cohort]:
        """Note that cohorts were judged under `rule`. Those touched since are not, and come back as they are now."""
        ...

    async def sources(self, principal: Principal, bucket: str | None = None) -> list[SourceState]:
        """All sources the principal may read, by bucket and uri."""
        ...

    async def source_states(self, tenant: str, bucket: str, uris: Sequence[str]) -> dict[str, SourceState]:
        """What is known of each of `uris`, for ingestion; unknown ones are left out."""
        ...

    async def document(self, document_id: str, principal: Principal) -> tuple[DocumentRef, str, tuple[Block, ...]]:
        """A document version with its text and blocks. Raises NotFound when absent or not readable."""
        ...

    async def contents(self, document_id: str, principal: Principal) -> Contents:
        """What is known of the same version beside text and blocks. Raises NotFound when absent or not readable."""
        ...

    async def parts(self, tenant: str, bucket: str, uris: Sequence[str]) -> dict[str, list[str]]:
        """For each of `uris` the uris of what was found inside it (`URI!/…`) and is not deleted; for ingestion."""
        ...

    async def vectors(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Stored vectors by content key (see `vector_key`); unknown keys are left out."""
        ...

    async def descriptions(self, assets: Sequence[str], by: str) -> dict[str, str]:
        """What the describer `by` said of images with these ids that are kept; "" where it had nothing to say.

        Those that it was not asked about are left out. They go when the last document that shows the image goes.
        """
        ...

    async def catalogue(self) -> list[CatalogueRow]:
        """All document versions that are not deleted."""
        ...

    async def rows(self, after: int, limit: int) -> RowBatch:
        """Up to `limit` index rows with a number above `after`."""
        ...

    async def term_ids(self, terms: Sequence[str]) -> dict[str, int]:
        """Ids of known terms."""
        ...

    async def nodes(self, rows: Sequence[int]) -> dict[int, tuple[Node, DocumentRef]]:
        """Nodes by row; rows deleted since are left out."""
        ...

    async def start_run(
        self,
        run_id: str,
        flow: str,
        principal: Principal,
        summary: str,
        entries: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Record a run and its first journal entries, in one transaction. StoreError when the id is taken."""
        ...

    async def append_events(self, run_id: str, entries: Sequence[Mapping[str, object]]) -> None:
        """Add JSON-able journal entries to a run, chained by hash; one transaction."""
        ...

    async def end_run(
        self, run_id: str, status: str, summary: str, entries: Sequence[Mapping[str, object]] = ()
    ) -> None:
        """Record the last journal entries of a run and how it ended, in one transaction."""
        ...

    async def run(self, run_id: str, principal: Principal) -> tuple[RunRecord, list[dict[str, object]]]:
        """A run with its journal. A prefix of the id will do when it is unique. Raises NotFound."""
        ...

    async def runs(self, principal: Principal, limit: int) -> list[RunRecord]:
        """The latest runs of this principal, newest first."""
        ...

    async def close(self) -> None: ...


class Index(Protocol):
    """Rows that can be searched; derived from the store and following it."""

    async def view(self, query: Query, principal: Principal) -> View:
        """What `principal` may see under the query's buckets, filter and as-of, at the store's current sequence."""
        ...

    async def refresh(self) -> object:
        """Follow the store now. After a deletion: remove what was deleted from the derived files too."""
        ...

    async def close(self) -> None:
        """Write down what makes the next opening fast. The index cannot be used afterwards."""
        ...


def vector_key(embedder: str, role: Role, text: str) -> bytes:
    """Content address of a vector: 32 bytes that change with the embedder, the role or the text."""
    import hashlib

    head = f"{embedder}\0{role}\0".encode()
    return hashlib.sha256(head + text.encode("utf-8", "surrogatepass")).digest()
