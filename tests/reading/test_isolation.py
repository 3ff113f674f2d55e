"""Every hostile reader costs one worker and one document; the next document reads fine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from citewell.errors import ReadError
from citewell.reading.attachments import Attachment
from citewell.reading.isolation import Isolated, Pool
from citewell.reading.limits import Limits
from citewell.reading.process_tree import descendants
from citewell.reading.wire import LENGTH, answer_frame, parse_answer, to_data, to_document
from citewell.reading.worker_process import WorkerProcess
from citewell.types import (
    Access,
    Account,
    Asset,
    Block,
    BlockKind,
    Cell,
    Document,
    Link,
    Place,
    Reason,
    Region,
    Source,
    Span,
    Tally,
    content_hash,
)

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from hostile import Huge  # noqa: E402 - beside this file

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def source(order: str, tenant: str = "local") -> Source:
    return Source(f"test://{order}", order.encode(), tenant=tenant)


@pytest.fixture
def reader() -> Iterator[Isolated]:
    with Isolated("hostile:Obedient", timeout_s=1.0, memory_bytes=200 << 20, workers=2) as isolated:
        yield isolated


def still_reads(reader: Isolated) -> None:
    assert reader.read(source("hello again")).text == "hello again"


def failure(reader: Isolated, order: str) -> ReadError:
    with pytest.raises(ReadError) as caught:
        reader.read(source(order))
    return caught.value


def answer_bytes(value: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    return b"".join(answer_frame(value, blobs)[1:])


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z" or Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid())


def gone(pid: int, within_s: float = 3.0) -> bool:
    deadline = time.monotonic() + within_s
    while running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def own_children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ends while we look
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def test_document_survives_the_trip_whole(reader: Isolated) -> None:
    document = reader.read(source("plain text with ünïcode"))
    assert document.text == "plain text with ünïcode"
    assert document.blocks == (Block(BlockKind.PARAGRAPH, Span(0, len(document.text))),)
    assert document.metadata == {"tags": ("a", 1, True), "none": None}
    assert document.reader == reader.identity == "obedient@1"


def test_every_field_of_a_document_survives_the_trip() -> None:
    where = Region(2, (1.5, 2.0, 3.0, 4.0))
    cell = Cell(0, 1, Span(0, 2), True, 2, 3, where, Place(3, 9, "rows", "Sheet1"))
    image = bytes(range(256))
    block = Block(
        BlockKind.TABLE,
        Span(0, 5),
        level=3,
        heading_path=("a", "b"),
        regions=(where, Region(3)),
        cells=(cell,),
        caption=Span(6, 8),
        question=Span(0, 1),
        boilerplate=True,
        hidden=True,
        confidence=0.5,
        language="en",
        links=(Link(Span(1, 2), "https://example.org/\ud800"),),
        asset=content_hash(image),
        source=Place(0, 7),
    )
    access = Access(frozenset({"group:finance"}))
    asked = Source("x", b"x", "acme", "b", access=access, metadata={"title": "Outer", "team": "hr"}, fetched_at="2026")
    inner = Attachment("a/b.csv", b"\0\xff", "text/csv", {"from": "x"}, "2025-01-01").of(asked)
    document = Document.of(
        asked,
        reader="r@1",
        media_type="m",
        title="t",
        text="a | b c\ud800",
        blocks=(block,),
        pages=3,
        warnings=("w",),
        account=Account.of(Tally(1, 2, 3, 4), {Reason.TOO_SMALL: Tally(5, 6, 7, 8)}),
        assets=(Asset(content_hash(image), "image/png", image, Span(0, 5), (where,), "alt", "i.png", 4, 5),),
        attachments=(inner, Attachment("c", b"").of(asked)),
    )
    head, *rest = answer_frame(*to_data(document))
    raw = b"".join(rest)
    assert LENGTH.unpack(head) == (len(raw),)
    assert to_document(*parse_answer(raw), asked, "r@1") == document
    assert document.attachments[0].access == access
    assert document.attachments[0].metadata == {"from": "x", "team": "hr", "part_of": "x"}
    for wrong in (raw[:-1], raw + b"x", b"", raw[:20], LENGTH.pack(1 << 60) + raw[8:]):
        with pytest.raises(ReadError) as caught:
            parse_answer(wrong)
        assert caught.value.kind == "corrupt"


def test_worker_is_reused_from_document_to_document(reader: Isolated) -> None:
    assert reader.read(source("pid")).text == reader.read(source("pid")).text


def test_tenants_never_share_a_worker(reader: Isolated) -> None:
    assert reader.read(source("pid", "a")).text != reader.read(source("pid", "b")).text


def test_worker_is_replaced_after_its_share_of_documents() -> None:
    with Isolated("hostile:Obedient", documents_per_worker=2) as reader:
        pids = [reader.read(source("pid")).text for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


@pytest.mark.parametrize("order", ["sleep", "spin"])
def test_endless_reader_is_stopped_at_its_time_limit(reader: Isolated, order: str) -> None:
    began = time.monotonic()
    with pytest.raises(ReadError, match="longer than 1 s") as caught:
        reader.read(source(order))
    assert caught.value.kind == "limit_exceeded"
    assert time.monotonic() - began < 4
    still_reads(reader)


def test_reader_that_asks_for_time_gets_it_within_the_longest() -> None:
    with Isolated("hostile:Obedient", timeout_s=1.0, longest_s=30.0) as reader:
        assert reader.read(source("ask 20")).text == "ask 20"
    with Isolated("hostile:Obedient", timeout_s=0.5, longest_s=0.8) as reader:
        with pytest.raises(ReadError, match=r"longer than 0\.8 s"):
            reader.read(source("ask 1e9"))
        with pytest.raises(ReadError, match="makes no sense") as caught:
            reader.read(source("ask -5"))
        assert caught.value.kind == "corrupt"


def test_boundless_allocation_is_stopped_at_the_memory_limit() -> None:
    with Isolated("hostile:Obedient", timeout_s=60, memory_bytes=200 << 20) as reader:
        with pytest.raises(ReadError, match="memory") as caught:
            reader.read(source("allocate"))
        assert caught.value.kind == "limit_exceeded"
        still_reads(reader)


@pytest.mark.parametrize(("order", "said"), [("abort", "SIGABRT"), ("exit", "code 3")])
def test_crash_costs_one_document(reader: Isolated, order: str, said: str) -> None:
    with pytest.raises(ReadError, match=said) as caught:
        reader.read(source(order))
    assert caught.value.kind == "corrupt"
    still_reads(reader)


def test_file_that_crashes_the_worker_is_rescued_by_other_options() -> None:
    with Isolated("hostile:Obedient", rescue={"timid": True}) as reader:
        assert reader.read(source("abort")).text == "abort"
        with pytest.raises(ReadError, match="inner words"):
            reader.read(source("refuse corrupt"))
        still_reads(reader)


@linux
@pytest.mark.parametrize("order", ["spawn", "orphan"])
def test_child_dies_with_its_worker_whatever_it_ignores_and_wherever_it_hides(reader: Isolated, order: str) -> None:
    seen: set[int] = set()
    before = own_children()

    def watch() -> None:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not thread.is_alive() and not seen:
            time.sleep(0.02)
        while time.monotonic() < deadline and thread.is_alive():
            for worker in own_children() - before:
                seen.update(descendants(worker))
            time.sleep(0.02)

    thread = threading.Thread(target=lambda: failure(reader, order))
    watcher = threading.Thread(target=watch)
    thread.start()
    watcher.start()
    thread.join()
    watcher.join()
    assert seen
    assert all(gone(pid) for pid in seen)
    still_reads(reader)


@linux
def test_child_that_outlives_its_document_takes_its_worker_with_it(reader: Isolated) -> None:
    before = own_children()
    pid = reader.read(source("pid")).text
    assert reader.read(source("leave")).text == "leave"
    assert own_children() == before
    assert reader.read(source("pid")).text != pid


@linux
def test_fork_bomb_is_stopped_before_its_time_is_up() -> None:
    with Isolated("hostile:Obedient", timeout_s=20, memory_bytes=2 << 30) as reader:
        with pytest.raises(ReadError, match=r"took \d+ processes .*the limit reading.processes is 32\.") as caught:
            reader.read(source("bomb"))
        assert caught.value.kind == "limit_exceeded"
        still_reads(reader)


@linux
def test_a_limit_too_low_for_any_file_is_not_blamed_on_the_file() -> None:
    with Isolated("hostile:Obedient", memory_bytes=1 << 20) as reader:
        caught = failure(reader, "ok")
    assert re.fullmatch(
        r"Starting a worker took [\d,]+ bytes of memory and was stopped; "
        r"the limit reading\.memory_bytes is 1,048,576\. Raise the limit\.",
        str(caught),
    ), caught


@linux
def test_cpu_time_counts_with_that_of_children() -> None:
    with Isolated("hostile:Obedient", timeout_s=60, cpu_s=1.5) as reader:
        caught = failure(reader, "burn")
        assert caught.kind == "limit_exceeded"
        assert "took over 1.5 s of CPU time and was stopped" in str(caught)
        assert "the limit reading.cpu_s is 1.5." in str(caught)
        still_reads(reader)


def test_open_files_are_limited_to_the_number_set() -> None:
    opened = []
    for limit in (30, 31):
        with Isolated("hostile:Obedient", open_files=limit) as reader:
            opened.append(int(str(failure(reader, "files")).removeprefix("opened ")))
    assert opened[1] == opened[0] + 1 < 31


def test_noise_on_stderr_blocks_nothing(reader: Isolated) -> None:
    assert reader.read(source("shout")).text == "shout"
    still_reads(reader)


def test_answer_is_taken_at_the_output_limit_and_refused_one_byte_above() -> None:
    whole = sum(map(len, answer_frame(*to_data(Huge().read(source("x"))))[1:]))
    with Isolated("hostile:Huge", output_bytes=whole) as reader:
        assert len(reader.read(source("x")).text) == 4 << 20
    with Isolated("hostile:Huge", output_bytes=whole - 1) as reader:
        caught = failure(reader, "x")
    assert caught.kind == "limit_exceeded"
    assert f"takes {whole:,} bytes; the limit reading.output_bytes is {whole - 1:,}" in str(caught)


def test_answer_that_would_fill_the_memory_of_its_owner_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ReadError, match=r"bytes; the limit is \S+\. Split") as caught:
        parse_answer(answer_bytes({"metadata": [[]] * (3 << 20)}))
    assert caught.value.kind == "limit_exceeded"
    lines = b"[" + b"[]," * (3 << 20) + b"[]]"
    value, blobs = parse_answer(answer_bytes(*to_data(Huge().read(source("x")))))
    with pytest.raises(ReadError, match="One of its blocks has"):
        to_document(value, [blobs[0], lines, *blobs[2:]], source("x"), "r@1")


def test_answer_that_breaks_the_rules_of_a_document_is_refused() -> None:
    with Isolated("hostile:Liar") as reader, pytest.raises(ReadError, match="not a document") as caught:
        reader.read(source("x"))
    assert caught.value.kind == "corrupt"


def test_error_of_the_inner_reader_passes_with_its_kind_and_keeps_the_worker(reader: Isolated) -> None:
    pid = reader.read(source("pid")).text
    with pytest.raises(ReadError, match="inner words") as caught:
        reader.read(source("refuse encrypted"))
    assert caught.value.kind == "encrypted"
    assert reader.read(source("pid")).text == pid


def test_a_library_that_the_inner_reader_lacks_is_named(reader: Isolated) -> None:
    with pytest.raises(ReadError, match="read with nolib, which is not installed") as caught:
        reader.read(source("import nolib"))
    assert caught.value.kind == "unsupported_type"


def test_bug_of_the_inner_reader_is_one_failed_document(reader: Isolated) -> None:
    with pytest.raises(ReadError, match="KeyError") as caught:
        reader.read(source("raise"))
    assert caught.value.kind == "corrupt"
    still_reads(reader)


@pytest.mark.parametrize(
    "order", ["write {}/made", "append {}/there", "remove {}/there", "connect 9", "run true", "kill"]
)
def test_parser_is_refused_what_no_parser_needs(reader: Isolated, tmp_path: Path, order: str) -> None:
    (tmp_path / "there").write_text("whole")
    caught = failure(reader, order.format(tmp_path))
    assert caught.kind == "unsafe_content"
    assert "was refused" in str(caught)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "whole"}
    still_reads(reader)


def held() -> tuple[str, ...]:
    """What the kernel keeps from workers here."""
    worker = WorkerProcess("local", Limits())
    worker.end()
    return worker.walls


@linux
def test_native_code_reaches_no_network(reader: Isolated) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        if "network" not in held():
            pytest.skip("this system lets no user make a network namespace")
        assert "connect gave -1" in str(failure(reader, f"native connect {server.getsockname()[1]}"))


@linux
def test_native_code_changes_no_file_and_reaches_no_other_process(tmp_path: Path) -> None:
    private = tmp_path / "kb"
    (private / "inner").mkdir(parents=True)
    (private / "inner" / "secret").write_text("canary")
    (tmp_path / "public").write_text("shown")
    walls = held()
    if "files" not in walls:
        pytest.skip("this system has no Landlock")
    with Isolated("hostile:Obedient", private=[str(private)]) as reader:
        assert "unlink gave -1, errno EACCES" in str(failure(reader, f"native unlink {tmp_path}/public"))
        assert "creat gave -1, errno EACCES" in str(failure(reader, f"native creat {tmp_path}/made"))
        assert "saw b'shown'" in str(failure(reader, f"look {tmp_path}/public"))
        assert "PermissionError" in str(failure(reader, f"look {private}/inner/secret"))
        assert "PermissionError" in str(failure(reader, f"look /proc/{os.getpid()}/environ"))
        if "signals" in walls:
            assert "kill gave -1, errno EPERM" in str(failure(reader, "native kill"))
        still_reads(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "public"]


def test_secrets_in_the_environment_never_reach_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    with Isolated("hostile:Obedient") as reader, pytest.raises(ReadError) as caught:
        reader.read(source("environment"))
    assert "PYTHONIOENCODING" in str(caught.value)
    assert "OPENAI" not in str(caught.value)


def test_documents_are_read_side_by_side() -> None:
    with Isolated("hostile:Obedient", timeout_s=30, workers=3) as reader:
        pids: set[str] = set()
        gate = threading.Barrier(3)

        def one() -> None:
            gate.wait()
            for _ in range(5):
                pids.add(reader.read(source("pid")).text)

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= len(pids) <= 3


@linux
def test_readers_of_many_formats_share_their_workers() -> None:
    before = own_children()
    pool = Pool()
    readers = [Isolated(name, pool=pool) for name in ("hostile:Obedient", "hostile:Huge", "hostile:Liar")]
    for _ in range(2):
        still_reads(readers[0])
        assert readers[1].read(source("x")).reader == "huge@1"
    assert len(own_children() - before) == 1
    assert failure(readers[2], "x").kind == "corrupt"
    still_reads(readers[0])
    pool.close()
    assert own_children() == before


@linux
def test_close_ends_what_is_being_read() -> None:
    before = own_children()
    with Isolated("hostile:Obedient", timeout_s=600) as reader:
        caught: list[ReadError] = []
        thread = threading.Thread(target=lambda: caught.append(failure(reader, "sleep")))
        thread.start()
        while not reader._pool._busy:
            time.sleep(0.01)
    thread.join(30)
    assert not thread.is_alive()
    assert caught[0].kind == "missing"
    assert own_children() == before
    assert failure(reader, "hello").kind == "missing"


@linux
def test_close_leaves_no_process_and_no_zombie(reader: Isolated) -> None:
    before = own_children()
    still_reads(reader)
    assert own_children() - before
    reader.close()
    assert own_children() == before


PARENT = """
import sys, threading, time
sys.path[:0] = {path!r}
from citewell.reading.isolation import Isolated, Pool
from citewell.types import Source
reader = Isolated("hostile:Obedient", timeout_s=60)
print(reader.read(Source("u", b"pid")).text, flush=True)
threading.Thread(target=lambda: reader.read(Source("u", {order!r})), daemon=True).start()
time.sleep(0.3)
print("busy", flush=True)
time.sleep({stay})
"""


@linux
@pytest.mark.parametrize("order", [b"sleep", b"spin"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, None])
def test_busy_worker_ends_with_its_owner(order: bytes, end: signal.Signals | None) -> None:
    import citewell

    path = [str(HERE), str(Path(citewell.__file__).parents[1])]
    code = PARENT.format(path=path, order=order, stay=60 if end else 0)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline())
        assert owner.stdout.readline() == b"busy\n"
        assert running(worker)
        if end:
            owner.send_signal(end)
        owner.wait(10)
    assert gone(worker)


def test_reader_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(ModuleNotFoundError):
        Isolated("no_such_module:Reader")
