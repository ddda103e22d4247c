"""Threads that run branches side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hybrid.threads import thread_count

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A thread pool made when it is first needed, and made anew in a forked process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the function of each item, in order; the first exception is raised.

        Must not be called from within a function that it runs.
        """
        todo = list(items)
        if len(todo) < 2 or thread_count() < 2:
            return [function(item) for item in todo]
        with self._lock:  # so that `close` ends the threads before they have work, or once it is done
            results = self._executor().map(function, todo)
        return list(results)

    def close(self) -> None:
        """End the threads; a later `map` starts new ones."""
        with self._lock:
            if self._pool is not None and self._pid == os.getpid():
                self._pool.shutdown()
            self._pool = None

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None or self._pid != os.getpid():
            self._pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="hybrid")
            self._pid = os.getpid()
        return self._pool


class Inline:
    """The same, in the calling thread: for work that already runs side by side."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the function of each item, in order."""
        return [function(item) for item in items]
