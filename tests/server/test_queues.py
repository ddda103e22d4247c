"""Lines of bounded length: what waits is run together, what is too much is refused at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hybrid.engine import Ask
from hybrid.engine.deadline import Deadline
from hybrid.server.problems import Problem
from hybrid.server.queues import Batches, Line


class Gated:
    """Runs batches when it is let; a result is the query itself."""

    def __init__(self):
        self.open, self.batches = threading.Event(), []

    def __call__(self, asks, done):
        self.batches.append([ask.query for ask in asks])
        assert self.open.wait(10)
        for n, ask in enumerate(asks):
            done(n, ValueError(ask.query) if ask.query == "bad" else ask.query)


def batches(run, **options):
    settings = {"limit": 5, "size": 3, "workers": 1, "taken": lambda searches, waited: None, **options}
    return Batches(run, **settings)


def test_what_waits_is_run_together():
    async def scene():
        run, sizes = Gated(), []
        line = batches(run, taken=lambda searches, waited: sizes.append(searches))
        first = line.submit([Ask("0")])
        await asyncio.sleep(0.05)  # it runs; the next ones wait
        rest = [future for name in "abcde" for future in line.submit([Ask(name)])]
        assert line.waiting == 5
        run.open.set()
        found = await asyncio.gather(*first, *rest)
        line.close()
        return run.batches, sizes, found

    ran, sizes, found = asyncio.run(scene())
    assert ran == [["0"], ["a", "b", "c"], ["d", "e"]]
    assert sizes == [1, 3, 2]
    assert found == list("0abcde")


def test_too_many_are_refused_and_the_others_answered():
    async def scene():
        run = Gated()
        line = batches(run)
        futures = line.submit([Ask("0")])
        await asyncio.sleep(0.05)
        futures += line.submit([Ask(name) for name in "abcde"])
        with pytest.raises(Problem) as refused:
            line.submit([Ask("more")])
        run.open.set()
        found = await asyncio.gather(*futures)
        line.close()
        return refused.value, found

    refused, found = asyncio.run(scene())
    assert (refused.status, refused.kind, int(refused.headers["retry-after"])) == (503, "busy", 1)
    assert found == list("0abcde")


def test_an_error_is_of_one_search_only_and_a_late_one_is_not_begun():
    async def scene():
        run = Gated()
        line = batches(run)
        first = line.submit([Ask("0")])
        await asyncio.sleep(0.05)
        rest = line.submit([Ask("good"), Ask("bad"), Ask("late", deadline=Deadline(0.01))])
        gone = line.submit([Ask("gone")])
        gone[0].cancel()
        await asyncio.sleep(0.05)
        run.open.set()
        found = await asyncio.gather(*first, *rest, return_exceptions=True)
        line.close()
        return run.batches, found

    ran, (first, good, bad, late) = asyncio.run(scene())
    assert ran == [["0"], ["good", "bad"]]
    assert (first, good, str(bad)) == ("0", "good", "bad")
    assert (late.status, late.kind) == (503, "busy")


def test_a_batch_that_fails_as_a_whole_fails_each():
    def run(asks, done):
        raise OSError("the disk is gone")

    async def scene():
        line = batches(run)
        found = await asyncio.gather(*line.submit([Ask("a"), Ask("b")]), return_exceptions=True)
        line.close()
        return found

    assert [str(error) for error in asyncio.run(scene())] == ["the disk is gone"] * 2


def test_a_line_is_bounded_too():
    async def scene():
        gate, line = threading.Event(), Line(limit=1, workers=1)
        tasks = [asyncio.create_task(line.run(lambda: gate.wait(10))) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as refused:
            await line.run(lambda: None)
        gate.set()
        assert await asyncio.gather(*tasks) == [True, True]
        assert await line.run(lambda: 7) == 7
        line.close()
        return refused.value.status

    assert asyncio.run(scene()) == 503


def test_what_takes_too_long_is_left_behind():
    async def scene():
        gate, line = threading.Event(), Line(limit=4, workers=1, seconds=0.1)
        with pytest.raises(Problem) as late:
            await line.run(lambda: gate.wait(30))
        assert await line.run(lambda: 7) == 7  # the thread is free again
        gate.set()
        line.close()
        return late.value

    problem = asyncio.run(scene())
    assert (problem.status, problem.kind) == (504, "deadline")
