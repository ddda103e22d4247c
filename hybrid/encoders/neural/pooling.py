"""Token vectors to one vector, with torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hybrid.encoders.families import Pooling


def pool(outputs: Any, mask: Any, pooling: Pooling) -> Any:
    """Return one vector for each text: torch float32, shape (batch, hidden).

    ``outputs``: shape (batch, length, hidden), of any dtype; sums are taken in float32. ``mask``: bool, shape
    (batch, length), True for tokens that count: at least one in each text, in one run, wherever it begins.
    """
    return _POOLINGS[pooling](outputs, mask).float()


def normalized(vectors: Any) -> Any:
    """Return vectors scaled to length 1; zeros stay zeros."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    return vectors / lengths.where(lengths > 0, lengths.new_ones(()))


def standardized(vectors: Any) -> Any:
    """Return each vector less its mean, by its standard deviation (layer normalisation, no weights)."""
    import torch

    return torch.nn.functional.layer_norm(vectors, vectors.shape[-1:])


def _first(outputs: Any, mask: Any) -> Any:
    return _at(outputs, mask.int().argmax(dim=1))  # argmax is the first of equals


def _last(outputs: Any, mask: Any) -> Any:
    return _at(outputs, mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1))


def _at(outputs: Any, positions: Any) -> Any:
    return outputs.gather(1, positions[:, None, None].expand(-1, 1, outputs.shape[2]))[:, 0]


def _mean(outputs: Any, mask: Any) -> Any:
    kept = mask[:, :, None]
    return outputs.float().masked_fill(~kept, 0).sum(dim=1) / kept.sum(dim=1)


def _max(outputs: Any, mask: Any) -> Any:
    return outputs.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)


_POOLINGS: Mapping[Pooling, Callable[[Any, Any], Any]] = {
    "cls": _first,
    "mean": _mean,
    "max": _max,
    "last": _last,
}
