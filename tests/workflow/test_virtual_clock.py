"""The virtual clock: time jumps when nothing is ready, never past work outside the loop, and a dead end is an error."""

import asyncio
import concurrent.futures
import datetime
import gc
import re
import socket
import threading
import time

import pytest

from citewell.testing import Deadlock, VirtualLoop, run_virtual


def loop_now() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_ten_thousand_seconds_pass_at_once_and_exactly():
    async def main() -> float:
        await asyncio.sleep(10_000)
        return loop_now().time()

    began = time.monotonic()
    assert run_virtual(main()) == 10_000
    assert time.monotonic() - began < 5_000


def test_timers_run_in_the_order_of_their_times_whatever_the_order_they_were_set_in():
    async def main() -> list[tuple[float, float]]:
        ran: list[tuple[float, float]] = []

        async def wait(delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            ran.append((delay_s, loop_now().time()))

        await asyncio.gather(*[wait(delay_s) for delay_s in (5, 0.001, 86_400 * 30, 1, 3, 0.1)])
        return ran

    assert run_virtual(main()) == [(at, at) for at in (0.001, 0.1, 1, 3, 5, 86_400 * 30)]


def test_two_runs_of_the_same_code_see_the_same_times():
    async def main() -> list[float]:
        seen: list[float] = []

        async def tick(period_s: float) -> None:
            for _ in range(20):
                await asyncio.sleep(period_s)
                seen.append(loop_now().wall_time())

        await asyncio.gather(tick(0.3), tick(0.7), tick(1.1))
        return seen

    assert run_virtual(main()) == run_virtual(main())


def test_wait_for_and_timeout_end_what_takes_longer_and_leave_what_does_not():
    async def main() -> None:
        assert await asyncio.wait_for(asyncio.sleep(9, "done"), 10) == "done"
        assert loop_now().time() == 9
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(11), 10)
        assert loop_now().time() == 19
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(100):
                await asyncio.Event().wait()
        assert loop_now().time() == 100

    run_virtual(main())


def test_the_wall_clock_goes_with_the_loops_time():
    async def main() -> None:
        loop = loop_now()
        assert (loop.time(), loop.wall_time()) == (50, 1_000)
        await asyncio.sleep(2.5)
        assert (loop.time(), loop.wall_time()) == (52.5, 1_002.5)

    run_virtual(main(), start=50, wall=1_000)


def test_without_a_given_date_the_wall_clock_begins_in_2026():
    async def main() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(loop_now().wall_time(), datetime.UTC)

    assert run_virtual(main()) == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("seconds", [2.0**25, 3e9, 1e15])
def test_timers_far_from_zero_are_due_although_a_nanosecond_is_below_one_step_of_the_clock(seconds: float):
    async def main() -> float:
        await asyncio.sleep(seconds)
        before = loop_now().time()
        await asyncio.sleep(10)
        return loop_now().time() - before

    assert run_virtual(main(), start=0.5) == 10


def test_advance_moves_the_clock_and_runs_what_is_due_in_its_order():
    async def main() -> None:
        loop, ran = loop_now(), list[str]()
        loop.call_later(7, ran.append, "7")
        loop.call_later(3, ran.append, "3")
        loop.call_later(30, ran.append, "30")
        loop.advance(10)
        assert (loop.time(), ran) == (10, [])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (loop.time(), ran) == (10, ["3", "7"])

    run_virtual(main())


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_time_is_not_advanced_backwards_or_for_ever(seconds: float):
    async def main() -> None:
        with pytest.raises(ValueError, match=re.escape(f"Cannot advance by {seconds} s")):
            loop_now().advance(seconds)
        assert loop_now().time() == 0

    run_virtual(main())


def test_a_thread_beats_every_timer_and_takes_no_virtual_time():
    async def main() -> None:
        assert await asyncio.wait_for(asyncio.to_thread(slow, "done"), 0.001) == "done"
        assert loop_now().time() == 0
        own = concurrent.futures.ThreadPoolExecutor(1)
        assert await asyncio.wait_for(loop_now().run_in_executor(own, slow, "own"), 0.001) == "own"
        own.shutdown()
        assert loop_now().time() == 0
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    run_virtual(main())


def slow(answer: str) -> str:
    time.sleep(0.05)
    return answer


def test_time_waits_for_a_thread_that_nobody_awaits_any_more():
    async def main() -> None:
        ended = threading.Event()

        def work() -> None:
            time.sleep(0.05)
            ended.set()

        waiting = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(1)
        assert ended.is_set()
        assert loop_now().time() == 1

    run_virtual(main())


def test_many_threads_end_and_time_goes_on_after_the_last():
    async def main() -> None:
        for _ in range(50):
            assert await asyncio.gather(*[asyncio.to_thread(str, n) for n in range(20)]) == [str(n) for n in range(20)]
            await asyncio.sleep(1)
        assert loop_now().time() == 50

    run_virtual(main())


def test_a_thread_may_move_the_clock_that_it_waits_for():
    async def main() -> bool:
        loop, rung = loop_now(), threading.Event()
        loop.call_later(60, rung.set)

        def work() -> bool:
            loop.call_soon_threadsafe(loop.advance, 60)
            return rung.wait(20)

        return await asyncio.to_thread(work)

    assert run_virtual(main())


def test_a_thread_that_never_answers_is_an_error_that_says_so():
    release = threading.Event()

    async def main() -> None:
        waiting = loop_now().run_in_executor(None, release.wait, 20)
        loop_now().call_later(5, waiting.cancel)
        try:
            await waiting
        finally:
            release.set()

    with pytest.raises(Deadlock, match=r"a thread or socket was waited for, and did nothing for 0\.05 s"):
        run_virtual(main(), patience_s=0.05)


def test_time_stands_still_while_a_socket_is_open_and_goes_on_after_it():
    async def main() -> None:
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        answering = threading.Thread(target=lambda: (time.sleep(0.05), far.sendall(b"hello\n"), far.close()))
        answering.start()
        assert await asyncio.wait_for(reader.readline(), 0.001) == b"hello\n"
        assert loop_now().time() == 0
        writer.close()
        await writer.wait_closed()
        answering.join()
        await asyncio.sleep(1)
        assert loop_now().time() == 1

    run_virtual(main())


def test_a_thread_of_ones_own_is_waited_for_inside_outside():
    async def main() -> None:
        loop = loop_now()
        with loop.outside():
            come = loop.create_future()
            thread = threading.Thread(target=lambda: (time.sleep(0.05), loop.call_soon_threadsafe(come.set_result, 1)))
            thread.start()
            assert await asyncio.wait_for(come, 0.001) == 1
        thread.join()
        assert loop.time() == 0

    run_virtual(main())


def test_a_dead_end_is_an_error_that_says_when_and_where():
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(12.5)
        await asyncio.gather(stuck(), asyncio.create_task(asyncio.sleep(3), name="short"))

    with pytest.raises(Deadlock, match=r"^Virtual time stands at 15\.5 s for ever: no callback is ready") as caught:
        run_virtual(main())
    assert len(caught.value.waiting) == 2
    assert any(re.search(r"\.stuck \(.*\.py:\d+\) > Event\.wait \(", line) for line in caught.value.waiting)
    assert all(line in str(caught.value) for line in caught.value.waiting)


def test_sleeping_without_end_is_a_dead_end_too():
    with pytest.raises(Deadlock, match="for ever"):
        run_virtual(asyncio.sleep(float("inf")))


def test_a_task_that_will_not_be_cancelled_does_not_hang_the_end():
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(1)
        assert not task.done()

    with pytest.raises(Deadlock, match="stubborn"):
        run_virtual(main())
    gc.collect()


def test_a_loop_that_ends_in_a_dead_end_is_closed_and_the_next_one_works():
    loop = VirtualLoop()
    with pytest.raises(Deadlock), asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(asyncio.Event().wait())
    assert loop.is_closed()
    assert run_virtual(asyncio.sleep(5, "next")) == "next"
