"""Hidden is absent: through every method of the engine, in scores, counts, errors and reports."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import SETTINGS, clock_free, fail_with

from citewell.config import assemble
from citewell.errors import ConfigError, NotFound
from citewell.types import Access, Outcome, Principal, Source

ANN = Principal("local", "ann", frozenset({"hr"}))
BOB = Principal("local", "bob")
OTHER = Principal("other", "ann", frozenset({"hr"}))
HR = Access(frozenset({"group:hr"}))
EVERYONE = Access.everyone()
OPEN = "# Travel\n\nThe hotel limit is EUR 180 per night."
CLOSED = "# Salaries\n\nThe salary of band E4 is EUR 95000 per year."


async def stocked(engine):
    await engine.ingest_text(OPEN, uri="travel.md", principal=ANN)
    await engine.ingest_text(CLOSED, uri="bands.md", access=HR, principal=ANN)
    return {state.uri: state.document.id for state in await engine.documents(principal=ANN)}


async def error_of(work) -> tuple[type, str]:
    with pytest.raises(NotFound) as error:
        await work
    return type(error.value), str(error.value)


@pytest.mark.parametrize("who", [BOB, OTHER], ids=["colleague", "other tenant"])
def test_a_hidden_document_is_absent_from_every_method(with_engine, who):
    async def work(engine):
        ids = await stocked(engine)
        for filters in ({}, {"where": {"uri": "bands.md"}}, {"bucket": "default"}, {"as_of": 2}, {"limit": 1000}):
            hits = await engine.search("salary band E4 EUR 95000", principal=who, **filters)
            assert "bands.md" not in {hit.document.uri for hit in hits}
            answer = await engine.ask(
                "What is the salary of band E4?",
                principal=who,
                **{name: value for name, value in filters.items() if name != "limit"},
            )
            assert "EUR 95000" not in repr(answer)
            assert "bands" not in repr(answer)
            assert answer.outcome is Outcome.ABSTAINED
            account = await engine.explain(answer.run_id, principal=who)
            assert "EUR 95000" not in repr(account)
        assert "bands.md" not in {state.uri for state in await engine.documents(principal=who)}
        assert "bands.md" not in {state.uri for state in await engine.documents(bucket="default", principal=who)}
        hidden = await error_of(engine.document(ids["bands.md"], principal=who))
        absent = await error_of(engine.document("0" * 32, principal=who))
        assert hidden[1].replace(ids["bands.md"], "ID") == absent[1].replace("0" * 32, "ID")
        hidden = await error_of(engine.delete("bands.md", principal=who))
        absent = await error_of(engine.delete("nothing.md", principal=who))
        assert hidden[1].replace("bands.md", "X") == absent[1].replace("nothing.md", "X")
        assert [state.uri for state in await engine.documents(principal=ANN)] == ["bands.md", "travel.md"]

    with_engine(work)


def test_the_other_tenant_sees_nothing_and_counts_nothing(with_engine):
    async def work(engine):
        await stocked(engine)
        assert await engine.search("hotel limit", principal=OTHER) == []
        assert await engine.documents(principal=OTHER) == []
        assert (await engine.status(principal=OTHER)).buckets == ()
        await engine.ingest_text("# Own\n\nThe hotel limit is EUR 5.", uri="travel.md", principal=OTHER)
        assert [hit.node.text for hit in await engine.search("hotel limit", principal=OTHER)] == [
            "Own\n\nThe hotel limit is EUR 5."
        ]
        assert [state.document.version for state in await engine.documents(principal=OTHER)] == [1]
        assert (await engine.search("hotel limit", principal=BOB))[0].document.title == "Travel"
        await engine.delete("travel.md", principal=OTHER)
        assert len(await engine.search("hotel limit", principal=BOB)) == 1

    with_engine(work)


def test_a_delete_that_names_one_hidden_document_deletes_none(with_engine):
    async def work(engine):
        await stocked(engine)
        with pytest.raises(NotFound, match="bands"):
            await engine.delete("travel.md", "bands.md", principal=BOB)
        assert len(await engine.documents(principal=ANN)) == 2

    with_engine(work)


hidden_texts = st.lists(
    st.text(alphabet="hotel limit night EUR 180 salary.\n", min_size=8, max_size=80).filter(lambda text: text.strip()),
    max_size=4,
)


async def seen_by_bob(engine) -> object:
    """All that bob can learn, without ids of runs and times."""
    questions = ["What is the hotel limit per night?", "salary limit", "What is the salary of band E4?"]
    found = [await engine.search(text, principal=BOB, **more) for text in questions for more in ({}, {"limit": 1})]
    answers = [await engine.ask(text, principal=BOB) for text in questions]
    status = await engine.status(principal=BOB)
    return clock_free([found, answers, await engine.documents(principal=BOB), status.buckets, status.identity])


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=hidden_texts, after=hidden_texts, removed=st.integers(0, 4), tenant=st.sampled_from(["local", "other"]))
def test_what_one_may_not_read_changes_nothing_of_what_one_sees(tmp_path_factory, before, after, removed, tenant):
    owner = Principal(tenant, "ann", frozenset({"hr"}))

    async def world(hidden: bool) -> object:
        folder = tmp_path_factory.mktemp("kb")
        async with await assemble(folder, SETTINGS) as engine:

            async def add(texts, prefix):
                sources = [
                    Source(f"{prefix}{number}", text.encode(), tenant=tenant, media_type="text/plain", access=HR)
                    for number, text in enumerate(texts)
                ]
                if hidden and sources:
                    await engine.ingest_sources(sources, principal=owner)

            await add(before, "h")
            await engine.ingest_text(OPEN, uri="travel.md", principal=BOB)
            await seen_by_bob(engine)  # what is cached here must not carry over
            await add(after, "h")
            held = [state.uri for state in await engine.documents(principal=owner) if state.uri.startswith("h")]
            if held[:removed]:
                await engine.delete(*held[:removed], principal=owner)
            await engine.ingest_text("# Trains\n\nThe train limit is EUR 90 per trip.", uri="train.md", principal=BOB)
            await add(before, "i")
            return await seen_by_bob(engine)

    assert asyncio.run(world(True)) == asyncio.run(world(False))


def test_a_run_is_read_by_its_own_principal_only(with_engine):
    async def work(engine):
        await stocked(engine)
        answer = await engine.ask("What is the salary of band E4?", principal=ANN)
        assert "95000" in answer.text
        assert (await engine.explain(answer.run_id[:8], principal=ANN)).record.run_id == answer.run_id
        for who in (BOB, OTHER, Principal("local", "ANN"), Principal("other", "bob")):
            hidden = await error_of(engine.explain(answer.run_id, principal=who))
            absent = await error_of(engine.explain("f" * 32, principal=who))
            assert hidden[1].replace(answer.run_id, "ID") == absent[1].replace("f" * 32, "ID")
            assert await engine.runs(principal=who) == []
        for id in ("", "%", "_", "' OR 1=1 --", "\0", "\ud800"):
            with pytest.raises(NotFound):
                await engine.explain(id, principal=BOB)
        assert await engine.runs(limit=-1, principal=ANN) == []

    with_engine(work)


def test_who_loses_a_group_loses_documents_and_citations_and_keeps_own_journals(with_engine):
    """The contract: a journal records what its asker was shown then; documents are asked for anew each time."""
    left = Principal("local", "ann")

    async def work(engine):
        ids = await stocked(engine)
        answer = await engine.ask("What is the salary of band E4?", principal=ANN)
        citation = answer.claims[0].citations[0]
        assert "95000" in (await engine.document(citation.document.id, principal=ANN))[1]
        hidden = await error_of(engine.document(ids["bands.md"], principal=left))
        absent = await error_of(engine.document("0" * 32, principal=left))
        assert hidden[1].replace(ids["bands.md"], "ID") == absent[1].replace("0" * 32, "ID")
        assert (await engine.ask("What is the salary of band E4?", principal=left)).outcome is Outcome.ABSTAINED
        assert "EUR 95000" in repr((await engine.explain(answer.run_id, principal=left)).shown)

    with_engine(work)


@pytest.mark.parametrize(
    "rule",
    [HR, Access(), Access(frozenset({"everyone"}), frozenset({"user:bob"}))],
    ids=["only a group", "nobody", "denied"],
)
def test_a_new_rule_holds_at_once_and_for_the_past_too(with_engine, rule):
    async def work(engine):
        await engine.ingest_text(CLOSED, uri="bands.md", principal=ANN)
        before = (await engine.status(principal=BOB)).sequence
        (known,) = await engine.documents(principal=BOB)
        assert len(await engine.search("salary", principal=BOB)) == 1
        report = await engine.ingest_text(CLOSED, uri="bands.md", access=rule, principal=ANN)
        assert report.count("updated") == 1
        for as_of in (None, before):
            assert await engine.search("salary", as_of=as_of, principal=BOB) == []
            answer = await engine.ask("What is the salary of band E4?", as_of=as_of, principal=BOB)
            assert answer.outcome is Outcome.ABSTAINED
        assert await engine.documents(principal=BOB) == []
        await error_of(engine.document(known.document.id, principal=BOB))

    with_engine(work)


@pytest.mark.parametrize("text", [CLOSED, "# Mine\n\nThe salary is what I say."], ids=["the same bytes", "other bytes"])
@pytest.mark.parametrize("access", [EVERYONE, HR], ids=["open", "the same rule"])
def test_a_hidden_document_is_neither_replaced_nor_revealed_by_its_name(with_engine, text, access):
    async def work(engine):
        ids = await stocked(engine)
        sources = [
            Source("bands.md", text.encode(), media_type="text/markdown", access=access),
            Source("new.md", b"# New\n\nSomething new.", media_type="text/markdown"),
        ]
        report = await engine.ingest_sources(sources, principal=BOB)
        refused, added = report.sources
        assert (refused.outcome, refused.kind) == ("failed", "not_permitted")
        assert (refused.document_id, refused.version, refused.nodes, refused.characters) == (None, None, 0, 0)
        assert added.outcome == "added"
        assert ids["bands.md"] not in repr(report)
        assert ids["bands.md"] not in repr(await engine.explain(report.run_id, principal=BOB))
        assert (await engine.search("salary band", principal=ANN))[0].node.text == CLOSED.replace("# ", "", 1)
        state = next(one for one in await engine.documents(principal=ANN) if one.uri == "bands.md")
        assert (state.state, state.document.version) == ("active", 1)
        assert "bands.md" not in {one.uri for one in await engine.documents(principal=BOB)}
        return refused.message

    said = with_engine(work)
    assert "EUR 95000" not in said


def test_the_refusal_says_the_same_whatever_is_given_and_whatever_is_there(with_engine):
    async def work(engine):
        await stocked(engine)
        await fail_with(engine, "broken.pdf", b"%PDF-1.4 nothing", HR, ANN)
        said = []
        for uri, content in (("bands.md", CLOSED.encode()), ("bands.md", b"%PDF-1.4 x"), ("broken.pdf", b"# Mine")):
            report = await engine.ingest_bytes(content, uri=uri, principal=BOB)
            (one,) = report.sources
            assert one.kind == "not_permitted"
            said.append(one.message.replace(uri, "X"))
        assert len(set(said)) == 1
        states = {one.uri: one for one in await engine.documents(principal=ANN)}
        assert states["bands.md"].state == "active"
        assert states["broken.pdf"].state == "failed"

    with_engine(work)


def test_who_may_read_may_replace_and_a_deleted_name_is_free(with_engine):
    async def work(engine):
        await stocked(engine)
        report = await engine.ingest_text("# Salaries\n\nNone.", uri="bands.md", access=HR, principal=ANN)
        assert report.count("updated") == 1
        await engine.delete("bands.md", principal=ANN)
        report = await engine.ingest_text("# Bands\n\nThe bands that play.", uri="bands.md", principal=BOB)
        assert report.count("added") == 1

    with_engine(work)


def test_a_file_too_large_to_read_does_not_touch_the_hidden_document_of_its_name(with_engine, tmp_path):
    async def work(engine):
        await stocked(engine)
        engine.max_bytes = 10
        (tmp_path / "bands.md").write_text(CLOSED)
        report = await engine.ingest(str(tmp_path / "bands.md"), principal=BOB)
        assert [one.kind for one in report.sources] == ["not_permitted"]
        state = next(one for one in await engine.documents(principal=ANN) if one.uri == "bands.md")
        assert state.state == "active"

    with_engine(work)


def test_mirror_leaves_what_the_caller_may_not_read(with_engine, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nText of a.")
    (folder / "bands.md").write_text("# Mine\n\nMine.")

    async def work(engine):
        await stocked(engine)
        await engine.ingest_text("# Secret\n\nMore.", uri="secret.md", access=HR, principal=ANN)
        report = await engine.ingest(str(folder), mirror=True, principal=BOB)
        assert {one.uri: one.outcome for one in report.sources} == {
            "a.md": "added",
            "bands.md": "failed",
            "travel.md": "deleted",
        }
        assert report.mirror
        assert {one.uri for one in await engine.documents(principal=ANN)} == {"a.md", "bands.md", "secret.md"}

    with_engine(work)


@pytest.mark.parametrize("buckets", [[], ()])
def test_an_empty_list_of_buckets_is_not_all_buckets(with_engine, buckets):
    async def work(engine):
        await stocked(engine)
        with pytest.raises(ConfigError, match="buckets is empty"):
            await engine.search("hotel", bucket=buckets)
        with pytest.raises(ConfigError, match="buckets is empty"):
            await engine.ask("hotel", bucket=buckets)
        assert await engine.search("hotel", bucket=["nothing"], principal=ANN) == []

    with_engine(work)


@pytest.mark.parametrize(
    "rule",
    [Access(frozenset({"hr"})), Access(frozenset({"everyone"}), frozenset({"bob"})), Access(frozenset({"group:"}))],
)
def test_a_rule_with_a_name_that_names_nobody_is_refused(with_engine, rule, tmp_path):
    (tmp_path / "a.md").write_text("# A\n\nText.")

    async def work(engine):
        for attempt in (
            engine.ingest_text("text", uri="a", access=rule),
            engine.ingest(str(tmp_path / "a.md"), access=rule),
            engine.ingest_sources([Source("a", b"text", access=rule)]),
        ):
            with pytest.raises(ConfigError, match="is no name"):
                await attempt
        assert await engine.documents() == []

    with_engine(work)


def test_an_engine_of_many_users_needs_to_be_told_who_asks(tmp_path):
    async def work():
        async with await assemble(tmp_path / "kb", SETTINGS) as engine:
            for attempt in (
                lambda **who: engine.search("x", **who),
                lambda **who: engine.ask("x", **who),
                lambda **who: engine.ingest_text("x", uri="x", **who),
                lambda **who: engine.ingest_sources([], **who),
                lambda **who: engine.ingest("x", **who),
                lambda **who: engine.documents(**who),
                lambda **who: engine.document("x", **who),
                lambda **who: engine.delete("x", **who),
                lambda **who: engine.runs(**who),
                lambda **who: engine.explain("x", **who),
                lambda **who: engine.status(**who),
            ):
                for who in ({}, {"principal": None}, {"principal": "ann"}, {"principal": ("local", "ann")}):
                    with pytest.raises(ConfigError, match=r"[Pp]rincipal"):
                        await attempt(**who)

    asyncio.run(work())
