"""Parsers are native code fed by strangers: they run in warm worker processes that can be killed at any moment.

    reader = Isolated("citewell.reading.pdf:PdfReader")
    document = reader.read(source)          # from any thread; up to `workers` documents at once
    reader.close()

A worker holds no secrets (its environment is emptied), has limits of its own (`setrlimit`), and answers with data
only: length-prefixed JSON that is checked here before it becomes a Document, never a pickle. What identifies the
document (uri, hash, id, reader) is taken from the caller's own source, so a broken parser can at worst make up text.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any, NoReturn

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.types import Block, BlockKind, Cell, Document, Region, Source, Span

_LENGTH = struct.Struct(">Q")
_POLL_S = 0.05  # how often a busy worker's memory is looked at
_START_S = 60.0  # a worker that is not up by then will never be: the machine is out of something
_MAX_PROCESSES = 32  # of one worker; no parser of ours starts any
_STDERR_BYTES = 2000
_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import citewell.reading.isolation as i; i.work()"


class Isolated:
    """A Reader whose inner reader runs in killable worker processes; blocking and thread-safe.

    `reader` is the inner reader's class or factory, or its name as `module:name`; it is called in the worker without
    arguments other than `options` (JSON-able). One document takes at most `timeout_s` of wall time, and the worker
    with all its children at most `memory_bytes` of resident memory; the answer is at most `output_bytes` of JSON.
    A worker is replaced after `documents_per_worker` documents, when the tenant changes, and after every error that
    may have harmed it. Workers end with this process however it ends, SIGKILL included.
    """

    def __init__(
        self,
        reader: str | Callable[..., Reader],
        *,
        options: Mapping[str, Any] | None = None,
        timeout_s: float = 60.0,
        memory_bytes: int = 1 << 30,
        output_bytes: int = 256 << 20,
        workers: int = 2,
        documents_per_worker: int = 200,
    ) -> None:
        self._spec = reader if isinstance(reader, str) else f"{reader.__module__}:{reader.__qualname__}"
        self._options = dict(options or {})
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
        self._documents_per_worker = documents_per_worker
        self._identity = _make_reader(self._spec, self._options).identity
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
            worker = self._take(source.tenant)
            healthy = False
            try:
                answer = worker.ask(source, self._timeout_s)
                worker.documents += 1
                document = _to_document(answer, source, self._identity)
                healthy = worker.documents < self._documents_per_worker
            except ReadError:
                # An error that the inner reader itself raised leaves the worker whole; `ask` marks all others.
                healthy = not worker.broken and worker.documents + 1 < self._documents_per_worker
                raise
            finally:
                with self._lock:
                    healthy = healthy and not self._closed
                    if healthy:
                        self._idle.append(worker)
                if not healthy:
                    worker.kill()
            return document

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
                return _Worker(
                    self._spec,
                    self._options,
                    tenant,
                    memory_bytes=self._memory_bytes,
                    output_bytes=self._output_bytes,
                )
            if worker.tenant == tenant and worker.alive():
                return worker
            worker.kill()


class _Worker:
    """One worker process, as its owner sees it. Used by one thread at a time."""

    def __init__(
        self, spec: str, options: Mapping[str, Any], tenant: str, *, memory_bytes: int, output_bytes: int
    ) -> None:
        self.tenant = tenant
        self.documents = 0
        self.broken = False
        self._spec = spec
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
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
                _frame({"spec": spec, "options": dict(options), "memory_bytes": memory_bytes}), _START_S, "the reader"
            )
        except BaseException:
            self.kill()
            raise

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, source: Source, timeout_s: float) -> dict[str, Any]:
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
            answer = self._converse(
                _frame(head) + _LENGTH.pack(len(source.content)), timeout_s, source.uri, source.content
            )
        except BaseException:
            self.broken = True
            self.kill()
            raise
        if "error" in answer:
            kind, message = answer["error"], str(answer.get("message", ""))
            self.broken = bool(answer.get("broken", True))
            raise ReadError(kind if kind in ReadError.KINDS else "corrupt", message[:2000])
        return answer

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

    def _converse(self, head: bytes, timeout_s: float, about: str, body: bytes = b"") -> dict[str, Any]:
        """Send a request, read the answer, and watch time, memory, output and stderr meanwhile."""
        deadline = time.monotonic() + timeout_s
        outgoing = [memoryview(head), memoryview(body)]
        incoming = bytearray()
        expected: int | None = None
        peak = 0
        assert self._process.stderr is not None
        errors = self._process.stderr.fileno()
        readable = [self._socket.fileno(), errors]
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ReadError(
                    "limit_exceeded",
                    f"{about}: reading took longer than {timeout_s:g} s and was stopped. "
                    "Split the document, or raise the time limit of the reader.",
                )
            outgoing = [part for part in outgoing if part]
            ready, writable, _ = select.select(readable, [self._socket] if outgoing else [], [], min(left, _POLL_S))
            if errors in ready and not self._drain_stderr():
                readable.remove(errors)
            if writable:
                try:
                    outgoing[0] = outgoing[0][self._socket.send(outgoing[0]) :]
                except BlockingIOError:
                    pass
                except OSError:
                    raise self._death(about, peak) from None
            if self._socket.fileno() in ready:
                try:
                    piece = self._socket.recv(1 << 20)
                except BlockingIOError:
                    continue
                except OSError:
                    piece = b""
                if not piece:
                    raise self._death(about, peak)
                incoming += piece
                if expected is None and len(incoming) >= _LENGTH.size:
                    (expected,) = _LENGTH.unpack(incoming[: _LENGTH.size])
                    if expected > self._output_bytes:
                        raise ReadError(
                            "limit_exceeded",
                            f"{about}: the text would take {expected:,} bytes, over the limit of "
                            f"{self._output_bytes:,}. Split the document.",
                        )
                if expected is not None and len(incoming) >= _LENGTH.size + expected:
                    return _parse_answer(incoming[_LENGTH.size :], about)
            elif not ready:
                resident, processes = _footprint(self._process.pid)
                peak = max(peak, resident)
                if resident > self._memory_bytes or processes > _MAX_PROCESSES:
                    what = (
                        f"more than {self._memory_bytes >> 20} MiB of memory"
                        if resident > self._memory_bytes
                        else f"more than {_MAX_PROCESSES} processes"
                    )
                    raise ReadError(
                        "limit_exceeded", f"{about}: reading took {what} and was stopped. The file may be a bomb."
                    )

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

    def _death(self, about: str, peak: int) -> ReadError:
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
            return ReadError("limit_exceeded", f"{about}: the parser {how} near its limits of time or memory.{said}")
        return ReadError("corrupt", f"{about}: the parser {how} on this file. It is damaged or hostile.{said}")


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
        "PYTHONIOENCODING": "utf-8",
    }


def _frame(value: Mapping[str, Any]) -> bytes:
    raw = json.dumps(value).encode()
    return _LENGTH.pack(len(raw)) + raw


def _parse_answer(raw: bytearray, about: str) -> dict[str, Any]:
    try:
        answer = json.loads(raw.decode())
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ReadError("corrupt", f"{about}: the parser answered nonsense. The file is damaged or hostile.")
    return answer


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


# --- the answer as plain data ------------------------------------------------------------------------------------


def _region_data(region: Region) -> list[Any]:
    return [region.page, list(region.box) if region.box else None]


def _to_data(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "text": document.text,
        "media_type": document.media_type,
        "metadata": {key: list(v) if isinstance(v, tuple) else v for key, v in document.metadata.items()},
        "pages": document.pages,
        "warnings": list(document.warnings),
        "blocks": [
            [
                block.kind.value,
                block.span.start,
                block.span.end,
                block.level,
                list(block.heading_path),
                [_region_data(region) for region in block.regions],
                [
                    [
                        cell.row,
                        cell.column,
                        cell.span.start,
                        cell.span.end,
                        cell.header,
                        cell.row_span,
                        cell.column_span,
                        _region_data(cell.region) if cell.region else None,
                    ]
                    for cell in block.cells
                ],
                [block.caption.start, block.caption.end] if block.caption else None,
                [block.question.start, block.question.end] if block.question else None,
                block.boilerplate,
                block.hidden,
                block.confidence,
                block.language,
            ]
            for block in document.blocks
        ],
    }


def _to_document(data: Mapping[str, Any], source: Source, identity: str) -> Document:
    """The document in a worker's answer. Raises ReadError when it breaks what Document and Block promise."""
    try:
        text = _text(data["text"])
        blocks = tuple(_to_block(row, len(text)) for row in data["blocks"])
        _check(all(a.span.end <= b.span.start for a, b in pairwise(blocks)))
        pages = data["pages"]
        _check(pages is None or (type(pages) is int and pages > 0))
        return Document.of(
            source,
            reader=identity,
            media_type=_text(data["media_type"]),
            title=_text(data["title"]),
            text=text,
            blocks=blocks,
            metadata={_text(key): _to_value(value) for key, value in data["metadata"].items()},
            pages=pages,
            warnings=tuple(_text(warning) for warning in data["warnings"]),
        )
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ReadError(
            "corrupt", f"{source.uri}: the parser's answer is not a document ({error!r}). The file may be hostile."
        ) from error


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("a rule of Document does not hold")


def _text(value: Any) -> str:
    _check(isinstance(value, str))
    return str(value)


def _to_value(value: Any) -> str | int | float | bool | tuple[str | int | float | bool, ...] | None:
    if isinstance(value, list):
        _check(all(isinstance(one, (str, int, float, bool)) for one in value))
        return tuple(value)
    _check(value is None or isinstance(value, (str, int, float, bool)))
    return value  # type: ignore[no-any-return]


def _to_span(start: Any, end: Any, length: int) -> Span:
    _check(type(start) is int and type(end) is int and 0 <= start <= end <= length)
    return Span(start, end)


def _to_region(data: Sequence[Any]) -> Region:
    page, box = data
    _check(type(page) is int and page >= 1)
    if box is None:
        return Region(page)
    x0, y0, x1, y1 = (float(number) for number in box)
    return Region(page, (x0, y0, x1, y1))


def _to_block(row: Sequence[Any], length: int) -> Block:
    kind, start, end, level, path, regions, cells, caption, question, boilerplate, hidden, confidence, language = row
    _check(type(level) is int)
    return Block(
        BlockKind(kind),
        _to_span(start, end, length),
        level=level,
        heading_path=tuple(_text(part) for part in path),
        regions=tuple(_to_region(region) for region in regions),
        cells=tuple(_to_cell(cell, length) for cell in cells),
        caption=_to_span(caption[0], caption[1], length) if caption else None,
        question=_to_span(question[0], question[1], length) if question else None,
        boilerplate=bool(boilerplate),
        hidden=bool(hidden),
        confidence=None if confidence is None else float(confidence),
        language=None if language is None else _text(language),
    )


def _to_cell(data: Sequence[Any], length: int) -> Cell:
    row, column, start, end, header, row_span, column_span, region = data
    _check(all(type(number) is int for number in (row, column, row_span, column_span)))
    return Cell(
        row,
        column,
        _to_span(start, end, length),
        header=bool(header),
        row_span=row_span,
        column_span=column_span,
        region=_to_region(region) if region else None,
    )


# --- inside the worker -------------------------------------------------------------------------------------------


def _make_reader(spec: str, options: Mapping[str, Any]) -> Reader:
    module, _, name = spec.partition(":")
    target: Any = import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    reader: Reader = target(**options)
    return reader


@dataclass(slots=True)
class _Channel:
    """Frames over a socket, blocking."""

    connection: socket.socket

    def receive(self) -> bytes | None:
        """The next frame, or None at the end."""
        head = self._exactly(_LENGTH.size)
        return None if head is None else self._exactly(_LENGTH.unpack(head)[0])

    def _exactly(self, size: int) -> bytes | None:
        buffer = bytearray(size)
        view, got = memoryview(buffer), 0
        while got < size:
            count = self.connection.recv_into(view[got:])
            if not count:
                return None
            got += count
        return bytes(buffer)

    def send(self, answer: Mapping[str, Any]) -> None:
        self.connection.sendall(_frame(answer))


def work() -> NoReturn:
    """Serve documents until the owner goes away. The main program of a worker process."""
    _, _, connection, lifeline = sys.argv
    channel = _Channel(socket.socket(fileno=int(connection)))
    _cut_network()  # first: a user namespace can only be made while there is one thread
    _die_with_owner(int(lifeline))
    try:
        hello = channel.receive()
        if hello is not None:
            setup = json.loads(hello)
            reader = _make_reader(setup["spec"], setup["options"])
            _limit(setup["memory_bytes"])
            channel.send({"ready": True})
            while (head := channel.receive()) is not None and (body := channel.receive()) is not None:
                channel.send(_serve(reader, json.loads(head), body))
    except OSError:
        pass  # the owner went away in the middle of a frame
    os._exit(0)  # native libraries have been seen to crash in their exit handlers


def _serve(reader: Reader, head: dict[str, Any], content: bytes) -> dict[str, Any]:
    _limit_cpu(head.pop("timeout_s"))
    uri = head["uri"]
    metadata = {key: tuple(value) if isinstance(value, list) else value for key, value in head.pop("metadata").items()}
    try:
        return _to_data(reader.read(Source(content=content, metadata=metadata, **head)))
    except ReadError as error:
        return {"error": error.kind, "message": str(error), "broken": False}
    except MemoryError:
        return {"error": "limit_exceeded", "message": f"{uri}: reading ran out of the memory allowed to it."}
    except RecursionError:
        return {"error": "limit_exceeded", "message": f"{uri}: nested too deeply to be read."}
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever a parser raises is one failed document
        said = re.sub(r"\s+", " ", str(error))[:300]
        return {
            "error": "corrupt",
            "message": f"{uri}: the parser failed with {type(error).__name__}: {said}. The file may be damaged.",
        }


def _die_with_owner(lifeline: int) -> None:
    """Kill this process group once the owner is gone, even while native code holds the interpreter.

    Not PR_SET_PDEATHSIG: that signal comes when the *thread* that started us ends, which pools of threads do.
    """

    def wait() -> None:
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            # The kernel itself sends SIGKILL to our group when the other end closes; no thread of ours has to run.
            fcntl.fcntl(lifeline, 10, signal.SIGKILL)  # F_SETSIG
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _cut_network() -> None:
    """A network namespace without interfaces where the kernel lets us; elsewhere nothing changes."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            if libc.unshare(_NEWNET) != 0:  # allowed to root; others need a user namespace to own the network
                libc.unshare(_NEWUSER | _NEWNET)


def _limit(memory_bytes: int) -> None:
    import resource

    def at_most(what: int, value: int) -> None:
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (value, value))

    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_FSIZE, 0)
    at_most(resource.RLIMIT_NOFILE, 64)
    if sys.platform == "linux":
        # Address space is counted, not memory: what is mapped by now (libraries, stacks) is no longer in question.
        with open("/proc/self/statm", encoding="ascii") as file:
            size, resident = (int(number) * os.sysconf("SC_PAGE_SIZE") for number in file.read().split()[:2])
        at_most(resource.RLIMIT_AS, size - resident + memory_bytes + _SLACK_BYTES)


_NEWNET, _NEWUSER = 0x40000000, 0x10000000  # of sched.h
_SLACK_BYTES = 256 << 20  # libraries that load late, and the stacks of their threads


def _limit_cpu(timeout_s: float) -> None:
    """Let this document have twice its wall time on two cores; the owner's clock ends it long before."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + 2 * timeout_s) + 2
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
