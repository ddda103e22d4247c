"""Levels: one byte that bounds what a posting is worth, whatever the collection becomes.

BM25's saturation grows with x = tf / norm alone, where norm = 1 - b + b·dl / avgdl depends on figures
that change with every added document and on parameters that a search may change. So a level is
made from x under fixed *reference* figures, and turned into a bound under the current ones when a
query comes: norms of the two differ by a ratio of linear functions of dl, which is monotone, so
that its extremes lie at the shortest and the longest document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 255
_K1, _B = 1.2, 0.75
_SAFE = 1 + 1e-9
"""More than the rounding of the few operations that make a level or a bound."""


def reference_norms(lengths: NDArray[np.int32], average: float) -> NDArray[np.float64]:
    """Return each document's norm under the reference: float64; ``lengths``: shape (F, documents)."""
    return 1 - _B + _B / average * lengths.sum(axis=0, dtype=np.float64)


def of_counts(values: NDArray[Any], norms: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the levels (uint8, at least 1) of postings with counts.

    ``values``: shape (F, n). ``norms``: float64, shape (n,), the `reference_norms` of their documents.
    """
    x = values.sum(axis=0, dtype=np.float64) / norms
    return np.clip(np.ceil(STEPS * _SAFE * x / (x + _K1)), 1, STEPS).astype(np.uint8)


def of_weights(weights: NDArray[Any], peaks: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the levels of learned weights, all above 0, relative to their terms' greatest ones."""
    steps = np.ceil(weights.astype(np.float64) * (STEPS * _SAFE) / peaks)
    return np.clip(steps, 1, STEPS).astype(np.uint8)


def ceilings_of_counts(
    average: float,
    longest: float,
    *,
    k1: float,
    b: float,
    delta: float,
    current: float,
    fields: tuple[float, ...],
) -> NDArray[np.float64]:
    """Return what the saturation is at most at each level: float64, shape (256,).

    ``average``, ``longest``: the reference's average, and the greatest length of a document, all
    fields counted once. ``k1``, ``b``, ``delta`` (that of BM25L, 0 for others), ``current``: the
    parameters of the query, and its average length with the fields weighted by ``fields``.
    """
    level = np.arange(STEPS + 1) / STEPS
    with np.errstate(divide="ignore", invalid="ignore"):
        x = _K1 * level / (1 - level)  # the last is infinite: there is no bound
        ratio = max(fields) * max(
            (1 - _B + _B * length / average) / norm
            if (norm := 1 - b + b * min(fields) * length / current if current > 0 else 1 - b) > 0
            else np.inf
            for length in (1.0, longest)
        )
        x = x * ratio + delta
        bound = np.where(np.isfinite(x), x / (x + k1), 1.0)
    bound[0] = 0.0
    return np.ascontiguousarray(bound * _SAFE)


def ceilings_of_weights() -> NDArray[np.float64]:
    """Return the greatest weight at each level, relative to the term's: float64, shape (256,)."""
    return np.arange(STEPS + 1) / STEPS * _SAFE
