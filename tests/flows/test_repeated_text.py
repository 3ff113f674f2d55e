"""Text that repeats across documents is flagged, kept out of answers, and comes back when it repeats no more."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import SETTINGS, clock_free

from citewell.config import EmbeddingSettings, IngestionSettings, Settings, assemble
from citewell.errors import ModelUnavailable
from citewell.flows import repeats
from citewell.types import Access, Principal, Query, Reason, Source

ME = Principal.local()
ANN = Principal("local", "ann", frozenset({"hr"}))
HR = Access(frozenset({"group:hr"}))
OFF = Settings(embedding=EmbeddingSettings("hashing"), ingestion=IngestionSettings(boilerplate=False))
NOTICE = "This document is confidential and meant for the employees of Acme Corporation only."
TOPICS = ["valves", "pumps", "motors", "belts", "wheels", "lamps", "doors", "roofs", "pipes", "tanks", "fans", "locks"]


def sheet(number: int, *notices: str, access: Access | None = None, folder: str = "") -> Source:
    topic = TOPICS[number % len(TOPICS)]
    text = f"The {topic} of plant {number} are looked after by the team that has its office in building {number}."
    return Source(
        f"{folder}{number:02}",
        "\n\n".join([f"# Sheet {number}", text, *notices]).encode(),
        media_type="text/markdown",
        access=access or Access.everyone(),
    )


async def flagged(engine, principal: Principal = ME) -> dict[str, list[str]]:
    """The flagged texts by uri; that accounts and nodes agree with them is checked on the way."""
    found = {}
    for state in await engine.documents(principal=principal):
        ref, text, blocks = await engine.document(state.document.id, principal=principal)
        found[state.uri] = [block.span.of(text) for block in blocks if block.boilerplate]
        account = (await engine.contents(ref.id, principal=principal)).account
        left = account.left_out.get(Reason.BOILERPLATE)
        assert (left.characters if left else 0) == sum(len(one.replace(" ", "")) for one in found[state.uri])
    return found


async def nodes(engine, principal: Principal = ME):
    hits = await engine.search("sheet plant office building confidential", limit=500, principal=principal)
    return sorted((hit.document.uri, hit.document.version, hit.node.text) for hit in hits)


async def everything(engine, principal: Principal = ME):
    return await flagged(engine, principal), await nodes(engine, principal)


def test_a_notice_in_many_documents_is_flagged_and_found_in_one(with_engine):
    async def work(engine):
        report = await engine.ingest_sources([sheet(number, NOTICE) for number in range(12)])
        assert await flagged(engine) == {f"{n:02}": [NOTICE] if n else [] for n in range(12)}
        assert (report.repeated.documents, report.repeated.blocks) == (11, 11)
        assert [uri for uri, _, text in await nodes(engine) if NOTICE in text] == ["00"]
        answer = await engine.ask("Whom is the document confidential for, which employees of Acme Corporation?")
        assert {one.document.uri for claim in answer.claims for one in claim.citations} == {"00"}
        assert all(version == 1 for _, version, _ in await nodes(engine))
        told = {one.uri: one for one in report.sources}
        for state in await engine.documents():
            assert told[state.uri].nodes == state.nodes
            assert told[state.uri].account == (await engine.contents(state.document.id)).account
        assert NOTICE in (await engine.document(told["05"].document_id))[1]
        assert await engine.store.check() == []

    with_engine(work)


def test_what_repeats_follows_the_documents_that_come_and_go(with_engine):
    async def work(engine):
        await engine.ingest_sources([sheet(number, NOTICE) for number in range(4)])
        assert not any((await flagged(engine)).values())
        await engine.ingest_sources([sheet(4, NOTICE)])
        assert sum(map(bool, (await flagged(engine)).values())) == 4
        await engine.ingest_sources([sheet(number) for number in range(5, 17)])
        assert not any((await flagged(engine)).values())
        await engine.delete("15", "16")
        assert sum(map(bool, (await flagged(engine)).values())) == 4
        await engine.ingest_sources(
            [sheet(4, "Another text, that is long enough to be flagged and is found just here.")]
        )
        assert not any((await flagged(engine)).values())
        assert [version for uri, version, _ in await nodes(engine) if uri == "04"] == [2]
        assert {version for uri, version, _ in await nodes(engine) if uri != "04"} == {1}
        assert await engine.store.check() == []

    with_engine(work)


@given(st.randoms(use_true_random=False))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_documents_end_in_the_same_flags_and_nodes_in_any_order(tmp_path_factory, chance):
    wanted = [sheet(n, *([NOTICE] if n % 2 else []), folder="ab"[n % 3 == 0] + "/") for n in range(24)]
    gone = [sheet(n, NOTICE, folder="a/") for n in range(30, 36)]

    async def world(order, cuts):
        async with await assemble(tmp_path_factory.mktemp("kb"), SETTINGS, principal=ME) as engine:
            for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
                await engine.ingest_sources(order[start:end])
            await engine.delete(*(one.uri for one in gone))
            assert await engine.store.check() == []
            return await everything(engine)

    order = [*wanted, *gone]
    chance.shuffle(order)
    cuts = sorted(chance.sample(range(1, len(order)), 3))
    assert asyncio.run(world(order, cuts)) == asyncio.run(world([*gone, *wanted], []))


def test_documents_under_another_rule_change_nothing_that_others_see(tmp_path):
    def world(name, hidden):
        async def work():
            async with await assemble(tmp_path / name, SETTINGS) as engine:
                await engine.ingest_sources([sheet(n, NOTICE) for n in range(4)], principal=ME)
                if hidden:
                    more = [sheet(n, NOTICE, access=HR) for n in range(20, 30)]
                    told = await engine.ingest_sources(more, principal=ANN)
                    assert told.repeated.blocks == 9
                last = await engine.ingest_sources([sheet(40)], principal=ME)
                return clock_free((await everything(engine, ME), last.repeated, await engine.search("x", principal=ME)))

        return asyncio.run(work())

    assert world("with", True) == world("without", False)


def test_whoever_may_not_read_documents_is_not_told_what_repeats_in_them(with_engine):
    async def work(engine):
        report = await engine.ingest_sources([sheet(n, NOTICE, access=HR) for n in range(12)], principal=ME)
        assert (report.count("added"), report.repeated.blocks) == (12, 0)
        assert sum(map(bool, (await flagged(engine, ANN)).values())) == 11

    with_engine(work)


def test_the_old_nodes_answer_until_the_new_ones_are_in(with_engine):
    async def work(engine):
        await engine.ingest_sources([sheet(number, NOTICE) for number in range(4)])
        before, sequence = await nodes(engine), await engine.store.sequence()
        query = Query("confidential employees")
        view = await engine.index.view(query, ME)
        ranking = await engine.retriever.search(query, view, 50)
        await engine.ingest_sources([sheet(4, NOTICE)])
        assert sum(NOTICE in text for _, _, text in await nodes(engine)) == 1
        assert len(await view.hits(ranking, 50)) == len(ranking.rows)
        hits = await engine.search("sheet plant office building confidential", limit=500, as_of=sequence)
        assert sorted((hit.document.uri, hit.document.version, hit.node.text) for hit in hits) == before

    with_engine(work)


def test_a_run_that_broke_off_is_made_good_by_the_next(with_engine, monkeypatch):
    monkeypatch.setattr(repeats, "_BATCH", 3)

    async def work(engine):
        revise, calls = engine.store.revise, []

        async def failing(cohort, revisions):
            calls.append(len(revisions))
            if len(calls) == 2:
                raise ModelUnavailable("The endpoint is gone.")
            return await revise(cohort, revisions)

        engine.store.revise = failing
        with pytest.raises(Exception, match="endpoint is gone"):
            await engine.ingest_sources([sheet(number, NOTICE) for number in range(12)])
        assert sum(map(bool, (await flagged(engine)).values())) in range(1, 11)
        engine.store.revise = revise
        await engine.ingest_sources([])
        assert sum(map(bool, (await flagged(engine)).values())) == 11

    with_engine(work)


def test_documents_that_come_while_others_are_flagged_count_as_well(with_engine, monkeypatch):
    """Another process ingests between two batches of flags: what was decided before is not carried out any more."""
    monkeypatch.setattr(repeats, "_BATCH", 3)

    async def work(engine):
        revise, calls = engine.store.revise, []

        async def slow(cohort, revisions):
            calls.append(len(revisions))
            if len(calls) == 2:
                engine.store.revise = revise
                await engine.ingest_sources([sheet(number) for number in range(12, 45)])
            return await revise(cohort, revisions)

        engine.store.revise = slow
        await engine.ingest_sources([sheet(number, NOTICE) for number in range(12)])
        assert len(calls) == 2
        assert not any((await flagged(engine)).values())
        assert await engine.store.cohorts("local", "default", engine.repeats.identity) == []
        assert await engine.store.check() == []

    with_engine(work)


def test_the_setting_turns_it_off_and_on_for_what_is_there(with_engine):
    async def fill(engine):
        report = await engine.ingest_sources([sheet(number, NOTICE) for number in range(12)])
        assert report.repeated.blocks == 0
        return await everything(engine)

    async def again(engine):
        await engine.ingest_sources([sheet(0, NOTICE)])
        return await everything(engine)

    off = with_engine(fill, OFF)
    assert not any(off[0].values())
    on = with_engine(again)
    assert sum(map(bool, on[0].values())) == 11
    assert with_engine(again, OFF) == off
    assert with_engine(again) == on


def test_versions_of_a_series_do_not_make_their_text_boilerplate(with_engine):
    async def work(engine):
        manual = [
            NOTICE,
            *(f"Paragraph {n} of the manual says what is to be done in case number {n}." for n in range(9)),
        ]
        versions = [
            Source(
                f"v{number}",
                "\n\n".join([f"# Manual {number}", *manual]).encode(),
                media_type="text/markdown",
                metadata={"series": "manual", "version_label": str(number)},
            )
            for number in range(16)
        ]
        await engine.ingest_sources([*versions, *(sheet(number) for number in range(3))])
        assert not any((await flagged(engine)).values())

    with_engine(work)


def test_re_ingesting_leaves_flagged_documents_alone(with_engine):
    async def work(engine):
        sheets = [sheet(number, NOTICE) for number in range(12)]
        await engine.ingest_sources(sheets)
        held, sequence = await everything(engine), await engine.store.sequence()
        random.Random(1).shuffle(sheets)
        report = await engine.ingest_sources(sheets)
        assert report.count("unchanged") == 12
        assert (await everything(engine), await engine.store.sequence()) == (held, sequence)

    with_engine(work)
