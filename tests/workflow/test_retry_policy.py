"""Retry policies: what they compose to, what they refuse, and that a replay waits as long as the run did."""

import dataclasses
import math
import operator
import pickle
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import reduce
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewell.workflow import retry_policy as ours
from citewell.workflow.retry_policy import (
    ConstantDelayRetryPolicy,
    ExponentialBackoffRetryPolicy,
    RetryPolicy,
    retry_all,
    retry_always,
    retry_any,
    retry_if_exception_cause_type,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_type,
    retry_never,
    retry_policy,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    stop_any,
    stop_before_delay,
    stop_never,
    wait_chain,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_full_jitter,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)

# A policy is drawn as a recipe, a function from a module with these names to an object of that module, so that the
# same policy can be made here and by the peer.
Recipe = Callable[[Any], Any]

times = st.floats(0, 100, allow_nan=False) | st.timedeltas(timedelta(0), timedelta(minutes=2))
factors = st.floats(0, 10)
ranges = st.tuples(st.floats(0, 50), st.floats(0, 50)).map(lambda pair: (min(pair), max(pair)))
errors = st.sampled_from([ValueError, KeyError, LookupError, OSError, TimeoutError, ConnectionError])
seeds = st.integers(0, 2**63)


def made(name: str, *arguments: Any, **named: Any) -> Recipe:
    return lambda module: getattr(module, name)(*arguments, **named)


def joined(name: str, parts: list[Recipe]) -> Recipe:
    return lambda module: getattr(module, name)(*(part(module) for part in parts))


def operated(sign: Callable[[Any, Any], Any], parts: list[Recipe]) -> Recipe:
    return lambda module: reduce(sign, [part(module) for part in parts])


def composed(leaves: st.SearchStrategy[Recipe], names: list[str], signs: list[Any]) -> st.SearchStrategy[Recipe]:
    def extend(inner: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
        parts = st.lists(inner, min_size=1, max_size=3)
        return st.builds(joined, st.sampled_from(names), parts) | st.builds(operated, st.sampled_from(signs), parts)

    return st.recursive(leaves, extend, max_leaves=5)


types = errors | st.lists(errors, max_size=3).map(tuple)
texts = st.sampled_from(["", "busy", "bus", "HTTP 503", "HTTP 404"])
conditions = composed(
    st.one_of(
        st.builds(
            made,
            st.sampled_from(
                [
                    "retry_if_exception_type",
                    "retry_if_not_exception_type",
                    "retry_unless_exception_type",
                    "retry_if_exception_cause_type",
                ]
            ),
            types,
        ),
        st.builds(
            lambda name, text: made(name, message=text),
            st.sampled_from(["retry_if_exception_message", "retry_if_not_exception_message"]),
            texts,
        ),
        st.builds(
            lambda name, match: made(name, match=match),
            st.sampled_from(["retry_if_exception_message", "retry_if_not_exception_message"]),
            st.sampled_from(["bus", r"HTTP 5\d\d", re.compile("BUSY", re.IGNORECASE)]),
        ),
        st.sampled_from([made("retry_always"), made("retry_never"), made("retry_if_exception", str)]),
    ),
    ["retry_any", "retry_all"],
    [operator.and_, operator.or_],
)
steady_waits = composed(
    st.one_of(
        st.builds(made, st.just("wait_fixed"), times),
        st.just(made("wait_none")),
        st.builds(
            lambda m, b, r: made("wait_exponential", multiplier=m, exp_base=b, min=r[0], max=r[1]),
            factors,
            factors,
            ranges,
        ),
        st.builds(lambda start, by, top: made("wait_incrementing", start, by, top), times, st.floats(-50, 50), times),
    ),
    ["wait_chain", "wait_combine"],
    [operator.add],
)
drawn_waits = composed(
    st.one_of(
        st.builds(lambda r: made("wait_random", r[0], r[1]), ranges),
        st.builds(
            lambda i, b, m, j: made("wait_exponential_jitter", initial=i, exp_base=b, max=m, jitter=j),
            st.floats(0, 50),
            factors,
            st.floats(0, 100),
            st.floats(0, 50),
        ),
        st.builds(
            lambda name, m, b, r: made(name, multiplier=m, exp_base=b, min=r[0], max=r[1]),
            st.sampled_from(["wait_random_exponential", "wait_full_jitter"]),
            factors,
            factors,
            ranges,
        ),
    ),
    ["wait_chain", "wait_combine"],
    [operator.add],
)
stops = composed(
    st.one_of(
        st.builds(made, st.just("stop_after_attempt"), st.integers(0, 8)),
        st.builds(made, st.sampled_from(["stop_after_delay", "stop_before_delay"]), times),
        st.just(made("stop_never")),
    ),
    ["stop_any", "stop_all"],
    [operator.and_, operator.or_],
)
policies = st.one_of(
    st.builds(
        lambda retry, wait, stop: (
            lambda module: module.retry_policy(
                retry=None if retry is None else retry(module), wait=wait(module), stop=stop(module)
            )
        ),
        st.none() | conditions,
        steady_waits,
        stops,
    ),
    st.builds(
        lambda n, d: made("ConstantDelayRetryPolicy", maximum_attempts=n, delay=d), st.integers(0, 8), st.floats(0, 50)
    ),
    st.builds(
        lambda n, d, m, top: made("ExponentialBackoffRetryPolicy", n, d, m, top, jitter=False),
        st.integers(0, 8),
        factors,
        factors,
        st.floats(0, 50),
    ),
)


@st.composite
def failures(draw: st.DrawFn) -> Exception:
    error: Exception = draw(errors)(draw(texts))
    cause = error
    for _ in range(draw(st.integers(0, 2))):
        cause.__cause__ = draw(errors)(draw(texts))
        cause = cause.__cause__
    return error


# --- The same decisions as the peer ---


@given(policies, failures(), st.floats(0, 200), st.integers(0, 12))
def test_policies_without_jitter_decide_as_the_peer_does(
    recipe: Recipe, error: Exception, elapsed: float, attempts: int
) -> None:
    peer = pytest.importorskip("workflows.retry_policy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = recipe(peer)
    expected = theirs.next(elapsed, attempts, error)
    given_ = recipe(ours).next(elapsed, attempts, error)
    assert given_ == (None if expected is None else pytest.approx(expected))


@given(drawn_waits, st.integers(0, 12), seeds)
def test_waits_with_jitter_stay_within_what_the_peer_can_draw(recipe: Recipe, attempts: int, seed: int) -> None:
    peer = pytest.importorskip("workflows.retry_policy")
    low, high = (bounded(recipe, peer, attempts, end) for end in ("low", "high"))
    delay = recipe(ours)(attempts, seed=seed)
    assert low - 1e-9 <= delay <= high + 1e-9


def bounded(recipe: Recipe, peer: ModuleType, attempts: int, end: str) -> float:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "uniform", lambda a, b: a if end == "low" else b)
        return float(recipe(peer)(attempts))


def test_every_public_name_of_the_peer_is_here() -> None:
    peer = pytest.importorskip("workflows.retry_policy")
    public = {name for name, one in vars(peer).items() if getattr(one, "__module__", None) == peer.__name__}
    assert {name for name in public if not name.startswith("_")} | {"time_unit_type"} <= set(ours.__all__)


# --- Policies as values ---


@given(policies | conditions | steady_waits | drawn_waits | stops)
def test_a_part_made_twice_is_one_value_that_pickles_and_shows_its_arguments(recipe: Recipe) -> None:
    one, two = recipe(ours), recipe(ours)
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    names = {kind.__name__: kind for kind in (ValueError, KeyError, LookupError, OSError, TimeoutError)}
    shown = re.sub(r"<class '(\w+)'>", r"\1", repr(one))
    assert eval(shown, {**vars(ours), **names, "re": re, "inf": math.inf}) == one
    for field in dataclasses.fields(one):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, field.name, None)


def test_a_timedelta_and_its_seconds_are_the_same_wait() -> None:
    minute = timedelta(minutes=1)
    assert wait_fixed(minute) == wait_fixed(60)
    assert wait_exponential(max=minute, min=minute / 2) == wait_exponential(max=60, min=30)
    assert wait_incrementing(minute, minute, 3 * minute) == wait_incrementing(60, 60, 180)
    assert wait_random(max=minute) == wait_random(0, 60)
    assert wait_exponential_jitter(minute, jitter=minute) == wait_exponential_jitter(60, jitter=60)
    assert stop_after_delay(minute) == stop_after_delay(60)
    assert stop_before_delay(minute) == stop_before_delay(60)


def test_anything_with_a_fitting_next_is_a_policy() -> None:
    class Own:
        def next(self, elapsed_time: float, attempts: int, error: Exception, *, seed: int | None = None) -> None:
            return None

    assert isinstance(Own(), RetryPolicy)
    assert isinstance(retry_policy(), RetryPolicy)
    assert not isinstance(object(), RetryPolicy)


# --- Composition ---


def test_the_defaults_are_three_attempts_five_seconds_apart_for_every_error() -> None:
    policy = retry_policy()
    assert [policy.next(0, attempts, KeyError()) for attempts in (1, 2, 3)] == [5, 5, None]
    assert policy == ConstantDelayRetryPolicy()
    assert [ExponentialBackoffRetryPolicy(jitter=False).next(0, n, OSError()) for n in range(1, 6)] == [
        1,
        2,
        4,
        8,
        None,
    ]


def test_operators_take_plain_functions_on_either_side_and_refuse_what_cannot_be_called() -> None:
    def plain(error: BaseException) -> bool:
        return str(error) == "yes"

    either, both = plain | retry_if_exception_type(OSError), retry_if_exception_type(OSError) & plain
    assert (either, both) == (
        retry_any(plain, retry_if_exception_type(OSError)),
        retry_all(retry_if_exception_type(OSError), plain),
    )
    assert [either(error) for error in (OSError(), KeyError("no"), ValueError("yes"))] == [True, False, True]
    assert [both(error) for error in (OSError(), OSError("yes"), ValueError("yes"))] == [False, True, False]

    def wait(attempts: int, *, seed: int | None = None) -> float:
        return 2.0

    assert (wait + wait_fixed(1))(0) == (wait_fixed(1) + wait)(0) == 3
    assert sum([wait_fixed(1), wait_fixed(2), wait_fixed(3)])(0) == 6  # type: ignore[operator]

    def stop(attempts: int, elapsed_time: float, *, upcoming_sleep: float = 0.0) -> bool:
        return upcoming_sleep > 1

    assert (stop | stop_never()) == stop_any(stop, stop_never())
    assert (stop & stop_never()) == stop_all(stop, stop_never())
    for value, sign in ((retry_always(), operator.or_), (wait_none(), operator.add), (stop_never(), operator.and_)):
        for pair in ((value, "x"), ("x", value)):
            with pytest.raises(TypeError):
                sign(*pair)


def test_a_stop_before_the_delay_looks_at_the_wait_that_comes_next() -> None:
    policy = retry_policy(wait=wait_chain(wait_fixed(1), wait_fixed(8)), stop=stop_before_delay(10))
    assert policy.next(2, 1, OSError()) == 1
    assert policy.next(2, 2, OSError()) is None
    assert policy.next(1, 2, OSError()) == 8


def test_only_explicit_causes_count_and_a_circle_of_them_ends() -> None:
    condition = retry_if_exception_cause_type(OSError)
    explicit, implicit = ValueError(), ValueError()
    explicit.__cause__ = implicit.__context__ = OSError()
    assert condition(explicit)
    assert not condition(implicit)
    one, two = KeyError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert not condition(one)


def test_the_same_types_may_be_written_as_a_union() -> None:
    assert retry_if_exception_type(OSError | KeyError)(KeyError())
    assert not retry_if_not_exception_type(OSError | KeyError)(KeyError())


def test_a_wait_of_the_user_below_zero_is_a_retry_at_once() -> None:
    assert retry_policy(wait=lambda attempts, *, seed=None: -3.0).next(0, 1, OSError()) == 0


def test_waits_stay_finite_and_within_their_bound_however_many_attempts_fail() -> None:
    for wait in (wait_exponential(), wait_random_exponential(), wait_exponential_jitter()):
        assert 0 <= wait(10**6, seed=1) <= 60
    assert wait_exponential(multiplier=0)(10**6) == 0
    assert math.isfinite(wait_random_exponential(max=math.inf)(10**6, seed=1))


# --- Jitter ---


@given(drawn_waits, seeds, st.integers(0, 5))
def test_a_seed_and_an_attempt_give_one_delay(recipe: Recipe, seed: int, attempts: int) -> None:
    assert recipe(ours)(attempts, seed=seed) == recipe(ours)(attempts, seed=seed)


@given(seeds)
def test_attempts_seeds_and_the_parts_of_a_sum_draw_for_themselves(seed: int) -> None:
    wait = wait_random(0, 1)
    assert len({wait(attempts, seed=seed) for attempts in range(8)}) == 8
    assert wait(0, seed=seed) != wait(0, seed=seed + 1)
    assert (wait + wait)(0, seed=seed) != 2 * wait(0, seed=seed)
    nested = (wait + wait) + wait
    assert nested(0, seed=seed) == nested(0, seed=seed)


def test_draws_spread_over_their_whole_range() -> None:
    draws = [wait_random(2, 4)(0, seed=seed) for seed in range(1000)]
    assert min(draws) < 2.05
    assert max(draws) > 3.95
    assert abs(sum(draws) / 1000 - 3) < 0.1


def test_without_a_seed_draws_differ_and_leave_the_global_generator_alone() -> None:
    random.seed(1)
    state = random.getstate()
    assert len({wait_full_jitter(max=10, multiplier=10)(0) for _ in range(8)}) == 8
    assert random.getstate() == state


def test_another_process_draws_the_same_delays() -> None:
    code = (
        "from citewell.workflow.retry_policy import *; w = wait_random() + wait_exponential_jitter(); "
        "print([w(n, seed=7) for n in range(5)])"
    )
    wait = wait_random() + wait_exponential_jitter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.strip() == str([wait(n, seed=7) for n in range(5)])


# --- What is refused ---

# The same module without its types, for calls that a type checker would refuse first.
wrong: Any = ours


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: wait_fixed(-1), ValueError, "wait_fixed: wait is -1. Give at least 0 seconds, and finite."),
        (lambda: wait_fixed(timedelta(seconds=-1)), ValueError, "wait_fixed: wait is datetime.timedelta(days=-1"),
        (lambda: wait_fixed(math.inf), ValueError, "wait_fixed: wait is inf."),
        (lambda: wait_fixed(math.nan), ValueError, "wait_fixed: wait is nan."),
        (
            lambda: wrong.wait_fixed("5"),
            TypeError,
            "wait_fixed: wait is '5'. Give seconds as a number, or a timedelta.",
        ),
        (lambda: wait_fixed(True), TypeError, "wait_fixed: wait is True."),
        (lambda: wait_exponential(multiplier=-1), ValueError, "wait_exponential: multiplier is -1."),
        (lambda: wait_exponential(exp_base=math.inf), ValueError, "wait_exponential: exp_base is inf."),
        (lambda: wrong.wait_exponential(exp_base="2"), TypeError, "wait_exponential: exp_base is '2'."),
        (lambda: wait_exponential(min=70), ValueError, "wait_exponential: min is 70.0 s, above max, 60.0 s."),
        (lambda: wait_random(2, 1), ValueError, "wait_random: min is 2.0 s, above max, 1.0 s."),
        (lambda: wait_random(0, math.inf), ValueError, "wait_random: max is inf."),
        (lambda: wait_exponential_jitter(jitter=-1), ValueError, "wait_exponential_jitter: jitter is -1."),
        (lambda: wait_incrementing(start=-1), ValueError, "wait_incrementing: start is -1."),
        (lambda: wait_chain(), ValueError, "wait_chain has no strategies."),
        (lambda: wrong.wait_combine(3), TypeError, "wait_combine: strategies is 3, which cannot be called."),
        (lambda: wrong.wait_none() + wrong.wait_none, TypeError, "wait_combine: strategies is the class wait_none."),
        (lambda: stop_after_attempt(-1), ValueError, "stop_after_attempt: max_attempt_number is -1."),
        (lambda: wrong.stop_after_attempt(2.5), TypeError, "stop_after_attempt: max_attempt_number is 2.5."),
        (lambda: stop_after_delay(-1), ValueError, "stop_after_delay: max_delay is -1. Give at least 0 seconds."),
        (lambda: stop_before_delay(math.nan), ValueError, "stop_before_delay: max_delay is nan."),
        (
            lambda: wrong.retry_if_exception_type([OSError]),
            TypeError,
            "retry_if_exception_type: [<class 'OSError'>] is not",
        ),
        (
            lambda: wrong.retry_unless_exception_type(int),
            TypeError,
            "retry_unless_exception_type: <class 'int'> is not",
        ),
        (lambda: wrong.retry_if_exception("x"), TypeError, "retry_if_exception: predicate is 'x'"),
        (lambda: retry_if_exception_message(), TypeError, "retry_if_exception_message: neither of message and match"),
        (lambda: retry_if_exception_message("a", "b"), TypeError, "retry_if_exception_message: both of message"),
        (lambda: retry_if_exception_message(match="("), ValueError, "match='(' is not a regular expression"),
        (
            lambda: wrong.retry_policy(retry=OSError),
            TypeError,
            "retry is OSError. Use retry_if_exception_type(OSError).",
        ),
        (
            lambda: wrong.retry_policy(stop=wrong.stop_never),
            TypeError,
            "stop is the class stop_never. Give a value, stop_never(",
        ),
        (lambda: wrong.retry_policy(wait=5), TypeError, "retry_policy: wait is 5, which cannot be called."),
        (lambda: ConstantDelayRetryPolicy(delay=-1), ValueError, "wait is -1"),
        (lambda: ExponentialBackoffRetryPolicy(maximum_attempts=-1), ValueError, "max_attempt_number is -1"),
    ],
)
def test_impossible_arguments_are_refused_where_they_are_written(
    make: Callable[[], object], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        make()


def test_conditions_that_always_and_never_retry_do() -> None:
    assert retry_always()(KeyError())
    assert not retry_never()(KeyError())
    assert not retry_any()(KeyError())
    assert retry_all()(KeyError())
