"""The inside of a worker process: serve one document after the other, under limits, until the owner goes away."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any, NoReturn

from citewell.errors import ReadError
from citewell.protocols import Reader
from citewell.reading.allowance import ALLOW, on_allow
from citewell.reading.formats import not_installed
from citewell.reading.walls import RefusedError, put_up
from citewell.reading.wire import LENGTH, answer_frame, to_data
from citewell.types import Source


def make_reader(spec: str, options: Mapping[str, Any]) -> Reader:
    """The reader that `module:name`, called with `options`, makes."""
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
        head = self._exactly(LENGTH.size)
        return None if head is None else self._exactly(LENGTH.unpack(head)[0])

    def _exactly(self, size: int) -> bytes | None:
        buffer = bytearray(size)
        view, got = memoryview(buffer), 0
        while got < size:
            count = self.connection.recv_into(view[got:])
            if not count:
                return None
            got += count
        return bytes(buffer)

    def send(self, answer: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> None:
        for part in answer_frame(answer, blobs):
            self.connection.sendall(part)


def work() -> NoReturn:
    """Serve documents until the owner goes away. The main program of a worker process."""
    _, _, connection, lifeline = sys.argv
    channel = _Channel(socket.socket(fileno=int(connection)))
    try:
        hello = channel.receive()
        if hello is not None:
            setup = json.loads(hello)
            walls = put_up(setup["private"])  # before there is a second thread, which would stand outside
            _die_with_owner(int(lifeline))
            _limit(setup["memory_bytes"], setup["open_files"])
            on_allow(partial(_ask_for, channel, setup["cpu_share"]))
            # A document is millions of small objects without cycles: looking for some every 700 takes a third of the
            # time of a file of many small blocks.
            gc.set_threshold(100_000, 20, 100)
            channel.send({"ready": True, "walls": walls})
            while (head := channel.receive()) is not None and (body := channel.receive()) is not None:
                channel.send(*_serve(json.loads(head), body, setup["cpu_share"]))
    except OSError:
        pass  # the owner went away in the middle of a frame
    os._exit(0)  # native libraries have been seen to crash in their exit handlers


def _ask_for(channel: _Channel, cpu_share: float, seconds: float) -> None:
    _limit_cpu(cpu_share * seconds)
    channel.send({ALLOW: seconds})


def _serve(head: dict[str, Any], content: bytes, cpu_share: float) -> tuple[dict[str, Any], list[bytes]]:
    """The document as data with its bytes, or what to say of the failure."""
    _limit_cpu(cpu_share * head.pop("timeout_s"))
    metadata = {key: tuple(value) if isinstance(value, list) else value for key, value in head.pop("metadata").items()}
    spec, options = head.pop("spec"), head.pop("options")
    try:
        reader = _reader(spec, json.dumps(options))
        return to_data(reader.read(Source(content=content, metadata=metadata, **head)))
    except ReadError as error:
        failure = {"error": error.kind, "message": str(error), "broken": False}
    except ImportError as error:
        lacking = not_installed(error)
        failure = {"error": lacking.kind, "message": str(lacking), "broken": False}
    except RefusedError as error:
        failure = {
            "error": "unsafe_content",
            "message": f"The file made its parser try what no parser may, {str(error)[:300]}; it was refused.",
        }
    except MemoryError:
        failure = {
            "error": "limit_exceeded",
            "message": "Reading ran out of memory. Split the file, or raise the limit (memory_bytes).",
        }
    except RecursionError:
        failure = {"error": "limit_exceeded", "message": "The file is nested too deeply to be read. Flatten it."}
    except Exception as error:  # noqa: BLE001 - the process boundary: whatever a parser raises is one failed document
        said = re.sub(r"\s+", " ", str(error))[:300]
        failure = {
            "error": "corrupt",
            "message": f"The parser failed with {type(error).__name__}: {said}. The file may be damaged.",
        }
    return failure, []


@cache
def _reader(spec: str, options: str) -> Reader:
    made = make_reader(spec, json.loads(options))
    gc.freeze()  # what was imported stays: no collection needs to look at it
    return made


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


def _limit(memory_bytes: int, open_files: int) -> None:
    import resource

    def at_most(what: int, value: int) -> None:
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (value, value))

    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_FSIZE, 0)
    at_most(resource.RLIMIT_NOFILE, open_files)
    if sys.platform == "linux":
        # Address space is counted, not memory: what is mapped by now (libraries, stacks) is no longer in question.
        with open("/proc/self/statm", encoding="ascii") as file:
            size, resident = (int(number) * os.sysconf("SC_PAGE_SIZE") for number in file.read().split()[:2])
        at_most(resource.RLIMIT_AS, size - resident + memory_bytes + _SLACK_BYTES)


_SLACK_BYTES = 2 << 30  # the libraries of readers, which load late, and the stacks of their threads


def _limit_cpu(seconds: float) -> None:
    """Let this process use so much more; the owner, who counts its children too, ends it a little before."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
