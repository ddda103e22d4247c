"""Work done ahead of the one who uses its results, in order, on a few threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Task(Generic[T]):
    """One item, taken by whoever comes first."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = threading.Event()


class Lookahead(Generic[T, R]):
    """Computes a function of items on helping threads, ahead of whoever iterates; a context manager.

    Items are taken from their iterator by the caller's thread only, ``2 * helpers + 2`` ahead at most,
    so memory stays bounded. The caller computes too where it would have to wait.

    ``around`` is entered by each helping thread for its life. At the end of the ``with`` block, if work
    is still going on, ``interrupt`` is called to cut it short; then all threads have ended.
    """

    def __init__(
        self,
        function: Callable[[T], R],
        helpers: int,
        around: Callable[[], AbstractContextManager[None]],
        interrupt: Callable[[], None],
    ) -> None:
        self._function, self._around, self._interrupt = function, around, interrupt
        self._ahead = 2 * helpers + 2
        self._todo: deque[_Task[T]] = deque()
        self._results: dict[_Task[T], R] = {}
        self._errors: dict[_Task[T], BaseException] = {}
        self._change = threading.Condition()
        self._ended = False
        self._working = 0
        self._helpers = [threading.Thread(target=self._help, daemon=True) for _ in range(helpers)]

    def map(self, items: Iterable[T]) -> Iterator[R]:
        """Yield the function of each item, in order; raise what it raised, when its turn comes."""
        source = iter(items)
        window: deque[_Task[T]] = deque()
        more = True
        while more or window:
            while more and len(window) < self._ahead:
                try:
                    task = _Task(next(source))
                except StopIteration:
                    more = False
                    break
                window.append(task)
                self._offer(task)
            if window and self._finish(window[0]):
                task = window.popleft()
                if task in self._errors:
                    raise self._errors.pop(task)
                yield self._results.pop(task)

    def _offer(self, task: _Task[T]) -> None:
        with self._change:
            self._todo.append(task)
            self._change.notify()

    def _finish(self, task: _Task[T]) -> bool:
        """Return whether a task is done; if not, do the next one of all, or wait if none is left."""
        if not task.done.is_set():
            mine = self._take(wait=False)
            if mine is None:
                task.done.wait()
            else:
                self._compute(mine)
                if isinstance(error := self._errors.get(mine), BaseException) and not isinstance(
                    error, Exception
                ):
                    raise error  # Ctrl-C does not wait for its turn
        return task.done.is_set()

    def _take(self, *, wait: bool) -> _Task[T] | None:
        with self._change:
            while wait and not self._todo and not self._ended:
                self._change.wait()
            if not self._todo or self._ended:
                return None
            self._working += 1
            return self._todo.popleft()

    def _compute(self, task: _Task[T]) -> None:
        try:
            self._results[task] = self._function(task.item)
        except BaseException as error:  # raised again by `map`
            self._errors[task] = error
        finally:
            with self._change:
                self._working -= 1
            task.done.set()

    def _help(self) -> None:
        with self._around():
            while (task := self._take(wait=True)) is not None:
                self._compute(task)

    def __enter__(self) -> Self:
        for helper in self._helpers:
            helper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()
            busy = self._working > 0
        if busy or kind is not None:
            self._interrupt()
        for helper in self._helpers:
            helper.join()
