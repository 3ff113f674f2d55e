"""The engine: everything Citewell does, as async methods over assembled parts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from citewell.errors import CitewellError, ConfigError, ModelUnavailable, NotFound
from citewell.reading.limits import MAX_BYTES
from citewell.types import Access, Answer, Block, DocumentRef, Hit, Outcome, Principal, Query, Source, parse_filter

if TYPE_CHECKING:
    from types import TracebackType

    from citewell.audit.account import Account
    from citewell.flows.describing import Pictures
    from citewell.flows.ingest import Requested
    from citewell.flows.ingest_report import Ingested, IngestReport
    from citewell.flows.stages import Stages
    from citewell.protocols import (
        Contents,
        Embedder,
        Index,
        Reader,
        Retriever,
        RunRecord,
        SourceState,
        Splitter,
        Store,
        Validator,
        Writer,
    )
    from citewell.splitting.repeats import Repeats
    from citewell.types import Citation, Region
    from citewell.workflow import WorkflowHandler

MAX_QUERY_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class BucketStatus:
    """One bucket as its reader sees it: sources by state, nodes of the active ones."""

    name: str
    active: int
    failed: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Status:
    """What a knowledge base holds for one principal, and who built it. `sequence` counts its commits.

    `outdated` of the documents were read by a reader that has changed since; ingesting them again reads them anew.
    """

    sequence: int
    outdated: int
    buckets: tuple[BucketStatus, ...]
    identity: Mapping[str, str]
    writer: str
    retriever: str


class Engine:
    """A knowledge base: ingest, search, ask, explain. Made by `citewell.config.assemble`.

    Every method that reads or writes acts for a `principal`. In a library session the engine has one of its own, the
    single user; an engine without one (a server's) raises ConfigError on every call that names none.
    """

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        reader: Reader,
        splitter: Splitter,
        embedder: Embedder,
        terms: Callable[[str], Mapping[str, int]],
        retriever: Retriever,
        writer: Writer,
        validator: Validator,
        repeats: Repeats | None = None,
        evidence: int = 8,
        budget_tokens: int = 2000,
        max_bytes: int = MAX_BYTES,
        pictures: Pictures | None = None,
        principal: Principal | None = None,
        closing: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.store = store
        self.index = index
        self.reader = reader
        self.splitter = splitter
        self.embedder = embedder
        self.terms = terms
        self.retriever = retriever
        self.writer = writer
        self.validator = validator
        self.repeats = repeats
        self.evidence = evidence
        self.budget_tokens = budget_tokens
        self.max_bytes = max_bytes
        self.pictures = pictures
        self.principal = principal
        self._closing = closing
        self._closed = False

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ingest(
        self,
        *places: str,
        bucket: str = "default",
        access: Access | None = None,
        metadata: Mapping[str, Any] | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        mirror: bool = False,
        on_done: Callable[[Ingested], None] | None = None,
        principal: Principal | None = None,
    ) -> IngestReport:
        """Read files and folders into `bucket`; what has not changed is left alone. See `IngestReport`.

        `access` (default: everyone of the tenant) and `metadata` hold for every source, unless a folder's
        `citewell-rules.toml` says otherwise. `include` and `exclude` are globs on paths. With `mirror`, what the
        bucket holds beyond the places given is deleted, unless one of them could not be listed. `on_done` is called
        from the event loop for each source as it is finished. Raises ConfigError before anything is written.
        """
        from citewell.flows.ingest import Requested
        from citewell.reading.folder import find

        who = self._who(principal)
        if not places:
            raise ConfigError("Nothing to ingest: name at least one file or folder.")
        sources = find(
            places,
            bucket=_bucket(bucket),
            tenant=who.tenant,
            access=_access(access or Access.everyone(), "access"),
            metadata=_metadata(metadata, "metadata"),
            include=include,
            exclude=exclude,
            max_bytes=self.max_bytes,
        )
        return await self._ingest(sources, Requested(places, bucket, mirror), on_done, who)

    async def ingest_sources(
        self,
        sources: Iterable[Source],
        *,
        bucket: str = "default",
        on_done: Callable[[Ingested], None] | None = None,
        principal: Principal | None = None,
    ) -> IngestReport:
        """Ingest sources from anywhere (a connector, a data set), taken from the iterable batch by batch.

        Each must belong to `bucket` and to the principal's tenant, and its access rule and metadata must be such as
        `ingest` takes; ConfigError otherwise, when its turn comes. What was finished until then stays.
        """
        from citewell.flows.ingest import Requested

        who = self._who(principal)
        name = _bucket(bucket)

        def checked() -> Iterator[Source]:
            for source in sources:
                if (source.tenant, source.bucket) != (who.tenant, name):
                    raise ConfigError(
                        f"{source.uri} belongs to {source.tenant}/{source.bucket}, not {who.tenant}/{name}."
                    )
                yield _checked(source)

        return await self._ingest(checked(), Requested(("sources",), name, False), on_done, who)

    async def ingest_bytes(
        self,
        content: bytes,
        *,
        uri: str,
        bucket: str = "default",
        media_type: str | None = None,
        access: Access | None = None,
        metadata: Mapping[str, Any] | None = None,
        principal: Principal | None = None,
    ) -> IngestReport:
        """Ingest one document from memory under the name `uri`; the same name again makes its next version."""
        who = self._who(principal)
        source = Source(
            uri=uri,
            content=content,
            tenant=who.tenant,
            bucket=_bucket(bucket),
            media_type=media_type,
            access=access or Access.everyone(),
            metadata=metadata or {},
        )
        return await self.ingest_sources([_checked(source)], bucket=bucket, principal=who)

    async def ingest_text(
        self,
        text: str,
        *,
        uri: str,
        bucket: str = "default",
        media_type: str = "text/markdown",
        access: Access | None = None,
        metadata: Mapping[str, Any] | None = None,
        principal: Principal | None = None,
    ) -> IngestReport:
        """Ingest one text from memory under the name `uri`; read as Markdown unless `media_type` says otherwise."""
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"{uri}: character {error.start} of the text is half a character ({text[error.start]!a}), which no "
                "file can hold. Decode the source anew, or pass its bytes to ingest_bytes."
            ) from error
        return await self.ingest_bytes(
            content,
            uri=uri,
            bucket=bucket,
            media_type=media_type,
            access=access,
            metadata=metadata,
            principal=principal,
        )

    async def _ingest(
        self,
        sources: Iterator[Any],
        request: Requested,
        on_done: Callable[[Ingested], None] | None,
        who: Principal,
    ) -> IngestReport:
        from citewell.flows.ingest import Ingestion
        from citewell.flows.ingest_report import IngestReport
        from citewell.flows.journal import StoreJournal
        from citewell.workflow import launch

        flow = Ingestion(self._stages(), sources, principal=who, on_done=on_done)
        summary = f"ingest {' '.join(request.places)} into {request.bucket}"
        journal = StoreJournal(self.store, who, summary)
        report = await _result(launch(flow, request, run_id=_new_run_id(), journal=journal, timeout_s=None))
        assert isinstance(report, IngestReport)
        return report

    def _stages(self) -> Stages:
        from citewell.flows.stages import Stages

        return Stages(
            self.store,
            self.reader,
            self.splitter,
            self.embedder,
            self.terms,
            repeats=self.repeats,
            pictures=self.pictures,
        )

    async def search(
        self,
        text: str,
        *,
        bucket: str | Sequence[str] | None = None,
        limit: int = 10,
        where: object = None,
        as_of: int | None = None,
        principal: Principal | None = None,
    ) -> list[Hit]:
        """The best hits, best first. `where` is a filter as mapping or text; `as_of` a sequence number of the past.

        Raises FilterError and ConfigError for what cannot be understood; nothing is then searched.
        """
        query = _query(text, bucket, limit, where, as_of)
        view = await self.index.view(query, self._who(principal))
        return await view.hits(await self.retriever.search(query, view, limit), limit)

    async def ask(
        self,
        question: str,
        *,
        bucket: str | Sequence[str] | None = None,
        where: object = None,
        as_of: int | None = None,
        principal: Principal | None = None,
    ) -> Answer:
        """The answer with its judged claims; `answer.run_id` names the journal that explains it (see `explain`).

        A model that cannot be reached makes an answer with outcome `failed`. Raises FilterError and ConfigError.
        """
        from citewell.flows.answer import Answering, Asked
        from citewell.flows.journal import StoreJournal
        from citewell.workflow import launch

        who = self._who(principal)
        query = _query(question, bucket, 10, where, as_of)
        flow = Answering(
            store=self.store,
            index=self.index,
            retriever=self.retriever,
            writer=self.writer,
            validator=self.validator,
            evidence=self.evidence,
            budget_tokens=self.budget_tokens,
        )
        run_id = _new_run_id()
        try:
            answer = await _result(
                launch(
                    flow,
                    Asked(who, query),
                    run_id=run_id,
                    journal=StoreJournal(self.store, who, question),
                    timeout_s=None,
                )
            )
        except ModelUnavailable as error:
            return Answer(question, Outcome.FAILED, "", message=str(error), run_id=run_id)
        assert isinstance(answer, Answer)
        return replace(answer, run_id=run_id)

    async def explain(self, run_id: str, *, principal: Principal | None = None) -> Account:
        """Every step of a run: inputs, outputs, scores, timings, and the exact text a writer was shown.

        A beginning of the id will do where only one run has it. Raises NotFound.
        """
        from citewell.audit.account import Account

        record, entries = await self.store.run(run_id, self._who(principal))
        return Account.of(record, entries)

    async def runs(self, *, limit: int = 20, principal: Principal | None = None) -> list[RunRecord]:
        """The latest runs of the principal, newest first."""
        return await self.store.runs(self._who(principal), limit)

    async def documents(self, *, bucket: str | None = None, principal: Principal | None = None) -> list[SourceState]:
        """The sources the principal may read, with their readiness, by bucket and uri. Deleted ones are left out."""
        states = await self.store.sources(self._who(principal), bucket)
        return [state for state in states if state.state != "deleted"]

    async def document(
        self, document_id: str, *, principal: Principal | None = None
    ) -> tuple[DocumentRef, str, tuple[Block, ...]]:
        """One document version with its text and blocks. Raises NotFound, the same for hidden and absent."""
        return await self.store.document(document_id, self._who(principal))

    async def contents(self, document_id: str, *, principal: Principal | None = None) -> Contents:
        """What is kept of one document version beside text and blocks: account, images with their bytes, warnings.

        Raises NotFound, the same for hidden and absent.
        """
        return await self.store.contents(document_id, self._who(principal))

    async def locate(self, citation: Citation, *, principal: Principal | None = None) -> tuple[Region, ...]:
        """The pages and boxes of what a citation quotes, for a highlight; empty where its format has no pages.

        Raises NotFound when the document was deleted or may not be read any more.
        """
        from citewell.types import locate

        _, _, blocks = await self.store.document(citation.document.id, self._who(principal))
        return locate(blocks, citation.span)

    async def delete(
        self, *uris: str, bucket: str = "default", principal: Principal | None = None
    ) -> list[SourceState]:
        """Delete documents with all their versions, at once and for everyone; what was deleted.

        Raises NotFound, before anything is deleted, when one of `uris` is not there for this principal.
        """
        from citewell.flows.repeats import Cohorts

        who = self._who(principal)
        known = {state.uri for state in await self.documents(bucket=bucket, principal=who)}
        if missing := [uri for uri in uris if uri not in known]:
            raise NotFound(
                f"No document {missing[0]!r} in bucket {bucket!r}. See `citewell documents --bucket {bucket}`."
            )
        deleted = await self.store.delete(uris, bucket=bucket, principal=who)
        await self.index.refresh()  # nothing of what was deleted may stay in derived files
        # What repeated only with what is gone can be found again. Where that fails, the next ingestion makes it good.
        with suppress(CitewellError):
            await Cohorts(self._stages(), who.tenant, bucket).settle(who)
        return deleted

    async def status(self, *, principal: Principal | None = None) -> Status:
        """What the knowledge base holds for the principal."""
        counts: dict[str, list[int]] = {}
        outdated = 0
        # A dispatcher's identity, `readers@1(a b)`, names those inside.
        readers = {self.reader.identity, *self.reader.identity.partition("(")[2].removesuffix(")").split()}
        for state in await self.documents(principal=principal):
            outdated += state.document is not None and state.reader not in readers
            bucket = counts.setdefault(state.bucket, [0, 0, 0])
            bucket[0] += state.document is not None
            bucket[1] += state.state == "failed"
            bucket[2] += state.nodes
        return Status(
            sequence=await self.store.sequence(),
            outdated=outdated,
            buckets=tuple(BucketStatus(name, *numbers) for name, numbers in sorted(counts.items())),
            identity=dict(self.store.identity),
            writer=self.writer.name,
            retriever=self.retriever.name,
        )

    async def close(self) -> None:
        """Release files and worker processes; twice does no harm. The engine raises StoreError when used afterwards."""
        if self._closed:
            return
        self._closed = True
        async with AsyncExitStack() as stack:  # what fails to close must not keep the others open
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.index.close)
            for release in self._closing:
                stack.callback(release)

    def _who(self, principal: Principal | None) -> Principal:
        who = self.principal if principal is None else principal
        if who is None:
            raise ConfigError("This engine serves many users: pass `principal=` to say who asks.")
        if not isinstance(who, Principal):
            raise ConfigError(f"{who!r} is no Principal: say who asks by tenant, user and groups.")
        return who


async def _result(run: WorkflowHandler) -> Any:
    """What a run ends with, or the error that ended it.

    A caller who is cancelled takes the run along, and waits until its steps have cleaned up.
    """
    from citewell.workflow import JournalFailed

    try:
        return await run
    except asyncio.CancelledError:
        run.cancel()
        with suppress(Exception):
            await run
        raise
    except JournalFailed as failure:
        if isinstance(failure.__cause__, CitewellError):
            raise failure.__cause__ from failure
        raise


def _new_run_id() -> str:
    return uuid.uuid4().hex


def _bucket(name: str) -> str:
    named = isinstance(name, str) and name.isprintable() and name == name.strip()
    if not named or not 1 <= len(name) <= 100:
        raise ConfigError(f"{name!r} is no bucket name: 1 to 100 printable characters without spaces around.")
    return name


def _checked(source: Source) -> Source:
    """`source` as it can be stored. Raises ConfigError with its uri."""
    uri, content = source.uri, source.content
    if not isinstance(uri, str) or not uri.strip():
        raise ConfigError("A document needs a uri: the name under which answers will cite it.")
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{uri!a} holds half characters. Percent-encode them (RFC 3986).") from error
    if not isinstance(content, bytes):
        raise ConfigError(f"The content of {uri} is a {type(content).__name__}; give bytes, or use ingest_text.")
    metadata = _metadata(source.metadata, f"metadata of {uri}")
    return replace(source, access=_access(source.access, f"access of {uri}"), metadata=metadata)


def _access(given: Access, where: str) -> Access:
    # A misspelt name in `deny` would let in whom it was meant to keep out.
    from citewell.reading.metadata import check_names

    return Access(check_names(given.allow, f"{where}: allow"), check_names(given.deny, f"{where}: deny"))


def _metadata(given: Mapping[str, Any] | None, where: str) -> Mapping[str, Any]:
    from citewell.reading.metadata import check_metadata

    return check_metadata(given, where) if given else {}


def _query(text: str, bucket: str | Sequence[str] | None, limit: int, where: object, as_of: int | None) -> Query:
    if not isinstance(text, str):
        raise ConfigError(f"A question is a text, not a {type(text).__name__}.")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise ConfigError(f"The question has {len(text):,} characters; at most {MAX_QUERY_CHARACTERS:,} can be asked.")
    if not isinstance(limit, int) or not 1 <= limit <= 1000:
        raise ConfigError(f"limit is {limit!r}; it must be a whole number between 1 and 1000.")
    if as_of is not None and not isinstance(as_of, int):
        raise ConfigError(f"as_of is {as_of!r}; it must be the number of a commit.")
    if bucket is None:
        buckets: tuple[str, ...] = ()
    else:
        buckets = (bucket,) if isinstance(bucket, str) else tuple(bucket)
        # No bucket left is what a caller gets who crosses out all that somebody may search: it must not mean "all".
        if not buckets:
            raise ConfigError("The list of buckets is empty. Name at least one, or None for all that may be read.")
        if bad := [name for name in buckets if not isinstance(name, str)]:
            raise ConfigError(f"{bad[0]!r} is no name of a bucket.")
    return Query(text=text, limit=limit, buckets=buckets, filter=parse_filter(where), as_of=as_of)
