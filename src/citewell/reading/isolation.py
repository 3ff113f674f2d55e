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

import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.reading.allowance import ALLOW
from citewell.reading.wire import LENGTH, frame, parse_answer, to_document
from citewell.reading.worker import make_reader
from citewell.types import Document, Source

_POLL_S = 0.05  # how often a busy worker's memory is looked at
_START_S = 60.0  # a worker that is not up by then will never be: the machine is out of something
_MAX_PROCESSES = 32  # of one worker; no parser of ours starts any
_STDERR_BYTES = 2000
_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import citewell.reading.worker as w; w.work()"


class Isolated:
    """A Reader whose inner reader runs in killable worker processes; blocking and thread-safe.

    `reader` is the inner reader's class or factory, or its name as `module:name`; it is called in the worker without
    arguments other than `options` (JSON-able). One document takes at most `timeout_s` of wall time, or what its reader
    asks for (see `allowance`), which is at most `longest_s` in all. The worker with all its children takes at most
    `memory_bytes` of resident memory; the answer, with images and attachments, is at most `output_bytes`.
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
        timeout_s: float = 60.0,
        longest_s: float = 1800.0,
        memory_bytes: int = 768 << 20,
        output_bytes: int = 256 << 20,
        workers: int = 2,
        documents_per_worker: int = 200,
    ) -> None:
        self._spec = reader if isinstance(reader, str) else f"{reader.__module__}:{reader.__qualname__}"
        self._options = dict(options or {})
        self._timeout_s = timeout_s
        self._longest_s = longest_s
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
        self._documents_per_worker = documents_per_worker
        inner = make_reader(self._spec, self._options)
        self._identity = inner.identity
        chosen = getattr(inner, "RESCUE", None) if rescue is None else rescue
        self._rescue = None if chosen is None else {**self._options, **chosen}
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False

    @property
    def identity(self) -> str:
        return self._identity

    def read(self, source: Source) -> Document:
        """The document the inner reader finds in `source`; its ReadErrors pass with their kind.

        Raises ReadError `limit_exceeded` when time, memory or output ran over, `corrupt` when the worker died.
        """
        with self._slots:
            try:
                return self._read(self._take(source.tenant), source)
            except _CrashError:
                if self._rescue is None:
                    raise
                return self._read(self._start(self._rescue, source.tenant), source, once=True)

    def _read(self, worker: _Worker, source: Source, *, once: bool = False) -> Document:
        try:
            answer = worker.ask(source, self._timeout_s)
            worker.broken = True  # until the answer has proved to be a document
            document = to_document(*answer, source, self._identity)
            worker.broken = False
            return document
        finally:
            # An error that the inner reader itself raised leaves the worker whole; `ask` marks all others.
            worker.documents += 1
            with self._lock:
                keep = not (once or worker.broken or self._closed or worker.documents >= self._documents_per_worker)
                if keep:
                    self._idle.append(worker)
            if not keep:
                worker.kill()

    def close(self) -> None:
        """End all idle workers now, and busy ones when their document is done. A later `read` fails."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, tenant: str) -> _Worker:
        while True:
            with self._lock:
                assert not self._closed, f"{self._spec}: read after close"
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._start(self._options, tenant)
            if worker.tenant == tenant and worker.alive():
                return worker
            worker.kill()

    def _start(self, options: Mapping[str, Any], tenant: str) -> _Worker:
        return _Worker(
            self._spec,
            options,
            tenant,
            memory_bytes=self._memory_bytes,
            output_bytes=self._output_bytes,
            longest_s=self._longest_s,
        )


class _CrashError(ReadError):
    """The worker died of the file, not of a limit."""


class _Worker:
    """One worker process, as its owner sees it. Used by one thread at a time."""

    def __init__(
        self,
        spec: str,
        options: Mapping[str, Any],
        tenant: str,
        *,
        memory_bytes: int,
        output_bytes: int,
        longest_s: float,
    ) -> None:
        self.tenant = tenant
        self.documents = 0
        self.broken = False
        self._spec = spec
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
        self._longest_s = longest_s
        self._stderr = b""
        self._socket, theirs = socket.socketpair()
        # Nobody writes to the lifeline: its end of file tells the worker, even one that hangs, that we are gone.
        lifeline, self._lifeline = os.pipe()
        path = [os.path.abspath(entry) for entry in sys.path]
        arguments = [json.dumps(path), str(theirs.fileno()), str(lifeline)]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-B", "-c", _BOOT, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(), lifeline),
                start_new_session=True,  # its own process group, so that children die with it
                env=_clean_environment(),
            )
        except BaseException:
            self._socket.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self._socket.setblocking(False)
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        try:
            self._converse(
                frame({"spec": spec, "options": dict(options), "memory_bytes": memory_bytes}),
                _START_S,
                "Starting the reader",
            )
        except BaseException:
            self.kill()
            raise

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, source: Source, timeout_s: float) -> tuple[dict[str, Any], list[bytes]]:
        """The worker's answer for one document. Raises ReadError, after which `broken` says whether to replace it."""
        head = {
            "uri": source.uri,
            "tenant": source.tenant,
            "bucket": source.bucket,
            "media_type": source.media_type,
            "metadata": dict(source.metadata),
            "modified_at": source.modified_at,
            "fetched_at": source.fetched_at,
            "timeout_s": timeout_s,
        }
        try:
            answer, blobs = self._converse(
                frame(head) + LENGTH.pack(len(source.content)), timeout_s, "Reading", source.content
            )
        except BaseException:
            self.broken = True
            self.kill()
            raise
        if "error" in answer:
            kind, message = answer["error"], str(answer.get("message", ""))
            self.broken = bool(answer.get("broken", True))
            raise ReadError(kind if kind in ReadError.KINDS else "corrupt", message[:2000])
        return answer, blobs

    def kill(self) -> None:
        """End the worker and all its children, and reap it. Harmless when it is dead already."""
        for pid in [*_descendants(self._process.pid), self._process.pid]:
            _signal_group(pid, self._process.pid)
        # Not Popen.wait with a timeout: after SIGKILL to the group the end is certain.
        self._process.wait()
        _signal_group(self._process.pid, self._process.pid)
        self._drain_stderr()
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _converse(
        self, head: bytes, timeout_s: float, doing: str, body: bytes = b""
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Send a request, read the answer, and watch time, memory, output and stderr meanwhile."""
        began = time.monotonic()
        deadline, latest = began + timeout_s, began + max(timeout_s, self._longest_s)
        outgoing = [memoryview(head), memoryview(body)]
        incoming = bytearray()
        peak, looked = 0, time.monotonic()
        assert self._process.stderr is not None
        errors, ours = self._process.stderr.fileno(), self._socket.fileno()
        poll = select.poll()  # not select(): a server has more than 1024 descriptors
        poll.register(errors, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ReadError(
                    "limit_exceeded",
                    f"{doing} took longer than {deadline - began:.4g} s and was stopped. "
                    "Split the file, or raise the limit (timeout_s).",
                )
            outgoing = [part for part in outgoing if part]
            poll.register(ours, select.POLLIN | (select.POLLOUT if outgoing else 0))
            ready = dict(poll.poll(1000 * min(left, _POLL_S)))
            if errors in ready and not self._drain_stderr():
                poll.unregister(errors)
            if outgoing and ready.get(ours, 0) & select.POLLOUT:
                try:
                    outgoing[0] = outgoing[0][self._socket.send(outgoing[0]) :]
                except BlockingIOError:
                    pass
                except OSError:
                    raise self._death(peak) from None
            if ready.get(ours, 0) & ~select.POLLOUT:
                try:
                    piece = self._socket.recv(1 << 20)
                except BlockingIOError:
                    continue
                except OSError:
                    piece = b""
                if not piece:
                    raise self._death(peak)
                incoming += piece
                while len(incoming) >= LENGTH.size:
                    (expected,) = LENGTH.unpack(incoming[: LENGTH.size])
                    if expected > self._output_bytes:
                        raise ReadError(
                            "limit_exceeded",
                            f"What is in it takes {expected:,} bytes; {self._output_bytes:,} are the most. "
                            "Split the file.",
                        )
                    if len(incoming) < LENGTH.size + expected:
                        break
                    answer = parse_answer(incoming[LENGTH.size : LENGTH.size + expected])
                    if ALLOW not in answer[0]:
                        return answer
                    del incoming[: LENGTH.size + expected]
                    deadline = max(deadline, min(time.monotonic() + _seconds(answer[0][ALLOW]), latest))
            if time.monotonic() >= looked + _POLL_S:
                looked = time.monotonic()
                resident, processes = _footprint(self._process.pid)
                peak = max(peak, resident)
                if resident > self._memory_bytes or processes > _MAX_PROCESSES:
                    what = (
                        f"more than {self._memory_bytes >> 20} MiB of memory"
                        if resident > self._memory_bytes
                        else f"more than {_MAX_PROCESSES} processes"
                    )
                    raise ReadError("limit_exceeded", f"{doing} took {what} and was stopped. The file may be a bomb.")

    def _drain_stderr(self) -> bool:
        """Keep the tail of what the worker wrote to stderr; False at its end."""
        assert self._process.stderr is not None
        try:
            piece = os.read(self._process.stderr.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        except (OSError, ValueError):
            return False
        self._stderr = (self._stderr + piece)[-_STDERR_BYTES:]
        return bool(piece)

    def _death(self, peak: int) -> ReadError:
        """What to say of a worker that went away by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._drain_stderr()
        code = self._process.returncode
        if code is None:
            how = "closed its connection"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name if -code in _SIGNALS else -code}"
        else:
            how = f"exited with code {code}"
        tail = self._stderr.decode("utf-8", "replace").strip()
        said = f" It said: {tail[-300:]}" if tail else ""
        xcpu = code in {-getattr(signal, "SIGXCPU", 24), -signal.SIGKILL}
        if xcpu or peak > self._memory_bytes // 2 or "memory" in tail.lower():
            return ReadError("limit_exceeded", f"The parser {how} near its limits of time or memory.{said}")
        return _CrashError("corrupt", f"The parser {how} on this file. It is damaged or hostile.{said}")


_SIGNALS = frozenset(int(one) for one in signal.Signals)


def _clean_environment() -> dict[str, str]:
    # Nothing of ours that may be secret; two arenas, because each reserves address space of the worker's limit.
    keep = (
        "PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "TEMP",
        "SYSTEMROOT",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
    )
    return {name: os.environ[name] for name in keep if name in os.environ} | {
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(16 << 20),  # pages that OCR needs for a moment go back at once
        "PYTHONIOENCODING": "utf-8",
    }


def _seconds(asked: object) -> float:
    if not isinstance(asked, int | float) or not 0 <= asked < math.inf:
        raise ReadError("corrupt", "The parser asked for time in a way that makes no sense. It may be hostile.")
    return float(asked)


def _signal_group(pid: int, leader: int) -> None:
    # A child that made itself a group of its own is not reached through the worker's.
    for kill, target in ((os.killpg, leader), (os.kill, pid)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if kill is os.killpg or pid != leader:
                kill(target, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Children of a process with theirs, nearest first; empty where /proc does not tell (macOS)."""
    found: list[int] = []
    queue = [pid]
    while queue and len(found) < 10_000:
        parent = queue.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    children = [int(child) for child in file.read().split()]
            except OSError:
                continue
            found += children
            queue += children
    return found


def _footprint(pid: int) -> tuple[int, int]:
    """Resident bytes of a process with its descendants, and how many they are; (0, 1) where /proc does not tell."""
    total = 0
    pids = [pid, *_descendants(pid)]
    for one in pids:
        with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{one}/statm", encoding="ascii") as file:
            total += int(file.read().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE"), len(pids)
