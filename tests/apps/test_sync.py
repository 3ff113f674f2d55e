"""The facade: from any thread and inside any loop, the same errors, and an end that is an end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

import citewell
from citewell.config import EmbeddingSettings, Settings
from citewell.errors import ConfigError, FilterError, NotFound, StoreError

SETTINGS = Settings(embedding=EmbeddingSettings("hashing"))
TEXT = "# Travel\n\nThe hotel limit is EUR 180 per night."


@pytest.fixture
def kb(tmp_path):
    with citewell.open(tmp_path / "kb", SETTINGS) as opened:
        opened.ingest_text(TEXT, uri="travel.md")
        yield opened


def loops() -> int:
    return sum(thread.name == "citewell" for thread in threading.enumerate())


def test_it_works_inside_a_running_event_loop(kb):
    async def cell():
        return kb.ask("What is the hotel limit per night?")

    assert "EUR 180" in asyncio.run(cell()).text


def test_several_threads_may_use_it_at_once(kb):
    found, errors = [], []

    def work(number: int) -> None:
        try:
            kb.ingest_text(f"# Room {number}\n\nThe code is {7000 + number}.", uri=f"{number}.md")
            found.append(kb.search(f"code room {number}")[0])
            found.append(kb.ask("What is the hotel limit per night?"))
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert errors == []
    assert len(found) == 16
    assert len(kb.documents()) == 9
    assert len({run.run_id for run in kb.runs(limit=100)}) == 17


def test_closing_twice_does_nothing_and_using_it_then_is_a_clear_error(tmp_path, recwarn):
    kb = citewell.open(tmp_path / "kb", SETTINGS)
    kb.close()
    kb.close()
    for use in (
        lambda: kb.search("x"),
        lambda: kb.ask("x"),
        lambda: kb.ingest_text("x", uri="x"),
        lambda: kb.documents(),
        lambda: kb.status(),
        lambda: kb.runs(),
    ):
        with pytest.raises(StoreError, match=r"was closed\. Open it again"):
            use()
    with kb:
        pass
    assert not [one for one in recwarn if "never awaited" in str(one.message)]
    with citewell.open(tmp_path / "kb", SETTINGS) as again:
        assert again.documents() == []


def test_errors_keep_their_type(kb):
    for use, kind in (
        (lambda: kb.search("x", where={}), FilterError),
        (lambda: kb.search("x", limit=0), ConfigError),
        (lambda: kb.document("x"), NotFound),
        (lambda: kb.explain("x"), NotFound),
        (lambda: kb.delete("x"), NotFound),
        (lambda: kb.ingest(), ConfigError),
    ):
        with pytest.raises(kind) as error:
            use()
        assert type(error.value) is kind


def test_a_knowledge_base_that_cannot_be_opened_leaves_no_thread(tmp_path):
    assert loops() == 0
    with pytest.raises(StoreError):
        citewell.open(tmp_path / "missing", SETTINGS, create=False)
    with pytest.raises(ConfigError):
        citewell.open(tmp_path / "missing", Settings(embedding=EmbeddingSettings("nobody")))
    assert loops() == 0
    assert not (tmp_path / "missing").exists()


def test_a_call_from_a_callback_is_refused_instead_of_waiting_for_itself(kb):
    with pytest.raises(Exception, match="on_done") as error:
        kb.ingest_sources(
            [citewell.types.Source("a", b"Text of a.", media_type="text/plain")], on_done=lambda _: kb.documents()
        )
    assert isinstance(error.value, ConfigError)
    assert "EUR 180" in kb.ask("What is the hotel limit per night?").text


def test_sources_may_ask_the_knowledge_base_while_they_are_taken(kb):
    def sources():
        for number in range(3):
            known = len(kb.documents())
            text = f"There were {known} documents."
            yield citewell.types.Source(str(number), text.encode(), media_type="text/plain")

    assert kb.ingest_sources(sources()).count("added") == 3


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), ValueError("no")])
def test_what_a_callback_raises_comes_out_and_the_knowledge_base_goes_on(kb, raised):
    def on_done(_):
        raise raised

    done = []

    def call():
        try:
            kb.ingest_sources([citewell.types.Source("a", b"Text of a.", media_type="text/plain")], on_done=on_done)
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            done.append(error)

    worker = threading.Thread(target=call, daemon=True)
    worker.start()
    worker.join(20)
    assert not worker.is_alive()
    assert len(done) == 1
    assert len(kb.search("hotel")) >= 1


def test_closing_ends_what_other_threads_wait_for(tmp_path):
    kb = citewell.open(tmp_path / "kb", SETTINGS)
    started, seen = threading.Event(), []

    class Slow:
        name = "slow"

        async def write(self, question, evidence):
            started.set()
            await asyncio.sleep(60)

    kb.engine.writer = Slow()
    kb.ingest_text(TEXT, uri="travel.md")

    def ask():
        try:
            kb.ask("What is the hotel limit?")
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            seen.append(error)

    worker = threading.Thread(target=ask)
    worker.start()
    assert started.wait(10)
    closers = [threading.Thread(target=kb.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    for one in (*closers, worker):
        one.join(20)
        assert not one.is_alive()
    assert [type(error) for error in seen] == [StoreError]
    assert "was closed" in str(seen[0])


INTERRUPTED = """
import sys, citewell
from citewell.config import EmbeddingSettings, Settings
from citewell.types import Source

def sources():
    for number in range(100_000):
        yield Source(str(number), f"Text number {number}.".encode(), media_type="text/plain")

def on_done(one):
    if one.uri == "40":
        print("going", flush=True)

kb = citewell.open(sys.argv[1], Settings(embedding=EmbeddingSettings("hashing")))
try:
    kb.ingest_sources(sources(), on_done=on_done)
except KeyboardInterrupt:
    states = kb.documents()
    assert {(state.state, state.nodes) for state in states} == {("active", 1)}, states
    kb.close()
    print(len(states), flush=True)
"""


def test_an_interruption_ends_the_work_and_leaves_whole_documents(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "kb")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        count = int(process.stdout.readline())
        assert time.monotonic() - begun < 10
        assert process.wait(10) == 0
    with citewell.open(tmp_path / "kb", SETTINGS) as kb:
        assert len(kb.documents()) == count >= 32
        assert [run.status for run in kb.runs()] == ["failed"]
