"""The engine without `await`: the only place that hides the event loop.

Every method is `Engine`'s method of the same name, run on a private loop in a thread of its own, so it works inside
notebooks and other people's event loops too. Safe to use from several threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from citewell.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from types import TracebackType

    from citewell.audit.account import Account
    from citewell.engine import Engine, Status
    from citewell.flows.ingest_report import Ingested, IngestReport
    from citewell.protocols import Contents, RunRecord, SourceState
    from citewell.types import Access, Answer, Block, Citation, DocumentRef, Hit, Principal, Region, Source

T = TypeVar("T")
_CLEAN_UP_S = 30.0


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._taking = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="citewell", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Raises StoreError after `close`, ConfigError for a call that never ended."""
        if threading.current_thread() is self._thread:
            work.close()
            raise ConfigError(
                "A method of the knowledge base was called from a callback of another one (`on_done`), which it would "
                "wait for. Note what is needed there, and call it afterwards."
            )
        with self._taking:  # so that all that is taken stands before what `close` does
            if self._closed:
                work.close()
                raise _was_closed()
            task, result = self._begin(work)
        return self._wait(task, result)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel what runs, do `last`, and end the thread. Whoever comes second waits for the first."""
        with self._closing:
            with self._taking:
                if self._closed:
                    return
                self._closed = True
            try:
                self._wait(*self._begin(_drain()))
                if last is not None:
                    self._wait(*self._begin(last()))
                self._wait(*self._begin(_drain()))
            finally:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()

    def _serve(self) -> None:
        while not self._stopped:
            # SystemExit and KeyboardInterrupt of a callback leave the loop; whoever waits for that task gets them too.
            with suppress(KeyboardInterrupt, SystemExit):
                self._loop.run_forever()

    def _begin(self, work: Coroutine[Any, Any, T]) -> tuple[list[asyncio.Task[T]], Future[T]]:
        tasks: list[asyncio.Task[T]] = []
        result: Future[T] = Future()

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(end)

        def end(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                result.set_exception(CancelledError())
            elif (error := task.exception()) is not None:
                result.set_exception(error)
            else:
                result.set_result(task.result())

        self._loop.call_soon_threadsafe(begin)
        return tasks, result

    def _wait(self, tasks: list[asyncio.Task[T]], result: Future[T]) -> T:
        try:
            return result.result()
        except CancelledError:
            if self._closed:  # by another thread, while this one waited
                raise _was_closed() from None
            raise
        except BaseException:
            # An interruption is raised here while the work goes on. It must end before the caller goes on to close
            # what it uses; its steps may clean up meanwhile.
            if not result.done():
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
                wait([result], _CLEAN_UP_S)
            raise


async def _drain() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _was_closed() -> StoreError:
    return StoreError("This knowledge base was closed. Open it again with citewell.open.")


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

    def contents(self, document_id: str, *, principal: Principal | None = None) -> Contents:
        """See `Engine.contents`."""
        return self._loop.run(self.engine.contents(document_id, principal=principal))

    def locate(self, citation: Citation, *, principal: Principal | None = None) -> tuple[Region, ...]:
        """See `Engine.locate`."""
        return self._loop.run(self.engine.locate(citation, principal=principal))

    def delete(self, *uris: str, bucket: str = "default", principal: Principal | None = None) -> list[SourceState]:
        """See `Engine.delete`."""
        return self._loop.run(self.engine.delete(*uris, bucket=bucket, principal=principal))

    def status(self, *, principal: Principal | None = None) -> Status:
        """See `Engine.status`."""
        return self._loop.run(self.engine.status(principal=principal))

    def close(self) -> None:
        """See `Engine.close`. What other threads still wait for is cancelled. Closing twice does nothing."""
        self._loop.close(self.engine.close)
