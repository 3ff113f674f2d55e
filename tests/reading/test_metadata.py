"""Metadata from outside: typed values under names that are not Citewell's own; globs that mean one thing."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import ConfigError
from citewell.reading.metadata import RESERVED, check_metadata, check_names
from citewell.reading.rules import Glob


def test_values_become_scalars_tuples_and_iso_dates() -> None:
    given = {"a": 1, "b": 1.5, "c": True, "d": "x", "e": ["x", 2], "f": dt.date(2025, 1, 2), "g": None, "title": "T"}
    assert check_metadata(given) == {
        "a": 1, "b": 1.5, "c": True, "d": "x", "e": ("x", 2), "f": "2025-01-02", "title": "T",
    }  # fmt: skip


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_names_of_our_own_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=repr(key)):
        check_metadata({key: "x"})


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], float("nan"), float("inf"), object(), b"x", [None]])
def test_values_that_no_filter_can_compare_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="'k'"):
        check_metadata({"k": value})


@pytest.mark.parametrize("key", ["", " ", 1, "k" * 101])
def test_names_that_are_no_names_are_refused(key: str) -> None:
    with pytest.raises(ConfigError):
        check_metadata({key: 1})


@pytest.mark.parametrize("name", ["", "finance", "group:", "user: x", "Everyone", "group:a:b", 3, "role:x"])
def test_access_names_are_everyone_user_or_group(name: str) -> None:
    with pytest.raises(ConfigError):
        check_names([name], "allow")
    assert check_names(["everyone", "user:ana lee", "group:hr"], "allow") == {"everyone", "user:ana lee", "group:hr"}


@pytest.mark.parametrize(
    ("glob", "matches", "misses"),
    [
        ("*.md", ["a.md", ".md"], ["a/b.md", "a.mdx"]),
        ("hr/*.md", ["hr/a.md"], ["hr/x/a.md", "a.md", "xhr/a.md"]),
        ("hr/**", ["hr/a", "hr/x/a.md"], ["hr", "hrx/a"]),
        ("**/a.md", ["a.md", "x/a.md", "x/y/a.md"], ["xa.md"]),
        ("x/**/a", ["x/a", "x/y/a", "x/y/z/a"], ["xa", "x/ya"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab]c", ["ac", "bc"], ["cc"]),
        ("[!ab]c", ["cc"], ["ac", "/c"]),
        ("a.b+c", ["a.b+c"], ["aXb+c", "a.bbc"]),
        ("[", ["["], ["x"]),
    ],
)
def test_globs(glob: str, matches: list[str], misses: list[str]) -> None:
    pattern = Glob(glob)
    assert [name for name in matches if not pattern.matches(name)] == []
    assert [name for name in misses if pattern.matches(name)] == []


@given(st.text(st.sampled_from("ab/.-"), min_size=1, max_size=10))
def test_a_path_without_wildcards_matches_itself_alone(path: str) -> None:
    assert Glob(path).matches(path)
    assert not Glob(path).matches(path + "a")


def test_many_stars_take_no_exponential_time() -> None:
    assert not Glob("**/" * 30 + "x").matches("a/" * 2000 + "y")
    assert not Glob("*a" * 12 + "b").matches("a" * 60)
