"""How long a query may take, and what is done with work that would take longer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from numbers import Real
from typing import Any, TypeVar

from hybrid.errors import InputError
from hybrid.threads import Abandonment

T = TypeVar("T")

_LONGEST = 1e8
"""Seconds, three years: the system cannot wait for just any time, and nobody waits for longer than that."""


class Deadline:
    """A moment after which nobody waits any more; None for never.

    Work that is late cannot be stopped from outside: it goes on in a thread of its own that does not keep
    the process alive, and its result is thrown away. Work that can stop by itself is told to
    (`hybrid.threads.when_abandoned`): rerankers behind APIs send nothing more.

    Raises:
        InputError: the time is not a number of seconds above 0.
    """

    def __init__(self, seconds: float | None) -> None:
        number = isinstance(seconds, Real) and not isinstance(seconds, bool)
        if seconds is not None and (not number or not 0 < seconds < math.inf):
            raise InputError(f"deadline is {seconds!r}; give a number of seconds above 0, or None")
        self._seconds = None if seconds is None else float(min(seconds, _LONGEST))
        self._at = math.inf if self._seconds is None else time.monotonic() + self._seconds

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._at

    @property
    def left(self) -> float:
        """How many seconds are left: below 0 if it is over, inf for never."""
        return self._at - time.monotonic()

    def half(self) -> Deadline:
        """Return the moment in the middle between now and this one; it may be over, too."""
        return Deadline(None if self._seconds is None else max((self._at - time.monotonic()) / 2, 1e-9))

    def within(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, and raise what it raises.

        Raises:
            TimeoutError: it had not ended in time.
        """
        if self._seconds is None:
            return work()
        if self.passed:
            raise TimeoutError(f"the deadline of {self._seconds:g} s had passed")
        outcome: dict[str, Any] = {}
        waiting = Abandonment()
        given = (_keep, lambda: waiting.work(work), outcome)
        run = copy_context().run
        thread = threading.Thread(target=run, args=given, name="hybrid-deadline", daemon=True)
        thread.start()
        thread.join(max(0.0, self._at - time.monotonic()))
        if thread.is_alive():
            waiting.tell()
            raise TimeoutError(f"it had not ended at the deadline of {self._seconds:g} s")
        if "error" in outcome:
            raise outcome["error"]
        result: T = outcome["result"]
        return result


def _keep(work: Callable[[], Any], outcome: dict[str, Any]) -> None:
    try:
        outcome["result"] = work()
    except BaseException as error:  # raised again in the thread that waits
        outcome["error"] = error
