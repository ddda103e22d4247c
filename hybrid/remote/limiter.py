"""Rate limits: at most so many requests and tokens in any minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hybrid.errors import InputError

WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a service may be asked: requests and tokens in any 60 seconds, and requests at a time.

    Tokens are estimated (`hybrid.remote.tokens`). None stands for no limit.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int = 4

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "concurrency"):
            value = getattr(self, name)
            if value is None and name != "concurrency":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1")


class Limiter:
    """Says how long to wait before the next request; belongs to one event loop.

    What was let through in the last ``window`` seconds is remembered one by one, so that the limits hold in
    every window, not only on average. A request of more tokens than a whole window may have goes alone.
    """

    def __init__(
        self, limits: Limits, window: float = WINDOW, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits, self._window, self._clock = limits, window, clock
        self._passed: deque[tuple[float, int]] = deque()
        self._tokens = 0
        self._closed_until = 0.0

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long: the service asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def delay(self, tokens: int) -> float:
        """Return 0 and count the request, or else how many seconds to wait before asking again."""
        now = self._clock()
        while self._passed and self._passed[0][0] <= now - self._window:
            self._tokens -= self._passed.popleft()[1]
        if self._closed_until > now:
            return self._closed_until - now
        requests, budget = self._limits.requests_per_minute, self._limits.tokens_per_minute
        crowded = requests is not None and len(self._passed) >= requests
        spent = budget is not None and self._tokens > 0 and self._tokens + tokens > budget
        if crowded or spent:
            return max(self._passed[0][0] + self._window - now, 1e-3)
        self._passed.append((now, tokens))
        self._tokens += tokens
        return 0.0
