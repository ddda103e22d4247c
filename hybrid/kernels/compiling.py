"""Whether it pays to load compiled code yet.

Loading the compiler's run time and the compiled kernels takes a process some tenths of a second,
once. A process that asks a single query is better off without. So everything compiled has an
interpreted twin that gives the same bits, and twins work until they have cost a process as much as loading:
whatever it goes on to do, it pays at most twice what the better choice would have cost (the ski-rental
rule: Karlin, Manasse, Rudolph and Sleator 1988, "Competitive Snoopy Caching").
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hybrid import forking

LOADING = 0.4
"""Seconds that loading takes, about."""


class _Meter:
    """What interpreted code has cost this process so far, in seconds."""

    def __init__(self) -> None:
        self.lock = forking.Lock()
        self.spent = 0.0


_METER = _Meter()


def compiling_pays(expected: float) -> bool:
    """Return whether to use compiled code for work that would take interpreted code so many seconds."""
    return _METER.spent + expected >= LOADING or "hybrid.kernels.postings" in sys.modules


@contextmanager
def interpreting() -> Iterator[None]:
    """Count what the body takes as interpreted."""
    started = time.perf_counter()
    try:
        yield
    finally:
        with _METER.lock:
            _METER.spent += time.perf_counter() - started
