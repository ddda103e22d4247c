"""Waiting lines of bounded length in front of threads: searches in batches, other work one by one."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from hybrid.engine import Ask
from hybrid.engine.deadline import Deadline
from hybrid.engine.result import Result
from hybrid.server.problems import Problem
from hybrid.threads import Workers

T = TypeVar("T")
Outcome = Result | Exception
Done = Callable[[int, Outcome], None]
Together = Callable[[Sequence[Ask], Done], None]
Taken = Callable[[int, float], None]


class Pace:
    """How long one piece of work takes, of late; it says when a place will be free again."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def took(self, seconds: float) -> None:
        """Remember how long a piece took."""
        self._seconds += (seconds - self._seconds) * (0.1 if self._seconds else 1.0)

    def busy(self, waiting: int, workers: int) -> Problem:
        """Return the refusal of what comes while so many wait."""
        wait = max(1, math.ceil(self._seconds * waiting / workers))
        detail = f"{waiting} requests wait already; try again in {wait} s"
        return Problem(503, "busy", detail, {"retry-after": str(wait)})


class Batches:
    """Searches of one index: those that wait when a worker is free are run together.

    Nothing waits for others to come: where little is asked, a batch is one search.
    """

    def __init__(self, run: Together, *, limit: int, size: int, workers: int, taken: Taken) -> None:
        """Take what runs a batch; ``taken(searches, waited)`` hears of each batch when it begins."""
        self._run, self._limit, self._size, self._workers = run, limit, size, workers
        self._taken, self._pace = taken, Pace()
        self._threads = Workers(workers, "hybrid-search")
        self._waiting: deque[tuple[Ask, asyncio.Future[Result], float]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many searches wait."""
        return len(self._waiting)

    def submit(self, asks: Sequence[Ask]) -> list[asyncio.Future[Result]]:
        """Put searches in line, all or none; return what will hold their results.

        Raises:
            Problem: too many wait.
        """
        if len(self._waiting) + len(asks) > self._limit and self._waiting:
            raise self._pace.busy(len(self._waiting), self._workers)
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in asks]
        now = time.monotonic()
        self._waiting.extend((ask, future, now) for ask, future in zip(asks, futures, strict=True))
        if len(self._running) < self._workers:
            task = loop.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return futures

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            started = time.monotonic()
            self._taken(len(batch), started - batch[0][2])
            futures = [future for _, future, _ in batch]

            def done(n: int, outcome: Outcome, futures: Sequence[asyncio.Future[Result]] = futures) -> None:
                loop.call_soon_threadsafe(_settle, futures[n], outcome)

            try:
                await loop.run_in_executor(self._threads, self._run, [ask for ask, _, _ in batch], done)
            except Exception as error:
                for future in futures:
                    _settle(future, error)
            self._pace.took((time.monotonic() - started) / len(batch))

    def _next(self) -> list[tuple[Ask, asyncio.Future[Result], float]]:
        """Take the next batch; what nobody waits for any more, or has waited too long, is left out."""
        batch: list[tuple[Ask, asyncio.Future[Result], float]] = []
        while self._waiting and len(batch) < self._size:
            ask, future, since = self._waiting.popleft()
            if future.done():
                continue
            if ask.deadline.passed:
                future.set_exception(
                    Problem(503, "busy", "the deadline passed while the search waited", {"retry-after": "1"})
                )
                continue
            batch.append((ask, future, since))
        return batch

    def close(self) -> None:
        """Take nothing more; what runs still is what nobody waits for any more."""
        self._threads.shutdown(wait=False)


def _settle(future: asyncio.Future[Result], outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Line:
    """Other work: so many pieces at a time, in threads, while a bounded number waits.

    ``seconds``: how long a piece may take, waiting included; None for work that must not be left half-way.
    """

    def __init__(self, *, limit: int, workers: int, seconds: float | None = None) -> None:
        self._limit, self._workers, self._seconds, self._pace = limit, workers, seconds, Pace()
        self._threads = Workers(workers, "hybrid-work")
        self._inside = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, and raise what it raises.

        Raises:
            Problem: too many wait, or it takes too long.
        """
        if self._inside >= self._limit + self._workers:
            raise self._pace.busy(self._inside - self._workers, self._workers)
        self._inside += 1
        started, deadline = time.monotonic(), Deadline(self._seconds)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: deadline.within(work)
            )
        except TimeoutError as error:
            raise Problem(504, "deadline", f"this takes longer than {self._seconds:g} s") from error
        finally:
            self._inside -= 1
            self._pace.took(time.monotonic() - started)

    def close(self) -> None:
        """Take nothing more; what runs still is what nobody waits for any more."""
        self._threads.shutdown(wait=False)
