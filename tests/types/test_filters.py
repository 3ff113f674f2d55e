"""The filter language has one meaning, and what it cannot understand is an error."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.errors import FilterError
from citewell.types.filters import OPERATORS, And, Compare, Not, Or, compare, matches, parse_filter

scalars = st.one_of(
    st.integers(-5, 5), st.floats(-5, 5), st.booleans(), st.text(alphabet="ab1", max_size=3), st.just("2024")
)
held = st.one_of(st.none(), scalars, st.lists(scalars, max_size=3).map(tuple))
names = st.sampled_from(["year", "tags", "draft"])
records = st.dictionaries(names, held, max_size=3)


def comparisons() -> st.SearchStrategy[Compare]:
    lists = st.lists(scalars, max_size=3).map(tuple)
    ordered = scalars.filter(lambda value: not isinstance(value, bool))
    return st.one_of(
        st.builds(Compare, names, st.sampled_from(["==", "!=", "contains"]), scalars),
        st.builds(Compare, names, st.sampled_from(["<", "<=", ">", ">="]), ordered),
        st.builds(Compare, names, st.sampled_from(["in", "not in", "any", "all"]), lists),
        st.builds(Compare, names, st.just("exists"), st.booleans()),
    )


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=6,
)


def as_text(where) -> str:
    match where:
        case Compare(field=field, op="exists", value=value):
            return f"{field} exists {str(value).lower()}"
        case Compare(field=field, op=op, value=value):
            return f"{field} {op} {literal(value)}"
        case Not(part=part):
            return f"not ({as_text(part)})"
        case And(parts=parts):
            return " and ".join(f"({as_text(part)})" for part in parts)
        case Or(parts=parts):
            return " or ".join(f"({as_text(part)})" for part in parts)


def literal(value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def as_mapping(where) -> dict:
    match where:
        case Compare(field=field, op=op, value=value):
            return {field: {op: list(value) if isinstance(value, tuple) else value}}
        case Not(part=part):
            return {"not": as_mapping(part)}
        case And(parts=parts):
            return {"and": [as_mapping(part) for part in parts]}
        case Or(parts=parts):
            return {"or": [as_mapping(part) for part in parts]}


@given(filters, records)
def test_text_mapping_and_tree_mean_the_same(where, record):
    expected = matches(where, record.get)
    assert matches(parse_filter(where), record.get) == expected
    assert matches(parse_filter(as_text(where)), record.get) == expected
    assert matches(parse_filter(as_mapping(where)), record.get) == expected


@given(filters, records)
def test_not_is_the_opposite_and_nothing_raises(where, record):
    assert matches(Not(where), record.get) != matches(where, record.get)


@given(held, scalars)
def test_unequal_is_exactly_the_opposite_of_equal_and_not_in_of_in(value, asked):
    assert compare("!=", value, asked) != compare("==", value, asked)
    assert compare("not in", value, (asked,)) != compare("in", value, (asked,))


@pytest.mark.parametrize("op", ["==", "<", "<=", ">", ">="])
def test_number_and_text_never_meet(op):
    assert not compare(op, "2024", 2000)
    assert not compare(op, 2024, "2000")
    assert not compare(op, True, 1)


def test_absent_field_meets_only_negations_and_exists_false():
    asked = {"in": (1,), "not in": (1,), "any": (1,), "all": (1,), "exists": False}
    met = [op for op in OPERATORS if compare(op, None, asked.get(op, 1))]
    assert met == ["!=", "not in", "exists"]


def test_lists_are_one_value_except_for_contains_any_and_all():
    tags = ("hr", "pay")
    assert not compare("==", tags, "hr")
    assert not compare("in", tags, ("hr",))
    assert compare("contains", tags, "hr")
    assert compare("any", tags, ("hr", "it"))
    assert not compare("all", tags, ("hr", "it"))
    assert compare("==", tags, ("hr", "pay"))


def test_dates_are_iso_text_and_order_rightly():
    where = parse_filter({"effective": {">=": dt.date(2025, 1, 1)}})
    assert matches(where, {"effective": "2025-01-01"}.get)
    assert not matches(where, {"effective": "2024-12-31"}.get)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"year": {"near": 3}}, "unknown operator 'near'"),
        ({"year": {"$gt": 3}}, "unknown operator"),
        ({}, "empty"),
        ({"year": {}}, "no operator"),
        ({"year": None}, "exists"),
        ({"year": {"in": "2024"}}, "takes a list"),
        ({"year": {"<": True}}, "orders numbers or texts"),
        ({"year": float("nan")}, "finite"),
        ({"or": []}, "takes a list of filters"),
        ({"not": "x"}, "takes filters"),
        ({"year": {"exists": 1}}, "true or false"),
        ({3: 4}, "field name"),
        (42, "mapping or a text"),
        ("year", "operator is expected"),
        ("year = 3", "cannot be read"),
        ("year == ", "value is expected"),
        ("(year == 3", "closing )"),
        ("year == 3 tags == 4", "does not belong"),
        ("year == 3 and", "field name is expected"),
        ("", "field name is expected"),
        ("tags in [1 2]", "comma"),
        ("(" * 100 + "a == 1" + ")" * 100, "nested"),
        (" or ".join(["a == 1"] * 1200), "too large"),
    ],
)
def test_what_cannot_be_understood_is_an_error_that_says_why(where, said):
    with pytest.raises(FilterError) as error:
        parse_filter(where)
    assert said in str(error.value)


def test_deep_mapping_is_refused_and_does_not_exhaust_the_stack():
    where: dict = {"a": 1}
    for _ in range(5000):
        where = {"not": where}
    with pytest.raises(FilterError):
        parse_filter(where)


def test_no_filter_is_none():
    assert parse_filter(None) is None
