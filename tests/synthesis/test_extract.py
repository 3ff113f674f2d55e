"""The extractive writer: it quotes what answers, proves each quote, and is silent where nothing answers."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.models.hashing import HashEmbedder
from citewell.protocols import Embedder
from citewell.synthesis.extract import MAX_STATEMENTS, Extractive
from citewell.types import AbstainReason, BlockKind, DocumentRef, Draft, Evidence, Hit, Node, Span, Verdict
from citewell.validation.judge import Deterministic

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("citewell_minilm") is None, reason="citewell-minilm is not installed"
)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    from citewell.models.minilm import MiniLM

    return MiniLM(threads=1)


def evidence(number: int, title: str, text: str, kind: BlockKind = BlockKind.PARAGRAPH, start: int = 0) -> Evidence:
    span = Span(start, start + len(text))
    node = Node(f"n{number}", f"d{number}", span, text, title, kind)
    reference = DocumentRef(f"d{number}", f"file:{number}.md", title, 1, "default", "text/markdown")
    return Evidence(number, Hit(node, reference, 1.0 / number, number, number), f"{title}\n{text}", text, span, 50)


GARDEN = evidence(
    1,
    "The garden house",
    "The garden house can be booked by every member. It has room for 24 guests and a small kitchen. "
    "Bookings are made at the front desk at least 10 days ahead. Music has to stop at 22:00.",
    start=40,
)
RATES = evidence(
    2,
    "Room rates",
    "Room | Hourly rate | Seats\nBlue room | 35 EUR | 12\nGreen room | 48 EUR | 20\nAttic | 20 EUR | 6",
    BlockKind.TABLE,
)
PAIR = evidence(
    3, "Questions", "Can I bring my dog?\nYes, dogs are welcome in the garden. They must be on a leash.", BlockKind.FAQ
)


def write(embedder: Embedder, question: str, *given_evidence: Evidence) -> Draft:
    return asyncio.run(Extractive(embedder).write(question, given_evidence))


@needs_model
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many guests fit into the garden house?", "It has room for 24 guests and a small kitchen."),
        (
            "How many days ahead must the garden house be booked?",
            "Bookings are made at the front desk at least 10 days ahead.",
        ),
        ("What is the hourly rate of the green room?", "Room: Green room; Hourly rate: 48 EUR; Seats: 20"),
        ("Can I bring my dog?", "Yes, dogs are welcome in the garden. They must be on a leash."),
    ],
)
def test_the_sentence_row_or_pair_that_answers_is_quoted(embedder: Embedder, question: str, answer: str) -> None:
    draft = write(embedder, question, GARDEN, RATES, PAIR)
    assert draft.abstained is None, draft.reason
    assert answer in [one.text for one in draft.statements]


@needs_model
@pytest.mark.parametrize(
    "question",
    [
        "Who designed the roof of the garden house?",
        "What does the insurance of the green room cover?",
        "How much is the deposit for a parking space?",
        "What is the boiling point of ethanol?",
    ],
)
def test_a_plausible_question_without_an_answer_is_refused_in_words(embedder: Embedder, question: str) -> None:
    draft = write(embedder, question, GARDEN, RATES, PAIR)
    assert draft.abstained is AbstainReason.WEAK_EVIDENCE, [one.text for one in draft.statements]
    assert draft.statements == ()
    assert draft.reason


@needs_model
def test_what_two_documents_say_against_each_other_is_quoted_from_both(embedder: Embedder) -> None:
    one = evidence(1, "Desk", "The key of the garden house must be returned within 2 days.")
    other = evidence(2, "House rules", "The key of the garden house must be returned within 5 days.")
    draft = write(embedder, "Within how many days must the key of the garden house be returned?", one, other)
    assert {mark.number for statement in draft.statements for mark in statement.marks} == {1, 2}


def test_without_evidence_the_reason_is_that_there_is_none() -> None:
    assert write(HashEmbedder(), "Anything?").abstained is AbstainReason.NO_EVIDENCE


TEXTS = st.text(st.sampled_from("ab C12.|\n-?:%,€ not the limit"), min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(st.tuples(TEXTS, st.sampled_from(BlockKind)), min_size=1, max_size=3),
    st.integers(0, 500),
)
def test_whatever_is_quoted_is_proved_by_the_judge(
    question: str, texts: list[tuple[str, BlockKind]], start: int
) -> None:
    given_evidence = [evidence(at, "The limit", text, kind, start) for at, (text, kind) in enumerate(texts, start=1)]
    draft = asyncio.run(Extractive(HashEmbedder(64), threshold=0.0).write(question, given_evidence))
    assert len(draft.statements) <= MAX_STATEMENTS
    assert bool(draft.statements) != (draft.abstained is not None)
    for judged in asyncio.run(Deterministic().judge(draft, given_evidence)):
        assert judged.verdict is Verdict.SUPPORTED, (judged.statement, judged.reasons)


@needs_model
def test_a_row_of_another_measure_is_no_answer(embedder: Embedder) -> None:
    table = "Material | Price\nBirch plywood 3 mm | 8 euro\nBirch plywood 6 mm | 14 euro"
    draft = asyncio.run(
        Extractive(embedder).write(
            "What is the price of 9 mm birch plywood?", [evidence(1, "Prices", table, BlockKind.TABLE)]
        )
    )
    assert draft.abstained
    six = asyncio.run(
        Extractive(embedder).write(
            "What is the price of 6 mm birch plywood?", [evidence(1, "Prices", table, BlockKind.TABLE)]
        )
    )
    assert [statement.text for statement in six.statements] == ["Material: Birch plywood 6 mm; Price: 14 euro"]


@needs_model
def test_what_is_allowed_does_not_answer_what_is_forbidden(embedder: Embedder) -> None:
    text = (
        "Allowed materials in the laser cutter: plywood, cardboard, acrylic and felt. "
        "Forbidden in the laser cutter: PVC and polycarbonate, because they give off poisonous gas."
    )
    draft = asyncio.run(
        Extractive(embedder).write(
            "Which materials are forbidden in the laser cutter?", [evidence(1, "Laser cutter", text)]
        )
    )
    assert draft.statements
    assert all("PVC" in statement.text for statement in draft.statements)


def test_a_header_row_is_no_quote(embedder: Embedder) -> None:
    from citewell.synthesis.candidates import candidates
    from citewell.synthesis.question import understand

    table = "Printer | Cost per hour\nPrusa | 1.20\nVoron | 0.90"
    found = candidates(
        understand("Which printer costs least per hour?"), [evidence(1, "Printers", table, BlockKind.TABLE)]
    )
    assert all("Cost per hour" not in one.evidence.quotable[one.span.start : one.span.end] for one in found)


@needs_model
def test_the_steps_below_a_heading_are_quoted_together(embedder: Embedder) -> None:
    text = (
        "Starting the laser cutter\n\n- Open the valve of the extraction.\n- Switch on the chiller.\n"
        "- Turn the key to the right.\n- Press the green button."
    )
    node = evidence(1, "Laser cutter", text)
    hit = Hit(
        Node("n", "d", node.span, text, "Laser cutter", heading_path=("Starting the laser cutter",)),
        node.hit.document,
        1.0,
        1,
        1,
    )
    whole = Evidence(1, hit, node.text, text, node.span, 50)
    draft = asyncio.run(Extractive(embedder).write("How do I start the laser cutter?", [whole]))
    assert any("extraction" in one.text and "green button" in one.text for one in draft.statements)


@pytest.mark.parametrize(
    ("question", "row", "stays"),
    [
        ("What is the price of 9 mm plywood?", "Plywood 6 mm | 14 euro", False),
        ("Was kostet 9 mm Sperrholz?", "Sperrholz 6 mm | 14 Euro", False),
        ("What is the price of 9.0 mm plywood?", "Plywood 9 mm | 14 euro", True),
        ("What do 1000 sheets cost?", "1,000 sheets | 14 euro", True),
        ("What does a parcel of 3 kg cost?", "Up to 5 kg | 9 euro", True),
        ("Was kostet ein Paket mit 3 kg?", "bis 5 kg | 9 Euro", True),
        ("What does a parcel of 3 kg cost?", "Parcel, 2 kg to 5 kg | 9 euro", True),
        ("What was the limit in 2024 for hotels?", "Decided in 2023 for hotels | 120 euro", True),
    ],
)
def test_only_a_row_that_must_be_about_another_measure_is_left_out(question: str, row: str, stays: bool) -> None:
    from citewell.synthesis.candidates import candidates
    from citewell.synthesis.question import understand

    found = candidates(understand(question), [evidence(1, "Prices", row, BlockKind.TABLE)])
    assert bool(found) is stays
