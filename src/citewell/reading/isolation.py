"""Parsers are native code fed by strangers: they run in warm worker processes that can be killed at any moment.

    reader = Isolated("citewell.reading.pdf:PdfReader")
    document = reader.read(source)          # from any thread; up to `workers` documents at once
    reader.close()

A worker holds no secrets (its environment is emptied), has limits of its own (`setrlimit`), and answers with data
only: length-prefixed JSON and bytes that are checked here before they become a Document, never a pickle. What
identifies the document (uri, hash, id, reader) and who may read it is taken from the caller's own source, so a broken
parser can at worst make up text.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.reading.limits import Limits
from citewell.reading.wire import to_document
from citewell.reading.worker import make_reader
from citewell.reading.worker_process import CrashError, WorkerProcess
from citewell.types import Document, Source

_MAX_IDLE: Final = 8
"""Workers of one pool that wait for documents: each takes some 25 to 100 MiB."""


class Pool:
    """Warm worker processes that readers of any format share; blocking and thread-safe.

    `limits` are those of `Limits`, by name. Nothing in a worker can read what lies in the folders `private`, where the
    system can hold that (see `walls`). A worker is replaced after `documents_per_worker` documents, when the tenant
    changes, and after every error that may have harmed it. Workers end with this process however it ends, SIGKILL
    included.
    """

    def __init__(self, *, private: Sequence[str] = (), **limits: Any) -> None:
        self.limits = Limits(**limits)
        self._private = tuple(map(os.path.abspath, private))
        self._slots = threading.BoundedSemaphore(self.limits.workers)
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []  # the one that waits longest first
        self._busy: set[WorkerProcess] = set()
        self._closed = False

    def ask(
        self,
        spec: str,
        options: Mapping[str, Any],
        source: Source,
        finish: Callable[[tuple[dict[str, Any], list[bytes]]], Document],
        *,
        alone: bool = False,
    ) -> Document:
        """What `finish` makes of the answer that the reader `spec`, called with `options`, gives for `source`.

        `alone` means in a worker that does nothing before and after. Raises what `finish` raises, and ReadError.
        """
        with self._slots:
            worker = self._start(source.tenant) if alone else self._take(source.tenant, spec)
            try:
                answer = worker.ask(spec, options, source)
                broken, worker.broken = worker.broken, True  # until the answer has proved to be a document
                document = finish(answer)
                worker.broken = broken
                return document
            except ReadError:
                if self._closed:
                    raise _closed() from None
                raise
            finally:
                # An error that the inner reader itself raised leaves the worker whole; `ask` marks all others.
                self._give_back(worker, done=alone or worker.broken)

    def close(self) -> None:
        """End all workers now; what they were reading fails as `missing`, and so does what comes later."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for worker in busy:
            worker.stop()  # ended by the thread that waits for it
        for worker in idle:
            worker.end()

    def _take(self, tenant: str, spec: str) -> WorkerProcess:
        """A worker for `tenant`: one that knows the reader, else one that waits, else a new one."""
        while True:
            with self._lock:
                if self._closed:
                    raise _closed()
                if not self._idle:
                    break
                worker = max(
                    enumerate(self._idle), key=lambda one: (one[1].tenant == tenant, spec in one[1].specs, one[0])
                )[1]
                if worker.tenant != tenant and len(self._idle) + len(self._busy) < self.limits.workers:
                    break
                self._idle.remove(worker)
                if worker.tenant == tenant and worker.alive():
                    self._busy.add(worker)
                    return worker
            worker.end()
        return self._start(tenant)

    def _start(self, tenant: str) -> WorkerProcess:
        worker = WorkerProcess(tenant, self.limits, self._private)
        with self._lock:
            self._busy.add(worker)
            closed = self._closed
        if closed:
            worker.stop()
        return worker

    def _give_back(self, worker: WorkerProcess, *, done: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            gone = [worker]
            if not (done or self._closed or worker.documents >= self.limits.documents_per_worker):
                self._idle.append(worker)
                gone = [self._idle.pop(0) for _ in range(len(self._idle) - _MAX_IDLE)]
        for one in gone:
            one.end()


class Isolated:
    """A Reader whose inner reader runs in killable worker processes; blocking and thread-safe.

    `reader` is the inner reader's class or factory, or its name as `module:name`; it is called in the worker without
    arguments other than `options` (JSON-able). The workers are those of `pool`, which others share; without one it has
    its own, with these `limits` and `private` folders, as `Pool` takes them.
    A file that *crashed* its worker is tried once more in a worker of its own, with the options in `rescue`, by
    default those in the reader's `RESCUE`, where it has one.
    """

    def __init__(
        self,
        reader: str | Callable[..., Reader],
        *,
        options: Mapping[str, Any] | None = None,
        rescue: Mapping[str, Any] | None = None,
        pool: Pool | None = None,
        **limits: Any,
    ) -> None:
        self._spec = reader if isinstance(reader, str) else f"{reader.__module__}:{reader.__qualname__}"
        self._options = dict(options or {})
        self._pool = Pool(**limits) if pool is None else pool
        inner = make_reader(self._spec, self._options)
        self._identity = inner.identity
        chosen = getattr(inner, "RESCUE", None) if rescue is None else rescue
        self._rescue = None if chosen is None else {**self._options, **chosen}

    @property
    def identity(self) -> str:
        return self._identity

    def read(self, source: Source) -> Document:
        """The document the inner reader finds in `source`; its ReadErrors pass with their kind.

        Raises ReadError `limit_exceeded` when time, memory or output ran over, `corrupt` when the worker died,
        `unsafe_content` when it tried what no parser may, and `missing` once this reader is closed.
        """

        def finish(answer: tuple[dict[str, Any], list[bytes]]) -> Document:
            return to_document(*answer, source, self._identity)

        try:
            return self._pool.ask(self._spec, self._options, source, finish)
        except CrashError:
            if self._rescue is None:
                raise
            return self._pool.ask(self._spec, self._rescue, source, finish, alone=True)

    def close(self) -> None:
        """End the pool's workers now; what they were reading fails as `missing`, and so does a later `read`."""
        self._pool.close()

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _closed() -> ReadError:
    return ReadError("missing", "Reading was given up because its engine was closed. Ingest the source again.")
