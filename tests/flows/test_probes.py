"""The faults measured in other frameworks (requirements §3), asked of Citewell's own engine."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from citewell.config import EmbeddingSettings, Settings, assemble
from citewell.errors import IndexMismatch, ModelUnavailable
from citewell.retrieval.dense import Dense
from citewell.retrieval.fuse import Fused
from citewell.retrieval.lexical import Lexical
from citewell.synthesis.generate import Generative
from citewell.testing.scripted import ScriptedGenerator
from citewell.types import Outcome, Principal, Query, Verdict
from citewell.workflow import (
    Context,
    MemoryJournal,
    PlainStartEvent,
    PlainStopEvent,
    StateRefused,
    Workflow,
    launch,
    step,
)

HANDBOOK = Path(__file__).parents[2] / "examples/handbook/docs"


class Broken:
    """An embedder that fails from a given moment on."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.identity, self.dimensions, self.max_tokens = inner.identity, inner.dimensions, inner.max_tokens
        self.broken = False

    def token_starts(self, text):
        return self.inner.token_starts(text)

    async def embed(self, texts, *, role):
        if self.broken:
            raise ModelUnavailable("The endpoint is down.", attempts=3)
        return await self.inner.embed(texts, role=role)


def test_p1_changed_document_keeps_answering_when_a_later_stage_fails(with_engine, tmp_path):
    file = tmp_path / "limit.md"

    async def work(engine):
        engine.embedder = broken = Broken(engine.embedder)
        file.write_text("# Limit\n\nThe limit is 5 units.")
        await engine.ingest(str(file))
        file.write_text("# Limit\n\nThe limit is 6 units.")
        broken.broken = True
        with pytest.raises(ModelUnavailable, match="endpoint is down"):
            await engine.ingest(str(file))
        broken.broken = False
        assert [hit.node.text for hit in await engine.search("limit units")] == ["Limit\n\nThe limit is 5 units."]
        report = await engine.ingest(str(file))
        assert report.count("updated") == 1
        assert [hit.document.version for hit in await engine.search("limit units")] == [2]

    with_engine(work)


def test_p2_mirror_removes_both_of_two_documents_with_equal_text(with_engine, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a.md", "b.md", "kept.md"):
        (folder / name).write_text("# Same\n\nThe same text in both.")

    async def work(engine):
        await engine.ingest(str(folder), mirror=True)
        assert len(await engine.search("same text")) == 3
        (folder / "a.md").unlink()
        (folder / "b.md").unlink()
        report = await engine.ingest(str(folder), mirror=True)
        assert report.count("deleted") == 2
        assert [hit.document.uri for hit in await engine.search("same text")] == ["kept.md"]

    with_engine(work)


def test_mirror_deletes_nothing_when_a_place_could_not_be_listed(with_engine, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nStill here.")

    async def work(engine):
        await engine.ingest(str(folder))
        report = await engine.ingest(str(tmp_path / "gone"), mirror=True)
        assert [one.kind for one in report.failed] == ["missing"]
        assert report.count("deleted") == 0
        assert len(await engine.search("still here")) == 1

    with_engine(work)


@pytest.mark.parametrize("method", ["rrf", "zscore"])
def test_p3_weights_change_the_ranking(with_engine, method):
    async def work(engine):
        texts = [
            "rotate keys " * 9 + "and much else besides " * 9,
            "rotate the keychain",
            "keys",
            "rotating keyed locks",
        ]
        for number, text in enumerate(texts):
            await engine.ingest_text(text, uri=str(number), media_type="text/plain")
        query = Query("rotate keys")
        view = await engine.index.view(query, Principal.local())

        async def rows(weights):
            fused = Fused([Dense(engine.embedder), Lexical()], method=method, weights=weights)
            return list((await fused.search(query, view, 4)).rows)

        assert await rows([1, 0]) != await rows([0, 1])

    with_engine(work)


def test_p4_every_node_of_every_format_is_the_text_at_its_offsets(with_engine):
    async def work(engine):
        await engine.ingest(str(HANDBOOK))
        checked = 0
        for state in await engine.documents():
            _, text, _ = await engine.document(state.document.id)
            hits = await engine.search("policy", limit=1000, where={"uri": state.uri})
            for hit in hits:
                assert text[hit.node.span.start : hit.node.span.end] == hit.node.text
                checked += 1
        assert checked == sum(state.nodes for state in await engine.documents()) > 200

    with_engine(work)


def test_p6_text_under_a_number_filter_is_no_error_and_no_match(with_engine):
    async def work(engine):
        await engine.ingest_text("The old rule.", uri="a", metadata={"year": "2024"})
        await engine.ingest_text("The new rule.", uri="b", metadata={"year": 2024})
        assert [hit.document.uri for hit in await engine.search("rule", where={"year": {">": 2000}})] == ["b"]
        assert [hit.document.uri for hit in await engine.search("rule", where="year > '2000'")] == ["a"]

    with_engine(work)


def test_p9_invented_citation_is_removed_and_its_claim_unsupported(with_engine):
    async def work(engine):
        await engine.ingest_text("# Limit\n\nThe limit is 5 units.", uri="limit.md")
        engine.writer = Generative(ScriptedGenerator(["The limit is 99 units [42]."]))
        answer = await engine.ask("What is the limit?")
        assert answer.outcome is Outcome.ABSTAINED
        assert "99" not in answer.text
        (claim,) = answer.rejected
        assert claim.verdict is Verdict.UNSUPPORTED
        assert claim.citations == ()
        assert any("[42]" in reason for reason in claim.reasons)

    with_engine(work)


def test_wrong_number_with_a_real_citation_is_not_shown_either(with_engine):
    async def work(engine):
        await engine.ingest_text("# Limit\n\nThe limit is 5 units.", uri="limit.md")
        engine.writer = Generative(ScriptedGenerator(["The limit is 99 units [1].", "The limit is 5 units [1]."]))
        wrong = await engine.ask("What is the limit?")
        assert (wrong.outcome, wrong.rejected[0].verdict) == (Outcome.ABSTAINED, Verdict.CONTRADICTED)
        right = await engine.ask("What is the limit?")
        assert (right.outcome, right.text) == (Outcome.ANSWERED, "The limit is 5 units. [1]")
        assert right.claims[0].citations[0].quote == "The limit is 5 units."

    with_engine(work)


def test_p11_other_embedder_of_equal_dimension_is_refused_with_both_names(with_engine, tmp_path):
    async def work(engine):
        await engine.ingest_text("Something.", uri="a")

    with_engine(work)
    with pytest.raises(IndexMismatch) as error:
        asyncio.run(assemble(tmp_path / "kb", Settings()))
    assert "hash@" in str(error.value)
    assert "MiniLM" in str(error.value)


def test_p12_other_dimension_is_refused_with_a_remedy(with_engine, tmp_path):
    async def work(engine):
        await engine.ingest_text("Something.", uri="a")

    with_engine(work)
    other = Settings(embedding=EmbeddingSettings("hashing", {"dimensions": 128}))
    with pytest.raises(IndexMismatch) as error:
        asyncio.run(assemble(tmp_path / "kb", other))
    assert "384" in str(error.value)
    assert "128" in str(error.value)
    assert "new folder" in str(error.value)


def test_p13_metadata_longer_than_a_node_is_ingested(with_engine):
    async def work(engine):
        note = "very long metadata " * 2000
        report = await engine.ingest_text("# Rule\n\nThe rule.", uri="a", metadata={"note": note, "title": note[:5000]})
        assert report.count("added") == 1
        (hit,) = await engine.search("rule")
        assert hit.node.tokens <= 256
        assert hit.document.metadata["note"] == note

    with_engine(work)


def test_p14_every_piece_of_a_long_markdown_table_carries_the_header(with_engine):
    rows = "\n".join(f"| Country {row} | {row * 3} EUR | {row} days |" for row in range(60))

    async def work(engine):
        engine.splitter = dataclasses.replace(engine.splitter, max_tokens=128)
        table = f"# Rates\n\n| Country | Allowance | Leave |\n|---|---|---|\n{rows}\n"
        await engine.ingest_text(table, uri="rates.md")
        hits = await engine.search("country", limit=100)
        assert len(hits) >= 4
        assert all("Country | Allowance | Leave" in hit.node.indexed_text for hit in hits)
        lines = [line for hit in hits for line in hit.node.text.split("\n")]
        assert sum(line.count(" | ") == 2 for line in lines) == 61

    with_engine(work)


def test_p16_state_that_cannot_be_encoded_is_refused_when_it_is_written():
    @dataclasses.dataclass(frozen=True, slots=True)
    class Begin(PlainStartEvent):
        pass

    @dataclasses.dataclass(frozen=True, slots=True)
    class End(PlainStopEvent):
        pass

    class Careless(Workflow):
        @step
        async def write(self, event: Begin, ctx: Context) -> End:
            await ctx.store.set("lock", object())
            raise AssertionError("not reached")

    async def run():
        await launch(Careless(), Begin(), journal=MemoryJournal())

    with pytest.raises(StateRefused, match="'lock' = a object was refused"):
        asyncio.run(run())
