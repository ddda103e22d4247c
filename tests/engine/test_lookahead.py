"""Working ahead on threads: in order, bounded, and ended whatever happens."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from hybrid.engine.lookahead import Lookahead


class Room:
    """What helping threads enter; counts them, and can be told to hurry."""

    def __init__(self):
        self.inside, self.most = 0, 0
        self.hurry = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            yield
        finally:
            with self._lock:
                self.inside -= 1


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_results_come_in_order_whoever_computes_them(helpers):
    room, threads = Room(), set()

    def slow_if_even(number):
        time.sleep(0.004 * (number % 2 == 0))
        threads.add(threading.get_ident())
        return number * 2

    with Lookahead(slow_if_even, helpers, room, room.hurry.set) as ahead:
        assert list(ahead.map(iter(range(30)))) == [2 * number for number in range(30)]
    assert (room.inside, room.most) == (0, helpers)
    assert threading.get_ident() in threads
    assert (len(threads) > 1) == (helpers > 0)
    assert not room.hurry.is_set()


def test_items_are_taken_a_few_ahead_and_by_the_caller():
    room, taken, callers = Room(), [], set()

    def items():
        for number in range(20):
            taken.append(number)
            callers.add(threading.get_ident())
            yield number

    with Lookahead(str, 2, room, room.hurry.set) as ahead:
        for done, _ in enumerate(ahead.map(items())):
            assert len(taken) <= done + 6
    assert callers == {threading.get_ident()}


def test_the_earliest_error_is_raised_in_its_turn():
    room, got = Room(), []

    def fails(number):
        if number in (3, 4):
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="3"), Lookahead(fails, 2, room, room.hurry.set) as ahead:  # noqa: PT012
        for result in ahead.map(range(10)):
            got.append(result)
    assert got == [0, 1, 2]
    assert room.inside == 0


def test_leaving_early_cuts_the_work_short():
    room, helping = Room(), threading.Event()

    def work(number):
        if number:
            helping.set()
            assert room.hurry.wait(30)
        return number

    def items():
        yield 0
        yield 1
        assert helping.wait(30)  # a helper is in the middle of it
        raise KeyError

    start = time.monotonic()
    with pytest.raises(KeyError), Lookahead(work, 1, room, room.hurry.set) as ahead:
        list(ahead.map(items()))
    assert time.monotonic() - start < 20
    assert room.inside == 0


def test_an_interrupt_of_the_caller_does_not_wait_for_its_turn():
    room, started = Room(), threading.Event()

    def work(number):
        if threading.current_thread() is threading.main_thread():
            assert started.wait(30)
            raise KeyboardInterrupt
        started.set()
        room.hurry.wait(30)
        return number

    with pytest.raises(KeyboardInterrupt), Lookahead(work, 1, room, room.hurry.set) as ahead:
        list(ahead.map(range(10)))
    assert room.hurry.is_set()
    assert room.inside == 0
