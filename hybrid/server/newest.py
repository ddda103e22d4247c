"""The newest state of an index that somebody else changes, or replaces."""

from __future__ import annotations

from collections.abc import Callable

from hybrid.engine import HybridIndex
from hybrid.errors import FingerprintError


def refreshed(index: HybridIndex, reopened: Callable[[], HybridIndex]) -> HybridIndex:
    """Return the index at its newest generation, opened anew if it was replaced by one built otherwise.

    Raises:
        HybridError: the newest generation cannot be had; the index is as it was.
    """
    try:
        index.refresh()
    except FingerprintError:
        newer = reopened()
        index.close()
        return newer
    return index
