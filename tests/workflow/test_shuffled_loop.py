"""The shuffled loop: a seed is a schedule, callbacks keep their order, and nothing but the order of tasks changes."""

import asyncio
import re
import threading
from collections import Counter

import pytest

from citewell.testing import Deadlock, ShuffledLoop, run_shuffled

SEEDS = range(40)


async def letters(turns: int = 3) -> str:
    """The order in which five tasks, which yield `turns` times each, went on."""
    went: list[str] = []

    async def walk(name: str) -> None:
        for _ in range(turns):
            went.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*[walk(name) for name in "abcde"])
    return "".join(went)


def test_the_same_seed_gives_the_same_schedule():
    for seed in SEEDS:
        assert run_shuffled(letters(), seed) == run_shuffled(letters(), seed)


def test_different_seeds_give_different_schedules():
    schedules = {run_shuffled(letters(), seed) for seed in SEEDS}
    assert len(schedules) > len(SEEDS) // 2
    assert all(Counter(schedule) == Counter("abcde" * 3) for schedule in schedules)


def test_every_order_of_three_tasks_is_reached():
    async def main() -> str:
        went: list[str] = []

        async def once(name: str) -> None:
            went.append(name)

        await asyncio.gather(*[once(name) for name in "abc"])
        return "".join(went)

    assert {run_shuffled(main(), seed, hold=0) for seed in range(200)} == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_a_task_that_is_held_back_lets_another_go_on_twice():
    async def two() -> str:
        went: list[str] = []

        async def walk(name: str) -> None:
            for _ in range(3):
                went.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(walk("a"), walk("b"))
        return "".join(went)

    # Without holding back, both go on once in every turn.
    turns = {run_shuffled(two(), seed, hold=0) for seed in SEEDS}
    assert all({turn[0:2], turn[2:4], turn[4:6]} <= {"ab", "ba"} for turn in turns)
    assert any(run_shuffled(two(), seed, hold=0.5).startswith("aaa") for seed in SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_callbacks_keep_their_order_and_no_task_runs_before_a_callback_scheduled_ahead_of_it(seed: int):
    async def main() -> None:
        loop, ran = asyncio.get_running_loop(), list[tuple[str, int]]()

        async def step(number: int) -> None:
            ran.append(("task", number))

        tasks = []
        for number in range(10):
            loop.call_soon(ran.append, ("callback", number))
            tasks.append(asyncio.create_task(step(number)))
        await asyncio.gather(*tasks)
        assert [number for kind, number in ran if kind == "callback"] == list(range(10))
        for number in range(10):
            assert ran.index(("callback", number)) < ran.index(("task", number))

    run_shuffled(main(), seed)


def test_a_callback_overtakes_none_some_or_all_of_the_tasks_scheduled_ahead_of_it():
    async def main() -> str:
        went: list[str] = []

        async def once(name: str) -> None:
            went.append(name)

        tasks = [asyncio.create_task(once(name)) for name in "ab"]
        asyncio.get_running_loop().call_soon(went.append, "|")
        await asyncio.gather(*tasks)
        return "".join(went)

    assert {run_shuffled(main(), seed, hold=0) for seed in range(200)} == {"ab|", "ba|", "a|b", "b|a", "|ab", "|ba"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_method_of_a_task_given_to_call_soon_is_a_callback_like_any_other(seed: int):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(1)
        seen: list[bool] = []
        loop.call_soon(task.cancel)
        loop.call_soon(lambda: seen.append(task.cancelling() > 0))
        await asyncio.wait([task])
        assert seen == [True]

    run_shuffled(main(), seed)


def test_a_lost_update_that_asyncio_never_shows_is_found_by_some_seed_and_shown_again_by_that_seed():
    async def main() -> int:
        balance = 0

        async def pay_in(turns: int) -> None:
            nonlocal balance
            for _ in range(turns):
                await asyncio.sleep(0)
            read = balance
            await asyncio.sleep(0)
            balance = read + 1

        # In asyncio's own order the second reads long after the first has written.
        await asyncio.gather(pay_in(0), pay_in(4))
        return balance

    assert asyncio.run(main()) == 2
    losing = [seed for seed in range(200) if run_shuffled(main(), seed) == 1]
    assert losing
    assert all(run_shuffled(main(), seed) == 1 for seed in losing)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_asyncio_promises_holds_on_every_schedule(seed: int):
    async def main() -> None:
        lock, queue, semaphore = asyncio.Lock(), asyncio.Queue[int](2), asyncio.Semaphore(3)
        inside = most = 0

        async def produce() -> None:
            for number in range(20):
                await queue.put(number)

        async def guarded() -> None:
            nonlocal inside, most
            async with semaphore, asyncio.timeout(1_000):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                async with lock:
                    await asyncio.sleep(1)
                inside -= 1

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            for _ in range(8):
                group.create_task(guarded())
            assert [await queue.get() for _ in range(20)] == list(range(20))
        assert (inside, asyncio.get_running_loop().time()) == (0, 8)
        assert most <= 3

    run_shuffled(main(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_holding_tasks_back_takes_no_time(seed: int):
    async def main() -> None:
        async with asyncio.timeout(0.001):
            await letters(20)
        assert asyncio.get_running_loop().time() == 0

    run_shuffled(main(), seed, hold=0.9)


def test_threads_end_in_an_order_that_the_seed_decides():
    async def main() -> str:
        ended: list[str] = []

        async def work(name: str) -> None:
            assert await asyncio.to_thread(threading.current_thread) is not threading.current_thread()
            ended.append(name)

        await asyncio.gather(*[work(name) for name in "abcd"])
        return "".join(ended)

    orders = [run_shuffled(main(), seed) for seed in SEEDS]
    assert orders == [run_shuffled(main(), seed) for seed in SEEDS]
    assert len(set(orders)) > 5


def test_a_thread_ends_before_or_after_a_task_that_yields_four_times():
    async def main() -> str:
        ended: list[str] = []

        async def thread() -> None:
            await asyncio.to_thread(str)
            ended.append("thread")

        async def task() -> None:
            for _ in range(4):
                await asyncio.sleep(0)
            ended.append("task")

        await asyncio.gather(thread(), task())
        return ended[0]

    assert {run_shuffled(main(), seed, hold=0) for seed in SEEDS} == {"thread", "task"}


def test_what_a_thread_raises_arrives_and_what_was_cancelled_never_starts():
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        started: list[int] = []
        for _ in range(20):
            asyncio.get_running_loop().run_in_executor(None, started.append, 1).cancel()
        await asyncio.sleep(1)
        assert started == []

    run_shuffled(main(), 3)


def test_a_thread_that_waits_for_the_loop_is_an_error_that_says_so():
    async def main() -> None:
        release = threading.Event()
        asyncio.get_running_loop().call_later(1, release.set)
        try:
            await asyncio.get_running_loop().run_in_executor(None, release.wait, 20)
        finally:
            release.set()

    with pytest.raises(Deadlock, match=r"Event\.wait in a thread did not end within 0\.05 s"):
        run_shuffled(main(), 1, patience_s=0.05)


def test_an_error_names_the_seed_that_found_it():
    async def main() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError) as caught:
        run_shuffled(main(), 77)
    assert caught.value.__notes__ == ["Schedule: seed=77, hold=0.25."]


@pytest.mark.parametrize("hold", [-0.1, 1.0, 2])
def test_a_loop_that_would_hold_a_task_back_for_ever_is_refused(hold: float):
    with pytest.raises(ValueError, match=re.escape(f"hold={hold}")):
        ShuffledLoop(1, hold=hold)
