"""Which failures of a service are tried again, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hybrid.errors import InputError

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses after which the same request may succeed."""

LASTING = ("insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota")
"""What the answer of a 429 says if waiting does not help: the account is empty."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a failed request is sent again.

    ``attempts``: in all. After the n-th failure the wait is ``first`` · 2ⁿ⁻¹ seconds, at most ``longest``,
    of which a random half to the whole is waited (jitter: callers that failed together do not come back
    together). If the service says how long (Retry-After), that is waited instead, unless it is longer than
    ``patience`` seconds: then the failure is final.
    """

    attempts: int = 5
    first: float = 0.5
    longest: float = 30.0
    patience: float = 60.0

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise InputError(f"attempts is {self.attempts!r}; give a whole number of at least 1")
        for name in ("first", "longest", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
                raise InputError(f"{name} is {value!r}; give a number of seconds, at least 0")

    def wait(self, failures: int, asked: float | None) -> float | None:
        """Return how many seconds to wait after so many failures, or None to give up."""
        if failures >= self.attempts or (asked is not None and asked > self.patience):
            return None
        backoff = min(self.longest, self.first * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)
        return backoff if asked is None else asked + random.uniform(0.0, min(self.first, 0.1))


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return how many seconds a service asks to wait, or None if it does not say.

    Read are ``retry-after-ms`` (OpenAI), and ``retry-after`` in its two forms, seconds and a date
    (RFC 9110, 10.2.3); ``now`` is in seconds since 1970.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "250"}), retry_after({})
    (2.0, 0.25, None)
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if value.replace(".", "", 1).isdecimal():
            return float(value) * scale
        if name == "retry-after" and value:
            from email.utils import parsedate_to_datetime

            try:
                moment = parsedate_to_datetime(value).timestamp()
            except (ValueError, OverflowError):
                return None
            return max(0.0, moment - (time.time() if now is None else now))
    return None
