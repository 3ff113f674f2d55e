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
from citewell.reading.wire import to_document
from citewell.reading.worker import make_reader
from citewell.reading.worker_process import CrashError, Limits, WorkerProcess
from citewell.types import Document, Source

_MAX_IDLE: Final = 8
"""Workers that wait for documents, of all readers together: each takes some 25 to 100 MiB."""


class Isolated:
    """A Reader whose inner reader runs in killable worker processes; blocking and thread-safe.

    `reader` is the inner reader's class or factory, or its name as `module:name`; it is called in the worker without
    arguments other than `options` (JSON-able). `limits` are those of `Limits`, by name. Nothing in a worker can read
    what lies in the folders `private`, where the system can hold that (see `walls`).
    A file that *crashed* its worker is tried once more in a worker of its own, with the options in `rescue`, by
    default those in the reader's `RESCUE`, where it has one.
    A worker is replaced after `documents_per_worker` documents, when the tenant changes, and after every error that
    may have harmed it. Workers end with this process however it ends, SIGKILL included.
    """

    def __init__(
        self,
        reader: str | Callable[..., Reader],
        *,
        options: Mapping[str, Any] | None = None,
        rescue: Mapping[str, Any] | None = None,
        private: Sequence[str] = (),
        **limits: Any,
    ) -> None:
        self._spec = reader if isinstance(reader, str) else f"{reader.__module__}:{reader.__qualname__}"
        self._options = dict(options or {})
        self._private = tuple(map(os.path.abspath, private))
        self._limits = Limits(**limits)
        inner = make_reader(self._spec, self._options)
        self._identity = inner.identity
        chosen = getattr(inner, "RESCUE", None) if rescue is None else rescue
        self._rescue = None if chosen is None else {**self._options, **chosen}
        self._slots = threading.BoundedSemaphore(self._limits.workers)
        self._busy: set[WorkerProcess] = set()
        self._closed = False

    @property
    def identity(self) -> str:
        return self._identity

    def read(self, source: Source) -> Document:
        """The document the inner reader finds in `source`; its ReadErrors pass with their kind.

        Raises ReadError `limit_exceeded` when time, memory or output ran over, `corrupt` when the worker died,
        `unsafe_content` when it tried what no parser may, and `missing` once this reader is closed.
        """
        with self._slots:
            try:
                return self._read(self._take(source.tenant), source)
            except CrashError:
                if self._rescue is None or self._closed:
                    raise
                return self._read(self._start(self._rescue, source.tenant), source, once=True)

    def _read(self, worker: WorkerProcess, source: Source, *, once: bool = False) -> Document:
        try:
            answer = worker.ask(source)
            broken, worker.broken = worker.broken, True  # until the answer has proved to be a document
            document = to_document(*answer, source, self._identity)
            worker.broken = broken
            return document
        except ReadError:
            if self._closed:
                raise _closed() from None
            raise
        finally:
            # An error that the inner reader itself raised leaves the worker whole; `ask` marks all others.
            worker.documents += 1
            done = once or worker.broken or worker.documents >= self._limits.documents_per_worker
            with _IDLE_LOCK:
                self._busy.discard(worker)
                keep = not (done or self._closed)
                if keep:
                    _IDLE.append((self, worker))
                surplus = [_IDLE.pop(0)[1] for _ in range(len(_IDLE) - _MAX_IDLE)]
            for one in surplus if keep else [*surplus, worker]:
                one.end()

    def close(self) -> None:
        """End all workers now; what they were reading fails as `missing`, and so does a later `read`."""
        with _IDLE_LOCK:
            self._closed = True
            idle = [worker for owner, worker in _IDLE if owner is self]
            _IDLE[:] = [one for one in _IDLE if one[0] is not self]
            busy = list(self._busy)
        for worker in busy:
            worker.stop()  # ended by the thread that waits for it
        for worker in idle:
            worker.end()

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, tenant: str) -> WorkerProcess:
        """A worker for `tenant`: the one that waited least, else a new one."""
        while True:
            with _IDLE_LOCK:
                if self._closed:
                    raise _closed()
                mine = [one for one in _IDLE if one[0] is self]
                if not mine:
                    break
                _IDLE.remove(mine[-1])
                worker = mine[-1][1]
                usable = worker.tenant == tenant and worker.alive()
                if usable:
                    self._busy.add(worker)
                    return worker
            worker.end()
        return self._start(self._options, tenant)

    def _start(self, options: Mapping[str, Any], tenant: str) -> WorkerProcess:
        worker = WorkerProcess(self._spec, options, tenant, self._limits, self._private)
        with _IDLE_LOCK:
            self._busy.add(worker)
            closed = self._closed
        if closed:
            worker.stop()
        return worker


# Idle workers of all readers of this process, the one that waits longest first: a folder of twenty formats must not
# leave forty processes behind.
_IDLE: list[tuple[Isolated, WorkerProcess]] = []
_IDLE_LOCK = threading.Lock()


def _closed() -> ReadError:
    return ReadError("missing", "Reading was given up because its engine was closed. Ingest the source again.")
