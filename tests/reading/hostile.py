"""Readers that do what a broken or hostile parser does; run only inside workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

from citewell.errors import ReadError
from citewell.reading.allowance import allow
from citewell.types import Block, BlockKind, Document, Source, Span


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

    def do_spawn(self, pid_file: str) -> None:
        code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        os.write(2, f"child={child.pid}\n".encode())
        time.sleep(3600)

    def do_bomb(self, _: str) -> None:
        while True:
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)

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
