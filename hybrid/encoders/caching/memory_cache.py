"""Embeddings in memory: those of the queries asked last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from hybrid import forking

ENTRY = 256
"""Bytes that an entry takes besides its value: its key, and what Python needs for both."""


class MemoryCache:
    """Keeps the values used last, up to ``limit`` bytes, with `ENTRY` for each; the others are forgotten."""

    def __init__(self, limit: int) -> None:
        """Take the limit in bytes."""
        self.limit = limit
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = forking.Lock()

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those keys that are there."""
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values."""
        with self._lock:
            for key, value in values.items():
                self._forget(self._values.pop(key, None))
                self._values[key] = value
                self._bytes += len(value) + ENTRY
            while self._bytes > self.limit:
                self._forget(self._values.popitem(last=False)[1])

    def _forget(self, value: bytes | None) -> None:
        self._bytes -= 0 if value is None else len(value) + ENTRY
