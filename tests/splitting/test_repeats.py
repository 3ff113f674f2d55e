"""What repeats is decided by counts alone: the same documents in any order, and nobody else's."""

from __future__ import annotations

import random

from cohorts import Held, cohort, plainly
from hypothesis import given, settings
from hypothesis import strategies as st

from citewell.splitting.repeats import Repeats, folders, judge

RULE = Repeats()
NOTICE, POLICY = 7, 1000


def judged(held: list[Held], rule: Repeats = RULE) -> dict[str, set[int]]:
    found = judge(cohort(held), rule).repeated
    return {one.uri: set(digests.tolist()) for one, digests in zip(held, found, strict=True)}


def own(number: int) -> tuple[int, int]:
    return (10_000 + number, 500)


def with_notice(count: int, of: int, folder: str = "") -> list[Held]:
    return [
        Held(f"{folder}{number:03}", (own(number), (NOTICE, 100)) if number < count else (own(number),))
        for number in range(of)
    ]


names = st.sampled_from(["", "a/", "a/b/", "a/c/", "d/"])
documents = st.lists(
    st.builds(
        Held,
        st.just(""),
        st.lists(
            st.tuples(st.integers(0, 9), st.sampled_from([40, 100])), max_size=6, unique_by=lambda one: one[0]
        ).map(tuple),
        st.sampled_from([0, 50, 400]),
        st.sampled_from(["", "", "", "s", "t"]),
    ),
    max_size=24,
).flatmap(
    lambda held: st.lists(names, min_size=len(held), max_size=len(held)).map(
        lambda above: [
            Held(f"{folder}{number}", one.texts, one.others, one.series)
            for number, (one, folder) in enumerate(zip(held, above, strict=True))
        ]
    )
)
rules = st.builds(Repeats, st.integers(2, 5), st.sampled_from([0.1, 0.3, 0.5, 1.0]))


@given(documents, rules, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_judgement_is_the_rule_in_any_order(held, rule, chance):
    expected = plainly(held, rule)
    assert judged(held, rule) == expected
    chance.shuffle(held)
    assert judged(held, rule) == expected


@given(documents, rules)
@settings(max_examples=50, deadline=None)
def test_what_stands_at_hand_while_ingesting_is_the_judgement_but_for_the_copy_that_is_kept(held, rule):
    texts = cohort(held)
    made = judge(texts, rule)
    for place, one in enumerate(held):
        known = set(made.standing.of(one.uri, texts.digests[texts.documents == place]).tolist())
        assert known >= set(made.repeated[place].tolist())
        assert all(
            one.uri == min(other.uri for other in held if digest in dict(other.texts))
            for digest in known - set(made.repeated[place].tolist())
        )


@given(documents, rules)
@settings(max_examples=50, deadline=None)
def test_every_repeated_text_is_kept_by_a_document(held, rule):
    found = judged(held, rule)
    for digest in {digest for one in held for digest, _ in one.texts}:
        assert any(digest in dict(one.texts) and digest not in found[one.uri] for one in held)


def test_a_text_repeats_from_five_documents_and_three_in_ten_on():
    assert not any(judged(with_notice(4, 4)).values())
    assert sum(NOTICE in held for held in judged(with_notice(5, 5)).values()) == 4
    assert sum(NOTICE in held for held in judged(with_notice(6, 20)).values()) == 5
    assert not any(judged(with_notice(6, 21)).values())


def test_documents_that_come_and_go_turn_it_over_and_back():
    few = with_notice(6, 20)
    more = [*few, *(Held(f"x{number}", (own(100 + number),)) for number in range(5))]
    assert any(judged(few).values())
    assert not any(judged(more).values())
    assert judged(more[:20]) == judged(few)
    assert not any(judged(few[2:]).values())


def test_a_folder_with_what_lies_below_it_is_a_place_of_its_own():
    far = [Held(f"z/{number}", (own(500 + number),)) for number in range(100)]
    near = with_notice(6, 8, "a/b/")
    spread = [Held(f"a/{number}/{one.uri[-3:]}", one.texts) for number, one in enumerate(near)]
    for held in (near, spread):
        assert sum(NOTICE in found for found in judged([*far, *held]).values()) == 5
    assert not any(judged([*far, *with_notice(6, 8)]).values())


def test_folders_are_outermost_first_and_end_before_a_query():
    assert folders("a/b/c.md") == ["", "a/", "a/b/"]
    assert folders("file") == [""]
    assert folders("https://x.org/a?next=/b/c#/d") == ["", "https:/", "https://", "https://x.org/"]
    assert folders("C#/notes?/x") == ["", "C#/", "C#/notes?/"]


def test_copies_of_one_template_keep_their_text_and_make_nothing_repeat():
    policy = tuple((POLICY + number, 400) for number in range(20))
    copies = [Held(f"copy{number}", (*policy, (9_000 + number, 60))) for number in range(40)]
    quoting = Held("handbook", (own(1), (POLICY, 400), own(2)))
    assert not any(judged([*copies, quoting, *with_notice(0, 10)]).values())


def test_a_notice_on_copies_is_found_by_the_other_documents_that_carry_it():
    policy = tuple((POLICY + number, 400) for number in range(20))
    copies = [Held(f"copy{number}", (*policy, (NOTICE, 100))) for number in range(40)]
    found = judged([*copies, *with_notice(10, 10)])
    assert all(found[one.uri] == {NOTICE} for one in copies)


def test_versions_of_one_document_are_one_document():
    manual = tuple((number, 300) for number in range(30))
    versions = [Held(f"v{number}", (*manual, own(number)), series="manual") for number in range(16)]
    assert not any(judged([*versions, *with_notice(0, 10)]).values())
    unnamed = [Held(one.uri, one.texts) for one in versions]
    assert not any(judged([*unnamed, *with_notice(0, 10)]).values())
    pages = [
        Held(
            f"v{version}/p{page}",
            (*((page * 100 + number, 300) for number in range(5)), own(version * 50 + page)),
        )
        for version in range(16)
        for page in range(12)
    ]
    assert not any(judged(pages).values())


def test_a_larger_cohort_is_judged_by_the_same_rule():
    chance = random.Random(1)
    held = [
        Held(f"f{number % 7}/{number}", tuple({(chance.randrange(60), 80) for _ in range(8)}), 600)
        for number in range(150)
    ]
    rule = Repeats(5, 0.1)
    assert judged(held, rule) == plainly(held, rule)
    assert any(judged(held, rule).values())
