"""What ingestion promises: nothing done twice, nothing lost, nothing half visible, one bad source at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from pathlib import Path

import docx
import pytest
from worlds import SETTINGS

from citewell.config import ReadingSettings, assemble
from citewell.errors import ConfigError, NotFound
from citewell.flows.ingest import Ingestion, Requested, Stages
from citewell.flows.ingest_report import IngestReport
from citewell.types import Access, Principal, Source

HANDBOOK = Path(__file__).parents[2] / "examples/handbook/docs"
ME = Principal.local()


class Watched:
    """An embedder that counts passages, and waits for `gate` before each of them."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.identity, self.dimensions, self.max_tokens = inner.identity, inner.dimensions, inner.max_tokens
        self.passages: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    def token_starts(self, text):
        return self.inner.token_starts(text)

    async def embed(self, texts, *, role):
        if role == "passage":
            self.waiting.set()
            await self.gate.wait()
            self.passages.extend(texts)
        return await self.inner.embed(texts, role=role)


class Counting:
    """A reader that counts what it reads."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.identity = inner.identity
        self.read_uris: list[str] = []

    def read(self, source):
        self.read_uris.append(source.uri)
        return self.inner.read(source)


def texts(count: int, start: int = 0) -> list[Source]:
    return [
        Source(f"{number:04}", f"Text number {number} about things.".encode(), media_type="text/plain")
        for number in range(start, start + count)
    ]


def test_what_has_not_changed_is_neither_read_nor_embedded(with_engine):
    async def work(engine):
        engine.embedder, engine.reader = Watched(engine.embedder), Counting(engine.reader)
        await engine.ingest_sources(texts(40))
        assert len(engine.embedder.passages) == len(engine.reader.read_uris) == 40
        again = await engine.ingest_sources(texts(41))
        assert (again.count("unchanged"), again.count("added")) == (40, 1)
        assert len(engine.embedder.passages) == len(engine.reader.read_uris) == 41
        assert [one.version for one in again.sources] == [1] * 41

    with_engine(work)


def test_new_metadata_or_a_new_rule_hold_at_once_without_embedding(with_engine):
    async def work(engine):
        engine.embedder = Watched(engine.embedder)
        text = "# Rule\n\nThe rule is old."
        await engine.ingest_text(text, uri="a", metadata={"year": 2024})
        assert len(engine.embedder.passages) == 1
        report = await engine.ingest_text(text, uri="a", metadata={"year": 2025})
        assert report.count("updated") == 1
        assert await engine.search("rule", where={"year": 2024}) == []
        assert [hit.document.version for hit in await engine.search("rule", where={"year": 2025})] == [2]
        report = await engine.ingest_text(text, uri="a", metadata={"year": 2025}, access=Access(frozenset({"user:x"})))
        assert report.count("updated") == 1
        assert await engine.search("rule") == []
        assert len(await engine.search("rule", principal=Principal("local", "x"))) == 1
        assert len(engine.embedder.passages) == 1

    with_engine(work)


def test_equal_texts_are_embedded_once(with_engine):
    async def work(engine):
        engine.embedder = Watched(engine.embedder)
        same = [
            Source(str(number), b"The same text everywhere.", media_type="text/plain", metadata={"title": "Same"})
            for number in range(40)
        ]
        await engine.ingest_sources(same)
        assert len(engine.embedder.passages) <= 2  # two lanes may both not know it yet
        assert len(await engine.search("same text", limit=100)) == 40

    with_engine(work)


def test_the_old_version_answers_while_the_new_one_is_embedded(with_engine):
    async def work(engine):
        engine.embedder = watched = Watched(engine.embedder)
        await engine.ingest_text("# Limit\n\nThe limit is 5 units.", uri="a")
        watched.gate.clear()
        watched.waiting.clear()
        running = asyncio.create_task(engine.ingest_text("# Limit\n\nThe limit is 6 units.", uri="a"))
        await asyncio.wait_for(watched.waiting.wait(), 10)
        for _ in range(3):
            assert [hit.node.text for hit in await engine.search("limit")] == ["Limit\n\nThe limit is 5 units."]
            (state,) = await engine.documents()
            assert (state.state, state.document.version) == ("active", 1)
        assert not running.done()
        watched.gate.set()
        assert (await running).count("updated") == 1
        assert [hit.node.text for hit in await engine.search("limit")] == ["Limit\n\nThe limit is 6 units."]

    with_engine(work)


def test_one_source_that_fails_anywhere_stops_no_other(with_engine):
    class Hostile:
        """Fails on some documents as parts do that nobody foresaw."""

        identity = "hostile@1"

        def apply(self, document, nodes):
            match document.uri:
                case "0003":
                    raise RecursionError("too deep")
                case "0005":
                    return []
                case "0007":
                    return {}["no such node"]
            return list(nodes)

    async def work(engine):
        stages = Stages(engine.store, engine.reader, engine.splitter, engine.embedder, engine.terms, [Hostile()])
        sources = [*texts(10), Source("empty", b""), Source("odd.bin", bytes(range(256)))]
        told = []
        flow = Ingestion(stages, iter(sources), principal=ME, on_done=told.append)
        report = await flow.run(start_event=Requested(("x",), "default", False))
        assert isinstance(report, IngestReport)
        assert {one.uri: one.kind for one in report.failed} == {
            "0003": "corrupt",
            "0005": "no_text",
            "0007": "corrupt",
            "empty": "empty",
            "odd.bin": "unsupported_type",
        }
        assert report.count("added") == 7
        assert "RecursionError: too deep" in next(one.message for one in report.failed if one.uri == "0003")
        assert sorted(told, key=lambda one: one.uri) == list(report.sources)
        assert len(await engine.search("text", limit=100)) == 7
        states = {state.uri: (state.state, state.error_kind) for state in await engine.documents()}
        assert states["0005"] == ("failed", "no_text")

    with_engine(work)


def test_a_source_that_failed_is_tried_again_and_its_old_version_answers_meanwhile(with_engine):
    async def work(engine):
        await engine.ingest_text("# A\n\nThe first text.", uri="a.md")
        report = await engine.ingest_bytes(b"", uri="a.md")
        assert [one.kind for one in report.failed] == ["empty"]
        assert [hit.document.version for hit in await engine.search("first text")] == [1]
        report = await engine.ingest_text("# A\n\nThe first text.", uri="a.md")
        assert report.failed == ()
        (state,) = await engine.documents()
        assert (state.state, state.error) == ("active", None)

    with_engine(work)


@pytest.mark.parametrize("between", [0, 31, 40, 100])
def test_of_equal_uris_in_one_call_the_last_counts_wherever_they_stand(with_engine, between):
    class Slow(Watched):
        """Takes the longer for a text the earlier it was given: the last is ready first."""

        async def embed(self, texts, *, role):
            await asyncio.sleep(0.1 if any("first" in text for text in texts) else 0)
            return await self.inner.embed(texts, role=role)

    async def work(engine):
        engine.embedder = Slow(engine.embedder)
        first = Source("same", b"It is the first text.", media_type="text/plain")
        last = Source("same", b"It is the last text.", media_type="text/plain")
        report = await engine.ingest_sources([first, *texts(between), last])
        assert [one.uri for one in report.sources].count("same") == 1
        assert [hit.node.text for hit in await engine.search("text", where={"uri": "same"})] == ["It is the last text."]

    with_engine(work)


def test_two_files_of_one_name_are_both_in_the_report(with_engine, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(f"# A\n\nText of {folder}.")

    async def work(engine):
        report = await engine.ingest(str(tmp_path / "one"), str(tmp_path / "two"))
        assert sorted((one.uri, one.outcome) for one in report.sources) == [("a.md", "added"), ("a.md", "failed")]
        assert "would replace the other" in report.failed[0].message
        assert len(report.failed) == 1

    with_engine(work)


@pytest.mark.parametrize("moment", [1, 33, 70])
def test_a_cancelled_ingestion_leaves_whole_documents_and_the_next_one_finishes(tmp_path, moment):
    async def work():
        async with await assemble(tmp_path / "kb", SETTINGS, principal=ME) as engine:
            done = asyncio.Event()
            count = 0

            def on_done(one):
                nonlocal count
                count += 1
                if count == moment:
                    done.set()

            task = asyncio.create_task(engine.ingest_sources(texts(300), on_done=on_done))
            await asyncio.wait_for(done.wait(), 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            states = await engine.documents()
            assert 0 < len(states) < 300
            assert {(state.state, state.nodes) for state in states} == {("active", 1)}
            assert len(await engine.search("text", limit=1000)) == len(states)
            assert await engine.store.check() == []
            (record,) = await engine.runs()
            assert record.status == "failed"
            report = await engine.ingest_sources(texts(300))
            assert (report.count("unchanged"), report.count("added")) == (len(states), 300 - len(states))
            assert await engine.store.check() == []

    asyncio.run(work())


def test_sources_are_taken_as_they_are_needed(with_engine):
    """Of any number of sources, at most two batches are held at a time, however slow the embedder is."""
    taken = done = most = 0

    def sources():
        nonlocal taken, most
        for source in texts(400):
            taken += 1
            most = max(most, taken - done)
            yield source

    def on_done(_):
        nonlocal done
        done += 1

    async def work(engine):
        report = await engine.ingest_sources(sources(), on_done=on_done)
        assert len(report.sources) == 400
        assert most <= 3 * 32

    with_engine(work)


def test_big_sources_are_held_by_size_not_by_number(with_engine):
    big = b"word " * 100_000
    taken = done = most = 0

    def sources():
        nonlocal taken, most
        for number in range(64):
            taken += 1
            most = max(most, taken - done)
            yield Source(str(number), big, media_type="text/plain")

    def on_done(_):
        nonlocal done
        done += 1

    class Beginning(Counting):
        """Reads a kilobyte of each."""

        def read(self, source):
            return self.inner.read(dataclasses.replace(source, content=source.content[:1000]))

    async def work(engine):
        engine.reader = Beginning(engine.reader)
        await engine.ingest_sources(sources(), on_done=on_done)
        assert done == 64
        assert most <= 3 * 8  # 4 MB a batch, half a MB each

    with_engine(work)


def test_a_connector_that_breaks_keeps_what_was_finished(with_engine):
    def sources():
        yield from texts(200)
        raise ConnectionError("the connector broke")

    async def work(engine):
        with pytest.raises(Exception, match="connector broke"):
            await engine.ingest_sources(sources())
        states = await engine.documents()
        assert {state.nodes for state in states} == {1}
        assert await engine.store.check() == []
        assert (await engine.ingest_sources(texts(200))).count("unchanged") == len(states)

    with_engine(work)


def test_the_report_is_in_order_and_its_counts_add_up(with_engine, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("b", "a", "c"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nText of {name}.")

    async def work(engine):
        first = await engine.ingest(str(folder))
        assert [(one.uri, one.outcome) for one in first.sources] == [
            ("a.md", "added"),
            ("b.md", "added"),
            ("c.md", "added"),
        ]
        (folder / "a.md").unlink()
        (folder / "b.md").write_text("# b\n\nOther text.")
        (folder / "d.md").write_text("")
        second = await engine.ingest(str(folder), mirror=True)
        assert [(one.uri, one.outcome, one.version) for one in second.sources] == [
            ("a.md", "deleted", None),
            ("b.md", "updated", 2),
            ("c.md", "unchanged", 1),
            ("d.md", "failed", None),
        ]
        assert second.nodes == sum(one.nodes for one in second.sources if one.outcome == "updated") == 1
        outcomes = ("added", "updated", "unchanged", "deleted", "failed")
        assert sum(second.count(outcome) for outcome in outcomes) == len(second.sources)
        assert (first.mirror, second.mirror) == (False, True)
        assert second.bucket == "default"
        assert (await engine.explain(second.run_id)).record.status == "done"

    with_engine(work)


def test_mirror_keeps_a_file_that_cannot_be_read_and_says_when_it_did_not_mirror(with_engine, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nText of {name}.")

    async def work(engine):
        await engine.ingest(str(folder))
        (folder / "a.md").write_text("")
        report = await engine.ingest(str(folder), mirror=True)
        assert (report.mirror, report.count("deleted")) == (True, 0)
        assert len(await engine.search("text")) == 2
        (folder / "b.md").unlink()
        held_back = await engine.ingest(str(folder), str(tmp_path / "unmounted"), mirror=True)
        assert (held_back.mirror, held_back.count("deleted")) == (False, 0)
        assert len(await engine.search("text")) == 2
        report = await engine.ingest(str(folder), mirror=True)
        assert (report.mirror, report.count("deleted")) == (True, 1)

    with_engine(work)


def test_mirror_leaves_other_buckets_alone(with_engine, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nText of a.")

    async def work(engine):
        await engine.ingest_text("Kept text.", uri="kept", bucket="other")
        await engine.ingest_text("Old text.", uri="old", bucket="docs")
        report = await engine.ingest(str(tmp_path / "docs"), bucket="docs", mirror=True)
        assert [(one.uri, one.outcome) for one in report.sources] == [("a.md", "added"), ("old", "deleted")]
        assert {state.uri for state in await engine.documents()} == {"a.md", "kept"}

    with_engine(work)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"uri": ""}, "needs a uri"),
        ({"uri": "  \n"}, "needs a uri"),
        ({"uri": None}, "needs a uri"),
        ({"uri": "a\udcff.md"}, "half characters"),
        ({"bucket": ""}, "no bucket name"),
        ({"bucket": " x"}, "no bucket name"),
        ({"bucket": "x" * 101}, "no bucket name"),
        ({"bucket": "a\nb"}, "no bucket name"),
        ({"bucket": None}, "no bucket name"),
        ({"metadata": {"version": "1"}}, "version_label"),
        ({"metadata": {"x": {"nested": 1}}}, "'x'"),
        ({"metadata": {"x": float("nan")}}, "finite"),
        ({"metadata": {"": 1}}, "no metadata name"),
        ({"access": Access(frozenset({"Bob"}))}, "is no name"),
    ],
)
def test_a_wrong_argument_says_which_and_writes_nothing(with_engine, given, said):
    async def work(engine):
        with pytest.raises(ConfigError, match=said):
            await engine.ingest_text("text", **{"uri": "a", **given})
        with pytest.raises(ConfigError, match=said):
            await engine.ingest_bytes(b"text", **{"uri": "a", **given})
        fields = {name: value for name, value in given.items() if name != "bucket"}
        if fields:
            with pytest.raises(ConfigError, match=said):
                await engine.ingest_sources([Source(**{"uri": "a", "content": b"text", **fields})])
        assert await engine.documents() == []
        assert await engine.store.sequence() == 0

    with_engine(work)


def test_half_characters_and_wrong_types_of_content_are_refused(with_engine):
    async def work(engine):
        with pytest.raises(ConfigError, match="character 5 of the text is half a character"):
            await engine.ingest_text("half \ud83d", uri="a")
        for content in ("text", None, bytearray(b"text"), 7):
            with pytest.raises(ConfigError, match="give bytes"):
                await engine.ingest_bytes(content, uri="a")
        with pytest.raises(ConfigError, match="other/default"):
            await engine.ingest_sources([Source("a", b"text", tenant="other")])
        with pytest.raises(ConfigError, match="local/b"):
            await engine.ingest_sources([Source("a", b"text", bucket="b")])
        with pytest.raises(ConfigError, match="Nothing to ingest"):
            await engine.ingest()
        assert (await engine.ingest_sources([])).sources == ()
        assert await engine.documents() == []

    with_engine(work)


def test_a_wrong_source_among_many_is_named_and_what_was_finished_stays(with_engine):
    async def work(engine):
        with pytest.raises(ConfigError, match="metadata of 0070"):
            await engine.ingest_sources([*texts(70), Source("0070", b"x", metadata={"kind": "mine"}), *texts(5, 71)])
        assert {state.nodes for state in await engine.documents()} <= {1}
        assert await engine.store.check() == []

    with_engine(work)


def test_dates_in_metadata_are_kept_as_text_in_every_way_in(with_engine):
    import datetime as dt

    async def work(engine):
        metadata = {"effective": dt.date(2025, 1, 1), "tags": ["a", "b"]}
        await engine.ingest_text("One text.", uri="a", metadata=metadata)
        await engine.ingest_sources([Source("b", b"Two texts.", media_type="text/plain", metadata=metadata)])
        for state in await engine.documents():
            held = state.document.metadata
            assert (held["effective"], held["tags"]) == ("2025-01-01", ("a", "b"))

    with_engine(work)


def test_every_character_of_a_document_can_be_found_or_is_named_as_left_out(with_engine):
    """Loss: what is not white space stands in a node, or in a context, or in a block flagged boilerplate or hidden."""

    async def work(engine):
        await engine.ingest(str(HANDBOOK), principal=Principal.local("people-ops"))
        long = "\n\n".join(["# Long", *(f"{'word ' * 700}number {number}." for number in range(4)), "x" * 9000])
        await engine.ingest_text(long, uri="long.md")
        who = Principal.local("people-ops")
        checked = 0
        for state in await engine.documents(principal=who):
            _, text, blocks = await engine.document(state.document.id, principal=who)
            covered = bytearray(len(text))
            contexts = ""
            for hit in await engine.search("x", limit=1000, where={"uri": state.uri}, principal=who):
                covered[hit.node.span.start : hit.node.span.end] = b"\1" * (hit.node.span.end - hit.node.span.start)
                contexts += "\n" + hit.node.context
            for block in blocks:
                if block.boilerplate or block.hidden:
                    covered[block.span.start : block.span.end] = b"\1" * (block.span.end - block.span.start)
            words = []
            for block in blocks:
                lost = "".join(text[at] if not covered[at] else " " for at in range(block.span.start, block.span.end))
                words += [word for word in lost.split() if word not in contexts]
            outside = bytearray(len(text))
            for block in blocks:
                outside[block.span.start : block.span.end] = b"\1" * (block.span.end - block.span.start)
            words += [text[at] for at in range(len(text)) if not outside[at] and not text[at].isspace()]
            assert words == [], state.uri
            checked += len(text)
        assert checked > 40_000

    with_engine(work)


def test_deleting_while_ingesting_leaves_one_of_both_and_never_half(with_engine):
    async def work(engine):
        for number in range(6):
            # Both must have ended before anything is looked at: a failing one would leave the other running.
            ended = await asyncio.gather(
                engine.ingest_text(f"# A\n\nText number {number}.", uri="a"),
                engine.delete("a"),
                return_exceptions=True,
            )
            assert not isinstance(ended[0], BaseException)
            assert not isinstance(ended[1], BaseException) or isinstance(ended[1], NotFound)
            hits = await engine.search("text")
            states = await engine.documents()
            assert len(hits) == len(states) <= 1
        assert await engine.store.check() == []

    with_engine(work)


def test_documents_of_an_older_reader_are_counted_and_read_anew(with_engine, monkeypatch):
    from citewell.reading import versions
    from citewell.reading.markdown import MarkdownReader

    async def ingest(engine):
        report = await engine.ingest_text("# A\n\nText.", uri="a.md")
        await engine.ingest_text("Text.", uri="b.txt", media_type="text/plain")
        return report.count("added"), report.count("updated"), (await engine.status()).outdated

    async def look(engine):
        return (await engine.status()).outdated

    with monkeypatch.context() as patch:
        patch.setattr(versions, "MARKDOWN", "markdown@0")
        patch.setattr(MarkdownReader, "identity", "markdown@0")
        assert with_engine(ingest) == (1, 0, 0)
    assert with_engine(look) == 1
    assert with_engine(ingest) == (0, 1, 0)


def test_documents_are_outdated_where_the_ocr_engine_has_changed_and_only_there(with_engine, monkeypatch, tmp_path):
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho tesseract 5.9.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    made = io.BytesIO()
    letter = docx.Document()
    letter.add_paragraph("Keys are kept by the porter.")
    letter.save(made)

    async def ingest(engine):
        report = await engine.ingest_bytes(made.getvalue(), uri="a.docx")
        return report.count("added"), report.count("updated"), (await engine.status()).outdated

    async def look(engine):
        return (await engine.status()).outdated

    two_languages = dataclasses.replace(SETTINGS, reading=ReadingSettings(ocr="tesseract:eng+deu"))
    without = dataclasses.replace(SETTINGS, reading=ReadingSettings(ocr="none"))
    assert with_engine(ingest, two_languages) == (1, 0, 0)
    assert with_engine(look, without) == 1
    assert with_engine(ingest, without) == (0, 1, 0)
    assert with_engine(look, two_languages) == 1
