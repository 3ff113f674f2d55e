"""One worker process as its owner sees it: started, asked, watched, and ended with all that it started."""

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
from collections.abc import Mapping
from typing import Any

from citewell.errors import ReadError
from citewell.reading.allowance import ALLOW
from citewell.reading.limits import Limits
from citewell.reading.process_tree import end_tree, taken
from citewell.reading.wire import LENGTH, frame, parse_answer
from citewell.types import Source

_POLL_S = 0.05  # how often it is looked at what a busy worker takes
_START_S = 60.0  # a worker that is not up by then will never be: the machine is out of something
_STDERR_BYTES = 2000
_STARTING = "Starting a worker"
_TRY_AGAIN = "The machine may be busy: ingest again."
_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import citewell.reading.worker as w; w.work()"


class CrashError(ReadError):
    """The worker died of the file, not of a limit."""


class WorkerProcess:
    """A process that reads sources of one tenant, with whichever reader it is asked to. Used by one thread at a time.

    `private` are folders that nothing in it may read. Only `end` may be called from another thread, which makes `ask`
    fail at once.
    """

    def __init__(self, tenant: str, limits: Limits, private: tuple[str, ...] = ()) -> None:
        self.tenant = tenant
        self.documents = 0
        self.specs: set[str] = set()
        """The readers that it has loaded."""
        self.broken = False
        """Whether it has to be replaced before the next document."""
        self._limits = limits
        self._stderr = b""
        self._stopping = threading.Lock()
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
            setup = {
                "private": private,
                "memory_bytes": limits.memory_bytes,
                "open_files": limits.open_files,
                "cpu_share": limits.cpu_s / limits.timeout_s,
            }
            ready, _ = self._converse(frame(setup), _START_S, _STARTING)
            self.walls: tuple[str, ...] = tuple(map(str, ready.get("walls", ())))
            """What the kernel keeps from it: network, files, signals (see `walls`)."""
        except BaseException:
            self.end()
            raise

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, spec: str, options: Mapping[str, Any], source: Source) -> tuple[dict[str, Any], list[bytes]]:
        """What the reader `spec`, called with `options`, answers for one document.

        Raises ReadError, after which `broken` says whether to replace this worker.
        """
        self.documents += 1
        self.specs.add(spec)
        head = {
            "spec": spec,
            "options": dict(options),
            "uri": source.uri,
            "tenant": source.tenant,
            "bucket": source.bucket,
            "media_type": source.media_type,
            "metadata": dict(source.metadata),
            "modified_at": source.modified_at,
            "fetched_at": source.fetched_at,
            "timeout_s": self._limits.timeout_s,
        }
        try:
            answer, blobs = self._converse(
                frame(head) + LENGTH.pack(len(source.content)), self._limits.timeout_s, "Reading", source.content
            )
        except BaseException:
            self.broken = True
            self.end()
            raise
        # A child that outlives its document would work on while the next one is read, or while none is; and what is
        # not given back would count as the next one's.
        left = taken(self._process.pid)
        self.broken = left.processes > 1 or left.resident_bytes > self._limits.memory_bytes // 2
        if "error" in answer:
            kind, message = answer["error"], str(answer.get("message", ""))
            self.broken |= bool(answer.get("broken", True))
            raise ReadError(kind if kind in ReadError.KINDS else "corrupt", message[:2000])
        return answer, blobs

    def end(self) -> None:
        """End the worker and all its children, and reap it. Harmless when it is dead already."""
        self.stop()
        # Not Popen.wait with a timeout: after SIGKILL the end is certain.
        self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what a worker that crashed has left of its group
        self._drain_stderr()
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def stop(self) -> None:
        """Kill the worker and all its children, from whichever thread; the one that asks it then fails, and ends it."""
        with self._stopping:
            if self._process.poll() is None:
                end_tree(self._process.pid)

    def _converse(
        self, head: bytes, timeout_s: float, doing: str, body: bytes = b""
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Send a request, read the answer, and watch what it takes and what it writes to stderr meanwhile."""
        began = time.monotonic()
        deadline, latest = began + timeout_s, began + max(timeout_s, self._limits.longest_s)
        outgoing = [memoryview(head), memoryview(body)]
        incoming = bytearray()
        watch = _Watch(self._process.pid, self._limits, doing)
        assert self._process.stderr is not None
        errors, ours = self._process.stderr.fileno(), self._socket.fileno()
        poll = select.poll()  # not select(): a server has more than 1024 descriptors
        poll.register(errors, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                setting = "longest_s" if latest <= deadline and deadline - began > timeout_s else "timeout_s"
                remedy = f"Split the file, or raise the limit reading.{setting}."
                raise ReadError(
                    "limit_exceeded",
                    f"{doing} took longer than {deadline - began:.4g} s and was stopped. "
                    f"{_TRY_AGAIN if doing is _STARTING else remedy}",
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
                    raise self._death(watch) from None
            if ready.get(ours, 0) & ~select.POLLOUT:
                try:
                    piece = self._socket.recv(1 << 20)
                except BlockingIOError:
                    continue
                except OSError:
                    piece = b""
                if not piece:
                    raise self._death(watch)
                incoming += piece
                while len(incoming) >= LENGTH.size:
                    (expected,) = LENGTH.unpack(incoming[: LENGTH.size])
                    if expected > self._limits.output_bytes:
                        raise ReadError(
                            "limit_exceeded",
                            f"What was read of it takes {expected:,} bytes; the limit reading.output_bytes is "
                            f"{self._limits.output_bytes:,}. Split the file, or raise the limit.",
                        )
                    if len(incoming) < LENGTH.size + expected:
                        break
                    with memoryview(incoming) as view:
                        answer = parse_answer(view[LENGTH.size : LENGTH.size + expected])
                    if ALLOW not in answer[0]:
                        return answer
                    del incoming[: LENGTH.size + expected]
                    seconds = _seconds(answer[0][ALLOW])
                    deadline = max(deadline, min(time.monotonic() + seconds, latest))
                    watch.allow(seconds)
            watch.look()

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

    def _death(self, watch: _Watch) -> ReadError:
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
        if code == -getattr(signal, "SIGXCPU", 24):
            return watch.over_cpu()
        tail = self._stderr.decode("utf-8", "replace").strip()
        said = f" It said: {tail[-300:]}" if tail else ""
        if watch.peak_bytes > self._limits.memory_bytes // 2 or code == -signal.SIGKILL or "memory" in tail.lower():
            return ReadError(
                "limit_exceeded",
                f"The parser {how} near its limits of time or memory. Split the file, or raise the limit "
                f"reading.memory_bytes.{said}",
            )
        return CrashError("corrupt", f"The parser {how} on this file. It is damaged or hostile.{said}")


class _Watch:
    """What a worker takes while it does one thing, looked at now and then; raises ReadError once that is too much."""

    def __init__(self, pid: int, limits: Limits, doing: str) -> None:
        self._pid = pid
        self._limits = limits
        self._doing = doing
        self._looked = time.monotonic()
        self._before_s = taken(pid).cpu_s
        self._used_s = 0.0
        self._cpu_s = limits.cpu_s
        self.peak_bytes = 0

    def allow(self, seconds: float) -> None:
        """Let it use CPU time in proportion to `seconds` more of wall time."""
        share = self._limits.cpu_s / self._limits.timeout_s
        most = max(self._limits.cpu_s, self._limits.longest_s * share)
        self._cpu_s = max(self._cpu_s, min(self._used_s + share * seconds, most))

    def look(self) -> None:
        """See what it takes now, unless that was done just before."""
        now = time.monotonic()
        if now < self._looked + _POLL_S:
            return
        self._looked = now
        found = taken(self._pid)
        self.peak_bytes = max(self.peak_bytes, found.resident_bytes)
        self._used_s = found.cpu_s - self._before_s
        if found.processes > self._limits.processes:
            raise self._over(f"{found.processes} processes", f"reading.processes is {self._limits.processes}")
        if found.resident_bytes > self._limits.memory_bytes:
            took = f"{found.resident_bytes:,} bytes of memory"
            raise self._over(took, f"reading.memory_bytes is {self._limits.memory_bytes:,}")
        if self._used_s > self._cpu_s:
            raise self.over_cpu()

    def over_cpu(self) -> ReadError:
        return self._over(f"over {self._cpu_s:.4g} s of CPU time", f"reading.cpu_s is {self._limits.cpu_s:.4g}")

    def _over(self, what: str, limit: str) -> ReadError:
        # Of a worker that only starts, the file is not the cause.
        why, remedy = ("", "Raise") if self._doing is _STARTING else (": the file may be a bomb", "Split it, or raise")
        said = f"{self._doing} took {what} and was stopped{why}; the limit {limit}. {remedy} the limit."
        return ReadError("limit_exceeded", said)


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
        "TESSDATA_PREFIX",
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
