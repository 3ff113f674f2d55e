"""A suite that cannot fail proves nothing: parts that are broken in one way each, and the case that must say so."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from contract_sources import sources

from citewell.errors import ModelUnavailable
from citewell.indexing.analysis import Analyzer
from citewell.indexing.index import Index
from citewell.models.hashing import HashEmbedder
from citewell.protocols import Generation, Grounds, Ranking
from citewell.reading.text import TextReader
from citewell.retrieval import Dense, Lexical
from citewell.splitting.sections import Sections
from citewell.synthesis.extract import Extractive
from citewell.synthesis.generate import Generative
from citewell.testing import (
    embedder_contract,
    generator_contract,
    index_contract,
    journal_contract,
    reader_contract,
    retriever_contract,
    splitter_contract,
    tokenizer_contract,
    transform_contract,
    validator_contract,
    writer_contract,
)
from citewell.testing.knowledge_samples import ANN
from citewell.testing.scripted import ScriptedGenerator
from citewell.types import Mark, Span, Statement, Verdict
from citewell.validation.judge import Deterministic
from citewell.workflow import MemoryJournal


class Embedders:
    class Long(HashEmbedder):
        async def embed(self, texts, *, role):
            return await super().embed(texts, role=role) * 2

    class Shuffled(HashEmbedder):
        async def embed(self, texts, *, role):
            return (
                (await super().embed(sorted(texts), role=role))
                if len(texts) > 1
                else await super().embed(texts, role=role)
            )

    class Batched(HashEmbedder):
        async def embed(self, texts, *, role):
            vectors = await super().embed(texts, role=role)
            vectors[:, 1] += 0.01 * len(texts)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)

    class Blocking(HashEmbedder):
        async def embed(self, texts, *, role):
            time.sleep(0.002 * len(texts))  # noqa: ASYNC251
            return self._vectors(texts)

    class Unlimited(HashEmbedder):
        max_tokens = 50

        async def embed(self, texts, *, role):
            return await HashEmbedder(self.dimensions).embed(texts, role=role)

    class Fussy(HashEmbedder):
        async def embed(self, texts, *, role):
            if "" in texts:
                raise ValueError("empty")
            return await super().embed(texts, role=role)


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Embedders.Long, "vectors_are_unit_float32_of_the_stated_shape"),
        (Embedders.Shuffled, "vectors_come_in_the_order_of_their_texts"),
        (Embedders.Batched, "a_text_has_one_vector_in_any_company"),
        (Embedders.Blocking, "the_event_loop_goes_on_meanwhile"),
        (Embedders.Unlimited, "what_stands_after_max_tokens_is_not_seen"),
        (Embedders.Fussy, "empty_and_odd_texts_have_unit_vectors_too"),
    ],
)
def test_a_broken_embedder_is_caught(broken, case):
    caught(embedder_contract, case, lambda: broken(64))


def test_a_tokenizer_that_drifts_is_caught():
    class Drifting(HashEmbedder):
        def token_starts(self, text):
            return [
                min(len(text) - 1, start + number // 3000) for number, start in enumerate(super().token_starts(text))
            ]

    caught(tokenizer_contract, "a_token_of_a_long_text_starts_where_its_word_does", Drifting)


class Readers:
    class Crashing(TextReader):
        def read(self, source):
            source.content.decode()
            return super().read(source)

    class Forgetful(TextReader):
        def read(self, source):
            made = super().read(source)
            return replace(made, blocks=made.blocks[:-1]) if len(made.blocks) > 1 else made

    class Placeless(TextReader):
        def read(self, source):
            return replace(super().read(source), id="1")

    class Counting(TextReader):
        def __init__(self):
            self.count = 0

        def read(self, source):
            self.count += 1
            return replace(super().read(source), warnings=(str(self.count),))


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Readers.Crashing, "damaged_bytes_are_read_or_refused_with_a_kind"),
        (Readers.Forgetful, "documents_keep_the_laws"),
        (Readers.Placeless, "the_id_follows_the_place_and_the_text_alone"),
        (Readers.Counting, "the_same_bytes_make_the_same_document"),
    ],
)
def test_a_broken_reader_is_caught(broken, case):
    given = sources("txt")[:1]
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        getattr(reader_contract, case)(broken, given)
    getattr(reader_contract, case)(TextReader, given)


class Splitters:
    class Losing(Sections):
        def split(self, document):
            return super().split(document)[:-1]

    class Trimming(Sections):
        def split(self, document):
            return [replace(node, text=node.text.upper()) for node in super().split(document)]

    class Backwards(Sections):
        def split(self, document):
            return super().split(document)[::-1]

    class Overfull(Sections):
        def split(self, document):
            return Sections(self.tokenizer, self.max_tokens * 2).split(document)

    class OneId(Sections):
        def split(self, document):
            return [replace(node, id=document.id) for node in super().split(document)]


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Splitters.Losing, "every_visible_character_is_in_a_node"),
        (Splitters.Trimming, "verbatim_nodes_are_slices_of_their_document"),
        (Splitters.Backwards, "nodes_come_in_reading_order"),
        (Splitters.Overfull, "no_node_is_over_the_bound"),
        (Splitters.OneId, "ids_are_unique_in_and_across_documents"),
    ],
)
def test_a_broken_splitter_is_caught(broken, case):
    with pytest.raises(AssertionError):
        getattr(splitter_contract, case)(broken)
    getattr(splitter_contract, case)(Sections)


class Transforms:
    class Rewriting:
        identity = "rewriting@1"

        def apply(self, document, nodes):
            return [replace(node, text=f"{node.text}!") for node in nodes]

    class Emptying:
        identity = "emptying@1"

        def apply(self, document, nodes):
            nodes.clear()
            return []

    class Doubling:
        identity = "doubling@1"

        def apply(self, document, nodes):
            return [*nodes, *nodes]


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Transforms.Rewriting, "nodes_made_stand_for_a_place_of_their_document"),
        (Transforms.Emptying, "what_was_given_is_left_alone"),
        (Transforms.Doubling, "ids_stay_unique"),
    ],
)
def test_a_broken_transform_is_caught(broken, case):
    with pytest.raises(AssertionError):
        getattr(transform_contract, case)(broken)


class Retrievers:
    class Greedy(Dense):
        async def search(self, query, view, limit):
            return await super().search(query, view, limit + 1)

    class Backwards(Dense):
        async def search(self, query, view, limit):
            found = await super().search(query, view, limit)
            return Ranking(found.rows[::-1], found.scores[::-1])

    class Remembering(Lexical):
        held = None

        async def search(self, query, view, limit):
            self.held = self.held or await super().search(query, view, 1000)
            return Ranking(self.held.rows[:limit], self.held.scores[:limit])

    class Other(Dense):
        async def score(self, query, view, rows):
            return await super().score(query, view, rows) * 2

    class Sorting(Dense):
        async def score(self, query, view, rows):
            return await super().score(query, view, np.sort(rows))


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Retrievers.Greedy, "rankings_are_best_first_and_keep_their_limit"),
        (Retrievers.Backwards, "rankings_are_best_first_and_keep_their_limit"),
        (Retrievers.Remembering, "only_rows_of_the_view_are_found"),
        (Retrievers.Other, "score_agrees_with_search"),
        (Retrievers.Sorting, "score_is_given_for_every_row_in_the_order_asked"),
    ],
)
def test_a_broken_retriever_is_caught(broken, case, tmp_path):
    make = (lambda embedder: broken()) if issubclass(broken, Lexical) else broken
    caught(retriever_contract, case, make, tmp_path)


class Everything:
    """An index whose views score any row they are asked for."""

    def __init__(self, folder, store):
        self._index = Index(store, Analyzer(), folder)

    async def view(self, query, principal):
        view = await self._index.view(query, principal)
        view._positions = lambda rows: np.maximum(view._snapshot.positions(rows), 0)
        return view

    async def refresh(self):
        return await self._index.refresh()

    async def close(self):
        await self._index.close()


class Stale(Index):
    """An index that never follows its store."""

    async def refresh(self):
        return self._snapshot if self._opened else await super().refresh()


class Trusting(Index):
    """An index that shows everyone what Ann may see."""

    async def view(self, query, principal):
        return await super().view(query, ANN)


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (lambda store, folder: Trusting(store, Analyzer(), folder), "a_view_shows_what_its_principal_may_read"),
        (lambda store, folder: Trusting(store, Analyzer(), folder), "what_is_hidden_changes_neither_rank_nor_score"),
        (lambda store, folder: Everything(folder, store), "no_method_of_a_view_reaches_a_hidden_row"),
        (lambda store, folder: Stale(store, Analyzer(), folder), "a_view_stays_as_it_was_and_the_next_one_follows"),
        (lambda store, folder: Stale(store, Analyzer(), folder), "what_was_deleted_is_out_of_every_view"),
    ],
)
def test_a_broken_index_is_caught(broken, case, tmp_path):
    caught(index_contract, case, broken, tmp_path)


class Writers:
    class Misquoting(Extractive):
        async def write(self, question, evidence):
            draft = await super().write(question, evidence)
            return replace(draft, statements=tuple(replace(one, text=f"Not {one.text}") for one in draft.statements))

    class Silent(Extractive):
        async def write(self, question, evidence):
            return replace(await super().write(question, evidence), reason="")

    class Elsewhere(Extractive):
        async def write(self, question, evidence):
            draft = await super().write(question, evidence)
            wrong = (Mark(1, Span(10**6, 10**6 + 5)),)
            return replace(draft, statements=tuple(Statement(one.text, wrong) for one in draft.statements))


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Writers.Misquoting, "quotes_stand_word_for_word_under_their_mark"),
        (Writers.Silent, "without_evidence_it_abstains_with_a_reason"),
        (Writers.Elsewhere, "hostile_evidence_steers_nothing"),
    ],
)
def test_a_broken_writer_is_caught(broken, case):
    caught(writer_contract, case, lambda: broken(HashEmbedder(64), threshold=0.0))


def test_a_writer_that_records_another_prompt_or_papers_over_a_failure_is_caught():
    class Tidying(Generative):
        async def write(self, question, evidence):
            draft = await super().write(question, evidence)
            return replace(draft, raw=draft.raw.strip(), prompt=draft.prompt.replace("\0", ""))

    class Soothing(Generative):
        async def write(self, question, evidence):
            try:
                return await super().write(question, evidence)
            except ModelUnavailable:
                return await super().write(question, [])

    class Unmarked(Generative):
        async def write(self, question, evidence):
            prompt = "\n".join(["system", *(f"{one.number}\n{one.text}\n" for one in evidence), question])
            made = await self._generator.generate("s", prompt, max_tokens=5)
            return replace(await super().write(question, []), prompt=f"s\n\n{prompt}", raw=made.text)

    caught(writer_contract, "the_draft_holds_what_was_sent_and_what_came_back", Tidying)
    caught(writer_contract, "a_failing_model_is_told_not_papered_over", Soothing)
    caught(writer_contract, "evidence_cannot_end_the_place_it_stands_in", Unmarked)


def test_a_generator_that_trims_or_answers_nothing_is_caught():
    class Trimming(ScriptedGenerator):
        async def generate(self, system, prompt, *, max_tokens):
            made = await super().generate(system, prompt, max_tokens=max_tokens)
            return replace(made, text=made.text.strip())

    class Empty(ScriptedGenerator):
        async def generate(self, system, prompt, *, max_tokens):
            return Generation(str(self._answers[0]), "empty")

    caught(generator_contract, "the_whole_answer_comes_back_to_the_letter", lambda answer: Trimming([answer] * 9))
    caught(generator_contract, "an_empty_answer_is_no_answer", lambda answer: Empty([answer] * 9))
    caught(generator_contract, "it_says_which_model_wrote_and_what_that_cost", lambda answer: Empty([answer] * 9))


class Validators:
    class Kind(Deterministic):
        async def judge(self, draft, evidence):
            whole = [replace(one, verdict=Verdict.SUPPORTED) for one in await super().judge(draft, evidence)]
            return [replace(one, grounds=one.grounds or (Grounds(1, Span(40, 41)),)) for one in whole]

    class Skipping(Deterministic):
        async def judge(self, draft, evidence):
            return [one for one in await super().judge(draft, evidence) if one.statement.marks]

    class Forgiving(Deterministic):
        async def judge(self, draft, evidence):
            return [replace(one, fabricated=()) for one in await super().judge(draft, evidence)]

    class Wide(Deterministic):
        async def judge(self, draft, evidence):
            judged = await super().judge(draft, evidence)
            return [
                replace(one, grounds=tuple(Grounds(g.number, Span(0, 10**6)) for g in one.grounds)) for one in judged
            ]


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        (Validators.Kind, "invented_numbers_are_named_and_never_rested_on"),
        (Validators.Kind, "a_quote_of_what_does_not_stand_there_does_not_hold"),
        (Validators.Kind, "what_is_told_apart_by_one_number_is_told_apart"),
        (Validators.Skipping, "every_statement_gets_its_judgement_in_order"),
        (Validators.Forgiving, "what_evidence_demands_is_not_done"),
        (Validators.Wide, "odd_statements_and_hostile_evidence_are_judged_lawfully"),
    ],
)
def test_a_broken_validator_is_caught(broken, case):
    caught(validator_contract, case, broken)


def test_a_broken_journal_is_caught():
    class Overwriting(MemoryJournal):
        async def started(self, run, entries):
            self.runs[run.run_id], self.entries[run.run_id] = run, list(entries)

    class Keeping(MemoryJournal):
        async def append(self, run_id, entries):
            self.entries[run_id] = entries

    class Halving(MemoryJournal):
        async def started(self, run, entries):
            await super().started(run, [])
            await self.append(run.run_id, entries)

        async def append(self, run_id, entries):
            for entry in entries:
                await super().append(run_id, [entry])

    class Forgetting(MemoryJournal):
        async def ended(self, run_id, outcome, entries):
            await super().ended(run_id, outcome, [])

    for broken, case in (
        (Halving, "a_start_that_fails_records_nothing"),
        (Halving, "an_append_that_fails_records_nothing"),
        (Forgetting, "the_first_entries_come_with_the_start_and_the_last_with_the_end"),
        (Overwriting, "a_known_run_id_is_refused_and_its_record_left_alone"),
        (Keeping, "entries_come_back_as_they_were_and_in_order"),
        (Keeping, "what_was_given_may_change_afterwards"),
    ):
        journal = broken()

        async def read(run_id, journal=journal):
            return journal.entries[run_id]

        caught(journal_contract, case, journal, read)


def caught(suite, case, *given):
    """That `case` of `suite` fails for a part that is broken."""
    with pytest.raises((AssertionError, ValueError)):
        asyncio.run(getattr(suite, case)(*given))
