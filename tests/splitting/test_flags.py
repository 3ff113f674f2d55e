"""What is flagged of a document for repeating: what stands at its edges, and never all of it or of a section."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sections import document

from citewell.splitting.flags import LONG, flag, repeatable
from citewell.types import BlockKind, Reason
from citewell.types.accounts import count_characters

HEADING, PARAGRAPH, ITEM, TABLE = BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.TABLE
NOTICE = "This document is confidential and meant for the employees of Acme Corporation only."
OTHER = "Printed copies of this page are not controlled; the version on the intranet is the one in force."
TEXT = "The valve is opened by turning the upper wheel to the left until the pointer stands at the red mark."
ROWS = "Part | Torque\nWheel | 30 Nm\nValve | 12 Nm of this and of that and of whatever there may be"


def flagged(*pieces: tuple[BlockKind, str], repeating: tuple[str, ...] = (NOTICE, OTHER)) -> list[str]:
    """The texts of the blocks flagged where `repeating` repeat; that all else stays is checked on the way."""
    made = document(*pieces)
    held = repeatable(made)
    wanted = repeatable(document(*((PARAGRAPH, text) for text in repeating))).digests
    done, known = flag(made, held, np.unique(wanted))
    found = [block.span.of(done.text) for block in done.blocks if block.boilerplate]
    assert (done.text, done.id, known.flagged) == (made.text, made.id, len(found))
    assert done.account.found == made.account.found
    lost = done.account.left_out.get(Reason.BOILERPLATE)
    assert (lost.characters if lost else 0) == sum(map(count_characters, found))
    back, _ = flag(done, known, np.zeros(0, np.uint64))
    assert back == made
    return found


def test_a_notice_before_or_after_the_text_is_flagged():
    assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, NOTICE)) == [NOTICE]
    assert flagged((PARAGRAPH, NOTICE), (PARAGRAPH, TEXT), (PARAGRAPH, OTHER)) == [NOTICE, OTHER]
    assert flagged((HEADING, "Valves"), (PARAGRAPH, "Doc 17"), (PARAGRAPH, NOTICE), (PARAGRAPH, TEXT)) == [NOTICE]
    assert flagged((PARAGRAPH, TEXT), (ITEM, NOTICE), (PARAGRAPH, "Page 1"), (ITEM, OTHER)) == [NOTICE, OTHER]


def test_what_repeats_in_the_midst_of_a_text_is_part_of_it():
    assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, NOTICE), (PARAGRAPH, TEXT)) == []
    assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, NOTICE), (TABLE, ROWS)) == []


def test_only_long_paragraphs_and_list_items_can_be_flagged():
    fact = "Warranty: 24 months"
    row = (TABLE, f"{NOTICE} | b\nc | d")
    for piece in ((PARAGRAPH, fact), (HEADING, NOTICE), row, (BlockKind.FAQ, NOTICE), (BlockKind.CODE, NOTICE)):
        assert flagged((PARAGRAPH, TEXT), piece, repeating=(fact, NOTICE)) == []


def test_a_numbered_clause_is_never_boilerplate():
    for number in ("12.", "§ 12", "(12)", "Article IX.", "Section A", "Clause four"):
        clause = f"{number} This agreement is governed by the laws of the country in which it was signed."
        assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, clause), repeating=(clause,)) == []


def test_numbers_make_a_text_another():
    one, two = (f"The warranty of this product, parts and labour included, is {n} months." for n in (24, 36))
    assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, one), repeating=(two,)) == []
    assert flagged((PARAGRAPH, TEXT), (PARAGRAPH, one.upper()), repeating=(one.replace(" ", "\n"),)) == [one.upper()]


def test_neither_a_document_nor_a_section_loses_all_its_text():
    assert flagged((PARAGRAPH, NOTICE), (PARAGRAPH, OTHER)) == []
    assert flagged((HEADING, "Rules"), (PARAGRAPH, NOTICE)) == []
    law = (HEADING, "Governing law"), (PARAGRAPH, NOTICE)
    assert flagged((HEADING, "Agreement"), (PARAGRAPH, TEXT), (HEADING, "Fees"), (PARAGRAPH, TEXT), *law) == []
    assert flagged((HEADING, "Agreement"), (PARAGRAPH, TEXT), *law, (PARAGRAPH, "Signed: Ann")) == [NOTICE]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([HEADING, PARAGRAPH, ITEM, BlockKind.CODE]), st.sampled_from([NOTICE, OTHER, TEXT, "Short"])
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_some_text_is_always_left_under_every_heading(pieces):
    flagged(*pieces)
    made = document(*pieces)
    repeating = np.unique(repeatable(document((PARAGRAPH, NOTICE), (PARAGRAPH, OTHER))).digests)
    done, _ = flag(made, repeatable(made), repeating)
    blocks = done.blocks
    parts = [(0, len(blocks))]
    for first, block in enumerate(blocks):
        if block.kind is HEADING:
            below = (n for n in range(first + 1, len(blocks)) if blocks[n].kind is HEADING)
            parts.append((first, next((n for n in below if blocks[n].level <= block.level), len(blocks))))
    for first, end in parts:
        inside = [block for block in blocks[first:end] if block.kind is not HEADING]
        assert not inside or any(not block.boilerplate for block in inside)


def test_long_is_counted_without_spaces():
    short, long = " ".join("x" * (LONG - 1)), " ".join("x" * LONG)
    assert len(repeatable(document((PARAGRAPH, short))).digests) == 0
    assert repeatable(document((PARAGRAPH, long))).sizes.tolist() == [LONG]
