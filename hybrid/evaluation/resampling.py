"""Intervals by resampling queries, and tests of paired differences.

Queries are the sample: another set of queries of the same kind would have given another mean. Every
function is deterministic: random numbers come from a seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from hybrid.errors import InputError
from hybrid.types import Doubles

SAMPLES = 10_000
_CELLS = 2_000_000
"""How many numbers one batch of resampling may hold: 16 MB."""


class Interval(NamedTuple):
    """From ``low`` to ``high``."""

    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float] | Doubles, *, level: float = 0.95, samples: int = SAMPLES, seed: int = 0
) -> Interval:
    """Return the bias-corrected and accelerated (BCa) bootstrap interval of the mean.

    ``values``: one per query, (n,). Efron (1987), "Better Bootstrap Confidence Intervals". Where all
    values are equal the interval is that one value.

    Raises:
        InputError: there are no values, or one is not finite; ``level`` is not between 0 and 1.
    """
    sample = _checked(values)
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; give a number between 0 and 1, such as 0.95")
    mean = float(sample.mean())
    if (sample == sample[0]).all():
        return Interval(mean, mean)
    means = np.sort(_resampled_means(sample, samples, seed))
    below = (float(np.mean(means < mean)) + float(np.mean(means <= mean))) / 2
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 0.5 / samples), 1 - 0.5 / samples))
    deviations = sample - mean  # leave-one-out means, up to a factor that cancels
    acceleration = float((deviations**3).sum()) / (6 * float((deviations**2).sum()) ** 1.5)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        z = bias + normal.inv_cdf(share)
        ends.append(float(np.quantile(means, normal.cdf(bias + z / (1 - acceleration * z)))))
    return Interval(*ends)


def randomisation_test(
    differences: Sequence[float] | Doubles, *, samples: int = SAMPLES, seed: int = 0
) -> float:
    """Return the two-sided p value of Fisher's paired randomisation test of the mean difference.

    ``differences``: one per query, (n,). Under the null hypothesis each may as well have the other
    sign. Smucker, Allan and Carterette (2007). All sign patterns are counted where there are no more
    than ``samples`` of them; otherwise that many are drawn, and the observed one counts as one more.
    """
    sample = _checked(differences)
    moved = sample[sample != 0]
    if not len(moved):
        return 1.0
    # Sums that differ only by their rounding count as equal:
    observed = abs(float(moved.sum())) - 1e-12 * float(np.abs(moved).sum())
    if len(moved) <= math.log2(samples):
        patterns = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float(np.mean(np.abs((2.0 * patterns - 1) @ moved) >= observed))
    random, extreme, done = np.random.default_rng(seed), 0, 0
    step = max(1, _CELLS // len(moved))
    while done < samples:
        signs = random.integers(0, 2, (min(step, samples - done), len(moved)), np.int8)
        extreme += int(np.count_nonzero(np.abs((2.0 * signs - 1) @ moved) >= observed))
        done += len(signs)
    return (extreme + 1) / (samples + 1)


def t_test(differences: Sequence[float] | Doubles) -> float:
    """Return the two-sided p value of the paired t test (Student 1908); 1 if nothing differs.

    ``differences``: one per query, (n,). With a single query there is nothing to estimate: 1.
    """
    sample = _checked(differences)
    if len(sample) < 2 or not sample.any():
        return 1.0
    deviation = float(sample.std(ddof=1))
    if deviation == 0:
        return 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(len(sample) - 1, -abs(float(sample.mean())) / deviation * math.sqrt(len(sample))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) step-down adjusted p values, in the order given.

    An adjusted value below 0.05 keeps the chance of even one false discovery among all below 0.05.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda n: p_values[n])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, n in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[n]))
        adjusted[n] = highest
    return adjusted


def effect_size(differences: Sequence[float] | Doubles) -> float:
    """Return Cohen's d of paired differences: their mean over their standard deviation (n - 1).

    About 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988). 0 if nothing differs; infinite if every
    query differs by the same.
    """
    sample = _checked(differences)
    if not sample.any():
        return 0.0
    deviation = float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
    return float(sample.mean()) / deviation if deviation else math.copysign(math.inf, float(sample.mean()))


def _resampled_means(sample: Doubles, samples: int, seed: int) -> Doubles:
    """Return the means of ``samples`` draws with replacement, each as long as the sample."""
    random, step = np.random.default_rng(seed), max(1, _CELLS // len(sample))
    parts = [
        sample[random.integers(0, len(sample), (min(step, samples - start), len(sample)))].mean(axis=1)
        for start in range(0, samples, step)
    ]
    return np.concatenate(parts)


def _checked(values: Sequence[float] | Doubles) -> Doubles:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise InputError(f"values have the shape {sample.shape}; give finite numbers, one for each query")
    return sample
