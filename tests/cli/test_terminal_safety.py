"""Nothing that comes from a document can steer a terminal."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from citewell.cli.encode import document
from citewell.cli.plain import clean, line, visible

hostile = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x9b\x9d\x07[]m\\\u202e\u2066\u200b\ud800;0"))


@given(hostile)
@example("\x1b]0;owned\x07after")
@example("\x1b\x1b[31m[31m")
@example("\x9b\x1b[2J31m")
def test_clean_text_has_no_controls_but_the_line_feed(text: str) -> None:
    left = clean(text)
    assert not [one for one in left if one != "\n" and unicodedata.category(one) in ("Cc", "Cs")]
    assert not set(left) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")
    left.encode()


@given(hostile)
def test_a_line_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


def test_a_whole_sequence_goes_not_just_its_first_character() -> None:
    assert clean("a\x1b[1;31mred\x1b[0m b\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\ c\x9b2Jd") == "ared blink cd"


def test_a_sequence_that_never_ends_does_not_swallow_the_document() -> None:
    assert "The rest stays." in clean("\x1b]0;title\nThe rest stays.")
    assert "The rest stays." in clean("\x90start\nThe rest stays.")


def test_joiners_of_scripts_that_need_them_stay() -> None:
    assert clean("क्‍ष and می‌خواهم") == "क्‍ष and می‌خواهم"


def test_visible_text_shows_what_would_be_dropped() -> None:
    assert visible("a\x1b[31mb\tc\nd\u202e") == "a\\x1b[31mb\tc\nd\\u202e"


@given(hostile)
def test_a_json_document_is_lossless_and_safe(text: str) -> None:
    made = document({"text": text})
    made.encode()
    assert not [one for one in made if one != "\n" and unicodedata.category(one) in ("Cc", "Cs")]
    assert not set(made) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    # A pair of surrogates in the text is one character to JSON; everything else comes back as it was.
    same = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(made)["text"] == same
