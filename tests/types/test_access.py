"""Access rules: deny wins, and no rule means nobody."""

from citewell.types import Access, Principal

ANNA = Principal("acme", "anna", frozenset({"hr"}))


def test_empty_rule_means_nobody():
    assert not Access().permits(ANNA)


def test_user_group_and_everyone_are_met_by_name():
    assert Access(frozenset({"user:anna"})).permits(ANNA)
    assert Access(frozenset({"group:hr"})).permits(ANNA)
    assert Access.everyone().permits(ANNA)
    assert not Access(frozenset({"group:it", "user:ben"})).permits(ANNA)


def test_deny_wins_over_every_grant():
    assert not Access(frozenset({"everyone", "user:anna"}), frozenset({"group:hr"})).permits(ANNA)


def test_a_user_named_like_a_group_is_not_that_group():
    assert not Access(frozenset({"group:hr"})).permits(Principal("acme", "hr"))
    assert not Access(frozenset({"everyone"}), frozenset({"user:everyone"})).permits(Principal("acme", "everyone"))
