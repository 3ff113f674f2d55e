"""From places to searchable documents: find → read → split → describe → embed → commit, a batch at a time, one report.

A document becomes visible with its nodes, vectors, postings and access rule in one transaction, and its older version
answers until then. One source that cannot be read is a line in the report; the others go on.

What a source has inside it (the attachments of a mail) is ingested with it, under `URI!/NAME`: read, committed and
replaced together. A part that failed is tried again by the next run, though the outer source has not changed.

Who may not read a document may not replace it either: a source whose uri is taken by one of those fails with
`not_permitted`, whatever it holds, so the report tells that the name is taken and nothing else.

At the end of a run, texts that repeat across documents are flagged (`repeats.py`): what repeats is known only then.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from citewell.errors import NotFound, ReadError
from citewell.flows.describing import Describing
from citewell.flows.ingest_report import Ingested, IngestReport
from citewell.flows.repeats import Cohorts
from citewell.flows.stages import Pieces, Stages
from citewell.protocols import NewVersion, Repeatable, SourceState
from citewell.reading.attachments import JOINT, UNPACK
from citewell.reading.folder import Unreadable
from citewell.reading.limits import over
from citewell.reading.silent_picture import silent_picture
from citewell.types import Document, Metadata, Principal, Source, content_hash
from citewell.workflow import Context, PlainEvent, PlainStartEvent, PlainStopEvent, Workflow, step

if TYPE_CHECKING:
    from citewell.protocols import Vectors

__all__ = ["MAX_DEPTH", "MAX_PARTS", "MAX_PART_BYTES", "Ingestion", "Requested", "Stages"]

_LANES = 2
_READING = 8
"""Sources of one ingestion that are read at a time; most of them wait for a worker process."""
_BATCH_SOURCES = 32
_BATCH_BYTES = 4_000_000
_NO_SOURCE = ("missing", "not_permitted")
_SILENT = ("no_text", "unsupported_type")
_INCOMPLETE = "?"
"""Behind a fingerprint: it equals none, so that the next run reads the source anew and asks about its pictures."""
MAX_DEPTH = 3
"""How deep sources may lie inside each other: an archive in a mail in an archive is 2 deep."""
MAX_PARTS = 1_000
MAX_PART_BYTES = 256_000_000
"""Of all that is found inside one source, at any depth, together."""


@dataclass(frozen=True, slots=True)
class Requested(PlainStartEvent):
    """Places to ingest into one bucket, named for the record."""

    places: tuple[str, ...]
    bucket: str
    mirror: bool


@dataclass(frozen=True, slots=True)
class Pull(PlainEvent):
    """One lane is free: take the next batch."""

    lane: int


@dataclass(frozen=True, slots=True)
class BatchDone(PlainEvent):
    """What became of the sources of one batch; an empty one means that there are no more."""

    lane: int
    sources: tuple[Ingested, ...]


@dataclass(frozen=True, slots=True)
class Drained(PlainEvent):
    """One lane found nothing more to do."""

    lane: int


@dataclass(frozen=True, slots=True)
class Settled(PlainEvent):
    """All sources are in, and what is gone is out: `removed` by mirroring, if that was done (`mirrored`)."""

    mirrored: bool
    removed: tuple[Ingested, ...]


@dataclass(frozen=True, slots=True)
class Finished(PlainStopEvent):
    """The end of the run. `result` is the report."""

    result: IngestReport


@dataclass(slots=True)
class _Inside:
    """What was found inside one source so far, at any depth."""

    parts: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class _Work:
    """One source on its way through a batch; `depth` counts the sources around it.

    `known` is set when the store has it already and it is only read for what is inside it. `silent` is why a picture
    could not be read: it fails with this unless somebody says what it shows.
    """

    source: Source
    fingerprint: str
    depth: int = 0
    inside: _Inside = field(default_factory=_Inside)
    known: Ingested | None = None
    parts: tuple[Source, ...] = ()
    document: Document | None = None
    repeatable: Repeatable | None = None
    pieces: Pieces = field(default_factory=Pieces)
    error: ReadError | None = None
    silent: ReadError | None = None


class Ingestion(Workflow):
    """One ingestion of `sources`, which are taken one batch at a time, so that memory does not grow with the corpus.

    Two lanes work in turn: while one waits for the embedder, the other reads and splits. `on_done` is told of every
    source as it is finished. With `mirror`, sources of the bucket that were not found are deleted, unless any place
    could not be listed. What `principal` may not read is neither replaced nor deleted.
    """

    def __init__(
        self,
        stages: Stages,
        sources: Iterator[Source | Unreadable],
        *,
        principal: Principal,
        on_done: Callable[[Ingested], None] | None = None,
    ) -> None:
        self.stages = stages
        self.principal = principal
        self.on_done = on_done
        self._describing = Describing(stages.pictures, stages.store) if stages.pictures else None
        self._sources = sources
        self._taking = asyncio.Lock()
        self._landed = asyncio.Condition()
        self._flying: set[str] = set()
        self._done: dict[str, Ingested] = {}
        self._lost: list[Ingested] = []
        self._incomplete = False
        self._requested: Requested | None = None
        self._cohorts: Cohorts | None = None
        # Not the threads of the event loop: files that take long would hold all of them, and searches wait for one.
        self._reading = ThreadPoolExecutor(_READING, "citewell-reading")

    @step(inline=True)
    def begin(self, event: Requested) -> list[Pull]:
        """Open the lanes."""
        self._requested = event
        self._cohorts = Cohorts(self.stages, self.principal.tenant, event.bucket)
        return [Pull(lane) for lane in range(_LANES)]

    @step(num_workers=_LANES)
    async def batch(self, event: Pull) -> BatchDone:
        """Take a batch of sources through all stages."""
        assert self._requested is not None
        async with self._taking:
            taken = await asyncio.to_thread(self._take)
            uris = {one.uri for one in taken if isinstance(one, Source)}
            async with self._landed:
                # Versions of one document are made in the order given: a uri that the other lane has is waited for.
                await self._landed.wait_for(lambda: self._flying.isdisjoint(uris))
                self._flying |= uris
        try:
            done = await self._ingest(taken, self._requested.bucket)
        finally:
            async with self._landed:
                self._flying -= uris
                self._landed.notify_all()
        return BatchDone(event.lane, tuple(done))

    @step(inline=True)
    def next(self, event: BatchDone) -> Pull | Drained:
        """Go on until a batch was empty."""
        return Pull(event.lane) if event.sources else Drained(event.lane)

    @step(num_workers=1)
    async def settle(self, event: Drained, ctx: Context) -> Settled | None:
        """With `mirror`, the removal of what is gone."""
        if ctx.collect_events(event, {Drained: _LANES}) is None:
            return None
        assert self._requested is not None
        request = self._requested
        # A place that could not be listed would look like an empty one, and take its documents with it.
        mirrored = request.mirror and not self._incomplete
        removed = await self._remove_vanished(request.bucket) if mirrored else []
        return Settled(mirrored, tuple(removed))

    @step(num_workers=1)
    async def finish(self, event: Settled, ctx: Context) -> Finished:
        """What repeats across documents is flagged and what does not any more is not; then the report."""
        assert self._requested is not None
        assert self._cohorts is not None
        repeated = await self._cohorts.settle(self.principal)
        done = [
            replace(one, nodes=other.nodes, account=one.account and other.account)
            if (other := self._cohorts.revised.get(one.uri))
            else one
            for one in self._done.values()
        ]
        lines = sorted([*done, *self._lost, *event.removed], key=lambda one: one.uri)
        self._reading.shutdown(wait=False)
        bucket = self._requested.bucket
        return Finished(IngestReport(ctx.run_id, bucket, event.mirrored, tuple(lines), repeated))

    def _take(self) -> list[Source | Unreadable]:
        taken: list[Source | Unreadable] = []
        size = 0
        for one in self._sources:
            taken.append(one)
            size += len(one.content) if isinstance(one, Source) else 0
            if len(taken) >= _BATCH_SOURCES or size >= _BATCH_BYTES:
                break
        return taken

    async def _ingest(self, taken: Sequence[Source | Unreadable], bucket: str) -> list[Ingested]:
        done: list[Ingested] = []

        def note(lines: Iterable[Ingested]) -> None:
            for one in lines:
                done.append(one)
                if self.on_done:
                    self.on_done(one)

        unreadable = [one for one in taken if isinstance(one, Unreadable)]
        sources = {one.uri: one for one in taken if isinstance(one, Source)}  # the last of equal uris wins
        states = await self.stages.store.source_states(
            self.principal.tenant, bucket, [one.source.uri for one in unreadable]
        )
        closed = await self._closed(states.values(), bucket)
        self._incomplete |= any(one.error.kind in _NO_SOURCE for one in unreadable)
        lost = [await self._fail(one.source, one.error, closed) for one in unreadable]
        self._lost.extend(lost)
        note(lost)
        stages = self.stages.identity
        level = [_Work(source, fingerprint(source, stages)) for source in sources.values()]
        works: list[_Work] = []
        while level:
            level, lines, closed = await self._sift(level, bucket)
            note(lines)
            assert self._cohorts is not None
            await self._cohorts.look({work.source.access for work in level})
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(self._reading, self._read, work) for work in level))
            for work in level:
                _admit(work)
            if self._describing is not None:
                await asyncio.gather(*(self._describe(work, self._describing) for work in level))
            note([await self._fail(work.source, work.error, closed) for work in level if work.error])
            works += [work for work in level if work.error is None]
            level = [
                _Work(part, fingerprint(part, stages), work.depth + 1, work.inside)
                for work in level
                for part in work.parts
            ]
        note([work.known for work in works if work.known])
        good = [work for work in works if not work.known]
        gone = await self._gone(good, bucket)
        vectors = await self.stages.embed([node.indexed_text for work in good for node in work.pieces.nodes])
        note(await self._commit(good, vectors))
        note([Ingested(uri, "deleted") for uri in gone])
        self._done.update((one.uri, one) for one in done[len(lost) :])
        return done

    async def _sift(self, works: Sequence[_Work], bucket: str) -> tuple[list[_Work], list[Ingested], frozenset[str]]:
        """Those of `works` that have to be read, lines for the others, and the uris that the principal may not read."""
        store, tenant = self.stages.store, self.principal.tenant
        states = await store.source_states(tenant, bucket, [work.source.uri for work in works])
        same: list[_Work] = []
        for work in works:
            known = states.get(work.source.uri)
            # An equal fingerprint means an equal rule, so nothing has to be read to know who may.
            if (
                known
                and known.state == "active"
                and known.fingerprint == work.fingerprint
                and known.document
                and work.source.access.permits(self.principal)
            ):
                states.pop(work.source.uri)
                ref = known.document
                work.known = Ingested(work.source.uri, "unchanged", ref.id, ref.version, known.nodes)
                same.append(work)
        inside = await store.parts(tenant, bucket, [work.source.uri for work in same]) if same else {}
        parts = await store.source_states(tenant, bucket, [uri for uris in inside.values() for uri in uris])
        closed = await self._closed(states.values(), bucket)
        lines: list[Ingested] = []
        left: list[_Work] = []
        for work in works:
            uri = work.source.uri
            held = [parts[part] for part in inside.get(uri, ())]
            if work.known and all(part.state != "failed" for part in held):
                lines.append(work.known)
                lines += [
                    Ingested(part.uri, "unchanged", part.document.id, part.document.version, part.nodes)
                    for part in held
                    if part.document
                ]
            elif uri in closed:
                lines.append(_failed(uri, _taken(uri)))
            else:
                left.append(work)
        return left, lines, closed

    async def _gone(self, works: Sequence[_Work], bucket: str) -> list[str]:
        """The uris of what was inside older versions of `works` and is not any more."""
        uris = [work.source.uri for work in works]
        held = await self.stages.store.parts(self.principal.tenant, bucket, uris)
        gone = []
        for work in works:
            now = {part.uri for part in work.parts}
            after = len(work.source.uri) + len(JOINT)
            # What lies deeper is looked at with the part that it lies in, unless that is gone itself.
            gone += [
                uri
                for uri in held[work.source.uri]
                if work.source.uri + JOINT + uri[after:].partition(JOINT)[0] not in now
            ]
        return sorted(set(gone))

    async def _closed(self, states: Iterable[SourceState], bucket: str) -> frozenset[str]:
        """The uris of those `states` that the principal may not read; what was deleted is closed to nobody."""
        held = [state for state in states if state.state != "deleted"]
        closed = set()
        for state in held:
            if state.document is not None:
                try:
                    await self.stages.store.document(state.document.id, self.principal)
                except NotFound:
                    closed.add(state.uri)
        # What never could be read has no document to ask for, and is rare.
        if failed := {state.uri for state in held if state.document is None}:
            closed |= failed - {state.uri for state in await self.stages.store.sources(self.principal, bucket)}
        return frozenset(closed)

    async def _fail(self, source: Source, error: ReadError, closed: frozenset[str]) -> Ingested:
        # A place that does not exist is a mistake in the call, not a source that could be mended later.
        if error.kind not in _NO_SOURCE and source.uri in closed:
            error = _taken(source.uri)
        elif error.kind not in _NO_SOURCE:
            await self.stages.store.fail(source, error.kind, str(error))
        return _failed(source.uri, error)

    def _read(self, work: _Work) -> None:
        """Read, split and analyse one source; a failure stays on the work."""
        try:
            document = self.stages.reader.read(work.source)
            work.parts = document.attachments
            if work.known:
                return
            title = work.source.metadata.get("title")
            if isinstance(title, str):  # who hands a source over knows its name better than the reader
                document = replace(document, title=title)
            if self._cohorts is not None:
                document, work.repeatable = self._cohorts.flagged(work.source, document)
            work.pieces = self.stages.pieces(document)
            if not work.pieces.nodes:
                raise ReadError("no_text", "Nothing in it can be searched. Is it the right file?")
            work.document = document
        except ReadError as error:
            work.error = error
            if self._describing is not None and error.kind in _SILENT and not work.known:
                work.document = silent_picture(work.source)
                work.error, work.silent = (None, error) if work.document else (error, None)
        except Exception as error:  # noqa: BLE001 - what one document does to a splitter must not stop the others
            reason = f"It was read, but could not be split and indexed: {type(error).__name__}: {error}"
            work.error = ReadError("corrupt", " ".join(reason.split())[:400])

    async def _describe(self, work: _Work, describing: Describing) -> None:
        """Add what the pictures of one document show as derived nodes, where that can be said."""
        if work.error is not None or work.document is None or not work.document.assets:
            return
        work.document, complete = await describing.describe(work.document)
        described = await asyncio.to_thread(self.stages.described, work.document)
        work.pieces += described
        if work.silent is not None and not described.nodes:
            said = " ".join([str(work.silent), *work.document.warnings])
            work.error = ReadError(work.silent.kind, said)
        if not complete:
            work.fingerprint += _INCOMPLETE

    async def _commit(self, works: Sequence[_Work], vectors: Vectors) -> list[Ingested]:
        versions, at = [], 0
        for work in works:
            assert work.document is not None
            versions.append(
                NewVersion(
                    source=work.source,
                    document=work.document,
                    nodes=work.pieces.nodes,
                    vectors=vectors[at : at + len(work.pieces.nodes)],
                    terms=work.pieces.terms,
                    metadata={**work.document.metadata, **work.source.metadata},
                    fingerprint=work.fingerprint,
                    parts=frozenset(part.uri for part in work.parts),
                    repeatable=work.repeatable,
                )
            )
            at += len(work.pieces.nodes)
        if not versions:
            return []
        done = []
        assert self._cohorts is not None
        self._cohorts.committed += len(versions)
        for work, committed in zip(works, await self.stages.store.commit(versions), strict=True):
            assert work.document is not None
            done.append(
                Ingested(
                    work.source.uri,
                    "updated" if committed.replaced else "added",
                    committed.document.id,
                    committed.document.version,
                    len(work.pieces.nodes),
                    len(work.document.text),
                    warnings=work.document.warnings,
                    account=work.document.account,
                )
            )
        return done

    async def _remove_vanished(self, bucket: str) -> list[Ingested]:
        found = self._done.keys() | {one.uri for one in self._lost}
        known = await self.stages.store.sources(self.principal, bucket)
        gone = [state.uri for state in known if state.state != "deleted" and state.uri not in found]
        removed = await self.stages.store.delete(gone, bucket=bucket, principal=self.principal) if gone else []
        return [Ingested(state.uri, "deleted") for state in removed]


def _admit(work: _Work) -> None:
    """Make what is inside too deep, too many or too much the error of the work that it is inside of."""
    if work.error is not None or not work.parts:
        return
    size, inside = sum(len(part.content) for part in work.parts), work.inside
    if work.depth == MAX_DEPTH:
        error = over("The outermost file", MAX_DEPTH + 1, "levels of files inside", MAX_DEPTH, UNPACK, seen=True)
    elif inside.parts + len(work.parts) > MAX_PARTS:
        found = inside.parts + len(work.parts)
        error = over("The outermost file", found, "files inside", MAX_PARTS, UNPACK, seen=True)
    elif inside.size_bytes + size > MAX_PART_BYTES:
        found = inside.size_bytes + size
        error = over("The outermost file", found, "bytes of files inside", MAX_PART_BYTES, UNPACK, seen=True)
    else:
        inside.parts += len(work.parts)
        inside.size_bytes += size
        return
    work.error, work.parts = error, ()


def fingerprint(source: Source, stages: str) -> str:
    """Changes whenever ingesting `source` through `stages` (their identity) would change anything in the store."""
    record = json.dumps(
        {
            "sha256": content_hash(source.content),
            "media_type": source.media_type,
            "allow": sorted(source.access.allow),
            "deny": sorted(source.access.deny),
            "metadata": _ordered(source.metadata),
            "stages": stages,
        },
        sort_keys=True,
    )
    return hashlib.blake2b(record.encode(), digest_size=16).hexdigest()


def _ordered(metadata: Metadata) -> dict[str, object]:
    return {key: metadata[key] for key in sorted(metadata)}


def _failed(uri: str, error: ReadError) -> Ingested:
    return Ingested(uri, "failed", kind=error.kind, message=str(error))


def _taken(uri: str) -> ReadError:
    return ReadError(
        "not_permitted",
        f"{uri} is the name of a document that you may not read, so you may not replace it. "
        "Ingest as somebody who may read it, or under another name.",
    )
