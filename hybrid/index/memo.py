"""What is derived from a whole snapshot, kept as long as the snapshot is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from hybrid import forking
from hybrid.index.snapshot import Snapshot

_T = TypeVar("_T")
_KEPT: WeakKeyDictionary[Snapshot, dict[Hashable, Any]] = WeakKeyDictionary()
_LOCK = forking.Lock(threading.RLock)


def memoized(snapshot: Snapshot, key: Hashable, build: Callable[[], _T]) -> _T:
    """Return ``build()``, called once per snapshot and key, thread-safely.

    The value must not refer to the snapshot itself (its segments are fine): that would keep it
    from ever being freed.
    """
    with _LOCK:
        kept = _KEPT.setdefault(snapshot, {})
        if key not in kept:
            kept[key] = build()
        value: _T = kept[key]
        return value
