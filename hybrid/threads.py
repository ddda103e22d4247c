"""How many threads heavy work may use, one setting for the whole package, and the threads themselves.

Everything that runs side by side goes through `parallel`: branches, parts of a scan, queries. It
counts its threads over the whole process, so that work inside work never takes more processors than
the setting allows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar

from hybrid.errors import InputError

VARIABLE = "HYBRID_THREADS"

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


def thread_count() -> int:
    """Return the number of threads that heavy work may use, at least 1.

    The environment variable ``HYBRID_THREADS`` decides; without it, the number of processors that
    this process may run on. Results never depend on it.

    Raises:
        InputError: the variable holds something other than a whole number of at least 1.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if not value:
        return _available()
    if not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise InputError(
            f"the environment variable {VARIABLE} is {value!r}; "
            "set it to a whole number of at least 1, or unset it to use every processor"
        )
    return int(value)


def _available() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return the function of each item, in order, computed on as many threads as are free.

    The calling thread works too, so calls may be nested and never wait for a free thread: where all
    are busy, the caller does everything itself. Context variables are the caller's. After an exception
    no further item is begun, and the exception of the earliest item that has one is raised.

    >>> parallel(lambda number: number * number, range(4))
    [0, 1, 4, 9]
    """
    todo = list(items)
    helpers = _HELPERS.take(min(len(todo), thread_count()) - 1) if len(todo) > 1 else 0
    if not helpers:
        return [function(item) for item in todo]
    job = _Job(function, todo)
    try:
        futures = [_HELPERS.executor().submit(copy_context().run, job.work) for _ in range(helpers)]
        job.work()
        for future in futures:
            _end(future)
    finally:
        _HELPERS.give_back(helpers)
    return job.results()


class Abandonment:
    """Whether anybody still waits for a piece of work that runs in a thread of its own.

    A thread cannot be ended from outside. Work that can stop by itself says how (`when_abandoned`).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._told: list[Callable[[], None]] = []

    def work(self, function: Callable[[], R]) -> R:
        """Return what the function returns; meanwhile `when_abandoned` in this thread means this work."""
        token = _CURRENT.set(self)
        try:
            return function()
        finally:
            _CURRENT.reset(token)

    def tell(self) -> None:
        """Say that nobody waits any more."""
        with self._lock:
            self._over, told = True, list(self._told)
        for stop in told:
            stop()

    def add(self, stop: Callable[[], None]) -> None:
        """Let ``stop`` be called; at once, if nobody waits already."""
        with self._lock:
            self._told.append(stop)
            over = self._over
        if over:
            stop()

    def remove(self, stop: Callable[[], None]) -> None:
        """Let ``stop`` not be called any more."""
        with self._lock:
            self._told.remove(stop)


_CURRENT: ContextVar[Abandonment | None] = ContextVar("hybrid-abandonment", default=None)


@contextmanager
def when_abandoned(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop``, from another thread, if nobody waits any more for what the body does.

    >>> with when_abandoned(lambda: print("never printed")):
    ...     pass
    """
    current = _CURRENT.get()
    if current is None:
        yield
        return
    current.add(stop)
    try:
        yield
    finally:
        current.remove(stop)


class _Job(Generic[T, R]):
    """Items that several threads take one after the other."""

    def __init__(self, function: Callable[[T], R], items: Sequence[T]) -> None:
        self._function, self._items = function, items
        self._results: dict[int, R] = {}
        self._errors: dict[int, BaseException] = {}
        self._next = 0
        self._lock = threading.Lock()

    def work(self) -> None:
        """Take items until none is left."""
        while (number := self._take()) is not None:
            try:
                self._results[number] = self._function(self._items[number])
            except BaseException as error:  # raised again by `results`, in the caller's thread
                self._errors[number] = error

    def _take(self) -> int | None:
        with self._lock:
            if self._errors or self._next == len(self._items):
                return None
            self._next += 1
            return self._next - 1

    def results(self) -> list[R]:
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[number] for number in range(len(self._items))]


class Workers(Executor):
    """So many threads at most, begun as work comes, that do not keep the process alive.

    Those of `concurrent.futures.ThreadPoolExecutor` are waited for when a process ends, and a model that
    hangs would keep it from ever ending. These are left behind.
    """

    def __init__(self, most: int, name: str) -> None:
        """Begin without threads."""
        self._most, self._name = most, name
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock, self._closed = threading.Lock(), False

    def submit(self, function: Callable[P, R], /, *given: P.args, **options: P.kwargs) -> Future[R]:
        """Put work in line; return what will hold its result.

        Raises:
            RuntimeError: it was shut down.
        """
        future: Future[R] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*given, **options)
            except BaseException as error:  # raised again where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            if self._closed:
                raise RuntimeError("no work is taken any more")
            self._work.put(work)
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, **options: Any) -> None:
        """Let the threads end when they have done what is in line; ``wait`` for that."""
        with self._lock:
            self._closed, threads = True, list(self._threads)
        for _ in threads:
            self._work.put(None)
        for thread in threads if wait else ():
            thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # it holds what was asked
            self._idle.release()


class _Helpers:
    """The process's helping threads; made when first needed, and anew in a forked process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: Workers | None = None
        self._busy = 0

    def take(self, wanted: int) -> int:
        """Reserve up to so many helpers; return how many."""
        with self._lock:
            taken = max(0, min(wanted, thread_count() - 1 - self._busy))
            self._busy += taken
            return taken

    def give_back(self, helpers: int) -> None:
        """Let others have the helpers."""
        with self._lock:
            self._busy -= helpers

    def executor(self) -> Workers:
        """Return the threads; their number is bounded by `take`."""
        with self._lock:
            if self._executor is None:
                self._executor = Workers(256, "hybrid")
            return self._executor


def _end(future: Future[None]) -> None:
    """Wait for a helper, unless it has not begun: then there is nothing left for it to do."""
    if not future.cancel():
        future.result()


_HELPERS = _Helpers()


def _forget() -> None:
    """Begin anew in a forked process: the threads stayed in the parent."""
    _HELPERS.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
