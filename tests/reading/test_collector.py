"""The collector rests while something is read, and is afterwards as it was before."""

import gc
import threading

import pytest

from citewell.reading.collector import without_collector


class _Reading:
    @without_collector
    def read(self, inside: threading.Event, go_on: threading.Event) -> bool:
        inside.set()
        assert go_on.wait(10)
        return gc.isenabled()

    @without_collector
    def fail(self) -> None:
        raise ValueError(gc.isenabled())


def test_the_collector_rests_until_the_last_of_several_readings_is_done() -> None:
    assert gc.isenabled()
    reading, results = _Reading(), []
    events = [(threading.Event(), threading.Event()) for _ in range(2)]
    threads = [threading.Thread(target=lambda pair=pair: results.append(reading.read(*pair))) for pair in events]
    for thread, (inside, _) in zip(threads, events, strict=True):
        thread.start()
        assert inside.wait(10)
    events[0][1].set()
    threads[0].join()
    assert not gc.isenabled()
    events[1][1].set()
    threads[1].join()
    assert gc.isenabled()
    assert results == [False, False]


def test_a_reading_that_fails_wakes_the_collector() -> None:
    with pytest.raises(ValueError, match="False"):
        _Reading().fail()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with pytest.raises(ValueError, match="False"):
            _Reading().fail()
        assert not gc.isenabled()
    finally:
        gc.enable()
