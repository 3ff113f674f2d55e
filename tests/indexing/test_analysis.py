"""Terms: the same for a word however it is written, and no script is harmed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.indexing.analysis import STOP_WORDS, Analyzer

ANALYZER = Analyzer()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rotating keys", "rotate key"),
        ("naïve café", "naive cafe"),
        ("GRÖSSE", "größe"),
        ("ﬁle", "file"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("مُحَمَّد", "محمد"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("ёлка", "елка"),
        ("1,000", "1000"),
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_spellings_of_one_word_share_their_terms(one, other):
    assert ANALYZER.terms(one) == ANALYZER.terms(other) != {}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("call getUserName() first", "user name"),
        ("call getUserName() first", "getusername"),
        ("the user_name column", "user"),
        ("the user_name column", "user_name"),
        ("send an e-mail", "email"),
        ("ticket X-1234 is open", "1234"),
        ("ticket X-1234 is open", "x-1234"),
        ("written in C++", "c++"),
        ("version 2.1.3 is out", "2.1.3"),
        ("Newton's law", "newton"),
        ("l'homme", "homme"),
        ("東京都に住む", "京都"),
        ("한국어 문장을 쓴다", "문장"),
        ("ภาษาไทยง่าย", "ไทย"),
        ("हिन्दी में लिखा है", "हिन्दी"),
        ("שָׁלוֹם עולם", "שלום"),
        ("木", "木"),
    ],
)
def test_a_part_of_a_text_finds_it(text, query):
    wanted = ANALYZER.terms(query)
    assert wanted
    assert set(wanted) <= set(ANALYZER.terms(text))


def test_words_of_other_scripts_stay_whole():
    assert dict(ANALYZER.terms("हिन्दी में लिखा है।")) == {"हिन्दी": 1, "में": 1, "लिखा": 1, "है": 1}
    assert dict(ANALYZER.terms("йод и ёлка")) == {"йод": 1, "и": 1, "елка": 1}
    assert dict(ANALYZER.terms("東京都")) == {"東京": 1, "京都": 1}


def test_stop_words_are_dropped_and_repeats_counted():
    assert dict(ANALYZER.terms("The key and the KEYS of a vault")) == {"key": 2, "vault": 1}
    assert dict(ANALYZER.terms(" ".join(STOP_WORDS))) == {}


@given(st.text(max_size=200))
def test_terms_follow_from_the_text_alone(text):
    terms = ANALYZER.terms(text)
    assert dict(terms) == dict(Analyzer().terms(text))
    assert all(term and len(term) <= 64 and count > 0 for term, count in terms.items())


@given(st.text(max_size=60), st.text(max_size=60))
def test_counts_of_two_texts_add_up(one, other):
    both = ANALYZER.terms(f"{one}\n{other}")
    apart = ANALYZER.terms(one)
    total = {term: apart.get(term, 0) + count for term, count in ANALYZER.terms(other).items()} | {
        term: count + ANALYZER.terms(other).get(term, 0) for term, count in apart.items()
    }
    assert dict(both) == total


@pytest.mark.parametrize("text", ["a" * 500_000, "a-" * 250_000, "1," * 250_000, "aB" * 250_000, "字" * 200_000])
def test_hostile_texts_take_linear_time(text):
    start = time.process_time()
    terms = ANALYZER.terms(text)
    assert time.process_time() - start < 3
    assert all(len(term) <= 64 for term in terms)
