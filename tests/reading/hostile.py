"""Readers that do what a broken or hostile parser does; run only inside workers."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import socket
import struct
import subprocess
import time

from citewell.errors import ReadError
from citewell.reading.allowance import allow
from citewell.types import Block, BlockKind, Document, Source, Span

LIBC = ctypes.CDLL(None, use_errno=True)


def fork() -> int:
    """A child, made as native code would: the interpreter is not asked."""
    return int(LIBC.fork())


class Obedient:
    """Does what the document says, in its first word."""

    identity = "obedient@1"

    def __init__(self, timid: bool = False) -> None:
        self.timid = timid

    def read(self, source: Source) -> Document:
        order, _, rest = source.content.decode().partition(" ")
        if order == "abort" and self.timid:
            order = "nothing"
        getattr(self, f"do_{order}", lambda _: None)(rest)
        text = source.content.decode() if order != "pid" else str(os.getpid())
        return Document.of(
            source,
            reader=self.identity,
            media_type="text/plain",
            title="t",
            text=text,
            blocks=(Block(BlockKind.PARAGRAPH, Span(0, len(text))),),
            metadata={"tags": ("a", 1, True), "none": None},
        )

    def do_sleep(self, _: str) -> None:
        time.sleep(3600)

    def do_ask(self, asked_s: str) -> None:
        allow(float(asked_s))
        time.sleep(1.6)

    def do_spin(self, _: str) -> None:
        re.match(r"(a+)+$", "a" * 60 + "b")  # native code that holds the interpreter

    def do_allocate(self, _: str) -> None:
        held = []
        while True:
            held.append(bytearray(b"x") * (8 << 20))

    def do_abort(self, _: str) -> None:
        os.abort()

    def do_exit(self, _: str) -> None:
        os._exit(3)

    def do_spawn(self, _: str) -> None:
        if fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        time.sleep(3600)

    def do_orphan(self, _: str) -> None:
        if fork() == 0:
            os.setsid()  # out of the worker's group
            if fork() != 0:
                os._exit(0)  # and without a parent
            time.sleep(600)
        time.sleep(3600)

    def do_leave(self, _: str) -> None:
        if fork() == 0:
            time.sleep(600)

    def do_bomb(self, _: str) -> None:
        while True:
            if fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)

    def do_burn(self, _: str) -> None:
        for _child in range(3):
            if fork() == 0:
                break
        while True:
            pass

    def do_shout(self, _: str) -> None:
        for _i in range(200):
            os.write(2, b"y" * 65536)

    def do_import(self, name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def do_refuse(self, kind: str) -> None:
        raise ReadError(kind, "inner words")

    def do_raise(self, _: str) -> None:
        raise KeyError("inner bug")

    def do_write(self, path: str) -> None:
        with open(path, "wb") as file:
            file.write(b"escaped")

    def do_append(self, path: str) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))

    def do_remove(self, path: str) -> None:
        os.remove(path)

    def do_connect(self, port: str) -> None:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()

    def do_run(self, program: str) -> None:
        subprocess.run([program], check=False)

    def do_kill(self, _: str) -> None:
        os.kill(os.getppid(), signal.SIGTERM)

    def do_look(self, path: str) -> None:
        with open(path, "rb") as file:
            raise ReadError("corrupt", f"saw {file.read(2000)!r}")

    def do_files(self, _: str) -> None:
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        finally:
            for one in held:
                os.close(one)
        raise ReadError("corrupt", f"opened {len(held)}")

    def do_native(self, words: str) -> None:
        """One call of the C library, past the interpreter: `connect PORT`, `unlink PATH`, `creat PATH`, `kill`."""
        call, _, argument = words.partition(" ")
        if call == "connect":
            # sockaddr_in of 127.0.0.1
            address = struct.pack("=H", 2) + struct.pack(">H", int(argument)) + bytes([127, 0, 0, 1]) + bytes(8)
            done = LIBC.connect(LIBC.socket(2, 1, 0), address, len(address))
        elif call == "kill":
            done = LIBC.kill(os.getppid(), 0)
        elif call == "creat":
            done = LIBC.creat(argument.encode(), 0o600)
        else:
            done = LIBC.unlink(argument.encode())
        raise ReadError("corrupt", f"{call} gave {done}, errno {errno.errorcode.get(ctypes.get_errno())}")

    def do_environment(self, _: str) -> None:
        raise ReadError("corrupt", " ".join(sorted(os.environ)))


class Huge:
    """Answers with more than anybody wants."""

    identity = "huge@1"

    def read(self, source: Source) -> Document:
        text = "x" * (4 << 20)
        return Document.of(source, reader=self.identity, media_type="text/plain", title="", text=text, blocks=())


class Liar:
    """Answers with a block beyond its text."""

    identity = "liar@1"

    def read(self, source: Source) -> Document:
        return Document.of(
            source,
            reader="somebody@9",
            media_type="text/plain",
            title="",
            text="ab",
            blocks=(Block(BlockKind.PARAGRAPH, Span(0, 50)),),
        )
