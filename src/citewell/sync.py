"""The engine without `await`: the only place that hides the event loop.

Every method is `Engine`'s method of the same name, run on a private loop in a thread of its own, so it works inside
notebooks and other people's event loops too. Safe to use from several threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

    from citewell.audit.account import Account
    from citewell.engine import Engine, Status
    from citewell.flows.ingest import Ingested, IngestReport
    from citewell.protocols import RunRecord, SourceState
    from citewell.types import Access, Answer, Block, DocumentRef, Hit, Principal, Source

T = TypeVar("T")
_CLEAN_UP_S = 30.0


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="citewell", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        ended = threading.Event()

        async def told() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(told(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            # The work must end before the caller goes on to close what it uses; its steps may clean up meanwhile.
            future.cancel()
            ended.wait(_CLEAN_UP_S)
            raise

    def close(self) -> None:
        async def drain() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.get_running_loop().shutdown_default_executor()

        self.run(drain())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class KnowledgeBase:
    """An `Engine` for code that does not await. Made by `citewell.open`; close it, or use it in a `with`."""

    def __init__(self, assemble: Callable[[], Coroutine[Any, Any, Engine]]) -> None:
        self._loop = _Loop()
        try:
            self.engine = self._loop.run(assemble())
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ingest(
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
        """See `Engine.ingest`."""
        return self._loop.run(
            self.engine.ingest(
                *places,
                bucket=bucket,
                access=access,
                metadata=metadata,
                include=include,
                exclude=exclude,
                mirror=mirror,
                on_done=on_done,
                principal=principal,
            )
        )

    def ingest_sources(
        self,
        sources: Iterable[Source],
        *,
        bucket: str = "default",
        on_done: Callable[[Ingested], None] | None = None,
        principal: Principal | None = None,
    ) -> IngestReport:
        """See `Engine.ingest_sources`."""
        return self._loop.run(self.engine.ingest_sources(sources, bucket=bucket, on_done=on_done, principal=principal))

    def ingest_bytes(
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
        """See `Engine.ingest_bytes`."""
        return self._loop.run(
            self.engine.ingest_bytes(
                content,
                uri=uri,
                bucket=bucket,
                media_type=media_type,
                access=access,
                metadata=metadata,
                principal=principal,
            )
        )

    def ingest_text(
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
        """See `Engine.ingest_text`."""
        return self._loop.run(
            self.engine.ingest_text(
                text,
                uri=uri,
                bucket=bucket,
                media_type=media_type,
                access=access,
                metadata=metadata,
                principal=principal,
            )
        )

    def search(
        self,
        text: str,
        *,
        bucket: str | Sequence[str] | None = None,
        limit: int = 10,
        where: object = None,
        as_of: int | None = None,
        principal: Principal | None = None,
    ) -> list[Hit]:
        """See `Engine.search`."""
        return self._loop.run(
            self.engine.search(text, bucket=bucket, limit=limit, where=where, as_of=as_of, principal=principal)
        )

    def ask(
        self,
        question: str,
        *,
        bucket: str | Sequence[str] | None = None,
        where: object = None,
        as_of: int | None = None,
        principal: Principal | None = None,
    ) -> Answer:
        """See `Engine.ask`."""
        return self._loop.run(self.engine.ask(question, bucket=bucket, where=where, as_of=as_of, principal=principal))

    def explain(self, run_id: str, *, principal: Principal | None = None) -> Account:
        """See `Engine.explain`."""
        return self._loop.run(self.engine.explain(run_id, principal=principal))

    def runs(self, *, limit: int = 20, principal: Principal | None = None) -> list[RunRecord]:
        """See `Engine.runs`."""
        return self._loop.run(self.engine.runs(limit=limit, principal=principal))

    def documents(self, *, bucket: str | None = None, principal: Principal | None = None) -> list[SourceState]:
        """See `Engine.documents`."""
        return self._loop.run(self.engine.documents(bucket=bucket, principal=principal))

    def document(
        self, document_id: str, *, principal: Principal | None = None
    ) -> tuple[DocumentRef, str, tuple[Block, ...]]:
        """See `Engine.document`."""
        return self._loop.run(self.engine.document(document_id, principal=principal))

    def delete(self, *uris: str, bucket: str = "default", principal: Principal | None = None) -> list[SourceState]:
        """See `Engine.delete`."""
        return self._loop.run(self.engine.delete(*uris, bucket=bucket, principal=principal))

    def status(self, *, principal: Principal | None = None) -> Status:
        """See `Engine.status`."""
        return self._loop.run(self.engine.status(principal=principal))

    def close(self) -> None:
        """See `Engine.close`. Closing twice does nothing."""
        if not self._loop.closed:
            self._loop.run(self.engine.close())
            self._loop.close()
