"""Token ids of several lengths as tensors of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybrid.encoders.neural import loading
from hybrid.forking import forked_after_loading
from hybrid.threads import thread_count

BUDGET = {"cpu": 4096, "other": 32768}
"""How many tokens a batch may hold, padding included, by device."""


def budget(device: str) -> int:
    """Return how many tokens a batch may hold on a device."""
    return BUDGET["cpu" if device == "cpu" else "other"]


def padded(rows: Sequence[Sequence[int]], filling: int = 0) -> Any:
    """Return rows as an int64 tensor, shape (rows, longest), filled up at their ends."""
    torch = loading.torch_library()
    tensor = torch.full((len(rows), max(map(len, rows))), filling, dtype=torch.int64)
    for n, row in enumerate(rows):
        tensor[n, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return tensor


def use_threads() -> None:
    """Let torch use as many threads as the setting says."""
    torch = loading.torch_library()
    if torch.get_num_threads() != thread_count():
        # OpenMP waits for ever for threads that stayed in the parent
        torch.set_num_threads(1 if forked_after_loading("torch") else thread_count())
