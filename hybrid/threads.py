"""How many threads heavy work may use: one setting for the whole package."""

from __future__ import annotations

import os

from hybrid.errors import InputError

VARIABLE = "HYBRID_THREADS"


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
