"""Words, sentences and pieces of text, each at its exact place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from citewell.language import cells, cut, is_negation, renderings, sentences, words


def test_abbreviations_decimals_and_initials_end_no_sentence() -> None:
    text = "Dr. Smith paid 3.5 million in the U.S. last year. It was e.g. a lot. See No. 5. J. R. Tolkien wrote it."
    assert [text[a:b] for a, b in sentences(text)] == [
        "Dr. Smith paid 3.5 million in the U.S. last year.",
        "It was e.g. a lot.",
        "See No. 5.",
        "J. R. Tolkien wrote it.",
    ]


def test_wrapped_lines_are_one_sentence_and_list_items_and_rows_are_apart() -> None:
    text = (
        "This line goes on for quite a while until its paragraph has to be wrapped and\nends here. Next.\n"
        "- one item\n- another\n\nName | Age\nAnn | 5\n\n他说。你好！"
    )
    found = [text[a:b].replace("\n", " ") for a, b in sentences(text)]
    assert found[0].endswith("wrapped and ends here.")
    assert found[1:] == ["Next.", "- one item", "- another", "Name | Age", "Ann | 5", "他说。", "你好！"]


def test_a_table_of_keys_and_values_has_no_header_but_one_of_numbers_has() -> None:
    keys = "Owner | Jane\nSince | 1 May 2020\nMail | desk@example.org"
    rates = "Country | Rate\nBelgium | 60\nPortugal | 55"
    row = cut(keys, "table")[1]
    assert renderings(keys[row.start : row.end], row.headers)[0] == "Since: 1 May 2020"
    row = cut(rates, "table")[1]
    assert renderings(rates[row.start : row.end], row.headers)[0] == "Country: Belgium; Rate: 60"


@given(st.text(st.sampled_from("ab. !?\n|-#1A,;)。\t"), max_size=120))
def test_sentences_ascend_and_leave_out_nothing_visible(text: str) -> None:
    found = sentences(text)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    covered = {at for start, end in found for at in range(start, end)}
    assert all(ch.isspace() for at, ch in enumerate(text) if at not in covered)


def test_a_bar_at_one_end_of_a_row_stands_beside_an_empty_cell() -> None:
    assert cells(" | 2001 | 2002") == ["", "2001", "2002"]
    assert cells("| Name | Age |") == ["Name", "Age"]
    assert renderings("Sales | 5 | 6", [" | 2001 | 2002"])[0] == "Sales; 2001: 5; 2002: 6"


def test_a_negation_is_told_from_a_word_of_another_language() -> None:
    assert [word.text for word in words("We don’t, cannot and never sin.") if is_negation(word, "en")] == [
        "don’t",
        "cannot",
        "never",
    ]
    assert [word.text for word in words("Ohne Ausweis gibt es keinerlei Zutritt.") if is_negation(word, "de")] == [
        "Ohne",
        "keinerlei",
    ]
